//go:build linux

package slurm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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
	"sextant/internal/runner/runnertest"
	"sextant/internal/runner/slurm/slurmtest"
	"sextant/internal/store"
	"sextant/internal/task"
)

// scene is a run on a cluster.
type scene struct {
	t     *testing.T
	c     *slurmtest.Cluster
	run   *store.Run
	rec   *runnertest.Recorder
	o     Options
	stage *runner.Stage
}

// patience is how long something may take that takes a moment: machines that
// run tests stand still now and then.
const patience = 5 * time.Minute

func newScene(t *testing.T, c *slurmtest.Cluster, workers int, tasks []task.Task) *scene {
	t.Helper()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	t.Cleanup(func() { runnertest.Reap(t, run.Dir()) })
	return &scene{
		t: t, c: c, run: run, rec: runnertest.NewRecorder(), o: options(c.Environ(), workers),
		stage: &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: tasks, Policy: runner.Policy{Retries: 2}, Options: task.Options{MaxFailedSamples: -1}},
	}
}

func options(environ []string, workers int) Options {
	o := testOptions(runnertest.Setup{
		Workers: workers, Command: []string{os.Args[0]}, Environ: append(environ, runnertest.WorkerVar+"=1", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0"),
		LostAfter: patience, Grace: 5 * time.Second,
	})
	o.TasksPerJob = 1
	return o
}

// start runs the stage and calls back when it has ended.
func (s *scene) start(ctx context.Context) <-chan runner.Report {
	out := make(chan runner.Report, 1)
	go func() {
		rep, err := New(s.o).Run(ctx, s.stage, s.rec)
		if err != nil {
			s.t.Errorf("run: %v", err)
		}
		out <- rep
	}()
	return out
}

func (s *scene) done(rep runner.Report) {
	s.t.Helper()
	for _, x := range rep.Tasks {
		if x.State != task.Done {
			s.t.Errorf("%+v %v", x, x.Failure)
		}
	}
}

func (s *scene) asked(dataset string) int { return asked(s.run.Dir(), dataset) }

func asked(dir, dataset string) int {
	c, _ := os.ReadFile(filepath.Join(dir, "asked-"+dataset))
	return strings.Count(string(c), "\n")
}

func (s *scene) wait(what string, cond func() bool) {
	s.t.Helper()
	s.rec.Wait(s.t, what, cond)
}

// running are the newest statuses of workers that run.
func (s *scene) running() []*task.Status {
	var out []*task.Status
	paths, _ := filepath.Glob(s.run.Path("state", "tasks", "*", "[0-9]*.json"))
	for _, p := range paths {
		if st, err := task.ReadStatus(p); err == nil && st != nil && st.State == task.Running && syscall.Kill(st.Pid, 0) == nil {
			out = append(out, st)
		}
	}
	return out
}

func (s *scene) final() map[string]string { return finalFiles(s.t, s.run.Dir()) }

func finalFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "predictions"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *scene) same(want map[string]string) {
	s.t.Helper()
	if d := cmp.Diff(want, s.final()); d != "" {
		s.t.Errorf("final files differ: %s", d)
	}
}

// clean checks that nothing is left behind: no file of an array, no job.
func (s *scene) clean() {
	s.t.Helper()
	if left, _ := filepath.Glob(s.run.Path("state", "slurm", "*")); len(left) > 0 {
		s.t.Errorf("left behind: %v", left)
	}
	s.idle()
}

// idle waits until Slurm has no job any more.
func (s *scene) idle() {
	s.t.Helper()
	out := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if out = s.c.Must(s.t, "squeue", "-h", "-o", "%i %T"); out == "" {
			return
		}
	}
	s.t.Errorf("jobs are left: %s", out)
}

const rows = 192

// parts are rows in n tasks, each row taking a while.
func parts(n, pause int) []task.Task { return runnertest.Parts("a", rows, n, "pause_ms", pause) }

// held are rows in n tasks. Workers answer the first few of each and ask one
// more; with its answer they wait until release lets them have it.
func held(n, first int) []task.Task { return runnertest.Parts("a", rows, n, "hold", first) }

// holds waits until all workers are at it, each of whose task's first rows has
// been answered and the one after them asked. Nothing moves then.
func (s *scene) holds(workers, first int) {
	s.t.Helper()
	s.wait(fmt.Sprintf("%d workers that have asked %d rows each", workers, first+1), func() bool {
		return s.asked("a") == workers*(first+1) && len(s.running()) == workers && s.submitted()
	})
	if n, k := s.asked("a"), len(s.running()); s.t.Failed() {
		s.t.Fatalf("%d workers have asked %d rows", k, n)
	}
}

// submitted reports whether the run has noted the number of its array, which it
// does when the first workers may run already.
func (s *scene) submitted() bool {
	s.t.Helper()
	ids := s.jobs()
	return len(ids) == 1 && ids[0] != ""
}

// release lets workers of held tasks go on until they have answered first rows
// of each.
func (s *scene) release(first int) {
	s.t.Helper()
	runnertest.Release(s.t, s.run.Dir(), "a", first)
}

// reference are the final files of a run that nothing disturbed.
func reference(t *testing.T, c *slurmtest.Cluster) map[string]string {
	s := newScene(t, c, 16, parts(4, 0))
	s.done(<-s.start(context.Background()))
	if s.asked("a") != rows {
		t.Fatal("the reference is no reference")
	}
	return s.final()
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	want := reference(t, c)
	for _, n := range []int{16, 64} {
		s := newScene(t, c, n, held(n, 1))
		out := s.start(context.Background())
		s.holds(n, 1) // all at once
		s.release(rows)
		rep := <-out
		s.done(rep)
		if got := s.asked("a"); got != rows {
			t.Errorf("%d rows asked of %d", got, rows)
		}
		s.same(want)
		s.clean()
		if k := len(s.rec.Of(event.TaskFinished)); k != n {
			t.Errorf("%d tasks finished", k)
		}
	}
}

// Workers are killed, one is cancelled from outside, another is put back into
// the queue by hand.
func TestWorkersDisturbed(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t, "KillWait=30") // workers that are told to end have the time
	want := reference(t, c)
	s := newScene(t, c, 16, held(16, 2))
	out := s.start(context.Background())
	s.holds(16, 2)
	if err := c.Drain(); err != nil { // what is put back into the queue stays there for a while
		t.Fatal(err)
	}
	id := s.jobs()[0]
	c.Must(t, "scancel", id+"_0")
	c.Must(t, "scontrol", "requeue", id+"_1")
	killed := 0
	for _, st := range s.running() {
		if st.ID == "infer-0001-00005" || st.ID == "infer-0001-00009" {
			if syscall.Kill(st.Pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	s.wait("a note about the queue", func() bool { return s.notes("back into its queue") > 0 })
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	s.release(rows)
	rep := <-out
	s.done(rep)
	s.same(want)
	s.clean()
	if killed != 2 {
		t.Errorf("%d killed", killed)
	}
	for i, tries := range map[int]int{0: 1, 1: 0, 2: 0, 4: 1, 8: 1} {
		if rep.Tasks[i].Tries != tries {
			t.Errorf("task %d: %d tries charged, want %d", i, rep.Tasks[i].Tries, tries)
		}
	}
	var why []string
	for _, e := range s.rec.Of(event.TaskRetried) {
		why = append(why, e.Error)
	}
	if got := strings.Join(why, "\n"); len(why) != 3 || strings.Count(got, "killed by signal 9") != 2 || !strings.Contains(got, "cancelled in Slurm") {
		t.Errorf("reasons of retries: %q", why)
	}
	if n := s.notes("back into its queue, for the 1st time"); n != 1 {
		t.Errorf("%d notes about the queue", n)
	}
	// Each of those that were killed had one in flight, the others finished theirs.
	if n := s.asked("a"); n != rows+killed {
		t.Errorf("%d rows asked of %d, with %d workers killed", n, rows, killed)
	}
}

func (s *scene) notes(text string) (n int) {
	for _, e := range s.rec.Of(event.Note) {
		if strings.Contains(e.Text, text) {
			n++
		}
	}
	return n
}

// jobs are the numbers of the arrays that the run has noted.
func (s *scene) jobs() []string {
	s.t.Helper()
	var out []string
	paths, _ := filepath.Glob(s.run.Path("state", "slurm", "*", "array.json"))
	for _, p := range paths {
		var a array
		b, err := os.ReadFile(p)
		if os.IsNotExist(err) {
			continue // it has just ended
		}
		if err == nil {
			err = json.Unmarshal(b, &a)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, a.JobID)
	}
	return out
}

// The daemons are stopped and started again and the node is drained while
// workers run: nobody notices.
func TestClusterDisturbed(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	want := reference(t, c)
	s := newScene(t, c, 8, held(16, 2))
	out := s.start(context.Background())
	s.holds(8, 2)
	c.StopNode()
	c.StopController()
	s.release(4)
	s.holds(8, 4) // they go on without Slurm
	if err := c.StartController(); err != nil {
		t.Error(err)
	}
	if err := c.StartNode(); err != nil {
		t.Error(err)
	}
	if err := c.Drain(); err != nil {
		t.Error(err)
	}
	time.Sleep(300 * time.Millisecond) // the runner looks at it now and then
	if err := c.Resume(); err != nil {
		t.Error(err)
	}
	s.release(rows)
	rep := <-out
	s.done(rep)
	s.same(want)
	s.clean()
	for _, x := range rep.Tasks {
		if x.Tries != 0 {
			t.Errorf("charged: %+v", x)
		}
	}
	if got := s.asked("a"); got != rows {
		t.Errorf("%d rows asked of %d", got, rows)
	}
}

// coordinatorVar makes the test binary a coordinator that can be killed. Its
// value is a plan.
const coordinatorVar = "SEXTANT_SLURM_TEST_COORDINATOR"

type plan struct {
	Dir            string
	Workers, Parts int
	Pause          int  // of an answer
	Hold           int  // rows of each part that are answered before release; 0: all
	Trust          bool // what was finished meanwhile is what is wanted
}

func (p plan) tasks() []task.Task {
	if p.Hold > 0 {
		return held(p.Parts, p.Hold)
	}
	return parts(p.Parts, p.Pause)
}

func coordinate(value string) error {
	var p plan
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return err
	}
	run, err := store.Open(p.Dir)
	if err != nil {
		return err
	}
	defer run.Close()
	lease, err := run.Acquire(context.Background(), store.LeaseOptions{})
	if err != nil {
		return err
	}
	defer lease.Release()
	st := &runner.Stage{Name: task.Infer, Run: run, Epoch: lease.Epoch(), Tasks: p.tasks(), Policy: runner.Policy{Retries: 2}, Options: task.Options{MaxFailedSamples: -1}}
	if p.Trust {
		st.Current = func(string, string, store.Inputs) bool { return true }
	}
	rep, err := New(options(os.Environ(), p.Workers)).Run(context.Background(), st, event.Func(func(e event.Event) {
		if e.Kind == event.Note {
			fmt.Println(e.Text)
		}
	}))
	if err != nil {
		return err
	}
	if done, _, _ := rep.Count(); done != p.Parts {
		return fmt.Errorf("%d done of %d: %+v", done, p.Parts, rep)
	}
	for _, x := range rep.Tasks {
		if x.Tries > 0 {
			return fmt.Errorf("charged: %+v %v", x, x.Failure)
		}
	}
	return nil
}

type coordinator struct {
	s   *scene
	cmd *exec.Cmd
	out output
}

// output is what a process has printed so far.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (s *scene) coordinator(p plan) *coordinator {
	s.t.Helper()
	p.Dir = s.run.Dir()
	b, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &coordinator{s: s, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(s.c.Environ(), coordinatorVar+"="+string(b), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// kill kills it. An sbatch that it had started is let come to its end: one that
// reaches Slurm much later submits workers that find nothing to do, but would
// be taken for jobs that were left behind.
func (c *coordinator) kill() {
	_ = c.cmd.Process.Kill() // it may have ended, which the test then sees
	_ = c.cmd.Wait()
	c.s.c.Quiet(c.s.t)
}

// takesOver waits until it has said what became of the jobs of the one before.
func (c *coordinator) takesOver() string {
	c.s.t.Helper()
	const says = "of the jobs of an earlier coordinator"
	c.s.wait("a coordinator that takes over", func() bool { return strings.Contains(c.out.String(), says) })
	return c.out.String()
}

// ends waits for its end, which is to be a good one.
func (c *coordinator) ends() {
	c.s.t.Helper()
	if err := c.cmd.Wait(); err != nil {
		c.s.t.Fatal(err, c.out.String())
	}
}

// A coordinator is killed; the next one takes its array over and nothing is
// asked twice, not even what was in flight.
func TestCoordinatorKilled(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	want := reference(t, c)

	t.Run("taken over", func(t *testing.T) {
		s := newScene(t, c, 0, nil)
		p := plan{Workers: 8, Parts: 24, Hold: 3, Trust: true}
		first := s.coordinator(p)
		s.holds(8, 3)
		first.kill()
		jobs := s.jobs()
		if len(jobs) != 1 || jobs[0] == "" {
			t.Fatalf("arrays %q: %s", jobs, first.out.String())
		}
		s.release(5)
		s.holds(8, 5) // they go on alone
		second := s.coordinator(p)
		if out := second.takesOver(); !strings.Contains(out, "earlier coordinator 24 go on, 0 were finished meanwhile, 0 do not fit") {
			t.Errorf("the second said %q", out)
		}
		s.release(rows)
		second.ends()
		if got := s.asked("a"); got != rows {
			t.Errorf("%d rows asked of %d", got, rows)
		}
		s.same(want)
		s.clean()
		for _, id := range strings.Fields(c.Must(t, "squeue", "-h", "-t", "all", "-o", "%F")) {
			if n, _ := strconv.Atoi(id); fmt.Sprint(n) != id || len(id) >= len(jobs[0]) && id > jobs[0] {
				t.Errorf("the second submitted array %s, after %s", id, jobs[0])
			}
		}
	})

	t.Run("finished meanwhile", func(t *testing.T) {
		s := newScene(t, c, 0, nil)
		p := plan{Workers: 8, Parts: 8, Hold: 3, Trust: true}
		first := s.coordinator(p)
		s.holds(8, 3)
		first.kill()
		s.release(rows)
		s.idle()
		second := s.coordinator(p)
		if out := second.takesOver(); !strings.Contains(out, "earlier coordinator 0 go on, 8 were finished meanwhile, 0 do not fit") {
			t.Errorf("the second said %q", out)
		}
		second.ends()
		if got := s.asked("a"); got != rows {
			t.Errorf("%d rows asked of %d", got, rows)
		}
		s.same(want)
		s.clean()
	})

	t.Run("while it was submitting", func(t *testing.T) {
		s := newScene(t, c, 0, nil)
		p := plan{Workers: 8, Parts: 16, Hold: 1}
		first := s.coordinator(p)
		s.holds(8, 1)
		first.kill()
		path, _ := filepath.Glob(s.run.Path("state", "slurm", "*", "array.json"))
		b, err := os.ReadFile(path[0])
		if err != nil {
			t.Fatal(err)
		}
		id := s.jobs()[0]
		if err := os.WriteFile(path[0], []byte(strings.Replace(string(b), `"job_id":"`+id+`"`, `"job_id":""`, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		if s.jobs()[0] != "" {
			t.Fatal("the number is still there")
		}
		second := s.coordinator(p)
		if out := second.takesOver(); !strings.Contains(out, "earlier coordinator 16 go on") {
			t.Errorf("the second said %q", out)
		}
		s.release(rows)
		second.ends()
		if got := s.asked("a"); got != rows {
			t.Errorf("%d rows asked of %d", got, rows)
		}
		s.same(want)
		s.clean()
	})

	t.Run("other cut", func(t *testing.T) {
		s := newScene(t, c, 0, nil)
		first := s.coordinator(plan{Workers: 4, Parts: 8, Hold: 5})
		s.holds(4, 5)
		first.kill()
		second := s.coordinator(plan{Workers: 8, Parts: 5, Pause: 5})
		second.ends()
		if got := s.asked("a"); got > rows+4 {
			t.Errorf("%d rows asked of %d with 4 in flight", got, rows)
		}
		s.same(want)
		s.clean()
		if out := second.out.String(); !strings.Contains(out, "8 do not fit any more and were cancelled") {
			t.Errorf("the second said %q", out)
		}
	})

	t.Run("again and again", func(t *testing.T) {
		s := newScene(t, c, 0, nil)
		p := plan{Workers: 8, Parts: 24, Pause: 60, Trust: true}
		for i := range 4 {
			k := s.coordinator(p)
			time.Sleep(time.Duration(100+200*i) * time.Millisecond) // any moment will do
			k.kill()
		}
		s.coordinator(p).ends()
		if got := s.asked("a"); got != rows {
			t.Errorf("%d rows asked of %d", got, rows)
		}
		s.same(want)
		s.clean()
	})
}

// A coordinator that has lost its lease leaves the jobs to the one that has it.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	s := newScene(t, c, 4, held(4, 2))
	ctx, cancel := context.WithCancelCause(context.Background())
	got := make(chan error, 1)
	go func() {
		_, err := New(s.o).Run(ctx, s.stage, s.rec)
		got <- err
	}()
	s.holds(4, 2)
	cancel(store.ErrLeaseLost)
	if err := <-got; !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("error %v", err)
	}
	s.release(4)
	s.holds(4, 4) // they run on
	s.stage.Epoch = 2
	out := s.start(context.Background())
	s.wait("a coordinator that takes over", func() bool { return s.notes("of the jobs of an earlier coordinator 4 go on") > 0 })
	s.release(rows)
	s.done(<-out)
	if n := s.asked("a"); n != rows {
		t.Errorf("%d rows asked of %d", n, rows)
	}
	s.clean()
}

// With cancel_on_interrupt the first request to stop ends the workers.
func TestCancelOnInterrupt(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	s := newScene(t, c, 4, runnertest.Parts("a", rows, 8, "times", 1, "at", 3, "how", "deaf"))
	s.o.CancelOnInterrupt, s.o.Grace = true, 300*time.Millisecond
	drain := make(chan struct{})
	s.stage.Drain = drain
	out := s.start(context.Background())
	s.wait("rows", func() bool { return s.asked("a") >= 12 })
	close(drain)
	rep := <-out
	if _, failed, stopped := rep.Count(); failed != 0 || stopped != 8 {
		t.Errorf("%+v", rep)
	}
	s.clean()
}

// What Slurm itself shows of jobs, and what it keeps in the run, holds no
// secret.
func TestSecretsInSlurm(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	tasks := parts(3, 50)
	for i := range tasks { // each model has another key
		m := py.DictOf("abbr", fmt.Sprintf("m%d", i), "type", "Fake", "key", fmt.Sprintf("sk-very-secret-%d", i))
		tasks[i].Model, tasks[i].ModelAbbr = m, fmt.Sprintf("m%d", i)
		tasks[i].Units[0].Dataset = py.DictOf("abbr", "a", "rows", 20, "hold", 3, "times", 1, "at", 10, "how", "tell secret")
		tasks[i].Units[0].Start, tasks[i].Units[0].Stop = 0, 0
	}
	s := newScene(t, c, 4, tasks)
	s.o.Keep = true
	out := s.start(context.Background())
	s.holds(3, 3)
	id := s.jobs()[0]
	shown := c.Must(t, "scontrol", "show", "job", id) + c.Must(t, "squeue", "-O", "name,comment,command,stdout,workdir")
	script := filepath.Join(t.TempDir(), "script")
	c.Must(t, "scontrol", "write", "batch_script", id, script)
	b, err := os.ReadFile(script)
	if err != nil || !strings.Contains(string(b), "index.json") {
		t.Fatalf("%v %s", err, b)
	}
	shown += string(b)
	s.release(20)
	rep := <-out
	s.done(rep)
	for _, e := range s.rec.Of(event.TaskRetried) {
		if strings.Contains(e.Text, "secret-") {
			t.Errorf("an event tells a secret: %+v", e)
		}
	}
	for i := range tasks {
		log, _ := os.ReadFile(s.run.Path(rep.Tasks[i].Log))
		if !strings.Contains(string(log), fmt.Sprintf("my key is sk-very-secret-%d", i)) {
			t.Errorf("worker %d did not get its secret: %s", i, log)
		}
	}
	filepath.WalkDir(s.run.Dir(), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".out") || d.Type()&fs.ModeSymlink != 0 { // it says it aloud on purpose
			return err
		}
		b, _ := os.ReadFile(p)
		shown += string(b)
		return nil
	})
	if strings.Contains(shown, "sk-very") {
		t.Error("a secret is shown")
	}
}
