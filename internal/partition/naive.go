package partition

import "sextant/internal/py"

func init() { Classes.Register(newNaive, "NaivePartitioner") }

// naive makes tasks of n datasets each.
type naive struct {
	base
	n int
}

func newNaive(cfg *py.Dict) (Partitioner, error) {
	o := decode(cfg, "n")
	p := &naive{base: o.base(), n: o.int("n", 1, 1)}
	return p, o.err()
}

// Partition implements Partitioner.
func (p *naive) Partition(in Input) (Plan, error) {
	combs, err := combinations(in)
	if err != nil {
		return Plan{}, err
	}
	extra := p.kept(in.Config)
	var tasks []Task
	for _, c := range combs {
		parts := wholes(c.Datasets)
		if tasks == nil {
			tasks = make([]Task, 0, len(combs)*len(c.Models)*ceilDiv(len(parts), p.n))
		}
		for _, m := range c.Models {
			tasks = append(tasks, p.tasks(in, []*py.Dict{m}, parts, extra)...)
		}
	}
	return Plan{[][]Task{tasks}}, nil
}

// tasks cuts for one model, or for models that are judged together.
func (p *naive) tasks(in Input, models []*py.Dict, datasets []Part, extra *py.Dict) []Task {
	name := Task{Models: models}.ModelName()
	parts := make([]Part, 0, len(datasets))
	for _, w := range datasets {
		if !in.done(name, w) {
			parts = append(parts, w)
		}
	}
	out := make([]Task, 0, ceilDiv(len(parts), p.n))
	for ; len(parts) > 0; parts = parts[min(p.n, len(parts)):] {
		out = append(out, Task{models, parts[:min(p.n, len(parts)):min(p.n, len(parts))], extra})
	}
	return out
}
