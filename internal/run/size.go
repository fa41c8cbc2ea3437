package run

import (
	"context"
	"fmt"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/spec"
)

// SizeError says that a partitioner asked for the size of a dataset that
// cannot be read.
type SizeError struct {
	Dataset string
	Err     error
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("size of dataset %s is not known: %v", e.Dataset, e.Err)
}
func (e *SizeError) Unwrap() error { return e.Err }

// size is the number of test rows of a dataset as loaded. A dataset that was
// not prepared is read now.
func (c *Coordinator) size(ds *py.Dict) (int, error) {
	if c.AnySize {
		return 1, nil
	}
	abbr := spec.DatasetAbbr(ds)
	f := c.sets[abbr]
	if f == nil {
		f = &facts{}
		set, err := dataset.Read(context.Background(), ds, c.Source)
		if err != nil {
			f.err = err
		} else {
			f.base = set.Base()
		}
		if c.sets == nil {
			c.sets = map[string]*facts{}
		}
		c.sets[abbr] = f
	}
	if f.err != nil {
		return 0, &SizeError{Dataset: abbr, Err: f.err}
	}
	return f.base, nil
}
