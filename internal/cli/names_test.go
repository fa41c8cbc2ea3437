package cli

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFnmatch(t *testing.T) {
	for _, c := range []struct {
		pat, s string
		want   bool
	}{
		{"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"[ab]x", "bx", true}, {"[!ab]x", "bx", false}, {"[!ab]x", "cx", true}, {"[a-c]", "b", true}, {"[a-c]", "d", false},
		{"[]]", "]", true}, {"[x", "[x", true}, {"*siqa*.py", "my_siqa_ppl.py", true}, {"**a", "ba", true},
	} {
		if got := fnmatch(c.pat, c.s); got != c.want {
			t.Errorf("fnmatch(%q, %q) = %v", c.pat, c.s, got)
		}
	}
}

func TestFindNames(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, p := range []string{"b/Siqa_gen.py", "siqa_gen.py", "a/other.py", "b/c/siqa_ppl.py", "siqa_gen.txt"} {
		fsys["d/"+p] = &fstest.MapFile{}
	}
	roots := []nameRoot{{fsys: fsys, dir: "d"}}
	for pat, want := range map[string]string{
		"siqa_gen":    "d/b/Siqa_gen.py d/siqa_gen.py", // by stem: upper case sorts first
		"SIQA_PPL.py": "d/b/c/siqa_ppl.py",
		"*siqa*":      "d/b/Siqa_gen.py d/siqa_gen.py d/b/c/siqa_ppl.py",
		"b/siqa_gen":  "",
	} {
		var got []string
		for _, f := range findNames(roots, pat) {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", pat, got, want)
		}
	}
}

func TestNormalize(t *testing.T) {
	flags := map[string]flagArity{"models": arityList, "max-num-workers": arityOne, "max-out-len": arityOne, "debug": arityNone, "reuse": arityOptional, "work-dir": arityOne, "station-path": arityOne}
	shorts := map[string]string{"r": "reuse", "w": "work-dir", "sp": "station-path"}
	for _, c := range []struct{ in, want, err string }{
		{in: "cfg.py --models a b --debug", want: "cfg.py --models=a --models=b --debug"},
		{in: "--max-num 3", want: "--max-num-workers=3"},
		{in: "--max 3", err: "option --max is ambiguous: it could be --max-num-workers, --max-out-len"},
		{in: "cfg.py -r", want: "cfg.py --reuse=latest"},
		{in: "cfg.py -r 2024 -w d", want: "cfg.py --reuse=2024 --work-dir=d"},
		{in: "-r --debug", want: "--reuse=latest --debug"},
		{in: "-wd -sp x", want: "--work-dir=d --station-path=x"},
		{in: "--max-out-len=-1", want: "--max-out-len=-1"},
		{in: "--max-out-len -1", want: "--max-out-len=-1"},
		{in: "--work-dir", err: "option --work-dir needs a value"},
		{in: "--nonsense x", want: "--nonsense x"},
		{in: "a -- --models b c", want: "a -- --models b c"},
	} {
		got, err := normalize(strings.Fields(c.in), flags, shorts)
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%s: %v", c.in, err)
			}
			continue
		}
		if c.err != "" || !reflect.DeepEqual(got, strings.Fields(c.want)) {
			t.Errorf("%s: got %q, want %q %s", c.in, got, c.want, c.err)
		}
	}
}
