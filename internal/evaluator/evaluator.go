// Package evaluator judges predictions: one file per evaluator class.
//
// An evaluator gets all predictions of a dataset with their references and
// returns metrics as OpenCompass names them, with details per row, and counts
// of what could not be scored. A row without a usable prediction is a state,
// never a silent zero: see Counts.
package evaluator

import (
	"context"
	"strconv"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
)

// Input is what a dataset's evaluation works on. All slices have one element
// per row, in row order.
type Input struct {
	Predictions []py.Value // after the postprocessors: text, label, list …
	References  []py.Value // output column; nil slice without one
	// Rows may be nil for evaluators whose Class does not ask for them; then
	// Name names a row as results do: "<subdivision>_<number>".
	Rows    dataset.Table
	Name    func(row int) string
	Records Records // nil where nobody has any
	OutPath string  // results path without extension
	// Failed[i], when not empty, says why the model gave no answer to row i;
	// its prediction is nil. May be nil: none failed.
	Failed []string
}

// Records are the prediction records of a dataset's rows. They are read when
// somebody asks, because they may be larger than memory. Not safe for
// concurrent use.
type Records interface {
	// Keys are the members that any record has, in the order of the records'.
	Keys() []string
	Len() int
	// At reads the record of row i.
	At(i int) (*py.Dict, error)
}

// RecordList are records in memory.
type RecordList []*py.Dict

// Keys implements Records.
func (l RecordList) Keys() []string {
	var out []string
	seen := map[string]bool{}
	for _, d := range l {
		for _, e := range d.Entries() {
			if k, ok := e.Key.(string); ok && !seen[k] {
				seen[k] = true
				out = append(out, k)
			}
		}
	}
	return out
}

// Len implements Records.
func (l RecordList) Len() int { return len(l) }

// At implements Records.
func (l RecordList) At(i int) (*py.Dict, error) {
	if i >= len(l) {
		return nil, py.Errorf("IndexError", "row %d has no record", i)
	}
	return l[i], nil
}

// Counts says what became of the rows of a dataset. Total = Scored + Unscored
// + Failed.
type Counts struct {
	Total    int `json:"total"`
	Scored   int `json:"scored"`
	Unscored int `json:"unscored"` // answered, but no answer could be read from it
	Failed   int `json:"failed"`   // no answer: the model failed on it
}

// Result of an evaluation. Metrics keep order; values are int, float or what
// the evaluator of OpenCompass returns. Details is the list or dict of
// OpenCompass, or nil; an evaluator may give them as *RowDetails, and Run gives
// them as *py.Stream.
type Result struct {
	Metrics *py.Dict
	Details py.Value
	// Correct has one element for each row that was judged, in row order, where
	// the evaluator judges rows one by one: it gives the confidence interval.
	// nil otherwise.
	Correct []bool
	Counts  Counts
}

// RowDetails are details that are made a row at a time, when they are written.
// The verdict in the detail of row i is Result.Correct[i].
type RowDetails struct {
	Len  int
	List bool // a list in the original; otherwise a dict by row number
	Row  func(i int) (*py.Dict, error)
}

// Stream is the list or dict of the original.
func (r *RowDetails) Stream() *py.Stream {
	return &py.Stream{IsDict: !r.List, Each: func(yield func(string, py.Value) error) error {
		for i := range r.Len {
			d, err := r.Row(i)
			if err == nil {
				err = yield(strconv.Itoa(i), d)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
}

// Evaluator scores one replica of a dataset. Every row of the input has an
// answer. Predictions and references have the same length; without an output
// column there are no references. Errors that say why nothing can be scored
// are *py.Exception with the class that the original raises, or diagnostics.
type Evaluator interface {
	Evaluate(ctx context.Context, in Input) (Result, error)
}

// Class is an evaluator class that configs can name. New gets the evaluator
// dict of eval_cfg (type included); errors are source diagnostics.
type Class struct {
	New  func(cfg *py.Dict) (Evaluator, error)
	Rows bool // its evaluators read Input.Rows
}

// Classes are the evaluator classes by name.
var Classes = registry.New[Class]("evaluator")
