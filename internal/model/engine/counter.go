package engine

import (
	"context"

	"sextant/internal/model"
	"sextant/internal/model/tokenizer"
)

// counter counts tokens as Model.CountTokens does, without weights.
type counter struct{ tok *tokenizer.Tokenizer }

// openTokenizer opens the tokenizer of a model alone. It never goes to the
// network: counting is a convenience.
func openTokenizer(ctx context.Context, o options, env model.Env) (model.Tokenizer, error) {
	env.Offline = true
	path, revision := o.path, o.revision
	if o.tokenizerPath != "" && o.tokenizerPath != o.path {
		path, revision = o.tokenizerPath, ""
	}
	folder, err := resolve(ctx, path, revision, env)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(folder.FS)
	if err != nil {
		return nil, err
	}
	return counter{tok}, nil
}

// CountTokens counts with special tokens.
func (c counter) CountTokens(text string) (int, error) {
	ids, err := c.tok.Encode(text, true)
	return len(ids), err
}

// TokenTexts implements model.TokenTexts.
func (c counter) TokenTexts(text string) ([]string, error) {
	ids, err := c.tok.Encode(text, true)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i], _ = c.tok.Token(id) // every id that it gives has a text
	}
	return out, nil
}
