package pyre

import (
	"strings"
	"unicode/utf8"
)

type opcode uint8

const (
	opMatch opcode = iota
	opStr          // str, literally
	opSet
	opAny
	opAnyAll
	opSplit // try x, then y
	opJmp   // to x
	opSave  // position to slot x
	opBegin
	opBeginLine
	opEnd // at the end or before a final newline
	opEndLine
	opEndText
	opWord
	opNotWord
	opBack   // group x
	opLook   // program x ends in opMatch; go on at y; width when behind
	opAtomic // program x ends in opMatch; go on at y
	opCond   // group x matched: next, else to y
	opOne    // repeat one single-character item x..: see loop
	opRepInit
	opRepNext // counted loop over a longer item
)

// inst is one instruction.
type inst struct {
	op             opcode
	lazy, possess  bool
	neg, fold, asc bool
	x, y           int
	min, max       int // max -1: no limit
	width          int // lookbehind: code points; -1: ahead
	reg            int // opRep…: registers reg (count) and reg+1 (last start)
	str            string
	set            *set
	item           opcode // opOne: opStr, opSet, opAny, opAnyAll
	next           int    // opOne: the byte that must follow, -1 unknown
}

type compiler struct {
	prog []inst
	regs int
}

func (c *compiler) emit(i inst) int {
	c.prog = append(c.prog, i)
	return len(c.prog) - 1
}

// single returns the instruction of an item that is one code point.
func single(n *node) (inst, bool) {
	switch n.kind {
	case kChar:
		return inst{op: opStr, str: string(n.r)}, true
	case kSet:
		return inst{op: opSet, set: n.set}, true
	case kAny:
		if n.all {
			return inst{op: opAnyAll}, true
		}
		return inst{op: opAny}, true
	case kGroup:
		if n.n == 0 {
			return single(n.sub[0])
		}
	case kSeq:
		if len(n.sub) == 1 {
			return single(n.sub[0])
		}
	}
	return inst{}, false
}

func (c *compiler) compile(n *node) {
	if len(c.prog) > maxProgram {
		return // Compile reports it
	}
	switch n.kind {
	case kEmpty:
	case kChar, kSet, kAny:
		i, _ := single(n)
		c.emit(i)
	case kSeq:
		for k := 0; k < len(n.sub); k++ {
			if n.sub[k].kind != kChar {
				c.compile(n.sub[k])
				continue
			}
			var b strings.Builder
			for ; k < len(n.sub) && n.sub[k].kind == kChar; k++ {
				b.WriteRune(n.sub[k].r)
			}
			k--
			c.emit(inst{op: opStr, str: b.String()})
		}
	case kAlt:
		var ends []int
		for k, s := range n.sub {
			if k == len(n.sub)-1 {
				c.compile(s)
				break
			}
			split := c.emit(inst{op: opSplit})
			c.prog[split].x = len(c.prog)
			c.compile(s)
			ends = append(ends, c.emit(inst{op: opJmp}))
			c.prog[split].y = len(c.prog)
		}
		for _, e := range ends {
			c.prog[e].x = len(c.prog)
		}
	case kGroup:
		if n.n > 0 {
			c.emit(inst{op: opSave, x: 2 * n.n})
		}
		c.compile(n.sub[0])
		if n.n > 0 {
			c.emit(inst{op: opSave, x: 2*n.n + 1})
		}
	case kAt:
		c.emit(inst{op: opcode(n.n), asc: n.asc})
	case kBack:
		c.emit(inst{op: opBack, x: n.n, fold: n.fold, asc: n.asc})
	case kLook, kAtomic:
		i := inst{op: opAtomic, neg: n.neg, width: -1}
		if n.kind == kLook {
			i.op = opLook
			if n.behind {
				i.width = n.n
			}
		}
		at := c.emit(i)
		c.prog[at].x = len(c.prog)
		c.compile(n.sub[0])
		c.emit(inst{op: opMatch})
		c.prog[at].y = len(c.prog)
	case kCond:
		at := c.emit(inst{op: opCond, x: n.n})
		c.compile(n.sub[0])
		jmp := c.emit(inst{op: opJmp})
		c.prog[at].y = len(c.prog)
		c.compile(n.sub[1])
		c.prog[jmp].x = len(c.prog)
	case kRepeat:
		c.repeat(n)
	}
}

func (c *compiler) repeat(n *node) {
	if i, ok := single(n.sub[0]); ok {
		i.item, i.op = i.op, opOne
		i.min, i.max, i.lazy, i.possess, i.next = n.min, n.max, n.lazy, n.possess, -1
		c.emit(i)
		return
	}
	if n.possess {
		m := *n
		m.possess = false
		c.compile(&node{kind: kAtomic, sub: []*node{&m}})
		return
	}
	if n.min == 0 && n.max == 1 {
		split := c.emit(inst{op: opSplit})
		c.prog[split].x = len(c.prog)
		c.compile(n.sub[0])
		c.prog[split].y = len(c.prog)
		if n.lazy {
			s := &c.prog[split]
			s.x, s.y = s.y, s.x
		}
		return
	}
	reg := c.regs
	c.regs += 2
	c.emit(inst{op: opRepInit, reg: reg})
	loop := c.emit(inst{op: opRepNext, reg: reg, min: n.min, max: n.max, lazy: n.lazy})
	c.prog[loop].x = len(c.prog)
	c.compile(n.sub[0])
	c.emit(inst{op: opJmp, x: loop})
	c.prog[loop].y = len(c.prog)
}

// hints fills in the byte that follows each single-character loop, where it is
// certain.
func (c *compiler) hints() {
	for i := range c.prog {
		if c.prog[i].op != opOne {
			continue
		}
		j := i + 1
		for c.prog[j].op == opSave {
			j++
		}
		if c.prog[j].op == opStr {
			c.prog[i].next = int(c.prog[j].str[0])
		}
	}
}

// first is the set of bytes a match can begin with; ok is false when it can be
// empty or begin with anything.
type first struct {
	bytes [256]bool
	empty bool
}

func firstOf(n *node) (f first) {
	all := func() {
		for i := range f.bytes {
			f.bytes[i] = true
		}
	}
	switch n.kind {
	case kEmpty, kAt, kLook:
		f.empty = true
	case kChar:
		var b [4]byte
		utf8.EncodeRune(b[:], n.r)
		f.bytes[b[0]] = true
	case kSet:
		copy(f.bytes[:], n.set.low[:])
		for i := 128; i < 256; i++ {
			f.bytes[i] = true
		}
	case kAny:
		all()
		f.bytes['\n'] = n.all
	case kSeq:
		f.empty = true
		for _, s := range n.sub {
			g := firstOf(s)
			for i, b := range g.bytes {
				f.bytes[i] = f.bytes[i] || b
			}
			if !g.empty {
				f.empty = false
				break
			}
		}
	case kAlt:
		for _, s := range n.sub {
			g := firstOf(s)
			f.empty = f.empty || g.empty
			for i, b := range g.bytes {
				f.bytes[i] = f.bytes[i] || b
			}
		}
	case kGroup, kAtomic:
		return firstOf(n.sub[0])
	case kRepeat:
		f = firstOf(n.sub[0])
		f.empty = f.empty || n.min == 0
	default:
		all()
		f.empty = true
	}
	return f
}

// prefix is the literal text every match begins with.
func prefix(n *node) string {
	switch n.kind {
	case kChar:
		return string(n.r)
	case kGroup:
		return prefix(n.sub[0])
	case kSeq:
		var b strings.Builder
		for _, s := range n.sub {
			if s.kind != kChar {
				if b.Len() == 0 && s.kind == kGroup {
					return prefix(s)
				}
				break
			}
			b.WriteRune(s.r)
		}
		return b.String()
	}
	return ""
}
