package pyconf

import (
	"fmt"
	"strings"
	"sync"

	"sextant/internal/pyconf/syntax"
)

// plan is what can be known of a file's text before it is executed. It is
// shared by all executions of the same text.
type plan struct {
	text   string
	err    error         // syntax.Errors
	all    []syntax.Stmt // as written
	body   []syntax.Stmt // for lazy mode: blocks of read_base dissolved
	mode   Mode
	fault  *fault // what the original's loader refuses when it chooses the mode
	bases  []*syntax.ImportFrom
	isBase map[*syntax.ImportFrom]bool
	froms  []*syntax.ImportFrom // all, in the order of the original's transformation
	takes  map[string][]string  // by module, the variables that froms name; "*" for all
	merged []*Lazy              // `import a.b` without `as`, by root, in order of execution
	roots  []string             // their names
	names  map[string]bool      // what the imports of this file bind
	lazyOK *fault               // why the file cannot be a lazy config
}

// fault is a mistake found without executing.
type fault struct {
	at        syntax.Span
	msg, hint string
}

// Cache keeps parsed files between loads: a file that several configs import
// is parsed once. The zero Cache is ready; safe for concurrent use.
type Cache struct {
	mu sync.Mutex
	m  map[string]*plan
}

// get returns the plan for the text of a file.
func (c *Cache) get(id, text string) *plan {
	c.mu.Lock()
	p := c.m[id]
	c.mu.Unlock()
	if p != nil && p.text == text {
		return p
	}
	p = makePlan(text)
	c.mu.Lock()
	if c.m == nil {
		c.m = map[string]*plan{}
	}
	c.m[id] = p
	c.mu.Unlock()
	return p
}

func makePlan(text string) *plan {
	p := &plan{text: text, names: map[string]bool{}, isBase: map[*syntax.ImportFrom]bool{}}
	m, err := syntax.Parse(text)
	if err != nil {
		p.err = err
		return p
	}
	p.all = m.Body
	p.mode, p.fault = chooseMode(m.Body)
	p.lazyPlan(m.Body)
	return p
}

// isReadBase recognises `with read_base():`.
func isReadBase(w *syntax.With) bool {
	if len(w.Items) != 1 {
		return false
	}
	c, ok := w.Items[0].X.(*syntax.Call)
	if !ok {
		return false
	}
	n, ok := c.Fn.(*syntax.Name)
	return ok && n.ID == "read_base"
}

func assignsBase(s syntax.Stmt) bool {
	a, ok := s.(*syntax.Assign)
	if !ok {
		return false
	}
	n, ok := a.Targets[0].(*syntax.Name)
	return ok && n.ID == "_base_"
}

// chooseMode walks the statements breadth first; the first decisive one wins.
func chooseMode(body []syntax.Stmt) (Mode, *fault) {
	level := body
	for len(level) > 0 {
		var next []syntax.Stmt
		var later [][]syntax.Stmt // bodies of except clauses lie one level deeper
		for _, s := range level {
			if assignsBase(s) {
				return Classic, nil
			}
			switch s := s.(type) {
			case *syntax.With:
				if isReadBase(s) {
					return LazyMode, nil
				}
				return Classic, &fault{s.Range(), "only `with read_base():` can be used at this place of a config", "read the file in a function: def read(path): return open(path).read()"}
			case *syntax.ImportFrom:
				if s.Level > 0 {
					return LazyMode, nil
				}
				if s.Module == "mmengine" && len(s.Names) == 1 && s.Names[0].Name == "Config" {
					continue
				}
				if !isBuiltinModule(s.Module) {
					return LazyMode, nil
				}
			case *syntax.Import:
				for i := range s.Names {
					if !isBuiltinModule(s.Names[i].Name) {
						return LazyMode, nil
					}
				}
			case *syntax.If:
				next = append(append(next, s.Body...), s.Else...)
			case *syntax.For:
				next = append(append(next, s.Body...), s.Else...)
			case *syntax.While:
				next = append(append(next, s.Body...), s.Else...)
			case *syntax.Def:
				next = append(next, s.Fn.Body...)
			case *syntax.Try:
				next = append(next, s.Body...)
				for i := range s.Handlers {
					later = append(later, s.Handlers[i].Body)
				}
				next = append(append(next, s.Else...), s.Final...)
			}
		}
		for _, b := range later {
			next = append(next, b...)
		}
		level = next
	}
	return Classic, nil
}

// lazyPlan prepares the lazy algorithm: bases, their place, imported names.
func (p *plan) lazyPlan(body []syntax.Stmt) {
	seenBlock := false
	for _, s := range body {
		w, ok := s.(*syntax.With)
		if !seenBlock && p.lazyOK == nil {
			if assignsBase(s) {
				p.lazyOK = &fault{s.Range(), "`_base_ = …` cannot be used in a config that uses `with read_base():` or imports packages", "write with read_base(): from .file import *"}
			} else if ok && !isReadBase(w) {
				p.lazyOK = &fault{s.Range(), "only `with read_base():` can be used at the top level of a config", "read the file in a function: def read(path): return open(path).read()"}
			}
		}
		if !ok || !isReadBase(w) {
			p.body = append(p.body, s)
			continue
		}
		seenBlock = true
		for _, b := range w.Body {
			f, ok := b.(*syntax.ImportFrom)
			if !ok {
				if j, ok := b.(*syntax.Jump); ok && j.Kind == syntax.Pass {
					continue
				}
				if p.lazyOK == nil {
					p.lazyOK = &fault{b.Range(), "only `from … import …` can be used in `with read_base():`", "move this line out of the block"}
				}
				continue
			}
			if f.Module == "" && p.lazyOK == nil {
				p.lazyOK = &fault{f.Range(), "`from . import …` cannot be used in `with read_base():`", "name the file: from .file import variable"}
			}
			p.bases = append(p.bases, f)
			p.isBase[f] = true
			p.body = append(p.body, f)
		}
	}
	// A star import outside the block can only mean a config: the original
	// refuses it.
	for _, s := range p.body {
		if f, ok := s.(*syntax.ImportFrom); ok && !p.isBase[f] && f.Names[0].Name == "*" && !isBuiltinModule(moduleString(f)) && f.Module != "" {
			p.bases = append(p.bases, f)
			p.isBase[f] = true
		}
	}
	p.collect(p.body, true)
	seen := map[string]int{}
	for _, s := range p.body {
		im, ok := s.(*syntax.Import)
		if !ok {
			continue
		}
		for i := range im.Names {
			a := &im.Names[i]
			if a.As != "" || isBuiltinModule(a.Name) {
				continue
			}
			root := rootOf(a.Name)
			if j, ok := seen[root]; ok {
				p.merged[j].modules = append(p.merged[j].modules, a.Name)
				continue
			}
			seen[root] = len(p.merged)
			p.merged = append(p.merged, &Lazy{modules: []string{a.Name}})
			p.roots = append(p.roots, root)
			p.names[root] = true
		}
	}
	// each is put before what is there: the last root comes first
	for i, j := 0, len(p.merged)-1; i < j; i, j = i+1, j-1 {
		p.merged[i], p.merged[j] = p.merged[j], p.merged[i]
		p.roots[i], p.roots[j] = p.roots[j], p.roots[i]
	}
}

// collect gathers the imports of a body, nested ones too.
func (p *plan) collect(body []syntax.Stmt, top bool) {
	baseMods := map[string]bool{}
	for _, b := range p.bases {
		baseMods[moduleString(b)] = true
	}
	var walk func(body []syntax.Stmt)
	walk = func(body []syntax.Stmt) {
		for _, s := range body {
			switch s := s.(type) {
			case *syntax.ImportFrom:
				p.froms = append(p.froms, s)
				mod := moduleString(s)
				if baseMods[mod] || !isBuiltinModule(mod) {
					if p.takes == nil {
						p.takes = map[string][]string{}
					}
					for i := range s.Names {
						p.takes[mod] = append(p.takes[mod], s.Names[i].Name)
					}
				}
				if isBuiltinModule(mod) || !baseMods[mod] {
					for i := range s.Names {
						if s.Names[i].Name != "*" {
							p.names[s.Names[i].Bound()] = true
						}
					}
				}
			case *syntax.Import:
				for i := range s.Names {
					if s.Names[i].As != "" {
						p.names[s.Names[i].As] = true
					}
				}
			case *syntax.If:
				walk(s.Body)
				walk(s.Else)
			case *syntax.For:
				walk(s.Body)
				walk(s.Else)
			case *syntax.While:
				walk(s.Body)
				walk(s.Else)
			case *syntax.Def:
				walk(s.Fn.Body)
			case *syntax.With:
				walk(s.Body)
			case *syntax.Try:
				walk(s.Body)
				for i := range s.Handlers {
					walk(s.Handlers[i].Body)
				}
				walk(s.Else)
				walk(s.Final)
			}
		}
	}
	walk(body)
}

// Mode is how a config is loaded.
type Mode int

// The modes of docs/dialect.md, "Modes".
const (
	Classic Mode = iota
	LazyMode
)

func (m Mode) String() string {
	if m == LazyMode {
		return "lazy"
	}
	return "classic"
}

// moduleFile is the path of a dotted module below a folder.
func moduleFile(module string) string { return strings.ReplaceAll(module, ".", "/") + ".py" }

var _ fmt.Stringer = Mode(0)
