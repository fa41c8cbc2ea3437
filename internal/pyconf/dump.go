package pyconf

import (
	"math"
	"math/big"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
)

// Dump writes data as a config file that loads to the same data, here and in
// OpenCompass, in the layout of mmengine's Config.dump: one variable a line,
// keys sorted by their text, dict(…) for dicts (docs/dialect.md, "Dump").
//
// Loading it again gives the keys in the order of SortKeys. Values that no
// file can hold, such as functions, are left out where they are variables and
// become None with a comment elsewhere. Text that a placeholder of classic
// mode would match is escaped.
func Dump(data *py.Dict) string {
	d := dumper{shadow: map[string]bool{}}
	entries := sortedEntries(data)
	for _, e := range entries {
		if s, ok := e.Key.(string); ok {
			d.shadow[s] = true
		}
	}
	var b strings.Builder
	for _, e := range entries {
		if _, opaque := plainText(e.Val); opaque {
			continue
		}
		if s, ok := e.Key.(string); ok && d.identifier(s) {
			b.WriteString(s)
			b.WriteByte('=')
		} else {
			b.WriteString("globals()[" + d.scalar(e.Key) + "]=")
		}
		d.value(&b, e.Val, "")
		b.WriteByte('\n')
	}
	return b.String()
}

// SortKeys returns data with the keys of every dict in the order that a dump
// loads with: by their text. Positions are kept. data must not be changed
// afterwards: what is in it is copied when somebody looks.
func SortKeys(data *py.Dict) *py.Dict {
	d := &py.Dict{At: data.At, Config: data.Config}
	for _, e := range sortedEntries(data) {
		e.Val = deferSorted(e.Val)
		_ = d.Put(e) // the key came out of a dict
	}
	return d
}

// The conversions of SortKeys: of plain dicts, of ConfigDicts, and of what
// Data still has to make.
var (
	sortConv       = &py.Conversion{Order: sortEntries}
	sortConfigConv = &py.Conversion{Order: sortEntries, Config: true}
	plainSortConv  = &py.Conversion{Order: sortEntries}
)

func init() {
	sortConv.Val, sortConfigConv.Val = deferSorted, deferSorted
	plainSortConv.Val = func(v py.Value) py.Value { return deferSorted(deferPlain(v)) }
}

func deferSorted(v py.Value) py.Value {
	x, ok := v.(*py.Dict)
	if !ok {
		return mapItems(v, deferSorted)
	}
	if src, conv := x.Deferred(); src != nil && (conv == plainConv || conv == plainSortConv) {
		return py.Defer(src, plainSortConv)
	}
	if x.Config {
		return py.Defer(x, sortConfigConv)
	}
	return py.Defer(x, sortConv)
}

// sortedEntries is the entries of d by the text of their keys.
func sortedEntries(d *py.Dict) []py.Entry {
	es := d.Entries()
	if inOrder(es) { // as in most small dicts: nothing to copy
		return es
	}
	return sortEntries(append([]py.Entry(nil), es...))
}

func inOrder(es []py.Entry) bool {
	prev := ""
	for i := range es {
		k, ok := es[i].Key.(string)
		if !ok || k < prev {
			return false
		}
		prev = k
	}
	return true
}

// sortEntries sorts in place.
func sortEntries(es []py.Entry) []py.Entry {
	if inOrder(es) {
		return es
	}
	if len(es) <= 16 { // nearly all: sort the keys, then move each entry once
		var keys [16]string
		var from [16]uint8
		for i := range es {
			k, ok := es[i].Key.(string)
			if !ok {
				k = py.Str(es[i].Key)
			}
			j := i
			for ; j > 0 && k < keys[j-1]; j-- {
				keys[j], from[j] = keys[j-1], from[j-1]
			}
			keys[j], from[j] = k, uint8(i)
		}
		var out [16]py.Entry
		copy(out[:], es)
		for i := range es {
			es[i] = out[from[i]]
		}
		return es
	}
	slices.SortStableFunc(es, func(a, b py.Entry) int {
		x, ok := a.Key.(string)
		if !ok {
			x = py.Str(a.Key)
		}
		y, ok := b.Key.(string)
		if !ok {
			y = py.Str(b.Key)
		}
		return strings.Compare(x, y)
	})
	return es
}

type dumper struct {
	shadow map[string]bool // variables, which hide functions of their name
}

// identifier reports whether s can stand before an = as it is.
func (d *dumper) identifier(s string) bool {
	if s == "" || syntax.IsKeyword(s) || s == "__debug__" {
		return false
	}
	for i := 0; i < len(s); i++ { // ASCII only: Python would normalise the rest
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return true
}

// plainText is the literal of a value that is neither text, number nor
// container; opaque is true when there is none.
func plainText(v py.Value) (s string, opaque bool) {
	switch x := v.(type) {
	case nil, bool, int, *big.Int, py.Bytes:
		return py.Repr(x), false
	case string, float64, *py.List, *py.Tuple, *py.Dict, *py.Set, *py.Range, *Lazy, complexNum:
		return "", false
	case *sentinel:
		if x == ellipsis {
			return "...", false
		}
	}
	return "", true
}

func (d *dumper) scalar(v py.Value) string {
	switch x := v.(type) {
	case string:
		return quote(x)
	case float64:
		return d.float(x)
	case *Lazy:
		return quote(x.Path())
	case *py.Range:
		if !d.shadow["range"] {
			return x.PyRepr()
		}
		var items []string
		for it := range x.PyIter() {
			items = append(items, py.Repr(it))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case complexNum:
		return x.PyRepr()
	case *py.Tuple, *py.Set:
		return d.inline(x)
	}
	s, opaque := plainText(v)
	if opaque {
		return "None" // with a comment, see remark
	}
	return s
}

func (d *dumper) float(f float64) string {
	switch {
	case math.IsNaN(f):
		if d.shadow["float"] {
			return "(1e999-1e999)"
		}
		return "float('nan')"
	case math.IsInf(f, 0):
		s := "float('inf')"
		if d.shadow["float"] {
			s = "1e999"
		}
		if f < 0 {
			s = "-" + s
		}
		return s
	}
	return py.FormatFloat(f)
}

// quote is Python's repr of a text, made safe against the placeholders that
// classic mode replaces in the text of a file.
func quote(s string) string {
	q := py.Repr(s)
	if strings.Contains(q, "{{") && reAnyHolder.MatchString(s) {
		for strings.Contains(q, "{{") {
			q = strings.ReplaceAll(q, "{{", `{\x7b`)
		}
	}
	return q
}

// value writes a value; ind is the indentation of the line it begins on.
func (d *dumper) value(b *strings.Builder, v py.Value, ind string) {
	switch x := v.(type) {
	case *py.List:
		d.seq(b, "[", "]", x.Items, ind)
	case *py.Tuple:
		d.seq(b, "(", ")", x.Items, ind)
	case *py.Dict:
		d.dict(b, x, ind)
	default:
		b.WriteString(d.scalar(v))
	}
}

func (d *dumper) seq(b *strings.Builder, open, close string, items []py.Value, ind string) {
	b.WriteString(open)
	if len(items) > 0 {
		in := ind + "    "
		b.WriteByte('\n')
		for _, it := range items {
			b.WriteString(in)
			d.value(b, it, in)
			b.WriteByte(',')
			d.remark(b, it)
			b.WriteByte('\n')
		}
		b.WriteString(in)
	}
	b.WriteString(close)
}

// remark says in a comment that a value is lost.
func (d *dumper) remark(b *strings.Builder, v py.Value) bool {
	_, opaque := plainText(v)
	if opaque {
		b.WriteString("  # a " + py.TypeName(v) + " cannot be written to a file")
	}
	return opaque
}

func (d *dumper) dict(b *strings.Builder, x *py.Dict, ind string) {
	in := ind + "    "
	es := sortedEntries(x)
	mapping := d.shadow["dict"]
	for _, e := range es {
		s, ok := e.Key.(string)
		if !ok || !d.identifier(s) {
			mapping = true
		}
	}
	open, close := "dict(", ")"
	if mapping {
		open, close = "{", "}"
		if !d.shadow["dict"] {
			open, close = "dict({", "})"
		}
	}
	b.WriteString(open)
	for i, e := range es {
		b.WriteString("\n" + in)
		if mapping {
			b.WriteString(d.scalar(e.Key) + ": ")
		} else {
			b.WriteString(e.Key.(string) + "=")
		}
		d.value(b, e.Val, in)
		if i < len(es)-1 {
			b.WriteByte(',')
		}
		if d.remark(b, e.Val) && i == len(es)-1 {
			b.WriteString("\n" + in)
		}
	}
	b.WriteString(close)
}

// inline is a value on one line: an item of a set, a key.
func (d *dumper) inline(v py.Value) string {
	switch x := v.(type) {
	case *py.Tuple:
		items := make([]string, len(x.Items))
		for i, it := range x.Items {
			items[i] = d.inline(it)
		}
		if len(items) == 1 {
			return "(" + items[0] + ",)"
		}
		return "(" + strings.Join(items, ", ") + ")"
	case *py.Set:
		items := make([]string, 0, x.Len())
		for _, it := range x.Items() {
			items = append(items, d.inline(it))
		}
		sort.Strings(items)
		s := "{" + strings.Join(items, ", ") + "}"
		if len(items) == 0 {
			s = "{*()}"
		}
		if x.Frozen && !d.shadow["frozenset"] {
			s = "frozenset(" + s + ")"
		}
		return s
	}
	return d.scalar(v)
}
