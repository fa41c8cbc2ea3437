//go:build engine && cgo

package compute

// #cgo CFLAGS: -O3 -Wall
// #cgo linux LDFLAGS: -lm
// #include <stdlib.h>
// #include "ops.h"
// #ifdef __OPTIMIZE__
// enum { sx_optimized = 1 };
// #else
// enum { sx_optimized = 0 };
// #endif
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	_ "github.com/ollama/ollama/ml/backend/ggml/ggml/src" // ggml itself
)

// Optimized says whether the C half was compiled with optimisation.
const Optimized = C.sx_optimized == 1

var errMemory = errors.New("out of memory")

// Device is a set of kernels that this machine can run.
type Device struct{ k *C.sx_kernels }

// Open chooses the kernels: isa is "avx512", "avx2", "generic", or empty for
// the best that the machine has. It refuses one that the machine lacks.
func Open(isa string) (*Device, error) {
	if m := C.sx_missing(); m != nil { // ggml would be stopped by the first such instruction
		return nil, fmt.Errorf("this binary was compiled for processors with %s, which this one lacks; build it without -march in CGO_CFLAGS and CGO_CXXFLAGS", C.GoString(m))
	}
	s := C.CString(isa)
	defer C.free(unsafe.Pointer(s))
	k := C.sx_choose(s)
	if k == nil {
		return nil, fmt.Errorf("this processor has no %s instructions", isa)
	}
	return &Device{k}, nil
}

// ISA is the name of the instruction set.
func (d *Device) ISA() string { return C.GoString(d.k.name) }

// Matrix is the weight of a linear layer, y = W x + bias, packed for the
// kernels. Safe for concurrent use once it is filled.
type Matrix struct {
	c *C.sx_matrix
	N int // features out
	K int // features in
}

// NewMatrix makes a matrix of n × k zeros.
func (d *Device) NewMatrix(n, k int, bias bool) (*Matrix, error) {
	nr := int(d.k.nr)
	panels := (n + nr - 1) / nr
	m := &Matrix{c: (*C.sx_matrix)(C.calloc(1, C.sizeof_sx_matrix)), N: n, K: k}
	*m.c = C.sx_matrix{n: C.int(n), k: C.int(k), nr: C.int(nr), panels: C.int(panels)}
	m.c.w = (*C.float)(C.sx_alloc(C.size_t(panels) * C.size_t(k) * C.size_t(nr) * 4))
	if m.c.w == nil {
		m.Free()
		return nil, errMemory
	}
	if tail := panels*nr - n; tail > 0 { // the last panel is filled up with zeros
		clear(unsafe.Slice((*float32)(m.c.w), panels*k*nr)[(panels-1)*k*nr:])
	}
	if bias {
		m.c.bias = (*C.float)(C.sx_alloc(C.size_t(panels) * C.size_t(nr) * 4))
		if m.c.bias == nil {
			m.Free()
			return nil, errMemory
		}
		clear(unsafe.Slice((*float32)(m.c.bias), panels*nr))
	}
	return m, nil
}

// Pack fills rows n0 … n0+n-1 from data, which holds them row by row, or
// column by column when transposed. data must have n*K elements of type t.
func (m *Matrix) Pack(n0, n int, data []byte, t Type, transposed bool) error {
	if n0 < 0 || n0+n > m.N || len(data) != n*m.K*t.Size() {
		return fmt.Errorf("weight of %d × %d has %d bytes of data", n, m.K, len(data))
	}
	if len(data) == 0 {
		return nil
	}
	if C.sx_pack(m.c, C.int(n0), C.int(n), unsafe.Pointer(&data[0]), C.int(t), C.int(btoi(transposed))) != 0 {
		return fmt.Errorf("unknown element type %d", t)
	}
	return nil
}

// SetBias fills the bias of rows n0 ….
func (m *Matrix) SetBias(n0 int, v []float32) {
	copy(unsafe.Slice((*float32)(m.c.bias), m.N)[n0:], v)
}

// Bytes is the memory that m holds.
func (m *Matrix) Bytes() int64 {
	return int64(m.c.panels) * int64(m.c.nr) * int64(m.K) * 4
}

// Free gives the memory back.
func (m *Matrix) Free() {
	if m == nil || m.c == nil {
		return
	}
	C.sx_release(unsafe.Pointer(m.c.w))
	C.sx_release(unsafe.Pointer(m.c.bias))
	C.free(unsafe.Pointer(m.c))
	m.c = nil
}

// Vector is a row of numbers, or a table of rows, that graphs read.
type Vector struct {
	data  []float32 // C memory
	Width int
}

// NewVector copies rows of width numbers.
func NewVector(v []float32, width int) (*Vector, error) {
	p := C.sx_alloc(C.size_t(len(v)) * 4)
	if p == nil {
		return nil, errMemory
	}
	x := &Vector{data: unsafe.Slice((*float32)(p), len(v)), Width: width}
	copy(x.data, v)
	return x, nil
}

func (v *Vector) ptr() *C.float {
	if v == nil {
		return nil
	}
	return (*C.float)(unsafe.Pointer(&v.data[0]))
}

// Rows is the number of rows.
func (v *Vector) Rows() int { return len(v.data) / v.Width }

// Free gives the memory back.
func (v *Vector) Free() {
	if v != nil && v.data != nil {
		C.sx_release(unsafe.Pointer(&v.data[0]))
		v.data = nil
	}
}

// Block remembers the keys and values of up to Cap tokens in all layers.
type Block struct {
	data *C.float
	Cap  int
	size int
}

// NewBlock makes room for tokens of a model with that many layers and that
// many key features per layer.
func NewBlock(layers, width, tokens int) (*Block, error) {
	tokens = (tokens + 15) &^ 15
	// 16 more, because kernels read ahead
	n := layers*2*width*tokens + 16
	b := &Block{Cap: tokens, size: n * 4}
	b.data = (*C.float)(C.sx_alloc(C.size_t(n) * 4))
	if b.data == nil {
		return nil, errMemory
	}
	clear(unsafe.Slice((*float32)(b.data), n))
	return b, nil
}

// Bytes is the memory that b holds.
func (b *Block) Bytes() int64 { return int64(b.size) }

// Free gives the memory back.
func (b *Block) Free() {
	if b != nil && b.data != nil {
		C.sx_release(unsafe.Pointer(b.data))
		b.data = nil
	}
}

// Graph builds and computes forward passes, one at a time; for one goroutine.
type Graph struct {
	c   *C.sx_graph
	pin runtime.Pinner
}

// Tensor is a value in a graph: features × rows.
type Tensor struct{ t *C.struct_ggml_tensor }

// NewGraph makes a graph of at most nodes operations.
func (d *Device) NewGraph(nodes int) (*Graph, error) {
	g := C.sx_graph_new(d.k, C.int(nodes))
	if g == nil {
		return nil, errMemory
	}
	return &Graph{c: g}, nil
}

// Free gives the memory back.
func (g *Graph) Free() {
	if g.c != nil {
		C.sx_graph_free(g.c)
		g.c = nil
	}
}

// Memory is the number of bytes that intermediate results take.
func (g *Graph) Memory() int64 { return int64(C.sx_graph_memory(g.c)) }

// pinned gives C the address of the first element.
func pinned[T any](g *Graph, s []T) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	g.pin.Pin(&s[0])
	return unsafe.Pointer(&s[0])
}

// Begin starts a new graph over b, which must stay as it is until Compute has
// returned.
func (g *Graph) Begin(b *Batch) {
	g.pin.Unpin()
	blocks := make([]C.sx_block, len(b.Blocks))
	for i, x := range b.Blocks {
		blocks[i] = C.sx_block{data: x.data, cap: C.int(x.Cap)}
	}
	cb := C.sx_batch{
		rows:       C.int(len(b.Tokens)),
		tokens:     (*C.int32_t)(pinned(g, b.Tokens)),
		positions:  (*C.int32_t)(pinned(g, b.Positions)),
		nnodes:     C.int(len(b.Nodes)),
		nancestors: C.int(len(b.Ancestors)),
		nblocks:    C.int(len(blocks)),
		nodes:      (*C.sx_node)(pinned(g, b.Nodes)),
		ancestors:  (*C.sx_ancestor)(pinned(g, b.Ancestors)),
		blocks:     (*C.sx_block)(pinned(g, blocks)),
		nout:       C.int(len(b.OutRows)),
		out_rows:   (*C.int32_t)(pinned(g, b.OutRows)),
		out_first:  (*C.int32_t)(pinned(g, b.OutFirst)),
		targets:    (*C.int32_t)(pinned(g, b.Targets)),
		logprobs:   (*C.double)(pinned(g, b.LogProbs)),
		logits:     (*C.float)(pinned(g, b.Logits)),
	}
	g.pin.Pin(&cb)
	C.sx_graph_begin(g.c, &cb)
}

// Embed looks the rows' tokens up; w is a matrix of vocabulary × features.
func (g *Graph) Embed(w *Matrix) Tensor { return Tensor{C.sx_embed(g.c, w.c)} }

// Positions looks the rows' positions up in a table of vectors, with offset added.
func (g *Graph) Positions(v *Vector, offset int) Tensor {
	return Tensor{C.sx_positions(g.c, v.ptr(), C.int(v.Width), C.int(offset))}
}

// Linear is act(x W + bias) + residual; the zero residual stands for none.
func (g *Graph) Linear(x Tensor, w *Matrix, act Activation, residual Tensor) Tensor {
	return Tensor{C.sx_linear(g.c, x.t, w.c, C.int(act), residual.t)}
}

// LayerNorm normalises each row of n features; w and b may be nil.
func (g *Graph) LayerNorm(x Tensor, n int, w, b *Vector, eps float32) Tensor {
	return Tensor{C.sx_layernorm(g.c, x.t, C.int(n), w.ptr(), b.ptr(), C.float(eps))}
}

// Add is a + b.
func (g *Graph) Add(a, b Tensor) Tensor { return Tensor{C.sx_add(g.c, a.t, b.t)} }

// Heads is the shape of attention.
type Heads struct {
	Query, KV int // number of heads; Query is a multiple of KV
	Size      int // features of a head
	Scale     float32
}

// Attention lets each row attend to its ancestors and itself. qkv holds, for
// each row, all queries, then all keys, then all values. layer counts from 0
// and tells blocks apart.
func (g *Graph) Attention(qkv Tensor, layer int, h Heads) Tensor {
	return Tensor{C.sx_attention(g.c, qkv.t, C.int(layer), C.int(h.Query), C.int(h.KV), C.int(h.Size), C.float(h.Scale))}
}

// Head ends the graph: the batch's log-probabilities and logits from x W.
func (g *Graph) Head(x Tensor, w *Matrix) { C.sx_head(g.c, x.t, w.c) }

// Compute runs what was built since Begin with that many threads.
func (g *Graph) Compute(threads int) error {
	defer g.pin.Unpin()
	if C.sx_graph_compute(g.c, C.int(max(1, threads))) != 0 {
		return errMemory
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Widen gives little-endian data of type t as float32.
func Widen(data []byte, t Type) []float32 {
	v := make([]float32, len(data)/t.Size())
	if len(v) > 0 {
		C.sx_widen((*C.float)(&v[0]), unsafe.Pointer(&data[0]), C.int64_t(len(v)), C.int(t))
	}
	return v
}
