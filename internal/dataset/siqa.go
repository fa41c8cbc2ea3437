package dataset

// Social IQa: 1,954 validation and 33,410 training questions about social
// situations, three answers each.
//
// Source: https://allenai.org/data/socialiqa (socialiqa-train-dev.zip, 2019),
// laid out as {train,dev}.jsonl with labels 1, 2, 3 in {train,dev}-labels.lst.
// Licence: the authors' archive states none. Paper: Sap et al. 2019,
// arXiv:1904.09728. Fields as in opencompass/datasets/siqa.py (0.5.4).

import (
	"context"
	"fmt"
	"strconv"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{Load: siqa(siqaV1), Columns: []string{"context", "question", "answerA", "answerB", "answerC", "label"}}, "siqaDataset")
	Classes.Register(Class{Load: siqa(siqaV2), Columns: []string{"context", "question", "answerA", "answerB", "answerC", "all_labels", "label"}}, "siqaDataset_V2")
	Classes.Register(Class{Load: siqa(siqaV3), Columns: []string{"context", "question", "A", "B", "C", "answer"}}, "SiqaDatasetV3")
}

// siqa makes the loader of splits train and validation whose rows shape gives
// their final columns. The training split is read only when it is needed.
func siqa(shape func(row *py.Dict, label int) error) Loader {
	return func(ctx context.Context, args *py.Dict, src Source) (Data, error) {
		if err := checkArgs(args, "path"); err != nil {
			return Data{}, err
		}
		path, err := pathArg(args)
		if err != nil {
			return Data{}, err
		}
		read := func(data string) func() (Table, error) {
			return func() (Table, error) { return labelled(ctx, src, path, data+".jsonl", data+"-labels.lst", shape) }
		}
		return Data{
			Order: []string{"train", "validation"},
			Lazy:  map[string]func() (Table, error){"train": read("train"), "validation": read("dev")},
		}, nil
	}
}

// labelled reads rows from one file and a whole number for each from another.
func labelled(ctx context.Context, src Source, path, data, labels string, shape func(row *py.Dict, label int) error) (Table, error) {
	t, err := readJSONL(ctx, src, path, data)
	if err != nil {
		return nil, err
	}
	b, err := src.ReadFile(ctx, path, labels)
	if err != nil {
		return nil, err
	}
	lines := textLines(b)
	if len(lines) != len(t) {
		return nil, fmt.Errorf("%s: %s has %d of the %d labels that %s needs, one line for each question", path, labels, len(lines), len(t), data)
	}
	for i, row := range t {
		label, err := strconv.Atoi(py.StripSpace(lines[i]))
		if err != nil {
			return nil, lineErrorf(labels, i, "the label %q is not a whole number", lines[i])
		}
		if err := shape(row, label); err != nil {
			return nil, lineErrorf(data, i, "%w", err)
		}
	}
	return t, nil
}

func siqaV1(row *py.Dict, label int) error {
	row.Set("label", label)
	return nil
}

var siqaAnswers = []string{"answerA", "answerB", "answerC"}

func siqaV2(row *py.Dict, label int) error {
	if label < 1 || label > 3 {
		return fmt.Errorf("label %d is not 1, 2 or 3", label)
	}
	cands := py.NewList()
	for i, key := range siqaAnswers {
		text, ok := row.Get(key).(string)
		if !ok {
			return fmt.Errorf("the row has no %q", key)
		}
		letter := "ABC"[i : i+1]
		cands.Append(py.NewList(letter+". "+text, letter, text), 0)
	}
	row.Set("all_labels", py.DictOf("candidates", cands, "label", label-1))
	row.Set("label", "ABC"[label-1:label])
	return nil
}

func siqaV3(row *py.Dict, label int) error {
	if label < 1 || label > 3 {
		return fmt.Errorf("label %d is not 1, 2 or 3", label)
	}
	for i, key := range siqaAnswers {
		v, ok := row.Lookup(key)
		if !ok {
			return fmt.Errorf("the row has no %q", key)
		}
		row.Delete(key)
		row.Set("ABC"[i:i+1], v)
	}
	row.Set("answer", "ABC"[label-1:label])
	return nil
}
