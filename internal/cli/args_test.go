package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"sextant/internal/py"
)

func TestNormalizeArgparse(t *testing.T) {
	f := &runFlags{}
	s := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.register(s)
	flags, shorts := arities(s)
	for _, tc := range []struct{ in, want string }{
		{"eval.py", "eval.py"},
		{"eval.py -r", "eval.py --reuse=latest"},
		{"eval.py -r 2024 -w out", "eval.py --reuse=2024 --work-dir=out"},
		{"-r --debug eval.py", "--reuse=latest --debug eval.py"},
		{"--models a b --datasets c d e --debug", "--models=a --models=b --datasets=c --datasets=d --datasets=e --debug"},
		{"--models=a b", "--models=a b"},
		{"--max-num-w 4", "--max-num-workers=4"},
		{"--max-num-w=4", "--max-num-workers=4"},
		{"--quo reserved", "--quotatype=reserved"}, // and not ambiguous with --quiet
		{"--qu x", "--quotatype=x"},
		{"-wout -mviz", "--work-dir=out --mode=viz"},
		{"-sp st -p part -q auto", "--station-path=st --partition=part --quotatype=auto"},
		{"--dump-eval-details --debug", "--dump-eval-details=true --debug"},
		{"--dump-eval-details False", "--dump-eval-details=False"},
		{"--model-kwargs a=1 b=[1,2] --pad-token-id -1", "--model-kwargs=a=1 --model-kwargs=b=[1,2] --pad-token-id=-1"},
		{"--stop-words . ! --hf-path x", "--stop-words=. --stop-words=! --hf-path=x"},
		{"-- --models", "-- --models"},
		{"--nonsense x", "--nonsense x"},
		{"-a vllm -l", "--accelerator=vllm --lark"},
	} {
		got, err := normalize(strings.Fields(tc.in), flags, shorts)
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %s, %v; want %s", tc.in, strings.Join(got, " "), err, tc.want)
		}
	}
	for in, want := range map[string]string{
		"--max 3":       "option --max is ambiguous: it could be --max-failed-samples, --max-num-workers, --max-out-len, --max-seq-len, --max-workers-per-gpu",
		"-w":            "option --work-dir needs a value",
		"--models -w x": "option --models needs a value",
	} {
		if _, err := normalize(strings.Fields(in), flags, shorts); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

// TestFlagsOfOpenCompass: every option of its run.py is there (spec 2.1).
func TestFlagsOfOpenCompass(t *testing.T) {
	f := &runFlags{}
	s := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.register(s)
	for _, name := range strings.Fields(`slurm dlc models datasets summarizer debug dry-run accelerator mode reuse work-dir config-dir
		config-verbose lark max-num-workers max-workers-per-gpu retry dump-eval-details dump-res-length analysis-repeat dump-extract-rate
		station-path station-overwrite read-from-station dataset-num-runs dump-only-message-path partition quotatype qos aliyun-cfg hf-type
		hf-path tokenizer-path peft-path model-kwargs tokenizer-kwargs peft-kwargs generation-kwargs max-seq-len max-out-len min-out-len
		batch-size num-gpus hf-num-gpus pad-token-id stop-words custom-dataset-path custom-dataset-meta-path custom-dataset-data-type
		custom-dataset-infer-method`) {
		if s.Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
	}
}

func TestParseKwarg(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "-3": "-3", "1.5": "1.5", "1e3": "1000.0", "true": "True", "FALSE": "False", "None": "None", "none": "'none'", "auto": "'auto'",
		"": "''", "'a b'": "'ab'", `"x"`: "'x'", "a,b": "['a', 'b']", "a,": "['a']", "[]": "[]", "()": "()", "[1,2]": "[1, 2]", "(1, 2)": "(1, 2)",
		"(1,)": "(1,)", "[(1,2),[a,b],c]": "[(1, 2), ['a', 'b'], 'c']", "[(1, 2), 3]": "[(1, 2), 3]", "1,true,x": "[1, True, 'x']",
		"torch.float16": "'torch.float16'", "a(b": "'a(b'", "99999999999999999999": "99999999999999999999",
	} {
		v, err := parseKwarg(in)
		if err != nil || py.Repr(v) != want {
			t.Errorf("%s: got %s, %v; want %s", in, py.Repr(v), err, want)
		}
	}
	for _, in := range []string{"[1,(2]", "a,(b", "(1,2)),3"} {
		if v, err := parseKwarg(in); err == nil {
			t.Errorf("%s: got %s, want an error", in, py.Repr(v))
		}
	}
}

func TestHFModel(t *testing.T) {
	f := &runFlags{}
	s := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.register(s)
	if err := s.Parse([]string{"--hf-type=base", "--hf-path=org/My-Model/", "--model-kwargs=device_map=auto", "--model-kwargs=n=(1,2)", "--max-seq-len=99", "--stop-words=x"}); err != nil {
		t.Fatal(err)
	}
	d, err := f.hfModel()
	if err != nil {
		t.Fatal(err)
	}
	want := "{'type': 'opencompass.models.huggingface_above_v4_33.HuggingFaceBaseModel', 'abbr': 'My-Model_hf', 'path': 'org/My-Model/', " +
		"'model_kwargs': {'device_map': 'auto', 'n': (1, 2)}, 'tokenizer_kwargs': {}, 'generation_kwargs': {}, 'peft_kwargs': {}, 'tokenizer_path': None, 'peft_path': None, " +
		"'max_seq_len': 99, 'max_out_len': 256, 'batch_size': 8, 'pad_token_id': None, 'stop_words': ['x'], 'run_cfg': {'num_gpus': 1}}"
	if got := py.Repr(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestExitCodes holds README and --help against the table.
func TestExitCodes(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := inProcess(t.TempDir(), "--help")
	rows := 0
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \|$`).FindAllStringSubmatch(string(readme), -1) {
		rows++
		found := false
		for _, e := range exitTable {
			found = found || strconv.Itoa(e.code) == m[1] && e.text == strings.ReplaceAll(m[2], "`", "")
		}
		if !found {
			t.Errorf("README says %s of exit code %s, the program something else", m[2], m[1])
		}
	}
	if rows != len(exitTable) {
		t.Errorf("README has %d exit codes, the program %d", rows, len(exitTable))
	}
	for _, e := range exitTable {
		if !strings.Contains(help, e.text) {
			t.Errorf("--help does not say: %s", e.text)
		}
	}
}
