package runner

import (
	"bytes"

	"sextant/internal/task"
)

// Adopt makes the work of a manifest that an earlier coordinator gave to a
// worker, which may still be at it, work of this stage; Plan then leaves its
// units out. s is the newest status of that worker, or nil.
//
// keep[i] is the position in the manifest of the work's unit i: units that
// this stage no longer has are dropped, and Project makes statuses fit. w is
// nil when nothing is left to adopt. same is false when the stage wants the
// worker's datasets in another way (other settings, other parts): then it must
// be stopped, or rows are asked twice.
//
// Call it before Plan. m was decoded with any getenv that gives each secret
// its own value: secrets are not compared.
func (t *Tracker) Adopt(m *task.Manifest, s *task.Status) (w *Work, keep []int, same bool) {
	if t.places == nil {
		t.places = newPlaces(t.stage)
	}
	if m.Stage != t.stage.Name {
		return nil, nil, false
	}
	w = &Work{ID: m.ID, Attempt: m.Attempt, ModelAbbr: m.ModelAbbr}
	for i, u := range m.Units {
		ref, ok := t.places.units[place{m.ModelAbbr, u.Abbr, u.Part, u.Start, u.Stop}]
		if !ok || t.adopted[ref] {
			done := s != nil && len(s.Units) == len(m.Units) && s.Units[i].State == task.Done
			if t.places.datasets[datasetKey{m.ModelAbbr, u.Abbr}] && !done {
				return nil, nil, false
			}
			continue
		}
		k := &t.stage.Tasks[ref.task]
		now := k.Units[ref.unit]
		if !alike(m, u, &task.Manifest{Model: k.Model, Options: t.stage.Options}, now) {
			return nil, nil, false
		}
		if len(w.Units) == 0 {
			w.Model, w.Log, w.Key = k.Model, k.Log, t.key(k)
			if u.Log != "" { // where the worker's output goes already
				w.Log = u.Log
			}
		}
		w.NumGPUs, w.NumProcs = max(w.NumGPUs, k.NumGPUs), max(w.NumProcs, k.NumProcs)
		w.Units = append(w.Units, now)
		w.refs = append(w.refs, ref)
		keep = append(keep, i)
	}
	if len(w.Units) == 0 {
		return nil, nil, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.adopted == nil {
		t.adopted = map[unitRef]bool{}
	}
	for i, ref := range w.refs {
		t.adopted[ref] = true
		t.tasks[ref.task].log, w.Units[i].Log = w.Log, w.Log
	}
	return w, keep, true
}

// Release undoes Adopt: Plan gives the units of w to new workers.
func (t *Tracker) Release(w *Work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range w.refs {
		delete(t.adopted, ref)
	}
}

// alike compares what two manifests say about a unit of each, by their form on
// disk. Threads and names of tasks make no difference to records.
func alike(a *task.Manifest, ua task.Unit, b *task.Manifest, ub task.Unit) bool {
	form := func(m *task.Manifest, u task.Unit) []byte {
		u.Task, u.Log, u.Sole = "", "", false
		o := m.Options
		o.Threads, o.Debug, o.Env = 0, false, nil
		x := &task.Manifest{ID: "x", Attempt: 1, Model: m.Model, Units: []task.Unit{u}, Options: o}
		b, _, err := x.Encode()
		if err != nil {
			return nil
		}
		return b
	}
	fa, fb := form(a, ua), form(b, ub)
	return fa != nil && bytes.Equal(fa, fb)
}

// Project is a status of an adopted worker with the units that keep names; nil
// for nil, and for a status that does not fit.
func Project(s *task.Status, units int, keep []int) *task.Status {
	if s == nil || len(s.Units) != units {
		return nil
	}
	c := *s
	c.Units = make([]task.UnitStatus, len(keep))
	for i, k := range keep {
		c.Units[i] = s.Units[k]
	}
	return &c
}

// places finds the units of a stage by what they are.
type places struct {
	units    map[place]unitRef
	datasets map[datasetKey]bool
}

type place struct {
	model, abbr, part string
	start, stop       int
}

func newPlaces(s *Stage) *places {
	p := &places{map[place]unitRef{}, map[datasetKey]bool{}}
	for i := range s.Tasks {
		k := &s.Tasks[i]
		for u, x := range k.Units {
			p.units[place{k.ModelAbbr, x.Abbr, x.Part, x.Start, x.Stop}] = unitRef{i, u}
			p.datasets[datasetKey{k.ModelAbbr, x.Abbr}] = true
		}
	}
	return p
}
