package summary

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/source"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n   int
		lo, hi float64
	}{
		// solutions of |k/n - p| = z·√(p(1-p)/n), found by bisection in CPython
		{749, 1954, 0.3620078, 0.4050826},
		{0, 10, 0.0000000, 0.2775328},
		{10, 10, 0.7224672, 1.0000000},
		{1, 2, 0.0945312, 0.9054688},
		{639, 1267, 0.4768390, 0.5318167},
	} {
		if w := Wilson(c.k, c.n); math.Abs(w.Lo-c.lo) > 1e-7 || math.Abs(w.Hi-c.hi) > 1e-7 {
			t.Errorf("%d of %d: %.7f to %.7f, want %.7f to %.7f", c.k, c.n, w.Lo, w.Hi, c.lo, c.hi)
		}
	}
}

func TestIntervalOf(t *testing.T) {
	for name, c := range map[string]struct {
		v        float64
		ev       Evidence
		known    bool
		below100 bool
	}{
		"percent":          {25, Evidence{Correct: 1, Judged: 4}, true, false},
		"fraction":         {0.25, Evidence{Correct: 1, Judged: 4}, true, true},
		"rounded to two":   {33.33, Evidence{Correct: 1, Judged: 3}, true, false},
		"something else":   {26, Evidence{Correct: 1, Judged: 4}, false, false},
		"nothing known":    {25, Evidence{}, false, false},
		"more than judged": {150, Evidence{Correct: 3, Judged: 2}, false, false},
		"not a number":     {math.NaN(), Evidence{Correct: 1, Judged: 4}, false, false},
	} {
		iv, ok := intervalOf(c.v, c.ev)
		if ok != c.known || ok && (iv.Lo > c.v || iv.Hi < c.v || (iv.Hi <= 1) != c.below100) {
			t.Errorf("%s: %+v, %v", name, iv, ok)
		}
	}
}

// demo is a config of models a, b and datasets x, y, z with summary groups.
func demo(groups ...py.Value) Input {
	ds := func(abbr string) *py.Dict {
		return py.DictOf("abbr", abbr, "infer_cfg", py.DictOf("inferencer", py.DictOf("type", "GenInferencer")))
	}
	results := map[string]*py.Dict{
		"a/x": py.DictOf("accuracy", 50.0), "a/y": py.DictOf("accuracy", 80.0), "a/z": py.DictOf("score", 3.5),
		"b/x": py.DictOf("accuracy", 60.0), "b/y": py.DictOf("error", "it broke"),
	}
	ev := map[string]Evidence{
		"a/x": {Counts: Counts{Total: 100, Scored: 100}, Correct: 50, Judged: 100},
		"a/y": {Counts: Counts{Total: 400, Scored: 397, Failed: 3}, Correct: 320, Judged: 400},
		"b/x": {Counts: Counts{Total: 100, Scored: 100}, Correct: 60, Judged: 100},
	}
	return Input{
		Config: py.DictOf("models", py.NewList(py.DictOf("abbr", "a"), py.DictOf("abbr", "b")),
			"datasets", py.NewList(ds("x"), ds("y"), ds("z")), "summarizer", py.DictOf("summary_groups", py.NewList(groups...))),
		Time:     "t",
		Result:   func(m, d string) (*py.Dict, error) { return results[m+"/"+d], nil },
		Evidence: func(m, d string) (Evidence, bool) { e, ok := ev[m+"/"+d]; return e, ok },
	}
}

func row(t *testing.T, out *Output, name, metric string) Row {
	t.Helper()
	for _, r := range out.Tables[0].Rows {
		if r.Dataset == name && r.Metric == metric {
			return r
		}
	}
	t.Fatalf("no row %s %s in %+v", name, metric, out.Tables[0].Rows)
	return Row{}
}

func TestTable(t *testing.T) {
	out, err := Summarize(demo(
		py.DictOf("name", "mean", "subsets", py.NewList("x", "y")),
		py.DictOf("name", "nested", "subsets", py.NewList(py.NewList("mean", "naive_average"), py.NewList("x", "accuracy"))),
		py.DictOf("name", "with-z", "subsets", py.NewList("x", "z")),
		py.DictOf("name", "spread", "subsets", py.NewList("x", "y"), "std", true),
	))
	if err != nil {
		t.Fatal(err)
	}
	mean := row(t, out, "mean", "naive_average")
	c := mean.Cells[0]
	// half-widths add in quadrature: √((9.6/2)² + (3.9/2)²) or so
	if c.Interval == nil || c.Score != 65 || c.Score-c.Interval.Lo < 4.8 || c.Score-c.Interval.Lo > 5.5 {
		t.Errorf("mean of x and y: %+v, %+v", c, c.Interval)
	}
	if c.State != Partial || c.Counts != (Counts{Total: 500, Scored: 497, Failed: 3}) || !strings.Contains(c.Reason, "3 of 400") {
		t.Errorf("the mean hides failed samples: %+v", c)
	}
	if b := mean.Cells[1]; b.State != Missing || !strings.Contains(b.Reason, "y") {
		t.Errorf("the mean of b: %+v", b)
	}
	// x weighs 3/4, y 1/4: x's own interval dominates, not counted as independent twice
	nested := row(t, out, "nested", "naive_average").Cells[0]
	want := math.Hypot(0.75*9.62, 0.25*4.1)
	if nested.Interval == nil || math.Abs((nested.Interval.Hi-nested.Score)-want) > 0.3 {
		t.Errorf("nested: %+v, want ± %.2f", nested.Interval, want)
	}
	for _, n := range []string{"with-z", "spread"} {
		m := map[string]string{"with-z": "naive_average", "spread": "standard_deviation"}[n]
		if c := row(t, out, n, m).Cells[0]; c.Interval != nil {
			t.Errorf("%s: an interval out of nothing: %+v", n, c.Interval)
		}
	}
	if y := row(t, out, "y", "accuracy").Cells[1]; y.State != Failed || y.Reason != "it broke" || y.Text() != "-" {
		t.Errorf("a failed result: %+v", y)
	}
	if z := row(t, out, "z", "score").Cells[1]; z.State != Missing {
		t.Errorf("a missing result: %+v", z)
	}
}

func TestUnreadableResult(t *testing.T) {
	in := demo()
	old := in.Result
	in.Result = func(m, d string) (*py.Dict, error) {
		if d == "x" {
			return nil, errors.New("results/a/x.json: unexpected end")
		}
		return old(m, d)
	}
	out, err := Summarize(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Warnings) == 0 || !strings.Contains(out.Warnings[0].Msg, "unexpected end") {
		t.Errorf("warnings: %v", out.Warnings)
	}
	if c := out.Tables[0].Rows[0].Cells[0]; c.State != Failed || c.HasScore() {
		t.Errorf("cell: %+v", c)
	}
}

func TestUnknownClass(t *testing.T) {
	in := demo()
	in.Config.Set("summarizer", py.DictOf("type", "opencompass.summarizers.DefaultSumarizer"))
	_, err := Summarize(in)
	var d *source.Diagnostic
	if !errors.As(err, &d) || !strings.Contains(d.Hint, `"DefaultSummarizer"`) {
		t.Errorf("%v, hint %+v", err, d)
	}
}

// TestClasses: a class is either there or listed with the reason.
func TestClasses(t *testing.T) {
	data, err := os.ReadFile("testdata/classes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if l[0] == '#' {
			continue
		}
		name, reason, _ := strings.Cut(l, "\t")
		if _, err := Classes.Lookup(name); err == nil || reason == "" {
			t.Errorf("%s: listed as missing (%q), found: %v", name, reason, err == nil)
		}
	}
	want := "CircularSummarizer CommonSummarizer DefaultSubjectiveSummarizer DefaultSummarizer MTBenchSummarizer MultiFacetedSummarizer SubjectiveSummarizer"
	if got := strings.Join(Classes.Names(), " "); got != want {
		t.Errorf("classes: %s, want %s", got, want)
	}
}

func TestCircular(t *testing.T) {
	in := demo()
	in.Config.Set("summarizer", py.DictOf("type", "CircularSummarizer", "dataset_abbrs", py.NewList("x", "gone"), "metric_types", py.NewList("accuracy", "perf")))
	out, err := Summarize(in)
	if err != nil {
		t.Fatal(err)
	}
	want := "dataset,version,mode,a,a,b,b\n-,-,-,accuracy,perf,accuracy,perf\nx,-,gen,50.00,-,60.00,-\ngone,-,-,-,-,-,-\n"
	if got := string(out.Files[1].Data); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTransform(t *testing.T) {
	for _, c := range []struct {
		text string
		x    float64
		want float64
		err  string
	}{
		{"x", 3, 3, ""}, {"min(100, max(0, (1 - x) * 100))", 0.25, 75, ""}, {"min(100, max(0, (1-x)*100))", -5, 100, ""},
		{"-x ** 2", 3, -9, ""}, {"2 ** -1", 0, 0.5, ""}, {"2 ** 3 ** 2", 0, 512, ""}, {"7 // 2 - -7 // 2", 0, 7, ""}, {"-7 % 3", 0, 2, ""}, {"7 % -3", 0, -2, ""},
		{"100 if x > 0.5 else 0", 0.6, 100, ""}, {"100 if x > 0.5 else 50 if x > 0.2 else 0", 0.3, 50, ""}, {"not x", 0, 1, ""}, {"x and 5", 2, 5, ""}, {"x or 5", 0, 5, ""},
		{"not x == 1", 1, 0, ""}, {"1 + 2 * 3 - 4 / 8", 0, 6.5, ""}, {"round(x, 1)", 2.25, 2.2, ""}, {"round(x)", 2.5, 2, ""}, {"abs(x)", -2, 2, ""}, {"lambda x: x * 2", 4, 8, ""}, {"1e2 + .5", 0, 100.5, ""},
		{"x / 0", 1, 0, "division by zero"}, {"0 ** -1", 0, 0, "division by zero"}, {"(0 - 8) ** 0.5", 0, 0, "not a real number"},
		{"", 0, 0, "unexpected end"}, {"x +", 0, 0, "unexpected end"}, {"y", 0, 0, `unexpected "y"`}, {"(x", 0, 0, `")" missing`}, {"x x", 0, 0, `unexpected "x"`},
		{"__import__('os')", 0, 0, "unexpected"}, {"min(x)", 0, 0, "min with 1 arguments"}, {"1 < x < 3", 2, 0, "chained comparison"}, {strings.Repeat("(", 5000), 0, 0, "nested too deeply"},
	} {
		tr, err := parseTransform(c.text)
		v := 0.0
		if err == nil {
			v, err = tr.eval(c.x)
		}
		if c.err == "" && (err != nil || v != c.want) {
			t.Errorf("%s at %v: %v, %v, want %v", c.text, c.x, v, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%.40s: error %v, want %s", c.text, err, c.err)
		}
	}
}

func FuzzTransform(f *testing.F) {
	f.Add("min(100, max(0, (1 - x) * 100))", 0.5)
	f.Add("1 if not x else -x**2//3%4", 2.0)
	f.Fuzz(func(t *testing.T, text string, x float64) {
		tr, err := parseTransform(text)
		if err != nil {
			return
		}
		_, _ = tr.eval(x) // must not panic
	})
}

func FuzzTabulate(f *testing.F) {
	f.Add("a", "1.5", "中文", "-")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		got := tabulate([][]string{{a, b}, {c, d}})
		if !strings.Contains(got, "--") {
			t.Errorf("no rule in %q", got)
		}
	})
}

func BenchmarkSummarize(b *testing.B) {
	in := demo(py.DictOf("name", "mean", "subsets", py.NewList("x", "y")))
	b.ReportAllocs()
	for range b.N {
		if _, err := Summarize(in); err != nil {
			b.Fatal(err)
		}
	}
}

// Lines of the raw section as the original writes them.
func TestRawGroups(t *testing.T) {
	results := map[string]*py.Dict{
		"x": py.DictOf("accuracy", 40), "y": py.DictOf("accuracy", 2), "z": py.DictOf("score", math.Inf(-1)),
	}
	for want, group := range map[string]*py.Dict{
		"g: {'accuracy': 42, 'sum': 42}":                           py.DictOf("subsets", py.NewList("x", "y"), "sum", true),
		"g: {'accuracy': 84, 'sum': 84}":                           py.DictOf("subsets", py.NewList("x", "y"), "sum", true, "weights", py.DictOf("x", 2, "y", 2)),
		"g: {'accuracy': 21.0, 'sum': 21.0}":                       py.DictOf("subsets", py.NewList("x", "y"), "sum", true, "weights", py.DictOf("x", 0.5, "y", 0.5)),
		"g: {'accuracy': 21.0, 'naive_average': 21.0}":             py.DictOf("subsets", py.NewList("x", "y")),
		"g: {'score': nan, 'naive_average': nan}":                  py.DictOf("subsets", py.NewList("z"), "transforms", py.DictOf("z", "(x + 1) // 2")),
		"g: {'error': \"missing metrics: ['n', ['y', 'score']]\"}": py.DictOf("subsets", py.NewList("x", "n", py.NewList("y", "score"))),
	} {
		group.Set("name", "g")
		in := demo(group)
		in.Result = func(m, d string) (*py.Dict, error) {
			if m == "a" {
				return results[d], nil
			}
			return nil, nil
		}
		out, err := Summarize(in)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(out.Files[0].Data); !strings.Contains(text, "\n"+want+"\n") {
			i := strings.LastIndex(text, "\ng: ")
			t.Errorf("no line %s, but%.80s", want, text[max(i, 0):])
		}
	}
}
