package dataset

// WinoGrande: 1,267 validation sentences (dev of winogrande_xl) with a blank
// that one of two options fills; the smallest training set, train_xs, has 160.
//
// Source: https://winogrande.allenai.org (winogrande_1.1), laid out as
// {train_xs,dev}.jsonl. Licence: CC-BY. Paper: Sakaguchi et al. 2019,
// arXiv:1907.10641. Fields as in opencompass/datasets/winogrande.py (0.5.4).

import (
	"context"
	"strconv"
	"strings"

	"sextant/internal/py"
)

var winograndeColumns = []string{"prompt", "only_option1", "only_option2", "opt1", "opt2", "answer", "cont"}

func init() {
	Classes.Register(Class{Load: winogrande(false), Columns: winograndeColumns}, "WinograndeDataset")
	Classes.Register(Class{Load: winogrande(true), Columns: winograndeColumns}, "WinograndeDatasetV2")
	Classes.Register(Class{Load: winograndeSplits, Columns: winograndeColumns}, "WinograndeDatasetV3")
}

// winogrande loads dev.jsonl as one table; letters turns the answers "1" and
// "2" into "A" and "B".
func winogrande(letters bool) Loader {
	return func(ctx context.Context, args *py.Dict, src Source) (Data, error) {
		if err := checkArgs(args, "path"); err != nil {
			return Data{}, err
		}
		path, err := pathArg(args)
		if err != nil {
			return Data{}, err
		}
		t, err := winograndeFile(ctx, src, path, "dev.jsonl", letters)
		return Data{Table: t}, err
	}
}

// winograndeSplits loads train_xs and dev, answers as letters.
func winograndeSplits(ctx context.Context, args *py.Dict, src Source) (Data, error) {
	if err := checkArgs(args, "path"); err != nil {
		return Data{}, err
	}
	path, err := pathArg(args)
	if err != nil {
		return Data{}, err
	}
	read := func(split string) func() (Table, error) {
		return func() (Table, error) { return winograndeFile(ctx, src, path, split+".jsonl", true) }
	}
	return Data{
		Order: []string{"train_xs", "dev"},
		Lazy:  map[string]func() (Table, error){"train_xs": read("train_xs"), "dev": read("dev")},
	}, nil
}

func winograndeFile(ctx context.Context, src Source, path, name string, letters bool) (Table, error) {
	t, err := readJSONL(ctx, src, path, name)
	if err != nil {
		return nil, err
	}
	for i, in := range t {
		var f [3]string
		for k, key := range []string{"sentence", "option1", "option2"} {
			if f[k], err = stringField(name, i, in, key); err != nil {
				return nil, err
			}
		}
		parts := strings.Split(f[0], "_")
		if len(parts) < 2 {
			return nil, lineErrorf(name, i, "the sentence has no blank (_)")
		}
		answer, ok := in.Lookup("answer")
		if !ok {
			return nil, lineErrorf(name, i, "the row has no %q", "answer")
		}
		if letters {
			if answer, err = winograndeLetter(answer); err != nil {
				return nil, lineErrorf(name, i, "%w", err)
			}
		}
		t[i] = py.DictOf(
			"prompt", f[0],
			"only_option1", f[1], "only_option2", f[2],
			"opt1", strings.ReplaceAll(f[0], "_", f[1]),
			"opt2", strings.ReplaceAll(f[0], "_", f[2]),
			"answer", answer,
			"cont", parts[1])
	}
	return t, nil
}

// winograndeLetter is A for 1, B for 2 and NULL for "".
func winograndeLetter(v py.Value) (py.Value, error) {
	n, isInt := v.(int)
	if s, ok := v.(string); ok {
		if s == "" {
			return "NULL", nil
		}
		if i, err := strconv.Atoi(py.StripSpace(s)); err == nil {
			n, isInt = i, true
		}
	}
	if !isInt || n < 1 || n > 2 {
		return nil, errAnswer(py.Repr(v))
	}
	return "AB"[n-1 : n], nil
}

type errAnswer string

func (e errAnswer) Error() string { return "the answer " + string(e) + " is not 1 or 2" }
