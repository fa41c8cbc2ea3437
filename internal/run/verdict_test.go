package run

import (
	"testing"

	"sextant/internal/py"
	"sextant/internal/report"
)

func TestVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		details *py.Dict
		byText  bool
		want    report.Verdict
	}{
		"flag":                     {py.DictOf("pred", "A", "correct", true), false, report.Right},
		"flag in a list":           {py.DictOf("pred", py.NewList("A"), "correct", py.NewList(false)), false, report.Wrong},
		"nothing was read":         {py.DictOf("pred", "", "correct", false), false, report.Unscored},
		"equal":                    {py.DictOf("predictions", "A", "references", "A"), false, report.Right},
		"unequal, who knows":       {py.DictOf("predictions", "A", "references", "B"), false, report.Unjudged},
		"unequal for AccEvaluator": {py.DictOf("predictions", "A", "references", "B"), true, report.Wrong},
		"equal texts":              {py.DictOf("predictions", "1", "references", 1), true, report.Right},
		"no text":                  {py.DictOf("predictions", "", "references", "B"), true, report.Unscored},
		"none of it":               {py.DictOf("prompt", "x"), true, report.Unjudged},
	} {
		if got, _ := verdict(tc.details, tc.byText); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
