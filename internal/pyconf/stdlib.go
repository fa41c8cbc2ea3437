package pyconf

import (
	"path"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// The implemented part of the standard library: docs/dialect.md, "Modules".

func init() {
	initMath()
	initOS()
	newModule("copy", map[string]py.Value{
		"copy": func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			v, err := copyValue(c.in(), c.args[0])
			return v, c.pos[0], c.err(err)
		},
		"deepcopy": func(c *callArgs) (py.Value, source.Pos, error) {
			if len(c.args) < 1 || len(c.args) > 2 {
				return nil, 0, c.errorf("TypeError", "deepcopy() missing 1 required positional argument: 'x'")
			}
			v, err := (&deepCopier{c.in(), map[any]py.Value{}}).copy(c.args[0], 0)
			return v, c.pos[0], c.err(err)
		},
	})
	newModule("functools", map[string]py.Value{"reduce": fnReduce, "partial": fnPartial})
	newModule("json", map[string]py.Value{"loads": jsonLoads, "load": jsonLoads, "dumps": jsonDumps})
	newModule("string", map[string]py.Value{
		"ascii_letters": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "ascii_lowercase": "abcdefghijklmnopqrstuvwxyz",
		"ascii_uppercase": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "digits": "0123456789", "hexdigits": "0123456789abcdefABCDEF", "octdigits": "01234567",
		"punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "whitespace": " \t\n\r\v\f",
	})
	newModule("textwrap", map[string]py.Value{"dedent": textDedent})
	newModule("collections", map[string]py.Value{"OrderedDict": &builtin{name: "OrderedDict", typ: true, fn: biDict}})
	newModule("collections.abc", abstract("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"))
	newModule("numbers", abstract("Number"))
	newModule("typing", typingNames())
	newModule("types", map[string]py.Value{})
	note := func(c *callArgs) (py.Value, source.Pos, error) {
		if len(c.args) > 0 {
			c.args = c.args[:1]
		}
		c.kw = nil
		return biPrint(c)
	}
	newModule("warnings", map[string]py.Value{"warn": note, "filterwarnings": noop, "simplefilter": noop})
	newModule("logging", map[string]py.Value{"debug": noop, "info": note, "warning": note, "error": note})
	newModule("__future__", map[string]py.Value{"annotations": nil, "print_function": nil, "division": nil, "absolute_import": nil, "unicode_literals": nil})
}

func noop(c *callArgs) (py.Value, source.Pos, error) { return nil, 0, nil }

func abstract(names ...string) map[string]py.Value {
	m := map[string]py.Value{}
	for _, n := range names {
		m[n] = &builtin{name: n, typ: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
			return nil, 0, c.errorf("TypeError", "Can't instantiate abstract class %s", c.name)
		}}
	}
	return m
}

func typingNames() map[string]py.Value {
	m := map[string]py.Value{"TYPE_CHECKING": false}
	for _, n := range strings.Fields("Any Callable Dict FrozenSet Iterable Iterator List Literal Mapping NamedTuple Optional Sequence Set Tuple Type Union NoReturn TypedDict") {
		m[n] = &unavailable{"typing", n}
	}
	return m
}

// partial is what functools.partial gives.
type partial struct {
	fn   py.Value
	args []py.Value
	kw   []py.Entry
}

func (p *partial) PyType() string { return "partial" }
func (p *partial) PyRepr() string { return py.Repr(p) }

// PyReprParts implements py.Nest.
func (p *partial) PyReprParts() (before string, items []py.Value, after, again string) {
	return "functools.partial(", []py.Value{p.fn}, ")", "..."
}

// PyAttr gives func, args and keywords.
func (p *partial) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "func":
		return p.fn, true
	case "args":
		return py.NewTuple(p.args...), true
	case "keywords":
		d := py.NewDict()
		for _, e := range p.kw {
			_ = d.Put(e) // keys are strings
		}
		return d, true
	}
	return nil, false
}

func fnPartial(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) == 0 {
		return nil, 0, c.errorf("TypeError", "type 'partial' takes at least one argument")
	}
	return &partial{fn: c.args[0], args: c.args[1:], kw: c.kw}, 0, nil
}

func fnReduce(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(2, 3); err != nil {
		return nil, 0, err
	}
	it, err := c.fr.iterate(c.args[1], c.n)
	if r, ok := err.(*raised); ok && r.exc.class.name == "TypeError" {
		return nil, 0, c.errorf("TypeError", "reduce() arg 2 must support iteration")
	}
	if err != nil {
		return nil, 0, err
	}
	var acc py.Value
	if len(c.args) == 3 {
		acc = c.args[2]
	} else {
		v, _, ok, err := it.step()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			return nil, 0, c.errorf("TypeError", "reduce() of empty iterable with no initial value")
		}
		acc = v
	}
	for {
		v, _, ok, err := it.step()
		if err != nil || !ok {
			return acc, 0, err
		}
		if acc, err = c.callBack(c.args[0], acc, v); err != nil {
			return nil, 0, err
		}
	}
}

func textDedent(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, 1); err != nil {
		return nil, 0, err
	}
	s, ok := c.args[0].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "expected string or bytes-like object, got '%s'", py.TypeName(c.args[0]))
	}
	lines := strings.Split(s, "\n")
	margin, first := "", true
	for i, l := range lines {
		t := strings.TrimLeft(l, " \t")
		if t == "" {
			lines[i] = ""
			continue
		}
		ind := l[:len(l)-len(t)]
		if first {
			margin, first = ind, false
			continue
		}
		n := 0
		for n < len(margin) && n < len(ind) && margin[n] == ind[n] {
			n++
		}
		margin = margin[:n]
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, margin)
	}
	return strings.Join(lines, "\n"), 0, nil
}

func jsonLoads(c *callArgs) (py.Value, source.Pos, error) {
	if len(c.args) != 1 {
		return nil, 0, c.errorf("TypeError", "%s() takes 1 positional argument but %d were given", c.name, len(c.args))
	}
	var text string
	switch x := c.args[0].(type) {
	case string:
		text = x
	case py.Bytes:
		text = string(x)
	case *fileObj:
		text = x.rest()
	default:
		return nil, 0, c.errorf("TypeError", "the JSON object must be str, bytes or bytearray, not %s", py.TypeName(x))
	}
	if err := c.in().charge(4 * len(text)); err != nil {
		return nil, 0, c.err(err)
	}
	v, err := py.LoadJSON([]byte(text))
	return v, c.pos[0], c.err(err)
}

func jsonDumps(c *callArgs) (py.Value, source.Pos, error) {
	o := py.JSONOptions{EnsureASCII: true}
	if len(c.args) != 1 {
		return nil, 0, c.errorf("TypeError", "dumps() takes 1 positional argument but %d were given", len(c.args))
	}
	for _, e := range c.kw {
		switch e.Key {
		case "ensure_ascii":
			o.EnsureASCII = py.Truth(e.Val)
		case "sort_keys":
			o.SortKeys = py.Truth(e.Val)
		case "indent":
			if e.Val == nil {
				continue
			}
			n, ok := e.Val.(int)
			if !ok || n < 1 || n > 64 {
				return nil, 0, fatalf("json.dumps with this indent is not part of the config dialect")
			}
			o.Indent = n
		case "separators":
			if t, ok := e.Val.(*py.Tuple); ok && len(t.Items) == 2 {
				o.ItemSep, _ = t.Items[0].(string)
				o.KeySep, _ = t.Items[1].(string)
				continue
			}
			if e.Val != nil {
				return nil, 0, c.errorf("TypeError", "separators must be a tuple of two strings")
			}
		default:
			return nil, 0, fatalf("json.dumps(%v=…) is not part of the config dialect", e.Key)
		}
	}
	if err := c.in().checkDepth(c.args[0]); err != nil {
		return nil, 0, c.err(err)
	}
	b, err := py.DumpJSON(c.args[0], o)
	if err == nil {
		err = c.in().charge(len(b))
	}
	return string(b), 0, c.err(err)
}

func initOS() {
	str := func(f func(s string) py.Value) methodFn {
		return func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			s, ok := c.args[0].(string)
			if !ok {
				return nil, 0, c.errorf("TypeError", "expected str, bytes or os.PathLike object, not %s", py.TypeName(c.args[0]))
			}
			return f(s), c.pos[0], nil
		}
	}
	withIn := func(f func(in *interp, s string) py.Value) methodFn {
		return func(c *callArgs) (py.Value, source.Pos, error) {
			return str(func(s string) py.Value { return f(c.in(), s) })(c)
		}
	}
	abs := func(in *interp, s string) py.Value {
		if !path.IsAbs(s) && !strings.HasPrefix(s, catalogPrefix) {
			s = in.o.Dir + "/" + s
		}
		return normPath(s)
	}
	p := newModule("os.path", map[string]py.Value{
		"join": pathJoin, "dirname": str(func(s string) py.Value { return dirName(s) }),
		"basename": str(func(s string) py.Value { return s[strings.LastIndexByte(s, '/')+1:] }),
		"split": str(func(s string) py.Value {
			return py.NewTuple(dirName(s), s[strings.LastIndexByte(s, '/')+1:])
		}),
		"splitext": str(func(s string) py.Value {
			base := s[strings.LastIndexByte(s, '/')+1:]
			i := strings.LastIndexByte(base, '.')
			if i <= 0 || strings.Trim(base[:i], ".") == "" {
				return py.NewTuple(s, "")
			}
			i += len(s) - len(base)
			return py.NewTuple(s[:i], s[i:])
		}),
		"normpath": str(func(s string) py.Value { return normPath(s) }), "isabs": str(func(s string) py.Value { return strings.HasPrefix(s, "/") }),
		"abspath": withIn(abs), "realpath": withIn(abs),
		"exists": withIn(func(in *interp, s string) py.Value { return in.fs.exists(s, 'e') }),
		"isfile": withIn(func(in *interp, s string) py.Value { return in.fs.exists(s, 'f') }),
		"isdir":  withIn(func(in *interp, s string) py.Value { return in.fs.exists(s, 'd') }),
		"expanduser": withIn(func(in *interp, s string) py.Value {
			if s == "~" || strings.HasPrefix(s, "~/") {
				if h, ok := in.o.Env("HOME"); ok {
					return strings.TrimRight(h, "/") + s[1:]
				}
			}
			return s
		}),
		"sep": "/", "pardir": "..", "curdir": ".", "extsep": ".",
	})
	modules["posixpath"] = p
	newModule("os", map[string]py.Value{
		"path": p, "environ": &environ{}, "sep": "/", "linesep": "\n", "name": "posix", "pardir": "..", "curdir": ".",
		"getcwd": func(c *callArgs) (py.Value, source.Pos, error) { return c.in().o.Dir, 0, c.between(0, 0) },
		"getenv": func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind("key", "default=")
			if err != nil {
				return nil, 0, err
			}
			name, ok := a[0].(string)
			if !ok {
				return nil, 0, c.errorf("TypeError", "str expected, not %s", py.TypeName(a[0]))
			}
			if v, ok := c.in().o.Env(name); ok {
				return v, 0, nil
			}
			return a[1], c.argPos(1), nil
		},
		"listdir": func(c *callArgs) (py.Value, source.Pos, error) {
			dir := "."
			if err := c.between(0, 1); err != nil {
				return nil, 0, err
			}
			if len(c.args) == 1 {
				s, ok := c.args[0].(string)
				if !ok {
					return nil, 0, c.errorf("TypeError", "listdir: path should be string, not %s", py.TypeName(c.args[0]))
				}
				dir = s
			}
			names, err := c.in().fs.list(dir)
			if err != nil {
				return nil, 0, c.err(fileError(err, dir))
			}
			l := &py.List{At: c.fr.pos(c.n)}
			for _, n := range names {
				l.Append(n, 0)
			}
			return l, 0, nil
		},
	})
}

func pathJoin(c *callArgs) (py.Value, source.Pos, error) {
	if err := c.between(1, -1); err != nil {
		return nil, 0, err
	}
	out := ""
	for i, a := range c.args {
		s, ok := a.(string)
		switch {
		case !ok && i == 0:
			return nil, 0, c.errorf("TypeError", "expected str, bytes or os.PathLike object, not %s", py.TypeName(a))
		case !ok:
			return nil, 0, c.errorf("TypeError", "join() argument must be str, bytes, or os.PathLike object, not '%s'", py.TypeName(a))
		case i == 0 || strings.HasPrefix(s, "/"):
			out = s
		case out == "" || strings.HasSuffix(out, "/"):
			out += s
		default:
			out += "/" + s
		}
		if len(out) > 1<<16 {
			return nil, 0, c.errorf("MemoryError", "result too large: a path of more than %d bytes", 1<<16)
		}
	}
	return out, c.pos[len(c.pos)-1], nil
}

// dirName is os.path.dirname.
func dirName(s string) string {
	i := strings.LastIndexByte(s, '/') + 1
	head := s[:i]
	if head != "" && strings.Trim(head, "/") != "" {
		head = strings.TrimRight(head, "/")
	}
	return head
}

// normPath is os.path.normpath.
func normPath(s string) string {
	if rest, ok := strings.CutPrefix(s, catalogPrefix); ok {
		return catalogPrefix + path.Clean(rest)
	}
	return path.Clean(s)
}

// environ is os.environ: read only, and only by name.
type environ struct{}

func (*environ) PyType() string { return "_Environ" }
func (*environ) PyRepr() string { return "environ({…})" }
