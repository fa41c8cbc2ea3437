package summary

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sextant/internal/py"
	"sextant/internal/spec"
)

func init() {
	Classes.Register(Class{runDefaultSubjective}, "DefaultSubjectiveSummarizer")
	Classes.Register(Class{runCommon}, "CommonSummarizer")
	Classes.Register(Class{runMTBench}, "MTBenchSummarizer")
	Classes.Register(Class{runSubjective}, "SubjectiveSummarizer")
}

// judged are the models that were judged: those of the evaluation's
// partitioner, or else all.
func judged(cfg *py.Dict) []*py.Dict {
	if ms := dicts(cfg.Dict("eval").Dict("partitioner").Get("models")); len(ms) > 0 {
		return ms
	}
	return dicts(cfg.Get("models"))
}

// orderedDict prints as Python's OrderedDict does.
type orderedDict struct{ d *py.Dict }

func (o orderedDict) PyType() string { return "OrderedDict" }
func (o orderedDict) PyRepr() string {
	parts := py.NewList()
	for _, e := range o.d.Entries() {
		parts.Append(py.NewTuple(e.Key, e.Val), 0)
	}
	return "OrderedDict(" + py.Repr(parts) + ")"
}

// runDefaultSubjective is DefaultSubjectiveSummarizer: the default table, once
// for each judge, over results of <base>_<model>_judged-by--<judge>, averaged
// over the base models.
func runDefaultSubjective(in Input, cfg *py.Dict) (*Output, error) {
	out := &Output{}
	for _, judge := range dicts(in.Config.Get("judge_models")) {
		jname := spec.ModelAbbr(judge)
		b := newBoard(in)
		b.subjective = true
		for _, m := range judged(in.Config) {
			name := DisplayName(m)
			b.addModel(name)
			for i, d := range b.datasets {
				ds := b.abbrs[i]
				owners := []string{spec.ModelAbbr(m)}
				if bases := dicts(d.Get("base_models")); len(bases) > 0 {
					owners = owners[:0]
					for _, base := range bases {
						owners = append(owners, spec.ModelAbbr(base)+"_"+spec.ModelAbbr(m))
					}
				}
				res, err := b.average(owners, jname, ds)
				if err != nil {
					b.warnf(0, "results of %s on %s: %v", name, ds, err)
					b.state[name][ds] = cellState{Failed, err.Error()}
				} else if res != nil {
					b.add(name, ds, res)
					if raw, ok := b.raw[name].Get(ds).(*py.Dict); ok {
						b.raw[name].Set(ds, orderedDict{raw})
					}
				}
			}
		}
		b.addGroups(cfg.Get("summary_groups"))
		b.in.OutputPath = "summary/summary_" + in.Time + "_by_" + jname + ".txt"
		rows, t := b.table(b.wanted(cfg.Get("dataset_abbrs")), false)
		t.Title = "judged by " + jname
		one := b.output(rows, t, false)
		out.Files = append(out.Files, one.Files...)
		out.Plain += one.Plain + "\n"
		out.Tables = append(out.Tables, t)
		out.Warnings = append(out.Warnings, one.Warnings...)
	}
	return out, nil
}

// average is the mean over several results of one dataset, its keys sorted;
// nil where there is none.
func (b *board) average(owners []string, judge, ds string) (*py.Dict, error) {
	var sum *py.Dict
	n := 0
	for _, o := range owners {
		res, err := b.in.Result(o+"_judged-by--"+judge, ds)
		if err != nil {
			return nil, err
		}
		if res == nil {
			continue
		}
		n++
		if sum == nil {
			sum = res.Copy()
			sum.Delete("details")
			continue
		}
		for _, e := range res.Entries() {
			x, ok1 := number(e.Val)
			old, ok2 := number(sum.Get(e.Key))
			if ok1 && ok2 {
				sum.Set(e.Key, (old*float64(n-1)+x)/float64(n))
			}
		}
	}
	if sum == nil {
		return nil, nil
	}
	entries := append([]py.Entry(nil), sum.Entries()...)
	sort.SliceStable(entries, func(i, j int) bool { return py.Str(entries[i].Key) < py.Str(entries[j].Key) })
	out := py.NewDict()
	for _, e := range entries {
		out.Set(e.Key, e.Val)
	}
	return out, nil
}

// ratings are the judge's numbers by capability, in order of appearance.
type ratings struct {
	order []string
	by    map[string][]float64
	all   []float64
	seen  int // judgements, readable or not
}

// mean is round(mean, 2) of a capability, "" for all of them.
func (r *ratings) mean(capability string) (float64, bool) {
	l := r.all
	if capability != "" {
		l = r.by[capability]
	}
	if len(l) == 0 {
		return 0, false
	}
	t := 0.0
	for _, x := range l {
		t += x
	}
	v, err := py.Round(t/float64(len(l)), 2)
	f, ok := v.(float64)
	return f, err == nil && ok
}

// text is a mean as Python prints it, "" where there is none.
func (r *ratings) text(capability string) string {
	v, ok := r.mean(capability)
	if !ok {
		return ""
	}
	return py.FormatFloat(v)
}

// judgements reads what a judge said about a model on a dataset; a judge's
// file may be split into <dataset>_0, <dataset>_1, …
func judgements(in Input, owner, ds string, re *regexp.Regexp, into *ratings) error {
	read := func(name string) (bool, error) {
		res, err := in.Result(owner, name)
		if err != nil || res == nil {
			return false, err
		}
		for _, e := range res.Entries() {
			rec, ok := e.Val.(*py.Dict)
			if !ok {
				continue
			}
			capability := rec.Dict("gold").Str("capability")
			into.seen++
			if !slices.Contains(into.order, capability) {
				into.order = append(into.order, capability)
			}
			m := re.FindStringSubmatch(rec.Str("prediction"))
			if m == nil {
				continue
			}
			x, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				continue
			}
			into.by[capability] = append(into.by[capability], x)
			into.all = append(into.all, x)
		}
		return true, nil
	}
	ok, err := read(ds)
	for i := 0; !ok && err == nil; i++ {
		var part bool
		if part, err = read(ds + "_" + strconv.Itoa(i)); !part {
			break
		}
	}
	return err
}

// rate collects ratings of one model by one judge over some datasets, with a
// warning when too many judgements cannot be read.
func rate(in Input, out *Output, model, judge string, datasets []string, re *regexp.Regexp) *ratings {
	r := &ratings{by: map[string][]float64{}}
	b := board{}
	for _, ds := range datasets {
		if err := judgements(in, model+"_judged-by--"+judge, ds, re, r); err != nil {
			b.warnf(0, "judgements of %s by %s on %s: %v", model, judge, ds, err)
		}
	}
	if r.seen > 0 && float64(len(r.all)) < 0.95*float64(r.seen) {
		b.warnf(0, "%s judged by %s: only %d of %d judgements can be read", model, judge, len(r.all), r.seen)
	}
	out.Warnings = append(out.Warnings, b.warnings...)
	return r
}

// cellOf is a mean as a cell; unreadable judgements count as unscored.
func (r *ratings) cellOf(capability string) Cell {
	v, ok := r.mean(capability)
	if !ok {
		return Cell{State: Missing, Reason: "no readable judgement"}
	}
	c := Cell{State: OK, Score: v}
	if capability == "" {
		c.Counts = Counts{Total: r.seen, Scored: len(r.all), Unscored: r.seen - len(r.all)}
	}
	return c
}

var (
	mtRating     = regexp.MustCompile(`Rating:\s*\[\[(\d+(?:\.\d+)?)\]\]`)
	commonRating = regexp.MustCompile(`\[\[(\d+(?:\.\d+)?)\]\]`)
	mtColumns    = []string{"writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"}
)

// runMTBench is MTBenchSummarizer with single ratings: a row for each model,
// the mean rating of each capability, one file for each judge.
func runMTBench(in Input, cfg *py.Dict) (*Output, error) {
	out := &Output{}
	if t := cfg.Str("judge_type"); t != "" && t != "single" {
		b := board{}
		b.warnf(cfg.PosOf("judge_type"), "MTBenchSummarizer reads single ratings only; judge_type %q is not supported yet, its table is left out", t)
		out.Warnings = b.warnings
		return out, nil
	}
	var datasets []string
	for _, d := range dicts(in.Config.Get("datasets")) {
		datasets = append(datasets, spec.DatasetAbbr(d))
	}
	for _, judge := range dicts(in.Config.Get("judge_models")) {
		j := spec.ModelAbbr(judge)
		rows := [][]string{append([]string{"model", "total"}, mtColumns...)}
		t := ratingTable("judged by "+j, "MTBench", mtColumns)
		for _, m := range judged(in.Config) {
			r := rate(in, out, spec.ModelAbbr(m), j, datasets, mtRating)
			row := []string{DisplayName(m), r.text("")}
			t.Models = append(t.Models, DisplayName(m))
			t.Rows[0].Cells = append(t.Rows[0].Cells, r.cellOf(""))
			for i, c := range mtColumns {
				row = append(row, r.text(c))
				t.Rows[i+1].Cells = append(t.Rows[i+1].Cells, r.cellOf(c))
			}
			rows = append(rows, row)
		}
		out.Tables = append(out.Tables, t)
		out.Plain += tabulate(rows) + "\n"
		out.Files = append(out.Files, File{"summary/" + in.Time + "/MTBench-judged-by--" + j + "-capability.csv", []byte(quoteCSV(rows, "\r\n"))})
	}
	return out, nil
}

// ratingTable makes the rows of a table of ratings, the total first.
func ratingTable(title, dataset string, capabilities []string) *Table {
	t := &Table{Title: title, Rows: []Row{{Kind: Scores, Dataset: dataset, Metric: "total", Mode: "gen"}}}
	for _, c := range capabilities {
		t.Rows = append(t.Rows, Row{Kind: Scores, Dataset: dataset, Metric: c, Mode: "gen"})
	}
	return t
}

// runCommon is CommonSummarizer: for judgements such as [[5]], the means by
// capability of each dataset, as one table and as its transpose. Where
// datasets have different capabilities the original stops with an IndexError;
// we show their union.
func runCommon(in Input, cfg *py.Dict) (*Output, error) {
	out := &Output{}
	var columns []string
	type line struct {
		model, judge, dataset string
		r                     *ratings
	}
	var lines []line
	judges := dicts(in.Config.Get("judge_models"))
	models, datasets := judged(in.Config), dicts(in.Config.Get("datasets"))
	for _, m := range models {
		for _, judge := range judges {
			for _, d := range datasets {
				ds, j := spec.DatasetAbbr(d), spec.ModelAbbr(judge)
				r := rate(in, out, spec.ModelAbbr(m), j, []string{ds}, commonRating)
				lines = append(lines, line{DisplayName(m), j, ds, r})
				for _, c := range r.order {
					if !slices.Contains(columns, c) {
						columns = append(columns, c)
					}
				}
			}
		}
	}
	rows := [][]string{append([]string{"model", "judge_model", "dataset", "total"}, columns...)}
	for _, l := range lines {
		row := []string{l.model, l.judge, l.dataset, l.r.text("")}
		for _, c := range columns {
			row = append(row, l.r.text(c))
		}
		rows = append(rows, row)
	}
	across := make([][]string, len(rows[0]))
	for j := range across {
		for _, r := range rows {
			across[j] = append(across[j], r[j])
		}
	}
	across[0][0] = ""
	for _, judge := range judges {
		j := spec.ModelAbbr(judge)
		t := &Table{Title: "judged by " + j}
		for _, d := range datasets {
			t.Rows = append(t.Rows, ratingTable("", spec.DatasetAbbr(d), columns).Rows...)
		}
		for _, m := range models {
			t.Models = append(t.Models, DisplayName(m))
		}
		for _, l := range lines {
			if l.judge != j {
				continue
			}
			for i := range t.Rows {
				if t.Rows[i].Dataset != l.dataset {
					continue
				}
				c := t.Rows[i].Metric
				if c == "total" && (i == 0 || t.Rows[i-1].Dataset != l.dataset) {
					c = ""
				}
				t.Rows[i].Cells = append(t.Rows[i].Cells, l.r.cellOf(c))
			}
		}
		out.Tables = append(out.Tables, t)
	}
	out.Plain = tabulate(rows) + "\n"
	out.Files = []File{
		{"summary/" + in.Time + "/result.csv", []byte(quoteCSV(rows, "\r\n"))},
		{"summary/" + in.Time + "/total_result.csv", []byte(quoteCSV(across, "\n"))},
	}
	return out, nil
}

// runSubjective is SubjectiveSummarizer: the score dicts of several benchmarks
// (config key subjective_scores: benchmark → judge → model → name → score)
// as one table for each judge. Models come in the order in which they appear.
func runSubjective(in Input, cfg *py.Dict) (*Output, error) {
	out := &Output{}
	scores := in.Config.Get("subjective_scores")
	judges, models := []string{}, map[string][]string{}
	walk := func(f func(bench, judge string, byModel *py.Dict)) {
		for _, one := range dicts(scores) {
			for _, b := range one.Entries() {
				byJudge, _ := b.Val.(*py.Dict)
				for _, j := range byJudge.Entries() {
					byModel, _ := j.Val.(*py.Dict)
					f(py.Str(b.Key), py.Str(j.Key), byModel)
				}
			}
		}
	}
	add := func(l []string, s string) []string {
		if slices.Contains(l, s) {
			return l
		}
		return append(l, s)
	}
	walk(func(_, judge string, byModel *py.Dict) {
		judges = add(judges, judge)
		for _, m := range byModel.Keys() {
			models[judge] = add(models[judge], py.Str(m))
		}
	})
	for _, judge := range judges {
		cols := models[judge]
		for _, m := range judged(in.Config) {
			cols = add(cols, DisplayName(m))
		}
		rows := [][]string{append([]string{"Dataset", "Detailed Scores"}, cols...)}
		t := &Table{Title: "judged by " + judge, Models: cols}
		walk(func(bench, j string, byModel *py.Dict) {
			if j != judge {
				return
			}
			var names []string
			for _, e := range byModel.Entries() {
				one, _ := e.Val.(*py.Dict)
				for _, k := range one.Keys() {
					names = add(names, py.Str(k))
				}
			}
			for _, n := range names {
				row := []string{bench, n}
				own := Row{Kind: Scores, Dataset: bench, Metric: n}
				for _, m := range cols {
					v := byModel.Dict(m).Get(n)
					text := ""
					if v != nil {
						text = py.Str(v)
					}
					row = append(row, text)
					c := Cell{State: Missing, Reason: "no score"}
					if f, ok := numeric(v); ok {
						c = Cell{State: OK, Score: f}
					}
					own.Cells = append(own.Cells, c)
				}
				rows = append(rows, row)
				t.Rows = append(t.Rows, own)
			}
		})
		out.Tables = append(out.Tables, t)
		out.Plain += tabulate(rows) + "\n"
		out.Files = append(out.Files, File{fmt.Sprintf("summary/%s/Subjective_all_results-judged-by--%s.csv", in.Time, judge), []byte(quoteCSV(rows, "\n"))})
	}
	return out, nil
}

// numeric is a number or the text of one.
func numeric(v py.Value) (float64, bool) {
	switch x := v.(type) {
	case int, float64, *big.Int:
		return number(x)
	case string:
		return parseFloat(x)
	}
	return 0, false
}

// quoteCSV is what Python's csv.writer writes (eol "\r\n") and what pandas does
// ("\n").
func quoteCSV(rows [][]string, eol string) string {
	var b strings.Builder
	for _, r := range rows {
		for j, c := range r {
			if j > 0 {
				b.WriteByte(',')
			}
			if strings.ContainsAny(c, ",\"\r\n") {
				c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
			}
			b.WriteString(c)
		}
		b.WriteString(eol)
	}
	return b.String()
}
