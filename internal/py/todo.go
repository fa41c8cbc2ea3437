package py

import (
	"errors"
	"io"
	"iter"

	"sextant/internal/source"
)

var errTodo = errors.New("not there yet")

func Repr(v Value) string                                        { return "" }
func Str(v Value) string                                         { return "" }
func ASCII(v Value) string                                       { return "" }
func Truth(v Value) bool                                         { return false }
func Equal(a, b Value) bool                                      { return false }
func FormatFloat(f float64) string                               { return "" }
func Round(v, ndigits Value) (Value, error)                      { return nil, errTodo } // ndigits nil: not given
func Format(v Value, spec string) (string, error)                { return "", errTodo }
func Percent(format string, args Value) (string, error)          { return "", errTodo }
func StrFormat(s string, args []Value, kw *Dict) (string, error) { return "", errTodo }
func Attr(v Value, name string) (Value, error)                   { return nil, errTodo } // data attributes (int.real …) and Attributer

func Binary(op string, a, b Value) (Value, error) { return nil, errTodo }
func Unary(op string, v Value) (Value, error)     { return nil, errTodo }   // - + ~ not
func Compare(op string, a, b Value) (bool, error) { return false, errTodo } // == != < <= > >= in "not in"

func GetItem(v, key Value) (Value, error)                                    { return nil, errTodo }
func SetItem(v, key, val Value, pos source.Pos) error                        { return errTodo }
func DelItem(v, key Value) error                                             { return errTodo }
func Slice(v, lo, hi, step Value) (Value, error)                             { return nil, errTodo }
func SetSlice(v, lo, hi, step, val Value) error                              { return errTodo }
func DelSlice(v, lo, hi, step Value) error                                   { return errTodo }
func SliceBounds(n int, lo, hi, step Value) (start, stop, by int, err error) { return 0, 0, 0, errTodo }
func SliceIndices(n int, lo, hi, step Value) ([]int, error)                  { return nil, errTodo }
func Iterate(v Value) (iter.Seq2[Value, source.Pos], error)                  { return nil, errTodo }
func Len(v Value) (int, error)                                               { return 0, errTodo }
func ToList(v Value) ([]Value, error)                                        { return nil, errTodo }

// Range is a lazy range object; make it with NewRange.
type Range struct{ Start, Stop, Step int }

func (r *Range) PyType() string              { return "range" }
func (r *Range) PyRepr() string              { return "" }
func NewRange(args ...Value) (*Range, error) { return nil, errTodo } // range(stop), range(start, stop[, step])

func Method(recv Value, name string) (MethodFunc, bool) { return nil, false }

// SortValues sorts items in place and stably; less defaults to Python's <.
func SortValues(items []Value, less func(a, b Value) (bool, error)) error { return errTodo }

// Sorted returns items sorted stably by keys (nil: by themselves).
func Sorted(items, keys []Value, reverse bool) ([]Value, error) { return nil, errTodo }

// SortPerm is the permutation that sorts keys stably, for list.sort with positions.
func SortPerm(keys []Value, reverse bool) ([]int, error) { return nil, errTodo }

func ParseInt(s string, base int) (Value, error)              { return nil, errTodo } // int(s, base)
func ParseFloat(s string) (float64, error)                    { return 0, errTodo }   // float(s)
func Int(v Value) (Value, error)                              { return nil, errTodo }
func Float(v Value) (Value, error)                            { return nil, errTodo }
func Sum(items []Value, start Value) (Value, error)           { return nil, errTodo }
func MinMax(items, keys []Value, wantMax bool) (Value, error) { return nil, errTodo } // keys nil: the items
func Divmod(a, b Value) (Value, error)                        { return nil, errTodo }
func Pow3(base, exp, mod Value) (Value, error)                { return nil, errTodo } // mod nil: two-argument pow
func Chr(v Value) (Value, error)                              { return nil, errTodo }
func Ord(v Value) (Value, error)                              { return nil, errTodo }
func Hex(v Value) (Value, error)                              { return nil, errTodo }
func Oct(v Value) (Value, error)                              { return nil, errTodo }
func Bin(v Value) (Value, error)                              { return nil, errTodo }
func Abs(v Value) (Value, error)                              { return nil, errTodo }
func Index(v Value) (int, error)                              { return 0, errTodo } // operator.index, must fit an int

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

func Strip(s, chars string) string                { return s } // chars "": whitespace… use StripSpace for that
func LStrip(s, chars string) string               { return s }
func RStrip(s, chars string) string               { return s }
func StripSpace(s string) string                  { return s } // s.strip()
func LStripSpace(s string) string                 { return s }
func RStripSpace(s string) string                 { return s }
func Fields(s string) []string                    { return nil } // s.split()
func Split(s, sep string, maxsplit int) []string  { return nil } // sep "": whitespace; maxsplit < 0: no limit
func RSplit(s, sep string, maxsplit int) []string { return nil }
func SplitLines(s string, keepEnds bool) []string { return nil }
func StrLen(s string) int                         { return 0 } // code points
func IsSpace(r rune) bool                         { return false }
func IsUpper(r rune) bool                         { return false }
func IsLower(r rune) bool                         { return false }
func IsAlpha(r rune) bool                         { return false }
func IsAlnum(r rune) bool                         { return false }
func IsDigit(r rune) bool                         { return false }
func IsDecimal(r rune) bool                       { return false }
func IsNumeric(r rune) bool                       { return false }
func IsPrintable(r rune) bool                     { return false }
func IsIdentifier(s string) bool                  { return false }
func Lower(s string) string                       { return s }
func Upper(s string) string                       { return s }
func Title(s string) string                       { return s }
func Capitalize(s string) string                  { return s }
func Casefold(s string) string                    { return s }
func SwapCase(s string) string                    { return s }
