package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"syscall"

	"sextant/internal/dataset"
	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/source"
	"sextant/internal/store"
)

// Execute does what a manifest says: the one way in which work is done, in a
// worker process or, with --debug, in the coordinator's own. Each unit's state
// goes to rep, what happens to d.Events. A unit that fails does not keep the
// others from being done, unless nothing can be done any more (the model
// cannot be opened, the disk is full). The failure returned is that of the
// first unit that failed, nil when all is done.
func Execute(ctx context.Context, m *Manifest, d Deps, rep *Reporter) *Failure {
	d.Secrets = JoinSecrets(Secrets(m.dicts()...), d.Secrets)
	if events := d.Events; len(d.Secrets) > 0 {
		d.Events = event.Func(func(e event.Event) {
			e.Error, e.Text = Scrub(e.Error, d.Secrets), Scrub(e.Text, d.Secrets)
			events.Emit(e)
		})
	}
	x := &executor{m: m, d: d, rep: rep}
	first := x.units(ctx)
	if err := x.close(); err != nil && first == nil {
		first = Classify(err)
	}
	return first
}

// units does all units, and returns the failure of the first that failed.
func (x *executor) units(ctx context.Context) *Failure {
	m, d, rep := x.m, x.d, x.rep
	var first *Failure
	// A task of several units starts with its first and ends with its last.
	left, started := map[string]int{}, map[string]bool{}
	sum := map[string]*event.Event{}
	for i := range m.Units {
		left[m.Units[i].Task]++
	}
	for i := range m.Units {
		if ctx.Err() != nil || d.draining() {
			break
		}
		u := &m.Units[i]
		rep.Unit(i, func(s *UnitStatus) { s.State = Running })
		ev := event.Event{Stage: m.Stage, Task: u.Task, Model: m.ModelAbbr, Dataset: u.Abbr, Attempt: m.Attempt, Log: u.Log}
		if !started[u.Task] {
			started[u.Task] = true
			e := ev
			e.Kind, e.Time = event.TaskStarted, d.Now()
			d.Events.Emit(e)
			sum[u.Task] = &event.Event{Stage: m.Stage, Task: u.Task, Model: m.ModelAbbr, Dataset: u.Abbr, Attempt: m.Attempt, Log: u.Log, Kind: event.TaskFinished}
		}
		begin := d.Now()
		out, err := x.unit(ctx, u)
		f := Classify(err).scrubbed(d.Secrets)
		state := Done
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, infer.ErrDrained)):
			state, f = Stopped, nil
		case f != nil:
			state = Failed
		}
		rep.Unit(i, func(s *UnitStatus) {
			s.State, s.Error = state, f
			s.Done, s.Total, s.Reused, s.Failed = out.Done, out.Total, out.Reused, out.Failed
		})
		ev.Time, ev.Seconds = d.Now(), d.Now().Sub(begin).Seconds()
		ev.Done, ev.Total, ev.Reused, ev.Failed = out.Done, out.Total, out.Reused, out.Failed
		t := sum[u.Task]
		t.Time, t.Seconds = ev.Time, t.Seconds+ev.Seconds
		t.Done, t.Total, t.Reused, t.Failed = t.Done+out.Done, t.Total+out.Total, t.Reused+out.Reused, t.Failed+out.Failed
		left[u.Task]--
		switch state {
		case Done:
			if left[u.Task] == 0 {
				d.Events.Emit(*t)
			}
		case Failed:
			ev.Kind, ev.Error = event.TaskFailed, f.Message
			d.Events.Emit(ev)
			d.Log.Error("task failed", "task", u.Task, "dataset", u.Abbr, "kind", f.Kind, "error", f.Message, "hint", f.Hint)
			if first == nil {
				first = f
			}
			if f.Kind == KindEndpoint || f.Kind == KindFull {
				return first
			}
			left[u.Task] = -1 // it does not finish
		}
	}
	return first
}

func (d *Deps) draining() bool {
	select {
	case <-d.Drain:
		return true
	default:
		return false
	}
}

type executor struct {
	m   *Manifest
	d   Deps
	rep *Reporter
	inf *Inferer
}

func (x *executor) close() error {
	if x.inf == nil {
		return nil
	}
	err := x.inf.Close()
	if s := x.inf.Stats(); s.Requests > 0 {
		x.d.Log.Info("model done", "requests", s.Requests, "tokens_computed", s.TokensComputed, "tokens_saved", s.TokensSaved, "tokens_out", s.TokensOut)
	}
	return err
}

// unit runs one unit; a panic inside becomes its error.
func (x *executor) unit(ctx context.Context, u *Unit) (out Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.d.Log.Error("panic", "value", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v (the log has the stack)", p)
		}
	}()
	if x.m.Stage == Eval {
		return x.eval(ctx, u)
	}
	if x.inf == nil {
		if x.inf, err = NewInferer(x.d, x.m.Model); err != nil {
			return out, err
		}
	}
	out, err = x.inf.Infer(ctx, x.m, *u)
	if out.Inputs != (store.Inputs{}) {
		x.rep.Inputs(u.Abbr, out.Inputs)
	}
	return out, err
}

// scrubbed is f without secrets in its texts.
func (f *Failure) scrubbed(secrets []string) *Failure {
	if f == nil || len(secrets) == 0 {
		return f
	}
	g := *f
	g.Reason, g.Message, g.Hint = Scrub(f.Reason, secrets), Scrub(f.Message, secrets), Scrub(f.Hint, secrets)
	return &g
}

// Classify says what kind of failure an error is; nil for nil.
func Classify(err error) *Failure {
	if err == nil {
		return nil
	}
	var already *Failure
	if errors.As(err, &already) {
		return already
	}
	f := &Failure{Kind: KindOther, Message: err.Error()}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		f.Hint = h.Hint()
	}
	var (
		endpoint *model.EndpointError
		tooMany  *TooManyFailedError
		full     *store.FullError
		missing  *dataset.MissingError
		lacking  *store.IncompleteError
	)
	switch {
	case errors.As(err, &endpoint):
		f.Kind, f.Hint = KindEndpoint, endpoint.Hint
	case errors.As(err, &tooMany):
		f.Kind = KindSamples
	case errors.As(err, &full), errors.Is(err, syscall.ENOSPC):
		f.Kind = KindFull
	case errors.As(err, &missing):
		f.Kind, f.Hint = KindConfig, missing.Hint
	case errors.As(err, &lacking): // trying again brings no answers
		f.Kind = KindConfig
		if f.Hint == "" {
			f.Hint = "finish the inference first: the same command with -r, without -m eval"
		}
	case errors.Is(err, fs.ErrPermission):
		f.Kind = KindConfig
	case len(source.Diagnostics(err)) > 0:
		f.Kind = KindConfig
		if d := source.Diagnostics(err)[0]; d.Hint != "" {
			f.Hint = d.Hint
		}
	}
	return f
}
