package mirror

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what stores call ETag, no secret hangs on it
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sextant/internal/object"
	"sextant/internal/store"
)

// Options of a Coordinator. Zero fields mean the defaults named.
type Options struct {
	// URL is s3://bucket/prefix; each run gets a prefix of its own below it.
	URL      string
	Store    object.Config // its Bucket is not used
	Interval time.Duration // how often the store is looked at; 1 s
	Patience time.Duration // how long a refusal may last before Err tells it; 1 min
	Keep     bool          // Clean leaves the objects
	Note     func(format string, args ...any)
	Log      *slog.Logger
}

// Coordinator keeps a run and its objects alike, on the run's side. Its
// methods may be called from several goroutines.
type Coordinator struct {
	place
	run *store.Run
	url string
	o   Options

	pulling sync.Mutex // one look at a time
	whole   bool       // under pulling: files that workers were given were compared

	// mu is held while files of the run are changed, and guards the rest.
	mu       sync.Mutex
	statuses map[string]string    // ETags by what follows status/
	lengths  map[string]int64     // of files of records, as far as they are here
	results  map[string][2]string // ETags of statement and result
	settled  map[string]bool      // folders of records that are not wanted any more
	over     map[string]bool      // files of records that were settled, by an earlier coordinator too
	pushed   map[string]stamp
	there    map[string]object.Info // what in/ had when it was first asked; nil before
	full     bool                   // the next look must list everything
	looks    int
	begun    time.Time // of the last look that succeeded and listed everything
	up, last time.Time // begin of the first and last look that succeeded, since one did not
	told     bool
	refused  time.Time // since when the store refuses
	why      error
}

type stamp struct {
	size int64
	mod  time.Time
}

// stateFile remembers where the objects of a run are. It is there as long as
// there may be any.
const stateFile = "state/object.json"

type stateText struct {
	V    int    `json:"v"`
	Kind string `json:"kind"`
	URL  string `json:"url"`
}

// overFile lists the files of records that were settled, one a line: a later
// coordinator leaves their objects alone.
const overFile = "state/object.settled"

const stateKind = "object store"

// OtherPlaceError says that a run has objects elsewhere than the config says.
type OtherPlaceError struct{ Was, Now, File string }

func (e *OtherPlaceError) Error() string {
	return fmt.Sprintf("the objects of this run are at %s, and the config says %s", e.Was, e.Now)
}

// Hint says what to do.
func (e *OtherPlaceError) Hint() string {
	return "name that place again, or, to leave what workers put there and ask it again, remove " + e.File
}

// Resume is New for a run that may have objects; nil when it has none.
func Resume(run *store.Run, o Options) (*Coordinator, error) {
	data, err := os.ReadFile(run.Path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look where the objects of this run are: %w", err)
	}
	var s stateText
	if err := json.Unmarshal(data, &s); err != nil || s.Kind != stateKind || s.V > 1 {
		return nil, fmt.Errorf("%s cannot be read by this program", run.Path(stateFile))
	}
	if dir, _ := path.Split(s.URL); strings.TrimRight(dir, "/") != strings.TrimRight(o.URL, "/") {
		return nil, &OtherPlaceError{s.URL, o.URL, run.Path(stateFile)}
	}
	return newCoordinator(run, s.URL, o)
}

// New prepares to keep a run and its objects alike. Nothing is sent yet.
func New(run *store.Run, o Options) (*Coordinator, error) {
	c, err := Resume(run, o)
	if c != nil || err != nil {
		return c, err
	}
	url := fmt.Sprintf("%s/%s-%s", strings.TrimRight(o.URL, "/"), safeName(run.Name()), strings.ToLower(rand.Text()[:8]))
	if c, err = newCoordinator(run, url, o); err != nil {
		return nil, err
	}
	data, err := json.Marshal(stateText{1, stateKind, url})
	if err != nil {
		return nil, err
	}
	return c, run.WriteFile(stateFile, append(data, '\n'))
}

// safeName is a name without what URLs and keys do not like.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, strings.TrimLeft(s, "."))
}

func newCoordinator(run *store.Run, url string, o Options) (*Coordinator, error) {
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, err := open(url, o.Store)
	if err != nil {
		return nil, err
	}
	over := map[string]bool{}
	names, err := os.ReadFile(run.Path(filepath.FromSlash(overFile)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look what is settled: %w", err)
	}
	for n := range strings.Lines(string(names)) {
		over[strings.TrimSuffix(n, "\n")] = true
	}
	return &Coordinator{
		over: over, place: p, run: run, url: url, o: o, full: true,
		statuses: map[string]string{}, lengths: map[string]int64{}, results: map[string][2]string{}, settled: map[string]bool{}, pushed: map[string]stamp{},
	}, nil
}

// URL is where the objects of the run are.
func (c *Coordinator) URL() string { return c.url }

// Ref is what a worker is given in place of the path of an index.
func (c *Coordinator) Ref(index string) string { return Ref(c.url, index) }

// Ref is the reference of an index of workers in the objects at url.
func Ref(url, index string) string { return url + "/" + inDir + index }

// Begin looks for the first time, with patience.
func (c *Coordinator) Begin(ctx context.Context) error {
	return retry(ctx, c.o.Patience, c.wait, func() error { return c.Pull(ctx) })
}

// wait tells once that the store does not answer.
func (c *Coordinator) wait(err error) {
	c.mu.Lock()
	first := !c.told
	c.told = true
	c.mu.Unlock()
	if first {
		c.o.Note("%v; trying again, workers go on meanwhile", err)
	}
}

// Loop looks again and again until ctx ends.
func (c *Coordinator) Loop(ctx context.Context) {
	pause := c.o.Interval
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		begin := time.Now()
		err := c.Pull(ctx)
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		told := c.told
		switch {
		case err == nil:
			c.told, c.refused, c.why = false, time.Time{}, nil
		case object.Transient(err):
			c.refused, c.why = time.Time{}, nil
		case c.why == nil:
			c.refused, c.why = begin, err
		default:
			c.why = err
		}
		c.mu.Unlock()
		if err == nil {
			if told {
				c.o.Note("the object store answers again")
			}
			// a look at many objects takes long; it is not to take all the time
			pause = max(c.o.Interval, time.Since(begin))
			continue
		}
		c.wait(err)
		pause = min(max(2*pause, backoffFirst), max(backoffMost, c.o.Interval))
	}
}

// Err is an error that has lasted for Patience and that waiting does not mend.
func (c *Coordinator) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil && time.Since(c.refused) > c.o.Patience {
		return c.why
	}
	return nil
}

// Since reports whether everything that was in the store at t is in the run.
// When it is not, it soon will be.
func (c *Coordinator) Since(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun.After(t) {
		return true
	}
	c.full = true
	return false
}

// Answering says since when looks succeed, and when the last of them began:
// what is not in the run now was not in the store then. since is zero while
// they do not.
func (c *Coordinator) Answering() (since, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.last
}

// Do calls f while no file of the run is being changed.
func (c *Coordinator) Do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Settled says, inside of Do, that the records of a dataset are settled: its
// writers' files are not wanted any more.
func (c *Coordinator) Settled(model, dataset string) {
	dir := path.Join("predictions", model, dataset+".records")
	c.settled[dir] = true
	var names strings.Builder
	for f := range c.lengths {
		if path.Dir(f) == dir && !c.over[f] {
			c.over[f] = true
			names.WriteString(f + "\n")
		}
	}
	if names.Len() == 0 {
		return
	}
	// Without the list a later coordinator settles the dataset once more.
	f, err := os.OpenFile(c.run.Path(filepath.FromSlash(overFile)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = f.WriteString(names.String())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.o.Log.Warn("list of what is settled not written", "error", err)
	}
}

// fullEvery is how many looks list everything even though no status changed:
// a worker may have died between its records and its status.
const fullEvery = 5

// Pull looks once: what workers have written since comes into the run.
func (c *Coordinator) Pull(ctx context.Context) error {
	c.pulling.Lock()
	defer c.pulling.Unlock()
	begin := time.Now()
	err := c.pull(ctx, begin)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.up = time.Time{}
	case c.up.IsZero():
		c.up, c.last = begin, begin
	default:
		c.last = begin
	}
	return err
}

func (c *Coordinator) pull(ctx context.Context, begin time.Time) error {
	fresh, err := c.pullStatuses(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.looks++
	full := c.full || len(fresh) > 0 || c.looks%fullEvery == 0
	c.full = full // until it has succeeded
	c.mu.Unlock()
	if full {
		if err := relist(func() error { return c.pullOutputs(ctx) }); err != nil {
			return err
		}
		if !c.whole {
			if err := c.pullInputs(ctx); err != nil {
				return err
			}
			c.whole = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range fresh {
		if err := c.run.WriteFile(filepath.FromSlash(tasksDir+s.rel), s.data); err != nil {
			return err
		}
		c.statuses[s.rel] = s.etag
	}
	if full {
		c.full, c.begun = false, begin
	}
	return nil
}

type statusFile struct {
	rel, etag string
	data      []byte
}

// pullStatuses reads the statuses that have changed. Marks come before the
// status that they belong to.
func (c *Coordinator) pullStatuses(ctx context.Context) ([]statusFile, error) {
	var fresh []statusFile
	if err := c.list(ctx, statusDir, func(rel string, i object.Info) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if statusOf.MatchString(rel) && c.statuses[rel] != i.ETag {
			fresh = append(fresh, statusFile{rel: rel, etag: i.ETag})
		}
	}); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range fresh {
		g.Go(func() (err error) {
			fresh[i].data, err = get(gctx, c.b, c.prefix+statusDir+fresh[i].rel, 0)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(fresh, func(a, b statusFile) int {
		if x, y := strings.HasSuffix(a.rel, ".units"), strings.HasSuffix(b.rel, ".units"); x != y && x {
			return -1
		} else if x != y {
			return 1
		}
		return strings.Compare(a.rel, b.rel)
	})
	return fresh, nil
}

// pullOutputs brings records and results into the run.
func (c *Coordinator) pullOutputs(ctx context.Context) error {
	pieces := map[string][]piece{}
	results := map[string]*[2]object.Info{} // statement and result, by what follows the folder
	if err := c.list(ctx, outDir, func(rel string, i object.Info) {
		if file, p, ok := parsePiece(rel, i); ok && filepath.IsLocal(filepath.FromSlash(file)) {
			pieces[file] = append(pieces[file], p)
			return
		}
		for n, dir := range []string{statementsDir, resultsDir} {
			if name, ok := strings.CutPrefix(rel, dir); ok && strings.HasSuffix(name, ".json") && filepath.IsLocal(filepath.FromSlash(name)) {
				if results[name] == nil {
					results[name] = &[2]object.Info{}
				}
				results[name][n] = i
			}
		}
	}); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for file, ps := range pieces {
		g.Go(func() error { return c.pullRecords(gctx, file, ps) })
	}
	for name, pair := range results {
		if pair[0].Key == "" || pair[1].Key == "" {
			continue // the other is on its way
		}
		g.Go(func() error { return c.pullResult(gctx, name, *pair) })
	}
	return g.Wait()
}

// pullInputs mends files of records that an earlier coordinator gave to
// workers. A crash may have cut off the end of one here; the workers have it
// whole, will not ask what it holds, and nobody else would.
func (c *Coordinator) pullInputs(ctx context.Context) error {
	short := map[string]object.Info{}
	var err error
	if lerr := c.list(ctx, inDir, func(rel string, i object.Info) {
		c.mu.Lock()
		_, fromThere := c.lengths[rel]
		gone := c.settled[path.Dir(rel)] || c.over[rel]
		c.mu.Unlock()
		if fromThere || gone || !recordsOf.MatchString(rel) || !filepath.IsLocal(filepath.FromSlash(rel)) {
			return
		}
		st, serr := os.Stat(c.run.Path(filepath.FromSlash(rel)))
		switch {
		case serr == nil && st.Size() >= i.Size:
		case serr == nil || errors.Is(serr, fs.ErrNotExist):
			short[rel] = i
		default:
			err = serr
		}
	}); lerr != nil {
		return lerr
	}
	if err != nil {
		return fmt.Errorf("look at records: %w", err)
	}
	for rel, i := range short {
		data, err := get(ctx, c.b, i.Key, 0)
		if err != nil {
			return err
		}
		c.mu.Lock()
		if !c.settled[path.Dir(rel)] {
			err = c.run.WriteFile(filepath.FromSlash(rel), data)
		}
		c.mu.Unlock()
		if err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		c.o.Log.Warn("records that were cut off here are fetched again", "file", rel)
	}
	return nil
}

// pullRecords brings a file of records up to date. What it held before this
// process saw it is fetched again: a crash may have left it damaged.
func (c *Coordinator) pullRecords(ctx context.Context, file string, ps []piece) error {
	dst := c.run.Path(filepath.FromSlash(file))
	c.mu.Lock()
	have, known := c.lengths[file]
	gone := c.settled[path.Dir(file)] || c.over[file]
	c.mu.Unlock()
	if gone {
		return nil
	}
	if known {
		if _, more := reach(ps, have); !more {
			return nil
		}
		if st, err := os.Stat(dst); err != nil || st.Size() < have {
			known = false
		}
	}
	if !known {
		return c.fetchRecords(ctx, file, ps)
	}
	return tail(ctx, c.b, ps, have, func(data []byte) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.settled[path.Dir(file)] {
			return nil
		}
		f, err := os.OpenFile(dst, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		_, err = f.WriteAt(data, c.lengths[file]) // over what an earlier try left there
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		c.lengths[file] += int64(len(data))
		return nil
	})
}

// fetchRecords makes a file of records anew.
func (c *Coordinator) fetchRecords(ctx context.Context, file string, ps []piece) (err error) {
	dst := c.run.Path(filepath.FromSlash(file))
	if err := os.MkdirAll(c.run.Path("state", "tmp"), 0o777); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	f, err := os.OpenFile(c.run.Path("state", "tmp", "mirror-"+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	defer func() {
		f.Close() // again, where all went well
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	var end int64
	if err := tail(ctx, c.b, ps, 0, func(data []byte) error {
		n, err := f.Write(data)
		end += int64(n)
		return err
	}); err != nil {
		return err
	}
	if end == 0 { // its first piece is not there
		f.Close()
		return os.Remove(f.Name())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled[path.Dir(file)] {
		return os.Remove(f.Name())
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	if st, err := os.Stat(dst); err == nil && st.Size() > end {
		// A crash left more here than was fetched, or the store has lost some:
		// what is here counts too, as a file of its own.
		if err := os.Rename(dst, strings.TrimSuffix(dst, ".jsonl")+"-kept.jsonl"); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
	}
	if err := os.Rename(f.Name(), dst); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	c.lengths[file] = end
	return nil
}

// pullResult brings a result and its statement into the run.
func (c *Coordinator) pullResult(ctx context.Context, name string, pair [2]object.Info) error {
	tags := [2]string{pair[0].ETag, pair[1].ETag}
	c.mu.Lock()
	same := c.results[name] == tags
	c.mu.Unlock()
	if same {
		return nil
	}
	statement, err := get(ctx, c.b, pair[0].Key, 0)
	if err == nil {
		var result bytes.Buffer
		if err = c.b.Download(ctx, pair[1].Key, &result); err == nil {
			return c.putResult(name, tags, statement, result.Bytes())
		}
	}
	if object.NotExist(err) {
		return nil // it is being replaced
	}
	return err
}

func (c *Coordinator) putResult(name string, tags [2]string, statement, result []byte) error {
	if !fits(statement, int64(len(result)), digest(result)) {
		return nil // one of them is of before
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.Remove(c.run.Path(filepath.FromSlash(resultsDir + name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace result: %w", err)
	}
	if err := c.run.WriteFile(filepath.FromSlash(statementsDir+name), statement); err != nil {
		return err
	}
	if err := c.run.WriteFile(filepath.FromSlash(resultsDir+name), result); err != nil {
		return err
	}
	c.results[name] = tags
	return nil
}

// Push uploads files of the run, relative to it, that the store does not have
// as they are. It tries for as long as Patience.
func (c *Coordinator) Push(ctx context.Context, files []string) error {
	if c.there == nil {
		there := map[string]object.Info{}
		if err := retry(ctx, c.o.Patience, c.wait, func() error {
			return c.list(ctx, inDir, func(rel string, i object.Info) { there[rel] = i })
		}); err != nil {
			return err
		}
		c.there = there
	}
	files = slices.Compact(slices.Sorted(slices.Values(files)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, f := range files {
		g.Go(func() error { return c.push(gctx, f) })
	}
	return g.Wait()
}

func (c *Coordinator) push(ctx context.Context, rel string) error {
	rel = filepath.ToSlash(rel)
	c.mu.Lock()
	_, fromThere := c.lengths[rel]
	was, done := c.pushed[rel]
	c.mu.Unlock()
	if fromThere {
		return nil // workers find it where the writer put it
	}
	f, st, err := openFile(c.run.Path(filepath.FromSlash(rel)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	defer f.Close()
	now := stamp{st.Size(), st.ModTime()}
	if done && was == now || st.Size() == 0 {
		return nil
	}
	if old, ok := c.there[rel]; ok && !done && old.Size == st.Size() {
		h := md5.New() //nolint:gosec // as above
		if _, err := io.Copy(h, f); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		done = hex.EncodeToString(h.Sum(nil)) == old.ETag
	} else {
		done = false
	}
	if !done {
		if err := retry(ctx, c.o.Patience, c.wait, func() error {
			return c.b.Put(ctx, c.prefix+inDir+rel, io.NewSectionReader(f, 0, st.Size()), st.Size())
		}); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.pushed[rel] = now
	c.mu.Unlock()
	return nil
}

// Inputs is files without those that workers find by themselves, because
// workers wrote them.
func (c *Coordinator) Inputs(files []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, f := range files {
		if _, ok := c.lengths[f]; !ok {
			out = append(out, f)
		}
	}
	return out
}

// Clean deletes the objects of the run, unless they are to be kept, and
// forgets them. Everything must be in the run and no worker left.
func (c *Coordinator) Clean(ctx context.Context) error {
	if !c.o.Keep {
		if err := c.deleteAll(ctx); err != nil {
			return err
		}
	}
	for _, f := range []string{overFile, stateFile} { // this one last: it says that there are objects
		if err := os.Remove(c.run.Path(filepath.FromSlash(f))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}

func (c *Coordinator) deleteAll(ctx context.Context) error {
	var keys []string
	if err := c.list(ctx, "", func(_ string, i object.Info) { keys = append(keys, i.Key) }); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, k := range keys {
		g.Go(func() error { return c.b.Delete(gctx, k) })
	}
	return g.Wait()
}
