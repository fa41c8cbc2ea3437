package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sextant/internal/dataset/source"
	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/model"
	_ "sextant/internal/model/fake"
	"sextant/internal/py"
	"sextant/internal/report"
	"sextant/internal/runner"
	_ "sextant/internal/runner/local"
	"sextant/internal/spec"
	"sextant/internal/store"
	"sextant/internal/task"

	"log/slog"
)

func lines(items ...string) string { return strings.Join(items, "\n") + "\n" }

// experiment has a dataset of rows rows in SIQA's form and a fake model.
func experiment(t *testing.T, dir string, rows int, partitioner *py.Dict) *spec.Experiment {
	t.Helper()
	var data, labels []string
	for i := range rows {
		data = append(data, fmt.Sprintf(`{"context": "c%d", "question": "q%d", "answerA": "a", "answerB": "b", "answerC": "c"}`, i, i))
		labels = append(labels, fmt.Sprint(i%3+1))
	}
	for name, text := range map[string]string{"dev.jsonl": lines(data...), "dev-labels.lst": lines(labels...)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tmpl := py.NewDict()
	for i, a := range []string{"A", "B", "C"} {
		tmpl.Set(i+1, "{context} {question} {answer"+a+"}")
	}
	cfg := py.DictOf(
		"models", py.NewList(py.DictOf("type", "FakeModel", "abbr", "m", "path", "fake", "batch_size", 4, "max_out_len", 8)),
		"datasets", py.NewList(py.DictOf("type", "siqaDataset", "abbr", "d", "path", dir,
			"reader_cfg", py.DictOf("input_columns", py.NewList("context", "question", "answerA", "answerB", "answerC"), "output_column", "label", "test_split", "validation"),
			"infer_cfg", py.DictOf("prompt_template", py.DictOf("type", "PromptTemplate", "template", tmpl),
				"retriever", py.DictOf("type", "ZeroRetriever"), "inferencer", py.DictOf("type", "PPLInferencer")),
			"eval_cfg", py.DictOf("evaluator", py.DictOf("type", "AccEvaluator")))))
	if partitioner != nil {
		cfg.Set("infer", py.DictOf("partitioner", partitioner, "runner", py.DictOf("type", "LocalRunner", "task", py.DictOf("type", "OpenICLInferTask"))))
	}
	e, err := spec.Decode(nil, cfg, spec.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if errs := append(task.Check(e), Check(e)...); len(errs) > 0 {
		t.Fatal(errs)
	}
	return e
}

func coordinator(t *testing.T, e *spec.Experiment, r *store.Run, epoch int) *Coordinator {
	t.Helper()
	c := &Coordinator{
		Exp: e, Run: r, Epoch: epoch, Source: source.New(source.Options{Offline: true}), Events: event.Discard, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Note: func(f string, a ...any) { t.Logf(f, a...) }, Warn: func(err error) { t.Log(err) },
		Opt: Options{Workers: 2, DumpDetails: true, MaxFailedSamples: -1},
	}
	c.Runner = runner.Env{LookupEnv: os.LookupEnv, Log: c.Log, InProcess: func(ctx context.Context, m *task.Manifest, sink event.Sink) error {
		rep := task.NewReporter(r, m, "host", 1, time.Hour)
		f := task.Execute(ctx, m, task.Deps{Run: r, Source: c.Source, Events: sink, Now: time.Now, Log: c.Log}, rep)
		if err := rep.Finish(task.Done, f); err != nil {
			return err
		}
		if f != nil {
			return f
		}
		return nil
	}}
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func newRun(t *testing.T) *store.Run {
	t.Helper()
	r, err := store.Create(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func sizes(max int) *py.Dict {
	return py.DictOf("type", "SizePartitioner", "max_task_size", max)
}

func execute(t *testing.T, c *Coordinator) {
	t.Helper()
	for _, plan := range []func(context.Context) (*Plan, error){c.PlanInfer, c.PlanEval} {
		p, err := plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rep, err := c.Execute(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, failed, stopped := rep.Count(); failed+stopped > 0 {
			t.Fatalf("%+v", rep)
		}
	}
}

func TestWholeRun(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	c := coordinator(t, experiment(t, dir, 20, sizes(15)), r, 1) // 5 rows at 3 labels
	execute(t, c)
	s, err := c.Summarize(t.Context(), time.Now(), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Failed+s.Unscored+s.Missing != 0 || s.Report == "" || len(s.Files) != 3 {
		t.Errorf("%+v", s)
	}
	// nothing is left to infer, and nothing was lost
	p, err := coordinator(t, experiment(t, dir, 20, sizes(15)), r, 2).PlanInfer(t.Context())
	if err != nil || len(p.Tasks) != 0 || p.Skip != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// What changed is asked again, and named.
func TestChangedPrompt(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	execute(t, coordinator(t, experiment(t, dir, 6, nil), r, 1))
	e := experiment(t, dir, 6, nil)
	e.Datasets[0].Infer.Dict("prompt_template").Dict("template").Set(1, "other {answerA}")
	p, err := coordinator(t, e, r, 2).PlanInfer(t.Context())
	if err != nil || len(p.Tasks) != 1 || !reflect.DeepEqual(p.Remade, []string{"m/d: changed prompt"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// The first cut of a run is kept: a later one changes no batch.
func TestLayoutIsKept(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	for i, part := range []*py.Dict{sizes(15), sizes(30), nil, py.DictOf("type", "NumWorkerPartitioner", "num_worker", 7, "min_task_size", 1)} {
		c := coordinator(t, experiment(t, dir, 20, part), r, i+1)
		if err := c.layOut(); err != nil {
			t.Fatal(err)
		}
		if want := []int{5, 10, 15}; !reflect.DeepEqual(c.cuts["d"], want) {
			t.Errorf("session %d: cuts %v, want %v", i+1, c.cuts["d"], want)
		}
	}
	// a fresh run that is cut by workers has one batch order for any number
	c := coordinator(t, experiment(t, dir, 20, py.DictOf("type", "NumWorkerPartitioner", "num_worker", 4, "min_task_size", 1)), newRun(t), 1)
	if err := c.layOut(); err != nil || len(c.cuts["d"]) != 0 {
		t.Errorf("cuts %v, %v", c.cuts["d"], err)
	}
}

// All of a config's mistakes in stages are found at once.
func TestCheck(t *testing.T) {
	e := experiment(t, t.TempDir(), 3, sizes(15))
	e.Infer.Runner.Set("type", "LocalRuner")
	e.Infer.Task.Set("type", "OpenICLEvalTask")
	e.Infer.Partitioner.Set("max_task_size", 0)
	var got []string
	for _, d := range Check(e) {
		got = append(got, d.Msg+" / "+d.Hint)
	}
	for i, want := range []string{"max_task_size", `unknown runner "LocalRuner" / did you mean "LocalRunner"?`, "OpenICLEvalTask is a task of the eval stage, not of infer"} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Errorf("mistake %d: %q, want %q", i, got, want)
		}
	}
}

func ask(t *testing.T, c *Coordinator) runner.Report {
	t.Helper()
	p, err := c.PlanInfer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rep, err := c.Execute(t.Context(), p)
	if _, failed, _ := rep.Count(); err != nil && failed == 0 {
		t.Fatal(err)
	}
	return rep
}

func score(t *testing.T, c *Coordinator, inferred bool) runner.Report {
	t.Helper()
	if err := c.SettleAll(t.Context(), inferred); err != nil {
		t.Fatal(err)
	}
	p, err := c.PlanEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rep, err := c.Execute(t.Context(), p)
	if _, failed, _ := rep.Count(); err != nil && failed == 0 {
		t.Fatal(err)
	}
	return rep
}

// A session whose inference fails after the prompt was changed shows no score
// of the answers to the old prompt.
func TestOldAnswersAreNotScoredForNewQuestions(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	c := coordinator(t, experiment(t, dir, 6, nil), r, 1)
	execute(t, c)
	if s, err := c.Summarize(t.Context(), time.Now(), true, nil); err != nil || s.Missing != 0 {
		t.Fatal(s, err)
	}
	e := experiment(t, dir, 6, nil)
	e.Datasets[0].Infer.Dict("prompt_template").Dict("template").Set(1, "other {answerA}")
	e.Models[0].Cfg.Set("fail", py.NewList(py.DictOf("kind", "endpoint")))
	c = coordinator(t, e, r, 2)
	if _, failed, _ := ask(t, c).Count(); failed != 1 {
		t.Fatal("inference did not fail")
	}
	if rep := score(t, c, true); len(rep.Tasks) != 0 {
		t.Errorf("scored all the same: %+v", rep)
	}
	s, err := c.Summarize(t.Context(), time.Now(), true, nil)
	if err != nil || s.Missing != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	b, err := os.ReadFile(s.Files[0])
	if err != nil || strings.Contains(string(b), "33.33") {
		t.Errorf("%v: the old score is shown:\n%s", err, b)
	}
}

// What an earlier session left unsettled is not taken for the answers of this
// one, whatever its file is called.
func TestLeftoversOfOtherQuestionsAreNotSettled(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	write := func(e *spec.Experiment, sole bool, name string) store.Inputs {
		c := coordinator(t, e, r, 1)
		if err := c.layOut(); err != nil {
			t.Fatal(err)
		}
		p := c.pairs()[0]
		in, err := c.wanted(t.Context(), p.m, p.d, store.Status{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Writer(store.Header{Model: "m", Dataset: "d", Total: 3, Inputs: in}, name, store.WriterOptions{Sole: sole})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := w.Put(t.Context(), inferRecord(i, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return in
	}
	old := experiment(t, dir, 3, nil)
	old.Datasets[0].Infer.Dict("prompt_template").Dict("template").Set(1, "old {answerA}")
	write(old, false, "old")
	e := experiment(t, dir, 3, nil)
	want := write(e, true, "new")
	c := coordinator(t, e, r, 2)
	if p, err := c.PlanInfer(t.Context()); err != nil || p.Skip != 1 {
		t.Fatal(p, err)
	}
	if err := c.SettleAll(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	st, err := r.Status("m", "d", nil)
	if err != nil || !st.Settled || st.Inputs != want {
		t.Errorf("%+v, %v", st, err)
	}
}

func inferRecord(i int, by string) infer.Record {
	return infer.Record{Index: i, ID: fmt.Sprintf("%s-%d", by, i), State: infer.OK, Data: py.DictOf("prediction", 1)}
}

// A model that cannot be identified without opening it is asked again when its
// path is another one.
func TestAnotherPathIsAnotherModel(t *testing.T) {
	fakeClass, err := model.Classes.Lookup("FakeModel")
	if err != nil {
		t.Fatal(err)
	}
	fakeClass.Identify = nil
	if _, err := model.Classes.Lookup("ShyModel"); err != nil { // -count
		model.Classes.Register(fakeClass, "ShyModel")
	}
	dir, r := t.TempDir(), newRun(t)
	e := func(path string) *spec.Experiment {
		e := experiment(t, dir, 6, nil)
		e.Models[0].Type = "ShyModel"
		e.Models[0].Cfg.Set("type", "ShyModel")
		e.Models[0].Cfg.Set("path", path)
		return e
	}
	execute(t, coordinator(t, e("one"), r, 1))
	for path, tasks := range map[string]int{"one": 0, "two": 1} {
		if p, err := coordinator(t, e(path), r, 2).PlanInfer(t.Context()); err != nil || len(p.Tasks) != tasks {
			t.Errorf("path %s: %+v, %v", path, p, err)
		}
	}
}

// Answers are not judged by references of other data.
func TestOtherDataIsNotScored(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	c := coordinator(t, experiment(t, dir, 6, nil), r, 1)
	ask(t, c)
	e := experiment(t, dir, 6, nil)
	if err := os.WriteFile(filepath.Join(dir, "dev-labels.lst"), []byte("3\n3\n3\n3\n3\n3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c = coordinator(t, e, r, 2)
	rep := score(t, c, false)
	if _, failed, _ := rep.Count(); failed != 1 || !strings.Contains(rep.Tasks[0].Failure.Message, "other data") {
		t.Errorf("%+v", rep.Tasks)
	}
}

// The report says of each row what was said of it, when a row before it has no
// answer.
func TestReportKeepsRowsApart(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	e := experiment(t, dir, 6, nil)
	e.Models[0].Cfg.Set("fail", py.NewList(py.DictOf("match", "q1", "kind", "sample")))
	e.Datasets[0].Eval.Set("evaluator", py.DictOf("type", "AccwithDetailsEvaluator"))
	c := coordinator(t, e, r, 1)
	execute(t, c)
	if _, err := c.Summarize(t.Context(), time.Now(), true, nil); err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range c.samples(c.pairs()[0]) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		want := report.Wrong
		switch {
		case s.Index == 1:
			want = report.Failed
		case py.Equal(s.Record.Get("prediction"), s.Record.Get("gold")):
			want = report.Right
		}
		if s.Verdict != want {
			t.Errorf("row %d: %v, want %v", s.Index, s.Verdict, want)
		}
	}
	if n != 6 {
		t.Errorf("%d rows", n)
	}
}

// The summary says how many prompts were cut.
func TestCutPromptsAreTold(t *testing.T) {
	dir, r := t.TempDir(), newRun(t)
	e := experiment(t, dir, 6, nil)
	e.Models[0].Cfg.Set("max_seq_len", 2)
	c := coordinator(t, e, r, 1)
	execute(t, c)
	var told []string
	c.Note = func(f string, a ...any) { told = append(told, fmt.Sprintf(f, a...)) }
	if _, err := c.Summarize(t.Context(), time.Now(), false, nil); err != nil {
		t.Fatal(err)
	}
	if want := "prompts cut at max_seq_len or at the model's context: m/d 6 of 6"; !slices.Contains(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}
