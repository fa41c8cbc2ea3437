//go:build engine && linux

package parity

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sextant/internal/chaos"
	"sextant/internal/py"
)

// tolerance of perplexities and log-likelihoods: another order of summation.
// BPB is a perplexity times about a quarter.
const tolerance = 1e-4

// A difference is a member of recorded files that need not be equal.
type difference struct {
	File   string // pattern of path.Match below the run
	Member string // name of the member, wherever it stands
	Reason string
	used   bool
}

func (d *difference) covers(file string, at []string) bool {
	ok, err := path.Match(d.File, file)
	if err != nil {
		panic(err)
	}
	return ok && slices.Contains(at, d.Member)
}

func TestOpenCompass(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole program")
	}
	run := runHere(t)
	recorded := map[string]json.RawMessage{}
	load(t, "testdata/recorded.json", &recorded)
	var known []*difference
	load(t, "testdata/differences.json", &known)

	var files []string
	for _, sub := range []string{"predictions", "results"} {
		found, err := filepath.Glob(filepath.Join(run, sub, "*", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, _ := filepath.Rel(run, f)
			files = append(files, filepath.ToSlash(rel))
		}
	}
	var want []string
	for name := range recorded {
		if strings.HasSuffix(name, ".json") {
			want = append(want, name)
		}
	}
	slices.Sort(files)
	slices.Sort(want)
	if !slices.Equal(files, want) {
		t.Fatalf("files\n%s\nwant\n%s", strings.Join(files, "\n"), strings.Join(want, "\n"))
	}
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(run, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := py.LoadJSON(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := py.LoadJSON(recorded[name])
		if err != nil {
			t.Fatalf("recorded %s: %v", name, err)
		}
		c := comparison{file: name, known: known}
		c.value(got, want, nil)
		for _, line := range c.wrong {
			t.Error(line)
		}
	}
	for _, d := range known {
		if !d.used {
			t.Errorf("%s, %s is listed as different and is not", d.File, d.Member)
		}
	}
	tables(t, run, recorded)
}

// tables compares the summary; the marker of the time stands in its place.
func tables(t *testing.T, run string, recorded map[string]json.RawMessage) {
	stamp := regexp.MustCompile(`\d{8}_\d{6}`)
	for _, ext := range []string{"csv", "md", "txt"} {
		found, err := filepath.Glob(filepath.Join(run, "summary", "*."+ext))
		if err != nil || len(found) != 1 {
			t.Fatalf("summaries %v, %v", found, err)
		}
		b, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(recorded["summary/summary."+ext], &want); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(stamp.ReplaceAllString(string(b), "TIME"), "\n")
		lines := strings.Split(want, "\n")
		if len(got) != len(lines) {
			t.Errorf("%s has %d lines, want %d", found[0], len(got), len(lines))
			continue
		}
		for i := range got {
			if got[i] != lines[i] && !equalButDigits(got[i], lines[i]) {
				t.Errorf("%s:%d\n got %s\nwant %s", filepath.Base(found[0]), i+1, got[i], lines[i])
			}
		}
	}
}

var decimal = regexp.MustCompile(`-?\d+\.\d{7,}`)

// equalButDigits holds for lines with raw numbers that agree within tolerance.
func equalButDigits(a, b string) bool {
	if decimal.ReplaceAllString(a, "#") != decimal.ReplaceAllString(b, "#") {
		return false
	}
	x, y := decimal.FindAllString(a, -1), decimal.FindAllString(b, -1)
	for i := range x {
		var f, g float64
		fmt.Sscan(x[i], &f)
		fmt.Sscan(y[i], &g)
		if math.Abs(f-g) > tolerance {
			return false
		}
	}
	return len(x) > 0
}

// runHere runs the config with the program and returns the run's folder.
func runHere(t *testing.T) string {
	t.Helper()
	bin, clean, err := chaos.Build()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clean)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "run", "eval.py", "-w", "out", "--offline")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // no caches of whoever runs this
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runs, err := filepath.Glob(filepath.Join(dir, "out", "2*"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	return runs[0]
}

func load(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// comparison collects where two files differ beyond what is known.
type comparison struct {
	file  string
	known []*difference
	wrong []string
}

func (c *comparison) differ(at []string, format string, args ...any) {
	for _, d := range c.known {
		if d.covers(c.file, at) {
			d.used = true
			return
		}
	}
	c.wrong = append(c.wrong, fmt.Sprintf("%s %s: ", c.file, strings.Join(at, " / "))+fmt.Sprintf(format, args...))
}

func (c *comparison) value(got, want py.Value, at []string) {
	at = at[:len(at):len(at)]
	switch w := want.(type) {
	case *py.Dict:
		g, ok := got.(*py.Dict)
		if !ok || py.Repr(py.NewList(g.Keys()...)) != py.Repr(py.NewList(w.Keys()...)) {
			c.differ(at, "got members of %s, want those of %s", py.Repr(got), py.Repr(want))
			return
		}
		for _, e := range w.Entries() {
			c.value(g.Get(e.Key), e.Val, append(at, py.Str(e.Key)))
		}
	case *py.List:
		g, ok := got.(*py.List)
		if !ok || g.Len() != w.Len() {
			c.differ(at, "got %s, want %s", py.Repr(got), py.Repr(want))
			return
		}
		for i := range w.Items {
			c.value(g.Items[i], w.Items[i], append(at, fmt.Sprint(i)))
		}
	case float64:
		if g, ok := got.(float64); !ok || !(math.Abs(g-w) <= tolerance || g == w || g != g && w != w) {
			c.differ(at, "got %s, want %v", py.Repr(got), w)
		}
	default:
		if py.Repr(got) != py.Repr(want) {
			c.differ(at, "got %s, want %s", py.Repr(got), py.Repr(want))
		}
	}
}
