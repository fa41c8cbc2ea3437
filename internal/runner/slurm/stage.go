package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/task"
)

// stageRun is one call of Run. Everything happens in one goroutine; only files
// are read and written by several.
type stageRun struct {
	*Runner
	stage   *runner.Stage
	tracker *runner.Tracker
	sink    event.Sink
	now     func() time.Time
	drain   <-chan struct{} // nil when it was taken note of

	seq      int
	arrays   []*array // that have live elements
	queue    []*runner.Work
	most     int // elements that an array may have
	noted    map[string]bool
	logsMade map[string]bool

	stopping  bool // nothing new is submitted
	cancelled bool // scancel was called for everything
	killed    bool
	killAt    time.Time
	err       error

	interval time.Duration // between questions to squeue
	nextAsk  time.Time
	silent   time.Time // since when squeue has not answered; zero when it has
}

// note tells the user something once.
func (s *stageRun) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.noted[text] {
		return
	}
	s.noted[text] = true
	s.sink.Emit(event.Event{Kind: event.Note, Stage: s.stage.Name, Text: text})
}

func (s *stageRun) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.drain:
	}
}

// insist asks Slurm until it answers, be it with a refusal: a controller that
// is restarted is back within seconds. It gives up after Unreachable and when
// ctx ends or the user asks to stop.
func (s *stageRun) insist(ctx context.Context, ask func() error) error {
	deadline := s.now().Add(s.o.Unreachable)
	for {
		err := ask()
		if err == nil || !unreachable(err) || s.leaves(ctx) || !s.now().Before(deadline) {
			return err
		}
		s.note("Slurm does not answer: %v; trying again", err)
		s.sleep(ctx, max(5*s.o.Poll, 100*time.Millisecond))
	}
}

// leaves reports whether the user wants the stage to stop, which heed has yet
// to take note of.
func (s *stageRun) leaves(ctx context.Context) bool {
	select {
	case <-s.drain:
		return true
	default:
		return ctx.Err() != nil
	}
}

func (s *stageRun) run(ctx context.Context) error {
	// Commands go on when ctx has ended: jobs have to be cancelled then.
	cmd := context.WithoutCancel(ctx)
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	works := s.plan(s.tracker, len(s.stage.Tasks))
	s.queue = append(s.queue, works...)
	for {
		s.heed(ctx, cmd)
		if leaving(ctx) {
			return context.Cause(ctx)
		}
		if err := s.submitQueued(ctx); err != nil {
			s.fail(cmd, err)
		}
		if len(s.arrays) == 0 && (s.stopping || len(s.queue) == 0) {
			break
		}
		s.wait(ctx)
		if leaving(ctx) {
			return context.Cause(ctx)
		}
		s.read()
		if !s.now().Before(s.nextAsk) {
			s.ask(cmd)
		}
		s.judge(cmd)
	}
	if s.err == nil && ctx.Err() != nil {
		s.err = context.Cause(ctx)
	}
	return s.err
}

// wait passes the time until something may have happened.
func (s *stageRun) wait(ctx context.Context) {
	t := time.NewTimer(s.o.Poll)
	defer t.Stop()
	done := ctx.Done()
	if s.cancelled {
		done = nil
	}
	select {
	case <-t.C:
	case <-done:
	case <-s.drain:
	}
}

// heed takes note of requests to stop.
func (s *stageRun) heed(ctx, cmd context.Context) {
	select {
	case <-s.drain:
		s.drain = nil
		s.stopping = true
		if s.o.CancelOnInterrupt {
			s.cancel(cmd)
		} else {
			s.stopWaiting(cmd)
			s.stopRunning(cmd)
		}
		s.interval = 0
		s.nextAsk = s.now()
	default:
	}
	if ctx.Err() != nil && !leaving(ctx) {
		s.stopping = true
		s.cancel(cmd)
	}
}

// fail ends the stage for a reason that lies outside of its tasks.
func (s *stageRun) fail(cmd context.Context, err error) {
	if s.err == nil {
		s.err = err
	}
	s.stopping = true
	s.cancel(cmd)
}

func (s *stageRun) jobIDs() []string {
	var ids []string
	for _, a := range s.arrays {
		ids = append(ids, a.JobID)
	}
	return ids
}

// cancel ends all jobs.
func (s *stageRun) cancel(cmd context.Context) {
	if s.cancelled {
		return
	}
	s.cancelled = true
	s.killAt = s.now().Add(s.o.Grace)
	s.interval, s.nextAsk = 0, s.now()
	if err := s.c.scancel(cmd, s.jobIDs()); err != nil {
		s.note("jobs could not be cancelled: %v; do it with: scancel %s", err, strings.Join(s.jobIDs(), " "))
	}
}

// stopWaiting takes elements that have not started out of Slurm's queue.
func (s *stageRun) stopWaiting(cmd context.Context) {
	if err := s.c.scancel(cmd, s.jobIDs(), "--state=PENDING"); err != nil {
		s.note("waiting jobs could not be cancelled: %v", err)
	}
}

// stopRunning asks workers to finish what is in flight: the batch script has
// become the worker, so the signal reaches it and nothing that it started.
func (s *stageRun) stopRunning(cmd context.Context) {
	var ids []string
	for _, a := range s.arrays {
		for _, e := range a.live {
			running := e.known && e.slurm.State == "RUNNING" || e.status != nil && e.status.State == task.Running
			if running && !e.told {
				e.told = true
				ids = append(ids, e.id())
			}
		}
	}
	if len(ids) > 0 {
		if err := s.c.scancel(cmd, ids, "--batch", "--signal=TERM"); err != nil {
			s.note("workers could not be told to stop: %v", err)
		}
	}
}

// used is how many elements may be running.
func (s *stageRun) used() int {
	n := 0
	for _, a := range s.arrays {
		n += min(len(a.live), a.Throttle)
	}
	return n
}

// submitQueued submits what is queued when there is room for it: everything
// at the start, works to be tried again when at least half of the places (or
// as many as they need) are free.
func (s *stageRun) submitQueued(ctx context.Context) error {
	if s.stopping || len(s.queue) == 0 {
		s.widen(ctx)
		return nil
	}
	if s.most == 0 {
		err := s.insist(ctx, func() (err error) {
			s.most, err = s.c.maxArray(ctx)
			return err
		})
		if err != nil && s.leaves(ctx) {
			return nil // heed comes next
		} else if err != nil {
			return s.explain(ctx, err, resources{})
		}
	}
	limit := s.o.MaxNumWorkers
	if s.o.Sequential {
		for _, a := range s.arrays {
			for _, e := range a.live {
				if e.status == nil && (!e.known || e.slurm.waits()) {
					return nil // one at a time: this one has not started
				}
			}
		}
		if s.used() >= limit {
			return nil
		}
		return s.submitSome(ctx, s.queue[:1], 1)
	}
	free := limit - s.used()
	if free < min(len(s.queue), (limit+1)/2) {
		return nil
	}
	order, by := s.group(s.queue)
	queued := len(s.queue)
	for _, k := range order {
		works := by[k]
		share := max(free*len(works)/queued, 1)
		for len(works) > 0 && limit > s.used() {
			n := min(len(works), s.most)
			before := len(s.queue)
			if err := s.submitSome(ctx, works[:n], min(share, n, limit-s.used())); err != nil {
				return err
			}
			if len(s.queue) == before { // Slurm takes no more now
				return nil
			}
			works = works[before-len(s.queue):]
			if s.stopping {
				return nil
			}
		}
	}
	return nil
}

// submitSome submits works, or the first of them when Slurm does not take so
// many, and takes them out of the queue.
func (s *stageRun) submitSome(ctx context.Context, works []*runner.Work, throttle int) error {
	if ctx.Err() != nil {
		return nil // heed comes next
	}
	works = slices.Clone(works)
	res := s.resources(works[0])
	for {
		err := s.submit(ctx, works, min(throttle, len(works)), res)
		if err == nil {
			taken := map[*runner.Work]bool{}
			for _, w := range works {
				taken[w] = true
			}
			s.queue = slices.DeleteFunc(s.queue, func(w *runner.Work) bool { return taken[w] })
			return nil
		}
		if s.leaves(ctx) {
			return nil
		}
		if !tooMany(err) {
			return err
		}
		if len(works) == 1 {
			if len(s.arrays) == 0 {
				return err
			}
			s.note("Slurm takes no more jobs now: %v; the rest is submitted as others end", err)
			return nil
		}
		works = works[:(len(works)+1)/2]
		s.most = len(works)
	}
}

// widen gives places that have become free to arrays that can use them.
func (s *stageRun) widen(ctx context.Context) {
	free := s.o.MaxNumWorkers - s.used()
	if free <= 0 || s.stopping || s.o.Sequential {
		return
	}
	for _, a := range s.arrays {
		more := min(free, len(a.live)-a.Throttle)
		if more <= 0 {
			continue
		}
		if err := s.c.throttle(ctx, a.JobID, a.Throttle+more); err != nil {
			s.o.Log.Warn("the number of running elements cannot be raised", "job", a.JobID, "error", err)
			continue
		}
		a.Throttle += more
		free -= more
	}
}

// read reads the statuses of elements that run or may have started since
// squeue was last asked: those first in line.
func (s *stageRun) read() {
	var todo []*element
	for _, a := range s.arrays {
		next := a.Throttle
		for _, e := range a.live {
			waits := e.known && e.slurm.waits() && e.status == nil || !e.asked && e.status == nil
			if waits {
				if next--; next < 0 {
					continue
				}
			}
			todo = append(todo, e)
		}
	}
	var wg sync.WaitGroup
	limit := make(chan struct{}, readers)
	for _, e := range todo {
		wg.Add(1)
		limit <- struct{}{}
		go func() {
			defer wg.Done()
			s.readStatus(e)
			<-limit
		}()
	}
	wg.Wait()
	for _, e := range todo {
		if e.status != nil {
			s.tracker.Observe(e.work, e.status)
		}
	}
}

// readStatus reads the newest status of an element: each time that Slurm
// starts it again it writes another one.
func (s *stageRun) readStatus(e *element) {
	const ahead = 2 // a restart may end before its worker writes anything
	for n := e.restarts; n <= max(e.restarts, e.requeue)+ahead; n++ {
		st, err := task.ReadStatus(e.statusPath(s.stage.Run, n))
		if err != nil {
			s.o.Log.Warn("status of a worker cannot be read", "error", err)
			return
		}
		if st != nil && e.keep != nil {
			st = runner.Project(st, e.units, e.keep)
		}
		if st == nil {
			continue
		}
		news := st.Beat != e.beat || n != e.restarts
		if news {
			e.beat, e.since = st.Beat, s.now()
			if n != e.restarts {
				e.overAt, e.absent = time.Time{}, 0
			}
			e.restarts, e.work.Attempt = n, e.base+n
		}
		e.status = st
		if news && st.State == task.Running || final(st) {
			return // it lives, or has had its say: there is no newer one
		}
	}
}

func (s *stageRun) askEvery() time.Duration {
	if s.interval == 0 {
		s.interval = 2 * s.o.Poll
	}
	return s.interval
}

// ask asks squeue about all jobs, less often the less happens.
func (s *stageRun) ask(cmd context.Context) {
	ids := s.jobIDs()
	jobs, err := s.c.squeue(cmd, ids)
	now := s.now()
	if err != nil {
		if s.silent.IsZero() {
			s.silent = now
		}
		if now.Sub(s.silent) > s.o.Unreachable {
			s.note("Slurm has not answered for a while (%v); workers go on, and what they write is seen", err)
		}
		s.nextAsk = now.Add(max(s.askEvery(), 2*s.o.Poll))
		return
	}
	s.silent = time.Time{}
	changed := false
	for _, a := range s.arrays {
		l := jobs[a.JobID]
		for _, e := range a.live {
			was, known := e.slurm, e.known
			e.slurm, e.known = l.of(e.index)
			e.asked = true
			if e.known {
				e.absent = 0
			} else {
				e.absent++
			}
			if e.slurm != was || known != e.known {
				changed = true
				e.since = now // a suspended worker shows no beats
			}
			if e.known && e.slurm.waits() && (known && (was.State == "RUNNING" || was.State == "COMPLETING") || e.status != nil && e.requeue <= e.restarts) {
				e.requeue++
				s.sink.Emit(event.Event{
					Kind: event.Note, Stage: s.stage.Name, Task: e.work.Units[0].Task, Model: e.work.ModelAbbr, Attempt: e.work.Attempt + 1, Log: e.work.Log,
					Text: fmt.Sprintf("Slurm put job %s (%s) back into its queue, for the %s time; it goes on where it was", e.id(), e.work.Name(), ordinal(e.requeue)),
				})
			}
			if e.known && e.slurm.State == "PENDING" {
				s.pending(e)
			}
		}
	}
	if changed || s.stopping {
		s.interval = 2 * s.o.Poll
	} else {
		s.interval = min(s.askEvery()*3/2, s.o.MaxAsk)
	}
	s.nextAsk = now.Add(s.interval)
	if s.stopping && !s.cancelled {
		s.stopWaiting(cmd)
		s.stopRunning(cmd)
	}
}

func ordinal(n int) string {
	switch {
	case n%100/10 == 1:
	case n%10 == 1:
		return strconv.Itoa(n) + "st"
	case n%10 == 2:
		return strconv.Itoa(n) + "nd"
	case n%10 == 3:
		return strconv.Itoa(n) + "rd"
	}
	return strconv.Itoa(n) + "th"
}

// pending tells the user why a job waits, where that does not look like just
// waiting for its turn.
func (s *stageRun) pending(e *element) {
	switch r := e.slurm.Reason; r {
	case "None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Prolog", "NodeDown", "(null)", "":
	default:
		s.note("Slurm lets jobs wait: %s (job %s)", r, e.array.JobID)
	}
}

// judge ends elements whose end is certain.
func (s *stageRun) judge(cmd context.Context) {
	now := s.now()
	if s.cancelled && !s.killed && now.After(s.killAt) {
		s.killed = true
		_ = s.c.scancel(cmd, s.jobIDs(), "--full", "--signal=KILL") // what is left is told below
		_ = s.c.scancel(cmd, s.jobIDs())
		s.interval, s.nextAsk = 0, now
	}
	for _, a := range slices.Clone(s.arrays) {
		kept := a.live[:0:0]
		for _, e := range a.live {
			end, over := s.over(cmd, e, now)
			if !over {
				kept = append(kept, e)
				continue
			}
			s.ended(cmd, e, end)
		}
		a.live = kept
		if len(a.live) == 0 {
			s.finish(cmd, a)
		}
	}
}

// over decides whether an element has ended, and how.
func (s *stageRun) over(cmd context.Context, e *element, now time.Time) (runner.End, bool) {
	st := e.status
	stopped := s.stopping
	if final(st) {
		return runner.End{}, true
	}
	if stopped && st != nil && st.State == task.Stopped {
		return runner.End{Stopped: true}, true
	}
	gone := e.asked && (e.known && e.slurm.over() || !e.known && e.absent >= 2)
	if !gone {
		e.overAt = time.Time{}
		if s.killed && now.After(s.killAt.Add(s.o.Grace+s.o.Settle)) {
			s.note("job %s does not end; what it did so far is kept", e.id())
			return runner.End{Stopped: true}, true
		}
		running := e.known && e.slurm.State == "RUNNING"
		if running && !s.cancelled && st != nil && now.Sub(e.since) > s.o.LostAfter {
			if s.restarted(s.c.details(cmd, e.id()), e) {
				return runner.End{}, false
			}
			_ = s.c.scancel(cmd, []string{e.id()}, "--full", "--signal=KILL") // the next one says
			if err := s.c.scancel(cmd, []string{e.id()}); err != nil {
				s.o.Log.Warn("a hung worker cannot be cancelled", "job", e.id(), "error", err)
			}
			return runner.End{Lost: true, Stopped: stopped}, true
		}
		return runner.End{}, false
	}
	if e.overAt.IsZero() {
		e.overAt = now
		s.nextAsk = now // once more soon: it may be on its way back into the queue
	}
	// Its last words may still be on their way; and as long as it shows new
	// beats, Slurm is wrong. One that never started has nothing to say.
	started := st != nil || e.slurm.State != "CANCELLED" || !stopped
	if started && now.Sub(e.overAt) < s.o.Settle || st != nil && !e.known && now.Sub(e.since) < s.o.Settle {
		return runner.End{}, false
	}
	if stopped {
		return runner.End{Stopped: true}, true
	}
	return runner.End{Err: s.cause(cmd, e)}, true
}

// final reports whether a worker has had its say. One that was told to stop
// may be started again by Slurm.
func final(st *task.Status) bool {
	return st != nil && (st.State == task.Done || st.State == task.Failed)
}

// restarted takes note of restarts that left no status; records may have been
// written under their names.
func (s *stageRun) restarted(details map[string]string, e *element) bool {
	n, err := strconv.Atoi(details["Restarts"])
	if err != nil || n <= e.restarts {
		return false
	}
	e.restarts, e.work.Attempt, e.status, e.beat, e.since = n, e.base+n, nil, -1, s.now()
	s.readStatus(e)
	return true
}

// cause words how Slurm says that an element ended; nil when it just exited.
func (s *stageRun) cause(cmd context.Context, e *element) error {
	d := s.c.details(cmd, e.id())
	state := d["JobState"]
	if state == "" {
		state = e.slurm.State
	}
	s.restarted(d, e)
	if !e.known && d == nil {
		return errors.New("Slurm does not know its job any more")
	}
	code, signal, _ := strings.Cut(d["ExitCode"], ":")
	switch state {
	case "COMPLETED":
		return nil
	case "TIMEOUT":
		return fmt.Errorf("Slurm ended it at its time limit (%s): give the runner a longer `time`", d["TimeLimit"])
	case "OUT_OF_MEMORY":
		return errors.New("Slurm ended it because it used too much memory: give the runner more `mem`")
	case "CANCELLED":
		return errors.New("its job was cancelled in Slurm")
	case "NODE_FAIL":
		return fmt.Errorf("its node failed (%s)", d["NodeList"])
	case "PREEMPTED":
		return errors.New("its job was preempted")
	}
	if n, err := strconv.Atoi(signal); err == nil && n > 0 {
		if n == 53 { // not of this world: slurmd's word for a job whose files it cannot open
			return errors.New("Slurm could not open its log: the work directory must be on a file system that all nodes share")
		}
		return fmt.Errorf("killed by signal %d", n)
	}
	if n, err := strconv.Atoi(code); err == nil && n > 0 {
		if n == 120 {
			return errors.New("its node does not see the work directory")
		}
		if n > 128 && n < 160 {
			return fmt.Errorf("killed by signal %d", n-128)
		}
		return fmt.Errorf("exit status %d", n)
	}
	return fmt.Errorf("Slurm says %s", strings.TrimSpace(state+" "+d["Reason"]))
}

// ended tells the tracker that an element has ended and queues what is to be
// tried again.
func (s *stageRun) ended(cmd context.Context, e *element, end runner.End) {
	st := e.status
	if st != nil && st.State == task.Stopped && !end.Stopped {
		st = asRunning(st) // not by us: the engine's words tell more
	}
	text := runner.Tail(s.stage.Run.Path(e.work.Log))
	if text == "" {
		text = runner.Tail(s.stage.Run.Path(arrayDir(e.array.Name), "slurm.out"))
	}
	end.Tail = task.Scrub(text, e.hide)
	again, err := s.tracker.Ended(e.work, st, end)
	if err != nil {
		s.fail(cmd, err)
		return
	}
	if again != nil {
		alone(again)
		s.queue = append(s.queue, again)
	}
}

// asRunning is the status of a worker that something else told to stop, as if
// it had been cut off.
func asRunning(s *task.Status) *task.Status {
	c := *s
	c.State = task.Running
	c.Units = slices.Clone(s.Units)
	for i := range c.Units {
		if c.Units[i].State == task.Stopped {
			c.Units[i].State = task.Running
		}
	}
	return &c
}

// finish forgets an array whose elements have all ended. Copies of elements
// that Slurm still has in its queue (put back when their work was done
// already), and processes that do not end, are cancelled.
func (s *stageRun) finish(cmd context.Context, a *array) {
	s.arrays = slices.DeleteFunc(s.arrays, func(x *array) bool { return x == a })
	if jobs, err := s.c.squeue(cmd, []string{a.JobID}); err == nil {
		if l := jobs[a.JobID]; l != nil {
			busy := l.rest != nil && !l.rest.over()
			for _, x := range l.each {
				busy = busy || x.waits()
			}
			if busy {
				_ = s.c.scancel(cmd, []string{a.JobID}, "--state=PENDING") // they would find nothing to do
			}
		}
	}
	s.closeArray(a)
}
