package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// byteRune spells each byte as one printable character, as byte-level
// vocabularies do: printable Latin-1 as itself, the other 68 bytes from
// U+0100 on.
var byteRune = func() (t [256]rune) {
	next := rune(0x100)
	for b := range t {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			t[b] = rune(b)
		} else {
			t[b] = next
			next++
		}
	}
	return t
}()

// runeByte is byteRune backwards, -1 for characters that spell no byte.
var runeByte = func() (t [0x144]int16) {
	for i := range t {
		t[i] = -1
	}
	for b, r := range byteRune {
		t[r] = int16(b)
	}
	return t
}()

// spellBytes spells the bytes of s.
func spellBytes(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for i := 0; i < len(s); i++ {
		b.WriteRune(byteRune[s[i]])
	}
	return b.String()
}

// appendSpelt appends the bytes that a token spells; a token with a character
// that spells none stands for its own bytes.
func appendSpelt(dst []byte, tok string) []byte {
	n := len(dst)
	for _, r := range tok {
		if r >= rune(len(runeByte)) || runeByte[r] < 0 {
			return append(dst[:n], tok...)
		}
		dst = append(dst, byte(runeByte[r]))
	}
	return dst
}

// lossyUTF8 is b as text, with one U+FFFD for each longest broken beginning of
// a character (Unicode's "maximal subpart").
func lossyUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b) + 8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n, _ = brokenPrefix(b)
			out.WriteString("\uFFFD")
		} else {
			out.Write(b[:n])
		}
		b = b[n:]
	}
	return out.String()
}

// brokenPrefix measures the maximal subpart at the start of b, which does not
// begin with a whole character. open says that more bytes could complete it.
func brokenPrefix(b []byte) (n int, open bool) {
	lo, hi, need := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 2
	case c >= 0xe0 && c <= 0xef:
		need = 3
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 4
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	default:
		return 1, false
	}
	for n = 1; n < need; n++ {
		if n == len(b) {
			return n, true
		}
		if b[n] < lo || b[n] > hi {
			return n, false
		}
		lo, hi = 0x80, 0xbf
	}
	return n, false
}
