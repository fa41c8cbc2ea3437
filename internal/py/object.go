package py

import (
	"iter"

	"sextant/internal/source"
)

// What an Object may implement beyond its type name and repr; each method is
// Python's special method of the like name.
type (
	// Iterable is __iter__; the position is where the item was written, or 0.
	Iterable interface {
		PyIter() iter.Seq2[Value, source.Pos]
	}
	// Sized is __len__.
	Sized interface{ PyLen() int }
	// Truther is __bool__. Without it Sized decides, and without both an
	// Object is true.
	Truther interface{ PyTruth() bool }
	// Container is __contains__.
	Container interface {
		PyContains(v Value) (bool, error)
	}
	// Indexable is __getitem__.
	Indexable interface {
		PyGetItem(key Value) (Value, error)
	}
	// Sliceable is __getitem__ with a slice; nil is None.
	Sliceable interface {
		PySlice(lo, hi, step Value) (Value, error)
	}
	// Equaler is __eq__; without it Objects are equal when identical.
	Equaler interface{ PyEqual(other Value) bool }
	// Hasher is __hash__: a comparable Go value, equal for equal values.
	// Without it an Object hashes by identity and must be a pointer.
	Hasher interface{ PyHash() (key any, ok bool) }
	// Stringer is __str__; without it str() is the repr.
	Stringer interface{ PyStr() string }
	// Formatter is __format__.
	Formatter interface {
		PyFormat(spec string) (string, error)
	}
	// Attributer is getattr, for the attributes that str.format may reach.
	Attributer interface {
		PyAttr(name string) (Value, bool)
	}
	// Methoder gives an Object methods for Method.
	Methoder interface {
		PyMethod(name string) (MethodFunc, bool)
	}
	// Binarier is __add__ and so on, with reflected for __radd__; ok is false
	// for NotImplemented.
	Binarier interface {
		PyBinary(op string, other Value, reflected bool) (v Value, ok bool, err error)
	}
	// Comparer is __lt__ and so on for < <= > >=; ok is false for
	// NotImplemented.
	Comparer interface {
		PyCompare(op string, other Value) (res, ok bool, err error)
	}
)

// MethodFunc is a bound method; kw may be nil.
type MethodFunc func(args []Value, kw *Dict) (Value, error)
