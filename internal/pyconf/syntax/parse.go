package syntax

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep expressions and statements nest, so that hostile
// text cannot exhaust the stack of the parser, nor of whoever walks the tree.
const maxDepth = 3000

// MaxText is the largest text that Parse accepts, in bytes.
const MaxText = 64 << 20

// parser is a recursive-descent parser with one token of look-ahead. A
// mistake unwinds to the statement by panicking with bailout; Parse never
// lets it out.
type parser struct {
	scanner
	tok     token
	prevEnd int32 // end of the token before tok
	depth   int
	inFunc  int
	inLoop  int
	names   map[string]string // interned identifiers
}

type bailout struct{}

// Parse parses a file. The error is Errors.
func Parse(text string) (*Module, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	m := &Module{Text: text}
	p.tok = p.next()
	m.Body = p.stmtList(func() bool { return p.tok.kind == tEOF })
	m.Doc = docOf(m.Body)
	if len(p.errs.list) == 0 {
		resolve(m.Body, p.errs)
	}
	if len(p.errs.list) > 0 {
		sort.SliceStable(p.errs.list, func(i, j int) bool { return p.errs.list[i].Start < p.errs.list[j].Start })
		return nil, Errors(p.errs.list)
	}
	return m, nil
}

// ParseExpr parses a single expression, as for eval. All its names are
// global.
func ParseExpr(text string) (x Expr, err error) {
	text = strings.Trim(text, " \t\r\n")
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	func() {
		defer p.recover()
		p.advance()
		x = p.exprList()
		if p.tok.kind == tNewline {
			p.advance()
		}
		if p.tok.kind != tEOF {
			p.fail("invalid syntax")
		}
	}()
	if len(p.errs.list) == 0 {
		resolve([]Stmt{&ExprStmt{Span: x.Range(), X: x}}, p.errs)
	}
	if len(p.errs.list) > 0 {
		return nil, Errors(p.errs.list)
	}
	return x, nil
}

func newParser(text string) (*parser, error) {
	p := &parser{names: map[string]string{}}
	p.errs = &errorList{}
	if len(text) > MaxText {
		return nil, Errors{{Msg: "file too large for a config"}}
	}
	p.text, p.end, p.bol = text, int32(len(text)), true
	if strings.HasPrefix(text, "\ufeff") {
		p.pos = 3
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, Errors{{Span: Span{int32(i), int32(i) + 1}, Msg: "source code cannot contain null bytes"}}
	}
	if !utf8.ValidString(text) {
		i := 0
		for i < len(text) {
			r, n := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			i += n
		}
		return nil, Errors{{Span: Span{int32(i), int32(i) + 1}, Msg: "text is not valid UTF-8", Hint: "save the file as UTF-8"}}
	}
	return p, nil
}

func (p *parser) recover() {
	if r := recover(); r != nil {
		if _, ok := r.(bailout); !ok {
			panic(r)
		}
	}
}

func (p *parser) advance() {
	p.prevEnd = p.tok.end
	p.tok = p.next()
	if p.tok.kind == tBad {
		panic(bailout{})
	}
}

// state is what has to be saved to try a parse.
type state struct {
	sc      scanner
	tok     token
	prevEnd int32
	depth   int
}

func (p *parser) save() state { return state{p.scanner, p.tok, p.prevEnd, p.depth} }

func (p *parser) restore(s state) {
	p.scanner, p.tok, p.prevEnd, p.depth = s.sc, s.tok, s.prevEnd, s.depth
}

// try runs f without reporting; when f fails, or says no, all is as before.
func (p *parser) try(f func() bool) (ok bool) {
	s := p.save()
	// f may close brackets and open others, in the places of those that are
	// open now.
	s.sc.open = slices.Clone(s.sc.open[:s.sc.nopen])
	p.quiet = true
	func() {
		defer p.recover()
		ok = f()
	}()
	p.quiet = s.sc.quiet
	if !ok {
		p.restore(s)
	}
	return ok
}

func (p *parser) failAt(at, end int32, msg, hint string) {
	if !p.quiet {
		p.errs.add(at, end, msg, hint)
	}
	panic(bailout{})
}

// fail reports a mistake at the current token.
func (p *parser) fail(msg string) { p.failHint(msg, "") }

func (p *parser) failHint(msg, hint string) {
	at, end := p.tok.start, p.tok.end
	switch p.tok.kind {
	case tNewline, tEOF:
		end = at
		if msg == "invalid syntax" {
			if p.tok.kind == tEOF {
				msg = "unexpected end of file"
			} else {
				msg = "unexpected end of line"
			}
		}
	case tIndent:
		msg = "unexpected indent"
	case tKeyword:
		if msg == "invalid syntax" {
			msg = "unexpected `" + p.tok.s + "`"
		}
	case tOp:
		if msg == "invalid syntax" {
			msg = "unexpected '" + p.tok.s + "'"
		}
	}
	p.failAt(at, end, msg, hint)
}

func (p *parser) enter() {
	p.depth++
	if p.depth > maxDepth {
		p.failAt(p.tok.start, p.tok.end, "nested too deeply", "")
	}
}

func (p *parser) leave() { p.depth-- }

func (p *parser) isOp(s string) bool { return p.tok.kind == tOp && p.tok.s == s }
func (p *parser) isKw(s string) bool { return p.tok.kind == tKeyword && p.tok.s == s }

func (p *parser) gotOp(s string) bool {
	if p.isOp(s) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) gotKw(s string) bool {
	if p.isKw(s) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) wantOp(s, after string) {
	if !p.gotOp(s) {
		p.failHint("expected '"+s+"'"+after, "")
	}
}

func (p *parser) wantKw(s string) {
	if !p.gotKw(s) {
		p.fail("expected `" + s + "`")
	}
}

func (p *parser) intern(s string) string {
	if v, ok := p.names[s]; ok {
		return v
	}
	p.names[s] = s
	return s
}

func (p *parser) ident(what string) (string, int32, int32) {
	if p.tok.kind != tName {
		if p.tok.kind == tKeyword {
			p.failHint("expected "+what+", found the keyword `"+p.tok.s+"`", "choose another name")
		}
		p.fail("expected " + what)
	}
	s, a, e := p.intern(p.tok.s), p.tok.start, p.tok.end
	p.advance()
	return s, a, e
}

func (p *parser) name(what string) *Name {
	s, a, e := p.ident(what)
	return &Name{Span: Span{a, e}, ID: s, Key: s}
}

// stmtList parses statements until done.
func (p *parser) stmtList(done func() bool) []Stmt {
	var out []Stmt
	for !done() && p.tok.kind != tEOF && len(p.errs.list) < maxErrors {
		out = p.oneLine(out)
	}
	return out
}

// oneLine parses one logical line, or one compound statement; a mistake in it
// is reported, and the rest of the line skipped.
func (p *parser) oneLine(out []Stmt) (res []Stmt) {
	depth, inFunc, inLoop := p.depth, p.inFunc, p.inLoop
	ok := false
	defer func() {
		if !ok {
			if r := recover(); r != nil {
				if _, b := r.(bailout); !b {
					panic(r)
				}
				if p.quiet {
					panic(r)
				}
				p.depth, p.inFunc, p.inLoop = depth, inFunc, inLoop
				p.skipLine()
				res = out
			}
		}
	}()
	res = p.statement(out)
	ok = true
	return res
}

// skipLine goes to the beginning of the next statement after a mistake, and
// over the block that belongs to the broken line.
func (p *parser) skipLine() {
	p.quiet = true // one mistake a line
	defer func() { p.quiet = false }()
	first := true
	for {
		if !first || p.tok.kind != tNewline && p.tok.kind != tBad {
			if p.tok.kind == tEOF {
				return
			}
		}
		if p.tok.kind == tNewline {
			break
		}
		first = false
		p.tok = p.next()
	}
	p.prevEnd = p.tok.end
	p.tok = p.next()
	for n := 0; ; {
		switch p.tok.kind {
		case tIndent:
			n++
		case tDedent:
			if n == 0 {
				return
			}
			n--
		case tEOF:
			return
		default:
			if n == 0 {
				if p.tok.kind == tBad {
					p.skipLine()
				}
				return
			}
		}
		p.tok = p.next()
		if n == 0 && p.tok.kind != tIndent {
			if p.tok.kind == tBad {
				p.skipLine()
			}
			return
		}
	}
}

func (p *parser) statement(out []Stmt) []Stmt {
	p.enter()
	defer p.leave()
	if p.tok.kind == tBad { // the scanner has reported it
		panic(bailout{})
	}
	if p.tok.kind == tIndent {
		// say so, and read the block as if it were not indented
		if p.quiet {
			panic(bailout{})
		}
		p.errs.add(p.tok.end, p.tok.end, "unexpected indent", "")
		p.advance()
		out = append(out, p.stmtList(func() bool { return p.tok.kind == tDedent })...)
		if p.tok.kind == tDedent {
			p.advance()
		}
		return out
	}
	if p.tok.kind == tKeyword {
		start := p.tok.start
		var s Stmt
		switch p.tok.s {
		case "if":
			s = p.ifStmt()
		case "for":
			s = p.forStmt()
		case "while":
			s = p.whileStmt()
		case "with":
			s = p.withStmt()
		case "def":
			s = p.defStmt()
		case "try":
			s = p.tryStmt()
		case "class", "async", "await":
			p.refuse(p.tok.s)
		case "elif", "else", "except", "finally":
			p.failHint("`"+p.tok.s+"` without the statement it belongs to", "check the indentation")
		}
		if s != nil {
			_ = start
			return append(out, s)
		}
	}
	if p.isOp("@") {
		p.failAt(p.tok.start, p.tok.end, "decorators are not part of the config dialect", "")
	}
	if p.tok.kind == tName && (p.tok.s == "match" || p.tok.s == "type") {
		p.softKeyword()
	}
	out = p.simpleLine(out)
	return out
}

// refusals say why, and what to write instead.
var refusals = map[string]string{
	"class": "a config holds data; write a dict or a function",
	"async": "", "await": "", "yield": "return a list instead",
	"match": "write if and elif",
}

func (p *parser) refuse(what string) {
	p.failAt(p.tok.start, p.tok.end, "`"+what+"` is not part of the config dialect", refusals[what])
}

// softKeyword refuses a match statement; a variable may be called match.
func (p *parser) softKeyword() {
	s := p.save()
	yes := p.try(func() bool {
		p.advance()
		switch p.tok.kind {
		case tName, tNumber, tString:
			return true
		case tOp:
			if p.tok.s != "(" && p.tok.s != "[" && p.tok.s != "{" && p.tok.s != "-" {
				return false
			}
			p.exprList()
			if !p.isOp(":") {
				return false
			}
			p.advance()
			return p.tok.kind == tNewline
		}
		return false
	})
	if yes {
		p.restore(s)
		if p.tok.s == "match" {
			p.refuse("match")
		}
		p.fail("invalid syntax")
	}
}

func (p *parser) simpleLine(out []Stmt) []Stmt {
	for {
		out = append(out, p.simple())
		if p.gotOp(";") {
			if p.tok.kind == tNewline {
				break
			}
			continue
		}
		break
	}
	if p.tok.kind != tNewline {
		if p.tok.kind == tEOF {
			return out
		}
		p.afterExpr(out[len(out)-1])
	}
	p.advance()
	return out
}

// afterExpr reports a token that cannot follow a statement.
func (p *parser) afterExpr(s Stmt) {
	if x, ok := s.(*ExprStmt); ok {
		if n, ok := x.X.(*Name); ok && p.tok.kind != tOp {
			switch n.ID {
			case "print", "exec":
				p.failAt(n.Start, n.End, "missing parentheses in call to '"+n.ID+"'", "write "+n.ID+"(…)")
			}
		}
	}
	if p.tok.kind == tName || p.tok.kind == tString || p.tok.kind == tNumber {
		p.fail("invalid syntax: a statement ends before this")
	}
	if p.isOp(":") {
		if x, ok := s.(*ExprStmt); ok {
			if n, ok := x.X.(*Name); ok {
				p.failHint("unexpected ':'", "is `"+n.ID+"` a keyword of another language?")
			}
		}
	}
	p.fail("invalid syntax")
}

func (p *parser) simple() Stmt {
	start := p.tok.start
	if p.tok.kind == tKeyword {
		switch p.tok.s {
		case "pass", "break", "continue":
			k := Pass
			switch p.tok.s {
			case "break":
				k = Break
			case "continue":
				k = Continue
			}
			if k != Pass && p.inLoop == 0 {
				p.fail("'" + p.tok.s + "' outside loop")
			}
			p.advance()
			return &Jump{Span{start, p.prevEnd}, k}
		case "return":
			if p.inFunc == 0 {
				p.fail("'return' outside function")
			}
			p.advance()
			var x Expr
			if !p.atLineEnd() {
				x = p.exprList()
			}
			return &Return{Span{start, p.prevEnd}, x}
		case "raise":
			p.advance()
			r := &Raise{}
			if !p.atLineEnd() {
				r.X = p.expr()
				if p.gotKw("from") {
					r.Cause = p.expr()
				}
			}
			r.Span = Span{start, p.prevEnd}
			return r
		case "del":
			p.advance()
			x := p.exprList()
			d := &Del{}
			if t, ok := x.(*Tuple); ok && !t.Paren {
				d.Targets = t.Elts
			} else {
				d.Targets = []Expr{x}
			}
			for _, t := range d.Targets {
				p.checkDel(t)
			}
			d.Span = Span{start, p.prevEnd}
			return d
		case "assert":
			p.advance()
			a := &Assert{X: p.expr()}
			if p.gotOp(",") {
				a.Msg = p.expr()
			}
			a.Span = Span{start, p.prevEnd}
			return a
		case "import":
			return p.importStmt()
		case "from":
			return p.fromStmt()
		case "global", "nonlocal":
			g := &ScopeDecl{Nonlocal: p.tok.s == "nonlocal"}
			p.advance()
			for {
				n, _, _ := p.ident("a name")
				g.Names = append(g.Names, n)
				if !p.gotOp(",") {
					break
				}
			}
			g.Span = Span{start, p.prevEnd}
			return g
		case "yield":
			p.refuse("yield")
		}
	}
	return p.exprStmt()
}

func (p *parser) atLineEnd() bool {
	return p.tok.kind == tNewline || p.tok.kind == tEOF || p.isOp(";")
}

var augOps = map[string]string{
	"+=": "+", "-=": "-", "*=": "*", "/=": "/", "//=": "//", "%=": "%", "**=": "**", "&=": "&", "|=": "|", "^=": "^",
	"<<=": "<<", ">>=": ">>", "@=": "@",
}

func (p *parser) exprStmt() Stmt {
	start := p.tok.start
	x := p.exprListStar()
	if p.tok.kind != tOp {
		return &ExprStmt{Span{start, p.prevEnd}, x}
	}
	switch p.tok.s {
	case "=":
		a := &Assign{}
		for p.gotOp("=") {
			p.checkTarget(x, true)
			a.Targets = append(a.Targets, x)
			if p.isKw("yield") {
				p.refuse("yield")
			}
			x = p.exprListStar()
		}
		a.X = x
		a.Span = Span{start, p.prevEnd}
		return a
	case ":":
		switch t := x.(type) {
		case *Name, *Attr, *Index:
		default:
			_ = t
			return &ExprStmt{Span{start, p.prevEnd}, x}
		}
		s := p.save()
		p.advance()
		if p.tok.kind == tNewline || p.tok.kind == tEOF {
			p.restore(s)
			return &ExprStmt{Span{start, p.prevEnd}, x}
		}
		p.expr()
		a := &AnnAssign{Target: x}
		if p.gotOp("=") {
			a.X = p.exprListStar()
		}
		a.Span = Span{start, p.prevEnd}
		return a
	}
	if op, ok := augOps[p.tok.s]; ok {
		switch x.(type) {
		case *Name, *Attr, *Index:
		default:
			r := x.Range()
			p.failAt(r.Start, r.End, "'"+describe(x)+"' is an illegal expression for augmented assignment", "")
		}
		p.advance()
		a := &AugAssign{Target: x, Op: op, X: p.exprListStar()}
		a.Span = Span{start, p.prevEnd}
		return a
	}
	return &ExprStmt{Span{start, p.prevEnd}, x}
}

// describe names a kind of expression as CPython's messages do.
func describe(x Expr) string {
	switch x := x.(type) {
	case *Const:
		switch v := x.Value.(type) {
		case nil:
			if x.Dots {
				return "ellipsis"
			}
			return "None"
		case bool:
			if v {
				return "True"
			}
			return "False"
		}
		return "literal"
	case *FString:
		return "f-string expression"
	case *Call:
		return "function call"
	case *Comp:
		return [...]string{"list comprehension", "set comprehension", "dict comprehension", "generator expression"}[x.Kind]
	case *Compare:
		return "comparison"
	case *Dict:
		return "dict literal"
	case *SetDisplay:
		return "set display"
	case *Lambda:
		return "lambda"
	case *IfExp:
		return "conditional expression"
	case *Tuple:
		return "tuple"
	case *List:
		return "list"
	case *Name:
		return "name"
	case *Attr:
		return "attribute"
	case *Index:
		return "subscript"
	case *Starred:
		return "starred"
	case *Walrus:
		return "named expression"
	}
	return "expression"
}

// checkTarget reports what cannot be assigned to.
func (p *parser) checkTarget(x Expr, top bool) {
	switch x := x.(type) {
	case *Name, *Attr, *Index:
		return
	case *Tuple:
		p.checkTargets(x.Elts)
		return
	case *List:
		p.checkTargets(x.Elts)
		return
	case *Starred:
		if !top {
			p.checkTarget(x.X, false)
			return
		}
		p.failAt(x.Start, x.End, "starred assignment target must be in a list or tuple", "")
	}
	r := x.Range()
	hint := ""
	switch x.(type) {
	case *Call, *Compare, *Binary, *Const:
		hint = "did you mean == instead of =?"
	}
	p.failAt(r.Start, r.End, "cannot assign to "+describe(x), hint)
}

func (p *parser) checkTargets(xs []Expr) {
	stars := 0
	for _, e := range xs {
		if s, ok := e.(*Starred); ok {
			stars++
			if stars > 1 {
				p.failAt(s.Start, s.End, "multiple starred expressions in assignment", "")
			}
		}
		p.checkTarget(e, false)
	}
}

func (p *parser) checkDel(x Expr) {
	switch x := x.(type) {
	case *Name, *Attr, *Index:
		return
	case *Tuple:
		for _, e := range x.Elts {
			p.checkDel(e)
		}
		return
	case *List:
		for _, e := range x.Elts {
			p.checkDel(e)
		}
		return
	}
	r := x.Range()
	p.failAt(r.Start, r.End, "cannot delete "+describe(x), "")
}

func docOf(body []Stmt) string {
	if len(body) > 0 {
		if e, ok := body[0].(*ExprStmt); ok {
			if c, ok := e.X.(*Const); ok {
				s, _ := c.Value.(string)
				return s
			}
		}
	}
	return ""
}
