package pyconf

import "sextant/internal/py"

// DumpValue writes one value as Dump does.
func DumpValue(v py.Value) string {
	d := dumper{shadow: map[string]bool{}}
	return d.value(v, "")
}
