package runner

import (
	"context"
	"log/slog"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Env is what runners need of the outside world.
type Env struct {
	// Command starts a worker on this machine: the path of a manifest is
	// appended to it.
	Command []string
	Environ []string // variables, K=V
	Getenv  func(string) string
	// LookupEnv tells an empty variable from one that is not set.
	LookupEnv func(string) (string, bool)
	CPUs      int    // processors this process may use
	Dir       string // current folder
	Log       *slog.Logger
	// InProcess, when set, executes manifests in this process: --debug.
	InProcess func(ctx context.Context, m *task.Manifest, sink event.Sink) error
	DryRun    bool
}

// Class is a runner class that configs can name.
type Class struct {
	// New makes a runner from the `runner` dict of a stage. notes are things
	// the user should know, such as ignored keys. Errors are source
	// diagnostics about cfg.
	New func(cfg *py.Dict, env Env) (r Runner, notes []string, err error)
	// Elsewhere says that its workers run on other machines, so that the work
	// directory must be on a file system that they share.
	Elsewhere bool
}

// Classes are the runner classes by name.
var Classes = registry.New[Class]("runner")

// Scripter is a Runner that can show what it would submit.
type Scripter interface {
	// Script is the text that Run would hand to the cluster for a stage.
	Script(stage *Stage) (string, error)
}

// Fetcher is a Runner whose workers write to another place than the run's
// folder.
type Fetcher interface {
	// Fetch brings what workers of earlier sessions have written there into
	// the run, before it is planned what is left to do. note tells the user
	// what is waited for.
	Fetch(ctx context.Context, run *store.Run, note func(format string, args ...any)) error
}
