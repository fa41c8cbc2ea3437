package cli

import (
	"fmt"
)

// The exit codes; `sextant --help` and README show this table.
const (
	ExitOK          = 0   // everything that was asked for was done
	ExitFailure     = 1   // the program or the machine failed: disk full, file not readable, …; `config diff`: a difference
	ExitUsage       = 2   // a mistake in the command line, in a config or in the data
	ExitTaskFailed  = 3   // a task failed, or an evaluator gave an error in place of a score; what was finished is kept, `-r` goes on
	ExitSamples     = 4   // all tasks finished, but some samples have no answer; the table counts them
	ExitInterrupted = 130 // stopped by Ctrl-C, SIGTERM or a closed terminal; `-r` goes on
)

var exitTable = []struct {
	code int
	text string
}{
	{ExitOK, "everything that was asked for was done"},
	{ExitFailure, "the program or the machine failed (disk full, …); config diff: the two differ"},
	{ExitUsage, "a mistake in the command line, in a config or in the data"},
	{ExitTaskFailed, "a task failed, or an evaluator gave an error in place of a score; what was finished is kept, -r goes on"},
	{ExitSamples, "all tasks finished, but some samples have no answer; the table counts them"},
	{ExitInterrupted, "stopped by Ctrl-C, SIGTERM or a closed terminal; -r goes on"},
}

// exitError is an error with the exit code that it means and, maybe, a hint.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf(format, args...)}
}
