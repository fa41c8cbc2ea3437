package summary

import (
	"math"
	"strings"

	"github.com/mattn/go-runewidth"

	"sextant/internal/py"
)

// cells counts wide characters twice whatever the locale of the machine says.
var cells = &runewidth.Condition{EastAsianWidth: false, StrictEmojiNeutral: true}

// width is the number of columns that s takes on a terminal.
func width(s string) int { return cells.StringWidth(s) }

// kind of a cell or column as tabulate sees it; a column has the most general
// kind of its cells.
type kind int

const (
	kindBool kind = iota
	kindInt
	kindFloat
	kindText
)

func kindOf(s string) kind {
	if s == "True" || s == "False" {
		return kindBool
	}
	if isInt(s) {
		return kindInt
	}
	if f, ok := parseFloat(s); ok {
		if math.IsInf(f, 0) || math.IsNaN(f) {
			if l := strings.ToLower(s); l != "inf" && l != "-inf" && l != "nan" {
				return kindText
			}
		}
		return kindFloat
	}
	return kindText
}

// isInt reports whether Python's int(s) works.
func isInt(s string) bool {
	_, err := py.ParseInt(s, 10)
	return err == nil
}

// parseFloat is Python's float(s).
func parseFloat(s string) (float64, bool) {
	f, err := py.ParseFloat(s)
	return f, err == nil
}

// afterPoint is the number of characters behind the decimal point, -1 for
// integers and what has none.
func afterPoint(s string) int {
	if k := kindOf(s); k != kindFloat {
		return -1
	}
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		i = strings.LastIndexByte(strings.ToLower(s), 'e')
	}
	if i < 0 {
		return -1
	}
	return len(s) - i - 1
}

// tabulate draws rows, the first being the header, as Python's tabulate 0.10
// does with headers='firstrow' and floatfmt='.2f': style "simple".
func tabulate(rows [][]string) string {
	header, body := rows[0], rows[1:]
	n := len(header)
	widths, right := make([]int, n), make([]bool, n)
	cols := make([][]string, n)
	for j := range header {
		k := kindBool
		for _, r := range body {
			k = max(k, kindOf(r[j]))
		}
		right[j] = k == kindInt || k == kindFloat
		widths[j] = width(header[j]) + 2
		col := make([]string, len(body))
		most := -1
		for i, r := range body {
			col[i] = r[j]
			if k == kindFloat {
				f, _ := parseFloat(r[j])
				col[i] = fixed(f, 2)
			}
			most = max(most, afterPoint(col[i]))
		}
		for i, s := range col {
			if right[j] {
				col[i] = s + strings.Repeat(" ", most-afterPoint(s))
			} else {
				col[i] = py.StripSpace(s)
			}
			widths[j] = max(widths[j], width(col[i]))
		}
		cols[j] = col
	}
	var b strings.Builder
	line := func(cell func(j int) string) {
		parts := make([]string, n)
		for j := range parts {
			parts[j] = cell(j)
		}
		b.WriteString(py.RStripSpace(strings.Join(parts, "  ")))
	}
	pad := func(s string, j int) string {
		fill := strings.Repeat(" ", max(0, widths[j]-width(s)))
		if right[j] {
			return fill + s
		}
		return s + fill
	}
	line(func(j int) string { return pad(header[j], j) })
	b.WriteByte('\n')
	line(func(j int) string { return strings.Repeat("-", widths[j]) })
	for i := range body {
		b.WriteByte('\n')
		line(func(j int) string { return pad(cols[j][i], j) })
	}
	return b.String()
}

const divider = "THIS IS A DIVIDER"

// textFile is the content of summary_<time>.txt; markdown "" leaves that
// section out (DefaultSubjectiveSummarizer has none).
func textFile(time string, rows [][]string, markdown, raw string) string {
	hat, dollar, dash := strings.Repeat("^", 128)+"\n", strings.Repeat("$", 128)+"\n", strings.Repeat("-", 128)
	div := dash + " " + divider + " " + dash + "\n"
	var b strings.Builder
	b.WriteString(time + "\ntabulate format\n" + hat + tabulate(rows) + "\n" + dollar)
	b.WriteString("\n" + div + "\ncsv format\n" + hat + joinCSV(rows) + "\n" + dollar)
	if markdown != "" {
		b.WriteString("\nmarkdown format\n" + hat + markdown + "\n" + dollar + div)
	} else {
		b.WriteString("\n" + div)
	}
	b.WriteString("\nraw format\n" + hat + raw + "\n" + dollar)
	return b.String()
}

func joinCSV(rows [][]string) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = strings.Join(r, ",")
	}
	return strings.Join(lines, "\n")
}

// csvFile is the content of summary_<time>.csv: a comma inside a cell becomes
// a space.
func csvFile(rows [][]string) string {
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = make([]string, len(r))
		for j, c := range r {
			out[i][j] = strings.ReplaceAll(c, ",", " ")
		}
	}
	return joinCSV(out) + "\n"
}

// markdownFile is the content of summary_<time>.md.
func markdownFile(rows [][]string) string {
	var b strings.Builder
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|-----" + strings.Repeat(" | -----", len(r)-1) + "|\n")
		}
	}
	return b.String()
}

// rawText is the raw section: for each model what is known of every name that
// any model has something for.
func (b *board) rawText() string {
	var names []py.Value
	seen := py.NewDict()
	for _, m := range b.models {
		for _, k := range b.raw[m].Keys() {
			if !seen.Has(k) {
				seen.Set(k, nil)
				names = append(names, k)
			}
		}
	}
	var lines []string
	for _, m := range b.models {
		lines = append(lines, strings.Repeat("-", 31), "Model: "+m)
		for _, k := range names {
			v, ok := b.raw[m].Lookup(k)
			if !ok {
				v = py.NewDict()
			}
			lines = append(lines, k.(string)+": "+py.Repr(v))
		}
	}
	return strings.Join(lines, "\n")
}

// Simple lays rows, the header first, out as tabulate's style "simple".
func Simple(rows [][]string) string { return tabulate(rows) }
