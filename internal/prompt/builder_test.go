package prompt

import (
	"slices"
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/py/pyrand"
	"sextant/internal/source"
)

func toySet() *dataset.Set {
	t := dataset.Table{py.DictOf("context", "c", "question", "q", "label", 2), py.DictOf("context", "d", "question", "r", "label", 1)}
	return &dataset.Set{Abbr: "toy", Train: t, Test: t, Output: "label", Input: []string{"context", "question"}, N: 1}
}

// cfgAt is an infer_cfg whose parts stand at known positions.
func cfgAt(prompt, ice, retriever *py.Dict) *py.Dict {
	cfg := py.NewDict()
	cfg.At = 1
	for i, kv := range []struct {
		k string
		d *py.Dict
	}{{"prompt_template", prompt}, {"ice_template", ice}, {"retriever", retriever}} {
		if kv.d != nil {
			kv.d.At = source.Pos(100 * (i + 1))
			if err := cfg.Put(py.Entry{Key: kv.k, Val: kv.d, Pos: kv.d.At}); err != nil {
				panic(err)
			}
		}
	}
	return cfg
}

func TestMistakesPointAtTheConfig(t *testing.T) {
	t.Parallel()
	zero := func() *py.Dict { return py.DictOf("type", "ZeroRetriever") }
	tp := func(kv ...py.Value) *py.Dict {
		return py.DictOf(append([]py.Value{"type", "PromptTemplate"}, kv...)...)
	}
	for _, c := range []struct {
		name string
		cfg  *py.Dict
		msg  string
		hint string
		pos  source.Pos
	}{
		{"nothing", cfgAt(nil, nil, zero()), "neither prompt_template nor ice_template", "prompt_template=", 1},
		{"no place for examples", cfgAt(tp("template", "{q}"), tp("template", "{q}"), zero()), "prompt_template has no ice_token", "</E>", 100},
		{"ice alone without token", cfgAt(nil, tp("template", "{q}"), zero()), "has no ice_token", "prompt_template", 200},
		{"token not in template", cfgAt(tp("template", "{q}", "ice_token", "</E>"), nil, zero()), `ice_token "</E>" does not occur`, "", 100},
		{"misspelt key", cfgAt(tp("templat", "{q}"), nil, zero()), "no option templat", "template", 100},
		{"no retriever", cfgAt(tp("template", "{q}"), nil, nil), "no retriever", "ZeroRetriever", 1},
		{"unknown retriever", cfgAt(tp("template", "{q}"), nil, py.DictOf("type", "ZeroRetreiver")), `unknown retriever "ZeroRetreiver"`, "ZeroRetriever", 300},
		{"row beyond the end", cfgAt(tp("template", "</E>{q}", "ice_token", "</E>"), tp("template", "{q}"), py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(0, 7))), "names row 7", "", 300},
		{"no list", cfgAt(tp("template", "</E>{q}", "ice_token", "</E>"), tp("template", "{q}"), py.DictOf("type", "FixKRetriever")), "needs fix_id_list", "", 300},
		{"not a template", cfgAt(tp("template", 5), nil, zero()), "must be text or a dict", "", 100},
		{"unknown template class", cfgAt(py.DictOf("type", "PromptTemplat", "template", "x"), nil, zero()), "unknown prompt template", "PromptTemplate", 100},
		{"raw role", cfgAt(py.DictOf("type", "RawPromptTemplate", "messages", py.NewList(py.DictOf("role", "HUMAN", "content", "x"))), nil, zero()), "'HUMAN'", "", 100},
	} {
		_, err := New(c.cfg, toySet())
		ds := source.Diagnostics(err)
		if len(ds) == 0 {
			t.Errorf("%s: no error (%v)", c.name, err)
			continue
		}
		if d := ds[0]; !strings.Contains(d.Msg, c.msg) || !strings.Contains(d.Hint, c.hint) || d.Pos != c.pos {
			t.Errorf("%s: %q, hint %q, at %d; want %q, %q, at %d", c.name, d.Msg, d.Hint, d.Pos, c.msg, c.hint, c.pos)
		}
	}
	_, err := New(cfgAt(py.DictOf("type", "PromptTemplate"), nil, py.DictOf("type", "Nowhere")), toySet())
	if n := len(source.Diagnostics(err)); n != 2 {
		t.Errorf("%d diagnostics for two mistakes: %v", n, err)
	}
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	cfg := cfgAt(py.DictOf("template", py.DictOf("round", py.NewList(py.DictOf("role", "HUMAN", "prompt", `{contxt} {question} \frac{a}{b} {unrelated} {label}`)))), nil, py.DictOf("type", "ZeroRetriever"))
	b, err := New(cfg, toySet())
	if err != nil {
		t.Fatal(err)
	}
	u := b.UnknownFields()
	if len(u) != 1 || u[0].Name != "contxt" || u[0].Nearest != "context" {
		t.Fatalf("got %+v, want contxt near context alone", u)
	}
	if w := u[0].Warning(); !strings.Contains(w.Hint, "{context}") {
		t.Errorf("hint %q", w.Hint)
	}
	p, err := b.Generate(0, "", "")
	if err != nil || p.(List)[1].(*py.Dict).Str("prompt") != `{contxt} q \frac{a}{b} {unrelated} ` {
		t.Errorf("the unknown field must stay as it is: %s, %v", show(p), err)
	}
}

func TestRetrievers(t *testing.T) {
	t.Parallel()
	tenRows := func() *dataset.Set {
		s := &dataset.Set{Output: "a", N: 1}
		for i := range 10 {
			s.Train = append(s.Train, py.DictOf("q", i, "a", i%2))
		}
		s.Test = s.Train
		return s
	}
	for _, c := range []struct {
		cfg  *py.Dict
		row  int
		want []int
	}{
		{py.DictOf("type", "ZeroRetriever"), 3, nil},
		{py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(4, 0, 4)), 7, []int{4, 0, 4}},
		{py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewTuple(1)), 7, []int{1}},
		{py.DictOf("type", "SlidingWindowRetriever", "k", 3), 5, []int{2, 3, 4}},
		{py.DictOf("type", "opencompass.openicl.icl_retriever.SlidingWindowRetriever", "k", 3), 1, []int{8, 9, 0}},
		{py.DictOf("type", "SlidingWindowRetriever", "k", 3), 0, []int{7, 8, 9}},
	} {
		b, err := New(py.DictOf("prompt_template", py.DictOf("template", "{q}"), "retriever", c.cfg), tenRows())
		if err != nil {
			t.Fatal(err)
		}
		got := b.ExampleIDs(c.row)
		if len(got) != len(c.want) {
			t.Errorf("%s row %d: %v, want %v", py.Repr(c.cfg), c.row, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s row %d: %v, want %v", py.Repr(c.cfg), c.row, got, c.want)
				break
			}
		}
	}
}

func TestRandomRetriever(t *testing.T) {
	t.Parallel()
	s := &dataset.Set{Output: "a", N: 1}
	for i := range 10 {
		s.Train = append(s.Train, py.DictOf("q", i, "a", i%2))
	}
	s.Test = s.Train
	cfg := py.DictOf("prompt_template", py.DictOf("template", "{q}"), "retriever", py.DictOf("type", "opencompass.openicl.icl_retriever.icl_random_retriever.RandomRetriever", "ice_num", 4))
	b, err := New(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	// numpy.random.seed(43), then choice(10, 4, replace=False) for each row in turn
	rs := pyrand.NewRandomState(43)
	varied := false
	for row := range s.Test {
		want, got := rs.Choice(10, 4, false), b.ExampleIDs(row)
		if !slices.Equal(got, want) {
			t.Errorf("row %d: %v, want %v", row, got, want)
		}
		varied = varied || !slices.Equal(got, b.ExampleIDs(0))
	}
	if !varied {
		t.Error("all rows have the same examples")
	}
	cfg.Dict("retriever").Set("ice_num", 11)
	if _, err := New(cfg, s); err == nil || !strings.Contains(err.Error(), "10 rows") {
		t.Errorf("11 of 10 rows: %v", err)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		template py.Value
		want     string
	}{
		{py.DictOf(1, "x", 2, "y"), "[1, 2]"},
		{py.DictOf("round", py.NewList()), "['round']"}, // as the original: such configs give labels themselves
		{"text", "[2, 1]"},                              // from the output column
	} {
		b, err := New(py.DictOf("prompt_template", py.DictOf("template", c.template), "retriever", py.DictOf("type", "ZeroRetriever")), toySet())
		if err != nil {
			t.Fatal(err)
		}
		if got := py.Repr(py.NewList(b.Labels()...)); got != c.want {
			t.Errorf("%s: labels %s, want %s", py.Repr(c.template), got, c.want)
		}
	}
}

func BenchmarkLabelPrompt(b *testing.B) {
	tp := py.NewDict()
	for i, c := range "ABC" {
		tp.Set(i+1, py.DictOf("round", py.NewList(
			py.DictOf("role", "HUMAN", "prompt", "{context}\nQuestion: {question}\nAnswer:"),
			py.DictOf("role", "BOT", "prompt", "{answer"+string(c)+"}"))))
	}
	set := toySet()
	row := py.DictOf("context", strings.Repeat("words ", 20), "question", "What will happen next?", "answerA", "a", "answerB", "b", "answerC", "c", "label", 1, "subdivision", "siqa", "idx", 0)
	set.Test = dataset.Table{row}
	bu, err := New(py.DictOf("prompt_template", py.DictOf("template", tp), "retriever", py.DictOf("type", "ZeroRetriever")), set)
	if err != nil {
		b.Fatal(err)
	}
	lm := &LM{}
	for i := range b.N {
		p, err := bu.Label(0, "", i%3+1, false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := lm.Parse(p, PPL); err != nil {
			b.Fatal(err)
		}
	}
}
