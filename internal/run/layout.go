package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"sextant/internal/partition"
	"sextant/internal/registry"
)

// layoutFile remembers, in the run's folder, where the parts of each dataset
// began when the run was first planned.
//
// OpenCompass's HuggingFaceBaseModel pads the texts of a batch and counts a
// term for the padding, so its perplexities depend on which rows stand in one
// batch, and batches are counted from the start of a part. To get its numbers,
// the cut belongs to the question; so that cutting a run differently when it
// is resumed changes no score, the first cut is kept.
const layoutFile = "state/layout.json"

type layout struct {
	V    int              `json:"v"`
	Cuts map[string][]int `json:"cuts"`
}

// layOut fills c.cuts: from the run's folder, or from what the partitioner
// gives. Only SizePartitioner's cut counts: it follows from the config alone,
// while that of NumWorkerPartitioner follows the number of workers, which is
// to change no score.
func (c *Coordinator) layOut() error {
	if c.cuts != nil {
		return nil
	}
	c.cuts = map[string][]int{}
	if c.Run != nil {
		b, err := os.ReadFile(c.Run.Path(layoutFile))
		if err == nil {
			var l layout
			if err := json.Unmarshal(b, &l); err != nil {
				return fmt.Errorf("read %s: %w", c.Run.Path(layoutFile), err)
			}
			for d, cuts := range l.Cuts {
				c.cuts[d] = cuts
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read layout: %w", err)
		}
	}
	if registry.Base(c.Exp.Infer.Partitioner.Str("type")) == "SizePartitioner" {
		tasks, err := c.cut(c.Exp.Infer, func(string, partition.Part) bool { return false })
		if err != nil {
			return err
		}
		fresh := map[string]map[int]bool{}
		for _, t := range tasks {
			for _, p := range t.Parts {
				d := p.WholeAbbr()
				if fresh[d] == nil {
					fresh[d] = map[int]bool{}
				}
				if p.Start > 0 {
					fresh[d][p.Start] = true
				}
			}
		}
		for d, starts := range fresh {
			if _, ok := c.cuts[d]; ok {
				continue
			}
			cuts := []int{}
			for s := range starts {
				cuts = append(cuts, s)
			}
			sort.Ints(cuts)
			c.cuts[d] = cuts
		}
	}
	for _, d := range c.Exp.Datasets {
		if _, ok := c.cuts[d.Abbr]; !ok {
			c.cuts[d.Abbr] = []int{}
		}
	}
	if c.Run == nil || c.ReadOnly {
		return nil
	}
	b, err := json.Marshal(layout{V: 1, Cuts: c.cuts})
	if err != nil {
		return fmt.Errorf("encode layout: %w", err)
	}
	return c.Run.WriteFile(layoutFile, append(b, '\n'))
}
