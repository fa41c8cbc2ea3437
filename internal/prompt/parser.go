package prompt

import (
	"strings"

	"sextant/internal/py"
)

// Parser lays a rendered prompt out for one kind of model.
type Parser interface {
	// Parse turns a dialogue into what the model is sent. A string comes back
	// as it is; a *py.List is a batch and is parsed item by item.
	Parse(p Prompt, mode Mode) (Prompt, error)
}

// layout is what a meta template says about roles; common to both parsers.
type layout struct {
	meta  *py.Dict // nil for none
	round []py.Value
	roles map[string]*py.Dict
	index map[string]int // place of each role in round
}

func newLayout(meta *py.Dict) (layout, error) {
	l := layout{meta: meta}
	if meta.Len() == 0 {
		l.meta = nil
		return l, nil
	}
	v, ok := meta.Lookup("round")
	if !ok {
		return l, &Error{Class: "AssertionError", Msg: "meta_template has no round", Pos: meta.At}
	}
	r, ok := v.(*py.List)
	if !ok {
		return l, &Error{Class: "AssertionError", Msg: "round of a meta_template must be a list, not " + py.TypeName(v), Pos: meta.PosOf("round")}
	}
	l.round, l.roles, l.index = r.Items, map[string]*py.Dict{}, map[string]int{}
	lists := []*py.List{r}
	if v, ok := meta.Lookup("reserved_roles"); ok {
		res, ok := v.(*py.List)
		if !ok {
			return l, &Error{Class: "AssertionError", Msg: "reserved_roles must be a list, not " + py.TypeName(v), Pos: meta.PosOf("reserved_roles")}
		}
		lists = append(lists, res)
	}
	for li, list := range lists {
		for i, it := range list.Items {
			switch x := it.(type) {
			case string:
			case *py.Dict:
				role, ok := x.Get("role").(string)
				if !ok {
					return l, &Error{Class: "KeyError", Msg: "this entry of the meta_template has no role", Pos: list.PosOf(i)}
				}
				if _, ok := l.roles[role]; ok {
					return l, &Error{Class: "AssertionError", Msg: "role " + py.Repr(role) + " occurs twice in the meta_template", Pos: x.PosOf("role")}
				}
				l.roles[role] = x
				if li == 0 {
					l.index[role] = i
				}
			default:
				return l, &Error{Class: "AssertionError", Msg: "an entry of a meta_template must be text or a dict, not " + py.TypeName(it), Pos: list.PosOf(i)}
			}
		}
	}
	return l, nil
}

// merged is the configuration of role in one round: what the meta template
// says, overwritten by the turns that name it. turns may be nil.
func (l *layout) merge(turns []py.Value) (map[string]*py.Dict, error) {
	over := map[string]*py.Dict{}
	for _, it := range turns {
		t, ok := it.(*py.Dict)
		if !ok {
			continue
		}
		role, err := roleOf(t)
		if err != nil {
			return nil, err
		}
		if _, ok := l.roles[role]; !ok {
			fb, _ := t.Get("fallback_role").(string)
			if _, ok := l.roles[fb]; !ok {
				return nil, &Error{Class: "KeyError", Pos: t.PosOf("role"),
					Msg: "role " + py.Repr(role) + " is not in the model's meta_template and has no fallback_role that is"}
			}
			role = fb
		}
		m := over[role]
		if m == nil {
			m = l.roles[role].Copy()
			over[role] = m
		}
		for _, e := range t.Entries() {
			_ = m.Put(e) // keys of a dict are hashable
		}
	}
	return over, nil
}

// lookup finds the configuration for a turn: of its role or else of its
// fallback.
func (l *layout) lookup(t *py.Dict, over map[string]*py.Dict) (*py.Dict, error) {
	role, err := roleOf(t)
	if err != nil {
		return nil, err
	}
	fb, _ := t.Get("fallback_role").(string)
	for _, r := range []string{role, fb} {
		if m, ok := over[r]; ok {
			return m, nil
		}
		if m, ok := l.roles[r]; ok {
			return m, nil
		}
	}
	return nil, &Error{Class: "AttributeError", Msg: "role " + py.Repr(role) + " is not in the model's meta_template", Pos: t.PosOf("role")}
}

func roleOf(t *py.Dict) (string, error) {
	v, ok := t.Lookup("role")
	if !ok {
		return "", &Error{Class: "KeyError", Msg: "a turn has no role", Pos: t.At}
	}
	s, ok := v.(string)
	if !ok {
		return "", &Error{Class: "KeyError", Msg: "a role must be text, not " + py.TypeName(v), Pos: t.PosOf("role")}
	}
	return s, nil
}

// splitRounds cuts a dialogue where a role stands no later in the meta
// template's round than the one before it. The result has the start of each
// round and the length at the end. fallback lets a role that is not in the
// round count as its fallback_role.
func (l *layout) splitRounds(dialogue []py.Value, fallback bool) ([]int, error) {
	cuts, last := []int{0}, -1
	for i, it := range dialogue {
		t, ok := it.(*py.Dict)
		if !ok {
			continue
		}
		role, err := roleOf(t)
		if err != nil {
			return nil, err
		}
		idx, ok := l.index[role]
		if !ok && fallback {
			fb, _ := t.Get("fallback_role").(string)
			idx, ok = l.index[fb]
		}
		if !ok {
			e := &Error{Class: "KeyError", Pos: t.PosOf("role"), Msg: "role " + py.Repr(role) + " is not in the round of the model's meta_template"}
			if fallback {
				e.Msg += " and has no fallback_role that is"
			}
			return nil, e
		}
		if idx <= last {
			cuts = append(cuts, i)
		}
		last = idx
	}
	return append(cuts, len(dialogue)), nil
}

type sectionMark struct {
	name  string
	start int
}

// walker is what the two parsers do with the pieces of a dialogue.
type walker interface {
	text(s string) error
	// round renders one round, or a lone turn of a begin or end section (t);
	// cont is false when generation starts here.
	rounds(dialogue []py.Value, gen bool) (cont bool, err error)
	turn(t *py.Dict) (cont bool, err error)
}

// walk goes through a dialogue with its section marks. gen is passed on for
// the last round of a "round" section.
func walk(p List, mode Mode, w walker) (cont bool, err error) {
	var stack []sectionMark
	cont = true
	for i, it := range p {
		if !cont {
			break
		}
		switch x := it.(type) {
		case string:
			if err = w.text(x); err != nil {
				return false, err
			}
			continue
		case *py.Dict:
			if !x.Has("section") {
				if len(stack) == 0 {
					return false, &Error{Class: "IndexError", Msg: "a turn stands outside of any section", Pos: x.At}
				}
				if top := stack[len(stack)-1].name; top == "begin" || top == "end" {
					if cont, err = w.turn(x); err != nil {
						return false, err
					}
				}
				continue
			}
			name, _ := x.Get("section").(string)
			switch x.Get("pos") {
			case "begin":
				switch name {
				case "begin", "round", "end", "ice":
				default:
					return false, &Error{Class: "AssertionError", Msg: "unknown section " + py.Repr(x.Get("section")), Pos: x.At}
				}
				stack = append(stack, sectionMark{name, i + 1})
			case "end":
				if len(stack) == 0 {
					return false, &Error{Class: "IndexError", Pos: x.At,
						Msg: "section " + py.Repr(x.Get("section")) + " ends but was not begun (an end section cannot be scored with a meta_template)"}
				}
				top := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				if top.name != name {
					return false, &Error{Class: "AssertionError", Msg: "section " + py.Repr(top.name) + " is closed as " + py.Repr(name), Pos: x.At}
				}
				if name == "round" || name == "ice" {
					if cont, err = w.rounds(p[top.start:i], mode == Gen && name == "round"); err != nil {
						return false, err
					}
				}
			default:
				return false, &Error{Class: "ValueError", Msg: "pos of a section mark must be begin or end, not " + py.Repr(x.Get("pos")), Pos: x.At}
			}
		default:
			return false, errf("TypeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
	}
	return cont, nil
}

// plain lays a dialogue out without a meta template: the non-empty texts and
// prompts, each but the first item behind a newline. An empty item gives no
// newline of its own, but makes the next item have one.
func plain(p List) (string, error) {
	var b strings.Builder
	sep := ""
	for _, it := range p {
		switch x := it.(type) {
		case string:
			if x != "" {
				b.WriteString(sep)
				b.WriteString(x)
			}
		case *py.Dict:
			if x.Len() == 2 && x.Has("section") && x.Has("pos") {
				continue
			}
			if v := x.Get("prompt"); py.Truth(v) {
				s, ok := v.(string)
				if !ok {
					return "", &Error{Class: "TypeError", Msg: "a prompt must be text, not " + py.TypeName(v), Pos: x.PosOf("prompt")}
				}
				b.WriteString(sep)
				b.WriteString(s)
			}
		default:
			return "", errf("AttributeError", "a dialogue holds texts and dicts, not %s", py.TypeName(it))
		}
		sep = "\n"
	}
	return b.String(), nil
}

// textOf is the text under key of a role's configuration, "" when it has none.
func textOf(m *py.Dict, key string) (string, error) {
	v, ok := m.Lookup(key)
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", &Error{Class: "TypeError", Msg: key + " of a turn must be text, not " + py.TypeName(v), Pos: m.PosOf(key)}
	}
	return s, nil
}

func textsOf(m *py.Dict, keys ...string) (string, error) {
	var out string
	for _, k := range keys {
		s, err := textOf(m, k)
		if err != nil {
			return "", err
		}
		out += s
	}
	return out, nil
}

func parseBatch(items []py.Value, mode Mode, parse func(Prompt, Mode) (Prompt, error)) (Prompt, error) {
	out := py.NewList()
	for _, it := range items {
		r, err := parse(it, mode)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, r)
	}
	return out, nil
}
