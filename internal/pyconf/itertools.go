package pyconf

import (
	"sextant/internal/py"
	"sextant/internal/source"
)

// The part of itertools that configs use: docs/dialect.md, "Modules".

func init() {
	chain := &builtin{name: "chain", typ: true, fn: itChain}
	newModule("itertools", map[string]py.Value{
		"product": itProduct, "chain": chain, "repeat": itRepeat, "count": itCount, "islice": itIslice, "accumulate": itAccumulate,
		"permutations": itPermutations, "combinations": itCombinations, "zip_longest": itZipLongest, "starmap": itStarmap, "cycle": itCycle,
		"takewhile": itTakewhile, "dropwhile": itDropwhile, "filterfalse": itFilterfalse, "compress": itCompress, "pairwise": itPairwise, "groupby": itGroupby,
	})
	chainFrom = &method{name: "from_iterable", recv: chain, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(1, 1); err != nil {
			return nil, 0, err
		}
		outer, err := c.fr.iterate(c.args[0], c.n)
		if err != nil {
			return nil, 0, err
		}
		return chainOf(c, outer), 0, nil
	}}
}

// chainFrom is itertools.chain.from_iterable.
var chainFrom *method

type item struct {
	v   py.Value
	pos source.Pos
}

// pools collects the arguments of a combinatoric iterator.
func (c *callArgs) pools(args []py.Value) ([][]item, error) {
	out := make([][]item, len(args))
	for i, a := range args {
		l, err := c.fr.list(a, c.n)
		if err != nil {
			return nil, err
		}
		for j, v := range l.Items {
			out[i] = append(out[i], item{v, l.PosOf(j)})
		}
	}
	return out, nil
}

func tupleOf(at source.Pos, items []item) *py.Tuple {
	t := &py.Tuple{At: at, Items: make([]py.Value, len(items)), Pos: make([]source.Pos, len(items))}
	for i, it := range items {
		t.Items[i], t.Pos[i] = it.v, it.pos
	}
	return t
}

func itProduct(c *callArgs) (py.Value, source.Pos, error) {
	repeat := 1
	for _, e := range c.kw {
		if e.Key != "repeat" {
			return nil, 0, c.errorf("TypeError", "'%v' is an invalid keyword argument for product()", e.Key)
		}
		var err error
		if repeat, err = py.Index(e.Val); err != nil {
			return nil, 0, c.err(err)
		}
		if repeat < 0 || repeat > 1000 {
			return nil, 0, c.errorf("ValueError", "repeat argument cannot be negative, or above 1000")
		}
	}
	one, err := c.pools(c.args)
	if err != nil {
		return nil, 0, err
	}
	var pools [][]item
	for range repeat {
		pools = append(pools, one...)
	}
	idx := make([]int, len(pools))
	first := true
	at := c.fr.pos(c.n)
	return &iterator{typ: "product", next: func() (py.Value, source.Pos, bool, error) {
		if first {
			first = false
			for _, p := range pools {
				if len(p) == 0 {
					return nil, 0, false, nil
				}
			}
		} else {
			i := len(idx) - 1
			for ; i >= 0; i-- {
				if idx[i]++; idx[i] < len(pools[i]) {
					break
				}
				idx[i] = 0
			}
			if i < 0 {
				return nil, 0, false, nil
			}
		}
		items := make([]item, len(idx))
		for i, j := range idx {
			items[i] = pools[i][j]
		}
		return tupleOf(at, items), 0, true, nil
	}}, 0, nil
}

func chainOf(c *callArgs, outer *iterator) *iterator {
	var cur *iterator
	return &iterator{typ: "chain", next: func() (py.Value, source.Pos, bool, error) {
		for {
			if cur == nil {
				v, _, ok, err := outer.step()
				if err != nil || !ok {
					return nil, 0, false, err
				}
				if cur, err = c.fr.iterate(v, c.n); err != nil {
					return nil, 0, false, err
				}
				if err := c.in().tick(); err != nil {
					return nil, 0, false, c.err(err)
				}
			}
			v, pos, ok, err := cur.step()
			if err != nil || ok {
				return v, pos, ok, err
			}
			cur = nil
		}
	}}
}

func itChain(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.noKw(); err != nil {
		return nil, 0, err
	}
	outer, err := c.fr.iterate(&py.Tuple{Items: c.args, Pos: c.pos}, c.n)
	if err != nil {
		return nil, 0, err
	}
	return chainOf(c, outer), 0, nil
}

func itRepeat(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("object", "times=")
	if err != nil {
		return nil, 0, err
	}
	n := -1
	if set[1] {
		if n, err = py.Index(a[1]); err != nil {
			return nil, 0, c.err(err)
		}
		n = max(n, 0)
	}
	return &iterator{typ: "repeat", next: func() (py.Value, source.Pos, bool, error) {
		if n == 0 {
			return nil, 0, false, nil
		}
		if n > 0 {
			n--
		}
		return a[0], c.argPos(0), true, nil
	}}, 0, nil
}

func itCount(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("start=", "step=")
	if err != nil {
		return nil, 0, err
	}
	if !set[0] {
		a[0] = 0
	}
	if !set[1] {
		a[1] = 1
	}
	cur := a[0]
	return &iterator{typ: "count", next: func() (py.Value, source.Pos, bool, error) {
		v := cur
		var err error
		cur, err = py.Binary("+", cur, a[1])
		return v, 0, err == nil, c.err(err)
	}}, 0, nil
}

func itIslice(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 4); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	bounds := [3]int{0, -1, 1}
	args := c.args[1:]
	set := func(i int, v py.Value) error {
		if v == nil {
			return nil
		}
		n, err := py.Index(v)
		if err != nil || n < 0 || i == 2 && n < 1 {
			return c.errorf("ValueError", "Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
		}
		bounds[i] = n
		return nil
	}
	if len(args) == 1 {
		err = set(1, args[0])
	} else {
		for i, a := range args {
			if err == nil {
				err = set(i, a)
			}
		}
	}
	if err != nil {
		return nil, 0, err
	}
	next, i := bounds[0], 0
	return &iterator{typ: "islice", next: func() (py.Value, source.Pos, bool, error) {
		for {
			if bounds[1] >= 0 && next >= bounds[1] {
				return nil, 0, false, nil
			}
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			i++
			if i-1 == next {
				next += bounds[2]
				return v, pos, true, nil
			}
			if err := c.in().tick(); err != nil {
				return nil, 0, false, c.err(err)
			}
		}
	}}, 0, nil
}

func itAccumulate(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("iterable", "func=", "*initial=")
	if err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	started := false
	var acc py.Value
	return &iterator{typ: "accumulate", next: func() (py.Value, source.Pos, bool, error) {
		if !started && set[2] && a[2] != nil {
			started, acc = true, a[2]
			return acc, 0, true, nil
		}
		v, pos, ok, err := it.step()
		if err != nil || !ok {
			return nil, 0, false, err
		}
		switch {
		case !started:
			started, acc = true, v
		case a[1] != nil:
			acc, err = c.callBack(a[1], acc, v)
		default:
			acc, err = c.fr.binary("+", acc, v, c.n)
		}
		return acc, pos, err == nil, err
	}}, 0, nil
}

// arranged yields r items of a pool, by index lists that step makes.
func arranged(c *callArgs, typ string, ordered bool) (py.Value, source.Pos, error) {
	if err := c.between(1, 2); err != nil {
		return nil, 0, err
	}
	pools, err := c.pools(c.args[:1])
	if err != nil {
		return nil, 0, err
	}
	pool := pools[0]
	r := len(pool)
	if len(c.args) == 2 && c.args[1] != nil {
		if r, err = py.Index(c.args[1]); err != nil {
			return nil, 0, c.err(err)
		}
		if r < 0 {
			return nil, 0, c.errorf("ValueError", "r must be non-negative")
		}
	} else if !ordered {
		return nil, 0, c.errorf("TypeError", "%s() missing required argument 'r' (pos 2)", typ)
	}
	at := c.fr.pos(c.n)
	if r > len(pool) {
		return &iterator{typ: typ, done: true}, 0, nil
	}
	idx := make([]int, r)
	used := make([]bool, len(pool))
	for i := range idx {
		idx[i] = i
		used[i] = true
	}
	first := true
	return &iterator{typ: typ, next: func() (py.Value, source.Pos, bool, error) {
		if !first && !nextIndexes(idx, used, ordered) {
			return nil, 0, false, nil
		}
		first = false
		items := make([]item, r)
		for i, j := range idx {
			items[i] = pool[j]
		}
		return tupleOf(at, items), 0, true, nil
	}}, 0, nil
}

// nextIndexes goes to the next arrangement in lexicographic order.
func nextIndexes(idx []int, used []bool, ordered bool) bool {
	n, r := len(used), len(idx)
	if !ordered {
		for i := r - 1; i >= 0; i-- {
			if idx[i] < n-r+i {
				idx[i]++
				for j := i + 1; j < r; j++ {
					idx[j] = idx[j-1] + 1
				}
				return true
			}
		}
		return false
	}
	for i := r - 1; i >= 0; i-- {
		used[idx[i]] = false
		for k := idx[i] + 1; k < n; k++ {
			if used[k] {
				continue
			}
			idx[i] = k
			used[k] = true
			for j, k := i+1, 0; j < r; j++ {
				for used[k] {
					k++
				}
				idx[j] = k
				used[k] = true
			}
			return true
		}
	}
	return false
}

func itPermutations(c *callArgs) (py.Value, source.Pos, error) {
	return arranged(c, "permutations", true)
}
func itCombinations(c *callArgs) (py.Value, source.Pos, error) {
	return arranged(c, "combinations", false)
}

func itZipLongest(c *callArgs) (py.Value, source.Pos, error) {
	var fill py.Value
	for _, e := range c.kw {
		if e.Key != "fillvalue" {
			return nil, 0, c.errorf("TypeError", "zip_longest() got an unexpected keyword argument")
		}
		fill = e.Val
	}
	its := make([]*iterator, len(c.args))
	for i, a := range c.args {
		var err error
		if its[i], err = c.fr.iterate(a, c.n); err != nil {
			return nil, 0, err
		}
	}
	at := c.fr.pos(c.n)
	return &iterator{typ: "zip_longest", next: func() (py.Value, source.Pos, bool, error) {
		items := make([]item, len(its))
		more := false
		for i, it := range its {
			v, pos, ok, err := it.step()
			if err != nil {
				return nil, 0, false, err
			}
			items[i] = item{fill, 0}
			if ok {
				items[i], more = item{v, pos}, true
			}
		}
		return tupleOf(at, items), 0, more, nil
	}}, 0, nil
}

func itStarmap(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[1], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &iterator{typ: "starmap", next: func() (py.Value, source.Pos, bool, error) {
		v, _, ok, err := it.step()
		if err != nil || !ok {
			return nil, 0, false, err
		}
		l, err := c.fr.list(v, c.n)
		if err != nil {
			return nil, 0, false, err
		}
		r, err := c.callBack(c.args[0], l.Items...)
		return r, 0, err == nil, err
	}}, 0, nil
}

func itCycle(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	l, err := c.fr.list(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	i := -1
	return &iterator{typ: "cycle", next: func() (py.Value, source.Pos, bool, error) {
		i++
		if len(l.Items) == 0 {
			return nil, 0, false, nil
		}
		return l.Items[i%len(l.Items)], l.PosOf(i % len(l.Items)), true, nil
	}}, 0, nil
}
