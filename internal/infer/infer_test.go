package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/model"
	"sextant/internal/model/fake"
	"sextant/internal/py"
	"sextant/internal/sharedtest/refjson"
)

// memory is a Sink that keeps records.
type memory struct {
	mu   sync.Mutex
	recs map[int]Record
	puts int
	fail error
}

func newMemory() *memory { return &memory{recs: map[int]Record{}} }

func (m *memory) Have(index int, id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.recs[index]
	return ok && r.ID == id
}

func (m *memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	if m.fail != nil {
		return m.fail
	}
	m.recs[r.Index] = r
	return nil
}

func rows(n int) dataset.Table {
	var t dataset.Table
	for i := 0; i < n; i++ {
		t = append(t, py.DictOf("q", fmt.Sprintf("question %d?", i*7919%n), "a", string(rune('A'+i%2)), "cont", "the end"))
	}
	return t
}

func labelCfg(inferencer string) *py.Dict {
	return py.DictOf(
		"prompt_template", py.DictOf("type", "PromptTemplate", "template", py.DictOf("A", "{q} yes the end", "B", "{q} no the end")),
		"retriever", py.DictOf("type", "ZeroRetriever"),
		"inferencer", py.DictOf("type", inferencer))
}

func genCfg(kv ...py.Value) *py.Dict {
	return py.DictOf(
		"prompt_template", py.DictOf("type", "PromptTemplate", "template", py.DictOf("round", py.NewList(
			py.DictOf("role", "HUMAN", "prompt", "Q: {q}"), py.DictOf("role", "BOT", "prompt", "A: {a}")))),
		"retriever", py.DictOf("type", "ZeroRetriever"),
		"inferencer", py.DictOf(append([]py.Value{"type", "GenInferencer", "max_out_len", 16}, kv...)...))
}

func job(m model.Model, class model.Class, cfg *py.Dict, n int) (*Job, *memory) {
	sink := newMemory()
	j := &Job{Model: m, Class: class, ModelCfg: py.DictOf("type", "FakeModel", "abbr", "fake"), InferCfg: cfg, Sink: sink,
		Set: &dataset.Set{Abbr: "toy", Test: rows(n), Train: rows(n), Input: []string{"q"}, Output: "a", N: 1, Content: "v1"}}
	for i := 0; i < n; i++ {
		j.Rows, j.Index = append(j.Rows, i), append(j.Index, i)
	}
	return j, sink
}

func run(t *testing.T, j *Job) error {
	t.Helper()
	cfg := j.InferCfg.Dict("inferencer")
	c, err := Lookup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	inf, err := c.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return inf.Run(context.Background(), j)
}

// replay gives recorded perplexities, as a model would that divides as told.
type replay struct {
	ppl    map[string]float64
	tokens map[string]int
	vllm   bool
	pad    bool
}

func (r replay) Generate(context.Context, model.Request) (model.Response, error) {
	return model.Response{}, errors.New("not asked")
}
func (r replay) Limits() model.Limits { return model.Limits{InFlight: 4} }
func (r replay) Close() error         { return nil }
func (r replay) Score(_ context.Context, q model.ScoreRequest) (model.ScoreResponse, error) {
	ppl, ok := r.ppl[q.Text]
	if !ok {
		return model.ScoreResponse{}, fmt.Errorf("unexpected text %q", q.Text)
	}
	n := r.tokens[q.Text]
	div := n
	if r.vllm {
		div = n - 1
	}
	out := model.ScoreResponse{TokenIDs: make([]int32, n), LogProbs: make([]float64, n-1)}
	for i := range out.TokenIDs {
		out.TokenIDs[i] = 5
	}
	out.LogProbs[0] = -ppl * float64(div)
	if r.pad { // one more token, the pad token, with a large loss: it must not count
		out.TokenIDs, out.LogProbs = append(out.TokenIDs, 1), append(out.LogProbs, -1000)
		out.HasPad, out.PadID = true, 1
	}
	return out, nil
}

// TestRecordsOfTheOriginal rebuilds three records of each founding dataset and
// compares them with what OpenCompass wrote, order of keys included.
func TestRecordsOfTheOriginal(t *testing.T) {
	siqa := func(rec *py.Dict) *py.Dict {
		row := py.NewDict()
		for i, l := range []string{"1", "2", "3"} {
			p := rec.Dict("label: " + l).Str("prompt")
			ctx, rest, _ := strings.Cut(p, "\nQuestion: ")
			q, a, _ := strings.Cut(rest, "\nAnswer:\n")
			row.Set("context", ctx)
			row.Set("question", q)
			row.Set("answer"+string(rune('A'+i)), a)
		}
		row.Set("label", rec.Get("gold"))
		return row
	}
	siqaTemplate := py.NewDict()
	for i, c := range "ABC" {
		siqaTemplate.Set(i+1, py.DictOf("round", py.NewList(
			py.DictOf("role", "HUMAN", "prompt", "{context}\nQuestion: {question}\nAnswer:"),
			py.DictOf("role", "BOT", "prompt", "{answer"+string(c)+"}"))))
	}
	wino := func(rec *py.Dict) *py.Dict {
		return py.DictOf("s1", strings.TrimPrefix(rec.Dict("label: 1").Str("prompt"), "Good sentence: "),
			"s2", strings.TrimPrefix(rec.Dict("label: 2").Str("prompt"), "Good sentence: "), "answer", rec.Get("gold"))
	}
	winoTemplate := py.DictOf(1, "Good sentence: {s1}", 2, "Good sentence: {s2}")
	for _, c := range []struct {
		file, output string
		row          func(*py.Dict) *py.Dict
		template     *py.Dict
	}{{"siqa_first3.json", "label", siqa, siqaTemplate}, {"winogrande_first3.json", "answer", wino, winoTemplate}} {
		for _, vllm := range []bool{false, true} {
			for _, pad := range []bool{false, true} {
				if vllm && pad {
					continue
				}
				want := refjson.JSON(t, "conformance", "seed", c.file).(*py.List)
				m := replay{map[string]float64{}, map[string]int{}, vllm, pad}
				class := model.Class{}
				if vllm {
					class.Scoring = model.ScoreVLLM
				}
				set := &dataset.Set{Abbr: "x", Output: c.output, N: 1}
				for _, v := range want.Items {
					rec := v.(*py.Dict)
					set.Test = append(set.Test, c.row(rec))
					for _, e := range rec.Entries() {
						if d, ok := e.Val.(*py.Dict); ok {
							p, ppl := d.Str("prompt"), d.Get("PPL").(float64)
							m.ppl[p] = ppl
							m.tokens[p] = int(math.Round(d.Get("BPB").(float64) / ppl * float64(len(p))))
						}
					}
				}
				j, sink := job(m, class, py.DictOf("prompt_template", py.DictOf("template", c.template),
					"retriever", py.DictOf("type", "ZeroRetriever"), "inferencer", py.DictOf("type", "PPLInferencer")), 3)
				j.Set = set
				if err := run(t, j); err != nil {
					t.Fatal(err)
				}
				for i, v := range want.Items {
					compare(t, fmt.Sprintf("%s %d", c.file, i), sink.recs[i].Data, v, pad)
				}
			}
		}
	}
}

// compare wants equal keys in equal order, numbers within 1e-12 relative. With
// a pad token behind the text only the token count differs, and so BPB.
func compare(t *testing.T, where string, got, want py.Value, pad bool) {
	t.Helper()
	g, ok1 := got.(*py.Dict)
	w, ok2 := want.(*py.Dict)
	if ok1 && ok2 {
		if !py.Equal(py.NewList(g.Keys()...), py.NewList(w.Keys()...)) {
			t.Errorf("%s: keys %s, want %s", where, py.Repr(py.NewList(g.Keys()...)), py.Repr(py.NewList(w.Keys()...)))
			return
		}
		for _, e := range w.Entries() {
			if pad && e.Key == "BPB" {
				continue
			}
			compare(t, where+" "+py.Str(e.Key), g.Get(e.Key), e.Val, pad)
		}
		return
	}
	gf, ok1 := got.(float64)
	wf, ok2 := want.(float64)
	if ok1 && ok2 {
		if math.Abs(gf-wf) > 1e-12*math.Abs(wf) {
			t.Errorf("%s: %v, want %v", where, gf, wf)
		}
		return
	}
	if !py.Equal(got, want) || py.TypeName(got) != py.TypeName(want) {
		t.Errorf("%s: %s, want %s", where, py.Repr(got), py.Repr(want))
	}
}

func TestTieGoesToTheFirstLabel(t *testing.T) {
	m := replay{map[string]float64{}, map[string]int{}, false, false}
	j, sink := job(m, model.Class{}, labelCfg("PPLInferencer"), 3)
	for _, r := range j.Set.Test {
		for _, s := range []string{" yes the end", " no the end"} {
			m.ppl[r.Str("q")+s], m.tokens[r.Str("q")+s] = 2.5, 7
		}
	}
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	for i, r := range sink.recs {
		if r.Data.Get("prediction") != "A" {
			t.Errorf("row %d: prediction %v, want A", i, r.Data.Get("prediction"))
		}
	}
}

// TestOrderAndWorkersChangeNothing runs all inferencers with one and with
// many requests in flight, whole and in parts.
func TestOrderAndWorkersChangeNothing(t *testing.T) {
	t.Parallel()
	for _, cfg := range []*py.Dict{labelCfg("PPLInferencer"), labelCfg("LLInferencer"), genCfg()} {
		name := cfg.Dict("inferencer").Str("type")
		var first map[int]Record
		for _, k := range []int{1, 7} {
			m := fake.Open(fake.Options{InFlight: k}).(*fake.Scoring)
			j, sink := job(m, model.Class{}, cfg, 700)
			parts := 1
			if k == 7 {
				parts = 3
			}
			all := j.Rows
			for p := 0; p < parts; p++ {
				j.Rows, j.Index = nil, nil
				for _, r := range all {
					if r%parts == p {
						j.Rows, j.Index = append(j.Rows, r), append(j.Index, r)
					}
				}
				if err := run(t, j); err != nil {
					t.Fatal(err)
				}
			}
			if m.Peak() > k {
				t.Errorf("%s: %d requests at once, want at most %d", name, m.Peak(), k)
			}
			if len(sink.recs) != 700 || sink.puts != 700 {
				t.Fatalf("%s: %d records, %d puts", name, len(sink.recs), sink.puts)
			}
			if first == nil {
				first = sink.recs
				continue
			}
			for i, r := range sink.recs {
				if r.ID != first[i].ID || py.Repr(r.Data) != py.Repr(first[i].Data) {
					t.Fatalf("%s: row %d differs:\n%s\n%s", name, i, py.Repr(r.Data), py.Repr(first[i].Data))
				}
			}
		}
	}
}

func TestOnlyWhatIsMissingIsAsked(t *testing.T) {
	m := fake.Open(fake.Options{InFlight: 3}).(*fake.Scoring)
	j, sink := job(m, model.Class{}, labelCfg("PPLInferencer"), 40)
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	before := m.Stats().Requests
	delete(sink.recs, 11)
	delete(sink.recs, 30)
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	if n := m.Stats().Requests - before; n != 4 {
		t.Errorf("%d requests for two missing rows of two labels, want 4", n)
	}
	before = m.Stats().Requests
	j.Set.Content = "v2"
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	if n := m.Stats().Requests - before; n != 80 {
		t.Errorf("other data: %d requests, want 80", n)
	}
}

func TestIdentityFollowsWhatChangesAnswers(t *testing.T) {
	id := model.Identity{Name: "m"}
	base := ID("c", 1, []string{"p", "q"}, []string{"s"}, id, 0)
	if len(base) != 64 {
		t.Fatalf("identity %q", base)
	}
	for name, other := range map[string]string{
		"content":  ID("d", 1, []string{"p", "q"}, []string{"s"}, id, 0),
		"row":      ID("c", 2, []string{"p", "q"}, []string{"s"}, id, 0),
		"prompts":  ID("c", 1, []string{"pq", ""}, []string{"s"}, id, 0),
		"split":    ID("c", 1, []string{"p", "q", "s"}, nil, id, 0),
		"settings": ID("c", 1, []string{"p", "q"}, []string{"t"}, id, 0),
		"model":    ID("c", 1, []string{"p", "q"}, []string{"s"}, model.Identity{Name: "n"}, 0),
		"repeat":   ID("c", 1, []string{"p", "q"}, []string{"s"}, id, 1),
	} {
		if other == base {
			t.Errorf("%s does not change the identity", name)
		}
	}
	cfg := py.DictOf("path", "x", "key", "sk-1", "generation_kwargs", py.DictOf("temperature", 0.5), "batch_size", 8, "eos_token_id", 2)
	a := AnswerSettings(cfg)
	b := AnswerSettings(py.DictOf("eos_token_id", 2, "generation_kwargs", py.DictOf("temperature", 0.5, "token", "sk-3"), "batch_size", 1, "key", "sk-2"))
	if py.Repr(a) != py.Repr(b) {
		t.Errorf("settings that change no answer count: %v, %v", py.Repr(a), py.Repr(b))
	}
	cfg.Set("eos_token_id", 3)
	if py.Repr(AnswerSettings(cfg)) == py.Repr(b) {
		t.Error("where an answer ends does not count")
	}
}

// One model folder asked through two classes gets other numbers: what the one
// answered is no answer of the other.
func TestIdentityFollowsTheModelClass(t *testing.T) {
	ids := map[string]string{}
	for _, typ := range []string{"HuggingFaceBaseModel", "HuggingFaceCausalLM", "opencompass.models.HuggingFaceCausalLM"} {
		j, mem := job(fake.Open(fake.Options{}), model.Class{}, labelCfg("LLInferencer"), 1)
		j.Set.Test[0].Set("cont", "?")
		j.ModelCfg = py.DictOf("type", typ, "path", "x", "abbr", "m")
		if err := run(t, j); err != nil {
			t.Fatal(err)
		}
		ids[typ] = mem.recs[0].ID
	}
	if ids["HuggingFaceBaseModel"] == ids["HuggingFaceCausalLM"] {
		t.Error("the class of the model does not change the identity")
	}
	if ids["opencompass.models.HuggingFaceCausalLM"] != ids["HuggingFaceCausalLM"] {
		t.Error("the spelling of the class changes the identity")
	}
}

func TestSampleErrorsBecomeRecords(t *testing.T) {
	m := fake.Open(fake.Options{InFlight: 4, Fail: []fake.Failure{{Match: "question 3?", Kind: "sample"}}})
	for _, cfg := range []*py.Dict{labelCfg("PPLInferencer"), genCfg()} {
		j, sink := job(m, model.Class{}, cfg, 10)
		if err := run(t, j); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for i, r := range sink.recs {
			if r.State != Failed {
				if r.Data.Get("prediction") == nil {
					t.Errorf("row %d has no prediction", i)
				}
				continue
			}
			failed++
			if !strings.Contains(r.Error, "content_filter") || r.Data.Has("prediction") || !r.Data.Has("origin_prompt") {
				t.Errorf("row %d: %q %s", i, r.Error, py.Repr(r.Data))
			}
		}
		if failed != 1 || len(sink.recs) != 10 {
			t.Errorf("%d of %d records failed, want 1 of 10", failed, len(sink.recs))
		}
	}
}

func TestEndpointErrorEndsTheJob(t *testing.T) {
	m := fake.Open(fake.Options{InFlight: 2, Fail: []fake.Failure{{Match: "question 3?", Kind: "endpoint"}}})
	j, sink := job(m, model.Class{}, genCfg(), 500)
	err := run(t, j)
	var ee *model.EndpointError
	if !errors.As(err, &ee) || ee.Hint == "" {
		t.Fatalf("got %v, want the EndpointError", err)
	}
	if len(sink.recs) == 500 {
		t.Error("the job went on")
	}
}

func TestSinkErrorEndsTheJob(t *testing.T) {
	m := fake.Open(fake.Options{InFlight: 2})
	j, sink := job(m, model.Class{}, genCfg(), 50)
	sink.fail = errors.New("no space left on device")
	if err := run(t, j); !errors.Is(err, sink.fail) {
		t.Errorf("got %v, want %v", err, sink.fail)
	}
}

func TestDrainSettlesWhatIsInFlight(t *testing.T) {
	drain := make(chan struct{})
	var once sync.Once
	m := fake.Open(fake.Options{InFlight: 3}).(*fake.Scoring)
	m.Hook = func(context.Context, string) { once.Do(func() { close(drain) }) }
	j, sink := job(m, model.Class{}, labelCfg("PPLInferencer"), 6000)
	j.Drain = drain
	if err := run(t, j); !errors.Is(err, ErrDrained) {
		t.Fatalf("got %v, want ErrDrained", err)
	}
	if n := int(m.Stats().Requests); n != 2*len(sink.recs) || n == 0 || n >= 12000 {
		t.Errorf("%d requests, %d records: each begun row must be settled, and no more begun", n, len(sink.recs))
	}
}

func TestCancelSaysWhy(t *testing.T) {
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(context.Background())
	m := fake.Open(fake.Options{InFlight: 3}).(*fake.Scoring)
	m.Hook = func(context.Context, string) { cancel(why) }
	j, _ := job(m, model.Class{}, genCfg(), 100)
	inf, err := newGen(j.InferCfg.Dict("inferencer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := inf.Run(ctx, j); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

// panicky panics on one text.
type panicky struct{ model.Model }

func (p panicky) Generate(ctx context.Context, r model.Request) (model.Response, error) {
	if strings.Contains(r.Text, "question 2?") {
		panic("index out of range")
	}
	return p.Model.Generate(ctx, r)
}

func TestPanicIsOneSamplesError(t *testing.T) {
	j, sink := job(panicky{fake.Open(fake.Options{})}, model.Class{}, genCfg(), 5)
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range sink.recs {
		if r.State == Failed {
			n++
		}
	}
	if n != 1 || len(sink.recs) != 5 {
		t.Errorf("%d of %d failed, want 1 of 5", n, len(sink.recs))
	}
}

func TestGenRecord(t *testing.T) {
	m := fake.Open(fake.Options{Answers: [][2]string{{"question 1?", "one\n\nQ: more"}}, Default: "other", HasDefault: true}).(*fake.Scoring)
	j, sink := job(m, model.Class{}, genCfg("stopping_criteria", py.NewList("\n\n")), 3)
	j.ModelCfg.Set("meta_template", py.DictOf("round", py.NewList(
		py.DictOf("role", "HUMAN", "begin", "<H>", "end", "</H>"), py.DictOf("role", "BOT", "begin", "<B>", "generate", true))))
	j.Set.Test[1].Set("a", 0) // a falsy gold is left out, as the original does
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"question 1?": "{'origin_prompt': '<H>Q: question 1?</H><B>', 'prediction': 'one'",
		"question 2?": "{'origin_prompt': '<H>Q: question 2?</H><B>', 'prediction': 'other'",
	}
	for i, r := range sink.recs {
		q := j.Set.Test[i].Str("q")
		if w, ok := want[q]; ok {
			if i != 1 {
				w += ", 'gold': '" + j.Set.Test[i].Str("a") + "'"
			}
			if got := py.Repr(r.Data); got != w+"}" {
				t.Errorf("%s: %s, want %s}", q, got, w)
			}
		}
	}
}

func TestChatRecord(t *testing.T) {
	m := fake.Open(fake.Options{Answers: [][2]string{{"user: Q: question 1?\n\n", "yes"}}, Default: "no", HasDefault: true})
	j, sink := job(m, model.Class{Chat: true, LocalChat: true}, genCfg(), 3)
	j.DumpResLength = true
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	for i, r := range sink.recs {
		q := j.Set.Test[i].Str("q")
		// the default meta template ends each user turn in a newline
		ans := "no"
		if q == "question 1?" {
			ans = "yes"
		}
		n, _ := m.(model.Tokenizer).CountTokens("Q: " + q + "\n")
		want := fmt.Sprintf("{'origin_prompt': [{'role': 'HUMAN', 'prompt': 'Q: %s\\n', 'input_length': %d}], 'prediction': '%s', 'gold': '%s', 'res_length': 2, 'all_input_length': %d}",
			q, n, ans, j.Set.Test[i].Str("a"), n)
		if got := py.Repr(r.Data); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestExamplesAreDroppedFromTheEnd(t *testing.T) {
	cfg := py.DictOf(
		"ice_template", py.DictOf("type", "PromptTemplate", "template", "{q} {a}"),
		"prompt_template", py.DictOf("type", "PromptTemplate", "template", "</E>{q} {a}", "ice_token", "</E>"),
		"retriever", py.DictOf("type", "FixKRetriever", "fix_id_list", py.NewList(0, 1, 2)),
		"inferencer", py.DictOf("type", "GenInferencer", "max_out_len", 4))
	m := fake.Open(fake.Options{Default: "x", HasDefault: true})
	for maxLen, examples := range map[int]int{1000: 3, 27: 3, 26: 2, 19: 1, 5: 0} {
		j, sink := job(m, model.Class{}, cfg, 4)
		j.ModelCfg.Set("max_seq_len", maxLen)
		if err := run(t, j); err != nil {
			t.Fatal(err)
		}
		p := sink.recs[3].Data.Str("origin_prompt")
		if n := strings.Count(p, "question") - 1; n != examples {
			t.Errorf("max_seq_len %d: %d examples in %q, want %d", maxLen, n, p, examples)
		}
		if examples > 0 && !strings.HasPrefix(p, j.Set.Train[0].Str("q")) {
			t.Errorf("max_seq_len %d: the first example is gone from %q", maxLen, p)
		}
	}
}

func TestPPLOnly(t *testing.T) {
	m := replay{map[string]float64{}, map[string]int{}, false, false}
	cfg := labelCfg("PPLOnlyInferencer")
	cfg.Dict("prompt_template").Set("template", "{q}")
	j, sink := job(m, model.Class{}, cfg, 3)
	if err := run(t, j); err == nil || !strings.Contains(err.Error(), "output_column") {
		t.Errorf("with an output column: %v", err)
	}
	j.Set.Output = ""
	for i, r := range j.Set.Test {
		m.ppl[r.Str("q")], m.tokens[r.Str("q")] = float64(i)+0.5, 4
	}
	if err := run(t, j); err != nil {
		t.Fatal(err)
	}
	for i, r := range sink.recs {
		want := fmt.Sprintf("{'origin_prompt': '%s', 'ppl': %d.5}", j.Set.Test[i].Str("q"), i)
		if got := py.Repr(r.Data); got != want {
			t.Errorf("row %d: %s, want %s", i, got, want)
		}
	}
}

func TestPreview(t *testing.T) {
	j, _ := job(nil, model.Class{}, labelCfg("PPLInferencer"), 3)
	rs, err := Preview(j, 2)
	if err != nil {
		t.Fatal(err)
	}
	q := j.Set.Test[2].Str("q")
	if len(rs) != 2 || rs[0].Text != q+" yes the end" || rs[1].Text != q+" no the end" || rs[1].Label != "B" {
		t.Errorf("got %+v", rs)
	}
	j, _ = job(nil, model.Class{Chat: true}, genCfg(), 3)
	j.ModelCfg.Set("meta_template", py.DictOf("round", py.NewList(
		py.DictOf("role", "HUMAN", "api_role", "HUMAN"), py.DictOf("role", "BOT", "api_role", "BOT", "generate", true))))
	rs, err = Preview(j, 0)
	if err != nil || len(rs) != 1 || len(rs[0].Messages) != 1 || rs[0].Messages[0] != (model.Message{Role: "user", Content: "Q: " + j.Set.Test[0].Str("q")}) {
		t.Errorf("got %+v, %v", rs, err)
	}
	if _, err := Preview(j, 3); err == nil {
		t.Error("a row beyond the end was rendered")
	}
}

func TestInBatches(t *testing.T) {
	pad := py.DictOf("batch_padding", true)
	legacy := model.Class{Scoring: model.ScoreHF, Local: true}
	for _, c := range []struct {
		class model.Class
		cfg   *py.Dict
		gen   bool
		want  bool
	}{
		{model.Class{Scoring: model.ScoreHFBase, Local: true}, py.NewDict(), false, true},
		{model.Class{Scoring: model.ScoreHFBase, Local: true}, py.NewDict(), true, false},
		{legacy, pad, false, true},
		{legacy, pad, true, true},
		{legacy, py.NewDict(), true, false},
		{legacy, nil, false, false},
		{model.Class{Scoring: model.ScoreVLLM, Local: true}, pad, false, false},
		{model.Class{}, pad, true, false}, // an API
	} {
		if got := InBatches(c.class, c.cfg, c.gen); got != c.want {
			t.Errorf("%+v gen %v: %v", c.class.Scoring, c.gen, got)
		}
	}
}

func TestScoringConventions(t *testing.T) {
	r := model.ScoreResponse{TokenIDs: []int32{2, 10, 1, 11}, LogProbs: []float64{-1, -2, -3}, HasPad: true, PadID: 1}
	for _, c := range []struct {
		how  model.Scoring
		mask int
		want float64
	}{
		{model.ScoreHF, 0, 4.0 / 3}, // the pad token is in neither sum nor count
		{model.ScoreVLLM, 0, 2},     // L-1, pads count
		{model.ScoreHFBase, 2, 3},   // positions from the third token on: pad and 11; 3 tokens − 2
	} {
		got, err := meanLoss(r, c.how, c.mask)
		if err != nil || got != c.want {
			t.Errorf("%v mask %d: %v, %v, want %v", c.how, c.mask, got, err, c.want)
		}
	}
	// Behind two pad tokens: the term of the first token counts unless the mask
	// covers the padding, and the mask begins where the padding does.
	r = model.ScoreResponse{TokenIDs: []int32{2, 10, 11, 12}, LogProbs: []float64{-1, -2, -3}, HasPad: true, PadID: 1, Pads: 2, PadLogProb: -8, Padded: true}
	for mask, want := range []float64{14.0 / 4, 14.0 / 3, 14.0 / 2, 6} {
		if got, err := meanLoss(r, model.ScoreHFBase, mask); err != nil || got != want {
			t.Errorf("mask %d behind padding: %v, %v, want %v", mask, got, err, want)
		}
	}
	if got, err := meanLoss(r, model.ScoreHF, 0); err != nil || got != 14.0/4 {
		t.Errorf("a legacy class behind padding: %v, %v", got, err)
	}
	if _, err := meanLoss(model.ScoreResponse{TokenIDs: []int32{1}, HasPad: true, PadID: 1}, model.ScoreHF, 0); err == nil {
		t.Error("a text of pad tokens has a perplexity")
	}
}

func TestMistakes(t *testing.T) {
	j, _ := job(fake.Open(fake.Options{}), model.Class{}, labelCfg("PPLInferencer"), 2)
	j.InferCfg.Dict("prompt_template").Set("template", "{q}")
	j.Set.Output = ""
	if err := run(t, j); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Errorf("got %v, want that there are no labels", err)
	}
	if _, err := newGen(py.DictOf("type", "GenInferencer", "max_out_lenn", 5)); err == nil || !strings.Contains(err.Error(), "max_out_lenn") {
		t.Errorf("got %v, want a complaint about max_out_lenn", err)
	}
	if _, err := newGen(py.DictOf("type", "GenInferencer", "fix_id_list", py.NewList(1))); err == nil || !strings.Contains(err.Error(), "retriever") {
		t.Errorf("got %v, want that fix_id_list is the retriever's", err)
	}
	if _, err := Lookup(py.DictOf("type", "opencompass.openicl.icl_inferencer.PPLInferencr")); err == nil || !strings.Contains(err.Error(), "PPLInferencr") {
		t.Errorf("got %v", err)
	}
	nj, _ := job(panicky{fake.Open(fake.Options{})}, model.Class{}, labelCfg("PPLInferencer"), 2)
	var ee *model.EndpointError
	if err := run(t, nj); !errors.As(err, &ee) {
		t.Errorf("a model without log-probabilities: %v", err)
	}
}

func BenchmarkPPL(b *testing.B) {
	m := fake.Open(fake.Options{InFlight: 8})
	for range b.N {
		j, _ := job(m, model.Class{}, labelCfg("PPLInferencer"), 2000)
		inf, _ := newPPL(j.InferCfg.Dict("inferencer"))
		if err := inf.Run(context.Background(), j); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	j, _ := job(fake.Open(fake.Options{}), model.Class{}, labelCfg("PPLInferencer"), 1000)
	s, labels, err := labelSetup(j, "PPLInferencer", nil)
	if err != nil {
		b.Fatal(err)
	}
	h := newIDHash("", s.settings, j.Identity)
	b.ResetTimer()
	for i := range b.N {
		r, err := s.renderLabels(i%1000, labels)
		if err != nil {
			b.Fatal(err)
		}
		s.question(i%1000, h, r.texts)
	}
}
