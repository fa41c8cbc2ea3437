package pyconf

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The configs in testdata/lang are ours; beside each lies its canonical form
// as the original's loader (mmengine-lite 0.11.0rc3 on CPython 3.11) gives it,
// made with config_canon.py --show.
func TestLanguage(t *testing.T) {
	wants, err := filepath.Glob("testdata/lang/*.canon")
	if err != nil || len(wants) == 0 {
		t.Fatal("no expected forms in testdata/lang", err)
	}
	for _, want := range wants {
		name := strings.TrimSuffix(filepath.Base(want), ".canon")
		t.Run(name, func(t *testing.T) {
			cfg, err := Load(context.Background(), "lang/"+name, Options{Dir: "testdata"})
			if err != nil {
				t.Fatal(report(cfg.Files, err))
			}
			b, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			got, wantText := topLevel(string(Canon(cfg))), topLevel(strings.TrimSpace(string(b)))
			for i := 0; i < max(len(got), len(wantText)); i++ {
				g, w := "", ""
				if i < len(got) {
					g = got[i]
				}
				if i < len(wantText) {
					w = wantText[i]
				}
				if g != w {
					t.Errorf("variable %d\ngot  %s\nwant %s", i, g, w)
				}
			}
		})
	}
}

// topLevel splits a canonical form at its variables.
func topLevel(s string) []string {
	var out []string
	depth, start, str := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case str && c == '\\':
			i++
		case c == '"':
			str = !str
		case str:
		case c == '[':
			if depth++; depth == 2 {
				start = i
			}
		case c == ']':
			if depth--; depth == 1 {
				out = append(out, s[start:i+1])
			}
		}
	}
	return out
}
