package engine

import (
	"strings"
	"testing"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/source"
)

func TestClasses(t *testing.T) {
	for _, name := range []string{"HuggingFaceBaseModel", "HuggingFaceCausalLM", "HuggingFace",
		"opencompass.models.HuggingFaceBaseModel", "opencompass.models.huggingface.HuggingFaceCausalLM"} {
		c, err := model.Classes.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.HasSuffix(name, "BaseModel")
		if c.Chat || !c.Local || c.IgnoresMetaTemplate != base || (c.Scoring == model.ScoreHFBase) != base {
			t.Errorf("%s: %+v", name, c)
		}
		if err := c.Check(py.DictOf("path", "x", "max_seq_len", 1024, "batch_size", 64, "run_cfg", py.NewDict())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	d := py.DictOf("path", "facebook/opt-125m", "tokenizer_path", "elsewhere", "max_seq_len", 1024, "max_out_len", 100,
		"stop_words", py.NewList("\n", ""), "pad_token_id", -1, "end_str", "<end>", "mode", "mid",
		"model_kwargs", py.DictOf("device_map", "auto", "torch_dtype", "torch.float", "revision", "v1"),
		"generation_kwargs", py.DictOf("do_sample", true, "temperature", 0.5, "top_k", 3, "top_p", 0.9, "eos_token_id", py.NewList(5, 6)))
	o, err := parseOptions(d, class{maxSeqLen: 2048})
	if err != nil {
		t.Fatal(err)
	}
	if o.path != "facebook/opt-125m" || o.tokenizerPath != "elsewhere" || o.maxSeqLen != 1024 || o.maxOutLen != 100 || len(o.stop) != 1 ||
		*o.padID != -1 || o.endStr != "<end>" || !o.midMode || o.dropMiddle || o.revision != "v1" || o.truncateLeft || !o.leaveRoom || len(o.eos) != 2 {
		t.Errorf("%+v", o)
	}
	if c := o.choose; !c.sample || c.temperature != 0.5 || c.topK != 3 || c.topP != 0.9 || c.penalty != 1 {
		t.Errorf("%+v", c)
	}
	o, err = parseOptions(py.DictOf("path", "x", "max_seq_len", nil, "generation_kwargs", nil), class{base: true})
	if err != nil || o.maxSeqLen != 0 || !o.truncateLeft || o.leaveRoom || o.choose.sample {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestPaddingOptions(t *testing.T) {
	left := py.DictOf("padding_side", "left", "truncation_side", "left")
	o, err := parseOptions(py.DictOf("path", "x", "batch_padding", true, "tokenizer_kwargs", left, "extract_pred_after_decode", true, "generation_kwargs", py.DictOf("min_new_tokens", 3)), class{})
	if err != nil || o.padRight || !o.truncateLeft || !o.wholeText || o.minOutLen != 3 || len(o.notes) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, _ = parseOptions(py.DictOf("path", "x", "batch_padding", true), class{}); !o.padRight || len(o.notes) != 1 || !strings.Contains(o.notes[0].Hint, "padding_side='left'") {
		t.Errorf("padding on the right, %+v", o.notes)
	}
	o, err = parseOptions(py.DictOf("path", "x", "mode", "mid", "tokenizer_kwargs", py.DictOf("padding_side", "right")), class{base: true})
	if err != nil || !o.padRight || o.midMode || o.dropMiddle || !o.truncateLeft || len(o.notes) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parseOptions(py.DictOf("path", "x", "max_out_lenn", 3, "batch_size", 8, "colour", "red"), class{base: true})
	if err != nil || len(o.notes) != 1 || !strings.Contains(o.notes[0].Hint, `"max_out_len"`) {
		t.Errorf("a slip in a key: %+v, %v", o.notes, err)
	}
	_, err = parseOptions(py.DictOf("path", "x", "tokenizer_kwargs", py.DictOf("padding_side", "both")), class{base: true})
	if err == nil || !strings.Contains(err.Error(), `padding_side must be "left" or "right", not "both"`) {
		t.Errorf("got %v", err)
	}
}

// lazy stands for torch.float16 written without quotes.
type lazy string

func (l lazy) PyType() string { return "LazyAttr" }
func (l lazy) PyRepr() string { return string(l) }

// Every mistake is found at the value that makes it, all in one go.
func TestOptionMistakes(t *testing.T) {
	set := source.NewSet()
	tests := []struct {
		key  string
		val  py.Value
		want string
		in   string // dict that the key is in
	}{
		{"path", 3, "path must be a string, not 3", ""},
		{"max_seq_len", "long", "max_seq_len must be a whole number above 0, not 'long'", ""},
		{"max_seq_len", 0, "max_seq_len must be a whole number above 0, not 0", ""},
		{"max_out_len", -5, "max_out_len must be a whole number above 0, not -5", ""},
		{"batch_size", 1.5, "batch_size must be a whole number above 0, not 1.5", ""},
		{"stop_words", py.NewList(1), "stop_words must hold strings, not 1", ""},
		{"stop_words", 1, "stop_words must be a list of strings, not 1", ""},
		{"mode", "rear", `mode must be "none" or "mid", not "rear"`, ""},
		{"peft_path", "adapter", "the engine does not load adapters", ""},
		{"pad_token_id", "x", "pad_token_id must be a whole number, not 'x'", ""},
		{"model_kwargs", 1, "model_kwargs must be a dict, not 1", ""},
		{"torch_dtype", "torch.int", "torch_dtype must be a torch type such as 'torch.float', not 'torch.int'", "model_kwargs"},
		{"load_in_8bit", true, "the engine does not quantise weights (load_in_8bit)", "model_kwargs"},
		{"num_beams", 4, "the engine does not search with beams", "generation_kwargs"},
		{"top_p", 2, "top_p must be above 0 and at most 1, not 2", "generation_kwargs"},
		{"top_k", -1, "top_k must be a whole number from 0 on, not -1", "generation_kwargs"},
		{"temperature", -1, "temperature must be above 0, not -1", "generation_kwargs"},
		{"repetition_penalty", 0, "repetition_penalty must be above 0, not 0", "generation_kwargs"},
		{"penalty_alpha", 0.6, "the engine has no generation option 'penalty_alpha'", "generation_kwargs"},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			f := set.Add("eval.py", "key=value", 0)
			e := py.Entry{Key: tt.key, Val: tt.val, KeyPos: f.Pos(0), Pos: f.Pos(4)}
			d := py.NewDict()
			if tt.key != "path" {
				d.Set("path", "x")
			}
			in := d
			if tt.in != "" {
				in = py.NewDict()
				d.Set(tt.in, in)
			}
			if err := in.Put(e); err != nil {
				t.Fatal(err)
			}
			_, err := parseOptions(d, class{})
			ds := source.Diagnostics(err)
			if len(ds) != 1 || ds[0].Msg != tt.want {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if p := ds[0].Pos; p != e.Pos && p != e.KeyPos {
				t.Errorf("the mistake is shown at %d", p)
			}
		})
	}
	_, err := parseOptions(py.DictOf("max_seq_len", 0, "mode", "x"), class{})
	if n := len(source.Diagnostics(err)); n != 3 {
		t.Errorf("%d mistakes found, want 3: %v", n, err)
	}
}

// Half precision is computed in float32, and the user is told.
func TestHalfPrecisionIsNoted(t *testing.T) {
	for _, v := range []py.Value{"torch.float16", lazy("<class 'torch.bfloat16'>"), lazy("torch.half")} {
		o, err := parseOptions(py.DictOf("path", "x", "model_kwargs", py.DictOf("torch_dtype", v)), class{})
		if err != nil || len(o.notes) != 1 || !strings.HasPrefix(o.notes[0].Msg, "the engine computes in float32, not in ") {
			t.Errorf("%v: notes %v, error %v", v, o.notes, err)
		}
	}
	if o, err := parseOptions(py.DictOf("path", "x", "model_kwargs", py.DictOf("torch_dtype", "torch.float")), class{}); err != nil || len(o.notes) != 0 {
		t.Errorf("notes %v, error %v", o.notes, err)
	}
}
