package syntax

// Compound statements and imports.

// block parses `: NEWLINE INDENT … DEDENT` or `: simple; simple`.
func (p *parser) block(what string) []Stmt {
	if !p.isOp(":") {
		if p.isOp("=") {
			p.failHint("unexpected '='", "did you mean ==?")
		}
		p.fail("expected ':' after " + what)
	}
	p.advance()
	if p.tok.kind != tNewline {
		return p.simpleLine(nil)
	}
	p.advance()
	if p.tok.kind != tIndent {
		p.failAt(p.tok.start, p.tok.end, "expected an indented block after "+what, "")
	}
	p.advance()
	body := p.stmtList(func() bool { return p.tok.kind == tDedent })
	if p.tok.kind == tDedent {
		p.advance()
	}
	return body
}

// spanTo ends a compound statement's span at its header: what a message about
// the statement should mark.
func (p *parser) ifStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &If{Cond: p.namedExpr()}
	n.Span = Span{start, p.prevEnd}
	n.Body = p.block("`if` condition")
	if p.isKw("elif") {
		p.enter()
		n.Else = []Stmt{p.ifStmt()}
		p.leave()
	} else if p.gotKw("else") {
		n.Else = p.block("`else`")
	}
	return n
}

func (p *parser) loopBody(what string) []Stmt {
	p.inLoop++
	b := p.block(what)
	p.inLoop--
	return b
}

func (p *parser) forStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &For{Target: p.targetList()}
	p.wantKw("in")
	n.Iter = p.exprListStar()
	n.Span = Span{start, p.prevEnd}
	n.Body = p.loopBody("`for` statement")
	if p.gotKw("else") {
		n.Else = p.block("`else`")
	}
	return n
}

func (p *parser) whileStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &While{Cond: p.namedExpr()}
	n.Span = Span{start, p.prevEnd}
	n.Body = p.loopBody("`while` condition")
	if p.gotKw("else") {
		n.Else = p.block("`else`")
	}
	return n
}

// targetList parses the targets of a for, which end at `in`.
func (p *parser) targetList() Expr {
	start := p.tok.start
	first := p.target()
	if !p.isOp(",") {
		p.checkTarget(first, true)
		return first
	}
	t := &Tuple{Elts: []Expr{first}}
	for p.gotOp(",") {
		if p.isKw("in") || p.isOp("=") {
			break
		}
		t.Elts = append(t.Elts, p.target())
	}
	t.Span = Span{start, p.prevEnd}
	p.checkTarget(t, true)
	return t
}

func (p *parser) target() Expr {
	if p.isOp("*") {
		start := p.tok.start
		p.advance()
		x := p.binary(precOr)
		return &Starred{Span{start, p.prevEnd}, x}
	}
	return p.binary(precOr)
}

func (p *parser) withStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &With{}
	// with (a as b, c as d): the brackets may also belong to an expression
	if p.isOp("(") && p.try(func() bool {
		p.advance()
		for !p.isOp(")") {
			p.withItem(n)
			if !p.gotOp(",") {
				break
			}
		}
		if len(n.Items) == 0 || !p.gotOp(")") {
			return false
		}
		return p.isOp(":")
	}) {
		n.Span = Span{start, p.prevEnd}
	} else {
		n.Items = nil
		for {
			p.withItem(n)
			if !p.gotOp(",") {
				break
			}
		}
		n.Span = Span{start, p.prevEnd}
	}
	n.Body = p.block("`with` statement")
	return n
}

func (p *parser) withItem(n *With) {
	it := WithItem{X: p.expr()}
	if p.gotKw("as") {
		it.Target = p.target()
		p.checkTarget(it.Target, true)
	}
	n.Items = append(n.Items, it)
}

func (p *parser) tryStmt() Stmt {
	start := p.tok.start
	n := &Try{Span: Span{start, p.tok.end}}
	p.advance()
	n.Body = p.block("`try`")
	for p.isKw("except") {
		h := Handler{At: p.tok.start}
		p.advance()
		if p.isOp("*") {
			p.failAt(p.tok.start, p.tok.end, "`except*` is not part of the config dialect", "")
		}
		if !p.isOp(":") {
			h.Type = p.expr()
			if p.isOp(",") {
				p.failHint("multiple exception types must be parenthesized", "write except (A, B):")
			}
			if p.gotKw("as") {
				h.Name = p.name("a name")
			}
		} else if len(n.Handlers) > 0 && n.Handlers[len(n.Handlers)-1].Type == nil {
			p.fail("default 'except:' must be last")
		}
		h.Body = p.block("`except`")
		n.Handlers = append(n.Handlers, h)
	}
	if len(n.Handlers) > 0 && p.gotKw("else") {
		n.Else = p.block("`else`")
	}
	final := p.gotKw("finally")
	if final {
		n.Final = p.block("`finally`")
	}
	if len(n.Handlers) == 0 && !final {
		p.failAt(p.tok.start, p.tok.end, "expected 'except' or 'finally' block", "")
	}
	return n
}

func (p *parser) defStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &Def{Target: p.name("a function name")}
	fn := &Func{Name: n.Target.ID}
	n.Fn = fn
	if !p.gotOp("(") {
		p.fail("expected '('")
	}
	p.params(fn, ")", true)
	p.wantOp(")", "")
	if p.gotOp("->") {
		p.expr()
	}
	n.Span = Span{start, p.prevEnd}
	loop, depth := p.inLoop, p.depth
	p.inFunc++
	p.inLoop = 0
	fn.Body = p.block("function definition")
	p.inFunc--
	p.inLoop, p.depth = loop, depth
	fn.Doc = docOf(fn.Body)
	return n
}

// params parses parameters up to the closing token.
func (p *parser) params(fn *Func, end string, notes bool) {
	fn.VarArg, fn.KwArg = -1, -1
	seen := map[string]bool{}
	star, defaulted := false, false
	for !p.isOp(end) {
		prm := Param{At: p.tok.start, Kind: ByPosOrName}
		if star {
			prm.Kind = ByName
		}
		switch {
		case p.isOp("/"):
			if len(fn.Params) == 0 || star || fn.NumOnly > 0 {
				p.fail("invalid syntax")
			}
			for i := range fn.Params {
				fn.Params[i].Kind = ByPos
			}
			fn.NumOnly = len(fn.Params)
			p.advance()
			if !p.gotOp(",") && !p.isOp(end) {
				p.fail("expected ','")
			}
			continue
		case p.isOp("*"):
			if star {
				p.fail("* argument may appear only once")
			}
			star = true
			p.advance()
			if p.isOp(",") {
				p.advance()
				if p.isOp(end) || p.isOp("**") {
					p.fail("named arguments must follow bare *")
				}
				continue
			}
			if p.isOp(end) {
				p.fail("named arguments must follow bare *")
			}
			prm.Kind = VarArgs
		case p.isOp("**"):
			p.advance()
			prm.Kind = KwArgs
		}
		prm.Name, _, _ = p.ident("a parameter name")
		if seen[prm.Name] {
			p.failAt(prm.At, p.prevEnd, "duplicate argument '"+prm.Name+"' in function definition", "")
		}
		seen[prm.Name] = true
		if notes && p.gotOp(":") {
			prm.Note = p.expr()
		}
		if p.isOp("=") {
			if prm.Kind == VarArgs || prm.Kind == KwArgs {
				p.fail("a starred parameter cannot have a default value")
			}
			p.advance()
			prm.Default = p.expr()
			defaulted = defaulted || prm.Kind == ByPosOrName
		} else if defaulted && prm.Kind == ByPosOrName {
			p.failAt(prm.At, p.prevEnd, "non-default argument follows default argument", "")
		}
		switch prm.Kind {
		case VarArgs:
			fn.VarArg = len(fn.Params)
		case KwArgs:
			fn.KwArg = len(fn.Params)
		case ByPosOrName:
			fn.NumPos = len(fn.Params) + 1
		}
		fn.Params = append(fn.Params, prm)
		if !p.gotOp(",") {
			break
		}
		if prm.Kind == KwArgs && !p.isOp(end) {
			p.fail("arguments cannot follow var-keyword argument")
		}
	}
	fn.NumPos = max(fn.NumPos, fn.NumOnly)
}

// dotted parses a.b.c.
func (p *parser) dotted(what string) (string, int32, int32) {
	s, a, e := p.ident(what)
	for p.isOp(".") {
		p.advance()
		var n string
		n, _, e = p.ident("a name after '.'")
		s += "." + n
	}
	return p.intern(s), a, e
}

func (p *parser) importStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &Import{}
	for {
		var a Alias
		a.Name, a.At, a.End = p.dotted("a module name")
		if p.gotKw("as") {
			a.Target = p.name("a name")
			a.As = a.Target.ID
		} else {
			root := a.Name
			for i := 0; i < len(root); i++ {
				if root[i] == '.' {
					root = root[:i]
					break
				}
			}
			a.Target = &Name{Span: Span{a.At, a.At + int32(len(root))}, ID: root, Key: root}
		}
		n.Names = append(n.Names, a)
		if !p.gotOp(",") {
			break
		}
	}
	n.Span = Span{start, p.prevEnd}
	return n
}

func (p *parser) fromStmt() Stmt {
	start := p.tok.start
	p.advance()
	n := &ImportFrom{ModAt: p.tok.start}
	for p.isOp(".") || p.isOp("...") {
		n.Level += len(p.tok.s)
		p.advance()
	}
	n.ModEnd = p.prevEnd
	if p.tok.kind == tName {
		n.Module, _, n.ModEnd = p.dotted("a module name")
	} else if n.Level == 0 {
		p.fail("expected a module name")
	} else if !p.isKw("import") {
		p.failHint("expected a module name or `import`", moduleHint(p.tok))
	}
	if !p.isKw("import") {
		p.failHint("expected `import`", moduleHint(p.tok))
	}
	p.advance()
	if p.isOp("*") {
		n.Names = []Alias{{Name: "*", At: p.tok.start, End: p.tok.end}}
		p.advance()
		n.Span = Span{start, p.prevEnd}
		return n
	}
	paren := p.gotOp("(")
	for {
		var a Alias
		a.Name, a.At, a.End = p.ident("a name to import")
		if p.gotKw("as") {
			a.Target = p.name("a name")
			a.As = a.Target.ID
		} else {
			a.Target = &Name{Span: Span{a.At, a.End}, ID: a.Name, Key: a.Name}
		}
		n.Names = append(n.Names, a)
		if !p.gotOp(",") {
			break
		}
		if paren && p.isOp(")") {
			break
		}
		if !paren && p.tok.kind == tNewline {
			p.failHint("trailing comma not allowed without surrounding parentheses", "")
		}
	}
	if paren {
		p.wantOp(")", " or ',' after a name to import")
	}
	n.Span = Span{start, p.prevEnd}
	return n
}

// moduleHint explains a module name that is not made of identifiers.
func moduleHint(t token) string {
	if t.kind == tOp && t.s == "-" || t.kind == tNumber || t.kind == tKeyword {
		return "a part of a module name must be an identifier: letters, digits and _, not beginning with a digit"
	}
	return ""
}
