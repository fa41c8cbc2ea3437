package pyconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"sextant/internal/py"
	"sextant/internal/source"
)

// catalogPrefix marks the path of a file that comes with the program.
const catalogPrefix = "catalog:"

// filePath names a config file. name is what `__file__` is; for a base file
// it is put together as the original does, without cleaning.
type filePath struct {
	name string
	abs  string // on disk, cleaned; "" for the catalog
	cat  string // in the catalog, cleaned; "" on disk
	disp string // for messages, when name is absolute
}

// id is equal for equal files.
func (p filePath) id() string {
	if p.abs != "" {
		return p.abs
	}
	return catalogPrefix + p.cat
}

// shown is the path for messages.
func (p filePath) shown() string {
	if p.abs == "" {
		return catalogPrefix + p.cat
	}
	if p.disp != "" {
		return p.disp
	}
	if strings.Contains(p.name, "..") {
		return filepath.Clean(p.name)
	}
	return p.name
}

// files is all that a config can reach of the outside: files below the roots,
// and the catalog.
type files struct {
	cwd     string
	catalog fs.FS

	mu    sync.RWMutex
	roots []*os.Root
	dirs  []string            // of the roots
	near  map[string]*os.Root // folders below the roots that were read from, at most maxNear
}

// maxNear bounds the folders that are kept open.
const maxNear = 32

var errOutside = errors.New("outside the folders that this config may read")

func newFiles(cwd string, catalog fs.FS) *files { return &files{cwd: cwd, catalog: catalog} }

func (f *files) close() {
	for _, r := range f.roots {
		_ = r.Close() // opened for reading names only
	}
	for _, r := range f.near {
		_ = r.Close()
	}
}

// addRoot makes the tree below dir readable. A folder that is not there is no
// error: nothing in it can be read.
func (f *files) addRoot(dir string) {
	if dir == "" {
		return
	}
	dir = f.abs(dir)
	for _, d := range f.dirs { // only the goroutine that loads adds some
		if within(d, dir) {
			return
		}
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roots = append(f.roots, r)
	f.dirs = append(f.dirs, dir)
}

// within reports whether p is dir or lies below it.
func within(dir, p string) bool {
	if dir == "/" {
		return strings.HasPrefix(p, "/")
	}
	return strings.HasPrefix(p, dir) && (len(p) == len(dir) || p[len(dir)] == filepath.Separator)
}

func (f *files) abs(p string) string {
	if !filepath.IsAbs(p) {
		p = filepath.Join(f.cwd, p)
	}
	return filepath.Clean(p)
}

// locate finds the root that holds p and p's path in it.
func (f *files) locate(p string) (*os.Root, string, error) {
	p = f.abs(p)
	f.mu.RLock()
	defer f.mu.RUnlock()
	for i, d := range f.dirs {
		if within(d, p) {
			rel, err := filepath.Rel(d, p)
			if err != nil {
				return nil, "", err
			}
			return f.roots[i], rel, nil
		}
	}
	return nil, "", errOutside
}

// read reads a text file, of the catalog or below a root.
func (f *files) read(name string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(name, catalogPrefix); ok {
		if f.catalog == nil {
			return nil, fs.ErrNotExist
		}
		return fs.ReadFile(f.catalog, path.Clean(rest))
	}
	r, rel, err := f.locate(name)
	if err != nil {
		return nil, err
	}
	if dir, base := filepath.Split(rel); dir != "" {
		if d := f.folder(r, filepath.Dir(f.abs(name)), dir); d != nil {
			if b, err := readRegular(d, base); err == nil {
				return b, nil
			} // a link may lead out of the folder and stay below the root
		}
	}
	b, err := readRegular(r, rel)
	return b, escape(err)
}

// folder is the folder rel below r, called abs, kept open: going there from
// the root for each of its files takes longer than reading them. nil if it
// cannot be opened.
func (f *files) folder(r *os.Root, abs, rel string) *os.Root {
	f.mu.RLock()
	d := f.near[abs]
	f.mu.RUnlock()
	if d != nil {
		return d
	}
	d, err := r.OpenRoot(filepath.Clean(rel))
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.near[abs]; o != nil {
		_ = d.Close() // opened for reading names only
		return o
	}
	if len(f.near) >= maxNear {
		for _, o := range f.near {
			_ = o.Close() // who reads from it now falls back to the root
		}
		clear(f.near)
	}
	if f.near == nil {
		f.near = map[string]*os.Root{}
	}
	f.near[abs] = d
	return d
}

// readRegular reads a file below r, if it is one: a pipe would keep us waiting.
func readRegular(r *os.Root, name string) ([]byte, error) {
	st, err := r.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, errIsDir
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if st.Size() > py.MaxResultBytes {
		return nil, errors.New("file too large for a config to read")
	}
	return r.ReadFile(name)
}

var errIsDir = errors.New("is a directory")

// escape turns the error of a link that leads out of a root into errOutside.
func escape(err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && strings.Contains(err.Error(), "escapes") {
		return errOutside
	}
	return err
}

// list is the sorted names in a folder.
func (f *files) list(name string) ([]string, error) {
	var es []fs.DirEntry
	if rest, ok := strings.CutPrefix(name, catalogPrefix); ok {
		if f.catalog == nil {
			return nil, fs.ErrNotExist
		}
		var err error
		if es, err = fs.ReadDir(f.catalog, path.Clean(rest)); err != nil {
			return nil, err
		}
	} else {
		r, rel, err := f.locate(name)
		if err != nil {
			return nil, err
		}
		if es, err = fs.ReadDir(r.FS(), filepath.ToSlash(rel)); err != nil {
			return nil, escape(err)
		}
	}
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = e.Name()
	}
	sort.Strings(out)
	return out, nil
}

// exists reports whether name is there ('e'), a file ('f') or a folder ('d').
// What lies outside the roots does not exist for a config.
func (f *files) exists(name string, want byte) bool {
	var st fs.FileInfo
	var err error
	if rest, ok := strings.CutPrefix(name, catalogPrefix); ok {
		if f.catalog == nil {
			return false
		}
		st, err = fs.Stat(f.catalog, path.Clean(rest))
	} else {
		var r *os.Root
		var rel string
		if r, rel, err = f.locate(name); err == nil {
			st, err = r.Stat(rel)
		}
	}
	if err != nil {
		return false
	}
	switch want {
	case 'f':
		return st.Mode().IsRegular()
	case 'd':
		return st.IsDir()
	}
	return true
}

// fileError is the Python exception for a file that cannot be read.
func fileError(err error, name string) error {
	switch {
	case errors.Is(err, errOutside):
		return py.Errorf("PermissionError", "%s is %v", py.Repr(name), errOutside)
	case errors.Is(err, fs.ErrNotExist):
		return py.Errorf("FileNotFoundError", "[Errno 2] No such file or directory: %s", py.Repr(name))
	case errors.Is(err, fs.ErrPermission):
		return py.Errorf("PermissionError", "[Errno 13] Permission denied: %s", py.Repr(name))
	case errors.Is(err, errIsDir):
		return py.Errorf("IsADirectoryError", "[Errno 21] Is a directory: %s", py.Repr(name))
	}
	return py.Errorf("OSError", "%v: %s", err, py.Repr(name))
}

// fileObj is an open text file; all of it has been read.
type fileObj struct {
	name   string
	text   string
	bin    bool
	at     int
	closed bool
}

func (f *fileObj) PyType() string {
	if f.bin {
		return "BufferedReader"
	}
	return "TextIOWrapper"
}
func (f *fileObj) PyRepr() string { return "<_io." + f.PyType() + " name=" + py.Repr(f.name) + ">" }

// PyAttr gives name and closed.
func (f *fileObj) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "name":
		return f.name, true
	case "closed":
		return f.closed, true
	}
	return nil, false
}

func (f *fileObj) rest() string {
	s := f.text[f.at:]
	f.at = len(f.text)
	return s
}

func (f *fileObj) line() string {
	s := f.text[f.at:]
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i+1]
	}
	f.at += len(s)
	return s
}

func (f *fileObj) value(s string) py.Value {
	if f.bin {
		return py.Bytes(s)
	}
	return s
}

func (f *fileObj) lines() *iterator {
	return &iterator{typ: f.PyType(), next: func() (py.Value, source.Pos, bool, error) {
		if f.closed {
			return nil, 0, false, py.Errorf("ValueError", "I/O operation on closed file.")
		}
		s := f.line()
		return f.value(s), 0, s != "", nil
	}}
}

// method gives a method of an open file; docs/dialect.md, "Files".
func (f *fileObj) method(name string) *method {
	var fn methodFn
	switch name {
	case "read":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			if len(c.args) > 0 && c.args[0] != nil {
				n, err := py.Index(c.args[0])
				if err != nil {
					return nil, 0, c.err(err)
				}
				if n >= 0 {
					s := f.text[f.at:]
					i := 0
					for ; n > 0 && i < len(s); n-- {
						if f.bin {
							i++
						} else {
							i += charLen(s[i:])
						}
					}
					f.at += i
					return f.value(s[:i]), 0, nil
				}
			}
			return f.value(f.rest()), 0, nil
		}
	case "readline":
		fn = func(c *callArgs) (py.Value, source.Pos, error) { return f.value(f.line()), 0, nil }
	case "readlines":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			l := &py.List{At: c.fr.pos(c.n)}
			for s := f.line(); s != ""; s = f.line() {
				l.Append(f.value(s), 0)
			}
			return l, 0, c.err(c.in().sized(l))
		}
	case "close":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			f.closed = true
			return nil, 0, nil
		}
	case "write", "writelines", "truncate":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			return nil, 0, fatalf("writing files is not part of the config dialect")
		}
	default:
		return nil
	}
	return &method{name: name, recv: f, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		if f.closed && name != "close" {
			return nil, 0, c.errorf("ValueError", "I/O operation on closed file.")
		}
		return fn(c)
	}}
}

// biOpen opens a text file below the folders that a config may read:
// docs/dialect.md, "Files".
func biOpen(c *callArgs) (py.Value, source.Pos, error) {
	a, _, err := c.bind("file", "mode=", "buffering=", "encoding=", "errors=", "newline=", "closefd=", "opener=")
	if err != nil {
		return nil, 0, err
	}
	name, ok := a[0].(string)
	if !ok {
		return nil, 0, c.errorf("TypeError", "expected str, bytes or os.PathLike object, not %s", py.TypeName(a[0]))
	}
	mode := "r"
	if m, ok := a[1].(string); ok {
		mode = m
	}
	bin := strings.Contains(mode, "b")
	if strings.Trim(mode, "rbt") != "" || mode == "" {
		return nil, 0, fatalf("open with mode %s is not part of the config dialect", py.Repr(mode)).WithHint("a config can only read files")
	}
	if e, ok := a[3].(string); ok {
		switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(e)) {
		case "utf8", "utf8sig", "ascii", "usascii":
		default:
			return nil, 0, fatalf("open with encoding %s is not part of the config dialect", py.Repr(e)).WithHint("save the file as UTF-8")
		}
	}
	b, err := c.in().fs.read(name)
	if err != nil {
		e := c.err(fileError(err, name))
		if r, ok := e.(*raised); ok && errors.Is(err, errOutside) {
			r.hint = "readable are: " + strings.Join(c.in().fs.dirs, ", ")
		}
		return nil, 0, e
	}
	if err := c.in().charge(len(b)); err != nil {
		return nil, 0, c.err(err)
	}
	s := string(b)
	if !bin {
		if !utf8.ValidString(s) {
			return nil, 0, c.errorf("UnicodeDecodeError", "%s is not valid UTF-8", py.Repr(name))
		}
		if strings.IndexByte(s, '\r') >= 0 {
			s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
		}
	}
	return &fileObj{name: name, text: s, bin: bin}, 0, nil
}

// missing describes why a base file could not be read.
func missing(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIsDir) {
		return "not found"
	}
	return fmt.Sprintf("cannot be read: %v", err)
}
