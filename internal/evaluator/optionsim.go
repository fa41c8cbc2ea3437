package evaluator

import (
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/postprocess"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

func init() {
	Classes.Register(Class{New: newOptionSim, Rows: true}, "OptionSimAccEvaluator")
}

// optionSim reads which option an answer means: its letter, else what
// first_option_postprocess finds, else the one option whose text is in it,
// else the option nearest by edit distance. It is the default of
// multiple-choice custom datasets (opencompass/datasets/custom.py, 0.5.4).
type optionSim struct{ options []string }

func newOptionSim(cfg *py.Dict) (Evaluator, error) {
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		if n := registry.Nearest(k, []string{"options"}); n != "" && n != k {
			return nil, source.Errorf(cfg.KeyPosOf(k), "OptionSimAccEvaluator has no option %s", k).WithHint("did you mean %q?", n)
		}
	}
	v, ok := cfg.Lookup("options")
	if !ok {
		return nil, source.Errorf(cfg.At, "OptionSimAccEvaluator needs options").WithHint("such as options=['A', 'B', 'C', 'D']")
	}
	var items []py.Value
	pos := func(int) source.Pos { return cfg.PosOf("options") }
	switch x := v.(type) {
	case *py.List:
		items, pos = x.Items, x.PosOf
	case *py.Tuple:
		items, pos = x.Items, x.PosOf
	case string: // a text is its letters
		for _, c := range x {
			items = append(items, string(c))
		}
	default:
		return nil, source.Errorf(cfg.PosOf("options"), "options must be a list of letters, not %s", py.TypeName(v))
	}
	e := &optionSim{}
	for i, it := range items {
		s, ok := it.(string)
		if r := []rune(s); !ok || len(r) != 1 || !py.IsUpper(r[0]) {
			d := source.Errorf(pos(i), "each of options must be one upper-case letter, not %s", py.Repr(it))
			d.Err = py.Errorf("ValueError", "%s", d.Msg)
			return nil, d
		}
		e.options = append(e.options, s)
	}
	return fn(e.evaluate), nil
}

func (e *optionSim) evaluate(in Input) (Result, error) {
	n := len(in.Predictions)
	if n != len(in.References) {
		return Result{}, py.Errorf("AssertionError", "")
	}
	right, letters := make([]bool, n), make([]string, n)
	hits := 0
	for i, p := range in.Predictions {
		pred, ok := p.(string)
		if !ok {
			return Result{}, py.Errorf("AttributeError", "'%s' object has no attribute 'strip'", py.TypeName(p))
		}
		if i >= len(in.Rows) {
			return Result{}, py.Errorf("IndexError", "row %d is not in the data", i)
		}
		parsed, err := e.parse(pred, in.Rows[i])
		if err != nil {
			return Result{}, err
		}
		letters[i] = parsed
		if right[i] = py.Equal(parsed, in.References[i]); right[i] {
			hits++
		}
	}
	details := &RowDetails{Len: n, Row: func(i int) (*py.Dict, error) {
		return py.DictOf("pred", in.Predictions[i], "parsed", letters[i], "refr", in.References[i], "correct", right[i]), nil
	}}
	r, err := ratio(float64(hits), float64(n))
	return Result{Metrics: py.DictOf("accuracy", r*100), Details: details, Correct: right}, err
}

var firstOption = py.DictOf("cushion", false)

// parse is the letter of the option that pred means; "" where no option has a
// text.
func (e *optionSim) parse(pred string, row dataset.Row) (string, error) {
	pred = py.StripSpace(pred)
	for _, o := range e.options {
		if pred == o {
			return pred, nil
		}
	}
	find, err := postprocess.Functions.Lookup("first_option_postprocess")
	if err != nil {
		return "", err
	}
	kw := firstOption.Copy()
	kw.Set("options", strings.Join(e.options, ""))
	v, err := find(pred, kw)
	if err != nil {
		return "", err
	}
	if s, _ := v.(string); s != "" {
		return s, nil
	}
	texts, has := make([]string, len(e.options)), make([]bool, len(e.options))
	var within []string
	low := py.Lower(pred)
	for i, o := range e.options {
		v, ok := row.Lookup(o)
		if !ok {
			return "", py.Errorf("KeyError", "%s", py.Repr(o))
		}
		if v == nil {
			continue
		}
		if texts[i], has[i] = v.(string); !has[i] {
			return "", py.Errorf("AttributeError", "'%s' object has no attribute 'lower'", py.TypeName(v))
		}
		if strings.Contains(low, py.Lower(texts[i])) {
			within = append(within, o)
		}
	}
	if len(within) == 1 {
		return within[0], nil
	}
	best, bestD := "", -1
	for i, o := range e.options {
		if !has[i] {
			continue
		}
		d := min(levenshtein(pred, o), levenshtein(pred, texts[i]), levenshtein(pred, o+". "+texts[i]))
		if bestD < 0 || d < bestD || d == bestD && o < best {
			best, bestD = o, d
		}
	}
	return best, nil
}
