package infer

import (
	"fmt"

	"sextant/internal/model"
	"sextant/internal/py"
)

// InBatches reports whether what a model of a class answers to a row depends
// on the rows that OpenCompass hands it in the same call: perplexities and
// log-likelihoods of HuggingFaceBaseModel, whose padding on the left is
// counted (spec 6.5), and all that a legacy class with batch_padding does. Any
// other class answers to each row as if it were alone.
func InBatches(class model.Class, cfg *py.Dict, gen bool) bool {
	switch class.Scoring {
	case model.ScoreHFBase:
		return !gen
	case model.ScoreHF:
		return class.Local && cfg != nil && py.Truth(cfg.Get("batch_padding"))
	}
	return false
}

// batchWidths knows, for classes whose numbers depend on it, how wide the
// batch of a row is for each of its texts: the most tokens of the texts that
// OpenCompass scores in one call. It is used from one goroutine.
type batchWidths struct {
	s      *setup
	texts  func(row int) ([]string, error)
	from   int   // first row of the batch that widths is for
	widths []int // by text; nil before the first batch
}

// newBatchWidths returns nil where the batch makes no difference. texts are
// those that are scored for a row, as many for each row.
func newBatchWidths(s *setup, texts func(row int) ([]string, error)) *batchWidths {
	if s.Batch == nil || !InBatches(s.Class, s.ModelCfg, false) {
		return nil
	}
	if _, ok := s.Model.(model.Tokenizer); !ok {
		return nil
	}
	return &batchWidths{s: s, texts: texts, from: -1}
}

// labelTexts are the prompts of a row with the answer of each label.
func (s *setup) labelTexts(labels []py.Value) func(row int) ([]string, error) {
	return func(row int) ([]string, error) {
		p, err := s.renderLabels(row, labels)
		if err != nil {
			return nil, err
		}
		return p.texts, nil
	}
}

// of returns the width for each text, nil where it makes no difference, and
// adds what it says to what is asked.
func (b *batchWidths) of(row int, asked []string) ([]int, []string, error) {
	if b == nil {
		return nil, asked, nil
	}
	w, err := b.measure(row)
	if err != nil || w == nil {
		return nil, asked, err
	}
	asked = asked[:len(asked):len(asked)]
	for _, n := range w {
		asked = append(asked, fmt.Sprintf("padded to %d", n))
	}
	return w, asked, nil
}

func (b *batchWidths) measure(row int) ([]int, error) {
	from, to := b.s.Batch(row)
	if b.widths != nil && b.from == from {
		return b.widths, nil
	}
	var w []int
	for r := from; r < to; r++ {
		texts, err := b.texts(r)
		if err != nil {
			return nil, err
		}
		if w == nil {
			w = make([]int, len(texts))
		}
		if to-from <= 1 {
			break // alone: not padded
		}
		for k, text := range texts {
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

// width is the k-th of w, 0 for none.
func width(w []int, k int) int {
	if w == nil {
		return 0
	}
	return w[k]
}

// batched reports whether row stands in one call with others and that makes a
// difference to a generated answer.
func (s *setup) batched(row int) bool {
	if s.Batch == nil || !InBatches(s.Class, s.ModelCfg, true) {
		return false
	}
	from, to := s.Batch(row)
	return to-from > 1
}
