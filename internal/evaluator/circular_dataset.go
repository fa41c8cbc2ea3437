package evaluator

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Classes.Register(Class{New: newCircularDataset, Rows: true}, "opencompass.datasets.circular.CircularEvaluator", "datasets.CircularEvaluator")
}

// newCircularDataset scores the circular variants of datasets: rows say in
// circular_pattern how their options were turned, and in qid which question
// they are.
func newCircularDataset(cfg *py.Dict) (Evaluator, error) {
	all := false
	switch v := cfg.Get("circular_pattern"); v {
	case nil, "circular":
	case "all_possible":
		all = true
	default:
		return nil, source.Errorf(cfg.PosOf("circular_pattern"), "circular_pattern must be 'circular' or 'all_possible', not %s", py.Repr(v))
	}
	e, err := simple(lengthsRefrs, func(in Input) (Result, error) { return circularDataset(in, all) })(cfg)
	return e, err
}

func circularDataset(in Input, all bool) (Result, error) {
	if len(in.Rows) == 0 {
		return Result{}, py.Errorf("IndexError", "there are no rows")
	}
	// options of the first row, in its order
	var opts []string
	for _, it := range elements(in.Rows[0].Get("circular_pattern")) {
		opts = append(opts, py.Str(it))
	}
	join := func(l []string) string { return strings.Join(l, "\x00") }
	type family struct {
		name     string
		patterns map[string]bool
		hits, n  int
		byID     map[string]int
		size     int
	}
	turned := map[string]bool{}
	for i := range opts {
		turned[join(append(append([]string{}, opts[i:]...), opts[:i]...))] = true
	}
	fams := []*family{{name: "origin", patterns: map[string]bool{join(opts): true}, size: 1}, {name: "circular", patterns: turned, size: len(turned)}}
	if all {
		size := 1
		for i := 2; i <= len(opts); i++ {
			size *= i
		}
		fams = append(fams, &family{name: "all_possible", size: size})
	}
	m := py.NewDict()
	for _, f := range fams {
		f.byID = map[string]int{}
		for i, p := range in.Predictions {
			if i >= len(in.Rows) {
				break
			}
			var pat []string
			for _, it := range elements(in.Rows[i].Get("circular_pattern")) {
				pat = append(pat, py.Str(it))
			}
			if f.patterns != nil && !f.patterns[join(pat)] {
				continue
			}
			id := py.Repr(in.Rows[i].Get("qid"))
			if _, ok := f.byID[id]; !ok {
				f.byID[id] = 0
			}
			f.n++
			if py.Equal(p, in.References[i]) {
				f.hits++
				f.byID[id]++
			}
		}
		acc, err := ratio(float64(f.hits), float64(f.n))
		if err != nil {
			return Result{}, err
		}
		m.Set("acc_"+f.name, acc*100)
	}
	for _, f := range fams {
		pct := func(ok func(hits int) bool) float64 {
			k := 0
			for _, h := range f.byID {
				if ok(h) {
					k++
				}
			}
			return float64(k) / float64(len(f.byID)) * 100
		}
		for j := 1; j < f.size; j++ {
			m.Set(fmt.Sprintf("more_%d_%s", j, f.name), pct(func(h int) bool { return h >= j }))
		}
		m.Set("perf_"+f.name, pct(func(h int) bool { return h == f.size }))
	}
	return Result{Metrics: m}, nil
}

// elements of a list, or the characters of a text.
func elements(v py.Value) []py.Value {
	l, err := py.ToList(v)
	if err != nil {
		return []py.Value{v}
	}
	return l
}
