package pymath

import "math"

// The gamma function as CPython computes it, by Lanczos' approximation with
// the coefficients of Boost (g = 6.0246…, 13 terms): other ways differ in the
// last digits.

const (
	lanczosG = 6.024680040776729583740234375
	logPi    = 1.144729885849400174143427351353058711647
)

var (
	lanczosOver = [...]float64{
		23531376880.410759688572007674451636754734846804940, 42919803642.649098768957899047001988850926355848959,
		35711959237.355668049440185451547166705960488635843, 17921034426.037209699919755754458931112671403265390,
		6039542586.3520280050642916443072979210699388420708, 1439720407.3117216736632230727949123939715485786372,
		248874557.86205415651146038641322942321632125127801, 31426415.585400194380614231628318205362874684987640,
		2876370.6289353724412254090516208496135991145378768, 186056.26539522349504029498971604569928220784236328,
		8071.6720023658162106380029022722506138218516325024, 210.82427775157934587250973392071336271166969580291,
		2.5066282746310002701649081771338373386264310793408,
	}
	lanczosUnder = [...]float64{0, 39916800, 120543840, 150917976, 105258076, 45995730, 13339535, 2637558, 357423, 32670, 1925, 66, 1}
)

// lanczosSum is the quotient of two polynomials at x > 0; from 5 on in powers
// of 1/x, which do not overflow.
func lanczosSum(x float64) float64 {
	over, under := 0.0, 0.0
	last := len(lanczosOver) - 1
	for i := range lanczosOver {
		if x < 5 {
			over, under = float64(over*x)+lanczosOver[last-i], float64(under*x)+lanczosUnder[last-i]
		} else {
			over, under = over/x+lanczosOver[i], under/x+lanczosUnder[i]
		}
	}
	return over / under
}

// sinPi is sin(πx) for x ≥ 0.
func sinPi(x float64) float64 {
	y := math.Mod(x, 2)
	switch int(math.Round(2 * y)) {
	case 0:
		return Sin(math.Pi * y)
	case 1:
		return Cos(math.Pi * (y - 0.5))
	case 2:
		return Sin(math.Pi * (1 - y))
	case 3:
		return -Cos(math.Pi * (y - 1.5))
	}
	return Sin(math.Pi * (y - 2))
}

// Gamma is math.gamma; NaN where that is a domain error, infinite where it
// overflows.
func Gamma(x float64) float64 {
	abs := math.Abs(x)
	switch {
	case x == 0 || math.IsInf(x, -1) || x < 0 && x == math.Floor(x):
		return math.NaN()
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x == math.Floor(x) && x <= 23:
		r := 1.0 // and all steps on the way are exact
		for n := 2.0; n < x; n++ {
			r *= n
		}
		return r
	case abs < 1e-20:
		return 1 / x
	case x > 200:
		return math.Inf(1)
	case x < -200:
		return math.Copysign(0, -sinPi(abs))
	}
	const shift = lanczosG - 0.5
	y := abs + shift
	var rest float64 // what rounding took from y
	if abs > shift {
		rest = y - abs - shift
	} else {
		rest = y - shift - abs
	}
	rest = rest * lanczosG / y
	var r float64
	if x < 0 {
		r = -math.Pi / sinPi(abs) / abs * Exp(y) / lanczosSum(abs)
		r -= float64(rest * r)
		if abs < 140 {
			return r / Pow(y, abs-0.5)
		}
		root := Pow(y, abs/2-0.25)
		return r / root / root
	}
	r = lanczosSum(abs) / Exp(y)
	r += float64(rest * r)
	if abs < 140 {
		return r * Pow(y, abs-0.5)
	}
	root := Pow(y, abs/2-0.25)
	return r * root * root
}

// LGamma is math.lgamma, the logarithm of |Γ(x)|; NaN where that is a domain
// error, infinite where it overflows.
func LGamma(x float64) float64 {
	abs := math.Abs(x)
	switch {
	case math.IsNaN(x):
		return x
	case math.IsInf(x, 0):
		return math.Inf(1)
	case x == math.Floor(x) && x <= 0:
		return math.NaN()
	case x == 1 || x == 2:
		return 0
	case abs < 1e-20:
		return -Log(abs)
	}
	r := Log(lanczosSum(abs)) - lanczosG
	r += float64((abs - 0.5) * (Log(abs+lanczosG-0.5) - 1))
	if x < 0 {
		r = logPi - Log(math.Abs(sinPi(abs))) - Log(abs) - r
	}
	return r
}
