package dataset

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/source"
)

// TestCSV's answers are CPython 3.11's (csv.reader over io.StringIO with
// universal newlines).
func TestCSV(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want [][]string
	}{
		{"", nil},
		{"a,b\n1,2\n", [][]string{{"a", "b"}, {"1", "2"}}},
		{"a,b\r\n1,2", [][]string{{"a", "b"}, {"1", "2"}}},
		{"a\n\nb\n", [][]string{{"a"}, nil, {"b"}}},
		{`"x, ""y""","z` + "\n" + `w"`, [][]string{{`x, "y"`, "z\nw"}}},
		{`a"b,c"`, [][]string{{`a"b`, `c"`}}},
		{`"a"b,c`, [][]string{{"ab", "c"}}},
		{`"open`, [][]string{{"open"}}},
		{",\n", [][]string{{"", ""}}},
		{`""`, [][]string{{""}}},
		{"a,", [][]string{{"a", ""}}},
	}
	for _, tt := range tests {
		if got := csvRecords(tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("csvRecords(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzCSV writes what was read and reads it again.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", `"x, ""y""",z`, "a\r\rb", `"a"b,c`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		recs := csvRecords(s)
		var b strings.Builder
		for _, r := range recs {
			for i, field := range r {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `"%s"`, strings.ReplaceAll(field, `"`, `""`))
			}
			b.WriteByte('\n')
		}
		if again := csvRecords(b.String()); !reflect.DeepEqual(again, recs) {
			t.Errorf("%q reads as %q, and that written and read again is %q", s, recs, again)
		}
	})
}

func TestLocalFiles(t *testing.T) {
	t.Parallel()
	src := files{
		"./d/a.jsonl/": "{\"q\": 1}\n{\"q\": 2.0, \"x\": null}\n",
		"d/b.jsonl":    "\ufeff{\"q\": \"é\"}\n",
		"d/c.csv/":     "\ufeffq,a\n\"1,2\",x\n3\n",
		"d/l.json/":    "[{\"q\": 1}, {\"q\": 2}]",
		"d/bad.json/":  "[{\"q\": 1}, 2]",
	}
	tests := []struct {
		cfg  *py.Dict
		want string // the rows, or the error
	}{
		{py.DictOf("type", "JsonlDataset", "path", "./d/a.jsonl"), "{'q': 1, 'x': None} {'q': 2.0, 'x': None}"},
		{py.DictOf("type", "CustomDataset", "path", "./d/a.jsonl"), "{'q': 1, 'x': None} {'q': 2.0, 'x': None}"},
		{py.DictOf("type", "CustomDataset", "path", "d", "file_name", "b.jsonl"), "{'q': 'é'}"},
		{py.DictOf("type", "CustomDataset", "path", "d/c.csv"), "{'q': '1,2', 'a': 'x'} {'q': '3', 'a': None}"},
		{py.DictOf("type", "CustomDataset", "path", "d/c.xls"), `error: CustomDataset reads .jsonl and .csv files, not "d/c.xls"`},
		{py.DictOf("type", "HFDataset", "path", "json", "data_files", "d/l.json", "split", "train"), "{'q': 1} {'q': 2}"},
		{py.DictOf("type", "HFDataset", "path", "json", "data_files", "./d/a.jsonl", "split", "train"), "{'q': 1, 'x': None} {'q': 2.0, 'x': None}"},
		{py.DictOf("type", "HFDataset", "path", "json", "data_files", "d/bad.json"), "error: item 1 is not an object but int"},
		{py.DictOf("type", "HFDataset", "path", "glue"), "error: HFDataset reads local files only: path is 'glue'"},
		{py.DictOf("type", "HFDataset", "path", "json", "data_files", "d/l.json", "split", "test"), "error: a file given as data_files has only the split 'train', not 'test'"},
	}
	for _, tt := range tests {
		tt.cfg.Set("reader_cfg", py.DictOf("input_columns", "q", "output_column", nil))
		set, err := Read(t.Context(), tt.cfg, src)
		if want, ok := strings.CutPrefix(tt.want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", py.Repr(tt.cfg), err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v (%v)", py.Repr(tt.cfg), err, source.Diagnostics(err))
			continue
		}
		var rows []string
		for _, r := range set.Test {
			r.Delete("subdivision")
			r.Delete("idx")
			rows = append(rows, py.Repr(r))
		}
		if got := strings.Join(rows, " "); got != tt.want {
			t.Errorf("%s: rows %s, want %s", py.Repr(tt.cfg), got, tt.want)
		}
	}
}
