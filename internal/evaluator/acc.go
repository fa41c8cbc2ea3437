package evaluator

import (
	"context"
	"fmt"
	"math"
	"strings"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple(lengths, accuracy)}, "AccEvaluator")
}

// Wordings of the original for predictions and references that are not as many.
const (
	lengths      = "predictions and references have different length. len(predictions): %d, len(references): %d"
	lengthsShort = "predictions and references have different length"
	lengthsDot   = "predictions and references have different length."
	lengthsRefrs = "preds and refrs have different length"
)

// simple makes a Class.New of an evaluator without options (but for
// pred_postprocessor, which Run applies). When predictions and references are
// not as many, the result is an error text in the given words, as it is in the
// original when score is called by itself; Run refuses such input before.
func simple(wording string, f func(Input) (Result, error)) func(*py.Dict) (Evaluator, error) {
	return func(*py.Dict) (Evaluator, error) {
		return fn(func(in Input) (Result, error) {
			if wording != "" && len(in.Predictions) != len(in.References) {
				msg := wording
				if strings.Contains(msg, "%d") {
					msg = fmt.Sprintf(msg, len(in.Predictions), len(in.References))
				}
				return Result{Metrics: py.DictOf("error", msg)}, nil
			}
			return f(in)
		}), nil
	}
}

type fn func(Input) (Result, error)

func (f fn) Evaluate(ctx context.Context, in Input) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return f(in)
}

// accuracy is the share of predictions whose str() equals that of their
// reference, times 100 after the division (29 of 100 is 28.999999999999996).
// No rows give NaN.
func accuracy(in Input) (Result, error) {
	right, err := equalAsText(in)
	if err != nil {
		return Result{}, err
	}
	return Result{Metrics: py.DictOf("accuracy", share(right)*100), Correct: right}, nil
}

func equalAsText(in Input) ([]bool, error) {
	right := make([]bool, len(in.Predictions))
	for i, p := range in.Predictions {
		if _, ok := py.HashKey(p); !ok {
			return nil, py.Errorf("TypeError", "unhashable type: '%s' (prediction %d: this evaluator wants one answer a row; does a postprocessor return lists, or num_return_sequences ask for several?)", py.TypeName(p), i)
		}
		right[i] = sameText(p, in.References[i])
	}
	return right, nil
}

func sameText(a, b py.Value) bool {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return x == y
		}
	}
	return py.Str(a) == py.Str(b)
}

// share is the part of true among v; NaN of none.
func share(v []bool) float64 {
	n := 0
	for _, b := range v {
		if b {
			n++
		}
	}
	if len(v) == 0 {
		return math.NaN()
	}
	return float64(n) / float64(len(v))
}
