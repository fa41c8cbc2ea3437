package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sextant/internal/registry"
)

// oneConfig takes at most one word.
func oneConfig(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &exitError{code: ExitUsage, err: fmt.Errorf("one config at a time: %s", strings.Join(args, ", ")), hint: "`" + cmd.CommandPath() + " --help` shows how the command is used"}
	}
	return nil
}

// unknownCommand says which commands there are.
func unknownCommand(root *cobra.Command, word string) error {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	path := root.CommandPath()
	e := &exitError{code: ExitUsage, err: fmt.Errorf("unknown command %q", strings.TrimPrefix(path+" "+word, "sextant ")), hint: "`" + path + " --help` lists the commands"}
	if !root.HasParent() {
		e.hint += "; a config's name ends in .py"
	}
	if n := registry.Nearest(word, names); n != "" {
		e.hint = fmt.Sprintf("did you mean `%s %s`? (%s)", path, n, e.hint)
	}
	return e
}

// flagError words what pflag has against a command line.
func flagError(c *cobra.Command, err error) error {
	e := &exitError{code: ExitUsage, err: err, hint: "`" + c.CommandPath() + " --help` lists the options"}
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		dash := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dash = "-"
		}
		e.err = fmt.Errorf("unknown option %s%s", dash, name)
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if n := registry.Nearest(name, names); n != "" && dash == "--" {
			e.hint = fmt.Sprintf("did you mean --%s? (%s)", n, e.hint)
		}
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		what := "a valid value"
		switch {
		case strings.HasPrefix(f.Value.Type(), "int"):
			what = "a whole number"
		case f.Value.Type() == "bool":
			what = "no value, or true or false"
		}
		e.err = fmt.Errorf("option --%s takes %s, not %q", f.Name, what, invalid.GetValue())
	}
	return e
}

// words wants between least and most words (most < 0: any number), which what
// describes.
func words(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		given := "none is given"
		if len(args) > 0 {
			given = "given is " + strings.Join(args, ", ")
		}
		return &exitError{code: ExitUsage, err: fmt.Errorf("`%s` takes %s; %s", cmd.CommandPath(), what, given), hint: "`" + cmd.CommandPath() + " --help` shows how the command is used"}
	}
}
