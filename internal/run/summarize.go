package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sextant/internal/infer"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/report"
	"sextant/internal/spec"
	"sextant/internal/store"
	"sextant/internal/summary"
	"sextant/internal/task"
)

// Summary is what a run ends with.
type Summary struct {
	Out    *summary.Output
	Files  []string // paths written, absolute; the text file first
	Report string   // path of report.html, "" when it was not asked for
	// Failed and Unscored count samples without an answer and answers that
	// could not be read, over all datasets; Missing counts datasets × models
	// without a result, Errors those whose result is an evaluator's complaint.
	Failed, Unscored, Missing, Errors int
}

// Summarize turns results into the summary files and, if asked, the report.
func (c *Coordinator) Summarize(ctx context.Context, now time.Time, withReport bool, notes []string) (*Summary, error) {
	s := &Summary{}
	var err error
	if c.stale, err = c.staleResults(); err != nil {
		return nil, err
	}
	if err := c.layOut(); err != nil {
		return nil, err
	}
	for _, p := range c.pairs() {
		if !c.unfit[p] {
			if _, _, err := c.compare(ctx, p); err != nil {
				return nil, err
			}
		}
		if c.stale[[2]string{p.m.Abbr, p.d.Abbr}] {
			msg := fmt.Sprintf("the result of %s/%s is left out: it was made from other predictions or another evaluation than the config's", p.m.Abbr, p.d.Abbr)
			c.Warn(errors.New(msg))
			notes = append(notes, msg)
		}
	}
	if err := c.loadTaken(); err != nil {
		return nil, err
	}
	cuts, err := c.cutNotes()
	if err != nil {
		return nil, err
	}
	for _, n := range append(cuts, c.stationNotes()...) {
		c.Note("%s", n)
		notes = append(notes, n)
	}
	versions := map[string]string{}
	in := summary.Input{
		Config: c.Exp.Config,
		Time:   now.Format(store.TimeLayout),
		Result: func(m, d string) (*py.Dict, error) {
			if c.stale[[2]string{m, d}] {
				return nil, nil
			}
			read := c.Run.Result
			if _, ours := c.Run.ResultMeta(m, d); ours {
				read = c.Run.ResultMetrics // the statement says what details are needed for
			}
			r, err := read(m, d)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return r, err
		},
		Evidence: func(m, d string) (summary.Evidence, bool) {
			if c.stale[[2]string{m, d}] {
				return summary.Evidence{}, false
			}
			return c.evidence(m, d)
		},
		Version: func(d *py.Dict) string {
			abbr := spec.DatasetAbbr(d)
			v, ok := versions[abbr]
			if !ok {
				if h, err := spec.PromptHash(d); err == nil {
					v = h[:6]
				}
				versions[abbr] = v
			}
			return v
		},
	}
	out, err := summary.Summarize(in)
	if err != nil {
		return nil, err
	}
	s.Out = out
	for _, f := range out.Files {
		if err := c.Run.WriteFile(f.Path, f.Data); err != nil {
			return nil, err
		}
		s.Files = append(s.Files, c.Run.Path(f.Path))
	}
	for _, w := range out.Warnings {
		c.Warn(w)
		notes = append(notes, w.Msg)
	}
	for _, p := range c.pairs() {
		if c.stale[[2]string{p.m.Abbr, p.d.Abbr}] {
			s.Missing++
		} else if meta, ok := c.Run.ResultMeta(p.m.Abbr, p.d.Abbr); ok {
			s.Failed += meta.Counts.Failed
			s.Unscored += meta.Counts.Unscored
		}
		if c.stale[[2]string{p.m.Abbr, p.d.Abbr}] {
			continue
		}
		if r, err := c.Run.ResultMetrics(p.m.Abbr, p.d.Abbr); err != nil {
			s.Missing++
		} else if r.Has("error") {
			s.Errors++
		}
	}
	if withReport {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		// The tables are there; what is wrong with the page is no reason not to
		// show them.
		if s.Report, err = c.writeReport(now, out, in.Version, notes); err != nil {
			c.Warn(err)
		}
	}
	return s, nil
}

// Unanswered counts the rows without an answer in all predictions of the run.
func (c *Coordinator) Unanswered() (int, error) {
	n := 0
	for _, p := range c.pairs() {
		st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
		if err != nil {
			return 0, err
		}
		n += st.Failed
	}
	return n, nil
}

// cutNotes says of how many rows the question or the answer is not whole: they
// are scored like any other, as in OpenCompass, and may be right for another
// reason or wrong for this one.
func (c *Coordinator) cutNotes() ([]string, error) {
	kinds := []struct {
		say   string
		count func(infer.Cuts) int
		in    []string
	}{
		{say: "answers cut at max_out_len", count: func(n infer.Cuts) int { return n.Answers }},
		{say: "prompts cut at max_seq_len or at the model's context", count: func(n infer.Cuts) int { return n.Prompts }},
		{say: "prompts with fewer examples than asked for, to fit max_seq_len", count: func(n infer.Cuts) int { return n.Examples }},
	}
	for _, p := range c.pairs() {
		st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
		if err != nil {
			return nil, err
		}
		if t, ok := c.fromStation(p); ok && t.Evidence != nil && t.Evidence.Result != nil {
			st.Cut, st.Total = t.Evidence.Cut, t.Evidence.Result.Counts.Total
		}
		for i := range kinds {
			if n := kinds[i].count(st.Cut); n > 0 {
				kinds[i].in = append(kinds[i].in, fmt.Sprintf("%s/%s %d of %d", p.m.Abbr, p.d.Abbr, n, st.Total))
			}
		}
	}
	var out []string
	for _, k := range kinds {
		if len(k.in) == 0 {
			continue
		}
		out = append(out, k.say+": "+listed(k.in))
	}
	return out, nil
}

// staleResults are the results of ours, by model and dataset abbr, that were not made
// from the predictions that are there and by the evaluation that the config
// asks for: those of an earlier session whose evaluation failed in this one.
func (c *Coordinator) staleResults() (map[[2]string]bool, error) {
	out := map[[2]string]bool{}
	for _, p := range c.pairs() {
		k := [2]string{p.m.Abbr, p.d.Abbr}
		meta, ok := c.Run.ResultMeta(p.m.Abbr, p.d.Abbr)
		if !ok {
			continue // somebody else's, or none
		}
		digest, err := c.Run.PredictionsDigest(p.m.Abbr, p.d.Abbr)
		var none *store.IncompleteError
		if err != nil && !errors.As(err, &none) {
			return nil, err
		}
		if none != nil && none.Total == 0 && !c.unfit[p] {
			continue // somebody has removed the predictions and kept the result
		}
		if err != nil || digest != meta.Predictions || c.unfit[p] {
			out[k] = true
			continue
		}
		fits := false
		for _, details := range []bool{true, false} { // they change no metric
			for _, rate := range []bool{true, false} { // a metric more
				h, err := task.EvalHash(c.sets[p.d.Abbr].content, p.d.Cfg, p.m.Cfg, details, rate)
				if err != nil {
					return nil, err
				}
				fits = fits || h == meta.Eval
			}
		}
		out[k] = !fits
	}
	return out, nil
}

// evidence is what the statement beside a result tells about it.
func (c *Coordinator) evidence(m, d string) (summary.Evidence, bool) {
	meta, ok := c.Run.ResultMeta(m, d)
	if !ok {
		return summary.Evidence{}, false
	}
	return summary.Evidence{Counts: summary.Counts(meta.Counts), Correct: meta.Correct, Judged: meta.Judged}, true
}

func (c *Coordinator) writeReport(now time.Time, out *summary.Output, version func(*py.Dict) string, notes []string) (string, error) {
	r := report.Report{
		Title: c.Run.Name(), Time: now, Program: c.Program, Config: c.Config, WorkDir: c.Run.Dir(),
		Tables: out.Tables, Notes: notes,
	}
	r.ConfigHash = c.configHash()
	for _, m := range c.Exp.Models {
		rm := report.Model{Name: m.SummaryAbbr, Type: m.Type, Path: m.Cfg.Str("path")}
		for _, d := range c.Exp.Datasets {
			if st, err := c.Run.Status(m.Abbr, d.Abbr, nil); err == nil && st.Inputs.Model.Name != "" {
				rm.Hash, rm.Dtype = st.Inputs.Model.Hash, st.Inputs.Model.ComputeType
				break
			}
		}
		r.Models = append(r.Models, rm)
	}
	for _, d := range c.Exp.Datasets {
		rd := report.Dataset{Abbr: d.Abbr, Version: version(d.Cfg)}
		if f := c.sets[d.Abbr]; f != nil {
			rd.Rows, rd.Hash = f.rows, f.content
			for i, o := range f.origin {
				if i > 0 {
					rd.Origin += ", "
				}
				if !strings.HasPrefix(o.Path, o.From+":") {
					rd.Origin += o.From + " "
				}
				rd.Origin += o.Path
			}
		}
		r.Datasets = append(r.Datasets, rd)
	}
	for _, p := range c.pairs() {
		rr := report.Run{Model: p.m.SummaryAbbr, Dataset: p.d.Abbr, File: c.Run.PredictionsPath(p.m.Abbr, p.d.Abbr)}
		if f := c.sets[p.d.Abbr]; f != nil {
			rr.Total = f.rows
		}
		rr.Samples = c.samples(p)
		r.Runs = append(r.Runs, rr)
	}
	path := c.Run.Path("report.html")
	tmp := c.Run.Path("state", "tmp", "report.html") // one coordinator writes at a time
	if err := os.MkdirAll(filepath.Dir(tmp), 0o777); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	f, err := os.Create(tmp)
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	defer os.Remove(tmp) // gone already when all went well
	w := bufio.NewWriterSize(f, 1<<16)
	if err := report.Write(w, r); err != nil {
		f.Close()
		return "", fmt.Errorf("write report: %w", err)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	return path, nil
}

// configHash is a short hash of what the config means.
func (c *Coordinator) configHash() string {
	h, err := spec.ConfigHash(c.Exp.Config)
	if err != nil {
		return ""
	}
	return h[:12]
}

// samples joins the records of a dataset with what the evaluator said of each.
func (c *Coordinator) samples(p pair) iter.Seq2[report.Sample, error] {
	return func(yield func(report.Sample, error) bool) {
		preds, err := c.Run.Predictions(p.m.Abbr, p.d.Abbr, nil)
		var none *store.IncompleteError
		if errors.As(err, &none) {
			return // its task failed or was not run: the table says so
		}
		if err != nil {
			yield(report.Sample{}, err)
			return
		}
		defer preds.Close()
		details, done := c.details(p)
		defer done()
		byText := registry.Base(p.d.Eval.Dict("evaluator").Str("type")) == "AccEvaluator"
		for rec, err := range preds.All() {
			if err != nil {
				yield(report.Sample{}, err)
				return
			}
			s := report.Sample{Index: rec.Index, Record: rec.Data, Verdict: report.Unjudged}
			if rec.State == infer.Failed {
				s.Verdict, s.Reason = report.Failed, rec.Error
			} else if d, err := details(rec.Index); err != nil {
				yield(report.Sample{}, err)
				return
			} else if d != nil {
				s.Verdict, s.Extracted = verdict(d, byText)
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// details gives what the results file says of a row: a dict, or nil. close is
// called when no row is asked for any more.
func (c *Coordinator) details(p pair) (of func(int) (*py.Dict, error), close func()) {
	none, nothing := func(int) (*py.Dict, error) { return nil, nil }, func() {}
	if c.stale[[2]string{p.m.Abbr, p.d.Abbr}] {
		return none, nothing
	}
	d, err := c.Run.Details(p.m.Abbr, p.d.Abbr)
	if err != nil || d == nil {
		return none, nothing // the table says that there is no result
	}
	close = func() { _ = d.Close() } // only read from
	if d.List() {
		return questionDetails(d, c.sets[p.d.Abbr]), close
	}
	return d.At, close
}

// questionDetails reads details that stand in a list, one element for each
// question, whose members are lists over its replicas. Questions without any
// answer are not in it: an element belongs to the row that example_abbr names
// ("<subdivision>_<number>"), wherever it stands.
func questionDetails(l interface{ At(int) (*py.Dict, error) }, f *facts) func(int) (*py.Dict, error) {
	return func(i int) (*py.Dict, error) {
		if f == nil || i >= len(f.idx) {
			return nil, nil
		}
		d, err := l.At(int(f.idx[i]))
		if d == nil || err != nil {
			return nil, err
		}
		repeat := i / max(1, len(f.idx)/f.n)
		out := py.NewDict()
		for _, e := range d.Entries() {
			v := e.Val
			if l, ok := v.(*py.List); ok {
				if l.Len() != f.n {
					continue // a replica had no answer: which one is not said
				}
				v = l.Items[repeat]
			}
			out.Set(e.Key, v)
		}
		return out, nil
	}
}

// verdict reads OpenCompass's details of one row: the first of the flags that
// it has, and what was scored. byText says that the evaluator compares the texts
// of prediction and reference, as AccEvaluator does.
func verdict(d *py.Dict, byText bool) (report.Verdict, py.Value) {
	first := func(v py.Value) py.Value {
		if l, ok := v.(*py.List); ok && l.Len() == 1 {
			return l.Items[0]
		}
		return v
	}
	var extracted py.Value
	for _, k := range []string{"predictions", "pred"} {
		if v, ok := d.Lookup(k); ok {
			extracted = first(v)
			break
		}
	}
	for _, k := range []string{"correct", "is_correct", "cascade_correct"} {
		if b, ok := first(d.Get(k)).(bool); ok {
			switch {
			case b:
				return report.Right, extracted
			case extracted == "" || extracted == "None":
				return report.Unscored, extracted
			}
			return report.Wrong, extracted
		}
	}
	// details of generation tasks carry no flag; equality is how most score
	if p, ok := d.Lookup("predictions"); ok {
		if r, ok := d.Lookup("references"); ok {
			switch {
			case py.Equal(p, r), byText && py.Str(p) == py.Str(r):
				return report.Right, extracted
			case p == "":
				return report.Unscored, extracted
			case byText:
				return report.Wrong, extracted
			}
		}
	}
	return report.Unjudged, extracted
}
