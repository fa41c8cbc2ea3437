package pyconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// enter begins the execution of a file and checks for cycles.
func (in *interp) enter(p filePath, text string, from source.Pos) (*module, error) {
	in.loads++
	if in.files == nil {
		in.files = map[string]bool{}
	}
	in.files[p.id()] = true
	if len(in.files)%64 == 0 {
		in.tellLimit()
	}
	in.textSum += len(text)
	if in.textSum > in.o.MaxText || in.loads > maxLoads {
		return nil, &source.Diagnostic{Pos: from, Msg: "config imports too much: the same files over and over?"}
	}
	f := in.set.Add(p.shown(), text, from)
	m := &module{in: in, file: f, path: p, globals: py.NewDict(), from: from}
	for _, o := range in.loading {
		if o.path.id() == p.id() {
			var chain []string
			on := false
			for _, l := range in.loading {
				on = on || l == o
				if on {
					chain = append(chain, path.Base(filepath.ToSlash(l.path.shown())))
				}
			}
			chain = append(chain, path.Base(filepath.ToSlash(p.shown())))
			return nil, &source.Diagnostic{Pos: from, Msg: "configs import each other in a circle: " + strings.Join(chain, " → "),
				Hint: "move what both need into a third file"}
		}
	}
	if len(in.loading) >= maxImportDepth {
		return nil, &source.Diagnostic{Pos: from, Msg: "configs import each other too deeply"}
	}
	in.loading = append(in.loading, m)
	if p.abs != "" {
		in.fs.addRoot(filepath.Dir(p.abs))
	}
	return m, nil
}

func (in *interp) leave() { in.loading = in.loading[:len(in.loading)-1] }

const (
	maxImportDepth = 64
	maxLoads       = 100000
)

// syntaxErrors places the mistakes of a text in its file.
func syntaxErrors(f *source.File, err error) error {
	var list syntax.Errors
	if !errors.As(err, &list) {
		return err
	}
	var out source.List
	for _, e := range list {
		d := &source.Diagnostic{Pos: f.Pos(int(e.Start)), Msg: e.Msg, Hint: e.Hint}
		if e.End > e.Start {
			d.End = f.Pos(int(e.End))
		}
		out = append(out, d)
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

func (f *fault) diagnostic(file *source.File) *source.Diagnostic {
	return &source.Diagnostic{Pos: file.Pos(int(f.at.Start)), End: file.Pos(int(f.at.End)), Msg: f.msg, Hint: f.hint}
}

// loadLazy executes a file by the lazy algorithm (docs/dialect.md, "Lazy
// mode"). The result holds plain dicts; the caller converts.
func (in *interp) loadLazy(p filePath, text string, from source.Pos) (*module, error) {
	m, err := in.enter(p, text, from)
	if err != nil {
		return nil, err
	}
	defer in.leave()
	m.lazy = true
	pl := in.cache.get(p.id(), text)
	m.plan = pl
	if pl.err != nil {
		return nil, syntaxErrors(m.file, pl.err)
	}
	if pl.lazyOK != nil {
		return nil, pl.lazyOK.diagnostic(m.file)
	}
	if len(in.loading) == 1 {
		in.ahead.start(p, pl)
		defer in.ahead.stop()
	}
	g := m.globals
	for _, e := range []py.Entry{{Key: "LazyObject", Val: lazyClass}, {Key: "__file__", Val: p.name}} {
		_ = g.Put(e) // keys are strings
	}
	if err := m.loadBases(); err != nil {
		return nil, err
	}
	m.names = make(map[string]bool, len(pl.names))
	for n := range pl.names {
		m.names[n] = true
	}
	for _, b := range m.bases {
		for n := range b.names {
			m.names[n] = true
		}
	}
	for _, s := range pl.froms {
		if err := m.bindBase(s); err != nil {
			return nil, err
		}
	}
	_ = g.Put(py.Entry{Key: "__builtins__", Val: builtins["__builtins__"]})
	for i, l := range pl.merged {
		_ = g.Put(py.Entry{Key: pl.roots[i], Val: l.copy()})
	}
	return m, m.run(pl.body)
}

// lazyClass is what the name LazyObject is bound to while a file runs.
var lazyClass = &builtin{name: "LazyObject", typ: true, fn: func(c *callArgs) (py.Value, source.Pos, error) {
	return nil, 0, fatalf("`LazyObject` is not part of the config dialect").WithHint("write from module import name")
}}

// run executes the statements of a file.
func (m *module) run(body []syntax.Stmt) (err error) {
	defer catch(m.file.Base(), &err)
	fr := &frame{in: m.in, m: m}
	_, err = fr.block(body)
	if r, ok := err.(*raised); ok {
		return r.diagnostic(m.in.set)
	}
	return err
}

// loadBase loads the file that one import names.
func (m *module) loadBase(s *syntax.ImportFrom) error {
	p, text, err := m.in.findBase(m, s)
	if err != nil {
		return err
	}
	// A file that was executed for another import is not executed again when
	// nobody could tell: it printed nothing, and what was and what is imported
	// from it cannot reach back.
	as := ranAs{p.name, p.id()}
	if o := m.in.ran[as]; o != nil && o.m.plan.text == text {
		again := &base{m: o.m, vars: o.vars, names: o.names, path: p}
		if again.frozen, err = again.closed(m.plan, s); err == nil && again.frozen {
			m.bases[moduleString(s)] = again
			return nil
		}
	}
	printed := m.in.printed
	b, err := m.in.loadLazy(p, text, m.file.Pos(int(s.ModAt)))
	if err != nil {
		return err
	}
	nb := &base{m: b, vars: b.variables(), names: b.names, path: p}
	if nb.frozen, err = nb.closed(m.plan, s); err != nil {
		return err
	}
	if nb.frozen && printed == m.in.printed {
		if m.in.ran == nil {
			m.in.ran = map[ranAs]*base{}
		}
		m.in.ran[as] = nb
	}
	m.bases[moduleString(s)] = nb
	return nil
}

// nestedBases loads the files of a read_base block that stands inside another
// statement. The original takes their names for lazy references, which nobody
// can mean.
func (fr *frame) nestedBases(body []syntax.Stmt) error {
	for _, s := range body {
		f, ok := s.(*syntax.ImportFrom)
		if !fr.m.lazy {
			return fr.hinted(s, "a config has either `_base_` or `with read_base():`", "ConfigParsingError", "`with read_base():` cannot be used together with `_base_`")
		}
		if !ok || f.Module == "" {
			return fr.hinted(s, "put the block at the top level of the file", "ConfigParsingError", "this cannot be used in `with read_base():` here")
		}
		if fr.m.bases[moduleString(f)] == nil {
			if err := fr.m.loadBase(f); err != nil {
				return err
			}
		}
		if err := fr.m.bindBase(f); err != nil {
			return err
		}
		for i := range f.Names {
			delete(fr.m.names, f.Names[i].Bound())
		}
	}
	return nil
}

// loadBases loads the files of the read_base block. Mistakes in several of
// them are reported together.
func (m *module) loadBases() error {
	m.bases = map[string]*base{}
	var errs source.List
	for _, s := range m.plan.bases {
		mod := moduleString(s)
		if _, ok := m.bases[mod]; ok { // the original loads it again, to the same end
			continue
		}
		at := m.file.Pos(int(s.ModAt))
		err := m.loadBase(s)
		if err == nil {
			continue
		}
		ds := source.Diagnostics(err)
		if len(ds) == 0 {
			return fmt.Errorf("load %s: %w", mod, err)
		}
		for _, d := range ds {
			if d.Err != nil && (errors.Is(d.Err, m.in.ctx.Err())) {
				return err
			}
			if d.Pos == 0 {
				d.Pos, d.End = at, m.file.Pos(int(s.ModEnd))
			}
		}
		errs = append(errs, ds...)
		m.bases[mod] = nil
		if m.in.checkStop() != nil || len(errs) >= 10 {
			break
		}
	}
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return errs
}

// variables is the result of a file: its globals without the loader's own,
// in their order. The values are those that the file made; whoever imports
// one gets it by base.value.
func (m *module) variables() *py.Dict {
	out := &py.Dict{At: m.file.Base()}
	for _, e := range m.globals.Entries() {
		k, ok := e.Key.(string)
		if !ok || strings.HasPrefix(k, "__") || k == "LazyObject" {
			continue
		}
		_ = out.Put(e) // the key is a string
	}
	return out
}

// value is a variable as an importer sees it: every dict a ConfigDict, every
// list new. A variable imported under two names is one value; two variables
// share nothing, even when they did in the base.
func (b *base) value(e py.Entry) (py.Value, error) {
	if !isContainer(e.Val) {
		return e.Val, nil
	}
	k := e.Key.(string)
	if v, ok := b.done[k]; ok {
		return v, nil
	}
	v, err := b.convert(e.Val)
	if err != nil {
		return nil, b.m.dataError(e, err)
	}
	if b.done == nil {
		b.done = map[string]py.Value{}
	}
	b.done[k] = v
	return v, nil
}

// finish checks that the data of a top file ends.
func (m *module) finish() (*py.Dict, error) {
	vars := m.variables()
	budget := maxNodes
	for _, e := range vars.Entries() {
		if isContainer(e.Val) && !depthOK(e.Val, 0, &budget) {
			return nil, m.dataError(e, errTooDeep)
		}
		k := e.Key.(string)
		if !m.names[k] || !isContainer(e.Val) {
			continue
		}
		if p, ok := m.in.set.Position(e.Pos); ok && p.File == m.file {
			m.in.note(fmt.Sprintf("%s:%d:%d: variable `%s` is no part of the config: a file of it imports a name `%s`\n", p.File.Name, p.Line, p.Col, k, k))
		}
	}
	vars.Config = true
	return vars, nil
}

// maxNodes is how many values a config may hold, shared ones counted as often
// as they occur.
const maxNodes = 8 << 20

func (m *module) dataError(e py.Entry, err error) error {
	d, ok := err.(*source.Diagnostic)
	if !ok {
		d = &source.Diagnostic{Msg: fmt.Sprintf("variable `%v`: %v", e.Key, err), Err: err}
		var x *py.Exception
		if errors.As(err, &x) {
			d.Msg = fmt.Sprintf("variable `%v`: %s", e.Key, strings.TrimPrefix(x.Msg, "maximum recursion depth exceeded: "))
		}
	}
	if d.Pos == 0 {
		d.Pos = orPos(e.Pos, e.KeyPos)
	}
	return d
}

// bindBase copies what an import names out of a loaded base, before the file
// itself begins.
func (m *module) bindBase(s *syntax.ImportFrom) error {
	mod := moduleString(s)
	b := m.bases[mod]
	if b == nil || isBuiltinModule(mod) {
		return nil
	}
	for i := range s.Names {
		a := &s.Names[i]
		if a.Name == "*" {
			for _, e := range b.vars.Entries() {
				v, err := b.value(e)
				if err != nil {
					return err
				}
				e.Val = v
				_ = m.globals.Put(e) // the key is a string
			}
			return nil
		}
		v, ok := b.vars.Lookup(a.Name)
		if !ok {
			d := &source.Diagnostic{Pos: m.file.Pos(int(a.At)), End: m.file.Pos(int(a.End)),
				Msg: fmt.Sprintf("`%s` is not defined in %s", a.Name, b.path.shown())}
			keys := stringKeys(b.vars)
			if near := registry.Nearest(a.Name, keys); near != "" {
				d.Hint = fmt.Sprintf("did you mean %q?", near)
			} else if defined := ownNames(b); len(defined) > 0 {
				d.Hint = "it defines " + strings.Join(defined, ", ")
			}
			return d
		}
		v, err := b.value(py.Entry{Key: a.Name, Val: v, Pos: b.vars.PosOf(a.Name)})
		if err != nil {
			return err
		}
		_ = m.globals.Put(py.Entry{Key: a.Bound(), Val: v, Pos: b.vars.PosOf(a.Name), KeyPos: m.file.Pos(int(a.At))})
	}
	return nil
}

// ownNames are the variables of a base that somebody could want, shortened.
func ownNames(b *base) []string {
	var out []string
	for _, k := range stringKeys(b.vars) {
		if b.names[k] || strings.HasPrefix(k, "_") {
			continue
		}
		switch b.vars.Get(k).(type) {
		case *py.Dict, *py.List:
		default:
			continue
		}
		if len(out) == 6 {
			return append(out, "…")
		}
		out = append(out, k)
	}
	return out
}

// candidate is a place where a base file may be.
type candidate struct {
	p    filePath
	read string // what to hand to files.read
}

func (in *interp) onDisk(name string) candidate {
	abs := in.fs.abs(name)
	p := filePath{name: name, abs: abs}
	if filepath.IsAbs(name) && within(in.fs.cwd, abs) {
		if rel, err := filepath.Rel(in.fs.cwd, abs); err == nil {
			p.disp = rel
		}
	}
	return candidate{p, abs}
}

func inCatalog(rel string) (candidate, bool) {
	rel = path.Clean(rel)
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return candidate{}, false
	}
	return candidate{filePath{name: catalogPrefix + rel, cat: rel}, catalogPrefix + rel}, true
}

// candidates lists where the base of an import may be, in order: beside the
// file, in --config-dir, in the catalog.
func (in *interp) candidates(p filePath, s *syntax.ImportFrom) []candidate {
	var out []candidate
	cat := func(rel string) {
		if c, ok := inCatalog(rel); ok && in.fs.catalog != nil {
			out = append(out, c)
		}
	}
	rel := moduleFile(s.Module)
	if s.Level > 0 {
		up := strings.Repeat("../", s.Level-1)
		if p.abs == "" {
			cat(path.Dir(p.cat) + "/" + up + rel)
			return out
		}
		dir := dirName(p.name)
		if dir != "" && !strings.HasSuffix(dir, "/") {
			dir += "/"
		}
		c := in.onDisk(dir + up + rel)
		out = append(out, c)
		// the same place in another tree of configs
		for _, tree := range in.trees {
			if within(tree, c.p.abs) && c.p.abs != tree {
				if r, err := filepath.Rel(tree, c.p.abs); err == nil {
					if in.configDir != "" && in.configDir != tree {
						out = append(out, in.onDisk(filepath.Join(in.configDir, r)))
					}
					cat(filepath.ToSlash(r))
				}
				break
			}
		}
		if in.configDir != "" {
			out = append(out, in.onDisk(filepath.Join(in.configDir, rel)))
		}
		for _, root := range in.importRoots { // a checkout is a catalog too
			out = append(out, in.onDisk(filepath.Join(root, "opencompass", "configs", rel)))
		}
		cat(rel)
		return out
	}
	for _, root := range in.importRoots {
		out = append(out, in.onDisk(filepath.Join(root, rel)))
	}
	if rest, ok := strings.CutPrefix(rel, "opencompass/configs/"); ok {
		if in.configDir != "" {
			out = append(out, in.onDisk(filepath.Join(in.configDir, rest)))
		}
		cat(rest)
	}
	return out
}

// findBase finds and reads the file that an import of read_base names.
func (in *interp) findBase(m *module, s *syntax.ImportFrom) (filePath, string, error) {
	mod := moduleString(s)
	at, end := m.file.Pos(int(s.ModAt)), m.file.Pos(int(s.ModEnd))
	if s.Level == 0 && !strings.Contains(s.Module, ".") {
		return filePath{}, "", &source.Diagnostic{Pos: at, End: end, Msg: fmt.Sprintf("`%s` is a package, not a config file", mod),
			Hint: "for a file beside this one write from ." + mod + " import …"}
	}
	if p, text, ok := in.ahead.resolve(m.path, s); ok && len(text) <= in.o.MaxText {
		return p, text, nil
	}
	cands := in.candidates(m.path, s)
	var firstErr error
	for i, c := range cands {
		b, err := in.ahead.read(c.read)
		if errors.Is(err, errOutside) && i == 0 && s.Level > 1 && m.path.abs != "" {
			b, err = in.readAbove(m, s, c)
		}
		if err == nil {
			if len(b) > in.o.MaxText {
				return filePath{}, "", &source.Diagnostic{Pos: at, End: end, Msg: c.p.shown() + " is too large for a config"}
			}
			return c.p, b, nil
		}
		if firstErr == nil && !errors.Is(err, fs.ErrNotExist) {
			firstErr = fmt.Errorf("%s %s", c.p.shown(), missing(err))
		}
	}
	d := &source.Diagnostic{Pos: at, End: end, Msg: fmt.Sprintf("config %s not found", mod)}
	if firstErr != nil {
		d.Msg = fmt.Sprintf("config %s not found: %v", mod, firstErr)
	}
	d.Hint = in.missingBaseHint(s, cands)
	if s.Level == 0 { // the dot is forgotten often
		dotted := *s
		dotted.Level = 1
		for _, c := range in.candidates(m.path, &dotted) {
			if _, err := in.fs.read(c.read); err == nil {
				d.Hint = "did you mean ." + mod + "?"
				break
			}
		}
	}
	return filePath{}, "", d
}

// readAbove reads a config in a folder above the roots that dots lead to: the
// tree there becomes readable, as far as links do not leave it.
func (in *interp) readAbove(m *module, s *syntax.ImportFrom, c candidate) (string, error) {
	dir := filepath.Dir(m.path.abs)
	for i := 1; i < s.Level; i++ {
		dir = filepath.Dir(dir)
	}
	if dir == "/" || !within(dir, c.p.abs) {
		return "", errOutside
	}
	f := newFiles(in.fs.cwd, nil)
	defer f.close()
	f.addRoot(dir)
	b, err := f.read(c.read)
	return string(b), err
}

// missingBaseHint names the files nearest to the one that is not there.
func (in *interp) missingBaseHint(s *syntax.ImportFrom, cands []candidate) string {
	want := s.Module[strings.LastIndexByte(s.Module, '.')+1:]
	prefix := strings.TrimSuffix(strings.Repeat(".", s.Level)+s.Module, want)
	var all []string
	seen := map[string]bool{}
	for _, c := range cands {
		names, err := in.fs.list(path.Dir(filepath.ToSlash(c.read)))
		if err != nil {
			continue
		}
		for _, n := range names {
			if stem, ok := strings.CutSuffix(n, ".py"); ok && !seen[stem] {
				seen[stem] = true
				all = append(all, stem)
			}
		}
	}
	sort.Strings(all)
	if near := registry.Nearest(want, all); near != "" {
		return "did you mean " + prefix + near + "?"
	}
	if len(all) > 0 {
		var like []string
		for _, n := range all {
			if i := strings.IndexByte(want, '_'); i > 0 && strings.HasPrefix(n, want[:i]) {
				like = append(like, n)
			}
		}
		if len(like) == 0 {
			like = all
		}
		if len(like) > 6 {
			like = append(like[:6:6], "…")
		}
		return "there are " + strings.Join(like, ", ")
	}
	var places []string
	for _, c := range cands {
		if p := c.p.shown(); !slices.Contains(places, p) && !strings.Contains(p, "opencompass/configs/") {
			places = append(places, p)
		}
	}
	if len(places) == 0 {
		return ""
	}
	if len(places) > 4 {
		places = append(places[:4:4], "…")
	}
	return "looked for " + strings.Join(places, ", ")
}

// note hands a text of the config to whoever collects notes.
func (in *interp) note(s string) {
	in.printed++
	if in.o.Notes != nil && in.noted < maxNotes {
		in.noted += len(s)
		_, _ = in.o.Notes.Write([]byte(s)) // notes are best effort
	}
}

const maxNotes = 1 << 20
