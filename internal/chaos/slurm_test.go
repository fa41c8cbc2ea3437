//go:build linux

package chaos

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"sextant/internal/runner/slurm/slurmtest"
)

// slurmFleet is a real Slurm with faults of its own.
func slurmFleet(c *slurmtest.Cluster) Fleet {
	pause := func(r *rand.Rand) { time.Sleep(time.Duration(50+r.Intn(300)) * time.Millisecond) }
	return Fleet{
		Name:   "slurm",
		Import: "from opencompass.runners import SlurmRunner",
		Runner: func(n int) string { return fmt.Sprintf("dict(type=SlurmRunner, max_num_workers=%d, retry=5, ", n) },
		Faults: []Fault{
			{"slurmd is restarted", func(l *Lab, s *Session, r *rand.Rand) Effect {
				c.StopNode()
				pause(r)
				if err := c.StartNode(); err != nil {
					l.T.Error(err)
				}
				return Effect{}
			}},
			{"slurmctld is restarted", func(l *Lab, s *Session, r *rand.Rand) Effect {
				c.StopController()
				pause(r)
				if err := c.StartController(); err != nil {
					l.T.Error(err)
				}
				return Effect{}
			}},
			{"the node is drained for a while", func(l *Lab, s *Session, r *rand.Rand) Effect {
				if err := c.Drain(); err != nil {
					l.T.Error(err)
				}
				pause(r)
				if err := c.Resume(); err != nil {
					l.T.Error(err)
				}
				return Effect{}
			}},
		},
	}
}

// The same rounds on a real Slurm, one cluster after the other: its daemons
// are restarted and its node is drained, too.
func TestSoakSlurm(t *testing.T) {
	if why := slurmtest.Lacking(); why != "" {
		t.Skip(why)
	}
	if testing.Short() {
		t.Skip("a minute long")
	}
	want, wall := undisturbed(t, Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NumWorkerPartitioner, num_worker=2)"}.Config(), slow)
	seed := number("SEXTANT_CHAOS_SEED", time.Now().UnixNano()%1e9)
	rounds := number("SEXTANT_CHAOS_ROUNDS", 2)
	t.Logf("SEXTANT_CHAOS_SEED=%d SEXTANT_CHAOS_ROUNDS=%d; undisturbed, local: %v", seed, rounds, wall)
	c := slurmtest.Start(t, "KillWait=30") // workers that are told to end have the time
	f := slurmFleet(c)
	for i := int64(0); i < rounds; i++ {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			l := NewLab(t, program)
			l.Env = append(l.Env, slow)
			for _, e := range c.Environ() {
				if strings.HasPrefix(e, "SLURM_CONF=") || strings.HasPrefix(e, "PATH=") {
					l.Env = append(l.Env, e)
				}
			}
			Soak(l, f, seed+i, want, wall)
		})
	}
}
