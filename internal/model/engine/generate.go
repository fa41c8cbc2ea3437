package engine

import (
	"context"
	"slices"
	"sync/atomic"

	"sextant/internal/model/engine/compute"
)

// genJob is one continuation in the making.
type genJob struct {
	ids     []int32 // prompt, then what was generated
	prompt  int     // tokens of the prompt
	max     int     // most tokens to generate
	min     int
	eos     []int32
	choose  *sampler
	stopped func(out []int32) bool // a stop string has appeared
	peek    func(logits []float32) // sees the logits before the choice; for tests

	segs []segment // where the keys and values of ids are
	kept int       // how many of ids they cover

	memory int64 // reserved for it

	reason string
	err    error
	done   chan struct{}
	gone   atomic.Bool
}

// segment is a stretch of a sequence's keys and values; it holds one reference
// to its block. In the pass that
// computes them (batchNo) they are rows of the batch.
type segment struct {
	block        *kvBlock
	at, n        int
	batchNo, row int
}

// kvBlock is a block that several sequences may refer to; one worker owns it.
type kvBlock struct {
	b    *compute.Block
	cap  int
	used int
	refs int
}

func (k *kvBlock) release() {
	if k.refs--; k.refs == 0 {
		k.b.Free()
	}
}

// tailBlock is the number of tokens for which a running generation gets room
// at a time.
const tailBlock = 64

// finish frees what j holds and lets its caller go on.
func (w *worker) finish(j *genJob, err error) {
	w.s.mu.Lock()
	w.s.remembered -= j.memory
	w.s.mu.Unlock()
	for _, s := range j.segs {
		s.block.release()
	}
	j.segs = nil
	j.err = err
	close(j.done)
}

// generate waits until j is finished; j.ids[j.prompt:] is the answer then.
func (s *scheduler) generate(ctx context.Context, j *genJob) error {
	j.done = make(chan struct{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.gens = append(s.gens, j)
	s.mu.Unlock()
	s.wake.Signal()
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		j.gone.Store(true)
		<-j.done // the worker lets go of it at its next step
		return ctx.Err()
	}
}

// prefill computes the prompts of new jobs, shared prefixes once, and chooses
// the first token of each.
func (w *worker) prefill(jobs []*genJob, threads int) {
	slices.SortStableFunc(jobs, func(a, b *genJob) int { return slices.Compare(a.ids, b.ids) })
	p := prefill{w: w, threads: threads}
	p.begin()
	for i, j := range jobs {
		if j.gone.Load() {
			w.finish(j, context.Canceled)
			continue
		}
		// The longest prefix that a running sequence or the one before has.
		var like *genJob
		best := 0
		try := func(o *genJob) {
			if n := min(commonPrefix(o.ids[:o.kept], j.ids), len(j.ids)-1); n > best {
				like, best = o, n
			}
		}
		for _, o := range w.active {
			try(o)
		}
		if i > 0 && jobs[i-1].segs != nil {
			try(jobs[i-1])
		}
		if like != nil {
			j.segs = shareSegments(like.segs, best)
			j.kept = best
			w.s.saved.Add(int64(best))
		}
		if err := p.add(j); err != nil {
			w.finish(j, err)
			continue
		}
		w.active = append(w.active, j)
	}
	_ = p.flush() // the jobs have been told
}

// shareSegments refers to the first n tokens of segs.
func shareSegments(segs []segment, n int) []segment {
	var out []segment
	for _, s := range segs {
		if n == 0 {
			break
		}
		s.n = min(s.n, n)
		s.block.refs++
		out = append(out, s)
		n -= s.n
	}
	return out
}

// prefill is a batch of prompts in the making.
type prefill struct {
	w       *worker
	threads int
	ends    []*genJob // jobs whose last prompt token is in the batch, in order of row
	blocks  map[*kvBlock]int32
}

func (p *prefill) begin() {
	p.w.batchNo++
	p.w.gen.Reset()
	p.ends = p.ends[:0]
	p.blocks = map[*kvBlock]int32{}
}

// add enters the tokens of j that are not kept yet, in as many batches as
// they need.
func (p *prefill) add(j *genJob) error {
	n := len(j.ids) - j.kept
	blk, err := p.w.newBlock(n)
	if err != nil {
		return err
	}
	for j.kept < len(j.ids) {
		room := p.w.s.maxRows - len(p.w.gen.Tokens)
		if room <= 0 {
			if err := p.flush(); err != nil {
				return err
			}
			p.begin()
			continue
		}
		n := min(room, len(j.ids)-j.kept)
		p.rows(j, blk, n, false)
	}
	p.w.gen.OutRows = append(p.w.gen.OutRows, int32(len(p.w.gen.Tokens)-1))
	p.ends = append(p.ends, j)
	return nil
}

// rows enters the next n tokens of j, to be kept in blk. With grow set they
// lengthen the last segment if that is in blk; only when no other sequence of
// this batch refers to it.
func (p *prefill) rows(j *genJob, blk *kvBlock, n int, grow bool) {
	b := &p.w.gen
	row := len(b.Tokens)
	node := compute.Node{Row: int32(row), Len: int32(n), FirstRun: int32(len(b.Ancestors)), Past: int32(j.kept), Keep: p.block(blk), KeepAt: int32(blk.used)}
	for _, s := range j.segs {
		if s.batchNo == p.w.batchNo {
			b.Ancestors = append(b.Ancestors, compute.Ancestor{Block: -1, Row: int32(s.row), Len: int32(s.n)})
		} else {
			b.Ancestors = append(b.Ancestors, compute.Ancestor{Block: p.block(s.block), Row: int32(s.at), Len: int32(s.n)})
		}
	}
	node.Runs = int32(len(b.Ancestors)) - node.FirstRun
	b.Nodes = append(b.Nodes, node)
	for i := range n {
		b.Tokens = append(b.Tokens, j.ids[j.kept+i])
		b.Positions = append(b.Positions, int32(j.kept+i))
	}
	if k := len(j.segs) - 1; grow && k >= 0 && j.segs[k].block == blk {
		j.segs[k].n += n
	} else {
		j.segs = append(j.segs, segment{block: blk, at: blk.used, n: n, batchNo: p.w.batchNo, row: row})
		blk.refs++
	}
	blk.used += n
	j.kept += n
}

// block is the number of blk in this batch.
func (p *prefill) block(blk *kvBlock) int32 {
	i, ok := p.blocks[blk]
	if !ok {
		i = int32(len(p.w.gen.Blocks))
		p.w.gen.Blocks = append(p.w.gen.Blocks, blk.b)
		p.blocks[blk] = i
	}
	return i
}

// flush computes the batch and lets the jobs that end in it choose a token.
func (p *prefill) flush() error {
	w := p.w
	b := &w.gen
	if len(b.Tokens) == 0 {
		return nil
	}
	vocab := w.s.vocab
	b.OutFirst = make([]int32, len(b.OutRows)+1)
	if need := len(b.OutRows) * vocab; need > 0 {
		if cap(w.logits) < need {
			w.logits = make([]float32, need)
		}
		b.Logits = w.logits[:need]
	}
	w.s.computed.Add(int64(len(b.Tokens)))
	err := w.pass.compute(b, p.threads)
	for i, j := range p.ends {
		if err != nil {
			j.reason, j.err = "error", err
			continue
		}
		w.next(j, b.Logits[i*vocab:(i+1)*vocab])
	}
	p.ends = p.ends[:0]
	w.sweep()
	return err
}

// next chooses j's next token and notes whether it is the last.
func (w *worker) next(j *genJob, logits []float32) {
	if j.peek != nil {
		j.peek(logits)
	}
	made := len(j.ids) - j.prompt
	if made < j.min {
		j.choose.ban = j.eos
	} else {
		j.choose.ban = nil
	}
	id := j.choose.next(logits, j.ids)
	j.ids = append(j.ids, id)
	w.s.out.Add(1)
	made++
	switch {
	case slices.Contains(j.eos, id):
		j.ids = j.ids[:len(j.ids)-1]
		j.reason = "stop"
	case j.stopped != nil && j.stopped(j.ids[j.prompt:]):
		j.reason = "stop"
	case made >= j.max || w.s.positions > 0 && len(j.ids) >= w.s.positions:
		j.reason = "length"
	}
}

// sweep lets finished jobs go.
func (w *worker) sweep() {
	w.active = slices.DeleteFunc(w.active, func(j *genJob) bool {
		if j.reason == "" && j.gone.Load() {
			j.reason, j.err = "canceled", context.Canceled
		}
		if j.reason == "" {
			return false
		}
		w.finish(j, j.err)
		return true
	})
}

// step computes one token of every active job.
func (w *worker) step(threads int) {
	w.sweep()
	if len(w.active) == 0 {
		return
	}
	p := prefill{w: w, threads: threads}
	p.begin()
	for _, j := range w.active {
		k := len(j.segs) - 1
		tail := j.segs[k].block
		if own := tail.refs == 1 && j.segs[k].at+j.segs[k].n == tail.used && tail.used < tail.cap; !own {
			blk, err := w.newBlock(tailBlock)
			if err != nil {
				j.reason, j.err = "error", err
				continue
			}
			tail = blk
		}
		p.rows(j, tail, 1, true)
		w.gen.OutRows = append(w.gen.OutRows, int32(len(w.gen.Tokens)-1))
		p.ends = append(p.ends, j)
	}
	_ = p.flush() // the jobs have been told
}

func (w *worker) newBlock(tokens int) (*kvBlock, error) {
	b, err := w.pass.newBlock(tokens)
	if err != nil {
		return nil, err
	}
	return &kvBlock{b: b, cap: tokens}, nil
}
