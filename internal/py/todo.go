package py

import (
	"errors"
	"io"
)

var errTodo = errors.New("not there yet")

func Method(recv Value, name string) (MethodFunc, bool) { return nil, false }

// SortValues sorts items in place and stably; less defaults to Python's <.
func SortValues(items []Value, less func(a, b Value) (bool, error)) error { return errTodo }

// Sorted returns items sorted stably by keys (nil: by themselves).
func Sorted(items, keys []Value, reverse bool) ([]Value, error) { return nil, errTodo }

// SortPerm is the permutation that sorts keys stably, for list.sort with positions.
func SortPerm(keys []Value, reverse bool) ([]int, error) { return nil, errTodo }

func Sum(items []Value, start Value) (Value, error)           { return nil, errTodo }
func MinMax(items, keys []Value, wantMax bool) (Value, error) { return nil, errTodo } // keys nil: the items

// JSONOptions are the arguments of json.dumps. The zero value is json.dumps's
// own default except that EnsureASCII must be asked for.
type JSONOptions struct {
	Indent      int // spaces per level; 0 or less: one line (json's indent=None)
	SortKeys    bool
	EnsureASCII bool   // json.dumps default is True
	ItemSep     string // "" is ", " or with Indent ","
	KeySep      string // "" is ": "
	// Default converts what JSON does not know (json.dumps(default=)).
	Default func(Value) (Value, error)
}

func DumpJSON(v Value, o JSONOptions) ([]byte, error)               { return nil, errTodo }
func WriteJSON(w io.Writer, v Value, o JSONOptions) error           { return errTodo }
func AppendJSON(dst []byte, v Value, o JSONOptions) ([]byte, error) { return nil, errTodo }
func LoadJSON(data []byte) (Value, error)                           { return nil, errTodo }
func LoadJSONLines(data []byte) ([]Value, error)                    { return nil, errTodo }
func EncodeTagged(v Value) ([]byte, error)                          { return nil, errTodo }
func DecodeTagged(data []byte) (Value, error)                       { return nil, errTodo }
