//go:build linux

package chaos

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/model/engine"
)

// demo is the founding evaluation with the demonstration model, cut short
// unless rows are 0.
func demo(siqa, winogrande, workers int, partitioner string) string {
	part := ""
	if siqa > 0 {
		part = fmt.Sprintf("siqa_datasets[0]['reader_cfg']['test_range'] = '[0:%d]'\nwinogrande_datasets[0]['reader_cfg']['test_range'] = '[0:%d]'\n", siqa, winogrande)
	}
	return fmt.Sprintf(`from mmengine.config import read_base

with read_base():
    from .datasets.siqa.siqa_ppl import siqa_datasets
    from .datasets.winogrande.winogrande_ppl import winogrande_datasets
    from .models.opt.opt_demo import opt_demo

%sdatasets = [*siqa_datasets, *winogrande_datasets]
models = [opt_demo]

from opencompass.partitioners import NaivePartitioner, SizePartitioner, NumWorkerPartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLEvalTask, OpenICLInferTask

infer = dict(partitioner=%s, runner=dict(type=LocalRunner, max_num_workers=%d, task=dict(type=OpenICLInferTask)))
eval = dict(partitioner=dict(type=NaivePartitioner), runner=dict(type=LocalRunner, max_num_workers=%d, task=dict(type=OpenICLEvalTask)))
`, part, partitioner, workers, workers)
}

// full makes the tests of the demonstration model ask everything.
func full() bool { return number("SEXTANT_CHAOS_FULL", 0) != 0 }

func demoRows() (siqa, winogrande int) {
	if full() {
		return 0, 0
	}
	return 100, 130
}

func needEngine(t *testing.T) {
	t.Helper()
	if !engine.Built {
		t.Skip("built without the engine")
	}
}

var requestsDone = regexp.MustCompile(`msg="model done" requests=(\d+)`)

// kill -9 of everything at ten moments of the founding evaluation, started
// again each time: the same bytes in the end, and nothing asked again that had
// been recorded.
func TestKillDemo(t *testing.T) {
	t.Parallel()
	needEngine(t)
	siqa, winogrande := demoRows()
	config := demo(siqa, winogrande, 64, "dict(type=SizePartitioner, max_task_size=100)")
	want, wall := undisturbed(t, config)
	seed := number("SEXTANT_CHAOS_SEED", time.Now().UnixNano()%1e9)
	r := rand.New(rand.NewSource(seed))
	l := NewLab(t, program)
	l.Config(config)
	var story []string
	t.Cleanup(func() {
		t.Logf("SEXTANT_CHAOS_SEED=%d, undisturbed %v:\n  %s", seed, wall, strings.Join(story, "\n  "))
	})
	again := func() []string { // a session killed early leaves no run to go on with
		if l.RunDir() == "" {
			return nil
		}
		return []string{"-r", "latest"}
	}
	for kills := 0; kills < 10; kills++ {
		s := l.Start(again()...)
		time.Sleep(time.Duration(float64(wall) * 0.4 * r.Float64()))
		s.Signal(syscall.SIGKILL)
		for i := 0; i < 3; i++ {
			for _, pid := range l.Workers() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
			time.Sleep(time.Millisecond)
		}
		s.Wait()
		l.Quiet()
		story = append(story, fmt.Sprintf("kill %d: %d records", kills+1, l.Recorded().Rows))
	}
	before := l.Recorded()
	if dir := l.RunDir(); dir != "" {
		if err := os.RemoveAll(filepath.Join(dir, "logs")); err != nil {
			t.Fatal(err)
		}
	}
	l.Run(0, again()...)
	l.Same(want)
	after := l.Recorded()
	missing := 0
	for d, n := range after.Of {
		missing += (n - before.Of[d]) * map[string]int{"siqa": 3, "winogrande": 2}[d]
	}
	asked := 0
	logs, _ := filepath.Glob(filepath.Join(l.RunDir(), "logs", "infer", "*", "*.out")) // the pattern is well formed
	for _, p := range logs {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range requestsDone.FindAllSubmatch(b, -1) {
			n, err := strconv.Atoi(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			asked += n
		}
	}
	if asked != missing {
		t.Errorf("%d requests for the %d that had no answer", asked, missing)
	}
	story = append(story, fmt.Sprintf("at last: %d records, %d requests", after.Rows, asked))
}

// How many workers there are, and how the work is cut, changes no byte.
func TestInvarianceDemo(t *testing.T) {
	t.Parallel()
	needEngine(t)
	siqa, winogrande := demoRows()
	// OpenCompass pads a batch of HuggingFaceBaseModel, and a part begins a new
	// batch; so SizePartitioner's cut, and it alone, is part of the question.
	for _, kind := range [][]string{
		{"dict(type=NaivePartitioner)", "dict(type=NumWorkerPartitioner, num_worker=3)"},
		{"dict(type=SizePartitioner, max_task_size=100)"},
	} {
		var want map[string]string
		for _, p := range kind {
			for _, workers := range []int{1, 32} {
				l := NewLab(t, program)
				l.Config(demo(siqa, winogrande, workers, p))
				l.Run(0)
				if want == nil {
					want = l.Final()
				}
				l.Same(want)
			}
		}
	}
}
