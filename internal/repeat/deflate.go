package repeat

// How many bytes a text takes depends on the compressor, and the rule for
// abnormal texts was drawn with zlib's at level 9. What follows finds the
// length of that stream to the byte, without making it: the matches that zlib
// chooses (lazily, in hash chains of up to 4096 links), where it ends blocks,
// and the lengths of the Huffman codes that it builds.

const (
	windowSize = 1 << 15
	minMatch   = 3
	maxMatch   = 258
	minAhead   = maxMatch + minMatch + 1
	maxDist    = windowSize - minAhead
	tooFar     = 4096 // a match of three bytes farther away costs more than it saves
	maxChain   = 4096
	goodMatch  = 32
	blockSyms  = 1<<14 - 1
	hashMask   = 1<<15 - 1
)

// gzipSize is the length of Python's gzip.compress(data): header and trailer
// of 18 bytes around the deflated stream.
func gzipSize(data []byte) int {
	d := deflater{in: data}
	for i := range d.head {
		d.head[i] = -1
	}
	d.lit.reset(286)
	d.dist.reset(30)
	d.lit.freq[256] = 1
	d.run()
	return 18 + (d.bits+7)/8
}

type deflater struct {
	in         []byte
	base       int // start of zlib's window, which moves in steps of windowSize
	pos        int
	blockStart int
	head       [hashMask + 1]int32
	prev       [windowSize]int32
	matchStart int
	bits       int

	syms      int
	lit, dist huffman
}

func (d *deflater) insert(at int) int {
	h := (int(d.in[at])<<10 ^ int(d.in[at+1])<<5 ^ int(d.in[at+2])) & hashMask
	old := d.head[h]
	d.prev[at&(windowSize-1)] = old
	d.head[h] = int32(at)
	return int(old)
}

func (d *deflater) run() {
	filled, length, available := 0, minMatch-1, false
	for {
		for filled-d.pos < minAhead && filled < len(d.in) {
			if d.pos-d.base >= windowSize+maxDist {
				d.base += windowSize
			}
			filled = min(len(d.in), d.base+2*windowSize)
		}
		if d.pos >= len(d.in) {
			break
		}
		ahead := filled - d.pos
		chain := -1
		if ahead >= minMatch {
			chain = d.insert(d.pos)
		}
		prevLength, prevMatch := length, d.matchStart
		length = minMatch - 1
		if chain > d.base && prevLength < maxMatch && d.pos-chain <= maxDist {
			length = d.longest(chain, prevLength, ahead)
			if length == minMatch && d.pos-d.matchStart > tooFar {
				length = minMatch - 1
			}
		}
		switch {
		case prevLength >= minMatch && length <= prevLength:
			last := d.pos + ahead - minMatch
			full := d.match(d.pos-1-prevMatch, prevLength)
			for range prevLength - 2 {
				if d.pos++; d.pos <= last {
					d.insert(d.pos)
				}
			}
			available, length = false, minMatch-1
			if d.pos++; full {
				d.flush()
			}
		case available:
			if d.literal(d.in[d.pos-1]) {
				d.flush()
			}
			d.pos++
		default:
			available = true
			d.pos++
		}
	}
	if available {
		d.literal(d.in[d.pos-1])
	}
	d.flush()
}

// longest finds the longest match in a chain, if it is longer than best.
func (d *deflater) longest(at, best, ahead int) int {
	links := maxChain
	if best >= goodMatch {
		links >>= 2
	}
	most := min(maxMatch, ahead)
	scan := d.in[d.pos:]
	limit := max(d.pos-maxDist, d.base)
	for best < most {
		m := d.in[at:]
		if m[best] == scan[best] && m[best-1] == scan[best-1] && m[0] == scan[0] && m[1] == scan[1] {
			n := 2
			for n < most && m[n] == scan[n] {
				n++
			}
			if n > best {
				d.matchStart, best = at, n
				if n >= most {
					break
				}
			}
		}
		at = int(d.prev[at&(windowSize-1)])
		if links--; at <= limit || links == 0 {
			break
		}
	}
	return min(best, ahead)
}

func (d *deflater) literal(c byte) (full bool) {
	d.lit.freq[c]++
	d.syms++
	return d.syms == blockSyms
}

func (d *deflater) match(dist, length int) (full bool) {
	d.lit.freq[257+lengthCode(length)]++
	d.dist.freq[distCode(dist)]++
	d.syms++
	return d.syms == blockSyms
}

// flush ends a block: stored, with the fixed codes or with codes of its own,
// whatever is shortest.
func (d *deflater) flush() {
	fixed := d.lit.fixedBits(257, lengthExtra, func(i int) int {
		switch {
		case i < 144 || i > 279:
			return 8
		case i < 256:
			return 9
		}
		return 7
	}) + d.dist.fixedBits(0, distExtra, func(int) int { return 5 })
	var lens huffman
	lens.reset(19)
	own := d.lit.build(15, 257, lengthExtra) + d.dist.build(15, 0, distExtra)
	lens.scan(&d.lit)
	lens.scan(&d.dist)
	own += lens.build(7, 16, []int{2, 3, 7})
	last := 18
	for last >= 3 && lens.len[lensOrder[last]] == 0 {
		last--
	}
	own += 3*(last+1) + 14
	ownBytes, fixedBytes := (own+3+7)/8, (fixed+3+7)/8
	stored, within := d.pos-d.blockStart, d.blockStart >= d.base
	switch {
	case within && stored+4 <= min(ownBytes, fixedBytes):
		d.bits = (d.bits+3+7)/8*8 + 8*(4+stored)
	case fixedBytes <= ownBytes:
		d.bits += 3 + fixed
	default:
		d.bits += 3 + own
	}
	d.blockStart, d.syms = d.pos, 0
	d.lit.reset(286)
	d.dist.reset(30)
	d.lit.freq[256] = 1
}

var (
	lengthExtra = []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distExtra   = []int{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	lensOrder   = []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

func lengthCode(n int) int {
	if n == maxMatch {
		return 28
	}
	return rangeCode(n-minMatch, lengthExtra)
}

func distCode(n int) int { return rangeCode(n-1, distExtra) }

// rangeCode is the code whose range holds n, given how many extra bits each has.
func rangeCode(n int, extra []int) int {
	for i, x := range extra {
		if n < 1<<x {
			return i
		}
		n -= 1 << x
	}
	return len(extra) - 1
}

// huffman is one alphabet's code. Nodes beyond the symbols are inner ones.
type huffman struct {
	symbols int
	freq    [2*286 + 1]int
	len     [2*286 + 1]int
	dad     [2*286 + 1]int
	depth   [2*286 + 1]int
	heap    []int // heap[0] is not used
	order   []int // nodes by falling frequency, the root first
	maxCode int
}

func (h *huffman) reset(symbols int) {
	h.symbols = symbols
	clear(h.freq[:])
	clear(h.len[:])
}

func extraOf(i, base int, extra []int) int {
	if i < base {
		return 0
	}
	return extra[i-base]
}

// fixedBits is what all symbols take with given lengths; it is asked before
// build, which may add symbols.
func (h *huffman) fixedBits(base int, extra []int, length func(int) int) int {
	n := 0
	for i := range h.symbols {
		if f := h.freq[i]; f > 0 {
			n += f * (length(i) + extraOf(i, base, extra))
		}
	}
	return n
}

func (h *huffman) smaller(a, b int) bool {
	return h.freq[a] < h.freq[b] || h.freq[a] == h.freq[b] && h.depth[a] <= h.depth[b]
}

func (h *huffman) down(k int) {
	v, n := h.heap[k], len(h.heap)-1
	for j := 2 * k; j <= n; j *= 2 {
		if j < n && h.smaller(h.heap[j+1], h.heap[j]) {
			j++
		}
		if h.smaller(v, h.heap[j]) {
			break
		}
		h.heap[k] = h.heap[j]
		k = j
	}
	h.heap[k] = v
}

// build finds the length of every symbol's code, none above most, and returns
// how many bits all symbols take. As in zlib there are at least two codes.
func (h *huffman) build(most, base int, extra []int) (bits int) {
	h.heap, h.order, h.maxCode = append(h.heap[:0], 0), h.order[:0], -1
	for i := range h.symbols {
		if h.freq[i] > 0 {
			h.heap = append(h.heap, i)
			h.maxCode, h.depth[i] = i, 0
		}
	}
	for len(h.heap) < 3 {
		i := 0
		if h.maxCode < 2 {
			h.maxCode++
			i = h.maxCode
		}
		h.heap = append(h.heap, i)
		h.freq[i], h.depth[i] = 1, 0
		bits-- // it is never sent
	}
	for k := (len(h.heap) - 1) / 2; k >= 1; k-- {
		h.down(k)
	}
	node := h.symbols
	for len(h.heap) > 2 {
		a := h.heap[1]
		h.heap[1] = h.heap[len(h.heap)-1]
		h.heap = h.heap[:len(h.heap)-1]
		h.down(1)
		b := h.heap[1]
		h.order = append(h.order, a, b)
		h.freq[node] = h.freq[a] + h.freq[b]
		h.depth[node] = max(h.depth[a], h.depth[b]) + 1
		h.dad[a], h.dad[b] = node, node
		h.heap[1] = node
		node++
		h.down(1)
	}
	root := h.heap[1]
	h.len[root] = 0
	var count [16]int
	over := 0
	for i := len(h.order) - 1; i >= 0; i-- {
		n := h.order[i]
		l := h.len[h.dad[n]] + 1
		if l > most {
			l = most
			over++
		}
		h.len[n] = l
		if n > h.maxCode {
			continue
		}
		count[l]++
		bits += h.freq[n] * (l + extraOf(n, base, extra))
	}
	if over == 0 {
		return bits
	}
	for ; over > 0; over -= 2 {
		l := most - 1
		for count[l] == 0 {
			l--
		}
		count[l]--
		count[l+1] += 2
		count[most]--
	}
	i := 0
	for l := most; l > 0; l-- {
		for n := count[l]; n > 0; {
			s := h.order[i]
			i++
			if s > h.maxCode {
				continue
			}
			bits += (l - h.len[s]) * h.freq[s]
			h.len[s] = l
			n--
		}
	}
	return bits
}

// scan counts the symbols that the lengths of another code are sent as.
func (h *huffman) scan(of *huffman) {
	prev, count := -1, 0
	most, least := 7, 4
	if of.len[0] == 0 {
		most, least = 138, 3
	}
	for i := 0; i <= of.maxCode; i++ {
		cur, next := of.len[i], -1
		if i < of.maxCode {
			next = of.len[i+1]
		}
		if count++; count < most && cur == next {
			continue
		}
		switch {
		case count < least:
			h.freq[cur] += count
		case cur != 0:
			if cur != prev {
				h.freq[cur]++
			}
			h.freq[16]++
		case count <= 10:
			h.freq[17]++
		default:
			h.freq[18]++
		}
		count, prev = 0, cur
		switch {
		case next == 0:
			most, least = 138, 3
		case cur == next:
			most, least = 6, 3
		default:
			most, least = 7, 4
		}
	}
}
