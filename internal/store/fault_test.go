//go:build linux

package store

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// faultFS is the real file system with a disk that fills up: writes take what
// still fits and then fail, as a real one does.
type faultFS struct {
	osFS
	mu      sync.Mutex
	free    int64
	refused int // writes for which there was no space
	syncErr error
}

func (f *faultFS) set(free int64) {
	f.mu.Lock()
	f.free = free
	f.mu.Unlock()
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	x, err := f.osFS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{x, f}, nil
}

func (f *faultFS) TryLock(x file) bool { return f.osFS.TryLock(x.(*faultFile).file) }

type faultFile struct {
	file
	fs *faultFS
}

func (x *faultFile) Write(p []byte) (int, error) {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	n := min(int64(len(p)), x.fs.free)
	x.fs.free -= n
	if n > 0 {
		if _, err := x.file.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if n < int64(len(p)) {
		x.fs.refused++
		return int(n), &fs.PathError{Op: "write", Path: x.Name(), Err: syscall.ENOSPC}
	}
	return int(n), nil
}

func (x *faultFile) Sync() error {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	if x.fs.syncErr != nil {
		return x.fs.syncErr
	}
	return x.file.Sync()
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	const n = 60
	want := reference(t, n, "p")
	for range 40 {
		ffs := &faultFS{free: rand.Int64N(20000)}
		r := open(t.TempDir(), ffs)
		defer r.Close()
		for attempt := 1; ; attempt++ {
			err := func() error {
				w, err := r.Writer(head(n, "p"), "w"+string(rune('a'+attempt)), WriterOptions{Sole: attempt%2 == 0})
				if err != nil {
					return err
				}
				defer w.Close()
				for i := range n {
					if w.Have(i, idOf(i, "p")) {
						continue
					}
					if err := w.Put(context.Background(), rec(i, "p")); err != nil {
						return err
					}
				}
				w.Close()
				in := inputs("p")
				_, err = r.Settle("m", "ds", &in, nil)
				return err
			}()
			if err == nil {
				break
			}
			var full *FullError
			if !errors.As(err, &full) || !strings.Contains(err.Error(), "no space left on device; everything finished so far is kept") || full.Hint() == "" {
				t.Fatalf("%v", err)
			}
			ffs.set(rand.Int64N(12000) + int64(attempt)*4000) // somebody frees some
		}
		if d := cmp.Diff(want, finalFiles(t, r)); d != "" {
			t.Fatal(d)
		}
	}
}

func TestDiskFullWaits(t *testing.T) {
	t.Parallel()
	ffs := &faultFS{free: 700}
	r := open(t.TempDir(), ffs)
	defer r.Close()
	told := make(chan struct{})
	w, err := r.Writer(head(3, "p"), "w", WriterOptions{Sole: true, FullWait: time.Minute, OnFull: func(error) { close(told) }})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-told
		ffs.set(1 << 20)
	}()
	put(t, w, rec(0, "p"), rec(1, "p"), rec(2, "p"))
	w.Close()
	mustSettle(t, r, inputs("p"))
	if d := cmp.Diff(reference(t, 3, "p"), finalFiles(t, r)); d != "" {
		t.Fatal(d)
	}
	select {
	case <-told:
	default:
		t.Fatal("the disk was never full: the test tests nothing")
	}
}

// What the system took and could not store is not reported as stored again.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	ffs := &faultFS{free: 1 << 30, syncErr: &fs.PathError{Op: "fsync", Err: syscall.EIO}}
	r := open(t.TempDir(), ffs)
	defer r.Close()
	w, err := r.Writer(head(3, "p"), "w", WriterOptions{Sole: true})
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, rec(0, "p"))
	// it may be the one in the background that syncs these bytes
	eventually(t, "the error of the sync is known", func() bool {
		r.sync.flush()
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.err != nil
	})
	if err := w.Put(context.Background(), rec(1, "p")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("%v", err)
	}
	if err := w.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("%v", err)
	}
}

// The real thing, where this process may mount a small file system.
func TestDiskFullTmpfs(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=262144"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	const n = 300
	want := reference(t, n, "p")
	os.WriteFile(dir+"/ballast", make([]byte, 200000), 0o666)
	r := open(dir, osFS{})
	defer r.Close()
	w, err := r.Writer(head(n, "p"), "w1", WriterOptions{Sole: true})
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for i := range n {
		if err = w.Put(context.Background(), rec(i, "p")); err != nil {
			break
		}
		stored++
	}
	var full *FullError
	if !errors.As(err, &full) {
		t.Fatalf("after %d rows: %v", stored, err)
	}
	w.Close()
	os.Remove(dir + "/ballast")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4194304"); err != nil {
		t.Skipf("cannot enlarge the tmpfs: %v", err)
	}
	w = mustWriter(t, r, head(n, "p"), "w2", WriterOptions{Sole: true})
	reused := 0
	for i := range n {
		if w.Have(i, idOf(i, "p")) {
			reused++
			continue
		}
		put(t, w, rec(i, "p"))
	}
	if reused != stored {
		t.Fatalf("%d rows were stored before the disk was full, %d found", stored, reused)
	}
	w.Close()
	mustSettle(t, r, inputs("p"))
	if d := cmp.Diff(want, finalFiles(t, r)); d != "" {
		t.Fatal(d)
	}
}

// Answers that were on their way when the disk became full wait for space
// together, not one after the other.
func TestDiskFullWaitsOnce(t *testing.T) {
	t.Parallel()
	ffs := &faultFS{free: 1 << 20}
	r := open(t.TempDir(), ffs)
	defer r.Close()
	told := 0
	w, err := r.Writer(head(9, "p"), "w", WriterOptions{Sole: true, FullWait: fullRetry, OnFull: func(error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ffs.set(0)
	for i := range 9 {
		var full *FullError
		if err := w.Put(context.Background(), rec(i, "p")); !errors.As(err, &full) {
			t.Fatal(err)
		}
	}
	// the first tries again after a pause, the others then fail at once
	if ffs.refused != 10 || told != 1 {
		t.Errorf("%d tries, told %d times", ffs.refused, told)
	}
	ffs.set(1 << 20)
	if err := w.Put(context.Background(), rec(0, "p")); err != nil {
		t.Error("with space again:", err)
	}
}
