package repeat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// row is one benchmark's line in the table.
type row struct {
	name            string
	n               int
	mean            float64
	p75, p90        int
	pattern, packed int
}

func (b *benchmark) row(name string) row {
	r := row{name: name, n: len(b.lengths), mean: b.mean, p75: b.p75, p90: b.p90}
	for _, f := range b.abnormal {
		if f.pattern {
			r.pattern++
		}
		if f.packed {
			r.packed++
		}
	}
	return r
}

// table is the overview, in OpenCompass's columns: benchmarks by name, and all
// of them together.
func table(rows []row) [][]string {
	share := func(count, of int) string {
		return fmt.Sprintf("%.2f%% (%d)", 100*float64(count)/float64(max(of, 1)), count)
	}
	out := [][]string{{"benchmark", "num samples", "token length (avg / p75 / p90)", "pattern rule", "gz rule"}}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	var all row
	sum := 0.0
	for _, r := range rows {
		out = append(out, []string{r.name, strconv.Itoa(r.n), fmt.Sprintf("%d / %d / %d", int(r.mean), r.p75, r.p90), share(r.pattern, r.n), share(r.packed, r.n)})
		all.n += r.n
		all.pattern += r.pattern
		all.packed += r.packed
		sum += r.mean * float64(r.n)
	}
	mean := 0
	if all.n > 0 {
		mean = int(sum / float64(all.n))
	}
	return append(out, []string{"Overall", strconv.Itoa(all.n), strconv.Itoa(mean), share(all.pattern, all.n), share(all.packed, all.n)})
}
