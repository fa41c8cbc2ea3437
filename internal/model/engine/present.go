package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/model"
	"sextant/internal/model/checkpoint"
	"sextant/internal/model/hub"
	"sextant/internal/model/tokenizer"
	"sextant/internal/py"
	"sextant/internal/source"
)

// present looks for the files that opening the model would read, and reads
// none of the weights.
func present(ctx context.Context, cfg *py.Dict, o options, env model.Env) error {
	folder, err := found(ctx, cfg, "path", o.path, o.revision, env)
	if err != nil {
		return err
	}
	if folder != nil {
		if err := weightsPresent(folder.FS); err != nil {
			return missing(cfg, "path", o.path, err)
		}
	}
	key, tok := "path", folder
	if o.tokenizerPath != "" && o.tokenizerPath != o.path {
		key = "tokenizer_path"
		if tok, err = found(ctx, cfg, key, o.tokenizerPath, "", env); err != nil {
			return err
		}
	}
	if tok != nil {
		if _, err := tokenizer.Load(tok.FS); err != nil {
			return missing(cfg, key, tok.Name, err)
		}
	}
	return nil
}

// found is the folder of a model, nil for one that is to be downloaded.
func found(ctx context.Context, cfg *py.Dict, key, path, revision string, env model.Env) (*hub.Model, error) {
	online := env
	online.Offline = true // nothing is fetched here
	m, err := resolve(ctx, path, revision, online)
	if err == nil || ctx.Err() != nil {
		return m, ctx.Err()
	}
	_, stat := os.Stat(path)
	onDisk := stat == nil || filepath.IsAbs(path) || strings.HasPrefix(path, ".") || strings.HasPrefix(path, "~") || strings.Count(path, "/") > 1
	if !onDisk && !env.Offline {
		return nil, nil
	}
	return nil, missing(cfg, key, path, err)
}

// weightsPresent is an error when files of weights lack.
func weightsPresent(fsys fs.FS) error {
	files, err := checkpoint.WeightFiles(fsys)
	if err != nil {
		return err
	}
	var lack []string
	for _, name := range files {
		if _, err := fs.Stat(fsys, name); err != nil {
			lack = append(lack, name)
		}
	}
	switch len(lack) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s is missing", lack[0])
	}
	return fmt.Errorf("%s and %d more of %s are missing", lack[0], len(lack)-1, source.Count(len(files), "file"))
}

// missing is the diagnostic at the key that names a model.
func missing(cfg *py.Dict, key, path string, err error) error {
	msg := strings.TrimPrefix(err.Error(), fmt.Sprintf("model %q: ", path))
	d := &source.Diagnostic{Pos: cfg.PosOf(key), Msg: fmt.Sprintf("model %q: %s", path, msg), Err: err}
	var ep *model.EndpointError
	var h interface{ Hint() string }
	switch {
	case errors.As(err, &ep):
		d.Hint = ep.Hint
	case errors.As(err, &h):
		d.Hint = h.Hint()
	default:
		d.Hint = "a model folder holds config.json, weights and a tokenizer"
	}
	return d
}
