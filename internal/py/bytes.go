package py

import (
	"encoding/hex"
	"strings"
)

// The methods of bytes. Most are those of str on a text with a code point for
// each byte; what is not ASCII, and what str alone takes for space, has code
// points for private use there, which are neither letters nor space.

const private = 0xe000

// byteText is b as such a text. \v and \f end lines in str alone: line is
// true where that matters.
func byteText(b Bytes, line bool) string {
	var t strings.Builder
	t.Grow(len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c >= 0x80 || c >= 0x1c && c <= 0x1f || line && (c == '\v' || c == '\f') {
			t.WriteRune(private + rune(c))
		} else {
			t.WriteByte(c)
		}
	}
	return t.String()
}

// bytesOf is the way back.
func bytesOf(t string) Bytes {
	out := make([]byte, 0, len(t))
	for _, r := range t {
		out = append(out, byte(r)) // private is a multiple of 256
	}
	return Bytes(out)
}

// likeText is a method of bytes that the one of str of the same name does;
// which of its arguments are bytes arg says: it turns them into text.
func likeText(name string, arg func(i int, v Value) (Value, error)) method[Bytes] {
	line := name == "splitlines"
	return method[Bytes]{raw: func(b Bytes, args []Value, kw *Dict) (Value, error) {
		f, _ := Method(byteText(b, line), name)
		conv := make([]Value, len(args))
		for i, v := range args {
			var err error
			if conv[i], err = arg(i, v); err != nil {
				return nil, err
			}
		}
		if sep, ok := kw.Lookup("sep"); ok {
			t, err := arg(0, sep)
			if err != nil {
				return nil, err
			}
			kw = kw.Copy()
			kw.Set("sep", t)
		}
		v, err := f(conv, kw)
		if e, ok := err.(*Exception); ok {
			return nil, Errorf(e.Class, "%s", strings.Replace(strings.Replace(e.Msg, "str.", "bytes.", 1), "substring not found", "subsection not found", 1))
		}
		return fromText(v), err
	}}
}

// fromText turns text in a result into bytes.
func fromText(v Value) Value {
	switch x := v.(type) {
	case string:
		return bytesOf(x)
	case *List:
		for i := range x.Items {
			x.Items[i] = fromText(x.Items[i])
		}
	case *Tuple:
		for i := range x.Items {
			x.Items[i] = fromText(x.Items[i])
		}
	}
	return v
}

// The kinds of arguments.

func asIs(_ int, v Value) (Value, error) { return v, nil }

// firstBytes is for n leading arguments that are bytes.
func firstBytes(n int) func(int, Value) (Value, error) {
	return func(i int, v Value) (Value, error) {
		if i >= n {
			return v, nil
		}
		b, ok := v.(Bytes)
		if !ok {
			return nil, typeErr("a bytes-like object is required, not '%s'", TypeName(v))
		}
		return byteText(b, false), nil
	}
}

// orNone is for a first argument that may be None.
func orNone(i int, v Value) (Value, error) {
	if v == nil {
		return nil, nil
	}
	return firstBytes(1)(i, v)
}

// sought is for bytes or one byte to look for.
func sought(i int, v Value) (Value, error) {
	if i > 0 {
		return v, nil
	}
	if b, ok := v.(Bytes); ok {
		return byteText(b, false), nil
	}
	if !isInt(v) {
		return nil, typeErr("argument should be integer or bytes-like object, not '%s'", TypeName(v))
	}
	n, ok := small(v)
	if !ok || n < 0 || n > 255 {
		return nil, valueErr("byte must be in range(0, 256)")
	}
	return byteText(Bytes([]byte{byte(n)}), false), nil
}

// affixes is for bytes or a tuple of them.
func affixes(name string) func(int, Value) (Value, error) {
	return func(i int, v Value) (Value, error) {
		if i > 0 {
			return v, nil
		}
		switch x := v.(type) {
		case Bytes:
			return byteText(x, false), nil
		case *Tuple:
			t := &Tuple{Items: make([]Value, len(x.Items))}
			for i, it := range x.Items {
				var err error
				if t.Items[i], err = firstBytes(1)(0, it); err != nil {
					return nil, err
				}
			}
			return t, nil
		}
		return nil, typeErr("%s first arg must be bytes or a tuple of bytes, not %s", name, TypeName(v))
	}
}

// filled is for a width and one byte to fill with.
func filled(name string) func(int, Value) (Value, error) {
	return func(i int, v Value) (Value, error) {
		if i != 1 {
			return v, nil
		}
		b, ok := v.(Bytes)
		if !ok || len(b) != 1 {
			return nil, typeErr("%s() argument 2 must be a byte string of length 1, not %s", name, argType(v))
		}
		return byteText(b, false), nil
	}
}

// joined is for what join joins.
func joined(_ int, v Value) (Value, error) {
	if _, ok := v.(string); ok {
		return nil, typeErr("sequence item 0: expected a bytes-like object, str found")
	}
	items, err := ToList(v)
	if err != nil {
		return nil, typeErr("can only join an iterable")
	}
	l := &List{Items: make([]Value, len(items))}
	for i, it := range items {
		b, ok := it.(Bytes)
		if !ok {
			return nil, typeErr("sequence item %d: expected a bytes-like object, %s found", i, TypeName(it))
		}
		l.Items[i] = byteText(b, false)
	}
	return l, nil
}

var bytesMethods = map[string]method[Bytes]{
	"decode": {max: 2, names: "encoding errors", fn: func(b Bytes, a []Value, _ int) (Value, error) {
		return decode(string(b), optStr(a[0], "utf-8"), optStr(a[1], "strict"))
	}},
	"hex": {fn: func(b Bytes, _ []Value, _ int) (Value, error) { return hex.EncodeToString([]byte(b)), nil }},
	"isascii": {fn: func(b Bytes, _ []Value, _ int) (Value, error) {
		return strings.IndexFunc(string(b), func(r rune) bool { return r >= 0x80 }) < 0, nil
	}},
}

func init() {
	for _, name := range strings.Fields("capitalize lower swapcase title upper isalnum isalpha isdigit islower isspace istitle isupper splitlines expandtabs zfill") {
		bytesMethods[name] = likeText(name, asIs)
	}
	for _, name := range strings.Fields("find rfind index rindex count") {
		bytesMethods[name] = likeText(name, sought)
	}
	for _, name := range strings.Fields("split rsplit strip lstrip rstrip") {
		bytesMethods[name] = likeText(name, orNone)
	}
	for _, name := range strings.Fields("partition rpartition removeprefix removesuffix") {
		bytesMethods[name] = likeText(name, firstBytes(1))
	}
	for _, name := range strings.Fields("startswith endswith") {
		bytesMethods[name] = likeText(name, affixes(name))
	}
	for _, name := range strings.Fields("center ljust rjust") {
		bytesMethods[name] = likeText(name, filled(name))
	}
	bytesMethods["replace"] = likeText("replace", firstBytes(2))
	bytesMethods["join"] = likeText("join", joined)
}
