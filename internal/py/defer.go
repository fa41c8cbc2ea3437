package py

import (
	"sync"
	"unsafe"
)

// A deferred copy is a Dict that holds another one until somebody looks: a
// config imports lists of thousands of datasets, of which most are never
// touched, and a deep copy of each would cost more than all the rest.
//
// What is deferred is a copy of a tree: each dict of it, converted, and new
// lists between them. The copy is made level by level: what is read of one
// dict makes that dict's entries, with deferred copies of the dicts in them.
// The source must never change again.

// Conversion says what a copy is like.
type Conversion struct {
	// Val converts the value of an entry: a dict to a deferred copy (Defer), a
	// list or tuple to a new one, anything else to what it becomes; text, int,
	// bool and None stay.
	Val func(Value) Value
	// Order, when not nil, orders the entries, which it may do in place.
	Order func([]Entry) []Entry
	// Made, when not nil, is told how many entries a dict has that is made now.
	Made func(entries int)
	// Config is the flag of the copies.
	Config bool
}

// Defer is a deferred copy of src.
func Defer(src *Dict, conv *Conversion) *Dict {
	if src.src.Load() == nil && src.dead > 0 {
		src.compact() // for all who read it later, perhaps at the same time
	}
	d := &Dict{At: src.At, Config: conv.Config, conv: conv}
	d.src.Store(src)
	return d
}

// Deferred is what a deferred copy is made of, and how, while nobody has
// looked into it; else src is nil.
func (d *Dict) Deferred() (src *Dict, conv *Conversion) {
	if src = d.src.Load(); src == nil {
		return nil, nil
	}
	return src, d.conv
}

// SetMeasure notes how many values there are in d, shared ones counted as
// often as they occur, and how deep they nest. Both below 1<<31 and 1<<16;
// nodes 0 takes the note back. Nothing keeps it true: who changes what lies in
// d has to.
func (d *Dict) SetMeasure(nodes, height int) { d.nodes, d.height = int32(nodes), uint16(height) }

// Measure is what SetMeasure noted: of d, or of what d is a copy of while it
// is deferred. nodes is 0 when there is no note.
func (d *Dict) Measure() (nodes, height int) {
	m := d.made()
	return int(m.nodes), int(m.height)
}

// made is where the keys and positions of d are found without making it.
func (d *Dict) made() *Dict {
	for {
		src := d.src.Load()
		if src == nil {
			return d
		}
		d = src
	}
}

// forcing orders those who look into one deferred copy at the same time; which
// of the locks goes with a copy its source says.
var forcing [64]sync.Mutex

// force makes the entries of a deferred copy.
func (d *Dict) force() {
	if d.src.Load() != nil {
		d.make()
	}
}

func (d *Dict) make() {
	src := d.src.Load()
	if src == nil {
		return
	}
	src.force()
	mu := &forcing[uintptr(unsafe.Pointer(src))>>6%uintptr(len(forcing))]
	mu.Lock()
	defer mu.Unlock()
	if d.src.Load() == nil {
		return
	}
	es := make([]Entry, len(src.entries))
	for i := range src.entries {
		e := &src.entries[i]
		es[i] = Entry{Key: e.Key, KeyPos: e.KeyPos, Pos: e.Pos}
		switch v := e.Val.(type) {
		case string, bool, int, nil:
			es[i].Val = v
		default:
			es[i].Val = d.conv.Val(v)
		}
	}
	if d.conv.Order != nil {
		es = d.conv.Order(es)
	}
	d.entries = es
	if len(es) > dictLinear {
		d.reindex()
	}
	if d.conv.Made != nil {
		d.conv.Made(len(es))
	}
	d.src.Store(nil)
}

// sameSource reports whether two deferred copies are copies of one dict, made
// alike.
func sameSource(x, y *Dict) bool {
	sx, sy := x.src.Load(), y.src.Load()
	return sx != nil && sx == sy && x.conv == y.conv
}
