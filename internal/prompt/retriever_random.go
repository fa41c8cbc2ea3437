package prompt

import (
	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/py/pyrand"
	"sextant/internal/source"
)

func init() {
	Retrievers.Register(RetrieverClass{New: newRandom, Separator: "\n", Eos: "\n", Keys: []string{"ice_separator", "ice_eos_token", "ice_num", "seed"}}, "RandomRetriever")
}

// random shows ice_num rows drawn anew for each row asked, from one stream of
// numbers for the whole test split: which worker asks a row changes nothing.
type random [][]int

func newRandom(cfg *py.Dict, set *dataset.Set) (Retriever, error) {
	num, err := intOption(cfg, "ice_num", 1)
	if err != nil {
		return nil, err
	}
	seed, err := intOption(cfg, "seed", 43)
	if err != nil {
		return nil, err
	}
	n := len(set.Train)
	if num < 0 || num > n {
		return nil, source.Errorf(cfg.PosOf("ice_num"), "ice_num is %d, but the split that examples come from has %s", num, source.Count(n, "row"))
	}
	if seed < 0 || seed > 1<<32-1 {
		return nil, source.Errorf(cfg.PosOf("seed"), "seed must be from 0 to 4294967295, not %d", seed)
	}
	rs := pyrand.NewRandomState(uint32(seed))
	out := make(random, len(set.Test))
	for i := range out {
		out[i] = rs.Choice(n, num, false)
	}
	return out, nil
}

func (r random) Examples(row int) []int { return r[row] }
