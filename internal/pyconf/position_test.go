package pyconf

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/source"
)

// where is the line and the marked word of a position.
func where(cfg *Config, pos source.Pos) string {
	p, ok := cfg.Files.Position(pos)
	if !ok {
		return "nowhere"
	}
	rest := p.File.Text[p.Offset:]
	if i := strings.IndexAny(rest, "\n,)]} "); i > 0 {
		rest = rest[:i]
	}
	return fmt.Sprintf("%s:%d %s", p.File.Name, p.Line, rest)
}

// Every value knows where it was written, through imports, sums over
// locals(), copies, mutation and comprehensions.
func TestPositions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "base.py", `from opencompass.datasets import D
size = 16
cfg = dict(
    inferencer=dict(type=D, max_out_len=size),
    kept=[1, 22],
)
x_datasets = [dict(abbr='one', type=D, cfg=cfg)]
`)
	text := `from mmengine.config import read_base
with read_base():
    from .base import x_datasets, cfg
from copy import deepcopy
from opencompass.models import M
from opencompass.openicl import Evaluatr
y_datasets = [dict(abbr='two', n=2)]
datasets = sum((v for k, v in locals().items() if k.endswith('_datasets')), [])
datasets[0]['abbr'] = 'renamed'
datasets[1].update(extra=dict(deep=5))
for d in datasets:
    d['added'] = 7
z = [dict(abbr=f'{name}', limit=n) for name, n in [('p', 31), ('q', 32)]]
deep = deepcopy(datasets)
deep[1]['n'] = 41
models = [dict(type=M, path='path/to',
               run_cfg=dict(num_gpus=1))]
models[0].setdefault('late', 51)
def make(path, gpus=61):
    return dict(path=path, gpus=gpus, fixed=62)
made = make('given')
made2 = make(path='named', gpus=63)
evaluator = dict(type=Evaluatr)
both = dict(made, more=71)
spread = {**made, 'key': 72}
first, *rest = [81, 82, 83]
pairs = dict(zip(['a', 'b'], [91, 92]))
cfg['kept'].append(101)
joined = y_datasets + [dict(abbr='third')]
cond = 111 if True else 112
aug = [1]
aug += [121]
last = aug[-1]
`
	write(t, dir, "top.py", text)
	cfg, err := Load(context.Background(), "top.py", Options{Dir: dir})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	data := SortKeys(cfg.Data())
	get := func(path string) (py.Value, source.Pos) {
		var v py.Value = data
		var pos source.Pos
		for _, k := range strings.Split(path, ".") {
			switch c := v.(type) {
			case *py.Dict:
				if !c.Has(k) {
					t.Fatalf("%s: no key %s", path, k)
				}
				v, pos = c.Get(k), c.PosOf(k)
			case *py.List:
				i := int(k[0] - '0')
				v, pos = c.Items[i], c.PosOf(i)
			}
		}
		return v, pos
	}
	for _, c := range [][2]string{
		{"datasets.0.abbr", "top.py:9 'renamed'"},
		{"datasets.0.type", "base.py:7 D"},
		{"datasets.0", "base.py:7 dict(abbr='one'"},
		{"datasets.0.cfg.inferencer.max_out_len", "base.py:2 16"},
		{"datasets.0.cfg.inferencer.type", "base.py:4 D"},
		{"datasets.0.cfg.kept.1", "base.py:5 22"},
		{"datasets.1.abbr", "top.py:7 'two'"},
		{"datasets.1.extra.deep", "top.py:10 5"},
		{"datasets.1.added", "top.py:12 7"},
		{"z.0.limit", "top.py:13 31"},
		{"z.1.limit", "top.py:13 32"},
		{"z.1.abbr", "top.py:13 f'{name"},
		{"deep.1.n", "top.py:15 41"},
		{"deep.0.cfg.inferencer.max_out_len", "base.py:2 16"},
		{"models.0.type", "top.py:16 M"},
		{"models.0.run_cfg.num_gpus", "top.py:17 1"},
		{"models.0.late", "top.py:18 51"},
		{"made.path", "top.py:21 'given'"},
		{"made.gpus", "top.py:19 61"},
		{"made.fixed", "top.py:20 62"},
		{"made2.path", "top.py:22 'named'"},
		{"made2.gpus", "top.py:22 63"},
		{"evaluator.type", "top.py:23 Evaluatr"},
		{"both.fixed", "top.py:20 62"},
		{"both.more", "top.py:24 71"},
		{"spread.key", "top.py:25 72"},
		{"first", "top.py:26 81"},
		{"rest.1", "top.py:26 83"},
		{"pairs.b", "top.py:27 92"},
		{"cfg.kept.2", "top.py:28 101"},
		{"joined.0.n", "top.py:7 2"},
		{"joined.1.abbr", "top.py:29 'third'"},
		{"cond", "top.py:30 111"},
		{"aug.1", "top.py:32 121"},
		{"last", "top.py:32 121"},
	} {
		if _, pos := get(c[0]); where(cfg, pos) != c[1] {
			t.Errorf("%s was written at %s, want %s", c[0], where(cfg, pos), c[1])
		}
	}
	// keys, for messages about a key that does not belong
	models := data.List("models").Items[0].(*py.Dict)
	if got := where(cfg, models.KeyPosOf("path")); got != "top.py:16 path='path/to'" {
		t.Errorf("key path at %s", got)
	}
	if got := where(cfg, data.List("datasets").Items[0].(*py.Dict).KeyPosOf("abbr")); got != "top.py:9 'abbr'" {
		t.Errorf("key abbr at %s", got)
	}
	// the chain of imports leads from a value of the base to the top file
	_, pos := get("datasets.0.cfg.inferencer.max_out_len")
	got := cfg.Files.Render(source.Errorf(pos, "max_out_len must be larger"))
	want := "base.py:2:8: max_out_len must be larger\n    size = 16\n           ^^\n  imported at top.py:3:10\n"
	if got != want {
		t.Errorf("message is\n%s\nwant\n%s", got, want)
	}
}

// A value that went through a dump points into the dump.
func TestPositionsOfClassicConfig(t *testing.T) {
	cfg, err := LoadText(context.Background(), "dump.py", "models=[\n    dict(abbr='m',\n        n=5),\n    ]\n", Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	d := cfg.Data().List("models").Items[0].(*py.Dict)
	if got := where(cfg, d.PosOf("n")); got != "dump.py:3 5" {
		t.Errorf("n at %s", got)
	}
}
