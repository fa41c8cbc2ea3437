package tokenizer

import (
	"container/heap"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// segmenter is the model of a tokenizer: it cuts one piece into tokens of the
// vocabulary. Safe for concurrent use.
type segmenter interface {
	segment(dst []int32, piece string) ([]int32, error)
}

type pair struct{ a, b int32 }

type merge struct{ rank, id int32 }

// bpe is byte-pair encoding.
type bpe struct {
	vocab        map[string]int32
	merges       map[pair]merge
	unk          int32 // NoID for none: characters without a token are dropped
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool // a piece that is a token is that token
	prefix       string
	suffix       string
	spelt        bool // pieces are plain text, to be spelt byte by byte
	byteID       [256]int32
	fallbackID   [256]int32
	cache        *pieceCache
}

// newBPE makes a model from merges in order of rank. Each names two tokens.
func newBPE(m *bpe, merges [][2]string) error {
	m.merges = make(map[pair]merge, len(merges))
	for rank, p := range merges {
		a, okA := m.vocab[p[0]]
		b, okB := m.vocab[p[1]]
		if !okA || !okB {
			missing := p[0]
			if okA {
				missing = p[1]
			}
			return fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, p[0], p[1], missing)
		}
		joined := p[0] + strings.TrimPrefix(p[1], m.prefix)
		id, ok := m.vocab[joined]
		if !ok {
			return fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, p[0], p[1], joined)
		}
		m.merges[pair{a, b}] = merge{int32(rank), id}
	}
	for b := range 256 {
		m.byteID[b], m.fallbackID[b] = NoID, NoID
		if id, ok := m.vocab[string(byteRune[b])]; ok {
			m.byteID[b] = id
		}
		if id, ok := m.vocab[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.fallbackID[b] = id
		}
	}
	m.cache = newPieceCache()
	return nil
}

func (m *bpe) segment(dst []int32, piece string) ([]int32, error) {
	slot, ids := m.cache.get(piece)
	if ids == nil {
		ids = m.merged(piece)
		m.cache.put(slot, piece, ids)
	}
	return append(dst, ids...), nil
}

// merged is the piece cut and merged, never nil.
func (m *bpe) merged(piece string) []int32 {
	if m.ignoreMerges {
		whole := piece
		if m.spelt {
			whole = spellBytes(piece)
		}
		if id, ok := m.vocab[whole]; ok {
			return []int32{id}
		}
	}
	ids := m.symbols(piece)
	if len(ids) > 48 {
		return m.mergeLong(ids)
	}
	return m.mergeShort(ids)
}

// symbols gives the ids of the single characters of piece.
func (m *bpe) symbols(piece string) []int32 {
	ids := make([]int32, 0, len(piece))
	pendingUnk := false
	if m.spelt && m.prefix == "" && m.suffix == "" {
		for i := 0; i < len(piece); i++ {
			ids, pendingUnk = m.symbol(ids, pendingUnk, m.byteID[piece[i]], string(byteRune[piece[i]]))
		}
	} else {
		if m.spelt {
			piece = spellBytes(piece)
		}
		for i := 0; i < len(piece); {
			_, n := utf8.DecodeRuneInString(piece[i:])
			s := piece[i : i+n]
			if i > 0 {
				s = m.prefix + s
			}
			if i+n == len(piece) {
				s += m.suffix
			}
			id, ok := m.vocab[s]
			if !ok {
				id = NoID
			}
			ids, pendingUnk = m.symbol(ids, pendingUnk, id, s)
			i += n
		}
	}
	if pendingUnk {
		ids = append(ids, m.unk)
	}
	return ids
}

// symbol adds one character, id NoID when it has no token. An unknown
// character waits, so that its neighbours can be fused with it.
func (m *bpe) symbol(ids []int32, pendingUnk bool, id int32, s string) ([]int32, bool) {
	if id != NoID {
		if pendingUnk {
			ids = append(ids, m.unk)
		}
		return append(ids, id), false
	}
	if m.byteFallback {
		n := len(ids)
		for i := 0; i < len(s); i++ {
			if f := m.fallbackID[s[i]]; f != NoID {
				ids = append(ids, f)
			} else {
				ids = ids[:n]
				break
			}
		}
		if len(ids) > n {
			return ids, pendingUnk
		}
	}
	if m.unk == NoID {
		return ids, pendingUnk
	}
	if pendingUnk && !m.fuseUnk {
		ids = append(ids, m.unk)
	}
	return ids, true
}

// mergeShort merges in place, best rank first, leftmost of equals.
func (m *bpe) mergeShort(ids []int32) []int32 {
	var rank [48]merge
	for i := 0; i+1 < len(ids); i++ {
		rank[i] = m.lookup(ids[i], ids[i+1])
	}
	for len(ids) > 1 {
		best := 0
		for i := 1; i+1 < len(ids); i++ {
			if rank[i].rank < rank[best].rank {
				best = i
			}
		}
		if rank[best].rank == noMerge {
			break
		}
		ids[best] = rank[best].id
		copy(ids[best+1:], ids[best+2:])
		copy(rank[best+1:len(ids)-1], rank[best+2:len(ids)])
		ids = ids[:len(ids)-1]
		if best > 0 {
			rank[best-1] = m.lookup(ids[best-1], ids[best])
		}
		if best+1 < len(ids) {
			rank[best] = m.lookup(ids[best], ids[best+1])
		}
	}
	return ids
}

const noMerge = 1<<31 - 1

func (m *bpe) lookup(a, b int32) merge {
	if e, ok := m.merges[pair{a, b}]; ok {
		return e
	}
	return merge{rank: noMerge}
}

// candidate is a possible merge of the symbol at pos with the next one.
type candidate struct {
	merge
	pos int32
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].pos < c[j].pos
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	x := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return x
}

// mergeLong gives what mergeShort gives in n log n: pieces can be whole texts.
func (m *bpe) mergeLong(ids []int32) []int32 {
	n := int32(len(ids))
	next := make([]int32, n)
	prev := make([]int32, n)
	var q candidates
	offer := func(i int32) {
		if i >= 0 && next[i] < n {
			if e, ok := m.merges[pair{ids[i], ids[next[i]]}]; ok {
				heap.Push(&q, candidate{e, i})
			}
		}
	}
	for i := range n {
		next[i], prev[i] = i+1, i-1
	}
	for i := range n {
		offer(i)
	}
	const gone = -2
	for len(q) > 0 {
		c := heap.Pop(&q).(candidate)
		i := c.pos
		if prev[i] == gone || next[i] >= n {
			continue
		}
		j := next[i]
		if e, ok := m.merges[pair{ids[i], ids[j]}]; !ok || e.id != c.id {
			continue // what stood here has been merged otherwise
		}
		ids[i] = c.id
		next[i] = next[j]
		if next[j] < n {
			prev[next[j]] = i
		}
		prev[j] = gone
		offer(prev[i])
		offer(i)
	}
	out := make([]int32, 0, n)
	for i := int32(0); i < n; i = next[i] {
		out = append(out, ids[i])
	}
	return out
}

// pieceCache remembers pieces. It is a table with one entry a slot, newest
// wins: bounded, no locks. Nil ids mean "not there".
type pieceCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cachedPiece]
}

type cachedPiece struct {
	text string
	ids  []int32
}

const (
	cacheSlots    = 1 << 15
	cacheMaxBytes = 128 // longer pieces are seldom seen twice
)

func newPieceCache() *pieceCache {
	return &pieceCache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cachedPiece], cacheSlots)}
}

func (c *pieceCache) get(s string) (slot int, ids []int32) {
	if len(s) > cacheMaxBytes {
		return -1, nil
	}
	slot = int(maphash.String(c.seed, s) % cacheSlots)
	if e := c.slots[slot].Load(); e != nil && e.text == s {
		return slot, e.ids
	}
	return slot, nil
}

func (c *pieceCache) put(slot int, s string, ids []int32) {
	if slot >= 0 {
		c.slots[slot].Store(&cachedPiece{strings.Clone(s), ids})
	}
}
