package postprocess

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sextant/internal/py"
	"sextant/internal/py/pyre"
	"sextant/internal/source"
)

func init() {
	Functions.Register(firstOption, "first_option_postprocess")
}

// optionPattern is one way in which an answer names its option. OPT stands for
// the class of options.
type optionPattern struct {
	expr string
	// lits are texts of which one must occur for the pattern to match; none
	// means that scan decides.
	lits []string
	scan func(text string, o *optionSet) (candidate string, ok bool)
}

// optionPatterns in the order in which they are tried. Number 14 is what two
// patterns became by a missing comma in the original.
var optionPatterns = []optionPattern{
	{expr: `答案是?\s*([OPT])`, lits: []string{"答案"}},
	{expr: `答案是?\s*：\s*([OPT])`, lits: []string{"答案"}},
	{expr: `答案是?\s*:\s*([OPT])`, lits: []string{"答案"}},
	{expr: `答案选项应?该?是\s*([OPT])`, lits: []string{"答案选项"}},
	{expr: `答案选项应?该?为\s*([OPT])`, lits: []string{"答案选项"}},
	{expr: `答案应该?是\s*([OPT])`, lits: []string{"答案应"}},
	{expr: `答案应该?选\s*([OPT])`, lits: []string{"答案应"}},
	{expr: `答案选项为?\s*：\s*([OPT])`, lits: []string{"答案选项"}},
	{expr: `答案选项为?\s+\(?\*?\*?([OPT])\*?\*?\)?`, lits: []string{"答案选项"}},
	{expr: `答案选项是?\s*:\s*([OPT])`, lits: []string{"答案选项"}},
	{expr: `答案为\s*([OPT])`, lits: []string{"答案为"}},
	{expr: `答案选\s*([OPT])`, lits: []string{"答案选"}},
	{expr: `选择?\s*([OPT])`, lits: []string{"选"}},
	{expr: `故选?\s*([OPT])只有选?项?\s?([OPT])\s?是?对`, lits: []string{"只有"}},
	{expr: `只有选?项?\s?([OPT])\s?是?错`, lits: []string{"只有"}},
	{expr: `只有选?项?\s?([OPT])\s?不?正确`, lits: []string{"只有"}},
	{expr: `只有选?项?\s?([OPT])\s?错误`, lits: []string{"只有"}},
	{expr: `说法不?对选?项?的?是\s?([OPT])`, lits: []string{"说法"}},
	{expr: `说法不?正确选?项?的?是\s?([OPT])`, lits: []string{"说法"}},
	{expr: `说法错误选?项?的?是\s?([OPT])`, lits: []string{"说法错误"}},
	{expr: `([OPT])\s?是正确的`, lits: []string{"是正确的"}},
	{expr: `([OPT])\s?是正确答案`, lits: []string{"是正确答案"}},
	{expr: `选项\s?([OPT])\s?正确`, lits: []string{"选项"}},
	{expr: `所以答\s?([OPT])`, lits: []string{"所以答"}},
	{expr: `所以\s?([OPT][.。$]?$)`, lits: []string{"所以"}},
	{expr: `所有\s?([OPT][.。$]?$)`, lits: []string{"所有"}},
	{expr: `[\s，：:,]([OPT])[。，,\.]?$`, scan: func(t string, o *optionSet) (string, bool) {
		return o.tail(t, "。，,.", func(before string) bool { return endsIn(before, "，：:,", true) })
	}},
	{expr: `[\s，,：:][故即]([OPT])[。\.]?$`, scan: func(t string, o *optionSet) (string, bool) {
		return o.tail(t, "。.", func(before string) bool {
			for _, s := range []string{"故", "即"} {
				if b, ok := strings.CutSuffix(before, s); ok {
					return endsIn(b, "，,：:", true)
				}
			}
			return false
		})
	}},
	{expr: `[\s，,：:]因此([OPT])[。\.]?$`, lits: []string{"因此"}},
	{expr: `[是为。]\s?([OPT])[。\.]?$`, scan: func(t string, o *optionSet) (string, bool) {
		return o.tail(t, "。.", func(before string) bool {
			if endsIn(before, "是为。", false) {
				return true
			}
			r, n := utf8.DecodeLastRuneInString(before)
			return py.IsSpace(r) && endsIn(before[:len(before)-n], "是为。", false)
		})
	}},
	{expr: `因此\s?([OPT])[。\.]?$`, lits: []string{"因此"}},
	{expr: `显然\s?([OPT])[。\.]?$`, lits: []string{"显然"}},
	{expr: `答案是\s?(\S+)(?:。|$)`, lits: []string{"答案是"}},
	{expr: `答案应该是\s?(\S+)(?:。|$)`, lits: []string{"答案应该是"}},
	{expr: `答案为\s?(\S+)(?:。|$)`, lits: []string{"答案为"}},
	{expr: `(?i)ANSWER\s*:\s*([OPT])`, lits: []string{"(?i)answer"}},
	{expr: `[Tt]he answer is:?\s+\(?([OPT])\)?`, lits: []string{"he answer is"}},
	{expr: `[Tt]he answer is:?\s+\(?\*?\*?([OPT])\*?\*?\)?`, lits: []string{"he answer is"}},
	{expr: `[Tt]he answer is option:?\s+\(?([OPT])\)?`, lits: []string{"he answer is option"}},
	{expr: `[Tt]he correct answer is:?\s+\(?([OPT])\)?`, lits: []string{"he correct answer is"}},
	{expr: `[Tt]he correct answer is option:?\s+\(?([OPT])\)?`, lits: []string{"he correct answer is option"}},
	{expr: `[Tt]he correct answer is:?.*?boxed{([OPT])}`, lits: []string{"he correct answer is"}},
	{expr: `[Tt]he correct option is:?.*?boxed{([OPT])}`, lits: []string{"he correct option is"}},
	{expr: `[Tt]he correct answer option is:?.*?boxed{([OPT])}`, lits: []string{"he correct answer option is"}},
	{expr: `[Tt]he answer to the question is:?\s+\(?([OPT])\)?`, lits: []string{"he answer to the question is"}},
	{expr: `^选项\s?([OPT])`, lits: []string{"选项"}},
	{expr: `^([OPT])\s?选?项`, lits: []string{"项"}},
	// behind a blank the group is the blank, which names no option: only the
	// start of the text counts
	{expr: `(\s|^)[OPT][\s。，,：:\.$]`, scan: func(t string, o *optionSet) (string, bool) {
		r, n := utf8.DecodeRuneInString(t)
		if !o.has(r) || n == len(t) {
			return "", false
		}
		s, m := utf8.DecodeRuneInString(t[n:])
		return t[:n+m], py.IsSpace(s) || strings.ContainsRune("。，,：:.$", s)
	}},
	// the full stop is a wildcard: whatever follows a 1 and one more character
	{expr: `1.\s?(.*?)$`, scan: func(t string, _ *optionSet) (string, bool) {
		i := strings.IndexByte(t, '1')
		if i < 0 || i+1 == len(t) {
			return "", false
		}
		rest := t[i+1:]
		rest = rest[runeLen(rest):]
		if r, n := utf8.DecodeRuneInString(rest); n > 0 && py.IsSpace(r) {
			rest = rest[n:]
		}
		if rest == "" {
			return t[i:], true
		}
		return rest, true
	}},
	// never reached with a match: the one before it took the text
	{expr: `1.\s?([OPT])[.。$]?$`, scan: func(string, *optionSet) (string, bool) { return "", false }},
}

// cushionPatterns are tried last, and only with cushion (the default).
var cushionPatterns = []optionPattern{
	{expr: `([OPT]):`, scan: func(t string, o *optionSet) (string, bool) {
		for i := 0; i < len(t); {
			r, n := utf8.DecodeRuneInString(t[i:])
			if o.has(r) && i+n < len(t) && t[i+n] == ':' {
				return t[i : i+n], true
			}
			i += n
		}
		return "", false
	}},
	{expr: `([OPT])`, scan: func(t string, o *optionSet) (string, bool) {
		i := strings.IndexAny(t, o.letters)
		if i < 0 {
			return "", false
		}
		return t[i : i+runeLen(t[i:])], true
	}},
}

// endsIn says that s ends in one of chars, or in a blank where spaces counts.
func endsIn(s, chars string, spaces bool) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && (strings.ContainsRune(chars, r) || spaces && py.IsSpace(r))
}

// optionSet are the letters of the options.
type optionSet struct{ letters string }

func (o *optionSet) has(r rune) bool {
	return strings.ContainsRune(o.letters, r) && r != utf8.RuneError
}

// tail finds an option at the end of a text, with or without one of puncts
// behind it, before which ok holds. The longer form stands further left and
// wins.
func (o *optionSet) tail(t, puncts string, ok func(before string) bool) (string, bool) {
	try := func(t string) (string, bool) {
		r, n := utf8.DecodeLastRuneInString(t)
		if n == 0 || !o.has(r) || !ok(t[:len(t)-n]) {
			return "", false
		}
		return t[len(t)-n:], true
	}
	if r, n := utf8.DecodeLastRuneInString(t); n > 0 && strings.ContainsRune(puncts, r) {
		if c, ok := try(t[:len(t)-n]); ok {
			return c, true
		}
	}
	return try(t)
}

// plainOptions says that options are letters and digits only, so that a class
// of them in a pattern means just these.
func plainOptions(opts string) bool {
	for _, r := range opts {
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return opts != ""
}

// firstOption is the option that an answer names (first_option_postprocess):
// at the first pattern whose candidate contains one, the first of options, in
// their own order, that it contains.
func firstOption(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "options", "cushion"); err != nil {
		return nil, err
	}
	opts, err := textOption(kw, "options", "")
	if err != nil {
		return nil, err
	}
	cushion := true
	if v, ok := kw.Lookup("cushion"); ok {
		cushion = py.Truth(v)
	}
	s, err := findOption(py.StripSpace(text), opts, cushion, plainOptions(opts))
	if err != nil {
		var pos source.Pos
		if kw != nil {
			pos = kw.PosOf("options")
		}
		return nil, &source.Diagnostic{Pos: pos, Msg: err.Error(), Err: err}
	}
	return s, nil
}

// findOption does the work; fast allows scanners and the search for literals
// in the place of patterns.
func findOption(text, opts string, cushion, fast bool) (string, error) {
	o := &optionSet{opts}
	lists := [][]optionPattern{optionPatterns}
	if cushion {
		lists = append(lists, cushionPatterns)
	}
	for _, list := range lists {
		for i := range list {
			p := &list[i]
			candidate, ok := "", false
			if fast && p.scan != nil {
				candidate, ok = p.scan(text, o)
			} else if !fast || p.possible(text) {
				var err error
				if candidate, ok, err = p.match(text, opts); err != nil {
					return "", err
				}
			}
			if !ok {
				continue
			}
			for _, r := range opts {
				if strings.ContainsRune(candidate, r) {
					return string(r), nil
				}
			}
		}
	}
	return "", nil
}

// possible says that one of the pattern's literals occurs.
func (p *optionPattern) possible(text string) bool {
	for _, l := range p.lits {
		if rest, ok := strings.CutPrefix(l, "(?i)"); ok {
			if containsFold(text, rest) {
				return true
			}
		} else if strings.Contains(text, l) {
			return true
		}
	}
	return false
}

// containsFold looks for a lower-case ASCII word in any case. The long s,
// which a pattern takes for an s, counts as a possible one.
func containsFold(text, word string) bool {
	if strings.Contains(text, "ſ") {
		return true
	}
	for i := 0; i+len(word) <= len(text); i++ {
		j := 0
		for j < len(word) && text[i+j]|0x20 == word[j] {
			j++
		}
		if j == len(word) {
			return true
		}
	}
	return false
}

func (p *optionPattern) match(text, opts string) (string, bool, error) {
	whole, one, ok, err := search(strings.ReplaceAll(p.expr, "OPT", opts), pyre.DotAll, text)
	if err != nil || !ok {
		return "", false, err
	}
	if one != "" {
		return one, true, nil
	}
	return whole, true, nil
}
