//go:build engine && cgo

package engine

import (
	"fmt"
	"slices"
	"testing"
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
