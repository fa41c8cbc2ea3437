package py

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"sextant/internal/py/unitab"
)

// Complex is what a fractional power of a negative number gives. It has a repr
// and equality, no arithmetic.
type Complex complex128

// PyType is type(x).__name__.
func (c Complex) PyType() string { return "complex" }

// PyRepr is repr(x).
func (c Complex) PyRepr() string {
	part := func(f float64) string {
		return strings.TrimSuffix(FormatFloat(f), ".0")
	}
	re, im := real(c), imag(c)
	if re == 0 && !math.Signbit(re) {
		return part(im) + "j"
	}
	sign := ""
	if !math.Signbit(im) || math.IsNaN(im) {
		sign = "+"
	}
	return "(" + part(re) + sign + part(im) + "j)"
}

// norm returns x as an int when it fits one.
func norm(x *big.Int) Value {
	if x.IsInt64() {
		return int(x.Int64())
	}
	return x
}

func isInt(v Value) bool {
	switch v.(type) {
	case int, bool, *big.Int:
		return true
	}
	return false
}

// small returns v as an int when it is a bool or an int within int64.
func small(v Value) (int, bool) {
	switch x := v.(type) {
	case int:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// toBig returns an integer Value as *big.Int, which the caller must not
// change; v must be isInt.
func toBig(v Value) *big.Int {
	if x, ok := v.(*big.Int); ok {
		return x
	}
	n, _ := small(v)
	return big.NewInt(int64(n))
}

// toFloat converts a number as float() does; ok is false for what is none.
func toFloat(v Value) (f float64, ok bool, err error) {
	switch x := v.(type) {
	case float64:
		return x, true, nil
	case int:
		return float64(x), true, nil
	case bool:
		if x {
			return 1, true, nil
		}
		return 0, true, nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		if math.IsInf(f, 0) {
			return 0, true, Errorf("OverflowError", "int too large to convert to float")
		}
		return f, true, nil
	}
	return 0, false, nil
}

// floatToInt is int(f).
func floatToInt(f float64) (Value, error) {
	switch {
	case math.IsNaN(f):
		return nil, valueErr("cannot convert float NaN to integer")
	case math.IsInf(f, 0):
		return nil, Errorf("OverflowError", "cannot convert float infinity to integer")
	case math.Abs(f) < 1<<62:
		return int(f), nil
	}
	b, _ := new(big.Float).SetFloat64(f).Int(nil)
	return norm(b), nil
}

// maxIntDigits is CPython's limit on the decimal text of an int (3.11).
const maxIntDigits = 4300

func intText(x *big.Int) (string, error) {
	// 4300 digits are between 14281 and 14285 bits
	if x.BitLen() > 14290 {
		return "", valueErr("Exceeds the limit (%d digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit", maxIntDigits)
	}
	s := x.String()
	if len(strings.TrimPrefix(s, "-")) > maxIntDigits {
		return "", valueErr("Exceeds the limit (%d digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit", maxIntDigits)
	}
	return s, nil
}

// asciiDigits maps decimal digits of any script to ASCII and strips space
// around (of ASCII only what C calls space, so not U+001C to U+001F); ok is
// false when other non-ASCII text is inside.
func asciiDigits(s string) (string, bool) {
	space := func(r rune) bool { return IsSpace(r) && (r < 0x1c || r > 0x1f) }
	s = s[leftWhile(s, space):]
	s = s[:rightWhile(s, space)]
	if isASCII(s) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		i += n
		if r >= 128 {
			d := unitab.DecimalValue(r)
			if d < 0 {
				return "", false
			}
			r = rune('0' + d)
		}
		b = append(b, byte(r))
	}
	return string(b), true
}

// ParseInt is int(s, base): space around, a sign, underscores between digits,
// decimal digits of any script, and for base 0 or 2, 8, 16 the prefixes.
func ParseInt(s string, base int) (Value, error) {
	if base != 0 && (base < 2 || base > 36) {
		return nil, valueErr("int() base must be >= 2 and <= 36, or 0")
	}
	bad := func() (Value, error) {
		return nil, valueErr("invalid literal for int() with base %d: %s", base, clip(Repr(s), 200))
	}
	t, ok := asciiDigits(s)
	if !ok || t == "" {
		return bad()
	}
	neg := t[0] == '-'
	if neg || t[0] == '+' {
		t = t[1:]
	}
	b := base
	zeroOnly := false
	prefix := func() int {
		if len(t) < 2 || t[0] != '0' {
			return 0
		}
		switch t[1] | 0x20 {
		case 'x':
			return 16
		case 'o':
			return 8
		case 'b':
			return 2
		}
		return 0
	}()
	switch {
	case b == 0 && prefix != 0:
		b = prefix
		t = strings.TrimPrefix(t[2:], "_")
	case b == 0:
		b = 10
		zeroOnly = strings.HasPrefix(t, "0")
	case b == prefix:
		t = strings.TrimPrefix(t[2:], "_")
	}
	digits := make([]byte, 0, len(t))
	for i := 0; i < len(t); i++ {
		c := t[i]
		if c == '_' {
			if i == 0 || i == len(t)-1 || t[i-1] == '_' {
				return bad()
			}
			continue
		}
		d := 99
		switch {
		case c >= '0' && c <= '9':
			d = int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			d = int(c|0x20-'a') + 10
		}
		if d >= b || zeroOnly && d != 0 {
			return bad()
		}
		digits = append(digits, c)
	}
	if len(digits) == 0 {
		return bad()
	}
	if b&(b-1) != 0 && len(digits) > maxIntDigits {
		return nil, valueErr("Exceeds the limit (%d digits) for integer string conversion: value has %d digits; use sys.set_int_max_str_digits() to increase the limit", maxIntDigits, len(digits))
	}
	if err := checkBits(len(digits)); err != nil { // a digit has at least one bit
		return nil, err
	}
	if n, err := strconv.ParseInt(string(digits), b, 64); err == nil {
		if neg {
			n = -n
		}
		return int(n), nil
	}
	x, ok := new(big.Int).SetString(string(digits), b)
	if !ok {
		return bad()
	}
	if neg {
		x.Neg(x)
	}
	return norm(x), nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:byteAt(s, n)]
}

// ParseFloat is float(s).
func ParseFloat(s string) (float64, error) {
	bad := func() (float64, error) {
		return 0, valueErr("could not convert string to float: %s", clip(Repr(s), 200))
	}
	t, ok := asciiDigits(s)
	if !ok {
		return bad()
	}
	if strings.IndexByte(t, '_') >= 0 {
		b := make([]byte, 0, len(t))
		digit := func(i int) bool { return i >= 0 && i < len(t) && t[i] >= '0' && t[i] <= '9' }
		for i := 0; i < len(t); i++ {
			if t[i] != '_' {
				b = append(b, t[i])
			} else if !digit(i-1) || !digit(i+1) {
				return bad()
			}
		}
		t = string(b)
	}
	if f, ok := parseDecimal(t); ok {
		return f, nil
	}
	u := strings.ToLower(t)
	neg := strings.HasPrefix(u, "-")
	switch strings.TrimPrefix(strings.TrimPrefix(u, "-"), "+") {
	case "inf", "infinity":
		if strings.HasPrefix(u, "-+") {
			return bad()
		}
		if neg {
			return math.Inf(-1), nil
		}
		return math.Inf(1), nil
	case "nan":
		if strings.HasPrefix(u, "-+") {
			return bad()
		}
		if neg {
			return math.Copysign(math.NaN(), -1), nil
		}
		return math.NaN(), nil
	}
	return bad()
}

// parseDecimal reads an optional sign, digits with an optional point and an
// optional exponent, and nothing else (strconv also takes hexadecimal floats).
func parseDecimal(t string) (float64, bool) {
	i, n := 0, 0
	if i < len(t) && (t[i] == '+' || t[i] == '-') {
		i++
	}
	dot := false
	for ; i < len(t); i++ {
		if t[i] >= '0' && t[i] <= '9' {
			n++
		} else if t[i] == '.' && !dot {
			dot = true
		} else {
			break
		}
	}
	if n == 0 {
		return 0, false
	}
	if i < len(t) && t[i]|0x20 == 'e' {
		i++
		if i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		j := i
		for i < len(t) && t[i] >= '0' && t[i] <= '9' {
			i++
		}
		if i == j {
			return 0, false
		}
	}
	if i != len(t) {
		return 0, false
	}
	f, err := strconv.ParseFloat(t, 64) // out of range gives ±Inf, as in Python
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// Int is int(v).
func Int(v Value) (Value, error) {
	switch x := v.(type) {
	case int, *big.Int:
		return x, nil
	case bool:
		n, _ := small(x)
		return n, nil
	case float64:
		return floatToInt(x)
	case string:
		return ParseInt(x, 10)
	case Bytes:
		n, err := ParseInt(string(x), 10)
		if err != nil {
			return nil, valueErr("invalid literal for int() with base 10: %s", Repr(x))
		}
		return n, nil
	}
	return nil, typeErr("int() argument must be a string, a bytes-like object or a real number, not '%s'", TypeName(v))
}

// Float is float(v).
func Float(v Value) (Value, error) {
	if s, ok := v.(string); ok {
		return anyFloat(ParseFloat(s))
	}
	if b, ok := v.(Bytes); ok {
		f, err := ParseFloat(string(b))
		if err != nil {
			return nil, valueErr("could not convert string to float: %s", Repr(b))
		}
		return f, nil
	}
	f, ok, err := toFloat(v)
	if !ok {
		return nil, typeErr("float() argument must be a string or a real number, not '%s'", TypeName(v))
	}
	return anyFloat(f, err)
}

func anyFloat(f float64, err error) (Value, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Index is operator.index(v) for what must fit a Go int.
func Index(v Value) (int, error) {
	if n, ok := small(v); ok {
		return n, nil
	}
	if _, ok := v.(*big.Int); ok {
		return 0, Errorf("OverflowError", "cannot fit 'int' into an index-sized integer")
	}
	return 0, typeErr("'%s' object cannot be interpreted as an integer", TypeName(v))
}

// Round is round(v) when ndigits is nil, else round(v, ndigits).
func Round(v, ndigits Value) (Value, error) {
	f, isFloat := v.(float64)
	if !isFloat && !isInt(v) {
		return nil, typeErr("type %s doesn't define __round__ method", TypeName(v))
	}
	if ndigits == nil {
		if isFloat {
			return floatToInt(math.RoundToEven(f))
		}
		return Int(v)
	}
	if !isInt(ndigits) {
		return nil, typeErr("'%s' object cannot be interpreted as an integer", TypeName(ndigits))
	}
	n, fits := small(ndigits)
	if !fits {
		n = math.MaxInt32 * toBig(ndigits).Sign()
	}
	if isFloat {
		return anyFloat(RoundFloat(f, n))
	}
	if n >= 0 {
		return Int(v)
	}
	x := toBig(v)
	// 10**-n beyond twice the number rounds to zero
	if -n > 2+x.BitLen()*30103/100000 {
		return 0, nil
	}
	m := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-n)), nil)
	q, r := new(big.Int).DivMod(x, m, new(big.Int)) // 0 ≤ r < m
	if c := new(big.Int).Lsh(r, 1).Cmp(m); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return norm(q.Mul(q, m)), nil
}

// RoundFloat is round(f, n) for a float: correctly rounded, half to even on
// the exact binary value.
func RoundFloat(f float64, n int) (float64, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) || f == 0 || n > 323 {
		return f, nil
	}
	if n < -308 {
		return math.Copysign(0, f), nil
	}
	if n < 0 {
		return roundLeft(f, -n)
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', n, 64), 64)
	if err != nil {
		return 0, Errorf("OverflowError", "rounded value too large to represent")
	}
	return r, nil
}

// roundLeft rounds f to a multiple of 10**n, n > 0.
func roundLeft(f float64, n int) (float64, error) {
	r, _ := new(big.Float).SetFloat64(math.Abs(f)).Rat(nil)
	m := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	r.Quo(r, new(big.Rat).SetInt(m))
	q, rem := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if c := rem.Lsh(rem, 1).Cmp(r.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	out, _ := new(big.Float).SetInt(q.Mul(q, m)).Float64()
	if math.IsInf(out, 0) {
		return 0, Errorf("OverflowError", "rounded value too large to represent")
	}
	return math.Copysign(out, f), nil
}

// Abs is abs(v).
func Abs(v Value) (Value, error) {
	switch x := v.(type) {
	case float64:
		return math.Abs(x), nil
	case int:
		if x >= 0 {
			return x, nil
		}
		return Unary("-", x)
	case bool:
		return Int(x)
	case *big.Int:
		return norm(new(big.Int).Abs(x)), nil
	}
	return nil, typeErr("bad operand type for abs(): '%s'", TypeName(v))
}

// Chr is chr(v).
func Chr(v Value) (Value, error) {
	n, err := Index(v)
	if e, ok := err.(*Exception); ok && e.Class != "OverflowError" {
		return nil, err
	}
	if err != nil || n != int(int32(n)) {
		return nil, Errorf("OverflowError", "Python int too large to convert to C int")
	}
	if n < 0 || n > 0x10ffff {
		return nil, valueErr("chr() arg not in range(0x110000)")
	}
	return string(appendRune(nil, rune(n))), nil
}

// Ord is ord(v).
func Ord(v Value) (Value, error) {
	switch x := v.(type) {
	case string:
		if r, n := decodeRune(x); n > 0 && n == len(x) {
			return int(r), nil
		}
		return nil, typeErr("ord() expected a character, but string of length %d found", StrLen(x))
	case Bytes:
		if len(x) == 1 {
			return int(x[0]), nil
		}
		return nil, typeErr("ord() expected a character, but string of length %d found", len(x))
	}
	return nil, typeErr("ord() expected string of length 1, but %s found", TypeName(v))
}

func baseText(v Value, base int, prefix string) (Value, error) {
	if !isInt(v) {
		return nil, typeErr("'%s' object cannot be interpreted as an integer", TypeName(v))
	}
	x := toBig(v)
	sign := ""
	if x.Sign() < 0 {
		sign = "-"
	}
	return sign + prefix + new(big.Int).Abs(x).Text(base), nil
}

// Hex is hex(v).
func Hex(v Value) (Value, error) { return baseText(v, 16, "0x") }

// Oct is oct(v).
func Oct(v Value) (Value, error) { return baseText(v, 8, "0o") }

// Bin is bin(v).
func Bin(v Value) (Value, error) { return baseText(v, 2, "0b") }

// bitLen is the number of bits of |n|.
func bitLen(n int) int {
	if n < 0 {
		return bits.Len64(uint64(-n)) // also right for the smallest int
	}
	return bits.Len64(uint64(n))
}
