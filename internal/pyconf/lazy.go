package pyconf

import (
	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// Lazy is a reference to something of another package that a config imports
// but never loads, such as a class (docs/dialect.md, "Lazy references").
type Lazy struct {
	module  string     // dotted, as the config writes it; "" with modules
	modules []string   // of `import a.b` and `import a.c`, merged
	name    string     // what is imported from the module; "" for the module itself
	attr    bool       // reached through an attribute
	at      source.Pos // the import
}

// PyType is the class name that the original's loader uses.
func (l *Lazy) PyType() string {
	if l.attr {
		return "LazyAttr"
	}
	return "LazyObject"
}

// PyRepr is the bare last name.
func (l *Lazy) PyRepr() string {
	if l.name != "" {
		return l.name
	}
	return l.mod()
}

func (l *Lazy) mod() string {
	if len(l.modules) > 0 {
		return rootOf(l.modules[0])
	}
	return l.module
}

func rootOf(m string) string {
	for i := 0; i < len(m); i++ {
		if m[i] == '.' {
			return m[:i]
		}
	}
	return m
}

// Path is what the reference becomes in the data of a config: its module as
// written, a dot and its name. A module itself is doubled ("torch.torch"), as
// the original has it.
func (l *Lazy) Path() string { return l.mod() + "." + l.PyRepr() }

func (l *Lazy) what() string {
	if l.name == "" {
		return "`" + l.mod() + "` is a module that a config imports but does not load"
	}
	return "`" + l.PyRepr() + "` is a reference to " + l.Path() + ", which a config imports but does not load"
}

// attribute is a reference to something inside.
func (l *Lazy) attribute(name string) *Lazy {
	m := l.mod()
	if l.name != "" {
		m += "." + l.name
	}
	return &Lazy{module: m, name: name, attr: true, at: l.at}
}

// PyAttr lets str.format reach attributes, as getattr does.
func (l *Lazy) PyAttr(name string) (py.Value, bool) {
	if name == "module" {
		return l.mod(), true
	}
	return l.attribute(name), true
}

func (l *Lazy) copy() *Lazy {
	c := *l
	return &c
}

func (fr *frame) callLazy(l *Lazy, n syntax.Node) error {
	e := fr.raise(n, "RuntimeError", "%s cannot be called in a config", l.PyRepr())
	e.hint = l.what() + "; write dict(type=" + l.PyRepr() + ", …)"
	return e
}
