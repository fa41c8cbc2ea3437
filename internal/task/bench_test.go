package task

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/store"
)

// What the frame adds to a sample: its record on the disk and what is told of
// it.
func BenchmarkSample(b *testing.B) {
	run, err := store.Create(b.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		b.Fatal(err)
	}
	defer run.Close()
	events, err := event.OpenFile(run.Path("events.jsonl"), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer events.Close()
	w, err := run.Writer(store.Header{Model: "fake", Dataset: "siqa", Total: b.N, Inputs: store.Inputs{Data: "d", Prompt: "p", Settings: "s", Model: model.Identity{Name: "fake"}}},
		"infer-0001-00001-1", store.WriterOptions{Sole: true})
	if err != nil {
		b.Fatal(err)
	}
	sink := &countingSink{
		w: w, d: Deps{Events: events, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, max: -1, cancel: func(error) {},
		ev: event.Event{Kind: event.TaskProgress, Task: "OpenICLInfer[fake/siqa]", Model: "fake", Dataset: "siqa", Total: b.N},
	}
	prompt := strings.Repeat("Tracy didn't go home that evening and resisted Riley's attacks. ", 5)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		rec := infer.Record{
			Index: i, ID: fmt.Sprintf("%064x", i), State: infer.OK,
			Data: py.DictOf("origin_prompt", prompt, "prediction", "The answer is B.", "gold", "B"),
		}
		if err := sink.Put(context.Background(), rec); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
