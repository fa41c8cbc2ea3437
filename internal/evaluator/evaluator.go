// Package evaluator judges predictions: one file per evaluator class.
//
// An evaluator gets all predictions of a dataset with their references and
// returns metrics as OpenCompass names them, with details per row, and counts
// of what could not be scored. A row without a usable prediction is a state,
// never a silent zero: see Counts.
package evaluator

import (
	"context"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
)

// Input is what a dataset's evaluation works on. All slices have one element
// per row, in row order.
type Input struct {
	Predictions []py.Value // after the postprocessors: text, label, list …
	References  []py.Value // output column; nil slice without one
	Rows        dataset.Table
	Prompts     []py.Value            // origin_prompt of each record; nil where records have none: Run gives evaluators None for each row
	Columns     map[string][]py.Value // every member of the prediction records
	Keys        []string              // names of Columns, in the order of the records' members
	OutPath     string                // results path without extension
	// Failed[i], when not empty, says why the model gave no answer to row i;
	// its prediction is nil. May be nil: none failed.
	Failed []string
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
// OpenCompass, or nil.
type Result struct {
	Metrics *py.Dict
	Details py.Value
	// Correct has one element for each row that was judged, in row order, where
	// the evaluator judges rows one by one: it gives the confidence interval.
	// nil otherwise.
	Correct []bool
	Counts  Counts
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
	New func(cfg *py.Dict) (Evaluator, error)
}

// Classes are the evaluator classes by name.
var Classes = registry.New[Class]("evaluator")
