package pyconf

import (
	"iter"
	"strings"
	"unicode/utf8"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// iterator is a Python iterator: it yields each item once. It is also the
// object that zip, map, iter and generator expressions give.
type iterator struct {
	typ  string // "zip", "generator", …
	next func() (py.Value, source.Pos, bool, error)
	done bool
}

func (it *iterator) PyType() string { return it.typ }
func (it *iterator) PyRepr() string { return "<" + it.typ + " object>" }

// step is next, remembering the end.
func (it *iterator) step() (py.Value, source.Pos, bool, error) {
	if it.done {
		return nil, 0, false, nil
	}
	v, pos, ok, err := it.next()
	if !ok || err != nil {
		it.done = true
	}
	return v, pos, ok, err
}

// iterate returns an iterator over v. Lists are read live, as in CPython.
func (fr *frame) iterate(v py.Value, n syntax.Node) (*iterator, error) {
	switch x := v.(type) {
	case *iterator:
		return x, nil
	case *py.List:
		i := 0
		return &iterator{typ: "list_iterator", next: func() (py.Value, source.Pos, bool, error) {
			if i >= len(x.Items) {
				return nil, 0, false, nil
			}
			i++
			return x.Items[i-1], x.PosOf(i - 1), true, nil
		}}, nil
	case *py.Tuple:
		i := 0
		return &iterator{typ: "tuple_iterator", next: func() (py.Value, source.Pos, bool, error) {
			if i >= len(x.Items) {
				return nil, 0, false, nil
			}
			i++
			return x.Items[i-1], x.PosOf(i - 1), true, nil
		}}, nil
	case *py.Dict:
		return dictIter(fr, n, x, "dict_keyiterator", func(e *py.Entry) (py.Value, source.Pos) { return e.Key, e.KeyPos }), nil
	case *dictView:
		return dictIter(fr, n, x.d, "dict_"+x.kind+"iterator", x.item), nil
	case *py.Range:
		i, l := 0, x.PyLen()
		return &iterator{typ: "range_iterator", next: func() (py.Value, source.Pos, bool, error) {
			if i >= l {
				return nil, 0, false, nil
			}
			i++
			return x.Start + (i-1)*x.Step, 0, true, nil
		}}, nil
	case string:
		i, typ := 0, "str_ascii_iterator"
		if strings.IndexFunc(x, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			typ = "str_iterator"
		}
		return &iterator{typ: typ, next: func() (py.Value, source.Pos, bool, error) {
			if i >= len(x) {
				return nil, 0, false, nil
			}
			w := charLen(x[i:])
			i += w
			return x[i-w : i], 0, true, nil
		}}, nil
	case *fileObj:
		return x.lines(), nil
	}
	seq, err := py.Iterate(v)
	if err != nil {
		return nil, fr.at(n, err)
	}
	// The remaining kinds (sets, bytes) are finite and not changed while read.
	type item struct {
		v   py.Value
		pos source.Pos
	}
	var items []item
	for v, pos := range seq {
		items = append(items, item{v, pos})
	}
	i := 0
	return &iterator{typ: py.TypeName(v) + "_iterator", next: func() (py.Value, source.Pos, bool, error) {
		if i >= len(items) {
			return nil, 0, false, nil
		}
		i++
		return items[i-1].v, items[i-1].pos, true, nil
	}}, nil
}

// charLen is the length of the first character; a surrogate in three bytes
// is one character, as in package py.
func charLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	if len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 {
		return 3
	}
	_, w := utf8.DecodeRuneInString(s)
	return w
}

// dictIter reads a dict; it complains when keys come or go meanwhile.
func dictIter(fr *frame, n syntax.Node, d *py.Dict, typ string, item func(*py.Entry) (py.Value, source.Pos)) *iterator {
	i, size := 0, d.Len()
	return &iterator{typ: typ, next: func() (py.Value, source.Pos, bool, error) {
		if d.Len() != size {
			return nil, 0, false, fr.hinted(n, "iterate over list(…) of it, which is a copy", "RuntimeError", "dictionary changed size during iteration")
		}
		es := d.Entries()
		if i >= len(es) {
			return nil, 0, false, nil
		}
		i++
		v, pos := item(&es[i-1])
		return v, pos, true, nil
	}}
}

// each calls f with every item of v until f says stop.
func (fr *frame) each(v py.Value, n syntax.Node, f func(v py.Value, pos source.Pos) error) error {
	it, err := fr.iterate(v, n)
	if err != nil {
		return err
	}
	for {
		v, pos, ok, err := it.step()
		if err != nil || !ok {
			return err
		}
		if err := fr.in.tick(); err != nil {
			return fr.at(n, err)
		}
		if err := f(v, pos); err != nil {
			return err
		}
	}
}

// list collects the items of v with their positions.
func (fr *frame) list(v py.Value, n syntax.Node) (*py.List, error) {
	l := &py.List{At: fr.pos(n)}
	switch x := v.(type) {
	case *py.List:
		l.Items, l.Pos = append(l.Items, x.Items...), positions(x.Pos, len(x.Items), x.At)
	case *py.Tuple:
		l.Items, l.Pos = append(l.Items, x.Items...), positions(x.Pos, len(x.Items), x.At)
	default:
		err := fr.each(v, n, func(v py.Value, pos source.Pos) error {
			l.Append(v, pos)
			if len(l.Items)&0xfff == 0 {
				if len(l.Items) > py.MaxResultItems {
					return fr.raise(n, "MemoryError", "result too large: a sequence of more than %d items", py.MaxResultItems)
				}
				return fr.at(n, fr.in.charge(0x1000*24))
			}
			return nil
		})
		return l, err
	}
	return l, fr.at(n, fr.in.sized(l))
}

// positions copies item positions, filling in what is not known.
func positions(pos []source.Pos, n int, at source.Pos) []source.Pos {
	if len(pos) == 0 && at == 0 {
		return nil
	}
	out := make([]source.Pos, n)
	copy(out, pos)
	for i := range out {
		if out[i] == 0 {
			out[i] = at
		}
	}
	return out
}

// dictView is d.keys(), d.values() or d.items().
type dictView struct {
	d    *py.Dict
	kind string // "key", "value", "item"
}

func (v *dictView) PyType() string { return "dict_" + v.kind + "s" }

func (v *dictView) PyRepr() string {
	return py.Repr(v)
}

// PyReprParts implements py.Nest.
func (v *dictView) PyReprParts() (before string, items []py.Value, after, again string) {
	return v.PyType() + "([", v.values(), "])", "..."
}

func (v *dictView) PyLen() int { return v.d.Len() }

func (v *dictView) item(e *py.Entry) (py.Value, source.Pos) {
	switch v.kind {
	case "key":
		return e.Key, e.KeyPos
	case "value":
		return e.Val, e.Pos
	}
	return &py.Tuple{Items: []py.Value{e.Key, e.Val}, Pos: []source.Pos{e.KeyPos, e.Pos}, At: e.Pos}, e.Pos
}

func (v *dictView) values() []py.Value {
	es := v.d.Entries()
	out := make([]py.Value, len(es))
	for i := range es {
		out[i], _ = v.item(&es[i])
	}
	return out
}

// PyIter yields the items for operations of package py.
func (v *dictView) PyIter() iter.Seq2[py.Value, source.Pos] {
	return func(yield func(py.Value, source.Pos) bool) {
		for _, e := range v.d.Entries() {
			if !yield(v.item(&e)) {
				return
			}
		}
	}
}

// PyContains is x in view.
func (v *dictView) PyContains(x py.Value) (bool, error) {
	if v.kind == "key" {
		if _, ok := py.HashKey(x); !ok {
			return false, py.Errorf("TypeError", "unhashable type: '%s'", py.TypeName(x))
		}
		return v.d.Has(x), nil
	}
	for _, it := range v.values() {
		if py.Equal(it, x) {
			return true, nil
		}
	}
	return false, nil
}

func (v *dictView) set() (*py.Set, error) {
	s := &py.Set{}
	for _, it := range v.values() {
		if err := s.Add(it); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// PyEqual compares key and item views as sets.
func (v *dictView) PyEqual(o py.Value) bool {
	if v.kind == "value" {
		return v == o
	}
	a, err := v.set()
	if err != nil {
		return false
	}
	switch x := o.(type) {
	case *py.Set:
		return py.Equal(a, x)
	case *dictView:
		if b, err := x.set(); err == nil && x.kind != "value" {
			return py.Equal(a, b)
		}
	}
	return false
}

// PyBinary gives key and item views the operators of sets.
func (v *dictView) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	if v.kind == "value" || op != "&" && op != "|" && op != "-" && op != "^" {
		return nil, false, nil
	}
	a, err := v.set()
	if err != nil {
		return nil, false, err
	}
	b := &py.Set{}
	seq, err := py.Iterate(other)
	if err != nil {
		return nil, false, err
	}
	for it := range seq {
		if err := b.Add(it); err != nil {
			return nil, false, err
		}
	}
	if reflected {
		a, b = b, a
	}
	r, err := py.Binary(op, a, b)
	return r, true, err
}
