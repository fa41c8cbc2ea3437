//go:build linux

package local

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/store"
	"sextant/internal/task"
)

// The frame's own cost: 10,000 tasks of one sample each, in worker processes,
// from plan to settled files.
func BenchmarkTasks10000(b *testing.B) {
	const n = 10000
	for range b.N {
		run, err := store.Create(b.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
		if err != nil {
			b.Fatal(err)
		}
		sink, err := event.OpenFile(run.Path("events.jsonl"), time.Now)
		if err != nil {
			b.Fatal(err)
		}
		r := New(Options{MaxNumWorkers: 2, Command: []string{os.Args[0]}, Environ: append(os.Environ(), runnertest.WorkerVar+"=1"), CPUs: runtime.NumCPU()})
		stage := &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: runnertest.Parts("a", n, n), Options: task.Options{MaxFailedSamples: -1}}
		rep, err := r.Run(context.Background(), stage, sink)
		if err != nil {
			b.Fatal(err)
		}
		if done, _, _ := rep.Count(); done != n {
			b.Fatalf("%d done", done)
		}
		sink.Close()
		run.Close()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tasks/s")
	for who, name := range map[int]string{syscall.RUSAGE_SELF: "coordinator-peak-MB", syscall.RUSAGE_CHILDREN: "worker-peak-MB"} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			b.ReportMetric(float64(u.Maxrss)/1024, name) // kilobytes on Linux
		}
	}
}
