//go:build engine && cgo

package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sextant/internal/model"
	"sextant/internal/model/checkpoint"
	"sextant/internal/model/engine/compute"
	"sextant/internal/sharedtest"
)

// device opens kernels or skips where this machine lacks them.
func device(t testing.TB, isa string) *compute.Device {
	t.Helper()
	d, err := compute.Open(isa)
	if err != nil {
		t.Skip(err)
	}
	return d
}

// openNet loads a model folder that has no tokenizer.
func openNet(t testing.TB, dir, isa string, threads int) *Model {
	t.Helper()
	cp, err := checkpoint.Open(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer cp.Close()
	dev := device(t, isa)
	net, w, err := loadNetwork(newConfig(cp.Config), cp, dev)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(options{path: dir, choose: greedy}, net, w.state.bytes, dev, threads)
	if err != nil {
		t.Fatal(err)
	}
	m.free = w.free
	t.Cleanup(func() { m.Close() })
	return m
}

var greedy = sampling{temperature: 1, topP: 1, penalty: 1}

// golden is what transformers computed.
type golden struct {
	Sequences []struct {
		Input        []int32   `json:"ids"`
		LastLogits   []float64 `json:"last_logits"`
		NextLogProbs []float64 `json:"next_logprobs"`
		Greedy       []int32   `json:"greedy"`
	} `json:"sequences"`
}

// lastLogits computes the logits at the last of ids.
func lastLogits(t testing.TB, m *Model, ids []int32) []float32 {
	t.Helper()
	done := make(chan []float32, 1)
	j := &genJob{ids: slices.Clone(ids), prompt: len(ids), max: 1, choose: newSampler(greedy, 0)}
	j.peek = func(l []float32) { done <- slices.Clone(l) }
	if err := m.sched.generate(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// tolerance of logits and log-probabilities, from the goldens' README.
const tolerance = 1e-4

func TestGoldens(t *testing.T) {
	for _, isa := range []string{"avx512", "avx2", "generic"} {
		for _, name := range []string{"opt", "opt_postnorm", "opt_bin", "opt_bin_f16"} {
			t.Run(isa+"/"+name, func(t *testing.T) {
				dir := sharedtest.Path(t, "conformance", "models", name)
				var g golden
				b, err := os.ReadFile(filepath.Join(dir, "goldens.json"))
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(b, &g); err != nil {
					t.Fatal(err)
				}
				if len(g.Sequences) == 0 {
					t.Fatal("no sequences")
				}
				m := openNet(t, dir, isa, 2)
				worst := 0.0
				for _, s := range g.Sequences {
					lp, err := m.scoreIDs(context.Background(), s.Input, 0)
					if err != nil {
						t.Fatal(err)
					}
					if len(lp) != len(s.NextLogProbs) {
						t.Fatalf("%d log-probabilities, want %d", len(lp), len(s.NextLogProbs))
					}
					for i := range lp {
						worst = math.Max(worst, math.Abs(lp[i]-s.NextLogProbs[i]))
					}
					logits := lastLogits(t, m, s.Input)
					if len(logits) != len(s.LastLogits) {
						t.Fatalf("%d logits, want %d", len(logits), len(s.LastLogits))
					}
					for i := range logits {
						worst = math.Max(worst, math.Abs(float64(logits[i])-s.LastLogits[i]))
					}
					j := &genJob{ids: slices.Clone(s.Input), prompt: len(s.Input), max: len(s.Greedy), choose: newSampler(greedy, 0)}
					if err := m.sched.generate(context.Background(), j); err != nil {
						t.Fatal(err)
					}
					if got := j.ids[j.prompt:]; !slices.Equal(got, s.Greedy) {
						t.Errorf("greedy %v, want %v", got, s.Greedy)
					}
				}
				t.Logf("largest difference %.2g", worst)
				if worst > tolerance {
					t.Errorf("largest difference %g, allowed are %g", worst, tolerance)
				}
			})
		}
	}
}

// seedText are the prompts of the founding evaluation, by label.
func seedTexts(t testing.TB, name string) [][]string {
	t.Helper()
	f, err := os.Open(sharedtest.Path(t, "data", name, "dev.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var r struct{ Context, Question, AnswerA, AnswerB, AnswerC, Sentence, Option1, Option2 string }
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if name == "siqa" {
			var texts []string
			for _, a := range []string{r.AnswerA, r.AnswerB, r.AnswerC} {
				texts = append(texts, r.Context+"\nQuestion: "+r.Question+"\nAnswer:\n"+a)
			}
			out = append(out, texts)
		} else {
			out = append(out, []string{"Good sentence: " + strings.ReplaceAll(r.Sentence, "_", r.Option1), "Good sentence: " + strings.ReplaceAll(r.Sentence, "_", r.Option2)})
		}
	}
	return out
}

func seedPPLs(t testing.TB, name string, labels int) [][]float64 {
	t.Helper()
	b, err := os.ReadFile(sharedtest.Path(t, "conformance", "seed", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]float64
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		var ppl []float64
		for _, s := range f[3 : 3+labels] {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			ppl = append(ppl, v)
		}
		out = append(out, ppl)
	}
	return out
}

func openDemo(t testing.TB, threads int) *Model {
	t.Helper()
	m, err := open(context.Background(), options{path: "sextant/opt-demo", choose: greedy, truncateLeft: true}, model.Env{Threads: threads, Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m.(*Model)
}

// ppls scores all texts with many in flight, as an inferencer does.
func ppls(t testing.TB, m *Model, texts []string, padTo []int) []float64 {
	t.Helper()
	out := make([]float64, len(texts))
	next := make(chan int)
	var wg sync.WaitGroup
	for range m.Limits().InFlight {
		wg.Go(func() {
			for i := range next {
				r, err := m.Score(context.Background(), model.ScoreRequest{Text: texts[i], PadTo: padTo[i]})
				if err != nil {
					t.Error(err)
					continue
				}
				sum := 0.0
				for _, lp := range r.LogProbs {
					sum -= lp
				}
				sum -= r.PadLogProb
				out[i] = sum / float64(len(r.TokenIDs))
			}
		})
	}
	for i := range texts {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// padTo is the width of the batch that OpenCompass scores each text in: 64
// rows of one label, counted from the start of a task's part of the dataset.
func padTo(t testing.TB, m *Model, groups [][]string, parts []int) []int {
	t.Helper()
	labels := len(groups[0])
	out := make([]int, len(groups)*labels)
	parts = append(slices.Clone(parts), len(groups))
	for p := range len(parts) - 1 {
		for from := parts[p]; from < parts[p+1]; from += 64 {
			to := min(from+64, parts[p+1])
			for l := range labels {
				width := 0
				for i := from; i < to; i++ {
					n, err := m.CountTokens(groups[i][l])
					if err != nil {
						t.Fatal(err)
					}
					width = max(width, n)
				}
				for i := from; i < to; i++ {
					out[i*labels+l] = width
				}
			}
		}
	}
	return out
}

func TestSeed(t *testing.T) {
	m := openDemo(t, 2)
	for name, labels := range map[string]int{"siqa": 3, "winogrande": 2} {
		t.Run(name, func(t *testing.T) {
			parts := []int{0} // first rows of the parts that SizePartitioner made
			if name == "siqa" {
				parts = []int{0, 977}
			}
			want := seedPPLs(t, name, labels)
			groups := seedTexts(t, name)
			if len(groups) != len(want) {
				t.Fatalf("%d samples, the reference has %d", len(groups), len(want))
			}
			got := ppls(t, m, slices.Concat(groups...), padTo(t, m, groups, parts))
			worst := 0.0
			for i := range want {
				for l := range labels {
					worst = math.Max(worst, math.Abs(got[i*labels+l]-want[i][l]))
				}
			}
			t.Logf("%d perplexities, largest difference %.2g; %+v", len(got), worst, m.Stats())
			if worst > 1e-4 {
				t.Errorf("largest difference %g", worst)
			}
		})
	}
}
