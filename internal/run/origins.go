package run

import (
	"encoding/json"
	"fmt"

	"sextant/internal/dataset"
)

// WriteOrigins notes in data.json of the run where the data of each dataset
// came from, with the hash of every file. The records name the same data by
// its content hash, which does not depend on the place.
func (c *Coordinator) WriteOrigins() error {
	type entry struct {
		Content string           `json:"content"` // as in the records' inputs
		Rows    int              `json:"rows"`
		Files   []dataset.Origin `json:"files"`
	}
	out := struct {
		V        int              `json:"v"`
		Datasets map[string]entry `json:"datasets"`
	}{1, map[string]entry{}}
	for abbr, f := range c.sets {
		out.Datasets[abbr] = entry{f.content, f.rows, f.origin}
	}
	b, err := json.MarshalIndent(out, "", "  ") // maps are sorted
	if err != nil {
		return fmt.Errorf("encode origins: %w", err)
	}
	return c.Run.WriteFile("data.json", append(b, '\n'))
}
