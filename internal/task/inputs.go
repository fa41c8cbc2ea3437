package task

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/store"
)

// Inputs says what the answers of a dataset on a model depend on: the data,
// what renders prompts, the settings of the inferencer and of generation, and
// the model itself. How the rows are cut into tasks, how many workers there
// are and where they run is no part of it.
func Inputs(content string, ds, m *py.Dict, id model.Identity, cuts []int) (store.Inputs, error) {
	inf := ds.Dict("infer_cfg")
	prompt := py.NewDict()
	prompt.Set("renderer", infer.RendererVersion)
	for _, k := range []string{"prompt_template", "ice_template", "retriever"} {
		prompt.Set(k, inf.Get(k))
	}
	prompt.Set("meta_template", m.Get("meta_template"))
	prompt.Set("type", registry.Base(m.Str("type"))) // the class decides how prompts become text
	if rd := ds.Dict("reader_cfg"); rd != nil {
		// The reader's range is part of the question only where few-shot
		// examples are drawn from a range of their own, or rows are sampled.
		prompt.Set("train_range", rd.Get("train_range"))
		prompt.Set("test_range", rd.Get("test_range"))
	}
	settings := py.NewDict()
	if ic := inf.Dict("inferencer"); ic != nil {
		settings.Set("class", registry.Base(ic.Str("type")))
		settings.Set("inferencer", infer.QuestionSettings(ic))
		if strings.Contains(ic.Str("type"), "Gen") { // the model's own count where the inferencer says nothing
			for _, k := range []string{"max_out_len", "min_out_len"} {
				if !ic.Has(k) {
					settings.Set(k, m.Get(k))
				}
			}
		}
	}
	settings.Set("n", ds.Get("n"))
	settings.Set("model", infer.AnswerSettings(m))
	if cl, err := model.Classes.Lookup(m.Str("type")); err == nil && infer.InBatches(cl, m, strings.Contains(inf.Dict("inferencer").Str("type"), "Gen")) {
		// the batch is part of the question
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
