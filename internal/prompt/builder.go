package prompt

import (
	"errors"
	"fmt"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Builder renders the prompts of one infer_cfg over one dataset. Safe for
// concurrent use.
type Builder struct {
	set         *dataset.Set
	ice, prompt Renderer // either may be nil, not both
	retriever   Retriever
	separator   string
	eos         string
	main        Renderer // the one that is rendered for a row
	mainPos     source.Pos
	unknown     []UnknownField
}

// UnknownField is a {field} of a template that the rows lack while they have
// one of nearly that name. It stays in the prompt as text, as in OpenCompass;
// the user should know.
type UnknownField struct {
	Name, Nearest string
	Pos           source.Pos
}

// Warning words the finding for the user.
func (u UnknownField) Warning() *source.Diagnostic {
	return source.Errorf(u.Pos, "the template has {%s}, which is not a column of the data: it is sent as it stands", u.Name).
		WithHint("did you mean {%s}?", u.Nearest)
}

// New makes a Builder of infer_cfg. Mistakes come back as source diagnostics
// (one or a source.List) at the place in the config.
func New(inferCfg *py.Dict, set *dataset.Set) (*Builder, error) {
	b := &Builder{set: set}
	var errs source.List
	add := func(err error) {
		errs = append(errs, source.Diagnostics(err)...)
	}
	var err error
	if b.ice, err = newRenderer(inferCfg, "ice_template"); err != nil {
		add(err)
	}
	if b.prompt, err = newRenderer(inferCfg, "prompt_template"); err != nil {
		add(err)
	}
	if len(errs) == 0 {
		if err := b.choose(inferCfg); err != nil {
			add(err)
		}
	}
	if err := b.newRetriever(inferCfg); err != nil {
		add(err)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	b.findUnknown(inferCfg)
	return b, nil
}

// choose picks the template that is rendered for a row: with both templates
// the prompt_template, which then must have a place for the examples.
func (b *Builder) choose(cfg *py.Dict) error {
	at := func(key string) source.Pos {
		if d := cfg.Dict(key); d != nil && d.At != 0 {
			return d.At
		}
		return cfg.PosOf(key)
	}
	switch {
	case b.ice == nil && b.prompt == nil:
		return source.Errorf(cfg.At, "infer_cfg has neither prompt_template nor ice_template").
			WithHint("give one, such as prompt_template=dict(type=PromptTemplate, template='{question}')")
	case b.ice != nil && b.prompt != nil:
		if !b.prompt.HasIceToken() {
			return source.Errorf(at("prompt_template"), "prompt_template has no ice_token, so the examples of ice_template have no place in it").
				WithHint("put </E> where they belong and say ice_token='</E>', or leave ice_template out")
		}
		b.main, b.mainPos = b.prompt, at("prompt_template")
	case b.ice != nil:
		if !b.ice.HasIceToken() {
			return source.Errorf(at("ice_template"), "ice_template stands alone and has no ice_token, so it cannot be the prompt").
				WithHint("put </E> where the examples belong and say ice_token='</E>', or call it prompt_template")
		}
		b.main, b.mainPos = b.ice, at("ice_template")
	default:
		b.main, b.mainPos = b.prompt, at("prompt_template")
	}
	return nil
}

func newRenderer(cfg *py.Dict, key string) (Renderer, error) {
	v, ok := cfg.Lookup(key)
	if !ok || v == nil {
		return nil, nil
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, source.Errorf(cfg.PosOf(key), "%s must be a dict, not %s", key, py.TypeName(v))
	}
	pos := cfg.PosOf(key)
	if d.At != 0 {
		pos = d.At
	}
	var r Renderer
	var err error
	typ := registry.Base(d.Str("type"))
	switch typ {
	case "PromptTemplate", "":
		known := []string{"type", "template", "ice_token", "sep_token"}
		if err := unknownKey(d, known, "PromptTemplate"); err != nil {
			return nil, err
		}
		if !d.Has("template") {
			return nil, source.Errorf(pos, "%s has no template", key)
		}
		var t *Template
		if t, err = NewTemplate(d.Get("template"), d.Get("ice_token"), d.Get("sep_token")); err == nil {
			t.At = pos
			r = t
		}
		pos = d.PosOf("template")
	case "RawPromptTemplate":
		if err := unknownKey(d, []string{"type", "messages", "format_variables", "ice_token"}, typ); err != nil {
			return nil, err
		}
		if !d.Has("messages") {
			return nil, source.Errorf(pos, "%s has no messages", key)
		}
		ice := "</E>"
		if s, ok := d.Get("ice_token").(string); ok {
			ice = s
		}
		fv, given := d.Lookup("format_variables")
		r, err = NewRawTemplate(d.Get("messages"), !given || py.Truth(fv), ice)
		if err != nil {
			r = nil
		}
		pos = d.PosOf("messages")
	default:
		e := source.Errorf(d.PosOf("type"), "unknown prompt template %q", typ)
		if n := registry.Nearest(typ, []string{"PromptTemplate", "RawPromptTemplate"}); n != "" {
			e = e.WithHint("did you mean %q?", n)
		}
		return nil, e
	}
	var pe *Error
	if errors.As(err, &pe) {
		return nil, pe.Diagnostic(pos)
	}
	return r, err
}

func unknownKey(d *py.Dict, known []string, what string) error {
	for _, e := range d.Entries() {
		name, _ := e.Key.(string)
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok {
			err := source.Errorf(d.KeyPosOf(e.Key), "%s has no option %s", what, py.Str(e.Key))
			if n := registry.Nearest(name, known); n != "" {
				err = err.WithHint("did you mean %q?", n)
			}
			return err
		}
	}
	return nil
}

func (b *Builder) newRetriever(cfg *py.Dict) error {
	v, ok := cfg.Lookup("retriever")
	if !ok {
		return source.Errorf(cfg.At, "infer_cfg has no retriever").WithHint("name one, such as retriever=dict(type=ZeroRetriever)")
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return source.Errorf(cfg.PosOf("retriever"), "retriever must be a dict, not %s", py.TypeName(v))
	}
	class, err := Retrievers.Lookup(d.Str("type"))
	if err != nil {
		return source.At(d.PosOf("type"), err)
	}
	if err := CheckRetriever(d); err != nil {
		return err
	}
	b.separator, b.eos = class.Separator, class.Eos
	for key, to := range map[string]*string{"ice_separator": &b.separator, "ice_eos_token": &b.eos} {
		if v, ok := d.Lookup(key); ok {
			s, ok := v.(string)
			if !ok {
				return source.Errorf(d.PosOf(key), "%s must be text, not %s", key, py.TypeName(v))
			}
			*to = s
		}
	}
	b.retriever, err = class.New(d, b.set)
	return err
}

// UnknownFields lists fields of the templates that are probably misspelt.
func (b *Builder) UnknownFields() []UnknownField { return b.unknown }

func (b *Builder) findUnknown(cfg *py.Dict) {
	if len(b.set.Test) == 0 {
		return
	}
	var cols []string
	for _, k := range b.set.Test[0].Keys() {
		if s, ok := k.(string); ok {
			cols = append(cols, s)
		}
	}
	seen := map[string]bool{}
	for _, c := range cols {
		seen[c] = true
	}
	text := func(s string, pos source.Pos) {
		for _, name := range fieldNames(s) {
			if seen[name] {
				continue
			}
			seen[name] = true
			if n := registry.Nearest(name, cols); n != "" {
				b.unknown = append(b.unknown, UnknownField{Name: name, Nearest: n, Pos: pos})
			}
		}
	}
	var visit func(v py.Value, pos source.Pos)
	visit = func(v py.Value, pos source.Pos) {
		switch x := v.(type) {
		case string:
			text(x, pos)
		case *py.List:
			for i, it := range x.Items {
				visit(it, x.PosOf(i))
			}
		case *py.Dict:
			for _, e := range x.Entries() {
				visit(e.Val, x.PosOf(e.Key))
			}
		}
	}
	for _, key := range []string{"ice_template", "prompt_template"} {
		d := cfg.Dict(key)
		for _, part := range []string{"template", "messages"} {
			visit(d.Get(part), d.PosOf(part))
		}
	}
}

// fieldNames finds {name} with an identifier of ASCII letters in it.
func fieldNames(s string) []string {
	var out []string
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return out
		}
		s = s[i+1:]
		j := 0
		for j < len(s) && (s[j] == '_' || s[j]|0x20 >= 'a' && s[j]|0x20 <= 'z' || j > 0 && s[j] >= '0' && s[j] <= '9') {
			j++
		}
		if j > 0 && j < len(s) && s[j] == '}' {
			out = append(out, s[:j])
		}
	}
}

// ExampleIDs are the rows of Set.Train shown with a row of Set.Test.
func (b *Builder) ExampleIDs(row int) []int { return b.retriever.Examples(row) }

// Labels are what a scoring inferencer compares when its config does not say:
// the keys of the template, or the values of the output column in order of
// first appearance (the original takes these through a set, in random order).
func (b *Builder) Labels() []py.Value {
	if t, ok := b.prompt.(*Template); ok {
		if l, ok := t.Labels(); ok {
			return l
		}
	}
	if t, ok := b.ice.(*Template); ok && t.HasIceToken() {
		if l, ok := t.Labels(); ok {
			return l
		}
	}
	var out []py.Value
	if b.set.Output == "" {
		return nil
	}
	d := py.NewDict()
	for _, row := range b.set.Test {
		v := row.Get(b.set.Output)
		if _, ok := py.HashKey(v); ok && !d.Has(v) {
			d.Set(v, nil)
			out = append(out, v)
		}
	}
	return out
}

// Examples renders rows of Set.Train as the examples of a prompt.
func (b *Builder) Examples(ids []int) (Prompt, error) {
	if b.ice == nil {
		if len(ids) > 0 {
			return nil, b.diag(errf("AssertionError", "the retriever chose examples, but infer_cfg has no ice_template to show them with"))
		}
		return b.eos, nil
	}
	if _, ok := b.ice.(*RawTemplate); ok {
		out := py.NewList()
		for _, id := range ids {
			p, err := b.example(id)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, p.(*py.List).Items...)
		}
		return out, nil
	}
	sep, eos := b.separator, b.eos
	if t := b.ice.(*Template); t.Kind == Meta {
		sep, eos = "", ""
	}
	var text strings.Builder
	var list List
	for i, id := range ids {
		p, err := b.example(id)
		if err != nil {
			return nil, err
		}
		switch x := p.(type) {
		case string:
			if list != nil {
				return nil, b.diag(errf("TypeError", "the examples mix texts and dialogues"))
			}
			if i > 0 {
				text.WriteString(sep)
			}
			text.WriteString(x)
		case List:
			if i > 0 && list == nil {
				return nil, b.diag(errf("TypeError", "the examples mix texts and dialogues"))
			}
			list = append(list, x...)
			if sep != "" {
				list = append(list, sep)
			}
		}
	}
	if list != nil {
		return append(list, eos), nil
	}
	text.WriteString(eos)
	return text.String(), nil
}

func (b *Builder) example(id int) (Prompt, error) {
	row := b.set.Train[id]
	var label py.Value
	if b.set.Output != "" {
		label = row.Get(b.set.Output)
	}
	p, err := b.ice.Example(row, label)
	if err != nil {
		return nil, b.diag(err)
	}
	return p, nil
}

// Generate renders a row of Set.Test to be continued; the output column is
// replaced by token.
func (b *Builder) Generate(row int, examples Prompt, token string) (Prompt, error) {
	p, err := b.main.Generate(b.set.Test[row], examples, b.set.Output, token)
	if err != nil {
		return nil, b.diag(err)
	}
	return p, nil
}

// Label renders a row of Set.Test with the answer of label.
func (b *Builder) Label(row int, examples Prompt, label py.Value, keepSep bool) (Prompt, error) {
	p, err := b.main.Label(b.set.Test[row], examples, label, keepSep)
	if err != nil {
		return nil, b.diag(err)
	}
	return p, nil
}

func (b *Builder) diag(err error) error {
	var pe *Error
	if !errors.As(err, &pe) {
		return err
	}
	d := pe.Diagnostic(b.mainPos)
	d.Err = fmt.Errorf("lay out a prompt of %s: %w", b.set.Abbr, pe)
	return d
}
