package summary

import "math"

// z is the 97.5 % quantile of the normal distribution.
const z = 1.959963984540054

// Interval is a 95 % confidence interval on the scale of its score.
type Interval struct{ Lo, Hi float64 }

// Wilson is the 95 % score interval (Wilson 1927) of the proportion
// correct/n, as fractions. n must be positive.
func Wilson(correct, n int) Interval {
	p, m := float64(correct)/float64(n), float64(n)
	mid := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	den := 1 + z*z/m
	iv := Interval{math.Max(0, (mid-half)/den), math.Min(1, (mid+half)/den)}
	if correct == 0 {
		iv.Lo = 0
	}
	if correct == n {
		iv.Hi = 1
	}
	return iv
}

// intervalOf is the interval of a measured score, from how many rows were
// judged right. There is none when the score is not that proportion, as a
// fraction or in percent.
func intervalOf(v float64, ev Evidence) (Interval, bool) {
	if ev.Judged <= 0 || ev.Correct < 0 || ev.Correct > ev.Judged {
		return Interval{}, false
	}
	p := float64(ev.Correct) / float64(ev.Judged)
	scale := 0.0
	switch { // 0 is 0 either way: percent, as the accuracies are
	case math.Abs(v-100*p) < 0.006: // some evaluators round to two places
		scale = 100
	case math.Abs(v-p) < 0.00006:
		scale = 1
	default:
		return Interval{}, false
	}
	w := Wilson(ev.Correct, ev.Judged)
	return Interval{w.Lo * scale, w.Hi * scale}, true
}

// combine is the interval of Σ cᵢ·xᵢ for independent xᵢ with intervals ivᵢ,
// by recovering a variance from each side of theirs (Zou and Donner 2008):
// the lower half-width is the root of the sum of squares of those that pull
// down.
func combine(v float64, c, x []float64, iv []Interval) Interval {
	var lo, hi float64
	for i := range c {
		down, up := c[i]*(x[i]-iv[i].Lo), c[i]*(iv[i].Hi-x[i])
		if c[i] < 0 {
			down, up = -up, -down
		}
		lo += down * down
		hi += up * up
	}
	return Interval{v - math.Sqrt(lo), v + math.Sqrt(hi)}
}
