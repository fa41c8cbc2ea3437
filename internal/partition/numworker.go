package partition

import "sextant/internal/py"

const defaultSizePath = ".cache/dataset_size.json"

func init() { Classes.Register(newNumWorker, "NumWorkerPartitioner") }

// numWorker deals the parts of all datasets out to a number of workers.
type numWorker struct {
	base
	buckets  int  // tasks of a model
	splits   int  // parts of a dataset, at most
	least    int  // rows below which a dataset is not cut, and of the smallest part
	alone    bool // strategy "split": every part is a task
	sizePath string
	rebuild  bool
}

func newNumWorker(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, "num_worker", "num_split", "min_task_size", "strategy", "dataset_size_path", "force_rebuild")
	p := &numWorker{
		base:     o.base(),
		least:    o.int("min_task_size", 16, 0),
		alone:    o.strategy(),
		sizePath: o.string("dataset_size_path", defaultSizePath),
		rebuild:  o.bool("force_rebuild"),
	}
	// num_worker=None means something where it is not used
	if v, ok := cfg.Lookup("num_worker"); ok && v == nil && p.alone && py.Truth(cfg.Get("num_split")) {
		p.buckets = 1
	} else {
		p.buckets = o.int("num_worker", 8, 1)
	}
	p.splits = o.optInt("num_split", p.buckets)
	return p, o.err()
}

// SizeCache implements SizeCacher.
func (p *numWorker) SizeCache() (string, bool) { return p.sizePath, p.rebuild }

// Partition implements Partitioner.
func (p *numWorker) Partition(in Input) (Plan, error) {
	combs, err := combinations(in)
	if err != nil {
		return Plan{}, err
	}
	extra := p.kept(in.Config)
	var tasks []Task
	for _, c := range combs {
		parts := wholes(c.Datasets)
		for _, m := range c.Models {
			t, err := p.tasks(in, []*py.Dict{m}, parts, extra)
			if err != nil {
				return Plan{}, err
			}
			tasks = append(tasks, t...)
		}
	}
	return Plan{[][]Task{tasks}}, nil
}

func (p *numWorker) tasks(in Input, models []*py.Dict, datasets []Part, extra *py.Dict) ([]Task, error) {
	name := Task{Models: models}.ModelName()
	chunks := make([]Part, 0, len(datasets))
	for _, w := range datasets {
		d := w.Whole
		if in.done(name, w) {
			continue
		}
		// Asked for even where it is not needed: data that is missing shows
		// before anything runs.
		rows, err := in.rows(d)
		if err != nil {
			return nil, err
		}
		if p.splits <= 1 || rows <= p.least {
			chunks = append(chunks, w)
			continue
		}
		for _, part := range split(d, rows, max(ceilDiv(rows, p.splits), p.least), "[%d:%d]") {
			if !in.done(name, part) {
				chunks = append(chunks, part)
			}
		}
	}
	if p.alone {
		return oneEach(models, chunks, extra), nil
	}
	buckets := make([][]Part, min(p.buckets, len(chunks)))
	for i := range buckets {
		buckets[i] = make([]Part, 0, ceilDiv(len(chunks), len(buckets)))
	}
	for i, c := range chunks {
		buckets[i%p.buckets] = append(buckets[i%p.buckets], c)
	}
	out := make([]Task, len(buckets))
	for i, b := range buckets {
		out[i] = Task{models, b, extra}
	}
	return out, nil
}

// oneEach makes every part a task.
func oneEach(models []*py.Dict, parts []Part, extra *py.Dict) []Task {
	out := make([]Task, len(parts))
	for i := range parts {
		out[i] = Task{models, parts[i : i+1 : i+1], extra}
	}
	return out
}
