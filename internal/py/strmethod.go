package py

import (
	"strings"
	"unicode/utf8"

	"sextant/internal/py/unitab"
)

type strMethod = method[string]

func plain(f func(string) string) strMethod {
	return strMethod{fn: func(s string, _ []Value, _ int) (Value, error) { return f(s), nil }}
}

// allOf is a predicate that holds for no empty string.
func allOf(p func(rune) bool) strMethod {
	return strMethod{fn: func(s string, _ []Value, _ int) (Value, error) {
		return s != "" && leftWhile(s, p) == len(s), nil
	}}
}

func stripper(name string, space func(string) string, chars func(s, c string) string) strMethod {
	return strMethod{max: 1, fn: func(s string, a []Value, _ int) (Value, error) {
		if a[0] == nil {
			return space(s), nil
		}
		c, ok := a[0].(string)
		if !ok {
			return nil, typeErr("%s arg must be None or str", name)
		}
		return chars(s, c), nil
	}}
}

func splitter(f func(s, sep string, n int) []string) strMethod {
	return strMethod{max: 2, names: "sep maxsplit", fn: func(s string, a []Value, n int) (Value, error) {
		sep, limit := "", -1
		if a[0] != nil {
			var ok bool
			if sep, ok = a[0].(string); !ok {
				return nil, typeErr("must be str or None, not %s", TypeName(a[0]))
			}
			if sep == "" {
				return nil, valueErr("empty separator")
			}
		}
		if n > 1 {
			var err error
			if limit, err = Index(a[1]); err != nil {
				return nil, err
			}
		}
		return strList(f(s, sep, limit)), nil
	}}
}

func strList(ss []string) *List {
	items := make([]Value, len(ss))
	for i, s := range ss {
		items[i] = s
	}
	return &List{Items: items}
}

// finder is find, index and their reverses: want < 0 gives the first, else the
// last place.
func finder(last, mustFind bool) strMethod {
	return strMethod{min: 1, max: 3, paren: true, fn: func(s string, a []Value, n int) (Value, error) {
		sub, ok := a[0].(string)
		if !ok {
			return nil, typeErr("must be str, not %s", TypeName(a[0]))
		}
		part, lo, err := strWindow(s, a[1:], n-1)
		if err != nil {
			return nil, err
		}
		i := -1
		if lo >= 0 {
			if last {
				i = strings.LastIndex(part, sub)
			} else {
				i = strings.Index(part, sub)
			}
		}
		if i >= 0 {
			return lo + StrLen(part[:i]), nil
		}
		if mustFind {
			return nil, valueErr("substring not found")
		}
		return -1, nil
	}}
}

// strWindow is s[start:end] for the optional arguments a, with the index of
// its first code point; -1 when start lies behind end.
func strWindow(s string, a []Value, given int) (part string, lo int, err error) {
	if given <= 0 {
		return s, 0, nil
	}
	lo, hi, err := window(a, given, StrLen(s))
	if err != nil {
		return "", 0, err
	}
	if lo > hi {
		return "", -1, nil
	}
	i := byteAt(s, lo)
	return s[i : i+byteAt(s[i:], hi-lo)], lo, nil
}

func edge(name string, has func(s, t string) bool) strMethod {
	return strMethod{min: 1, max: 3, paren: true, fn: func(s string, a []Value, n int) (Value, error) {
		part, lo, err := strWindow(s, a[1:], n-1)
		if err != nil {
			return nil, err
		}
		switch x := a[0].(type) {
		case string:
			return lo >= 0 && has(part, x), nil
		case *Tuple:
			for _, it := range x.Items {
				t, ok := it.(string)
				if !ok {
					return nil, typeErr("tuple for %s must only contain str, not %s", name, TypeName(it))
				}
				if lo >= 0 && has(part, t) {
					return true, nil
				}
			}
			return false, nil
		}
		return nil, typeErr("%s first arg must be str or a tuple of str, not %s", name, TypeName(a[0]))
	}}
}

func parter(last bool) strMethod {
	return strMethod{min: 1, max: 1, fn: func(s string, a []Value, _ int) (Value, error) {
		sep, ok := a[0].(string)
		if !ok {
			return nil, typeErr("must be str, not %s", TypeName(a[0]))
		}
		if sep == "" {
			return nil, valueErr("empty separator")
		}
		if last {
			if i := strings.LastIndex(s, sep); i >= 0 {
				return NewTuple(s[:i], sep, s[i+len(sep):]), nil
			}
			return NewTuple("", "", s), nil
		}
		if i := strings.Index(s, sep); i >= 0 {
			return NewTuple(s[:i], sep, s[i+len(sep):]), nil
		}
		return NewTuple(s, "", ""), nil
	}}
}

// padder is center, ljust and rjust; left tells how many of n fill characters
// go in front.
func padder(left func(n, width int) int) strMethod {
	return strMethod{min: 1, max: 2, fn: func(s string, a []Value, n int) (Value, error) {
		width, err := Index(a[0])
		if err != nil {
			return nil, err
		}
		fill := " "
		if n > 1 {
			f, ok := a[1].(string)
			if !ok {
				return nil, typeErr("The fill character must be a unicode character, not %s", TypeName(a[1]))
			}
			if StrLen(f) != 1 {
				return nil, typeErr("The fill character must be exactly one character long")
			}
			fill = f
		}
		size := StrLen(s)
		if width <= size {
			return s, nil
		}
		if err := checkBytes(min(width, MaxResultBytes+1) * len(fill)); err != nil {
			return nil, err
		}
		k := left(width-size, width)
		return strings.Repeat(fill, k) + s + strings.Repeat(fill, width-size-k), nil
	}}
}

func affix(name string, cut func(s, t string) string) strMethod {
	return strMethod{min: 1, max: 1, fn: func(s string, a []Value, _ int) (Value, error) {
		t, ok := a[0].(string)
		if !ok {
			return nil, typeErr("%s() argument must be str, not %s", name, argType(a[0]))
		}
		return cut(s, t), nil
	}}
}

var strMethods map[string]strMethod

func init() { // an initializer would be a cycle: format looks methods up
	strMethods = map[string]strMethod{
		"lower": plain(Lower), "upper": plain(Upper), "title": plain(Title), "capitalize": plain(Capitalize),
		"casefold": plain(Casefold), "swapcase": plain(SwapCase),

		"isspace": allOf(IsSpace), "isalpha": allOf(IsAlpha), "isalnum": allOf(IsAlnum), "isdigit": allOf(IsDigit),
		"isdecimal": allOf(IsDecimal), "isnumeric": allOf(IsNumeric),
		"isupper":      {fn: func(s string, _ []Value, _ int) (Value, error) { return cased(s, unitab.Upper, unitab.Lower), nil }},
		"islower":      {fn: func(s string, _ []Value, _ int) (Value, error) { return cased(s, unitab.Lower, unitab.Upper), nil }},
		"istitle":      {fn: func(s string, _ []Value, _ int) (Value, error) { return isTitle(s), nil }},
		"isascii":      {fn: func(s string, _ []Value, _ int) (Value, error) { return isASCII(s), nil }},
		"isidentifier": {fn: func(s string, _ []Value, _ int) (Value, error) { return IsIdentifier(s), nil }},
		"isprintable":  {fn: func(s string, _ []Value, _ int) (Value, error) { return leftWhile(s, IsPrintable) == len(s), nil }},

		"strip":  stripper("strip", StripSpace, Strip),
		"lstrip": stripper("lstrip", LStripSpace, LStrip),
		"rstrip": stripper("rstrip", RStripSpace, RStrip),
		"split":  splitter(Split),
		"rsplit": splitter(RSplit),
		"splitlines": {max: 1, names: "keepends", fn: func(s string, a []Value, _ int) (Value, error) {
			return strList(SplitLines(s, Truth(a[0]))), nil
		}},
		"partition": parter(false), "rpartition": parter(true),
		"find": finder(false, false), "rfind": finder(true, false), "index": finder(false, true), "rindex": finder(true, true),
		"startswith": edge("startswith", strings.HasPrefix), "endswith": edge("endswith", strings.HasSuffix),
		"removeprefix": affix("removeprefix", strings.TrimPrefix), "removesuffix": affix("removesuffix", strings.TrimSuffix),
		"ljust":  padder(func(int, int) int { return 0 }),
		"rjust":  padder(func(n, _ int) int { return n }),
		"center": padder(func(n, width int) int { return n/2 + n&width&1 }),
		"count": {min: 1, max: 3, paren: true, fn: func(s string, a []Value, n int) (Value, error) {
			sub, ok := a[0].(string)
			if !ok {
				return nil, typeErr("must be str, not %s", TypeName(a[0]))
			}
			part, lo, err := strWindow(s, a[1:], n-1)
			if err != nil || lo < 0 {
				return 0, err
			}
			if sub == "" {
				return StrLen(part) + 1, nil
			}
			return strings.Count(part, sub), nil
		}},
		"replace": {min: 2, max: 3, fn: strReplace},
		"zfill": {min: 1, max: 1, fn: func(s string, a []Value, _ int) (Value, error) {
			width, err := Index(a[0])
			if err != nil {
				return nil, err
			}
			if err := checkBytes(max(width, 0)); err != nil {
				return nil, err
			}
			sign := ""
			if s != "" && (s[0] == '+' || s[0] == '-') {
				sign = s[:1]
			}
			return sign + strings.Repeat("0", max(width-StrLen(s), 0)) + s[len(sign):], nil
		}},
		"expandtabs": {max: 1, names: "tabsize", fn: strExpandTabs},
		"join":       {min: 1, max: 1, fn: func(s string, a []Value, _ int) (Value, error) { return Join(s, a[0]) }},
		"format":     {raw: func(s string, args []Value, kw *Dict) (Value, error) { return anyStr(StrFormat(s, args, kw)) }},
		"format_map": {min: 1, max: 1, fn: func(s string, a []Value, _ int) (Value, error) {
			d, ok := a[0].(*Dict)
			if !ok {
				return nil, typeErr("'%s' object is not subscriptable", TypeName(a[0]))
			}
			return anyStr(StrFormat(s, nil, d))
		}},
		"encode": {max: 2, names: "encoding errors", fn: func(s string, a []Value, _ int) (Value, error) {
			return encode(s, optStr(a[0], "utf-8"), optStr(a[1], "strict"))
		}},
		"translate": {min: 1, max: 1, fn: strTranslate},
		"maketrans": {min: 1, max: 3, fn: func(_ string, a []Value, n int) (Value, error) { return MakeTrans(a[:n]...) }},
	}
}

func optStr(v Value, def string) string {
	if s, ok := v.(string); ok {
		return s
	}
	return def
}

// cased is isupper and islower: some code point is want and none is other or
// title case.
func cased(s string, want, other unitab.Props) bool {
	seen := false
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		p := unitab.Of(r)
		if p&want != 0 && i == 0 && n == len(s) {
			return true
		}
		if p&(other|unitab.TitleCase) != 0 {
			return false
		}
		seen = seen || p&want != 0
		i += n
	}
	return seen
}

func isTitle(s string) bool {
	seen, prev := false, false
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		switch p := unitab.Of(r); {
		case p&(unitab.Upper|unitab.TitleCase) != 0:
			if prev {
				return false
			}
			seen, prev = true, true
		case p&unitab.Lower != 0:
			if !prev {
				return false
			}
			seen = true
		default:
			prev = false
		}
		i += n
	}
	return seen
}

func strReplace(s string, a []Value, n int) (Value, error) {
	for i := range 2 {
		if _, ok := a[i].(string); !ok {
			return nil, typeErr("replace() argument %d must be str, not %s", i+1, argType(a[i]))
		}
	}
	limit := -1
	if n > 2 {
		var err error
		if limit, err = Index(a[2]); err != nil {
			return nil, err
		}
	}
	from, to := a[0].(string), a[1].(string)
	k := StrLen(s) + 1
	if from != "" {
		k = strings.Count(s, from)
	}
	if limit >= 0 {
		k = min(k, limit)
	}
	if to != "" && k > MaxResultBytes/len(to) {
		return nil, checkBytes(MaxResultBytes + 1)
	}
	if err := checkBytes(len(s) + k*(len(to)-len(from))); err != nil {
		return nil, err
	}
	if from == "" && hasSurrogate(s) { // strings.Replace would go between its bytes
		var b strings.Builder
		for i, n := 0, 0; ; n++ {
			if n < k {
				b.WriteString(to)
			}
			_, w := decodeRune(s[i:])
			b.WriteString(s[i : i+w])
			if i += w; w == 0 {
				return b.String(), nil
			}
		}
	}
	return strings.Replace(s, from, to, limit), nil
}

func strExpandTabs(s string, a []Value, n int) (Value, error) {
	size := 8
	if n > 0 {
		var err error
		if size, err = Index(a[0]); err != nil {
			return nil, err
		}
	}
	if tabs := strings.Count(s, "\t"); tabs > 0 && size > MaxResultBytes/tabs {
		return nil, checkBytes(MaxResultBytes + 1)
	}
	var b strings.Builder
	col := 0
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		switch r {
		case '\t':
			if size > 0 {
				k := size - col%size
				b.WriteString(strings.Repeat(" ", k))
				col += k
			}
		case '\n', '\r':
			col = 0
			b.WriteByte(s[i])
		default:
			col++
			b.WriteString(s[i : i+w])
		}
		i += w
	}
	return b.String(), nil
}

// Join is sep.join(items).
func Join(sep string, items Value) (Value, error) {
	seq, err := Iterate(items)
	if err != nil {
		return nil, typeErr("can only join an iterable")
	}
	var b strings.Builder
	i := 0
	for it := range seq {
		s, ok := it.(string)
		if !ok {
			return nil, typeErr("sequence item %d: expected str instance, %s found", i, TypeName(it))
		}
		if i > 0 {
			b.WriteString(sep)
		}
		if err := checkBytes(b.Len() + len(s)); err != nil {
			return nil, err
		}
		b.WriteString(s)
		i++
	}
	return b.String(), nil
}

// MakeTrans is str.maketrans(dict), (from, to) or (from, to, drop).
func MakeTrans(args ...Value) (Value, error) {
	out := NewDict()
	if len(args) == 1 {
		d, ok := args[0].(*Dict)
		if !ok {
			return nil, typeErr("if you give only one argument to maketrans it must be a dict")
		}
		for _, e := range d.Entries() {
			k := e.Key
			if s, ok := k.(string); ok {
				r, n := decodeRune(s)
				if n == 0 || n != len(s) {
					return nil, valueErr("string keys in translate table must be of length 1")
				}
				k = int(r)
			}
			out.Set(k, e.Val)
		}
		return out, nil
	}
	var rs [3][]rune
	for i, a := range args {
		s, ok := a.(string)
		if !ok {
			return nil, typeErr("maketrans() argument %d must be str, not %s", i+1, argType(a))
		}
		rs[i] = Runes(s)
	}
	if len(rs[0]) != len(rs[1]) {
		return nil, valueErr("the first two maketrans arguments must have equal length")
	}
	for i, r := range rs[0] {
		out.Set(int(r), int(rs[1][i]))
	}
	for _, r := range rs[2] {
		out.Set(int(r), nil)
	}
	return out, nil
}

func strTranslate(s string, a []Value, _ int) (Value, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		v, err := GetItem(a[0], int(r))
		if e, ok := err.(*Exception); ok && (e.Class == "KeyError" || e.Class == "IndexError") {
			v, err = s[i:i+n], nil
		}
		if err != nil {
			return nil, err
		}
		switch x := v.(type) {
		case nil:
		case string:
			b = append(b, x...)
		case int:
			if x < 0 || x > utf8.MaxRune {
				return nil, valueErr("character mapping must be in range(0x110000)")
			}
			b = appendRune(b, rune(x))
		default:
			return nil, typeErr("character mapping must return integer, None or str")
		}
		if err := checkBytes(len(b)); err != nil {
			return nil, err
		}
		i += n
	}
	return string(b), nil
}

// codec is the canonical name of the encodings that are known.
func codec(name string) (string, error) {
	switch strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(name)) {
	case "utf-8", "utf8", "u8":
		return "utf-8", nil
	case "ascii", "us-ascii", "646":
		return "ascii", nil
	case "latin-1", "latin1", "iso-8859-1", "iso8859-1", "l1":
		return "latin-1", nil
	}
	return "", Errorf("LookupError", "unknown encoding: %s", name)
}

func encode(s, name, errors string) (Value, error) {
	enc, err := codec(name)
	if err != nil {
		return nil, err
	}
	limit, why := rune(0x10ffff), "surrogates not allowed"
	switch enc {
	case "ascii":
		limit, why = 127, "ordinal not in range(128)"
	case "latin-1":
		limit, why = 255, "ordinal not in range(256)"
	}
	var b []byte
	fits := func(r rune) bool { return r <= limit && (enc != "utf-8" || !isSurrogate(r)) }
	for i, at := 0, 0; i < len(s); at++ {
		r, n := decodeRune(s[i:])
		i += n
		if fits(r) {
			if enc == "latin-1" {
				b = append(b, byte(r))
			} else {
				b = utf8.AppendRune(b, r)
			}
			continue
		}
		switch errors {
		case "ignore":
		case "replace":
			b = append(b, '?')
		case "strict":
			if more := StrLen(s[i : i+leftWhile(s[i:], func(r rune) bool { return !fits(r) })]); more > 0 {
				return nil, Errorf("UnicodeEncodeError", "'%s' codec can't encode characters in position %d-%d: %s", enc, at, at+more, why)
			}
			return nil, Errorf("UnicodeEncodeError", "'%s' codec can't encode character '%s' in position %d: %s", enc, string(appendEscaped(nil, r, false)), at, why)
		default:
			return nil, Errorf("LookupError", "unknown error handler name '%s'", errors)
		}
	}
	return Bytes(b), nil
}

func decode(b, name, errors string) (Value, error) {
	enc, err := codec(name)
	if err != nil {
		return nil, err
	}
	var out []byte
	for i := 0; i < len(b); {
		c := b[i]
		if c < 128 || enc == "latin-1" {
			out = utf8.AppendRune(out, rune(c))
			i++
			continue
		}
		why, size := "ordinal not in range(128)", 1
		if enc == "utf-8" {
			if r, n := utf8.DecodeRuneInString(b[i:]); r != utf8.RuneError || n > 1 {
				out = append(out, b[i:i+n]...)
				i += n
				continue
			}
			size, why = malformed(b[i:])
		}
		switch errors {
		case "ignore":
		case "replace":
			out = utf8.AppendRune(out, utf8.RuneError)
		case "strict":
			if size > 1 {
				return nil, Errorf("UnicodeDecodeError", "'%s' codec can't decode bytes in position %d-%d: %s", enc, i, i+size-1, why)
			}
			return nil, Errorf("UnicodeDecodeError", "'%s' codec can't decode byte 0x%02x in position %d: %s", enc, c, i, why)
		default:
			return nil, Errorf("LookupError", "unknown error handler name '%s'", errors)
		}
		i += size
	}
	return string(out), nil
}

// malformed is how many bytes at the start of b are one mistake in UTF-8, and
// which.
func malformed(b string) (n int, why string) {
	lo, hi, want := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c < 0xc2 || c > 0xf4:
		return 1, "invalid start byte"
	case c < 0xe0:
		want = 2
	case c < 0xf0:
		want = 3
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	default:
		want = 4
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	for n = 1; n < want; n++ {
		if n == len(b) {
			return n, "unexpected end of data"
		}
		if b[n] < lo || b[n] > hi {
			return n, "invalid continuation byte"
		}
		lo, hi = 0x80, 0xbf
	}
	return n, "" // not malformed
}

// argType is the type of v as argument checks of CPython name it.
func argType(v Value) string {
	if v == nil {
		return "None"
	}
	return TypeName(v)
}
