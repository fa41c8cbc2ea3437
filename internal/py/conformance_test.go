package py

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"sextant/internal/py/unitab"
	"sextant/internal/sharedtest"
)

// lines calls f for each line of a reference file and returns how many there
// were.
func lines(t *testing.T, name string, f func(line []byte)) int {
	t.Helper()
	fh, err := os.Open(sharedtest.Path(t, "conformance", "pynum", name))
	if err != nil {
		t.Fatal(err)
	}
	defer fh.Close()
	sc := bufio.NewScanner(fh)
	sc.Buffer(nil, 64<<20)
	n := 0
	for sc.Scan() {
		f(sc.Bytes())
		n++
	}
	if sc.Err() != nil {
		t.Fatal(sc.Err())
	}
	if n == 0 {
		t.Fatalf("%s is empty", name)
	}
	return n
}

// rows decodes a reference file with the standard library, which this package
// is to be tested against, into T.
func rows[T any](t *testing.T, name string, f func(T)) {
	t.Helper()
	lines(t, name, func(line []byte) {
		var r T
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%s: %v in %.200s", name, err, line)
		}
		f(r)
	})
}

func fromBits(t *testing.T, s string) float64 {
	t.Helper()
	u, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return math.Float64frombits(u)
}

func toBits(f float64) string { return fmt.Sprintf("%016x", math.Float64bits(f)) }

func errClass(err error) string {
	if e, ok := err.(*Exception); ok {
		return e.Class
	}
	return fmt.Sprint(err)
}

func TestConformanceFloatRepr(t *testing.T) {
	t.Parallel()
	rows(t, "float_repr.jsonl", func(r struct{ Bits, Repr, Str string }) {
		f := fromBits(t, r.Bits)
		if got := Repr(f); got != r.Repr {
			t.Errorf("repr(%s) = %s, want %s", r.Bits, got, r.Repr)
		}
		if got := Str(f); got != r.Str {
			t.Errorf("str(%s) = %s, want %s", r.Bits, got, r.Str)
		}
	})
}

func TestConformanceFloatFormat(t *testing.T) {
	t.Parallel()
	rows(t, "float_format.jsonl", func(r struct {
		Bits            string
		Format, Percent map[string]string
	}) {
		f := fromBits(t, r.Bits)
		for spec, want := range r.Format {
			if got, err := Format(f, spec); err != nil || got != want {
				t.Errorf("format(%v, %q) = %q, %v, want %q", f, spec, got, err, want)
			}
		}
		for pat, want := range r.Percent {
			if got, err := Percent(pat, f); err != nil || got != want {
				t.Errorf("%q %% %v = %q, %v, want %q", pat, f, got, err, want)
			}
		}
	})
}

func TestConformanceRound(t *testing.T) {
	t.Parallel()
	rows(t, "round.jsonl", func(r struct {
		Bits, X, Type, Result, Error string
		NDigits                      *int
	}) {
		var x Value
		if r.Bits != "" {
			x = fromBits(t, r.Bits)
		} else {
			var err error
			if x, err = ParseInt(r.X, 10); err != nil {
				t.Fatal(err)
			}
		}
		var nd Value
		if r.NDigits != nil {
			nd = *r.NDigits
		}
		got, err := Round(x, nd)
		if r.Error != "" {
			if err == nil || errClass(err) != r.Error {
				t.Errorf("round(%s, %v): error %v, want %s", r.X, nd, err, r.Error)
			}
			return
		}
		if err != nil || Repr(got) != r.Result || TypeName(got) != r.Type {
			t.Errorf("round(%s, %v) = %s %s, %v, want %s %s", r.X, nd, TypeName(got), Repr(got), err, r.Type, r.Result)
		}
	})
}

func TestConformanceSums(t *testing.T) {
	t.Parallel()
	rows(t, "sums.jsonl", func(r struct {
		Values []json.Number
		Sum    string
	}) {
		var vs []Value
		for _, n := range r.Values {
			v, err := LoadJSONString(n.String())
			if err != nil {
				t.Fatal(err)
			}
			vs = append(vs, v)
		}
		got, err := Sum(vs, 0)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := Float(got)
		if toBits(f.(float64)) != r.Sum {
			t.Errorf("sum of %d values = %v, want bits %s", len(vs), got, r.Sum)
		}
	})
}

func TestConformanceParse(t *testing.T) {
	t.Parallel()
	rows(t, "int_parse.jsonl", func(r struct {
		S, Float, Result, Error string
		Base                    *int
	}) {
		var got Value
		var err error
		if r.Float != "" {
			got, err = Int(fromBits(t, r.Float))
		} else if r.Base != nil {
			got, err = ParseInt(r.S, *r.Base)
		} else {
			got, err = ParseInt(r.S, 10)
		}
		switch {
		case r.Error != "":
			if errClass(err) != r.Error {
				t.Errorf("int(%q%s) = %v, %v, want %s", r.S, r.Float, got, err, r.Error)
			}
		case err != nil || Repr(got) != r.Result:
			t.Errorf("int(%q%s) = %v, %v, want %s", r.S, r.Float, got, err, r.Result)
		}
	})
	rows(t, "float_parse.jsonl", func(r struct{ S, Bits, Repr, Error string }) {
		got, err := ParseFloat(r.S)
		switch {
		case r.Error != "":
			if errClass(err) != r.Error {
				t.Errorf("float(%q) = %v, %v, want %s", r.S, got, err, r.Error)
			}
		case err != nil || got == got && toBits(got) != r.Bits || Repr(got) != r.Repr:
			t.Errorf("float(%q) = %v, %v, want %s", r.S, got, err, r.Repr)
		}
	})
}

// text compares a value with what a reference file says, by the file's JSON.
func sameJSON(t *testing.T, got Value, want json.RawMessage) bool {
	t.Helper()
	w, err := LoadJSON(want)
	if err != nil {
		t.Fatal(err)
	}
	if tp, ok := got.(*Tuple); ok {
		got = NewList(tp.Items...)
	}
	return Repr(got) == Repr(w)
}

func TestConformanceStrMethods(t *testing.T) {
	t.Parallel()
	rows(t, "str_methods.jsonl", func(r map[string]json.RawMessage) {
		sv, err := LoadJSON(r["s"])
		if err != nil {
			t.Fatal(err)
		}
		s := sv.(string)
		if n, _ := Len(s); fmt.Sprint(n) != string(r["len"]) {
			t.Errorf("len(%q) = %d, want %s", s, n, r["len"])
		}
		var noArgs map[string]json.RawMessage
		if err := json.Unmarshal(r["no_args"], &noArgs); err != nil {
			t.Fatal(err)
		}
		for name, want := range noArgs {
			m, ok := Method(s, name)
			if !ok {
				t.Errorf("no method %s", name)
				continue
			}
			if got, err := m(nil, nil); err != nil || !sameJSON(t, got, want) {
				t.Errorf("%s.%s() = %s, %v, want %s", Repr(s), name, Repr(got), err, want)
			}
		}
		for key, sl := range map[string][3]Value{"reversed": {nil, nil, -1}, "first3": {nil, 3, nil}, "last3": {-3, nil, nil}, "step2": {nil, nil, 2}} {
			if got, err := Slice(s, sl[0], sl[1], sl[2]); err != nil || !sameJSON(t, got, r[key]) {
				t.Errorf("%s of %s = %s, %v, want %s", key, Repr(s), Repr(got), err, r[key])
			}
		}
	})
}

func TestConformanceStrCalls(t *testing.T) {
	t.Parallel()
	lines(t, "str_calls.jsonl", func(line []byte) {
		v, err := LoadJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		r := v.(*Dict)
		m, ok := Method(r.Get("s"), r.Str("method"))
		if !ok {
			t.Fatalf("no method %s", r.Str("method"))
		}
		got, err := m(r.List("args").Items, nil)
		if tp, ok := got.(*Tuple); ok {
			got = NewList(tp.Items...)
		}
		switch {
		case r.Has("error"):
			if errClass(err) != r.Str("error") {
				t.Errorf("%s: got %s, %v", line, Repr(got), err)
			}
		case err != nil || Repr(got) != Repr(r.Get("result")):
			t.Errorf("%s.%s%s = %s, %v, want %s", Repr(r.Get("s")), r.Str("method"), Repr(r.Get("args")), Repr(got), err, Repr(r.Get("result")))
		}
	})
}

func TestConformanceUnicodeSets(t *testing.T) {
	t.Parallel()
	preds := map[string]func(rune) bool{
		"isspace": IsSpace, "re_s": IsSpace, "re_d": IsDecimal, "re_w": func(r rune) bool { return r == '_' || IsAlnum(r) },
		"isupper": IsUpper, "islower": IsLower, "isalpha": IsAlpha, "isalnum": IsAlnum, "isdecimal": IsDecimal, "isdigit": IsDigit,
		"isnumeric": IsNumeric, "isprintable": IsPrintable, "istitle": func(r rune) bool { return IsTitle(r) || IsUpper(r) },
		"identifier_start": func(r rune) bool { return unitab.Is(r, unitab.IDStart) },
		"identifier_part":  func(r rune) bool { return unitab.Is(r, unitab.IDContinue) },
		"line_break":       IsLineBreak,
	}
	rows(t, "unicode_sets.jsonl", func(r struct {
		Set    string
		Ranges [][2]rune
	}) {
		p := preds[r.Set]
		if p == nil {
			t.Errorf("no predicate for set %s", r.Set)
			return
		}
		want := map[rune]bool{}
		for _, x := range r.Ranges {
			for c := x[0]; c <= x[1]; c++ {
				want[c] = true
			}
		}
		bad := 0
		for c := rune(0); c <= 0x10ffff; c++ {
			if p(c) != want[c] && bad < 5 {
				t.Errorf("%s of U+%04X is %v", r.Set, c, p(c))
				bad++
			}
		}
	})
}

func TestConformanceUnicodeCase(t *testing.T) {
	t.Parallel()
	want := map[rune]map[string]string{}
	lines(t, "unicode_case.jsonl", func(line []byte) {
		v, err := LoadJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, k := range []string{"lower", "upper", "title", "fold"} {
			if s, ok := v.(*Dict).Get(k).(string); ok {
				m[k] = s
			}
		}
		want[rune(v.(*Dict).Int("cp", 0))] = m
	})
	for c := rune(0); c <= 0x10ffff; c++ {
		s := FromRunes([]rune{c})
		for k, f := range map[string]func(string) string{"lower": Lower, "upper": Upper, "title": Title, "fold": Casefold} {
			w, ok := want[c][k]
			if !ok {
				w = s
			}
			if got := f(s); got != w {
				t.Errorf("%s(U+%04X) = %q, want %q", k, c, got, w)
			}
		}
	}
}

func TestConformanceJSONLoads(t *testing.T) {
	t.Parallel()
	lines(t, "json_loads.jsonl", func(line []byte) {
		v, err := LoadJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		r := v.(*Dict)
		got, err := LoadJSONString(r.Str("s"))
		switch {
		case r.Has("error"):
			if errClass(err) != r.Str("error") {
				t.Errorf("%q gives %s, %v, want %s", r.Str("s"), Repr(got), err, r.Str("error"))
			}
		case err != nil || Repr(got) != r.Str("result"):
			t.Errorf("%q gives %s, %v, want %s", r.Str("s"), Repr(got), err, r.Str("result"))
		}
	})
}

// sliceParts reads "[a:b:c]" or "[i]".
func sliceParts(s string) (parts []Value, ok bool) {
	for _, f := range strings.Split(s, ":") {
		f = strings.TrimSpace(f)
		if f == "" || f == "None" {
			parts = append(parts, nil)
			continue
		}
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, false
		}
		parts = append(parts, n)
	}
	return parts, len(parts) <= 3
}

func TestConformanceSlices(t *testing.T) {
	t.Parallel()
	skipped := 0
	rows(t, "slices.jsonl", func(r struct {
		N            int
		Slice, Error string
		Result       json.RawMessage
	}) {
		rg, err := NewRange(r.N)
		if err != nil {
			t.Fatal(err)
		}
		items, err := ToList(rg)
		if err != nil {
			t.Fatal(err)
		}
		var v Value = NewList(items...)
		for _, part := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.Slice, "["), "]"), "][") {
			ps, ok := sliceParts(part)
			if !ok || r.Slice == "" || r.Error == "SyntaxError" {
				skipped++
				return // for the interpreter of expressions
			}
			if len(ps) == 1 {
				v, err = GetItem(v, ps[0])
			} else {
				v, err = Slice(v, ps[0], ps[1], append(ps, nil)[2])
			}
			if err != nil {
				break
			}
		}
		switch {
		case r.Error != "":
			if errClass(err) != r.Error {
				t.Errorf("list(range(%d))%s: %v, want %s", r.N, r.Slice, err, r.Error)
			}
		case err != nil || !sameJSON(t, v, r.Result):
			t.Errorf("list(range(%d))%s = %s, %v, want %s", r.N, r.Slice, Repr(v), err, r.Result)
		}
	})
	if skipped > 40 {
		t.Errorf("%d rows skipped", skipped)
	}
}

func TestHexOfBytes(t *testing.T) {
	t.Parallel()
	m, _ := Method(Bytes("\x00\xff"), "hex")
	if got, _ := m(nil, nil); got != hex.EncodeToString([]byte{0, 255}) {
		t.Errorf("got %v", got)
	}
}
