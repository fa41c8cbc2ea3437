package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"sextant/catalog"
	"sextant/internal/custom"
	"sextant/internal/py"
	"sextant/internal/pyconf"
	"sextant/internal/registry"
	"sextant/internal/run"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/task"
)

// loadOptions is how configs are loaded in this environment.
func (a *app) loadOptions(configDir string) pyconf.Options {
	dir := configDir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.env.Cwd, dir)
	}
	if a.files == nil {
		a.files = source.NewSet()
	}
	if a.cache == nil {
		a.cache = &pyconf.Cache{}
	}
	var onLimit func(int64)
	if a.bounded {
		onLimit = func(heap int64) { debug.SetMemoryLimit(min(heap+heapSlack, userLimit)) }
	}
	return pyconf.Options{
		Dir: a.env.Cwd, ConfigDir: dir, Catalog: catalog.FS(), Env: a.env.LookupEnv, Files: a.files, Now: a.env.Now, Cache: a.cache,
		Notes: noteWriter{a}, OnLimit: onLimit,
	}
}

// noteWriter shows what a config prints.
type noteWriter struct{ a *app }

func (w noteWriter) Write(p []byte) (int, error) {
	for _, l := range strings.Split(strings.TrimRight(string(p), "\n"), "\n") {
		w.a.terminal(false, false).Note("%s", l)
	}
	return len(p), nil
}

// lateGC is the GC percentage of commands that end when they have loaded: the
// first collection is at 256 MB.
const lateGC = 6400

// heapSlack is what a config that is loaded with lateGC may use besides what its
// limits say: stacks, garbage and the runtime.
const heapSlack = 48 << 20

// userLimit is GOMEMLIMIT, which is put back when a config is loaded.
var userLimit = debug.SetMemoryLimit(-1)

// loadExperiment gets the experiment that the command line asks for: a config
// file, or configs by name.
func (a *app) loadExperiment(ctx context.Context, f *runFlags, config string) (*spec.Experiment, error) {
	// Nearly all that loading makes is kept: collecting it early is wasted. What
	// a config makes and drops is bounded all the same (loadOptions).
	defer debug.SetGCPercent(debug.SetGCPercent(lateGC))
	a.bounded = true
	cfg, err := a.loadConfig(ctx, f, config)
	a.bounded = false
	debug.SetMemoryLimit(userLimit) // what comes now is no longer the config's doing
	if err != nil {
		return nil, err
	}
	def := spec.Defaults{MaxNumWorkers: f.MaxNumWorkers, MaxWorkersPerGPU: f.MaxWorkersPerGPU, Retry: f.Retry}
	if f.Slurm {
		def.Runner = "SlurmRunner"
		def.Args = py.NewDict()
		for _, kv := range [][2]string{{"partition", f.Partition}, {"quotatype", f.Quotatype}, {"qos", f.QOS}} {
			if kv[1] != "" {
				def.Args.Set(kv[0], kv[1])
			}
		}
		// OpenCompass merges the two, which leaves keys that no longer fit
		cfg.Delete("infer")
		cfg.Delete("eval")
	} else {
		a.slurmArgs(f, cfg)
	}
	exp, err := decode(a.files, cfg, def)
	if _, rest := unavailable(source.Diagnostics(err), f.DryRun); len(rest) > 0 {
		return nil, rest // what this version lacks is no mistake in a plan
	}
	return exp, err
}

// slurmArgs gives -p, -q and --qos to the Slurm runners that the config has;
// without one they do nothing.
func (a *app) slurmArgs(f *runFlags, cfg *py.Dict) {
	args := [][2]string{{"partition", f.Partition}, {"quotatype", f.Quotatype}, {"qos", f.QOS}}
	given := slices.DeleteFunc(args, func(kv [2]string) bool { return kv[1] == "" })
	found := false
	for _, stage := range []string{"infer", "eval"} {
		r := cfg.Dict(stage).Dict("runner")
		if !strings.HasPrefix(registry.Base(r.Str("type")), "Slurm") {
			continue
		}
		found = true
		for _, kv := range given {
			r.Set(kv[0], kv[1])
		}
	}
	if !found && len(given) > 0 {
		var names []string
		for _, kv := range given {
			names = append(names, "--"+kv[0])
		}
		a.terminal(f.Quiet, f.JSON).Note("%s", noEffect(names, "neither --slurm nor a SlurmRunner in the config"))
	}
}

// decode is spec.Decode; with its mistakes come those that can be found in the
// rest.
func decode(files *source.Set, cfg *py.Dict, def spec.Defaults) (*spec.Experiment, error) {
	exp, err := spec.Decode(files, cfg, def)
	if err == nil {
		return exp, nil
	}
	errs := source.List(source.Diagnostics(err))
	seen := map[source.Pos]bool{}
	for _, d := range errs {
		seen[d.Pos] = true
	}
	for _, d := range append(task.Check(exp), run.Check(exp)...) {
		if d.Pos == 0 || !seen[d.Pos] {
			errs = append(errs, d)
		}
	}
	return nil, errs
}

// whole makes an experiment of a file that defines datasets or models alone,
// for looking at it: lists named …_datasets are taken together, and a base
// model without name stands in for missing models.
func whole(cfg *py.Dict) {
	if !cfg.Has("datasets") {
		l := &py.List{At: cfg.At}
		for _, e := range cfg.Entries() {
			k, _ := e.Key.(string)
			if x, ok := e.Val.(*py.List); ok && strings.HasSuffix(k, "_datasets") {
				for i, it := range x.Items {
					l.Append(it, x.PosOf(i))
				}
			}
		}
		if l.Len() > 0 {
			cfg.Set("datasets", l)
		}
	}
	if cfg.Has("datasets") && !cfg.Has("models") && nearKey(cfg, "models") == "" {
		cfg.Set("models", py.NewList(py.DictOf("type", "HuggingFaceBaseModel", "abbr", "any model", "path", "any")))
	}
}

// nearKey is a key of d that looks like a misspelt want, or "".
func nearKey(d *py.Dict, want string) string {
	for _, e := range d.Entries() {
		if k, ok := e.Key.(string); ok && registry.Nearest(k, []string{want}) != "" {
			return k
		}
	}
	return ""
}

// loadConfig gives the plain data of the config, with keys in the order that
// OpenCompass has after it dumped and reloaded it.
func (a *app) loadConfig(ctx context.Context, f *runFlags, config string) (*py.Dict, error) {
	if config != "" {
		c, err := a.loadFile(ctx, f, config)
		if err != nil {
			return nil, err
		}
		return a.expand(ctx, f, c.DataWithout(f.unplanned(c.Vars.Has("datasets"))))
	}
	cfg, err := a.configFromNames(ctx, f)
	if err != nil {
		return nil, err
	}
	return a.expand(ctx, f, cfg)
}

// unplanned tells the variables that a plan does not need: those that datasets
// were collected from.
func (f *runFlags) unplanned(collected bool) func(name string) bool {
	return func(name string) bool {
		return collected && f.DryRun && !f.ConfigVerbose && strings.HasSuffix(name, "_datasets") && name != "chatml_datasets"
	}
}

// expand makes datasets of descriptions (spec 2.7, 2.8), converts models as -a
// asks (2.6), and sorts keys as OpenCompass's dump does.
func (a *app) expand(ctx context.Context, f *runFlags, cfg *py.Dict) (*py.Dict, error) {
	if err := custom.Expand(ctx, cfg, a.dataSource(f.Offline, nil)); err != nil {
		return nil, err
	}
	if f.Accelerator != "" {
		kept, err := spec.AccelerateAll(cfg, f.Accelerator)
		if err != nil {
			return nil, err
		}
		for _, m := range kept {
			a.terminal(f.Quiet, f.JSON).Warn("-a %s does not convert model %s: it is no Hugging Face class", f.Accelerator, m)
		}
	}
	return pyconf.SortKeys(cfg), nil
}

// loadFile loads a config from disk or, when there is no such file, from the
// catalog.
func (a *app) loadFile(ctx context.Context, f *runFlags, config string) (*pyconf.Config, error) {
	o := a.loadOptions(f.ConfigDir)
	path := config
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.env.Cwd, path)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, &exitError{code: ExitUsage, err: fmt.Errorf("%s is a folder, not a config", config), hint: "name a .py file in it; `sextant list` shows configs by name"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return pyconf.Load(ctx, config, o)
	}
	// eval_demo.py and the like come with the program
	if _, err := fs.Stat(catalog.FS(), filepath.ToSlash(config)); err == nil {
		return pyconf.Load(ctx, "catalog:"+filepath.ToSlash(config), o)
	}
	var near []string
	if es, rerr := os.ReadDir(filepath.Join(a.env.Cwd, filepath.Dir(config))); rerr == nil {
		for _, e := range es {
			if strings.HasSuffix(e.Name(), ".py") {
				near = append(near, filepath.Join(filepath.Dir(config), e.Name()))
			}
		}
	}
	for _, e := range catalog.List() {
		if e.Kind == "" {
			near = append(near, e.Path)
		}
	}
	hint := "`sextant list` shows the configs that come with the program"
	if n := registry.Nearest(config, near); n != "" {
		hint = fmt.Sprintf("did you mean %s?", n)
	}
	return nil, &exitError{code: ExitUsage, err: fmt.Errorf("config %s does not exist", config), hint: hint}
}

// configFromNames builds a config of --models, --datasets, --summarizer and
// the like (spec 2.2).
func (a *app) configFromNames(ctx context.Context, f *runFlags) (*py.Dict, error) {
	cfg := py.NewDict()
	models, err := a.modelsByName(ctx, f)
	if err != nil {
		return nil, err
	}
	datasets, err := a.datasetsByName(ctx, f)
	if err != nil {
		return nil, err
	}
	cfg.Set("models", models)
	cfg.Set("datasets", datasets)
	s, err := a.summarizerByName(ctx, f)
	if err != nil {
		return nil, err
	}
	if s != nil {
		cfg.Set("summarizer", s)
	}
	return cfg, nil
}

func (a *app) loadNamed(ctx context.Context, f *runFlags, kind, word string) (*pyconf.Config, namedFile, error) {
	file, others, err := pickName(nameRoots(a.env.Cwd, f.ConfigDir, kind), kind, word)
	if err != nil {
		return nil, file, err
	}
	ui := a.terminal(f.Quiet, f.JSON)
	if len(others) > 0 {
		var s []string
		for i, o := range others {
			if i == 3 {
				s = append(s, fmt.Sprintf("and %d more", len(others)-i))
				break
			}
			s = append(s, o.Stem)
		}
		ui.Warn("%q is ambiguous; using %s, not %s", word, file.Stem, strings.Join(s, ", "))
	}
	o := a.loadOptions(f.ConfigDir)
	path := file.Path
	if !file.Disk {
		path = "catalog:" + path
	} else {
		path = a.rel(path)
	}
	c, err := pyconf.Load(ctx, path, o)
	return c, file, err
}

func (a *app) modelsByName(ctx context.Context, f *runFlags) (*py.List, error) {
	out := py.NewList()
	if len(f.Models) == 0 {
		if f.HFPath == "" {
			return nil, usagef("nothing to run: name a config, or models with --models or --hf-path")
		}
		m, err := f.hfModel()
		if err != nil {
			return nil, err
		}
		out.Append(m, 0)
		return out, nil
	}
	for _, w := range f.Models {
		c, file, err := a.loadNamed(ctx, f, "models", w)
		if err != nil {
			return nil, err
		}
		l, ok := c.Data().Get("models").(*py.List)
		if !ok {
			return nil, usagef("model config %s defines no list `models`", a.shown(file))
		}
		for i, m := range l.Items {
			out.Append(m, l.PosOf(i))
		}
	}
	return out, nil
}

func (a *app) datasetsByName(ctx context.Context, f *runFlags) (*py.List, error) {
	out := py.NewList()
	if len(f.Datasets) == 0 {
		if f.CustomPath == "" {
			return nil, usagef("nothing to run: name datasets with --datasets or --custom-dataset-path")
		}
		out.Append(f.customDataset(), 0)
	}
	for _, w := range f.Datasets {
		name, suffix, ok := strings.Cut(w, "/")
		if !ok {
			suffix = "_datasets"
		}
		c, file, err := a.loadNamed(ctx, f, "datasets", name)
		if err != nil {
			return nil, err
		}
		found := false
		var near []string
		for _, e := range c.Data().Entries() {
			k, _ := e.Key.(string)
			l, isList := e.Val.(*py.List)
			if isList {
				near = append(near, k)
			}
			if !isList || !strings.HasSuffix(k, suffix) {
				continue
			}
			found = true
			for i, d := range l.Items {
				out.Append(d, l.PosOf(i))
			}
		}
		if !found {
			hint := ""
			if len(near) > 0 {
				hint = "its lists are " + strings.Join(near, ", ") + "; the end of one can stand behind a slash: " + name + "/" + near[0]
			}
			return nil, &exitError{code: ExitUsage, err: fmt.Errorf("dataset config %s defines no list whose name ends in %q", a.shown(file), suffix), hint: hint}
		}
	}
	if f.DatasetNumRuns > 1 {
		for i, d := range out.Items {
			m, ok := d.(*py.Dict)
			if !ok {
				continue
			}
			m = m.Copy()
			m.Set("n", f.DatasetNumRuns)
			m.Set("k", f.DatasetNumRuns)
			out.Items[i] = m
		}
	}
	return out, nil
}

func (a *app) summarizerByName(ctx context.Context, f *runFlags) (*py.Dict, error) {
	word := f.Summarizer
	if word == "" {
		word = "example"
	}
	name, key, ok := strings.Cut(word, "/")
	if !ok {
		key = "summarizer"
	}
	c, file, err := a.loadNamed(ctx, f, "summarizers", name)
	if err != nil {
		return nil, err
	}
	s, ok := c.Data().Get(key).(*py.Dict)
	if !ok {
		return nil, usagef("summarizer config %s defines no dict %q", a.shown(file), key)
	}
	return s, nil
}

// shown is a config found by name as a user would write its path.
func (a *app) shown(f namedFile) string {
	if f.Disk {
		return a.rel(f.Path)
	}
	return f.String()
}
