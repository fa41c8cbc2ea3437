package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
)

var readerKeys = []string{"input_columns", "output_column", "train_split", "test_split", "train_range", "test_range", "input_template", "output_template"}

// reader is a decoded reader_cfg, with what Read needs of the dataset's
// config beside it.
type reader struct {
	cfg, rc               *py.Dict
	typ, abbr             string
	input                 []string
	output                string
	trainSplit, testSplit string
	trainRange, testRange selection
	n                     int
	k                     []int
	zeroShot              bool // no retriever looks at train
}

func newReader(cfg *py.Dict) (*reader, error) {
	r := &reader{cfg: cfg, typ: cfg.Str("type"), rc: cfg.Dict("reader_cfg"), n: 1, k: []int{1}}
	var errs source.List
	bad := func(pos source.Pos, format string, args ...any) *source.Diagnostic {
		d := source.Errorf(pos, format, args...)
		errs = append(errs, d)
		return d
	}
	r.abbr = spec.DatasetAbbr(cfg)
	if r.typ == "" {
		bad(cfg.PosOf("type"), "dataset %q has no type", r.abbr).Hint = "name its class, such as type=siqaDataset"
	}
	if r.rc == nil {
		bad(cfg.PosOf("reader_cfg"), "dataset %q has no reader_cfg", r.abbr).Hint = "reader_cfg names the columns: dict(input_columns=[…], output_column=…)"
		return nil, errs
	}
	for _, e := range r.rc.Entries() {
		k, _ := e.Key.(string)
		if !slices.Contains(readerKeys, k) {
			d := bad(r.rc.KeyPosOf(e.Key), "unknown key %v in reader_cfg of %q", py.Repr(e.Key), r.abbr)
			if near := registry.Nearest(k, readerKeys); near != "" {
				d.Hint = fmt.Sprintf("did you mean %q?", near)
			}
		}
	}
	str := func(key, def string) string {
		v, ok := r.rc.Lookup(key)
		if !ok {
			return def
		}
		s, ok := v.(string)
		if !ok {
			bad(r.rc.PosOf(key), "%s must be a string, not %s", key, py.TypeName(v))
		}
		return s
	}
	r.trainSplit, r.testSplit = str("train_split", "train"), str("test_split", "test")
	switch v := r.rc.Get("input_columns").(type) {
	case string:
		r.input = strings.Fields(v)
	case *py.List:
		r.input = stringItems(v.Items, func(i int, it py.Value) {
			bad(v.PosOf(i), "a column name must be a string, not %s", py.TypeName(it))
		})
	case *py.Tuple:
		r.input = stringItems(v.Items, func(i int, it py.Value) {
			bad(v.PosOf(i), "a column name must be a string, not %s", py.TypeName(it))
		})
	default:
		if r.rc.Has("input_columns") {
			bad(r.rc.PosOf("input_columns"), "input_columns must be a list of column names, not %s", py.TypeName(v))
		} else {
			bad(r.rc.At, "reader_cfg of %q has no input_columns", r.abbr)
		}
	}
	switch v := r.rc.Get("output_column").(type) {
	case nil:
		if !r.rc.Has("output_column") {
			bad(r.rc.At, "reader_cfg of %q has no output_column", r.abbr).Hint = "output_column=None says that there is none"
		}
	case string:
		r.output = v
	default:
		if py.Truth(v) {
			bad(r.rc.PosOf("output_column"), "output_column must be the name of a column, not %s", py.TypeName(v))
		}
	}
	rng := func(key string) selection {
		sel, err := parseRange(r.rc.Get(key))
		if e := (*RangeError)(nil); errors.As(err, &e) {
			bad(r.rc.PosOf(key), "%s %s: %s", key, quoteRange(e.Range), e.Reason)
		}
		return sel
	}
	r.trainRange, r.testRange = rng("train_range"), rng("test_range")
	r.replicas(bad)
	r.zeroShot = registry.Base(cfg.Dict("infer_cfg").Dict("retriever").Str("type")) == "ZeroRetriever"
	if len(errs) > 0 {
		return nil, errs
	}
	return r, nil
}

// replicas reads n and k.
func (r *reader) replicas(bad func(source.Pos, string, ...any) *source.Diagnostic) {
	count := func(v py.Value, pos source.Pos, what string) int {
		n, ok := v.(int)
		if !ok || n < 1 {
			bad(pos, "%s must be a whole number of at least 1, not %s", what, py.Repr(v))
			return 1
		}
		return n
	}
	if v, ok := r.cfg.Lookup("n"); ok {
		r.n = count(v, r.cfg.PosOf("n"), "n")
	}
	v, ok := r.cfg.Lookup("k")
	if !ok {
		return
	}
	if l, ok := v.(*py.List); ok && l.Len() > 0 {
		r.k = nil
		for i, it := range l.Items {
			r.k = append(r.k, count(it, l.PosOf(i), "k"))
		}
	} else {
		r.k = []int{count(v, r.cfg.PosOf("k"), "k")}
	}
	if m := slices.Max(r.k); m > r.n {
		bad(r.cfg.PosOf("k"), "k is %d but n is only %d", m, r.n).Hint = "n is how often each question is asked, and k counts the successes among them: n must be at least k"
	}
}

func stringItems(items []py.Value, bad func(int, py.Value)) []string {
	var out []string
	for i, it := range items {
		s, ok := it.(string)
		if !ok {
			bad(i, it)
			continue
		}
		out = append(out, s)
	}
	return out
}
