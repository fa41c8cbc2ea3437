package kube

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sextant/internal/runner"
	"sextant/internal/task"
)

// record is what is kept in the run about a Job, so that a later coordinator
// finds it. It is written before the Job is created and removed when the Job
// is finished or gone.
type record struct {
	V         int    `json:"v"`
	Kind      string `json:"kind"` // "kube job"
	Job       string `json:"job"`
	Namespace string `json:"namespace"`
	Stage     string `json:"stage"`
	Token     string `json:"token"` // the Job's annotation; tells it from another of its name
}

const recordKind = "kube job"

// job is a Job of this stage.
type job struct {
	name        string
	slots       []*slot
	parallelism int
	secret      bool
	gone        bool      // deleted, by us
	finished    bool      // Kubernetes has marked it finished
	suspended   bool      // by us, to drain it
	lost        time.Time // when it was first not in the view
	asked       time.Time // when its warnings were asked for
	explained   time.Time // when its pods were last looked at for why they wait
	cut         bool      // an index was given up before Kubernetes gave it up
}

// submit makes one Job for each kind of works and starts it.
func (s *stageRun) submit(ctx context.Context, works []*runner.Work, limit int) error {
	gs := groups(works)
	left := make([]int, 0, len(gs)+len(s.jobs))
	for _, g := range gs {
		left = append(left, len(g))
	}
	for _, j := range s.jobs {
		left = append(left, j.unresolved())
	}
	parts := shares(left, s.o.MaxNumWorkers)
	for i, g := range gs {
		for len(g) > 0 {
			n := min(len(g), maxCompletions)
			if err := s.create(ctx, g[:n], min(parts[i], n), limit); err != nil {
				return err
			}
			g = g[n:]
		}
	}
	return nil
}

// maxCompletions is the most indexes that Kubernetes allows without further
// conditions on the others.
const maxCompletions = 100_000

func (s *stageRun) create(ctx context.Context, works []*runner.Work, parallelism, limit int) error {
	j := &job{parallelism: parallelism}
	index := task.Index{Run: "../.."}
	env := map[string]string{} // variable to value, of the Secret
	names := map[string]string{}
	var upload []string
	for i, w := range works {
		inputs, err := s.inputsOf(w)
		if err != nil {
			return err
		}
		m, _, secrets, err := s.tracker.Start(w, s.o.threads())
		if err != nil {
			return err
		}
		upload = append(append(upload, inputs...), m.Path())
		if err := s.clear(*m); err != nil {
			return err
		}
		e := task.IndexEntry{Manifest: m.Path(), Inputs: inputs}
		for _, k := range sortedKeys(secrets) {
			v := secrets[k]
			to, ok := names[v]
			if !ok {
				to = fmt.Sprintf("SEXTANT_SECRET_%d", len(names)+1)
				names[v], env[to] = to, v
			}
			if e.Secrets == nil {
				e.Secrets = map[string]string{}
			}
			e.Secrets[k] = to
		}
		index.Entries = append(index.Entries, e)
		j.slots = append(j.slots, &slot{job: j, index: i, w: w, base: w.Attempt})
	}
	for _, n := range s.stage.Options.Env {
		if s.o.LookupEnv == nil {
			break
		}
		if v, ok := s.o.LookupEnv(n); ok {
			env[n] = v
		}
	}
	for _, v := range env {
		s.hide(v)
	}
	j.secret = len(env) > 0
	data, err := index.Encode()
	if err != nil {
		return err
	}
	run := s.stage.Run
	for {
		s.seq++
		j.name = jobName(run.Dir(), s.stage.Name, s.stage.Epoch, s.seq)
		if err := run.WriteFile(indexPath(j.name), data); err != nil {
			return err
		}
		if s.mirror != nil {
			if err := s.mirror.Push(ctx, append(upload, indexPath(j.name))); err != nil {
				return err
			}
		}
		rec := record{V: 1, Kind: recordKind, Job: j.name, Namespace: s.ns, Stage: s.stage.Name, Token: rand.Text()}
		line, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		if err := run.WriteFile(recordPath(j.name), append(line, '\n')); err != nil {
			return err
		}
		spec := s.o.job(jobSpec{
			name: j.name, run: run.Dir(), stage: s.stage.Name, epoch: s.stage.Epoch, index: s.indexRef(j.name),
			count: len(works), parallelism: parallelism, restarts: limit, gpus: works[0].NumGPUs, secret: j.secret, token: rec.Token,
		})
		err = s.createJob(ctx, spec, env)
		if apierrors.IsAlreadyExists(err) && s.seq < 1000 { // another's, or the finished one of a run that was there before
			s.forget(j.name)
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	s.jobs = append(s.jobs, j)
	s.o.Log.Info("job created", "job", j.name, "namespace", s.ns, "indexes", len(works), "parallelism", parallelism)
	return nil
}

// clear removes statuses of the attempts that are to come. There are none
// unless names of workers came twice; believing one would lose the work.
func (s *stageRun) clear(m task.Manifest) error {
	for ; ; m.Attempt++ {
		err := os.Remove(s.stage.Run.Path(m.StatusPath()))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("remove an old status: %w", err)
		}
	}
}

func (s *stageRun) createJob(ctx context.Context, spec *batchv1.Job, env map[string]string) error {
	var made *batchv1.Job
	err := s.try(ctx, "create job "+spec.Name, func(ctx context.Context) (err error) {
		made, err = s.api.CreateJob(ctx, spec)
		if apierrors.IsAlreadyExists(err) {
			// Maybe the answer to an earlier try was lost on the way.
			old, gerr := s.api.Job(ctx, spec.Name)
			if gerr != nil {
				return gerr
			}
			if old.Annotations[annotToken] == spec.Annotations[annotToken] {
				made, err = old, nil
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(env) == 0 {
		return nil
	}
	// The Job waits, suspended, until its Secret is there; the Secret belongs
	// to the Job, so that whatever happens it does not outlive it.
	secret := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name: spec.Name, Labels: spec.Labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: made.Name, UID: made.UID}},
		},
		Immutable: ptr(true), Data: map[string][]byte{},
	}
	for k, v := range env {
		secret.Data[k] = []byte(v)
	}
	if err := s.try(ctx, "create the job's secret", func(ctx context.Context) error {
		err := s.api.CreateSecret(ctx, secret)
		if apierrors.IsAlreadyExists(err) {
			err = nil
		}
		return err
	}); err != nil {
		return err
	}
	return s.try(ctx, "start job "+spec.Name, func(ctx context.Context) error {
		return s.api.PatchJob(ctx, spec.Name, []byte(`{"spec":{"suspend":false}}`))
	})
}

// try does a request, again and again while the API server does not answer,
// for as long as Patience.
func (s *stageRun) try(ctx context.Context, what string, f func(context.Context) error) error {
	begin, wait := time.Now(), backoffFirst
	for {
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := f(rctx)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !transient(err) || time.Since(begin) > s.o.Patience {
			return &clusterError{what, s.ns, err}
		}
		if !s.toldWait.Swap(true) {
			s.note("cannot %s yet: %v; trying again", what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(wait*2, 5*time.Second)
	}
}

// clusterError is a request that the cluster refused or did not answer.
type clusterError struct {
	what, ns string
	err      error
}

func (e *clusterError) Error() string { return e.what + ": " + e.err.Error() }
func (e *clusterError) Unwrap() error { return e.err }

// Hint says what the user can do.
func (e *clusterError) Hint() string {
	switch {
	case apierrors.IsForbidden(e.err):
		return fmt.Sprintf("the account needs create, get, list, watch, patch and delete for jobs, pods and secrets, and get for pods/log, in namespace %s", e.ns)
	case apierrors.IsUnauthorized(e.err):
		return "the cluster does not know these credentials: log in again, or name another kubeconfig or context"
	case apierrors.IsNotFound(e.err):
		return fmt.Sprintf("does namespace %s exist?", e.ns)
	case transient(e.err):
		return "is the API server reachable from here? kubectl get jobs shows it; -r goes on later"
	}
	return ""
}

// adopt takes over the Jobs that an earlier coordinator of this run has left,
// and deletes those that do what this stage does not want.
func (s *stageRun) adopt(ctx context.Context) error {
	dir := s.stage.Run.Path(recordDir)
	ents, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for jobs of this run: %w", err)
	}
	for _, e := range ents {
		if !strings.HasSuffix(e.Name(), recordSuffix) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read record of a job: %w", err)
		}
		var rec record
		if err := json.Unmarshal(data, &rec); err != nil || rec.Kind != recordKind || rec.V > 1 {
			s.note("%s is no record of a job that this program can read; left as it is", e.Name())
			continue
		}
		if rec.Stage != s.stage.Name {
			continue
		}
		if err := s.adoptJob(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

func (s *stageRun) adoptJob(ctx context.Context, rec record) error {
	if rec.Namespace != s.ns {
		return &clusterError{"take over job " + rec.Job, s.ns, fmt.Errorf("it was started in namespace %s and the config says %s: name that one, or delete the job and %s", rec.Namespace, s.ns, s.stage.Run.Path(recordPath(rec.Job)))}
	}
	old, err := s.find(ctx, rec.Job)
	if err != nil {
		return err
	}
	if old == nil || old.Annotations[annotToken] != rec.Token {
		s.forget(rec.Job)
		return nil
	}
	j := &job{name: rec.Job}
	if old.Spec.Parallelism != nil {
		j.parallelism = int(*old.Spec.Parallelism)
	}
	for _, c := range old.Spec.Template.Spec.Containers {
		for _, e := range c.EnvFrom {
			j.secret = j.secret || e.SecretRef != nil && e.SecretRef.Name == rec.Job
		}
	}
	taken, err := s.slotsOf(j)
	fits := err == nil && s.writesHere(old) && old.DeletionTimestamp == nil && (old.Spec.Suspend == nil || !*old.Spec.Suspend)
	if fits && taken > 0 {
		s.jobs = append(s.jobs, j)
		s.note("job %s of this run is still there: following it", j.name)
		return nil
	}
	for _, x := range j.slots {
		if x.w != nil {
			s.tracker.Release(x.w)
		}
	}
	if !finishedJob(old) {
		s.note("stopping job %s of an earlier start: what is to be done now differs", j.name)
	}
	return s.remove(ctx, j, s.o.Grace)
}

// find asks for a Job; nil when there is none of that name.
func (s *stageRun) find(ctx context.Context, name string) (j *batchv1.Job, err error) {
	err = s.try(ctx, "look for job "+name, func(ctx context.Context) (err error) {
		j, err = s.api.Job(ctx, name)
		if apierrors.IsNotFound(err) {
			j, err = nil, nil
		}
		return err
	})
	return j, err
}

func finishedJob(j *batchv1.Job) bool { return readJob(j).finished }

// errDiffers says that a Job does what the stage does not want.
var errDiffers = errors.New("other work")

// slotsOf makes the slots of an adopted Job from its index file.
func (s *stageRun) slotsOf(j *job) (taken int, err error) {
	run := s.stage.Run
	data, err := os.ReadFile(run.Path(indexPath(j.name)))
	if err != nil {
		return 0, err
	}
	x, err := task.DecodeIndex(data)
	if err != nil {
		return 0, err
	}
	for i, e := range x.Entries {
		m, err := task.ReadManifest(run.Path(e.Manifest), nameAsValue)
		if err != nil {
			return 0, err
		}
		var last *task.Status
		for at := *m; ; at.Attempt++ {
			st, err := task.ReadStatus(run.Path(at.StatusPath()))
			if err != nil || st == nil {
				break
			}
			last = st
		}
		w, keep, same := s.tracker.Adopt(m, last)
		sl := &slot{job: j, index: i, w: w, base: m.Attempt, keep: keep, units: len(m.Units)}
		j.slots = append(j.slots, sl)
		if !same {
			return 0, errDiffers
		}
		if w == nil {
			sl.state = over
			continue
		}
		for _, v := range task.Secrets(w.Model) {
			s.hide(v)
		}
		taken++
	}
	return taken, nil
}

// nameAsValue stands for the environment where secrets are not wanted.
func nameAsValue(name string) string {
	if strings.HasPrefix(name, "SEXTANT_SECRET_") {
		return name
	}
	return ""
}

// remove deletes a Job and waits until its pods have ended and it is gone:
// until then its controller may start one more, from what it saw before the
// Job was deleted. grace is the pods'.
func (s *stageRun) remove(ctx context.Context, j *job, grace time.Duration) error {
	seconds := int64(max(grace, time.Second) / time.Second)
	err := s.try(ctx, "delete job "+j.name, func(ctx context.Context) error {
		err := s.api.DeleteJob(ctx, j.name, metav1.DeleteOptions{PropagationPolicy: ptr(metav1.DeletePropagationForeground)})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for end := time.Now().Add(grace + s.o.Patience); ; {
		there, err := s.find(ctx, j.name) // before its pods are listed: once it is gone, no pod comes any more
		if err != nil {
			return err
		}
		var alive []corev1.Pod
		err = s.try(ctx, "list pods of job "+j.name, func(ctx context.Context) error {
			alive = alive[:0]
			cont := ""
			for {
				l, err := s.api.Pods(ctx, batchv1.JobNameLabel+"="+j.name, cont)
				if err != nil {
					return err
				}
				for _, p := range l.Items {
					if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
						alive = append(alive, p)
					}
				}
				if cont = l.Continue; cont == "" {
					return nil
				}
			}
		})
		if err != nil {
			return err
		}
		if len(alive) == 0 && there == nil {
			break
		}
		if time.Now().After(end) {
			if len(alive) > 0 {
				s.note("%d pods of job %s do not end (is their node gone?)", len(alive), j.name)
			} else {
				s.o.Log.Warn("a deleted job is still there", "job", j.name)
			}
			break
		}
		for _, p := range alive {
			if told[p.Name] {
				continue
			}
			told[p.Name] = true
			// A refusal shows in the next list.
			_ = s.api.DeletePod(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &seconds})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(s.o.Poll, time.Second)):
		}
	}
	s.dropSecret(ctx, j)
	j.gone = true
	s.forget(j.name)
	return nil
}

// dropSecret deletes the Secret of a Job. It belongs to the Job, so that it
// goes with it at the latest.
func (s *stageRun) dropSecret(ctx context.Context, j *job) {
	if !j.secret {
		return
	}
	err := s.try(ctx, "delete the secret of job "+j.name, func(ctx context.Context) error {
		if err := s.api.DeleteSecret(ctx, j.name); !apierrors.IsNotFound(err) {
			return err
		}
		return nil
	})
	if err != nil {
		s.note("secret %s could not be deleted (%v): it goes with its job, %s after that has finished", j.name, err, s.o.TTL)
		return
	}
	j.secret = false
}

// forget removes what was kept for adopting a Job.
func (s *stageRun) forget(name string) {
	for _, p := range []string{recordPath(name), indexPath(name)} {
		if err := os.Remove(s.stage.Run.Path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.o.Log.Warn("record of a job not removed", "path", p, "error", err)
		}
	}
}

// hide keeps a secret out of what is written.
func (s *stageRun) hide(v string) {
	if v != "" && !slices.Contains(s.secrets, v) {
		s.secrets = append(s.secrets, v)
		slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
	}
}
