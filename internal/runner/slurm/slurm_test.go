//go:build linux

package slurm

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/runner/slurm/slurmtest"
)

func TestMain(m *testing.M) {
	if value := os.Getenv(coordinatorVar); value != "" {
		os.Unsetenv(coordinatorVar)
		if err := coordinate(value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Tests wait for Slurm most of the time: more of them at once than CPUs.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) {
		given = given || f.Name == "test.parallel" && f.Value.String() != fmt.Sprint(runtime.GOMAXPROCS(0))
	})
	if !given && os.Getenv(runnertest.WorkerVar) == "" {
		_ = flag.Set("test.parallel", "12") // it exists
	}
	runnertest.Main(m)
}

// testOptions are the options for tests on a real Slurm: everything soon.
func testOptions(s runnertest.Setup) Options {
	return Options{
		MaxNumWorkers: s.Workers, Command: s.Command, Environ: s.Environ, LostAfter: s.LostAfter, Grace: s.Grace,
		Poll: 40 * time.Millisecond, MaxAsk: 300 * time.Millisecond, Settle: 150 * time.Millisecond, Unreachable: 2 * time.Minute,
		TasksPerJob: Auto,
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	c := slurmtest.Start(t)
	runnertest.RunParallel(t, func(t *testing.T, s runnertest.Setup) runner.Runner {
		o := testOptions(s)
		o.Environ = append(c.Environ(), o.Environ...)
		return New(o)
	})
}
