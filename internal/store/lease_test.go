package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// elsewhere makes a coordinator look as if it ran on another machine. It watches
// for so long that one that lives shows a beat, however slow the machine is.
func elsewhere(name string) LeaseOptions {
	return LeaseOptions{
		Interval: 5 * time.Millisecond, Watch: 10 * time.Minute,
		probe: func() (string, string) { return name, "1" },
		alive: func(int) (string, bool) { return "", false },
	}
}

// impatient is elsewhere for one whose predecessor is dead for certain.
func impatient(name string) LeaseOptions {
	o := elsewhere(name)
	o.Watch = 60 * time.Millisecond
	return o
}

// eventually waits for what is certain to come.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// freeze ends a coordinator as SIGKILL would: no more beats, file left behind.
func (l *Lease) freeze() {
	l.cancel(errors.New("killed"))
	<-l.done
}

func TestLeaseElsewhere(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	a, err := r.Acquire(context.Background(), elsewhere("a"))
	if err != nil {
		t.Fatal(err)
	}
	if host, pid, _, err := r.Coordinator(); err != nil || pid != os.Getpid() || host == "" {
		t.Fatal(host, pid, err)
	}
	var held *HeldError
	waited := ""
	o := elsewhere("b")
	o.OnWait = func(who string) { waited = who }
	if _, err := r.Acquire(context.Background(), o); !errors.As(err, &held) || held.Pid != os.Getpid() || waited == "" {
		t.Fatalf("a second coordinator: %v", err)
	}
	a.freeze()
	b, err := r.Acquire(context.Background(), impatient("b"))
	if err != nil {
		t.Fatalf("after the first died: %v", err)
	}
	if b.Epoch() != a.Epoch()+1 {
		t.Fatalf("epochs %d, %d", a.Epoch(), b.Epoch())
	}
	if err := b.Release(); err != nil {
		t.Fatal(err)
	}
	c, err := r.Acquire(context.Background(), elsewhere("c"))
	if err != nil || c.Epoch() != b.Epoch()+1 {
		t.Fatal(err)
	}
	c.Release()
	if _, err := os.Stat(r.leasePath()); err == nil {
		t.Fatal("a released lease left its file")
	}
}

func TestLeaseLost(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	a, err := r.Acquire(context.Background(), elsewhere("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	other := a.me
	other.ID = "other"
	if err := os.WriteFile(r.leasePath()+"x", other.encode(), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.leasePath()+"x", r.leasePath()); err != nil {
		t.Fatal(err)
	}
	<-a.Context().Done()
	if !errors.Is(context.Cause(a.Context()), ErrLeaseLost) {
		t.Fatal(context.Cause(a.Context()))
	}
}

// One that stood still while another had the run and left again does not take
// it back: what it knows of the run is old.
func TestLeaseLostWhileAsleep(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	a, err := r.Acquire(context.Background(), elsewhere("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	if err := r.WriteFile("state/epoch.json", []byte(`{"v":1,"epoch":2}`)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.leasePath()); err != nil {
		t.Fatal(err)
	}
	<-a.Context().Done()
	if !errors.Is(context.Cause(a.Context()), ErrLeaseLost) {
		t.Fatal(context.Cause(a.Context()))
	}
	if _, err := os.Stat(r.leasePath()); err == nil {
		t.Error("it wrote its file again")
	}
}

func TestLeaseHere(t *testing.T) {
	t.Parallel()
	if m, _ := thisProcess(); m == "" {
		t.Skip("processes cannot be told apart on this system")
	}
	r := testRun(t)
	a, err := r.Acquire(context.Background(), LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	looks := LeaseOptions{OnWait: func(string) { t.Error("waited although the process could be looked at") }}
	if _, err := r.Acquire(context.Background(), looks); !errors.As(err, &held) {
		t.Fatalf("%v", err)
	}
	a.Release()
	// one that was killed
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	h := a.me
	h.ID, h.Pid = "dead", cmd.Process.Pid
	h.Start, _ = processStart(h.Pid)
	os.WriteFile(r.leasePath(), h.encode(), 0o666)
	if _, err := r.Acquire(context.Background(), LeaseOptions{}); !errors.As(err, &held) || held.Pid != h.Pid {
		t.Fatalf("%v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	b, err := r.Acquire(context.Background(), LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	// a file that a dying machine left empty
	os.WriteFile(r.leasePath(), nil, 0o666)
	c, err := r.Acquire(context.Background(), impatient("x"))
	if err != nil {
		t.Fatal(err)
	}
	c.Release()
}

// A file that is moved away, as by one who takes it for a dead coordinator's,
// and put back or not, loses nobody a run; a run whose folder is gone is lost.
func TestLeaseMovedAway(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	a, err := r.Acquire(context.Background(), elsewhere("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	for range 3 {
		if err := os.Remove(r.leasePath()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the file is there again", func() bool { h, err := r.readHolder(); return err == nil && h != nil })
		h, err := r.readHolder()
		if err != nil || h == nil || h.ID != a.me.ID {
			t.Fatalf("%+v, %v", h, err)
		}
		eventually(t, "it beats", func() bool { now, err := r.readHolder(); return err == nil && now != nil && now.Beat > h.Beat })
	}
	if err := a.Context().Err(); err != nil {
		t.Fatal(err)
	}
	// while the beat goes on, in a folder that is being removed, too
	eventually(t, "the folder is gone", func() bool { return os.RemoveAll(r.Dir()) == nil })
	<-a.Context().Done()
	if !errors.Is(context.Cause(a.Context()), ErrLeaseLost) {
		t.Fatal(context.Cause(a.Context()))
	}
}

// Many want a dead coordinator's run at the same time: one gets it.
func TestLeaseRace(t *testing.T) {
	t.Parallel()
	for range 10 {
		r := testRun(t)
		dead, err := r.Acquire(context.Background(), elsewhere("dead"))
		if err != nil {
			t.Fatal(err)
		}
		dead.freeze()
		var mu sync.Mutex
		var got []*Lease
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				l, err := r.Acquire(context.Background(), impatient(string(rune('a'+i))))
				var held *HeldError
				if err != nil && !errors.As(err, &held) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					got = append(got, l)
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		// One that another took for dead, because it showed no beat for so short
		// a watch, learns of it at its next beat.
		living := 0
		eventually(t, "all but one of the coordinators know that they are not it", func() bool {
			living = 0
			for _, l := range got {
				if l.Context().Err() == nil {
					living++
				}
			}
			return living <= 1
		})
		h, err := r.readHolder()
		if living != 1 || err != nil || h == nil {
			t.Fatalf("%d coordinators, %d of them living; %+v, %v", len(got), living, h, err)
		}
		for _, l := range got {
			if (l.Context().Err() == nil) != (h.ID == l.me.ID) {
				t.Fatalf("%s has the run, %s says %v", h.ID, l.me.ID, context.Cause(l.Context()))
			}
		}
		for _, l := range got {
			l.Release()
		}
	}
}

func TestCleanTemp(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	if err := r.CleanTemp(); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckWritable(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"left", "in-use"} {
		if err := os.WriteFile(r.Path("state", "tmp", name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(r.Path("state", "tmp", "left"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := r.CleanTemp(); err != nil {
		t.Fatal(err)
	}
	// a file of a worker that may be about to rename it stays
	if m, _ := filepath.Glob(r.Path("state", "tmp", "*")); len(m) != 1 || filepath.Base(m[0]) != "in-use" {
		t.Fatal(m)
	}
}
