package checkpoint

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sextant/internal/sharedtest"
)

func openModel(t testing.TB, name string) *Checkpoint {
	t.Helper()
	c, err := Open(os.DirFS(sharedtest.Path(t, "conformance", "models", name)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// floats reads all tensors; rename maps a name to the one to file it under.
func floats(t *testing.T, c *Checkpoint, rename func(string) string) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	for _, x := range c.Tensors() {
		f, err := x.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		out[rename(x.Name)] = f
	}
	return out
}

func same(s string) string { return s }

// TestSameWeights reads folders that hold the same weights in other formats.
func TestSameWeights(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b   string
		rename func(string) string
		tol    float64
	}{
		{"llama", "llama_sharded", same, 0},
		{"opt", "opt_bin", same, 0},
		{"opt", "opt_bin_f16", func(s string) string { return "model." + s }, 1e-3},
		{"gpt2", "gpt2_bin", func(s string) string { return "transformer." + s }, 0},
		{"llama", "llama_bf16", same, 1e-2},
	} {
		t.Run(tt.b, func(t *testing.T) {
			t.Parallel()
			want := floats(t, openModel(t, tt.a), same)
			got := floats(t, openModel(t, tt.b), tt.rename)
			compared := 0
			for name, w := range want {
				g, ok := got[name]
				if !ok {
					t.Errorf("%s is missing", name)
					continue
				}
				if len(g) != len(w) {
					t.Errorf("%s has %d elements, want %d", name, len(g), len(w))
					continue
				}
				for i := range w {
					d := float64(g[i] - w[i])
					if d < 0 {
						d = -d
					}
					if !(d <= tt.tol) {
						t.Errorf("%s[%d] = %g, want %g", name, i, g[i], w[i])
						break
					}
				}
				compared++
			}
			for name := range got {
				if _, ok := want[name]; !ok && !strings.HasSuffix(name, ".attn.bias") && name != "lm_head.weight" {
					t.Errorf("%s is in %s only", name, tt.b)
				}
			}
			t.Logf("%d tensors compared", compared)
		})
	}
}

// TestAllFolders opens every stored model and reads it whole.
func TestAllFolders(t *testing.T) {
	t.Parallel()
	root := sharedtest.Path(t, "conformance", "models")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		c := openModel(t, e.Name())
		if c.Config.Str("model_type") == "" {
			t.Errorf("%s: no model_type in the config", e.Name())
		}
		if len(c.Tensors()) < 10 {
			t.Errorf("%s: %d tensors", e.Name(), len(c.Tensors()))
		}
		if !slices.IsSortedFunc(c.Tensors(), func(a, b *Tensor) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%s: tensors are not sorted", e.Name())
		}
		floats(t, c, same)
		n++
	}
	if n != 43 {
		t.Errorf("%d folders, want 43", n)
	}
}
