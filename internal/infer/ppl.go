package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"sextant/internal/model"
	"sextant/internal/prompt"
	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: newPPL, NeedsScore: true, Mode: "ppl"}, "PPLInferencer")
}

// pplInferencer asks for the perplexity of the prompt with each label's
// answer; the label with the lowest is the prediction, the first one on ties.
type pplInferencer struct {
	labels []py.Value // nil: from the template
}

func newPPL(cfg *py.Dict) (Inferencer, error) {
	labels, err := labelOptions(cfg, "save_every")
	if err != nil {
		return nil, err
	}
	return &pplInferencer{labels}, nil
}

// Run implements Inferencer.
func (p *pplInferencer) Run(ctx context.Context, job *Job) error {
	s, err := newLabelled(job, "PPLInferencer", p.labels)
	if err != nil {
		return err
	}
	labels := s.labels
	return s.drive(ctx, byPrefix, func(i int) (*question, error) {
		q, r, w, err := s.compare(i)
		if err != nil {
			return nil, err
		}
		ppl, tokens := make([]float64, len(labels)), make([]int, len(labels))
		q.ask = func(ctx context.Context, k int) (err error) {
			ppl[k], tokens[k], err = s.sc.perplexity(ctx, q, r.texts[k], width(w, k))
			return err
		}
		q.record = func() (*py.Dict, error) {
			d := r.head(true)
			best := 0
			for k, l := range labels {
				e := py.DictOf("testing input", r.without[k], "prompt", stored(r.parsed[k]), "PPL", ppl[k])
				// bits per byte, as OpenCompass calls it; a prompt without text has none
				if n := textBytes(r.without[k]); n > 0 {
					e.Set("BPB", ppl[k]*float64(tokens[k])/float64(n))
				} else {
					e.Set("BPB", nil)
				}
				d.Set("label: "+py.Str(l), e)
				if ppl[k] < ppl[best] {
					best = k
				}
			}
			d.Set("prediction", labels[best])
			if g, ok := s.gold(q.row); ok {
				d.Set("gold", g)
			}
			return d, nil
		}
		q.prompt = func() *py.Dict { return r.unanswered(s.setup, q.row) }
		return q, nil
	})
}

// labelSetup prepares an inferencer that compares labels.
func labelSetup(job *Job, class string, labels []py.Value, options ...any) (*setup, []py.Value, error) {
	s, err := newSetup(job, class, options...)
	if err != nil {
		return nil, nil, err
	}
	if labels == nil {
		labels = s.b.Labels()
	}
	if len(labels) == 0 {
		return nil, nil, diagAt(job.InferCfg, "%s has no labels to compare", class).
			WithHint("make the template a mapping from label to prompt, or give labels=[…]")
	}
	for _, l := range labels {
		s.settings = append(s.settings, "label "+py.Repr(l))
	}
	return s, labels, nil
}

// labelOptions reads the options of an inferencer that compares labels.
func labelOptions(cfg *py.Dict, more ...string) ([]py.Value, error) {
	if err := checkKeys(cfg, append(more, "labels", "batch_size", "max_out_len", "max_seq_len", "output_json_filepath", "output_json_filename", "fix_id_list")...); err != nil {
		return nil, err
	}
	return labelList(cfg)
}

// labelled is an inferencer that compares labels, ready to ask.
type labelled struct {
	*setup
	labels []py.Value
	sc     *scorer
	hash   idHash
	widths *batchWidths
}

func newLabelled(job *Job, class string, labels []py.Value) (*labelled, error) {
	s, labels, err := labelSetup(job, class, labels)
	if err != nil {
		return nil, err
	}
	sc, err := newScorer(s)
	if err != nil {
		return nil, err
	}
	return &labelled{s, labels, sc, newIDHash(job.Set.Content, s.settings, job.Identity), newBatchWidths(s, s.labelTexts(labels))}, nil
}

// compare makes the question of the job's i-th row: one request for each label,
// which asks for more texts behind its prompt too. w are the widths of the
// requests' batches.
func (s *labelled) compare(i int, more ...string) (q *question, r *labelPrompts, w []int, err error) {
	row := s.Rows[i]
	if r, err = s.renderLabels(row, s.labels); err != nil {
		return nil, nil, nil, err
	}
	w, asked, err := s.widths.of(row, append(r.texts[:len(r.texts):len(r.texts)], more...))
	if err != nil {
		return nil, nil, nil, err
	}
	q = s.question(i, s.hash, asked)
	q.key, q.cost, q.n = r.texts[0], r.size, len(s.labels)
	q.cutIf(r.dropped, CutExamples)
	return q, r, w, nil
}

// labelPrompts are the prompts of one row with the answer of each label.
type labelPrompts struct {
	ice     py.Value        // the examples as laid out for the model
	parsed  []prompt.Prompt // by label
	texts   []string        // parsed as text
	without []py.Value      // parsed without the examples
	size    int             // bytes of texts
	dropped bool            // examples were left out to make it fit
}

func (s *setup) renderLabels(row int, labels []py.Value) (*labelPrompts, error) {
	ex, err := s.examples(row)
	if err != nil {
		return nil, err
	}
	ice, err := s.parse(ex.prompt, prompt.PPL)
	if err != nil {
		// examples alone may not be a whole dialogue; the prompts around them
		// are what counts
		ice = ""
	}
	r := &labelPrompts{ice: stored(ice)}
	shown, wanted := len(ex.ids), len(ex.ids)
	for _, l := range labels {
		p, err := s.fit(ex, prompt.PPL, func(ice prompt.Prompt) (prompt.Prompt, error) {
			return s.b.Label(row, ice, l, false)
		})
		if err != nil {
			return nil, err
		}
		if len(ex.ids) != shown { // dropped for this label and the ones after it
			shown = len(ex.ids)
			if ice, err = s.parse(ex.prompt, prompt.PPL); err != nil {
				ice = ""
			}
		}
		text, err := prompt.Text(p)
		if err != nil {
			return nil, err
		}
		r.parsed = append(r.parsed, p)
		r.texts = append(r.texts, text)
		r.size += len(text)
		r.without = append(r.without, stored(withoutExamples(p, ice)))
	}
	r.dropped = len(ex.ids) < wanted
	return r, nil
}

// withoutExamples takes the examples out of a prompt, wherever their text
// stands.
func withoutExamples(p, ice prompt.Prompt) prompt.Prompt {
	t, ok := ice.(string)
	if !ok || t == "" {
		return p
	}
	switch x := p.(type) {
	case string:
		return strings.ReplaceAll(x, t, "")
	case prompt.List:
		if l, err := x.Replace(t, ""); err == nil {
			return l
		}
	}
	return p
}

func textBytes(v py.Value) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case *py.List:
		s, _ := prompt.Text(prompt.List(x.Items))
		return len(s)
	}
	return 0
}

// head begins a record.
func (r *labelPrompts) head(origin bool) *py.Dict {
	d := py.DictOf("in-context examples", r.ice)
	if origin {
		d.Set("origin_prompt", r.without[0])
	}
	return d
}

func (r *labelPrompts) unanswered(s *setup, row int) *py.Dict {
	d := r.head(true)
	if g, ok := s.gold(row); ok {
		d.Set("gold", g)
	}
	return d
}

// scorer asks a model for the numbers that an inferencer compares, by the
// conventions of its class.
type scorer struct {
	s      *setup
	lp     model.Scorer
	own    model.Perplexer
	tokens model.Tokenizer
}

func newScorer(s *setup) (*scorer, error) {
	sc := &scorer{s: s}
	sc.own, _ = s.Model.(model.Perplexer)
	sc.lp, _ = s.Model.(model.Scorer)
	sc.tokens, _ = s.Model.(model.Tokenizer)
	if sc.own == nil && sc.lp == nil {
		return nil, &model.EndpointError{
			Err:  fmt.Errorf("model %s gives no log-probabilities of a given text, which %s asks for", s.ModelCfg.Str("abbr"), s.settings[0]),
			Hint: "use the generation variant of the dataset (…_gen) with this model",
		}
	}
	return sc, nil
}

// perplexity of a text of q, and its number of tokens. padTo is the width of the
// batch that it stands in, 0 for none.
func (sc *scorer) perplexity(ctx context.Context, q *question, text string, padTo int) (ppl float64, tokens int, err error) {
	defer func() { err = number(ppl, err) }()
	if sc.own != nil {
		if ppl, err = sc.own.Perplexity(ctx, text); err != nil {
			return 0, 0, err
		}
		tokens, err = sc.s.countText(text)
		return ppl, tokens, err
	}
	r, err := sc.lp.Score(ctx, model.ScoreRequest{Text: text, MaxSeqLen: sc.s.maxSeq, PadTo: padTo})
	if err != nil {
		return 0, 0, err
	}
	tokens = len(r.TokenIDs)
	q.cutIf(r.Truncated, CutPrompt)
	if r.Truncated {
		if tokens, err = sc.s.countText(text); err != nil {
			return 0, 0, err
		}
	}
	ppl, err = meanLoss(r, sc.s.Class.Scoring, 0)
	return ppl, tokens, err
}

// meanLoss is what OpenCompass calls perplexity: the mean negative
// log-likelihood of the tokens behind the first mask ones. The HF classes
// divide by the number of all tokens, the first included, and leave pad tokens
// out; vLLM divides by the number of tokens that have a probability.
func meanLoss(r model.ScoreResponse, how model.Scoring, mask int) (float64, error) {
	if len(r.LogProbs) != max(0, len(r.TokenIDs)-1) {
		return 0, fmt.Errorf("the model gave %d log-probabilities for %d tokens", len(r.LogProbs), len(r.TokenIDs))
	}
	var sum float64
	n := len(r.TokenIDs)
	if how == model.ScoreVLLM {
		n = len(r.LogProbs)
	}
	// What is left out is counted from where the padding begins. The first token
	// behind padding is predicted from a pad token, and that term is counted
	// (spec 6.5).
	skip := mask - 1 - r.Pads
	if how != model.ScoreVLLM && r.Padded && skip < 0 && n > 0 && !(r.HasPad && r.TokenIDs[0] == r.PadID) {
		sum -= r.PadLogProb
	}
	for i, lp := range r.LogProbs {
		if i < skip {
			continue
		}
		if how != model.ScoreVLLM && r.HasPad && r.TokenIDs[i+1] == r.PadID {
			continue
		}
		sum -= lp
	}
	if how != model.ScoreVLLM && r.HasPad {
		for _, id := range r.TokenIDs {
			if id == r.PadID {
				n--
			}
		}
	}
	n -= mask
	if n <= 0 {
		return 0, &model.SampleError{Reason: "too_short", Err: fmt.Errorf("the text has %d tokens, too few for a perplexity", len(r.TokenIDs))}
	}
	return sum / float64(n), nil
}

// number refuses what is none: every comparison with it says no, and the first
// label would win.
func number(x float64, err error) error {
	if err == nil && math.IsNaN(x) {
		return &model.SampleError{Reason: "not_a_number", Err: errors.New("the model's log-probabilities give no number")}
	}
	return err
}

// logLikelihood of the continuation at the end of a text of q. padTo is the
// width of the batch that it stands in, 0 for none.
func (sc *scorer) logLikelihood(ctx context.Context, q *question, text, cont string, padTo int) (ll float64, err error) {
	defer func() { err = number(ll, err) }()
	if sc.own != nil {
		return sc.own.LogLikelihood(ctx, text, cont)
	}
	req := model.ScoreRequest{Text: text, MaxSeqLen: sc.s.maxSeq, Continuation: cont}
	if sc.s.Class.Scoring == model.ScoreHF {
		req.FillTo = padTo // it reads and counts padding like any other text
	} else {
		req.PadTo = padTo
	}
	r, err := sc.lp.Score(ctx, req)
	if err != nil {
		return 0, err
	}
	q.cutIf(r.Truncated, CutPrompt)
	if len(r.LogProbs) != max(0, len(r.TokenIDs)-1) {
		return 0, fmt.Errorf("the model gave %d log-probabilities for %d tokens", len(r.LogProbs), len(r.TokenIDs))
	}
	switch sc.s.Class.Scoring {
	case model.ScoreHFBase:
		m, err := sc.bareTokens(cont, len(r.TokenIDs)-r.ContextTokens)
		if err != nil {
			return 0, err
		}
		ppl, err := meanLoss(r, model.ScoreHFBase, m)
		return -ppl, err
	case model.ScoreVLLM:
		m, err := sc.bareTokens(cont, len(r.TokenIDs)-r.ContextTokens)
		if err != nil {
			return 0, err
		}
		if len(r.LogProbs) == 0 {
			return 0, &model.SampleError{Reason: "too_short", Err: fmt.Errorf("the text has %d tokens, too few for a log-likelihood", len(r.TokenIDs))}
		}
		var sum float64
		for _, lp := range r.LogProbs[max(0, len(r.LogProbs)-m):] {
			sum += lp
		}
		return sum / float64(len(r.LogProbs)), nil
	}
	// the context is the text without the continuation wherever it occurs,
	// not only at the end
	start := r.ContextTokens
	if sc.tokens != nil {
		if start, err = sc.tokens.CountTokens(pyRemove(text, cont)); err != nil {
			return 0, err
		}
	}
	var sum float64
	for i := max(0, start-1); i < len(r.LogProbs); i++ {
		sum += r.LogProbs[i]
	}
	return sum, nil
}

func pyRemove(text, cont string) string {
	if cont == "" {
		return text
	}
	return strings.ReplaceAll(text, cont, "")
}

// bareTokens counts the tokens of a text without special ones.
func (sc *scorer) bareTokens(text string, otherwise int) (int, error) {
	if sc.tokens == nil {
		return otherwise, nil
	}
	n, err := sc.tokens.CountTokens(text)
	if err != nil {
		return 0, err
	}
	special, err := sc.tokens.CountTokens("")
	return n - special, err
}
