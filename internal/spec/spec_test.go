package spec

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/source"
)

// undict turns {"$dict": [[k, v], …]} of the goldens into dicts with those keys.
func undict(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.List:
		for i := range x.Items {
			x.Items[i] = undict(x.Items[i])
		}
	case *py.Dict:
		if l := x.List("$dict"); l != nil {
			d := py.NewDict()
			for _, kv := range l.Items {
				p := kv.(*py.List)
				d.Set(p.Items[0], undict(p.Items[1]))
			}
			return d
		}
		for _, e := range x.Entries() {
			x.Set(e.Key, undict(e.Val))
		}
	}
	return v
}

func TestPromptHashConformance(t *testing.T) {
	data, err := os.ReadFile(sharedtest.Path(t, "conformance", "templates", "prompt_hash.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	n := 0
	for sc.Scan() {
		v, err := py.LoadJSON(sc.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		rec := v.(*py.Dict)
		want := rec.Str("result")
		var ds []*py.Dict
		for _, it := range rec.List("datasets").Items {
			if d, ok := undict(it).(*py.Dict); ok {
				ds = append(ds, d)
			}
		}
		if len(ds) == 0 { // described in words: keys 1 and "a" in one template
			ds = []*py.Dict{py.DictOf("infer_cfg", py.DictOf("prompt_template", py.DictOf("type", "P", "template", py.DictOf(1, "x", "a", "y"))))}
		}
		before := py.Repr(ds[0])
		got, err := PromptHash(ds...)
		if want == "" {
			if err == nil {
				t.Errorf("record %d: got %s, want an error (%s)", n, got, rec.Str("error"))
			}
		} else if err != nil || got != want {
			t.Errorf("record %d: got %s, %v; want %s", n, got, err, want)
		}
		if py.Repr(ds[0]) != before {
			t.Errorf("record %d: the dataset was changed", n)
		}
		n++
	}
	if n == 0 {
		t.Fatal("no records")
	}
}

func TestAbbr(t *testing.T) {
	for _, c := range []struct {
		fn   func(*py.Dict) string
		cfg  *py.Dict
		want string
	}{
		{ModelAbbr, py.DictOf("abbr", "m"), "m"},
		{ModelAbbr, py.DictOf("type", "opencompass.models.HuggingFace", "path", "Qwen/Qwen2"), "opencompass.models.HuggingFace_Qwen_Qwen2"},
		{ModelAbbr, py.DictOf("type", "X", "path", "/a/b/c/"), "X_b_c"},
		{DatasetAbbr, py.DictOf("path", "./data/x", "name", "y"), "._data_x_y"},
		{DatasetAbbr, py.DictOf("abbr", "a/b", "path", "q"), "a/b"},
	} {
		if got := c.fn(c.cfg); got != c.want {
			t.Errorf("%s: got %q, want %q", py.Repr(c.cfg), got, c.want)
		}
	}
}

func good() *py.Dict {
	return py.DictOf(
		"models", py.NewList(py.DictOf("type", "M", "abbr", "m", "path", "p")),
		"datasets", py.NewList(py.DictOf("type", "D", "abbr", "d", "path", "p",
			"reader_cfg", py.DictOf("input_columns", py.NewList("q"), "output_column", "a"),
			"infer_cfg", py.DictOf("prompt_template", py.DictOf("type", "PromptTemplate", "template", "{q}"),
				"retriever", py.DictOf("type", "ZeroRetriever"), "inferencer", py.DictOf("type", "GenInferencer")),
			"eval_cfg", py.DictOf("evaluator", py.DictOf("type", "AccEvaluator")))))
}

func TestDecodeDefaults(t *testing.T) {
	e, err := Decode(nil, good(), Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Infer.Partitioner.Str("type"); !strings.HasSuffix(got, "NumWorkerPartitioner") {
		t.Errorf("partitioner %q", got)
	}
	if got := e.Eval.Task.Str("type"); !strings.HasSuffix(got, "OpenICLEvalTask") {
		t.Errorf("task %q", got)
	}
}

// Each mistake is named, and all of a config's mistakes come at once.
func TestDecodeMistakes(t *testing.T) {
	ds := func(c *py.Dict) *py.Dict { return c.List("datasets").Items[0].(*py.Dict) }
	for name, c := range map[string]struct {
		edit func(*py.Dict)
		want []string
	}{
		"no models":    {func(c *py.Dict) { c.Delete("models") }, []string{"the config defines no models / a config names its models in a list, such as models = [*my_models]"}},
		"model typo":   {func(c *py.Dict) { c.Set("modles", c.Get("models")); c.Delete("models") }, []string{`the config defines no models / did you mean "models"?`}},
		"empty":        {func(c *py.Dict) { c.Set("datasets", py.NewList()) }, []string{"datasets is empty: there is nothing to do"}},
		"nested list":  {func(c *py.Dict) { c.Set("datasets", py.NewList(c.Get("datasets"))) }, []string{"dataset 1 of datasets must be a dict, not list / unpack the inner list with a star: [*a, *b]"}},
		"no infer_cfg": {func(c *py.Dict) { ds(c).Delete("infer_cfg") }, []string{`dataset "d" has no infer_cfg / infer_cfg says how the dataset is asked: dict(prompt_template=…, retriever=…, inferencer=…)`}},
		"misspelt key": {func(c *py.Dict) { ds(c).Dict("eval_cfg").Set("pred_postprocesor", py.NewDict()) },
			[]string{`unknown key "pred_postprocesor" in eval_cfg of dataset "d" / did you mean "pred_postprocessor"?`}},
		"two mistakes": {func(c *py.Dict) { ds(c).Delete("type"); c.Set("work_dir", 3) },
			[]string{"work_dir must be a non-empty string, not int", `dataset "d" has no type / name the class that reads its data, such as type=JsonlDataset`}},
		"abbr escapes": {func(c *py.Dict) { ds(c).Set("abbr", "../x") }, []string{`abbr "../x" cannot be the name of a file`}},
		"same abbr": {func(c *py.Dict) {
			o := py.DeepCopy(ds(c)).(*py.Dict)
			o.Set("path", "other")
			c.List("datasets").Append(o, 0)
		}, []string{`two datasets are called "d" / their predictions would go to the same files: give one of them another abbr`}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good()
			c.edit(cfg)
			_, err := Decode(nil, cfg, Defaults{})
			var got []string
			for _, d := range source.Diagnostics(err) {
				s := d.Msg
				if d.Hint != "" {
					s += " / " + d.Hint
				}
				got = append(got, s)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// Equal entries are one entry.
func TestDecodeSameTwice(t *testing.T) {
	cfg := good()
	cfg.List("datasets").Append(py.DeepCopy(cfg.List("datasets").Items[0]), 0)
	e, err := Decode(nil, cfg, Defaults{})
	if err != nil || len(e.Datasets) != 1 {
		t.Errorf("got %v, %v", e, err)
	}
}

// Of many datasets that share names few are named, and the others counted.
func TestDecodeManyNamesTwice(t *testing.T) {
	cfg := good()
	l := cfg.List("datasets")
	for i := range 2000 {
		o := py.DeepCopy(l.Items[0]).(*py.Dict)
		o.Set("path", "other")
		if i%2 == 0 {
			o.Set("abbr", "e")
		}
		l.Append(o, 0)
	}
	_, err := Decode(nil, cfg, Defaults{})
	ds := source.Diagnostics(err)
	if len(ds) != maxSame+1 || ds[0].Msg != `two datasets are called "d"` {
		t.Fatalf("%d mistakes: %v", len(ds), err)
	}
	if got, want := ds[maxSame].Msg, `990 more datasets are called as others are; the first is "d"`; got != want {
		t.Errorf("the last is %q, want %q", got, want)
	}
}
