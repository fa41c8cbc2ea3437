package infer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"

	"sextant/internal/model"
	"sextant/internal/py"
)

// question is one row on its way through the model: one request or several,
// and the record that is made when all of them are answered.
type question struct {
	row   int // of Set.Test
	index int // in the whole test set
	id    string

	key  string // text that says which questions share a prefix
	cost int    // bytes of the prompts
	n    int    // requests

	// ask sends request k (0 ≤ k < n) and keeps its answer; requests of one
	// question may run at the same time.
	ask func(ctx context.Context, k int) error
	// record is made from the answers; called once, after all of them.
	record func() (*py.Dict, error)
	// prompt is the record without an answer, for a question that failed.
	prompt func() *py.Dict

	cut    atomic.Uint32 // Cut
	left   atomic.Int32
	failed atomic.Pointer[error]
}

// cutIf notes that c was cut if it was.
func (q *question) cutIf(was bool, c Cut) {
	if was {
		q.cut.Or(uint32(c))
	}
}

// order says how questions within a window are sorted.
type order int

const (
	byPrefix     order = iota // questions that share a prefix are neighbours
	longestFirst              // so that no long answer is left alone at the end
)

// Windows bound how many rendered questions, and how many bytes of prompts, are
// sorted together and held at once. The first is small in bytes, so that the
// model starts while the rest is being rendered.
const (
	windowRows  = 4096
	firstWindow = 2 << 20
	nextWindow  = 16 << 20
)

type request struct {
	q *question
	k int
}

// drive asks all rows that the sink does not have. render makes the question
// of Rows[i]; it is called from one goroutine, and its errors end the job. At
// most Limits().InFlight requests run at once.
func (s *setup) drive(ctx context.Context, ord order, render func(i int) (*question, error)) error {
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	windows := make(chan []*question, 1)
	requests := make(chan request)
	finished := make(chan *question, s.inFlight())
	drained := make(chan struct{})

	var producers, workers, writer sync.WaitGroup

	producers.Add(2)
	go func() { // renders
		defer producers.Done()
		defer close(windows)
		limit := firstWindow
		for i := 0; i < len(s.Rows); limit = nextWindow {
			var w []*question
			for size := 0; i < len(s.Rows) && len(w) < windowRows && size < limit; i++ {
				if ctx.Err() != nil || s.drained() {
					return
				}
				var q *question
				if err := guard(func() (err error) { q, err = render(i); return err }); err != nil {
					cancel(fmt.Errorf("row %d of %s: %w", s.Index[i], s.Set.Abbr, err))
					return
				}
				if !s.Sink.Have(q.index, q.id) {
					w = append(w, q)
					size += q.cost
				}
			}
			arrange(w, ord)
			select {
			case windows <- w:
			case <-ctx.Done():
				return
			case <-s.Drain:
				return
			}
		}
	}()
	go func() { // hands out
		defer producers.Done()
		defer close(requests)
		for w := range windows {
			for _, q := range w {
				if s.drained() {
					close(drained)
					return
				}
				q.left.Store(int32(q.n))
				if q.n == 0 {
					cancel(fmt.Errorf("row %d of %s: there is nothing to ask", q.index, s.Set.Abbr))
					return
				}
				for k := 0; k < q.n; k++ {
					select {
					case requests <- request{q, k}:
					case <-ctx.Done():
						return
					}
				}
			}
		}
		if s.drained() {
			close(drained)
		}
	}()

	for i := 0; i < s.inFlight(); i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for r := range requests {
				if ctx.Err() != nil {
					continue // the rest is let go, so that the producers end
				}
				if r.q.failed.Load() == nil {
					if err := guard(func() error { return r.q.ask(ctx, r.k) }); err != nil {
						var se *model.SampleError
						if !errors.As(err, &se) {
							cancel(fmt.Errorf("row %d of %s: %w", r.q.index, s.Set.Abbr, err))
							continue
						}
						r.q.failed.CompareAndSwap(nil, &err)
					}
				}
				if r.q.left.Add(-1) == 0 {
					finished <- r.q
				}
			}
		}()
	}

	writer.Add(1)
	go func() {
		defer writer.Done()
		for q := range finished {
			rec := Record{Index: q.index, ID: q.id, State: OK}
			if e := q.failed.Load(); e != nil {
				rec.State, rec.Error = Failed, (*e).Error()
			} else if err := guard(func() (err error) { rec.Data, err = q.record(); return err }); err != nil {
				rec.State, rec.Error = Failed, err.Error()
			}
			if rec.State == Failed {
				rec.Data = q.prompt()
			}
			rec.Cut = Cut(q.cut.Load())
			// what was answered is kept even when the job is ending: the
			// answer was paid for
			if err := s.Sink.Put(context.WithoutCancel(parent), rec); err != nil {
				cancel(fmt.Errorf("record row %d of %s: %w", q.index, s.Set.Abbr, err))
			}
		}
	}()

	workers.Wait()
	close(finished)
	writer.Wait()
	producers.Wait()
	if ctx.Err() != nil {
		return ctxErr(ctx)
	}
	select {
	case <-drained:
		return ErrDrained
	default:
	}
	if s.drained() {
		return ErrDrained
	}
	return nil
}

// arrange sorts the questions of a window. The order of rows decides between
// equals, so that it does not depend on how a run was interrupted.
func arrange(w []*question, ord order) {
	sort.SliceStable(w, func(i, j int) bool {
		if ord == longestFirst {
			return w[i].cost > w[j].cost
		}
		return w[i].key < w[j].key
	})
}

// guard turns a panic in the handling of one question into that question's
// error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &model.SampleError{Reason: "internal", Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return f()
}

// question makes the frame of a question of Rows[i].
func (s *setup) question(i int, h idHash, prompts []string) *question {
	row := s.Rows[i]
	number, repeat := s.Set.Row(row)
	return &question{row: row, index: s.Index[i], id: h.sum(number, prompts, repeat)}
}
