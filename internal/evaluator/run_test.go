package evaluator

import (
	"context"
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/source"
)

func set(n, replicas int) *dataset.Set {
	s := &dataset.Set{Abbr: "toy", N: replicas, Output: "a", K: []int{1, 2}}
	for r := 0; r < replicas; r++ {
		for i := 0; i < n; i++ {
			s.Test = append(s.Test, py.DictOf("subdivision", "toy", "idx", i))
		}
	}
	return s
}

func texts(s ...string) []py.Value {
	out := make([]py.Value, len(s))
	for i, x := range s {
		out[i] = x
	}
	return out
}

// records are those whose members are the given columns, in the given order.
func records(names []string, columns ...[]py.Value) RecordList {
	var out RecordList
	for c, name := range names {
		for i, v := range columns[c] {
			if i == len(out) {
				out = append(out, py.NewDict())
			}
			out[i].Set(name, v)
		}
	}
	return out
}

func TestFailedAndUnreadRowsAreCounted(t *testing.T) {
	t.Parallel()
	s := set(4, 1)
	in := Input{Predictions: texts("A", "", "", "B"), References: texts("A", "A", "A", "A"), Rows: s.Test, Failed: []string{"", "", "content_filter: no", ""},
		Records: records([]string{"origin_prompt", "prediction"}, texts("p", "q", "r", "s"), texts("So A", "?", "", "So B"))}
	in.Predictions[2] = nil
	res, err := Run(context.Background(), Job{Abbr: "toy", Cfg: py.DictOf("type", "AccEvaluator"), Set: s, Input: in, Details: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Total: 4, Scored: 2, Unscored: 1, Failed: 1}); res.Counts != want {
		t.Errorf("counts %+v, want %+v", res.Counts, want)
	}
	// one of the three rows that were answered; an unread answer counts as wrong
	if got := py.Repr(res.Metrics); got != "{'accuracy': 33.33333333333333}" {
		t.Errorf("metrics %s", got)
	}
	if len(res.Correct) != 3 || !res.Correct[0] || res.Correct[1] || res.Correct[2] {
		t.Errorf("correct %v", res.Correct)
	}
	want := "{'type': 'GEN', '0': {'prompt': 'p', 'origin_prediction': 'So A', 'predictions': 'A', 'references': 'A'}, " +
		"'1': {'prompt': 'q', 'origin_prediction': '?', 'predictions': '', 'references': 'A'}, " +
		"'2': {'prompt': 'r', 'origin_prediction': '', 'predictions': None, 'references': 'A', 'error': 'content_filter: no'}, " +
		"'3': {'prompt': 's', 'origin_prediction': 'So B', 'predictions': 'B', 'references': 'A'}}"
	if got := py.Repr(res.Details); got != want {
		t.Errorf("details\n got %s\nwant %s", got, want)
	}
}

func TestDetailsOfScoringRecords(t *testing.T) {
	t.Parallel()
	label := func(ppl float64) py.Value { return py.DictOf("testing input", "t", "prompt", "p", "PPL", ppl) }
	rec := py.DictOf("in-context examples", "", "origin_prompt", "o", "label: 1", label(1.5), "label: 2", label(2.5), "prediction", 1, "gold", "1")
	in := Input{Predictions: []py.Value{1}, References: texts("1"), Records: RecordList{rec}}
	want := "{'type': 'PPL', '0': {'origin_prediction': {'origin_prompt': 'o', 'gold': '1', '1': {'prompt': 'p', 'PPL': 1.5}, '2': {'prompt': 'p', 'PPL': 2.5}}, " +
		"'predictions': '1', 'references': '1', 'correct': True}}"
	if got := py.Repr(FormatDetails(in)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !rec.Dict("label: 1").Has("testing input") {
		t.Error("the record itself was changed")
	}
}

func TestReplicasWithFailures(t *testing.T) {
	t.Parallel()
	s := set(2, 2)
	in := Input{Predictions: texts("A", "A", "A", "A"), References: texts("A", "B", "A", "B"), Rows: s.Test, Records: records([]string{"origin_prompt"}, texts("p", "q", "p", "q")), Failed: []string{"", "", "", "timeout"}}
	res, err := Run(context.Background(), Job{Cfg: py.DictOf("type", "AccwithDetailsEvaluator"), Set: s, Input: in, Details: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Metrics.Get("accuracy (2 runs average)"); got != 75.0 {
		t.Errorf("average %v, want that of 50 and 100", got)
	}
	if got := res.Metrics.Get("G-Pass@2_1.0"); got != 100.0 {
		t.Errorf("G-Pass %v, want 100: the question that lost a replica is not in it", got)
	}
	if res.Counts.Failed != 1 || res.Counts.Scored != 3 {
		t.Errorf("counts %+v", res.Counts)
	}
	// without details the last replica's metrics stand
	res, err = Run(context.Background(), Job{Cfg: py.DictOf("type", "AccEvaluator"), Set: s, Input: in})
	if err != nil || res.Metrics.Get("accuracy") != 100.0 || len(res.Correct) != 1 || res.Details != nil {
		t.Errorf("%s, correct %v, %v", py.Repr(res.Metrics), res.Correct, err)
	}
}

func TestRecordsWithoutPrompt(t *testing.T) {
	t.Parallel()
	in := Input{Predictions: texts("A", "B"), References: texts("A", "A"), Rows: set(2, 1).Test}
	res, err := Run(context.Background(), Job{Cfg: py.DictOf("type", "AccwithDetailsEvaluator"), Set: set(2, 1), Input: in, Details: true})
	if err != nil {
		t.Fatal(err)
	}
	want := "[{'example_abbr': 'toy_0', 'prompt': [None], 'pred': ['A'], 'refr': ['A'], 'is_correct': [True]}"
	if got := py.Repr(res.Details); res.Metrics.Get("accuracy") != 50.0 || !strings.HasPrefix(got, want) {
		t.Errorf("%s, details %s", py.Repr(res.Metrics), got)
	}
}

func TestRowsThatAreNoReplicas(t *testing.T) {
	t.Parallel()
	in := Input{Predictions: texts("A", "B", "C"), References: texts("A", "A", "A"), Rows: set(3, 1).Test}
	if _, err := Replicas(t.Context(), accuracyEvaluator(t), in, 2, []int{1}, nil); err == nil {
		t.Error("the last of three rows was left out without a word")
	}
}

func accuracyEvaluator(t *testing.T) Evaluator {
	t.Helper()
	c, err := Lookup(py.DictOf("type", "AccEvaluator"))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := c.New(py.DictOf("type", "AccEvaluator"))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestRecordsWithoutAnswer(t *testing.T) {
	t.Parallel()
	in := Input{Predictions: make([]py.Value, 2), Rows: set(2, 1).Test, Records: records([]string{"ppl"}, []py.Value{1.0, 2.0})}
	res, err := Run(context.Background(), Job{Cfg: py.DictOf("type", "AveragePPLEvaluator"), Set: set(2, 1), Input: in})
	if want := (Counts{Total: 2, Scored: 2}); err != nil || res.Counts != want || res.Metrics.Get("average_ppl") != 1.5 {
		t.Errorf("%s, %+v, %v", py.Repr(res.Metrics), res.Counts, err)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	cfg := py.NewDict()
	cfg.At = 7
	if err := cfg.Put(py.Entry{Key: "type", Val: "opencompass.openicl.icl_evaluator.AccEvaluatr", Pos: 9}); err != nil {
		t.Fatal(err)
	}
	_, err := Run(context.Background(), Job{Cfg: cfg})
	ds := source.Diagnostics(err)
	if len(ds) != 1 || ds[0].Pos != 9 || !strings.Contains(ds[0].Msg, `unknown evaluator "AccEvaluatr"`) || !strings.Contains(ds[0].Hint, "AccEvaluator") {
		t.Errorf("got %v", err)
	}
	_, err = Run(context.Background(), Job{Abbr: "toy", Cfg: py.DictOf("type", "AccEvaluator"), Input: Input{Predictions: texts("A"), References: texts("A", "B")}})
	if err == nil || !strings.Contains(err.Error(), "1 predictions and 2 references") {
		t.Errorf("got %v", err)
	}
	_, err = Run(context.Background(), Job{Cfg: py.DictOf("type", "AccEvaluator", "pred_postprocessor", py.DictOf("type", "first-capitl"))})
	if ds := source.Diagnostics(err); len(ds) != 1 || !strings.Contains(ds[0].Hint, "first-capital") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkAccuracy(b *testing.B) {
	in := Input{}
	for i := range 10000 {
		in.Predictions = append(in.Predictions, i%3+1)
		in.References = append(in.References, py.Str(i%4+1))
	}
	for range b.N {
		if _, err := accuracy(in); err != nil {
			b.Fatal(err)
		}
	}
}
