// Package pyre is Python's re module: its syntax, its Unicode classes (14.0,
// see unitab), its notion of case, its search, findall, split and sub, with
// the results CPython 3.11 gives. Answer extraction lives on these patterns,
// so a difference of one character is a wrong score.
//
// Compile gives a Pattern, which is safe for concurrent use. A Match counts
// bytes (Span) or, as Python does, code points (Start, End). The matcher
// backtracks like Python's; where Python would run for ever it panics with
// *LimitError after a fixed number of steps: see Catch.
//
// Non-goals: bytes patterns, the LOCALE flag, \N{name} escapes.
//
// Syntax and matching follow the documentation of re and observed behaviour of
// CPython; the loop over an explicit stack of choices is that of dlclark/regexp2
// and of Perl-like engines in general.
package pyre

import (
	"sync"
	"unicode/utf8"
)

// Pattern is a compiled expression.
type Pattern struct {
	source   string
	flags    Flags
	prog     []inst
	regs     int
	groups   int
	names    map[string]int
	prefix   string // every match begins with it
	first    first
	anchored bool // begins with \A or ^ without Multiline
	pool     sync.Pool
}

var cache struct {
	sync.Mutex
	m map[cacheKey]*Pattern
}

type cacheKey struct {
	pattern string
	flags   Flags
}

const cacheSize = 1024

// Compile is re.compile(pattern, flags). Patterns are cached. The error is an
// *Error with re.error's text.
func Compile(pattern string, flags Flags) (*Pattern, error) {
	k := cacheKey{pattern, flags}
	cache.Lock()
	p := cache.m[k]
	cache.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := compile(pattern, flags)
	if err != nil {
		return nil, err
	}
	cache.Lock()
	if cache.m == nil || len(cache.m) >= cacheSize {
		cache.m = map[cacheKey]*Pattern{}
	}
	cache.m[k] = p
	cache.Unlock()
	return p, nil
}

// MustCompile is Compile for patterns of our own; it panics on an error.
func MustCompile(pattern string, flags ...Flags) *Pattern {
	var f Flags
	for _, x := range flags {
		f |= x
	}
	p, err := Compile(pattern, f)
	if err != nil {
		panic("pyre: " + pattern + ": " + err.Error())
	}
	return p
}

func compile(pattern string, flags Flags) (*Pattern, error) {
	n, ps, err := parse(pattern, flags)
	if err != nil {
		return nil, err
	}
	c := &compiler{}
	c.compile(n)
	c.emit(inst{op: opMatch})
	if len(c.prog) > maxProgram {
		return nil, &Error{Msg: "pattern too large", Pattern: pattern, Pos: -1}
	}
	c.hints()
	p := &Pattern{source: pattern, flags: ps.flags, prog: c.prog, regs: c.regs, groups: ps.groups, names: ps.names,
		first: firstOf(n), anchored: c.prog[0].op == opBegin}
	p.prefix = prefix(n)
	p.pool.New = func() any {
		return &machine{p: p, slots: make([]int, 2*p.groups+2), regs: make([]int, p.regs)}
	}
	return p, nil
}

// String is the pattern's text.
func (p *Pattern) String() string { return p.source }

// Flags are the flags given and those set inside the pattern.
func (p *Pattern) Flags() Flags { return p.flags }

// NumGroups is the number of capturing groups.
func (p *Pattern) NumGroups() int { return p.groups }

// GroupIndex is the number of a named group; ok is false when there is none.
func (p *Pattern) GroupIndex(name string) (n int, ok bool) {
	n, ok = p.names[name]
	return n, ok
}

// GroupNames maps names of groups to their numbers; not to be changed.
func (p *Pattern) GroupNames() map[string]int { return p.names }

// Match is one match in a text.
type Match struct {
	p     *Pattern
	s     string
	slots []int
}

func (p *Pattern) machine(s string) *machine {
	m := p.pool.Get().(*machine)
	m.s, m.full, m.advance = s, false, false
	return m
}

func (p *Pattern) put(m *machine) {
	m.s = ""
	if cap(m.stack) > 1<<16 {
		m.stack = nil
	}
	p.pool.Put(m)
}

func (m *machine) match() *Match {
	return &Match{p: m.p, s: m.s, slots: append([]int(nil), m.slots...)}
}

// Search is re.search: the first match anywhere, nil when there is none.
func (p *Pattern) Search(s string) *Match {
	m := p.machine(s)
	defer p.put(m)
	if !m.search(0, false) {
		return nil
	}
	return m.match()
}

// Matches reports whether Search finds something.
func (p *Pattern) Matches(s string) bool {
	m := p.machine(s)
	defer p.put(m)
	return m.search(0, false)
}

// Match is re.match: at the start of s.
func (p *Pattern) Match(s string) *Match { return p.at(s, false) }

// FullMatch is re.fullmatch: the whole of s.
func (p *Pattern) FullMatch(s string) *Match { return p.at(s, true) }

func (p *Pattern) at(s string, full bool) *Match {
	m := p.machine(s)
	defer p.put(m)
	m.steps, m.full = 0, full
	if !m.attempt(0) {
		return nil
	}
	return m.match()
}

// each calls f with the slots of every match in turn, as finditer goes: an
// empty match may follow a match directly, not another empty one.
func (p *Pattern) each(s string, f func(slots []int) bool) {
	m := p.machine(s)
	defer p.put(m)
	pos, advance := 0, false
	for pos <= len(s) && m.search(pos, advance) {
		if !f(m.slots) {
			return
		}
		pos, advance = m.slots[1], m.slots[0] == m.slots[1]
	}
}

// FindIter is list(re.finditer): all matches.
func (p *Pattern) FindIter(s string) []*Match {
	var out []*Match
	p.each(s, func(slots []int) bool {
		out = append(out, &Match{p: p, s: s, slots: append([]int(nil), slots...)})
		return true
	})
	return out
}

// FindAll is re.findall for patterns with at most one group: the texts of the
// matches, or of their group ("" where it did not take part). With more groups
// it gives the first; use FindAllGroups.
func (p *Pattern) FindAll(s string) []string {
	out := []string{}
	g := 0
	if p.groups > 0 {
		g = 1
	}
	p.each(s, func(slots []int) bool {
		out = append(out, part(s, slots, g))
		return true
	})
	return out
}

// FindAllGroups is re.findall for patterns with several groups: the groups of
// each match, "" for those that did not take part.
func (p *Pattern) FindAllGroups(s string) [][]string {
	out := [][]string{}
	p.each(s, func(slots []int) bool {
		row := make([]string, p.groups)
		for i := range row {
			row[i] = part(s, slots, i+1)
		}
		out = append(out, row)
		return true
	})
	return out
}

func part(s string, slots []int, g int) string {
	if slots[2*g] < 0 || slots[2*g+1] < 0 {
		return ""
	}
	return s[slots[2*g]:slots[2*g+1]]
}

// Piece is an element of Split's result; None stands for a group that took no
// part.
type Piece struct {
	Text string
	None bool
}

// SplitAll is re.split(s, maxsplit=maxsplit) with the groups between the
// pieces; maxsplit 0 is no limit.
func (p *Pattern) SplitAll(s string, maxsplit int) []Piece {
	var out []Piece
	last, n := 0, 0
	p.each(s, func(slots []int) bool {
		out = append(out, Piece{Text: s[last:slots[0]]})
		for g := 1; g <= p.groups; g++ {
			out = append(out, Piece{Text: part(s, slots, g), None: slots[2*g] < 0})
		}
		last = slots[1]
		n++
		return maxsplit <= 0 || n < maxsplit
	})
	return append(out, Piece{Text: s[last:]})
}

// Split is SplitAll as texts, "" for a group that took no part.
func (p *Pattern) Split(s string, maxsplit int) []string {
	ps := p.SplitAll(s, maxsplit)
	out := make([]string, len(ps))
	for i, x := range ps {
		out[i] = x.Text
	}
	return out
}

// Group is the text of group i, "" when it took no part; 0 is the match.
func (m *Match) Group(i int) string {
	if i < 0 || i > m.p.groups {
		return ""
	}
	return part(m.s, m.slots, i)
}

// Has reports whether group i took part.
func (m *Match) Has(i int) bool {
	return i >= 0 && i <= m.p.groups && m.slots[2*i] >= 0 && m.slots[2*i+1] >= 0
}

// Named is the text of the named group, "" when it took no part.
func (m *Match) Named(name string) string {
	if i, ok := m.p.names[name]; ok {
		return m.Group(i)
	}
	return ""
}

// Text is the text of the match.
func (m *Match) Text() string { return m.Group(0) }

// Pattern is the pattern that matched.
func (m *Match) Pattern() *Pattern { return m.p }

// Span is where group i lies, in bytes; -1, -1 when it took no part.
func (m *Match) Span(i int) (start, end int) {
	if !m.Has(i) {
		return -1, -1
	}
	return m.slots[2*i], m.slots[2*i+1]
}

// Start is m.start(i), in code points.
func (m *Match) Start(i int) int {
	if !m.Has(i) {
		return -1
	}
	return utf8.RuneCountInString(m.s[:m.slots[2*i]])
}

// End is m.end(i), in code points.
func (m *Match) End(i int) int {
	if !m.Has(i) {
		return -1
	}
	return utf8.RuneCountInString(m.s[:m.slots[2*i+1]])
}

// Functions of the module for patterns of our own, compiled once and cached.

// Search is MustCompile(pattern, flags...).Search(s).
func Search(pattern, s string, flags ...Flags) *Match {
	return MustCompile(pattern, flags...).Search(s)
}

// FindAll is MustCompile(pattern, flags...).FindAll(s).
func FindAll(pattern, s string, flags ...Flags) []string {
	return MustCompile(pattern, flags...).FindAll(s)
}
