package pyconf

import (
	"slices"

	"sextant/internal/py"
)

// The semantics of dicts that come from a base file or are a finished config
// (docs/dialect.md, "ConfigDict"): py.Dict with Config set.

// maxData bounds how deep data nests. CPython gives up near 1000 levels.
const maxData = 400

var errTooDeep = &py.Exception{Class: "RecursionError", Msg: "maximum recursion depth exceeded: data is nested too deeply, or contains itself"}

// checkDepth makes sure that walking v ends. Only containers are walked.
func (in *interp) checkDepth(v py.Value) error {
	switch v.(type) {
	case *py.List, *py.Tuple, *py.Dict:
		budget := 1 << 20
		if !depthOK(v, 0, &budget) {
			return errTooDeep
		}
	}
	return nil
}

func depthOK(v py.Value, depth int, budget *int) bool {
	if *budget--; *budget < 0 || depth > maxData {
		return false
	}
	switch x := v.(type) {
	case *py.List:
		for _, it := range x.Items {
			if isContainer(it) && !depthOK(it, depth+1, budget) {
				return false
			}
		}
	case *py.Tuple:
		for _, it := range x.Items {
			if isContainer(it) && !depthOK(it, depth+1, budget) {
				return false
			}
		}
	case *py.Dict:
		if src, _ := x.Deferred(); src != nil {
			if nodes, height := src.Measure(); nodes > 0 {
				*budget -= nodes
				return *budget >= 0 && depth+height <= maxData
			}
		}
		for _, e := range x.Entries() {
			if isContainer(e.Val) && !depthOK(e.Val, depth+1, budget) {
				return false
			}
		}
	}
	return true
}

func isContainer(v py.Value) bool {
	switch v.(type) {
	case *py.List, *py.Tuple, *py.Dict:
		return true
	}
	return false
}

// configHook is what storing a value in a ConfigDict makes of it: plain dicts
// become ConfigDicts, lists and tuples are rebuilt, ConfigDicts are shared.
func configHook(in *interp, v py.Value, depth int) (py.Value, error) {
	if depth > maxData {
		return nil, errTooDeep
	}
	if x, ok := v.(*py.Dict); ok {
		if x.Config {
			return x, nil
		}
		return configConvert(in, x, depth, configHook)
	}
	return configItems(in, v, depth, configHook)
}

// vacant is a list or tuple like v that is still to be filled: to has room for
// what becomes of each item in from. Any other v is its own copy, without
// items.
func vacant(v py.Value) (out py.Value, from, to []py.Value) {
	switch x := v.(type) {
	case *py.List:
		to = make([]py.Value, len(x.Items))
		return &py.List{At: x.At, Pos: slices.Clone(x.Pos), Items: to}, x.Items, to
	case *py.Tuple:
		to = make([]py.Value, len(x.Items))
		return &py.Tuple{At: x.At, Pos: x.Pos, Items: to}, x.Items, to
	}
	return v, nil, nil
}

// mapItems is a list or tuple of f of each item of v, or v when it is neither.
func mapItems(v py.Value, f func(py.Value) py.Value) py.Value {
	out, from, to := vacant(v)
	for i, it := range from {
		to[i] = f(it)
	}
	return out
}

// configItems is mapItems for what may fail and counts.
func configItems(in *interp, v py.Value, depth int, f func(*interp, py.Value, int) (py.Value, error)) (py.Value, error) {
	if !isContainer(v) {
		return v, nil
	}
	out, from, to := vacant(v)
	var err error
	for i, it := range from {
		if to[i], err = f(in, it, depth+1); err != nil {
			return nil, err
		}
	}
	return out, in.work(len(from))
}

// work accounts for copying n items.
func (in *interp) work(n int) error {
	in.steps += n
	if err := in.tick(); err != nil {
		return err
	}
	return in.charge(48 + 32*n)
}

func configConvert(in *interp, x *py.Dict, depth int, f func(*interp, py.Value, int) (py.Value, error)) (*py.Dict, error) {
	d := x.Copy()
	d.Config = true
	es := d.Entries()
	for i := range es {
		v, err := f(in, es[i].Val, depth+1)
		if err != nil {
			return nil, err
		}
		es[i].Val = v
	}
	return d, in.work(2 * len(es))
}

// toConfig is the conversion that a finished file goes through: every dict at
// any depth becomes a new ConfigDict, every list a new list.
func toConfig(in *interp, v py.Value, depth int) (py.Value, error) {
	if depth > maxData {
		return nil, errTooDeep
	}
	if x, ok := v.(*py.Dict); ok {
		if src, conv := x.Deferred(); src != nil && conv == in.conv {
			return py.Defer(src, in.conv), in.work(1)
		}
		return configConvert(in, x, depth, toConfig)
	}
	return configItems(in, v, depth, toConfig)
}

// configCopy is ConfigDict.copy: nested ConfigDicts are shared, lists copied.
func configCopy(in *interp, x *py.Dict) (*py.Dict, error) {
	c := x.Copy()
	es := c.Entries()
	for i := range es {
		v, err := rebuildLists(in, es[i].Val, 1)
		if err != nil {
			return nil, err
		}
		es[i].Val = v
	}
	return c, in.work(2 * len(es))
}

func rebuildLists(in *interp, v py.Value, depth int) (py.Value, error) {
	if depth > maxData {
		return nil, errTooDeep
	}
	if _, ok := v.(*py.Dict); ok {
		return v, nil
	}
	return configItems(in, v, depth, rebuildLists)
}

// configUpdate is ConfigDict.update: dicts on both sides are merged.
func configUpdate(in *interp, d, o *py.Dict) error {
	return configUpdateDepth(in, d, o, 0)
}

func configUpdateDepth(in *interp, d, o *py.Dict, depth int) error {
	if depth > maxData {
		return errTooDeep
	}
	if err := in.tick(); err != nil {
		return err
	}
	for _, e := range append([]py.Entry(nil), o.Entries()...) {
		if old, ok := d.Get(e.Key).(*py.Dict); ok {
			if v, ok := e.Val.(*py.Dict); ok {
				if old.Config {
					if err := configUpdateDepth(in, old, v, depth+1); err != nil {
						return err
					}
				} else {
					for _, e := range append([]py.Entry(nil), v.Entries()...) {
						if err := old.Put(e); err != nil {
							return err
						}
					}
				}
				continue
			}
		}
		v, err := configHook(in, e.Val, depth+1)
		if err != nil {
			return err
		}
		e.Val = v
		if err := d.Put(e); err != nil {
			return err
		}
	}
	return nil
}

// deepCopier is copy.deepcopy: what was one object stays one object.
type deepCopier struct {
	in   *interp
	seen map[any]py.Value
}

func (c *deepCopier) copy(v py.Value, depth int) (py.Value, error) {
	if depth > maxData {
		return nil, errTooDeep
	}
	switch v.(type) {
	case *py.List, *py.Dict, *py.Tuple, *py.Set, *Lazy:
		if r, ok := c.seen[v]; ok {
			return r, nil
		}
	}
	var err error
	switch x := v.(type) {
	case *py.List, *py.Tuple:
		out, from, to := vacant(x)
		_, same := x.(*py.Tuple) // a tuple of what is its own copy is its own copy too
		if !same {
			c.seen[x] = out
		}
		for i, it := range from {
			if to[i], err = c.copy(it, depth+1); err != nil {
				return nil, err
			}
			same = same && identical(to[i], it)
		}
		if same {
			out = x
		}
		c.seen[x] = out
		return out, c.in.work(len(from))
	case *py.Dict:
		d := &py.Dict{At: x.At, Config: x.Config}
		c.seen[x] = d
		for _, e := range x.Entries() {
			if e.Key, err = c.copy(e.Key, depth+1); err != nil {
				return nil, err
			}
			if e.Val, err = c.copy(e.Val, depth+1); err != nil {
				return nil, err
			}
			if x.Config { // storing in a ConfigDict rebuilds lists
				if e.Val, err = rebuildLists(c.in, e.Val, depth+1); err != nil {
					return nil, err
				}
			}
			if err := d.Put(e); err != nil {
				return nil, err
			}
		}
		return d, c.in.work(2 * d.Len())
	case *py.Set:
		s := &py.Set{At: x.At, Frozen: x.Frozen}
		c.seen[x] = s
		for _, it := range x.Items() {
			if it, err = c.copy(it, depth+1); err != nil {
				return nil, err
			}
			if err := s.Add(it); err != nil {
				return nil, err
			}
		}
		return s, nil
	case *Lazy:
		l := x.copy()
		c.seen[x] = l
		return l, nil
	case *Module:
		return nil, py.Errorf("TypeError", "cannot pickle 'module' object")
	case *fileObj:
		return nil, py.Errorf("TypeError", "cannot pickle '_io.TextIOWrapper' object")
	case *iterator:
		if x.typ == "generator" {
			return nil, py.Errorf("TypeError", "cannot pickle 'generator' object")
		}
	}
	return v, nil
}

// copyValue is copy.copy.
func copyValue(in *interp, v py.Value) (py.Value, error) {
	switch x := v.(type) {
	case *py.List:
		out, from, to := vacant(x)
		copy(to, from)
		return out, in.work(len(from))
	case *py.Dict:
		if x.Config {
			return configCopy(in, x)
		}
		return x.Copy(), in.work(2 * x.Len())
	case *py.Set:
		return x.Copy(), in.work(2 * x.Len())
	}
	return v, nil
}

// plainConv is what Data makes of the dicts in it: to_dict, as far as somebody
// looks.
var plainConv = &py.Conversion{}

func init() { plainConv.Val = deferPlain }

func deferPlain(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		if src, conv := x.Deferred(); src != nil && conv.Config { // to_dict of an import is to_dict of what was imported
			x = src
		}
		return py.Defer(x, plainConv)
	case *Lazy:
		return x.Path()
	}
	return mapItems(v, deferPlain)
}

// plain is ConfigDict.to_dict: plain dicts, lazy references as text. Unlike
// those of deferPlain its dicts are made now, since v may change afterwards.
func plain(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		c := x.Copy()
		c.Config = false
		es := c.Entries()
		for i := range es {
			es[i].Val = plain(es[i].Val)
		}
		return c
	case *Lazy:
		return x.Path()
	}
	return mapItems(v, plain)
}
