package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unsafe"
)

// DType is the type of a tensor's numbers, spelled as safetensors does.
type DType string

// The types that can be read.
const (
	F64     DType = "F64"
	F32     DType = "F32"
	F16     DType = "F16"
	BF16    DType = "BF16"
	F8E4M3  DType = "F8_E4M3"
	F8E5M2  DType = "F8_E5M2"
	I64     DType = "I64"
	I32     DType = "I32"
	I16     DType = "I16"
	I8      DType = "I8"
	U64     DType = "U64"
	U32     DType = "U32"
	U16     DType = "U16"
	U8      DType = "U8"
	Boolean DType = "BOOL"
)

var dtypeSize = map[DType]int{
	F64: 8, F32: 4, F16: 2, BF16: 2, F8E4M3: 1, F8E5M2: 1,
	I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, Boolean: 1,
}

// Size is the number of bytes of one number, 0 for an unknown type.
func (d DType) Size() int { return dtypeSize[d] }

// Tensor is one tensor of a checkpoint. Safe for concurrent use.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // outermost first, empty for a scalar

	file   string
	src    io.ReaderAt
	off    int64 // of element 0 in src
	stride []int // in elements; nil when the elements stand in order
}

// File is the name of the file that the tensor is in.
func (t *Tensor) File() string { return t.file }

// Len is the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// SizeBytes is Len elements of DType.
func (t *Tensor) SizeBytes() int64 { return int64(t.Len()) * int64(t.DType.Size()) }

// Contiguous reports that the elements stand in the file in row-major order.
// Tensors of a safetensors file always do.
func (t *Tensor) Contiguous() bool { return t.stride == nil }

// Float32 reads all elements as float32 in row-major order, into dst when its
// capacity suffices.
func (t *Tensor) Float32(dst []float32) ([]float32, error) {
	n := t.Len()
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	return dst, t.Float32At(dst, 0)
}

// Float32At reads len(dst) elements from element first on, in row-major order.
// Values outside float32's range become infinities, as a cast would.
func (t *Tensor) Float32At(dst []float32, first int) error {
	if first < 0 || first+len(dst) > t.Len() {
		return fmt.Errorf("tensor %s: elements %d to %d of %d", t.Name, first, first+len(dst), t.Len())
	}
	if t.stride != nil {
		return t.gather(dst, first)
	}
	return t.readFloats(dst, int64(first))
}

// chunkBytes is how much is read at a time when numbers must be converted.
const chunkBytes = 1 << 18

// readFloats reads len(dst) elements that stand in order from element at on.
func (t *Tensor) readFloats(dst []float32, at int64) error {
	size := t.DType.Size()
	if t.DType == F32 && littleEndian && len(dst) > 0 {
		return t.readAt(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), t.off+4*at)
	}
	buf := make([]byte, min(chunkBytes, len(dst)*size))
	for len(dst) > 0 {
		n := min(len(dst), chunkBytes/size)
		if err := t.readAt(buf[:n*size], t.off+at*int64(size)); err != nil {
			return err
		}
		convert(dst[:n], buf, t.DType)
		dst, at = dst[n:], at+int64(n)
	}
	return nil
}

// Read reads all elements as they are in the file (little endian), in
// row-major order, into dst when its capacity suffices.
func (t *Tensor) Read(dst []byte) ([]byte, error) {
	n := t.SizeBytes()
	if int64(cap(dst)) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	if t.stride == nil {
		return dst, t.readAt(dst, t.off)
	}
	size := t.DType.Size()
	k := 0
	err := t.walk(func(at int64) error {
		err := t.readAt(dst[k:k+size], t.off+at*int64(size))
		k += size
		return err
	})
	return dst, err
}

// ReadAt reads raw bytes of a contiguous tensor from byte off on.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	if t.stride != nil {
		return 0, fmt.Errorf("tensor %s is not contiguous", t.Name)
	}
	if off < 0 || off > t.SizeBytes() {
		return 0, fmt.Errorf("tensor %s: byte %d of %d", t.Name, off, t.SizeBytes())
	}
	short := int64(len(p)) > t.SizeBytes()-off
	if short {
		p = p[:t.SizeBytes()-off]
	}
	if err := t.readAt(p, t.off+off); err != nil {
		return 0, err
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

func (t *Tensor) readAt(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	if n, err := t.src.ReadAt(p, off); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read tensor %s from %s: %w", t.Name, t.file, err)
	}
	return nil
}

// walk calls f with the place of each element in row-major order.
func (t *Tensor) walk(f func(at int64) error) error {
	if t.Len() == 0 {
		return nil
	}
	idx := make([]int, len(t.Shape))
	at := int64(0)
	for {
		if err := f(at); err != nil {
			return err
		}
		d := len(idx) - 1
		for ; d >= 0; d-- {
			idx[d]++
			at += int64(t.stride[d])
			if idx[d] < t.Shape[d] {
				break
			}
			at -= int64(t.stride[d]) * int64(t.Shape[d])
			idx[d] = 0
		}
		if d < 0 {
			return nil
		}
	}
}

// gather reads a tensor whose elements do not stand in order (a transposed
// view) through the whole span that they cover.
func (t *Tensor) gather(dst []float32, first int) error {
	span := 1
	for d, n := range t.Shape {
		if n == 0 {
			return nil
		}
		span += (n - 1) * t.stride[d]
	}
	all := make([]float32, span)
	if err := t.readFloats(all, 0); err != nil {
		return err
	}
	k := -first
	return t.walk(func(at int64) error {
		if k >= 0 && k < len(dst) {
			dst[k] = all[at]
		}
		k++
		return nil
	})
}

var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// convert turns len(dst) numbers of type d in b into float32.
func convert(dst []float32, b []byte, d DType) {
	le := binary.LittleEndian
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(b[4*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(b[8*i:])))
		}
	case F16:
		t := halfTable()
		for i := range dst {
			dst[i] = t[le.Uint16(b[2*i:])]
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16)
		}
	case F8E4M3:
		for i := range dst {
			dst[i] = e4m3(b[i])
		}
	case F8E5M2:
		for i := range dst {
			dst[i] = halfToFloat(uint16(b[i]) << 8)
		}
	case I64:
		for i := range dst {
			dst[i] = float32(int64(le.Uint64(b[8*i:])))
		}
	case U64:
		for i := range dst {
			dst[i] = float32(le.Uint64(b[8*i:]))
		}
	case I32:
		for i := range dst {
			dst[i] = float32(int32(le.Uint32(b[4*i:])))
		}
	case U32:
		for i := range dst {
			dst[i] = float32(le.Uint32(b[4*i:]))
		}
	case I16:
		for i := range dst {
			dst[i] = float32(int16(le.Uint16(b[2*i:])))
		}
	case U16:
		for i := range dst {
			dst[i] = float32(le.Uint16(b[2*i:]))
		}
	case I8:
		for i := range dst {
			dst[i] = float32(int8(b[i]))
		}
	case U8:
		for i := range dst {
			dst[i] = float32(b[i])
		}
	case Boolean:
		for i := range dst {
			dst[i] = 0
			if b[i] != 0 {
				dst[i] = 1
			}
		}
	}
}
