package run

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/spec"
)

// fetch brings what workers of earlier sessions of the run have written
// elsewhere into it, once; nothing for runners whose workers write into the
// run.
func (c *Coordinator) fetch(ctx context.Context) error {
	if c.Run == nil || c.ReadOnly || c.fetched {
		return nil
	}
	for _, st := range []*spec.Stage{c.Exp.Infer, c.Exp.Eval} {
		r, err := c.newRunner(st)
		if err != nil {
			return err
		}
		f, ok := r.(runner.Fetcher)
		if !ok {
			continue
		}
		if err := f.Fetch(ctx, c.Run, c.Note); err != nil {
			return err
		}
	}
	c.fetched = true
	return nil
}

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
