package pyre

import (
	"sort"

	"sextant/internal/py/unitab"
)

// set is a character class. With folding, a code point is looked up in lower
// case, as re does.
type set struct {
	neg        bool
	fold       bool
	asciiOnly  bool // of the categories and of folding
	ranges     []span
	categories []rune    // d D s S w W
	low        [128]bool // the answer for ASCII
}

type span struct{ lo, hi rune }

func newSet(f Flags) *set { return &set{fold: f&IgnoreCase != 0, asciiOnly: f&ASCII != 0} }

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 32
	}
	return r
}

func (s *set) lower(r rune) rune {
	if s.asciiOnly {
		return lowerASCII(r)
	}
	return unitab.ToLower(r)
}

func (s *set) category(c rune) { s.categories = append(s.categories, c) }

// add puts lo to hi in; when folding, what their lower case is and what re
// takes for the same.
func (s *set) add(lo, hi rune) {
	if !s.fold {
		s.ranges = append(s.ranges, span{lo, hi})
		return
	}
	// runs of code points without case go in whole
	start := lo
	flush := func(end rune) {
		if start <= end {
			s.ranges = append(s.ranges, span{start, end})
		}
	}
	for r := lo; r <= hi; r++ {
		l := s.lower(r)
		var more []rune
		if !s.asciiOnly {
			more = unitab.Equivalents(l)
		}
		if l != r {
			flush(r - 1)
			start = r + 1
			s.ranges = append(s.ranges, span{l, l})
		}
		for _, e := range more {
			s.ranges = append(s.ranges, span{e, e})
		}
	}
	flush(hi)
}

func (s *set) done() *set {
	sort.Slice(s.ranges, func(i, j int) bool { return s.ranges[i].lo < s.ranges[j].lo })
	out := s.ranges[:0]
	for _, r := range s.ranges {
		if k := len(out) - 1; k >= 0 && r.lo <= out[k].hi+1 {
			out[k].hi = max(out[k].hi, r.hi)
		} else {
			out = append(out, r)
		}
	}
	s.ranges = out
	for r := range s.low {
		s.low[r] = s.slow(rune(r))
	}
	return s
}

func (s *set) has(r rune) bool {
	if uint32(r) < 128 {
		return s.low[r]
	}
	return s.slow(r)
}

func (s *set) slow(r rune) bool {
	if s.fold {
		r = s.lower(r)
	}
	if n := len(s.ranges); n > 8 {
		i := sort.Search(n, func(i int) bool { return s.ranges[i].hi >= r })
		if i < n && s.ranges[i].lo <= r {
			return !s.neg
		}
	} else {
		for _, x := range s.ranges {
			if r >= x.lo && r <= x.hi {
				return !s.neg
			}
		}
	}
	for _, c := range s.categories {
		if inCategory(c, r, s.asciiOnly) {
			return !s.neg
		}
	}
	return s.neg
}

func isWord(r rune, ascii bool) bool {
	return r == '_' || (!ascii || r < 128) && unitab.Is(r, unitab.Alnum)
}

func inCategory(c, r rune, ascii bool) bool {
	switch c {
	case 'd', 'D':
		return ((!ascii || r < 128) && unitab.Is(r, unitab.Decimal)) == (c == 'd')
	case 's', 'S':
		in := unitab.Is(r, unitab.Space)
		if ascii {
			in = r == ' ' || r >= '\t' && r <= '\r'
		}
		return in == (c == 's')
	}
	return isWord(r, ascii) == (c == 'w')
}
