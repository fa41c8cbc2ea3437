//go:build linux

package chaos

import (
	"fmt"
	"os"
	"testing"
	"time"

	"sextant/internal/model/fake"
)

// program is the binary under test.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	p, clean, err := Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer clean()
	program = p
	return m.Run()
}

func number(name string, def int64) int64 { return Number(name, def) }

func undisturbed(t *testing.T, config string, env ...string) (map[string]string, time.Duration) {
	t.Helper()
	l := NewLab(t, program)
	l.Env = append(l.Env, env...)
	return l.Undisturbed(config)
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
