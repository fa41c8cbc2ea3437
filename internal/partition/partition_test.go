package partition

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// value turns decoded JSON into Python values; keys of objects are sorted.
func value(v any) py.Value {
	switch x := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		d := py.NewDict()
		for _, k := range keys {
			d.Set(k, value(x[k]))
		}
		return d
	case []any:
		l := py.NewList()
		for _, it := range x {
			l.Append(value(it), 0)
		}
		return l
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return int(i)
		}
		f, _ := x.Float64() // JSON numbers are floats
		return f
	}
	return v
}

// plain is the way back, for comparison.
func plain(v py.Value) any {
	switch x := v.(type) {
	case *py.Dict:
		m := map[string]any{}
		for _, e := range x.Entries() {
			m[e.Key.(string)] = plain(e.Val)
		}
		return m
	case *py.List:
		l := []any{}
		for _, it := range x.Items {
			l = append(l, plain(it))
		}
		return l
	case int, float64:
		return json.Number(py.Repr(x))
	}
	return v
}

func decodeJSON(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %.100s", err, b)
	}
	return v
}

func dicts(v py.Value) []*py.Dict {
	return dictsOf(v, func(what string) { panic(what) })
}

// golden is one case of partitions.jsonl, run.
type golden struct {
	name string
	in   Input
	part *py.Dict
	dir  string // "work/predictions/", "work/results/"
	want map[string]any
}

func goldens(t *testing.T) []golden {
	t.Helper()
	b, err := os.ReadFile(sharedtest.Path(t, "conformance", "partitions", "partitions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []golden
	for line := range bytes.Lines(b) {
		raw := decodeJSON(t, line).(map[string]any)
		c := value(raw).(*py.Dict)
		g := golden{name: c.Str("case"), part: c.Dict("partitioner"), dir: "work/predictions/", want: raw["result"].(map[string]any)}
		if c.Str("stage") == "eval" {
			g.dir = "work/results/"
		}
		in := Input{Config: c, Models: dicts(c.Get("models")), Datasets: dicts(c.Get("datasets"))}
		if l := c.List("combination_indexes"); l != nil {
			for _, it := range l.Items {
				var comb Combination
				for _, i := range it.(*py.List).Items[0].(*py.List).Items {
					comb.Models = append(comb.Models, in.Models[i.(int)])
				}
				for _, i := range it.(*py.List).Items[1].(*py.List).Items {
					comb.Datasets = append(comb.Datasets, in.Datasets[i.(int)])
				}
				in.Combinations = append(in.Combinations, comb)
			}
		} else if l := c.List("model_dataset_combinations"); l != nil {
			for _, it := range l.Items {
				in.Combinations = append(in.Combinations, Combination{dicts(it.(*py.Dict).Get("models")), dicts(it.(*py.Dict).Get("datasets"))})
			}
		}
		existing := map[string]bool{}
		if l := c.List("existing"); l != nil {
			for _, it := range l.Items {
				existing[it.(string)] = true
			}
		}
		dir := g.dir
		in.Done = func(model string, p Part) bool { return existing[dir+model+"/"+p.Abbr+".json"] }
		in.Size = func(ds *py.Dict) (int, error) {
			if n, ok := c.Dict("dataset_size").Lookup(spec.DatasetAbbr(ds)); ok {
				return n.(int), nil
			}
			return 0, errors.New("no such dataset")
		}
		g.in = in
		out = append(out, g)
	}
	return out
}

// describe is a task in the form of the goldens.
func (g golden) describe(t Task, has map[string]any) map[string]any {
	m := map[string]any{"abbr": t.Abbr()}
	var models []any
	for _, x := range t.Models {
		if a := x.Str("abbr"); a != "" {
			models = append(models, a)
		} else {
			models = append(models, nil)
		}
	}
	if len(models) > 1 {
		models = []any{models}
	}
	m["models"] = models
	ds := []any{}
	for _, p := range t.Parts {
		d := map[string]any{}
		if a := p.Cfg.Str("abbr"); a != "" {
			d["abbr"] = a
		}
		if r := p.Cfg.Dict("reader_cfg").Get("test_range"); r != nil {
			d["test_range"] = plain(r)
		}
		ds = append(ds, d)
	}
	m["datasets"] = []any{ds}
	if t.Extra.Len() > 0 {
		extra := plain(t.Extra).(map[string]any)
		for _, k := range []string{"judge_model", "meta_judge_model"} {
			if j := t.Extra.Dict(k); j != nil {
				extra[k] = j.Str("abbr")
			}
		}
		if js := t.Extra.List("judge_models"); js != nil {
			names := []any{}
			for _, j := range dicts(js) {
				names = append(names, j.Str("abbr"))
			}
			extra["judge_models"] = names
		}
		m["other_keys"] = extra
	}
	// what the task object would say, where it was recorded
	if _, ok := has["name"]; ok {
		prefix := "OpenICLInfer"
		if g.dir == "work/results/" {
			prefix = "OpenICLEval"
		}
		m["name"] = prefix + t.Abbr()
	}
	if _, ok := has["outputs"]; ok {
		outs := []any{}
		for _, p := range t.Parts {
			outs = append(outs, g.dir+t.ModelName()+"/"+p.Abbr+".json")
		}
		m["outputs"] = outs
	}
	if n, ok := has["num_gpus"]; ok { // the runner's business
		m["num_gpus"] = n
	}
	return m
}

// mended reads testdata/mended.tsv: cases where the original's answer is a
// fault, with what is right and why.
func mended(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/mended.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string]string{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if line := sc.Text(); line != "" && line[0] != '#' {
			fields := strings.Split(line, "\t")
			if len(fields) != 3 {
				t.Fatalf("testdata/mended.tsv: want case, tasks and reason in %q", line)
			}
			m[fields[0]] = fields[1]
		}
	}
	return m
}

// faults are the kinds of fault that testdata/mended.tsv names for an error:
// what in a case makes the original raise it.
var faults = map[string]func(golden) bool{
	"numeric range": func(g golden) bool {
		for _, d := range g.in.Datasets {
			if _, text := d.Dict("reader_cfg").Get("test_range").(string); !text && d.Dict("reader_cfg").Has("test_range") {
				return true
			}
		}
		return false
	},
	"no template": func(g golden) bool {
		for _, d := range g.in.Datasets {
			for _, key := range []string{"prompt_template", "ice_template"} {
				if d.Dict("infer_cfg").Dict(key).Str("type") == "RawPromptTemplate" {
					return strings.Contains(g.part.Str("type"), "Size")
				}
			}
		}
		return false
	},
	"dear row": func(g golden) bool {
		for _, d := range g.in.Datasets {
			if RowCost(d, g.part.Int("gen_task_coef", 20)) > g.part.Int("max_task_size", 40000) {
				return strings.Contains(g.part.Str("type"), "Size")
			}
		}
		return false
	},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	mend := mended(t)
	cases := goldens(t)
	if len(cases) < 181 {
		t.Errorf("%d cases, want 181 at least", len(cases))
	}
	for _, g := range cases {
		t.Run(g.name, func(t *testing.T) {
			p, err := New(g.part)
			var plan Plan
			if err == nil {
				plan, err = p.Partition(g.in)
			}
			if want, ok := mend[g.name]; ok {
				delete(mend, g.name)
				var abbrs []string
				for _, task := range plan.Tasks() {
					for _, p := range task.Parts {
						abbrs = append(abbrs, p.Abbr+"="+py.Str(orNone(p.Cfg.Dict("reader_cfg").Get("test_range"))))
					}
				}
				got := strings.Join(abbrs, " ")
				if strings.HasSuffix(want, " parts") {
					got = fmt.Sprintf("%d parts", len(abbrs))
				}
				if err != nil || got != want {
					t.Errorf("got %s, %v\nwant %s", got, err, want)
				}
				return
			}
			if class, ok := g.want["error"]; ok {
				if err == nil && mend["error "+class.(string)] != "" && faults[mend["error "+class.(string)]](g) {
					return
				}
				if err == nil {
					t.Errorf("%d tasks, want an error (%v)", len(plan.Tasks()), class)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := g.want["tasks"].([]any)
			stages := [][]any{want}
			if len(want) > 0 {
				if _, ok := want[0].([]any); ok {
					stages = nil
					for _, s := range want {
						stages = append(stages, s.([]any))
					}
				}
			}
			if len(plan.Stages) != len(stages) {
				t.Fatalf("%d stages, want %d", len(plan.Stages), len(stages))
			}
			for s, ws := range stages {
				if len(plan.Stages[s]) != len(ws) {
					t.Fatalf("stage %d has %d tasks, want %d", s, len(plan.Stages[s]), len(ws))
				}
				for i, task := range plan.Stages[s] {
					w := ws[i].(map[string]any)
					if got := g.describe(task, w); !reflect.DeepEqual(got, w) {
						t.Errorf("stage %d, task %d is\n%v\nwant\n%v", s, i, got, w)
					}
				}
			}
			covers(t, g, plan)
		})
	}
	for name := range mend {
		if strings.HasPrefix(name, "error ") {
			continue
		}
		t.Errorf("testdata/mended.tsv names %q, which is not a case", name)
	}
}

func orNone(v py.Value) py.Value {
	if v == nil {
		return ""
	}
	return v
}

// covers checks that the parts of each dataset follow one another from row 0
// to an open end, or are left out because they are done.
func covers(t *testing.T, g golden, plan Plan) {
	type key struct{ model, whole string }
	next := map[key]int{}
	parts := map[key][]Part{}
	for _, task := range plan.Tasks() {
		for _, p := range task.Parts {
			k := key{task.Abbr() + task.Extra.Dict("judge_model").Str("abbr"), p.WholeAbbr()}
			k.model = task.ModelName()
			parts[k] = append(parts[k], p)
		}
	}
	for k, ps := range parts {
		slices.SortStableFunc(ps, func(a, b Part) int { return a.Index - b.Index })
		if ps[0].Index < 0 {
			continue
		}
		for _, p := range ps {
			if p.Start > next[k] && g.in.Done != nil { // those between must be done
				for i := range p.Index {
					q := Part{Abbr: fmt.Sprintf("%s_%d", k.whole, i), Index: i}
					if !slices.ContainsFunc(ps, func(x Part) bool { return x.Index == i }) && !g.in.Done(k.model, q) && task0(g) {
						t.Errorf("%v: part %d is nowhere", k, i)
					}
				}
			}
			if p.End >= 0 {
				next[k] = p.End
			}
		}
	}
}

// task0 tells the partitioners whose Done asks for the task's own outputs.
func task0(g golden) bool { return !strings.HasPrefix(g.part.Str("type"), "Subjective") }

func TestLastPartIsOpen(t *testing.T) {
	t.Parallel()
	ds := value(map[string]any{"abbr": "d", "n": json.Number("2"), "reader_cfg": map[string]any{"test_range": "[10:60]"}, "infer_cfg": map[string]any{}}).(*py.Dict)
	in := Input{Config: py.NewDict(), Models: []*py.Dict{py.DictOf("abbr", "m")}, Datasets: []*py.Dict{ds}, Size: func(*py.Dict) (int, error) { return 60, nil }}
	p, err := New(py.DictOf("type", "opencompass.partitioners.NumWorkerPartitioner", "num_worker", 3))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := p.Partition(in)
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]int
	for _, task := range plan.Tasks() {
		for _, part := range task.Parts {
			if part.Whole != ds || part.WholeAbbr() != "d" {
				t.Errorf("part %s belongs to %s", part.Abbr, part.WholeAbbr())
			}
			got = append(got, [3]int{part.Index, part.Start, part.End})
		}
	}
	// two copies of the 50 rows that the range leaves
	if want := [][3]int{{0, 0, 34}, {1, 34, 68}, {2, 68, -1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("parts %v, want %v", got, want)
	}
	if ds.Str("abbr") != "d" || ds.Dict("reader_cfg").Str("test_range") != "[10:60]" {
		t.Error("the dataset's config was changed")
	}
	cfg := plan.Tasks()[1].Config("work")
	if abbr := cfg.List("datasets").Items[0].(*py.List).Items[0].(*py.Dict).Str("abbr"); abbr != "d_1" || cfg.Str("work_dir") != "work" {
		t.Errorf("task config names %q in %q", abbr, cfg.Str("work_dir"))
	}
}

func TestOptionMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cfg       *py.Dict
		msg, hint string
	}{
		{py.DictOf("type", "SizePartitoner"), `unknown partitioner "SizePartitoner"`, `did you mean "SizePartitioner"?`},
		{py.DictOf("type", "SizePartitioner", "max_task_size", 0), "max_task_size must be at least 1, not 0", ""},
		{py.DictOf("type", "SizePartitioner", "max_task_size", "5000"), "max_task_size must be a whole number, not str", ""},
		{py.DictOf("type", "SizePartitioner", "max_task_siz", 5), "unknown option 'max_task_siz' of SizePartitioner", `did you mean "max_task_size"?`},
		{py.DictOf("type", "SizePartitioner", "strategy", "splitt"), `unknown strategy "splitt"`, `did you mean "split"?`},
		{py.DictOf("type", "NaivePartitioner", "n", 1.5), "n must be a whole number, not float", ""},
		{py.DictOf("type", "NaivePartitioner", "qqq", 1), "unknown option 'qqq' of NaivePartitioner", `its options are n`},
		{py.DictOf("type", "NumWorkerPartitioner", "num_worker", 0), "num_worker must be at least 1, not 0", ""},
		{py.DictOf("type", "NumWorkerPartitioner", "num_worker", nil), "num_worker must be a whole number, not NoneType", ""},
		{py.DictOf("type", "NumWorkerPartitioner", "num_split", -1), "num_split must be at least 1, not -1", ""},
		{py.DictOf("type", "NumWorkerPartitioner", "force_rebuild", 1), "force_rebuild must be True or False, not int", ""},
		{py.DictOf("type", "NaivePartitioner", "keep_keys", "a.b"), "keep_keys must be a list of dotted names, not str", ""},
		{py.DictOf("type", "SubjectiveNaivePartitioner", "judge_models", 1), "judge_models must be a list of dicts, not int", ""},
		{py.DictOf("type", "SubjectiveNaivePartitioner", "meta_judge_model", "x"), "meta_judge_model must be a dict, not str", ""},
	}
	for _, tt := range tests {
		for i, e := range tt.cfg.Entries() { // each value at a place of its own
			if err := tt.cfg.Put(py.Entry{Key: e.Key, Val: e.Val, KeyPos: source.Pos(10*i + 1), Pos: source.Pos(10*i + 2)}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := New(tt.cfg)
		ds := source.Diagnostics(err)
		if len(ds) != 1 || ds[0].Msg != tt.msg || ds[0].Hint != tt.hint || ds[0].Pos == 0 {
			t.Errorf("New(%v): %+v, want %q with hint %q", tt.cfg.Entries(), ds, tt.msg, tt.hint)
		}
	}
}

// Options near the largest int cut nothing: no sum with them wraps round.
func TestHugeOptions(t *testing.T) {
	t.Parallel()
	in := Input{Config: py.NewDict(), Models: []*py.Dict{py.DictOf("abbr", "m")}, Size: func(*py.Dict) (int, error) { return 60, nil }}
	for i := range 5 {
		in.Datasets = append(in.Datasets, py.DictOf("abbr", fmt.Sprint("d", i), "reader_cfg", py.NewDict(), "infer_cfg", py.DictOf("inferencer", py.DictOf("type", "GenInferencer"))))
	}
	for _, huge := range []int{math.MaxInt, math.MaxInt - 3, math.MaxInt - 4, math.MaxInt - 58, math.MaxInt - 59} {
		for _, c := range []struct {
			cfg   *py.Dict
			tasks int
		}{
			{py.DictOf("type", "NaivePartitioner", "n", huge), 1},
			{py.DictOf("type", "SizePartitioner", "max_task_size", huge), 1},
			{py.DictOf("type", "NumWorkerPartitioner", "num_worker", huge, "min_task_size", 60), 5},
			{py.DictOf("type", "NumWorkerPartitioner", "num_worker", 1, "num_split", huge, "min_task_size", 0), 1},
		} {
			p, err := New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := p.Partition(in)
			if err != nil || len(plan.Tasks()) != c.tasks {
				t.Errorf("%v with %d: %d tasks, %v, want %d", c.cfg.Str("type"), huge, len(plan.Tasks()), err, c.tasks)
			}
		}
	}
}

func TestAcceptsWholeFloats(t *testing.T) {
	t.Parallel()
	p, err := New(py.DictOf("type", "SizePartitioner", "max_task_size", 1e5))
	if err != nil || p.(*size).max != 100000 {
		t.Errorf("New = %+v, %v", p, err)
	}
}

func TestRangeMistakes(t *testing.T) {
	t.Parallel()
	rc := py.NewDict()
	if err := rc.Put(py.Entry{Key: "test_range", Val: "[0:10", Pos: 77}); err != nil {
		t.Fatal(err)
	}
	in := Input{Config: py.NewDict(), Models: []*py.Dict{py.DictOf("abbr", "m")}, Datasets: []*py.Dict{py.DictOf("abbr", "d", "reader_cfg", rc)},
		Size: func(*py.Dict) (int, error) { return 60, nil }}
	for _, typ := range []string{"NumWorkerPartitioner", "SizePartitioner"} {
		p, err := New(py.DictOf("type", typ))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Partition(in)
		if ds := source.Diagnostics(err); len(ds) != 1 || ds[0].Pos != 77 {
			t.Errorf("%s: %v, want a diagnostic at the range", typ, err)
		}
	}
}

func BenchmarkSize(b *testing.B) {
	labels := py.DictOf("A", "a", "B", "b")
	var sets []*py.Dict
	for i := range 1000 {
		sets = append(sets, py.DictOf("abbr", fmt.Sprintf("d%d", i), "reader_cfg", py.NewDict(),
			"infer_cfg", py.DictOf("prompt_template", py.DictOf("template", labels))))
	}
	in := Input{Config: py.NewDict(), Models: []*py.Dict{py.DictOf("abbr", "m")}, Datasets: sets, Size: func(*py.Dict) (int, error) { return 10000, nil }}
	p, err := New(py.DictOf("type", "SizePartitioner", "max_task_size", 2000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Partition(in); err != nil {
			b.Fatal(err)
		}
	}
}

// TestClasses lists what is registered, so that each addition shows.
func TestClasses(t *testing.T) {
	t.Parallel()
	want := []string{
		"NaivePartitioner", "NumWorkerPartitioner", "SizePartitioner",
		"SubjectiveNaivePartitioner", "SubjectiveNumWorkerPartitioner", "SubjectiveSizePartitioner",
	}
	if got := Classes.Names(); !slices.Equal(got, want) {
		t.Errorf("partitioners %q, want %q", got, want)
	}
}

// TestSubjectiveMistakes covers what a judged dataset can get wrong, and the
// names of outputs.
func TestSubjectiveMistakes(t *testing.T) {
	t.Parallel()
	m := func(abbr string) *py.Dict { return py.DictOf("abbr", abbr) }
	two := []*py.Dict{m("a"), m("b")}
	ds := func(kv ...py.Value) *py.Dict {
		d := py.DictOf("abbr", "d", "reader_cfg", py.NewDict())
		for i := 0; i < len(kv); i += 2 {
			if err := d.Put(py.Entry{Key: kv[i], Val: kv[i+1], Pos: 5}); err != nil {
				t.Fatal(err)
			}
		}
		d.At = 5
		return d
	}
	tests := []struct {
		ds        *py.Dict
		models    []*py.Dict
		msg, hint string
	}{
		{ds(), two, `dataset "d" has no mode that says how it is judged`, "modes are singlescore, m2n and allpair"},
		{ds("mode", "singelscore"), two, `unknown mode 'singelscore' of dataset 'd'`, `did you mean "singlescore"?`},
		{ds("mode", "fixed"), two, `mode "fixed" of dataset "d" is not implemented`, "OpenCompass does not implement it either; use m2n"},
		{ds("mode", "allpair", "base_models", py.NewList()), two[:1], `mode "allpair" of dataset "d" needs two models or more`, ""},
		{ds("mode", "m2n", "base_models", py.NewList()), two, `mode "m2n" of dataset "d" needs models and base_models`, ""},
		{ds("mode", "m2n", "base_models", 3), two, "base_models must be a list of dicts, not int", ""},
		{ds("mode", "singlescore", "infer_order", "both"), two, `infer_order of dataset "d" is 'both'`, `it is "random", "double" or absent`},
	}
	p, err := New(py.DictOf("type", "SubjectiveNaivePartitioner", "judge_models", py.NewList(m("j"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		_, err := p.Partition(Input{Config: py.NewDict(), Models: tt.models, Datasets: []*py.Dict{tt.ds}})
		ds := source.Diagnostics(err)
		if len(ds) != 1 || ds[0].Msg != tt.msg || ds[0].Hint != tt.hint || ds[0].Pos != 5 {
			t.Errorf("%s: %+v, want %q with hint %q", py.Repr(tt.ds), ds, tt.msg, tt.hint)
		}
	}

	plan, err := p.Partition(Input{Config: py.NewDict(), Models: two, Datasets: []*py.Dict{ds("mode", "allpair", "base_models", py.NewList())}})
	if err != nil || len(plan.Tasks()) != 1 {
		t.Fatalf("%d tasks, %v; want 1", len(plan.Tasks()), err)
	}
	if got, want := py.Repr(plan.Tasks()[0].Config("w").Get("models")), "[({'abbr': 'a'}, {'abbr': 'b'})]"; got != want {
		t.Errorf("models of the task %s, want %s", got, want)
	}
	if got := JudgedName(two, m("j"), false); got != "a_b_judged-by--j" {
		t.Errorf("JudgedName = %q", got)
	}
	if got := JudgedName([]*py.Dict{m("a"), m("summarized-by--x")}, m("j"), true); got != "a_summarized-by--x" {
		t.Errorf("JudgedName of a summarized pair = %q", got)
	}
}

func TestSizeCachePaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg     *py.Dict
		path    string
		rebuild bool
	}{
		{py.DictOf("type", "NumWorkerPartitioner"), ".cache/dataset_size.json", false},
		{py.DictOf("type", "NumWorkerPartitioner", "force_rebuild", true, "dataset_size_path", "x.json"), "x.json", true},
		{py.DictOf("type", "SizePartitioner", "dataset_size_path", "y.json"), "y.json", false},
		{py.DictOf("type", "SubjectiveSizePartitioner"), ".cache/dataset_size.json", false},
		{py.DictOf("type", "SubjectiveNaivePartitioner"), "", false},
	} {
		p, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if path, rebuild := p.(SizeCacher).SizeCache(); path != tt.path || rebuild != tt.rebuild {
			t.Errorf("%s: SizeCache = %q, %v", py.Repr(tt.cfg), path, rebuild)
		}
	}
}
