package custom

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/source"
)

// files is a dataset.Source of texts.
type files map[string]string

func (f files) ReadFile(_ context.Context, path, _ string) ([]byte, error) {
	if s, ok := f[path]; ok {
		return []byte(s), nil
	}
	return nil, &dataset.MissingError{Path: path, Hint: "put it there"}
}
func (f files) Exists(_ context.Context, path, _ string) bool { _, ok := f[path]; return ok }
func (f files) Origins() []dataset.Origin                     { return nil }

var data = files{
	"d/mcq.test.jsonl":       "\ufeff{\"question\": \"q\", \"A\": \"1\", \"B\": \"2\", \"D\": \"x\", \"answer\": \"A\"}\n",
	"d/qa.csv":               "question,answer\nWhy?,So\n",
	"d/noanswer.jsonl":       "{\"question\": \"q\"}\n",
	"d/meta.jsonl":           "{\"question\": \"q\", \"A\": \"1\", \"B\": \"2\", \"answer\": \"A\"}\n",
	"d/meta.jsonl.meta.json": `{"abbr": "frommeta", "infer_method": "ppl", "evaluator": "EDAccEvaluator", "human_prompt": "{question}?"}`,
	"d/empty.jsonl":          "\n",
	"d/broken.jsonl":         "{question}\n",
	"d/list.jsonl":           "[1]\n",
	"d/head.csv":             "question,answer\n",
	"d/typo.jsonl":           "{\"question\": \"q\"}\n",
	"d/typo.jsonl.meta.json": `{"outputcolumn": "x"}`,
}

func make_(t *testing.T, kv ...py.Value) (*py.Dict, error) {
	t.Helper()
	return Make(context.Background(), py.DictOf(kv...), data)
}

func TestMake(t *testing.T) {
	const head = "{'abbr': 'mcq', 'type': 'opencompass.datasets.custom.CustomDataset', 'path': 'd/mcq.test.jsonl', "
	const tail = "'retriever': {'type': 'opencompass.openicl.icl_retriever.icl_zero_retriever.ZeroRetriever'}, 'inferencer': {'type': 'opencompass.openicl.icl_inferencer.icl_%s_inferencer.%sInferencer'}}, "
	gen, ppl := fmt.Sprintf(tail, "gen", "Gen"), fmt.Sprintf(tail, "ppl", "PPL")
	const pt = "'infer_cfg': {'prompt_template': {'type': 'opencompass.openicl.icl_prompt_template.PromptTemplate', 'template': "
	const acc = "'eval_cfg': {'evaluator': {'type': 'opencompass.openicl.icl_evaluator.icl_hf_evaluator.AccEvaluator'}"
	for _, tc := range []struct {
		name string
		kv   []py.Value
		want string
	}{
		{"mcq gen by its columns", []py.Value{"path", "d/mcq.test.jsonl"},
			head + "'reader_cfg': {'input_columns': ['question', 'A', 'B', 'D'], 'output_column': 'answer'}, " + pt +
				`{'round': [{'role': 'HUMAN', 'prompt': 'Question: {question}\nA. {A}\nB. {B}'}, {'role': 'BOT', 'prompt': 'Answer: {answer}'}]}}, ` + gen +
				"'eval_cfg': {'evaluator': {'type': 'opencompass.datasets.custom.OptionSimAccEvaluator', 'options': ['A', 'B']}, 'pred_role': 'BOT'}}"},
		{"mcq ppl", []py.Value{"path", "d/mcq.test.jsonl", "infer_method", "ppl", "test_range", "[0:1]"},
			head + "'reader_cfg': {'input_columns': ['question', 'A', 'B', 'D'], 'output_column': 'answer', 'test_range': '[0:1]'}, " + pt +
				`{'A': {'round': [{'role': 'HUMAN', 'prompt': 'Question: {question}\nA. {A}\nB. {B}'}, {'role': 'BOT', 'prompt': 'Answer: A'}]}, ` +
				`'B': {'round': [{'role': 'HUMAN', 'prompt': 'Question: {question}\nA. {A}\nB. {B}'}, {'role': 'BOT', 'prompt': 'Answer: B'}]}}}, ` + ppl + acc + "}}"},
		{"qa from csv", []py.Value{"path", "d/qa.csv", "abbr", "mine"},
			"{'abbr': 'mine', 'type': 'opencompass.datasets.custom.CustomDataset', 'path': 'd/qa.csv', 'reader_cfg': {'input_columns': ['question'], 'output_column': 'answer'}, " + pt +
				"{'round': [{'role': 'HUMAN', 'prompt': '{question}'}, {'role': 'BOT', 'prompt': '{answer}'}]}}, " + gen + acc + ", 'pred_role': 'BOT'}}"},
		{"qa without answers", []py.Value{"path", "d/noanswer.jsonl"},
			"{'abbr': 'noanswer', 'type': 'opencompass.datasets.custom.CustomDataset', 'path': 'd/noanswer.jsonl', 'reader_cfg': {'input_columns': ['question'], 'output_column': None}, " + pt +
				"{'round': [{'role': 'HUMAN', 'prompt': '{question}'}]}}, " + gen + acc + ", 'pred_role': 'BOT'}}"},
		{"the meta file, and a config over it", []py.Value{"path", "d/meta.jsonl", "infer_method", "gen", "evaluator_kwargs", py.DictOf("x", 1)},
			"{'abbr': 'frommeta', 'type': 'opencompass.datasets.custom.CustomDataset', 'path': 'd/meta.jsonl', 'reader_cfg': {'input_columns': ['question', 'A', 'B'], 'output_column': 'answer'}, " + pt +
				"{'round': [{'role': 'HUMAN', 'prompt': '{question}?'}, {'role': 'BOT', 'prompt': 'Answer: {answer}'}]}}, " + gen +
				"'eval_cfg': {'evaluator': {'type': 'EDAccEvaluator', 'x': 1}, 'pred_role': 'BOT'}}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := make_(t, tc.kv...)
			if err != nil {
				t.Fatal(err)
			}
			if got := py.Repr(d); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
	d, err := make_(t, "path", "d/mcq.test.jsonl", "data_type", "circular-mcq", "n", 3)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"type": "'opencompass.datasets.custom.CircularCustomDataset'", "option_keys": "['A', 'B']", "answer_key": "'answer'", "n": "3"} {
		if got := py.Repr(d.Get(k)); got != want {
			t.Errorf("%s is %s, want %s", k, got, want)
		}
	}
	if got := d.Dict("eval_cfg").Dict("evaluator").Str("type"); got != "opencompass.datasets.custom.CircularOptionSimAccEvaluator" {
		t.Error(got)
	}
}

func TestMakeMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		kv   []py.Value
		want string
	}{
		"nothing":        {nil, "dataset has neither a type nor a path"},
		"other file":     {[]py.Value{"path", "d/x.json"}, `dataset has no type, and its path "d/x.json" is not a .jsonl or .csv file`},
		"missing":        {[]py.Value{"path", "d/x.csv"}, "read custom dataset: data not found: d/x.csv"},
		"missing meta":   {[]py.Value{"path", "d/qa.csv", "meta_path", "d/x.json"}, "data not found: d/x.json"},
		"pair":           {[]py.Value{"path", "d/qa.csv", "infer_method", "ppl"}, "there is no custom dataset of data_type 'qa' with infer_method 'ppl'"},
		"mcq without":    {[]py.Value{"path", "d/qa.csv", "data_type", "mcq"}, "multiple-choice data needs columns A, B, …, one for each option"},
		"misspelt":       {[]py.Value{"path", "d/qa.csv", "infer_metod", "gen"}, `unknown key "infer_metod" of a custom dataset`},
		"bot prompt":     {[]py.Value{"path", "d/mcq.test.jsonl", "infer_method", "ppl", "bot_prompt", "{question}"}, "bot_prompt '{question}' cannot be filled with the option alone: KeyError: 'question'"},
		"evaluator dict": {[]py.Value{"path", "d/qa.csv", "evaluator", py.DictOf("type", "x")}, "evaluator of a custom dataset must be a class or the name of one, not dict"},
		"empty":          {[]py.Value{"path", "d/empty.jsonl"}, "d/empty.jsonl is empty: a custom dataset needs at least one row"},
		"no rows":        {[]py.Value{"path", "d/head.csv"}, "d/head.csv: a custom dataset needs a line of column names and at least one row"},
		"list":           {[]py.Value{"path", "d/list.jsonl"}, "d/list.jsonl:1: a JSON object is expected, not list"},
		"meta typo":      {[]py.Value{"path", "d/typo.jsonl"}, `d/typo.jsonl.meta.json: unknown key "outputcolumn", perhaps "output_column" is meant`},
		"broken":         {[]py.Value{"path", "d/broken.jsonl"}, "d/broken.jsonl:1: "},
	} {
		_, err := make_(t, tc.kv...)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func TestExpand(t *testing.T) {
	typed := py.DictOf("type", "siqaDataset", "path", "x")
	cfg := py.DictOf(
		"datasets", py.NewList(typed, py.DictOf("path", "d/qa.csv"), py.DictOf("tpye", "siqaDataset")),
		"model_dataset_combinations", py.NewList(py.DictOf("models", py.NewList(), "datasets", py.NewList(py.DictOf("path", "d/qa.csv")))),
		"chatml_datasets", py.NewList(py.DictOf("abbr", "c", "path", "p", "n", 2, "evaluator", py.DictOf("type", "mcq_rule_evaluator", "answer_pattern", "x"))))
	if err := Expand(context.Background(), cfg, data); err != nil {
		t.Fatal(err)
	}
	ds := cfg.List("datasets").Items
	if len(ds) != 4 || ds[0] != typed || ds[1].(*py.Dict).Str("abbr") != "qa" || ds[2].(*py.Dict).Has("type") || ds[3].(*py.Dict).Str("type") != "ChatMLDataset" {
		t.Errorf("datasets: %s", py.Repr(cfg.Get("datasets")))
	}
	comb := cfg.List("model_dataset_combinations").Items[0].(*py.Dict).List("datasets").Items[0].(*py.Dict)
	if !py.Equal(comb, ds[1]) {
		t.Errorf("combination has %s", py.Repr(comb))
	}
	want := `{'abbr': 'c', 'path': 'p', 'n': 2, 'reader_cfg': {'input_columns': ['question'], 'output_column': 'answer'}, 'infer_cfg': {'prompt_template': {'type': 'RawPromptTemplate', 'messages': [{'role': 'user', 'content': '{question}\nRemember to put your final answer within \\boxed{}.'}]}, 'retriever': {'type': 'ZeroRetriever'}, 'inferencer': {'type': 'GenInferencer'}}, 'eval_cfg': {'evaluator': {'type': 'AccEvaluator', 'pred_postprocessor': {'type': 'match_answer_pattern', 'answer_pattern': 'x'}}}, 'type': 'ChatMLDataset'}`
	if got := py.Repr(ds[3]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// chatml_datasets alone, and several mistakes at once
	cfg = py.DictOf("chatml_datasets", py.NewList(
		py.DictOf("abbr", "ok", "path", "p", "evaluator", py.DictOf("type", "math_evaluator")),
		py.DictOf("abr", "c", "path", "p", "evaluator", py.DictOf("type", "math_evaluator")),
		py.DictOf("abbr", "c", "path", "p", "evaluator", py.DictOf("type", "llm_evaluator")),
		py.DictOf("abbr", "c", "path", "p", "evaluator", py.DictOf("type", "math_evaluater")), 7))
	err := Expand(context.Background(), cfg, data)
	var got []string
	for _, d := range source.Diagnostics(err) {
		got = append(got, d.Msg+" / "+d.Hint)
	}
	wants := []string{`entry of chatml_datasets has no abbr / did you mean "abbr"?`,
		"llm_evaluator asks a judge model, which is not available in this version / math_evaluator and mcq_rule_evaluator go by rules",
		`unknown evaluator 'math_evaluater' of chatml_datasets / did you mean "math_evaluator"?`,
		"entry 5 of chatml_datasets must be a dict, not int / "}
	if strings.Join(got, "\n") != strings.Join(wants, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wants, "\n"))
	}
	if n := cfg.List("datasets").Len(); n != 1 {
		t.Errorf("%d datasets", n)
	}
}
