// Package custom makes dataset configs of short descriptions: a dict that only
// names a .jsonl or .csv file, and the entries of chatml_datasets.
//
// A dict in `datasets` without a type is such a description. What it leaves
// out comes from a file beside the data (PATH.meta.json) and, below that, from
// the first record of the data. The result is the config that OpenCompass 0.5.4
// makes of it (opencompass/datasets/custom.py), to the prompt hash.
//
// Non-goals: reading whole datasets (package dataset does), and knowing which
// classes exist (package task checks that).
package custom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Expand replaces every description in cfg by what it means: dicts without a
// type in datasets and in the datasets of model_dataset_combinations, and
// chatml_datasets, whose expansion is appended to datasets. cfg is changed in
// place. Mistakes are a source.List.
func Expand(ctx context.Context, cfg *py.Dict, src dataset.Source) error {
	x := &expander{ctx: ctx, src: src}
	x.list(cfg.Get("datasets"))
	if l := cfg.List("model_dataset_combinations"); l != nil {
		for _, it := range l.Items {
			if c, ok := it.(*py.Dict); ok {
				x.list(c.Get("datasets"))
			}
		}
	}
	if v, ok := cfg.Lookup("chatml_datasets"); ok && v != nil {
		x.chatml(cfg, v)
	}
	if len(x.errs) > 0 {
		return x.errs
	}
	return nil
}

type expander struct {
	ctx  context.Context
	src  dataset.Source
	errs source.List
}

func (x *expander) list(v py.Value) {
	l, ok := v.(*py.List)
	if !ok {
		return // package spec says what is wrong
	}
	for i, it := range l.Items {
		d, ok := it.(*py.Dict)
		if !ok || !Is(d) {
			continue
		}
		m, err := Make(x.ctx, d, x.src)
		if err != nil {
			x.add(d, err)
			continue
		}
		l.Items[i] = m
	}
}

func (x *expander) add(d *py.Dict, err error) {
	ds := source.Diagnostics(err)
	if len(ds) == 0 {
		e := &source.Diagnostic{Pos: d.PosOf("path"), Msg: err.Error(), Err: err}
		var miss *dataset.MissingError
		if errors.As(err, &miss) {
			e.Hint = miss.Hint
		}
		ds = []*source.Diagnostic{e}
	}
	x.errs = append(x.errs, ds...)
}

// Is reports whether an entry of `datasets` is a description: it has no type,
// and no key that looks like a misspelt one.
func Is(d *py.Dict) bool {
	if d.Has("type") {
		return false
	}
	for _, e := range d.Entries() {
		if k, ok := e.Key.(string); ok && registry.Nearest(k, []string{"type"}) != "" {
			return false
		}
	}
	return !d.Has("infer_cfg") && !d.Has("reader_cfg")
}

// keys of a description.
var keys = []string{"path", "meta_path", "abbr", "data_type", "infer_method", "input_columns", "output_column", "options", "template",
	"human_prompt", "bot_prompt", "evaluator", "evaluator_kwargs", "test_range", "n", "k"}

// Make makes the dataset config of one description. Errors are diagnostics, or
// those of reading the data.
func Make(ctx context.Context, d *py.Dict, src dataset.Source) (*py.Dict, error) {
	for _, e := range d.Entries() {
		k, _ := e.Key.(string)
		if n := registry.Nearest(k, keys); n != "" && n != k && !d.Has(n) {
			return nil, source.Errorf(d.KeyPosOf(k), "unknown key %q of a custom dataset", k).WithHint("did you mean %q?", n)
		}
	}
	m, err := readMeta(ctx, d, src)
	if err != nil {
		return nil, err
	}
	return m.config()
}

// meta is what is known of a custom dataset: entries with their positions.
type meta struct {
	*py.Dict
	desc *py.Dict // the user's dict
}

// readMeta lays the three layers over each other: the first record, the meta
// file, the description.
func readMeta(ctx context.Context, d *py.Dict, src dataset.Source) (*meta, error) {
	p, ok := d.Get("path").(string)
	if !ok || p == "" {
		if !d.Has("path") {
			return nil, source.Errorf(d.At, "dataset has neither a type nor a path").
				WithHint("give it a type, or name a .jsonl or .csv file with path='…' to make a custom dataset of it")
		}
		return nil, source.Errorf(d.PosOf("path"), "path must be a non-empty string, not %s", py.TypeName(d.Get("path")))
	}
	ext := path.Ext(p)
	if ext != ".jsonl" && ext != ".csv" {
		return nil, source.Errorf(d.PosOf("path"), "dataset has no type, and its path %q is not a .jsonl or .csv file", p).
			WithHint("give it a type; without one, a dataset is made of the columns of a .jsonl or .csv file")
	}
	m := &meta{Dict: &py.Dict{At: d.At}, desc: d}
	b, err := src.ReadFile(ctx, p, "")
	if err != nil {
		return nil, fmt.Errorf("read custom dataset: %w", err)
	}
	cols, err := columns(ext, p, b)
	if err != nil {
		return nil, err
	}
	m.sniff(p, cols)
	if err := m.readFile(ctx, src, p); err != nil {
		return nil, err
	}
	for _, e := range d.Entries() {
		if err := m.Put(e); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// columns are the names of the columns in the first record.
func columns(ext, name string, b []byte) ([]string, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if ext == ".csv" {
		t := dataset.CSVTable(b)
		if len(t) == 0 {
			return nil, fmt.Errorf("%s: a custom dataset needs a line of column names and at least one row", name)
		}
		return texts(t[0].Keys()), nil
	}
	if len(bytes.TrimSpace(line)) == 0 && len(bytes.TrimSpace(rest)) == 0 {
		return nil, fmt.Errorf("%s is empty: a custom dataset needs at least one row", name)
	}
	v, err := py.LoadJSON(bytes.TrimSpace(line))
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	row, ok := v.(*py.Dict)
	if !ok {
		return nil, fmt.Errorf("%s:1: a JSON object is expected, not %s", name, py.TypeName(v))
	}
	return texts(row.Keys()), nil
}

func texts(vs []py.Value) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = py.Str(v)
	}
	return out
}

// sniff fills m with what the columns say.
func (m *meta) sniff(p string, cols []string) {
	in, options := py.NewList(), py.NewList()
	var out py.Value
	for _, c := range cols {
		if c == "answer" {
			out = c
			continue
		}
		in.Append(c, 0)
	}
	for c := 'A'; c <= 'Z' && slices.Contains(cols, string(c)); c++ {
		options.Append(string(c), 0)
	}
	kind := "qa"
	if options.Len() > 1 {
		kind = "mcq"
	}
	abbr, _, _ := strings.Cut(path.Base(p), ".")
	for _, kv := range []struct {
		key string
		val py.Value
	}{{"path", p}, {"input_columns", in}, {"output_column", out}, {"options", options}, {"abbr", abbr}, {"data_type", kind}, {"infer_method", "gen"}} {
		m.Set(kv.key, kv.val)
	}
}

// readFile adds what the meta file says. A meta_path that the user gave must
// exist; the file beside the data need not.
func (m *meta) readFile(ctx context.Context, src dataset.Source, data string) error {
	file, given := m.desc.Get("meta_path").(string)
	if !given {
		file = data + ".meta.json"
		if !src.Exists(ctx, file, "") {
			return nil
		}
	}
	b, err := src.ReadFile(ctx, file, "")
	if err != nil {
		if given {
			e := &source.Diagnostic{Pos: m.desc.PosOf("meta_path"), Msg: err.Error(), Err: err}
			var miss *dataset.MissingError
			if errors.As(err, &miss) {
				e.Hint = miss.Hint
			}
			return e
		}
		return fmt.Errorf("read description of a custom dataset: %w", err)
	}
	v, err := py.LoadJSON(bytes.TrimPrefix(b, []byte("\ufeff")))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return fmt.Errorf("%s: a JSON object is expected, not %s", file, py.TypeName(v))
	}
	for _, e := range d.Entries() {
		k, _ := e.Key.(string)
		if n := registry.Nearest(k, keys); n != "" && n != k && !d.Has(n) {
			return fmt.Errorf("%s: unknown key %q, perhaps %q is meant", file, k, n)
		}
		m.Set(e.Key, e.Val)
	}
	return nil
}
