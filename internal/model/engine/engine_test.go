//go:build engine && cgo

package engine

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sextant/internal/model"
	"sextant/internal/model/demo"
	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

// A few texts that share prefixes in several ways.
var kin = []string{
	"Tracy went home.\nQuestion: Why?\nAnswer:\nto sleep",
	"Tracy went home.\nQuestion: Why?\nAnswer:\nto eat something warm",
	"Tracy went home.\nQuestion: When?\nAnswer:\nat night",
	"Tracy",
	"Tracy went home.",
	"Nobody knew.",
	strings.Repeat("A long story about nothing. ", 40),
}

// The score of a text is the same to the last bit alone, beside others, beside
// itself, with and without shared prefixes, on any number of threads.
func TestScoresDoNotDependOnNeighbours(t *testing.T) {
	alone := openDemo(t, 1)
	want := map[string][]float64{}
	for _, s := range kin {
		r, err := alone.Score(context.Background(), model.ScoreRequest{Text: s, PadTo: 400})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Padded {
			t.Fatalf("%q was not padded", s)
		}
		want[s] = append(r.LogProbs, r.PadLogProb)
	}
	for _, threads := range []int{1, 2} {
		m := openDemo(t, threads)
		m.sched.wide = threads == 2
		ask := func(rows int) {
			m.sched.mu.Lock()
			m.sched.maxRows = rows
			m.sched.mu.Unlock()
			var wg sync.WaitGroup
			for range 4 {
				for _, s := range kin {
					wg.Go(func() {
						r, err := m.Score(context.Background(), model.ScoreRequest{Text: s, PadTo: 400})
						if err != nil {
							t.Error(err)
						} else if got := append(r.LogProbs, r.PadLogProb); !slices.Equal(got, want[s]) {
							t.Errorf("%d threads, %d rows: %q has other scores", threads, rows, short(s))
						}
					})
				}
			}
			wg.Wait()
		}
		for _, rows := range []int{5, 64, 512} {
			ask(rows)
		}
		// requests share when they wait at the same time, which is up to chance
		for goes := 0; goes < 100 && m.Stats().TokensSaved == 0 && !t.Failed(); goes++ {
			ask(512)
		}
		if m.Stats().TokensSaved == 0 {
			t.Error("no prefix was shared")
		}
	}
}

// Instruction sets with fused multiply-add agree to the bit, the baseline
// nearly.
func TestInstructionSetsAgree(t *testing.T) {
	score := func(isa string) []float64 {
		device(t, isa)
		env := model.Env{Threads: 1, Getenv: func(k string) string { return map[string]string{"SEXTANT_ISA": isa}[k] }}
		m, err := open(context.Background(), options{path: demo.Name, choose: greedy}, env)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var out []float64
		for _, s := range kin {
			r, err := m.(*Model).Score(context.Background(), model.ScoreRequest{Text: s, PadTo: 450})
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(out, r.PadLogProb), r.LogProbs...)
		}
		return out
	}
	generic := score("generic")
	for _, isa := range []string{"avx2", "avx512"} {
		t.Run(isa, func(t *testing.T) {
			got := score(isa)
			for i := range got {
				if math.Abs(got[i]-generic[i]) > 5e-5 {
					t.Fatalf("log-probability %d: %g, generic %g", i, got[i], generic[i])
				}
			}
			if isa == "avx512" {
				device(t, "avx2")
				if !slices.Equal(got, score("avx2")) {
					t.Error("avx512 and avx2 differ")
				}
			}
		})
	}
}

// eos_token_id of a config takes the place of the model's own.
func TestEndTokens(t *testing.T) {
	for _, tt := range []struct{ asked, want []int32 }{{nil, []int32{2}}, {[]int32{50, 60}, []int32{50, 60}}} {
		m, err := open(context.Background(), options{path: "sextant/opt-demo", choose: greedy, eos: tt.asked}, model.Env{Threads: 1, Getenv: os.Getenv})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*Model).eos; !slices.Equal(got, tt.want) {
			t.Errorf("asked for %v: %v, want %v", tt.asked, got, tt.want)
		}
		m.Close()
	}
}

// Generation from remembered keys gives what scoring the whole text says is
// most probable, also when prompts share prefixes and are long.
func TestGenerationAgreesWithScoring(t *testing.T) {
	m := openDemo(t, 2)
	m.sched.maxRows = 48
	m.eos = nil // the model ends early; here it must go on
	var wg sync.WaitGroup
	for _, s := range kin {
		wg.Go(func() {
			r, err := m.Generate(context.Background(), model.Request{Text: s, MaxTokens: 100})
			if err != nil {
				t.Error(err)
				return
			}
			ids, err := m.encode(s)
			if err != nil {
				t.Error(err)
				return
			}
			j := &genJob{ids: slices.Clone(ids), prompt: len(ids), max: 100, choose: newSampler(greedy, 0)}
			if err := m.sched.generate(context.Background(), j); err != nil {
				t.Error(err)
				return
			}
			if r.OutputTokens != 100 || r.Texts[0] != m.tok.Decode(j.ids[len(ids):], true) {
				t.Errorf("%q continues in two ways", short(s))
			}
			for _, n := range []int{len(ids), len(ids) + 1, len(ids) + 63, len(ids) + 64, len(ids) + 65, len(ids) + 99} {
				if got, want := j.ids[n], best(lastLogits(t, m, j.ids[:n])); got != want {
					t.Errorf("%q: token %d is %d, computed from the start %d", short(s), n, got, want)
				}
			}
		})
	}
	wg.Wait()
	if got := m.sched.remembered; got != 0 {
		t.Errorf("%d bytes are still reserved", got)
	}
}

func best(logits []float32) int32 { return newSampler(greedy, 0).next(logits, nil) }

func TestStopStrings(t *testing.T) {
	m := openDemo(t, 1)
	m.eos = nil
	ask := func(r model.Request) model.Response {
		t.Helper()
		resp, err := m.Generate(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	whole := ask(model.Request{Text: kin[0], MaxTokens: 60})
	if whole.OutputTokens != 60 || whole.FinishReason != "length" || len(whole.Texts[0]) < 40 {
		t.Fatalf("%+v", whole)
	}
	text := whole.Texts[0]
	for _, cut := range []int{1, 10, 25} {
		stop := text[cut : cut+7]
		want := text[:strings.Index(text, stop)]
		got := ask(model.Request{Text: kin[0], MaxTokens: 60, Stop: []string{stop, "\x00never"}})
		if got.Texts[0] != want || got.FinishReason != "stop" || got.OutputTokens >= 60 {
			t.Errorf("stop %q: %+v, want %q", stop, got, want)
		}
	}
	a, b := int64(1), int64(2)
	hot := 1.0
	one, again, two := ask(model.Request{Text: kin[0], MaxTokens: 20, Temperature: &hot, Seed: &a}), ask(model.Request{Text: kin[0], MaxTokens: 20, Temperature: &hot, Seed: &a}),
		ask(model.Request{Text: kin[0], MaxTokens: 20, Temperature: &hot, Seed: &b})
	if one.Texts[0] != again.Texts[0] || one.Texts[0] == two.Texts[0] {
		t.Error("sampling does not follow its seed")
	}
}

// copyModel copies a model folder, passing each file through change.
func copyModel(t *testing.T, from fs.FS, change func(name string, b []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := fs.ReadFile(from, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if b = change(e.Name(), b); b != nil {
			if err := os.WriteFile(filepath.Join(dir, e.Name()), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestBrokenFolders(t *testing.T) {
	edit := func(file, old, new string) func(string, []byte) []byte {
		return func(name string, b []byte) []byte {
			if name == file {
				if !strings.Contains(string(b), old) {
					t.Fatalf("%s has no %q", file, old)
				}
				return []byte(strings.Replace(string(b), old, new, 1))
			}
			return b
		}
	}
	drop := func(file string) func(string, []byte) []byte {
		return func(name string, b []byte) []byte {
			if strings.HasPrefix(name, file) {
				return nil
			}
			return b
		}
	}
	tests := []struct {
		name   string
		change func(string, []byte) []byte
		want   string // in the message
		hint   string // in the hint
	}{
		{"no weights", drop("model.safetensors"), "no weights: looked for model.safetensors", "a model folder holds"},
		{"no config", drop("config.json"), "config.json", "config.json, weights and a tokenizer"},
		{"no tokenizer", drop("vocab.json"), "token", "tokenizer_path"},
		{"truncated", func(name string, b []byte) []byte {
			if name == "model.safetensors" {
				return b[:len(b)-1000]
			}
			return b
		}, "truncated", "fetch the file again"},
		{"unknown architecture", edit("config.json", `"model_type": "opt"`, `"model_type": "mystery"`), `no architecture "mystery" (config.json, model_type); it has: opt`, ""},
		{"vocabulary does not fit", func(name string, b []byte) []byte {
			if name == "vocab.json" {
				return []byte(strings.TrimSuffix(strings.TrimSpace(string(b)), "}") + `, "zzzzqq": 4096}`)
			}
			return b
		}, "the tokenizer has ids up to 4096, the weights have rows for 4096", "vocab_size"},
		{"config does not fit the weights", edit("config.json", `"vocab_size": 4096`, `"vocab_size": 4000`), "shape [4096 256], config.json says [4000 256]", ""},
		{"heads do not divide", edit("config.json", `"num_attention_heads": 4`, `"num_attention_heads": 3`), "not a multiple", ""},
		{"no layers", edit("config.json", `"num_hidden_layers": 4`, `"num_hidden_layers": 0`), "num_hidden_layers is 0, must be at least 1", ""},
		{"more layers than there are", edit("config.json", `"num_hidden_layers": 4`, `"num_hidden_layers": 5`), "the weights have no tensor model.decoder.layers.4.", ""},
		{"wrong kind", edit("config.json", `"hidden_size": 256`, `"hidden_size": "big"`), "hidden_size is 'big', not a number", ""},
		{"unknown activation", edit("config.json", `"activation_function": "relu"`, `"activation_function": "maxout"`), `activation_function "maxout" is not known`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyModel(t, demo.FS(), tt.change)
			m, err := open(context.Background(), options{path: dir}, model.Env{Threads: 1})
			if err == nil {
				m.Close()
				t.Fatal("it was opened")
			}
			var e *model.EndpointError
			if !errors.As(err, &e) || !strings.Contains(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q\nwant  %q", err, tt.want)
			}
			if e != nil && tt.hint != "" && !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("hint %q, want %q", e.Hint, tt.hint)
			}
		})
	}
	dir := copyModel(t, demo.FS(), edit("config.json", `"tie_word_embeddings"`[:0]+`{`, `{"tie_word_embeddings": false,`))
	if _, err := open(context.Background(), options{path: dir}, model.Env{Threads: 1}); err == nil || !strings.Contains(err.Error(), "no tensor lm_head.weight") {
		t.Errorf("untied without lm_head: %v", err)
	}
	if _, err := open(context.Background(), options{path: filepath.Join(dir, "missing")}, model.Env{Offline: true}); err == nil {
		t.Error("a folder that is not there was opened")
	}
}

// A whole open through the class, as a config names it.
func TestOpenClass(t *testing.T) {
	c, err := model.Classes.Lookup("opencompass.models.HuggingFaceCausalLM")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Open(context.Background(), py.DictOf("path", demo.Name, "max_out_len", 10), model.Env{Threads: 1, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	id := m.(model.Identifier).Identity()
	if id.Name != demo.Name || len(id.Hash) != 64 || id.ComputeType != "float32" || id.Backend != "engine" {
		t.Errorf("%+v", id)
	}
	if closed, err := c.Identify(context.Background(), py.DictOf("path", demo.Name), model.Env{}); err != nil || closed != id {
		t.Errorf("without opening it the model is %+v, %v", closed, err)
	}
	if none, err := c.Identify(context.Background(), py.DictOf("path", "no/such"), model.Env{}); err != nil || none != (model.Identity{}) {
		t.Errorf("a model that is not here: %+v, %v", none, err)
	}
	if l := m.Limits(); l.InFlight < 64 || !l.SharedPrefixes || l.MaxSeqLen != 512 {
		t.Errorf("%+v", l)
	}
	if n, err := m.(model.Tokenizer).CountTokens("make a new plan"); err != nil || n < 5 {
		t.Errorf("%d tokens, %v", n, err)
	}
	if err := m.(model.Prober).Probe(context.Background(), model.Need{Score: true, Generate: true, MaxSeq: 512}); err != nil {
		t.Error(err)
	}
	if _, err := m.Generate(context.Background(), model.Request{Text: strings.Repeat("word ", 600)}); err == nil {
		t.Error("a prompt longer than the model's positions was taken")
	}
	shared := sharedtest.Path(t, "models", "opt-demo")
	n, err := c.Open(context.Background(), py.DictOf("path", shared), model.Env{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := n.(model.Identifier).Identity().Hash; got != id.Hash {
		t.Error("the same weights have two hashes")
	}
	if ok, isa := BuildInfo(); !ok || isa == "" || !Built {
		t.Errorf("BuildInfo: %v %q", ok, isa)
	}
}
