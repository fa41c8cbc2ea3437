//go:build linux

package kube

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sextant/internal/mirror"
	"sextant/internal/object"
	"sextant/internal/object/objecttest"
	"sextant/internal/runner"
	"sextant/internal/runner/kube/kubetest"
	"sextant/internal/runner/runnertest"
	"sextant/internal/store"
	"sextant/internal/task"
)

// storeSecret is the name of the Secret with the keys of the store.
const storeSecret = "store"

// useStore makes options of those for a volume: pods share nothing with the
// coordinator but the store.
func useStore(o *Options, s *objecttest.Server) {
	o.VolumeMounts, o.Volumes = nil, nil
	o.Getenv = s.Getenv
	o.Objects = &Objects{URL: "s3://" + objecttest.Bucket + "/" + rand.Text(), Region: "us-east-1", Credentials: storeSecret, Interval: 50 * time.Millisecond}
}

// giveKeys makes the Secret with the keys of the store.
func giveKeys(t *testing.T, c *kubetest.Cluster, s *objecttest.Server) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: storeSecret}, Data: map[string][]byte{}}
	for _, n := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		secret.Data[n] = []byte(s.Getenv(n))
	}
	if _, err := c.Client.CoreV1().Secrets(kubetest.Namespace).Create(context.Background(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// The suite of all runners, with nothing shared but an object store.
func TestSuiteObjects(t *testing.T) {
	runnertest.Run(t, func(t *testing.T, s runnertest.Setup) runner.Runner {
		o := options(s)
		c := kubetest.Fake(t, s.Environ)
		o.connection = &fakeAPI{c: c}
		store := objecttest.Serve(t)
		useStore(&o, store)
		giveKeys(t, c, store)
		return New(o)
	})
}

// withObjects has the pods of a place share nothing with the coordinator but a
// store.
func withObjects(start func(*testing.T) *place) func(*testing.T) *place {
	return func(t *testing.T) *place {
		p := start(t)
		p.objects = objecttest.Serve(t)
		giveKeys(t, p.c, p.objects)
		return p
	}
}

// objectScenarios are those that only a store has.
func objectScenarios(t *testing.T, p *place) {
	t.Run("killed in between", func(t *testing.T) { killedBetween(t, p) })
	t.Run("nothing left, no key told", func(t *testing.T) { nothingLeft(t, p) })
	t.Run("coordinator dies for longer", func(t *testing.T) { diedForLonger(t, p) })
	t.Run("rows from before", func(t *testing.T) { resumedRows(t, p) })
	t.Run("cut off", func(t *testing.T) { cutOff(t, p) })
}

// A worker that dies has lost at most what it had not uploaded; the rest is
// asked again and the files are the same.
func killedBetween(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 40))
	b := newBench(t, p, 1, dataset("a", 40, "pause_ms", 20, "times", 1, "at", 35, "how", "wait"))
	b.o.Objects.Keep = true
	b.meanwhile(func() {
		if pod := b.still("a", 20); !p.c.Signal(pod, syscall.SIGKILL) {
			t.Errorf("pod %s does not run", pod)
		}
	})
	rep := b.must()
	x := rep.Tasks[0]
	if x.State != task.Done || x.Tries != 1 {
		t.Errorf("%+v", x)
	}
	b.same(want)
	stored := 0
	bucket := p.objects.Open(t)
	for _, k := range objecttest.Keys(t, bucket, b.prefix()) {
		if !strings.Contains(k, "/out/predictions/m/a.records/infer-0001-00001-1-") {
			continue
		}
		text, err := bucket.Get(context.Background(), k, 0)
		if err != nil {
			t.Fatal(err)
		}
		stored = max(stored, strings.Count(string(text), `"prediction"`)) // a longer one holds what a shorter one does
	}
	if x.Reused != stored {
		t.Errorf("%d rows reused, %d were uploaded before the kill", x.Reused, stored)
	}
	if n := b.asked("a"); n > 40+35-stored {
		t.Errorf("%d rows asked for 40, %d were uploaded before the kill", n, stored)
	}
}

// prefix is that of the bench's objects.
func (b *bench) prefix() string {
	b.t.Helper()
	_, prefix, err := object.ParseURL(b.o.Objects.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return prefix + "/"
}

func nothingLeft(t *testing.T, p *place) {
	b := newBench(t, p, 2, dataset("a", 10), dataset("b", 10))
	b.o.Objects.Keep = true
	b.must()
	prefix := b.prefix()
	bucket := p.objects.Open(t)
	keys := objecttest.Keys(t, bucket, prefix)
	records := 0
	for _, k := range keys {
		text, err := bucket.Get(context.Background(), k, 0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "sk-very-secret") || strings.Contains(string(text), p.objects.Getenv("AWS_SECRET_ACCESS_KEY")) {
			t.Errorf("%s holds a secret", k)
		}
		if strings.Contains(k, "/out/predictions/m/") {
			records++
		}
	}
	if records < 2 {
		t.Errorf("objects: %q", keys)
	}
	b.run.Close()
	err := filepath.WalkDir(b.run.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), p.objects.Getenv("AWS_SECRET_ACCESS_KEY")) {
			t.Errorf("%s holds the key of the store", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := p.c.Client.BatchV1().Jobs(kubetest.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jobs)
	if err != nil || strings.Contains(string(text), p.objects.Getenv("AWS_SECRET_ACCESS_KEY")) {
		t.Errorf("a specification holds the key of the store (%v)", err)
	}
	b.clean()
	// The same run again, with the objects not kept: all of its own go.
	b.o.Objects.Keep = false
	b.stage.Epoch = 2
	if rep := b.must(); rep.Tasks[0].Reused != 10 {
		t.Errorf("%+v", rep.Tasks[0])
	}
	if left := objecttest.Keys(t, bucket, prefix); !slices.Equal(left, keys) {
		t.Errorf("left: %q, there were %q", left, keys)
	}
	b.clean()
}

// The workers end while no coordinator lives: what they did is fetched before
// anything is planned.
func diedForLonger(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 30))
	b := newBench(t, p, 1, dataset("a", 30, "hold", 7))
	die, ended := b.start()
	b.still("a", 8)
	die(store.ErrLeaseLost)
	if err := ended(); !errors.Is(err, store.ErrLeaseLost) {
		t.Fatal(err)
	}
	runnertest.Release(t, b.run.Dir(), "a", 30)
	b.wait("the worker to end", func() bool { return len(b.pods()) == 0 })
	if err := New(b.o).Fetch(context.Background(), b.run, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	if st, err := b.run.Status("m", "a", nil); err != nil || st.State != store.Complete || st.Have != 30 {
		t.Errorf("%+v %v", st, err)
	}
	b.stage.Epoch = 2
	if x := b.must().Tasks[0]; x.State != task.Done {
		t.Errorf("%+v", x)
	}
	if n := b.asked("a"); n != 30 {
		t.Errorf("%d rows asked for 30", n)
	}
	b.same(want)
	b.clean()
}

// Rows that the run has from before reach the workers.
func resumedRows(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 40))
	b := newBench(t, p, 2, parts("a", 40, 2)[:1]...)
	b.must()
	if n := b.asked("a"); n != 20 {
		t.Fatalf("%d rows asked for 20", n)
	}
	b.stage.Epoch, b.stage.Tasks = 2, parts("a", 40, 4)
	reused := 0
	for _, x := range b.must().Tasks {
		if x.State != task.Done {
			t.Errorf("%+v", x)
		}
		reused += x.Reused
	}
	if n := b.asked("a"); n != 40 || reused != 20 {
		t.Errorf("%d rows asked for 40, %d reused", n, reused)
	}
	b.same(want)
	b.clean()
}

// The store is out of reach for a while: workers go on, nobody is taken for
// dead, and nothing is asked twice.
func cutOff(t *testing.T, p *place) {
	want := undisturbed(t, p, dataset("a", 60), dataset("b", 5))
	b := newBench(t, p, 1, dataset("a", 60, "hold", 20), dataset("b", 5, "hold", 2))
	b.meanwhile(func() {
		b.still("a", 21)
		p.objects.Cut()
		b.wait("the note", func() bool { return strings.Contains(b.notes(), "trying again") })
		runnertest.Release(t, b.run.Dir(), "a", 60)
		b.wait("all rows of a", func() bool { return b.asked("a") == 60 })
		p.objects.Mend()
		b.wait("the good news", func() bool { return strings.Contains(b.notes(), "answers again") })
		runnertest.Release(t, b.run.Dir(), "b", 5) // the stage does not end before
	})
	for _, x := range b.must().Tasks {
		if x.State != task.Done || x.Tries != 0 {
			t.Errorf("%+v", x)
		}
	}
	b.same(want)
	if n := b.asked("a") + b.asked("b"); n != 65 {
		t.Errorf("%d rows asked for 65", n)
	}
	if !strings.Contains(b.notes(), "answers again") {
		t.Errorf("notes: %s", b.notes())
	}
	b.clean()
}

// While the store is out of reach, a beat that stands still means nothing.
func TestNotLostWithoutStore(t *testing.T) {
	t.Parallel()
	p := withObjects(fakePlace)(t)
	b := newBench(t, p, 1)
	s := &stageRun{Runner: New(b.o), stage: &b.stage, sink: b.rec} // no cluster: asking it would panic
	m, err := mirror.New(b.run, b.o.mirrorOptions(s.note))
	if err != nil {
		t.Fatal(err)
	}
	s.mirror = m
	now := time.Now()
	x := &slot{since: now.Add(-time.Hour), beat: 7}
	if s.lost(context.Background(), x, podInfo{phase: corev1.PodRunning}, true, &task.Status{Beat: 7}, now) || !x.lostAt.IsZero() || !x.since.Equal(now) {
		t.Errorf("%+v", x)
	}
	if s.current(now) {
		t.Error("nothing was looked at")
	}
	if err := m.Begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !s.current(now) {
		t.Error("all was looked at")
	}
	// It answers again: the worker has as long as ever to show itself.
	x = &slot{since: now.Add(-time.Hour), beat: 7}
	later := time.Now()
	if s.lost(context.Background(), x, podInfo{phase: corev1.PodRunning}, true, &task.Status{Beat: 7}, later) || !x.lostAt.IsZero() || x.since.Before(now) {
		t.Errorf("%+v", x)
	}
}

// What the store says no to is told before anything is started.
func TestObjectsRefused(t *testing.T) {
	t.Parallel()
	p := withObjects(fakePlace)(t)
	for code, want := range map[string]string{"404 NoSuchBucket": "create the bucket", "403 AccessDenied": "s3:PutObject", "403 RequestTimeTooSkewed": "clock"} {
		p.objects.Refuse(code)
		b := newBench(t, p, 1, dataset("a", 3))
		_, err := b.exec(context.Background())
		var h interface{ Hint() string }
		if !errors.As(err, &h) || !strings.Contains(h.Hint(), want) {
			t.Errorf("%s: %v", code, err)
		}
		if b.asked("a") != 0 || len(b.pods()) != 0 {
			t.Errorf("%s: something was started", code)
		}
	}
	p.objects.Refuse("")
}
