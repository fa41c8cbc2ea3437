package prompt

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/sharedtest/refjson"
	"sextant/internal/source"
)

func lines(t testing.TB, name string) []*py.Dict {
	t.Helper()
	return refjson.Lines(t, "conformance", "templates", name)
}

// asList makes a JSON list the dialogue that it stands for.
func asList(v py.Value) Prompt {
	if l, ok := v.(*py.List); ok {
		return List(append([]py.Value{}, l.Items...))
	}
	return v
}

// plainValue makes dialogues lists again, to compare with JSON.
func plainValue(v py.Value) py.Value {
	switch x := v.(type) {
	case List:
		out := py.NewList()
		for _, it := range x {
			out.Items = append(out.Items, plainValue(it))
		}
		return out
	case *py.List:
		out := py.NewList()
		for _, it := range x.Items {
			out.Items = append(out.Items, plainValue(it))
		}
		return out
	case Kind:
		return string(x)
	}
	return v
}

func show(v py.Value) string {
	if l, ok := v.(List); ok {
		return l.PyRepr()
	}
	return py.Repr(v)
}

// accepted reads the differences that we accept: file, line number (1-based), reason.
func accepted(t testing.TB) map[string]string {
	data, err := os.ReadFile("testdata/accepted.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		if f := strings.SplitN(sc.Text(), "\t", 3); len(f) == 3 {
			out[f[0]+":"+f[1]] = f[2]
		}
	}
	return out
}

type tally struct {
	t         *testing.T
	file      string
	accepted  map[string]string
	ok, total int
}

func newTally(t *testing.T, file string) *tally {
	return &tally{t: t, file: file, accepted: accepted(t)}
}

// check compares one answer with the record's result or error.
func (c *tally) check(line int, rec *py.Dict, got py.Value, err error) {
	c.t.Helper()
	c.total++
	good := false
	var what string
	if rec.Has("error") {
		var pe *Error
		if errors.As(err, &pe) {
			good = pe.Class == rec.Str("error")
		}
		what = "error " + rec.Str("error")
	} else {
		good = err == nil && py.Equal(plainValue(got), rec.Get("result"))
		what = py.Repr(rec.Get("result"))
	}
	key := c.file + ":" + py.Str(line)
	if reason, ok := c.accepted[key]; ok {
		if good {
			c.t.Errorf("%s is listed as different (%s) but agrees", key, reason)
		}
		c.ok++
		return
	}
	if good {
		c.ok++
		return
	}
	if c.total-c.ok < 12 {
		gotS := show(got)
		if err != nil {
			var pe *Error
			class := ""
			if errors.As(err, &pe) {
				class = pe.Class
			}
			gotS = "error " + class + ": " + err.Error()
		}
		in := rec.Copy()
		in.Delete("result")
		c.t.Errorf("%s:%d %s\n got %s\nwant %s", c.file, line, py.Repr(in), gotS, what)
	}
}

func (c *tally) done(min int) {
	c.t.Logf("%s: %d of %d agree", c.file, c.ok, c.total)
	if c.total < min {
		c.t.Errorf("%s: only %d records checked, want at least %d", c.file, c.total, min)
	}
	if c.ok != c.total {
		c.t.Errorf("%s: %d of %d differ", c.file, c.total-c.ok, c.total)
	}
}

func TestConformanceTemplate(t *testing.T) {
	inputs := map[string]py.Value{}
	for _, r := range lines(t, "prompt_template_inputs.jsonl") {
		inputs[r.Str("name")] = r.Get("template")
	}
	c := newTally(t, "prompt_template.jsonl")
	for i, r := range lines(t, c.file) {
		tp, err := NewTemplate(inputs[r.Str("template")], r.Get("ice_token"), r.Get("sep_token"))
		var got py.Value
		if err == nil {
			entry := r.Dict("entry")
			switch op := r.Str("op"); op {
			case "new":
				got = tp.Kind
			case "generate_ice_item":
				got, err = tp.Example(entry, r.Get("label"))
			case "generate_label_prompt_item":
				got, err = tp.Label(entry, asList(r.Get("ice")), r.Get("label"), r.Bool("remain_sep"))
			case "generate_item":
				got, err = tp.Generate(entry, asList(r.Get("ice")), r.Str("output_field"), r.Str("output_field_replace_token"))
			default:
				t.Fatalf("unknown op %s", op)
			}
		}
		c.check(i+1, r, got, err)
	}
	c.done(1251)
}

func TestConformanceRawTemplate(t *testing.T) {
	c := newTally(t, "raw_prompt_template.jsonl")
	for i, r := range lines(t, c.file) {
		tp, err := NewRawTemplate(r.Get("messages"), r.Bool("format_variables"), "</E>")
		var got py.Value
		if err == nil {
			switch op := r.Str("op"); op {
			case "new":
			case "generate_item":
				got, err = tp.Generate(r.Dict("entry"), r.Get("ice"), "a", "")
			case "generate_ice_item":
				got, err = tp.Example(r.Dict("entry"), "l")
			case "generate_label_prompt_item":
				got, err = tp.Label(r.Dict("entry"), "x", "l", false)
			default:
				t.Fatalf("unknown op %s", op)
			}
		}
		c.check(i+1, r, got, err)
	}
	c.done(245)
}

func TestConformancePromptList(t *testing.T) {
	c := newTally(t, "prompt_list.jsonl")
	for i, r := range lines(t, c.file) {
		l, _ := asList(r.Get("list")).(List)
		var got py.Value
		var err error
		switch op := r.Str("op"); op {
		case "str":
			got, err = Text(l)
		case "format":
			got, err = l.Format(r.Dict("entry"))
		case "replace":
			got, err = l.Replace(r.Str("src"), asList(r.Get("dst")))
		case "add", "iadd":
			got = l.Add(asList(r.Get("other")))
		case "radd":
			got = l.RAdd(asList(r.Get("other")))
		case "safe_format":
			got = SafeFormat(r.Str("text"), r.Dict("entry"))
		case "plain_list_add":
			got = l.RAdd(r.Get("other"))
		default:
			t.Fatalf("unknown op %s", op)
		}
		c.check(i+1, r, got, err)
	}
	c.done(155)
}

func TestConformanceParsers(t *testing.T) {
	metas, prompts := map[string]py.Value{}, map[string]py.Value{}
	for _, r := range lines(t, "parser_inputs.jsonl") {
		if r.Str("kind") == "meta" {
			metas[r.Str("parser")+" "+r.Str("name")] = r.Get("value")
		} else {
			prompts[r.Str("name")] = r.Get("value")
		}
	}
	batches := map[string]bool{"two texts": true, "batch of lists": true, "raw messages": true, "raw messages with system": true,
		"raw user user": true, "raw batch": true, "words role and content": true, "raw assistant first": true}
	c := newTally(t, "parsers.jsonl")
	for i, r := range lines(t, c.file) {
		name := r.Str("prompt")
		var p Prompt = asList(prompts[name])
		if batches[name] {
			p = prompts[name]
			if !strings.HasPrefix(name, "raw") {
				l := py.NewList()
				for _, it := range p.(*py.List).Items {
					l.Items = append(l.Items, asList(it))
				}
				p = l
			}
		}
		var parser Parser
		var got py.Value
		var err error
		lmMeta, _ := metas["LM "+r.Str("meta")].(*py.Dict)
		switch k := r.Str("parser"); k {
		case "LM":
			parser, err = NewLM(lmMeta)
		case "API":
			parser, err = NewAPI(metas["API "+r.Str("meta")])
		case "HF":
			parser, err = NewAPI(LocalChatMeta())
		case "ChatLM", "ChatAPI", "promptlist_to_openai":
			continue // of inferencers and model classes that are not there
		default:
			t.Fatalf("unknown parser %s", k)
		}
		if err == nil && r.Str("op") != "new" {
			got, err = parser.Parse(p, Mode(r.Str("mode")))
		}
		c.check(i+1, r, got, err)
	}
	c.done(2145) // of 2315, 170 of which are of ChatInferencer and of model classes
}

// TestConformancePipeline goes the whole way: rows, retriever, examples,
// prompts, parsers.
func TestConformancePipeline(t *testing.T) {
	in := lines(t, "pipeline_inputs.jsonl")
	set := &dataset.Set{Abbr: "tiny", Output: "a", Input: []string{"q", "o"}, N: 1}
	for _, v := range in[0].List("rows").Items {
		set.Train = append(set.Train, v.(*py.Dict))
	}
	for i, row := range set.Train {
		row = row.Copy()
		row.Set("subdivision", "tiny")
		row.Set("idx", i)
		set.Train[i] = row
	}
	set.Test = set.Train
	metas := map[string]py.Value{}
	for _, r := range lines(t, "parser_inputs.jsonl") {
		if r.Str("kind") == "meta" {
			metas[r.Str("parser")+" "+r.Str("name")] = r.Get("value")
		}
	}
	retrievers := map[string]*py.Dict{
		"ZeroRetriever":                py.DictOf("type", "ZeroRetriever"),
		"FixKRetriever [0,2]":          py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(0, 2)),
		"FixKRetriever [1] separators": py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(1), "ice_separator", " || ", "ice_eos_token", " ## "),
	}
	builders := map[string]*Builder{}
	for _, r := range in[1:] {
		for name, ret := range retrievers {
			cfg := py.DictOf("retriever", ret)
			for _, k := range []string{"ice", "prompt"} {
				if d := r.Dict(k); d != nil {
					d = d.Copy()
					d.Set("type", "PromptTemplate")
					cfg.Set(k+"_template", d)
				}
			}
			b, err := New(cfg, set)
			if err != nil {
				// refused when it is made, where the original waits for the first row
				if ds := source.Diagnostics(err); len(ds) != 1 || !strings.Contains(ds[0].Msg, "ice_token") {
					t.Errorf("%s: error %v, want one about ice_token", r.Str("templates"), err)
				}
				continue
			}
			builders[r.Str("templates")+"/"+name] = b
		}
	}
	labels := map[string]py.Value{} // as the records write them: "label 0" may be an int
	c := newTally(t, "pipeline.jsonl")
	for i, r := range lines(t, c.file) {
		b := builders[r.Str("templates")+"/"+r.Str("retriever")]
		if b == nil {
			if !r.Has("error") && r.Str("op") != "ice" {
				t.Errorf("line %d: the original rendered what we refuse", i+1)
			}
			continue
		}
		row := r.Int("row", -1)
		var got py.Value
		ids := b.ExampleIDs(row)
		want := r.List("ids").Items
		if len(ids) != len(want) {
			t.Fatalf("line %d: ids %v, want %v", i+1, ids, want)
		}
		ice, err := b.Examples(ids)
		render := func(of string) (Prompt, error) {
			if of == "gen" {
				return b.Generate(row, ice, "")
			}
			return b.Label(row, ice, labels[r.Str("templates")+"/"+of], false)
		}
		switch op := r.Str("op"); {
		case op == "ice":
			got = ice
		case err != nil:
		case op == "gen":
			got, err = render("gen")
		case op == "label":
			labels[r.Str("templates")+"/label "+py.Str(r.Get("label"))] = r.Get("label")
			got, err = b.Label(row, ice, r.Get("label"), false)
		default:
			var p Parser
			if op == "LM" {
				m, _ := metas["LM "+r.Str("meta")].(*py.Dict)
				p, err = NewLM(m)
			} else {
				p, err = NewAPI(metas["API "+r.Str("meta")])
			}
			if err == nil {
				if got, err = render(r.Str("of")); err == nil {
					got, err = p.Parse(got, Mode(r.Str("mode")))
				}
			}
		}
		c.check(i+1, r, got, err)
	}
	c.done(1000)
}
