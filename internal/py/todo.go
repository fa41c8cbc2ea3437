package py

import (
	"errors"
	"io"
)

var errTodo = errors.New("not there yet")

// SortValues sorts items in place and stably; less defaults to Python's <.

// Sorted returns items sorted stably by keys (nil: by themselves).

// SortPerm is the permutation that sorts keys stably, for list.sort with positions.

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
