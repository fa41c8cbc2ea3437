package checkpoint

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
)

// storageTypes are the classes of torch that name the type of a storage.
var storageTypes = map[string]DType{
	"torch.FloatStorage": F32, "torch.HalfStorage": F16, "torch.BFloat16Storage": BF16, "torch.DoubleStorage": F64,
	"torch.LongStorage": I64, "torch.IntStorage": I32, "torch.ShortStorage": I16, "torch.CharStorage": I8,
	"torch.ByteStorage": U8, "torch.BoolStorage": Boolean,
	"torch.Float8_e4m3fnStorage": F8E4M3, "torch.Float8_e5m2Storage": F8E5M2,
}

// plainGlobals are names whose value does not matter: they stand in metadata.
var plainGlobals = map[string]bool{
	"torch.float32": true, "torch.float16": true, "torch.bfloat16": true, "torch.float64": true, "torch.int64": true,
	"torch.float": true, "torch.half": true, "torch.double": true,
}

// functions that rebuild plain data; see torchHost.call.
const (
	fnOrderedDict = "collections.OrderedDict"
	fnRebuildV2   = "torch._utils._rebuild_tensor_v2"
	fnRebuild     = "torch._utils._rebuild_tensor"
	fnParameter   = "torch._utils._rebuild_parameter"
	fnSize        = "torch.Size"
)

// storage is a run of numbers in the file; tensors are views of it and may
// share it.
type storage struct {
	key   string
	dtype DType
	len   int   // elements
	off   int64 // of element 0 in the file; known late in the older format
	base  *storage
	start int // first element within base
}

// place is the offset of element i in the file.
func (s *storage) place(i int) int64 {
	if s.base != nil {
		return s.base.place(s.start + i)
	}
	return s.off + int64(i)*int64(s.dtype.Size())
}

// view is a tensor before the places of storages are known.
type view struct {
	st     *storage
	first  int
	shape  []int
	stride []int // nil when the elements stand in order
}

// torchHost is what a checkpoint's pickle may name.
type torchHost struct{ storageOf func(id any) (any, error) }

func (h torchHost) host() pickleHost {
	return pickleHost{global: h.global, call: h.call, persistent: h.storageOf}
}

func (h torchHost) global(name string) (any, error) {
	switch name {
	case fnOrderedDict, fnRebuildV2, fnRebuild, fnParameter, fnSize:
		return pGlobal(name), nil
	}
	if storageTypes[name] != "" || plainGlobals[name] {
		return pGlobal(name), nil
	}
	return nil, &refusedError{"the name " + name}
}

func (h torchHost) call(f pGlobal, args pTuple) (any, error) {
	switch f {
	case fnOrderedDict:
		return orderedDict(args)
	case fnRebuildV2, fnRebuild:
		return rebuildTensor(args)
	case fnParameter:
		if len(args) > 0 {
			if v, ok := args[0].(*view); ok {
				return v, nil
			}
		}
		return nil, errors.New("broken pickle: a parameter without a tensor")
	case fnSize:
		if len(args) == 1 {
			if t, ok := args[0].(pTuple); ok {
				return t, nil
			}
		}
		return nil, errors.New("broken pickle: torch.Size of something else than a tuple")
	}
	return nil, &refusedError{"a call of " + string(f)}
}

// orderedDict takes no arguments, or a list of pairs.
func orderedDict(args pTuple) (any, error) {
	d := &pDict{}
	if len(args) == 0 {
		return d, nil
	}
	l, ok := args[0].(*pList)
	if !ok || len(args) > 1 {
		return nil, errors.New("broken pickle: OrderedDict of something else than a list")
	}
	for _, it := range l.items {
		var kv []any
		switch x := it.(type) {
		case *pList:
			kv = x.items
		case pTuple:
			kv = x
		}
		if len(kv) != 2 {
			return nil, errors.New("broken pickle: an item of an OrderedDict that is not a pair")
		}
		d.keys, d.vals = append(d.keys, kv[0]), append(d.vals, kv[1])
	}
	return d, nil
}

// rebuildTensor makes a view of (storage, offset, size, stride, …).
func rebuildTensor(args pTuple) (any, error) {
	bad := errors.New("broken pickle: a tensor with wrong arguments")
	if len(args) < 4 {
		return nil, bad
	}
	st, okS := args[0].(*storage)
	first, okF := args[1].(int)
	shape, okSh := ints(args[2])
	stride, okSt := ints(args[3])
	if !okS || !okF || !okSh || !okSt || len(shape) != len(stride) || first < 0 {
		return nil, bad
	}
	v := &view{st: st, first: first, shape: shape}
	elems := 1 // number of elements
	for _, n := range shape {
		if n > 0 && elems > math.MaxInt32*8/n {
			// more elements than any storage has, unless a stride is 0
			return nil, fmt.Errorf("a tensor of shape %v is too large", shape)
		}
		elems *= n
	}
	if elems == 0 {
		return v, nil
	}
	last, dense, inOrder := first, 1, true
	for d := len(shape) - 1; d >= 0; d-- {
		if shape[d] > 1 {
			if stride[d] > (math.MaxInt-last)/(shape[d]-1) {
				return nil, bad
			}
			last += (shape[d] - 1) * stride[d]
			inOrder = inOrder && stride[d] == dense
		}
		dense *= shape[d]
	}
	if elems > st.len { // would make a few bytes into any amount of memory
		return nil, fmt.Errorf("a tensor of shape %v repeats elements of a storage of %d", shape, st.len)
	}
	if last >= st.len {
		return nil, fmt.Errorf("a tensor of shape %v reaches element %d of a storage of %d", shape, last, st.len)
	}
	if !inOrder {
		v.stride = stride
	}
	return v, nil
}

// ints reads a tuple of numbers that are not negative.
func ints(v any) ([]int, bool) {
	t, ok := v.(pTuple)
	if !ok {
		return nil, false
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// storageID reads ("storage", type, key, location, elements, …).
func storageID(id any) (st *storage, rest pTuple, err error) {
	t, ok := id.(pTuple)
	if !ok || len(t) < 5 || t[0] != "storage" {
		return nil, nil, &refusedError{"a reference to something that is not a storage"}
	}
	class, okC := t[1].(pGlobal)
	key, okK := t[2].(string)
	n, okN := t[4].(int)
	dtype := storageTypes[string(class)]
	if !okC || dtype == "" || !okK || !okN || n < 0 || n > math.MaxInt/16 {
		return nil, nil, fmt.Errorf("broken pickle: storage %v", t[2:])
	}
	return &storage{key: key, dtype: dtype, len: n}, t[5:], nil
}

// readTorch reads pytorch_model.bin in either form.
func readTorch(r io.ReaderAt, size int64) ([]*Tensor, error) {
	var magic [4]byte
	n, _ := r.ReadAt(magic[:], 0)
	switch {
	case n == 4 && string(magic[:]) == "PK\x03\x04":
		return readTorchZip(r, size)
	case n >= 2 && magic[0] == 0x80:
		return readTorchStream(r, size)
	}
	return nil, errors.New("not a file of torch.save: neither a zip file nor a pickle")
}

// maxPickle bounds the pickle in a zip file. It describes tensors: some 200
// bytes for each.
const maxPickle = 1 << 28

func readTorchZip(r io.ReaderAt, size int64) ([]*Tensor, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not a whole zip file, truncated perhaps: %w", err)
	}
	records := map[string]*zip.File{} // without the folder in front
	for _, f := range z.File {
		_, name, ok := strings.Cut(f.Name, "/")
		if !ok || records[name] != nil {
			return nil, fmt.Errorf("unexpected entry %q in the zip file", f.Name)
		}
		records[name] = f
	}
	if records["constants.pkl"] != nil {
		return nil, errors.New("TorchScript is not supported")
	}
	if b := records["byteorder"]; b != nil {
		s, err := readEntry(b, 16)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(s)) != "little" {
			return nil, fmt.Errorf("byte order %q is not supported", s)
		}
	}
	data := records["data.pkl"]
	if data == nil {
		return nil, errors.New("no data.pkl in the zip file")
	}
	pkl, err := data.Open()
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	defer pkl.Close()
	if data.UncompressedSize64 > maxPickle {
		return nil, fmt.Errorf("data.pkl has %d bytes, the most is %d", data.UncompressedSize64, maxPickle)
	}
	storages := map[string]*storage{}
	host := torchHost{func(id any) (any, error) {
		st, _, err := storageID(id)
		if err != nil {
			return nil, err
		}
		if old := storages[st.key]; old != nil {
			if old.dtype != st.dtype || old.len != st.len {
				return nil, fmt.Errorf("storage %s is described in two ways", st.key)
			}
			return old, nil
		}
		f := records["data/"+st.key]
		if f == nil {
			return nil, fmt.Errorf("storage data/%s is not in the zip file", st.key)
		}
		if f.Method != zip.Store {
			return nil, fmt.Errorf("storage data/%s is compressed", st.key)
		}
		if want := uint64(st.len) * uint64(st.dtype.Size()); f.UncompressedSize64 < want {
			return nil, fmt.Errorf("storage data/%s has %d of %d bytes", st.key, f.UncompressedSize64, want)
		}
		if st.off, err = f.DataOffset(); err != nil {
			return nil, fmt.Errorf("storage data/%s: %w", st.key, err)
		}
		if end := st.off + int64(st.len)*int64(st.dtype.Size()); st.off < 0 || end > size {
			return nil, &TruncatedError{size, end}
		}
		storages[st.key] = st
		return st, nil
	}}
	m := newPickleMachine(io.LimitReader(pkl, maxPickle), int64(data.UncompressedSize64), host.host())
	v, err := m.load()
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	return stateDict(v, r)
}

func readEntry(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return b, nil
}

// torchMagic is what the first pickle of the older format holds.
var torchMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const torchProtocol = 1001

// readTorchStream reads the format before torch 1.6: five pickles (magic
// number, protocol, facts about the system, the object, the keys of its
// storages) and then each storage: its number of elements and its bytes.
func readTorchStream(r io.ReaderAt, size int64) ([]*Tensor, error) {
	storages := map[string]*storage{}
	host := torchHost{func(id any) (any, error) {
		st, rest, err := storageID(id)
		if err != nil {
			return nil, err
		}
		if int64(st.len) > size/int64(st.dtype.Size()) && storages[st.key] == nil {
			return nil, &TruncatedError{size, int64(st.len) * int64(st.dtype.Size())}
		}
		root := storages[st.key]
		if root == nil {
			root = st
			storages[st.key] = root
		}
		if root.dtype != st.dtype {
			return nil, fmt.Errorf("storage %s is described in two ways", st.key)
		}
		if len(rest) == 0 || rest[0] == nil {
			return root, nil
		}
		part, ok := rest[0].(pTuple) // key, first element, elements
		if !ok || len(part) != 3 {
			return nil, fmt.Errorf("broken pickle: view of storage %s", st.key)
		}
		first, okF := part[1].(int)
		n, okN := part[2].(int)
		if !okF || !okN || first < 0 || n < 0 || first > root.len || n > root.len-first {
			return nil, fmt.Errorf("broken pickle: view of storage %s", st.key)
		}
		return &storage{key: st.key, dtype: st.dtype, len: n, base: root, start: first}, nil
	}}
	m := newPickleMachine(io.NewSectionReader(r, 0, size), size, host.host())
	v, err := m.load()
	if err != nil {
		return nil, err
	}
	if magic, ok := v.(*big.Int); !ok || magic.Cmp(torchMagic) != 0 {
		return nil, errors.New("not a file of torch.save: the magic number is missing")
	}
	if v, err = m.load(); err != nil {
		return nil, err
	}
	if v != torchProtocol {
		return nil, fmt.Errorf("torch.save protocol %v is not supported", v)
	}
	sys, err := m.load()
	if err != nil {
		return nil, err
	}
	if d, ok := sys.(*pDict); ok {
		for i, k := range d.keys {
			if k == "little_endian" && d.vals[i] == false {
				return nil, errors.New("big-endian numbers are not supported")
			}
		}
	}
	obj, err := m.load()
	if err != nil {
		return nil, err
	}
	keys, err := m.load()
	if err != nil {
		return nil, err
	}
	l, ok := keys.(*pList)
	if !ok {
		return nil, errors.New("broken pickle: no list of storages")
	}
	at := m.pos
	for _, k := range l.items {
		key, _ := k.(string)
		st := storages[key]
		if st == nil {
			return nil, fmt.Errorf("storage %q is listed but used by no tensor", key)
		}
		var head [8]byte
		if _, err := r.ReadAt(head[:], at); err != nil {
			return nil, &TruncatedError{size, at + int64(len(head))}
		}
		if n := binary.LittleEndian.Uint64(head[:]); n != uint64(st.len) {
			return nil, fmt.Errorf("storage %q has %d elements, %d were announced", key, n, st.len)
		}
		st.off = at + int64(len(head))
		at = st.off + int64(st.len)*int64(st.dtype.Size())
		if at > size {
			return nil, &TruncatedError{size, at}
		}
	}
	for key, st := range storages {
		if st.off == 0 {
			return nil, fmt.Errorf("storage %q is not in the file", key)
		}
	}
	return stateDict(obj, r)
}

// stateDict takes the tensors out of a checkpoint's dict. Plain values in it
// (a step count) are not weights and are left.
func stateDict(v any, r io.ReaderAt) ([]*Tensor, error) {
	d, ok := v.(*pDict)
	if !ok {
		return nil, errors.New("the file does not hold a dict of tensors")
	}
	var out []*Tensor
	at := map[string]int{}
	for i, k := range d.keys {
		w, ok := d.vals[i].(*view)
		if !ok {
			continue
		}
		name, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("a tensor has the name %v", k)
		}
		t := &Tensor{Name: name, DType: w.st.dtype, Shape: w.shape, src: r, off: w.st.place(w.first), stride: w.stride}
		if j, dup := at[name]; dup { // as in a dict, the later one holds
			out[j] = t
			continue
		}
		at[name] = len(out)
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, errors.New("the file holds no tensors")
	}
	return out, nil
}
