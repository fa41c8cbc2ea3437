package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/dataset/source"
	"sextant/internal/event"
	"sextant/internal/model"
	"sextant/internal/pyconf"
	"sextant/internal/run"
	"sextant/internal/runner"
	"sextant/internal/spec"
	"sextant/internal/station"
	"sextant/internal/store"
	"sextant/internal/task"
	"sextant/internal/term"

	_ "sextant/internal/model/engine"   // registers the Hugging Face classes
	_ "sextant/internal/model/fake"     // registers FakeModel
	_ "sextant/internal/runner/kube"    // registers KubernetesRunner
	_ "sextant/internal/runner/local"   // registers LocalRunner
	_ "sextant/internal/runner/refused" // registers the runners that are refused
	_ "sextant/internal/runner/slurm"   // registers SlurmRunner, SlurmSequentialRunner
)

func (a *app) runCmd() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run [CONFIG.py] [options]",
		Short: "Run a config: infer, evaluate, show (the default command)",
		Long: `Run a config, or models and datasets by name: infer, evaluate, show.

Options are those of OpenCompass's run.py. With a config, options that choose
models and datasets (--models, --datasets, --hf-*, --custom-*) do nothing.`,
		Args: oneConfig,
		RunE: func(cmd *cobra.Command, args []string) error {
			config := ""
			if len(args) > 0 {
				config = strings.TrimSpace(args[0])
			}
			return a.run(cmd.Context(), f, config)
		},
	}
	f.register(cmd.Flags())
	return cmd
}

// run is `sextant run`.
func (a *app) run(ctx context.Context, f *runFlags, config string) error {
	if err := f.validate(); err != nil {
		return err
	}
	ui := a.terminal(f.Quiet, f.JSON)
	for _, n := range f.idle(config != "") {
		ui.Note("%s", n)
	}
	if w := engineWarning(); w != "" {
		ui.Warn("%s", w)
	}
	if f.DryRun { // nearly all that is made is kept to the end, which is near
		defer debug.SetGCPercent(debug.SetGCPercent(lateGC))
	}
	exp, err := a.loadExperiment(ctx, f, config)
	if err != nil {
		return err
	}
	ui.SetFiles(a.files)
	if f.ConfigVerbose {
		ui.Print(task.Named(pyconf.Dump(task.Redact(exp.Config, a.env.Environ()...))))
	}
	errs := append(task.Check(exp), run.Check(exp)...)
	if f.Mode == "all" || f.Mode == "infer" {
		errs = append(errs, task.CheckSecrets(exp)...)
	}
	if f.Mode == "all" || f.Mode == "eval" {
		errs = append(errs, run.CheckEval(exp)...)
	}
	missing, errs := unavailable(errs, f.DryRun)
	if len(errs) > 0 {
		return errs
	}
	st, err := a.station(f, exp)
	if err != nil {
		return err
	}
	if st == nil && f.StationOverwrite {
		ui.Note("--station-overwrite has no effect: no station is named (-sp, station_path)")
	}
	lk, err := a.newLark(f, exp, ui)
	if err != nil {
		return err
	}
	defer lk.close()
	var secrets []string
	if f.Debug { // nothing is logged here otherwise
		secrets = task.Secrets(exp.Config)
	}
	log := a.logger(f, secrets)
	workDir := f.WorkDir
	if workDir == "" {
		workDir = exp.WorkDir
	}
	if workDir == "" {
		workDir = filepath.Join("outputs", "default")
	}
	if !filepath.IsAbs(workDir) {
		workDir = filepath.Join(a.env.Cwd, workDir)
	}
	now := a.env.Now()
	c := &run.Coordinator{
		Exp: exp, Source: a.dataSource(f.Offline, ui), Model: a.modelEnv(f.Offline, f.Threads, log), Now: a.env.Now, Log: log,
		Program: "sextant " + Version(), Config: config, Note: ui.Note, Warn: ui.WarnError,
		Opt: run.Options{
			Debug: f.Debug, Offline: f.Offline, Threads: f.Threads, MaxFailedSamples: f.MaxFailedSamples,
			DumpDetails: !strings.EqualFold(f.DumpEvalDetails, "false"), DumpResLength: f.DumpResLength, DumpExtractRate: f.DumpExtractRate,
			Retry: f.Retry, RetryFailed: f.RetryFailed, Workers: max(a.env.CPUs, 1), FullWait: 30 * time.Second,
		},
	}
	c.Runner = runner.Env{
		Command: []string{a.env.Executable, "worker"}, Environ: a.env.Environ(), Getenv: a.env.Getenv, LookupEnv: a.env.LookupEnv,
		CPUs: a.env.CPUs, Dir: a.env.Cwd, Log: log,
	}
	if f.Debug {
		c.Runner.InProcess = func(ctx context.Context, m *task.Manifest, sink event.Sink) error {
			return a.executeManifest(ctx, c.Drain, m, sink, log)
		}
	}
	if f.DryRun {
		return a.dryRun(ctx, c, f, workDir, missing, st)
	}
	if f.Mode == "viz" && f.Reuse != "" {
		r, err := a.openRun(f, workDir, now)
		if err != nil {
			return err
		}
		err = c.TakeRecorded(r)
		r.Close()
		if err != nil {
			return err
		}
	}
	if f.Mode == "viz" && f.ReadFromStation {
		c.ShowOnly()
	}
	// Mistakes in the data, and models that are not there, come before a folder is made.
	if err := c.Prepare(ctx); err != nil {
		return err
	}
	asks := f.Mode == "all" || f.Mode == "infer"
	if asks && f.Reuse == "" && !f.ReadFromStation && f.DumpOnlyMessagePath == "" {
		if err := c.CheckModels(ctx, nil); err != nil {
			return err
		}
	}
	if f.DumpOnlyMessagePath != "" {
		return a.dumpMessages(ctx, c, f)
	}
	r, err := a.openRun(f, workDir, now)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.CheckWritable(); err != nil {
		return err
	}
	lease, err := r.Acquire(ctx, store.LeaseOptions{OnWait: func(who string) {
		ui.Note("run %s was last coordinated by %s; looking whether that is still alive", r.Dir(), who)
	}})
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := r.CleanTemp(); err != nil {
		return err
	}
	if err := r.ClearCancel(); err != nil {
		return err
	}
	events, err := event.OpenFile(r.Path("events.jsonl"), a.env.Now)
	if err != nil {
		return err
	}
	defer events.Close()
	c.Run, c.Epoch = r, lease.Epoch()
	c.Events = event.Tee(events, ui)
	ui.Note("run %s", a.rel(r.Dir()))
	if err := a.dumpConfig(r, exp, now); err != nil {
		return err
	}
	if err := a.readStation(ctx, c, f, st, ui); err != nil {
		return err
	}
	lk.launched()
	c.WarnElsewhere()
	if err := c.WriteOrigins(); err != nil {
		return err
	}
	ctx, drain, stop := a.interruptible(mergeContexts(ctx, lease.Context()), r, ui)
	defer stop()
	c.Drain = drain
	return a.stages(ctx, c, f, ui, st, lk)
}

// stages runs what -m asks for and says how it ended.
func (a *app) stages(ctx context.Context, c *run.Coordinator, f *runFlags, ui *term.UI, st *station.Station, lk *lark) error {
	var failed []runner.TaskReport
	stopped, unanswered := 0, 0
	begin := a.env.Now()
	c.Events.Emit(event.Event{Time: begin, Kind: event.RunStarted})
	do := func(plan *run.Plan, stage *spec.Stage) error {
		for _, s := range plan.Remade {
			ui.Note("asking again: %s", s)
		}
		if plan.Skip > 0 && len(plan.Tasks) == 0 {
			ui.Note("nothing left to %s: %d complete", plan.Stage, plan.Skip)
		}
		rep, err := c.Execute(ctx, plan)
		for _, t := range rep.Tasks {
			switch t.State {
			case task.Done:
			case task.Failed:
				failed = append(failed, t)
			default:
				stopped++
			}
		}
		if len(rep.Tasks) > 0 {
			lk.stageDone(plan.Stage, stage, rep.Tasks)
		}
		return err
	}
	if f.Mode == "all" || f.Mode == "infer" {
		plan, err := c.PlanInfer(ctx)
		if err == nil && (f.Reuse != "" || f.ReadFromStation) { // what is complete needs no model
			err = c.CheckModels(ctx, plan.Asked())
		}
		if err != nil {
			return a.cutOff(ctx, c, err)
		}
		if err := do(plan, c.Exp.Infer); err != nil {
			return a.ended(ctx, c, err)
		}
	}
	if isClosed(c.Drain) {
		return a.ended(ctx, c, context.Canceled)
	}
	if f.Mode == "all" || f.Mode == "eval" {
		if err := c.SettleAll(ctx, f.Mode == "all"); err != nil {
			return a.cutOff(ctx, c, err)
		}
		plan, err := c.PlanEval(ctx)
		if err != nil {
			return a.cutOff(ctx, c, err)
		}
		if err := do(plan, c.Exp.Eval); err != nil {
			return a.ended(ctx, c, err)
		}
	}
	if isClosed(c.Drain) {
		return a.ended(ctx, c, context.Canceled)
	}
	var notes []string
	for _, t := range failed {
		notes = append(notes, fmt.Sprintf("%s failed: %s", t.Name, t.Failure.Error()))
	}
	code := ExitOK
	if err := a.saveStation(ctx, c, f, st, ui); err != nil {
		// the tables are there: they are shown all the same
		notes = append(notes, err.Error())
		ui.Error(err)
		code = ExitFailure
	}
	if f.Mode != "infer" {
		s, err := c.Summarize(ctx, a.env.Now(), !f.NoReport, notes)
		if err != nil {
			return a.cutOff(ctx, c, err)
		}
		c.Events.Emit(event.Event{Time: a.env.Now(), Kind: event.RunDone, Seconds: a.env.Now().Sub(begin).Seconds()})
		ui.Close()
		ui.Table(s.Out.Tables...)
		if unanswered = s.Failed; s.Failed > 0 && code == ExitOK {
			code = ExitSamples
		}
		for _, p := range s.Files {
			if strings.HasSuffix(p, ".txt") || strings.HasSuffix(p, ".csv") || strings.HasSuffix(p, ".md") {
				ui.Note("table:  %s", a.rel(p))
				lk.summarized(p)
				break
			}
		}
		if s.Report != "" {
			ui.Note("report: %s", a.rel(s.Report))
		}
		if f.AnalysisRepeat {
			if code, err = a.repetitions(ctx, c, ui, code); err != nil {
				return err
			}
		}
		if s.Missing > 0 && len(failed) == 0 {
			ui.Warn("%d results are missing; run with -r to go on", s.Missing)
			code = ExitTaskFailed
		}
		if s.Errors > 0 {
			ui.Warn("evaluations that ended with an error in place of a score: %d; below the table is why", s.Errors)
			code = ExitTaskFailed
		}
	} else {
		c.Events.Emit(event.Event{Time: a.env.Now(), Kind: event.RunDone, Seconds: a.env.Now().Sub(begin).Seconds()})
		ui.Close()
		ui.Note("predictions: %s", a.rel(c.Run.Path("predictions")))
		n, err := c.Unanswered()
		if err != nil {
			return err
		}
		if unanswered = n; n > 0 {
			code = ExitSamples
		}
	}
	if unanswered > 0 && len(failed) == 0 && stopped == 0 {
		ui.Warn("samples without an answer: %d; to ask them again: sextant … -r %s --retry-failed", unanswered, c.Run.Name())
	}
	if len(failed) > 0 {
		a.tellFailures(c, ui, failed)
		return silent(ExitTaskFailed)
	}
	if stopped > 0 {
		return a.ended(ctx, c, context.Canceled)
	}
	if code != ExitOK {
		return silent(code)
	}
	return nil
}

// tellFailures lists failed tasks, those of one cause together.
func (a *app) tellFailures(c *run.Coordinator, ui *term.UI, failed []runner.TaskReport) {
	type cause struct {
		f *task.Failure
		t []runner.TaskReport
	}
	var causes []*cause
next:
	for _, t := range failed {
		for _, x := range causes {
			if x.f.Same(t.Failure) {
				x.t = append(x.t, t)
				continue next
			}
		}
		causes = append(causes, &cause{t.Failure, []runner.TaskReport{t}})
	}
	for _, x := range causes {
		t := x.t[0]
		what := t.Name
		if len(x.t) > 1 {
			what = fmt.Sprintf("%s and %d more tasks", t.Name, len(x.t)-1)
		}
		msg := fmt.Sprintf("%s failed: %s", what, x.f.Message)
		if x.f.Hint != "" {
			msg += "\n  hint: " + x.f.Hint
		}
		if t.Log != "" {
			msg += "\n  log: " + a.rel(c.Run.Path(t.Log))
		}
		ui.Error(errors.New(msg))
	}
	ui.Note("what was finished is kept; to go on: sextant … -r %s", c.Run.Name())
}

// ended words the end of a run that did not come to its end.
func (a *app) ended(ctx context.Context, c *run.Coordinator, err error) error {
	var full *store.FullError
	if errors.As(err, &full) {
		return err
	}
	if isClosed(c.Drain) || ctx.Err() != nil || errors.Is(err, context.Canceled) {
		if cause := context.Cause(ctx); cause != nil && errors.Is(cause, store.ErrLeaseLost) {
			return cause
		}
		return &exitError{code: ExitInterrupted, err: errors.New("stopped; what was finished is kept"),
			hint: fmt.Sprintf("to go on, run the same command with -r %s", c.Run.Name())}
	}
	return err
}

// cutOff is ended where err says that a second request to stop came while the
// coordinator itself was working, and err otherwise.
func (a *app) cutOff(ctx context.Context, c *run.Coordinator, err error) error {
	if errors.Is(err, context.Canceled) {
		return a.ended(ctx, c, err)
	}
	return err
}

// interruptible gives a context for two requests to stop: the first closes
// drain, the second ends the context. `sextant cancel` counts as the first.
func (a *app) interruptible(ctx context.Context, r *store.Run, ui *term.UI) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	drain := make(chan struct{})
	interrupts := a.env.interrupts()
	go func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		draining := false
		for {
			select {
			case <-interrupts:
				if draining {
					cancel(errors.New("interrupted twice"))
					return
				}
				ui.Note("stopping: finishing what is in flight (once more to stop at once)")
			case <-t.C:
				if draining || !r.CancelRequested() {
					continue
				}
				ui.Note("stopping: `sextant cancel` asked for it")
			case <-ctx.Done():
				return
			}
			if !draining {
				draining = true
				close(drain)
			}
		}
	}()
	return ctx, drain, func() { cancel(context.Canceled) }
}

func mergeContexts(a, b context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(a)
	context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx
}

// openRun makes a new run or opens the one that -r names.
func (a *app) openRun(f *runFlags, workDir string, now time.Time) (*store.Run, error) {
	if f.Reuse == "" {
		if (f.Mode == "eval" || f.Mode == "viz") && !f.ReadFromStation {
			return nil, &exitError{code: ExitUsage, err: fmt.Errorf("-m %s works on an earlier run", f.Mode), hint: "name it with -r TIME, take the last one with -r, or take results from a station with --read-from-station"}
		}
		r, err := store.Create(workDir, now)
		if err == nil && r.NamedAfter() != "" {
			a.terminal(f.Quiet, f.JSON).Note("the clock is behind that of run %s: this one is called %s, so that it comes after it", r.NamedAfter(), r.Name())
		}
		return r, err
	}
	r, err := store.Resolve(workDir, f.Reuse)
	var none *store.NothingToResumeError
	if errors.As(err, &none) {
		none.WorkDir = a.rel(none.WorkDir)
	}
	if none != nil || errors.Is(err, fs.ErrNotExist) {
		return nil, &exitError{code: ExitUsage, err: err, hint: hintOf(err)}
	}
	return r, err
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// dumpConfig writes the config of this session into the run, without secrets.
func (a *app) dumpConfig(r *store.Run, exp *spec.Experiment, now time.Time) error {
	cfg := task.Redact(exp.Config, a.env.Environ()...).Copy()
	cfg.Set("work_dir", r.Dir())
	name := fmt.Sprintf("%s_%d.py", now.Format(store.TimeLayout), a.env.Pid)
	return r.WriteFile(filepath.Join("configs", name), []byte(task.Named(pyconf.Dump(cfg))))
}

func (a *app) dataSource(offline bool, ui *term.UI) *source.Finder {
	return source.New(source.Options{
		Dir: a.env.Cwd, Home: a.env.HomeDir, Getenv: a.env.Getenv, Offline: offline,
		Progress: func(p source.Progress) {
			if p.Done == 0 && ui != nil {
				ui.Note("downloading %s", p.Archive)
			}
		},
	})
}

func (a *app) modelEnv(offline bool, threads int, log *slog.Logger) model.Env {
	return model.Env{Log: log, Getenv: a.env.Getenv, Offline: offline, Threads: threads, HomeDir: a.env.HomeDir}
}

// logger writes to stderr with --debug, and nowhere without: workers keep logs
// of their own. Neither the given secrets nor those of the environment are in
// what it writes.
func (a *app) logger(f *runFlags, secrets []string) *slog.Logger {
	if f != nil && f.Debug {
		w := task.ScrubWriter(a.env.Stderr, task.JoinSecrets(secrets, task.EnvSecrets(a.env.Environ())))
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// rel is path as a user would write it from where they are.
func (a *app) rel(path string) string {
	if p, err := filepath.Rel(a.env.Cwd, path); err == nil && !strings.HasPrefix(p, "..") {
		return p
	}
	return path
}
