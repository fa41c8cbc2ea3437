package custom

import (
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// chatml appends the expansion of chatml_datasets to the datasets of cfg; a
// config may have chatml_datasets alone.
func (x *expander) chatml(cfg *py.Dict, v py.Value) {
	l, ok := v.(*py.List)
	if !ok {
		x.errs = append(x.errs, source.Errorf(cfg.PosOf("chatml_datasets"), "chatml_datasets must be a list of dicts, not %s", py.TypeName(v)))
		return
	}
	to, ok := cfg.Get("datasets").(*py.List)
	if !ok {
		if cfg.Has("datasets") {
			return // package spec says what is wrong
		}
		to = &py.List{At: l.At}
		_ = cfg.Put(py.Entry{Key: "datasets", Val: to, Pos: l.At}) // text is hashable
	}
	for i, it := range l.Items {
		d, ok := it.(*py.Dict)
		if !ok {
			x.errs = append(x.errs, source.Errorf(l.PosOf(i), "entry %d of chatml_datasets must be a dict, not %s", i+1, py.TypeName(it)))
			continue
		}
		m, err := chatmlDataset(d)
		if err != nil {
			x.add(d, err)
			continue
		}
		to.Append(m, l.PosOf(i))
	}
}

var (
	chatmlKeys       = []string{"abbr", "path", "evaluator", "n", "test_range", "input_columns", "output_column", "input_prompt"}
	chatmlEvaluators = []string{"math_evaluator", "mcq_rule_evaluator", "llm_evaluator", "cascade_evaluator"}
)

// chatmlDataset makes the config of one entry of chatml_datasets, as
// OpenCompass makes it from its chatobj_custom configs.
func chatmlDataset(d *py.Dict) (*py.Dict, error) {
	for _, k := range []string{"abbr", "path", "evaluator"} {
		if !d.Has(k) {
			e := source.Errorf(d.At, "entry of chatml_datasets has no %s", k)
			if n := nearKey(d, k); n != "" {
				e = e.WithHint("did you mean %q?", k)
				e.Pos = d.KeyPosOf(n)
			}
			return nil, e
		}
	}
	for _, e := range d.Entries() {
		k, _ := e.Key.(string)
		if n := registry.Nearest(k, chatmlKeys); n != "" && n != k && !d.Has(n) {
			return nil, source.Errorf(d.KeyPosOf(k), "unknown key %q in chatml_datasets", k).WithHint("did you mean %q?", n)
		}
	}
	ev, ok := d.Get("evaluator").(*py.Dict)
	if !ok {
		return nil, source.Errorf(d.PosOf("evaluator"), "evaluator must be a dict, not %s", py.TypeName(d.Get("evaluator"))).
			WithHint("such as dict(type='math_evaluator')")
	}
	m := &meta{Dict: d, desc: d}
	judge, err := m.chatmlEvaluator(ev)
	if err != nil {
		return nil, err
	}
	messages := py.NewList(m.of("role", "user", "content", "{question}\nRemember to put your final answer within \\boxed{}."))
	out := m.dict("abbr", "path")
	if d.Has("n") {
		m.copyTo(out, "n")
	}
	reader := m.of("input_columns", py.NewList("question"), "output_column", "answer")
	if d.Has("test_range") {
		m.copyTo(reader, "test_range")
	}
	m.set(out, "reader_cfg", reader)
	m.set(out, "infer_cfg", m.of(
		"prompt_template", m.of("type", "RawPromptTemplate", "messages", messages),
		"retriever", m.of("type", "ZeroRetriever"),
		"inferencer", m.of("type", "GenInferencer")))
	m.set(out, "eval_cfg", m.of("evaluator", judge))
	m.set(out, "type", "ChatMLDataset")
	return out, nil
}

func (m *meta) chatmlEvaluator(ev *py.Dict) (*py.Dict, error) {
	typ, _ := ev.Get("type").(string)
	at := func(key, typ string) *py.Dict {
		d := &py.Dict{At: ev.At}
		_ = d.Put(py.Entry{Key: key, Val: typ, Pos: ev.PosOf("type")}) // text is hashable
		return d
	}
	switch typ {
	case "math_evaluator":
		return at("type", "MATHVerifyEvaluator"), nil
	case "mcq_rule_evaluator":
		out, pp := at("type", "AccEvaluator"), at("type", "match_answer_pattern")
		pattern := py.Value(`(?i)ANSWER\s*:\s*([A-D])`)
		if v, ok := ev.Lookup("answer_pattern"); ok {
			pattern = v
		}
		_ = pp.Put(py.Entry{Key: "answer_pattern", Val: pattern, Pos: ev.PosOf("answer_pattern")}) // text is hashable
		m.set(out, "pred_postprocessor", pp)
		return out, nil
	case "llm_evaluator", "cascade_evaluator":
		return nil, source.Errorf(ev.PosOf("type"), "%s asks a judge model, which is not available in this version", typ).
			WithHint("math_evaluator and mcq_rule_evaluator go by rules")
	}
	e := source.Errorf(ev.PosOf("type"), "unknown evaluator %s of chatml_datasets", py.Repr(ev.Get("type")))
	if n := registry.Nearest(typ, chatmlEvaluators); n != "" {
		return nil, e.WithHint("did you mean %q?", n)
	}
	return nil, e.WithHint("there are math_evaluator, mcq_rule_evaluator, llm_evaluator and cascade_evaluator")
}

// nearKey is the key of d that looks like want, or "".
func nearKey(d *py.Dict, want string) string {
	for _, e := range d.Entries() {
		if k, ok := e.Key.(string); ok && k != want && registry.Nearest(k, []string{want}) != "" {
			return k
		}
	}
	return ""
}
