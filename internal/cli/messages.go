package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sextant/internal/dataset"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/run"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/task"
)

// dumpMessages is --dump-only-message-path: for each model and each dataset
// whose inferencer generates, a file DIR/MODEL/DATASET.jsonl with one line
// {"message": …, "gold": …} a sample. No model is opened, no run is made.
func (a *app) dumpMessages(ctx context.Context, c *run.Coordinator, f *runFlags) error {
	ui := a.terminal(f.Quiet, f.JSON)
	dir := f.DumpOnlyMessagePath
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.env.Cwd, dir)
	}
	n := 0
	for _, d := range c.Exp.Datasets {
		icfg := d.Infer.Dict("inferencer")
		ic, err := infer.Classes.Lookup(icfg.Str("type"))
		if err != nil {
			return task.Unknown(icfg, err)
		}
		if ic.Mode != "gen" {
			ui.Note("%s: %s compares options, it sends no messages to dump", d.Abbr, registry.Base(icfg.Str("type")))
			continue
		}
		set, err := dataset.Read(ctx, d.Cfg, c.Source)
		if err != nil {
			return err
		}
		for _, m := range c.Exp.Models {
			file := filepath.Join(dir, m.Abbr, d.Abbr+".jsonl")
			if err := a.dumpSet(ctx, c, m, d, set, file); err != nil {
				return fmt.Errorf("write messages %s: %w", a.rel(file), err)
			}
			n++
		}
	}
	ui.Note("%s of messages in %s", source.Count(n, "file"), a.rel(dir))
	return nil
}

func (a *app) dumpSet(ctx context.Context, c *run.Coordinator, m *spec.Model, d *spec.Dataset, set *dataset.Set, file string) (err error) {
	cl, err := model.Classes.Lookup(m.Type)
	if err != nil {
		return task.Unknown(m.Cfg, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	w := bufio.NewWriter(out)
	job := &infer.Job{Class: cl, ModelCfg: m.Cfg, Set: set, InferCfg: d.Infer, Model: noModel{}}
	if cl.Tokenizer != nil {
		if t, err := cl.Tokenizer(ctx, m.Cfg, c.Model); err == nil {
			job.Model = tokenizerOnly{Tokenizer: t}
		}
	}
	for i := range set.Test {
		job.Rows, job.Index = append(job.Rows, i), append(job.Index, i)
	}
	job.Message = func(_ int, message, gold py.Value) error {
		line, err := py.DumpJSON(py.DictOf("message", message, "gold", gold), py.JSONOptions{})
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	}
	ic, err := infer.Lookup(d.Infer.Dict("inferencer"))
	if err != nil {
		return err
	}
	in, err := ic.New(d.Infer.Dict("inferencer"))
	if err != nil {
		return err
	}
	if err := in.Run(ctx, job); err != nil {
		return err
	}
	return w.Flush()
}
