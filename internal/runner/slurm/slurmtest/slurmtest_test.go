//go:build linux

package slurmtest

import (
	"strings"
	"testing"
	"time"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	c := Start(t)
	t.Logf("up in %v", time.Since(begin).Round(time.Millisecond))
	if out := c.Must(t, "sinfo", "-h", "-p", "debug", "-o", "%T %c"); !strings.HasPrefix(out, "idle") {
		t.Error(out)
	}
	id := strings.TrimSpace(c.Must(t, "sbatch", "--parsable", "--array=0-63", "-o", c.Dir+"/%a.out", "--wrap", "sleep 0.2"))
	c.StopNode()
	if err := c.StartNode(); err != nil {
		t.Fatal(err)
	}
	c.StopController()
	if err := c.StartController(); err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(); err != nil {
		t.Fatal(err)
	}
	if s := c.nodeState(); !strings.HasPrefix(s, "drain") {
		t.Errorf("drained, the node is %s", s)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if out := c.Must(t, "squeue", "-h", "-t", "all", "-r", "-j", id, "-o", "%T"); strings.Count(out, "COMPLETED") == 64 {
			return
		}
	}
	t.Error(c.Must(t, "squeue", "-t", "all", "-j", id))
}
