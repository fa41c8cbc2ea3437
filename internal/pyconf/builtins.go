package pyconf

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// builtins are the names that every config can use without importing them.
// docs/dialect.md, "Built-in functions".
var builtins map[string]py.Value

// types are the builtins that isinstance and type know.
var types = map[string]*builtin{}

func init() {
	builtins = map[string]py.Value{"NotImplemented": notImplemented, "Ellipsis": ellipsis, "__name__": "builtins", "__debug__": true}
	for name, c := range excClasses {
		if name != "JSONDecodeError" && name != "ConfigParsingError" {
			builtins[name] = c
		}
	}
	for name, fn := range map[string]methodFn{
		"print": biPrint, "len": biLen, "sum": biSum, "max": biMax, "min": biMin, "sorted": biSorted, "any": biAny, "all": biAll,
		"abs": unary(py.Abs), "chr": unary(py.Chr), "ord": unary(py.Ord), "hex": unary(py.Hex), "oct": unary(py.Oct), "bin": unary(py.Bin),
		"round": biRound, "divmod": biDivmod, "pow": biPow, "repr": text(py.Repr), "ascii": text(py.ASCII), "format": biFormat,
		"isinstance": biIsinstance, "issubclass": biIssubclass, "callable": biCallable, "id": biID, "hash": biHash,
		"getattr": biGetattr, "hasattr": biHasattr, "setattr": biSetattr, "iter": biIter, "next": biNext,
		"locals": biLocals, "globals": biGlobals, "vars": biLocals, "dir": biDir, "eval": biEval, "open": biOpen,
	} {
		builtins[name] = &builtin{name: name, fn: fn}
	}
	for name, fn := range map[string]methodFn{
		"dict": biDict, "list": biList, "tuple": biTuple, "set": biSet, "frozenset": biFrozenset, "str": biStr, "int": biInt, "float": biFloat,
		"bool": biBool, "bytes": biBytes, "range": biRange, "zip": biZip, "enumerate": biEnumerate, "map": biMap, "filter": biFilter,
		"reversed": biReversed, "slice": biSlice, "type": biType, "object": biObject, "complex": biComplex,
	} {
		b := &builtin{name: name, typ: true, fn: fn}
		builtins[name] = b
		types[name] = b
	}
	for _, name := range []string{"exec", "compile", "__import__", "input", "breakpoint", "exit", "quit", "super", "property", "classmethod",
		"staticmethod", "memoryview", "bytearray", "delattr", "help"} {
		builtins[name] = &builtin{name: name, fn: func(c *callArgs) (py.Value, source.Pos, error) {
			return nil, 0, fatalf("`%s` is not part of the config dialect", c.name)
		}}
	}
	builtins["__builtins__"] = &Module{name: "builtins"}
}

func unary(f func(py.Value) (py.Value, error)) methodFn {
	return func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(1, 1); err != nil {
			return nil, 0, err
		}
		v, err := f(c.args[0])
		return v, 0, c.err(err)
	}
}

func text(f func(py.Value) string) methodFn {
	return func(c *callArgs) (py.Value, source.Pos, error) {
		if err := c.between(1, 1); err != nil {
			return nil, 0, err
		}
		if err := c.in().checkDepth(c.args[0]); err != nil {
			return nil, 0, c.err(err)
		}
		s := f(c.args[0])
		return s, 0, c.err(c.in().sized(s))
	}
}

// biDict is dict(mapping_or_pairs, **entries): docs/dialect.md, "Dicts".
func biDict(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 0 { // the names are different: the parser and ** see to it
		d := py.DictOfEntries(c.kw)
		d.At = c.fr.pos(c.n)
		return d, d.At, c.err(c.in().charge(64 + 80*d.Len()))
	}
	d := &py.Dict{At: c.fr.pos(c.n)}
	if len(c.args) > 1 {
		return nil, 0, c.errorf("TypeError", "dict expected at most 1 argument, got %d", len(c.args))
	}
	if len(c.args) == 1 {
		o, err := c.toDict(c.args[0])
		if err != nil {
			if r, ok := err.(*raised); ok && r.exc.class.name == "TypeError" && r.hint == "" {
				r.hint = "dict takes a dict, a list of pairs, or name=value"
			}
			return nil, 0, err
		}
		d = o.Copy()
		d.Config, d.At = false, c.fr.pos(c.n)
	}
	for _, e := range c.kw {
		if err := d.Put(e); err != nil {
			return nil, 0, c.err(err)
		}
	}
	return d, d.At, c.err(c.in().charge(64 + 80*d.Len()))
}

// biList is list: docs/dialect.md, "Built-in functions".
func biList(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return &py.List{At: c.fr.pos(c.n)}, 0, nil
	}
	l, err := c.fr.list(c.args[0], c.n)
	return l, 0, err
}

// biTuple is tuple: docs/dialect.md, "Built-in functions".
func biTuple(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return &py.Tuple{At: c.fr.pos(c.n)}, 0, nil
	}
	if t, ok := c.args[0].(*py.Tuple); ok {
		return t, c.pos[0], nil
	}
	l, err := c.fr.list(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &py.Tuple{Items: l.Items, Pos: l.Pos, At: l.At}, 0, nil
}

func makeSet(c *callArgs, frozen bool) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	s := &py.Set{At: c.fr.pos(c.n)}
	if len(c.args) == 1 {
		if err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
			if err := c.in().charge(64); err != nil {
				return c.err(err)
			}
			return c.err(s.Add(v))
		}); err != nil {
			return nil, 0, err
		}
	}
	s.Frozen = frozen
	return s, 0, nil
}

// biSet is set: docs/dialect.md, "Built-in functions".
func biSet(c *callArgs) (py.Value, source.Pos, error) { return makeSet(c, false) }

// biFrozenset is frozenset: docs/dialect.md, "Built-in functions".
func biFrozenset(c *callArgs) (py.Value, source.Pos, error) { return makeSet(c, true) }

// biStr is str: docs/dialect.md, "Built-in functions".
func biStr(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("object=", "encoding=", "errors=")
	if err != nil {
		return nil, 0, err
	}
	if !set[0] {
		return "", 0, nil
	}
	if set[1] || set[2] {
		f, ok := py.Method(a[0], "decode")
		if !ok {
			return nil, 0, c.errorf("TypeError", "decoding to str: need a bytes-like object, %s found", py.TypeName(a[0]))
		}
		v, err := f(c.args[1:], nil)
		return v, 0, c.err(err)
	}
	if err := c.in().checkDepth(a[0]); err != nil {
		return nil, 0, c.err(err)
	}
	s := py.Str(a[0])
	return s, 0, c.err(c.in().sized(s))
}

// biInt is int: docs/dialect.md, "Built-in functions".
func biInt(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("x=", "base=")
	if err != nil {
		return nil, 0, err
	}
	if !set[0] {
		return 0, 0, nil
	}
	if set[1] {
		s, ok := a[0].(string)
		if !ok {
			return nil, 0, c.errorf("TypeError", "int() can't convert non-string with explicit base")
		}
		base, err := py.Index(a[1])
		if err != nil {
			return nil, 0, c.err(err)
		}
		v, err := py.ParseInt(s, base)
		return v, 0, c.err(err)
	}
	v, err := py.Int(a[0])
	return v, c.argPos(0), c.err(err)
}

// biFloat is float: docs/dialect.md, "Built-in functions".
func biFloat(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 0 {
		return 0.0, 0, nil
	}
	v, err := py.Float(c.args[0])
	return v, c.pos[0], c.err(err)
}

// biBool is bool: docs/dialect.md, "Built-in functions".
func biBool(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	return len(c.args) == 1 && py.Truth(c.args[0]), 0, nil
}

// biBytes is bytes: docs/dialect.md, "Built-in functions".
func biBytes(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 0 {
		return py.Bytes(""), 0, nil
	}
	switch x := c.args[0].(type) {
	case string:
		if f, ok := py.Method(x, "encode"); ok && len(c.args) > 1 {
			v, err := f(c.args[1:], c.kwDict())
			return v, 0, c.err(err)
		}
		return nil, 0, c.errorf("TypeError", "string argument without an encoding")
	case py.Bytes:
		return x, 0, nil
	case int:
		if x < 0 || x > py.MaxResultBytes {
			return nil, 0, c.errorf("ValueError", "negative or too large count")
		}
		return py.Bytes(strings.Repeat("\x00", x)), 0, c.err(c.in().charge(x))
	}
	var b []byte
	err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
		i, err := py.Index(v)
		if err != nil {
			return c.err(err)
		}
		if i < 0 || i > 255 {
			return c.errorf("ValueError", "bytes must be in range(0, 256)")
		}
		b = append(b, byte(i))
		return nil
	})
	return py.Bytes(b), 0, err
}

// biComplex is complex: docs/dialect.md, "Built-in functions".
func biComplex(c *callArgs) (py.Value, source.Pos, error) {
	var parts [2]float64
	if err := c.between(0, 2); err != nil {
		return nil, 0, err
	}
	for i, a := range c.args {
		f, err := py.Float(a)
		if err != nil {
			return nil, 0, c.err(err)
		}
		parts[i] = f.(float64)
	}
	return complexValue(complex(parts[0], parts[1])), 0, nil
}

// biRange is range: docs/dialect.md, "Built-in functions".
func biRange(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.noKw(); err != nil {
		return nil, 0, err
	}
	r, err := py.NewRange(c.args...)
	if err != nil {
		return nil, 0, c.err(err)
	}
	return r, 0, nil
}

// biZip is zip: docs/dialect.md, "Built-in functions".
func biZip(c *callArgs) (py.Value, source.Pos, error) {
	strict := false
	for _, e := range c.kw {
		if e.Key != "strict" {
			return nil, 0, c.errorf("TypeError", "zip() got an unexpected keyword argument '%v'", e.Key)
		}
		strict = py.Truth(e.Val)
	}
	its := make([]*iterator, len(c.args))
	for i, a := range c.args {
		var err error
		if its[i], err = c.fr.iterate(a, c.n); err != nil {
			return nil, 0, err
		}
	}
	at := c.fr.pos(c.n)
	return &iterator{typ: "zip", next: func() (py.Value, source.Pos, bool, error) {
		t := &py.Tuple{At: at, Items: make([]py.Value, len(its)), Pos: make([]source.Pos, len(its))}
		for i, it := range its {
			v, pos, ok, err := it.step()
			if err != nil {
				return nil, 0, false, err
			}
			if !ok {
				if strict && i > 0 {
					return nil, 0, false, c.errorf("ValueError", "zip() argument %d is shorter than argument%s", i+1, upTo(i))
				}
				if strict {
					for j, o := range its[1:] {
						if _, _, more, _ := o.step(); more {
							return nil, 0, false, c.errorf("ValueError", "zip() argument %d is longer than argument%s", j+2, upTo(j+1))
						}
					}
				}
				return nil, 0, false, nil
			}
			t.Items[i], t.Pos[i] = v, pos
		}
		return t, 0, len(its) > 0, nil
	}}, 0, nil
}

func upTo(n int) string {
	if n == 1 {
		return " 1"
	}
	return fmt.Sprintf("s 1-%d", n)
}

// biEnumerate is enumerate: docs/dialect.md, "Built-in functions".
func biEnumerate(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("iterable", "start=")
	if err != nil {
		return nil, 0, err
	}
	i := 0
	if set[1] {
		if i, err = py.Index(a[1]); err != nil {
			return nil, 0, c.err(err)
		}
	}
	it, err := c.fr.iterate(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	at := c.fr.pos(c.n)
	return &iterator{typ: "enumerate", next: func() (py.Value, source.Pos, bool, error) {
		v, pos, ok, err := it.step()
		i++
		return &py.Tuple{At: at, Items: []py.Value{i - 1, v}, Pos: []source.Pos{0, pos}}, 0, ok, err
	}}, 0, nil
}

// biMap is map: docs/dialect.md, "Built-in functions".
func biMap(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, -1); err != nil {
		return nil, 0, err
	}
	f := c.args[0]
	its := make([]*iterator, len(c.args)-1)
	for i, a := range c.args[1:] {
		var err error
		if its[i], err = c.fr.iterate(a, c.n); err != nil {
			return nil, 0, err
		}
	}
	return &iterator{typ: "map", next: func() (py.Value, source.Pos, bool, error) {
		sub := callArgs{fr: c.fr, n: c.n}
		for _, it := range its {
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			sub.args, sub.pos = append(sub.args, v), append(sub.pos, pos)
		}
		v, pos, err := c.fr.apply(f, &sub)
		return v, pos, err == nil, err
	}}, 0, nil
}

// biFilter is filter: docs/dialect.md, "Built-in functions".
func biFilter(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[1], c.n)
	if err != nil {
		return nil, 0, err
	}
	return &iterator{typ: "filter", next: func() (py.Value, source.Pos, bool, error) {
		for {
			v, pos, ok, err := it.step()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			keep := v
			if c.args[0] != nil {
				if keep, err = c.callBack(c.args[0], v); err != nil {
					return nil, 0, false, err
				}
			}
			if py.Truth(keep) {
				return v, pos, true, nil
			}
			if err := c.in().tick(); err != nil {
				return nil, 0, false, c.err(err)
			}
		}
	}}, 0, nil
}

// biReversed is reversed: docs/dialect.md, "Built-in functions".
func biReversed(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	switch v := c.args[0].(type) {
	case *py.Set, *iterator, int, float64, bool, nil:
		return nil, 0, c.errorf("TypeError", "'%s' object is not reversible", py.TypeName(v))
	}
	l, err := c.fr.list(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	i := len(l.Items)
	typ := "reversed"
	switch c.args[0].(type) {
	case *py.List:
		typ = "list_reverseiterator"
	case *py.Range:
		typ = "range_iterator"
	case *py.Dict:
		typ = "dict_reversekeyiterator"
	}
	return &iterator{typ: typ, next: func() (py.Value, source.Pos, bool, error) {
		i--
		if i < 0 {
			return nil, 0, false, nil
		}
		return l.Items[i], l.PosOf(i), true, nil
	}}, 0, nil
}

// biSlice is slice: docs/dialect.md, "Built-in functions".
func biSlice(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 3); err != nil {
		return nil, 0, err
	}
	s := &sliceObj{}
	switch len(c.args) {
	case 1:
		s.hi = c.args[0]
	case 3:
		s.step = c.args[2]
		fallthrough
	case 2:
		s.lo, s.hi = c.args[0], c.args[1]
	}
	return s, 0, nil
}

// biLen is len: docs/dialect.md, "Built-in functions".
func biLen(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	n, err := py.Len(c.args[0])
	return n, 0, c.err(err)
}

// biSum is sum: docs/dialect.md, "Built-in functions".
func biSum(c *callArgs) (py.Value, source.Pos, error) {
	a, set, err := c.bind("iterable", "start=")
	if err != nil {
		return nil, 0, err
	}
	if !set[1] {
		a[1] = 0
	}
	if start, ok := a[1].(*py.List); ok { // the usual way to join lists of datasets
		out := &py.List{At: c.fr.pos(c.n), Items: append([]py.Value{}, start.Items...), Pos: positions(start.Pos, len(start.Items), start.At)}
		err := c.fr.each(a[0], c.n, func(v py.Value, _ source.Pos) error {
			l, ok := v.(*py.List)
			if !ok {
				return c.errorf("TypeError", "can only concatenate list (not \"%s\") to list", py.TypeName(v))
			}
			return c.fr.extend(out, l, c.n)
		})
		return out, 0, err
	}
	l, err := c.fr.list(a[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	if _, ok := a[1].(*py.Tuple); ok { // each step copies all: count it
		acc := a[1]
		for _, v := range l.Items {
			if acc, err = c.fr.binary("+", acc, v, c.n); err != nil {
				return nil, 0, err
			}
		}
		return acc, 0, nil
	}
	v, err := py.Sum(l.Items, a[1])
	return v, 0, c.err(err)
}

func minmax(c *callArgs, wantMax bool) (py.Value, source.Pos, error) {
	var key, def py.Value
	hasDef := false
	for _, e := range c.kw {
		switch e.Key {
		case "key":
			key = e.Val
		case "default":
			def, hasDef = e.Val, true
		default:
			return nil, 0, c.errorf("TypeError", "%s() got an unexpected keyword argument '%v'", c.name, e.Key)
		}
	}
	if len(c.args) == 0 {
		return nil, 0, c.errorf("TypeError", "%s expected at least 1 argument, got 0", c.name)
	}
	l := &py.List{Items: c.args, Pos: c.pos}
	if len(c.args) == 1 {
		var err error
		if l, err = c.fr.list(c.args[0], c.n); err != nil {
			return nil, 0, err
		}
		if len(l.Items) == 0 {
			if hasDef {
				return def, 0, nil
			}
			return nil, 0, c.errorf("ValueError", "%s() arg is an empty sequence", c.name)
		}
	}
	keys := l.Items
	if key != nil {
		keys = make([]py.Value, len(l.Items))
		for i, v := range l.Items {
			k, err := c.callBack(key, v)
			if err != nil {
				return nil, 0, err
			}
			keys[i] = k
		}
	}
	best, op := 0, "<"
	if wantMax {
		op = ">"
	}
	for i := 1; i < len(keys); i++ {
		better, err := c.fr.compare(op, keys[i], keys[best], c.n)
		if err != nil {
			return nil, 0, err
		}
		if better {
			best = i
		}
	}
	return l.Items[best], l.PosOf(best), nil
}

// biMax is max: docs/dialect.md, "Built-in functions".
func biMax(c *callArgs) (py.Value, source.Pos, error) { return minmax(c, true) }

// biMin is min: docs/dialect.md, "Built-in functions".
func biMin(c *callArgs) (py.Value, source.Pos, error) { return minmax(c, false) }

// biSorted is sorted: docs/dialect.md, "Built-in functions".
func biSorted(c *callArgs) (py.Value, source.Pos, error) {
	key, reverse, err := c.sortArgs(1)
	if err != nil {
		return nil, 0, err
	}
	if len(c.args) != 1 {
		return nil, 0, c.errorf("TypeError", "sorted expected 1 argument, got %d", len(c.args))
	}
	l, err := c.fr.list(c.args[0], c.n)
	if err != nil {
		return nil, 0, err
	}
	s, err := c.sorted(l, key, reverse)
	return s, 0, err
}

// biAny is any: docs/dialect.md, "Built-in functions".
func biAny(c *callArgs) (py.Value, source.Pos, error) { return anyAll(c, true) }

// biAll is all: docs/dialect.md, "Built-in functions".
func biAll(c *callArgs) (py.Value, source.Pos, error) { return anyAll(c, false) }

func anyAll(c *callArgs, stopAt bool) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	err := c.fr.each(c.args[0], c.n, func(v py.Value, _ source.Pos) error {
		if py.Truth(v) == stopAt {
			return errStop
		}
		return nil
	})
	if err == errStop {
		return stopAt, 0, nil
	}
	return !stopAt, 0, err
}

// biRound is round: docs/dialect.md, "Built-in functions".
func biRound(c *callArgs) (py.Value, source.Pos, error) {
	a, _, err := c.bind("number", "ndigits=")
	if err != nil {
		return nil, 0, err
	}
	v, err := py.Round(a[0], a[1])
	return v, 0, c.err(err)
}

// biDivmod is divmod: docs/dialect.md, "Built-in functions".
func biDivmod(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	v, err := py.Divmod(c.args[0], c.args[1])
	return v, 0, c.err(err)
}

// biPow is pow: docs/dialect.md, "Built-in functions".
func biPow(c *callArgs) (py.Value, source.Pos, error) {
	a, _, err := c.bind("base", "exp", "mod=")
	if err != nil {
		return nil, 0, err
	}
	if a[2] == nil {
		v, err := c.fr.binary("**", a[0], a[1], c.n)
		return v, 0, err
	}
	v, err := py.Pow3(a[0], a[1], a[2])
	return v, 0, c.err(err)
}

// biFormat is format: docs/dialect.md, "Built-in functions".
func biFormat(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 2); err != nil {
		return nil, 0, err
	}
	spec := ""
	if len(c.args) > 1 {
		s, ok := c.args[1].(string)
		if !ok {
			return nil, 0, c.errorf("TypeError", "format() argument 2 must be str, not %s", py.TypeName(c.args[1]))
		}
		spec = s
	}
	if err := c.in().checkDepth(c.args[0]); err != nil {
		return nil, 0, c.err(err)
	}
	s, err := py.Format(c.args[0], spec)
	return s, 0, c.err(err)
}

// biPrint writes to the notes of the run, as a config has no standard output:
// docs/dialect.md, "Files".
func biPrint(c *callArgs) (py.Value, source.Pos, error) {
	sep, end := " ", "\n"
	for _, e := range c.kw {
		switch e.Key {
		case "sep", "end":
			s, ok := e.Val.(string)
			if e.Val != nil && !ok {
				return nil, 0, c.errorf("TypeError", "%v must be None or a string, not %s", e.Key, py.TypeName(e.Val))
			}
			if ok && e.Key == "sep" {
				sep = s
			} else if ok {
				end = s
			}
		case "file", "flush":
		default:
			return nil, 0, c.errorf("TypeError", "'%v' is an invalid keyword argument for print()", e.Key)
		}
	}
	var b strings.Builder
	for i, a := range c.args {
		if i > 0 {
			b.WriteString(sep)
		}
		if err := c.in().checkDepth(a); err != nil {
			return nil, 0, c.err(err)
		}
		b.WriteString(py.Str(a))
	}
	b.WriteString(end)
	c.in().note(b.String())
	return nil, 0, c.err(c.in().charge(b.Len()))
}

// biCallable is callable: docs/dialect.md, "Built-in functions".
func biCallable(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	switch c.args[0].(type) {
	case *function, *builtin, *method, *excClass, *Lazy, *partial:
		return true, 0, nil
	}
	return false, 0, nil
}

// biID is id: docs/dialect.md, "Built-in functions".
func biID(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	s := fmt.Sprintf("%p", c.args[0])
	v, err := py.ParseInt(strings.TrimPrefix(s, "0x"), 16)
	if err != nil {
		v = 0
	}
	return v, 0, nil
}

// biHash is hash: docs/dialect.md, "Built-in functions".
func biHash(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	if _, ok := py.HashKey(c.args[0]); !ok {
		return nil, 0, c.errorf("TypeError", "unhashable type: '%s'", py.TypeName(c.args[0]))
	}
	switch x := c.args[0].(type) {
	case int:
		return x % (1<<61 - 1), 0, nil
	case bool:
		if x {
			return 1, 0, nil
		}
		return 0, 0, nil
	}
	return nil, 0, fatalf("`hash` of a %s is not part of the config dialect", py.TypeName(c.args[0])).WithHint("its value differs from one run of Python to the next")
}

// biGetattr is getattr: docs/dialect.md, "Built-in functions".
func biGetattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 3); err != nil {
		return nil, 0, err
	}
	name, ok := c.args[1].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "attribute name must be string, not '%s'", py.TypeName(c.args[1]))
	}
	v, pos, err := c.fr.getattr(c.args[0], name, c.n)
	if r, ok := err.(*raised); ok && len(c.args) == 3 && r.exc.class.name == "AttributeError" {
		return c.args[2], c.pos[2], nil
	}
	return v, pos, err
}

// biHasattr is hasattr: docs/dialect.md, "Built-in functions".
func biHasattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	name, ok := c.args[1].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "attribute name must be string, not '%s'", py.TypeName(c.args[1]))
	}
	_, _, err := c.fr.getattr(c.args[0], name, c.n)
	if r, ok := err.(*raised); ok && r.exc.class.name == "AttributeError" {
		return false, 0, nil
	}
	return err == nil, 0, err
}

// biSetattr is setattr: docs/dialect.md, "Built-in functions".
func biSetattr(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(3, 3); err != nil {
		return nil, 0, err
	}
	if d, ok := c.args[0].(*py.Dict); ok && d.Config {
		return nil, 0, c.fr.setItem(d, c.args[1], c.args[2], c.pos[1], c.pos[2], c.n)
	}
	return nil, 0, c.errorf("AttributeError", "'%s' object has no attribute '%s'", py.TypeName(c.args[0]), py.Str(c.args[1]))
}

// biIter is iter: docs/dialect.md, "Built-in functions".
func biIter(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[0], c.n)
	return it, 0, err
}

// biNext is next: docs/dialect.md, "Built-in functions".
func biNext(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 2); err != nil {
		return nil, 0, err
	}
	it, ok := c.args[0].(*iterator)
	if !ok {
		return nil, 0, c.errorf("TypeError", "'%s' object is not an iterator", py.TypeName(c.args[0]))
	}
	v, pos, ok, err := it.step()
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		if len(c.args) == 2 {
			return c.args[1], c.pos[1], nil
		}
		e := c.fr.raise(c.n, "StopIteration", "")
		e.hint = "nothing was found: give next a second argument, the value to take then"
		return nil, 0, e
	}
	return v, pos, nil
}

// biLocals is the module's live variables, or a copy of a function's:
// docs/dialect.md, "Lazy mode".
func biLocals(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(0, 1); err != nil {
		return nil, 0, err
	}
	if len(c.args) == 1 {
		return nil, 0, c.errorf("TypeError", "vars() argument must have __dict__ attribute")
	}
	if c.fr.locals != nil {
		return c.fr.locals, 0, nil
	}
	if c.fr.env == nil {
		return c.fr.m.globals, 0, nil
	}
	d := &py.Dict{At: c.fr.pos(c.n)}
	for i, b := range c.fr.env.vals {
		if b.set {
			_ = d.Put(py.Entry{Key: c.fr.env.names[i], Val: b.v, Pos: b.pos}) // keys are strings
		}
	}
	return d, 0, nil
}

// biGlobals is globals: docs/dialect.md, "Built-in functions".
func biGlobals(c *callArgs) (py.Value, source.Pos, error) {
	return c.fr.m.globals, 0, c.between(0, 0)
}

// biDir is dir: docs/dialect.md, "Built-in functions".
func biDir(c *callArgs) (py.Value, source.Pos, error) {
	d := c.fr.m.globals
	if len(c.args) > 0 {
		var ok bool
		if d, ok = c.args[0].(*py.Dict); !ok {
			return nil, 0, fatalf("`dir` of a %s is not part of the config dialect", py.TypeName(c.args[0]))
		}
	}
	v, err := py.Sorted(d.Keys(), nil, false)
	return py.NewList(v...), 0, c.err(err)
}

// biEval evaluates a text in the scope of the caller; configs use it to look
// a name up: docs/dialect.md, "Built-in functions".
func biEval(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 3); err != nil {
		return nil, 0, err
	}
	src, ok := c.args[0].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "eval() arg 1 must be a string, bytes or code object")
	}
	if err := c.in().charge(len(src)); err != nil {
		return nil, 0, c.err(err)
	}
	x, err := syntax.ParseExpr(src)
	if err != nil {
		return nil, 0, c.errorf("SyntaxError", "%s in eval(%s)", err.Error(), py.Repr(shorten(src)))
	}
	c.in().textSum += len(src)
	if c.in().textSum > c.in().o.MaxText {
		return nil, 0, fatalf("config evaluates more than %d MB of text", c.in().o.MaxText>>20)
	}
	m := *c.fr.m
	m.file = c.in().set.Add("<eval>", src, c.fr.pos(c.n))
	sub := &frame{in: c.in(), m: &m}
	if len(c.args) > 1 {
		g, ok := c.args[1].(*py.Dict)
		if !ok {
			return nil, 0, c.errorf("TypeError", "globals must be a dict")
		}
		m.globals = g
	} else if c.fr.env != nil {
		sub.locals = py.NewDict()
		var chain []*env
		for e := c.fr.env; e != nil; e = e.parent {
			chain = append(chain, e)
		}
		for i := len(chain) - 1; i >= 0; i-- {
			for j, b := range chain[i].vals {
				if b.set {
					_ = sub.locals.Put(py.Entry{Key: chain[i].names[j], Val: b.v, Pos: b.pos}) // keys are strings
				}
			}
		}
	}
	return c.fr.deeper(c, func() (py.Value, source.Pos, error) {
		v, _, err := sub.eval(x)
		return v, c.argPos(0), err
	})
}

func shorten(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// biObject is object: docs/dialect.md, "Built-in functions".
func biObject(c *callArgs) (py.Value, source.Pos, error) {
	return &sentinel{name: "object", repr: "<object object>"}, 0, c.between(0, 0)
}

// sentinel is an object that is only itself.
type sentinel struct{ name, repr string }

func (s *sentinel) PyType() string { return s.name }
func (s *sentinel) PyRepr() string { return s.repr }

var (
	ellipsis       = &sentinel{"ellipsis", "Ellipsis"}
	notImplemented = &sentinel{"NotImplementedType", "NotImplemented"}
)

// typeOf is type(v).
func typeOf(v py.Value) py.Value {
	switch x := v.(type) {
	case *exception:
		return x.class
	case *builtin:
		if x.typ {
			return types["type"]
		}
	case *excClass:
		return types["type"]
	}
	name := py.TypeName(v)
	if t, ok := types[name]; ok {
		return t
	}
	t := &builtin{name: name, typ: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		return nil, 0, fatalf("making a %s is not part of the config dialect", c.name)
	}}
	types2.Lock()
	defer types2.Unlock()
	if o, ok := types2.m[name]; ok {
		return o
	}
	types2.m[name] = t
	return t
}

// biType is type: docs/dialect.md, "Built-in functions".
func biType(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 3 {
		return nil, 0, fatalf("making classes is not part of the config dialect")
	}
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	return typeOf(c.args[0]), 0, nil
}

// instance reports isinstance(v, class).
func (c *callArgs) instance(v, class py.Value) (bool, error) {
	switch t := class.(type) {
	case *py.Tuple:
		for _, o := range t.Items {
			if ok, err := c.instance(v, o); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case *excClass:
		e, ok := v.(*exception)
		return ok && e.class.is(t), nil
	case *builtin:
		if t.typ {
			switch t.name {
			case "object":
				return true, nil
			case "int":
				if _, ok := v.(bool); ok {
					return true, nil
				}
			case "dict", "Mapping", "MutableMapping":
				_, ok := v.(*py.Dict)
				return ok, nil
			case "Sequence":
				switch v.(type) {
				case *py.List, *py.Tuple, string, *py.Range, py.Bytes:
					return true, nil
				}
				return false, nil
			case "Iterable":
				_, err := c.fr.iterate(v, c.n)
				return err == nil, nil
			case "Number":
				switch v.(type) {
				case int, float64, bool, *big.Int:
					return true, nil
				}
				return false, nil
			case "Callable":
				switch v.(type) {
				case *function, *builtin, *method, *excClass:
					return true, nil
				}
				return false, nil
			case "type":
				switch x := v.(type) {
				case *builtin:
					return x.typ, nil
				case *excClass:
					return true, nil
				}
				return false, nil
			}
			return py.TypeName(v) == t.name, nil
		}
	case *Lazy:
		return false, c.fr.hinted(c.n, t.what(), "TypeError", "isinstance() arg 2 must be a type, a tuple of types, or a union")
	}
	return false, c.errorf("TypeError", "isinstance() arg 2 must be a type, a tuple of types, or a union")
}

// biIsinstance is isinstance: docs/dialect.md, "Built-in functions".
func biIsinstance(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	r, err := c.instance(c.args[0], c.args[1])
	return r, 0, err
}

// biIssubclass is issubclass: docs/dialect.md, "Built-in functions".
func biIssubclass(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 2); err != nil {
		return nil, 0, err
	}
	classes := []py.Value{c.args[1]}
	if t, ok := c.args[1].(*py.Tuple); ok {
		classes = t.Items
	}
	for _, k := range classes {
		switch a := c.args[0].(type) {
		case *excClass:
			if b, ok := k.(*excClass); ok && a.is(b) {
				return true, 0, nil
			}
		case *builtin:
			if a.typ && (k == py.Value(a) || k == py.Value(types["object"]) || a.name == "bool" && k == py.Value(types["int"])) {
				return true, 0, nil
			}
		default:
			return nil, 0, c.errorf("TypeError", "issubclass() arg 1 must be a class")
		}
	}
	return false, 0, nil
}

// typeAttr is a method looked up on a type: str.upper, dict.fromkeys.
func typeAttr(t *builtin, name string) (py.Value, bool) {
	if !t.typ {
		return nil, false
	}
	switch {
	case t.name == "dict" && name == "fromkeys":
		return &method{name: name, recv: t, fn: func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 2); err != nil {
				return nil, 0, err
			}
			var v py.Value
			if len(c.args) > 1 {
				v = c.args[1]
			}
			d := &py.Dict{At: c.fr.pos(c.n)}
			err := c.fr.each(c.args[0], c.n, func(k py.Value, pos source.Pos) error {
				return c.err(d.Put(py.Entry{Key: k, Val: v, KeyPos: pos, Pos: c.argPos(1)}))
			})
			return d, 0, err
		}}, true
	case t.name == "chain" && name == "from_iterable":
		return chainFrom, true
	case name == "__name__", name == "__qualname__":
		return nil, false
	}
	ok := false
	switch t.name {
	case "str":
		_, ok = py.Method("", name)
	case "list":
		l := py.NewList()
		_, ok = py.Method(l, name)
		ok = ok || listMethod(l, name) != nil
	case "dict":
		ok = dictMethod(py.NewDict(), name) != nil
	case "int":
		_, ok = py.Method(0, name)
	case "float":
		_, ok = py.Method(0.0, name)
	case "set":
		_, ok = py.Method(&py.Set{}, name)
	case "bytes":
		_, ok = py.Method(py.Bytes(""), name)
	}
	if !ok {
		return nil, false
	}
	return &method{name: name, recv: t, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		if t.name == "str" && name == "maketrans" || t.name == "float" && name == "fromhex" || t.name == "bytes" && name == "fromhex" {
			recv := map[string]py.Value{"str": "", "float": 0.0, "bytes": py.Bytes("")}[t.name]
			f, _ := py.Method(recv, name)
			v, err := f(c.args, c.kwDict())
			return v, 0, c.err(err)
		}
		if len(c.args) == 0 {
			return nil, 0, c.errorf("TypeError", "unbound method %s.%s() needs an argument", t.name, name)
		}
		if is, err := c.instance(c.args[0], t); err != nil || !is {
			return nil, 0, c.errorf("TypeError", "descriptor '%s' for '%s' objects doesn't apply to a '%s' object", name, t.name, py.TypeName(c.args[0]))
		}
		m, _, err := c.fr.getattr(c.args[0], name, c.n)
		if err != nil {
			return nil, 0, err
		}
		sub := *c
		sub.args, sub.pos = c.args[1:], c.pos[1:]
		return c.fr.apply(m, &sub)
	}}, true
}

// complexNum is a complex number: enough to show what (-8) ** (1/3) gives.
type complexNum complex128

func complexValue(c complex128) py.Value { return complexNum(c) }

func (c complexNum) PyType() string { return "complex" }

func (c complexNum) PyRepr() string {
	part := func(f float64) string { return strings.TrimSuffix(py.FormatFloat(f), ".0") }
	re, im := real(complex128(c)), imag(complex128(c))
	if re == 0 && !math.Signbit(re) {
		return part(im) + "j"
	}
	sign := "+"
	if math.Signbit(im) {
		sign = ""
	}
	return "(" + part(re) + sign + part(im) + "j)"
}

// PyAttr gives real and imag.
func (c complexNum) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "real":
		return real(complex128(c)), true
	case "imag":
		return imag(complex128(c)), true
	}
	return nil, false
}

// PyBinary is the arithmetic of complex numbers.
func (c complexNum) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	var o complex128
	switch x := other.(type) {
	case complexNum:
		o = complex128(x)
	case int, float64, bool, *big.Int:
		f, err := py.Float(x)
		if err != nil {
			return nil, true, err
		}
		o = complex(f.(float64), 0)
	default:
		return nil, false, nil
	}
	a, b := complex128(c), o
	if reflected {
		a, b = b, a
	}
	switch op {
	case "+":
		return complexNum(a + b), true, nil
	case "-":
		return complexNum(a - b), true, nil
	case "*":
		return complexNum(a * b), true, nil
	case "/":
		if b == 0 {
			return nil, true, py.Errorf("ZeroDivisionError", "complex division by zero")
		}
		return complexNum(a / b), true, nil
	}
	return nil, false, nil
}
