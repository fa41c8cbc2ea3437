package retry

import (
	"context"
	"errors"
	"testing"
	"time"

	"sextant/internal/model"
)

// flaky answers with a RetryError so many times.
type flaky struct {
	fails int
	after time.Duration
	calls int
}

func (f *flaky) Generate(context.Context, model.Request) (model.Response, error) {
	f.calls++
	if f.calls <= f.fails {
		return model.Response{}, &model.RetryError{Err: errors.New("503"), After: f.after}
	}
	return model.Response{Texts: []string{"ok"}}, nil
}
func (f *flaky) Limits() model.Limits              { return model.Limits{} }
func (f *flaky) Close() error                      { return nil }
func (f *flaky) CountTokens(s string) (int, error) { return len(s), nil }

func policy(waits *[]time.Duration) Policy {
	return Policy{Base: time.Second, Max: 8 * time.Second, Attempts: 6, Down: 2,
		Rand:  func() float64 { return 0.5 },
		Sleep: func(_ context.Context, d time.Duration) error { *waits = append(*waits, d); return nil }}
}

func TestBackoffDoubles(t *testing.T) {
	var waits []time.Duration
	f := &flaky{fails: 5}
	m := New(f, policy(&waits))
	r, err := m.Generate(context.Background(), model.Request{})
	if err != nil || r.Texts[0] != "ok" {
		t.Fatalf("got %v, %v", r, err)
	}
	want := []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 6 * time.Second, 6 * time.Second}
	if len(waits) != len(want) {
		t.Fatalf("waits %v, want %v", waits, want)
	}
	for i := range want {
		if waits[i] != want[i] {
			t.Errorf("wait %d is %v, want %v", i, waits[i], want[i])
		}
	}
	if n := m.(Retrier).Retries(); n != 5 {
		t.Errorf("retries %d, want 5", n)
	}
}

func TestRetryAfterWins(t *testing.T) {
	var waits []time.Duration
	m := New(&flaky{fails: 1, after: 20 * time.Second}, policy(&waits))
	if _, err := m.Generate(context.Background(), model.Request{}); err != nil {
		t.Fatal(err)
	}
	if len(waits) != 1 || waits[0] < 20*time.Second || waits[0] > 21*time.Second {
		t.Errorf("waits %v, want one of 20 to 21 s", waits)
	}
}

func TestExhaustedIsTheSamplesThenTheEndpoints(t *testing.T) {
	var waits []time.Duration
	m := New(&flaky{fails: 1000}, policy(&waits))
	_, err := m.Generate(context.Background(), model.Request{})
	var se *model.SampleError
	if !errors.As(err, &se) || se.Reason != "retries_exhausted" {
		t.Fatalf("first: %v, want a SampleError", err)
	}
	_, err = m.Generate(context.Background(), model.Request{})
	var ee *model.EndpointError
	if !errors.As(err, &ee) {
		t.Fatalf("second: %v, want an EndpointError", err)
	}
	var x *ExhaustedError
	if !errors.As(err, &x) || x.Attempts != 6 {
		t.Errorf("cause %v, want 6 attempts", err)
	}
}

func TestBudgetBoundsWaiting(t *testing.T) {
	var waits []time.Duration
	p := policy(&waits)
	p.Budget = 3 * time.Second
	f := &flaky{fails: 1000}
	_, err := New(f, p).Generate(context.Background(), model.Request{})
	if err == nil || f.calls != 3 {
		t.Errorf("%d calls (%v), want 3", f.calls, err)
	}
	if _, err := New(&flaky{fails: 1, after: time.Hour}, p).Generate(context.Background(), model.Request{}); err == nil {
		t.Error("a Retry-After beyond the budget was waited for")
	}
}

func TestOtherErrorsPass(t *testing.T) {
	var waits []time.Duration
	want := &model.SampleError{Reason: "content_filter", Err: errors.New("no")}
	m := New(&always{want}, policy(&waits))
	if _, err := m.Generate(context.Background(), model.Request{}); err != want || len(waits) != 0 {
		t.Errorf("got %v after %d waits", err, len(waits))
	}
}

type always struct{ err error }

func (f *always) Generate(context.Context, model.Request) (model.Response, error) {
	return model.Response{}, f.err
}
func (f *always) Limits() model.Limits { return model.Limits{} }
func (f *always) Close() error         { return nil }

func TestCancelEndsWaiting(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	m := New(&flaky{fails: 1000}, Policy{Base: time.Hour, Max: time.Hour, Budget: 100 * time.Hour})
	done := make(chan error, 1)
	go func() { _, err := m.Generate(ctx, model.Request{}); done <- err }()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestAbilitiesStay(t *testing.T) {
	if _, ok := New(&flaky{}, Policy{}).(model.Tokenizer); !ok {
		t.Error("the tokenizer is gone")
	}
	if _, ok := New(&always{}, Policy{}).(model.Tokenizer); ok {
		t.Error("a tokenizer out of nowhere")
	}
	if _, ok := New(&always{}, Policy{}).(model.Scorer); ok {
		t.Error("a scorer out of nowhere")
	}
}
