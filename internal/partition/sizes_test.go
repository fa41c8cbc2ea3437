package partition

import (
	"strings"
	"testing"

	"sextant/internal/py"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	file := DataFile{"/data/d.jsonl", 100, 1_700_000_000_123_456_789}
	now := func(path string) (DataFile, bool) { return file, path == file.Path }
	ds := func(kv ...py.Value) *py.Dict {
		return py.DictOf(append([]py.Value{"abbr", "d", "type", "a.b.siqaDataset", "path", "./data/d", "reader_cfg", py.DictOf("test_split", "validation", "test_range", "[0:64]")}, kv...)...)
	}
	old, err := ParseSizes([]byte(`{"d": 64, "other": 7}`))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := old.Get(ds(), now); ok {
		t.Fatalf("a bare abbr was believed: %d", n)
	}
	old.Put(ds("n", 3), 1954, []DataFile{file})
	b, err := old.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "{\n    \"d\": 5862,\n    \"other\": 7,\n    \"d#") {
		t.Errorf("written as\n%s", b)
	}
	s, err := ParseSizes(b)
	if err != nil {
		t.Fatal(err)
	}
	same := ds()
	same.Set("reader_cfg", py.DictOf("test_split", "validation", "test_range", "[5:]"))
	same.Set("type", "siqaDataset")
	for name, d := range map[string]*py.Dict{"as stored": ds(), "another range": same, "n": ds("n", 2)} {
		if n, ok := s.Get(d, now); !ok || n != 1954 {
			t.Errorf("%s: %d, %v; want 1954", name, n, ok)
		}
	}
	other := ds()
	other.Set("reader_cfg", py.DictOf("test_split", "train"))
	for name, d := range map[string]*py.Dict{"another split": other, "another path": ds("path", "./data/e"), "another class": ds("type", "siqaDataset_V2"), "another argument": ds("name", "x")} {
		if n, ok := s.Get(d, now); ok {
			t.Errorf("%s: %d, want none", name, n)
		}
	}
	for name, f := range map[string]DataFile{"another size": {file.Path, 101, file.ModTime}, "another time": {file.Path, 100, file.ModTime + 1}, "gone": {}} {
		if n, ok := s.Get(ds(), func(string) (DataFile, bool) { return f, f.Path != "" }); ok {
			t.Errorf("data file with %s: %d, want none", name, n)
		}
	}
	s.Put(ds(), 7, nil)
	if n, ok := s.Get(ds(), now); ok {
		t.Errorf("without files: %d, want none", n)
	}
}

func FuzzParseSizes(f *testing.F) {
	f.Add([]byte(`{"d": 64}`))
	f.Add([]byte(`{"d": `))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _ := ParseSizes(b) // an error comes with an empty cache
		d := py.DictOf("abbr", "d", "type", "T")
		f := DataFile{"/x", 1, 2}
		now := func(string) (DataFile, bool) { return f, true }
		s.Get(d, now)
		s.Put(d, 5, []DataFile{f})
		if n, ok := s.Get(d, now); !ok || n != 5 {
			t.Errorf("Get = %d, %v after Put", n, ok)
		}
	})
}
