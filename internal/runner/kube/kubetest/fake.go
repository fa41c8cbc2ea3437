//go:build linux

package kubetest

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// Cluster is a cluster for tests.
type Cluster struct {
	Client     kubernetes.Interface
	Kubeconfig string // of a real one

	kubelet *kubelet
	fake    *control
	real    *processes
}

// Hold keeps pods from starting until release is called; deleting one ends it.
func (c *Cluster) Hold(which func(*corev1.Pod) bool) (release func()) { return c.kubelet.hold(which) }

// Stale has the Job controller of a Fake call f each time between looking at
// Jobs and at these pods and acting on what it saw: a controller that is behind.
func (c *Cluster) Stale(f func(pods []corev1.Pod)) {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	c.fake.stale = f
}

// Log is what a pod has printed.
func (c *Cluster) Log(pod string) (string, bool) { return c.kubelet.log(pod) }

var (
	jobsGVR    = batchv1.SchemeGroupVersion.WithResource("jobs")
	podsGVR    = corev1.SchemeGroupVersion.WithResource("pods")
	secretsGVR = corev1.SchemeGroupVersion.WithResource("secrets")
)

// control is the Job controller and the parts of an API server that
// client-go's fake lacks: UIDs, deletion that takes time, owned Secrets. Nobody
// calls cs with mu held: cs holds a lock of its own while it calls back.
type control struct {
	cs    *fake.Clientset
	t     *journal   // what cs knows
	mu    sync.Mutex // what is read, changed and written back
	uid   int
	stale func([]corev1.Pod)
	mem   map[types.UID]*memory
}

// memory of a Job: what the real controller keeps in its status.
type memory struct {
	indexes map[int]*indexMemory
	counted map[types.UID]bool
}

type indexMemory struct {
	failures, ignored int
	done, failed      bool
}

// Fake starts a cluster in this process. environ is that of the containers.
// Failed indexes are started again at once, without a back-off.
func Fake(t testing.TB, environ []string) *Cluster {
	t.Helper()
	c := &control{cs: fake.NewClientset(), mem: map[types.UID]*memory{}}
	c.t = newJournal(c.cs.Tracker())
	react := clienttesting.ObjectReaction(c.t)
	c.cs.PrependReactor("*", "*", react)
	c.cs.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := c.t.Watch(a.GetResource(), a.GetNamespace(), a.(clienttesting.WatchActionImpl).ListOptions)
		return true, w, err
	})
	c.cs.PrependReactor("patch", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return react(a)
	})
	c.cs.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if m, ok := a.(clienttesting.CreateAction).GetObject().(metav1.Object); ok {
			c.mu.Lock()
			c.uid++
			m.SetUID(types.UID(fmt.Sprintf("uid-%d", c.uid)))
			c.mu.Unlock()
		}
		return false, nil, nil
	})
	c.cs.PrependReactor("delete", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		d := a.(clienttesting.DeleteActionImpl)
		return true, nil, c.markPod(d.GetName(), d.DeleteOptions.GracePeriodSeconds)
	})
	c.cs.PrependReactor("delete", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, c.markJob(a.(clienttesting.DeleteAction).GetName())
	})
	k := newKubelet(c.cs, t.TempDir(), environ, func(_ context.Context, name string, change func(*corev1.Pod)) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		o, err := c.t.Get(podsGVR, Namespace, name)
		if err != nil {
			return err
		}
		p := o.(*corev1.Pod).DeepCopy()
		change(p)
		return c.t.Update(podsGVR, p, Namespace)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { k.run(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			c.reconcile(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return &Cluster{Client: c.cs, kubelet: k, fake: c}
}

func (c *control) markPod(name string, grace *int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, err := c.t.Get(podsGVR, Namespace, name)
	if err != nil {
		return err
	}
	p := o.(*corev1.Pod).DeepCopy()
	if grace == nil {
		grace = p.Spec.TerminationGracePeriodSeconds
	}
	if p.DeletionTimestamp == nil {
		now := metav1.Now()
		p.DeletionTimestamp = &now
	} else if old := p.DeletionGracePeriodSeconds; old != nil && grace != nil && *old < *grace {
		grace = old // it only gets shorter
	}
	p.DeletionGracePeriodSeconds = grace
	return c.t.Update(podsGVR, p, Namespace)
}

func (c *control) markJob(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, err := c.t.Get(jobsGVR, Namespace, name)
	if err != nil {
		return err
	}
	j := o.(*batchv1.Job).DeepCopy()
	if j.DeletionTimestamp == nil {
		now := metav1.Now()
		j.DeletionTimestamp = &now
	}
	return c.t.Update(jobsGVR, j, Namespace)
}

// reconcile does for each Job what a Job controller does, a moment after it has
// looked: a Job that was deleted meanwhile may get one more pod, and goes when
// that has ended too.
func (c *control) reconcile(ctx context.Context) {
	jobs, err := c.cs.BatchV1().Jobs(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	pods, err := c.cs.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	c.mu.Lock()
	stale := c.stale
	c.mu.Unlock()
	if stale != nil {
		stale(pods.Items)
	}
	for i := range jobs.Items {
		j := &jobs.Items[i]
		var own []*corev1.Pod
		for p := range pods.Items {
			if pods.Items[p].Labels[batchv1.JobNameLabel] == j.Name {
				own = append(own, &pods.Items[p])
			}
		}
		c.job(ctx, j, own)
	}
}

func (c *control) job(ctx context.Context, j *batchv1.Job, pods []*corev1.Pod) {
	m := c.mem[j.UID]
	if m == nil {
		m = &memory{indexes: map[int]*indexMemory{}, counted: map[types.UID]bool{}}
		c.mem[j.UID] = m
	}
	suspended := j.Spec.Suspend != nil && *j.Spec.Suspend
	active := map[int]bool{}
	for _, p := range pods {
		i, _ := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
		x := m.at(i)
		switch {
		case !ended(p):
			active[i] = true
			if (suspended || j.DeletionTimestamp != nil) && p.DeletionTimestamp == nil {
				_ = c.markPod(p.Name, nil) // gone: fine
			}
			continue
		case m.counted[p.UID]:
		case p.Status.Phase == corev1.PodSucceeded:
			x.done = true
		case disrupted(p):
			x.ignored++
		default:
			x.failures++
			if x.failures > int(*j.Spec.BackoffLimitPerIndex) || failsIndex(j, p) {
				x.failed = true
			}
		}
		m.counted[p.UID] = true
		if p.DeletionTimestamp != nil {
			_ = c.t.Delete(podsGVR, Namespace, p.Name) // as above
		}
	}
	if j.DeletionTimestamp != nil {
		if len(active) == 0 {
			for _, p := range pods {
				_ = c.t.Delete(podsGVR, Namespace, p.Name)
			}
			_ = c.t.Delete(jobsGVR, Namespace, j.Name)
			c.orphans(ctx, j.UID)
		}
		return
	}
	n := int(*j.Spec.Completions)
	var done, failed []string
	for i := range n {
		x := m.at(i)
		if x.done {
			done = append(done, strconv.Itoa(i))
		} else if x.failed {
			failed = append(failed, strconv.Itoa(i))
		} else if !active[i] && !suspended && len(active) < int(*j.Spec.Parallelism) {
			active[i] = true
			c.create(ctx, j, i, x)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o, err := c.t.Get(jobsGVR, Namespace, j.Name)
	if err != nil {
		return
	}
	now := o.(*batchv1.Job).DeepCopy()
	st := batchv1.JobStatus{Active: int32(len(active)), Succeeded: int32(len(done)), Failed: int32(len(failed)), CompletedIndexes: strings.Join(done, ",")}
	if len(failed) > 0 {
		s := strings.Join(failed, ",")
		st.FailedIndexes = &s
	}
	if len(done)+len(failed) == n {
		t := batchv1.JobComplete
		if len(failed) > 0 {
			t = batchv1.JobFailed
		}
		st.Conditions = []batchv1.JobCondition{{Type: t, Status: corev1.ConditionTrue}}
	}
	if fmt.Sprint(st) == fmt.Sprint(now.Status) && (st.FailedIndexes == nil) == (now.Status.FailedIndexes == nil) &&
		(st.FailedIndexes == nil || *st.FailedIndexes == *now.Status.FailedIndexes) {
		return
	}
	now.Status = st
	_ = c.t.Update(jobsGVR, now, Namespace) // deleted in between: fine
}

func (m *memory) at(i int) *indexMemory {
	if m.indexes[i] == nil {
		m.indexes[i] = &indexMemory{}
	}
	return m.indexes[i]
}

func disrupted(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func failsIndex(j *batchv1.Job, p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated == nil {
			continue
		}
		for _, r := range j.Spec.PodFailurePolicy.Rules {
			if r.Action != batchv1.PodFailurePolicyActionFailIndex || r.OnExitCodes == nil {
				continue
			}
			for _, v := range r.OnExitCodes.Values {
				if v == c.State.Terminated.ExitCode {
					return true
				}
			}
		}
	}
	return false
}

func (c *control) create(ctx context.Context, j *batchv1.Job, i int, x *indexMemory) {
	p := &corev1.Pod{ObjectMeta: *j.Spec.Template.ObjectMeta.DeepCopy(), Spec: *j.Spec.Template.Spec.DeepCopy()}
	p.Name, p.Namespace = fmt.Sprintf("%s-%d-%s", j.Name, i, strconv.FormatInt(int64(x.failures+x.ignored)+36, 36)), Namespace
	p.Labels = maps.Clone(p.Labels)
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[batchv1.JobNameLabel] = j.Name
	p.Annotations = maps.Clone(p.Annotations)
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(i)
	p.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(x.failures)
	if x.ignored > 0 {
		p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(x.ignored)
	}
	p.Status.Phase = corev1.PodPending
	_, _ = c.cs.CoreV1().Pods(Namespace).Create(ctx, p, metav1.CreateOptions{}) // there already: the list was old
}

// orphans deletes the Secrets of a Job that is gone.
func (c *control) orphans(ctx context.Context, owner types.UID) {
	l, err := c.cs.CoreV1().Secrets(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, s := range l.Items {
		for _, r := range s.OwnerReferences {
			if r.UID == owner {
				_ = c.t.Delete(secretsGVR, Namespace, s.Name)
			}
		}
	}
}
