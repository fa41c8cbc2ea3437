package runner

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"sextant/internal/event"
)

// Variables through which a runner tells the worker it starts how they are
// connected.
const (
	// EventFDVar names an inherited file descriptor to which the worker writes
	// events as JSON lines.
	EventFDVar = "SEXTANT_EVENT_FD"
	// LifelineVar, when "1", says that standard input is a pipe whose other
	// end the runner holds as long as it lives.
	LifelineVar = "SEXTANT_LIFELINE"
	// SlotVar holds the worker's place among those that run at a time, from 0:
	// no two running workers of a stage on one machine have the same.
	SlotVar = "SEXTANT_SLOT"
)

// ErrOrphaned is the cause of the end of a worker's context when the process
// that started it is gone: what is in flight is finished, nothing new begun.
var ErrOrphaned = errors.New("the coordinator is gone")

// Attachment is a worker's connection to the runner that started it.
type Attachment struct {
	// Sink takes the worker's events; it drops them where the runner reads the
	// status file instead.
	Sink event.Sink
	// Orphaned is closed when the runner is gone.
	Orphaned <-chan struct{}

	file *event.FileSink
}

// Attach connects a worker process. stdin is its standard input.
func Attach(getenv func(string) string, stdin io.Reader, now func() time.Time) *Attachment {
	a := &Attachment{Sink: event.Discard}
	if fd, err := strconv.Atoi(getenv(EventFDVar)); err == nil && fd > 2 {
		closeOnExec(fd) // or what this worker starts would hold the pipe open
		if f := os.NewFile(uintptr(fd), "events"); f != nil {
			a.file = event.NewWriterSink(f, now)
			a.Sink = a.file
		}
	}
	orphaned := make(chan struct{})
	a.Orphaned = orphaned
	if getenv(LifelineVar) == "1" {
		go func() {
			_, _ = io.Copy(io.Discard, stdin) // ends with the pipe, however that is
			close(orphaned)
		}()
	}
	return a
}

// Context returns a context that ends with ErrOrphaned when the runner is gone.
func (a *Attachment) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-a.Orphaned:
			cancel(ErrOrphaned)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Close sends what is left.
func (a *Attachment) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}
