package kube

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// view is what is known of the Jobs and pods of a stage: kept by a watch and,
// every resync, by a list. While the API server does not answer it stays as it
// was and says so.
type view struct {
	api      api
	selector string
	resync   time.Duration
	note     func(format string, args ...any)
	change   chan struct{} // has one element when something has changed

	mu      sync.Mutex // guards the rest
	jobs    map[string]jobInfo
	pods    map[podKey]podInfo
	byName  map[string]podKey
	buried  map[podKey]podInfo   // what was last known of pods that are gone
	fails   map[string]time.Time // by what is watched: since when it cannot be
	told    bool
	synced  map[string]time.Time // when what is watched was last listed
	downErr error
}

// podKey is one attempt of one index of a Job.
type podKey struct {
	job      string
	index    int
	restarts int
}

type podInfo struct {
	name      string
	phase     corev1.PodPhase
	deleting  bool
	disrupted bool // evicted, preempted, node drained: Kubernetes does not charge it
	code      int  // exit code; -1 unknown
	reason    string
	waits     string // why it does not start
	running   time.Time
}

func (p podInfo) ended() bool { return p.phase == corev1.PodSucceeded || p.phase == corev1.PodFailed }

type jobInfo struct {
	uid       string
	completed indexSet
	failed    indexSet
	finished  bool
	deleting  bool
	suspended bool
	active    int
}

func newView(a api, selector string, resync time.Duration, note func(string, ...any)) *view {
	return &view{
		api: a, selector: selector, resync: resync, note: note, change: make(chan struct{}, 1),
		jobs: map[string]jobInfo{}, pods: map[podKey]podInfo{}, byName: map[string]podKey{}, buried: map[podKey]podInfo{}, fails: map[string]time.Time{}, synced: map[string]time.Time{},
	}
}

// run keeps the view until ctx ends.
func (v *view) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { v.follow(ctx, "jobs", v.listJobs, v.api.WatchJobs, v.job) })
	wg.Go(func() { v.follow(ctx, "pods", v.listPods, v.api.WatchPods, v.pod) })
	wg.Wait()
}

const (
	requestTimeout = 15 * time.Second
	backoffFirst   = 200 * time.Millisecond
	backoffMost    = 20 * time.Second
)

func (v *view) follow(ctx context.Context, what string, list func(context.Context) (string, error),
	start func(context.Context, string, string, time.Duration) (watch.Interface, error), apply func(watch.EventType, runtime.Object),
) {
	wait := backoffFirst
	fail := func(err error) {
		v.down(what, err)
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(wait*2, backoffMost)
	}
	for ctx.Err() == nil {
		lctx, cancel := context.WithTimeout(ctx, requestTimeout)
		version, err := list(lctx)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				fail(err)
			}
			continue
		}
		v.up(what)
		// A watch of which nothing more is heard ends with the context.
		wctx, cancel := context.WithTimeout(ctx, v.resync+requestTimeout)
		w, err := start(wctx, v.selector, version, v.resync)
		if err == nil {
			begin := time.Now()
			err = v.consume(wctx, w, apply)
			w.Stop()
			if err == nil && time.Since(begin) < backoffFirst {
				err = fmt.Errorf("watch of %s ended at once", what)
			}
		}
		cancel()
		if err == nil || apierrors.IsGone(err) || apierrors.IsResourceExpired(err) {
			wait = backoffFirst
			continue
		}
		if ctx.Err() == nil {
			// The list that follows says whether the server is there.
			select {
			case <-ctx.Done():
			case <-time.After(backoffFirst):
			}
		}
	}
}

func (v *view) consume(ctx context.Context, w watch.Interface, apply func(watch.EventType, runtime.Object)) error {
	end := time.NewTimer(v.resync)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case e, ok := <-w.ResultChan():
			if !ok {
				return nil
			}
			switch e.Type {
			case watch.Error:
				return apierrors.FromObject(e.Object)
			case watch.Bookmark:
			default:
				apply(e.Type, e.Object)
			}
		}
	}
}

func (v *view) poke() {
	select {
	case v.change <- struct{}{}:
	default:
	}
}

// down notes that something cannot be watched, and tells once per outage.
func (v *view) down(what string, err error) {
	v.mu.Lock()
	if v.fails[what].IsZero() {
		v.fails[what] = time.Now()
	}
	tell := !v.told
	v.told, v.downErr = true, err
	v.mu.Unlock()
	if tell {
		v.note("the Kubernetes API server does not answer (%v); workers go on, and are followed by their files until it does", err)
	}
	v.poke()
}

func (v *view) up(what string) {
	v.mu.Lock()
	since := v.fails[what]
	delete(v.fails, what)
	v.synced[what] = time.Now()
	tell := v.told && len(v.fails) == 0
	if tell {
		v.told = false
	}
	v.mu.Unlock()
	if tell && !since.IsZero() {
		v.note("the Kubernetes API server answers again after %s", time.Since(since).Round(100*time.Millisecond))
	}
	v.poke()
}

// answers reports whether the API server answered when last asked.
func (v *view) answers() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.fails) == 0
}

// listed is when what was last listed; zero if never.
func (v *view) listed(what string) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.synced[what]
}

func (v *view) jobOf(name string) (jobInfo, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	j, ok := v.jobs[name]
	return j, ok
}

func (v *view) podOf(k podKey) (podInfo, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.pods[k]
	return p, ok
}

// buriedOf is what was last known of a pod that is gone.
func (v *view) buriedOf(k podKey) (podInfo, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.buried[k]
	return p, ok
}

// podsOf are the pods of a Job.
func (v *view) podsOf(job string) []podInfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []podInfo
	for k, p := range v.pods {
		if k.job == job {
			out = append(out, p)
		}
	}
	return out
}

func (v *view) listJobs(ctx context.Context) (string, error) {
	l, err := v.api.Jobs(ctx, v.selector)
	if err != nil {
		return "", err
	}
	now := map[string]jobInfo{}
	for i := range l.Items {
		now[l.Items[i].Name] = readJob(&l.Items[i])
	}
	v.mu.Lock()
	v.jobs = now
	v.mu.Unlock()
	return l.ResourceVersion, nil
}

func (v *view) job(t watch.EventType, o runtime.Object) {
	j, ok := o.(*batchv1.Job)
	if !ok {
		return
	}
	v.mu.Lock()
	if t == watch.Deleted {
		delete(v.jobs, j.Name)
	} else {
		v.jobs[j.Name] = readJob(j)
	}
	v.mu.Unlock()
	v.poke()
}

func readJob(j *batchv1.Job) jobInfo {
	x := jobInfo{
		uid: string(j.UID), completed: parseIndexes(j.Status.CompletedIndexes), active: int(j.Status.Active),
		deleting: j.DeletionTimestamp != nil, suspended: j.Spec.Suspend != nil && *j.Spec.Suspend,
	}
	if j.Status.FailedIndexes != nil {
		x.failed = parseIndexes(*j.Status.FailedIndexes)
	}
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			x.finished = true
		}
	}
	return x
}

func (v *view) listPods(ctx context.Context) (string, error) {
	var all []corev1.Pod
	version, cont := "", ""
	for {
		l, err := v.api.Pods(ctx, v.selector, cont)
		if err != nil {
			return "", err
		}
		all = append(all, l.Items...)
		version = l.ResourceVersion
		if cont = l.Continue; cont == "" {
			break
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.pods
	v.pods, v.byName = map[podKey]podInfo{}, map[string]podKey{}
	for i := range all {
		v.put(&all[i], old)
	}
	for k, p := range old {
		if _, there := v.pods[k]; !there {
			v.buried[k] = p
		}
	}
	return version, nil
}

func (v *view) pod(t watch.EventType, o runtime.Object) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	v.mu.Lock()
	if t == watch.Deleted {
		if k, ok := v.byName[p.Name]; ok {
			delete(v.byName, p.Name)
			if _, last, ok := readPod(p); ok {
				v.buried[k] = last
			}
			if v.pods[k].name == p.Name {
				delete(v.pods, k)
			}
		}
	} else {
		v.put(p, v.pods)
	}
	v.mu.Unlock()
	v.poke()
}

// put takes a pod over; old remembers since when it runs.
func (v *view) put(p *corev1.Pod, old map[podKey]podInfo) {
	k, x, ok := readPod(p)
	if !ok {
		return
	}
	if was, ok := v.pods[k]; ok && was.name != x.name && !x.ended() && was.ended() {
		return // a name says nothing about age; what has ended tells more
	}
	if x.phase == corev1.PodRunning {
		if was := old[k]; was.name == x.name && !was.running.IsZero() {
			x.running = was.running
		} else {
			x.running = time.Now()
		}
	}
	v.pods[k] = x
	v.byName[x.name] = k
}

func readPod(p *corev1.Pod) (podKey, podInfo, bool) {
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0
		}
		return n
	}
	index, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	job := p.Labels[batchv1.JobNameLabel]
	if err != nil || job == "" {
		return podKey{}, podInfo{}, false
	}
	k := podKey{job, index, number(p.Annotations[batchv1.JobIndexFailureCountAnnotation]) + number(p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation])}
	x := podInfo{name: p.Name, phase: p.Status.Phase, deleting: p.DeletionTimestamp != nil, code: -1, reason: p.Status.Reason}
	for _, c := range p.Status.Conditions {
		if c.Status == corev1.ConditionTrue && c.Type == corev1.DisruptionTarget {
			x.disrupted = true
			x.reason = c.Reason
		}
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			x.waits = "no node fits: " + c.Message
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.Name != containerName {
			continue
		}
		if t := c.State.Terminated; t != nil {
			x.code = int(t.ExitCode)
			if !x.disrupted && t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
				x.reason = t.Reason
			}
		}
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			x.waits = strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
	}
	return k, x, true
}

// err says how a pod ended, in words that are the same for the same cause.
func (p podInfo) err() error {
	what := ""
	switch {
	case p.reason == "OOMKilled":
		return fmt.Errorf("out of memory (exit code %d): raise resources.limits.memory", p.code)
	case p.code > 128 && p.code != 130 && p.code < 192:
		what = fmt.Sprintf("killed by signal %d", p.code-128)
	case p.code > 0:
		what = fmt.Sprintf("exit code %d", p.code)
	case p.code == 0:
		return nil
	case p.reason != "":
		return fmt.Errorf("pod ended: %s", p.reason)
	default:
		return fmt.Errorf("pod ended without saying why")
	}
	if p.reason != "" {
		what += ", " + p.reason
	}
	return fmt.Errorf("%s", what)
}

// indexSet is a set of indexes as Kubernetes writes it, "1,3-5".
type indexSet []indexRange

type indexRange struct{ first, last int }

func parseIndexes(s string) indexSet {
	var out indexSet
	for _, f := range strings.Split(s, ",") {
		a, b, isRange := strings.Cut(f, "-")
		first, err := strconv.Atoi(a)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(b); err != nil {
				continue
			}
		}
		out = append(out, indexRange{first, last})
	}
	return out
}

func (s indexSet) has(i int) bool {
	for _, r := range s {
		if r.first <= i && i <= r.last {
			return true
		}
	}
	return false
}
