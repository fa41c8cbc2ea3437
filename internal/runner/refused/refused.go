// Package refused holds the runners of OpenCompass whose clusters are driven
// by proprietary commands (Alibaba DLC, Volcano Engine, RJOB). Their configs
// load; running one says which of ours to use instead, and how.
package refused

import (
	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/source"
)

func init() {
	for name, how := range map[string]string{
		"DLCRunner":  "DLC runs Kubernetes underneath: use KubernetesRunner with image, namespace and resources, or --slurm where there is Slurm",
		"VOLCRunner": "Volcano Engine runs Kubernetes underneath: use KubernetesRunner with image, namespace and resources (volcano_cfg's flavour becomes resources)",
		"RJOBRunner": "use KubernetesRunner or SlurmRunner; rjob_cfg's image, mounts and GPUs become image, volumes and resources",
	} {
		runner.Classes.Register(runner.Class{New: func(cfg *py.Dict, _ runner.Env) (runner.Runner, []string, error) {
			return nil, nil, source.Errorf(cfg.PosOf("type"), "%s starts jobs with a proprietary command, which is not supported", name).WithHint("%s", how)
		}}, name)
	}
}
