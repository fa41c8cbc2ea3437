// Package pyconf loads config files written in the Python dialect of
// OpenCompass: it interprets them, with CPython's own results, and hands out
// plain data in which every value knows where it was written.
//
// The layers: package syntax scans and parses; the evaluator here walks the
// tree; the loader finds base files and follows the rules of mmengine's Config
// (lazy and classic mode); Canon and Dump write the result. The language is
// specified in docs/dialect.md.
//
//	cfg, err := pyconf.Load(ctx, "eval.py", pyconf.Options{Catalog: catalog.FS()})
//	data := cfg.Data() // what the config means
//
// A config has no access to the machine but through the loader: it reads text
// files below a few folders, and nothing else. Steps, depth, memory and time
// are bounded.
//
// Non-goals: executing Python (classes, generators, decorators, most of the
// standard library are refused by name), and knowing any model or dataset.
// Behaviour follows mmengine-lite 0.11.0rc3 as observed.
package pyconf

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"sextant/internal/py"
	"sextant/internal/source"
)

// Options say what a config may see and use. The zero value loads files below
// the config's own folder with the default limits.
type Options struct {
	Dir       string   // what relative paths start from, and os.getcwd(); "" is the working directory
	Roots     []string // folders that hold packages (`opencompass`), readable as a whole
	ConfigDir string   // --config-dir: a folder with datasets/, models/, summarizers/
	Catalog   fs.FS    // configs that come with the program, laid out like ConfigDir
	Env       func(name string) (string, bool)
	Notes     io.Writer // receives what the config prints; nil drops it
	Cache     *Cache    // parsed files kept between loads; nil: none
	Now       func() time.Time
	// Files takes the texts that are read; nil makes a Set for each config.
	Files *source.Set

	// Limits; 0 is the default, a negative number no limit.
	MaxSteps  int           // statements, expressions and loop turns: 20 million
	MaxDepth  int           // nested calls of functions: 400
	MaxMemory int           // bytes of heap that loading may add: 96 MB and perFile for each file, up to 256 MB
	MaxText   int           // bytes of all files read, each time they are: 64 MB
	MaxTime   time.Duration // 10 s

	// OnLimit, when not nil, is told up to how many bytes the whole heap may
	// hold what is in use, at the beginning and as files are read: a program
	// that collects garbage late can bound it by that. The caller's goroutine.
	OnLimit func(heap int64)

	perFile int // what each file that was read adds to MaxMemory
}

// perFile is what a file may add to the memory of a config: one that imports
// all 1,500 published files of datasets needs 120 MB, one of them at most 3. What
// a few files can take thus stays where it is, however the limit for many is
// set; and many files are not made by a slip, or by a loop.
const (
	perFile   = 64 << 10
	maxMemory = 256 << 20
)

func (o *Options) defaults() {
	set := func(p *int, def, none int) {
		if *p == 0 {
			*p = def
		} else if *p < 0 {
			*p = none
		}
	}
	set(&o.MaxSteps, 20e6, 1<<62)
	set(&o.MaxDepth, 400, 5000)
	if o.MaxMemory == 0 {
		o.perFile = perFile
	}
	set(&o.MaxMemory, 96<<20, -1)
	set(&o.MaxText, 64<<20, 1<<40)
	if o.MaxTime == 0 {
		o.MaxTime = 10 * time.Second
	}
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if d, err := filepath.Abs(o.Dir); err == nil { // "" is the working directory
		o.Dir = d
	}
	if o.Cache == nil {
		o.Cache = &Cache{}
	}
}

// Config is a loaded config.
type Config struct {
	Path     string
	Mode     Mode
	Files    *source.Set     // all texts that were read: Files.Render shows a mistake
	Vars     *py.Dict        // every variable as the file left it: dicts, lazy references, functions and modules too; treat as read-only
	Imported map[string]bool // names that imports bound, here or in a base; not part of the data
}

// Load loads the config file at path: .py, .json, .yaml or .yml. A path that
// begins with "catalog:" names a file of the catalog. The error tells mistakes
// of the user as *source.Diagnostic or source.List; the Config then has only
// Files, for rendering them.
func Load(ctx context.Context, path string, o Options) (*Config, error) {
	in, cfg := begin(ctx, path, o)
	defer in.fs.close()
	p := filePath{name: path}
	if rest, ok := strings.CutPrefix(path, catalogPrefix); ok {
		p.cat = rest
	} else {
		p.abs = in.fs.abs(path)
		in.addRoots(p.abs)
	}
	b, err := in.fs.read(path)
	if err != nil {
		return cfg, openError(path, err)
	}
	return cfg, in.load(cfg, p, string(b))
}

// LoadText loads a text as if it stood in a file called name in Options.Dir.
func LoadText(ctx context.Context, name, text string, o Options) (*Config, error) {
	in, cfg := begin(ctx, name, o)
	defer in.fs.close()
	p := filePath{name: name, abs: in.fs.abs(name)}
	in.addRoots(p.abs)
	return cfg, in.load(cfg, p, text)
}

func openError(path string, err error) error {
	d := &source.Diagnostic{Msg: "config " + path + " " + missing(err), Err: err}
	return d
}

func begin(ctx context.Context, path string, o Options) (*interp, *Config) {
	o.defaults()
	if o.Files == nil {
		o.Files = source.NewSet()
	}
	in := &interp{ctx: ctx, o: &o, set: o.Files, cache: o.Cache, maxSteps: o.MaxSteps, fs: newFiles(o.Dir, o.Catalog)}
	in.conv = in.makeConv()
	in.ahead = &ahead{in: in}
	if o.MaxMemory > 0 {
		in.heapBase = heapBytes()
		in.tellLimit()
	}
	if o.MaxTime > 0 {
		in.deadline = o.Now().Add(o.MaxTime)
	}
	return in, &Config{Path: path, Files: in.set}
}

// collect gives back what is not used any more.
func collect() { runtime.GC() }

// addRoots decides what the config at abs may read and where packages are:
// the given roots, the checkout that the config lies in, the current folder
// if it lies below that, its own folder, --config-dir.
func (in *interp) addRoots(abs string) {
	dir := filepath.Dir(abs)
	pkg := func(d string) {
		if d != "" && !slices.Contains(in.importRoots, d) {
			in.importRoots = append(in.importRoots, d)
		}
	}
	for _, r := range in.o.Roots {
		r = in.fs.abs(r)
		in.fs.addRoot(r)
		pkg(r)
	}
	if c := checkout(dir); c != "" {
		in.fs.addRoot(c)
		pkg(c)
	}
	cwd := in.fs.abs(".")
	if within(cwd, abs) && cwd != "/" {
		in.fs.addRoot(cwd)
	} else {
		in.fs.addRoot(filepath.Join(cwd, "opencompass"))
	}
	pkg(cwd)
	in.fs.addRoot(dir)
	pkg(dir)
	if in.o.ConfigDir != "" {
		in.configDir = in.fs.abs(in.o.ConfigDir)
		in.fs.addRoot(in.configDir)
		in.trees = append(in.trees, in.configDir)
	}
	for _, r := range in.importRoots {
		in.trees = append(in.trees, filepath.Join(r, "opencompass", "configs"))
	}
}

// checkout is the folder above dir that holds opencompass/configs, or "".
func checkout(dir string) string {
	sep := string(filepath.Separator)
	mark := sep + filepath.Join("opencompass", "configs")
	if i := strings.LastIndex(dir+sep, mark+sep); i > 0 {
		return dir[:i]
	}
	for d := dir; ; {
		if st, err := os.Stat(filepath.Join(d, "opencompass", "configs")); err == nil && st.IsDir() {
			return d
		}
		up := filepath.Dir(d)
		if up == d || up == "/" {
			return ""
		}
		d = up
	}
}

// load fills cfg with what the text means.
func (in *interp) load(cfg *Config, p filePath, text string) (err error) {
	defer catch(0, &err)
	defer func() { in.conv.Made = nil }() // what is made later is not the config's doing
	switch ext := filepath.Ext(p.name); ext {
	case ".json", ".yaml", ".yml":
		cfg.Mode = Classic
		cfg.Vars, err = in.loadClassic(p, text, 0)
	case ".py":
		pl := in.cache.get(p.id(), text)
		if pl.err != nil && isTemplate(text) { // placeholders need not be Python
			pl = &plan{text: text}
		}
		if pl.err != nil {
			return syntaxErrors(in.set.Add(p.shown(), text, 0), pl.err)
		}
		if pl.fault != nil {
			return pl.fault.diagnostic(in.set.Add(p.shown(), text, 0))
		}
		cfg.Mode = pl.mode
		if pl.mode == LazyMode {
			var m *module
			if m, err = in.loadLazy(p, text, 0); err == nil {
				cfg.Imported = m.names
				cfg.Vars, err = m.finish()
			}
		} else {
			cfg.Vars, err = in.loadClassic(p, text, 0)
		}
	default:
		return &source.Diagnostic{Msg: "config " + p.name + " is not a .py, .json, .yaml or .yml file"}
	}
	if err != nil {
		cfg.Vars = nil
		return err
	}
	for _, e := range cfg.Vars.Entries() {
		if k, _ := e.Key.(string); reserved[k] {
			return source.Errorf(cfg.Vars.KeyPosOf(k), "`%s` is reserved: a config cannot have a variable of this name", k)
		}
	}
	return nil
}

// reserved are the names that a config of the original cannot have.
var reserved = map[string]bool{"filename": true, "text": true, "pretty_text": true, "env_variables": true}

// Data is what the config means: plain dicts, lazy references as dotted
// names, without the names that imports bound. Functions, modules and other
// values that no file can hold are left out at the top and are kept inside
// other values, where Dump leaves them out.
func (c *Config) Data() *py.Dict { return c.DataWithout(func(string) bool { return false }) }

// DataWithout is Data without some of the variables.
func (c *Config) DataWithout(drop func(name string) bool) *py.Dict {
	d := &py.Dict{At: c.Vars.At}
	for _, e := range c.allData().Entries() {
		if k, ok := e.Key.(string); !ok || !drop(k) {
			_ = d.Put(e) // the key came out of a dict
		}
	}
	d.Config = false
	for i, es := 0, d.Entries(); i < len(es); i++ {
		es[i].Val = deferPlain(es[i].Val)
	}
	for _, e := range slices.Clone(d.Entries()) {
		if _, opaque := e.Val.(py.Object); opaque {
			if _, isRange := e.Val.(*py.Range); !isRange {
				d.Delete(e.Key)
			}
		}
	}
	return d
}

// allData is Config.to_dict() of the original: functions and modules stay.
func (c *Config) allData() *py.Dict {
	d := &py.Dict{At: c.Vars.At}
	for _, e := range c.Vars.Entries() {
		if k, ok := e.Key.(string); ok && c.Imported[k] {
			continue
		}
		_ = d.Put(e) // the key came out of a dict
	}
	return d
}
