// Package repeat looks for repetitions in answers, as OpenCompass's
// utils/repeat_analysis.py does: models that loop fill their answers up with
// one passage over and over, and their scores say only that they are wrong.
//
// Of each benchmark the answers at or above the 75th percentile of length are
// looked at, the second half of each: a window of 32 tokens that comes back
// more than 20 times at one or two regular distances is a repetition, and so is
// text that gzip makes more than 40 times smaller.
//
// Analyze goes through the answers twice, lengths first, and holds a few
// numbers for each of them, never their texts. Non-goals: it reads no files and
// has no tokenizer; both come in.
package repeat

import (
	"iter"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"sextant/internal/py"
)

// The constants of the analysis.
const (
	patternSize    = 32   // tokens of a window
	samplePatterns = 5    // windows that are looked for, about
	minCount       = 20   // a window must come back at least so often
	minRegularity  = 0.9  // share of the two commonest distances
	gzipThreshold  = 40.0 // ratio above which a text is abnormal
	lengthShare    = 0.75 // answers below this quantile of length are left alone
)

// Answer is one sample's answer.
type Answer struct {
	ID         string   // sample_id of the report
	Prediction py.Value // as the record has it
	ResLength  py.Value // res_length of the record: an int, a list of them, or nil
}

// Source is the answers of one model to one benchmark. All gives them in the
// same order each time.
type Source struct {
	Model, Benchmark, Path string
	All                    iter.Seq2[Answer, error]
	// Missing says that there are none: Path is where they would be.
	Missing bool
}

// Tokenize splits a text into tokens as a model's tokenizer has them, special
// tokens included.
type Tokenize func(text string) ([]string, error)

// Input is what is looked at.
type Input struct {
	Time, WorkDir string
	Models        []string // abbrs, the first gives the report its name
	Sources       []Source
	// Tokenizer gives the tokenizer of a model.
	Tokenizer func(model string) Tokenize
	// LengthUnit is "tokens", or what stands in for them.
	LengthUnit string
	Now        func() time.Time
}

// Report is what came out.
type Report struct {
	JSON  *py.Dict   // the report file
	Table [][]string // header first
	// Abnormal counts answers by rule: repeat_pattern, gzip_high_compression.
	Abnormal map[string]int
}

// Analyze looks through all answers, benchmark by benchmark in the order in
// which sources name them.
func Analyze(in Input) (*Report, error) {
	var order []string
	by := map[string][]Source{}
	missing := py.NewList()
	for _, s := range in.Sources {
		if s.Missing {
			missing.Append(py.DictOf("model", s.Model, "benchmark", s.Benchmark, "path", s.Path), 0)
			continue
		}
		if by[s.Benchmark] == nil {
			order = append(order, s.Benchmark)
		}
		by[s.Benchmark] = append(by[s.Benchmark], s)
	}
	stats, patterns, packed := py.NewDict(), py.NewList(), py.NewList()
	var rows []row
	samples, skipped := 0, 0
	for _, name := range order {
		b := &benchmark{in: &in, sources: by[name]}
		if err := b.run(); err != nil {
			return nil, err
		}
		stats.Set(name, b.stats())
		for _, d := range b.abnormal {
			if d.pattern {
				patterns.Append(d.sample, 0)
			}
			if d.packed {
				packed.Append(d.sample, 0)
			}
		}
		samples += len(b.lengths)
		skipped += b.skipped
		rows = append(rows, b.row(name))
	}
	first := ""
	if len(in.Models) > 0 {
		first = in.Models[0]
	}
	out := &Report{Abnormal: map[string]int{"repeat_pattern": patterns.Len(), "gzip_high_compression": packed.Len()}, Table: table(rows)}
	out.JSON = py.DictOf(
		"time", in.Time,
		"work_dir", in.WorkDir,
		"settings", py.DictOf(
			"pattern_size", patternSize,
			"num_sample_patterns", samplePatterns,
			"length_unit", in.LengthUnit,
			"repeat_analysis_threshold", "p75 of benchmark token lengths",
			"pattern_rule", "periodic pattern with count > 20",
			"gzip_rule", "gzip_compression_ratio > 40.0",
			"repeat_analysis_min_length_rule", "pattern/gzip skipped when length < p75"),
		"summary", py.DictOf(
			"model", first,
			"num_benchmarks", len(order),
			"num_samples", samples,
			"num_missing_prediction_files", missing.Len(),
			"num_repeat_analysis_skipped", skipped,
			"abnormal_counts", py.DictOf("repeat_pattern", patterns.Len(), "gzip_high_compression", packed.Len())),
		"missing_prediction_files", missing,
		"benchmark_stats", stats,
		"abnormal_samples", py.DictOf("repeat_pattern", patterns, "gzip_high_compression", packed))
	return out, nil
}

// benchmark is the work on one of them.
type benchmark struct {
	in      *Input
	sources []Source

	lengths        []int
	mean           float64
	p75, p90       int
	skipped        int
	ratios         []float64 // repeat_pattern_ratio of each answer
	gzipSum        float64
	patternT, zipT time.Duration
	abnormal       []finding
}

type finding struct {
	sample          *py.Dict
	pattern, packed bool
}

func (b *benchmark) run() error {
	for _, s := range b.sources {
		for a, err := range s.All {
			if err != nil {
				return err
			}
			n, known := resLength(a.ResLength)
			if !known {
				toks, err := b.in.Tokenizer(s.Model)(Text(a.Prediction))
				if err != nil {
					return err
				}
				n = len(toks)
			}
			b.lengths = append(b.lengths, n)
		}
	}
	sum := 0
	for _, n := range b.lengths {
		sum += n
	}
	if n := len(b.lengths); n > 0 {
		sorted := slices.Sorted(slices.Values(b.lengths))
		b.mean = float64(sum) / float64(n)
		b.p75, b.p90 = sorted[int(float64(n)*lengthShare)], sorted[int(float64(n)*0.90)]
	}
	b.ratios = make([]float64, len(b.lengths))
	i := 0
	for _, s := range b.sources {
		for a, err := range s.All {
			if err != nil {
				return err
			}
			if i >= len(b.lengths) {
				break // an answer more than before: the run goes on beside us
			}
			if b.lengths[i] < b.p75 {
				b.skipped++
			} else if err := b.look(s, a, i); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// look analyses one long answer.
func (b *benchmark) look(s Source, a Answer, i int) error {
	text := Text(a.Prediction)
	toks, err := b.in.Tokenizer(s.Model)(text)
	if err != nil {
		return err
	}
	begin := b.in.Now()
	p := findPattern(toks[len(toks)/2:])
	mid := b.in.Now()
	runes := []rune(text)
	zipped := gzipRatio(string(runes[len(runes)/2:]))
	b.patternT += mid.Sub(begin)
	b.zipT += b.in.Now().Sub(mid)
	b.ratios[i] = p.ratio
	b.gzipSum += zipped
	f := finding{pattern: p.count > minCount, packed: zipped > gzipThreshold}
	if !f.pattern && !f.packed {
		return nil
	}
	f.sample = py.DictOf(
		"model", s.Model,
		"benchmark", s.Benchmark,
		"sample_id", a.ID,
		"prediction_path", s.Path,
		"length", b.lengths[i],
		"repeat_analysis_skipped", false,
		"repeat_pattern_ratio", p.ratio,
		"repeat_pattern", p.text,
		"repeat_pattern_count", p.count,
		"gzip_compression_ratio", zipped,
		"gzip_compression_threshold", gzipThreshold,
		"prediction", text)
	b.abnormal = append(b.abnormal, f)
	return nil
}

func (b *benchmark) stats() *py.Dict {
	var mean, std py.Value = 0, 0
	var zipped py.Value = 0
	var length py.Value = 0
	if n := float64(len(b.ratios)); n > 0 {
		m, sq := 0.0, 0.0
		for _, x := range b.ratios {
			m += x
		}
		m /= n
		for _, x := range b.ratios {
			sq += (x - m) * (x - m)
		}
		mean, std, zipped, length = m, math.Sqrt(sq/n), b.gzipSum/n, b.mean
	}
	return py.DictOf(
		"sample_count", len(b.lengths),
		"repeat_analysis_skipped", b.skipped,
		"length", py.DictOf("mean", length, "p75", b.p75, "p90", b.p90, "repeat_analysis_threshold", b.p75),
		"repeat_pattern_ratio", py.DictOf("mean", mean, "std", std, "threshold", minCount),
		"gzip_compression_ratio", py.DictOf("mean", zipped, "threshold", gzipThreshold),
		"timing", py.DictOf("pattern_seconds", millis(b.patternT), "gzip_seconds", millis(b.zipT)))
}

func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// resLength reads res_length; the turns of a conversation are added up.
func resLength(v py.Value) (int, bool) {
	switch x := v.(type) {
	case int:
		return x, true
	case *py.List:
		sum := 0
		for _, it := range x.Items {
			n, ok := it.(int)
			if !ok {
				return 0, false
			}
			sum += n
		}
		return sum, true
	}
	return 0, false
}

// Text is a prediction as one text: the turns of a list one below the other,
// of a dict its prediction.
func Text(v py.Value) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case *py.List:
		parts := make([]string, len(x.Items))
		for i, it := range x.Items {
			parts[i] = Text(it)
		}
		return strings.Join(parts, "\n")
	case *py.Dict:
		if p, ok := x.Lookup("prediction"); ok {
			return Text(p)
		}
		if b, err := py.DumpJSON(x, py.JSONOptions{SortKeys: true}); err == nil {
			return string(b)
		}
	}
	return py.Str(v)
}

// pattern is the window that fills most of a text.
type pattern struct {
	ratio float64 // in 0 … 1
	text  string
	count int
}

// findPattern looks for windows from the tail of the tokens that come back at
// regular distances.
func findPattern(tokens []string) pattern {
	n := len(tokens)
	if n < patternSize*2 {
		return pattern{}
	}
	vocab := map[string]int32{}
	ids := make([]int32, n)
	for i, t := range tokens {
		id, ok := vocab[t]
		if !ok {
			id = int32(len(vocab))
			vocab[t] = id
		}
		ids[i] = id
	}
	tail := max(n/2, n-patternSize*(samplePatterns+1))
	available := n - tail - patternSize + 1
	if available <= 0 {
		return pattern{}
	}
	step := max(1, available/samplePatterns)
	best, at, count := 0.0, tail, 0
	seen := map[[patternSize]int32]bool{}
	for i := tail; i < tail+available; i += step {
		target := [patternSize]int32(ids[i : i+patternSize])
		if seen[target] {
			continue
		}
		seen[target] = true
		matches, distances, last := 0, map[int]int{}, -1
		for j := 0; j+patternSize <= n; j++ {
			if ids[j] != target[0] || [patternSize]int32(ids[j:j+patternSize]) != target {
				continue
			}
			if last >= 0 {
				distances[j-last]++
			}
			last = j
			matches++
		}
		if matches < minCount {
			continue
		}
		first, second := 0, 0
		for _, c := range distances {
			if c > first {
				first, second = c, first
			} else if c > second {
				second = c
			}
		}
		regular := float64(first+second) / float64(matches-1)
		if regular < minRegularity {
			continue
		}
		if ratio := regular * float64(matches) * patternSize / float64(n); ratio > best {
			best, at, count = ratio, i, matches
		}
	}
	return pattern{min(best, 1), strings.Join(tokens[at:at+patternSize], " "), count}
}

// gzipRatio is how many times smaller gzip makes a text.
func gzipRatio(text string) float64 {
	if text == "" {
		return 0
	}
	return float64(len(text)) / float64(gzipSize([]byte(text)))
}

// Words stands in for a tokenizer where a model has none that can be had: runs
// of letters and digits, and every other character that is no space by itself;
// so is each character of scripts that write no spaces.
func Words(text string) ([]string, error) {
	var out []string
	begin := -1
	for i, r := range text {
		whole := (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
		if whole {
			if begin < 0 {
				begin = i
			}
			continue
		}
		if begin >= 0 {
			out = append(out, text[begin:i])
			begin = -1
		}
		if !unicode.IsSpace(r) {
			out = append(out, string(r))
		}
	}
	if begin >= 0 {
		out = append(out, text[begin:])
	}
	return out, nil
}
