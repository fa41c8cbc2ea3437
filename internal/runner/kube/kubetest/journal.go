//go:build linux

package kubetest

import (
	"fmt"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
)

// journal is a tracker of objects whose watches are those of an API server:
// one from the version of a list on misses nothing that came after the list,
// deletions included, tells only what its selector wants, and holds any number
// of events for a reader that is slow. The tracker's own lose deletions between
// list and watch, and panic behind a hundred events.
type journal struct {
	clienttesting.ObjectTracker

	mu     sync.Mutex // guards the rest; held while an object is changed
	events map[schema.GroupVersionResource][]watch.Event
	more   chan struct{} // closed when there is another event
}

func newJournal(t clienttesting.ObjectTracker) *journal {
	return &journal{ObjectTracker: t, events: map[schema.GroupVersionResource][]watch.Event{}, more: make(chan struct{})}
}

// Create implements clienttesting.ObjectTracker, as those below do.
func (j *journal) Create(r schema.GroupVersionResource, o runtime.Object, ns string, opts ...metav1.CreateOptions) error {
	return j.change(watch.Added, r, ns, nameOf(o), func() error { return j.ObjectTracker.Create(r, o, ns, opts...) })
}

func (j *journal) Update(r schema.GroupVersionResource, o runtime.Object, ns string, opts ...metav1.UpdateOptions) error {
	return j.change(watch.Modified, r, ns, nameOf(o), func() error { return j.ObjectTracker.Update(r, o, ns, opts...) })
}

func (j *journal) Patch(r schema.GroupVersionResource, o runtime.Object, ns string, opts ...metav1.PatchOptions) error {
	return j.change(watch.Modified, r, ns, nameOf(o), func() error { return j.ObjectTracker.Patch(r, o, ns, opts...) })
}

func (j *journal) Delete(r schema.GroupVersionResource, ns, name string, opts ...metav1.DeleteOptions) error {
	return j.change(watch.Deleted, r, ns, name, func() error { return j.ObjectTracker.Delete(r, ns, name, opts...) })
}

func nameOf(o runtime.Object) string {
	m, err := meta.Accessor(o)
	if err != nil {
		return "" // the tracker will not take it
	}
	return m.GetName()
}

func (j *journal) change(what watch.EventType, r schema.GroupVersionResource, ns, name string, do func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	was, _ := j.Get(r, ns, name) // none yet
	if err := do(); err != nil {
		return err
	}
	if what != watch.Deleted {
		var err error
		if was, err = j.Get(r, ns, name); err != nil {
			return err
		}
	}
	j.events[r] = append(j.events[r], watch.Event{Type: what, Object: was})
	close(j.more)
	j.more = make(chan struct{})
	return nil
}

// List says as the version how many changes it has seen.
func (j *journal) List(r schema.GroupVersionResource, k schema.GroupVersionKind, ns string, opts ...metav1.ListOptions) (runtime.Object, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.ObjectTracker.List(r, k, ns, opts...)
	if err != nil {
		return nil, err
	}
	m, err := meta.ListAccessor(l)
	if err != nil {
		return nil, err
	}
	m.SetResourceVersion(strconv.Itoa(len(j.events[r])))
	return l, nil
}

// Watch begins at the version of a list.
func (j *journal) Watch(r schema.GroupVersionResource, ns string, opts ...metav1.ListOptions) (watch.Interface, error) {
	if len(opts) != 1 {
		return nil, fmt.Errorf("watch of %s without options", r.Resource)
	}
	at, err := strconv.Atoi(opts[0].ResourceVersion)
	if err != nil {
		return nil, fmt.Errorf("watch of %s from version %q: %w", r.Resource, opts[0].ResourceVersion, err)
	}
	want, err := labels.Parse(opts[0].LabelSelector)
	if err != nil {
		return nil, err
	}
	out := make(chan watch.Event)
	w := watch.NewProxyWatcher(out)
	go func() {
		defer close(out)
		for {
			j.mu.Lock()
			fresh, more := j.events[r][at:], j.more
			j.mu.Unlock()
			at += len(fresh)
			for _, e := range fresh {
				m, err := meta.Accessor(e.Object)
				if err != nil || m.GetNamespace() != ns || !want.Matches(labels.Set(m.GetLabels())) {
					continue
				}
				e.Object = e.Object.DeepCopyObject()
				select {
				case out <- e:
				case <-w.StopChan():
					return
				}
			}
			select {
			case <-more:
			case <-w.StopChan():
				return
			}
		}
	}()
	return w, nil
}
