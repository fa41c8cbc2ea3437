package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Keys of a dataset's config that its loader does not see. mode, infer_order
// and the like are read by partitioners and judges; OpenCompass's loaders
// swallow them.
var notForLoaders = []string{"abbr", "type", "reader_cfg", "infer_cfg", "eval_cfg", "n", "k",
	"mode", "infer_order", "base_models", "summarizer", "is_judge_dataset"}

// Read loads the dataset that cfg describes and applies its reader_cfg
// (OpenCompass's BaseDataset and DatasetReader):
//
//  1. every row gets the columns subdivision (the abbr, with _<split> when the
//     loader names splits) and idx (row number), in place of columns so called;
//  2. one table serves as both train and test;
//  3. train := train_range of train_split, and only then test := test_range
//     of test_split: with test_split='train' the rows asked are those that
//     train_split and train_range left;
//  4. n copies follow one another; test_range is applied to each copy (the
//     original applies it to the copies together, which breaks their grouping).
//
// Mistakes in the config are *source.Diagnostic or source.List.
func Read(ctx context.Context, cfg *py.Dict, src Source) (*Set, error) {
	r, err := newReader(cfg)
	if err != nil {
		return nil, err
	}
	class, err := Classes.Lookup(r.typ)
	if err != nil {
		return nil, source.At(cfg.PosOf("type"), err)
	}
	rec := &recorder{Source: src, seen: map[[2]string]bool{}}
	args := cfg.Copy()
	for _, k := range notForLoaders {
		args.Delete(k)
	}
	data, err := class.Load(ctx, args, rec)
	if err != nil {
		return nil, r.loadError(err)
	}
	set, err := r.apply(data)
	if err != nil {
		return nil, r.loadError(err)
	}
	set.Origin = rec.origins
	set.Content = r.content(args, rec.origins)
	return set, nil
}

// apply makes a Set of what the loader returned.
func (r *reader) apply(data Data) (*Set, error) {
	splits := map[string]Table{}
	names := data.Order
	if data.Splits == nil && data.Lazy == nil {
		data.Table = r.tag(data.Table, r.abbr)
		splits["train"], splits["test"] = data.Table, data.Table
		names = []string{"train", "test"}
	}
	get := func(name, key string) (Table, error) {
		if t, ok := splits[name]; ok {
			return t, nil
		}
		t, ok := data.Splits[name]
		if load := data.Lazy[name]; !ok && load != nil {
			var err error
			if t, err = load(); err != nil {
				return nil, err
			}
			ok = true
		}
		if !ok {
			d := source.Errorf(r.rc.PosOf(key), "dataset %q has no split %q", r.abbr, name)
			d.Hint = "it has " + strings.Join(quoted(names), ", ")
			if !r.rc.Has(key) {
				d.Hint += fmt.Sprintf("; name one with %s in reader_cfg", key)
			}
			return nil, d
		}
		t = r.tag(t, r.abbr+"_"+name)
		splits[name] = t
		return t, nil
	}
	// A training split that nobody asks for and that would have to be read is
	// left alone, unless test comes out of it. One that does not exist is a
	// mistake all the same.
	var train Table
	_, lazy := data.Lazy[r.trainSplit]
	if !(r.zeroShot && lazy && r.testSplit != "train") {
		t, err := get(r.trainSplit, "train_split")
		if err != nil {
			return nil, err
		}
		rows, err := r.trainRange.indexes(len(t))
		if err != nil {
			return nil, r.rangeError("train_range", err)
		}
		splits["train"] = pick(t, rows)
		train = splits["train"]
		if r.n > 1 { // few-shot examples come out of all copies together
			if rows, err = r.trainRange.indexes(r.n * len(t)); err != nil {
				return nil, r.rangeError("train_range", err)
			}
			train = pick(t, rows)
		}
	}
	whole, err := get(r.testSplit, "test_split")
	if err != nil {
		return nil, err
	}
	one, err := r.testRange.indexes(len(whole))
	if err != nil {
		return nil, r.rangeError("test_range", err)
	}
	set := &Set{Abbr: r.abbr, Train: train, Input: r.input, Output: r.output, N: r.n, K: r.k, base: max(len(whole), 1)}
	set.rows = make([]int, 0, r.n*len(one))
	set.Test = make(Table, 0, r.n*len(one))
	for c := range r.n {
		for _, i := range one {
			set.rows = append(set.rows, c*len(whole)+i)
			set.Test = append(set.Test, whole[i])
		}
	}
	if err := r.columns(set, whole); err != nil {
		return nil, err
	}
	return set, nil
}

// tag gives each row the columns subdivision and idx, and all rows the same
// columns.
func (r *reader) tag(t Table, subdivision string) Table {
	t = sameColumns(t)
	var sub py.Value = subdivision // one for all rows
	for i, row := range t {
		row.Set("subdivision", sub)
		row.Set("idx", i)
	}
	return t
}

// sameColumns gives every row the union of all rows' columns; what a row lacks
// is None. Rows that have all of them are left as they are.
func sameColumns(t Table) Table {
	if len(t) == 0 {
		return t
	}
	var union []string
	has := map[string]bool{}
	uneven := false
	for i, row := range t {
		before := len(union)
		for _, e := range row.Entries() {
			if k, ok := e.Key.(string); ok && !has[k] {
				has[k] = true
				union = append(union, k)
			}
		}
		uneven = uneven || i > 0 && len(union) > before || row.Len() < len(union)
	}
	if !uneven {
		return t
	}
	for i, row := range t {
		if row.Len() == len(union) {
			continue
		}
		full := py.NewDict()
		for _, k := range union {
			full.Set(k, row.Get(k))
		}
		t[i] = full
	}
	return t
}

// pick is the rows of t, or of copies of t one after another.
func pick(t Table, rows []int) Table {
	out := make(Table, len(rows))
	for i, r := range rows {
		out[i] = t[r%len(t)]
	}
	return out
}

// columns checks that the data has the columns that reader_cfg names. A
// missing output column, or a missing input column that a template uses, is
// an error: it would show up as nonsense in the prompts.
func (r *reader) columns(set *Set, whole Table) error {
	if len(whole) == 0 {
		return nil
	}
	row := whole[0]
	var have []string
	for _, e := range row.Entries() {
		if k, ok := e.Key.(string); ok && k != "subdivision" && k != "idx" {
			have = append(have, k)
		}
	}
	missing := func(key string, i int, name string) *source.Diagnostic {
		pos := r.rc.PosOf(key)
		if l, ok := r.rc.Get(key).(*py.List); ok && i >= 0 && l.PosOf(i) != 0 {
			pos = l.PosOf(i)
		}
		d := source.Errorf(pos, "dataset %q has no column %q", r.abbr, name)
		if near := registry.Nearest(name, have); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		} else {
			d.Hint = "its columns are " + strings.Join(quoted(have), ", ")
		}
		return d
	}
	var errs source.List
	for i, name := range r.input {
		if row.Has(name) {
			continue
		}
		d := missing("input_columns", i, name)
		if mentions(r.cfg.Get("infer_cfg"), "{"+name+"}") {
			errs = append(errs, d)
		} else {
			set.Warnings = append(set.Warnings, d)
		}
	}
	if r.output != "" && !row.Has(r.output) {
		errs = append(errs, missing("output_column", -1, r.output))
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// mentions reports whether text occurs in a string of v.
func mentions(v py.Value, text string) bool {
	switch x := v.(type) {
	case string:
		return strings.Contains(x, text)
	case *py.List:
		return slices.ContainsFunc(x.Items, func(it py.Value) bool { return mentions(it, text) })
	case *py.Tuple:
		return slices.ContainsFunc(x.Items, func(it py.Value) bool { return mentions(it, text) })
	case *py.Dict:
		return slices.ContainsFunc(x.Entries(), func(e py.Entry) bool { return mentions(e.Val, text) })
	}
	return false
}

func (r *reader) rangeError(key string, err error) error {
	if e := (*RangeError)(nil); errors.As(err, &e) {
		return source.Errorf(r.rc.PosOf(key), "%s %s: %s", key, quoteRange(e.Range), e.Reason)
	}
	return err
}

// loadError says at which dataset a loader failed; missing files become a
// diagnostic at the config's path.
func (r *reader) loadError(err error) error {
	if len(source.Diagnostics(err)) > 0 || errors.Is(err, context.Canceled) {
		return err
	}
	if m := (*MissingError)(nil); errors.As(err, &m) {
		return &source.Diagnostic{Pos: r.cfg.PosOf("path"), Msg: fmt.Sprintf("dataset %q: %s", r.abbr, err), Hint: m.Hint, Err: err}
	}
	return fmt.Errorf("read dataset %s: %w", r.abbr, err)
}

// content is Set.Content.
func (r *reader) content(args *py.Dict, origins []Origin) string {
	what := py.NewDict()
	what.Set("format", 1)
	what.Set("class", registry.Base(r.typ))
	// Where the bytes were found changes nothing, nor does the order in which
	// arguments were written.
	var named []string
	for _, e := range args.Entries() {
		if e.Key != "path" {
			named = append(named, py.Repr(e.Key)+": "+py.Repr(e.Val))
		}
	}
	slices.Sort(named)
	what.Set("args", strings.Join(named, ", "))
	files := py.NewList()
	for _, o := range origins {
		files.Append(py.NewList(o.Name, o.SHA256), 0)
	}
	what.Set("files", files)
	what.Set("input_columns", py.Repr(r.rc.Get("input_columns")))
	what.Set("output_column", py.Repr(r.rc.Get("output_column")))
	what.Set("test_split", r.testSplit)
	if !r.zeroShot || r.testSplit == "train" {
		what.Set("train_split", r.trainSplit)
		what.Set("train_range", py.Repr(r.rc.Get("train_range")))
	}
	h := sha256.Sum256([]byte(py.Repr(what)))
	return hex.EncodeToString(h[:])
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return out
}
