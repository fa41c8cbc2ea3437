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
	if err := checkKeys(cfg, "labels", "batch_size", "max_out_len", "max_seq_len", "output_json_filepath", "output_json_filename", "fix_id_list"); err != nil {
		return nil, err
	}
	labels, err := labelList(cfg)
	if err != nil {
		return nil, err
	}
	return &llInferencer{labels}, nil
}

// Run implements Inferencer.
func (l *llInferencer) Run(ctx context.Context, job *Job) error {
	s, labels, err := labelSetup(job, "LLInferencer", l.labels)
	if err != nil {
		return err
	}
	sc, err := newScorer(s)
	if err != nil {
		return err
	}
	h := newIDHash(job.Set.Content, s.settings, job.Identity)
	widths := newBatchWidths(s, s.labelTexts(labels))
	return s.drive(ctx, byPrefix, func(i int) (*question, error) {
		row := job.Rows[i]
		cont, ok := job.Set.Test[row].Get("cont").(string)
		if !ok {
			return nil, diagAt(job.InferCfg, "LLInferencer needs a column cont of texts, which row %d of %s lacks", job.Index[i], job.Set.Abbr)
		}
		r, err := s.renderLabels(row, labels)
		if err != nil {
			return nil, err
		}
		w, asked, err := widths.of(row, append(r.texts[:len(r.texts):len(r.texts)], cont))
		if err != nil {
			return nil, err
		}
		q := s.question(i, h, asked)
		q.key, q.cost, q.n = r.texts[0], r.size, len(labels)
		q.cutIf(r.dropped, CutExamples)
		ll := make([]float64, len(labels))
		q.ask = func(ctx context.Context, k int) (err error) {
			ll[k], err = sc.logLikelihood(ctx, q, r.texts[k], cont, width(w, k))
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
		q.prompt = func() *py.Dict { return r.unanswered(s, row) }
		return q, nil
	})
}
