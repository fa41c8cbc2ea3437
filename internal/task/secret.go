package task

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/spec"
)

// Secrets in configs (keys of APIs, tokens, passwords) reach a worker through
// its environment. In its manifest the value is {"$env": NAME}, where NAME is
// a variable that the coordinator sets for the worker and that says nothing.

// secretEnvPrefix begins the names of the variables that carry secrets.
const secretEnvPrefix = "SEXTANT_SECRET_"

const envRef = "$env"

// literalSecret reports whether a value under a secret's key is one, not a
// pointer to where it is: OpenCompass writes 'ENV' for "see the environment".
func literalSecret(s string) bool { return s != "" && s != "ENV" && s != "EMPTY" && s != redacted }

// hider takes secrets out of values.
type hider struct {
	env   map[string]string // variable to secret
	names map[string]string // secret to variable
	known []string          // secrets that may stand inside other texts
	texts map[string]bool   // of names: texts that hold a secret among other things
}

// newHider makes a hider that also hides texts in which a secret of the given
// values stands: a header put together from a key, say.
func newHider(vs ...*py.Dict) *hider {
	first := &hider{env: map[string]string{}, names: map[string]string{}, texts: map[string]bool{}}
	for _, v := range vs {
		if v != nil {
			first.value(v)
		}
	}
	h := &hider{env: map[string]string{}, names: map[string]string{}, texts: map[string]bool{}}
	for _, s := range SecretValues(first.env) {
		if len(s) >= minSecret && !first.texts[s] {
			h.known = append(h.known, s)
		}
	}
	return h
}

// minSecret is the length in bytes from which a secret is looked for in texts:
// shorter ones would blacken ordinary words, and no service gives out such keys.
const minSecret = 6

// secretText finds what looks like a secret wherever it stands: bearer tokens,
// keys of well-known services, passwords in addresses.
var secretText = regexp.MustCompile(`[Bb]earer\s+[^\s'"]{6,}|\bsk-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{16,}|://[^/\s:@]*:[^/\s@]+@`)

// hides reports whether a text under no particular key is, or holds, a secret.
func (h *hider) hides(s string) bool {
	for _, k := range h.known {
		if strings.Contains(s, k) {
			return true
		}
	}
	// the pattern is slow and prompts are long
	if !strings.Contains(s, "earer") && !strings.Contains(s, "sk-") && !strings.Contains(s, "hf_") && !strings.Contains(s, "://") {
		return false
	}
	return secretText.MatchString(s)
}

// without is s with the secrets in it replaced.
func (h *hider) without(s string, by func(secret string) string) string {
	for _, k := range h.known {
		s = strings.ReplaceAll(s, k, by(k))
	}
	return secretText.ReplaceAllStringFunc(s, func(m string) string {
		if strings.Contains(m, "{{$") {
			return m
		}
		if strings.HasPrefix(m, "://") {
			return "://" + redacted + "@"
		}
		return by(m)
	})
}

func (h *hider) ref(secret string) *py.Dict {
	name, ok := h.names[secret]
	if !ok {
		name = fmt.Sprintf("%s%d", secretEnvPrefix, len(h.names)+1)
		h.names[secret], h.env[name] = name, secret
	}
	return py.DictOf(envRef, name)
}

// value returns v with its secrets replaced; what holds none is shared.
func (h *hider) value(v py.Value) py.Value {
	switch x := v.(type) {
	case string:
		if h.hides(x) {
			h.texts[x] = true
			return h.ref(x)
		}
	case *py.Dict:
		var out *py.Dict
		for _, e := range x.Entries() {
			var nv py.Value
			k, _ := e.Key.(string)
			t, isText := e.Val.(string)
			if k != "" && (spec.IsSecretKey(k) || isText && spec.IsSecret(k, t)) {
				nv = h.secret(e.Val)
			} else {
				nv = h.value(e.Val)
			}
			if differs(nv, e.Val) {
				if out == nil {
					out = x.Copy()
				}
				out.Set(e.Key, nv)
			}
		}
		if out != nil {
			return out
		}
	case *py.List:
		if items, changed := h.items(x.Items, h.value); changed {
			return &py.List{Items: items, Pos: x.Pos, At: x.At}
		}
	case *py.Tuple:
		if items, changed := h.items(x.Items, h.value); changed {
			return &py.Tuple{Items: items, Pos: x.Pos, At: x.At}
		}
	}
	return v
}

// differs compares what hider and reveal may have replaced: strings and
// containers, by identity.
func differs(a, b py.Value) bool {
	switch b.(type) {
	case string, *py.Dict, *py.List, *py.Tuple:
		return a != b
	}
	return false
}

func (h *hider) items(items []py.Value, f func(py.Value) py.Value) ([]py.Value, bool) {
	out, changed := items, false
	for i, it := range items {
		if nv := f(it); differs(nv, it) {
			if !changed {
				out, changed = append([]py.Value(nil), items...), true
			}
			out[i] = nv
		}
	}
	return out, changed
}

// secret replaces what stands under a secret's key: a string or a list of them.
func (h *hider) secret(v py.Value) py.Value {
	switch x := v.(type) {
	case string:
		if literalSecret(x) {
			return h.ref(x)
		}
	case *py.List:
		if items, changed := h.items(x.Items, h.secret); changed {
			return &py.List{Items: items, Pos: x.Pos, At: x.At}
		}
	case *py.Tuple:
		if items, changed := h.items(x.Items, h.secret); changed {
			return &py.Tuple{Items: items, Pos: x.Pos, At: x.At}
		}
	case *py.Dict:
		return h.value(x)
	}
	return v
}

// reveal puts secrets back.
func reveal(v py.Value, getenv func(string) string) (py.Value, error) {
	var err error
	switch x := v.(type) {
	case *py.Dict:
		if name, ok := x.Get(envRef).(string); ok && x.Len() == 1 && strings.HasPrefix(name, secretEnvPrefix) {
			s := getenv(name)
			if s == "" {
				return nil, fmt.Errorf("a secret of the config was not passed on: variable %s is not set", name)
			}
			return s, nil
		}
		for _, e := range x.Entries() {
			nv, err := reveal(e.Val, getenv)
			if err != nil {
				return nil, err
			}
			if differs(nv, e.Val) {
				x.Set(e.Key, nv)
			}
		}
	case *py.List:
		for i := range x.Items {
			if x.Items[i], err = reveal(x.Items[i], getenv); err != nil {
				return nil, err
			}
		}
	case *py.Tuple:
		for i := range x.Items {
			if x.Items[i], err = reveal(x.Items[i], getenv); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// Secrets collects the secrets in values, longest first, so that logs and
// messages can be cleaned of them.
func Secrets(vs ...*py.Dict) []string {
	h := newHider(vs...)
	for _, v := range vs {
		if v != nil {
			h.value(v)
		}
	}
	return SecretValues(h.env)
}

// JoinSecrets is all of them, longest first.
func JoinSecrets(lists ...[]string) []string {
	all := map[string]string{}
	for _, l := range lists {
		for _, s := range l {
			all[s] = s
		}
	}
	return SecretValues(all)
}

// SecretValues are the values of env, longest first.
func SecretValues(env map[string]string) []string {
	var out []string
	for _, s := range env {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool {
		if len(out[i]) != len(out[j]) {
			return len(out[i]) > len(out[j])
		}
		return out[i] < out[j]
	})
	return out
}

// EnvSecrets are the values of variables whose names say that they are
// secrets: what a model reads there may come back in an error's text.
func EnvSecrets(environ []string) []string {
	found := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok && len(v) >= 8 && spec.IsSecretVariable(k) {
			found[k] = v
		}
	}
	return SecretValues(found)
}

// Scrub replaces secrets in a text, but for very short ones.
func Scrub(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= minSecret {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}
