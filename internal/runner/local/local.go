// Package local runs workers as processes of this machine.
//
// At most MaxNumWorkers run at a time; accelerators are given out by slots;
// CPU threads are shared out, so that 32 workers on 2 cores do not thrash.
// Each worker is a process group of its own, holds a lifeline to this process
// and sends its events through a pipe. The first request to stop lets workers
// finish what is in flight, the second kills them.
//
// Non-goals: it knows no other machine, and does not decide what is tried
// again (runner.Tracker does).
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Options of a local runner. Zero fields mean the defaults named.
type Options struct {
	MaxNumWorkers    int // 16
	MaxWorkersPerGPU int // 1
	// Command is the program and its first arguments; the path of the manifest
	// is appended: {"/usr/bin/sextant", "worker"}.
	Command []string
	Environ []string // variables for workers, K=V
	// Devices are the accelerators as CUDA_VISIBLE_DEVICES names them; see
	// VisibleDevices.
	Devices []string
	CPUs    int // threads to share out; 0 leaves it to the workers
	// InProcess executes a manifest in this process, one after the other: what
	// --debug does. nil starts workers.
	InProcess func(ctx context.Context, m *task.Manifest, sink event.Sink) error
	// KillGrace is how long a worker that was told to stop now may take; 5 s.
	KillGrace time.Duration
	// LostAfter is how long a worker may show no beat before it counts as
	// hung; 2 min.
	LostAfter time.Duration
	// Poll is how often statuses of workers are looked at; 1 s.
	Poll time.Duration
	Log  *slog.Logger
}

// FromConfig reads a runner dict of a config: max_num_workers,
// max_workers_per_gpu. Other keys are accepted, as OpenCompass does, and noted.
func FromConfig(cfg *py.Dict, o *Options) (notes []string) {
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		n, isInt := e.Val.(int)
		switch k {
		case "max_num_workers":
			if isInt && n > 0 {
				o.MaxNumWorkers = n
				continue
			}
		case "max_workers_per_gpu":
			if isInt && n > 0 {
				o.MaxWorkersPerGPU = n
				continue
			}
		case "type", "task", "debug", "lark_bot_url", "keep_tmp_file":
			continue
		}
		notes = append(notes, fmt.Sprintf("ignored argument of LocalRunner: %s=%s", k, py.Repr(e.Val)))
	}
	return notes
}

// VisibleDevices are the accelerators that a worker may be given. value is
// that of CUDA_VISIBLE_DEVICES, set whether it is set; count says how many the
// machine has. Numbers and UUIDs are both fine; as for CUDA itself, the list
// ends at the first -1.
func VisibleDevices(value string, set bool, count func() int) []string {
	if !set {
		var out []string
		for i := range count() {
			out = append(out, fmt.Sprint(i))
		}
		return out
	}
	var out []string
	seen := map[string]bool{}
	for _, s := range strings.Split(value, ",") {
		s = strings.TrimSpace(s)
		if s == "" || strings.HasPrefix(s, "-") || s == "NoDevFiles" {
			break
		}
		if !seen[s] {
			out = append(out, s)
			seen[s] = true
		}
	}
	return out
}

var deviceFile = regexp.MustCompile(`^nvidia\d+$`)

// CountDevices counts the NVIDIA accelerators of this machine.
func CountDevices() int {
	ents, _ := os.ReadDir("/dev") // none on other systems
	n := 0
	for _, e := range ents {
		if deviceFile.MatchString(e.Name()) {
			n++
		}
	}
	return n
}

// Runner runs workers on this machine.
type Runner struct{ o Options }

var _ runner.Runner = (*Runner)(nil)

// New makes a Runner.
func New(o Options) *Runner {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.MaxNumWorkers, 16)
	def(&o.MaxWorkersPerGPU, 1)
	defD := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	defD(&o.KillGrace, 5*time.Second)
	defD(&o.LostAfter, 2*time.Minute)
	defD(&o.Poll, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{o}
}

// stageRun is one call of Run.
type stageRun struct {
	*Runner
	stage   *runner.Stage
	tracker *runner.Tracker
	sink    event.Sink
	threads int
	drain   <-chan struct{}

	mu     sync.Mutex // guards the rest
	queue  []*runner.Work
	busy   map[string]int // by device: workers on it
	active int
	slots  map[*runner.Work]int // the place of each running work among those at a time
	keys   map[string]bool      // groups that have a worker now
	noted  map[string]bool
	err    error
	change chan struct{} // has one element when the state has changed
}

// Run implements runner.Runner.
func (r *Runner) Run(ctx context.Context, stage *runner.Stage, sink event.Sink) (runner.Report, error) {
	if r.o.InProcess != nil {
		once := *stage
		once.Policy.Retries = 0
		stage = &once
	}
	t := runner.NewTracker(stage, sink)
	s := &stageRun{
		Runner: r, stage: stage, tracker: t, sink: sink, drain: stage.Drain,
		busy: map[string]int{}, slots: map[*runner.Work]int{}, keys: map[string]bool{}, noted: map[string]bool{}, change: make(chan struct{}, 1),
	}
	workers := r.o.MaxNumWorkers
	if r.o.InProcess != nil {
		workers = 1
	}
	if workers > 1 {
		s.queue = t.PlanGuided(workers)
	} else {
		s.queue = t.Plan(workers)
	}
	s.threads = stage.Options.Threads
	if total := r.o.CPUs; s.threads == 0 && total > 0 {
		s.threads = max(1, total/max(1, min(workers, len(s.queue))))
	}
	if r.o.InProcess != nil {
		err := s.inProcess(ctx)
		return t.Report(), err
	}
	var wg sync.WaitGroup
	for {
		w, devices, wait := s.next(ctx)
		if w == nil && !wait {
			break
		}
		if w == nil {
			select {
			case <-s.change:
			case <-ctx.Done():
				wg.Wait()
			case <-s.drain:
				wg.Wait()
			}
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			again, err := s.work(ctx, w, devices)
			s.returned(w, devices, again, err)
		}()
	}
	wg.Wait()
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return t.Report(), err
}

func (s *stageRun) stopping(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	select {
	case <-s.drain:
		return true
	default:
		return false
	}
}

// next takes the first work that can start now. wait says that there may be
// one later.
func (s *stageRun) next(ctx context.Context) (w *runner.Work, devices []string, wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.stopping(ctx) {
		return nil, nil, s.active > 0 && s.err != nil && !s.stopping(ctx)
	}
	if s.active >= s.o.MaxNumWorkers {
		return nil, nil, true
	}
	gpuWaits := false
	for i, c := range s.queue {
		if c.Key != "" && s.keys[c.Key] {
			continue
		}
		need := s.devicesFor(c)
		if need > 0 {
			if gpuWaits {
				continue
			}
			devices = s.free(need)
			if devices == nil {
				gpuWaits = true // later ones must not take its devices away for ever
				continue
			}
		}
		s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
		s.active++
		s.slots[c] = s.freeSlot()
		for _, d := range devices {
			s.busy[d]++
		}
		if c.Key != "" {
			s.keys[c.Key] = true
		}
		return c, devices, false
	}
	return nil, nil, s.active > 0
}

// freeSlot is the lowest place that no running work has.
func (s *stageRun) freeSlot() int {
	for n := 0; ; n++ {
		taken := false
		for _, k := range s.slots {
			taken = taken || k == n
		}
		if !taken {
			return n
		}
	}
}

// devicesFor is how many accelerators a work gets. A machine that has none
// runs it on the CPU and says so; one that has too few fails it later.
func (s *stageRun) devicesFor(w *runner.Work) int {
	if w.NumGPUs > 0 && len(s.o.Devices) == 0 {
		if !s.noted[w.ModelAbbr] {
			s.noted[w.ModelAbbr] = true
			s.sink.Emit(event.Event{
				Kind: event.Note, Stage: s.stage.Name, Model: w.ModelAbbr,
				Text: fmt.Sprintf("%s asks for %d GPU and this machine has none: it runs on the CPU", w.ModelAbbr, w.NumGPUs),
			})
		}
		return 0
	}
	if w.NumGPUs > len(s.o.Devices) {
		return 0 // work fails it
	}
	return w.NumGPUs
}

// free returns n devices with a slot, the first ones; nil when there are not
// that many.
func (s *stageRun) free(n int) []string {
	var out []string
	for _, d := range s.o.Devices {
		if s.busy[d] < s.o.MaxWorkersPerGPU {
			if out = append(out, d); len(out) == n {
				return out
			}
		}
	}
	return nil
}

func (s *stageRun) returned(w *runner.Work, devices []string, again *runner.Work, err error) {
	s.mu.Lock()
	s.active--
	delete(s.slots, w)
	for _, d := range devices {
		s.busy[d]--
	}
	delete(s.keys, w.Key)
	if again != nil {
		// First: it is older than what waits, which came in falling order of
		// size, and would be the long one at the end.
		s.queue = append([]*runner.Work{again}, s.queue...)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// inProcess executes everything in this process, in order, without retries.
func (s *stageRun) inProcess(ctx context.Context) error {
	for len(s.queue) > 0 && !s.stopping(ctx) {
		w := s.queue[0]
		s.queue = s.queue[1:]
		m, _, _, err := s.tracker.Start(w, s.threads)
		if err != nil {
			return err
		}
		err = s.o.InProcess(ctx, m, event.Func(func(e event.Event) { s.tracker.Forward(w, e) }))
		status, serr := task.ReadStatus(s.stage.Run.Path(m.StatusPath()))
		if serr != nil {
			return serr
		}
		end := runner.End{Err: err, Stopped: s.stopping(ctx)}
		again, terr := s.tracker.Ended(w, status, end)
		if terr != nil {
			return terr
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if again != nil {
			s.queue = append(s.queue, again) // units that did not get their turn
		}
	}
	return context.Cause(ctx)
}

// work runs one attempt of w in a process of its own.
func (s *stageRun) work(ctx context.Context, w *runner.Work, devices []string) (*runner.Work, error) {
	if n := w.NumGPUs; n > len(s.o.Devices) && len(s.o.Devices) > 0 {
		s.tracker.Fail(w, &task.Failure{
			Kind: task.KindConfig, Message: fmt.Sprintf("%s needs %d GPUs, this machine offers %d", w.ModelAbbr, n, len(s.o.Devices)),
			Hint: "lower run_cfg.num_gpus, or make more devices visible with CUDA_VISIBLE_DEVICES",
		})
		return nil, nil
	}
	m, path, secrets, err := s.tracker.Start(w, s.threads)
	if err != nil {
		return nil, err
	}
	p, err := s.start(w, m, path, secrets, devices)
	if err != nil {
		var full *store.FullError
		if errors.As(err, &full) {
			return nil, err
		}
		s.tracker.Fail(w, &task.Failure{Kind: task.KindConfig, Message: err.Error()})
		return nil, nil
	}
	end := p.watch(ctx)
	end.Tail = task.Scrub(runner.Tail(p.logPath), task.SecretValues(secrets))
	status, err := task.ReadStatus(s.stage.Run.Path(m.StatusPath()))
	if err != nil {
		s.o.Log.Warn("status of a worker cannot be read", "error", err)
	}
	return s.tracker.Ended(w, status, end)
}

// process is a running worker.
type process struct {
	s        *stageRun
	w        *runner.Work
	m        *task.Manifest
	cmd      *exec.Cmd
	lifeline io.Closer
	events   chan struct{} // closed when all events have been read
	logPath  string
}

func (s *stageRun) start(w *runner.Work, m *task.Manifest, manifest string, secrets map[string]string, devices []string) (*process, error) {
	p := &process{s: s, w: w, m: m, events: make(chan struct{}), logPath: s.stage.Run.Path(w.Log)}
	if err := os.MkdirAll(filepath.Dir(p.logPath), 0o777); err != nil {
		return nil, fmt.Errorf("create log of %s: %w", w.Name(), err)
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if w.Attempt == 1 {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(p.logPath, flags, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create log of %s: %w", w.Name(), err)
	}
	defer log.Close() // the child has its own
	if w.Attempt > 1 {
		fmt.Fprintf(log, "--- attempt %d ---\n", w.Attempt)
	}
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	eventR, eventW, err := os.Pipe()
	if err != nil {
		lifeR.Close()
		lifeW.Close()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	p.cmd = exec.Command(s.o.Command[0], append(append([]string(nil), s.o.Command[1:]...), manifest)...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = lifeR, log, log
	p.cmd.ExtraFiles = []*os.File{eventW} // descriptor 3
	p.cmd.Env = s.environ(w, secrets, devices)
	ownGroup(p.cmd)
	err = p.cmd.Start()
	lifeR.Close()
	eventW.Close()
	if err != nil {
		lifeW.Close()
		eventR.Close()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	p.lifeline = lifeW
	go func() {
		defer close(p.events)
		defer eventR.Close()
		if err := event.Read(eventR, func(e event.Event) bool {
			s.tracker.Forward(w, e)
			return true
		}); err != nil {
			s.o.Log.Warn("events of a worker cannot be read", "error", err)
		}
	}()
	return p, nil
}

func (s *stageRun) environ(w *runner.Work, secrets map[string]string, devices []string) []string {
	env := append([]string(nil), s.o.Environ...)
	s.mu.Lock()
	slot := s.slots[w]
	s.mu.Unlock()
	has := func(name string) bool {
		for _, kv := range env {
			if strings.HasPrefix(kv, name+"=") {
				return true
			}
		}
		return false
	}
	env = append(env, runner.EventFDVar+"=3", runner.LifelineVar+"=1", fmt.Sprintf("%s=%d", runner.SlotVar, slot))
	if len(s.o.Devices) > 0 {
		env = append(env, "CUDA_VISIBLE_DEVICES="+strings.Join(devices, ","))
	}
	if s.threads > 0 {
		for _, v := range []string{"GOMAXPROCS", "OMP_NUM_THREADS"} {
			if !has(v) {
				env = append(env, fmt.Sprintf("%s=%d", v, s.threads))
			}
		}
	}
	for k, v := range secrets {
		env = append(env, k+"="+v)
	}
	return env
}

// watch waits for the process to end, and ends it when it must.
func (p *process) watch(ctx context.Context) runner.End {
	defer p.lifeline.Close()
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()
	var end runner.End
	tick := time.NewTicker(p.s.o.Poll)
	defer tick.Stop()
	drain, done := p.s.drain, ctx.Done()
	var kill <-chan time.Time
	beat, since := int64(-1), time.Now()
	for {
		select {
		case err := <-waited:
			end.Err = err
			killGroup(p.cmd) // what the worker itself had started
			select {
			case <-p.events:
			case <-time.After(p.s.o.KillGrace): // something that left the group holds the pipe
			}
			return end
		case <-drain:
			// Not by a signal: whoever stops this machine's processes has sent
			// one to the worker already, and a second would cut off what is in
			// flight. Nor could a worker that is just starting take it.
			drain, end.Stopped = nil, true
			p.lifeline.Close()
		case <-done:
			done, end.Stopped = nil, true
			terminateGroup(p.cmd)
			t := time.NewTimer(p.s.o.KillGrace)
			defer t.Stop()
			kill = t.C
		case <-kill:
			killGroup(p.cmd)
		case <-tick.C:
			st, err := task.ReadStatus(p.s.stage.Run.Path(p.m.StatusPath()))
			now := int64(-1)
			if err == nil && st != nil {
				now = st.Beat
			}
			if now != beat {
				beat, since = now, time.Now()
			} else if time.Since(since) > p.s.o.LostAfter {
				end.Lost = true
				killGroup(p.cmd)
			}
		}
	}
}
