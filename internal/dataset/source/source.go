// Package source finds the files that dataset configs name and reads them.
//
// A path such as "./data/siqa", or an id such as "opencompass/siqa" that
// stands for one, is looked for in this order:
//
//  1. the path itself, from the working directory;
//  2. the same path below COMPASS_DATA_CACHE;
//  3. the same path below OpenCompass's own cache, ~/.cache/opencompass;
//  4. the copy embedded in the binary (see embedded/README.md);
//  5. OpenCompass's data release on the net, unpacked into 2 or 3, with its
//     published MD5 checked.
//
// The first place that has the path serves all of its files: two copies are
// never mixed. An absolute path is only looked for where it says. What was
// read is remembered with its place and hash (dataset.Origin).
//
// The package knows nothing of what is in the files. The order, the ids and
// the archives are those of OpenCompass 0.5.4 (utils/datasets.py and
// utils/datasets_info.py), which puts COMPASS_DATA_CACHE before the path.
package source

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sextant/internal/dataset"
)

// Options are what a Finder needs of the outside world.
type Options struct {
	Dir      string              // relative paths start here; "": the process's working directory
	Home     string              // the user's home; "": no OpenCompass cache
	Getenv   func(string) string // COMPASS_DATA_CACHE, DATASET_SOURCE; nil: none set
	Offline  bool                // never download
	Client   *http.Client        // nil: http.DefaultClient
	Progress func(Progress)      // called while downloading, from one goroutine at a time; may be nil
	// BaseURL replaces the address of OpenCompass's archives; "" is theirs.
	BaseURL string
}

// Progress is how far the download of an archive is.
type Progress struct {
	Archive     string // file name
	Done, Total int64  // bytes; Total is 0 when the server does not say
}

// Finder is a dataset.Source. Safe for concurrent use.
type Finder struct {
	o Options

	mu      sync.Mutex // guards the fields below
	places  map[string]place
	seen    map[[2]string]bool
	origins []dataset.Origin

	fetching sync.Mutex // one download at a time
}

var _ dataset.Source = (*Finder)(nil)

// New returns a Finder.
func New(o Options) *Finder {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.BaseURL == "" {
		o.BaseURL = archiveURL
	}
	return &Finder{o: o, places: map[string]place{}, seen: map[[2]string]bool{}}
}

// place is where a path was found.
type place struct {
	from string // dataset.Origin.From
	root string // file or folder; for embedded data the path in the embedded tree
}

//go:embed ids.tsv
var idsTSV string

// ids maps OpenCompass's dataset ids to paths.
var ids = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, f := range tsv(idsTSV) {
		m[f[0]] = f[1]
	}
	return m
})

// tsv splits a table into fields, comments and blank lines left out.
func tsv(s string) (rows [][]string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// LocalPath is the path below a data root that a dataset id stands for, or
// the path itself.
func LocalPath(id string) string {
	if p, ok := ids()[id]; ok {
		return p
	}
	return id
}

// ReadFile reads a file; see dataset.Source. When it is nowhere to be had the
// error is a *dataset.MissingError.
func (f *Finder) ReadFile(ctx context.Context, p, name string) ([]byte, error) {
	pl, err := f.find(ctx, p, true)
	if err != nil {
		if m := (*dataset.MissingError)(nil); errors.As(err, &m) {
			m.Name = name
		}
		return nil, err
	}
	b, at, err := pl.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.incomplete(p, name, pl)
	}
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err // the path is said already
		}
		return nil, fmt.Errorf("read %s: %w", at, err)
	}
	if strings.HasPrefix(string(b[:min(len(b), 64)]), "version https://git-lfs.github.com/spec/") {
		return nil, &dataset.MissingError{Path: p, Name: name, Tried: []string{at + ": this is a Git LFS pointer, not the data"}, Hint: "run git lfs pull in that checkout"}
	}
	f.record(p, name, pl, at, b)
	return b, nil
}

func (f *Finder) record(p, name string, pl place, at string, b []byte) {
	key := [2]string{p, name}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[key] {
		return
	}
	f.seen[key] = true
	sum := sha256.Sum256(b)
	if name == "" {
		name = path.Base(filepath.ToSlash(p))
	}
	f.origins = append(f.origins, dataset.Origin{Name: name, From: pl.from, Path: at, SHA256: hex.EncodeToString(sum[:])})
}

// Exists reports whether a file can be had without a download.
func (f *Finder) Exists(ctx context.Context, p, name string) bool {
	pl, err := f.find(ctx, p, false)
	return err == nil && pl.has(name)
}

// Origins lists what was read so far.
func (f *Finder) Origins() []dataset.Origin {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.origins)
}

// find says where p is, downloading it if need be and allowed.
func (f *Finder) find(ctx context.Context, p string, download bool) (place, error) {
	f.mu.Lock()
	pl, ok := f.places[p]
	f.mu.Unlock()
	if ok {
		return pl, nil
	}
	pl, err := f.search(ctx, p, download)
	if err != nil {
		return place{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, ok := f.places[p]; ok { // another goroutine was faster: stay with its place
		return first, nil
	}
	f.places[p] = pl
	return pl, nil
}

func (f *Finder) search(ctx context.Context, p string, download bool) (place, error) {
	miss := &dataset.MissingError{Path: p}
	if filepath.IsAbs(p) {
		if pl, ok := onDisk("path", p, miss); ok {
			return pl, nil
		}
		miss.Hint = "an absolute path is only looked for where it says"
		return place{}, miss
	}
	if s := f.o.Getenv("DATASET_SOURCE"); s == "ModelScope" || s == "HF" {
		miss.Tried = []string{"DATASET_SOURCE=" + s + " asks for a hub's copy, which is not supported"}
		miss.Hint = "unset DATASET_SOURCE to use local files, the embedded copy or OpenCompass's data release"
		return place{}, miss
	}
	local := LocalPath(p)
	if pl, ok := onDisk("path", filepath.Join(f.o.Dir, local), miss); ok {
		return pl, nil
	}
	cache := f.compassCache()
	if cache == "" {
		miss.Tried = append(miss.Tried, "COMPASS_DATA_CACHE is not set")
	} else if pl, ok := onDisk("cache", filepath.Join(cache, local), miss); ok {
		return pl, nil
	}
	if own := f.ownCache(); own != "" {
		if pl, ok := onDisk("cache", filepath.Join(own, local), miss); ok {
			return pl, nil
		}
	}
	if e := path.Clean(filepath.ToSlash(local)); inEmbedded(e) {
		return place{"embedded", e}, nil
	}
	miss.Tried = append(miss.Tried, "no copy is embedded in this program")
	return f.download(ctx, local, miss, download)
}

// compassCache is the folder that COMPASS_DATA_CACHE names, or "".
func (f *Finder) compassCache() string {
	c := f.o.Getenv("COMPASS_DATA_CACHE")
	if c == "" || filepath.IsAbs(c) {
		return c
	}
	return filepath.Join(f.o.Dir, c)
}

// ownCache is OpenCompass's cache folder, or "".
func (f *Finder) ownCache() string {
	if f.o.Home == "" {
		return ""
	}
	return filepath.Join(f.o.Home, ".cache", "opencompass")
}

// onDisk looks at one place on disk and notes in miss that nothing is there.
func onDisk(from, root string, miss *dataset.MissingError) (place, bool) {
	_, err := os.Stat(root)
	if err == nil {
		return place{from, root}, true
	}
	why := "not there"
	if !errors.Is(err, fs.ErrNotExist) {
		why = err.Error()
	}
	miss.Tried = append(miss.Tried, root+": "+why)
	return place{}, false
}

// incomplete is the error for a place that lacks a file.
func (f *Finder) incomplete(p, name string, pl place) error {
	miss := &dataset.MissingError{Path: p, Name: name}
	have := pl.list()
	what := "it is empty"
	if len(have) > 0 {
		what = "it has " + strings.Join(have[:min(len(have), 8)], ", ")
		if len(have) > 8 {
			what += fmt.Sprintf(" and %d more", len(have)-8)
		}
	}
	if pl.from == "embedded" {
		miss.Tried = []string{"the copy embedded in this program: " + what}
		miss.Hint = fmt.Sprintf("put the whole data set into %s, or point COMPASS_DATA_CACHE at a folder that has it", LocalPath(p))
	} else {
		miss.Tried = []string{pl.root + ": the folder is there, but " + what}
		miss.Hint = "complete the folder, or move it away so that the next place is looked at (COMPASS_DATA_CACHE, OpenCompass's cache, the embedded copy, download)"
	}
	return miss
}

// read returns a file's bytes and says where it is.
func (pl place) read(name string) (b []byte, at string, err error) {
	if pl.from == "embedded" {
		at = path.Join(pl.root, name)
		b, err = readEmbedded(at)
		return b, "embedded:" + at, err
	}
	at = filepath.Join(pl.root, filepath.FromSlash(name))
	b, err = os.ReadFile(at)
	return b, at, err
}

func (pl place) has(name string) bool {
	if pl.from == "embedded" {
		return inEmbedded(path.Join(pl.root, name))
	}
	_, err := os.Stat(filepath.Join(pl.root, filepath.FromSlash(name)))
	return err == nil
}

// list is the names in the folder, sorted.
func (pl place) list() []string {
	if pl.from == "embedded" {
		return listEmbedded(pl.root)
	}
	es, err := os.ReadDir(pl.root)
	if err != nil {
		return nil
	}
	names := make([]string, len(es))
	for i, e := range es {
		names[i] = e.Name()
	}
	return names
}
