package pyconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

// Classic mode (docs/dialect.md, "Classic mode"): placeholders, `_base_`
// inheritance, and execution without lazy references.

var (
	rePredefined = regexp.MustCompile(`\{\{\s*(fileDirname|fileBasename|fileBasenameNoExtension|fileExtname)\s*\}\}`)
	reEnv        = regexp.MustCompile(`\{\{['"]?\s*\$([\pL\pN_]+)\s*:\s*(\S*?)\s*['"]?\}\}`)
	reBaseVar    = regexp.MustCompile(`\{\{\s*_base_\.([\pL\pN_.]+)\s*\}\}`)
	reAnyHolder  = regexp.MustCompile(`\{\{['"\\]*\s*(\$|_base_\.|file(Dirname|Basename|BasenameNoExtension|Extname)\s*\}\})`)
)

func isTemplate(text string) bool { return reAnyHolder.MatchString(text) }

// baseVarMark stands for a {{ _base_.x }} while the file is executed.
const baseVarMark = "\ue000base:"

// substitute replaces the placeholders in a text.
func (in *interp) substitute(p filePath, f *source.File, text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	full := p.abs
	if full == "" {
		full = catalogPrefix + p.cat
	}
	full = filepath.ToSlash(full)
	base := full[strings.LastIndexByte(full, '/')+1:]
	ext := filepath.Ext(base)
	vars := map[string]string{"fileDirname": strings.TrimSuffix(full, "/"+base), "fileBasename": base,
		"fileBasenameNoExtension": strings.TrimSuffix(base, ext), "fileExtname": ext}
	text = rePredefined.ReplaceAllStringFunc(text, func(s string) string {
		return vars[rePredefined.FindStringSubmatch(s)[1]]
	})
	var err error
	text = reEnv.ReplaceAllStringFunc(text, func(s string) string {
		m := reEnv.FindStringSubmatch(s)
		v, ok := in.o.Env(m[1])
		if !ok {
			v = m[2]
		}
		if v == "" && err == nil {
			d := &source.Diagnostic{Msg: fmt.Sprintf("environment variable %s is not set, and the placeholder has no default", m[1]),
				Hint: fmt.Sprintf("set %s, or write {{$%s:default}}", m[1], m[1])}
			if i := strings.Index(f.Text, s); i >= 0 {
				d.Pos, d.End = f.Pos(i), f.Pos(i+len(s))
			}
			err = d
		}
		return v
	})
	if err != nil {
		return "", err
	}
	if len(text) > in.o.MaxText {
		return "", fatalf("config is larger than %d MB after its placeholders are filled in", in.o.MaxText>>20)
	}
	return reBaseVar.ReplaceAllString(text, `"`+baseVarMark+`$1"`), nil
}

// loadClassic loads a file in classic mode; from is where another file names
// it as its base.
func (in *interp) loadClassic(p filePath, text string, from source.Pos) (*py.Dict, error) {
	m, err := in.enter(p, text, from)
	if err != nil {
		return nil, err
	}
	defer in.leave()
	sub, err := in.substitute(p, m.file, text)
	if err != nil {
		return nil, err
	}
	if sub != text {
		m.file = in.set.Add(p.shown(), sub, from)
	}
	var vars, bases *py.Dict
	if ext := filepath.Ext(p.name); ext == ".py" {
		vars, bases, err = m.classicPython(sub)
	} else {
		vars, bases, err = m.classicData(ext, sub)
	}
	if err != nil {
		return nil, err
	}
	vars.Delete("_deprecation_")
	out := &py.Dict{Config: true, At: m.file.Base()}
	for _, e := range vars.Entries() {
		k, ok := e.Key.(string)
		if !ok {
			return nil, source.Errorf(orPos(e.KeyPos, e.Pos), "a config's keys must be text, not %s", py.Repr(e.Key))
		}
		if strings.HasPrefix(k, "__") || k == "_base_" {
			continue
		}
		if t := py.TypeName(e.Val); t == "function" || t == "module" {
			continue
		}
		if e.Val, err = toConfig(in, e.Val, 0); err != nil {
			return nil, m.dataError(e, err)
		}
		if e.Val, err = fillBaseVars(e.Val, bases); err != nil {
			return nil, source.Errorf(orPos(e.Pos, e.KeyPos), "%v", err)
		}
		_ = out.Put(e) // the key is a string
	}
	merged, err := mergeInto(out, bases)
	if err != nil {
		return nil, err
	}
	v, err := toConfig(in, merged, 0)
	if err != nil {
		return nil, err
	}
	return v.(*py.Dict), nil
}

// classicPython executes a .py file; it returns its variables and those of
// its bases.
func (m *module) classicPython(text string) (vars, bases *py.Dict, err error) {
	in := m.in
	pl := in.cache.get(m.path.id(), text)
	if pl.err != nil {
		return nil, nil, syntaxErrors(m.file, pl.err)
	}
	if pl.fault != nil {
		return nil, nil, pl.fault.diagnostic(m.file)
	}
	if pl.mode == LazyMode {
		if m.from == 0 { // filling in placeholders made it so
			return nil, nil, source.Errorf(m.file.Base(), "with its placeholders filled in, the config imports packages or uses `with read_base():`")
		}
		return nil, nil, &source.Diagnostic{Pos: m.from, Msg: fmt.Sprintf("%s imports packages or uses `with read_base():`, so it cannot be a `_base_`", m.path.shown()),
			Hint: "write with read_base(): from .file import * in place of _base_"}
	}
	fr := &frame{in: in, m: m}
	bases = &py.Dict{Config: true}
	var body []syntax.Stmt
	var baseStmt *syntax.Assign
	for _, s := range pl.all {
		if assignsBase(s) {
			if baseStmt == nil {
				baseStmt = s.(*syntax.Assign)
			}
			continue
		}
		body = append(body, s)
	}
	if baseStmt != nil {
		v, pos, err := fr.eval(baseStmt.X)
		if r, ok := err.(*raised); ok {
			err = r.diagnostic(in.set)
		}
		if err != nil {
			return nil, nil, err
		}
		if bases, err = m.classicBases(v, pos); err != nil {
			return nil, nil, err
		}
	}
	_ = m.globals.Put(py.Entry{Key: "_base_", Val: bases})
	_ = m.globals.Put(py.Entry{Key: "__builtins__", Val: builtins["__builtins__"]})
	if err := m.run(body); err != nil {
		return nil, nil, err
	}
	return m.globals, bases, nil
}

// classicBases loads the files that `_base_` names.
func (m *module) classicBases(v py.Value, pos source.Pos) (*py.Dict, error) {
	l, ok := v.(*py.List)
	if !ok {
		l = &py.List{Items: []py.Value{v}, Pos: []source.Pos{pos}}
	}
	bases := &py.Dict{Config: true}
	for i, it := range l.Items {
		at := l.PosOf(i)
		name, ok := it.(string)
		if !ok {
			return nil, source.Errorf(at, "`_base_` must be a path or a list of paths, not %s", py.TypeName(it))
		}
		if strings.Contains(name, "::") {
			return nil, source.Errorf(at, "a `_base_` of another package (%s) is not part of the config dialect", name)
		}
		full := name
		if !filepath.IsAbs(name) {
			full = dirName(m.path.name) + "/" + name
			if dirName(m.path.name) == "" {
				full = name
			}
		}
		c := m.in.onDisk(full)
		if m.path.abs == "" {
			cc, ok := inCatalog(filepath.ToSlash(filepath.Dir(m.path.cat)) + "/" + name)
			if !ok {
				return nil, source.Errorf(at, "`_base_` %s not found", name)
			}
			c = cc
		}
		b, err := m.in.fs.read(c.read)
		if err != nil {
			d := source.Errorf(at, "`_base_` %s %s", c.p.shown(), missing(err))
			return nil, d
		}
		vars, err := m.in.loadClassic(c.p, string(b), at)
		if err != nil {
			return nil, err
		}
		for _, e := range vars.Entries() {
			if bases.Has(e.Key) {
				return nil, source.Errorf(at, "two files of `_base_` define %s", py.Repr(e.Key)).WithHint("a name may come from one base only")
			}
			_ = bases.Put(e) // the key came out of a dict
		}
	}
	return bases, nil
}

// classicData reads a .json or .yaml config.
func (m *module) classicData(ext, text string) (vars, bases *py.Dict, err error) {
	var v py.Value
	if ext == ".json" {
		if v, err = py.LoadJSON([]byte(text)); err != nil {
			return nil, nil, m.jsonError(text, err)
		}
	} else if v, err = loadYAML(m.file, text); err != nil {
		return nil, nil, err
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, nil, source.Errorf(m.file.Base(), "a config must be a mapping at the top, not %s", py.TypeName(v))
	}
	if d.At == 0 {
		d.At = m.file.Base()
	}
	bases = &py.Dict{Config: true}
	if b, ok := d.Lookup("_base_"); ok {
		if bases, err = m.classicBases(b, d.PosOf("_base_")); err != nil {
			return nil, nil, err
		}
	}
	return d, bases, nil
}

// jsonError places a mistake in JSON text.
func (m *module) jsonError(text string, err error) error {
	d := source.Errorf(m.file.Base(), "%v", err)
	var x *py.Exception
	if errors.As(err, &x) {
		d.Msg = x.Msg
	}
	var tmp any
	var se *json.SyntaxError
	if e := json.Unmarshal([]byte(text), &tmp); errors.As(e, &se) && se.Offset > 0 {
		d.Pos = m.file.Pos(int(se.Offset) - 1)
	}
	return d
}

// fillBaseVars puts the values of bases in place of the marks.
func fillBaseVars(v py.Value, bases *py.Dict) (py.Value, error) {
	var err error
	switch x := v.(type) {
	case string:
		// inside quotes the placeholder brings a second pair
		name, ok := strings.CutPrefix(strings.Trim(x, `"`), baseVarMark)
		if !ok {
			return v, nil
		}
		var cur py.Value = bases
		for _, k := range strings.Split(name, ".") {
			d, ok := cur.(*py.Dict)
			if ok {
				cur, ok = d.Lookup(k)
			}
			if !ok {
				return nil, fmt.Errorf("the base has no %s", name)
			}
		}
		return py.DeepCopy(cur), nil
	case *py.List:
		for i := range x.Items {
			if x.Items[i], err = fillBaseVars(x.Items[i], bases); err != nil {
				return nil, err
			}
		}
	case *py.Tuple:
		t := &py.Tuple{At: x.At, Pos: x.Pos, Items: append([]py.Value(nil), x.Items...)}
		for i := range t.Items {
			if t.Items[i], err = fillBaseVars(t.Items[i], bases); err != nil {
				return nil, err
			}
		}
		return t, nil
	case *py.Dict:
		es := x.Entries()
		for i := range es {
			if es[i].Val, err = fillBaseVars(es[i].Val, bases); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// mergeInto is Config._merge_a_into_b: a over a copy of b, dict by dict;
// `_delete_` drops what the base had.
func mergeInto(a, b *py.Dict) (*py.Dict, error) {
	out := b.Copy()
	for _, e := range a.Entries() {
		d, ok := e.Val.(*py.Dict)
		if !ok {
			_ = out.Put(e) // the key came out of a dict
			continue
		}
		old, has := out.Lookup(e.Key)
		del := false
		if has {
			if v, ok := d.Lookup("_delete_"); ok {
				del = py.Truth(v)
				d.Delete("_delete_")
			}
		}
		if !has || del {
			_ = out.Put(e) // the key came out of a dict
			continue
		}
		od, ok := old.(*py.Dict)
		if !ok {
			return nil, source.Errorf(orPos(e.Pos, e.KeyPos), "%s is a dict here but %s in the base", py.Repr(e.Key), py.TypeName(old)).
				WithHint("add _delete_=True to replace what the base has")
		}
		v, err := mergeInto(d, od)
		if err != nil {
			return nil, err
		}
		e.Val = v
		_ = out.Put(e) // the key came out of a dict
	}
	return out, nil
}
