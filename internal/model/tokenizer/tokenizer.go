// Package tokenizer turns text into token ids and back, exactly as the
// tokenizers that Hugging Face model folders describe.
//
// Load reads tokenizer.json, or vocab.json with merges.txt, together with the
// settings beside them. A Tokenizer is the chain that such a file describes:
//
//	text → added tokens → Normalizer → PreTokenizer → Model (BPE, Unigram,
//	WordPiece, WordLevel) → PostProcessor → ids → Decoder → text
//
// Each part that the format knows but this package does not is refused by name
// when the folder is loaded: a tokenizer that is nearly right would make every
// score silently wrong.
//
// The hot path (byte-level BPE after GPT-2's, Llama 3's or Qwen2's splitting
// rule) uses hand-written scanners and a bounded cache of merged words; other
// splitting rules run in regexp2, which has the look-ahead they need.
//
// Not here: chat templates, padding, truncation, offsets into the text,
// training, SentencePiece's own tokenizer.model.
//
// The order of steps and the file format are those of the tokenizers and
// transformers projects, whose output is stored as reference data.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// NoID is the id of a special token that a tokenizer does not have.
const NoID int32 = -1

// Special are the ids of tokens with a role; NoID where there is none.
type Special struct {
	BOS, EOS, PAD, UNK, SEP, CLS, MASK int32
}

// Tokenizer encodes and decodes. It is immutable after Load and safe for
// concurrent use.
type Tokenizer struct {
	special    Special
	normalize  normalizer // nil for none
	pre        preTokenizer
	fast       splitFunc // set when pre is one known scanner before ByteLevel
	fastPrefix bool      // with a space put in front of each text that has none
	model      segmenter
	before     []int32 // what the post-processor puts around a single text
	after      []int32
	decode     decoder
	cleanUp    bool // clean_up_tokenization_spaces

	raw, normed *matcher // added tokens sought before and after normalizing
	added       map[string]*addedToken
	addedByID   map[int32]*addedToken

	toID   map[string]int32 // the model's vocabulary
	tokens []string         // by id: added tokens over the model's; "" where none
	known  []bool           // which ids of tokens exist
	isSpec []bool           // special: left out when skipping

	hash string
}

// Special returns the ids of tokens with a role.
func (t *Tokenizer) Special() Special { return t.special }

// BOS is the id of the beginning-of-text token, or NoID.
func (t *Tokenizer) BOS() int32 { return t.special.BOS }

// EOS is the id of the end-of-text token, or NoID.
func (t *Tokenizer) EOS() int32 { return t.special.EOS }

// PAD is the id of the padding token, or NoID.
func (t *Tokenizer) PAD() int32 { return t.special.PAD }

// UNK is the id of the unknown token, or NoID.
func (t *Tokenizer) UNK() int32 { return t.special.UNK }

// VocabSize is the largest id plus one, added tokens included: the number of
// rows that an embedding must have at least.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Hash identifies the tokenizer by the content of the files it was read from
// (hex SHA-256).
func (t *Tokenizer) Hash() string { return t.hash }

// ID returns the id of a token by its spelling in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if a := t.added[token]; a != nil {
		return a.ID, true
	}
	id, ok := t.toID[token]
	return id, ok
}

// Token returns the spelling of id in the vocabulary ("Ġthe", not " the").
func (t *Tokenizer) Token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(t.tokens) || !t.known[id] {
		return "", false
	}
	return t.tokens[id], true
}

// IsSpecial reports whether decoding with skipSpecial leaves id out.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.isSpec) && t.isSpec[id]
}

// Encode returns the ids of text, with the tokens that the tokenizer puts
// around a text (BOS and such) when addSpecial is set. Special tokens spelled
// out in text are recognised either way. Bytes that are not UTF-8 count as
// U+FFFD. The error says that the text has a character for which the
// vocabulary has neither a token nor an unknown token.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int32, error) {
	out := make([]int32, 0, len(text)/3+4)
	return t.AppendEncode(out, text, addSpecial)
}

// AppendEncode is Encode that appends to dst.
func (t *Tokenizer) AppendEncode(dst []int32, text string, addSpecial bool) ([]int32, error) {
	if !utf8.ValidString(text) {
		text = lossyUTF8([]byte(text))
	}
	if addSpecial {
		dst = append(dst, t.before...)
	}
	var err error
	t.raw.split(text, func(part string, tok *addedToken, start int) bool {
		if tok != nil {
			dst = append(dst, tok.ID)
			return true
		}
		dst, err = t.encodePart(dst, part, start == 0)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	if addSpecial {
		dst = append(dst, t.after...)
	}
	return dst, nil
}

// encodePart encodes text that holds no added token of the first kind; first
// says that it begins where the whole text does.
func (t *Tokenizer) encodePart(dst []int32, text string, first bool) ([]int32, error) {
	if t.normalize != nil {
		text = t.normalize(text)
	}
	if t.normed == nil {
		return t.encodePlain(dst, text, first)
	}
	var err error
	t.normed.split(text, func(part string, tok *addedToken, start int) bool {
		if tok != nil {
			dst = append(dst, tok.ID)
			return true
		}
		dst, err = t.encodePlain(dst, part, first && start == 0)
		return err == nil
	})
	return dst, err
}

func (t *Tokenizer) encodePlain(dst []int32, text string, first bool) ([]int32, error) {
	if text == "" {
		return dst, nil
	}
	if t.fast != nil {
		if t.fastPrefix && text[0] != ' ' {
			text = " " + text
		}
		var err error
		for i := 0; i < len(text); {
			j := t.fast(text, i)
			if dst, err = t.model.segment(dst, text[i:j]); err != nil {
				return nil, err
			}
			i = j
		}
		return dst, nil
	}
	pieces := []piece{{text, first}}
	if t.pre != nil {
		pieces = t.pre(pieces)
	}
	var err error
	for _, p := range pieces {
		if dst, err = t.model.segment(dst, p.text); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// Count is the number of ids that Encode returns.
func (t *Tokenizer) Count(text string, addSpecial bool) (int, error) {
	ids, err := t.Encode(text, addSpecial)
	return len(ids), err
}

// Decode returns the text of ids. Ids that the vocabulary does not have count
// for nothing; skipSpecial leaves special tokens out. Spaces are cleaned up
// when the tokenizer's settings say so.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.decodeRaw(ids, skipSpecial)
	if t.cleanUp {
		s = cleanUpSpaces(s)
	}
	return s
}

func (t *Tokenizer) decodeRaw(ids []int32, skipSpecial bool) string {
	toks := make([]string, 0, len(ids))
	for _, id := range ids {
		if s, ok := t.Token(id); ok && !(skipSpecial && t.isSpec[id]) {
			toks = append(toks, s)
		}
	}
	if t.decode == nil {
		return strings.Join(toks, " ")
	}
	return strings.Join(t.decode.decode(toks), "")
}

// cleanUpPairs are the replacements of clean_up_tokenization_spaces, in order.
var cleanUpPairs = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
	{" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

func cleanUpSpaces(s string) string {
	for _, p := range cleanUpPairs {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

func hashFiles(names []string, data map[string][]byte) string {
	h := sha256.New()
	for _, n := range names {
		b, ok := data[n]
		if !ok {
			continue
		}
		sum := sha256.Sum256(b)
		h.Write([]byte(n))
		h.Write([]byte{0})
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
