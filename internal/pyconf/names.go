package pyconf

import (
	"fmt"
	"sort"
	"sync"

	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/registry"
)

// types2 are the types that only type(x) makes.
var types2 = struct {
	sync.Mutex
	m map[string]*builtin
}{m: map[string]*builtin{}}

// wellKnown says where configs import a name from that is often forgotten.
var wellKnown = map[string]string{
	"read_base": "mmengine.config",
	"deepcopy":  "copy", "reduce": "functools", "partial": "functools", "product": "itertools", "chain": "itertools",
	"join": "os.path", "dirname": "os.path",

	"LocalRunner": "opencompass.runners", "SlurmRunner": "opencompass.runners", "SlurmSequentialRunner": "opencompass.runners",
	"DLCRunner": "opencompass.runners", "VOLCRunner": "opencompass.runners", "RJOBRunner": "opencompass.runners",
	"LocalAPIRunner": "opencompass.runners",

	"NaivePartitioner": "opencompass.partitioners", "SizePartitioner": "opencompass.partitioners",
	"NumWorkerPartitioner":       "opencompass.partitioners",
	"SubjectiveNaivePartitioner": "opencompass.partitioners.sub_naive", "SubjectiveSizePartitioner": "opencompass.partitioners.sub_size",
	"SubjectiveNumWorkerPartitioner": "opencompass.partitioners.sub_num_worker",

	"OpenICLInferTask": "opencompass.tasks", "OpenICLEvalTask": "opencompass.tasks", "OpenICLInferConcurrentTask": "opencompass.tasks",
	"SubjectiveEvalTask": "opencompass.tasks.subjective_eval",

	"PromptTemplate": "opencompass.openicl.icl_prompt_template", "RawPromptTemplate": "opencompass.openicl.icl_raw_prompt_template",
	"ZeroRetriever": "opencompass.openicl.icl_retriever", "FixKRetriever": "opencompass.openicl.icl_retriever",
	"RandomRetriever": "opencompass.openicl.icl_retriever", "BM25Retriever": "opencompass.openicl.icl_retriever",
	"TopkRetriever": "opencompass.openicl.icl_retriever", "MDLRetriever": "opencompass.openicl.icl_retriever",
	"DPPRetriever": "opencompass.openicl.icl_retriever", "VotekRetriever": "opencompass.openicl.icl_retriever",
	"SlidingWindowRetriever": "opencompass.openicl.icl_retriever",

	"GenInferencer": "opencompass.openicl.icl_inferencer", "PPLInferencer": "opencompass.openicl.icl_inferencer",
	"PPLOnlyInferencer": "opencompass.openicl.icl_inferencer", "CLPInferencer": "opencompass.openicl.icl_inferencer",
	"LLInferencer": "opencompass.openicl.icl_inferencer", "ChatInferencer": "opencompass.openicl.icl_inferencer",
	"MultiTurnGenInferencer": "opencompass.openicl.icl_inferencer", "AgentInferencer": "opencompass.openicl.icl_inferencer",

	"AccEvaluator": "opencompass.openicl.icl_evaluator", "EMEvaluator": "opencompass.openicl.icl_evaluator",
	"BleuEvaluator": "opencompass.openicl.icl_evaluator", "RougeEvaluator": "opencompass.openicl.icl_evaluator",
	"JiebaRougeEvaluator": "opencompass.openicl.icl_evaluator", "LMEvaluator": "opencompass.openicl.icl_evaluator",
	"CircularEvaluator": "opencompass.openicl.icl_evaluator", "MccEvaluator": "opencompass.openicl.icl_evaluator",
	"SquadEvaluator": "opencompass.openicl.icl_evaluator", "HumanEvaluator": "opencompass.openicl.icl_evaluator",
	"AUCROCEvaluator": "opencompass.openicl.icl_evaluator", "BaseEvaluator": "opencompass.openicl.icl_evaluator",
	"GenericLLMEvaluator": "opencompass.evaluator", "CascadeEvaluator": "opencompass.evaluator",
	"MATHVerifyEvaluator": "opencompass.evaluator", "MATHEvaluator": "opencompass.datasets",

	"first_option_postprocess":              "opencompass.utils.text_postprocessors",
	"first_capital_postprocess":             "opencompass.utils.text_postprocessors",
	"last_option_postprocess":               "opencompass.utils.text_postprocessors",
	"last_capital_postprocess":              "opencompass.utils.text_postprocessors",
	"general_postprocess":                   "opencompass.utils.text_postprocessors",
	"general_cn_postprocess":                "opencompass.utils.text_postprocessors",
	"match_answer_pattern":                  "opencompass.utils.text_postprocessors",
	"extract_non_reasoning_content":         "opencompass.utils.text_postprocessors",
	"first_option_postprocess_":             "opencompass.utils.text_postprocessors",
	"HuggingFace":                           "opencompass.models",
	"HuggingFaceBaseModel":                  "opencompass.models",
	"HuggingFaceCausalLM":                   "opencompass.models",
	"HuggingFacewithChatTemplate":           "opencompass.models",
	"HuggingFaceChatGLM3":                   "opencompass.models",
	"TurboMindModel":                        "opencompass.models",
	"TurboMindModelwithChatTemplate":        "opencompass.models",
	"VLLM":                                  "opencompass.models",
	"VLLMwithChatTemplate":                  "opencompass.models",
	"OpenAI":                                "opencompass.models",
	"OpenAISDK":                             "opencompass.models",
	"DefaultSummarizer":                     "opencompass.summarizers",
	"SubjectiveSummarizer":                  "opencompass.summarizers",
	"CustomDataset":                         "opencompass.datasets",
	"siqaDataset":                           "opencompass.datasets",
	"siqaDataset_V2":                        "opencompass.datasets",
	"winograndeDataset":                     "opencompass.datasets",
	"HFDataset":                             "opencompass.datasets",
	"GSM8KDataset":                          "opencompass.datasets",
	"MMLUDataset":                           "opencompass.datasets",
	"CEvalDataset":                          "opencompass.datasets",
	"MATHDataset":                           "opencompass.datasets",
	"BBHDataset":                            "opencompass.datasets",
	"generic_llmjudge_postprocess":          "opencompass.datasets",
	"generic_llmjudge_academic_postprocess": "opencompass.datasets",
	"torch":                                 "",
}

// importLine is the statement that makes a name known.
func importLine(name, module string) string {
	if module == "" {
		return "import " + name
	}
	return "from " + module + " import " + name
}

// undefined is the error for a name that nothing binds.
func (fr *frame) undefined(n *syntax.Name) error {
	e := fr.raise(n, "NameError", "name '%s' is not defined", n.ID)
	if module, ok := wellKnown[n.ID]; ok {
		e.hint = "add: " + importLine(n.ID, module)
		return e
	}
	if _, ok := modules[n.ID]; ok {
		e.hint = "add: import " + n.ID
		return e
	}
	switch n.ID {
	case "true", "false", "null", "none", "nil":
		e.hint = "did you mean " + map[string]string{"true": "True", "false": "False"}[n.ID] + "?"
		if e.hint == "did you mean ?" {
			e.hint = "did you mean None?"
		}
		return e
	case "osp":
		e.hint = "add: import os.path as osp"
		return e
	}
	near := func(names []string) string { return registry.Nearest(n.ID, names) }
	scope := stringKeys(fr.m.globals)
	for v := fr.env; v != nil; v = v.parent {
		scope = append(scope, v.names...)
	}
	if s := near(scope); s != "" {
		e.hint = fmt.Sprintf("did you mean %q?", s)
		return e
	}
	var names []string
	for k, v := range builtins {
		if _, ok := v.(*builtin); ok {
			names = append(names, k)
		}
	}
	for k := range wellKnown {
		names = append(names, k)
	}
	if s := nearestStable(n.ID, names); s != "" {
		e.hint = fmt.Sprintf("did you mean %q?", s)
		if module, ok := wellKnown[s]; ok {
			e.hint += " then add: " + importLine(s, module)
		}
	}
	return e
}

// nearestStable is registry.Nearest with an order that does not depend on
// the map the names came from.
func nearestStable(name string, names []string) string {
	sort.Strings(names)
	return registry.Nearest(name, names)
}

var _ py.Value
