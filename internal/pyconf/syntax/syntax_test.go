package syntax

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every node covers the text it was written in.
func TestSpans(t *testing.T) {
	text := "x = foo(a, b=[1, 'two'])  # comment\ny = {**d, 'k': -3.5}\nz = f'{n:>{w}}' if not p else q.r[1:2]\n"
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"foo(a, b=[1, 'two'])": false, "[1, 'two']": false, "'two'": false, "{**d, 'k': -3.5}": false, "-3.5": false,
		"f'{n:>{w}}'": false, "n": false, "w": false, "not p": false, "q.r[1:2]": false, "q.r": false, "1:2": false}
	for _, s := range m.Body {
		Walk(s.(*Assign).X, func(x Expr) bool {
			r := x.Range()
			if r.Start < 0 || r.End > int32(len(text)) || r.Start >= r.End {
				t.Errorf("%T has the range %v", x, r)
				return true
			}
			want[text[r.Start:r.End]] = true
			return true
		})
	}
	for s, seen := range want {
		if !seen {
			t.Errorf("no node covers %q", s)
		}
	}
}

func TestResolve(t *testing.T) {
	m, err := Parse("g = 1\ndef f(a):\n    b = a\n    def h():\n        nonlocal b\n        b = g\n        return [a for c in b]\n    return h\n")
	if err != nil {
		t.Fatal(err)
	}
	h := m.Body[1].(*Def).Fn.Body[1].(*Def).Fn
	b := h.Body[1].(*Assign).Targets[0].(*Name)
	if b.Scope != Local || b.Depth != 1 || b.Slot != 1 {
		t.Errorf("nonlocal b is at %+v", b)
	}
	if g := h.Body[1].(*Assign).X.(*Name); g.Scope != Global {
		t.Errorf("g is at %+v", g)
	}
	a := h.Body[2].(*Return).X.(*Comp).Elt.(*Name)
	if a.Scope != Local || a.Depth != 2 || a.Slot != 0 {
		t.Errorf("a in the comprehension is at %+v", a)
	}
}

func TestIdentifiers(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "_": true, "a1": true, "1a": false, "": false, "a b": false, "é": true, "中文": true, "a-b": false, "class": true} {
		if got := IsIdentifier(s); got != want {
			t.Errorf("IsIdentifier(%q) = %v", s, got)
		}
	}
	if !IsKeyword("class") || IsKeyword("match") {
		t.Error("keywords are wrong")
	}
}

func TestErrorLimit(t *testing.T) {
	_, err := Parse(strings.Repeat("x = = 1\n", 100))
	var list Errors
	if !errors.As(err, &list) || len(list) != maxErrors {
		t.Errorf("%d mistakes are reported, want %d", len(list), maxErrors)
	}
}

// FuzzParse holds the scanner and the parser: they end, their mistakes lie in
// the text, and the ranges of nodes nest.
func FuzzParse(f *testing.F) {
	for _, root := range []string{"../../../catalog/configs", "../testdata/lang", "../testdata/mistakes"} {
		err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			f.Add(string(b))
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("error %v", err)
			}
			for _, e := range list {
				if e.Start < 0 || e.End > int32(len(text)) || e.Start > e.End || e.Msg == "" {
					t.Fatalf("mistake %q at %v of %d bytes", e.Msg, e.Span, len(text))
				}
			}
			return
		}
		check(t, text, m.Body)
	})
}

func check(t *testing.T, text string, body []Stmt) {
	for _, s := range body {
		r := s.Range()
		if r.Start < 0 || r.End > int32(len(text)) || r.Start > r.End {
			t.Fatalf("%T at %v of %d bytes", s, r, len(text))
		}
		switch s := s.(type) {
		case *If:
			check(t, text, s.Body)
			check(t, text, s.Else)
		case *Def:
			check(t, text, s.Fn.Body)
		case *ExprStmt:
			Walk(s.X, func(x Expr) bool {
				if q := x.Range(); q.Start < r.Start || q.End > r.End {
					t.Fatalf("%T at %v lies outside its statement at %v", x, q, r)
				}
				return true
			})
		}
	}
}
