package demo

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/model/checkpoint"
	"sextant/internal/model/tokenizer"
	"sextant/internal/sharedtest"
)

// TestFolder checks that the embedded model is whole and hangs together.
func TestFolder(t *testing.T) {
	t.Parallel()
	tok, err := tokenizer.Load(FS())
	if err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Open(FS())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	vocab := c.Config.Int("vocab_size", 0)
	if tok.VocabSize() > vocab {
		t.Errorf("the tokenizer has %d tokens, the model %d", tok.VocabSize(), vocab)
	}
	emb := c.Tensor("model.decoder.embed_tokens.weight")
	if emb == nil || emb.Shape[0] != vocab {
		t.Fatalf("embedding %+v for %d tokens", emb, vocab)
	}
	params := 0
	for _, x := range c.Tensors() {
		if x.Name != "lm_head.weight" {
			params += x.Len()
		}
		if _, err := x.Float32(nil); err != nil {
			t.Error(err)
		}
	}
	if params < 4_200_000 || params > 4_500_000 {
		t.Errorf("%d parameters, want about 4.3 million", params)
	}
	const text = "Tracy didn't go home that evening and resisted Riley's attacks."
	ids, err := tok.Encode(text, true)
	if err != nil {
		t.Fatal(err)
	}
	if ids[0] != tok.BOS() || ids[0] != 2 {
		t.Errorf("text begins with token %d, want </s>", ids[0])
	}
	if got := tok.Decode(ids, true); got != text {
		t.Errorf("decoded %q", got)
	}
}

// TestSameAsShared holds the embedded files against the reference data.
func TestSameAsShared(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Path(t, "models", "opt-demo")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := fs.ReadFile(FS(), e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs", e.Name())
		}
	}
}
