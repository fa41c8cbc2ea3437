package prompt

import (
	"fmt"

	"sextant/internal/py"
)

// RawTemplate is OpenCompass's RawPromptTemplate: a list of OpenAI-style
// messages, of {expand_column: name} (messages from the row), and of texts, of
// which only the ice token means something. The gold column is not blanked.
type RawTemplate struct {
	Messages *py.List
	// Verbatim switches the substitution of fields off (format_variables).
	Verbatim bool
	IceToken string
}

// NewRawTemplate checks and makes a template. Errors are *Error.
func NewRawTemplate(messages py.Value, formatVariables bool, iceToken string) (*RawTemplate, error) {
	l, ok := messages.(*py.List)
	if !ok {
		return nil, errf("TypeError", "messages must be a list, not %s", py.TypeName(messages))
	}
	for i, it := range l.Items {
		bad := func(class, format string, args ...any) error {
			return &Error{Class: class, Msg: fmt.Sprintf(format, args...), Pos: l.PosOf(i)}
		}
		switch x := it.(type) {
		case string:
		case *py.Dict:
			if x.Has("expand_column") {
				continue
			}
			if !x.Has("role") {
				return nil, bad("ValueError", "message %d has no role", i)
			}
			switch x.Get("role") {
			case "system", "user", "assistant":
			default:
				return nil, bad("ValueError", "role %s of message %d is not one of system, user, assistant", py.Repr(x.Get("role")), i)
			}
			if !x.Has("content") {
				return nil, bad("ValueError", "message %d has no content", i)
			}
		default:
			return nil, bad("TypeError", "message %d must be a dict or text, not %s", i, py.TypeName(it))
		}
	}
	return &RawTemplate{Messages: l, Verbatim: !formatVariables, IceToken: iceToken}, nil
}

// HasIceToken implements Renderer.
func (t *RawTemplate) HasIceToken() bool { return true }

func (t *RawTemplate) message(d *py.Dict, row *py.Dict) *py.Dict {
	if s, ok := d.Get("content").(string); ok && !t.Verbatim {
		return with(d, "content", SafeFormat(s, row))
	}
	return d
}

func (t *RawTemplate) render(row *py.Dict, examples Prompt, withTexts bool) Prompt {
	out := py.NewList()
	for _, it := range t.Messages.Items {
		switch x := it.(type) {
		case string:
			if ice, ok := examples.(*py.List); ok && withTexts && x == t.IceToken {
				out.Items = append(out.Items, ice.Items...)
			}
		case *py.Dict:
			if col, ok := x.Lookup("expand_column"); ok {
				if l, ok := row.Get(col).(*py.List); ok {
					out.Items = append(out.Items, py.DeepCopy(l).(*py.List).Items...)
				}
				continue
			}
			out.Items = append(out.Items, t.message(x, row))
		}
	}
	return out
}

// Example implements Renderer.
func (t *RawTemplate) Example(row *py.Dict, _ py.Value) (Prompt, error) {
	return t.render(row, nil, false), nil
}

// Label implements Renderer: label and examples count for nothing.
func (t *RawTemplate) Label(row *py.Dict, _ Prompt, _ py.Value, _ bool) (Prompt, error) {
	return t.render(row, nil, true), nil
}

// Generate implements Renderer.
func (t *RawTemplate) Generate(row *py.Dict, examples Prompt, _, _ string) (Prompt, error) {
	return t.render(row, examples, true), nil
}
