package term

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	lgtable "charm.land/lipgloss/v2/table"

	"sextant/internal/source"
	"sextant/internal/summary"
)

// DrawOptions say how a table is drawn.
type DrawOptions struct {
	Width   int  // columns there are; 0 is no limit
	Color   bool // escape sequences
	Unicode bool // frames and signs outside ASCII
}

// Draw draws a table of results: score ± half of its 95 % interval, and below
// it what a reader must know: failed and unscored samples, missing results.
// Where the columns do not fit, version and mode are left out first, then
// names are shortened, then the models are put into several tables.
func Draw(t *summary.Table, o DrawOptions) string {
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(style{o.Color}.bold(Clean(t.Title)) + "\n")
	}
	d := drawing{t: t, o: o}
	d.prepare()
	for i, models := range d.chunks() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(d.draw(models))
	}
	for _, n := range d.notes() {
		b.WriteString(n + "\n")
	}
	return b.String()
}

type drawing struct {
	t     *summary.Table
	o     DrawOptions
	heads []string   // of the columns before the models
	left  [][]string // their cells, by row
	names []string   // of the models, as drawn
	cells [][]string // by row and model
}

// pm is the sign before an interval.
func (d *drawing) pm() string {
	if d.o.Unicode {
		return "±"
	}
	return "+-"
}

func (d *drawing) prepare() {
	for _, m := range d.t.Models {
		d.names = append(d.names, oneLine(m))
	}
	d.cells = make([][]string, len(d.t.Rows))
	for m := range d.t.Models {
		score, half, marks := 0, 0, false
		for _, r := range d.t.Rows {
			if len(r.Cells) > m {
				marks = marks || marked(r.Cells[m])
				score = max(score, len(r.Cells[m].Text()))
				half = max(half, len(halfWidth(r.Cells[m])))
			}
		}
		for i, r := range d.t.Rows {
			s := ""
			if len(r.Cells) > m {
				s = d.cell(r.Cells[m], score, half, marks)
			}
			d.cells[i] = append(d.cells[i], s)
		}
	}
	d.fill("dataset", "version", "metric", "mode")
	if d.o.Width > 0 && d.need(1) > d.o.Width {
		d.fill("dataset", "metric")
	}
	if d.o.Width > 0 && len(d.chunks()) > 1 { // long names cost most
		for m := range d.names {
			d.names[m] = d.cut(d.names[m], max(longName, d.scoreWidth(m)))
		}
	}
	if over := d.need(1) - d.o.Width; d.o.Width > 0 && over > 0 {
		for col := range d.heads {
			w := d.width(col)
			least := 8
			if n := min(over, w-least); n > 0 {
				for _, r := range d.left {
					r[col] = d.cut(r[col], w-n)
				}
				d.heads[col] = d.cut(d.heads[col], w-n)
				over -= n
			}
		}
		for m := range d.names {
			if room := d.o.Width - d.need(0) - 3; room < d.modelWidth(m) {
				d.names[m] = d.cut(d.names[m], max(8, room, d.scoreWidth(m)))
			}
		}
	}
}

func (d *drawing) cut(s string, n int) string {
	if d.o.Unicode {
		return cut(s, n)
	}
	if cells.StringWidth(s) <= n {
		return s
	}
	return cells.Truncate(s, n, "~")
}

// fill makes the left columns.
func (d *drawing) fill(heads ...string) {
	d.heads, d.left = heads, nil
	for _, r := range d.t.Rows {
		var line []string
		for _, h := range heads {
			s := ""
			switch h {
			case "dataset":
				s = r.Dataset
			case "version":
				s = r.Version
			case "metric":
				s = r.Metric
			case "mode":
				s = r.Mode
			}
			line = append(line, oneLine(s))
		}
		d.left = append(d.left, line)
	}
}

func (d *drawing) width(col int) int {
	w := cells.StringWidth(d.heads[col])
	for i, r := range d.left {
		if d.t.Rows[i].Kind != summary.Heading || col == 0 {
			w = max(w, cells.StringWidth(r[col]))
		}
	}
	return w
}

// longName is what a model's name is shortened to when the models do not fit
// beside each other.
const longName = 24

func (d *drawing) modelWidth(m int) int {
	return max(cells.StringWidth(d.names[m]), d.scoreWidth(m))
}

func (d *drawing) scoreWidth(m int) int {
	w := 0
	for _, r := range d.cells {
		w = max(w, cells.StringWidth(r[m]))
	}
	return w
}

// need is the width of a table with the first n models that are widest.
func (d *drawing) need(n int) int {
	w := 1
	for c := range d.heads {
		w += d.width(c) + 3
	}
	widest := 0
	for m := range d.names {
		widest = max(widest, d.modelWidth(m))
	}
	return w + n*(widest+3)
}

// chunks spreads the models over as many tables as the width needs.
func (d *drawing) chunks() [][]int {
	var out [][]int
	base := d.need(0)
	w := base
	var cur []int
	for m := range d.names {
		mw := d.modelWidth(m) + 3
		if d.o.Width > 0 && len(cur) > 0 && w+mw > d.o.Width {
			out, cur, w = append(out, cur), nil, base
		}
		cur, w = append(cur, m), w+mw
	}
	return append(out, cur)
}

// halfWidth is the interval as the longer of its two sides.
func halfWidth(c summary.Cell) string {
	if !c.HasScore() || c.Interval == nil || math.IsNaN(c.Score) || math.IsInf(c.Score, 0) {
		return ""
	}
	return strconv.FormatFloat(math.Max(c.Score-c.Interval.Lo, c.Interval.Hi-c.Score), 'f', 2, 64)
}

// marked reports whether a cell has a note below the table.
func marked(c summary.Cell) bool {
	return c.State == summary.Partial || c.State == summary.Failed || c.HasScore() && (c.Counts.Failed > 0 || c.Counts.Unscored > 0)
}

func (d *drawing) cell(c summary.Cell, score, half int, marks bool) string {
	text := c.Text()
	if c.State == summary.Failed {
		text = "failed"
	}
	text = strings.Repeat(" ", max(0, score-len(text))) + text
	if half > 0 {
		h := halfWidth(c)
		sep := " " + d.pm() + " "
		if h == "" {
			sep = strings.Repeat(" ", cells.StringWidth(sep))
		}
		text += sep + strings.Repeat(" ", half-len(h)) + h
	}
	if marked(c) {
		return text + "*"
	}
	if marks {
		text += " "
	}
	return text
}

func (d *drawing) draw(models []int) string {
	heads := append([]string(nil), d.heads...)
	for _, m := range models {
		heads = append(heads, d.names[m])
	}
	var rows [][]string
	for i, l := range d.left {
		row := append([]string(nil), l...)
		for _, m := range models {
			row = append(row, d.cells[i][m])
		}
		rows = append(rows, row)
	}
	if !d.o.Unicode {
		return ascii(heads, rows, len(d.heads))
	}
	t := lgtable.New().Headers(heads...).Rows(rows...).Border(lipgloss.RoundedBorder()).Wrap(false).
		StyleFunc(func(row, col int) lipgloss.Style {
			s := lipgloss.NewStyle().Padding(0, 1)
			if col >= len(d.heads) {
				s = s.Align(lipgloss.Right)
			}
			if !d.o.Color {
				return s
			}
			if row == lgtable.HeaderRow {
				return s.Bold(true)
			}
			return d.paint(s, d.t.Rows[row], col, models)
		})
	if d.o.Color {
		t = t.BorderStyle(lipgloss.NewStyle().Foreground(ansi(8)))
	}
	return t.Render() + "\n"
}

// ansi is one of the sixteen colours of the terminal's theme.
func ansi(n int) color.Color { return lipgloss.Color(strconv.Itoa(n)) }

func (d *drawing) paint(s lipgloss.Style, r summary.Row, col int, models []int) lipgloss.Style {
	if r.Kind == summary.Heading {
		return s.Bold(true).Foreground(ansi(6))
	}
	if col < len(d.heads) {
		if r.Group && col == 0 {
			return s.Bold(true)
		}
		if col > 0 {
			return s.Foreground(ansi(8))
		}
		return s
	}
	if m := models[col-len(d.heads)]; m < len(r.Cells) {
		switch r.Cells[m].State {
		case summary.Failed:
			return s.Foreground(ansi(1))
		case summary.Partial:
			return s.Foreground(ansi(3))
		case summary.Missing:
			return s.Foreground(ansi(8))
		}
	}
	return s.Bold(r.Group)
}

// ascii draws columns two spaces apart; those from col on are right-aligned.
func ascii(heads []string, rows [][]string, col int) string {
	width := make([]int, len(heads))
	for j, h := range heads {
		width[j] = cells.StringWidth(h)
		for _, r := range rows {
			width[j] = max(width[j], cells.StringWidth(r[j]))
		}
	}
	var b strings.Builder
	line := func(r []string) {
		var l strings.Builder
		for j, s := range r {
			fill := strings.Repeat(" ", width[j]-cells.StringWidth(s))
			if j > 0 {
				l.WriteString("  ")
			}
			if j >= col {
				s = fill + s
			} else {
				s += fill
			}
			l.WriteString(s)
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(heads)
	rule := make([]string, len(heads))
	for j := range rule {
		rule[j] = strings.Repeat("-", width[j])
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// maxNotes bounds the notes below a table.
const maxNotes = 12

// notes say what stands behind the marks, and what is missing.
func (d *drawing) notes() []string {
	st := style{d.o.Color}
	var out []string
	seen := map[string]bool{}
	missing, interval := 0, false
	for _, r := range d.t.Rows {
		if r.Kind == summary.Unknown {
			what := oneLine(r.Dataset)
			if r.Metric != "" {
				what += " " + oneLine(r.Metric)
			}
			out = append(out, st.faint(what+": nothing of this name has a result"))
			continue
		}
		for m, c := range r.Cells {
			interval = interval || halfWidth(c) != ""
			if c.State == summary.Missing {
				missing++
			}
			if !marked(c) {
				continue
			}
			s := fmt.Sprintf("* %s, %s: %s", oneLine(d.t.Models[m]), oneLine(r.Dataset), describe(c))
			if !seen[s] {
				seen[s] = true
				paint := st.yellow
				if c.State == summary.Failed {
					paint = st.red
				}
				out = append(out, paint(s))
			}
		}
	}
	if len(out) > maxNotes {
		more := len(out) - maxNotes + 1
		out = append(out[:maxNotes-1], fmt.Sprintf("and %s", source.Count(more, "more note")))
	}
	if missing > 0 {
		out = append(out, st.faint(fmt.Sprintf("-: %s without a result", source.Count(missing, "cell"))))
	}
	if interval {
		out = append(out, st.faint(d.pm()+": 95% confidence interval over the samples"))
	}
	return out
}

// describe says what is behind a cell.
func describe(c summary.Cell) string {
	if c.State == summary.Failed {
		return oneLine(c.Reason)
	}
	var parts []string
	n := c.Counts
	if n.Total > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s scored", source.Number(n.Scored), source.Count(n.Total, "sample")))
	}
	if n.Unscored > 0 {
		parts = append(parts, source.Number(n.Unscored)+" without a readable answer")
	}
	if n.Failed > 0 {
		parts = append(parts, source.Number(n.Failed)+" failed")
	}
	if len(parts) == 0 {
		return oneLine(c.Reason)
	}
	return strings.Join(parts, ", ")
}

// oneLine makes foreign text fit for a cell.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(Clean(s))
}

// jsonTable is a table in JSON form.
type jsonTable struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Title  string    `json:"title,omitempty"`
	Models []string  `json:"models"`
	Rows   []jsonRow `json:"rows"`
}

type jsonRow struct {
	Dataset string     `json:"dataset"`
	Version string     `json:"version,omitempty"`
	Metric  string     `json:"metric,omitempty"`
	Mode    string     `json:"mode,omitempty"`
	Cells   []jsonCell `json:"cells"`
}

type jsonCell struct {
	State  summary.State  `json:"state"`
	Reason string         `json:"reason,omitempty"`
	Score  *float64       `json:"score,omitempty"` // absent when there is none, or none that JSON can hold
	Lo     *float64       `json:"lo,omitempty"`    // of the 95 % interval
	Hi     *float64       `json:"hi,omitempty"`
	Counts summary.Counts `json:"counts"`
}

func tableLine(now time.Time, t *summary.Table) jsonTable {
	out := jsonTable{Time: now, Kind: "table", Title: t.Title, Models: t.Models, Rows: []jsonRow{}}
	for _, r := range t.Rows {
		if r.Kind == summary.Heading {
			continue
		}
		row := jsonRow{Dataset: r.Dataset, Version: r.Version, Metric: r.Metric, Mode: r.Mode, Cells: []jsonCell{}}
		for _, c := range r.Cells {
			j := jsonCell{State: c.State, Reason: c.Reason, Counts: c.Counts}
			if c.HasScore() && !math.IsNaN(c.Score) && !math.IsInf(c.Score, 0) {
				v := c.Score
				j.Score = &v
				if c.Interval != nil {
					lo, hi := c.Interval.Lo, c.Interval.Hi
					j.Lo, j.Hi = &lo, &hi
				}
			}
			row.Cells = append(row.Cells, j)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
