package run

import (
	"context"
	"errors"
	"fmt"

	"sextant/internal/event"
	"sextant/internal/model"
	"sextant/internal/partition"
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/store"
	"sextant/internal/task"
)

func checkPartitioner(cfg *py.Dict) error {
	_, err := partition.New(cfg)
	return err
}

// Plan is the tasks of a stage and what of it is done already.
type Plan struct {
	Stage  string
	Tasks  []task.Task
	Skip   int      // datasets × models that are complete
	Remade []string // what is asked again, and why
}

// PlanInfer cuts the inference of what has no complete predictions yet.
func (c *Coordinator) PlanInfer(ctx context.Context) (*Plan, error) {
	plan := &Plan{Stage: task.Infer}
	if err := c.fetch(ctx); err != nil {
		return nil, err
	}
	if err := c.layOut(); err != nil {
		return nil, err
	}
	if err := c.loadTaken(); err != nil {
		return nil, err
	}
	done := map[[2]string]bool{}
	for _, pr := range c.pairs() {
		if t, ok := c.fromStation(pr); ok {
			if n := t.failed(); n > 0 && c.Opt.RetryFailed {
				// which of them failed is known, but not what exactly was asked
				plan.Remade = append(plan.Remade, fmt.Sprintf("%s/%s: the station has no answer to %s; all are asked", pr.m.Abbr, pr.d.Abbr, source.Count(n, "sample")))
				continue
			}
			done[[2]string{pr.m.Abbr, pr.d.Abbr}] = true
			plan.Skip++
			continue
		}
		st, err := c.state(ctx, pr.m, pr.d)
		if err != nil {
			return nil, err
		}
		switch {
		case st.State == store.Complete && (st.Failed == 0 || !c.Opt.RetryFailed):
			done[[2]string{pr.m.Abbr, pr.d.Abbr}] = true
			plan.Skip++
		case st.State == store.Stale:
			plan.Remade = append(plan.Remade, fmt.Sprintf("%s/%s: changed %s", pr.m.Abbr, pr.d.Abbr, join(st.Changed)))
		}
	}
	tasks, err := c.cut(c.Exp.Infer, func(m string, p partition.Part) bool { return len(done) > 0 && done[[2]string{m, p.WholeAbbr()}] })
	if err != nil {
		return nil, err
	}
	plan.Tasks = c.tasks("OpenICLInfer", c.Exp.Infer, tasks, inferGPUs)
	return plan, nil
}

// PlanEval cuts the scoring of everything that has predictions; tasks whose
// result is there already and was made from the same predictions end at once.
// What SettleAll found unfit is left out.
func (c *Coordinator) PlanEval(context.Context) (*Plan, error) {
	unfit := map[[2]string]bool{}
	for p, no := range c.unfit {
		unfit[[2]string{p.m.Abbr, p.d.Abbr}] = no
	}
	if err := c.loadTaken(); err != nil {
		return nil, err
	}
	for _, p := range c.pairs() {
		if c.resultOnly(p) {
			unfit[[2]string{p.m.Abbr, p.d.Abbr}] = true
		}
	}
	tasks, err := c.cut(c.Exp.Eval, func(m string, p partition.Part) bool { return len(unfit) > 0 && unfit[[2]string{m, p.WholeAbbr()}] })
	if err != nil {
		return nil, err
	}
	return &Plan{Stage: task.Eval, Tasks: c.tasks("OpenICLEval", c.Exp.Eval, tasks, func(*py.Dict, []partition.Part) (int, int) { return 0, 0 })}, nil
}

type pair struct {
	m *spec.Model
	d *spec.Dataset
}

// pairs is every model with every dataset that it is asked.
func (c *Coordinator) pairs() []pair {
	if c.Exp.Combinations == nil { // which have each model and each dataset once
		out := make([]pair, 0, len(c.Exp.Models)*len(c.Exp.Datasets))
		for _, m := range c.Exp.Models {
			for _, d := range c.Exp.Datasets {
				out = append(out, pair{m, d})
			}
		}
		return out
	}
	var out []pair
	seen := map[pair]bool{}
	add := func(ms []*spec.Model, ds []*spec.Dataset) {
		for _, m := range ms {
			for _, d := range ds {
				if p := (pair{m, d}); !seen[p] {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	for _, comb := range c.Exp.Combinations {
		add(comb.Models, comb.Datasets)
	}
	return out
}

func (c *Coordinator) cut(st *spec.Stage, done func(string, partition.Part) bool) ([]partition.Task, error) {
	p, err := partition.New(st.Partitioner)
	if err != nil {
		return nil, err
	}
	sizes := c.sizeFile(p)
	defer sizes.save(c)
	in := partition.Input{
		Config: c.Exp.Config, Done: done,
		Size: func(ds *py.Dict) (int, error) { return c.size(ds, sizes) },
	}
	for _, m := range c.Exp.Models {
		in.Models = append(in.Models, m.Cfg)
	}
	for _, d := range c.Exp.Datasets {
		in.Datasets = append(in.Datasets, d.Cfg)
	}
	for _, comb := range c.Exp.Combinations {
		var pc partition.Combination
		for _, m := range comb.Models {
			pc.Models = append(pc.Models, m.Cfg)
		}
		for _, d := range comb.Datasets {
			pc.Datasets = append(pc.Datasets, d.Cfg)
		}
		in.Combinations = append(in.Combinations, pc)
	}
	plan, err := p.Partition(in)
	if err != nil {
		return nil, err
	}
	return plan.Tasks(), nil
}

func (c *Coordinator) tasks(prefix string, st *spec.Stage, parts []partition.Task, gpus func(*py.Dict, []partition.Part) (int, int)) []task.Task {
	out := make([]task.Task, 0, len(parts))
	if c.Telling && !c.scripts(st) {
		for _, t := range parts {
			out = append(out, task.Task{Name: prefix + t.Abbr(), Model: t.Models[0], ModelAbbr: t.ModelName()})
		}
		return out
	}
	n := 0
	for _, t := range parts {
		n += len(t.Parts)
	}
	units := make([]task.Unit, 0, n) // of all tasks
	for _, t := range parts {
		first := len(units)
		k := task.Task{Name: prefix + t.Abbr(), Model: t.Models[0], ModelAbbr: t.ModelName()}
		k.NumGPUs, k.NumProcs = gpus(t.Models[0], t.Parts)
		for _, p := range t.Parts {
			whole := p.WholeAbbr()
			u := task.Unit{Dataset: p.Whole, Abbr: whole, Part: p.Abbr, Start: p.Start, Cuts: c.cuts[whole], Extra: t.Extra}
			if p.End > 0 {
				u.Stop = p.End
			}
			u.Cost = c.cost(whole, p)
			units = append(units, u)
		}
		k.Units = units[first:len(units):len(units)]
		out = append(out, k)
	}
	return out
}

// scripts reports whether the runner of a stage makes scripts of tasks.
func (c *Coordinator) scripts(st *spec.Stage) bool {
	r, err := c.newRunner(st)
	if err != nil {
		return true // Script says so
	}
	_, ok := r.(runner.Scripter)
	return ok
}

// cost is about how much work a part is, in requests; an answer that has to be
// generated counts as the partitioner has it.
func (c *Coordinator) cost(abbr string, p partition.Part) int {
	f := c.sets[abbr]
	if f == nil {
		return 0
	}
	stop := f.rows
	if p.End > 0 {
		stop = min(stop, p.End)
	}
	return max(stop-p.Start, 0) * partition.RowCost(p.Whole, c.Exp.Infer.Partitioner.Int("gen_task_coef", 20))
}

// inferGPUs is how many accelerators a model wants (run_cfg). A model that
// this program computes itself needs none.
func inferGPUs(m *py.Dict, _ []partition.Part) (gpus, procs int) {
	if cl, err := model.Classes.Lookup(m.Str("type")); err == nil && cl.Local {
		return 0, 0
	}
	rc := m.Dict("run_cfg")
	if rc == nil {
		return 0, 0
	}
	return rc.Int("num_gpus", 0), rc.Int("num_procs", 1)
}

func join(s []string) string {
	out := ""
	for i, x := range s {
		if i > 0 {
			out += ", "
		}
		out += x
	}
	return out
}

// Execute hands the tasks of a plan to the stage's runner.
func (c *Coordinator) Execute(ctx context.Context, plan *Plan) (runner.Report, error) {
	if len(plan.Tasks) == 0 {
		return runner.Report{}, nil
	}
	st := c.Exp.Infer
	if plan.Stage == task.Eval {
		st = c.Exp.Eval
	}
	r, err := c.newRunner(st)
	if err != nil {
		return runner.Report{}, err
	}
	c.Events.Emit(event.Event{Time: c.Now(), Kind: event.StageStarted, Stage: plan.Stage, Total: len(plan.Tasks)})
	rep, err := r.Run(ctx, c.stage(plan.Stage, st, plan.Tasks), c.Events)
	c.Events.Emit(event.Event{Time: c.Now(), Kind: event.StageDone, Stage: plan.Stage})
	return rep, err
}

// Script is what the stage's runner would submit to a cluster; "" for runners
// that submit nothing.
func (c *Coordinator) Script(plan *Plan) (string, error) {
	st := c.Exp.Infer
	if plan.Stage == task.Eval {
		st = c.Exp.Eval
	}
	r, err := c.newRunner(st)
	if err != nil {
		return "", err
	}
	s, ok := r.(runner.Scripter)
	if !ok || len(plan.Tasks) == 0 {
		return "", nil
	}
	return s.Script(c.stage(plan.Stage, st, plan.Tasks))
}

// SettleAll makes the files in OpenCompass's shape of every dataset whose
// records are complete, as after a coordinator that died before it could.
//
// With inferred set, inference was just part of this session: predictions that
// lack rows or were made from other inputs than this config's belong to a task
// that failed, and are not scored. Otherwise what is there is scored as it is,
// and Warn says in what it differs from the config.
func (c *Coordinator) SettleAll(ctx context.Context, inferred bool) error {
	if err := c.fetch(ctx); err != nil {
		return err
	}
	if err := c.layOut(); err != nil {
		return err
	}
	if err := c.loadTaken(); err != nil {
		return err
	}
	c.unfit = map[pair]bool{}
	for _, p := range c.pairs() {
		st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
		if err != nil {
			return err
		}
		c.mu.Lock()
		fresh := c.new[[2]string{p.m.Abbr, p.d.Abbr}]
		c.mu.Unlock()
		if st.Foreign || fresh && st.Settled {
			continue
		}
		if st.State == store.Missing {
			c.unfit[p] = inferred && !c.resultOnly(p)
			continue
		}
		now, in, err := c.compareWith(ctx, p, st, !inferred)
		if err != nil {
			return err
		}
		if now.State != store.Complete {
			if inferred {
				c.unfit[p] = true
				continue
			}
			in = nil
		}
		if st.Settled && in == nil || now.Settled {
			continue
		}
		_, err = c.Run.Settle(p.m.Abbr, p.d.Abbr, in, c.Log)
		var inc *store.IncompleteError
		if err != nil && !errors.As(err, &inc) { // incomplete: its evaluation says so
			return err
		}
	}
	return nil
}

// compare is compareWith for the predictions as they are now.
func (c *Coordinator) compare(ctx context.Context, p pair) (now store.Status, want *store.Inputs, err error) {
	st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
	if err != nil || st.Foreign || st.State == store.Missing {
		return st, nil, err
	}
	c.mu.Lock()
	fresh := c.new[[2]string{p.m.Abbr, p.d.Abbr}]
	c.mu.Unlock()
	return c.compareWith(ctx, p, st, !fresh)
}

// compareWith says how far predictions whose status is st are under the inputs
// that this run wants, and which those are. With warn set it warns, once, of
// those that were made from others.
func (c *Coordinator) compareWith(ctx context.Context, p pair, st store.Status, warn bool) (store.Status, *store.Inputs, error) {
	want, err := c.wanted(ctx, p.m, p.d, st)
	if err != nil {
		return st, nil, err
	}
	now, err := c.Run.Status(p.m.Abbr, p.d.Abbr, &want)
	if err != nil {
		return st, nil, err
	}
	msg := fmt.Sprintf("the predictions of %s/%s were made before the config changed (%s); they are taken as they are", p.m.Abbr, p.d.Abbr, join(now.Changed))
	if warn && now.State != store.Complete && len(now.Changed) > 0 && !c.warned[msg] {
		c.warned[msg] = true
		c.Warn(errors.New(msg))
	}
	return now, &want, nil
}
