package py

import (
	"io"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// JSONOptions are the arguments of json.dumps. The zero value is json.dumps's
// own default except that EnsureASCII must be asked for.
type JSONOptions struct {
	Indent      int    // spaces per level; 0 or less: one line (indent=None)
	SortKeys    bool   // before keys become text: ints sort as numbers
	EnsureASCII bool   // json.dumps has True
	ItemSep     string // "" is ", ", or "," with Indent
	KeySep      string // "" is ": "
	// Default converts what JSON does not know, as json.dumps(default=).
	Default func(Value) (Value, error)
}

// DumpJSON is json.dumps(v). Unlike json.dumps it writes lone surrogates as
// escapes also without EnsureASCII, so that the text is always valid UTF-8.
func DumpJSON(v Value, o JSONOptions) ([]byte, error) { return AppendJSON(nil, v, o) }

// AppendJSON appends DumpJSON's text to dst.
func AppendJSON(dst []byte, v Value, o JSONOptions) ([]byte, error) {
	e := newEncoder(dst, nil, o)
	err := e.value(v)
	return e.b, err
}

// WriteJSON writes DumpJSON's text to w in pieces, never holding the whole.
// What was written before an error stays written.
func WriteJSON(w io.Writer, v Value, o JSONOptions) error {
	e := newEncoder(make([]byte, 0, flushAt+4096), w, o)
	if err := e.value(v); err != nil {
		return err
	}
	_, err := w.Write(e.b)
	return err
}

const flushAt = 64 << 10

type encoder struct {
	JSONOptions
	b     []byte
	w     io.Writer // nil: everything stays in b
	stack []any     // containers being written, against cycles
	line  []byte    // "\n" and the deepest indentation so far

	converted int // results of Default being written
}

func newEncoder(b []byte, w io.Writer, o JSONOptions) *encoder {
	if o.ItemSep == "" {
		o.ItemSep = ", "
		if o.Indent > 0 {
			o.ItemSep = ","
		}
	}
	if o.KeySep == "" {
		o.KeySep = ": "
	}
	return &encoder{JSONOptions: o, b: b, w: w, line: []byte{'\n'}}
}

func (e *encoder) newline() {
	if e.Indent <= 0 {
		return
	}
	n := 1 + e.Indent*len(e.stack)
	for len(e.line) < n {
		e.line = append(e.line, ' ')
	}
	e.b = append(e.b, e.line[:n]...)
}

func (e *encoder) enter(v any) error {
	for _, s := range e.stack {
		if s == v {
			return valueErr("Circular reference detected")
		}
	}
	if len(e.stack) >= maxNesting {
		return recursionErr(" while encoding a JSON object")
	}
	e.stack = append(e.stack, v)
	return nil
}

func (e *encoder) value(v Value) error {
	if e.w != nil && len(e.b) >= flushAt {
		if _, err := e.w.Write(e.b); err != nil {
			return err
		}
		e.b = e.b[:0]
	}
	switch x := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
	case bool:
		e.b = strconv.AppendBool(e.b, x)
	case int:
		e.b = strconv.AppendInt(e.b, int64(x), 10)
	case float64:
		e.b = appendJSONFloat(e.b, x)
	case string:
		e.b = appendJSONString(e.b, x, e.EnsureASCII)
	case *big.Int:
		s, err := intText(x)
		if err != nil {
			return err
		}
		e.b = append(e.b, s...)
	case *List:
		return e.list(x, x.Items)
	case *Tuple:
		return e.list(x, x.Items)
	case *Dict:
		return e.dict(x)
	case *Stream:
		return e.stream(x)
	default:
		if e.Default == nil {
			return typeErr("Object of type %s is not JSON serializable", TypeName(v))
		}
		w, err := e.Default(v)
		if err != nil {
			return err
		}
		if e.converted++; e.converted > maxNesting {
			return recursionErr(" while encoding a JSON object")
		}
		err = e.value(w)
		e.converted--
		return err
	}
	return nil
}

func (e *encoder) list(box any, items []Value) error {
	if len(items) == 0 {
		e.b = append(e.b, '[', ']')
		return nil
	}
	if err := e.enter(box); err != nil {
		return err
	}
	e.b = append(e.b, '[')
	for i, it := range items {
		if i > 0 {
			e.b = append(e.b, e.ItemSep...)
		}
		e.newline()
		if err := e.value(it); err != nil {
			return err
		}
	}
	e.stack = e.stack[:len(e.stack)-1]
	e.newline()
	e.b = append(e.b, ']')
	return nil
}

func (e *encoder) dict(d *Dict) error {
	es := d.Entries()
	if len(es) == 0 {
		e.b = append(e.b, '{', '}')
		return nil
	}
	if err := e.enter(d); err != nil {
		return err
	}
	if e.SortKeys {
		perm, err := SortPerm(d.Keys(), false)
		if err != nil {
			return err
		}
		sorted := make([]Entry, len(es))
		for i, j := range perm {
			sorted[i] = es[j]
		}
		es = sorted
	}
	e.b = append(e.b, '{')
	for i := range es {
		if i > 0 {
			e.b = append(e.b, e.ItemSep...)
		}
		e.newline()
		if err := e.key(es[i].Key); err != nil {
			return err
		}
		e.b = append(e.b, e.KeySep...)
		if err := e.value(es[i].Val); err != nil {
			return err
		}
	}
	e.stack = e.stack[:len(e.stack)-1]
	e.newline()
	e.b = append(e.b, '}')
	return nil
}

func (e *encoder) key(k Value) error {
	switch x := k.(type) {
	case string:
		e.b = appendJSONString(e.b, x, e.EnsureASCII)
		return nil
	case nil, bool, int, float64, *big.Int:
		e.b = append(e.b, '"')
		err := e.value(k)
		e.b = append(e.b, '"')
		return err
	}
	return typeErr("keys must be str, int, float, bool or None, not %s", TypeName(k))
}

func appendJSONFloat(b []byte, f float64) []byte {
	switch {
	case f-f == 0:
		return appendFloat(b, f)
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case f > 0:
		return append(b, "Infinity"...)
	}
	return append(b, "-Infinity"...)
}

const hexDigits = "0123456789abcdef"

func appendU(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// jsonPlain marks ASCII bytes that go into a JSON string as they are.
var jsonPlain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func appendJSONString(b []byte, s string, ascii bool) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if jsonPlain[c] && (c != 0x7f || !ascii) {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= utf8.RuneSelf {
			r, n = decodeRune(s[i:])
			if !ascii && !isSurrogate(r) && !(r == utf8.RuneError && n == 1) {
				i += n
				continue
			}
		}
		b = append(b, s[start:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\f':
			b = append(b, '\\', 'f')
		case r > 0xffff:
			r -= 0x10000
			b = appendU(appendU(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
		case r == utf8.RuneError && !ascii:
			b = utf8.AppendRune(b, r)
		default:
			b = appendU(b, r)
		}
		i += n
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
