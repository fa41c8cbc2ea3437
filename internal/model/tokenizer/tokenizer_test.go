package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sextant/internal/sharedtest"
)

type golden struct {
	Name        string  `json:"name"`
	Text        string  `json:"text"`
	IDs         []int32 `json:"ids"`
	IDsPlain    []int32 `json:"ids_plain"`
	Decoded     string  `json:"decoded"`
	DecodedSkip string  `json:"decoded_skip"`
}

func readGoldens(t testing.TB, path string) []golden {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []golden
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		var g golden
		if err := json.Unmarshal(sc.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return out
}

func folders(t testing.TB) []string {
	t.Helper()
	root := sharedtest.Path(t, "conformance", "tokenizers")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(root, e.Name()))
		}
	}
	return out
}

// TestConformance holds every stored tokenizer against what transformers does.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, dir := range folders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			tok, err := Load(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			goldens := readGoldens(t, filepath.Join(dir, "goldens.jsonl"))
			bad := 0
			for _, g := range goldens {
				ids, err := tok.Encode(g.Text, true)
				if err != nil {
					t.Fatalf("%s: %v", g.Name, err)
				}
				plain, err := tok.Encode(g.Text, false)
				if err != nil {
					t.Fatalf("%s: %v", g.Name, err)
				}
				ok := true
				if !slices.Equal(ids, g.IDs) {
					ok = false
					t.Errorf("%s: %q\n got ids %v\nwant ids %v", g.Name, g.Text, ids, g.IDs)
				}
				if !slices.Equal(plain, g.IDsPlain) {
					ok = false
					t.Errorf("%s: %q\n got ids_plain %v\nwant ids_plain %v", g.Name, g.Text, plain, g.IDsPlain)
				}
				if !checkDecode(t, tok, g) {
					ok = false
				}
				if !ok {
					bad++
				}
			}
			decodes := readGoldens(t, filepath.Join(dir, "decode.jsonl"))
			for _, g := range decodes {
				if !checkDecode(t, tok, g) {
					bad++
				}
			}
			t.Logf("%d of %d records equal", len(goldens)+len(decodes)-bad, len(goldens)+len(decodes))
		})
	}
}

func checkDecode(t *testing.T, tok *Tokenizer, g golden) bool {
	t.Helper()
	ok := true
	if got := tok.Decode(g.IDs, false); got != g.Decoded {
		ok = false
		t.Errorf("%s: %v\n got decoded %q\nwant decoded %q", g.Name, g.IDs, got, g.Decoded)
	}
	if got := tok.Decode(g.IDs, true); got != g.DecodedSkip {
		ok = false
		t.Errorf("%s: %v\n got decoded_skip %q\nwant decoded_skip %q", g.Name, g.IDs, got, g.DecodedSkip)
	}
	return ok
}
