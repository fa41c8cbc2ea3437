//go:build linux

package chaos

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const memoryConfig = `from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever
from opencompass.openicl.icl_inferencer import GenInferencer
from opencompass.openicl.icl_evaluator import %s
from opencompass.datasets import JsonlDataset
from opencompass.models import FakeModel
datasets = [dict(abbr='rows', type=JsonlDataset, path='rows.jsonl',
    reader_cfg=dict(input_columns=['question'], output_column='answer'),
    infer_cfg=dict(
        prompt_template=dict(type=PromptTemplate, template='Answer with a letter. {question}\nAnswer:'),
        retriever=dict(type=ZeroRetriever), inferencer=dict(type=GenInferencer, max_out_len=10)),
    eval_cfg=dict(evaluator=dict(type=%s)))]
models = [dict(type=FakeModel, abbr='fake', path='fake', max_out_len=20, batch_size=64, in_flight=4)]
`

// What the stages of a run hold in memory with a dataset of 200,000 generated
// answers in a file of 50 MB: the peak of the largest process of each stage.
func BenchmarkMemory200000Rows(b *testing.B) {
	const rows = 200000
	for _, ev := range []string{"AccEvaluator", "AccwithDetailsEvaluator"} {
		b.Run(ev, func(b *testing.B) {
			for range b.N {
				l := NewLab(b, program)
				l.Env = append(l.Env, "SEXTANT_FAKE_LOG=")
				l.Config(fmt.Sprintf(memoryConfig, ev, ev))
				writeRows(b, filepath.Join(l.Dir, "rows.jsonl"), rows)
				for _, stage := range []string{"infer", "eval", "viz"} {
					args := []string{"-m", stage}
					if stage != "infer" {
						args = append(args, "-r", "latest")
					}
					if stage == "eval" {
						args = append(args, "--no-report")
					}
					u, ok := l.Run(0, args...).cmd.ProcessState.SysUsage().(*syscall.Rusage)
					if !ok {
						b.Fatal("the system does not say what a process used")
					}
					b.ReportMetric(float64(u.Maxrss)/1024, stage+"-peak-MB")
				}
			}
		})
	}
}

func writeRows(t testing.TB, path string, n int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	words := []string{"the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "wizards", "mix", "potions"}
	for i := range n {
		fmt.Fprintf(w, `{"question": "%d:`, i)
		for j := range 44 {
			fmt.Fprintf(w, " %s", words[(i*7+j*(1+i%5))%len(words)])
		}
		fmt.Fprintf(w, `?", "answer": "%c"}`+"\n", "ABCD"[i%4])
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
