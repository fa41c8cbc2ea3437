package pyrand

import (
	"crypto/sha512"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"sort"

	"sextant/internal/py"
	"sextant/internal/py/pymath"
)

// Random is random.Random.
type Random struct {
	mt
	gaussNext float64
	hasGauss  bool
}

// New is random.Random(seed) for an int.
func New(seed int) *Random {
	r := &Random{}
	u := uint64(seed)
	if seed < 0 {
		u = -u
	}
	r.seedBig(new(big.Int).SetUint64(u))
	return r
}

// NewSeeded is random.Random(seed) for an int of any size, a bool, a str, a
// bytes or a float. None, which Python answers with the system's randomness,
// is refused.
func NewSeeded(seed py.Value) (*Random, error) {
	r := &Random{}
	return r, r.Seed(seed)
}

// Seed is r.seed(seed), version 2.
func (r *Random) Seed(seed py.Value) error {
	switch x := seed.(type) {
	case int:
		*r = *New(x)
	case bool:
		n := 0
		if x {
			n = 1
		}
		*r = *New(n)
	case *big.Int:
		r.seedBig(x)
	case string:
		r.seedText(x)
	case py.Bytes:
		r.seedText(string(x))
	case float64:
		r.seedBig(new(big.Int).SetUint64(hashFloat(x)))
	case nil:
		return fmt.Errorf("a random generator without a seed cannot be repeated")
	default:
		return py.Errorf("TypeError", "The only supported seed types are: None,\nint, float, str, bytes, and bytearray.")
	}
	return nil
}

func (r *Random) seedText(s string) {
	h := sha512.Sum512([]byte(s))
	r.seedBig(new(big.Int).SetBytes(append([]byte(s), h[:]...)))
}

// seedBig seeds with the 32-bit limbs of |x|.
func (r *Random) seedBig(x *big.Int) {
	b := x.Bytes() // most significant first, of the absolute value
	key := make([]uint32, max(1, (len(b)+3)/4))
	for i, c := range b {
		k := len(b) - 1 - i
		key[k/4] |= uint32(c) << (8 * (k % 4))
	}
	r.hasGauss = false
	r.seedArray(key)
}

// hashFloat is hash(f) as an unsigned word.
func hashFloat(f float64) uint64 {
	const width = 61
	const mod = 1<<width - 1
	switch {
	case math.IsInf(f, 1):
		return 314159
	case math.IsInf(f, -1):
		return ^uint64(314159 - 1)
	case f != f:
		return 0 // by identity in CPython
	}
	m, e := math.Frexp(math.Abs(f))
	var x uint64
	for m != 0 {
		x = x<<28&mod | x>>(width-28)
		m *= 1 << 28
		e -= 28
		y := uint64(m)
		m -= float64(y)
		if x += y; x >= mod {
			x -= mod
		}
	}
	if e %= width; e < 0 {
		e += width
	}
	x = x<<e&mod | x>>(width-e)
	if f < 0 {
		x = -x
		if x == ^uint64(0) {
			x--
		}
	}
	return x
}

// Random is r.random(): uniform in [0, 1).
func (r *Random) Random() float64 { return r.double() }

// GetRandBits is r.getrandbits(k) for 0 ≤ k ≤ 64.
func (r *Random) GetRandBits(k int) uint64 {
	switch {
	case k <= 0:
		return 0
	case k <= 32:
		return uint64(r.next() >> (32 - k))
	}
	lo := uint64(r.next())
	return lo | uint64(r.next()>>(64-k))<<32
}

// GetRandBitsBig is r.getrandbits(k) for any k ≥ 0.
func (r *Random) GetRandBitsBig(k int) *big.Int {
	out := new(big.Int)
	for at := 0; k > 0; k, at = k-32, at+32 {
		w := r.next()
		if k < 32 {
			w >>= 32 - k
		}
		out.Or(out, new(big.Int).Lsh(new(big.Int).SetUint64(uint64(w)), uint(at)))
	}
	return out
}

// below is a number in [0, n); 0 for n = 0.
func (r *Random) below(n int) int {
	if n <= 0 {
		return 0
	}
	k := bits.Len64(uint64(n))
	for {
		if v := r.GetRandBits(k); v < uint64(n) {
			return int(v)
		}
	}
}

// RandRange is r.randrange(start, stop, step).
func (r *Random) RandRange(start, stop, step int) (int, error) {
	n := (&py.Range{Start: start, Stop: stop, Step: step}).PyLen()
	if step == 0 {
		return 0, py.Errorf("ValueError", "zero step for randrange()")
	}
	if n <= 0 {
		return 0, py.Errorf("ValueError", "empty range for randrange() (%d, %d, %d)", start, stop, stop-start)
	}
	return start + step*r.below(n), nil
}

// RandInt is r.randint(a, b), both included.
func (r *Random) RandInt(a, b int) (int, error) { return r.RandRange(a, b+1, 1) }

// Shuffle is r.shuffle of n items that swap exchanges.
func (r *Random) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, r.below(i+1))
	}
}

// Sample is r.sample(range(n), k): k different indexes in the order drawn.
func (r *Random) Sample(n, k int) ([]int, error) {
	if k < 0 || k > n {
		return nil, py.Errorf("ValueError", "Sample larger than population or is negative")
	}
	out := make([]int, k)
	size := 21.0
	if k > 5 {
		size += math.Pow(4, math.Ceil(pymath.Log(float64(k)*3)/pymath.Log(4)))
	}
	if float64(n) <= size {
		pool := make([]int, n)
		for i := range pool {
			pool[i] = i
		}
		for i := range out {
			j := r.below(n - i)
			out[i] = pool[j]
			pool[j] = pool[n-i-1]
		}
		return out, nil
	}
	seen := make(map[int]bool, k)
	for i := range out {
		j := r.below(n)
		for seen[j] {
			j = r.below(n)
		}
		seen[j] = true
		out[i] = j
	}
	return out, nil
}

// Choice is r.choice(range(n)): an index; an error for n = 0.
func (r *Random) Choice(n int) (int, error) {
	if n <= 0 {
		return 0, py.Errorf("IndexError", "Cannot choose from an empty sequence")
	}
	return r.below(n), nil
}

// Choices is r.choices(range(n), weights, k=k); nil weights are equal ones.
func (r *Random) Choices(n int, weights []float64, k int) ([]int, error) {
	out := make([]int, k)
	if weights == nil {
		if n <= 0 && k > 0 {
			return nil, py.Errorf("IndexError", "list index out of range")
		}
		for i := range out {
			out[i] = int(math.Floor(r.Random() * float64(n)))
		}
		return out, nil
	}
	if len(weights) != n {
		return nil, py.Errorf("ValueError", "The number of weights does not match the population")
	}
	cum := make([]float64, n)
	total := 0.0
	for i, w := range weights {
		total += w
		cum[i] = total
	}
	if !(total > 0) {
		return nil, py.Errorf("ValueError", "Total of weights must be greater than zero")
	}
	if math.IsInf(total, 0) {
		return nil, py.Errorf("ValueError", "Total of weights must be finite")
	}
	for i := range out {
		x := r.Random() * total
		out[i] = sort.Search(n-1, func(j int) bool { return cum[j] > x })
	}
	return out, nil
}

// Uniform is r.uniform(a, b).
func (r *Random) Uniform(a, b float64) float64 { return a + float64((b-a)*r.Random()) }

// Gauss is r.gauss(mu, sigma).
func (r *Random) Gauss(mu, sigma float64) float64 {
	z := r.gaussNext
	if r.hasGauss {
		r.hasGauss = false
	} else {
		x := r.Random() * (2 * math.Pi)
		g := math.Sqrt(-2 * pymath.Log(1-r.Random()))
		z = pymath.Cos(x) * g
		r.gaussNext, r.hasGauss = pymath.Sin(x)*g, true
	}
	return mu + float64(z*sigma)
}
