package spec

import (
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Accelerators are the values of -a.
var Accelerators = []string{"vllm", "lmdeploy"}

// Accelerate makes the dict of a model that vLLM or LMDeploy serves of one of
// a Hugging Face class, as `-a` of OpenCompass 0.5.4 does (change_accelerator).
// changed is false for other classes: the dict is returned as it is. m is not
// changed; the new values stand where m does.
//
// Differing from the original, HuggingFaceBaseModel is converted however the
// config names it; there only the dotted text is, not the imported class.
func Accelerate(m *py.Dict, to string) (out *py.Dict, changed bool, err error) {
	a := &accelerator{m: m, to: to}
	switch registry.Base(m.Str("type")) {
	case "HuggingFace", "HuggingFaceCausalLM", "HuggingFaceChatGLM3", "HuggingFaceBaseModel":
		out = a.plain()
	case "HuggingFacewithChatTemplate":
		out = a.chat()
	default:
		return m, false, nil
	}
	if len(a.errs) > 0 {
		return nil, false, a.errs
	}
	for _, k := range []string{"pred_postprocessor", "min_out_len", "summarizer_abbr"} {
		a.carry(out, k)
	}
	return out, true, nil
}

type accelerator struct {
	m    *py.Dict
	to   string
	errs source.List
}

// need is a value that the conversion cannot do without.
func (a *accelerator) need(key string) py.Value {
	v, ok := a.m.Lookup(key)
	if !ok {
		a.errs = append(a.errs, source.Errorf(a.m.At, "-a %s needs the key %s of model %q", a.to, key, ModelAbbr(a.m)))
	}
	return v
}

func (a *accelerator) get(key string, def py.Value) py.Value {
	if v, ok := a.m.Lookup(key); ok {
		return v
	}
	return def
}

func (a *accelerator) gpus() py.Value {
	rc := a.m.Dict("run_cfg")
	v, ok := rc.Lookup("num_gpus")
	if !ok {
		e := source.Errorf(a.m.PosOf("run_cfg"), "-a %s needs to know the GPUs of model %q", a.to, ModelAbbr(a.m))
		a.errs = append(a.errs, e.WithHint("say run_cfg=dict(num_gpus=1)"))
	}
	return v
}

// of makes a dict that stands where the model does.
func (a *accelerator) of(kv ...py.Value) *py.Dict {
	d := &py.Dict{At: a.m.At}
	for i := 0; i+1 < len(kv); i += 2 {
		k := kv[i]
		pos := a.m.At
		if a.m.Has(k) {
			pos = a.m.PosOf(k)
		}
		_ = d.Put(py.Entry{Key: k, Val: kv[i+1], Pos: pos}) // text is hashable
	}
	return d
}

func (a *accelerator) carry(out *py.Dict, key string) {
	if v := a.m.Get(key); v != nil {
		_ = out.Put(py.Entry{Key: key, Val: v, Pos: a.m.PosOf(key)}) // text is hashable
	}
}

func (a *accelerator) abbr() string {
	abbr, ok := a.m.Get("abbr").(string)
	if !ok {
		a.need("abbr")
		return ""
	}
	if strings.Contains(abbr, "-hf") {
		return strings.ReplaceAll(abbr, "hf", a.to)
	}
	return abbr + "-" + a.to
}

// generation is a copy of the settings of generation; empty where there are none.
func (a *accelerator) generation() *py.Dict {
	for _, k := range []string{"generation_kwargs", "gen_config"} {
		if d, ok := a.m.Get(k).(*py.Dict); ok {
			return d.Copy()
		}
	}
	return &py.Dict{At: a.m.At}
}

// vllmGeneration renames the settings as vLLM calls them.
func vllmGeneration(g *py.Dict) *py.Dict {
	out := &py.Dict{At: g.At}
	for _, e := range g.Entries() {
		switch e.Key {
		case "do_sample", "max_new_tokens":
			continue
		case "min_new_tokens":
			e.Key = "min_tokens"
		case "eos_token_id":
			e.Key = "stop_token_ids"
		}
		_ = out.Put(e) // the key came out of a dict
	}
	return out
}

func (a *accelerator) vllmKwargs() *py.Dict {
	d := a.of("tensor_parallel_size", a.gpus(), "max_model_len", a.get("max_seq_len", nil))
	for _, e := range a.m.Dict("model_kwargs").Entries() {
		_ = d.Put(e) // the key came out of a dict
	}
	return d
}

// plain converts models without a chat template of their own.
func (a *accelerator) plain() *py.Dict {
	g := a.generation()
	given := g.Len() > 0
	if a.to == "vllm" {
		if given {
			eos := g.Get("eos_token_id")
			g.Delete("eos_token_id")
			g.Set("stop_token_ids", eos)
		}
		out := a.of("type", "opencompass.models.vllm.VLLM", "abbr", a.abbr(), "path", a.need("path"), "model_kwargs", a.vllmKwargs(),
			"max_out_len", a.need("max_out_len"), "max_seq_len", a.get("max_seq_len", nil), "batch_size", a.need("batch_size"),
			"generation_kwargs", vllmGeneration(g), "run_cfg", a.need("run_cfg"))
		a.carry(out, "meta_template")
		a.carry(out, "end_str")
		return out
	}
	var temperature, topK, topP, eos py.Value = 0.0, 1, 0.9, nil
	if given {
		get := func(k string, def py.Value) py.Value {
			if v, ok := g.Lookup(k); ok {
				return v
			}
			return def
		}
		temperature, topK, topP, eos = get("temperature", 0.001), get("top_k", 1), get("top_p", 0.9), g.Get("eos_token_id")
	}
	out := a.of("type", turboMind, "abbr", a.abbr(), "path", a.need("path"),
		"engine_config", a.of("session_len", a.need("max_seq_len"), "max_batch_size", a.need("batch_size"), "tp", a.gpus()),
		"gen_config", a.of("top_k", topK, "temperature", temperature, "top_p", topP, "max_new_tokens", a.need("max_out_len"), "stop_words", eos),
		"max_out_len", a.get("max_out_len", nil), "max_seq_len", a.get("max_seq_len", nil), "batch_size", a.get("batch_size", nil), "run_cfg", a.need("run_cfg"))
	a.carry(out, "meta_template")
	return out
}

const turboMind = "opencompass.models.turbomind_with_tf_above_v4_33.TurboMindModelwithChatTemplate"

// chat converts HuggingFacewithChatTemplate.
func (a *accelerator) chat() *py.Dict {
	stop := a.get("stop_words", py.NewList())
	if a.to == "vllm" {
		return a.of("type", "opencompass.models.vllm_with_tf_above_v4_33.VLLMwithChatTemplate", "abbr", a.abbr(), "path", a.need("path"),
			"model_kwargs", a.vllmKwargs(), "max_seq_len", a.get("max_seq_len", nil), "max_out_len", a.need("max_out_len"),
			"batch_size", a.get("batch_size", 16), "generation_kwargs", vllmGeneration(a.generation()), "run_cfg", a.need("run_cfg"), "stop_words", stop)
	}
	gen := a.of("top_k", 1, "temperature", 1e-6, "top_p", 0.9)
	if d, ok := a.m.Get("generation_kwargs").(*py.Dict); ok {
		gen = d.Copy()
	}
	return a.of("type", turboMind, "abbr", a.abbr(), "path", a.need("path"),
		"engine_config", a.of("max_batch_size", a.get("batch_size", 16), "tp", a.gpus(), "session_len", a.get("max_seq_len", nil), "max_new_tokens", a.need("max_out_len")),
		"gen_config", gen, "max_seq_len", a.get("max_seq_len", nil), "max_out_len", a.get("max_out_len", nil),
		"batch_size", a.get("batch_size", 16), "run_cfg", a.need("run_cfg"), "stop_words", stop)
}

// AccelerateAll converts every model that a config names: models, judge_models
// and the lists of eval.partitioner. cfg is changed in place. kept lists the
// abbreviations of models whose class has no counterpart.
func AccelerateAll(cfg *py.Dict, to string) (kept []string, err error) {
	var errs source.List
	lists := func(d *py.Dict, keys ...string) {
		for _, k := range keys {
			l, ok := d.Get(k).(*py.List)
			if !ok {
				continue
			}
			for i, it := range l.Items {
				m, ok := it.(*py.Dict)
				if !ok {
					continue
				}
				n, changed, err := Accelerate(m, to)
				switch {
				case err != nil:
					errs = append(errs, source.Diagnostics(err)...)
				case !changed:
					kept = append(kept, ModelAbbr(m))
				default:
					l.Items[i] = n
				}
			}
		}
	}
	lists(cfg, "models", "judge_models")
	lists(cfg.Dict("eval").Dict("partitioner"), "models", "base_models", "compare_models", "judge_models")
	if len(errs) > 0 {
		return nil, errs
	}
	return kept, nil
}
