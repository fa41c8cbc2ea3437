package partition

import (
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/spec"
)

func init() { Classes.Register(newSize, "SizePartitioner") }

// size cuts and joins datasets so that tasks cost about the same. The cost of
// a row is the number of labels of a perplexity template, or gen_task_coef.
type size struct {
	base
	max      int // cost of a task
	gen      int // cost of generating one answer
	alone    bool
	sizePath string

	format   string // of a part's range
	skipDone bool   // whether a finished whole dataset is left out
}

var sizeOptions = []string{"max_task_size", "gen_task_coef", "strategy", "dataset_size_path"}

func newSize(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, sizeOptions...)
	p := decodeSize(o)
	// the space is OpenCompass's
	p.format, p.skipDone = "[%d: %d]", true
	return p, o.err()
}

func decodeSize(o *options) *size {
	return &size{
		base:     o.base(),
		max:      o.int("max_task_size", 40000, 1),
		gen:      o.int("gen_task_coef", 20, 1),
		alone:    o.strategy(),
		sizePath: o.string("dataset_size_path", defaultSizePath),
	}
}

// SizeCache implements SizeCacher.
func (p *size) SizeCache() (string, bool) { return p.sizePath, false }

// Partition implements Partitioner.
func (p *size) Partition(in Input) (Plan, error) {
	combs, err := combinations(in)
	if err != nil {
		return Plan{}, err
	}
	extra := p.kept(in.Config)
	var tasks []Task
	for _, c := range combs {
		sets, err := p.costs(in, c.Datasets)
		if err != nil {
			return Plan{}, err
		}
		for _, m := range c.Models {
			tasks = append(tasks, p.tasks(in, []*py.Dict{m}, sets, extra)...)
		}
	}
	return Plan{[][]Task{tasks}}, nil
}

// costed is a dataset with what it costs.
type costed struct {
	ds           *py.Dict
	rows, factor int
}

func (c costed) cost() int { return c.rows * c.factor }

// costs sorts datasets by cost, the dearest first, equals in their order.
func (p *size) costs(in Input, datasets []*py.Dict) ([]costed, error) {
	out := make([]costed, len(datasets))
	for i, d := range datasets {
		rows, err := in.rows(d)
		if err != nil {
			return nil, err
		}
		out[i] = costed{d, rows, p.factor(d)}
	}
	slices.SortStableFunc(out, func(a, b costed) int { return b.cost() - a.cost() })
	return out, nil
}

// RowCost is what SizePartitioner takes a row of a dataset to cost when an
// answer to be generated costs gen.
func RowCost(ds *py.Dict, gen int) int { return (&size{gen: gen}).factor(ds) }

// factor is the cost of a row.
func (p *size) factor(ds *py.Dict) int {
	inf := ds.Dict("infer_cfg")
	t := inf.Dict("prompt_template")
	if !inf.Has("prompt_template") {
		t = inf.Dict("ice_template")
	}
	f := p.gen
	// A dict whose keys are not those of a dialogue has one key for each label.
	if labels := t.Dict("template"); labels != nil {
		dialogue := 0
		for _, k := range []string{"begin", "round", "end"} {
			if labels.Has(k) {
				dialogue++
			}
		}
		if dialogue != labels.Len() {
			f = labels.Len()
		}
	}
	if longAnswers(spec.DatasetAbbr(ds)) {
		f *= 10
	}
	return f
}

// longAnswers tells the datasets that OpenCompass takes to cost ten times as
// much a row, by their names.
func longAnswers(abbr string) bool {
	for _, p := range []string{"bbh", "gsm8k", "math", "strategyqa", "agieval-jec"} {
		if strings.HasPrefix(abbr, p) {
			return true
		}
	}
	return abbr == "agieval-gaokao-mathcloze" || abbr == "agieval-math" || strings.HasSuffix(abbr, "professional_law")
}

func (p *size) tasks(in Input, models []*py.Dict, sets []costed, extra *py.Dict) []Task {
	type chunk struct {
		cost int
		part Part
	}
	name := Task{Models: models}.ModelName()
	var chunks []chunk
	for _, d := range sets {
		w := whole(d.ds)
		if p.skipDone && in.done(name, w) {
			continue
		}
		if d.cost() <= p.max {
			chunks = append(chunks, chunk{d.cost(), w})
			continue
		}
		// At least one row a part, though it cost more than a task may.
		step := max(p.max/d.factor, 1)
		step = ceilDiv(d.rows, ceilDiv(d.rows, step)) // even parts
		for _, part := range split(d.ds, d.rows, step, p.format) {
			if !in.done(name, part) {
				chunks = append(chunks, chunk{p.max, part})
			}
		}
	}
	if p.alone {
		parts := make([]Part, len(chunks))
		for i, c := range chunks {
			parts[i] = c.part
		}
		return oneEach(models, parts, extra)
	}
	slices.SortStableFunc(chunks, func(a, b chunk) int { return b.cost - a.cost })
	var out []Task
	var parts []Part
	cost := 0
	for i, c := range chunks {
		cost += c.cost
		parts = append(parts, c.part)
		if i == len(chunks)-1 || cost+chunks[i+1].cost > p.max {
			out = append(out, Task{models, parts, extra})
			parts, cost = nil, 0
		}
	}
	return out
}
