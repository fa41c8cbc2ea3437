// Package py holds Python's data values and what Python does with them:
// repr and str, equality, ordering, arithmetic, formatting, the methods of
// str, list and dict, json.dumps and json.loads. Config files, dataset rows,
// prompts, predictions and summaries all speak these values, so that a number
// or a text comes out as it does in CPython 3.11, to the last character.
//
// A Value is one of
//
//	nil, bool, int, *big.Int (only outside int64), float64, string, Bytes,
//	*List, *Tuple, *Dict, *Set, or something that implements Object
//
// Strings are Go strings in UTF-8; lengths and indexes are code points.
//
// The package knows no configs, models or datasets, and does no I/O.
package py

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"sextant/internal/source"
)

// Value is a Python value; see the package comment for the concrete types.
type Value = any

// Bytes is a Python bytes object.
type Bytes string

// Object is a value that only its own package understands (a function, a
// module, a lazy reference of a config).
type Object interface {
	PyType() string // type(x).__name__
	PyRepr() string
}

// Nest is an Object whose repr shows values, which may lead back to it: Repr
// writes them itself, so that it sees the circle. PyRepr is Repr of it. again is
// what stands for x within its own repr; "" shows it once more, where the way
// back must lead through a list or dict.
type Nest interface {
	Object
	PyReprParts() (before string, items []Value, after, again string)
}

// List is a mutable Python list. Pos, if not nil, runs beside Items and says
// where each item was written.
type List struct {
	Items []Value
	Pos   []source.Pos
	At    source.Pos // where the display stands
}

// NewList makes a list of items.
func NewList(items ...Value) *List { return &List{Items: items} }

// Len is the number of items.
func (l *List) Len() int { return len(l.Items) }

// PosOf is where item i was written, or else where the list was.
func (l *List) PosOf(i int) source.Pos {
	if i < len(l.Pos) && l.Pos[i] != 0 {
		return l.Pos[i]
	}
	return l.At
}

// Append adds v, written at pos.
func (l *List) Append(v Value, pos source.Pos) {
	if pos != 0 || l.Pos != nil {
		for len(l.Pos) < len(l.Items) {
			l.Pos = append(l.Pos, 0)
		}
		l.Pos = append(l.Pos, pos)
	}
	l.Items = append(l.Items, v)
}

// Tuple is an immutable sequence.
type Tuple struct {
	Items []Value
	Pos   []source.Pos
	At    source.Pos
}

// NewTuple makes a tuple of items.
func NewTuple(items ...Value) *Tuple { return &Tuple{Items: items} }

// PosOf is where item i was written, or else where the tuple was.
func (t *Tuple) PosOf(i int) source.Pos {
	if i < len(t.Pos) && t.Pos[i] != 0 {
		return t.Pos[i]
	}
	return t.At
}

// Entry is one key of a Dict with its value. Pos is where the value was
// written, KeyPos where the key was; 0 when not known.
type Entry struct {
	Key, Val    Value
	KeyPos, Pos source.Pos
}

// Dict is an insertion-ordered dictionary with Python's key equality
// (1 == 1.0 == True). Not safe for concurrent mutation; concurrent reading is
// fine, also of a deferred copy (Defer).
type Dict struct {
	At      source.Pos
	Config  bool   // a mmengine ConfigDict, not a plain dict: see pyconf
	height  uint16 // see SetMeasure
	entries []Entry
	index   *dictIndex           // built when there are more than dictLinear keys
	dead    int32                // deleted slots in entries (Key == tomb)
	nodes   int32                // see SetMeasure
	src     atomic.Pointer[Dict] // what a deferred copy is made of; nil when it is made
	conv    *Conversion
}

type tombT struct{}

var tomb = tombT{}

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{} }

// DictOf makes a dict from alternating keys and values.
func DictOf(kv ...Value) *Dict {
	d := NewDict()
	for i := 0; i+1 < len(kv); i += 2 {
		d.Set(kv[i], kv[i+1])
	}
	return d
}

// Keys of HashKey that no string of a user equals.
type (
	bigKey   string
	bytesKey string
	tupleKey string
	setKey   string
)

// HashKey maps a hashable value to a comparable Go value such that equal
// Python keys give equal results; ok is false for unhashable values.
func HashKey(v Value) (key any, ok bool) { return hashKey(v, 0) }

// maxKeyBytes bounds the key of a nested tuple, which may share its parts so
// often that it would not fit anywhere.
const maxKeyBytes = 1 << 20

func hashKey(v Value, depth int) (key any, ok bool) {
	switch x := v.(type) {
	case string, nil, int:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case float64:
		if x == math.Trunc(x) && !math.IsInf(x, 0) {
			if n, err := floatToInt(x); err == nil {
				return hashKey(n, depth)
			}
		}
		return x, true
	case *big.Int:
		return bigKey(x.Text(62)), true
	case Bytes:
		return bytesKey(x), true
	case *Tuple:
		if depth > maxNesting { // before going down: the stack is finite
			return nil, false
		}
		b, ok := appendKeys(nil, x.Items, depth+1)
		return tupleKey(b), ok
	case *Set:
		if !x.Frozen {
			return nil, false
		}
		parts := make([]string, 0, x.Len())
		for _, it := range x.Items() {
			b, ok := appendKeys(nil, []Value{it}, depth+1)
			if !ok {
				return nil, false
			}
			parts = append(parts, string(b))
		}
		slices.Sort(parts)
		return setKey(strings.Join(parts, "")), true
	case *List, *Dict:
		return nil, false
	case Hasher:
		return x.PyHash()
	}
	if t := reflect.TypeOf(v); !t.Comparable() {
		return nil, false
	}
	return v, true // identity
}

// appendKeys writes the keys of items such that different keys differ.
func appendKeys(b []byte, items []Value, depth int) ([]byte, bool) {
	for _, it := range items {
		k, ok := hashKey(it, depth)
		if !ok || depth > maxNesting || len(b) > maxKeyBytes {
			return nil, false
		}
		var s string
		switch x := k.(type) {
		case string:
			s = x
		case int:
			s = strconv.Itoa(x)
		case nil:
		default:
			if t := reflect.TypeOf(k); t.Kind() == reflect.Pointer {
				s = fmt.Sprintf("%p", k) // identity
			} else {
				s = fmt.Sprint(k)
			}
		}
		b = fmt.Appendf(b, "%T:%d:%s", k, len(s), s)
	}
	return b, true
}

const dictLinear = 16

// find is the place of a key in d.entries; d is made.
func (d *Dict) find(k any) int {
	if d.index != nil {
		i, _ := d.probe(k)
		return i
	}
	if ks, ok := k.(string); ok {
		for i := range d.entries {
			if es, ok := d.entries[i].Key.(string); ok && es == ks {
				return i
			}
		}
		return -1
	}
	for i := range d.entries {
		if ek := d.entries[i].Key; ek != tomb {
			if hk, _ := HashKey(ek); hk == k {
				return i
			}
		}
	}
	return -1
}

// DictOfEntries makes a dict of entries whose keys are known to be different
// strings. It takes the slice over.
func DictOfEntries(es []Entry) *Dict {
	d := &Dict{entries: es}
	if len(es) > dictLinear {
		d.reindex()
	}
	return d
}

// Len is the number of keys.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	m := d.made()
	return len(m.entries) - int(m.dead)
}

// Lookup returns the value of key.
func (d *Dict) Lookup(key Value) (Value, bool) {
	if d == nil {
		return nil, false
	}
	k, ok := HashKey(key)
	if !ok {
		return nil, false
	}
	if src := d.src.Load(); src != nil {
		m := src.made()
		i := m.find(k)
		if i < 0 {
			return nil, false
		}
		switch v := m.entries[i].Val.(type) {
		case string, bool, int, nil:
			return v, true
		}
		d.force()
	}
	if i := d.find(k); i >= 0 {
		return d.entries[i].Val, true
	}
	return nil, false
}

// LookupPos is Lookup of a text, and the position of the value as it was noted,
// 0 when it was not.
func (d *Dict) LookupPos(key Value) (Value, source.Pos, bool) {
	d.force()
	if i := d.find(key); i >= 0 {
		return d.entries[i].Val, d.entries[i].Pos, true
	}
	return nil, 0, false
}

// Get returns the value of key, or nil.
func (d *Dict) Get(key Value) Value { v, _ := d.Lookup(key); return v }

// Has reports whether key is there.
func (d *Dict) Has(key Value) bool {
	k, ok := HashKey(key)
	return ok && d != nil && d.made().find(k) >= 0
}

// Str, Dict, List return the value of key when it has that type, else zero.
func (d *Dict) Str(key string) string { s, _ := d.Get(key).(string); return s }
func (d *Dict) Dict(key string) *Dict { s, _ := d.Get(key).(*Dict); return s }
func (d *Dict) List(key string) *List { s, _ := d.Get(key).(*List); return s }
func (d *Dict) Bool(key string) bool  { s, _ := d.Get(key).(bool); return s }
func (d *Dict) Int(key string, def int) int {
	switch x := d.Get(key).(type) {
	case int:
		return x
	case bool:
		if x {
			return 1
		}
		return 0
	}
	return def
}

// PosOf is where the value of key was written, or else where the dict was.
func (d *Dict) PosOf(key Value) source.Pos {
	if d == nil {
		return 0
	}
	if k, ok := HashKey(key); ok {
		m := d.made()
		if i := m.find(k); i >= 0 && m.entries[i].Pos != 0 {
			return m.entries[i].Pos
		}
	}
	return d.At
}

// KeyPosOf is where key itself was written, or else as PosOf.
func (d *Dict) KeyPosOf(key Value) source.Pos {
	if d == nil {
		return 0
	}
	if k, ok := HashKey(key); ok {
		m := d.made()
		if i := m.find(k); i >= 0 && m.entries[i].KeyPos != 0 {
			return m.entries[i].KeyPos
		}
	}
	return d.PosOf(key)
}

// Set stores val under key, keeping the place of an existing key. It panics
// with *Exception (TypeError) when key is unhashable; use Put for foreign keys.
func (d *Dict) Set(key, val Value) {
	if err := d.Put(Entry{Key: key, Val: val}); err != nil {
		panic(err)
	}
}

// Put stores an entry with its positions.
func (d *Dict) Put(e Entry) error {
	k, ok := HashKey(e.Key)
	if !ok {
		return unhashable(e.Key)
	}
	d.force()
	if i := d.find(k); i >= 0 {
		d.entries[i].Val, d.entries[i].Pos = e.Val, e.Pos
		if e.KeyPos != 0 {
			d.entries[i].KeyPos = e.KeyPos
		}
		return nil
	}
	d.entries = append(d.entries, e)
	if d.index != nil && 2*len(d.entries) <= len(d.index.places) {
		d.enter(k, len(d.entries)-1)
	} else if len(d.entries) > dictLinear {
		d.reindex()
	}
	return nil
}

// dictIndex finds entries by their keys. There are at least twice as many
// places as entries, a power of two. A place holds the number of an entry,
// counted from 1, where its key hashes to or behind; 0 ends a search, -1 was
// deleted.
type dictIndex struct{ places []int32 }

func (d *Dict) reindex() {
	n := 4 * dictLinear
	for n < 3*len(d.entries) {
		n *= 2
	}
	d.index = &dictIndex{make([]int32, n)}
	for i := range d.entries {
		if d.entries[i].Key != tomb {
			k, _ := HashKey(d.entries[i].Key)
			d.enter(k, i)
		}
	}
}

var hashSeed = maphash.MakeSeed()

func (d *Dict) place(k any) int {
	h := uint64(0)
	if s, ok := k.(string); ok {
		h = maphash.String(hashSeed, s)
	} else {
		h = maphash.Comparable(hashSeed, k)
	}
	return int(h & uint64(len(d.index.places)-1))
}

// enter notes in the index that entry i has the key k, which is not there.
func (d *Dict) enter(k any, i int) {
	at, places := d.place(k), d.index.places
	for places[at] > 0 {
		at = (at + 1) & (len(places) - 1)
	}
	places[at] = int32(i + 1)
}

// probe finds the entry of a key, or -1, and its place in the index.
func (d *Dict) probe(k any) (i, at int) {
	s, isText := k.(string)
	places := d.index.places
	for at = d.place(k); places[at] != 0; at = (at + 1) & (len(places) - 1) {
		i := int(places[at]) - 1
		if i < 0 {
			continue
		}
		if es, ok := d.entries[i].Key.(string); ok || isText {
			if ok && isText && es == s {
				return i, at
			}
		} else if hk, _ := HashKey(d.entries[i].Key); hk == k {
			return i, at
		}
	}
	return -1, at
}

// Delete removes key and reports whether it was there.
func (d *Dict) Delete(key Value) bool {
	k, ok := HashKey(key)
	if !ok {
		return false
	}
	d.force()
	i := d.find(k)
	if i < 0 {
		return false
	}
	if d.index != nil {
		_, at := d.probe(k)
		d.index.places[at] = -1
	}
	d.entries[i] = Entry{Key: tomb}
	d.dead++
	if d.dead > 16 && int(d.dead) > len(d.entries)/2 {
		d.compact()
	}
	return true
}

func (d *Dict) compact() {
	out := make([]Entry, 0, d.Len())
	for _, e := range d.entries {
		if e.Key != tomb {
			out = append(out, e)
		}
	}
	d.entries, d.dead, d.index = out, 0, nil
	if len(out) > dictLinear {
		d.reindex()
	}
}

// Entries returns the live entries in order. The slice is the caller's to
// read until the dict is changed.
func (d *Dict) Entries() []Entry {
	if d == nil {
		return nil
	}
	d.force()
	if d.dead > 0 {
		d.compact()
	}
	return d.entries
}

// take makes d hold the entries of o, which is not to be changed any more.
func (d *Dict) take(o *Dict) {
	es := o.Entries()
	d.entries, d.index, d.dead = es, o.index, 0
}

// Keys returns the keys in order.
func (d *Dict) Keys() []Value {
	es := d.Entries()
	out := make([]Value, len(es))
	for i, e := range es {
		out[i] = e.Key
	}
	return out
}

// Copy is a shallow copy.
func (d *Dict) Copy() *Dict {
	c := &Dict{At: d.At, Config: d.Config}
	c.entries = append([]Entry(nil), d.Entries()...)
	if d.index != nil {
		c.index = &dictIndex{slices.Clone(d.index.places)} // Entries has left no gaps
	} else if len(c.entries) > dictLinear {
		c.reindex()
	}
	return c
}

// DeepCopy copies containers all the way down; Objects are shared. What is
// shared or cyclic in v is so in the copy.
func DeepCopy(v Value) Value { return deepCopy(v, map[any]Value{}) }

func deepCopy(v Value, memo map[any]Value) Value {
	switch v.(type) {
	case *List, *Tuple, *Dict, *Set:
		if c, ok := memo[v]; ok {
			return c
		}
	}
	switch x := v.(type) {
	case *List:
		c := &List{At: x.At, Pos: append([]source.Pos(nil), x.Pos...), Items: make([]Value, len(x.Items))}
		memo[v] = c
		for i, it := range x.Items {
			c.Items[i] = deepCopy(it, memo)
		}
		return c
	case *Tuple:
		c := &Tuple{At: x.At, Pos: x.Pos, Items: make([]Value, len(x.Items))}
		memo[v] = c
		for i, it := range x.Items {
			c.Items[i] = deepCopy(it, memo)
		}
		return c
	case *Dict:
		c := x.Copy()
		memo[v] = c
		for i := range c.entries {
			c.entries[i].Val = deepCopy(c.entries[i].Val, memo)
		}
		return c
	case *Set:
		c := &Set{At: x.At, Frozen: x.Frozen}
		for _, it := range x.Items() {
			_ = c.Add(it) // it came out of a set
		}
		memo[v] = c
		return c
	}
	return v
}

// TypeName is type(v).__name__.
func TypeName(v Value) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case Bytes:
		return "bytes"
	case *List:
		return "list"
	case *Tuple:
		return "tuple"
	case *Dict:
		if x.Config {
			return "ConfigDict"
		}
		return "dict"
	case *Set:
		if x.Frozen {
			return "frozenset"
		}
		return "set"
	case Object:
		return x.PyType()
	}
	return fmt.Sprintf("%T", v)
}
