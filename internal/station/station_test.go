package station

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sextant/internal/py"
)

func records(recs ...*py.Dict) iter.Seq2[*py.Dict, error] {
	return func(yield func(*py.Dict, error) bool) {
		for _, r := range recs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func entry(answer string) Entry {
	return Entry{
		Dataset: "siqa", Name: "m",
		Predictions: records(py.DictOf("prediction", answer, "gold", 1), py.DictOf("prediction", "ü\n{\"[\\", "PPL", 1e-05)),
		Results:     py.DictOf("accuracy", 50.0, "details", py.NewDict()),
		Cfg:         py.DictOf("models", py.DictOf("abbr", "m"), "datasets", py.DictOf("abbr", "siqa", "t", py.DictOf(0, "a"))),
		Statement:   json.RawMessage(`{"failed": 1}`),
	}
}

// golden is what OpenCompass writes of entry("A"): json.dump(…,
// ensure_ascii=False, indent=4).
const golden = `{
    "predictions": [
        {
            "prediction": "A",
            "gold": 1
        },
        {
            "prediction": "ü\n{\"[\\",
            "PPL": 1e-05
        }
    ],
    "results": {
        "accuracy": 50.0,
        "details": {}
    },
    "cfg": {
        "models": {
            "abbr": "m"
        },
        "datasets": {
            "abbr": "siqa",
            "t": {
                "0": "a"
            }
        }
    }
}`

func TestSaveAndRead(t *testing.T) {
	s := Station{t.TempDir()}
	if ok, err := s.Save(entry("A"), false); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b, err := os.ReadFile(filepath.Join(s.Root, "siqa", "m.json"))
	if err != nil || string(b) != golden {
		t.Fatalf("%v\n%s", err, b)
	}
	var got []string
	h, err := s.Read("siqa", "m", func(i int, rec []byte) error {
		v, err := py.LoadJSON(rec)
		if err != nil {
			return err
		}
		got = append(got, fmt.Sprint(i, " ", v.(*py.Dict).Str("prediction")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, "|") != "0 A|1 ü\n{\"[\\" || h.Rows != 2 || h.Results.Get("accuracy") != 50.0 || h.Cfg.Dict("models").Str("abbr") != "m" {
		t.Errorf("%q %+v", got, h)
	}
	var st struct{ Failed int }
	if json.Unmarshal(h.Statement, &st) != nil || st.Failed != 1 {
		t.Errorf("statement %s", h.Statement)
	}
}

func TestWithoutOverwriteWhatIsThereStays(t *testing.T) {
	s := Station{t.TempDir()}
	for i, c := range []struct {
		answer          string
		overwrite, want bool
	}{{"A", false, true}, {"B", false, false}, {"C", true, true}, {"C", true, true}} {
		if ok, err := s.Save(entry(c.answer), c.overwrite); ok != c.want || err != nil {
			t.Errorf("save %d: %v, %v", i, ok, err)
		}
	}
	h, err := s.Read("siqa", "m", nil)
	if err != nil || h.Statement == nil {
		t.Fatalf("%v: the statement is gone", err)
	}
	// one entry, one statement, nothing half done
	var files []string
	err = filepath.WalkDir(s.Root, func(p string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) != 2 {
		t.Errorf("%v: files %v", err, files)
	}
}

// A statement counts only for the bytes that it was written for.
func TestAnotherProgramsEntryHasNoStatement(t *testing.T) {
	s := Station{t.TempDir()}
	if _, err := s.Save(entry("A"), false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path("siqa", "m"), []byte(strings.Replace(golden, "50.0", "51.0", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	h, err := s.Read("siqa", "m", nil)
	if err != nil || h.Statement != nil || h.Results.Get("accuracy") != 51.0 {
		t.Errorf("%v %+v", err, h)
	}
}

func TestTheFirstOfSeveralWritersWins(t *testing.T) {
	s := Station{t.TempDir()}
	var mu sync.Mutex
	won := []string{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			answer := fmt.Sprint("answer ", i)
			ok, err := s.Save(entry(answer), false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ok {
				won = append(won, answer)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d writers say that they saved", len(won))
	}
	h, err := s.Read("siqa", "m", func(i int, rec []byte) error {
		if i == 0 && !strings.Contains(string(rec), won[0]) {
			t.Errorf("%s saved, and %s is there", won[0], rec)
		}
		return nil
	})
	if err != nil || h.Statement == nil {
		t.Errorf("%v: no statement of the winner", err)
	}
}

func TestAFailedSaveLeavesNothing(t *testing.T) {
	s := Station{t.TempDir()}
	e := entry("A")
	bad := errors.New("torn record")
	e.Predictions = func(yield func(*py.Dict, error) bool) { yield(nil, bad) }
	if ok, err := s.Save(e, true); ok || !errors.Is(err, bad) {
		t.Errorf("%v %v", ok, err)
	}
	ents, err := os.ReadDir(filepath.Join(s.Root, "siqa"))
	if err != nil || len(ents) != 0 {
		t.Errorf("%v: %v is left", err, ents)
	}
}

func TestNamesStayInTheStation(t *testing.T) {
	s := Station{t.TempDir()}
	for _, n := range []string{"", "../x", "/x", "a\x00"} {
		e := entry("A")
		e.Name = n
		if _, err := s.Save(e, false); err == nil {
			t.Errorf("saved as %q", n)
		}
		if _, err := s.Read(n, "m", nil); err == nil {
			t.Errorf("read %q", n)
		}
	}
}

func TestReadRefusesWhatIsNoEntry(t *testing.T) {
	s := Station{t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.Root, "d"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read("d", "none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for i, text := range []string{"", "[]", "{", golden[:len(golden)-1], golden + "x", `{"predictions": {}}`, `{"predictions": [1,]}`, `{"results": []}`,
		`{"results": nul}`, `{"cfg"}`, `{"a": }`, `{"predictions": [{"a": "x]}`, `{,}`} {
		if err := os.WriteFile(s.Path("d", "m"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if h, err := s.Read("d", "m", nil); err == nil {
			t.Errorf("case %d: read as %+v", i, h)
		}
	}
}

// What Read takes, Python takes: the whole is JSON when every piece is.
func FuzzRead(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"predictions": [NaN, [], {"a": [1, "]"]}], "x": -Infinity, "results": {}}`))
	f.Add([]byte(`{"predictions" : [ ] , "cfg":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Station{t.TempDir()}
		if err := os.WriteFile(filepath.Join(s.Root, "m.json"), b, 0o666); err != nil {
			t.Fatal(err)
		}
		pieces := true
		h, err := s.Read(".", "m", func(_ int, rec []byte) error {
			if !json.Valid(rec) {
				pieces = false
			}
			return nil
		})
		if err != nil {
			if !json.Valid(b) {
				return
			}
			// whole JSON is refused only for its shape
			var v map[string]json.RawMessage
			var l []json.RawMessage
			if json.Unmarshal(b, &v) == nil && len(v) == 1 && v["predictions"] != nil && json.Unmarshal(v["predictions"], &l) == nil && l != nil {
				t.Errorf("refused %q: %v", b, err)
			}
			return
		}
		if json.Valid(b) && !pieces {
			t.Errorf("cut %q in the wrong places, %d rows", b, h.Rows)
		}
	})
}
