package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// asm writes pickles by hand, so that a test says exactly what is in a file.
type asm struct{ bytes.Buffer }

func newAsm() *asm { return (&asm{}).op(0x80, 2) }

func (a *asm) op(b ...byte) *asm { a.Write(b); return a }

func (a *asm) str(s string) *asm {
	a.op('X')
	_ = binary.Write(a, binary.LittleEndian, uint32(len(s)))
	a.WriteString(s)
	return a
}

func (a *asm) int(n int) *asm {
	a.op('J')
	_ = binary.Write(a, binary.LittleEndian, int32(n))
	return a
}

func (a *asm) global(module, name string) *asm {
	a.op('c')
	a.WriteString(module + "\n" + name + "\n")
	return a
}

func (a *asm) ints(ns ...int) *asm {
	a.op('(')
	for _, n := range ns {
		a.int(n)
	}
	return a.op('t')
}

// storage pushes a storage; legacy adds the view of the older format.
func (a *asm) storage(class, key string, n int, legacy bool) *asm {
	a.op('(').str("storage").global("torch", class).str(key).str("cpu").int(n)
	if legacy {
		a.op('N')
	}
	return a.op('t', 'Q')
}

// tensor pushes _rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict()).
func (a *asm) tensor(storage func(*asm), offset int, size, stride []int) *asm {
	a.global("torch._utils", "_rebuild_tensor_v2").op('(')
	storage(a)
	a.int(offset).ints(size...).ints(stride...).op(0x89).global("collections", "OrderedDict").op(')', 'R')
	return a.op('t', 'R')
}

// zipFile makes a file of torch.save's zip form.
func zipFile(t testing.TB, pkl []byte, storages map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("data.pkl", pkl)
	add("byteorder", []byte("little"))
	for k, v := range storages {
		add("data/"+k, v)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func float32s(fs ...float32) []byte {
	var b []byte
	for _, f := range fs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func openBin(b []byte) (*Checkpoint, error) {
	return Open(fstest.MapFS{"config.json": {Data: []byte(`{"model_type":"opt"}`)}, "pytorch_model.bin": {Data: b}})
}

var sixFloats = float32s(0, 1, 2, 3, 4, 5)

// views are four tensors over one storage: whole, a part, transposed, scalar.
func views(legacy bool) *asm {
	st := func(a *asm) { a.storage("FloatStorage", "0", 6, legacy) }
	a := newAsm().global("collections", "OrderedDict").op(')', 'R', '(')
	a.str("whole").tensor(st, 0, []int{2, 3}, []int{3, 1})
	a.str("part").tensor(st, 3, []int{3}, []int{1})
	a.str("transposed").tensor(st, 0, []int{3, 2}, []int{1, 3})
	a.str("scalar").tensor(st, 5, nil, nil)
	a.str("step").int(7) // a plain value beside the tensors
	a.op('u')
	// _metadata, as torch hangs it on the dict
	return a.op('}').str("_metadata").op('}', 's', 'b', '.')
}

func checkViews(t *testing.T, b []byte) {
	t.Helper()
	c, err := openBin(b)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string][]float32{
		"whole": {0, 1, 2, 3, 4, 5}, "part": {3, 4, 5}, "transposed": {0, 3, 1, 4, 2, 5}, "scalar": {5},
	} {
		x := c.Tensor(name)
		if x == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		got, err := x.Float32(nil)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v (%v)", name, got, want, err)
		}
		raw, err := x.Read(nil)
		if err != nil || !bytes.Equal(raw, float32s(want...)) {
			t.Errorf("%s has the bytes %x (%v)", name, raw, err)
		}
		if x.Contiguous() != (name != "transposed") {
			t.Errorf("%s: contiguous %v", name, x.Contiguous())
		}
		if len(want) > 2 {
			mid := make([]float32, 2)
			if err := x.Float32At(mid, 1); err != nil || !slices.Equal(mid, want[1:3]) {
				t.Errorf("%s from element 1: %v (%v)", name, mid, err)
			}
		}
	}
	if len(c.Tensors()) != 4 {
		t.Errorf("%d tensors, want 4", len(c.Tensors()))
	}
}

func TestTorchZip(t *testing.T) {
	t.Parallel()
	checkViews(t, zipFile(t, views(false).Bytes(), map[string][]byte{"0": sixFloats}))
}

// stream makes a file of the format before torch 1.6.
func stream(obj []byte, keys []string, storages ...[]byte) []byte {
	a := newAsm().op(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.')
	a.op(0x80, 2, 'M', 0xe9, 0x03, '.')
	a.op(0x80, 2, '}', '(').str("protocol_version").int(1001).str("little_endian").op(0x88, 'u', '.')
	a.Write(obj)
	a.op(0x80, 2, ']', '(')
	for _, k := range keys {
		a.str(k)
	}
	a.op('e', '.')
	for _, s := range storages {
		_ = binary.Write(a, binary.LittleEndian, uint64(len(s)/4))
		a.Write(s)
	}
	return a.Bytes()
}

func TestTorchStream(t *testing.T) {
	t.Parallel()
	checkViews(t, stream(views(true).Bytes(), []string{"0"}, sixFloats))
}

// TestTorchStreamViews reads a storage that is a view of another.
func TestTorchStreamViews(t *testing.T) {
	t.Parallel()
	st := func(a *asm) {
		a.op('(').str("storage").global("torch", "FloatStorage").str("0").str("cpu").int(6)
		a.op('(').str("v").int(2).int(3).op('t')
		a.op('t', 'Q')
	}
	a := newAsm().op('}').str("x").tensor(st, 1, []int{2}, []int{1}).op('s', '.')
	c, err := openBin(stream(a.Bytes(), []string{"0"}, sixFloats))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Tensor("x").Float32(nil)
	if err != nil || !slices.Equal(got, []float32{3, 4}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestTorchRefused: nothing in a file gets to run, and broken files say how.
func TestTorchRefused(t *testing.T) {
	t.Parallel()
	st := func(n int) func(*asm) { return func(a *asm) { a.storage("FloatStorage", "0", n, false) } }
	one := func(x *asm) []byte { return newAsm().op('}').str("x").op(x.Bytes()...).op('s', '.').Bytes() }
	tensor := func(n, offset int, size, stride []int) []byte {
		return one((&asm{}).tensor(st(n), offset, size, stride))
	}
	for _, tt := range []struct {
		name string
		pkl  []byte
		want string
	}{
		{"os.system", newAsm().global("os", "system").str("touch /tmp/x").op(0x85, 'R', '.').Bytes(), "refused: the name os.system"},
		{"by stack", newAsm().op(0x8c, 8).op([]byte("builtins")...).op(0x8c, 4).op([]byte("eval")...).op(0x93, '.').Bytes(), "refused: the name builtins.eval"},
		{"getattr", newAsm().global("builtins", "getattr").op('.').Bytes(), "refused: the name builtins.getattr"},
		{"torch.load again", newAsm().global("torch.storage", "_load_from_bytes").op('.').Bytes(), "refused: the name torch.storage._load_from_bytes"},
		{"call of data", newAsm().str("f").op(')', 'R', '.').Bytes(), "refused: a call of something"},
		{"call of a storage class", newAsm().global("torch", "FloatStorage").op(')', 'R', '.').Bytes(), "refused: a call of torch.FloatStorage"},
		{"new object", newAsm().global("collections", "OrderedDict").op(')', 0x81, '.').Bytes(), "refused: pickle instruction 0x81"},
		{"state of an object", newAsm().op(']').op('}', 'b', '.').Bytes(), "refused: an object with a state"},
		{"extension", newAsm().op(0x82, 1, '.').Bytes(), "refused: pickle instruction 0x82"},
		{"other reference", newAsm().op('(').str("module").op('t', 'Q', '.').Bytes(), "refused: a reference"},
		{"not a dict", newAsm().int(1).op('.').Bytes(), "does not hold a dict of tensors"},
		{"no tensors", newAsm().op('}', '.').Bytes(), "holds no tensors"},
		{"cut off", newAsm().op('}').Bytes(), "unexpected EOF"},
		{"length of 4 GB", newAsm().op('X', 0xff, 0xff, 0xff, 0xff).Bytes(), "unexpected EOF"},
		{"empty stack", newAsm().op('.').Bytes(), "stack is empty"},
		{"no mark", newAsm().op('t', '.').Bytes(), "no mark"},
		{"nothing remembered", newAsm().op('h', 3, '.').Bytes(), "nothing remembered as 3"},
		{"future", newAsm().op(0x80, 9, '.').Bytes(), "protocol 9"},
		{"beyond the storage", tensor(6, 3, []int{4}, []int{1}), "reaches element 6 of a storage of 6"},
		{"stride beyond", tensor(6, 0, []int{2, 2}, []int{5, 1}), "reaches element 6"},
		{"repeated", tensor(6, 0, []int{1 << 20, 1 << 10}, []int{0, 0}), "repeats elements"},
		{"too large", tensor(6, 0, []int{1 << 30, 1 << 30}, []int{0, 0}), "too large"},
		{"negative size", tensor(6, 0, []int{-1}, []int{1}), "wrong arguments"},
		{"negative stride", tensor(6, 5, []int{2}, []int{-1}), "wrong arguments"},
		{"negative offset", tensor(6, -1, []int{2}, []int{1}), "wrong arguments"},
		{"storage too short", tensor(7, 0, []int{7}, []int{1}), "has 24 of 28 bytes"},
		{"no such storage", one((&asm{}).tensor(func(a *asm) { a.storage("FloatStorage", "9", 6, false) }, 0, []int{1}, []int{1})), "data/9 is not in the zip file"},
		{"unknown type", one((&asm{}).tensor(func(a *asm) { a.storage("ComplexFloatStorage", "0", 6, false) }, 0, []int{1}, []int{1})), "refused: the name torch.ComplexFloatStorage"},
	} {
		_, err := openBin(zipFile(t, tt.pkl, map[string][]byte{"0": sixFloats}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestTorchBroken(t *testing.T) {
	t.Parallel()
	whole := zipFile(t, views(false).Bytes(), map[string][]byte{"0": sixFloats})
	old := stream(views(true).Bytes(), []string{"0"}, sixFloats)
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"zip cut off", whole[:len(whole)-100], "not a whole zip file"},
		{"stream cut off", old[:len(old)-5], "5 missing"},
		{"stream without storages", old[:len(old)-32], "8 missing"},
		{"text", []byte("hello"), "neither a zip file nor a pickle"},
		{"empty", nil, "neither a zip file nor a pickle"},
		{"other pickle", newAsm().op('}', '.').Bytes(), "magic number"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "git lfs pull"},
		{"storage not listed", stream(views(true).Bytes(), nil), `storage "0" is not in the file`},
		{"storage not used", stream(views(true).Bytes(), []string{"1"}, sixFloats), `"1" is listed but used by no tensor`},
		{"other length", stream(views(true).Bytes(), []string{"0"}, sixFloats[:20]), "has 5 elements, 6 were announced"},
	} {
		_, err := openBin(tt.b)
		var fe *FileError
		if !errors.As(err, &fe) || fe.File != "pytorch_model.bin" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// FuzzTorch: any bytes are refused or give tensors that lie within the file.
func FuzzTorch(f *testing.F) {
	f.Add(zipFile(f, views(false).Bytes(), map[string][]byte{"0": sixFloats}))
	f.Add(stream(views(true).Bytes(), []string{"0"}, sixFloats))
	f.Fuzz(func(t *testing.T, b []byte) { readAll(t, b, readTorch) })
}

// FuzzPickle runs the restricted machine on a pickle alone.
func FuzzPickle(f *testing.F) {
	f.Add(views(false).Bytes())
	f.Add(newAsm().global("os", "system").str("true").op(0x85, 'R', '.').Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		host := torchHost{func(id any) (any, error) {
			st, _, err := storageID(id)
			return st, err
		}}
		v, err := newPickleMachine(bytes.NewReader(b), int64(len(b)), host.host()).load()
		if err != nil {
			return
		}
		if w, ok := v.(*view); ok && w.first > w.st.len {
			t.Errorf("a view begins at %d of %d", w.first, w.st.len)
		}
	})
}
