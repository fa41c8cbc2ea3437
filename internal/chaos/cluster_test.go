//go:build linux

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/object/objecttest"
	"sextant/internal/runner/kube/kubetest"
	"sextant/internal/runner/slurm/slurmtest"
)

// on makes a config of demo's run on another runner.
func on(config, imports, runner string) string {
	config = strings.Replace(config, "import LocalRunner\n", "import LocalRunner, "+imports+"\n", 1)
	return strings.ReplaceAll(config, "type=LocalRunner", runner)
}

// The founding evaluation, cut into some thirty parts, ends with the same
// bytes on this machine, on a real Slurm with 16 and with 64 workers, and as
// pods of a real Kubernetes with 4.
func TestFoundingOnClusters(t *testing.T) {
	needEngine(t)
	siqa, winogrande := demoRows()
	cut := "dict(type=SizePartitioner, max_task_size=300)"
	if !full() {
		cut = "dict(type=SizePartitioner, max_task_size=18)"
	}
	local := NewLab(t, program)
	local.Config(demo(siqa, winogrande, 2, cut))
	local.Run(0)
	want := local.Final()

	t.Run("slurm", func(t *testing.T) {
		if why := slurmtest.Lacking(); why != "" {
			t.Skip(why)
		}
		c := slurmtest.Start(t)
		for _, workers := range []int{16, 64} {
			t.Run(fmt.Sprint(workers), func(t *testing.T) {
				l := NewLab(t, program)
				for _, e := range c.Environ() {
					if strings.HasPrefix(e, "SLURM_CONF=") || strings.HasPrefix(e, "PATH=") {
						l.Env = append(l.Env, e)
					}
				}
				l.Config(on(demo(siqa, winogrande, workers, cut), "SlurmRunner", "type=SlurmRunner"))
				l.Run(0)
				l.Same(want)
			})
		}
	})
	t.Run("kubernetes", func(t *testing.T) {
		c := kubetest.Real(t, os.Environ())
		l := NewLab(t, program)
		l.Config(on(demo(siqa, winogrande, 4, cut), "KubernetesRunner", fmt.Sprintf(
			"type=KubernetesRunner, image='sextant', kubeconfig=%q, command=[%q], volumes=[dict(name='all', hostPath=dict(path='/'))], volume_mounts=[dict(name='all', mountPath=%q)]",
			c.Kubeconfig, program, filepath.Dir(l.Dir))))
		l.Run(0)
		l.Same(want)
	})
	for _, x := range []struct {
		name  string
		store func(*testing.T) (url string, getenv func(string) string)
	}{
		{"kubernetes with an object store", func(t *testing.T) (string, func(string) string) {
			return "s3://" + objecttest.Bucket, objecttest.Serve(t).Getenv
		}},
		{"kubernetes with a real object store", func(t *testing.T) (string, func(string) string) {
			if os.Getenv(objecttest.RealVar) == "" {
				t.Skipf("no real object store: %s is not set", objecttest.RealVar)
			}
			return os.Getenv(objecttest.RealVar), os.Getenv
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			url, getenv := x.store(t)
			c := kubetest.Real(t, os.Environ())
			l := NewLab(t, program)
			l.Config(on(demo(siqa, winogrande, 4, cut), "KubernetesRunner", "type=KubernetesRunner, "+storeArgs(t, l, c, url, getenv)))
			l.Run(0)
			l.Same(want)
			if left, _ := filepath.Glob(filepath.Join(l.RunDir(), "state", "object.*")); len(left) > 0 {
				t.Errorf("objects of the run were left: %q", left)
			}
		})
	}
}
