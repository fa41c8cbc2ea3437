package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// runFlags are the options of `sextant run`: those of OpenCompass's run.py
// under their names (spec 2.1), and ours.
type runFlags struct {
	Slurm, DLC                         bool
	Models, Datasets                   []string
	Summarizer                         string
	Debug, DryRun                      bool
	Accelerator, Mode, Reuse           string
	WorkDir, ConfigDir                 string
	ConfigVerbose, Lark                bool
	MaxNumWorkers, MaxWorkersPerGPU    int
	Retry                              int
	DumpEvalDetails                    string
	DumpResLength, AnalysisRepeat      bool
	DumpExtractRate                    bool
	StationPath                        string
	StationOverwrite, ReadFromStation  bool
	DatasetNumRuns                     int
	DumpOnlyMessagePath                string
	Partition, Quotatype, QOS          string
	AliyunCfg                          string
	HFType, HFPath                     string
	TokenizerPath, PeftPath            string
	ModelKwargs, TokenizerKwargs       []string
	PeftKwargs, GenerationKwargs       []string
	MaxSeqLen, MaxOutLen, MinOutLen    int
	BatchSize, NumGPUs, HFNumGPUs      int
	PadTokenID                         int
	StopWords                          []string
	CustomPath, CustomMeta, CustomType string
	CustomInfer                        string

	Offline          bool
	MaxFailedSamples int
	RetryFailed      bool
	JSON, Quiet      bool
	Threads          int
	NoReport         bool

	set *pflag.FlagSet
}

// changed reports whether the user gave the option.
func (f *runFlags) changed(name string) bool { return f.set.Changed(name) }

func (f *runFlags) register(s *pflag.FlagSet) {
	f.set = s
	s.SortFlags = false
	// what is run
	s.StringArrayVar(&f.Models, "models", nil, "model configs by `NAME` (several words; * and ? are wildcards)")
	s.StringArrayVar(&f.Datasets, "datasets", nil, "dataset configs by `NAME[/SUFFIX]` (several words)")
	s.StringVar(&f.Summarizer, "summarizer", "", "summarizer config by `NAME[/KEY]` (default example)")
	s.StringVar(&f.ConfigDir, "config-dir", "configs", "folder searched first for names and imports")
	s.StringVarP(&f.Mode, "mode", "m", "all", "stages to run: `all|infer|eval|viz`")
	s.StringVarP(&f.Reuse, "reuse", "r", "", "go on with an earlier run: `[TIME|latest]`, latest when no time is given")
	s.StringVarP(&f.WorkDir, "work-dir", "w", "", "folder of the runs (default: the config's work_dir, or outputs/default)")
	s.BoolVar(&f.DryRun, "dry-run", false, "say what would be run, and stop")
	s.BoolVar(&f.Debug, "debug", false, "run tasks one after another in this process, with all log lines")
	s.IntVar(&f.MaxNumWorkers, "max-num-workers", 1, "workers at a time, where the config does not say")
	s.IntVar(&f.MaxWorkersPerGPU, "max-workers-per-gpu", 1, "workers on one GPU, where the config does not say")
	s.IntVar(&f.Retry, "retry", 2, "tries of a failed task, where the config does not say")
	s.IntVar(&f.Threads, "threads", 0, "CPU threads for the embedded engine (default: all)")
	s.IntVar(&f.MaxFailedSamples, "max-failed-samples", -1, "stop a task after this many samples without an answer (-1: never)")
	s.BoolVar(&f.RetryFailed, "retry-failed", false, "ask samples again that had no answer in an earlier session of the run")
	s.BoolVar(&f.Offline, "offline", false, "no network at all")
	// what is written and shown
	s.StringVar(&f.DumpEvalDetails, "dump-eval-details", "true", "write details per sample into results: `[true|false]`")
	s.BoolVar(&f.DumpResLength, "dump-res-length", false, "add token lengths to predictions")
	s.BoolVar(&f.DumpExtractRate, "dump-extract-rate", false, "count how many answers could be read")
	s.StringVar(&f.DumpOnlyMessagePath, "dump-only-message-path", "", "write the prompts to `DIR` and ask no model")
	s.BoolVar(&f.AnalysisRepeat, "analysis-repeat", false, "look for repetitions in the answers")
	s.BoolVar(&f.ConfigVerbose, "config-verbose", false, "print the whole config first")
	s.BoolVar(&f.JSON, "json", false, "progress and result as JSON lines on stdout")
	s.BoolVar(&f.Quiet, "quiet", false, "no progress")
	s.BoolVar(&f.NoReport, "no-report", false, "write no report.html")
	// a model from the Hugging Face hub without a config
	s.StringVar(&f.HFType, "hf-type", "chat", "`base|chat`")
	s.StringVar(&f.HFPath, "hf-path", "", "hub name or folder of a model")
	s.StringVar(&f.TokenizerPath, "tokenizer-path", "", "hub name or folder of its tokenizer")
	s.StringVar(&f.PeftPath, "peft-path", "", "hub name or folder of an adapter")
	s.StringArrayVar(&f.ModelKwargs, "model-kwargs", nil, "`K=V` … for the model")
	s.StringArrayVar(&f.TokenizerKwargs, "tokenizer-kwargs", nil, "`K=V` … for the tokenizer")
	s.StringArrayVar(&f.PeftKwargs, "peft-kwargs", nil, "`K=V` … for the adapter")
	s.StringArrayVar(&f.GenerationKwargs, "generation-kwargs", nil, "`K=V` … for generation")
	s.IntVar(&f.MaxSeqLen, "max-seq-len", 0, "context length in tokens")
	s.IntVar(&f.MaxOutLen, "max-out-len", 256, "most tokens of an answer")
	s.IntVar(&f.MinOutLen, "min-out-len", 1, "fewest tokens of an answer")
	s.IntVar(&f.BatchSize, "batch-size", 8, "batch size")
	s.IntVar(&f.HFNumGPUs, "hf-num-gpus", 1, "GPUs of the model")
	s.IntVar(&f.NumGPUs, "num-gpus", 0, "gone: use --hf-num-gpus")
	s.IntVar(&f.PadTokenID, "pad-token-id", 0, "id of the pad token")
	s.StringArrayVar(&f.StopWords, "stop-words", nil, "texts that end an answer")
	// a dataset of one's own without a config
	s.StringVar(&f.CustomPath, "custom-dataset-path", "", "a .jsonl or .csv file")
	s.StringVar(&f.CustomMeta, "custom-dataset-meta-path", "", "its .meta.json")
	s.StringVar(&f.CustomType, "custom-dataset-data-type", "", "`mcq|qa`")
	s.StringVar(&f.CustomInfer, "custom-dataset-infer-method", "", "`gen|ppl`")
	s.IntVar(&f.DatasetNumRuns, "dataset-num-runs", 1, "ask each question this many times")
	// where
	s.BoolVar(&f.Slurm, "slurm", false, "run on Slurm, whatever the config says")
	s.StringVarP(&f.Partition, "partition", "p", "", "Slurm partition")
	s.StringVarP(&f.Quotatype, "quotatype", "q", "", "Slurm quota type")
	s.StringVar(&f.QOS, "qos", "", "Slurm quality of service")
	s.BoolVar(&f.DLC, "dlc", false, "Alibaba DLC: not supported, see --slurm")
	s.StringVar(&f.AliyunCfg, "aliyun-cfg", "", "for --dlc")
	s.StringVarP(&f.Accelerator, "accelerator", "a", "", "serve Hugging Face models with `vllm|lmdeploy`")
	s.BoolVarP(&f.Lark, "lark", "l", false, "post to the Lark webhook that the config names")
	s.StringVar(&f.StationPath, "station-path", "", "folder where results of all runs are collected")
	s.BoolVar(&f.StationOverwrite, "station-overwrite", false, "replace what is in the station")
	s.BoolVar(&f.ReadFromStation, "read-from-station", false, "take results from the station first")
	_ = s.MarkHidden("num-gpus") // exists
	_ = s.MarkHidden("dlc")
	_ = s.MarkHidden("aliyun-cfg")
}

// ownFlags are the options that OpenCompass does not have.
var ownFlags = []string{"threads", "max-failed-samples", "offline", "json", "quiet", "no-report"}

// listFlags swallow every following word, as argparse's nargs='+' does.
var listFlags = []string{"models", "datasets", "model-kwargs", "tokenizer-kwargs", "peft-kwargs", "generation-kwargs", "stop-words"}

// arities derives what normalize needs from a flag set.
func arities(s *pflag.FlagSet) (map[string]flagArity, map[string]string) {
	m, shorts := map[string]flagArity{}, map[string]string{}
	s.VisitAll(func(f *pflag.Flag) {
		switch {
		case optionalBare[f.Name] != "":
			m[f.Name] = arityOptional
		case strings.HasPrefix(f.Value.Type(), "bool"):
			m[f.Name] = arityNone
		default:
			m[f.Name] = arityOne
		}
		if f.Shorthand != "" {
			shorts[f.Shorthand] = f.Name
		}
	})
	for _, n := range listFlags {
		if _, ok := m[n]; ok {
			m[n] = arityList
		}
	}
	if _, ok := m["station-path"]; ok {
		shorts["sp"] = "station-path"
	}
	return m, shorts
}
