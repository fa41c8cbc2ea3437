package syntax

import "sextant/internal/py"

// Name resolution: every Name learns whether it is a variable of the module
// or a slot of an enclosing function. Comprehensions are functions of their
// own, whose first iterable belongs to the scope around.

// scope is a function, lambda or comprehension being resolved.
type scope struct {
	outer   *scope // nil for the module
	slots   map[string]uint16
	names   []string
	globals map[string]bool
	nonloc  map[string]bool
	comp    bool
}

func (s *scope) declare(name string) uint16 {
	if i, ok := s.slots[name]; ok {
		return i
	}
	i := uint16(len(s.names))
	s.slots[name] = i
	s.names = append(s.names, name)
	return i
}

type resolver struct {
	errs *errorList
	cur  *scope // nil: module level
}

func resolve(body []Stmt, errs *errorList) {
	r := &resolver{errs: errs}
	r.stmts(body)
}

func newScope(outer *scope, comp bool) *scope {
	return &scope{outer: outer, slots: map[string]uint16{}, comp: comp}
}

// lookup fills in where n lives.
func (r *resolver) lookup(n *Name) {
	depth := uint16(0)
	for s := r.cur; s != nil; s = s.outer {
		if s.globals[n.ID] {
			break
		}
		if i, ok := s.slots[n.ID]; ok && !s.nonloc[n.ID] {
			n.Scope, n.Depth, n.Slot = Local, depth, i
			return
		}
		depth++
	}
	n.Scope, n.Depth, n.Slot = Global, 0, 0
}

func (r *resolver) stmts(body []Stmt) {
	for _, s := range body {
		r.stmt(s)
	}
}

func (r *resolver) stmt(s Stmt) {
	switch s := s.(type) {
	case *ExprStmt:
		r.expr(s.X)
	case *Assign:
		r.expr(s.X)
		for _, t := range s.Targets {
			r.expr(t)
		}
	case *AnnAssign:
		r.expr(s.X)
		r.expr(s.Target)
	case *AugAssign:
		r.expr(s.X)
		r.expr(s.Target)
	case *For:
		r.expr(s.Iter)
		r.expr(s.Target)
		r.stmts(s.Body)
		r.stmts(s.Else)
	case *While:
		r.expr(s.Cond)
		r.stmts(s.Body)
		r.stmts(s.Else)
	case *If:
		r.expr(s.Cond)
		r.stmts(s.Body)
		r.stmts(s.Else)
	case *Def:
		r.function(s.Fn)
		r.lookup(s.Target)
	case *Return:
		r.expr(s.X)
	case *Del:
		for _, t := range s.Targets {
			r.expr(t)
		}
	case *Assert:
		r.expr(s.X)
		r.expr(s.Msg)
	case *Raise:
		r.expr(s.X)
		r.expr(s.Cause)
	case *Try:
		r.stmts(s.Body)
		for i := range s.Handlers {
			r.expr(s.Handlers[i].Type)
			if n := s.Handlers[i].Name; n != nil {
				r.lookup(n)
			}
			r.stmts(s.Handlers[i].Body)
		}
		r.stmts(s.Else)
		r.stmts(s.Final)
	case *With:
		for _, it := range s.Items {
			r.expr(it.X)
			r.expr(it.Target)
		}
		r.stmts(s.Body)
	case *Import:
		for i := range s.Names {
			r.lookup(s.Names[i].Target)
		}
	case *ImportFrom:
		for i := range s.Names {
			if t := s.Names[i].Target; t != nil {
				r.lookup(t)
			} else if r.cur != nil {
				r.errs.add(s.Names[i].At, s.Names[i].End, "import * only allowed at module level", "")
			}
		}
	case *ScopeDecl:
		if r.cur == nil && s.Nonlocal {
			r.errs.add(s.Start, s.End, "nonlocal declaration not allowed at module level", "")
		}
	}
}

func (r *resolver) exprs(xs []Expr) {
	for _, x := range xs {
		r.expr(x)
	}
}

func (r *resolver) expr(x Expr) {
	switch x := x.(type) {
	case nil:
	case *Name:
		r.lookup(x)
	case *FString:
		r.fparts(x.Parts)
	case *Unary:
		r.expr(x.X)
	case *Binary:
		r.expr(x.X)
		r.expr(x.Y)
	case *Logic:
		r.exprs(x.X)
	case *Compare:
		r.expr(x.X)
		r.exprs(x.Y)
	case *Call:
		r.expr(x.Fn)
		r.exprs(x.Args)
		for i := range x.Kw {
			r.expr(x.Kw[i].X)
		}
	case *Attr:
		r.expr(x.X)
	case *Index:
		r.expr(x.X)
		r.expr(x.I)
	case *Slice:
		r.expr(x.Lo)
		r.expr(x.Hi)
		r.expr(x.Step)
	case *List:
		r.exprs(x.Elts)
	case *Tuple:
		r.exprs(x.Elts)
	case *SetDisplay:
		r.exprs(x.Elts)
	case *Dict:
		r.exprs(x.Keys)
		r.exprs(x.Vals)
		x.Plain = plainKeys(x.Keys)
	case *Starred:
		r.expr(x.X)
	case *IfExp:
		r.expr(x.Cond)
		r.expr(x.X)
		r.expr(x.Y)
	case *Walrus:
		r.expr(x.X)
		r.lookup(x.Target)
	case *Lambda:
		r.function(x.Fn)
	case *Comp:
		r.comp(x)
	}
}

// plainKeys reports whether keys are different string literals.
func plainKeys(keys []Expr) bool {
	if len(keys) == 0 || len(keys) > 64 {
		return false
	}
	for i, k := range keys {
		c, ok := k.(*Const)
		if !ok {
			return false
		}
		s, ok := c.Value.(string)
		if !ok {
			return false
		}
		for _, o := range keys[:i] {
			if o.(*Const).Value == py.Value(s) {
				return false
			}
		}
	}
	return true
}

func (r *resolver) fparts(parts []FPart) {
	for i := range parts {
		r.expr(parts[i].X)
		r.fparts(parts[i].Spec)
	}
}

func (r *resolver) comp(c *Comp) {
	r.expr(c.Gens[0].Iter)
	s := newScope(r.cur, true)
	for i := range c.Gens {
		bindTargets(c.Gens[i].Target, s)
	}
	r.cur = s
	for i := range c.Gens {
		r.expr(c.Gens[i].Target)
		if i > 0 {
			r.expr(c.Gens[i].Iter)
		}
		r.exprs(c.Gens[i].Ifs)
	}
	r.expr(c.Elt)
	r.expr(c.Val)
	r.cur = s.outer
	c.Names = s.names
}

func (r *resolver) function(fn *Func) {
	for i := range fn.Params {
		r.expr(fn.Params[i].Default)
	}
	s := newScope(r.cur, false)
	for i := range fn.Params {
		s.declare(fn.Params[i].Name)
	}
	b := binder{s: s, r: r}
	b.stmts(fn.Body)
	b.expr(fn.Expr)
	r.cur = s
	r.stmts(fn.Body)
	r.expr(fn.Expr)
	r.cur = s.outer
	fn.Names = s.names
}

// bindTargets declares the names that a target binds.
func bindTargets(x Expr, s *scope) {
	switch x := x.(type) {
	case *Name:
		if !s.globals[x.ID] && !s.nonloc[x.ID] {
			s.declare(x.ID)
		}
	case *Tuple:
		for _, e := range x.Elts {
			bindTargets(e, s)
		}
	case *List:
		for _, e := range x.Elts {
			bindTargets(e, s)
		}
	case *Starred:
		bindTargets(x.X, s)
	}
}

// binder finds the local variables of a function: whatever is bound anywhere
// in its body, but for names declared global or nonlocal.
type binder struct {
	s *scope
	r *resolver
}

func (b *binder) stmts(body []Stmt) {
	for _, s := range body { // declarations first: they count for the whole body
		b.decl(s)
	}
	for _, s := range body {
		b.stmt(s)
	}
}

func (b *binder) decl(s Stmt) {
	switch s := s.(type) {
	case *ScopeDecl:
		for _, n := range s.Names {
			if s.Nonlocal {
				if b.s.nonloc == nil {
					b.s.nonloc = map[string]bool{}
				}
				found := false
				for o := b.s.outer; o != nil; o = o.outer {
					if _, ok := o.slots[n]; ok {
						found = true
					}
				}
				if !found {
					b.r.errs.add(s.Start, s.End, "no binding for nonlocal '"+n+"' found", "")
				}
				b.s.nonloc[n] = true
				continue
			}
			if b.s.globals == nil {
				b.s.globals = map[string]bool{}
			}
			b.s.globals[n] = true
		}
	case *If:
		b.decls(s.Body)
		b.decls(s.Else)
	case *For:
		b.decls(s.Body)
		b.decls(s.Else)
	case *While:
		b.decls(s.Body)
		b.decls(s.Else)
	case *With:
		b.decls(s.Body)
	case *Try:
		b.decls(s.Body)
		for i := range s.Handlers {
			b.decls(s.Handlers[i].Body)
		}
		b.decls(s.Else)
		b.decls(s.Final)
	}
}

func (b *binder) decls(body []Stmt) {
	for _, s := range body {
		b.decl(s)
	}
}

func (b *binder) bind(x Expr) {
	if x != nil {
		bindTargets(x, b.s)
		b.expr(x)
	}
}

func (b *binder) stmt(s Stmt) {
	switch s := s.(type) {
	case *ExprStmt:
		b.expr(s.X)
	case *Assign:
		b.expr(s.X)
		for _, t := range s.Targets {
			b.bind(t)
		}
	case *AnnAssign:
		b.expr(s.X)
		b.bind(s.Target)
	case *AugAssign:
		b.expr(s.X)
		b.bind(s.Target)
	case *For:
		b.expr(s.Iter)
		b.bind(s.Target)
		b.stmts(s.Body)
		b.stmts(s.Else)
	case *While:
		b.expr(s.Cond)
		b.stmts(s.Body)
		b.stmts(s.Else)
	case *If:
		b.expr(s.Cond)
		b.stmts(s.Body)
		b.stmts(s.Else)
	case *Def:
		bindTargets(s.Target, b.s)
		b.defaults(s.Fn)
	case *Return:
		b.expr(s.X)
	case *Del:
		for _, t := range s.Targets {
			b.bind(t)
		}
	case *Assert:
		b.expr(s.X)
		b.expr(s.Msg)
	case *Raise:
		b.expr(s.X)
		b.expr(s.Cause)
	case *Try:
		b.stmts(s.Body)
		for i := range s.Handlers {
			b.expr(s.Handlers[i].Type)
			if n := s.Handlers[i].Name; n != nil {
				bindTargets(n, b.s)
			}
			b.stmts(s.Handlers[i].Body)
		}
		b.stmts(s.Else)
		b.stmts(s.Final)
	case *With:
		for _, it := range s.Items {
			b.expr(it.X)
			b.bind(it.Target)
		}
		b.stmts(s.Body)
	case *Import:
		for i := range s.Names {
			bindTargets(s.Names[i].Target, b.s)
		}
	case *ImportFrom:
		for i := range s.Names {
			if t := s.Names[i].Target; t != nil {
				bindTargets(t, b.s)
			}
		}
	}
}

func (b *binder) defaults(fn *Func) {
	for i := range fn.Params {
		b.expr(fn.Params[i].Default)
	}
}

// expr looks for := in an expression; one inside a comprehension binds in the
// function around it.
func (b *binder) expr(x Expr) {
	Walk(x, func(x Expr) bool {
		switch x := x.(type) {
		case *Walrus:
			bindTargets(x.Target, b.s)
		case *Lambda:
			b.defaults(x.Fn)
			return false
		}
		return true
	})
}

// Walk calls f for x and, where f says so, for the expressions below it.
// The body of a lambda counts as below.
func Walk(x Expr, f func(Expr) bool) {
	if x == nil || !f(x) {
		return
	}
	walkAll := func(xs []Expr) {
		for _, e := range xs {
			Walk(e, f)
		}
	}
	switch x := x.(type) {
	case *FString:
		walkParts(x.Parts, f)
	case *Unary:
		Walk(x.X, f)
	case *Binary:
		Walk(x.X, f)
		Walk(x.Y, f)
	case *Logic:
		walkAll(x.X)
	case *Compare:
		Walk(x.X, f)
		walkAll(x.Y)
	case *Call:
		Walk(x.Fn, f)
		walkAll(x.Args)
		for i := range x.Kw {
			Walk(x.Kw[i].X, f)
		}
	case *Attr:
		Walk(x.X, f)
	case *Index:
		Walk(x.X, f)
		Walk(x.I, f)
	case *Slice:
		for _, e := range []Expr{x.Lo, x.Hi, x.Step} {
			if e != nil {
				Walk(e, f)
			}
		}
	case *List:
		walkAll(x.Elts)
	case *Tuple:
		walkAll(x.Elts)
	case *SetDisplay:
		walkAll(x.Elts)
	case *Dict:
		for i := range x.Vals {
			if x.Keys[i] != nil {
				Walk(x.Keys[i], f)
			}
			Walk(x.Vals[i], f)
		}
	case *Comp:
		for _, g := range x.Gens {
			Walk(g.Iter, f)
			Walk(g.Target, f)
			walkAll(g.Ifs)
		}
		Walk(x.Elt, f)
		if x.Val != nil {
			Walk(x.Val, f)
		}
	case *Lambda:
		for i := range x.Fn.Params {
			if d := x.Fn.Params[i].Default; d != nil {
				Walk(d, f)
			}
		}
		Walk(x.Fn.Expr, f)
	case *IfExp:
		Walk(x.Cond, f)
		Walk(x.X, f)
		Walk(x.Y, f)
	case *Starred:
		Walk(x.X, f)
	case *Walrus:
		Walk(x.X, f)
	}
}

func walkParts(parts []FPart, f func(Expr) bool) {
	for i := range parts {
		if parts[i].X != nil {
			Walk(parts[i].X, f)
		}
		walkParts(parts[i].Spec, f)
	}
}
