package py

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/source"
)

// method is one method of T. Arguments arrive in a slice of max values, nil
// where not given; n is how many were given by position.
type method[T any] struct {
	min, max int
	names    string // of the parameters that may be given by keyword, space separated
	fn       func(recv T, a []Value, n int) (Value, error)
	paren    bool                                                // wrong counts are told as "f() takes …"
	raw      func(recv T, args []Value, kw *Dict) (Value, error) // instead of fn
}

func bind[T any](class, name string, recv T, m method[T]) MethodFunc {
	return func(args []Value, kw *Dict) (Value, error) {
		if m.raw != nil {
			return m.raw(recv, args, kw)
		}
		n := len(args)
		if kw.Len() > 0 && m.names == "" {
			return nil, typeErr("%s.%s() takes no keyword arguments", class, name)
		}
		if n < m.min || n > m.max {
			if kw.Len() == 0 {
				return nil, countErr(class, name, m.min, m.max, n, m.names != "" || m.paren)
			}
		}
		a := make([]Value, m.max)
		copy(a, args)
		if kw.Len() > 0 {
			names := strings.Fields(m.names)
			for _, e := range kw.Entries() {
				k, _ := e.Key.(string)
				i := slices.Index(names, k)
				if i < 0 {
					return nil, typeErr("'%s' is an invalid keyword argument for %s()", k, name)
				}
				if i < len(args) {
					return nil, typeErr("argument for %s() given by name ('%s') and position (%d)", name, k, i+1)
				}
				a[i] = e.Val
				n = max(n, i+1)
			}
		}
		return m.fn(recv, a, n)
	}
}

func countErr(class, name string, lo, hi, n int, keywords bool) error {
	plural := func(n int) string {
		if n == 1 {
			return ""
		}
		return "s"
	}
	switch {
	case hi == 0:
		return typeErr("%s.%s() takes no arguments (%d given)", class, name, n)
	case lo == 1 && hi == 1:
		return typeErr("%s.%s() takes exactly one argument (%d given)", class, name, n)
	case keywords && n < lo:
		return typeErr("%s() takes at least %d argument%s (%d given)", name, lo, plural(lo), n)
	case keywords:
		return typeErr("%s() takes at most %d argument%s (%d given)", name, hi, plural(hi), n)
	case lo == hi:
		return typeErr("%s expected %d argument%s, got %d", name, lo, plural(lo), n)
	case n < lo:
		return typeErr("%s expected at least %d argument%s, got %d", name, lo, plural(lo), n)
	}
	return typeErr("%s expected at most %d argument%s, got %d", name, hi, plural(hi), n)
}

func lookupMethod[T any](table map[string]method[T], class, name string, recv T) (MethodFunc, bool) {
	m, ok := table[name]
	if !ok {
		return nil, false
	}
	return bind(class, name, recv, m), true
}

// Method returns the method of a data value, bound to it; ok is false when
// there is none of that name. list.sort refuses key=, which needs somebody
// who can call functions: see SortPerm.
func Method(recv Value, name string) (MethodFunc, bool) {
	switch x := recv.(type) {
	case string:
		return lookupMethod(strMethods, "str", name, x)
	case *List:
		return lookupMethod(listMethods, "list", name, x)
	case *Dict:
		return lookupMethod(dictMethods, "dict", name, x)
	case *Tuple:
		return lookupMethod(tupleMethods, "tuple", name, x)
	case *Set:
		if x.Frozen && setMutators[name] {
			return nil, false
		}
		return lookupMethod(setMethods, TypeName(x), name, x)
	case Bytes:
		return lookupMethod(bytesMethods, "bytes", name, x)
	case int, bool, *big.Int:
		return lookupMethod(intMethods, "int", name, toBig(x))
	case float64:
		return lookupMethod(floatMethods, "float", name, x)
	case Methoder:
		return x.PyMethod(name)
	}
	return nil, false
}

var intMethods = map[string]method[*big.Int]{
	"bit_length": {fn: func(x *big.Int, _ []Value, _ int) (Value, error) { return x.BitLen(), nil }},
	"bit_count": {fn: func(x *big.Int, _ []Value, _ int) (Value, error) {
		return strings.Count(new(big.Int).Abs(x).Text(2), "1"), nil
	}},
	"conjugate":        {fn: func(x *big.Int, _ []Value, _ int) (Value, error) { return norm(x), nil }},
	"as_integer_ratio": {fn: func(x *big.Int, _ []Value, _ int) (Value, error) { return NewTuple(norm(x), 1), nil }},
	"__index__":        {fn: func(x *big.Int, _ []Value, _ int) (Value, error) { return norm(x), nil }},
}

var floatMethods = map[string]method[float64]{
	"is_integer": {fn: func(f float64, _ []Value, _ int) (Value, error) {
		return f-f == 0 && f == math.Trunc(f), nil
	}},
	"conjugate": {fn: func(f float64, _ []Value, _ int) (Value, error) { return f, nil }},
	"hex":       {fn: func(f float64, _ []Value, _ int) (Value, error) { return floatHex(f), nil }},
	"as_integer_ratio": {fn: func(f float64, _ []Value, _ int) (Value, error) {
		if f != f {
			return nil, valueErr("cannot convert NaN to integer ratio")
		}
		if f-f != 0 {
			return nil, Errorf("OverflowError", "cannot convert Infinity to integer ratio")
		}
		r := new(big.Rat).SetFloat64(f)
		return NewTuple(norm(new(big.Int).Set(r.Num())), norm(new(big.Int).Set(r.Denom()))), nil
	}},
}

func floatHex(f float64) string {
	if f-f != 0 {
		return FormatFloat(f)
	}
	sign := ""
	if math.Signbit(f) {
		sign = "-"
	}
	b := math.Float64bits(f)
	exp, mant := int(b>>52&0x7ff), b&(1<<52-1)
	if exp == 0 && mant == 0 {
		return sign + "0x0.0p+0"
	}
	lead := "1"
	if exp == 0 {
		lead, exp = "0", 1
	}
	h := strconv.FormatUint(mant, 16)
	e := strconv.Itoa(exp - 1023)
	if exp >= 1023 {
		e = "+" + e
	}
	return sign + "0x" + lead + "." + strings.Repeat("0", 13-len(h)) + h + "p" + e
}

var tupleMethods = map[string]method[*Tuple]{
	"count": {min: 1, max: 1, fn: func(t *Tuple, a []Value, _ int) (Value, error) { return countIn(t.Items, a[0]) }},
	"index": {min: 1, max: 3, fn: func(t *Tuple, a []Value, n int) (Value, error) {
		i, err := indexIn(t.Items, a, n)
		if err == nil && i < 0 {
			err = valueErr("tuple.index(x): x not in tuple")
		}
		return i, err
	}},
}

func countIn(items []Value, v Value) (Value, error) {
	n := 0
	for _, it := range items {
		ok := identical(it, v)
		if !ok {
			var err error
			if ok, err = equal(it, v, 0); err != nil {
				return nil, err
			}
		}
		if ok {
			n++
		}
	}
	return n, nil
}

// indexIn finds a[0] between a[1] and a[2], if given; -1 when it is not there.
func indexIn(items []Value, a []Value, n int) (int, error) {
	for i := 1; i < n; i++ {
		if !isInt(a[i]) {
			return 0, typeErr("slice indices must be integers or have an __index__ method")
		}
	}
	lo, hi, err := window(a[1:], n-1, len(items))
	if err != nil {
		return 0, err
	}
	for i := lo; i < hi; i++ {
		if identical(items[i], a[0]) {
			return i, nil
		}
		if ok, err := equal(items[i], a[0], 0); ok || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// window resolves optional start and end arguments over n items. lo may be
// more than n.
func window(a []Value, given, n int) (lo, hi int, err error) {
	hi = n
	if given > 0 && a[0] != nil {
		if lo, err = sliceIndex(a[0]); err != nil {
			return 0, 0, err
		}
		if lo < 0 {
			lo = max(lo, -n) + n
		}
	}
	if given > 1 && a[1] != nil {
		if hi, err = sliceIndex(a[1]); err != nil {
			return 0, 0, err
		}
		if hi < 0 {
			hi = max(hi, -n) + n
		}
		hi = min(hi, n)
	}
	return lo, hi, nil
}

var listMethods map[string]method[*List]

func init() { // an initializer would be a cycle: extend iterates, which has methods
	listMethods = map[string]method[*List]{
		"append": {min: 1, max: 1, fn: func(l *List, a []Value, _ int) (Value, error) {
			l.Append(a[0], 0)
			return nil, checkItems(len(l.Items))
		}},
		"extend": {min: 1, max: 1, fn: func(l *List, a []Value, _ int) (Value, error) { return nil, l.Extend(a[0]) }},
		"insert": {min: 2, max: 2, fn: func(l *List, a []Value, _ int) (Value, error) {
			i, err := Index(a[0])
			if err != nil {
				return nil, err
			}
			if i < 0 {
				i = max(i+len(l.Items), 0)
			}
			l.insert(min(i, len(l.Items)), a[1])
			return nil, nil
		}},
		"pop": {min: 0, max: 1, fn: func(l *List, a []Value, n int) (Value, error) {
			i := len(l.Items) - 1
			if n > 0 {
				var err error
				if i, err = Index(a[0]); err != nil {
					return nil, err
				}
			}
			if len(l.Items) == 0 {
				return nil, indexErr("pop from empty list")
			}
			if n > 0 {
				if i < 0 {
					i += len(l.Items)
				}
				if i < 0 || i >= len(l.Items) {
					return nil, indexErr("pop index out of range")
				}
			}
			v := l.Items[i]
			l.remove(i)
			return v, nil
		}},
		"remove": {min: 1, max: 1, fn: func(l *List, a []Value, _ int) (Value, error) {
			i, err := indexIn(l.Items, a, 1)
			if err != nil {
				return nil, err
			}
			if i < 0 {
				return nil, valueErr("list.remove(x): x not in list")
			}
			l.remove(i)
			return nil, nil
		}},
		"clear": {fn: func(l *List, _ []Value, _ int) (Value, error) {
			l.Items, l.Pos = nil, nil
			return nil, nil
		}},
		"index": {min: 1, max: 3, fn: func(l *List, a []Value, n int) (Value, error) {
			i, err := indexIn(l.Items, a, n)
			if err == nil && i < 0 {
				err = valueErr("%s is not in list", Repr(a[0]))
			}
			return i, err
		}},
		"count": {min: 1, max: 1, fn: func(l *List, a []Value, _ int) (Value, error) { return countIn(l.Items, a[0]) }},
		"reverse": {fn: func(l *List, _ []Value, _ int) (Value, error) {
			for len(l.Pos) > 0 && len(l.Pos) < len(l.Items) {
				l.Pos = append(l.Pos, 0)
			}
			slices.Reverse(l.Items)
			slices.Reverse(l.Pos)
			return nil, nil
		}},
		"copy": {fn: func(l *List, _ []Value, _ int) (Value, error) { return Slice(l, nil, nil, nil) }},
		"sort": {raw: func(l *List, args []Value, kw *Dict) (Value, error) {
			if len(args) > 0 {
				return nil, typeErr("sort() takes no positional arguments")
			}
			if kw.Get("key") != nil {
				return nil, typeErr("sort(key=...) cannot be used here")
			}
			perm, err := SortPerm(l.Items, Truth(kw.Get("reverse")))
			if err != nil {
				return nil, err
			}
			l.Permute(perm)
			return nil, nil
		}},
	}
}

// Extend is l.extend(v); positions come along.
func (l *List) Extend(v Value) error {
	if o, ok := v.(*List); ok && o == l {
		v = &List{Items: slices.Clone(l.Items), Pos: slices.Clone(l.Pos), At: l.At}
	}
	seq, err := Iterate(v)
	if err != nil {
		return err
	}
	for it, p := range seq {
		l.Append(it, p)
		if err := checkItems(len(l.Items)); err != nil {
			return err
		}
	}
	return nil
}

// Permute puts items, with their positions, in the order of perm.
func (l *List) Permute(perm []int) {
	items := slices.Clone(l.Items)
	pos := slices.Clone(l.Pos)
	for len(pos) > 0 && len(pos) < len(items) {
		pos = append(pos, 0)
	}
	for i, j := range perm {
		l.Items[i] = items[j]
	}
	if len(pos) > 0 {
		l.Pos = make([]source.Pos, len(items))
		for i, j := range perm {
			l.Pos[i] = pos[j]
		}
	}
}

var dictMethods = map[string]method[*Dict]{
	"keys":   {fn: func(d *Dict, _ []Value, _ int) (Value, error) { return KeysView(d), nil }},
	"values": {fn: func(d *Dict, _ []Value, _ int) (Value, error) { return ValuesView(d), nil }},
	"items":  {fn: func(d *Dict, _ []Value, _ int) (Value, error) { return ItemsView(d), nil }},
	"get": {min: 1, max: 2, fn: func(d *Dict, a []Value, _ int) (Value, error) {
		if _, ok := HashKey(a[0]); !ok {
			return nil, unhashable(a[0])
		}
		if v, ok := d.Lookup(a[0]); ok {
			return v, nil
		}
		return a[1], nil
	}},
	"pop": {min: 1, max: 2, fn: func(d *Dict, a []Value, n int) (Value, error) {
		if _, ok := HashKey(a[0]); !ok && d.Len() > 0 {
			return nil, unhashable(a[0])
		}
		if v, ok := d.Lookup(a[0]); ok {
			d.Delete(a[0])
			return v, nil
		}
		if n < 2 {
			return nil, keyErr(a[0])
		}
		return a[1], nil
	}},
	"popitem": {fn: func(d *Dict, _ []Value, _ int) (Value, error) {
		es := d.Entries()
		if len(es) == 0 {
			return nil, keyErr("popitem(): dictionary is empty")
		}
		e := es[len(es)-1]
		d.Delete(e.Key)
		return NewTuple(e.Key, e.Val), nil
	}},
	"setdefault": {min: 1, max: 2, fn: func(d *Dict, a []Value, _ int) (Value, error) {
		if v, ok := d.Lookup(a[0]); ok {
			return v, nil
		}
		return a[1], d.Put(Entry{Key: a[0], Val: a[1]})
	}},
	"update": {raw: func(d *Dict, args []Value, kw *Dict) (Value, error) {
		if len(args) > 1 {
			return nil, typeErr("update expected at most 1 argument, got %d", len(args))
		}
		if len(args) == 1 {
			if err := d.Update(args[0]); err != nil {
				return nil, err
			}
		}
		for _, e := range kw.Entries() {
			if err := d.Put(e); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}},
	"copy": {fn: func(d *Dict, _ []Value, _ int) (Value, error) { return d.Copy(), nil }},
	"clear": {fn: func(d *Dict, _ []Value, _ int) (Value, error) {
		d.src.Store(nil)
		d.entries, d.index, d.dead = nil, nil, 0
		return nil, nil
	}},
	"fromkeys": {min: 1, max: 2, fn: func(_ *Dict, a []Value, _ int) (Value, error) { return FromKeys(a[0], a[1]) }},
}

// FromKeys is dict.fromkeys(keys, val).
func FromKeys(keys, val Value) (*Dict, error) {
	seq, err := Iterate(keys)
	if err != nil {
		return nil, err
	}
	d := NewDict()
	for k, p := range seq {
		if err := d.Put(Entry{Key: k, Val: val, KeyPos: p}); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Update is d.update(v) for a dict or an iterable of pairs, and so also the
// one-argument dict(v).
func (d *Dict) Update(v Value) error {
	if o, ok := v.(*Dict); ok {
		for _, e := range slices.Clone(o.Entries()) {
			if err := d.Put(e); err != nil {
				return err
			}
		}
		return nil
	}
	seq, err := Iterate(v)
	if err != nil {
		return err
	}
	i := 0
	for it, pos := range seq {
		if _, ok := it.(int); ok || it == nil {
			return typeErr("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		pair, err := ToList(it)
		if err != nil {
			return typeErr("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		if len(pair) != 2 {
			return valueErr("dictionary update sequence element #%d has length %d; 2 is required", i, len(pair))
		}
		e := Entry{Key: pair[0], Val: pair[1], Pos: pos}
		switch t := it.(type) {
		case *Tuple:
			e.KeyPos, e.Pos = t.PosOf(0), t.PosOf(1)
		case *List:
			e.KeyPos, e.Pos = t.PosOf(0), t.PosOf(1)
		}
		if err := d.Put(e); err != nil {
			return err
		}
		i++
	}
	return nil
}

var setMutators = map[string]bool{"add": true, "remove": true, "discard": true, "pop": true, "clear": true, "update": true,
	"intersection_update": true, "difference_update": true, "symmetric_difference_update": true}

// toSet is v as a set, for methods that take any iterable.
func toSet(v Value) (*Set, error) {
	if s, ok := v.(*Set); ok {
		return s, nil
	}
	items, err := ToList(v)
	if err != nil {
		return nil, err
	}
	return NewSet(items...)
}

func setFold(op string) func(*Set, []Value, *Dict) (Value, error) {
	return func(s *Set, args []Value, kw *Dict) (Value, error) {
		if kw.Len() > 0 {
			return nil, typeErr("set methods take no keyword arguments")
		}
		if len(args) == 0 {
			return s.Copy(), nil
		}
		out := s
		for i, a := range args {
			o, err := toSet(a)
			if err != nil {
				return nil, err
			}
			if i == 0 || op == "&" {
				if _, isSet := a.(*Set); op == "|" && !isSet {
					out = s.Copy()
					if err := out.addAll(a); err != nil {
						return nil, err
					}
					continue
				}
				out = setOp(op, out, o)
				continue
			}
			if _, isSet := a.(*Set); op == "|" && !isSet {
				if err := out.addAll(a); err != nil {
					return nil, err
				}
				continue
			}
			out.SetInPlace(op, o)
		}
		return out, nil
	}
}

// addAll adds what v yields, one by one.
func (s *Set) addAll(v Value) error {
	if d, ok := v.(*Dict); ok && !d.Config {
		s.Reserve(d.Len())
	}
	items, err := ToList(v)
	if err != nil {
		return err
	}
	for _, it := range items {
		if err := s.Add(it); err != nil {
			return err
		}
	}
	return nil
}

func setUpdate(op string) func(*Set, []Value, *Dict) (Value, error) {
	return func(s *Set, args []Value, kw *Dict) (Value, error) {
		if kw.Len() > 0 {
			return nil, typeErr("set methods take no keyword arguments")
		}
		for _, a := range args {
			o, isSet := a.(*Set)
			var err error
			switch {
			case isSet:
				s.SetInPlace(op, o)
			case op == "|":
				err = s.addAll(a)
			default:
				if o, err = toSet(a); err == nil {
					s.SetInPlace(op, o)
				}
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
}

func setRelation(f func(a, b *Set) bool) method[*Set] {
	return method[*Set]{min: 1, max: 1, fn: func(s *Set, a []Value, _ int) (Value, error) {
		o, err := toSet(a[0])
		if err != nil {
			return nil, err
		}
		return f(s, o), nil
	}}
}

func one(f func(*Set, []Value, *Dict) (Value, error)) method[*Set] {
	return method[*Set]{min: 1, max: 1, fn: func(s *Set, a []Value, _ int) (Value, error) { return f(s, a, nil) }}
}

var setMethods = map[string]method[*Set]{
	"add": {min: 1, max: 1, fn: func(s *Set, a []Value, _ int) (Value, error) { return nil, s.Add(a[0]) }},
	"remove": {min: 1, max: 1, fn: func(s *Set, a []Value, _ int) (Value, error) {
		if _, ok := HashKey(a[0]); !ok {
			return nil, unhashable(a[0])
		}
		if !s.Delete(a[0]) {
			return nil, keyErr(a[0])
		}
		return nil, nil
	}},
	"discard": {min: 1, max: 1, fn: func(s *Set, a []Value, _ int) (Value, error) {
		if _, ok := HashKey(a[0]); !ok {
			return nil, unhashable(a[0])
		}
		s.Delete(a[0])
		return nil, nil
	}},
	"pop": {fn: func(s *Set, _ []Value, _ int) (Value, error) {
		v, ok := s.pop()
		if !ok {
			return nil, keyErr("pop from an empty set")
		}
		return v, nil
	}},
	"clear": {fn: func(s *Set, _ []Value, _ int) (Value, error) {
		s.clear()
		return nil, nil
	}},
	"copy":                        {fn: func(s *Set, _ []Value, _ int) (Value, error) { return s.Copy(), nil }},
	"union":                       {raw: setFold("|")},
	"intersection":                {raw: setFold("&")},
	"difference":                  {raw: setFold("-")},
	"symmetric_difference":        one(setFold("^")),
	"update":                      {raw: setUpdate("|")},
	"intersection_update":         {raw: setUpdate("&")},
	"difference_update":           {raw: setUpdate("-")},
	"symmetric_difference_update": one(setUpdate("^")),
	"issubset":                    setRelation(isSubset),
	"issuperset":                  setRelation(func(a, b *Set) bool { return isSubset(b, a) }),
	"isdisjoint":                  setRelation(func(a, b *Set) bool { return setOp("&", a, b).Len() == 0 }),
}
