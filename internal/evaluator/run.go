package evaluator

import (
	"context"
	"fmt"
	"slices"

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
	if j.Input.Records == nil {
		none := make(RecordList, len(j.Input.Predictions))
		for i := range none {
			none[i] = py.NewDict()
		}
		j.Input.Records = none
	}
	res, err := Replicas(ctx, ev, j.Input, n, k, post)
	if err != nil {
		return Result{}, fmt.Errorf("evaluate %s: %w", j.Abbr, err)
	}
	switch {
	case !j.Details:
		res.Details = nil
	case res.Details == nil:
		if d := FormatDetails(j.Input); d != nil { // no nil pointer in an interface
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
	var all gathered
	var correct, lastCorrect []bool
	judged := true
	// records that hold a number and no answer at all, as PPLOnlyInferencer's,
	// leave nothing to read
	answers := true
	if in.Records != nil {
		keys := in.Records.Keys()
		answers = len(keys) == 0 || slices.Contains(keys, "prediction")
	}
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
		ds := rowDetails(res)
		if n > 1 && ds.Len > 0 && ds.Len < len(rows) {
			return Result{}, py.Errorf("AssertionError", "the evaluator gave %d details for the %d rows of a replica", ds.Len, len(rows))
		}
		all.add(ds, rows)
		if lastCorrect = ds.correct(len(rows)); lastCorrect == nil && len(rows) > 0 {
			judged = false
		}
		correct = append(correct, lastCorrect...)
	}
	if len(all.rows) == 0 {
		out.Metrics = plainNumbers(last)
		out.Correct = lastCorrect
		return out, nil
	}
	if judged {
		out.Correct = correct
	}
	out.Metrics = average(metrics, n)
	return out, join(&out, in, &all, n, ks)
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
	out := Input{Predictions: pick(in.Predictions), References: pick(in.References), OutPath: in.OutPath}
	if in.Rows != nil {
		for _, r := range rows {
			out.Rows = append(out.Rows, in.Rows[r])
		}
	}
	if in.Name != nil {
		out.Name = func(i int) string { return in.Name(rows[i]) }
	}
	if in.Records != nil {
		out.Records = picked{in.Records, rows}
	}
	return out, rows
}

// picked are the records of some rows.
type picked struct {
	Records
	rows []int
}

func (p picked) Len() int                   { return len(p.rows) }
func (p picked) At(i int) (*py.Dict, error) { return p.Records.At(p.rows[i]) }

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
