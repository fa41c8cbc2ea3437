package pyre

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"sextant/internal/sharedtest"
)

// records calls f for each line of a reference file that holds no lone
// surrogate, which Go's decoder cannot keep.
func records[T any](t *testing.T, name string, f func(T)) {
	t.Helper()
	fh, err := os.Open(sharedtest.Path(t, "conformance", "pynum", name))
	if err != nil {
		t.Fatal(err)
	}
	defer fh.Close()
	sc := bufio.NewScanner(fh)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var r T
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v in %.200s", name, err, sc.Text())
		}
		f(r)
	}
	if sc.Err() != nil {
		t.Fatal(sc.Err())
	}
}

func parseFlags(s string) (f Flags) {
	for _, c := range s {
		f |= map[rune]Flags{'I': I, 'M': M, 'S': S, 'X': X, 'A': A}[c]
	}
	return f
}

func texts(t *testing.T) map[int]string {
	out := map[int]string{}
	records(t, "regex_texts.jsonl", func(r struct {
		ID   int
		Text string
	}) {
		out[r.ID] = r.Text
	})
	return out
}

func TestConformanceFindIter(t *testing.T) {
	t.Parallel()
	tx := texts(t)
	n := 0
	records(t, "regex.jsonl", func(r struct {
		Pattern, Flags string
		Matches        [][2]json.RawMessage
	}) {
		p, err := Compile(r.Pattern, parseFlags(r.Flags))
		if err != nil {
			t.Errorf("%q: %v", r.Pattern, err)
			return
		}
		want := map[int]string{}
		for _, m := range r.Matches {
			var id int
			if err := json.Unmarshal(m[0], &id); err != nil {
				t.Fatal(err)
			}
			want[id] = string(m[1])
		}
		for id, text := range tx {
			got := [][3]any{}
			for _, m := range p.FindIter(text) {
				groups := []any{}
				for g := 1; g <= p.NumGroups(); g++ {
					if m.Has(g) {
						groups = append(groups, m.Group(g))
					} else {
						groups = append(groups, nil)
					}
				}
				got = append(got, [3]any{m.Start(0), m.End(0), groups})
			}
			w := want[id]
			if w == "" {
				w = "[]"
			}
			var wv any
			if err := json.Unmarshal([]byte(w), &wv); err != nil {
				t.Fatal(err)
			}
			var gv any
			b, _ := json.Marshal(got)
			if err := json.Unmarshal(b, &gv); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(gv, wv) {
				t.Errorf("%q flags %s on %q:\n got %s\nwant %s", r.Pattern, r.Flags, text, b, w)
			}
			n++
		}
	})
	t.Logf("%d pattern and text pairs", n)
}

func TestConformanceSubAndSplit(t *testing.T) {
	t.Parallel()
	tx := texts(t)
	records(t, "regex_sub.jsonl", func(r struct {
		Pattern, Repl, Flags string
		Text                 int
		Sub                  string
		Split                struct{ Result []*string }
	}) {
		p, err := Compile(r.Pattern, parseFlags(r.Flags))
		if err != nil {
			t.Errorf("%q: %v", r.Pattern, err)
			return
		}
		s := tx[r.Text]
		if got, err := p.Sub(r.Repl, s, 0); err != nil || got != r.Sub {
			t.Errorf("sub(%q, %q, %q) = %q, %v, want %q", r.Pattern, r.Repl, s, got, err, r.Sub)
		}
		var got []*string
		for _, x := range p.SplitAll(s, 0) {
			if x.None {
				got = append(got, nil)
			} else {
				got = append(got, &x.Text)
			}
		}
		if r.Split.Result != nil && !reflect.DeepEqual(got, r.Split.Result) {
			t.Errorf("split(%q, %q) = %q", r.Pattern, s, p.Split(s, 0))
		}
	})
}

// goldenRow is one line of testdata/re.jsonl, made by testdata/gen_re.py with
// CPython 3.11.
type goldenRow struct {
	Pattern, Text string
	Flags         int
	Error         string
	Spans         [][][2]int // of each match, of each group, in code points
	Full          bool
	Repl          string
	Sub, SubError string
}

func TestAgainstCPython(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/re.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	rows := 0
	for sc.Scan() {
		var r goldenRow
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows++
		p, err := Compile(r.Pattern, Flags(r.Flags))
		if r.Error != "" {
			if err == nil || err.Error() != r.Error {
				t.Errorf("compile %q: got error %v, want %q", r.Pattern, err, r.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("compile %q: %v", r.Pattern, err)
			continue
		}
		var got [][][2]int
		for _, m := range p.FindIter(r.Text) {
			var row [][2]int
			for g := 0; g <= p.NumGroups(); g++ {
				row = append(row, [2]int{m.Start(g), m.End(g)})
			}
			got = append(got, row)
		}
		if len(got)+len(r.Spans) > 0 && !reflect.DeepEqual(got, r.Spans) {
			t.Errorf("finditer(%q, %q, %d)\n got %v\nwant %v", r.Pattern, r.Text, r.Flags, got, r.Spans)
		}
		if full := p.FullMatch(r.Text) != nil; full != r.Full {
			t.Errorf("fullmatch(%q, %q, %d) is %v, want %v", r.Pattern, r.Text, r.Flags, full, r.Full)
		}
		sub, err := p.Sub(r.Repl, r.Text, 0)
		switch {
		case r.SubError != "":
			if err == nil || err.Error() != r.SubError {
				t.Errorf("sub(%q, %q, %q): got error %v, want %q", r.Pattern, r.Repl, r.Text, err, r.SubError)
			}
		case err != nil || sub != r.Sub:
			t.Errorf("sub(%q, %q, %q) = %q, %v, want %q", r.Pattern, r.Repl, r.Text, sub, err, r.Sub)
		}
	}
	if rows < 1000 {
		t.Errorf("only %d rows", rows)
	}
}

func TestEndlessBacktrackingIsAnError(t *testing.T) {
	t.Parallel()
	err := func() (err error) {
		defer Catch(&err)
		MustCompile(`(a*)*b`).Matches(strings.Repeat("a", 100))
		MustCompile(`(?:(?:a|aa)+)+$`).Matches(strings.Repeat("a", 100) + "b")
		return nil
	}()
	if _, ok := err.(*LimitError); !ok {
		t.Fatalf("got %v, want a LimitError", err)
	}
}

func TestLongTexts(t *testing.T) {
	t.Parallel()
	s := strings.Repeat("word and 数字 12, ", 20000) + "The answer is B"
	if got := Search(`(?s)answer is:?\s+([A-D])`, s).Group(1); got != "B" {
		t.Errorf("got %q", got)
	}
	if n := len(FindAll(`\d+`, s)); n != 20000 {
		t.Errorf("%d numbers", n)
	}
	if m := Search(`(?:[a-z]+|\W|\w)*`, s); m.End(0) != utf8.RuneCountInString(s) {
		t.Errorf("ends at %d", m.End(0))
	}
	if m := Search(`(?s).*answer`, s); m == nil {
		t.Error("no match")
	}
}

func TestExpandAndNames(t *testing.T) {
	t.Parallel()
	m := Search(`(?P<first>\w+) (?P<second>\w+)?`, "ab cd")
	if got, err := m.Expand(`\g<second>-\g<first>\n\1`); err != nil || got != "cd-ab\nab" {
		t.Errorf("got %q, %v", got, err)
	}
	if m.Named("second") != "cd" || m.Named("none") != "" {
		t.Error("wrong named groups")
	}
	if got := MustCompile(`\d`).SubFunc("a1b2", 0, func(m *Match) string { return "<" + m.Text() + ">" }); got != "a<1>b<2>" {
		t.Errorf("got %q", got)
	}
	if got := Escape("a.b*中 c"); got != `a\.b\*中\ c` {
		t.Errorf("got %q", got)
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{`(?P<x>\w)(?P<y>\d)?`, `[^\w\s]`, `(?<=A)\W`, `(a|b)*?c{2,}`, `(?(1)a|b)()`, `(?>a+)b`, `\b(?:x|)+$`} {
		f.Add(s, "The answer is (B). 答案：A\n", 0)
	}
	f.Fuzz(func(t *testing.T, pattern, text string, flags int) {
		if len(text) > 200 || len(pattern) > 200 {
			return
		}
		p, err := Compile(pattern, Flags(flags)&(I|M|S|X|A))
		if err != nil {
			return
		}
		err = func() (err error) {
			defer Catch(&err)
			last := -1
			for _, m := range p.FindIter(text) {
				a, b := m.Span(0)
				if a < last || b < a || b > len(text) {
					t.Fatalf("%q on %q: match at %d:%d after %d", pattern, text, a, b, last)
				}
				last = b
			}
			if got, _ := p.Sub(`\g<0>`, text, 0); got != text {
				t.Fatalf("%q: sub with the match itself gives %q for %q", pattern, got, text)
			}
			if got := strings.Join(p.Split(text, 0), ""); p.NumGroups() == 0 && len(got) > len(text) {
				t.Fatalf("%q: pieces of %q are longer than it", pattern, text)
			}
			return nil
		}()
		_ = err // a LimitError is an answer
	})
}

func BenchmarkLastNumber(b *testing.B) {
	s := strings.Repeat("So 12 + 30 makes 42, which we multiply. ", 50)
	p := MustCompile(`(-?\d*\.?\d+)`)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		p.FindAll(s)
	}
}

func BenchmarkOption(b *testing.B) {
	s := strings.Repeat("Let us think step by step. 首先分析题目。", 50) + "The answer is (C)."
	p := MustCompile(`[Tt]he answer is:?\s+\(?([ABCD])\)?`, S)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		if p.Search(s) == nil {
			b.Fatal("no match")
		}
	}
}
