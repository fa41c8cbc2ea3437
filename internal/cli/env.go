// Package cli is the command line: one file per command, the environment that
// commands see, and the table of exit codes.
//
// The outside world (arguments, variables, folder, streams, clock, signals)
// arrives in one Env, built in main and faked in tests; nothing below reads
// it from the os package. Commands say what they do on stderr through package
// term and put results on stdout.
//
// Taken from others: the one-struct environment of grafana/k6 (cmd/state),
// txtar scripts as in cmd/go and FiloSottile/age.
package cli

import (
	"context"
	"io"
	"time"
)

// Env is the outside world.
type Env struct {
	Args   []string // without the program's name
	Getenv func(string) string
	// LookupEnv tells an empty variable from one that is not set.
	LookupEnv func(string) (string, bool)
	// Environ lists all variables ("K=V"), for child processes.
	Environ func() []string
	Cwd     string
	HomeDir string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// StdoutTTY and StderrTTY say whether the streams are terminals, Width how
	// many columns the terminal has (0: not known).
	StdoutTTY, StderrTTY bool
	Width                int
	Now                  func() time.Time
	Executable           string // path of this program, for worker processes
	Host                 string
	Pid                  int
	User                 func() string // name of the account; may be nil
	CPUs                 int           // processors this process may use
	// Interrupts gives the channel that delivers SIGINT, SIGTERM and SIGHUP. A command that
	// has something to finish calls it, once; until then they end the process. nil in tests
	// that send none.
	Interrupts func() <-chan struct{}
	// PostLimit is how long one message to a chat may take, and the last ones
	// together at the end; 0: notify.Limit.
	PostLimit time.Duration
	Ctx       context.Context
}
