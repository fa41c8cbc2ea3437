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
// though test_range, or the dataset behind the abbr, be another one. Beside
// each abbr stands an entry of ours whose key carries a hash of what the size
// depends on in the config; only those are read. An entry that is out of date
// all the same, because the data changed, makes parts uneven and loses
// nothing: the last part is open.
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

// Get is the size of a dataset, one copy before test_range.
func (s *Sizes) Get(ds *py.Dict) (int, bool) {
	n, ok := s.d.Get(sizeKey(ds)).(int)
	return n, ok && n >= 0
}

// Put stores it.
func (s *Sizes) Put(ds *py.Dict, n int) {
	s.d.Set(spec.DatasetAbbr(ds), n*max(ds.Int("n", 1), 1)) // what OpenCompass stores for no test_range
	s.d.Set(sizeKey(ds), n)
}

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
