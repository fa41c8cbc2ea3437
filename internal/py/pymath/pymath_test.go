package pymath

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sextant/internal/sharedtest"
)

// TestAgainstLibm holds the functions against results of the C library
// (gen.py). glibc itself is not always correctly rounded; the share of
// differences allowed is what its error bounds explain.
func TestAgainstLibm(t *testing.T) {
	t.Parallel()
	var rows []byte
	for _, name := range []string{"libm.txt", "gamma.txt"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, b...)
	}
	one := map[string]func(float64) float64{"exp": Exp, "log": Log, "log2": Log2, "log10": Log10, "log1p": Log1p, "sin": Sin, "cos": Cos,
		"tan": Tan, "asin": Asin, "acos": Acos, "atan": Atan, "sinh": Sinh, "cosh": Cosh, "tanh": Tanh, "exp2": Exp2, "asinh": Asinh, "acosh": Acosh, "gamma": Gamma, "lgamma": LGamma}
	std := map[string]func(float64) float64{"exp": math.Exp, "log": math.Log, "log2": math.Log2, "log10": math.Log10, "log1p": math.Log1p, "sin": math.Sin, "cos": math.Cos,
		"tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan, "sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "exp2": math.Exp2, "asinh": math.Asinh, "acosh": math.Acosh,
		"gamma": math.Gamma, "lgamma": func(x float64) float64 { r, _ := math.Lgamma(x); return r }}
	total, off, stdOff := map[string]int{}, map[string]int{}, map[string]int{}
	sc := bufio.NewScanner(bytes.NewReader(rows))
	for sc.Scan() {
		w := strings.Fields(sc.Text())
		var v []float64
		for _, h := range w[1:] {
			u, err := strconv.ParseUint(h, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, math.Float64frombits(u))
		}
		want := v[len(v)-1]
		var got, other float64
		switch w[0] {
		case "pow":
			got, other = Pow(v[0], v[1]), math.Pow(v[0], v[1])
		case "atan2":
			got, other = Atan2(v[0], v[1]), math.Atan2(v[0], v[1])
		case "hypot":
			got, other = Hypot(v[0], v[1]), math.Hypot(v[0], v[1])
		default:
			got, other = one[w[0]](v[0]), std[w[0]](v[0])
		}
		total[w[0]]++
		if got != want {
			off[w[0]]++
			if d := math.Abs(got - want); d > 1.01*math.Abs(math.Nextafter(want, math.Inf(1))-want) {
				t.Errorf("%s%v = %v, want %v", w[0], v[:len(v)-1], got, want)
			}
		}
		if other != want {
			stdOff[w[0]]++
		}
	}
	for name, n := range total {
		t.Logf("%s: %d of %d differ (Go's math: %d)", name, off[name], n, stdOff[name])
		if limit := allowed[name]; off[name] > limit {
			t.Errorf("%s: %d of %d differ in the last bit, at most %d are known", name, off[name], n, limit)
		}
	}
}

func TestSpecialValues(t *testing.T) {
	t.Parallel()
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"exp 0", Exp(0), 1}, {"exp inf", Exp(inf), inf}, {"exp -inf", Exp(-inf), 0}, {"exp big", Exp(710), inf}, {"exp nan", Exp(nan), nan},
		{"exp small", Exp(-745.1), 5e-324}, {"exp tiny", Exp(1e-300), 1},
		{"log 1", Log(1), 0}, {"log 0", Log(0), -inf}, {"log -1", Log(-1), nan}, {"log inf", Log(inf), inf}, {"log subnormal", Log(5e-324), -744.4400719213812},
		{"pow 0 0", Pow(0, 0), 1}, {"pow -2 3", Pow(-2, 3), -8}, {"pow -2 0.5", Pow(-2, 0.5), nan}, {"pow big", Pow(10, 400), inf}, {"pow -2 2", Pow(-2, 2), 4},
		{"pow inf", Pow(2, inf), inf}, {"sin 0", Sin(0), 0}, {"cos 0", Cos(0), 1}, {"sin inf", Sin(inf), nan}, {"log2 8", Log2(8), 3}, {"log10 1000", Log10(1000), 3},
	} {
		if c.got != c.want && !(c.got != c.got && c.want != c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	for b.Loop() {
		Log(2.718)
	}
}

func BenchmarkExp(b *testing.B) {
	for b.Loop() {
		Exp(-2.718)
	}
}

// allowed is how many of the stored results glibc rounds the other way.
var allowed = map[string]int{"exp": 2, "log": 2, "log2": 4, "log10": 2, "log1p": 4, "sin": 7, "cos": 3, "pow": 10, "tan": 1, "acosh": 1}

func TestConformanceSums(t *testing.T) {
	t.Parallel()
	fh, err := os.Open(sharedtest.Path(t, "conformance", "pynum", "sums.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer fh.Close()
	sc := bufio.NewScanner(fh)
	sc.Buffer(nil, 16<<20)
	n := 0
	for sc.Scan() {
		var r struct {
			Values []float64
			FSum   string `json:"fsum"`
			Sum    string `json:"np_sum"`
			Mean   string `json:"np_mean"`
			Std    string `json:"np_std"`
			Median string `json:"np_median"`
			P25    string `json:"np_percentile_25"`
		}
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		n++
		for _, c := range []struct {
			name string
			got  float64
			want string
		}{
			{"fsum", FSum(r.Values), r.FSum}, {"np.sum", NumPySum(r.Values), r.Sum}, {"np.mean", NumPyMean(r.Values), r.Mean},
			{"np.std", NumPyStd(r.Values, 0), r.Std}, {"np.median", NumPyMedian(r.Values), r.Median}, {"np.percentile", NumPyPercentile(r.Values, 25), r.P25},
		} {
			if got := fmt.Sprintf("%016x", math.Float64bits(c.got)); c.want != "" && got != c.want {
				t.Errorf("%s of %d values: got %v (%s), want %s", c.name, len(r.Values), c.got, got, c.want)
			}
		}
	}
	if n == 0 || sc.Err() != nil {
		t.Errorf("%d rows, %v", n, sc.Err())
	}
	if got := FSum([]float64{1e16, 1, 1e-16}); got != 10000000000000002 {
		t.Errorf("fsum half-way: %v", got)
	}
}
