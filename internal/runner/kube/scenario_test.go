//go:build linux

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sextant/internal/event"
	"sextant/internal/object/objecttest"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/runner/kube/kubetest"
	"sextant/internal/runner/runnertest"
	"sextant/internal/store"
	"sextant/internal/task"
)

// place is a cluster and how to reach and cut it.
type place struct {
	c       *kubetest.Cluster
	options func() Options
	cut     func()
	mend    func() error
	objects *objecttest.Server // what pods share with the coordinator; nil: the whole machine
}

// scenarioOptions are those of scenarios. How a pod ended is waited for longer
// than it takes, since it says what an attempt counts as.
func scenarioOptions() Options {
	o := options(runnertest.Setup{Workers: 4, Command: os.Args[:1], LostAfter: 2 * time.Minute, Grace: time.Second})
	o.FileGrace = 30 * time.Second
	return o
}

func fakePlace(t *testing.T) *place {
	a := &fakeAPI{c: kubetest.Fake(t, runnertest.Environ())}
	return &place{
		c: a.c, cut: func() { a.down.Store(true) }, mend: func() error { a.down.Store(false); return nil },
		options: func() Options {
			o := scenarioOptions()
			o.connection = a
			return o
		},
	}
}

func realPlace(t *testing.T) *place {
	c := kubetest.Real(t, runnertest.Environ())
	return &place{
		c: c, cut: c.StopAPI, mend: c.StartAPI,
		options: func() Options {
			o := scenarioOptions()
			o.Kubeconfig, o.Resync = c.Kubeconfig, 10*time.Second
			o.VolumeMounts[0].Name = "all"
			o.Volumes = hostVolume("all", "/")
			return o
		},
	}
}

// The scenarios are the same everywhere.
func TestFake(t *testing.T)        { scenarios(t, fakePlace) }
func TestReal(t *testing.T)        { scenarios(t, realPlace) }
func TestFakeObjects(t *testing.T) { scenarios(t, withObjects(fakePlace)) }
func TestRealObjects(t *testing.T) { scenarios(t, withObjects(realPlace)) }

func scenarios(t *testing.T, start func(*testing.T) *place) {
	t.Parallel()
	p := start(t)
	t.Run("together", func(t *testing.T) {
		for _, s := range []struct {
			name string
			f    func(*testing.T, *place)
		}{
			{"four workers", fourWorkers}, {"killed", killed}, {"fails for good", failsForGood}, {"mistake", mistake}, {"restarted coordinator", restarted},
			{"other work", otherWork}, {"evicted", evicted}, {"drain", drained}, {"cancel", cancelled}, {"deleted by somebody", deletedBySomebody},
		} {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.f(t, p)
			})
		}
	})
	t.Run("outage", func(t *testing.T) { outage(t, p) })
	if p.objects != nil {
		objectScenarios(t, p)
	}
}

// bench is one run.
type bench struct {
	t     *testing.T
	p     *place
	o     Options
	run   *store.Run
	rec   *runnertest.Recorder
	stage runner.Stage
}

var secretModel = py.DictOf("abbr", "m", "type", "Fake", "key", "sk-very-secret")

func newBench(t *testing.T, p *place, workers int, tasks ...task.Task) *bench {
	t.Helper()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	b := &bench{t: t, p: p, run: run, rec: runnertest.NewRecorder(), o: p.options()}
	b.o.MaxNumWorkers = workers
	if p.objects != nil {
		useStore(&b.o, p.objects)
	}
	b.stage = runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: tasks, Policy: runner.Policy{Retries: 2}, Options: task.Options{MaxFailedSamples: -1}}
	return b
}

func dataset(name string, rows int, behave ...py.Value) task.Task {
	d := py.DictOf("abbr", name, "rows", rows)
	for i := 0; i+1 < len(behave); i += 2 {
		d.Set(behave[i], behave[i+1])
	}
	return task.Task{Name: "T[m/" + name + "]", Model: secretModel, ModelAbbr: "m", NumGPUs: 0, Units: []task.Unit{{Dataset: d, Abbr: name}}}
}

func (b *bench) exec(ctx context.Context) (runner.Report, error) {
	st := b.stage
	st.Tasks = append([]task.Task(nil), b.stage.Tasks...)
	return New(b.o).Run(ctx, &st, b.rec)
}

func (b *bench) must() runner.Report {
	b.t.Helper()
	ctx, cancel := context.WithTimeoutCause(b.t.Context(), 5*time.Minute, errors.New("the stage does not end"))
	defer cancel()
	rep, err := b.exec(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return rep
}

// meanwhile does f while the test goes on, which ends only after f.
func (b *bench) meanwhile(f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	b.t.Cleanup(wg.Wait)
}

// start begins a stage whose coordinator is to die by the cause that die is
// given, and ended then waits for.
func (b *bench) start() (die context.CancelCauseFunc, ended func() error) {
	ctx, die := context.WithCancelCause(b.t.Context())
	done := make(chan error, 1)
	b.meanwhile(func() {
		_, err := b.exec(ctx)
		done <- err
	})
	return die, func() error { return <-done }
}

func (b *bench) asked(dataset string) int {
	c, _ := os.ReadFile(filepath.Join(b.run.Dir(), "asked-"+dataset)) // none yet
	return strings.Count(string(c), "\n")
}

func (b *bench) wait(what string, cond func() bool) {
	b.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Errorf("waited in vain for %s; notes: %+v", what, b.notes())
			return
		}
	}
}

func (b *bench) notes() string {
	var out []string
	for _, e := range b.rec.Of(event.Note) {
		out = append(out, e.Text)
	}
	return strings.Join(out, "\n")
}

// pods are the names of the run's pods that are not at their end.
func (b *bench) pods() (out []string) {
	l := ofRun(b, b.p.c.Client.CoreV1().Pods(kubetest.Namespace).List)
	for _, p := range l.Items {
		if p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed" {
			out = append(out, p.Name)
		}
	}
	return out
}

// ofRun lists what the cluster has of the run.
func ofRun[L any](b *bench, list func(context.Context, metav1.ListOptions) (L, error)) (l L) {
	b.t.Helper()
	var err error
	b.wait("the cluster to answer", func() bool {
		l, err = list(context.Background(), metav1.ListOptions{LabelSelector: labelRun + "=" + runID(b.run.Dir())})
		return err == nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// left are the Jobs, finished ones aside, Secrets and pods of the run, and what
// the run remembers of them.
func (b *bench) left() (out []string) {
	jobs := ofRun(b, b.p.c.Client.BatchV1().Jobs(kubetest.Namespace).List)
	for i := range jobs.Items {
		if !finishedJob(&jobs.Items[i]) || jobs.Items[i].DeletionTimestamp != nil {
			out = append(out, "job "+jobs.Items[i].Name)
		}
	}
	for _, s := range ofRun(b, b.p.c.Client.CoreV1().Secrets(kubetest.Namespace).List).Items {
		out = append(out, "secret "+s.Name)
	}
	records, _ := filepath.Glob(b.run.Path(recordDir, "*")) // the pattern is fine
	objects, _ := filepath.Glob(b.run.Path("state/object.json"))
	return append(append(append(out, records...), objects...), b.pods()...)
}

// clean waits until nothing is left: what is deleted goes in its own time.
func (b *bench) clean() {
	b.t.Helper()
	l := b.left()
	for end := time.Now().Add(2 * time.Minute); len(l) > 0 && time.Now().Before(end); l = b.left() {
		time.Sleep(20 * time.Millisecond)
	}
	if len(l) > 0 {
		b.t.Errorf("left behind: %q", l)
	}
}

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
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// undisturbed are the final files when nothing happens on the way.
func undisturbed(t *testing.T, p *place, tasks ...task.Task) map[string]string {
	t.Helper()
	b := newBench(t, p, 1, tasks...)
	for _, x := range b.must().Tasks {
		if x.State != task.Done {
			t.Fatalf("%+v", x)
		}
	}
	return b.final()
}

func (b *bench) same(want map[string]string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.final()); d != "" {
		b.t.Errorf("final files differ: %s", d)
	}
}

func parts(name string, rows, n int) (out []task.Task) {
	step := (rows + n - 1) / n
	for i := range n {
		k := dataset(name, rows)
		part := fmt.Sprintf("%s_%d", name, i)
		k.Name = "T[m/" + part + "]"
		k.Units = []task.Unit{{Dataset: k.Units[0].Dataset, Abbr: name, Part: part, Start: i * step, Stop: (i + 1) * step}}
		out = append(out, k)
	}
	return out
}

func fourWorkers(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 80))
	b := newBench(t, p, 4, parts("a", 80, 8)...)
	for _, x := range b.must().Tasks {
		if x.State != task.Done || x.Tries != 0 {
			t.Errorf("%+v", x)
		}
	}
	b.same(want)
	b.clean()
	if n := b.asked("a"); n != 80 {
		t.Errorf("%d rows asked for 80", n)
	}
	log, _ := os.ReadFile(b.run.Path("logs/infer/m/a_0.out"))
	if !strings.Contains(string(log), "hello from a_0") {
		t.Errorf("log: %q", log)
	}
	// No specification holds the secret, while workers had it.
	ctx := context.Background()
	jobs, err := p.c.Client.BatchV1().Jobs(kubetest.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods, err := p.c.Client.CoreV1().Pods(kubetest.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{jobs, pods})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) < 8 || strings.Contains(string(text), "sk-very-secret") {
		t.Errorf("%d pods; a specification holds the secret", len(pods.Items))
	}
}

func killed(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 20))
	b := newBench(t, p, 2, dataset("a", 20, "times", 1, "at", 7, "how", "kill"))
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Done || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	if e := b.rec.Of(event.TaskRetried); len(e) != 1 || !strings.Contains(e[0].Error, "killed by signal 9") {
		t.Errorf("%+v", e)
	}
	b.same(want)
	if n := b.asked("a"); n > 20 { // the one in flight is noted after the kill
		t.Errorf("%d rows asked for 20", n)
	}
	b.clean()
}

func failsForGood(t *testing.T, p *place) {
	b := newBench(t, p, 2, dataset("a", 10, "times", 100, "at", 3, "how", "fail same"), dataset("b", 5))
	b.stage.Policy.Retries = 1
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 2 || x.Failure == nil {
		t.Errorf("%+v", x)
	}
	if x := rep.Tasks[1]; x.State != task.Done {
		t.Errorf("%+v", x)
	}
	if e := b.rec.Of(event.TaskFailed); len(e) != 1 || e[0].Log == "" {
		t.Errorf("%+v", e)
	}
	log, _ := os.ReadFile(b.run.Path("logs/infer/m/a.out"))
	if !strings.Contains(string(log), "--- attempt 2, pod sextant-") {
		t.Errorf("log: %q", log)
	}
	b.clean()
}

// A mistake is not tried again, and the stage does not wait for the pod that
// Kubernetes starts nevertheless: it would wait for ever.
func mistake(t *testing.T, p *place) {
	b := newBench(t, p, 2, dataset("a", 10, "times", 100, "at", 0, "how", "config"))
	release := p.c.Hold(func(pod *corev1.Pod) bool {
		_, k, ok := b.podOf(pod)
		return ok && k.restarts > 0
	})
	defer release()
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Failed || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	b.clean()
}

// podOf reads a pod of the run.
func (b *bench) podOf(pod *corev1.Pod) (podInfo, podKey, bool) {
	k, x, ok := readPod(pod)
	return x, k, ok && pod.Labels[labelRun] == runID(b.run.Dir())
}

// still waits until a worker has asked n rows and goes no further, because the
// answer to the last is held back, and returns its pod.
func (b *bench) still(dataset string, n int) string {
	b.t.Helper()
	b.wait("rows of "+dataset, func() bool { return b.asked(dataset) >= n })
	var pods []string
	b.wait("its pod", func() bool { pods = b.pods(); return len(pods) == 1 })
	if len(pods) != 1 {
		return "none"
	}
	return pods[0]
}

// stuck waits until a worker misbehaves, which keeps it from going further, and
// returns its pod.
func (b *bench) stuck(dataset string) string {
	b.t.Helper()
	b.wait("a worker on "+dataset+" to misbehave", func() bool {
		_, err := os.Stat(filepath.Join(b.run.Dir(), "misbehaves-"+dataset))
		return err == nil
	})
	return b.still(dataset, 0)
}

// A coordinator dies; the next finds the Job, asks nothing twice, and sees it
// through.
func restarted(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 300), dataset("b", 5), dataset("c", 5))
	tasks := []task.Task{dataset("b", 5), dataset("a", 300, "hold", 7), dataset("c", 5)}
	b := newBench(t, p, 1, tasks...)
	die, ended := b.start()
	b.still("a", 8)
	b.wait("the end of b", func() bool { return len(b.rec.Of(event.TaskFinished)) == 1 })
	die(store.ErrLeaseLost)
	if err := ended(); !errors.Is(err, store.ErrLeaseLost) {
		t.Fatal(err)
	}
	b.stage.Epoch, b.stage.Tasks = 2, tasks[1:] // b is complete
	b.rec = runnertest.NewRecorder()
	b.meanwhile(func() {
		b.wait("the job to be found", func() bool { return strings.Contains(b.notes(), "following it") })
		runnertest.Release(t, b.run.Dir(), "a", 300)
	})
	rep := b.must()
	for _, x := range rep.Tasks {
		if x.State != task.Done || x.Tries != 0 || x.Reused != 0 {
			t.Errorf("%+v", x)
		}
	}
	b.same(want)
	if n := b.asked("a") + b.asked("b") + b.asked("c"); n != 310 {
		t.Errorf("%d rows asked for 310", n)
	}
	b.clean()
}

// What a coordinator that comes later wants in another way is stopped first.
func otherWork(t *testing.T, p *place) {
	b := newBench(t, p, 1, dataset("a", 300, "hold", 7))
	die, ended := b.start()
	b.still("a", 8)
	die(store.ErrLeaseLost)
	if err := ended(); !errors.Is(err, store.ErrLeaseLost) {
		t.Fatal(err)
	}
	b.stage.Epoch, b.stage.Tasks = 2, []task.Task{dataset("a", 300)}
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Done || x.Reused != 8 { // the one in flight was finished
		t.Errorf("%+v", x)
	}
	if !strings.Contains(b.notes(), "stopping job") {
		t.Errorf("notes: %s", b.notes())
	}
	if n := b.asked("a"); n != 300 {
		t.Errorf("%d rows asked for 300", n)
	}
	b.clean()
}

func evicted(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 20))
	b := newBench(t, p, 1, dataset("a", 20, "times", 1, "at", 7, "how", "wait"))
	b.meanwhile(func() {
		if err := p.c.Evict(context.Background(), b.stuck("a")); err != nil {
			t.Error(err)
		}
	})
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Done || x.Tries != 0 {
		t.Errorf("%+v", x)
	}
	if !strings.Contains(b.notes(), "EvictionByEvictionAPI") {
		t.Errorf("notes: %s", b.notes())
	}
	b.same(want)
	b.clean()
}

func drained(t *testing.T, p *place) {
	b := newBench(t, p, 1, dataset("a", 10, "times", 1, "at", 5, "how", "wait"), dataset("b", 10))
	drain := make(chan struct{})
	b.stage.Drain = drain
	b.meanwhile(func() {
		b.stuck("a")
		close(drain)
	})
	rep := b.must()
	if x := rep.Tasks[0]; x.State != task.Stopped || x.Failure != nil || x.Done != 6 { // the one in flight was finished
		t.Errorf("%+v", x)
	}
	if b.asked("b") != 0 {
		t.Error("something new was started")
	}
	b.clean()
}

func cancelled(t *testing.T, p *place) {
	b := newBench(t, p, 1, dataset("a", 10, "times", 1, "at", 5, "how", "deaf"), dataset("b", 10))
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("second Ctrl-C")
	b.meanwhile(func() {
		b.stuck("a")
		cancel(why)
	})
	rep, err := b.exec(ctx)
	if !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
	if x := rep.Tasks[0]; x.State != task.Stopped || x.Failure != nil {
		t.Errorf("%+v", x)
	}
	b.clean()
}

func deletedBySomebody(t *testing.T, p *place) {
	b := newBench(t, p, 1, dataset("a", 10, "times", 1, "at", 5, "how", "wait"))
	b.meanwhile(func() {
		b.stuck("a")
		err := p.c.Client.BatchV1().Jobs(kubetest.Namespace).Delete(context.Background(), jobName(b.run.Dir(), task.Infer, 1, 1),
			metav1.DeleteOptions{PropagationPolicy: ptr(metav1.DeletePropagationBackground)})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	rep, err := b.exec(context.Background())
	if err == nil || !strings.Contains(err.Error(), "somebody deleted it") || rep.Tasks[0].State == task.Done {
		t.Errorf("%v %+v", err, rep)
	}
}

// The API server is gone for a while: a worker that ends meanwhile is seen by
// its files, and what is left is done when the server is back.
func outage(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 300), dataset("b", 5))
	b := newBench(t, p, 1, dataset("a", 300, "hold", 7), dataset("b", 5))
	b.meanwhile(func() {
		b.still("a", 8)
		p.cut()
		b.wait("the note", func() bool { return strings.Contains(b.notes(), "does not answer") })
		runnertest.Release(t, b.run.Dir(), "a", 300)
		b.wait("a to end", func() bool { return len(b.rec.Of(event.TaskFinished)) >= 1 }) // b may have ended too
		if err := p.mend(); err != nil {
			t.Error(err)
		}
	})
	rep := b.must()
	for _, x := range rep.Tasks {
		if x.State != task.Done || x.Tries != 0 {
			t.Errorf("%+v", x)
		}
	}
	b.same(want)
	if n := b.asked("a") + b.asked("b"); n != 305 {
		t.Errorf("%d rows asked for 305", n)
	}
	if !strings.Contains(b.notes(), "answers again") {
		t.Errorf("notes: %s", b.notes())
	}
	b.clean()
}
