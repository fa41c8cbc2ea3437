package prompt

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// Renderer is a template of a config: *Template or *RawTemplate.
type Renderer interface {
	// Example renders a row of the index set as an in-context example.
	Example(row *py.Dict, label py.Value) (Prompt, error)
	// Label renders a row with the answer of label, for scoring.
	Label(row *py.Dict, examples Prompt, label py.Value, keepSep bool) (Prompt, error)
	// Generate renders a row to be continued. A column outputField ("" for
	// none) is replaced by outputToken first, so that the gold cannot leak.
	Generate(row *py.Dict, examples Prompt, outputField, outputToken string) (Prompt, error)
	// HasIceToken says whether examples have a place in the template.
	HasIceToken() bool
}

// Kind of a Template.
type Kind string

// The kinds: Meta is one dialogue ({begin, round, end}); everything else is
// Origin: a text, or a mapping from label to text or dialogue.
const (
	Origin Kind = "origin"
	Meta   Kind = "meta"
)

// Template is OpenCompass's PromptTemplate.
type Template struct {
	Kind     Kind
	Template py.Value // string or *py.Dict
	IceToken py.Value // string or nil
	SepToken py.Value // string or nil
	At       source.Pos

	text  string
	dict  *py.Dict
	ice   string
	hasI  bool
	sep   string
	hasS  bool
	first py.Value // label of the first entry of a mapping
}

// NewTemplate checks and makes a template. Errors are *Error.
func NewTemplate(template, iceToken, sepToken py.Value) (*Template, error) {
	t := &Template{Kind: Origin, Template: template, IceToken: iceToken, SepToken: sepToken}
	if iceToken != nil {
		s, ok := iceToken.(string)
		if !ok {
			return nil, errf("TypeError", "ice_token must be text, not %s", py.TypeName(iceToken))
		}
		t.ice, t.hasI = s, true
	}
	if sepToken != nil {
		s, ok := sepToken.(string)
		if !ok {
			return nil, errf("TypeError", "sep_token must be text, not %s", py.TypeName(sepToken))
		}
		t.sep, t.hasS = s, true
	}
	switch x := template.(type) {
	case string:
		t.text = x
		if t.ice != "" && !strings.Contains(x, t.ice) {
			return nil, errf("LookupError", "ice_token %q does not occur in the template", t.ice)
		}
	case *py.Dict:
		t.dict = x
		sections := 0
		for _, e := range x.Entries() {
			switch e.Key {
			case "begin", "round", "end":
				sections++
			}
			switch v := e.Val.(type) {
			case string:
				if t.ice != "" && !strings.Contains(v, t.ice) {
					return nil, &Error{Class: "LookupError", Pos: x.PosOf(e.Key),
						Msg: fmt.Sprintf("ice_token %q does not occur in the template of %s", t.ice, py.Repr(e.Key))}
				}
			case *py.List, *py.Dict, List:
			default:
				return nil, &Error{Class: "TypeError", Pos: x.PosOf(e.Key),
					Msg: fmt.Sprintf("the template of %s must be text, a list or a dict, not %s", py.Repr(e.Key), py.TypeName(e.Val))}
			}
		}
		if sections == x.Len() {
			t.Kind = Meta
		} else {
			t.first = x.Entries()[0].Key
		}
	default:
		return nil, errf("AssertionError", "a template must be text or a dict, not %s", py.TypeName(template))
	}
	return t, nil
}

// Labels are the keys of a template that is a mapping; ok is false for a text.
// Of one dialogue they are its section names: such configs must give labels to
// the inferencer.
func (t *Template) Labels() (labels []py.Value, ok bool) {
	if t.dict == nil {
		return nil, false
	}
	return t.dict.Keys(), true
}

// HasIceToken implements Renderer.
func (t *Template) HasIceToken() bool { return t.hasI }

func (t *Template) pick(label py.Value) (py.Value, error) {
	if t.dict == nil || t.Kind == Meta {
		return t.Template, nil
	}
	if _, ok := py.HashKey(label); !ok {
		return nil, errf("TypeError", "%s cannot be a label", py.TypeName(label))
	}
	v, ok := t.dict.Lookup(label)
	if !ok {
		e := errf("KeyError", "the template has no entry for label %s", py.Repr(label))
		e.Pos = t.dict.At
		return nil, e
	}
	return v, nil
}

var (
	beginBegin = py.DictOf("section", "begin", "pos", "begin")
	beginEnd   = py.DictOf("section", "begin", "pos", "end")
	roundBegin = py.DictOf("section", "round", "pos", "begin")
	roundEnd   = py.DictOf("section", "round", "pos", "end")
	iceBegin   = py.DictOf("section", "ice", "pos", "begin")
	iceEnd     = py.DictOf("section", "ice", "pos", "end")
	endEnd     = py.DictOf("section", "end", "pos", "end")
)

// encode lays a dialogue template out with its section marks; ice leaves the
// begin and end sections out.
func encode(tp py.Value, ice bool) (Prompt, error) {
	if s, ok := tp.(string); ok {
		return s, nil
	}
	d, ok := tp.(*py.Dict)
	if !ok {
		// a list has no sections; the original indexes it with 'round'
		e := errf("TypeError", "a dialogue must be a dict with the key round, not %s", py.TypeName(tp))
		if l, ok := tp.(*py.List); ok {
			e.Pos = l.At
		}
		return nil, e
	}
	out := make(List, 0, 8)
	section := func(v py.Value) {
		if l, ok := v.(*py.List); ok {
			out = append(out, l.Items...)
		} else {
			out = append(out, v)
		}
	}
	if v, ok := d.Lookup("begin"); ok && !ice {
		out = append(out, beginBegin)
		section(v)
		out = append(out, beginEnd)
	}
	round, ok := d.Lookup("round")
	if !ok {
		return nil, &Error{Class: "KeyError", Msg: "the dialogue template has no round", Pos: d.At}
	}
	if ice {
		out = append(out, iceBegin)
	} else {
		out = append(out, roundBegin)
	}
	switch r := round.(type) {
	case *py.List:
		out = append(out, r.Items...)
	case *py.Tuple:
		out = append(out, r.Items...)
	case string:
		if r != "" {
			out = append(out, r)
		}
	default:
		if py.Truth(round) {
			return nil, &Error{Class: "TypeError", Msg: "round must be a list of turns, not " + py.TypeName(round), Pos: d.PosOf("round")}
		}
	}
	if ice {
		out = append(out, iceEnd)
	} else {
		out = append(out, roundEnd)
	}
	if v, ok := d.Lookup("end"); ok && !ice {
		// the opening mark says "end" too: the original's slip, which a parser
		// with a meta template trips over when it gets that far
		out = append(out, endEnd)
		section(v)
		out = append(out, endEnd)
	}
	return out, nil
}

// Example implements Renderer. A sep_token stays in.
func (t *Template) Example(row *py.Dict, label py.Value) (Prompt, error) {
	tp, err := t.pick(label)
	if err != nil {
		return nil, err
	}
	p, err := encode(tp, true)
	if err != nil {
		return nil, err
	}
	if t.hasI {
		if p, err = replacePrompt(p, t.ice, ""); err != nil {
			return nil, err
		}
	}
	return formatPrompt(p, row)
}

// Label implements Renderer. Examples go in before the row's fields do, so a
// brace in an example is substituted with the row's values.
func (t *Template) Label(row *py.Dict, examples Prompt, label py.Value, keepSep bool) (Prompt, error) {
	tp, err := t.pick(label)
	if err != nil {
		return nil, err
	}
	p, err := encode(tp, false)
	if err != nil {
		return nil, err
	}
	if t.hasS && !keepSep {
		if p, err = replacePrompt(p, t.sep, ""); err != nil {
			return nil, err
		}
	}
	if t.hasI {
		if p, err = replacePrompt(p, t.ice, examples); err != nil {
			return nil, err
		}
	}
	return formatPrompt(p, row)
}

// Generate implements Renderer; of a mapping from labels it takes the first.
func (t *Template) Generate(row *py.Dict, examples Prompt, outputField, outputToken string) (Prompt, error) {
	var tp py.Value = t.Template
	if t.dict != nil && t.Kind == Origin {
		tp = t.dict.Get(t.first)
	}
	p, err := encode(tp, false)
	if err != nil {
		return nil, err
	}
	if t.hasI {
		if p, err = replacePrompt(p, t.ice, examples); err != nil {
			return nil, err
		}
	}
	if t.hasS {
		if p, err = replacePrompt(p, t.sep, ""); err != nil {
			return nil, err
		}
	}
	if outputField != "" {
		row = row.Copy()
		row.Set(outputField, outputToken)
	}
	return formatPrompt(p, row)
}
