package pyconf

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// excClass is an exception class.
type excClass struct {
	name   string
	parent *excClass
}

func (c *excClass) PyType() string { return "type" }
func (c *excClass) PyRepr() string { return "<class '" + c.name + "'>" }

// PyAttr gives __name__.
func (c *excClass) PyAttr(name string) (py.Value, bool) {
	if name == "__name__" || name == "__qualname__" {
		return c.name, true
	}
	return nil, false
}

func (c *excClass) is(of *excClass) bool {
	for ; c != nil; c = c.parent {
		if c == of {
			return true
		}
	}
	return false
}

// excClasses are the exception classes that a config can name.
var excClasses = makeClasses()

func makeClasses() map[string]*excClass {
	excClasses := map[string]*excClass{}
	for _, line := range []string{
		"BaseException", "Exception BaseException", "KeyboardInterrupt BaseException", "SystemExit BaseException",
		"ArithmeticError Exception", "ZeroDivisionError ArithmeticError", "OverflowError ArithmeticError",
		"AssertionError Exception", "AttributeError Exception", "EOFError Exception", "ImportError Exception",
		"ModuleNotFoundError ImportError", "LookupError Exception", "IndexError LookupError", "KeyError LookupError",
		"MemoryError Exception", "NameError Exception", "UnboundLocalError NameError", "OSError Exception",
		"FileNotFoundError OSError", "PermissionError OSError", "IsADirectoryError OSError", "FileExistsError OSError",
		"NotADirectoryError OSError", "RuntimeError Exception", "NotImplementedError RuntimeError", "RecursionError RuntimeError",
		"StopIteration Exception", "SyntaxError Exception", "TypeError Exception", "ValueError Exception",
		"UnicodeError ValueError", "UnicodeDecodeError UnicodeError", "UnicodeEncodeError UnicodeError",
		"JSONDecodeError ValueError", "TimeoutError OSError", "Warning Exception", "UserWarning Warning",
		"DeprecationWarning Warning", "RuntimeWarning Warning", "FutureWarning Warning", "ConfigParsingError RuntimeError",
	} {
		f := strings.Fields(line)
		c := &excClass{name: f[0]}
		if len(f) > 1 {
			c.parent = excClasses[f[1]]
		}
		excClasses[f[0]] = c
	}
	excClasses["IOError"] = excClasses["OSError"]
	excClasses["EnvironmentError"] = excClasses["OSError"]
	return excClasses
}

// exception is an exception object.
type exception struct {
	class *excClass
	args  []py.Value
	msg   string // str(e), when args do not decide it
	fixed bool
}

func (e *exception) PyType() string { return e.class.name }

func (e *exception) PyRepr() string { return py.Repr(e) }

// PyReprParts implements py.Nest.
func (e *exception) PyReprParts() (before string, items []py.Value, after, again string) {
	return e.class.name + "(", e.args, ")", ""
}

func (e *exception) PyStr() string {
	if e.fixed {
		return e.msg
	}
	switch len(e.args) {
	case 0:
		return ""
	case 1:
		if e.class.is(excClasses["KeyError"]) {
			return py.Repr(e.args[0])
		}
		return py.Str(e.args[0])
	}
	return py.Repr(py.NewTuple(e.args...))
}

func (e *exception) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "args":
		return py.NewTuple(e.args...), true
	case "__class__":
		return e.class, true
	}
	return nil, false
}

// raised is an exception on its way up.
type raised struct {
	exc      *exception
	pos, end source.Pos
	hint     string
	calls    []callSite // innermost first
}

// callSite is a call in the chain that led to an exception.
type callSite struct {
	name string // of the function called
	at   source.Pos
}

func newRaised(class, msg string) *raised {
	c := excClasses[class]
	if c == nil {
		c = &excClass{name: class, parent: excClasses["Exception"]}
	}
	if msg == "" {
		return &raised{exc: &exception{class: c}}
	}
	return &raised{exc: &exception{class: c, args: []py.Value{msg}, msg: msg, fixed: true}}
}

func (r *raised) Error() string {
	msg := r.exc.PyStr()
	if msg == "" {
		return r.exc.class.name
	}
	return r.exc.class.name + ": " + msg
}

// maxCalls is how many calls a message lists.
const maxCalls = 8

// diagnostic turns an exception that nobody caught into the user's message.
func (r *raised) diagnostic(set *source.Set) *source.Diagnostic {
	msg := r.Error()
	if r.exc.class.name == "ConfigParsingError" {
		msg = r.exc.PyStr()
	}
	d := &source.Diagnostic{Pos: r.pos, End: r.end, Msg: msg, Hint: r.hint, Err: &py.Exception{Class: r.exc.class.name, Msg: r.exc.PyStr()}}
	for i, c := range r.calls {
		if i == maxCalls {
			d.Notes = append(d.Notes, source.Note{Msg: fmt.Sprintf("… and %d calls more", len(r.calls)-i)})
			break
		}
		d.Notes = append(d.Notes, source.Note{Pos: c.at, Msg: "in a call of " + c.name + "()"})
	}
	return d
}
