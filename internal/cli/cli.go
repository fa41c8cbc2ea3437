package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/pyconf"
	"sextant/internal/source"
	"sextant/internal/term"
)

// Main runs one command and returns the exit code.
func Main(env *Env) int {
	a := &app{env: env}
	root := a.root()
	args, err := a.args(root)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(env.Ctx)
	}
	code := a.report(err)
	if a.ui != nil {
		a.ui.Close()
	}
	return code
}

type app struct {
	env *Env
	ui  *term.UI
	// files resolves positions of diagnostics; set when a config is loaded.
	files *source.Set
	cache *pyconf.Cache
	// bounded says that the memory of the process is bounded while configs load.
	bounded bool
}

// args brings the command line into the form that cobra reads: a config or an
// option in front means `run`, and options are spelt as argparse has them.
func (a *app) args(root *cobra.Command) ([]string, error) {
	args := a.env.Args
	if len(args) == 0 {
		return args, nil
	}
	switch args[0] {
	case "-h", "--help", "help", "--version", "completion", "__complete", "__completeNoDesc":
		return args, nil
	}
	cmd, rest := root, args
	for len(rest) > 0 {
		sub := child(cmd, rest[0])
		if sub == nil {
			break
		}
		cmd, rest = sub, rest[1:]
	}
	if cmd == root {
		blank := strings.TrimSpace(args[0]) == "" // as good as no config: OpenCompass, too
		if !blank && !strings.HasPrefix(args[0], "-") && !strings.ContainsAny(args[0], "./\\") {
			// one word that is neither a command nor a path
			return nil, unknownCommand(root, args[0])
		}
		cmd, rest = child(root, "run"), args
		args = append([]string{"run"}, args...)
	}
	flags, shorts := arities(cmd.Flags())
	flags["help"] = arityNone
	norm, err := normalize(rest, flags, shorts)
	if err != nil {
		return nil, &exitError{code: ExitUsage, err: err, hint: "`" + cmd.CommandPath() + " --help` lists the options"}
	}
	return append(append([]string{}, args[:len(args)-len(rest)]...), norm...), nil
}

func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sextant [CONFIG.py] [options]",
		Short: "Say how good a language model is",
		Long: `Sextant says how good a language model is: it runs models against benchmarks,
scores the answers and shows the result with its evidence. It reads the config
files of OpenCompass as they are.

  sextant eval_demo.py               run a config (the same as: sextant run eval_demo.py)
  sextant --models opt_demo --datasets siqa_ppl
                                     the same by names, without a config
  sextant eval.py -r                 go on with the last run of this config
  sextant list datasets siqa         what there is

Exit codes:
` + exitHelp(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Version:           Version(),
	}
	root.SetVersionTemplate("sextant {{.Version}}\n")
	root.SetOut(a.env.Stdout)
	root.SetErr(a.env.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.runCmd(), a.workerCmd(), a.listCmd(), a.configCmd(), a.promptCmd(), a.statusCmd(), a.cancelCmd(), a.logsCmd(), a.versionCmd())
	root.SetHelpCommand(helpCmd())
	plainUsage(root)
	return root
}

// helpCmd is `sextant help`; a word that is no command is a mistake there, too.
func helpCmd() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command", DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			of := cmd.Root()
			for _, word := range args {
				sub := child(of, word)
				if sub == nil {
					return unknownCommand(of, word)
				}
				of = sub
			}
			return of.Help()
		},
	}
}

// plainUsage makes all usage lines say [options], once.
func plainUsage(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	if cmd.HasLocalFlags() && !strings.Contains(cmd.Use, "[options]") {
		cmd.Use += " [options]"
	}
	for _, c := range cmd.Commands() {
		plainUsage(c)
	}
}

func exitHelp() string {
	var b strings.Builder
	for _, e := range exitTable {
		fmt.Fprintf(&b, "  %3d  %s\n", e.code, e.text)
	}
	return strings.TrimRight(b.String(), "\n")
}

// report says what went wrong, if anything did, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return ExitOK
	}
	var e *exitError
	code := ExitFailure
	if errors.As(err, &e) {
		code = e.code
		if e.err == errSilent {
			return code
		}
	} else if strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "accepts ") || strings.HasPrefix(err.Error(), "requires at least") {
		code = ExitUsage // cobra's own words
	}
	if ds := source.Diagnostics(err); len(ds) > 0 {
		if e == nil {
			code = ExitUsage
		}
		ui := a.terminal(false, false)
		ui.SetFiles(a.files)
		ui.Error(err)
		return code
	}
	w := a.env.Stderr
	fmt.Fprintf(w, "error: %s\n", strings.TrimSpace(err.Error()))
	hint := ""
	var h interface{ Hint() string }
	if e != nil && e.hint != "" {
		hint = e.hint
	} else if errors.As(err, &h) {
		hint = h.Hint()
	}
	if hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", hint)
	}
	return code
}

// errSilent ends a command whose failure was told already.
var errSilent = errors.New("told already")

func silent(code int) error { return &exitError{code: code, err: errSilent} }

// terminal is the one owner of the terminal, made on first use.
func (a *app) terminal(quiet, json bool) *term.UI {
	if a.ui == nil {
		e := a.env
		a.ui = term.New(term.Options{
			Out: e.Stdout, Err: e.Stderr, OutTTY: e.StdoutTTY, ErrTTY: e.StderrTTY,
			Width:   func() int { return e.Width },
			NoColor: e.Getenv("NO_COLOR") != "", Dumb: e.Getenv("TERM") == "dumb", CI: e.Getenv("CI") != "",
			Quiet: quiet, JSON: json, Now: e.Now, Files: a.files,
		})
	}
	return a.ui
}

// Version is the version of this program: that of its module, or the commit it
// was built from.
func Version() string {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, rev, dirty := bi.Main.Version, "", ""
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	if len(rev) >= 12 && !strings.Contains(v, rev[:12]) {
		v += " " + rev[:12] + dirty
	}
	return v
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and how the program was built", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(a.env.Stdout, "sextant "+Version()+"\n"+engineInfo()+"\n")
			return err
		},
	}
}

// newLineWriter buffers output of many short lines.
func newLineWriter(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 1<<16) }
