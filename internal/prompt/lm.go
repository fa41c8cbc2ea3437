package prompt

import (
	"strings"

	"sextant/internal/py"
)

// LM lays dialogues out as one text, for base models (OpenCompass's
// LMTemplateParser). The zero value has no meta template. Safe for concurrent
// use.
type LM struct{ layout }

// NewLM makes a parser for a meta template; nil or an empty dict is none.
// Errors are *Error.
func NewLM(meta *py.Dict) (*LM, error) {
	l, err := newLayout(meta)
	if err != nil {
		return nil, err
	}
	for _, r := range l.roles {
		for _, k := range []string{"begin", "end"} {
			if _, ok := r.Get(k).(*py.List); ok {
				return nil, &Error{Class: "NotImplementedError", Msg: k + " of a role cannot be a list of token ids", Pos: r.PosOf(k)}
			}
		}
	}
	return &LM{l}, nil
}

// Parse implements Parser; a List becomes a string.
func (l *LM) Parse(p Prompt, mode Mode) (Prompt, error) {
	switch x := p.(type) {
	case string:
		return x, nil
	case *py.List:
		return parseBatch(x.Items, mode, l.Parse)
	case *py.Tuple:
		return parseBatch(x.Items, mode, l.Parse)
	case List:
		return l.dialogue(x, mode)
	}
	return nil, errf("AssertionError", "a base model's prompt must be text or a dialogue, not %s", py.TypeName(p))
}

func (l *LM) dialogue(p List, mode Mode) (Prompt, error) {
	if l.meta == nil {
		return plainPrompt(p)
	}
	w := &lmWalker{l: l}
	begin, err := textOf(l.meta, "begin")
	if err != nil {
		return nil, err
	}
	w.b.WriteString(begin)
	cont, err := walk(p, mode, w)
	if err != nil {
		return nil, err
	}
	if cont {
		end, err := textOf(l.meta, "end")
		if err != nil {
			return nil, err
		}
		w.b.WriteString(end)
	}
	return w.b.String(), nil
}

func plainPrompt(p List) (Prompt, error) {
	s, err := plain(p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

type lmWalker struct {
	l *LM
	b strings.Builder
}

func (w *lmWalker) text(s string) error { w.b.WriteString(s); return nil }

func (w *lmWalker) turn(t *py.Dict) (bool, error) {
	over, err := w.l.merge([]py.Value{t})
	if err != nil {
		return false, err
	}
	return w.role(t, over, false)
}

func (w *lmWalker) rounds(dialogue []py.Value, gen bool) (bool, error) {
	cuts, err := w.l.splitRounds(dialogue, false)
	if err != nil {
		return false, err
	}
	cont := true
	for i := 0; i+1 < len(cuts); i++ {
		over, err := w.l.merge(dialogue[cuts[i]:cuts[i+1]])
		if err != nil {
			return false, err
		}
		cont = true
		for _, it := range w.l.round {
			if s, ok := it.(string); ok {
				w.b.WriteString(s)
				continue
			}
			if cont, err = w.role(it.(*py.Dict), over, gen && i == len(cuts)-2); err != nil {
				return false, err
			}
			if !cont {
				break
			}
		}
	}
	return cont, nil
}

func (w *lmWalker) role(t *py.Dict, over map[string]*py.Dict, gen bool) (bool, error) {
	m, err := w.l.lookup(t, over)
	if err != nil {
		return false, err
	}
	if gen && py.Truth(m.Get("generate")) {
		s, err := textOf(m, "begin")
		w.b.WriteString(s)
		return false, err
	}
	s, err := textsOf(m, "begin", "prompt", "end")
	w.b.WriteString(s)
	return true, err
}
