package evaluator

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
)

// Details of rows are made while they are written: of each row only what it
// takes to find it again is held.

// details are those of one replica.
type details struct {
	RowDetails
	verdicts []bool                 // Result.Correct
	flag     func(int) (bool, bool) // the verdict that a detail itself holds
}

// rowDetails takes the details of a result, whatever they are.
func rowDetails(res Result) details {
	if d, ok := res.Details.(*RowDetails); ok {
		return details{RowDetails: *d, verdicts: res.Correct, flag: func(i int) (bool, bool) {
			return res.Correct != nil && res.Correct[i], res.Correct != nil
		}}
	}
	ds := detailList(res.Details)
	return details{
		RowDetails: RowDetails{Len: len(ds), Row: func(i int) (*py.Dict, error) { return ds[i], nil }},
		verdicts:   res.Correct,
		flag:       func(i int) (bool, bool) { return verdict(ds[i]) },
	}
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

// correct are the verdicts of all rows, nil unless there is one for each.
func (d *details) correct(rows int) []bool {
	if d.verdicts != nil {
		return d.verdicts
	}
	if d.Len != rows {
		return nil
	}
	out := make([]bool, rows)
	for i := range out {
		right, ok := d.flag(i)
		if !ok {
			return nil
		}
		out[i] = right
	}
	return out
}

// gathered are the details of all replicas, one after another.
type gathered struct {
	parts []details
	rows  []int32 // the row of each detail
	part  []int32 // the replica that it is of
	at    []int32 // its place there
}

func (g *gathered) add(d details, rows []int) {
	g.parts = append(g.parts, d)
	for i := range min(d.Len, len(rows)) { // more details than rows: the rest belongs to nothing
		g.rows = append(g.rows, int32(rows[i]))
		g.part = append(g.part, int32(len(g.parts)-1))
		g.at = append(g.at, int32(i))
	}
}

func (g *gathered) detail(k int32) (*py.Dict, error) {
	return g.parts[g.part[k]].Row(int(g.at[k]))
}

func (g *gathered) verdict(k int32) (right, ok bool) {
	return g.parts[g.part[k]].flag(int(g.at[k]))
}

var thresholds = []float64{0, 0.25, 0.5, 0.75, 1}

// question is a row of a dataset with the details of its replicas.
type question struct {
	name    string
	members []int32 // details
	lost    int32   // replicas in which the model failed on it
}

// questions groups details by the question that they are of.
func (in *Input) questions(all *gathered, n int) ([]question, error) {
	name := in.Name
	known := func(row int) bool { return in.Name != nil || row < len(in.Rows) }
	if name == nil {
		name = func(row int) string {
			r := in.Rows[row]
			return py.Str(r.Get("subdivision")) + "_" + py.Str(r.Get("idx"))
		}
	}
	var qs []question
	byName := map[string]int{}
	for k, row := range all.rows {
		if !known(int(row)) {
			continue
		}
		s := name(int(row))
		q, ok := byName[s]
		if !ok {
			q = len(qs)
			qs, byName[s] = append(qs, question{name: s}), q
		}
		qs[q].members = append(qs[q].members, int32(k))
	}
	for i, f := range in.Failed {
		if f != "" && known(i) {
			if q, ok := byName[name(i)]; ok {
				qs[q].lost++
			}
		}
	}
	for _, q := range qs {
		if len(q.members)+int(q.lost) != n {
			return nil, py.Errorf("AssertionError", "question %s has %d details where there are %d replicas", q.name, len(q.members), n)
		}
	}
	return qs, nil
}

// join groups the details of each question's replicas and computes G-Pass.
func join(out *Result, in Input, all *gathered, n int, ks []int) error {
	qs, err := in.questions(all, n)
	if err != nil {
		return err
	}
	passes := n > 1 && len(ks) > 0 && slices.Max(ks) > 1 && slices.ContainsFunc(qs, func(q question) bool {
		return slices.ContainsFunc(q.members, func(k int32) bool { _, ok := all.verdict(k); return ok })
	})
	// each calls fn with the G-Pass metrics of a question, in order
	each := func(q *question, fn func(metric string, v float64)) {
		if !passes || q.lost > 0 {
			return
		}
		c := 0
		for _, k := range q.members {
			if right, _ := all.verdict(k); right {
				c++
			}
		}
		for _, k := range ks {
			for _, t := range thresholds {
				fn(fmt.Sprintf("G-Pass@%d_%s", k, py.FormatFloat(t)), GPass(n, c, k, t))
			}
			fn(fmt.Sprintf("mG-Pass@%d", k), MGPass(n, c, k))
		}
	}
	sums := map[string][]float64{} // by "subdivision/metric" and by metric
	var names, metricNames []string
	for i := range qs {
		sub, _, _ := strings.Cut(qs[i].name, "_")
		each(&qs[i], func(metric string, v float64) {
			if _, ok := sums[sub+"/"]; !ok {
				sums[sub+"/"] = nil
				names = append(names, sub)
			}
			if _, ok := sums[metric]; !ok {
				metricNames = append(metricNames, metric)
			}
			sums[metric] = append(sums[metric], v)
			sums[sub+"/"+metric] = append(sums[sub+"/"+metric], v)
		})
	}
	sort.Strings(names)
	for _, prefix := range append(addSlash(names), "") {
		for _, m := range metricNames {
			out.Metrics.Set(prefix+m, mean(sums[prefix+m])*100)
		}
	}
	out.Details = &py.Stream{Each: func(yield func(string, py.Value) error) error {
		for i := range qs {
			o := py.DictOf("example_abbr", qs[i].name)
			each(&qs[i], func(metric string, v float64) { o.Set(metric, v) })
			for _, k := range qs[i].members {
				d, err := all.detail(k)
				if err != nil {
					return err
				}
				addDetail(o, d)
			}
			if err := yield("", o); err != nil {
				return err
			}
		}
		return nil
	}}
	return nil
}

// addDetail appends each member of a detail to the list of that name in o.
func addDetail(o, d *py.Dict) {
	for _, e := range d.Entries() {
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

func addSlash(l []string) []string {
	out := make([]string, len(l))
	for i, s := range l {
		out[i] = s + "/"
	}
	return out
}

// FormatDetails makes details of the records where an evaluator gives none;
// nil where the records lack what they are made of.
func FormatDetails(in Input) *py.Stream {
	if in.References == nil || in.Records == nil {
		return nil
	}
	keys := in.Records.Keys()
	scoring := slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, "label:") })
	kind := "GEN"
	if scoring {
		kind = "PPL"
	} else if !slices.Contains(keys, "origin_prompt") {
		return nil
	}
	return &py.Stream{IsDict: true, Each: func(yield func(string, py.Value) error) error {
		if err := yield("type", kind); err != nil {
			return err
		}
		for i := range in.Predictions {
			rec, err := in.Records.At(i)
			if err != nil {
				return err
			}
			d := py.NewDict()
			failed := in.Failed != nil && in.Failed[i] != ""
			pred, ref := py.Str(in.Predictions[i]), py.Str(in.References[i])
			if scoring {
				d.Set("origin_prediction", originPrediction(rec, keys))
			} else {
				d.Set("prompt", rec.Get("origin_prompt"))
				d.Set("origin_prediction", rec.Get("prediction"))
			}
			d.Set("predictions", pred)
			d.Set("references", ref)
			if scoring {
				d.Set("correct", pred == ref && !failed)
			}
			if failed {
				d.Set("predictions", nil)
				d.Set("error", in.Failed[i])
			}
			if err := yield(py.Str(i), d); err != nil {
				return err
			}
		}
		return nil
	}}
}

// originPrediction is a scoring record without examples and prediction, its
// labels at the end and without their inputs.
func originPrediction(rec *py.Dict, keys []string) *py.Dict {
	o, labels := py.NewDict(), py.NewDict()
	for _, k := range keys {
		v := rec.Get(k)
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
