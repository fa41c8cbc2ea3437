package engine

import (
	"context"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/source"
)

// The classes of Hugging Face models that the engine runs. HuggingFaceBaseModel
// ignores meta templates and cuts long texts on the left; the two legacy
// classes honour them and cut on the right.
func init() {
	register(class{base: true, scoring: model.ScoreHFBase}, "HuggingFaceBaseModel")
	register(class{maxSeqLen: 2048}, "HuggingFace")
	register(class{maxSeqLen: 2048}, "HuggingFaceCausalLM")
}

func register(c class, name string) {
	model.Classes.Register(model.Class{
		Open: func(ctx context.Context, cfg *py.Dict, env model.Env) (model.Model, error) {
			o, err := parseOptions(cfg, c)
			if err != nil {
				return nil, err
			}
			return open(ctx, o, env)
		},
		Check: func(cfg *py.Dict) error {
			_, err := parseOptions(cfg, c)
			return err
		},
		Identify: func(ctx context.Context, cfg *py.Dict, env model.Env) (model.Identity, error) {
			o, err := parseOptions(cfg, c)
			if err != nil {
				return model.Identity{}, err
			}
			return identify(ctx, o, env)
		},
		Present: func(ctx context.Context, cfg *py.Dict, env model.Env) error {
			o, err := parseOptions(cfg, c)
			if err != nil {
				return err
			}
			return present(ctx, cfg, o, env)
		},
		Tokenizer: func(ctx context.Context, cfg *py.Dict, env model.Env) (model.Tokenizer, error) {
			o, err := parseOptions(cfg, c)
			if err != nil {
				return nil, err
			}
			return openTokenizer(ctx, o, env)
		},
		Notes: func(cfg *py.Dict) []*source.Diagnostic {
			o, _ := parseOptions(cfg, c) // Check has the errors
			return o.notes
		},
		IgnoresMetaTemplate: c.base,
		Scoring:             c.scoring,
		Local:               true,
	}, name)
}
