// Package run coordinates a whole run: it looks at the data, cuts the
// experiment into tasks, hands them to runners stage by stage, and turns the
// results into tables and a report. Everything it decides is derived from
// records in the work directory, so each stage can be done alone and a run
// that was cut off goes on where it was.
//
// The main type is Coordinator; its methods Prepare, Infer, Eval and Summarize
// are the stages in order.
//
// Non-goals: it asks no model and scores nothing (workers do, package task),
// and it draws nothing (packages term and report).
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sextant/internal/dataset"
	"sextant/internal/event"
	"sextant/internal/model"
	"sextant/internal/prompt"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Options of a run. They come from flags.
type Options struct {
	Debug            bool
	Offline          bool
	Threads          int // CPU threads of each worker's engine; 0: shared out by the runner
	MaxFailedSamples int // per task; negative: no bound
	DumpDetails      bool
	DumpResLength    bool
	DumpExtractRate  bool // results say how many answers could be read
	RetryFailed      bool // ask again what failed in an earlier session of the run
	Retry            int  // tries of a failed task where its runner does not say
	FullWait         time.Duration
	Workers          int // processes for preparing; at least 1
	Env              []string
}

// Coordinator runs one experiment. Its methods are called one after another.
type Coordinator struct {
	Exp   *spec.Experiment
	Run   *store.Run // nil for a plan of a run that was not begun
	Epoch int        // of the lease
	// ReadOnly says that nothing may be written: a plan of an earlier run.
	ReadOnly bool
	// AnySize says that no size matters to the plan: none is looked up.
	AnySize bool
	// Telling says that plans are told and not executed: their tasks have no
	// units, unless the runner makes a script of them.
	Telling bool
	Opt     Options
	Source  dataset.Source
	Model   model.Env
	Runner  runner.Env
	Events  event.Sink
	Drain   <-chan struct{}
	Now     func() time.Time
	Log     *slog.Logger
	Program string // name and version, for the report
	Config  string // name of the config file, for the report
	// Note and Warn tell the user something; never nil.
	Note func(format string, args ...any)
	Warn func(err error)

	showOnly bool              // see TakeRecorded
	recorded map[string]origin // by dataset abbr

	sets   map[string]*facts // by dataset abbr
	cuts   map[string][]int  // where parts begin, by dataset abbr; see layout.go
	warned map[string]bool
	unfit  map[pair]bool       // predictions that are not to be scored, see SettleAll
	stale  map[[2]string]bool  // results that are not to be shown, see Summarize
	taken  map[[2]string]taken // what came from a results station; nil: not looked yet

	fetched bool // what workers of earlier sessions wrote elsewhere, see fetch

	mu  sync.Mutex                 // guards the rest
	ids map[string]*model.Identity // by model abbr; nil: not known
	new map[[2]string]bool         // settled in this session, by model and dataset abbr
}

// facts is what preparing learnt of a dataset.
type facts struct {
	ds      *spec.Dataset
	rows    int // selected rows, replicas included
	base    int // rows before test_range, one replica
	content string
	origin  []dataset.Origin
	idx     []int32 // by row: its number in the split, as results name it
	n       int     // replicas
	err     error
}

// Prepare reads every dataset once: whether it is there, how many rows it has,
// and whether its templates fit its columns. All mistakes come at once.
func (c *Coordinator) Prepare(ctx context.Context) error {
	c.sets, c.warned = map[string]*facts{}, map[string]bool{}
	for _, m := range c.Exp.Models {
		if cl, err := model.Classes.Lookup(m.Type); err == nil && cl.Notes != nil {
			for _, d := range cl.Notes(m.Cfg) {
				c.Warn(d)
			}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(c.Opt.Workers, 1))
	warnings := make([][]*source.Diagnostic, len(c.Exp.Datasets))
	all := make([]*facts, len(c.Exp.Datasets))
	for i, d := range c.Exp.Datasets {
		g.Go(func() error {
			f := &facts{ds: d}
			all[i] = f
			set, err := dataset.Read(gctx, d.Cfg, c.Source)
			if c.showOnly && errors.As(err, new(*dataset.MissingError)) {
				o := c.recorded[d.Abbr] // empty for a run of OpenCompass
				f.rows, f.base, f.content, f.origin, f.n = o.Rows, o.Rows, o.Content, o.Files, 1
				return nil
			}
			if err != nil {
				f.err = err
				return gctx.Err()
			}
			f.rows, f.base, f.content, f.origin = len(set.Test), set.Base(), set.Content, set.Origin
			f.n, f.idx = max(set.N, 1), make([]int32, len(set.Test))
			for k, row := range set.Test {
				f.idx[k] = int32(row.Int("idx", k))
			}
			warnings[i] = append(warnings[i], set.Warnings...)
			if f.rows == 0 {
				w := source.Errorf(d.Cfg.PosOf("path"), "dataset %q has no rows: nothing is asked, and its score means nothing", d.Abbr)
				if rc := d.Cfg.Dict("reader_cfg"); rc.Has("test_range") && f.base > 0 {
					w = source.Errorf(rc.PosOf("test_range"), "test_range %s takes none of the %d rows of dataset %q: nothing is asked, and its score means nothing",
						py.Str(rc.Get("test_range")), f.base, d.Abbr)
				}
				warnings[i] = append(warnings[i], w)
			}
			if ev := d.Eval.Dict("evaluator"); set.Output == "" && registry.Base(ev.Str("type")) == "AccEvaluator" {
				pos := d.Cfg.At
				if rc := d.Cfg.Dict("reader_cfg"); rc.Has("output_column") {
					pos = rc.PosOf("output_column")
				}
				warnings[i] = append(warnings[i], source.Errorf(pos, "dataset %q names no output_column: AccEvaluator has nothing to compare answers with, and will give an error in place of a score", d.Abbr))
			}
			b, err := prompt.New(d.Infer, set)
			if err != nil {
				f.err = err
				return nil
			}
			for _, u := range b.UnknownFields() {
				warnings[i] = append(warnings[i], u.Warning())
			}
			f.err = c.preview(d, set)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var errs source.List
	seen := map[source.Pos]bool{}
	for i, f := range all {
		c.sets[f.ds.Abbr] = f
		for _, w := range warnings[i] {
			if !seen[w.Pos] {
				seen[w.Pos] = true
				c.Warn(w)
			}
		}
		if f.err == nil {
			continue
		}
		ds := source.Diagnostics(f.err)
		if len(ds) == 0 {
			msg := strings.TrimPrefix(f.err.Error(), "read dataset "+f.ds.Abbr+": ")
			d := &source.Diagnostic{Pos: f.ds.Cfg.PosOf("path"), Msg: fmt.Sprintf("dataset %q: %s", f.ds.Abbr, msg), Err: f.err}
			if fl := task.Classify(f.err); fl != nil {
				d.Hint = fl.Hint
			}
			ds = []*source.Diagnostic{d}
		}
		for _, d := range ds {
			if d.Pos != 0 && seen[d.Pos] {
				continue
			}
			seen[d.Pos] = true
			errs = append(errs, d)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// identity is what a model is as far as its class can say without opening it;
// nil where it cannot.
func (c *Coordinator) identity(ctx context.Context, m *spec.Model) (*model.Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.ids[m.Abbr]; ok {
		return id, nil
	}
	cl, err := model.Classes.Lookup(m.Type)
	var id *model.Identity
	if err == nil && cl.Identify != nil {
		x, err := cl.Identify(ctx, m.Cfg, c.Model)
		if err != nil {
			return nil, err
		}
		if x != (model.Identity{}) {
			id = &x
		}
	}
	if c.ids == nil {
		c.ids = map[string]*model.Identity{}
	}
	c.ids[m.Abbr] = id
	return id, nil
}

// wanted is what this run wants the answers of m to d to be made from. What
// only opening the model could tell is taken to be as the records of st say,
// if those name the same model.
func (c *Coordinator) wanted(ctx context.Context, m *spec.Model, d *spec.Dataset, st store.Status) (store.Inputs, error) {
	id, err := c.identity(ctx, m)
	if err != nil {
		return store.Inputs{}, err
	}
	if id == nil {
		id = &st.Inputs.Model
		if name := m.Cfg.Str("path"); name != "" && name != id.Name {
			id = &model.Identity{Name: name}
		}
	}
	return task.Inputs(c.sets[d.Abbr].content, d.Cfg, m.Cfg, *id, c.cuts[d.Abbr])
}

// state is how far a dataset's inference on a model is, under the inputs that
// this run wants.
func (c *Coordinator) state(ctx context.Context, m *spec.Model, d *spec.Dataset) (store.Status, error) {
	if c.Run == nil {
		return store.Status{State: store.Missing}, nil
	}
	st, err := c.Run.Status(m.Abbr, d.Abbr, nil)
	if err != nil || st.State == store.Missing || st.Foreign {
		return st, err
	}
	want, err := c.wanted(ctx, m, d, st)
	if err != nil {
		return st, err
	}
	return c.Run.Status(m.Abbr, d.Abbr, &want)
}

// current reports whether records of a dataset that were made from in answer
// what this run asks.
func (c *Coordinator) current(m, d string, in store.Inputs) bool {
	for _, p := range c.pairs() {
		if p.m.Abbr == m && p.d.Abbr == d {
			want, err := c.wanted(context.Background(), p.m, p.d, store.Status{Inputs: in})
			return err == nil && want == in
		}
	}
	return false
}

// group says which tasks want to be in one worker: those of a model whose
// weights the worker holds, or that share one endpoint's limits.
func group(m *py.Dict) string {
	cl, err := model.Classes.Lookup(m.Str("type"))
	if err != nil || cl.Spread {
		return ""
	}
	if cl.Local {
		return "local"
	}
	if rc := m.Dict("run_cfg"); rc != nil && rc.Int("num_gpus", 0) > 0 {
		return ""
	}
	return "endpoint " + m.Str("type") + " " + m.Str("path") + " " + py.Str(m.Get("openai_api_base"))
}

// newRunner makes the runner of a stage.
func (c *Coordinator) newRunner(st *spec.Stage) (runner.Runner, error) {
	cl, err := runner.Classes.Lookup(st.Runner.Str("type"))
	if err != nil {
		return nil, task.Unknown(st.Runner, err)
	}
	r, notes, err := cl.New(st.Runner, c.Runner)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		if !c.warned[n] {
			if c.warned == nil {
				c.warned = map[string]bool{}
			}
			c.warned[n] = true
			c.Note("%s", n)
		}
	}
	return r, nil
}

func (c *Coordinator) stage(name string, st *spec.Stage, tasks []task.Task) *runner.Stage {
	retries, taskCfg := c.Opt.Retry, st.Task
	if name == task.Eval && c.Opt.DumpExtractRate {
		taskCfg = taskCfg.Copy()
		taskCfg.Set("cal_extract_rate", true)
	}
	if n, ok := st.Runner.Get("retry").(int); ok {
		retries = n
	}
	return &runner.Stage{
		Name: name, Run: c.Run, Epoch: c.Epoch, Tasks: tasks, Drain: c.Drain, Group: group,
		Policy:  runner.Policy{Retries: retries},
		Current: c.current,
		Settled: func(m, d string, _ store.Settled) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.new == nil {
				c.new = map[[2]string]bool{}
			}
			c.new[[2]string{m, d}] = true
		},
		Options: task.Options{
			Debug: c.Opt.Debug, DumpDetails: c.Opt.DumpDetails || py.Truth(taskCfg.Get("dump_details")), DumpResLength: c.Opt.DumpResLength, Offline: c.Opt.Offline,
			Threads: c.Opt.Threads, MaxFailedSamples: c.Opt.MaxFailedSamples, RetryFailed: c.Opt.RetryFailed,
			FullWait: int(c.Opt.FullWait / time.Second), Env: c.Opt.Env, TaskCfg: taskCfg,
		},
	}
}
