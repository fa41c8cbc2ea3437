package runner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"sextant/internal/event"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Tracker follows the units of a stage through the attempts of their workers.
// Safe for concurrent use.
type Tracker struct {
	places *places // filled by Adopt, which is called from one goroutine
	stage  *Stage
	sink   event.Sink

	mu       sync.Mutex // guards the rest
	seq      int
	tasks    []taskState
	datasets map[datasetKey]*datasetState
	shown    map[string]bool // kinds of failure whose log was shown
	adopted  map[unitRef]bool
	fatal    error
}

type taskState struct {
	units   []unitState
	started bool
	told    int  // the attempt whose start was told
	ended   bool // TaskFinished or TaskFailed was told
	tries   int
	failure *task.Failure
	log     string
}

type unitState struct {
	status task.UnitStatus
	tries  int           // attempts charged
	last   *task.Failure // of the last of them
	same   int           // in a row for that reason
}

type datasetKey struct{ model, dataset string }

type datasetState struct {
	left    int // units not done
	have    int // records when a worker last died
	inputs  *store.Inputs
	settled bool
	lacked  int // how often records lacked although all units were done
	tasks   map[int]bool
}

// NewTracker starts following a stage and tells that its tasks are queued. It
// fills in the Log of tasks and the Task, Log, Part and Sole of their units.
func NewTracker(stage *Stage, sink event.Sink) *Tracker {
	t := &Tracker{
		stage: stage, sink: sink, tasks: make([]taskState, len(stage.Tasks)),
		datasets: map[datasetKey]*datasetState{}, shown: map[string]bool{},
	}
	for i := range stage.Tasks {
		k := &stage.Tasks[i]
		if k.Log == "" && len(k.Units) > 0 {
			part := k.Units[0].Part
			if part == "" {
				part = k.Units[0].Abbr
			}
			k.Log = store.LogPath(stage.Name, k.ModelAbbr, part)
		}
		t.tasks[i].units = make([]unitState, len(k.Units))
		t.tasks[i].log = k.Log
		for u := range k.Units {
			x := &k.Units[u]
			x.Task, x.Log = k.Name, k.Log
			if x.Part == "" {
				x.Part = x.Abbr
			}
			t.tasks[i].units[u].status.State = task.Pending
			d := datasetKey{k.ModelAbbr, x.Abbr}
			if t.datasets[d] == nil {
				t.datasets[d] = &datasetState{tasks: map[int]bool{}}
			}
			t.datasets[d].left++
			t.datasets[d].tasks[i] = true
		}
		t.emit(event.Event{Kind: event.TaskQueued, Task: k.Name, Model: k.ModelAbbr})
	}
	for i := range stage.Tasks {
		k := &stage.Tasks[i]
		for u := range k.Units {
			x := &k.Units[u]
			x.Sole = x.Whole() && t.datasets[datasetKey{k.ModelAbbr, x.Abbr}].left == 1
		}
	}
	return t
}

func (t *Tracker) emit(e event.Event) {
	e.Stage = t.stage.Name
	t.sink.Emit(e)
}

// Forward passes on an event that a worker sent while it ran. What the worker
// says about the end of a task is not passed on: whether a task has failed or
// is tried again is decided here, in Ended.
func (t *Tracker) Forward(w *Work, e event.Event) {
	switch e.Kind {
	case event.TaskFailed, event.RunStarted, event.StageStarted, event.TaskQueued, event.TaskRetried, event.StageDone, event.RunDone:
		return
	case event.TaskStarted, event.TaskFinished:
		i := t.taskOf(w, e.Task)
		if i < 0 {
			return
		}
		t.mu.Lock()
		ts := &t.tasks[i]
		known := false
		if e.Kind == event.TaskStarted {
			e.Attempt = ts.tries + 1
			known = ts.told >= e.Attempt // by another worker that has units of it
			ts.started, ts.told = true, e.Attempt
		} else if known = ts.ended || !w.whole(i, len(ts.units)); !known {
			ts.ended = true
		}
		t.mu.Unlock()
		if known {
			return
		}
	}
	if e.Model == "" {
		e.Model = w.ModelAbbr
	}
	t.emit(e)
}

// whole reports whether w has all n units of a task. Where it has not, what it
// says of the task's end is not the end: Ended tells it.
func (w *Work) whole(task, n int) bool {
	for _, r := range w.refs {
		if r.task == task {
			n--
		}
	}
	return n == 0
}

func (t *Tracker) taskOf(w *Work, name string) int {
	for i, u := range w.Units {
		if u.Task == name {
			return w.refs[i].task
		}
	}
	return -1
}

// Observe tells as events what changed in a running worker's status since it
// was last seen; for runners whose workers cannot send events.
func (t *Tracker) Observe(w *Work, s *task.Status) {
	if s == nil || s.Attempt != w.Attempt || len(s.Units) != len(w.Units) {
		return
	}
	t.mu.Lock()
	var out []event.Event
	for i, now := range s.Units {
		ref := w.refs[i]
		ts := &t.tasks[ref.task]
		u := &ts.units[ref.unit]
		if now.State != task.Pending && !ts.started {
			ts.started = true
			out = append(out, event.Event{Kind: event.TaskStarted, Task: w.Units[i].Task, Model: w.ModelAbbr, Attempt: ts.tries + 1})
		}
		if now.Done != u.status.Done || now.Failed != u.status.Failed || now.Total != u.status.Total {
			out = append(out, event.Event{
				Kind: event.TaskProgress, Task: w.Units[i].Task, Model: w.ModelAbbr, Dataset: w.Units[i].Abbr,
				Done: now.Done, Total: now.Total, Reused: now.Reused, Failed: now.Failed,
			})
		}
		if u.status.State != task.Done {
			u.status.Done, u.status.Failed, u.status.Total, u.status.Reused = now.Done, now.Failed, now.Total, now.Reused
		}
	}
	t.mu.Unlock()
	for _, e := range out {
		t.emit(e)
	}
}

// End is how an attempt ended, by the runner's own engine.
type End struct {
	// Err is nil when the worker process ended by itself with exit code 0.
	Err error
	// Lost says that it gave no sign of life and was killed for that.
	Lost bool
	// Stopped says that the runner told it to stop.
	Stopped bool
	// Tail is the end of its log, free of secrets.
	Tail string
}

// Ended takes the final status of an attempt, which is nil when the worker
// wrote none, settles datasets that are complete, and returns the work that is
// to be tried again, or nil. The error means that the stage cannot go on.
func (t *Tracker) Ended(w *Work, s *task.Status, end End) (again *Work, err error) {
	failures, unfinished := t.merge(w, s, end)
	lost, err := t.settle(w, end)
	if err != nil {
		return nil, err
	}
	progress := t.progress(w, unfinished, failures)
	var innocent, guilty []int
	t.mu.Lock()
	if t.fatal != nil {
		t.mu.Unlock()
		return nil, t.fatal
	}
	var events []event.Event
	for _, i := range unfinished {
		ref := w.refs[i]
		ts := &t.tasks[ref.task]
		u := &ts.units[ref.unit]
		f := failures[i]
		if f == nil { // never got its turn
			if !end.Stopped {
				innocent = append(innocent, i)
			}
			continue
		}
		if (f.Kind == task.KindCrash || f.Kind == task.KindLost) && progress[w.Units[i].Abbr] {
			// What kills the worker is not this unit: it came further. It gets
			// its attempts afresh.
			u.tries, u.same = 0, 0
		}
		u.tries++
		ts.tries = max(ts.tries, u.tries)
		if f.Same(u.last) {
			u.same++
		} else {
			u.same = 1
		}
		u.last = f
		same := t.stage.Policy.SameReason
		if same == 0 {
			same = 3
		}
		retry := f.Retryable() && u.tries <= t.stage.Policy.Retries && u.same < same && !end.Stopped
		if retry {
			guilty = append(guilty, i)
			events = append(events, event.Event{
				Kind: event.TaskRetried, Task: w.Units[i].Task, Model: w.ModelAbbr, Dataset: w.Units[i].Abbr,
				Attempt: u.tries + 1, Error: f.Message, Log: w.Log, Text: t.firstOf(f, end.Tail),
			})
			continue
		}
		u.status.State, u.status.Error = task.Failed, f
		if ts.failure == nil {
			ts.failure = f
		}
		if !ts.ended {
			ts.ended = true
			events = append(events, event.Event{
				Kind: event.TaskFailed, Task: w.Units[i].Task, Model: w.ModelAbbr, Dataset: w.Units[i].Abbr,
				Attempt: u.tries, Error: t.explain(f, u), Log: w.Log, Text: t.firstOf(f, end.Tail),
			})
		}
		if f.Kind == task.KindFull && t.fatal == nil {
			err = f
		}
	}
	t.mu.Unlock()
	for _, e := range events {
		t.emit(e)
	}
	t.finished(w)
	if err != nil || len(innocent)+len(guilty)+len(lost) == 0 {
		return nil, err
	}
	// Those that failed come last, so that what else is in the work is done
	// before they can take the worker with them again.
	again = &Work{ID: w.ID, Attempt: w.Attempt, Key: w.Key, Model: w.Model, ModelAbbr: w.ModelAbbr, NumGPUs: w.NumGPUs, NumProcs: w.NumProcs, Log: w.Log}
	for _, i := range append(innocent, guilty...) {
		again.Units = append(again.Units, w.Units[i])
		again.refs = append(again.refs, w.refs[i])
	}
	for _, r := range lost {
		again.Units = append(again.Units, t.stage.Tasks[r.task].Units[r.unit])
		again.refs = append(again.refs, r)
	}
	return again, nil
}

// progress reports the datasets that have more records now than when a worker
// on them died the last time. The records are asked, not the status, which
// may be a beat older than the death.
func (t *Tracker) progress(w *Work, unfinished []int, failures map[int]*task.Failure) map[string]bool {
	out := map[string]bool{}
	if t.stage.Name != task.Infer {
		return out
	}
	seen := map[string]bool{}
	for _, i := range unfinished {
		f, abbr := failures[i], w.Units[i].Abbr
		if f == nil || seen[abbr] || f.Kind != task.KindCrash && f.Kind != task.KindLost {
			continue
		}
		seen[abbr] = true
		st, err := t.stage.Run.Status(w.ModelAbbr, abbr, nil)
		if err != nil {
			continue // no progress that can be seen
		}
		t.mu.Lock()
		d := t.datasets[datasetKey{w.ModelAbbr, abbr}]
		if st.Have > d.have {
			d.have, out[abbr] = st.Have, true
		}
		t.mu.Unlock()
	}
	return out
}

// explain adds to a final failure why it is not tried again.
func (t *Tracker) explain(f *task.Failure, u *unitState) string {
	switch {
	case u.tries > 1 && f.Retryable() && u.tries <= t.stage.Policy.Retries:
		return fmt.Sprintf("%s (%d times in a row for the same reason; not tried again)", f.Message, u.same)
	case u.tries > 1:
		return fmt.Sprintf("%s (%d attempts)", f.Message, u.tries)
	}
	return f.Message
}

// firstOf returns the tail of the log for the first failure of each kind and
// reason; the others need not show the same again.
func (t *Tracker) firstOf(f *task.Failure, tail string) string {
	k := f.Kind + "\x00" + f.Reason
	if t.shown[k] {
		return ""
	}
	t.shown[k] = true
	return tail
}

// merge takes over what the worker said about its units. It returns the
// failures of units and the units that are not done, by position in w.
func (t *Tracker) merge(w *Work, s *task.Status, end End) (failures map[int]*task.Failure, unfinished []int) {
	failures = map[int]*task.Failure{}
	if s != nil && (s.Attempt != w.Attempt || len(s.Units) != len(w.Units)) {
		s = nil // of another attempt
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	death := t.death(s, end)
	began := false
	for i := range w.Units {
		ref := w.refs[i]
		u := &t.tasks[ref.task].units[ref.unit]
		now := task.UnitStatus{State: task.Pending}
		if s != nil {
			now = s.Units[i]
		}
		d := t.datasets[datasetKey{w.ModelAbbr, w.Units[i].Abbr}]
		if s != nil {
			if in, ok := s.Inputs[w.Units[i].Abbr]; ok {
				d.inputs = &in
			}
		}
		switch now.State {
		case task.Done:
			if u.status.State != task.Done {
				d.left--
			}
			u.status = now
			began = true
			continue
		case task.Failed:
			f := now.Error
			if f == nil {
				f = &task.Failure{Kind: task.KindOther, Message: "failed without saying why"}
			}
			failures[i] = f
			began = true
		case task.Running:
			if death != nil {
				failures[i] = death
			}
			began = true
		case task.Stopped:
			if !end.Stopped {
				failures[i] = &task.Failure{Kind: task.KindCrash, Reason: "stopped", Message: "worker was told to stop, and not by its runner"}
			}
			began = true
		}
		u.status = now
		unfinished = append(unfinished, i)
	}
	switch {
	case s != nil && s.Error != nil && (!began || s.Error.Kind == task.KindEndpoint || s.Error.Kind == task.KindFull):
		for _, i := range unfinished { // the worker as a whole failed
			if failures[i] == nil {
				failures[i] = s.Error
			}
		}
	case end.Stopped:
	case !began && len(unfinished) > 0: // it died before its first unit
		if death == nil {
			death = &task.Failure{Kind: task.KindOther, Message: "worker ended without doing anything"}
		}
		for _, i := range unfinished {
			failures[i] = death
		}
	case death == nil:
		for _, i := range unfinished {
			if failures[i] == nil {
				failures[i] = &task.Failure{Kind: task.KindOther, Message: "worker ended before it came to this"}
			}
		}
	}
	return failures, unfinished
}

// death is the failure of a worker that ended without a final status; nil
// when it had its say, or was told to stop.
func (t *Tracker) death(s *task.Status, end End) *task.Failure {
	if end.Lost {
		return &task.Failure{Kind: task.KindLost, Reason: "no sign of life", Message: "worker gave no sign of life and was killed"}
	}
	if s != nil && s.State != task.Running && s.State != task.Pending || end.Stopped {
		return nil
	}
	if end.Err == nil {
		return &task.Failure{Kind: task.KindCrash, Reason: "vanished", Message: "worker ended without a word"}
	}
	return &task.Failure{Kind: task.KindCrash, Reason: end.Err.Error(), Message: "worker died: " + end.Err.Error()}
}

// settle settles the datasets of w that have become complete. It returns the
// units of those whose records lack after all and are to be tried again.
func (t *Tracker) settle(w *Work, end End) (lost []unitRef, err error) {
	if t.stage.Name != task.Infer {
		return nil, nil
	}
	seen := map[string]bool{}
	for _, u := range w.Units {
		if seen[u.Abbr] {
			continue
		}
		seen[u.Abbr] = true
		t.mu.Lock()
		d := t.datasets[datasetKey{w.ModelAbbr, u.Abbr}]
		ready := d.left == 0 && !d.settled
		if ready {
			d.settled = true
		}
		in := d.inputs
		t.mu.Unlock()
		if !ready {
			continue
		}
		s, err := t.stage.Run.Settle(w.ModelAbbr, u.Abbr, in, nil)
		var lacking *store.IncompleteError
		switch {
		case errors.As(err, &lacking):
			if refs := t.lose(d, w, u.Abbr, end, lacking); len(refs) > 0 {
				lost = append(lost, refs...)
				continue
			}
			t.lacks(d, w, u.Abbr, lacking)
		case err != nil:
			t.mu.Lock()
			t.fatal = err
			t.mu.Unlock()
			return nil, err
		case t.stage.Settled != nil:
			t.stage.Settled(w.ModelAbbr, u.Abbr, s)
		}
	}
	return lost, nil
}

// mostLost is how often a dataset is gone over again because records lack.
const mostLost = 2

// lose takes back that the units of a dataset are done: a machine that died
// took records with it which workers had seen. Workers look again and ask what
// lacks. It returns the units; none when that was tried often enough.
func (t *Tracker) lose(d *datasetState, w *Work, dataset string, end End, err *store.IncompleteError) (refs []unitRef) {
	var events []event.Event
	t.mu.Lock()
	if end.Stopped || d.lacked >= min(mostLost, t.stage.Policy.Retries) {
		t.mu.Unlock()
		return nil
	}
	d.lacked++
	d.settled = false
	for _, i := range slices.Sorted(maps.Keys(d.tasks)) {
		ts := &t.tasks[i]
		for u := range ts.units {
			if t.stage.Tasks[i].Units[u].Abbr == dataset {
				ts.units[u].status.State = task.Pending
				d.left++
				refs = append(refs, unitRef{i, u})
			}
		}
		events = append(events, event.Event{
			Kind: event.TaskRetried, Task: t.stage.Tasks[i].Name, Model: w.ModelAbbr, Dataset: dataset,
			Attempt: ts.tries + d.lacked + 1, Error: err.Error(), Log: ts.log,
		})
	}
	t.mu.Unlock()
	for _, e := range events {
		t.emit(e)
	}
	return refs
}

// lacks makes the tasks of a dataset fail whose workers say that they are done
// while records lack.
func (t *Tracker) lacks(d *datasetState, w *Work, dataset string, err *store.IncompleteError) {
	f := &task.Failure{Kind: task.KindOther, Reason: "records lack", Message: err.Error()}
	var events []event.Event
	t.mu.Lock()
	for i := range d.tasks {
		ts := &t.tasks[i]
		if ts.failure == nil {
			ts.failure, ts.ended = f, true
			events = append(events, event.Event{
				Kind: event.TaskFailed, Task: t.stage.Tasks[i].Name, Model: w.ModelAbbr, Dataset: dataset, Error: f.Message, Log: ts.log,
			})
		}
	}
	t.mu.Unlock()
	for _, e := range events {
		t.emit(e)
	}
}

// finished tells of the tasks of w whose units are all done.
func (t *Tracker) finished(w *Work) {
	seen := map[int]bool{}
	for _, ref := range w.refs {
		if seen[ref.task] {
			continue
		}
		seen[ref.task] = true
		t.mu.Lock()
		ts := &t.tasks[ref.task]
		all := true
		e := event.Event{Kind: event.TaskFinished, Task: t.stage.Tasks[ref.task].Name, Model: w.ModelAbbr}
		for _, u := range ts.units {
			all = all && u.status.State == task.Done
			e.Done += u.status.Done
			e.Failed += u.status.Failed
			e.Reused += u.status.Reused
			e.Total += u.status.Total
		}
		tell := all && !ts.ended
		if all {
			ts.ended = true
		}
		t.mu.Unlock()
		if tell {
			t.emit(e)
		}
	}
}

// Fail gives up on a work that cannot be started at all.
func (t *Tracker) Fail(w *Work, f *task.Failure) {
	w.Attempt++
	s := &task.Status{Attempt: w.Attempt, State: task.Failed, Error: f, Units: make([]task.UnitStatus, len(w.Units))}
	g := *f
	g.Kind = task.KindConfig // not tried again
	s.Error = &g
	_, _ = t.Ended(w, s, End{}) // there is nothing to settle that could fail
}

// Report says how the stage stands.
func (t *Tracker) Report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	var r Report
	for i := range t.tasks {
		ts := &t.tasks[i]
		x := TaskReport{Name: t.stage.Tasks[i].Name, State: task.Done, Failure: ts.failure, Log: ts.log, Tries: ts.tries}
		for _, u := range ts.units {
			if u.status.State != task.Done {
				x.State = task.Stopped
			}
			x.Done += u.status.Done
			x.Failed += u.status.Failed
			x.Reused += u.status.Reused
			x.Total += u.status.Total
		}
		if ts.failure != nil {
			x.State = task.Failed
		}
		r.Tasks = append(r.Tasks, x)
	}
	return r
}
