package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sextant/internal/model"
)

// letters is a tokenizer whose ids are bytes: 'a' is 97; a text begins with 1
// and ends with 2.
type letters struct{ tail bool }

func (l letters) Encode(text string, special bool) ([]int32, error) {
	var ids []int32
	if special {
		ids = append(ids, 1)
	}
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	if special && l.tail {
		ids = append(ids, 2)
	}
	return ids, nil
}

func (l letters) Decode(ids []int32, skip bool) string {
	var b strings.Builder
	for _, id := range ids {
		if id > 2 || !skip {
			b.WriteByte(byte(id))
		}
	}
	return b.String()
}

// oracleModel is a Model over an oracle.
func oracleModel(t *testing.T, o options) *Model {
	p := newOracle(t, 128)
	m := &Model{opts: o, tok: letters{}, vocab: 128, positions: 50, maxSeqLen: o.maxSeqLen, padID: 0, hasPad: true, padded: true,
		sched: newScheduler(limits{vocab: 128, positions: 50}, []pass{p})}
	if m.maxSeqLen == 0 {
		m.maxSeqLen = 50
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestTruncation(t *testing.T) {
	tests := []struct {
		name  string
		left  bool
		tail  bool
		limit int
		want  string
	}{
		{"fits", true, false, 7, "\x01abcdef"},
		{"left keeps the start token", true, false, 4, "\x01def"},
		{"right", false, false, 4, "\x01abc"},
		{"both ends stay", true, true, 5, "\x01def\x02"},
		{"right with end", false, true, 5, "\x01abc\x02"},
		{"no limit", true, false, 0, "\x01abcdef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &Model{opts: options{truncateLeft: tt.left}, tok: letters{tt.tail}, vocab: 128}
			ids, err := m.encode("abcdef")
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.truncate("abcdef", ids, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			if s := (letters{}).Decode(got, false); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

func TestScore(t *testing.T) {
	m := oracleModel(t, options{truncateLeft: true, maxSeqLen: 6})
	r, err := m.Score(context.Background(), model.ScoreRequest{Text: "abcab", Continuation: "ab", PadTo: 9})
	if err != nil {
		t.Fatal(err)
	}
	ids := []int32{1, 'a', 'b', 'c', 'a', 'b'}
	if !slices.Equal(r.TokenIDs, ids) || r.Truncated || r.ContextTokens != 2 || !r.HasPad || r.PadID != 0 {
		t.Errorf("%+v", r)
	}
	if len(r.LogProbs) != 5 || r.LogProbs[4] != expect(ids[:5], 0, 'b') || !r.Padded || r.PadLogProb != expect(append([]int32{0}, ids...), 3, 1) {
		t.Errorf("%+v", r)
	}
	if r, err = m.Score(context.Background(), model.ScoreRequest{Text: "abcabcd", PadTo: 6}); err != nil || !r.Truncated || len(r.TokenIDs) != 6 || r.Padded {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = m.Score(context.Background(), model.ScoreRequest{Text: ""}); err != nil || len(r.TokenIDs) != 1 || len(r.LogProbs) != 0 {
		t.Errorf("an empty text: %+v, %v", r, err)
	}
	if r, err = m.Score(context.Background(), model.ScoreRequest{Text: "", PadTo: 4}); err != nil || !r.Padded || len(r.LogProbs) != 0 {
		t.Errorf("an empty text with padding: %+v, %v", r, err)
	}
	if err := m.Probe(context.Background(), model.Need{Score: true, Generate: true, MaxSeq: 50}); err != nil {
		t.Error(err)
	}
	var e *model.EndpointError
	if err := m.Probe(context.Background(), model.Need{MaxSeq: 51}); !errors.As(err, &e) {
		t.Errorf("more positions than there are: %v", err)
	}
	if _, err := m.Score(context.Background(), model.ScoreRequest{Text: "é"}); !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("ids that the weights do not know: %v", err)
	}
	var s *model.SampleError
	if _, err := m.Score(context.Background(), model.ScoreRequest{Text: strings.Repeat("x", 60), MaxSeqLen: 60}); !errors.As(err, &s) || s.Reason != "context_length" {
		t.Errorf("a text longer than the positions: %v", err)
	}
}

func TestPrompt(t *testing.T) {
	tests := []struct {
		name   string
		opts   options
		maxOut int
		want   string // "" for an error
	}{
		{"base cuts the start off", options{truncateLeft: true, maxSeqLen: 6}, 4, "\x01fghij"},
		{"base drops the middle", options{truncateLeft: true, dropMiddle: true, maxSeqLen: 6}, 4, "\x01abhij"},
		{"legacy leaves room", options{leaveRoom: true, maxSeqLen: 10}, 4, "\x01abcde"},
		{"legacy keeps both ends", options{leaveRoom: true, midMode: true, maxSeqLen: 10}, 4, "\x01abhij"},
		{"no room", options{leaveRoom: true, maxSeqLen: 10}, 10, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := oracleModel(t, tt.opts)
			got, _, err := m.prompt(model.Request{Text: "abcdefghij"}, tt.maxOut)
			if (err == nil) != (tt.want != "") || (letters{}).Decode(got, false) != tt.want {
				t.Errorf("got %q, %v; want %q", letters{}.Decode(got, false), err, tt.want)
			}
		})
	}
}

// What a batch or the ends of a long text change.
func TestScoreBeside(t *testing.T) {
	ctx := context.Background()
	left := oracleModel(t, options{maxSeqLen: 8})
	r, err := left.Score(ctx, model.ScoreRequest{Text: "ab", FillTo: 5})
	if err != nil || !slices.Equal(r.TokenIDs, []int32{0, 0, 1, 'a', 'b'}) || r.LogProbs[1] != expect([]int32{0, 0}, 0, 1) || r.Padded || r.Pads != 0 {
		t.Errorf("pad tokens before: %+v, %v", r, err)
	}
	if r, err = left.Score(ctx, model.ScoreRequest{Text: "ab", PadTo: 5}); err != nil || r.Pads != 2 || !r.Padded || len(r.LogProbs) != 2 {
		t.Errorf("padding before: %+v, %v", r, err)
	}
	right := oracleModel(t, options{padRight: true, maxSeqLen: 8})
	r, err = right.Score(ctx, model.ScoreRequest{Text: "ab", FillTo: 5})
	if err != nil || !slices.Equal(r.TokenIDs, []int32{1, 'a', 'b', 0, 0}) || r.LogProbs[3] != expect([]int32{1, 'a', 'b', 0}, 0, 0) {
		t.Errorf("pad tokens behind: %+v, %v", r, err)
	}
	if r, err = right.Score(ctx, model.ScoreRequest{Text: "ab", PadTo: 5}); err != nil || r.Pads != 0 || r.Padded || len(r.LogProbs) != 2 {
		t.Errorf("padding behind changes nothing: %+v, %v", r, err)
	}
	ends := oracleModel(t, options{truncateLeft: true, dropMiddle: true, maxSeqLen: 5})
	if r, err = ends.Score(ctx, model.ScoreRequest{Text: "abcdefg"}); err != nil || !slices.Equal(r.TokenIDs, []int32{1, 'a', 'e', 'f', 'g'}) || !r.Truncated {
		t.Errorf("both ends: %+v, %v", r, err)
	}
}

func TestPromptsBeside(t *testing.T) {
	m := &Model{tok: letters{}, vocab: 128, maxSeqLen: 6, opts: options{leaveRoom: true}}
	for batched, want := range map[bool]string{false: "abc", true: "abcde"} {
		ids, _, err := m.prompt(model.Request{Text: "abcdefgh", Batched: batched}, 2)
		if got := (letters{}).Decode(ids, true); err != nil || got != want {
			t.Errorf("batched %v: %q, %v", batched, got, err)
		}
	}
	if got := runesFrom("aéb", 2) + runesFrom("ab", 5); got != "b" {
		t.Errorf("got %q", got)
	}
}

func TestStop(t *testing.T) {
	m := &Model{tok: letters{}}
	stopped := m.stopper([]string{"", "END", "\n"})
	for s, want := range map[string]bool{"": false, "abc": false, "abEN": false, "abEND": true, "x\ny": true} {
		ids, _ := letters{}.Encode(s, false)
		if got := stopped(ids); got != want {
			t.Errorf("%q: stopped %v", s, got)
		}
	}
	if m.stopper(nil) != nil {
		t.Error("no stop strings, yet something looks for them")
	}
	m.opts.endStr = "#"
	ids, _ := letters{}.Encode("one#two\nthree END", false)
	if got := m.cut(letters{}.Decode(ids, true), []string{"\n", "END"}); got != "one" {
		t.Errorf("text %q", got)
	}
}

func TestGenerate(t *testing.T) {
	m := oracleModel(t, options{maxOutLen: 4})
	r, err := m.Generate(context.Background(), model.Request{Text: "abc", N: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []int32{1, 'a', 'b', 'c'}
	for range 4 {
		want = append(want, favourite(want, 128))
	}
	text := letters{}.Decode(want[4:], true)
	if !slices.Equal(r.Texts, []string{text, text}) || r.PromptTokens != 4 || r.OutputTokens != 8 || r.FinishReason != "length" {
		t.Errorf("%+v, want %q", r, text)
	}
	// stopped by what the second token says
	stop := letters{}.Decode(want[5:6], false)
	r, err = m.Generate(context.Background(), model.Request{Text: "abc", Stop: []string{stop}, MaxTokens: 30})
	if before, _, _ := strings.Cut(text, stop); err != nil || r.Texts[0] != before || r.FinishReason != "stop" {
		t.Errorf("%+v, %v, want %q", r, err, before)
	}
	// the positions end before max_out_len does
	if r, err = m.Generate(context.Background(), model.Request{Text: "abc", MaxTokens: 1000}); err != nil || r.OutputTokens != 46 || r.FinishReason != "length" {
		t.Errorf("%+v, %v", r, err)
	}
	if s := m.Stats(); s.Requests != 3 || s.TokensOut < 54 || s.TokensComputed == 0 {
		t.Errorf("%+v", s)
	}
	if _, err := m.Generate(context.Background(), model.Request{Messages: []model.Message{{Role: "user"}}}); err == nil {
		t.Error("a base model took messages")
	}
}
