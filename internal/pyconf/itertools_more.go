package pyconf

import (
	"sextant/internal/py"
	"sextant/internal/source"
)

// The iterators of itertools that pass on a part of what they get, and
// groupby: docs/dialect.md, "Modules".

// itPartOf is takewhile, dropwhile, filterfalse and compress: keep says of
// each item whether it is passed on and whether it is the end.
func itPartOf(keep func(c *callArgs, test py.Value, v py.Value, begun *bool) (ok, end bool, err error)) methodFn {
	return func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(2, 2); err != nil {
			return nil, 0, err
		}
		it, err := c.fr.iterate(c.args[1], c.n)
		if err != nil {
			return nil, 0, err
		}
		begun := false
		return &iterator{typ: c.name, next: func() (py.Value, source.Pos, bool, error) {
			for {
				v, pos, more, err := it.step()
				if err != nil || !more {
					return nil, 0, false, err
				}
				ok, end, err := keep(c, c.args[0], v, &begun)
				if err != nil || end {
					return nil, 0, false, err
				}
				if ok {
					return v, pos, true, nil
				}
				if err := c.in().tick(); err != nil {
					return nil, 0, false, c.err(err)
				}
			}
		}}, 0, nil
	}
}

// holds is what a predicate says of v; None asks for v's own truth.
func (c *callArgs) holds(test, v py.Value) (bool, error) {
	if test == nil {
		return py.Truth(v), nil
	}
	r, err := c.callBack(test, v)
	return err == nil && py.Truth(r), err
}

var (
	itTakewhile = itPartOf(func(c *callArgs, test, v py.Value, _ *bool) (bool, bool, error) {
		ok, err := c.holds(test, v)
		return ok, !ok, err
	})
	itDropwhile = itPartOf(func(c *callArgs, test, v py.Value, begun *bool) (bool, bool, error) {
		if *begun {
			return true, false, nil
		}
		drop, err := c.holds(test, v)
		*begun = !drop
		return !drop, false, err
	})
	itFilterfalse = itPartOf(func(c *callArgs, test, v py.Value, _ *bool) (bool, bool, error) {
		ok, err := c.holds(test, v)
		return !ok, false, err
	})
)

func itCompress(c *callArgs) (py.Value, source.Pos, error) {
	a, _, err := c.bind("data", "selectors")
	if err != nil {
		return nil, 0, err
	}
	data, err := c.fr.iterate(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	sel, err := c.fr.iterate(a[1], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &iterator{typ: "compress", next: func() (py.Value, source.Pos, bool, error) {
		for {
			v, pos, ok, err := data.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			s, _, ok, err := sel.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			if py.Truth(s) {
				return v, pos, true, nil
			}
			if err := c.in().tick(); err != nil {
				return nil, 0, false, c.err(err)
			}
		}
	}}, 0, nil
}

func itPairwise(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	at := c.fr.pos(c.n)
	var last item
	begun := false
	return &iterator{typ: "pairwise", next: func() (py.Value, source.Pos, bool, error) {
		for {
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			before := last
			last = item{v, pos}
			if begun {
				return tupleOf(at, []item{before, last}), 0, true, nil
			}
			begun = true
		}
	}}, 0, nil
}

// itGroupby gives (key, iterator) for each run of items of equal key. Going
// on to the next run ends the iterator of the one before.
func itGroupby(c *callArgs) (py.Value, source.Pos, error) {
	a, _, err := c.bind("iterable", "key=")
	if err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	at := c.fr.pos(c.n)
	var cur item           // the item that was read last
	var key, want py.Value // its key; the key of the run being read
	have, ended := false, false
	run := 0
	read := func() error {
		v, pos, ok, err := it.step()
		if err != nil || !ok {
			ended = true
			return err
		}
		cur, have, key = item{v, pos}, true, v
		if a[1] != nil {
			if key, err = c.callBack(a[1], v); err != nil {
				return err
			}
		}
		return c.err(c.in().tick())
	}
	same := func() (bool, error) {
		if ended {
			return false, nil
		}
		return c.fr.compare("==", key, want, c.n)
	}
	return &iterator{typ: "groupby", next: func() (py.Value, source.Pos, bool, error) {
		if !have && !ended {
			if err := read(); err != nil {
				return nil, 0, false, err
			}
		} else {
			for {
				more, err := same()
				if err == nil && more {
					err = read()
				}
				if err != nil {
					return nil, 0, false, err
				}
				if !more {
					break
				}
			}
		}
		if ended {
			return nil, 0, false, nil
		}
		want = key
		run++
		mine, pending := run, true
		group := &iterator{typ: "itertools._grouper", next: func() (py.Value, source.Pos, bool, error) {
			if mine != run {
				return nil, 0, false, nil
			}
			if !pending {
				if err := read(); err != nil {
					return nil, 0, false, err
				}
			}
			pending = false
			more, err := same()
			if err != nil || !more {
				return nil, 0, false, err
			}
			return cur.v, cur.pos, true, nil
		}}
		return tupleOf(at, []item{{key, cur.pos}, {group, 0}}), 0, true, nil
	}}, 0, nil
}
