package term

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/event"
	"sextant/internal/source"
	"sextant/internal/summary"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/name, escape sequences made visible.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(got)
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, run with -update to accept):\n%s", path, diff)
	}
}

// clockAt is a clock that tests move by hand.
type fakeClock struct{ now time.Time }

func newClock() *fakeClock {
	return &fakeClock{time.Date(2026, 11, 23, 20, 1, 23, 0, time.UTC)}
}
func (c *fakeClock) Now() time.Time { return c.now }

type bundle struct {
	ui       *UI
	out, err bytes.Buffer
	clock    *fakeClock
}

func setup(o Options) *bundle {
	b := &bundle{clock: newClock()}
	o.Out, o.Err, o.Now, o.Refresh = &b.out, &b.err, b.clock.Now, -1
	b.ui = New(o)
	return b
}

const siqa, wino, broken = "OpenICLInfer[opt-demo/siqa]", "OpenICLInfer[opt-demo/winogrande]", "OpenICLInfer[opt-big/siqa]"

// play runs a small evaluation of 65 seconds: three tasks, one of which fails
// and one of which reuses samples.
func play(b *bundle, frame func(name string)) {
	emit := func(e event.Event) { e.Time = b.clock.Now(); b.ui.Emit(e) }
	wait := func(d time.Duration) { b.clock.now = b.clock.now.Add(d) }
	emit(event.Event{Kind: event.RunStarted, Total: 3})
	emit(event.Event{Kind: event.StageStarted, Stage: "infer", Total: 3})
	for _, n := range []string{siqa, wino, broken} {
		emit(event.Event{Kind: event.TaskQueued, Task: n})
	}
	frame("queued")
	emit(event.Event{Kind: event.TaskStarted, Task: siqa, Model: "opt-demo", Dataset: "siqa", Attempt: 1})
	emit(event.Event{Kind: event.TaskStarted, Task: wino, Model: "opt-demo", Dataset: "winogrande", Attempt: 1})
	wait(2 * time.Second)
	frame("starting")
	emit(event.Event{Kind: event.TaskStarted, Task: broken, Attempt: 1})
	for i := 1; i <= 20; i++ {
		emit(event.Event{Kind: event.TaskProgress, Task: siqa, Dataset: "siqa", Done: i * 97, Total: 1954})
		emit(event.Event{Kind: event.TaskProgress, Task: wino, Dataset: "winogrande", Done: 400 + i*20, Reused: 400, Total: 1267, Failed: i / 5})
		if i == 1 {
			frame("first samples: no rate yet")
		}
		if i == 5 {
			emit(event.Event{Kind: event.TaskRetried, Task: broken, Attempt: 1, Error: "connection reset"})
			emit(event.Event{Kind: event.TaskStarted, Task: broken, Attempt: 2})
		}
		if i == 10 {
			frame("in the middle")
			emit(event.Event{Kind: event.TaskFailed, Task: broken, Error: "model.safetensors: truncated \x1b[2Jat byte 8", Log: "logs/infer/opt-big/siqa.out"})
		}
		wait(time.Second)
	}
	frame("nearly done")
	emit(event.Event{Kind: event.TaskProgress, Task: siqa, Dataset: "siqa", Done: 1954, Total: 1954})
	emit(event.Event{Kind: event.TaskFinished, Task: siqa, Model: "opt-demo", Dataset: "siqa", Done: 1954, Seconds: 22})
	wait(43 * time.Second)
	emit(event.Event{Kind: event.Note, Text: "winogrande: label file has one line more than there are rows"})
	emit(event.Event{Kind: event.TaskFinished, Task: wino, Model: "opt-demo", Dataset: "winogrande", Done: 1267, Reused: 400, Failed: 4, Seconds: 65})
	emit(event.Event{Kind: event.StageDone, Stage: "infer"})
	frame("after the stage")
	emit(event.Event{Kind: event.RunDone})
}

func TestPlain(t *testing.T) {
	b := setup(Options{})
	play(b, func(string) {})
	b.ui.Close()
	golden(t, "progress_plain.txt", b.err.String())
	if b.out.Len() > 0 {
		t.Errorf("progress on stdout: %q", b.out.String())
	}
	if strings.Contains(b.err.String(), "\x1b") {
		t.Error("escape sequences in a pipe")
	}
}

// Thousands of tasks do not get thousands of lines; what goes wrong does.
func TestPlainManyTasks(t *testing.T) {
	b := setup(Options{})
	const n = 1000
	emit := func(e event.Event) { e.Time = b.clock.Now(); b.ui.Emit(e) }
	emit(event.Event{Kind: event.StageStarted, Stage: "infer", Total: n})
	for i := range n {
		name := fmt.Sprintf("OpenICLInfer[fake/siqa_%d]", i)
		emit(event.Event{Kind: event.TaskStarted, Task: name, Model: "fake", Dataset: "siqa", Attempt: 1})
		b.clock.now = b.clock.now.Add(20 * time.Millisecond)
		emit(event.Event{Kind: event.TaskProgress, Task: name, Model: "fake", Dataset: "siqa", Done: 1, Total: 1})
		if i%100 == 7 { // told once
			emit(event.Event{Kind: event.SampleFailed, Task: name, Model: "fake", Dataset: "siqa", Index: i, Error: fmt.Sprintf("context_length: %d tokens, 2048 fit", 2049+i)})
		}
		if i == 500 {
			emit(event.Event{Kind: event.TaskFailed, Task: name, Model: "fake", Dataset: "siqa", Error: "out of luck"})
			continue
		}
		emit(event.Event{Kind: event.TaskFinished, Task: name, Model: "fake", Dataset: "siqa", Done: 1, Seconds: 0.02})
	}
	emit(event.Event{Kind: event.StageDone, Stage: "infer"})
	b.ui.Close()
	golden(t, "progress_many.txt", b.err.String())
}

func TestBars(t *testing.T) {
	for _, width := range []int{100, 60, 30} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			b := setup(Options{ErrTTY: true, NoColor: true, Width: func() int { return width }, MaxRows: 2})
			var got strings.Builder
			play(b, func(name string) {
				b.ui.Redraw()
				fmt.Fprintf(&got, "== %s\n%s", name, screen(b.err.String()))
			})
			b.ui.Close()
			fmt.Fprintf(&got, "== closed\n%s", screen(b.err.String()))
			golden(t, fmt.Sprintf("progress_bars_%d.txt", width), got.String())
			for _, l := range strings.Split(got.String(), "\n") {
				if !strings.HasPrefix(l, "infer: ") && !strings.HasPrefix(l, "winogrande: ") && cells.StringWidth(l) >= width && !strings.HasPrefix(l, "==") {
					t.Errorf("a row of progress as wide as the screen (%d): %q", width, l)
				}
			}
		})
	}
}

// screen is what a terminal would show of the output: it knows the one
// sequence that erases the bars.
func screen(s string) string {
	var lines []string
	for s != "" {
		if rest, ok := strings.CutPrefix(s, "\r\x1b["); ok {
			var n int
			fmt.Sscanf(rest, "%dA", &n)
			_, s, _ = strings.Cut(rest, "\x1b[J")
			lines = lines[:len(lines)-n]
			continue
		}
		line, rest, ok := strings.Cut(s, "\n")
		if !ok {
			lines = append(lines, line+" (no newline)")
			break
		}
		lines, s = append(lines, line), rest
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestBarsColour(t *testing.T) {
	b := setup(Options{ErrTTY: true, Width: func() int { return 90 }})
	play(b, func(name string) {
		if name == "in the middle" {
			b.err.Reset()
			b.ui.drawn = 0
			b.ui.Redraw()
			golden(t, "progress_colour.txt", b.err.String())
		}
	})
}

func TestQuietAndJSON(t *testing.T) {
	b := setup(Options{Quiet: true, ErrTTY: true})
	play(b, func(string) { b.ui.Redraw() })
	b.ui.Note("x")
	b.ui.Close()
	if b.err.Len()+b.out.Len() > 0 {
		t.Errorf("quiet says %q %q", b.out.String(), b.err.String())
	}
	b.ui.Warn("3 rows have no label")
	b.ui.WarnError(errors.New("no column x"))
	if got := b.err.String(); !strings.Contains(got, "3 rows have no label") || !strings.Contains(got, "no column x") {
		t.Errorf("quiet hides warnings: %q", got)
	}
	b.ui.Error(errors.New("open x: no such file"))
	if got := b.err.String(); !strings.Contains(got, "open x: no such file") {
		t.Errorf("quiet hides an error: %q", got)
	}

	b = setup(Options{JSON: true, ErrTTY: true, OutTTY: true})
	play(b, func(string) { b.ui.Redraw() })
	b.ui.Note("a note\nof two lines")
	b.ui.Error(errors.New("bad"))
	b.ui.Table(demoTable())
	b.ui.Close()
	if b.err.Len() > 0 {
		t.Errorf("JSON form says %q on stderr", b.err.String())
	}
	kinds := map[string]int{}
	for _, l := range strings.Split(strings.TrimSuffix(b.out.String(), "\n"), "\n") {
		var v struct {
			Kind string
			Time time.Time
		}
		if err := json.Unmarshal([]byte(l), &v); err != nil || v.Kind == "" || v.Time.IsZero() {
			t.Fatalf("not a line of the contract: %s (%v)", l, err)
		}
		kinds[v.Kind]++
	}
	for _, k := range []string{"task_progress", "task_failed", "note", "error", "table"} {
		if kinds[k] == 0 {
			t.Errorf("no line of kind %s: %v", k, kinds)
		}
	}
}

func iv(lo, hi float64) *summary.Interval { return &summary.Interval{Lo: lo, Hi: hi} }

func demoTable() *summary.Table {
	ok := func(v, lo, hi float64, n int) summary.Cell {
		return summary.Cell{State: summary.OK, Score: v, Interval: iv(lo, hi), Counts: summary.Counts{Total: n, Scored: n}}
	}
	return &summary.Table{
		Models: []string{"opt-demo", "opt-125m-hf", "a-model-with-quite-a-long-name-instruct"},
		Rows: []summary.Row{
			{Kind: summary.Heading, Dataset: "Reasoning"},
			{Kind: summary.Scores, Dataset: "siqa", Version: "ced5f6", Metric: "accuracy", Mode: "ppl", Cells: []summary.Cell{
				ok(38.33, 36.2, 40.51, 1954),
				{State: summary.Partial, Score: 39.9, Interval: iv(37.7, 42.1), Counts: summary.Counts{Total: 1954, Scored: 1930, Unscored: 17, Failed: 7}, Reason: "7 of 1954 samples failed"},
				{State: summary.Missing, Reason: "no result"},
			}},
			{Kind: summary.Scores, Dataset: "winogrande", Version: "55a66e", Metric: "accuracy", Mode: "ppl", Cells: []summary.Cell{
				ok(50.43, 47.7, 53.2, 1267), ok(100, 99.7, 100, 1267),
				{State: summary.Failed, Reason: "predictions and references have different length"},
			}},
			{Kind: summary.Scores, Dataset: "中文数据集-with-a-long-name", Version: "aaaaaa", Metric: "humaneval_pass@1", Mode: "gen", Cells: []summary.Cell{
				{State: summary.OK, Score: 7}, {State: summary.OK, Score: 12.345}, {State: summary.OK, Score: 0.5},
			}},
			{Kind: summary.Scores, Group: true, Dataset: "average", Metric: "naive_average", Mode: "mixed", Cells: []summary.Cell{
				ok(44.38, 42.6, 46.2, 3221), {State: summary.Missing}, {State: summary.Missing},
			}},
			{Kind: summary.Unknown, Dataset: "nope", Cells: make([]summary.Cell, 3)},
		},
	}
}

func TestDraw(t *testing.T) {
	var b strings.Builder
	for _, o := range []DrawOptions{{}, {Unicode: true, Width: 140}, {Unicode: true, Width: 90}, {Unicode: true, Width: 60}, {Unicode: true, Width: 34}} {
		s := Draw(demoTable(), o)
		fmt.Fprintf(&b, "== %+v\n%s", o, s)
		for _, l := range strings.Split(s, "\n") {
			if strings.ContainsAny(l, "│╭╰├") && o.Width > 0 && cells.StringWidth(l) > max(o.Width, 50) {
				t.Errorf("width %d: %q", o.Width, l)
			}
		}
	}
	golden(t, "table.txt", b.String())
	golden(t, "table_colour.txt", Draw(demoTable(), DrawOptions{Unicode: true, Color: true, Width: 140}))
	for _, r := range Draw(demoTable(), DrawOptions{}) {
		if r > 127 && !strings.ContainsRune("中文数据集", r) {
			t.Errorf("%q in a piped table", r)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	files := source.NewSet()
	text := "from x import y\nevaluator = dict(type=AccEvaluatr)\n"
	top := files.Add("eval_all.py", "with read_base():\n    from .eval import *\n", 0)
	f := files.Add("eval.py", text, top.Pos(22))
	at := strings.Index(text, "AccEvaluatr")
	d := source.Errorf(f.Pos(at), "unknown evaluator %q", "AccEvaluatr").WithHint("did you mean %q?", "AccEvaluator")
	d.End = f.Pos(at + len("AccEvaluatr"))
	err := fmt.Errorf("check config: %w", errors.Join(d, source.Errorf(0, "no models")))
	for name, o := range map[string]Options{"plain": {}, "colour": {ErrTTY: true}, "no_color": {ErrTTY: true, NoColor: true}} {
		b := setup(o)
		b.ui.SetFiles(files)
		b.ui.Error(err)
		b.ui.Warn("half precision flips predictions")
		b.ui.Note("results in %s", "outputs/demo")
		b.ui.Close()
		golden(t, "diagnostic_"+name+".txt", b.err.String())
	}
}

func TestRate(t *testing.T) {
	t0 := time.Unix(0, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	var r rate
	r.add(5000, at(100)) // reused or loading: starts the clock
	if _, ok := r.perSecond(at(101)); ok {
		t.Error("a rate out of nothing")
	}
	for i := 1; i <= 30; i++ {
		r.add(10, at(100+float64(i)/10))
	}
	if v, ok := r.perSecond(at(103)); !ok || v < 99 || v > 101 {
		t.Errorf("steady 100/s is %v, %v", v, ok)
	}
	if d, ok := r.left(1000, at(103)); !ok || d < 9*time.Second || d > 11*time.Second {
		t.Errorf("1000 left at 100/s: %v, %v", d, ok)
	}
	if v, _ := r.perSecond(at(133)); v > 20 {
		t.Errorf("after 30 s of silence still %v/s", v)
	}
	for i := 1; i <= 300; i++ {
		r.add(1, at(133+float64(i)/10))
	}
	if v, _ := r.perSecond(at(163)); v < 9 || v > 12 {
		t.Errorf("30 s at 10/s after a silence: %v/s", v)
	}
	// a batch of 32 arrives at one instant every second
	var batch rate
	for i := 0; i < 20; i++ {
		for range 32 {
			batch.add(1, at(float64(i)))
		}
	}
	if v, _ := batch.perSecond(at(19.5)); v < 26 || v > 40 {
		t.Errorf("32 a second in bursts: %v/s", v)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{source.Number(0), "0"}, {source.Number(999), "999"}, {source.Number(1954), "1,954"}, {source.Number(-1234567), "-1,234,567"},
		{perSec(98.24), "98.2/s"}, {perSec(1234.4), "1,234/s"}, {perSec(0.05), "20 s each"}, {perSec(3.14159), "3.14/s"},
		{clock(7 * time.Second), "0:07"}, {clock(3723 * time.Second), "1:02:03"}, {clock(-time.Second), "0:00"},
		{Clean("a\x1b[2Jb\u202ec\td\n"), "a\\x1b[2Jb\\x202ec\td\n"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	u := New(Options{Out: io.Discard, Err: io.Discard, ErrTTY: true, Refresh: time.Millisecond})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			task := fmt.Sprint("t", w)
			u.Emit(event.Event{Kind: event.TaskStarted, Task: task})
			for i := range 200 {
				u.Emit(event.Event{Kind: event.TaskProgress, Task: task, Done: i, Total: 200})
				u.Note("n")
			}
			u.Emit(event.Event{Kind: event.TaskFinished, Task: task})
		})
	}
	wg.Wait()
	u.Table(demoTable())
	u.Close()
	u.Note("after the end")
}

// FuzzDraw: whatever the names and the width, no control character reaches the
// terminal.
func FuzzDraw(f *testing.F) {
	f.Add("siqa", "opt-demo", 40)
	f.Add("中文\x1b[2J", "😀👩‍👩‍👧", 20)
	f.Fuzz(func(t *testing.T, ds, model string, width int) {
		tab := &summary.Table{Models: []string{model, "m"}, Rows: []summary.Row{{Kind: summary.Scores, Dataset: ds, Metric: ds,
			Cells: []summary.Cell{{State: summary.OK, Score: 1}, {State: summary.Failed, Reason: model}}}}}
		s := Draw(tab, DrawOptions{Unicode: true, Width: width % 300})
		if strings.ContainsAny(s, "\x1b\r\x00") {
			t.Errorf("control characters reach the terminal: %q", s)
		}
	})
}

func BenchmarkEmit(b *testing.B) {
	u := New(Options{Out: io.Discard, Err: io.Discard, ErrTTY: true, Refresh: -1})
	now := time.Unix(0, 0)
	b.ReportAllocs()
	for i := range b.N {
		u.Emit(event.Event{Time: now.Add(time.Duration(i) * time.Millisecond), Kind: event.TaskProgress, Task: "t", Dataset: "d", Done: i, Total: b.N})
	}
}
