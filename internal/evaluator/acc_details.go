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
	details := py.NewDict()
	right := make([]bool, n)
	hits := 0
	for i, p := range in.Predictions {
		if i >= len(in.Prompts) {
			return Result{}, py.Errorf("IndexError", "row %d has no origin_prompt", i)
		}
		right[i] = py.Equal(p, in.References[i])
		if right[i] {
			hits++
		}
		details.Set(py.Str(i), py.DictOf("prompt", in.Prompts[i], "pred", p, "refr", in.References[i], "is_correct", right[i]))
	}
	r, err := ratio(float64(hits), float64(n))
	return Result{Metrics: py.DictOf("accuracy", r*100), Details: details, Correct: right}, err
}
