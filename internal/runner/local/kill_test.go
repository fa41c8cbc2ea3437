//go:build linux

package local

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/store"
	"sextant/internal/task"
)

// The test binary is also the coordinator that is killed.
const coordinatorVar = "SEXTANT_LOCAL_TEST_COORDINATOR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(coordinatorVar); dir != "" {
		os.Unsetenv(coordinatorVar)
		if err := coordinate(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	runnertest.Main(m)
}

const (
	killRows    = 120
	killWorkers = 3
)

func coordinate(dir string) error {
	run, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer run.Close()
	lease, err := run.Acquire(context.Background(), store.LeaseOptions{})
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := run.CleanTemp(); err != nil {
		return err
	}
	parts := 2 + lease.Epoch()%5 // cut differently each time
	r := New(Options{MaxNumWorkers: killWorkers, Command: []string{os.Args[0]}, Environ: append(os.Environ(), runnertest.WorkerVar+"=1", "GORACE=atexit_sleep_ms=0")})
	rep, err := r.Run(context.Background(), &runner.Stage{
		Name: task.Infer, Run: run, Epoch: lease.Epoch(), Tasks: runnertest.Parts("a", killRows, parts, "pause_ms", 3), Options: task.Options{MaxFailedSamples: -1},
	}, event.Discard)
	if err != nil {
		return err
	}
	if done, _, _ := rep.Count(); done != parts {
		return fmt.Errorf("%d done of %d: %+v", done, parts, rep)
	}
	return nil
}

func finalFiles(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "predictions"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The coordinator is killed again and again, and started again at once, while
// its workers notice that they are orphans and finish what is in flight.
func TestCoordinatorKilled(t *testing.T) {
	t.Parallel()
	newRun := func() string {
		r, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		return r.Dir()
	}
	start := func(dir string) (*exec.Cmd, *strings.Builder) {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), coordinatorVar+"="+dir, "GORACE=atexit_sleep_ms=0")
		var out strings.Builder
		c.Stderr = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, &out
	}
	ref := newRun()
	if c, out := start(ref); c.Wait() != nil {
		t.Fatal(out)
	}
	want := finalFiles(t, ref)
	for round := range 5 {
		dir := newRun()
		asked := func() int {
			b, _ := os.ReadFile(filepath.Join(dir, "asked-a"))
			return strings.Count(string(b), "\n")
		}
		const kills = 3
		for range kills {
			c, _ := start(dir)
			died := make(chan struct{})
			go func() { c.Wait(); close(died) }()
			goal := asked() + 1 + rand.IntN(killRows/(kills+1))
			for asked() < goal {
				select {
				case <-died:
					goal = 0
				case <-time.After(time.Millisecond):
				}
			}
			c.Process.Kill()
			<-died
		}
		if c, out := start(dir); c.Wait() != nil {
			t.Fatalf("round %d: %s", round, out)
		}
		if d := cmp.Diff(want, finalFiles(t, dir)); d != "" {
			t.Fatalf("round %d: %s", round, d)
		}
		n := asked()
		t.Logf("round %d: %d questions for %d rows", round, n, killRows)
		if n > killRows+kills*killWorkers {
			t.Errorf("round %d: %d questions for %d rows; at most %d were in flight", round, n, killRows, kills*killWorkers)
		}
	}
}
