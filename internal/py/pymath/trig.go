package pymath

import "math"

// quo is x/y.
func (x dd) quo(y dd) dd {
	q := x.hi / y.hi
	r := x.add(y.mul(dd{q, 0}).neg())
	return quick(q, (r.hi+r.lo)/y.hi)
}

// sqrt is the root of a positive x.
func (x dd) sqrt() dd {
	s := math.Sqrt(x.hi)
	r := x.add(prod(s, s).neg())
	return quick(s, r.hi/(2*s))
}

// sincos is sine and cosine of x, |x| < trigLimit.
func sincos(x float64) (s, c dd) {
	r, q := reduce(x)
	s, c = sincosDD(r)
	switch q {
	case 1:
		return c, s.neg()
	case 2:
		return s.neg(), c.neg()
	case 3:
		return c.neg(), s
	}
	return s, c
}

// Tan is math.tan; beyond a million radians it is Go's.
func Tan(x float64) float64 {
	if !(math.Abs(x) < trigLimit) || math.Abs(x) < 0x1p-500 {
		return math.Tan(x)
	}
	s, c := sincos(x)
	return s.quo(c).hi
}

// angle is that of the point (x, y), neither of which is extreme: Go's answer
// and one step of Newton.
func angle(y, x dd) float64 {
	a := math.Atan2(y.hi, x.hi)
	s, c := sincos(a)
	d := y.mul(c).add(x.mul(s).neg())
	n := x.mul(c).add(y.mul(s))
	return quick(a, d.quo(n).hi).hi
}

// moderate tells numbers whose products and squares lose nothing.
func moderate(x float64) bool { return math.Abs(x) > 0x1p-300 && math.Abs(x) < 0x1p300 }

// Atan is math.atan.
func Atan(x float64) float64 {
	if !moderate(x) {
		return math.Atan(x)
	}
	return angle(dd{x, 0}, dd{1, 0})
}

// Atan2 is math.atan2.
func Atan2(y, x float64) float64 {
	if !moderate(x) || !moderate(y) {
		return math.Atan2(y, x)
	}
	return angle(dd{y, 0}, dd{x, 0})
}

// Asin is math.asin.
func Asin(x float64) float64 {
	if !moderate(x) || !(math.Abs(x) < 1) {
		return math.Asin(x)
	}
	return angle(dd{x, 0}, sum(1, -x).mul(sum(1, x)).sqrt())
}

// Acos is math.acos.
func Acos(x float64) float64 {
	if !moderate(x) || !(math.Abs(x) < 1) {
		return math.Acos(x)
	}
	return angle(sum(1, -x).mul(sum(1, x)).sqrt(), dd{x, 0})
}

// Hypot is math.hypot of two numbers.
func Hypot(x, y float64) float64 {
	if !moderate(x) || !moderate(y) {
		return math.Hypot(x, y)
	}
	return prod(x, x).add(prod(y, y)).sqrt().hi
}

// Cbrt is math.cbrt, correctly rounded; glibc's is off by a unit more often.
func Cbrt(x float64) float64 {
	if !moderate(x) {
		return math.Cbrt(x)
	}
	c := math.Cbrt(x)
	d := prod(c, c).mul(dd{c, 0}).add(dd{-x, 0})
	return quick(c, -d.hi/(3*c*c)).hi
}

// Asinh is math.asinh.
func Asinh(x float64) float64 {
	a := math.Abs(x)
	switch {
	case math.IsInf(x, 0) || x != x || a < 0x1p-28:
		return x
	case a > 0x1p28:
		a = Log(a) + math.Ln2
	case a > 2:
		a = Log(2*a + 1/(math.Sqrt(a*a+1)+a))
	default:
		t := a * a
		a = Log1p(a + t/(1+math.Sqrt(1+t)))
	}
	return math.Copysign(a, x)
}

// Acosh is math.acosh.
func Acosh(x float64) float64 {
	switch {
	case !(x >= 1):
		return math.NaN()
	case x > 0x1p28:
		return Log(x) + math.Ln2
	case x > 2:
		return Log(2*x - 1/(x+math.Sqrt(x*x-1)))
	}
	t := x - 1
	return Log1p(t + math.Sqrt(2*t+t*t))
}

// Exp2 is math.exp2.
func Exp2(x float64) float64 {
	if !(math.Abs(x) < 1000) || x == math.Trunc(x) {
		return math.Exp2(x)
	}
	k := math.Round(x)
	r := x - k
	e, n := expDD(prod(r, ln2[0]).add(prod(r, ln2[1])))
	return round(e, n+int(k))
}

// Sinh is math.sinh.
func Sinh(x float64) float64 {
	h, a := math.Copysign(0.5, x), math.Abs(x)
	switch {
	case a < 0x1p-28 || math.IsInf(x, 0) || x != x:
		return x
	case a < 22:
		t := math.Expm1(a)
		if a < 1 {
			return h * (2*t - t*t/(t+1))
		}
		return h * (t + t/(t+1))
	case a < 709.78:
		return h * Exp(a)
	}
	w := Exp(0.5 * a)
	return (h * w) * w
}

// Cosh is math.cosh.
func Cosh(x float64) float64 {
	a := math.Abs(x)
	switch {
	case math.IsInf(x, 0) || x != x:
		return a
	case a < 0.5*math.Ln2:
		t := math.Expm1(a)
		w := 1 + t
		if a < 0x1p-55 {
			return w
		}
		return 1 + (t*t)/(w+w)
	case a < 22:
		t := Exp(a)
		return 0.5*t + 0.5/t
	case a < 709.78:
		return 0.5 * Exp(a)
	}
	w := Exp(0.5 * a)
	return (0.5 * w) * w
}

// Tanh is math.tanh.
func Tanh(x float64) float64 {
	a := math.Abs(x)
	switch {
	case x != x || x == 0:
		return x
	case a >= 22:
		return math.Copysign(1, x)
	case a < 0x1p-28:
		return x
	}
	var z float64
	if a >= 1 {
		z = 1 - 2/(math.Expm1(2*a)+2)
	} else {
		t := math.Expm1(-2 * a)
		z = -t / (t + 2)
	}
	return math.Copysign(z, x)
}
