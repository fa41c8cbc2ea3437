package store

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// file and filesystem are what the store needs of the outside world; tests
// put faults behind them.
type file interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

type filesystem interface {
	OpenFile(name string, flag int, perm fs.FileMode) (file, error)
	MkdirAll(name string, perm fs.FileMode) error
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
	// SyncAll makes everything below dir durable; false when it cannot.
	SyncAll(dir string) bool
	// TryLock locks f for this process where the file system can; held says
	// that another one has it.
	TryLock(f file) (held bool)
}

type osFS struct{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (osFS) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osFS) Link(from, to string) error                   { return os.Link(from, to) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }
func (osFS) SyncAll(dir string) bool                      { return syncAll(dir) }
func (osFS) TryLock(f file) bool {
	o, ok := f.(*os.File)
	return ok && lockHeld(o)
}

// FullError says that a disk or quota is full. Nothing that was stored before
// is lost.
type FullError struct {
	Path string
	Err  error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("write %s: %v; everything finished so far is kept", e.Path, cause(e.Err))
}
func (e *FullError) Unwrap() error { return e.Err }

// Hint says how to go on.
func (e *FullError) Hint() string { return "free some space, then run the same command with -r latest" }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ioError wraps a failed write with what was being done.
func ioError(doing, path string, err error) error {
	if err == nil {
		return nil
	}
	if isFull(err) {
		return &FullError{Path: path, Err: err}
	}
	return fmt.Errorf("%s %s: %w", doing, path, cause(err))
}

var processID = sync.OnceValue(func() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	host, _ := os.Hostname()
	h := sha256.Sum256([]byte(host))
	return fmt.Sprintf("%s-%d-%s", hex.EncodeToString(h[:3]), os.Getpid(), hex.EncodeToString(b[:]))
})

// atomicFile is written aside and becomes visible by Commit. Abort after
// Commit does nothing.
type atomicFile struct {
	r    *Run
	f    file
	buf  *bufio.Writer
	sum  hash.Hash
	size int64
	dst  string
	err  error
	done bool
}

// create starts a file that is to become dst.
func (r *Run) create(dst string) (*atomicFile, error) {
	if err := r.fs.MkdirAll(r.Path("state", "tmp"), 0o777); err != nil {
		return nil, ioError("create folder of", dst, err)
	}
	if err := r.fs.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return nil, ioError("create folder of", dst, err)
	}
	f, err := r.fs.OpenFile(r.tempName(filepath.Base(dst)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return nil, ioError("write", dst, err)
	}
	a := &atomicFile{r: r, f: f, dst: dst, sum: sha256.New()}
	a.buf = bufio.NewWriterSize(f, 1<<16)
	return a, nil
}

func (a *atomicFile) Write(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	a.sum.Write(p)
	a.size += int64(len(p))
	n, err := a.buf.Write(p)
	a.err = err
	return n, err
}

// Digest is the SHA-256 of what was written.
func (a *atomicFile) Digest() string { return hex.EncodeToString(a.sum.Sum(nil)) }

// Commit makes the file visible under its name; durable says that its bytes
// must have reached the disk before.
func (a *atomicFile) Commit(durable bool) error {
	err := a.err
	if err == nil {
		err = a.buf.Flush()
	}
	if err == nil && durable {
		err = a.f.Sync()
	}
	if e := a.f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = a.r.fs.Rename(a.f.Name(), a.dst)
	}
	a.done = true
	if err != nil {
		_ = a.r.fs.Remove(a.f.Name()) // the first error is the one to tell
		return ioError("write", a.dst, err)
	}
	return nil
}

// Abort gives up.
func (a *atomicFile) Abort() {
	if a.done {
		return
	}
	a.done = true
	_ = a.f.Close()
	_ = a.r.fs.Remove(a.f.Name())
}

// WriteFile writes a file below the run so that readers see the old content
// or the new, never a part.
func (r *Run) WriteFile(rel string, data []byte) error {
	a, err := r.create(r.Path(rel))
	if err != nil {
		return err
	}
	if _, err := a.Write(data); err != nil {
		a.Abort()
		return ioError("write", a.dst, err)
	}
	return a.Commit(false)
}

// syncInterval is how long a record that was written may stay in the memory
// of the machine. A killed process loses nothing; a machine that loses power
// loses at most this, and those samples are asked again.
const syncInterval = 200 * time.Millisecond

// syncer makes dirty files durable, all of them together.
type syncer struct {
	dir string
	fs  filesystem

	mu      sync.Mutex // guards the rest
	dirty   map[*Writer]struct{}
	running bool
	closed  bool
	wake    chan struct{}
	idle    sync.WaitGroup
}

func newSyncer(dir string, fsys filesystem) *syncer {
	return &syncer{dir: dir, fs: fsys, dirty: map[*Writer]struct{}{}, wake: make(chan struct{})}
}

// mark says that w has bytes that are not durable.
func (s *syncer) mark(w *Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty[w] = struct{}{}
	if !s.running && !s.closed {
		s.running = true
		s.idle.Add(1)
		go s.loop()
	}
}

func (s *syncer) loop() {
	defer s.idle.Done()
	t := time.NewTicker(syncInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.wake:
			return
		}
		if !s.flush() {
			return
		}
	}
}

// flush syncs what is dirty; false when there was nothing and the loop may end.
func (s *syncer) flush() bool {
	s.mu.Lock()
	if len(s.dirty) == 0 {
		s.running = false
		s.mu.Unlock()
		return false
	}
	batch := s.dirty
	s.dirty = map[*Writer]struct{}{}
	s.mu.Unlock()
	if len(batch) > 16 && s.fs.SyncAll(s.dir) {
		return true
	}
	for w := range batch {
		w.syncFile()
	}
	return true
}

func (s *syncer) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.wake)
	s.mu.Unlock()
	s.idle.Wait()
	s.flush()
	return nil
}
