package dataset

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"sextant/internal/py"
	"sextant/internal/py/pyrand"
)

// RangeError is a test_range or train_range that selects nothing sensible.
type RangeError struct {
	Range  py.Value
	Reason string // what is wrong with it
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("range %s: %s", quoteRange(e.Range), e.Reason)
}

func quoteRange(v py.Value) string {
	switch x := v.(type) {
	case string:
		return strconv.Quote(x)
	case nil:
		return "None"
	case bool:
		if x {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// Select returns the rows, by index, that the reader's range rng leaves of a
// table of n rows, in order (load_partial_dataset of OpenCompass's
// icl_dataset_reader.py):
//
//   - nil leaves all; so does the empty string;
//   - a string is one Python slice or several in a row, such as "[:100]",
//     "[-50:]", "[0:20][16:32]", each applied to what the one before it left;
//   - a number at or below 0, or of n or more, leaves all; a fraction below 1
//     that share of them, rounded down; either way the rows are shuffled by
//     Python's random.Random(size) and the first size are taken;
//   - a string may begin with such a number, "100[0:25]", as partitioners write
//     it: the slices apply to the rows that the number leaves.
//
// The error is a *RangeError.
func Select(n int, rng py.Value) ([]int, error) {
	sel, err := parseRange(rng)
	if err != nil {
		return nil, err
	}
	return sel.indexes(n)
}

// SelectLen is len(Select(n, rng)) without making the rows.
func SelectLen(n int, rng py.Value) (int, error) {
	sel, err := parseRange(rng)
	if err != nil {
		return 0, err
	}
	size, all, err := sel.size(n)
	if all {
		size = n
	}
	return sel.span(size).len, err
}

// selection is a parsed range: a number, and slices of what it leaves.
type selection struct {
	src    py.Value
	num    py.Value // int or float64; nil: all rows
	slices []slice
}

// slice is one Python slice; a nil bound is an omitted one.
type slice struct{ start, stop, step *int }

// span is the arithmetic progression start, start+step, … of len members:
// what Python's range gives, and what slicing one leaves.
type span struct{ start, step, len int }

func parseRange(v py.Value) (selection, error) {
	sel := selection{src: v}
	switch x := v.(type) {
	case nil:
		return sel, nil
	case bool:
		sel.num = 0
		if x {
			sel.num = 1
		}
	case int:
		sel.num = x
	case *big.Int: // outside int64: larger than any table, or negative
		sel.num = math.MaxInt
		if x.Sign() < 0 {
			sel.num = -1
		}
	case float64:
		sel.num = x
	case string:
		text := strings.Trim(x, " \t")
		if i := strings.IndexByte(text, '['); i > 0 {
			if sel.num = parseNumber(text[:i]); sel.num != nil {
				text = text[i:]
			}
		}
		s, reason := parseSlices(text)
		if reason != "" {
			return sel, &RangeError{Range: v, Reason: reason}
		}
		sel.slices = s
	default:
		return sel, &RangeError{Range: v, Reason: "it must be a number, a text such as '[0:100]', or None"}
	}
	return sel, nil
}

// parseNumber reads Python's text of an int, float or bool; nil if it is none.
func parseNumber(s string) py.Value {
	switch s {
	case "True":
		return 1
	case "False":
		return 0
	}
	if strings.Trim(s, "+-0123456789.e") != "" {
		return nil
	}
	if i, err := strconv.Atoi(s); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f
	}
	return nil
}

// parseSlices reads a chain of subscripts; reason is what is wrong, or "".
func parseSlices(s string) (out []slice, reason string) {
	const want = "write slices such as '[0:100]', '[-50:]' or '[::5]'"
	rest := strings.Trim(s, " \t")
	for rest != "" {
		if rest[0] != '[' {
			return nil, want
		}
		i := strings.IndexByte(rest, ']')
		if i < 0 {
			return nil, "a ']' is missing"
		}
		parts := strings.Split(rest[1:i], ":")
		rest = strings.TrimLeft(rest[i+1:], " \t")
		switch {
		case len(parts) == 1 && strings.TrimSpace(parts[0]) != "":
			return nil, "this is a single row, not a range; write [i:i+1]"
		case len(parts) < 2 || len(parts) > 3:
			return nil, want
		}
		var b [3]*int
		for k, p := range parts {
			v, ok := parseBound(p)
			if !ok {
				return nil, fmt.Sprintf("%q is not a whole number", strings.TrimSpace(p))
			}
			b[k] = v
		}
		if b[2] != nil && *b[2] == 0 {
			return nil, "the step must not be 0"
		}
		out = append(out, slice{b[0], b[1], b[2]})
	}
	return out, ""
}

// parseBound reads one bound of a slice: nothing, None, or an integer literal
// with signs. Numbers too large for an int are clamped: no table is larger.
func parseBound(s string) (*int, bool) {
	s = strings.Trim(s, " \t\n\r\f")
	if s == "" || s == "None" {
		return nil, true
	}
	neg := false
	for s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			neg = !neg
		}
		s = strings.TrimLeft(s[1:], " \t")
	}
	if s == "" {
		return nil, false
	}
	prevDigit := false
	v, zeros := 0, true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' && prevDigit && i+1 < len(s) {
			prevDigit = false
			continue
		}
		if c < '0' || c > '9' {
			return nil, false
		}
		prevDigit = true
		zeros = zeros && c == '0'
		if v > (math.MaxInt32-9)/10 {
			v = math.MaxInt32
			continue
		}
		v = v*10 + int(c-'0')
	}
	if len(s) > 1 && s[0] == '0' && !zeros { // 007 is a syntax error in Python
		return nil, false
	}
	if neg {
		v = -v
	}
	return &v, true
}

// apply is range(...)[s].
func (p span) apply(s slice) span {
	step := 1
	if s.step != nil {
		step = *s.step
	}
	lo, hi := 0, p.len // bounds that indices are clamped to
	if step < 0 {
		lo, hi = -1, p.len-1
	}
	clamp := func(v *int, def int) int {
		if v == nil {
			return def
		}
		i := *v
		if i < 0 {
			i += p.len
		}
		return min(max(i, lo), hi)
	}
	start, stop := lo, hi
	if step < 0 {
		start, stop = hi, lo
	}
	start, stop = clamp(s.start, start), clamp(s.stop, stop)
	n := 0
	if step > 0 && stop > start {
		n = (stop - start + step - 1) / step
	} else if step < 0 && stop < start {
		n = (start - stop - step - 1) / -step
	}
	if n == 0 {
		return span{step: 1}
	}
	if n == 1 {
		step = 1 // keeps start+step from growing beyond an int in long chains
		return span{p.start + start*p.step, step, 1}
	}
	return span{p.start + start*p.step, step * p.step, n}
}

// span is what the slices leave of n rows.
func (sel selection) span(n int) span {
	p := span{0, 1, n}
	for _, s := range sel.slices {
		p = p.apply(s)
	}
	return p
}

// size resolves a numeric range: how many rows, or all.
func (sel selection) size(n int) (size int, all bool, err error) {
	switch x := sel.num.(type) {
	case int:
		return x, x <= 0 || x >= n, nil
	case float64:
		switch {
		case x <= 0 || x >= float64(n):
			return 0, true, nil
		case x < 1:
			return int(x * float64(n)), false, nil
		case x == math.Trunc(x):
			return 0, false, &RangeError{sel.src, "a number of rows must be an integer"}
		}
		return 0, false, &RangeError{sel.src, "a number of rows must be an integer, or a fraction below 1"}
	}
	return 0, true, nil
}

func (sel selection) indexes(n int) ([]int, error) {
	size, all, err := sel.size(n)
	if err != nil {
		return nil, err
	}
	if all {
		size = n
	}
	var rows []int // nil: all, in order
	if !all {
		rows = make([]int, n)
		for i := range rows {
			rows[i] = i
		}
		pyrand.New(size).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	p := sel.span(size)
	out := make([]int, p.len)
	for i := range out {
		out[i] = p.start + i*p.step
		if rows != nil {
			out[i] = rows[out[i]]
		}
	}
	return out, nil
}
