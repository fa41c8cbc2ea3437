package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sextant/internal/model/engine/compute"
)

// pass computes batches, one at a time; each worker has its own.
type pass interface {
	compute(b *compute.Batch, threads int) error
	newBlock(tokens int) (*compute.Block, error)
	close()
}

// scheduler collects the requests in flight and has workers compute them in
// batches. Each worker computes with one thread as long as there is work for
// all: threads that share nothing need not wait for one another.
type scheduler struct {
	limits

	mu      sync.Mutex
	wake    *sync.Cond
	scores  []*scoreJob // in order of arrival
	gens    []*genJob
	closed  bool
	workers int
	busy    int // workers that compute
	// remembered is an estimate of the bytes of keys and values in use.
	remembered int64
	running    sync.WaitGroup

	computed, saved, out atomic.Int64
}

var errClosed = errors.New("the model is closed")

// scoreJob asks for the log-probabilities of ids[1:]. It has at least two ids.
type scoreJob struct {
	ids  []int32
	pads int // pad tokens before ids, see forest.add
	lp   []float64
	err  error
	done chan struct{}
	gone atomic.Bool // nobody waits any more
}

// collectWindow is how long a worker waits for further requests while they
// keep coming.
const collectWindow = 200 * time.Microsecond

// limits are what a scheduler keeps to.
type limits struct {
	maxRows   int // tokens in a batch; 0: 512
	maxActive int // generations that one worker keeps going; 0: 64
	vocab     int
	padID     int32
	positions int   // longest sequence, 0 without limit
	wide      bool  // the model is large enough for several threads to share a batch
	tokenCost int64 // bytes that a remembered token takes
	memory    int64 // bytes for remembered tokens; 0: no bound. One generation always runs
}

func newScheduler(l limits, passes []pass) *scheduler {
	if l.maxRows == 0 {
		l.maxRows = 512
	}
	if l.maxActive == 0 {
		l.maxActive = 64
	}
	s := &scheduler{limits: l, workers: len(passes)}
	s.wake = sync.NewCond(&s.mu)
	for _, p := range passes {
		s.running.Add(1)
		w := &worker{s: s, pass: p}
		go w.run()
	}
	return s
}

// score waits for the log-probabilities of ids[1:], and before them that of
// ids[0] if there is padding.
func (s *scheduler) score(ctx context.Context, ids []int32, pads int) ([]float64, error) {
	j := &scoreJob{ids: ids, pads: pads, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	s.scores = append(s.scores, j)
	s.mu.Unlock()
	s.wake.Signal()
	select {
	case <-j.done:
		return j.lp, j.err
	case <-ctx.Done():
		j.gone.Store(true)
		return nil, ctx.Err()
	}
}

// close ends the workers; requests in flight fail.
func (s *scheduler) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake.Broadcast()
	s.running.Wait()
}

// worker computes with its own pass.
type worker struct {
	s       *scheduler
	pass    pass
	forest  forest
	active  []*genJob
	batchNo int
	logits  []float32
	gen     compute.Batch
}

func (w *worker) run() {
	s := w.s
	defer s.running.Done()
	defer w.pass.close()
	for {
		scores, gens, threads, ok := w.take()
		if !ok {
			w.fail(errClosed)
			return
		}
		if len(scores) > 0 {
			w.score(scores, threads)
		}
		if len(gens) > 0 {
			w.prefill(gens, threads)
		}
		if len(w.active) > 0 {
			w.step(threads)
		}
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}
}

// take waits for work and takes this worker's part of it.
func (w *worker) take() (scores []*scoreJob, gens []*genJob, threads int, ok bool) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := -1
	for {
		if s.closed {
			return nil, nil, 0, false
		}
		n := len(s.scores) + len(s.gens)
		if n == 0 && len(w.active) == 0 {
			s.wake.Wait()
			seen = -1
			continue
		}
		// Wait a moment while requests are still coming in: neighbours share
		// prefixes. Not when there is plenty already.
		if len(w.active) > 0 || n == seen || s.rowsPending() >= 2*s.maxRows*s.workers {
			break
		}
		seen = n
		s.mu.Unlock()
		time.Sleep(collectWindow)
		s.mu.Lock()
	}
	s.busy++
	idle := s.workers - s.busy
	// A part for everybody: half of little work each, a full batch of much.
	scores = s.takeScores(idle + 1)
	if room := s.maxActive - len(w.active); room > 0 && len(s.gens) > 0 {
		k := min(room, (len(s.gens)+idle)/(idle+1))
		for len(gens) < k && s.affords(s.gens[len(gens)], len(w.active)+len(gens)) {
			gens = append(gens, s.gens[len(gens)])
		}
		s.gens = slices.Delete(s.gens, 0, len(gens))
	}
	if len(s.scores)+len(s.gens) > 0 {
		s.wake.Signal()
		return scores, gens, 1, true
	}
	if !s.wide {
		idle = 0
	}
	return scores, gens, 1 + idle, true
}

// affords reserves memory for j, if there is any or w runs nothing else; the
// caller holds mu.
func (s *scheduler) affords(j *genJob, running int) bool {
	j.memory = s.tokenCost * int64(len(j.ids)+min(j.max, 4*tailBlock))
	if s.memory > 0 && s.remembered+j.memory > s.memory && running > 0 {
		return false
	}
	s.remembered += j.memory
	return true
}

// rowsPending is an upper bound of the rows that wait; the caller holds mu.
func (s *scheduler) rowsPending() int {
	n := 0
	for _, j := range s.scores {
		n += len(j.ids)
	}
	return n
}

// takeScores removes a batch for one of the given number of workers: the
// oldest request, and around it those that share its prefix and their
// neighbours. The caller holds mu.
func (s *scheduler) takeScores(workers int) []*scoreJob {
	s.scores = slices.DeleteFunc(s.scores, func(j *scoreJob) bool { return j.gone.Load() })
	if len(s.scores) == 0 {
		return nil
	}
	oldest := s.scores[0]
	sorted := slices.Clone(s.scores)
	slices.SortStableFunc(sorted, func(a, b *scoreJob) int { return slices.Compare(a.ids, b.ids) })
	// new[i] are the rows that sorted[i] adds after its neighbour.
	rows := make([]int, len(sorted))
	total, at := 0, 0
	for i, j := range sorted {
		rows[i] = len(j.ids) - 1
		if i > 0 {
			rows[i] -= commonPrefix(j.ids[:len(j.ids)-1], sorted[i-1].ids[:len(sorted[i-1].ids)-1])
		}
		total += rows[i]
		if j == oldest {
			at = i
		}
	}
	limit := min(s.maxRows, max(total/workers, s.maxRows/4))
	from, to := at, at
	for from > 0 && 2*rows[from] < len(sorted[from].ids) { // the start of its family
		from--
	}
	n := 0
	for to = from; to < len(sorted) && (to == from || to <= at || n+rows[to] <= limit); to++ {
		n += rows[to]
	}
	// Cut between families, not within one, where that costs little.
	if to < len(sorted) {
		for cut := to; cut > at && cut > from+(to-from)*2/3; cut-- {
			if 2*rows[cut] >= len(sorted[cut].ids) {
				to = cut
				break
			}
		}
	}
	batch := sorted[from:to:to]
	taken := make(map[*scoreJob]bool, len(batch))
	for _, j := range batch {
		taken[j] = true
	}
	s.scores = slices.DeleteFunc(s.scores, func(j *scoreJob) bool { return taken[j] })
	return batch
}

// score computes a batch of sorted requests.
func (w *worker) score(jobs []*scoreJob, threads int) {
	f := &w.forest
	f.reset()
	tokens := 0
	for _, j := range jobs {
		f.add(j.ids, j.pads, w.s.padID)
		tokens += len(j.ids) - 1 + 2*min(j.pads, 1)
	}
	f.finish()
	w.s.computed.Add(int64(f.len()))
	w.s.saved.Add(int64(tokens - f.len()))
	err := w.pass.compute(&f.batch, threads)
	for i, j := range jobs {
		if j.err = err; err == nil {
			j.lp = f.logProbs(i)
		}
		close(j.done)
	}
}

// fail ends everything that waits or runs with err.
func (w *worker) fail(err error) {
	s := w.s
	s.mu.Lock()
	gens := append(w.active, s.gens...)
	scores := s.scores
	s.scores, s.gens, w.active = nil, nil, nil
	s.mu.Unlock()
	for _, j := range scores {
		j.err = err
		close(j.done)
	}
	for _, j := range gens {
		w.finish(j, err)
	}
}
