package slurm

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/source"
)

func init() {
	runner.Classes.Register(runner.Class{New: fromClass(false), Elsewhere: true}, "SlurmRunner")
	runner.Classes.Register(runner.Class{New: fromClass(true), Elsewhere: true}, "SlurmSequentialRunner")
}

func fromClass(sequential bool) func(*py.Dict, runner.Env) (runner.Runner, []string, error) {
	return func(cfg *py.Dict, env runner.Env) (runner.Runner, []string, error) {
		o := Options{Command: env.Command, Environ: env.Environ, Dir: env.Dir, Log: env.Log, Sequential: sequential}
		notes, err := FromConfig(cfg, &o)
		if err != nil {
			return nil, nil, err
		}
		if env.InProcess != nil {
			notes = append(notes, "--debug: tasks of a Slurm runner still run in Slurm; name LocalRunner to have them in this process")
		}
		return New(o), notes, nil
	}
}

// key is one argument that a config may give the runner.
type key struct {
	name string
	set  func(o *Options, v py.Value, pos source.Pos) error
}

// keys are the arguments: those of OpenCompass first, then ours. type, task,
// debug and lark_bot_url belong to the stage.
var keys = []key{
	{"max_num_workers", positive("max_num_workers", func(o *Options) *int { return &o.MaxNumWorkers })},
	{"retry", func(_ *Options, v py.Value, pos source.Pos) error { // the coordinator reads it
		if n, ok := v.(int); !ok || n < 0 {
			return source.Errorf(pos, "retry must be a number from 0 on, not %s", py.Repr(v))
		}
		return nil
	}},
	{"partition", text("partition", "partition")},
	{"quotatype", text("quotatype", "quotatype")},
	{"qos", text("qos", "qos")},
	{"extra_command", extraCommand},
	{"task_prefix", func(o *Options, v py.Value, pos source.Pos) error { return line(&o.Prefix, "task_prefix", v, pos) }},
	{"keep_tmp_file", boolean("keep_tmp_file", func(o *Options) *bool { return &o.Keep })},
	{"account", text("account", "account")},
	{"reservation", text("reservation", "reservation")},
	{"constraint", text("constraint", "constraint")},
	{"nodelist", text("nodelist", "nodelist")},
	{"exclude", text("exclude", "exclude")},
	{"time", numberOr("time", "time", "minutes")},
	{"mem", numberOr("mem", "mem", "megabytes")},
	{"gres", func(o *Options, v py.Value, pos source.Pos) error {
		o.pos("gres", pos)
		return line(&o.Gres, "gres", v, pos)
	}},
	{"cpus_per_task", func(o *Options, v py.Value, pos source.Pos) error {
		o.pos("cpus_per_task", pos)
		return positive("cpus_per_task", func(o *Options) *int { return &o.CPUsPerTask })(o, v, pos)
	}},
	{"tasks_per_job", func(o *Options, v py.Value, pos source.Pos) error {
		if v == "auto" {
			o.TasksPerJob = Auto
			return nil
		}
		if n, ok := v.(int); !ok || n < 1 {
			return source.Errorf(pos, "tasks_per_job must be a number from 1 on or 'auto', not %s", py.Repr(v))
		}
		o.TasksPerJob = v.(int)
		return nil
	}},
	{"env_setup", lines("env_setup", func(o *Options) *[]string { return &o.Setup })},
	{"pre_command", lines("pre_command", func(o *Options) *[]string { return &o.Setup })},
	{"export_env", func(o *Options, v py.Value, pos source.Pos) error {
		names, err := stringsOf("export_env", v, pos)
		if err != nil {
			return err
		}
		for _, n := range names {
			if n == "" || strings.ContainsAny(n, "= \n,") {
				return source.Errorf(pos, "export_env names variables, and %s is no name", py.Repr(n))
			}
		}
		o.Export = append(o.Export, names...)
		return nil
	}},
	{"cancel_on_interrupt", boolean("cancel_on_interrupt", func(o *Options) *bool { return &o.CancelOnInterrupt })},
}

// FromConfig reads the runner dict of a stage. Errors are diagnostics about
// cfg, all of them at once; notes name keys that it does not know.
func FromConfig(cfg *py.Dict, o *Options) (notes []string, err error) {
	var errs source.List
	byName := map[string]key{}
	var names []string
	for _, k := range keys {
		byName[k.name] = k
		names = append(names, k.name)
	}
	for _, e := range cfg.Entries() {
		name, _ := e.Key.(string)
		switch name {
		case "type", "task", "debug", "lark_bot_url":
			continue
		}
		k, ok := byName[name]
		if !ok {
			n := fmt.Sprintf("ignored argument of %s: %s=%s", class(o), name, py.Repr(e.Val))
			if near := registry.Nearest(name, names); near != "" {
				n += fmt.Sprintf(" (did you mean %s?)", near)
			}
			notes = append(notes, n)
			continue
		}
		if e.Val == nil { // OpenCompass writes None for "not given"
			continue
		}
		pos := e.Pos
		if pos == 0 {
			pos = cfg.PosOf(name)
		}
		if err := k.set(o, e.Val, pos); err != nil {
			errs = append(errs, source.Diagnostics(err)...)
		}
	}
	if q := o.value("quotatype"); o.Sequential && (q == "spot" || q == "auto") {
		notes = append(notes, fmt.Sprintf("quotatype %s may stop jobs at any time: they are put back into the queue and go on where they were", q))
	}
	if len(errs) > 0 {
		return notes, errs
	}
	return notes, nil
}

func class(o *Options) string {
	if o.Sequential {
		return "SlurmSequentialRunner"
	}
	return "SlurmRunner"
}

func positive(name string, at func(*Options) *int) func(*Options, py.Value, source.Pos) error {
	return func(o *Options, v py.Value, pos source.Pos) error {
		n, ok := v.(int)
		if !ok || n < 1 {
			return source.Errorf(pos, "%s must be a number from 1 on, not %s", name, py.Repr(v))
		}
		*at(o) = n
		return nil
	}
}

func boolean(name string, at func(*Options) *bool) func(*Options, py.Value, source.Pos) error {
	return func(o *Options, v py.Value, pos source.Pos) error {
		b, ok := v.(bool)
		if !ok {
			return source.Errorf(pos, "%s must be True or False, not %s", name, py.Repr(v))
		}
		*at(o) = b
		return nil
	}
}

// line takes a string without line breaks.
func line(to *string, name string, v py.Value, pos source.Pos) error {
	s, ok := v.(string)
	if !ok {
		return source.Errorf(pos, "%s must be a string, not %s", name, py.TypeName(v))
	}
	if strings.ContainsAny(s, "\n\r\x00") {
		return source.Errorf(pos, "%s must be one line", name)
	}
	*to = s
	return nil
}

// text is an option of sbatch that takes a string.
func text(name, flag string) func(*Options, py.Value, source.Pos) error {
	return func(o *Options, v py.Value, pos source.Pos) error {
		var s string
		if err := line(&s, name, v, pos); err != nil {
			return err
		}
		if s != "" {
			o.Flags = append(o.Flags, Flag{flag, s})
			o.pos(flag, pos)
		}
		return nil
	}
}

func numberOr(name, flag, unit string) func(*Options, py.Value, source.Pos) error {
	return func(o *Options, v py.Value, pos source.Pos) error {
		if n, ok := v.(int); ok {
			if n < 0 {
				return source.Errorf(pos, "%s must not be negative", name)
			}
			v = fmt.Sprint(n)
		}
		if _, ok := v.(string); !ok {
			return source.Errorf(pos, "%s must be a string as sbatch has it, or a number of %s, not %s", name, unit, py.TypeName(v))
		}
		return text(name, flag)(o, v, pos)
	}
}

func stringsOf(name string, v py.Value, pos source.Pos) ([]string, error) {
	var items []py.Value
	switch x := v.(type) {
	case string:
		items = []py.Value{x}
	case *py.List:
		items = x.Items
	case *py.Tuple:
		items = x.Items
	default:
		return nil, source.Errorf(pos, "%s must be a string or a list of strings, not %s", name, py.TypeName(v))
	}
	var out []string
	for _, it := range items {
		s, ok := it.(string)
		if !ok {
			return nil, source.Errorf(pos, "%s must hold strings, not %s", name, py.TypeName(it))
		}
		out = append(out, s)
	}
	return out, nil
}

func lines(name string, at func(*Options) *[]string) func(*Options, py.Value, source.Pos) error {
	return func(o *Options, v py.Value, pos source.Pos) error {
		l, err := stringsOf(name, v, pos)
		if err != nil {
			return err
		}
		for _, s := range l {
			if strings.ContainsRune(s, 0) {
				return source.Errorf(pos, "%s holds a NUL character", name)
			}
		}
		*at(o) = append(*at(o), l...)
		return nil
	}
}

// reserved are the options of sbatch that the runner itself gives.
var reserved = []string{"--array", "--output", "--error", "--wrap", "--export", "--export-file", "--job-name", "--chdir", "--wait", "--parsable", "--test-only",
	"--open-mode", "--input", "-a", "-o", "-e", "-J", "-D", "-W", "-i"}

func extraCommand(o *Options, v py.Value, pos source.Pos) error {
	l, err := stringsOf("extra_command", v, pos)
	if err != nil {
		return err
	}
	for _, s := range l {
		words, err := split(s)
		if err != nil {
			return source.Errorf(pos, "extra_command %s: %v", py.Repr(s), err)
		}
		for _, w := range words {
			name, _, _ := strings.Cut(w, "=")
			if slices.Contains(reserved, name) {
				return source.Errorf(pos, "extra_command may not give %s, which the runner needs itself", name)
			}
		}
		o.Extra = append(o.Extra, words...)
	}
	o.pos("extra_command", pos)
	return nil
}

// split cuts a text into words as a shell does, quotes and backslashes
// included; nothing is expanded.
func split(s string) ([]string, error) {
	var out []string
	var cur strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\n':
			if in {
				out = append(out, cur.String())
				cur.Reset()
				in = false
			}
		case '\'', '"':
			in = true
			for i++; ; i++ {
				if i >= len(s) {
					return nil, fmt.Errorf("a quote is not closed")
				}
				if s[i] == c {
					break
				}
				if c == '"' && s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
					i++
				}
				cur.WriteByte(s[i])
			}
		case '\\':
			if i+1 >= len(s) {
				return nil, fmt.Errorf("it ends in a backslash")
			}
			in = true
			i++
			cur.WriteByte(s[i])
		case 0:
			return nil, fmt.Errorf("it holds a NUL character")
		default:
			in = true
			cur.WriteByte(c)
		}
	}
	if in {
		out = append(out, cur.String())
	}
	return out, nil
}

// passed are the variables of the coordinator that workers get, besides those
// of task.Options.Env and export_env. A name that ends in * is a beginning.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_*", "MODULEPATH", "MODULESHOME",
	"HF_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "COMPASS_*", "DATASET_SOURCE", "TORCH_HOME", "SEXTANT_*", "OPENAI_*", "ANTHROPIC_*", "GEMINI_*", "GOOGLE_*", "VLLM_*", "NCCL_*",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_*", "CUDA_HOME",
	"OMP_NUM_THREADS", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "GOCOVERDIR", "SLURM_CONF", "SLURM_CLUSTERS",
	"SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION", "SBATCH_TIMELIMIT", // the user's own defaults for sbatch
}

// environ selects from a whole environment what workers get.
func environ(all []string, more []string) []string {
	var out []string
	seen := map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- { // the last of a name counts
		name, _, ok := strings.Cut(all[i], "=")
		if !ok || seen[name] || !matches(name, passed) && !slices.Contains(more, name) {
			continue
		}
		seen[name] = true
		out = append(out, all[i])
	}
	sort.Strings(out)
	return out
}

func matches(name string, patterns []string) bool {
	for _, p := range patterns {
		if pre, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(name, pre) || name == p {
			return true
		}
	}
	return false
}
