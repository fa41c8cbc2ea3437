package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"sextant/internal/py"
)

// maxHeader is the format's own bound on the length of the header.
const maxHeader = 100_000_000

// readSafetensors reads the header: 8 bytes of length, then JSON that gives for
// each tensor its type, shape and place in the rest of the file.
func readSafetensors(r io.ReaderAt, size int64) ([]*Tensor, error) {
	var head [8]byte
	if size < int64(len(head)) {
		return nil, &TruncatedError{size, int64(len(head))}
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > maxHeader {
		return nil, fmt.Errorf("not a safetensors file: its header would be %d bytes long, the most is %d", n, int64(maxHeader))
	}
	start := int64(len(head)) + int64(n)
	if start > size {
		return nil, &TruncatedError{size, start}
	}
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, int64(len(head))); err != nil && !(errors.Is(err, io.EOF) && start == size) {
		return nil, fmt.Errorf("read header: %w", err)
	}
	v, err := py.LoadJSON(buf)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, errors.New("header: not a JSON object")
	}
	type place struct {
		t        *Tensor
		from, to int64
	}
	var places []place
	for _, e := range d.Entries() {
		name := e.Key.(string)
		if name == "__metadata__" {
			continue
		}
		t, from, to, err := headerEntry(name, e.Val)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		t.src, t.off = r, start+from
		places = append(places, place{t, from, to})
	}
	sort.SliceStable(places, func(i, j int) bool {
		if places[i].from != places[j].from {
			return places[i].from < places[j].from
		}
		return places[i].to < places[j].to
	})
	end := int64(0)
	for i, p := range places {
		if p.from < end {
			return nil, fmt.Errorf("tensors %q and %q overlap", places[i-1].t.Name, p.t.Name)
		}
		if p.from > end {
			return nil, fmt.Errorf("%d bytes before tensor %q belong to no tensor", p.from-end, p.t.Name)
		}
		end = p.to
	}
	if end > size-start {
		return nil, &TruncatedError{size, start + end}
	}
	if end < size-start {
		return nil, fmt.Errorf("%d bytes behind the last tensor belong to no tensor", size-start-end)
	}
	out := make([]*Tensor, len(places))
	for i, p := range places {
		out[i] = p.t
	}
	return out, nil
}

func headerEntry(name string, v py.Value) (t *Tensor, from, to int64, err error) {
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, 0, 0, errors.New("not a JSON object")
	}
	t = &Tensor{Name: name, DType: DType(d.Str("dtype"))}
	if t.DType.Size() == 0 {
		return nil, 0, 0, fmt.Errorf("dtype %q is not supported", d.Str("dtype"))
	}
	shape, offsets := d.List("shape"), d.List("data_offsets")
	if shape == nil || offsets == nil || offsets.Len() != 2 {
		return nil, 0, 0, errors.New("shape or data_offsets is missing")
	}
	want := int64(t.DType.Size())
	t.Shape = make([]int, 0, shape.Len())
	for _, x := range shape.Items {
		n, ok := x.(int)
		if !ok || n < 0 || n > 0 && want > math.MaxInt64/int64(n) {
			return nil, 0, 0, fmt.Errorf("shape has the dimension %v", x)
		}
		t.Shape = append(t.Shape, n)
		want *= int64(n)
	}
	a, okA := offsets.Items[0].(int)
	b, okB := offsets.Items[1].(int)
	if !okA || !okB || a < 0 || b < a || b > math.MaxInt64/2 {
		return nil, 0, 0, fmt.Errorf("data_offsets %v to %v", offsets.Items[0], offsets.Items[1])
	}
	if int64(b-a) != want {
		return nil, 0, 0, fmt.Errorf("%d bytes for %s of shape %v, which needs %d", b-a, t.DType, t.Shape, want)
	}
	return t, int64(a), int64(b), nil
}
