package prompt

import (
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
)

// FuzzSafeFormat holds the substitution against its definition: one
// replacement of all occurrences after another, in column order.
func FuzzSafeFormat(f *testing.F) {
	f.Add("{a}{b}", "{b}", "B")
	f.Add("{{a}}", "x", "{a}")
	f.Add("{a", "}", "")
	f.Add("\xff{a}\x00{b}", "{", "}")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		want := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "{a}", a), "{b}", b), "{}", "0")
		if got := SafeFormat(text, py.DictOf("a", a, "b", b, "", 0)); got != want {
			t.Errorf("SafeFormat(%q, %q, %q) = %q, want %q", text, a, b, got, want)
		}
	})
}

// dialogue makes a dialogue of bytes: every sequence gives one.
func dialogue(data []byte) List {
	names := []string{"begin", "round", "ice", "end", "odd"}
	roles := []string{"HUMAN", "BOT", "SYSTEM", "X"}
	var l List
	for _, b := range data {
		n := int(b >> 3)
		switch b & 7 {
		case 0:
			l = append(l, py.DictOf("section", names[n%5], "pos", "begin"))
		case 1:
			l = append(l, py.DictOf("section", names[n%5], "pos", "end"))
		case 2, 3:
			l = append(l, py.DictOf("role", roles[n%4], "prompt", "p"))
		case 4:
			l = append(l, py.DictOf("role", roles[n%4], "fallback_role", roles[n/4%4], "prompt", "</E>"))
		case 5:
			l = append(l, []py.Value{"s", "", "</E>", "\n", 5, nil, true, py.NewList()}[n%8])
		case 6:
			l = append(l, py.DictOf("role", roles[n%4], []string{"begin", "end", "generate", "api_role"}[n/4%4], n))
		case 7:
			l = append(l, []py.Value{py.NewDict(), py.DictOf("pos", 1), py.DictOf("section", nil), py.DictOf("role", nil), py.DictOf("prompt", 5), py.DictOf("role", "HUMAN", "content", "c"), "role content", py.NewTuple()}[n%8])
		}
	}
	return l
}

// FuzzParsers wants an answer or an error of every parser for every dialogue,
// and one that does not depend on what was parsed before.
func FuzzParsers(f *testing.F) {
	f.Add([]byte{0x08, 0x02, 0x0a, 0x09}, []byte{0x02, 0x0a})
	f.Add([]byte{0x00, 0x05, 0x01}, []byte{0x12, 0x06})
	f.Fuzz(func(t *testing.T, data, meta []byte) {
		if len(data) > 200 || len(meta) > 20 {
			return
		}
		m := py.DictOf("round", py.NewList(dialogue(meta)...), "begin", "<s>")
		l := dialogue(data)
		var parsers []Parser
		if p, err := NewLM(m); err == nil {
			parsers = append(parsers, p)
		}
		if p, err := NewAPI(m); err == nil {
			parsers = append(parsers, p)
		}
		parsers = append(parsers, &LM{}, &API{})
		before := l.PyRepr()
		for _, p := range parsers {
			for _, mode := range []Mode{Gen, PPL} {
				for _, in := range []Prompt{l, py.NewList(l...)} {
					a, err1 := p.Parse(in, mode)
					b, err2 := p.Parse(in, mode)
					if (err1 == nil) != (err2 == nil) || err1 == nil && show(a) != show(b) {
						t.Errorf("%T is not one value: %v, %v", p, err1, err2)
					}
				}
			}
		}
		_, _ = Text(l)
		_, _ = l.Format(py.DictOf("p", "q"))
		_, _ = l.Replace("</E>", List{"x"})
		if after := l.PyRepr(); after != before {
			t.Errorf("parsing changed the dialogue:\n%s\n%s", before, after)
		}
	})
}

// FuzzTemplates renders with arbitrary templates.
func FuzzTemplates(f *testing.F) {
	f.Add([]byte{0x02, 0x0a, 0x05}, "</E>{q}")
	f.Fuzz(func(t *testing.T, round []byte, text string) {
		if len(round) > 100 {
			return
		}
		set := &dataset.Set{Output: "a", Test: dataset.Table{py.DictOf("q", text, "a", "A")}, N: 1}
		set.Train = set.Test
		for _, tp := range []py.Value{text, py.DictOf("round", py.NewList(dialogue(round)...), "begin", text), py.DictOf("A", text, "B", py.DictOf("round", py.NewList(dialogue(round)...))), py.NewDict()} {
			cfg := py.DictOf("prompt_template", py.DictOf("type", "PromptTemplate", "template", tp, "ice_token", "</E>"),
				"ice_template", py.DictOf("template", tp),
				"retriever", py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(0)))
			b, err := New(cfg, set)
			if err != nil {
				continue
			}
			ice, err := b.Examples([]int{0})
			if err != nil {
				continue
			}
			_, _ = b.Generate(0, ice, "")
			for _, l := range b.Labels() {
				_, _ = b.Label(0, ice, l, true)
			}
		}
	})
}
