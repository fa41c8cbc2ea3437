// Package report writes the result of a run as one HTML file that needs
// nothing else: no network, no server, no other file. It shows the score
// table with intervals and counts, what was run with what, and every sample
// with its prompt, the model's answer, the score of each label and whether it
// was right, with filters and search.
//
// Write streams: samples come from iterators and leave as gzip in base64,
// block by block, so memory does not grow with their number. The page unpacks
// a dataset's blocks when somebody looks at it.
//
// Everything that a model or a dataset says is foreign text. It reaches the
// page only through html/template, through JSON inside base64, and there
// through textContent; a content security policy forbids all scripts but the
// one whose hash it names, and every request.
//
// The package decides nothing about scores: it draws summary.Table and reads
// verdicts from its input.
package report

import (
	_ "embed" // assets

	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"sextant/internal/py"
	"sextant/internal/source"
	"sextant/internal/summary"
)

// Report is what a page shows.
type Report struct {
	Title   string    // of the run: its name or config file
	Time    time.Time // when the run was made
	Program string    // "sextant 0.1.0 (linux/amd64)"
	// Config is the name of the config file, ConfigHash the hash of what it
	// means.
	Config, ConfigHash string
	WorkDir            string // where the files of the run are, as to be shown
	Models             []Model
	Datasets           []Dataset
	Tables             []*summary.Table
	Runs               []Run
	Notes              []string // warnings: what a reader must know
	// MaxBytes bounds the part of the page that samples take; 0 is 48 MB.
	// What does not fit is left out, and the page says how much.
	MaxBytes int64
}

// Model is a column of the table.
type Model struct {
	Name  string // display name, as in the tables
	Type  string // class
	Path  string // where its weights or its endpoint are
	Hash  string // identity, "" where there is none
	Dtype string // what it was computed in, "float32"
	Facts []Fact // anything else
}

// Fact is one thing to know.
type Fact struct{ Name, Value string }

// Dataset is where data came from.
type Dataset struct {
	Abbr    string
	Version string // of the prompt, six digits
	Origin  string // "embedded", a path, an address
	Hash    string // of the data
	Rows    int
}

// Run is one model on one dataset.
type Run struct {
	Model, Dataset string // display name and abbr, as in the tables
	Total          int    // samples that there are, to say how many are left out
	// Samples yields them in row order. An error ends the run's samples and is
	// shown. May be nil.
	Samples iter.Seq2[Sample, error]
	// File is where all samples are, for the note on those left out.
	File string
}

// Verdict says what became of a sample.
type Verdict string

// The verdicts.
const (
	Right    Verdict = "right"
	Wrong    Verdict = "wrong"
	Unscored Verdict = "unscored" // answered, but no answer could be read
	Failed   Verdict = "failed"   // no answer
	Unjudged Verdict = "unjudged" // the evaluator does not judge rows one by one
)

// Sample is one question with its answer.
type Sample struct {
	Index   int
	Verdict Verdict
	Reason  string   // why it failed or is unscored
	Record  *py.Dict // a prediction record in OpenCompass's shape
	// Extracted is what was scored, when it is not the record's prediction.
	Extracted py.Value
}

const defaultMaxBytes = 48 << 20

// runMeta is what the page knows of a run before it unpacks the samples.
type runMeta struct {
	Model    string   `json:"m"`
	Dataset  string   `json:"d"`
	Total    int      `json:"total"`
	Embedded int      `json:"n"`
	Blocks   []string `json:"blocks"`
	File     string   `json:"file,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// Write writes the page. An error of w ends it; an error of a run's samples is
// shown on the page and returned at the end, after a whole page was written.
func Write(w io.Writer, r Report) error {
	cw := &counter{w: w}
	if err := page.ExecuteTemplate(cw, "head", view{&r}); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	limit := r.MaxBytes
	if limit == 0 {
		limit = defaultMaxBytes
	}
	start := cw.n
	var firstErr error
	for i, run := range r.Runs {
		// what earlier runs did not use goes to the later ones
		budget := (limit - (cw.n - start)) / int64(len(r.Runs)-i)
		meta, err := writeRun(cw, i, run, budget)
		if cw.err != nil {
			break
		}
		if err != nil {
			meta.Error = err.Error()
			if firstErr == nil {
				firstErr = fmt.Errorf("report: samples of %s on %s: %w", run.Model, run.Dataset, err)
			}
		}
		b, err := json.Marshal(meta) // escapes < and >
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		fmt.Fprintf(cw, "<script type=\"application/json\" class=\"run\">%s</script>\n", b)
	}
	if err := page.ExecuteTemplate(cw, "foot", view{&r}); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if cw.err != nil {
		return fmt.Errorf("write report: %w", cw.err)
	}
	return firstErr
}

// counter counts what is written and remembers the first error.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}

var (
	//go:embed assets/report.css
	css string
	//go:embed assets/report.js
	js string
	//go:embed assets/page.html
	pageText string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":    func() template.CSS { return template.CSS(css) },
	"js":     func() template.JS { return template.JS(js) },
	"policy": func() string { return policy },
	"score":  func(c summary.Cell) string { return c.Text() },
	"half":   half,
	"bounds": bounds,
	"gauge":  newGauge,
	"group":  source.Number,
	"link":   link,
	"short":  short,
}).Parse(pageText))

// policy is the content security policy of the page.
var policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; " +
	"script-src '" + hashOf(js) + "'; style-src '" + hashOf(css) + "'"

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// view is what the template sees.
type view struct{ *Report }

// RunOf reports whether there are samples to show behind a cell.
func (v view) RunOf(model, dataset string) bool {
	for _, r := range v.Runs {
		if r.Model == model && r.Dataset == dataset {
			return true
		}
	}
	return false
}

// Headline is the sum of what there is: 2 models, 3 datasets, 6,442 samples.
func (v view) Headline() string {
	n := 0
	for _, r := range v.Runs {
		n += r.Total
	}
	return fmt.Sprintf("%s · %s · %s", source.Count(len(v.Models), "model"), source.Count(len(v.Datasets), "dataset"), source.Count(n, "sample"))
}

// When is the time of the run, for people.
func (v view) When() string {
	if v.Time.IsZero() {
		return ""
	}
	return v.Time.Format("2 January 2006, 15:04")
}

// Intervals reports whether any cell has one.
func (v view) Intervals() bool {
	for _, t := range v.Tables {
		for _, r := range t.Rows {
			for _, c := range r.Cells {
				if half(c) != "" {
					return true
				}
			}
		}
	}
	return false
}

// Trouble reports whether a cell's counts belong into the table.
func trouble(c summary.Cell) bool { return c.Counts.Failed > 0 || c.Counts.Unscored > 0 }

// CountsNote says what is behind a score whose samples were not all scored.
func (v view) CountsNote(c summary.Cell) string {
	if !trouble(c) {
		return ""
	}
	var parts []string
	if c.Counts.Unscored > 0 {
		parts = append(parts, source.Number(c.Counts.Unscored)+" unscored")
	}
	if c.Counts.Failed > 0 {
		parts = append(parts, source.Number(c.Counts.Failed)+" failed")
	}
	return strings.Join(parts, ", ") + " of " + source.Number(c.Counts.Total)
}

// half is the longer side of the interval.
func half(c summary.Cell) string {
	if !c.HasScore() || c.Interval == nil || math.IsNaN(c.Score) || math.IsInf(c.Score, 0) {
		return ""
	}
	return strconv.FormatFloat(math.Max(c.Score-c.Interval.Lo, c.Interval.Hi-c.Score), 'f', 2, 64)
}

func bounds(c summary.Cell) string {
	if half(c) == "" {
		return ""
	}
	return fmt.Sprintf("95 %% interval %.2f to %.2f", c.Interval.Lo, c.Interval.Hi)
}

// gauge is a score on its scale, in SVG units of 0 to 100.
type gauge struct{ Lo, Width, At string }

// newGauge is nil where the scale is not known: a score without interval is
// drawn only if it is likely a percentage.
func newGauge(c summary.Cell) *gauge {
	if half(c) == "" || c.Score < 0 || c.Score > 100 {
		return nil
	}
	scale := 1.0
	if c.Interval.Hi <= 1 && c.Score <= 1 && c.Interval.Hi-c.Interval.Lo < c.Interval.Hi {
		scale = 100
	}
	lo, hi := math.Max(0, c.Interval.Lo*scale), math.Min(100, c.Interval.Hi*scale)
	f := func(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }
	return &gauge{f(lo), f(math.Max(0.6, hi-lo)), f(c.Score * scale)}
}

// link is the address inside the page of a model's samples on a dataset.
func link(dataset, model string) template.URL {
	q := func(s string) string {
		var b bytes.Buffer
		for _, c := range []byte(s) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	}
	return template.URL("#samples?d=" + q(dataset) + "&m=" + q(model))
}

// short is the beginning of a hash.
func short(s string) string {
	if len(s) > 12 {
		return s[:12]
	}
	return s
}
