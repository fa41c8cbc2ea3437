package registry

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// UnknownError says that a name is not registered.
type UnknownError struct {
	Kind, Name string
	// Nearest is the name that was perhaps meant, or "".
	Nearest string
	// OpenCompass says that OpenCompass has a thing of this kind and name,
	// which this program lacks: not a misspelling.
	OpenCompass bool
	// IsA is the kind that the name does belong to, when it is of another.
	IsA string

	far bool // Nearest is a name of OpenCompass only
}

func (e *UnknownError) Error() string {
	switch {
	case e.OpenCompass:
		return fmt.Sprintf("%s %s of OpenCompass is not available in this version", e.Kind, e.Name)
	case e.IsA != "":
		return fmt.Sprintf("%s is %s, not %s", e.Name, article(e.IsA), article(e.Kind))
	}
	return fmt.Sprintf("unknown %s %q", e.Kind, e.Name)
}

// Hint is what to tell the user, or "".
func (e *UnknownError) Hint() string {
	switch {
	case e.OpenCompass:
		return unavailableHints[e.Kind]
	case e.Nearest == "":
		return ""
	case e.far:
		return fmt.Sprintf("did you mean %q? (of OpenCompass, not available in this version)", e.Nearest)
	}
	return fmt.Sprintf("did you mean %q?", e.Nearest)
}

// unavailableHints say what to do instead.
var unavailableHints = map[string]string{
	"model": "models that other programs serve (vLLM, LMDeploy, APIs) are not available yet; a Hugging Face folder runs here as HuggingFaceBaseModel or HuggingFaceCausalLM",
}

func article(kind string) string {
	if kind != "" && strings.IndexByte("aeiou", kind[0]) >= 0 {
		return "an " + kind
	}
	return "a " + kind
}

//go:embed opencompass.txt
var opencompass string

// Known lists the names that configs of OpenCompass 0.5.4 use, sorted, by
// kind ("evaluator", "dataset", …), whether this program has them or not.
var Known = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	for l := range strings.Lines(opencompass) {
		if kind, names, ok := strings.Cut(strings.TrimSpace(l), "\t"); ok && l[0] != '#' {
			m[kind] = strings.Fields(names)
		}
	}
	return m
})

// unknown words what is wrong with name, which no registry entry has.
func unknown(kind, name string, registered []string) *UnknownError {
	e := &UnknownError{Kind: kind, Name: Base(name)}
	known := Known()
	if has(known[kind], e.Name) {
		e.OpenCompass = true
		return e
	}
	for k, names := range known {
		if has(names, e.Name) && (e.IsA == "" || k < e.IsA) {
			e.IsA = k
		}
	}
	if e.IsA != "" {
		return e
	}
	e.Nearest = Nearest(e.Name, slices.Concat(registered, known[kind]))
	e.far = e.Nearest != "" && !slices.Contains(registered, e.Nearest)
	return e
}

func has(sorted []string, s string) bool {
	_, ok := slices.BinarySearch(sorted, s)
	return ok
}
