package pyconf

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// Built-in types, called to make values, and the iterators.

// biDict is dict(mapping_or_pairs, **entries): docs/dialect.md, "Dicts".
func biDict(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 0 { // the names are different: the parser and ** see to it
		d := py.DictOfEntries(c.kw)
		d.At = c.fr.pos(c.n)
		return d, d.At, c.err(c.in().charge(64 + 80*d.Len()))
	}
	d := &py.Dict{At: c.fr.pos(c.n)}
	if len(c.args) > 1 {
		return nil, 0, c.errorf("TypeError", "dict expected at most 1 argument, got %d", len(c.args))
	}
	if len(c.args) == 1 {
		o, err := c.toDict(c.args[0])
		if err != nil {
			if r, ok := err.(*raised); ok && r.exc.class.name == "TypeError" && r.hint == "" {
				r.hint = "dict takes a dict, a list of pairs, or name=value"
			}
			return nil, 0, err
		}
		d = o.Copy()
		d.Config, d.At = false, c.fr.pos(c.n)
	}
	for _, e := range c.kw {
		if err := d.Put(e); err != nil {
			return nil, 0, c.err(err)
		}
	}
	return d, d.At, c.err(c.in().charge(64 + 80*d.Len()))
}

// biList is list: docs/dialect.md, "Built-in functions".
func biList(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return &py.List{At: c.fr.pos(c.n)}, 0, nil
	}
	l, err := c.fr.list(c.args[0], c.n)
	return l, 0, err
}

// biTuple is tuple: docs/dialect.md, "Built-in functions".
func biTuple(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return &py.Tuple{At: c.fr.pos(c.n)}, 0, nil
	}
	if t, ok := c.args[0].(*py.Tuple); ok {
		return t, c.pos[0], nil
	}
	l, err := c.fr.list(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &py.Tuple{Items: l.Items, Pos: l.Pos, At: l.At}, 0, nil
}

func makeSet(c *callArgs, frozen bool) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	s := &py.Set{At: c.fr.pos(c.n)}
	if len(c.args) == 1 {
		switch o := c.args[0].(type) { // the order follows from how CPython fills its table
		case *py.Set:
			if frozen && o.Frozen {
				return o, 0, nil
			}
			if err := c.in().charge(64 * o.Len()); err != nil {
				return nil, 0, c.err(err)
			}
			s.Update(o)
			s.Frozen = frozen
			return s, 0, nil
		case *py.Dict:
			if !o.Config {
				s.Reserve(o.Len())
			}
		}
		if err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
			if err := c.in().charge(64); err != nil {
				return c.err(err)
			}
			return c.err(s.Add(v))
		}); err != nil {
			return nil, 0, err
		}
	}
	s.Frozen = frozen
	return s, 0, nil
}

// biSet is set: docs/dialect.md, "Built-in functions".
func biSet(c *callArgs) (py.Value, source.Pos, error) { return makeSet(c, false) }

// biFrozenset is frozenset: docs/dialect.md, "Built-in functions".
func biFrozenset(c *callArgs) (py.Value, source.Pos, error) { return makeSet(c, true) }

// biStr is str: docs/dialect.md, "Built-in functions".
func biStr(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("object=", "encoding=", "errors=")
	if err != nil {
		return nil, 0, err
	}
	if !set[0] {
		return "", 0, nil
	}
	if set[1] || set[2] {
		f, ok := py.Method(a[0], "decode")
		if !ok {
			return nil, 0, c.errorf("TypeError", "decoding to str: need a bytes-like object, %s found", py.TypeName(a[0]))
		}
		v, err := f(c.args[1:], nil)
		return v, 0, c.err(err)
	}
	if err := c.in().checkDepth(a[0]); err != nil {
		return nil, 0, c.err(err)
	}
	s := py.Str(a[0])
	return s, 0, c.err(c.in().sized(s))
}

// biInt is int: docs/dialect.md, "Built-in functions".
func biInt(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("x=", "base=")
	if err != nil {
		return nil, 0, err
	}
	if !set[0] {
		return 0, 0, nil
	}
	if set[1] {
		s, ok := a[0].(string)
		if !ok {
			return nil, 0, c.errorf("TypeError", "int() can't convert non-string with explicit base")
		}
		base, err := py.Index(a[1])
		if err != nil {
			return nil, 0, c.err(err)
		}
		v, err := py.ParseInt(s, base)
		return v, 0, c.err(err)
	}
	v, err := py.Int(a[0])
	return v, c.argPos(0), c.err(err)
}

// biFloat is float: docs/dialect.md, "Built-in functions".
func biFloat(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return 0.0, 0, nil
	}
	v, err := py.Float(c.args[0])
	return v, c.pos[0], c.err(err)
}

// biBool is bool: docs/dialect.md, "Built-in functions".
func biBool(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	return len(c.args) == 1 && py.Truth(c.args[0]), 0, nil
}

// biBytes is bytes: docs/dialect.md, "Built-in functions".
func biBytes(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 0 {
		return py.Bytes(""), 0, nil
	}
	switch x := c.args[0].(type) {
	case string:
		if f, ok := py.Method(x, "encode"); ok && len(c.args) > 1 {
			v, err := f(c.args[1:], c.kwDict())
			if err == nil {
				err = c.in().sized(v)
			}
			return v, 0, c.err(err)
		}
		return nil, 0, c.errorf("TypeError", "string argument without an encoding")
	case py.Bytes:
		return x, 0, nil
	case int:
		if x < 0 || x > py.MaxResultBytes {
			return nil, 0, c.errorf("ValueError", "negative or too large count")
		}
		return py.Bytes(strings.Repeat("\x00", x)), 0, c.err(c.in().charge(x))
	}
	var b []byte
	err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
		i, err := py.Index(v)
		if err != nil {
			return c.err(err)
		}
		if i < 0 || i > 255 {
			return c.errorf("ValueError", "bytes must be in range(0, 256)")
		}
		b = append(b, byte(i))
		return nil
	})
	return py.Bytes(b), 0, err
}

// biComplex is complex: docs/dialect.md, "Built-in functions".
func biComplex(c *callArgs) (py.Value, source.Pos, error) {
	var parts [2]float64
	if err := c.between(0, 2); err != nil {
		return nil, 0, err
	}
	for i, a := range c.args {
		f, err := py.Float(a)
		if err != nil {
			return nil, 0, c.err(err)
		}
		parts[i] = f.(float64)
	}
	return complexValue(complex(parts[0], parts[1])), 0, nil
}

// biRange is range: docs/dialect.md, "Built-in functions".
func biRange(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.noKw(); err != nil {
		return nil, 0, err
	}
	r, err := py.NewRange(c.args...)
	if err != nil {
		return nil, 0, c.err(err)
	}
	return r, 0, nil
}

// biZip is zip: docs/dialect.md, "Built-in functions".
func biZip(c *callArgs) (py.Value, source.Pos, error) {
	strict := false
	for _, e := range c.kw {
		if e.Key != "strict" {
			return nil, 0, c.errorf("TypeError", "zip() got an unexpected keyword argument '%v'", e.Key)
		}
		strict = py.Truth(e.Val)
	}
	its := make([]*iterator, len(c.args))
	for i, a := range c.args {
		var err error
		if its[i], err = c.fr.iterate(a, c.n); err != nil {
			return nil, 0, err
		}
	}
	at := c.fr.pos(c.n)
	return &iterator{typ: "zip", next: func() (py.Value, source.Pos, bool, error) {
		t := &py.Tuple{At: at, Items: make([]py.Value, len(its)), Pos: make([]source.Pos, len(its))}
		for i, it := range its {
			v, pos, ok, err := it.step()
			if err != nil {
				return nil, 0, false, err
			}
			if !ok {
				if strict && i > 0 {
					return nil, 0, false, c.errorf("ValueError", "zip() argument %d is shorter than argument%s", i+1, upTo(i))
				}
				if strict {
					for j, o := range its[1:] {
						if _, _, more, _ := o.step(); more {
							return nil, 0, false, c.errorf("ValueError", "zip() argument %d is longer than argument%s", j+2, upTo(j+1))
						}
					}
				}
				return nil, 0, false, nil
			}
			t.Items[i], t.Pos[i] = v, pos
		}
		return t, 0, len(its) > 0, nil
	}}, 0, nil
}

func upTo(n int) string {
	if n == 1 {
		return " 1"
	}
	return fmt.Sprintf("s 1-%d", n)
}

// biEnumerate is enumerate: docs/dialect.md, "Built-in functions".
func biEnumerate(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("iterable", "start=")
	if err != nil {
		return nil, 0, err
	}
	i := 0
	if set[1] {
		if i, err = py.Index(a[1]); err != nil {
			return nil, 0, c.err(err)
		}
	}
	it, err := c.fr.iterate(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	at := c.fr.pos(c.n)
	return &iterator{typ: "enumerate", next: func() (py.Value, source.Pos, bool, error) {
		v, pos, ok, err := it.step()
		i++
		return &py.Tuple{At: at, Items: []py.Value{i - 1, v}, Pos: []source.Pos{0, pos}}, 0, ok, err
	}}, 0, nil
}

// biMap is map: docs/dialect.md, "Built-in functions".
func biMap(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, -1); err != nil {
		return nil, 0, err
	}
	f := c.args[0]
	its := make([]*iterator, len(c.args)-1)
	for i, a := range c.args[1:] {
		var err error
		if its[i], err = c.fr.iterate(a, c.n); err != nil {
			return nil, 0, err
		}
	}
	return &iterator{typ: "map", next: func() (py.Value, source.Pos, bool, error) {
		sub := callArgs{fr: c.fr, n: c.n}
		for _, it := range its {
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			sub.args, sub.pos = append(sub.args, v), append(sub.pos, pos)
		}
		v, pos, err := c.fr.apply(f, &sub)
		return v, pos, err == nil, err
	}}, 0, nil
}

// biFilter is filter: docs/dialect.md, "Built-in functions".
func biFilter(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[1], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &iterator{typ: "filter", next: func() (py.Value, source.Pos, bool, error) {
		for {
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			keep := v
			if c.args[0] != nil {
				if keep, err = c.callBack(c.args[0], v); err != nil {
					return nil, 0, false, err
				}
			}
			if py.Truth(keep) {
				return v, pos, true, nil
			}
			if err := c.in().tick(); err != nil {
				return nil, 0, false, c.err(err)
			}
		}
	}}, 0, nil
}

// biReversed is reversed: docs/dialect.md, "Built-in functions".
func biReversed(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	switch v := c.args[0].(type) {
	case *py.Set, *iterator, int, float64, bool, nil:
		return nil, 0, c.errorf("TypeError", "'%s' object is not reversible", py.TypeName(v))
	}
	l, live := c.args[0].(*py.List) // which is read while it may change
	if !live {
		var err error
		if l, err = c.fr.list(c.args[0], c.n); err != nil {
			return nil, 0, err
		}
	}
	i := len(l.Items)
	typ := "reversed"
	switch c.args[0].(type) {
	case *py.List:
		typ = "list_reverseiterator"
	case *py.Range:
		typ = "range_iterator"
	case *py.Dict:
		typ = "dict_reversekeyiterator"
	}
	return &iterator{typ: typ, next: func() (py.Value, source.Pos, bool, error) {
		i--
		if i < 0 || i >= len(l.Items) {
			return nil, 0, false, nil
		}
		return l.Items[i], l.PosOf(i), true, nil
	}}, 0, nil
}

// biSlice is slice: docs/dialect.md, "Built-in functions".
func biSlice(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 3); err != nil {
		return nil, 0, err
	}
	s := &sliceObj{}
	switch len(c.args) {
	case 1:
		s.hi = c.args[0]
	case 3:
		s.step = c.args[2]
		fallthrough
	case 2:
		s.lo, s.hi = c.args[0], c.args[1]
	}
	return s, 0, nil
}

// biObject is object: docs/dialect.md, "Built-in functions".
func biObject(c *callArgs) (py.Value, source.Pos, error) {
	return &sentinel{name: "object", repr: "<object object>"}, 0, c.between(0, 0)
}
