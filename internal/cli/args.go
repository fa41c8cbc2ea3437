package cli

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// flagArity says how many words an option of `sextant run` takes, as argparse
// takes them in OpenCompass: list options swallow every following word that
// does not begin with "-", optional ones at most one.
type flagArity int

const (
	arityNone flagArity = iota
	arityOne
	arityOptional // -r, --dump-eval-details
	arityList     // --models A B
)

// optionalBare is what an optional-value flag means when given without value.
var optionalBare = map[string]string{"reuse": "latest", "dump-eval-details": "true"}

// normalize rewrites the words of a command line from argparse's grammar to
// the one of pflag: unambiguous prefixes of long options are completed
// (--max-num → --max-num-workers), list options become one flag a word,
// optional values are glued on. Words behind "--" are left alone. shorts maps
// short options (which may have two letters: -sp) to long names.
func normalize(args []string, flags map[string]flagArity, shorts map[string]string) ([]string, error) {
	var out []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return append(out, args[i:]...), nil
		}
		name, val, hasVal := "", "", false
		switch {
		case strings.HasPrefix(a, "--"):
			name, val, hasVal = strings.Cut(a[2:], "=")
			full, err := complete(name, flags)
			if err != nil {
				return nil, err
			}
			name = full
		case len(a) > 1 && a[0] == '-':
			body, v, eq := strings.Cut(a[1:], "=")
			if long, ok := shorts[body]; ok {
				name, val, hasVal = long, v, eq
			} else if long, ok := shorts[a[1:2]]; ok && flags[long] != arityNone && len(a) > 2 {
				name, val, hasVal = long, strings.TrimPrefix(a[2:], "="), true // -wDIR
			} else {
				out = append(out, a)
				continue
			}
		default:
			out = append(out, a)
			continue
		}
		ar, known := flags[name]
		if !known {
			out = append(out, a) // pflag says what is wrong
			continue
		}
		next := func() bool { return i+1 < len(args) && (args[i+1] == "" || args[i+1][0] != '-' || isNumber(args[i+1])) }
		switch {
		case hasVal:
			out = append(out, "--"+name+"="+val)
		case ar == arityNone:
			out = append(out, "--"+name)
		case ar == arityOptional:
			if next() {
				i++
				out = append(out, "--"+name+"="+args[i])
			} else {
				out = append(out, "--"+name+"="+optionalBare[name])
			}
		case !next():
			return nil, fmt.Errorf("option --%s needs a value", name)
		case ar == arityOne:
			i++
			out = append(out, "--"+name+"="+args[i])
		default:
			for next() {
				i++
				out = append(out, "--"+name+"="+args[i])
			}
		}
	}
	return out, nil
}

func isNumber(s string) bool {
	if len(s) < 2 || s[0] != '-' {
		return false
	}
	return strings.Trim(s[1:], "0123456789.") == ""
}

// complete resolves an unambiguous prefix of a long option.
func complete(name string, flags map[string]flagArity) (string, error) {
	if _, ok := flags[name]; ok || name == "" {
		return name, nil
	}
	var hits []string
	for f := range flags {
		if strings.HasPrefix(f, name) {
			hits = append(hits, f)
		}
	}
	sort.Strings(hits)
	if len(hits) > 1 { // a prefix that OpenCompass knows keeps its meaning
		theirs := slices.DeleteFunc(slices.Clone(hits), func(n string) bool { return slices.Contains(ownFlags, n) })
		if len(theirs) == 1 {
			hits = theirs
		}
	}
	switch len(hits) {
	case 0:
		return name, nil
	case 1:
		return hits[0], nil
	}
	return "", fmt.Errorf("option --%s is ambiguous: it could be --%s", name, strings.Join(hits, ", --"))
}
