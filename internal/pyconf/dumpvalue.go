package pyconf

import (
	"strings"

	"sextant/internal/py"
)

// DumpValue writes one value as Dump does.
func DumpValue(v py.Value) string {
	d := dumper{shadow: map[string]bool{}}
	var b strings.Builder
	d.value(&b, v, "")
	return b.String()
}
