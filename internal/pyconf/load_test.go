package pyconf

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"sextant/internal/py"
	"sextant/internal/source"
)

// A base is looked for beside the config, then in --config-dir, then in the
// catalog.
func TestWhereBasesAreFound(t *testing.T) {
	const use = "from mmengine.config import read_base\nwith read_base():\n    from .datasets.a.x import where\n    from .models.m import model\n"
	catalog := fstest.MapFS{
		"datasets/a/x.py":    {Data: []byte("with read_base():\n    from .part import where\n    from ...models.m import model\n")},
		"datasets/a/part.py": {Data: []byte("where = 'catalog'\n")},
		"models/m.py":        {Data: []byte("model = open(__file__.replace('m.py', 'm.txt')).read()\n")},
		"models/m.txt":       {Data: []byte("from the catalog")},
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		top   string
		want  string
	}{
		{"catalog", nil, "eval.py", "catalog"},
		{"config-dir", map[string]string{"conf/datasets/a/x.py": "where = 'config-dir'"}, "eval.py", "config-dir"},
		{"beside", map[string]string{"conf/datasets/a/x.py": "where = 'config-dir'", "datasets/a/x.py": "where = 'beside'"}, "eval.py", "beside"},
		{"checkout", map[string]string{"opencompass/configs/datasets/a/x.py": "where = 'checkout'"}, "opencompass/configs/eval.py", "checkout"},
		{"deeper", map[string]string{"conf/datasets/a/x.py": "where = 'config-dir'"}, "sub/folder/eval.py", "config-dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range c.files {
				write(t, dir, f, text+"\n")
			}
			write(t, dir, c.top, use)
			cfg, err := Load(context.Background(), c.top, Options{Dir: dir, ConfigDir: filepath.Join(dir, "conf"), Catalog: catalog})
			if err != nil {
				t.Fatal(report(cfg.Files, err))
			}
			if got := cfg.Data().Str("where"); got != c.want {
				t.Errorf("base came from %s, want %s", got, c.want)
			}
			if got := cfg.Data().Str("model"); got != "from the catalog" {
				t.Errorf("model is %q", got)
			}
		})
	}
}

func TestAbsoluteImports(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "opencompass/configs/datasets/x.py", "x = 'checkout'\n")
	write(t, dir, "mine/configs/y.py", "y = 'package beside'\n")
	write(t, dir, "sub/eval.py", "from mmengine.config import read_base\nwith read_base():\n    from opencompass.configs.datasets.x import x\n    from mine.configs.y import y\n    from opencompass.configs.datasets.z import z\n")
	catalog := fstest.MapFS{"datasets/z.py": {Data: []byte("z = 'catalog'\n")}}
	for _, o := range []Options{{Dir: dir}, {Dir: t.TempDir(), Roots: []string{dir}}} {
		o.Catalog = catalog
		cfg, err := Load(context.Background(), filepath.Join(dir, "sub", "eval.py"), o)
		if err != nil {
			t.Fatal(report(cfg.Files, err))
		}
		d := cfg.Data()
		if d.Str("x") != "checkout" || d.Str("y") != "package beside" || d.Str("z") != "catalog" {
			t.Errorf("got %s", py.Repr(d))
		}
	}
}

// Dots may lead above the folder that the config may read, to configs only.
func TestImportFromAbove(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "shared/m.py", "content = open(__file__[:-4] + 't.txt').read()\n")
	write(t, dir, "shared/t.txt", "beside the base")
	write(t, dir, "exp/one/eval.py", "from mmengine.config import read_base\nwith read_base():\n    from ...shared.m import content\n")
	cfg, err := Load(context.Background(), filepath.Join(dir, "exp", "one", "eval.py"), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	if got := cfg.Data().Str("content"); got != "beside the base" {
		t.Errorf("text is %q", got)
	}
}

func TestMissingConfig(t *testing.T) {
	for _, name := range []string{"nothing.py", "catalog:nothing.py"} {
		cfg, err := Load(context.Background(), name, Options{Dir: t.TempDir(), Catalog: fstest.MapFS{}})
		if err == nil || len(source.Diagnostics(err)) != 1 || !strings.Contains(err.Error(), "config "+name+" not found") {
			t.Errorf("%s: %v, %v", name, cfg, err)
		}
	}
	dir := t.TempDir()
	write(t, dir, "x.toml", "a = 1")
	if _, err := Load(context.Background(), "x.toml", Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not a .py, .json, .yaml or .yml file") {
		t.Error(err)
	}
	if _, err := Load(context.Background(), ".", Options{Dir: dir}); err == nil {
		t.Error("a folder was loaded")
	}
}

func TestNotesAndEnvironment(t *testing.T) {
	var notes bytes.Buffer
	env := func(n string) (string, bool) { return "value of " + n, n == "SET" }
	cfg, err := LoadText(context.Background(), "x.py", `import os
print('hello', 1, sep='-')
a = os.environ.get('SET')
b = os.environ.get('UNSET', 'no')
c = os.environ['SET']
d = os.getenv('UNSET')
e = 'SET' in os.environ, 'UNSET' in os.environ
f = '{{$SET:x}}'
`, Options{Dir: t.TempDir(), Notes: &notes, Env: env})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	if notes.String() != "hello-1\n" {
		t.Errorf("notes are %q", notes.String())
	}
	want := "{'a': 'value of SET', 'b': 'no', 'c': 'value of SET', 'd': None, 'e': (True, False), 'f': 'value of SET'}"
	if got := py.Repr(cfg.Data()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The original drops a variable whose name a base imports; so do we, aloud.
func TestVariableLostToImport(t *testing.T) {
	var notes bytes.Buffer
	dir := t.TempDir()
	write(t, dir, "base.py", "from opencompass.models import X\nx = [X]\n")
	write(t, dir, "top.py", "from mmengine.config import read_base\nwith read_base():\n    from .base import x\nX = dict(a=1)\nY = X\n")
	cfg, err := Load(context.Background(), "top.py", Options{Dir: dir, Notes: &notes})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	if cfg.Data().Has("X") || !cfg.Data().Has("Y") {
		t.Errorf("data is %s", py.Repr(cfg.Data()))
	}
	if !strings.Contains(notes.String(), "top.py:4:5: variable `X` is no part of the config: a file of it imports a name `X`") {
		t.Errorf("notes are %q", notes.String())
	}
}

// Values that a file can hardly hold come back from a dump.
func TestDump(t *testing.T) {
	cfg, err := LoadText(context.Background(), "x.py", `from opencompass.models import M
import torch
import os
dict_ = dict
plain = dict(b=1, a=2)
odd = {'a b': 1, 'class': 2, 1: 'one', 1.5: 2, None: 3, (1, 'x'): 4, True: 5, 'é': 6, '': 7, "it's": 8, 'n\n': 9}
numbers = [float('inf'), -float('inf'), float('nan'), 1e300, -0.0, 10**30, True, None]
texts = ['{{ fileBasename }}', '{{$HOME:x}}', "{{'$HOME:x'}}", '{{ _base_.x }}', '{{{ fileDirname }}}', 'a\'b"c', '\\', '\n\t\x00é中😀', '{{ user }}']
sets = [{1, 2}, set(), frozenset([3]), {('a', 1)}]
nest = [[], (), (1,), {}, dict(), [[1, [2]]], ({'k': ()},)]
fn = lambda: 1
mod = os
inside = dict(f=len, g=[lambda: 1, 2])
lazy = [M, torch.float16]
rng = range(3)
b = b'\x00\xff'
`, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	data := cfg.Data()
	for _, k := range []string{"fn", "mod", "dict_", "os", "M", "torch"} {
		if data.Has(k) {
			t.Errorf("variable %s is part of the data", k)
		}
	}
	text := Dump(data)
	again, err := LoadText(context.Background(), "d.py", text, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("%s\n%s", report(again.Files, err), text)
	}
	want := SortKeys(data).Copy()
	want.Set("inside", py.DictOf("f", nil, "g", py.NewList(nil, 2)))
	want.Set("rng", again.Data().Get("rng"))
	if g, w := string(Canon(again)), string(appendCanon(nil, want, ",", keep)); g != w {
		t.Errorf("got  %s\nwant %s\n%s", g, w, text)
	}
	if !strings.Contains(text, "f=None,  # a builtin_function_or_method cannot be written to a file") {
		t.Errorf("no word of what was lost in\n%s", text)
	}
	// a variable that hides a function which a dump would call
	cfg, err = LoadText(context.Background(), "x.py", "dict = dict(a=1, b=dict(c=2))\nfloat = [float('inf'), float('nan')]\nset = [set(), 1]\n", Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	text = Dump(cfg.Data())
	again, err = LoadText(context.Background(), "d.py", text, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("%s\n%s", report(again.Files, err), text)
	}
	if g, w := string(Canon(again)), string(Canon(cfg)); g != w {
		t.Errorf("got  %s\nwant %s\n%s", g, w, text)
	}
}

func TestDumpLayout(t *testing.T) {
	data := py.DictOf("models", py.NewList(py.DictOf("type", "T", "abbr", "m1", "tp", py.NewTuple(1), "map", py.DictOf("a b", 1, 0, py.NewList(2)), "none", py.NewDict())), "a", 1)
	want := `a=1
models=[
    dict(
        abbr='m1',
        map=dict({
            0: [
                2,
                ],
            'a b': 1}),
        none=dict(),
        tp=(
            1,
            ),
        type='T'),
    ]
`
	if got := Dump(data); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The page docs/dialect.md names every builtin and every module.
func TestDialectPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/dialect.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(b), -1) {
		words[m[1]] = true
	}
	var missing []string
	for name, v := range builtins {
		if _, ok := v.(*builtin); ok && !words[name] {
			missing = append(missing, name)
		}
	}
	for name := range modules {
		if !words[name] && name != "posixpath" && name != "types" && name != "__future__" {
			missing = append(missing, name)
		}
	}
	sort.Strings(missing)
	if len(missing) > 0 {
		t.Errorf("docs/dialect.md does not name %s", strings.Join(missing, ", "))
	}
}
