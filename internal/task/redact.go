package task

import (
	"io"

	"sextant/internal/py"
)

// redacted stands in files where a secret was.
const redacted = "REDACTED"

// Redact is cfg with the secrets in it replaced, for files that people read.
func Redact(cfg *py.Dict) *py.Dict {
	h := newHider(cfg)
	v, _ := h.value(cfg).(*py.Dict)
	if len(h.env) == 0 {
		return cfg
	}
	return blank(v, h).(*py.Dict)
}

// blank replaces the references that hider left.
func blank(v py.Value, h *hider) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		if name, ok := x.Get(envRef).(string); ok && x.Len() == 1 {
			if s := h.env[name]; h.texts[s] {
				return h.without(s, redacted)
			}
			return redacted
		}
		out := x.Copy()
		for _, e := range x.Entries() {
			out.Set(e.Key, blank(e.Val, h))
		}
		return out
	case *py.List:
		out := &py.List{At: x.At, Pos: x.Pos}
		for _, it := range x.Items {
			out.Items = append(out.Items, blank(it, h))
		}
		return out
	case *py.Tuple:
		out := &py.Tuple{At: x.At, Pos: x.Pos}
		for _, it := range x.Items {
			out.Items = append(out.Items, blank(it, h))
		}
		return out
	}
	return v
}

// ScrubWriter takes secrets out of what is written to w, one Write at a time.
func ScrubWriter(w io.Writer, secrets []string) io.Writer {
	if len(secrets) == 0 {
		return w
	}
	return scrubber{w, secrets}
}

type scrubber struct {
	w       io.Writer
	secrets []string
}

func (s scrubber) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, Scrub(string(p), s.secrets)); err != nil {
		return 0, err
	}
	return len(p), nil
}
