package py

import (
	"strings"
	"unicode/utf8"

	"sextant/internal/py/unitab"
)

// Lone surrogates, which Python strings may hold, are kept as the three bytes
// that UTF-8 would give them (WTF-8). The functions below read them as one
// code point; other malformed bytes count as one code point each.

// decodeRune is utf8.DecodeRuneInString that knows lone surrogates.
func decodeRune(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 && len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2]&0xc0 == 0x80 {
		return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return r, n
}

func decodeLastRune(s string) (rune, int) {
	r, n := utf8.DecodeLastRuneInString(s)
	if r == utf8.RuneError && n == 1 && len(s) >= 3 {
		if q, m := decodeRune(s[len(s)-3:]); m == 3 {
			return q, 3
		}
	}
	return r, n
}

// appendRune is utf8.AppendRune that knows lone surrogates.
func appendRune(b []byte, r rune) []byte {
	if isSurrogate(r) {
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
	}
	return utf8.AppendRune(b, r)
}

func isSurrogate(r rune) bool { return r >= 0xd800 && r <= 0xdfff }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// hasSurrogate reports bytes that only a lone surrogate can explain.
func hasSurrogate(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == 0xed && i+1 < len(s) && s[i+1] >= 0xa0 && s[i+1] <= 0xbf {
			return true
		}
	}
	return false
}

// Runes returns the code points of s.
func Runes(s string) []rune {
	if !hasSurrogate(s) {
		return []rune(s)
	}
	out := make([]rune, 0, len(s))
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		out = append(out, r)
		i += n
	}
	return out
}

// FromRunes is the string of code points rs.
func FromRunes(rs []rune) string {
	b := make([]byte, 0, len(rs))
	for _, r := range rs {
		b = appendRune(b, r)
	}
	return string(b)
}

// StrLen is len(s): code points.
func StrLen(s string) int {
	if hasSurrogate(s) {
		n := 0
		for i := 0; i < len(s); n++ {
			_, w := decodeRune(s[i:])
			i += w
		}
		return n
	}
	return utf8.RuneCountInString(s)
}

// byteAt is the byte offset of code point n (0 ≤ n); len(s) when s is shorter.
func byteAt(s string, n int) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, w := decodeRune(s[i:])
		i += w
	}
	return i
}

// Predicates of one code point, Unicode 14.0.
func IsSpace(r rune) bool     { return unitab.Is(r, unitab.Space) }     // str.isspace
func IsUpper(r rune) bool     { return unitab.Is(r, unitab.Upper) }     // str.isupper
func IsLower(r rune) bool     { return unitab.Is(r, unitab.Lower) }     // str.islower
func IsAlpha(r rune) bool     { return unitab.Is(r, unitab.Alpha) }     // str.isalpha
func IsAlnum(r rune) bool     { return unitab.Is(r, unitab.Alnum) }     // str.isalnum
func IsDigit(r rune) bool     { return unitab.Is(r, unitab.Digit) }     // str.isdigit
func IsDecimal(r rune) bool   { return unitab.Is(r, unitab.Decimal) }   // str.isdecimal
func IsNumeric(r rune) bool   { return unitab.Is(r, unitab.Numeric) }   // str.isnumeric
func IsPrintable(r rune) bool { return unitab.Is(r, unitab.Printable) } // str.isprintable
func IsTitle(r rune) bool     { return unitab.Is(r, unitab.TitleCase) } // category Lt

// IsLineBreak reports what str.splitlines splits at.
func IsLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// IsIdentifier is s.isidentifier().
func IsIdentifier(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		want := unitab.IDContinue
		if i == 0 {
			want = unitab.IDStart
		}
		if !unitab.Is(r, want) {
			return false
		}
		i += n
	}
	return true
}

func leftWhile(s string, in func(rune) bool) int {
	i := 0
	for i < len(s) {
		r, n := decodeRune(s[i:])
		if !in(r) {
			break
		}
		i += n
	}
	return i
}

func rightWhile(s string, in func(rune) bool) int {
	i := len(s)
	for i > 0 {
		r, n := decodeLastRune(s[:i])
		if !in(r) {
			break
		}
		i -= n
	}
	return i
}

func charSet(chars string) func(rune) bool {
	rs := Runes(chars)
	return func(r rune) bool {
		for _, c := range rs {
			if c == r {
				return true
			}
		}
		return false
	}
}

// Strip is s.strip(chars): chars is a set of code points; "" strips nothing.
func Strip(s, chars string) string { return LStrip(RStrip(s, chars), chars) }

// LStrip is s.lstrip(chars).
func LStrip(s, chars string) string { return s[leftWhile(s, charSet(chars)):] }

// RStrip is s.rstrip(chars).
func RStrip(s, chars string) string { return s[:rightWhile(s, charSet(chars))] }

// StripSpace is s.strip().
func StripSpace(s string) string { return LStripSpace(RStripSpace(s)) }

// LStripSpace is s.lstrip().
func LStripSpace(s string) string { return s[leftWhile(s, IsSpace):] }

// RStripSpace is s.rstrip().
func RStripSpace(s string) string { return s[:rightWhile(s, IsSpace)] }

// Fields is s.split().
func Fields(s string) []string { return Split(s, "", -1) }

// Split is s.split(sep, maxsplit). An empty sep splits at whitespace; a
// negative maxsplit is no limit.
func Split(s, sep string, maxsplit int) []string {
	out := []string{}
	if sep != "" {
		for maxsplit != 0 {
			i := strings.Index(s, sep)
			if i < 0 {
				break
			}
			out = append(out, s[:i])
			s = s[i+len(sep):]
			maxsplit--
		}
		return append(out, s)
	}
	for {
		s = LStripSpace(s)
		if s == "" {
			return out
		}
		if maxsplit == 0 {
			return append(out, s)
		}
		maxsplit--
		i := leftWhile(s, func(r rune) bool { return !IsSpace(r) })
		if i == len(s) {
			return append(out, s)
		}
		out = append(out, s[:i])
		s = s[i:]
	}
}

// RSplit is s.rsplit(sep, maxsplit), with Split's conventions.
func RSplit(s, sep string, maxsplit int) []string {
	if maxsplit < 0 {
		return Split(s, sep, -1)
	}
	out := []string{}
	if sep != "" {
		for ; maxsplit > 0; maxsplit-- {
			i := strings.LastIndex(s, sep)
			if i < 0 {
				break
			}
			out = append(out, s[i+len(sep):])
			s = s[:i]
		}
		out = append(out, s)
	} else {
		for {
			s = RStripSpace(s)
			if s == "" {
				break
			}
			i := 0
			if maxsplit > 0 {
				i = rightWhile(s, func(r rune) bool { return !IsSpace(r) })
			}
			maxsplit--
			out = append(out, s[i:])
			s = s[:i]
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// SplitLines is s.splitlines(keepends).
func SplitLines(s string, keepEnds bool) []string {
	out := []string{}
	for s != "" {
		i := leftWhile(s, func(r rune) bool { return !IsLineBreak(r) })
		j := i
		if i < len(s) {
			_, n := utf8.DecodeRuneInString(s[i:])
			j += n
			if s[i] == '\r' && j < len(s) && s[j] == '\n' {
				j++
			}
		}
		if keepEnds {
			i = j
		}
		out = append(out, s[:i])
		s = s[j:]
	}
	return out
}

func mapCase(s string, ascii func(byte) byte, full func(*unitab.Mapping) string) string {
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			b = append(b, ascii(s[i]))
			i++
			continue
		}
		r, n := decodeRune(s[i:])
		if m := unitab.Case(r); m != nil && full(m) != "" {
			b = append(b, full(m)...)
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 32
	}
	return c
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 32
	}
	return c
}

const bigSigma = "\u03a3"

// Lower is s.lower(), with the final form of a Σ that ends a word.
func Lower(s string) string {
	if !strings.Contains(s, bigSigma) {
		return mapCase(s, lowerByte, func(m *unitab.Mapping) string { return m.Lower })
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		_, n := decodeRune(s[i:])
		b.WriteString(lowerAt(s, i, n))
		i += n
	}
	return b.String()
}

// lowerAt lower-cases the code point of n bytes at i within s.
func lowerAt(s string, i, n int) string {
	c := s[i : i+n]
	if c == bigSigma {
		return lowerSigma(s, i, n)
	}
	if n == 1 {
		return string([]byte{lowerByte(c[0])})
	}
	r, _ := decodeRune(c)
	if m := unitab.Case(r); m != nil && m.Lower != "" {
		return m.Lower
	}
	return c
}

func lowerSigma(s string, i, n int) string {
	skip := func(r rune) bool { return unitab.Is(r, unitab.CaseIgnorable) }
	before := s[:rightWhile(s[:i], skip)]
	r, w := decodeLastRune(before)
	if w > 0 && unitab.Is(r, unitab.Cased) {
		after := s[i+n:]
		after = after[leftWhile(after, skip):]
		r, w = decodeRune(after)
		if w == 0 || !unitab.Is(r, unitab.Cased) {
			return "\u03c2"
		}
	}
	return "\u03c3"
}

// Upper is s.upper().
func Upper(s string) string {
	return mapCase(s, upperByte, func(m *unitab.Mapping) string { return m.Upper })
}

// Casefold is s.casefold().
func Casefold(s string) string {
	return mapCase(s, lowerByte, func(m *unitab.Mapping) string { return m.Fold })
}

func titleOf(c string) string {
	if len(c) == 1 {
		return string([]byte{upperByte(c[0])})
	}
	r, _ := decodeRune(c)
	if m := unitab.Case(r); m != nil && m.Title != "" {
		return m.Title
	}
	return c
}

// Title is s.title().
func Title(s string) string {
	var b strings.Builder
	prev := false
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		if prev {
			b.WriteString(lowerAt(s, i, n))
		} else {
			b.WriteString(titleOf(s[i : i+n]))
		}
		prev = unitab.Is(r, unitab.Cased)
		i += n
	}
	return b.String()
}

// Capitalize is s.capitalize().
func Capitalize(s string) string {
	if s == "" {
		return s
	}
	_, n := decodeRune(s)
	var b strings.Builder
	b.WriteString(titleOf(s[:n]))
	for i := n; i < len(s); {
		_, n := decodeRune(s[i:])
		b.WriteString(lowerAt(s, i, n))
		i += n
	}
	return b.String()
}

// SwapCase is s.swapcase().
func SwapCase(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := decodeRune(s[i:])
		switch {
		case IsUpper(r):
			b.WriteString(lowerAt(s, i, n))
		case IsLower(r):
			b.WriteString(Upper(s[i : i+n]))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
