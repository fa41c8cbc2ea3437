package infer

import (
	"context"
	"math"
	"strings"
	"testing"

	"sextant/internal/model"
	"sextant/internal/model/fake"
	"sextant/internal/py"
)

// shortener answers as if everything had been too long.
type shortener struct {
	model.Model
	lp float64
}

func (shortener) Generate(context.Context, model.Request) (model.Response, error) {
	return model.Response{Texts: []string{"a"}, FinishReason: "length", Truncated: true}, nil
}

func (s shortener) Score(context.Context, model.ScoreRequest) (model.ScoreResponse, error) {
	return model.ScoreResponse{TokenIDs: []int32{1, 2, 3}, LogProbs: []float64{-1, s.lp}, Truncated: true}, nil
}

func TestWhatWasCutIsOnRecord(t *testing.T) {
	m := shortener{Model: fake.Open(fake.Options{}), lp: -2}
	for name, c := range map[string]struct {
		cfg  *py.Dict
		want Cut
	}{
		"gen": {genCfg(), CutAnswer | CutPrompt},
		"ppl": {labelCfg("PPLInferencer"), CutPrompt},
		"ll":  {labelCfg("LLInferencer"), CutPrompt},
	} {
		j, mem := job(m, model.Class{}, c.cfg, 2)
		for _, row := range j.Set.Test {
			row.Set("cont", "?")
		}
		if err := run(t, j); err != nil {
			t.Fatal(name, err)
		}
		if got := mem.recs[1]; got.State != OK || got.Cut != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	whole, mem := job(fake.Open(fake.Options{}), model.Class{}, labelCfg("PPLInferencer"), 1)
	if err := run(t, whole); err != nil || mem.recs[0].Cut != 0 {
		t.Errorf("%v, %+v", err, mem.recs[0])
	}
}

// A panic while a prompt is made ends the job, not the process with all other
// datasets in it.
func TestPanicInRenderingEndsTheJob(t *testing.T) {
	j, _ := job(fake.Open(fake.Options{}), model.Class{}, genCfg(), 2)
	s, err := newSetup(j, "GenInferencer")
	if err != nil {
		t.Fatal(err)
	}
	err = s.drive(t.Context(), byPrefix, func(int) (*question, error) { panic("here") })
	if err == nil || !strings.Contains(err.Error(), "row 0 of") || !strings.Contains(err.Error(), "here") {
		t.Errorf("%v", err)
	}
}

// A perplexity that is no number loses against none: the first label would win.
func TestNoNumberIsNoAnswer(t *testing.T) {
	for _, inferencer := range []string{"PPLInferencer", "LLInferencer"} {
		j, mem := job(shortener{Model: fake.Open(fake.Options{}), lp: math.NaN()}, model.Class{}, labelCfg(inferencer), 1)
		j.Set.Test[0].Set("cont", "?")
		if err := run(t, j); err != nil {
			t.Fatal(err)
		}
		if got := mem.recs[0]; got.State != Failed || got.Data.Has("prediction") {
			t.Errorf("%s: %+v", inferencer, got)
		}
	}
}
