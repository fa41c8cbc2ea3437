//go:build engine && cgo

package engine

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unsafe"

	"sextant/internal/model/checkpoint"
	"sextant/internal/model/engine/compute"
)

// network is a loaded model: it knows how to enter its forward pass into a
// graph. Safe for concurrent use, each caller with a graph of its own.
type network interface {
	shape() shape
	// forward builds the pass over the graph's batch and ends it with Head.
	forward(g *compute.Graph)
}

// shape is what the engine must know of a network.
type shape struct {
	vocab     int // rows of the embedding: token ids are below it
	positions int // longest sequence, 0 without limit
	layers    int
	kvWidth   int // features of the keys of one layer
	nodes     int // upper bound of graph operations
	// padding: a pad row at position -1 comes out as in transformers, where
	// real tokens keep their positions behind padding.
	padding bool
}

// architectures are the loaders by config.json's model_type. To add one, write
// a file beside opt.go.
var architectures = map[string]func(config, *loader) (network, error){}

// loadNetwork reads a checkpoint into memory, packed for the device.
func loadNetwork(c config, w *checkpoint.Checkpoint, dev *compute.Device) (network, *loader, error) {
	kind := c.str("model_type", "")
	load := architectures[kind]
	if load == nil {
		known := make([]string, 0, len(architectures))
		for k := range architectures {
			known = append(known, k)
		}
		sort.Strings(known)
		return nil, nil, fmt.Errorf("the engine has no architecture %q (config.json, model_type); it has: %s", kind, strings.Join(known, ", "))
	}
	l := &loader{state: &loadState{w: w, dev: dev}, prefixes: []string{""}}
	n, err := load(c, l)
	if err := errors.Join(err, c.err()); err != nil {
		l.free()
		return nil, nil, err
	}
	return n, l, nil
}

// loader turns tensors into matrices and vectors. It remembers errors, so that
// an architecture asks for all it needs and then once for err.
type loader struct {
	state    *loadState
	prefixes []string // tried in this order, the one that fits first is kept
	path     string
}

type loadState struct {
	w        *checkpoint.Checkpoint
	buf      []byte // of the tensor read last
	dev      *compute.Device
	errs     []error
	matrices []*compute.Matrix
	vectors  []*compute.Vector
	bytes    int64
}

func (l *loader) err() error { return errors.Join(l.state.errs...) }

func (l *loader) fail(err error) {
	if len(l.state.errs) < 5 { // the first few say it all
		l.state.errs = append(l.state.errs, err)
	}
}

// free gives all memory back.
func (l *loader) free() {
	for _, m := range l.state.matrices {
		m.Free()
	}
	for _, v := range l.state.vectors {
		v.Free()
	}
}

// prefix names the ways in which checkpoints begin their tensors' names.
func (l *loader) prefix(p ...string) { l.prefixes = p }

// top is a loader without prefix, for tensors beside the body of the model.
func (l *loader) top() *loader { return &loader{state: l.state, prefixes: []string{""}} }

// in is a loader for tensors whose names begin with a further part.
func (l *loader) in(format string, args ...any) *loader {
	return &loader{state: l.state, prefixes: l.prefixes, path: l.path + fmt.Sprintf(format, args...)}
}

// tensor finds one by name and checks its shape; nil when there is none or it
// is not as it should be, which is remembered.
func (l *loader) tensor(name string, shape ...int) ([]byte, compute.Type) {
	for _, p := range l.prefixes {
		full := p + l.path + name
		t := l.state.w.Tensor(full)
		if t == nil {
			continue
		}
		if len(l.prefixes) > 1 { // all names of a checkpoint begin alike
			l.prefixes = []string{p}
		}
		if !slices.Equal(t.Shape, shape) {
			l.fail(fmt.Errorf("tensor %s has shape %v, config.json says %v", full, t.Shape, shape))
			return nil, 0
		}
		data, kind, err := l.read(t)
		if err != nil {
			l.fail(err)
			return nil, 0
		}
		return data, kind
	}
	l.fail(fmt.Errorf("the weights have no tensor %s", l.prefixes[0]+l.path+name))
	return nil, 0
}

// read gives the numbers of t; they are good until the next read.
func (l *loader) read(t *checkpoint.Tensor) ([]byte, compute.Type, error) {
	kind, ok := elementTypes[t.DType]
	var err error
	if ok {
		l.state.buf, err = t.Read(l.state.buf)
		return l.state.buf, kind, err
	}
	if !slices.Contains(convertible, t.DType) {
		return nil, 0, fmt.Errorf("tensor %s has the type %s, which the engine does not compute with", t.Name, t.DType)
	}
	f, err := t.Float32(nil)
	if err != nil {
		return nil, 0, err
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f)), compute.F32, nil
}

var elementTypes = map[checkpoint.DType]compute.Type{checkpoint.F32: compute.F32, checkpoint.F16: compute.F16, checkpoint.BF16: compute.BF16}

// convertible are further types whose values float32 holds well.
var convertible = []checkpoint.DType{checkpoint.F64}

// floats is a tensor as float32.
func (l *loader) floats(name string, shape ...int) []float32 {
	data, t := l.tensor(name, shape...)
	if data == nil {
		return nil
	}
	return compute.Widen(data, t)
}

// matrix is the linear layer name.weight [n][k], with name.bias [n].
func (l *loader) matrix(name string, n, k int, bias bool) *compute.Matrix {
	return l.fused([]string{name}, []int{n}, k, bias)
}

// fused puts several linear layers over the same input into one.
func (l *loader) fused(names []string, ns []int, k int, bias bool) *compute.Matrix {
	total := 0
	for _, n := range ns {
		total += n
	}
	if l.err() != nil { // memory is not needed any more
		for i, name := range names {
			l.tensor(name+".weight", ns[i], k)
		}
		return nil
	}
	m, err := l.state.dev.NewMatrix(total, k, bias)
	if err != nil {
		l.fail(fmt.Errorf("%d × %d weights: %w", total, k, err))
		return nil
	}
	l.state.matrices = append(l.state.matrices, m)
	l.state.bytes += m.Bytes()
	at := 0
	for i, name := range names {
		if data, t := l.tensor(name+".weight", ns[i], k); data != nil {
			if err := m.Pack(at, ns[i], data, t, false); err != nil {
				l.fail(fmt.Errorf("tensor %s: %w", name, err))
			}
		}
		if bias {
			m.SetBias(at, l.floats(name+".bias", ns[i]))
		}
		at += ns[i]
	}
	return m
}

// table is rows × width numbers that are looked up.
func (l *loader) table(name string, rows, width int) *compute.Vector {
	return l.vector(l.floats(name, rows, width), width)
}

func (l *loader) vector(v []float32, width int) *compute.Vector {
	if v == nil {
		return nil
	}
	x, err := compute.NewVector(v, width)
	if err != nil {
		l.fail(err)
		return nil
	}
	l.state.vectors = append(l.state.vectors, x)
	l.state.bytes += int64(len(v)) * 4
	return x
}

// norm is a layer norm with its weights, which may be missing.
type norm struct {
	on           bool
	width        int
	weight, bias *compute.Vector
}

// norm reads name.weight and name.bias as far as they are wanted.
func (l *loader) norm(name string, width int, weight, bias bool) norm {
	n := norm{on: true, width: width}
	if weight {
		n.weight = l.vector(l.floats(name+".weight", width), width)
	}
	if bias {
		n.bias = l.vector(l.floats(name+".bias", width), width)
	}
	return n
}

func (n norm) of(g *compute.Graph, x compute.Tensor, eps float32) compute.Tensor {
	return g.LayerNorm(x, n.width, n.weight, n.bias, eps)
}
