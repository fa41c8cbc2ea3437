package postprocess

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"sort"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest/refjson"
)

var update = flag.Bool("update", false, "write the list of what is pending")

// inputs are the texts of the reference data.
func inputs(t testing.TB) []string {
	var out []string
	for _, r := range refjson.Lines(t, "conformance", "postprocess", "inputs.jsonl") {
		out = append(out, r.Str("text"))
	}
	return out
}

func agrees(text string, got py.Value, err error, want py.Value) bool {
	if d, ok := want.(*py.Dict); ok {
		switch {
		case d.Has("$same"):
			return err == nil && got == text
		case d.Has("$error"):
			var e *py.Exception
			return errors.As(err, &e) && e.Class == d.Str("$error")
		case d.Has("$sha256"):
			s, ok := got.(string)
			sum := sha256.Sum256([]byte(s))
			return err == nil && ok && hex.EncodeToString(sum[:]) == d.Str("$sha256")
		}
	}
	if err != nil {
		return false
	}
	g, ok1 := got.(float64)
	w, ok2 := want.(float64)
	if ok1 && ok2 {
		return g == w || math.IsNaN(g) && math.IsNaN(w)
	}
	if t, ok := got.(*py.Tuple); ok {
		got = py.NewList(t.Items...)
	}
	return py.TypeName(got) == py.TypeName(want) && py.Equal(got, want)
}

// TestConformance runs every registered function over all answers. Functions
// that are not there yet are listed in testdata/pending.txt, which must be
// exact: a registered function that differs is an error.
func TestConformance(t *testing.T) {
	texts := inputs(t)
	recs := refjson.Lines(t, "conformance", "postprocess", "postprocess.jsonl")
	pendingSet := map[string]bool{}
	agree, total, lines := 0, 0, 0
	for _, r := range recs {
		full := r.Str("module") + "." + r.Str("name")
		f, err := Functions.Lookup(full)
		if err != nil {
			pendingSet[full] = true
			continue
		}
		if _, err := f("", nil); errors.Is(err, ErrUnavailable) {
			pendingSet[full] = true
			continue
		}
		lines++
		bad := 0
		for i, want := range r.List("outputs").Items {
			total++
			got, err := f(texts[i], r.Dict("kwargs"))
			if agrees(texts[i], got, err, want) {
				agree++
				continue
			}
			if bad++; bad < 4 {
				t.Errorf("%s %s of %.200q: got %s (%v), want %s", r.Str("name"), py.Repr(r.Get("kwargs")), texts[i], py.Repr(got), err, py.Repr(want))
			}
		}
		if bad > 0 {
			t.Errorf("%s %s: %d of %d differ", full, py.Repr(r.Get("kwargs")), bad, len(texts))
		}
	}
	t.Logf("%d of %d outputs of %d functions with arguments agree; %d lines pending", agree, total, lines, len(recs)-lines)
	var pending []string
	for n := range pendingSet {
		pending = append(pending, n)
	}
	sort.Strings(pending)
	want, err := os.ReadFile("testdata/pending.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pending, "\n") + "\n"; got != string(want) {
		if *update {
			if err := os.WriteFile("testdata/pending.txt", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("testdata/pending.txt is to read (-update writes it):\n%s", got)
	}
}

func call(t testing.TB, name, text string, kv ...py.Value) py.Value {
	t.Helper()
	f, err := Functions.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := f(text, py.DictOf(kv...))
	if err != nil {
		t.Fatalf("%s of %q: %v", name, text, err)
	}
	return v
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       py.Value
	}{
		{"general", "The answer is: Yes, it is.", "answer is Yes"},
		{"general", "  An  apple tree\nx", "apple tree"},
		{"general", "U.S. army", "U"},
		{"general", "1,000", "1"},
		{"general", "don't  stop", "dont stop"},
		{"general", "Äpfel the-end!", "Äpfel theend"},
		{"first-capital", "答案是Ｂ", "Ｂ"},
		{"first-capital", "hello World", "W"},
		{"last-capital", "abc", ""},
		{"first-capital-multi", "the Answer: BD", "A"},
		{"first-capital-multi", "xACDz", "ACD"},
		{"first_number_postprocess", "abc 12.5 x", 12.5},
		{"first_number_postprocess", "-.5", -0.5},
		{"first_number_postprocess", "1,234", 1.0},
		{"first_number_postprocess", "no", nil},
		{"extract-non-reasoning-content", "<think>a</think> b", "b"},
		{"extract-non-reasoning-content", "a</think>b</think> c ", "c"},
		{"extract-non-reasoning-content", "<think>a", "<think>a"},
		{"extract-non-reasoning-content", "<think>x</think>1<think>y</think>2 ", "12"},
	} {
		if got := call(t, c.name, c.text); got != c.want {
			t.Errorf("%s(%q) = %#v, want %#v", c.name, c.text, got, c.want)
		}
	}
	for _, c := range [][3]string{
		{"B", "B", ""}, {"B.", "B", "B"}, {"Answer: B", "B", "B"}, {"ANSWER: d", "A", ""}, {"**B**", "B", ""}, {"Option: C) foo", "C", ""},
		{"1. A cat", "A", "A"}, {"x A, y", "A", ""}, {"故选C只有D对", "C", "C"}, {"故选C", "C", "C"}, {"答案是 AB。", "A", "A"}, {"BA is it", "B", ""},
		{"The best choice is (C) since A is wrong.", "C", ""}, {"A: foo\nB: bar\nAnswer B", "B", "B"}, {"1 BD", "B", "B"},
		{"A or B? The correct answer is: $\\boxed{C}$", "C", "C"}, {"Because D is wrong, choose A", "A", "A"}, {"no option here", "", ""},
	} {
		if got := call(t, "first_option_postprocess", c[0], "options", "ABCD"); got != c[1] {
			t.Errorf("first option of %q: %q, want %q", c[0], got, c[1])
		}
		if got := call(t, "opencompass.utils.text_postprocessors.first_option_postprocess", c[0], "options", "ABCD", "cushion", false); got != c[2] {
			t.Errorf("first option of %q without cushion: %q, want %q", c[0], got, c[2])
		}
	}
}

// TestScannersAreThePatterns holds the scanners against the patterns that they
// stand for.
func TestScannersAreThePatterns(t *testing.T) {
	for _, text := range inputs(t) {
		same(t, text)
	}
}

func same(t testing.TB, text string) {
	text = py.StripSpace(text)
	for _, opts := range []string{"ABCD", "AB", "ABCDEFGHIJKLMNOP"} {
		for _, cushion := range []bool{true, false} {
			a, err1 := findOption(text, opts, cushion, true)
			b, err2 := findOption(text, opts, cushion, false)
			if err1 != nil || err2 != nil {
				t.Fatalf("%q: %v, %v", text, err1, err2)
			}
			if a != b {
				t.Errorf("options %s cushion %v of %q: scanners find %q, patterns %q", opts, cushion, text, a, b)
			}
		}
	}
}

func FuzzFirstOption(f *testing.F) {
	for _, s := range []string{"A", "ANſWER: B", "1\n A", "x A.", "，故A。", "是 B", "A$", "11 B", "因此 C", "答案 选", "所以 A$", "1　A", "A。", "B\x1c.", " x\x1fA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 300 || !isText(text) {
			return
		}
		same(t, text)
	})
}

func isText(s string) bool { return strings.ToValidUTF8(s, "") == s && !strings.Contains(s, "\ufffd") }

func FuzzAll(f *testing.F) {
	for _, s := range []string{"", "a.b", "<think>", "</think>x", "\\boxed{", "-.", "1.", "٣.٤", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range Functions.Names() {
			fn, _ := Functions.Lookup(name)
			kw := kwFor(name)
			a, err1 := fn(text, kw)
			b, err2 := fn(text, kw)
			if (err1 == nil) != (err2 == nil) || py.Repr(a) != py.Repr(b) {
				t.Errorf("%s(%q) is not one value: %s, %s", name, text, py.Repr(a), py.Repr(b))
			}
		}
	})
}

func BenchmarkFirstOption(b *testing.B) {
	long := strings.Repeat("Let us think about what each person would want to do next in this situation. ", 25) + "So the choice should be (B)."
	kw := py.DictOf("options", "ABC")
	b.SetBytes(int64(len(long)))
	for range b.N {
		if _, err := firstOption(long, kw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFirstOptionByPatterns(b *testing.B) {
	long := strings.Repeat("Let us think about what each person would want to do next in this situation. ", 25) + "So the choice should be (B)."
	b.SetBytes(int64(len(long)))
	for range b.N {
		if _, err := findOption(long, "ABC", true, false); err != nil {
			b.Fatal(err)
		}
	}
}
