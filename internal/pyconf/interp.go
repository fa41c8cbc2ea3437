package pyconf

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"runtime/metrics"
	"time"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// interp is one Load: it owns the limits and the files read so far. Not safe
// for concurrent use.
type interp struct {
	ctx   context.Context
	o     *Options
	set   *source.Set
	cache *Cache
	fs    *files
	ahead *ahead

	conv     *py.Conversion // of imported values
	steps    int
	maxSteps int
	depth    int // of calls into functions of the config
	charged  int // bytes made since the heap was last looked at
	heapBase uint64
	deadline time.Time

	loading []*module // files being loaded, outermost first
	loads   int
	files   map[string]bool // that were loaded, by filePath.id
	textSum int
	exc     []*raised       // exceptions being handled, for a bare raise
	noted   int             // bytes of notes written
	printed int             // how often something was printed
	ran     map[ranAs]*base // files whose execution serves further imports

	configDir   string   // absolute, or ""
	trees       []string // folders laid out like the catalog
	importRoots []string // folders that hold packages
}

// module is one execution of one file.
type module struct {
	in      *interp
	file    *source.File
	path    filePath
	globals *py.Dict
	plan    *plan
	lazy    bool
	bases   map[string]*base // by the module string as written
	names   map[string]bool  // imported-name set
	from    source.Pos       // the import that loads it
}

// ranAs is a file and what it sees of its name.
type ranAs struct{ file, id string }

// base is a loaded base file.
type base struct {
	m      *module
	vars   *py.Dict            // as the file made them
	done   map[string]py.Value // as importers see them
	names  map[string]bool
	path   filePath
	frozen bool // nothing that is imported from it can change it any more
}

// frame is one activation of a module, a function or a comprehension.
type frame struct {
	in     *interp
	m      *module
	env    *env // nil at module level
	fn     *function
	locals *py.Dict // names to look in before the globals (eval inside a function)

	ret    py.Value
	retPos source.Pos
}

// env holds the local variables of a function or comprehension by slot.
type env struct {
	vals   []binding
	names  []string
	parent *env
}

type binding struct {
	v   py.Value
	pos source.Pos
	set bool
}

func (fr *frame) pos(n syntax.Node) source.Pos { return fr.m.file.Base() + source.Pos(n.Range().Start) }
func (fr *frame) end(n syntax.Node) source.Pos { return fr.m.file.Base() + source.Pos(n.Range().End) }
func (fr *frame) off(o int32) source.Pos       { return fr.m.file.Base() + source.Pos(o) }

// heapStep is how many bytes are made between two looks at the heap.
const heapStep = 8 << 20

// tick counts one step and, now and then, looks whether to stop.
func (in *interp) tick() error {
	in.steps++
	if in.steps&2047 == 0 || in.charged >= heapStep {
		if err := in.charge(0); err != nil {
			return err
		}
		return in.checkStop()
	}
	return nil
}

func (in *interp) checkStop() error {
	if in.steps > in.maxSteps {
		return fatalf("config did not finish after %d steps", in.maxSteps).WithHint("is there a loop that never ends?")
	}
	if err := in.ctx.Err(); err != nil {
		if c := context.Cause(in.ctx); c != nil {
			err = c
		}
		return &source.Diagnostic{Msg: "loading the config was stopped: " + err.Error(), Err: err}
	}
	if !in.deadline.IsZero() && in.o.Now().After(in.deadline) {
		return fatalf("config did not finish within %s", in.o.MaxTime).WithHint("is there a loop that never ends?")
	}
	return nil
}

// charge accounts for n bytes made by the config. When enough has come
// together it looks how far the heap really grew.
func (in *interp) charge(n int) error {
	in.charged += n
	if in.charged < heapStep {
		return nil
	}
	in.steps += in.charged >> 12 // moving memory takes time
	in.charged = 0
	if err := in.checkStop(); err != nil {
		return err
	}
	if in.o.MaxMemory <= 0 {
		return nil
	}
	limit := in.limit()
	if h := heapBytes(); h > in.heapBase+uint64(limit) {
		collect()
		if h = heapBytes(); h > in.heapBase+uint64(limit) {
			return fatalf("config needs more than %d MB of memory", limit>>20)
		}
	}
	return nil
}

// limit is how many bytes loading may add to the heap.
func (in *interp) limit() int {
	return max(min(in.o.MaxMemory+len(in.files)*in.o.perFile, maxMemory), in.o.MaxMemory)
}

func (in *interp) tellLimit() {
	if in.o.OnLimit != nil && in.o.MaxMemory > 0 {
		in.o.OnLimit(int64(in.heapBase) + int64(in.limit()))
	}
}

func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// sized charges for a value that an operation has made.
func (in *interp) sized(v py.Value) error {
	switch x := v.(type) {
	case string:
		if len(x) > 64 {
			return in.charge(len(x))
		}
	case py.Bytes:
		return in.charge(len(x))
	case *py.List:
		return in.charge(24 * len(x.Items))
	case *py.Tuple:
		return in.charge(24 * len(x.Items))
	case *py.Dict:
		return in.charge(64 * x.Len())
	case *py.Set:
		return in.charge(64 * x.Len())
	case *big.Int:
		return in.charge(x.BitLen() / 8)
	}
	return nil
}

// fatalf is an error that no except clause catches.
func fatalf(format string, args ...any) *source.Diagnostic {
	return &source.Diagnostic{Msg: fmt.Sprintf(format, args...)}
}

// at gives an uncatchable error the position of n when it has none.
func (fr *frame) at(n syntax.Node, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *raised:
		if e.pos == 0 {
			e.pos, e.end = fr.pos(n), fr.end(n)
		}
		return e
	case *source.Diagnostic:
		if e.Pos == 0 {
			e.Pos, e.End = fr.pos(n), fr.end(n)
		}
		return e
	case *py.Exception:
		r := newRaised(e.Class, e.Msg)
		r.pos, r.end = fr.pos(n), fr.end(n)
		return r
	}
	var list source.List
	if errors.As(err, &list) {
		return err
	}
	var d *source.Diagnostic
	if errors.As(err, &d) {
		return err
	}
	return &source.Diagnostic{Pos: fr.pos(n), End: fr.end(n), Msg: err.Error(), Err: err}
}

// raise makes an exception at n.
func (fr *frame) raise(n syntax.Node, class, format string, args ...any) *raised {
	r := newRaised(class, fmt.Sprintf(format, args...))
	r.pos, r.end = fr.pos(n), fr.end(n)
	return r
}
