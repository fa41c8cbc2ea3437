package mirror

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sextant/internal/object"
	"sextant/internal/task"
)

// IntervalVar says how often a worker uploads what it has added, as a Go
// duration.
const IntervalVar = "SEXTANT_OBJECT_INTERVAL"

// WorkerOptions are what a Worker needs of its surroundings. Zero fields mean
// the defaults named.
type WorkerOptions struct {
	Getenv  func(string) string
	TempDir string // the system's
	Log     *slog.Logger
	// Interval is how often what was added is uploaded: IntervalVar, 1 s.
	Interval time.Duration
	// Patience is how long a store that does not answer is waited for at the
	// start; 10 min.
	Patience time.Duration
}

// deliver is how long a worker that is done tries to hand in the rest: without
// it, its last second of work would be done again.
const deliver = time.Hour

// Worker is a run's folder on a worker's machine.
type Worker struct {
	place
	o   WorkerOptions
	dir string // to be removed
	run string
	m   *task.Manifest

	// Origin is the run's folder where the coordinator is.
	Origin string

	passing sync.Mutex // guards the rest
	doubt   bool       // a request failed: it may be carried out yet
	sent    map[string][]byte
	records map[string]*growing
	results map[string]stamp // of results as they were fetched or uploaded

	stop chan struct{}
	done chan struct{}
}

// growing is a file of records and how far it is uploaded.
type growing struct {
	first int64 // where the piece begins that is still growing
	sent  int64
	last  string // key of the piece as it was uploaded last
	stale string // key that it had before, to be deleted
}

// Fetch makes a folder with everything that the worker named by a reference
// reads. Close removes it.
func Fetch(ctx context.Context, ref string, o WorkerOptions) (*Worker, error) {
	url, index, ok := ParseRef(ref)
	if !ok || !filepath.IsLocal(filepath.FromSlash(index)) {
		return nil, fmt.Errorf("%q is no reference of an index of workers", ref)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Minute
	}
	if v := o.Getenv(IntervalVar); o.Interval <= 0 && v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("variable %s is %q, must be a duration such as 1s", IntervalVar, v)
		}
		o.Interval = d
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	p, err := open(url, object.Config{Getenv: o.Getenv})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.TempDir, "sextant-worker-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to work in: %w", err)
	}
	w := &Worker{
		place: p, o: o, dir: dir, run: filepath.Join(dir, path.Base(url)),
		sent: map[string][]byte{}, records: map[string]*growing{}, results: map[string]stamp{}, stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := w.fetch(ctx, index); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return w, nil
}

// Manifest is what the worker is to do; its Run is the folder here.
func (w *Worker) Manifest() *task.Manifest { return w.m }

func (w *Worker) fetch(ctx context.Context, index string) error {
	data, err := w.download(ctx, inDir+index, index)
	if err != nil {
		return fmt.Errorf("fetch index of workers: %w", err)
	}
	x, err := task.DecodeIndex(data)
	if err != nil {
		return err
	}
	e, err := x.Entry(w.o.Getenv)
	if err != nil {
		return fmt.Errorf("read index of workers: %w", err)
	}
	if data, err = w.download(ctx, inDir+filepath.ToSlash(e.Manifest), e.Manifest); err != nil {
		return fmt.Errorf("fetch manifest: %w", err)
	}
	var origin struct {
		Run string `json:"run"`
	}
	if err := json.Unmarshal(data, &origin); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	w.Origin = origin.Run
	if w.m, err = task.ReadManifest(filepath.Join(w.run, filepath.FromSlash(index)), w.o.Getenv); err != nil {
		return err
	}
	w.m.Instance = strings.ToLower(rand.Text()[:6])
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, f := range e.Inputs {
		g.Go(func() error { return w.input(gctx, inDir+f, f) })
	}
	seen := map[string]bool{}
	for _, u := range w.m.Units {
		if seen[u.Abbr] {
			continue
		}
		seen[u.Abbr] = true
		if w.m.Stage == task.Infer {
			g.Go(func() error { return w.earlier(gctx, path.Join("predictions", w.m.ModelAbbr, u.Abbr+".records")) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if w.m.Stage != task.Eval {
		return nil
	}
	for abbr := range seen {
		if err := w.earlierResult(ctx, path.Join(w.m.ModelAbbr, abbr+".json")); err != nil {
			return err
		}
	}
	return nil
}

// input fetches a file that the coordinator put there.
func (w *Worker) input(ctx context.Context, key, rel string) error {
	dst, err := w.localPath(rel)
	if err != nil {
		return err
	}
	return w.patiently(ctx, func() error {
		f, err := os.Create(dst)
		if err != nil {
			return fmt.Errorf("fetch %s: %w", rel, err)
		}
		err = w.b.Download(ctx, w.prefix+key, f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", rel, err)
		}
		return nil
	})
}

// localPath is where a file of the run is here; its folder is made.
func (w *Worker) localPath(rel string) (string, error) {
	dst := filepath.Join(w.run, filepath.FromSlash(rel))
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return "", fmt.Errorf("fetch %s: %w", rel, err)
	}
	return dst, nil
}

// download fetches a small file and keeps it.
func (w *Worker) download(ctx context.Context, key, rel string) (data []byte, err error) {
	dst, err := w.localPath(rel)
	if err != nil {
		return nil, err
	}
	if err := w.patiently(ctx, func() (err error) {
		data, err = get(ctx, w.b, w.prefix+key, 0)
		return err
	}); err != nil {
		return nil, err
	}
	return data, os.WriteFile(dst, data, 0o666)
}

func (w *Worker) patiently(ctx context.Context, f func() error) error {
	return retry(ctx, w.o.Patience, func(err error) { w.o.Log.Warn("object store does not answer; trying again", "error", err) }, f)
}

// earlier fetches the records of a dataset that other workers, and earlier
// attempts of this one, have uploaded.
func (w *Worker) earlier(ctx context.Context, dir string) error {
	err := relist(func() error {
		pieces := map[string][]piece{}
		if err := w.patiently(ctx, func() error {
			clear(pieces)
			return w.list(ctx, outDir+dir+"/", func(rel string, i object.Info) {
				if file, p, ok := parsePiece(dir+"/"+rel, i); ok && filepath.IsLocal(filepath.FromSlash(file)) {
					pieces[file] = append(pieces[file], p)
				}
			})
		}); err != nil {
			return err
		}
		for file, ps := range pieces {
			if err := w.patiently(ctx, func() error { return w.earlierFile(ctx, file, ps) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fetch records: %w", err)
	}
	return nil
}

func (w *Worker) earlierFile(ctx context.Context, file string, ps []piece) error {
	dst, err := w.localPath(file)
	if err != nil {
		return err
	}
	f, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer f.Close() // again, where all went well
	if err := tail(ctx, w.b, ps, 0, func(data []byte) error { _, err := f.Write(data); return err }); err != nil {
		return err
	}
	return f.Close()
}

// earlierResult fetches a result that an earlier attempt uploaded, and makes
// sure that a result that is here has the statement that belongs to it.
func (w *Worker) earlierResult(ctx context.Context, name string) error {
	var statement, result []byte
	err := w.patiently(ctx, func() (err error) {
		if statement, err = get(ctx, w.b, w.prefix+outDir+statementsDir+name, 0); err == nil {
			result, err = get(ctx, w.b, w.prefix+outDir+resultsDir+name, 0)
		}
		return err
	})
	if err != nil && !object.NotExist(err) {
		return fmt.Errorf("look for a result: %w", err)
	}
	sdst, err1 := w.localPath(statementsDir + name)
	rdst, err2 := w.localPath(resultsDir + name)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err == nil && fits(statement, int64(len(result)), digest(result)) {
		if err := errors.Join(os.WriteFile(sdst, statement, 0o666), os.WriteFile(rdst, result, 0o666)); err != nil {
			return fmt.Errorf("fetch a result: %w", err)
		}
	}
	if st, err := os.Stat(rdst); err == nil {
		if statement, err := os.ReadFile(sdst); err == nil && !fits(statement, st.Size(), "") {
			return errors.Join(os.Remove(rdst), os.Remove(sdst)) // scored again
		}
		w.results[name] = stamp{st.Size(), st.ModTime()}
	}
	return nil
}

// Discard removes the folder of a worker that was not started.
func (w *Worker) Discard() {
	if err := os.RemoveAll(w.dir); err != nil {
		w.o.Log.Warn("folder not removed", "error", err)
	}
}

// Start begins to upload what is added to the folder.
func (w *Worker) Start() { go w.loop() }

func (w *Worker) loop() {
	defer close(w.done)
	// What is under way when Close comes is let end: a request that is given up
	// may be carried out later, over one that came after it.
	ctx := context.Background()
	pause, down := w.o.Interval, false
	for {
		select {
		case <-w.stop:
			return
		case <-time.After(pause):
		}
		err := w.pass(ctx)
		switch {
		case err == nil:
			if down {
				w.o.Log.Info("the object store answers again")
			}
			pause, down = w.o.Interval, false
		default:
			if !down {
				w.o.Log.Warn("what was done cannot be uploaded yet; it is kept here and tried again", "error", err)
			}
			pause, down = min(max(2*pause, backoffFirst), max(backoffMost, w.o.Interval)), true
		}
	}
}

// Close uploads the rest and removes the folder. It tries until the store has
// taken it, ctx ends, or nothing helps; the error then says that work of the
// last moments is lost.
func (w *Worker) Close(ctx context.Context) error {
	close(w.stop)
	<-w.done
	err := retry(ctx, deliver, func(err error) {
		w.o.Log.Warn("the last of what was done cannot be uploaded yet; trying again", "error", err)
	}, func() error {
		if err := w.pass(ctx); err != nil {
			return err
		}
		return w.confirm(ctx)
	})
	if rerr := os.RemoveAll(w.dir); rerr != nil {
		w.o.Log.Warn("folder not removed", "error", rerr)
	}
	if err != nil {
		return fmt.Errorf("upload what was done: %w", err)
	}
	return nil
}

// confirm looks whether the last status is the one that is there: a request
// that failed on the way may have been carried out after a later one.
func (w *Worker) confirm(ctx context.Context) error {
	w.passing.Lock()
	doubt, sent := w.doubt, maps.Clone(w.sent)
	w.doubt = false
	w.passing.Unlock()
	if !doubt {
		return nil
	}
	for f, want := range sent {
		data, err := get(ctx, w.b, w.prefix+statusDir+strings.TrimPrefix(f, tasksDir), 0)
		if err != nil && !object.NotExist(err) {
			return err
		}
		if !bytes.Equal(data, want) {
			w.passing.Lock()
			delete(w.sent, f)
			w.passing.Unlock()
		}
	}
	return w.pass(ctx)
}

// Flush uploads now what was added.
func (w *Worker) Flush(ctx context.Context) error { return w.pass(ctx) }

// pass uploads what was added since the last one: the status as it is now, and
// before it everything that it may speak of.
func (w *Worker) pass(ctx context.Context) error {
	w.passing.Lock()
	defer w.passing.Unlock()
	status := map[string][]byte{}
	rel := filepath.ToSlash(w.m.StatusPath())
	for _, f := range []string{strings.TrimSuffix(rel, ".json") + ".units", rel} {
		data, err := os.ReadFile(filepath.Join(w.run, filepath.FromSlash(f)))
		if err == nil && len(data) > 0 {
			status[f] = data
		}
	}
	if err := w.putRecords(ctx); err != nil {
		return err
	}
	if err := w.putResults(ctx); err != nil {
		return err
	}
	for _, f := range []string{strings.TrimSuffix(rel, ".json") + ".units", rel} {
		data, ok := status[f]
		if !ok || bytes.Equal(data, w.sent[f]) {
			continue
		}
		if err := w.put(ctx, statusDir+strings.TrimPrefix(f, tasksDir), bytes.NewReader(data), int64(len(data))); err != nil {
			return err
		}
		w.sent[f] = data
	}
	return nil
}

func (w *Worker) put(ctx context.Context, key string, body io.ReadSeeker, size int64) error {
	rctx, cancel := context.WithTimeout(ctx, requestTimeout+time.Duration(size/(64<<10))*time.Second)
	defer cancel()
	err := w.b.Put(rctx, w.prefix+key, body, size)
	w.doubt = w.doubt || err != nil
	return err
}

// putRecords uploads what was appended to the records of this worker.
func (w *Worker) putRecords(ctx context.Context) error {
	own := w.m.Writer() + ".jsonl"
	var files []string
	err := filepath.WalkDir(filepath.Join(w.run, "predictions"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == own {
			files = append(files, p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for records: %w", err)
	}
	for _, p := range files {
		rel, err := filepath.Rel(w.run, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		g := w.records[rel]
		if g == nil {
			g = &growing{}
			w.records[rel] = g
		}
		if err := w.putGrown(ctx, p, rel, g); err != nil {
			return err
		}
	}
	return nil
}

// putGrown uploads the whole lines of a file that are not there yet.
func (w *Worker) putGrown(ctx context.Context, p, rel string, g *growing) error {
	f, st, err := openFile(p)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	defer f.Close()
	for g.sent < st.Size() {
		// A write that fails in the middle of a line is taken back, but what
		// ends with a line's end stays as it is.
		end, err := lastLine(f, g.sent, min(st.Size(), max(g.first+maxPiece, g.sent+1)), st.Size())
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
		if end <= g.sent {
			return nil
		}
		key := outDir + pieceKey(rel, g.first, end)
		if err := w.put(ctx, key, io.NewSectionReader(f, g.first, end-g.first), end-g.first); err != nil {
			return err
		}
		// The one before this stays for those who have just seen it in a list.
		if g.stale != "" {
			if err := w.b.Delete(ctx, w.prefix+g.stale); err != nil {
				w.o.Log.Debug("object not deleted", "error", err) // it goes with the others at the end
			}
		}
		g.sent, g.stale, g.last = end, g.last, key
		if end-g.first >= pieceSize { // what it grew from is not needed for it
			g.first, g.last = end, ""
		}
	}
	return nil
}

// lastLine is the end of the last whole line that begins at or behind from and
// ends at or before most, or of the first one behind that, up to size. It is
// from when there is none.
func lastLine(f io.ReaderAt, from, most, size int64) (int64, error) {
	buf := make([]byte, most-from)
	if _, err := f.ReadAt(buf, from); err != nil && err != io.EOF {
		return from, err
	}
	if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
		return from + int64(i) + 1, nil
	}
	buf = make([]byte, 64<<10)
	for at := most; at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		if at += int64(n); err != nil || n == 0 {
			break
		}
	}
	return from, nil
}

// putResults uploads results that are not as they were: an old one goes, the
// statement comes, then the new one, as in the folder itself.
func (w *Worker) putResults(ctx context.Context) error {
	var names []string
	root := filepath.Join(w.run, filepath.FromSlash(resultsDir))
	now := map[string]stamp{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".json") {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return nil // it is being replaced
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if x := (stamp{st.Size(), st.ModTime()}); w.results[name] != x {
			names, now[name] = append(names, name), x
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for results: %w", err)
	}
	for _, name := range names {
		statement, err := os.ReadFile(filepath.Join(w.run, filepath.FromSlash(statementsDir+name)))
		if err != nil {
			continue // it is being written
		}
		result, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !fits(statement, int64(len(result)), digest(result)) {
			continue // as above
		}
		if err := w.b.Delete(ctx, w.prefix+outDir+resultsDir+name); err != nil {
			return err
		}
		if err := w.put(ctx, outDir+statementsDir+name, bytes.NewReader(statement), int64(len(statement))); err != nil {
			return err
		}
		if err := w.put(ctx, outDir+resultsDir+name, bytes.NewReader(result), int64(len(result))); err != nil {
			return err
		}
		w.results[name] = now[name]
	}
	return nil
}
