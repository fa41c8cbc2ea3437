// Package pymath gives exp, log, pow and the functions of angles with the last bit right, and
// the sums of math.fsum and NumPy.
// Python's math module calls the C library, whose results (glibc) are the
// correctly rounded ones but for about one in a thousand or fewer; Go's math
// package is off by a unit in the last place far more often, which shows in
// printed scores and in random.gauss.
//
// The functions compute in pairs of float64 (about 100 bits) and round once.
// Where no finite answer exists they return what math does; raising Python's
// ValueError or OverflowError is the caller's business.
//
// Double-double arithmetic follows Dekker and Knuth.
package pymath

import (
	"math"
	"math/big"
)

// dd is the unevaluated sum hi+lo, |lo| ≤ half a unit of hi.
type dd struct{ hi, lo float64 }

func quick(a, b float64) dd { // |a| ≥ |b|
	s := a + b
	return dd{s, b - (s - a)}
}

func sum(a, b float64) dd {
	s := a + b
	t := s - a
	return dd{s, (a - (s - t)) + (b - t)}
}

func prod(a, b float64) dd {
	p := a * b
	return dd{p, math.FMA(a, b, -p)}
}

func (x dd) add(y dd) dd {
	s, t := sum(x.hi, y.hi), sum(x.lo, y.lo)
	s = quick(s.hi, s.lo+t.hi)
	return quick(s.hi, s.lo+t.lo)
}

func (x dd) mul(y dd) dd {
	p := prod(x.hi, y.hi)
	return quick(p.hi, p.lo+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

func (x dd) scale(f float64) dd { return dd{x.hi * f, x.lo * f} } // f a power of two

func (x dd) div(n float64) dd {
	q := x.hi / n
	p := prod(q, n)
	r := (x.hi - p.hi) - p.lo + x.lo
	return quick(q, r/n)
}

func (x dd) neg() dd { return dd{-x.hi, -x.lo} }

// Constants to about 160 bits, as three float64.
func split3(s string) [3]float64 {
	f, _, err := big.ParseFloat(s, 10, 300, big.ToNearestEven)
	if err != nil {
		panic(err)
	}
	var out [3]float64
	for i := range out {
		out[i], _ = f.Float64()
		f.Sub(f, new(big.Float).SetFloat64(out[i]))
	}
	return out
}

var (
	ln2    = split3("0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863326996418687")
	halfPi = split3("1.570796326794896619231321691639751442098584699687552910487472296153908203143104499314017412671058534")
)

// expDD is e to the x for |x.hi| < 745, as a pair and a power of two.
func expDD(x dd) (dd, int) {
	k := math.Round(x.hi / math.Ln2)
	r := x.add(prod(-k, ln2[0])).add(prod(-k, ln2[1])).add(dd{-k * ln2[2], 0})
	const squarings = 8
	r = r.scale(1.0 / (1 << squarings))
	// e^r - 1, squared up as (1+y)² - 1 = 2y + y²
	y, term := r, r
	for n := 2.0; n <= 10; n++ {
		term = term.mul(r).div(n)
		y = y.add(term)
	}
	for range squarings {
		y = y.scale(2).add(y.mul(y))
	}
	return dd{1, 0}.add(y), int(k)
}

// round gives x times 2^k, correctly also where the result is subnormal.
func round(x dd, k int) float64 {
	if v := math.Ldexp(x.hi, k); math.Abs(v) >= 0x1p-1000 && !math.IsInf(v, 0) {
		return v
	}
	f := new(big.Float).SetPrec(200).SetFloat64(x.hi)
	f.Add(f, new(big.Float).SetFloat64(x.lo))
	v, _ := f.SetMantExp(f, k).Float64()
	return v
}

// Exp is math.exp.
func Exp(x float64) float64 {
	if x != x || x > 709.8 || x < -745.2 || x == 0 {
		return math.Exp(x)
	}
	return round(expDD(dd{x, 0}))
}

// logDD is the logarithm of a positive normal x.
func logDD(x float64) dd {
	if f := x - 1; math.Abs(f) < 1.0/1024 { // exact difference; series of log(1+f)
		d := dd{f, 0}
		y, term := d, d
		for n := 2.0; n <= 12; n++ {
			term = term.mul(d).neg()
			y = y.add(term.div(n))
		}
		return y
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// one step of Newton: log m = y + (m·e^-y - 1), squared terms included
	y := math.Log(m)
	ex, k := expDD(dd{-y, 0})
	t := ex.mul(dd{m, 0}).scale(math.Ldexp(1, k)).add(dd{-1, 0})
	t = t.add(t.mul(t).scale(-0.5))
	r := dd{y, 0}.add(t)
	n := float64(e)
	return prod(n, ln2[0]).add(prod(n, ln2[1])).add(r)
}

// Log is math.log(x).
func Log(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) || x == 1 {
		return math.Log(x)
	}
	if x < 0x1p-1022 {
		d := logDD(x * 0x1p60)
		return d.add(prod(-60, ln2[0])).add(prod(-60, ln2[1])).hi
	}
	return logDD(x).hi
}

// Log1p is math.log1p. Go's follows the same algorithm as glibc's.
func Log1p(x float64) float64 { return math.Log1p(x) }

// Pow is C's pow.
func Pow(x, y float64) float64 {
	ax := math.Abs(x)
	if x != x || y != y || x == 0 || y == 0 || ax == 1 || math.IsInf(x, 0) || math.IsInf(y, 0) || ax < 0x1p-1022 ||
		x < 0 && y != math.Trunc(y) {
		return math.Pow(x, y)
	}
	l := logDD(ax)
	p := prod(l.hi, y)
	e := quick(p.hi, p.lo+l.lo*y)
	if e.hi > 709.8 || e.hi < -745.2 {
		return math.Pow(x, y)
	}
	r := round(expDD(e))
	if x < 0 && math.Mod(y, 2) != 0 {
		return -r
	}
	return r
}

// sincosDD gives sine and cosine of r, |r| ≤ π/4.
func sincosDD(r dd) (s, c dd) {
	r2 := r.mul(r).neg()
	s, c = r, dd{1, 0}
	ts, tc := r, dd{1, 0}
	for n := 2.0; n <= 28; n += 2 {
		tc = tc.mul(r2).div(n * (n - 1))
		ts = ts.mul(r2).div(n * (n + 1))
		s, c = s.add(ts), c.add(tc)
	}
	return s, c
}

const trigLimit = 1 << 20

func reduce(x float64) (dd, int) {
	k := math.Round(x / halfPi[0])
	r := dd{x, 0}.add(prod(-k, halfPi[0])).add(prod(-k, halfPi[1])).add(dd{-k * halfPi[2], 0})
	return r, int(k) & 3
}

// Sin is math.sin; beyond a million radians it is Go's.
func Sin(x float64) float64 {
	if !(math.Abs(x) < trigLimit) || x == 0 {
		return math.Sin(x)
	}
	r, q := reduce(x)
	s, c := sincosDD(r)
	switch q {
	case 0:
		return s.hi
	case 1:
		return c.hi
	case 2:
		return -s.hi
	}
	return -c.hi
}

// Cos is math.cos; beyond a million radians it is Go's.
func Cos(x float64) float64 {
	if !(math.Abs(x) < trigLimit) {
		return math.Cos(x)
	}
	r, q := reduce(x)
	s, c := sincosDD(r)
	switch q {
	case 0:
		return c.hi
	case 1:
		return -s.hi
	case 2:
		return -c.hi
	}
	return s.hi
}

// Log10 is math.log10, as glibc computes it from the logarithm.
func Log10(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) {
		return math.Log10(x)
	}
	const (
		inv  = 4.34294481903251816668e-01
		l2hi = 3.01029995663611771306e-01
		l2lo = 3.69423907715893078616e-13
	)
	m, e := math.Frexp(x)
	m, e = m*2, e-1 // 1 ≤ m < 2
	if e < 0 {
		m, e = m/2, e+1
	}
	y := float64(e)
	z := float64(y*l2lo) + float64(inv*Log(m))
	return z + float64(y*l2hi)
}

// Log2 is math.log2.
func Log2(x float64) float64 {
	if !(x >= 0x1p-1022) || math.IsInf(x, 1) {
		return math.Log2(x)
	}
	m, e := math.Frexp(x)
	if m == 0.5 {
		return float64(e - 1)
	}
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	l := logDD(m)
	// divide by ln 2
	q := l.hi / ln2[0]
	p := dd{q, 0}.mul(dd{ln2[0], ln2[1]})
	r := l.add(p.neg())
	return sum(float64(e), q).add(dd{r.hi / ln2[0], 0}).hi
}
