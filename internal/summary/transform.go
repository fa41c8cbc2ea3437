package summary

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sextant/internal/py"
)

// transform is a parsed expression in x, as summary groups have them:
// "min(100, max(0, (1-x)*100))". Supported: numbers, x, + - * / // % **,
// unary + and -, comparisons, and/or/not, "a if c else b", parentheses, and
// the functions abs, min, max, round, float, int. Python's precedence.
type transform struct{ root expr }

type expr func(x float64) (float64, error)

var errDivision = errors.New("division by zero")

// parseTransform parses text; "lambda x: …" is taken as its body.
func parseTransform(text string) (*transform, error) {
	t := strings.TrimSpace(text)
	if body, ok := strings.CutPrefix(t, "lambda x:"); ok {
		t = body
	}
	p := &exprParser{s: t}
	p.next()
	e, err := p.ternary(0)
	if err == nil && p.tok != "" {
		err = fmt.Errorf("unexpected %q", p.tok)
	}
	if err == nil && p.err != nil {
		err = p.err
	}
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, text)
	}
	return &transform{e}, nil
}

func (t *transform) eval(x float64) (float64, error) { return t.root(x) }

type exprParser struct {
	s   string
	tok string
	err error
}

// maxDepth bounds the nesting of an expression.
const maxDepth = 200

func (p *exprParser) next() {
	p.s = strings.TrimLeft(p.s, " \t\n")
	if p.s == "" {
		p.tok = ""
		return
	}
	n := 1
	isNum := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == '_' }
	isName := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
	switch c := p.s[0]; {
	case isNum(c) && c != '_':
		for n < len(p.s) && (isNum(p.s[n]) || p.s[n]|0x20 == 'e' || (p.s[n] == '-' || p.s[n] == '+') && p.s[n-1]|0x20 == 'e') {
			n++
		}
	case isName(c):
		for n < len(p.s) && (isName(p.s[n]) || p.s[n] >= '0' && p.s[n] <= '9') {
			n++
		}
	default:
		for _, op := range []string{"**", "//", "<=", ">=", "==", "!="} {
			if strings.HasPrefix(p.s, op) {
				n = 2
			}
		}
	}
	p.tok, p.s = p.s[:n], p.s[n:]
}

func (p *exprParser) expect(tok string) error {
	if p.tok != tok {
		if p.tok == "" {
			return fmt.Errorf("%q missing", tok)
		}
		return fmt.Errorf("%q where %q should stand", p.tok, tok)
	}
	p.next()
	return nil
}

func (p *exprParser) ternary(depth int) (expr, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	a, err := p.binary(0, depth)
	if err != nil || p.tok != "if" {
		return a, err
	}
	p.next()
	c, err := p.binary(0, depth)
	if err != nil {
		return nil, err
	}
	if err := p.expect("else"); err != nil {
		return nil, err
	}
	b, err := p.ternary(depth + 1)
	if err != nil {
		return nil, err
	}
	return func(x float64) (float64, error) {
		v, err := c(x)
		if err != nil {
			return 0, err
		}
		if v != 0 {
			return a(x)
		}
		return b(x)
	}, nil
}

// precedence of the binary operators; `not` stands between and and the
// comparisons, unary minus above the products.
var precedence = map[string]int{
	"or": 1, "and": 2, "<": 3, "<=": 3, ">": 3, ">=": 3, "==": 3, "!=": 3,
	"+": 4, "-": 4, "*": 5, "/": 5, "//": 5, "%": 5,
}

func (p *exprParser) binary(level, depth int) (expr, error) {
	left, err := p.unary(level, depth)
	for err == nil {
		op, prec := p.tok, precedence[p.tok]
		if prec == 0 || prec <= level {
			return left, nil
		}
		if prec == 3 && level < 3 {
			// a chained comparison (a < b < c) would mean something else here
			p.next()
			var right expr
			if right, err = p.binary(3, depth+1); err != nil {
				return nil, err
			}
			if precedence[p.tok] == 3 {
				return nil, errors.New("chained comparison is not supported")
			}
			left = apply(op, left, right)
			continue
		}
		p.next()
		var right expr
		if right, err = p.binary(prec, depth+1); err == nil {
			left = apply(op, left, right)
		}
	}
	return nil, err
}

func (p *exprParser) unary(level, depth int) (expr, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	switch p.tok {
	case "not":
		if level >= 3 {
			return nil, errors.New(`unexpected "not"`)
		}
		p.next()
		e, err := p.binary(2, depth+1)
		if err != nil {
			return nil, err
		}
		return func(x float64) (float64, error) {
			v, err := e(x)
			return truth(v == 0), err
		}, nil
	case "-", "+":
		neg := p.tok == "-"
		p.next()
		e, err := p.unary(9, depth+1)
		if err != nil || !neg {
			return e, err
		}
		return func(x float64) (float64, error) {
			v, err := e(x)
			return -v, err
		}, nil
	}
	base, err := p.primary(depth)
	if err != nil || p.tok != "**" {
		return base, err
	}
	p.next()
	exp, err := p.unary(9, depth+1)
	if err != nil {
		return nil, err
	}
	return apply("**", base, exp), nil
}

func (p *exprParser) primary(depth int) (expr, error) {
	tok := p.tok
	switch {
	case tok == "":
		return nil, errors.New("unexpected end")
	case tok == "(":
		p.next()
		e, err := p.ternary(depth + 1)
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case tok == "x":
		p.next()
		return func(x float64) (float64, error) { return x, nil }, nil
	case tok[0] >= '0' && tok[0] <= '9' || tok[0] == '.':
		f, ok := parseFloat(tok)
		if !ok {
			return nil, fmt.Errorf("bad number %q", tok)
		}
		p.next()
		return func(float64) (float64, error) { return f, nil }, nil
	}
	fn, ok := exprFuncs[tok]
	if !ok {
		return nil, fmt.Errorf("unexpected %q", tok)
	}
	p.next()
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var args []expr
	for p.tok != ")" {
		a, err := p.ternary(depth + 1)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if p.tok != "," {
			break
		}
		p.next()
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if len(args) < fn.min || len(args) > fn.max {
		return nil, fmt.Errorf("%s with %d arguments", tok, len(args))
	}
	return func(x float64) (float64, error) {
		v := make([]float64, len(args))
		for i, a := range args {
			var err error
			if v[i], err = a(x); err != nil {
				return 0, err
			}
		}
		return fn.call(v)
	}, nil
}

var exprFuncs = map[string]struct {
	min, max int
	call     func(v []float64) (float64, error)
}{
	"abs":   {1, 1, func(v []float64) (float64, error) { return math.Abs(v[0]), nil }},
	"float": {1, 1, func(v []float64) (float64, error) { return v[0], nil }},
	"int":   {1, 1, func(v []float64) (float64, error) { return math.Trunc(v[0]), nil }},
	"min":   {2, 99, func(v []float64) (float64, error) { return pick(v, func(a, b float64) bool { return a < b }), nil }},
	"max":   {2, 99, func(v []float64) (float64, error) { return pick(v, func(a, b float64) bool { return a > b }), nil }},
	"round": {1, 2, func(v []float64) (float64, error) {
		if len(v) == 1 {
			return math.RoundToEven(v[0]), nil
		}
		if v[1] != math.Trunc(v[1]) || v[1] < 0 || v[1] > 300 {
			return 0, errors.New("round to that many digits is not supported")
		}
		f, err := strconv.ParseFloat(strconv.FormatFloat(v[0], 'f', int(v[1]), 64), 64)
		if err != nil {
			return v[0], nil // inf, nan
		}
		return f, nil
	}},
}

// pick is Python's min or max: the first for which no later one is better, so
// that a NaN in first place stays.
func pick(v []float64, better func(a, b float64) bool) float64 {
	best := v[0]
	for _, x := range v[1:] {
		if better(x, best) {
			best = x
		}
	}
	return best
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func apply(op string, l, r expr) expr {
	return func(x float64) (float64, error) {
		a, err := l(x)
		if err != nil {
			return 0, err
		}
		if op == "and" && a == 0 || op == "or" && a != 0 {
			return a, nil
		}
		b, err := r(x)
		if err != nil {
			return 0, err
		}
		switch op {
		case "and", "or":
			return b, nil
		case "+":
			return a + b, nil
		case "-":
			return a - b, nil
		case "*":
			return a * b, nil
		case "<":
			return truth(a < b), nil
		case "<=":
			return truth(a <= b), nil
		case ">":
			return truth(a > b), nil
		case ">=":
			return truth(a >= b), nil
		case "==":
			return truth(a == b), nil
		case "!=":
			return truth(a != b), nil
		case "**":
			if a == 0 && b < 0 {
				return 0, errDivision
			}
			v := math.Pow(a, b)
			if math.IsNaN(v) && !math.IsNaN(a) && !math.IsNaN(b) {
				return 0, errors.New("the power is not a real number")
			}
			return v, nil
		}
		if b == 0 {
			return 0, errDivision
		}
		switch op {
		case "/":
			return a / b, nil
		default: // "//" and "%"
			v, err := py.Binary(op, a, b)
			if err != nil {
				return 0, err
			}
			return v.(float64), nil
		}
	}
}
