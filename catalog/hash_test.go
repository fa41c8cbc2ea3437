package catalog_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"sextant/catalog"
	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/pyconf"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// load imports a config as an evaluation in an empty folder does; the one at
// the root of the tree is loaded itself.
func load(t *testing.T, path string) *py.Dict {
	t.Helper()
	files := source.NewSet()
	module, deep := strings.TrimSuffix(path, ".py"), strings.Contains(path, "/")
	text := "from mmengine.config import read_base\n\nwith read_base():\n    from ." + strings.ReplaceAll(module, "/", ".") + " import *\n"
	if !deep {
		b, err := fs.ReadFile(catalog.FS(), path)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	c, err := pyconf.LoadText(t.Context(), "eval.py", text, pyconf.Options{Dir: t.TempDir(), Catalog: catalog.FS(), Files: files})
	if err != nil {
		for _, d := range source.Diagnostics(err) {
			t.Log(files.Render(d))
		}
		t.Fatalf("%s: %v", path, err)
	}
	return c.Data()
}

// list is the list variable of cfg whose name ends in suffix.
func list(t *testing.T, cfg *py.Dict, suffix string) (name string, items []*py.Dict) {
	t.Helper()
	for _, e := range cfg.Entries() {
		l, ok := e.Val.(*py.List)
		if k, _ := e.Key.(string); !ok || !strings.HasSuffix(k, suffix) || strings.HasPrefix(k, "_") {
			continue
		}
		for _, it := range l.Items {
			items = append(items, it.(*py.Dict))
		}
		return e.Key.(string), items
	}
	t.Fatalf("no variable ends in %s", suffix)
	return "", nil
}

var hashed = regexp.MustCompile(`_([0-9a-f]{6})$`)

// TestPromptHashes holds every dataset config against the hash in its name,
// and the ones without against what they stand for.
func TestPromptHashes(t *testing.T) {
	t.Parallel()
	stands := map[string]string{ // as OpenCompass 0.5.4 resolves them
		"siqa_gen": "18632c", "siqa_ppl": "ced5f6",
		"winogrande_gen": "458220", "winogrande_ll": "c5cf57", "winogrande_ppl": "55a66e",
	}
	n := 0
	for _, c := range catalog.List() {
		if c.Kind != "datasets" {
			continue
		}
		n++
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			want := stands[c.Name]
			if m := hashed.FindStringSubmatch(c.Name); m != nil {
				want = m[1]
			}
			if want == "" {
				t.Fatalf("%s has no hash in its name and is not known as an alias", c.Path)
			}
			_, sets := list(t, load(t, c.Path), "_datasets")
			got, err := spec.PromptHash(sets...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("prompt hash %s, want %s…", got, want)
			}
			for _, d := range sets {
				if _, err := dataset.Classes.Lookup(d.Str("type")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if n < 20 {
		t.Errorf("%d dataset configs, want 20 or more", n)
	}
}

// TestEvaluation holds the demonstration together.
func TestEvaluation(t *testing.T) {
	t.Parallel()
	e, err := spec.Decode(nil, load(t, "eval_demo.py"), spec.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Models) != 1 || e.Models[0].Abbr != "opt-demo" || len(e.Datasets) != 2 || e.Datasets[0].Abbr != "siqa" || e.Datasets[1].Abbr != "winogrande" {
		t.Errorf("models %v, datasets %v", e.Models, e.Datasets)
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	for _, c := range catalog.List() {
		if c.Kind != "models" {
			continue
		}
		cfg := load(t, c.Path)
		_, models := list(t, cfg, "models")
		if len(models) != 1 {
			t.Fatalf("%s: %d models, want 1", c.Path, len(models))
		}
		// the variable that evaluations import: hf_opt_125m has opt125m
		name := strings.TrimPrefix(c.Name, "hf_")
		if strings.HasPrefix(c.Name, "hf_opt_") {
			name = "opt" + strings.TrimPrefix(c.Name, "hf_opt_")
		}
		one := cfg.Dict(name)
		if one == nil || !py.Equal(one, models[0]) {
			t.Errorf("%s: no variable %s equal to the one model", c.Path, name)
			continue
		}
		size := strings.ReplaceAll(strings.TrimPrefix(name, "opt"), "_", ".")
		if c.Name != "opt_demo" && (one.Str("path") != "facebook/opt-"+size || one.Str("abbr") != "opt-"+size+"-hf") {
			t.Errorf("%s: path %s, abbr %s", c.Path, one.Str("path"), one.Str("abbr"))
		}
	}
}

func TestSummarizers(t *testing.T) {
	t.Parallel()
	cfg := load(t, "summarizers/example.py")
	if got := py.Repr(cfg.Get("summarizer")); got != "{'summary_groups': []}" {
		t.Errorf("summarizer %s", got)
	}
}
