package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// wordPiece takes the longest token each time; a word that cannot be cut so is
// unknown as a whole.
type wordPiece struct {
	vocab    map[string]int32
	unk      string
	prefix   string // of tokens that do not begin a word
	maxChars int
}

func (m *wordPiece) segment(dst []int32, word string) ([]int32, error) {
	n := len(dst)
	if utf8.RuneCountInString(word) > m.maxChars {
		return m.unknown(dst)
	}
	for i := 0; i < len(word); {
		j := len(word)
		for ; j > i; j-- {
			if j < len(word) && !utf8.RuneStart(word[j]) {
				continue
			}
			sub := word[i:j]
			if i > 0 {
				sub = m.prefix + sub
			}
			if id, ok := m.vocab[sub]; ok {
				dst = append(dst, id)
				break
			}
		}
		if j == i {
			return m.unknown(dst[:n])
		}
		i = j
	}
	return dst, nil
}

func (m *wordPiece) unknown(dst []int32) ([]int32, error) {
	id, ok := m.vocab[m.unk]
	if !ok {
		return nil, fmt.Errorf("the unknown token %q is not in the vocabulary", m.unk)
	}
	return append(dst, id), nil
}

// wordLevel has a token for each word.
type wordLevel struct {
	vocab map[string]int32
	unk   string
}

func (m *wordLevel) segment(dst []int32, word string) ([]int32, error) {
	if id, ok := m.vocab[word]; ok {
		return append(dst, id), nil
	}
	id, ok := m.vocab[m.unk]
	if !ok {
		return nil, fmt.Errorf("no token for %q, and the vocabulary has no unknown token", word)
	}
	return append(dst, id), nil
}
