//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sextant/internal/model/engine"
	"sextant/internal/model/fake"
)

// program is the binary under test.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	program = os.Getenv("SEXTANT_BIN")
	if program == "" {
		dir, err := os.MkdirTemp("", "sextant-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "sextant")
		args := []string{"build", "-o", program}
		if engine.Built {
			args = append(args, "-tags", "engine") // compiled with this test already
		}
		cmd := exec.Command("go", append(args, "sextant/cmd/sextant")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// number reads a variable; without it, or with something else in it, def.
func number(name string, def int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return def
}

// undisturbed runs a config from start to end and returns its final files and
// how long it took.
func undisturbed(t *testing.T, config string, env ...string) (map[string]string, time.Duration) {
	t.Helper()
	l := NewLab(t, program)
	l.Env = append(l.Env, env...)
	l.Config(config)
	begin := time.Now()
	l.Run(0)
	return l.Final(), time.Since(begin)
}

const slow = fake.DelayVar + "=25ms"

// A run of the local runner, disturbed at random.
func TestSoakLocal(t *testing.T) {
	want, wall := undisturbed(t, Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NumWorkerPartitioner, num_worker=2)"}.Config(), slow)
	seed := number("SEXTANT_CHAOS_SEED", time.Now().UnixNano()%1e9)
	rounds := number("SEXTANT_CHAOS_ROUNDS", 5)
	t.Logf("SEXTANT_CHAOS_SEED=%d SEXTANT_CHAOS_ROUNDS=%d; undisturbed: %v", seed, rounds, wall)
	for i := int64(0); i < rounds; i++ {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			t.Parallel()
			l := NewLab(t, program)
			l.Env = append(l.Env, slow)
			Soak(l, Local, seed+i, want, wall)
		})
	}
}
