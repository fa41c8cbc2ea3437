package postprocess

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"

	"sextant/internal/py"
)

// maxMatchTime bounds one search with a pattern that a config gave: such
// patterns can backtrack without end.
const maxMatchTime = 10 * time.Second

// pattern is a regular expression with Python's meaning.
type pattern struct{ re *regexp2.Regexp }

var patterns sync.Map // expression → *pattern or error

// compile makes a pattern, once for each expression.
func compile(expr string, opts regexp2.RegexOptions) (*pattern, error) {
	type key struct {
		expr string
		opts regexp2.RegexOptions
	}
	k := key{expr, opts}
	if v, ok := patterns.Load(k); ok {
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(*pattern), nil
	}
	re, err := regexp2.Compile(pythonic(expr), opts)
	if err != nil {
		err = py.Errorf("error", "bad pattern %q: %v", expr, err)
		patterns.Store(k, err)
		return nil, err
	}
	re.MatchTimeout = maxMatchTime
	p := &pattern{re}
	patterns.Store(k, p)
	return p, nil
}

// pythonic rewrites what the library takes differently from Python: \s has the
// separators U+001C to U+001F, and named groups and the end of text have other
// spellings.
func pythonic(expr string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case c == '\\' && i+1 < len(expr):
			i++
			switch n := expr[i]; {
			case n == 's' && class:
				b.WriteString(`\s\x1c-\x1f`)
			case n == 's':
				b.WriteString(`[\s\x1c-\x1f]`)
			case n == 'S' && !class:
				b.WriteString(`[^\s\x1c-\x1f]`)
			case n == 'Z' && !class:
				b.WriteString(`\z`)
			default:
				b.WriteByte('\\')
				b.WriteByte(n)
			}
			continue
		case c == '[' && class:
			b.WriteString(`\[`) // in Python an opening bracket in a class is itself
			continue
		case c == '[':
			class = true
			b.WriteByte(c)
			if i+1 < len(expr) && expr[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
			if i+1 < len(expr) && expr[i+1] == ']' { // first in a class it is itself
				i++
				b.WriteString(`\]`)
			}
			continue
		case c == ']' && class:
			class = false
		case c == '(' && !class && strings.HasPrefix(expr[i:], "(?P<"):
			b.WriteString("(?<")
			i += 3
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// search is the leftmost match: whole and groups[0] for group 1 and so on; ok
// is false for none. A group that took no part is "".
func (p *pattern) search(text string) (whole string, groups []string, ok bool, err error) {
	m, err := p.re.FindStringMatch(text)
	if err != nil {
		return "", nil, false, fmt.Errorf("search for %q: %w", p.re.String(), err)
	}
	if m == nil {
		return "", nil, false, nil
	}
	for _, g := range m.Groups()[1:] {
		groups = append(groups, g.String())
	}
	return m.String(), groups, true, nil
}
