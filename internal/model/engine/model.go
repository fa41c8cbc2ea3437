package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"sextant/internal/model"
)

// codec is what the engine needs of a tokenizer.
type codec interface {
	Encode(text string, addSpecial bool) ([]int32, error)
	Decode(ids []int32, skipSpecial bool) string
}

// Model is an open model. It is a model.Model, Scorer, Tokenizer, Prober,
// Identifier and Counter.
type Model struct {
	opts  options
	log   *slog.Logger
	tok   codec
	sched *scheduler

	vocab     int
	positions int // longest sequence that the network can take
	maxSeqLen int // of a prompt
	padID     int32
	hasPad    bool
	padded    bool // the network knows what padding does
	eos       []int32
	identity  model.Identity
	free      func()

	requests atomic.Int64
}

var (
	_ model.Model      = (*Model)(nil)
	_ model.Scorer     = (*Model)(nil)
	_ model.Tokenizer  = (*Model)(nil)
	_ model.Prober     = (*Model)(nil)
	_ model.Identifier = (*Model)(nil)
	_ model.Counter    = (*Model)(nil)
)

// inFlight requests give every worker full batches and keep the next ones
// waiting; a waiting request costs a goroutine and its tokens.
const inFlight = 512

// Limits of the engine.
func (m *Model) Limits() model.Limits {
	return model.Limits{InFlight: inFlight, SharedPrefixes: true, MaxSeqLen: m.positions}
}

// Stats counts the work since opening.
func (m *Model) Stats() model.Stats {
	return model.Stats{Requests: m.requests.Load(), TokensComputed: m.sched.computed.Load(), TokensSaved: m.sched.saved.Load(), TokensOut: m.sched.out.Load()}
}

// Identity names the weights, the tokenizer and the type computed in.
func (m *Model) Identity() model.Identity { return m.identity }

// Close ends what is in flight and frees the weights. Only once.
func (m *Model) Close() error {
	m.sched.close()
	if m.free != nil {
		m.free()
	}
	return nil
}

// CountTokens counts as prompts are sent, special tokens included.
func (m *Model) CountTokens(text string) (int, error) {
	ids, err := m.encode(text)
	return len(ids), err
}

// encode gives the ids of text with special tokens and checks that the network
// knows them.
func (m *Model) encode(text string) ([]int32, error) {
	ids, err := m.tok.Encode(text, true)
	if err != nil {
		return nil, &model.SampleError{Reason: "tokenizer", Err: err}
	}
	for _, id := range ids {
		if int(id) >= m.vocab || id < 0 {
			return nil, &model.EndpointError{
				Err:  fmt.Errorf("the tokenizer gives id %d for a token of %q, the weights know ids below %d", id, short(text), m.vocab),
				Hint: "tokenizer and weights do not belong together; check tokenizer_path",
			}
		}
	}
	return ids, nil
}

// truncate cuts ids to limit tokens. The special tokens at both ends stay, as
// with the original's tokenizers: the text between them is cut.
func (m *Model) truncate(text string, ids []int32, limit int) ([]int32, error) {
	if limit <= 0 || len(ids) <= limit {
		return ids, nil
	}
	plain, err := m.tok.Encode(text, false)
	if err != nil {
		return nil, err
	}
	special := len(ids) - len(plain)
	if special < 0 || special >= limit {
		return ids[:limit], nil
	}
	before := 0
	for before < special && (len(plain) == 0 || ids[before] != plain[0] || !hasPrefix(ids[before:], plain)) {
		before++
	}
	keep := limit - special
	out := append([]int32(nil), ids[:before]...)
	if m.opts.truncateLeft {
		out = append(out, plain[len(plain)-keep:]...)
	} else {
		out = append(out, plain[:keep]...)
	}
	return append(out, ids[before+len(plain):]...), nil
}

func hasPrefix(s, prefix []int32) bool { return commonPrefix(s, prefix) == len(prefix) }

// fits refuses what the network has no positions for.
func (m *Model) fits(n int) error {
	if m.positions > 0 && n > m.positions {
		return &model.SampleError{Reason: "context_length", Err: fmt.Errorf("%d tokens, the model has %d positions", n, m.positions)}
	}
	return nil
}

// Score computes the log-probabilities of the tokens of r.Text.
func (m *Model) Score(ctx context.Context, r model.ScoreRequest) (model.ScoreResponse, error) {
	m.requests.Add(1)
	ids, err := m.encode(r.Text)
	if err != nil {
		return model.ScoreResponse{}, err
	}
	limit := r.MaxSeqLen
	if limit == 0 {
		limit = m.maxSeqLen
	}
	out := model.ScoreResponse{TokenIDs: ids, PadID: m.padID, HasPad: m.hasPad}
	if m.opts.dropMiddle && len(ids) > limit {
		out.TokenIDs = bothEnds(ids, limit)
	} else if out.TokenIDs, err = m.truncate(r.Text, ids, limit); err != nil {
		return model.ScoreResponse{}, err
	}
	out.Truncated = len(out.TokenIDs) < len(ids)
	if r.Continuation != "" {
		before, err := m.encode(strings.ReplaceAll(r.Text, r.Continuation, ""))
		if err != nil {
			return model.ScoreResponse{}, err
		}
		out.ContextTokens = len(before)
	}
	if n := r.FillTo - len(out.TokenIDs); n > 0 && m.hasPad {
		fill := slices.Repeat([]int32{m.padID}, n)
		if m.opts.padRight {
			out.TokenIDs = append(out.TokenIDs[:len(out.TokenIDs):len(out.TokenIDs)], fill...)
		} else {
			out.TokenIDs = append(fill, out.TokenIDs...)
		}
	}
	pads := 0
	if m.hasPad && !m.opts.padRight {
		out.Pads = max(0, r.PadTo-len(out.TokenIDs))
		if m.padded {
			pads = out.Pads
		}
	}
	out.LogProbs, err = m.scoreIDs(ctx, out.TokenIDs, pads)
	if pads > 0 && len(out.LogProbs) > 0 {
		out.Padded, out.PadLogProb, out.LogProbs = true, out.LogProbs[0], out.LogProbs[1:]
	}
	return out, err
}

// scoreIDs gives ln p(ids[i+1] | ids[:i+1]) for each i; with padding in front
// ln p(ids[0] | padding) comes before them.
func (m *Model) scoreIDs(ctx context.Context, ids []int32, pads int) ([]float64, error) {
	if len(ids) == 0 || len(ids) == 1 && pads == 0 {
		return nil, ctx.Err()
	}
	if err := m.fits(len(ids)); err != nil {
		return nil, err
	}
	lp, err := m.sched.score(ctx, ids, pads)
	if err != nil {
		return nil, m.fault(err)
	}
	return lp, nil
}

// fault wraps what went wrong in the engine itself.
func (m *Model) fault(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &model.EndpointError{Err: fmt.Errorf("compute %s: %w", m.opts.path, err)}
}

// defaultMaxOut bounds an answer when neither request nor config does.
const defaultMaxOut = 512

// Generate continues r.Text.
func (m *Model) Generate(ctx context.Context, r model.Request) (model.Response, error) {
	m.requests.Add(1)
	if len(r.Messages) > 0 {
		return model.Response{}, &model.EndpointError{Err: errors.New("a base model continues text; it takes no messages")}
	}
	maxOut := r.MaxTokens
	if m.opts.maxOutLen > 0 && (maxOut == 0 || m.opts.maxOutLen < maxOut) && r.MaxTokens == 0 {
		maxOut = m.opts.maxOutLen
	}
	if maxOut == 0 {
		maxOut = defaultMaxOut
	}
	prompt, truncated, err := m.prompt(r, maxOut)
	if err != nil {
		return model.Response{}, err
	}
	if len(prompt) == 0 {
		return model.Response{}, &model.SampleError{Reason: "empty_prompt", Err: errors.New("the prompt has no tokens")}
	}
	if err := m.fits(len(prompt) + 1); err != nil {
		return model.Response{}, err
	}
	choose := m.opts.choose
	if r.Temperature != nil {
		choose.sample = *r.Temperature > 0
		choose.temperature = *r.Temperature
	}
	seed := m.opts.seed
	if r.Seed != nil {
		seed = *r.Seed
	}
	stop := append(append([]string(nil), m.opts.stop...), r.Stop...)
	n := max(1, r.N)
	resp := model.Response{PromptTokens: len(prompt), Truncated: truncated}
	jobs := make([]*genJob, n)
	errs := make(chan error, n)
	for i := range jobs {
		ids := make([]int32, len(prompt), len(prompt)+min(maxOut, 256))
		copy(ids, prompt)
		jobs[i] = &genJob{ids: ids, prompt: len(prompt), max: maxOut, min: max(r.MinTokens, m.opts.minOutLen), eos: m.eos,
			choose: newSampler(choose, uint64(seed)+uint64(i)<<32^textSeed(prompt)), stopped: m.stopper(stop)}
		go func() { errs <- m.sched.generate(ctx, jobs[i]) }()
	}
	for range jobs {
		if e := <-errs; e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return model.Response{}, m.fault(err)
	}
	for _, j := range jobs {
		out := j.ids[len(prompt):]
		resp.OutputTokens += len(out)
		text := m.tok.Decode(out, true)
		if m.opts.wholeText { // the prompt's characters are counted before it was shortened
			text = runesFrom(m.tok.Decode(j.ids, true), utf8.RuneCountInString(r.Text))
		}
		resp.Texts = append(resp.Texts, m.cut(text, stop))
	}
	resp.FinishReason = jobs[0].reason
	for _, j := range jobs {
		if j.reason == "length" { // one that was cut is told of before those that were not
			resp.FinishReason = j.reason
		}
	}
	return resp, nil
}

// textSeed makes different prompts draw different numbers.
func textSeed(ids []int32) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range ids {
		h = (h ^ uint64(uint32(id))) * 1099511628211
	}
	return h
}

// prompt gives the ids of r.Text, shortened as the class does it; truncated
// says that it was.
func (m *Model) prompt(r model.Request, maxOut int) (ids []int32, truncated bool, err error) {
	ids, err = m.encode(r.Text)
	if err != nil {
		return nil, false, err
	}
	limit := r.MaxSeqLen
	if limit == 0 {
		limit = m.maxSeqLen
	}
	if m.opts.leaveRoom && !r.Batched {
		if limit -= maxOut; limit <= 0 {
			return nil, false, &model.SampleError{Reason: "context_length",
				Err: fmt.Errorf("max_out_len %d leaves no room for the prompt in max_seq_len %d", maxOut, limit+maxOut)}
		}
	}
	if len(ids) <= limit {
		return ids, false, nil
	}
	switch half := limit / 2; {
	case m.opts.dropMiddle:
		return bothEnds(ids, limit), true, nil
	case m.opts.midMode && !r.Batched:
		text := m.tok.Decode(ids[:half], true) + m.tok.Decode(ids[len(ids)-half:], true)
		if ids, err = m.encode(text); err != nil {
			return nil, false, err
		}
		ids, err = m.truncate(text, ids, limit)
		return ids, true, err
	}
	ids, err = m.truncate(r.Text, ids, limit)
	return ids, true, err
}

// bothEnds keeps n ids, half of them from each end; the odd one is from the
// end.
func bothEnds(ids []int32, n int) []int32 {
	return append(append([]int32(nil), ids[:n/2]...), ids[len(ids)-(n-n/2):]...)
}

// stopper tells whether one of the stop strings has appeared in what was
// generated. It looks at the last tokens only: a stop string of n bytes that
// has just been completed is in the last n tokens that have text.
func (m *Model) stopper(stop []string) func([]int32) bool {
	longest := 0
	for _, s := range stop {
		longest = max(longest, len(s))
	}
	if longest == 0 {
		return nil
	}
	window := longest + 8
	return func(out []int32) bool {
		tail := out[max(0, len(out)-window):]
		if text := m.tok.Decode(tail, true); !containsAny(text, stop) {
			return false
		}
		// the beginning of a window may decode differently from the whole
		return len(tail) == len(out) || containsAny(m.tok.Decode(out, true), stop)
	}
}

func containsAny(text string, stop []string) bool {
	for _, s := range stop {
		if s != "" && strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// runesFrom is s without its first n code points.
func runesFrom(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[i:]
		}
		n--
	}
	return ""
}

// cut ends an answer at the first stop string.
func (m *Model) cut(text string, stop []string) string {
	if m.opts.endStr != "" {
		text, _, _ = strings.Cut(text, m.opts.endStr)
	}
	for _, s := range stop {
		if s != "" {
			text, _, _ = strings.Cut(text, s)
		}
	}
	return text
}

// Probe scores a known text twice, alone and beside others, and generates a
// token if the run needs that.
func (m *Model) Probe(ctx context.Context, need model.Need) error {
	if need.MaxSeq > 0 && m.positions > 0 && need.MaxSeq > m.positions {
		return &model.EndpointError{Err: fmt.Errorf("%s has %d positions, the run needs %d", m.opts.path, m.positions, need.MaxSeq), Hint: "lower max_seq_len"}
	}
	const text = "The capital of France is Paris."
	a, err := m.Score(ctx, model.ScoreRequest{Text: text})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	for _, lp := range a.LogProbs {
		if !(lp <= 0) { // NaN too
			return &model.EndpointError{Err: fmt.Errorf("%s gives the log-probability %v: its weights are broken", m.opts.path, lp)}
		}
	}
	b, err := m.Score(ctx, model.ScoreRequest{Text: text})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if !slices.Equal(a.LogProbs, b.LogProbs) {
		return &model.EndpointError{Err: fmt.Errorf("%s scores the same text differently when asked again", m.opts.path)}
	}
	if need.Generate {
		if _, err := m.Generate(ctx, model.Request{Text: text, MaxTokens: 1}); err != nil {
			return fmt.Errorf("probe: %w", err)
		}
	}
	return nil
}

// short is the beginning of a text, for messages.
func short(text string) string {
	const n = 40
	if len(text) <= n {
		return text
	}
	cut := n
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
