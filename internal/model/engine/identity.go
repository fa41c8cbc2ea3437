package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"

	"sextant/internal/model"
	"sextant/internal/model/checkpoint"
	"sextant/internal/model/hub"
	"sextant/internal/model/tokenizer"
)

// identify says what open would, without loading weights or asking the
// network. It is empty where the model is not on this machine: opening it
// will say what is wrong.
func identify(ctx context.Context, o options, env model.Env) (model.Identity, error) {
	env.Offline = true
	folder, err := resolve(ctx, o.path, o.revision, env)
	if err != nil {
		return model.Identity{}, nil
	}
	tokFolder := folder
	if o.tokenizerPath != "" && o.tokenizerPath != o.path {
		if tokFolder, err = resolve(ctx, o.tokenizerPath, "", env); err != nil {
			return model.Identity{}, nil
		}
	}
	hash, err := weightHash(ctx, folder, env)
	if ctx.Err() != nil {
		return model.Identity{}, context.Cause(ctx)
	}
	if err != nil {
		return model.Identity{}, nil
	}
	var tok *tokenizer.Tokenizer
	if tokFolder != folder {
		if tok, err = tokenizer.Load(tokFolder.FS); err != nil {
			return model.Identity{}, nil
		}
	}
	return identityOf(o, hash, tok), nil
}

// weightHash is the hash of a folder's weights, configs and tokenizer.
func weightHash(ctx context.Context, folder *hub.Model, env model.Env) (string, error) {
	return checkpoint.Hash(ctx, folder.FS, checkpoint.HashOptions{Root: folder.Dir, CacheFile: hashCache(env), Now: time.Now})
}

// identityOf is the identity of a model whose folder has this hash; other is
// its tokenizer where that comes from another folder, else nil.
func identityOf(o options, hash string, other *tokenizer.Tokenizer) model.Identity {
	if other != nil {
		sum := sha256.Sum256([]byte(hash + " " + other.Hash()))
		hash = hex.EncodeToString(sum[:])
	}
	return model.Identity{Name: o.path, Hash: hash, ComputeType: "float32", Backend: "engine"}
}

// resolve finds the folder of a model.
func resolve(ctx context.Context, path, revision string, env model.Env) (*hub.Model, error) {
	m, err := hub.Resolve(ctx, path, hub.Options{Getenv: env.Getenv, HomeDir: env.HomeDir, Offline: env.Offline, Revision: revision, Log: env.Log})
	var e *hub.Error
	if errors.As(err, &e) {
		return nil, &model.EndpointError{Err: err, Hint: e.Hint}
	}
	return m, err
}

// hashCache is the file that remembers hashes of large weights, "" without a
// home.
func hashCache(env model.Env) string {
	dir := ""
	if env.Getenv != nil {
		dir = env.Getenv("XDG_CACHE_HOME")
	}
	if dir == "" && env.HomeDir != "" {
		dir = filepath.Join(env.HomeDir, ".cache")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "sextant", "hashes.jsonl")
}
