package spec

import (
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/source"
)

func hf(typ string, kv ...py.Value) *py.Dict {
	d := py.DictOf("type", typ, "abbr", "m-7b-hf", "path", "org/m", "max_out_len", 9, "max_seq_len", 99, "batch_size", 8, "run_cfg", py.DictOf("num_gpus", 2))
	for i := 0; i+1 < len(kv); i += 2 {
		d.Set(kv[i], kv[i+1])
	}
	return d
}

func TestAccelerate(t *testing.T) {
	base, chat := "opencompass.models.HuggingFaceBaseModel", "opencompass.models.huggingface_above_v4_33.HuggingFacewithChatTemplate"
	rest := "'max_out_len': 9, 'max_seq_len': 99, 'batch_size': 8, "
	for _, tc := range []struct {
		name string
		m    *py.Dict
		to   string
		want string
	}{
		{"plain to vllm", hf(base, "model_kwargs", py.DictOf("device_map", "auto"), "end_str", "x", "meta_template", nil), "vllm",
			"{'type': 'opencompass.models.vllm.VLLM', 'abbr': 'm-7b-vllm', 'path': 'org/m', 'model_kwargs': {'tensor_parallel_size': 2, 'max_model_len': 99, 'device_map': 'auto'}, " + rest +
				"'generation_kwargs': {}, 'run_cfg': {'num_gpus': 2}, 'end_str': 'x'}"},
		{"plain to vllm with settings", hf("HuggingFaceCausalLM", "abbr", "hf-hf", "generation_kwargs", py.DictOf("do_sample", true, "min_new_tokens", 1, "max_new_tokens", 2), "summarizer_abbr", "s"), "vllm",
			"{'type': 'opencompass.models.vllm.VLLM', 'abbr': 'vllm-vllm', 'path': 'org/m', 'model_kwargs': {'tensor_parallel_size': 2, 'max_model_len': 99}, " + rest +
				"'generation_kwargs': {'min_tokens': 1, 'stop_token_ids': None}, 'run_cfg': {'num_gpus': 2}, 'summarizer_abbr': 's'}"},
		{"plain to lmdeploy", hf(base), "lmdeploy",
			"{'type': '" + turboMind + "', 'abbr': 'm-7b-lmdeploy', 'path': 'org/m', 'engine_config': {'session_len': 99, 'max_batch_size': 8, 'tp': 2}, " +
				"'gen_config': {'top_k': 1, 'temperature': 0.0, 'top_p': 0.9, 'max_new_tokens': 9, 'stop_words': None}, " + rest + "'run_cfg': {'num_gpus': 2}}"},
		{"plain to lmdeploy with settings", hf(base, "abbr", "m", "gen_config", py.DictOf("top_k", 5, "eos_token_id", py.NewList(2)), "min_out_len", 1), "lmdeploy",
			"{'type': '" + turboMind + "', 'abbr': 'm-lmdeploy', 'path': 'org/m', 'engine_config': {'session_len': 99, 'max_batch_size': 8, 'tp': 2}, " +
				"'gen_config': {'top_k': 5, 'temperature': 0.001, 'top_p': 0.9, 'max_new_tokens': 9, 'stop_words': [2]}, " + rest + "'run_cfg': {'num_gpus': 2}, 'min_out_len': 1}"},
		{"chat to vllm", hf(chat, "generation_kwargs", py.DictOf("eos_token_id", 3, "temperature", 0.5)), "vllm",
			"{'type': 'opencompass.models.vllm_with_tf_above_v4_33.VLLMwithChatTemplate', 'abbr': 'm-7b-vllm', 'path': 'org/m', 'model_kwargs': {'tensor_parallel_size': 2, 'max_model_len': 99}, " +
				"'max_seq_len': 99, 'max_out_len': 9, 'batch_size': 8, 'generation_kwargs': {'stop_token_ids': 3, 'temperature': 0.5}, 'run_cfg': {'num_gpus': 2}, 'stop_words': []}"},
		{"chat to lmdeploy", hf(chat, "stop_words", py.NewList("s")), "lmdeploy",
			"{'type': '" + turboMind + "', 'abbr': 'm-7b-lmdeploy', 'path': 'org/m', 'engine_config': {'max_batch_size': 8, 'tp': 2, 'session_len': 99, 'max_new_tokens': 9}, " +
				"'gen_config': {'top_k': 1, 'temperature': 1e-06, 'top_p': 0.9}, 'max_seq_len': 99, 'max_out_len': 9, 'batch_size': 8, 'run_cfg': {'num_gpus': 2}, 'stop_words': ['s']}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := py.Repr(tc.m)
			got, changed, err := Accelerate(tc.m, tc.to)
			if err != nil || !changed {
				t.Fatal(changed, err)
			}
			if py.Repr(got) != tc.want {
				t.Errorf("got\n%s\nwant\n%s", py.Repr(got), tc.want)
			}
			if py.Repr(tc.m) != before {
				t.Error("the model was changed")
			}
		})
	}
}

func TestAccelerateAll(t *testing.T) {
	cfg := py.DictOf("models", py.NewList(hf("HuggingFace"), py.DictOf("type", "OpenAI", "abbr", "gpt")), "judge_models", py.NewList(hf("HuggingFace")),
		"eval", py.DictOf("partitioner", py.DictOf("base_models", py.NewList(hf("HuggingFace")))))
	kept, err := AccelerateAll(cfg, "vllm")
	if err != nil || strings.Join(kept, " ") != "gpt" {
		t.Fatal(kept, err)
	}
	if n := strings.Count(py.Repr(cfg), "'opencompass.models.vllm.VLLM'"); n != 3 {
		t.Errorf("%d models converted, want 3", n)
	}
	m := py.DictOf("type", "HuggingFaceCausalLM", "abbr", "a")
	_, err = AccelerateAll(py.DictOf("models", py.NewList(m)), "lmdeploy")
	var got []string
	for _, d := range source.Diagnostics(err) {
		got = append(got, d.Msg)
	}
	want := `-a lmdeploy needs the key path of model "a"|-a lmdeploy needs the key max_seq_len of model "a"|-a lmdeploy needs the key batch_size of model "a"|-a lmdeploy needs to know the GPUs of model "a"|-a lmdeploy needs the key max_out_len of model "a"|-a lmdeploy needs the key run_cfg of model "a"`
	if strings.Join(got, "|") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "|"), want)
	}
}
