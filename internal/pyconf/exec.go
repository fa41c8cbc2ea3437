package pyconf

import (
	"errors"
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// ctl says how a statement ended.
type ctl uint8

const (
	ctlNext ctl = iota
	ctlBreak
	ctlContinue
	ctlReturn
)

// errStop ends an iteration early; it never leaves this package.
var errStop = errors.New("stop")

func (fr *frame) block(body []syntax.Stmt) (ctl, error) {
	for _, s := range body {
		if c, err := fr.exec(s); err != nil || c != ctlNext {
			return c, err
		}
	}
	return ctlNext, nil
}

func (fr *frame) exec(s syntax.Stmt) (ctl, error) {
	if err := fr.in.tick(); err != nil {
		return 0, fr.at(s, err)
	}
	switch s := s.(type) {
	case *syntax.ExprStmt:
		_, _, err := fr.eval(s.X)
		return ctlNext, err
	case *syntax.Assign:
		v, pos, err := fr.eval(s.X)
		if err != nil {
			return 0, err
		}
		for _, t := range s.Targets {
			if err := fr.assign(t, v, pos); err != nil {
				return 0, err
			}
		}
		return ctlNext, nil
	case *syntax.AnnAssign:
		if s.X == nil {
			return ctlNext, nil
		}
		v, pos, err := fr.eval(s.X)
		if err != nil {
			return 0, err
		}
		return ctlNext, fr.assign(s.Target, v, pos)
	case *syntax.AugAssign:
		return ctlNext, fr.augAssign(s)
	case *syntax.If:
		v, _, err := fr.eval(s.Cond)
		if err != nil {
			return 0, err
		}
		if py.Truth(v) {
			return fr.block(s.Body)
		}
		return fr.block(s.Else)
	case *syntax.For:
		return fr.forLoop(s)
	case *syntax.While:
		for {
			v, _, err := fr.eval(s.Cond)
			if err != nil {
				return 0, err
			}
			if !py.Truth(v) {
				return fr.block(s.Else)
			}
			c, err := fr.block(s.Body)
			if err != nil || c == ctlReturn {
				return c, err
			}
			if c == ctlBreak {
				return ctlNext, nil
			}
		}
	case *syntax.Def:
		f, err := fr.closure(s.Fn, s)
		if err != nil {
			return 0, err
		}
		return ctlNext, fr.store(s.Target, f, fr.pos(s))
	case *syntax.Return:
		fr.ret, fr.retPos = nil, fr.pos(s)
		if s.X != nil {
			var err error
			if fr.ret, fr.retPos, err = fr.eval(s.X); err != nil {
				return 0, err
			}
		}
		return ctlReturn, nil
	case *syntax.Jump:
		switch s.Kind {
		case syntax.Break:
			return ctlBreak, nil
		case syntax.Continue:
			return ctlContinue, nil
		}
		return ctlNext, nil
	case *syntax.Del:
		for _, t := range s.Targets {
			if err := fr.del(t); err != nil {
				return 0, err
			}
		}
		return ctlNext, nil
	case *syntax.Assert:
		v, _, err := fr.eval(s.X)
		if err != nil || py.Truth(v) {
			return ctlNext, err
		}
		e := fr.raise(s.X, "AssertionError", "")
		e.exc.args, e.exc.fixed = nil, false
		if s.Msg != nil {
			m, _, err := fr.eval(s.Msg)
			if err != nil {
				return 0, err
			}
			e.exc.args = []py.Value{m}
		}
		return 0, e
	case *syntax.Raise:
		return 0, fr.raiseStmt(s)
	case *syntax.Try:
		return fr.try(s)
	case *syntax.With:
		return fr.with(s)
	case *syntax.Import:
		return ctlNext, fr.importStmt(s)
	case *syntax.ImportFrom:
		return ctlNext, fr.importFrom(s)
	case *syntax.ScopeDecl:
		return ctlNext, nil
	}
	return 0, fr.raise(s, "SyntaxError", "invalid syntax")
}

func (fr *frame) forLoop(s *syntax.For) (ctl, error) {
	v, _, err := fr.eval(s.Iter)
	if err != nil {
		return 0, err
	}
	it, err := fr.iterate(v, s.Iter)
	if err != nil {
		return 0, err
	}
	for {
		v, pos, ok, err := it.step()
		if err != nil {
			return 0, err
		}
		if !ok {
			return fr.block(s.Else)
		}
		if err := fr.in.tick(); err != nil {
			return 0, fr.at(s, err)
		}
		if err := fr.assign(s.Target, v, pos); err != nil {
			return 0, err
		}
		c, err := fr.block(s.Body)
		if err != nil || c == ctlReturn {
			return c, err
		}
		if c == ctlBreak {
			return ctlNext, nil
		}
	}
}

// store binds a name.
func (fr *frame) store(n *syntax.Name, v py.Value, pos source.Pos) error {
	if n.Scope == syntax.Local {
		e := fr.env
		for d := n.Depth; d > 0; d-- {
			e = e.parent
		}
		e.vals[n.Slot] = binding{v, pos, true}
		return nil
	}
	if fr.locals != nil {
		return fr.at(n, fr.locals.Put(py.Entry{Key: n.Key, Val: v, KeyPos: fr.pos(n), Pos: pos}))
	}
	return fr.at(n, fr.m.globals.Put(py.Entry{Key: n.Key, Val: v, KeyPos: fr.pos(n), Pos: pos}))
}

// assign binds v to a target. pos is where v was written, 0 if unknown.
func (fr *frame) assign(t syntax.Expr, v py.Value, pos source.Pos) error {
	switch t := t.(type) {
	case *syntax.Name:
		return fr.store(t, v, pos)
	case *syntax.Tuple:
		return fr.unpack(t, t.Elts, v, pos)
	case *syntax.List:
		return fr.unpack(t, t.Elts, v, pos)
	case *syntax.Attr:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		if d, ok := o.(*py.Dict); ok && d.Config {
			if err := fr.configAttrWritable(d, t); err != nil {
				return err
			}
			return fr.setItem(d, t.Name, v, fr.off(t.NameAt), pos, t)
		}
		return fr.noSetAttr(o, t)
	case *syntax.Index:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		if s, ok := t.I.(*syntax.Slice); ok {
			lo, hi, step, err := fr.sliceParts(s)
			if err != nil {
				return err
			}
			return fr.setSlice(o, lo, hi, step, v, t)
		}
		k, kpos, err := fr.eval(t.I)
		if err != nil {
			return err
		}
		return fr.setItem(o, k, v, kpos, pos, t)
	}
	return fr.raise(t, "SyntaxError", "cannot assign to this")
}

func (fr *frame) setItem(o, k, v py.Value, kpos, pos source.Pos, n syntax.Node) error {
	switch c := o.(type) {
	case *py.Dict:
		if c.Config {
			var err error
			if v, err = configHook(fr.in, v, 0); err != nil {
				return fr.at(n, err)
			}
		}
		if c.Len()&0xff == 0xff {
			if err := fr.in.charge(80 * 256); err != nil {
				return fr.at(n, err)
			}
		}
		return fr.at(n, c.Put(py.Entry{Key: k, Val: v, KeyPos: kpos, Pos: pos}))
	case *py.List:
		i, ok := k.(int)
		if b, isBool := k.(bool); isBool {
			ok = true
			if b {
				i = 1
			}
		}
		if ok {
			j, ok := wrap(i, len(c.Items))
			if !ok {
				return fr.raise(n, "IndexError", "list assignment index out of range")
			}
			setListItem(c, j, v, pos)
			return nil
		}
	}
	return fr.at(n, py.SetItem(o, k, v, pos))
}

func setListItem(l *py.List, i int, v py.Value, pos source.Pos) {
	l.Items[i] = v
	if len(l.Pos) < len(l.Items) {
		l.Pos = positions(l.Pos, len(l.Items), l.At)
	}
	if l.Pos != nil {
		l.Pos[i] = pos
	}
}

func (fr *frame) setSlice(o, lo, hi, step, v py.Value, n syntax.Node) error {
	l, ok := o.(*py.List)
	if !ok {
		return fr.at(n, py.SetSlice(o, lo, hi, step, v))
	}
	src, err := fr.list(v, n)
	if err != nil {
		if r, ok := err.(*raised); ok && r.exc.class.name == "TypeError" {
			if step != nil && step != 1 {
				return fr.raise(n, "TypeError", "must assign iterable to extended slice")
			}
			return fr.raise(n, "TypeError", "can only assign an iterable")
		}
		return err
	}
	if step == nil {
		start, stop, _, err := py.SliceBounds(len(l.Items), lo, hi, nil)
		if err != nil {
			return fr.at(n, err)
		}
		stop = max(stop, start)
		pos := positions(l.Pos, len(l.Items), l.At)
		for len(pos) < len(l.Items) {
			pos = append(pos, 0)
		}
		for len(src.Pos) < len(src.Items) {
			src.Pos = append(src.Pos, src.At)
		}
		l.Items = append(append(append([]py.Value{}, l.Items[:start]...), src.Items...), l.Items[stop:]...)
		l.Pos = append(append(append([]source.Pos{}, pos[:start]...), src.Pos...), pos[stop:]...)
		return fr.at(n, fr.in.sized(l))
	}
	idx, err := py.SliceIndices(len(l.Items), lo, hi, step)
	if err != nil {
		return fr.at(n, err)
	}
	if len(idx) != len(src.Items) {
		return fr.raise(n, "ValueError", "attempt to assign sequence of size %d to extended slice of size %d", len(src.Items), len(idx))
	}
	for i, j := range idx {
		setListItem(l, j, src.Items[i], src.PosOf(i))
	}
	return nil
}

// unpack binds the items of v to several targets.
func (fr *frame) unpack(n syntax.Node, ts []syntax.Expr, v py.Value, pos source.Pos) error {
	var items []py.Value
	var at func(i int) source.Pos
	switch x := v.(type) {
	case *py.Tuple:
		items, at = x.Items, x.PosOf
	case *py.List:
		items, at = append([]py.Value{}, x.Items...), x.PosOf
	case int, float64, bool, nil:
		return fr.raise(n, "TypeError", "cannot unpack non-iterable %s object", py.TypeName(v))
	default:
		l, err := fr.list(v, n)
		if err != nil {
			if r, ok := err.(*raised); ok && r.exc.class.name == "TypeError" && r.pos == fr.pos(n) {
				return fr.raise(n, "TypeError", "cannot unpack non-iterable %s object", py.TypeName(v))
			}
			return err
		}
		items, at = l.Items, l.PosOf
	}
	star := -1
	for i, t := range ts {
		if _, ok := t.(*syntax.Starred); ok {
			star = i
		}
	}
	item := func(i int) source.Pos {
		if p := at(i); p != 0 {
			return p
		}
		return pos
	}
	if star < 0 {
		if len(items) > len(ts) {
			return fr.raise(n, "ValueError", "too many values to unpack (expected %d)", len(ts))
		}
		if len(items) < len(ts) {
			return fr.raise(n, "ValueError", "not enough values to unpack (expected %d, got %d)", len(ts), len(items))
		}
		for i, t := range ts {
			if err := fr.assign(t, items[i], item(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(items) < len(ts)-1 {
		return fr.raise(n, "ValueError", "not enough values to unpack (expected at least %d, got %d)", len(ts)-1, len(items))
	}
	mid := len(items) - (len(ts) - 1)
	for i, t := range ts {
		switch {
		case i < star:
			if err := fr.assign(t, items[i], item(i)); err != nil {
				return err
			}
		case i == star:
			l := &py.List{At: pos}
			for j := star; j < star+mid; j++ {
				l.Append(items[j], item(j))
			}
			if err := fr.assign(t.(*syntax.Starred).X, l, pos); err != nil {
				return err
			}
		default:
			j := i - 1 + mid
			if err := fr.assign(t, items[j], item(j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (fr *frame) augAssign(s *syntax.AugAssign) error {
	apply := func(old py.Value) (py.Value, error) {
		v, _, err := fr.eval(s.X)
		if err != nil {
			return nil, err
		}
		return fr.inPlace(s.Op, old, v, s)
	}
	switch t := s.Target.(type) {
	case *syntax.Name:
		old, opos, err := fr.load(t)
		if err != nil {
			return err
		}
		v, err := apply(old)
		if err != nil {
			return err
		}
		if !identical(v, old) {
			opos = fr.pos(s.X)
		}
		return fr.store(t, v, opos)
	case *syntax.Index:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		if sl, ok := t.I.(*syntax.Slice); ok {
			lo, hi, step, err := fr.sliceParts(sl)
			if err != nil {
				return err
			}
			old, _, err := fr.slice(o, lo, hi, step, t)
			if err != nil {
				return err
			}
			v, err := apply(old)
			if err != nil {
				return err
			}
			return fr.setSlice(o, lo, hi, step, v, t)
		}
		k, kpos, err := fr.eval(t.I)
		if err != nil {
			return err
		}
		old, opos, err := fr.item(o, k, t)
		if err != nil {
			return err
		}
		v, err := apply(old)
		if err != nil {
			return err
		}
		if !identical(v, old) || opos == 0 {
			opos = fr.pos(s.X)
		}
		return fr.setItem(o, k, v, kpos, opos, t)
	case *syntax.Attr:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		old, opos, err := fr.attr(o, t)
		if err != nil {
			return err
		}
		v, err := apply(old)
		if err != nil {
			return err
		}
		if !identical(v, old) {
			opos = fr.pos(s.X)
		}
		if d, ok := o.(*py.Dict); ok && d.Config {
			return fr.setItem(d, t.Name, v, fr.off(t.NameAt), opos, t)
		}
		return fr.noSetAttr(o, t)
	}
	return fr.raise(s, "SyntaxError", "illegal expression for augmented assignment")
}

// item is o[k] with its position.
func (fr *frame) item(o, k py.Value, n syntax.Node) (py.Value, source.Pos, error) {
	switch c := o.(type) {
	case *py.Dict:
		v, ok := c.Lookup(k)
		if !ok {
			return nil, 0, fr.missingKey(c, k, n)
		}
		return v, c.PosOf(k), nil
	case *py.List:
		if i, ok := k.(int); ok {
			if j, ok := wrap(i, len(c.Items)); ok {
				return c.Items[j], c.PosOf(j), nil
			}
		}
	}
	v, err := py.GetItem(o, k)
	return v, 0, fr.at(n, err)
}

// inPlace is old op= v.
func (fr *frame) inPlace(op string, old, v py.Value, n syntax.Node) (py.Value, error) {
	switch x := old.(type) {
	case *py.List:
		switch op {
		case "+":
			return x, fr.extend(x, v, n)
		case "*":
			r, err := fr.binary("*", x, v, n)
			if err != nil {
				return nil, err
			}
			l := r.(*py.List)
			x.Items, x.Pos = l.Items, l.Pos
			return x, nil
		}
	case *py.Set:
		if o, ok := v.(*py.Set); ok && !x.Frozen && (op == "|" || op == "&" || op == "-" || op == "^") {
			x.SetInPlace(op, o)
			return x, fr.at(n, fr.in.sized(o))
		}
	case *py.Dict:
		if op == "|" {
			o, err := (&callArgs{fr: fr, n: n}).toDict(v)
			if err != nil {
				return nil, err
			}
			if x.Config {
				return x, fr.at(n, configUpdate(fr.in, x, o))
			}
			for _, e := range o.Entries() {
				if err := x.Put(e); err != nil {
					return nil, fr.at(n, err)
				}
			}
			return x, fr.at(n, fr.in.sized(o))
		}
	}
	r, err := fr.binary(op, old, v, n)
	if ex, ok := err.(*raised); ok && ex.exc.class.name == "TypeError" {
		const unsupported = "unsupported operand type(s) for "
		msg := ex.exc.msg
		switch old.(type) {
		case *py.Dict, *py.Set:
			if op == "*" && strings.HasPrefix(msg, "can't multiply sequence") {
				msg = fmt.Sprintf("%s*: '%s' and '%s'", unsupported, py.TypeName(old), py.TypeName(v))
			}
		}
		if _, operands, ok := strings.Cut(msg, ": "); ok && strings.HasPrefix(msg, unsupported) {
			return nil, fr.raise(n, "TypeError", "%s%s=: %s", unsupported, op, operands)
		}
	}
	return r, err
}

// extend is l += v: v is read while l stays as it was, so that l += l ends.
func (fr *frame) extend(l *py.List, v py.Value, n syntax.Node) error {
	src, failed := fr.list(v, n)
	if _, ok := v.(*iterator); failed != nil && !ok {
		return failed
	}
	if len(l.Items)+len(src.Items) > py.MaxResultItems {
		return fr.raise(n, "MemoryError", "result too large: a sequence of more than %d items", py.MaxResultItems)
	}
	for i, it := range src.Items {
		l.Append(it, src.PosOf(i))
	}
	if failed != nil { // what came before stays, as in CPython
		return failed
	}
	return fr.at(n, fr.in.sized(src))
}

func (fr *frame) del(t syntax.Expr) error {
	switch t := t.(type) {
	case *syntax.Name:
		if t.Scope == syntax.Local {
			e := fr.env
			for d := t.Depth; d > 0; d-- {
				e = e.parent
			}
			if !e.vals[t.Slot].set {
				return fr.raise(t, "UnboundLocalError", "cannot access local variable '%s' where it is not associated with a value", t.ID)
			}
			e.vals[t.Slot] = binding{}
			return nil
		}
		if !fr.m.globals.Delete(t.Key) {
			return fr.undefined(t)
		}
		return nil
	case *syntax.Tuple:
		for _, e := range t.Elts {
			if err := fr.del(e); err != nil {
				return err
			}
		}
		return nil
	case *syntax.List:
		for _, e := range t.Elts {
			if err := fr.del(e); err != nil {
				return err
			}
		}
		return nil
	case *syntax.Attr:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		if d, ok := o.(*py.Dict); ok && d.Config {
			if !d.Delete(t.Name) {
				return fr.missingKey(d, t.Name, t)
			}
			return nil
		}
		return fr.noSetAttr(o, t)
	case *syntax.Index:
		o, _, err := fr.eval(t.X)
		if err != nil {
			return err
		}
		if s, ok := t.I.(*syntax.Slice); ok {
			lo, hi, step, err := fr.sliceParts(s)
			if err != nil {
				return err
			}
			if l, ok := o.(*py.List); ok {
				return fr.delSlice(l, lo, hi, step, t)
			}
			return fr.at(t, py.DelSlice(o, lo, hi, step))
		}
		k, _, err := fr.eval(t.I)
		if err != nil {
			return err
		}
		switch c := o.(type) {
		case *py.Dict:
			if !c.Delete(k) {
				return fr.missingKey(c, k, t)
			}
			return nil
		case *py.List:
			if i, ok := k.(int); ok {
				j, ok := wrap(i, len(c.Items))
				if !ok {
					return fr.raise(t, "IndexError", "list assignment index out of range")
				}
				removeAt(c, j)
				return nil
			}
		}
		return fr.at(t, py.DelItem(o, k))
	}
	return fr.raise(t, "SyntaxError", "cannot delete this")
}

func removeAt(l *py.List, i int) {
	if len(l.Pos) == len(l.Items) {
		l.Pos = append(l.Pos[:i:i], l.Pos[i+1:]...)
	} else {
		l.Pos = nil
	}
	l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
}

func (fr *frame) delSlice(l *py.List, lo, hi, step py.Value, n syntax.Node) error {
	idx, err := py.SliceIndices(len(l.Items), lo, hi, step)
	if err != nil {
		return fr.at(n, err)
	}
	gone := make(map[int]bool, len(idx))
	for _, i := range idx {
		gone[i] = true
	}
	out := &py.List{}
	for i, v := range l.Items {
		if !gone[i] {
			out.Append(v, l.PosOf(i))
		}
	}
	l.Items, l.Pos = out.Items, out.Pos
	return nil
}

func (fr *frame) raiseStmt(s *syntax.Raise) error {
	if s.X == nil {
		if n := len(fr.in.exc); n > 0 {
			return fr.in.exc[n-1]
		}
		return fr.raise(s, "RuntimeError", "No active exception to reraise")
	}
	v, _, err := fr.eval(s.X)
	if err != nil {
		return err
	}
	if s.Cause != nil {
		if _, _, err := fr.eval(s.Cause); err != nil {
			return err
		}
	}
	switch e := v.(type) {
	case *excClass:
		return &raised{exc: &exception{class: e}, pos: fr.pos(s), end: fr.end(s)}
	case *exception:
		return &raised{exc: e, pos: fr.pos(s), end: fr.end(s)}
	}
	return fr.raise(s, "TypeError", "exceptions must derive from BaseException")
}

func (fr *frame) try(s *syntax.Try) (c ctl, err error) {
	c, err = fr.block(s.Body)
	if err == nil && c == ctlNext {
		c, err = fr.block(s.Else)
	} else if r, ok := err.(*raised); ok {
		for i := range s.Handlers {
			h := &s.Handlers[i]
			match, herr := fr.matches(h, r)
			if herr != nil {
				err = herr
				break
			}
			if !match {
				continue
			}
			if h.Name != nil {
				if err := fr.store(h.Name, r.exc, r.pos); err != nil {
					return 0, err
				}
			}
			fr.in.exc = append(fr.in.exc, r)
			c, err = fr.block(h.Body)
			fr.in.exc = fr.in.exc[:len(fr.in.exc)-1]
			if h.Name != nil { // Python forgets the name
				if h.Name.Scope == syntax.Local {
					e := fr.env
					for d := h.Name.Depth; d > 0; d-- {
						e = e.parent
					}
					e.vals[h.Name.Slot] = binding{}
				} else {
					fr.m.globals.Delete(h.Name.Key)
				}
			}
			break
		}
	}
	if len(s.Final) > 0 {
		if _, fatal := err.(*source.Diagnostic); fatal {
			return c, err
		}
		ret, retPos := fr.ret, fr.retPos
		fc, ferr := fr.block(s.Final)
		if ferr != nil || fc != ctlNext {
			return fc, ferr
		}
		fr.ret, fr.retPos = ret, retPos
	}
	return c, err
}

func (fr *frame) matches(h *syntax.Handler, r *raised) (bool, error) {
	if h.Type == nil {
		return true, nil
	}
	v, _, err := fr.eval(h.Type)
	if err != nil {
		return false, err
	}
	classes := []py.Value{v}
	if t, ok := v.(*py.Tuple); ok {
		classes = t.Items
	}
	for _, c := range classes {
		ec, ok := c.(*excClass)
		if !ok {
			return false, fr.raise(h.Type, "TypeError", "catching classes that do not inherit from BaseException is not allowed")
		}
		if r.exc.class.is(ec) {
			return true, nil
		}
	}
	return false, nil
}

func (fr *frame) with(s *syntax.With) (ctl, error) {
	var open []*fileObj
	defer func() {
		for _, f := range open {
			f.closed = true
		}
	}()
	for _, it := range s.Items {
		v, pos, err := fr.eval(it.X)
		if err != nil {
			return 0, err
		}
		switch f := v.(type) {
		case *fileObj:
			open = append(open, f)
		case *nullContext:
			v = nil
			if err := fr.nestedBases(s.Body); err != nil {
				return 0, err
			}
		default:
			return 0, fr.raise(it.X, "TypeError", "'%s' object does not support the context manager protocol", py.TypeName(v))
		}
		if it.Target != nil {
			if err := fr.assign(it.Target, v, pos); err != nil {
				return 0, err
			}
		}
	}
	return fr.block(s.Body)
}

// nullContext is what read_base() gives when it is called.
type nullContext struct{}

func (*nullContext) PyType() string { return "_GeneratorContextManager" }
func (*nullContext) PyRepr() string { return "<read_base()>" }
