package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sextant/internal/event"
	"sextant/internal/mirror"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

// stageRun is one call of Run. One goroutine does all but watching.
type stageRun struct {
	*Runner
	stage   *runner.Stage
	tracker *runner.Tracker
	sink    event.Sink
	api     api
	ns      string
	view    *view

	jobs     []*job
	seq      int            // of Jobs created
	queue    []*runner.Work // to be submitted again
	queued   time.Time      // since when queue is not empty
	draining bool
	secrets  []string // kept out of logs, longest first
	toldWait atomic.Bool
	noted    map[string]bool
	logs     []podLog // of workers that are done, to be fetched
	balanced time.Time
	mirror   *mirror.Coordinator // nil where the pods see the run's folder
}

type slotState int

const (
	running slotState = iota // or not started yet
	between                  // an attempt has ended; Kubernetes starts the next or gives up
	over
)

// slot is one index of a Job, with the work that it does.
type slot struct {
	job   *job
	index int
	w     *runner.Work
	base  int   // the attempt of an index that was not started again
	keep  []int // of an adopted work: units of its manifest that are w's
	units int   // of an adopted work: how many its manifest has

	looked bool // at its files, since it was adopted

	state  slotState
	again  *runner.Work // between: what is to be done if Kubernetes gives up
	seen   bool         // a pod of this attempt was seen
	ended  time.Time    // when this attempt was first known to have ended
	beat   int64
	since  time.Time // of the last beat
	lostAt time.Time // when its pod was deleted for giving no sign of life
}

func (x *slot) next() {
	x.w.Attempt++
	x.state, x.again, x.seen, x.ended, x.beat, x.since, x.lostAt = running, nil, false, time.Time{}, 0, time.Time{}, time.Time{}
}

func (j *job) unresolved() int {
	n := 0
	for _, x := range j.slots {
		if x.state != over {
			n++
		}
	}
	return n
}

// Run implements runner.Runner.
func (r *Runner) Run(ctx context.Context, stage *runner.Stage, sink event.Sink) (runner.Report, error) {
	st := *stage
	st.Group = nil // each worker has a machine of its own
	stage = &st
	t := runner.NewTracker(stage, sink)
	s := &stageRun{Runner: r, stage: stage, tracker: t, sink: sink, noted: map[string]bool{}}
	dir := r.o.podPath(stage.Run.Dir())
	if r.o.Objects == nil && !r.o.mounted(dir) {
		return t.Report(), &placeError{dir}
	}
	var err error
	if s.api = r.o.connection; s.api == nil {
		if s.api, s.ns, err = r.o.connect(); err != nil {
			return t.Report(), err
		}
	}
	if r.o.Objects != nil {
		if err := s.openMirror(ctx); err != nil {
			return t.Report(), err
		}
	}
	vctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.view = newView(s.api, selector(stage.Run.Dir(), stage.Name), r.o.Resync, s.note)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	err = s.start(ctx)
	if err == nil {
		watching.Go(func() { s.view.run(vctx) })
		if s.mirror != nil {
			watching.Go(func() { s.mirror.Loop(vctx) })
		}
		err = s.follow(ctx)
	}
	if ctx.Err() != nil && err == nil {
		err = context.Cause(ctx)
	}
	s.finish(ctx, err)
	return t.Report(), err
}

// placeError says that pods would not see the run.
type placeError struct{ dir string }

func (e *placeError) Error() string {
	return fmt.Sprintf("KubernetesRunner: the run's folder %s is on no volume of the pods", e.dir)
}

func (e *placeError) Hint() string {
	return "workers write into it: mount the file system that holds it, as in pvc=dict(claim='work', mount_path='/data', local_path='/mnt/nfs'), and run with --work-dir below it; or name an object store, as in object_store='s3://bucket/prefix'"
}

func (s *stageRun) start(ctx context.Context) error {
	if err := s.adopt(ctx); err != nil {
		return err
	}
	works := s.tracker.Plan(s.o.MaxNumWorkers)
	if len(works) == 0 || s.stopping(ctx) {
		return nil
	}
	return s.submit(ctx, works, restarts(s.stage.Policy))
}

func (s *stageRun) note(format string, args ...any) {
	s.sink.Emit(event.Event{Kind: event.Note, Stage: s.stage.Name, Text: fmt.Sprintf(format, args...)})
}

// once notes something a single time.
func (s *stageRun) once(text string) {
	if !s.noted[text] {
		s.noted[text] = true
		s.note("%s", text)
	}
}

func (s *stageRun) stopping(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	select {
	case <-s.stage.Drain:
		return true
	default:
		return false
	}
}

// settleTime lets changes gather before they are looked at.
const settleTime = 20 * time.Millisecond

// follow looks after the slots until all are over.
func (s *stageRun) follow(ctx context.Context) error {
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	drain := s.stage.Drain
	for {
		select { // a request to stop comes before all else
		case <-drain:
			drain, s.draining = nil, true
			s.queue = nil
		default:
		}
		if ctx.Err() != nil {
			return nil
		}
		if s.mirror != nil {
			if err := s.mirror.Err(); err != nil {
				return err
			}
		}
		if s.draining {
			s.suspend(ctx)
		}
		left, err := s.step(ctx, time.Now())
		if err != nil {
			return err
		}
		if len(s.queue) > 0 && (left == 0 || time.Since(s.queued) >= s.o.Poll) {
			works := s.queue
			s.queue = nil
			if err := s.submit(ctx, works, 0); err != nil {
				return err
			}
			continue
		}
		if left == 0 && len(s.queue) == 0 {
			return nil
		}
		s.rebalance(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-drain:
			drain, s.draining = nil, true
			s.queue = nil
		case <-tick.C:
		case <-s.view.change:
			time.Sleep(settleTime)
		}
	}
}

// step looks at all slots that are not over and returns how many are left.
func (s *stageRun) step(ctx context.Context, now time.Time) (left int, err error) {
	up := s.view.answers()
	for _, j := range s.jobs {
		if j.gone || j.unresolved() == 0 {
			continue
		}
		info, known := s.view.jobOf(j.name)
		if err := s.present(ctx, j, info, known, up, now); err != nil {
			return 0, err
		}
		// While the cluster cannot be asked which indexes have a pod, the
		// files of the next ones in order are looked at.
		blind := 2 * j.parallelism
		for _, x := range j.slots {
			if x.state == over {
				continue
			}
			if err := s.slot(ctx, x, info, known, up, &blind, now); err != nil {
				return 0, err
			}
			if x.state != over {
				left++
			}
		}
		if up {
			s.explain(ctx, j, now)
		}
	}
	s.fetchLogs(ctx, now, up)
	return left, nil
}

// present makes sure that a Job that is not in the view is not there.
func (s *stageRun) present(ctx context.Context, j *job, info jobInfo, known, up bool, now time.Time) error {
	deleted := &clusterError{"follow job " + j.name, s.ns, errors.New("somebody deleted it; what was finished is kept, and -r goes on")}
	if known {
		j.lost = time.Time{}
		j.finished = info.finished
		if info.deleting && !s.draining {
			return deleted
		}
		return nil
	}
	if !up || s.view.listed("jobs").IsZero() {
		return nil
	}
	if j.lost.IsZero() {
		j.lost = now
	}
	if now.Sub(j.lost) < 2*time.Second {
		return nil
	}
	j.lost = now
	rctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := s.api.Job(rctx, j.name); apierrors.IsNotFound(err) {
		return deleted
	}
	return nil
}

func (s *stageRun) status(x *slot, attempt int) *task.Status {
	m := task.Manifest{ID: x.w.ID, Attempt: attempt}
	st, err := task.ReadStatus(s.stage.Run.Path(m.StatusPath()))
	if err != nil {
		s.o.Log.Warn("status of a worker cannot be read", "error", err)
		return nil
	}
	if x.keep != nil {
		st = runner.Project(st, x.units, x.keep)
	}
	return st
}

// later reports whether a later attempt of the index than the present one has
// a pod.
func (s *stageRun) later(x *slot, restart int) bool {
	for r := restart + 1; r < restart+8; r++ {
		if _, ok := s.view.podOf(podKey{x.job.name, x.index, r}); ok {
			return true
		}
	}
	return false
}

// slot takes one slot as far as it can be taken now.
func (s *stageRun) slot(ctx context.Context, x *slot, info jobInfo, known, up bool, blind *int, now time.Time) error {
	restart := x.w.Attempt - x.base
	pod, has := s.view.podOf(podKey{x.job.name, x.index, restart})
	x.seen = x.seen || has
	newer := s.later(x, restart)
	verdict := known && (info.completed.has(x.index) || info.failed.has(x.index) || info.finished)
	if !up && !has && *blind > 0 {
		*blind--
		if !newer {
			newer = s.status(x, x.w.Attempt+1) != nil
		}
	} else if !up && has && !newer {
		newer = s.status(x, x.w.Attempt+1) != nil
	}
	if x.state == between {
		stuck := !x.lostAt.IsZero() && now.Sub(x.lostAt) > 2*s.o.LostAfter+s.o.FileGrace
		switch {
		case newer && !s.draining:
			x.next()
			return nil
		case verdict, stuck, s.draining:
			x.state = over
			if x.again != nil && !s.draining {
				if stuck && !verdict {
					x.again.Attempt += 100 // the pod may be replaced yet, under the numbers in between
				}
				s.push(x.again)
			}
		}
		return nil
	}
	idle := s.draining && x.job.suspended && up && !has && !newer && known && info.suspended && info.active == 0
	look := has && pod.phase != "Pending" || x.seen || newer || verdict || idle || !up && *blind > 0 || x.keep != nil && !x.looked
	if !look {
		return nil
	}
	x.looked = true
	st := s.status(x, x.w.Attempt)
	if st != nil {
		s.tracker.Observe(x.w, st)
	}
	final := st != nil && st.State != task.Running && st.State != task.Pending
	podOver := has && pod.ended() || x.seen && !has && up || newer || verdict || idle
	if idle && st == nil {
		x.state = over // never started
		return nil
	}
	if !final && !podOver {
		if !s.lost(ctx, x, pod, has, st, now) {
			return nil
		}
	}
	if x.ended.IsZero() {
		x.ended = now
	}
	waited := now.Sub(x.ended)
	if !final && !s.current(x.ended) {
		return nil // its last words may be in the object store
	}
	switch {
	case final && st.State == task.Done:
	case final && !podOver && up && waited < s.o.FileGrace:
		return nil // what the cluster says about it, and its whole log
	case !final && x.lostAt.IsZero() && waited < s.o.FileGrace && (!has || pod.code >= 0 && pod.code <= 128 || pod.code == 130):
		return nil // its last words may not be seen here yet
	}
	if !has {
		pod, has = s.view.buriedOf(podKey{x.job.name, x.index, restart})
	}
	return s.attempt(ctx, x, st, final, pod, has, up)
}

// lost deletes the pod of a worker that gives no sign of life. It reports
// whether that has not helped for so long that the attempt is given up.
func (s *stageRun) lost(ctx context.Context, x *slot, pod podInfo, has bool, st *task.Status, now time.Time) bool {
	if !has || pod.phase != "Running" {
		return false
	}
	beat := int64(-1)
	if st != nil {
		beat = st.Beat
	}
	if x.since.IsZero() || beat != x.beat {
		x.beat, x.since = beat, now
		return false
	}
	if !x.lostAt.IsZero() {
		return now.Sub(x.lostAt) > s.o.LostAfter
	}
	if s.mirror != nil {
		// Silence counts only while the store is looked at and answers.
		since, last := s.mirror.Answering()
		if since.IsZero() {
			since = now
		}
		if since.After(x.since) {
			x.since = since
		}
		if last.Sub(x.since) <= s.o.LostAfter {
			return false
		}
	}
	if now.Sub(x.since) > s.o.LostAfter {
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		if err := s.api.DeletePod(rctx, pod.name, metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}); err == nil || apierrors.IsNotFound(err) {
			x.lostAt = now
		}
	}
	return false
}

// attempt tells the tracker how an attempt ended.
func (s *stageRun) attempt(ctx context.Context, x *slot, st *task.Status, final bool, pod podInfo, has, up bool) error {
	end := runner.End{Lost: !final && !x.lostAt.IsZero(), Stopped: s.draining}
	done := final && st.State == task.Done
	if !final {
		end.Err = errors.New("pod is gone")
		if has {
			end.Err = pod.err()
		}
	}
	disrupted := has && pod.disrupted && !done && !s.draining
	if disrupted {
		end.Stopped = true
		s.note("pod %s was stopped by Kubernetes (%s); it starts another, which goes on where that one was", pod.name, pod.reason)
	}
	if has {
		l := podLog{pod: pod.name, job: x.job.name, path: x.w.Log, attempt: x.w.Attempt, since: time.Now()}
		switch {
		case done:
			s.logs = append(s.logs, l)
		case up:
			end.Tail = s.fetch(ctx, l)
		}
	}
	again, err := s.ended(x.w, st, end)
	if err != nil {
		return err
	}
	if disrupted {
		c := *x.w
		c.Units = slices.Clone(x.w.Units)
		again = &c
	}
	if again == nil || s.draining {
		x.state = over
		x.job.cut = x.job.cut || !done
		return nil
	}
	x.state, x.again = between, again
	return nil
}

func (s *stageRun) push(w *runner.Work) {
	if len(s.queue) == 0 {
		s.queued = time.Now()
	}
	s.queue = append(s.queue, w)
}

// explain notes why pods do not start.
func (s *stageRun) explain(ctx context.Context, j *job, now time.Time) {
	if now.Sub(j.explained) < 5*s.o.Poll {
		return
	}
	j.explained = now
	pods := s.view.podsOf(j.name)
	for _, p := range pods {
		if p.waits != "" && p.phase == "Pending" {
			s.once("pods wait: " + p.waits)
		}
	}
	if j.asked.IsZero() {
		j.asked = now
	}
	if len(pods) == 0 && now.Sub(j.asked) > 15*time.Second {
		j.asked = now
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		warnings, err := s.api.Warnings(rctx, "Job", j.name)
		if err != nil {
			s.o.Log.Debug("events of a job cannot be read", "error", err) // not everybody may
		}
		for _, w := range warnings {
			s.once("job " + j.name + ": " + w)
		}
	}
}

// rebalance gives the workers of Jobs that need fewer to others. It never
// takes any away: that would stop workers.
func (s *stageRun) rebalance(ctx context.Context) {
	if s.draining || len(s.jobs) < 2 || time.Since(s.balanced) < 5*s.o.Poll || !s.view.answers() {
		return
	}
	s.balanced = time.Now()
	left := make([]int, len(s.jobs))
	for i, j := range s.jobs {
		left[i] = j.unresolved()
	}
	for i, n := range shares(left, s.o.MaxNumWorkers) {
		j := s.jobs[i]
		if n <= j.parallelism || j.gone || j.finished {
			continue
		}
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := s.api.PatchJob(rctx, j.name, fmt.Appendf(nil, `{"spec":{"parallelism":%d}}`, n))
		cancel()
		if err == nil {
			j.parallelism = n
		}
	}
}

// suspend stops the Jobs: nothing new starts, and workers are told to finish.
func (s *stageRun) suspend(ctx context.Context) {
	for _, j := range s.jobs {
		if j.gone || j.suspended || j.finished || j.unresolved() == 0 {
			continue
		}
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := s.api.PatchJob(rctx, j.name, []byte(`{"spec":{"suspend":true}}`))
		cancel()
		switch {
		case err == nil, apierrors.IsInvalid(err), apierrors.IsNotFound(err):
			j.suspended = true
		default:
			s.once(fmt.Sprintf("workers cannot be told to finish yet: %v; trying again", err))
		}
	}
}

// finish cleans up after the stage: Jobs that are not finished are deleted,
// unless another coordinator has taken the run over.
func (s *stageRun) finish(ctx context.Context, err error) {
	if errors.Is(context.Cause(ctx), store.ErrLeaseLost) {
		return
	}
	stopped := ctx.Err() != nil || err != nil
	wait := s.o.LogGrace
	if stopped {
		wait = 0
	}
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait+s.o.KillGrace+s.o.Patience+requestTimeout)
	defer cancel()
	for end := time.Now().Add(wait); ; { // logs, and Jobs that Kubernetes has yet to mark finished
		s.fetchLogs(fctx, time.Now(), s.view.answers())
		busy := len(s.logs) > 0
		for _, j := range s.jobs {
			info, known := s.view.jobOf(j.name)
			j.finished = known && info.finished
			busy = busy || known && !j.gone && !j.suspended && !j.finished && !j.cut
		}
		if !busy && s.view.answers() || !time.Now().Before(end) {
			break
		}
		select {
		case <-s.view.change:
		case <-time.After(s.o.Poll):
		}
	}
	var wg sync.WaitGroup
	for _, j := range s.jobs {
		if j.gone {
			continue
		}
		if !s.view.answers() && !stopped {
			s.note("job %s stays until the API server answers: it ends by itself, and goes %s later", j.name, s.o.TTL)
			continue // its record stays too
		}
		if j.finished {
			s.dropSecret(fctx, j)
			s.forget(j.name)
			continue
		}
		wg.Go(func() {
			if err := s.remove(fctx, j, s.o.KillGrace); err != nil {
				s.note("job %s could not be deleted: %v; -r takes it up again, or: kubectl delete job %s", j.name, err, j.name)
			}
		})
	}
	wg.Wait()
	if s.mirror != nil {
		s.lastLook(fctx)
	}
	if !stopped {
		return
	}
	for _, j := range s.jobs {
		for _, x := range j.slots {
			if x.state != running {
				continue
			}
			st := s.status(x, x.w.Attempt)
			if st == nil {
				continue
			}
			s.tracker.Observe(x.w, st)
			if _, err := s.ended(x.w, st, runner.End{Stopped: true}); err != nil {
				s.o.Log.Warn("a worker's end could not be noted", "error", err)
			}
			x.state = over
		}
	}
}
