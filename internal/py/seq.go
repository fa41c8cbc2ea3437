package py

import (
	"iter"
	"math"
	"math/big"
	"slices"

	"sextant/internal/source"
)

func notSubscriptable(v Value) error {
	return typeErr("'%s' object is not subscriptable", TypeName(v))
}

// seqIndex turns a Python index into 0 ≤ i < n.
func seqIndex(kind string, key Value, n int, msg string) (int, error) {
	if !isInt(key) {
		if kind == "string" {
			return 0, typeErr("string indices must be integers, not '%s'", TypeName(key))
		}
		return 0, typeErr("%s indices must be integers or slices, not %s", kind, TypeName(key))
	}
	i, ok := small(key)
	if !ok && kind != "range" {
		return 0, indexErr("cannot fit 'int' into an index-sized integer")
	}
	if !ok {
		return 0, indexErr(msg)
	}
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return 0, indexErr(msg)
	}
	return i, nil
}

// GetItem is v[key].
func GetItem(v, key Value) (Value, error) {
	switch x := v.(type) {
	case *Dict:
		if _, ok := HashKey(key); !ok {
			return nil, unhashable(key)
		}
		if r, ok := x.Lookup(key); ok {
			return r, nil
		}
		return nil, keyErr(key)
	case *List:
		i, err := seqIndex("list", key, len(x.Items), "list index out of range")
		if err != nil {
			return nil, err
		}
		return x.Items[i], nil
	case *Tuple:
		i, err := seqIndex("tuple", key, len(x.Items), "tuple index out of range")
		if err != nil {
			return nil, err
		}
		return x.Items[i], nil
	case string:
		i, err := seqIndex("string", key, StrLen(x), "string index out of range")
		if err != nil {
			return nil, err
		}
		at := byteAt(x, i)
		_, n := decodeRune(x[at:])
		return x[at : at+n], nil
	case Bytes:
		i, err := seqIndex("byte", key, len(x), "index out of range")
		if err != nil {
			return nil, err
		}
		return int(x[i]), nil
	case Indexable:
		return x.PyGetItem(key)
	}
	return nil, notSubscriptable(v)
}

// SetItem is v[key] = val; pos is where val was written.
func SetItem(v, key, val Value, pos source.Pos) error {
	switch x := v.(type) {
	case *Dict:
		return x.Put(Entry{Key: key, Val: val, Pos: pos})
	case *List:
		i, err := seqIndex("list", key, len(x.Items), "list assignment index out of range")
		if err != nil {
			return err
		}
		x.Items[i] = val
		if pos != 0 || i < len(x.Pos) {
			x.Pos = slices.Grow(x.Pos, max(0, len(x.Items)-len(x.Pos)))
			for len(x.Pos) < len(x.Items) {
				x.Pos = append(x.Pos, 0)
			}
			x.Pos[i] = pos
		}
		return nil
	}
	return typeErr("'%s' object does not support item assignment", TypeName(v))
}

// DelItem is del v[key].
func DelItem(v, key Value) error {
	switch x := v.(type) {
	case *Dict:
		if _, ok := HashKey(key); !ok {
			return unhashable(key)
		}
		if !x.Delete(key) {
			return keyErr(key)
		}
		return nil
	case *List:
		i, err := seqIndex("list", key, len(x.Items), "list assignment index out of range")
		if err != nil {
			return err
		}
		x.remove(i)
		return nil
	case string, Bytes, *Tuple, *Range, *Set:
		if isInt(key) {
			return typeErr("'%s' object doesn't support item deletion", TypeName(v))
		}
	}
	return typeErr("'%s' object does not support item deletion", TypeName(v))
}

func (l *List) remove(i int) {
	l.Items = slices.Delete(l.Items, i, i+1)
	if i < len(l.Pos) {
		l.Pos = slices.Delete(l.Pos, i, i+1)
	}
}

func (l *List) insert(i int, v Value) {
	l.Items = slices.Insert(l.Items, i, v)
	if i < len(l.Pos) {
		l.Pos = slices.Insert(l.Pos, i, 0)
	}
}

func sliceIndex(v Value) (int, error) {
	if n, ok := small(v); ok {
		return n, nil
	}
	if b, ok := v.(*big.Int); ok {
		if b.Sign() < 0 {
			return math.MinInt, nil
		}
		return math.MaxInt, nil
	}
	return 0, typeErr("slice indices must be integers or None or have an __index__ method")
}

// SliceBounds resolves a slice over n items as slice.indices does. nil is
// None. Going from start by by while before stop gives the indexes.
func SliceBounds(n int, lo, hi, step Value) (start, stop, by int, err error) {
	by = 1
	if step != nil {
		if by, err = sliceIndex(step); err != nil {
			return 0, 0, 0, err
		}
		if by == 0 {
			return 0, 0, 0, valueErr("slice step cannot be zero")
		}
		by = max(by, -math.MaxInt)
	}
	low, high := 0, n
	start, stop = 0, n
	if by < 0 {
		low, high = -1, n-1
		start, stop = n-1, -1
	}
	bound := func(v Value, p *int) {
		if v == nil || err != nil {
			return
		}
		var i int
		if i, err = sliceIndex(v); err != nil {
			return
		}
		if i < 0 {
			i = max(i, math.MinInt+n) // no overflow below
			i += n
			i = max(i, low)
		}
		*p = min(i, high)
	}
	bound(lo, &start)
	bound(hi, &stop)
	return start, stop, by, err
}

// rangeLen is how many steps of by lead from start to before stop.
func rangeLen(start, stop, by int) int {
	var d, s uint64
	switch {
	case by > 0 && start < stop:
		d, s = uint64(stop)-uint64(start), uint64(by)
	case by < 0 && start > stop:
		d, s = uint64(start)-uint64(stop), -uint64(by)
	default:
		return 0
	}
	if n := (d-1)/s + 1; n <= math.MaxInt {
		return int(n)
	}
	return math.MaxInt
}

// SliceIndices lists the indexes that a slice over n items selects.
func SliceIndices(n int, lo, hi, step Value) ([]int, error) {
	start, stop, by, err := SliceBounds(n, lo, hi, step)
	if err != nil {
		return nil, err
	}
	k := rangeLen(start, stop, by)
	if err := checkItems(k); err != nil {
		return nil, err
	}
	out := make([]int, k)
	for i := range out {
		out[i] = start + i*by
	}
	return out, nil
}

// Slice is v[lo:hi:step], nil being None. Positions go along.
func Slice(v, lo, hi, step Value) (Value, error) {
	bounds := func(n int) (start, k, by int, err error) {
		start, stop, by, err := SliceBounds(n, lo, hi, step)
		return start, rangeLen(start, stop, by), by, err
	}
	switch x := v.(type) {
	case string:
		return sliceStr(x, lo, hi, step)
	case Bytes:
		start, k, by, err := bounds(len(x))
		if err != nil {
			return nil, err
		}
		b := make([]byte, k)
		for i := range b {
			b[i] = x[start+i*by]
		}
		return Bytes(b), nil
	case *List:
		start, k, by, err := bounds(len(x.Items))
		if err != nil {
			return nil, err
		}
		items, pos := pick(x.Items, x.Pos, start, k, by)
		return &List{At: x.At, Items: items, Pos: pos}, nil
	case *Tuple:
		start, k, by, err := bounds(len(x.Items))
		if err != nil {
			return nil, err
		}
		items, pos := pick(x.Items, x.Pos, start, k, by)
		return &Tuple{At: x.At, Items: items, Pos: pos}, nil
	case Sliceable:
		return x.PySlice(lo, hi, step)
	case *Dict:
		return nil, typeErr("unhashable type: 'slice'")
	}
	return nil, notSubscriptable(v)
}

func pick(items []Value, pos []source.Pos, start, k, by int) ([]Value, []source.Pos) {
	out := make([]Value, k)
	var ps []source.Pos
	if pos != nil {
		ps = make([]source.Pos, k)
	}
	for i := range out {
		j := start + i*by
		out[i] = items[j]
		if j < len(pos) {
			ps[i] = pos[j]
		}
	}
	return out, ps
}

func sliceStr(s string, lo, hi, step Value) (Value, error) {
	n := len(s)
	plain := isASCII(s)
	if !plain {
		n = StrLen(s)
	}
	start, stop, by, err := SliceBounds(n, lo, hi, step)
	if err != nil {
		return nil, err
	}
	if by == 1 {
		stop = max(start, stop)
		if plain {
			return s[start:stop], nil
		}
		i := byteAt(s, start)
		return s[i : i+byteAt(s[i:], stop-start)], nil
	}
	rs := Runes(s)
	out := make([]rune, rangeLen(start, stop, by))
	for i := range out {
		out[i] = rs[start+i*by]
	}
	return FromRunes(out), nil
}

// SetSlice is v[lo:hi:step] = val.
func SetSlice(v, lo, hi, step, val Value) error {
	l, ok := v.(*List)
	if !ok {
		if _, ok := v.(*Dict); ok {
			return typeErr("unhashable type: 'slice'")
		}
		return typeErr("'%s' object does not support item assignment", TypeName(v))
	}
	start, stop, by, err := SliceBounds(len(l.Items), lo, hi, step)
	if err != nil {
		return err
	}
	var items []Value
	var pos []source.Pos
	seq, err := Iterate(val)
	if err != nil {
		if by != 1 {
			return typeErr("must assign iterable to extended slice")
		}
		return typeErr("can only assign an iterable")
	}
	for it, p := range seq {
		items = append(items, it)
		pos = append(pos, p)
		if err := checkItems(len(items) + len(l.Items)); err != nil {
			return err
		}
	}
	full := make([]source.Pos, len(l.Items))
	copy(full, l.Pos)
	if by == 1 {
		stop = max(start, stop)
		l.Items = slices.Replace(l.Items, start, stop, items...)
		l.Pos = slices.Replace(full, start, stop, pos...)
		return nil
	}
	k := rangeLen(start, stop, by)
	if k != len(items) {
		return valueErr("attempt to assign sequence of size %d to extended slice of size %d", len(items), k)
	}
	for i := range items {
		l.Items[start+i*by], full[start+i*by] = items[i], pos[i]
	}
	l.Pos = full
	return nil
}

// DelSlice is del v[lo:hi:step].
func DelSlice(v, lo, hi, step Value) error {
	l, ok := v.(*List)
	if !ok {
		if _, ok := v.(*Dict); ok {
			return typeErr("unhashable type: 'slice'")
		}
		return typeErr("'%s' object does not support item deletion", TypeName(v))
	}
	idx, err := SliceIndices(len(l.Items), lo, hi, step)
	if err != nil {
		return err
	}
	gone := make([]bool, len(l.Items))
	for _, i := range idx {
		gone[i] = true
	}
	var items []Value
	var pos []source.Pos
	for i, it := range l.Items {
		if !gone[i] {
			items = append(items, it)
			if i < len(l.Pos) {
				pos = append(pos, l.Pos[i])
			}
		}
	}
	l.Items, l.Pos = items, pos
	return nil
}

// Len is len(v).
func Len(v Value) (int, error) {
	switch x := v.(type) {
	case string:
		return StrLen(x), nil
	case Bytes:
		return len(x), nil
	case *List:
		return len(x.Items), nil
	case *Tuple:
		return len(x.Items), nil
	case *Dict:
		return x.Len(), nil
	case *Set:
		return x.Len(), nil
	case Sized:
		return x.PyLen(), nil
	}
	return 0, typeErr("object of type '%s' has no len()", TypeName(v))
}

// Iterate is iter(v): code points of a str, keys of a dict, items of the rest,
// each with the place where it was written. A list that grows meanwhile is
// followed, as in Python; a dict or set is iterated as it was.
func Iterate(v Value) (iter.Seq2[Value, source.Pos], error) {
	switch x := v.(type) {
	case *List:
		return func(yield func(Value, source.Pos) bool) {
			for i := 0; i < len(x.Items); i++ {
				if !yield(x.Items[i], x.PosOf(i)) {
					return
				}
			}
		}, nil
	case *Tuple:
		return func(yield func(Value, source.Pos) bool) {
			for i, it := range x.Items {
				if !yield(it, x.PosOf(i)) {
					return
				}
			}
		}, nil
	case *Dict:
		es := slices.Clone(x.Entries())
		return func(yield func(Value, source.Pos) bool) {
			for _, e := range es {
				if !yield(e.Key, e.KeyPos) {
					return
				}
			}
		}, nil
	case *Set:
		items := x.Items()
		return func(yield func(Value, source.Pos) bool) {
			for _, it := range items {
				if !yield(it, 0) {
					return
				}
			}
		}, nil
	case string:
		return func(yield func(Value, source.Pos) bool) {
			for i := 0; i < len(x); {
				_, n := decodeRune(x[i:])
				if !yield(x[i:i+n], 0) {
					return
				}
				i += n
			}
		}, nil
	case Bytes:
		return func(yield func(Value, source.Pos) bool) {
			for i := 0; i < len(x); i++ {
				if !yield(int(x[i]), 0) {
					return
				}
			}
		}, nil
	case Iterable:
		return x.PyIter(), nil
	}
	return nil, typeErr("'%s' object is not iterable", TypeName(v))
}

// ToList is list(v) as a new slice.
func ToList(v Value) ([]Value, error) {
	switch x := v.(type) {
	case *List:
		return slices.Clone(x.Items), nil
	case *Tuple:
		return slices.Clone(x.Items), nil
	case Sized:
		if err := checkItems(x.PyLen()); err != nil {
			return nil, err
		}
	}
	seq, err := Iterate(v)
	if err != nil {
		return nil, err
	}
	out := []Value{}
	for it := range seq {
		if len(out) >= MaxResultItems {
			return nil, checkItems(MaxResultItems + 1)
		}
		out = append(out, it)
	}
	return out, nil
}

// Attr is getattr(v, name) for the attributes that hold data: the parts of a
// number, and what an Attributer offers. Methods are Method's.
func Attr(v Value, name string) (Value, error) {
	if a, ok := v.(Attributer); ok {
		if r, ok := a.PyAttr(name); ok {
			return r, nil
		}
	}
	f, isFloat := v.(float64)
	if isFloat || isInt(v) {
		switch name {
		case "real":
			if isFloat {
				return f, nil
			}
			return Int(v)
		case "imag":
			if isFloat {
				return 0.0, nil
			}
			return 0, nil
		case "numerator":
			if !isFloat {
				return Int(v)
			}
		case "denominator":
			if !isFloat {
				return 1, nil
			}
		}
	}
	return nil, attrErr(v, name)
}
