package syntax

// Expressions.

// exprListStar parses `a, *b, c`: a tuple when there is a comma.
func (p *parser) exprListStar() Expr {
	if p.isKw("yield") {
		p.refuse("yield")
	}
	start := p.tok.start
	first := p.starOrNamed()
	if !p.isOp(",") {
		if s, ok := first.(*Starred); ok && !p.isOp("=") {
			p.failAt(s.Start, s.End, "can't use starred expression here", "write [*…] or (*…,)")
		}
		return first
	}
	t := &Tuple{Elts: []Expr{first}}
	for p.gotOp(",") {
		if !p.startsExpr() {
			break
		}
		t.Elts = append(t.Elts, p.starOrNamed())
	}
	t.Span = Span{start, p.prevEnd}
	t.Star = anyStar(t.Elts)
	return t
}

func (p *parser) exprList() Expr { return p.exprListStar() }

func anyStar(xs []Expr) bool {
	for _, x := range xs {
		if _, ok := x.(*Starred); ok {
			return true
		}
	}
	return false
}

func (p *parser) starOrNamed() Expr {
	if p.isOp("*") {
		start := p.tok.start
		p.advance()
		x := p.binary(precOr)
		return &Starred{Span{start, p.prevEnd}, x}
	}
	return p.namedExpr()
}

// startsExpr reports whether the token can begin an expression.
func (p *parser) startsExpr() bool {
	switch p.tok.kind {
	case tName, tNumber, tString:
		return true
	case tKeyword:
		switch p.tok.s {
		case "None", "True", "False", "not", "lambda", "await", "yield":
			return true
		}
	case tOp:
		switch p.tok.s {
		case "(", "[", "{", "-", "+", "~", "...", "*", "**":
			return true
		}
	}
	return false
}

// namedExpr is expr, or name := expr.
func (p *parser) namedExpr() Expr {
	x := p.expr()
	if p.isOp(":=") {
		n, ok := x.(*Name)
		if !ok {
			r := x.Range()
			p.failAt(r.Start, r.End, "cannot use assignment expressions with "+describe(x), "")
		}
		p.advance()
		v := p.expr()
		return &Walrus{Span{n.Start, p.prevEnd}, n, v}
	}
	return x
}

// expr is a conditional expression or a lambda.
func (p *parser) expr() Expr {
	p.enter()
	defer p.leave()
	start := p.tok.start
	if p.isKw("lambda") {
		return p.lambda()
	}
	x := p.or()
	if !p.isKw("if") {
		return x
	}
	p.advance()
	cond := p.or()
	if !p.isKw("else") {
		p.fail("expected `else` after `if` expression")
	}
	p.advance()
	y := p.expr()
	return &IfExp{Span{start, p.prevEnd}, cond, x, y}
}

func (p *parser) lambda() Expr {
	start := p.tok.start
	p.advance()
	fn := &Func{Name: "<lambda>", LambdaAt: true}
	p.params(fn, ":", false)
	p.wantOp(":", " after the parameters of a lambda")
	fn.Expr = p.expr()
	return &Lambda{Span{start, p.prevEnd}, fn}
}

func (p *parser) or() Expr  { return p.logic(false) }
func (p *parser) and() Expr { return p.logic(true) }

func (p *parser) logic(and bool) Expr {
	start := p.tok.start
	operand, kw := p.not, "and"
	if !and {
		operand, kw = p.and, "or"
	}
	x := operand()
	if !p.isKw(kw) {
		return x
	}
	l := &Logic{And: and, X: []Expr{x}}
	for p.gotKw(kw) {
		l.X = append(l.X, operand())
	}
	l.Span = Span{start, p.prevEnd}
	return l
}

func (p *parser) not() Expr {
	if !p.isKw("not") {
		return p.comparison()
	}
	p.enter()
	defer p.leave()
	start := p.tok.start
	p.advance()
	x := p.not()
	return &Unary{Span{start, p.prevEnd}, "not", x}
}

func (p *parser) comparison() Expr {
	start := p.tok.start
	x := p.binary(precOr)
	var c *Compare
	for {
		op := ""
		switch p.tok.kind {
		case tOp:
			switch p.tok.s {
			case "<", ">", "<=", ">=", "==", "!=":
				op = p.tok.s
			case "<>":
				p.failHint("invalid syntax", "write !=")
			}
		case tKeyword:
			switch p.tok.s {
			case "in", "is":
				op = p.tok.s
			case "not":
				op = "not in"
			}
		}
		if op == "" {
			break
		}
		p.advance()
		if op == "not in" {
			p.wantKw("in")
		} else if op == "is" && p.gotKw("not") {
			op = "is not"
		}
		if c == nil {
			c = &Compare{X: x}
		}
		c.Ops = append(c.Ops, op)
		c.Y = append(c.Y, p.binary(precOr))
	}
	if c == nil {
		return x
	}
	c.Span = Span{start, p.prevEnd}
	return c
}

// Precedences of the binary operators that are not comparisons.
const (
	precOr = iota + 1
	precXor
	precAnd
	precShift
	precSum
	precTerm
)

func precOf(op string) int {
	switch op {
	case "|":
		return precOr
	case "^":
		return precXor
	case "&":
		return precAnd
	case "<<", ">>":
		return precShift
	case "+", "-":
		return precSum
	case "*", "/", "//", "%", "@":
		return precTerm
	}
	return 0
}

// binary parses operators that bind at least as tightly as min.
func (p *parser) binary(min int) Expr {
	start := p.tok.start
	x := p.unary()
	n := 0
	for p.tok.kind == tOp {
		prec := precOf(p.tok.s)
		if prec < min || prec == 0 {
			break
		}
		// a long chain makes a deep tree: count it as depth
		n++
		p.enter()
		op, at := p.tok.s, p.tok.start
		p.advance()
		y := p.binary(prec + 1)
		x = &Binary{Span{start, p.prevEnd}, op, at, x, y}
	}
	p.depth -= n
	return x
}

func (p *parser) unary() Expr {
	if p.tok.kind == tOp {
		switch p.tok.s {
		case "-", "+", "~":
			p.enter()
			start, op := p.tok.start, p.tok.s
			p.advance()
			x := p.unary()
			p.leave()
			return foldSign(&Unary{Span{start, p.prevEnd}, op, x})
		}
	}
	return p.power()
}

// foldSign makes a literal of the negation of one.
func foldSign(u *Unary) Expr {
	if c, ok := u.X.(*Const); ok && u.Op == "-" && !c.Imag {
		switch v := c.Value.(type) {
		case int:
			return &Const{Span: u.Span, Value: -v}
		case float64:
			return &Const{Span: u.Span, Value: -v}
		}
	}
	return u
}

func (p *parser) power() Expr {
	start := p.tok.start
	if p.isKw("await") {
		p.refuse("await")
	}
	x := p.primary()
	if p.isOp("**") {
		p.enter()
		at := p.tok.start
		p.advance()
		y := p.unary()
		p.leave()
		return &Binary{Span{start, p.prevEnd}, "**", at, x, y}
	}
	return x
}

func (p *parser) primary() Expr {
	start := p.tok.start
	x := p.atom()
	n := 0
	for p.tok.kind == tOp {
		switch p.tok.s {
		case ".":
			p.advance()
			name, at, _ := p.ident("an attribute name")
			x = &Attr{Span{start, p.prevEnd}, x, name, at}
		case "(":
			x = p.call(start, x)
		case "[":
			x = p.subscript(start, x)
		default:
			p.depth -= n
			return x
		}
		n++
		p.enter()
	}
	p.depth -= n
	return x
}

func (p *parser) call(start int32, fn Expr) Expr {
	c := &Call{Fn: fn, Simple: true}
	p.advance()
	for !p.isOp(")") {
		at := p.tok.start
		switch {
		case p.isOp("*"):
			p.advance()
			x := p.expr()
			c.Args = append(c.Args, &Starred{Span{at, p.prevEnd}, x})
			c.Simple = false
		case p.isOp("**"):
			p.advance()
			c.Kw = append(c.Kw, Keyword{At: at, X: p.expr()})
			c.Simple = false
		default:
			p.arg(c)
		}
		if !p.gotOp(",") {
			break
		}
	}
	if !p.isOp(")") {
		p.missingComma("argument")
	}
	p.advance()
	c.Span = Span{start, p.prevEnd}
	return c
}

// arg parses one positional or named argument.
func (p *parser) arg(c *Call) {
	at := p.tok.start
	if (p.tok.kind == tName || p.tok.kind == tKeyword) && p.assignFollows() {
		t := p.tok
		if t.kind == tKeyword {
			p.failHint("expected an argument name, found the keyword `"+t.s+"`", "write **{'"+t.s+"': …}")
		}
		name := p.intern(t.s)
		p.advance()
		p.advance()
		for i := range c.Kw {
			if c.Kw[i].Name == name {
				p.failAt(t.start, t.end, "keyword argument repeated: "+name, "")
			}
		}
		if p.isOp(",") || p.isOp(")") {
			p.failAt(t.start, p.tok.start, "expected argument value expression", "")
		}
		c.Kw = append(c.Kw, Keyword{Name: name, Key: name, At: at, X: p.expr()})
		return
	}
	x := p.namedExpr()
	if p.isKw("for") {
		x = p.comp(GenExp, x.Range().Start, x, nil)
		if len(c.Args) > 0 || p.isOp(",") && !p.lastComma() {
			r := x.Range()
			p.failAt(r.Start, r.End, "Generator expression must be parenthesized", "")
		}
	} else if p.isOp("=") {
		r := x.Range()
		p.failAt(r.Start, r.End, "expression cannot contain assignment, perhaps you meant \"==\"?", "")
	}
	if len(c.Kw) > 0 {
		r := x.Range()
		for _, k := range c.Kw {
			if k.Name == "" {
				p.failAt(r.Start, r.End, "positional argument follows keyword argument unpacking", "")
			}
		}
		p.failAt(r.Start, r.End, "positional argument follows keyword argument", "")
	}
	c.Args = append(c.Args, x)
}

// assignFollows reports whether the token behind the current one is "=".
func (p *parser) assignFollows() bool {
	for i := p.pos; i < p.end; i++ {
		switch p.text[i] {
		case ' ', '\t', '\f', '\n', '\r':
		case '=':
			return i+1 >= p.end || p.text[i+1] != '='
		case '#', '\\':
			s := p.save()
			defer p.restore(s)
			p.quiet = true
			t := p.next()
			return t.kind == tOp && t.s == "="
		default:
			return false
		}
	}
	return false
}

// lastComma reports whether the comma is the last thing before the bracket.
func (p *parser) lastComma() (yes bool) {
	s := p.save()
	p.try(func() bool {
		p.advance()
		yes = p.isOp(")")
		return false
	})
	p.restore(s)
	return yes
}

// missingComma reports what stands where a comma or the closing bracket
// should.
func (p *parser) missingComma(what string) {
	if p.tok.kind == tName || p.tok.kind == tString || p.tok.kind == tNumber || p.isOp("(") || p.isOp("{") || p.isOp("[") || p.tok.kind == tKeyword {
		// mark the end of what stands before
		end := p.prevEnd
		p.failAt(end-1, end, "invalid syntax: perhaps a comma is missing after this "+what, "")
	}
	if p.tok.kind == tEOF || p.tok.kind == tNewline {
		p.fail("invalid syntax")
	}
	if p.isOp("=") {
		p.failHint("unexpected '='", "inside brackets a value follows ':' in {…} and '=' only in dict(…)")
	}
	if p.isOp(":") {
		p.failHint("unexpected ':'", "inside dict(…) write name=value")
	}
	p.fail("invalid syntax")
}

func (p *parser) subscript(start int32, x Expr) Expr {
	p.advance()
	at := p.tok.start
	first := p.sliceItem()
	if p.isOp(",") {
		t := &Tuple{Elts: []Expr{first}}
		for p.gotOp(",") {
			if p.isOp("]") {
				break
			}
			t.Elts = append(t.Elts, p.sliceItem())
		}
		t.Span = Span{at, p.prevEnd}
		t.Star = anyStar(t.Elts)
		first = t
	}
	if !p.isOp("]") {
		p.missingComma("index")
	}
	p.advance()
	return &Index{Span{start, p.prevEnd}, x, first}
}

func (p *parser) sliceItem() Expr {
	start := p.tok.start
	var lo Expr
	if !p.isOp(":") {
		lo = p.starOrNamed()
		if !p.isOp(":") {
			return lo
		}
	}
	s := &Slice{Lo: lo}
	p.advance()
	if !p.isOp(":") && !p.isOp("]") && !p.isOp(",") {
		s.Hi = p.expr()
	}
	if p.gotOp(":") {
		if !p.isOp("]") && !p.isOp(",") {
			s.Step = p.expr()
		}
	}
	s.Span = Span{start, p.prevEnd}
	return s
}

func (p *parser) atom() Expr {
	t := p.tok
	switch t.kind {
	case tName:
		return p.name("a name")
	case tNumber:
		p.advance()
		return p.number(t)
	case tString:
		return p.strings()
	case tKeyword:
		var v any
		switch t.s {
		case "None":
		case "True":
			v = true
		case "False":
			v = false
		case "yield", "await", "async", "class":
			p.refuse(t.s)
		case "lambda":
			return p.lambda()
		default:
			p.fail("invalid syntax")
		}
		p.advance()
		return &Const{Span: Span{t.start, t.end}, Value: v}
	case tOp:
		switch t.s {
		case "(":
			return p.paren()
		case "[":
			return p.list()
		case "{":
			return p.braces()
		case "...":
			p.advance()
			return &Const{Span: Span{t.start, t.end}, Dots: true}
		}
	}
	p.fail("invalid syntax")
	return nil
}

func (p *parser) paren() Expr {
	p.enter()
	defer p.leave()
	start := p.tok.start
	p.advance()
	if p.gotOp(")") {
		return &Tuple{Span: Span{start, p.prevEnd}, Paren: true}
	}
	if p.isKw("yield") {
		p.refuse("yield")
	}
	x := p.starOrNamed()
	if p.isKw("for") {
		g := p.comp(GenExp, start, x, nil)
		p.closing(")")
		g.Span = Span{start, p.prevEnd}
		return g
	}
	if p.isOp(",") {
		t := &Tuple{Elts: []Expr{x}, Paren: true}
		for p.gotOp(",") {
			if p.isOp(")") {
				break
			}
			t.Elts = append(t.Elts, p.starOrNamed())
		}
		p.closing(")")
		t.Span = Span{start, p.prevEnd}
		t.Star = anyStar(t.Elts)
		return t
	}
	p.closing(")")
	if s, ok := x.(*Starred); ok {
		p.failAt(s.Start, s.End, "cannot use starred expression here", "")
	}
	return x
}

func (p *parser) closing(c string) {
	if !p.isOp(c) {
		p.missingComma("element")
	}
	p.advance()
}

func (p *parser) list() Expr {
	p.enter()
	defer p.leave()
	start := p.tok.start
	p.advance()
	l := &List{}
	if !p.isOp("]") {
		x := p.starOrNamed()
		if p.isKw("for") {
			c := p.comp(ListComp, start, x, nil)
			p.closing("]")
			c.Span = Span{start, p.prevEnd}
			return c
		}
		l.Elts = append(l.Elts, x)
		for p.gotOp(",") {
			if p.isOp("]") {
				break
			}
			l.Elts = append(l.Elts, p.starOrNamed())
		}
	}
	p.closing("]")
	l.Span = Span{start, p.prevEnd}
	l.Star = anyStar(l.Elts)
	return l
}

func (p *parser) braces() Expr {
	p.enter()
	defer p.leave()
	start := p.tok.start
	p.advance()
	if p.gotOp("}") {
		return &Dict{Span: Span{start, p.prevEnd}}
	}
	if p.isOp("**") {
		return p.dict(start, nil, nil)
	}
	x := p.starOrNamed()
	if p.isOp(":") {
		p.advance()
		v := p.expr()
		if p.isKw("for") {
			c := p.comp(DictComp, start, x, v)
			p.closing("}")
			c.Span = Span{start, p.prevEnd}
			return c
		}
		return p.dict(start, x, v)
	}
	if p.isKw("for") {
		c := p.comp(SetComp, start, x, nil)
		p.closing("}")
		c.Span = Span{start, p.prevEnd}
		return c
	}
	s := &SetDisplay{Elts: []Expr{x}}
	for p.gotOp(",") {
		if p.isOp("}") {
			break
		}
		s.Elts = append(s.Elts, p.starOrNamed())
		if p.isOp(":") {
			p.failHint("unexpected ':'", "a set and a dict cannot be mixed in one {…}")
		}
	}
	p.closing("}")
	s.Span = Span{start, p.prevEnd}
	return s
}

// dict parses the rest of a dict display behind its first entry, if any.
func (p *parser) dict(start int32, k, v Expr) Expr {
	d := &Dict{}
	if k != nil {
		d.Keys, d.Vals = append(d.Keys, k), append(d.Vals, v)
		if !p.gotOp(",") {
			p.closing("}")
			d.Span = Span{start, p.prevEnd}
			return d
		}
	}
	for !p.isOp("}") {
		if p.gotOp("**") {
			d.Keys, d.Vals = append(d.Keys, nil), append(d.Vals, p.binary(precOr))
		} else {
			k := p.expr()
			if !p.isOp(":") {
				if p.isOp("=") {
					p.failHint("unexpected '='", "inside {…} write 'key': value, or use dict(key=value)")
				}
				p.failHint("expected ':' after dictionary key", "")
			}
			p.advance()
			if p.isOp("}") || p.isOp(",") {
				p.fail("expression expected after dictionary key and ':'")
			}
			d.Keys, d.Vals = append(d.Keys, k), append(d.Vals, p.expr())
			if p.isKw("for") {
				p.fail("dict comprehension cannot follow other entries")
			}
		}
		if !p.gotOp(",") {
			break
		}
	}
	p.closing("}")
	d.Span = Span{start, p.prevEnd}
	return d
}

// comp parses the `for … in … if …` clauses of a comprehension.
func (p *parser) comp(kind CompKind, start int32, elt, val Expr) *Comp {
	if s, ok := elt.(*Starred); ok {
		p.failAt(s.Start, s.End, "iterable unpacking cannot be used in comprehension", "")
	}
	c := &Comp{Kind: kind, Elt: elt, Val: val}
	for p.isKw("for") || p.isKw("async") {
		if p.isKw("async") {
			p.refuse("async")
		}
		p.advance()
		g := Gen{Target: p.targetList()}
		p.wantKw("in")
		g.Iter = p.or()
		for p.gotKw("if") {
			g.Ifs = append(g.Ifs, p.compCond())
		}
		c.Gens = append(c.Gens, g)
		p.enter()
		defer p.leave()
	}
	c.Span = Span{start, p.prevEnd}
	return c
}

// compCond is a condition: no bare `if … else`, but a walrus is allowed.
func (p *parser) compCond() Expr {
	if p.isKw("lambda") {
		return p.lambda()
	}
	x := p.or()
	if p.isOp(":=") {
		if n, ok := x.(*Name); ok {
			p.advance()
			v := p.or()
			return &Walrus{Span{n.Start, p.prevEnd}, n, v}
		}
	}
	return x
}
