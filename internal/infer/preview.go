package infer

import (
	"sextant/internal/model"
	"sextant/internal/prompt"
	"sextant/internal/py"
	"sextant/internal/source"
)

// Rendered is what will be sent for one row, for one label where labels are
// compared.
type Rendered struct {
	Label    py.Value // nil for generation
	HasLabel bool
	Text     string          // for a base model
	Messages []model.Message // for a chat model
	Stored   py.Value        // as the record will have it
	Examples []int           // rows of the train split that are shown
	Tokens   int             // as the model counts, 0 when job.Model is nil
}

// Preview renders row (a row number of job.Set.Test) as the job's inferencer
// would send it. job.Model may be nil: then nothing is counted and examples
// are not dropped for length. Sink and Rows are not used.
func Preview(job *Job, row int) ([]Rendered, error) {
	cfg := job.InferCfg.Dict("inferencer")
	class, err := Lookup(cfg)
	if err != nil {
		return nil, err
	}
	if row < 0 || row >= len(job.Set.Test) {
		return nil, source.Errorf(0, "%s has rows 0 to %d", job.Set.Abbr, len(job.Set.Test)-1)
	}
	inf, err := class.New(cfg)
	if err != nil {
		return nil, err
	}
	var labels []py.Value
	scoring := class.NeedsScore
	switch x := inf.(type) {
	case *pplInferencer:
		labels = x.labels
	case *llInferencer:
		labels = x.labels
	}
	s, err := newSetup(job, "preview")
	if err != nil {
		return nil, err
	}
	if job.Model == nil {
		s.maxSeq = 0
	}
	ex, err := s.examples(row)
	if err != nil {
		return nil, err
	}
	render := func(label py.Value, has bool) (Rendered, error) {
		mode := prompt.Gen
		if has {
			mode = prompt.PPL
		}
		p, err := s.fit(ex, mode, func(ice prompt.Prompt) (prompt.Prompt, error) {
			if has {
				return s.b.Label(row, ice, label, false)
			}
			token := ""
			if g, ok := inf.(*gen); ok {
				token = g.replace
			}
			return s.b.Generate(row, ice, token)
		})
		if err != nil {
			return Rendered{}, err
		}
		r := Rendered{Label: label, HasLabel: has, Stored: stored(p), Examples: ex.ids}
		if t, ok := p.(string); ok && !job.Class.Chat {
			r.Text = t
		} else if r.Messages, err = Messages(p, job.Class.LocalChat); err != nil {
			return Rendered{}, err
		}
		if job.Model != nil {
			if r.Tokens, err = s.countTokens(p); err != nil {
				return Rendered{}, err
			}
		}
		return r, nil
	}
	if !scoring {
		r, err := render(nil, false)
		if err != nil {
			return nil, err
		}
		return []Rendered{r}, nil
	}
	if labels == nil {
		labels = s.b.Labels()
	}
	var out []Rendered
	for _, l := range labels {
		r, err := render(l, true)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Lookup finds the class of an inferencer dict; an unknown one is a diagnostic
// at its type.
func Lookup(cfg *py.Dict) (Class, error) {
	c, err := Classes.Lookup(cfg.Str("type"))
	if err != nil {
		return c, source.At(cfg.PosOf("type"), err)
	}
	return c, nil
}
