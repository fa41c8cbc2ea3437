package infer

import (
	"sextant/internal/model"
	"sextant/internal/py"
)

// batchWidths knows, for classes whose perplexity depends on it, how wide the
// batch of a row is for each label: the most tokens of the texts that
// OpenCompass scores in one call. It is used from one goroutine.
type batchWidths struct {
	s      *setup
	labels []py.Value
	from   int   // first row of the batch that widths is for
	widths []int // by label; nil before the first batch
}

// newBatchWidths returns nil where the batch makes no difference.
func newBatchWidths(s *setup, labels []py.Value) *batchWidths {
	if s.Class.Scoring != model.ScoreHFBase || s.Batch == nil {
		return nil
	}
	if _, ok := s.Model.(model.Tokenizer); !ok {
		return nil
	}
	return &batchWidths{s: s, labels: labels, from: -1}
}

// of returns the width for each label, nil where it makes no difference.
func (b *batchWidths) of(row int) ([]int, error) {
	if b == nil {
		return nil, nil
	}
	from, to := b.s.Batch(row)
	if to-from <= 1 {
		return make([]int, len(b.labels)), nil
	}
	if b.widths != nil && b.from == from {
		return b.widths, nil
	}
	w := make([]int, len(b.labels))
	for r := from; r < to; r++ {
		p, err := b.s.renderLabels(r, b.labels)
		if err != nil {
			return nil, err
		}
		for k, text := range p.texts {
			n, err := b.s.countText(text)
			if err != nil {
				return nil, err
			}
			if b.s.maxSeq > 0 {
				n = min(n, b.s.maxSeq)
			}
			w[k] = max(w[k], n)
		}
	}
	b.from, b.widths = from, w
	return w, nil
}
