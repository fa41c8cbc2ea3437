package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/run"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/station"
	"sextant/internal/task"
)

// unavailable splits off, for a dry run, what OpenCompass has and this program
// lacks: the plan can be told without it.
func unavailable(errs source.List, split bool) (missing, rest source.List) {
	if !split {
		return nil, errs
	}
	for _, d := range errs {
		var u *registry.UnknownError
		if errors.As(d.Err, &u) && u.OpenCompass {
			missing = append(missing, d)
		} else {
			rest = append(rest, d)
		}
	}
	return missing, rest
}

// goesBySize reports whether a partitioner's tasks depend on how many rows
// datasets have.
func goesBySize(cfg *py.Dict) bool {
	switch registry.Base(cfg.Str("type")) {
	case "NaivePartitioner", "SubjectiveNaivePartitioner":
		return false
	case "NumWorkerPartitioner":
		return cfg.Int("num_split", cfg.Int("num_worker", 8)) > 1
	}
	return true
}

// maxMissing is how many classes that are not available a dry run names.
const maxMissing = 10

// dryRun says what would be run. It writes no file, and reads data only where
// a partitioner goes by its size or an earlier run is looked at.
func (a *app) dryRun(ctx context.Context, c *run.Coordinator, f *runFlags, workDir string, missing source.List, st *station.Station) error {
	ui := a.terminal(f.Quiet, f.JSON)
	if f.Reuse != "" {
		if err := c.Prepare(ctx); err != nil {
			return err
		}
		r, err := a.openRun(f, workDir, a.env.Now())
		if err != nil {
			return err
		}
		defer r.Close()
		c.Run, c.ReadOnly = r, true
	}
	if err := a.readStation(ctx, c, f, st, ui); err != nil {
		return err
	}
	var b strings.Builder
	var unknown, absent error
	c.Telling = true
	for _, stage := range []struct {
		name string
		st   *spec.Stage
		plan func(context.Context) (*run.Plan, error)
	}{{task.Infer, c.Exp.Infer, c.PlanInfer}, {task.Eval, c.Exp.Eval, c.PlanEval}} {
		if f.Mode != "all" && f.Mode != stage.name {
			continue
		}
		part, runner := registry.Base(stage.st.Partitioner.Str("type")), registry.Base(stage.st.Runner.Str("type"))
		c.AnySize = !goesBySize(stage.st.Partitioner)
		p, err := stage.plan(ctx)
		var size *run.SizeError
		switch {
		case errors.As(err, &size):
			unknown = source.Errorf(stage.st.Partitioner.PosOf("type"), "%s cannot cut the %s stage: %v", part, stage.name, err).
				WithHint("NaivePartitioner, and NumWorkerPartitioner with one worker, need no sizes")
			fmt.Fprintf(&b, "%s: number of tasks not known (%s, %s)\n", stage.name, part, runner)
			continue
		case err != nil:
			return err
		}
		if stage.name == task.Infer {
			absent = c.CheckModels(ctx, p.Asked())
		}
		fmt.Fprintf(&b, "%s: %s (%s, %s)\n", stage.name, source.Count(len(p.Tasks), "task"), part, runner)
		if p.Skip > 0 {
			fmt.Fprintf(&b, "  complete already: %d\n", p.Skip)
		}
		for _, r := range p.Remade {
			fmt.Fprintf(&b, "  asked again: %s\n", r)
		}
		n := 0
		for i := range p.Tasks {
			n += len(p.Tasks[i].Name) + len("  1000000: \n")
		}
		b.Grow(n)
		for i := range p.Tasks {
			b.WriteString("  ")
			b.WriteString(strconv.Itoa(i))
			b.WriteString(": ")
			b.WriteString(p.Tasks[i].Name)
			b.WriteByte('\n')
		}
		if s, err := c.Script(p); err != nil {
			if _, rest := unavailable(source.Diagnostics(err), true); len(rest) > 0 || len(missing) == 0 {
				return err
			}
		} else if s != "" {
			fmt.Fprintf(&b, "\n%s\n", s)
		}
	}
	ui.Close()
	ui.Print(b.String())
	// one line for each class, with the first place that names it
	count, first := map[string]int{}, []*source.Diagnostic{}
	for _, d := range missing {
		if count[d.Msg]++; count[d.Msg] == 1 {
			first = append(first, d)
		}
	}
	for i, d := range first {
		if i == maxMissing && len(first) > maxMissing+1 {
			ui.Warn("and %d more classes are not available; `sextant config check` lists them", len(first)-i)
			break
		}
		at := ""
		if p, ok := a.files.Position(d.Pos); ok {
			at = fmt.Sprintf(" (%s:%d:%d", p.File.Name, p.Line, p.Col)
			if n := count[d.Msg]; n > 1 {
				at += fmt.Sprintf(" and %d more", n-1)
			}
			at += ")"
		}
		ui.Warn("%s%s", d.Msg, at)
	}
	if absent != nil {
		return absent
	}
	return unknown
}
