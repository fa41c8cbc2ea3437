package event

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// FileVersion of events.jsonl.
const FileVersion = 1

// headerKind is the kind of the first line that each writer puts into an
// event file; it is no event.
const headerKind Kind = "header"

type header struct {
	V    int  `json:"v"`
	Kind Kind `json:"kind"`
}

// flushEvery is how long an event may stay in memory. Events are not records:
// losing the last of them costs nobody a sample.
const flushEvery = 100 * time.Millisecond

// maxPending bounds what waits for the disk; beyond it Emit waits.
const maxPending = 1 << 20

// FileSink appends events to a file, one JSON object a line. It has one writer
// at a time, the coordinator. Emit does not wait for the disk.
type FileSink struct {
	now func() time.Time

	mu      sync.Mutex // guards the rest
	f       io.WriteCloser
	pending []byte
	spare   []byte
	err     error
	wake    *sync.Cond
	closed  bool
	kick    chan struct{} // has one element when much is pending
	stop    chan struct{}
	done    chan struct{}
}

// OpenFile opens an event file for appending, and mends a torn last line. now
// fills in the time of events that have none.
func OpenFile(path string, now func() time.Time) (*FileSink, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		last := []byte{0}
		if _, err := f.ReadAt(last, st.Size()-1); err == nil && last[0] != '\n' {
			if _, err := f.Write([]byte("\n")); err != nil {
				f.Close()
				return nil, fmt.Errorf("open events: %w", err)
			}
		}
	}
	return newFileSink(f, now), nil
}

func newFileSink(f io.WriteCloser, now func() time.Time) *FileSink {
	s := idleSink(f, now)
	go s.loop()
	return s
}

// idleSink is a sink that nothing flushes yet.
func idleSink(f io.WriteCloser, now func() time.Time) *FileSink {
	s := &FileSink{f: f, now: now, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	s.pending, _ = json.Marshal(header{FileVersion, headerKind}) // cannot fail
	s.pending = append(s.pending, '\n')
	return s
}

// NewWriterSink writes events to w as the file has them; for pipes.
func NewWriterSink(w io.WriteCloser, now func() time.Time) *FileSink { return newFileSink(w, now) }

// Emit queues an event.
func (s *FileSink) Emit(e Event) {
	if e.Time.IsZero() {
		e.Time = s.now()
	}
	b, err := json.Marshal(e)
	if err != nil {
		return // not possible: no field fails to marshal but NaN seconds, which nobody measures
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) > maxPending && !s.closed && s.err == nil {
		s.wake.Wait()
	}
	if s.closed {
		return
	}
	if s.err != nil && len(s.pending) > maxPending {
		return // the disk is full for long: events are dropped, records are not
	}
	s.pending = append(append(s.pending, b...), '\n')
	if len(s.pending) > maxPending/4 {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

func (s *FileSink) loop() {
	defer close(s.done)
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.flush()
		case <-s.kick:
			s.flush()
		case <-s.stop:
			s.flush()
			return
		}
	}
}

// flush writes what is pending; one at a time may do so.
func (s *FileSink) flush() {
	s.mu.Lock()
	b := s.pending
	s.pending = s.spare[:0]
	s.mu.Unlock()
	var err error
	n := 0
	if len(b) > 0 {
		n, err = s.f.Write(b)
	}
	s.mu.Lock()
	s.err = err
	if err != nil {
		// Keep what was not written, whole lines of it, for the next try.
		rest := b[n:]
		if n > 0 && b[n-1] != '\n' {
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				rest = rest[i:] // the newline ends the torn line
			}
		}
		s.pending = append(append([]byte(nil), rest...), s.pending...)
	} else {
		s.spare = b[:0]
	}
	s.wake.Broadcast()
	s.mu.Unlock()
}

// Close writes what is queued and closes the file. Events emitted later are
// dropped.
func (s *FileSink) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.wake.Broadcast()
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if e := s.f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// Read reads events from r until it ends or fn returns false. Lines that are
// no events are passed over: a file may end in a torn one, or in what a later
// version of the program wrote.
func Read(r io.Reader, fn func(Event) bool) error {
	_, err := readLines(bufio.NewReaderSize(r, 1<<16), fn)
	return err
}

// readLines returns the bytes of whole lines that it read.
func readLines(br *bufio.Reader, fn func(Event) bool) (int64, error) {
	var n int64
	var long []byte
	for {
		line, err := br.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long, line...)
			continue
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		n += int64(len(line))
		var e Event
		ok := json.Unmarshal(line, &e) == nil && e.Kind != "" && e.Kind != headerKind
		long = long[:0]
		if ok && !fn(e) {
			return n, nil
		}
	}
}

// Tail calls fn with every event of the file, those already there first, and
// goes on as the file grows, until ctx ends (the error is then nil, and what was
// written until then was read) or fn returns false. The file need not exist yet. It asks for the size every poll,
// since change notices do not come from other machines.
func Tail(ctx context.Context, path string, poll time.Duration, fn func(Event) bool) error {
	var off int64
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		n, more, err := tailOnce(path, off, fn)
		if err != nil || !more {
			return err
		}
		off = n
		select {
		case <-ctx.Done():
			_, _, err := tailOnce(path, off, fn)
			return err
		case <-t.C:
		}
	}
}

func tailOnce(path string, off int64, fn func(Event) bool) (int64, bool, error) {
	f, err := os.Open(path) // anew each time: on NFS that is what shows new bytes
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, true, nil
		}
		return off, false, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return off, false, fmt.Errorf("read events: %w", err)
	}
	if st.Size() < off {
		off = 0 // begun anew
	}
	if st.Size() == off {
		return off, true, nil
	}
	more := true
	n, err := readLines(bufio.NewReaderSize(io.NewSectionReader(f, off, st.Size()-off), 1<<16), func(e Event) bool {
		more = fn(e)
		return more
	})
	if err != nil {
		return off, false, fmt.Errorf("read events: %w", err)
	}
	return off + n, more, nil
}
