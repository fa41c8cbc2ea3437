package pyconf

import (
	"fmt"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// function is a function or lambda that the config defines.
type function struct {
	fn       *syntax.Func
	m        *module
	env      *env
	defaults []binding // by parameter
	qual     string    // __qualname__
}

func (f *function) PyType() string { return "function" }
func (f *function) PyRepr() string { return "<function " + f.qual + ">" }

// PyAttr gives __name__ and __doc__.
func (f *function) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "__name__", "__qualname__":
		return f.fn.Name, true
	case "__doc__":
		if f.fn.Doc == "" {
			return nil, true
		}
		return f.fn.Doc, true
	}
	return nil, false
}

// builtin is a function, or a type, that the dialect provides.
type builtin struct {
	name string
	typ  bool   // a type: isinstance accepts it
	def  bool   // CPython's is written in Python, so its type is "function"
	mod  string // "math." of a function of a module in C, as some messages have it
	fn   func(c *callArgs) (py.Value, source.Pos, error)
}

func (b *builtin) PyType() string {
	if b.typ {
		return "type"
	}
	if b.def {
		return "function"
	}
	return "builtin_function_or_method"
}

func (b *builtin) PyRepr() string {
	if b.typ {
		return "<class '" + b.name + "'>"
	}
	return "<built-in function " + b.name + ">"
}

// PyAttr gives __name__.
func (b *builtin) PyAttr(name string) (py.Value, bool) {
	if name == "__name__" || name == "__qualname__" {
		return b.name, true
	}
	return nil, false
}

// method is a method bound to its object.
type method struct {
	name string
	recv py.Value
	fn   func(c *callArgs) (py.Value, source.Pos, error)
}

func (m *method) PyType() string { return "builtin_function_or_method" }
func (m *method) PyRepr() string {
	return "<built-in method " + m.name + " of " + py.TypeName(m.recv) + " object>"
}

// callArgs are the evaluated arguments of a call.
type callArgs struct {
	fr   *frame
	n    syntax.Node // the call, for messages
	name string      // of what is called
	qual string      // "list." for a method of list, for messages
	args []py.Value
	pos  []source.Pos
	kw   []py.Entry // keys are strings
}

func (c *callArgs) in() *interp { return c.fr.in }

func (c *callArgs) errorf(class, format string, args ...any) error {
	return c.fr.raise(c.n, class, format, args...)
}

func (c *callArgs) err(err error) error { return c.fr.at(c.n, err) }

// argPos is where argument i was written.
func (c *callArgs) argPos(i int) source.Pos {
	if i < len(c.pos) {
		return c.pos[i]
	}
	return 0
}

// noKw complains about named arguments.
func (c *callArgs) noKw() error {
	if len(c.kw) > 0 {
		return c.errorf("TypeError", "%s%s() takes no keyword arguments", c.qual, c.name)
	}
	return nil
}

// exactly wants min to max positional arguments and no named ones; max < 0
// is no limit.
func (c *callArgs) between(min, max int) error {
	if err := c.noKw(); err != nil {
		return err
	}
	n := len(c.args)
	switch {
	case min == max && n != min:
		if min == 0 {
			return c.errorf("TypeError", "%s%s() takes no arguments (%d given)", c.qual, c.name, n)
		}
		if min == 1 {
			return c.errorf("TypeError", "%s%s() takes exactly one argument (%d given)", c.qual, c.name, n)
		}
		return c.errorf("TypeError", "%s expected %d arguments, got %d", c.name, min, n)
	case n < min:
		return c.errorf("TypeError", "%s expected at least %d argument%s, got %d", c.name, min, plural(min), n)
	case max >= 0 && n > max:
		return c.errorf("TypeError", "%s expected at most %d argument%s, got %d", c.name, max, plural(max), n)
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// bind sorts the arguments into params; a trailing "=" marks one that may be
// left out, "*" before a name one that can only be given by name.
func (c *callArgs) bind(params ...string) ([]py.Value, []bool, error) {
	vals, set := make([]py.Value, len(params)), make([]bool, len(params))
	npos := 0
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = strings.Trim(p, "*=")
		if !strings.HasPrefix(p, "*") {
			npos++
		}
	}
	if len(c.args) > npos {
		return nil, nil, c.errorf("TypeError", "%s() takes at most %d argument%s (%d given)", c.name, npos, plural(npos), len(c.args))
	}
	for i, a := range c.args {
		vals[i], set[i] = a, true
	}
kws:
	for _, e := range c.kw {
		for i, n := range names {
			if n == e.Key {
				if set[i] {
					return nil, nil, c.errorf("TypeError", "argument for %s() given by name ('%s') and position (%d)", c.name, n, i+1)
				}
				vals[i], set[i] = e.Val, true
				continue kws
			}
		}
		err := c.fr.raise(c.n, "TypeError", "'%s' is an invalid keyword argument for %s()", e.Key, c.name)
		if near := registry.Nearest(e.Key.(string), names); near != "" {
			err.hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, nil, err
	}
	for i, p := range params {
		if !set[i] && !strings.HasSuffix(p, "=") {
			return nil, nil, c.errorf("TypeError", "%s() missing required argument '%s' (pos %d)", c.name, names[i], i+1)
		}
	}
	return vals, set, nil
}

// kwDict is the named arguments as a dict, nil when there are none.
func (c *callArgs) kwDict() *py.Dict {
	if len(c.kw) == 0 {
		return nil
	}
	d := py.NewDict()
	for _, e := range c.kw {
		_ = d.Put(e) // keys are strings
	}
	return d
}

// call evaluates a call.
func (fr *frame) call(x *syntax.Call) (py.Value, source.Pos, error) {
	var f py.Value
	var err error
	if a, ok := x.Fn.(*syntax.Attr); ok { // x.append(v) is half of all calls
		var o py.Value
		if o, _, err = fr.eval(a.X); err == nil {
			l, ok := o.(*py.List)
			if ok && a.Name == "append" && x.Simple && len(x.Args) == 1 && len(x.Kw) == 0 {
				v, pos, err := fr.eval(x.Args[0])
				if err != nil {
					return nil, 0, err
				}
				l.Append(v, pos)
				return nil, fr.pos(x), fr.at(x, fr.in.charge(24))
			}
			f, _, err = fr.attr(o, a)
		}
	} else {
		f, _, err = fr.eval(x.Fn)
	}
	if err != nil {
		return nil, 0, err
	}
	if b, ok := f.(*builtin); ok && b.typ && b.name == "dict" && x.Simple && len(x.Args) == 0 {
		es := make([]py.Entry, len(x.Kw))
		for i := range x.Kw { // the parser sees to it that names differ
			k := &x.Kw[i]
			v, pos, err := fr.eval(k.X)
			if err != nil {
				return nil, 0, err
			}
			es[i] = py.Entry{Key: k.Key, Val: v, KeyPos: fr.off(k.At), Pos: pos}
		}
		d := py.DictOfEntries(es)
		d.At = fr.pos(x)
		return d, d.At, fr.at(x, fr.in.charge(64+80*len(es)))
	}
	c := callArgs{fr: fr, n: x}
	if len(x.Args) > 0 {
		c.args = make([]py.Value, 0, len(x.Args))
		c.pos = make([]source.Pos, 0, len(x.Args))
	}
	if len(x.Kw) > 0 {
		c.kw = make([]py.Entry, 0, len(x.Kw))
	}
	if x.Simple {
		for _, a := range x.Args {
			v, pos, err := fr.eval(a)
			if err != nil {
				return nil, 0, err
			}
			c.args, c.pos = append(c.args, v), append(c.pos, pos)
		}
		for i := range x.Kw {
			k := &x.Kw[i]
			v, pos, err := fr.eval(k.X)
			if err != nil {
				return nil, 0, err
			}
			c.kw = append(c.kw, py.Entry{Key: k.Key, Val: v, KeyPos: fr.off(k.At), Pos: pos})
		}
	} else {
		if c.args, c.pos, err = fr.elements(x.Args, true); err != nil {
			if r, ok := err.(*raised); ok {
				for _, a := range x.Args {
					if s, ok := a.(*syntax.Starred); ok && r.pos == fr.pos(s) && strings.HasSuffix(r.exc.msg, "object is not iterable") {
						r.exc = newRaised("TypeError", calleeName(f)+"() argument after * must be an iterable, not "+strings.Split(r.exc.msg, "'")[1]).exc
					}
				}
			}
			return nil, 0, err
		}
		if err := fr.namedArgs(x, f, &c); err != nil {
			return nil, 0, err
		}
	}
	v, pos, err := fr.apply(f, &c)
	if pos == 0 {
		pos = fr.pos(x)
	}
	return v, pos, fr.at(x, err)
}

// namedArgs evaluates named arguments with ** among them.
func (fr *frame) namedArgs(x *syntax.Call, f py.Value, c *callArgs) error {
	seen := map[any]bool{}
	var odd syntax.Node
	add := func(e py.Entry, n syntax.Node) error {
		key, _ := py.HashKey(e.Key) // of a dict or a text
		if _, ok := e.Key.(string); !ok && odd == nil {
			odd = n
		}
		if seen[key] {
			return fr.raise(n, "TypeError", "%s() got multiple values for keyword argument '%s'", calleeName(f), py.Str(e.Key))
		}
		seen[key] = true
		c.kw = append(c.kw, e)
		return nil
	}
	for i := range x.Kw {
		k := &x.Kw[i]
		v, pos, err := fr.eval(k.X)
		if err != nil {
			return err
		}
		if k.Name != "" {
			if err := add(py.Entry{Key: k.Key, Val: v, KeyPos: fr.off(k.At), Pos: pos}, k.X); err != nil {
				return err
			}
			continue
		}
		d, ok := v.(*py.Dict)
		if !ok {
			return fr.raise(k.X, "TypeError", "%s() argument after ** must be a mapping, not %s", calleeName(f), py.TypeName(v))
		}
		for _, e := range d.Entries() {
			if err := add(e, k.X); err != nil {
				return err
			}
		}
	}
	if odd != nil {
		return fr.raise(odd, "TypeError", "keywords must be strings")
	}
	return nil
}

func calleeName(f py.Value) string {
	switch f := f.(type) {
	case *function:
		return f.qual
	case *builtin:
		return f.mod + f.name
	case *method:
		switch f.recv.(type) {
		case *py.List, *py.Dict, string, *py.Tuple, *py.Set, py.Bytes:
			return py.TypeName(f.recv) + "." + f.name
		}
		return f.name
	case *excClass:
		return f.name
	}
	return py.TypeName(f)
}

// apply calls f.
func (fr *frame) apply(f py.Value, c *callArgs) (py.Value, source.Pos, error) {
	switch f := f.(type) {
	case *builtin:
		c.name, c.qual = f.name, f.mod
		return f.fn(c)
	case *method:
		c.name = f.name
		switch f.recv.(type) {
		case *py.List, *py.Dict:
			c.qual = py.TypeName(f.recv) + "."
		}
		return f.fn(c)
	case *function:
		return fr.invoke(f, c)
	case *excClass:
		if err := c.noKw(); err != nil {
			return nil, 0, err
		}
		return &exception{class: f, args: c.args}, 0, nil
	case *Lazy:
		return nil, 0, fr.callLazy(f, c.n)
	case *partial:
		args := *c
		args.args = append(append([]py.Value{}, f.args...), c.args...)
		args.pos = append(make([]source.Pos, len(f.args)), c.pos...)
		args.kw = append([]py.Entry{}, f.kw...)
		for _, e := range c.kw {
			found := false
			for i := range args.kw {
				if args.kw[i].Key == e.Key {
					args.kw[i], found = e, true
				}
			}
			if !found {
				args.kw = append(args.kw, e)
			}
		}
		if err := fr.in.tick(); err != nil {
			return nil, 0, err
		}
		return fr.deeper(c, func() (py.Value, source.Pos, error) { return fr.apply(f.fn, &args) })
	case *unavailable:
		return nil, 0, fr.at(c.n, f.err())
	case *Module:
		e := fr.raise(c.n, "TypeError", "'module' object is not callable")
		if len(f.attrs) > 0 {
			e.hint = "call one of its functions: " + f.name + ".name(…)"
		}
		return nil, 0, e
	}
	e := fr.raise(c.n, "TypeError", "'%s' object is not callable", py.TypeName(f))
	if x, ok := c.n.(*syntax.Call); ok {
		switch fn := x.Fn.(type) {
		case *syntax.Name:
			if _, ok := builtins[fn.ID]; ok {
				e.hint = "the config has assigned a variable `" + fn.ID + "`, which hides the function of that name"
			}
		case *syntax.Const, *syntax.List, *syntax.Tuple, *syntax.Dict, *syntax.Call:
			e.hint = "is a comma missing between two items?"
		}
	}
	return nil, 0, e
}

// deeper runs f one call deeper.
func (fr *frame) deeper(c *callArgs, f func() (py.Value, source.Pos, error)) (py.Value, source.Pos, error) {
	fr.in.depth++
	defer func() { fr.in.depth-- }()
	if fr.in.depth > fr.in.o.MaxDepth {
		return nil, 0, fr.raise(c.n, "RecursionError", "maximum recursion depth exceeded")
	}
	return f()
}

// invoke calls a function of the config.
func (fr *frame) invoke(f *function, c *callArgs) (py.Value, source.Pos, error) {
	return fr.deeper(c, func() (py.Value, source.Pos, error) {
		e := &env{vals: make([]binding, len(f.fn.Names)), names: f.fn.Names, parent: f.env}
		if err := fr.bindParams(f, c, e); err != nil {
			return nil, 0, err
		}
		sub := &frame{in: fr.in, m: f.m, env: e, fn: f}
		var err error
		if f.fn.Expr != nil {
			sub.ret, sub.retPos, err = sub.eval(f.fn.Expr)
		} else {
			_, err = sub.block(f.fn.Body)
		}
		if err != nil {
			if r, ok := err.(*raised); ok {
				r.calls = append(r.calls, callSite{f.fn.Name, fr.pos(c.n)})
			}
			return nil, 0, err
		}
		return sub.ret, sub.retPos, nil
	})
}

// closure makes a function of a def or lambda; defaults are evaluated now.
func (fr *frame) closure(fn *syntax.Func, n syntax.Node) (*function, error) {
	f := &function{fn: fn, m: fr.m, env: fr.env, qual: fn.Name}
	if fr.fn != nil {
		f.qual = fr.fn.qual + ".<locals>." + fn.Name
	}
	for i := range fn.Params {
		d := fn.Params[i].Default
		if d == nil {
			continue
		}
		v, pos, err := fr.eval(d)
		if err != nil {
			return nil, err
		}
		if f.defaults == nil {
			f.defaults = make([]binding, len(fn.Params))
		}
		f.defaults[i] = binding{v, pos, true}
	}
	return f, nil
}

func (fr *frame) bindParams(f *function, c *callArgs, e *env) error {
	fn := f.fn
	ps := fn.Params
	n := min(len(c.args), fn.NumPos)
	for i := 0; i < n; i++ {
		e.vals[i] = binding{c.args[i], c.argPos(i), true}
	}
	if fn.VarArg >= 0 {
		t := &py.Tuple{At: fr.pos(c.n)}
		if len(c.args) > n {
			t.Items = append(t.Items, c.args[n:]...)
			t.Pos = append(t.Pos, c.pos[n:]...)
		}
		e.vals[fn.VarArg] = binding{t, fr.pos(c.n), true}
	}
	var rest *py.Dict
	if fn.KwArg >= 0 {
		rest = &py.Dict{At: fr.pos(c.n)}
		e.vals[fn.KwArg] = binding{rest, fr.pos(c.n), true}
	}
kws:
	for _, k := range c.kw {
		for i := range ps {
			if ps[i].Name != k.Key || ps[i].Kind != syntax.ByPosOrName && ps[i].Kind != syntax.ByName {
				continue
			}
			if e.vals[i].set {
				return fr.raise(c.n, "TypeError", "%s() got multiple values for argument '%s'", f.qual, ps[i].Name)
			}
			e.vals[i] = binding{k.Val, k.Pos, true}
			continue kws
		}
		if rest == nil {
			if err := fr.positionalOnly(f, c); err != nil {
				return err
			}
			err := fr.raise(c.n, "TypeError", "%s() got an unexpected keyword argument '%s'", f.qual, k.Key)
			if k.KeyPos != 0 {
				err.pos, err.end = k.KeyPos, 0
			}
			var names []string
			for i := range ps {
				names = append(names, ps[i].Name)
			}
			if near := registry.Nearest(k.Key.(string), names); near != "" {
				err.hint = fmt.Sprintf("did you mean %q?", near)
			}
			return err
		}
		if err := rest.Put(k); err != nil {
			return fr.at(c.n, err)
		}
	}
	if len(c.args) > fn.NumPos && fn.VarArg < 0 {
		return fr.tooMany(f, c, e)
	}
	var missing, missingKw []string
	for i := range ps {
		if e.vals[i].set {
			continue
		}
		if f.defaults != nil && f.defaults[i].set {
			e.vals[i] = f.defaults[i]
			continue
		}
		if ps[i].Kind == syntax.ByName {
			missingKw = append(missingKw, "'"+ps[i].Name+"'")
		} else {
			missing = append(missing, "'"+ps[i].Name+"'")
		}
	}
	if len(missing) > 0 {
		return fr.raise(c.n, "TypeError", "%s() missing %d required positional argument%s: %s", f.qual, len(missing), plural(len(missing)), andList(missing))
	}
	if len(missingKw) > 0 {
		return fr.raise(c.n, "TypeError", "%s() missing %d required keyword-only argument%s: %s", f.qual, len(missingKw), plural(len(missingKw)), andList(missingKw))
	}
	return nil
}

// tooMany is what f says of more positional arguments than it has parameters.
func (fr *frame) tooMany(f *function, c *callArgs, e *env) error {
	fn := f.fn
	least := 0
	for i := 0; i < fn.NumPos; i++ {
		if f.defaults == nil || !f.defaults[i].set {
			least++
		}
	}
	want := fmt.Sprintf("%d positional argument%s", fn.NumPos, plural(fn.NumPos))
	if least != fn.NumPos {
		want = fmt.Sprintf("from %d to %d positional arguments", least, fn.NumPos)
	}
	byName := 0
	for i, p := range fn.Params {
		if p.Kind == syntax.ByName && e.vals[i].set {
			byName++
		}
	}
	got := fmt.Sprint(len(c.args))
	if byName > 0 {
		got += fmt.Sprintf(" positional argument%s (and %d keyword-only argument%s)", plural(len(c.args)), byName, plural(byName))
	}
	was := "were"
	if len(c.args) == 1 && byName == 0 {
		was = "was"
	}
	return fr.raise(c.n, "TypeError", "%s() takes %s but %s %s given", f.qual, want, got, was)
}

// positionalOnly complains about named arguments for parameters before a /.
func (fr *frame) positionalOnly(f *function, c *callArgs) error {
	var names []string
	for _, p := range f.fn.Params {
		for _, k := range c.kw {
			if p.Kind == syntax.ByPos && k.Key == p.Name {
				names = append(names, p.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fr.raise(c.n, "TypeError", "%s() got some positional-only arguments passed as keyword arguments: '%s'", f.qual, strings.Join(names, ", "))
}

func andList(s []string) string {
	switch len(s) {
	case 1:
		return s[0]
	case 2:
		return s[0] + " and " + s[1]
	}
	return strings.Join(s[:len(s)-1], ", ") + ", and " + s[len(s)-1]
}

// attr is v.name.
func (fr *frame) attr(v py.Value, x *syntax.Attr) (py.Value, source.Pos, error) {
	r, pos, err := fr.getattr(v, x.Name, x)
	if err != nil {
		return nil, 0, err
	}
	if pos == 0 {
		pos = fr.pos(x)
	}
	return r, pos, nil
}

// getattr is getattr(v, name).
func (fr *frame) getattr(v py.Value, name string, n syntax.Node) (py.Value, source.Pos, error) {
	switch o := v.(type) {
	case *Lazy:
		if name == "module" && !o.attr {
			return o.mod(), 0, nil
		}
		return o.attribute(name), 0, nil
	case *Module:
		return o.attr(fr, name, n)
	case *py.Dict:
		if m := dictMethod(o, name); m != nil {
			return m, 0, nil
		}
		if o.Config {
			if r, ok := o.Lookup(name); ok {
				return r, o.PosOf(name), nil
			}
		}
	case *py.List:
		if m := listMethod(o, name); m != nil {
			return m, 0, nil
		}
	case *fileObj:
		if m := o.method(name); m != nil {
			return m, 0, nil
		}
	case *pattern:
		if m := o.method(name); m != nil {
			return m, 0, nil
		}
	case *match:
		if m := o.method(name); m != nil {
			return m, 0, nil
		}
	case *environ:
		if m := envMethod(o, name); m != nil {
			return m, 0, nil
		}
	case *unavailable:
		return nil, 0, fr.at(n, o.err())
	case *builtin:
		if r, ok := typeAttr(o, name); ok {
			return r, 0, nil
		}
	}
	if name == "__class__" {
		return typeOf(v), 0, nil
	}
	if name == "__doc__" {
		if _, ok := v.(*function); !ok {
			return nil, 0, nil
		}
	}
	if f, ok := py.Method(v, name); ok {
		return bound(v, name, f), 0, nil
	}
	r, err := py.Attr(v, name)
	if err == nil {
		return r, 0, nil
	}
	e := fr.raise(n, "AttributeError", "'%s' object has no attribute '%s'", py.TypeName(v), name)
	if a, ok := n.(*syntax.Attr); ok {
		e.pos, e.end = fr.off(a.NameAt), fr.end(a)
	}
	e.hint = attrHint(v, name)
	return nil, 0, e
}

// bound makes a method of package py callable.
func bound(recv py.Value, name string, f py.MethodFunc) *method {
	return &method{name: name, recv: recv, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		for _, a := range c.args {
			if err := c.in().checkDepth(a); err != nil {
				return nil, 0, c.err(err)
			}
		}
		args := c.args
		for i, a := range args { // one-shot iterators are of this package
			if it, ok := a.(*iterator); ok {
				l, err := c.fr.list(it, c.n)
				if err != nil {
					return nil, 0, err
				}
				args = append([]py.Value{}, args...)
				args[i] = l
			}
		}
		set, _ := recv.(*py.Set) // which may grow
		before := 0
		if set != nil {
			before = set.Len()
		}
		v, err := f(args, c.kwDict())
		if err == nil && set != nil {
			err = c.in().charge(64 * max(0, set.Len()-before))
		}
		if err == nil {
			err = c.in().sized(v)
		}
		return v, 0, c.err(err)
	}}
}

func attrHint(v py.Value, name string) string {
	if d, ok := v.(*py.Dict); ok {
		if d.Config {
			if near := registry.Nearest(name, stringKeys(d)); near != "" {
				return fmt.Sprintf("did you mean %q?", near)
			}
		} else if d.Has(name) {
			return "write [" + py.Repr(name) + "]: only dicts of base files give their keys as attributes"
		}
	}
	if near := registry.Nearest(name, methodNames(v)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

func stringKeys(d *py.Dict) []string {
	var out []string
	for _, e := range d.Entries() {
		if s, ok := e.Key.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// commonMethods are tried for hints on misspelt attributes.
var commonMethods = []string{
	"append", "extend", "insert", "remove", "pop", "clear", "index", "count", "sort", "reverse", "copy", "items", "keys", "values", "get",
	"update", "setdefault", "popitem", "fromkeys", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "join", "format", "replace",
	"startswith", "endswith", "upper", "lower", "title", "capitalize", "find", "rfind", "rindex", "isdigit", "isalpha", "isalnum", "zfill",
	"ljust", "rjust", "center", "encode", "decode", "partition", "rpartition", "removeprefix", "removesuffix", "casefold", "swapcase",
	"add", "discard", "union", "intersection", "difference", "issubset", "issuperset",
}

func methodNames(v py.Value) []string {
	var out []string
	for _, n := range commonMethods {
		switch o := v.(type) {
		case *py.Dict:
			if dictMethod(o, n) != nil {
				out = append(out, n)
			}
			continue
		case *py.List:
			if listMethod(o, n) != nil {
				out = append(out, n)
			}
			continue
		}
		if _, ok := py.Method(v, n); ok {
			out = append(out, n)
		}
	}
	if m, ok := v.(*Module); ok {
		for k := range m.attrs {
			out = append(out, k)
		}
		sort.Strings(out)
	}
	return out
}

func (fr *frame) noSetAttr(v py.Value, n *syntax.Attr) error {
	e := fr.raise(n, "AttributeError", "'%s' object has no attribute '%s'", py.TypeName(v), n.Name)
	if _, ok := v.(*py.Dict); ok {
		e.hint = "write [" + py.Repr(n.Name) + "] = …"
	}
	return e
}

// configAttrWritable refuses d.update = x, which would hide a method.
func (fr *frame) configAttrWritable(d *py.Dict, n *syntax.Attr) error {
	if dictMethod(d, n.Name) != nil {
		return fr.raise(n, "AttributeError", "'Dict' object attribute '%s' is read-only", n.Name)
	}
	return nil
}

// missingKey is d[k] for a key that is not there.
func (fr *frame) missingKey(d *py.Dict, k py.Value, n syntax.Node) error {
	if _, ok := py.HashKey(k); !ok {
		return fr.raise(n, "TypeError", "unhashable type: '%s'", py.TypeName(k))
	}
	e := &raised{exc: &exception{class: excClasses["KeyError"], args: []py.Value{k}}, pos: fr.pos(n), end: fr.end(n)}
	if x, ok := n.(*syntax.Index); ok {
		e.pos, e.end = fr.pos(x.I), fr.end(x.I)
	}
	if s, ok := k.(string); ok {
		if near := registry.Nearest(s, stringKeys(d)); near != "" {
			e.hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
	return e
}

// hinted is raise with a hint.
func (fr *frame) hinted(n syntax.Node, hint, class, format string, args ...any) error {
	e := fr.raise(n, class, format, args...)
	e.hint = hint
	return e
}
