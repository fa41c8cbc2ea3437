package evaluator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/sharedtest/refjson"
)

var update = flag.Bool("update", false, "write the list of what is pending")

// accepted reads the differences that we accept: file, case, reason.
func accepted(t testing.TB) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/accepted.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		if f := strings.SplitN(sc.Text(), "\t", 3); len(f) == 3 {
			out[f[0]+"\t"+f[1]] = f[2]
		}
	}
	return out
}

// same compares as the README of the data says: numbers to a relative 1e-12,
// the rest exactly, dicts in order where ordered.
func same(got, want py.Value) bool {
	if n, ok := got.(NumPy); ok {
		got = n.V
	}
	switch w := want.(type) {
	case *py.Dict:
		g, ok := got.(*py.Dict)
		if !ok || g.Len() != w.Len() {
			return false
		}
		for _, e := range w.Entries() {
			v, ok := g.Lookup(e.Key)
			if !ok {
				// JSON has text keys only
				for _, ge := range g.Entries() {
					if py.Str(ge.Key) == py.Str(e.Key) {
						v, ok = ge.Val, true
					}
				}
			}
			if !ok || !same(v, e.Val) {
				return false
			}
		}
		return true
	case *py.List:
		var items []py.Value
		switch g := got.(type) {
		case *py.List:
			items = g.Items
		case *py.Tuple:
			items = g.Items
		default:
			return false
		}
		if len(items) != w.Len() {
			return false
		}
		for i := range items {
			if !same(items[i], w.Items[i]) {
				return false
			}
		}
		return true
	case float64:
		g, ok := got.(float64)
		if !ok {
			return false
		}
		if math.IsNaN(w) || math.IsNaN(g) {
			return math.IsNaN(w) && math.IsNaN(g)
		}
		return g == w || math.Abs(g-w) <= 1e-12*math.Abs(w)
	}
	return py.TypeName(got) == py.TypeName(want) && py.Equal(got, want)
}

func table(v py.Value) (out []*py.Dict) {
	if cols, ok := v.(*py.Dict); ok { // a dict of columns
		for _, e := range cols.Entries() {
			for i, x := range e.Val.(*py.List).Items {
				if i == len(out) {
					out = append(out, py.NewDict())
				}
				out[i].Set(e.Key, x)
			}
		}
		return out
	}
	l, _ := v.(*py.List)
	if l == nil {
		return nil
	}
	for _, it := range l.Items {
		d, _ := it.(*py.Dict)
		out = append(out, d)
	}
	return out
}

func items(v py.Value) []py.Value {
	if l, ok := v.(*py.List); ok {
		return append([]py.Value{}, l.Items...)
	}
	return nil
}

// arguments are records whose members are the columns that score was given.
type arguments struct{ d *py.Dict }

func (a arguments) Keys() (out []string) {
	for _, k := range a.d.Keys() {
		out = append(out, py.Str(k))
	}
	return out
}

func (a arguments) Len() (n int) {
	for _, e := range a.d.Entries() {
		n = max(n, len(items(e.Val)))
	}
	return n
}

func (a arguments) At(i int) (*py.Dict, error) {
	out := py.NewDict()
	for _, e := range a.d.Entries() {
		l := items(e.Val)
		if i >= len(l) {
			return nil, py.Errorf("IndexError", "%s has %d elements", py.Str(e.Key), len(l))
		}
		out.Set(e.Key, l[i])
	}
	return out, nil
}

// collected is a value with all that it makes on the way.
func collected(v py.Value) (py.Value, error) {
	if r, ok := v.(*RowDetails); ok {
		v = r.Stream()
	}
	if s, ok := v.(*py.Stream); ok {
		return s.Collect()
	}
	return v, nil
}

func errClass(err error) string {
	var e *py.Exception
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// TestConformanceEvaluators runs every registered evaluator for which there is
// a file. Files of evaluators that are not there yet are listed in
// testdata/pending.txt, which must be exact.
func TestConformanceEvaluators(t *testing.T) {
	dir := sharedtest.Path(t, "conformance", "metrics")
	files, err := filepath.Glob(filepath.Join(dir, "[A-Z]*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	acc := accepted(t)
	used := map[string]bool{}
	var pending []string
	agree, total := 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".jsonl")
		if name == "CascadeEvaluator" || name == "JudgeEvaluator" {
			pending = append(pending, name)
			continue
		}
		recs := refjson.Lines(t, "conformance", "metrics", name+".jsonl")
		class, err := Classes.Lookup(recs[0].Str("module") + "." + recs[0].Str("evaluator"))
		if err != nil {
			pending = append(pending, name)
			continue
		}
		ok := 0
		for i, r := range recs {
			key := name + "\t" + r.Str("case")
			cfg := py.DictOf("type", r.Str("module")+"."+r.Str("evaluator"))
			for _, e := range r.Dict("options").Entries() {
				cfg.Set(e.Key, e.Val)
			}
			in := Input{Predictions: items(r.Get("predictions")), References: items(r.Get("references"))}
			oa := r.Dict("other_arguments")
			in.Rows = table(oa.Get("test_set"))
			if oa.Len() > 0 {
				in.Records = arguments{oa}
			}
			got, err := score(class, cfg, in)
			good := false
			if r.Has("error") {
				good = errClass(err) == r.Str("error")
			} else {
				want := r.Get("result")
				if name == "EMEvaluator" {
					sortAnswers(got)
					sortAnswers(want)
				}
				good = err == nil && same(got, want)
			}
			if reason, listed := acc[key]; listed {
				used[key] = true
				if good {
					t.Errorf("%s is listed as different (%s) but agrees", key, reason)
				}
				ok++
				continue
			}
			if good {
				ok++
				continue
			}
			want := py.Repr(r.Get("result"))
			if r.Has("error") {
				want = "error " + r.Str("error")
			}
			g := fmt.Sprint(err)
			if err == nil {
				g = py.Repr(got)
			}
			if i-ok < 4 {
				t.Errorf("%s %q\n pred %.300s\n refs %.300s\n got %.700s\nwant %.700s", name, r.Str("case"), py.Repr(r.Get("predictions")), py.Repr(r.Get("references")), g, want)
			}
		}
		t.Logf("%s: %d of %d agree", name, ok, len(recs))
		agree, total = agree+ok, total+len(recs)
		if ok != len(recs) {
			t.Errorf("%s: %d of %d differ", name, len(recs)-ok, len(recs))
		}
	}
	t.Logf("all: %d of %d agree in %d evaluators; %d pending", agree, total, len(files)-len(pending), len(pending))
	for k := range acc {
		if !used[k] && !strings.HasPrefix(k, "evaluate\t") {
			t.Errorf("accepted difference %q was not met", k)
		}
	}
	sort.Strings(pending)
	want, err := os.ReadFile("testdata/pending.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pending, "\n") + "\n"; got != string(want) {
		if *update {
			if err := os.WriteFile("testdata/pending.txt", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("testdata/pending.txt is to read (-update writes it):\n%s", got)
	}
}

// score is what the original's score method returns: metrics with details.
func score(class Class, cfg *py.Dict, in Input) (py.Value, error) {
	ev, err := class.New(cfg)
	if err != nil {
		return nil, err
	}
	res, err := ev.Evaluate(context.Background(), in)
	if err != nil {
		return nil, err
	}
	d := plainNumbers(res.Metrics)
	if res.Details != nil {
		all, err := collected(res.Details)
		if err != nil {
			return nil, err
		}
		d.Set("details", all)
	}
	return d, nil
}

// scripted answers each replica with the next of its answers.
type scripted struct {
	answers []*py.Dict
	numpy   *py.Dict
	n       int
}

func (s *scripted) Evaluate(_ context.Context, in Input) (Result, error) {
	a := s.answers[s.n].Copy()
	s.n++
	var res Result
	if a.Has("$rows") {
		a.Delete("$rows")
		l := py.NewList()
		for i, p := range in.Predictions {
			l.Items = append(l.Items, py.DictOf("pred", p, "answer", in.References[i], "correct", py.Equal(p, in.References[i])))
		}
		res.Details = l
	}
	if a.Has("details") {
		res.Details = a.Get("details")
		a.Delete("details")
	}
	for _, e := range s.numpy.Entries() {
		name, _, _ := strings.Cut(py.Str(e.Key), "/")
		a.Set(name, NumPy{a.Get(name)})
	}
	res.Metrics = a
	return res, nil
}

func TestConformanceReplicas(t *testing.T) {
	ok := 0
	recs := refjson.Lines(t, "conformance", "metrics", "evaluate.jsonl")
	acc := accepted(t)
	for _, r := range recs {
		ev := &scripted{numpy: r.Dict("numpy_types")}
		for _, a := range r.List("answers_of_score").Items {
			ev.answers = append(ev.answers, a.(*py.Dict))
		}
		in := Input{Predictions: items(r.Get("predictions")), References: items(r.Get("references")), Rows: table(r.Get("test_set"))}
		var ks []int
		switch k := r.Get("k").(type) {
		case int:
			ks = []int{k}
		case *py.List:
			for _, v := range k.Items {
				ks = append(ks, v.(int))
			}
		}
		post, err := predPostprocessor(py.DictOf("pred_postprocessor", r.Get("pred_postprocessor")))
		if err != nil {
			t.Errorf("%s: %v", r.Str("case"), err)
			continue
		}
		res, err := Replicas(context.Background(), ev, in, r.Int("n", 1), ks, post)
		if r.Has("error") {
			if errClass(err) != r.Str("error") {
				t.Errorf("%s: error %v, want %s", r.Str("case"), err, r.Str("error"))
				continue
			}
			ok++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.Str("case"), err)
			continue
		}
		got := res.Metrics.Copy()
		if res.Details != nil {
			all, err := collected(res.Details)
			if err != nil {
				t.Fatal(err)
			}
			got.Set("details", all)
		}
		if !same(got, r.Get("result")) || !same(py.NewList(got.Keys()...), r.Get("keys_in_order")) {
			if _, listed := acc["evaluate\t"+r.Str("case")]; !listed {
				t.Errorf("%s:\n got %s\nwant %s", r.Str("case"), py.Repr(got), py.Repr(r.Get("result")))
				continue
			}
		}
		ok++
	}
	t.Logf("%d of %d agree", ok, len(recs))
	if len(recs) < 23 {
		t.Errorf("only %d records", len(recs))
	}
}

func TestConformanceGPass(t *testing.T) {
	recs := refjson.Lines(t, "conformance", "metrics", "g_pass.jsonl")
	for _, r := range recs {
		n, c, k := r.Int("n", 0), r.Int("c", 0), r.Int("k", 0)
		got := py.NewDict()
		for _, th := range thresholds {
			got.Set(py.FormatFloat(th), GPass(n, c, k, th))
		}
		if !same(got, r.Get("g_pass")) {
			t.Errorf("n=%d c=%d k=%d: G-Pass %s, want %s", n, c, k, py.Repr(got), py.Repr(r.Get("g_pass")))
		}
		if got := MGPass(n, c, k); !same(got, r.Get("mg_pass")) {
			t.Errorf("n=%d c=%d k=%d: mG-Pass %v, want %v", n, c, k, got, r.Get("mg_pass"))
		}
		if r.Get("pass") == nil {
			continue // more right answers than answers: the original gives nothing
		}
		if got := PassAtK(n, c, k); !same(got, r.Get("pass")) {
			t.Errorf("n=%d c=%d k=%d: pass@k %v, want %v", n, c, k, got, r.Get("pass"))
		}
	}
	if len(recs) < 103 {
		t.Errorf("only %d records", len(recs))
	}
}

func TestConformanceAverages(t *testing.T) {
	recs := refjson.Lines(t, "conformance", "metrics", "averages.jsonl")
	for i, r := range recs {
		class, err := Classes.Lookup(r.Str("evaluator"))
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Records: arguments{r.Dict("arguments")}}
		got, err := score(class, py.DictOf("type", r.Str("evaluator")), in)
		if r.Has("error") {
			if errClass(err) != r.Str("error") {
				t.Errorf("line %d: %v, want %s", i+1, err, r.Str("error"))
			}
			continue
		}
		if err != nil || !same(got, r.Get("result")) {
			t.Errorf("line %d: %s, %v, want %s", i+1, py.Repr(got), err, py.Repr(r.Get("result")))
		}
	}
}

// sortAnswers sorts details/*/answer, which the original takes from a set.
func sortAnswers(v py.Value) {
	d, _ := v.(*py.Dict)
	if d.List("details") == nil {
		return
	}
	for _, it := range d.List("details").Items {
		l := it.(*py.Dict).List("answer")
		sort.Slice(l.Items, func(i, j int) bool { return py.Str(l.Items[i]) < py.Str(l.Items[j]) })
	}
}
