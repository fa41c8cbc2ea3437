package py

import (
	"encoding/binary"
	"iter"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"unicode/utf8"

	"sextant/internal/source"
)

// Set is a Python set. Iteration is in the order of CPython 3.11's hash table:
// that of numbers follows from their values; that of texts is the one of
// PYTHONHASHSEED=0, where an unseeded Python draws another in each run.
type Set struct {
	d      Dict // membership
	o      setOrder
	At     source.Pos
	Frozen bool // a frozenset: hashable; Add is for building it
}

// NewSet makes a set of items; those that are unhashable are reported.
func NewSet(items ...Value) (*Set, error) {
	s := &Set{}
	for _, it := range items {
		if err := s.Add(it); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Add puts v in and reports an unhashable value.
func (s *Set) Add(v Value) error {
	n := s.d.Len()
	if err := s.d.Put(Entry{Key: v}); err != nil {
		return err
	}
	if s.d.Len() > n {
		h, ok := setHash(v)
		s.o.insert(setSlot{key: v, hash: h, state: slotUsed, odd: !ok})
	}
	return nil
}

// Update adds the members of o, as s.update(o) does.
func (s *Set) Update(o *Set) {
	if o == s || o.Len() == 0 {
		return
	}
	s.o.reserve(o.Len())
	fresh := s.o.fill == 0
	if fresh && s.o.mask() == o.o.mask() && o.o.fill == o.o.used && !o.o.lost {
		s.o.table = slices.Clone(o.o.table)
		s.o.fill, s.o.used = o.o.used, o.o.used
		s.d.take(o.d.Copy())
		return
	}
	for _, e := range o.slots() {
		n := s.d.Len()
		_ = s.d.Put(Entry{Key: e.key}) // it came out of a set
		switch {
		case s.d.Len() == n:
		case fresh && !s.o.lost:
			s.o.clean(e)
			s.o.fill++
			s.o.used++
		default:
			s.o.insert(e)
		}
	}
}

// Reserve makes room for n more members, as CPython does before it adds the
// keys of a dict; it shows in the order.
func (s *Set) Reserve(n int) { s.o.reserve(n) }

// Copy is a set of the same members.
func (s *Set) Copy() *Set {
	c := &Set{At: s.At, Frozen: s.Frozen}
	c.Update(s)
	return c
}

// Has reports membership.
func (s *Set) Has(v Value) bool { return s.d.Has(v) }

// Delete removes v and reports whether it was there.
func (s *Set) Delete(v Value) bool {
	if !s.d.Delete(v) {
		return false
	}
	h, ok := setHash(v)
	s.o.remove(v, h, ok)
	return true
}

// pop removes the member that set.pop gives.
func (s *Set) pop() (Value, bool) {
	if s.Len() == 0 {
		return nil, false
	}
	v := s.Items()[0]
	if !s.o.lost {
		i := s.o.finger & s.o.mask()
		for s.o.table[i].state != slotUsed {
			i = (i + 1) & s.o.mask()
		}
		v = s.o.table[i].key
		s.o.finger = i + 1
	}
	s.Delete(v)
	return v, true
}

// clear removes all.
func (s *Set) clear() {
	s.d = Dict{}
	s.o = setOrder{finger: s.o.finger}
}

// Len is the number of members.
func (s *Set) Len() int { return s.d.Len() }

// Items returns the members in order.
func (s *Set) Items() []Value {
	if s.o.lost {
		return s.d.Keys()
	}
	out := make([]Value, 0, s.d.Len())
	for i := range s.o.table {
		if s.o.table[i].state == slotUsed {
			out = append(out, s.o.table[i].key)
		}
	}
	return out
}

// slots are the members in order with their hashes.
func (s *Set) slots() []setSlot {
	out := make([]setSlot, 0, s.d.Len())
	if s.o.lost {
		for _, k := range s.d.Keys() {
			h, ok := setHash(k)
			out = append(out, setSlot{key: k, hash: h, state: slotUsed, odd: !ok})
		}
		return out
	}
	for _, e := range s.o.table {
		if e.state == slotUsed {
			out = append(out, e)
		}
	}
	return out
}

// setOp is a op b for | & - ^, a new set, frozen as a is.
func setOp(op string, a, b *Set) *Set {
	out := &Set{Frozen: a.Frozen}
	switch op {
	case "|":
		out.Update(a)
		out.Update(b)
	case "&":
		if a == b {
			out.Update(a)
			break
		}
		if b.Len() > a.Len() {
			a, b = b, a
		}
		for _, e := range b.slots() {
			if a.Has(e.key) {
				_ = out.Add(e.key) // it came out of a set
			}
		}
	case "-":
		if a.Len()>>2 > b.Len() {
			out.Update(a)
			out.subtract(b)
			break
		}
		for _, e := range a.slots() {
			if !b.Has(e.key) {
				_ = out.Add(e.key) // it came out of a set
			}
		}
	case "^":
		out.Update(b)
		out.flip(a)
	}
	return out
}

// SetInPlace is s op= o.
func (s *Set) SetInPlace(op string, o *Set) {
	switch op {
	case "|":
		s.Update(o)
	case "&":
		r := setOp("&", s, o)
		s.d.take(&r.d)
		s.o = r.o
	case "-":
		s.subtract(o)
	case "^":
		s.flip(o)
	}
}

func (s *Set) subtract(o *Set) {
	if s == o {
		s.clear()
		return
	}
	for _, e := range o.slots() {
		s.Delete(e.key)
	}
	if s.o.fill-s.o.used > s.o.mask()/4 {
		s.o.grow()
	}
}

func (s *Set) flip(o *Set) {
	if s == o {
		s.clear()
		return
	}
	for _, e := range o.slots() {
		if !s.Delete(e.key) {
			_ = s.Add(e.key) // it came out of a set
		}
	}
}

// setOrder is the hash table of a set, kept for its order alone.
type setOrder struct {
	table      []setSlot // a power of two of slots, 8 at least; nil is 8 empty ones
	fill, used int       // slots not empty; members
	finger     int       // where pop looks next
	lost       bool      // hashes of a kind that makes the table slow: order of insertion
}

const (
	slotEmpty = iota
	slotUsed
	slotDummy
)

type setSlot struct {
	key   Value
	hash  uint64
	state uint8
	odd   bool // the hash is made up: Python's is an address
}

const (
	smallestSet = 8
	probes      = 9 // slots looked at in a row
	maxProbes   = 2000
)

func (o *setOrder) mask() int {
	if o.table == nil {
		return smallestSet - 1
	}
	return len(o.table) - 1
}

// way gives the slots on the way of a hash, in the order in which they are
// tried.
func (o *setOrder) way(h uint64) iter.Seq[*setSlot] {
	return func(yield func(*setSlot) bool) {
		mask := uint64(len(o.table) - 1)
		i, perturb := h&mask, h
		for range maxProbes {
			row := uint64(0)
			if i+probes <= mask {
				row = probes
			}
			for j := i; j <= i+row; j++ {
				if !yield(&o.table[j]) {
					return
				}
			}
			perturb >>= 5
			i = (i*5 + 1 + perturb) & mask
		}
	}
}

// find gives the first empty slot on the way of a hash, and the last slot on
// the way to it that a removed member left.
func (o *setOrder) find(h uint64) (empty, dummy *setSlot) {
	if o.table == nil {
		o.table = make([]setSlot, smallestSet)
	}
	for s := range o.way(h) {
		switch s.state {
		case slotEmpty:
			return s, dummy
		case slotDummy:
			dummy = s
		}
	}
	o.lost, o.table = true, nil
	return nil, nil
}

// clean puts a member that is not there into a table without dummies.
func (o *setOrder) clean(e setSlot) {
	if s, _ := o.find(e.hash); s != nil {
		*s = e
	}
}

// insert adds a member that is not there.
func (o *setOrder) insert(e setSlot) {
	if o.lost {
		return
	}
	if e.odd {
		e.hash = uint64(o.used)
	}
	empty, dummy := o.find(e.hash)
	switch {
	case o.lost:
		return
	case dummy != nil:
		*dummy = e
		o.used++
		return
	}
	*empty = e
	o.fill++
	o.used++
	if o.fill*5 >= o.mask()*3 {
		o.grow()
	}
}

func (o *setOrder) grow() {
	if o.used > 50000 {
		o.resize(o.used * 2)
	} else {
		o.resize(o.used * 4)
	}
}

func (o *setOrder) reserve(n int) {
	if !o.lost && (o.fill+n)*5 >= o.mask()*3 {
		o.resize((o.used + n) * 2)
	}
}

func (o *setOrder) resize(least int) {
	if o.lost {
		return
	}
	size := smallestSet
	for size <= least {
		size <<= 1
	}
	old := o.table
	o.table, o.fill = make([]setSlot, size), o.used
	for _, e := range old {
		if e.state == slotUsed && !o.lost {
			o.clean(e)
		}
	}
}

// remove makes a member's slot a dummy.
func (o *setOrder) remove(v Value, h uint64, known bool) {
	if o.lost {
		return
	}
	key, _ := HashKey(v)
	is := func(s *setSlot) bool {
		if s.state != slotUsed || known && s.hash != h {
			return false
		}
		k, _ := HashKey(s.key)
		return k == key
	}
	drop := func(s *setSlot) {
		*s = setSlot{state: slotDummy}
		o.used--
	}
	if known {
		for s := range o.way(h) {
			if is(s) {
				drop(s)
				return
			}
		}
	}
	for i := range o.table {
		if is(&o.table[i]) {
			drop(&o.table[i])
			return
		}
	}
}

// setHash is hash(v) under PYTHONHASHSEED=0; ok is false where it is an
// address.
func setHash(v Value) (h uint64, ok bool) {
	n, ok := hashValue(v, 0)
	return uint64(n), ok
}

// HashNumber is hash(v) of a number, ok is false for anything else.
func HashNumber(v Value) (int, bool) {
	switch v.(type) {
	case int, bool, float64, *big.Int:
		n, ok := hashValue(v, 0)
		return int(n), ok
	}
	return 0, false
}

const hashPrime = 1<<61 - 1

func hashValue(v Value, depth int) (int64, bool) {
	if depth > maxNesting {
		return 0, false
	}
	switch x := v.(type) {
	case nil:
		return 0, false
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case int:
		return notMinusOne(int64(x % hashPrime)), true
	case *big.Int:
		m := new(big.Int).Rem(x, big.NewInt(hashPrime))
		return notMinusOne(m.Int64()), true
	case float64:
		return hashFloat(x)
	case string:
		return hashBytes(textBytes(x)), true
	case Bytes:
		return hashBytes([]byte(x)), true
	case *Tuple:
		return hashTuple(x.Items, depth)
	case *Set:
		if x.Frozen {
			return hashFrozen(x, depth)
		}
	case *Range:
		n := x.PyLen()
		items := []Value{n, nil, nil}
		if n > 0 {
			items[1] = x.Start
		}
		if n > 1 {
			items[2] = x.Step
		}
		if n < 2 {
			return 0, false // None's is an address
		}
		return hashTuple(items, depth)
	}
	return 0, false
}

func notMinusOne(h int64) int64 {
	if h == -1 {
		return -2
	}
	return h
}

func hashFloat(f float64) (int64, bool) {
	switch {
	case math.IsNaN(f):
		return 0, false
	case math.IsInf(f, 1):
		return 314159, true
	case math.IsInf(f, -1):
		return -314159, true
	}
	m, e := math.Frexp(math.Abs(f))
	var x uint64
	for m != 0 {
		x = x<<28&hashPrime | x>>(61-28)
		m *= 1 << 28
		e -= 28
		y := uint64(m)
		m -= float64(y)
		if x += y; x >= hashPrime {
			x -= hashPrime
		}
	}
	if e >= 0 {
		e %= 61
	} else {
		e = 60 - (-1-e)%61
	}
	x = x<<e&hashPrime | x>>(61-e)
	h := int64(x)
	if f < 0 {
		h = -h
	}
	return notMinusOne(h), true
}

// hashTuple is xxHash's way, as CPython has it since 3.8.
func hashTuple(items []Value, depth int) (int64, bool) {
	const p1, p2, p5 = 11400714785074694791, 14029467366897019727, 2870177450012600261
	acc := uint64(p5)
	for _, it := range items {
		h, ok := hashValue(it, depth+1)
		if !ok {
			return 0, false
		}
		acc += uint64(h) * p2
		acc = bits.RotateLeft64(acc, 31) * p1
	}
	acc += uint64(len(items)) ^ (p5 ^ 3527539)
	if acc == math.MaxUint64 {
		return 1546275796, true
	}
	return int64(acc), true
}

func hashFrozen(s *Set, depth int) (int64, bool) {
	if s.o.lost {
		return 0, false
	}
	h := uint64(0)
	mix := func(x uint64) uint64 { return (x ^ 89869747 ^ x<<16) * 3644798167 }
	for _, e := range s.slots() {
		x, ok := hashValue(e.key, depth+1)
		if !ok {
			return 0, false
		}
		h ^= mix(uint64(x))
	}
	// the empty slots and dummies cancel out in pairs there, which leaves this
	h ^= (uint64(s.Len()) + 1) * 1927868237
	h ^= h>>11 ^ h>>25
	h = h*69069 + 907133923
	if h == math.MaxUint64 {
		h = 590923713
	}
	return int64(h), true
}

// textBytes is a text as CPython stores it: one, two or four bytes a
// character, by the largest.
func textBytes(s string) []byte {
	largest := rune(0)
	n := 0
	for i := 0; i < len(s); n++ {
		r, w := decodeWide(s[i:])
		largest = max(largest, r)
		i += w
	}
	if largest < utf8.RuneSelf {
		return []byte(s)
	}
	b := make([]byte, 0, n*4)
	for i := 0; i < len(s); {
		r, w := decodeWide(s[i:])
		i += w
		switch {
		case largest < 256:
			b = append(b, byte(r))
		case largest < 1<<16:
			b = binary.LittleEndian.AppendUint16(b, uint16(r))
		default:
			b = binary.LittleEndian.AppendUint32(b, uint32(r))
		}
	}
	return b
}

// decodeWide reads a character, a surrogate in three bytes too.
func decodeWide(s string) (rune, int) {
	if len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 {
		return rune(s[0]&0xf)<<12 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return utf8.DecodeRuneInString(s)
}

// hashBytes is SipHash-1-3 with a key of zeros.
func hashBytes(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	v0, v1, v2, v3 := uint64(0x736f6d6570736575), uint64(0x646f72616e646f6d), uint64(0x6c7967656e657261), uint64(0x7465646279746573)
	round := func() {
		v0 += v1
		v2 += v3
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v1
		v0 += v3
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		m := binary.LittleEndian.Uint64(b)
		v3 ^= m
		round()
		v0 ^= m
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	round()
	v0 ^= last
	v2 ^= 0xff
	round()
	round()
	round()
	return notMinusOne(int64(v0 ^ v1 ^ v2 ^ v3))
}
