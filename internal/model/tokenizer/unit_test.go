package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sextant/internal/model/demo"
	"sextant/internal/sharedtest"
)

func load(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Load(os.DirFS(sharedtest.Path(t, "conformance", "tokenizers", name)))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func demoTokenizer(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Load(demo.FS())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// streamed decodes ids one by one.
func streamed(tok *Tokenizer, ids []int32, skip bool) string {
	var b strings.Builder
	s := tok.NewStream(skip)
	for _, id := range ids {
		b.WriteString(s.Next(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

// TestStream: a text that comes id by id is the text of all ids.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, dir := range folders(t) {
		tok := load(t, filepath.Base(dir))
		n := 0
		for _, f := range []string{"goldens.jsonl", "decode.jsonl"} {
			for _, g := range readGoldens(t, filepath.Join(dir, f)) {
				if got := streamed(tok, g.IDs, false); got != g.Decoded {
					t.Errorf("%s: %v\n got %q\nwant %q", filepath.Base(dir), g.IDs, got, g.Decoded)
				}
				if got := streamed(tok, g.IDs, true); got != g.DecodedSkip {
					t.Errorf("%s: %v\n got %q\nwant %q", filepath.Base(dir), g.IDs, got, g.DecodedSkip)
				}
				n++
			}
		}
		if n < 250 {
			t.Errorf("%s: only %d records", dir, n)
		}
	}
}

// TestStreamIsPrompt: what is certain is not held back.
func TestStreamIsPrompt(t *testing.T) {
	t.Parallel()
	tok := demoTokenizer(t)
	ids, err := tok.Encode("Kendall was happy, so 他们 went home — “fine”.", false)
	if err != nil {
		t.Fatal(err)
	}
	s := tok.NewStream(true)
	got := ""
	for i, id := range ids {
		got += s.Next(id)
		want := strings.TrimRight(tok.Decode(ids[:i+1], true), "\uFFFD")
		if got != want {
			t.Errorf("after %d tokens %q, want %q", i+1, got, want)
		}
	}
	if tail := s.Flush(); tail != "" {
		t.Errorf("flush gave %q", tail)
	}
}

func TestTidierHoldsBack(t *testing.T) {
	t.Parallel()
	texts := []string{
		"Hello , world .", "x n ' t", "do n't", " ' ' s", "a  ' s . . !", "we 've", "'ve ' re", "  .  ,", "é . é", "",
	}
	for _, text := range texts {
		for cut := 0; cut <= len(text); cut++ {
			td := &tidier{}
			got := td.feed(text[:cut]) + td.feed(text[cut:]) + td.flush()
			if !utf8.ValidString(text[:cut]) {
				continue
			}
			if want := cleanUpSpaces(text); got != want {
				t.Errorf("%q cut at %d: %q, want %q", text, cut, got, want)
			}
		}
	}
}

func TestTidyCharsAreThoseOfThePairs(t *testing.T) {
	t.Parallel()
	for _, p := range cleanUpPairs {
		for _, r := range p[0] {
			if !strings.ContainsRune(tidyChars, r) {
				t.Errorf("%q of %q is not in tidyChars", r, p[0])
			}
		}
	}
}

func TestSpecial(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		want       Special
		size       int
		before     []int32
		addedPlain string // a token that is added but not special
	}{
		{"opt_legacy", Special{BOS: 2, EOS: 2, PAD: 1, UNK: 2, SEP: -1, CLS: -1, MASK: -1}, 2003, []int32{2}, ""},
		{"gpt2", Special{BOS: 0, EOS: 0, PAD: -1, UNK: 0, SEP: -1, CLS: -1, MASK: -1}, 2000, nil, ""},
		{"gpt2_legacy", Special{BOS: 0, EOS: 0, PAD: -1, UNK: 0, SEP: -1, CLS: -1, MASK: -1}, 2000, nil, ""},
		{"bert", Special{BOS: -1, EOS: -1, PAD: 0, UNK: 1, SEP: 3, CLS: 2, MASK: 4}, 2000, []int32{2}, ""},
		{"qwen2", Special{BOS: -1, EOS: 1992, PAD: 1990, UNK: -1, SEP: -1, CLS: -1, MASK: -1}, 1997, nil, "<think>"},
	} {
		tok := load(t, tt.name)
		if tok.Special() != tt.want {
			t.Errorf("%s: special %+v, want %+v", tt.name, tok.Special(), tt.want)
		}
		if tok.VocabSize() != tt.size {
			t.Errorf("%s: %d tokens, want %d", tt.name, tok.VocabSize(), tt.size)
		}
		if ids, err := tok.Encode("", true); err != nil || len(tt.before) > 0 && ids[0] != tt.before[0] {
			t.Errorf("%s: the empty text is %v, %v", tt.name, ids, err)
		}
		if tt.addedPlain != "" {
			id, ok := tok.ID(tt.addedPlain)
			if !ok || tok.IsSpecial(id) {
				t.Errorf("%s: %s is %d, special %v", tt.name, tt.addedPlain, id, tok.IsSpecial(id))
			}
		}
	}
}

func TestDecodeUnknownIDs(t *testing.T) {
	t.Parallel()
	tok := demoTokenizer(t)
	ids, err := tok.Encode("so it goes", false)
	if err != nil {
		t.Fatal(err)
	}
	odd := slices.Concat([]int32{-1, 1 << 30}, ids, []int32{int32(tok.VocabSize())})
	if got := tok.Decode(odd, false); got != "so it goes" {
		t.Errorf("%q", got)
	}
}

func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	tok := demoTokenizer(t)
	got, err := tok.Encode("a\xe4\xb8b\xff", false)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := tok.Encode("a\uFFFDb\uFFFD", false)
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLossyUTF8(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ok": "ok", "\xe4\xb8\xad": "中", "\xe4\xb8": "\uFFFD", "\xe4\xb8x": "\uFFFDx", "\xf0\x9f\x98": "\uFFFD",
		"\xe0\x80\x80": "\uFFFD\uFFFD\uFFFD", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD", "\xf0\x80": "\uFFFD\uFFFD",
		"\xc3\xc3\xa9": "\uFFFDé", "\x80\x80": "\uFFFD\uFFFD", "\xf5": "\uFFFD", "\xf4\x90\x80\x80": "\uFFFD\uFFFD\uFFFD\uFFFD", "\xe4\xb8\xe4\xb8\xad": "\uFFFD中",
	} {
		if got := lossyUTF8([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestRefused: what is not supported is named, never passed over.
func TestRefused(t *testing.T) {
	t.Parallel()
	const bpe = `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	for _, tt := range []struct{ name, json, want string }{
		{"normalizer", `{"normalizer":{"type":"Precompiled"},` + bpe + `}`, `normalizer "Precompiled" is not supported`},
		{"nested normalizer", `{"normalizer":{"type":"Sequence","normalizers":[{"type":"Odd"}]},` + bpe + `}`, `normalizer "Odd"`},
		{"pre-tokenizer", `{"pre_tokenizer":{"type":"UnicodeScripts"},` + bpe + `}`, `pre_tokenizer "UnicodeScripts"`},
		{"behavior", `{"pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"Odd"},` + bpe + `}`, `split behavior "Odd"`},
		{"regex", `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Isolated"},` + bpe + `}`, "intersection"},
		{"broken regex", `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"},` + bpe + `}`, `pattern "(a"`},
		{"decoder", `{"decoder":{"type":"CTC"},` + bpe + `}`, `decoder "CTC" is not supported`},
		{"post-processor", `{"post_processor":{"type":"Odd"},` + bpe + `}`, `post_processor "Odd"`},
		{"template", `{"post_processor":{"type":"TemplateProcessing","single":[]},` + bpe + `}`, "does not hold the text"},
		{"model", `{"model":{"type":"Odd","vocab":{}}}`, `model "Odd" is not supported`},
		{"no model", `{}`, "no model"},
		{"dropout", `{"model":{"type":"BPE","dropout":0.1,"vocab":{},"merges":[]}}`, "dropout 0.1"},
		{"merge of strangers", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `token "b" is not in the vocabulary`},
		{"merge to a stranger", `{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}`, `token "ab" is not in the vocabulary`},
		{"merge of three", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}}`, "is not two tokens"},
		{"negative id", `{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`, `"a" has the id -1`},
		{"unk", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}}`, `unknown token "u"`},
		{"unk id", `{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":7}}`, "unk_id 7"},
		{"cut off", `{"model":{"type":"BPE"`, "tokenizer.json: unexpected end"},
	} {
		_, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(tt.json)}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	_, err := Load(fstest.MapFS{"tokenizer.model": {}, "config.json": {}})
	var nf *NotFoundError
	if !errors.As(err, &nf) || !nf.SentencePiece || !slices.Equal(nf.Found, []string{"config.json", "tokenizer.model"}) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(err.Error(), "looked for tokenizer.json") {
		t.Errorf("%v", err)
	}
	_, err = Load(fstest.MapFS{
		"vocab.json": {Data: []byte(`{"a":0}`)}, "merges.txt": {Data: []byte("#version\n")},
		"tokenizer_config.json": {Data: []byte(`{"tokenizer_class":"CLIPTokenizer"}`)},
	})
	if err == nil || !strings.Contains(err.Error(), "CLIPTokenizer") {
		t.Errorf("another class than GPT-2's from legacy files: %v", err)
	}
	_, err = Load(fstest.MapFS{"vocab.json": {Data: []byte(`{"a":0}`)}, "merges.txt": {Data: []byte("#version\na\n")}})
	if err == nil || !strings.Contains(err.Error(), "merges.txt:2:") {
		t.Errorf("broken merges: %v", err)
	}
}

func TestClassTemplate(t *testing.T) {
	t.Parallel()
	const model = `{"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
		"model":{"type":"BPE","vocab":{"a":0,"<s>":1,"</s>":2},"merges":[]}}`
	for _, tt := range []struct {
		config string
		want   []int32
	}{
		{`{}`, []int32{0}},
		{`{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<s>"}`, []int32{1, 0}},
		{`{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","add_bos_token":false}`, []int32{0}},
		{`{"tokenizer_class":"GemmaTokenizer","bos_token":"<s>","eos_token":"</s>","add_eos_token":true}`, []int32{1, 0, 2}},
		{`{"tokenizer_class":"GPTNeoXTokenizer","bos_token":"<s>"}`, []int32{0}},
		{`{"tokenizer_class":"GPTNeoXTokenizer","bos_token":"<s>","add_bos_token":true}`, []int32{1, 0}},
	} {
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(model)}, "tokenizer_config.json": {Data: []byte(tt.config)}})
		if err != nil {
			t.Errorf("%s: %v", tt.config, err)
			continue
		}
		if got, err := tok.Encode("a", true); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.config, got, err, tt.want)
		}
	}
}

// TestRolesAreSpecial: a token with a role is special, whatever its flag says.
func TestRolesAreSpecial(t *testing.T) {
	t.Parallel()
	tok, err := Load(fstest.MapFS{
		"tokenizer.json": {Data: []byte(`{"added_tokens":[{"id":1,"content":"<e>"},{"id":2,"content":"<p>"}],"model":{"type":"WordLevel","vocab":{"a":0}}}`)},
		"tokenizer_config.json": {Data: []byte(`{"eos_token":"<e>","pad_token":{"content":"<p>"},"unk_token":"<u>",
			"added_tokens_decoder":{"1":{"content":"<e>","special":false}}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode([]int32{0, 1, 2, 3}, true); got != "a" {
		t.Errorf("%q", got)
	}
	if got := tok.Decode([]int32{0, 1, 2, 3}, false); got != "a <e> <p> <u>" {
		t.Errorf("%q", got)
	}
	if tok.EOS() != 1 || tok.PAD() != 2 || tok.UNK() != 3 || tok.VocabSize() != 4 {
		t.Errorf("%+v of %d", tok.Special(), tok.VocabSize())
	}
}

func TestRepeatedTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		json string
		ids  []int32
		want string
	}{
		{`{"model":{"type":"Unigram","vocab":[["a",-1],["b",-1],["a",-2]],"unk_id":0},"decoder":{"type":"Fuse"}}`, []int32{0, 1, 2}, "aba"},
		{`{"model":{"type":"WordLevel","vocab":{"z":0,"y":0,"x":0},"unk_token":"z"}}`, []int32{0}, "x"},
	} {
		for range 20 { // the order of a map changes
			tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(tt.json)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(tt.ids, false); got != tt.want {
				t.Fatalf("%s: %v is %q, want %q", tt.json, tt.ids, got, tt.want)
			}
		}
	}
}

func TestPrefixSpace(t *testing.T) {
	t.Parallel()
	const model = `{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"use_regex":true},
		"model":{"type":"BPE","vocab":{"a":0,"Ġ":1},"merges":[]}}`
	with, without := []int32{1, 0}, []int32{0}
	for _, tt := range []struct {
		config string
		want   []int32
	}{
		{`{}`, with},
		{`{"tokenizer_class":"GPT2Tokenizer"}`, without},
		{`{"tokenizer_class":"GPT2TokenizerFast","add_prefix_space":true}`, with},
		{`{"tokenizer_class":"PreTrainedTokenizerFast","add_prefix_space":false}`, without},
	} {
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(model)}, "tokenizer_config.json": {Data: []byte(tt.config)}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tok.Encode("a", false); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.config, got, err, tt.want)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"vocab.json": {Data: []byte(`{"a":0,"b":1,"ab":2}`)}, "merges.txt": {Data: []byte("#version\na b\n")}}
	hash := func() string {
		tok, err := Load(files)
		if err != nil {
			t.Fatal(err)
		}
		return tok.Hash()
	}
	first := hash()
	files["README.md"] = &fstest.MapFile{Data: []byte("x")}
	if hash() != first {
		t.Error("a file that is not read changed the hash")
	}
	files["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{"add_prefix_space":true}`)}
	if hash() == first {
		t.Error("the settings do not count")
	}
}

// TestConcurrent encodes the same texts from many goroutines.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	tok := load(t, "llama3")
	dir := sharedtest.Path(t, "conformance", "tokenizers", "llama3")
	goldens := readGoldens(t, filepath.Join(dir, "goldens.jsonl"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, g := range goldens {
				if ids, err := tok.Encode(g.Text, true); err != nil || !slices.Equal(ids, g.IDs) {
					t.Errorf("%s: %v, %v", g.Name, ids, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestLongPiece holds the two ways of merging against each other.
func TestLongPiece(t *testing.T) {
	t.Parallel()
	tok := load(t, "llama2")
	m := tok.model.(*bpe)
	for _, text := range []string{
		strings.Repeat("ab", 20), "▁" + strings.Repeat("▁▁the", 9), "▁extraordinarily▁unbelievable▁hello", strings.Repeat("中a", 12),
	} {
		ids := m.symbols(text)
		if len(ids) > 48 {
			t.Fatalf("%q has %d symbols", text, len(ids))
		}
		long := m.mergeLong(slices.Clone(ids))
		if short := m.mergeShort(ids); !slices.Equal(short, long) {
			t.Errorf("%q: %v and %v", text, short, long)
		}
	}
}

func TestUnicodeForms(t *testing.T) {
	t.Parallel()
	long := "e" + strings.Repeat("\u0301", 40) + "\u0323x"
	got := normalizeLong(norm.NFC, long)
	// U+0323 sorts before the acutes and composes with e; no U+034F comes in
	if want := "\u1eb9" + strings.Repeat("\u0301", 40) + "x"; got != want {
		t.Errorf("%+q, want %+q", got, want)
	}
	if s := unicodeForm(norm.NFC)(long); strings.ContainsRune(s, 0x34f) {
		t.Errorf("a joiner was put in: %+q", s)
	}
	for _, g := range readGoldens(t, filepath.Join(sharedtest.Path(t, "conformance", "tokenizers", "gpt2"), "goldens.jsonl")) {
		for name, f := range map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD} {
			if got, want := normalizeLong(f, g.Text), f.String(g.Text); got != want {
				t.Errorf("%s %s: %+q, want %+q", g.Name, name, got, want)
			}
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pattern, text, want string }{
		{`\s+$`, "a  \nb ", "[  ][ ]"}, // $ holds at every line end
		{`[a[bc]]+`, "xabcx", "[abc]"},
		{`[^(\s|[.,])]+`, "ab. c|(d", "[ab][c][d]"},
		{`[\p{L}&&[^b]]+`, "abc", "[a][c]"},
		{`(?i:'s)`, "'S 'ſ", "['S]['ſ]"},
		{`[]a]+`, "x]a", "[]a]"},
		{`\x{4e2d}`, "a中", "[中]"},
		{`\p{N}{1,3}(?=x)`, "12345x", "[345]"},
	} {
		re, err := compileRegex(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		var b strings.Builder
		eachMatch(re, tt.text, func(i, j int) { b.WriteString("[" + tt.text[i:j] + "]") })
		if b.String() != tt.want {
			t.Errorf("%s in %q: %s, want %s", tt.pattern, tt.text, &b, tt.want)
		}
	}
}

func TestSplitBehaviors(t *testing.T) {
	t.Parallel()
	for behavior, want := range map[string]string{
		"Isolated":           "the|-|final|-|-|count",
		"Removed":            "the|final|count",
		"MergedWithPrevious": "the-|final-|-|count",
		"MergedWithNext":     "the|-final|-|-count",
		"Contiguous":         "the|-|final|--|count",
	} {
		f, err := splitter(eachRune(func(r rune) bool { return r == '-' }), behavior)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range f([]piece{{"the-final--count", true}}) {
			got = append(got, p.text)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: %s, want %s", behavior, s, want)
		}
	}
}

// rules are the splitting rules with a scanner and the regexp2 form of each.
func checkScanners(t *testing.T, text string) {
	t.Helper()
	for rule, scan := range scanners {
		re, err := compileRegex(rule)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		eachMatch(re, text, func(i, j int) { want = append(want, text[i:j]) })
		var got []string
		for i := 0; i < len(text); {
			j := scan(text, i)
			if j <= i {
				t.Fatalf("%s stands still at %d of %q", rule, i, text)
			}
			got = append(got, text[i:j])
			i = j
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n on %q\n got %q\nwant %q", rule, text, got, want)
		}
	}
}

// TestScanners holds the scanners against the rules that they stand for.
func TestScanners(t *testing.T) {
	t.Parallel()
	for _, g := range readGoldens(t, filepath.Join(sharedtest.Path(t, "conformance", "tokenizers", "gpt2"), "goldens.jsonl")) {
		checkScanners(t, g.Text)
	}
}

func FuzzScanners(f *testing.F) {
	for _, s := range []string{"don't  stop\n\n now", "1234 ab12", " 'S'ſ \u3000x", "a\r\n \tb  ", "…—  ?!\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) {
			checkScanners(t, s)
		}
	})
}

// FuzzRoundTrip: byte-level ids lead back to the text, streamed or not.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{"Hello world", "中文 ½", "</s> <pad>x", "\u0301 e\u0301", "\x00\n "} {
		f.Add(s)
	}
	tok := demoTokenizer(f)
	f.Fuzz(func(t *testing.T, s string) {
		ids, err := tok.Encode(s, false)
		if err != nil {
			t.Fatal(err)
		}
		want := lossyUTF8([]byte(s))
		if got := tok.Decode(ids, false); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		if got := streamed(tok, ids, false); got != want {
			t.Errorf("%q streamed as %q", want, got)
		}
	})
}

// FuzzStream: streaming equals decoding for any ids in any tokenizer.
func FuzzStream(f *testing.F) {
	var toks []*Tokenizer
	for _, dir := range folders(f) {
		toks = append(toks, load(f, filepath.Base(dir)))
	}
	f.Add(uint8(0), []byte{1, 2, 3, 200, 7, 9})
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		tok := toks[int(which)%len(toks)]
		var ids []int32
		for i := 0; i+1 < len(raw); i += 2 {
			ids = append(ids, (int32(raw[i])<<8|int32(raw[i+1]))%int32(tok.VocabSize()+2))
		}
		for _, skip := range []bool{false, true} {
			if got, want := streamed(tok, ids, skip), tok.Decode(ids, skip); got != want {
				t.Errorf("%v: streamed %q, decoded %q", ids, got, want)
			}
		}
	})
}

// FuzzLoad: a tokenizer.json of anything is refused or works, and never panics.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"}}`), "ab ab")
	f.Add([]byte(`{"model":{"type":"Unigram","vocab":[["a",-1],["b",-2]],"unk_id":0},"normalizer":{"type":"NFKC"}}`), "abc")
	f.Add([]byte(`{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"a":1,"##b":2}},"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##"}}`), "ab c")
	f.Add([]byte(`{"added_tokens":[{"id":9,"content":" x","lstrip":true,"rstrip":true,"normalized":true}],"normalizer":{"type":"Lowercase"},"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}`), "a  X b")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		if !json.Valid(b) {
			return
		}
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: b}})
		if err != nil {
			return
		}
		ids, err := tok.Encode(text, true)
		if err != nil {
			return
		}
		_ = tok.Decode(ids, true)
	})
}

// promptsOf makes n prompts of about 40 tokens from stored texts.
func promptsOf(b *testing.B, tok *Tokenizer, n int) (prompts []string, tokens int) {
	b.Helper()
	dir := sharedtest.Path(b, "conformance", "tokenizers", "gpt2")
	var words []string
	for _, g := range readGoldens(b, filepath.Join(dir, "goldens.jsonl")) {
		if strings.HasPrefix(g.Name, "flores/eng") || strings.HasPrefix(g.Name, "commonsenseqa") || strings.HasPrefix(g.Name, "arc") {
			words = append(words, strings.Fields(g.Text)...)
		}
	}
	k := 0
	for range n {
		var s strings.Builder
		for range 22 {
			s.WriteString(words[k%len(words)] + " ")
			k += 7
		}
		prompts = append(prompts, s.String())
		c, err := tok.Count(s.String(), true)
		if err != nil {
			b.Fatal(err)
		}
		tokens += c
	}
	return prompts, tokens
}

// BenchmarkEncode encodes 8,000 prompts of about 40 tokens.
func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"opt-demo", "gpt2_legacy", "llama3", "qwen2", "llama2", "unigram", "deepseek_v3"} {
		b.Run(name, func(b *testing.B) {
			tok := demoTokenizer(b)
			if name != "opt-demo" {
				tok = load(b, name)
			}
			prompts, tokens := promptsOf(b, tok, 8000)
			var buf []int32
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				for _, p := range prompts {
					var err error
					if buf, err = tok.AppendEncode(buf[:0], p, true); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(tokens)/float64(len(prompts)), "tokens/prompt")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(tokens), "ns/token")
		})
	}
}

// BenchmarkLoad loads the demo's tokenizer.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		demoTokenizer(b)
	}
}
