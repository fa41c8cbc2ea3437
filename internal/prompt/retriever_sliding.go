package prompt

import (
	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Retrievers.Register(RetrieverClass{New: newSliding, Separator: "\n", Eos: "\n", Keys: []string{"k", "ice_separator", "ice_eos_token", "ice_num"}}, "SlidingWindowRetriever")
}

// sliding shows the k rows before the row asked, wrapping around at the start.
type sliding struct{ k, n int }

func newSliding(cfg *py.Dict, set *dataset.Set) (Retriever, error) {
	if !cfg.Has("k") {
		return nil, source.Errorf(cfg.At, "SlidingWindowRetriever needs k, the number of examples")
	}
	k, err := intOption(cfg, "k", 0)
	if err != nil {
		return nil, err
	}
	n := len(set.Train)
	if k < 0 || k > n || len(set.Test) > n {
		return nil, source.Errorf(cfg.PosOf("k"), "SlidingWindowRetriever with k=%d needs a split of examples of at least that many rows and as many as are asked (%d), but it has %d", k, len(set.Test), n)
	}
	return sliding{k, n}, nil
}

func (s sliding) Examples(row int) []int {
	out := make([]int, 0, s.k)
	for i := row - s.k; i < row; i++ {
		if i < 0 {
			out = append(out, s.n+i)
		} else {
			out = append(out, i)
		}
	}
	return out
}
