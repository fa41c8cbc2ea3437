//go:build linux

// Package kubetest is a cluster for tests of the Kubernetes runner: either a
// real etcd, kube-apiserver and kube-controller-manager (Real), or client-go's
// fake clientset with a Job controller of our own (Fake). In both a small
// kubelet runs the container of each pod as a process of this machine.
//
// Non-goals: images, networks, volumes, scheduling.
package kubetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Namespace is where the pods are.
const Namespace = "default"

// NodeName is the only node.
const NodeName = "here"

// kubelet runs pods as processes. What it cannot tell the API server it keeps
// trying to: a node goes on while the server is gone.
type kubelet struct {
	cs      kubernetes.Interface
	environ []string
	dir     string // each pod has a folder of its own below it, also for temporary files
	// update changes a pod and its status, as a transaction.
	update func(ctx context.Context, name string, change func(*corev1.Pod)) error

	wg    sync.WaitGroup
	mu    sync.Mutex // guards the rest
	procs map[types.UID]*proc
	logs  map[string]*log
	held  map[*func(*corev1.Pod) bool]bool
}

// proc is the process of a pod. The kubelet's mu guards it.
type proc struct {
	name  string
	cmd   *exec.Cmd
	grace time.Duration // as it was last told
	last  *time.Timer   // kills it; nil until it is told to stop
	over  bool          // it has ended or never began: its number may soon be another's
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newKubelet(cs kubernetes.Interface, dir string, environ []string, update func(context.Context, string, func(*corev1.Pod)) error) *kubelet {
	return &kubelet{cs: cs, dir: dir, environ: environ, update: update, procs: map[types.UID]*proc{}, logs: map[string]*log{}, held: map[*func(*corev1.Pod) bool]bool{}}
}

// log is what a pod has printed.
func (k *kubelet) log(pod string) (string, bool) {
	k.mu.Lock()
	l := k.logs[pod]
	k.mu.Unlock()
	if l == nil {
		return "", false
	}
	return l.String(), true
}

// run looks after the pods until ctx ends, then kills what is left.
func (k *kubelet) run(ctx context.Context) {
	for ctx.Err() == nil {
		l, err := k.cs.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range l.Items {
				k.sync(ctx, &l.Items[i])
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(25 * time.Millisecond):
		}
	}
	k.mu.Lock()
	for _, p := range k.procs {
		p.kill(syscall.SIGKILL)
	}
	k.mu.Unlock()
	k.wg.Wait()
}

// kill sends a signal to a process and those that it started. The kubelet's mu
// is held.
func (p *proc) kill(sig syscall.Signal) bool {
	return !p.over && syscall.Kill(-p.cmd.Process.Pid, sig) == nil
}

// hold keeps pods from being started until release.
func (k *kubelet) hold(which func(*corev1.Pod) bool) (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[&which] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.held, &which)
	}
}

func (k *kubelet) holds(pod *corev1.Pod) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for which := range k.held {
		if (*which)(pod) {
			return true
		}
	}
	return false
}

// signal sends a signal to the process of a pod, as the kernel of a node that
// is out of memory does.
func (k *kubelet) signal(pod string, sig syscall.Signal) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.procs {
		if p.name == pod {
			return p.kill(sig)
		}
	}
	return false
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func (k *kubelet) sync(ctx context.Context, pod *corev1.Pod) {
	k.mu.Lock()
	p := k.procs[pod.UID]
	k.mu.Unlock()
	switch {
	case p == nil && pod.DeletionTimestamp != nil && !ended(pod):
		k.finish(ctx, pod.Name, 137, "never started")
	case p == nil && !ended(pod):
		if !k.holds(pod) {
			k.start(ctx, pod)
		}
	case p != nil && pod.DeletionTimestamp != nil:
		k.stop(p, pod)
	}
}

// stop tells a process to stop, and kills it after the pod's grace period, which
// somebody may have shortened since.
func (k *kubelet) stop(p *proc, pod *corev1.Pod) {
	grace := time.Duration(0)
	if s := pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case p.over:
	case p.last == nil:
		p.kill(syscall.SIGTERM)
		p.grace, p.last = grace, time.AfterFunc(grace, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			p.kill(syscall.SIGKILL)
		})
	case grace < p.grace:
		p.grace = grace
		p.last.Reset(grace)
	}
}

var varRef = regexp.MustCompile(`\$\$\(|\$\(([A-Za-z0-9_]+)\)`)

func (k *kubelet) start(ctx context.Context, pod *corev1.Pod) {
	c := pod.Spec.Containers[0]
	env, err := k.env(ctx, pod, &c)
	if err != nil {
		_ = k.update(ctx, pod.Name, func(p *corev1.Pod) { // tried again at the next look
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: c.Name, State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: err.Error()},
			}}}
		})
		return
	}
	if err := k.update(ctx, pod.Name, func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: c.Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}}
	}); err != nil {
		return
	}
	var args []string
	for _, a := range append(append([]string(nil), c.Command...), c.Args...) {
		args = append(args, expand(a, env))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append([]string(nil), k.environ...)
	for n, v := range env {
		cmd.Env = append(cmd.Env, n+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Dir = filepath.Join(k.dir, string(pod.UID))
	cmd.Env = append(cmd.Env, "TMPDIR="+cmd.Dir)
	err = os.MkdirAll(cmd.Dir, 0o777)
	out := &log{}
	cmd.Stdout, cmd.Stderr = out, out
	p := &proc{name: pod.Name, cmd: cmd}
	k.mu.Lock()
	k.procs[pod.UID], k.logs[pod.Name] = p, out
	if err == nil {
		err = cmd.Start()
	}
	p.over = err != nil
	k.mu.Unlock()
	k.wg.Go(func() {
		code, why := 0, ""
		if err == nil {
			k.ends(p)
			err = cmd.Wait()
		}
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			code = exit.ExitCode()
			if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
				code = 128 + int(ws.Signal())
			}
		case err != nil:
			code, why = 127, err.Error()
		}
		k.finish(ctx, pod.Name, code, why)
	})
}

// ends waits until a process has ended, and marks it before anybody else can
// get its number.
func (k *kubelet) ends(p *proc) {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	k.mu.Lock()
	p.over = true
	if p.last != nil {
		p.last.Stop()
	}
	k.mu.Unlock()
}

// finish writes the end of a pod, and removes it where it is being deleted.
func (k *kubelet) finish(ctx context.Context, name string, code int, why string) {
	for ctx.Err() == nil {
		deleting := false
		err := k.update(ctx, name, func(p *corev1.Pod) {
			deleting = p.DeletionTimestamp != nil
			if ended(p) {
				return
			}
			p.Status.Phase = corev1.PodSucceeded
			if code != 0 {
				p.Status.Phase = corev1.PodFailed
			}
			t := &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: "Completed", Message: why, FinishedAt: metav1.Now()}
			if code != 0 {
				t.Reason = "Error"
			}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: p.Spec.Containers[0].Name, State: corev1.ContainerState{Terminated: t}}}
		})
		if err == nil && deleting {
			zero := int64(0)
			err = k.cs.CoreV1().Pods(Namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		}
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func expand(s string, env map[string]string) string {
	return varRef.ReplaceAllStringFunc(s, func(m string) string {
		if m == "$$(" {
			return "$("
		}
		if v, ok := env[m[2:len(m)-1]]; ok {
			return v
		}
		return m
	})
}

// env is the environment of a container, as a kubelet makes it.
func (k *kubelet) env(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	env := map[string]string{}
	for _, f := range c.EnvFrom {
		if f.SecretRef == nil {
			continue
		}
		s, err := k.cs.CoreV1().Secrets(Namespace).Get(ctx, f.SecretRef.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		for n, v := range s.Data {
			env[n] = string(v)
		}
	}
	for _, e := range c.Env {
		v := expand(e.Value, env)
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			name, _ := strings.CutPrefix(e.ValueFrom.FieldRef.FieldPath, "metadata.annotations['")
			v = pod.Annotations[strings.TrimSuffix(name, "']")]
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			s, err := k.cs.CoreV1().Secrets(Namespace).Get(ctx, e.ValueFrom.SecretKeyRef.Name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			v = string(s.Data[e.ValueFrom.SecretKeyRef.Key])
		}
		env[e.Name] = v
	}
	return env, nil
}

// Signal sends a signal to the process of a pod.
func (c *Cluster) Signal(pod string, sig syscall.Signal) bool { return c.kubelet.signal(pod, sig) }

// Evict ends a pod as a drained node does: Kubernetes does not charge it.
func (c *Cluster) Evict(ctx context.Context, pod string) error {
	if err := c.kubelet.update(ctx, pod, func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"})
	}); err != nil {
		return err
	}
	return c.Client.CoreV1().Pods(Namespace).Delete(ctx, pod, metav1.DeleteOptions{})
}
