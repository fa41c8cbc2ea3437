package pyconf

import (
	"sextant/internal/py"
	"sextant/internal/source"
)

// Methods of list and dict. They live here and not in package py because they
// keep the positions of what they move, and because a ConfigDict has its own.

type methodFn = func(c *callArgs) (py.Value, source.Pos, error)

// listMethod gives a method of l, nil when there is none of that name.
// docs/dialect.md, "Lists".
func listMethod(l *py.List, name string) *method {
	var fn methodFn
	switch name {
	case "append":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			l.Append(c.args[0], c.pos[0])
			return nil, 0, c.err(c.in().charge(24))
		}
	case "extend":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			return nil, 0, c.fr.extend(l, c.args[0], c.n)
		}
	case "insert":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(2, 2); err != nil {
				return nil, 0, err
			}
			i, err := py.Index(c.args[0])
			if err != nil {
				return nil, 0, c.err(err)
			}
			n := len(l.Items)
			if i < 0 {
				i = max(0, i+n)
			}
			i = min(i, n)
			l.Append(nil, 0)
			for len(l.Pos) < len(l.Items) {
				l.Pos = append(l.Pos, 0)
			}
			copy(l.Items[i+1:], l.Items[i:])
			copy(l.Pos[i+1:], l.Pos[i:])
			l.Items[i], l.Pos[i] = c.args[1], c.pos[1]
			return nil, 0, c.err(c.in().charge(24))
		}
	case "pop":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 1); err != nil {
				return nil, 0, err
			}
			i := -1
			if len(c.args) > 0 {
				var err error
				if i, err = py.Index(c.args[0]); err != nil {
					return nil, 0, c.err(err)
				}
			}
			if len(l.Items) == 0 {
				return nil, 0, c.errorf("IndexError", "pop from empty list")
			}
			j, ok := wrap(i, len(l.Items))
			if !ok {
				return nil, 0, c.errorf("IndexError", "pop index out of range")
			}
			v, pos := l.Items[j], l.PosOf(j)
			removeAt(l, j)
			return v, pos, nil
		}
	case "remove":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			for i, v := range l.Items {
				same, err := c.fr.same(v, c.args[0], c)
				if err != nil {
					return nil, 0, err
				}
				if same {
					removeAt(l, i)
					return nil, 0, nil
				}
			}
			return nil, 0, c.errorf("ValueError", "list.remove(x): x not in list")
		}
	case "clear":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			l.Items, l.Pos = nil, nil
			return nil, 0, nil
		}
	case "copy":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			v, err := copyValue(c.in(), l)
			return v, l.At, c.err(err)
		}
	case "reverse":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			l.Pos = positions(l.Pos, len(l.Items), l.At)
			for i, j := 0, len(l.Items)-1; i < j; i, j = i+1, j-1 {
				l.Items[i], l.Items[j] = l.Items[j], l.Items[i]
				if l.Pos != nil {
					l.Pos[i], l.Pos[j] = l.Pos[j], l.Pos[i]
				}
			}
			return nil, 0, nil
		}
	case "sort":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			key, reverse, err := c.sortArgs(0)
			if err != nil {
				return nil, 0, err
			}
			s, err := c.sorted(l, key, reverse)
			if err != nil {
				return nil, 0, err
			}
			l.Items, l.Pos = s.Items, s.Pos
			return nil, 0, nil
		}
	default:
		return nil
	}
	return &method{name: name, recv: l, fn: fn}
}

// same is identity or equality.
func (fr *frame) same(a, b py.Value, c *callArgs) (bool, error) {
	if identical(a, b) {
		return true, nil
	}
	return fr.compare("==", a, b, c.n)
}

// sortArgs reads key= and reverse= of sort and sorted.
func (c *callArgs) sortArgs(npos int) (key py.Value, reverse bool, err error) {
	if len(c.args) > npos && npos == 0 {
		return nil, false, c.errorf("TypeError", "sort() takes no positional arguments")
	}
	if len(c.args) > npos {
		return nil, false, c.errorf("TypeError", "%s expected %d argument%s, got %d", c.name, npos, plural(npos), len(c.args))
	}
	for _, e := range c.kw {
		switch e.Key {
		case "key":
			key = e.Val
		case "reverse":
			reverse = py.Truth(e.Val)
		default:
			return nil, false, c.errorf("TypeError", "'%s' is an invalid keyword argument for sort()", e.Key)
		}
	}
	return key, reverse, nil
}

// sorted gives the items of l in order.
func (c *callArgs) sorted(l *py.List, key py.Value, reverse bool) (*py.List, error) {
	keys := append([]py.Value(nil), l.Items...)
	if key != nil {
		for i, v := range l.Items {
			k, err := c.callBack(key, v)
			if err != nil {
				return nil, err
			}
			keys[i] = k
		}
	}
	if err := c.in().checkDepth(py.NewList(keys...)); err != nil {
		return nil, c.err(err)
	}
	if err := c.in().work(len(keys)); err != nil {
		return nil, c.err(err)
	}
	perm, err := py.SortPerm(keys, reverse)
	if err != nil {
		return nil, c.err(err)
	}
	out := &py.List{At: l.At, Items: make([]py.Value, len(perm)), Pos: make([]source.Pos, len(perm))}
	for i, j := range perm {
		out.Items[i], out.Pos[i] = l.Items[j], l.PosOf(j)
	}
	return out, nil
}

// callBack calls a function that the config handed over, such as key=.
func (c *callArgs) callBack(f py.Value, args ...py.Value) (py.Value, error) {
	if err := c.in().tick(); err != nil {
		return nil, c.err(err)
	}
	sub := callArgs{fr: c.fr, n: c.n, args: args, pos: make([]source.Pos, len(args))}
	v, _, err := c.fr.apply(f, &sub)
	return v, err
}

// dictMethod gives a method of d, nil when there is none of that name.
// docs/dialect.md, "Dicts" and "ConfigDict".
func dictMethod(d *py.Dict, name string) *method {
	var fn methodFn
	switch name {
	case "keys", "values", "items":
		kind := name[:len(name)-1]
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			v := &dictView{d: d, kind: kind}
			if d.Config && kind != "key" { // a ConfigDict gives a list
				l := &py.List{At: d.At}
				for _, e := range d.Entries() {
					l.Append(v.item(&e))
				}
				return l, 0, nil
			}
			return v, 0, nil
		}
	case "get":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			lo := []string{"key", "default="}
			if !d.Config {
				if err := c.between(1, 2); err != nil {
					return nil, 0, err
				}
			}
			a, _, err := c.bind(lo...)
			if err != nil {
				return nil, 0, err
			}
			if _, ok := py.HashKey(a[0]); !ok {
				return nil, 0, c.errorf("TypeError", "unhashable type: '%s'", py.TypeName(a[0]))
			}
			if v, ok := d.Lookup(a[0]); ok {
				return v, d.PosOf(a[0]), nil
			}
			return a[1], c.argPos(1), nil
		}
	case "pop":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if !d.Config {
				if err := c.between(1, 2); err != nil {
					return nil, 0, err
				}
			}
			a, set, err := c.bind("key", "default=")
			if err != nil {
				return nil, 0, err
			}
			if v, ok := d.Lookup(a[0]); ok {
				pos := d.PosOf(a[0])
				d.Delete(a[0])
				return v, pos, nil
			}
			if set[1] || d.Config { // pop of a ConfigDict never fails
				return a[1], c.argPos(1), nil
			}
			return nil, 0, c.fr.missingKey(d, a[0], c.n)
		}
	case "setdefault":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if !d.Config {
				if err := c.between(1, 2); err != nil {
					return nil, 0, err
				}
			}
			a, _, err := c.bind("key", "default=")
			if err != nil {
				return nil, 0, err
			}
			if v, ok := d.Lookup(a[0]); ok {
				return v, d.PosOf(a[0]), nil
			}
			err = c.fr.setItem(d, a[0], a[1], c.argPos(0), orPos(c.argPos(1), c.fr.pos(c.n)), c.n)
			return a[1], c.argPos(1), err
		}
	case "update":
		fn = func(c *callArgs) (py.Value, source.Pos, error) { return nil, 0, dictUpdate(c, d) }
	case "copy", "__copy__":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			v, err := copyValue(c.in(), d)
			return v, d.At, c.err(err)
		}
	case "clear":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			for _, k := range d.Keys() {
				d.Delete(k)
			}
			return nil, 0, nil
		}
	case "popitem":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(0, 0); err != nil {
				return nil, 0, err
			}
			es := d.Entries()
			if len(es) == 0 {
				return nil, 0, c.errorf("KeyError", "'popitem(): dictionary is empty'")
			}
			e := es[len(es)-1]
			d.Delete(e.Key)
			return &py.Tuple{Items: []py.Value{e.Key, e.Val}, Pos: []source.Pos{e.KeyPos, e.Pos}}, e.Pos, nil
		}
	case "__contains__":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			return d.Has(c.args[0]), 0, nil
		}
	case "deepcopy", "to_dict", "merge":
		if !d.Config {
			return nil
		}
		fn = configMethod(d, name)
	default:
		return nil
	}
	return &method{name: name, recv: d, fn: fn}
}

func configMethod(d *py.Dict, name string) methodFn {
	return func(c *callArgs) (py.Value, source.Pos, error) {
		switch name {
		case "deepcopy":
			v, err := (&deepCopier{c.in(), map[any]py.Value{}}).copy(d, 0)
			return v, d.At, c.err(err)
		case "to_dict":
			if err := c.in().checkDepth(d); err != nil {
				return nil, 0, c.err(err)
			}
			return plain(d), d.At, nil
		}
		if err := c.between(1, 1); err != nil {
			return nil, 0, err
		}
		o, ok := c.args[0].(*py.Dict)
		if !ok {
			return nil, 0, c.errorf("TypeError", "merge() argument must be a dict, not %s", py.TypeName(c.args[0]))
		}
		if err := c.in().checkDepth(o); err != nil {
			return nil, 0, c.err(err)
		}
		merged := mergeDicts(py.DeepCopy(o).(*py.Dict), py.DeepCopy(d).(*py.Dict))
		for _, k := range d.Keys() {
			d.Delete(k)
		}
		return nil, 0, c.err(configUpdate(c.in(), d, merged))
	}
}

// mergeDicts is ConfigDict.merge: a over b, with `_delete_`.
func mergeDicts(a, b *py.Dict) *py.Dict {
	if del, ok := a.Lookup("_delete_"); ok {
		a.Delete("_delete_")
		if py.Truth(del) {
			b = py.NewDict()
		}
	}
	out := &py.Dict{At: a.At}
	for _, e := range b.Entries() {
		if e.Key != "_delete_" {
			_ = out.Put(e) // the key came out of a dict
		}
	}
	for _, e := range a.Entries() {
		if e.Key == "_delete_" {
			continue
		}
		if da, ok := e.Val.(*py.Dict); ok {
			if db, ok := out.Get(e.Key).(*py.Dict); ok {
				e.Val = mergeDicts(da, db)
			} else {
				da.Delete("_delete_")
			}
		}
		_ = out.Put(e) // the key came out of a dict
	}
	return out
}

// dictUpdate is d.update(other, k=v).
func dictUpdate(c *callArgs, d *py.Dict) error {
	if len(c.args) > 1 {
		return c.errorf("TypeError", "update expected at most 1 argument, got %d", len(c.args))
	}
	var other *py.Dict
	if len(c.args) == 1 {
		var err error
		if other, err = c.toDict(c.args[0]); err != nil {
			return err
		}
	}
	if d.Config {
		all := py.NewDict()
		if other != nil {
			all = other.Copy()
		}
		for _, e := range c.kw {
			_ = all.Put(e) // keys are strings
		}
		return c.err(configUpdate(c.in(), d, all))
	}
	if other != nil {
		for _, e := range append([]py.Entry(nil), other.Entries()...) {
			if err := d.Put(e); err != nil {
				return c.err(err)
			}
		}
		if err := c.in().sized(other); err != nil {
			return c.err(err)
		}
	}
	for _, e := range c.kw {
		if err := d.Put(e); err != nil {
			return c.err(err)
		}
	}
	return c.err(c.in().charge(80 * len(c.kw)))
}

// toDict reads a mapping or an iterable of pairs.
func (c *callArgs) toDict(v py.Value) (*py.Dict, error) {
	if d, ok := v.(*py.Dict); ok {
		return d, nil
	}
	d := &py.Dict{At: c.fr.pos(c.n)}
	i := 0
	err := c.fr.each(v, c.n, func(it py.Value, pos source.Pos) error {
		var pair *py.List
		switch x := it.(type) {
		case *py.Tuple:
			pair = &py.List{Items: x.Items, Pos: x.Pos, At: x.At}
		case *py.List:
			pair = x
		default:
			var err error
			if pair, err = c.fr.list(it, c.n); err != nil {
				return c.errorf("TypeError", "cannot convert dictionary update sequence element #%d to a sequence", i)
			}
			pair.At = pos
		}
		if len(pair.Items) != 2 {
			return c.errorf("ValueError", "dictionary update sequence element #%d has length %d; 2 is required", i, len(pair.Items))
		}
		i++
		if err := c.in().charge(80); err != nil {
			return c.err(err)
		}
		return c.err(d.Put(py.Entry{Key: pair.Items[0], Val: pair.Items[1], KeyPos: pair.PosOf(0), Pos: pair.PosOf(1)}))
	})
	return d, err
}
