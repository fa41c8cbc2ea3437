package evaluator

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/postprocess"
	"sextant/internal/py"
	"sextant/internal/source"
)

// Job is the evaluation of one dataset.
type Job struct {
	Abbr    string
	Cfg     *py.Dict // the evaluator dict of eval_cfg
	Set     *dataset.Set
	Input   Input
	Details bool // make details where the evaluator gives none
}

// NumPy marks a metric that is a NumPy scalar but no Python float in the
// original (float32, int64): such values are not averaged over replicas.
type NumPy struct{ V py.Value }

// PyType implements py.Object.
func (n NumPy) PyType() string { return py.TypeName(n.V) }

// PyRepr implements py.Object.
func (n NumPy) PyRepr() string { return py.Repr(n.V) }

// Lookup finds the class of an evaluator dict; an unknown one is a diagnostic
// at its type.
func Lookup(cfg *py.Dict) (Class, error) {
	c, err := Classes.Lookup(cfg.Str("type"))
	if err != nil {
		return c, source.At(cfg.PosOf("type"), err)
	}
	return c, nil
}

// Run evaluates a dataset: it takes out the rows that failed, scores each
// replica by itself, and joins the replicas as OpenCompass does.
func Run(ctx context.Context, j Job) (Result, error) {
	class, err := Lookup(j.Cfg)
	if err != nil {
		return Result{}, err
	}
	ev, err := class.New(j.Cfg)
	if err != nil {
		return Result{}, err
	}
	post, err := predPostprocessor(j.Cfg)
	if err != nil {
		return Result{}, err
	}
	n, k := 1, []int{1}
	if j.Set != nil {
		n = max(1, j.Set.N)
		if len(j.Set.K) > 0 {
			k = j.Set.K
		}
	}
	if j.Input.Prompts == nil { // records of a loglikelihood or a perplexity
		j.Input.Prompts = make([]py.Value, len(j.Input.Predictions))
	}
	res, err := Replicas(ctx, ev, j.Input, n, k, post)
	if err != nil {
		return Result{}, fmt.Errorf("evaluate %s: %w", j.Abbr, err)
	}
	switch {
	case !j.Details:
		res.Details = nil
	case res.Details == nil:
		if d := FormatDetails(j.Input); d != nil {
			res.Details = d
		}
	}
	return res, nil
}

// predPostprocessor is the evaluator's own extraction, nil for none.
func predPostprocessor(cfg *py.Dict) (func(py.Value) (py.Value, error), error) {
	v := cfg.Get("pred_postprocessor")
	if !py.Truth(v) {
		return nil, nil
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, source.Errorf(cfg.PosOf("pred_postprocessor"), "pred_postprocessor must be a dict, not %s", py.TypeName(v))
	}
	fn, err := postprocess.Functions.Lookup(d.Str("type"))
	if err != nil {
		return nil, source.At(d.PosOf("type"), err)
	}
	kw := d.Copy()
	kw.Delete("type")
	return func(v py.Value) (py.Value, error) {
		s, ok := v.(string)
		if !ok {
			s = py.Str(v)
		}
		return fn(s, kw)
	}, nil
}

// Replicas scores the n replicas of a dataset, which stand one after another,
// and joins their results (BaseEvaluator.evaluate). post, when not nil, is
// applied to each prediction. The result of the original is kept in each
// detail, its oddities included:
//
//   - without details the metrics are the last replica's, not averaged;
//   - with details numbers are averaged, and renamed "… (n runs average)" for
//     n > 1; anything else becomes the list of the replicas' values;
//   - rows that are judged right or wrong give G-Pass@k for n > 1 and k > 1.
//
// Rows that failed are in no replica's score; a question that lost a replica
// has no G-Pass.
func Replicas(ctx context.Context, ev Evaluator, in Input, n int, ks []int, post func(py.Value) (py.Value, error)) (Result, error) {
	total := len(in.Predictions)
	if in.References != nil && len(in.References) != total {
		return Result{}, py.Errorf("ValueError", "there are %d predictions and %d references", total, len(in.References))
	}
	if total%n != 0 {
		return Result{}, py.Errorf("ValueError", "%d predictions are no %d replicas of one dataset", total, n)
	}
	size := total / n
	var out Result
	out.Counts.Total = total
	metrics := py.NewDict() // name → *py.List over replicas
	var last *py.Dict
	var details []detail
	var correct, lastCorrect []bool
	judged := true
	// records that hold a number and no answer at all, as PPLOnlyInferencer's,
	// leave nothing to read
	answers := in.Columns == nil || in.Columns["prediction"] != nil
	for r := 0; r < n; r++ {
		part, rows := replica(in, r*size, (r+1)*size)
		out.Counts.Failed += size - len(rows)
		if post != nil {
			for i, p := range part.Predictions {
				v, err := post(p)
				if err != nil {
					return Result{}, fmt.Errorf("row %d: %w", rows[i], err)
				}
				part.Predictions[i] = v
			}
		}
		unread := 0
		for _, p := range part.Predictions {
			if answers && unreadable(p) {
				unread++
			}
		}
		res, err := ev.Evaluate(ctx, part)
		if err != nil {
			return Result{}, err
		}
		if c := res.Counts; c.Unscored > 0 {
			unread = c.Unscored
		}
		out.Counts.Unscored += unread
		out.Counts.Scored += len(rows) - unread
		last = res.Metrics
		for _, e := range res.Metrics.Entries() {
			l, _ := metrics.Get(e.Key).(*py.List)
			if l == nil {
				l = py.NewList()
				metrics.Set(e.Key, l)
			}
			l.Items = append(l.Items, e.Val)
		}
		ds := detailList(res.Details)
		if n > 1 && len(ds) > 0 && len(ds) < len(rows) {
			return Result{}, py.Errorf("AssertionError", "the evaluator gave %d details for the %d rows of a replica", len(ds), len(rows))
		}
		for i, d := range ds {
			if i >= len(rows) {
				break // more details than rows: the rest belongs to nothing
			}
			details = append(details, detail{rows[i], d})
		}
		lastCorrect = res.Correct
		if lastCorrect == nil {
			lastCorrect = flags(ds, len(rows))
		}
		if lastCorrect == nil && len(rows) > 0 {
			judged = false
		}
		correct = append(correct, lastCorrect...)
	}
	if len(details) == 0 {
		out.Metrics = plainNumbers(last)
		out.Correct = lastCorrect
		return out, nil
	}
	if judged {
		out.Correct = correct
	}
	out.Metrics = average(metrics, n)
	return out, join(&out, in, details, n, ks)
}

type detail struct {
	row  int
	dict *py.Dict
}

// replica is the part of the input from row lo to hi without failed rows, and
// the numbers of its rows.
func replica(in Input, lo, hi int) (Input, []int) {
	var rows []int
	for i := lo; i < hi; i++ {
		if in.Failed == nil || in.Failed[i] == "" {
			rows = append(rows, i)
		}
	}
	pick := func(l []py.Value) []py.Value {
		if l == nil {
			return nil
		}
		out := make([]py.Value, len(rows))
		for i, r := range rows {
			if r < len(l) {
				out[i] = l[r]
			}
		}
		return out
	}
	out := Input{Predictions: pick(in.Predictions), References: pick(in.References), Prompts: pick(in.Prompts), Keys: in.Keys, OutPath: in.OutPath}
	if in.Rows != nil {
		for _, r := range rows {
			out.Rows = append(out.Rows, in.Rows[r])
		}
	}
	out.Columns = make(map[string][]py.Value, len(in.Columns))
	for name, c := range in.Columns {
		out.Columns[name] = pick(c)
	}
	return out, rows
}

// unreadable says that no answer was read from a text.
func unreadable(p py.Value) bool {
	switch x := p.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case *py.List:
		return x.Len() == 0
	}
	return false
}

// detailList is what an evaluator gave as details, row by row.
func detailList(v py.Value) []*py.Dict {
	var items []py.Value
	switch x := v.(type) {
	case *py.List:
		items = x.Items
	case *py.Dict:
		for _, e := range x.Entries() {
			items = append(items, e.Val)
		}
	}
	out := make([]*py.Dict, len(items))
	for i, it := range items {
		d, ok := it.(*py.Dict)
		if !ok {
			d = py.DictOf("detail", it)
		}
		out[i] = d
	}
	return out
}

// verdict is what is said in a detail: the first of its three names that is there.
func verdict(d *py.Dict) (right, ok bool) {
	for _, k := range []string{"correct", "is_correct", "cascade_correct"} {
		if v := d.Get(k); v != nil {
			return py.Truth(v), true
		}
	}
	return false, false
}

// flags are the verdicts of all rows, nil unless there is one for each.
func flags(ds []*py.Dict, rows int) []bool {
	if len(ds) != rows {
		return nil
	}
	out := make([]bool, rows)
	for i, d := range ds {
		right, ok := verdict(d)
		if !ok {
			return nil
		}
		out[i] = right
	}
	return out
}

func plainNumbers(m *py.Dict) *py.Dict {
	out := py.NewDict()
	for _, e := range m.Entries() {
		if n, ok := e.Val.(NumPy); ok {
			e.Val = n.V
		}
		out.Set(e.Key, e.Val)
	}
	return out
}

// average joins the metrics of n replicas.
func average(metrics *py.Dict, n int) *py.Dict {
	out := py.NewDict()
	for _, e := range metrics.Entries() {
		l := e.Val.(*py.List)
		if len(numbers(l)) == 0 {
			for i, v := range l.Items {
				if x, ok := v.(NumPy); ok {
					l.Items[i] = x.V
				}
			}
			out.Set(e.Key, l)
		} else if n == 1 {
			out.Set(e.Key, mean(numbers(l)))
		}
	}
	if n > 1 {
		for _, e := range metrics.Entries() {
			if v := numbers(e.Val.(*py.List)); len(v) > 0 {
				out.Set(fmt.Sprintf("%s (%d runs average)", py.Str(e.Key), n), mean(v))
			}
		}
	}
	return out
}

// numbers are the values of a metric as floats when the first of them is a
// Python number.
func numbers(l *py.List) []float64 {
	var out []float64
	for i, v := range l.Items {
		f, ok := number(v)
		if !ok {
			if i == 0 {
				return nil
			}
			continue
		}
		out = append(out, f)
	}
	return out
}

func number(v py.Value) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int:
		return float64(x), true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

var thresholds = []float64{0, 0.25, 0.5, 0.75, 1}

// join groups the details of each question's replicas and computes G-Pass.
func join(out *Result, in Input, details []detail, n int, ks []int) error {
	type group struct {
		name    string
		members []*py.Dict
		lost    int // replicas in which the model failed on it
	}
	var groups []*group
	byName := map[string]*group{}
	name := func(row int) string {
		r := in.Rows[row]
		return py.Str(r.Get("subdivision")) + "_" + py.Str(r.Get("idx"))
	}
	for _, d := range details {
		if d.row >= len(in.Rows) {
			continue
		}
		g := byName[name(d.row)]
		if g == nil {
			g = &group{name: name(d.row)}
			byName[g.name] = g
			groups = append(groups, g)
		}
		g.members = append(g.members, d.dict)
	}
	for i, f := range in.Failed {
		if f != "" && i < len(in.Rows) {
			if g := byName[name(i)]; g != nil {
				g.lost++
			}
		}
	}
	maxK := 0
	for _, k := range ks {
		maxK = max(maxK, k)
	}
	flagged := false
	for _, g := range groups {
		if len(g.members)+g.lost != n {
			return py.Errorf("AssertionError", "question %s has %d details where there are %d replicas", g.name, len(g.members), n)
		}
		for _, m := range g.members {
			_, ok := verdict(m)
			flagged = flagged || ok
		}
	}
	passes := flagged && n > 1 && maxK > 1
	sums := map[string][]float64{} // by "subdivision/metric" and by metric
	var names, metricNames []string
	list := py.NewList()
	for _, g := range groups {
		o := py.DictOf("example_abbr", g.name)
		if passes && g.lost == 0 {
			c := 0
			for _, m := range g.members {
				if right, _ := verdict(m); right {
					c++
				}
			}
			sub, _, _ := strings.Cut(g.name, "_")
			if _, ok := sums[sub+"/"]; !ok {
				sums[sub+"/"] = nil
				names = append(names, sub)
			}
			put := func(metric string, v float64) {
				o.Set(metric, v)
				if _, ok := sums[metric]; !ok {
					metricNames = append(metricNames, metric)
				}
				sums[metric] = append(sums[metric], v)
				sums[sub+"/"+metric] = append(sums[sub+"/"+metric], v)
			}
			for _, k := range ks {
				for _, t := range thresholds {
					put(fmt.Sprintf("G-Pass@%d_%s", k, py.FormatFloat(t)), GPass(n, c, k, t))
				}
				put(fmt.Sprintf("mG-Pass@%d", k), MGPass(n, c, k))
			}
		}
		for _, m := range g.members {
			for _, e := range m.Entries() {
				if e.Key == "predictions" {
					continue // lost in the original too
				}
				l, _ := o.Get(e.Key).(*py.List)
				if l == nil {
					l = py.NewList()
					o.Set(e.Key, l)
				}
				v := e.Val
				if x, ok := v.(NumPy); ok {
					v = x.V
				}
				l.Items = append(l.Items, v)
			}
		}
		list.Items = append(list.Items, o)
	}
	sort.Strings(names)
	for _, prefix := range append(addSlash(names), "") {
		for _, m := range metricNames {
			out.Metrics.Set(prefix+m, mean(sums[prefix+m])*100)
		}
	}
	out.Details = list
	return nil
}

func addSlash(l []string) []string {
	out := make([]string, len(l))
	for i, s := range l {
		out[i] = s + "/"
	}
	return out
}

// FormatDetails makes details of the records where an evaluator gives none;
// nil where the records lack what they are made of.
func FormatDetails(in Input) py.Value {
	if in.References == nil {
		return nil
	}
	kind := "GEN"
	for k := range in.Columns {
		if strings.HasPrefix(k, "label:") {
			kind = "PPL"
		}
	}
	prompts := in.Columns["origin_prompt"]
	if kind == "GEN" && prompts == nil {
		return nil
	}
	out := py.DictOf("type", kind)
	for i := range in.Predictions {
		d := py.NewDict()
		failed := in.Failed != nil && in.Failed[i] != ""
		pred, ref := py.Str(in.Predictions[i]), py.Str(in.References[i])
		if kind == "PPL" {
			d.Set("origin_prediction", originPrediction(in, i))
			d.Set("predictions", pred)
			d.Set("references", ref)
			d.Set("correct", pred == ref && !failed)
		} else {
			d.Set("prompt", prompts[i])
			var origin py.Value
			if c := in.Columns["prediction"]; c != nil {
				origin = c[i]
			}
			d.Set("origin_prediction", origin)
			d.Set("predictions", pred)
			d.Set("references", ref)
		}
		if failed {
			d.Set("predictions", nil)
			d.Set("error", in.Failed[i])
		}
		out.Set(py.Str(i), d)
	}
	return out
}

// originPrediction is a scoring record without examples and prediction, its
// labels at the end and without their inputs.
func originPrediction(in Input, i int) *py.Dict {
	o, labels := py.NewDict(), py.NewDict()
	keys := in.Keys
	if keys == nil {
		for k := range in.Columns {
			keys = append(keys, k)
		}
		sort.Strings(keys)
	}
	for _, k := range keys {
		v := in.Columns[k][i]
		if v == nil || k == "in-context examples" || k == "prediction" {
			continue
		}
		d, ok := v.(*py.Dict)
		if !ok || !strings.HasPrefix(k, "label:") {
			o.Set(k, v)
			continue
		}
		d = d.Copy()
		d.Delete("testing input")
		labels.Set(strings.ReplaceAll(k, "label: ", ""), d)
	}
	for _, e := range labels.Entries() {
		o.Set(e.Key, e.Val)
	}
	return o
}
