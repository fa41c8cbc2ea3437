// Package retry asks a model again when it says that this may help.
//
// New wraps a model.Model; the result has the optional abilities (Scorer,
// Tokenizer, …) of what it wraps. Only model.RetryError is retried: with
// exponential back-off and full jitter, or after the time that the server
// asked for. When a request has used up its budget it becomes that sample's
// error; when several requests in a row have, the endpoint counts as down.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"sextant/internal/model"
)

// Policy says how often and how long. The zero value is the default.
type Policy struct {
	// Attempts is how often a request is sent at most; 0 means 8.
	Attempts int
	// Base is the back-off before the second attempt, doubled for each one
	// after; 0 means 500 ms.
	Base time.Duration
	// Max bounds one back-off; 0 means 60 s. A server's own Retry-After may be
	// longer, up to Budget.
	Max time.Duration
	// Budget bounds the sum of all waits of one request; 0 means 10 minutes.
	Budget time.Duration
	// Down is how many requests in a row may use up their budget before the
	// endpoint counts as down; 0 means 4.
	Down int
	// Sleep waits, or returns the reason when ctx ends first; nil means a
	// timer. Tests put a clock of their own here.
	Sleep func(ctx context.Context, d time.Duration) error
	// Rand gives the jitter, 0 ≤ r < 1; nil means a random source. It must be
	// safe for concurrent use.
	Rand func() float64
}

func (p Policy) withDefaults() Policy {
	if p.Attempts <= 0 {
		p.Attempts = 8
	}
	if p.Base <= 0 {
		p.Base = 500 * time.Millisecond
	}
	if p.Max <= 0 {
		p.Max = time.Minute
	}
	if p.Budget <= 0 {
		p.Budget = 10 * time.Minute
	}
	if p.Down <= 0 {
		p.Down = 4
	}
	if p.Sleep == nil {
		p.Sleep = sleep
	}
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ExhaustedError is the cause of a SampleError or EndpointError that this
// package made: the last answer after too many attempts.
type ExhaustedError struct {
	Attempts int
	Waited   time.Duration
	Err      error
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("gave up after %d attempts: %v", e.Attempts, e.Err)
}
func (e *ExhaustedError) Unwrap() error { return e.Err }

type retrier struct {
	model.Model
	p Policy

	exhausted atomic.Int32 // requests in a row that used up their budget

	mu      sync.Mutex
	retries int64 // guarded by mu
}

// Retrier is what New returns, under whatever abilities it has.
type Retrier interface {
	// Retries is how many requests were sent again so far.
	Retries() int64
	// Unwrap is the model inside.
	Unwrap() model.Model
}

// New wraps m.
func New(m model.Model, p Policy) model.Model {
	r := &retrier{Model: m, p: p.withDefaults()}
	sc, isScorer := m.(model.Scorer)
	pp, isPerplexer := m.(model.Perplexer)
	var inner model.Model = r
	switch {
	case isPerplexer:
		inner = &perplexing{r, pp}
	case isScorer:
		inner = &scoring{r, sc}
	}
	if t, ok := m.(model.Tokenizer); ok {
		switch x := inner.(type) {
		case *perplexing:
			return &struct {
				*perplexing
				model.Tokenizer
			}{x, t}
		case *scoring:
			return &struct {
				*scoring
				model.Tokenizer
			}{x, t}
		case *retrier:
			return &struct {
				*retrier
				model.Tokenizer
			}{x, t}
		}
	}
	return inner
}

// Retries implements Retrier.
func (r *retrier) Retries() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retries
}

// Unwrap implements Retrier.
func (r *retrier) Unwrap() model.Model { return r.Model }

// Stats implements model.Counter; zero where the model does not count.
func (r *retrier) Stats() model.Stats {
	if c, ok := r.Model.(model.Counter); ok {
		return c.Stats()
	}
	return model.Stats{}
}

// Identity implements model.Identifier; empty where the model does not know.
func (r *retrier) Identity() model.Identity {
	if c, ok := r.Model.(model.Identifier); ok {
		return c.Identity()
	}
	return model.Identity{}
}

// Probe implements model.Prober; a model that cannot probe passes.
func (r *retrier) Probe(ctx context.Context, need model.Need) error {
	p, ok := r.Model.(model.Prober)
	if !ok {
		return nil
	}
	return r.do(ctx, func() error { return p.Probe(ctx, need) })
}

// Generate implements model.Model.
func (r *retrier) Generate(ctx context.Context, q model.Request) (out model.Response, err error) {
	err = r.do(ctx, func() error { out, err = r.Model.Generate(ctx, q); return err })
	return out, err
}

type scoring struct {
	*retrier
	s model.Scorer
}

// Score implements model.Scorer.
func (s *scoring) Score(ctx context.Context, q model.ScoreRequest) (out model.ScoreResponse, err error) {
	err = s.do(ctx, func() error { out, err = s.s.Score(ctx, q); return err })
	return out, err
}

type perplexing struct {
	*retrier
	p model.Perplexer
}

// Perplexity implements model.Perplexer.
func (s *perplexing) Perplexity(ctx context.Context, text string) (out float64, err error) {
	err = s.do(ctx, func() error { out, err = s.p.Perplexity(ctx, text); return err })
	return out, err
}

// LogLikelihood implements model.Perplexer.
func (s *perplexing) LogLikelihood(ctx context.Context, text, cont string) (out float64, err error) {
	err = s.do(ctx, func() error { out, err = s.p.LogLikelihood(ctx, text, cont); return err })
	return out, err
}

func (r *retrier) do(ctx context.Context, ask func() error) error {
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		err := ask()
		var re *model.RetryError
		if !errors.As(err, &re) {
			if err == nil {
				r.exhausted.Store(0)
			}
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait := r.backoff(attempt, re.After)
		if attempt >= r.p.Attempts || waited+wait > r.p.Budget {
			cause := &ExhaustedError{Attempts: attempt, Waited: waited, Err: re.Err}
			if int(r.exhausted.Add(1)) >= r.p.Down {
				return &model.EndpointError{Err: cause, Hint: "the endpoint does not recover; run again with -r to go on where this stopped"}
			}
			return &model.SampleError{Reason: "retries_exhausted", Err: cause}
		}
		if err := r.p.Sleep(ctx, wait); err != nil {
			return err
		}
		waited += wait
		r.mu.Lock()
		r.retries++
		r.mu.Unlock()
	}
}

// backoff is how long to wait after an attempt: between half and all of the
// doubled base, and no shorter than the server asked for.
func (r *retrier) backoff(attempt int, after time.Duration) time.Duration {
	d := r.p.Base
	for i := 1; i < attempt && d < r.p.Max; i++ {
		d *= 2
	}
	d = min(d, r.p.Max)
	d = d/2 + time.Duration(r.p.Rand()*float64(d/2))
	if after > 0 {
		// a little more than asked, so that all waiting requests do not come at
		// the very same moment
		d = max(d, after+time.Duration(r.p.Rand()*float64(r.p.Base)))
	}
	return d
}
