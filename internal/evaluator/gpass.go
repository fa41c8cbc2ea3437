package evaluator

import (
	"math"
	"math/big"
)

// GPass is G-Pass@k at threshold t for a question of which c of n answers are
// right: the probability that at least max(⌈k·t⌉, 1) of k answers drawn
// without replacement are. t = 0 is pass@k.
func GPass(n, c, k int, t float64) float64 {
	m := max(int(math.Ceil(float64(k)*t)), 1)
	return atLeast(n, c, k, m)
}

// MGPass is mG-Pass@k: twice the mean of G-Pass over thresholds above a half.
func MGPass(n, c, k int) float64 {
	var sum float64
	for i := (k+1)/2 + 1; i <= k; i++ {
		sum += atLeast(n, c, k, i)
	}
	return 2 * sum / float64(k)
}

// PassAtK is the usual unbiased estimate of pass@k.
func PassAtK(n, c, k int) float64 {
	if n-c < k {
		return 1
	}
	p := 1.0
	for j := n - c + 1; j <= n; j++ {
		p *= 1 - float64(k)/float64(j)
	}
	return 1 - p
}

// atLeast is P(X ≥ m) for X hypergeometric: k draws from n of which c count.
// It is summed exactly.
func atLeast(n, c, k, m int) float64 {
	if m > min(c, k) || k > n || c < 0 || n <= 0 {
		return 0
	}
	if c > n {
		return math.NaN() // no such thing
	}
	sum, term := new(big.Int), new(big.Int)
	for i := m; i <= min(c, k); i++ {
		if k-i > n-c {
			continue
		}
		term.Mul(new(big.Int).Binomial(int64(c), int64(i)), new(big.Int).Binomial(int64(n-c), int64(k-i)))
		sum.Add(sum, term)
	}
	f, _ := new(big.Rat).SetFrac(sum, new(big.Int).Binomial(int64(n), int64(k))).Float64()
	return f
}

// mean as NumPy computes it: pairwise sums, then one division.
func mean(v []float64) float64 { return npSum(v) / float64(len(v)) }

// npSum is numpy.sum of a contiguous float64 array.
func npSum(v []float64) float64 {
	n := len(v)
	switch {
	case n < 8:
		// NumPy begins with −0 in newer versions; adding to +0 differs only for
		// a sum of negative zeros
		var s float64
		for _, x := range v {
			s += x
		}
		return s
	case n <= 128:
		var r [8]float64
		copy(r[:], v)
		i := 8
		for ; i < n-n%8; i += 8 {
			for j := range r {
				r[j] += v[i+j]
			}
		}
		s := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			s += v[i]
		}
		return s
	}
	h := n / 2
	h -= h % 8
	return npSum(v[:h]) + npSum(v[h:])
}
