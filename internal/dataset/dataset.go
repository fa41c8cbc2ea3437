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
)

// Row is one row of a table; keys are column names.
type Row = *py.Dict

// Table is a list of rows with the same columns.
type Table []Row

// Data is what a loader returns: one table, or one for each named split in
// file order.
type Data struct {
	Table  Table            // used when Splits is nil
	Splits map[string]Table // by split name
	Order  []string         // split names in order
	Origin []Origin         // where it came from
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
	// name "" reads path itself.
	ReadFile(ctx context.Context, path, name string) ([]byte, error)
	// Exists reports whether the file can be had without a download.
	Exists(ctx context.Context, path, name string) bool
	// Origins lists what was read so far, in order of first reading.
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
	Abbr    string
	Train   Table
	Test    Table
	Input   []string // input_columns
	Output  string   // output_column, "" for none
	N       int      // replicas, at least 1
	K       []int
	Origin  []Origin
	Content string // hash over the origins and the reader's settings: the dataset's content version
}
