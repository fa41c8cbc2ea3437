package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sextant/internal/dataset"
	"sextant/internal/partition"
	"sextant/internal/py"
	"sextant/internal/spec"
)

// SizeError says that a partitioner asked for the size of a dataset that
// cannot be read.
type SizeError struct {
	Dataset string
	Err     error
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("size of dataset %s is not known: %v", e.Dataset, e.Err)
}
func (e *SizeError) Unwrap() error { return e.Err }

// size is the number of test rows of a dataset as loaded. A dataset that was
// not prepared is looked up in the partitioner's file of sizes, or read now.
func (c *Coordinator) size(ds *py.Dict, cache *sizeFile) (int, error) {
	if c.AnySize {
		return 1, nil
	}
	abbr := spec.DatasetAbbr(ds)
	f := c.sets[abbr]
	if f == nil {
		if n, ok := cache.get(ds); ok {
			return n, nil
		}
		f = &facts{}
		set, err := dataset.Read(context.Background(), ds, c.Source)
		if err != nil {
			f.err = err
		} else {
			f.base, f.origin = set.Base(), set.Origin
		}
		if c.sets == nil {
			c.sets = map[string]*facts{}
		}
		c.sets[abbr] = f
	}
	if f.err != nil {
		return 0, &SizeError{Dataset: abbr, Err: f.err}
	}
	cache.put(ds, f)
	return f.base, nil
}

// sizeFile is a partitioner's file of dataset sizes (dataset_size_path), which
// OpenCompass shares. It saves a plan from reading data; nil has none.
type sizeFile struct {
	path    string
	sizes   *partition.Sizes
	old     string
	rebuild bool
}

// sizeFile opens the file of a partitioner's sizes, nil without one. Relative
// paths are below the current folder, as in OpenCompass.
func (c *Coordinator) sizeFile(p partition.Partitioner) *sizeFile {
	sc, ok := p.(partition.SizeCacher)
	if !ok || c.AnySize || c.Runner.Dir == "" {
		return nil
	}
	path, rebuild := sc.SizeCache()
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Runner.Dir, path)
	}
	b, _ := os.ReadFile(path) // a cache: what cannot be read is not there
	sizes, err := partition.ParseSizes(b)
	if err != nil {
		c.Log.Info("sizes of datasets are counted anew", "file", path, "error", err)
	}
	return &sizeFile{path: path, sizes: sizes, old: string(b), rebuild: rebuild}
}

func (s *sizeFile) get(ds *py.Dict) (int, bool) {
	if s == nil || s.rebuild {
		return 0, false
	}
	return s.sizes.Get(ds, dataFile)
}

// put stores the size of a dataset that was read. Only files that the config
// names by their path can be told to be the same later: what is found in a cache
// may be found elsewhere then.
func (s *sizeFile) put(ds *py.Dict, f *facts) {
	if s == nil {
		return
	}
	var files []partition.DataFile
	for _, o := range f.origin {
		at, ok := partition.DataFile{}, false
		if o.From == "path" {
			at, ok = dataFile(o.Path)
		}
		if !ok {
			files = nil
			break
		}
		files = append(files, at)
	}
	s.sizes.Put(ds, f.base, files)
}

func dataFile(path string) (partition.DataFile, bool) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return partition.DataFile{}, false
	}
	st, err := os.Stat(abs)
	if err != nil || !st.Mode().IsRegular() {
		return partition.DataFile{}, false
	}
	return partition.DataFile{Path: abs, Size: st.Size(), ModTime: st.ModTime().UnixNano()}, true
}

// save writes the file when it has become another, in one step. A file that
// cannot be written is done without.
func (s *sizeFile) save(c *Coordinator) {
	if s == nil || c.Run == nil || c.ReadOnly {
		return
	}
	b, err := s.sizes.Bytes()
	if err != nil || string(b) == s.old {
		return
	}
	tmp := fmt.Sprintf("%s.%d.tmp", s.path, os.Getpid())
	err = os.MkdirAll(filepath.Dir(s.path), 0o777)
	if err == nil {
		err = os.WriteFile(tmp, b, 0o666)
	}
	if err == nil {
		err = os.Rename(tmp, s.path)
	}
	if err != nil {
		_ = os.Remove(tmp) // it may not be there
		c.Log.Info("sizes of datasets are not kept", "file", s.path, "error", err)
	}
}
