package pyre

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sextant/internal/py/unitab"
)

// Flags are re's, with its numbers.
type Flags int

// The flags of Compile. L (locale) and DEBUG are not known.
const (
	IgnoreCase Flags = 2
	Multiline  Flags = 8
	DotAll     Flags = 16
	Unicode    Flags = 32
	Verbose    Flags = 64
	ASCII      Flags = 256

	I, M, S, U, X, A = IgnoreCase, Multiline, DotAll, Unicode, Verbose, ASCII
)

// Error is re.error: what is wrong with a pattern, or a template of Sub.
type Error struct {
	Msg     string
	Pattern string
	Pos     int // in code points; -1 when unknown
}

func (e *Error) Error() string {
	if e.Pos < 0 {
		return e.Msg
	}
	line, col := 1, e.Pos+1
	multi := false
	for i, r := range []rune(e.Pattern) {
		if r == '\n' {
			multi = true
			if i < e.Pos {
				line, col = line+1, e.Pos-i
			}
		}
	}
	s := fmt.Sprintf("%s at position %d", e.Msg, e.Pos)
	if multi {
		s += fmt.Sprintf(" (line %d, column %d)", line, col)
	}
	return s
}

type kind uint8

const (
	kEmpty kind = iota
	kChar       // r
	kSet        // set
	kAny        // . ; all: with newline
	kSeq
	kAlt
	kGroup // sub, capturing as n
	kRepeat
	kAt   // n: one of the at… ops
	kBack // n
	kLook // sub; neg, behind with width n
	kAtomic
	kCond // group n; sub: yes, no
)

type node struct {
	kind           kind
	r              rune
	n              int
	min, max       int // kRepeat; max -1: no limit
	lazy, possess  bool
	neg, behind    bool
	all, fold, asc bool
	set            *set
	sub            []*node
}

const noMax = -1

// Limits on patterns, which may come from configs.
const (
	maxGroups  = 1000
	maxRepeat  = 1 << 31
	maxProgram = 1 << 17
	maxDepth   = 250
)

type parser struct {
	pattern string
	rs      []rune
	i       int
	flags   Flags
	groups  int // number of the last group opened
	names   map[string]int
	open    map[int]bool
	depth   int
	conds   []condRef // checked at the end: a condition may name a later group
}

type condRef struct{ group, at int }

func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{Msg: fmt.Sprintf(format, args...), Pattern: p.pattern, Pos: at}
}

func (p *parser) more() bool { return p.i < len(p.rs) }

func (p *parser) peek() rune {
	if p.i < len(p.rs) {
		return p.rs[p.i]
	}
	return -1
}

func (p *parser) accept(r rune) bool {
	if p.peek() == r {
		p.i++
		return true
	}
	return false
}

func (p *parser) acceptStr(s string) bool {
	for k, r := range []rune(s) {
		if p.i+k >= len(p.rs) || p.rs[p.i+k] != r {
			return false
		}
	}
	p.i += utf8.RuneCountInString(s)
	return true
}

func parse(pattern string, flags Flags) (*node, *parser, error) {
	p := &parser{pattern: pattern, rs: []rune(pattern), flags: flags, names: map[string]int{}, open: map[int]bool{}}
	if err := p.globalFlags(); err != nil {
		return nil, nil, err
	}
	if p.flags&ASCII != 0 && flags&Unicode != 0 {
		return nil, nil, &Error{Msg: "ASCII and UNICODE flags are incompatible", Pattern: pattern, Pos: -1}
	}
	n, err := p.alternatives()
	if err != nil {
		return nil, nil, err
	}
	if p.more() {
		return nil, nil, p.fail(p.i, "unbalanced parenthesis")
	}
	for _, c := range p.conds {
		if c.group > p.groups {
			return nil, nil, p.fail(c.at, "invalid group reference %d", c.group)
		}
	}
	return n, p, nil
}

// globalFlags reads (?flags) at the start; they hold for the whole pattern.
func (p *parser) globalFlags() error {
	for {
		start := p.i
		if p.flags&Verbose != 0 {
			p.skipVerbose()
		}
		if !p.acceptStr("(?") {
			p.i = start
			return nil
		}
		f, err := p.flagLetters()
		if err != nil {
			return err
		}
		if f == 0 || !p.accept(')') {
			p.i = start
			return nil
		}
		p.flags |= f
	}
}

func (p *parser) flagLetters() (f Flags, err error) {
	for p.more() && (flagOf(p.peek()) != 0 || p.peek() == 'L') {
		p.i++
		if p.rs[p.i-1] == 'L' {
			return 0, p.fail(p.i, "bad inline flags: cannot use 'L' flag with a str pattern")
		}
		f |= flagOf(p.rs[p.i-1])
		if f&ASCII != 0 && f&Unicode != 0 {
			return 0, p.fail(p.i, "bad inline flags: flags 'a', 'u' and 'L' are incompatible")
		}
	}
	return f, nil
}

func flagOf(r rune) Flags {
	switch r {
	case 'i':
		return IgnoreCase
	case 'm':
		return Multiline
	case 's':
		return DotAll
	case 'u':
		return Unicode
	case 'x':
		return Verbose
	case 'a':
		return ASCII
	}
	return 0
}

func (p *parser) skipVerbose() {
	for p.more() {
		switch r := p.peek(); {
		case strings.ContainsRune(" \t\n\r\v\f", r):
			p.i++
		case r == '#':
			for p.more() && p.peek() != '\n' {
				p.i++
			}
		default:
			return
		}
	}
}

func (p *parser) alternatives() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(p.i, "pattern nested too deeply")
	}
	defer func() { p.depth-- }()
	var alts []*node
	for {
		n, err := p.sequence()
		if err != nil {
			return nil, err
		}
		alts = append(alts, n)
		if !p.accept('|') {
			break
		}
	}
	if len(alts) == 1 {
		return alts[0], nil
	}
	return &node{kind: kAlt, sub: alts}, nil
}

func (p *parser) sequence() (*node, error) {
	seq := &node{kind: kSeq}
	for {
		if p.flags&Verbose != 0 {
			p.skipVerbose()
		}
		if !p.more() || p.peek() == '|' || p.peek() == ')' {
			return seq, nil
		}
		at := p.i
		r := p.rs[p.i]
		if r == '*' || r == '+' || r == '?' || r == '{' {
			done, err := p.repeat(seq, at)
			if err != nil {
				return nil, err
			}
			if done {
				continue
			}
		}
		n, err := p.atom()
		if err != nil {
			return nil, err
		}
		if n != nil {
			seq.sub = append(seq.sub, n)
		}
	}
}

// repeat applies the quantifier at p.i to the last item of seq; done is false
// when a { is just a character.
func (p *parser) repeat(seq *node, at int) (done bool, err error) {
	lo, hi := 0, noMax
	switch p.rs[p.i] {
	case '*':
	case '+':
		lo = 1
	case '?':
		hi = 1
	case '{':
		p.i++
		if p.peek() == '}' {
			p.i = at
			return false, nil
		}
		digits := func() string {
			start := p.i
			for p.more() && p.peek() >= '0' && p.peek() <= '9' {
				p.i++
			}
			return string(p.rs[start:p.i])
		}
		a := digits()
		b := a
		if p.accept(',') {
			b = digits()
		}
		if !p.accept('}') {
			p.i = at
			return false, nil
		}
		p.i--
		if lo, hi, err = p.bounds(a, b); err != nil {
			return false, err
		}
		if hi != noMax && hi < lo {
			return false, p.fail(at+1, "min repeat greater than max repeat")
		}
	}
	p.i++
	k := len(seq.sub) - 1
	if k < 0 || seq.sub[k].kind == kAt {
		return false, p.fail(at, "nothing to repeat")
	}
	item := seq.sub[k]
	if item.kind == kRepeat {
		return false, p.fail(at, "multiple repeat")
	}
	n := &node{kind: kRepeat, min: lo, max: hi, sub: []*node{item}}
	if p.accept('?') {
		n.lazy = true
	} else if p.accept('+') {
		n.possess = true
	}
	seq.sub[k] = n
	return true, nil
}

func (p *parser) bounds(a, b string) (lo, hi int, err error) {
	num := func(s string, def int) (int, error) {
		if s == "" {
			return def, nil
		}
		n := 0
		for _, c := range s {
			if n = n*10 + int(c-'0'); n >= maxRepeat {
				return 0, &Error{Msg: "the repetition number is too large", Pattern: p.pattern, Pos: -1}
			}
		}
		return n, nil
	}
	if lo, err = num(a, 0); err != nil {
		return 0, 0, err
	}
	hi, err = num(b, noMax)
	return lo, hi, err
}

func (p *parser) char(r rune) *node {
	if p.flags&IgnoreCase == 0 {
		return &node{kind: kChar, r: r}
	}
	if p.flags&ASCII != 0 {
		if lowerASCII(r) == r && !(r >= 'a' && r <= 'z') {
			return &node{kind: kChar, r: r}
		}
	} else if !unitab.Is(r, unitab.Cased) && unitab.Case(r) == nil {
		return &node{kind: kChar, r: r}
	}
	s := newSet(p.flags)
	s.add(r, r)
	return &node{kind: kSet, set: s.done()}
}

func (p *parser) atom() (*node, error) {
	at := p.i
	r := p.rs[p.i]
	p.i++
	switch r {
	case '.':
		return &node{kind: kAny, all: p.flags&DotAll != 0}, nil
	case '^':
		if p.flags&Multiline != 0 {
			return &node{kind: kAt, n: int(opBeginLine)}, nil
		}
		return &node{kind: kAt, n: int(opBegin)}, nil
	case '$':
		if p.flags&Multiline != 0 {
			return &node{kind: kAt, n: int(opEndLine)}, nil
		}
		return &node{kind: kAt, n: int(opEnd)}, nil
	case '[':
		return p.class(at)
	case '(':
		return p.group(at)
	case '\\':
		return p.escape(at)
	}
	return p.char(r), nil
}

// wordSet is \w and so on as a node.
func (p *parser) category(c rune) *node {
	s := newSet(p.flags &^ IgnoreCase)
	s.category(c)
	return &node{kind: kSet, set: s.done()}
}

func (p *parser) escape(at int) (*node, error) {
	if !p.more() {
		return nil, p.fail(at, "bad escape (end of pattern)")
	}
	r := p.peek()
	switch r {
	case 'd', 'D', 's', 'S', 'w', 'W':
		p.i++
		return p.category(r), nil
	case 'A':
		p.i++
		return &node{kind: kAt, n: int(opBegin)}, nil
	case 'Z':
		p.i++
		return &node{kind: kAt, n: int(opEndText)}, nil
	case 'b', 'B':
		p.i++
		op := opWord
		if r == 'B' {
			op = opNotWord
		}
		return &node{kind: kAt, n: int(op), asc: p.flags&ASCII != 0}, nil
	}
	if r >= '1' && r <= '9' {
		// \NNN octal with three octal digits, else a group
		p.i++
		n := int(r - '0')
		if d := p.peek(); d >= '0' && d <= '9' {
			p.i++
			if e := p.peek(); r <= '7' && d <= '7' && e >= '0' && e <= '7' {
				p.i++
				v := n<<6 | int(d-'0')<<3 | int(e-'0')
				if v > 0o377 {
					return nil, p.fail(at, "octal escape value %s outside of range 0-0o377", string(p.rs[at:p.i]))
				}
				return p.char(rune(v)), nil
			}
			n = n*10 + int(d-'0')
		}
		if n > p.groups {
			return nil, p.fail(at+1, "invalid group reference %d", n)
		}
		return p.backref(n, at)
	}
	c, err := p.charEscape(at)
	if err != nil {
		return nil, err
	}
	return p.char(c), nil
}

func (p *parser) backref(n, at int) (*node, error) {
	if p.open[n] {
		return nil, p.fail(at, "cannot refer to an open group")
	}
	return &node{kind: kBack, n: n, fold: p.flags&IgnoreCase != 0, asc: p.flags&ASCII != 0}, nil
}

// charEscape reads the escape of one character, for patterns and classes; p.i
// is behind the backslash at at.
func (p *parser) charEscape(at int) (rune, error) {
	r := p.peek()
	p.i++
	switch r {
	case 'a':
		return 7, nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'v':
		return '\v', nil
	case '0':
		v := 0
		for k := 0; k < 2 && p.peek() >= '0' && p.peek() <= '7'; k++ {
			v = v<<3 | int(p.peek()-'0')
			p.i++
		}
		return rune(v), nil
	case 'x':
		return p.hex(at, 2)
	case 'u':
		return p.hex(at, 4)
	case 'U':
		return p.hex(at, 8)
	}
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return 0, p.fail(at, `bad escape \%c`, r)
	}
	return r, nil
}

func (p *parser) hex(at, n int) (rune, error) {
	v := int64(0)
	k := 0
	for ; k < n && p.more(); k++ {
		d := strings.IndexRune("0123456789abcdef", p.peek()|0x20)
		if d < 0 || p.peek() > 127 || p.peek() < '0' {
			break
		}
		v = v<<4 | int64(d)
		p.i++
	}
	if k < n {
		return 0, p.fail(at, `incomplete escape %s`, string(p.rs[at:p.i]))
	}
	if v > utf8.MaxRune {
		return 0, p.fail(at, `bad escape %s`, string(p.rs[at:p.i]))
	}
	return rune(v), nil
}

func (p *parser) class(at int) (*node, error) {
	s := newSet(p.flags)
	s.neg = p.accept('^')
	first := true
	for {
		if !p.more() {
			return nil, p.fail(at, "unterminated character set")
		}
		start := p.i
		if p.peek() == ']' && !first {
			p.i++
			break
		}
		first = false
		lo, cat, err := p.member()
		if err != nil {
			return nil, err
		}
		if p.peek() == '-' && p.i+1 < len(p.rs) && p.rs[p.i+1] != ']' {
			p.i++
			hi, cat2, err := p.member()
			if err != nil {
				return nil, err
			}
			if cat || cat2 || hi < lo {
				return nil, p.fail(start, "bad character range %s", string(p.rs[start:p.i]))
			}
			s.add(lo, hi)
			continue
		}
		if p.peek() == '-' && p.i+1 >= len(p.rs) {
			return nil, p.fail(at, "unterminated character set")
		}
		if cat {
			s.category(lo)
		} else {
			s.add(lo, lo)
		}
	}
	return &node{kind: kSet, set: s.done()}, nil
}

// member reads one character or category of a class.
func (p *parser) member() (r rune, category bool, err error) {
	at := p.i
	r = p.rs[p.i]
	p.i++
	if r != '\\' {
		return r, false, nil
	}
	if !p.more() {
		return 0, false, p.fail(at, "bad escape (end of pattern)")
	}
	switch c := p.peek(); c {
	case 'd', 'D', 's', 'S', 'w', 'W':
		p.i++
		return c, true, nil
	case 'b':
		p.i++
		return '\b', false, nil
	case '0', '1', '2', '3', '4', '5', '6', '7':
		v := 0
		for k := 0; k < 3 && p.peek() >= '0' && p.peek() <= '7'; k++ {
			v = v<<3 | int(p.peek()-'0')
			p.i++
		}
		if v > 0o377 {
			return 0, false, p.fail(at, "octal escape value %s outside of range 0-0o377", string(p.rs[at:p.i]))
		}
		return rune(v), false, nil
	}
	r, err = p.charEscape(at)
	return r, false, err
}

func (p *parser) name(end rune, what string) (string, error) {
	start := p.i
	for p.more() && p.peek() != end {
		p.i++
	}
	if p.i == start {
		if !p.more() {
			return "", p.fail(p.i, "missing %s", what)
		}
		return "", p.fail(start, "missing %s", what)
	}
	name := string(p.rs[start:p.i])
	if !p.accept(end) {
		return "", p.fail(start, "missing %c, unterminated name", end)
	}
	return name, nil
}

func isName(s string) bool {
	for i, r := range s {
		if i == 0 && !unitab.Is(r, unitab.IDStart) || !unitab.Is(r, unitab.IDContinue) {
			return false
		}
	}
	return s != ""
}

func (p *parser) openGroup(name string, at int) (int, error) {
	p.groups++
	if p.groups > maxGroups {
		return 0, p.fail(at, "too many groups")
	}
	if name != "" {
		if old, ok := p.names[name]; ok {
			return 0, p.fail(p.i-utf8.RuneCountInString(name)-1, "redefinition of group name '%s' as group %d; was group %d", name, p.groups, old)
		}
		p.names[name] = p.groups
	}
	p.open[p.groups] = true
	return p.groups, nil
}

func (p *parser) group(at int) (*node, error) {
	capture, name := true, ""
	n := &node{kind: kGroup}
	saved := p.flags
	defer func() { p.flags = saved }()
	if p.accept('?') {
		capture = false
		if !p.more() {
			return nil, p.fail(p.i, "unexpected end of pattern")
		}
		r := p.peek()
		p.i++
		switch r {
		case 'P':
			if p.accept('<') {
				start := p.i
				var err error
				if name, err = p.name('>', "group name"); err != nil {
					return nil, err
				}
				if !isName(name) {
					return nil, p.fail(start, "bad character in group name '%s'", name)
				}
				capture = true
				break
			}
			if p.accept('=') {
				start := p.i
				ref, err := p.name(')', "group name")
				if err != nil {
					return nil, err
				}
				if !isName(ref) {
					return nil, p.fail(start, "bad character in group name '%s'", ref)
				}
				k, ok := p.names[ref]
				if !ok {
					return nil, p.fail(start, "unknown group name '%s'", ref)
				}
				return p.backref(k, start)
			}
			if !p.more() {
				return nil, p.fail(p.i, "unexpected end of pattern")
			}
			return nil, p.fail(at+1, "unknown extension ?P%c", p.peek())
		case ':':
		case '#':
			for {
				if !p.more() {
					return nil, p.fail(at, "missing ), unterminated comment")
				}
				if p.accept(')') {
					return nil, nil
				}
				p.i++
			}
		case '=', '!', '<':
			return p.look(at, r)
		case '(':
			return p.conditional(at)
		case '>':
			n.kind = kAtomic
		default:
			p.i--
			done, err := p.localFlags(at)
			if done || err != nil {
				return nil, err
			}
		}
	}
	if capture {
		k, err := p.openGroup(name, at)
		if err != nil {
			return nil, err
		}
		n.n = k
	}
	sub, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.accept(')') {
		return nil, p.fail(at, "missing ), unterminated subpattern")
	}
	delete(p.open, n.n)
	n.sub = []*node{sub}
	return n, nil
}

// localFlags reads the flags of (?i:…) and (?-i:…); done when the group is
// nothing but flags.
func (p *parser) localFlags(at int) (done bool, err error) {
	start := p.i
	var off Flags
	on, err := p.flagLetters()
	if err != nil {
		return false, err
	}
	if p.accept(')') {
		if on == 0 {
			return false, p.fail(start-1, "unknown extension ?)")
		}
		return false, p.fail(at, "global flags not at the start of the expression")
	}
	if p.accept('-') {
		for p.more() && flagOf(p.peek()) != 0 {
			off |= flagOf(p.peek())
			p.i++
		}
		if off == 0 {
			return false, p.fail(p.i, "missing flag")
		}
		if off&(ASCII|Unicode) != 0 {
			return false, p.fail(p.i, "bad inline flags: cannot turn off flags 'a', 'u' and 'L'")
		}
	}
	if !p.accept(':') {
		if !p.more() {
			return false, p.fail(p.i, "missing -, : or )")
		}
		if on == 0 && off == 0 {
			return false, p.fail(start-1, "unknown extension ?%c", p.peek())
		}
		return false, p.fail(p.i, "unknown flag")
	}
	if on&off != 0 {
		return false, p.fail(p.i-1, "bad inline flags: flag turned on and off")
	}
	if on&Unicode != 0 {
		p.flags &^= ASCII
	}
	p.flags = p.flags&^off | on
	return false, nil
}

func (p *parser) look(at int, r rune) (*node, error) {
	n := &node{kind: kLook, neg: r == '!'}
	if r == '<' {
		n.behind = true
		if !p.more() {
			return nil, p.fail(p.i, "unexpected end of pattern")
		}
		switch p.peek() {
		case '=':
		case '!':
			n.neg = true
		default:
			return nil, p.fail(at+1, "unknown extension ?<%c", p.peek())
		}
		p.i++
	}
	sub, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.accept(')') {
		return nil, p.fail(at, "missing ), unterminated subpattern")
	}
	if n.behind {
		lo, hi := p.width(sub)
		if lo != hi {
			return nil, &Error{Msg: "look-behind requires fixed-width pattern", Pattern: p.pattern, Pos: -1}
		}
		n.n = lo
	}
	n.sub = []*node{sub}
	return n, nil
}

func (p *parser) conditional(at int) (*node, error) {
	start := p.i
	name, err := p.name(')', "group name")
	if err != nil {
		return nil, err
	}
	k, ok := p.names[name]
	if !ok {
		for _, c := range name {
			if c < '0' || c > '9' || k > maxGroups {
				if isName(name) {
					return nil, p.fail(start, "unknown group name '%s'", name)
				}
				return nil, p.fail(start, "bad character in group name '%s'", name)
			}
			k = k*10 + int(c-'0')
		}
		if k == 0 {
			return nil, p.fail(start, "bad group number")
		}
		if k > maxGroups {
			return nil, p.fail(start, "invalid group reference %d", k)
		}
		p.conds = append(p.conds, condRef{k, start})
	}
	yes, err := p.sequence()
	if err != nil {
		return nil, err
	}
	no := &node{kind: kEmpty}
	if p.accept('|') {
		if no, err = p.sequence(); err != nil {
			return nil, err
		}
		if p.peek() == '|' {
			return nil, p.fail(p.i, "conditional backref with more than two branches")
		}
	}
	if !p.accept(')') {
		return nil, p.fail(at, "missing ), unterminated subpattern")
	}
	return &node{kind: kCond, n: k, sub: []*node{yes, no}}, nil
}

const manyChars = 1 << 40

// width is how many code points n can match, at least and at most.
func (p *parser) width(n *node) (lo, hi int) {
	switch n.kind {
	case kChar, kSet, kAny:
		return 1, 1
	case kSeq:
		for _, s := range n.sub {
			a, b := p.width(s)
			lo, hi = min(lo+a, manyChars), min(hi+b, manyChars)
		}
	case kAlt, kCond:
		lo, hi = p.width(n.sub[0])
		for _, s := range n.sub[1:] {
			a, b := p.width(s)
			lo, hi = min(lo, a), max(hi, b)
		}
	case kGroup, kAtomic:
		return p.width(n.sub[0])
	case kRepeat:
		a, b := p.width(n.sub[0])
		lo = min(a*n.min, manyChars)
		switch {
		case b == 0:
		case n.max == noMax || b >= manyChars || n.max > manyChars/b:
			hi = manyChars
		default:
			hi = b * n.max
		}
	case kBack:
		return 0, manyChars
	}
	return lo, hi
}
