package run

import (
	"context"
	"slices"

	"sextant/internal/dataset"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/summary"
	"sextant/internal/task"
)

// taskClasses are the task classes that configs name, by stage.
var taskClasses = registry.New[string]("task")

func init() {
	taskClasses.Register(task.Infer, "OpenICLInferTask", "OpenICLInferConcurrentTask")
	taskClasses.Register(task.Eval, "OpenICLEvalTask", "OpenICLEvalWatchTask")
}

// Check finds mistakes in the stages of an experiment: partitioners, runners
// and tasks that do not exist or whose options are wrong.
func Check(e *spec.Experiment) source.List {
	var errs source.List
	for _, s := range []struct {
		name string
		st   *spec.Stage
	}{{task.Infer, e.Infer}, {task.Eval, e.Eval}} {
		if err := checkPartitioner(s.st.Partitioner); err != nil {
			errs = append(errs, source.Diagnostics(err)...)
		}
		if _, err := runner.Classes.Lookup(s.st.Runner.Str("type")); err != nil {
			errs = append(errs, task.Unknown(s.st.Runner, err))
		}
		errs = append(errs, checkRunner(s.st.Runner)...)
		kind, err := taskClasses.Lookup(s.st.Task.Str("type"))
		if err != nil {
			errs = append(errs, task.Unknown(s.st.Task, err))
		} else if kind != s.name {
			errs = append(errs, source.Errorf(s.st.Task.PosOf("type"), "%s is a task of the %s stage, not of %s", registry.Base(s.st.Task.Str("type")), kind, s.name))
		}
	}
	if t := e.Summarizer.Str("type"); t != "" {
		if _, err := summary.Classes.Lookup(t); err != nil {
			errs = append(errs, task.Unknown(e.Summarizer, err))
		}
	}
	return errs
}

// runnerKeys are the keys of runner dicts, of one class or another. Runners
// take any key, as those of OpenCompass do; a slip is told from a key that
// means something elsewhere.
var runnerKeys = []string{"type", "task", "max_num_workers", "max_workers_per_gpu", "debug", "lark_bot_url", "keep_tmp_file", "retry",
	"partition", "quotatype", "qos", "concurrent_users", "aliyun_cfg", "volcano_cfg", "queue_name", "preemptible", "priority", "rjob_cfg"}

func checkRunner(cfg *py.Dict) source.List {
	var errs source.List
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		if n := registry.Nearest(k, runnerKeys); n != "" && n != k && !cfg.Has(n) {
			errs = append(errs, source.Errorf(cfg.KeyPosOf(k), "%s has no option %s", registry.Base(cfg.Str("type")), k).WithHint("did you mean %q?", n))
		}
	}
	for k, least := range map[string]int{"max_num_workers": 1, "max_workers_per_gpu": 1, "retry": 0} {
		v, ok := cfg.Lookup(k)
		if !ok {
			continue
		}
		if n, isInt := v.(int); !isInt {
			errs = append(errs, source.Errorf(cfg.PosOf(k), "%s must be a whole number, not %s", k, py.TypeName(v)))
		} else if n < least {
			errs = append(errs, source.Errorf(cfg.PosOf(k), "%s must be at least %d, not %d", k, least, n))
		}
	}
	slices.SortStableFunc(errs, func(a, b *source.Diagnostic) int { return int(a.Pos) - int(b.Pos) })
	return errs
}

// CheckModels finds models whose files are not on this machine, at the place in
// the config that names them. which says which models are asked; nil: all.
// Where tasks run elsewhere the files may be there: then it is a note.
func (c *Coordinator) CheckModels(ctx context.Context, which func(abbr string) bool) error {
	var errs source.List
	seen := map[source.Pos]bool{}
	here := registry.Base(c.Exp.Infer.Runner.Str("type")) == "LocalRunner"
	for _, m := range c.Exp.Models {
		cl, err := model.Classes.Lookup(m.Type)
		if err != nil || cl.Present == nil || which != nil && !which(m.Abbr) {
			continue
		}
		err = cl.Present(ctx, m.Cfg, c.Model)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, d := range source.Diagnostics(err) {
			switch {
			case d.Pos != 0 && seen[d.Pos]:
			case here:
				errs = append(errs, d)
			default:
				c.Note("%s; on the machines of %s it may be there", d.Msg, registry.Base(c.Exp.Infer.Runner.Str("type")))
			}
			seen[d.Pos] = true
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// Asked says which models the tasks of a plan ask.
func (p *Plan) Asked() func(abbr string) bool {
	names := map[string]bool{}
	for _, t := range p.Tasks {
		names[t.ModelAbbr] = true
	}
	return func(abbr string) bool { return names[abbr] }
}

// preview lays the first row of a dataset out for every model that is asked
// it, to find what is wrong with templates before anything is started.
func (c *Coordinator) preview(d *spec.Dataset, set *dataset.Set) error {
	if len(set.Test) == 0 {
		return nil
	}
	done := map[string]bool{}
	for _, p := range c.pairs() {
		if p.d != d {
			continue
		}
		cl, err := model.Classes.Lookup(p.m.Type)
		if err != nil {
			continue // Check says so
		}
		key := p.m.Type + py.Repr(p.m.Cfg.Get("meta_template"))
		if done[key] {
			continue
		}
		done[key] = true
		if _, err := infer.Preview(&infer.Job{Class: cl, ModelCfg: p.m.Cfg, Set: set, InferCfg: d.Infer}, 0); err != nil {
			return err
		}
	}
	return nil
}

// CheckEval finds datasets that the eval stage cannot score because they name
// no evaluator.
func CheckEval(e *spec.Experiment) source.List {
	var errs source.List
	seen := map[source.Pos]bool{}
	for _, d := range e.Datasets {
		if d.Eval.Dict("evaluator") != nil || d.Eval.Has("evaluator") {
			continue // one of the wrong type is found elsewhere
		}
		pos := d.Cfg.At
		if d.Cfg.Has("eval_cfg") {
			pos = d.Cfg.PosOf("eval_cfg")
		}
		if pos != 0 && seen[pos] {
			continue
		}
		seen[pos] = true
		errs = append(errs, source.Errorf(pos, "dataset %q has no evaluator", d.Abbr).
			WithHint("give it one, such as eval_cfg=dict(evaluator=dict(type=AccEvaluator)), or run with -m infer"))
	}
	return errs
}
