package slurm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sextant/internal/runner"
	"sextant/internal/task"
)

// takeOver looks for arrays that an earlier coordinator of the run submitted.
// Elements that wait or run and do what this stage wants become its own, those
// that have ended meanwhile are taken as done where that is certain, and the
// rest is cancelled, so that no row is asked by two workers.
func (s *stageRun) takeOver(ctx context.Context) error {
	arrays, err := s.openArrays()
	if err != nil || len(arrays) == 0 {
		return err
	}
	jobs, err := s.whatRuns(ctx, arrays)
	if err != nil {
		return err
	}
	if arrays, err = s.clearLate(ctx, arrays); err != nil {
		return err
	}
	newest := map[string]int{} // attempt by work: earlier ones have ended
	for _, a := range arrays {
		for _, x := range a.Elements {
			newest[x.ID] = max(newest[x.ID], x.Attempt)
		}
	}
	var cancel []string
	adopted, settled := 0, 0
	for _, a := range arrays {
		for i, x := range a.Elements {
			if x.Attempt < newest[x.ID] {
				continue
			}
			state, known := jobs[a.JobID].of(i)
			e := &element{array: a, index: i, base: x.Attempt, beat: -1, slurm: state, known: known, asked: true, since: s.now(), work: &runner.Work{ID: x.ID, Attempt: x.Attempt}}
			active := known && !state.over()
			e.requeue = 8 // as many restarts as Slurm allows leave statuses
			s.readStatus(e)
			e.requeue = e.restarts
			switch {
			case final(e.status):
				if s.takeDone(e) {
					settled++
				}
			case !active:
			case a.Stage == s.stage.Name && s.take(e):
				adopted++
				a.live = append(a.live, e)
			default:
				cancel = append(cancel, e.id())
			}
			if s.err != nil {
				return s.err
			}
		}
	}
	if err := s.clear(ctx, arrays, cancel); err != nil {
		return err
	}
	for _, a := range arrays {
		a.index, a.packed = nil, nil
		if len(a.live) == 0 {
			s.closeArray(a)
			continue
		}
		if a.Throttle > s.o.MaxNumWorkers {
			if err := s.c.throttle(ctx, a.JobID, s.o.MaxNumWorkers); err == nil {
				a.Throttle = s.o.MaxNumWorkers
			}
		}
		s.arrays = append(s.arrays, a)
		if err := s.writeArray(a); err != nil {
			return err
		}
	}
	if adopted+settled+len(cancel) > 0 {
		s.note("of the jobs of an earlier coordinator %d go on, %d were finished meanwhile, %d do not fit any more and were cancelled", adopted, settled, len(cancel))
	}
	s.nextAsk = s.now()
	return nil
}

// clearLate takes away the arrays that Slurm does not know. An sbatch that the
// earlier coordinator had started may still be on its way: once the manifests
// are gone its workers do nothing, and those that came just before are
// cancelled. It returns the other arrays.
func (s *stageRun) clearLate(ctx context.Context, arrays []*array) (rest []*array, err error) {
	var gone []*array
	for _, a := range arrays {
		if a.JobID != "" {
			rest = append(rest, a)
			continue
		}
		if err := os.Remove(s.stage.Run.Path(arrayDir(a.Name), "index.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("take back a job array that was never submitted: %w", err)
		}
		s.closeArray(a)
		gone = append(gone, a)
	}
	if len(gone) == 0 {
		return rest, nil
	}
	if _, err := s.whatRuns(ctx, gone); err != nil { // finds their numbers
		return nil, err
	}
	var late []string
	for _, a := range gone {
		for i := range a.Elements {
			if a.JobID != "" {
				late = append(late, fmt.Sprintf("%s_%d", a.JobID, i))
			}
		}
	}
	return rest, s.clear(ctx, gone, late)
}

// openArrays reads what is noted of arrays that have not ended.
func (s *stageRun) openArrays() ([]*array, error) {
	root := s.stage.Run.Path("state", "slurm")
	ents, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look for job arrays of the run: %w", err)
	}
	var out []*array
	for _, ent := range ents {
		d := filepath.Join(root, ent.Name())
		b, err := os.ReadFile(filepath.Join(d, "array.json"))
		if errors.Is(err, fs.ErrNotExist) {
			// A coordinator was killed before it submitted anything, or when
			// the array had ended already.
			if _, err := os.Stat(filepath.Join(d, "ended.json")); errors.Is(err, fs.ErrNotExist) {
				_ = os.RemoveAll(d) // no harm if it stays
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for job arrays of the run: %w", err)
		}
		a := &array{}
		if err := json.Unmarshal(b, a); err != nil || a.Kind != arrayKind || a.JobName == "" {
			return nil, fmt.Errorf("%s is damaged: see with squeue whether jobs of this run are left, cancel them, and remove the file", filepath.Join(d, "array.json"))
		}
		if a.V > arrayVersion {
			return nil, fmt.Errorf("%s was written by a newer version of the program", filepath.Join(d, "array.json"))
		}
		a.Name = filepath.Base(d)
		out = append(out, a)
	}
	return out, nil
}

// whatRuns asks Slurm about arrays, and for the number of those whose
// submission was not noted. It insists: without an answer rows would be asked
// twice.
func (s *stageRun) whatRuns(ctx context.Context, arrays []*array) (map[string]*listing, error) {
	deadline := s.now().Add(s.o.Unreachable)
	for {
		jobs, err := func() (map[string]*listing, error) {
			var ids []string
			for _, a := range arrays {
				if a.JobID == "" {
					id, err := s.c.find(ctx, a.JobName)
					if err != nil {
						return nil, err
					}
					a.JobID = id
				}
				if a.JobID != "" {
					ids = append(ids, a.JobID)
				}
			}
			return s.c.squeue(ctx, ids)
		}()
		if err == nil {
			return jobs, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !s.now().Before(deadline) {
			return nil, fmt.Errorf("this run has job arrays in Slurm, and what became of them cannot be told: %w", err)
		}
		s.note("waiting for Slurm to say what became of earlier jobs of this run: %v", err)
		s.sleep(ctx, max(5*s.o.Poll, 100*time.Millisecond))
	}
}

// manifest reads what an element was given; nil when it cannot be read any
// more. Secrets are replaced by their names.
func (s *stageRun) manifest(e *element) *task.Manifest {
	a := e.array
	m, err := func() (*task.Manifest, error) {
		if a.index == nil {
			b, err := os.ReadFile(s.stage.Run.Path(arrayDir(a.Name), "index.json"))
			if err != nil {
				return nil, err
			}
			if a.index, err = task.DecodeIndex(b); err != nil {
				return nil, err
			}
			if a.packed, err = os.ReadFile(s.stage.Run.Path(arrayDir(a.Name), packName)); err != nil {
				return nil, err
			}
		}
		if e.index >= len(a.index.Entries) {
			return nil, errors.New("the index is too short")
		}
		x := a.index.Entries[e.index]
		if x.Offset+int64(x.Size) > int64(len(a.packed)) {
			return nil, errors.New("the file is too short")
		}
		m, err := task.DecodeManifest(a.packed[x.Offset:x.Offset+int64(x.Size)], func(name string) string { return name })
		if err == nil && (m.ID != e.work.ID || m.Attempt != e.base) {
			err = fmt.Errorf("it is that of %s, attempt %d", m.ID, m.Attempt)
		}
		return m, err
	}()
	if err != nil {
		s.o.Log.Warn("manifest of an earlier job cannot be read", "array", a.Name, "element", e.index, "error", err)
		return nil
	}
	return m
}

// take makes an element that waits or runs one of this stage; false when it
// does something else.
func (s *stageRun) take(e *element) bool {
	m := s.manifest(e)
	if m == nil || e.status != nil && !s.wanted(e.status, m.ModelAbbr) {
		return false
	}
	w, keep, same := s.tracker.Adopt(m, e.status)
	if w == nil || !same {
		return false
	}
	w.Attempt = e.base + e.restarts
	if len(m.Units) > 0 && m.Units[0].Log != "" {
		w.Log = m.Units[0].Log
	}
	alone(w)
	e.work, e.keep, e.units, e.hide = w, keep, len(m.Units), task.Secrets(w.Model)
	e.status = runner.Project(e.status, e.units, keep)
	return true
}

// takeDone takes over what a worker finished while there was no coordinator.
// Where the stage cannot say whether that is still what is wanted, the work is
// given to a worker again, which looks and finds its records.
func (s *stageRun) takeDone(e *element) bool {
	if e.array.Stage != s.stage.Name || e.status.State != task.Done || s.stage.Current == nil || s.stage.Options.RetryFailed || len(e.status.Inputs) == 0 {
		return false
	}
	if !s.take(e) {
		return false
	}
	again, err := s.tracker.Ended(e.work, e.status, runner.End{})
	if err != nil {
		s.err = err
	}
	if again != nil {
		alone(again)
		s.queue = append(s.queue, again)
	}
	return true
}

// wanted reports whether a worker's records are made from what this stage
// would make them from.
func (s *stageRun) wanted(st *task.Status, model string) bool {
	if s.stage.Current == nil {
		return true
	}
	for dataset, in := range st.Inputs {
		if !s.stage.Current(model, dataset, in) {
			return false
		}
	}
	return true
}

// clear cancels elements and waits until they have ended.
func (s *stageRun) clear(ctx context.Context, arrays []*array, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.insist(ctx, func() error { return s.c.scancel(ctx, ids) }); err != nil {
		return fmt.Errorf("cancel jobs of an earlier coordinator that do not fit any more: %w", err)
	}
	left := map[string]bool{}
	for _, id := range ids {
		left[id] = true
	}
	kill := s.now().Add(s.o.Grace)
	for give := kill.Add(s.o.Grace); s.now().Before(give); {
		jobs, err := s.whatRuns(ctx, arrays)
		if err != nil {
			return err
		}
		for _, a := range arrays {
			for i := range a.Elements {
				id := fmt.Sprintf("%s_%d", a.JobID, i)
				if st, known := jobs[a.JobID].of(i); left[id] && (!known || st.over()) {
					delete(left, id)
				}
			}
		}
		if len(left) == 0 {
			return nil
		}
		if s.now().After(kill) {
			var rest []string
			for id := range left {
				rest = append(rest, id)
			}
			_ = s.c.scancel(ctx, rest, "--full", "--signal=KILL") // looked after in the next round
			kill = give
		}
		s.sleep(ctx, min(s.o.Poll, time.Second))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	s.note("%d jobs of an earlier coordinator do not end; what they still write does no harm, but may be asked twice", len(left))
	return nil
}
