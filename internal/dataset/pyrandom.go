package dataset

import "math/bits"

// pyRandom is CPython's random.Random seeded with an int of up to 32 bits:
// MT19937 (Matsumoto and Nishimura 1998) seeded by init_by_array.
type pyRandom struct {
	mt [624]uint32
	i  int
}

func newPyRandom(seed uint32) *pyRandom {
	r := &pyRandom{i: 624}
	mt := &r.mt
	mt[0] = 19650218
	for i := uint32(1); i < 624; i++ {
		mt[i] = 1812433253*(mt[i-1]^mt[i-1]>>30) + i
	}
	i := 1
	step := func() {
		if i++; i == 624 {
			mt[0] = mt[623]
			i = 1
		}
	}
	for range 624 { // the key is the one word seed
		mt[i] = (mt[i] ^ (mt[i-1]^mt[i-1]>>30)*1664525) + seed
		step()
	}
	for range 623 {
		mt[i] = (mt[i] ^ (mt[i-1]^mt[i-1]>>30)*1566083941) - uint32(i)
		step()
	}
	mt[0] = 1 << 31
	return r
}

func (r *pyRandom) next() uint32 {
	if r.i == 624 {
		for k := range 624 {
			y := r.mt[k]&(1<<31) | r.mt[(k+1)%624]&(1<<31-1)
			r.mt[k] = r.mt[(k+397)%624] ^ y>>1 ^ -(y&1)&0x9908b0df
		}
		r.i = 0
	}
	y := r.mt[r.i]
	r.i++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// below is _randbelow(n) for 0 < n < 2³².
func (r *pyRandom) below(n uint32) uint32 {
	k := bits.Len32(n)
	for {
		if v := r.next() >> (32 - k); v < n {
			return v
		}
	}
}

// shuffle is random.shuffle.
func (r *pyRandom) shuffle(x []int) {
	for i := len(x) - 1; i > 0; i-- {
		j := r.below(uint32(i + 1))
		x[i], x[j] = x[j], x[i]
	}
}
