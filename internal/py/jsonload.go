package py

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// LoadJSON is json.loads(data): dicts keep the order of the text, the last of
// equal keys wins, whole numbers of any size are ints, NaN, Infinity and
// -Infinity are floats. Errors are JSONDecodeError with CPython's text, or
// UnicodeDecodeError when data is not UTF-8.
//
// Strings without escapes share one copy of data's text.
func LoadJSON(data []byte) (Value, error) { return LoadJSONString(string(data)) }

// LoadJSONString is LoadJSON of a string, without a copy.
func LoadJSONString(text string) (Value, error) {
	d := decoder{s: text}
	return d.document()
}

// LoadJSONLines reads one JSON value from each line. Lines end at \n only (not
// at U+2028 and the like); a line of nothing but whitespace is skipped. An
// error names the line.
func LoadJSONLines(data []byte) ([]Value, error) {
	text := string(data)
	out := make([]Value, 0, bytes.Count(data, []byte{'\n'})+1)
	d := decoder{}
	for n := 1; text != ""; n++ {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		if strings.TrimRight(line, " \t\r") == "" {
			continue
		}
		d.s, d.i, d.depth = line, 0, 0
		v, err := d.document()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// JSONReader reads one text after another as LoadJSONString does; objects read
// by one reader share the text of their keys. The zero value is ready. Not
// safe for concurrent use.
type JSONReader struct{ d decoder }

// Load reads one text.
func (r *JSONReader) Load(text string) (Value, error) {
	r.d.s, r.d.i, r.d.depth = text, 0, 0
	return r.d.document()
}

type decoder struct {
	s     string
	i     int
	depth int
	keys  [256]Value // keys seen lately, so that rows share them
}

func (d *decoder) document() (Value, error) {
	if !utf8.ValidString(d.s) {
		if _, err := decode(d.s, "utf-8", "strict"); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(d.s, "\ufeff") {
		return nil, d.fail("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0)
	}
	d.space()
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.i < len(d.s) {
		return nil, d.fail("Extra data", d.i)
	}
	return v, nil
}

// fail is JSONDecodeError(msg) at byte at.
func (d *decoder) fail(msg string, at int) error {
	before := d.s[:min(at, len(d.s))]
	line := strings.Count(before, "\n") + 1
	char := utf8.RuneCountInString(before)
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return Errorf("JSONDecodeError", "%s: line %d column %d (char %d)", msg, line, col, char)
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\n', '\t', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) value() (Value, error) {
	if d.i >= len(d.s) {
		return nil, d.fail("Expecting value", d.i)
	}
	switch c := d.s[d.i]; c {
	case '"':
		s, err := d.str()
		return s, err
	case '{':
		return d.object()
	case '[':
		return d.array()
	case 'n':
		return d.word("null", nil)
	case 't':
		return d.word("true", true)
	case 'f':
		return d.word("false", false)
	case 'N':
		return d.word("NaN", math.NaN())
	case 'I':
		return d.word("Infinity", math.Inf(1))
	case '-':
		if strings.HasPrefix(d.s[d.i:], "-Infinity") {
			return d.word("-Infinity", math.Inf(-1))
		}
		return d.number()
	default:
		if c >= '0' && c <= '9' {
			return d.number()
		}
	}
	return nil, d.fail("Expecting value", d.i)
}

func (d *decoder) word(w string, v Value) (Value, error) {
	if !strings.HasPrefix(d.s[d.i:], w) {
		return nil, d.fail("Expecting value", d.i)
	}
	d.i += len(w)
	return v, nil
}

func digitsEnd(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

func (d *decoder) number() (Value, error) {
	start := d.i
	s, i := d.s, d.i
	if s[i] == '-' {
		i++
	}
	j := digitsEnd(s, i)
	if j == i {
		return nil, d.fail("Expecting value", start)
	}
	if s[i] == '0' {
		j = i + 1
	}
	i, isFloat := j, false
	if i < len(s) && s[i] == '.' {
		if j = digitsEnd(s, i+1); j > i+1 {
			i, isFloat = j, true
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' && (isFloat || s[i-1] != '.') {
		k := i + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		if j = digitsEnd(s, k); j > k {
			i, isFloat = j, true
		}
	}
	d.i = i
	text := s[start:i]
	if isFloat {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, d.fail("Expecting value", start)
		}
		return f, nil
	}
	if len(text) < 19 {
		n, err := strconv.Atoi(text)
		return n, err
	}
	if len(strings.TrimPrefix(text, "-")) > maxIntDigits {
		return ParseInt(text, 10) // the error
	}
	x, _ := new(big.Int).SetString(text, 10) // nothing but digits
	return norm(x), nil
}

// plainEnd is where the run of characters that need no decoding ends.
func plainEnd(s string, i int) int {
	for i < len(s) && s[i] != '"' && s[i] != '\\' && s[i] >= 0x20 {
		i++
	}
	return i
}

// str reads the string whose opening quote is at d.i.
func (d *decoder) str() (string, error) {
	open := d.i
	start := open + 1
	i := plainEnd(d.s, start)
	if i < len(d.s) && d.s[i] == '"' {
		d.i = i + 1
		return d.s[start:i], nil
	}
	b := append(make([]byte, 0, 2*(i-start)+16), d.s[start:i]...)
	for {
		if i >= len(d.s) {
			return "", d.fail("Unterminated string starting at", open)
		}
		switch c := d.s[i]; {
		case c == '"':
			d.i = i + 1
			return string(b), nil
		case c < 0x20:
			return "", d.fail("Invalid control character at", i)
		case c == '\\':
			var err error
			if b, i, err = d.escape(b, i, open); err != nil {
				return "", err
			}
		}
		j := plainEnd(d.s, i)
		b = append(b, d.s[i:j]...)
		i = j
	}
}

// escape decodes the escape at i and returns where it ends.
func (d *decoder) escape(b []byte, i, open int) ([]byte, int, error) {
	if i+1 >= len(d.s) {
		return nil, 0, d.fail("Unterminated string starting at", open)
	}
	switch c := d.s[i+1]; c {
	case '"', '\\', '/':
		return append(b, c), i + 2, nil
	case 'b':
		return append(b, '\b'), i + 2, nil
	case 'f':
		return append(b, '\f'), i + 2, nil
	case 'n':
		return append(b, '\n'), i + 2, nil
	case 'r':
		return append(b, '\r'), i + 2, nil
	case 't':
		return append(b, '\t'), i + 2, nil
	case 'u':
		r, ok := d.hex4(i + 2)
		if !ok {
			return nil, 0, d.fail("Invalid \\uXXXX escape", i+1)
		}
		i += 6
		if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(d.s[i:], `\u`) {
			if lo, ok := d.hex4(i + 2); ok && lo >= 0xdc00 && lo < 0xe000 {
				r = 0x10000 + (r-0xd800)<<10 + lo - 0xdc00
				i += 6
			}
		}
		return appendRune(b, r), i, nil
	}
	return nil, 0, d.fail("Invalid \\escape", i)
}

func (d *decoder) hex4(i int) (rune, bool) {
	if i+4 > len(d.s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(d.s[i : i+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (d *decoder) nest(what string) error {
	if d.depth++; d.depth > maxNesting {
		return recursionErr(" while decoding a JSON " + what + " from a unicode string")
	}
	return nil
}

func (d *decoder) array() (Value, error) {
	if err := d.nest("array"); err != nil {
		return nil, err
	}
	l := &List{Items: []Value{}}
	d.i++
	d.space()
	if d.i < len(d.s) && d.s[d.i] == ']' {
		d.i++
		d.depth--
		return l, nil
	}
	for {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
		d.space()
		if d.i < len(d.s) && d.s[d.i] == ']' {
			d.i++
			d.depth--
			return l, nil
		}
		if d.i >= len(d.s) || d.s[d.i] != ',' {
			return nil, d.fail("Expecting ',' delimiter", d.i)
		}
		d.i++
		d.space()
	}
}

func (d *decoder) object() (Value, error) {
	if err := d.nest("object"); err != nil {
		return nil, err
	}
	o := &Dict{}
	d.i++
	d.space()
	if d.i < len(d.s) && d.s[d.i] == '}' {
		d.i++
		d.depth--
		return o, nil
	}
	for {
		if d.i >= len(d.s) || d.s[d.i] != '"' {
			return nil, d.fail("Expecting property name enclosed in double quotes", d.i)
		}
		k, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.i >= len(d.s) || d.s[d.i] != ':' {
			return nil, d.fail("Expecting ':' delimiter", d.i)
		}
		d.i++
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		if err := o.Put(Entry{Key: d.key(k), Val: v}); err != nil {
			return nil, err
		}
		d.space()
		if d.i < len(d.s) && d.s[d.i] == '}' {
			d.i++
			d.depth--
			return o, nil
		}
		if d.i >= len(d.s) || d.s[d.i] != ',' {
			return nil, d.fail("Expecting ',' delimiter", d.i)
		}
		d.i++
		d.space()
	}
}

// key returns k as a Value, the same one for the same key where possible.
func (d *decoder) key(k string) Value {
	if k == "" || len(k) > 64 {
		return k
	}
	slot := &d.keys[(len(k)*31+int(k[0])*7+int(k[len(k)-1])+int(k[len(k)/2])*13)&255]
	if s, ok := (*slot).(string); ok && s == k {
		return *slot
	}
	*slot = strings.Clone(k)
	return *slot
}
