package pyconf

import (
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// eval evaluates an expression to a value and the place where the value was
// written: for a name, where its value stands, not where the name does.
func (fr *frame) eval(x syntax.Expr) (py.Value, source.Pos, error) {
	if err := fr.in.tick(); err != nil {
		return nil, 0, fr.at(x, err)
	}
	switch x := x.(type) {
	case *syntax.Const:
		if x.Dots {
			return ellipsis, fr.pos(x), nil
		}
		if x.Imag {
			return complexValue(complex(0, x.Value.(float64))), fr.pos(x), nil
		}
		return x.Value, fr.pos(x), nil
	case *syntax.Name:
		return fr.load(x)
	case *syntax.Call:
		return fr.call(x)
	case *syntax.Attr:
		v, _, err := fr.eval(x.X)
		if err != nil {
			return nil, 0, err
		}
		return fr.attr(v, x)
	case *syntax.Index:
		return fr.index(x)
	case *syntax.FString:
		s, err := fr.fstring(x.Parts, x)
		if err == nil {
			err = fr.at(x, fr.in.sized(s))
		}
		return s, fr.pos(x), err
	case *syntax.List:
		items, pos, err := fr.elements(x.Elts, x.Star, true)
		if err == nil {
			err = fr.at(x, fr.in.charge(48+24*len(items)))
		}
		return &py.List{Items: items, Pos: pos, At: fr.pos(x)}, fr.pos(x), err
	case *syntax.Tuple:
		items, pos, err := fr.elements(x.Elts, x.Star, true)
		return &py.Tuple{Items: items, Pos: pos, At: fr.pos(x)}, fr.pos(x), err
	case *syntax.Dict:
		return fr.dictDisplay(x)
	case *syntax.SetDisplay:
		items, _, err := fr.elements(x.Elts, true)
		if err != nil {
			return nil, 0, err
		}
		s := &py.Set{At: fr.pos(x)}
		for _, v := range items {
			if err := s.Add(v); err != nil {
				return nil, 0, fr.at(x, err)
			}
		}
		if len(x.Elts) > 2 && !slices.ContainsFunc(x.Elts, notConstant) { // which CPython makes of a frozenset
			again, err := py.NewSet(s.Items()...)
			if err != nil {
				return nil, 0, fr.at(x, err)
			}
			again.At = s.At
			s = again.Copy()
		}
		return s, fr.pos(x), nil
	case *syntax.Unary:
		v, _, err := fr.eval(x.X)
		if err != nil {
			return nil, 0, err
		}
		if x.Op == "not" {
			return !py.Truth(v), fr.pos(x), nil
		}
		r, err := py.Unary(x.Op, v)
		return r, fr.pos(x), fr.at(x, err)
	case *syntax.Binary:
		a, _, err := fr.eval(x.X)
		if err != nil {
			return nil, 0, err
		}
		b, _, err := fr.eval(x.Y)
		if err != nil {
			return nil, 0, err
		}
		r, err := fr.binary(x.Op, a, b, x)
		return r, fr.pos(x), err
	case *syntax.Logic:
		var v py.Value
		var pos source.Pos
		for i, e := range x.X {
			var err error
			if v, pos, err = fr.eval(e); err != nil {
				return nil, 0, err
			}
			if i < len(x.X)-1 && py.Truth(v) != x.And {
				break
			}
		}
		return v, pos, nil
	case *syntax.Compare:
		r, err := fr.compareChain(x)
		return r, fr.pos(x), err
	case *syntax.IfExp:
		c, _, err := fr.eval(x.Cond)
		if err != nil {
			return nil, 0, err
		}
		if py.Truth(c) {
			return fr.eval(x.X)
		}
		return fr.eval(x.Y)
	case *syntax.Comp:
		return fr.comp(x)
	case *syntax.Lambda:
		f, err := fr.closure(x.Fn, x)
		return f, fr.pos(x), err
	case *syntax.Walrus:
		v, pos, err := fr.eval(x.X)
		if err != nil {
			return nil, 0, err
		}
		return v, pos, fr.store(x.Target, v, pos)
	case *syntax.Starred:
		return nil, 0, fr.raise(x, "SyntaxError", "can't use starred expression here")
	case *syntax.Slice:
		v, err := fr.sliceValue(x)
		return v, fr.pos(x), err
	}
	return nil, 0, fr.raise(x, "SyntaxError", "invalid syntax")
}

// load reads a name.
func (fr *frame) load(x *syntax.Name) (py.Value, source.Pos, error) {
	if x.Scope == syntax.Local {
		e := fr.env
		for d := x.Depth; d > 0; d-- {
			e = e.parent
		}
		b := &e.vals[x.Slot]
		if !b.set {
			if x.Depth > 0 {
				return nil, 0, fr.raise(x, "NameError", "cannot access free variable '%s' where it is not associated with a value in enclosing scope", x.ID)
			}
			return nil, 0, fr.raise(x, "UnboundLocalError", "cannot access local variable '%s' where it is not associated with a value", x.ID)
		}
		if b.pos == 0 {
			return b.v, fr.pos(x), nil
		}
		return b.v, b.pos, nil
	}
	if fr.locals != nil {
		if v, ok := fr.locals.Lookup(x.Key); ok {
			return v, fr.locals.PosOf(x.Key), nil
		}
	}
	if v, pos, ok := fr.m.globals.LookupPos(x.Key); ok {
		if _, lazy := v.(*Lazy); !lazy {
			if pos = orPos(pos, fr.m.globals.At); pos != 0 {
				return v, pos, nil
			}
		}
		return v, fr.pos(x), nil
	}
	if b, ok := builtins[x.ID]; ok {
		return b, fr.pos(x), nil
	}
	if x.ID == "__file__" { // classic mode has no such variable, where the original fails
		return fr.m.path.name, fr.pos(x), nil
	}
	return nil, 0, fr.undefined(x)
}

// notConstant reports whether CPython computes e at run time.
func notConstant(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Const:
		return false
	case *syntax.Unary:
		return e.Op == "not" || notConstant(e.X)
	case *syntax.Binary:
		return notConstant(e.X) || notConstant(e.Y)
	case *syntax.Tuple:
		return slices.ContainsFunc(e.Elts, notConstant)
	}
	return true
}

// elements evaluates the items of a display, unpacking stars; the message for
// what cannot be unpacked is another one in a list or tuple.
func (fr *frame) elements(xs []syntax.Expr, star bool, sequence ...bool) ([]py.Value, []source.Pos, error) {
	items := make([]py.Value, 0, len(xs))
	pos := make([]source.Pos, 0, len(xs))
	for _, e := range xs {
		if s, ok := e.(*syntax.Starred); ok && star {
			v, _, err := fr.eval(s.X)
			if err != nil {
				return nil, nil, err
			}
			if _, err := fr.iterate(v, s); err != nil && len(sequence) > 0 {
				return nil, nil, fr.raise(s, "TypeError", "Value after * must be an iterable, not %s", py.TypeName(v))
			}
			if err := fr.each(v, s, func(v py.Value, p source.Pos) error {
				items, pos = append(items, v), append(pos, p)
				if len(items)&0xfff == 0 {
					return fr.at(s, fr.in.charge(0x1000*24))
				}
				return nil
			}); err != nil {
				return nil, nil, err
			}
			continue
		}
		v, p, err := fr.eval(e)
		if err != nil {
			return nil, nil, err
		}
		items, pos = append(items, v), append(pos, p)
	}
	return items, pos, nil
}

func (fr *frame) dictDisplay(x *syntax.Dict) (py.Value, source.Pos, error) {
	if x.Plain {
		es := make([]py.Entry, len(x.Keys))
		for i, k := range x.Keys {
			v, pos, err := fr.eval(x.Vals[i])
			if err != nil {
				return nil, 0, err
			}
			es[i] = py.Entry{Key: k.(*syntax.Const).Value, Val: v, KeyPos: fr.pos(k), Pos: pos}
		}
		d := py.DictOfEntries(es)
		d.At = fr.pos(x)
		return d, d.At, fr.at(x, fr.in.charge(64+80*len(es)))
	}
	d := &py.Dict{At: fr.pos(x)}
	for i, k := range x.Keys {
		if k == nil {
			v, _, err := fr.eval(x.Vals[i])
			if err != nil {
				return nil, 0, err
			}
			o, ok := v.(*py.Dict)
			if !ok {
				return nil, 0, fr.raise(x.Vals[i], "TypeError", "'%s' object is not a mapping", py.TypeName(v))
			}
			for _, e := range o.Entries() {
				if err := d.Put(e); err != nil {
					return nil, 0, fr.at(x, err)
				}
			}
			continue
		}
		kv, _, err := fr.eval(k)
		if err != nil {
			return nil, 0, err
		}
		v, pos, err := fr.eval(x.Vals[i])
		if err != nil {
			return nil, 0, err
		}
		if err := d.Put(py.Entry{Key: kv, Val: v, KeyPos: fr.pos(k), Pos: pos}); err != nil {
			return nil, 0, fr.at(k, err)
		}
	}
	return d, fr.pos(x), fr.at(x, fr.in.charge(64+80*d.Len()))
}

// binary is a op b.
func (fr *frame) binary(op string, a, b py.Value, n syntax.Node) (py.Value, error) {
	if la, ok := a.(*py.List); ok { // keep the positions of items
		switch {
		case op == "+":
			if lb, ok := b.(*py.List); ok {
				l := &py.List{At: fr.pos(n), Items: make([]py.Value, 0, len(la.Items)+len(lb.Items))}
				l.Items = append(append(l.Items, la.Items...), lb.Items...)
				l.Pos = append(positions(la.Pos, len(la.Items), la.At), positions(lb.Pos, len(lb.Items), lb.At)...)
				if len(l.Items) > py.MaxResultItems {
					return nil, fr.raise(n, "MemoryError", "result too large: a sequence of more than %d items", py.MaxResultItems)
				}
				if len(l.Pos) != len(l.Items) {
					l.Pos = nil
				}
				return l, fr.at(n, fr.in.sized(l))
			}
		}
	}
	if op == "%" {
		if s, ok := a.(string); ok {
			if err := fr.in.checkDepth(b); err != nil {
				return nil, fr.at(n, err)
			}
			r, err := py.Percent(s, b)
			if err != nil {
				return nil, fr.at(n, err)
			}
			return r, fr.at(n, fr.in.sized(r))
		}
	}
	if da, ok := a.(*py.Dict); ok && da.Config && op == "|" {
		if db, ok := b.(*py.Dict); ok {
			c, err := configCopy(fr.in, da)
			if err == nil {
				err = configUpdate(fr.in, c, db)
			}
			return c, fr.at(n, err)
		}
	}
	r, err := py.Binary(op, a, b)
	if err != nil {
		err = fr.at(n, err)
		if r, ok := err.(*raised); ok && r.hint == "" {
			r.hint = operandHint(op, a, b)
		}
		return nil, err
	}
	return r, fr.at(n, fr.in.sized(r))
}

func operandHint(op string, a, b py.Value) string {
	_, sa := a.(string)
	_, sb := b.(string)
	for _, v := range []py.Value{a, b} {
		if l, ok := v.(*Lazy); ok {
			return l.what() + "; a config can only pass it on"
		}
	}
	switch {
	case op == "+" && sa != sb && (sa || sb):
		other := a
		if sa {
			other = b
		}
		switch other.(type) {
		case int, float64, bool:
			return "turn the number into text with str(…), or use an f-string"
		case nil:
			return "one side is None: a function without return, or list.append, gives None"
		}
	case a == nil || b == nil:
		return "one side is None: a function without return, or list.append, gives None"
	}
	return ""
}

func (fr *frame) compareChain(x *syntax.Compare) (py.Value, error) {
	a, _, err := fr.eval(x.X)
	if err != nil {
		return nil, err
	}
	for i, op := range x.Ops {
		b, _, err := fr.eval(x.Y[i])
		if err != nil {
			return nil, err
		}
		r, err := fr.compare(op, a, b, x)
		if err != nil {
			return nil, err
		}
		if !r {
			return false, nil
		}
		a = b
	}
	return true, nil
}

// compare is a op b for the comparison operators.
func (fr *frame) compare(op string, a, b py.Value, n syntax.Node) (bool, error) {
	switch op {
	case "is":
		return identical(a, b), nil
	case "is not":
		return !identical(a, b), nil
	}
	if err := fr.in.checkDepth(a); err != nil {
		return false, fr.at(n, err)
	}
	if err := fr.in.checkDepth(b); err != nil {
		return false, fr.at(n, err)
	}
	switch op {
	case "==", "!=":
		r := equal(a, b)
		return r == (op == "=="), nil
	case "in", "not in":
		if _, ok := b.(*environ); ok {
			name, _ := a.(string)
			_, found := fr.in.o.Env(name)
			return found == (op == "in"), nil
		}
		if it, ok := b.(*iterator); ok {
			found := false
			err := fr.each(it, n, func(v py.Value, _ source.Pos) error {
				same, err := fr.compare("==", v, a, n)
				if same {
					found = true
					return errStop
				}
				return err
			})
			if err == errStop {
				err = nil
			}
			return found == (op == "in"), err
		}
	}
	r, err := py.Compare(op, a, b)
	return r, fr.at(n, err)
}

// equal is == of data that checkDepth has passed. A ConfigDict compares its
// lazy references by name.
func equal(a, b py.Value) bool {
	da, ok := a.(*py.Dict)
	db, ok2 := b.(*py.Dict)
	if ok && ok2 && da.Config && db.Config {
		return py.Equal(plain(da), plain(db))
	}
	return py.Equal(a, b)
}

// identical is the operator is. Small values are identical when they are
// equal and of one type, as far as a config can tell.
func identical(a, b py.Value) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case int:
		y, ok := b.(int)
		return ok && x == y
	case float64:
		y, ok := b.(float64)
		return ok && x == y
	case string:
		y, ok := b.(string)
		return ok && x == y
	case py.Bytes:
		y, ok := b.(py.Bytes)
		return ok && x == y
	}
	switch b.(type) {
	case nil, bool, int, float64, string, py.Bytes:
		return false
	}
	return comparable2(a, b)
}

func comparable2(a, b py.Value) (same bool) {
	defer func() { _ = recover() }() // an Object that is no pointer and cannot be compared
	return a == b
}

func (fr *frame) index(x *syntax.Index) (py.Value, source.Pos, error) {
	v, vpos, err := fr.eval(x.X)
	if err != nil {
		return nil, 0, err
	}
	if s, ok := x.I.(*syntax.Slice); ok {
		lo, hi, step, err := fr.sliceParts(s)
		if err != nil {
			return nil, 0, err
		}
		return fr.slice(v, lo, hi, step, x)
	}
	k, _, err := fr.eval(x.I)
	if err != nil {
		return nil, 0, err
	}
	switch c := v.(type) {
	case *py.Dict:
		r, ok := c.Lookup(k)
		if !ok {
			return nil, 0, fr.missingKey(c, k, x)
		}
		if pos := c.PosOf(k); pos != 0 {
			return r, pos, nil
		}
		return r, vpos, nil
	case *py.List:
		if i, ok := k.(int); ok {
			if j, ok := wrap(i, len(c.Items)); ok {
				return c.Items[j], orPos(c.PosOf(j), vpos), nil
			}
			return nil, 0, fr.raise(x, "IndexError", "list index out of range")
		}
	case *py.Tuple:
		if i, ok := k.(int); ok {
			if j, ok := wrap(i, len(c.Items)); ok {
				return c.Items[j], orPos(c.PosOf(j), vpos), nil
			}
			return nil, 0, fr.raise(x, "IndexError", "tuple index out of range")
		}
	case *sliceObj:
	case *builtin: // List[str] and the like, in annotations and aliases
		if c.typ {
			return c, fr.pos(x), nil
		}
	}
	if s, ok := k.(*sliceObj); ok {
		return fr.slice(v, s.lo, s.hi, s.step, x)
	}
	if g, ok := v.(interface {
		getitem(fr *frame, k py.Value, n syntax.Node) (py.Value, error)
	}); ok {
		r, err := g.getitem(fr, k, x)
		return r, fr.pos(x), err
	}
	r, err := py.GetItem(v, k)
	return r, fr.pos(x), fr.at(x, err)
}

func orPos(a, b source.Pos) source.Pos {
	if a != 0 {
		return a
	}
	return b
}

func wrap(i, n int) (int, bool) {
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

// sliceObj is a slice object.
type sliceObj struct{ lo, hi, step py.Value }

func (s *sliceObj) PyType() string { return "slice" }
func (s *sliceObj) PyRepr() string {
	return "slice(" + py.Repr(s.lo) + ", " + py.Repr(s.hi) + ", " + py.Repr(s.step) + ")"
}

func (s *sliceObj) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "start":
		return s.lo, true
	case "stop":
		return s.hi, true
	case "step":
		return s.step, true
	}
	return nil, false
}

func (fr *frame) sliceValue(s *syntax.Slice) (py.Value, error) {
	lo, hi, step, err := fr.sliceParts(s)
	return &sliceObj{lo, hi, step}, err
}

func (fr *frame) sliceParts(s *syntax.Slice) (lo, hi, step py.Value, err error) {
	for _, p := range []struct {
		x syntax.Expr
		v *py.Value
	}{{s.Lo, &lo}, {s.Hi, &hi}, {s.Step, &step}} {
		if p.x != nil {
			if *p.v, _, err = fr.eval(p.x); err != nil {
				return
			}
		}
	}
	return
}

func (fr *frame) slice(v, lo, hi, step py.Value, n syntax.Node) (py.Value, source.Pos, error) {
	switch c := v.(type) {
	case *py.List:
		idx, err := py.SliceIndices(len(c.Items), lo, hi, step)
		if err != nil {
			return nil, 0, fr.at(n, err)
		}
		l := &py.List{At: fr.pos(n), Items: make([]py.Value, len(idx)), Pos: make([]source.Pos, len(idx))}
		for i, j := range idx {
			l.Items[i], l.Pos[i] = c.Items[j], c.PosOf(j)
		}
		return l, fr.pos(n), fr.at(n, fr.in.sized(l))
	case *py.Dict:
		return nil, 0, fr.raise(n, "TypeError", "unhashable type: 'slice'")
	}
	r, err := py.Slice(v, lo, hi, step)
	if err == nil {
		err = fr.in.sized(r)
	}
	return r, fr.pos(n), fr.at(n, err)
}

// fstring formats the parts of an f-string.
func (fr *frame) fstring(parts []syntax.FPart, n syntax.Node) (string, error) {
	var b strings.Builder
	for i := range parts {
		p := &parts[i]
		if p.X == nil {
			b.WriteString(p.Text)
			continue
		}
		v, _, err := fr.eval(p.X)
		if err != nil {
			return "", err
		}
		if s, ok := v.(string); ok && p.Conv == 0 && p.Spec == nil {
			b.WriteString(s)
			continue
		}
		if err := fr.in.checkDepth(v); err != nil {
			return "", fr.at(p.X, err)
		}
		switch p.Conv {
		case 'r':
			v = py.Repr(v)
		case 's':
			v = py.Str(v)
		case 'a':
			v = py.ASCII(v)
		}
		spec := ""
		if len(p.Spec) > 0 {
			if spec, err = fr.fstring(p.Spec, n); err != nil {
				return "", err
			}
		}
		if spec == "" {
			b.WriteString(py.Str(v))
			continue
		}
		s, err := py.Format(v, spec)
		if err != nil {
			return "", fr.at(p.X, err)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// comp evaluates a comprehension.
func (fr *frame) comp(x *syntax.Comp) (py.Value, source.Pos, error) {
	first, _, err := fr.eval(x.Gens[0].Iter)
	if err != nil {
		return nil, 0, err
	}
	it, err := fr.iterate(first, x.Gens[0].Iter)
	if err != nil {
		return nil, 0, err
	}
	sub := &frame{in: fr.in, m: fr.m, fn: fr.fn, locals: fr.locals,
		env: &env{vals: make([]binding, len(x.Names)), names: x.Names, parent: fr.env}}
	run := &compRun{fr: sub, x: x, its: make([]*iterator, len(x.Gens))}
	run.its[0] = it
	at := fr.pos(x)
	switch x.Kind {
	case syntax.GenExp:
		return &iterator{typ: "generator", next: func() (py.Value, source.Pos, bool, error) {
			ok, err := run.advance()
			if err != nil || !ok {
				return nil, 0, false, err
			}
			v, pos, err := sub.eval(x.Elt)
			return v, pos, err == nil, err
		}}, at, nil
	case syntax.DictComp:
		d := &py.Dict{At: at}
		for {
			ok, err := run.advance()
			if err != nil {
				return nil, 0, err
			}
			if !ok {
				return d, at, nil
			}
			k, kpos, err := sub.eval(x.Elt)
			if err != nil {
				return nil, 0, err
			}
			v, pos, err := sub.eval(x.Val)
			if err != nil {
				return nil, 0, err
			}
			if err := d.Put(py.Entry{Key: k, Val: v, KeyPos: kpos, Pos: pos}); err != nil {
				return nil, 0, fr.at(x.Elt, err)
			}
			if err := fr.in.charge(80); err != nil {
				return nil, 0, fr.at(x, err)
			}
		}
	}
	l := &py.List{At: at}
	for {
		ok, err := run.advance()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			break
		}
		v, pos, err := sub.eval(x.Elt)
		if err != nil {
			return nil, 0, err
		}
		l.Append(v, pos)
		if err := fr.in.charge(24); err != nil {
			return nil, 0, fr.at(x, err)
		}
	}
	if x.Kind == syntax.SetComp {
		s := &py.Set{At: at}
		for _, v := range l.Items {
			if err := s.Add(v); err != nil {
				return nil, 0, fr.at(x.Elt, err)
			}
		}
		return s, at, nil
	}
	return l, at, nil
}

// compRun steps through the loops of a comprehension.
type compRun struct {
	fr    *frame
	x     *syntax.Comp
	its   []*iterator
	level int
}

// advance goes to the next combination that passes the conditions.
func (r *compRun) advance() (bool, error) {
	for r.level >= 0 {
		g := &r.x.Gens[r.level]
		v, pos, ok, err := r.its[r.level].step()
		if err != nil {
			return false, err
		}
		if !ok {
			r.level--
			continue
		}
		if err := r.fr.in.tick(); err != nil {
			return false, r.fr.at(r.x, err)
		}
		if err := r.fr.assign(g.Target, v, pos); err != nil {
			return false, err
		}
		pass := true
		for _, c := range g.Ifs {
			v, _, err := r.fr.eval(c)
			if err != nil {
				return false, err
			}
			if !py.Truth(v) {
				pass = false
				break
			}
		}
		if !pass {
			continue
		}
		if r.level == len(r.its)-1 {
			return true, nil
		}
		r.level++
		next := r.x.Gens[r.level].Iter
		v, _, err = r.fr.eval(next)
		if err != nil {
			return false, err
		}
		if r.its[r.level], err = r.fr.iterate(v, next); err != nil {
			return false, err
		}
	}
	return false, nil
}
