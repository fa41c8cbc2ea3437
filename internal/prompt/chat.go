package prompt

import (
	"strings"

	"sextant/internal/py"
)

// ChatLM and ChatAPI lay out conversations in wire roles (system, user,
// assistant) for ChatInferencer, which does not use the parsers of the other
// inferencers. Safe for concurrent use.
type (
	ChatLM  struct{ roles map[string]*py.Dict }
	ChatAPI struct{ roles map[string]*py.Dict }
)

var wireRoles = map[string]string{"SYSTEM": "system", "HUMAN": "user", "BOT": "assistant"}

func chatRoles(meta *py.Dict) (map[string]*py.Dict, error) {
	roles := map[string]*py.Dict{}
	for _, key := range []string{"round", "reserved_roles"} {
		l := meta.List(key)
		if l == nil {
			continue
		}
		for i, it := range l.Items {
			d, ok := it.(*py.Dict)
			if !ok {
				return nil, &Error{Class: "TypeError", Msg: "ChatInferencer needs a meta_template without text between its roles", Pos: l.PosOf(i)}
			}
			role, err := roleOf(d)
			if err != nil {
				return nil, err
			}
			if w, ok := wireRoles[role]; ok {
				role = w
			}
			roles[role] = d
		}
	}
	return roles, nil
}

// NewChatLM makes a parser for a base model's meta template, nil for none.
func NewChatLM(meta *py.Dict) (*ChatLM, error) {
	r, err := chatRoles(meta)
	if err != nil {
		return nil, err
	}
	return &ChatLM{r}, nil
}

// NewChatAPI makes a parser for a chat model's meta template, nil for none.
func NewChatAPI(meta py.Value) (*ChatAPI, error) {
	d, ok := meta.(*py.Dict)
	if meta != nil && !ok {
		return nil, errf("AttributeError", "ChatInferencer needs a meta_template that is a dict, not %s", py.TypeName(meta))
	}
	if d.Len() == 0 {
		return &ChatAPI{map[string]*py.Dict{
			"system":    py.DictOf("api_role", "SYSTEM"),
			"user":      py.DictOf("api_role", "HUMAN"),
			"assistant": py.DictOf("api_role", "BOT"),
		}}, nil
	}
	r, err := chatRoles(d)
	if err != nil {
		return nil, err
	}
	return &ChatAPI{r}, nil
}

// Parse implements Parser: begin, content and end of each message and the
// assistant's begin; without a meta template the contents on a line each.
func (c *ChatLM) Parse(p Prompt, mode Mode) (Prompt, error) {
	msgs, batch, err := chatItems(p)
	if err != nil {
		return nil, err
	}
	if batch {
		return parseBatch(msgs, mode, c.Parse)
	}
	var b strings.Builder
	for i, it := range msgs {
		m := it.(*py.Dict)
		role, err := roleOf(m)
		if err != nil && len(c.roles) > 0 {
			return nil, err
		}
		if len(c.roles) == 0 && i > 0 {
			b.WriteByte('\n')
		}
		cfg := c.roles[role]
		for _, part := range []py.Value{cfg.Get("begin"), m.Get("content"), cfg.Get("end")} {
			if !py.Truth(part) {
				continue
			}
			s, ok := part.(string)
			if !ok {
				return nil, errf("TypeError", "a message is made of texts, not %s", py.TypeName(part))
			}
			b.WriteString(s)
		}
	}
	if len(c.roles) > 0 {
		a, ok := c.roles["assistant"]
		if !ok {
			return nil, errf("KeyError", "the meta_template has no role BOT")
		}
		if v := a.Get("begin"); py.Truth(v) {
			s, ok := v.(string)
			if !ok {
				return nil, errf("TypeError", "begin of a role must be text, not %s", py.TypeName(v))
			}
			b.WriteString(s)
		}
	}
	return b.String(), nil
}

// Parse implements Parser: turns with the api_role of each message's role.
func (c *ChatAPI) Parse(p Prompt, mode Mode) (Prompt, error) {
	msgs, batch, err := chatItems(p)
	if err != nil {
		return nil, err
	}
	if batch {
		return parseBatch(msgs, mode, c.Parse)
	}
	out := List{}
	for _, it := range msgs {
		m := it.(*py.Dict)
		role, err := roleOf(m)
		if err != nil {
			return nil, err
		}
		var as py.Value = role
		if cfg, ok := c.roles[role]; ok {
			if as, ok = cfg.Lookup("api_role"); !ok {
				return nil, &Error{Class: "KeyError", Msg: "role " + py.Repr(role) + " of the meta_template has no api_role", Pos: cfg.At}
			}
		}
		var content py.Value = ""
		if v := m.Get("content"); py.Truth(v) {
			content = v
		}
		out = append(out, py.DictOf("role", as, "prompt", content))
	}
	return out, nil
}

// chatItems tells a conversation from a batch of conversations.
func chatItems(p Prompt) (msgs []py.Value, batch bool, err error) {
	switch x := p.(type) {
	case *py.List:
		msgs = x.Items
	case List:
		msgs = x
	default:
		return nil, false, errf("AssertionError", "a conversation must be a list, not %s", py.TypeName(p))
	}
	lists := 0
	for _, it := range msgs {
		switch it.(type) {
		case *py.Dict:
		case *py.List, List:
			lists++
		default:
			return nil, false, errf("AssertionError", "a conversation holds messages, not %s", py.TypeName(it))
		}
	}
	if lists > 0 && lists < len(msgs) {
		return nil, false, errf("AssertionError", "a conversation mixes messages and lists")
	}
	return msgs, lists > 0, nil
}

// ToOpenAI turns a dialogue into {role, content} messages in wire roles:
// texts speak as the user, marks and other roles are left out.
func ToOpenAI(p Prompt) (*py.List, error) {
	out := py.NewList()
	l, ok := p.(List)
	if !ok {
		s, ok := p.(string)
		if !ok {
			return nil, errf("TypeError", "cannot make messages of %s", py.TypeName(p))
		}
		out.Items = append(out.Items, py.DictOf("role", "user", "content", s))
		return out, nil
	}
	for _, it := range l {
		switch x := it.(type) {
		case string:
			if strings.Contains(x, "section") {
				continue
			}
			if x == "" {
				return nil, errf("TypeError", "an empty text has no role")
			}
			out.Items = append(out.Items, py.DictOf("role", "user", "content", x))
		case *py.Dict:
			if x.Has("section") {
				continue
			}
			role, err := roleOf(x)
			if err != nil {
				return nil, err
			}
			w, ok := wireRoles[role]
			if !ok {
				continue
			}
			v, ok := x.Lookup("prompt")
			if !ok {
				return nil, &Error{Class: "KeyError", Msg: "a turn has no prompt", Pos: x.At}
			}
			out.Items = append(out.Items, py.DictOf("role", w, "content", v))
		default:
			return nil, errf("TypeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
	}
	return out, nil
}
