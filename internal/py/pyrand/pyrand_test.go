package pyrand

import (
	"encoding/hex"
	"os"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

func rows(t *testing.T, name string) []*py.Dict {
	t.Helper()
	data, err := os.ReadFile(sharedtest.Path(t, "conformance", "pynum", name))
	if err != nil {
		t.Fatal(err)
	}
	vs, err := py.LoadJSONLines(data)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*py.Dict, len(vs))
	for i, v := range vs {
		out[i] = v.(*py.Dict)
	}
	return out
}

func ints(vs []int) *py.List {
	l := py.NewList()
	for _, v := range vs {
		l.Append(v, 0)
	}
	return l
}

// draw is one call on a generator, as the reference files write it.
func draw(t *testing.T, r *Random, op string, args []py.Value) py.Value {
	t.Helper()
	num := func(i int) int { return args[i].(int) }
	float := func(i int) float64 {
		f, err := py.Float(args[i])
		if err != nil {
			t.Fatal(err)
		}
		return f.(float64)
	}
	ok := func(v int, err error) py.Value {
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	switch op {
	case "random":
		return r.Random()
	case "getrandbits":
		if num(0) < 63 {
			return int(r.GetRandBits(num(0)))
		}
		v, err := py.ParseInt(r.GetRandBitsBig(num(0)).String(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return v
	case "randint":
		return ok(r.RandInt(num(0), num(1)))
	case "randrange":
		if len(args) == 1 {
			return ok(r.RandRange(0, num(0), 1))
		}
		return ok(r.RandRange(num(0), num(1), num(2)))
	case "uniform":
		return r.Uniform(float(0), float(1))
	case "gauss":
		return r.Gauss(float(0), float(1))
	case "choice":
		n, err := py.Len(args[0])
		if err != nil {
			t.Fatal(err)
		}
		v, err := py.GetItem(args[0], ok(r.Choice(n)))
		if err != nil {
			t.Fatal(err)
		}
		return v
	case "shuffle":
		out := arange(num(0))
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return ints(out)
	case "sample":
		out, err := r.Sample(num(0), num(1))
		if err != nil {
			t.Fatal(err)
		}
		return ints(out)
	case "choices":
		pop := args[0].(*py.List)
		var w []float64
		if l, ok := args[1].(*py.List); ok {
			for _, x := range l.Items {
				f, _ := py.Float(x)
				w = append(w, f.(float64))
			}
		}
		idx, err := r.Choices(pop.Len(), w, num(2))
		if err != nil {
			t.Fatal(err)
		}
		l := py.NewList()
		for _, i := range idx {
			l.Append(pop.Items[i], 0)
		}
		return l
	}
	t.Fatalf("unknown operation %s", op)
	return nil
}

func TestConformanceRandom(t *testing.T) {
	t.Parallel()
	n := 0
	for _, d := range rows(t, "random.jsonl") {
		seed := d.Get("seed")
		if b, ok := seed.(*py.Dict); ok {
			raw, err := hex.DecodeString(b.Str("$bytes"))
			if err != nil {
				t.Fatal(err)
			}
			seed = py.Bytes(raw)
		}
		r, err := NewSeeded(seed)
		if err != nil {
			t.Fatal(err)
		}
		check := func(op string, args *py.List, got, want py.Value) {
			n++
			if py.Repr(got) != py.Repr(want) {
				t.Errorf("seed %s: %s%s = %.200s, want %.200s", py.Repr(seed), op, py.Repr(args), py.Repr(got), py.Repr(want))
			}
		}
		switch {
		case d.Has("calls"):
			for _, c := range d.List("calls").Items {
				c := c.(*py.List).Items
				args := c[1].(*py.List)
				check(c[0].(string), args, draw(t, r, c[0].(string), args.Items), c[2])
			}
		case d.Has("repeat"):
			got := py.NewList()
			for range d.Int("repeat", 0) {
				got.Append(draw(t, r, d.Str("op"), d.List("args").Items), 0)
			}
			check(d.Str("op"), d.List("args"), got, d.Get("result"))
		default:
			check(d.Str("op"), d.List("args"), draw(t, r, d.Str("op"), d.List("args").Items), d.Get("result"))
		}
	}
	t.Logf("%d results compared", n)
}

func TestConformanceNumPy(t *testing.T) {
	t.Parallel()
	for _, d := range rows(t, "numpy_random.jsonl") {
		seed := d.Int("seed", 0)
		r := NewRandomState(uint32(seed))
		var args []py.Value
		if l := d.List("args"); l != nil {
			args = l.Items
		}
		num := func(i int) int { return args[i].(int) }
		fl := func(i int) float64 { f, _ := py.Float(args[i]); return f.(float64) }
		floats := func(n int, f func() float64) *py.List {
			l := py.NewList()
			for range n {
				l.Append(f(), 0)
			}
			return l
		}
		var got py.Value
		switch op := d.Str("op"); op {
		case "shuffle":
			x := arange(num(0))
			r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
			got = ints(x)
		case "permutation":
			got = ints(r.Permutation(num(0)))
		case "randint", "randint_scalar":
			n := 6
			if op == "randint" {
				n = num(2)
			}
			l := py.NewList()
			for range n {
				l.Append(r.RandInt(num(0), num(1)), 0)
			}
			got = l
		case "choice", "choice_array":
			got = ints(r.Choice(num(0), num(1), args[2].(bool)))
		case "choice_p":
			var p []float64
			for _, x := range args[2].(*py.List).Items {
				p = append(p, x.(float64))
			}
			got = ints(r.ChoiceP(p, num(1)))
		case "rand", "random_sample":
			got = floats(num(0), r.Rand)
		case "randn", "standard_normal":
			got = floats(num(0), r.RandN)
		case "normal":
			got = floats(num(2), func() float64 { return r.Normal(fl(0), fl(1)) })
		case "uniform":
			got = floats(num(2), func() float64 { return r.Uniform(fl(0), fl(1)) })
		case "global_stream":
			got = py.NewList(r.Rand(), r.RandInt(0, 100), ints(r.Permutation(5)), ints(r.Choice(8, 3, false)), r.RandN())
		case "default_rng":
			g := NewGenerator(uint64(seed))
			a := floats(4, g.Random)
			b := py.NewList()
			for range 6 {
				b.Append(g.Integers(0, 100), 0)
			}
			got = py.DictOf("random", a, "integers_0_100", b, "permutation_10", ints(g.Permutation(10)), "choice_10_4", ints(g.Choice(10, 4)))
		default:
			t.Fatalf("unknown operation %s", op)
		}
		if py.Repr(got) != py.Repr(d.Get("result")) {
			t.Errorf("seed %d: %s%s\n got %.300s\nwant %.300s", seed, d.Str("op"), py.Repr(d.Get("args")), py.Repr(got), py.Repr(d.Get("result")))
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := New(1)
	for name, f := range map[string]func() error{
		"sample":      func() error { _, err := r.Sample(3, 4); return err },
		"choice":      func() error { _, err := r.Choice(0); return err },
		"randint":     func() error { _, err := r.RandInt(3, 2); return err },
		"step":        func() error { _, err := r.RandRange(1, 2, 0); return err },
		"weights":     func() error { _, err := r.Choices(2, []float64{1}, 1); return err },
		"no weight":   func() error { _, err := r.Choices(1, []float64{0}, 1); return err },
		"seed":        func() error { return r.Seed(py.NewList()) },
		"none":        func() error { return r.Seed(nil) },
		"empty range": func() error { _, err := r.Choices(0, nil, 1); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkSample(b *testing.B) {
	r := New(0)
	for b.Loop() {
		if _, err := r.Sample(10000, 100); err != nil {
			b.Fatal(err)
		}
	}
}
