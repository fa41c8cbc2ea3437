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
	row := func(i int) (pred string, answers *py.List, right bool, err error) {
		if pred, err = text(in.Predictions[i]); err != nil {
			return
		}
		refs, ok := in.References[i].(*py.List)
		if !ok {
			return pred, nil, false, py.Errorf("TypeError", "reference %d must be a list of answers, not %s", i, py.TypeName(in.References[i]))
		}
		seen := map[string]bool{}
		answers = py.NewList()
		add := func(s string) {
			if !seen[s] {
				seen[s] = true
				answers.Items = append(answers.Items, s)
			}
		}
		for _, a := range refs.Items {
			s, err := text(a)
			if err != nil {
				return pred, nil, false, err
			}
			add(a.(string))
			add(s)
		}
		return pred, answers, seen[pred], nil
	}
	right := make([]bool, len(in.Predictions))
	hits := 0
	for i := range in.Predictions {
		var err error
		if _, _, right[i], err = row(i); err != nil {
			return Result{}, err
		}
		if right[i] {
			hits++
		}
	}
	details := &RowDetails{Len: len(right), List: true, Row: func(i int) (*py.Dict, error) {
		pred, answers, ok, err := row(i)
		return py.DictOf("pred", pred, "answer", answers, "correct", ok), err
	}}
	r, err := ratio(float64(hits), float64(len(in.Predictions)))
	return Result{Metrics: py.DictOf("score", r*100), Details: details, Correct: right}, err
}
