package infer

import (
	"context"

	"sextant/internal/prompt"
	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: newPPLOnly, NeedsScore: true, Mode: "ppl"}, "PPLOnlyInferencer")
}

// pplOnly asks for the perplexity of each row's prompt, to be averaged.
type pplOnly struct{}

func newPPLOnly(cfg *py.Dict) (Inferencer, error) {
	return pplOnly{}, checkKeys(cfg, "batch_size", "max_out_len", "max_seq_len", "output_json_filepath", "output_json_filename", "save_every", "fix_id_list")
}

// Run implements Inferencer.
func (pplOnly) Run(ctx context.Context, job *Job) error {
	if job.Set.Output != "" {
		return diagAt(job.InferCfg, "PPLOnlyInferencer wants output_column=None: there is nothing to compare a perplexity with")
	}
	s, err := newSetup(job, "PPLOnlyInferencer")
	if err != nil {
		return err
	}
	sc, err := newScorer(s)
	if err != nil {
		return err
	}
	h := newIDHash(job.Set.Content, s.settings, job.Identity)
	render := func(row int) (p prompt.Prompt, text string, dropped bool, err error) {
		ex, err := s.examples(row)
		if err != nil {
			return nil, "", false, err
		}
		shown := len(ex.ids)
		p, err = s.fit(ex, prompt.PPL, func(ice prompt.Prompt) (prompt.Prompt, error) { return s.b.Generate(row, ice, "") })
		if err != nil {
			return nil, "", false, err
		}
		text, err = prompt.Text(p)
		return p, text, len(ex.ids) < shown, err
	}
	widths := newBatchWidths(s, func(row int) ([]string, error) {
		_, text, _, err := render(row)
		return []string{text}, err
	})
	return s.drive(ctx, byPrefix, func(i int) (*question, error) {
		p, text, dropped, err := render(job.Rows[i])
		if err != nil {
			return nil, err
		}
		w, asked, err := widths.of(job.Rows[i], []string{text})
		if err != nil {
			return nil, err
		}
		q := s.question(i, h, asked)
		q.key, q.cost, q.n = text, len(text), 1
		q.cutIf(dropped, CutExamples)
		var ppl float64
		q.ask = func(ctx context.Context, _ int) (err error) {
			ppl, _, err = sc.perplexity(ctx, q, text, width(w, 0))
			return err
		}
		q.prompt = func() *py.Dict { return py.DictOf("origin_prompt", stored(p)) }
		q.record = func() (*py.Dict, error) {
			d := q.prompt()
			d.Set("ppl", ppl)
			return d, nil
		}
		return q, nil
	})
}
