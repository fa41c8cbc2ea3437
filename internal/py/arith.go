package py

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
	"strings"

	"sextant/internal/py/pymath"
	"sextant/internal/source"
)

func unsupported(op string, a, b Value) error {
	if op == "**" {
		op = "** or pow()"
	}
	return typeErr("unsupported operand type(s) for %s: '%s' and '%s'", op, TypeName(a), TypeName(b))
}

// Binary is "a op b" for + - * / // % ** << >> & | ^ @. The result is new; an
// operand is never changed (an augmented assignment to a list is the caller's
// business).
func Binary(op string, a, b Value) (Value, error) {
	if x, ok := a.(int); ok {
		if y, ok := b.(int); ok {
			return intOp(op, x, y)
		}
	}
	if x, ok := a.(Binarier); ok {
		if v, ok, err := x.PyBinary(op, b, false); ok || err != nil {
			return v, err
		}
	}
	if y, ok := b.(Binarier); ok {
		if v, ok, err := y.PyBinary(op, a, true); ok || err != nil {
			return v, err
		}
	}
	if op == "@" {
		return nil, unsupported(op, a, b)
	}
	if op == "%" {
		if s, ok := a.(string); ok {
			return anyStr(Percent(s, b))
		}
	}
	aInt, bInt := isInt(a), isInt(b)
	if aInt && bInt {
		x, ok1 := small(a)
		y, ok2 := small(b)
		if bx, ok := a.(bool); ok {
			if by, ok := b.(bool); ok {
				switch op {
				case "&":
					return bx && by, nil
				case "|":
					return bx || by, nil
				case "^":
					return bx != by, nil
				}
			}
		}
		if ok1 && ok2 {
			return intOp(op, x, y)
		}
		return bigOp(op, toBig(a), toBig(b))
	}
	_, aFloat := a.(float64)
	_, bFloat := b.(float64)
	if (aInt || aFloat) && (bInt || bFloat) {
		switch op {
		case "+", "-", "*", "/", "//", "%", "**":
			x, _, err := toFloat(a)
			if err != nil {
				return nil, err
			}
			y, _, err := toFloat(b)
			if err != nil {
				return nil, err
			}
			return floatOp(op, x, y)
		}
		return nil, unsupported(op, a, b)
	}
	switch op {
	case "+":
		return concat(a, b)
	case "*":
		if isSequence(a) {
			return repeat(a, b)
		}
		if isSequence(b) {
			return repeat(b, a)
		}
	case "|":
		if x, ok := a.(*Dict); ok {
			if y, ok := b.(*Dict); ok {
				c := x.Copy()
				for _, e := range y.Entries() {
					if err := c.Put(e); err != nil {
						return nil, err
					}
				}
				return c, nil
			}
		}
	}
	if x, ok := setOperand(a); ok {
		if y, ok := setOperand(b); ok {
			switch op {
			case "|", "&", "-", "^":
				return setOp(op, x, y), nil
			}
		}
	}
	return nil, unsupported(op, a, b)
}

func anyStr(s string, err error) (Value, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func intOp(op string, x, y int) (Value, error) {
	switch op {
	case "+":
		if s := x + y; (x^s)&(y^s) >= 0 {
			return s, nil
		}
	case "-":
		if s := x - y; (x^y)&(x^s) >= 0 {
			return s, nil
		}
	case "*":
		if bitLen(x)+bitLen(y) < 64 {
			return x * y, nil
		}
	case "/":
		if y == 0 {
			return nil, Errorf("ZeroDivisionError", "division by zero")
		}
		if bitLen(x) <= 53 && bitLen(y) <= 53 {
			return float64(x) / float64(y), nil
		}
	case "//", "%":
		if y == 0 {
			break
		}
		if x == math.MinInt && y == -1 {
			break
		}
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if op == "%" {
			return r, nil
		}
		return q, nil
	case "**":
		if y < 0 {
			return floatOp(op, float64(x), float64(y))
		}
	case "<<":
		if y >= 0 && y < 63 && bitLen(x)+y < 64 {
			return x << y, nil
		}
	case ">>":
		if y >= 0 {
			return x >> min(y, 63), nil
		}
	case "&":
		return x & y, nil
	case "|":
		return x | y, nil
	case "^":
		return x ^ y, nil
	}
	return bigOp(op, big.NewInt(int64(x)), big.NewInt(int64(y)))
}

func bigOp(op string, x, y *big.Int) (Value, error) {
	z := new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		if err := checkBits(x.BitLen() + y.BitLen() - 1); err != nil {
			return nil, err
		}
		z.Mul(x, y)
	case "/":
		return trueDiv(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			if op == "%" {
				return nil, Errorf("ZeroDivisionError", "integer modulo by zero")
			}
			return nil, Errorf("ZeroDivisionError", "integer division or modulo by zero")
		}
		q, r := floorDiv(x, y)
		if op == "%" {
			return norm(r), nil
		}
		return norm(q), nil
	case "**":
		return bigPow(x, y)
	case "<<", ">>":
		return shift(op, x, y)
	case "&":
		z.And(x, y)
	case "|":
		z.Or(x, y)
	case "^":
		z.Xor(x, y)
	default:
		return nil, unsupported(op, norm(x), norm(y))
	}
	if err := checkBits(z.BitLen()); err != nil {
		return nil, err
	}
	return norm(z), nil
}

func floorDiv(x, y *big.Int) (q, r *big.Int) {
	q, r = new(big.Int).QuoRem(x, y, new(big.Int))
	if r.Sign() != 0 && r.Sign() != y.Sign() {
		q.Sub(q, big.NewInt(1))
		r.Add(r, y)
	}
	return q, r
}

func trueDiv(x, y *big.Int) (Value, error) {
	if y.Sign() == 0 {
		return nil, Errorf("ZeroDivisionError", "division by zero")
	}
	f, _ := new(big.Rat).SetFrac(x, y).Float64() // nearest, half to even
	if x.Sign() == 0 && y.Sign() < 0 {
		f = math.Copysign(0, -1)
	}
	if math.IsInf(f, 0) {
		return nil, Errorf("OverflowError", "integer division result too large for a float")
	}
	return f, nil
}

func bigPow(x, y *big.Int) (Value, error) {
	if y.Sign() < 0 {
		a, _, err := toFloat(norm(x))
		if err != nil {
			return nil, err
		}
		b, _, err := toFloat(norm(y))
		if err != nil {
			return nil, err
		}
		return floatOp("**", a, b)
	}
	if x.BitLen() > 1 {
		if !y.IsInt64() || y.Int64() > MaxIntBits {
			return nil, checkBits(MaxIntBits + 1)
		}
		if err := checkBits((x.BitLen() - 1) * int(y.Int64())); err != nil {
			return nil, err
		}
	} else if x.Sign() < 0 { // -1
		if y.Bit(0) == 0 {
			return 1, nil
		}
		return -1, nil
	} else if x.Sign() == 0 && y.Sign() > 0 {
		return 0, nil
	} else {
		return 1, nil
	}
	return norm(new(big.Int).Exp(x, y, nil)), nil
}

func shift(op string, x, y *big.Int) (Value, error) {
	if y.Sign() < 0 {
		return nil, valueErr("negative shift count")
	}
	if op == ">>" {
		if !y.IsInt64() || y.Int64() > MaxIntBits {
			if x.Sign() < 0 {
				return -1, nil
			}
			return 0, nil
		}
		return norm(new(big.Int).Rsh(x, uint(y.Int64()))), nil
	}
	if x.Sign() == 0 {
		return 0, nil
	}
	if !y.IsInt64() || y.Int64() > MaxIntBits {
		return nil, checkBits(MaxIntBits + 1)
	}
	if err := checkBits(x.BitLen() + int(y.Int64())); err != nil {
		return nil, err
	}
	return norm(new(big.Int).Lsh(x, uint(y.Int64()))), nil
}

func floatOp(op string, x, y float64) (Value, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "/":
		if y == 0 {
			return nil, Errorf("ZeroDivisionError", "float division by zero")
		}
		return x / y, nil
	case "//":
		if y == 0 {
			return nil, Errorf("ZeroDivisionError", "float floor division by zero")
		}
		q, _ := floatDivmod(x, y)
		return q, nil
	case "%":
		if y == 0 {
			return nil, Errorf("ZeroDivisionError", "float modulo")
		}
		_, r := floatDivmod(x, y)
		return r, nil
	}
	return floatPow(x, y) // the only one left
}

// floatDivmod is CPython's float_divmod: the quotient is rounded to the
// nearest integral value below the true one, the remainder has y's sign.
func floatDivmod(x, y float64) (q, r float64) {
	r = math.Mod(x, y)
	q = (x - r) / y
	if r != 0 {
		if (y < 0) != (r < 0) {
			r += y
			q--
		}
	} else {
		r = math.Copysign(0, y)
	}
	if q == 0 {
		return math.Copysign(0, x/y), r
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f++
	}
	return f, r
}

func floatPow(x, y float64) (Value, error) {
	if x == 0 && y < 0 {
		return nil, Errorf("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	if x < 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && !math.IsNaN(y) && y != math.Floor(y) {
		r, phase := pymath.Pow(-x, y), float64(math.Pi*y)
		return Complex(complex(r*pymath.Cos(phase), r*pymath.Sin(phase))), nil
	}
	z := pymath.Pow(x, y)
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, &Exception{"OverflowError", "(34, 'Numerical result out of range')"}
	}
	return z, nil
}

// Unary is "op v" for - + ~ and not.
func Unary(op string, v Value) (Value, error) {
	if op == "not" {
		return !Truth(v), nil
	}
	if f, ok := v.(float64); ok && op != "~" {
		if op == "-" {
			return -f, nil
		}
		return f, nil
	}
	if isInt(v) {
		switch op {
		case "+":
			return Int(v)
		case "-":
			if n, ok := small(v); ok && n != math.MinInt {
				return -n, nil
			}
			return norm(new(big.Int).Neg(toBig(v))), nil
		case "~":
			return norm(new(big.Int).Not(toBig(v))), nil
		}
	}
	return nil, typeErr("bad operand type for unary %s: '%s'", op, TypeName(v))
}

// Divmod is divmod(a, b), a tuple.
func Divmod(a, b Value) (Value, error) {
	if isInt(a) && isInt(b) {
		y := toBig(b)
		if y.Sign() == 0 {
			return nil, Errorf("ZeroDivisionError", "integer division or modulo by zero")
		}
		q, r := floorDiv(toBig(a), y)
		return NewTuple(norm(q), norm(r)), nil
	}
	x, ok1, err1 := toFloat(a)
	y, ok2, err2 := toFloat(b)
	if !ok1 || !ok2 {
		return nil, unsupported("divmod()", a, b)
	}
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	if y == 0 {
		return nil, Errorf("ZeroDivisionError", "float divmod()")
	}
	q, r := floatDivmod(x, y)
	return NewTuple(q, r), nil
}

// Pow3 is pow(base, exp, mod); a nil mod is pow(base, exp).
func Pow3(base, exp, mod Value) (Value, error) {
	if mod == nil {
		return Binary("**", base, exp)
	}
	if !isInt(base) || !isInt(exp) || !isInt(mod) {
		return nil, typeErr("pow() 3rd argument not allowed unless all arguments are integers")
	}
	m := toBig(mod)
	if m.Sign() == 0 {
		return nil, valueErr("pow() 3rd argument cannot be 0")
	}
	am := new(big.Int).Abs(m)
	z := new(big.Int).Exp(new(big.Int).Mod(toBig(base), am), toBig(exp), am)
	if z == nil {
		return nil, valueErr("base is not invertible for the given modulus")
	}
	z.Mod(z, am)
	if m.Sign() < 0 && z.Sign() > 0 {
		z.Add(z, m)
	}
	return norm(z), nil
}

func isSequence(v Value) bool {
	switch v.(type) {
	case string, Bytes, *List, *Tuple:
		return true
	}
	return false
}

// joinPos puts the positions of two runs of items side by side.
func joinPos(a []source.Pos, na int, b []source.Pos, nb int) []source.Pos {
	if a == nil && b == nil {
		return nil
	}
	out := make([]source.Pos, na+nb)
	copy(out[:na], a)
	copy(out[na:], b)
	return out
}

func concat(a, b Value) (Value, error) {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			if err := checkBytes(len(x) + len(y)); err != nil {
				return nil, err
			}
			return x + y, nil
		}
		return nil, typeErr(`can only concatenate str (not "%s") to str`, TypeName(b))
	case Bytes:
		if y, ok := b.(Bytes); ok {
			if err := checkBytes(len(x) + len(y)); err != nil {
				return nil, err
			}
			return x + y, nil
		}
		return nil, typeErr("can't concat %s to bytes", TypeName(b))
	case *List:
		if y, ok := b.(*List); ok {
			if err := checkItems(len(x.Items) + len(y.Items)); err != nil {
				return nil, err
			}
			return &List{At: x.At, Items: append(append(make([]Value, 0, len(x.Items)+len(y.Items)), x.Items...), y.Items...),
				Pos: joinPos(itemPos(x.Pos, x.At, len(x.Items)), len(x.Items), itemPos(y.Pos, y.At, len(y.Items)), len(y.Items))}, nil
		}
		return nil, typeErr(`can only concatenate list (not "%s") to list`, TypeName(b))
	case *Tuple:
		if y, ok := b.(*Tuple); ok {
			if err := checkItems(len(x.Items) + len(y.Items)); err != nil {
				return nil, err
			}
			return &Tuple{At: x.At, Items: append(append(make([]Value, 0, len(x.Items)+len(y.Items)), x.Items...), y.Items...),
				Pos: joinPos(itemPos(x.Pos, x.At, len(x.Items)), len(x.Items), itemPos(y.Pos, y.At, len(y.Items)), len(y.Items))}, nil
		}
		return nil, typeErr(`can only concatenate tuple (not "%s") to tuple`, TypeName(b))
	}
	return nil, unsupported("+", a, b)
}

// itemPos is the positions of n items, the display's own where one is missing;
// nil when nothing is known.
func itemPos(pos []source.Pos, at source.Pos, n int) []source.Pos {
	if pos == nil && at == 0 {
		return nil
	}
	out := make([]source.Pos, n)
	copy(out, pos)
	for i, p := range out {
		if p == 0 {
			out[i] = at
		}
	}
	return out
}

func repeat(seq, times Value) (Value, error) {
	if !isInt(times) {
		return nil, typeErr("can't multiply sequence by non-int of type '%s'", TypeName(times))
	}
	n, ok := small(times)
	if !ok {
		return nil, Errorf("OverflowError", "cannot fit 'int' into an index-sized integer")
	}
	n = max(n, 0)
	total := func(size, limit int) int {
		hi, lo := bits.Mul64(uint64(size), uint64(n))
		if hi != 0 || lo > uint64(limit) {
			return limit + 1
		}
		return int(lo)
	}
	switch x := seq.(type) {
	case string:
		if err := checkBytes(total(len(x), MaxResultBytes)); err != nil {
			return nil, err
		}
		return strings.Repeat(x, n*min(len(x), 1)), nil
	case Bytes:
		if err := checkBytes(total(len(x), MaxResultBytes)); err != nil {
			return nil, err
		}
		return Bytes(strings.Repeat(string(x), n*min(len(x), 1))), nil
	case *List:
		if err := checkItems(total(len(x.Items), MaxResultItems)); err != nil {
			return nil, err
		}
		items, pos := repeatItems(x.Items, x.Pos, n)
		return &List{At: x.At, Items: items, Pos: pos}, nil
	case *Tuple:
		if err := checkItems(total(len(x.Items), MaxResultItems)); err != nil {
			return nil, err
		}
		items, pos := repeatItems(x.Items, x.Pos, n)
		return &Tuple{At: x.At, Items: items, Pos: pos}, nil
	}
	return nil, unsupported("*", seq, times)
}

func repeatItems(items []Value, pos []source.Pos, n int) ([]Value, []source.Pos) {
	if len(items) == 0 {
		return []Value{}, nil
	}
	out := make([]Value, 0, len(items)*n)
	var ps []source.Pos
	for range n {
		out = append(out, items...)
		if pos != nil {
			k := len(ps)
			ps = append(ps, make([]source.Pos, len(items))...)
			copy(ps[k:], pos)
		}
	}
	return out, ps
}
