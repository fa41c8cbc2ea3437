package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/summary"
)

// each makes an iterator of n samples.
func each(n int, f func(i int) Sample) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for i := range n {
			if !yield(f(i), nil) {
				return
			}
		}
	}
}

// unpack reads back what a page holds of every run.
func unpack(t testing.TB, page []byte) (runs []runMeta, samples [][]map[string]any) {
	t.Helper()
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile(`<script type="application/gzip" id="([^"]+)">([^<]*)</script>`).FindAllSubmatch(page, -1) {
		blocks[string(m[1])] = string(m[2])
	}
	for _, m := range regexp.MustCompile(`<script type="application/json" class="run">([^<]*)</script>`).FindAllSubmatch(page, -1) {
		var r runMeta
		if err := json.Unmarshal(m[1], &r); err != nil {
			t.Fatal(err)
		}
		var all []map[string]any
		for _, id := range r.Blocks {
			zr, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(blocks[id])))
			if err != nil {
				t.Fatal(err)
			}
			var l []map[string]any
			if err := json.NewDecoder(zr).Decode(&l); err != nil {
				t.Fatal(err)
			}
			all = append(all, l...)
		}
		if len(all) != r.Embedded {
			t.Errorf("%s on %s: says %d samples, holds %d", r.Model, r.Dataset, r.Embedded, len(all))
		}
		runs, samples = append(runs, r), append(samples, all)
	}
	return runs, samples
}

const evil = `</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'"<!--<script>` + "\u2028\x00\x1b[2J{{.}}"

func evilReport() Report {
	cell := summary.Cell{State: summary.OK, Score: 50, Interval: &summary.Interval{Lo: 20, Hi: 80}}
	return Report{
		Title: evil, Program: evil, Config: evil, WorkDir: evil, Notes: []string{evil},
		Models:   []Model{{Name: evil, Type: evil, Path: evil, Dtype: evil, Facts: []Fact{{evil, evil}}}},
		Datasets: []Dataset{{Abbr: evil, Version: evil, Origin: evil, Hash: evil}},
		Tables: []*summary.Table{{Title: evil, Models: []string{evil}, Rows: []summary.Row{
			{Kind: summary.Scores, Dataset: evil, Metric: evil, Mode: evil, Version: evil, Cells: []summary.Cell{cell}},
			{Kind: summary.Scores, Dataset: "f", Cells: []summary.Cell{{State: summary.Failed, Reason: evil}}},
		}}},
		Runs: []Run{{Model: evil, Dataset: evil, Total: 1, File: evil, Samples: each(1, func(int) Sample {
			return Sample{Verdict: Wrong, Reason: evil, Record: py.DictOf("origin_prompt", evil, "prediction", evil, "gold", evil, evil, evil)}
		})}},
	}
}

func TestEscaping(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, evilReport()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, "<script"); n != 3 { // block, run, program
		t.Errorf("%d script elements, want 3", n)
	}
	if strings.Contains(page, "<img") || strings.Contains(page, "onerror=\"w") || strings.Contains(page, "<!--<") {
		t.Error("foreign text became markup")
	}
	_, samples := unpack(t, b.Bytes())
	if got := samples[0][0]["o"]; got != evil {
		t.Errorf("the answer came through as %q", got)
	}
}

func TestPolicyNamesTheScript(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Report{Title: "t"}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	between := func(from, to string) string {
		_, s, ok := strings.Cut(page, from)
		if !ok {
			t.Fatalf("no %s", from)
		}
		s, _, _ = strings.Cut(s, to)
		return s
	}
	for what, text := range map[string]string{"script": between("<script>", "</script>"), "style": between("<style>", "</style>")} {
		if !strings.Contains(page, strings.ReplaceAll(hashOf(text), "+", "&#43;")) {
			t.Errorf("the policy does not name the %s as it stands in the page", what)
		}
	}
	for _, bad := range []string{"http://", "https://", "unsafe-inline", "unsafe-eval", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q in an empty page", bad)
		}
	}
}

func TestSampleShapes(t *testing.T) {
	label := func(text string, ppl float64) *py.Dict {
		return py.DictOf("testing input", text, "prompt", "ICE "+text, "PPL", ppl, "BPB", 0.5)
	}
	for name, c := range map[string]struct {
		s    Sample
		want string
	}{
		"ppl": {Sample{Index: 7, Verdict: Wrong, Record: py.DictOf("in-context examples", "", "origin_prompt", "q a", "label: 1", label("q a", 2.5), "label: 2", label("q b", math.Inf(1)), "prediction", 1, "gold", 2)},
			`{"i":7,"v":"wrong","p":"q a","o":1,"g":2,"k":"ppl","l":[{"n":"1","t":"ICE q a","s":2.5,"b":0.5},{"n":"2","t":"ICE q b","s":"inf","b":0.5}]}`},
		"gen with messages": {Sample{Verdict: Right, Extracted: "B", Record: py.DictOf("origin_prompt", py.NewList(py.DictOf("role", "HUMAN", "prompt", "q")), "prediction", "It is B.", "gold", "B")},
			`{"i":0,"v":"right","p":[{"role":"HUMAN","prompt":"q"}],"o":"It is B.","g":"B","a":"B"}`},
		"clp": {Sample{Verdict: Right, Record: py.DictOf("testing input", "q", "prompt", "ICE q", "choices", py.NewList("A", "B"), "prediction", py.NewList(0.25, 0.75), "pred_label", 1, "gold", 1)},
			`{"i":0,"v":"right","p":"ICE q","o":[0.25,0.75],"g":1,"k":"clp","x":{"choices":["A","B"],"pred_label":1}}`},
		"a number too big for a browser": {Sample{Verdict: Unjudged, Record: py.DictOf("prediction", 1<<60, 5, py.NewTuple(nil, true))},
			`{"i":0,"v":"unjudged","o":"1152921504606846976","x":{"5":[null,true]}}`},
		"failed": {Sample{Verdict: Failed, Reason: "context too long"}, `{"i":0,"v":"failed","e":"context too long"}`},
	} {
		if got := string(appendSample(nil, c.s)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	long := string(appendText(nil, strings.Repeat("é", maxText)))
	if !json.Valid([]byte(long)) || !strings.Contains(long, "32,768 characters more") {
		t.Errorf("a long text is not cut, or says nothing: …%s", long[len(long)-100:])
	}
}

func TestBudget(t *testing.T) {
	// noise does not compress, so that the budget bites
	noise := func(i int) Sample {
		var b strings.Builder
		x := uint64(i)*2654435761 + 12345
		for range 400 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			b.WriteString(strconv.FormatUint(x, 36))
		}
		return Sample{Index: i, Verdict: Right, Record: py.DictOf("origin_prompt", b.String(), "prediction", "x")}
	}
	r := Report{Title: "big", MaxBytes: 4 << 20, Runs: []Run{
		{Model: "m", Dataset: "small", Total: 10, Samples: each(10, noise)},
		{Model: "m", Dataset: "big", Total: 5000, File: "predictions/m/big.json", Samples: each(5000, noise)},
		{Model: "m", Dataset: "last", Total: 30, Samples: each(30, noise)},
	}}
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	runs, _ := unpack(t, b.Bytes())
	if runs[0].Embedded != 10 || runs[2].Embedded != 30 {
		t.Errorf("small datasets suffer from a big one: %+v", runs)
	}
	if runs[1].Embedded >= 5000 || runs[1].Embedded < 50 || runs[1].Total != 5000 {
		t.Errorf("big: %d of %d samples", runs[1].Embedded, runs[1].Total)
	}
	if b.Len() > 6<<20 {
		t.Errorf("a page of %d bytes for a limit of %d", b.Len(), r.MaxBytes)
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("line 3 of predictions is torn")
	r := Report{Title: "t", Runs: []Run{{Model: "m", Dataset: "d", Total: 9, Samples: func(yield func(Sample, error) bool) {
		if yield(Sample{Record: py.DictOf("prediction", "x")}, nil) {
			yield(Sample{}, broken)
		}
	}}}}
	var b bytes.Buffer
	if err := Write(&b, r); !errors.Is(err, broken) {
		t.Errorf("error of the samples: %v", err)
	}
	runs, samples := unpack(t, b.Bytes())
	if len(samples[0]) != 1 || runs[0].Error != broken.Error() || !bytes.HasSuffix(bytes.TrimSpace(b.Bytes()), []byte("</html>")) {
		t.Errorf("the page does not tell: %+v", runs)
	}
	full := errors.New("no space left on device")
	if err := Write(failWriter{full}, r); !errors.Is(err, full) {
		t.Errorf("error of the writer: %v", err)
	}
}

type failWriter struct{ err error }

func (w failWriter) Write([]byte) (int, error) { return 0, w.err }

// TestMemory writes a large dataset and looks at how much memory is live.
func TestMemory(t *testing.T) {
	text := strings.Repeat("a question of some length, and then some more. ", 40)
	var peak uint64
	r := Report{Runs: []Run{{Samples: each(60000, func(i int) Sample {
		if i%10000 == 9999 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return Sample{Index: i, Record: py.DictOf("origin_prompt", text, "prediction", i)}
	})}}}
	if err := Write(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KB live at most", peak>>10)
	if peak > 32<<20 {
		t.Errorf("%d MB live while writing 120 MB of samples", peak>>20)
	}
}

func FuzzSample(f *testing.F) {
	f.Add("</script>", "\xff\x00", 1.5)
	f.Fuzz(func(t *testing.T, a, b string, x float64) {
		got := appendSample(nil, Sample{Reason: b, Record: py.DictOf("origin_prompt", a, a, b, "label: "+b, py.DictOf("PPL", x, a, b), "prediction", py.NewList(a, x))})
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	rec := py.DictOf("origin_prompt", strings.Repeat("word ", 100), "prediction", "an answer", "gold", "B")
	b.ReportAllocs()
	for range b.N {
		if err := Write(io.Discard, Report{Runs: []Run{{Samples: each(3000, func(i int) Sample { return Sample{Index: i, Record: rec} })}}}); err != nil {
			b.Fatal(err)
		}
	}
}

// seedReport is the founding evaluation with its real questions and scores,
// a second model beside it whose answers are made up, and a few mishaps.
func seedReport(t testing.TB) Report {
	t.Helper()
	lines := func(elem ...string) []string {
		f, err := os.Open(sharedtest.Path(t, elem...))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var out []string
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			out = append(out, sc.Text())
		}
		return out
	}
	run := func(ds string, labels int, text func(row map[string]string, label int) string) (Run, summary.Cell) {
		rows, tsv := lines("data", ds, "dev.jsonl"), lines("conformance", "seed", ds+".tsv")[1:]
		right := 0
		var samples []Sample
		for i, l := range tsv {
			var row map[string]string
			if err := json.Unmarshal([]byte(rows[i]), &row); err != nil {
				t.Fatal(err)
			}
			f := strings.Split(l, "\t")
			gold, _ := strconv.Atoi(f[1])
			pred, _ := strconv.Atoi(f[2])
			rec := py.DictOf("in-context examples", "", "origin_prompt", text(row, 1))
			for k := 1; k <= labels; k++ {
				ppl, err := strconv.ParseFloat(f[2+k], 64)
				if err != nil {
					t.Fatal(err)
				}
				rec.Set(fmt.Sprintf("label: %d", k), py.DictOf("testing input", text(row, k), "prompt", text(row, k), "PPL", ppl, "BPB", ppl/4))
			}
			rec.Set("prediction", pred)
			rec.Set("gold", gold)
			v := Wrong
			if pred == gold {
				v = Right
				right++
			}
			samples = append(samples, Sample{Index: i, Verdict: v, Record: rec})
		}
		n := len(samples)
		w := summary.Wilson(right, n)
		return Run{Model: "opt-demo", Dataset: ds, Total: n, Samples: each(n, func(i int) Sample { return samples[i] })},
			summary.Cell{State: summary.OK, Score: 100 * float64(right) / float64(n), Interval: &summary.Interval{Lo: 100 * w.Lo, Hi: 100 * w.Hi}, Counts: summary.Counts{Total: n, Scored: n}}
	}
	siqa, c1 := run("siqa", 3, func(r map[string]string, k int) string {
		return r["context"] + "\nQuestion: " + r["question"] + "\nAnswer:\n" + r[[]string{"", "answerA", "answerB", "answerC"}[k]]
	})
	wino, c2 := run("winogrande", 2, func(r map[string]string, k int) string {
		return "Good sentence: " + strings.Replace(r["sentence"], "_", r["option"+strconv.Itoa(k)], 1)
	})
	gen := Run{Model: "chat-demo", Dataset: "siqa", Total: 1200, File: "predictions/chat-demo/siqa.json", Samples: each(600, func(i int) Sample {
		s := Sample{Index: i, Verdict: Right, Extracted: "B"}
		said := "The answer is B, since **" + strings.Repeat("people like to be asked first; ", i%5) + "** that follows from the text."
		switch {
		case i%3 == 1:
			s.Verdict, s.Extracted = Wrong, "A"
		case i%17 == 0:
			s.Verdict, s.Extracted, s.Reason, said = Unscored, "", "no option letter in the answer", "我不知道。"
		case i%41 == 0:
			s.Verdict, s.Extracted, s.Reason, said = Failed, nil, "context too long: 2,190 of 2,048 tokens", ""
		}
		s.Record = py.DictOf("origin_prompt", py.NewList(
			py.DictOf("role", "SYSTEM", "prompt", "You answer with one letter."),
			py.DictOf("role", "HUMAN", "prompt", fmt.Sprintf("Question %d: What will Robin want to do next?\nA. leave\nB. ask\nC. 等待", i))), "prediction", said, "gold", "B")
		return s
	})}
	g := 100 * 0.6
	return Report{
		Title: "eval_demo", Time: time.Date(2026, 11, 23, 20, 1, 23, 0, time.UTC), Program: "sextant 0.1.0 (linux/amd64, AVX-512)",
		Config: "eval_demo.py", ConfigHash: "5d0f6c1ba7e3a0c9dd8d4aa2bb90a38f", WorkDir: "outputs/default/20261123_200123",
		Notes: []string{"chat-demo computed in half precision, the config's choice: about 3 % of answers differ from float32."},
		Models: []Model{{Name: "opt-demo", Type: "HuggingFaceBaseModel", Path: "models/opt-demo", Hash: "9f2d4c77e0a1b3d5", Dtype: "float32", Facts: []Fact{{"parameters", "2.1 M"}, {"context", "2,048 tokens"}}},
			{Name: "chat-demo", Type: "OpenAISDK", Path: "http://localhost:8000/v1", Dtype: "float16"}},
		Datasets: []Dataset{{Abbr: "siqa", Version: "ced5f6", Origin: "embedded with the catalog", Hash: "0c6a1f77be31d2aa", Rows: 1954}, {Abbr: "winogrande", Version: "55a66e", Origin: "./data/winogrande/dev.jsonl", Hash: "f1e22b09aa4c7d10", Rows: 1267}},
		Tables: []*summary.Table{{Models: []string{"opt-demo", "chat-demo"}, Rows: []summary.Row{
			{Kind: summary.Heading, Dataset: "Commonsense"},
			{Kind: summary.Scores, Dataset: "siqa", Version: "ced5f6", Metric: "accuracy", Mode: "ppl", Cells: []summary.Cell{c1,
				{State: summary.Partial, Score: g, Interval: &summary.Interval{Lo: 57.2, Hi: 62.7}, Counts: summary.Counts{Total: 1200, Scored: 1120, Unscored: 66, Failed: 14}}}},
			{Kind: summary.Scores, Dataset: "winogrande", Version: "55a66e", Metric: "accuracy", Mode: "ppl", Cells: []summary.Cell{c2, {State: summary.Failed, Reason: "endpoint answered 401: key refused"}}},
			{Kind: summary.Scores, Group: true, Dataset: "average", Metric: "naive_average", Mode: "ppl", Cells: []summary.Cell{
				{State: summary.OK, Score: (c1.Score + c2.Score) / 2, Interval: &summary.Interval{Lo: 42.6, Hi: 46.2}}, {State: summary.Missing, Reason: "missing: winogrande"}}},
		}}},
		Runs: []Run{siqa, wino, gen},
	}
}

// TestSeed writes the founding evaluation and reads it back.
func TestSeed(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, seedReport(t)); err != nil {
		t.Fatal(err)
	}
	runs, samples := unpack(t, b.Bytes())
	if len(runs) != 3 || len(samples[0]) != 1954 || len(samples[1]) != 1267 {
		t.Fatalf("runs: %+v", runs)
	}
	l := samples[0][0]["l"].([]any)[0].(map[string]any)
	if l["s"] != 2.9923539032807223 {
		t.Errorf("PPL of the first label of siqa: %v", l["s"])
	}
	t.Logf("%d KB for %d samples", b.Len()>>10, len(samples[0])+len(samples[1])+len(samples[2]))
	if dir := os.Getenv("SEXTANT_REPORT_DIR"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "report.html"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
