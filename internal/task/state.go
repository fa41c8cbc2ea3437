package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sextant/internal/store"
)

// State of a worker's attempt or of one of its units.
type State string

// The states.
const (
	Pending State = "pending"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
	Stopped State = "stopped" // told to stop; what was finished is kept
)

// Kinds of failure, as far as they decide whether trying again can help.
const (
	KindConfig   = "config"   // the user's mistake: never tried again
	KindEndpoint = "endpoint" // the model answers nothing: key, name, refused capability
	KindSamples  = "samples"  // too many samples failed: the error budget is used up
	KindFull     = "full"     // no space on disk
	KindCrash    = "crash"    // the process died without saying why
	KindLost     = "lost"     // no sign of life: hung, or its machine is gone
	KindOther    = "other"
)

// Failure says why something failed. Reason is short and the same for the
// same cause: runners count by Kind and Reason. Message is for people.
type Failure struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (f *Failure) Error() string { return f.Message }

// Same reports whether two failures count as the same reason.
func (f *Failure) Same(g *Failure) bool {
	if f == nil || g == nil {
		return f == g
	}
	return f.Kind == g.Kind && f.reason() == g.reason()
}

func (f *Failure) reason() string {
	if f.Reason != "" {
		return f.Reason
	}
	return f.Message
}

// Retryable reports whether trying again may help.
func (f *Failure) Retryable() bool {
	switch f.Kind {
	case KindConfig, KindEndpoint, KindSamples, KindFull:
		return false
	}
	return true
}

// UnitStatus is how far one unit is; the position in Status.Units is that in
// Manifest.Units.
type UnitStatus struct {
	State  State    `json:"state"`
	Done   int      `json:"done,omitempty"`   // rows with a record
	Total  int      `json:"total,omitempty"`  // rows of this unit
	Reused int      `json:"reused,omitempty"` // of Done, found in earlier records
	Failed int      `json:"failed,omitempty"` // of Done, failed rows
	Error  *Failure `json:"error,omitempty"`
}

// Status is what a worker says about itself, in state/tasks/<id>/<attempt>.json.
// The runner believes it first and the exit code second.
type Status struct {
	V       int          `json:"v"`
	ID      string       `json:"id"`
	Attempt int          `json:"attempt"`
	State   State        `json:"state"`
	Host    string       `json:"host"`
	Pid     int          `json:"pid"`
	Beat    int64        `json:"beat"` // grows while the worker lives; compared with itself only
	Error   *Failure     `json:"error,omitempty"`
	Units   []UnitStatus `json:"units"`
	// Inputs says, by the abbreviation of the whole dataset, what the records
	// of this stage are made from; the coordinator settles datasets for them.
	Inputs map[string]store.Inputs `json:"inputs,omitempty"`
}

// ReadStatus reads a status file; nil without an error when there is none yet.
func ReadStatus(path string) (*Status, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read status: %w", err)
	}
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read status %s: %w", path, err)
	}
	if s.V > ManifestVersion {
		return nil, fmt.Errorf("read status %s: written by a newer version of the program", path)
	}
	// The marks say which units were running when a worker died between two
	// beats. A unit that was done by then is found done by its records.
	marks, err := os.ReadFile(marksPath(path))
	if err == nil && s.State == Running {
		for i, c := range marks[:min(len(marks), len(s.Units))] {
			u := &s.Units[i]
			switch {
			case c == markRunning && u.State == Pending:
				u.State = Running
			case c == markDone && u.State == Running:
				u.State = Pending
			}
		}
	}
	return &s, nil
}

// Beside a status stands a file with one byte for each unit, overwritten in
// place whenever the unit's state changes: far cheaper than the status, which
// follows with the next beat.
const (
	markPending = '.'
	markRunning = 'r'
	markDone    = 'd' // or failed: it has had its turn
)

func marksPath(status string) string { return strings.TrimSuffix(status, ".json") + ".units" }

// Reporter keeps a worker's status file: written at once when a state
// changes, and every interval with a new beat while the worker lives. Safe for
// concurrent use.
type Reporter struct {
	// FullWait is how long Finish waits for space on a full disk.
	FullWait time.Duration

	run  *store.Run
	path string

	mu      sync.Mutex // guards s, err
	s       Status
	err     error
	marks   *os.File   // nil where it could not be made: only the beats count then
	writing sync.Mutex // one write at a time, in order
	stop    chan struct{}
	done    chan struct{}
}

const finishRetry = 500 * time.Millisecond

// BeatInterval is how often a worker shows that it lives.
const BeatInterval = 2 * time.Second

// NewReporter starts reporting for a manifest. interval is BeatInterval
// outside of tests.
func NewReporter(run *store.Run, m *Manifest, host string, pid int, interval time.Duration) *Reporter {
	r := &Reporter{FullWait: time.Duration(m.Options.FullWait) * time.Second, run: run, path: m.StatusPath(), stop: make(chan struct{}), done: make(chan struct{})}
	r.s = Status{V: ManifestVersion, ID: m.ID, Attempt: m.Attempt, State: Running, Host: host, Pid: pid, Units: make([]UnitStatus, len(m.Units))}
	for i := range r.s.Units {
		r.s.Units[i].State = Pending
	}
	r.write()
	if f, err := os.OpenFile(run.Path(marksPath(r.path)), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666); err == nil {
		r.marks = f
		_, _ = f.Write(bytes.Repeat([]byte{markPending}, len(m.Units))) // as above
	}
	go r.loop(interval)
	return r
}

func (r *Reporter) loop(interval time.Duration) {
	defer close(r.done)
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.write()
		case <-r.stop:
			return
		}
	}
}

// Unit changes the status of unit i. It reaches the file with the next beat: a
// worker may have thousands of small units.
func (r *Reporter) Unit(i int, f func(*UnitStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &r.s.Units[i]
	before := u.State
	f(u)
	if u.State == before || r.marks == nil {
		return
	}
	c := byte(markDone)
	switch u.State {
	case Pending:
		c = markPending
	case Running:
		c = markRunning
	}
	_, _ = r.marks.WriteAt([]byte{c}, int64(i)) // the beats say the same a little later
}

// Inputs notes what the records of a dataset are made from.
func (r *Reporter) Inputs(dataset string, in store.Inputs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.s.Inputs == nil {
		r.s.Inputs = map[string]store.Inputs{}
	}
	r.s.Inputs[dataset] = in
}

// Snapshot is a copy of the status as it is now.
func (r *Reporter) Snapshot() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.s
	s.Units, s.Inputs = slices.Clone(r.s.Units), maps.Clone(r.s.Inputs)
	return s
}

// Finish writes the final state and ends reporting. The state is Failed when a
// unit failed or failure is given, and as given otherwise.
func (r *Reporter) Finish(state State, failure *Failure) error {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	r.s.State = state
	for _, u := range r.s.Units {
		if u.State == Failed && r.s.State == Done {
			r.s.State = Failed
		}
	}
	if failure != nil {
		r.s.Error = failure
		if r.s.State == Done {
			r.s.State = Failed
		}
	}
	r.mu.Unlock()
	// Without its last word a worker counts as dead, and what it did would be
	// looked through again: it waits for space as records do.
	for waited := time.Duration(0); ; waited += finishRetry {
		r.write()
		r.mu.Lock()
		var full *store.FullError
		again := errors.As(r.err, &full) && state != Stopped && waited < r.FullWait
		r.mu.Unlock()
		if !again {
			break
		}
		time.Sleep(finishRetry)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marks != nil {
		r.marks.Close()
		r.marks = nil
	}
	return r.err
}

func (r *Reporter) write() {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	r.s.Beat++
	b, err := json.Marshal(r.s)
	r.mu.Unlock()
	if err == nil {
		err = r.run.WriteFile(r.path, append(b, '\n'))
	}
	r.mu.Lock()
	r.err = err // a full disk may have space at the next beat
	r.mu.Unlock()
}
