package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/source"
)

// files is a Source over a map from "path/name" to content.
type files map[string]string

func (f files) ReadFile(_ context.Context, path, name string) ([]byte, error) {
	if s, ok := f[path+"/"+name]; ok {
		return []byte(s), nil
	}
	return nil, &MissingError{Path: path, Name: name, Tried: []string{"the map: not there"}, Hint: "write it"}
}

func (f files) Exists(_ context.Context, path, name string) bool {
	_, ok := f[path+"/"+name]
	return ok
}
func (f files) Origins() []Origin { return nil }

func table(prefix string, n int) Table {
	t := make(Table, n)
	for i := range t {
		t[i] = py.DictOf("q", fmt.Sprint(prefix, i), "a", "abcdefghij"[i:i+1])
	}
	return t
}

func column(t Table, name string) []string {
	var out []string
	for _, r := range t {
		out = append(out, r.Str(name))
	}
	return out
}

func TestReaderSplitsConformance(t *testing.T) {
	t.Parallel()
	total := 0
	jsonLines(t, sharedtest.Path(t, "conformance", "partitions", "reader_splits.jsonl"), func(line int, c struct {
		Splits any
		Reader map[string]json.RawMessage `json:"reader_cfg"`
		Result struct{ Train, Test []string }
		Error  string
	}) {
		total++
		rc := py.DictOf("input_columns", py.NewList("q"), "output_column", "a")
		for _, k := range slices.Sorted(maps.Keys(c.Reader)) {
			rc.Set(k, rangeValue(t, c.Reader[k]))
		}
		r, err := newReader(py.DictOf("abbr", "x", "type", "T", "reader_cfg", rc))
		if err != nil {
			t.Fatalf("line %d: %v", line, err)
		}
		data := Data{Table: table("t", 10)}
		if _, ok := c.Splits.([]any); ok {
			data = Data{Splits: map[string]Table{}, Order: []string{"train", "test", "validation"}}
			for _, s := range data.Order {
				data.Splits[s] = table(s, 10)
			}
		}
		set, err := r.apply(data)
		if c.Error != "" {
			if err == nil {
				t.Errorf("line %d: no error, want %s", line, c.Error)
			}
			return
		}
		if err != nil {
			t.Errorf("line %d: %v", line, err)
			return
		}
		if got := column(set.Train, "q"); !slices.Equal(got, c.Result.Train) {
			t.Errorf("line %d: train %v, want %v", line, got, c.Result.Train)
		}
		if got := column(set.Test, "q"); !slices.Equal(got, c.Result.Test) {
			t.Errorf("line %d: test %v, want %v", line, got, c.Result.Test)
		}
	})
	if total != 26 {
		t.Errorf("%d cases, want 26", total)
	}
}

func siqaFiles() files {
	row := func(i int) string {
		return fmt.Sprintf(`{"context": "c%d", "question": "q%d", "answerA": "a%d", "answerB": "b%d", "answerC": "é%d"}`, i, i, i, i, i)
	}
	return files{
		"./data/siqa/dev.jsonl":        row(0) + "\n" + row(1) + "\r\n" + row(2) + "\n",
		"./data/siqa/dev-labels.lst":   "1\n2\n 3\n",
		"./data/siqa/train.jsonl":      row(9),
		"./data/siqa/train-labels.lst": "2",
	}
}

// siqaCfg is a dataset config; more are further keys of it or, with "r:", of
// its reader_cfg. Every value has a position: its place in the list times 10.
func siqaCfg(t *testing.T, typ string, more ...py.Value) *py.Dict {
	t.Helper()
	d, rc := py.NewDict(), py.NewDict()
	d.At, rc.At = 1, 2
	pos := source.Pos(10)
	put := func(k string, v py.Value) {
		to := d
		if s, ok := strings.CutPrefix(k, "r:"); ok {
			to, k = rc, s
		}
		if err := to.Put(py.Entry{Key: k, Val: v, Pos: pos, KeyPos: pos + 1}); err != nil {
			t.Fatal(err)
		}
		pos += 10
	}
	put("abbr", "siqa")                                       // 10
	put("type", typ)                                          // 20
	put("path", "./data/siqa")                                // 30
	put("reader_cfg", rc)                                     // 40
	put("r:input_columns", py.NewList("context", "question")) // 50
	put("r:output_column", "label")                           // 60
	put("r:test_split", "validation")                         // 70
	put("infer_cfg", py.DictOf("retriever", py.DictOf("type", "opencompass.openicl.icl_retriever.ZeroRetriever"),
		"prompt_template", py.DictOf("template", "{context} {typo}"))) // 80
	pos = 100
	for i := 0; i < len(more); i += 2 {
		put(more[i].(string), more[i+1])
	}
	return d
}

func TestSIQA(t *testing.T) {
	t.Parallel()
	tests := []struct {
		class, output string
		want          string // the last row of validation
	}{
		{"siqaDataset", "label", `{'context': 'c2', 'question': 'q2', 'answerA': 'a2', 'answerB': 'b2', 'answerC': 'é2', 'label': 3, 'subdivision': 'siqa_validation', 'idx': 2}`},
		{"siqaDataset_V2", "all_labels", `{'context': 'c2', 'question': 'q2', 'answerA': 'a2', 'answerB': 'b2', 'answerC': 'é2', 'all_labels': {'candidates': [['A. a2', 'A', 'a2'], ['B. b2', 'B', 'b2'], ['C. é2', 'C', 'é2']], 'label': 2}, 'label': 'C', 'subdivision': 'siqa_validation', 'idx': 2}`},
		{"opencompass.datasets.SiqaDatasetV3", "answer", `{'context': 'c2', 'question': 'q2', 'A': 'a2', 'B': 'b2', 'C': 'é2', 'answer': 'C', 'subdivision': 'siqa_validation', 'idx': 2}`},
	}
	for _, tt := range tests {
		set, err := Read(t.Context(), siqaCfg(t, tt.class, "r:output_column", tt.output), siqaFiles())
		if err != nil {
			t.Errorf("%s: %v", tt.class, err)
			continue
		}
		if len(set.Test) != 3 || set.Train != nil || set.N != 1 {
			t.Errorf("%s: %d test and %d training rows, n=%d", tt.class, len(set.Test), len(set.Train), set.N)
		}
		if got := py.Repr(set.Test[2]); got != tt.want {
			t.Errorf("%s: row 2 is\n%s\nwant\n%s", tt.class, got, tt.want)
		}
	}
}

func TestWinogrande(t *testing.T) {
	t.Parallel()
	src := files{
		"p/dev.jsonl":      `{"qID": "x", "sentence": "A _ b _ c", "option1": "X", "option2": "Y", "answer": "2"}` + "\n",
		"p/train_xs.jsonl": `{"sentence": "D_", "option1": "X", "option2": "Y", "answer": ""}`,
	}
	row := `{'prompt': 'A _ b _ c', 'only_option1': 'X', 'only_option2': 'Y', 'opt1': 'A X b X c', 'opt2': 'A Y b Y c', 'answer': '%s', 'cont': ' b ', 'subdivision': '%s', 'idx': 0}`
	tests := []struct {
		class       string
		reader      []py.Value
		test, train string
	}{
		{"WinograndeDataset", nil, fmt.Sprintf(row, "2", "w"), fmt.Sprintf(row, "2", "w")},
		{"WinograndeDatasetV2", nil, fmt.Sprintf(row, "B", "w"), fmt.Sprintf(row, "B", "w")},
		{"WinograndeDatasetV3", []py.Value{"train_split", "train_xs", "test_split", "dev"}, fmt.Sprintf(row, "B", "w_dev"),
			`{'prompt': 'D_', 'only_option1': 'X', 'only_option2': 'Y', 'opt1': 'DX', 'opt2': 'DY', 'answer': 'NULL', 'cont': '', 'subdivision': 'w_train_xs', 'idx': 0}`},
	}
	for _, tt := range tests {
		rc := py.DictOf(append([]py.Value{"input_columns", "opt1 opt2", "output_column", "answer"}, tt.reader...)...)
		set, err := Read(t.Context(), py.DictOf("abbr", "w", "type", tt.class, "path", "p", "reader_cfg", rc), src)
		if err != nil {
			t.Errorf("%s: %v", tt.class, err)
			continue
		}
		if got := py.Repr(set.Test[0]); got != tt.test {
			t.Errorf("%s: test row is\n%s\nwant\n%s", tt.class, got, tt.test)
		}
		if got := py.Repr(set.Train[0]); got != tt.train {
			t.Errorf("%s: training row is\n%s\nwant\n%s", tt.class, got, tt.train)
		}
		if !slices.Equal(set.Input, []string{"opt1", "opt2"}) || set.Output != "answer" {
			t.Errorf("%s: columns %q, %q", tt.class, set.Input, set.Output)
		}
	}
}

func TestReadMistakes(t *testing.T) {
	t.Parallel()
	typo := func(d *py.Dict) { d.Dict("reader_cfg").Set("input_columns", py.NewList("context", "typo")) }
	tests := []struct {
		name   string
		cfg    *py.Dict
		change func(files)
		pos    source.Pos // 0: not a diagnostic
		want   string     // in the message
		hint   string
	}{
		{"class", siqaCfg(t, "siqaDatset"), nil, 20, `unknown dataset "siqaDatset"`, `did you mean "siqaDataset"?`},
		{"no folder", siqaCfg(t, "siqaDataset", "path", "./data/nosuch"), nil, 100, `dataset "siqa": data not found: dev.jsonl of ./data/nosuch (tried the map: not there)`, "write it"},
		{"no path", func() *py.Dict { d := siqaCfg(t, "siqaDataset"); d.Delete("path"); return d }(), nil, 1, "this dataset has no path", "say where its files are, such as path='./data/siqa'"},
		{"a label too few", siqaCfg(t, "siqaDataset"), func(f files) { f["./data/siqa/dev-labels.lst"] = "1\n2\n" }, 0, "dev-labels.lst has 2 of the 3 labels that dev.jsonl needs", ""},
		{"a bad label", siqaCfg(t, "siqaDataset"), func(f files) { f["./data/siqa/dev-labels.lst"] = "1\nx\n3\n" }, 0, `dev-labels.lst:2: the label "x" is not a whole number`, ""},
		{"a label out of range", siqaCfg(t, "SiqaDatasetV3"), func(f files) { f["./data/siqa/dev-labels.lst"] = "1\n2\n0\n" }, 0, `dev.jsonl:3: label 0 is not 1, 2 or 3`, ""},
		{"bad JSON", siqaCfg(t, "siqaDataset"), func(f files) { f["./data/siqa/dev.jsonl"] = "{}\n{\n{}\n" }, 0, "read dataset siqa: dev.jsonl:2: ", ""},
		{"not an object", siqaCfg(t, "siqaDataset"), func(f files) { f["./data/siqa/dev.jsonl"] = "{}\n[]\n{}\n" }, 0, "dev.jsonl:2: a JSON object is expected, not list", ""},
		{"output column", siqaCfg(t, "siqaDataset", "r:output_column", "lable"), nil, 100, `dataset "siqa" has no column "lable"`, `did you mean "label"?`},
		{"input column that a template uses", func() *py.Dict { d := siqaCfg(t, "siqaDataset"); typo(d); return d }(), nil, 2, `dataset "siqa" has no column "typo"`, `its columns are "context", "question", "answerA", "answerB", "answerC", "label"`},
		{"split", siqaCfg(t, "siqaDataset", "r:test_split", "test"), nil, 100, `dataset "siqa" has no split "test"`, `it has "train", "validation"`},
		{"range", siqaCfg(t, "siqaDataset", "r:test_range", "[0:1"), nil, 100, `test_range "[0:1": a ']' is missing`, ""},
		{"range of the wrong kind", siqaCfg(t, "siqaDataset", "r:test_range", 1.5), nil, 100, `test_range 1.5: a number of rows`, ""},
		{"key of the class", siqaCfg(t, "siqaDataset", "pth", "x"), nil, 101, "unknown key 'pth' of this dataset class", `did you mean "path"?`},
		{"reader key", siqaCfg(t, "siqaDataset", "r:test_rang", "x"), nil, 101, `unknown key 'test_rang' in reader_cfg of "siqa"`, `did you mean "test_range"?`},
		{"k above n", siqaCfg(t, "siqaDataset", "n", 2, "k", py.NewList(1, 3)), nil, 110, "k is 3 but n is only 2", "n is how often each question is asked, and k counts the successes among them: n must be at least k"},
		{"n", siqaCfg(t, "siqaDataset", "n", 0), nil, 100, "n must be a whole number of at least 1, not 0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := siqaFiles()
			if tt.change != nil {
				tt.change(src)
			}
			_, err := Read(t.Context(), tt.cfg, src)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			ds := source.Diagnostics(err)
			if tt.pos == 0 {
				if len(ds) != 0 {
					t.Errorf("the data's fault is blamed on the config: %+v", ds[0])
				}
				return
			}
			if len(ds) != 1 || ds[0].Pos != tt.pos || ds[0].Hint != tt.hint {
				t.Errorf("diagnostics %+v, want position %d and hint %q", ds, tt.pos, tt.hint)
			}
		})
	}
}

func TestUnusedColumnIsAWarning(t *testing.T) {
	t.Parallel()
	cfg := siqaCfg(t, "siqaDataset", "r:input_columns", py.NewList("context", "contxt"))
	set, err := Read(t.Context(), cfg, siqaFiles())
	if err != nil || len(set.Warnings) != 1 || set.Warnings[0].Hint != `did you mean "context"?` {
		t.Errorf("Read = %+v, %v", set, err)
	}
}

func TestReplicasAndRows(t *testing.T) {
	t.Parallel()
	set, err := Read(t.Context(), siqaCfg(t, "siqaDataset", "n", 3, "k", 2, "r:test_range", "[::-2]"), siqaFiles())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := column(set.Test, "context"), []string{"c2", "c0", "c2", "c0", "c2", "c0"}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	type at struct{ row, repeat int }
	rows := func(s *Set) (out []at) {
		for i := range s.Test {
			r, c := s.Row(i)
			out = append(out, at{r, c})
		}
		return out
	}
	if got, want := rows(set), []at{{2, 0}, {0, 0}, {2, 1}, {0, 1}, {2, 2}, {0, 2}}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	if got, want := rows(set.Slice(1, 4)), []at{{0, 0}, {2, 1}, {0, 1}}; !slices.Equal(got, want) {
		t.Errorf("slice %v, want %v", got, want)
	}
	if got, want := rows(set.Slice(4, -1)), []at{{2, 2}, {0, 2}}; !slices.Equal(got, want) {
		t.Errorf("slice to the end %v, want %v", got, want)
	}
	if got := rows(set.Slice(9, 12)); got != nil {
		t.Errorf("slice behind the end %v", got)
	}
	if !slices.Equal(set.K, []int{2}) || set.N != 3 {
		t.Errorf("n %d, k %v", set.N, set.K)
	}
}

// TestContent says what changes a dataset's content version, and what not.
func TestContent(t *testing.T) {
	t.Parallel()
	read := func(cfg *py.Dict, f files) *Set {
		t.Helper()
		set, err := Read(t.Context(), cfg, f)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	base := read(siqaCfg(t, "siqaDataset"), siqaFiles())
	if len(base.Origin) != 2 || base.Origin[0].Name != "dev.jsonl" || base.Origin[1].Name != "dev-labels.lst" {
		t.Errorf("origins %+v: the training split was read, or the validation split was not", base.Origin)
	}
	moved := files{}
	for k, v := range siqaFiles() {
		moved[strings.Replace(k, "./data/siqa", "/else/where", 1)] = v
	}
	edited := siqaFiles()
	edited["./data/siqa/dev-labels.lst"] = "1\n2\n2\n"
	fewShot := siqaCfg(t, "siqaDataset")
	fewShot.Set("infer_cfg", py.DictOf("retriever", py.DictOf("type", "FixKRetriever")))
	tests := []struct {
		name string
		set  *Set
		same bool
	}{
		{"part", read(siqaCfg(t, "siqaDataset", "abbr", "siqa_0", "r:test_range", "[0:2]"), siqaFiles()), true},
		{"replicas", read(siqaCfg(t, "siqaDataset", "n", 4), siqaFiles()), true},
		{"place", read(siqaCfg(t, "siqaDataset", "path", "/else/where"), moved), true},
		{"class by another path", read(siqaCfg(t, "opencompass.datasets.siqa.siqaDataset"), siqaFiles()), true},
		{"bytes", read(siqaCfg(t, "siqaDataset"), edited), false},
		{"class", read(siqaCfg(t, "siqaDataset_V2"), siqaFiles()), false},
		{"columns", read(siqaCfg(t, "siqaDataset", "r:input_columns", py.NewList("context")), siqaFiles()), false},
		{"examples", read(fewShot, siqaFiles()), false},
	}
	for _, tt := range tests {
		if same := tt.set.Content == base.Content; same != tt.same {
			t.Errorf("%s: content version the same: %v, want %v", tt.name, same, tt.same)
		}
	}
	rc := py.DictOf("input_columns", py.NewList("q"), "output_column", nil)
	custom := files{"./x/a.jsonl": "{\"q\": 1}\n"}
	a := read(py.DictOf("type", "CustomDataset", "reader_cfg", rc, "path", "./x", "file_name", "a.jsonl", "local_mode", true), custom)
	b := read(py.DictOf("type", "CustomDataset", "reader_cfg", rc, "local_mode", true, "file_name", "a.jsonl", "path", "./x"), custom)
	if a.Content != b.Content {
		t.Error("the order of arguments is part of the content version")
	}
	if n := len(tests[7].set.Train); n != 1 {
		t.Errorf("few-shot has %d training rows, want 1", n)
	}
}

func TestSameColumns(t *testing.T) {
	t.Parallel()
	tab := sameColumns(Table{py.DictOf("a", 1, "b", 2), py.DictOf("b", 3, "c", 4), py.DictOf("a", 5, "b", 6, "c", 7)})
	want := []string{"{'a': 1, 'b': 2, 'c': None}", "{'a': None, 'b': 3, 'c': 4}", "{'a': 5, 'b': 6, 'c': 7}"}
	for i, r := range tab {
		if got := py.Repr(r); got != want[i] {
			t.Errorf("row %d is %s, want %s", i, got, want[i])
		}
	}
}

func TestCancelledReadIsNotBlamed(t *testing.T) {
	t.Parallel()
	_, err := Read(t.Context(), siqaCfg(t, "siqaDataset"), cancelled{})
	if !errors.Is(err, context.Canceled) || len(source.Diagnostics(err)) > 0 {
		t.Errorf("error %v", err)
	}
}

type cancelled struct{ files }

func (cancelled) ReadFile(context.Context, string, string) ([]byte, error) {
	return nil, context.Canceled
}

// TestClasses lists what is registered, so that each addition shows.
func TestClasses(t *testing.T) {
	t.Parallel()
	want := []string{
		"CustomDataset", "HFDataset", "JsonlDataset",
		"SiqaDatasetV3",
		"WinograndeDataset", "WinograndeDatasetV2", "WinograndeDatasetV3",
		"siqaDataset", "siqaDataset_V2",
	}
	if got := Classes.Names(); !slices.Equal(got, want) {
		t.Errorf("dataset classes %q, want %q", got, want)
	}
}
