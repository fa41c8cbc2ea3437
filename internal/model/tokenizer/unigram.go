package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// unigram takes the segmentation with the best sum of scores.
type unigram struct {
	ids          map[string]int32
	tokens       []string // by id; a token may stand twice
	scores       []float64
	unk          int32 // NoID for none
	unkScore     float64
	byteFallback bool
	fallbackID   [256]int32
	longest      [256]int // by first byte: length of the longest token
}

// unkPenalty is how much worse than the worst token an unknown character is.
const unkPenalty = 10.0

func newUnigram(tokens []string, scores []float64, unk int32, byteFallback bool) (*unigram, error) {
	if int(unk) >= len(tokens) {
		return nil, fmt.Errorf("model Unigram: unk_id %d with %d tokens", unk, len(tokens))
	}
	m := &unigram{ids: make(map[string]int32, len(tokens)), tokens: tokens, scores: scores, unk: unk, byteFallback: byteFallback}
	worst := math.Inf(1)
	for i, s := range tokens {
		m.ids[s] = int32(i)
		worst = min(worst, scores[i])
		if s != "" {
			m.longest[s[0]] = max(m.longest[s[0]], len(s))
		}
	}
	m.unkScore = worst - unkPenalty
	for b := range 256 {
		m.fallbackID[b] = NoID
		if id, ok := m.ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.fallbackID[b] = id
		}
	}
	return m, nil
}

func (m *unigram) segment(dst []int32, s string) ([]int32, error) {
	type node struct {
		from  int
		id    int32
		score float64
	}
	best := make([]node, len(s)+1)
	for i := range best {
		best[i].from = -1
	}
	offer := func(from, to int, id int32, score float64) {
		score += best[from].score
		if n := &best[to]; n.from < 0 || score > n.score {
			*n = node{from, id, score}
		}
	}
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		single := false
		for n := 1; n <= m.longest[s[i]] && i+n <= len(s); n++ {
			if id, ok := m.ids[s[i:i+n]]; ok {
				offer(i, i+n, id, m.scores[id])
				single = single || n == size
			}
		}
		if !single {
			offer(i, i+size, m.unk, m.unkScore)
		}
		i += size
	}
	// back to front; neighbouring unknown characters are one token
	var cuts []int
	for end := len(s); end > 0; {
		n := best[end]
		if !(len(cuts) > 0 && m.unk != NoID && n.id == m.unk && best[cuts[len(cuts)-1]].id == m.unk) {
			cuts = append(cuts, end)
		}
		end = n.from
	}
	slices.Reverse(cuts)
	start := 0
	for _, end := range cuts {
		tok := s[start:end]
		start = end
		if id, ok := m.ids[tok]; ok {
			dst = append(dst, id)
			continue
		}
		if m.byteFallback {
			n := len(dst)
			for i := 0; i < len(tok); i++ {
				if m.fallbackID[tok[i]] == NoID {
					dst = dst[:n]
					break
				}
				dst = append(dst, m.fallbackID[tok[i]])
			}
			if len(dst) > n {
				continue
			}
		}
		if m.unk == NoID {
			return nil, fmt.Errorf("no token for %q, and the vocabulary has no unknown token", tok)
		}
		dst = append(dst, m.unk)
	}
	return dst, nil
}
