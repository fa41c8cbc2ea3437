//go:build linux

package slurm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/runner/slurm/slurmtest"
	"sextant/internal/source"
	"sextant/internal/store"
	"sextant/internal/task"
)

// submitted lists the arrays that a cluster has seen, with gres.
func submitted(t *testing.T, c *slurmtest.Cluster) map[string]int {
	out := map[string]int{}
	for _, row := range strings.Split(strings.TrimSpace(c.Must(t, "squeue", "-h", "-t", "all", "-r", "-o", "%F %b")), "\n") {
		out[row]++
	}
	return out
}

// Tasks that want different numbers of GPUs are one array for each number.
func TestGPUs(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	tasks := parts(6, 10)
	for i := range tasks {
		tasks[i].NumGPUs = i % 3
	}
	s := newScene(t, c, 6, tasks)
	s.o.Setup = []string{`echo "devices: [$CUDA_VISIBLE_DEVICES]"`}
	rep := <-s.start(context.Background())
	s.done(rep)
	s.clean()
	got := submitted(t, c)
	if len(got) != 3 {
		t.Errorf("arrays: %v", got)
	}
	for k, n := range got {
		if n != 2 {
			t.Errorf("array %q has %d elements", k, n)
		}
	}
	for i, x := range rep.Tasks {
		log, _ := os.ReadFile(s.run.Path(x.Log))
		_, list, _ := strings.Cut(string(log), "devices: [")
		list, _, _ = strings.Cut(list, "]")
		if n := len(strings.FieldsFunc(list, func(r rune) bool { return r == ',' })); n != i%3 {
			t.Errorf("task %d got devices %q", i, list)
		}
	}
}

// A stage that is bigger than arrays may be becomes several.
func TestArraySize(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t, "MaxArraySize=5")
	s := newScene(t, c, 4, parts(12, 10))
	s.done(<-s.start(context.Background()))
	s.clean()
	if got := submitted(t, c); len(got) != 3 {
		t.Errorf("arrays: %v", got)
	}
	if n := s.asked("a"); n != rows {
		t.Errorf("%d rows asked of %d", n, rows)
	}
}

func TestSequential(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	s := newScene(t, c, 2, parts(5, 20))
	s.o.Sequential, s.o.Prefix = true, "my "
	most := 0
	out := s.start(context.Background())
	var rep runner.Report
	for ended := false; !ended; {
		select {
		case rep = <-out:
			ended = true
		case <-time.After(30 * time.Millisecond):
			most = max(most, len(s.jobs()))
		}
	}
	s.done(rep)
	s.clean()
	if got := submitted(t, c); len(got) != 5 || most > 2 {
		t.Errorf("arrays: %v, %d at once", got, most)
	}
	if name := c.Must(t, "squeue", "-h", "-t", "all", "-o", "%j"); !strings.HasPrefix(name, "my_sextant.20250102_030405.infer-0001-0") {
		t.Errorf("jobs are called %s", name)
	}
}

// Nothing in a path or a config becomes shell.
func TestOddNames(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	dir := filepath.Join(t.TempDir(), "it's %d $(touch hacked) `touch hacked` \"x\" \\%a")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tasks := runnertest.Parts("a", 8, 2)
	for i := range tasks {
		tasks[i].ModelAbbr = "m $(touch hacked) 'x' %d"
	}
	s := newScene(t, c, 2, tasks)
	run, err := store.Create(dir, time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	s.run, s.stage.Run, s.o.Dir = run, run, dir
	s.o.Environ = append(s.o.Environ, "SEXTANT_ODD='$(touch hacked)'\nx")
	rep := <-s.start(context.Background())
	s.done(rep)
	s.clean()
	for _, d := range []string{dir, run.Dir(), "."} {
		if _, err := os.Stat(filepath.Join(d, "hacked")); err == nil {
			t.Errorf("a name was run as shell in %s", d)
		}
	}
	for _, x := range rep.Tasks {
		log, err := os.ReadFile(run.Path(x.Log))
		if err != nil || !strings.Contains(string(log), "hello from a") || !strings.Contains(string(log), "Slurm job ") {
			t.Errorf("log: %v %q", err, log)
		}
	}
}

// What Slurm refuses is told in its own words, at the place in the config.
func TestRefused(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	files := source.NewSet()
	f := files.Add("eval.py", strings.Repeat("x", 100), 0)
	cases := []struct {
		key  string
		val  py.Value
		gpus int
		says string
		hint string
	}{
		{"partition", "nope", 0, "invalid partition specified: nope", "partitions here: debug, other"},
		{"constraint", "avx1024", 0, "feature", "features"},
		{"gres", "tpu:1", 0, "gres", "sinfo"},
		{"time", "soon", 0, "--time", "HH:MM:SS"},
		{"mem", "much", 0, "--mem", ""},
		{"quotatype", "spot", 0, "unrecognized option", "quotatype"},
		{"extra_command", py.NewList("--bogus=1"), 0, "unrecognized option", "options of sbatch"},
		{"nodelist", "nonode", 0, "node name", "sinfo"},
		{"", nil, 99, "not available", "gres=gpu:99"},
	}
	for i, x := range cases {
		tasks := parts(2, 0)
		tasks[0].NumGPUs, tasks[1].NumGPUs = x.gpus, x.gpus
		s := newScene(t, c, 2, tasks)
		cfg := py.NewDict()
		pos := f.Pos(i + 1)
		if x.key != "" {
			if err := cfg.Put(py.Entry{Key: x.key, Val: x.val, Pos: pos}); err != nil {
				t.Fatal(err)
			}
		} else {
			pos = 0
		}
		if notes, err := FromConfig(cfg, &s.o); err != nil || len(notes) > 0 {
			t.Fatal(notes, err)
		}
		rep, err := New(s.o).Run(context.Background(), s.stage, s.rec)
		var d *source.Diagnostic
		if !errors.As(err, &d) {
			t.Errorf("%s=%v: %v", x.key, x.val, err)
			continue
		}
		if d.Pos != pos || !strings.Contains(d.Msg, "Slurm refuses the job: ") || !strings.Contains(d.Msg, x.says) || !strings.Contains(d.Hint, x.hint) {
			t.Errorf("%s=%v: at %v (want %v) %q, hint %q", x.key, x.val, d.Pos, pos, d.Msg, d.Hint)
		}
		if _, _, stopped := rep.Count(); stopped != 2 {
			t.Errorf("%+v", rep)
		}
		s.clean()
	}
}

// A job that Slurm takes and cannot ever start is told of.
func TestWaitsForEver(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	s := newScene(t, c, 2, parts(2, 0))
	s.o.CPUsPerTask = 4000
	drain := make(chan struct{})
	s.stage.Drain = drain
	out := s.start(context.Background())
	s.wait("a note", func() bool { return s.notes("Slurm lets jobs wait: ") > 0 || len(out) > 0 })
	close(drain)
	if _, _, stopped := (<-out).Count(); stopped != 2 {
		t.Errorf("%d stopped", stopped)
	}
	s.clean()
}

func TestNoSlurm(t *testing.T) {
	t.Parallel()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	r := New(testOptions(runnertest.Setup{Workers: 1, Command: []string{"x"}, Environ: []string{"PATH=" + t.TempDir()}}))
	r.c.path = t.TempDir()
	_, err = r.Run(context.Background(), &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: parts(1, 0)}, event.Discard)
	var d *source.Diagnostic
	if !errors.As(err, &d) || !strings.Contains(d.Hint, "LocalRunner") {
		t.Errorf("%v", err)
	}
}

// A stage of 5,000 tasks is one sbatch. The time is from the start of Run
// until Slurm has taken the array.
func BenchmarkSubmit5000(b *testing.B) {
	c := slurmtest.Start(b)
	// Nothing starts: the node is drained.
	c.Must(b, "scontrol", "update", "NodeName="+c.Node, "State=DRAIN", "Reason=benchmark")
	for b.Loop() {
		b.StopTimer()
		run, err := store.Create(b.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		o := options(c.Environ(), 64)
		stage := &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: runnertest.Parts("a", 5000, 5000)}
		out := make(chan error, 1)
		b.StartTimer()
		begin := time.Now()
		go func() {
			_, err := New(o).Run(ctx, stage, event.Discard)
			out <- err
		}()
		for {
			if data, err := os.ReadFile(run.Path("state/slurm/infer-0001-01/array.json")); err == nil && !strings.Contains(string(data), `"job_id":""`) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s/stage")
		b.StopTimer()
		ids := c.Must(b, "squeue", "-h", "-o", "%F %K")
		if n := strings.Count(ids, "\n"); n != 1 || !strings.Contains(ids, "0-4999%64") {
			b.Fatalf("jobs: %q", ids)
		}
		cancel()
		<-out
		run.Close()
		c.Must(b, "scancel", strings.Fields(ids)[0])
		b.StartTimer()
	}
}
