// Package runnertest is the suite that every runner must pass, and the worker
// that the suite runs: the test binary itself, which executes real manifests
// against the real store, on units that misbehave as they are told.
//
// A runner's test calls Main from TestMain and Run from a test:
//
//	func TestMain(m *testing.M) { runnertest.Main(m) }
//	func TestSuite(t *testing.T) { runnertest.Run(t, func(t *testing.T, o runnertest.Setup) runner.Runner { … }) }
package runnertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Setup is what a test wants of the runner.
type Setup struct {
	Workers   int
	Command   []string // starts the fake worker
	Environ   []string
	LostAfter time.Duration // how soon a worker without beats counts as hung
	Grace     time.Duration // between telling a worker to stop now and killing it
}

// Factory makes the runner under test.
type Factory func(t *testing.T, s Setup) runner.Runner

// Main runs the tests, or the fake worker when the process was started as one.
func Main(m *testing.M) {
	if os.Getenv(WorkerVar) != "" {
		os.Exit(worker(os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

// Environ is the environment in which the test binary is the fake worker.
func Environ() []string { return append(os.Environ(), WorkerVar+"=1", "GOMAXPROCS=1") }

// Recorder keeps events.
type Recorder struct {
	mu     sync.Mutex
	events []event.Event
	notify chan struct{}
}

// NewRecorder makes a Recorder.
func NewRecorder() *Recorder { return &Recorder{notify: make(chan struct{}, 1)} }

// Emit implements event.Sink.
func (r *Recorder) Emit(e event.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	select {
	case r.notify <- struct{}{}:
	default:
	}
}

// Of returns the events of one kind.
func (r *Recorder) Of(k event.Kind) []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []event.Event
	for _, e := range r.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

// all returns every event.
func (r *Recorder) all() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Event(nil), r.events...)
}

// patience is how long a test waits for what must happen: far longer than it
// takes, because machines that run tests stand still now and then.
const patience = 5 * time.Minute

// Wait waits until cond holds. After five minutes the test has failed.
func (r *Recorder) Wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-r.notify:
		case <-deadline:
			t.Errorf("waited in vain for %s", what)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// bench is one test's run and runner.
type bench struct {
	t     *testing.T
	run   *store.Run
	r     runner.Runner
	rec   *Recorder
	stage *runner.Stage
}

func newBench(t *testing.T, f Factory, workers int) *bench {
	t.Helper()
	return newBenchLost(t, f, workers, patience) // a worker that only starts slowly is not lost
}

func newBenchLost(t *testing.T, f Factory, workers int, lostAfter time.Duration) *bench {
	t.Helper()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	t.Cleanup(func() { Reap(t, run.Dir()) })
	b := &bench{t: t, run: run, rec: NewRecorder()}
	b.r = f(t, Setup{
		Workers: workers, Command: []string{os.Args[0]}, Environ: append(os.Environ(), WorkerVar+"=1", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0"),
		LostAfter: lostAfter, Grace: 300 * time.Millisecond,
	})
	b.stage = &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Policy: runner.Policy{Retries: 2}, Options: task.Options{MaxFailedSamples: -1}}
	return b
}

func (b *bench) do(tasks ...task.Task) runner.Report {
	b.t.Helper()
	b.stage.Tasks = tasks
	rep, err := b.r.Run(context.Background(), b.stage, b.rec)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(rep.Tasks) != len(tasks) {
		b.t.Fatalf("%d tasks reported of %d", len(rep.Tasks), len(tasks))
	}
	for i, x := range rep.Tasks {
		if x.Name != tasks[i].Name {
			b.t.Fatalf("report %d is of %s, not %s", i, x.Name, tasks[i].Name)
		}
	}
	return rep
}

var theModel = py.DictOf("abbr", "m", "type", "Fake", "key", "sk-very-secret")

// dataset is one whole dataset as a task; behave says how its worker does.
func dataset(name string, rows int, behave ...py.Value) task.Task {
	d := py.DictOf("abbr", name, "rows", rows)
	for i := 0; i+1 < len(behave); i += 2 {
		d.Set(behave[i], behave[i+1])
	}
	return task.Task{Name: "T[m/" + name + "]", Model: theModel, ModelAbbr: "m", Units: []task.Unit{{Dataset: d, Abbr: name}}}
}

// Parts cuts a dataset into n tasks.
func Parts(name string, rows, n int, behave ...py.Value) []task.Task {
	whole := dataset(name, rows, behave...)
	var out []task.Task
	step := (rows + n - 1) / n
	for i := range n {
		k := whole
		part := fmt.Sprintf("%s_%d", name, i)
		k.Name = "T[m/" + part + "]"
		k.Units = []task.Unit{{Dataset: whole.Units[0].Dataset, Abbr: name, Part: part, Start: i * step, Stop: (i + 1) * step}}
		out = append(out, k)
	}
	return out
}

// final reads the files that must not depend on what happened on the way.
func (b *bench) final() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(b.run.Path("predictions"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		c, err := os.ReadFile(p)
		rel, _ := filepath.Rel(b.run.Dir(), p)
		out[rel] = string(c)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) same(want map[string]string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.final()); d != "" {
		b.t.Errorf("final files differ: %s", d)
	}
}

// Reap kills the workers that are left on a run and waits until they are gone:
// a runner need not wait for those that it has told to end, but they write to
// the folder that is removed after the test.
func Reap(t *testing.T, run string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
		left := 0
		for _, p := range lines {
			b, err := os.ReadFile(p)
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p))) // it is a number
			if err != nil || !strings.Contains(string(b), run+string(filepath.Separator)) || pid == os.Getpid() {
				continue
			}
			left++
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d workers cannot be killed", left)
			return
		}
	}
}

func undisturbed(t *testing.T, f Factory, tasks ...task.Task) map[string]string {
	t.Helper()
	b := newBench(t, f, 2)
	for _, x := range b.do(tasks...).Tasks {
		if x.State != task.Done {
			t.Fatalf("%+v", x)
		}
	}
	return b.final()
}

// suite is the tests by name.
var suite = []struct {
	name string
	test func(*testing.T, Factory)
}{
	{"success", success},
	{"order and cut", orderAndCut},
	{"retry", retry},
	{"same reason", sameReason},
	{"config mistake", configMistake},
	{"endpoint", endpoint},
	{"crash", crash},
	{"crash with progress", crashProgress},
	{"terminated", terminated},
	{"records lack", recordsLack},
	{"no start", noStart},
	{"hang", hang},
	{"cancel and resume", cancelResume},
	{"drain and resume", drainResume},
	{"secrets", secrets},
	{"many", func(t *testing.T, f Factory) { many(t, f, 1000) }},
}

// Run runs the suite.
func Run(t *testing.T, f Factory) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) { c.test(t, f) })
	}
}

// RunParallel runs the suite's tests at once, for runners that mostly wait.
func RunParallel(t *testing.T, f Factory) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, f)
		})
	}
}

func success(t *testing.T, f Factory) {
	b := newBench(t, f, 2)
	rep := b.do(dataset("a", 20), dataset("b", 5, "fail_row", 3), dataset("empty", 0))
	for _, x := range rep.Tasks {
		if x.State != task.Done || x.Tries != 0 || x.Failure != nil {
			t.Errorf("%+v", x)
		}
	}
	if x := rep.Tasks[1]; x.Done != 5 || x.Failed != 1 || x.Total != 5 || x.Log != "logs/infer/m/b.out" {
		t.Errorf("%+v", x)
	}
	for k, n := range map[event.Kind]int{event.TaskQueued: 3, event.TaskStarted: 3, event.TaskFinished: 3, event.TaskFailed: 0, event.TaskRetried: 0} {
		if got := b.rec.Of(k); len(got) != n {
			t.Errorf("%d events %s, want %d: %+v", len(got), k, n, got)
		}
	}
	for _, d := range []string{"a", "b", "empty"} {
		if st, err := b.run.Status("m", d, nil); err != nil || !st.Settled || st.State != store.Complete {
			t.Errorf("%s: %+v %v", d, st, err)
		}
	}
	log, _ := os.ReadFile(b.run.Path("logs/infer/m/a.out"))
	if !strings.Contains(string(log), "hello from a") {
		t.Errorf("log: %q", log)
	}
	// Again: everything is found.
	rep = b.do(dataset("a", 20))
	if x := rep.Tasks[0]; x.State != task.Done || x.Reused != 20 {
		t.Errorf("%+v", x)
	}
}

func orderAndCut(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 60))
	for _, n := range []int{3, 7} {
		b := newBench(t, f, 4)
		b.do(Parts("a", 60, n)...)
		b.same(want)
	}
}

func retry(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 10), dataset("b", 4))
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 10, "times", 2, "at", 4, "how", "fail"), dataset("b", 4))
	if x := rep.Tasks[0]; x.State != task.Done || x.Tries != 2 || x.Failure != nil {
		t.Errorf("%+v", x)
	}
	if x := rep.Tasks[1]; x.State != task.Done || x.Tries != 0 {
		t.Errorf("%+v", x)
	}
	r := b.rec.Of(event.TaskRetried)
	if len(r) != 2 || r[0].Error == "" || r[0].Attempt != 2 || r[1].Attempt != 3 || len(b.rec.Of(event.TaskFailed)) != 0 {
		t.Errorf("%+v", r)
	}
	b.same(want)
}

func sameReason(t *testing.T, f Factory) {
	b := newBench(t, f, 1)
	b.stage.Policy.Retries = 10
	rep := b.do(dataset("a", 10, "times", 100, "at", 0, "how", "fail same"))
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 3 || x.Failure == nil || x.Failure.Kind != task.KindOther {
		t.Errorf("%+v", x)
	}
	e := b.rec.Of(event.TaskFailed)
	if len(e) != 1 || !strings.Contains(e[0].Error, "3 times in a row") || e[0].Log != "logs/infer/m/a.out" {
		t.Errorf("%+v", e)
	}
	first := b.rec.Of(event.TaskRetried)
	if len(first) != 2 || !strings.Contains(first[0].Text, "hello from a") || first[1].Text != "" {
		t.Errorf("the tail of the log is shown once: %+v", first)
	}
}

func configMistake(t *testing.T, f Factory) {
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 10, "times", 100, "at", 0, "how", "config"), dataset("b", 3))
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 1 {
		t.Errorf("tried again: %+v", x)
	}
	if x := rep.Tasks[1]; x.State != task.Done {
		t.Errorf("%+v", x)
	}
}

func endpoint(t *testing.T, f Factory) {
	b := newBench(t, f, 1)
	b.stage.Group = func(*py.Dict) string { return "one" }
	rep := b.do(dataset("a", 2), dataset("b", 10, "times", 100, "at", 0, "how", "endpoint"), dataset("c", 3))
	if rep.Tasks[0].State != task.Done || rep.Tasks[1].State != task.Failed || rep.Tasks[1].Tries != 1 {
		t.Errorf("%+v", rep)
	}
}

func crash(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("b", 4), dataset("c", 4))
	b := newBench(t, f, 1)
	b.stage.Group = func(*py.Dict) string { return "one" } // they share a worker
	rep := b.do(dataset("a", 10, "times", 100, "at", 0, "how", "kill"), dataset("b", 4), dataset("c", 4))
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 3 || x.Failure.Kind != task.KindCrash || x.Done != 0 {
		t.Errorf("%+v", x)
	}
	for _, x := range rep.Tasks[1:] {
		if x.State != task.Done || x.Tries != 0 {
			t.Errorf("a bystander: %+v", x)
		}
	}
	os.Remove(b.run.Path("predictions/m/a.jsonl")) // what the culprit began
	os.RemoveAll(b.run.Path("predictions/m/a.records"))
	b.same(want)
}

// A worker that is killed again and again, by something that is not its
// task's fault, gets on.
func crashProgress(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 30))
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 30, "times", 6, "at", 4, "how", "kill"))
	if x := rep.Tasks[0]; x.State != task.Done {
		t.Errorf("%+v", x)
	}
	if n := len(b.rec.Of(event.TaskRetried)); n != 6 {
		t.Errorf("%d retries", n)
	}
	b.same(want)
}

func terminated(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 12))
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 12, "times", 1, "at", 4, "how", "term"))
	if x := rep.Tasks[0]; x.State != task.Done || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	b.same(want)
}

// Workers say that they are done, but a row is not in the run: it is asked.
func recordsLack(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 12), dataset("b", 4))
	b := newBench(t, f, 2)
	rep := b.do(append(Parts("a", 12, 3, "lose_row", 1, "lose_times", 1), dataset("b", 4))...)
	for _, x := range rep.Tasks {
		if x.State != task.Done || x.Failure != nil {
			t.Errorf("%+v", x)
		}
	}
	if r := b.rec.Of(event.TaskRetried); len(r) != 3 || !strings.Contains(r[0].Error, "11 of 12 rows, row 1 is missing") {
		t.Errorf("%+v", r)
	}
	if n := len(b.rec.Of(event.TaskFailed)); n != 0 || b.asked("a") != 12 {
		t.Errorf("%d failed, %d rows were asked", n, b.asked("a"))
	}
	b.same(want)

	b = newBench(t, f, 1)
	rep = b.do(dataset("a", 5, "lose_row", 4, "lose_times", 100))
	if x := rep.Tasks[0]; x.State != task.Failed || x.Failure == nil || !strings.Contains(x.Failure.Message, "4 of 5 rows, row 4 is missing") {
		t.Errorf("%+v", x)
	}
	if r, n := b.rec.Of(event.TaskRetried), b.rec.Of(event.TaskFailed); len(r) != 2 || len(n) != 1 {
		t.Errorf("%+v %+v", r, n)
	}
}

func noStart(t *testing.T, f Factory) {
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 10, "times", 100, "how", "exit early"))
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 3 {
		t.Errorf("%+v", x)
	}
	if e := b.rec.Of(event.TaskRetried); len(e) == 0 || !strings.Contains(e[0].Text, "cannot even start") {
		t.Errorf("%+v", e)
	}
}

func hang(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 10))
	b := newBenchLost(t, f, 1, 10*time.Second) // many beats
	rep := b.do(dataset("a", 10, "times", 1, "at", 3, "how", "hang"))
	if x := rep.Tasks[0]; x.State != task.Done || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	if e := b.rec.Of(event.TaskRetried); len(e) != 1 || !strings.Contains(e[0].Error, "no sign of life") {
		t.Errorf("%+v", e)
	}
	b.same(want)
}

func cancelResume(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 10), dataset("b", 10))
	b := newBench(t, f, 1)
	b.stage.Tasks = []task.Task{dataset("a", 10, "times", 1, "at", 5, "how", "deaf"), dataset("b", 10)}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("second Ctrl-C")
	go func() {
		b.rec.Wait(t, "half of the samples", func() bool { return b.misbehaves("a") })
		cancel(why)
	}()
	begin := time.Now()
	rep, err := b.r.Run(ctx, b.stage, b.rec)
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > time.Minute { // that worker never ends
		t.Errorf("stopped after %v", took)
	}
	if x := rep.Tasks[0]; x.State != task.Stopped || x.Failure != nil {
		t.Errorf("%+v", x)
	}
	b.stage.Epoch = 2
	rep = b.do(dataset("a", 10), dataset("b", 10))
	if done, _, _ := rep.Count(); done != 2 || rep.Tasks[0].Reused < 5 {
		t.Errorf("%+v", rep)
	}
	b.same(want)
}

func drainResume(t *testing.T, f Factory) {
	want := undisturbed(t, f, dataset("a", 10), dataset("b", 10))
	b := newBench(t, f, 1)
	b.stage.Tasks = []task.Task{dataset("a", 10, "times", 1, "at", 5, "how", "wait"), dataset("b", 10)}
	drain := make(chan struct{})
	b.stage.Drain = drain
	go func() {
		b.rec.Wait(t, "half of the samples", func() bool { return b.misbehaves("a") })
		close(drain)
	}()
	rep, err := b.r.Run(context.Background(), b.stage, b.rec)
	if err != nil {
		t.Error(err)
	}
	// the sample in flight was finished
	if x := rep.Tasks[0]; x.State != task.Stopped || x.Failure != nil || x.Done != 6 {
		t.Errorf("%+v", x)
	}
	b.stage.Drain, b.stage.Epoch = nil, 2
	rep = b.do(dataset("a", 10), dataset("b", 10))
	if done, _, _ := rep.Count(); done != 2 || rep.Tasks[0].Reused != 6 {
		t.Errorf("%+v", rep)
	}
	if n := b.asked("a"); n != 10 {
		t.Errorf("%d samples asked for 10", n)
	}
	b.same(want)
}

// asked counts the questions that workers noted for a dataset.
func (b *bench) asked(dataset string) int {
	c, _ := os.ReadFile(askedPath(b.run.Dir(), dataset))
	return strings.Count(string(c), "\n")
}

// misbehaves reports whether a worker on the dataset has begun to misbehave:
// what it did before is kept, and it does nothing else any more.
func (b *bench) misbehaves(dataset string) bool {
	_, err := os.Stat(misbehavesPath(b.run.Dir(), dataset))
	return err == nil
}

// A worker gets its secrets, and no file of the run holds them.
func secrets(t *testing.T, f Factory) {
	b := newBench(t, f, 1)
	rep := b.do(dataset("a", 2, "times", 1, "at", 0, "how", "tell secret"))
	if rep.Tasks[0].State != task.Done {
		t.Errorf("%+v", rep)
	}
	for _, e := range b.rec.all() {
		if strings.Contains(fmt.Sprint(e), "sk-very-secret") {
			t.Errorf("an event tells the secret: %+v", e)
		}
	}
	if e := b.rec.Of(event.TaskRetried); len(e) != 1 || !strings.Contains(e[0].Text, "my key is [secret]") {
		t.Errorf("the worker did not get the secret: %+v", e)
	}
	filepath.WalkDir(b.run.Dir(), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".out") { // the fake worker says it aloud on purpose
			return err
		}
		if c, _ := os.ReadFile(p); strings.Contains(string(c), "sk-very-secret") {
			t.Errorf("%s holds the secret", p)
		}
		return nil
	})
}

func many(t *testing.T, f Factory, n int) {
	want := undisturbed(t, f, dataset("a", n))
	b := newBench(t, f, 2)
	begin := time.Now()
	rep := b.do(Parts("a", n, n)...)
	t.Logf("%d tasks of one sample: %v", n, time.Since(begin).Round(time.Millisecond))
	if done, _, _ := rep.Count(); done != n {
		t.Errorf("%d done of %d", done, n)
	}
	if got := len(b.rec.Of(event.TaskFinished)); got != n {
		t.Errorf("%d finished events", got)
	}
	b.same(want)
}
