package py

import (
	"math"
	"strings"
)

// formatter is one str.format call.
type formatter struct {
	args []Value
	kw   *Dict
	auto int // next automatic number; -1 once fields are numbered by hand
}

// StrFormat is s.format(*args, **kw).
func StrFormat(s string, args []Value, kw *Dict) (string, error) {
	f := &formatter{args: args, kw: kw}
	return f.build(s, 2)
}

func (f *formatter) build(s string, depth int) (string, error) {
	if depth <= 0 {
		return "", valueErr("Max string recursion exceeded")
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		c := s[i]
		s = s[i+1:]
		if c == '}' && (s == "" || s[0] != '}') {
			return "", valueErr("Single '}' encountered in format string")
		}
		if s == "" {
			return "", valueErr("Single '{' encountered in format string")
		}
		if s[0] == c {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		fld, n, err := parseField(s)
		if err != nil {
			return "", err
		}
		s = s[n:]
		text, err := f.render(fld, depth)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		if err := checkBytes(b.Len()); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

type field struct {
	name, spec string
	conv       rune
	nested     bool // spec has fields of its own
}

// parseField reads a replacement field behind its { and returns its length
// with the } that ends it.
func parseField(s string) (fld field, n int, err error) {
	i := 0
	var c byte
scan:
	for i < len(s) {
		c = s[i]
		i++
		switch c {
		case '{':
			return fld, 0, valueErr("unexpected '{' in field name")
		case '[':
			for i < len(s) && s[i] != ']' {
				i++
			}
		case '}', ':', '!':
			break scan
		}
	}
	if c != '}' && c != ':' && c != '!' || i == 0 {
		return fld, 0, valueErr("expected '}' before end of string")
	}
	fld.name = s[:i-1]
	if c == '}' {
		return fld, i, nil
	}
	if c == '!' {
		if i >= len(s) {
			return fld, 0, valueErr("end of string while looking for conversion specifier")
		}
		r, w := decodeRune(s[i:])
		fld.conv = r
		i += w
		if i < len(s) {
			c = s[i]
			i++
			if c == '}' {
				return fld, i, nil
			}
			if c != ':' {
				return fld, 0, valueErr("expected ':' after conversion specifier")
			}
		}
	}
	start, depth := i, 1
	for i < len(s) {
		c = s[i]
		i++
		switch c {
		case '{':
			fld.nested = true
			depth++
		case '}':
			if depth--; depth == 0 {
				fld.spec = s[start : i-1]
				return fld, i, nil
			}
		}
	}
	return fld, 0, valueErr("unmatched '{' in format spec")
}

func (f *formatter) render(fld field, depth int) (string, error) {
	v, err := f.lookup(fld.name)
	if err != nil {
		return "", err
	}
	switch fld.conv {
	case 0:
	case 's':
		v, err = anyStr(TryStr(v))
	case 'r':
		v, err = anyStr(TryRepr(v))
	case 'a':
		var s string
		s, err = TryRepr(v)
		v = escapeNonASCII(s)
	default:
		if fld.conv > 32 && fld.conv < 127 {
			return "", valueErr("Unknown conversion specifier %c", fld.conv)
		}
		return "", valueErr(`Unknown conversion specifier \x%x`, fld.conv)
	}
	if err != nil {
		return "", err
	}
	sp := fld.spec
	if fld.nested {
		if sp, err = f.build(sp, depth-1); err != nil {
			return "", err
		}
	}
	return Format(v, sp)
}

// decimalIndex is s as a number when it is all digits.
func decimalIndex(s string) (n int, ok bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	for _, r := range s {
		if !IsDecimal(r) {
			return 0, false, nil
		}
	}
	v, err := ParseInt(s, 10)
	n, ok = v.(int)
	if err != nil || !ok || n > math.MaxInt/10 {
		return 0, false, valueErr("Too many decimal digits in format string")
	}
	return n, true, nil
}

func (f *formatter) lookup(name string) (Value, error) {
	rest := ""
	if i := strings.IndexAny(name, ".["); i >= 0 {
		name, rest = name[:i], name[i:]
	}
	n, ok, err := decimalIndex(name)
	if err != nil {
		return nil, err
	}
	switch {
	case name == "":
		if f.auto < 0 {
			return nil, valueErr("cannot switch from manual field specification to automatic field numbering")
		}
		n, ok = f.auto, true
		f.auto++
	case ok:
		if f.auto > 0 {
			return nil, valueErr("cannot switch from automatic field numbering to manual field specification")
		}
		f.auto = -1
	}
	var v Value
	if ok {
		if n >= len(f.args) {
			return nil, Errorf("IndexError", "Replacement index %d out of range for positional args tuple", n)
		}
		v = f.args[n]
	} else {
		var found bool
		if v, found = f.kw.Lookup(name); !found {
			return nil, keyErr(name)
		}
	}
	for rest != "" {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '.':
			i := strings.IndexAny(rest, ".[")
			if i < 0 {
				i = len(rest)
			}
			if i == 0 {
				return nil, valueErr("Empty attribute in format string")
			}
			if v, err = Attr(v, rest[:i]); err != nil {
				return nil, err
			}
			rest = rest[i:]
		case '[':
			i := strings.IndexByte(rest, ']')
			if i < 0 {
				return nil, valueErr("Missing ']' in format string")
			}
			if i == 0 {
				return nil, valueErr("Empty attribute in format string")
			}
			var key Value = rest[:i]
			if n, ok, err := decimalIndex(rest[:i]); err != nil {
				return nil, err
			} else if ok {
				key = n
			}
			if v, err = GetItem(v, key); err != nil {
				return nil, err
			}
			rest = rest[i+1:]
		default:
			return nil, valueErr("Only '.' or '[' may follow ']' in format field specifier")
		}
	}
	return v, nil
}
