package task

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/evaluator"
	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/postprocess"
	"sextant/internal/py"
	"sextant/internal/spec"
	"sextant/internal/store"
)

// evaluatorVersion changes when the program scores differently from before.
const evaluatorVersion = "1"

// EvalHash is what a result depends on besides the predictions: how answers
// are extracted and judged, and the references.
// content is the dataset's content version (dataset.Set.Content).
func EvalHash(content string, ds, m *py.Dict, details bool) (string, error) {
	return valueHash(py.DictOf(
		"v", evaluatorVersion, "eval", ds.Get("eval_cfg"), "model_postprocessor", m.Get("pred_postprocessor"),
		"data", content, "n", ds.Get("n"), "k", ds.Get("k"), "details", details))
}

// eval scores one dataset: the pipeline of OpenCompass's OpenICLEvalTask
// (spec 6.4). Predictions are read, extracted by the model's and the dataset's
// postprocessors in that order, judged, and written with their counts.
func (x *executor) eval(ctx context.Context, u *Unit) (Outcome, error) {
	ds, m := u.Dataset, x.m.Model
	ecfg := ds.Dict("eval_cfg")
	if ecfg == nil || ecfg.Dict("evaluator") == nil {
		return Outcome{}, &Failure{Kind: KindConfig, Message: fmt.Sprintf("dataset %s has no evaluator", u.Abbr),
			Hint: "give it one, such as eval_cfg=dict(evaluator=dict(type=AccEvaluator)), or run with -m infer"}
	}
	set, err := dataset.Read(ctx, ds, x.d.Source)
	if err != nil {
		return Outcome{}, fmt.Errorf("read dataset %s: %w", u.Abbr, err)
	}
	preds, err := x.d.Run.Predictions(x.m.ModelAbbr, u.Abbr, x.d.Log)
	if err != nil {
		return Outcome{}, err
	}
	defer preds.Close()
	// References are those of the data that is there now: answers to other rows
	// would be judged by them.
	if in := preds.Inputs; in != nil && in.Data != set.Content {
		return Outcome{}, &Failure{Kind: KindConfig, Reason: "other data",
			Message: fmt.Sprintf("the predictions of %s/%s were made from other data, or with another reader_cfg, than there is now", x.m.ModelAbbr, u.Abbr),
			Hint:    "infer again: run without -m eval"}
	}
	hash, err := EvalHash(set.Content, ds, m, x.m.Options.DumpDetails)
	if err != nil {
		return Outcome{}, err
	}
	meta := store.ResultMeta{Predictions: preds.Digest, Eval: hash}
	done, foreign, changed, err := x.d.Run.ResultDone(x.m.ModelAbbr, u.Abbr, meta)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Total: preds.Total}
	if done {
		if foreign {
			x.d.Log.Info("results were there already, not written by this program", "dataset", u.Abbr)
		}
		out.Done, out.Reused, out.Failed = preds.Total, preds.Total, preds.Failed
		return out, nil
	}
	if len(changed) > 0 {
		x.d.Log.Info("scoring again", "dataset", u.Abbr, "changed", changed)
		if !slices.Contains(changed, "predictions") { // nobody was told of a change yet
			x.d.Events.Emit(event.Event{
				Time: x.d.Now(), Kind: event.Note, Task: u.Task,
				Text: fmt.Sprintf("scoring again: %s/%s: changed %s", x.m.ModelAbbr, u.Abbr, strings.Join(changed, ", ")),
			})
		}
	}
	in, err := evalInput(set, preds)
	if err != nil {
		return out, err
	}
	if err := nothingAnswered(in); err != nil {
		return out, err
	}
	if err := x.extract(ecfg, m, in); err != nil {
		return out, err
	}
	in.OutPath = x.d.Run.ResultsPath(x.m.ModelAbbr, u.Abbr)
	in.OutPath = in.OutPath[:len(in.OutPath)-len(".json")]
	res, err := evaluator.Run(ctx, evaluator.Job{
		Abbr: u.Abbr, Cfg: ecfg.Dict("evaluator"), Set: set, Input: *in, Details: x.m.Options.DumpDetails,
	})
	if err != nil {
		return out, err
	}
	v := res.Metrics.Copy()
	if res.Details != nil && x.m.Options.DumpDetails {
		v.Set("details", res.Details)
	}
	meta.Counts = store.Counts(res.Counts)
	if res.Correct != nil {
		meta.Judged = len(res.Correct)
		for _, ok := range res.Correct {
			if ok {
				meta.Correct++
			}
		}
	}
	if err := x.d.Run.WriteResult(x.m.ModelAbbr, u.Abbr, v, meta); err != nil {
		return out, err
	}
	out.Done, out.Failed = res.Counts.Total, res.Counts.Failed
	return out, nil
}

// evalInput reads the records of a dataset in row order.
func evalInput(set *dataset.Set, preds *store.Predictions) (*evaluator.Input, error) {
	n := preds.Total
	if n != len(set.Test) {
		return nil, &Failure{Kind: KindConfig, Message: fmt.Sprintf("there are %d predictions for %d rows of dataset %s", n, len(set.Test), set.Abbr),
			Hint: "they were made with another test_range or another version of the data: infer again"}
	}
	answered := false
	in := &evaluator.Input{Predictions: make([]py.Value, 0, n), Rows: set.Test, Failed: make([]string, n), Columns: map[string][]py.Value{}}
	for rec, err := range preds.All() {
		if err != nil {
			return nil, err
		}
		i := len(in.Predictions)
		in.Predictions = append(in.Predictions, rec.Data.Get("prediction"))
		if rec.State == infer.Failed {
			in.Failed[i] = cmp.Or(rec.Error, "the model gave no answer, and no reason is on record")
		} else if in.Predictions[i] != nil {
			answered = true
		}
		for _, e := range rec.Data.Entries() {
			k, ok := e.Key.(string)
			if !ok {
				continue
			}
			col := in.Columns[k]
			if col == nil {
				col = make([]py.Value, n)
				in.Columns[k] = col
				in.Keys = append(in.Keys, k)
			}
			col[i] = e.Val
		}
	}
	// Inferencers that give a number and no text have no predictions at all;
	// where others have one, a row without is no answer.
	for i, p := range in.Predictions {
		if answered && p == nil && in.Failed[i] == "" {
			in.Failed[i] = "the record has no prediction"
		}
	}
	in.Prompts = in.Columns["origin_prompt"]
	if set.Output != "" {
		in.References = make([]py.Value, n)
		for i, row := range set.Test {
			in.References[i] = row.Get(set.Output)
		}
	}
	return in, nil
}

// nothingAnswered refuses to score rows of which none has an answer: evaluators
// would divide by zero or call it NaN.
func nothingAnswered(in *evaluator.Input) error {
	for _, f := range in.Failed {
		if f == "" {
			return nil
		}
	}
	if len(in.Failed) == 0 {
		return nil
	}
	return &Failure{Kind: KindSamples, Reason: "no answers",
		Message: fmt.Sprintf("nothing to score: none of %d samples has an answer; the first: %s", len(in.Failed), in.Failed[0]),
		Hint:    "once the cause is gone, ask them again with -r and --retry-failed"}
}

// extract applies the postprocessors: to references dataset_postprocessor, to
// predictions first the model's, then the dataset's.
func (x *executor) extract(ecfg, m *py.Dict, in *evaluator.Input) error {
	if pp := ecfg.Dict("dataset_postprocessor"); pp != nil {
		if err := x.postprocessAll(pp, in.References, nil); err != nil {
			return fmt.Errorf("dataset_postprocessor: %w", err)
		}
	}
	if pp := m.Dict("pred_postprocessor"); pp != nil && pp.Has("type") {
		if err := x.postprocessAll(pp, in.Predictions, in.Failed); err != nil {
			return fmt.Errorf("pred_postprocessor of model %s: %w", spec.ModelAbbr(m), err)
		}
	}
	if pp := ecfg.Dict("pred_postprocessor"); pp != nil {
		if err := x.postprocessAll(pp, in.Predictions, in.Failed); err != nil {
			return fmt.Errorf("pred_postprocessor: %w", err)
		}
	}
	return nil
}

// postprocessAll applies a postprocessor to each value, or to each element of
// a value that is a list. failed is nil for references; predictions of rows
// that failed, and those that are none, are left alone. A value that the
// postprocessor cannot take becomes the empty text, which counts as unscored.
func (x *executor) postprocessAll(pp *py.Dict, vals []py.Value, failed []string) error {
	fn, err := postprocess.Functions.Lookup(pp.Str("type"))
	if err != nil {
		return Unknown(pp, err)
	}
	kw := pp.Copy()
	kw.Delete("type")
	tried, bad := 0, 0
	apply := func(i int, v py.Value) py.Value {
		tried++
		out, err := fn(text(v), kw)
		if err != nil {
			if bad++; bad <= 3 {
				x.d.Log.Warn("answer could not be read", "row", i, "postprocessor", pp.Str("type"), "error", err)
			}
			return ""
		}
		return out
	}
	for i, v := range vals {
		if failed != nil && (failed[i] != "" || v == nil) {
			continue
		}
		l, ok := v.(*py.List)
		if !ok {
			vals[i] = apply(i, v)
			continue
		}
		out := &py.List{Items: make([]py.Value, len(l.Items))}
		for j, it := range l.Items {
			out.Items[j] = apply(i, it)
		}
		vals[i] = out
	}
	if bad == tried && bad > 0 {
		return fmt.Errorf("postprocessor %s failed on every answer; the log has the reasons", pp.Str("type"))
	}
	return nil
}

func text(v py.Value) string {
	if s, ok := v.(string); ok {
		return s
	}
	return py.Str(v)
}
