package store

import (
	"context"
	"testing"
)

// What a record costs, the write included; the aim is below 20 µs together
// with an event.
func BenchmarkPut(b *testing.B) {
	r := testRun(b)
	w := mustWriter(b, r, head(b.N, "p"), "w", WriterOptions{Sole: true})
	x := rec(0, "p")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		x.Index = i
		if err := w.Put(context.Background(), x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	const n = 10000
	for range b.N {
		b.StopTimer()
		r := testRun(b)
		w := mustWriter(b, r, head(n, "p"), "w", WriterOptions{})
		for i := range n {
			put(b, w, rec(i, "p"))
		}
		w.Close()
		b.StartTimer()
		mustSettle(b, r, inputs("p"))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/record")
}

func BenchmarkOpen(b *testing.B) {
	const n = 10000
	r := testRun(b)
	w := mustWriter(b, r, head(n, "p"), "w", WriterOptions{Sole: true})
	for i := range n {
		put(b, w, rec(i, "p"))
	}
	w.Close()
	b.ResetTimer()
	for range b.N {
		w, err := r.Writer(head(n, "p"), "w", WriterOptions{Sole: true})
		if err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/record")
}
