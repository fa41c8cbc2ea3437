package runnertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/mirror"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

// WorkerVar, when set, makes the test binary the fake worker.
const WorkerVar = "SEXTANT_RUNNERTEST_WORKER"

// beat of the fake worker: short, so that hanging shows soon, and not so short
// that 64 of them keep a small machine busy.
const beat = 300 * time.Millisecond

// worker executes a manifest whose datasets say how it is to behave:
//
//	rows      rows of the dataset
//	fail_row  a row that the model fails on
//	pause_ms  how long an answer takes
//	how, at, times
//	          misbehave, after that many rows asked by this attempt, in that
//	          many attempts
//	hold      the answers to that many rows of a part come at once, the next one
//	          waits until Release lets it come, or until the worker is told to
//	          stop
func worker(path string) int {
	if _, _, ok := mirror.ParseRef(path); !ok {
		m, err := task.ReadManifest(path, os.Getenv)
		if err != nil {
			fmt.Println(err)
			return 2
		}
		return work(m, m.Run, nil)
	}
	ctx := context.Background()
	w, err := mirror.Fetch(ctx, path, mirror.WorkerOptions{Getenv: os.Getenv})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	w.Start()
	code := work(w.Manifest(), w.Origin, func() {
		if err := w.Flush(ctx); err != nil {
			fmt.Println(err)
		}
	})
	if err := w.Close(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// work executes m. What it asks is noted in origin, where the coordinator has
// the run; flush, when not nil, hands in what was done so far, before the
// worker misbehaves: so the tests know what is kept.
func work(m *task.Manifest, origin string, flush func()) int {
	for _, u := range m.Units {
		if u.Dataset.Str("how") == "exit early" {
			fmt.Println("cannot even start")
			return 7
		}
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	at := runner.Attach(os.Getenv, os.Stdin, time.Now)
	defer at.Close()
	ctx, cancel := at.Context(context.Background())
	defer cancel()
	deaf := false
	for _, u := range m.Units {
		deaf = deaf || u.Dataset.Str("how") == "deaf"
	}
	go func() {
		<-term
		if !deaf {
			cancel()
		}
	}()
	run, err := store.Open(m.Run)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	defer run.Close()
	w := &fake{m: m, run: run, origin: origin, flush: flush, sink: at.Sink, writers: map[string]*store.Writer{}}
	w.rep = task.NewReporter(run, m, "host", os.Getpid(), beat)
	code, state := 0, task.Done
	var whole *task.Failure
	for i := range m.Units {
		if ctx.Err() != nil {
			state = task.Stopped
			break
		}
		f := w.unit(ctx, i)
		if f != nil {
			code = 3
			if f.Kind == task.KindEndpoint {
				whole = f
				break
			}
		}
	}
	if ctx.Err() != nil {
		state = task.Stopped
	}
	for _, x := range w.writers {
		if err := x.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if err := w.rep.Finish(state, whole); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

type fake struct {
	m       *task.Manifest
	run     *store.Run
	origin  string
	flush   func()
	sink    event.Sink
	rep     *task.Reporter
	writers map[string]*store.Writer
}

func (w *fake) unit(ctx context.Context, i int) *task.Failure {
	u := &w.m.Units[i]
	fmt.Printf("hello from %s\n", u.Part)
	w.sink.Emit(event.Event{Kind: event.TaskStarted, Task: u.Task, Dataset: u.Abbr})
	w.rep.Unit(i, func(s *task.UnitStatus) { s.State = task.Running })
	st, f := w.rows(ctx, u)
	switch {
	case f != nil:
		st.State, st.Error = task.Failed, f
		w.sink.Emit(event.Event{Kind: event.TaskFailed, Task: u.Task, Dataset: u.Abbr, Error: f.Message})
	case ctx.Err() != nil && st.Done < st.Total:
		st.State = task.Stopped
	default:
		st.State = task.Done
		w.sink.Emit(event.Event{Kind: event.TaskFinished, Task: u.Task, Dataset: u.Abbr, Done: st.Done, Total: st.Total, Failed: st.Failed})
	}
	w.rep.Unit(i, func(s *task.UnitStatus) { *s = st })
	return f
}

func (w *fake) rows(ctx context.Context, u *task.Unit) (st task.UnitStatus, f *task.Failure) {
	d := u.Dataset
	total := d.Int("rows", 0)
	in := store.Inputs{Data: "v1", Prompt: "p1", Settings: "s1", Model: model.Identity{Name: "fake"}}
	w.rep.Inputs(u.Abbr, in)
	out, ok := w.writers[u.Abbr]
	if !ok {
		var err error
		out, err = w.run.Writer(store.Header{Model: w.m.ModelAbbr, Dataset: u.Abbr, Total: total, Inputs: in}, w.m.Writer(), store.WriterOptions{Sole: u.Sole})
		if err != nil {
			return st, &task.Failure{Kind: task.KindOther, Message: err.Error()}
		}
		w.writers[u.Abbr] = out
	}
	stop := total
	if !u.Whole() {
		stop = min(u.Stop, total)
	}
	st.Total = max(stop-u.Start, 0)
	asked := 0
	for i := u.Start; i < stop; i++ {
		if ctx.Err() != nil {
			return st, nil
		}
		id := rowID(u.Abbr, i)
		if out.Have(i, id) {
			st.Done++
			st.Reused++
			continue
		}
		if i == d.Int("lose_row", -1) && w.m.Attempt <= d.Int("lose_times", 0) {
			st.Done++ // as one that is in a file whose end a crash takes away
			continue
		}
		if asked == d.Int("at", -1) && w.m.Attempt <= d.Int("times", 0) {
			if f := w.misbehave(ctx, u, d.Str("how")); f != nil {
				return st, f
			}
		}
		asked++
		note(w.origin, u.Abbr, i)
		w.hold(ctx, u, asked)
		time.Sleep(time.Duration(d.Int("pause_ms", 0)) * time.Millisecond)
		r := infer.Record{Index: i, ID: id, State: infer.OK, Data: py.DictOf("origin_prompt", fmt.Sprint("q", i), "prediction", fmt.Sprint("a", i))}
		if i == d.Int("fail_row", -1) {
			r.State, r.Error = infer.Failed, "context_length: too long"
			r.Data = py.DictOf("origin_prompt", fmt.Sprint("q", i))
			st.Failed++
		}
		if err := out.Put(ctx, r); err != nil {
			return st, &task.Failure{Kind: task.KindOther, Message: err.Error()}
		}
		st.Done++
	}
	return st, nil
}

// misbehave does what it is told to, with one question in flight.
func (w *fake) misbehave(ctx context.Context, u *task.Unit, how string) *task.Failure {
	if w.flush != nil {
		w.flush()
	}
	if f, err := os.Create(misbehavesPath(w.origin, u.Abbr)); err != nil {
		panic(err)
	} else {
		f.Close() // it is empty
	}
	switch how {
	case "fail":
		return &task.Failure{Kind: task.KindOther, Message: fmt.Sprintf("broken in attempt %d", w.m.Attempt)}
	case "fail same":
		return &task.Failure{Kind: task.KindOther, Reason: "broken", Message: fmt.Sprintf("broken in attempt %d", w.m.Attempt)}
	case "config":
		return &task.Failure{Kind: task.KindConfig, Message: "no such column"}
	case "endpoint":
		return &task.Failure{Kind: task.KindEndpoint, Message: "401 unauthorized"}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "term":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		<-ctx.Done()
	case "hang":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {} // until another thread has taken the signal, this one runs on
	case "deaf": // SIGTERM is not listened to
		select {}
	case "wait":
		<-ctx.Done()
	case "tell secret":
		fmt.Println("my key is", w.m.Model.Str("key"))
		return &task.Failure{Kind: task.KindOther, Message: "told a secret"}
	}
	return nil
}

func rowID(dataset string, i int) string {
	h := sha256.Sum256([]byte(fmt.Sprint(dataset, " ", i)))
	return hex.EncodeToString(h[:])
}

func askedPath(run, dataset string) string { return filepath.Join(run, "asked-"+dataset) }

func misbehavesPath(run, dataset string) string { return filepath.Join(run, "misbehaves-"+dataset) }

func releasePath(run, dataset string) string { return filepath.Join(run, "release-"+dataset) }

// Release lets workers on a dataset with "hold" answer n rows of each part,
// those included that they have answered, and wait with the next one; all of
// them where n is that many.
func Release(t *testing.T, run, dataset string, n int) {
	t.Helper()
	p := releasePath(run, dataset)
	if err := os.WriteFile(p+".new", []byte(fmt.Sprint(n)), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p+".new", p); err != nil { // workers read it at any time
		t.Fatal(err)
	}
}

// hold keeps back the answer to the n-th row that this attempt asks of a unit.
func (w *fake) hold(ctx context.Context, u *task.Unit, n int) {
	limit := u.Dataset.Int("hold", -1)
	if limit < 0 {
		return
	}
	for {
		if b, err := os.ReadFile(releasePath(w.origin, u.Abbr)); err == nil {
			if limit, err = strconv.Atoi(string(b)); err != nil {
				panic(err)
			}
		}
		if n <= limit {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// note appends a row to the list of those asked.
func note(run, dataset string, i int) {
	f, err := os.OpenFile(askedPath(run, dataset), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, i)
}
