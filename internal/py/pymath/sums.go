package pymath

import (
	"math"
	"slices"
)

// Sum adds floats as math.fsum does (Shewchuk's partials). The zero value is
// a sum of nothing.
type Sum struct {
	partials []float64 // do not overlap, in rising order
	special  float64   // of what is not finite
}

// Add adds x. It returns false when the sum of the finite numbers has left the
// range of floats, where math.fsum gives up.
func (s *Sum) Add(x float64) bool {
	if x-x != 0 {
		s.special += x
		return true
	}
	k := 0
	for _, y := range s.partials {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		t := quick(x, y)
		if t.lo != 0 {
			s.partials[k] = t.lo
			k++
		}
		x = t.hi
	}
	if s.partials = s.partials[:k]; x != 0 {
		s.partials = append(s.partials, x)
	}
	return x-x == 0
}

// Value is the sum, correctly rounded: not finite when a number was not, or
// when Add has returned false.
func (s *Sum) Value() float64 {
	if s.special != 0 || s.special != s.special {
		return s.special
	}
	n := len(s.partials)
	if n == 0 {
		return 0
	}
	hi, lo := s.partials[n-1], 0.0
	for n--; n > 0; {
		n--
		t := quick(hi, s.partials[n])
		if hi, lo = t.hi, t.lo; lo != 0 {
			break
		}
	}
	// half-way cases follow the sign of what is left
	if n > 0 && (lo < 0 && s.partials[n-1] < 0 || lo > 0 && s.partials[n-1] > 0) {
		y := lo * 2
		if x := hi + y; y == x-hi {
			hi = x
		}
	}
	return hi
}

// FSum is math.fsum: the correctly rounded sum.
func FSum(xs []float64) float64 {
	var s Sum
	for _, x := range xs {
		s.Add(x)
	}
	return s.Value()
}

// NumPySum is np.sum of a contiguous float64 array: pairwise in blocks of 128.
func NumPySum(xs []float64) float64 {
	n := len(xs)
	switch {
	case n < 8:
		s := 0.0
		for _, x := range xs {
			s += x
		}
		return s
	case n <= 128:
		r := [8]float64(xs[:8])
		i := 8
		for ; i+8 <= n; i += 8 {
			for j := range r {
				r[j] += xs[i+j]
			}
		}
		s := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			s += xs[i]
		}
		return s
	}
	h := n / 2
	h -= h % 8
	return NumPySum(xs[:h]) + NumPySum(xs[h:])
}

// NumPyMean is np.mean; NaN for nothing.
func NumPyMean(xs []float64) float64 { return NumPySum(xs) / float64(len(xs)) }

// NumPyStd is np.std with ddof degrees of freedom taken off (np.std has 0).
func NumPyStd(xs []float64, ddof int) float64 {
	m := NumPyMean(xs)
	sq := make([]float64, len(xs))
	for i, x := range xs {
		d := x - m
		sq[i] = float64(d * d)
	}
	return math.Sqrt(NumPySum(sq) / float64(max(len(xs)-ddof, 0)))
}

// NumPyMedian is np.median; NaN for nothing.
func NumPyMedian(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs)) // NaN come first
	n := len(s)
	switch {
	case n == 0 || s[0] != s[0]:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// NumPyPercentile is np.percentile(xs, q) with its default, linear method;
// 0 ≤ q ≤ 100; NaN for nothing.
func NumPyPercentile(xs []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	if n == 0 || s[0] != s[0] {
		return math.NaN()
	}
	at := (q / 100) * float64(n-1)
	i := int(math.Floor(at))
	if i >= n-1 {
		return s[n-1]
	}
	a, b, t := s[i], s[i+1], at-math.Floor(at)
	d := b - a
	if t >= 0.5 {
		return b - float64(d*(1-t))
	}
	return a + float64(d*t)
}
