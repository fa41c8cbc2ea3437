package partition

import (
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
)

func init() {
	Classes.Register(newSubjectiveNaive, "SubjectiveNaivePartitioner")
	Classes.Register(newSubjectiveNumWorker, "SubjectiveNumWorkerPartitioner")
	Classes.Register(newSubjectiveSize, "SubjectiveSizePartitioner")
}

// subjective makes judging tasks: each dataset is cut for each model or pair
// of models, and each task is done by every judge, and then by a meta judge
// if there is one. Spec 4.7.
type subjective struct {
	base
	models, judges []*py.Dict
	meta           *py.Dict
	// cut makes the tasks of one dataset for models; sets is how many datasets
	// there are in all.
	cut      func(in Input, sets int, models []*py.Dict, ds *py.Dict, extra *py.Dict) ([]Task, error)
	sizePath string
}

var subjectiveOptions = []string{"models", "base_models", "compare_models", "judge_models", "meta_judge_model", "model_pairs"}

func decodeSubjective(o *options) *subjective {
	p := &subjective{base: o.base(), models: o.dicts("models"), judges: o.dicts("judge_models")}
	if v, ok := o.cfg.Lookup("meta_judge_model"); ok && py.Truth(v) {
		if p.meta, ok = v.(*py.Dict); !ok {
			o.bad(o.cfg.PosOf("meta_judge_model"), "meta_judge_model must be a dict, not %s", py.TypeName(v))
		}
	}
	return p
}

func newSubjectiveNaive(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, subjectiveOptions...)
	p := decodeSubjective(o)
	one := &naive{n: 1}
	p.cut = func(in Input, _ int, models []*py.Dict, ds, extra *py.Dict) ([]Task, error) {
		return one.tasks(in, models, wholes([]*py.Dict{ds}), extra), nil
	}
	return p, o.err()
}

func newSubjectiveNumWorker(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, append([]string{"num_worker", "num_worker_split", "min_task_size", "strategy", "dataset_size_path"}, subjectiveOptions...)...)
	p := decodeSubjective(o)
	n := o.int("num_worker", 8, 1)
	deal := numWorker{buckets: o.optInt("num_worker_split", n), least: o.int("min_task_size", 16, 0), alone: o.strategy()}
	p.sizePath = o.string("dataset_size_path", defaultSizePath)
	p.cut = func(in Input, sets int, models []*py.Dict, ds, extra *py.Dict) ([]Task, error) {
		d := deal
		d.splits = n / sets
		return d.tasks(in, models, wholes([]*py.Dict{ds}), extra)
	}
	return p, o.err()
}

func newSubjectiveSize(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, append(append([]string(nil), sizeOptions...), subjectiveOptions...)...)
	p := decodeSubjective(o)
	bySize := decodeSize(o)
	bySize.format = "[%d:%d]" // without the space, here
	p.sizePath = bySize.sizePath
	p.cut = func(in Input, sets int, models []*py.Dict, ds, extra *py.Dict) ([]Task, error) {
		s := *bySize
		s.max *= sets
		c, err := s.costs(in, []*py.Dict{ds})
		if err != nil {
			return nil, err
		}
		return s.tasks(in, models, c, extra), nil
	}
	return p, o.err()
}

// SizeCache implements SizeCacher.
func (p *subjective) SizeCache() (string, bool) { return p.sizePath, false }

// Partition implements Partitioner.
func (p *subjective) Partition(in Input) (Plan, error) {
	models := p.models
	if len(models) == 0 {
		models = in.Models
	}
	extra := p.kept(in.Config)
	var plan Plan
	if p.meta == nil {
		plan.Stages = make([][]Task, 1)
	}
	for _, ds := range in.Datasets {
		order, err := inferOrder(ds)
		if err != nil {
			return Plan{}, err
		}
		groups, err := groups(ds, models)
		if err != nil {
			return Plan{}, err
		}
		var first, second []Task
		for _, g := range groups {
			tasks, err := p.cut(in, len(in.Datasets), g, ds, extra)
			if err != nil {
				return Plan{}, err
			}
			for _, t := range tasks {
				for _, j := range p.judges {
					first = appendUnfinished(first, in, t, "judged-by--", j, py.DictOf("judge_model", j, "infer_order", order))
				}
				if p.meta != nil {
					js := py.NewList()
					for _, j := range p.judges {
						js.Append(j, j.At)
					}
					second = appendUnfinished(second, in, t, "summarized-by--", p.meta, py.DictOf("meta_judge_model", p.meta, "judge_models", js, "infer_order", order))
				}
			}
		}
		if p.meta != nil {
			plan.Stages = append(plan.Stages, first, second)
		} else {
			plan.Stages[0] = append(plan.Stages[0], first...)
		}
	}
	return plan, nil
}

// JudgedName is the folder of outputs in which judge judged models:
// "<models>_judged-by--<judge>". meta: "_summarized-by--".
func JudgedName(models []*py.Dict, judge *py.Dict, meta bool) string {
	how := "judged-by--"
	if meta {
		how = "summarized-by--"
	}
	return judgedName(models, how, judge)
}

func judgedName(models []*py.Dict, how string, judge *py.Dict) string {
	for _, m := range models {
		if strings.Contains(spec.ModelAbbr(m), how) { // it has its judge already
			return spec.ModelsAbbr(models)
		}
	}
	return spec.ModelsAbbr(models) + "_" + how + spec.ModelAbbr(judge)
}

// appendUnfinished adds the task with the given further keys, without the
// datasets that the judge is through with, unless none is left.
func appendUnfinished(to []Task, in Input, t Task, how string, judge, more *py.Dict) []Task {
	name := judgedName(t.Models, how, judge)
	var left []Part
	for _, part := range t.Parts {
		if !in.done(name, part) {
			left = append(left, part)
		}
	}
	if len(left) == 0 {
		return to
	}
	extra := t.Extra.Copy()
	for _, e := range more.Entries() {
		extra.Set(e.Key, e.Val)
	}
	return append(to, Task{t.Models, left, extra})
}

func inferOrder(ds *py.Dict) (py.Value, error) {
	switch v := ds.Get("infer_order"); v {
	case nil, "random", "double":
		return v, nil
	default:
		return nil, source.Errorf(ds.PosOf("infer_order"), "infer_order of dataset %q is %s", spec.DatasetAbbr(ds), py.Repr(v)).WithHint(`it is "random", "double" or absent`)
	}
}

// groups is the models that are judged together on a dataset, by its mode.
func groups(ds *py.Dict, models []*py.Dict) ([][]*py.Dict, error) {
	abbr := spec.DatasetAbbr(ds)
	mode := ds.Str("mode")
	var out [][]*py.Dict
	switch mode {
	case "singlescore":
		for _, m := range models {
			out = append(out, []*py.Dict{m})
		}
		return out, nil
	case "allpair", "m2n":
	case "fixed":
		return nil, source.Errorf(ds.PosOf("mode"), "mode \"fixed\" of dataset %q is not implemented", abbr).WithHint("OpenCompass does not implement it either; use m2n")
	default:
		d := source.Errorf(ds.PosOf("mode"), "dataset %q has no mode that says how it is judged", abbr)
		if ds.Has("mode") {
			d.Msg = "unknown mode " + py.Repr(ds.Get("mode")) + " of dataset " + py.Repr(abbr)
		}
		d.Hint = "modes are singlescore, m2n and allpair"
		if near := registry.Nearest(mode, []string{"singlescore", "allpair", "m2n"}); near != "" && mode != "" {
			d.Hint = "did you mean \"" + near + "\"?"
		}
		return nil, d
	}
	v, ok := ds.Lookup("base_models")
	if !ok {
		return nil, source.Errorf(ds.At, "dataset %q has mode %q but no base_models", abbr, mode).WithHint("OpenCompass asks for the key in every mode but singlescore; base_models=[] will do for allpair")
	}
	var err error
	bases := dictsOf(v, func(what string) {
		err = source.Errorf(ds.PosOf("base_models"), "base_models must be a list of dicts, not %s", what)
	})
	if err != nil {
		return nil, err
	}
	if mode == "allpair" {
		if len(models) < 2 {
			return nil, source.Errorf(ds.PosOf("mode"), "mode \"allpair\" of dataset %q needs two models or more", abbr)
		}
		for i, a := range models {
			for _, b := range models[i+1:] {
				out = append(out, []*py.Dict{a, b})
			}
		}
		return out, nil
	}
	if len(bases) == 0 || len(models) == 0 {
		return nil, source.Errorf(ds.PosOf("base_models"), "mode \"m2n\" of dataset %q needs models and base_models", abbr)
	}
	seen := map[[2]string]bool{}
	for _, a := range bases {
		for _, b := range models {
			x, y := spec.ModelAbbr(a), spec.ModelAbbr(b)
			if y < x {
				x, y = y, x
			}
			if x != y && !seen[[2]string{x, y}] {
				seen[[2]string{x, y}] = true
				out = append(out, []*py.Dict{a, b})
			}
		}
	}
	return out, nil
}
