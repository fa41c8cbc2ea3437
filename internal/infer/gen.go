package infer

import (
	"context"
	"fmt"

	"sextant/internal/model"
	"sextant/internal/prompt"
	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Classes.Register(Class{New: newGen, Mode: "gen"}, "GenInferencer", "ParallelGenInferencer")
}

// gen asks for a continuation of each row's prompt.
type gen struct {
	cfg     *py.Dict
	stop    []string
	replace string // what the output column says in the prompt
}

var genKeys = []string{"max_out_len", "min_out_len", "stopping_criteria", "gen_field_replace_token", "batch_size", "max_seq_len", "save_every",
	"multiround", "dump_timer", "output_json_filepath", "output_json_filename", "generation_kwargs", "fix_id_list", "sc_size", "infer_type", "max_infer_workers"}

func newGen(cfg *py.Dict) (Inferencer, error) {
	if err := checkKeys(cfg, genKeys...); err != nil {
		return nil, err
	}
	g := &gen{cfg: cfg}
	for _, k := range []string{"max_out_len", "min_out_len"} {
		if _, err := intOption(cfg, k, 0); err != nil {
			return nil, err
		}
	}
	switch x := cfg.Get("stopping_criteria").(type) {
	case nil:
	case *py.List:
		for i, it := range x.Items {
			t, ok := it.(string)
			if !ok {
				return nil, source.Errorf(x.PosOf(i), "stopping_criteria must be texts, not %s", py.TypeName(it))
			}
			g.stop = append(g.stop, t)
		}
	default:
		return nil, source.Errorf(cfg.PosOf("stopping_criteria"), "stopping_criteria must be a list of texts, not %s", py.TypeName(x))
	}
	switch x := cfg.Get("gen_field_replace_token").(type) {
	case nil:
	case string:
		g.replace = x
	default:
		return nil, source.Errorf(cfg.PosOf("gen_field_replace_token"), "gen_field_replace_token must be text, not %s", py.TypeName(x))
	}
	return g, nil
}

// outLen is key from the dataset's inferencer, or else from the model.
func (g *gen) outLen(key string, modelCfg *py.Dict) (int, error) {
	if g.cfg.Has(key) {
		return intOption(g.cfg, key, 0)
	}
	return intOption(modelCfg, key, 0)
}

// Run implements Inferencer.
func (g *gen) Run(ctx context.Context, job *Job) error {
	maxOut, err := g.outLen("max_out_len", job.ModelCfg)
	if err != nil {
		return err
	}
	minOut, err := g.outLen("min_out_len", job.ModelCfg)
	if err != nil {
		return err
	}
	n := 1
	if kw := job.ModelCfg.Dict("generation_kwargs"); kw != nil {
		if n, err = intOption(kw, "num_return_sequences", 1); err != nil {
			return err
		}
	}
	multi := py.Truth(g.cfg.Get("multiround"))
	var stop []py.Value
	for _, t := range g.stop {
		stop = append(stop, t)
	}
	s, err := newSetup(job, "GenInferencer", "max_out_len", maxOut, "min_out_len", minOut, "stop", py.NewList(stop...), "n", n, "multiround", multi)
	if err != nil {
		return err
	}
	if job.Message != nil {
		return g.messages(ctx, s)
	}
	h := newIDHash(job.Set.Content, s.settings, job.Identity)
	return s.drive(ctx, longestFirst, func(i int) (*question, error) {
		row := job.Rows[i]
		p, dropped, err := g.render(s, row)
		if err != nil {
			return nil, err
		}
		text, err := prompt.Text(p)
		if err != nil {
			return nil, err
		}
		shape := "text"
		if _, ok := p.(string); !ok {
			// two dialogues may read alike but be cut into turns differently
			shape = py.Repr(stored(p))
		}
		req := model.Request{MaxTokens: maxOut, MinTokens: minOut, MaxSeqLen: s.maxSeq, Stop: g.stop, N: n}
		if err := fill(&req, p, job.Class); err != nil {
			return nil, err
		}
		asked := []string{text, shape}
		if req.Batched = s.batched(row); req.Batched {
			asked = append(asked, "batched")
		}
		q := s.question(i, h, asked)
		q.key, q.cost, q.n = text, len(text), 1
		q.cutIf(dropped, CutExamples)
		var answer py.Value
		q.ask = func(ctx context.Context, _ int) error {
			if multi {
				answer, err = multiround(ctx, s.Model, req, q)
				return err
			}
			r, err := s.Model.Generate(ctx, req)
			if err != nil {
				return err
			}
			q.cutBy(r)
			answer, err = prediction(r, n)
			return err
		}
		q.record = func() (*py.Dict, error) {
			d := py.DictOf("origin_prompt", stored(p), "prediction", answer)
			if gold, ok := s.gold(row); ok && py.Truth(gold) {
				d.Set("gold", gold)
			}
			if job.DumpResLength {
				if err := s.addLengths(d, p, answer); err != nil {
					return nil, err
				}
			}
			return d, nil
		}
		q.prompt = func() *py.Dict {
			d := py.DictOf("origin_prompt", stored(p))
			if gold, ok := s.gold(row); ok && py.Truth(gold) {
				d.Set("gold", gold)
			}
			return d
		}
		return q, nil
	})
}

// render lays out the prompt of a row; dropped says that not all its examples
// fit.
func (g *gen) render(s *setup, row int) (p prompt.Prompt, dropped bool, err error) {
	ex, err := s.examples(row)
	if err != nil {
		return nil, false, err
	}
	wanted := len(ex.ids)
	p, err = s.fit(ex, prompt.Gen, func(ice prompt.Prompt) (prompt.Prompt, error) {
		return s.b.Generate(row, ice, g.replace)
	})
	return p, len(ex.ids) < wanted, err
}

// cutBy notes what r says was cut.
func (q *question) cutBy(r model.Response) {
	q.cutIf(r.FinishReason == "length", CutAnswer)
	q.cutIf(r.Truncated, CutPrompt)
}

func (g *gen) messages(ctx context.Context, s *setup) error {
	for i, row := range s.Rows {
		if ctx.Err() != nil {
			return ctxErr(ctx)
		}
		p, _, err := g.render(s, row)
		if err != nil {
			return err
		}
		gold, _ := s.gold(row)
		if err := s.Message(s.Index[i], stored(p), gold); err != nil {
			return err
		}
	}
	return nil
}

// prediction is the answer as records keep it: one text, or a list when
// several were asked for.
func prediction(r model.Response, n int) (py.Value, error) {
	if len(r.Texts) < max(1, n) {
		return nil, fmt.Errorf("the model gave %d answers where %d were asked for", len(r.Texts), max(1, n))
	}
	if n <= 1 {
		return r.Texts[0], nil
	}
	out := py.NewList()
	for _, t := range r.Texts[:n] {
		out.Items = append(out.Items, t)
	}
	return out, nil
}

// addLengths puts the token counts of prompt and answer into a record.
func (s *setup) addLengths(d *py.Dict, p prompt.Prompt, answer py.Value) error {
	l, ok := d.Get("origin_prompt").(*py.List)
	var total int
	if ok {
		out := py.NewList()
		for _, it := range l.Items {
			m, ok := it.(*py.Dict)
			if !ok {
				continue
			}
			text := m.Get("prompt")
			if text == nil {
				text = m.Get("content")
			}
			n, err := s.countText(py.Str(text))
			if err != nil {
				return err
			}
			total += n
			m = m.Copy()
			m.Set("input_length", n)
			out.Items = append(out.Items, m)
		}
		d.Set("origin_prompt", out)
	} else {
		var err error
		if total, err = s.countTokens(p); err != nil {
			return err
		}
	}
	lengths := func(v py.Value) (py.Value, error) { return s.countText(py.Str(v)) }
	res, err := lengths(answer)
	if al, ok := answer.(*py.List); ok {
		out := py.NewList()
		for _, it := range al.Items {
			n, err := lengths(it)
			if err != nil {
				return err
			}
			out.Items = append(out.Items, n)
		}
		res = out
	}
	if err != nil {
		return err
	}
	d.Set("res_length", res)
	d.Set("all_input_length", total)
	return nil
}

// fill puts a laid-out prompt into a request.
func fill(req *model.Request, p prompt.Prompt, class model.Class) error {
	if !class.Chat {
		text, ok := p.(string)
		if !ok {
			return fmt.Errorf("a base model needs a prompt that is one text, not %s", py.TypeName(p))
		}
		req.Text = text
		return nil
	}
	msgs, err := Messages(p, class.LocalChat)
	if err != nil {
		return err
	}
	req.Messages = msgs
	return nil
}

// Messages makes wire messages of a laid-out prompt: a text is one user turn;
// HUMAN, BOT and SYSTEM become user, assistant and system. merge leaves turns
// without text out and joins neighbours of one role with a newline, as local
// chat models want.
func Messages(p prompt.Prompt, merge bool) ([]model.Message, error) {
	var out []model.Message
	add := func(role, text string) {
		if merge {
			if text == "" {
				return
			}
			if n := len(out); n > 0 && out[n-1].Role == role {
				out[n-1].Content += "\n" + text
				return
			}
		}
		out = append(out, model.Message{Role: role, Content: text})
	}
	switch x := p.(type) {
	case string:
		return []model.Message{{Role: "user", Content: x}}, nil
	case prompt.List:
		for _, it := range x {
			d, ok := it.(*py.Dict)
			if !ok {
				return nil, fmt.Errorf("a turn must be a dict, not %s", py.TypeName(it))
			}
			role := d.Str("role")
			if w, ok := wireRole[role]; ok {
				role = w
			}
			text, ok := d.Get("prompt").(string)
			if !ok && d.Get("prompt") != nil {
				return nil, fmt.Errorf("a turn's prompt must be text, not %s", py.TypeName(d.Get("prompt")))
			}
			add(role, text)
		}
	case *py.List:
		for _, it := range x.Items {
			d, ok := it.(*py.Dict)
			if !ok {
				return nil, fmt.Errorf("a message must be a dict, not %s", py.TypeName(it))
			}
			text, ok := d.Get("content").(string)
			if !ok {
				return nil, fmt.Errorf("only messages that are text can be sent, not %s", py.TypeName(d.Get("content")))
			}
			out = append(out, model.Message{Role: d.Str("role"), Content: text})
		}
	default:
		return nil, fmt.Errorf("cannot make messages of %s", py.TypeName(p))
	}
	return out, nil
}

var wireRole = map[string]string{"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}

// multiround fills the empty assistant turns of a conversation in order, each
// from what stands before it; the prediction is the list of all of them.
func multiround(ctx context.Context, m model.Model, req model.Request, q *question) (py.Value, error) {
	msgs := append([]model.Message(nil), req.Messages...)
	out := py.NewList()
	for i := range msgs {
		if msgs[i].Role != "assistant" {
			continue
		}
		if msgs[i].Content == "" {
			r := req
			r.Messages = append([]model.Message(nil), msgs[:i]...)
			resp, err := m.Generate(ctx, r)
			if err != nil {
				return nil, err
			}
			if len(resp.Texts) == 0 {
				return nil, fmt.Errorf("the model gave no answer")
			}
			q.cutBy(resp)
			msgs[i].Content = resp.Texts[0]
		}
		out.Items = append(out.Items, msgs[i].Content)
	}
	return out, nil
}
