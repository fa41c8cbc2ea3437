package dataset

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

// jsonLines calls f with each line of a file, decoded into a T.
func jsonLines[T any](t *testing.T, path string, f func(line int, v T)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	sc.Buffer(nil, 16<<20)
	n := 0
	for sc.Scan() {
		n++
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
		f(n, v)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("%s is empty", path)
	}
}

// rangeValue decodes a JSON range as the config interpreter would: numbers
// with a point are floats, others ints.
func rangeValue(t *testing.T, raw json.RawMessage) py.Value {
	t.Helper()
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bool
	if json.Unmarshal(raw, &b) == nil {
		return b
	}
	var i int
	if json.Unmarshal(raw, &i) == nil && !slices.Contains(raw, '.') {
		return i
	}
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatalf("range %s: %v", raw, err)
	}
	return f
}

func TestSelectConformance(t *testing.T) {
	t.Parallel()
	total := 0
	jsonLines(t, sharedtest.Path(t, "conformance", "partitions", "row_selection.jsonl"), func(line int, c struct {
		N     int
		Range json.RawMessage
		Rows  []int
		Error string
	}) {
		total++
		rng := rangeValue(t, c.Range)
		got, err := Select(c.N, rng)
		n, lenErr := SelectLen(c.N, rng)
		if c.Error != "" {
			if err == nil {
				t.Errorf("line %d: Select(%d, %s) = %v, want an error (%s)", line, c.N, c.Range, got, c.Error)
			}
			if lenErr == nil {
				t.Errorf("line %d: SelectLen(%d, %s) = %d, want an error", line, c.N, c.Range, n)
			}
			return
		}
		if err != nil || !slices.Equal(got, c.Rows) {
			t.Errorf("line %d: Select(%d, %s) = %v, %v; want %v", line, c.N, c.Range, got, err, c.Rows)
		}
		if lenErr != nil || n != len(c.Rows) {
			t.Errorf("line %d: SelectLen(%d, %s) = %d, %v; want %d", line, c.N, c.Range, n, lenErr, len(c.Rows))
		}
	})
	if total != 165 {
		t.Errorf("%d cases, want 165", total)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n    int
		rng  py.Value
		want []int // nil: an error
	}{
		{10, "[8:2:-2]", []int{8, 6, 4}},
		{10, "[::-3][1:]", []int{6, 3, 0}},
		{10, " [ 1 : None ] [::4] ", []int{1, 5, 9}},
		{10, "[--3:+4]", []int{3}},
		{10, "[1_0:]", []int{}},
		{10, "[99999999999999999999:]", []int{}},
		{10, "[-99999999999999999999:1]", []int{0}},
		{10, "[0:3:99999999999999999999]", []int{0}},
		{10, "[00:2]", []int{0, 1}},
		{10, "[:][:][:2]", []int{0, 1}},
		{3, false, []int{0, 1, 2}},
		{20, "10[0:3]", []int{14, 11, 5}},
		{20, "10[8:99][1:]", []int{2}},
		{20, "0.1[:]", []int{7, 6}},
		{3, "-1[1:]", []int{1, 2}},
		{3, "False[1:]", []int{1, 2}},
		{20, "10", nil},
		{20, "2.5[0:1]", nil},
		{20, "nan[0:1]", nil},
		{10, "[::0]", nil},
		{10, "[01:2]", nil},
		{10, "[1__0:]", nil},
		{10, "[1_:]", nil},
		{10, "[a:b]", nil},
		{10, "[1:2:3:4]", nil},
		{10, "[]", nil},
		{10, "[1:2", nil},
		{10, "1:2", nil},
		{10, "[1:2]x", nil},
		{10, "[-:2]", nil},
		{10, 3.0, nil},
		{10, 3.5, nil},
		{10, py.NewList(1), nil},
	}
	for _, tt := range tests {
		got, err := Select(tt.n, tt.rng)
		if (err != nil) != (tt.want == nil) || !slices.Equal(got, tt.want) {
			t.Errorf("Select(%d, %s) = %v, %v; want %v", tt.n, quoteRange(tt.rng), got, err, tt.want)
		}
	}
}

// FuzzSelect holds the arithmetic on spans against slicing a real slice.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{"[0:100]", "[::5]", "[-50:]", "[0:20][16:32]", "[ 2 : 4 ]", "", "[5]", "random", "[::-1][3:]", "[1:1319:7]", "[:-3][::-2]", "[0:10", "10[0:3]", "0.5[::2]"} {
		f.Add(s, 100)
	}
	f.Fuzz(func(t *testing.T, rng string, n int) {
		n = min(max(n, 0), 1000)
		sel, err := parseRange(rng)
		if err != nil {
			return
		}
		want, err := Select(n, sel.num)
		if err != nil {
			return
		}
		for _, s := range sel.slices {
			want = sliceOf(want, s)
		}
		got, err := sel.indexes(n)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("Select(%d, %q) = %v, %v; want %v", n, rng, got, err, want)
		}
		if l, err := SelectLen(n, rng); err != nil || l != len(want) {
			t.Fatalf("SelectLen(%d, %q) = %d, %v; want %d", n, rng, l, err, len(want))
		}
		for _, i := range got {
			if i < 0 || i >= n {
				t.Fatalf("Select(%d, %q) selects row %d", n, rng, i)
			}
		}
	})
}

// sliceOf is x[s] by walking from bound to bound as the language reference
// tells it.
func sliceOf(x []int, s slice) []int {
	n, step := len(x), 1
	if s.step != nil {
		step = *s.step
	}
	at := func(p *int, def int) int {
		if p == nil {
			return def
		}
		if *p < 0 {
			return *p + n
		}
		return *p
	}
	out := []int{}
	if step > 0 {
		for i := max(at(s.start, 0), 0); i < min(at(s.stop, n), n); i += step {
			out = append(out, x[i])
		}
		return out
	}
	stop := max(at(s.stop, -1), -1)
	for i := min(at(s.start, n-1), n-1); i > stop; i += step {
		out = append(out, x[i])
	}
	return out
}

func BenchmarkSelectShuffled(b *testing.B) {
	for b.Loop() {
		if _, err := Select(10042, 100); err != nil {
			b.Fatal(err)
		}
	}
}
