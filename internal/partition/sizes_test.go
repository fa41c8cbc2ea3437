package partition

import (
	"strings"
	"testing"

	"sextant/internal/py"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	ds := func(kv ...py.Value) *py.Dict {
		return py.DictOf(append([]py.Value{"abbr", "d", "type", "a.b.siqaDataset", "path", "./data/d", "reader_cfg", py.DictOf("test_split", "validation", "test_range", "[0:64]")}, kv...)...)
	}
	old, err := ParseSizes([]byte(`{"d": 64, "other": 7}`))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := old.Get(ds()); ok {
		t.Fatalf("a bare abbr was believed: %d", n)
	}
	old.Put(ds("n", 3), 1954)
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
		if n, ok := s.Get(d); !ok || n != 1954 {
			t.Errorf("%s: %d, %v; want 1954", name, n, ok)
		}
	}
	other := ds()
	other.Set("reader_cfg", py.DictOf("test_split", "train"))
	for name, d := range map[string]*py.Dict{"another split": other, "another path": ds("path", "./data/e"), "another class": ds("type", "siqaDataset_V2"), "another argument": ds("name", "x")} {
		if n, ok := s.Get(d); ok {
			t.Errorf("%s: %d, want none", name, n)
		}
	}
}

func FuzzParseSizes(f *testing.F) {
	f.Add([]byte(`{"d": 64}`))
	f.Add([]byte(`{"d": `))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _ := ParseSizes(b) // an error comes with an empty cache
		d := py.DictOf("abbr", "d", "type", "T")
		s.Put(d, 5)
		if n, ok := s.Get(d); !ok || n != 5 {
			t.Errorf("Get = %d, %v after Put", n, ok)
		}
	})
}
