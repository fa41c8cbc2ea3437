package pyconf

import (
	"math/big"
	"slices"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// What an importer gets of a base is a deep copy (docs/dialect.md, "Imports"):
// every dict a new ConfigDict, every list new. Files that collect others copy
// the same datasets again and again without looking at them, so the dicts of
// the copy are made when somebody looks (py.Defer). That needs a source that
// does not change any more: the file that made it has ended, and nothing that
// it hands out can reach back. A function could, through the variables of its
// file, so a base that hands one out is copied at once.

// makeConv is the conversion of imports. Making a copy counts towards the
// limits; past them it panics with a stopped, since nobody who looks into a
// dict expects an error.
func (in *interp) makeConv() *py.Conversion {
	c := &py.Conversion{Config: true, Made: func(entries int) {
		if in.charged += 64 + 40*entries; in.charged >= heapStep {
			if err := in.charge(0); err != nil {
				panic(stopped{err})
			}
		}
	}}
	c.Val = func(v py.Value) py.Value {
		switch x := v.(type) {
		case *py.Dict:
			if src, conv := x.Deferred(); src != nil && conv == c {
				x = src
			}
			return py.Defer(x, c)
		case *py.List:
			in.charged += 48 + 32*len(x.Items)
		case *py.Tuple:
			in.charged += 48 + 32*len(x.Items)
		}
		return mapItems(v, c.Val)
	}
	return c
}

// stopped carries an error out of the making of a deferred copy.
type stopped struct{ err error }

// catch turns a stopped into the error of what it defers for; it is said to be
// at pos, since nobody knows which statement looked.
func catch(pos source.Pos, err *error) {
	switch r := recover().(type) {
	case nil:
	case stopped:
		if d, ok := r.err.(*source.Diagnostic); ok && d.Pos == 0 {
			d.Pos = pos
		}
		*err = r.err
	default:
		panic(r)
	}
}

// closed reports whether nothing that p's file takes from b can reach back
// into b, and measures all dicts of it. An error says that the data of a
// variable is too deep or has too many values.
func (b *base) closed(p *plan, s *syntax.ImportFrom) (bool, error) {
	names := p.takes[moduleString(s)]
	if slices.Contains(names, "*") {
		names = stringKeys(b.vars)
	}
	ok := true
	for _, n := range names {
		v, has := b.vars.Lookup(n)
		if !has {
			continue
		}
		_, _, closed, err := b.m.in.measure(v, 0)
		if err != nil {
			return false, b.m.dataError(py.Entry{Key: n, Val: v, Pos: b.vars.PosOf(n)}, err)
		}
		if !closed {
			ok = false
			break
		}
	}
	if !ok {
		for _, n := range names {
			unmeasure(b.vars.Get(n))
		}
	}
	return ok, nil
}

// measure counts the values in v and its levels, and notes both at the dicts
// in it; closed is false when v holds something that may hold a reference.
func (in *interp) measure(v py.Value, depth int) (nodes, height int, closed bool, err error) {
	if depth > maxData {
		return 0, 0, false, errTooDeep
	}
	all := func(items []py.Value) error {
		nodes += len(items)
		in.steps += len(items) >> 2
		if err := in.tick(); err != nil {
			return err
		}
		for _, it := range items {
			switch it.(type) {
			case string, int, bool, nil, *Lazy:
				continue
			}
			n, h, c, err := in.measure(it, depth+1)
			if err != nil {
				return err
			}
			nodes, height, closed = nodes+n, max(height, h+1), closed && c
		}
		if nodes > maxNodes {
			return errTooDeep
		}
		return nil
	}
	nodes, closed = 1, true
	switch x := v.(type) {
	case *py.Dict:
		if n, h := x.Measure(); n > 0 {
			if depth+h > maxData {
				return 0, 0, false, errTooDeep
			}
			return n, h, true, nil
		}
		es := x.Entries()
		nodes += len(es)
		in.steps += len(es) >> 2
		if err := in.tick(); err != nil {
			return 0, 0, false, err
		}
		for i := range es {
			switch es[i].Val.(type) {
			case string, int, bool, nil, *Lazy:
				continue
			}
			n, h, c, err := in.measure(es[i].Val, depth+1)
			if err != nil {
				return 0, 0, false, err
			}
			nodes, height, closed = nodes+n, max(height, h+1), closed && c
		}
		if nodes > maxNodes {
			return 0, 0, false, errTooDeep
		}
		if closed {
			x.SetMeasure(nodes, height)
		}
		return nodes, height, closed, nil
	case *py.List:
		err = all(x.Items)
		return nodes, height, closed, err
	case *py.Tuple:
		err = all(x.Items)
		return nodes, height, closed, err
	case *py.Set: // is not copied
		if !x.Frozen {
			return nodes, 0, false, nil
		}
		err = all(x.Items())
		return nodes, height, closed, err
	case nil, bool, int, float64, string, py.Bytes, *big.Int, *Lazy, *Module, *builtin, *excClass, *py.Range, *unavailable, *sentinel:
		return nodes, 0, true, nil
	}
	return nodes, 0, false, nil
}

// unmeasure takes the notes of measure back.
func unmeasure(v py.Value) {
	switch x := v.(type) {
	case *py.Dict:
		if src, _ := x.Deferred(); src != nil {
			return // that stays as it is
		}
		if n, _ := x.Measure(); n > 0 {
			x.SetMeasure(0, 0)
			for _, e := range x.Entries() {
				unmeasure(e.Val)
			}
		}
	case *py.List:
		for _, it := range x.Items {
			unmeasure(it)
		}
	case *py.Tuple:
		for _, it := range x.Items {
			unmeasure(it)
		}
	}
}

// convert is a value of b as importers see it.
func (b *base) convert(v py.Value) (py.Value, error) {
	if !b.frozen {
		return toConfig(b.m.in, v, 0)
	}
	if err := b.m.in.charge(64); err != nil {
		return nil, err
	}
	return b.m.in.conv.Val(v), nil
}
