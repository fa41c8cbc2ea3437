package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"sextant/internal/dataset"
	"sextant/internal/event"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/store"
)

// Deps is what executing a task needs of its surroundings.
type Deps struct {
	Run    *store.Run
	Source dataset.Source
	Env    model.Env
	Events event.Sink
	Now    func() time.Time
	Log    *slog.Logger
	// Drain, when closed, means: finish what is in flight, begin nothing new.
	// May be nil.
	Drain <-chan struct{}
	// Secrets must reach no file and no event, beside those in the configs.
	Secrets []string
}

// Outcome counts what became of one piece. Failed counts rows without an
// answer, whenever that was.
type Outcome struct {
	Total, Done, Reused, Failed int
	Inputs                      store.Inputs
}

// TooManyFailedError stops a task whose samples keep failing.
type TooManyFailedError struct {
	Limit int
	Last  string
}

func (e *TooManyFailedError) Error() string {
	return fmt.Sprintf("no answer to more than %s; the last: %s", source.Count(e.Limit, "sample"), e.Last)
}

// Inferer runs pieces on one model, which it opens on first use and keeps.
type Inferer struct {
	d     Deps
	cfg   *py.Dict
	abbr  string
	class model.Class
	m     model.Model
	id    model.Identity
	sets  map[string]*dataset.Set
	w     *store.Writer // of the dataset that w is for: parts of one dataset come together
	wfor  store.Header
	wsole bool
}

// NewInferer prepares to run on the model that cfg describes.
func NewInferer(d Deps, cfg *py.Dict) (*Inferer, error) {
	cl, err := model.Classes.Lookup(cfg.Str("type"))
	if err != nil {
		return nil, Unknown(cfg, err)
	}
	return &Inferer{d: d, cfg: cfg, abbr: spec.ModelAbbr(cfg), class: cl, sets: map[string]*dataset.Set{}}, nil
}

// Close makes the last records durable and releases the model.
func (x *Inferer) Close() error {
	err := x.closeWriter()
	if x.m != nil {
		err = errors.Join(err, x.m.Close())
	}
	return err
}

// writer takes the records of p. It stays open for the next unit: opening one
// reads all records that the dataset has.
func (x *Inferer) writer(m *Manifest, p Unit, h store.Header) (*store.Writer, error) {
	if x.w != nil && x.wfor == h && x.wsole == p.Sole {
		return x.w, nil
	}
	if err := x.closeWriter(); err != nil {
		return nil, err
	}
	o := m.Options
	w, err := x.d.Run.Writer(h, m.Writer(), store.WriterOptions{
		Sole: p.Sole, RetryFailed: o.RetryFailed, FullWait: time.Duration(o.FullWait) * time.Second, Log: x.d.Log,
		OnFull: func(err error) {
			x.d.Events.Emit(event.Event{Time: x.d.Now(), Kind: event.Note, Task: p.Task, Text: fmt.Sprintf("%v: waiting for space", err)})
		},
	})
	if err != nil {
		return nil, err
	}
	x.w, x.wfor, x.wsole = w, h, p.Sole
	return w, nil
}

func (x *Inferer) closeWriter() error {
	if x.w == nil {
		return nil
	}
	w := x.w
	x.w = nil
	return w.Close()
}

// Stats is the work the model did, where it counts.
func (x *Inferer) Stats() model.Stats {
	if c, ok := x.m.(model.Counter); ok {
		return c.Stats()
	}
	return model.Stats{}
}

func (x *Inferer) open(ctx context.Context) error {
	if x.m != nil {
		return nil
	}
	m, err := x.class.Open(ctx, x.cfg, x.d.Env)
	if err != nil {
		return fmt.Errorf("open model %s: %w", x.abbr, err)
	}
	x.m = m
	x.id = IdentityOf(m, x.cfg)
	return nil
}

// IdentityOf is what the model says it is, or what its config calls it.
func IdentityOf(m model.Model, cfg *py.Dict) model.Identity {
	if i, ok := m.(model.Identifier); ok {
		return i.Identity()
	}
	return model.Identity{Name: cfg.Str("path"), Backend: cfg.Str("type")}
}

func (x *Inferer) set(ctx context.Context, ds *py.Dict) (*dataset.Set, error) {
	abbr := spec.DatasetAbbr(ds)
	if s := x.sets[abbr]; s != nil {
		return s, nil
	}
	s, err := dataset.Read(ctx, ds, x.d.Source)
	if err != nil {
		return nil, fmt.Errorf("read dataset %s: %w", abbr, err)
	}
	x.sets = map[string]*dataset.Set{abbr: s} // one at a time: parts of one dataset come together
	return s, nil
}

// Infer asks every row of p that has no record yet.  The inputs of the outcome
// say what its records are made from.
func (x *Inferer) Infer(ctx context.Context, m *Manifest, p Unit) (Outcome, error) {
	o := m.Options
	set, err := x.set(ctx, p.Dataset)
	if err != nil {
		return Outcome{}, err
	}
	if err := x.open(ctx); err != nil {
		return Outcome{}, err
	}
	inf := p.Dataset.Dict("infer_cfg")
	icfg := inf.Dict("inferencer")
	ic, err := infer.Classes.Lookup(icfg.Str("type"))
	if err != nil {
		return Outcome{}, Unknown(icfg, err)
	}
	if ic.NeedsScore {
		_, scores := x.m.(model.Scorer)
		_, own := x.m.(model.Perplexer)
		if !scores && !own {
			return Outcome{}, &model.EndpointError{Err: fmt.Errorf("%s needs log-probabilities of given texts, which model %s does not give", icfg.Str("type"), x.abbr)}
		}
	}
	inputs, err := Inputs(set.Content, p.Dataset, x.cfg, x.id, p.Cuts)
	if err != nil {
		return Outcome{}, err
	}
	w, err := x.writer(m, p, store.Header{Model: x.abbr, Dataset: p.Abbr, Total: len(set.Test), Inputs: inputs})
	if err != nil {
		return Outcome{}, err
	}
	start, end := p.Start, p.Stop
	if p.Stop == 0 || end > len(set.Test) {
		end = len(set.Test)
	}
	start = min(max(start, 0), end)
	rows := make([]int, 0, end-start)
	for i := start; i < end; i++ {
		rows = append(rows, i)
	}
	sink := &countingSink{w: w, d: x.d, ev: event.Event{Kind: event.TaskProgress, Task: p.Task, Model: x.abbr, Dataset: p.Abbr, Total: len(rows)}, max: o.MaxFailedSamples}
	job := &infer.Job{
		Model: x.m, Class: x.class, ModelCfg: x.cfg, Identity: x.id,
		Set: set, Rows: rows, Index: rows, InferCfg: inf,
		Sink: sink, Log: x.d.Log, Drain: x.d.Drain, DumpResLength: o.DumpResLength,
		Batch: batches(icfg, x.cfg, p.Cuts, len(set.Test)),
	}
	in, err := ic.New(icfg)
	if err == nil {
		ctx2, cancel := context.WithCancelCause(ctx)
		sink.cancel = cancel
		err = in.Run(ctx2, job)
		if c := context.Cause(ctx2); c != nil && err != nil {
			var t *TooManyFailedError
			if errors.As(c, &t) {
				err = c
			}
		}
		cancel(nil)
	}
	if err != nil {
		x.closeWriter() // the next unit may find a better state; the first error is the one to tell
	}
	sink.flush()
	return Outcome{Total: len(rows), Done: int(sink.done.Load()), Reused: int(sink.reused.Load()), Failed: int(sink.failed.Load()), Inputs: inputs}, err
}

// countingSink passes records on and tells the listeners how far the piece is,
// at most ten times a second.
type countingSink struct {
	w      infer.Sink
	d      Deps
	ev     event.Event
	max    int
	cancel context.CancelCauseFunc

	done, reused, failed atomic.Int64
	fresh                atomic.Int64 // of failed, in this attempt: what the budget is for
	last                 atomic.Int64 // Unix nanoseconds of the last event
}

func (s *countingSink) Have(index int, id string) bool {
	if !s.w.Have(index, id) {
		return false
	}
	if w, ok := s.w.(*store.Writer); ok && w.HasFailed(index, id) {
		s.failed.Add(1)
	}
	s.reused.Add(1)
	s.done.Add(1)
	s.tick()
	return true
}

func (s *countingSink) Put(ctx context.Context, r infer.Record) error {
	r.Error = Scrub(r.Error, s.d.Secrets)
	if err := s.w.Put(ctx, r); err != nil {
		return err
	}
	s.done.Add(1)
	if r.State == infer.Failed {
		s.failed.Add(1)
		n := s.fresh.Add(1)
		e := s.ev
		e.Kind, e.Index, e.Error, e.Total = event.SampleFailed, r.Index, r.Error, 0
		e.Time = s.d.Now()
		s.d.Events.Emit(e)
		if s.max >= 0 && n > int64(s.max) {
			s.cancel(&TooManyFailedError{Limit: s.max, Last: r.Error})
		}
	}
	s.tick()
	return nil
}

func (s *countingSink) tick() {
	now := s.d.Now().UnixNano()
	last := s.last.Load()
	if d := now - last; d >= 0 && d < int64(100*time.Millisecond) || !s.last.CompareAndSwap(last, now) {
		return
	}
	s.flush()
}

func (s *countingSink) flush() {
	e := s.ev
	e.Time = s.d.Now()
	e.Done, e.Reused, e.Failed = int(s.done.Load()), int(s.reused.Load()), int(s.failed.Load())
	s.d.Events.Emit(e)
}
