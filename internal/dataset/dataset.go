// Package dataset turns benchmark files into rows: loaders for each dataset
// class (one file per family), the reader that selects splits and ranges, and
// the identity of what was read.
//
// A Row is a *py.Dict: columns in order, because templates substitute fields
// in column order. Where files come from is the business of dataset/source.
package dataset

import (
	"context"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Row is one row of a table; keys are column names.
type Row = *py.Dict

// Table is a list of rows with the same columns.
type Table []Row

// Data is what a loader returns: one table, or one for each named split in
// file order. Read adds columns to the rows: tables must not share any.
type Data struct {
	Table  Table            // used when Splits is nil
	Splits map[string]Table // by split name
	Order  []string         // split names in order, Splits' and Lazy's
	// Lazy holds splits that are only read when the reader needs them: a
	// zero-shot run does without the training split. Called at most once.
	Lazy   map[string]func() (Table, error)
	Origin []Origin // set by Read: where it came from
}

// Origin says where one file of a dataset came from and what it was.
type Origin struct {
	Name   string `json:"name"`   // path below the dataset's root
	From   string `json:"from"`   // "path", "cache", "embedded", "download"
	Path   string `json:"path"`   // where it was found
	SHA256 string `json:"sha256"` // of the bytes
}

// Loader reads a dataset. args is the dataset's config without the keys that
// the reader consumes (abbr, reader_cfg, infer_cfg, eval_cfg, n, k, type).
type Loader func(ctx context.Context, args *py.Dict, src Source) (Data, error)

// Source finds and opens the files that configs name, and remembers each as
// an Origin. Implemented by dataset/source.
type Source interface {
	// ReadFile returns the content of name below the data root that path
	// names (path as the config has it: "./data/siqa", "opencompass/siqa");
	// name "" reads path itself. Nobody writes to the bytes afterwards.
	ReadFile(ctx context.Context, path, name string) ([]byte, error)
	// Exists reports whether the file can be had without a download.
	Exists(ctx context.Context, path, name string) bool
	// Origins lists what was read so far, in order of first reading, each
	// file once.
	Origins() []Origin
}

// Class is a dataset class that configs can name.
type Class struct {
	Load Loader
	// Columns lists the columns that rows have, when known before loading;
	// nil when they depend on the data.
	Columns []string
}

// Classes are the dataset classes by name.
var Classes = registry.New[Class]("dataset")

// Set is a dataset after the reader: the rows few-shot examples come from and
// the rows that are asked.
type Set struct {
	Abbr string
	// Train is nil when it was not needed (a ZeroRetriever) and its file was
	// not read.
	Train  Table
	Test   Table
	Input  []string // input_columns
	Output string   // output_column, "" for none
	N      int      // replicas, at least 1
	K      []int
	Origin []Origin
	// Content is the dataset's content version: a hash over the bytes read,
	// the class with its arguments and the reader's columns and splits. It does
	// not depend on where the files were found, on test_range, on n or on how
	// the test rows are cut into parts.
	Content string
	// Warnings are slips in the config that change no score, such as an input
	// column that the data does not have and no template uses.
	Warnings []*source.Diagnostic

	rows []int // for each row of Test its place in the split before test_range, replica after replica
	base int   // rows of the split before test_range, one replica
}

// Row names test row i independently of test_range and of parts: row is its
// number in the test split as loaded, repeat the replica (0 ≤ repeat < N).
func (s *Set) Row(i int) (row, repeat int) {
	if s.base == 0 { // a set made by hand
		n := max(1, len(s.Test)/max(1, s.N))
		return i % n, i / n
	}
	return s.rows[i] % s.base, s.rows[i] / s.base
}

// Base is the number of rows of the test split as loaded, one replica and
// before test_range.
func (s *Set) Base() int { return s.base }

// Slice is the set with only the test rows start ≤ i < end; end < 0 means to
// the last. Both are clamped to what is there. Rows keep their Row.
func (s *Set) Slice(start, end int) *Set {
	if end < 0 || end > len(s.Test) {
		end = len(s.Test)
	}
	start = min(max(start, 0), end)
	c := *s
	c.Test = s.Test[start:end:end]
	if s.rows != nil {
		c.rows = s.rows[start:end:end]
	}
	return &c
}
