package evaluator

import (
	"math"
	"slices"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple("", averageOf("ppl", "average_ppl"))}, "AveragePPLEvaluator")
	Classes.Register(Class{New: simple("", averageOf("mink", "average_mink"))}, "AverageMinKEvaluator")
	Classes.Register(Class{New: simple("", averageInferencePPL)}, "AverageInferencePPLEvaluator")
	Classes.Register(Class{New: simple("", bitsPerCharacter)}, "BPCEvaluator")
}

// column is a numeric member of the prediction records.
func column(in Input, name string) ([]float64, error) {
	if in.Records == nil || !slices.Contains(in.Records.Keys(), name) {
		return nil, py.Errorf("KeyError", "the predictions have no member %s: they were made by another inferencer than this evaluator is for", name)
	}
	out := make([]float64, in.Records.Len())
	for i := range out {
		rec, err := in.Records.At(i)
		if err != nil {
			return nil, err
		}
		v := rec.Get(name)
		f, ok := number(v)
		if !ok {
			return nil, py.Errorf("TypeError", "%s of row %d is %s, not a number", name, i, py.TypeName(v))
		}
		out[i] = f
	}
	return out, nil
}

// sum adds from left to right, as Python's sum does.
func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

func ratio(a, b float64) (float64, error) {
	if b == 0 {
		return 0, py.Errorf("ZeroDivisionError", "there are no rows to average over")
	}
	return a / b, nil
}

func averageOf(col, metric string) func(Input) (Result, error) {
	return func(in Input) (Result, error) {
		v, err := column(in, col)
		if err != nil {
			return Result{}, err
		}
		m, err := ratio(sum(v), float64(len(v)))
		return Result{Metrics: py.DictOf(metric, m)}, err
	}
}

// averageInferencePPL is the summed loss over the number of tokens that it was
// summed over.
func averageInferencePPL(in Input) (Result, error) {
	v, err := column(in, "ppl")
	if err != nil {
		return Result{}, err
	}
	n, err := column(in, "token_len")
	if err != nil {
		return Result{}, err
	}
	m, err := ratio(sum(v), sum(n))
	return Result{Metrics: py.DictOf("average_ppl", m)}, err
}

// bitsPerCharacter is the summed loss in bits over the characters of the whole
// text, whose number each record repeats.
func bitsPerCharacter(in Input) (Result, error) {
	loss, err := column(in, "loss")
	if err != nil {
		return Result{}, err
	}
	chars, err := column(in, "total_chr_num")
	if err != nil {
		return Result{}, err
	}
	if len(chars) == 0 {
		return Result{}, py.Errorf("IndexError", "there are no rows")
	}
	m, err := ratio(sum(loss), chars[0]*math.Log(2))
	return Result{Metrics: py.DictOf("bpc", m)}, err
}
