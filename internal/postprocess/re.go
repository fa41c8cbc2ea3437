package postprocess

import (
	"sextant/internal/py"
	"sextant/internal/py/pyre"
)

// search is the leftmost match of a pattern of Python's: the whole of it and
// group 1, "" when that took no part. A pattern that backtracks without end on
// this text is an error (*pyre.LimitError).
func search(expr string, flags pyre.Flags, text string) (whole, one string, ok bool, err error) {
	p, err := pyre.Compile(expr, flags)
	if err != nil {
		return "", "", false, py.Errorf("error", "bad pattern %q: %v", expr, err)
	}
	defer pyre.Catch(&err)
	m := p.Search(text)
	if m == nil {
		return "", "", false, nil
	}
	if p.NumGroups() > 0 {
		one = m.Group(1)
	}
	return m.Text(), one, true, nil
}
