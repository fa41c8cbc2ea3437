package store

import (
	"errors"
	"fmt"
	"io/fs"
)

// Alive says whether a coordinator works on the run, and who it is. On
// another machine a coordinator counts as alive as long as it holds the lease:
// telling more takes watching its beat.
func (r *Run) Alive() (alive bool, who string) {
	h, err := r.readHolder()
	if err != nil || h == nil || h.Kind == "" {
		return false, ""
	}
	who = fmt.Sprintf("%s (process %d)", h.Host, h.Pid)
	if machine, _ := thisProcess(); machine == h.Machine && machine != "" {
		start, ok := processStart(h.Pid)
		return ok && start == h.Start, who
	}
	return true, who
}

func (r *Run) cancelPath() string { return r.Path("state", "cancel") }

// RequestCancel asks the run's coordinator to stop: it finishes what is in
// flight and ends.
func (r *Run) RequestCancel() error {
	return r.WriteFile("state/cancel", []byte("cancel\n"))
}

// CancelRequested reports whether RequestCancel was called since ClearCancel.
func (r *Run) CancelRequested() bool {
	_, err := r.fs.Stat(r.cancelPath())
	return err == nil
}

// ClearCancel forgets a request; a coordinator does so when it starts.
func (r *Run) ClearCancel() error {
	if err := r.fs.Remove(r.cancelPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear request to cancel: %w", err)
	}
	return nil
}
