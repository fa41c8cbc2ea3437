package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is cut.
type normalizer func(string) string

// pattern is {"String": …} or {"Regex": …}.
type pattern struct {
	String *string
	Regex  *string
}

type normalizerJSON struct {
	Type        string            `json:"type"`
	Normalizers []json.RawMessage `json:"normalizers"`
	Prepend     string            `json:"prepend"`
	Pattern     pattern           `json:"pattern"`
	Content     string            `json:"content"`
	StripLeft   *bool             `json:"strip_left"`
	StripRight  *bool             `json:"strip_right"`

	CleanText    *bool `json:"clean_text"`
	ChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lowercase    *bool `json:"lowercase"`
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// parseNormalizer returns nil for none.
func parseNormalizer(raw json.RawMessage) (normalizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	var j normalizerJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	switch j.Type {
	case "Sequence":
		var all []normalizer
		for _, r := range j.Normalizers {
			n, err := parseNormalizer(r)
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		if len(all) == 0 {
			return nil, nil
		}
		return func(s string) string {
			for _, n := range all {
				s = n(s)
			}
			return s
		}, nil
	case "NFC":
		return unicodeForm(norm.NFC), nil
	case "NFD":
		return unicodeForm(norm.NFD), nil
	case "NFKC":
		return unicodeForm(norm.NFKC), nil
	case "NFKD":
		return unicodeForm(norm.NFKD), nil
	case "Lowercase":
		return lowercase, nil
	case "Nmt":
		return nmt, nil
	case "Prepend":
		return func(s string) string {
			if s == "" {
				return s
			}
			return j.Prepend + s
		}, nil
	case "Strip":
		left, right := j.StripLeft == nil || *j.StripLeft, j.StripRight == nil || *j.StripRight
		return func(s string) string {
			if left {
				s = strings.TrimLeftFunc(s, unicode.IsSpace)
			}
			if right {
				s = strings.TrimRightFunc(s, unicode.IsSpace)
			}
			return s
		}, nil
	case "StripAccents":
		return func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.M, r) {
					return -1
				}
				return r
			}, s)
		}, nil
	case "Replace":
		r, err := newReplacer(j.Pattern, j.Content)
		if err != nil {
			return nil, fmt.Errorf("normalizer Replace: %w", err)
		}
		return r, nil
	case "ByteLevel":
		return spellBytes, nil
	case "BertNormalizer":
		on := func(b *bool) bool { return b == nil || *b }
		lower := on(j.Lowercase)
		accents := lower
		if j.StripAccents != nil {
			accents = *j.StripAccents
		}
		return bertNormalizer(on(j.CleanText), on(j.ChineseChars), accents, lower), nil
	}
	return nil, fmt.Errorf("normalizer %q is not supported", j.Type)
}

func newReplacer(p pattern, with string) (func(string) string, error) {
	switch {
	case p.String != nil && *p.String != "":
		return func(s string) string { return strings.ReplaceAll(s, *p.String, with) }, nil
	case p.Regex != nil:
		re, err := compileRegex(*p.Regex)
		if err != nil {
			return nil, err
		}
		return func(s string) string {
			out := &strings.Builder{}
			done := 0
			eachMatch(re, s, func(i, j int) {
				out.WriteString(s[done:i])
				out.WriteString(with)
				done = j
			})
			out.WriteString(s[done:])
			return out.String()
		}, nil
	}
	return nil, fmt.Errorf("no pattern")
}

// eachMatch calls f with the byte range of each match of re in s.
func eachMatch(re *regexp2.Regexp, s string, f func(i, j int)) {
	runes := []rune(s)
	m, err := re.FindRunesMatch(runes)
	at, bytes := 0, 0 // at runes are bytes long
	for err == nil && m != nil {
		for ; at < m.Index; at++ {
			bytes += utf8.RuneLen(runes[at])
		}
		i := bytes
		for ; at < m.Index+m.Length; at++ {
			bytes += utf8.RuneLen(runes[at])
		}
		f(i, bytes)
		m, err = re.FindNextMatch(m)
	}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unicodeForm is the form without the limit on combining marks that package
// norm has.
func unicodeForm(f norm.Form) normalizer {
	return func(s string) string {
		if isASCII(s) || f.IsNormalString(s) {
			return s
		}
		if !manyMarks(s) {
			return f.String(s)
		}
		return normalizeLong(f, s)
	}
}

// maxMarks is how many combining characters in a row package norm takes; it
// puts a U+034F behind them, which the standard does not.
const maxMarks = 30

// manyMarks reports a run of marks that could exceed maxMarks once decomposed
// (a character has at most 18 in its decomposition, marks at most 4).
func manyMarks(s string) bool {
	n := 0
	for _, r := range s {
		if r < 0x300 || !unicode.Is(unicode.M, r) {
			n = 0
			continue
		}
		if n++; n >= maxMarks/4 {
			return true
		}
	}
	return false
}

// normalizeLong is the algorithm of UAX 15 as it is written there.
func normalizeLong(f norm.Form, s string) string {
	type char struct {
		r   rune
		ccc uint8
	}
	var cs []char
	full := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		full = norm.NFKD
	}
	for _, r := range s {
		for _, d := range full.String(string(r)) {
			c := char{d, norm.NFD.PropertiesString(string(d)).CCC()}
			i := len(cs)
			for c.ccc > 0 && i > 0 && cs[i-1].ccc > c.ccc {
				i--
			}
			cs = append(cs, char{})
			copy(cs[i+1:], cs[i:])
			cs[i] = c
		}
	}
	if f == norm.NFC || f == norm.NFKC {
		starter, out := -1, cs[:0]
		for _, c := range cs {
			if starter >= 0 {
				last := out[len(out)-1]
				adjacent := len(out)-1 == starter
				if adjacent || last.ccc < c.ccc && last.ccc != 0 {
					if r, n := utf8.DecodeRuneInString(norm.NFC.String(string(out[starter].r) + string(c.r))); n > 0 &&
						utf8.RuneCountInString(norm.NFC.String(string(out[starter].r)+string(c.r))) == 1 {
						out[starter].r = r
						continue
					}
				}
			}
			out = append(out, c)
			if c.ccc == 0 {
				starter = len(out) - 1
			}
		}
		cs = out
	}
	var b strings.Builder
	for _, c := range cs {
		b.WriteRune(c.r)
	}
	return b.String()
}

// lowercase maps each character alone (no rule for a final sigma).
func lowercase(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if r == 0x130 { // the one whose lower case is two characters
			b.WriteString("i\u0307")
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// nmt drops control characters and turns odd spaces into plain ones.
func nmt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return -1
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200b && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return ' '
		}
		return r
	}, s)
}

func bertNormalizer(clean, chinese, accents, lower bool) normalizer {
	return func(s string) string {
		if clean {
			s = strings.Map(func(r rune) rune {
				switch {
				case r == '\t' || r == '\n' || r == '\r':
					return ' '
				case r == 0xfffd || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
					return -1 // U+0085 too, before it could count as space
				case unicode.IsSpace(r):
					return ' '
				}
				return r
			}, s)
		}
		if chinese {
			var b strings.Builder
			for _, r := range s {
				if isHanForBERT(r) {
					b.WriteByte(' ')
					b.WriteRune(r)
					b.WriteByte(' ')
				} else {
					b.WriteRune(r)
				}
			}
			s = b.String()
		}
		if accents {
			s = unicodeForm(norm.NFD)(s)
			s = strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) {
					return -1
				}
				return r
			}, s)
		}
		if lower {
			s = lowercase(s)
		}
		return s
	}
}

// isHanForBERT are the CJK ideograph blocks that BERT's tokenizer names.
func isHanForBERT(r rune) bool {
	return r >= 0x4e00 && (r <= 0x9fff || r >= 0xf900 && r <= 0xfaff || r >= 0x20000 && r <= 0x2a6df ||
		r >= 0x2a700 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f) || r >= 0x3400 && r <= 0x4dbf
}
