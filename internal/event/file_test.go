package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var at = time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC)

func fixed() time.Time { return at }

func read(t *testing.T, path string) []Event {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []Event
	if err := Read(f, func(e Event) bool { out = append(out, e); return true }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, err := OpenFile(path, fixed)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 500 {
				s.Emit(Event{Kind: TaskProgress, Task: fmt.Sprint(g), Done: i + 1})
			}
		}()
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Emit(Event{Kind: Note}) // late: dropped
	// a killed coordinator's last line, and the next one's events
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"time":"2025-01-02T`)
	f.Close()
	if s, err = OpenFile(path, fixed); err != nil {
		t.Fatal(err)
	}
	s.Emit(Event{Kind: RunDone})
	s.Close()
	got := read(t, path)
	if len(got) != 2001 || got[2000].Kind != RunDone || !got[0].Time.Equal(at) {
		t.Fatalf("%d events", len(got))
	}
	last := map[string]int{}
	for _, e := range got[:2000] { // each sender's own order is kept
		if e.Done != last[e.Task]+1 {
			t.Fatalf("%s: %d after %d", e.Task, e.Done, last[e.Task])
		}
		last[e.Task] = e.Done
	}
	b, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(b), `{"v":1,"kind":"header"}`+"\n") {
		t.Fatalf("%.40s", b)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	got := make(chan Event, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Tail(ctx, path, time.Millisecond, func(e Event) bool { got <- e; return true }) }()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expect := func(task string) {
		t.Helper()
		select {
		case e := <-got:
			if e.Task != task {
				t.Fatalf("got %q, want %q", e.Task, task)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q did not come", task)
		}
	}
	f.WriteString(`{"v":1,"kind":"header"}` + "\n" + `{"kind":"note","task":"a"}` + "\n" + `{"kind":"note",`)
	expect("a")
	f.WriteString(`"task":"b"}` + "\nnonsense\n" + `{"kind":"something_new","task":"c"}` + "\n")
	expect("b")
	expect("c")
	// a line longer than any buffer
	long := strings.Repeat("x", 1<<18)
	f.WriteString(`{"kind":"note","task":"d","text":"` + long + `"}` + "\n")
	expect("d")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// faulty fails every other write, after half of it.
type faulty struct {
	bytes.Buffer
	n int
}

func (w *faulty) Write(p []byte) (int, error) {
	if w.n++; w.n%2 == 1 {
		n, _ := w.Buffer.Write(p[:len(p)/2])
		return n, errors.New("disk full")
	}
	return w.Buffer.Write(p)
}
func (w *faulty) Close() error { return nil }

func TestDiskFullForAWhile(t *testing.T) {
	t.Parallel()
	w := &faulty{}
	s := idleSink(w, fixed) // it is written when this test says so, and only then
	close(s.done)
	var want []string
	for i := range 10 {
		s.Emit(Event{Kind: Note, Task: fmt.Sprint(i)})
		want = append(want, fmt.Sprint(i))
		if i%3 == 0 {
			s.flush()
		}
	}
	s.flush()
	s.flush()
	s.Close()
	var got []string
	Read(bytes.NewReader(w.Buffer.Bytes()), func(e Event) bool { got = append(got, e.Task); return true })
	// The event in the middle of which the disk was full may be lost; no other.
	lost := 0
	for _, x := range want {
		if !slices.Contains(got, x) {
			lost++
		}
	}
	if lost > w.n/2 || !slices.IsSorted(got) || len(got) < 5 {
		t.Fatalf("%q after %d writes", got, w.n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"v":1,"kind":"header"}` + "\n" + `{"kind":"note","task":"a"}` + "\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		if err := Read(bytes.NewReader(b), func(e Event) bool { n++; return e.Kind != "" }); err != nil {
			t.Fatal(err)
		}
		if n > bytes.Count(b, []byte("\n")) {
			t.Fatal("more events than lines")
		}
	})
}

func BenchmarkEmit(b *testing.B) {
	s, err := OpenFile(filepath.Join(b.TempDir(), "e"), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	e := Event{Kind: TaskProgress, Stage: "infer", Task: "OpenICLInfer[opt125m/siqa_0]", Model: "opt125m", Dataset: "siqa", Done: 1, Total: 1954}
	b.ReportAllocs()
	for range b.N {
		s.Emit(e)
	}
	s.Close()
}

var _ io.WriteCloser = (*faulty)(nil)
