package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sextant/internal/registry"
)

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
