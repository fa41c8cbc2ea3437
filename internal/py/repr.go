package py

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"sextant/internal/py/unitab"
)

// FormatFloat is repr(f): the shortest text that reads back as f.
func FormatFloat(f float64) string { return string(appendFloat(nil, f)) }

func appendFloat(b []byte, f float64) []byte {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case a == 0 || a >= 1e-4 && a < 1e16:
		n := len(b)
		b = strconv.AppendFloat(b, f, 'f', -1, 64)
		for _, c := range b[n:] {
			if c == '.' {
				return b
			}
		}
		return append(b, '.', '0')
	}
	return strconv.AppendFloat(b, f, 'e', -1, 64)
}

// Repr is repr(v). A result beyond MaxResultBytes is cut there, and an int
// beyond Python's limit of digits is named instead; TryRepr reports both.
func Repr(v Value) string {
	w := writer{}
	w.repr(v)
	return string(w.b)
}

// TryRepr is repr(v) with its errors.
func TryRepr(v Value) (string, error) {
	w := writer{}
	w.repr(v)
	return string(w.b), w.err
}

// Str is str(v), with Repr's limits.
func Str(v Value) string {
	s, _ := TryStr(v) // the text is usable either way
	return s
}

// TryStr is str(v) with its errors.
func TryStr(v Value) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case Stringer:
		return x.PyStr(), nil
	}
	return TryRepr(v)
}

// ASCII is ascii(v).
func ASCII(v Value) string { return escapeNonASCII(Repr(v)) }

func escapeNonASCII(s string) string {
	if isASCII(s) {
		return s
	}
	var b []byte
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		b = appendEscaped(b, r, r < 128)
		i += n
	}
	return string(b)
}

func appendEscaped(b []byte, r rune, plain bool) []byte {
	switch {
	case plain:
		return appendRune(b, r)
	case r < 0x100:
		return fmt.Appendf(b, `\x%02x`, r)
	case r < 0x10000:
		return fmt.Appendf(b, `\u%04x`, r)
	}
	return fmt.Appendf(b, `\U%08x`, r)
}

// writer builds a repr; it stops at the first error.
type writer struct {
	b     []byte
	err   error
	stack []any // the containers being written, against cycles
}

const maxNesting = 1000 // about where CPython's recursion limit stands

func recursionErr(what string) error {
	return Errorf("RecursionError", "maximum recursion depth exceeded%s", what)
}

func (w *writer) enter(v any, cycle string) bool {
	for _, s := range w.stack {
		if s == v {
			w.b = append(w.b, cycle...)
			return false
		}
	}
	if len(w.stack) > maxNesting {
		w.err = recursionErr(" while getting the repr of an object")
		w.b = append(w.b, "..."...)
		return false
	}
	w.stack = append(w.stack, v)
	return true
}

func (w *writer) leave() { w.stack = w.stack[:len(w.stack)-1] }

func (w *writer) full() bool {
	if w.err == nil && len(w.b) > MaxResultBytes {
		w.err = checkBytes(len(w.b))
	}
	return w.err != nil
}

func (w *writer) repr(v Value) {
	if w.full() {
		return
	}
	switch x := v.(type) {
	case nil:
		w.b = append(w.b, "None"...)
	case bool:
		if x {
			w.b = append(w.b, "True"...)
		} else {
			w.b = append(w.b, "False"...)
		}
	case int:
		w.b = strconv.AppendInt(w.b, int64(x), 10)
	case *big.Int:
		s, err := intText(x)
		if err != nil {
			w.err = err
			s = fmt.Sprintf("<int of %d bits>", x.BitLen())
		}
		w.b = append(w.b, s...)
	case float64:
		w.b = appendFloat(w.b, x)
	case string:
		w.b = appendStrRepr(w.b, x)
	case Bytes:
		w.b = appendBytesRepr(w.b, string(x))
	case *List:
		if w.enter(x, "[...]") {
			w.b = append(w.b, '[')
			w.items(x.Items)
			w.b = append(w.b, ']')
			w.leave()
		}
	case *Tuple:
		if w.enter(x, "(...)") {
			w.b = append(w.b, '(')
			w.items(x.Items)
			if len(x.Items) == 1 {
				w.b = append(w.b, ',')
			}
			w.b = append(w.b, ')')
			w.leave()
		}
	case *Dict:
		if w.enter(x, "{...}") {
			w.b = append(w.b, '{')
			for i, e := range x.Entries() {
				if i > 0 {
					w.b = append(w.b, ", "...)
				}
				w.repr(e.Key)
				w.b = append(w.b, ": "...)
				w.repr(e.Val)
				if w.err != nil {
					break
				}
			}
			w.b = append(w.b, '}')
			w.leave()
		}
	case *Set:
		w.set(x)
	case Nest:
		before, items, after, again := x.PyReprParts()
		var id any = x
		if again == "" {
			id = new(byte) // counts as a level
		}
		if w.enter(id, again) {
			w.b = append(w.b, before...)
			w.items(items)
			w.b = append(w.b, after...)
			w.leave()
		}
	case Object:
		w.b = append(w.b, x.PyRepr()...)
	default:
		w.b = fmt.Appendf(w.b, "<%T object>", v)
	}
}

func (w *writer) set(x *Set) {
	name := TypeName(x)
	if x.Len() == 0 {
		w.b = append(w.b, name+"()"...)
		return
	}
	if !w.enter(x, name+"(...)") {
		return
	}
	if x.Frozen {
		w.b = append(w.b, "frozenset("...)
	}
	w.b = append(w.b, '{')
	w.items(x.Items())
	w.b = append(w.b, '}')
	if x.Frozen {
		w.b = append(w.b, ')')
	}
	w.leave()
}

func (w *writer) items(vs []Value) {
	for i, v := range vs {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		w.repr(v)
		if w.err != nil {
			return
		}
	}
}

func quoteFor(s string) byte {
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		return '"'
	}
	return '\''
}

func appendStrRepr(b []byte, s string) []byte {
	q := quoteFor(s)
	b = append(b, q)
	start := 0 // of what goes verbatim
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != q && c != '\\' {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= 0x80 {
			r, n = decodeRune(s[i:])
			if unitab.Is(r, unitab.Printable) {
				i += n
				continue
			}
		}
		b = append(b, s[start:i]...)
		switch {
		case r == rune(q) || r == '\\':
			b = append(b, '\\', c)
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\r':
			b = append(b, '\\', 'r')
		default:
			b = appendEscaped(b, r, false)
		}
		i += n
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, q)
}

func appendBytesRepr(b []byte, s string) []byte {
	q := quoteFor(s)
	b = append(b, 'b', q)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == q || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < 0x20 || c >= 0x7f:
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, q)
}
