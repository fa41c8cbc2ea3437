package registry

import (
	"errors"
	"slices"
	"testing"
)

func TestUnavailable(t *testing.T) {
	r := New[int]("evaluator")
	r.Register(1, "AccEvaluator")
	r.Register(2, "triviaqa.Other")
	for _, tc := range []struct{ name, msg, hint string }{
		{"a.b.AccEvaluatr", `unknown evaluator "AccEvaluatr"`, `did you mean "AccEvaluator"?`},
		{"MATHEvaluator", "evaluator MATHEvaluator of OpenCompass is not available in this version", ""},
		{"opencompass.datasets.MATHEvaluator", "evaluator MATHEvaluator of OpenCompass is not available in this version", ""},
		{"MATHEvaluater", `unknown evaluator "MATHEvaluater"`, `did you mean "MATHEvaluator"? (of OpenCompass, not available in this version)`},
		{"siqaDataset", "siqaDataset is a dataset, not an evaluator", ""},
		{"Zebra", `unknown evaluator "Zebra"`, ""},
		{"Other", `unknown evaluator "Other"`, ""},
	} {
		_, err := r.Lookup(tc.name)
		var u *UnknownError
		if !errors.As(err, &u) || u.Error() != tc.msg || u.Hint() != tc.hint {
			t.Errorf("Lookup(%q): %v, hint %q; want %q, %q", tc.name, err, u.Hint(), tc.msg, tc.hint)
		}
	}
	_, err := New[int]("model").Lookup("VLLM")
	var u *UnknownError
	if !errors.As(err, &u) || !u.OpenCompass || u.Hint() == "" {
		t.Errorf("VLLM: %v", err)
	}
}

func TestKnownSorted(t *testing.T) {
	for k, names := range Known() {
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("names of kind %s are not sorted and unique", k)
		}
	}
	if len(Known()) < 9 {
		t.Errorf("only %d kinds", len(Known()))
	}
}
