package run

import (
	"fmt"
	"path/filepath"
	"strings"

	"sextant/internal/registry"
	"sextant/internal/spec"
)

// WarnElsewhere warns when an earlier session of the run left jobs on a
// cluster that this session's runners do not look after: they may still be
// running, and what they are asking would be asked twice.
func (c *Coordinator) WarnElsewhere() {
	for _, x := range []struct{ glob, class, what, how string }{
		{"state/slurm/*/array.json", "Slurm", "job arrays on Slurm", "squeue shows them, scancel ends them"},
		{"state/kube/*", "Kubernetes", "Jobs on Kubernetes", "kubectl get jobs shows them, kubectl delete job ends them"},
	} {
		found, _ := filepath.Glob(c.Run.Path(x.glob)) // the pattern is well-formed
		if len(found) == 0 {
			continue
		}
		ours := false
		for _, st := range []*spec.Stage{c.Exp.Infer, c.Exp.Eval} {
			ours = ours || strings.HasPrefix(registry.Base(st.Runner.Str("type")), x.class)
		}
		if !ours {
			c.Warn(fmt.Errorf("an earlier session of this run left %s that may still be running; what they are asking is asked twice (%s)", x.what, x.how))
		}
	}
}
