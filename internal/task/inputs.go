package task

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/store"
)

// rendererVersion changes when the program renders or scores prompts
// differently from before, so that old records do not pass for new ones.
const rendererVersion = "1"

// Inputs says what the answers of a dataset on a model depend on: the data,
// what renders prompts, the settings of the inferencer and of generation, and
// the model itself. How the rows are cut into tasks, how many workers there
// are and where they run is no part of it.
func Inputs(content string, ds, m *py.Dict, id model.Identity, cuts []int) (store.Inputs, error) {
	inf := ds.Dict("infer_cfg")
	prompt := py.NewDict()
	prompt.Set("renderer", rendererVersion)
	for _, k := range []string{"prompt_template", "ice_template", "retriever"} {
		prompt.Set(k, inf.Get(k))
	}
	prompt.Set("meta_template", m.Get("meta_template"))
	prompt.Set("type", m.Get("type")) // the class decides how prompts become text
	if rd := ds.Dict("reader_cfg"); rd != nil {
		// The reader's range is part of the question only where few-shot
		// examples are drawn from a range of their own, or rows are sampled.
		prompt.Set("train_range", rd.Get("train_range"))
		prompt.Set("test_range", rd.Get("test_range"))
	}
	settings := py.NewDict()
	settings.Set("inferencer", inf.Get("inferencer"))
	settings.Set("n", ds.Get("n"))
	for _, e := range m.Entries() {
		k, ok := e.Key.(string)
		if !ok || notSettings[k] || IsSecretKey(k) {
			continue
		}
		settings.Set(k, e.Val)
	}
	if cl, err := model.Classes.Lookup(m.Str("type")); err == nil && cl.Scoring == model.ScoreHFBase && strings.Contains(inf.Dict("inferencer").Str("type"), "PPL") {
		// the one case in which the batch is part of the question
		if n := batchSize(inf.Dict("inferencer"), m); n > 1 {
			at := py.NewList()
			for _, c := range cuts {
				at.Append(c, 0)
			}
			settings.Set("batch_size", n)
			settings.Set("cuts", at)
		}
	}
	ph, err := valueHash(prompt)
	if err != nil {
		return store.Inputs{}, err
	}
	sh, err := valueHash(settings)
	if err != nil {
		return store.Inputs{}, err
	}
	return store.Inputs{Data: content, Prompt: ph, Settings: sh, Model: id}, nil
}

// batchSize is how many rows OpenCompass hands to the model at once: the
// inferencer's batch_size, or else the model's.
func batchSize(inferencer, m *py.Dict) int {
	if n, ok := inferencer.Get("batch_size").(int); ok {
		return n
	}
	return m.Int("batch_size", 1)
}

// batches says which rows stand in one batch with a row: OpenCompass counts
// them from the start of each part that it cuts a dataset into. nil when each
// row stands alone.
func batches(inferencer, m *py.Dict, cuts []int, rows int) func(int) (int, int) {
	n := batchSize(inferencer, m)
	if n <= 1 {
		return nil
	}
	return func(row int) (int, int) {
		from, to := 0, rows
		for _, c := range cuts {
			if c <= row {
				from = c
			} else {
				to = min(to, c)
				break
			}
		}
		from += (row - from) / n * n
		return from, min(from+n, to)
	}
}

// notSettings are keys of a model dict that change no answer: how it is
// called, where it runs and how fast it is asked. Keys such as path are in
// the model's identity instead.
var notSettings = map[string]bool{
	"abbr": true, "summarizer_abbr": true, "type": true, "path": true, "meta_template": true,
	"run_cfg": true, "batch_size": true, "pred_postprocessor": true, "key": true, "org": true,
	"query_per_second": true, "rpm_verbose": true, "retry": true, "verbose": true, "max_workers": true,
	"concurrency": true, "timeout": true, "openai_api_base": true, "openai_proxy_url": true, "batch_padding": true,
	"hf_cache_dir": true, "summarizer": true,
}

func valueHash(v py.Value) (string, error) {
	b, err := py.EncodeTagged(sortKeys(v))
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16]), nil
}

// sortKeys gives dicts one order of keys, so that writing a config in another
// order is not another question.
func sortKeys(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		keys := make([]py.Value, 0, x.Len())
		for _, k := range x.Keys() {
			keys = append(keys, py.Repr(k))
		}
		es := x.Entries()
		perm, err := py.SortPerm(keys, false)
		if err != nil {
			return v
		}
		out := py.NewDict()
		for _, i := range perm {
			out.Set(es[i].Key, sortKeys(es[i].Val))
		}
		return out
	case *py.List:
		out := &py.List{Items: make([]py.Value, len(x.Items))}
		for i, it := range x.Items {
			out.Items[i] = sortKeys(it)
		}
		return out
	case *py.Tuple:
		out := &py.Tuple{Items: make([]py.Value, len(x.Items))}
		for i, it := range x.Items {
			out.Items[i] = sortKeys(it)
		}
		return out
	}
	return v
}
