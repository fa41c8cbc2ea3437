package py

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a parsed format specification:
// [[fill]align][sign][z][#][0][width][,|_][.precision][type].
type spec struct {
	fill      rune
	align     byte // < > = ^
	sign      byte // 0 + - space
	noNegZero bool // z
	alt       bool
	width     int // -1: none
	group     byte
	prec      int // -1: none
	typ       rune
}

func isAlign(c rune) bool { return c == '<' || c == '>' || c == '=' || c == '^' }

func parseSpec(v Value, text string, align byte) (spec, error) {
	sp := spec{fill: ' ', align: align, width: -1, prec: -1}
	switch v.(type) {
	case string:
		sp.typ = 's'
	case float64:
	default:
		sp.typ = 'd'
	}
	rs := Runes(text)
	i := 0
	peek := func(c rune) bool { return i < len(rs) && rs[i] == c }
	number := func() (int, bool, error) {
		n, start := 0, i
		for i < len(rs) && IsDecimal(rs[i]) {
			if n > (math.MaxInt-9)/10 {
				return 0, false, valueErr("Too many decimal digits in format string")
			}
			d, _ := ParseInt(string(rs[i]), 10) // a decimal digit
			n = n*10 + d.(int)
			i++
		}
		return n, i > start, nil
	}
	fillSet, alignSet := false, false
	if len(rs) >= 2 && isAlign(rs[1]) {
		sp.fill, sp.align, fillSet, alignSet, i = rs[0], byte(rs[1]), true, true, 2
	} else if len(rs) >= 1 && isAlign(rs[0]) {
		sp.align, alignSet, i = byte(rs[0]), true, 1
	}
	if peek('+') || peek('-') || peek(' ') {
		sp.sign = byte(rs[i])
		i++
	}
	if peek('z') {
		sp.noNegZero = true
		i++
	}
	if peek('#') {
		sp.alt = true
		i++
	}
	if !fillSet && peek('0') {
		sp.fill = '0'
		if !alignSet && align == '>' {
			sp.align = '='
		}
		i++
	}
	n, ok, err := number()
	if err != nil {
		return sp, err
	}
	if ok {
		sp.width = n
	}
	if peek(',') {
		sp.group = ','
		i++
	}
	if peek('_') {
		if sp.group != 0 {
			return sp, valueErr("Cannot specify both ',' and '_'.")
		}
		sp.group = '_'
		i++
	}
	if peek(',') && sp.group == '_' {
		return sp, valueErr("Cannot specify both ',' and '_'.")
	}
	if peek('.') {
		i++
		if n, ok, err = number(); err != nil {
			return sp, err
		}
		if !ok {
			return sp, valueErr("Format specifier missing precision")
		}
		sp.prec = n
	}
	if len(rs)-i > 1 {
		return sp, valueErr("Invalid format specifier '%s' for object of type '%s'", text, TypeName(v))
	}
	if len(rs)-i == 1 {
		sp.typ = rs[i]
	}
	if sp.group != 0 {
		switch sp.typ {
		case 'd', 'e', 'f', 'g', 'E', 'G', '%', 'F', 0:
		case 'b', 'o', 'x', 'X':
			if sp.group == '_' {
				break
			}
			fallthrough
		default:
			return sp, valueErr("Cannot specify '%c' with '%s'.", sp.group, codeText(sp.typ))
		}
	}
	return sp, checkBytes(max(sp.width, 0))
}

func codeText(c rune) string {
	if c > 32 && c < 128 {
		return string(c)
	}
	return fmt.Sprintf(`\x%x`, c)
}

func unknownCode(sp spec, v Value) error {
	return valueErr("Unknown format code '%s' for object of type '%s'", codeText(sp.typ), TypeName(v))
}

// Format is format(v, spec), what f"{v:spec}" does.
func Format(v Value, text string) (string, error) {
	if f, ok := v.(Formatter); ok {
		return f.PyFormat(text)
	}
	if text == "" {
		return TryStr(v)
	}
	switch x := v.(type) {
	case string:
		return formatStr(x, text)
	case float64:
		sp, err := parseSpec(v, text, '>')
		if err != nil {
			return "", err
		}
		return formatFloatSpec(sp, x, v)
	case int, bool, *big.Int:
		sp, err := parseSpec(v, text, '>')
		if err != nil {
			return "", err
		}
		switch sp.typ {
		case 'e', 'E', 'f', 'F', 'g', 'G', '%':
			f, _, err := toFloat(v)
			if err != nil {
				return "", err
			}
			return formatFloatSpec(sp, f, v)
		}
		return formatInt(sp, v)
	}
	return "", typeErr("unsupported format string passed to %s.__format__", TypeName(v))
}

func formatStr(s, text string) (string, error) {
	sp, err := parseSpec(s, text, '<')
	switch {
	case err != nil:
		return "", err
	case sp.typ != 's':
		return "", unknownCode(sp, s)
	case sp.sign == ' ':
		return "", valueErr("Space not allowed in string format specifier")
	case sp.sign != 0:
		return "", valueErr("Sign not allowed in string format specifier")
	case sp.noNegZero:
		return "", valueErr("Negative zero coercion (z) not allowed in string format specifier")
	case sp.alt:
		return "", valueErr("Alternate form (#) not allowed in string format specifier")
	case sp.align == '=':
		return "", valueErr("'=' alignment not allowed in string format specifier")
	}
	if sp.prec >= 0 {
		s = s[:byteAt(s, sp.prec)]
	}
	return pad(s, sp.fill, sp.align, sp.width)
}

// pad brings s to width code points.
func pad(s string, fill rune, align byte, width int) (string, error) {
	n := width - StrLen(s)
	if n <= 0 {
		return s, nil
	}
	f := string(appendRune(nil, fill))
	if n > MaxResultBytes || len(s)+n*len(f) > MaxResultBytes {
		return "", checkBytes(MaxResultBytes + 1)
	}
	left := n
	switch align {
	case '<':
		left = 0
	case '^':
		left = n / 2
	}
	return strings.Repeat(f, left) + s + strings.Repeat(f, n-left), nil
}

func formatInt(sp spec, v Value) (string, error) {
	if !strings.ContainsRune("bcdoxXn", sp.typ) {
		return "", unknownCode(sp, v)
	}
	if sp.prec >= 0 {
		return "", valueErr("Precision not allowed in integer format specifier")
	}
	if sp.noNegZero {
		return "", valueErr("Negative zero coercion (z) not allowed in integer format specifier")
	}
	x := toBig(v)
	base, prefix := 10, ""
	switch sp.typ {
	case 'c':
		switch {
		case sp.sign != 0:
			return "", valueErr("Sign not allowed with integer format specifier 'c'")
		case sp.alt:
			return "", valueErr("Alternate form (#) not allowed with integer format specifier 'c'")
		case !x.IsInt64():
			return "", Errorf("OverflowError", "Python int too large to convert to C long")
		case x.Int64() < 0 || x.Int64() > utf8.MaxRune:
			return "", Errorf("OverflowError", "%%c arg not in range(0x110000)")
		}
		if sp.align == '=' {
			sp.align = '>'
		}
		return pad(string(appendRune(nil, rune(x.Int64()))), sp.fill, sp.align, sp.width)
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x':
		base, prefix = 16, "0x"
	case 'X':
		base, prefix = 16, "0X"
	}
	var digits string
	if n, ok := v.(int); ok && base == 10 {
		digits = strconv.Itoa(n)
	} else if base == 10 {
		var err error
		if digits, err = intText(x); err != nil {
			return "", err
		}
	} else {
		digits = x.Text(base)
	}
	neg := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(digits, "-")
	if sp.typ == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !sp.alt {
		prefix = ""
	}
	size := 3
	if base != 10 {
		size = 4
	}
	return numberText(sp, neg, prefix, digits, "", size)
}

// numberText puts sign, prefix, grouped and padded digits and the rest
// together.
func numberText(sp spec, neg bool, prefix, digits, rest string, groupSize int) (string, error) {
	sign := ""
	switch {
	case neg:
		sign = "-"
	case sp.sign == '+' || sp.sign == ' ':
		sign = string(sp.sign)
	}
	if sp.group != 0 {
		least := 0
		if sp.fill == '0' && sp.align == '=' {
			least = sp.width - len(sign) - len(prefix) - len(rest)
		}
		digits = groupDigits(digits, sp.group, groupSize, least)
	}
	if sp.align == '=' {
		body, err := pad(digits+rest, sp.fill, '>', sp.width-len(sign)-len(prefix))
		return sign + prefix + body, err
	}
	return pad(sign+prefix+digits+rest, sp.fill, sp.align, sp.width)
}

// groupDigits separates digits into groups, with zeros in front up to least
// characters.
func groupDigits(digits string, sep byte, size, least int) string {
	n := len(digits)
	if n == 0 || digits[0] > '9' && size == 3 { // inf, nan
		return digits
	}
	for n+(n-1)/size < least {
		n++
	}
	digits = strings.Repeat("0", n-len(digits)) + digits
	b := make([]byte, 0, n+n/size)
	for i := range n {
		if i > 0 && (n-i)%size == 0 {
			b = append(b, sep)
		}
		b = append(b, digits[i])
	}
	return string(b)
}

func formatFloatSpec(sp spec, f float64, v Value) (string, error) {
	typ, prec, addDot := byte(sp.typ), sp.prec, false
	percent := ""
	switch sp.typ {
	case 0:
		typ, addDot = 'g', true
		if prec < 0 {
			typ = 'r'
		}
	case 'n':
		typ = 'g'
	case '%':
		f *= 100
		typ, percent = 'f', "%"
	case 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		return "", unknownCode(sp, v)
	}
	if prec > math.MaxInt32 {
		return "", valueErr("precision too big")
	}
	if err := checkBytes(max(prec, 0)); err != nil {
		return "", err
	}
	if prec < 0 {
		prec = 6
	}
	text := floatText(math.Abs(f), typ, prec, sp.alt, addDot)
	neg := math.Signbit(f) && !math.IsNaN(f)
	if neg && sp.noNegZero && !strings.ContainsAny(text[:len(text)-expLen(text)], "123456789") && f-f == 0 {
		neg = false
	}
	digits := len(text)
	if i := strings.IndexAny(text, ".eE"); i >= 0 && f-f == 0 {
		digits = i
	}
	return numberText(sp, neg, "", text[:digits], text[digits:]+percent, 3)
}

func expLen(s string) int {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return len(s) - i
	}
	return 0
}

// floatText is C's and Python's %e, %f, %g of f ≥ 0 and, as 'r', its repr.
// alt is the # flag; addDot adds ".0" to what looks like an int.
func floatText(f float64, typ byte, prec int, alt, addDot bool) string {
	upper := typ >= 'A' && typ <= 'Z'
	typ |= 0x20
	if f-f != 0 { // inf or nan
		s := "inf"
		if f != f {
			s = "nan"
		}
		if upper {
			s = strings.ToUpper(s)
		}
		return s
	}
	var s string
	switch typ {
	case 'r':
		s = FormatFloat(f)
		if i := strings.IndexByte(s, 'e'); alt && i >= 0 && strings.IndexByte(s, '.') < 0 {
			s = s[:i] + "." + s[i:]
		}
	case 'f':
		s = strconv.FormatFloat(f, 'f', prec, 64)
		if alt && prec == 0 {
			s += "."
		}
	case 'e':
		s = strconv.FormatFloat(f, 'e', prec, 64)
		if alt && prec == 0 {
			i := strings.IndexByte(s, 'e')
			s = s[:i] + "." + s[i:]
		}
	case 'g':
		s = generalText(f, prec, alt, addDot)
	}
	if upper {
		s = strings.ToUpper(s)
	}
	return s
}

func generalText(f float64, prec int, alt, addDot bool) string {
	prec = max(prec, 1)
	s := strconv.FormatFloat(f, 'e', prec-1, 64) // rounds to prec digits
	i := strings.IndexByte(s, 'e')
	mant, exp := s[:i], s[i+1:]
	x, _ := strconv.Atoi(exp) // strconv wrote it
	point, limit := x+1, prec // digits before the point
	if addDot {
		limit--
	}
	if f == 0 {
		point = 1
	}
	trim := func(t string) string {
		if alt || strings.IndexByte(t, '.') < 0 {
			return t
		}
		return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
	}
	if point <= -4 || point > limit {
		mant = trim(mant)
		if alt && strings.IndexByte(mant, '.') < 0 {
			mant += "."
		}
		return mant + "e" + exp
	}
	t := trim(strconv.FormatFloat(f, 'f', max(prec-point, 0), 64))
	if strings.IndexByte(t, '.') < 0 {
		if alt {
			t += "."
		} else if addDot {
			t += ".0"
		}
	}
	return t
}
