package pyconf

import (
	"sextant/internal/py"
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
