// Package store is the work directory of a run: its layout, the append-only
// record of every finished sample, the files derived from it in OpenCompass's
// shape, and the lease that keeps two coordinators apart.
//
// Main types: Run (a work directory), Writer (where a worker puts finished
// samples, an infer.Sink), Predictions (what was answered), Lease.
//
// The file system is assumed to be NFS-like: rename and link are atomic,
// append is not shared between machines, locks and change notices may not
// work, clocks differ. So each writer has a file of its own, readers take the
// union, and nothing compares times of two machines. docs/formats.md is the
// contract of each file.
//
// Non-goals: it knows no prompts, models or scores, decides nothing about what
// is to be run, and has no database: what it knows is what the files say.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sextant/internal/source"
)

// Version of the record, statement and state files that this program writes.
// Files with a higher one are refused.
const Version = 1

// Run is one work directory. Its methods are safe for concurrent use.
type Run struct {
	dir   string
	fs    filesystem
	sync  *syncer
	after string // see NamedAfter
}

// Open returns the run in dir, which must exist. It writes nothing.
func Open(dir string) (*Run, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	st, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("open run %s: not a directory", dir)
	}
	return open(abs, osFS{}), nil
}

func open(dir string, fsys filesystem) *Run {
	r := &Run{dir: dir, fs: fsys}
	r.sync = newSyncer(dir, fsys)
	return r
}

// Close ends background work and makes durable what was written.
func (r *Run) Close() error { return r.sync.close() }

// Dir is the absolute path of the run.
func (r *Run) Dir() string { return r.dir }

// Name is the last element of the path: the time it was created at.
func (r *Run) Name() string { return filepath.Base(r.dir) }

// Path joins elem to the path of the run.
func (r *Run) Path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

func notWritable(dir string, err error) error {
	if isFull(err) {
		return &FullError{Path: dir, Err: err}
	}
	return &source.Diagnostic{
		Msg:  fmt.Sprintf("work dir %s is not writable: %v", dir, cause(err)),
		Hint: "name a folder that you may write to with -w",
		Err:  err,
	}
}

// cause strips the operation and path that the os package adds.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// CheckWritable reports in one sentence when the run's folder cannot be
// written to.
func (r *Run) CheckWritable() error {
	if err := r.fs.MkdirAll(r.Path("state", "tmp"), 0o777); err != nil {
		return notWritable(r.dir, err)
	}
	f, err := r.fs.OpenFile(r.tempName("probe"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return notWritable(r.dir, err)
	}
	name := f.Name()
	f.Close() // nothing was written to it
	return r.fs.Remove(name)
}

// tempAge is how old a half-written file must be to count as left behind: a
// worker on another machine may be about to rename it.
const tempAge = 10 * time.Minute

// CleanTemp removes what killed processes left half written. Only the holder
// of the lease may call it. Ages are told by the clock of the file system.
func (r *Run) CleanTemp() error {
	dir := r.Path("state", "tmp")
	if _, err := r.fs.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	probe := r.tempName("clock")
	f, err := r.fs.OpenFile(probe, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return notWritable(r.dir, err)
	}
	f.Close() // nothing was written to it
	defer func() { _ = r.fs.Remove(probe) }()
	st, err := r.fs.Stat(probe)
	if err != nil {
		return fmt.Errorf("clean %s: %w", dir, err)
	}
	now := st.ModTime()
	ents, err := r.fs.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("clean %s: %w", dir, err)
	}
	for _, e := range ents {
		if st, err := r.fs.Stat(filepath.Join(dir, e.Name())); err != nil || now.Sub(st.ModTime()) < tempAge {
			continue
		}
		if err := r.fs.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clean: %w", err)
		}
	}
	return nil
}

// checkAbbr refuses abbreviations that would leave their folder.
func checkAbbr(kind, abbr string) error {
	if abbr == "" || !filepath.IsLocal(filepath.FromSlash(abbr)) || strings.ContainsAny(abbr, "\x00\n") {
		return fmt.Errorf("%s abbreviation %q cannot be the name of a file", kind, abbr)
	}
	return nil
}

// Paths of the files of one (model, dataset); dataset may contain slashes.
func (r *Run) mainPath(model, dataset string) string {
	return r.Path("predictions", model, dataset+".jsonl")
}
func (r *Run) partsDir(model, dataset string) string {
	return r.Path("predictions", model, dataset+".records")
}
func (r *Run) supersededPath(model, dataset string) string {
	return r.Path("state", "superseded", model, dataset+".jsonl")
}
func (r *Run) badPath(model, dataset string) string {
	return r.Path("state", "bad", model, dataset+".jsonl")
}
func (r *Run) statementPath(kind, model, dataset string) string {
	return r.Path("state", kind, model, dataset+".json")
}

// PredictionsPath is predictions/<model>/<dataset>.json, absolute.
func (r *Run) PredictionsPath(model, dataset string) string {
	return r.Path("predictions", model, dataset+".json")
}

// ResultsPath is results/<model>/<dataset>.json, absolute.
func (r *Run) ResultsPath(model, dataset string) string {
	return r.Path("results", model, dataset+".json")
}

// LogPath is logs/<stage>/<model>/<dataset>.out, relative to the run.
func LogPath(stage, model, dataset string) string {
	return filepath.Join("logs", stage, model, dataset+".out")
}

var tempSeq struct {
	sync.Mutex
	n int
}

// tempName is a new name below state/tmp, different in each process of each
// machine.
func (r *Run) tempName(what string) string {
	tempSeq.Lock()
	tempSeq.n++
	n := tempSeq.n
	tempSeq.Unlock()
	return r.Path("state", "tmp", fmt.Sprintf("%s-%s-%d", what, processID(), n))
}
