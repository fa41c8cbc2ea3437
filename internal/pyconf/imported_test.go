package pyconf

import (
	"context"
	"strings"
	"sync"
	"testing"

	"sextant/internal/py"
)

// What a file gets of a base is its own: changing it changes neither the base
// nor what else was imported, however much of it is shared in the base.
func TestImportsShareNothing(t *testing.T) {
	const head = "from mmengine.config import read_base\n"
	cases := []struct{ name, base, text, want string }{
		{"one dict in two places", "r = dict(a=1)\nx = [dict(r=r), dict(r=r)]",
			"with read_base():\n    from .base import x\nx[0]['r']['a'] = 2\nout = [d['r']['a'] for d in x]", "[2, 1]"},
		{"two variables", "r = dict(a=[1])\nx = dict(r=r)",
			"with read_base():\n    from .base import r, x\nr['a'].append(2)\nout = [r, x]", "[{'a': [1, 2]}, {'r': {'a': [1]}}]"},
		{"one variable by two names", "r = dict(a=1)",
			"with read_base():\n    from .base import r\n    from .base import r as s\nr['a'] = 2\nout = [s['a'], r is s]", "[2, True]"},
		{"two files with one base", "r = dict(a=dict(b=1))",
			"with read_base():\n    from .base import r\n    from .other import r as s\nr['a']['b'] = 2\nout = [r['a']['b'], s['a']['b']]", "[2, 1]"},
		{"a function of the base", "r = dict(a=dict(b=1))\ndef f():\n    return r['a']['b']\ndef g():\n    r['a']['b'] = 3",
			"with read_base():\n    from .base import r, f, g\nr['a']['b'] = 2\nout = [f(), r['a']['b']]\ng()\nout += [f(), r['a']['b']]", "[1, 2, 3, 2]"},
		{"a method of the base", "r = [dict(a=1)]\nadd = r.append",
			"with read_base():\n    from .base import *\nadd(1)\nout = len(r)", "1"},
		{"a function that is not imported", "r = dict(a=dict(b=1))\ndef f():\n    return r\nx = f()",
			"with read_base():\n    from .base import r, x\nr['a']['b'] = 2\nout = [x['a']['b'], r['a']['b']]", "[1, 2]"},
		{"through a third file", "r = dict(a=dict(b=1))",
			"with read_base():\n    from .third import x, y\nx[0]['a']['b'] = 2\nout = [x[1]['a']['b'], y['a']['b'], type(x[0]).__name__]", "[1, 1, 'ConfigDict']"},
		{"two executions of a base", "r = dict(a=[1])\ns = {1, 2}\n",
			"with read_base():\n    from .base import r, s\n    from .other import r as q, s as t\nr['a'].append(2)\ns.add(3)\nout = [r, q, s == t, len(t)]", "[{'a': [1, 2]}, {'a': [1]}, False, 2]"},
		{"a deep copy", "r = dict(a=dict(b=1))",
			"from copy import deepcopy\nwith read_base():\n    from .base import r\ns = deepcopy(r)\nr['a']['b'] = 2\nout = [r == s, s['a']['b']]", "[False, 1]"},
		{"an iteration", "x = [dict(a=dict(b=i)) for i in range(3)]",
			"with read_base():\n    from .base import x\nfor d in x:\n    d['a'].update(c=d['a'].pop('b'))\nout = x", "[{'a': {'c': 0}}, {'a': {'c': 1}}, {'a': {'c': 2}}]"},
		{"views", "x = dict(a=dict(b=1), c=[dict(d=2)])",
			"with read_base():\n    from .base import x\nfor k, v in x.items():\n    if k == 'a':\n        v['b'] = 3\nout = [x, list(x.keys()), 'a' in x, len(x), x.get('c')]",
			"[{'a': {'b': 3}, 'c': [{'d': 2}]}, ['a', 'c'], True, 2, [{'d': 2}]]"},
		{"cleared and deleted", "x = dict(a=dict(b=1), c=2)\ny = dict(a=dict(b=1))",
			"with read_base():\n    from .base import x, y\nx.clear()\ndel y['a']['b']\nout = [x, y]", "[{}, {'a': {}}]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "base.py", c.base+"\n")
			write(t, dir, "other.py", head+"with read_base():\n    from .base import *\n")
			write(t, dir, "third.py", head+"with read_base():\n    from .base import r\nx = [r, r]\ny = r\n")
			cfg, err := LoadText(context.Background(), "top.py", head+c.text+"\n", Options{Dir: dir})
			if err != nil {
				t.Fatal(report(cfg.Files, err))
			}
			data := cfg.Data()
			if got := py.Repr(data.Get("out")); got != c.want {
				t.Errorf("out is %s, want %s", got, c.want)
			}
			if got := py.Repr(SortKeys(data).Get("out")); got != c.want {
				t.Errorf("sorted, out is %s, want %s", got, c.want)
			}
		})
	}
}

// Data is read by several goroutines at once.
func TestDataConcurrently(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "base.py", "from m import C\nr = dict(z=1, type=C)\nx = [dict(b=i, a=r) for i in range(50)]\n")
	cfg, err := LoadText(context.Background(), "top.py", "from mmengine.config import read_base\nwith read_base():\n    from .base import x\n", Options{Dir: dir})
	if err != nil {
		t.Fatal(report(cfg.Files, err))
	}
	data := SortKeys(cfg.Data())
	want := py.Repr(SortKeys(cfg.Data()))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got := py.Repr(data); got != want {
				t.Errorf("data is %s, want %s", got, want)
			}
		})
	}
	wg.Wait()
	if !strings.Contains(want, "{'a': {'type': 'm.C', 'z': 1}, 'b': 0}") {
		t.Errorf("data is %s", want)
	}
}
