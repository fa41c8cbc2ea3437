package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"sextant/internal/sharedtest"
)

// safetensorsFile makes a file of header and data.
func safetensorsFile(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func openSafetensors(b []byte) (*Checkpoint, error) {
	return Open(fstest.MapFS{"config.json": {Data: []byte(`{"model_type":"opt"}`)}, "model.safetensors": {Data: b}})
}

func TestSafetensorsBroken(t *testing.T) {
	t.Parallel()
	const two = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`
	whole := safetensorsFile(two, make([]byte, 12))
	huge := binary.LittleEndian.AppendUint64(nil, 1<<40)
	long := binary.LittleEndian.AppendUint64(nil, 1000)
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"last bytes missing", whole[:len(whole)-5], "model.safetensors: truncated: 122 of 127 bytes, 5 missing"},
		{"all data missing", whole[:8+len(two)], "12 missing"},
		{"header cut off", append(long, "{}"...), "998 missing"},
		{"no length", []byte("abc"), "5 missing"},
		{"header too large", append(huge, "{}"...), "header would be 1099511627776 bytes"},
		{"surplus", append(slices.Clone(whole), 0, 0), "2 bytes behind the last tensor"},
		{"overlap", safetensorsFile(strings.Replace(two, `[8,12]`, `[4,8]`, 1), make([]byte, 8)), `tensors "a" and "b" overlap`},
		{"hole", safetensorsFile(strings.Replace(two, `[8,12]`, `[12,16]`, 1), make([]byte, 16)), `4 bytes before tensor "b"`},
		{"dtype", safetensorsFile(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}`, make([]byte, 1)), `tensor "a": dtype "F4" is not supported`},
		{"wrong size", safetensorsFile(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, make([]byte, 8)), "8 bytes for F32 of shape [3], which needs 12"},
		{"shape overflows", safetensorsFile(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, nil), "dimension 4294967296"},
		{"negative dimension", safetensorsFile(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, make([]byte, 4)), "dimension -1"},
		{"backwards", safetensorsFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, make([]byte, 4)), "data_offsets 4 to 0"},
		{"no shape", safetensorsFile(`{"a":{"dtype":"F32"}}`, nil), "shape or data_offsets is missing"},
		{"not JSON", safetensorsFile(`{"a":`, nil), "Expecting value"},
		{"a list", safetensorsFile(`[]`, nil), "header: not a JSON object"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
	} {
		_, err := openSafetensors(tt.b)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	var cut *TruncatedError
	if _, err := openSafetensors(whole[:len(whole)-5]); !errors.As(err, &cut) || cut.Want-cut.Size != 5 {
		t.Errorf("not a TruncatedError of 5 bytes: %v", err)
	}
	if _, err := openSafetensors(whole); err != nil {
		t.Errorf("the whole file: %v", err)
	}
}

// TestFileThatShrinks is cut off after it was opened.
func TestFileThatShrinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := safetensorsFile(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, make([]byte, 16))
	for n, data := range map[string][]byte{"config.json": []byte("{}"), "model.safetensors": b} {
		if err := os.WriteFile(filepath.Join(dir, n), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Open(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := os.Truncate(filepath.Join(dir, "model.safetensors"), int64(len(b)-3)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tensor("a").Float32(nil); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "read tensor a from model.safetensors") {
		t.Errorf("error %v", err)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	config := &fstest.MapFile{Data: []byte(`{"model_type":"opt"}`)}
	shard := &fstest.MapFile{Data: safetensorsFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4))}
	index := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(`{"weight_map":` + s + `}`)} }
	for _, tt := range []struct {
		name string
		fs   fstest.MapFS
		want string
	}{
		{"no weights", fstest.MapFS{"config.json": config, "tf_model.h5": {}}, "no weights: looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json; found config.json, tf_model.h5"},
		{"no config", fstest.MapFS{"model.safetensors": shard}, "config.json"},
		{"broken config", fstest.MapFS{"config.json": {Data: []byte("{")}, "model.safetensors": shard}, "Expecting property name"},
		{"config is a list", fstest.MapFS{"config.json": {Data: []byte("[]")}, "model.safetensors": shard}, "config.json: not a JSON object"},
		{"shard missing", fstest.MapFS{"config.json": config, "s1.safetensors": shard, "model.safetensors.index.json": index(`{"a":"s1.safetensors","b":"s2.safetensors"}`)}, "1 of 2 shards are missing: s2.safetensors"},
		{"tensor missing", fstest.MapFS{"config.json": config, "s1.safetensors": shard, "model.safetensors.index.json": index(`{"a":"s1.safetensors","b":"s1.safetensors"}`)}, `tensor "b" is not in s1.safetensors`},
		{"in two shards", fstest.MapFS{"config.json": config, "s1.safetensors": shard, "s2.safetensors": shard, "model.safetensors.index.json": index(`{"a":"s1.safetensors","b":"s2.safetensors"}`)}, `tensor "a" is in s1.safetensors too`},
		{"shard elsewhere", fstest.MapFS{"config.json": config, "model.safetensors.index.json": index(`{"a":"../s1.safetensors"}`)}, "not a name in this folder"},
		{"empty index", fstest.MapFS{"config.json": config, "model.safetensors.index.json": index(`{}`)}, "no weight_map"},
		{"weights are a folder", fstest.MapFS{"config.json": config, "model.safetensors/x": {}}, "is a directory"},
	} {
		_, err := Open(tt.fs)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	_, err := Open(fstest.MapFS{"config.json": config})
	var nw *NoWeightsError
	if !errors.As(err, &nw) || len(nw.Want) != 4 {
		t.Errorf("%v", err)
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		d    DType
		b    []byte
		want []float32
	}{
		{F32, []byte{0, 0, 0x80, 0x3f}, []float32{1}},
		{F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e300)), []float32{inf}},
		{F16, []byte{0x00, 0x3c, 0x01, 0x00, 0x00, 0x80, 0xff, 0x7b, 0x00, 0x7c, 0xff, 0x03}, []float32{1, 0x1p-24, 0, 65504, inf, 0x3ffp-24}},
		{BF16, []byte{0x80, 0x3f, 0x49, 0x40, 0x80, 0xff}, []float32{1, 3.140625, -inf}},
		{F8E4M3, []byte{0x38, 0x7e, 0x01, 0xb8, 0x7f}, []float32{1, 448, 0x1p-9, -1, nan}},
		{F8E5M2, []byte{0x3c, 0x7b, 0x01, 0xfc}, []float32{1, 57344, 0x1p-16, -inf}},
		{I64, binary.LittleEndian.AppendUint64(nil, math.MaxUint64), []float32{-1}},
		{U64, binary.LittleEndian.AppendUint64(nil, 1<<63), []float32{0x1p63}},
		{I32, []byte{0xfe, 0xff, 0xff, 0xff}, []float32{-2}},
		{U32, []byte{0xfe, 0xff, 0xff, 0xff}, []float32{4294967294}},
		{I16, []byte{0, 0x80}, []float32{-32768}},
		{U16, []byte{0, 0x80}, []float32{32768}},
		{I8, []byte{0x80, 0x7f}, []float32{-128, 127}},
		{U8, []byte{0x80}, []float32{128}},
		{Boolean, []byte{0, 1}, []float32{0, 1}},
	} {
		if len(tt.b) != len(tt.want)*tt.d.Size() {
			t.Fatalf("%s: %d bytes for %d numbers", tt.d, len(tt.b), len(tt.want))
		}
		got := make([]float32, len(tt.want))
		convert(got, tt.b, tt.d)
		for i := range got {
			if got[i] != tt.want[i] && !(got[i] != got[i] && tt.want[i] != tt.want[i]) {
				t.Errorf("%s: number %d is %g, want %g", tt.d, i, got[i], tt.want[i])
			}
		}
	}
	if h := halfToFloat(0x8000); h != 0 || !math.Signbit(float64(h)) {
		t.Error("the sign of a zero was lost")
	}
	for d := range dtypeSize { // none is forgotten in convert
		b := bytes.Repeat([]byte{0x41}, d.Size())
		got := []float32{-7}
		if convert(got, b, d); got[0] == -7 {
			t.Errorf("%s is not converted", d)
		}
	}
}

// TestChunks reads more than is converted at a time.
func TestChunks(t *testing.T) {
	t.Parallel()
	const n = chunkBytes + 1234
	data := make([]byte, 0, 2*n)
	for i := range n {
		data = binary.LittleEndian.AppendUint16(data, uint16(0x3c00+i%1024))
	}
	b := safetensorsFile(`{"a":{"dtype":"F16","shape":[263378],"data_offsets":[0,526756]}}`, data)
	c, err := openSafetensors(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Tensor("a").Float32(make([]float32, 0, n))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range got {
		if want := 1 + float32(i%1024)/1024; f != want {
			t.Fatalf("element %d is %g, want %g", i, f, want)
		}
	}
	if err := c.Tensor("a").Float32At(make([]float32, 2), n-1); err == nil {
		t.Error("read beyond the end")
	}
	p := make([]byte, 8)
	if k, err := c.Tensor("a").ReadAt(p, 2*n-4); k != 4 || err != io.EOF {
		t.Errorf("ReadAt at the end: %d, %v", k, err)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := sharedtest.Path(t, "conformance", "models", "opt")
	for _, n := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(src, n))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, n), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	hash := func(fsys fs.FS, o HashOptions) string {
		t.Helper()
		h, err := Hash(t.Context(), fsys, o)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := hash(os.DirFS(dir), HashOptions{})
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("README.md", []byte("x"))
	if hash(os.DirFS(dir), HashOptions{}) != first {
		t.Error("a file that is not used changed the hash")
	}
	write("tokenizer_config.json", []byte("{}"))
	second := hash(os.DirFS(dir), HashOptions{})
	if second == first {
		t.Error("the tokenizer does not count")
	}

	// a large file is read once, until it changes
	write("model.safetensors", make([]byte, cacheAbove))
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	touch := func(at time.Time) {
		if err := os.Chtimes(filepath.Join(dir, "model.safetensors"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	touch(when)
	now := when
	o := HashOptions{Root: dir, CacheFile: filepath.Join(t.TempDir(), "sub", "sums.jsonl"), Now: func() time.Time { return now }}
	big := hash(os.DirFS(dir), o)
	if _, err := os.Stat(o.CacheFile); err == nil {
		t.Error("a file that may still be written was remembered")
	}
	now = when.Add(time.Hour)
	if hash(os.DirFS(dir), o) != big {
		t.Error("the hash is another with a cache")
	}
	counted := &countingFS{FS: os.DirFS(dir)}
	if hash(counted, o) != big {
		t.Error("the hash is another from the cache")
	}
	if n := counted.bytes.Load(); n > 1<<16 {
		t.Errorf("%d bytes read although the sum was remembered", n)
	}
	write("model.safetensors", append(make([]byte, cacheAbove-1), 1))
	touch(when.Add(time.Minute))
	if hash(os.DirFS(dir), o) == big {
		t.Error("a changed file went unnoticed")
	}
	if err := os.WriteFile(o.CacheFile, []byte("{broken\n\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(when)
	write("model.safetensors", make([]byte, cacheAbove))
	touch(when)
	if hash(os.DirFS(dir), o) != big {
		t.Error("a broken cache changed the hash")
	}
}

// countingFS counts bytes read.
type countingFS struct {
	fs.FS
	bytes atomic.Int64
}

type countingFile struct {
	fs.File
	n *atomic.Int64
}

func (c *countingFS) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &countingFile{f, &c.bytes}, nil
}

func (f *countingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.n.Add(int64(n))
	return n, err
}

// readAll reads every tensor of whatever a reader makes of b.
func readAll(t *testing.T, b []byte, read func(io.ReaderAt, int64) ([]*Tensor, error)) {
	t.Helper()
	ts, err := read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	for _, x := range ts {
		if x.SizeBytes() > int64(len(b)) {
			t.Fatalf("tensor %q has %d bytes in a file of %d", x.Name, x.SizeBytes(), len(b))
		}
		if _, err := x.Float32(nil); err != nil {
			t.Fatalf("tensor %q: %v", x.Name, err)
		}
	}
}

// FuzzSafetensors: any bytes are refused or give tensors that can be read.
func FuzzSafetensors(f *testing.F) {
	f.Add(safetensorsFile(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}`, make([]byte, 8)))
	f.Add(safetensorsFile(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[],"data_offsets":[4,5]}}`, make([]byte, 5)))
	f.Fuzz(func(t *testing.T, b []byte) { readAll(t, b, readSafetensors) })
}

// BenchmarkRead reads all weights of the demo-sized model as float32.
func BenchmarkRead(b *testing.B) {
	dir := sharedtest.Path(b, "models", "opt-demo")
	c, err := Open(os.DirFS(dir))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var buf []float32
	for b.Loop() {
		var n int64
		for _, x := range c.Tensors() {
			if buf, err = x.Float32(buf); err != nil {
				b.Fatal(err)
			}
			n += x.SizeBytes()
		}
		b.SetBytes(n)
	}
}
