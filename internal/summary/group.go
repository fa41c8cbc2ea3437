package summary

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// subset is one part of a group: a dataset or earlier group, and a metric of
// it or "" for its first and common ones.
type subset struct{ name, metric string }

// group is a summary group as written in the config.
type group struct {
	cfg     *py.Dict
	name    string
	subsets []subset
	pairs   bool // [dataset, metric] subsets
	mixed   bool // both forms: never computed, but what is missing is said
	metric  string
	weights *py.Dict
	exprs   map[string]*transform
}

// rules are the aggregations; the name of the default metric picks one.
const (
	ruleStd      = "standard_deviation"
	ruleSum      = "sum"
	ruleWeighted = "weighted_average"
	ruleHarmonic = "harmonic_mean"
	ruleMean     = "naive_average"
)

// readGroup checks one group. A diagnostic means that the group is left out.
func readGroup(d *py.Dict) (*group, *source.Diagnostic) {
	g := &group{cfg: d, exprs: map[string]*transform{}}
	g.name = d.Str("name")
	if g.name == "" {
		return nil, source.Errorf(d.At, "a summary group needs a name")
	}
	subs, ok := d.Lookup("subsets")
	if !ok {
		return nil, source.Errorf(d.At, "summary group %q has no subsets; it is left out of the table", g.name)
	}
	var strs, pairs int
	for i, it := range items(subs) {
		switch x := it.(type) {
		case string:
			g.subsets = append(g.subsets, subset{name: x})
			strs++
			continue
		case *py.List, *py.Tuple:
			if p := items(x); len(p) == 2 {
				n, ok1 := p[0].(string)
				m, ok2 := p[1].(string)
				if ok1 && ok2 {
					g.subsets = append(g.subsets, subset{n, m})
					pairs++
					continue
				}
			}
		}
		return nil, source.Errorf(itemPos(subs, i), "a subset of summary group %q must be a name or [name, metric], not %s", g.name, py.Repr(it))
	}
	g.pairs = pairs > 0
	g.mixed = g.pairs && strs > 0
	w := d.Get("weights")
	if py.Truth(w) {
		if g.weights, ok = w.(*py.Dict); !ok {
			return nil, source.Errorf(d.PosOf("weights"), "weights of summary group %q must be a dict", g.name)
		}
	}
	switch m, given := d.Lookup("metric"); {
	case given:
		g.metric, _ = m.(string)
	case py.Truth(d.Get("std")):
		g.metric = ruleStd
	case py.Truth(d.Get("sum")):
		g.metric = ruleSum
	case g.weights != nil:
		g.metric = ruleWeighted
	case py.Truth(d.Get("harmonic_mean")):
		g.metric = ruleHarmonic
	default:
		g.metric = ruleMean
	}
	for _, e := range d.Dict("transforms").Entries() {
		k, _ := e.Key.(string)
		text, ok := e.Val.(string)
		if !ok {
			return nil, source.Errorf(e.Pos, "transform of %q must be an expression in x, as text", k)
		}
		t, err := parseTransform(text)
		if err != nil {
			return nil, source.Errorf(e.Pos, "transform of %q: %v", k, err)
		}
		g.exprs[k] = t
	}
	return g, nil
}

// addGroups computes the groups in order; a group may use earlier ones.
func (b *board) addGroups(v py.Value) {
	for _, d := range dicts(v) {
		b.addGroup(d)
	}
}

func (b *board) addGroup(d *py.Dict) {
	g, diag := readGroup(d)
	if diag != nil {
		b.warnings = append(b.warnings, diag)
		return
	}
	if g.mixed {
		b.warnings = append(b.warnings, source.Errorf(d.PosOf("subsets"), "summary group %q mixes names and [name, metric] pairs; it is left out of the table", g.name).WithHint("write all subsets in one form"))
	}
	for _, model := range b.models {
		b.groupFor(g, model)
	}
}

// groupFor computes a group for one model.
func (b *board) groupFor(g *group, model string) {
	parsed := b.parsed[model]
	var have int
	var missing []subset
	for _, s := range g.subsets {
		sc := parsed[s.name]
		if sc == nil || s.metric != "" && !sc.has(s.metric) {
			missing = append(missing, s)
		} else {
			have++
		}
	}
	if have == 0 {
		return
	}
	if len(missing) > 0 {
		var l []py.Value
		var names []string
		for _, s := range missing {
			if s.metric != "" {
				l = append(l, py.NewList(s.name, s.metric))
				names = append(names, s.name+" "+s.metric)
			} else {
				l = append(l, s.name)
				names = append(names, s.name)
			}
		}
		b.raw[model].Set(g.name, py.DictOf("error", "missing metrics: "+py.Repr(py.NewList(l...))))
		b.state[model][g.name] = cellState{Missing, "missing: " + strings.Join(names, ", ")}
		return
	}
	if g.mixed {
		return
	}
	parts, order, modes, ok := b.partsOf(g, model)
	if !ok {
		return
	}
	res, raw := newScores(), py.NewDict()
	if old, ok := b.raw[model].Get(g.name).(*py.Dict); ok {
		raw = old.Copy()
	}
	for _, metric := range order {
		x, err := g.aggregate(parts[metric])
		if err != nil {
			b.warnf(err.pos, "summary group %q for %s: %s; it is left out of the table", g.name, model, err.msg)
			return
		}
		res.set(metric, x)
		raw.Set(metric, x.python())
	}
	b.raw[model].Set(g.name, raw)
	if old := parsed[g.name]; old != nil { // a group of this name, or a dataset: both add up
		for _, m := range res.names {
			old.set(m, res.m[m])
		}
		res = old
	}
	parsed[g.name] = res
	b.addMetrics(g.name, order)
	b.mode[g.name] = modes
	for _, s := range g.subsets {
		if st, ok := b.state[model][s.name]; ok && st.state == Partial {
			b.state[model][g.name] = cellState{Partial, s.name + ": " + st.reason}
			break
		}
	}
}

// part is one subset's contribution; key is dataset@metric.
type part struct {
	key string
	x   score
}

// partsOf gathers what each metric of the group is made of.
func (b *board) partsOf(g *group, model string) (parts map[string][]part, order []string, mode string, ok bool) {
	parts = map[string][]part{}
	add := func(metric string, s subset) bool {
		sc := b.parsed[model][s.name]
		x, ok := sc.m[s.metric]
		if !ok {
			b.warnf(g.cfg.At, "summary group %q for %s: %s has no metric %s; it is left out of the table", g.name, model, s.name, s.metric)
			return false
		}
		key := s.name + "@" + s.metric
		if t := g.transformOf(key, s.name); t != nil {
			v, err := t.eval(x.v)
			if err != nil {
				b.warnf(g.cfg.Dict("transforms").PosOf(s.name), "summary group %q for %s: transform of %s: %v; it is left out of the table", g.name, model, s.name, err)
				return false
			}
			x = score{v: v}
		}
		if i := slices.IndexFunc(parts[metric], func(p part) bool { return p.key == key }); i >= 0 {
			parts[metric][i].x = x
			return true
		}
		if parts[metric] == nil {
			order = append(order, metric)
		}
		parts[metric] = append(parts[metric], part{key, x})
		return true
	}
	if g.pairs {
		for _, s := range g.subsets {
			if !add(g.metric, s) {
				return nil, nil, "", false
			}
		}
	} else {
		metrics := append(b.common(g, model), g.metric)
		if b.subjective {
			metrics = metrics[:len(metrics)-1]
			if len(metrics) <= 1 {
				metrics = []string{g.metric}
			}
		}
		for _, metric := range metrics {
			for _, s := range g.subsets {
				s.metric = metric
				if metric == g.metric {
					s.metric = b.metrics[s.name][0]
				}
				if !add(metric, s) {
					return nil, nil, "", false
				}
			}
		}
	}
	for _, s := range g.subsets {
		m, known := b.mode[s.name]
		if !known {
			m = "unknown"
		}
		if mode == "" {
			mode = m
		} else if mode != m {
			mode = "mixed"
		}
	}
	return parts, order, mode, true
}

func (g *group) transformOf(key, name string) *transform {
	if t := g.exprs[key]; t != nil {
		return t
	}
	return g.exprs[name]
}

func (s *scores) has(metric string) bool { _, ok := s.m[metric]; return ok }

// common is what the metrics of all subsets have in common, in the order of a
// table, then by name (the original's order is that of a set: random).
func (b *board) common(g *group, model string) []string {
	var out []string
	for _, m := range b.metrics[g.subsets[0].name] {
		all := true
		for _, s := range g.subsets {
			all = all && b.parsed[model][s.name].has(m)
		}
		if all && m != g.metric {
			out = append(out, m)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if ri, rj := rank(out[i]), rank(out[j]); ri != rj {
			return ri < rj
		}
		return out[i] < out[j]
	})
	return out
}

// groupError is why a group cannot be computed, and where that is written.
type groupError struct {
	pos source.Pos
	msg string
}

// aggregate makes one number of the parts.
func (g *group) aggregate(parts []part) (score, *groupError) {
	n := float64(len(parts))
	sum := func(f func(x float64) float64) float64 {
		t := 0.0
		for _, p := range parts {
			t += f(p.x.v)
		}
		return t
	}
	same := func(x float64) float64 { return x }
	switch {
	case g.metric == ruleStd:
		mean := sum(same) / n
		return score{v: math.Sqrt(sum(func(x float64) float64 { return (x - mean) * (x - mean) }) / n)}, nil
	case g.metric == ruleHarmonic:
		low := slices.ContainsFunc(parts, func(p part) bool { return p.x.v <= 0 })
		return score{v: n / sum(func(x float64) float64 {
			if low {
				x = math.Max(x, 1)
			}
			return 1 / x
		})}, nil
	case g.weights != nil:
		return g.weighted(parts)
	case g.metric == ruleSum:
		whole := !slices.ContainsFunc(parts, func(p part) bool { return !p.x.whole })
		return score{v: sum(same), whole: whole, lin: linear(parts, func(int) float64 { return 1 })}, nil
	}
	return score{v: sum(same) / n, lin: linear(parts, func(int) float64 { return 1 / n })}, nil
}

// weighted is Σ w·x over the weights that are not zero, divided by Σ of all
// but for a sum.
// Weights are by dataset@metric or, if one of those is unknown, by dataset.
func (g *group) weighted(parts []part) (score, *groupError) {
	index := map[string]int{}
	for i, p := range parts {
		index[p.key] = i
	}
	for _, e := range g.weights.Entries() {
		if k, _ := e.Key.(string); e.Val != nil {
			if w, _ := number(e.Val); w == 0 {
				continue
			}
			if _, ok := index[k]; !ok {
				index = map[string]int{}
				for i, p := range parts {
					name, _, _ := strings.Cut(p.key, "@")
					index[name] = i
				}
				break
			}
		}
	}
	total, all, whole := 0.0, 0.0, g.metric == ruleSum
	share := make([]float64, len(parts))
	for _, e := range g.weights.Entries() {
		w, ok := number(e.Val)
		if !ok {
			return score{}, &groupError{e.Pos, fmt.Sprintf("weight of %s is not a number", py.Repr(e.Key))}
		}
		all += w
		if w == 0 {
			continue
		}
		k, _ := e.Key.(string)
		i, ok := index[k]
		if !ok {
			return score{}, &groupError{g.weights.KeyPosOf(e.Key), fmt.Sprintf("weights name %q, which is none of its subsets", k)}
		}
		total += parts[i].x.v * w
		share[i] += w
		if _, float := e.Val.(float64); float || !parts[i].x.whole {
			whole = false
		}
	}
	if g.metric == ruleSum {
		all = 1
	}
	if all == 0 {
		return score{}, &groupError{g.cfg.PosOf("weights"), "weights add up to zero"}
	}
	used := parts[:0:0]
	for i, p := range parts {
		if share[i] != 0 { // an unused part may be a NaN
			used = append(used, p)
		}
	}
	return score{v: total / all, whole: whole, lin: linear(used, func(i int) float64 { return share[indexOf(parts, used[i].key)] / all })}, nil
}

func indexOf(parts []part, key string) int {
	return slices.IndexFunc(parts, func(p part) bool { return p.key == key })
}

// linear combines what parts are made of, part i with weight w(i); nil when a
// part is no linear combination.
func linear(parts []part, w func(i int) float64) map[leaf]float64 {
	out := map[leaf]float64{}
	for i, p := range parts {
		if p.x.lin == nil {
			return nil
		}
		for l, c := range p.x.lin {
			out[l] += c * w(i)
		}
	}
	return out
}
