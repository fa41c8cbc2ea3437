package custom

import (
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// The classes, under the modules that define them: OpenCompass writes those.
const (
	templateType   = "opencompass.openicl.icl_prompt_template.PromptTemplate"
	retrieverType  = "opencompass.openicl.icl_retriever.icl_zero_retriever.ZeroRetriever"
	genType        = "opencompass.openicl.icl_inferencer.icl_gen_inferencer.GenInferencer"
	pplType        = "opencompass.openicl.icl_inferencer.icl_ppl_inferencer.PPLInferencer"
	accType        = "opencompass.openicl.icl_evaluator.icl_hf_evaluator.AccEvaluator"
	optionSimType  = "opencompass.datasets.custom.OptionSimAccEvaluator"
	circularSim    = "opencompass.datasets.custom.CircularOptionSimAccEvaluator"
	circularEval   = "opencompass.datasets.circular.CircularEvaluator"
	customType     = "opencompass.datasets.custom.CustomDataset"
	circularCustom = "opencompass.datasets.custom.CircularCustomDataset"
)

// kinds are the pairs of data_type and infer_method that there are.
var kinds = []string{"mcq gen", "mcq ppl", "qa gen", "circular-mcq gen", "circular-mcq ppl"}

// config makes the dataset config.
func (m *meta) config() (*py.Dict, error) {
	data, method := py.Str(m.Get("data_type")), py.Str(m.Get("infer_method"))
	if !slices.Contains(kinds, data+" "+method) {
		d := source.Errorf(m.PosOf("data_type"), "there is no custom dataset of data_type %s with infer_method %s", py.Repr(m.Get("data_type")), py.Repr(m.Get("infer_method")))
		if !m.desc.Has("data_type") {
			d.Pos = m.PosOf("infer_method")
		}
		d.Hint = "mcq goes with gen and ppl, qa with gen"
		return nil, d
	}
	for _, k := range []string{"abbr", "path"} {
		if _, ok := m.Get(k).(string); !ok {
			return nil, source.Errorf(m.PosOf(k), "%s must be a string, not %s", k, py.TypeName(m.Get(k)))
		}
	}
	switch m.Get("output_column").(type) {
	case nil, string:
	default:
		return nil, source.Errorf(m.PosOf("output_column"), "output_column must be a string or None, not %s", py.TypeName(m.Get("output_column")))
	}
	circular := strings.HasPrefix(data, "circular-")
	mcq := data != "qa"
	if mcq {
		if err := m.checkOptions(); err != nil {
			return nil, err
		}
	}
	template, err := m.template(mcq, method)
	if err != nil {
		return nil, err
	}
	reader := m.dict("input_columns", "output_column")
	if m.Has("test_range") {
		m.copyTo(reader, "test_range")
	}
	inferencer := genType
	if method == "ppl" {
		inferencer = pplType
	}
	typ := customType
	if circular {
		typ = circularCustom
	}
	out := m.dict("abbr")
	at := m.At
	if circular {
		at = m.PosOf("data_type")
	}
	_ = out.Put(py.Entry{Key: "type", Val: typ, Pos: at}) // text is hashable
	if circular {
		m.set(out, "option_keys", m.Get("options"))
		m.set(out, "answer_key", m.Get("output_column"))
	}
	m.copyTo(out, "path")
	m.set(out, "reader_cfg", reader)
	m.set(out, "infer_cfg", m.of(
		"prompt_template", m.of("type", templateType, "template", template),
		"retriever", m.of("type", retrieverType),
		"inferencer", m.of("type", inferencer)))
	ev, err := m.evaluator(mcq, circular, method)
	if err != nil {
		return nil, err
	}
	eval := m.of("evaluator", ev)
	if method == "gen" {
		m.set(eval, "pred_role", "BOT")
	}
	m.set(out, "eval_cfg", eval)
	// OpenCompass drops these two, and asks once what should be asked n times.
	for _, k := range []string{"n", "k"} {
		if m.Has(k) {
			m.copyTo(out, k)
		}
	}
	return out, nil
}

// template is the user's, or the one for the kind of data.
func (m *meta) template(mcq bool, method string) (py.Value, error) {
	if t := m.Get("template"); t != nil {
		return t, nil
	}
	human, bot := "{question}", ""
	out, hasOut := m.Get("output_column").(string)
	name := py.Str(m.Get("output_column"))
	if mcq {
		human = "Question: {question}"
		for _, o := range m.options() {
			human += "\n" + o + ". {" + o + "}"
		}
		bot = "Answer: {" + name + "}"
	} else if hasOut {
		bot = "{" + name + "}"
	}
	var err error
	if human, err = m.text("human_prompt", human); err != nil {
		return nil, err
	}
	if mcq || hasOut {
		if bot, err = m.text("bot_prompt", bot); err != nil {
			return nil, err
		}
	}
	round := func(bot string, has bool) *py.Dict {
		l := py.NewList(m.of("role", "HUMAN", "prompt", human))
		if has {
			l.Append(m.of("role", "BOT", "prompt", bot), 0)
		}
		return m.of("round", l)
	}
	if method != "ppl" {
		return round(bot, mcq || hasOut), nil
	}
	if !hasOut {
		return nil, source.Errorf(m.PosOf("output_column"), "comparing options needs a column with the answers").
			WithHint("name it `answer`, or say output_column='…'")
	}
	labels := &py.Dict{At: m.At}
	for _, o := range m.options() {
		b, err := py.StrFormat(bot, nil, py.DictOf(out, o))
		if err != nil {
			return nil, source.Errorf(m.PosOf("bot_prompt"), "bot_prompt %s cannot be filled with the option alone: %v", py.Repr(bot), err).
				WithHint("with infer_method ppl it may use {%s} only; put the rest into human_prompt", out)
		}
		m.set(labels, o, round(b, true))
	}
	return labels, nil
}

func (m *meta) text(key, def string) (string, error) {
	v, ok := m.Lookup(key)
	if !ok {
		return def, nil
	}
	s, ok := v.(string)
	if !ok {
		return "", source.Errorf(m.PosOf(key), "%s must be a string, not %s", key, py.TypeName(v))
	}
	return s, nil
}

func (m *meta) checkOptions() error {
	l, ok := m.Get("options").(*py.List)
	if !ok {
		return source.Errorf(m.PosOf("options"), "options must be a list of letters, not %s", py.TypeName(m.Get("options")))
	}
	if l.Len() == 0 {
		return source.Errorf(m.PosOf("data_type"), "multiple-choice data needs columns A, B, …, one for each option").
			WithHint("name the columns of the options with options=['…']")
	}
	for i, o := range l.Items {
		if _, ok := o.(string); !ok {
			return source.Errorf(l.PosOf(i), "an option must be a letter, not %s", py.TypeName(o))
		}
	}
	return nil
}

func (m *meta) options() []string { return texts(m.List("options").Items) }

// evaluator is the user's class and arguments over the default ones. Unlike
// OpenCompass, a name (as in a meta file) is as good as a class.
func (m *meta) evaluator(mcq, circular bool, method string) (*py.Dict, error) {
	typ, args := accType, &py.Dict{At: m.At}
	switch {
	case mcq && method == "gen":
		typ = optionSimType
		if circular {
			typ = circularSim
		}
		m.set(args, "options", m.Get("options"))
	case circular:
		typ = circularEval
	}
	out := &py.Dict{At: m.At}
	if v, ok := m.Lookup("evaluator"); ok {
		s, isStr := v.(string)
		if !isStr || s == "" {
			return nil, source.Errorf(m.PosOf("evaluator"), "evaluator of a custom dataset must be a class or the name of one, not %s", py.TypeName(v)).
				WithHint("its options go into evaluator_kwargs")
		}
		_ = out.Put(py.Entry{Key: "type", Val: s, Pos: m.PosOf("evaluator")}) // text is hashable
	} else {
		m.set(out, "type", typ)
	}
	if v, ok := m.Lookup("evaluator_kwargs"); ok {
		d, isDict := v.(*py.Dict)
		if !isDict {
			return nil, source.Errorf(m.PosOf("evaluator_kwargs"), "evaluator_kwargs must be a dict, not %s", py.TypeName(v))
		}
		args = d
	}
	for _, e := range args.Entries() {
		if err := out.Put(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// set stores a value that stands for the whole description.
func (m *meta) set(d *py.Dict, key string, v py.Value) {
	_ = d.Put(py.Entry{Key: key, Val: v, Pos: m.At}) // text is hashable
}

// of makes a dict whose values stand for the description.
func (m *meta) of(kv ...py.Value) *py.Dict {
	d := &py.Dict{At: m.At}
	for i := 0; i+1 < len(kv); i += 2 {
		_ = d.Put(py.Entry{Key: kv[i], Val: kv[i+1], Pos: m.At}) // text is hashable
	}
	return d
}

// dict takes keys over with their positions.
func (m *meta) dict(keys ...string) *py.Dict {
	d := &py.Dict{At: m.At}
	for _, k := range keys {
		m.copyTo(d, k)
	}
	return d
}

func (m *meta) copyTo(d *py.Dict, key string) {
	_ = d.Put(py.Entry{Key: key, Val: m.Get(key), KeyPos: m.KeyPosOf(key), Pos: m.PosOf(key)}) // text is hashable
}
