package pyconf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/source"
)

// The files testdata/mistakes/*.py hold small configs between lines of dashes.
// A comment that begins with ### at the end of a line states the mistake
// expected there, "message" or "message → hint"; missing and surplus ones both
// fail. Run with -update to rewrite the comments, then read the diff.
//
// Line `--- name.py` names the next config; those before the first unnamed one
// are files that the others may import.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.py")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	total := 0
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		var out []string
		for i, chunk := range splitChunks(string(b)) {
			name := chunk.name
			if name == "" {
				name = fmt.Sprintf("case%d.py", i)
			}
			text, want := stripMarks(chunk.text)
			write(t, dir, name, text)
			if chunk.name != "" {
				out = append(out, chunk.text)
				continue
			}
			cfg, err := Load(context.Background(), name, Options{Dir: dir, Catalog: os.DirFS("../../catalog/configs"), Env: func(string) (string, bool) { return "", false }})
			got := map[int][]string{}
			for _, d := range source.Diagnostics(err) {
				p, ok := cfg.Files.Position(d.Pos)
				if !ok || p.File.Name != name {
					// a mistake in an imported file shows where it is imported
					for ok && p.File.ImportedAt != 0 && p.File.Name != name {
						p, ok = cfg.Files.Position(p.File.ImportedAt)
					}
				}
				if p.Line == 0 {
					t.Errorf("%s, config %d: %q has no place", path, i, d.Msg)
				}
				s := d.Msg
				if d.Hint != "" {
					s += " → " + d.Hint
				}
				got[p.Line] = append(got[p.Line], strings.ReplaceAll(s, dir, "DIR"))
				total++
			}
			if err != nil && len(got) == 0 {
				t.Errorf("%s, config %d: error without a place: %v", path, i, err)
			}
			out = append(out, mark(text, got))
			for line := 1; line <= strings.Count(text, "\n")+1; line++ {
				if g, w := got[line], want[line]; !slices.Equal(g, w) && !*update {
					t.Errorf("%s, config %d, line %d: %s\ngot  %q\nwant %q", path, i, line, lineOf(text, line), g, w)
				}
			}
		}
		if *update {
			if err := os.WriteFile(path, []byte(joinChunks(string(b), out)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total < 100 {
		t.Errorf("only %d mistakes are tested", total)
	}
	t.Logf("%d mistakes", total)
}

type chunk struct{ name, text string }

// splitChunks cuts a script at its lines of dashes.
func splitChunks(s string) []chunk {
	out := []chunk{{}}
	for _, l := range strings.SplitAfter(s, "\n") {
		if rest, ok := strings.CutPrefix(l, "---"); ok {
			out = append(out, chunk{name: strings.TrimSpace(strings.TrimLeft(rest, "-"))})
			continue
		}
		out[len(out)-1].text += l
	}
	return out
}

// joinChunks puts new texts between the dashes of s.
func joinChunks(s string, texts []string) string {
	var b strings.Builder
	b.WriteString(texts[0])
	i := 1
	for _, l := range strings.SplitAfter(s, "\n") {
		if strings.HasPrefix(l, "---") {
			b.WriteString(l)
			b.WriteString(texts[i])
			i++
		}
	}
	return b.String()
}

// stripMarks takes the ### comments out of a text.
func stripMarks(s string) (string, map[int][]string) {
	want := map[int][]string{}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if j := strings.Index(l, "  ### "); j >= 0 {
			want[i+1] = strings.Split(l[j+6:], " ### ")
			lines[i] = l[:j]
		}
	}
	return strings.Join(lines, "\n"), want
}

func mark(s string, got map[int][]string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		if g := got[i+1]; len(g) > 0 {
			lines[i] += "  ### " + strings.Join(g, " ### ")
		}
	}
	return strings.Join(lines, "\n")
}

func lineOf(s string, n int) string { return strings.Split(s, "\n")[n-1] }
