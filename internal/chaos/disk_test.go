//go:build linux

package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of its own for the work directory.
func smallDisk(t *testing.T, l *Lab) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	if err := os.Mkdir(l.Work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", l.Work, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("mounting a small file system: ", err)
	}
	t.Cleanup(func() {
		l.stop()
		l.Quiet()
		if err := syscall.Unmount(l.Work, 0); err != nil {
			t.Error("unmount: ", err)
		}
	})
}

// fill takes all the space that is left; free gives it back.
func fill(t *testing.T, l *Lab) (free func()) {
	t.Helper()
	p := filepath.Join(l.Work, "ballast")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			size /= 2
		}
	}
	f.Close() // full: that is what was wanted
	return func() {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

// A disk that becomes full in the middle of a run: the run waits and goes on
// when there is space again; killed meanwhile, it is started again.
func TestDiskFull(t *testing.T) {
	spec := Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NumWorkerPartitioner, num_worker=2)"}
	want, _ := undisturbed(t, spec.Config())
	for _, c := range []struct {
		name     string
		requests int // when the disk becomes full
		workers  int // that are at it then
		kill     bool
	}{
		{"free again", 60, 2, false},
		{"free again, near the end", 410, 1, false},
		{"killed while full", 160, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := NewLab(t, program)
			smallDisk(t, l)
			release := l.Hold(c.requests)
			l.Config(spec.Config())
			s := l.Start()
			l.Held(s, c.workers)
			free := fill(t, l)
			defer free()
			release()
			// Near the end it may be the coordinator that needs space, at once
			// or never.
			nearEnd := c.requests > 400
			begin := time.Now()
			waits := l.Until(s, "somebody who waits for space", func() bool {
				return strings.Contains(s.Stderr(), "waiting for space") || nearEnd && time.Since(begin) > 1500*time.Millisecond
			})
			if c.kill {
				s.Signal(syscall.SIGKILL)
				s.Wait()
				for _, pid := range l.Workers() {
					_ = syscall.Kill(pid, syscall.SIGKILL) // they would wait half a minute for space
				}
				l.Quiet()
				s = l.Start("-r", "latest")
				if code := s.Wait(); code != 1 || !strings.Contains(s.Stderr(), "no space left") {
					t.Errorf("started on a full disk: exit code %d\n%s", code, s.Stderr())
				}
				free()
				s = l.Start("-r", "latest")
			} else {
				if !waits && !(nearEnd && s.Wait() == 1) {
					t.Errorf("the run did not wait for space: exit code %d\n%s", s.Wait(), s.Stderr())
				}
				free()
				if s.Wait() == 1 && nearEnd && strings.Contains(s.Stderr(), "free some space") {
					// it was the coordinator that needed space: it says so and ends
					s = l.Start("-r", "latest")
				}
			}
			if code := s.Wait(); code != 0 {
				t.Errorf("exit code %d\n%s", code, s.Stderr())
			}
			l.Same(want)
			all, _ := l.Requests(0)
			twice := 0
			for _, n := range all.Begun {
				twice += n - 1
			}
			limit := 0
			if c.kill {
				limit = 2 * worker * labels
			}
			if twice > limit {
				t.Errorf("%d requests were made twice", twice)
			}
		})
	}
}
