//go:build engine && cgo

package compute

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func sets(t testing.TB) []*Device {
	t.Helper()
	var out []*Device
	for _, isa := range []string{"avx512", "avx2", "generic"} {
		if d, err := Open(isa); err == nil {
			out = append(out, d)
		} else {
			t.Logf("not tested: %v", err)
		}
	}
	return out
}

func TestOpen(t *testing.T) {
	d, err := Open("")
	if err != nil || d.ISA() == "" {
		t.Fatal(err)
	}
	if _, err := Open("mmx"); err == nil {
		t.Error("mmx is no instruction set of ours")
	}
	if !Optimized {
		t.Error("the kernels were compiled without optimisation although the package asks for it")
	}
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = r.Float32()*2 - 1
	}
	return v
}

func raw(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// The linear layer against float64, for shapes that leave every kind of edge,
// and the head against the logits it is made of.
func TestLinearAndHead(t *testing.T) {
	acts := map[Activation]func(float64) float64{
		None: func(x float64) float64 { return x },
		ReLU: func(x float64) float64 { return math.Max(0, x) },
		GELU: func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
		GELUTanh: func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		},
		SiLU: func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	}
	for _, d := range sets(t) {
		for _, s := range [][3]int{{1, 1, 1}, {3, 33, 7}, {14, 32, 16}, {15, 31, 300}, {170, 65, 257}, {29, 300, 520}} {
			for act, f := range acts {
				for _, res := range []bool{false, true} {
					m, n, k := s[0], s[1], s[2]
					t.Run(fmt.Sprintf("%s/%dx%dx%d/act%d/res=%v", d.ISA(), m, n, k, act, res), func(t *testing.T) {
						r := rand.New(rand.NewPCG(1, uint64(n)))
						x, w, bias, add := random(r, m*k), random(r, n*k), random(r, n), random(r, m*n)
						for i := range w {
							w[i] /= float32(math.Sqrt(float64(k)))
						}
						for _, threads := range []int{1, 3} {
							got, lp := runLinear(t, d, x, w, bias, add, m, n, k, act, res, threads)
							for i := range m {
								var z float64
								for j := range n {
									y := float64(bias[j])
									for c := range k {
										y += float64(x[i*k+c]) * float64(w[j*k+c])
									}
									y = f(y)
									if res {
										y += float64(add[i*n+j])
									}
									if diff := math.Abs(y - float64(got[i*n+j])); diff > 5e-6 {
										t.Fatalf("row %d column %d: %g, want %g", i, j, got[i*n+j], y)
									}
									z += math.Exp(float64(got[i*n+j]))
								}
								if diff := math.Abs(lp[i] - (float64(got[i*n+i%n]) - math.Log(z))); diff > 1e-6 {
									t.Fatalf("log-probability of row %d: %g, off by %g", i, lp[i], diff)
								}
							}
						}
					})
				}
			}
		}
	}
}

// runLinear computes act(x w + bias) + add and sends it through a head that is
// the identity matrix.
func runLinear(t testing.TB, d *Device, x, w, bias, add []float32, m, n, k int, act Activation, res bool, threads int) ([]float32, []float64) {
	t.Helper()
	g, err := d.NewGraph(16)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	in, err := NewVector(x, k)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Free()
	extra, err := NewVector(add, n)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Free()
	mat, err := d.NewMatrix(n, k, true)
	if err != nil {
		t.Fatal(err)
	}
	defer mat.Free()
	// in two parts, as fused layers are
	for _, p := range [][2]int{{0, n / 2}, {n / 2, n - n/2}} {
		if err := mat.Pack(p[0], p[1], raw(w[p[0]*k:(p[0]+p[1])*k]), F32, false); err != nil {
			t.Fatal(err)
		}
	}
	mat.SetBias(0, bias)
	one, err := d.NewMatrix(n, n, false)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Free()
	eye := make([]float32, n*n)
	for i := range n {
		eye[i*n+i] = 1
	}
	if err := one.Pack(0, n, raw(eye), F32, true); err != nil {
		t.Fatal(err)
	}
	b := &Batch{OutFirst: []int32{0}, LogProbs: make([]float64, m), Logits: make([]float32, m*n)}
	for i := range m {
		b.Tokens = append(b.Tokens, 0)
		b.Positions = append(b.Positions, int32(i))
		b.OutRows = append(b.OutRows, int32(i))
		b.Targets = append(b.Targets, int32(i%n))
		b.OutFirst = append(b.OutFirst, int32(i+1))
	}
	g.Begin(b)
	var residual Tensor
	if res {
		residual = g.Positions(extra, 0)
	}
	g.Head(g.Linear(g.Positions(in, 0), mat, act, residual), one)
	if err := g.Compute(threads); err != nil {
		t.Fatal(err)
	}
	return b.Logits, b.LogProbs
}

func TestLayerNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, d := range sets(t) {
		for _, n := range []int{1, 15, 16, 100} {
			x, w, b := random(r, 3*n), random(r, n), random(r, n)
			for i := range x {
				x[i] = x[i]*5 + 3
			}
			in, _ := NewVector(x, n)
			wv, _ := NewVector(w, n)
			bv, _ := NewVector(b, n)
			one, _ := d.NewMatrix(n, n, false)
			eye := make([]float32, n*n)
			for i := range n {
				eye[i*n+i] = 1
			}
			if err := one.Pack(0, n, raw(eye), F32, false); err != nil {
				t.Fatal(err)
			}
			g, err := d.NewGraph(16)
			if err != nil {
				t.Fatal(err)
			}
			bt := &Batch{Tokens: make([]int32, 3), Positions: []int32{0, 1, 2}, OutRows: []int32{0, 1, 2}, OutFirst: make([]int32, 4), Logits: make([]float32, 3*n)}
			g.Begin(bt)
			g.Head(g.LayerNorm(g.Positions(in, 0), n, wv, bv, 1e-5), one)
			if err := g.Compute(1); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				mean, va := 0.0, 0.0
				for _, v := range x[i*n : (i+1)*n] {
					mean += float64(v) / float64(n)
				}
				for _, v := range x[i*n : (i+1)*n] {
					va += (float64(v) - mean) * (float64(v) - mean) / float64(n)
				}
				for j := range n {
					want := (float64(x[i*n+j])-mean)/math.Sqrt(va+1e-5)*float64(w[j]) + float64(b[j])
					if got := float64(bt.Logits[i*n+j]); math.Abs(got-want) > 1e-5 {
						t.Fatalf("%s: %d features: %g, want %g", d.ISA(), n, got, want)
					}
				}
			}
			g.Free()
			one.Free()
			for _, v := range []*Vector{in, wv, bv} {
				v.Free()
			}
		}
	}
}

// Half-precision weights, every value of both types.
func TestWiden(t *testing.T) {
	b := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(i))
	}
	brain, half := Widen(b, BF16), Widen(b, F16)
	for i := range 1 << 16 {
		if got := math.Float32bits(brain[i]); got != uint32(i)<<16 {
			t.Fatalf("bfloat16 %#x is %#x", i, got)
		}
		e, m, sign := i>>10&31, float64(i&1023), 1-2*float64(i>>15)
		want := sign * math.Ldexp(1+m/1024, e-15)
		switch {
		case e == 0:
			want = sign * math.Ldexp(m, -24)
		case e == 31 && m == 0:
			want = sign * math.Inf(1)
		case e == 31:
			want = math.NaN()
		}
		if got := float64(half[i]); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("float16 %#x is %g, want %g", i, got, want)
		}
	}
	d, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.NewMatrix(3, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if err := m.Pack(0, 3, make([]byte, 11), F16, false); err == nil {
		t.Error("too few bytes were taken for a matrix")
	}
	if err := m.Pack(2, 2, make([]byte, 8), F16, false); err == nil {
		t.Error("rows beyond the matrix were taken")
	}
}
