package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is text on its way to the model; first says that it begins where the
// whole text does.
type piece struct {
	text  string
	first bool
}

// preTokenizer cuts pieces into smaller ones.
type preTokenizer func([]piece) []piece

type preTokenizerJSON struct {
	Type          string            `json:"type"`
	Pretokenizers []json.RawMessage `json:"pretokenizers"`

	AddPrefixSpace *bool   `json:"add_prefix_space"` // ByteLevel, old Metaspace
	UseRegex       *bool   `json:"use_regex"`        // ByteLevel
	Pattern        pattern `json:"pattern"`          // Split
	Behavior       string  `json:"behavior"`         // Split, Punctuation
	Invert         bool    `json:"invert"`           // Split
	Individual     bool    `json:"individual_digits"`
	Replacement    string  `json:"replacement"` // Metaspace
	PrependScheme  string  `json:"prepend_scheme"`
	Split          *bool   `json:"split"`
	Delimiter      string  `json:"delimiter"` // CharDelimiterSplit
	Length         int     `json:"length"`    // FixedLength
}

// preTok is what a pre_tokenizer describes: cut always works; when scan is
// set, the whole is "put a space in front if prefix, scan, spell the bytes".
type preTok struct {
	cut    preTokenizer
	scan   splitFunc
	prefix bool
}

// parsePreTokenizer reads a pre_tokenizer. addPrefix, if not nil, overrides
// add_prefix_space when the whole is one ByteLevel.
func parsePreTokenizer(raw json.RawMessage, addPrefix *bool) (preTok, error) {
	if isNull(raw) {
		return preTok{}, nil
	}
	var j preTokenizerJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return preTok{}, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if j.Type == "ByteLevel" && addPrefix != nil {
		j.AddPrefixSpace = addPrefix
	}
	cut, err := newPreTokenizer(&j)
	if err != nil {
		return preTok{}, err
	}
	t := preTok{cut: cut}
	switch j.Type {
	case "ByteLevel":
		if j.UseRegex == nil || *j.UseRegex {
			t.scan, t.prefix = scanGPT2, j.AddPrefixSpace == nil || *j.AddPrefixSpace
		}
	case "Sequence":
		if len(j.Pretokenizers) != 2 {
			break
		}
		var a, b preTokenizerJSON
		if json.Unmarshal(j.Pretokenizers[0], &a) != nil || json.Unmarshal(j.Pretokenizers[1], &b) != nil {
			break
		}
		if a.Type == "Split" && a.Behavior == "Isolated" && !a.Invert && a.Pattern.Regex != nil &&
			b.Type == "ByteLevel" && b.UseRegex != nil && !*b.UseRegex && b.AddPrefixSpace != nil && !*b.AddPrefixSpace {
			t.scan = scanners[*a.Pattern.Regex]
		}
	}
	return t, nil
}

func newPreTokenizer(j *preTokenizerJSON) (preTokenizer, error) {
	switch j.Type {
	case "Sequence":
		var all []preTokenizer
		for _, r := range j.Pretokenizers {
			t, err := parsePreTokenizer(r, nil)
			if err != nil {
				return nil, err
			}
			if t.cut != nil {
				all = append(all, t.cut)
			}
		}
		return func(ps []piece) []piece {
			for _, f := range all {
				ps = f(ps)
			}
			return ps
		}, nil
	case "ByteLevel":
		return byteLevel(j.AddPrefixSpace == nil || *j.AddPrefixSpace, j.UseRegex == nil || *j.UseRegex), nil
	case "Split":
		find, err := newFinder(j.Pattern)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Split: %w", err)
		}
		if j.Invert {
			find = invert(find)
		}
		return splitter(find, j.Behavior)
	case "Digits":
		behavior := "Contiguous"
		if j.Individual {
			behavior = "Isolated"
		}
		return splitter(eachRune(func(r rune) bool { return unicode.Is(unicode.N, r) }), behavior)
	case "Punctuation":
		behavior := j.Behavior
		if behavior == "" {
			behavior = "Isolated"
		}
		return splitter(eachRune(isPunct), behavior)
	case "Whitespace":
		return splitter(invert(words), "Removed")
	case "WhitespaceSplit":
		return splitter(eachRune(unicode.IsSpace), "Removed")
	case "BertPreTokenizer":
		a, err := splitter(eachRune(unicode.IsSpace), "Removed")
		if err != nil {
			return nil, err
		}
		b, err := splitter(eachRune(isPunct), "Isolated")
		if err != nil {
			return nil, err
		}
		return func(ps []piece) []piece { return b(a(ps)) }, nil
	case "CharDelimiterSplit":
		d, _ := utf8.DecodeRuneInString(j.Delimiter)
		return splitter(eachRune(func(r rune) bool { return r == d }), "Removed")
	case "Metaspace":
		return metaspace(j)
	}
	return nil, fmt.Errorf("pre_tokenizer %q is not supported", j.Type)
}

// span is a part of a text; match says that it is one of the delimiters.
type span struct {
	i, j  int
	match bool
}

// finder cuts a text, whole, into delimiters and what stands between them.
type finder func(s string) []span

func newFinder(p pattern) (finder, error) {
	if p.String != nil && *p.String != "" {
		sub := *p.String
		return func(s string) (out []span) {
			done := 0
			for {
				i := strings.Index(s[done:], sub)
				if i < 0 {
					break
				}
				if i > 0 {
					out = append(out, span{done, done + i, false})
				}
				out = append(out, span{done + i, done + i + len(sub), true})
				done += i + len(sub)
			}
			if done < len(s) {
				out = append(out, span{done, len(s), false})
			}
			return out
		}, nil
	}
	if p.Regex == nil {
		return nil, fmt.Errorf("no pattern")
	}
	if scan := scanners[*p.Regex]; scan != nil {
		return func(s string) (out []span) {
			for i := 0; i < len(s); {
				j := scan(s, i)
				out = append(out, span{i, j, true})
				i = j
			}
			return out
		}, nil
	}
	re, err := compileRegex(*p.Regex)
	if err != nil {
		return nil, err
	}
	return func(s string) (out []span) {
		done := 0
		eachMatch(re, s, func(i, j int) {
			if done < i {
				out = append(out, span{done, i, false})
			}
			out = append(out, span{i, j, true})
			done = j
		})
		if done < len(s) {
			out = append(out, span{done, len(s), false})
		}
		return out
	}, nil
}

func invert(f finder) finder {
	return func(s string) []span {
		out := f(s)
		for i := range out {
			out[i].match = !out[i].match
		}
		return out
	}
}

// eachRune finds single characters for which is holds; the text between them
// is one span.
func eachRune(is func(rune) bool) finder {
	return func(s string) (out []span) {
		done := 0
		for i, r := range s {
			if is(r) {
				if done < i {
					out = append(out, span{done, i, false})
				}
				done = i + utf8.RuneLen(r)
				out = append(out, span{i, done, true})
			}
		}
		if done < len(s) {
			out = append(out, span{done, len(s), false})
		}
		return out
	}
}

// words finds \w+|[^\w\s]+.
func words(s string) (out []span) {
	const wordKind, spaceKind, otherKind = 1, 2, 3
	kind, start := 0, 0
	for i, r := range s {
		k := otherKind
		if isWord(r) {
			k = wordKind
		} else if unicode.IsSpace(r) {
			k = spaceKind
		}
		if k != kind && i > 0 {
			out = append(out, span{start, i, kind != spaceKind})
			start = i
		}
		kind = k
	}
	if start < len(s) {
		out = append(out, span{start, len(s), kind != spaceKind})
	}
	return out
}

// splitter cuts pieces at delimiters; behavior says what becomes of those.
func splitter(find finder, behavior string) (preTokenizer, error) {
	var join func([]span) []span
	switch behavior {
	case "Isolated":
		join = func(s []span) []span { return s }
	case "Removed":
		join = func(s []span) []span {
			out := s[:0]
			for _, x := range s {
				if !x.match {
					out = append(out, x)
				}
			}
			return out
		}
	case "Contiguous":
		join = func(s []span) []span {
			out := s[:0]
			prev := false
			for _, x := range s {
				if x.match == prev && len(out) > 0 {
					out[len(out)-1].j = x.j
				} else {
					out = append(out, x)
				}
				prev = x.match
			}
			return out
		}
	case "MergedWithPrevious":
		join = func(s []span) []span {
			out := s[:0]
			prev := false
			for _, x := range s {
				if x.match && !prev && len(out) > 0 {
					out[len(out)-1].j = x.j
				} else {
					out = append(out, x)
				}
				prev = x.match
			}
			return out
		}
	case "MergedWithNext":
		join = func(s []span) []span {
			k := len(s) // spans from k on are done
			prev := false
			for i := len(s) - 1; i >= 0; i-- {
				x := s[i]
				if x.match && !prev && k < len(s) {
					s[k].i = x.i
				} else {
					k--
					s[k] = x
				}
				prev = x.match
			}
			return s[k:]
		}
	default:
		return nil, fmt.Errorf("pre_tokenizer: split behavior %q is not supported", behavior)
	}
	return func(ps []piece) []piece {
		out := make([]piece, 0, 2*len(ps))
		for _, p := range ps {
			for _, x := range join(find(p.text)) {
				if x.i < x.j {
					out = append(out, piece{p.text[x.i:x.j], p.first && x.i == 0})
				}
			}
		}
		return out
	}, nil
}

// byteLevel puts a space in front, cuts by GPT-2's rule, spells the bytes.
func byteLevel(prefix, cut bool) preTokenizer {
	return func(ps []piece) []piece {
		out := make([]piece, 0, 2*len(ps))
		for _, p := range ps {
			s := p.text
			if prefix && !strings.HasPrefix(s, " ") {
				s = " " + s
			}
			for i := 0; i < len(s); {
				j := len(s)
				if cut {
					j = scanGPT2(s, i)
				}
				out = append(out, piece{spellBytes(s[i:j]), p.first && i == 0})
				i = j
			}
		}
		return out
	}
}

func metaspace(j *preTokenizerJSON) (preTokenizer, error) {
	mark, _ := utf8.DecodeRuneInString(j.Replacement)
	if j.Replacement == "" {
		mark = '▁'
	}
	scheme, err := metaspaceScheme(j.PrependScheme, j.AddPrefixSpace)
	if err != nil {
		return nil, fmt.Errorf("pre_tokenizer Metaspace: %w", err)
	}
	cut, err := splitter(eachRune(func(r rune) bool { return r == mark }), "MergedWithNext")
	if err != nil {
		return nil, err
	}
	whole := j.Split != nil && !*j.Split
	return func(ps []piece) []piece {
		out := make([]piece, 0, len(ps))
		for _, p := range ps {
			p.text = strings.ReplaceAll(p.text, " ", string(mark))
			if (scheme == "always" || scheme == "first" && p.first) && !strings.HasPrefix(p.text, string(mark)) {
				p.text = string(mark) + p.text
			}
			out = append(out, p)
		}
		if whole {
			return out
		}
		return cut(out)
	}, nil
}

// metaspaceScheme reads prepend_scheme and its older form add_prefix_space.
func metaspaceScheme(scheme string, addPrefix *bool) (string, error) {
	switch scheme {
	case "always", "first", "never":
		return scheme, nil
	case "":
		if addPrefix != nil && !*addPrefix {
			return "never", nil
		}
		return "always", nil
	}
	return "", fmt.Errorf("prepend_scheme %q is not supported", scheme)
}

func isPunct(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.Is(unicode.P, r)
}
