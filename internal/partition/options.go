package partition

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// options reads a partitioner's dict, collecting mistakes.
type options struct {
	cfg  *py.Dict
	errs source.List
}

// decode checks that cfg has only known keys (and type, out_dir, keep_keys).
func decode(cfg *py.Dict, known ...string) *options {
	o := &options{cfg: cfg}
	all := append([]string{"type", "out_dir", "keep_keys"}, known...)
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		if slices.Contains(all, k) {
			continue
		}
		d := o.bad(cfg.KeyPosOf(e.Key), "unknown option %s of %s", py.Repr(e.Key), registry.Base(cfg.Str("type")))
		if near := registry.Nearest(k, known); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		} else {
			d.Hint = "its options are " + strings.Join(known, ", ")
		}
	}
	return o
}

func (o *options) bad(pos source.Pos, format string, args ...any) *source.Diagnostic {
	d := source.Errorf(pos, format, args...)
	o.errs = append(o.errs, d)
	return d
}

// int is an option that must be a whole number of at least least.
func (o *options) int(key string, def, least int) int {
	v, ok := o.cfg.Lookup(key)
	if !ok {
		return def
	}
	n, ok := v.(int)
	if f, isFloat := v.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<52 { // 1e5
		n, ok = int(f), true
	}
	if !ok {
		o.bad(o.cfg.PosOf(key), "%s must be a whole number, not %s", key, py.TypeName(v))
		return def
	}
	if n < least {
		o.bad(o.cfg.PosOf(key), "%s must be at least %d, not %d", key, least, n)
		return def
	}
	return n
}

// optInt is int, with def for None and 0 as well.
func (o *options) optInt(key string, def int) int {
	switch v := o.cfg.Get(key); v {
	case nil, 0, false:
		return def
	}
	return o.int(key, def, 1)
}

func (o *options) bool(key string) bool {
	v, ok := o.cfg.Lookup(key)
	b, isBool := v.(bool)
	if ok && !isBool {
		o.bad(o.cfg.PosOf(key), "%s must be True or False, not %s", key, py.TypeName(v))
	}
	return b
}

func (o *options) string(key, def string) string {
	v, ok := o.cfg.Lookup(key)
	if !ok || v == nil {
		return def
	}
	s, ok := v.(string)
	if !ok {
		o.bad(o.cfg.PosOf(key), "%s must be a string, not %s", key, py.TypeName(v))
		return def
	}
	return s
}

// strategy reports whether every chunk is a task of its own ("split").
func (o *options) strategy() (split bool) {
	switch s := o.string("strategy", "heuristic"); s {
	case "heuristic":
		return false
	case "split":
		return true
	default:
		d := o.bad(o.cfg.PosOf("strategy"), "unknown strategy %q", s)
		d.Hint = `it is "heuristic" or "split"`
		if near := registry.Nearest(s, []string{"heuristic", "split"}); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		}
		return false
	}
}

func (o *options) base() base {
	v, ok := o.cfg.Lookup("keep_keys")
	if !ok || v == nil {
		return base{defaultKeep}
	}
	var items []py.Value
	switch x := v.(type) {
	case *py.List:
		items = x.Items
	case *py.Tuple:
		items = x.Items
	default:
		o.bad(o.cfg.PosOf("keep_keys"), "keep_keys must be a list of dotted names, not %s", py.TypeName(v))
	}
	b := base{keep: []string{}}
	for _, it := range items {
		s, ok := it.(string)
		if !ok {
			o.bad(o.cfg.PosOf("keep_keys"), "keep_keys must be a list of dotted names, with no %s in it", py.TypeName(it))
			continue
		}
		b.keep = append(b.keep, s)
	}
	return b
}

// dicts is an option that must be a list of dicts.
func (o *options) dicts(key string) []*py.Dict {
	v, ok := o.cfg.Lookup(key)
	if !ok || v == nil {
		return nil
	}
	return dictsOf(v, func(what string) { o.bad(o.cfg.PosOf(key), "%s must be a list of dicts, not %s", key, what) })
}

// dictsOf takes a list or tuple of dicts apart; bad hears of anything else.
func dictsOf(v py.Value, bad func(typeName string)) []*py.Dict {
	var items []py.Value
	switch x := v.(type) {
	case *py.List:
		items = x.Items
	case *py.Tuple:
		items = x.Items
	default:
		bad(py.TypeName(v))
		return nil
	}
	out := make([]*py.Dict, 0, len(items))
	for _, it := range items {
		d, ok := it.(*py.Dict)
		if !ok {
			bad("one with " + py.TypeName(it) + " in it")
			continue
		}
		out = append(out, d)
	}
	return out
}

func (o *options) err() error {
	if len(o.errs) > 0 {
		return o.errs
	}
	return nil
}
