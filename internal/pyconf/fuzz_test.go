package pyconf

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/source"
)

// seeds are our own configs: the catalog and the test scripts.
func seeds(f *testing.F) []string {
	var out []string
	for _, root := range []string{"../../catalog/configs", "testdata/lang", "testdata/mistakes"} {
		err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(p, ".py") {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			for _, c := range splitChunks(string(b)) {
				text, _ := stripMarks(c.text)
				out = append(out, text)
			}
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	return out
}

// Whatever the text, loading ends with data or with mistakes that have a
// place in a file and a message; what loads can be dumped, and the dump loads
// to the same.
func FuzzLoad(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	dir := f.TempDir()
	opts := Options{Dir: dir, MaxSteps: 200000, MaxMemory: 32 << 20, MaxTime: 5 * time.Second, Catalog: os.DirFS("../../catalog/configs")}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := LoadText(context.Background(), "fuzz.py", text, opts)
		if err != nil {
			ds := source.Diagnostics(err)
			if len(ds) == 0 {
				t.Fatalf("error is no diagnostic: %v", err)
			}
			for _, d := range ds {
				if _, ok := cfg.Files.Position(d.Pos); !ok || d.Msg == "" {
					t.Fatalf("mistake without place or message: %q %+v", cfg.Files.Render(d), d)
				}
			}
			return
		}
		data := SortKeys(cfg.Data())
		want := string(appendCanon(nil, data, ",", keep))
		if strings.Contains(want, `["object"`) || strings.Contains(want, `["function"]`) || strings.Contains(want, `["module"]`) || data.Len() == 0 {
			return // no file can hold these
		}
		for _, e := range data.Entries() {
			if k := e.Key.(string); reserved[k] || strings.HasPrefix(k, "_base_") || k == "_deprecation_" {
				return
			}
		}
		dump := Dump(data)
		again, err := LoadText(context.Background(), "dump.py", dump, Options{Dir: dir, MaxSteps: 20000000})
		if err != nil {
			t.Fatalf("dump does not load: %s\n%s", report(again.Files, err), dump)
		}
		if got := string(Canon(again)); got != want {
			t.Fatalf("dump loads to other data:\n%s\nwant\n%s\n%s", got, want, dump)
		}
	})
}

// YAML and JSON configs come from elsewhere too.
func FuzzData(f *testing.F) {
	for _, s := range []string{"a: 1\nb: [x, {c: ~}]\n", "{\"a\": [1, 2.5e3, null, \"\\u00e9\"]}", "a: &x {b: 1}\nc: *x\n<<: *x\n", "_base_: ./nothing.yaml\n"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := "fuzz.json"
		if yaml {
			name = "fuzz.yaml"
		}
		cfg, err := LoadText(context.Background(), name, text, Options{Dir: dir})
		if err == nil {
			_ = Canon(cfg)
			return
		}
		for _, d := range source.Diagnostics(err) {
			if _, ok := cfg.Files.Position(d.Pos); !ok {
				t.Fatalf("mistake without place: %q", d.Msg)
			}
		}
	})
}
