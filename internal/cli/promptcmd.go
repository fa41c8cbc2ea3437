package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/dataset"
	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/task"
)

func (a *app) promptCmd() *cobra.Command {
	f := &runFlags{}
	var row, count int
	var pattern string
	cmd := &cobra.Command{
		Use:   "prompt [CONFIG] [-i ROW]",
		Short: "Show what will be sent for a sample, for each model",
		Long: `Show what will be sent for a sample of each dataset, for each model: for
options that are compared one text per label, with its tokens where a
tokenizer is at hand. Nothing is asked of a model.`,
		Args: oneConfig,
		RunE: func(cmd *cobra.Command, args []string) error {
			config := ""
			if len(args) > 0 {
				config = args[0]
			}
			ctx := cmd.Context()
			exp, err := a.promptExperiment(ctx, f, config)
			if err != nil {
				return err
			}
			if errs := task.Check(askable(exp)); len(errs) > 0 {
				return errs
			}
			ui := a.terminal(false, false)
			src := a.dataSource(f.Offline, ui)
			out := &promptPrinter{w: a.env.Stdout, color: a.env.StdoutTTY && a.env.Getenv("NO_COLOR") == ""}
			shown, matched := 0, 0
			told := map[*spec.Model]bool{}
			for _, d := range exp.Datasets {
				if pattern != "" && !anyPattern(d.Abbr, []string{pattern}) {
					continue
				}
				set, err := dataset.Read(ctx, d.Cfg, src)
				if err != nil {
					return err
				}
				matched++
				if row >= len(set.Test) {
					ui.Note("%s has %s: there is no sample %d", d.Abbr, source.Count(len(set.Test), "sample"), row)
					continue
				}
				for _, m := range exp.Models {
					cl, available, ok := model.Layout(m.Type)
					if !ok {
						continue // told by Check
					}
					if !available && !told[m] {
						told[m] = true
						ui.Note("%s: %s cannot be asked by this version; shown is what OpenCompass gives to it, before a chat template of its own", m.Abbr, registry.Base(m.Type))
					}
					job := &infer.Job{Class: cl, ModelCfg: m.Cfg, Set: set, InferCfg: d.Infer}
					if cl.Tokenizer != nil {
						if t, err := cl.Tokenizer(ctx, m.Cfg, a.modelEnv(f.Offline, 1, a.logger(f, task.Secrets(exp.Config)))); err == nil {
							job.Model = tokenizerOnly{Tokenizer: t}
						}
					}
					for i := row; i < row+count && i < len(set.Test); i++ {
						rs, err := infer.Preview(job, i)
						if err != nil {
							return err
						}
						out.print(m.Abbr, d.Abbr, i, len(set.Test), rs, set)
						shown++
					}
				}
			}
			if shown == 0 && matched > 0 {
				return &exitError{code: ExitUsage, err: fmt.Errorf("no dataset has a sample %d", row), hint: "samples are counted from 0"}
			}
			if shown == 0 {
				var abbrs []string
				for _, d := range exp.Datasets {
					abbrs = append(abbrs, d.Abbr)
				}
				return &exitError{code: ExitUsage, err: fmt.Errorf("no dataset matches %q", pattern), hint: "there are " + strings.Join(abbrs, ", ")}
			}
			return out.err
		},
	}
	s := cmd.Flags()
	f.set = s
	s.IntVarP(&row, "sample", "i", 0, "number of the sample")
	s.IntVarP(&count, "count", "c", 1, "how many samples")
	s.StringVarP(&pattern, "pattern", "p", "", "only datasets whose abbr has this in it")
	s.StringArrayVar(&f.Models, "models", nil, "model configs by name")
	s.StringArrayVar(&f.Datasets, "datasets", nil, "dataset configs by name")
	s.StringVar(&f.ConfigDir, "config-dir", "configs", "folder searched first for names and imports")
	s.BoolVar(&f.Offline, "offline", false, "no network at all")
	return cmd
}

// askable is an experiment without the models whose prompts can be shown
// although they cannot be asked.
func askable(e *spec.Experiment) *spec.Experiment {
	c := *e
	c.Models = nil
	for _, m := range e.Models {
		if _, available, ok := model.Layout(m.Type); available || !ok {
			c.Models = append(c.Models, m)
		}
	}
	return &c
}

// promptExperiment is the experiment to show; a file with datasets alone, or
// datasets by name without a model, are shown for a base model.
func (a *app) promptExperiment(ctx context.Context, f *runFlags, config string) (*spec.Experiment, error) {
	var data *py.Dict
	if config != "" {
		c, err := a.loadFile(ctx, f, config)
		if err != nil {
			return nil, err
		}
		data = c.Data()
	} else if len(f.Models) == 0 && len(f.Datasets) > 0 {
		ds, err := a.datasetsByName(ctx, f)
		if err != nil {
			return nil, err
		}
		data = py.DictOf("datasets", ds)
	} else {
		return a.loadExperiment(ctx, f, "")
	}
	whole(data)
	cfg, err := a.expand(ctx, f, data)
	if err != nil {
		return nil, err
	}
	return decode(a.files, cfg, spec.Defaults{MaxNumWorkers: 1, MaxWorkersPerGPU: 1})
}

type promptPrinter struct {
	w     io.Writer
	color bool
	err   error
}

func (p *promptPrinter) paint(code, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *promptPrinter) print(m, d string, row, total int, rs []infer.Rendered, set *dataset.Set) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.paint("1", fmt.Sprintf("%s / %s, sample %d of %d", m, d, row, total)))
	for _, r := range rs {
		head := "prompt"
		if r.HasLabel {
			head = "label " + py.Repr(r.Label)
		}
		if r.Tokens > 0 {
			head += fmt.Sprintf(" (%d tokens)", r.Tokens)
		}
		if len(r.Examples) > 0 {
			head += fmt.Sprintf(", examples %v", r.Examples)
		}
		fmt.Fprintf(&b, "%s\n", p.paint("36", "── "+head))
		if r.Messages == nil {
			fmt.Fprintf(&b, "%s\n", r.Text)
			continue
		}
		for _, msg := range r.Messages {
			fmt.Fprintf(&b, "%s\n%s\n", p.paint("33", "["+msg.Role+"]"), msg.Content)
		}
	}
	if set.Output != "" {
		fmt.Fprintf(&b, "%s %s\n", p.paint("36", "── gold:"), py.Str(set.Test[row].Get(set.Output)))
	}
	b.WriteByte('\n')
	if _, err := io.WriteString(p.w, b.String()); err != nil && p.err == nil {
		p.err = err
	}
}

// noModel is a model that answers nothing.
type noModel struct{}

// tokenizerOnly is a model that counts tokens and answers nothing.
type tokenizerOnly struct {
	noModel
	model.Tokenizer
}

var errNoModel = errors.New("no model is open")

func (noModel) Generate(context.Context, model.Request) (model.Response, error) {
	return model.Response{}, errNoModel
}
func (noModel) Limits() model.Limits { return model.Limits{} }
func (noModel) Close() error         { return nil }
