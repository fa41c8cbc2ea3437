package py

import (
	"fmt"
	"iter"
	"math"
	"math/big"

	"sextant/internal/source"
)

// Range is a range object; it holds no items. Bounds must fit an int.
type Range struct{ Start, Stop, Step int }

// NewRange is range(stop) or range(start, stop[, step]).
func NewRange(args ...Value) (*Range, error) {
	switch {
	case len(args) == 0:
		return nil, typeErr("range expected at least 1 argument, got 0")
	case len(args) > 3:
		return nil, typeErr("range expected at most 3 arguments, got %d", len(args))
	}
	var n [3]int
	for i, a := range args {
		var err error
		if n[i], err = Index(a); err != nil {
			return nil, err
		}
	}
	r := &Range{Stop: n[0], Step: 1}
	if len(args) > 1 {
		r.Start, r.Stop = n[0], n[1]
	}
	if len(args) > 2 {
		if n[2] == 0 {
			return nil, valueErr("range() arg 3 must not be zero")
		}
		r.Step = n[2]
	}
	return r, nil
}

// PyType is type(x).__name__.
func (r *Range) PyType() string { return "range" }

// PyRepr is repr(x).
func (r *Range) PyRepr() string {
	if r.Step == 1 {
		return fmt.Sprintf("range(%d, %d)", r.Start, r.Stop)
	}
	return fmt.Sprintf("range(%d, %d, %d)", r.Start, r.Stop, r.Step)
}

// PyLen is len(x).
func (r *Range) PyLen() int { return rangeLen(r.Start, r.Stop, r.Step) }

// PyIter yields the numbers.
func (r *Range) PyIter() iter.Seq2[Value, source.Pos] {
	return func(yield func(Value, source.Pos) bool) {
		for i, n := 0, r.PyLen(); i < n; i++ {
			if !yield(r.Start+i*r.Step, 0) {
				return
			}
		}
	}
}

// PyContains is v in x; numbers are found without going through the range.
func (r *Range) PyContains(v Value) (bool, error) { return r.indexOf(v) >= 0, nil }

func (r *Range) indexOf(v Value) int {
	if f, ok := v.(float64); ok && f == math.Trunc(f) {
		if n, err := floatToInt(f); err == nil {
			v = n
		}
	}
	n, ok := small(v)
	if !ok || r.PyLen() == 0 {
		return -1
	}
	if r.Step > 0 && (n < r.Start || n >= r.Stop) || r.Step < 0 && (n > r.Start || n <= r.Stop) {
		return -1
	}
	// the distance may not fit an int, its remainder does
	d, s := uint64(n)-uint64(r.Start), uint64(r.Step)
	if r.Step < 0 {
		d, s = -d, -s
	}
	if d%s != 0 {
		return -1
	}
	return int(d / s)
}

// PyGetItem is x[key].
func (r *Range) PyGetItem(key Value) (Value, error) {
	i, err := seqIndex("range", key, r.PyLen(), "range object index out of range")
	if err != nil {
		return nil, err
	}
	return r.Start + i*r.Step, nil
}

// PySlice is x[lo:hi:step], a range.
func (r *Range) PySlice(lo, hi, step Value) (Value, error) {
	start, stop, by, err := SliceBounds(r.PyLen(), lo, hi, step)
	if err != nil {
		return nil, err
	}
	each, err := Binary("*", r.Step, by)
	_, fits := each.(int)
	if _, big := step.(*big.Int); big || !fits || err != nil {
		return nil, Errorf("OverflowError", "range bounds must fit 64 bits here")
	}
	return &Range{Start: r.Start + start*r.Step, Stop: r.Start + stop*r.Step, Step: r.Step * by}, nil
}

// PyEqual compares as sequences.
func (r *Range) PyEqual(v Value) bool {
	o, ok := v.(*Range)
	if !ok {
		return false
	}
	n := r.PyLen()
	return n == o.PyLen() && (n == 0 || r.Start == o.Start && (n == 1 || r.Step == o.Step))
}

type rangeKey struct{ n, start, step int }

// PyHash makes equal ranges equal keys.
func (r *Range) PyHash() (any, bool) {
	switch n := r.PyLen(); n {
	case 0:
		return rangeKey{}, true
	case 1:
		return rangeKey{1, r.Start, 0}, true
	default:
		return rangeKey{n, r.Start, r.Step}, true
	}
}

// PyAttr gives start, stop and step.
func (r *Range) PyAttr(name string) (Value, bool) {
	switch name {
	case "start":
		return r.Start, true
	case "stop":
		return r.Stop, true
	case "step":
		return r.Step, true
	}
	return nil, false
}

// PyMethod gives count and index.
func (r *Range) PyMethod(name string) (MethodFunc, bool) {
	switch name {
	case "count":
		return oneArg("range.count", func(v Value) (Value, error) {
			if r.indexOf(v) >= 0 {
				return 1, nil
			}
			return 0, nil
		}), true
	case "index":
		return oneArg("range.index", func(v Value) (Value, error) {
			if i := r.indexOf(v); i >= 0 {
				return i, nil
			}
			if !isInt(v) {
				return nil, valueErr("sequence.index(x): x not in sequence")
			}
			return nil, valueErr("%s is not in range", Repr(v))
		}), true
	}
	return nil, false
}

type viewKind int

const (
	viewKeys viewKind = iota
	viewValues
	viewItems
)

// DictView is what dict.keys(), values() and items() return: it follows the
// dict.
type DictView struct {
	d    *Dict
	kind viewKind
}

// KeysView, ValuesView and ItemsView are d.keys(), d.values() and d.items().
func KeysView(d *Dict) *DictView   { return &DictView{d, viewKeys} }
func ValuesView(d *Dict) *DictView { return &DictView{d, viewValues} }
func ItemsView(d *Dict) *DictView  { return &DictView{d, viewItems} }

// PyType is type(x).__name__.
func (v *DictView) PyType() string {
	return [...]string{"dict_keys", "dict_values", "dict_items"}[v.kind]
}

// PyRepr is repr(x).
func (v *DictView) PyRepr() string { return v.PyType() + "(" + Repr(NewList(v.list()...)) + ")" }

// PyLen is len(x).
func (v *DictView) PyLen() int { return v.d.Len() }

func (v *DictView) item(e Entry) (Value, source.Pos) {
	switch v.kind {
	case viewKeys:
		return e.Key, e.KeyPos
	case viewValues:
		return e.Val, e.Pos
	}
	t := NewTuple(e.Key, e.Val)
	if e.KeyPos != 0 || e.Pos != 0 {
		t.Pos, t.At = []source.Pos{e.KeyPos, e.Pos}, e.Pos
	}
	return t, e.Pos
}

func (v *DictView) list() []Value {
	es := v.d.Entries()
	out := make([]Value, len(es))
	for i, e := range es {
		out[i], _ = v.item(e)
	}
	return out
}

// PyIter yields keys, values or (key, value) tuples with their positions.
func (v *DictView) PyIter() iter.Seq2[Value, source.Pos] {
	es := append([]Entry(nil), v.d.Entries()...)
	return func(yield func(Value, source.Pos) bool) {
		for _, e := range es {
			if !yield(v.item(e)) {
				return
			}
		}
	}
}

// PyContains is w in x.
func (v *DictView) PyContains(w Value) (bool, error) {
	switch v.kind {
	case viewKeys:
		return contains(v.d, w)
	case viewItems:
		t, ok := w.(*Tuple)
		if !ok || len(t.Items) != 2 {
			return false, nil
		}
		if _, ok := HashKey(t.Items[0]); !ok {
			return false, unhashable(t.Items[0])
		}
		val, ok := v.d.Lookup(t.Items[0])
		if !ok {
			return false, nil
		}
		return equal(val, t.Items[1], 0)
	}
	return contains(NewList(v.list()...), w)
}

// PyEqual compares key and item views as sets; value views are equal only to
// themselves.
func (v *DictView) PyEqual(w Value) bool {
	if o, ok := w.(*DictView); ok && o == v {
		return true
	}
	a, ok := setOperand(v)
	if !ok {
		return false
	}
	b, ok := setOperand(w)
	return ok && a.Len() == b.Len() && isSubset(a, b)
}

// PyHash says that views are unhashable.
func (v *DictView) PyHash() (any, bool) {
	if v.kind == viewValues { // by identity
		return v, true
	}
	return nil, false
}

// PyMethod gives isdisjoint.
func (v *DictView) PyMethod(name string) (MethodFunc, bool) {
	if name == "isdisjoint" && v.kind != viewValues {
		return oneArg("isdisjoint", func(w Value) (Value, error) {
			items, err := ToList(w)
			if err != nil {
				return nil, err
			}
			for _, it := range items {
				if in, err := v.PyContains(it); in || err != nil {
					return false, err
				}
			}
			return true, nil
		}), true
	}
	return nil, false
}

func oneArg(name string, f func(Value) (Value, error)) MethodFunc {
	return func(args []Value, kw *Dict) (Value, error) {
		if kw.Len() > 0 {
			return nil, typeErr("%s() takes no keyword arguments", name)
		}
		if len(args) != 1 {
			return nil, typeErr("%s() takes exactly one argument (%d given)", name, len(args))
		}
		return f(args[0])
	}
}
