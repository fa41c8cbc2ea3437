package cli

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sextant/internal/model"
	"sextant/internal/py"
)

// validate refuses option values that make no sense.
func (f *runFlags) validate() error {
	if !slices.Contains([]string{"all", "infer", "eval", "viz"}, f.Mode) {
		return usagef("-m takes all, infer, eval or viz, not %q", f.Mode)
	}
	if f.changed("num-gpus") {
		return usagef("--num-gpus is gone: use --hf-num-gpus")
	}
	if f.changed("accelerator") && f.Accelerator != "vllm" && f.Accelerator != "lmdeploy" {
		return usagef("-a takes vllm or lmdeploy, not %q", f.Accelerator)
	}
	if f.HFType != "base" && f.HFType != "chat" {
		return usagef("--hf-type takes base or chat, not %q", f.HFType)
	}
	if f.Slurm && f.DLC {
		return usagef("--slurm and --dlc exclude each other")
	}
	if f.DLC {
		return &exitError{code: ExitUsage, err: fmt.Errorf("--dlc is not supported: its command is proprietary"), hint: "use --slurm -p PARTITION, or KubernetesRunner in the config"}
	}
	if f.Slurm && f.Partition == "" {
		return usagef("--slurm needs a partition: -p NAME")
	}
	for _, x := range []struct {
		flag     string
		n, least int
	}{{"max-num-workers", f.MaxNumWorkers, 1}, {"max-workers-per-gpu", f.MaxWorkersPerGPU, 1}, {"dataset-num-runs", f.DatasetNumRuns, 1},
		{"retry", f.Retry, 0}, {"threads", f.Threads, 0}, {"max-out-len", f.MaxOutLen, 1}, {"min-out-len", f.MinOutLen, 0}, {"batch-size", f.BatchSize, 1}, {"hf-num-gpus", f.HFNumGPUs, 0}} {
		if f.changed(x.flag) && x.n < x.least {
			return usagef("--%s must be at least %d, not %d", x.flag, x.least, x.n)
		}
	}
	if f.changed("max-seq-len") && f.MaxSeqLen < 1 {
		return usagef("--max-seq-len must be at least 1, not %d", f.MaxSeqLen)
	}
	for _, x := range []struct {
		flag, val string
		of        []string
	}{{"custom-dataset-data-type", f.CustomType, []string{"mcq", "qa"}}, {"custom-dataset-infer-method", f.CustomInfer, []string{"gen", "ppl"}}} {
		if f.changed(x.flag) && !slices.Contains(x.of, x.val) {
			return usagef("--%s takes %s, not %q", x.flag, strings.Join(x.of, " or "), x.val)
		}
	}
	if f.MinOutLen > f.MaxOutLen && f.changed("min-out-len") {
		return usagef("--min-out-len %d is more than --max-out-len %d", f.MinOutLen, f.MaxOutLen)
	}
	if f.Quiet && f.JSON {
		return usagef("--quiet and --json exclude each other")
	}
	return nil
}

// noEffect says that the options given do nothing.
func noEffect(given []string, why string) string {
	verb := "has"
	if len(given) > 1 {
		verb = "have"
	}
	return fmt.Sprintf("%s %s no effect: %s", strings.Join(given, ", "), verb, why)
}

// idle words the options that were given and do nothing, each with the reason.
func (f *runFlags) idle(withConfig bool) []string {
	var out []string
	note := func(names []string, why string) {
		var given []string
		for _, n := range names {
			if f.changed(n) {
				given = append(given, "--"+n)
			}
		}
		if len(given) > 0 {
			out = append(out, noEffect(given, why))
		}
	}
	if withConfig {
		note([]string{"models", "datasets", "summarizer", "hf-type", "hf-path", "tokenizer-path", "peft-path", "model-kwargs", "tokenizer-kwargs", "peft-kwargs",
			"generation-kwargs", "max-seq-len", "max-out-len", "min-out-len", "batch-size", "hf-num-gpus", "pad-token-id", "stop-words",
			"custom-dataset-path", "custom-dataset-meta-path", "custom-dataset-data-type", "custom-dataset-infer-method", "dataset-num-runs"},
			"the config says what is run, as in OpenCompass")
	} else {
		if f.changed("models") {
			note([]string{"hf-path", "hf-type", "tokenizer-path", "peft-path", "model-kwargs", "tokenizer-kwargs", "peft-kwargs", "generation-kwargs",
				"max-seq-len", "max-out-len", "min-out-len", "batch-size", "hf-num-gpus", "pad-token-id", "stop-words"}, "--models comes first")
		}
		if f.changed("datasets") {
			note([]string{"custom-dataset-path", "custom-dataset-meta-path", "custom-dataset-data-type", "custom-dataset-infer-method"}, "--datasets comes first")
		}
	}
	if f.Mode == "infer" {
		note([]string{"analysis-repeat"}, "with -m infer no tables are made")
	}
	note([]string{"aliyun-cfg"}, "it is for --dlc, which is not supported")
	return out
}

// hfModel is the model dict that --hf-path and its companions describe (spec
// 2.4).
func (f *runFlags) hfModel() (*py.Dict, error) {
	typ := "opencompass.models.huggingface_above_v4_33.HuggingFacewithChatTemplate"
	if f.HFType == "base" {
		typ = "opencompass.models.huggingface_above_v4_33.HuggingFaceBaseModel"
	}
	if _, err := model.Classes.Lookup(typ); err != nil && f.Accelerator == "" {
		return nil, &exitError{code: ExitUsage, err: err, hint: "a base model, or a chat model without its chat template, runs with --hf-type base"}
	}
	kw := func(words []string, flag string) (*py.Dict, error) {
		d := py.NewDict()
		for _, w := range words {
			k, v, ok := strings.Cut(w, "=")
			if !ok || k == "" {
				return nil, usagef("--%s takes KEY=VALUE, not %q", flag, w)
			}
			x, err := parseKwarg(v)
			if err != nil {
				return nil, usagef("--%s %s: %v", flag, k, err)
			}
			d.Set(k, x)
		}
		return d, nil
	}
	opt := func(s string) py.Value {
		if s == "" {
			return nil
		}
		return s
	}
	num := func(name string, n int) py.Value {
		if !f.changed(name) {
			return nil
		}
		return n
	}
	d := py.DictOf("type", typ, "abbr", path.Base(strings.TrimRight(f.HFPath, "/"))+"_hf", "path", f.HFPath)
	for _, x := range []struct {
		key, flag string
		words     []string
	}{{"model_kwargs", "model-kwargs", f.ModelKwargs}, {"tokenizer_kwargs", "tokenizer-kwargs", f.TokenizerKwargs},
		{"generation_kwargs", "generation-kwargs", f.GenerationKwargs}, {"peft_kwargs", "peft-kwargs", f.PeftKwargs}} {
		v, err := kw(x.words, x.flag)
		if err != nil {
			return nil, err
		}
		d.Set(x.key, v)
	}
	stop := py.NewList()
	for _, w := range f.StopWords {
		stop.Append(w, 0)
	}
	d.Set("tokenizer_path", opt(f.TokenizerPath))
	d.Set("peft_path", opt(f.PeftPath))
	d.Set("max_seq_len", num("max-seq-len", f.MaxSeqLen))
	d.Set("max_out_len", f.MaxOutLen)
	if f.changed("min-out-len") { // OpenCompass reads the option and forgets it
		d.Set("min_out_len", f.MinOutLen)
	}
	d.Set("batch_size", f.BatchSize)
	d.Set("pad_token_id", num("pad-token-id", f.PadTokenID))
	d.Set("stop_words", stop)
	d.Set("run_cfg", py.DictOf("num_gpus", f.HFNumGPUs))
	return d, nil
}

// customDataset is the dataset dict that --custom-dataset-* describe; a dict
// without type becomes a custom dataset (spec 2.7).
func (f *runFlags) customDataset() *py.Dict {
	d := py.DictOf("path", f.CustomPath)
	for _, kv := range [][2]string{{"meta_path", f.CustomMeta}, {"data_type", f.CustomType}, {"infer_method", f.CustomInfer}} {
		if kv[1] != "" {
			d.Set(kv[0], kv[1])
		}
	}
	return d
}

// parseKwarg reads the value of KEY=VALUE as mmengine's DictAction does:
// quotes and spaces fall away, (a,b) is a tuple, [a,b] and a,b are lists, and
// leaves are int, float, bool, None or text.
func parseKwarg(s string) (py.Value, error) {
	s = strings.ReplaceAll(strings.Trim(s, `'"`), " ", "")
	if bracketed := len(s) >= 2 && (s[0] == '(' && s[len(s)-1] == ')' || s[0] == '[' && s[len(s)-1] == ']'); !bracketed && !strings.Contains(s, ",") {
		return parseLeaf(s), nil
	}
	depth := 0
	var commas []int
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth < 0 {
				return nil, fmt.Errorf("unbalanced brackets in %q", s)
			}
		case ',':
			if depth == 0 {
				commas = append(commas, i)
			}
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("unbalanced brackets in %q", s)
	}
	wrapped := func(open, end byte) bool {
		return len(s) >= 2 && s[0] == open && s[len(s)-1] == end && len(commas) == 0
	}
	tuple := false
	switch {
	case wrapped('(', ')'):
		tuple = true
		fallthrough
	case wrapped('[', ']'):
		inner := s[1 : len(s)-1]
		var items []py.Value
		if inner != "" {
			v, err := parseKwarg(strings.TrimSuffix(inner, ",") + ",")
			if err != nil {
				return nil, err
			}
			items = v.(*py.List).Items
		}
		if tuple {
			return py.NewTuple(items...), nil
		}
		return py.NewList(items...), nil
	case len(commas) > 0:
		out := py.NewList()
		start := 0
		for _, c := range append(commas, len(s)) {
			if c == len(s) && start == len(s) {
				break // the comma that closes
			}
			v, err := parseKwarg(s[start:c])
			if err != nil {
				return nil, err
			}
			out.Append(v, 0)
			start = c + 1
		}
		return out, nil
	}
	return parseLeaf(s), nil
}

// parseLeaf reads a number, a bool, None or text.
func parseLeaf(s string) py.Value {
	if v, err := py.ParseInt(s, 10); err == nil {
		return v
	}
	if v, err := py.ParseFloat(s); err == nil {
		return v
	}
	switch {
	case strings.EqualFold(s, "true"):
		return true
	case strings.EqualFold(s, "false"):
		return false
	case s == "None":
		return nil
	}
	return s
}
