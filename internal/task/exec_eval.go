package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/evaluator"
	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/postprocess"
	"sextant/internal/py"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/store"
)

// evaluatorVersion changes when the program scores differently from before.
const evaluatorVersion = "1"

// EvalHash is what a result depends on besides the predictions: how answers
// are extracted and judged, and the references.
// content is the dataset's content version (dataset.Set.Content).
func EvalHash(content string, ds, m *py.Dict, details, extractRate bool) (string, error) {
	of := py.DictOf(
		"v", evaluatorVersion, "eval", ds.Get("eval_cfg"), "model_postprocessor", m.Get("pred_postprocessor"),
		"data", content, "n", ds.Get("n"), "k", ds.Get("k"), "details", details)
	if extractRate {
		of.Set("extract_rate", true)
	}
	return valueHash(of)
}

// extractRate is the share of answers, in percent, that the postprocessors
// left something of. A row without an answer has nothing to extract.
func extractRate(preds []py.Value) float64 {
	empty := 0
	for _, p := range preds {
		switch x := p.(type) {
		case nil:
			empty++
		case string:
			if x == "" {
				empty++
			}
		case *py.List, *py.Tuple, *py.Dict:
			if !py.Truth(x) {
				empty++
			}
		}
	}
	return 100 - float64(empty)/float64(max(len(preds), 1))*100
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
	withRate := py.Truth(x.m.Options.TaskCfg.Get("cal_extract_rate"))
	hash, err := EvalHash(set.Content, ds, m, x.m.Options.DumpDetails, withRate)
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
	class, err := evaluator.Lookup(ecfg.Dict("evaluator"))
	if err != nil {
		return out, err
	}
	in, err := x.evalInput(set, preds, ecfg, m, class.Rows)
	if err != nil {
		return out, err
	}
	rate := extractRate(in.Predictions) // evaluators may change them
	in.OutPath = x.d.Run.ResultsPath(x.m.ModelAbbr, u.Abbr)
	in.OutPath = in.OutPath[:len(in.OutPath)-len(".json")]
	res, err := evaluator.Run(ctx, evaluator.Job{
		Abbr: u.Abbr, Cfg: ecfg.Dict("evaluator"), Set: &dataset.Set{Abbr: set.Abbr, Output: set.Output, N: set.N, K: set.K},
		Input: *in, Details: x.m.Options.DumpDetails,
	})
	if err != nil {
		return out, certain(err)
	}
	v := res.Metrics.Copy()
	if withRate {
		v.Set("extract_rate", rate)
	}
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
		return out, certain(err)
	}
	out.Done, out.Failed = res.Counts.Total, res.Counts.Failed
	return out, nil
}

const certainHint = "the same answers end the same way: correct the dataset's eval_cfg, then go on with -r"

// certain makes what an evaluator raised a failure that is not tried again: it
// computes, and comes to the same end each time.
func certain(err error) error {
	var raised *py.Exception
	if !errors.As(err, &raised) || raised.Class == "MemoryError" {
		return err
	}
	return &Failure{Kind: KindConfig, Message: err.Error(), Hint: certainHint}
}

// evalInput reads the records of a dataset in row order and extracts the
// answers as they come, by the model's postprocessor and then the dataset's.
// What is held of a row is its answer and its reference; evaluators and details
// read records again. It takes the rows out of set, which keep the data file in
// memory, unless the evaluator wants them.
func (x *executor) evalInput(set *dataset.Set, preds *store.Predictions, ecfg, m *py.Dict, rows bool) (*evaluator.Input, error) {
	n := preds.Total
	if n != len(set.Test) {
		return nil, &Failure{Kind: KindConfig, Message: fmt.Sprintf("%s for %s of dataset %s", source.Count(n, "prediction"), source.Count(len(set.Test), "row"), set.Abbr),
			Hint: "they were made with another test_range or another version of the data: infer again"}
	}
	test := set.Test
	set.Test, set.Train = nil, nil
	in := &evaluator.Input{Failed: make([]string, n)}
	if rows {
		in.Rows = test
	} else {
		in.Name = rowNames(test)
	}
	if set.Output != "" {
		in.References = make([]py.Value, n)
	}
	for i, row := range test {
		if in.References != nil {
			in.References[i] = detach(row.Get(set.Output))
		}
		if !rows {
			test[i] = nil // as much as is done with
		}
	}
	in.Predictions = make([]py.Value, 0, n)
	ofReferences, err := x.extraction("dataset_postprocessor", ecfg.Dict("dataset_postprocessor"))
	if err != nil {
		return nil, err
	}
	ofModel := m.Dict("pred_postprocessor")
	if ofModel != nil && !ofModel.Has("type") {
		ofModel = nil
	}
	byModel, err := x.extraction("pred_postprocessor of model "+spec.ModelAbbr(m), ofModel)
	if err != nil {
		return nil, err
	}
	byDataset, err := x.extraction("pred_postprocessor", ecfg.Dict("pred_postprocessor"))
	if err != nil {
		return nil, err
	}
	answered, none := false, []int(nil)
	recs := &records{preds: preds}
	for rec, err := range preds.All() {
		if err != nil {
			return nil, err
		}
		i := len(in.Predictions)
		p := rec.Data.Get("prediction")
		if rec.State == infer.Failed {
			in.Failed[i] = cmp.Or(rec.Error, "the model gave no answer, and no reason is on record")
		} else if p == nil {
			none = append(none, i)
		} else {
			answered = true
			p = byDataset.apply(i, byModel.apply(i, p))
		}
		in.Predictions = append(in.Predictions, detach(p))
		recs.learn(rec.Data)
	}
	in.Records = recs
	// Inferencers that give a number and no text have no predictions at all;
	// where others have one, a row without is no answer.
	for _, i := range none {
		if answered {
			in.Failed[i] = "the record has no prediction"
		}
	}
	if err := nothingAnswered(in); err != nil {
		return nil, err
	}
	for i, v := range in.References {
		in.References[i] = ofReferences.apply(i, v)
	}
	for _, e := range []*extraction{ofReferences, byModel, byDataset} {
		if err := e.failed(); err != nil {
			return nil, err
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
		Message: fmt.Sprintf("nothing to score: none of %s has an answer; the first: %s", source.Count(len(in.Failed), "sample"), in.Failed[0]),
		Hint:    "once the cause is gone, ask them again with -r and --retry-failed"}
}

// extraction applies one postprocessor to values as they come; nil leaves them
// as they are.
type extraction struct {
	what, name string
	fn         postprocess.Func
	kw         *py.Dict
	log        *slog.Logger
	tried, bad int
}

// extraction makes what applies the postprocessor pp, nil for none.
func (x *executor) extraction(what string, pp *py.Dict) (*extraction, error) {
	if pp == nil {
		return nil, nil
	}
	fn, err := postprocess.Functions.Lookup(pp.Str("type"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, Unknown(pp, err))
	}
	kw := pp.Copy()
	kw.Delete("type")
	return &extraction{what: what, name: pp.Str("type"), fn: fn, kw: kw, log: x.d.Log}, nil
}

// apply extracts from a value, or from each element of a value that is a list.
// A value that the postprocessor cannot take becomes the empty text, which
// counts as unscored.
func (e *extraction) apply(row int, v py.Value) py.Value {
	if e == nil {
		return v
	}
	l, ok := v.(*py.List)
	if !ok {
		return e.one(row, v)
	}
	out := &py.List{Items: make([]py.Value, len(l.Items))}
	for j, it := range l.Items {
		out.Items[j] = e.one(row, it)
	}
	return out
}

func (e *extraction) one(row int, v py.Value) py.Value {
	e.tried++
	out, err := e.fn(text(v), e.kw)
	if err == nil {
		return out
	}
	if e.bad++; e.bad <= 3 {
		e.log.Warn("answer could not be read", "row", row, "postprocessor", e.name, "error", err)
	}
	return ""
}

// failed is an error when the postprocessor could take no value at all.
func (e *extraction) failed() error {
	if e == nil || e.bad == 0 || e.bad < e.tried {
		return nil
	}
	return &Failure{Kind: KindConfig, Message: fmt.Sprintf("%s: postprocessor %s failed on every answer; the log has the reasons", e.what, e.name), Hint: certainHint}
}

// rowNames names rows as details do, without keeping them.
func rowNames(t dataset.Table) func(int) string {
	of := make([]string, len(t))
	idx := make([]int32, len(t))
	for i, row := range t {
		s := py.Str(row.Get("subdivision"))
		if i > 0 && of[i-1] == s {
			s = of[i-1] // one text for all
		}
		of[i], idx[i] = s, int32(row.Int("idx", i))
	}
	return func(i int) string { return of[i] + "_" + strconv.Itoa(int(idx[i])) }
}

// detach is v without a hold on the text that it was read from.
func detach(v py.Value) py.Value {
	switch x := v.(type) {
	case string:
		return strings.Clone(x)
	case *py.List:
		out := &py.List{Items: make([]py.Value, len(x.Items)), Pos: x.Pos, At: x.At}
		for i, it := range x.Items {
			out.Items[i] = detach(it)
		}
		return out
	case *py.Dict:
		out := x.Copy()
		for _, e := range x.Entries() {
			out.Set(e.Key, detach(e.Val))
		}
		return out
	}
	return v
}

// records are the records of a dataset, read from disk.
type records struct {
	preds *store.Predictions
	keys  []string
	known map[string]bool
}

func (r *records) learn(d *py.Dict) {
	for _, e := range d.Entries() {
		if k, ok := e.Key.(string); ok && !r.known[k] {
			if r.known == nil {
				r.known = map[string]bool{}
			}
			k = strings.Clone(k)
			r.known[k], r.keys = true, append(r.keys, k)
		}
	}
}

func (r *records) Keys() []string { return r.keys }
func (r *records) Len() int       { return r.preds.Total }
func (r *records) At(i int) (*py.Dict, error) {
	rec, err := r.preds.At(i)
	return rec.Data, err
}
func text(v py.Value) string {
	if s, ok := v.(string); ok {
		return s
	}
	return py.Str(v)
}
