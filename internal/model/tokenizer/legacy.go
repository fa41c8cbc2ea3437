package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// legacyClasses are the tokenizer classes whose vocab.json and merges.txt mean
// GPT-2's byte-level BPE and nothing else.
var legacyClasses = map[string]bool{"": true, "GPT2Tokenizer": true}

// fromLegacy reads vocab.json and merges.txt as transformers converts them.
func (t *Tokenizer) fromLegacy(data map[string][]byte, set *settings) error {
	if !legacyClasses[strings.TrimSuffix(set.Class, "Fast")] {
		return fmt.Errorf("tokenizer_config.json: vocab.json with merges.txt is not supported for the class %q; save the tokenizer as tokenizer.json", set.Class)
	}
	vocab, err := parseVocab(data["vocab.json"])
	if err != nil {
		return fmt.Errorf("vocab.json: %w", err)
	}
	merges, err := parseMergesText(string(data["merges.txt"]))
	if err != nil {
		return err
	}
	m := &bpe{vocab: vocab, unk: NoID}
	if err := newBPE(m, merges); err != nil {
		return fmt.Errorf("merges.txt: %w", err)
	}
	t.model, t.toID = m, vocab
	t.useScanner(preTok{scan: scanGPT2, prefix: set.AddPrefixSpace != nil && *set.AddPrefixSpace})
	t.decode = byteLevelDecoder{}

	const end = "<|endoftext|>" // the class's own setting
	for _, r := range []**tokenSpec{&set.UNK, &set.BOS, &set.EOS} {
		if *r == nil {
			*r = &tokenSpec{addedToken: addedToken{Content: end}, plain: true}
		}
	}
	var extra map[string]int32
	if b := data["added_tokens.json"]; b != nil {
		if err := json.Unmarshal(b, &extra); err != nil {
			return fmt.Errorf("added_tokens.json: %w", err)
		}
	}
	for s, id := range extra {
		if err := t.addToken(&addedToken{ID: id, Content: s, Normalized: true}); err != nil {
			return fmt.Errorf("added_tokens.json: %w", err)
		}
	}
	if err := t.addSettings(set); err != nil {
		return fmt.Errorf("tokenizer_config.json: %w", err)
	}
	t.index(set)
	if set.AddBOS != nil && *set.AddBOS {
		if t.special.BOS == NoID {
			return fmt.Errorf("tokenizer_config.json: add_bos_token is set, but there is no bos_token")
		}
		t.before = []int32{t.special.BOS}
	}
	return nil
}

// parseMergesText reads merges.txt: a first line that does not count, then two
// tokens a line. What stands behind the last line end does not count either,
// as in the original.
func parseMergesText(s string) ([][2]string, error) {
	lines := strings.Split(s, "\n")
	if len(lines) < 2 {
		return nil, fmt.Errorf("merges.txt: no merges")
	}
	out := make([][2]string, 0, len(lines))
	for i, l := range lines[1 : len(lines)-1] {
		f := strings.Fields(l)
		if len(f) == 0 {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("merges.txt:%d: %d tokens, not two", i+2, len(f))
		}
		out = append(out, [2]string{f[0], f[1]})
	}
	return out, nil
}
