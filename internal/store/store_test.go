package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
)

func testRun(t testing.TB) *Run {
	t.Helper()
	r, err := Create(t.TempDir(), time.Date(2025, 1, 31, 23, 59, 59, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func inputs(prompt string) Inputs {
	return Inputs{Data: "d1", Prompt: prompt, Settings: "s1", Model: model.Identity{Name: "fake", ComputeType: "float32"}}
}

func head(total int, prompt string) Header {
	return Header{Model: "m", Dataset: "ds", Total: total, Inputs: inputs(prompt)}
}

// idOf is the identity of a row whose prompt is made from key.
func idOf(i int, key string) string {
	h := sha256.Sum256([]byte(fmt.Sprintf("%d %s", i, key)))
	return hex.EncodeToString(h[:])
}

func rec(i int, key string) infer.Record {
	return infer.Record{Index: i, ID: idOf(i, key), State: infer.OK, Data: py.DictOf(
		"origin_prompt", fmt.Sprintf("Frage %d\nzwei\u2028drei é 中 \"q\" \\ %s", i, key), "prediction", fmt.Sprintf("A%d", i), "PPL", 1.0/float64(i+1),
		"list", py.NewList(), "nested", py.DictOf("a", py.NewList(1, py.NewDict())))}
}

func failedRec(i int, key string) infer.Record {
	return infer.Record{Index: i, ID: idOf(i, key), State: infer.Failed, Error: "context_length: too <long> & \"wide\"", Data: py.DictOf("origin_prompt", "p")}
}

func put(t testing.TB, w *Writer, recs ...infer.Record) {
	t.Helper()
	for _, r := range recs {
		if err := w.Put(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func mustWriter(t testing.TB, r *Run, h Header, name string, o WriterOptions) *Writer {
	t.Helper()
	w, err := r.Writer(h, name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func mustSettle(t testing.TB, r *Run, in Inputs) Settled {
	t.Helper()
	s, err := r.Settle("m", "ds", &in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// finalFiles reads everything below predictions and results.
func finalFiles(t testing.TB, r *Run) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, top := range []string{"predictions", "results"} {
		err := filepath.WalkDir(r.Path(top), func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			rel, _ := filepath.Rel(r.Dir(), p)
			out[rel] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// reference is what the undisturbed run of n rows leaves.
func reference(t testing.TB, n int, key string, failed ...int) map[string]string {
	t.Helper()
	r := testRun(t)
	w := mustWriter(t, r, head(n, key), "ref", WriterOptions{Sole: true})
	for i := range n {
		if slices.Contains(failed, i) {
			put(t, w, failedRec(i, key))
		} else {
			put(t, w, rec(i, key))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, r, inputs(key))
	return finalFiles(t, r)
}

func TestSettleShape(t *testing.T) {
	t.Parallel()
	got := reference(t, 2, "p", 1)["predictions/m/ds.json"]
	want := "{\n    \"0\": {\n        \"origin_prompt\": \"Frage 0\\nzwei\u2028drei é 中 \\\"q\\\" \\\\ p\",\n        \"prediction\": \"A0\",\n        \"PPL\": 1.0,\n" +
		"        \"list\": [],\n        \"nested\": {\n            \"a\": [\n                1,\n                {}\n            ]\n        }\n    },\n" +
		"    \"1\": {\n        \"origin_prompt\": \"p\",\n        \"prediction\": \"\",\n        \"error\": \"context_length: too <long> & \\\"wide\\\"\"\n    }\n}"
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	// The same through the encoder that everything else is written with.
	v, err := py.LoadJSON([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	b, err := py.DumpJSON(v, py.JSONOptions{Indent: 4})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(b), got); d != "" {
		t.Fatal(d)
	}
	if e := reference(t, 0, "p")["predictions/m/ds.json"]; e != "{}" {
		t.Fatalf("empty dataset: %q", e)
	}
}

// However the rows are cut among writers, in whatever order they finish, the
// final bytes are the same.
func TestOrderAndCutDoNotMatter(t *testing.T) {
	t.Parallel()
	const n = 50
	want := reference(t, n, "p", 7)
	for _, workers := range []int{1, 3, 16} {
		r := testRun(t)
		var wg sync.WaitGroup
		for w := range workers {
			wr := mustWriter(t, r, head(n, "p"), fmt.Sprintf("w%d", w), WriterOptions{})
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := n - 1 - w; i >= 0; i -= workers {
					x := rec(i, "p")
					if i == 7 {
						x = failedRec(i, "p")
					}
					if err := wr.Put(context.Background(), x); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		s := mustSettle(t, r, inputs("p"))
		if s.Total != n || s.Failed != 1 {
			t.Fatalf("settled %+v", s)
		}
		if d := cmp.Diff(want, finalFiles(t, r)); d != "" {
			t.Fatalf("%d workers: %s", workers, d)
		}
		again, err := r.Settle("m", "ds", nil, nil)
		if err != nil || again.Digest != s.Digest {
			t.Fatalf("settled twice: %+v, %v", again, err)
		}
	}
}

func TestTornAndDamagedLines(t *testing.T) {
	t.Parallel()
	const n = 6
	want := reference(t, n, "p")
	line := func(i int) string {
		b, err := appendRecord(nil, &infer.Record{Index: i, ID: idOf(i, "p"), State: infer.OK, Data: rec(i, "p").Data})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	h, err := head(n, "p").line()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, content string
		have          int // rows found at opening
		bad           bool
	}{
		{"torn last line", string(h) + line(0) + line(1)[:40], 1, false},
		{"torn header", string(h)[:20], 0, false},
		{"half a line in the middle", string(h) + line(0)[:30] + line(1) + line(2), 2, true},
		{"zeros at the end", string(h) + line(0) + strings.Repeat("\x00", 100), 1, false},
		{"zeros in the middle", string(h) + line(0) + strings.Repeat("\x00", 100) + "\n" + line(2), 2, true},
		{"text in the middle", string(h) + "hello\n" + line(3), 1, true},
		{"header damaged", "xx\n" + line(3) + line(4), 2, true},
		{"only a newline", "\n", 0, false},
		{"other spacing", string(h) + strings.ReplaceAll(strings.TrimSpace(line(0)), `,"s":`, ` , "s" : `) + " \n", 1, false},
		{"empty", "", 0, false},
	}
	for _, c := range cases {
		for _, sole := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/sole=%v", c.name, sole), func(t *testing.T) {
				r := testRun(t)
				if err := os.MkdirAll(r.Path("predictions", "m"), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(r.Path("predictions", "m", "ds.jsonl"), []byte(c.content), 0o666); err != nil {
					t.Fatal(err)
				}
				w := mustWriter(t, r, head(n, "p"), "w", WriterOptions{Sole: sole})
				have := 0
				for i := range n {
					if w.Have(i, idOf(i, "p")) {
						have++
					} else {
						put(t, w, rec(i, "p"))
					}
				}
				if have != c.have {
					t.Errorf("found %d rows, want %d", have, c.have)
				}
				w.Close()
				mustSettle(t, r, inputs("p"))
				if d := cmp.Diff(want, finalFiles(t, r)); d != "" {
					t.Error(d)
				}
				_, err := os.Stat(r.badPath("m", "ds"))
				if (err == nil) != c.bad {
					t.Errorf("damaged lines set aside: %v, want %v", err == nil, c.bad)
				}
			})
		}
	}
}

// A change of the prompt asks again exactly the rows whose prompt changed, and
// leaves what a fresh run leaves; going back finds the old answers.
func TestChangedInputs(t *testing.T) {
	t.Parallel()
	const n = 10
	key := func(version string, i int) string { // only odd rows differ
		if i%2 == 0 {
			return "same"
		}
		return version
	}
	run := func(r *Run, version string, sole bool) (asked int) {
		w := mustWriter(t, r, head(n, version), "w-"+version+fmt.Sprint(sole, time.Now().UnixNano()), WriterOptions{Sole: sole})
		for i := range n {
			if !w.Have(i, idOf(i, key(version, i))) {
				asked++
				put(t, w, rec(i, key(version, i)))
			}
		}
		w.Close()
		mustSettle(t, r, inputs(version))
		return asked
	}
	for _, sole := range []bool{true, false} {
		fresh := testRun(t)
		run(fresh, "v2", sole)
		r := testRun(t)
		if a := run(r, "v1", sole); a != n {
			t.Fatalf("first run asked %d", a)
		}
		in := inputs("v2")
		st, err := r.Status("m", "ds", &in)
		if err != nil || st.State != Stale || !slices.Equal(st.Changed, []string{"prompt"}) {
			t.Fatalf("status %+v, %v", st, err)
		}
		if a := run(r, "v2", sole); a != n/2 {
			t.Fatalf("changed run asked %d, want %d", a, n/2)
		}
		if d := cmp.Diff(finalFiles(t, fresh), finalFiles(t, r)); d != "" {
			t.Fatal(d)
		}
		if a := run(r, "v1", sole); a != 0 {
			t.Fatalf("going back asked %d", a)
		}
		st, err = r.Status("m", "ds", nil)
		if err != nil || st.State != Complete || !st.Settled || st.Inputs != inputs("v1") {
			t.Fatalf("status %+v, %v", st, err)
		}
	}
}

// What was cut is counted, stays in the records, and is not in the files that
// have OpenCompass's shape.
func TestCutIsCounted(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	w := mustWriter(t, r, head(3, "p"), "w", WriterOptions{})
	a, b := rec(0, "p"), failedRec(1, "p")
	a.Cut, b.Cut = infer.CutAnswer|infer.CutExamples, infer.CutPrompt
	put(t, w, b, a, rec(2, "p"))
	w.Close()
	want := infer.Cuts{Answers: 1, Prompts: 1, Examples: 1}
	for _, settled := range []bool{false, true} {
		if settled {
			mustSettle(t, r, inputs("p"))
		}
		if st, err := r.Status("m", "ds", nil); err != nil || st.Settled != settled || st.Cut != want {
			t.Errorf("%+v, %v", st, err)
		}
	}
	p, err := r.Predictions("m", "ds", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := readAll(t, p); got[0].Cut != a.Cut || got[1].Cut != b.Cut || got[2].Cut != 0 {
		t.Errorf("%+v", got)
	}
	json, err := os.ReadFile(r.PredictionsPath("m", "ds"))
	if err != nil || strings.Contains(string(json), "cut") {
		t.Errorf("%v: %s", err, json)
	}
}

// Another range of rows gives the same questions other numbers: their answers
// are found all the same.
func TestAnswersAreFoundUnderAnotherNumber(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	w := mustWriter(t, r, head(4, "v1"), "w1", WriterOptions{Sole: true})
	put(t, w, rec(0, "a"), rec(1, "b"), rec(2, "c"))
	w.Close()
	w = mustWriter(t, r, head(2, "v2"), "w2", WriterOptions{Sole: true})
	for i, id := range []string{idOf(1, "b"), idOf(2, "c")} {
		if !w.Have(i, id) {
			t.Errorf("row %d is asked again", i)
		}
	}
	w.Close()
	mustSettle(t, r, inputs("v2"))
	p, err := r.Predictions("m", "ds", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i, got := range readAll(t, p) {
		if want := []string{idOf(1, "b"), idOf(2, "c")}[i]; got.Index != i || got.ID != want {
			t.Errorf("row %d: %+v", i, got)
		}
	}
}

// An answer that replaced a failure is not lost when the inputs change and
// change back.
func TestSupersededKeepsAnswersBeforeFailures(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	w := mustWriter(t, r, head(2, "v1"), "w1", WriterOptions{Sole: true})
	put(t, w, failedRec(0, "v1"), rec(0, "v1"))
	w.Close()
	for _, v := range []string{"v2", "v1"} {
		w = mustWriter(t, r, head(2, v), "w-"+v, WriterOptions{Sole: true, RetryFailed: true})
		if v == "v1" && !w.Have(0, idOf(0, "v1")) {
			t.Error("the answer is lost")
		}
		w.Close()
	}
}

func TestChangedSays(t *testing.T) {
	t.Parallel()
	a := inputs("p")
	b := a
	b.Model.ComputeType, b.Data, b.Settings = "float16", "d2", "s2"
	if got, want := b.Changed(a), []string{"model (float16, was float32)", "data", "settings"}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	if a.Key() == b.Key() || len(a.Changed(a)) != 0 {
		t.Fatal("keys do not tell inputs apart")
	}
}

func TestAnswerReplacesFailure(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	w := mustWriter(t, r, head(2, "p"), "w1", WriterOptions{Sole: true})
	put(t, w, rec(0, "p"), failedRec(1, "p"))
	w.Close()
	mustSettle(t, r, inputs("p"))
	w = mustWriter(t, r, head(2, "p"), "w2", WriterOptions{Sole: true})
	if !w.Have(1, idOf(1, "p")) {
		t.Fatal("a failed row is asked again unasked")
	}
	w.Close()
	w = mustWriter(t, r, head(2, "p"), "w3", WriterOptions{RetryFailed: true})
	if w.Have(1, idOf(1, "p")) || !w.Have(0, idOf(0, "p")) {
		t.Fatal("RetryFailed must ask the failed row only")
	}
	put(t, w, rec(1, "p"))
	if !w.Have(1, idOf(1, "p")) {
		t.Fatal("the new answer is not known")
	}
	w.Close()
	mustSettle(t, r, inputs("p"))
	if d := cmp.Diff(reference(t, 2, "p"), finalFiles(t, r)); d != "" {
		t.Fatal(d)
	}
}

func TestIncomplete(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	in := inputs("p")
	st, err := r.Status("m", "ds", &in)
	if err != nil || st.State != Missing {
		t.Fatalf("%+v %v", st, err)
	}
	w := mustWriter(t, r, head(3, "p"), "w", WriterOptions{})
	put(t, w, rec(0, "p"), rec(2, "p"))
	_, err = r.Settle("m", "ds", &in, nil)
	var inc *IncompleteError
	if !errors.As(err, &inc) || inc.Have != 2 || inc.Total != 3 || inc.First != 1 {
		t.Fatalf("%v", err)
	}
	if _, err := r.Predictions("m", "ds", nil); !errors.As(err, &inc) {
		t.Fatalf("%v", err)
	}
	if st, err = r.Status("m", "ds", &in); err != nil || st.State != Partial || st.Have != 2 {
		t.Fatalf("%+v %v", st, err)
	}
	put(t, w, rec(1, "p"))
	if st, err = r.Status("m", "ds", &in); err != nil || st.State != Complete || st.Settled {
		t.Fatalf("%+v %v", st, err)
	}
	// unsettled and settled predictions have one digest
	p, err := r.Predictions("m", "ds", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	w.Close()
	if s := mustSettle(t, r, in); s.Digest != p.Digest {
		t.Fatalf("digest %s before, %s after settling", p.Digest, s.Digest)
	}
	if _, err := r.Writer(head(3, "p"), "../w", WriterOptions{}); err == nil {
		t.Fatal("a writer left its folder")
	}
	h := head(3, "p")
	h.Dataset = "../../etc/ds"
	if _, err := r.Writer(h, "w", WriterOptions{}); err == nil {
		t.Fatal("a dataset left its folder")
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	os.MkdirAll(r.Path("predictions", "m"), 0o777)
	os.WriteFile(r.Path("predictions", "m", "ds.jsonl"), []byte(`{"v":2,"kind":"predictions","model":"m","dataset":"ds","total":1}`+"\n"), 0o666)
	if _, err := r.Writer(head(1, "p"), "w", WriterOptions{Sole: true}); !errors.Is(err, errNewer) {
		t.Fatalf("%v", err)
	}
}

func TestSoleIsExclusive(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	a := mustWriter(t, r, head(2, "p"), "a", WriterOptions{Sole: true})
	b := mustWriter(t, r, head(2, "p"), "b", WriterOptions{Sole: true})
	if a.path == b.path {
		t.Skip("this file system has no locks")
	}
	put(t, a, rec(0, "p"))
	put(t, b, rec(1, "p"))
	a.Close()
	b.Close()
	mustSettle(t, r, inputs("p"))
	if d := cmp.Diff(reference(t, 2, "p"), finalFiles(t, r)); d != "" {
		t.Fatal(d)
	}
}

func readAll(t testing.TB, p *Predictions) []infer.Record {
	t.Helper()
	var out []infer.Record
	for r, err := range p.All() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestPredictionsEdited(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	w := mustWriter(t, r, head(2, "p"), "a", WriterOptions{Sole: true})
	put(t, w, rec(0, "p"), failedRec(1, "p"))
	w.Close()
	s := mustSettle(t, r, inputs("p"))
	p, err := r.Predictions("m", "ds", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := readAll(t, p)
	p.Close()
	if len(got) != 2 || got[0].Data.Str("prediction") != "A0" || got[1].State != infer.Failed || got[1].Error == "" || p.Digest != s.Digest || p.Source != FromRecords {
		t.Fatalf("%+v %+v", p, got)
	}
	path := r.PredictionsPath("m", "ds")
	b, _ := os.ReadFile(path)
	edited := strings.Replace(string(b), `"A0"`, `"B0"`, 1) // same size
	os.WriteFile(path, []byte(edited), 0o666)
	p, err = r.Predictions("m", "ds", nil)
	if err != nil {
		t.Fatal(err)
	}
	got = readAll(t, p)
	if !p.Edited || got[0].Data.Str("prediction") != "B0" || got[1].State != infer.Failed || p.Digest == s.Digest {
		t.Fatalf("%+v %+v", p, got)
	}
	// cut short by a dying machine: made again from the records
	os.WriteFile(path, b[:len(b)/2], 0o666)
	mustSettle(t, r, inputs("p"))
	if now, _ := os.ReadFile(path); string(now) != string(b) {
		t.Fatal("a damaged JSON was not made again")
	}
}

func TestOpenCompassPredictions(t *testing.T) {
	t.Parallel()
	write := func(r *Run, name, s string) {
		p := r.Path("predictions", "m", name)
		os.MkdirAll(filepath.Dir(p), 0o777)
		if err := os.WriteFile(p, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name    string
		dataset string
		files   map[string]string
		source  string
		want    []string
		err     string
	}{
		{"whole", "ds", map[string]string{"ds.json": `{"1": {"prediction": "b"}, "0": {"prediction": "a", "x": NaN}}`, "ds_0.json": `{}`}, FromJSON, []string{"a", "b"}, ""},
		{"parts", "ds", map[string]string{"ds_0.json": `{"0": {"prediction": "a"}, "1": {"prediction": "b"}}`, "ds_1.json": `{"0": {"prediction": "c"}}`, "ds_3.json": `{}`}, FromParts, []string{"a", "b", "c"}, ""},
		{"many digits", "ds", map[string]string{"ds_0.json": func() string {
			var s []string
			for i := range 12 {
				s = append(s, fmt.Sprintf(`"%d": {"prediction": "%d"}`, i, i))
			}
			slices.Sort(s)
			return "{" + strings.Join(s, ",") + "}"
		}()}, FromParts, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}, ""},
		{"unfinished", "ds", map[string]string{"tmp_ds.jsonl": "{\"idx\": \"0\", \"prediction\": \"a\u2028\"}\n{\"idx\": \"1\", \"prediction\": \"b\"}\n{\"idx\": \"2\", \"pred"}, FromTmp, []string{"a\u2028", "b"}, ""},
		{"last part unfinished", "x/ds", map[string]string{"x/ds_0.json": `{"0": {"prediction": "a"}}`, "x/tmp_ds_1.jsonl": "{\"idx\": \"0\", \"prediction\": \"b\"}\n"}, FromTmp, []string{"a", "b"}, ""},
		{"gap", "ds", map[string]string{"ds.json": `{"0": {"prediction": "a"}, "2": {"prediction": "c"}}`}, "", nil, "row 1 is missing"},
		{"cut", "ds", map[string]string{"ds.json": `{"0": {"prediction": "a"}`}, "", nil, "not a JSON object"},
		{"none", "ds", nil, "", nil, "no predictions"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := testRun(t)
			for n, s := range c.files {
				write(r, n, s)
			}
			p, err := r.Predictions("m", c.dataset, nil)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, x := range readAll(t, p) {
				if x.Index != i || x.Data.Has("idx") {
					t.Errorf("row %d is %+v", i, x)
				}
				got = append(got, x.Data.Str("prediction"))
			}
			if d := cmp.Diff(c.want, got); d != "" || p.Source != c.source || p.Total != len(got) {
				t.Fatalf("%s %+v", d, p)
			}
		})
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	v := py.DictOf("accuracy", 50.0, "details", py.DictOf("type", "GEN", "0", py.DictOf("prompt", "é")))
	m := ResultMeta{Predictions: "p1", Eval: "e1", Counts: Counts{Total: 2, Scored: 1, Unscored: 1}, Judged: 2, Correct: 1}
	if done, _, _, err := r.ResultDone("m", "ds", m); done || err != nil {
		t.Fatal(done, err)
	}
	if err := r.WriteResult("m", "ds", v, m); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(r.ResultsPath("m", "ds"))
	if want := "{\n    \"accuracy\": 50.0,\n    \"details\": {\n        \"type\": \"GEN\",\n        \"0\": {\n            \"prompt\": \"é\"\n        }\n    }\n}"; string(b) != want {
		t.Fatalf("%s", b)
	}
	if done, foreign, changed, err := r.ResultDone("m", "ds", m); !done || foreign || len(changed) > 0 || err != nil {
		t.Fatal(done, foreign, changed, err)
	}
	w := m
	w.Predictions, w.Eval = "p2", "e2"
	if done, _, changed, _ := r.ResultDone("m", "ds", w); done || !slices.Equal(changed, []string{"predictions", "evaluation"}) {
		t.Fatal(done, changed)
	}
	got, ok := r.ResultMeta("m", "ds")
	if !ok || got.Counts != m.Counts || got.Correct != 1 {
		t.Fatal(got, ok)
	}
	os.WriteFile(r.ResultsPath("m", "ds"), []byte(`{"accuracy": 1.0}`), 0o666)
	if done, foreign, _, _ := r.ResultDone("m", "ds", m); !done || !foreign {
		t.Fatal("an edited result is its editor's")
	}
	os.WriteFile(r.ResultsPath("m", "ds"), []byte(`{"accuracy"`), 0o666)
	if done, _, changed, _ := r.ResultDone("m", "ds", m); done || len(changed) != 1 {
		t.Fatal("a damaged result counts as done")
	}
	res, err := r.Result("m", "nope")
	if !errors.Is(err, fs.ErrNotExist) || res != nil {
		t.Fatal(res, err)
	}
}

// dyingFS fails every change of names after the first n.
type dyingFS struct {
	osFS
	n int
}

func (d *dyingFS) Rename(from, to string) error {
	if d.n--; d.n < 0 {
		return errors.New("killed")
	}
	return d.osFS.Rename(from, to)
}

func (d *dyingFS) Remove(name string) error {
	if d.n--; d.n < 0 {
		return errors.New("killed")
	}
	return d.osFS.Remove(name)
}

// A result that was being replaced when the process died is made again: it is
// neither taken for somebody else's nor for the new one.
func TestResultsSurviveAKill(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		r := testRun(t)
		old, now := ResultMeta{Predictions: "a", Eval: "e"}, ResultMeta{Predictions: "b", Eval: "e"}
		if err := r.WriteResult("m", "ds", py.DictOf("accuracy", 1), old); err != nil {
			t.Fatal(err)
		}
		err := open(r.Dir(), &dyingFS{n: n}).WriteResult("m", "ds", py.DictOf("accuracy", 22), now)
		done, foreign, _, derr := r.ResultDone("m", "ds", now)
		if derr != nil || foreign || done != (err == nil) {
			t.Errorf("killed after %d changes (%v): done %v, foreign %v, %v", n, err, done, foreign, derr)
		}
		if done, foreign, _, _ := r.ResultDone("m", "ds", old); err == nil && done || foreign {
			t.Errorf("killed after %d changes: the old result counts, %v %v", n, done, foreign)
		}
	}
}

func TestResultMetrics(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	v := py.DictOf("accuracy", 50.0, "x", py.NewList(1), "details", py.DictOf("0", py.DictOf("pred", "é\"}")), "last", nil)
	if err := r.WriteResult("m", "ds", v, ResultMeta{}); err != nil {
		t.Fatal(err)
	}
	got, err := r.ResultMetrics("m", "ds")
	if err != nil || py.Repr(got) != "{'accuracy': 50.0, 'x': [1], 'last': None}" {
		t.Errorf("%s, %v", py.Repr(got), err)
	}
	if _, err := r.ResultMetrics("m", "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(r.ResultsPath("m", "ds"), []byte(`{"accuracy": 5`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ResultMetrics("m", "ds"); err == nil {
		t.Error("half a file was read")
	}
}

// The run that was created last is the latest, whatever the clock says.
func TestLatestWasCreatedLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	create := func(at time.Time, name, after string) {
		t.Helper()
		r, err := Create(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Name() != name || r.NamedAfter() != after {
			t.Errorf("created %s after %q, want %s after %q", r.Name(), r.NamedAfter(), name, after)
		}
		if l, err := Resolve(dir, "latest"); err != nil || l.Name() != name {
			t.Errorf("latest is %v, %v, want %s", l, err, name)
		}
	}
	create(at, "20250102_030405", "")
	create(at.Add(-time.Hour), "20250102_030405_2", "20250102_030405")
	create(at.Add(-48*time.Hour), "20250102_030405_3", "20250102_030405_2")
	create(at.Add(time.Second), "20250102_030406", "")
	// a folder that was given another name is still older than what came later
	if err := os.Rename(filepath.Join(dir, "20250102_030405_2"), filepath.Join(dir, "20300101_000000")); err != nil {
		t.Fatal(err)
	}
	if l, err := Resolve(dir, "latest"); err != nil || l.Name() != "20250102_030406" {
		t.Errorf("latest is %v, %v", l, err)
	}
	create(at.Add(time.Minute), "20300101_000000_2", "20300101_000000")
	// runs of others count by their names
	if err := os.Mkdir(filepath.Join(dir, "20310101_000000"), 0o777); err != nil {
		t.Fatal(err)
	}
	if l, err := Resolve(dir, "latest"); err != nil || l.Name() != "20310101_000000" {
		t.Errorf("latest is %v, %v", l, err)
	}
	create(at.Add(2*time.Minute), "20310101_000000_2", "20310101_000000")
	// a copy was not created here
	other := t.TempDir()
	if err := os.CopyFS(filepath.Join(other, "20240101_000000"), os.DirFS(filepath.Join(dir, "20310101_000000_2"))); err != nil {
		t.Fatal(err)
	}
	r, err := Create(other, at)
	if err != nil || r.NamedAfter() != "" {
		t.Fatal(err, r.NamedAfter())
	}
	defer r.Close()
	if l, err := Resolve(other, "latest"); err != nil || l.Name() != r.Name() {
		t.Errorf("latest is %v, %v", l, err)
	}
}

func TestRunDirectories(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	var nothing *NothingToResumeError
	if _, err := Resolve(dir, "latest"); !errors.As(err, &nothing) || nothing.Hint() == "" {
		t.Fatalf("%v", err)
	}
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	var names []string
	for range 12 {
		r, err := Create(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name())
	}
	if names[0] != "20250102_030405" || names[1] != "20250102_030405_2" {
		t.Fatal(names)
	}
	os.Mkdir(filepath.Join(dir, "zzz"), 0o777)
	os.WriteFile(filepath.Join(dir, "20990101_000000"), nil, 0o666)
	r, err := Resolve(dir, "latest")
	if err != nil || r.Name() != "20250102_030405_12" {
		t.Fatalf("%v %v", r, err)
	}
	if r, err = Resolve(dir, "zzz"); err != nil || r.Name() != "zzz" {
		t.Fatalf("%v %v", r, err)
	}
	_, err = Resolve(dir, "20240101_000000")
	if !errors.As(err, &nothing) || !strings.Contains(nothing.Hint(), "20250102_030405_12") || !strings.Contains(nothing.Hint(), "7 older") {
		t.Fatalf("%v %s", err, nothing.Hint())
	}
	if _, err := Resolve(dir, "../.."); !errors.As(err, &nothing) {
		t.Fatalf("%v", err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o666)
	if _, err := Create(file, at); err == nil || !strings.Contains(err.Error(), "not writable") {
		t.Fatalf("%v", err)
	}
}
