package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"iter"
	"os"
	"strings"

	"sextant/internal/dataset"
	"sextant/internal/infer"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/spec"
	"sextant/internal/station"
	"sextant/internal/store"
	"sextant/internal/task"
)

// stationFile remembers, in the run's folder, what was taken from a station.
const stationFile = "state/station.json"

// taken is one (model, dataset) whose answers came from a station.
type taken struct {
	From        string           `json:"from"` // file of the entry
	Predictions bool             `json:"predictions"`
	Result      bool             `json:"result"`
	Evidence    *stationEvidence `json:"evidence,omitempty"`
}

// failed is how many rows have no answer, as far as that is known.
func (t taken) failed() int {
	if t.Evidence == nil || t.Evidence.Result == nil {
		return 0
	}
	return t.Evidence.Result.Counts.Failed
}

// stationEvidence is what stands beside an entry of ours: what the entry's own
// JSON, which is OpenCompass's, has no place for.
type stationEvidence struct {
	Program string            `json:"program"`
	Result  *store.ResultMeta `json:"result,omitempty"`
	Inputs  *store.Inputs     `json:"inputs,omitempty"` // what the answers were made from
	Cut     infer.Cuts        `json:"cut,omitzero"`
}

// unfitError says that an entry answers other questions than this run asks.
type unfitError struct{ why string }

func (e *unfitError) Error() string { return e.why }

var errEnough = errors.New("stop reading")

// stationName is one entry of a (model, dataset): the model's own, or one for
// each judge (and model to compare with) of a judged benchmark.
type stationName struct {
	name  string
	judge *py.Dict
}

func (c *Coordinator) stationNames(p pair) []stationName {
	judges, _ := c.Exp.Config.Get("judge_models").(*py.List)
	if judges == nil {
		return []stationName{{name: p.m.Abbr}}
	}
	bases := []string{""}
	if l, ok := p.d.Cfg.Get("base_models").(*py.List); ok {
		bases = bases[:0]
		for _, b := range l.Items {
			if d, ok := b.(*py.Dict); ok {
				bases = append(bases, spec.ModelAbbr(d)+"_")
			}
		}
	}
	var out []stationName
	for _, b := range bases {
		for _, j := range judges.Items {
			if d, ok := j.(*py.Dict); ok {
				out = append(out, stationName{b + p.m.Abbr + "_judged-by--" + spec.ModelAbbr(d), d})
			}
		}
	}
	return out
}

// ReadStation takes over what a station has of this run's models and datasets,
// before anything is asked: predictions and results become the run's own. What
// the run has itself stays. An entry that was made with another prompt or from
// other rows answers another question: it is left out, with a warning. found of
// all pairs came from the station, now or in an earlier session. Without a run
// (a plan) nothing is written.
func (c *Coordinator) ReadStation(ctx context.Context, s station.Station) (found, of int, err error) {
	if err := c.loadTaken(); err != nil {
		return 0, 0, err
	}
	pairs := c.pairs()
	for _, d := range c.Exp.Datasets {
		var set *dataset.Set
		for _, p := range pairs {
			if p.d != d {
				continue
			}
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			here, err := c.have(s, p)
			if err != nil {
				return 0, 0, err
			}
			if !here {
				if _, ok := c.fromStation(p); ok {
					found++
				}
				continue
			}
			if set == nil {
				set, err = dataset.Read(ctx, d.Cfg, c.Source)
				if c.showOnly && errors.As(err, new(*dataset.MissingError)) {
					set, err = nil, nil
				}
				if err != nil {
					return 0, 0, fmt.Errorf("read dataset %s: %w", d.Abbr, err)
				}
			}
			t := taken{}
			for _, x := range c.stationNames(p) {
				if err = c.take(s, p, x, set, &t); err != nil {
					break
				}
			}
			var no *unfitError
			switch {
			case errors.As(err, &no):
				c.Warn(fmt.Errorf("the station's entry for %s/%s is left out: %w", p.m.Abbr, d.Abbr, no))
				continue
			case err != nil:
				return 0, 0, err
			}
			c.taken[[2]string{p.m.Abbr, d.Abbr}] = t
			if err := c.keepTaken(); err != nil {
				return 0, 0, err
			}
			found++
		}
	}
	return found, len(pairs), nil
}

// ShowOnly says that nothing but tables is asked for: data need not be here.
func (c *Coordinator) ShowOnly() { c.showOnly = true }

// have reports whether all entries of p are in the station, and the run has
// nothing of its own for it.
func (c *Coordinator) have(s station.Station, p pair) (bool, error) {
	if c.Run != nil {
		st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
		if err != nil || st.State != store.Missing {
			return false, err
		}
		if _, ok := c.fromStation(p); ok {
			return false, nil
		}
	}
	names := c.stationNames(p)
	for _, x := range names {
		if has, err := s.Has(p.d.Abbr, x.name); !has || err != nil {
			return false, err
		}
	}
	return len(names) > 0, nil
}

// take reads one entry, checks that it fits, and writes what it has into the
// run. set is nil where the data is not here, and only tables are asked for.
func (c *Coordinator) take(s station.Station, p pair, x stationName, set *dataset.Set, t *taken) error {
	head, golds, err := (*station.Head)(nil), newGolds(set), error(nil)
	read := func(each func([]byte) error) error {
		head, err = s.Read(p.d.Abbr, x.name, func(i int, rec []byte) error {
			if err := golds.add(i, rec); err != nil {
				return err
			}
			return each(rec)
		})
		if err != nil {
			return err
		}
		return c.fits(p, head, golds)
	}
	var digest string
	if write := c.Run != nil && !c.ReadOnly && !t.Predictions; write {
		recs := iter.Seq2[[]byte, error](func(yield func([]byte, error) bool) {
			err := read(func(rec []byte) error {
				if !yield(rec, nil) {
					return errEnough
				}
				return nil
			})
			if err == nil && head.Rows == 0 {
				err = errNoPredictions
			}
			if err == nil && golds.shuffled() {
				err = errShuffled
			}
			if err != nil && !errors.Is(err, errEnough) {
				yield(nil, err)
			}
		})
		digest, err = c.Run.ImportPredictions(p.m.Abbr, p.d.Abbr, recs)
		t.Predictions = err == nil
		if errors.Is(err, errShuffled) || errors.Is(err, errNoPredictions) {
			err = nil
		}
	} else {
		err = read(func([]byte) error { return nil })
		t.Predictions = t.Predictions || err == nil && head.Rows > 0 && !golds.shuffled()
	}
	if err != nil {
		return err
	}
	if golds.shuffled() {
		c.Warn(fmt.Errorf("the predictions of %s/%s stand in another order than the data in the station: only the result is taken", p.m.Abbr, p.d.Abbr))
	}
	t.From = s.Path(p.d.Abbr, x.name)
	var ev *stationEvidence
	if len(head.Statement) > 0 && json.Unmarshal(head.Statement, &ev) != nil {
		ev = nil // of a later version
	}
	if t.Evidence == nil {
		t.Evidence = ev
	}
	if f := c.sets[p.d.Abbr]; set == nil && f != nil && ev != nil && ev.Inputs != nil {
		f.content, f.rows, f.base = ev.Inputs.Data, head.Rows, head.Rows
	}
	same := py.Equal(plain(head.Cfg.Dict("datasets").Get("eval_cfg")), plain(p.d.Cfg.Get("eval_cfg"))) &&
		py.Equal(plain(head.Cfg.Dict("models").Get("pred_postprocessor")), plain(p.m.Cfg.Get("pred_postprocessor")))
	if head.Results == nil || !same && t.Predictions {
		if !same {
			c.Note("%s/%s: the station's answers are scored here: eval_cfg is another one", p.m.Abbr, p.d.Abbr)
		}
		return nil
	}
	if ev == nil && golds.failed > 0 && t.Predictions {
		c.Note("%s/%s: the station's answers are scored here: %d are missing, and its result does not say so", p.m.Abbr, p.d.Abbr, golds.failed)
		return nil
	}
	if !same {
		return &unfitError{"it was scored with another eval_cfg, and has no predictions to score again"}
	}
	t.Result = true
	if c.Run == nil || c.ReadOnly {
		return nil
	}
	if _, err := os.Stat(c.Run.ResultsPath(x.name, p.d.Abbr)); err == nil {
		return nil // as in OpenCompass, what is there stays
	}
	if x.judge == nil && ev != nil && ev.Result != nil {
		meta := *ev.Result
		if digest != "" {
			meta.Predictions = digest
		}
		return c.Run.WriteResult(x.name, p.d.Abbr, head.Results, meta)
	}
	return c.Run.ImportResult(x.name, p.d.Abbr, head.Results)
}

var (
	errShuffled      = errors.New("predictions in another order")
	errNoPredictions = errors.New("no predictions")
)

// fits compares what an entry was made from with what this run asks. A model
// that differs is told: its name is what the station goes by.
func (c *Coordinator) fits(p pair, head *station.Head, g *golds) error {
	ds, m := head.Cfg.Dict("datasets"), head.Cfg.Dict("models")
	if ds == nil || m == nil {
		return &unfitError{"it does not say what it was made from (no cfg)"}
	}
	theirs, err1 := spec.PromptHash(plain(ds).(*py.Dict))
	ours, err2 := spec.PromptHash(plain(p.d.Cfg).(*py.Dict))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if theirs != ours {
		return &unfitError{"it was asked with another infer_cfg (prompt, retriever or inferencer)"}
	}
	switch {
	case head.Rows > 0 && g.set != nil && head.Rows != g.rows():
		return &unfitError{fmt.Sprintf("it has %d rows, the dataset here %d", head.Rows, g.rows())}
	case g.seen > 0 && g.there != g.here:
		return &unfitError{"its answer keys (gold) are not those of the data here"}
	case g.seen == 0:
		for _, k := range []string{"path", "name", "reader_cfg", "n"} {
			if !py.Equal(plain(ds.Get(k)), plain(p.d.Cfg.Get(k))) {
				return &unfitError{"its dataset has another " + k}
			}
		}
	}
	var diff []string
	a, b := plain(m).(*py.Dict), plain(p.m.Cfg).(*py.Dict)
	for _, e := range append(a.Entries(), b.Entries()...) {
		k := py.Str(e.Key)
		if !modelAside[k] && !spec.IsSecretKey(k) && !py.Equal(a.Get(k), b.Get(k)) && !strings.Contains(" "+strings.Join(diff, " ")+" ", " "+k+" ") {
			diff = append(diff, k)
		}
	}
	if len(diff) > 0 {
		c.Warn(fmt.Errorf("the station's %s/%s was made by a model with another %s", p.m.Abbr, p.d.Abbr, strings.Join(diff, ", ")))
	}
	return nil
}

// modelAside are keys of a model that change no answer.
var modelAside = map[string]bool{"run_cfg": true, "summarizer_abbr": true, "concurrency": true, "query_per_second": true, "retry": true,
	"max_workers": true, "verbose": true, "pred_postprocessor": true}

// plain is v as it comes out of a JSON file, with classes by their last name
// and without members that are null: two configs that mean the same compare
// equal, whichever program dumped them.
func plain(v py.Value) py.Value {
	b, err := py.DumpJSON(v, py.JSONOptions{})
	if err == nil {
		if x, err := py.LoadJSON(b); err == nil {
			return shorten(x)
		}
	}
	return v
}

func shorten(v py.Value) py.Value {
	switch x := v.(type) {
	case *py.Dict:
		out := py.NewDict()
		for _, e := range x.Entries() {
			s, isText := e.Val.(string)
			switch {
			case e.Val == nil:
			case e.Key == "type" && isText:
				out.Set(e.Key, registry.Base(s))
			default:
				out.Set(e.Key, shorten(e.Val))
			}
		}
		return out
	case *py.List:
		out := py.NewList()
		for _, it := range x.Items {
			out.Append(shorten(it), 0)
		}
		return out
	}
	return v
}

// golds compares the answer keys that records carry with those of the data
// here: row by row, and regardless of order.
type golds struct {
	set         *dataset.Set
	seen, wrong int
	failed      int    // records that say that there was no answer
	there, here uint64 // order-independent sums over the rows that carry one
}

func newGolds(set *dataset.Set) *golds { return &golds{set: set} }

func (g *golds) rows() int { return len(g.set.Test) }

// shuffled reports whether the records have the right keys in another order.
func (g *golds) shuffled() bool { return g.wrong > 0 && g.there == g.here }

func (g *golds) add(i int, rec []byte) error {
	v, err := py.LoadJSON(rec)
	if err != nil {
		return fmt.Errorf("record %d: %w", i, err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return fmt.Errorf("record %d is a %s, not an object", i, py.TypeName(v))
	}
	if d.Has("error") && d.Get("prediction") == "" {
		g.failed++ // as store marks it
	}
	gold, ok := d.Lookup("gold")
	if !ok || g.set == nil || g.set.Output == "" || i >= len(g.set.Test) {
		return nil
	}
	want, have := jsonOf(g.set.Test[i].Get(g.set.Output)), jsonOf(gold)
	g.seen++
	g.there += sum64(have)
	g.here += sum64(want)
	if want != have {
		g.wrong++
	}
	return nil
}

func jsonOf(v py.Value) string {
	b, err := py.DumpJSON(v, py.JSONOptions{SortKeys: true})
	if err != nil {
		return py.Repr(v)
	}
	return string(b)
}

func sum64(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

type takenFile struct {
	V     int                         `json:"v"`
	Taken map[string]map[string]taken `json:"taken"` // by model and dataset abbr
}

// loadTaken reads what earlier sessions of the run took.
func (c *Coordinator) loadTaken() error {
	if c.taken != nil {
		return nil
	}
	c.taken = map[[2]string]taken{}
	if c.Run == nil {
		return nil
	}
	b, err := os.ReadFile(c.Run.Path(stationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f takenFile
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Run.Path(stationFile), err)
	}
	for m, ds := range f.Taken {
		for d, t := range ds {
			c.taken[[2]string{m, d}] = t
		}
	}
	return nil
}

func (c *Coordinator) keepTaken() error {
	if c.Run == nil || c.ReadOnly {
		return nil
	}
	f := takenFile{1, map[string]map[string]taken{}}
	for k, t := range c.taken {
		if f.Taken[k[0]] == nil {
			f.Taken[k[0]] = map[string]taken{}
		}
		f.Taken[k[0]][k[1]] = t
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", stationFile, err)
	}
	return c.Run.WriteFile(stationFile, append(b, '\n'))
}

// fromStation tells what of p came from a station, if that still is what the
// run has.
func (c *Coordinator) fromStation(p pair) (taken, bool) {
	t, ok := c.taken[[2]string{p.m.Abbr, p.d.Abbr}]
	if !ok || c.Run == nil || c.ReadOnly {
		return t, ok
	}
	if t.Predictions {
		st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
		return t, err == nil && st.Foreign
	}
	for _, x := range c.stationNames(p) {
		if _, err := os.Stat(c.Run.ResultsPath(x.name, p.d.Abbr)); err != nil {
			return t, false
		}
	}
	return t, true
}

// resultOnly reports whether p has a result from a station, and no predictions
// that anything could be done with.
func (c *Coordinator) resultOnly(p pair) bool {
	t, ok := c.fromStation(p)
	return ok && !t.Predictions
}

// stationNotes says what of the tables came from a station.
func (c *Coordinator) stationNotes() []string {
	var in []string
	for _, p := range c.pairs() {
		if t, ok := c.fromStation(p); ok {
			by := ""
			if t.Evidence != nil && t.Evidence.Program != "" {
				by = " (" + t.Evidence.Program + ")"
			}
			in = append(in, fmt.Sprintf("%s/%s: %s%s", p.m.Abbr, p.d.Abbr, t.From, by))
		}
	}
	if len(in) == 0 {
		return nil
	}
	return []string{"answers from a results station: " + listed(in)}
}

// Saved is what SaveStation did.
type Saved struct {
	New, Kept int      // entries written; entries that were there and stay
	Without   []string // pairs that have no result to save, "model/dataset"
}

// SaveStation puts the results of this run into a station, with the answers
// and the configs that they came from; secrets in those are replaced. Entries
// that are there stay, unless overwrite.
func (c *Coordinator) SaveStation(ctx context.Context, s station.Station, overwrite bool) (*Saved, error) {
	if err := c.loadTaken(); err != nil {
		return nil, err
	}
	stale, err := c.staleResults()
	if err != nil {
		return nil, err
	}
	out := &Saved{}
	for _, p := range c.pairs() {
		for _, x := range c.stationNames(p) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if !overwrite {
				has, err := s.Has(p.d.Abbr, x.name)
				if err != nil {
					return nil, err
				}
				if has {
					out.Kept++
					continue
				}
			}
			saved, err := c.save(s, p, x, overwrite, stale)
			switch {
			case errors.Is(err, errNoPredictions):
				out.Without = append(out.Without, x.name+"/"+p.d.Abbr)
			case err != nil:
				return nil, err
			case saved:
				out.New++
			default:
				out.Kept++
			}
		}
	}
	return out, nil
}

// save saves one result; errNoPredictions when there is none that was made
// from the predictions that are there.
func (c *Coordinator) save(s station.Station, p pair, x stationName, overwrite bool, stale map[[2]string]bool) (saved bool, err error) {
	if stale[[2]string{p.m.Abbr, p.d.Abbr}] {
		return false, errNoPredictions
	}
	res, err := c.Run.Result(x.name, p.d.Abbr)
	if errors.Is(err, fs.ErrNotExist) {
		return false, errNoPredictions
	}
	if err != nil {
		return false, err
	}
	preds, err := c.Run.Predictions(p.m.Abbr, p.d.Abbr, nil)
	var none *store.IncompleteError
	if errors.As(err, &none) {
		return false, errNoPredictions
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, preds.Close()) }()
	st, err := c.Run.Status(p.m.Abbr, p.d.Abbr, nil)
	if err != nil {
		return false, err
	}
	ev := stationEvidence{Program: c.Program, Inputs: preds.Inputs, Cut: st.Cut}
	if meta, ok := c.Run.ResultMeta(x.name, p.d.Abbr); ok {
		ev.Result = &meta
	}
	if t, ok := c.fromStation(p); ok && t.Evidence != nil {
		ev.Inputs, ev.Cut = t.Evidence.Inputs, t.Evidence.Cut
	}
	b, err := json.Marshal(ev)
	if err != nil {
		return false, fmt.Errorf("encode statement: %w", err)
	}
	cfg := py.DictOf("models", p.m.Cfg, "datasets", p.d.Cfg)
	if x.judge != nil {
		cfg.Set("judge_models", x.judge)
	}
	return s.Save(station.Entry{
		Dataset: p.d.Abbr, Name: x.name, Results: res, Statement: b, Cfg: c.withoutSecrets(cfg),
		Predictions: func(yield func(*py.Dict, error) bool) {
			for rec, err := range preds.All() {
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(shapedRecord(rec), nil) {
					return
				}
			}
		},
	}, overwrite)
}

// withoutSecrets is part of the config without the secrets of all of it.
func (c *Coordinator) withoutSecrets(part *py.Dict) *py.Dict {
	all := py.DictOf("part", part, "all", c.Exp.Config)
	return task.Redact(all).Dict("part")
}

// shapedRecord is a record as predictions/<model>/<dataset>.json has it.
func shapedRecord(rec infer.Record) *py.Dict {
	if rec.State != infer.Failed {
		return rec.Data
	}
	d := rec.Data.Copy()
	if !d.Has("prediction") {
		d.Set("prediction", "")
	}
	if !d.Has("error") {
		d.Set("error", rec.Error)
	}
	return d
}

// listed is some of them, and how many more there are.
func listed(in []string) string {
	const shown = 8
	more := ""
	if n := len(in) - shown; n > 0 {
		in, more = in[:shown], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(in, ", ") + more
}
