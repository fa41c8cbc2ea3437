package py

import "fmt"

// Exception is what Python would have raised. Class is the name of the
// exception's class ("TypeError", "KeyError", "json.decoder.JSONDecodeError"
// is "JSONDecodeError"); Msg is str(exception) in CPython 3.11. MemoryError
// is also the answer to results that would be larger than this package makes:
// see MaxResultBytes.
type Exception struct{ Class, Msg string }

// Error is the last line of Python's traceback.
func (e *Exception) Error() string {
	if e.Msg == "" {
		return e.Class
	}
	return e.Class + ": " + e.Msg
}

// Errorf makes an Exception.
func Errorf(class, format string, args ...any) *Exception {
	return &Exception{Class: class, Msg: fmt.Sprintf(format, args...)}
}

func typeErr(format string, args ...any) error  { return Errorf("TypeError", format, args...) }
func valueErr(format string, args ...any) error { return Errorf("ValueError", format, args...) }
func indexErr(msg string) error                 { return &Exception{"IndexError", msg} }
func keyErr(key Value) error                    { return &Exception{"KeyError", Repr(key)} }
func attrErr(v Value, name string) error {
	return Errorf("AttributeError", "'%s' object has no attribute '%s'", TypeName(v), name)
}
func unhashable(v Value) error { return typeErr("unhashable type: '%s'", TypeName(v)) }

// Limits on what one operation may make. A config or a template is foreign
// text; without a bound `'a' * 10**12` takes the whole run down.
const (
	MaxResultBytes = 64 << 20 // of a str or bytes
	MaxResultItems = 8 << 20  // of a list, tuple, dict or set
	MaxIntBits     = 1 << 20  // of an int
)

func tooLarge(what string) error { return Errorf("MemoryError", "result too large: %s", what) }

func checkBytes(n int) error {
	if n < 0 || n > MaxResultBytes {
		return tooLarge(fmt.Sprintf("a string of more than %d bytes", MaxResultBytes))
	}
	return nil
}

func checkItems(n int) error {
	if n < 0 || n > MaxResultItems {
		return tooLarge(fmt.Sprintf("a sequence of more than %d items", MaxResultItems))
	}
	return nil
}

func checkBits(n int) error {
	if n < 0 || n > MaxIntBits {
		return tooLarge(fmt.Sprintf("an integer of more than %d bits", MaxIntBits))
	}
	return nil
}
