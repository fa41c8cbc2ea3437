// Package catalog holds the configs that come with the program: datasets,
// models and summarizers in the Python dialect, at the paths that OpenCompass
// gives them, so that `from .datasets.siqa.siqa_ppl import siqa_datasets`
// works in an empty folder.
//
// The texts are our own. Names of files, variables, classes and columns, and
// the prompts themselves, are OpenCompass 0.5.4's, because scores only compare
// when the prompts are equal: a name that ends in six hex digits carries the
// hash of its prompt, and a test recomputes it.
//
// The package only holds the files; loading them is pyconf's business.
package catalog

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed configs
var files embed.FS

// FS is the tree of configs; its root is what a config's folder is to its
// relative imports: "datasets/siqa/siqa_ppl.py".
func FS() fs.FS {
	sub, err := fs.Sub(files, "configs")
	if err != nil {
		panic(err) // the name is a valid path
	}
	return sub
}

// Config is one file of the catalog.
type Config struct {
	Kind string // the first folder: "datasets", "models", "summarizers"; "" for evaluations
	Name string // file name without .py, as --models and --datasets take it
	Path string // in FS
}

// List is all configs, sorted by path.
func List() []Config {
	var out []Config
	// The tree is embedded: walking it cannot fail.
	_ = fs.WalkDir(FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(path.Base(p), ".py"); ok && !e.IsDir() {
			kind, _, deep := strings.Cut(p, "/")
			if !deep {
				kind = ""
			}
			out = append(out, Config{Kind: kind, Name: name, Path: p})
		}
		return nil
	})
	return out
}
