package postprocess

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"sextant/internal/py"
	"sextant/internal/py/pyre"
	"sextant/internal/source"
)

func init() {
	Functions.Register(plain(general), "general", "general_postprocess")
	Functions.Register(plain(firstCapital), "first-capital", "first_capital_postprocess")
	Functions.Register(plain(lastCapital), "last-capital", "last_capital_postprocess")
	Functions.Register(plain(firstCapitalMulti), "first-capital-multi", "first_capital_postprocess_multi")
	Functions.Register(plain(multipleSelect), "multiple-select", "multiple_select_postprocess")
	Functions.Register(firstNumber, "first_number_postprocess")
	Functions.Register(lastOption, "last_option_postprocess")
	Functions.Register(thinkPred, "think_pred", "think_pred_postprocess")
	Functions.Register(matchAnswerPattern, "match_answer_pattern")
	Functions.Register(xmlTag, "specific-xml-tag", "xml_tag_postprocessor")
	Functions.Register(nonReasoning, "extract-non-reasoning-content", "extract_non_reasoning_content")
}

// plain makes a Func of one without options.
func plain(f func(string) string) Func {
	return func(text string, kw *py.Dict) (py.Value, error) {
		if err := options(kw); err != nil {
			return nil, err
		}
		return f(text), nil
	}
}

// options refuses keys that a function does not have.
func options(kw *py.Dict, known ...string) error {
	for _, e := range kw.Entries() {
		ok := e.Key == "type"
		for _, k := range known {
			ok = ok || e.Key == k
		}
		if !ok {
			return source.Errorf(kw.KeyPosOf(e.Key), "this postprocessor has no option %s", py.Str(e.Key))
		}
	}
	return nil
}

// textOption reads a text option; required when def is "".
func textOption(kw *py.Dict, key, def string) (string, error) {
	v, ok := kw.Lookup(key)
	if !ok {
		if def == "" {
			var at source.Pos
			if kw != nil {
				at = kw.At
			}
			return "", source.Errorf(at, "this postprocessor needs the option %s", key)
		}
		return def, nil
	}
	s, ok := v.(string)
	if !ok {
		return "", source.Errorf(kw.PosOf(key), "%s must be text, not %s", key, py.TypeName(v))
	}
	return s, nil
}

func isWord(r rune) bool { return r == '_' || py.IsAlnum(r) }

// general keeps the first clause (up to a newline, full stop or comma; so
// "1,000" is "1") without punctuation and articles, blanks made single.
func general(text string) string {
	if i := strings.IndexAny(text, "\n.,"); i >= 0 {
		text = text[:i]
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if isWord(r) || py.IsSpace(r) {
			b.WriteRune(r)
		}
	}
	text = b.String()
	b.Reset()
	// what is left are words and blanks; an article is a whole word
	for len(text) > 0 {
		n := strings.IndexFunc(text, py.IsSpace)
		if n < 0 {
			n = len(text)
		}
		switch word := text[:n]; len(word) {
		case 0:
			_, n = utf8.DecodeRuneInString(text)
			for n < len(text) {
				r, k := utf8.DecodeRuneInString(text[n:])
				if !py.IsSpace(r) {
					break
				}
				n += k
			}
			b.WriteByte(' ')
		case 1, 2, 3:
			if l := strings.ToLower(word); l == "a" || l == "an" || l == "the" {
				break
			}
			b.WriteString(word)
		default:
			b.WriteString(word)
		}
		text = text[n:]
	}
	return strings.Join(py.Fields(b.String()), " ")
}

// firstCapital is the first upper-case character of any script.
func firstCapital(text string) string {
	for i, r := range text {
		if py.IsUpper(r) {
			return text[i : i+runeLen(text[i:])]
		}
	}
	return ""
}

func runeLen(s string) int { _, n := utf8.DecodeRuneInString(s); return n }

// lastCapital is the last one.
func lastCapital(text string) string {
	for len(text) > 0 {
		r, n := utf8.DecodeLastRuneInString(text)
		if py.IsUpper(r) {
			return text[len(text)-n:]
		}
		text = text[:len(text)-n]
	}
	return ""
}

// firstCapitalMulti is the first run of the letters A to D.
func firstCapitalMulti(text string) string {
	i := strings.IndexAny(text, "ABCD")
	if i < 0 {
		return ""
	}
	j := i + 1
	for j < len(text) && text[j] >= 'A' && text[j] <= 'D' {
		j++
	}
	return text[i:j]
}

// multipleSelect is the set of all upper-case characters, sorted.
func multipleSelect(text string) string {
	var rs []rune
	seen := map[rune]bool{}
	for _, r := range text {
		if py.IsUpper(r) && !seen[r] {
			seen[r] = true
			rs = append(rs, r)
		}
	}
	sort.Slice(rs, func(i, j int) bool { return rs[i] < rs[j] })
	return string(rs)
}

// firstNumber is the first -?\d*\.?\d+ as a float, or None.
func firstNumber(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw); err != nil {
		return nil, err
	}
	digits := func(i int) int { // end of the digits at i
		for i < len(text) {
			r, n := utf8.DecodeRuneInString(text[i:])
			if !py.IsDecimal(r) {
				break
			}
			i += n
		}
		return i
	}
	for i := 0; i < len(text); i += runeLen(text[i:]) {
		j := i
		if text[j] == '-' {
			j++
		}
		whole := digits(j)
		end := whole
		if whole < len(text) && text[whole] == '.' {
			if f := digits(whole + 1); f > whole+1 {
				end = f
			}
		}
		if end > j {
			return py.ParseFloat(text[i:end])
		}
	}
	return nil, nil
}

// lastOption is the last character that is one of options.
func lastOption(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "options"); err != nil {
		return nil, err
	}
	opts, err := textOption(kw, "options", "")
	if err != nil {
		return nil, err
	}
	if plainOptions(opts) {
		i := strings.LastIndexAny(text, opts)
		if i < 0 {
			return "", nil
		}
		return text[i : i+runeLen(text[i:])], nil
	}
	_, one, _, err := search("(["+opts+"])(?![\\s\\S]*["+opts+"])", 0, text)
	return one, err
}

// thinkPred is what a pattern finds, stripped, or else the text.
func thinkPred(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "re_pattern"); err != nil {
		return nil, err
	}
	g, ok, err := groupOne(text, kw, "re_pattern")
	if err != nil || !ok {
		return text, err
	}
	return py.StripSpace(g), nil
}

// matchAnswerPattern is what a pattern finds, or "".
func matchAnswerPattern(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "answer_pattern"); err != nil {
		return nil, err
	}
	g, _, err := groupOne(text, kw, "answer_pattern")
	return g, err
}

// groupOne is group 1 of the first match of the pattern under key.
func groupOne(text string, kw *py.Dict, key string) (string, bool, error) {
	expr, err := textOption(kw, key, "")
	if err != nil {
		return "", false, err
	}
	p, err := pyre.Compile(expr, 0)
	if err != nil {
		return "", false, &source.Diagnostic{Pos: kw.PosOf(key), Msg: fmt.Sprintf("bad pattern: %v", err), Err: err}
	}
	if p.NumGroups() == 0 {
		return "", false, source.Errorf(kw.PosOf(key), "%s has no group in parentheses", key)
	}
	_, one, ok, err := search(expr, 0, text)
	return one, ok, err
}

// xmlTag is the content of the last element of a tag such as <conclude>.
func xmlTag(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "tag"); err != nil {
		return nil, err
	}
	tag, err := textOption(kw, "tag", "")
	if err != nil {
		return nil, err
	}
	if len(tag) < 3 {
		return nil, source.Errorf(kw.PosOf("tag"), "tag must be like <conclude>, not %q", tag)
	}
	end := "</" + tag[1:len(tag)-1] + ">"
	found, ok := "", false
	for {
		_, after, has := strings.Cut(text, tag)
		if !has {
			break
		}
		in, rest, has := strings.Cut(after, end)
		if !has {
			break
		}
		found, ok, text = in, true, rest
	}
	if !ok {
		return "NO ANSWER FOUND", nil
	}
	return py.StripSpace(found), nil
}

// nonReasoning takes the thoughts of a reasoning model out of its answer.
func nonReasoning(text string, kw *py.Dict) (py.Value, error) {
	if err := options(kw, "think_start_token", "think_end_token"); err != nil {
		return nil, err
	}
	start, err := textOption(kw, "think_start_token", "<think>")
	if err != nil {
		return nil, err
	}
	end, err := textOption(kw, "think_end_token", "</think>")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(text, start) {
		// an empty token has no last occurrence to speak of
		if i := strings.LastIndex(text, end); i >= 0 && end != "" {
			return py.StripSpace(text[i+len(end):]), nil
		}
		return py.StripSpace(text), nil
	}
	var b strings.Builder
	for {
		before, after, has := strings.Cut(text, start)
		if !has {
			break
		}
		_, rest, has := strings.Cut(after, end)
		if !has {
			break
		}
		b.WriteString(before)
		text = rest
	}
	b.WriteString(text)
	return py.StripSpace(b.String()), nil
}
