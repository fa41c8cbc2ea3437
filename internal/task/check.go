package task

import (
	"errors"

	"sextant/internal/dataset"
	"sextant/internal/evaluator"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/postprocess"
	"sextant/internal/prompt"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
)

// Check finds, before anything is started, what would fail later: classes
// that do not exist, options that a class does not take, a dataset that asks
// for log-probabilities of a model that has none. It does no I/O. All mistakes
// come at once, each at the place in the user's file.
func Check(e *spec.Experiment) source.List {
	c := &checker{seen: map[source.Pos]bool{}}
	for _, m := range e.Models {
		c.model(m)
	}
	c.datasets(e.Datasets)
	for _, m := range e.Models {
		c.pairs(m, e.Datasets)
	}
	return c.errs
}

type checker struct {
	errs source.List
	seen map[source.Pos]bool // one value shared by many dicts is reported once
	fine map[plainUse]bool
	told int // mistakes that were at a place of another
}

// plainUse is a class or function that is used without options.
type plainUse struct{ kind, name string }

// once runs a check of cfg, which is a dict of type and options; of dicts that
// have no options one of each type is checked, unless a mistake is found.
func (c *checker) once(kind string, cfg *py.Dict, check func()) {
	use := plainUse{kind, cfg.Str("type")}
	if cfg.Len() == 1 && c.fine[use] {
		return
	}
	n, told := len(c.errs), c.told
	check()
	if cfg.Len() == 1 && n == len(c.errs) && told == c.told {
		if c.fine == nil {
			c.fine = map[plainUse]bool{}
		}
		c.fine[use] = true
	}
}

// unknown reports a type that a registry lacks, once for each place.
func (c *checker) unknown(cfg *py.Dict, err error) {
	if pos := cfg.PosOf("type"); pos != 0 && c.seen[pos] {
		c.told++
		return
	}
	c.add(Unknown(cfg, err))
}

// datasets checks all datasets.
func (c *checker) datasets(ds []*spec.Dataset) {
	parts := spec.InParts(len(ds), func(part *checker, lo, hi int) {
		part.seen = map[source.Pos]bool{}
		for _, d := range ds[lo:hi] {
			part.dataset(d)
		}
	})
	for _, part := range parts {
		for _, d := range part.errs {
			c.add(d)
		}
	}
}

func (c *checker) add(err error) {
	for _, d := range source.Diagnostics(err) {
		if d.Pos != 0 && c.seen[d.Pos] {
			c.told++
			continue
		}
		c.seen[d.Pos] = true
		c.errs = append(c.errs, d)
	}
}

// Unknown turns a registry's complaint about the type of cfg into a
// diagnostic at the place where the type was written.
func Unknown(cfg *py.Dict, err error) *source.Diagnostic {
	return source.At(cfg.PosOf("type"), err)
}

func (c *checker) model(m *spec.Model) {
	cl, err := model.Classes.Lookup(m.Type)
	if err != nil {
		c.add(Unknown(m.Cfg, err))
		return
	}
	if cl.Check != nil {
		c.add(cl.Check(m.Cfg))
	}
	if v, ok := m.Cfg.Lookup("run_cfg"); ok && v != nil {
		if rc, ok := v.(*py.Dict); !ok {
			c.add(source.Errorf(m.Cfg.PosOf("run_cfg"), "run_cfg must be a dict, not %s", py.TypeName(v)).WithHint("write dict(num_gpus=1)"))
		} else {
			for _, k := range []string{"num_gpus", "num_procs"} {
				n, ok := rc.Lookup(k)
				if i, isInt := n.(int); ok && (!isInt || i < 0) {
					c.add(source.Errorf(rc.PosOf(k), "%s must be a whole number, 0 or more, not %s", k, py.Repr(n)))
				}
			}
		}
	}
	if pp := m.Cfg.Dict("pred_postprocessor"); pp != nil {
		c.postprocessor(pp)
	}
}

func (c *checker) postprocessor(pp *py.Dict) {
	c.once("postprocessor", pp, func() { c.postprocess(pp) })
}

func (c *checker) postprocess(pp *py.Dict) {
	name, ok := pp.Get("type").(string)
	if !ok {
		c.add(source.Errorf(pp.At, "postprocessor has no type").WithHint("name one, such as dict(type=first_option_postprocess, options='ABCD')"))
		return
	}
	fn, err := postprocess.Functions.Lookup(name)
	if err != nil {
		c.unknown(pp, err)
		return
	}
	// Functions are pure: an empty answer shows what is wrong with the options.
	kw := pp.Copy()
	kw.Delete("type")
	_, err = fn("", kw)
	if len(source.Diagnostics(err)) > 0 {
		c.add(err)
	} else if e := (*py.Exception)(nil); errors.As(err, &e) && e.Class == "TypeError" {
		c.add(source.Errorf(pp.PosOf("type"), "%s: %s", registry.Base(name), e.Msg))
	}
}

func (c *checker) dataset(d *spec.Dataset) {
	if _, err := dataset.Classes.Lookup(d.Type); err != nil {
		c.unknown(d.Cfg, err)
	}
	if inf := d.Infer.Dict("inferencer"); inf != nil {
		c.once("inferencer", inf, func() {
			if cl, err := infer.Classes.Lookup(inf.Str("type")); err != nil {
				c.unknown(inf, err)
			} else if _, err := cl.New(inf); err != nil {
				c.add(err)
			}
		})
	}
	if r := d.Infer.Dict("retriever"); r != nil {
		if _, err := prompt.Retrievers.Lookup(r.Str("type")); err != nil {
			c.unknown(r, err)
		} else if err := prompt.CheckRetriever(r); err != nil {
			c.add(err)
		}
	}
	if d.Eval == nil {
		return
	}
	if ev := d.Eval.Dict("evaluator"); ev != nil {
		if cl, err := evaluator.Classes.Lookup(ev.Str("type")); err != nil {
			c.unknown(ev, err)
		} else if _, err := cl.New(ev); err != nil {
			c.add(err)
		}
		if pp := ev.Dict("pred_postprocessor"); pp != nil {
			c.postprocessor(pp)
		}
	}
	for _, k := range []string{"pred_postprocessor", "dataset_postprocessor"} {
		if pp := d.Eval.Dict(k); pp != nil {
			c.postprocessor(pp)
		}
	}
}

func (c *checker) pairs(m *spec.Model, ds []*spec.Dataset) {
	cl, err := model.Classes.Lookup(m.Type)
	if err != nil || !cl.Chat {
		return
	}
	for _, d := range ds {
		inf := d.Infer.Dict("inferencer")
		if inf == nil {
			continue
		}
		if ic, err := infer.Classes.Lookup(inf.Str("type")); err == nil && ic.NeedsScore {
			c.add(source.Errorf(m.Cfg.PosOf("type"), "dataset %q needs log-probabilities (%s), which the chat model %q does not give", d.Abbr, registry.Base(inf.Str("type")), m.Abbr).
				WithHint("ask a chat model with a _gen variant of the dataset, or the model through HuggingFaceBaseModel"))
			return
		}
	}
}
