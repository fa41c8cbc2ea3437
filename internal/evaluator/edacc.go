package evaluator

import (
	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple(lengths, editDistanceAccuracy)}, "EDAccEvaluator")
}

// editDistanceAccuracy takes the candidate nearest to the prediction by
// Levenshtein distance (the first one on ties; of a list of spellings the
// nearest) for the answer, and compares its number with the label.
func editDistanceAccuracy(in Input) (Result, error) {
	right := make([]bool, len(in.Predictions))
	for i, p := range in.Predictions {
		pred, ok := p.(string)
		if !ok {
			return Result{}, py.Errorf("TypeError", "prediction %d must be text, not %s", i, py.TypeName(p))
		}
		ref, ok := in.References[i].(*py.Dict)
		if !ok {
			return Result{}, py.Errorf("TypeError", "reference %d must be a dict with candidates and label, not %s", i, py.TypeName(in.References[i]))
		}
		cands := ref.List("candidates")
		if cands == nil || cands.Len() == 0 {
			return Result{}, py.Errorf("ValueError", "reference %d has no candidates", i)
		}
		best, bestD := 0, -1
		for k, c := range cands.Items {
			spellings := []py.Value{c}
			if l, ok := c.(*py.List); ok {
				spellings = l.Items
			}
			d := -1
			for _, s := range spellings {
				text, ok := s.(string)
				if !ok {
					return Result{}, py.Errorf("TypeError", "candidate %d of reference %d must be text, not %s", k, i, py.TypeName(s))
				}
				if x := levenshtein(pred, text); d < 0 || x < d {
					d = x
				}
			}
			if d < 0 {
				return Result{}, py.Errorf("ValueError", "candidate %d of reference %d has no spelling", k, i)
			}
			if bestD < 0 || d < bestD {
				best, bestD = k, d
			}
		}
		label, err := py.Int(ref.Get("label"))
		if err != nil {
			return Result{}, err
		}
		right[i] = label == best
	}
	return Result{Metrics: py.DictOf("accuracy", share(right)*100), Correct: right}, nil
}

// levenshtein is the edit distance in code points.
func levenshtein(a, b string) int {
	x, y := py.Runes(a), py.Runes(b)
	if len(x) < len(y) {
		x, y = y, x
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diag := row[0]
		row[0] = i + 1
		for j, s := range y {
			d := diag
			if r != s {
				d = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], d
		}
	}
	return row[len(y)]
}
