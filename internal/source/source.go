// Package source holds positions in files that users wrote and the
// diagnostics that point at them: file:line:col, the line, a caret, the chain
// of imports and a hint.
//
// A Pos is a small integer, as in go/token: it names a byte in one of the
// files of a Set. A file that is loaded twice (a base config is executed anew
// each time it is imported) is two Files, each with its own import position,
// so a Pos alone leads back through the whole chain of imports.
//
// The package knows nothing about the config language and nothing about the
// terminal.
package source

import (
	"sort"
	"strings"
	"sync"
	"unicode/utf8"
)

// Pos is a byte position in a Set. The zero Pos means "not known".
type Pos uint32

// File is one source text in a Set.
type File struct {
	Name       string // as the user would write it
	Text       string
	ImportedAt Pos // where the import of this file stands; 0 for the top file
	base       Pos
	lines      []int // byte offset of each line start; filled on first use
	once       sync.Once
}

// Pos returns the position of the byte at offset (0 ≤ offset ≤ len(Text)).
func (f *File) Pos(offset int) Pos { return f.base + Pos(offset) }

// Base is the position of the first byte.
func (f *File) Base() Pos { return f.base }

// Line returns the text of the 1-based line, without its line end.
func (f *File) Line(n int) string {
	f.index()
	if n < 1 || n > len(f.lines) {
		return ""
	}
	s := f.Text[f.lines[n-1]:]
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSuffix(s, "\r")
}

func (f *File) index() {
	f.once.Do(func() {
		f.lines = append(f.lines, 0)
		for i := 0; i < len(f.Text); i++ {
			if f.Text[i] == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	})
}

// Set is a collection of files; safe for concurrent use.
type Set struct {
	mu    sync.RWMutex
	files []*File
	next  Pos
}

// NewSet returns an empty Set.
func NewSet() *Set { return &Set{next: 1} }

// Add enters a file and returns it.
func (s *Set) Add(name, text string, importedAt Pos) *File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &File{Name: name, Text: text, ImportedAt: importedAt, base: s.next}
	s.next += Pos(len(text)) + 1
	s.files = append(s.files, f)
	return f
}

// Position is a resolved Pos. Line and Col are 1-based; Col counts code points.
type Position struct {
	File      *File
	Offset    int
	Line, Col int
}

// Position resolves p; ok is false when p is unknown.
func (s *Set) Position(p Pos) (pos Position, ok bool) {
	if s == nil || p == 0 {
		return Position{}, false
	}
	s.mu.RLock()
	i := sort.Search(len(s.files), func(i int) bool { return s.files[i].base > p }) - 1
	var f *File
	if i >= 0 {
		f = s.files[i]
	}
	s.mu.RUnlock()
	if f == nil || int(p-f.base) > len(f.Text) {
		return Position{}, false
	}
	f.index()
	off := int(p - f.base)
	ln := sort.Search(len(f.lines), func(i int) bool { return f.lines[i] > off })
	return Position{File: f, Offset: off, Line: ln, Col: utf8.RuneCountInString(f.Text[f.lines[ln-1]:off]) + 1}, true
}
