// Package summary turns the results of a run into tables: the files that
// OpenCompass's summarizers write, byte for byte, and a model of the table
// with intervals, counts and states that the terminal and the report draw.
//
// The main pieces: Summarize runs the summarizer that a config names over an
// Input and returns an Output (files to write, tables, warnings); Classes
// holds the summarizer classes by name; Table, Row and Cell are our own view.
//
// The package is pure: results come in through functions, files go out as
// values. It reads no predictions, judges nothing, and draws nothing in
// colour. Where the original stops with a traceback (a group with a wrong
// weight, two models with different metrics) it leaves out what cannot be
// computed and says so in a warning at the place in the config.
package summary

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// Input is what a summary is made of.
type Input struct {
	// Config is the run's config: models, datasets, summarizer, and for
	// subjective summarizers judge_models and eval. Not changed.
	Config *py.Dict
	// Result returns the content of results/<model>/<dataset>.json (abbrs), or
	// nil where there is none. An error (unreadable file) makes the cell a
	// failed one and a warning.
	Result func(model, dataset string) (*py.Dict, error)
	// Evidence says how a result came about; may be nil. Without it what the
	// result's details tell is used.
	Evidence func(model, dataset string) (Evidence, bool)
	// Version is what the version column shows of a dataset, usually the first
	// six digits of its prompt hash; "" shows "-".
	Version func(dataset *py.Dict) string
	// Time is the run's time as OpenCompass writes it, 20240101_000000. It is
	// part of the file names and the first line of the text file.
	Time string
	// OutputPath, if set, is the path of the text file; the others stand
	// beside it. Default: summary/summary_<Time>.txt below the run's folder.
	OutputPath string
}

// Counts says what became of the samples behind a score, as the evaluators
// count them. Total = Scored + Unscored + Failed.
type Counts struct {
	Total    int `json:"total"`
	Scored   int `json:"scored"`
	Unscored int `json:"unscored"` // answered, but no answer could be read from it
	Failed   int `json:"failed"`   // no answer: the model failed on it
}

// Evidence is what is known about one result beside its numbers.
type Evidence struct {
	Counts Counts
	// Correct of Judged rows were judged right. Judged is 0 where the
	// evaluator does not judge row by row; then there is no interval.
	Correct, Judged int
	// State and Reason overrule what the result itself says, unless State is "".
	State  State
	Reason string
}

// File is one file to be written, with its path below the run's folder.
type File struct {
	Path string
	Data []byte
}

// Output is what a summarizer makes.
type Output struct {
	Files []File
	// Plain and Markdown are what OpenCompass prints.
	Plain, Markdown string
	// Tables is our own view: one table, or one for each facet.
	Tables []*Table
	// Warnings are things the reader of the table should know. Those about a
	// summarizer's config carry a position.
	Warnings []*source.Diagnostic
}

// Class is a summarizer class that configs can name.
type Class struct {
	// Run makes the summary. cfg is the summarizer dict, never nil. An error is
	// a *source.Diagnostic about cfg.
	Run func(in Input, cfg *py.Dict) (*Output, error)
}

// Classes are the summarizer classes by name.
var Classes = registry.New[Class]("summarizer")

// Summarize runs the summarizer that the config names, DefaultSummarizer where
// it names none.
func Summarize(in Input) (*Output, error) {
	cfg := in.Config.Dict("summarizer")
	if cfg == nil {
		cfg = py.NewDict()
	}
	name := "DefaultSummarizer"
	if t, ok := cfg.Lookup("type"); ok {
		name = typeName(t)
	}
	c, err := Classes.Lookup(name)
	if err != nil {
		return nil, source.At(cfg.PosOf("type"), err)
	}
	return c.Run(in, cfg)
}

// typeName is the text of a `type` value: the dotted name, or a class object.
func typeName(v py.Value) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case py.Object:
		return strings.Trim(strings.TrimPrefix(x.PyRepr(), "<class "), "'>")
	}
	return fmt.Sprint(v)
}

// DisplayName is the name of a model in tables: its summarizer_abbr, or else
// its abbr.
func DisplayName(model *py.Dict) string {
	if s := model.Str("summarizer_abbr"); s != "" {
		return s
	}
	return spec.ModelAbbr(model)
}

// dicts returns the dicts of a list or tuple.
func dicts(v py.Value) []*py.Dict {
	var out []*py.Dict
	for _, it := range items(v) {
		if d, ok := it.(*py.Dict); ok {
			out = append(out, d)
		}
	}
	return out
}

// items returns the items of a list or tuple, nil for anything else.
func items(v py.Value) []py.Value {
	switch x := v.(type) {
	case *py.List:
		return x.Items
	case *py.Tuple:
		return x.Items
	}
	return nil
}

// itemPos is where item i of a list or tuple was written.
func itemPos(v py.Value, i int) source.Pos {
	switch x := v.(type) {
	case *py.List:
		return x.PosOf(i)
	case *py.Tuple:
		return x.PosOf(i)
	}
	return 0
}
