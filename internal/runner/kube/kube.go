// Package kube runs workers as pods of Kubernetes: one Indexed Job for a
// stage (one for each need of accelerators), each index of which is one
// `sextant worker`.
//
// Kubernetes starts an index again by itself when its pod fails
// (backoffLimitPerIndex), with or without a coordinator; disruptions are not
// charged, and workers that say that trying again cannot help (exit code 2)
// are not tried again. What is left when an index has failed for good is
// judged by runner.Tracker, and submitted once more as a further Job where its
// policy says so. Each restart is an attempt with a status file and a writer's
// name of its own: pods learn from the Job controller's annotations how often
// their index was started before (task.RestartsVar).
//
// What a worker wrote is believed first; Jobs and pods, which are watched, say
// what workers cannot: that one died, waits for a node, was evicted. While the
// API server does not answer, workers go on and are followed by their files.
//
// A coordinator that comes later finds the Jobs in state/kube of the run and
// adopts them (runner.Tracker.Adopt), or deletes them where the stage now wants
// something else.
//
// Being told to finish (Stage.Drain) suspends the Jobs: Kubernetes sends
// SIGTERM, workers finish the samples in flight within the pods' grace period
// and write their records, and nothing new starts. Lowering parallelism instead
// would let each worker go on to the end of its tasks, hours maybe. Being
// cancelled deletes the Jobs and gives pods KillGrace.
//
// The run's folder is on a volume that the pods see too, or an object store
// stands between (Options.Objects, package mirror). Nothing else differs then,
// but for two things: that a worker's last words are not there yet proves nothing
// until the store was looked at after its end, and a beat that stands still
// proves nothing while the store does not answer.
//
// Secrets reach pods in a Secret that belongs to the Job and goes with it; no
// specification of a Job or pod holds one.
//
// Non-goals: it builds no image, creates no volume, and does not decide what
// is tried again beyond what a Job's back-off does.
package kube

import (
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"sextant/internal/runner"
)

// Options of a Kubernetes runner. Zero fields mean the defaults named.
type Options struct {
	Image       string
	PullPolicy  corev1.PullPolicy
	PullSecrets []string
	Command     []string // {"sextant"}; "worker" and a path are appended
	Namespace   string   // that of the kubeconfig's context
	Kubeconfig  string   // KUBECONFIG, ~/.kube/config, or the pod that this runs in
	Context     string

	MaxNumWorkers   int // pods at a time; 16
	Resources       corev1.ResourceRequirements
	GPUResource     string // what accelerators are counted as: "nvidia.com/gpu"
	Tolerations     []corev1.Toleration
	NodeSelector    map[string]string
	Affinity        *corev1.Affinity
	PriorityClass   string
	RuntimeClass    string
	SecurityContext *corev1.PodSecurityContext
	ServiceAccount  string
	Volumes         []corev1.Volume
	VolumeMounts    []corev1.VolumeMount
	Env             []corev1.EnvVar
	EnvFrom         []corev1.EnvFromSource
	Labels          map[string]string
	Annotations     map[string]string
	TTL             time.Duration // how long Kubernetes keeps a finished Job; 1 h
	WorkDirMap      []PathMap
	Objects         *Objects // instead of a volume with the run; nil for none

	Grace      time.Duration // for samples in flight when workers are told to finish; 5 min
	KillGrace  time.Duration // when they are told to stop now; 5 s
	LostAfter  time.Duration // how long a running worker may show no beat; 2 min
	Poll       time.Duration // how often statuses of workers are looked at; 1 s
	Resync     time.Duration // how often Jobs and pods are listed besides being watched; 5 min
	FileGrace  time.Duration // how long files of an ended worker may take to be seen (NFS); 5 s
	LogGrace   time.Duration // how long to wait at the end for logs of pods; 10 s
	Patience   time.Duration // how long to try to submit or delete while the API server does not answer; 1 min
	Getenv     func(string) string
	LookupEnv  func(string) (string, bool)
	Log        *slog.Logger
	connection api // for tests
}

// PathMap says that a folder here is another one in the pods.
type PathMap struct{ Here, Pod string }

// Runner runs workers as pods.
type Runner struct{ o Options }

var (
	_ runner.Runner   = (*Runner)(nil)
	_ runner.Scripter = (*Runner)(nil)
)

// New makes a Runner.
func New(o Options) *Runner {
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.TTL, time.Hour)
	def(&o.Grace, 5*time.Minute)
	def(&o.KillGrace, 5*time.Second)
	def(&o.LostAfter, 2*time.Minute)
	def(&o.Poll, time.Second)
	def(&o.Resync, 5*time.Minute)
	def(&o.FileGrace, 5*time.Second)
	def(&o.LogGrace, 10*time.Second)
	def(&o.Patience, time.Minute)
	if o.MaxNumWorkers <= 0 {
		o.MaxNumWorkers = 16
	}
	if len(o.Command) == 0 {
		o.Command = []string{"sextant"}
	}
	if o.GPUResource == "" {
		o.GPUResource = "nvidia.com/gpu"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{o}
}

func (o *Options) getenv(name string) string {
	if o.Getenv == nil {
		return ""
	}
	return o.Getenv(name)
}

// podPath is where pods see a path of this machine.
func (o *Options) podPath(p string) string {
	best := PathMap{}
	for _, m := range o.WorkDirMap {
		if below(p, m.Here) && len(m.Here) > len(best.Here) {
			best = m
		}
	}
	if best.Here == "" {
		return filepath.ToSlash(p)
	}
	rel, err := filepath.Rel(best.Here, p)
	if err != nil {
		return filepath.ToSlash(p)
	}
	return path.Join(best.Pod, filepath.ToSlash(rel))
}

// mounted reports whether a path in the pods is on one of their volumes.
func (o *Options) mounted(p string) bool {
	for _, m := range o.VolumeMounts {
		if below(p, m.MountPath) {
			return true
		}
	}
	return false
}

func below(p, dir string) bool {
	dir = strings.TrimRight(dir, "/")
	return p == dir || strings.HasPrefix(p, dir+"/")
}
