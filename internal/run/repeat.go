package run

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/repeat"
	"sextant/internal/spec"
	"sextant/internal/store"
)

// Repetitions is what AnalyzeRepeat found.
type Repetitions struct {
	Path  string     // of the report, absolute
	Table [][]string // header first
}

// AnalyzeRepeat looks for repetitions in all answers of the run and writes
// summary/repeat_analysis_<now>.json. Tokens are those of the models' own
// tokenizers, where these are at hand without the network; words otherwise.
func (c *Coordinator) AnalyzeRepeat(ctx context.Context, now time.Time) (*Repetitions, error) {
	in := repeat.Input{Time: now.Format(store.TimeLayout), WorkDir: c.Run.Dir(), LengthUnit: "tokens", Now: c.Now}
	tokenizers := map[string]repeat.Tokenize{}
	var without []string
	for _, m := range c.Exp.Models {
		in.Models = append(in.Models, m.Abbr)
		t, err := c.tokenTexts(ctx, m)
		if err != nil {
			without = append(without, m.Abbr)
			t = repeat.Words
		}
		tokenizers[m.Abbr] = t
	}
	if len(without) > 0 {
		in.LengthUnit = "tokens; words for " + strings.Join(without, ", ")
		if len(without) == len(c.Exp.Models) {
			in.LengthUnit = "words"
		}
		c.Note("repetitions are looked for among words, not tokens: no tokenizer is at hand for %s", listed(without))
	}
	in.Tokenizer = func(m string) repeat.Tokenize { return tokenizers[m] }
	for _, p := range c.pairs() {
		src := repeat.Source{Model: p.m.Abbr, Benchmark: p.d.Abbr, Path: c.Run.PredictionsPath(p.m.Abbr, p.d.Abbr)}
		preds, err := c.Run.Predictions(p.m.Abbr, p.d.Abbr, nil)
		var none *store.IncompleteError
		switch {
		case errors.As(err, &none):
			src.Missing = true
		case err != nil:
			return nil, err
		default:
			if err := preds.Close(); err != nil {
				return nil, err
			}
		}
		src.All = func(yield func(repeat.Answer, error) bool) {
			preds, err := c.Run.Predictions(p.m.Abbr, p.d.Abbr, nil)
			if err != nil {
				yield(repeat.Answer{}, err)
				return
			}
			defer preds.Close() // only read from
			for rec, err := range preds.All() {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(repeat.Answer{}, err)
					return
				}
				a := repeat.Answer{ID: strconv.Itoa(rec.Index), Prediction: rec.Data.Get("prediction"), ResLength: rec.Data.Get("res_length")}
				if !yield(a, nil) {
					return
				}
			}
		}
		in.Sources = append(in.Sources, src)
	}
	rep, err := repeat.Analyze(in)
	if err != nil {
		return nil, fmt.Errorf("look for repetitions: %w", err)
	}
	b, err := py.DumpJSON(rep.JSON, py.JSONOptions{Indent: 4})
	if err != nil {
		return nil, fmt.Errorf("encode repetitions: %w", err)
	}
	rel := "summary/repeat_analysis_" + in.Time + ".json"
	if err := c.Run.WriteFile(rel, b); err != nil {
		return nil, err
	}
	return &Repetitions{Path: c.Run.Path(rel), Table: rep.Table}, nil
}

// tokenTexts opens a model's tokenizer without the model.
func (c *Coordinator) tokenTexts(ctx context.Context, m *spec.Model) (repeat.Tokenize, error) {
	cl, err := model.Classes.Lookup(m.Type)
	if err != nil {
		return nil, err
	}
	if cl.Tokenizer == nil {
		return nil, fmt.Errorf("%s has no tokenizer of its own", m.Type)
	}
	t, err := cl.Tokenizer(ctx, m.Cfg, c.Model)
	if err != nil {
		return nil, err
	}
	x, ok := t.(model.TokenTexts)
	if !ok {
		return nil, fmt.Errorf("the tokenizer of %s only counts", m.Type)
	}
	return x.TokenTexts, nil
}
