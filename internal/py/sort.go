package py

import (
	"slices"
	"strings"
)

func valueLess(a, b Value) (bool, error) { return order("<", a, b, 0) }

// SortPerm is the permutation that sorts keys stably by Python's <, or with
// reverse by >, equal keys staying in order.
func SortPerm(keys []Value, reverse bool) ([]int, error) {
	perm := make([]int, len(keys))
	for i := range perm {
		perm[i] = i
	}
	flip := 1
	if reverse {
		flip = -1
	}
	switch {
	case all[string](keys):
		slices.SortStableFunc(perm, func(i, j int) int { return flip * strings.Compare(keys[i].(string), keys[j].(string)) })
		return perm, nil
	case all[int](keys):
		slices.SortStableFunc(perm, func(i, j int) int {
			a, b := keys[i].(int), keys[j].(int)
			return flip * sign(a > b, a < b)
		})
		return perm, nil
	}
	// list.sort turns the list round before and after, which shows in the
	// message when two keys have no order.
	if reverse {
		slices.Reverse(perm)
	}
	err := stableSort(perm, func(i, j int) (bool, error) { return valueLess(keys[i], keys[j]) })
	if reverse {
		slices.Reverse(perm)
	}
	return perm, err
}

func all[T any](vs []Value) bool {
	for _, v := range vs {
		if _, ok := v.(T); !ok {
			return false
		}
	}
	return true
}

// stableSort is a merge sort on insertion-sorted runs that asks nothing but
// less, in the manner of list.sort, and stops at the first error.
func stableSort[T any](a []T, less func(x, y T) (bool, error)) error {
	const run = 64
	for lo := 0; lo < len(a); lo += run {
		hi := min(lo+run, len(a))
		sorted, err := countRun(a[lo:hi], less)
		if err != nil {
			return err
		}
		for i := lo + sorted; i < hi; i++ {
			v := a[i]
			l, r := lo, i
			for l < r {
				m := (l + r) / 2
				lt, err := less(v, a[m])
				if err != nil {
					return err
				}
				if lt {
					r = m
				} else {
					l = m + 1
				}
			}
			copy(a[l+1:i+1], a[l:i])
			a[l] = v
		}
	}
	buf := make([]T, len(a))
	for width := run; width < len(a); width *= 2 {
		for lo := 0; lo < len(a); lo += 2 * width {
			mid, hi := min(lo+width, len(a)), min(lo+2*width, len(a))
			i, j := lo, mid
			for k := lo; k < hi; k++ {
				takeRight := i >= mid
				if i < mid && j < hi {
					lt, err := less(a[j], a[i])
					if err != nil {
						return err
					}
					takeRight = lt
				}
				if takeRight {
					buf[k] = a[j]
					j++
				} else {
					buf[k] = a[i]
					i++
				}
			}
		}
		copy(a, buf)
	}
	return nil
}

// countRun is the length of the run that a begins with, turned round if it
// goes strictly down.
func countRun[T any](a []T, less func(x, y T) (bool, error)) (int, error) {
	if len(a) < 2 {
		return len(a), nil
	}
	down, err := less(a[1], a[0])
	if err != nil {
		return 0, err
	}
	n := 2
	for ; n < len(a); n++ {
		lt, err := less(a[n], a[n-1])
		if err != nil {
			return 0, err
		}
		if lt != down {
			break
		}
	}
	if down {
		slices.Reverse(a[:n])
	}
	return n, nil
}

// Sorted is sorted(items, reverse=reverse) as a new slice, by keys (one for
// each item) unless they are nil.
func Sorted(items, keys []Value, reverse bool) ([]Value, error) {
	if keys == nil {
		keys = items
	}
	perm, err := SortPerm(keys, reverse)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, j := range perm {
		out[i] = items[j]
	}
	return out, nil
}

// MinMax is min(items) or max(items), the first of equals, by keys unless
// they are nil.
func MinMax(items, keys []Value, wantMax bool) (Value, error) {
	name, op := "min", "<"
	if wantMax {
		name, op = "max", ">"
	}
	if len(items) == 0 {
		return nil, valueErr("%s() arg is an empty sequence", name)
	}
	if keys == nil {
		keys = items
	}
	best := 0
	for i := 1; i < len(items); i++ {
		better, err := order(op, keys[i], keys[best], 0)
		if err != nil {
			return nil, err
		}
		if better {
			best = i
		}
	}
	return items[best], nil
}

// Sum is sum(items, start): from left to right with plain additions, as
// CPython does up to 3.11 (later versions compensate).
func Sum(items []Value, start Value) (Value, error) {
	switch x := start.(type) {
	case string:
		return nil, typeErr("sum() can't sum strings [use ''.join(seq) instead]")
	case Bytes:
		return nil, typeErr("sum() can't sum bytes [use b''.join(seq) instead]")
	case *List:
		return sumLists(x, items)
	}
	return sumFrom(start, items)
}

func sumFrom(acc Value, items []Value) (Value, error) {
	for i := 0; i < len(items); i++ {
		if f, ok := acc.(float64); ok { // the common case without boxing each step
			for ; i < len(items); i++ {
				if g, ok := items[i].(float64); ok {
					f += g
				} else if n, ok := items[i].(int); ok {
					f += float64(n)
				} else {
					break
				}
			}
			acc = f
			if i >= len(items) {
				break
			}
		}
		var err error
		if acc, err = Binary("+", acc, items[i]); err != nil {
			return nil, err
		}
	}
	return acc, nil
}

// sumLists joins lists without copying the sum at each step; configs put their
// dataset lists together with sum(…, []).
func sumLists(start *List, items []Value) (Value, error) {
	out := &List{At: start.At, Items: slices.Clone(start.Items), Pos: slices.Clone(start.Pos)}
	for n, it := range items {
		l, ok := it.(*List)
		if !ok {
			return sumFrom(out, items[n:]) // the error, or what an Object makes of it
		}
		if err := checkItems(len(out.Items) + len(l.Items)); err != nil {
			return nil, err
		}
		for i, v := range l.Items {
			out.Append(v, l.PosOf(i))
		}
	}
	return out, nil
}
