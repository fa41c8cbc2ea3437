package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/model"
	"sextant/internal/py"
	"sextant/internal/pyconf"
	"sextant/internal/run"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/task"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Look into configs: show, check, diff, dump, canon",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(a.configShow(), a.configCheck(), a.configDiff(), a.configDump(), a.configCanon())
	return cmd
}

// configFlags adds the options that say how a config is found.
func configFlags(cmd *cobra.Command, f *runFlags) {
	f.set = cmd.Flags()
	cmd.Flags().StringVar(&f.ConfigDir, "config-dir", "configs", "folder searched for imports beside the config's own")
}

func (a *app) configShow() *cobra.Command {
	f := &runFlags{}
	var where bool
	cmd := &cobra.Command{
		Use: "show CONFIG [KEY]", Short: "Print what a config means, or one value of it (datasets[0].infer_cfg)", Args: words(1, 2, "a config and maybe a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.loadFile(cmd.Context(), f, args[0])
			if err != nil {
				return err
			}
			data := task.Redact(c.Data(), a.env.Environ()...)
			if len(args) == 1 {
				_, err := io.WriteString(a.env.Stdout, task.Named(pyconf.Dump(data)))
				return err
			}
			v, pos, err := walk(data, args[1])
			if err != nil {
				return err
			}
			if where {
				if p, ok := c.Files.Position(pos); ok {
					fmt.Fprintf(a.env.Stdout, "# %s:%d:%d\n", p.File.Name, p.Line, p.Col)
				}
			}
			_, err = io.WriteString(a.env.Stdout, pyconf.DumpValue(v)+"\n")
			return err
		},
	}
	configFlags(cmd, f)
	cmd.Flags().BoolVar(&where, "where", false, "say where the value was written")
	return cmd
}

// walk follows a path such as datasets[0].infer_cfg.inferencer.
func walk(v py.Value, path string) (py.Value, source.Pos, error) {
	var pos source.Pos
	rest := path
	for rest != "" {
		var key string
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, 0, usagef("%s: a bracket is not closed", path)
			}
			key, rest = rest[1:end], rest[end+1:]
		} else {
			rest = strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			key, rest = rest[:end], rest[end:]
		}
		var k py.Value = strings.Trim(key, `'"`)
		if n, err := py.ParseInt(key, 10); err == nil {
			k = n
		}
		switch x := v.(type) {
		case *py.Dict:
			nv, ok := x.Lookup(k)
			if !ok {
				nv, ok = x.Lookup(key)
				k = key
			}
			if !ok {
				return nil, 0, usagef("%s: there is no %q", path, key)
			}
			v, pos = nv, x.PosOf(k)
		case *py.List:
			i, ok := k.(int)
			if !ok || i < -x.Len() || i >= x.Len() {
				return nil, 0, usagef("%s: the list has %d elements, no %q", path, x.Len(), key)
			}
			if i < 0 {
				i += x.Len()
			}
			v, pos = x.Items[i], x.PosOf(i)
		default:
			return nil, 0, usagef("%s: a %s has no %q", path, py.TypeName(v), key)
		}
	}
	return v, pos, nil
}

func (a *app) configCheck() *cobra.Command {
	f := &runFlags{}
	var withData bool
	cmd := &cobra.Command{
		Use: "check CONFIG…", Short: "Find mistakes in configs without running anything", Args: words(1, -1, "one config or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := 0
			for _, arg := range args {
				err := a.checkOne(cmd.Context(), f, arg, withData)
				if err == nil {
					fmt.Fprintf(a.env.Stdout, "%s: no mistakes found\n", arg)
					continue
				}
				bad++
				if len(source.Diagnostics(err)) == 0 {
					err = fmt.Errorf("%s: %w", arg, err)
				}
				a.report(err)
			}
			if bad > 0 {
				return silent(ExitUsage)
			}
			return nil
		},
	}
	configFlags(cmd, f)
	cmd.Flags().BoolVar(&withData, "data", false, "read the data too, and hold templates against its columns")
	return cmd
}

func (a *app) checkOne(ctx context.Context, f *runFlags, arg string, withData bool) error {
	c, err := a.loadFile(ctx, f, arg)
	if err != nil {
		return err
	}
	data := c.Data()
	whole(data)
	cfg, err := a.expand(ctx, f, data)
	if err != nil {
		return err
	}
	def := spec.Defaults{MaxNumWorkers: 1, MaxWorkersPerGPU: 1, Retry: 2}
	if cfg.Has("models") && !cfg.Has("datasets") && nearKey(cfg, "datasets") == "" { // models alone
		cfg.Set("datasets", placeholder)
		withData = false
	} else if !cfg.Has("models") && !cfg.Has("datasets") && nearKey(cfg, "models")+nearKey(cfg, "datasets") == "" {
		return nil // a summarizer, a template, …: it loads
	}
	exp, err := decode(a.files, cfg, def)
	if err != nil {
		return err
	}
	errs := append(append(task.Check(exp), task.CheckSecrets(exp)...), run.Check(exp)...)
	if len(errs) > 0 {
		return errs
	}
	ui := a.terminal(false, false)
	ui.SetFiles(a.files)
	co := &run.Coordinator{Exp: exp, Source: a.dataSource(true, ui), Model: a.modelEnv(false, 0, a.logger(f, nil)), Note: ui.Note, Warn: ui.WarnError, Opt: run.Options{Workers: max(a.env.CPUs, 1)}}
	if err := co.CheckModels(ctx, nil); err != nil {
		return err
	}
	for _, d := range run.CheckEval(exp) { // -m infer needs none
		if d.Pos != 0 {
			ui.WarnError(d)
		}
	}
	if !withData { // with data, they come with the warnings about it
		for _, m := range exp.Models {
			if cl, err := model.Classes.Lookup(m.Type); err == nil && cl.Notes != nil {
				for _, d := range cl.Notes(m.Cfg) {
					ui.WarnError(d)
				}
			}
		}
	}
	if withData {
		return co.Prepare(ctx)
	}
	return nil
}

// placeholder stands for the datasets of a file that has models alone.
var placeholder = py.NewList(py.DictOf("type", "JsonlDataset", "abbr", "any dataset", "path", "any",
	"reader_cfg", py.DictOf("input_columns", py.NewList("question"), "output_column", "answer"),
	"infer_cfg", py.DictOf("prompt_template", py.DictOf("type", "PromptTemplate", "template", "{question}"), "retriever", py.DictOf("type", "ZeroRetriever"),
		"inferencer", py.DictOf("type", "GenInferencer"))))

func (a *app) configDump() *cobra.Command {
	f := &runFlags{}
	var out string
	cmd := &cobra.Command{
		Use: "dump CONFIG [-o FILE]", Short: "Write one file without imports that means the same, for OpenCompass too", Args: words(1, 1, "one config"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.loadFile(cmd.Context(), f, args[0])
			if err != nil {
				return err
			}
			data := task.Redact(c.Data(), a.env.Environ()...)
			if task.Redacted(data) {
				a.terminal(false, false).Note("secrets are left out: put them back where REDACTED stands, or name a variable that holds them: '{{$NAME:}}'")
			}
			text := task.Named(pyconf.Dump(data))
			if out == "" || out == "-" {
				_, err = io.WriteString(a.env.Stdout, text)
				return err
			}
			if !filepath.IsAbs(out) {
				out = filepath.Join(a.env.Cwd, out)
			}
			return os.WriteFile(out, []byte(text), 0o666)
		},
	}
	configFlags(cmd, f)
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default: print)")
	return cmd
}

func (a *app) configDiff() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Say how two configs differ in meaning; exit code 1 when they do", Args: words(2, 2, "two configs"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var data [2]*py.Dict
			for i, arg := range args {
				c, err := a.loadFile(cmd.Context(), f, arg)
				if err != nil {
					return err
				}
				data[i] = task.Redact(c.Data())
			}
			var b strings.Builder
			diffValues(&b, "", data[0], data[1])
			if b.Len() == 0 {
				return nil
			}
			if _, err := io.WriteString(a.env.Stdout, b.String()); err != nil {
				return err
			}
			return silent(1)
		},
	}
	configFlags(cmd, f)
	return cmd
}

// diffValues writes one line for each value that differs: its path with - and
// + for the two sides. Elements of lists of dicts are matched by abbr.
func diffValues(b *strings.Builder, path string, x, y py.Value) {
	if py.Equal(x, y) && py.TypeName(x) == py.TypeName(y) {
		return
	}
	switch p := x.(type) {
	case *py.Dict:
		q, ok := y.(*py.Dict)
		if !ok {
			break
		}
		sub := func(k py.Value) string {
			s, isStr := k.(string)
			if !isStr {
				return fmt.Sprintf("%s[%s]", path, py.Repr(k))
			}
			if path == "" {
				return s
			}
			return path + "." + s
		}
		for _, e := range p.Entries() {
			if v, ok := q.Lookup(e.Key); ok {
				diffValues(b, sub(e.Key), e.Val, v)
			} else {
				fmt.Fprintf(b, "- %s = %s\n", sub(e.Key), py.Repr(e.Val))
			}
		}
		for _, e := range q.Entries() {
			if !p.Has(e.Key) {
				fmt.Fprintf(b, "+ %s = %s\n", sub(e.Key), py.Repr(e.Val))
			}
		}
		return
	case *py.List:
		q, ok := y.(*py.List)
		if !ok {
			break
		}
		name := func(v py.Value, i int) string {
			if d, ok := v.(*py.Dict); ok && d.Str("abbr") != "" {
				return fmt.Sprintf("%s[%s]", path, d.Str("abbr"))
			}
			return fmt.Sprintf("%s[%d]", path, i)
		}
		right := map[string]py.Value{}
		for i, v := range q.Items {
			right[name(v, i)] = v
		}
		seen := map[string]bool{}
		for i, v := range p.Items {
			n := name(v, i)
			seen[n] = true
			if w, ok := right[n]; ok {
				diffValues(b, n, v, w)
			} else {
				fmt.Fprintf(b, "- %s = %s\n", n, short(v))
			}
		}
		for i, v := range q.Items {
			if n := name(v, i); !seen[n] {
				fmt.Fprintf(b, "+ %s = %s\n", n, short(v))
			}
		}
		return
	}
	fmt.Fprintf(b, "- %s = %s\n+ %s = %s\n", path, py.Repr(x), path, py.Repr(y))
}

func short(v py.Value) string {
	r := []rune(py.Repr(v))
	if len(r) > 120 {
		return string(r[:117]) + "…"
	}
	return string(r)
}

func (a *app) configCanon() *cobra.Command {
	var root string
	var show bool
	cmd := &cobra.Command{
		Use: "canon --root DIR FILE…", Short: "Print a hash of what each file means, for comparing with the reference loader", Args: cobra.MinimumNArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := root
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(a.env.Cwd, dir)
			}
			w := newLineWriter(a.env.Stdout)
			defer w.Flush()
			// nearly all that loading allocates is garbage soon
			defer debug.SetGCPercent(debug.SetGCPercent(400))
			for _, file := range args {
				files := source.NewSet()
				o := a.loadOptions("")
				o.Dir, o.ConfigDir, o.Catalog, o.Files, o.Notes = dir, "", nil, files, nil
				c, err := pyconf.Load(cmd.Context(), file, o)
				if err != nil {
					fmt.Fprintf(w, "%s\terror:%s\n", file, oneLine(files, err))
					continue
				}
				if show {
					fmt.Fprintf(w, "%s\n", pyconf.Canon(c))
				} else {
					fmt.Fprintf(w, "%s\t%s\n", file, pyconf.CanonHash(c))
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", ".", "folder that holds the package; FILEs are relative to it")
	cmd.Flags().BoolVar(&show, "show", false, "print the canonical form itself")
	return cmd
}

// oneLine is an error as position and message.
func oneLine(files *source.Set, err error) string {
	if ds := source.Diagnostics(err); len(ds) > 0 {
		if p, ok := files.Position(ds[0].Pos); ok {
			return fmt.Sprintf("%s:%d:%d: %s", p.File.Name, p.Line, p.Col, ds[0].Msg)
		}
		return ds[0].Msg
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}
