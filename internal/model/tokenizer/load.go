package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
)

// Files are the names that Load reads, if they are there.
var Files = []string{
	"tokenizer.json", "vocab.json", "merges.txt",
	"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
}

// NotFoundError says that a folder holds no tokenizer that Load can read.
type NotFoundError struct {
	Want  []string // what was looked for
	Found []string // the names in the folder
	// SentencePiece is set when only a tokenizer.model is there.
	SentencePiece bool
}

func (e *NotFoundError) Error() string {
	found := "the folder is empty"
	if len(e.Found) > 0 {
		found = "found " + strings.Join(e.Found, ", ")
	}
	s := fmt.Sprintf("no tokenizer: looked for %s; %s", strings.Join(e.Want, ", "), found)
	if e.SentencePiece {
		s += "; tokenizer.model (SentencePiece) is not supported, save the tokenizer as tokenizer.json"
	}
	return s
}

// settings are tokenizer_config.json and special_tokens_map.json.
type settings struct {
	Class              string                `json:"tokenizer_class"`
	CleanUp            bool                  `json:"clean_up_tokenization_spaces"`
	AddBOS             *bool                 `json:"add_bos_token"`
	AddEOS             *bool                 `json:"add_eos_token"`
	AddPrefixSpace     *bool                 `json:"add_prefix_space"`
	SplitSpecialTokens bool                  `json:"split_special_tokens"`
	AddedTokens        map[int32]*addedToken `json:"added_tokens_decoder"`

	BOS        *tokenSpec   `json:"bos_token"`
	EOS        *tokenSpec   `json:"eos_token"`
	UNK        *tokenSpec   `json:"unk_token"`
	SEP        *tokenSpec   `json:"sep_token"`
	PAD        *tokenSpec   `json:"pad_token"`
	CLS        *tokenSpec   `json:"cls_token"`
	MASK       *tokenSpec   `json:"mask_token"`
	Additional []*tokenSpec `json:"additional_special_tokens"`
}

// tokenSpec is a token written as a string or as an object with flags.
type tokenSpec struct {
	addedToken
	plain bool // written as a string
}

func (t *tokenSpec) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		t.plain = true
		return json.Unmarshal(b, &t.Content)
	}
	return json.Unmarshal(b, &t.addedToken)
}

// roles lists the special tokens in the order in which transformers adds them.
func (s *settings) roles() []*tokenSpec {
	all := append([]*tokenSpec{s.BOS, s.EOS, s.UNK, s.SEP, s.PAD, s.CLS, s.MASK}, s.Additional...)
	return slices.DeleteFunc(all, func(t *tokenSpec) bool { return t == nil || t.Content == "" })
}

// prefixClasses are the tokenizer classes that set add_prefix_space of their
// pre-tokenizer, to false when their settings do not name it.
var prefixClasses = map[string]bool{
	"GPT2Tokenizer": true, "GPTNeoXTokenizer": true, "CodeGenTokenizer": true, "RobertaTokenizer": true, "BartTokenizer": true,
}

// prefixSpace is what tokenizer_config.json makes of add_prefix_space, nil to
// leave what tokenizer.json has.
func (s *settings) prefixSpace() *bool {
	if s.AddPrefixSpace == nil && prefixClasses[strings.TrimSuffix(s.Class, "Fast")] {
		return new(bool)
	}
	return s.AddPrefixSpace
}

type tokenizerJSON struct {
	AddedTokens   []*addedToken   `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// Load reads the tokenizer of a model folder. A folder without one gives a
// *NotFoundError.
func Load(fsys fs.FS) (*Tokenizer, error) {
	data := map[string][]byte{}
	for _, name := range Files {
		b, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read tokenizer: %w", err)
		}
		data[name] = b
	}
	var set settings
	if b := data["tokenizer_config.json"]; b != nil {
		if err := json.Unmarshal(b, &set); err != nil {
			return nil, fmt.Errorf("tokenizer_config.json: %w", err)
		}
	}
	// the newer form has all flags in added_tokens_decoder and needs no map
	if b := data["special_tokens_map.json"]; b != nil && set.AddedTokens == nil {
		if err := json.Unmarshal(b, &set); err != nil {
			return nil, fmt.Errorf("special_tokens_map.json: %w", err)
		}
	}
	t := &Tokenizer{cleanUp: set.CleanUp}
	var err error
	switch {
	case data["tokenizer.json"] != nil:
		delete(data, "vocab.json")
		delete(data, "merges.txt")
		delete(data, "added_tokens.json")
		if err = t.fromJSON(data["tokenizer.json"], &set); err != nil {
			err = fmt.Errorf("tokenizer.json: %w", err)
		}
	case data["vocab.json"] != nil && data["merges.txt"] != nil:
		err = t.fromLegacy(data, &set)
	default:
		return nil, notFound(fsys)
	}
	if err != nil {
		return nil, err
	}
	t.hash = hashFiles(Files, data)
	return t, nil
}

func notFound(fsys fs.FS) error {
	e := &NotFoundError{Want: []string{"tokenizer.json", "vocab.json with merges.txt"}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return fmt.Errorf("read model folder: %w", err)
	}
	for _, d := range entries {
		e.Found = append(e.Found, path.Base(d.Name()))
		e.SentencePiece = e.SentencePiece || d.Name() == "tokenizer.model"
	}
	return e
}

func (t *Tokenizer) fromJSON(b []byte, set *settings) error {
	var j tokenizerJSON
	err := json.Unmarshal(b, &j)
	if err != nil {
		return err
	}
	if t.normalize, err = parseNormalizer(j.Normalizer); err != nil {
		return err
	}
	pre, err := parsePreTokenizer(j.PreTokenizer, set.prefixSpace())
	if err != nil {
		return err
	}
	if t.model, t.toID, err = parseModel(j.Model); err != nil {
		return err
	}
	t.pre = pre.cut
	t.useScanner(pre)
	if t.decode, err = parseDecoder(j.Decoder); err != nil {
		return err
	}
	added := j.AddedTokens
	slices.SortStableFunc(added, func(a, b *addedToken) int { return int(a.ID) - int(b.ID) })
	for _, a := range added {
		if err := t.addToken(a); err != nil {
			return err
		}
	}
	if err := t.addSettings(set); err != nil {
		return err
	}
	t.index(set)
	if t.before, t.after, err = parsePostProcessor(j.PostProcessor); err != nil {
		return err
	}
	return t.classTemplate(set)
}

// useScanner takes the fast path when the model's pieces are bytes and nothing
// but a known scanner cuts them.
func (t *Tokenizer) useScanner(pre preTok) {
	if m, ok := t.model.(*bpe); ok && pre.scan != nil {
		t.fast, t.fastPrefix, m.spelt = pre.scan, pre.prefix, true
	}
}

// templates are the tokenizer classes that put BOS and EOS around a text as
// their settings say, whatever tokenizer.json has; with the default for BOS.
var templates = map[string]bool{
	"LlamaTokenizer": true, "CodeLlamaTokenizer": true, "GemmaTokenizer": true, "CohereTokenizer": true,
	"GPTNeoXTokenizer": false,
}

func (t *Tokenizer) classTemplate(set *settings) error {
	bos, ok := templates[strings.TrimSuffix(set.Class, "Fast")]
	if !ok {
		return nil
	}
	if set.AddBOS != nil {
		bos = *set.AddBOS
	}
	eos := set.AddEOS != nil && *set.AddEOS
	t.before, t.after = nil, nil
	if bos {
		if t.special.BOS == NoID {
			return fmt.Errorf("add_bos_token is set, but there is no bos_token")
		}
		t.before = []int32{t.special.BOS}
	}
	if eos {
		if t.special.EOS == NoID {
			return fmt.Errorf("add_eos_token is set, but there is no eos_token")
		}
		t.after = []int32{t.special.EOS}
	}
	return nil
}

// maxID bounds ids, so that a broken file does not ask for a table of
// gigabytes. The largest vocabularies have some 300,000 tokens.
const maxID = 1 << 24

// addToken enters a, or gives new flags to the token with its spelling.
func (t *Tokenizer) addToken(a *addedToken) error {
	if a.Content == "" {
		return nil
	}
	if a.ID < 0 || a.ID > maxID {
		return fmt.Errorf("added token %q: id %d is out of range", a.Content, a.ID)
	}
	if t.added == nil {
		t.added = map[string]*addedToken{}
	}
	c := *a
	t.added[a.Content] = &c
	return nil
}

// idFor is the id that a token gets: its own in the vocabulary, or the next.
func (t *Tokenizer) idFor(content string) int32 {
	if a := t.added[content]; a != nil {
		return a.ID
	}
	if id, ok := t.toID[content]; ok {
		return id
	}
	next := int32(len(t.toID))
	for _, a := range t.added {
		next = max(next, a.ID+1)
	}
	return next
}

// addSettings enters the tokens of tokenizer_config.json: those of
// added_tokens_decoder, then the special ones that are not there yet.
func (t *Tokenizer) addSettings(set *settings) error {
	ids := slices.Collect(maps.Keys(set.AddedTokens))
	slices.Sort(ids)
	for _, id := range ids {
		a := *set.AddedTokens[id]
		a.ID = t.idFor(a.Content)
		if err := t.addToken(&a); err != nil {
			return err
		}
	}
	for _, r := range set.roles() {
		a := r.addedToken
		if t.added[a.Content] != nil {
			t.added[a.Content].Special = true
			continue
		}
		a.ID, a.Special = t.idFor(a.Content), true
		if err := t.addToken(&a); err != nil {
			return err
		}
	}
	return nil
}

// index builds the tables by id and the matchers.
func (t *Tokenizer) index(set *settings) {
	n := int32(0)
	uni, _ := t.model.(*unigram)
	if uni != nil {
		n = int32(len(uni.tokens))
	}
	for _, id := range t.toID {
		n = max(n, id+1)
	}
	for _, a := range t.added {
		n = max(n, a.ID+1)
	}
	t.tokens, t.known, t.isSpec = make([]string, n), make([]bool, n), make([]bool, n)
	for s, id := range t.toID {
		if !t.known[id] || s < t.tokens[id] { // of two with one id always the same
			t.tokens[id], t.known[id] = s, true
		}
	}
	if uni != nil {
		for id, s := range uni.tokens {
			t.tokens[id], t.known[id] = s, true
		}
	}
	t.addedByID = make(map[int32]*addedToken, len(t.added))
	raw, normed := map[string]*addedToken{}, map[string]*addedToken{}
	names := slices.Sorted(maps.Keys(t.added))
	sort.SliceStable(names, func(i, j int) bool { return t.added[names[i]].ID < t.added[names[j]].ID })
	for _, s := range names {
		a := t.added[s]
		t.tokens[a.ID], t.known[a.ID] = s, true
		t.isSpec[a.ID] = t.isSpec[a.ID] || a.Special
		t.addedByID[a.ID] = a
		if a.Special && set.SplitSpecialTokens {
			continue
		}
		if a.Normalized && t.normalize != nil {
			if n := t.normalize(s); n != "" {
				normed[n] = a
			}
		} else {
			raw[s] = a
		}
	}
	t.raw, t.normed = newMatcher(raw), newMatcher(normed)

	id := func(s *tokenSpec) int32 {
		if s != nil {
			if id, ok := t.ID(s.Content); ok {
				return id
			}
		}
		return NoID
	}
	t.special = Special{id(set.BOS), id(set.EOS), id(set.PAD), id(set.UNK), id(set.SEP), id(set.CLS), id(set.MASK)}
}

type modelJSON struct {
	Type                    string          `json:"type"`
	Vocab                   json.RawMessage `json:"vocab"`
	Merges                  json.RawMessage `json:"merges"`
	Dropout                 *float64        `json:"dropout"`
	UnkToken                *string         `json:"unk_token"`
	UnkID                   *int32          `json:"unk_id"`
	ContinuingSubwordPrefix *string         `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string         `json:"end_of_word_suffix"`
	FuseUnk                 bool            `json:"fuse_unk"`
	ByteFallback            bool            `json:"byte_fallback"`
	IgnoreMerges            bool            `json:"ignore_merges"`
	MaxInputCharsPerWord    *int            `json:"max_input_chars_per_word"`
}

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func parseModel(raw json.RawMessage) (segmenter, map[string]int32, error) {
	if isNull(raw) {
		return nil, nil, fmt.Errorf("no model")
	}
	var j modelJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, nil, fmt.Errorf("model: %w", err)
	}
	if j.Type == "" { // files of the first versions do not say
		switch {
		case j.Merges != nil:
			j.Type = "BPE"
		case len(j.Vocab) > 0 && j.Vocab[0] == '[':
			j.Type = "Unigram"
		case j.ContinuingSubwordPrefix != nil:
			j.Type = "WordPiece"
		default:
			j.Type = "WordLevel"
		}
	}
	if j.Type == "Unigram" {
		return parseUnigram(&j)
	}
	vocab, err := parseVocab(j.Vocab)
	if err != nil {
		return nil, nil, fmt.Errorf("model %s: %w", j.Type, err)
	}
	switch j.Type {
	case "BPE":
		if j.Dropout != nil && *j.Dropout != 0 {
			return nil, nil, fmt.Errorf("model BPE: dropout %g would make ids random", *j.Dropout)
		}
		merges, err := parseMerges(j.Merges)
		if err != nil {
			return nil, nil, err
		}
		m := &bpe{
			vocab: vocab, unk: NoID, fuseUnk: j.FuseUnk, byteFallback: j.ByteFallback, ignoreMerges: j.IgnoreMerges,
			prefix: str(j.ContinuingSubwordPrefix), suffix: str(j.EndOfWordSuffix),
		}
		if j.UnkToken != nil {
			id, ok := vocab[*j.UnkToken]
			if !ok {
				return nil, nil, fmt.Errorf("model BPE: the unknown token %q is not in the vocabulary", *j.UnkToken)
			}
			m.unk = id
		}
		if err := newBPE(m, merges); err != nil {
			return nil, nil, fmt.Errorf("model BPE: %w", err)
		}
		return m, vocab, nil
	case "WordPiece":
		m := &wordPiece{vocab: vocab, unk: "[UNK]", prefix: "##", maxChars: 100}
		if j.UnkToken != nil {
			m.unk = *j.UnkToken
		}
		if j.ContinuingSubwordPrefix != nil {
			m.prefix = *j.ContinuingSubwordPrefix
		}
		if j.MaxInputCharsPerWord != nil {
			m.maxChars = *j.MaxInputCharsPerWord
		}
		return m, vocab, nil
	case "WordLevel":
		return &wordLevel{vocab: vocab, unk: str(j.UnkToken)}, vocab, nil
	}
	return nil, nil, fmt.Errorf("model %q is not supported", j.Type)
}

func parseVocab(raw json.RawMessage) (map[string]int32, error) {
	var vocab map[string]int32
	if err := json.Unmarshal(raw, &vocab); err != nil {
		return nil, fmt.Errorf("vocabulary: %w", err)
	}
	for s, id := range vocab {
		if id < 0 || id > maxID {
			return nil, fmt.Errorf("vocabulary: token %q has the id %d", s, id)
		}
	}
	return vocab, nil
}

// parseMerges reads both forms, ["a b", …] and [["a","b"], …].
func parseMerges(raw json.RawMessage) ([][2]string, error) {
	if isNull(raw) {
		return nil, nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err == nil {
		out := make([][2]string, len(lines))
		for i, s := range lines {
			a, b, ok := strings.Cut(s, " ")
			if !ok || strings.Contains(b, " ") {
				return nil, fmt.Errorf("model BPE: merge %d (%q) is not two tokens", i, s)
			}
			out[i] = [2]string{a, b}
		}
		return out, nil
	}
	var pairs [][]string
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, fmt.Errorf("model BPE: merges: %w", err)
	}
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return nil, fmt.Errorf("model BPE: merge %d has %d tokens, not two", i, len(p))
		}
		out[i] = [2]string{p[0], p[1]}
	}
	return out, nil
}

func parseUnigram(j *modelJSON) (segmenter, map[string]int32, error) {
	var entries [][2]any
	if err := json.Unmarshal(j.Vocab, &entries); err != nil {
		return nil, nil, fmt.Errorf("model Unigram: vocabulary: %w", err)
	}
	tokens, scores := make([]string, len(entries)), make([]float64, len(entries))
	for i, e := range entries {
		s, okS := e[0].(string)
		f, okF := e[1].(float64)
		if !okS || !okF {
			return nil, nil, fmt.Errorf("model Unigram: entry %d of the vocabulary is not a token with its score", i)
		}
		tokens[i], scores[i] = s, f
	}
	unk := NoID
	if j.UnkID != nil {
		unk = *j.UnkID
	}
	m, err := newUnigram(tokens, scores, unk, j.ByteFallback)
	if err != nil {
		return nil, nil, err
	}
	return m, m.ids, nil
}
