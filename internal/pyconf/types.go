package pyconf

import (
	"math/big"
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// What type, isinstance and the methods of types see.

// biCallable is callable: docs/dialect.md, "Built-in functions".
func biCallable(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	switch c.args[0].(type) {
	case *function, *builtin, *method, *excClass, *Lazy, *partial:
		return true, 0, nil
	}
	return false, 0, nil
}

// sentinel is an object that is only itself.
type sentinel struct{ name, repr string }

func (s *sentinel) PyType() string { return s.name }
func (s *sentinel) PyRepr() string { return s.repr }

var (
	ellipsis       = &sentinel{"ellipsis", "Ellipsis"}
	notImplemented = &sentinel{"NotImplementedType", "NotImplemented"}
)

// typeOf is type(v).
func typeOf(v py.Value) py.Value {
	switch x := v.(type) {
	case *exception:
		return x.class
	case *builtin:
		if x.typ {
			return types["type"]
		}
	case *excClass:
		return types["type"]
	}
	name := py.TypeName(v)
	if t, ok := types[name]; ok {
		return t
	}
	t := &builtin{name: name, typ: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		return nil, 0, fatalf("making a %s is not part of the config dialect", c.name)
	}}
	types2.Lock()
	defer types2.Unlock()
	if o, ok := types2.m[name]; ok {
		return o
	}
	types2.m[name] = t
	return t
}

// biType is type: docs/dialect.md, "Built-in functions".
func biType(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 3 {
		return nil, 0, fatalf("making classes is not part of the config dialect")
	}
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	return typeOf(c.args[0]), 0, nil
}

// instance reports isinstance(v, class).
func (c *callArgs) instance(v, class py.Value) (bool, error) {
	switch t := class.(type) {
	case *py.Tuple:
		for _, o := range t.Items {
			if ok, err := c.instance(v, o); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case *union:
		for _, o := range t.of {
			if o == nil {
				if v == nil {
					return true, nil
				}
				continue
			}
			if ok, err := c.instance(v, o); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case *excClass:
		e, ok := v.(*exception)
		return ok && e.class.is(t), nil
	case *builtin:
		if t.typ {
			switch t.name {
			case "object":
				return true, nil
			case "int":
				if _, ok := v.(bool); ok {
					return true, nil
				}
			case "dict", "Mapping", "MutableMapping":
				_, ok := v.(*py.Dict)
				return ok, nil
			case "Sequence":
				switch v.(type) {
				case *py.List, *py.Tuple, string, *py.Range, py.Bytes:
					return true, nil
				}
				return false, nil
			case "Iterable":
				_, err := c.fr.iterate(v, c.n)
				return err == nil, nil
			case "Number":
				switch v.(type) {
				case int, float64, bool, *big.Int:
					return true, nil
				}
				return false, nil
			case "Callable":
				switch v.(type) {
				case *function, *builtin, *method, *excClass:
					return true, nil
				}
				return false, nil
			case "type":
				switch x := v.(type) {
				case *builtin:
					return x.typ, nil
				case *excClass:
					return true, nil
				}
				return false, nil
			}
			return py.TypeName(v) == t.name, nil
		}
	case *Lazy:
		return false, c.fr.hinted(c.n, t.what(), "TypeError", "isinstance() arg 2 must be a type, a tuple of types, or a union")
	}
	return false, c.errorf("TypeError", "isinstance() arg 2 must be a type, a tuple of types, or a union")
}

// biIsinstance is isinstance: docs/dialect.md, "Built-in functions".
func biIsinstance(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	r, err := c.instance(c.args[0], c.args[1])
	return r, 0, err
}

// biIssubclass is issubclass: docs/dialect.md, "Built-in functions".
func biIssubclass(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	classes := []py.Value{c.args[1]}
	if t, ok := c.args[1].(*py.Tuple); ok {
		classes = t.Items
	}
	for _, k := range classes {
		switch a := c.args[0].(type) {
		case *excClass:
			if b, ok := k.(*excClass); ok && a.is(b) {
				return true, 0, nil
			}
		case *builtin:
			if a.typ && (k == py.Value(a) || k == py.Value(types["object"]) || a.name == "bool" && k == py.Value(types["int"])) {
				return true, 0, nil
			}
		default:
			return nil, 0, c.errorf("TypeError", "issubclass() arg 1 must be a class")
		}
	}
	return false, 0, nil
}

// typeAttr is a method looked up on a type: str.upper, dict.fromkeys.
func typeAttr(t *builtin, name string) (py.Value, bool) {
	if !t.typ {
		return nil, false
	}
	switch {
	case t.name == "dict" && name == "fromkeys":
		return &method{name: name, recv: t, fn: func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 2); err != nil {
				return nil, 0, err
			}
			var v py.Value
			if len(c.args) > 1 {
				v = c.args[1]
			}
			d := &py.Dict{At: c.fr.pos(c.n)}
			err := c.fr.each(c.args[0], c.n, func(k py.Value, pos source.Pos) error {
				return c.err(d.Put(py.Entry{Key: k, Val: v, KeyPos: pos, Pos: c.argPos(1)}))
			})
			return d, 0, err
		}}, true
	case t.name == "chain" && name == "from_iterable":
		return chainFrom, true
	case name == "__name__", name == "__qualname__":
		return nil, false
	}
	ok := false
	switch t.name {
	case "str":
		_, ok = py.Method("", name)
	case "list":
		l := py.NewList()
		_, ok = py.Method(l, name)
		ok = ok || listMethod(l, name) != nil
	case "dict":
		ok = dictMethod(py.NewDict(), name) != nil
	case "int":
		_, ok = py.Method(0, name)
	case "float":
		_, ok = py.Method(0.0, name)
	case "set":
		_, ok = py.Method(&py.Set{}, name)
	case "bytes":
		_, ok = py.Method(py.Bytes(""), name)
	}
	if !ok {
		return nil, false
	}
	return &method{name: name, recv: t, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		if t.name == "str" && name == "maketrans" || t.name == "float" && name == "fromhex" || t.name == "bytes" && name == "fromhex" {
			recv := map[string]py.Value{"str": "", "float": 0.0, "bytes": py.Bytes("")}[t.name]
			f, _ := py.Method(recv, name)
			v, err := f(c.args, c.kwDict())
			return v, 0, c.err(err)
		}
		if len(c.args) == 0 {
			return nil, 0, c.errorf("TypeError", "unbound method %s.%s() needs an argument", t.name, name)
		}
		if is, err := c.instance(c.args[0], t); err != nil || !is {
			return nil, 0, c.errorf("TypeError", "descriptor '%s' for '%s' objects doesn't apply to a '%s' object", name, t.name, py.TypeName(c.args[0]))
		}
		m, _, err := c.fr.getattr(c.args[0], name, c.n)
		if err != nil {
			return nil, 0, err
		}
		sub := *c
		sub.args, sub.pos = c.args[1:], c.pos[1:]
		return c.fr.apply(m, &sub)
	}}, true
}

// union is int | str, and with None.
type union struct{ of []py.Value }

func (u *union) PyType() string { return "UnionType" }

func (u *union) PyRepr() string {
	parts := make([]string, len(u.of))
	for i, t := range u.of {
		switch x := t.(type) {
		case nil:
			parts[i] = "None"
		case *builtin:
			parts[i] = x.name
		case *excClass:
			parts[i] = x.name
		}
	}
	return strings.Join(parts, " | ")
}

// PyEqual compares as sets.
func (u *union) PyEqual(o py.Value) bool {
	w, ok := o.(*union)
	if !ok || len(w.of) != len(u.of) {
		return false
	}
	for _, t := range w.of {
		if !slices.Contains(u.of, t) {
			return false
		}
	}
	return true
}

// joinTypes is a | b where at least one of them is a type or a union.
func joinTypes(op string, self, other py.Value, reflected bool) (py.Value, bool, error) {
	if op != "|" {
		return nil, false, nil
	}
	if reflected {
		self, other = other, self
	}
	u := &union{}
	for _, v := range []py.Value{self, other} {
		of := []py.Value{v}
		switch x := v.(type) {
		case *union:
			of = x.of
		case *builtin:
			if !x.typ {
				return nil, false, nil
			}
		case *excClass, nil:
		default:
			return nil, false, nil
		}
		for _, t := range of {
			if !slices.Contains(u.of, t) {
				u.of = append(u.of, t)
			}
		}
	}
	if len(u.of) == 1 {
		return u.of[0], true, nil
	}
	return u, true, nil
}

// PyBinary gives types the operator |.
func (b *builtin) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	if !b.typ {
		return nil, false, nil
	}
	return joinTypes(op, b, other, reflected)
}

// PyBinary gives exceptions the operator |.
func (e *excClass) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	return joinTypes(op, e, other, reflected)
}

// PyBinary gives unions the operator |.
func (u *union) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	return joinTypes(op, u, other, reflected)
}
