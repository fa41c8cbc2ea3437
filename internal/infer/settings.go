package infer

import (
	"sort"

	"sextant/internal/py"
	"sextant/internal/spec"
)

// RendererVersion changes when the program renders prompts or turns answers
// into records differently from before: old records are no answers then.
const RendererVersion = "1"

// notAnswers are keys of a model dict that change no answer: how the model is
// called, where it runs and how fast it is asked. path is in the model's
// identity, type is looked at by itself, and the
// lengths of answers belong to the inferencer that uses them.
var notAnswers = map[string]bool{
	"abbr": true, "summarizer_abbr": true, "summarizer": true, "type": true, "path": true,
	"run_cfg": true, "batch_size": true, "max_workers": true, "concurrency": true,
	"query_per_second": true, "rpm_verbose": true, "verbose": true, "retry": true, "timeout": true,
	"url": true, "openai_api_base": true, "openai_proxy_url": true, "http_client_cfg": true,
	"pred_postprocessor": true, "tokenizer_only": true, "hf_cache_dir": true, "max_out_len": true, "min_out_len": true,
}

// AnswerSettings is what of a model dict may change answers, keys in order:
// neither what only says where and how fast the model is asked, nor secrets at
// any depth. What the model is, is in its Identity.
func AnswerSettings(cfg *py.Dict) *py.Dict {
	var keys []string
	for _, e := range cfg.Entries() {
		if k, ok := e.Key.(string); ok && !notAnswers[k] && !spec.IsSecretKey(k) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	out := py.NewDict()
	for _, k := range keys {
		out.Set(k, withoutSecrets(cfg.Get(k)))
	}
	return out
}

func withoutSecrets(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		out := py.NewDict()
		for _, e := range x.Entries() {
			if k, ok := e.Key.(string); ok && spec.IsSecretKey(k) {
				continue
			}
			out.Set(e.Key, withoutSecrets(e.Val))
		}
		return out
	case *py.List:
		out := py.NewList()
		for _, it := range x.Items {
			out.Append(withoutSecrets(it), 0)
		}
		return out
	}
	return v
}

// notQuestions are keys of an inferencer dict that change no answer; the
// batch counts where InferPPL's records depend on it, by itself.
var notQuestions = map[string]bool{
	"type": true, "batch_size": true, "save_every": true, "output_json_filepath": true, "output_json_filename": true,
	"max_infer_workers": true, "dump_timer": true,
}

// QuestionSettings is what of an inferencer dict may change answers.
func QuestionSettings(cfg *py.Dict) *py.Dict {
	out := py.NewDict()
	for _, e := range cfg.Entries() {
		if k, ok := e.Key.(string); ok && notQuestions[k] {
			continue
		}
		out.Set(e.Key, e.Val)
	}
	return out
}
