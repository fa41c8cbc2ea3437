package kube

import (
	"context"
	"errors"
	"path"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"sextant/internal/mirror"
	"sextant/internal/object"
	"sextant/internal/runner"
	"sextant/internal/store"
	"sextant/internal/task"
)

// Objects says that an object store stands between the run and its workers,
// instead of a volume that both see.
type Objects struct {
	URL         string // s3://bucket/prefix
	Endpoint    string // URL; that of the environment, or Amazon's
	Region      string
	Addressing  string // "path", "virtual" or ""
	Credentials string // name of the Secret with the workers' keys; "" means that they have an identity
	Keep        bool   // objects stay after a stage
	Interval    time.Duration
}

// objectsEnv is what pods need to reach the store. Keys come by reference.
func (o *Options) objectsEnv() []corev1.EnvVar {
	b := o.Objects
	if b == nil {
		return nil
	}
	var out []corev1.EnvVar
	for _, e := range []corev1.EnvVar{
		{Name: object.EndpointVar, Value: b.endpoint(o)}, {Name: object.RegionVar, Value: o.known(b.Region, object.RegionVar, "AWS_DEFAULT_REGION")},
		{Name: object.AddressingVar, Value: o.known(b.Addressing, object.AddressingVar)},
	} {
		if e.Value != "" {
			out = append(out, e)
		}
	}
	if b.Interval > 0 {
		out = append(out, corev1.EnvVar{Name: mirror.IntervalVar, Value: b.Interval.String()})
	}
	if b.Credentials == "" {
		return out
	}
	for _, n := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: b.Credentials}, Key: n}
		if n == "AWS_SESSION_TOKEN" {
			ref.Optional = ptr(true)
		}
		out = append(out, corev1.EnvVar{Name: n, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}})
	}
	return out
}

func (o *Options) mirrorOptions(note func(string, ...any)) mirror.Options {
	b := o.Objects
	return mirror.Options{
		URL: b.URL, Store: object.Config{Endpoint: b.endpoint(o), Region: b.Region, Addressing: b.Addressing, Getenv: o.Getenv},
		Interval: b.Interval, Patience: o.Patience, Keep: b.Keep, Note: note, Log: o.Log,
	}
}

// endpoint is where the coordinator finds the store; pods need to be told the
// same.
func (b *Objects) endpoint(o *Options) string {
	return o.known(b.Endpoint, object.EndpointVar, "AWS_ENDPOINT_URL")
}

// known is v, or what the first of the variables says that is set.
func (o *Options) known(v string, names ...string) string {
	for _, n := range names {
		if v == "" {
			v = o.getenv(n)
		}
	}
	return v
}

// Fetch implements runner.Fetcher: what workers have put into the object store
// since the last coordinator looked comes into the run.
func (r *Runner) Fetch(ctx context.Context, run *store.Run, note func(string, ...any)) error {
	if r.o.Objects == nil {
		return nil
	}
	m, err := mirror.Resume(run, r.o.mirrorOptions(note))
	if m == nil || err != nil {
		return err
	}
	return m.Begin(ctx)
}

var _ runner.Fetcher = (*Runner)(nil)

// openMirror begins to keep the run and its objects alike.
func (s *stageRun) openMirror(ctx context.Context) error {
	m, err := mirror.New(s.stage.Run, s.o.mirrorOptions(s.note))
	if err != nil {
		return err
	}
	if err := m.Begin(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	s.mirror = m
	settled := s.stage.Settled
	s.stage.Settled = func(model, dataset string, x store.Settled) {
		m.Settled(model, dataset)
		if settled != nil {
			settled(model, dataset, x)
		}
	}
	return nil
}

// indexRef is what pods are given for the index of a Job.
func (s *stageRun) indexRef(job string) string {
	if s.mirror != nil {
		return s.mirror.Ref(indexPath(job))
	}
	return path.Join(s.o.podPath(s.stage.Run.Dir()), indexPath(job))
}

// writesHere reports whether the workers of a Job write where this coordinator
// looks: one that was started with another config may not.
func (s *stageRun) writesHere(j *batchv1.Job) bool {
	for _, c := range j.Spec.Template.Spec.Containers {
		if c.Name == containerName && len(c.Args) > 0 {
			ref := c.Args[len(c.Args)-1]
			if _, _, there := mirror.ParseRef(ref); there || s.mirror != nil {
				return ref == s.indexRef(j.Name)
			}
		}
	}
	return true
}

// inputsOf are the files of the run that a worker must fetch.
func (s *stageRun) inputsOf(w *runner.Work) ([]string, error) {
	if s.mirror == nil {
		return nil, nil
	}
	var out []string
	seen := map[string]bool{}
	for i := range w.Units {
		abbr := w.Units[i].Abbr
		// The file of a whole dataset has other writers: the coordinator.
		w.Units[i].Sole = false
		if seen[abbr] {
			continue
		}
		seen[abbr] = true
		list := s.stage.Run.RecordFiles
		if s.stage.Name == task.Eval {
			list = s.stage.Run.ScoreFiles
		}
		files, err := list(w.ModelAbbr, abbr)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return s.mirror.Inputs(out), nil
}

// ended is tracker.Ended, undisturbed by what comes from the store.
func (s *stageRun) ended(w *runner.Work, st *task.Status, end runner.End) (again *runner.Work, err error) {
	if s.mirror == nil {
		return s.tracker.Ended(w, st, end)
	}
	s.mirror.Do(func() { again, err = s.tracker.Ended(w, st, end) })
	return again, err
}

// current reports whether all that a worker wrote until t is in the run.
func (s *stageRun) current(t time.Time) bool { return s.mirror == nil || s.mirror.Since(t) }

// lastLook brings the last of what workers wrote into the run and deletes the
// objects when no Job is left that may write more.
func (s *stageRun) lastLook(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout+s.o.LogGrace)
	defer cancel()
	s.mirror.Since(time.Now()) // the look is to find everything
	if err := s.mirror.Pull(ctx); err != nil {
		s.note("the last of what workers did is still in the object store (%v); -r fetches it", err)
		return
	}
	for _, j := range s.jobs {
		if !j.gone && !j.finished {
			return
		}
	}
	if err := s.mirror.Clean(ctx); err != nil && !errors.Is(err, context.Canceled) {
		s.note("objects below %s could not be deleted: %v", s.mirror.URL(), err)
	}
}
