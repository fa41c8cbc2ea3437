// Package sextant has no code of its own: its tests hold the project's
// structure against docs/ARCHITECTURE.md.
package sextant

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// layers reads the list of packages: package to layer, counted from the top.
func layers(t *testing.T) map[string]int {
	t.Helper()
	b, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	item := regexp.MustCompile("^- `((?:cmd|internal|catalog)[^`]*)`: \\S")
	out := map[string]int{}
	layer, in := 0, false
	for _, l := range strings.Split(string(b), "\n") {
		switch {
		case strings.HasPrefix(l, "## "):
			in = l == "## Packages"
		case in && strings.HasPrefix(l, "### "):
			layer++
		case in && item.MatchString(l):
			p := item.FindStringSubmatch(l)[1]
			if _, ok := out[p]; ok {
				t.Errorf("%s stands twice in docs/ARCHITECTURE.md", p)
			}
			out[p] = layer
		}
	}
	if len(out) < 10 {
		t.Fatalf("docs/ARCHITECTURE.md lists only %d packages", len(out))
	}
	return out
}

// packages finds the packages of the project with the project's packages that
// each imports; those of tests are left out.
func packages(t *testing.T) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	for _, root := range []string{"cmd", "internal", "catalog"} {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), "_")) {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			pkg := path.Dir(filepath.ToSlash(p))
			if out[pkg] == nil {
				out[pkg] = map[string]string{}
			}
			for _, im := range f.Imports {
				s, err := strconv.Unquote(im.Path.Value)
				if err != nil {
					return err
				}
				if dep, ok := strings.CutPrefix(s, "sextant/"); ok {
					out[pkg][dep] = p
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestImportsPointDown(t *testing.T) {
	layer := layers(t)
	for pkg, deps := range packages(t) {
		for dep, file := range deps {
			if layer[dep] <= layer[pkg] && layer[pkg] != 0 {
				t.Errorf("%s imports %s, which is not in a layer below %s (docs/ARCHITECTURE.md)", file, dep, pkg)
			}
		}
	}
}

func TestEveryPackageIsOnTheMap(t *testing.T) {
	layer, have := layers(t), packages(t)
	for pkg := range have {
		if layer[pkg] == 0 {
			t.Errorf("package %s is missing in docs/ARCHITECTURE.md", pkg)
		}
	}
	for pkg := range layer {
		if have[pkg] == nil {
			t.Errorf("docs/ARCHITECTURE.md lists %s, which does not exist", pkg)
		}
	}
}

// Nothing in the repository may speak of the machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	needles := []string{wd, filepath.Join(filepath.Dir(wd), "shared")}
	for _, root := range []string{"cmd", "internal", "catalog", "docs", "tools", ".ci", "README.md", "Makefile", "CHANGELOG.md"} {
		if _, err := os.Stat(root); err != nil {
			continue
		}
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			for _, n := range needles {
				if err == nil && len(b) < 4<<20 && strings.Contains(string(b), n) {
					t.Errorf("%s holds the path %s", p, n)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Each direct dependency has its line of reason.
func TestDependenciesHaveReasons(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, reasons, _ := strings.Cut(string(doc), "## Dependencies")
	req := regexp.MustCompile(`(?m)^\t([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`) // no "// indirect"
	direct := req.FindAllStringSubmatch(string(mod), -1)
	if len(direct) < 5 {
		t.Fatalf("go.mod names only %d direct dependencies", len(direct))
	}
	for _, m := range direct {
		if !strings.Contains(reasons, "`"+m[1]+"`") {
			t.Errorf("docs/ARCHITECTURE.md gives no reason for %s", m[1])
		}
	}
}
