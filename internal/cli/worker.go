package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"sextant/internal/event"
	"sextant/internal/mirror"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

func (a *app) workerCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "worker MANIFEST",
		Short:  "Execute the tasks of a manifest (what runners start)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(cmd *cobra.Command, args []string) error { return a.worker(cmd.Context(), args[0]) },
	}
}

// worker executes one manifest in this process. Exit codes: 0 when all units
// are done, ExitTaskFailed when one failed that may succeed when tried again,
// ExitUsage when trying again cannot help, ExitInterrupted when told to stop.
func (a *app) worker(ctx context.Context, path string) error {
	interrupts := a.env.interrupts()
	if _, _, ok := mirror.ParseRef(path); ok {
		return a.remoteWorker(ctx, path, interrupts)
	}
	m, err := task.ReadManifest(path, a.env.Getenv)
	if err != nil {
		return err
	}
	return a.work(ctx, m, interrupts)
}

// remoteWorker is worker where an object store stands between this machine and
// the run.
func (a *app) remoteWorker(ctx context.Context, ref string, interrupts <-chan struct{}) error {
	log := slog.New(slog.NewTextHandler(task.ScrubWriter(a.env.Stderr, task.EnvSecrets(a.env.Environ())), nil))
	fetching, stop := context.WithCancel(ctx)
	defer stop()
	fetched, heard := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(heard)
		select {
		case <-interrupts:
			stop()
		case <-fetched:
		}
	}()
	w, err := mirror.Fetch(fetching, ref, mirror.WorkerOptions{Getenv: a.env.Getenv, Log: log})
	close(fetched)
	<-heard
	if fetching.Err() != nil {
		if err == nil {
			w.Discard()
		}
		return &exitError{code: ExitInterrupted, err: errors.New("told to stop")}
	}
	if err != nil {
		// what it lacks may be there when it is started again
		return withCode(ExitTaskFailed, err)
	}
	w.Start()
	werr := a.work(ctx, w.Manifest(), interrupts)
	if err := w.Close(context.WithoutCancel(ctx)); err != nil {
		return withCode(ExitTaskFailed, errors.Join(err, werr))
	}
	return werr
}

// withCode is err with an exit code, and with its hint.
func withCode(code int, err error) error {
	e := &exitError{code: code, err: err}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		e.hint = h.Hint()
	}
	return e
}

// workerLog is the log of a worker, free of the secrets that it knows.
func (a *app) workerLog(m *task.Manifest) *slog.Logger {
	level := slog.LevelInfo
	if m.Options.Debug {
		level = slog.LevelDebug
	}
	hide := []*py.Dict{m.Model, m.Options.TaskCfg}
	for _, u := range m.Units {
		hide = append(hide, u.Dataset)
	}
	secrets := task.JoinSecrets(task.Secrets(hide...), task.EnvSecrets(a.env.Environ()))
	return slog.New(slog.NewTextHandler(task.ScrubWriter(a.env.Stderr, secrets), &slog.HandlerOptions{Level: level}))
}

// work executes a manifest until it is done or told to stop.
func (a *app) work(ctx context.Context, m *task.Manifest, interrupts <-chan struct{}) error {
	log := a.workerLog(m)
	at := runner.Attach(a.env.Getenv, a.env.Stdin, a.env.Now)
	defer at.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(context.Canceled)
	drain := make(chan struct{})
	go func() {
		// The first request to stop, or the end of the coordinator, lets what
		// is in flight finish; the second request ends it.
		select {
		case <-interrupts:
			log.Info("told to stop: finishing what is in flight")
		case <-at.Orphaned:
			log.Info("the coordinator is gone: finishing what is in flight")
		case <-ctx.Done():
			return
		}
		close(drain)
		select {
		case <-interrupts:
			cancel(errors.New("told to stop twice"))
		case <-ctx.Done():
		}
	}()
	log.Info("worker started", "id", m.ID, "attempt", m.Attempt, "stage", m.Stage, "model", m.ModelAbbr, "units", len(m.Units), "program", Version())
	return a.executeManifest(ctx, drain, m, at.Sink, log)
}

// executeManifest does what a manifest says in this process.
func (a *app) executeManifest(ctx context.Context, drain <-chan struct{}, m *task.Manifest, sink event.Sink, log *slog.Logger) error {
	r, err := store.Open(m.Run)
	if err != nil {
		return err
	}
	defer r.Close()
	rep := task.NewReporter(r, m, a.env.Host, a.env.Pid, task.BeatInterval)
	d := task.Deps{
		Run: r, Source: a.dataSource(m.Options.Offline, nil), Env: a.modelEnv(m.Options.Offline, m.Options.Threads, log),
		Events: sink, Now: a.env.Now, Log: log, Drain: drain, Secrets: task.EnvSecrets(a.env.Environ()),
	}
	f := task.Execute(ctx, m, d, rep)
	state := task.Done
	switch {
	case f != nil:
		state = task.Failed
	case ctx.Err() != nil || isClosed(drain):
		state = task.Stopped
	}
	if err := rep.Finish(state, f); err != nil {
		log.Error("status not written", "error", err)
	}
	switch state {
	case task.Failed:
		// Kubernetes restarts a worker unless its exit code says that this
		// cannot help.
		code := ExitUsage
		for _, u := range rep.Snapshot().Units {
			if u.Error != nil && u.Error.Retryable() {
				code = ExitTaskFailed
			}
		}
		if f.Retryable() {
			code = ExitTaskFailed
		}
		return &exitError{code: code, err: errors.New(f.Message), hint: f.Hint}
	case task.Stopped:
		return &exitError{code: ExitInterrupted, err: errors.New("told to stop")}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
