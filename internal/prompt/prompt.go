// Package prompt turns rows into what is sent to a model: templates, in-context
// examples and their retrievers, and the parsers that lay a dialogue out for a
// base model (one text) or for a chat model (a list of turns).
//
// A Builder holds the templates of one infer_cfg over one dataset.Set and
// renders rows. Everything here is pure: same config and rows, same prompts;
// no I/O, no clock. Which model gets the prompt, and how many tokens it has,
// is the business of package infer.
//
// The layout rules (section marks, rounds split by role order, the newline
// between turns) are OpenCompass's, because scores compare only when the texts
// are equal to the byte; its oddities are kept and named where they stand.
package prompt

import (
	"fmt"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

// Prompt is a rendered prompt: a string, a List (dialogue with section marks
// before parsing, turns with role and prompt after), or a *py.List of raw
// messages ({role, content} dicts) or of further Prompts (a batch).
type Prompt = py.Value

// List is a dialogue: strings and dicts. A dict is a section mark
// ({section, pos}) or a turn ({role, prompt, …}). Lists and their items are
// not changed once they are made.
type List []py.Value

// PyType implements py.Object.
func (l List) PyType() string { return "PromptList" }

// PyRepr implements py.Object.
func (l List) PyRepr() string { return py.Repr(&py.List{Items: l}) }

// PyLen implements py.Sized: an empty List is false.
func (l List) PyLen() int { return len(l) }

// Mode says what a parsed prompt is for.
type Mode string

// The modes: Gen stops before the first turn that the model is to write; PPL
// has the whole dialogue.
const (
	Gen Mode = "gen"
	PPL Mode = "ppl"
)

// Error is a template or dialogue that cannot be laid out. Class names the
// exception that the original raises in this case, which is what our reference
// data record.
type Error struct {
	Class string
	Msg   string
	Pos   source.Pos // where the template was written, when known
}

func (e *Error) Error() string { return e.Msg }

// Diagnostic is e as a mistake of the user's, at e.Pos or else at pos.
func (e *Error) Diagnostic(pos source.Pos) *source.Diagnostic {
	if e.Pos != 0 {
		pos = e.Pos
	}
	return &source.Diagnostic{Pos: pos, Msg: e.Msg}
}

func errf(class, format string, args ...any) *Error {
	return &Error{Class: class, Msg: fmt.Sprintf(format, args...)}
}

// SafeFormat replaces each {column} in text by the value's str(), column by
// column in the row's order. There are no format specs and no escapes, names
// that are not columns stay as they are, and a value put in is itself subject
// to the columns that follow.
func SafeFormat(text string, row *py.Dict) string {
	if strings.IndexByte(text, '{') < 0 {
		return text
	}
	for _, e := range row.Entries() {
		name, ok := e.Key.(string)
		if !ok {
			name = py.Str(e.Key)
		}
		if i := indexField(text, name); i >= 0 {
			text = replaceField(text, i, name, py.Str(e.Val))
		}
	}
	return text
}

// indexField finds "{name}" without building it.
func indexField(text, name string) int {
	for from := 0; ; {
		i := strings.IndexByte(text[from:], '{')
		if i < 0 {
			return -1
		}
		i += from
		if rest := text[i+1:]; len(rest) > len(name) && rest[len(name)] == '}' && rest[:len(name)] == name {
			return i
		}
		from = i + 1
	}
}

func replaceField(text string, i int, name, val string) string {
	var b strings.Builder
	b.Grow(len(text) + len(val))
	for i >= 0 {
		b.WriteString(text[:i])
		b.WriteString(val)
		text = text[i+len(name)+2:]
		i = indexField(text, name)
	}
	b.WriteString(text)
	return b.String()
}

// Text is str() of a prompt: of a List, the texts of its strings and turns one
// after another.
func Text(p Prompt) (string, error) {
	l, ok := p.(List)
	if !ok {
		return py.Str(p), nil
	}
	var b strings.Builder
	for _, it := range l {
		switch x := it.(type) {
		case string:
			b.WriteString(x)
		case *py.Dict:
			if v, ok := x.Lookup("prompt"); ok {
				s, ok := v.(string)
				if !ok {
					return "", errf("TypeError", "a prompt must be text, not %s", py.TypeName(v))
				}
				b.WriteString(s)
			}
		default:
			return "", errf("TypeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
	}
	return b.String(), nil
}

// Format substitutes row into every text of the dialogue.
func (l List) Format(row *py.Dict) (List, error) {
	out := make(List, 0, len(l))
	for _, it := range l {
		switch x := it.(type) {
		case string:
			out = append(out, SafeFormat(x, row))
		case *py.Dict:
			v, ok := x.Lookup("prompt")
			if !ok {
				out = append(out, x)
				continue
			}
			s, ok := v.(string)
			if !ok {
				return nil, &Error{Class: "AttributeError", Msg: "a prompt must be text, not " + py.TypeName(v), Pos: x.PosOf("prompt")}
			}
			f := SafeFormat(s, row)
			if f == s {
				out = append(out, x)
				continue
			}
			out = append(out, with(x, "prompt", f))
		default:
			return nil, errf("AttributeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
	}
	return out, nil
}

// with is a copy of d in which key has val, at the position that it had.
func with(d *py.Dict, key string, val py.Value) *py.Dict {
	c := d.Copy()
	_ = c.Put(py.Entry{Key: key, Val: val, Pos: d.PosOf(key)}) // a string is hashable
	return c
}

// Replace puts dst in the place of src. A text dst goes into strings and
// turns; a List splits the strings around it, and in a turn it is an error.
// Anything else as dst loses the strings (as in the original).
func (l List) Replace(src string, dst Prompt) (List, error) {
	out := make(List, 0, len(l))
	text, isText := dst.(string)
	ins, isList := dst.(List)
	for _, it := range l {
		switch x := it.(type) {
		case string:
			switch {
			case isText:
				out = append(out, pyReplace(x, src, text))
			case isList:
				parts := []string{x}
				if src != "" {
					parts = strings.Split(x, src)
				}
				for i, p := range parts {
					if p != "" {
						out = append(out, p)
					}
					if i < len(parts)-1 {
						out = append(out, ins...)
					}
				}
			}
		case *py.Dict:
			v, ok := x.Lookup("prompt")
			s, isStr := v.(string)
			switch {
			case !ok:
				out = append(out, x)
			case !isStr:
				return nil, &Error{Class: "TypeError", Msg: "a prompt must be text, not " + py.TypeName(v), Pos: x.PosOf("prompt")}
			case !strings.Contains(s, src):
				out = append(out, x)
			case !isText:
				return nil, &Error{Class: "TypeError", Pos: x.PosOf("prompt"),
					Msg: fmt.Sprintf("%q stands inside the prompt of a turn, where a dialogue cannot be put in", src)}
			default:
				out = append(out, with(x, "prompt", pyReplace(s, src, text)))
			}
		default:
			return nil, errf("AttributeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
	}
	return out, nil
}

// pyReplace is Python's str.replace, which Go's is too but for broken UTF-8.
func pyReplace(s, src, dst string) string { return strings.ReplaceAll(s, src, dst) }

// Add is l + other.
func (l List) Add(other Prompt) List { return append(append(List(nil), l...), items(other)...) }

// RAdd is other + l.
func (l List) RAdd(other Prompt) List { return append(items(other), l...) }

// items of a prompt as a fresh slice: none of an empty one, one of a text.
func items(p Prompt) List {
	switch x := p.(type) {
	case nil:
		return List{}
	case string:
		if x == "" {
			return List{}
		}
		return List{x}
	case List:
		return append(List{}, x...)
	case *py.List:
		return append(List{}, x.Items...)
	}
	return List{p}
}

func replacePrompt(p Prompt, src string, dst Prompt) (Prompt, error) {
	switch x := p.(type) {
	case string:
		s, ok := dst.(string)
		if !ok {
			return nil, errf("TypeError", "examples that are a dialogue cannot be put into a template that is one text")
		}
		return pyReplace(x, src, s), nil
	case List:
		return x.Replace(src, dst)
	}
	return nil, errf("AttributeError", "a template must be text or a dialogue, not %s", py.TypeName(p))
}

func formatPrompt(p Prompt, row *py.Dict) (Prompt, error) {
	switch x := p.(type) {
	case string:
		return SafeFormat(x, row), nil
	case List:
		return x.Format(row)
	}
	return nil, errf("AttributeError", "a template must be text or a dialogue, not %s", py.TypeName(p))
}
