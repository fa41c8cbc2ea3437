package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/py"
)

// results puts a results file into a new run.
func results(t testing.TB, text string) *Run {
	t.Helper()
	r := testRun(t)
	path := r.ResultsPath("m", "d")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDetailsAreThoseOfTheWholeFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"accuracy": 50.0, "details": {"type": "GEN", "0": {"a": "x\"}{,"}, "1": {"b": [1, {"c": null}]}, "12": 3}}`,
		"{\n    \"details\": {\n        \"1\": {},\n        \"0\": {\"k\": NaN}\n    },\n    \"score\": -1.5e3 ,\"t\": true}\n ",
		`{"s": "details\\", "details": [{"example_abbr": "ü_x_3", "correct": [true]}, {"example_abbr": "d_0"}, {"n": 1}, 4]}`,
		`{"details": null, "score": 1}`, `{"score": 1, "details": "none"}`, `{"details": {}}`, `{"details": []}`, `{}`, `{"x": [[], {}, ""]}`,
	} {
		r := results(t, text)
		whole, err := r.Result("m", "d")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := whole.Copy()
		want.Delete("details")
		if got, err := r.ResultMetrics("m", "d"); err != nil || py.Repr(got) != py.Repr(want) {
			t.Errorf("%s: metrics %s, %v, want %s", text, py.Repr(got), err, py.Repr(want))
		}
		d, err := r.Details("m", "d")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rows := map[int]py.Value{}
		switch x := whole.Get("details").(type) {
		case *py.Dict:
			for _, e := range x.Entries() {
				if n, err := py.Int(e.Key); err == nil {
					rows[n.(int)] = e.Val
				}
			}
		case *py.List:
			for _, it := range x.Items {
				switch it, _ := it.(*py.Dict); it.Str("example_abbr") {
				case "ü_x_3":
					rows[3] = it
				case "d_0":
					rows[0] = it
				}
			}
		default:
			if d != nil {
				t.Errorf("%s: there are details", text)
			}
			continue
		}
		for n := range 14 {
			var want py.Value
			if w, ok := rows[n].(*py.Dict); ok {
				want = w
			}
			got, err := d.At(n)
			if err != nil || got == nil != (want == nil) || got != nil && py.Repr(got) != py.Repr(want) {
				t.Errorf("%s: detail %d is %s, %v, want %s", text, n, py.Repr(got), err, py.Repr(want))
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDamagedResultsAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `{"a": 1`, `{"a": }`, `{"a": 1} x`, `{"a": "b`, `{"a": [1}`, `{"details": {"0": {"a": 1}`, `{"a" 1}`, `{"a": tru}`, `{1: 2}`, `{"details": {`, `{"a": 1]`} {
		r := results(t, text)
		if v, err := r.ResultMetrics("m", "d"); err == nil {
			t.Errorf("%s is read as %s", text, py.Repr(v))
		}
	}
	if _, err := testRun(t).Details("m", "d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzDetails(f *testing.F) {
	f.Add([]byte(`{"accuracy": 50.0, "details": {"type": "GEN", "0": {"a": "x\"}{,"}, "1": {"b": [1, {"c": null}]}}}`))
	f.Add([]byte(`{"details": [{"example_abbr": "d_0", "x": ["\\\"", {}]}], "s": NaN}`))
	r := results(f, "{}")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(r.ResultsPath("m", "d"), data, 0o666); err != nil {
			t.Fatal(err)
		}
		whole, err := r.Result("m", "d")
		if err != nil {
			return // whether the parts are readable then is nobody's concern, as long as nothing breaks
		}
		want := whole.Copy()
		want.Delete("details")
		got, err := r.ResultMetrics("m", "d")
		if err != nil || py.Repr(got) != py.Repr(want) {
			t.Fatalf("metrics %s, %v, want %s", py.Repr(got), err, py.Repr(want))
		}
		d, err := r.Details("m", "d")
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			return
		}
		defer d.Close()
		if rows, ok := whole.Get("details").(*py.Dict); ok {
			for _, k := range []string{"0", "1"} {
				n, _ := py.Int(k)
				want, _ := rows.Get(k).(*py.Dict)
				got, err := d.At(n.(int))
				if err != nil || got == nil != (want == nil) || got != nil && py.Repr(got) != py.Repr(want) {
					t.Fatalf("detail %s is %s, %v, want %s", k, py.Repr(got), err, py.Repr(want))
				}
			}
		}
	})
}
