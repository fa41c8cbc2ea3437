package pyconf

import (
	"errors"
	"math"
	"math/big"
	"strings"

	"sextant/internal/py"
	"sextant/internal/py/pymath"
	"sextant/internal/source"
)

// The module math: docs/dialect.md, "Modules".

func (c *callArgs) float(i int) (float64, error) {
	f, err := realNumber(c.args[i])
	return f, c.err(err)
}

// floats reads the arguments of a function that takes len(xs) numbers.
func (c *callArgs) floats(xs ...*float64) error {
	if err := c.between(len(xs), len(xs)); err != nil {
		return err
	}
	for i, x := range xs {
		var err error
		if *x, err = c.float(i); err != nil {
			return err
		}
	}
	return nil
}

// realNumber is v as a float, for functions that take numbers only.
func realNumber(v py.Value) (float64, error) {
	switch v.(type) {
	case float64, int, bool, *big.Int:
		f, err := py.Float(v)
		if err != nil {
			return 0, err
		}
		return f.(float64), nil
	}
	return 0, py.Errorf("TypeError", "must be real number, not %s", py.TypeName(v))
}

func initMath() {
	attrs := map[string]py.Value{"pi": math.Pi, "e": math.E, "tau": 2 * math.Pi, "inf": math.Inf(1), "nan": math.NaN()}
	for name, f := range map[string]func(float64) float64{
		"sqrt": math.Sqrt, "exp": pymath.Exp, "sin": pymath.Sin, "cos": pymath.Cos, "tan": pymath.Tan, "asin": pymath.Asin, "acos": pymath.Acos,
		"atan": pymath.Atan, "sinh": pymath.Sinh, "cosh": pymath.Cosh, "tanh": pymath.Tanh, "fabs": math.Abs, "log1p": pymath.Log1p,
		"expm1": math.Expm1, "degrees": func(x float64) float64 { return x * (180 / math.Pi) }, "asinh": pymath.Asinh, "acosh": pymath.Acosh,
		"radians": func(x float64) float64 { return x * (math.Pi / 180) }, "cbrt": pymath.Cbrt, "erf": math.Erf, "erfc": math.Erfc, "exp2": pymath.Exp2,
		"gamma": pymath.Gamma, "lgamma": pymath.LGamma,
		"atanh": func(x float64) float64 {
			if math.Abs(x) == 1 {
				return math.NaN()
			}
			return math.Atanh(x)
		},
		"ulp": func(x float64) float64 {
			x = math.Abs(x)
			if up := math.Nextafter(x, math.Inf(1)); !math.IsInf(up, 1) {
				return up - x
			}
			return x - math.Nextafter(x, 0)
		},
	} {
		attrs[name] = func(c *callArgs) (py.Value, source.Pos, error) {
			var x float64
			if err := c.floats(&x); err != nil {
				return nil, 0, err
			}
			r := f(x)
			if math.IsNaN(r) && !math.IsNaN(x) || math.IsInf(r, -1) && strings.HasPrefix(c.name, "log") {
				return nil, 0, c.errorf("ValueError", "math domain error")
			}
			if math.IsInf(r, 0) && !math.IsInf(x, 0) && c.name != "ulp" {
				return nil, 0, c.errorf("OverflowError", "math range error")
			}
			return r, 0, nil
		}
	}
	for name, f := range map[string]func(float64) bool{
		"isnan": math.IsNaN, "isinf": func(x float64) bool { return math.IsInf(x, 0) },
		"isfinite": func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) },
	} {
		attrs[name] = func(c *callArgs) (py.Value, source.Pos, error) {
			var x float64
			err := c.floats(&x)
			return f(x), 0, err
		}
	}
	for name, f := range map[string]func(float64) float64{"floor": math.Floor, "ceil": math.Ceil, "trunc": math.Trunc} {
		attrs[name] = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			switch x := c.args[0].(type) {
			case int, *big.Int:
				return x, 0, nil
			}
			x, err := c.float(0)
			if err != nil && c.name == "trunc" {
				return nil, 0, c.errorf("TypeError", "type %s doesn't define __trunc__ method", py.TypeName(c.args[0]))
			}
			if err != nil {
				return nil, 0, err
			}
			v, err := py.Int(f(x))
			return v, 0, c.err(err)
		}
	}
	attrs["log"] = func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(1, 2); err != nil {
			return nil, 0, err
		}
		var l [2]float64
		for i := range c.args {
			x, err := c.logarithm(i, pymath.Log)
			if err != nil {
				return nil, 0, err
			}
			l[i] = x
		}
		if len(c.args) == 1 {
			return l[0], 0, nil
		}
		if l[1] == 0 {
			return nil, 0, c.errorf("ZeroDivisionError", "float division by zero")
		}
		return l[0] / l[1], 0, nil
	}
	for name, f := range map[string]func(float64) float64{"log2": pymath.Log2, "log10": pymath.Log10} {
		attrs[name] = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			x, err := c.logarithm(0, f)
			return x, 0, err
		}
	}
	two := func(f func(a, b float64) float64) methodFn {
		return func(c *callArgs) (py.Value, source.Pos, error) {
			var a, b float64
			if err := c.floats(&a, &b); err != nil {
				return nil, 0, err
			}
			r := f(a, b)
			if c.name == "nextafter" {
				return r, 0, nil
			}
			if a == 0 && math.IsInf(r, 0) && !math.IsInf(b, 0) { // pow
				r = math.NaN()
			}
			if math.IsNaN(r) && !math.IsNaN(a) && !math.IsNaN(b) {
				return nil, 0, c.errorf("ValueError", "math domain error")
			}
			if math.IsInf(r, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
				return nil, 0, c.errorf("OverflowError", "math range error")
			}
			return r, 0, nil
		}
	}
	attrs["pow"], attrs["fmod"], attrs["atan2"], attrs["copysign"] = two(pymath.Pow), two(math.Mod), two(pymath.Atan2), two(math.Copysign)
	attrs["remainder"], attrs["nextafter"] = two(math.Remainder), two(math.Nextafter)
	attrs["hypot"], attrs["dist"] = mathHypot, mathDist
	attrs["modf"] = mathPair(func(x float64) (py.Value, py.Value) {
		if math.IsInf(x, 0) {
			return math.Copysign(0, x), x
		}
		whole := math.Trunc(x)
		return math.Copysign(x-whole, x), whole
	})
	attrs["frexp"] = mathPair(func(x float64) (py.Value, py.Value) {
		m, e := math.Frexp(x)
		return m, e
	})
	attrs["ldexp"] = mathLdexp
	attrs["isclose"] = func(c *callArgs) (py.Value, source.Pos, error) {
		rel, abs := 1e-9, 0.0
		for _, e := range c.kw {
			f, err := py.Float(e.Val)
			if err != nil {
				return nil, 0, c.err(err)
			}
			switch e.Key {
			case "rel_tol":
				rel = f.(float64)
			case "abs_tol":
				abs = f.(float64)
			default:
				return nil, 0, c.errorf("TypeError", "'%v' is an invalid keyword argument for isclose()", e.Key)
			}
		}
		c.kw = nil
		var a, b float64
		if err := c.floats(&a, &b); err != nil {
			return nil, 0, err
		}
		if rel < 0 || abs < 0 {
			return nil, 0, c.errorf("ValueError", "tolerances must be non-negative")
		}
		if a == b {
			return true, 0, nil
		}
		if math.IsInf(a, 0) || math.IsInf(b, 0) {
			return false, 0, nil
		}
		d := math.Abs(a - b)
		return d <= math.Abs(rel*b) || d <= math.Abs(rel*a) || d <= abs, 0, nil
	}
	attrs["fsum"] = func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(1, 1); err != nil {
			return nil, 0, err
		}
		var sum pymath.Sum
		infs := 0.0
		err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
			x, err := realNumber(v)
			if err != nil {
				return c.err(err)
			}
			if math.IsInf(x, 0) {
				infs += x
			}
			if !sum.Add(x) {
				return c.errorf("OverflowError", "intermediate overflow in fsum")
			}
			return nil
		})
		if err == nil && math.IsNaN(infs) {
			err = c.errorf("ValueError", "-inf + inf in fsum")
		}
		return sum.Value(), 0, err
	}
	ints := func(empty int, f func(z, a, b *big.Int)) methodFn {
		return func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.noKw(); err != nil {
				return nil, 0, err
			}
			acc := big.NewInt(int64(empty))
			for i := range c.args {
				b, err := c.whole(i)
				if err != nil {
					return nil, 0, err
				}
				if b = new(big.Int).Abs(b); i == 0 {
					acc = b
				} else {
					f(acc, acc, b)
				}
				if acc.BitLen() > maxFactorialBits {
					return nil, 0, c.errorf("MemoryError", "result too large")
				}
			}
			v, err := bigValue(acc)
			return v, 0, c.err(err)
		}
	}
	attrs["gcd"] = ints(0, func(z, a, b *big.Int) { z.GCD(nil, nil, a, b) })
	attrs["lcm"] = ints(1, func(z, a, b *big.Int) {
		if a.Sign() == 0 || b.Sign() == 0 {
			z.SetInt64(0)
			return
		}
		g := new(big.Int).GCD(nil, nil, a, b)
		z.Mul(a, g.Quo(b, g))
	})
	attrs["comb"], attrs["perm"], attrs["factorial"], attrs["isqrt"] = mathChoose, mathChoose, mathFactorial, mathIsqrt
	attrs["prod"] = func(c *callArgs) (py.Value, source.Pos, error) {
		if len(c.args) != 1 {
			return nil, 0, c.errorf("TypeError", "prod() takes exactly 1 positional argument (%d given)", len(c.args))
		}
		var acc py.Value = 1
		for _, e := range c.kw {
			if e.Key != "start" {
				return nil, 0, c.errorf("TypeError", "'%v' is an invalid keyword argument for prod()", e.Key)
			}
			acc = e.Val
		}
		err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) (err error) {
			acc, err = c.fr.binary("*", acc, v, c.n)
			return err
		})
		return acc, 0, err
	}
	newModule("math", attrs)
}

// whole is argument i as an int of any size.
func (c *callArgs) whole(i int) (*big.Int, error) {
	switch x := c.args[i].(type) {
	case int:
		return big.NewInt(int64(x)), nil
	case *big.Int:
		return x, nil
	case bool:
		if x {
			return big.NewInt(1), nil
		}
		return new(big.Int), nil
	}
	return nil, c.errorf("TypeError", "'%s' object cannot be interpreted as an integer", py.TypeName(c.args[i]))
}

// logarithm is f of argument i, an int of any size too.
func (c *callArgs) logarithm(i int, f func(float64) float64) (float64, error) {
	if b, ok := c.args[i].(*big.Int); ok && b.Sign() > 0 {
		if x, _ := new(big.Float).SetInt(b).Float64(); math.IsInf(x, 0) {
			m := new(big.Float).SetPrec(53).SetInt(b)
			e := m.MantExp(m)
			x, _ := m.Float64()
			return f(x) + f(2)*float64(e), nil
		}
	}
	x, err := realNumber(c.args[i])
	var overflow *py.Exception
	if errors.As(err, &overflow) && overflow.Class == "OverflowError" || err == nil && x <= 0 {
		return 0, c.errorf("ValueError", "math domain error")
	}
	return f(x), c.err(err)
}

// mathPair is a function of one number that gives two.
func mathPair(f func(x float64) (a, b py.Value)) methodFn {
	return func(c *callArgs) (py.Value, source.Pos, error) {
		var x float64
		if err := c.floats(&x); err != nil {
			return nil, 0, err
		}
		a, b := f(x)
		return py.NewTuple(a, b), 0, nil
	}
}

func mathLdexp(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	x, err := c.float(0)
	if err != nil {
		return nil, 0, err
	}
	switch c.args[1].(type) {
	case int, bool, *big.Int:
	default:
		return nil, 0, c.errorf("TypeError", "Expected an int as second argument to ldexp.")
	}
	n, err := c.whole(1)
	if err != nil {
		return nil, 0, err
	}
	const far = 1 << 20 // beyond every float
	e := far * n.Sign()
	if n.IsInt64() {
		e = int(max(-far, min(far, n.Int64())))
	}
	r := math.Ldexp(x, e)
	if math.IsInf(r, 0) && !math.IsInf(x, 0) {
		return nil, 0, c.errorf("OverflowError", "math range error")
	}
	return r, 0, nil
}

func mathHypot(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.noKw(); err != nil {
		return nil, 0, err
	}
	xs := make([]float64, len(c.args))
	for i := range xs {
		x, err := c.float(i)
		if err != nil {
			return nil, 0, err
		}
		xs[i] = x
	}
	return norm(xs), 0, nil
}

// mathDist is dist: how far two points are from each other.
func mathDist(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	var points [2][]float64
	for i, a := range c.args {
		l, err := c.fr.list(a, c.n)
		if err != nil {
			return nil, 0, err
		}
		for _, v := range l.Items {
			x, err := realNumber(v)
			if err != nil {
				return nil, 0, c.err(err)
			}
			points[i] = append(points[i], x)
		}
	}
	if len(points[0]) != len(points[1]) {
		return nil, 0, c.errorf("ValueError", "both points must have the same number of dimensions")
	}
	for i, x := range points[1] {
		points[0][i] -= x
	}
	return norm(points[0]), 0, nil
}

// norm is the length of a vector.
func norm(xs []float64) float64 {
	switch len(xs) {
	case 0:
		return 0
	case 1:
		return math.Abs(xs[0])
	case 2:
		return pymath.Hypot(math.Abs(xs[0]), math.Abs(xs[1]))
	}
	sum, nan := new(big.Float).SetPrec(4500), false
	for _, x := range xs {
		switch {
		case math.IsInf(x, 0):
			return math.Inf(1)
		case math.IsNaN(x):
			nan = true
		default:
			f := new(big.Float).SetPrec(4500).SetFloat64(x)
			sum.Add(sum, f.Mul(f, f))
		}
	}
	if nan {
		return math.NaN()
	}
	r, _ := sum.Sqrt(sum).Float64()
	return r
}

// Bounds of factorials and their kin: results of at most maxFactorialBits.
const (
	maxFactorial     = 5000
	maxFactorialBits = 1 << 20
)

func mathFactorial(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	n, err := c.whole(0)
	switch {
	case err != nil:
		return nil, 0, err
	case n.Sign() < 0:
		return nil, 0, c.errorf("ValueError", "factorial() not defined for negative values")
	case !n.IsInt64():
		return nil, 0, c.errorf("OverflowError", "factorial() argument should not exceed 9223372036854775807")
	case n.Int64() > maxFactorial:
		return nil, 0, c.errorf("MemoryError", "result too large")
	}
	v, err := bigValue(new(big.Int).MulRange(1, n.Int64()))
	return v, 0, c.err(err)
}

// mathChoose is comb and perm.
func mathChoose(c *callArgs) (py.Value, source.Pos, error) {
	least := 2
	if c.name == "perm" {
		least = 1
	}
	if err := c.between(least, 2); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 1 || c.name == "perm" && c.args[1] == nil {
		c.args = c.args[:1]
		return mathFactorial(c)
	}
	n, err := c.whole(0)
	if err != nil {
		return nil, 0, err
	}
	k, err := c.whole(1)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case n.Sign() < 0:
		return nil, 0, c.errorf("ValueError", "n must be a non-negative integer")
	case k.Sign() < 0:
		return nil, 0, c.errorf("ValueError", "k must be a non-negative integer")
	case k.Cmp(n) > 0:
		return 0, 0, nil
	}
	if rest := new(big.Int).Sub(n, k); c.name == "comb" && rest.Cmp(k) < 0 {
		k = rest
	}
	if !k.IsInt64() || k.Int64() > maxFactorial || k.Int64()*int64(n.BitLen()) > maxFactorialBits {
		return nil, 0, c.errorf("MemoryError", "result too large")
	}
	r, one := big.NewInt(1), big.NewInt(1)
	for i := new(big.Int).Set(n); k.Sign() > 0; k = new(big.Int).Sub(k, one) {
		r.Mul(r, i)
		i.Sub(i, one)
	}
	if c.name == "comb" {
		kk, _ := c.whole(1) // an int: see above
		if rest := new(big.Int).Sub(n, kk); rest.Cmp(kk) < 0 {
			kk = rest
		}
		r.Quo(r, new(big.Int).MulRange(1, kk.Int64()))
	}
	v, err := bigValue(r)
	return v, 0, c.err(err)
}

func mathIsqrt(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	n, err := c.whole(0)
	if err != nil {
		return nil, 0, err
	}
	if n.Sign() < 0 {
		return nil, 0, c.errorf("ValueError", "isqrt() argument must be nonnegative")
	}
	v, err := bigValue(new(big.Int).Sqrt(n))
	return v, 0, c.err(err)
}

// bigValue is the int of package py for b.
func bigValue(b *big.Int) (py.Value, error) {
	if b.IsInt64() {
		return int(b.Int64()), nil
	}
	return b, nil
}
