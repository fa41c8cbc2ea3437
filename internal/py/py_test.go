package py

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"sextant/internal/source"
)

func TestResultsAreBounded(t *testing.T) {
	t.Parallel()
	bigInt := func(s string) Value { v, _ := ParseInt(s, 10); return v }
	list := NewList(1, 2, 3)
	for name, f := range map[string]func() error{
		"str times":      func() error { _, err := Binary("*", "abc", 1<<40); return err },
		"list times":     func() error { _, err := Binary("*", list, 1<<40); return err },
		"overflow times": func() error { _, err := Binary("*", list, math.MaxInt); return err },
		"power":          func() error { _, err := Binary("**", 10, 10000000); return err },
		"big power":      func() error { _, err := Binary("**", 2, bigInt("99999999999999999999")); return err },
		"shift":          func() error { _, err := Binary("<<", 1, 1<<30); return err },
		"width":          func() error { _, err := Format(1, "1000000000"); return err },
		"wide fill":      func() error { _, err := Format("x", "中<30000000"); return err },
		"precision":      func() error { _, err := Format(1.0, ".1000000000f"); return err },
		"percent width":  func() error { _, err := Percent("%1000000000d", 1); return err },
		"percent digits": func() error { _, err := Percent("%.1000000000d", 1); return err },
		"percent star":   func() error { _, err := Percent("%*s", NewTuple(1<<40, "x")); return err },
		"str.format":     func() error { _, err := StrFormat("{:{}}", []Value{1, 1 << 40}, nil); return err },
		"center":         func() error { m, _ := Method("x", "center"); _, err := m([]Value{1 << 40}, nil); return err },
		"zfill":          func() error { m, _ := Method("x", "zfill"); _, err := m([]Value{1 << 40}, nil); return err },
		"expandtabs":     func() error { m, _ := Method("\t\t", "expandtabs"); _, err := m([]Value{1 << 40}, nil); return err },
		"replace": func() error {
			m, _ := Method(strings.Repeat("a", 1<<20), "replace")
			_, err := m([]Value{"a", strings.Repeat("b", 1<<10)}, nil)
			return err
		},
		"join": func() error {
			m, _ := Method(strings.Repeat("a", 1<<20), "join")
			_, err := m([]Value{&Range{0, 100, 1}}, nil)
			if err != nil { // items of a range are no strings
				_, err = Join(strings.Repeat("a", 1<<20), strings.Repeat("b", 100))
			}
			return err
		},
		"list(range)":   func() error { _, err := ToList(&Range{0, 1 << 40, 1}); return err },
		"slice of many": func() error { _, err := SliceIndices(1<<40, nil, nil, nil); return err },
		"repr": func() error {
			v := Value(strings.Repeat("x", 1<<20))
			for range 10 {
				v = NewList(v, v)
			}
			_, err := TryRepr(v)
			return err
		},
	} {
		err := f()
		if e, ok := err.(*Exception); !ok || e.Class != "MemoryError" {
			t.Errorf("%s: got %v, want MemoryError", name, err)
		}
	}
}

func TestCyclesAndDepth(t *testing.T) {
	t.Parallel()
	l := NewList()
	l.Append(l, 0)
	d := NewDict()
	d.Set("d", d)
	if got := Repr(l) + Repr(d); got != "[[...]]{'d': {...}}" {
		t.Errorf("repr of cycles: %s", got)
	}
	if _, err := DumpJSON(l, JSONOptions{}); err == nil || !strings.Contains(err.Error(), "Circular reference") {
		t.Errorf("json of a cycle: %v", err)
	}
	if _, err := EncodeTagged(d); err == nil {
		t.Error("tagged form of a cycle")
	}
	c := DeepCopy(l).(*List)
	if c.Items[0] != Value(c) || c == l {
		t.Error("a copy of a cycle is one")
	}
	var deep, other Value = NewTuple(), NewTuple()
	for range 100000 {
		deep, other = NewTuple(deep), NewTuple(other)
	}
	if _, err := TryRepr(deep); err == nil {
		t.Error("repr of a very deep tuple")
	}
	if _, err := Compare("==", deep, other); err == nil {
		t.Error("comparison of very deep tuples")
	}
	if _, ok := HashKey(deep); ok {
		t.Error("hash of a very deep tuple")
	}
	if _, err := LoadJSONString(strings.Repeat("[", 100000)); err == nil {
		t.Error("very deep JSON")
	}
}

func TestKeysOfDicts(t *testing.T) {
	t.Parallel()
	huge, _ := ParseInt("100000000000000000000", 10)
	same := [][]Value{{1, 1.0, true}, {0, math.Copysign(0, -1), false}, {huge, 1e20}, {NewTuple(1, "a"), NewTuple(1.0, "a"), NewTuple(true, "a")},
		{1 << 62, float64(1 << 62)}, {NewTuple(), NewTuple()}}
	for _, group := range same {
		d := NewDict()
		for i, k := range group {
			d.Set(k, i)
		}
		if d.Len() != 1 {
			t.Errorf("%s are %d keys", Repr(NewList(group...)), d.Len())
		}
	}
	different := []Value{"a", Bytes("a"), 1, "1", 1.5, nil, "None", NewTuple("a"), NewTuple("a", "b"), NewTuple("a b"), NewTuple(NewTuple("a")), NewTuple("a", 1), NewTuple("a", "1"), "",
		huge, "\x00big:5", NewTuple("x", "y:1"), NewTuple("x:1:y"), NewTuple(nil), &Range{0, 1, 1}, &Range{0, 0, 1}}
	d := NewDict()
	for i, k := range different {
		d.Set(k, i)
	}
	if d.Len() != len(different) {
		t.Errorf("%d different keys became %d", len(different), d.Len())
	}
	for i, k := range different {
		if d.Get(k) != Value(i) {
			t.Errorf("key %s gives %v, want %d", Repr(k), d.Get(k), i)
		}
	}
	for i, k := range different {
		if i%2 == 0 && !d.Delete(k) {
			t.Errorf("key %s cannot be deleted", Repr(k))
		}
	}
	if d.Len() != len(different)/2 {
		t.Errorf("%d keys left", d.Len())
	}
}

func TestPositionsGoAlong(t *testing.T) {
	t.Parallel()
	a := &List{At: 1, Items: []Value{"a", "b", "c"}, Pos: []source.Pos{10, 11, 12}}
	b := &List{At: 2, Items: []Value{"d"}}
	pos := func(v Value) string {
		l := v.(*List)
		var s []string
		for i, it := range l.Items {
			s = append(s, fmt.Sprint(it, l.PosOf(i)))
		}
		return strings.Join(s, " ")
	}
	must := func(v Value, err error) Value {
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ name, got, want string }{
		{"+", pos(must(Binary("+", a, b))), "a10 b11 c12 d2"},
		{"*", pos(must(Binary("*", a, 2))), "a10 b11 c12 a10 b11 c12"},
		{"slice", pos(must(Slice(a, nil, nil, -1))), "c12 b11 a10"},
		{"sum", pos(must(Sum([]Value{a, b}, NewList()))), "a10 b11 c12 d2"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
	l := must(Slice(a, nil, nil, nil)).(*List)
	if err := SetItem(l, 1, "B", 99); err != nil {
		t.Fatal(err)
	}
	if err := SetSlice(l, 0, 1, nil, b); err != nil {
		t.Fatal(err)
	}
	if err := l.Extend(a); err != nil {
		t.Fatal(err)
	}
	if err := DelItem(l, -2); err != nil {
		t.Fatal(err)
	}
	if got := pos(l); got != "d2 B99 c12 a10 c12" {
		t.Errorf("after changes: %s", got)
	}
	perm, err := SortPerm(l.Items, false)
	if err != nil {
		t.Fatal(err)
	}
	l.Permute(perm)
	if got := pos(l); got != "B99 a10 c12 c12 d2" {
		t.Errorf("sorted: %s", got)
	}
	m, _ := Method(l, "reverse")
	must(m(nil, nil))
	if got := pos(l); got != "d2 c12 c12 a10 B99" {
		t.Errorf("reversed: %s", got)
	}
}

func TestTaggedRoundTrip(t *testing.T) {
	t.Parallel()
	huge, _ := Binary("**", 7, 20000)
	set, _ := NewSet(1, "a", NewTuple(1))
	frozen, _ := NewSet(1)
	frozen.Frozen = true
	conf := DictOf("a", NewList(1))
	conf.Config = true
	v := NewList(nil, true, 1, -1, 1.0, math.Copysign(0, -1), 1e300, math.NaN(), math.Inf(1), math.Inf(-1), "", "é\U0001f600\x00", FromRunes([]rune{0xd800, 'x'}), Bytes("\x00\xff"),
		huge, new(big.Int).Lsh(big.NewInt(1), 70), NewTuple(), NewTuple(1, NewTuple(2)), set, frozen, conf, &Range{1, 10, 3}, DictOf(1, 2, "a", 3, nil, NewList(), NewTuple(1), 4),
		DictOf("$tuple", NewList(1)), DictOf("$x", 1, "y", 2), DictOf(), DictOf("plain", DictOf("b", 1.5)))
	data, err := EncodeTagged(v)
	if err != nil {
		t.Fatal(err)
	}
	w, err := DecodeTagged(data)
	if err != nil {
		t.Fatal(err)
	}
	types := func(v Value) string {
		var s []string
		for _, it := range v.(*List).Items {
			s = append(s, TypeName(it))
		}
		return strings.Join(s, " ")
	}
	if Repr(v) != Repr(w) || types(v) != types(w) {
		t.Errorf("got %s\nwant %s", Repr(w), Repr(v))
	}
	for _, bad := range []string{`{"$tuple":1}`, `{"$set":[[]]}`, `{"$nosuch":[]}`, `{"$dict":[[1]]}`, `{"$float":"x"}`, `{"$bytes":"zz"}`, `{"$range":[1]}`, `{"$a":1,"b":2}`, `{"$int":"zz"}`} {
		if v, err := DecodeTagged([]byte(bad)); err == nil {
			t.Errorf("%s decodes to %s", bad, Repr(v))
		}
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	vs, err := LoadJSONLines([]byte("{\"a\": \"x\u2028y\"}\r\n\n  \n[1]\n2"))
	if err != nil || Repr(NewList(vs...)) != `[{'a': 'x\u2028y'}, [1], 2]` {
		t.Errorf("got %s, %v", Repr(NewList(vs...)), err)
	}
	if _, err := LoadJSONLines([]byte("1\n{\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2: JSONDecodeError: Expecting property name") {
		t.Errorf("got %v", err)
	}
	if _, err := LoadJSON([]byte("\"\xff\"")); err == nil || !strings.HasPrefix(err.Error(), "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 1") {
		t.Errorf("got %v", err)
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, fmt.Errorf("disk full")
	}
	return len(p), nil
}

func TestWriteJSONReportsErrors(t *testing.T) {
	t.Parallel()
	big := NewList(strings.Repeat("x", 300000), strings.Repeat("y", 300000), 1)
	for _, n := range []int{0, 100000, 400000} {
		if err := WriteJSON(&failing{n}, big, JSONOptions{}); err == nil {
			t.Errorf("no error after %d bytes", n)
		}
	}
	got, err := DumpJSON(NewList(Bytes("x"), 1), JSONOptions{Default: func(v Value) (Value, error) { return "b:" + Str(v), nil }})
	if err != nil || string(got) != `["b:b'x'", 1]` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := DumpJSON(Bytes("x"), JSONOptions{Default: func(v Value) (Value, error) { return v, nil }}); err == nil {
		t.Error("a Default that converts nothing ends")
	}
}

func TestSortIsStableAndMergeWorks(t *testing.T) {
	t.Parallel()
	f := func(xs []uint8, reverse bool) bool {
		items := make([]Value, len(xs))
		keys := make([]Value, len(xs))
		for i, x := range xs {
			items[i], keys[i] = NewTuple(int(x), i), float64(x%16)
		}
		out, err := Sorted(items, keys, reverse)
		if err != nil || len(out) != len(xs) {
			return false
		}
		for i := 1; i < len(out); i++ {
			a, b := out[i-1].(*Tuple).Items, out[i].(*Tuple).Items
			ka, kb := a[0].(int)%16, b[0].(int)%16
			if reverse {
				ka, kb = kb, ka
			}
			if ka > kb || ka == kb && a[1].(int) > b[1].(int) {
				return false
			}
		}
		return true
	}
	if err := quick.Check(f, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func FuzzLoadJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,null,true,"x\u00e9\ud83d\ude00"]}`, `[NaN,-Infinity,1e400,-0.0]`, `"\ud800"`, `{"a":1,"a":2}`, "[1,\n2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := LoadJSON(data)
		if err != nil {
			return
		}
		for _, o := range []JSONOptions{{}, {EnsureASCII: true, SortKeys: true}, {Indent: 4}} {
			out, err := DumpJSON(v, o)
			if err != nil {
				t.Fatalf("%q loads to %s, which does not dump: %v", data, Repr(v), err)
			}
			w, err := LoadJSON(out)
			if err != nil {
				t.Fatalf("%q is dumped as %q, which does not load: %v", data, out, err)
			}
			if !o.SortKeys && Repr(v) != Repr(w) {
				t.Fatalf("%s became %s", Repr(v), Repr(w))
			}
		}
		tg, err := EncodeTagged(v)
		if err != nil {
			if strings.Contains(err.Error(), "Recursion") {
				return
			}
			t.Fatal(err)
		}
		if w, err := DecodeTagged(tg); err != nil || Repr(w) != Repr(v) {
			t.Fatalf("tagged: %s became %s, %v", Repr(v), Repr(w), err)
		}
	})
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{">10", "010,.2f", "+.3g", "x", "_b", "é^7", ".3s", "%", "#X", "z.1f"} {
		f.Add(s, 3.25, int64(-1234567), "aé")
	}
	f.Fuzz(func(t *testing.T, spec string, x float64, n int64, s string) {
		if len(spec) > 8 { // no results of megabytes
			return
		}
		for _, v := range []Value{x, int(n), s, true, nil} {
			out, err := Format(v, spec)
			if e, ok := err.(*Exception); err != nil && (!ok || e.Class == "") {
				t.Fatalf("format(%s, %q): %v", Repr(v), spec, err)
			}
			if err == nil && spec == "" && out != Str(v) {
				t.Fatalf("format(%s, '') = %q", Repr(v), out)
			}
			if _, err := Percent("%"+spec, v); err != nil {
				if _, ok := err.(*Exception); !ok {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzStrFormat(f *testing.F) {
	for _, s := range []string{"{} {0[a]!r:>{w}} {{}}", "{a.real:x}", "{", "{0!", "{:{}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 24 {
			return
		}
		out, err := StrFormat(s, []Value{1, "x"}, DictOf("a", 2, "w", 5))
		if err != nil {
			if _, ok := err.(*Exception); !ok {
				t.Fatal(err)
			}
		} else if !strings.ContainsAny(s, "{}") && out != s {
			t.Fatalf("%q became %q", s, out)
		}
	})
}

func FuzzStrings(f *testing.F) {
	f.Add("  a\u3000b\nΣΑΣ ß", "a", 2)
	f.Fuzz(func(t *testing.T, s, sep string, n int) {
		if FromRunes(Runes(s)) == s && StrLen(s) != len(Runes(s)) {
			t.Fatalf("len(%q) = %d", s, StrLen(s))
		}
		if sep != "" {
			if got := strings.Join(Split(s, sep, n), sep); got != s {
				t.Fatalf("split and join of %q at %q give %q", s, sep, got)
			}
			if got := strings.Join(RSplit(s, sep, n), sep); got != s {
				t.Fatalf("rsplit and join of %q at %q give %q", s, sep, got)
			}
		}
		if got := strings.Join(SplitLines(s, true), ""); got != s {
			t.Fatalf("lines of %q give %q", s, got)
		}
		for _, g := range []func(string) string{Lower, Upper, Title, Capitalize, Casefold, SwapCase, StripSpace} {
			g(s)
		}
		_, _ = ParseInt(s, 0)
		_, _ = ParseFloat(s)
	})
}

// sample is about a prediction file's worth of one record.
func sample(i int) *Dict {
	return DictOf("origin_prompt", NewList(DictOf("role", "HUMAN", "prompt", strings.Repeat("Question: what is 12 × 3? 答案：\n", 20))),
		"prediction", fmt.Sprintf("The answer is %d.", i), "gold", "36", "score", 0.1*float64(i), "n", i)
}

func predictions(n int) *Dict {
	d := NewDict()
	for i := range n {
		d.Set(fmt.Sprint(i), sample(i))
	}
	return d
}

func BenchmarkWriteJSON(b *testing.B) {
	d := predictions(1000)
	var buf bytes.Buffer
	o := JSONOptions{Indent: 4}
	if err := WriteJSON(&buf, d, o); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := WriteJSON(&buf, d, o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadJSON(b *testing.B) {
	data, err := DumpJSON(predictions(1000), JSONOptions{Indent: 4})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadJSON(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRepr(b *testing.B) {
	d := sample(1)
	b.ReportAllocs()
	for b.Loop() {
		Repr(d)
	}
}
