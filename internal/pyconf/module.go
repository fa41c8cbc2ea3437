package pyconf

import (
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Module is a module of Python's standard library. A few are implemented, as
// far as configs use them (docs/dialect.md, "Modules"); any other can be
// imported, and using it is an error that names what was used.
type Module struct {
	name  string
	attrs map[string]py.Value
}

func (m *Module) PyType() string { return "module" }
func (m *Module) PyRepr() string { return "<module '" + m.name + "'>" }

func (m *Module) attr(fr *frame, name string, n syntax.Node) (py.Value, source.Pos, error) {
	if v, ok := m.attrs[name]; ok {
		return v, 0, nil
	}
	if name == "__name__" {
		return m.name, 0, nil
	}
	if sub, ok := modules[m.name+"."+name]; ok {
		return sub, 0, nil
	}
	e := fatalf("`%s.%s` is not part of the config dialect", m.name, name)
	e.Pos, e.End = fr.pos(n), fr.end(n)
	if len(m.attrs) > 0 {
		var names []string
		for k := range m.attrs {
			names = append(names, k)
		}
		sort.Strings(names)
		if near := registry.Nearest(name, names); near != "" {
			e = e.WithHint("did you mean %s.%s?", m.name, near)
		} else {
			e = e.WithHint("a config may use of %s: %s", m.name, strings.Join(names, ", "))
		}
	} else {
		e = e.WithHint("a config describes what to do; it does not run programs or reach outside")
	}
	return nil, 0, e
}

// unavailable is something imported from a standard module that the dialect
// does not have. Importing it is fine, using it is not.
type unavailable struct{ module, name string }

func (u *unavailable) PyType() string {
	if u.module == "typing" {
		switch u.name {
		case "Any":
			return "_AnyMeta"
		case "Callable":
			return "_CallableType"
		case "Tuple":
			return "_TupleType"
		case "Optional", "Union", "Literal", "NoReturn":
			return "_SpecialForm"
		}
		return "_SpecialGenericAlias"
	}
	return "function"
}
func (u *unavailable) PyRepr() string { return "<" + u.module + "." + u.name + ">" }

// note takes []: List[int] in an annotation or alias is itself.
func (u *unavailable) getitem(fr *frame, k py.Value, n syntax.Node) (py.Value, error) { return u, nil }

func (u *unavailable) err() error {
	return fatalf("`%s.%s` is not part of the config dialect", u.module, u.name)
}

// modules are the standard modules that are implemented.
var modules = map[string]*Module{}

// compiled are the modules that CPython has in C.
var compiled = map[string]bool{"math": true, "itertools": true, "functools": true}

// newModule enters a module; functions are of type methodFn.
func newModule(name string, attrs map[string]py.Value) *Module {
	m := &Module{name: name, attrs: map[string]py.Value{}}
	for k, v := range attrs {
		if fn, ok := v.(func(c *callArgs) (py.Value, source.Pos, error)); ok {
			b := &builtin{name: k, fn: fn, def: !compiled[name] && name+"."+k != "os.listdir" && name+"."+k != "os.getcwd"}
			if compiled[name] {
				b.mod = name + "."
			}
			v = b
		}
		m.attrs[k] = v
	}
	modules[name] = m
	return m
}

// stdlib is sys.stdlib_module_names of CPython 3.11: what is imported for
// real in lazy mode and leaves the mode open.
var stdlib = map[string]bool{}

func init() {
	for _, n := range strings.Fields(stdlibNames) {
		stdlib[n] = true
	}
}

const stdlibNames = `__future__ _abc _ast _asyncio _bisect _collections _collections_abc _csv _ctypes _datetime _decimal _functools _heapq
_io _json _locale _operator _random _signal _socket _sqlite3 _sre _stat _string _struct _thread _tracemalloc _warnings _weakref abc aifc
antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb
chunk cmath cmd code codecs codeop collections colorsys compileall concurrent configparser contextlib contextvars copy copyreg crypt csv
ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl filecmp
fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http
idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap
marshal math mimetypes mmap modulefinder multiprocessing netrc nis nntplib ntpath nturl2path numbers opcode operator optparse os
ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile
pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve
shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics
string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap this threading
time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu
uuid venv warnings wave weakref webbrowser wsgiref xdrlib xml xmlrpc xxsubtype zipapp zipfile zipimport zlib zoneinfo`

// isBuiltinModule says whether the original's loader imports a module for
// real. The name may have leading dots.
func isBuiltinModule(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	return strings.HasPrefix(name, "mmengine.config") || stdlib[rootOf(name)]
}

// findModule gives a standard module.
func findModule(name string) *Module {
	if m, ok := modules[name]; ok {
		return m
	}
	return &Module{name: name}
}

func (fr *frame) importStmt(s *syntax.Import) error {
	for i := range s.Names {
		a := &s.Names[i]
		if !isBuiltinModule(a.Name) && !(a.As != "" && isBuiltinModule(rootOf(a.Name))) {
			if !fr.m.lazy {
				return fr.raise(s, "ModuleNotFoundError", "No module named '%s'", a.Name)
			}
			v := &Lazy{module: a.Name, at: fr.off(a.At)}
			if a.As == "" { // merged with its like: see mergedImports
				if fr.env == nil {
					continue
				}
				v = &Lazy{modules: []string{a.Name}, at: fr.off(a.At)}
			}
			if err := fr.store(a.Target, v, 0); err != nil {
				return err
			}
			continue
		}
		name := a.Name
		if a.As == "" {
			name = rootOf(name)
		}
		if err := fr.store(a.Target, findModule(name), fr.off(a.At)); err != nil {
			return err
		}
	}
	return nil
}

func (fr *frame) importFrom(s *syntax.ImportFrom) error {
	mod := moduleString(s)
	if fr.m.lazy {
		if _, ok := fr.m.bases[mod]; ok {
			return nil // its names were bound before the file began
		}
	}
	if !fr.m.lazy && mod == "mmengine" {
		mod = "mmengine.config"
	}
	if !isBuiltinModule(mod) {
		if !fr.m.lazy {
			return fr.hinted(s, "a config has either `_base_` or imports and `with read_base():`", "ImportError", "`from %s import …` cannot be used together with `_base_`", mod)
		}
		for i := range s.Names {
			a := &s.Names[i]
			if a.Name == "*" {
				return fr.hinted(s, "import the names one by one, or put the line into `with read_base():` if it is a config", "ConfigParsingError",
					"`from %s import *` is only allowed for a config", mod)
			}
			if err := fr.store(a.Target, &Lazy{module: mod, name: a.Name, at: fr.off(a.At)}, 0); err != nil {
				return err
			}
		}
		return nil
	}
	if strings.HasPrefix(mod, "mmengine") {
		for i := range s.Names {
			a := &s.Names[i]
			v, ok := mmengineNames[a.Name]
			if !ok {
				v = &unavailable{mod, a.Name}
			}
			if a.Target == nil {
				return fr.raise(s, "ConfigParsingError", "`from %s import *` is not allowed in a config", mod)
			}
			if err := fr.store(a.Target, v, 0); err != nil {
				return err
			}
		}
		return nil
	}
	m := findModule(mod)
	for i := range s.Names {
		a := &s.Names[i]
		if a.Name == "*" {
			if fr.m.lazy {
				return fr.raise(s, "ConfigParsingError", "`from %s import *` is not allowed in a config", mod)
			}
			var names []string
			for k := range m.attrs {
				if !strings.HasPrefix(k, "_") {
					names = append(names, k)
				}
			}
			sort.Strings(names)
			for _, k := range names {
				if err := fr.m.globals.Put(py.Entry{Key: k, Val: m.attrs[k]}); err != nil {
					return fr.at(s, err)
				}
			}
			continue
		}
		v, ok := m.attrs[a.Name]
		if !ok {
			if sub, is := modules[mod+"."+a.Name]; is {
				v = sub
			} else {
				v = &unavailable{mod, a.Name}
			}
		}
		if err := fr.store(a.Target, v, fr.off(a.At)); err != nil {
			return err
		}
	}
	return nil
}

// moduleString is the module of an import as the original's loader spells it.
func moduleString(s *syntax.ImportFrom) string {
	m := s.Module
	if m == "" {
		m = "None"
	}
	if s.Level == 0 {
		return m
	}
	return strings.Repeat(".", s.Level) + m
}

// mmengineNames is what configs import from mmengine.config.
var mmengineNames = map[string]py.Value{}

func init() {
	mmengineNames["read_base"] = &builtin{name: "read_base", def: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		return &nullContext{}, 0, nil
	}}
	mmengineNames["ConfigDict"] = &builtin{name: "ConfigDict", typ: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
		v, _, err := biDict(c)
		if err != nil {
			return nil, 0, err
		}
		d, err := configHook(c.in(), v, 0)
		return d, 0, c.err(err)
	}}
	types["ConfigDict"] = mmengineNames["ConfigDict"].(*builtin)
}
