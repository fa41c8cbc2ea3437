package prompt

import (
	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Retrievers.Register(RetrieverClass{New: newFixK, Separator: "\n", Eos: "\n", Keys: []string{"fix_id_list", "ice_separator", "ice_eos_token", "ice_num"}}, "FixKRetriever")
}

// fixK shows the same rows, fix_id_list, for every question.
type fixK []int

func newFixK(cfg *py.Dict, set *dataset.Set) (Retriever, error) {
	ids, err := intList(cfg, "fix_id_list")
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if id >= len(set.Train) || id < -len(set.Train) {
			return nil, source.Errorf(cfg.PosOf("fix_id_list"), "fix_id_list names row %d, but the split that examples come from has %s", id, source.Count(len(set.Train), "row"))
		}
	}
	for i, id := range ids {
		if id < 0 {
			ids[i] = id + len(set.Train)
		}
	}
	return fixK(ids), nil
}

func (f fixK) Examples(int) []int { return f }
