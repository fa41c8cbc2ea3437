package engine

import (
	"slices"
	"strings"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// options are a model dict of a config, as far as it concerns the engine. Keys
// that only say how the original places a model on its devices are left alone.
type options struct {
	notes         []*source.Diagnostic // what is asked for and not done
	path          string               // folder or hub id
	tokenizerPath string               // the same, when the tokenizer is elsewhere
	revision      string
	abbr          string

	maxSeqLen  int // tokens of a prompt; 0: what the model's config says
	maxOutLen  int // tokens of an answer when a request does not say
	minOutLen  int // fewest tokens of an answer, whatever a request says
	stop       []string
	endStr     string // legacy classes: the answer is cut here
	padID      *int   // pad_token_id; negative counts from the end of the vocabulary
	dropMiddle bool   // too long a prompt keeps its two ends
	midMode    bool   // the same in the legacy classes, on text
	choose     sampling
	eos        []int32 // tokens that end an answer, in place of the model's; nil: the model's
	seed       int64

	// Where the two families of classes differ.
	truncateLeft bool // HuggingFaceBaseModel; the others cut the end off
	leaveRoom    bool // the others also leave room for the answer
	padRight     bool // side on which a batch is padded
	wholeText    bool // extract_pred_after_decode: the answer is what the text has after as many characters as the prompt's
}

// class is what tells the registered classes apart.
type class struct {
	base      bool // HuggingFaceBaseModel
	maxSeqLen int  // default
	scoring   model.Scoring
}

// parser reads a model dict and collects what is wrong with it.
type parser struct {
	d    *py.Dict
	errs source.List
}

func (p *parser) fail(key string, hint, format string, args ...any) {
	d := source.Errorf(p.d.PosOf(key), format, args...)
	if hint != "" {
		d = d.WithHint("%s", hint)
	}
	p.errs = append(p.errs, d)
}

func (p *parser) str(key string) string {
	switch v := p.d.Get(key).(type) {
	case nil:
		return ""
	case string:
		return v
	}
	p.fail(key, "", "%s must be a string, not %s", key, py.Repr(p.d.Get(key)))
	return ""
}

// positive is a whole number above 0, or 0 when the key is missing or None.
func (p *parser) positive(key string) int {
	v := p.d.Get(key)
	if v == nil {
		return 0
	}
	if n, ok := v.(int); ok && n > 0 {
		return n
	}
	p.fail(key, "", "%s must be a whole number above 0, not %s", key, py.Repr(v))
	return 0
}

func (p *parser) bool(key string) bool {
	switch v := p.d.Get(key).(type) {
	case nil:
		return false
	case bool:
		return v
	}
	p.fail(key, "", "%s must be True or False, not %s", key, py.Repr(p.d.Get(key)))
	return false
}

func (p *parser) strings(key string) []string {
	var items []py.Value
	switch v := p.d.Get(key).(type) {
	case nil:
	case *py.List:
		items = v.Items
	case *py.Tuple:
		items = v.Items
	case string:
		items = []py.Value{v}
	default:
		p.fail(key, "", "%s must be a list of strings, not %s", key, py.Repr(v))
	}
	var out []string
	for _, it := range items {
		s, ok := it.(string)
		if !ok {
			p.fail(key, "", "%s must hold strings, not %s", key, py.Repr(it))
			return nil
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// dict is the dict under key, nil when there is none.
func (p *parser) dict(key string) *py.Dict {
	switch v := p.d.Get(key).(type) {
	case nil:
		return nil
	case *py.Dict:
		return v
	}
	p.fail(key, "", "%s must be a dict, not %s", key, py.Repr(p.d.Get(key)))
	return nil
}

// float is a number, def when the key is missing or None.
func (p *parser) float(key string, def float64) float64 {
	switch v := p.d.Get(key).(type) {
	case nil:
		return def
	case int:
		return float64(v)
	case float64:
		return v
	}
	p.fail(key, "", "%s must be a number, not %s", key, py.Repr(p.d.Get(key)))
	return def
}

// known are the keys of a model dict that mean something to some part of the
// program or to OpenCompass.
var known = strings.Fields("type abbr summarizer_abbr path tokenizer_path model_kwargs tokenizer_kwargs generation_kwargs max_seq_len max_out_len min_out_len " +
	"batch_size batch_padding run_cfg meta_template pad_token_id stop_words drop_middle mode end_str extract_pred_after_decode use_fastchat_template " +
	"fastchat_template peft_path peft_kwargs tokenizer_only hf_cache_dir pred_postprocessor chat_template_kwargs")

// parseOptions reads a model dict; the error is a source.List.
func parseOptions(d *py.Dict, c class) (options, error) {
	p := &parser{d: d}
	o := options{truncateLeft: c.base, padRight: !c.base, leaveRoom: !c.base}
	if o.path = p.str("path"); o.path == "" && len(p.errs) == 0 {
		p.errs = append(p.errs, source.Errorf(d.At, "the model has no path").WithHint("path is a folder with config.json and weights, or the id of a model on the hub"))
	}
	o.tokenizerPath = p.str("tokenizer_path")
	o.abbr = p.str("abbr")
	if o.maxSeqLen = p.positive("max_seq_len"); o.maxSeqLen == 0 {
		o.maxSeqLen = c.maxSeqLen
	}
	o.maxOutLen = p.positive("max_out_len")
	p.positive("batch_size") // the engine batches what is in flight
	o.stop = p.strings("stop_words")
	o.endStr = p.str("end_str")
	if v := d.Get("pad_token_id"); v != nil {
		if n, ok := v.(int); ok {
			o.padID = &n
		} else {
			p.fail("pad_token_id", "", "pad_token_id must be a whole number, not %s", py.Repr(v))
		}
	}
	if c.base {
		o.dropMiddle = p.bool("drop_middle")
	} else {
		o.wholeText = p.bool("extract_pred_after_decode")
	}
	switch mode := p.str("mode"); mode {
	case "", "none":
	case "mid":
		if o.midMode = !c.base; c.base {
			o.notes = append(o.notes, source.Errorf(d.PosOf("mode"), "HuggingFaceBaseModel has no mode; long prompts lose their beginning").
				WithHint("drop_middle=True keeps both ends"))
		}
	default:
		p.fail("mode", "", `mode must be "none" or "mid", not %q`, mode)
	}
	p.tokenizerKwargs(&o)
	if !c.base && o.padRight && p.bool("batch_padding") {
		o.notes = append(o.notes, source.Errorf(d.PosOf("batch_padding"), "texts are continued as if each were alone; OpenCompass would continue short ones behind padding").
			WithHint("tokenizer_kwargs=dict(padding_side='left') gives both programs the same answers"))
	}
	if p.d.Get("peft_path") != nil {
		p.fail("peft_path", "merge the adapter into the weights, or serve the model with vLLM", "the engine does not load adapters")
	}
	p.modelKwargs(&o)
	p.generationKwargs(&o)
	for _, e := range d.Entries() { // OpenCompass passes over what it does not know, or says "unused argument"
		k, _ := e.Key.(string)
		if slices.Contains(known, k) {
			continue
		}
		if near := registry.Nearest(k, known); near != "" && !d.Has(near) {
			o.notes = append(o.notes, source.Errorf(d.KeyPosOf(e.Key), "a model has no option %s; it is passed over", k).WithHint("did you mean %q?", near))
		}
	}
	if len(p.errs) > 0 {
		return o, p.errs
	}
	return o, nil
}

// The types that torch_dtype may name. All are computed in float32, which the
// records say; for half precision a note says it too.
var dtypes = map[string]bool{
	"auto": true, "None": true, "torch.float": true, "float": true, "torch.float32": true, "float32": true,
	"torch.float16": false, "float16": false, "torch.half": false, "half": false, "torch.bfloat16": false, "bfloat16": false,
}

// tokenizerKwargs reads the sides on which texts are cut and padded.
func (p *parser) tokenizerKwargs(o *options) {
	d := p.dict("tokenizer_kwargs")
	if d == nil {
		return
	}
	q := &parser{d: d}
	side := func(key, yes string, flag *bool) {
		switch v := q.str(key); v {
		case "":
		case "left", "right":
			*flag = v == yes
		default:
			q.fail(key, "", `%s must be "left" or "right", not %q`, key, v)
		}
	}
	side("padding_side", "right", &o.padRight)
	side("truncation_side", "left", &o.truncateLeft)
	p.errs = append(p.errs, q.errs...)
}

func (p *parser) modelKwargs(o *options) {
	d := p.dict("model_kwargs")
	if d == nil {
		return
	}
	q := &parser{d: d}
	for _, key := range []string{"torch_dtype", "dtype"} {
		v := d.Get(key)
		if v == nil {
			continue
		}
		name, ok := v.(string)
		if obj, is := v.(py.Object); is { // torch.float16 without quotes
			name, ok = "torch."+strings.Trim(obj.PyRepr()[strings.LastIndexByte(obj.PyRepr(), '.')+1:], "'>\") "), true
		}
		full, known := dtypes[name]
		switch {
		case !ok || !known:
			q.fail(key, "", "%s must be a torch type such as 'torch.float', not %s", key, py.Repr(v))
		case !full:
			o.notes = append(o.notes, source.Errorf(d.PosOf(key), "the engine computes in float32, not in %s", strings.TrimPrefix(name, "torch.")).
				WithHint("scores may differ from half precision in the last digits; %s='torch.float' says the same without this note", key))
		}
	}
	for _, key := range []string{"load_in_8bit", "load_in_4bit", "quantization_config"} {
		if v := d.Get(key); v != nil && v != false {
			q.fail(key, "leave it out, or serve the model with vLLM", "the engine does not quantise weights (%s)", key)
		}
	}
	o.revision = q.str("revision")
	p.errs = append(p.errs, q.errs...)
}

// harmless generation options: they change no answer here.
var harmless = map[string]bool{"use_cache": true, "pad_token_id": true, "num_return_sequences": true, "max_new_tokens": true,
	"do_sample": true, "temperature": true, "top_k": true, "top_p": true, "repetition_penalty": true, "eos_token_id": true, "seed": true,
	"num_beams": true, "max_length": true, "return_dict_in_generate": true, "output_scores": true, "min_new_tokens": true}

func (p *parser) generationKwargs(o *options) {
	o.choose = sampling{temperature: 1, topK: 50, topP: 1, penalty: 1}
	d := p.dict("generation_kwargs")
	if d == nil {
		return
	}
	q := &parser{d: d}
	for _, e := range d.Entries() {
		if k, _ := e.Key.(string); !harmless[k] {
			q.errs = append(q.errs, source.Errorf(d.KeyPosOf(e.Key), "the engine has no generation option %s", py.Repr(e.Key)).
				WithHint("it has do_sample, temperature, top_k, top_p, repetition_penalty, max_new_tokens, eos_token_id"))
		}
	}
	if n := q.positive("max_new_tokens"); n > 0 {
		o.maxOutLen = n
	}
	o.minOutLen = q.positive("min_new_tokens")
	if n := q.positive("num_beams"); n > 1 {
		q.fail("num_beams", "", "the engine does not search with beams")
	}
	o.choose.sample = q.bool("do_sample")
	o.choose.temperature = q.float("temperature", 1)
	if t := o.choose.temperature; t < 0 || t == 0 && o.choose.sample {
		q.fail("temperature", "do_sample=False always takes the most probable token", "temperature must be above 0, not %v", t)
	}
	if v := d.Get("top_k"); v != nil {
		if n, ok := v.(int); ok && n >= 0 {
			o.choose.topK = n
		} else {
			q.fail("top_k", "", "top_k must be a whole number from 0 on, not %s", py.Repr(v))
		}
	}
	if o.choose.topP = q.float("top_p", 1); o.choose.topP <= 0 || o.choose.topP > 1 {
		q.fail("top_p", "", "top_p must be above 0 and at most 1, not %v", o.choose.topP)
	}
	if o.choose.penalty = q.float("repetition_penalty", 1); o.choose.penalty <= 0 {
		q.fail("repetition_penalty", "", "repetition_penalty must be above 0, not %v", o.choose.penalty)
	}
	o.eos = ids(d, "eos_token_id")
	o.seed = int64(d.Int("seed", 0))
	p.errs = append(p.errs, q.errs...)
}
