package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sextant/internal/model/engine/compute"
)

// oracle is a pass whose network is a hash of all tokens before and at a row.
// It walks nodes and ancestors as the kernels do and so shows whether a batch
// says what it should.
type oracle struct {
	t      testing.TB
	vocab  int
	mu     *sync.Mutex
	blocks map[*compute.Block][]int32 // tokens whose keys stand there; -1: none
	fail   func() error
	delay  time.Duration
}

func newOracle(t testing.TB, vocab int) *oracle {
	return &oracle{t: t, vocab: vocab, mu: new(sync.Mutex), blocks: map[*compute.Block][]int32{}}
}

func (o *oracle) newBlock(tokens int) (*compute.Block, error) {
	b := &compute.Block{}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blocks[b] = slices.Repeat([]int32{-1}, tokens)
	return b, nil
}

func (o *oracle) close() {}

// expect is the log-probability that the oracle gives next after context.
func expect(context []int32, pads int, next int32) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, context, pads, next)
	return -float64(h.Sum64()%100000) / 1000
}

// favourite is the token that the oracle likes best after context.
func favourite(context []int32, vocab int) int32 {
	h := fnv.New64a()
	fmt.Fprint(h, context)
	return int32(h.Sum64() % uint64(vocab))
}

func (o *oracle) compute(b *compute.Batch, threads int) error {
	time.Sleep(o.delay)
	if o.fail != nil {
		if err := o.fail(); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	context := make([][]int32, len(b.Tokens))
	pads := make([]int, len(b.Tokens))
	for _, n := range b.Nodes {
		var past []int32
		for _, a := range b.Ancestors[n.FirstRun : n.FirstRun+n.Runs] {
			if a.Block < 0 {
				if a.Row+a.Len > n.Row {
					return fmt.Errorf("node at row %d looks at rows %d+%d", n.Row, a.Row, a.Len)
				}
				past = append(past, b.Tokens[a.Row:a.Row+a.Len]...)
			} else {
				past = append(past, o.blocks[b.Blocks[a.Block]][a.Row:a.Row+a.Len]...)
			}
		}
		if len(past) != int(n.Past) {
			return fmt.Errorf("node at row %d has %d tokens before it, says %d", n.Row, len(past), n.Past)
		}
		for i := range n.Len {
			r := n.Row + i
			if n.Pads > 0 {
				context[r], pads[r] = append([]int32{b.Tokens[r]}, past...), int(n.Pads)
				continue
			}
			if int(b.Positions[r]) != len(past) {
				return fmt.Errorf("row %d has position %d, want %d", r, b.Positions[r], len(past))
			}
			past = append(past, b.Tokens[r])
			context[r] = slices.Clone(past)
		}
		if n.Keep >= 0 {
			copy(o.blocks[b.Blocks[n.Keep]][n.KeepAt:n.KeepAt+n.Len], b.Tokens[n.Row:n.Row+n.Len])
		}
	}
	for i, r := range b.OutRows {
		if i > 0 && r <= b.OutRows[i-1] {
			return errors.New("rows out of order")
		}
		for k := b.OutFirst[i]; k < b.OutFirst[i+1]; k++ {
			b.LogProbs[k] = expect(context[r], pads[r], b.Targets[k])
		}
		if b.Logits != nil {
			l := b.Logits[i*o.vocab : (i+1)*o.vocab]
			clear(l)
			l[favourite(context[r], o.vocab)] = 1
		}
	}
	return nil
}

// family makes sequences that share prefixes.
func family(r *rand.Rand, n, vocab, longest int) [][]int32 {
	var out [][]int32
	for range n {
		var s []int32
		if len(out) > 0 && r.IntN(4) > 0 {
			p := out[r.IntN(len(out))]
			s = slices.Clone(p[:r.IntN(len(p)+1)])
		}
		for len(s) < 2 || r.IntN(longest) > 0 {
			s = append(s, r.Int32N(int32(vocab)))
		}
		out = append(out, s)
	}
	return out
}

func TestScoreSharesPrefixes(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, maxRows := range []int{1, 7, 512} {
			t.Run(fmt.Sprintf("workers=%d/rows=%d", workers, maxRows), func(t *testing.T) {
				t.Parallel()
				o := newOracle(t, 5)
				s := newScheduler(limits{vocab: 5, padID: 4, maxRows: maxRows}, slices.Repeat([]pass{o}, workers))
				defer s.close()
				// Requests share when they wait at the same time. Nothing but
				// chance makes them, so a machine may need several goes.
				for goes := 0; goes == 0 || maxRows > 100 && s.saved.Load() == 0 && !t.Failed(); goes++ {
					if goes == 1000 {
						t.Fatal("no prefix was shared")
					}
					askAll(t, s)
				}
			})
		}
	}
}

// askAll has a family of sequences scored at the same time.
func askAll(t *testing.T, s *scheduler) {
	var wg sync.WaitGroup
	for i, ids := range family(rand.New(rand.NewPCG(1, 2)), 300, 5, 20) {
		wg.Go(func() {
			pads := i % 3
			lp, err := s.score(context.Background(), ids, pads)
			if err != nil {
				t.Error(err)
				return
			}
			var want []float64
			if pads > 0 {
				want = append(want, expect(append([]int32{4}, ids...), pads, ids[0]))
			}
			for k := 1; k < len(ids); k++ {
				want = append(want, expect(ids[:k], 0, ids[k]))
			}
			if !slices.Equal(lp, want) {
				t.Errorf("sequence %d: %v, want %v", i, lp, want)
			}
		})
	}
	wg.Wait()
}

// A batch of options over one question computes the question once.
func TestForestRows(t *testing.T) {
	tests := []struct {
		name string
		seqs [][]int32
		rows int
	}{
		{"one", [][]int32{{1, 2, 3}}, 2},
		{"equal", [][]int32{{1, 2, 3}, {1, 2, 3}}, 2},
		{"options", [][]int32{{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 3, 6, 7}}, 4},
		{"prefix", [][]int32{{1, 2}, {1, 2, 3}, {1, 2, 3, 4}}, 3},
		{"nothing in common", [][]int32{{1, 2, 3}, {2, 2, 3}}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f forest
			for _, s := range tt.seqs {
				f.add(s, 0, 0)
			}
			f.finish()
			if f.len() != tt.rows {
				t.Errorf("%d rows, want %d", f.len(), tt.rows)
			}
		})
	}
}

func TestGenerateContinues(t *testing.T) {
	const vocab = 50
	for _, workers := range []int{1, 2} {
		for _, maxRows := range []int{3, 16, 512} {
			t.Run(fmt.Sprintf("workers=%d/rows=%d", workers, maxRows), func(t *testing.T) {
				t.Parallel()
				o := newOracle(t, vocab)
				s := newScheduler(limits{vocab: vocab, padID: -1, maxRows: maxRows, maxActive: 9, positions: 400, tokenCost: 1, memory: 2000},
					slices.Repeat([]pass{o}, workers))
				defer s.close()
				var wg sync.WaitGroup
				for i, ids := range family(rand.New(rand.NewPCG(3, 4)), 60, vocab, 30) {
					wg.Go(func() {
						j := &genJob{ids: slices.Clone(ids), prompt: len(ids), max: 1 + i*7%100, eos: []int32{7}, min: i % 5, choose: newSampler(greedyChoice, 0)}
						if err := s.generate(context.Background(), j); err != nil {
							t.Error(err)
							return
						}
						want, reason := slices.Clone(ids), ""
						for reason == "" {
							next := favourite(want, vocab)
							if next == 7 && len(want)-len(ids) < j.min {
								next = 0 // the first of the others, which are all alike
							}
							switch want = append(want, next); {
							case next == 7:
								want, reason = want[:len(want)-1], "stop"
							case len(want)-len(ids) >= j.max || len(want) >= 400:
								reason = "length"
							}
						}
						if !slices.Equal(j.ids, want) || j.reason != reason {
							t.Errorf("prompt %d: %v (%s), want %v (%s)", i, j.ids, j.reason, want, reason)
						}
					})
				}
				wg.Wait()
				if s.remembered != 0 {
					t.Errorf("%d bytes are still reserved", s.remembered)
				}
			})
		}
	}
}

var greedyChoice = sampling{temperature: 1, topP: 1, penalty: 1}

func TestFailedPass(t *testing.T) {
	broken := errors.New("broken")
	o := newOracle(t, 5)
	o.fail = func() error { return broken }
	s := newScheduler(limits{vocab: 5, maxRows: 4}, []pass{o})
	defer s.close()
	if _, err := s.score(context.Background(), []int32{1, 2, 3}, 0); !errors.Is(err, broken) {
		t.Errorf("score: %v", err)
	}
	for _, n := range []int{3, 20} { // 20 tokens take several batches
		j := &genJob{ids: make([]int32, n), prompt: n, max: 3, choose: newSampler(greedyChoice, 0)}
		if err := s.generate(context.Background(), j); !errors.Is(err, broken) {
			t.Errorf("generate after %d tokens: %v", n, err)
		}
	}
}

func TestCancelAndClose(t *testing.T) {
	o := newOracle(t, 5)
	o.delay = time.Millisecond
	s := newScheduler(limits{vocab: 5}, []pass{o})
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error)
	for i := range 8 {
		go func() {
			j := &genJob{ids: []int32{1, int32(i % 5)}, prompt: 2, max: math.MaxInt32, choose: newSampler(greedyChoice, 0)}
			errs <- s.generate(ctx, j)
		}()
	}
	if _, err := s.score(context.Background(), []int32{1, 2}, 0); err != nil { // beside endless generations
		t.Fatal(err)
	}
	cancel()
	for range 8 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("generate: %v", err)
		}
	}
	go func() {
		j := &genJob{ids: []int32{1}, prompt: 1, max: math.MaxInt32, choose: newSampler(greedyChoice, 0)}
		errs <- s.generate(context.Background(), j)
	}()
	for s.computed.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	s.close()
	if err := <-errs; !errors.Is(err, errClosed) {
		t.Errorf("generate at close: %v", err)
	}
	if _, err := s.score(context.Background(), []int32{1, 2}, 0); !errors.Is(err, errClosed) {
		t.Errorf("score after close: %v", err)
	}
}

func TestSampler(t *testing.T) {
	logits := func() []float32 { return []float32{1, 3, 3, -2} }
	if got := newSampler(greedyChoice, 1).next(logits(), nil); got != 1 {
		t.Errorf("greedy takes %d, want the first of the best", got)
	}
	s := newSampler(greedyChoice, 1)
	s.ban = []int32{1, 2}
	if got := s.next(logits(), nil); got != 0 {
		t.Errorf("greedy without the banned takes %d", got)
	}
	if got := newSampler(sampling{temperature: 1, topP: 1, penalty: 4}, 1).next(logits(), []int32{1, 2}); got != 0 {
		t.Errorf("greedy with a penalty takes %d", got)
	}
	count := func(c sampling) map[int32]int {
		n := map[int32]int{}
		s := newSampler(c, 7)
		for range 4000 {
			n[s.next(logits(), nil)]++
		}
		return n
	}
	all := count(sampling{sample: true, temperature: 1, topP: 1, penalty: 1})
	z := 2*math.Exp(3) + math.Exp(1) + math.Exp(-2)
	for id, l := range logits() {
		want := 4000 * math.Exp(float64(l)) / z
		if got := float64(all[int32(id)]); math.Abs(got-want) > 5*math.Sqrt(want)+3 {
			t.Errorf("token %d drawn %v times, want about %.0f", id, got, want)
		}
	}
	if n := count(sampling{sample: true, temperature: 1, topK: 2, topP: 1, penalty: 1}); n[1] == 0 || n[2] == 0 || n[0]+n[3] > 0 {
		t.Errorf("top_k=2 draws %v", n)
	}
	if n := count(sampling{sample: true, temperature: 1, topP: 0.4, penalty: 1}); len(n) != 1 || n[1] == 0 {
		t.Errorf("top_p=0.4 draws %v", n)
	}
}
