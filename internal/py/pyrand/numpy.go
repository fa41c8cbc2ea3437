package pyrand

import (
	"math"
	"math/bits"
	"sort"

	"sextant/internal/py/pymath"
)

// RandomState is np.random.RandomState, the generator behind np.random.seed
// and the functions of np.random.
type RandomState struct {
	mt
	gaussNext float64
	hasGauss  bool
}

// NewRandomState is np.random.RandomState(seed).
func NewRandomState(seed uint32) *RandomState {
	r := &RandomState{}
	r.Seed(seed)
	return r
}

// Seed is np.random.seed(seed).
func (r *RandomState) Seed(seed uint32) {
	r.hasGauss = false
	r.seedKnuth(seed)
}

// Rand is rand(), random_sample(): uniform in [0, 1).
func (r *RandomState) Rand() float64 { return r.double() }

// interval is a number in [0, most] by masked rejection.
func (r *RandomState) interval(most uint64) uint64 {
	if most == 0 {
		return 0
	}
	mask := uint64(1)<<bits.Len64(most) - 1
	for {
		var v uint64
		if most <= math.MaxUint32 {
			v = uint64(r.next())
		} else {
			v = uint64(r.next())<<32 | uint64(r.next())
		}
		if v &= mask; v <= most {
			return v
		}
	}
}

// RandInt is randint(low, high): high is excluded; high must be above low.
func (r *RandomState) RandInt(low, high int) int {
	return low + int(r.interval(uint64(high-low-1)))
}

// Shuffle is shuffle of n items that swap exchanges.
func (r *RandomState) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(r.interval(uint64(i))))
	}
}

// Permutation is permutation(n).
func (r *RandomState) Permutation(n int) []int {
	out := arange(n)
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func arange(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Choice is choice(n, k, replace): indexes. Without replacement k must not be
// more than n.
func (r *RandomState) Choice(n, k int, replace bool) []int {
	if !replace {
		return r.Permutation(n)[:k]
	}
	out := make([]int, k)
	for i := range out {
		out[i] = r.RandInt(0, n)
	}
	return out
}

// ChoiceP is choice(len(p), k, p=p) with replacement.
func (r *RandomState) ChoiceP(p []float64, k int) []int {
	cdf := make([]float64, len(p))
	sum := 0.0
	for i, x := range p {
		sum += x
		cdf[i] = sum
	}
	for i := range cdf {
		cdf[i] /= sum
	}
	out := make([]int, k)
	for i := range out {
		x := r.Rand()
		out[i] = sort.Search(len(cdf), func(j int) bool { return cdf[j] > x })
	}
	return out
}

// RandN is randn(), standard_normal().
func (r *RandomState) RandN() float64 {
	if r.hasGauss {
		r.hasGauss = false
		return r.gaussNext
	}
	for {
		x := float64(2*r.double()) - 1
		y := float64(2*r.double()) - 1
		s := float64(x*x) + float64(y*y)
		if s >= 1 || s == 0 {
			continue
		}
		f := math.Sqrt(-2 * pymath.Log(s) / s)
		r.gaussNext, r.hasGauss = f*x, true
		return f * y
	}
}

// Normal is normal(loc, scale).
func (r *RandomState) Normal(loc, scale float64) float64 { return loc + float64(scale*r.RandN()) }

// Uniform is uniform(low, high).
func (r *RandomState) Uniform(low, high float64) float64 {
	return low + float64((high-low)*r.Rand())
}

// Generator is np.random.default_rng: PCG64 seeded through a SeedSequence.
type Generator struct {
	hi, lo       uint64 // state
	incHi, incLo uint64
	half         uint32
	hasHalf      bool
}

// NewGenerator is np.random.default_rng(seed).
func NewGenerator(seed uint64) *Generator {
	w := seedWords(seed)
	g := &Generator{incHi: w[2]<<1 | w[3]>>63, incLo: w[3]<<1 | 1}
	g.step()
	var c uint64
	g.lo, c = bits.Add64(g.lo, w[1], 0)
	g.hi, _ = bits.Add64(g.hi, w[0], c)
	g.step()
	return g
}

// seedWords is SeedSequence(seed).generate_state(4, uint64).
func seedWords(seed uint64) (out [4]uint64) {
	entropy := []uint32{uint32(seed)}
	if seed>>32 != 0 {
		entropy = append(entropy, uint32(seed>>32))
	}
	hash := uint32(0x43b0d7e5)
	hashmix := func(v uint32) uint32 {
		v ^= hash
		hash *= 0x931e8875
		v *= hash
		return v ^ v>>16
	}
	var pool [4]uint32
	for i := range pool {
		v := uint32(0)
		if i < len(entropy) {
			v = entropy[i]
		}
		pool[i] = hashmix(v)
	}
	for src := range pool {
		for dst := range pool {
			if src != dst {
				v := 0xca01f9dd*pool[dst] - 0x4973f715*hashmix(pool[src])
				pool[dst] = v ^ v>>16
			}
		}
	}
	hash = 0x8b51f9dd
	for i := range 8 {
		v := pool[i%4] ^ hash
		hash *= 0x58f38ded
		v *= hash
		v ^= v >> 16
		out[i/2] |= uint64(v) << (32 * (i % 2))
	}
	return out
}

func (g *Generator) step() {
	const mHi, mLo = 0x2360ed051fc65da4, 0x4385df649fccf645
	hi, lo := bits.Mul64(g.lo, mLo)
	hi += g.hi*mLo + g.lo*mHi
	var c uint64
	g.lo, c = bits.Add64(lo, g.incLo, 0)
	g.hi, _ = bits.Add64(hi, g.incHi, c)
}

func (g *Generator) next64() uint64 {
	g.step()
	return bits.RotateLeft64(g.hi^g.lo, -int(g.hi>>58))
}

func (g *Generator) next32() uint32 {
	if g.hasHalf {
		g.hasHalf = false
		return g.half
	}
	v := g.next64()
	g.half, g.hasHalf = uint32(v>>32), true
	return uint32(v)
}

// Random is random(): uniform in [0, 1).
func (g *Generator) Random() float64 { return float64(g.next64()>>11) / (1 << 53) }

// bounded is a number in [0, most] by Lemire's method.
func (g *Generator) bounded(most uint64) uint64 {
	switch {
	case most == 0:
		return 0
	case most == math.MaxUint32:
		return uint64(g.next32())
	case most < math.MaxUint32:
		n := uint32(most) + 1
		m := uint64(g.next32()) * uint64(n)
		if uint32(m) < n {
			for t := (math.MaxUint32 - uint32(most)) % n; uint32(m) < t; {
				m = uint64(g.next32()) * uint64(n)
			}
		}
		return m >> 32
	case most == math.MaxUint64:
		return g.next64()
	}
	n := most + 1
	hi, lo := bits.Mul64(g.next64(), n)
	if lo < n {
		for t := (math.MaxUint64 - most) % n; lo < t; {
			hi, lo = bits.Mul64(g.next64(), n)
		}
	}
	return hi
}

// Integers is integers(low, high): high is excluded and must be above low.
func (g *Generator) Integers(low, high int) int {
	return low + int(g.bounded(uint64(high-low-1)))
}

// Permutation is permutation(n).
func (g *Generator) Permutation(n int) []int {
	out := arange(n)
	g.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Shuffle is shuffle of n items that swap exchanges.
func (g *Generator) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(g.interval(uint64(i))))
	}
}

// interval is a number in [0, most] by masked rejection.
func (g *Generator) interval(most uint64) uint64 {
	if most == 0 {
		return 0
	}
	mask := uint64(1)<<bits.Len64(most) - 1
	for {
		var v uint64
		if most <= math.MaxUint32 {
			v = uint64(g.next32())
		} else {
			v = g.next64()
		}
		if v &= mask; v <= most {
			return v
		}
	}
}

// Choice is choice(n, k, replace=False): k ≤ n different indexes.
func (g *Generator) Choice(n, k int) []int {
	if n > 10000 && k > n/50 {
		idx := arange(n)
		for i := n - 1; i >= max(n-k, 1); i-- {
			j := int(g.bounded(uint64(i)))
			idx[i], idx[j] = idx[j], idx[i]
		}
		return idx[n-k:]
	}
	out := make([]int, 0, k)
	seen := make(map[int]bool, k)
	for j := n - k; j < n; j++ {
		v := int(g.bounded(uint64(j)))
		if seen[v] {
			v = j
		}
		seen[v] = true
		out = append(out, v)
	}
	for i := k - 1; i > 0; i-- {
		j := int(g.bounded(uint64(i)))
		out[i], out[j] = out[j], out[i]
	}
	return out
}
