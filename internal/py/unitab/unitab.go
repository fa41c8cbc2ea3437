// Package unitab answers what CPython 3.11 says about single code points:
// the predicates of str (isspace, isalpha, …), printability, identifiers and
// the case mappings, all of Unicode 14.0. Go's unicode package follows another
// Unicode version and other definitions.
//
// props.bin and case.txt are made by gen.py out of CPython itself. Lookups of
// properties cost two loads; the case table is parsed on first use.
//
// Non-goal: normalization.
package unitab

//go:generate python3.11 gen.py

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed props.bin
var props string

//go:embed case.txt
var caseText string

// Props is a set of properties of a code point.
type Props uint16

// The properties; the order is gen.py's.
const (
	Space Props = 1 << iota
	Alpha
	Decimal
	Digit
	Numeric
	Upper
	Lower
	TitleCase // category Lt
	Printable
	IDStart
	IDContinue
	Cased
	CaseIgnorable // skipped when looking for the end of a word before Σ
	Wide          // East Asian width W or F
	Combining     // combining class not 0
)

// Alnum is what str.isalnum accepts.
const Alnum = Alpha | Decimal | Digit | Numeric

const (
	maxRune   = 0x10ffff
	indexAt   = 512
	blocksAt  = indexAt + 2*((maxRune+1)/128)
	blockBits = 7
)

var ascii [128]Props // the first block, ready

func init() {
	for r := range ascii {
		ascii[r] = lookup(rune(r))
	}
}

func lookup(r rune) Props {
	i := indexAt + 2*int(r>>blockBits)
	b := int(props[i]) | int(props[i+1])<<8
	k := 2 * int(props[blocksAt+b<<blockBits+int(r&127)])
	return Props(props[k]) | Props(props[k+1])<<8
}

// Of returns the properties of r; none for what is no code point.
func Of(r rune) Props {
	if uint32(r) < 128 {
		return ascii[r]
	}
	if uint32(r) > maxRune {
		return 0
	}
	return lookup(r)
}

// Is reports whether r has one of the properties in p.
func Is(r rune, p Props) bool { return Of(r)&p != 0 }

// DecimalValue is the value of a decimal digit of any script, or -1.
func DecimalValue(r rune) int {
	if r >= '0' && r <= '9' {
		return int(r - '0')
	}
	if r < 128 || !Is(r, Decimal) {
		return -1
	}
	// decimal digits stand in runs that begin with zero
	n := 0
	for Is(r-1, Decimal) {
		r--
		n++
	}
	return n % 10
}

// Mapping is how a code point changes, "" or 0 where it does not.
type Mapping struct {
	Lower, Upper, Title, Fold string
	Simple                    rune // lower case as one code point, what re uses
}

var (
	once   sync.Once
	cases  map[rune]*Mapping
	extras map[rune][]rune
)

func load() {
	cases = make(map[rune]*Mapping, 3000)
	extras = make(map[rune][]rune, 64)
	for line := range strings.Lines(caseText) {
		f := strings.Fields(line)
		if f[0] == "=" {
			extras[hex(f[1])] = []rune(text(f[2]))
			continue
		}
		m := &Mapping{Lower: text(f[1]), Upper: text(f[2]), Title: text(f[3]), Fold: text(f[4])}
		if f[5] != "-" {
			m.Simple = hex(f[5])
		}
		cases[hex(f[0])] = m
	}
}

func hex(s string) rune {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		panic("unitab: bad case table: " + s)
	}
	return rune(n)
}

func text(s string) string {
	if s == "-" {
		return ""
	}
	var b strings.Builder
	for h := range strings.SplitSeq(s, "+") {
		b.WriteRune(hex(h))
	}
	return b.String()
}

// Case returns the case mappings of r, nil when it has none. The result must
// not be changed.
func Case(r rune) *Mapping {
	once.Do(load)
	return cases[r]
}

// ToLower maps r to one lower-case code point, as re.IGNORECASE does.
func ToLower(r rune) rune {
	if r < 128 {
		if r >= 'A' && r <= 'Z' {
			return r + 32
		}
		return r
	}
	if m := Case(r); m != nil && m.Simple != 0 {
		return m.Simple
	}
	return r
}

// Equivalents are the further lower-case letters that re.IGNORECASE takes for
// the same as the lower-case letter r.
func Equivalents(r rune) []rune {
	once.Do(load)
	return extras[r]
}
