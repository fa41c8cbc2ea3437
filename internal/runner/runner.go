// Package runner is the seam to what starts workers: the Runner interface,
// the plan that gives tasks to workers, and the Tracker that follows their
// units, decides what is tried again, and tells it as events.
//
// Every runner starts the same `sextant worker MANIFEST` and believes what the
// worker wrote (its status, its records) first and its own engine (exit code,
// scontrol, Job status) second. Implementations: runner/local, and others
// beside it; runner/runnertest holds the suite that all of them pass.
//
// Non-goals: it executes no task (package task) and cuts none (partition).
package runner

import (
	"context"
	"fmt"
	"sort"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Runner runs the tasks of a stage.
type Runner interface {
	// Run starts workers until every task is done, has failed for good, or
	// ctx or stage.Drain ends it. The error is about the runner itself (it
	// could start nothing, the disk is full) or the context's cause; failed
	// tasks are in the Report. Events go to sink from many goroutines.
	Run(ctx context.Context, stage *Stage, sink event.Sink) (Report, error)
}

// Stage is what a runner is asked to run.
type Stage struct {
	Name    string // task.Infer or task.Eval
	Run     *store.Run
	Epoch   int // Lease.Epoch: the names of workers must not come twice in a run
	Tasks   []task.Task
	Options task.Options
	Policy  Policy
	// Group gives models that want all their tasks in one worker a key: one
	// rate limiter for an endpoint, one copy of the weights. "" is for models
	// that do not mind. nil means none does: runners on clusters set it so,
	// where each worker has a machine of its own. Only inference is grouped.
	Group func(model *py.Dict) string
	// Drain, when closed, means: start nothing new, let what is in flight
	// finish. May be nil.
	Drain <-chan struct{}
	// Current reports whether records of a dataset that were made from in are
	// what the stage wants: what workers of an earlier coordinator finished is
	// taken over only then. nil says that it is not known.
	Current func(model, dataset string, in store.Inputs) bool
	// Settled is called when a dataset has been settled. May be nil.
	Settled func(model, dataset string, s store.Settled)
}

// Policy says what is done about failures.
type Policy struct {
	// Retries is how often a unit may be tried again.
	Retries int
	// SameReason stops a unit early that failed so often in a row for the same
	// reason; 0 means 3.
	SameReason int
}

// Report is how a stage ended.
type Report struct {
	Tasks []TaskReport // in the order of Stage.Tasks
}

// TaskReport is how one task ended.
type TaskReport struct {
	Name    string
	State   task.State // Done, Failed, or Stopped when it was not finished
	Failure *task.Failure
	Log     string // relative to the run
	Tries   int    // attempts that were charged to its units, the most of any
	// Counters over the task's units.
	Done, Failed, Reused, Total int
}

// Count returns how many tasks ended in each state.
func (r Report) Count() (done, failed, stopped int) {
	for _, t := range r.Tasks {
		switch t.State {
		case task.Done:
			done++
		case task.Failed:
			failed++
		default:
			stopped++
		}
	}
	return
}

// Work is what one worker is given: units on one model.
type Work struct {
	ID        string
	Attempt   int // attempts started so far
	Key       string
	Model     *py.Dict
	ModelAbbr string
	Units     []task.Unit
	NumGPUs   int
	NumProcs  int
	Log       string // relative to the run

	refs []unitRef // Units[i] is the tracker's unit refs[i]
}

// Name is the task name of a work's first unit, with how many more there are.
func (w *Work) Name() string {
	n := w.Units[0].Task
	seen := map[string]bool{}
	for _, u := range w.Units {
		seen[u.Task] = true
	}
	if len(seen) > 1 {
		return fmt.Sprintf("%s and %d more", n, len(seen)-1)
	}
	return n
}

type unitRef struct{ task, unit int }

// maxBundle is the most tasks that share a worker only because there are so
// many of them.
const maxBundle = 256

// Plan gives the tasks to workers: all tasks of a grouped model to one, and
// of other models as many to each as keeps workers of them equally busy
// without starting a process for every small task. Tasks that need
// accelerators stay alone unless they are grouped. Their order is kept. Units
// that were adopted are left out.
func (t *Tracker) Plan(workers int) []*Work {
	if workers < 1 {
		workers = 1
	}
	alone := map[string]int{} // tasks by model that may be bundled
	for i := range t.stage.Tasks {
		k := &t.stage.Tasks[i]
		if t.key(k) == "" && k.NumGPUs == 0 {
			alone[k.ModelAbbr]++
		}
	}
	var out []*Work
	open := map[string]*Work{}
	count := map[*Work]int{}
	for i := range t.stage.Tasks {
		k := &t.stage.Tasks[i]
		key := t.key(k)
		var w *Work
		slot := "g" + key
		limit := 0
		switch {
		case key != "":
			w = open[slot]
		case k.NumGPUs == 0:
			slot = "m" + k.ModelAbbr
			w = open[slot]
			n := alone[k.ModelAbbr]
			limit = min(max((n+workers*4-1)/(workers*4), 1), maxBundle)
		}
		if w == nil || limit > 0 && count[w] >= limit {
			w = t.newWork(k, key)
			open[slot] = w
			out = append(out, w)
		}
		count[w]++
		w.NumGPUs, w.NumProcs = max(w.NumGPUs, k.NumGPUs), max(w.NumProcs, k.NumProcs)
		for u := range k.Units {
			if t.adopted[unitRef{i, u}] {
				continue
			}
			w.Units = append(w.Units, k.Units[u])
			w.refs = append(w.refs, unitRef{i, u})
		}
	}
	kept := out[:0]
	for _, w := range out {
		if len(w.Units) > 0 {
			kept = append(kept, w)
		}
	}
	return kept
}

// PlanGuided is Plan for workers that take the next work when they are done
// with one: the dearest first, and bundles that become smaller towards the end,
// so that workers of unequal speed end at about the same time. The units of a
// task may go to several workers, for the cut of a task is not made for these
// workers. Grouped tasks and those that need accelerators are as in Plan.
func (t *Tracker) PlanGuided(workers int) []*Work {
	workers = max(workers, 1)
	type item struct {
		refs []unitRef // a unit, or all units of a task that stays whole
		k    *task.Task
		key  string
		cost int
	}
	var items []item
	left := map[string]int{} // cost not yet given out, by model
	for i := range t.stage.Tasks {
		k := &t.stage.Tasks[i]
		x := item{k: k, key: t.key(k)}
		spread := x.key == "" && k.NumGPUs == 0
		for u := range k.Units {
			ref := unitRef{i, u}
			if t.adopted[ref] {
				continue
			}
			cost := max(k.Units[u].Cost, 1)
			if spread {
				left[k.ModelAbbr] += cost
				items = append(items, item{[]unitRef{ref}, k, "", cost})
				continue
			}
			x.refs, x.cost = append(x.refs, ref), x.cost+cost
		}
		if len(x.refs) > 0 {
			items = append(items, x)
		}
	}
	sort.SliceStable(items, func(a, b int) bool {
		if items[a].key != items[b].key {
			return items[a].key > items[b].key // groups first, each in its order
		}
		return items[a].key == "" && items[a].cost > items[b].cost
	})
	type bundle struct {
		w                 *Work
		cost, target, len int
	}
	var all []*bundle
	open := map[string]*bundle{}
	for _, x := range items {
		slot := "g" + x.key
		if x.key == "" {
			slot = "m" + x.k.ModelAbbr
		}
		b := open[slot]
		if b == nil || x.key == "" && (x.k.NumGPUs > 0 || b.cost+x.cost > b.target || b.len >= maxBundle) {
			b = &bundle{w: t.newWork(x.k, x.key), target: left[x.k.ModelAbbr] / (workers * 3)}
			open[slot] = b
			all = append(all, b)
		}
		b.len++
		b.cost += x.cost
		if x.key == "" && x.k.NumGPUs == 0 {
			left[x.k.ModelAbbr] -= x.cost
		}
		b.w.NumGPUs, b.w.NumProcs = max(b.w.NumGPUs, x.k.NumGPUs), max(b.w.NumProcs, x.k.NumProcs)
		b.w.refs = append(b.w.refs, x.refs...)
	}
	sort.SliceStable(all, func(a, b int) bool { return all[a].cost > all[b].cost })
	var out []*Work
	first := map[string]int{} // datasets in the order of the stage
	for _, k := range t.stage.Tasks {
		for _, u := range k.Units {
			if _, ok := first[u.Abbr]; !ok {
				first[u.Abbr] = len(first)
			}
		}
	}
	for _, b := range all {
		if b.w.Key == "" {
			// Parts of a dataset come together: it is read once.
			unit := func(i int) *task.Unit { r := b.w.refs[i]; return &t.stage.Tasks[r.task].Units[r.unit] }
			sort.SliceStable(b.w.refs, func(i, j int) bool {
				if x, y := unit(i), unit(j); x.Abbr != y.Abbr {
					return first[x.Abbr] < first[y.Abbr]
				} else {
					return x.Start < y.Start
				}
			})
		}
		for _, r := range b.w.refs {
			b.w.Units = append(b.w.Units, t.stage.Tasks[r.task].Units[r.unit])
		}
		b.w.Log = b.w.Units[0].Log
		out = append(out, b.w)
	}
	return out
}

func (t *Tracker) newWork(k *task.Task, key string) *Work {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	return &Work{
		ID:  fmt.Sprintf("%s-%04d-%05d", t.stage.Name, t.stage.Epoch, t.seq),
		Key: key, Model: k.Model, ModelAbbr: k.ModelAbbr, Log: k.Log,
	}
}

// key is the group of a task's model: tasks share a worker only when the
// model is the same, abbreviation included.
func (t *Tracker) key(k *task.Task) string {
	if t.stage.Group == nil || t.stage.Name != task.Infer {
		return ""
	}
	g := t.stage.Group(k.Model)
	if g == "" {
		return ""
	}
	return g + "\x00" + k.ModelAbbr
}

// Start makes the manifest of the next attempt at w and writes it. The caller
// starts a worker on the returned path with the secrets in its environment.
func (t *Tracker) Start(w *Work, threads int) (m *task.Manifest, path string, secrets map[string]string, err error) {
	m = t.Manifest(w, threads)
	data, secrets, err := m.Encode()
	if err != nil {
		return nil, "", nil, err
	}
	if err := t.stage.Run.WriteFile(m.Path(), data); err != nil {
		return nil, "", nil, err
	}
	return m, t.stage.Run.Path(m.Path()), secrets, nil
}

// Manifest begins the next attempt at w without writing anything: for runners
// that write the manifests of many works at once.
func (t *Tracker) Manifest(w *Work, threads int) *task.Manifest {
	w.Attempt++
	t.mu.Lock()
	for i, ref := range w.refs { // the output of all of them goes where the worker's goes
		t.tasks[ref.task].log, w.Units[i].Log = w.Log, w.Log
	}
	t.mu.Unlock()
	m := &task.Manifest{
		ID: w.ID, Attempt: w.Attempt, Run: t.stage.Run.Dir(), Stage: t.stage.Name, Model: w.Model, ModelAbbr: w.ModelAbbr,
		Units: w.Units, Options: t.stage.Options,
	}
	if threads > 0 {
		m.Options.Threads = threads
	}
	return m
}
