package pyconf

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"sort"
	"strconv"

	"sextant/internal/py"
)

// Canon writes what a config means in a form that two loaders can compare
// (docs/dialect.md, "Canonical form"): ASCII JSON without blanks, of the
// variables that are no imports, in their order.
//
//	None, True, 3, "text"  as in JSON     1.5 → ["f","1.5"]
//	dict → ["d",[key,value],…]  list → ["l",…]  tuple → ["t",…]  set → ["set",…] sorted by their JSON
//	lazy reference → its dotted name      function → ["function"]  module → ["module"]
//	anything else → ["object",type name]
func Canon(c *Config) []byte {
	return appendCanon(nil, c.allData(), ",", keep)
}

func keep(b []byte) []byte { return b }

func canonEntry(b []byte, e py.Entry, sep string, flush func([]byte) []byte) []byte {
	b = append(append(b, sep...), '[')
	b = appendCanon(b, e.Key, sep, flush)
	b = append(b, sep...)
	b = appendCanon(b, e.Val, sep, flush)
	return flush(append(b, ']'))
}

// CanonHash is the SHA-256 of Canon in hex.
func CanonHash(c *Config) string {
	h := sha256.New()
	b := []byte(`["d"`)
	for _, e := range c.allData().Entries() {
		b = canonEntry(b, e, ",", func(b []byte) []byte {
			if len(b) > 1<<15 { // do not hold all of it
				h.Write(b)
				b = b[:0]
			}
			return b
		})
	}
	h.Write(append(b, ']'))
	return hex.EncodeToString(h.Sum(nil))
}

var canonJSON = py.JSONOptions{EnsureASCII: true, ItemSep: ",", KeySep: ":"}

func canonString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			out, err := py.AppendJSON(b, s, canonJSON)
			if err != nil {
				return strconv.AppendQuoteToASCII(b, s) // text always is JSON
			}
			return out
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendCanon hands what it has written to flush from time to time.
func appendCanon(b []byte, v py.Value, sep string, flush func([]byte) []byte) []byte {
	seq := func(tag string, items []py.Value) {
		b = append(append(append(b, '[', '"'), tag...), '"')
		for _, it := range items {
			b = flush(appendCanon(append(b, sep...), it, sep, flush))
		}
		b = append(b, ']')
	}
	one := func(s ...string) {
		b = append(b, '[')
		for i, x := range s {
			if i > 0 {
				b = append(b, sep...)
			}
			b = canonString(b, x)
		}
		b = append(b, ']')
	}
	switch x := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, x)
	case int:
		return strconv.AppendInt(b, int64(x), 10)
	case *big.Int:
		return x.Append(b, 10)
	case string:
		return canonString(b, x)
	case float64:
		one("f", py.FormatFloat(x))
	case *py.Dict:
		b = append(b, `["d"`...)
		for _, e := range x.Entries() {
			b = canonEntry(b, e, sep, flush)
		}
		b = append(b, ']')
	case *py.List:
		seq("l", x.Items)
	case *py.Tuple:
		seq("t", x.Items)
	case *py.Set:
		items := append([]py.Value(nil), x.Items()...)
		keys := make([]string, len(items))
		idx := make([]int, len(items))
		for i, it := range items {
			keys[i], idx[i] = string(appendCanon(nil, it, ", ", keep)), i
		}
		sort.SliceStable(idx, func(i, j int) bool { return keys[idx[i]] < keys[idx[j]] })
		for i, j := range idx {
			items[i] = x.Items()[j]
		}
		seq("set", items)
	case *Lazy: // x.Path() without making the text: there are many
		b = canonString(b, x.mod())
		b[len(b)-1] = '.'
		m := len(b)
		b = canonString(b, x.PyRepr())
		return append(b[:m], b[m+1:]...)
	default:
		switch t := py.TypeName(v); t {
		case "function", "module":
			one(t)
		default:
			one("object", t)
		}
	}
	return b
}
