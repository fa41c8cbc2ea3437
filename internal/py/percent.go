package py

import (
	"math"
	"math/big"
	"strings"
	"unicode/utf8"
)

// percentArgs hands out the right operand of str % args.
type percentArgs struct {
	args    *Tuple // nil: one value
	value   Value
	next    int
	mapping bool
}

func (p *percentArgs) take() (Value, error) {
	p.next++
	if p.args == nil && p.next == 1 {
		return p.value, nil
	}
	if p.args != nil && p.next <= len(p.args.Items) {
		return p.args.Items[p.next-1], nil
	}
	return nil, typeErr("not enough arguments for format string")
}

func (p *percentArgs) left() bool {
	if p.args == nil {
		return p.next == 0 && !p.mapping
	}
	return p.next < len(p.args.Items)
}

type percentSpec struct {
	minus, plus, space, alt, zero bool
	width, prec                   int // prec -1: none
	typ                           rune
}

// Percent is format % args for a str.
func Percent(format string, args Value) (string, error) {
	p := &percentArgs{value: args}
	switch x := args.(type) {
	case *Tuple:
		p.args = x
	case *Dict, *List, Bytes, Indexable:
		p.mapping = true
	}
	var b strings.Builder
	for i := 0; i < len(format); {
		j := strings.IndexByte(format[i:], '%')
		if j < 0 {
			b.WriteString(format[i:])
			break
		}
		b.WriteString(format[i : i+j])
		i += j + 1
		n, err := p.one(&b, format, i)
		if err != nil {
			return "", err
		}
		i = n
		if err := checkBytes(b.Len()); err != nil {
			return "", err
		}
	}
	if p.left() {
		return "", typeErr("not all arguments converted during string formatting")
	}
	return b.String(), nil
}

// one formats the conversion that begins at i, behind its %, and returns where
// it ends.
func (p *percentArgs) one(b *strings.Builder, format string, i int) (int, error) {
	incomplete := valueErr("incomplete format")
	if i < len(format) && format[i] == '%' {
		b.WriteByte('%')
		return i + 1, nil
	}
	sp := percentSpec{prec: -1}
	if i < len(format) && format[i] == '(' {
		if !p.mapping {
			return 0, typeErr("format requires a mapping")
		}
		depth, start := 1, i+1
		for i++; i < len(format) && depth > 0; i++ {
			switch format[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		if depth > 0 {
			return 0, valueErr("incomplete format key")
		}
		v, err := GetItem(p.value, format[start:i-1])
		if err != nil {
			return 0, err
		}
		q := &percentArgs{value: v, mapping: true}
		end, err := q.flags(b, format, i, sp, incomplete)
		p.next++
		return end, err
	}
	return p.flags(b, format, i, sp, incomplete)
}

func (p *percentArgs) flags(b *strings.Builder, format string, i int, sp percentSpec, incomplete error) (int, error) {
flags:
	for ; i < len(format); i++ {
		switch format[i] {
		case '-':
			sp.minus = true
		case '+':
			sp.plus = true
		case ' ':
			sp.space = true
		case '#':
			sp.alt = true
		case '0':
			sp.zero = true
		default:
			break flags
		}
	}
	number := func(what, ctype string, limit int) (int, error) {
		if i < len(format) && format[i] == '*' {
			i++
			v, err := p.take()
			if err != nil {
				return 0, err
			}
			if !isInt(v) {
				return 0, typeErr("* wants int")
			}
			n, ok := small(v)
			if !ok || n > limit || n < -limit-1 {
				return 0, Errorf("OverflowError", "Python int too large to convert to C %s", ctype)
			}
			return n, nil
		}
		n := 0
		for ; i < len(format) && format[i] >= '0' && format[i] <= '9'; i++ {
			if n > (limit-9)/10 {
				return 0, valueErr("%s too big", what)
			}
			n = n*10 + int(format[i]-'0')
		}
		return n, nil
	}
	var err error
	if sp.width, err = number("width", "ssize_t", math.MaxInt); err != nil {
		return 0, err
	}
	if sp.width < 0 {
		sp.minus, sp.width = true, -max(sp.width, -math.MaxInt)
	}
	if i < len(format) && format[i] == '.' {
		i++
		if sp.prec, err = number("precision", "int", math.MaxInt32); err != nil {
			return 0, err
		}
		sp.prec = max(sp.prec, 0)
	}
	if i < len(format) && strings.IndexByte("hlL", format[i]) >= 0 {
		i++
	}
	if i >= len(format) {
		return 0, incomplete
	}
	r, n := decodeRune(format[i:])
	sp.typ = r
	v, err := p.take()
	if err != nil {
		return 0, err
	}
	if !strings.ContainsRune("srac"+"diuoxX"+"eEfFgG", r) || r >= utf8.RuneSelf {
		c := "?"
		if r > 31 && r < 128 {
			c = string(r)
		}
		return 0, valueErr("unsupported format character '%s' (0x%x) at index %d", c, r, StrLen(format[:i]))
	}
	s, err := sp.convert(v)
	if err != nil {
		return 0, err
	}
	b.WriteString(s)
	return i + n, nil
}

func (sp *percentSpec) align() byte {
	if sp.minus {
		return '<'
	}
	return '>'
}

func (sp *percentSpec) convert(v Value) (string, error) {
	switch sp.typ {
	case 's', 'r', 'a':
		s, err := TryStr(v)
		if sp.typ != 's' {
			s, err = TryRepr(v)
		}
		if err != nil {
			return "", err
		}
		if sp.typ == 'a' {
			s = escapeNonASCII(s)
		}
		if sp.prec >= 0 {
			s = s[:byteAt(s, sp.prec)]
		}
		return pad(s, ' ', sp.align(), sp.width)
	case 'c':
		s, ok := v.(string)
		switch {
		case ok && StrLen(s) != 1:
			return "", typeErr("%%c requires int or char")
		case !ok && !isInt(v):
			return "", typeErr("%%c requires int or char")
		case !ok:
			x := toBig(v)
			if !x.IsInt64() || x.Int64() < 0 || x.Int64() > utf8.MaxRune {
				return "", Errorf("OverflowError", "%%c arg not in range(0x110000)")
			}
			s = string(appendRune(nil, rune(x.Int64())))
		}
		return pad(s, ' ', sp.align(), sp.width)
	case 'd', 'i', 'u', 'o', 'x', 'X':
		return sp.integer(v)
	}
	f, ok, err := toFloat(v)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", typeErr("must be real number, not %s", TypeName(v))
	}
	prec := sp.prec
	if err := checkBytes(max(prec, 0)); err != nil {
		return "", err
	}
	if prec < 0 {
		prec = 6
	}
	return sp.signed(math.Signbit(f) && f == f, "", floatText(math.Abs(f), byte(sp.typ), prec, sp.alt, false))
}

func (sp *percentSpec) integer(v Value) (string, error) {
	if f, ok := v.(float64); ok && strings.ContainsRune("diu", sp.typ) {
		n, err := floatToInt(f)
		if err != nil {
			return "", err
		}
		v = n
	}
	if !isInt(v) {
		if strings.ContainsRune("diu", sp.typ) {
			return "", typeErr("%%%c format: a real number is required, not %s", sp.typ, TypeName(v))
		}
		return "", typeErr("%%%c format: an integer is required, not %s", sp.typ, TypeName(v))
	}
	x := new(big.Int).Abs(toBig(v))
	base, prefix := 10, ""
	switch sp.typ {
	case 'o':
		base, prefix = 8, "0o"
	case 'x':
		base, prefix = 16, "0x"
	case 'X':
		base, prefix = 16, "0X"
	}
	if base == 10 {
		if _, err := intText(x); err != nil {
			return "", err
		}
	}
	if !sp.alt {
		prefix = ""
	}
	digits := x.Text(base)
	if sp.typ == 'X' {
		digits = strings.ToUpper(digits)
	}
	if n := sp.prec - len(digits); n > 0 {
		if err := checkBytes(sp.prec); err != nil {
			return "", err
		}
		digits = strings.Repeat("0", n) + digits
	}
	return sp.signed(toBig(v).Sign() < 0, prefix, digits)
}

func (sp *percentSpec) signed(neg bool, prefix, digits string) (string, error) {
	sign := ""
	switch {
	case neg:
		sign = "-"
	case sp.plus:
		sign = "+"
	case sp.space:
		sign = " "
	}
	sign += prefix
	if sp.zero && !sp.minus {
		body, err := pad(digits, '0', '>', sp.width-len(sign))
		return sign + body, err
	}
	return pad(sign+digits, ' ', sp.align(), sp.width)
}
