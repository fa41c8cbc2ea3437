// Package pyrand reproduces the random numbers of CPython's random module
// (Random), of NumPy's legacy generator (RandomState) and of NumPy's
// default_rng (Generator), bit for bit, so that samples drawn by seed are the
// same rows and bootstrap intervals the same numbers.
//
// None of the types is safe for concurrent use; each belongs to one user, as
// in Python.
//
// Non-goals: the operating system's randomness, distributions nobody draws
// from here, cryptography.
//
// The generators are the published ones: MT19937 (Matsumoto, Nishimura),
// PCG64 XSL-RR (O'Neill), Lemire's bounded integers, Floyd's sampling.
package pyrand

// mt is MT19937.
type mt struct {
	state [624]uint32
	i     int
}

// seedKnuth fills the state from one word.
func (m *mt) seedKnuth(s uint32) {
	m.state[0] = s
	for i := 1; i < len(m.state); i++ {
		m.state[i] = 1812433253*(m.state[i-1]^m.state[i-1]>>30) + uint32(i)
	}
	m.i = len(m.state)
}

// seedArray fills the state from any number of words.
func (m *mt) seedArray(key []uint32) {
	n := len(m.state)
	m.seedKnuth(19650218)
	i, j := 1, 0
	next := func() {
		if i++; i >= n {
			m.state[0] = m.state[n-1]
			i = 1
		}
	}
	for range max(n, len(key)) {
		m.state[i] = (m.state[i] ^ (m.state[i-1]^m.state[i-1]>>30)*1664525) + key[j] + uint32(j)
		next()
		if j++; j >= len(key) {
			j = 0
		}
	}
	for range n - 1 {
		m.state[i] = (m.state[i] ^ (m.state[i-1]^m.state[i-1]>>30)*1566083941) - uint32(i)
		next()
	}
	m.state[0] = 1 << 31
}

// next is 32 random bits.
func (m *mt) next() uint32 {
	n := len(m.state)
	if m.i >= n {
		for k := range n {
			y := m.state[k]&(1<<31) | m.state[(k+1)%n]&(1<<31-1)
			v := m.state[(k+397)%n] ^ y>>1
			if y&1 != 0 {
				v ^= 0x9908b0df
			}
			m.state[k] = v
		}
		m.i = 0
	}
	y := m.state[m.i]
	m.i++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// double is 53 random bits in [0, 1).
func (m *mt) double() float64 {
	a, b := m.next()>>5, m.next()>>6
	return (float64(float64(a)*(1<<26)) + float64(b)) / (1 << 53)
}
