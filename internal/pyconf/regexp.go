package pyconf

import (
	"strings"

	"sextant/internal/py"
	"sextant/internal/py/pyre"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// The module re: docs/dialect.md, "Modules". Matching is package pyre's.

func init() {
	attrs := map[string]py.Value{
		"IGNORECASE": int(pyre.IgnoreCase), "I": int(pyre.IgnoreCase), "MULTILINE": int(pyre.Multiline), "M": int(pyre.Multiline),
		"DOTALL": int(pyre.DotAll), "S": int(pyre.DotAll), "VERBOSE": int(pyre.Verbose), "X": int(pyre.Verbose), "ASCII": int(pyre.ASCII), "A": int(pyre.ASCII),
		"escape": func(c *callArgs) (py.Value, source.Pos, error) {
			if err := c.between(1, 1); err != nil {
				return nil, 0, err
			}
			s, ok := c.args[0].(string)
			if !ok {
				return nil, 0, c.errorf("TypeError", "expected str instance, %s found", py.TypeName(c.args[0]))
			}
			return pyre.Escape(s), 0, nil
		},
		"compile": func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind("pattern", "flags=")
			if err != nil {
				return nil, 0, err
			}
			p, err := c.pattern(a[0], a[1])
			return p, 0, err
		},
	}
	for _, name := range []string{"search", "match", "fullmatch", "findall", "finditer", "split", "sub"} {
		params := patternParams(name)
		attrs[name] = func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind(append(append([]string{"pattern"}, params...), "flags=")...)
			if err != nil {
				return nil, 0, err
			}
			p, err := c.pattern(a[0], a[len(a)-1])
			if err != nil {
				return nil, 0, err
			}
			return c.regexp(p, name, a[1:len(a)-1])
		}
	}
	newModule("re", attrs)
}

// patternParams are the parameters of a method of a compiled pattern.
func patternParams(name string) []string {
	switch name {
	case "split":
		return []string{"string", "maxsplit="}
	case "sub":
		return []string{"repl", "string", "count="}
	}
	return []string{"string"}
}

// pattern is a compiled regular expression.
type pattern struct{ p *pyre.Pattern }

func (p *pattern) PyType() string { return "Pattern" }
func (p *pattern) PyRepr() string { return "re.compile(" + py.Repr(p.p.String()) + ")" }

// PyAttr gives pattern and groups.
func (p *pattern) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "pattern":
		return p.p.String(), true
	case "groups":
		return p.p.NumGroups(), true
	}
	return nil, false
}

func (p *pattern) method(name string) *method {
	switch name {
	case "search", "match", "fullmatch", "findall", "finditer", "split", "sub":
		return &method{name: name, recv: p, fn: func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind(patternParams(name)...)
			if err != nil {
				return nil, 0, err
			}
			return c.regexp(p, name, a)
		}}
	}
	return nil
}

// pattern compiles a regular expression; v may be compiled already.
func (c *callArgs) pattern(v, flags py.Value) (*pattern, error) {
	if p, ok := v.(*pattern); ok {
		return p, nil
	}
	s, ok := v.(string)
	if !ok {
		return nil, c.errorf("TypeError", "first argument must be string or compiled pattern")
	}
	f := 0
	if flags != nil {
		var err error
		if f, err = py.Index(flags); err != nil {
			return nil, c.err(err)
		}
	}
	p, err := pyre.Compile(s, pyre.Flags(f))
	if err != nil {
		return nil, c.errorf("error", "%v", err)
	}
	return &pattern{p}, nil
}

// regexp runs a method of a pattern.
func (c *callArgs) regexp(p *pattern, name string, a []py.Value) (v py.Value, _ source.Pos, err error) {
	defer func() {
		if le, ok := err.(*pyre.LimitError); ok {
			err = c.err(fatalf("%v", le))
		}
	}()
	defer pyre.Catch(&err)
	si := 0
	if name == "sub" {
		si = 1
	}
	s, ok := a[si].(string)
	if _, bytes := a[si].(py.Bytes); bytes {
		return nil, 0, c.errorf("TypeError", "cannot use a string pattern on a bytes-like object")
	}
	if !ok {
		return nil, 0, c.errorf("TypeError", "expected string or bytes-like object, got '%s'", py.TypeName(a[si]))
	}
	if err := c.in().work(len(s) >> 4); err != nil {
		return nil, 0, c.err(err)
	}
	limit := 0
	if len(a) > si+1 && a[si+1] != nil {
		if limit, err = py.Index(a[si+1]); err != nil {
			return nil, 0, c.err(err)
		}
	}
	wrapMatch := func(m *pyre.Match) py.Value {
		if m == nil {
			return nil
		}
		return &match{m, s}
	}
	l := &py.List{At: c.fr.pos(c.n)}
	switch name {
	case "search":
		return wrapMatch(p.p.Search(s)), 0, nil
	case "match":
		return wrapMatch(p.p.Match(s)), 0, nil
	case "fullmatch":
		return wrapMatch(p.p.FullMatch(s)), 0, nil
	case "findall", "finditer":
		for _, m := range p.p.FindIter(s) {
			switch {
			case name == "finditer":
				l.Append(wrapMatch(m), 0)
			case p.p.NumGroups() == 0:
				l.Append(m.Text(), 0)
			case p.p.NumGroups() == 1:
				l.Append(m.Group(1), 0)
			default:
				t := &py.Tuple{}
				for i := 1; i <= p.p.NumGroups(); i++ {
					t.Items = append(t.Items, m.Group(i))
				}
				l.Append(t, 0)
			}
		}
		if name == "finditer" {
			it, err := c.fr.iterate(l, c.n)
			return it, 0, err
		}
		return l, 0, c.err(c.in().sized(l))
	case "split":
		for _, x := range p.p.SplitAll(s, limit) {
			if x.None {
				l.Append(nil, 0)
			} else {
				l.Append(x.Text, 0)
			}
		}
		return l, 0, c.err(c.in().sized(l))
	}
	return c.regexpSub(p, a[0], s, limit)
}

func (c *callArgs) regexpSub(p *pattern, repl py.Value, s string, limit int) (py.Value, source.Pos, error) {
	var out strings.Builder
	last, n := 0, 0
	text, isText := repl.(string)
	if isText {
		if err := p.p.CheckTemplate(text); err != nil {
			return nil, 0, c.errorf("error", "%v", err)
		}
	}
	for _, m := range p.p.FindIter(s) {
		if limit > 0 && n == limit {
			break
		}
		n++
		var r string
		if isText {
			var err error
			if r, err = m.Expand(text); err != nil {
				return nil, 0, c.errorf("error", "%v", err)
			}
		} else {
			v, err := c.callBack(repl, &match{m, s})
			if err != nil {
				return nil, 0, err
			}
			var ok bool
			if r, ok = v.(string); !ok {
				return nil, 0, c.errorf("TypeError", "expected str instance, %s found", py.TypeName(v))
			}
		}
		start, end := m.Span(0)
		out.WriteString(s[last:start])
		out.WriteString(r)
		last = end
		if out.Len() > py.MaxResultBytes {
			return nil, 0, c.errorf("MemoryError", "result too large: a string of more than %d bytes", py.MaxResultBytes)
		}
	}
	out.WriteString(s[last:])
	return out.String(), 0, c.err(c.in().sized(out.String()))
}

// match is a match object.
type match struct {
	m *pyre.Match
	s string
}

func (m *match) PyType() string { return "Match" }
func (m *match) PyRepr() string { return "<re.Match object; match=" + py.Repr(m.m.Text()) + ">" }

func (m *match) group(c *callArgs, v py.Value) (py.Value, error) {
	i, ok := v.(int)
	if name, is := v.(string); is {
		i, ok = m.m.Pattern().GroupIndex(name)
	}
	if !ok || i < 0 || i > m.m.Pattern().NumGroups() {
		return nil, c.errorf("IndexError", "no such group")
	}
	if !m.m.Has(i) {
		return nil, nil
	}
	return m.m.Group(i), nil
}

func (m *match) getitem(fr *frame, k py.Value, n syntax.Node) (py.Value, error) {
	return m.group(&callArgs{fr: fr, n: n}, k)
}

func (m *match) method(name string) *method {
	var fn methodFn
	switch name {
	case "group":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if len(c.args) == 0 {
				return m.m.Text(), 0, nil
			}
			t := &py.Tuple{}
			for _, a := range c.args {
				v, err := m.group(c, a)
				if err != nil {
					return nil, 0, err
				}
				t.Items = append(t.Items, v)
			}
			if len(t.Items) == 1 {
				return t.Items[0], 0, nil
			}
			return t, 0, nil
		}
	case "groups":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind("default=")
			if err != nil {
				return nil, 0, err
			}
			t := &py.Tuple{}
			for i := 1; i <= m.m.Pattern().NumGroups(); i++ {
				if m.m.Has(i) {
					t.Items = append(t.Items, m.m.Group(i))
				} else {
					t.Items = append(t.Items, a[0])
				}
			}
			return t, 0, nil
		}
	case "start", "end", "span":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			g := 0
			if len(c.args) > 0 {
				var err error
				if g, err = py.Index(c.args[0]); err != nil {
					return nil, 0, c.err(err)
				}
			}
			switch name {
			case "start":
				return m.m.Start(g), 0, nil
			case "end":
				return m.m.End(g), 0, nil
			}
			return py.NewTuple(m.m.Start(g), m.m.End(g)), 0, nil
		}
	default:
		return nil
	}
	return &method{name: name, recv: m, fn: fn}
}
