package summary

import (
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// State says whether a score can be relied on.
type State string

// The states of a cell.
const (
	OK      State = "ok"
	Partial State = "partial" // a score, but some samples have no answer
	Failed  State = "failed"  // could not be computed
	Missing State = "missing" // no result yet
)

// Table is our own view of a summary.
type Table struct {
	Title  string   // of a facet, else ""
	Models []string // display names, one column each
	Rows   []Row
}

// RowKind tells rows of scores from headings.
type RowKind string

// The kinds of row.
const (
	Scores  RowKind = "scores"
	Heading RowKind = "heading" // a section line of dataset_abbrs
	Unknown RowKind = "unknown" // a listed name or metric that no model has
)

// Row is one line of a Table.
type Row struct {
	Kind    RowKind
	Dataset string // abbr, name of the group, or text of the heading
	Group   bool
	Version string // "" where there is none
	Metric  string
	Mode    string
	Cells   []Cell // one for each model; empty for headings
}

// Cell is the score of one model in one row.
type Cell struct {
	State  State
	Reason string // why it is not OK, for people
	// Score is valid in the states OK and Partial, on the scale of the metric
	// (most accuracies: 0 to 100). It may be NaN or infinite where the results
	// file says so.
	Score    float64
	Interval *Interval // 95 %; nil where it is not known
	Counts   Counts
}

// HasScore reports whether there is a number to show.
func (c Cell) HasScore() bool { return c.State == OK || c.State == Partial }

// Text is the score as tables print it, or "-".
func (c Cell) Text() string {
	if !c.HasScore() {
		return "-"
	}
	return fixed(c.Score, 2)
}

// want is a row asked for: metric "" is the first one.
type want struct {
	name, metric string
}

// wanted is the list of rows: those that dataset_abbrs lists, or everything.
func (b *board) wanted(listed py.Value) []want {
	var out []want
	if listed != nil {
		for i, it := range items(listed) {
			switch x := it.(type) {
			case string:
				out = append(out, want{name: x})
				continue
			case *py.List, *py.Tuple:
				if p := items(x); len(p) >= 2 {
					n, ok1 := p[0].(string)
					m, ok2 := p[1].(string)
					if ok1 && ok2 {
						out = append(out, want{n, m})
						continue
					}
				}
			}
			b.warnings = append(b.warnings, source.Errorf(itemPos(listed, i), "a row must be a name or [name, metric], not %s; it is left out of the table", py.Repr(it)))
		}
		return out
	}
	seen := map[want]bool{}
	for _, ds := range b.abbrs {
		if len(b.metrics[ds]) == 0 {
			out = append(out, want{name: ds})
		}
		for _, m := range b.metrics[ds] {
			out = append(out, want{ds, m})
			seen[want{ds, m}] = true
		}
	}
	for _, n := range b.names {
		for _, m := range b.metrics[n] {
			if !seen[want{n, m}] {
				out = append(out, want{n, m})
			}
		}
	}
	return out
}

// table makes both views of the rows: text cells as OpenCompass prints them,
// header first, and our own. skipUnknown leaves out rows that nobody has.
func (b *board) table(rows []want, skipUnknown bool) ([][]string, *Table) {
	out := [][]string{append([]string{"dataset", "version", "metric", "mode"}, b.models...)}
	t := &Table{Models: b.models}
	versions := b.versions()
	for _, w := range rows {
		metrics := b.metrics[w.name]
		metric := w.metric
		if metric == "" && len(metrics) > 0 {
			metric = metrics[0]
		}
		known := false
		for _, m := range metrics {
			known = known || m == metric
		}
		if !known {
			if !skipUnknown {
				line := []string{w.name, "-", "-", "-"}
				for range b.models {
					line = append(line, "-")
				}
				out = append(out, line)
				t.Rows = append(t.Rows, b.unknownRow(w))
			}
			continue
		}
		version, isDataset := versions[w.name]
		if version == "" {
			version = "-"
		}
		mode := b.mode[w.name]
		line := []string{w.name, version, metric, mode}
		row := Row{Kind: Scores, Dataset: w.name, Group: !isDataset, Version: strings.Trim(version, "-"), Metric: metric, Mode: mode}
		for _, m := range b.models {
			c := b.cell(m, w.name, metric)
			line = append(line, c.Text())
			row.Cells = append(row.Cells, c)
		}
		out = append(out, line)
		t.Rows = append(t.Rows, row)
	}
	return out, t
}

// versions is the version of each dataset.
func (b *board) versions() map[string]string {
	out := map[string]string{}
	for i, d := range b.datasets {
		out[b.abbrs[i]] = ""
		if b.in.Version != nil {
			out[b.abbrs[i]] = b.in.Version(d)
		}
	}
	return out
}

// unknownRow is a row without any score: a dataset whose results are missing,
// a section line, or a name that means nothing.
func (b *board) unknownRow(w want) Row {
	r := Row{Kind: Unknown, Dataset: w.name, Metric: w.metric}
	for _, a := range b.abbrs {
		if a == w.name {
			r.Kind = Scores
		}
	}
	if r.Kind == Unknown && (strings.TrimSpace(w.name) == "" || strings.ContainsAny(w.name[:1], "-#=*")) {
		return Row{Kind: Heading, Dataset: strings.Trim(w.name, "-#=* ")}
	}
	for _, m := range b.models {
		c := b.cell(m, w.name, w.metric)
		r.Cells = append(r.Cells, c)
	}
	return r
}

// cell is the score of a model in a row.
func (b *board) cell(model, name, metric string) Cell {
	st := b.state[model][name]
	ev := b.evidence[model][name]
	c := Cell{State: st.state, Reason: st.reason, Counts: ev.Counts}
	var x score
	ok := false
	if sc := b.parsed[model][name]; sc != nil {
		x, ok = sc.m[metric]
	}
	if !ok {
		if c.State == "" || c.State == OK || c.State == Partial {
			c.State = Missing
			if c.Reason == "" {
				c.Reason = "no result"
				if b.parsed[model][name] != nil {
					c.Reason = "the result has no metric " + metric
				}
			}
		}
		return c
	}
	if c.State == "" {
		c.State = OK
	}
	c.Score = x.v
	c.Interval = b.interval(model, x)
	if len(x.lin) > 0 && ev.Counts.Total == 0 {
		seen := map[string]bool{}
		for l := range x.lin {
			if !seen[l.dataset] {
				seen[l.dataset] = true
				n := b.evidence[model][l.dataset].Counts
				c.Counts.Total += n.Total
				c.Counts.Scored += n.Scored
				c.Counts.Unscored += n.Unscored
				c.Counts.Failed += n.Failed
			}
		}
	}
	return c
}

// interval is that of a score made of measured ones, nil when one of them has
// none.
func (b *board) interval(model string, x score) *Interval {
	if len(x.lin) == 0 {
		return nil
	}
	leaves := make([]leaf, 0, len(x.lin))
	for l := range x.lin {
		leaves = append(leaves, l)
	}
	sort.Slice(leaves, func(i, j int) bool {
		if leaves[i].dataset != leaves[j].dataset {
			return leaves[i].dataset < leaves[j].dataset
		}
		return leaves[i].metric < leaves[j].metric
	})
	var c, v []float64
	var iv []Interval
	for i, l := range leaves {
		if i > 0 && leaves[i-1].dataset == l.dataset {
			return nil // two metrics of the same rows are not independent
		}
		sc := b.parsed[model][l.dataset]
		if sc == nil {
			return nil
		}
		one, ok := intervalOf(sc.m[l.metric].v, b.evidence[model][l.dataset])
		if !ok {
			return nil
		}
		c, v, iv = append(c, x.lin[l]), append(v, sc.m[l.metric].v), append(iv, one)
	}
	out := combine(x.v, c, v, iv)
	return &out
}
