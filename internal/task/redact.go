package task

import (
	"io"
	"regexp"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// redacted stands in files where a secret was.
const redacted = "REDACTED"

// Redact is cfg with the secrets in it replaced, for files that people read. A
// secret that a variable of environ ("NAME=value") holds becomes {{$NAME:}},
// which both this program and OpenCompass fill in when they load the file; any
// other becomes REDACTED, see CheckSecrets.
func Redact(cfg *py.Dict, environ ...string) *py.Dict {
	h := newHider(cfg)
	v, _ := h.value(cfg).(*py.Dict)
	if len(h.env) == 0 {
		return cfg
	}
	vars := map[string]string{}
	for _, e := range environ {
		k, val, ok := strings.Cut(e, "=")
		// the file is filled in as text: what would end a string has no place there
		if ok && len(val) >= minSecret && spec.IsSecretVariable(k) && wordRE.MatchString(k) && !strings.ContainsAny(val, "'\"\\\r\n{}") {
			if old, dup := vars[val]; !dup || k < old {
				vars[val] = k
			}
		}
	}
	return blank(v, h, func(secret string) string {
		if name, ok := vars[secret]; ok {
			return "{{$" + name + ":}}"
		}
		return redacted
	}).(*py.Dict)
}

var wordRE = regexp.MustCompile(`^\w+$`)

// Named lets the variables that Redact named in a dumped config be filled in:
// a dump otherwise writes {{ so that nothing is.
func Named(dump string) string {
	return namedRE.ReplaceAllStringFunc(dump, func(m string) string {
		if name := namedRE.FindStringSubmatch(m)[1]; spec.IsSecretVariable(name) {
			return "{{$" + name + ":}}"
		}
		return m
	})
}

var namedRE = regexp.MustCompile(`\{\\x7b\$(\w+):\}\}`)

// CheckSecrets finds secrets of models and judges that were taken out when the
// config was written, and so cannot be used.
func CheckSecrets(e *spec.Experiment) source.List {
	c := &checker{seen: map[source.Pos]bool{}}
	for _, m := range e.Models {
		c.secrets(m.Cfg)
	}
	for _, d := range e.Datasets {
		if d.Eval != nil {
			c.secrets(d.Eval)
		}
	}
	return c.errs
}

// Redacted reports whether a secret was taken out of cfg that CheckSecrets
// would miss.
func Redacted(cfg *py.Dict) bool {
	c := &checker{seen: map[source.Pos]bool{}}
	c.secrets(cfg)
	return len(c.errs) > 0
}

func (c *checker) secrets(v py.Value) {
	switch x := v.(type) {
	case *py.Dict:
		for _, e := range x.Entries() {
			k, _ := e.Key.(string)
			if s, ok := e.Val.(string); ok && s == redacted && spec.IsSecretVariable(k) {
				c.add(source.Errorf(x.PosOf(k), "%s was taken out of this config when it was written", k).
					WithHint("put it back, or name a variable of the environment that holds it: '{{$NAME:}}'"))
				continue
			}
			c.secrets(e.Val)
		}
	case *py.List:
		for _, it := range x.Items {
			c.secrets(it)
		}
	case *py.Tuple:
		for _, it := range x.Items {
			c.secrets(it)
		}
	}
}

// blank replaces the references that hider left.
func blank(v py.Value, h *hider, by func(secret string) string) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		if name, ok := x.Get(envRef).(string); ok && x.Len() == 1 {
			if s := h.env[name]; h.texts[s] {
				return h.without(s, by)
			}
			return by(h.env[name])
		}
		out := x.Copy()
		for _, e := range x.Entries() {
			out.Set(e.Key, blank(e.Val, h, by))
		}
		return out
	case *py.List:
		out := &py.List{At: x.At, Pos: x.Pos}
		for _, it := range x.Items {
			out.Items = append(out.Items, blank(it, h, by))
		}
		return out
	case *py.Tuple:
		out := &py.Tuple{At: x.At, Pos: x.Pos}
		for _, it := range x.Items {
			out.Items = append(out.Items, blank(it, h, by))
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
