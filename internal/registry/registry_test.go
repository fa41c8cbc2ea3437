package registry

import (
	"errors"
	"testing"
)

func filled() *Registry[int] {
	r := New[int]("evaluator")
	r.Register(1, "AccEvaluator", "acc")
	r.Register(2, "MATHEvaluator")
	r.Register(3, "FTSEvaluator")
	r.Register(4, "datasets.smolinstruct.FTSEvaluator")
	return r
}

func TestLookup(t *testing.T) {
	r := filled()
	for name, want := range map[string]int{
		"AccEvaluator": 1, "acc": 1,
		"opencompass.openicl.icl_evaluator.AccEvaluator": 1,
		"x.FTSEvaluator": 3,
		"opencompass.datasets.smolinstruct.FTSEvaluator": 4, // the module tells them apart
	} {
		if got, err := r.Lookup(name); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", name, got, err, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	for name, want := range map[string]string{
		"AccEvaluatr":                      `did you mean "AccEvaluator"?`,
		"opencompass.openicl.accEvaluator": `did you mean "AccEvaluator"?`,
		"MathEvaluator":                    `did you mean "MATHEvaluator"?`,
		"AccEvalautor":                     `did you mean "AccEvaluator"?`, // two letters swapped
		"Something":                        "",
	} {
		_, err := filled().Lookup(name)
		var u *UnknownError
		if !errors.As(err, &u) {
			t.Fatalf("%s: %v", name, err)
		}
		if u.Kind != "evaluator" || u.Name != Base(name) || u.Hint() != want {
			t.Errorf("%s: %v, hint %q, want %q", name, u, u.Hint(), want)
		}
	}
}

func TestRegisterTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a name could be taken twice")
		}
	}()
	filled().Register(9, "acc")
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"abc", "abc", 0}, {"abc", "aBc", 1}, {"abc", "abd", 2}, {"abc", "acb", 2}, {"abc", "ab", 2}, {"abc", "xyz", 6}} {
		if got := distance(c.a, c.b, 100); got != c.want {
			t.Errorf("%s %s: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
