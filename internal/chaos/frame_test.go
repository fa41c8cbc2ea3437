//go:build linux

package chaos

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// frameConfig is n tasks of one sample each.
func frameConfig(n, workers int) string {
	return fmt.Sprintf(`from mmengine.config import read_base
with read_base():
    from .datasets.siqa.siqa_gen import siqa_datasets
from opencompass.models import FakeModel
from opencompass.partitioners import NaivePartitioner, SizePartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLInferTask, OpenICLEvalTask

def part(ds, abbr, rows):
    d = dict(ds[0])
    d['abbr'] = abbr
    d['reader_cfg'] = dict(d['reader_cfg'], test_range=rows)
    return d

datasets = [part(siqa_datasets, 'd%%d' %% i, '[0:1000]') for i in range(%d)]
models = [dict(type=FakeModel, abbr='fake', path='fake', max_out_len=20, max_seq_len=2048, batch_size=1, in_flight=1)]
infer = dict(partitioner=dict(type=SizePartitioner, max_task_size=1, gen_task_coef=1),
    runner=dict(type=LocalRunner, max_num_workers=%d, task=dict(type=OpenICLInferTask)))
eval = dict(partitioner=dict(type=NaivePartitioner), runner=dict(type=LocalRunner, max_num_workers=%d, task=dict(type=OpenICLEvalTask)))
`, n/1000, workers, workers)
}

// The frame's own cost, with the real program: 10,000 tasks of one sample
// each, on a model that takes no time, from the command to settled files.
func BenchmarkFrame10000Tasks(b *testing.B) {
	const n = 10000
	var infer time.Duration
	peak := int64(0)
	for range b.N {
		l := NewLab(b, program)
		l.Env = append(l.Env, "SEXTANT_FAKE_LOG=")
		l.Config(frameConfig(n, 2))
		begin := time.Now()
		s := l.Run(0, "-m", "infer")
		infer += time.Since(begin)
		if u, ok := s.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			peak = max(peak, u.Maxrss)
		}
	}
	b.ReportMetric(float64(n*b.N)/infer.Seconds(), "tasks/s")
	b.ReportMetric(float64(peak)/1024, "coordinator-peak-MB")
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) == nil {
		b.ReportMetric(float64(u.Maxrss)/1024, "peak-MB")
		b.ReportMetric(time.Duration(u.Utime.Nano()+u.Stime.Nano()).Seconds()/float64(b.N), "cpu-s/op")
	}
}
