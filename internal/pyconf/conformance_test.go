package pyconf

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/sharedtest"
	"sextant/internal/source"
)

var update = flag.Bool("update", false, "rewrite the expected results in testdata")

// lines reads a file of tab-separated columns; # begins a comment.
func lines(t testing.TB, path string, f func(cols []string)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if s := sc.Text(); s != "" && !strings.HasPrefix(s, "#") {
			f(strings.Split(s, "\t"))
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

// report is all of err as the user sees it.
func report(set *source.Set, err error) string {
	ds := source.Diagnostics(err)
	if len(ds) == 0 {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(set.Render(d))
	}
	return b.String()
}

// headlines is report without the quoted source lines.
func headlines(set *source.Set, err error) string {
	var out []string
	for _, l := range strings.SplitAfter(report(set, err), "\n") {
		if !strings.HasPrefix(l, "    ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

// Every published config that the original loads has the same canonical form;
// those that it refuses are listed in testdata/canon-refused.txt with what we
// do instead.
func TestPublishedConfigs(t *testing.T) {
	root := sharedtest.Published(t)
	tsv := sharedtest.Path(t, "conformance", "config-canon.tsv")
	cache := &Cache{}
	equal := 0
	var refused strings.Builder
	refused.WriteString("# Published configs that the original refuses, its exception, and what this program says.\n")
	lines(t, tsv, func(c []string) {
		file, want := c[0], c[1]
		cfg, err := Load(context.Background(), file, Options{Dir: root, Cache: cache, MaxTime: 10 * time.Minute})
		if strings.HasPrefix(want, "error:") {
			got := "loads\n"
			if err != nil {
				got = headlines(cfg.Files, err)
			}
			fmt.Fprintf(&refused, "\n== %s\t%s\n%s", file, want, got)
			return
		}
		if err != nil {
			t.Errorf("%s: refused:\n%s", file, report(cfg.Files, err))
			return
		}
		if got := CanonHash(cfg); got != want {
			t.Errorf("%s: canonical form has hash %s, want %s", file, got, want)
			return
		}
		equal++
	})
	t.Logf("%d files equal", equal)
	golden(t, "canon-refused.txt", refused.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (run with -update and read the diff):\n%s", path, diffLines(string(want), got))
	}
}

func diffLines(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b strings.Builder
	for i := 0; i < max(len(w), len(g)) && b.Len() < 4000; i++ {
		a, c := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			c = g[i]
		}
		if a != c {
			fmt.Fprintf(&b, "line %d\n- %s\n+ %s\n", i+1, a, c)
		}
	}
	return b.String()
}

// A dump of a published config loads to the same data.
func TestPublishedConfigsRoundTrip(t *testing.T) {
	root := sharedtest.Published(t)
	tsv := sharedtest.Path(t, "conformance", "config-canon.tsv")
	cache := &Cache{}
	n, i := 0, 0
	lines(t, tsv, func(c []string) {
		if i++; testing.Short() && i%10 != 0 || strings.HasPrefix(c[1], "error:") {
			return
		}
		cfg, err := Load(context.Background(), c[0], Options{Dir: root, Cache: cache, MaxTime: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		data := cfg.Data()
		text := Dump(data)
		again, err := LoadText(context.Background(), "dump.py", text, Options{Dir: t.TempDir()})
		if err != nil {
			t.Errorf("%s: dump does not load:\n%s", c[0], report(again.Files, err))
			return
		}
		if again.Mode != Classic {
			t.Errorf("%s: dump loads in %v mode", c[0], again.Mode)
		}
		want := appendCanon(nil, SortKeys(data), ",", keep)
		if got := Canon(again); string(got) != string(want) {
			t.Errorf("%s: dump loads to other data:\n%.300s\nwant\n%.300s", c[0], got, want)
			return
		}
		n++
	})
	t.Logf("%d files go through a dump unchanged", n)
}

// evalText evaluates an expression as if a config held it.
func evalText(t testing.TB, expr string) (py.Value, error) {
	t.Helper()
	cfg, err := LoadText(context.Background(), "expr.py", "import math, torch\nvalue = (\n"+expr+"\n)\n", Options{Dir: t.TempDir()})
	if err != nil {
		return nil, err
	}
	return cfg.Vars.Get("value"), nil
}

func jsonRows(t *testing.T, name string, f func(row map[string]any)) {
	t.Helper()
	file, err := os.Open(sharedtest.Path(t, "conformance", "pynum", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec := json.NewDecoder(file)
	dec.UseNumber()
	for dec.More() {
		var row map[string]any
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		f(row)
	}
}

// expectedDifferences reads testdata/expression-differences.txt: an
// expression, a tab, the reason why its result is not CPython's.
func expectedDifferences(t *testing.T) map[string]string {
	m := map[string]string{}
	lines(t, filepath.Join("testdata", "expression-differences.txt"), func(c []string) { m[c[0]] = c[1] })
	return m
}

func TestExpressions(t *testing.T) {
	known := expectedDifferences(t)
	for _, name := range []string{"expressions.jsonl", "repr.jsonl"} {
		n := 0
		jsonRows(t, name, func(row map[string]any) {
			expr := row["expr"].(string)
			if _, ok := known[expr]; ok {
				return
			}
			v, err := evalText(t, expr)
			if class, ok := row["error"].(string); ok {
				ds := source.Diagnostics(err)
				if len(ds) != 1 || !strings.HasPrefix(ds[0].Msg, class+": ") {
					t.Errorf("%s: got %v, %v, want %s", expr, v, err, class)
				}
				n++
				return
			}
			if err != nil {
				t.Errorf("%s: %v", expr, err)
				return
			}
			if got := py.Repr(v); got != row["repr"] {
				t.Errorf("%s: repr %s, want %s", expr, got, row["repr"])
			}
			if want, ok := row["type"]; ok && py.TypeName(v) != want {
				t.Errorf("%s: type %s, want %s", expr, py.TypeName(v), want)
			}
			if want, ok := row["str"]; ok && py.Str(v) != want && !strings.ContainsRune(want.(string), 0xfffd) {
				t.Errorf("%s: str %s, want %s", expr, py.Str(v), want)
			}
			if want, ok := row["ascii"]; ok && py.ASCII(v) != want {
				t.Errorf("%s: ascii %s, want %s", expr, py.ASCII(v), want)
			}
			n++
		})
		t.Logf("%s: %d equal", name, n)
	}
}

func TestSlices(t *testing.T) {
	n := 0
	jsonRows(t, "slices.jsonl", func(row map[string]any) {
		expr := fmt.Sprintf("list(range(%v))%v", row["n"], row["slice"])
		v, err := evalText(t, expr)
		if _, ok := row["error"]; ok {
			if err == nil {
				t.Errorf("%s: %v, want an error", expr, py.Repr(v))
			}
			n++
			return
		}
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			return
		}
		got := py.Repr(v)
		want, ok := row["repr"].(string)
		if !ok {
			b, _ := json.Marshal(row["result"])
			want = strings.ReplaceAll(string(b), ",", ", ")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
		n++
	})
	t.Logf("%d equal", n)
}

// The setting names of json_dumps.jsonl are the arguments of json.dumps.
func TestJSONDumpsInConfig(t *testing.T) {
	n := 0
	known := expectedDifferences(t)
	jsonRows(t, "json_dumps.jsonl", func(row map[string]any) {
		expr := row["expr"].(string)
		if _, ok := known[expr]; ok {
			return
		}
		want, ok := row["ascii"].(string)
		if !ok {
			return
		}
		text := "import json\nvalue = json.dumps(" + expr + ")\n"
		cfg, err := LoadText(context.Background(), "expr.py", text, Options{Dir: t.TempDir()})
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			return
		}
		if got := cfg.Vars.Str("value"); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
		n++
	})
	t.Logf("%d equal", n)
}

// What the founding set-up asks for works from an empty folder, and its
// mistake is explained.
func TestSeed(t *testing.T) {
	seed := sharedtest.Path(t, "seed")
	dir := t.TempDir()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(seed, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	demo := read("eval_demo.py")
	write(t, dir, "eval_demo.py", demo)
	cfg, err := Load(context.Background(), "eval_demo.py", Options{Dir: dir, Catalog: os.DirFS("../../catalog/configs")})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	data := cfg.Data()
	if n := data.List("datasets").Len(); n != 2 {
		t.Errorf("%d datasets, want 2", n)
	}
	if cfg.Mode != LazyMode {
		t.Errorf("mode %v, want lazy", cfg.Mode)
	}
	text := demo + read("infer_eval.py")
	write(t, dir, "all.py", text)
	cfg, err = Load(context.Background(), "all.py", Options{Dir: dir, Catalog: os.DirFS("../../catalog/configs")})
	if err == nil {
		t.Fatal("LocalRunner without an import was accepted")
	}
	if got := report(cfg.Files, err); !strings.Contains(got, "add: from opencompass.runners import LocalRunner") || !strings.HasPrefix(got, "all.py:27:14: ") {
		t.Errorf("message is\n%s", got)
	}
	cfg, err = LoadText(context.Background(), "all.py", "from opencompass.runners import LocalRunner\n"+text, Options{Dir: dir, Catalog: os.DirFS("../../catalog/configs")})
	if err != nil {
		t.Error(report(cfg.Files, err))
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPublished loads all published configs and hashes their canonical
// forms, as `sextant config canon` does, on one thread.
func BenchmarkPublished(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	root := sharedtest.Published(b)
	var files []string
	err := filepath.WalkDir(filepath.Join(root, "opencompass"), func(p string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".py") {
			rel, _ := filepath.Rel(root, p)
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(files)), "files")
	for b.Loop() {
		cache := &Cache{}
		for _, f := range files {
			if cfg, err := Load(context.Background(), f, Options{Dir: root, Cache: cache, MaxTime: 10 * time.Minute}); err == nil {
				_ = CanonHash(cfg)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := strings.Repeat("x = [dict(abbr='a', type=T, n=1, path=f'./data/{y}') for y in range(3) if y]\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := syntax.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
