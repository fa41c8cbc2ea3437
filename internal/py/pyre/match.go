package pyre

import (
	"strings"
	"unicode/utf8"

	"sextant/internal/py/unitab"
)

// LimitError is the panic of a search that backtracks without end, where
// Python would hang. Catch turns it into an error.
type LimitError struct{ Pattern string }

func (e *LimitError) Error() string {
	return "regular expression " + e.Pattern + ": too much backtracking on this text"
}

// Catch is deferred where patterns or texts are foreign: it stores a
// LimitError in *err and lets other panics pass.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *LimitError:
		*err = r
	default:
		panic(r)
	}
}

// Bounds of one search. Steps are counted, not timed, so that a result does
// not depend on the machine.
const (
	maxSteps = 100 << 20
	maxStack = 8 << 20 // entries of backtracking
)

// frame is what to do when the current path fails: go on at pc and pos, or
// undo a change first.
type frame struct {
	kind frameKind
	pc   int32
	pos  int
	val  int
}

type frameKind uint8

const (
	fBranch frameKind = iota
	fSlot             // slot pc was val
	fReg              // register pc was val
	fGreedy           // opOne at pc may give back down to val
	fLazy             // opOne at pc may take one more at pos; val taken so far
)

type machine struct {
	p       *Pattern
	s       string
	slots   []int
	regs    []int
	stack   []frame
	steps   int
	start   int  // where this attempt began
	full    bool // the match must reach the end
	advance bool // the match must not be empty
}

// width of the item at pos, 0 when it does not match there.
func (m *machine) item(in *inst, op opcode, pos int) int {
	if pos >= len(m.s) {
		return 0
	}
	c := m.s[pos]
	switch op {
	case opStr:
		if strings.HasPrefix(m.s[pos:], in.str) {
			return len(in.str)
		}
		return 0
	case opSet:
		if c < utf8.RuneSelf {
			if in.set.low[c] {
				return 1
			}
			return 0
		}
		r, n := utf8.DecodeRuneInString(m.s[pos:])
		if in.set.has(r) {
			return n
		}
		return 0
	case opAny:
		if c == '\n' {
			return 0
		}
	}
	if c < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(m.s[pos:])
	return n
}

func (m *machine) wordAt(pos int, asc bool) bool {
	if pos >= len(m.s) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(m.s[pos:])
	return isWord(r, asc)
}

func (m *machine) wordBefore(pos int, asc bool) bool {
	if pos == 0 {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(m.s[:pos])
	return isWord(r, asc)
}

func (m *machine) assert(in *inst, pos int) bool {
	s := m.s
	switch in.op {
	case opBegin:
		return pos == 0
	case opBeginLine:
		return pos == 0 || s[pos-1] == '\n'
	case opEnd:
		return pos == len(s) || pos == len(s)-1 && s[pos] == '\n'
	case opEndLine:
		return pos == len(s) || s[pos] == '\n'
	case opEndText:
		return pos == len(s)
	}
	if s == "" { // neither \b nor \B holds
		return false
	}
	return (m.wordBefore(pos, in.asc) != m.wordAt(pos, in.asc)) == (in.op == opWord)
}

func (m *machine) setSlot(i, v int) {
	m.stack = append(m.stack, frame{fSlot, int32(i), 0, m.slots[i]})
	m.slots[i] = v
}

func (m *machine) setReg(i, v int) {
	m.stack = append(m.stack, frame{fReg, int32(i), 0, m.regs[i]})
	m.regs[i] = v
}

// backref is how far group x's text goes on at pos; -1 when it does not.
func (m *machine) backref(in *inst, pos int) int {
	lo, hi := m.slots[2*in.x], m.slots[2*in.x+1]
	if lo < 0 || hi < 0 {
		return -1
	}
	t := m.s[lo:hi]
	if !in.fold {
		if strings.HasPrefix(m.s[pos:], t) {
			return pos + len(t)
		}
		return -1
	}
	low := unitab.ToLower
	if in.asc {
		low = lowerASCII
	}
	for t != "" {
		a, n := utf8.DecodeRuneInString(t)
		b, k := utf8.DecodeRuneInString(m.s[pos:])
		if k == 0 || low(a) != low(b) {
			return -1
		}
		t = t[n:]
		pos += k
	}
	return pos
}

// run executes from pc at pos until opMatch and returns where the match ends,
// or -1. Frames above the stack's height at the call are its own; after a
// match they stay, for the caller to keep (undo only) or unwind.
func (m *machine) run(pc, pos int, top bool) int {
	base := len(m.stack)
	prog := m.p.prog
	for {
		if m.steps++; m.steps > maxSteps || len(m.stack) > maxStack {
			panic(&LimitError{m.p.source})
		}
		in := &prog[pc]
		ok := true
		switch in.op {
		case opMatch:
			if top && (m.full && pos != len(m.s) || m.advance && pos == m.start) {
				ok = false
				break
			}
			return pos
		case opStr, opSet, opAny, opAnyAll:
			n := m.item(in, in.op, pos)
			if ok = n > 0; ok {
				pos += n
				pc++
			}
		case opSplit:
			m.stack = append(m.stack, frame{fBranch, int32(in.y), pos, 0})
			pc = in.x
		case opJmp:
			pc = in.x
		case opSave:
			m.setSlot(in.x, pos)
			pc++
		case opBack:
			n := m.backref(in, pos)
			if ok = n >= 0; ok {
				pos = n
				pc++
			}
		case opLook:
			if ok = m.look(in, pos) != in.neg; ok {
				pc = in.y
			}
		case opAtomic:
			n := m.atomic(in.x, pos)
			if ok = n >= 0; ok {
				pos, pc = n, in.y
			}
		case opCond:
			if m.slots[2*in.x] >= 0 && m.slots[2*in.x+1] >= 0 {
				pc++
			} else {
				pc = in.y
			}
		case opOne:
			pos, ok = m.loop(in, pc, pos)
			pc++
		case opRepInit:
			m.setReg(in.reg, -1)
			m.setReg(in.reg+1, -1)
			pc++
		case opRepNext:
			pc = m.repNext(in, pos)
		default:
			if ok = m.assert(in, pos); ok {
				pc++
			}
		}
		if !ok {
			if pc, pos = m.back(base); pc < 0 {
				return -1
			}
		}
	}
}

// repNext decides whether a counted loop goes round again. The register holds
// the rounds done; it is -1 before the first arrival.
func (m *machine) repNext(in *inst, pos int) int {
	count := m.regs[in.reg] + 1
	m.setReg(in.reg, count)
	if count < in.min {
		return in.x
	}
	// a round that took nothing is not followed by another
	if in.max != noMax && count >= in.max || m.regs[in.reg+1] == pos {
		return in.y
	}
	if in.lazy {
		m.setReg(in.reg+1, pos) // also for the round that comes after a failure
		m.stack = append(m.stack, frame{fBranch, int32(in.x), pos, 0})
		return in.y
	}
	m.stack = append(m.stack, frame{fBranch, int32(in.y), pos, 0})
	m.setReg(in.reg+1, pos)
	return in.x
}

// loop repeats a single-character item.
func (m *machine) loop(in *inst, pc, pos int) (int, bool) {
	n := 0
	for ; n < in.min; n++ {
		w := m.item(in, in.item, pos)
		if w == 0 {
			return 0, false
		}
		pos += w
	}
	if in.lazy {
		if in.max == noMax || n < in.max {
			m.stack = append(m.stack, frame{fLazy, int32(pc), pos, n})
		}
		return pos, true
	}
	least := pos
	for in.max == noMax || n < in.max {
		w := m.item(in, in.item, pos)
		if w == 0 {
			break
		}
		pos += w
		n++
	}
	m.steps += (pos - least) >> 3
	if !in.possess && pos > least {
		m.stack = append(m.stack, frame{fGreedy, int32(pc), pos, least})
	}
	return pos, true
}

// back undoes to the last choice above base and returns where to go on.
func (m *machine) back(base int) (pc, pos int) {
	for len(m.stack) > base {
		f := &m.stack[len(m.stack)-1]
		switch f.kind {
		case fSlot:
			m.slots[f.pc] = f.val
		case fReg:
			m.regs[f.pc] = f.val
		case fBranch:
			pc, pos = int(f.pc), f.pos
			m.stack = m.stack[:len(m.stack)-1]
			return pc, pos
		case fGreedy:
			in := &m.p.prog[f.pc]
			pos = f.pos
			for pos > f.val {
				_, w := utf8.DecodeLastRuneInString(m.s[:pos])
				pos -= w
				m.steps++
				if in.next < 0 || pos < len(m.s) && int(m.s[pos]) == in.next {
					break
				}
				if pos <= f.val {
					pos = -1
				}
			}
			if pos < 0 {
				break // nothing left to give back
			}
			pc = int(f.pc) + 1
			if pos > f.val {
				f.pos = pos
			} else {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos
		case fLazy:
			in := &m.p.prog[f.pc]
			w := m.item(in, in.item, f.pos)
			if w == 0 {
				break
			}
			pc = int(f.pc) + 1
			f.pos += w
			f.val++
			pos = f.pos
			if in.max != noMax && f.val >= in.max {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return -1, 0
}

// atomic runs a sub-program and, after a match, keeps its captures but none of
// its choices.
func (m *machine) atomic(pc, pos int) int {
	base := len(m.stack)
	end := m.run(pc, pos, false)
	if end < 0 {
		return -1
	}
	kept := m.stack[:base]
	for _, f := range m.stack[base:] {
		if f.kind == fSlot || f.kind == fReg {
			kept = append(kept, f)
		}
	}
	m.stack = kept
	return end
}

// look tests an assertion; captures of a positive one stay.
func (m *machine) look(in *inst, pos int) bool {
	for k := in.width; k > 0; k-- {
		if pos == 0 {
			return false
		}
		_, w := utf8.DecodeLastRuneInString(m.s[:pos])
		pos -= w
	}
	if !in.neg {
		return m.atomic(in.x, pos) >= 0
	}
	base := len(m.stack)
	found := m.run(in.x, pos, false) >= 0
	for i := len(m.stack) - 1; i >= base; i-- {
		switch f := m.stack[i]; f.kind {
		case fSlot:
			m.slots[f.pc] = f.val
		case fReg:
			m.regs[f.pc] = f.val
		}
	}
	m.stack = m.stack[:base]
	return found
}

// attempt matches at pos alone.
func (m *machine) attempt(pos int) bool {
	for i := range m.slots {
		m.slots[i] = -1
	}
	m.stack = m.stack[:0]
	m.start = pos
	end := m.run(0, pos, true)
	if end < 0 {
		return false
	}
	m.slots[0], m.slots[1] = pos, end
	return true
}

// search finds the first match at or after pos; advance forbids an empty one
// at pos itself.
func (m *machine) search(pos int, advance bool) bool {
	p := m.p
	m.steps = 0
	for {
		m.advance = advance
		if !advance || pos < len(m.s) {
			if p.prefix != "" {
				i := strings.Index(m.s[pos:], p.prefix)
				if i < 0 {
					return false
				}
				pos += i
			} else if !p.first.empty {
				for pos < len(m.s) && !p.first.bytes[m.s[pos]] {
					pos++
					m.advance = false
				}
				if pos == len(m.s) {
					return false
				}
			}
		}
		if m.attempt(pos) {
			return true
		}
		if pos >= len(m.s) || p.anchored {
			return false
		}
		_, w := utf8.DecodeRuneInString(m.s[pos:])
		pos += w
		advance = false
	}
}
