package evaluator

import (
	"fmt"
	"strings"

	"sextant/internal/py"
)

func init() {
	// another class of this name is opencompass.datasets.circular's
	Classes.Register(Class{New: simple(lengthsRefrs, circular)}, "CircularEvaluator")
}

var rotations = []string{"ABCD", "BCDA", "CDAB", "DABC"}

// circular scores questions asked with their options in four rotations. A
// reference is "<question>--<answer>--<rotation>".
func circular(in Input) (Result, error) {
	type question struct {
		hits    int // of the four rotations
		plain   bool
		votes   []byte // options as the plain question has them, '-' for none
		answer  byte
		oneVote byte // of the plain rotation
	}
	n := len(in.Predictions)
	if n == 0 {
		return Result{}, py.Errorf("ZeroDivisionError", "there are no rows to average over")
	}
	qs := map[string]*question{}
	var order []*question
	var hits, plainHits int
	prior := map[string]int{}
	for i, v := range in.Predictions {
		pred, _ := v.(string)
		ref, ok := in.References[i].(string)
		parts := strings.Split(ref, "--")
		if !ok || len(parts) != 3 {
			return Result{}, py.Errorf("ValueError", "reference %d must be <question>--<answer>--<rotation>, not %s", i, py.Repr(in.References[i]))
		}
		known := false
		for _, r := range rotations {
			known = known || r == parts[2]
		}
		if !known || len(parts[1]) != 1 || !strings.Contains("ABCD", parts[1]) {
			return Result{}, py.Errorf("IndexError", "reference %d, %s, is not one of the four rotations of A, B, C, D", i, py.Repr(ref))
		}
		q := qs[parts[0]]
		if q == nil {
			q = &question{}
			qs[parts[0]] = q
			order = append(order, q)
		}
		// the letter at the place of the option says which one it was before
		back := func(s string) byte { return parts[2][s[0]-'A'] }
		q.answer = back(parts[1])
		right := pred == parts[1]
		if right {
			q.hits++
			hits++
		}
		vote := byte('-')
		if len(pred) == 1 && strings.Contains("ABCD", pred) {
			vote = back(pred)
			prior[pred]++
		} else {
			prior["-"]++
		}
		q.votes = append(q.votes, vote)
		if parts[2] == rotations[0] {
			q.plain = right
			q.oneVote = vote
			if right {
				plainHits++
			}
		}
	}
	m := py.NewDict()
	pct := func(k int, of int) float64 { return float64(k) / float64(of) * 100 }
	m.Set("acc_4", float64(hits)/float64(n)*4/4*100)
	m.Set("acc_1", float64(plainHits)/float64(n)*4/1*100)
	count := func(f func(*question) bool) (k int) {
		for _, q := range order {
			if f(q) {
				k++
			}
		}
		return k
	}
	for j := 0; j <= 1; j++ {
		m.Set(fmt.Sprintf("more_1_%d", j), pct(count(func(q *question) bool { return j == 0 || q.plain }), len(order)))
	}
	for j := 0; j <= 4; j++ {
		m.Set(fmt.Sprintf("more_4_%d", j), pct(count(func(q *question) bool { return q.hits >= j }), len(order)))
	}
	m.Set("perf_1", pct(count(func(q *question) bool { return q.plain }), len(order)))
	m.Set("perf_4", pct(count(func(q *question) bool { return q.hits == 4 }), len(order)))
	m.Set("vote_4", pct(count(func(q *question) bool { return majority(q.votes) == q.answer }), len(order)))
	m.Set("vote_1", pct(count(func(q *question) bool { return q.oneVote == q.answer }), len(order)))
	for _, k := range []string{"A", "B", "C", "D", "-"} {
		m.Set("prior_"+k, pct(prior[k], n))
	}
	return Result{Metrics: m}, nil
}

// majority is the most frequent vote, of several the one that was first.
func majority(votes []byte) byte {
	var counts [256]int
	for _, v := range votes {
		counts[v]++
	}
	best := votes[0]
	for _, v := range votes {
		if counts[v] > counts[best] {
			best = v
		}
	}
	return best
}
