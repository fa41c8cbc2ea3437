package summary

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// Metrics in the order in which a table shows them; others follow in the
// order of the file.
var metricOrder = []string{
	"score", "auc_score", "accuracy", "humaneval_pass@1", "rouge1", "avg_toxicity_score", "bleurt_diff",
	"matthews_correlation", "truth", "f1", "exact_match", "extract_rate",
}

// Numbers in result files that are no scores.
var notMetrics = []string{"bp", "sys_len", "ref_len", "type"}

// rank is the place of a metric in metricOrder, len(metricOrder) for others.
func rank(metric string) int {
	if i := slices.Index(metricOrder, metric); i >= 0 {
		return i
	}
	return len(metricOrder)
}

// score is one number of a model, with how it is made of measured ones.
type score struct {
	v     float64
	whole bool // a Python int
	// lin says v = Σ lin[leaf]·(value of leaf) over measured scores; nil where
	// v is no linear combination of them.
	lin map[leaf]float64
}

// python is the value as the raw section shows it.
func (s score) python() py.Value {
	if s.whole && math.Abs(s.v) < 1<<53 {
		return int(s.v)
	}
	return s.v
}

// leaf is a measured score of a model.
type leaf struct{ dataset, metric string }

// scores are the metrics of a model on a dataset or group, in order.
type scores struct {
	names []string
	m     map[string]score
}

func newScores() *scores { return &scores{m: map[string]score{}} }

func (s *scores) set(metric string, x score) {
	if _, ok := s.m[metric]; !ok {
		s.names = append(s.names, metric)
	}
	s.m[metric] = x
}

// board is everything collected for a table, by display name of the model and
// abbr of the dataset or name of the group.
type board struct {
	in       Input
	datasets []*py.Dict
	abbrs    []string            // of datasets
	models   []string            // display names, each once
	raw      map[string]*py.Dict // model → name → what the raw section shows
	parsed   map[string]map[string]*scores
	metrics  map[string][]string // name → metrics, the shown one first
	names    []string            // keys of metrics in the order they came
	mode     map[string]string   // name → gen, ppl, ll, unknown, mixed
	evidence map[string]map[string]Evidence
	state    map[string]map[string]cellState // model → name
	warnings []*source.Diagnostic
	// subjective: groups of names show their common metrics if there are
	// several, else the default one, never both; no harmonic mean.
	subjective bool
}

type cellState struct {
	state  State
	reason string
}

func (b *board) warnf(pos source.Pos, format string, args ...any) {
	b.warnings = append(b.warnings, source.Errorf(pos, format, args...))
}

// newBoard makes an empty board with the modes of the datasets.
func newBoard(in Input) *board {
	b := &board{
		in: in, datasets: dicts(in.Config.Get("datasets")),
		raw: map[string]*py.Dict{}, parsed: map[string]map[string]*scores{}, metrics: map[string][]string{},
		mode: map[string]string{}, evidence: map[string]map[string]Evidence{}, state: map[string]map[string]cellState{},
	}
	for _, d := range b.datasets {
		abbr := spec.DatasetAbbr(d)
		b.abbrs = append(b.abbrs, abbr)
		b.mode[abbr] = modeOf(d)
	}
	return b
}

// addModel makes a column.
func (b *board) addModel(name string) {
	if _, ok := b.raw[name]; ok {
		return
	}
	b.models = append(b.models, name)
	b.raw[name] = py.NewDict()
	b.parsed[name] = map[string]*scores{}
	b.evidence[name] = map[string]Evidence{}
	b.state[name] = map[string]cellState{}
}

// modeOf says how a dataset is asked, from the name of its inferencer.
func modeOf(d *py.Dict) string {
	t := typeName(d.Dict("infer_cfg").Dict("inferencer").Get("type"))
	switch {
	case strings.Contains(t, "GenInferencer"):
		return "gen"
	case strings.Contains(t, "PPLInferencer"), strings.Contains(t, "PPLOnlyInferencer"):
		return "ppl"
	case strings.Contains(t, "LLInferencer"):
		return "ll"
	}
	return "unknown"
}

// collect reads the results of every model on every dataset.
func collect(in Input) *board {
	b := newBoard(in)
	from := map[string]string{} // display name → abbr of its first model
	for _, m := range dicts(in.Config.Get("models")) {
		name, abbr := DisplayName(m), spec.ModelAbbr(m)
		if first, ok := from[name]; ok && first != abbr {
			b.warnf(m.PosOf("summarizer_abbr"), "models %q and %q share one column %q; where both have a result the later one is shown", first, abbr, name)
		} else {
			from[name] = abbr
		}
		b.addModel(name)
		for _, ds := range b.abbrs {
			res, err := in.Result(abbr, ds)
			var ev Evidence
			known := false
			if in.Evidence != nil {
				ev, known = in.Evidence(abbr, ds)
			}
			switch {
			case err != nil:
				b.warnf(0, "results of %s on %s: %v", abbr, ds, err)
				b.state[name][ds] = cellState{Failed, err.Error()}
			case res != nil:
				if !known {
					ev, known = FromDetails(res.Get("details"))
				}
				b.add(name, ds, res)
			}
			if known {
				b.evidence[name][ds] = ev
				if ev.State != "" {
					b.state[name][ds] = cellState{ev.State, ev.Reason}
				} else if _, told := b.state[name][ds]; !told && ev.Counts.Failed > 0 {
					b.state[name][ds] = cellState{Partial, fmt.Sprintf("%s of %s failed", source.Number(ev.Counts.Failed), source.Count(ev.Counts.Total, "sample"))}
				}
			}
		}
	}
	return b
}

// add enters one result.
func (b *board) add(model, ds string, res *py.Dict) {
	res = res.Copy()
	res.Delete("details")
	b.raw[model].Set(ds, res)
	delete(b.parsed[model], ds) // an earlier model of the same display name
	delete(b.state[model], ds)
	if e, ok := res.Lookup("error"); ok {
		b.state[model][ds] = cellState{Failed, fmt.Sprint(e)}
		return
	}
	sc, names := newScores(), []string(nil)
	for _, e := range res.Entries() {
		metric, ok := e.Key.(string)
		if !ok || slices.Contains(notMetrics, metric) {
			continue
		}
		if v, ok := number(e.Val); ok {
			_, float := e.Val.(float64)
			sc.set(metric, score{v: v, whole: !float, lin: map[leaf]float64{{ds, metric}: 1}})
			names = append(names, metric)
		}
	}
	if len(names) == 0 {
		b.warnf(0, "result of %s on %s has no number in it: %s", model, ds, py.Repr(res))
		b.state[model][ds] = cellState{Failed, "the result has no number in it"}
		return
	}
	sort.SliceStable(names, func(i, j int) bool { return rank(names[i]) < rank(names[j]) })
	if old := b.metrics[ds]; old != nil && !slices.Equal(old, names) {
		b.warnf(0, "%s: %s has the metrics %s, models before it %s; a missing one is shown as -", ds, model, strings.Join(names, ", "), strings.Join(old, ", "))
	}
	b.addMetrics(ds, names)
	b.parsed[model][ds] = sc
}

// addMetrics enters the metrics of a dataset or group, each once.
func (b *board) addMetrics(name string, metrics []string) {
	if _, ok := b.metrics[name]; !ok {
		b.names = append(b.names, name)
		b.metrics[name] = nil
	}
	for _, m := range metrics {
		if !slices.Contains(b.metrics[name], m) {
			b.metrics[name] = append(b.metrics[name], m)
		}
	}
}

// number is a Python int, float or bool as a float.
func number(v py.Value) (float64, bool) {
	switch x := v.(type) {
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case int:
		return float64(x), true
	case float64:
		return x, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		return f, true
	}
	return 0, false
}

// fixed is '{:.0<digits>f}'.format(v).
func fixed(v float64, digits int) string {
	switch {
	case v != v:
		return "nan"
	case v > maxFloat:
		return "inf"
	case v < -maxFloat:
		return "-inf"
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

const maxFloat = 0x1p1023 * (1 + (1 - 0x1p-52))

// FromDetails reads what the details of a result file tell about its rows, as
// runs of OpenCompass have them: a dict or list of rows with a flag.
func FromDetails(details py.Value) (Evidence, bool) {
	var rows []py.Value
	switch x := details.(type) {
	case *py.Dict:
		for _, e := range x.Entries() {
			rows = append(rows, e.Val)
		}
	case *py.List:
		rows = x.Items
	}
	var ev Evidence
	for _, r := range rows {
		d, ok := r.(*py.Dict)
		if !ok {
			continue // 'type': 'GEN'
		}
		for _, flag := range []string{"correct", "is_correct", "cascade_correct"} {
			v, ok := d.Lookup(flag)
			if !ok {
				continue
			}
			right, ok := v.(bool)
			if !ok {
				return Evidence{}, false // several replicas in one row
			}
			ev.Judged++
			if right {
				ev.Correct++
			}
			break
		}
	}
	ev.Counts.Total, ev.Counts.Scored = ev.Judged, ev.Judged
	return ev, ev.Judged > 0
}
