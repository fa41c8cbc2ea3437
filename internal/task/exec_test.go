package task

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sextant/internal/dataset/source"
	"sextant/internal/event"
	"sextant/internal/model"
	_ "sextant/internal/model/fake"
	"sextant/internal/py"
	"sextant/internal/store"
)

// leaky is a model whose errors repeat the key that it was called with.
type leaky struct {
	key   string
	fatal bool
}

func (m leaky) Generate(context.Context, model.Request) (model.Response, error) {
	err := fmt.Errorf("incorrect key %s", m.key)
	if m.fatal {
		return model.Response{}, &model.EndpointError{Err: err, Hint: "is " + m.key + " right?"}
	}
	return model.Response{}, &model.SampleError{Reason: "refused", Err: err}
}
func (leaky) Limits() model.Limits { return model.Limits{} }
func (leaky) Close() error         { return nil }

func init() {
	model.Classes.Register(model.Class{Open: func(_ context.Context, cfg *py.Dict, env model.Env) (model.Model, error) {
		env.Log.Info("opening", "key", cfg.Str("key"))
		return leaky{cfg.Str("key"), cfg.Has("fatal")}, nil
	}}, "LeakyModel")
}

type fixture struct {
	run    *store.Run
	deps   Deps
	log    bytes.Buffer
	mu     sync.Mutex
	events []event.Event
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	run, err := store.Create(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	f := &fixture{run: run}
	f.deps = Deps{Run: run, Source: source.New(source.Options{Offline: true}), Now: time.Now, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Events: event.Func(func(e event.Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
		})}
	f.deps.Env.Log = f.deps.Log
	return f
}

// questions is a dataset of n rows that is asked with generation.
func questions(t *testing.T, n int, eval *py.Dict) *py.Dict {
	t.Helper()
	path := filepath.Join(t.TempDir(), "q.jsonl")
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"q\": \"%d?\", \"a\": \"%d\"}\n", i, i)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return py.DictOf("type", "JsonlDataset", "abbr", "q", "path", path,
		"reader_cfg", py.DictOf("input_columns", py.NewList("q"), "output_column", "a"),
		"infer_cfg", py.DictOf("prompt_template", py.DictOf("type", "PromptTemplate", "template", "{q}"),
			"retriever", py.DictOf("type", "ZeroRetriever"), "inferencer", py.DictOf("type", "GenInferencer", "max_out_len", 4)),
		"eval_cfg", eval)
}

func (f *fixture) execute(t *testing.T, stage string, m, d *py.Dict, o Options) (*Failure, Status) {
	t.Helper()
	man := &Manifest{ID: stage, Attempt: 1, Run: f.run.Dir(), Stage: stage, Model: m, ModelAbbr: m.Str("abbr"), Options: o,
		Units: []Unit{{Dataset: d, Abbr: "q", Part: "q", Task: "t", Sole: true}}}
	rep := NewReporter(f.run, man, "host", 1, time.Hour)
	fail := Execute(t.Context(), man, f.deps, rep)
	if err := rep.Finish(Done, fail); err != nil {
		t.Fatal(err)
	}
	return fail, rep.Snapshot()
}

// No key reaches a file: not in records, not in the status, not in events.
func TestKeysInErrorsAreNotWritten(t *testing.T) {
	t.Parallel()
	const key, other = "sk-aaaaaaaaaaaaaaaaaaaa", "from-the-environment"
	for _, fatal := range []bool{false, true} {
		f := newFixture(t)
		f.deps.Secrets = []string{other}
		f.deps.Log = slog.New(slog.NewTextHandler(ScrubWriter(&f.log, []string{key}), nil))
		f.deps.Env.Log = f.deps.Log
		m := py.DictOf("type", "LeakyModel", "abbr", "m", "path", "p", "key", key)
		if fatal {
			m.Set("fatal", other)
		}
		fail, _ := f.execute(t, Infer, m, questions(t, 2, nil), Options{MaxFailedSamples: -1})
		if (fail != nil) != fatal {
			t.Fatal(fail)
		}
		if fatal && (!strings.Contains(fail.Message, "[secret]") || !strings.Contains(fail.Hint, "[secret]")) {
			t.Errorf("%+v", fail)
		}
		told := fmt.Sprintf("%+v %s", f.events, f.log.String())
		err := filepath.WalkDir(f.run.Dir(), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			told += string(b)
			return err
		})
		if err != nil || strings.Contains(told, key) || !strings.Contains(told, "[secret]") {
			t.Errorf("fatal %v: %v\n%s", fatal, err, told)
		}
	}
}

// Rows without an answer are counted when they were found, not asked, too.
func TestFailuresFoundAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := questions(t, 3, nil)
	m := py.DictOf("type", "FakeModel", "abbr", "m", "path", "p", "fail", py.NewList(py.DictOf("match", "1?", "kind", "sample")))
	for range 2 {
		fail, st := f.execute(t, Infer, m, d, Options{MaxFailedSamples: -1})
		if fail != nil || st.Units[0].Failed != 1 || st.Units[0].Done != 3 {
			t.Errorf("%v, %+v", fail, st.Units)
		}
	}
	if _, st := f.execute(t, Infer, m, d, Options{MaxFailedSamples: 0}); st.Units[0].State != Done {
		t.Errorf("failures of an earlier attempt use up this one's budget: %+v", st.Units)
	}
}

// Rows of which none has an answer give no score, not NaN.
func TestNoAnswerAtAllIsNoScore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := questions(t, 3, py.DictOf("evaluator", py.DictOf("type", "AccEvaluator")))
	m := py.DictOf("type", "FakeModel", "abbr", "m", "path", "p", "fail", py.NewList(py.DictOf("match", "?", "kind", "sample")))
	if fail, _ := f.execute(t, Infer, m, d, Options{MaxFailedSamples: -1}); fail != nil {
		t.Fatal(fail)
	}
	fail, _ := f.execute(t, Eval, m, d, Options{})
	if fail == nil || fail.Kind != KindSamples || !strings.Contains(fail.Message, "none of 3 samples has an answer") {
		t.Errorf("%+v", fail)
	}
	if _, err := f.run.Result("m", "q"); err == nil {
		t.Error("there is a result all the same")
	}
}

// A record without a prediction is a row without an answer, not the text None.
func TestNoPredictionIsNoAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := questions(t, 3, py.DictOf("evaluator", py.DictOf("type", "AccEvaluator"), "pred_postprocessor", py.DictOf("type", "first_capital_postprocess")))
	path := f.run.PredictionsPath("m", "q")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"0": {"prediction": "A"}, "1": {"prediction": null}, "2": {"origin_prompt": "x"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	fail, _ := f.execute(t, Eval, py.DictOf("type", "FakeModel", "abbr", "m", "path", "p"), d, Options{})
	if fail != nil {
		t.Fatal(fail)
	}
	meta, ok := f.run.ResultMeta("m", "q")
	if want := (store.Counts{Total: 3, Scored: 1, Failed: 2}); !ok || meta.Counts != want {
		t.Errorf("%v %+v", ok, meta.Counts)
	}
}
