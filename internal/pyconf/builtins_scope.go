package pyconf

import (
	"fmt"
	"math/big"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// Built-in functions that look at names, attributes and iterators.

// biPrint writes to the notes of the run, as a config has no standard output:
// docs/dialect.md, "Files".
func biPrint(c *callArgs) (py.Value, source.Pos, error) {
	sep, end := " ", "\n"
	for _, e := range c.kw {
		switch e.Key {
		case "sep", "end":
			s, ok := e.Val.(string)
			if e.Val != nil && !ok {
				return nil, 0, c.errorf("TypeError", "%v must be None or a string, not %s", e.Key, py.TypeName(e.Val))
			}
			if ok && e.Key == "sep" {
				sep = s
			} else if ok {
				end = s
			}
		case "file", "flush":
		default:
			return nil, 0, c.errorf("TypeError", "'%v' is an invalid keyword argument for print()", e.Key)
		}
	}
	var b strings.Builder
	for i, a := range c.args {
		if i > 0 {
			b.WriteString(sep)
		}
		if err := c.in().checkDepth(a); err != nil {
			return nil, 0, c.err(err)
		}
		b.WriteString(py.Str(a))
	}
	b.WriteString(end)
	c.in().note(b.String())
	return nil, 0, c.err(c.in().charge(b.Len()))
}

// biID is id: docs/dialect.md, "Built-in functions".
func biID(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	s := fmt.Sprintf("%p", c.args[0])
	v, err := py.ParseInt(strings.TrimPrefix(s, "0x"), 16)
	if err != nil {
		v = 0
	}
	return v, 0, nil
}

// biHash is hash: docs/dialect.md, "Built-in functions".
func biHash(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	if _, ok := py.HashKey(c.args[0]); !ok {
		return nil, 0, c.errorf("TypeError", "unhashable type: '%s'", py.TypeName(c.args[0]))
	}
	if n, ok := py.HashNumber(c.args[0]); ok {
		return n, 0, nil
	}
	return nil, 0, fatalf("`hash` of a %s is not part of the config dialect", py.TypeName(c.args[0])).WithHint("its value differs from one run of Python to the next")
}

// biGetattr is getattr: docs/dialect.md, "Built-in functions".
func biGetattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 3); err != nil {
		return nil, 0, err
	}
	name, ok := c.args[1].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "attribute name must be string, not '%s'", py.TypeName(c.args[1]))
	}
	v, pos, err := c.fr.getattr(c.args[0], name, c.n)
	if r, ok := err.(*raised); ok && len(c.args) == 3 && r.exc.class.name == "AttributeError" {
		return c.args[2], c.pos[2], nil
	}
	return v, pos, err
}

// biHasattr is hasattr: docs/dialect.md, "Built-in functions".
func biHasattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	name, ok := c.args[1].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "attribute name must be string, not '%s'", py.TypeName(c.args[1]))
	}
	if _, lazy := c.args[0].(*Lazy); !lazy && protocol(c.args[0], name) {
		return true, 0, nil
	}
	_, _, err := c.fr.getattr(c.args[0], name, c.n)
	if r, ok := err.(*raised); ok && r.exc.class.name == "AttributeError" {
		return false, 0, nil
	}
	return err == nil, 0, err
}

// protocol reports whether v has a method by which Python's operators and
// built-in functions ask: __len__ and the like, which cannot be called here.
func protocol(v py.Value, name string) bool {
	switch name {
	case "__str__", "__repr__", "__eq__", "__ne__", "__class__", "__doc__", "__init__", "__hash__", "__format__", "__dir__":
		return true
	case "__next__":
		_, ok := v.(*iterator)
		return ok
	case "__call__":
		switch v.(type) {
		case *function, *builtin, *method, *excClass, *partial:
			return true
		}
		return false
	case "__int__", "__float__", "__bool__", "__abs__", "__neg__", "__sub__":
		switch v.(type) {
		case int, bool, float64, *big.Int:
			return true
		}
		_, set := v.(*py.Set)
		return set && name == "__sub__"
	}
	switch v.(type) {
	case *py.List, *py.Tuple, string, py.Bytes, *py.Range:
		switch name {
		case "__len__", "__iter__", "__contains__", "__getitem__":
			return true
		case "__add__", "__mul__":
			_, isRange := v.(*py.Range)
			return !isRange
		case "__setitem__", "__delitem__":
			_, isList := v.(*py.List)
			return isList
		}
	case *py.Dict:
		switch name {
		case "__len__", "__iter__", "__contains__", "__getitem__", "__setitem__", "__delitem__", "__or__":
			return true
		}
	case *py.Set, *dictView:
		return name == "__len__" || name == "__iter__" || name == "__contains__"
	case *iterator:
		return name == "__iter__"
	case int, bool, float64, *big.Int:
		return name == "__add__" || name == "__mul__"
	}
	return false
}

// biSetattr is setattr: docs/dialect.md, "Built-in functions".
func biSetattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(3, 3); err != nil {
		return nil, 0, err
	}
	if d, ok := c.args[0].(*py.Dict); ok && d.Config {
		return nil, 0, c.fr.setItem(d, c.args[1], c.args[2], c.pos[1], c.pos[2], c.n)
	}
	return nil, 0, c.errorf("AttributeError", "'%s' object has no attribute '%s'", py.TypeName(c.args[0]), py.Str(c.args[1]))
}

// biIter is iter: docs/dialect.md, "Built-in functions".
func biIter(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[0], c.n)
	return it, 0, err
}

// biNext is next: docs/dialect.md, "Built-in functions".
func biNext(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 2); err != nil {
		return nil, 0, err
	}
	it, ok := c.args[0].(*iterator)
	if !ok {
		return nil, 0, c.errorf("TypeError", "'%s' object is not an iterator", py.TypeName(c.args[0]))
	}
	v, pos, ok, err := it.step()
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		if len(c.args) == 2 {
			return c.args[1], c.pos[1], nil
		}
		e := c.fr.raise(c.n, "StopIteration", "")
		e.hint = "nothing was found: give next a second argument, the value to take then"
		return nil, 0, e
	}
	return v, pos, nil
}

// biLocals is the module's live variables, or a copy of a function's:
// docs/dialect.md, "Lazy mode".
func biLocals(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 1 {
		return nil, 0, c.errorf("TypeError", "vars() argument must have __dict__ attribute")
	}
	if c.fr.locals != nil {
		return c.fr.locals, 0, nil
	}
	if c.fr.env == nil {
		return c.fr.m.globals, 0, nil
	}
	d := &py.Dict{At: c.fr.pos(c.n)}
	for i, b := range c.fr.env.vals {
		if b.set {
			_ = d.Put(py.Entry{Key: c.fr.env.names[i], Val: b.v, Pos: b.pos}) // keys are strings
		}
	}
	return d, 0, nil
}

// biGlobals is globals: docs/dialect.md, "Built-in functions".
func biGlobals(c *callArgs) (py.Value, source.Pos, error) {
	return c.fr.m.globals, 0, c.between(0, 0)
}

// biDir is dir: docs/dialect.md, "Built-in functions".
func biDir(c *callArgs) (py.Value, source.Pos, error) {
	d := c.fr.m.globals
	if len(c.args) > 0 {
		var ok bool
		if d, ok = c.args[0].(*py.Dict); !ok {
			return nil, 0, fatalf("`dir` of a %s is not part of the config dialect", py.TypeName(c.args[0]))
		}
	}
	v, err := py.Sorted(d.Keys(), nil, false)
	return py.NewList(v...), 0, c.err(err)
}

// biEval evaluates a text in the scope of the caller; configs use it to look
// a name up: docs/dialect.md, "Built-in functions".
func biEval(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 3); err != nil {
		return nil, 0, err
	}
	src, ok := c.args[0].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "eval() arg 1 must be a string, bytes or code object")
	}
	if err := c.in().charge(len(src)); err != nil {
		return nil, 0, c.err(err)
	}
	x, err := syntax.ParseExpr(src)
	if err != nil {
		return nil, 0, c.errorf("SyntaxError", "%s in eval(%s)", err.Error(), py.Repr(shorten(src)))
	}
	c.in().textSum += len(src)
	if c.in().textSum > c.in().o.MaxText {
		return nil, 0, fatalf("config evaluates more than %d MB of text", c.in().o.MaxText>>20)
	}
	m := *c.fr.m
	m.file = c.in().set.Add("<eval>", src, c.fr.pos(c.n))
	sub := &frame{in: c.in(), m: &m}
	if len(c.args) > 1 {
		g, ok := c.args[1].(*py.Dict)
		if !ok {
			return nil, 0, c.errorf("TypeError", "globals must be a dict")
		}
		m.globals = g
	} else if c.fr.env != nil {
		sub.locals = py.NewDict()
		var chain []*env
		for e := c.fr.env; e != nil; e = e.parent {
			chain = append(chain, e)
		}
		for i := len(chain) - 1; i >= 0; i-- {
			for j, b := range chain[i].vals {
				if b.set {
					_ = sub.locals.Put(py.Entry{Key: chain[i].names[j], Val: b.v, Pos: b.pos}) // keys are strings
				}
			}
		}
	}
	return c.fr.deeper(c, func() (py.Value, source.Pos, error) {
		v, _, err := sub.eval(x)
		return v, c.argPos(0), err
	})
}

func shorten(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
