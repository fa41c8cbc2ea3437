package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/spec"
)

// Sizes is the content of OpenCompass's file of dataset sizes
// (.cache/dataset_size.json): abbr → rows. It is written so that OpenCompass
// can go on using it, but not believed by abbr: there, an entry stays for ever
// though test_range, the dataset behind the abbr or its data be another one.
// Beside each abbr stands an entry of ours whose key carries a hash of what the
// size depends on in the config, and which names the data files with their
// sizes and times; only those are read, and only while the files are the same.
//
// Not safe for concurrent use.
type Sizes struct{ d *py.Dict }

// ParseSizes reads the file's content; nil or empty is no entries. With the
// error come empty Sizes: the file is a cache.
func ParseSizes(b []byte) (*Sizes, error) {
	s := &Sizes{py.NewDict()}
	if len(b) == 0 {
		return s, nil
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		return s, fmt.Errorf("read dataset sizes: %w", err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return s, fmt.Errorf("read dataset sizes: a JSON object is expected, not %s", py.TypeName(v))
	}
	s.d = d
	return s, nil
}

// DataFile is a file as it was when a dataset's rows were counted.
type DataFile struct {
	Path    string // absolute
	Size    int64
	ModTime int64 // nanoseconds since 1970
}

// Get is the size of a dataset, one copy before test_range. now says what the
// file at a path is like now; false when it cannot be looked at.
func (s *Sizes) Get(ds *py.Dict, now func(path string) (DataFile, bool)) (int, bool) {
	e := s.d.Dict(sizeKey(ds))
	files := e.List("files")
	n, ok := e.Get("rows").(int)
	if !ok || n < 0 || files.Len() == 0 {
		return 0, false
	}
	for _, it := range files.Items {
		l, _ := it.(*py.List)
		if l == nil || l.Len() != 3 {
			return 0, false
		}
		path, _ := l.Items[0].(string)
		f, ok := now(path)
		if !ok || !py.Equal(l, f.value()) {
			return 0, false
		}
	}
	return n, true
}

// Put stores it, with the files that the rows were read from. Without files
// nobody could tell whether it still holds: then it is stored for OpenCompass
// alone.
func (s *Sizes) Put(ds *py.Dict, n int, files []DataFile) {
	s.d.Set(spec.DatasetAbbr(ds), n*max(ds.Int("n", 1), 1)) // what OpenCompass stores for no test_range
	if len(files) == 0 {
		s.d.Delete(sizeKey(ds))
		return
	}
	l := py.NewList()
	for _, f := range files {
		l.Append(f.value(), 0)
	}
	s.d.Set(sizeKey(ds), py.DictOf("rows", n, "files", l))
}

func (f DataFile) value() *py.List { return py.NewList(f.Path, int(f.Size), int(f.ModTime)) }

// Bytes is the file's new content.
func (s *Sizes) Bytes() ([]byte, error) {
	return py.DumpJSON(s.d, py.JSONOptions{Indent: 4})
}

// sizeKey is abbr#hash of what the size depends on.
func sizeKey(ds *py.Dict) string {
	what := ds.Copy()
	for _, k := range []string{"abbr", "infer_cfg", "eval_cfg", "reader_cfg", "n", "k", "mode", "infer_order", "base_models"} {
		what.Delete(k)
	}
	what.Set("type", registry.Base(ds.Str("type")))
	rc := ds.Dict("reader_cfg")
	for _, k := range []string{"test_split", "train_split", "train_range"} {
		if v, ok := rc.Lookup(k); ok {
			what.Set("reader "+k, v)
		}
	}
	sum := sha256.Sum256([]byte(py.Repr(what)))
	return spec.DatasetAbbr(ds) + "#" + hex.EncodeToString(sum[:6])
}
