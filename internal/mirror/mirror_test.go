package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/object"
	"sextant/internal/object/objecttest"
	"sextant/internal/py"
	"sextant/internal/store"
	"sextant/internal/task"
)

// lab is a run, its coordinator and its store.
type lab struct {
	t   *testing.T
	s   *objecttest.Server
	run *store.Run
	c   *Coordinator
	o   Options
	ref string
}

var inputs = store.Inputs{Data: "d", Prompt: "p", Settings: "s", Model: model.Identity{Name: "m"}}

func newLab(t *testing.T, stage string) *lab {
	t.Helper()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	l := &lab{t: t, s: objecttest.Serve(t), run: run}
	l.o = Options{URL: "s3://" + objecttest.Bucket + "/p", Store: object.Config{Getenv: l.s.Getenv}, Interval: 10 * time.Millisecond, Patience: time.Minute}
	l.c, err = New(run, l.o)
	if err != nil {
		t.Fatal(err)
	}
	l.submit(stage, nil)
	return l
}

// submit puts the index of one worker with one dataset where it is found.
func (l *lab) submit(stage string, files []string) {
	l.t.Helper()
	m := &task.Manifest{ID: stage + "-0001-00001", Attempt: 1, Run: l.run.Dir(), Stage: stage, Model: py.DictOf("abbr", "m"), ModelAbbr: "m",
		Units: []task.Unit{{Dataset: py.DictOf("abbr", "a"), Abbr: "a", Part: "a"}}}
	data, _, err := m.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	x := task.Index{Run: "../..", Entries: []task.IndexEntry{{Manifest: m.Path(), Inputs: l.c.Inputs(files)}}}
	text, err := x.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	const index = "state/kube/x.index.json"
	if err := errors.Join(l.run.WriteFile(m.Path(), data), l.run.WriteFile(index, text)); err != nil {
		l.t.Fatal(err)
	}
	if err := l.c.Push(context.Background(), append(files, m.Path(), index)); err != nil {
		l.t.Fatal(err)
	}
	l.ref = l.c.Ref(index)
}

// worker fetches for attempt restarts+1.
func (l *lab) worker(restarts int) *Worker {
	l.t.Helper()
	w, err := Fetch(context.Background(), l.ref, WorkerOptions{
		TempDir: l.t.TempDir(), Interval: time.Hour, // uploads when told to
		Getenv: func(n string) string {
			switch n {
			case task.IndexVar:
				return "0"
			case task.RestartsVar:
				return fmt.Sprint(restarts)
			}
			return l.s.Getenv(n)
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

// writer opens w's records of dataset a.
func (l *lab) writer(w *Worker, rows int) (*store.Run, *store.Writer) {
	l.t.Helper()
	r, err := store.Open(w.Manifest().Run)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { r.Close() })
	out, err := r.Writer(store.Header{Model: "m", Dataset: "a", Total: rows, Inputs: inputs}, w.Manifest().Writer(), store.WriterOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return r, out
}

func rowID(i int) string { return fmt.Sprintf("%064x", i+1) }

func put(t *testing.T, w *store.Writer, i int, text string) {
	t.Helper()
	if err := w.Put(context.Background(), infer.Record{Index: i, ID: rowID(i), State: infer.OK, Data: py.DictOf("prediction", text)}); err != nil {
		t.Fatal(err)
	}
}

// has checks that a writer found the first n of so many rows.
func has(t *testing.T, w *store.Writer, n, of int) {
	t.Helper()
	for i := range of {
		if got := w.Have(i, rowID(i)); got != (i < n) {
			t.Errorf("row %d: %v", i, got)
		}
	}
}

func (l *lab) flush(w *Worker) {
	l.t.Helper()
	if err := w.Flush(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// pull looks at everything.
func (l *lab) pull() {
	l.t.Helper()
	l.c.Since(time.Now())
	if err := l.c.Pull(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// again is a coordinator that comes later.
func (l *lab) again() {
	l.t.Helper()
	c, err := Resume(l.run, l.o)
	if err != nil || c == nil {
		l.t.Fatal(c, err)
	}
	l.c = c
}

func (l *lab) have() int {
	l.t.Helper()
	st, err := l.run.Status("m", "a", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return st.Have
}

// records are the writers' files in the run.
func (l *lab) records() map[string]string { return tree(l.t, l.run.Path("predictions/m/a.records")) }

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		out[filepath.Base(p)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What a worker appends reaches the run line by line, in pieces that are
// uploaded once they are full.
func TestRecords(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	_, out := l.writer(w, 4000)
	long := strings.Repeat("x", 1000)
	for i := range 1000 {
		put(t, out, i, long)
		if i%100 == 0 {
			l.flush(w)
			l.pull()
			if n := l.have(); n != i+1 {
				t.Fatalf("%d rows are here, %d were answered", n, i+1)
			}
		}
	}
	l.flush(w)
	l.pull()
	name := w.Manifest().Writer() + ".jsonl"
	want := tree(t, filepath.Join(w.Manifest().Run, "predictions/m/a.records"))[name]
	if got := l.records()[name]; got != want || len(want) < 1e6 {
		t.Errorf("%d bytes here, %d there", len(got), len(want))
	}
	keys := objecttest.Keys(t, l.s.Open(t), "")
	pieces := 0
	for _, k := range keys {
		if strings.Contains(k, "/"+outDir) {
			pieces++
		}
	}
	if pieces < 3 || pieces > 10 { // the last few of each

		t.Errorf("%d pieces: %q", pieces, keys)
	}
	// A coordinator that comes later gets the same, whatever a crash left here.
	for _, damage := range []func(string){
		func(string) {},
		func(p string) { os.Remove(p) },
		func(p string) { os.Truncate(p, 5000) },
		func(p string) { // a torn line behind what was downloaded
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(`{"v":1,"i":3999,"id":"`)
			f.Close()
		},
	} {
		damage(l.run.Path("predictions/m/a.records", name))
		l.again()
		l.pull()
		put(t, out, 1000, "more")
		l.flush(w)
		l.pull()
		want := tree(t, filepath.Join(w.Manifest().Run, "predictions/m/a.records"))[name]
		if got := l.records()[name]; got != want || l.have() != 1001 {
			t.Errorf("%d bytes here, %d there; %d rows", len(got), len(want), l.have())
		}
	}
}

// A file of records that workers were given and that a crash cut off here is
// whole again before anything is planned: workers will not ask what it holds.
func TestGivenRecords(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	out, err := l.run.Writer(store.Header{Model: "m", Dataset: "a", Total: 3, Inputs: inputs}, "infer-0000-00001-1", store.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put(t, out, i, "given")
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	var given string
	for name := range l.records() {
		given = "predictions/m/a.records/" + name
	}
	want := l.records()[filepath.Base(given)]
	l.submit(task.Infer, []string{given})
	p := l.run.Path(given)
	for name, damage := range map[string]func(){
		"cut off": func() { os.Truncate(p, int64(len(want)-7)) },
		"gone":    func() { os.Remove(p) },
		"whole":   func() {},
	} {
		damage()
		l.again()
		l.pull()
		if got := l.records()[filepath.Base(given)]; got != want || l.have() != 3 {
			t.Errorf("%s: %d of %d bytes, %d rows", name, len(got), len(want), l.have())
		}
	}
	// What is more than was given stays.
	if err := os.WriteFile(p, []byte(want+`{"v":1,"i":`), 0o666); err != nil {
		t.Fatal(err)
	}
	l.again()
	l.pull()
	if got := l.records()[filepath.Base(given)]; len(got) <= len(want) || l.have() != 3 {
		t.Errorf("%d bytes, %d rows", len(got), l.have())
	}
}

// Half a line, which may yet be taken back, stays where it is.
func TestHalfALine(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	_, out := l.writer(w, 3)
	put(t, out, 0, "one")
	p := filepath.Join(w.Manifest().Run, "predictions/m/a.records", w.Manifest().Writer()+".jsonl")
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"half`); err != nil {
		t.Fatal(err)
	}
	l.flush(w)
	l.pull()
	if got := l.records()[filepath.Base(p)]; got != string(whole) {
		t.Errorf("%q", got)
	}
	if err := f.Truncate(int64(len(whole))); err != nil {
		t.Fatal(err)
	}
	put(t, out, 1, "two")
	l.flush(w)
	l.pull()
	if n := l.have(); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// Lines larger than a piece may be go through too.
func TestLongLines(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	_, out := l.writer(w, 5)
	for i := range 5 {
		put(t, out, i, strings.Repeat("long ", maxPiece/4/5*(i+1)))
	}
	l.flush(w)
	l.pull()
	if n := l.have(); n != 5 {
		t.Errorf("%d rows", n)
	}
}

// A later attempt, and a worker of a later coordinator, find what was done.
func TestLaterAttempts(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	_, out := l.writer(w, 10)
	for i := range 4 {
		put(t, out, i, "x")
	}
	l.flush(w)
	// it dies; Kubernetes starts it again without asking the coordinator
	w2 := l.worker(1)
	if w2.Manifest().Attempt != 2 || w2.Manifest().Writer() == w.Manifest().Writer() || w2.Origin != l.run.Dir() {
		t.Errorf("%+v", w2.Manifest())
	}
	_, out2 := l.writer(w2, 10)
	has(t, out2, 4, 10)
	put(t, out2, 4, "y")
	l.flush(w2)
	// the same attempt twice at once: two files
	w3 := l.worker(1)
	_, out3 := l.writer(w3, 10)
	put(t, out3, 5, "z")
	l.flush(w3)
	put(t, out2, 6, "y")
	l.flush(w2)
	l.pull()
	if n := l.have(); n != 7 || len(l.records()) != 3 {
		t.Errorf("%d rows in %d files", n, len(l.records()))
	}
	// what came from the store is not sent back, what did not is
	files, err := l.run.RecordFiles("m", "a")
	if err != nil || len(files) != 3 || len(l.c.Inputs(files)) != 0 {
		t.Errorf("%q %v", files, err)
	}
	if err := l.c.Clean(context.Background()); err != nil {
		t.Fatal(err)
	}
	if c, err := Resume(l.run, l.o); c != nil || err != nil {
		t.Errorf("%v %v", c, err)
	}
	if l.c, err = New(l.run, l.o); err != nil {
		t.Fatal(err)
	}
	l.submit(task.Infer, files)
	_, out4 := l.writer(l.worker(0), 10)
	has(t, out4, 7, 10)
}

// A status never says more than the records beside it.
func TestStatusComesLast(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	r, out := l.writer(w, 100)
	rep := task.NewReporter(r, w.Manifest(), "host", 1, time.Millisecond)
	written := make(chan struct{})
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		defer close(written)
		for i := range 100 {
			if err := out.Put(t.Context(), infer.Record{Index: i, ID: rowID(i), State: infer.OK, Data: py.DictOf("prediction", "x")}); err != nil {
				t.Error(err)
			}
			rep.Unit(0, func(s *task.UnitStatus) { s.State, s.Done = task.Running, i+1 })
			if err := w.Flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	seen := 0
	for over := false; !over; {
		select {
		case <-written:
			over = true
		default:
		}
		if err := l.c.Pull(context.Background()); err != nil {
			t.Fatal(err)
		}
		st, err := task.ReadStatus(l.run.Path(w.Manifest().StatusPath()))
		if err != nil {
			t.Fatal(err)
		}
		if st == nil {
			continue
		}
		seen = st.Units[0].Done
		if n := l.have(); n < seen {
			t.Fatalf("the status says %d, %d rows are here", seen, n)
		}
	}
	if err := rep.Finish(task.Done, nil); err != nil {
		t.Fatal(err)
	}
	w.Start()
	dir := w.dir
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the worker's folder is still there: %v", err)
	}
	l.pull()
	st, err := task.ReadStatus(l.run.Path(w.Manifest().StatusPath()))
	if err != nil || st.State != task.Done || l.have() != 100 {
		t.Errorf("%+v %v, %d rows", st, err, l.have())
	}
}

// What was settled does not come back, to this coordinator or a later one.
func TestSettled(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	w := l.worker(0)
	_, out := l.writer(w, 2)
	put(t, out, 0, "x")
	put(t, out, 1, "y")
	l.flush(w)
	l.pull()
	l.c.Do(func() {
		if _, err := l.run.Settle("m", "a", nil, nil); err != nil {
			t.Error(err)
		}
		l.c.Settled("m", "a")
	})
	for range 2 {
		l.pull()
		if st, err := l.run.Status("m", "a", nil); err != nil || !st.Settled {
			t.Errorf("%+v %v", st, err)
		}
		l.again()
	}
}

// A result and its statement come together or not at all.
func TestResults(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Eval)
	write := func(w *Worker, score float64, eval string) {
		r, err := store.Open(w.Manifest().Run)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.WriteResult("m", "a", py.DictOf("accuracy", score), store.ResultMeta{Predictions: "p", Eval: eval}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(score float64, eval string) {
		t.Helper()
		d, err := l.run.Result("m", "a")
		if err != nil || d.Get("accuracy") != score {
			t.Errorf("%v %v, want %v", d, err, score)
		}
		if m, ok := l.run.ResultMeta("m", "a"); !ok || m.Eval != eval {
			t.Errorf("%+v %v", m, ok)
		}
	}
	w := l.worker(0)
	write(w, 50.0, "one")
	l.flush(w)
	l.pull()
	check(50.0, "one")
	// A later attempt has it; replaced, the new one comes.
	w2 := l.worker(1)
	r, err := store.Open(w2.Manifest().Run)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if done, _, _, err := r.ResultDone("m", "a", store.ResultMeta{Predictions: "p", Eval: "one"}); !done || err != nil {
		t.Errorf("%v %v", done, err)
	}
	write(w2, 7.25, "two")
	l.flush(w2)
	l.pull()
	check(7.25, "two")
	// The statement of another result is not believed, here or by a worker.
	b := l.s.Open(t)
	text := `{"v":1,"eval":"three","result":{"size":5,"sha256":"00"}}`
	if err := b.Put(context.Background(), l.c.prefix+outDir+statementsDir+"m/a.json", strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
	l.pull()
	check(7.25, "two")
	if left := tree(t, filepath.Join(l.worker(2).Manifest().Run, "results")); len(left) > 0 {
		t.Errorf("%v", left)
	}
	// Handed to the next workers from the run.
	files, err := l.run.ScoreFiles("m", "a")
	if err != nil || len(files) != 2 {
		t.Errorf("%q %v", files, err)
	}
}

// Keys that would leave the run, or are not what workers write, are passed
// over.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	b := l.s.Open(t)
	for _, k := range []string{
		"status/../../evil/1.json", "status/a/b/1.json", "status/a/1.txt", "out/predictions/../../x.records/y.jsonl/000000000000-000000000003",
		"out/results/../../../evil.json", "out/state/results/../../../evil.json", "out/coordinator.json", "out/predictions/m/a.jsonl", "other",
	} {
		if err := b.Put(context.Background(), l.c.prefix+k, strings.NewReader("{}\n"), 3); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, filepath.Dir(l.run.Dir()))
	l.pull()
	after := tree(t, filepath.Dir(l.run.Dir()))
	if len(before) != len(after) {
		t.Errorf("%d files before, %d after: %v", len(before), len(after), after)
	}
}

// An outage is told once and waited for; a refusal that lasts is an error.
func TestOutage(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	var mu sync.Mutex
	var notes []string
	l.o.Note = func(f string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, fmt.Sprintf(f, a...))
	}
	told := func(text string) int {
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(strings.Join(notes, "\n"), text)
	}
	l.o.Patience = 200 * time.Millisecond
	l.again()
	w := l.worker(0)
	_, out := l.writer(w, 2)
	put(t, out, 0, "x")
	l.s.Cut()
	if err := w.Flush(context.Background()); !object.Transient(err) {
		t.Errorf("%v", err)
	}
	if err := l.c.Begin(context.Background()); !object.Transient(err) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var looped sync.WaitGroup
	looped.Go(func() { l.c.Loop(ctx) })
	defer looped.Wait()
	defer cancel()
	until(t, "the note", func() bool { return told("trying again") > 0 }) // of Begin or Loop
	put(t, out, 1, "y")
	l.s.Mend()
	l.flush(w)
	until(t, "the good news", func() bool { return told("answers again") > 0 })
	if n := told("trying again"); n != 1 {
		t.Errorf("told %d times", n)
	}
	until(t, "the rows", func() bool { return l.have() == 2 || l.c.Since(time.Now()) })
	if l.c.Err() != nil {
		t.Error(l.c.Err())
	}
	l.s.Refuse("403 AccessDenied")
	until(t, "the refusal", func() bool { return l.c.Err() != nil })
	var h interface{ Hint() string }
	if err := l.c.Err(); !errors.As(err, &h) || !strings.Contains(h.Hint(), "s3:GetObject") {
		t.Errorf("%v", err)
	}
	l.s.Refuse("")
	until(t, "its end", func() bool { return l.c.Err() == nil })
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestOtherPlace(t *testing.T) {
	t.Parallel()
	l := newLab(t, task.Infer)
	o := l.o
	o.URL = "s3://" + objecttest.Bucket + "/elsewhere"
	_, err := New(l.run, o)
	var e *OtherPlaceError
	if !errors.As(err, &e) || !strings.Contains(e.Hint(), "object.json") {
		t.Errorf("%v", err)
	}
}

func TestRef(t *testing.T) {
	t.Parallel()
	url, index, ok := ParseRef(Ref("s3://b/in/state/x", "state/kube/j.index.json"))
	if !ok || url != "s3://b/in/state/x" || index != "state/kube/j.index.json" {
		t.Error(url, index, ok)
	}
	for _, s := range []string{"/run/state/kube/j.index.json", "s3://b/p/state/kube/x", "", "in/state/x"} {
		if _, _, ok := ParseRef(s); ok {
			t.Errorf("%q", s)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	ps := []piece{{"a", 0, 10}, {"b", 0, 12}, {"c", 12, 15}, {"d", 17, 20}}
	for offset, want := range map[int64]string{0: "b", 10: "b", 11: "b", 12: "c", 15: "", 16: "", 17: "d", 20: ""} {
		if p, ok := reach(ps, offset); p.key != want || ok != (want != "") {
			t.Errorf("%d: %+v %v", offset, p, ok)
		}
	}
}

func FuzzLastLine(f *testing.F) {
	f.Add([]byte("a\nbc\nd"), 0, 3)
	f.Add([]byte("abc"), 1, 2)
	f.Fuzz(func(t *testing.T, data []byte, from, most int) {
		from, most = abs(from)%(len(data)+1), abs(most)%(len(data)+1)
		if most < from {
			from, most = most, from
		}
		end, err := lastLine(bytes.NewReader(data), int64(from), int64(most), int64(len(data)))
		if err != nil || end < int64(from) || end > int64(len(data)) {
			t.Fatal(end, err)
		}
		if end > int64(from) && data[end-1] != '\n' {
			t.Error("ends within a line")
		}
		if end == int64(from) && bytes.IndexByte(data[from:], '\n') >= 0 {
			t.Error("a whole line was passed over")
		}
		if end > int64(most) && bytes.IndexByte(data[from:end-1], '\n') >= 0 && bytes.LastIndexByte(data[from:most], '\n') >= 0 {
			t.Error("more than was asked for")
		}
	})
}

func abs(n int) int {
	if n < 0 {
		n = -(n + 1)
	}
	return n
}

func FuzzParsePiece(f *testing.F) {
	f.Add("predictions/m/a.records/w.jsonl/000000000012-000000000020", int64(8))
	f.Fuzz(func(t *testing.T, s string, size int64) {
		file, p, ok := parsePiece(s, object.Info{Key: s, Size: size})
		if ok && (p.first < 0 || p.end-p.first != size || pieceKey(file, p.first, p.end) != s && len(s)-len(file) == 26) {
			t.Errorf("%q: %q %+v", s, file, p)
		}
	})
}
