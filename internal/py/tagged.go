package py

import (
	"encoding/hex"
	"math"
	"math/big"
	"strings"
)

// Tags of the lossless encoding. A dict whose keys are all strings and none
// of whose keys begins with $ is a plain object.
const (
	tagTuple  = "$tuple"
	tagSet    = "$set"
	tagFrozen = "$frozenset"
	tagDict   = "$dict"   // [[key, value], …]
	tagConfig = "$config" // the same of a ConfigDict
	tagBytes  = "$bytes"  // hexadecimal
	tagFloat  = "$float"  // nan, inf, -inf
	tagRange  = "$range"  // [start, stop, step]
	tagInt    = "$int"    // hexadecimal, where it has too many digits for JSON
)

// EncodeTagged writes any data value as one line of JSON from which
// DecodeTagged makes an equal value of the same types: tuples, sets, keys of
// every kind, bytes, NaN. Positions are not kept. Objects other than a Range
// are refused with a TypeError.
func EncodeTagged(v Value) ([]byte, error) {
	t, err := (&tagger{}).value(v)
	if err != nil {
		return nil, err
	}
	return DumpJSON(t, JSONOptions{})
}

// tagger turns values into what JSON can say.
type tagger struct {
	stack []any // containers being converted, against cycles
	nodes int
}

func (t *tagger) value(v Value) (Value, error) {
	if t.nodes++; t.nodes > MaxResultItems {
		return nil, checkItems(t.nodes)
	}
	switch v.(type) {
	case *List, *Tuple, *Dict, *Set:
		for _, s := range t.stack {
			if s == v {
				return nil, valueErr("Circular reference detected")
			}
		}
		if len(t.stack) > maxNesting/3-2 { // a level may become three
			return nil, recursionErr(" while encoding a value")
		}
		t.stack = append(t.stack, v)
		defer func() { t.stack = t.stack[:len(t.stack)-1] }()
	}
	tag := func(name string, items []Value) (Value, error) {
		l, err := t.items(items)
		return DictOf(name, l), err
	}
	switch x := v.(type) {
	case nil, bool, int, string:
		return v, nil
	case *big.Int:
		if _, err := intText(x); err != nil {
			return DictOf(tagInt, x.Text(16)), nil
		}
		return v, nil
	case float64:
		if x-x != 0 {
			return DictOf(tagFloat, FormatFloat(x)), nil
		}
		return v, nil
	case Bytes:
		return DictOf(tagBytes, hex.EncodeToString([]byte(x))), nil
	case *List:
		l, err := t.items(x.Items)
		return l, err
	case *Tuple:
		return tag(tagTuple, x.Items)
	case *Set:
		if x.Frozen {
			return tag(tagFrozen, x.Items())
		}
		return tag(tagSet, x.Items())
	case *Range:
		return DictOf(tagRange, NewList(x.Start, x.Stop, x.Step)), nil
	case *Dict:
		return t.dict(x)
	}
	return nil, typeErr("Object of type %s cannot be recorded", TypeName(v))
}

func (t *tagger) items(items []Value) (*List, error) {
	out := &List{Items: make([]Value, len(items))}
	for i, it := range items {
		var err error
		if out.Items[i], err = t.value(it); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *tagger) dict(d *Dict) (Value, error) {
	es := d.Entries()
	plain := !d.Config
	for _, e := range es {
		if s, ok := e.Key.(string); !ok || strings.HasPrefix(s, "$") {
			plain = false
		}
	}
	out := &Dict{}
	pairs := &List{Items: []Value{}}
	for _, e := range es {
		v, err := t.value(e.Val)
		if err != nil {
			return nil, err
		}
		if plain {
			out.Set(e.Key, v)
			continue
		}
		k, err := t.value(e.Key)
		if err != nil {
			return nil, err
		}
		pairs.Items = append(pairs.Items, NewList(k, v))
	}
	switch {
	case plain:
		return out, nil
	case d.Config:
		return DictOf(tagConfig, pairs), nil
	}
	return DictOf(tagDict, pairs), nil
}

// DecodeTagged reads what EncodeTagged wrote.
func DecodeTagged(data []byte) (Value, error) {
	v, err := LoadJSON(data)
	if err != nil {
		return nil, err
	}
	return fromTagged(v)
}

func badTag(tag string) error { return valueErr("malformed %s in a recorded value", tag) }

func fromTagged(v Value) (Value, error) {
	switch x := v.(type) {
	case *List:
		for i, it := range x.Items {
			var err error
			if x.Items[i], err = fromTagged(it); err != nil {
				return nil, err
			}
		}
		return x, nil
	case *Dict:
		es := x.Entries()
		if len(es) == 1 {
			if k, _ := es[0].Key.(string); strings.HasPrefix(k, "$") {
				return untag(k, es[0].Val)
			}
		}
		for i := range es {
			if k, _ := es[i].Key.(string); strings.HasPrefix(k, "$") {
				return nil, badTag(k)
			}
			var err error
			if es[i].Val, err = fromTagged(es[i].Val); err != nil {
				return nil, err
			}
		}
		return x, nil
	}
	return v, nil
}

func untag(tag string, v Value) (Value, error) {
	bad := badTag(tag)
	if s, ok := v.(string); ok {
		switch tag {
		case tagBytes:
			b, err := hex.DecodeString(s)
			if err != nil {
				return nil, bad
			}
			return Bytes(b), nil
		case tagInt:
			if len(s) <= MaxIntBits/4+1 {
				if x, ok := new(big.Int).SetString(s, 16); ok {
					return norm(x), nil
				}
			}
		case tagFloat:
			switch s {
			case "nan":
				return math.NaN(), nil
			case "inf":
				return math.Inf(1), nil
			case "-inf":
				return math.Inf(-1), nil
			}
		}
		return nil, bad
	}
	l, ok := v.(*List)
	if !ok {
		return nil, bad
	}
	if _, err := fromTagged(l); err != nil {
		return nil, err
	}
	switch tag {
	case tagTuple:
		return &Tuple{Items: l.Items}, nil
	case tagSet, tagFrozen:
		s, err := NewSet(l.Items...)
		if err != nil {
			return nil, bad
		}
		s.Frozen = tag == tagFrozen
		return s, nil
	case tagRange:
		r, err := NewRange(l.Items...)
		if err != nil || len(l.Items) != 3 {
			return nil, bad
		}
		return r, nil
	case tagDict, tagConfig:
		d := &Dict{Config: tag == tagConfig}
		for _, it := range l.Items {
			p, ok := it.(*List)
			if !ok || len(p.Items) != 2 || d.Put(Entry{Key: p.Items[0], Val: p.Items[1]}) != nil {
				return nil, bad
			}
		}
		return d, nil
	}
	return nil, bad
}
