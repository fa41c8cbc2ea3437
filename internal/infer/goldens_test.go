package infer_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"sextant/catalog"
	"sextant/internal/dataset"
	"sextant/internal/dataset/source"
	"sextant/internal/evaluator"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/model/fake"
	"sextant/internal/postprocess"
	"sextant/internal/py"
	"sextant/internal/pyconf"
	"sextant/internal/registry"
	"sextant/internal/sharedtest"
	"sextant/internal/sharedtest/refjson"
)

// TestGoldens runs whole dataset configs with the stand-in model that the
// reference records were made with, and compares prompts, predictions and
// metrics. SEXTANT_GOLDENS, SEXTANT_CONFIG_ROOT (a folder with opencompass/ in
// it) and SEXTANT_DATA choose the file of records, the configs and the data;
// without them the reference data and our own catalog are used. A config,
// dataset, evaluator or postprocessor that is not there is counted as missing,
// a wrong answer is an error.
func TestGoldens(t *testing.T) {
	path := os.Getenv("SEXTANT_GOLDENS")
	if path == "" {
		path = sharedtest.Path(t, "conformance", "opencompass", "goldens.jsonl")
	}
	data := os.Getenv("SEXTANT_DATA")
	if data == "" {
		data = sharedtest.Path(t, "data")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// configs say ./data/…; the data folder stands in the place of ./data
	home := t.TempDir()
	if err := os.Symlink(data, filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	var fams []string
	byName := map[string]*family{}
	for _, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		v, err := refjson.Decode([]byte(l))
		if err != nil {
			t.Fatal(err)
		}
		r := v.(*py.Dict)
		name := strings.Split(strings.TrimPrefix(r.Str("config"), "opencompass/configs/datasets/"), "/")[0]
		f := byName[name]
		if f == nil {
			f = &family{}
			byName[name] = f
			fams = append(fams, name)
		}
		g := &golden{t: t, r: r, f: f, home: home}
		g.run()
	}
	sort.Strings(fams)
	var all family
	for _, n := range fams {
		f := byName[n]
		if f.predictions > 0 || f.metrics > 0 {
			t.Logf("%-24s %3d lines: prompts and predictions %d of %d, metrics %d of %d, missing %d", n, f.lines, f.predictionsOK, f.predictions, f.metricsOK, f.metrics, f.missing)
		}
		all.add(f)
	}
	t.Logf("all: %d lines: prompts and predictions %d of %d, metrics %d of %d, missing %d", all.lines, all.predictionsOK, all.predictions, all.metricsOK, all.metrics, all.missing)
	if all.predictions < 26 || all.metrics < 13 {
		t.Errorf("only %d predictions and %d metrics were compared", all.predictions, all.metrics)
	}
}

type family struct{ lines, predictions, predictionsOK, metrics, metricsOK, missing int }

func (f *family) add(o *family) {
	f.lines += o.lines
	f.predictions += o.predictions
	f.predictionsOK += o.predictionsOK
	f.metrics += o.metrics
	f.metricsOK += o.metricsOK
	f.missing += o.missing
}

type golden struct {
	t    *testing.T
	r    *py.Dict
	f    *family
	home string
}

// collect is a sink that keeps the records.
type collect struct {
	mu   sync.Mutex
	recs map[int]infer.Record
}

func (c *collect) Have(int, string) bool { return false }
func (c *collect) Put(_ context.Context, r infer.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recs[r.Index] = r
	return nil
}

func (g *golden) name() string { return g.r.Str("config") + " " + g.r.Str("abbr") }

func (g *golden) load() (*py.Dict, error) {
	o := pyconf.Options{Catalog: catalog.FS(), Dir: g.home}
	var c *pyconf.Config
	var err error
	if root := os.Getenv("SEXTANT_CONFIG_ROOT"); root != "" {
		o.Roots = []string{root}
		c, err = pyconf.Load(context.Background(), filepath.Join(root, g.r.Str("config")), o)
	} else {
		p := strings.TrimPrefix(g.r.Str("config"), "opencompass/configs/")
		if _, err := fs.Stat(catalog.FS(), p); err != nil {
			return nil, err
		}
		c, err = pyconf.Load(context.Background(), "catalog:"+p, o)
	}
	if err != nil {
		return nil, err
	}
	l := c.Data().List(g.r.Str("var"))
	if l == nil || l.Len() <= g.r.Int("i", 0) {
		return nil, errors.New("no such variable")
	}
	ds := py.DeepCopy(l.Items[g.r.Int("i", 0)]).(*py.Dict)
	ds.Delete("n")
	ds.Delete("k")
	ds.Dict("reader_cfg").Set("test_range", "[:60]")
	return ds, nil
}

func (g *golden) run() {
	g.f.lines++
	ds, err := g.load()
	if err != nil {
		g.f.missing++
		return
	}
	set, err := dataset.Read(context.Background(), ds, source.New(source.Options{Dir: g.home, Offline: true}))
	var unknown *registry.UnknownError
	if errors.As(err, &unknown) {
		g.f.missing++
		return
	}
	if err != nil {
		g.t.Errorf("%s: %v", g.name(), err)
		return
	}
	chatMeta := py.DictOf("round", py.NewList(py.DictOf("role", "HUMAN", "api_role", "HUMAN"), py.DictOf("role", "BOT", "api_role", "BOT", "generate", true)),
		"reserved_roles", py.NewList(py.DictOf("role", "SYSTEM", "api_role", "SYSTEM")))
	var base []infer.Record
	for _, kind := range []string{"base", "chat"} {
		want := g.r.Dict(kind)
		if want.Has("error") {
			continue // the original dies; we may answer
		}
		cfg := py.DictOf("abbr", kind, "max_seq_len", 1000000000, "max_out_len", 16)
		class := model.Class{}
		if kind == "chat" {
			cfg.Set("meta_template", chatMeta)
			class.Chat = true
		}
		recs, err := g.infer(ds, set, class, cfg)
		if errors.As(err, &unknown) {
			g.f.missing++
			return
		}
		g.f.predictions++
		if err != nil {
			g.t.Errorf("%s %s: %v", g.name(), kind, err)
			continue
		}
		if kind == "base" {
			base = recs
		}
		if g.r.Bool("unstable") {
			if len(recs) == want.Int("n", 0) {
				g.f.predictionsOK++
			}
			continue
		}
		all := py.NewList()
		for _, r := range recs {
			all.Items = append(all.Items, r.Data)
		}
		if d := digest(g.t, all); d != want.Str("sha") {
			g.report(kind, recs, want)
			continue
		}
		g.f.predictionsOK++
	}
	if base != nil && g.r.Dict("eval") != nil && !g.r.Dict("eval").Has("skipped") {
		g.eval(ds, set, base)
	}
}

// report says which row is the first to differ.
func (g *golden) report(kind string, recs []infer.Record, want *py.Dict) {
	rows := want.List("rows")
	if rows == nil || rows.Len() != len(recs) {
		g.t.Errorf("%s %s: %d records, want %d", g.name(), kind, len(recs), want.Int("n", 0))
		return
	}
	for i, r := range recs {
		if d := digest(g.t, r.Data); d[:10] != rows.Items[i] {
			g.t.Errorf("%s %s: row %d differs:\n got %.1500s\nwant (the first) %.1500s", g.name(), kind, i, py.Repr(r.Data), py.Str(want.Get("first")))
			return
		}
	}
}

func digest(t *testing.T, v py.Value) string {
	b, err := py.DumpJSON(v, py.JSONOptions{SortKeys: true, EnsureASCII: true, ItemSep: ",", KeySep: ":"})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (g *golden) infer(ds *py.Dict, set *dataset.Set, class model.Class, cfg *py.Dict) ([]infer.Record, error) {
	sink := &collect{recs: map[int]infer.Record{}}
	job := &infer.Job{Model: fake.Open(fake.Options{StandIn: true, InFlight: 4}), Class: class, ModelCfg: cfg, Set: set, InferCfg: ds.Dict("infer_cfg"), Sink: sink}
	for i := range set.Test {
		job.Rows, job.Index = append(job.Rows, i), append(job.Index, i)
	}
	icfg := job.InferCfg.Dict("inferencer")
	c, err := infer.Lookup(icfg)
	if err != nil {
		return nil, err
	}
	inf, err := c.New(icfg)
	if err != nil {
		return nil, err
	}
	if err := inf.Run(context.Background(), job); err != nil {
		return nil, err
	}
	out := make([]infer.Record, len(set.Test))
	for i := range out {
		out[i] = sink.recs[i]
	}
	return out, nil
}

// answers are the templates of the predictions that are scored.
var answers = []string{"{g}", "The answer is {g}.", "So the answer is \\boxed{{g}}.", "答案是{g}。", "Answer: {g}\n\nQuestion: what comes next?", "", "{n}",
	"Let's think step by step. First, 3 + 4 = 7.\nTherefore, the answer is **{g}**", "ANSWER: {g}\n\nThanks", "选 {g}", "{g}\n{n}", "I think it is ({g}) because {n} is wrong."}

func (g *golden) eval(ds *py.Dict, set *dataset.Set, recs []infer.Record) {
	ecfg := ds.Dict("eval_cfg")
	if _, err := evaluator.Classes.Lookup(ecfg.Dict("evaluator").Str("type")); err != nil {
		g.f.missing++
		return
	}
	in := evaluator.Input{Rows: set.Test, References: make([]py.Value, len(set.Test))}
	gold := make([]string, len(set.Test))
	for i, row := range set.Test {
		in.References[i] = row.Get(set.Output)
		v := in.References[i]
		if l, ok := v.(*py.List); ok && l.Len() > 0 {
			v = l.Items[0]
		}
		gold[i] = py.Str(v)
	}
	var held evaluator.RecordList
	for i, r := range recs {
		p := r.Data.Get("prediction")
		if r.Data.Has("origin_prompt") && !r.Data.Has("in-context examples") {
			p = strings.NewReplacer("{g}", gold[i], "{n}", gold[(i+1)%len(gold)]).Replace(answers[i%len(answers)])
		}
		in.Predictions = append(in.Predictions, p)
		held = append(held, r.Data)
	}
	in.Records = held
	for key, vals := range map[string][]py.Value{"dataset_postprocessor": in.References, "pred_postprocessor": in.Predictions} {
		pp := ecfg.Dict(key)
		if pp == nil {
			continue
		}
		fn, err := postprocess.Functions.Lookup(pp.Str("type"))
		if err != nil {
			g.f.missing++
			return
		}
		kw := pp.Copy()
		kw.Delete("type")
		for i, v := range vals {
			if vals[i], err = fn(py.Str(v), kw); err != nil {
				g.t.Errorf("%s: %s of row %d: %v", g.name(), key, i, err)
				return
			}
		}
	}
	g.f.metrics++
	res, err := evaluator.Run(context.Background(), evaluator.Job{Abbr: set.Abbr, Cfg: ecfg.Dict("evaluator"), Set: set, Input: in})
	if err != nil {
		g.t.Errorf("%s: %v", g.name(), err)
		return
	}
	want := g.r.Dict("eval")
	for _, e := range want.Entries() {
		got, w := res.Metrics.Get(e.Key), e.Val
		gf, ok1 := got.(float64)
		wf, ok2 := w.(float64)
		if ok1 && ok2 && math.Abs(gf-wf) <= 1e-9 || py.Equal(got, w) {
			continue
		}
		g.t.Errorf("%s: metrics %s, want %s", g.name(), py.Repr(res.Metrics), py.Repr(want))
		return
	}
	g.f.metricsOK++
}
