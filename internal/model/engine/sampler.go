package engine

import (
	"math"
	"math/rand/v2"
	"slices"
)

// sampling says how the next token is chosen, in transformers' terms.
type sampling struct {
	sample      bool    // false: the most probable token
	temperature float64 // > 0
	topK        int     // 0: all
	topP        float64 // 1: all
	penalty     float64 // repetition_penalty, 1: none
}

// sampler chooses tokens for one sequence.
type sampler struct {
	sampling
	ban  []int32 // not to be chosen now
	rand *rand.Rand

	order []int32
	prob  []float64
}

func newSampler(s sampling, seed uint64) *sampler {
	return &sampler{sampling: s, rand: rand.New(rand.NewPCG(seed, 0x5e47a4))}
}

// next chooses a token after ids. It changes logits. Of equal ones the lowest
// id wins.
func (s *sampler) next(logits []float32, ids []int32) int32 {
	if s.penalty != 1 && s.penalty > 0 {
		seen := slices.Clone(ids)
		slices.Sort(seen)
		for _, id := range slices.Compact(seen) {
			if logits[id] > 0 {
				logits[id] /= float32(s.penalty)
			} else {
				logits[id] *= float32(s.penalty)
			}
		}
	}
	for _, id := range s.ban {
		if int(id) < len(logits) && id >= 0 {
			logits[id] = float32(math.Inf(-1))
		}
	}
	if !s.sample {
		best := 0
		for i, v := range logits {
			if v > logits[best] {
				best = i
			}
		}
		return int32(best)
	}
	s.order = s.order[:0]
	for i := range logits {
		s.order = append(s.order, int32(i))
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		switch x, y := logits[a], logits[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(a - b)
	})
	order := s.order
	if s.topK > 0 && s.topK < len(order) {
		order = order[:s.topK]
	}
	s.prob = s.prob[:0]
	top, sum := float64(logits[order[0]]), 0.0
	for _, id := range order {
		p := math.Exp((float64(logits[id]) - top) / s.temperature)
		s.prob = append(s.prob, p)
		sum += p
	}
	if s.topP < 1 { // the fewest that together reach topP
		acc := 0.0
		for i, p := range s.prob {
			acc += p
			if acc >= s.topP*sum {
				order, sum = order[:i+1], acc
				break
			}
		}
	}
	x := s.rand.Float64() * sum
	for i, id := range order {
		if x -= s.prob[i]; x < 0 {
			return id
		}
	}
	return order[len(order)-1]
}
