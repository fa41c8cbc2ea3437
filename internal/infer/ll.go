package infer

import (
	"context"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: newLL, NeedsScore: true, Mode: "ll"}, "LLInferencer")
}

// llInferencer asks for the log-likelihood of each row's continuation (column
// cont) behind the prompt of each label; the label with the highest is the
// prediction, the first one on ties.
type llInferencer struct{ labels []py.Value }

func newLL(cfg *py.Dict) (Inferencer, error) {
	labels, err := labelOptions(cfg)
	if err != nil {
		return nil, err
	}
	return &llInferencer{labels}, nil
}

// Run implements Inferencer.
func (l *llInferencer) Run(ctx context.Context, job *Job) error {
	s, err := newLabelled(job, "LLInferencer", l.labels)
	if err != nil {
		return err
	}
	labels := s.labels
	return s.drive(ctx, byPrefix, func(i int) (*question, error) {
		row := job.Rows[i]
		cont, ok := job.Set.Test[row].Get("cont").(string)
		if !ok {
			return nil, diagAt(job.InferCfg, "LLInferencer needs a column cont of texts, which row %d of %s lacks", job.Index[i], job.Set.Abbr)
		}
		q, r, w, err := s.compare(i, cont)
		if err != nil {
			return nil, err
		}
		ll := make([]float64, len(labels))
		q.ask = func(ctx context.Context, k int) (err error) {
			ll[k], err = s.sc.logLikelihood(ctx, q, r.texts[k], cont, width(w, k))
			return err
		}
		q.record = func() (*py.Dict, error) {
			d := r.head(false)
			best := 0
			for k, l := range labels {
				d.Set("label: "+py.Str(l), py.DictOf("testing input", r.without[k], "prompt", stored(r.parsed[k]), "Loglikelihood", ll[k]))
				if ll[k] > ll[best] {
					best = k
				}
			}
			d.Set("prediction", labels[best])
			if g, ok := s.gold(row); ok {
				d.Set("gold", g)
			}
			return d, nil
		}
		q.prompt = func() *py.Dict { return r.unanswered(s.setup, row) }
		return q, nil
	})
}
