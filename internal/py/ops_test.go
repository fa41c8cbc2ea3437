package py

import (
	"bufio"
	"compress/gzip"
	"os"
	"strings"
	"testing"
)

// skipReasons reads testdata/ops_skip.txt: "kind name: reason" for operations
// whose stored answer is not ours on purpose. Each line is a substring of the
// row's text, a tab, and the reason.
func skipReasons(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/ops_skip.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, reason, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			out[key] = reason
		}
	}
	return out
}

func runOp(t *testing.T, r *Dict) (Value, Value, error) {
	t.Helper()
	args := r.List("args").Items
	name := r.Str("name")
	switch r.Str("kind") {
	case "binary":
		v, err := Binary(name, args[0], args[1])
		return v, nil, err
	case "compare":
		v, err := Compare(name, args[0], args[1])
		return v, nil, err
	case "unary":
		v, err := Unary(name, args[0])
		return v, nil, err
	case "strformat":
		v, err := anyStr(StrFormat(name, args[0].(*List).Items, args[1].(*Dict)))
		return v, nil, err
	case "method":
		m, ok := Method(args[0], name)
		if !ok {
			return nil, args[0], attrErr(args[0], name)
		}
		v, err := m(args[1].(*List).Items, args[2].(*Dict))
		return v, args[0], err
	}
	v, err := runFunc(t, name, args)
	return v, nil, err
}

func runFunc(t *testing.T, name string, args []Value) (Value, error) {
	items := func() []Value {
		vs, err := ToList(args[0])
		if err != nil {
			t.Helper()
		}
		return vs
	}
	iterable := func(f func() (Value, error)) (Value, error) {
		if _, err := Iterate(args[0]); err != nil {
			return nil, err
		}
		return f()
	}
	switch name {
	case "divmod":
		return Divmod(args[0], args[1])
	case "pow":
		if len(args) == 3 {
			return Pow3(args[0], args[1], args[2])
		}
		return Pow3(args[0], args[1], nil)
	case "int":
		if len(args) == 2 {
			return ParseInt(args[0].(string), args[1].(int))
		}
		return Int(args[0])
	case "float":
		return Float(args[0])
	case "abs":
		return Abs(args[0])
	case "chr":
		return Chr(args[0])
	case "ord":
		return Ord(args[0])
	case "hex":
		return Hex(args[0])
	case "oct":
		return Oct(args[0])
	case "bin":
		return Bin(args[0])
	case "len":
		n, err := Len(args[0])
		return n, err
	case "bool":
		return Truth(args[0]), nil
	case "str":
		return anyStr(TryStr(args[0]))
	case "repr":
		return anyStr(TryRepr(args[0]))
	case "ascii":
		if _, err := TryRepr(args[0]); err != nil {
			return nil, err
		}
		return ASCII(args[0]), nil
	case "list":
		vs, err := ToList(args[0])
		return NewList(vs...), err
	case "round":
		if len(args) == 1 {
			return Round(args[0], nil)
		}
		return Round(args[0], args[1])
	case "sum":
		return iterable(func() (Value, error) { return Sum(items(), 0) })
	case "min", "max":
		return iterable(func() (Value, error) { return MinMax(items(), nil, name == "max") })
	case "sorted":
		return iterable(func() (Value, error) {
			vs, err := Sorted(items(), nil, false)
			return NewList(vs...), err
		})
	case "hash":
		if _, ok := HashKey(args[0]); !ok {
			return nil, unhashable(args[0])
		}
		return true, nil
	case "format":
		return anyStr(Format(args[0], args[1].(string)))
	case "percent":
		return anyStr(Percent(args[0].(string), args[1]))
	case "getitem":
		return GetItem(args[0], args[1])
	case "slice":
		return Slice(args[0], args[1], args[2], args[3])
	case "setitem":
		return args[0], SetItem(args[0], args[1], 7, 0)
	case "delitem":
		return args[0], DelItem(args[0], args[1])
	case "setslice":
		return args[0], SetSlice(args[0], args[1], args[2], args[3], args[4])
	case "delslice":
		return args[0], DelSlice(args[0], args[1], args[2], args[3])
	case "range":
		r, err := NewRange(args...)
		return r, err
	case "loads":
		return LoadJSONString(args[0].(string))
	case "dumps":
		kw := args[1].(*Dict)
		o := JSONOptions{Indent: kw.Int("indent", 0), SortKeys: kw.Bool("sort_keys"), EnsureASCII: true}
		if kw.Has("ensure_ascii") {
			o.EnsureASCII = kw.Bool("ensure_ascii")
		}
		if s := kw.List("separators"); s != nil {
			o.ItemSep, o.KeySep = s.Items[0].(string), s.Items[1].(string)
		}
		b, err := DumpJSON(args[0], o)
		var w strings.Builder
		if werr := WriteJSON(&w, args[0], o); err == nil && (werr != nil || w.String() != string(b)) {
			t.Errorf("WriteJSON gives %q, %v, DumpJSON %q", w.String(), werr, b)
		}
		return string(b), err
	}
	t.Fatalf("unknown function %s", name)
	return nil, nil
}

// TestOperations compares some thousand operations, their results, types and
// error messages with what CPython 3.11 gave (testdata/gen_ops.py).
func TestOperations(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/ops.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	skip := skipReasons(t)
	used := map[string]bool{}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(z)
	sc.Buffer(nil, 1<<20)
	rows, skipped := 0, 0
	for sc.Scan() {
		v, err := LoadJSON(sc.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		r := v.(*Dict)
		label := r.Str("kind") + " " + r.Str("name") + " " + Repr(r.Get("args"))
		if r.Str("kind") == "func" && r.Str("name") == "loads" {
			// the argument is text, not a tagged value
		} else if _, err := fromTagged(r.Get("args")); err != nil {
			t.Fatal(err)
		}
		rows++
		want := "returns " + r.Str("type") + " " + r.Str("result")
		if r.Has("error") {
			want = "raises " + r.Str("error") + ": " + r.Str("msg")
		}
		if r.Has("after") {
			want += " leaving " + r.Str("after")
		}
		res, after, err := runOp(t, r)
		got := ""
		if err != nil {
			got = "raises " + err.Error()
			if e, ok := err.(*Exception); ok {
				got = "raises " + e.Class + ": " + e.Msg
			}
		} else {
			got = "returns " + TypeName(res) + " " + Repr(res)
		}
		if r.Has("after") {
			got += " leaving " + Repr(after)
		}
		if got == want {
			continue
		}
		reason := ""
		for key, why := range skip {
			if strings.Contains(label+" "+want, key) {
				reason = why
				used[key] = true
			}
		}
		if reason != "" {
			skipped++
			continue
		}
		t.Errorf("%.200s\n   got %.300s\n  want %.300s", label, got, want)
	}
	if rows < 10000 {
		t.Errorf("only %d operations", rows)
	}
	for key := range skip {
		if !used[key] {
			t.Errorf("testdata/ops_skip.txt: nothing needs %q any more", key)
		}
	}
	t.Logf("%d operations, %d known differences", rows, skipped)
}
