package engine

import (
	"slices"

	"sextant/internal/model/engine/compute"
)

// forest lays sequences out as one batch in which a prefix that several of
// them share is one run of rows. Sequences are added in lexicographic order;
// then each shares all that it can.
//
// Use: reset, add …, finish, compute, then logProbs of each sequence.
type forest struct {
	batch compute.Batch

	prev []int32 // tokens of the sequence added last
	rows []int32 // their rows
	head []int32 // for each row, its first entry in want, or -1
	want []want
	perm []int32 // want index → place in batch.Targets
	seqs []span  // of each sequence, in want indexes
	list []int32 // want indexes of all sequences, one after the other
}

// want is a target token of a row; the wants of a row form a list.
type want struct{ row, token, next int32 }

type span struct{ from, to int32 }

func (f *forest) reset() {
	f.batch.Reset()
	f.prev, f.rows, f.head = f.prev[:0], f.rows[:0], f.head[:0]
	f.want, f.seqs, f.list = f.want[:0], f.seqs[:0], f.list[:0]
}

// len is the number of rows so far.
func (f *forest) len() int { return len(f.batch.Tokens) }

// add enters a sequence whose tokens 1 … are to be scored. The last token is
// only a target: nothing follows it, so it needs no row. With pads above 0 so
// many pad tokens stand before the sequence and token 0 is scored after them;
// padding sees the whole sequence, so all of it needs rows then.
func (f *forest) add(ids []int32, pads int, padID int32) {
	in := ids[:len(ids)-1]
	if pads > 0 {
		in = ids
	}
	shared := commonPrefix(in, f.prev)
	f.rows = f.rows[:shared]
	if n := len(in) - shared; n > 0 {
		b := &f.batch
		node := compute.Node{Row: int32(len(b.Tokens)), Len: int32(n), FirstRun: int32(len(b.Ancestors)), Past: int32(shared), Keep: -1}
		b.Ancestors = appendRuns(b.Ancestors, f.rows)
		node.Runs = int32(len(b.Ancestors)) - node.FirstRun
		b.Nodes = append(b.Nodes, node)
		for i := shared; i < len(in); i++ {
			f.rows = append(f.rows, int32(len(b.Tokens)))
			b.Tokens = append(b.Tokens, in[i])
			b.Positions = append(b.Positions, int32(i))
			f.head = append(f.head, -1)
		}
	}
	f.prev = append(f.prev[:shared], in[shared:]...)
	from := int32(len(f.list))
	if pads > 0 {
		b := &f.batch
		row := int32(len(b.Tokens))
		node := compute.Node{Row: row, Len: 1, FirstRun: int32(len(b.Ancestors)), Past: int32(len(in)), Keep: -1, Pads: int32(pads)}
		b.Ancestors = appendRuns(b.Ancestors, f.rows)
		node.Runs = int32(len(b.Ancestors)) - node.FirstRun
		b.Nodes = append(b.Nodes, node)
		b.Tokens = append(b.Tokens, padID)
		b.Positions = append(b.Positions, -1)
		f.head = append(f.head, -1)
		f.list = append(f.list, f.target(row, ids[0]))
	}
	for i, row := range f.rows[:len(ids)-1] {
		f.list = append(f.list, f.target(row, ids[i+1]))
	}
	f.seqs = append(f.seqs, span{from, int32(len(f.list))})
}

// target finds or makes the entry for a target token of row.
func (f *forest) target(row, token int32) int32 {
	for w := f.head[row]; w >= 0; w = f.want[w].next {
		if f.want[w].token == token {
			return w
		}
	}
	f.want = append(f.want, want{row, token, f.head[row]})
	f.head[row] = int32(len(f.want) - 1)
	return f.head[row]
}

// finish makes the batch ready to compute.
func (f *forest) finish() {
	b := &f.batch
	f.perm = slices.Grow(f.perm[:0], len(f.want))[:len(f.want)]
	for row, w := range f.head {
		if w < 0 {
			continue
		}
		b.OutRows = append(b.OutRows, int32(row))
		b.OutFirst = append(b.OutFirst, int32(len(b.Targets)))
		for ; w >= 0; w = f.want[w].next {
			f.perm[w] = int32(len(b.Targets))
			b.Targets = append(b.Targets, f.want[w].token)
		}
	}
	b.OutFirst = append(b.OutFirst, int32(len(b.Targets)))
	b.LogProbs = slices.Grow(b.LogProbs[:0], len(b.Targets))[:len(b.Targets)]
}

// logProbs returns what was computed for the i-th sequence added, the token
// after the padding first if there was any.
func (f *forest) logProbs(i int) []float64 {
	s := f.seqs[i]
	out := make([]float64, 0, s.to-s.from)
	for _, w := range f.list[s.from:s.to] {
		out = append(out, f.batch.LogProbs[f.perm[w]])
	}
	return out
}

// appendRuns appends rows as runs of consecutive ones.
func appendRuns(runs []compute.Ancestor, rows []int32) []compute.Ancestor {
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && rows[j] == rows[j-1]+1 {
			j++
		}
		runs = append(runs, compute.Ancestor{Block: -1, Row: rows[i], Len: int32(j - i)})
		i = j
	}
	return runs
}

func commonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
