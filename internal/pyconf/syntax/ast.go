// Package syntax turns the text of a config file into a tree: scanner, parser
// and name resolution for the Python 3.11 grammar, as far as it is part of
// the config dialect (docs/dialect.md).
//
// Every node carries the byte range it was written in, counted from the start
// of the text, so that one tree can serve several source.Files of the same
// text. A tree is not changed after Parse returns and may be shared between
// goroutines.
//
// What the dialect refuses, the parser refuses by name ("`class` is not part
// of the config dialect"). After an error it goes on at the next statement,
// so that one run reports several independent mistakes.
//
// The package does not evaluate anything and does not open files.
package syntax

import "sextant/internal/py"

// Span is a byte range of the text, end exclusive.
type Span struct{ Start, End int32 }

// Range returns the span; it makes every node a Node.
func (s Span) Range() Span { return s }

// Node is a piece of the tree.
type Node interface{ Range() Span }

// Expr is an expression.
type Expr interface {
	Node
	expr()
}

// Stmt is a statement.
type Stmt interface {
	Node
	stmt()
}

// Scope says where a Name lives.
type Scope uint8

// The scopes of a name.
const (
	Global Scope = iota // the module's variables, then the builtins
	Local               // slot Slot of the function Depth levels up
)

type (
	// Name is an identifier in an expression, read, written or deleted.
	Name struct {
		Span
		ID    string
		Key   py.Value // ID, boxed once
		Scope Scope
		Depth uint16 // number of enclosing function scopes to go up
		Slot  uint16
	}
	// Const is a literal: None, bool, int, *big.Int, float64, complex128,
	// string, py.Bytes or Ellipsis.
	Const struct {
		Span
		Value py.Value
		Dots  bool // the literal `...`
		Imag  bool // an imaginary literal; Value is the float64
	}
	// FString is an f-string or a concatenation with one in it.
	FString struct {
		Span
		Parts []FPart
	}
	// Unary is an operation with one operand: "-", "+", "~", "not".
	Unary struct {
		Span
		Op string
		X  Expr
	}
	// Binary is an operation with two operands, and not a comparison.
	Binary struct {
		Span
		Op   string
		OpAt int32 // where the operator stands
		X, Y Expr
	}
	// Logic is a chain of "and" or "or".
	Logic struct {
		Span
		And bool
		X   []Expr
	}
	// Compare is X Ops[0] Y[0] Ops[1] Y[1] …
	Compare struct {
		Span
		X   Expr
		Ops []string // "<", "not in", "is not", …
		Y   []Expr
	}
	// Call is a function call. Args may hold *Starred.
	Call struct {
		Span
		Fn   Expr
		Args []Expr
		Kw   []Keyword
		// Simple: no star and no double star among the arguments.
		Simple bool
	}
	// Attr is X.Name.
	Attr struct {
		Span
		X      Expr
		Name   string
		NameAt int32
	}
	// Index is X[I].
	Index struct {
		Span
		X, I Expr
	}
	// Slice is Lo:Hi:Step inside an Index; each may be nil.
	Slice struct {
		Span
		Lo, Hi, Step Expr
	}
	// List is [a, *b].
	List struct {
		Span
		Elts []Expr
		Star bool // an element is a *Starred
	}
	// Tuple is a, b.
	Tuple struct {
		Span
		Elts  []Expr
		Star  bool
		Paren bool
	}
	// SetDisplay is {a, b}.
	SetDisplay struct {
		Span
		Elts []Expr
	}
	// Dict is {k: v, **d}; the key of a ** entry is nil.
	Dict struct {
		Span
		Keys, Vals []Expr
		Plain      bool // all keys are different string literals
	}
	// Comp is a comprehension or a generator expression.
	Comp struct {
		Span
		Kind  CompKind
		Elt   Expr // the key of a dict comprehension
		Val   Expr // the value of a dict comprehension, else nil
		Gens  []Gen
		Names []string // local variables by slot
	}
	// Lambda is an anonymous function.
	Lambda struct {
		Span
		Fn *Func
	}
	// IfExp is X if Cond else Y.
	IfExp struct {
		Span
		Cond, X, Y Expr
	}
	// Starred is *X.
	Starred struct {
		Span
		X Expr
	}
	// Walrus is (Target := X).
	Walrus struct {
		Span
		Target *Name
		X      Expr
	}
)

// CompKind is the kind of a comprehension.
type CompKind uint8

// The kinds of comprehensions.
const (
	ListComp CompKind = iota
	SetComp
	DictComp
	GenExp
)

// Gen is one `for Target in Iter if …` of a comprehension.
type Gen struct {
	Target Expr
	Iter   Expr
	Ifs    []Expr
}

// Keyword is name=X of a call, or **X where Name is "".
type Keyword struct {
	Name string
	Key  py.Value // Name, boxed
	At   int32    // where the name stands
	X    Expr
}

// FPart is a piece of an f-string: text, or an expression to format.
type FPart struct {
	Text string // used when X is nil
	X    Expr
	Conv byte    // 'r', 's', 'a' or 0
	Spec []FPart // format specification; nil for none
	Eq   string  // text to write before the value: `{x=}`
}

// Func is what def and lambda share.
type Func struct {
	Name     string
	Params   []Param
	Body     []Stmt // of a def
	Expr     Expr   // of a lambda
	Doc      string
	NumPos   int      // parameters that may be given by position
	NumOnly  int      // of these, how many may be given by position only
	VarArg   int      // slot of *args, or -1
	KwArg    int      // slot of **kwargs, or -1
	Names    []string // local variables by slot, parameters first
	HasDocs  bool
	LambdaAt bool
}

// Param is one parameter; Default may be nil. Slots are in order of Params.
type Param struct {
	Name    string
	At      int32
	Default Expr
	Kind    ParamKind
	Note    Expr // annotation, never evaluated
}

// ParamKind says how a parameter may be given.
type ParamKind uint8

// The kinds of parameters.
const (
	ByPosOrName ParamKind = iota
	ByPos
	ByName
	VarArgs
	KwArgs
)

type (
	// ExprStmt is an expression as a statement.
	ExprStmt struct {
		Span
		X Expr
	}
	// Assign is T1 = T2 = X. Type comments and annotations do nothing.
	Assign struct {
		Span
		Targets []Expr
		X       Expr
	}
	// AnnAssign is T: note = X; X may be nil.
	AnnAssign struct {
		Span
		Target Expr
		X      Expr
	}
	// AugAssign is T op= X.
	AugAssign struct {
		Span
		Target Expr
		Op     string // without the "="
		X      Expr
	}
	// For is a loop over values.
	For struct {
		Span
		Target Expr
		Iter   Expr
		Body   []Stmt
		Else   []Stmt
	}
	// While is a loop with a condition.
	While struct {
		Span
		Cond Expr
		Body []Stmt
		Else []Stmt
	}
	// If is a choice; elif is an If in Else.
	If struct {
		Span
		Cond Expr
		Body []Stmt
		Else []Stmt
	}
	// Def defines a function.
	Def struct {
		Span
		Target *Name
		Fn     *Func
	}
	// Return leaves a function.
	Return struct {
		Span
		X Expr // or nil
	}
	// Jump is break, continue or pass.
	Jump struct {
		Span
		Kind JumpKind
	}
	// Del deletes.
	Del struct {
		Span
		Targets []Expr
	}
	// Assert checks.
	Assert struct {
		Span
		X, Msg Expr // Msg may be nil
	}
	// Raise raises; both may be nil.
	Raise struct {
		Span
		X, Cause Expr
	}
	// Try handles exceptions.
	Try struct {
		Span
		Body     []Stmt
		Handlers []Handler
		Else     []Stmt
		Final    []Stmt
	}
	// With is a with statement.
	With struct {
		Span
		Items []WithItem
		Body  []Stmt
	}
	// Import is `import a.b as c, d`.
	Import struct {
		Span
		Names []Alias
	}
	// ImportFrom is `from ..m import a as b`. Names holds one Alias "*" for
	// a star import.
	ImportFrom struct {
		Span
		Module string // without the dots; may be ""
		Level  int
		ModAt  int32 // where the module is written
		ModEnd int32
		Names  []Alias
	}
	// ScopeDecl is a global or nonlocal statement.
	ScopeDecl struct {
		Span
		Nonlocal bool
		Names    []string
	}
)

// JumpKind tells break, continue and pass apart.
type JumpKind uint8

// The kinds of Jump.
const (
	Pass JumpKind = iota
	Break
	Continue
)

// Handler is one except clause; Type may be nil, Name too.
type Handler struct {
	Type Expr
	Name *Name
	Body []Stmt
	At   int32
}

// WithItem is one context manager.
type WithItem struct {
	X      Expr
	Target Expr // or nil
}

// Alias is one name of an import.
type Alias struct {
	Name, As string
	At, End  int32 // where Name is written
	Target   *Name // what the import binds, resolved; nil for "*"
}

// Bound is the name that the import binds.
func (a *Alias) Bound() string {
	if a.As != "" {
		return a.As
	}
	return a.Name
}

// Module is a parsed file.
type Module struct {
	Text string
	Body []Stmt
	Doc  string
}

func (*Name) expr()       {}
func (*Const) expr()      {}
func (*FString) expr()    {}
func (*Unary) expr()      {}
func (*Binary) expr()     {}
func (*Logic) expr()      {}
func (*Compare) expr()    {}
func (*Call) expr()       {}
func (*Attr) expr()       {}
func (*Index) expr()      {}
func (*Slice) expr()      {}
func (*List) expr()       {}
func (*Tuple) expr()      {}
func (*SetDisplay) expr() {}
func (*Dict) expr()       {}
func (*Comp) expr()       {}
func (*Lambda) expr()     {}
func (*IfExp) expr()      {}
func (*Starred) expr()    {}
func (*Walrus) expr()     {}

func (*ExprStmt) stmt()   {}
func (*Assign) stmt()     {}
func (*AnnAssign) stmt()  {}
func (*AugAssign) stmt()  {}
func (*For) stmt()        {}
func (*While) stmt()      {}
func (*If) stmt()         {}
func (*Def) stmt()        {}
func (*Return) stmt()     {}
func (*Jump) stmt()       {}
func (*Del) stmt()        {}
func (*Assert) stmt()     {}
func (*Raise) stmt()      {}
func (*Try) stmt()        {}
func (*With) stmt()       {}
func (*Import) stmt()     {}
func (*ImportFrom) stmt() {}
func (*ScopeDecl) stmt()  {}
