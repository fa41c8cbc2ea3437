// Package spec is the typed experiment: what a config, once loaded, asks for.
//
// It decodes the plain data of a config (see pyconf.Config.Data) into models,
// datasets and stages, checks what every run depends on, and computes the
// names and hashes that files and tables go by: abbreviations (OpenCompass
// utils/abbr.py) and the prompt hash (utils/prompt.py). Mistakes come back as
// source.List, as many as can be found in one go, each at the place in the
// user's file where the value was written.
//
// It knows the shape of a config but not which classes exist: that an
// evaluator of some name is there is checked by package task, which can see
// the registries.
package spec

import (
	"runtime"
	"slices"
	"strings"
	"sync"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Experiment is a whole run.
type Experiment struct {
	Files    *source.Set // resolves the positions in all dicts below
	Config   *py.Dict    // the merged config, plain data
	Models   []*Model
	Datasets []*Dataset
	Infer    *Stage
	Eval     *Stage
	// Combinations, when not nil, replaces "all models × all datasets".
	Combinations []Combination
	Summarizer   *py.Dict // nil: default
	WorkDir      string   // base directory from the config, "" when it names none
}

// Model is one entry of `models`.
type Model struct {
	Abbr        string // directory name
	SummaryAbbr string // column title
	Type        string
	Cfg         *py.Dict
}

// Dataset is one entry of `datasets`. Reader and Infer are never nil after
// Decode; Eval may be.
type Dataset struct {
	Abbr                string
	Type                string
	Cfg                 *py.Dict
	Reader, Infer, Eval *py.Dict
}

// Stage is an `infer` or `eval` block.
type Stage struct {
	Cfg         *py.Dict
	Partitioner *py.Dict
	Runner      *py.Dict
	Task        *py.Dict // runner.task
}

// Combination is one entry of `model_dataset_combinations`.
type Combination struct {
	Models   []*Model
	Datasets []*Dataset
}

// Defaults fills stages that a config leaves out (spec 2.9).
type Defaults struct {
	MaxNumWorkers    int
	MaxWorkersPerGPU int
	Retry            int
	// Runner is the runner class for stages without one: "LocalRunner",
	// "SlurmRunner", …; Args are further keys for it (partition, qos …).
	Runner string
	Args   *py.Dict
}

// Decode checks cfg and makes an Experiment of it. The returned error is a
// source.List; the Experiment then has what could be decoded, for finding
// further mistakes in it, and nothing else.
func Decode(files *source.Set, cfg *py.Dict, def Defaults) (*Experiment, error) {
	d := &decoder{}
	e := &Experiment{Files: files, Config: cfg, WorkDir: cfg.Str("work_dir"), Summarizer: cfg.Dict("summarizer")}
	if v, ok := cfg.Lookup("work_dir"); ok && e.WorkDir == "" && v != nil {
		d.errorf(cfg.PosOf("work_dir"), "work_dir must be a non-empty string, not %s", py.TypeName(v))
	}
	for _, m := range d.dicts(cfg, "models", "model") {
		e.Models = append(e.Models, d.model(m))
	}
	datasets, same := takeFirst(d.dicts(cfg, "datasets", "dataset"))
	e.Datasets = d.datasets(datasets)
	d.unique(e)
	d.errs = append(d.errs, same...)
	e.Infer = d.stage(cfg, "infer", inferDefault(def))
	e.Eval = d.stage(cfg, "eval", evalDefault(def))
	if l, ok := cfg.Lookup("model_dataset_combinations"); ok && l != nil {
		e.Combinations = d.combinations(e, cfg)
	}
	if len(d.errs) > 0 {
		e.Models = slices.DeleteFunc(e.Models, func(m *Model) bool { return m.Type == "" })
		e.Datasets = slices.DeleteFunc(e.Datasets, func(s *Dataset) bool { return s.Type == "" || s.Reader == nil || s.Infer == nil })
		return e, d.errs
	}
	return e, nil
}

type decoder struct {
	errs source.List
	near map[near]string
}

func (d *decoder) errorf(pos source.Pos, format string, args ...any) *source.Diagnostic {
	e := source.Errorf(pos, format, args...)
	d.errs = append(d.errs, e)
	return e
}

func (d *decoder) dicts(cfg *py.Dict, key, what string) []*py.Dict {
	v, ok := cfg.Lookup(key)
	if !ok {
		e := d.errorf(cfg.At, "the config defines no %s", key)
		if n := registry.Nearest(key, stringKeys(cfg)); n != "" {
			e.Pos, e.Hint = cfg.KeyPosOf(n), "did you mean "+quote(key)+"?"
		} else {
			e.Hint = "a config names its " + key + " in a list, such as " + key + " = [*" + example[key] + "]"
		}
		return nil
	}
	items, pos, ok := sequence(v)
	if !ok {
		e := d.errorf(cfg.PosOf(key), "%s must be a list of dicts, not %s", key, py.TypeName(v))
		if _, one := v.(*py.Dict); one {
			e.Hint = "put it into a list: " + key + " = [" + what + "]"
		}
		return nil
	}
	if len(items) == 0 {
		d.errorf(cfg.PosOf(key), "%s is empty: there is nothing to do", key)
	}
	var out []*py.Dict
	for i, it := range items {
		m, ok := it.(*py.Dict)
		if !ok {
			e := d.errorf(pos(i), "%s %d of %s must be a dict, not %s", what, i+1, key, py.TypeName(it))
			if _, list := it.(*py.List); list {
				e.Hint = "unpack the inner list with a star: [*a, *b]"
			}
			continue
		}
		out = append(out, m)
	}
	return out
}

var example = map[string]string{"models": "my_models", "datasets": "siqa_datasets, *winogrande_datasets"}

func sequence(v py.Value) (items []py.Value, pos func(int) source.Pos, ok bool) {
	switch x := v.(type) {
	case *py.List:
		return x.Items, x.PosOf, true
	case *py.Tuple:
		return x.Items, x.PosOf, true
	}
	return nil, nil, false
}

func (d *decoder) model(m *py.Dict) *Model {
	out := &Model{Cfg: m}
	out.Type = d.typeOf(m, place{before: "model"})
	if out.Type == "" {
		return out
	}
	out.Abbr = ModelAbbr(m)
	out.SummaryAbbr = out.Abbr
	if s := m.Str("summarizer_abbr"); s != "" {
		out.SummaryAbbr = s
	}
	d.abbr(m, out.Abbr)
	return out
}

func (d *decoder) abbr(m *py.Dict, abbr string) {
	if v, ok := m.Lookup("abbr"); ok {
		if _, isStr := v.(string); !isStr {
			d.errorf(m.PosOf("abbr"), "abbr must be a string, not %s", py.TypeName(v))
			return
		}
	}
	if !fileName(abbr) {
		d.errorf(m.PosOf("abbr"), "abbr %s cannot be the name of a file", quote(abbr))
	}
}

// fileName reports whether files below a folder can go by abbr. Slashes make
// folders, as in OpenCompass.
func fileName(abbr string) bool {
	for _, e := range strings.Split(abbr, "/") {
		if e == "" || e == "." || e == ".." {
			return false
		}
	}
	return !strings.ContainsRune(abbr, 0)
}

// place names a part of the config in messages; there are many, and few are
// ever put into words.
type place struct {
	before  string
	dataset string
	is      bool // the part of a dataset
	after   string
}

func (p place) of(what string) place   { p.before = what; return p }
func (p place) then(what string) place { p.after = what; return p }

func (p place) String() string {
	if !p.is {
		return p.before
	}
	return p.before + "dataset " + quote(p.dataset) + p.after
}

// typeOf is the `type` of a dict, with a diagnostic when it has none.
func (d *decoder) typeOf(m *py.Dict, what place) string {
	v, ok := m.Lookup("type")
	if !ok {
		e := d.errorf(m.At, "%s has no type", what)
		if n := registry.Nearest("type", stringKeys(m)); n != "" {
			e.Pos, e.Hint = m.KeyPosOf(n), `did you mean "type"?`
		} else if m.Has("reader_cfg") {
			e.Hint = "name the class that reads its data, such as type=JsonlDataset"
		}
		return ""
	}
	s, ok := v.(string)
	if !ok || s == "" {
		d.errorf(m.PosOf("type"), "type of %s must be a class or the name of one, not %s", what, py.TypeName(v))
		return ""
	}
	return s
}

func (d *decoder) sub(m *py.Dict, key string, what place, required bool) *py.Dict {
	v, ok := m.Lookup(key)
	if !ok || v == nil {
		if required {
			e := d.errorf(m.At, "%s has no %s", what, key)
			if n := registry.Nearest(key, stringKeys(m)); n != "" {
				e.Pos, e.Hint = m.KeyPosOf(n), "did you mean "+quote(key)+"?"
			} else {
				e.Hint = hints[key]
			}
		}
		return nil
	}
	s, ok := v.(*py.Dict)
	if !ok {
		e := d.errorf(m.PosOf(key), "%s of %s must be a dict, not %s", key, what, py.TypeName(v))
		if name, isStr := v.(string); isStr {
			e.Hint = "write " + key + "=dict(type=" + registry.Base(name) + ")"
		}
		return nil
	}
	return s
}

var hints = map[string]string{
	"infer_cfg":  "infer_cfg says how the dataset is asked: dict(prompt_template=…, retriever=…, inferencer=…)",
	"reader_cfg": "reader_cfg names the columns: dict(input_columns=[…], output_column=…)",
	"inferencer": "name one, such as inferencer=dict(type=GenInferencer)",
	"retriever":  "name one, such as retriever=dict(type=ZeroRetriever)",
}

// manyDatasets are worth a second processor.
const manyDatasets = 512

// InParts works on n datasets, a share of them on each processor when they are
// many: do is called for each share, from dataset lo up to hi, with a T of its
// own. It returns the Ts in the order of the shares.
func InParts[T any](n int, do func(part *T, lo, hi int)) []T {
	count := 1
	if n >= manyDatasets {
		count = runtime.GOMAXPROCS(0)
	}
	parts := make([]T, count)
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { do(&parts[p], p*n/count, (p+1)*n/count) })
	}
	wg.Wait()
	return parts
}

// datasets decodes all datasets.
func (d *decoder) datasets(ms []*py.Dict) []*Dataset {
	out := make([]*Dataset, len(ms))
	room := make([]Dataset, len(ms))
	parts := InParts(len(ms), func(part *decoder, lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = &room[i]
			part.dataset(ms[i], out[i])
		}
	})
	for p := range parts {
		for _, e := range parts[p].errs {
			if !strings.HasPrefix(e.Msg, unknownKey) || !d.told(e.Pos) {
				d.errs = append(d.errs, e)
			}
		}
	}
	return out
}

func (d *decoder) dataset(m *py.Dict, out *Dataset) {
	out.Cfg, out.Abbr = m, DatasetAbbr(m)
	what := place{dataset: out.Abbr, is: true}
	out.Type = d.typeOf(m, what)
	d.abbr(m, out.Abbr)
	out.Reader = d.sub(m, "reader_cfg", what, true)
	out.Infer = d.sub(m, "infer_cfg", what, true)
	out.Eval = d.sub(m, "eval_cfg", what, false)
	if out.Infer != nil {
		if inf := d.sub(out.Infer, "inferencer", what.then(": infer_cfg"), true); inf != nil {
			d.typeOf(inf, what.of("inferencer of "))
		}
		if r := d.sub(out.Infer, "retriever", what.then(": infer_cfg"), true); r != nil {
			d.typeOf(r, what.of("retriever of "))
		}
		pt, it := d.sub(out.Infer, "prompt_template", what, false), d.sub(out.Infer, "ice_template", what, false)
		if pt == nil && it == nil && !out.Infer.Has("prompt_template") && !out.Infer.Has("ice_template") {
			e := d.errorf(out.Infer.At, "infer_cfg of %s has neither prompt_template nor ice_template", what)
			if n := registry.Nearest("prompt_template", stringKeys(out.Infer)); n != "" {
				e.Pos, e.Hint = out.Infer.KeyPosOf(n), `did you mean "prompt_template"?`
			}
		}
		d.misspelt(out.Infer, inferKeys, what.of("infer_cfg of "))
	}
	if out.Eval != nil {
		if ev := d.sub(out.Eval, "evaluator", what.of("eval_cfg of "), false); ev != nil {
			d.typeOf(ev, what.of("evaluator of "))
		}
		d.misspelt(out.Eval, evalKeys, what.of("eval_cfg of "))
	}
	if out.Reader != nil {
		d.misspelt(out.Reader, readerKeys, what.of("reader_cfg of "))
	}
	d.misspelt(m, datasetKeys, what)
}

var (
	inferKeys   = []string{"prompt_template", "ice_template", "retriever", "inferencer", "reader_cfg"}
	evalKeys    = []string{"evaluator", "pred_role", "pred_postprocessor", "dataset_postprocessor", "model_postprocessor", "num_gpus", "k", "n", "ds_column", "ds_split", "ds_size", "sc_size", "pass_at_k", "extract"}
	readerKeys  = []string{"input_columns", "output_column", "train_split", "test_split", "train_range", "test_range", "input_template", "output_template"}
	datasetKeys = []string{"abbr", "type", "path", "name", "reader_cfg", "infer_cfg", "eval_cfg"}
)

// misspelt reports keys that are not in known but near one that is and that
// m does not have: OpenCompass would ignore them in silence.
func (d *decoder) misspelt(m *py.Dict, known []string, what place) {
	for _, e := range m.Entries() {
		k, ok := e.Key.(string)
		if !ok || contains(known, k) || len(k) < 6 {
			continue
		}
		if n := d.nearest(k, known); n != "" && !m.Has(n) && !d.told(m.KeyPosOf(k)) {
			d.errs = append(d.errs, source.Errorf(m.KeyPosOf(k), unknownKey+"%s in %s", quote(k), what).WithHint("did you mean %s?", quote(n)))
		}
	}
}

// unknownKey begins what misspelt says.
const unknownKey = "unknown key "

// nearest is registry.Nearest; the same keys are in all datasets.
func (d *decoder) nearest(k string, known []string) string {
	at := near{k, &known[0]}
	n, ok := d.near[at]
	if !ok {
		if d.near == nil {
			d.near = map[near]string{}
		}
		n = registry.Nearest(k, known)
		d.near[at] = n
	}
	return n
}

// near is a key and a list of known ones.
type near struct {
	key   string
	known *string
}

// told reports whether a mistake at pos was reported already.
func (d *decoder) told(pos source.Pos) bool {
	for _, e := range d.errs {
		if e.Pos == pos && pos != 0 {
			return true
		}
	}
	return false
}

// maxSame is how many datasets of an abbr that was taken are named: a config
// that collects all variants of all datasets has thousands.
const maxSame = 10

// unique refuses two models of one abbr: they would write the same files, as
// would two datasets. Equal entries are one entry, as in OpenCompass.
func (d *decoder) unique(e *Experiment) {
	models := map[string]*Model{}
	var ms []*Model
	for _, m := range e.Models {
		if o, ok := models[m.Abbr]; ok && m.Abbr != "" {
			if py.Equal(o.Cfg, m.Cfg) {
				continue
			}
			d.errorf(m.Cfg.PosOf("abbr"), "two models are called %s", quote(m.Abbr)).Hint = "their predictions would go to the same files: give one of them another abbr"
		}
		models[m.Abbr] = m
		ms = append(ms, m)
	}
	e.Models = ms
}

// takeFirst leaves out datasets of an abbr that was taken, and reports those
// that are not equal to the one that took it.
func takeFirst(ms []*py.Dict) (first []*py.Dict, errs source.List) {
	taken := make(map[string]*py.Dict, len(ms))
	var more []*py.Dict
	for _, m := range ms {
		abbr := DatasetAbbr(m)
		o, ok := taken[abbr]
		switch {
		case !ok || abbr == "":
			taken[abbr] = m
			first = append(first, m)
		case py.Equal(o, m):
		case len(errs) < maxSame:
			errs = append(errs, sameName(m))
		default:
			more = append(more, m)
		}
	}
	switch len(more) {
	case 0:
	case 1:
		errs = append(errs, sameName(more[0]))
	default:
		errs = append(errs, source.Errorf(more[0].PosOf("abbr"), "%d more datasets are called as others are; the first is %s", len(more), quote(DatasetAbbr(more[0]))).
			WithHint("a run takes each name once: leave variants out, or give them other abbrs"))
	}
	return first, errs
}

func sameName(m *py.Dict) *source.Diagnostic {
	return source.Errorf(m.PosOf("abbr"), "two datasets are called %s", quote(DatasetAbbr(m))).
		WithHint("their predictions would go to the same files: give one of them another abbr")
}

func (d *decoder) stage(cfg *py.Dict, key string, def *py.Dict) *Stage {
	s := d.sub(cfg, key, place{before: "the config"}, false)
	if s == nil {
		s = def
	}
	st := &Stage{Cfg: s}
	st.Partitioner = d.sub(s, "partitioner", place{before: key}, false)
	if st.Partitioner == nil {
		st.Partitioner = def.Dict("partitioner")
	}
	st.Runner = d.sub(s, "runner", place{before: key}, false)
	if st.Runner == nil {
		st.Runner = def.Dict("runner")
	}
	d.typeOf(st.Partitioner, place{before: key + ".partitioner"})
	d.typeOf(st.Runner, place{before: key + ".runner"})
	st.Task = d.sub(st.Runner, "task", place{before: key + ".runner"}, false)
	if st.Task == nil {
		st.Task = def.Dict("runner").Dict("task")
	}
	d.typeOf(st.Task, place{before: key + ".runner.task"})
	return st
}

func inferDefault(def Defaults) *py.Dict {
	n := max(def.MaxNumWorkers, 1)
	return py.DictOf(
		"partitioner", py.DictOf("type", "opencompass.partitioners.num_worker.NumWorkerPartitioner", "num_worker", n),
		"runner", runnerDefault(def, n, "opencompass.tasks.openicl_infer.OpenICLInferTask"))
}

func evalDefault(def Defaults) *py.Dict {
	return py.DictOf(
		"partitioner", py.DictOf("type", "opencompass.partitioners.naive.NaivePartitioner"),
		"runner", runnerDefault(def, max(def.MaxNumWorkers, 1), "opencompass.tasks.openicl_eval.OpenICLEvalTask"))
}

func runnerDefault(def Defaults, n int, task string) *py.Dict {
	r := py.NewDict()
	if def.Runner == "" || def.Runner == "LocalRunner" {
		r.Set("type", "opencompass.runners.LocalRunner")
		r.Set("max_num_workers", n)
		r.Set("max_workers_per_gpu", max(def.MaxWorkersPerGPU, 1))
	} else {
		r.Set("type", "opencompass.runners."+def.Runner)
		r.Set("max_num_workers", n)
		r.Set("retry", def.Retry)
		for _, e := range def.Args.Entries() {
			r.Set(e.Key, e.Val)
		}
	}
	r.Set("task", py.DictOf("type", task))
	return r
}

func (d *decoder) combinations(e *Experiment, cfg *py.Dict) []Combination {
	var out []Combination
	models, sets := map[string]*Model{}, map[string]*Dataset{}
	for _, m := range e.Models {
		models[m.Abbr] = m
	}
	for _, s := range e.Datasets {
		sets[s.Abbr] = s
	}
	for _, c := range d.dicts(cfg, "model_dataset_combinations", "combination") {
		var comb Combination
		for _, m := range d.dicts(c, "models", "model") {
			if x := models[ModelAbbr(m)]; x != nil {
				comb.Models = append(comb.Models, x)
			} else {
				d.errorf(m.At, "model %s of a combination is not among models", quote(ModelAbbr(m)))
			}
		}
		for _, m := range d.dicts(c, "datasets", "dataset") {
			if x := sets[DatasetAbbr(m)]; x != nil {
				comb.Datasets = append(comb.Datasets, x)
			} else {
				d.errorf(m.At, "dataset %s of a combination is not among datasets", quote(DatasetAbbr(m)))
			}
		}
		out = append(out, comb)
	}
	return out
}

func stringKeys(m *py.Dict) []string {
	var out []string
	for _, k := range m.Keys() {
		if s, ok := k.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func contains(l []string, s string) bool {
	for _, x := range l {
		if x == s {
			return true
		}
	}
	return false
}

func quote(s string) string { return `"` + s + `"` }
