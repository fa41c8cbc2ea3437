package evaluator

import (
	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple("preds and refrs have different length.", accWithDetails)}, "AccwithDetailsEvaluator")
}

// accWithDetails is accuracy by ==, not by text, with a detail a row. The
// count is divided and then multiplied.
func accWithDetails(in Input) (Result, error) {
	n := len(in.Predictions)
	if in.Records == nil && n > 0 {
		return Result{}, py.Errorf("IndexError", "row 0 has no origin_prompt")
	}
	right := make([]bool, n)
	hits := 0
	for i, p := range in.Predictions {
		right[i] = py.Equal(p, in.References[i])
		if right[i] {
			hits++
		}
	}
	details := &RowDetails{Len: n, Row: func(i int) (*py.Dict, error) {
		rec, err := in.Records.At(i)
		if err != nil {
			return nil, err
		}
		return py.DictOf("prompt", rec.Get("origin_prompt"), "pred", in.Predictions[i], "refr", in.References[i], "is_correct", right[i]), nil
	}}
	r, err := ratio(float64(hits), float64(n))
	return Result{Metrics: py.DictOf("accuracy", r*100), Details: details, Correct: right}, err
}
