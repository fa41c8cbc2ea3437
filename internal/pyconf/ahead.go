package pyconf

import (
	"errors"
	"io/fs"
	"runtime"
	"sync"
	"unsafe"

	"sextant/internal/pyconf/syntax"
)

// ahead reads and parses the files that a config imports while the ones before
// them are being evaluated: which files those are is known when the importing
// file is parsed. What it finds is what the loader would have found itself; an
// error other than "there is no such file" it leaves to the loader.
type ahead struct {
	in *interp

	mu      sync.Mutex
	found   map[string]*found
	imports map[errand]resolved // what imports of files that were read ahead lead to
	todo    []errand            // a stack: what is needed first lies on top
	text    int                 // bytes read
	stopped bool
	running sync.WaitGroup
}

// found is a file that is being read, or was.
type found struct {
	done chan struct{}
	text string
	err  error // nil, fs.ErrNotExist or errElse
}

// errElse says that the loader has to see for itself.
var errElse = errors.New("not read ahead")

// errand is an import of a file.
type errand struct {
	from filePath
	s    *syntax.ImportFrom
}

// resolved is the file that an import leads to.
type resolved struct {
	p    filePath
	text string
}

// Fewer imports than fewImports are not worth a goroutine; files larger than
// maxAhead are left to the loader, which knows the limits.
const (
	fewImports = 4
	maxAhead   = 1 << 20
)

// start begins with the imports of a file. On one processor it does nothing.
func (a *ahead) start(p filePath, pl *plan) {
	if len(pl.bases) < fewImports || runtime.GOMAXPROCS(0) < 2 {
		return
	}
	a.found = map[string]*found{}
	a.imports = map[errand]resolved{}
	a.push(p, pl)
	a.running.Go(a.work)
}

// stop ends the work and waits for it.
func (a *ahead) stop() {
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.running.Wait()
}

// push puts the imports of a file on the stack.
func (a *ahead) push(p filePath, pl *plan) {
	for i := len(pl.bases) - 1; i >= 0; i-- {
		a.todo = append(a.todo, errand{p, pl.bases[i]})
	}
}

func (a *ahead) work() {
	for a.step() {
	}
}

// step does one errand; it returns false when there is none.
func (a *ahead) step() bool {
	a.mu.Lock()
	n := len(a.todo)
	if a.stopped || n == 0 || a.text > a.in.o.MaxText {
		a.mu.Unlock()
		return false
	}
	e := a.todo[n-1]
	a.todo = a.todo[:n-1]
	a.mu.Unlock()
	if e.s.Level == 0 && !hasDot(e.s.Module) {
		return true // a package: the loader says so
	}
	for _, c := range a.in.candidates(e.from, e.s) {
		more, text, pl := a.fetch(c)
		if text != "" {
			a.mu.Lock()
			a.imports[e] = resolved{c.p, text}
			if pl != nil {
				a.push(c.p, pl)
			}
			a.mu.Unlock()
		}
		if !more {
			break
		}
	}
	return true
}

// resolve is where an import leads, if that is known.
func (a *ahead) resolve(from filePath, s *syntax.ImportFrom) (filePath, string, bool) {
	if a.imports == nil {
		return filePath{}, "", false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.imports[errand{from, s}]
	return r.p, r.text, ok
}

// fetch reads and parses one file; more says that it is not there and the next
// place is to be looked at, pl is what was parsed now.
func (a *ahead) fetch(c candidate) (more bool, text string, pl *plan) {
	a.mu.Lock()
	f := a.found[c.read]
	if f != nil {
		a.mu.Unlock()
		select {
		case <-f.done:
			return f.err == fs.ErrNotExist, f.text, nil
		default:
			return false, "", nil // the loader is at it
		}
	}
	f = &found{done: make(chan struct{})}
	a.found[c.read] = f
	a.mu.Unlock()
	defer close(f.done)
	b, err := a.in.fs.read(c.read)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.err = fs.ErrNotExist
		return true, "", nil
	case err != nil || len(b) > maxAhead:
		f.err = errElse
		return false, "", nil
	}
	f.text = unsafe.String(unsafe.SliceData(b), len(b)) // nobody else has b
	pl = a.in.cache.get(c.p.id(), f.text)
	a.mu.Lock()
	a.text += len(b)
	a.mu.Unlock()
	return false, f.text, pl
}

// read is files.read of a config file, read ahead or now.
func (a *ahead) read(name string) (string, error) {
	if a.found != nil {
		a.mu.Lock()
		f := a.found[name]
		if f == nil { // do not let anybody else begin
			f = &found{done: make(chan struct{}), err: errElse}
			close(f.done)
			a.found[name] = f
		}
		a.mu.Unlock()
		for waiting := true; waiting; { // and help meanwhile
			select {
			case <-f.done:
				waiting = false
			default:
				if !a.step() {
					<-f.done
				}
			}
		}
		if f.err != errElse {
			return f.text, f.err
		}
	}
	b, err := a.in.fs.read(name)
	return unsafe.String(unsafe.SliceData(b), len(b)), err // nobody else has b
}

func hasDot(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			return true
		}
	}
	return false
}
