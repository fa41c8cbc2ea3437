//go:build linux

package slurm

import (
	"testing"
	"time"

	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/runner/slurm/slurmtest"
)

func TestMain(m *testing.M) { runnertest.Main(m) }

// testOptions are the options for tests on a real Slurm: everything soon.
func testOptions(s runnertest.Setup) Options {
	return Options{
		MaxNumWorkers: s.Workers, Command: s.Command, Environ: s.Environ, LostAfter: s.LostAfter, Grace: s.Grace,
		Poll: 40 * time.Millisecond, MaxAsk: 300 * time.Millisecond, Settle: 150 * time.Millisecond, Unreachable: 10 * time.Second,
		TasksPerJob: Auto,
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	runnertest.RunParallel(t, func(t *testing.T, s runnertest.Setup) runner.Runner {
		o := testOptions(s)
		o.Environ = append(o.Environ, "SLURM_CONF="+c.Dir+"/slurm.conf")
		return New(o)
	})
}
