// Package fake is a model for tests that behaves like one: it has a
// tokenizer, gives each token a log-probability that depends on all tokens
// before it, answers from a script, takes time and fails as told. Everything
// follows from the text asked, so any number of goroutines in any order gets
// the same answers.
//
// Configs name it FakeModel (a base model) or FakeChatModel. It is no language
// model: never a baseline for a score.
package fake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	open := func(_ context.Context, cfg *py.Dict, env model.Env) (model.Model, error) {
		m, err := New(cfg)
		if err != nil || env.Getenv == nil {
			return m, err
		}
		return m, base(m).environment(env.Getenv)
	}
	check := func(cfg *py.Dict) error { _, err := New(cfg); return err }
	identify := func(_ context.Context, cfg *py.Dict, _ model.Env) (model.Identity, error) {
		m, err := New(cfg)
		if err != nil {
			return model.Identity{}, err
		}
		return base(m).Identity(), nil
	}
	model.Classes.Register(model.Class{Open: open, Check: check, Identify: identify, Spread: true}, "FakeModel")
	model.Classes.Register(model.Class{Open: open, Check: check, Identify: identify, Spread: true, Chat: true}, "FakeChatModel")
}

// Variables that say how a fake behaves without being part of its config, so
// that they can change while the questions stay the same.
const (
	// LogVar names a file to which every request appends two lines, when it
	// begins and when it has been answered: "b <pid> <TextID>", "e <pid> <TextID> <microseconds>".
	LogVar = "SEXTANT_FAKE_LOG"
	// HoldVar is a number and a file, divided by a blank: from that many
	// requests in the log on each waits, before it is answered, until there is
	// such a file. Those that wait add a line to the log: "h <pid> <TextID>".
	HoldVar = "SEXTANT_FAKE_HOLD"
	// DelayVar is the delay of each request, as time.ParseDuration reads it, in
	// place of delay_ms. Several, divided by commas, are those of the workers by
	// their place (SEXTANT_SLOT), the last for all further ones.
	DelayVar = "SEXTANT_FAKE_DELAY"
	// FailVar is a text: requests that contain it get no answer, as with
	// fail=[dict(match=…, kind='sample')].
	FailVar = "SEXTANT_FAKE_FAIL"
)

// TextID is how the request log names a text.
func TextID(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:8])
}

func base(m model.Model) *Model {
	if s, ok := m.(*StandIn); ok {
		return s.Model
	}
	return m.(*Scoring).Model
}

func (m *Model) environment(getenv func(string) string) error {
	if d := getenv(DelayVar); d != "" {
		each := strings.Split(d, ",")
		slot, _ := strconv.Atoi(getenv("SEXTANT_SLOT")) // 0 where there are no places
		v, err := time.ParseDuration(each[min(max(slot, 0), len(each)-1)])
		if err != nil {
			return fmt.Errorf("%s: %w", DelayVar, err)
		}
		m.Delay = v
	}
	if t := getenv(FailVar); t != "" {
		m.Fail = append(m.Fail, Failure{Match: t, Kind: "sample"})
	}
	if p := getenv(LogVar); p != "" {
		f, err := os.OpenFile(p, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			return fmt.Errorf("open request log: %w", err)
		}
		m.log = f
		if h := getenv(HoldVar); h != "" {
			n, file, _ := strings.Cut(h, " ")
			if m.holdFrom, err = strconv.Atoi(n); err != nil || m.holdFrom < 1 || file == "" {
				return fmt.Errorf("%s: %q is not a number and a file", HoldVar, h)
			}
			m.holdFile = file
		}
	}
	return nil
}

// hold keeps a request that the log has back as HoldVar says.
func (m *Model) hold(ctx context.Context, id string) error {
	if m.holdFile == "" {
		return nil
	}
	b, err := os.ReadFile(m.log.Name())
	if err != nil {
		return fmt.Errorf("request log: %w", err)
	}
	if bytes.Count(append([]byte("\n"), b...), []byte("\nb ")) < m.holdFrom {
		return nil
	}
	for told := false; ; {
		if _, err := os.Stat(m.holdFile); err == nil {
			return nil
		}
		if !told {
			told = true
			if _, err := fmt.Fprintf(m.log, "h %d %s\n", os.Getpid(), id); err != nil {
				return fmt.Errorf("request log: %w", err)
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Options are the keys of the model's dict beside the usual ones.
type Options struct {
	// Answers are scripted: the answer of the first pair whose key occurs in
	// the prompt (answers={'key': 'text'}). Without a match the answer is made
	// from a hash of the prompt.
	Answers [][2]string
	// Default, when set, is the answer where no script matches.
	Default    string
	HasDefault bool
	// Delay of each request.
	Delay time.Duration
	// InFlight is what Limits reports; 0 means 1.
	InFlight int
	// Fail are scripted failures.
	Fail []Failure
	// StandIn answers as the stand-in model does that the reference records of
	// whole configs were made with: perplexities from a checksum of the text,
	// empty texts as answers.
	StandIn bool
	// Name is what the model's identity calls it; "" means fake. Configs say
	// path.
	Name string
}

// Failure makes requests whose text contains Match fail: fail=[dict(match=…,
// kind='sample'|'retry'|'endpoint', times=n)].
type Failure struct {
	Match string
	Kind  string
	Times int // how often each text fails; 0 means always
}

// Model is the fake. Safe for concurrent use.
type Model struct {
	Options
	// Hook, when set, is called at the start of each request with its text.
	Hook func(ctx context.Context, text string)

	mu       sync.Mutex
	failures map[string]int

	requests, computed, out atomic.Int64
	now, peak               atomic.Int64

	log      *os.File // requests, nil where nobody asked for them
	holdFrom int      // see HoldVar
	holdFile string
}

var (
	_ model.Scorer     = (*Scoring)(nil)
	_ model.Perplexer  = (*StandIn)(nil)
	_ model.Tokenizer  = (*Model)(nil)
	_ model.Counter    = (*Model)(nil)
	_ model.Identifier = (*Model)(nil)
)

// Scoring is the fake with log-probabilities.
type Scoring struct{ *Model }

// StandIn is the fake with perplexities of its own.
type StandIn struct{ *Model }

// Known keys of the dict, the usual ones of a model included.
var known = map[string]bool{"type": true, "abbr": true, "path": true, "max_seq_len": true, "max_out_len": true, "batch_size": true, "run_cfg": true,
	"meta_template": true, "generation_kwargs": true, "pred_postprocessor": true, "summarizer_abbr": true, "min_out_len": true,
	"answers": true, "default": true, "delay_ms": true, "in_flight": true, "fail": true, "behaviour": true}

// New makes a fake of a model dict. The result is a *Scoring or a *StandIn.
func New(cfg *py.Dict) (model.Model, error) {
	var o Options
	for _, e := range cfg.Entries() {
		if !known[py.Str(e.Key)] {
			return nil, source.Errorf(cfg.KeyPosOf(e.Key), "FakeModel has no option %s", py.Str(e.Key))
		}
	}
	if d := cfg.Dict("answers"); d != nil {
		for _, e := range d.Entries() {
			o.Answers = append(o.Answers, [2]string{py.Str(e.Key), py.Str(e.Val)})
		}
	}
	o.Default, o.HasDefault = cfg.Get("default").(string)
	o.Delay = time.Duration(cfg.Int("delay_ms", 0)) * time.Millisecond
	o.InFlight = cfg.Int("in_flight", 0)
	o.StandIn = cfg.Str("behaviour") == "stand-in"
	o.Name = cfg.Str("path")
	if l := cfg.List("fail"); l != nil {
		for i, it := range l.Items {
			d, _ := it.(*py.Dict)
			f := Failure{Match: d.Str("match"), Kind: d.Str("kind"), Times: d.Int("times", 0)}
			switch f.Kind {
			case "sample", "retry", "endpoint":
			default:
				return nil, source.Errorf(l.PosOf(i), "kind of a failure must be sample, retry or endpoint")
			}
			o.Fail = append(o.Fail, f)
		}
	}
	return Open(o), nil
}

// Open makes a fake of options.
func Open(o Options) model.Model {
	m := &Model{Options: o, failures: map[string]int{}}
	if o.StandIn {
		return &StandIn{m}
	}
	return &Scoring{m}
}

// Limits implements model.Model.
func (m *Model) Limits() model.Limits {
	return model.Limits{InFlight: max(1, m.InFlight), SharedPrefixes: true}
}

// Close implements model.Model.
func (m *Model) Close() error {
	if m.log == nil {
		return nil
	}
	return m.log.Close()
}

// Identity implements model.Identifier.
func (m *Model) Identity() model.Identity {
	name := m.Name
	if name == "" {
		name = "fake"
	}
	return model.Identity{Name: name, Hash: "1", ComputeType: "float64", Backend: "fake"}
}

// Stats implements model.Counter.
func (m *Model) Stats() model.Stats {
	return model.Stats{Requests: m.requests.Load(), TokensComputed: m.computed.Load(), TokensOut: m.out.Load()}
}

// Peak is the largest number of requests that ran at one time.
func (m *Model) Peak() int { return int(m.peak.Load()) }

// begin does what all requests have in common; end is to be called after.
func (m *Model) begin(ctx context.Context, text string) (end func(), err error) {
	m.requests.Add(1)
	n := m.now.Add(1)
	for {
		p := m.peak.Load()
		if n <= p || m.peak.CompareAndSwap(p, n) {
			break
		}
	}
	end = func() { m.now.Add(-1) }
	if m.log != nil {
		id, begin := TextID(text), time.Now()
		if _, err := fmt.Fprintf(m.log, "b %d %s\n", os.Getpid(), id); err != nil {
			return end, fmt.Errorf("request log: %w", err)
		}
		end = func() {
			m.now.Add(-1)
			_, _ = fmt.Fprintf(m.log, "e %d %s %d\n", os.Getpid(), id, time.Since(begin).Microseconds()) // the beginning counts
		}
		if err := m.hold(ctx, id); err != nil {
			return end, err
		}
	}
	if m.Hook != nil {
		m.Hook(ctx, text)
	}
	if m.Delay > 0 {
		t := time.NewTimer(m.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return end, context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return end, context.Cause(ctx)
	}
	for _, f := range m.Fail {
		if !strings.Contains(text, f.Match) {
			continue
		}
		if f.Times > 0 {
			m.mu.Lock()
			m.failures[text]++
			done := m.failures[text] > f.Times
			m.mu.Unlock()
			if done {
				continue
			}
		}
		err := errors.New("scripted failure")
		switch f.Kind {
		case "sample":
			return end, &model.SampleError{Reason: "content_filter", Err: err}
		case "retry":
			return end, &model.RetryError{Err: err}
		default:
			return end, &model.EndpointError{Err: err, Hint: "this is a test"}
		}
	}
	return end, nil
}

// requestText is the text of a request, turns one after another.
func requestText(r model.Request) string {
	if r.Messages == nil {
		return r.Text
	}
	var b strings.Builder
	for _, m := range r.Messages {
		b.WriteString(m.Role)
		b.WriteString(": ")
		b.WriteString(m.Content)
		b.WriteByte('\n')
	}
	return b.String()
}

// Generate implements model.Model.
func (m *Model) Generate(ctx context.Context, r model.Request) (model.Response, error) {
	text := requestText(r)
	end, err := m.begin(ctx, text)
	defer end()
	if err != nil {
		return model.Response{}, err
	}
	var out model.Response
	for i := 0; i < max(1, r.N); i++ {
		a := m.answer(text, i)
		for _, s := range r.Stop {
			if s == "" {
				continue
			}
			a, _, _ = strings.Cut(a, s)
		}
		out.Texts = append(out.Texts, a)
		out.OutputTokens += len(tokenize(a)) - 1
	}
	out.FinishReason = "stop"
	out.PromptTokens = len(tokenize(text))
	m.computed.Add(int64(out.PromptTokens))
	m.out.Add(int64(out.OutputTokens))
	return out, nil
}

func (m *Model) answer(text string, i int) string {
	for _, kv := range m.Answers {
		if strings.Contains(text, kv[0]) {
			return kv[1]
		}
	}
	switch {
	case m.HasDefault:
		return m.Default
	case m.StandIn:
		return ""
	}
	h := fnv.New32a()
	h.Write([]byte(text))
	n := h.Sum32() + uint32(i)*2654435761
	return fmt.Sprintf("The answer is %c. (%s)", 'A'+rune(n%4), strconv.Itoa(int(n%1000)))
}

// tokenize cuts a text into a begin token and runs of letters, of digits, or
// single other bytes.
func tokenize(text string) []int32 {
	ids := []int32{0}
	class := func(c byte) int {
		switch {
		case c >= '0' && c <= '9':
			return 1
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80:
			return 2
		}
		return 0
	}
	for i := 0; i < len(text); {
		j := i + 1
		for k := class(text[i]); k != 0 && j < len(text) && class(text[j]) == k; j++ {
		}
		h := fnv.New32a()
		h.Write([]byte(text[i:j]))
		ids = append(ids, int32(h.Sum32()%50000)+1)
		i = j
	}
	return ids
}

// CountTokens implements model.Tokenizer.
func (m *Model) CountTokens(text string) (int, error) {
	if m.StandIn {
		return len(text)/4 + 1, nil
	}
	return len(tokenize(text)), nil
}

// Score implements model.Scorer. The log-probability of a token is a number
// between −10 and 0 made from a hash of the tokens up to it.
func (s *Scoring) Score(ctx context.Context, r model.ScoreRequest) (model.ScoreResponse, error) {
	end, err := s.begin(ctx, r.Text)
	defer end()
	if err != nil {
		return model.ScoreResponse{}, err
	}
	ids := tokenize(r.Text)
	out := model.ScoreResponse{}
	if r.MaxSeqLen > 0 && len(ids) > r.MaxSeqLen {
		ids, out.Truncated = ids[:r.MaxSeqLen], true
	}
	out.TokenIDs = ids
	s.computed.Add(int64(len(ids)))
	h := uint64(1469598103934665603)
	for i, id := range ids {
		h = (h ^ uint64(id)) * 1099511628211
		if i > 0 {
			x := h
			x ^= x >> 33
			x *= 0xff51afd7ed558ccd
			x ^= x >> 33
			out.LogProbs = append(out.LogProbs, -float64(x%1000003)/100000.3)
		}
	}
	if r.Continuation != "" {
		out.ContextTokens = len(tokenize(strings.TrimSuffix(r.Text, r.Continuation)))
	}
	return out, nil
}

// Perplexity implements model.Perplexer: a checksum of the text.
func (s *StandIn) Perplexity(ctx context.Context, text string) (float64, error) {
	end, err := s.begin(ctx, text)
	defer end()
	return checksum(text), err
}

// LogLikelihood implements model.Perplexer.
func (s *StandIn) LogLikelihood(ctx context.Context, text, continuation string) (float64, error) {
	end, err := s.begin(ctx, text)
	defer end()
	return -checksum(text + "|" + continuation), err
}

func checksum(text string) float64 {
	return float64(crc32.ChecksumIEEE([]byte(text))%100003) / 1000
}
