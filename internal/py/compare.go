package py

import (
	"math"
	"math/big"
	"reflect"
	"strings"
)

// Truth is bool(v).
func Truth(v Value) bool {
	switch x := v.(type) {
	case nil:
		return false
	case bool:
		return x
	case int:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case Bytes:
		return x != ""
	case *big.Int:
		return x.Sign() != 0
	case *List:
		return len(x.Items) > 0
	case *Tuple:
		return len(x.Items) > 0
	case *Dict:
		return x.Len() > 0
	case *Set:
		return x.Len() > 0
	case Truther:
		return x.PyTruth()
	case Sized:
		return x.PyLen() != 0
	}
	return true
}

// Equal is a == b. Structures nested deeper than CPython could compare are
// unequal; Compare reports them.
func Equal(a, b Value) bool {
	ok, _ := equal(a, b, 0)
	return ok
}

// identical is "a is b" as far as it shows in containers: the same container
// or object.
func identical(a, b Value) bool {
	switch x := a.(type) {
	case *List, *Tuple, *Dict, *Set:
		return a == b
	case string:
		y, ok := b.(string)
		return ok && x == y
	}
	return false
}

func equal(a, b Value, depth int) (bool, error) {
	if depth > maxNesting {
		return false, recursionErr(" in comparison")
	}
	switch x := a.(type) {
	case nil:
		if b == nil {
			return true, nil
		}
	case string:
		if y, ok := b.(string); ok {
			return x == y, nil
		}
	case bool, int, *big.Int, float64:
		if c, nan, ok := compareNumbers(a, b); ok {
			return c == 0 && !nan, nil
		}
	case Bytes:
		if y, ok := b.(Bytes); ok {
			return x == y, nil
		}
	case *List:
		if y, ok := b.(*List); ok {
			return sameItems(x.Items, y.Items, depth, x == y)
		}
	case *Tuple:
		if y, ok := b.(*Tuple); ok {
			return sameItems(x.Items, y.Items, depth, x == y)
		}
	case *Dict:
		if y, ok := b.(*Dict); ok {
			return equalDicts(x, y, depth)
		}
	case *Set:
		if y, ok := setOperand(b); ok {
			return x.Len() == y.Len() && isSubset(x, y), nil
		}
	case Equaler:
		return x.PyEqual(b), nil
	}
	if y, ok := b.(Equaler); ok {
		return y.PyEqual(a), nil
	}
	if a == nil || b == nil {
		return false, nil
	}
	if t := reflect.TypeOf(a); t != reflect.TypeOf(b) || !t.Comparable() {
		return false, nil
	}
	return a == b, nil
}

func sameItems(a, b []Value, depth int, same bool) (bool, error) {
	if same {
		return true, nil
	}
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if identical(a[i], b[i]) {
			continue
		}
		if ok, err := equal(a[i], b[i], depth+1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalDicts(x, y *Dict, depth int) (bool, error) {
	if x == y || sameSource(x, y) {
		return true, nil
	}
	if x.Len() != y.Len() {
		return false, nil
	}
	for _, e := range x.Entries() {
		v, ok := y.Lookup(e.Key)
		if !ok {
			return false, nil
		}
		if identical(e.Val, v) {
			continue
		}
		if ok, err := equal(e.Val, v, depth+1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// compareNumbers compares exactly, also int with float; ok is false when one
// is no number.
func compareNumbers(a, b Value) (c int, nan, ok bool) {
	x, xok := small(a)
	y, yok := small(b)
	if xok && yok {
		return sign(x > y, x < y), false, true
	}
	fx, xf := a.(float64)
	fy, yf := b.(float64)
	switch {
	case xf && yf:
	case xf && yok && bitLen(y) <= 53:
		fy = float64(y)
	case yf && xok && bitLen(x) <= 53:
		fx = float64(x)
	case xf && isInt(b):
		if math.IsNaN(fx) || math.IsInf(fx, 0) {
			fy = 0
			break
		}
		return new(big.Float).SetFloat64(fx).Cmp(new(big.Float).SetInt(toBig(b))), false, true
	case yf && isInt(a):
		if math.IsNaN(fy) || math.IsInf(fy, 0) {
			fx = 0
			break
		}
		return new(big.Float).SetInt(toBig(a)).Cmp(new(big.Float).SetFloat64(fy)), false, true
	case isInt(a) && isInt(b):
		return toBig(a).Cmp(toBig(b)), false, true
	default:
		return 0, false, false
	}
	return sign(fx > fy, fx < fy), math.IsNaN(fx) || math.IsNaN(fy), true
}

func sign(more, less bool) int {
	switch {
	case more:
		return 1
	case less:
		return -1
	}
	return 0
}

// Compare is "a op b" for == != < <= > >= in and "not in".
func Compare(op string, a, b Value) (bool, error) {
	switch op {
	case "==":
		return equal(a, b, 0)
	case "!=":
		ok, err := equal(a, b, 0)
		return !ok, err
	case "in":
		return contains(b, a)
	case "not in":
		ok, err := contains(b, a)
		return !ok, err
	}
	return order(op, a, b, 0)
}

func byOp(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

var mirrored = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}

func order(op string, a, b Value, depth int) (bool, error) {
	if depth > maxNesting {
		return false, recursionErr(" in comparison")
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return byOp(op, compareStr(x, y)), nil
		}
	case bool, int, *big.Int, float64:
		if c, nan, ok := compareNumbers(a, b); ok {
			return !nan && byOp(op, c), nil
		}
	case Bytes:
		if y, ok := b.(Bytes); ok {
			return byOp(op, strings.Compare(string(x), string(y))), nil
		}
	case *List:
		if y, ok := b.(*List); ok {
			return orderItems(op, x.Items, y.Items, depth)
		}
	case *Tuple:
		if y, ok := b.(*Tuple); ok {
			return orderItems(op, x.Items, y.Items, depth)
		}
	case Comparer:
		if r, ok, err := x.PyCompare(op, b); ok || err != nil {
			return r, err
		}
	}
	if x, ok := setOperand(a); ok {
		if y, ok := setOperand(b); ok {
			switch op {
			case "<":
				return x.Len() < y.Len() && isSubset(x, y), nil
			case "<=":
				return isSubset(x, y), nil
			case ">":
				return x.Len() > y.Len() && isSubset(y, x), nil
			case ">=":
				return isSubset(y, x), nil
			}
		}
	}
	if y, ok := b.(Comparer); ok {
		if r, ok, err := y.PyCompare(mirrored[op], a); ok || err != nil {
			return r, err
		}
	}
	return false, typeErr("'%s' not supported between instances of '%s' and '%s'", op, TypeName(a), TypeName(b))
}

// compareStr orders by code points, which for UTF-8 is the order of bytes.
func compareStr(a, b string) int { return strings.Compare(a, b) }

func orderItems(op string, a, b []Value, depth int) (bool, error) {
	for i := 0; i < len(a) && i < len(b); i++ {
		if identical(a[i], b[i]) {
			continue
		}
		eq, err := equal(a[i], b[i], depth+1)
		if err != nil {
			return false, err
		}
		if !eq {
			return order(op, a[i], b[i], depth+1)
		}
	}
	return byOp(op, sign(len(a) > len(b), len(a) < len(b))), nil
}

func contains(box, v Value) (bool, error) {
	in := func(items []Value) (bool, error) {
		for _, it := range items {
			if identical(it, v) {
				return true, nil
			}
			if ok, err := equal(it, v, 0); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	switch x := box.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, typeErr("'in <string>' requires string as left operand, not %s", TypeName(v))
		}
		return strings.Contains(x, s), nil
	case *List:
		return in(x.Items)
	case *Tuple:
		return in(x.Items)
	case *Dict:
		if _, ok := HashKey(v); !ok {
			return false, unhashable(v)
		}
		return x.Has(v), nil
	case *Set:
		if s, ok := v.(*Set); ok && !s.Frozen {
			f := &Set{Frozen: true} // as CPython does
			f.Update(s)
			v = f
		}
		if _, ok := HashKey(v); !ok {
			return false, unhashable(v)
		}
		return x.Has(v), nil
	case Bytes:
		if b, ok := v.(Bytes); ok {
			return strings.Contains(string(x), string(b)), nil
		}
		if !isInt(v) {
			return false, typeErr("a bytes-like object is required, not '%s'", TypeName(v))
		}
		n, ok := small(v)
		if !ok || n < 0 || n > 255 {
			return false, valueErr("byte must be in range(0, 256)")
		}
		return strings.IndexByte(string(x), byte(n)) >= 0, nil
	case Container:
		return x.PyContains(v)
	case Iterable:
		for it := range x.PyIter() {
			if ok, err := equal(it, v, 0); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	return false, typeErr("argument of type '%s' is not iterable", TypeName(box))
}

// setOperand is v as a set when set operators and comparisons take it: sets
// and the key and item views of dicts.
func setOperand(v Value) (*Set, bool) {
	switch x := v.(type) {
	case *Set:
		return x, true
	case *DictView:
		if x.kind != viewValues {
			if s, err := NewSet(x.list()...); err == nil {
				return s, true
			}
		}
	}
	return nil, false
}

func isSubset(a, b *Set) bool {
	for _, it := range a.Items() {
		if !b.Has(it) {
			return false
		}
	}
	return true
}
