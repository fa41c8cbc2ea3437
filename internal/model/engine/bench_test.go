//go:build engine && cgo

package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"sextant/internal/model"
	"sextant/internal/model/demo"
	"sextant/internal/model/engine/compute"
)

// BenchmarkFounding scores all texts of the founding evaluation with the demo
// model.
func BenchmarkFounding(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			m := openDemo(b, threads)
			var texts []string
			var pads []int
			for _, name := range []string{"siqa", "winogrande"} {
				g := seedTexts(b, name)
				texts = append(texts, slices.Concat(g...)...)
				parts := []int{0}
				if name == "siqa" {
					parts = []int{0, 977}
				}
				pads = append(pads, padTo(b, m, g, parts)...)
			}
			b.ResetTimer()
			for b.Loop() {
				ppls(b, m, texts, pads)
			}
			s := m.Stats()
			b.ReportMetric(float64(s.TokensComputed)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(float64(s.TokensComputed)/float64(b.N), "computed/op")
			b.ReportMetric(float64(s.TokensSaved)/float64(b.N), "saved/op")
		})
	}
}

// randomOPT is an OPT of the given shape with random weights.
func randomOPT(b *testing.B, dev *compute.Device, vocab, hidden, ffn, layers, heads, positions int) *opt {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	matrix := func(n, k int, bias bool) *compute.Matrix {
		m, err := dev.NewMatrix(n, k, bias)
		if err != nil {
			b.Fatal(err)
		}
		data := make([]byte, 2*n*k)
		for i := range n * k { // float16 of about ±0.03
			binary.LittleEndian.PutUint16(data[2*i:], 0x2700|uint16(r.Uint32()&0x80ff))
		}
		if err := m.Pack(0, n, data, compute.F16, false); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(m.Free)
		return m
	}
	vector := func(rows, width int) *compute.Vector {
		v := make([]float32, rows*width)
		for i := range v {
			v[i] = 1
		}
		x, err := compute.NewVector(v, width)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(x.Free)
		return x
	}
	ln := func() norm { return norm{true, hidden, vector(1, hidden), vector(1, hidden)} }
	m := &opt{hidden: hidden, embedDim: hidden, normFirst: true, act: compute.ReLU, embed: matrix(vocab, hidden, false),
		positions: vector(positions+optOffset, hidden), norm: ln(),
		heads: compute.Heads{Query: heads, KV: heads, Size: hidden / heads, Scale: 0.125}}
	m.out = m.embed
	for range layers {
		m.layers = append(m.layers, optLayer{qkv: matrix(3*hidden, hidden, true), attnOut: matrix(hidden, hidden, true),
			fc1: matrix(ffn, hidden, true), fc2: matrix(hidden, ffn, true), attnNorm: ln(), ffnNorm: ln()})
	}
	return m
}

// BenchmarkOPT125m runs the shape of facebook/opt-125m: scoring (every token's
// log-probability, the head included), prefill (4 prompts of 128 tokens, one
// new token each) and generation (8 prompts, 32 tokens each).
func BenchmarkOPT125m(b *testing.B) {
	dev, err := compute.Open(os.Getenv("SEXTANT_ISA"))
	if err != nil {
		b.Fatal(err)
	}
	net := randomOPT(b, dev, 50272, 768, 3072, 12, 12, 2048)
	r := rand.New(rand.NewPCG(2, 2))
	for _, threads := range []int{1, 2} {
		m, err := newModel(options{choose: greedy}, net, 500<<20, dev, threads)
		if err != nil {
			b.Fatal(err)
		}
		text := func(n int) []int32 {
			ids := make([]int32, n)
			for i := range ids {
				ids[i] = r.Int32N(50000)
			}
			return ids
		}
		each := func(n int, f func() error) {
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					if err := f(); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
		}
		gen := func(prompt []int32, n int) error {
			j := &genJob{ids: prompt, prompt: len(prompt), max: n, choose: newSampler(greedy, 0)}
			return m.sched.generate(context.Background(), j)
		}
		rate := func(b *testing.B, tokens int) { b.ReportMetric(float64(tokens*b.N)/b.Elapsed().Seconds(), "tokens/s") }
		b.Run(fmt.Sprintf("score/threads=%d", threads), func(b *testing.B) {
			texts := make(chan []int32, 8)
			for b.Loop() {
				for range 8 {
					texts <- text(129)
				}
				each(8, func() error {
					_, err := m.scoreIDs(context.Background(), <-texts, 0)
					return err
				})
			}
			rate(b, 8*128)
		})
		b.Run(fmt.Sprintf("prefill/threads=%d", threads), func(b *testing.B) {
			texts := make(chan []int32, 4)
			for b.Loop() {
				for range 4 {
					texts <- text(128)
				}
				each(4, func() error { return gen(<-texts, 1) })
			}
			rate(b, 4*128)
		})
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("generate%d/threads=%d", n, threads), func(b *testing.B) {
				texts := make(chan []int32, n)
				for b.Loop() {
					for range n {
						texts <- text(16)
					}
					each(n, func() error { return gen(<-texts, 32) })
				}
				rate(b, n*32)
			})
		}
		m.Close()
	}
}

// BenchmarkOpen loads the demo model, hash and tokenizer included.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		m, err := open(context.Background(), options{path: demo.Name, choose: greedy}, model.Env{})
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}
