package tokenizer

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before the model sees it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no word character touches it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it along
	RStrip     bool   `json:"rstrip"`      // and that behind it
	Normalized bool   `json:"normalized"`  // sought in normalized text
	Special    bool   `json:"special"`
}

// matcher finds added tokens: leftmost, and of those the longest.
type matcher struct {
	byText  map[string]*addedToken
	lengths [256][]int // by first byte: lengths of the tokens, longest first
	single  int        // the one first byte, or -1 when there are several
}

// newMatcher makes a matcher of tokens by their spelling, nil for none.
func newMatcher(byText map[string]*addedToken) *matcher {
	if len(byText) == 0 {
		return nil
	}
	m := &matcher{byText: byText, single: -1}
	seen := map[[2]int]bool{}
	firsts := 0
	for s := range byText {
		k := [2]int{int(s[0]), len(s)}
		if seen[k] {
			continue
		}
		seen[k] = true
		if m.lengths[s[0]] == nil {
			firsts++
			m.single = int(s[0])
		}
		m.lengths[s[0]] = append(m.lengths[s[0]], len(s))
	}
	if firsts > 1 {
		m.single = -1
	}
	for i := range m.lengths {
		sort.Sort(sort.Reverse(sort.IntSlice(m.lengths[i])))
	}
	return m
}

// find returns the first match at or behind from.
func (m *matcher) find(s string, from int) (start, end int, tok *addedToken) {
	for i := from; i < len(s); i++ {
		if m.single >= 0 {
			for i < len(s) && int(s[i]) != m.single {
				i++
			}
			if i == len(s) {
				return 0, 0, nil
			}
		}
		for _, n := range m.lengths[s[i]] {
			if i+n <= len(s) {
				if t := m.byText[s[i:i+n]]; t != nil {
					return i, i + n, t
				}
			}
		}
	}
	return 0, 0, nil
}

// split cuts s into added tokens and the text between them, never empty, and
// calls yield with each part and the byte where it starts, until it returns
// false. A nil matcher yields s itself.
func (m *matcher) split(s string, yield func(part string, tok *addedToken, start int) bool) {
	if s == "" {
		return
	}
	if m == nil {
		yield(s, nil, 0)
		return
	}
	done := 0
	for from := 0; ; {
		start, end, tok := m.find(s, from)
		if tok == nil {
			break
		}
		from = end
		if tok.SingleWord && (endsInWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if tok.LStrip {
			for start > done {
				r, n := utf8.DecodeLastRuneInString(s[:start])
				if !unicode.IsSpace(r) {
					break
				}
				start -= n
			}
			start = max(start, done)
		}
		if tok.RStrip {
			for end < len(s) {
				r, n := utf8.DecodeRuneInString(s[end:])
				if !unicode.IsSpace(r) {
					break
				}
				end += n
			}
		}
		if done < start && !yield(s[done:start], nil, done) {
			return
		}
		if !yield(s[start:end], tok, start) {
			return
		}
		done = end
	}
	if done < len(s) {
		yield(s[done:], nil, done)
	}
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of UTS 18: Alphabetic, marks, decimal digits, connectors and
// the two joiners.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
