// Package infer drives the prompts of a dataset through a model: one file per
// inferencer class (GenInferencer, PPLInferencer, …).
//
// An inferencer renders each row, asks the sink whether that very question
// was answered before, asks the model in an order that helps it, and puts one
// record per row into the sink as soon as it is complete. The order of records
// is the order of completion; readers go by index.
package infer

import (
	"context"
	"errors"
	"log/slog"

	"sextant/internal/dataset"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
)

// State of one answered row.
type State string

// The states.
const (
	OK     State = "ok"
	Failed State = "failed" // the model refused this sample for good; Error says why
)

// Record is the outcome for one row.
type Record struct {
	Index int    // row number in the whole (unsplit) test set
	ID    string // identity, see ID
	State State
	Error string   // for Failed: what the model said
	Cut   Cut      // what of the question or of the answer is not whole
	Data  *py.Dict // the OpenCompass-shaped record; for Failed the prompt without prediction
}

// Cut says what of a row was shortened. Such a row is answered and scored as
// in OpenCompass, and counted.
type Cut uint8

// What can be shortened.
const (
	CutAnswer   Cut = 1 << iota // the answer ended at the most tokens allowed, not by itself
	CutPrompt                   // the prompt was longer than max_seq_len or the model's context
	CutExamples                 // in-context examples were left out so that the prompt fits
)

// Cuts counts rows by what was cut.
type Cuts struct {
	Answers  int `json:"answers,omitempty"`
	Prompts  int `json:"prompts,omitempty"`
	Examples int `json:"examples,omitempty"`
}

// Add counts a row.
func (n *Cuts) Add(c Cut) {
	if c&CutAnswer != 0 {
		n.Answers++
	}
	if c&CutPrompt != 0 {
		n.Prompts++
	}
	if c&CutExamples != 0 {
		n.Examples++
	}
}

// Sink takes records and knows earlier ones. Safe for concurrent use.
type Sink interface {
	// Have reports whether the row with this identity has a record already.
	Have(index int, id string) bool
	// Put stores a record durably before it returns.
	Put(ctx context.Context, r Record) error
}

// Job is one dataset (or a part of it) to run on one model.
type Job struct {
	Model    model.Model
	Class    model.Class
	ModelCfg *py.Dict // the whole model dict of the config
	Identity model.Identity

	Set      *dataset.Set
	Rows     []int    // rows of Set.Test to ask, as row numbers of Set.Test
	Index    []int    // Index[i] is the number of Rows[i] in the whole test set
	InferCfg *py.Dict // infer_cfg of the dataset

	// Batch says which rows [from, to) of Set.Test OpenCompass would hand to
	// the model in one call with row, for the classes that it matters to (see
	// InBatches); nil means each row alone.
	Batch func(row int) (from, to int)

	Sink Sink
	Log  *slog.Logger // may be nil

	// Drain, when not nil, is closed to have no more rows begun: what is in
	// flight is settled and recorded, and Run returns ErrDrained.
	Drain <-chan struct{}
	// DumpResLength adds token counts to generation records (--dump-res-length).
	DumpResLength bool
	// Message, when not nil, gets each row's prompt and gold instead of the
	// model, and no record is made (dump_only_message_path). Called from one
	// goroutine, in row order.
	Message func(index int, message, gold py.Value) error
}

// ErrDrained is what Run returns when Job.Drain stopped it early.
var ErrDrained = errors.New("stopped before all rows were asked")

// Inferencer runs jobs.
type Inferencer interface {
	// Run asks every row that the sink does not have. It returns the first
	// error that is not one sample's own.
	Run(ctx context.Context, job *Job) error
}

// Class is an inferencer class that configs can name.
type Class struct {
	// New makes an inferencer from infer_cfg.inferencer; errors are source
	// diagnostics.
	New func(cfg *py.Dict) (Inferencer, error)
	// NeedsScore says that the model must be a model.Scorer.
	NeedsScore bool
	// Mode is how the summary names it: "gen", "ppl", "ll", "unknown".
	Mode string
}

// Classes are the inferencer classes by name.
var Classes = registry.New[Class]("inferencer")
