package summary

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/spec"
)

type difference struct{ what, reason, warning string }

func readDifferences(t *testing.T) map[string]difference {
	t.Helper()
	data, err := os.ReadFile("testdata/differences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]difference{}
	for _, l := range strings.Split(string(data), "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		f := append(strings.Split(l, "\t"), "", "", "")
		if f[2] == "" {
			t.Errorf("difference without a reason: %s", l)
		}
		out[f[0]] = difference{f[1], f[2], f[3]}
	}
	return out
}

type scenario struct {
	Scenario, About, Type, Error string
	Files, Unstable              []string
	Returned                     json.RawMessage
}

func scenarios(t *testing.T) (string, []scenario) {
	t.Helper()
	dir := sharedtest.Path(t, "conformance", "summaries")
	data, err := os.ReadFile(filepath.Join(dir, "scenarios.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []scenario
	for _, l := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var s scenario
		if err := json.Unmarshal(l, &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return dir, out
}

func loadDict(t testing.TB, data []byte) *py.Dict {
	t.Helper()
	v, err := py.LoadJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		t.Fatalf("not an object: %.60s", data)
	}
	return d
}

// input reads a scenario's config and results.
func input(t *testing.T, dir string) Input {
	t.Helper()
	cfg, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*py.Dict{}
	for _, l := range bytes.Split(bytes.TrimSpace(res), []byte("\n")) {
		if len(l) == 0 {
			continue
		}
		var r struct{ Path, Text string }
		if err := json.Unmarshal(l, &r); err != nil {
			t.Fatal(err)
		}
		files[r.Path] = loadDict(t, []byte(r.Text))
	}
	return Input{
		Config: loadDict(t, cfg),
		Time:   "20240101_000000",
		Result: func(m, d string) (*py.Dict, error) { return files["results/"+m+"/"+d+".json"], nil },
		Version: func(d *py.Dict) string {
			h, err := spec.PromptHash(d)
			if err != nil {
				t.Fatal(err)
			}
			return h[:6]
		},
	}
}

// unordered makes text comparable whose lines, and parts of raw lines, come
// in any order.
func unordered(b []byte) string {
	lines := strings.Split(string(b), "\n")
	for i, l := range lines {
		if name, raw, ok := strings.Cut(l, ": {"); ok {
			parts := strings.Split(strings.TrimSuffix(raw, "}"), ", ")
			sort.Strings(parts)
			lines[i] = name + ": {" + strings.Join(parts, ", ") + "}"
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func TestConformance(t *testing.T) {
	diffs := readDifferences(t)
	dir, all := scenarios(t)
	exact, files := 0, 0
	for _, s := range all {
		t.Run(s.Scenario, func(t *testing.T) {
			in := input(t, filepath.Join(dir, s.Scenario))
			d, listed := diffs[s.Scenario]
			switch { // not listed by name: by what is wrong with it
			case listed:
			case s.Error != "":
				d = diffs["error "+s.Error]
			case len(s.Unstable) > 0:
				d = diffs["unstable"]
			}
			out, err := Summarize(in)
			if err != nil {
				t.Fatal(err)
			}
			if s.Error != "" {
				if d.what != "better" {
					t.Fatalf("the original ends in %s and no difference is listed", s.Error)
				}
				if len(out.Files) == 0 || len(out.Tables) == 0 {
					t.Error("no table")
				}
				var all []string
				for _, w := range out.Warnings {
					all = append(all, w.Msg)
				}
				if !strings.Contains(strings.Join(all, "\n"), d.warning) {
					t.Errorf("no warning says %q: %q", d.warning, all)
				}
				return
			}
			got := map[string][]byte{}
			var names []string
			for _, f := range out.Files {
				got[f.Path] = f.Data
				names = append(names, f.Path)
			}
			sort.Strings(names)
			if diff := cmp.Diff(s.Files, names); len(s.Files)+len(names) > 0 && diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			for _, f := range s.Files {
				want, err := os.ReadFile(filepath.Join(dir, s.Scenario, f))
				if err != nil {
					t.Fatal(err)
				}
				w, g := string(want), string(got[f])
				if w != g && d.what == "order" && contains(s.Unstable, f) {
					w, g = unordered(want), unordered(got[f])
				} else if w == g {
					exact++
				}
				files++
				if diff := cmp.Diff(w, g); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f, diff)
				}
			}
		})
	}
	t.Logf("%d scenarios, %d files, %d of them equal to the byte", len(all), files, exact)
}

func contains(l []string, s string) bool {
	for _, x := range l {
		if x == s {
			return true
		}
	}
	return false
}

// TestSeed summarizes the founding evaluation.
func TestSeed(t *testing.T) {
	dir := sharedtest.Path(t, "conformance", "seed")
	results := map[string]*py.Dict{
		"siqa":       py.DictOf("accuracy", 38.331627430910956),
		"winogrande": py.DictOf("accuracy", 50.43409629044988),
	}
	ds := func(abbr string) *py.Dict {
		return py.DictOf("abbr", abbr, "infer_cfg", py.DictOf("inferencer", py.DictOf("type", "PPLInferencer")))
	}
	out, err := Summarize(Input{
		Config: py.DictOf("models", py.NewList(py.DictOf("abbr", "opt-demo")), "datasets", py.NewList(ds("siqa"), ds("winogrande"))),
		Time:   "20261123_200123",
		Result: func(_, d string) (*py.Dict, error) { return results[d], nil },
		Version: func(d *py.Dict) string {
			return map[string]string{"siqa": "ced5f6", "winogrande": "55a66e"}[d.Str("abbr")]
		},
		Evidence: func(_, d string) (Evidence, bool) {
			if d == "siqa" {
				return Evidence{Counts: Counts{Total: 1954, Scored: 1954}, Correct: 749, Judged: 1954}, true
			}
			return Evidence{Counts: Counts{Total: 1267, Scored: 1267}, Correct: 639, Judged: 1267}, true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Files {
		want, err := os.ReadFile(filepath.Join(dir, "summary"+filepath.Ext(f.Path)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(f.Data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Path, diff)
		}
	}
	c := out.Tables[0].Rows[0].Cells[0]
	if c.Interval == nil || fixed(c.Interval.Lo, 2) != "36.20" || fixed(c.Interval.Hi, 2) != "40.51" {
		t.Errorf("interval of siqa: %+v", c.Interval)
	}
}
