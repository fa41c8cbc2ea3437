package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// A run has one coordinator at a time. coordinator.json says who it is. Clocks
// of two machines are never compared: a coordinator shows that it lives by
// counting up, and whoever wants the run watches for a while whether it does.
// On one machine the process itself is looked for instead.

// holder is the content of coordinator.json.
type holder struct {
	V     int    `json:"v"`
	Kind  string `json:"kind"` // "coordinator"
	ID    string `json:"id"`   // of this holding, random
	Host  string `json:"host"`
	Pid   int    `json:"pid"`
	Epoch int    `json:"epoch"` // how many coordinators the run has had, this one included
	// Machine is the boot and the process namespace, Start when the process
	// started by that machine's count: together with Pid they name a process
	// for ever.
	Machine string `json:"machine"`
	Start   string `json:"start"`
	Beat    int64  `json:"beat"`
}

// LeaseOptions say how a lease is kept and judged. Zero fields mean the
// defaults.
type LeaseOptions struct {
	Interval time.Duration // between beats; 2 s
	// Watch is how long a coordinator on another machine may show no beat
	// before it counts as dead; 15 s, more than NFS clients cache attributes
	// for by default.
	Watch time.Duration
	// OnWait is called once when another coordinator's beats are to be
	// watched, with who it is. May be nil.
	OnWait func(who string)

	probe func() (machine, start string)        // of this process; for tests
	alive func(pid int) (start string, ok bool) // of another one here; for tests
}

// HeldError says that the run has a living coordinator.
type HeldError struct {
	Dir, Host string
	Pid       int
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("run %s is being worked on by another coordinator: process %d on %s", e.Dir, e.Pid, e.Host)
}

// Hint says what to do.
func (e *HeldError) Hint() string {
	return "wait for it or stop it there; `sextant status` shows it from here"
}

// ErrLeaseLost is the cause of Lease.Context's end when another coordinator
// took the run over.
var ErrLeaseLost = errors.New("another coordinator has taken over this run")

// Lease is the right to coordinate a run.
type Lease struct {
	run    *Run
	opts   LeaseOptions
	me     holder
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu sync.Mutex // guards f
	f  file
}

func (r *Run) leasePath() string { return r.Path("coordinator.json") }

// Acquire becomes the run's coordinator. The error is a *HeldError when there
// is a living one. It waits up to opts.Watch where that cannot be told at once.
func (r *Run) Acquire(ctx context.Context, opts LeaseOptions) (*Lease, error) {
	if opts.Interval == 0 {
		opts.Interval = 2 * time.Second
	}
	if opts.Watch == 0 {
		opts.Watch = 15 * time.Second
	}
	if opts.probe == nil {
		opts.probe = thisProcess
	}
	if opts.alive == nil {
		opts.alive = processStart
	}
	host, _ := os.Hostname() // "" does for display
	l := &Lease{run: r, opts: opts, done: make(chan struct{})}
	l.me = holder{V: Version, Kind: "coordinator", ID: r.newID(), Host: host, Pid: os.Getpid(), Epoch: 1, Beat: 1}
	l.me.Machine, l.me.Start = opts.probe()
	for {
		old, err := r.readHolder()
		if err != nil {
			return nil, err
		}
		l.me.Epoch = r.lastEpoch() + 1
		if old != nil {
			if err := l.judge(ctx, old); err != nil {
				return nil, err
			}
			l.me.Epoch = max(l.me.Epoch, old.Epoch+1)
			if ok, err := r.evict(old); err != nil {
				return nil, err
			} else if !ok {
				continue // somebody was faster
			}
		}
		if err := r.fs.MkdirAll(r.Path("state", "tmp"), 0o777); err != nil {
			return nil, notWritable(r.dir, err)
		}
		ok, err := l.take()
		if err != nil {
			return nil, notWritable(r.dir, err)
		}
		if ok {
			break
		}
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	go l.beat()
	// The epoch outlives the lease: the names of writers are made from it and
	// must not come twice.
	if err := r.WriteFile("state/epoch.json", fmt.Appendf(nil, "{\"v\":1,\"epoch\":%d}\n", l.me.Epoch)); err != nil {
		_ = l.Release() // the first error is the one to tell
		return nil, err
	}
	return l, nil
}

func (r *Run) lastEpoch() int {
	var e struct{ Epoch int }
	if b, err := r.readFile(r.Path("state", "epoch.json")); err == nil {
		_ = json.Unmarshal(b, &e) // 0 when it says nothing
	}
	return e.Epoch
}

func (r *Run) newID() string {
	return strings.TrimPrefix(r.tempName("x"), r.Path("state", "tmp", "x-"))
}

// readHolder returns nil when the run has no coordinator, or a file that says
// nothing (a machine died while it was written).
func (r *Run) readHolder() (*holder, error) {
	b, err := r.readFile(r.leasePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read coordinator of run: %w", err)
	}
	var h holder
	if json.Unmarshal(b, &h) != nil || h.Kind != "coordinator" {
		return &holder{}, nil
	}
	if h.V > Version {
		return nil, fmt.Errorf("run %s has a coordinator of a newer version of the program", r.dir)
	}
	return &h, nil
}

// judge returns nil when old is dead.
func (l *Lease) judge(ctx context.Context, old *holder) error {
	held := &HeldError{Dir: l.run.Name(), Host: old.Host, Pid: old.Pid}
	if old.Machine != "" && old.Machine == l.me.Machine {
		if start, ok := l.opts.alive(old.Pid); ok && start == old.Start {
			return held
		}
		return nil
	}
	if l.opts.OnWait != nil {
		l.opts.OnWait(fmt.Sprintf("process %d on %s", old.Pid, old.Host))
	}
	step := max(min(l.opts.Interval, l.opts.Watch/4), time.Millisecond)
	for waited := time.Duration(0); waited < l.opts.Watch; waited += step {
		t := time.NewTimer(step)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		now, err := l.run.readHolder()
		if err != nil {
			return err
		}
		if now == nil {
			return nil // it left
		}
		if now.ID != old.ID || now.Beat != old.Beat {
			held.Host, held.Pid = now.Host, now.Pid
			return held
		}
	}
	return nil
}

// evict removes the file of a dead coordinator. Of several that try, one
// succeeds. If what was moved away turns out to be another's, it is put back.
func (r *Run) evict(old *holder) (bool, error) {
	if err := r.fs.MkdirAll(r.Path("state", "tmp"), 0o777); err != nil {
		return false, notWritable(r.dir, err)
	}
	if now, err := r.readHolder(); err == nil && (now == nil || now.ID != old.ID) {
		return false, nil // seen before it is moved away; what comes now is put back
	}
	grave := r.tempName("coordinator")
	if err := r.fs.Rename(r.leasePath(), grave); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, ioError("take over", r.dir, err)
	}
	b, err := r.readFile(grave)
	var h holder
	mine := err == nil && (json.Unmarshal(b, &h) != nil || h.ID == old.ID)
	if !mine {
		_ = r.fs.Link(grave, r.leasePath()) // if it fails a third one is there already
	}
	_ = r.fs.Remove(grave) // CleanTemp does it otherwise
	return mine, nil
}

// take writes the file if there is none. The caller holds l.mu (or is still
// alone).
func (l *Lease) take() (bool, error) {
	r := l.run
	name := r.tempName("lease")
	f, err := r.fs.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return false, err
	}
	fail := func(err error) (bool, error) {
		f.Close()
		_ = r.fs.Remove(name)
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	if _, err := f.WriteAt(l.me.encode(), 0); err != nil {
		return fail(err)
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	if err := r.fs.Link(name, r.leasePath()); err != nil {
		return fail(err)
	}
	_ = r.fs.Remove(name) // CleanTemp does it otherwise
	if l.f != nil {
		l.f.Close() // only overwritten in place
	}
	l.f = f
	return true, nil
}

// encode gives a text whose length does not change with the beat, so that it
// can be overwritten in place, even on a full disk.
func (h holder) encode() []byte {
	beat := h.Beat
	h.Beat = 0
	b, _ := json.Marshal(h) // strings and numbers: cannot fail
	s := strings.TrimSuffix(string(b), `"beat":0}`)
	return []byte(fmt.Sprintf("%s\"beat\":%-19d}\n", s, beat))
}

func (l *Lease) beat() {
	defer close(l.done)
	t := time.NewTicker(l.opts.Interval)
	defer t.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-t.C:
		}
		now, err := l.run.readHolder()
		if err == nil && now != nil && now.ID != l.me.ID {
			l.cancel(ErrLeaseLost)
			return
		}
		if err == nil && now == nil && l.run.lastEpoch() > l.me.Epoch {
			l.cancel(ErrLeaseLost) // another came while this one stood still, and left
			return
		}
		// An error is the file system's; the next beat may pass.
		l.mu.Lock()
		if err == nil && now == nil {
			// Somebody who came for a dead coordinator's place moved this file
			// away and is putting it back, or died before that. Whose it is then
			// is seen at the next beat. Without its folder the run is gone.
			if _, err := l.take(); errors.Is(err, fs.ErrNotExist) {
				l.mu.Unlock()
				l.cancel(ErrLeaseLost)
				return
			}
		}
		l.me.Beat++
		if _, err := l.f.WriteAt(l.me.encode(), 0); err == nil {
			_ = l.f.Sync()
		}
		l.mu.Unlock()
	}
}

// Context ends, with ErrLeaseLost as its cause, when another coordinator took
// the run over; and when the lease is released.
func (l *Lease) Context() context.Context { return l.ctx }

// Epoch is how many coordinators the run has had, this one included.
func (l *Lease) Epoch() int { return l.me.Epoch }

// Release gives the run up.
func (l *Lease) Release() error {
	l.cancel(context.Canceled)
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	l.f.Close() // only overwritten in place
	l.f = nil
	now, err := l.run.readHolder()
	if err != nil || now == nil || now.ID != l.me.ID {
		return err
	}
	_, err = l.run.evict(now)
	return err
}

// Coordinator says who works on the run now, as far as the file says: "" when
// nobody does. Beat lets a reader watch whether it lives.
func (r *Run) Coordinator() (host string, pid int, beat int64, err error) {
	h, err := r.readHolder()
	if h == nil || err != nil {
		return "", 0, 0, err
	}
	return h.Host, h.Pid, h.Beat, nil
}
