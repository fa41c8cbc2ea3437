package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// splitFunc returns the end of the piece of s that begins at i < len(s). It
// stands for a splitting rule whose pieces cover the whole text.
type splitFunc func(s string, i int) int

// Splitting rules that have a scanner of their own.
const (
	gpt2Rule  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	gpt2Rule2 = `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2     = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scanners are the rules that have one, by their text.
var scanners = map[string]splitFunc{
	gpt2Rule:  scanGPT2,
	gpt2Rule2: scanGPT2,
	llama3:    func(s string, i int) int { return scanLlama3(s, i, 3) },
	qwen2:     func(s string, i int) int { return scanLlama3(s, i, 1) },
}

type class uint8

const (
	other class = iota
	letter
	number
	space
)

var asciiClass = func() (t [utf8.RuneSelf]class) {
	for i := range t {
		t[i] = wideClass(rune(i))
	}
	return t
}()

func wideClass(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.Is(unicode.N, r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classAt classifies the character of s at i and gives its length.
func classAt(s string, i int) (class, int) {
	if c := s[i]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return wideClass(r), n
}

// run returns the end of the run of class c in s from i on.
func run(s string, i int, c class) int {
	for i < len(s) {
		k, n := classAt(s, i)
		if k != c {
			break
		}
		i += n
	}
	return i
}

// blank ends a piece that begins with white space at i and that no earlier
// alternative took: \s+(?!\S)|\s+.
func blank(s string, i int) int {
	last := i
	for j := i; ; {
		if j == len(s) {
			return j
		}
		k, n := classAt(s, j)
		if k != space {
			if last > i {
				return last // leave one for the next piece
			}
			return j
		}
		last = j
		j += n
	}
}

func scanGPT2(s string, i int) int {
	c := s[i]
	if c == '\'' {
		if n := contraction(s[i+1:], false); n > 0 {
			return i + 1 + n
		}
	}
	j := i
	if c == ' ' && i+1 < len(s) {
		j++
	}
	k, n := classAt(s, j)
	if k == space {
		return blank(s, i)
	}
	return run(s, j+n, k)
}

// scanLlama3 is the rule of Llama 3 and Qwen2, which differ in the number of
// digits that a piece may have.
func scanLlama3(s string, i, digits int) int {
	c := s[i]
	if c == '\'' {
		if n := contraction(s[i+1:], true); n > 0 {
			return i + 1 + n
		}
	}
	k, n := classAt(s, i)
	j := i + n
	if k == letter {
		return run(s, j, letter)
	}
	if k == number {
		for d := 1; d < digits && j < len(s); d++ {
			k, n := classAt(s, j)
			if k != number {
				break
			}
			j += n
		}
		return j
	}
	if c != '\r' && c != '\n' && j < len(s) {
		if k, n := classAt(s, j); k == letter {
			return run(s, j+n, letter)
		} else if c == ' ' && k == other {
			return newlines(s, run(s, j+n, other))
		}
	}
	if k == other {
		return newlines(s, run(s, j, other))
	}
	// \s*[\r\n]+ ends behind the last line end of the white space
	end := 0
	for j := i; j < len(s); {
		k, n := classAt(s, j)
		if k != space {
			break
		}
		if s[j] == '\n' || s[j] == '\r' {
			end = j + 1
		}
		j += n
	}
	if end > 0 {
		return end
	}
	return blank(s, i)
}

func newlines(s string, i int) int {
	for i < len(s) && (s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// contraction measures what of 's 't 're 've 'm 'll 'd follows an apostrophe.
func contraction(s string, fold bool) int {
	if s == "" {
		return 0
	}
	lower := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		c := s[i]
		if fold && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	switch lower(0) {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if lower(1) == 'e' {
			return 2
		}
	case 'l':
		if lower(1) == 'l' {
			return 2
		}
	case 0xc5: // U+017F folds to s
		if fold && len(s) > 1 && s[1] == 0xbf {
			return 2
		}
	}
	return 0
}
