// Package registry maps the names that users write in configs to the things
// that implement them, and says which name was meant when one is misspelt.
//
// A config names a class by a bare name ("AccEvaluator"), by the dotted path
// it was imported from ("opencompass.openicl.icl_evaluator.AccEvaluator"), or
// by any other path that ends in the name. A name registered with dots wins
// over the bare name for configs that write exactly that path or a suffix of
// it; so two classes of one name are told apart by their module.
package registry

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Registry holds the things of one kind. Safe for concurrent use.
type Registry[T any] struct {
	kind string // "evaluator", for messages
	mu   sync.RWMutex
	m    map[string]T
	miss map[string]error // what Lookup said of names that are not there
}

// New returns an empty registry for things called kind in messages.
func New[T any](kind string) *Registry[T] { return &Registry[T]{kind: kind, m: map[string]T{}} }

// Register adds v under each of the names. It panics on a name taken: two
// files of the program claim it.
func (r *Registry[T]) Register(v T, names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range names {
		if _, ok := r.m[n]; ok {
			panic(fmt.Sprintf("%s %q registered twice", r.kind, n))
		}
		r.m[n] = v
	}
	r.miss = nil
}

// Lookup finds the thing that name, bare or dotted, stands for.
func (r *Registry[T]) Lookup(name string) (T, error) {
	v, err, ok := r.find(name)
	if ok {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.miss == nil || len(r.miss) >= maxMiss {
		r.miss = map[string]error{}
	}
	err = unknown(r.kind, name, r.names())
	r.miss[name] = err
	return v, err
}

// maxMiss bounds how many names are remembered that are not there: the same
// few stand in many datasets of a config.
const maxMiss = 1000

func (r *Registry[T]) find(name string) (v T, err error, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s := name; ; {
		if v, ok := r.m[s]; ok {
			return v, nil, true
		}
		i := strings.IndexByte(s, '.')
		if i < 0 {
			break
		}
		s = s[i+1:]
	}
	err, ok = r.miss[name]
	return v, err, ok
}

func (r *Registry[T]) names() []string {
	out := make([]string, 0, len(r.m))
	for n := range r.m {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Names lists what is registered, sorted.
func (r *Registry[T]) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names()
}

// Base is the last component of a dotted name.
func Base(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// Nearest returns the candidate with the smallest edit distance to name
// (letter case counts half), or "" when none is near enough to be a slip:
// at most a third of the letters.
func Nearest(name string, candidates []string) string {
	best, bestD := "", 2*(len(name)/3)+1
	for _, c := range candidates {
		if d := distance(name, c, bestD); d < bestD {
			best, bestD = c, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance (adjacent transpositions, each
// step 2, a difference of letter case 1), cut off at limit.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); 2*d >= limit || -2*d >= limit {
		return limit
	}
	var room [3][64]int
	prev2, prev, cur := room[0][:], room[1][:], room[2][:]
	if len(b) >= len(prev) {
		prev2, prev, cur = make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	}
	for j := range len(b) + 1 {
		prev[j] = 2 * j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = 2 * i
		for j := 1; j <= len(b); j++ {
			c := 2
			if a[i-1] == b[j-1] {
				c = 0
			} else if lower(a[i-1]) == lower(b[j-1]) {
				c = 1
			}
			cur[j] = min(prev[j]+2, cur[j-1]+2, prev[j-1]+c)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+2)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 32
	}
	return c
}
