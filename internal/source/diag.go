package source

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Diagnostic is one mistake of the user's, with the place where it was made.
// It is an error; Set.Render turns it into the text with line and caret.
type Diagnostic struct {
	Pos   Pos
	End   Pos    // first byte behind the marked text; 0 marks the word or literal at Pos
	Msg   string // lower case, no full stop
	Hint  string // what to do, or ""
	Notes []Note // further places that explain the mistake, such as a chain of calls
	Err   error  // the cause, if there is one
}

// Note is a place that belongs to a Diagnostic; Pos may be 0.
type Note struct {
	Pos Pos
	Msg string
}

func (d *Diagnostic) Error() string { return d.Msg }
func (d *Diagnostic) Unwrap() error { return d.Err }

// Errorf makes a Diagnostic at pos.
func Errorf(pos Pos, format string, args ...any) *Diagnostic {
	return &Diagnostic{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// At makes a Diagnostic at pos of an error that has no position; a Hint()
// method of the error's gives the hint.
func At(pos Pos, err error) *Diagnostic {
	d := &Diagnostic{Pos: pos, Msg: err.Error(), Err: err}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		d.Hint = h.Hint()
	}
	return d
}

// WithHint returns a copy of d with the hint set.
func (d *Diagnostic) WithHint(format string, args ...any) *Diagnostic {
	c := *d
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// List is several Diagnostics found in one go.
type List []*Diagnostic

func (l List) Error() string {
	s := make([]string, len(l))
	for i, d := range l {
		s[i] = d.Msg
	}
	return strings.Join(s, "; ")
}

// Diagnostics collects every Diagnostic in the tree of err, in order.
func Diagnostics(err error) []*Diagnostic {
	switch e := err.(type) {
	case nil:
		return nil
	case *Diagnostic:
		return []*Diagnostic{e}
	case List:
		return e
	case interface{ Unwrap() []error }:
		var out []*Diagnostic
		for _, x := range e.Unwrap() {
			out = append(out, Diagnostics(x)...)
		}
		return out
	}
	return Diagnostics(errors.Unwrap(err))
}

// Render writes one diagnostic as
//
//	eval.py:14:25: unknown evaluator "AccEvaluatr"
//	    evaluator=dict(type=AccEvaluatr),
//	                        ^^^^^^^^^^^
//	  imported at eval_all.py:3:1
//	  hint: did you mean "AccEvaluator"?
//
// ending in a newline. A diagnostic without a position is its message and hint.
func (s *Set) Render(d *Diagnostic) string {
	var b strings.Builder
	p, ok := s.Position(d.Pos)
	if ok {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File.Name, p.Line, p.Col)
	}
	b.WriteString(d.Msg)
	b.WriteByte('\n')
	if ok {
		s.excerpt(&b, p, d.End)
		n := 0
		for f := p.File; f.ImportedAt != 0; n++ {
			q, ok := s.Position(f.ImportedAt)
			if !ok {
				break
			}
			if n == maxChain {
				b.WriteString("  …\n")
				break
			}
			fmt.Fprintf(&b, "  imported at %s:%d:%d\n", q.File.Name, q.Line, q.Col)
			f = q.File
		}
	}
	for _, n := range d.Notes {
		if q, ok := s.Position(n.Pos); ok {
			fmt.Fprintf(&b, "  %s at %s:%d:%d\n", n.Msg, q.File.Name, q.Line, q.Col)
		} else {
			fmt.Fprintf(&b, "  %s\n", n.Msg)
		}
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "  hint: %s\n", d.Hint)
	}
	return b.String()
}

// maxChain is how many imports a message lists.
const maxChain = 12

// maxExcerpt bounds the columns of a source line that an excerpt shows, so
// that one endless line does not fill the screen.
const maxExcerpt = 160

func (s *Set) excerpt(b *strings.Builder, p Position, end Pos) {
	line := []rune(p.File.Line(p.Line))
	col := p.Col - 1
	n := wordLen(line, col)
	if end > d0(p) {
		if q, ok := s.Position(end); ok && q.File == p.File {
			if q.Line == p.Line {
				n = max(1, q.Col-p.Col)
			} else {
				n = max(1, len(line)-col)
			}
		}
	}
	// trim common indentation, and cut a very long line around the mark
	from := 0
	for from < len(line) && from < col && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	if col-from > maxExcerpt*3/4 {
		from = col - maxExcerpt/2
	}
	to := min(len(line), from+maxExcerpt)
	b.WriteString("    ")
	b.WriteString(strings.ReplaceAll(string(line[min(from, to):to]), "\t", " "))
	b.WriteString("\n    ")
	for i := from; i < col; i++ {
		b.WriteByte(' ')
		if i < len(line) && isWide(line[i]) {
			b.WriteByte(' ')
		}
	}
	b.WriteString(strings.Repeat("^", min(n, max(1, to-col))))
	b.WriteByte('\n')
}

func d0(p Position) Pos { return p.File.base + Pos(p.Offset) }

// isWide reports characters that terminals draw two columns wide (the East
// Asian ranges that occur in configs; UAX #11 has the full table).
func isWide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0x1f300 && r <= 0x1faff)
}

// wordLen is how many characters the mark at col covers: a name with dots, a
// number with its sign, a text with its prefix, or a bracket to the one that
// closes it on the same line; 1 for anything else.
func wordLen(line []rune, col int) int {
	if col >= len(line) {
		return 1
	}
	i := col
	if c := line[i]; (c == '-' || c == '+') && i+1 < len(line) && (unicode.IsDigit(line[i+1]) || line[i+1] == '.') {
		i++
	}
	word := func(from int) int {
		i := from
		for i < len(line) {
			r := line[i]
			exp := (r == '-' || r == '+') && unicode.IsDigit(line[from]) && (line[i-1] == 'e' || line[i-1] == 'E')
			if r != '_' && r != '.' && !exp && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			i++
		}
		return i
	}
	end := word(i)
	if end < len(line) && end-i <= 2 && (line[end] == '\'' || line[end] == '"') && strings.Trim(strings.ToLower(string(line[i:end])), "rbfu") == "" {
		end = textEnd(line, end)
	} else if end == i {
		end = bracketEnd(line, i)
	}
	return max(1, end-col)
}

// textEnd is the end of the quoted text that begins at i, or i+1 when it does
// not end on this line.
func textEnd(line []rune, i int) int {
	q := line[i]
	n := 1
	if i+2 < len(line) && line[i+1] == q && line[i+2] == q {
		n = 3
	}
	for j := i + n; j < len(line); j++ {
		if line[j] == '\\' {
			j++
		} else if line[j] == q && (n == 1 || j+2 < len(line) && line[j+1] == q && line[j+2] == q) {
			return j + n
		}
	}
	if n == 3 {
		return len(line)
	}
	return i + 1
}

// bracketEnd is the end of the bracketed text that begins at i, or i+1 where i
// is no bracket or it is closed on another line.
func bracketEnd(line []rune, i int) int {
	depth := 0
	for j := i; j < len(line); j++ {
		switch line[j] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '\'', '"':
			j = textEnd(line, j) - 1
		}
		if depth <= 0 {
			return j + 1
		}
	}
	return i + 1
}
