package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sextant/internal/dataset"
	"sextant/internal/store"
)

// originsFile notes, in the run's folder, where the data of each dataset came
// from, with the hash of every file. The records name the same data by its
// content hash, which does not depend on the place.
const originsFile = "data.json"

type origins struct {
	V        int               `json:"v"`
	Datasets map[string]origin `json:"datasets"`
}

type origin struct {
	Content string           `json:"content"` // as in the records' inputs
	Rows    int              `json:"rows"`
	Files   []dataset.Origin `json:"files"`
}

// WriteOrigins writes data.json of the run.
func (c *Coordinator) WriteOrigins() error {
	out := origins{1, map[string]origin{}}
	for abbr, f := range c.sets {
		out.Datasets[abbr] = origin{f.content, f.rows, f.origin}
	}
	b, err := json.MarshalIndent(out, "", "  ") // maps are sorted
	if err != nil {
		return fmt.Errorf("encode origins: %w", err)
	}
	return c.Run.WriteFile(originsFile, append(b, '\n'))
}

// TakeRecorded lets Prepare do without data that is not there any more: what
// r recorded of it counts. Enough for tables and report, which are made from
// records; nothing can be asked or scored with it.
func (c *Coordinator) TakeRecorded(r *store.Run) error {
	c.showOnly = true
	b, err := os.ReadFile(r.Path(originsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a run of OpenCompass
	} else if err != nil {
		return fmt.Errorf("read origins: %w", err)
	}
	var o origins
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("read %s: %w", r.Path(originsFile), err)
	}
	c.recorded = o.Datasets
	return nil
}
