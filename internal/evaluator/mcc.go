package evaluator

import (
	"math"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple(lengths, matthews)}, "MccEvaluator")
}

// matthews is the multi-class Matthews correlation of labels compared as
// text, times 100; 0 where it is not defined.
func matthews(in Input) (Result, error) {
	if _, err := equalAsText(in); err != nil {
		return Result{}, err
	}
	index := map[string]int{}
	class := func(v py.Value) int {
		s := py.Str(v)
		if _, ok := index[s]; !ok {
			index[s] = len(index)
		}
		return index[s]
	}
	n := len(in.Predictions)
	p, t := make([]int, n), make([]int, n)
	for i := range n {
		t[i], p[i] = class(in.References[i]), class(in.Predictions[i])
	}
	pc, tc := make([]float64, len(index)), make([]float64, len(index))
	var hits float64
	for i := range n {
		pc[p[i]]++
		tc[t[i]]++
		if p[i] == t[i] {
			hits++
		}
	}
	var pt, pp, tt float64
	for k := range pc {
		pt, pp, tt = pt+pc[k]*tc[k], pp+pc[k]*pc[k], tt+tc[k]*tc[k]
	}
	s := float64(n)
	cov, vp, vt := hits*s-pt, s*s-pp, s*s-tt
	mcc := 0.0
	if vp*vt != 0 {
		mcc = cov / math.Sqrt(vt*vp)
	}
	return Result{Metrics: py.DictOf("matthews_correlation", mcc*100)}, nil
}
