package repeat

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
)

// reference is what OpenCompass 0.5.4 makes of the same tokens
// (utils/repeat_analysis.py: _repeat_pattern_stats, _prediction_to_text and
// _gzip_compression_ratio). A case's tokens are prefix, then unit so many
// times, then tail.
func reference(t *testing.T) *py.Dict {
	t.Helper()
	b, err := os.ReadFile("testdata/opencompass.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*py.Dict)
}

func tokensOf(d *py.Dict) []string {
	out := strings.Fields(d.Str("prefix"))
	for range d.Int("times", 0) {
		out = append(out, strings.Fields(d.Str("unit"))...)
	}
	return append(out, strings.Fields(d.Str("tail"))...)
}

func number(v py.Value) float64 {
	if i, ok := v.(int); ok {
		return float64(i)
	}
	return v.(float64)
}

func TestPatternsAreThoseOfOpenCompass(t *testing.T) {
	found := 0
	for i, it := range reference(t).Get("patterns").(*py.List).Items {
		d := it.(*py.Dict)
		got := findPattern(tokensOf(d))
		want := pattern{number(d.Get("ratio")), d.Str("pattern"), d.Int("count", -1)}
		if got != want {
			t.Errorf("case %d: %+v, OpenCompass has %+v", i, got, want)
		}
		if want.count > 0 {
			found++
		}
	}
	if found < 10 {
		t.Errorf("only %d cases have a pattern: the reference tests nothing", found)
	}
}

func TestTextsAreThoseOfOpenCompass(t *testing.T) {
	for _, it := range reference(t).Get("texts").(*py.List).Items {
		d := it.(*py.Dict)
		if got, want := Text(d.Get("value")), d.Str("text"); got != want {
			t.Errorf("%s: %q, OpenCompass has %q", py.Repr(d.Get("value")), got, want)
		}
	}
}

func words(text string) ([]string, error) { return strings.Fields(text), nil }

func source(model, bench string, answers ...Answer) Source {
	return Source{Model: model, Benchmark: bench, Path: model + "/" + bench + ".json", All: func(yield func(Answer, error) bool) {
		for _, a := range answers {
			if !yield(a, nil) {
				return
			}
		}
	}}
}

func analyze(t *testing.T, sources ...Source) *Report {
	t.Helper()
	r, err := Analyze(Input{
		Time: "T", WorkDir: "/w", Models: []string{"m"}, Sources: sources, LengthUnit: "tokens",
		Tokenizer: func(string) Tokenize { return words }, Now: func() time.Time { return time.Time{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReport(t *testing.T) {
	loop := strings.Repeat("again and once more we say the same thing ", 120)
	r := analyze(t,
		source("m", "b",
			Answer{ID: "0", Prediction: "short"},
			Answer{ID: "1", Prediction: "x y"},
			Answer{ID: "2", Prediction: "a b c", ResLength: 2},
			Answer{ID: "3", Prediction: loop, ResLength: py.NewList(500, 600)}),
		Source{Model: "m", Benchmark: "gone", Path: "m/gone.json", Missing: true})
	s := r.JSON.Dict("benchmark_stats").Dict("b")
	for _, c := range []struct {
		what      string
		got, want py.Value
	}{
		{"mean", s.Dict("length").Get("mean"), 276.25},
		{"p75", s.Dict("length").Get("p75"), 1100},
		{"skipped", s.Get("repeat_analysis_skipped"), 3},
		{"samples", r.JSON.Dict("summary").Get("num_samples"), 4},
		{"missing", r.JSON.Dict("summary").Get("num_missing_prediction_files"), 1},
		{"pattern", r.JSON.Dict("summary").Dict("abnormal_counts").Get("repeat_pattern"), 1},
		{"prediction", r.JSON.Dict("abnormal_samples").Get("repeat_pattern").(*py.List).Items[0].(*py.Dict).Get("prediction"), loop},
		{"sample", r.JSON.Dict("abnormal_samples").Get("repeat_pattern").(*py.List).Items[0].(*py.Dict).Get("sample_id"), "3"},
	} {
		if !py.Equal(c.got, c.want) {
			t.Errorf("%s is %s, want %s", c.what, py.Repr(c.got), py.Repr(c.want))
		}
	}
	want := [][]string{
		{"benchmark", "num samples", "token length (avg / p75 / p90)", "pattern rule", "gz rule"},
		{"b", "4", "276 / 1100 / 1100", "25.00% (1)"}, {"Overall", "4", "276", "25.00% (1)"},
	}
	for i := range want {
		if !reflect.DeepEqual(r.Table[i][:len(want[i])], want[i]) {
			t.Errorf("table line %d is %v, want %v", i, r.Table[i], want[i])
		}
	}
}

func TestNothingToLookAt(t *testing.T) {
	r := analyze(t)
	if n := r.JSON.Dict("summary").Int("num_samples", -1); n != 0 || len(r.Table) != 2 {
		t.Errorf("%d samples, table %v", n, r.Table)
	}
	r = analyze(t, source("m", "b", Answer{ID: "0"}))
	if got := r.JSON.Dict("benchmark_stats").Dict("b").Int("repeat_analysis_skipped", -1); got != 0 {
		t.Errorf("an empty answer that is the longest: %d skipped", got)
	}
}

func TestAnErrorOfTheAnswersComesThrough(t *testing.T) {
	bad := errors.New("torn")
	s := source("m", "b")
	s.All = func(yield func(Answer, error) bool) { yield(Answer{}, bad) }
	if _, err := Analyze(Input{Sources: []Source{s}, Tokenizer: func(string) Tokenize { return words }, Now: time.Now}); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
}

func TestWords(t *testing.T) {
	got, err := Words("Ab1, c\n中文é!")
	if want := []string{"Ab1", ",", "c", "中", "文", "é", "!"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestGzipRatioIsPythons(t *testing.T) {
	for i, it := range reference(t).Get("patterns").(*py.List).Items {
		d := it.(*py.Dict)
		text := strings.Join(tokensOf(d), " ")
		if got, want := gzipRatio(text), number(d.Get("gzip")); got != want {
			t.Errorf("case %d: %v, Python has %v", i, got, want)
		}
	}
}

// made makes text of a linear congruential generator: letters of an alphabet,
// and one time in copies a passage from before.
func made(seed, n, alphabet, copies int) []byte {
	var out []byte
	for x := seed; len(out) < n; {
		x = (x*1103515245 + 12345) & 0x7fffffff
		if copies > 0 && (x>>8)%copies == 0 && len(out) > 50 {
			at := len(out) - 1 - (x>>12)%min(len(out), 60000)
			for i := range 3 + (x>>9)%300 {
				out = append(out, out[at+i])
			}
			continue
		}
		out = append(out, byte(97+(x>>16)%alphabet))
	}
	return out[:n]
}

// Long texts reach what short ones do not: several blocks, windows that move,
// stored blocks.
func TestGzipSizeOfLongTexts(t *testing.T) {
	for _, it := range reference(t).Get("gzip").(*py.List).Items {
		d := it.(*py.Dict)
		seed, n, alphabet, copies := d.Int("seed", 0), d.Int("n", 0), d.Int("alphabet", 0), d.Int("copy", 0)
		if got, want := gzipSize(made(seed, n, alphabet, copies)), d.Int("size", 0); got != want {
			t.Errorf("seed %d, %d bytes of %d letters, copies %d: %d, Python has %d", seed, n, alphabet, copies, got, want)
		}
	}
}

func FuzzGzipSize(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	f.Add(made(1, 3000, 4, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := gzipSize(b); n < 20 || n > 23+len(b)+len(b)/1000*5+5 {
			t.Errorf("%d bytes take %d", len(b), n)
		}
	})
}

func BenchmarkGzipSize(b *testing.B) {
	text := made(1, 20000, 26, 3)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		gzipSize(text)
	}
}
