// Package partition cuts an experiment into tasks: which model is asked which
// rows of which datasets, by the rules of OpenCompass 0.5.4's partitioners
// (opencompass/partitioners; spec sections 3.1 and 4).
//
// It is pure: sizes and finished outputs are asked of functions in Input, and
// nothing is read or written. A Part names its rows within the whole dataset,
// so that a record's identity does not depend on how the dataset was cut; the
// last part of a dataset is open-ended, so that a size that is out of date can
// make parts uneven but never lose a row.
//
// It does not know what runs a task, nor which outputs a task writes.
package partition

import (
	"fmt"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// Input is what is to be cut. Nothing in it is changed, and the dicts in the
// resulting tasks are shared with it: treat them as read-only.
type Input struct {
	// Config is the merged config: kept keys and rs_exist_results come from it.
	Config           *py.Dict
	Models, Datasets []*py.Dict
	// Combinations, when not nil, replaces "all models × all datasets". The
	// subjective partitioners ignore it, as OpenCompass's do.
	Combinations []Combination
	// Done reports a finished output: model is the folder it would be in
	// (abbreviations joined by "_", a judge's suffix included). nil: none is.
	Done func(model string, part Part) bool
	// Size is the number of test rows of a dataset, in one copy and before
	// test_range. It may be asked for the same dataset again and again.
	Size func(ds *py.Dict) (int, error)
}

// Combination is some models with some datasets.
type Combination struct{ Models, Datasets []*py.Dict }

// Part is a dataset of a task, or some consecutive rows of it.
type Part struct {
	// Cfg is the dataset's config; for a part, a copy with the part's abbr and
	// test_range as OpenCompass writes them.
	Cfg   *py.Dict
	Abbr  string   // name of its output: the dataset's, with _<Index> for a part
	Whole *py.Dict // the dataset's config as it was
	Index int      // -1 for the whole dataset
	// Rows of the dataset as its reader selects them (test_range applied,
	// copies one after another): Start ≤ row < End; End -1 is open.
	Start, End int
}

// WholeAbbr is the abbreviation of the dataset that the part belongs to.
func (p Part) WholeAbbr() string {
	if p.Index < 0 {
		return p.Abbr
	}
	return spec.DatasetAbbr(p.Whole)
}

// Task is the unit that runners start.
type Task struct {
	Models []*py.Dict // one, or a pair that is judged together
	Parts  []Part
	Extra  *py.Dict // further keys of the task: kept ones, judge_model …; may be empty
}

// ModelName is the folder of the task's outputs: the models' abbreviations
// joined by "_".
func (t Task) ModelName() string { return spec.ModelsAbbr(t.Models) }

// Abbr is the task's name as OpenCompass shows it: "[m/d1,m/d2]".
func (t Task) Abbr() string {
	m := t.ModelName()
	n := 2
	for i := range t.Parts {
		n += len(m) + len(t.Parts[i].Abbr) + 2
	}
	var b strings.Builder
	b.Grow(n)
	for i := range t.Parts {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(m)
		b.WriteByte('/')
		b.WriteString(t.Parts[i].Abbr)
	}
	if len(t.Parts) == 0 {
		b.WriteByte('[')
	}
	b.WriteByte(']')
	return b.String()
}

// Config is the task as OpenCompass hands it to its workers.
func (t Task) Config(workDir string) *py.Dict {
	var m py.Value
	if len(t.Models) == 1 {
		m = t.Models[0]
	} else {
		pair := py.NewTuple()
		for _, x := range t.Models {
			pair.Items = append(pair.Items, x)
		}
		m = pair
	}
	ds := py.NewList()
	for _, p := range t.Parts {
		ds.Append(p.Cfg, p.Cfg.At)
	}
	c := py.DictOf("models", py.NewList(m), "datasets", py.NewList(ds), "work_dir", workDir)
	for _, e := range t.Extra.Entries() {
		c.Set(e.Key, e.Val)
	}
	return c
}

// Plan is the tasks in order. There is one stage, but for judging with a meta
// judge, which has two for each dataset; a stage starts when the one before
// has ended.
type Plan struct{ Stages [][]Task }

// Tasks is the tasks of all stages.
func (p Plan) Tasks() []Task {
	var out []Task
	for _, s := range p.Stages {
		out = append(out, s...)
	}
	return out
}

// Partitioner is a partitioner with its options.
type Partitioner interface {
	Partition(in Input) (Plan, error)
}

// SizeCacher is a Partitioner that asks for sizes and may have them cached in
// a file; rebuild tells to ignore what the file says.
type SizeCacher interface {
	SizeCache() (path string, rebuild bool)
}

// Class makes a Partitioner of its config. Mistakes are a source.List.
type Class func(cfg *py.Dict) (Partitioner, error)

// Classes are the partitioners by the name that configs use.
var Classes = registry.New[Class]("partitioner")

// New makes the Partitioner that cfg, a `partitioner` dict, describes.
func New(cfg *py.Dict) (Partitioner, error) {
	c, err := Classes.Lookup(cfg.Str("type"))
	if err != nil {
		return nil, source.At(cfg.PosOf("type"), err)
	}
	return c(cfg)
}

// base is what all partitioners share.
type base struct{ keep []string }

// defaultKeep is OpenCompass's: what judges and evaluation need of the config.
var defaultKeep = []string{"eval.runner.task.judge_cfg", "eval.runner.task.dump_details", "eval.given_pred", "eval.runner.task.cal_extract_rate"}

// kept copies the kept keys of the config, each in its place. A key that is
// not there leaves the dicts on the way to it.
func (b base) kept(cfg *py.Dict) *py.Dict {
	out := py.NewDict()
	for _, key := range b.keep {
		from, to := cfg, out
		path := strings.Split(key, ".")
		for _, k := range path[:len(path)-1] {
			v, ok := from.Lookup(k)
			if !ok {
				from = nil
				break
			}
			sub := to.Dict(k)
			if sub == nil {
				sub = py.NewDict()
				to.Set(k, sub)
			}
			from, _ = v.(*py.Dict)
			to = sub
		}
		if v, ok := from.Lookup(path[len(path)-1]); ok {
			to.Set(path[len(path)-1], v)
		}
	}
	return out
}

// combinations is what the objective partitioners go through.
func combinations(in Input) ([]Combination, error) {
	if in.Combinations != nil {
		return in.Combinations, known(in)
	}
	exist, ok := in.Config.Lookup("rs_exist_results")
	if !ok {
		return []Combination{{in.Models, in.Datasets}}, nil
	}
	have := map[[2]string]bool{}
	if l, ok := exist.(*py.List); ok {
		for _, it := range l.Items {
			if pair, ok := it.(*py.List); ok && pair.Len() == 2 {
				m, _ := pair.Items[0].(string)
				d, _ := pair.Items[1].(string)
				have[[2]string{m, d}] = true
			}
		}
	}
	var out []Combination
	for _, m := range in.Models {
		c := Combination{Models: []*py.Dict{m}}
		for _, d := range in.Datasets {
			if !have[[2]string{spec.ModelAbbr(m), spec.DatasetAbbr(d)}] {
				c.Datasets = append(c.Datasets, d)
			}
		}
		if len(c.Datasets) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// known checks that combinations only name models and datasets of the config.
func known(in Input) error {
	models, sets := map[string]bool{}, map[string]bool{}
	for _, m := range in.Models {
		models[spec.ModelAbbr(m)] = true
	}
	for _, d := range in.Datasets {
		sets[spec.DatasetAbbr(d)] = true
	}
	var errs source.List
	for _, c := range in.Combinations {
		for _, m := range c.Models {
			if a := spec.ModelAbbr(m); !models[a] {
				errs = append(errs, source.Errorf(m.At, "model %q of a combination is not among models", a))
			}
		}
		for _, d := range c.Datasets {
			if a := spec.DatasetAbbr(d); !sets[a] {
				errs = append(errs, source.Errorf(d.At, "dataset %q of a combination is not among datasets", a))
			}
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// whole is a dataset as one part.
func whole(ds *py.Dict) Part {
	return Part{Cfg: ds, Abbr: spec.DatasetAbbr(ds), Whole: ds, Index: -1, End: -1}
}

// wholes is datasets as parts.
func wholes(datasets []*py.Dict) []Part {
	out := make([]Part, len(datasets))
	for i, d := range datasets {
		out[i] = whole(d)
	}
	return out
}

// done asks in.Done.
func (in Input) done(model string, p Part) bool { return in.Done != nil && in.Done(model, p) }

// rows is the number of rows that the dataset's reader selects: test_range
// applied to each of n copies.
func (in Input) rows(ds *py.Dict) (int, error) {
	n, err := in.Size(ds)
	if err != nil {
		return 0, err
	}
	rc := ds.Dict("reader_cfg")
	rows, err := dataset.SelectLen(n, rc.Get("test_range"))
	if err != nil {
		if e, ok := err.(*dataset.RangeError); ok {
			return 0, source.Errorf(rc.PosOf("test_range"), "test_range of dataset %q: %s", spec.DatasetAbbr(ds), e.Reason)
		}
		return 0, err
	}
	return rows * max(ds.Int("n", 1), 1), nil
}

// split cuts a dataset of rows rows into parts of step rows. format writes
// the range of a part: "[%d:%d]".
func split(ds *py.Dict, rows, step int, format string) []Part {
	abbr := spec.DatasetAbbr(ds)
	rc := ds.Dict("reader_cfg")
	before := ""
	if v, ok := rc.Lookup("test_range"); ok && v != nil {
		before = py.Str(v)
	}
	var out []Part
	for i := 0; i < rows; i += step {
		p := Part{Abbr: fmt.Sprintf("%s_%d", abbr, len(out)), Whole: ds, Index: len(out), Start: i, End: i + step}
		if p.End >= rows {
			p.End = -1
		}
		sub := rc.Copy()
		_ = sub.Put(py.Entry{Key: "test_range", Val: before + fmt.Sprintf(format, i, i+step), Pos: rc.PosOf("test_range")}) // a string hashes
		p.Cfg = ds.Copy()
		p.Cfg.Set("abbr", p.Abbr)
		p.Cfg.Set("reader_cfg", sub)
		out = append(out, p)
	}
	return out
}

// ceilDiv is ⌈a/b⌉ for a ≥ 0 and any b > 0.
func ceilDiv(a, b int) int {
	if a%b > 0 {
		return a/b + 1
	}
	return a / b
}
