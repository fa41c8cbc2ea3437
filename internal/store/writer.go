package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sextant/internal/infer"
)

// WriterOptions say how a Writer behaves. The zero value is right for a
// worker that shares the dataset with others.
type WriterOptions struct {
	// Sole says that this worker was given the whole dataset. It then appends
	// to the main file, unless another living process still has that open.
	Sole bool
	// RetryFailed makes Have answer no for rows that failed before.
	RetryFailed bool
	// FullWait is how long Put waits for space on a full disk before it gives
	// up; 0 gives up at once.
	FullWait time.Duration
	// OnFull is called when Put starts to wait for space. May be nil.
	OnFull func(error)
	// Log is told about damage in existing files. May be nil.
	Log *slog.Logger
}

// Writer takes the finished samples of one dataset from one worker. It is an
// infer.Sink and safe for concurrent use.
type Writer struct {
	run  *Run
	h    Header
	opts WriterOptions
	path string

	mu     sync.Mutex // guards the rest
	f      file
	recs   *Records           // what earlier attempts and other workers had finished at opening
	adopt  map[[16]byte]loc   // answers under other inputs, by identity: the row may have had another number
	have   map[recordKey]bool // value: failed
	err    error              // sticky: the file can no longer be trusted
	stats  WriterStats
	waited time.Duration // for space since the last write that had some: all Puts wait once, not each
	closed bool
}

var _ infer.Sink = (*Writer)(nil)

// WriterStats counts what a Writer did.
type WriterStats struct {
	Put    int // records written
	Failed int // of Put, failures
	Reused int // rows that Have found
}

// Writer opens a place for the finished samples of (h.Model, h.Dataset).
// writer names this worker's attempt, differently from any other that ever
// writes to this run; letters, digits, '-', '_' and '.'.
func (r *Run) Writer(h Header, writer string, o WriterOptions) (*Writer, error) {
	if err := errors.Join(checkAbbr("model", h.Model), checkAbbr("dataset", h.Dataset)); err != nil {
		return nil, err
	}
	if writer == "" || filepath.Base(writer) != writer {
		return nil, fmt.Errorf("writer name %q cannot be the name of a file", writer)
	}
	w := &Writer{run: r, h: h, opts: o, have: map[recordKey]bool{}, adopt: map[[16]byte]loc{}}
	if o.Sole {
		f, err := w.openMain()
		if err != nil {
			return nil, err
		}
		w.f, w.path = f, r.mainPath(h.Model, h.Dataset)
	}
	if w.f == nil {
		w.h.Writer = writer
		w.path = filepath.Join(r.partsDir(h.Model, h.Dataset), writer+".jsonl")
		f, err := w.openAppend(w.path)
		if err != nil {
			return nil, err
		}
		w.f = f
	}
	if err := w.start(); err != nil {
		w.f.Close()
		if w.recs != nil {
			w.recs.Close()
		}
		return nil, err
	}
	return w, nil
}

func (w *Writer) openAppend(path string) (file, error) {
	if err := w.run.fs.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, ioError("create folder of", path, err)
	}
	f, err := w.run.fs.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return nil, ioError("open records", path, err)
	}
	return f, nil
}

// openMain opens the main file for this worker alone. The result is nil when
// another process writes to it: the lock is no more than a courtesy between
// processes of one machine, where a worker of a killed coordinator may still
// be at work.
func (w *Writer) openMain() (file, error) {
	path := w.run.mainPath(w.h.Model, w.h.Dataset)
	for {
		f, err := w.openAppend(path)
		if err != nil {
			return nil, err
		}
		if w.run.fs.TryLock(f) {
			f.Close()
			return nil, nil
		}
		s, err := scanRecords(f, nil, func(int64, int, *rawLine) {})
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read records %s: %w", path, err)
		}
		if s.good == 0 || s.header != nil && s.header.Inputs == w.h.Inputs && s.header.Total == w.h.Total {
			return f, nil
		}
		// Answers to other questions: keep them, start afresh.
		f.Close()
		if err := w.run.supersede(w.h.Model, w.h.Dataset); err != nil {
			return nil, err
		}
	}
}

// start mends the file, writes its header and reads what is there already.
func (w *Writer) start() error {
	recs, err := w.run.Records(w.h.Model, w.h.Dataset, w.opts.Log)
	if err != nil {
		return err
	}
	w.recs = recs
	fresh := true
	for _, rf := range recs.files {
		if rf.path != w.path {
			continue
		}
		if rf.scan.torn > 0 {
			if err := w.f.Truncate(rf.scan.good); err != nil {
				return ioError("cut incomplete line of", w.path, err)
			}
		}
		fresh = rf.scan.good == 0
	}
	if fresh {
		line, err := w.h.line()
		if err != nil {
			return err
		}
		if err := w.append(context.Background(), line); err != nil {
			return err
		}
	}
	for k, at := range recs.locs {
		rf := recs.files[at.file]
		switch {
		case at.failed && w.opts.RetryFailed:
		case !rf.old && rf.header != nil && rf.header.Inputs == w.h.Inputs && rf.header.Total == w.h.Total:
			w.have[k] = at.failed
		default:
			if old, ok := w.adopt[k.id]; !ok || old.failed && !at.failed || old.failed == at.failed && at.before(old) {
				w.adopt[k.id] = at
			}
		}
	}
	recs.locs = nil
	if len(w.adopt) == 0 {
		recs.Close()
		w.adopt, w.recs = nil, nil
	}
	return nil
}

// Have reports whether the row has a record with this identity. An answer that
// was given under other inputs but to this very question counts, and is copied
// among the records of these inputs.
func (w *Writer) Have(index int, id string) bool {
	k := keyOf(index, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed, ok := w.have[k]; ok && !(failed && w.opts.RetryFailed) {
		w.stats.Reused++
		return true
	}
	at, ok := w.adopt[k.id]
	if !ok || w.closed || w.err != nil {
		return false
	}
	line, err := w.recs.line(at, nil)
	if err != nil {
		return false
	}
	l, err := parseLine(line[:len(line)-1])
	if err != nil || l.header || keyOf(index, l.id) != k {
		return false // the file has changed meanwhile
	}
	l.index = index
	err = w.append(context.Background(), l.appendCanonical(nil))
	if err != nil {
		return false // it is asked again, and Put will say what is wrong
	}
	w.have[k] = at.failed
	w.stats.Reused++
	return true
}

// HasFailed reports whether the record that Have found says that there is no
// answer.
func (w *Writer) HasFailed(index int, id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.have[keyOf(index, id)]
}

// Put appends a record. When it returns nil the record survives the death of
// this process; it survives that of the machine within syncInterval. A record
// is written even when ctx has ended: its sample is finished. The error is a
// *FullError when there is no space; what was stored before is intact.
func (w *Writer) Put(ctx context.Context, rec infer.Record) error {
	if rec.ID == "" || rec.Index < 0 {
		return fmt.Errorf("record %d of %s has no identity", rec.Index, w.h.Dataset)
	}
	line, err := appendRecord(lineBuf(), &rec)
	if err != nil {
		return err
	}
	defer freeLine(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.append(ctx, line); err != nil {
		return err
	}
	w.have[keyOf(rec.Index, rec.ID)] = rec.State == infer.Failed
	w.stats.Put++
	if rec.State == infer.Failed {
		w.stats.Failed++
	}
	return nil
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func lineBuf() []byte { return (*lines.Get().(*[]byte))[:0] }
func freeLine(b []byte) {
	if cap(b) <= 1<<20 {
		lines.Put(&b)
	}
}

// fullRetry is the pause between two tries on a full disk.
const fullRetry = 500 * time.Millisecond

// append writes one line, whole or not at all. The caller holds w.mu (or is
// still alone), so that others wait too while the disk is full.
func (w *Writer) append(ctx context.Context, line []byte) error {
	if w.closed {
		return fmt.Errorf("write records %s: closed", w.path)
	}
	if w.err != nil {
		return w.err
	}
	for {
		n, err := w.f.Write(line)
		if err == nil {
			w.waited = 0
			w.run.sync.mark(w)
			return nil
		}
		if n > 0 {
			// Take back the part that was written. A reader would skip it, but
			// the next line must begin on a new one.
			st, serr := w.f.Stat()
			if serr == nil {
				serr = w.f.Truncate(st.Size() - int64(n))
			}
			if serr != nil {
				w.err = ioError("write records", w.path, errors.Join(err, serr))
				return w.err
			}
		}
		if !isFull(err) || w.waited >= w.opts.FullWait || ctx.Err() != nil {
			return ioError("write records", w.path, err)
		}
		if w.waited == 0 && w.opts.OnFull != nil {
			w.opts.OnFull(ioError("write records", w.path, err))
		}
		t := time.NewTimer(fullRetry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		w.waited += fullRetry
	}
}

// syncFile makes the file durable; called by the syncer.
func (w *Writer) syncFile() {
	w.mu.Lock()
	f, closed := w.f, w.closed
	w.mu.Unlock()
	if closed {
		return // Close did it
	}
	if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		// Bytes that the system took and then could not store are gone, and a
		// second fsync would not say so: nothing more is put behind them.
		w.mu.Lock()
		if w.err == nil && !w.closed {
			w.err = ioError("write records", w.path, err)
		}
		w.mu.Unlock()
	}
}

// Stats counts what was done so far.
func (w *Writer) Stats() WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Close ends writing. Its error, if any, means that records of the last
// moments may be asked again.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	err := w.err
	if err == nil && w.stats.Put > 0 {
		err = ioError("write records", w.path, w.f.Sync())
	}
	if e := w.f.Close(); err == nil && e != nil {
		err = ioError("write records", w.path, e)
	}
	if w.recs != nil {
		w.recs.Close()
		w.recs = nil
	}
	return err
}
