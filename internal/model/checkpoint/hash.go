package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sextant/internal/model/tokenizer"
)

// HashOptions say where the sums of files are remembered. The zero value reads
// everything each time.
type HashOptions struct {
	// Root is the folder's own path on disk, "" when it has none.
	Root string
	// CacheFile keeps the sum of each large file with its path, size and time
	// of change, so that ten gigabytes are read once; "" for none. Its folder
	// is made. A broken cache file counts as empty, one that cannot be written
	// is no error.
	CacheFile string
	// Now is the time, for telling a file that may still be written (changed
	// within the last seconds) from one that can be remembered. Nil: remember
	// nothing.
	Now func() time.Time
}

// cacheAbove is the size from which a sum is worth remembering.
const cacheAbove = 4 << 20

// racyAge is how old a change must be before size and time are proof enough:
// some file systems count time in two seconds.
const racyAge = 3 * time.Second

// Hash identifies a model by content: hex SHA-256 over the names and sums of
// its config, weights and tokenizer files. Where the folder lies and what else
// is in it make no difference.
func Hash(ctx context.Context, fsys fs.FS, o HashOptions) (string, error) {
	weights, err := WeightFiles(fsys)
	if err != nil {
		return "", err
	}
	names := append([]string{"config.json", "generation_config.json"}, weights...)
	names = append(names, tokenizer.Files...)
	slices.Sort(names)
	names = slices.Compact(names)

	cache := loadSums(o)
	sums := make([]string, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		g.Go(func() error {
			s, err := cache.sum(ctx, fsys, name)
			if errors.Is(err, fs.ErrNotExist) && !slices.Contains(weights, name) {
				return nil
			}
			sums[i] = s
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", fmt.Errorf("identify model: %w", err)
	}
	cache.save()
	h := sha256.New()
	for i, name := range names {
		if sums[i] != "" {
			fmt.Fprintf(h, "%s\x00%s\n", name, sums[i])
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fileSum is one line of the cache file.
type fileSum struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime_ns"`
	SHA256  string `json:"sha256"`
}

type sumCache struct {
	o     HashOptions
	mu    sync.Mutex
	sums  map[string]fileSum // by path; guarded by mu
	dirty bool               // guarded by mu
}

// maxCached bounds the cache file; beyond it, it is begun anew.
const maxCached = 4096

func loadSums(o HashOptions) *sumCache {
	c := &sumCache{o: o, sums: map[string]fileSum{}}
	if o.CacheFile == "" || o.Root == "" || o.Now == nil {
		return c
	}
	b, err := os.ReadFile(o.CacheFile)
	if err != nil {
		return c
	}
	for line := range bytes.Lines(b) {
		var s fileSum
		if json.Unmarshal(line, &s) == nil && len(s.SHA256) == 2*sha256.Size && len(c.sums) < maxCached {
			c.sums[s.Path] = s
		}
	}
	return c
}

func (c *sumCache) sum(ctx context.Context, fsys fs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	key := ""
	if c.o.CacheFile != "" && c.o.Root != "" && c.o.Now != nil && st.Size() >= cacheAbove {
		// a hub's snapshot links to its blobs: remember the file itself
		if key, err = filepath.EvalSymlinks(filepath.Join(c.o.Root, filepath.FromSlash(name))); err == nil {
			key, err = filepath.Abs(key)
		}
		if err != nil {
			key = ""
		}
	}
	want := fileSum{Path: key, Size: st.Size(), ModTime: st.ModTime().UnixNano()}
	if key != "" {
		c.mu.Lock()
		old := c.sums[key]
		c.mu.Unlock()
		want.SHA256 = old.SHA256
		if old == want {
			return old.SHA256, nil
		}
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(h, ctxReader{ctx, f}, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	want.SHA256 = hex.EncodeToString(h.Sum(nil))
	if key != "" && c.o.Now().Sub(st.ModTime()) > racyAge {
		c.mu.Lock()
		c.sums[key], c.dirty = want, true
		c.mu.Unlock()
	}
	return want.SHA256, nil
}

// save writes the cache aside and renames it, so that another process reads
// either form whole. Losing it costs time only.
func (c *sumCache) save() {
	if !c.dirty {
		return
	}
	var b bytes.Buffer
	paths := make([]string, 0, len(c.sums))
	for p := range c.sums {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	enc := json.NewEncoder(&b)
	for _, p := range paths {
		if enc.Encode(c.sums[p]) != nil {
			return
		}
	}
	dir := filepath.Dir(c.o.CacheFile)
	if os.MkdirAll(dir, 0o777) != nil {
		return
	}
	f, err := os.CreateTemp(dir, filepath.Base(c.o.CacheFile)+".*")
	if err != nil {
		return
	}
	_, err = f.Write(b.Bytes())
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(f.Name(), c.o.CacheFile)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// ctxReader stops reading when its context is done.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
