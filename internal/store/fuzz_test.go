package store

import (
	"bytes"
	"encoding/json"
	"testing"

	"sextant/internal/infer"
)

// Whatever stands in a file of records: no panic, every byte is accounted for,
// and what is taken for a record is one.
func FuzzScanRecords(f *testing.F) {
	h, _ := head(3, "p").line()
	a, _ := appendRecord(nil, &infer.Record{Index: 1, ID: idOf(1, "p"), State: infer.OK, Data: rec(1, "p").Data})
	x := failedRec(2, "p")
	b, _ := appendRecord(nil, &x)
	f.Add(append(append(append([]byte{}, h...), a...), b...))
	f.Add(append(append(append([]byte{}, h...), a[:30]...), b...))
	f.Add(append(append([]byte{}, a...), a[:len(a)/2]...))
	f.Add([]byte("{\"v\":1,\"i\":0,\"id\":\"x\",\"s\":\"ok\",\"r\":{\"a\":[NaN,-Infinity,1e5,\"\\u00e9\"]}}\n"))
	f.Add(bytes.Repeat([]byte("["), 5000))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		s, err := scanRecords(bytes.NewReader(data), nil, func(off int64, size int, l *rawLine) {
			n++
			line := data[off : off+int64(size)]
			again, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil || again.index != l.index || again.id != l.id {
				t.Fatalf("line %q: %v", line, err)
			}
			c := l.appendCanonical(nil)
			if once, err := parseLine(c[:len(c)-1]); err != nil || once.id != l.id || !bytes.Equal(once.rec, l.rec) {
				t.Fatalf("canonical %q: %v", c, err)
			}
		})
		if err == nil && s.good+s.torn != int64(len(data)) {
			t.Fatalf("%d bytes, %d read", len(data), s.good+s.torn)
		}
	})
}

// What encoding/json accepts and re-indents, our own reader does alike.
func FuzzIndent(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[],"b":{},"c":[1,{"d":"x\"y"}],"e":-1.5e+3,"f":null}`, `[[[]]]`, `"\\"`, `{"a" : 1 , "b":[ ] }`, `tru`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		end, ok := skipValue([]byte(s), skipSpace([]byte(s), 0), 0)
		whole := ok && len(bytes.TrimSpace([]byte(s)[end:])) == 0
		if !json.Valid([]byte(s)) {
			return
		}
		if !whole {
			t.Fatalf("%q is JSON and was refused", s)
		}
		var want bytes.Buffer
		if err := json.Indent(&want, bytes.TrimSpace([]byte(s)), "", "    "); err != nil {
			t.Fatal(err)
		}
		if got := appendIndented(nil, []byte(s), 0); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q: got %q, want %q", s, got, want.Bytes())
		}
	})
}
