package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"sextant/internal/event"
	"sextant/internal/mirror"
	"sextant/internal/runner"
	"sextant/internal/task"
)

const (
	containerName = "worker"
	labelRun      = "sextant/run"
	labelStage    = "sextant/stage"
	labelEpoch    = "sextant/epoch"
	annotRun      = "sextant/run-dir"
	annotToken    = "sextant/token"

	// exitUsage is the exit code of a worker for which trying again is
	// useless: a mistake in the config (the table is in package cli).
	exitUsage = 2
	// exitNotFound is a shell's for a command that does not exist.
	exitNotFound = 127
)

// runID is the label of a run's Jobs: a hash of where the run is.
func runID(dir string) string {
	h := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(h[:5])
}

// jobName is the same for the same run, stage, epoch and number. Pods append
// the index and five letters, and all of it may have 63.
func jobName(dir, stage string, epoch, n int) string {
	words := strings.FieldsFunc(strings.ToLower(path.Base(dir)), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	run := strings.Join(words, "-")
	if len(run) > 15 {
		run = strings.TrimRight(run[:15], "-")
	}
	if run != "" {
		run += "-"
	}
	return fmt.Sprintf("sextant-%s%s-%s-%d-%d", run, runID(dir)[:6], stage, epoch, n)
}

func selector(dir, stage string) string {
	return fmt.Sprintf("%s=%s,%s=%s", labelRun, runID(dir), labelStage, stage)
}

// jobSpec is what differs between the Jobs of a run.
type jobSpec struct {
	name        string
	run         string // folder, here
	stage       string
	epoch       int
	index       string // path of the index file in the pods
	count       int    // indexes
	parallelism int
	restarts    int // backoffLimitPerIndex
	gpus        int
	secret      bool // a Secret of the Job's name holds variables
	token       string
}

func ptr[T any](v T) *T { return &v }

func (o *Options) job(s jobSpec) *batchv1.Job {
	labels := map[string]string{}
	maps.Copy(labels, o.Labels)
	labels["app.kubernetes.io/name"] = "sextant"
	labels["app.kubernetes.io/managed-by"] = "sextant"
	labels[labelRun], labels[labelStage], labels[labelEpoch] = runID(s.run), s.stage, strconv.Itoa(s.epoch)
	annotations := map[string]string{}
	maps.Copy(annotations, o.Annotations)
	annotations[annotRun] = s.run
	if s.token != "" {
		annotations[annotToken] = s.token
	}
	spec := batchv1.JobSpec{
		CompletionMode: ptr(batchv1.IndexedCompletion), Completions: ptr(int32(s.count)), Parallelism: ptr(int32(s.parallelism)),
		BackoffLimitPerIndex: ptr(int32(s.restarts)), TTLSecondsAfterFinished: ptr(int32(o.TTL / time.Second)),
		// A pod takes the place of another only when that one has ended, so
		// that no two workers are at the same rows.
		PodReplacementPolicy: ptr(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{
				Action:          batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
			},
			{
				Action: batchv1.PodFailurePolicyActionFailIndex,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					ContainerName: ptr(containerName), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{exitUsage, exitNotFound},
				},
			},
		}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels), Annotations: maps.Clone(o.Annotations)}, Spec: o.pod(s)},
	}
	if s.count <= 10_000 { // the most that Kubernetes allows: no number of failed indexes keeps the others from being run
		spec.MaxFailedIndexes = ptr(int32(s.count))
	}
	if s.secret {
		spec.Suspend = ptr(true) // until the Secret is there
	}
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: labels, Annotations: annotations}, Spec: spec,
	}
}

func (o *Options) pod(s jobSpec) corev1.PodSpec {
	annotation := func(name string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations['" + name + "']"}}
	}
	env := []corev1.EnvVar{
		{Name: task.IndexVar, ValueFrom: annotation(batchv1.JobCompletionIndexAnnotation)},
		{Name: "SEXTANT_FAILURES", ValueFrom: annotation(batchv1.JobIndexFailureCountAnnotation)},
		{Name: "SEXTANT_DISRUPTIONS", ValueFrom: annotation(batchv1.JobIndexIgnoredFailureCountAnnotation)},
		{Name: task.RestartsVar, Value: "$(SEXTANT_FAILURES)+$(SEXTANT_DISRUPTIONS)"},
	}
	c := corev1.Container{
		Name: containerName, Image: o.Image, ImagePullPolicy: o.PullPolicy, Command: o.Command, Args: []string{"worker", s.index},
		Env: append(env, append(o.objectsEnv(), o.Env...)...), EnvFrom: o.EnvFrom, VolumeMounts: o.VolumeMounts, Resources: *o.Resources.DeepCopy(),
	}
	if s.secret {
		c.EnvFrom = append(append([]corev1.EnvFromSource(nil), o.EnvFrom...),
			corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: s.name}}})
	}
	if s.gpus > 0 {
		if c.Resources.Limits == nil {
			c.Resources.Limits = corev1.ResourceList{}
		}
		c.Resources.Limits[corev1.ResourceName(o.GPUResource)] = *resource.NewQuantity(int64(s.gpus), resource.DecimalSI)
	}
	p := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{c}, Volumes: o.Volumes, Tolerations: o.Tolerations,
		NodeSelector: o.NodeSelector, Affinity: o.Affinity, PriorityClassName: o.PriorityClass, SecurityContext: o.SecurityContext,
		ServiceAccountName: o.ServiceAccount, TerminationGracePeriodSeconds: ptr(int64(o.Grace / time.Second)),
	}
	if o.ServiceAccount == "" {
		p.AutomountServiceAccountToken = ptr(false) // workers ask nothing of the cluster
	}
	if o.RuntimeClass != "" {
		p.RuntimeClassName = &o.RuntimeClass
	}
	for _, n := range o.PullSecrets {
		p.ImagePullSecrets = append(p.ImagePullSecrets, corev1.LocalObjectReference{Name: n})
	}
	return p
}

// threads is how many CPU threads a worker is to compute with: what its limit
// allows; 0 when there is none.
func (o *Options) threads() int {
	q, ok := o.Resources.Limits[corev1.ResourceCPU]
	if !ok {
		return 0
	}
	return int((q.MilliValue() + 999) / 1000)
}

// restarts is how often Kubernetes may start an index again by itself without
// asking the policy: what the policy allows whatever the reasons are.
func restarts(p runner.Policy) int {
	same := p.SameReason
	if same == 0 {
		same = 3
	}
	return max(0, min(p.Retries, same-1))
}

// groups parts works by what their pods need, in order of their first.
func groups(works []*runner.Work) [][]*runner.Work {
	at := map[int]int{}
	var out [][]*runner.Work
	for _, w := range works {
		i, ok := at[w.NumGPUs]
		if !ok {
			i = len(out)
			at[w.NumGPUs] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], w)
	}
	return out
}

// shares gives the Jobs of a stage their part of the workers: in proportion to
// what they have left, at least one each.
func shares(left []int, workers int) []int {
	total := 0
	for _, n := range left {
		total += n
	}
	out := make([]int, len(left))
	for i, n := range left {
		if n > 0 {
			out[i] = min(n, max(1, workers*n/total))
		}
	}
	return out
}

// indexPath and recordPath are files of a Job, relative to the run.
func indexPath(job string) string  { return path.Join(recordDir, job+".index.json") }
func recordPath(job string) string { return path.Join(recordDir, job+recordSuffix) }

const (
	recordDir    = "state/kube"
	recordSuffix = ".job.json"
)

// Script implements runner.Scripter: the Jobs as YAML. Nothing is written.
func (r *Runner) Script(stage *runner.Stage) (string, error) {
	st := *stage
	st.Group = nil
	t := runner.NewTracker(&st, event.Discard)
	works := t.Plan(r.o.MaxNumWorkers)
	dir := "RUN"
	if st.Run != nil {
		dir = st.Run.Dir()
	}
	gs := groups(works)
	left := make([]int, len(gs))
	for i, g := range gs {
		left[i] = len(g)
	}
	var b strings.Builder
	for i, g := range gs {
		name := jobName(dir, st.Name, st.Epoch, i+1)
		secret := len(st.Options.Env) > 0
		for _, w := range g {
			if len(task.Secrets(w.Model)) > 0 {
				secret = true
			}
		}
		index := path.Join(r.o.podPath(dir), indexPath(name))
		if b := r.o.Objects; b != nil {
			index = mirror.Ref(b.URL+"/RUN", indexPath(name))
		}
		j := r.o.job(jobSpec{
			name: name, run: dir, stage: st.Name, epoch: st.Epoch, index: index, count: len(g),
			parallelism: shares(left, r.o.MaxNumWorkers)[i], restarts: restarts(st.Policy), gpus: g[0].NumGPUs, secret: secret,
		})
		text, err := manifest(j)
		if err != nil {
			return "", err
		}
		b.WriteString("---\n")
		b.WriteString(text)
	}
	return b.String(), nil
}

// manifest is an object as YAML, without the fields that a server fills in.
func manifest(o any) (string, error) {
	text, err := yaml.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	var m map[string]any
	if err := yaml.Unmarshal(text, &m); err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	delete(m, "status")
	if text, err = yaml.Marshal(m); err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	return string(text), nil
}
