package pyre

import (
	"fmt"
	"strings"
)

// piece is literal text or, with group ≥ 0, a group of the match.
type piece struct {
	text  string
	group int
}

// template parses the replacement text of Sub and Expand.
func (p *Pattern) template(repl string) ([]piece, error) {
	if strings.IndexByte(repl, '\\') < 0 {
		return []piece{{repl, -1}}, nil
	}
	var out []piece
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, piece{lit.String(), -1})
			lit.Reset()
		}
	}
	rs := []rune(repl)
	fail := func(at int, format string, args ...any) ([]piece, error) {
		return nil, &Error{Msg: fmt.Sprintf(format, args...), Pattern: repl, Pos: at}
	}
	group := func(n, at int) error {
		if n > p.groups {
			return &Error{Msg: fmt.Sprintf("invalid group reference %d", n), Pattern: repl, Pos: at}
		}
		flush()
		out = append(out, piece{"", n})
		return nil
	}
	octal := func(r rune) bool { return r >= '0' && r <= '7' }
	at := func(i int) rune {
		if i < len(rs) {
			return rs[i]
		}
		return -1
	}
	for i := 0; i < len(rs); {
		if rs[i] != '\\' {
			lit.WriteRune(rs[i])
			i++
			continue
		}
		start := i
		i++
		c := at(i)
		i++
		switch {
		case c == -1:
			return fail(start, "bad escape (end of pattern)")
		case c == 'g':
			if at(i) != '<' {
				return fail(i, "missing <")
			}
			j := i + 1
			for at(j) != '>' && at(j) != -1 {
				j++
			}
			name := string(rs[i+1 : j])
			if name == "" {
				return fail(i+1, "missing group name")
			}
			if at(j) == -1 {
				return fail(i+1, "missing >, unterminated name")
			}
			n, ok := p.names[name]
			if !ok {
				for _, d := range name {
					if d < '0' || d > '9' {
						if isName(name) {
							return nil, &UnknownGroupError{name}
						}
						return fail(i+1, "bad character in group name '%s'", name)
					}
					n = min(n*10+int(d-'0'), maxGroups+1)
				}
			}
			if err := group(n, i+1); err != nil {
				return nil, err
			}
			i = j + 1
		case c == '0':
			v := 0
			for k := 0; k < 2 && octal(at(i)); k++ {
				v = v<<3 | int(at(i)-'0')
				i++
			}
			lit.WriteRune(rune(v))
		case c >= '1' && c <= '9':
			n := int(c - '0')
			if d := at(i); d >= '0' && d <= '9' {
				i++
				if octal(c) && octal(d) && octal(at(i)) {
					v := n<<6 | int(d-'0')<<3 | int(at(i)-'0')
					i++
					if v > 0o377 {
						return fail(start, "octal escape value %s outside of range 0-0o377", string(rs[start:i]))
					}
					lit.WriteRune(rune(v))
					break
				}
				n = n*10 + int(d-'0')
			}
			if err := group(n, start+1); err != nil {
				return nil, err
			}
		default:
			k := strings.IndexRune(`abfnrtv\`, c)
			if k >= 0 {
				lit.WriteByte("\a\b\f\n\r\t\v\\"[k])
				break
			}
			if c < 128 && (c|0x20 >= 'a' && c|0x20 <= 'z') {
				return fail(start, `bad escape \%c`, c)
			}
			lit.WriteRune('\\')
			lit.WriteRune(c)
		}
	}
	flush()
	return out, nil
}

// UnknownGroupError is a template naming a group the pattern lacks (Python's
// IndexError).
type UnknownGroupError struct{ Name string }

func (e *UnknownGroupError) Error() string { return "unknown group name '" + e.Name + "'" }

// Sub is re.sub(repl, s, count): repl is a template with \1, \g<name> and
// character escapes; count 0 replaces all.
func (p *Pattern) Sub(repl, s string, count int) (string, error) {
	t, err := p.template(repl)
	if err != nil {
		return "", err
	}
	return p.replace(s, count, func(b *strings.Builder, slots []int) {
		for _, x := range t {
			if x.group < 0 {
				b.WriteString(x.text)
			} else {
				b.WriteString(part(s, slots, x.group))
			}
		}
	}), nil
}

// SubFunc is re.sub with a function for the replacement.
func (p *Pattern) SubFunc(s string, count int, f func(*Match) string) string {
	return p.replace(s, count, func(b *strings.Builder, slots []int) {
		b.WriteString(f(&Match{p: p, s: s, slots: append([]int(nil), slots...)}))
	})
}

// SubText replaces every match by text as it stands, without escapes.
func (p *Pattern) SubText(text, s string) string {
	return p.replace(s, 0, func(b *strings.Builder, _ []int) { b.WriteString(text) })
}

func (p *Pattern) replace(s string, count int, f func(*strings.Builder, []int)) string {
	var b strings.Builder
	last, n := 0, 0
	p.each(s, func(slots []int) bool {
		b.WriteString(s[last:slots[0]])
		f(&b, slots)
		last = slots[1]
		n++
		return count <= 0 || n < count
	})
	if n == 0 {
		return s
	}
	b.WriteString(s[last:])
	return b.String()
}

// CheckTemplate is the mistake in a replacement template, which re.sub reports
// though nothing matches.
func (p *Pattern) CheckTemplate(template string) error {
	_, err := p.template(template)
	return err
}

// Expand is m.expand(template).
func (m *Match) Expand(template string) (string, error) {
	t, err := m.p.template(template)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, x := range t {
		if x.group < 0 {
			b.WriteString(x.text)
		} else {
			b.WriteString(m.Group(x.group))
		}
	}
	return b.String(), nil
}

// Escape is re.escape(s).
func Escape(s string) string {
	const special = "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
