package evaluator

import (
	"sextant/internal/postprocess"
	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple(lengthsShort, exactMatch)}, "EMEvaluator")
}

// exactMatch counts predictions that, after general_postprocess, are one of
// the reference's answers as they are or after it. The answers of a detail
// stand in order of first appearance (the original takes them out of a set).
func exactMatch(in Input) (Result, error) {
	general, err := postprocess.Functions.Lookup("general")
	if err != nil {
		return Result{}, err
	}
	text := func(v py.Value) (string, error) {
		s, ok := v.(string)
		if !ok {
			return "", py.Errorf("TypeError", "expected a text, not %s", py.TypeName(v))
		}
		out, err := general(s, nil)
		if err != nil {
			return "", err
		}
		return out.(string), nil
	}
	details := py.NewList()
	right := make([]bool, len(in.Predictions))
	hits := 0
	for i, p := range in.Predictions {
		pred, err := text(p)
		if err != nil {
			return Result{}, err
		}
		refs, ok := in.References[i].(*py.List)
		if !ok {
			return Result{}, py.Errorf("TypeError", "reference %d must be a list of answers, not %s", i, py.TypeName(in.References[i]))
		}
		answers, seen := py.NewList(), map[string]bool{}
		add := func(s string) {
			if !seen[s] {
				seen[s] = true
				answers.Items = append(answers.Items, s)
			}
		}
		for _, a := range refs.Items {
			s, err := text(a)
			if err != nil {
				return Result{}, err
			}
			add(a.(string))
			add(s)
		}
		right[i] = seen[pred]
		if right[i] {
			hits++
		}
		details.Items = append(details.Items, py.DictOf("pred", pred, "answer", answers, "correct", right[i]))
	}
	r, err := ratio(float64(hits), float64(len(in.Predictions)))
	return Result{Metrics: py.DictOf("score", r*100), Details: details, Correct: right}, err
}
