package infer

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"sextant/internal/model"
	"sextant/internal/prompt"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// setup is what every inferencer works with: the prompts of a job and the
// parser that lays them out for its model. Safe for concurrent use.
type setup struct {
	*Job
	b        *prompt.Builder
	parser   prompt.Parser
	maxSeq   int // 0 for none
	settings []string
}

// newSetup prepares job. class is the inferencer's name and options are its
// settings that change answers; both become part of each record's identity.
func newSetup(job *Job, class string, options ...any) (*setup, error) {
	b, err := prompt.New(job.InferCfg, job.Set)
	if err != nil {
		return nil, err
	}
	s := &setup{Job: job, b: b}
	if s.parser, err = newParser(job.Class, job.ModelCfg); err != nil {
		return nil, err
	}
	if s.maxSeq, err = intOption(job.ModelCfg, "max_seq_len", 0); err != nil {
		return nil, err
	}
	// The model's class decides how prompts are sent, cut and turned into
	// numbers; it is no part of the model's identity.
	s.settings = append(s.settings, class, "renderer "+RendererVersion, "class "+registry.Base(job.ModelCfg.Str("type")))
	for _, o := range options {
		s.settings = append(s.settings, py.Repr(o))
	}
	for _, e := range AnswerSettings(job.ModelCfg).Entries() {
		s.settings = append(s.settings, py.Str(e.Key)+"="+py.Repr(e.Val))
	}
	return s, nil
}

// newParser is the parser that a model class uses.
func newParser(class model.Class, cfg *py.Dict) (prompt.Parser, error) {
	v := cfg.Get("meta_template")
	var p prompt.Parser
	var err error
	switch d, isDict := v.(*py.Dict); {
	case class.Chat:
		if v == nil && class.LocalChat {
			v = prompt.LocalChatMeta()
		}
		p, err = prompt.NewAPI(v)
	case class.IgnoresMetaTemplate:
		p, err = prompt.NewLM(nil)
	case v != nil && !isDict:
		return nil, source.Errorf(cfg.PosOf("meta_template"), "meta_template must be a dict, not %s", py.TypeName(v))
	default:
		p, err = prompt.NewLM(d)
	}
	var pe *prompt.Error
	if errors.As(err, &pe) {
		return nil, pe.Diagnostic(cfg.PosOf("meta_template"))
	}
	return p, err
}

// examples renders the examples of a row.
type examples struct {
	ids    []int
	prompt prompt.Prompt
}

func (s *setup) examples(row int) (*examples, error) {
	ids := s.b.ExampleIDs(row)
	p, err := s.b.Examples(ids)
	if err != nil {
		return nil, err
	}
	return &examples{ids, p}, nil
}

// fit renders with fewer and fewer examples, the last dropped first, until
// the prompt is no longer than max_seq_len. ex is changed.
func (s *setup) fit(ex *examples, mode prompt.Mode, render func(ice prompt.Prompt) (prompt.Prompt, error)) (prompt.Prompt, error) {
	for {
		p, err := render(ex.prompt)
		if err != nil {
			return nil, err
		}
		if p, err = s.parse(p, mode); err != nil {
			return nil, err
		}
		if s.maxSeq <= 0 || len(ex.ids) == 0 {
			return p, nil
		}
		n, err := s.countTokens(p)
		if err != nil {
			return nil, err
		}
		if n <= s.maxSeq {
			return p, nil
		}
		ex.ids = ex.ids[:len(ex.ids)-1]
		if ex.prompt, err = s.b.Examples(ex.ids); err != nil {
			return nil, err
		}
	}
}

// parse lays a prompt out for the model.
func (s *setup) parse(p prompt.Prompt, mode prompt.Mode) (prompt.Prompt, error) {
	out, err := s.parser.Parse(p, mode)
	var pe *prompt.Error
	if errors.As(err, &pe) {
		pos := s.InferCfg.PosOf("prompt_template")
		d := pe.Diagnostic(pos)
		d.Err = fmt.Errorf("lay out a prompt of %s: %w", s.Set.Abbr, pe)
		return nil, d
	}
	return out, err
}

// countTokens is how many tokens a prompt has for the model.
func (s *setup) countTokens(p prompt.Prompt) (int, error) {
	if l, ok := p.(*py.List); ok { // raw messages are counted one by one
		n := 0
		for _, it := range l.Items {
			k, err := s.countText(py.Str(it))
			if err != nil {
				return 0, err
			}
			n += k
		}
		return n, nil
	}
	text, err := prompt.Text(p)
	if err != nil {
		return 0, err
	}
	return s.countText(text)
}

func (s *setup) countText(text string) (int, error) {
	if t, ok := s.Model.(model.Tokenizer); ok {
		return t.CountTokens(text)
	}
	return approxTokens(text), nil
}

var asciiWord = regexp.MustCompile(`[A-Za-z0-9]+`)

// approxTokens is what OpenCompass takes for the length of a text when a model
// has no tokenizer: its English words and its Chinese characters.
func approxTokens(text string) int {
	n := len(asciiWord.FindAllStringIndex(text, -1))
	for _, r := range text {
		if r >= 0x4e00 && r <= 0x9fff {
			n++
		}
	}
	return n
}

// stored is a prompt as records keep it: a text or a list.
func stored(p prompt.Prompt) py.Value {
	if l, ok := p.(prompt.List); ok {
		out := py.NewList()
		out.Items = append(out.Items, l...)
		return out
	}
	return p
}

// inFlight is how many requests the model wants at once.
func (s *setup) inFlight() int { return max(1, s.Model.Limits().InFlight) }

// drained reports whether the job was asked to stop.
func (s *setup) drained() bool {
	select {
	case <-s.Drain: // a nil channel never is ready
		return true
	default:
		return false
	}
}

// gold is the answer key of a row.
func (s *setup) gold(row int) (py.Value, bool) {
	if s.Set.Output == "" {
		return nil, false
	}
	return s.Set.Test[row].Get(s.Set.Output), true
}

func intOption(cfg *py.Dict, key string, def int) (int, error) {
	switch x := cfg.Get(key).(type) {
	case nil:
		return def, nil
	case int:
		return x, nil
	default:
		return 0, source.Errorf(cfg.PosOf(key), "%s must be a whole number, not %s", key, py.TypeName(x))
	}
}

// checkKeys refuses options that an inferencer does not have but that look
// like a slip for one that it has; OpenCompass swallows all of them.
func checkKeys(cfg *py.Dict, known ...string) error {
	var errs source.List
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		if k == "fix_id_list" && py.Truth(e.Val) {
			errs = append(errs, source.Errorf(cfg.KeyPosOf(k), "fix_id_list belongs to the retriever, not to the inferencer").
				WithHint("retriever=dict(type=FixKRetriever, fix_id_list=…)"))
			continue
		}
		found := false
		for _, n := range known {
			found = found || n == k
		}
		if found || k == "type" {
			continue
		}
		if n := registry.Nearest(k, known); n != "" && !cfg.Has(n) {
			errs = append(errs, source.Errorf(cfg.KeyPosOf(k), "%s has no option %s", registry.Base(cfg.Str("type")), k).WithHint("did you mean %q?", n))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// labelList reads the labels option.
func labelList(cfg *py.Dict) ([]py.Value, error) {
	switch x := cfg.Get("labels").(type) {
	case nil:
		return nil, nil
	case *py.List:
		return x.Items, nil
	case *py.Tuple:
		return x.Items, nil
	default:
		return nil, source.Errorf(cfg.PosOf("labels"), "labels must be a list, not %s", py.TypeName(x))
	}
}

// ctxErr is why ctx ended.
func ctxErr(ctx context.Context) error { return context.Cause(ctx) }

// diagAt points at the inferencer of infer_cfg.
func diagAt(inferCfg *py.Dict, format string, args ...any) *source.Diagnostic {
	return source.Errorf(inferCfg.PosOf("inferencer"), format, args...)
}
