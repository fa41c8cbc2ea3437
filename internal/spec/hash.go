package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
)

// PromptHash is the hash that names a version of a prompt, in 64 hex digits;
// tables and file names show the first six. datasets is one dataset dict or
// several. It equals get_prompt_hash of OpenCompass 0.5.4 (utils/prompt.py):
// the SHA-256 of the infer_cfg as json.dumps(sort_keys=True) writes it. The
// dicts are not changed.
func PromptHash(datasets ...*py.Dict) (string, error) {
	if len(datasets) == 1 {
		return promptHash(datasets[0])
	}
	hs := make([]string, len(datasets))
	for i, d := range datasets {
		h, err := promptHash(d)
		if err != nil {
			return "", err
		}
		hs[i] = h
	}
	return hexSHA256(strings.Join(hs, ",")), nil
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func promptHash(d *py.Dict) (string, error) {
	var what py.Value
	if inf := d.Dict("infer_cfg"); inf != nil {
		what = hashedInfer(d, inf)
	} else { // the rename tool's rule for configs that only load data
		c := d.Copy()
		c.Delete("abbr")
		c.Delete("path")
		what = c
	}
	b, err := py.DumpJSON(what, py.JSONOptions{SortKeys: true, EnsureASCII: true})
	if err != nil {
		return "", err
	}
	return hexSHA256(string(b)), nil
}

// hashedInfer is infer_cfg as the original rewrites it before hashing:
// fix_id_list moves to the inferencer, and an old-style reader_cfg inside
// infer_cfg becomes `reader`.
func hashedInfer(d, inf *py.Dict) *py.Dict {
	inf = py.DeepCopy(inf).(*py.Dict)
	if inf.Has("reader_cfg") {
		reader := d.Dict("reader_cfg")
		old := inf.Dict("reader_cfg")
		inf.Set("reader", py.DictOf("type", "DatasetReader", "input_columns", reader.Get("input_columns"), "output_column", reader.Get("output_column")))
		ret := inf.Dict("retriever")
		for _, kv := range [][2]string{{"train_split", "index_split"}, {"test_split", "test_split"}} {
			if v, ok := old.Lookup(kv[0]); ok && ret != nil {
				ret.Set(kv[1], v)
			}
		}
		for _, e := range inf.Entries() {
			if sub, ok := e.Val.(*py.Dict); ok && sub.Has("type") {
				sub.Set("type", registry.Base(sub.Str("type")))
			}
		}
	}
	if ret := inf.Dict("retriever"); ret != nil {
		if ids, ok := ret.Lookup("fix_id_list"); ok {
			ret.Delete("fix_id_list")
			if to := inf.Dict("inferencer"); to != nil {
				to.Set("fix_id_list", ids)
			}
		}
	}
	return inf
}

// ConfigHash is the SHA-256 of what a whole config means: its data as sorted
// JSON. Values that JSON does not know count as their Python repr.
func ConfigHash(cfg *py.Dict) (string, error) {
	b, err := py.DumpJSON(cfg, py.JSONOptions{SortKeys: true, EnsureASCII: true, Default: func(v py.Value) (py.Value, error) { return py.Repr(v), nil }})
	if err != nil {
		return "", err
	}
	return hexSHA256(string(b)), nil
}
