//go:build linux

package kube

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"sextant/internal/runner"
	"sextant/internal/runner/kube/kubetest"
	"sextant/internal/runner/runnertest"
	"sextant/internal/task"
)

func TestMain(m *testing.M) { runnertest.Main(m) }

// fakeAPI is the api of a kubetest.Fake cluster; down cuts the network.
type fakeAPI struct {
	c    *kubetest.Cluster
	down atomic.Bool

	// Called before a Job is deleted and after pods were listed; nil for nothing.
	deleting func()
	listed   func(selector string)
}

var errCut = errors.New("connection refused")

func (f *fakeAPI) ok() error {
	if f.down.Load() {
		return errCut
	}
	return nil
}

func do[T any](f *fakeAPI, g func() (T, error)) (T, error) {
	if err := f.ok(); err != nil {
		var zero T
		return zero, err
	}
	return g()
}

func (f *fakeAPI) CreateJob(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	return do(f, func() (*batchv1.Job, error) {
		return f.c.Client.BatchV1().Jobs(kubetest.Namespace).Create(ctx, j, metav1.CreateOptions{})
	})
}

func (f *fakeAPI) Job(ctx context.Context, name string) (*batchv1.Job, error) {
	return do(f, func() (*batchv1.Job, error) {
		return f.c.Client.BatchV1().Jobs(kubetest.Namespace).Get(ctx, name, metav1.GetOptions{})
	})
}

func (f *fakeAPI) PatchJob(ctx context.Context, name string, patch []byte) error {
	_, err := do(f, func() (*batchv1.Job, error) {
		return f.c.Client.BatchV1().Jobs(kubetest.Namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	})
	return err
}

func (f *fakeAPI) DeleteJob(ctx context.Context, name string, o metav1.DeleteOptions) error {
	if f.deleting != nil {
		f.deleting()
	}
	_, err := do(f, func() (any, error) { return nil, f.c.Client.BatchV1().Jobs(kubetest.Namespace).Delete(ctx, name, o) })
	return err
}

func (f *fakeAPI) Jobs(ctx context.Context, selector string) (*batchv1.JobList, error) {
	return do(f, func() (*batchv1.JobList, error) {
		return f.c.Client.BatchV1().Jobs(kubetest.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	})
}

func (f *fakeAPI) WatchJobs(ctx context.Context, selector, version string, _ time.Duration) (watch.Interface, error) {
	return do(f, func() (watch.Interface, error) {
		return f.c.Client.BatchV1().Jobs(kubetest.Namespace).Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
	})
}

func (f *fakeAPI) Pods(ctx context.Context, selector, _ string) (*corev1.PodList, error) {
	l, err := do(f, func() (*corev1.PodList, error) {
		return f.c.Client.CoreV1().Pods(kubetest.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	})
	if f.listed != nil {
		f.listed(selector)
	}
	return l, err
}

func (f *fakeAPI) WatchPods(ctx context.Context, selector, version string, _ time.Duration) (watch.Interface, error) {
	return do(f, func() (watch.Interface, error) {
		return f.c.Client.CoreV1().Pods(kubetest.Namespace).Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
	})
}

func (f *fakeAPI) DeletePod(ctx context.Context, name string, o metav1.DeleteOptions) error {
	_, err := do(f, func() (any, error) { return nil, f.c.Client.CoreV1().Pods(kubetest.Namespace).Delete(ctx, name, o) })
	return err
}

func (f *fakeAPI) Log(_ context.Context, pod string, _ int64) (io.ReadCloser, error) {
	return do(f, func() (io.ReadCloser, error) {
		text, ok := f.c.Log(pod)
		if !ok {
			return nil, errors.New("pod not found")
		}
		return io.NopCloser(strings.NewReader(text)), nil
	})
}

func (f *fakeAPI) CreateSecret(ctx context.Context, s *corev1.Secret) error {
	_, err := do(f, func() (any, error) {
		return f.c.Client.CoreV1().Secrets(kubetest.Namespace).Create(ctx, s, metav1.CreateOptions{})
	})
	return err
}

func (f *fakeAPI) DeleteSecret(ctx context.Context, name string) error {
	_, err := do(f, func() (any, error) {
		return nil, f.c.Client.CoreV1().Secrets(kubetest.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})
	return err
}

func (f *fakeAPI) Warnings(context.Context, string, string) ([]string, error) { return nil, f.ok() }

// options are those of tests: everything on the machine is mounted. What is
// given up after a time is given up late: machines that run tests stand still
// now and then, and what a test is about it brings about itself.
func options(s runnertest.Setup) Options {
	return Options{
		Image: "none", Command: s.Command, MaxNumWorkers: s.Workers, VolumeMounts: []corev1.VolumeMount{{Name: "all", MountPath: "/"}},
		LostAfter: s.LostAfter, KillGrace: s.Grace, Grace: 2 * time.Minute,
		Poll: 50 * time.Millisecond, Resync: 500 * time.Millisecond, FileGrace: 200 * time.Millisecond, LogGrace: 2 * time.Minute, Patience: 2 * time.Minute,
	}
}

// A Job controller that is behind starts one more pod after its Job was
// deleted: a stage does not end before that pod has.
func TestLatePod(t *testing.T) {
	t.Parallel()
	a := &fakeAPI{c: kubetest.Fake(t, runnertest.Environ())}
	p := &place{c: a.c, options: func() Options {
		o := scenarioOptions()
		o.connection = a
		return o
	}}
	b := newBench(t, p, 1, dataset("a", 10, "times", 100, "at", 0, "how", "config"))
	// The controller has seen the first pod fail, and does something about it
	// only when the stage has deleted the Job and looked at its pods.
	seen, looked := make(chan struct{}), make(chan struct{})
	wait := func(c chan struct{}) {
		select {
		case <-c:
		case <-t.Context().Done():
		}
	}
	a.deleting = func() { wait(seen) }
	var look, see sync.Once
	a.listed = func(selector string) {
		if strings.Contains(selector, batchv1.JobNameLabel) {
			look.Do(func() { close(looked) })
		}
	}
	var most atomic.Int64 // pods at a time
	p.c.Stale(func(pods []corev1.Pod) {
		most.Store(max(most.Load(), int64(len(pods))))
		if len(pods) == 1 && pods[0].Status.Phase == corev1.PodFailed {
			see.Do(func() {
				close(seen)
				wait(looked)
			})
		}
	})
	if x := b.must().Tasks[0]; x.State != task.Failed || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	if l := b.left(); len(l) > 0 {
		t.Errorf("the stage has ended, and there is still: %q", l)
	}
	if n := most.Load(); n != 2 {
		t.Errorf("%d pods at a time", n)
	}
}

func TestSuite(t *testing.T) {
	runnertest.Run(t, func(t *testing.T, s runnertest.Setup) runner.Runner {
		o := options(s)
		o.connection = &fakeAPI{c: kubetest.Fake(t, s.Environ)}
		return New(o)
	})
}

func hostVolume(name, dir string) []corev1.Volume {
	return []corev1.Volume{{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}}}
}
