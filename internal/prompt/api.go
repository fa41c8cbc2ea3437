package prompt

import (
	"strings"

	"sextant/internal/py"
)

// API lays dialogues out as turns {role, prompt} for chat models (OpenCompass's
// APITemplateParser). The zero value has no meta template. Safe for concurrent
// use.
type API struct {
	layout
	raw *py.List // a meta template in list form, merged into raw messages only
}

// NewAPI makes a parser for a meta template: a dict, a list of messages, or
// nil for none. Errors are *Error.
func NewAPI(meta py.Value) (*API, error) {
	switch m := meta.(type) {
	case nil:
		return &API{}, nil
	case *py.Dict:
		l, err := newLayout(m)
		if err != nil {
			return nil, err
		}
		return &API{layout: l}, nil
	case *py.List:
		for i, it := range m.Items {
			d, _ := it.(*py.Dict)
			switch d.Get("role") {
			case "system", "user", "assistant":
			default:
				return nil, &Error{Class: "AssertionError", Pos: m.PosOf(i),
					Msg: "a meta_template that is a list must hold messages with role system, user or assistant"}
			}
		}
		if m.Len() == 0 {
			return &API{}, nil
		}
		return &API{raw: m}, nil
	}
	return nil, errf("AssertionError", "a meta_template must be a dict or a list, not %s", py.TypeName(meta))
}

// LocalChatMeta is the meta template that local chat models have when the
// config gives none. Its SYSTEM role, which speaks as HUMAN, makes every user
// turn end in a newline.
func LocalChatMeta() *py.Dict {
	return py.DictOf("round", py.NewList(
		py.DictOf("role", "HUMAN", "api_role", "HUMAN"),
		py.DictOf("role", "SYSTEM", "api_role", "HUMAN"),
		py.DictOf("role", "BOT", "api_role", "BOT", "generate", true)))
}

// Parse implements Parser. A List becomes a List of turns, or a string when
// there is no meta template; raw messages stay raw messages.
func (a *API) Parse(p Prompt, mode Mode) (Prompt, error) {
	switch x := p.(type) {
	case string:
		return x, nil
	case *py.List:
		if isRaw(x.Items) {
			return a.messages(x.Items)
		}
		return parseBatch(x.Items, mode, a.Parse)
	case *py.Tuple:
		return parseBatch(x.Items, mode, a.Parse)
	case List:
		if isRaw(x) {
			return a.messages(x)
		}
		return a.dialogue(x, mode)
	}
	return nil, errf("AssertionError", "a chat model's prompt must be text, a dialogue or messages, not %s", py.TypeName(p))
}

// isRaw says whether all items contain "role" and "content". In the original
// texts that contain these words count too.
func isRaw(items []py.Value) bool {
	for _, it := range items {
		for _, k := range []string{"role", "content"} {
			switch x := it.(type) {
			case *py.Dict:
				if !x.Has(k) {
					return false
				}
			case string:
				if !strings.Contains(x, k) {
					return false
				}
			default:
				return false
			}
		}
	}
	return len(items) > 0
}

func (a *API) messages(msgs []py.Value) (Prompt, error) {
	out := py.NewList()
	if a.raw == nil {
		out.Items = append(out.Items, msgs...)
		return out, nil
	}
	role := func(v py.Value) (py.Value, error) {
		d, ok := v.(*py.Dict)
		if !ok {
			return nil, errf("TypeError", "a message must be a dict, not %s", py.TypeName(v))
		}
		return d.Get("role"), nil
	}
	meta := a.raw.Items
	i, j := 0, 0
	for i < len(meta) && j < len(msgs) {
		mr, err := role(meta[i])
		if err != nil {
			return nil, err
		}
		pr, err := role(msgs[j])
		if err != nil {
			return nil, err
		}
		if mr == pr {
			m, p := meta[i].(*py.Dict), msgs[j].(*py.Dict)
			ms, ok1 := m.Get("content").(string)
			ps, ok2 := p.Get("content").(string)
			if !ok1 || !ok2 {
				return nil, errf("TypeError", "contents that are not text cannot be joined with the meta_template's")
			}
			out.Items = append(out.Items, py.DictOf("role", mr, "content", ms+ps))
			i, j = i+1, j+1
			continue
		}
		later := false
		for _, v := range msgs[j:] {
			r, err := role(v)
			if err != nil {
				return nil, err
			}
			later = later || r == mr
		}
		if later {
			out.Items = append(out.Items, msgs[j])
			j++
		} else {
			out.Items = append(out.Items, meta[i])
			i++
		}
	}
	out.Items = append(append(out.Items, meta[i:]...), msgs[j:]...)
	return out, nil
}

func (a *API) dialogue(p List, mode Mode) (Prompt, error) {
	if a.meta == nil && a.raw == nil {
		return plainPrompt(p)
	}
	w := &apiWalker{a: a, mode: mode}
	if _, err := walk(p, mode, w); err != nil {
		return nil, err
	}
	if len(w.out) == 0 {
		return nil, errf("IndexError", "nothing is left of the prompt: the dialogue has no turns")
	}
	// turns of one role after another become one, with a newline between them
	// even where one is empty
	out := List{w.out[0]}
	for _, it := range w.out[1:] {
		t := it.(*py.Dict)
		last := out[len(out)-1].(*py.Dict)
		if last.Get("role") == t.Get("role") {
			out[len(out)-1] = with(last, "prompt", last.Str("prompt")+"\n"+t.Str("prompt"))
		} else {
			out = append(out, t)
		}
	}
	if a.meta != nil {
		if b := a.meta.Get("begin"); py.Truth(b) {
			out = append(List{b}, out...)
		}
	}
	return out, nil
}

type apiWalker struct {
	a    *API
	mode Mode
	out  List
}

// text drops what stands outside of turns: a chat has no place for it.
func (w *apiWalker) text(string) error { return nil }

func (w *apiWalker) turn(t *py.Dict) (bool, error) {
	if w.a.meta == nil {
		return false, errf("AttributeError", "a meta_template that is a list of messages cannot be used with this dialogue")
	}
	over, err := w.a.merge([]py.Value{t})
	if err != nil {
		return false, err
	}
	m, err := w.a.lookup(t, over)
	if err != nil {
		return false, err
	}
	if w.mode == Gen && py.Truth(m.Get("generate")) {
		return false, &Error{Class: "TypeError", Pos: t.At, Msg: "a turn of the role that the model generates stands in a begin or end section"}
	}
	return true, w.add(m)
}

func (w *apiWalker) add(m *py.Dict) error {
	role, ok := m.Lookup("api_role")
	if !ok {
		return &Error{Class: "KeyError", Msg: "role " + py.Repr(m.Get("role")) + " of the meta_template has no api_role", Pos: m.At}
	}
	s, err := textsOf(m, "begin", "prompt", "end")
	if err != nil {
		return err
	}
	w.out = append(w.out, py.DictOf("role", role, "prompt", s))
	return nil
}

func (w *apiWalker) rounds(dialogue []py.Value, gen bool) (bool, error) {
	if w.a.meta == nil {
		return false, errf("TypeError", "a meta_template that is a list of messages cannot be used with this dialogue")
	}
	cuts, err := w.a.splitRounds(dialogue, true)
	if err != nil {
		return false, err
	}
	cont := true
	for i := 0; i+1 < len(cuts); i++ {
		over, err := w.a.merge(dialogue[cuts[i]:cuts[i+1]])
		if err != nil {
			return false, err
		}
		cont = true
		for k, it := range w.a.round {
			t, ok := it.(*py.Dict)
			if !ok {
				return false, &Error{Class: "TypeError", Msg: "a chat model's meta_template cannot have text between its roles", Pos: w.a.meta.List("round").PosOf(k)}
			}
			m, err := w.a.lookup(t, over)
			if err != nil {
				return false, err
			}
			if gen && i == len(cuts)-2 && py.Truth(m.Get("generate")) {
				cont = false
				break
			}
			if err := w.add(m); err != nil {
				return false, err
			}
		}
	}
	return cont, nil
}
