package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) listCmd() *cobra.Command {
	var configDir string
	cmd := &cobra.Command{
		Use:   "list [models|datasets|summarizers] [PATTERN…]",
		Short: "List configs by name: your own, a checkout's, the catalog's",
		Long: `List the configs that --models, --datasets and --summarizer find, in the order
in which they are found. PATTERN is part of a name, or has * and ?.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds := []string{"models", "datasets", "summarizers"}
			if len(args) > 0 {
				for _, k := range kinds {
					if args[0] == k || args[0] == strings.TrimSuffix(k, "s") {
						kinds, args = []string{k}, args[1:]
						break
					}
				}
			}
			var b strings.Builder
			found := false
			for _, kind := range kinds {
				hits := findNames(nameRoots(a.env.Cwd, configDir, kind), "*")
				hits = slices.DeleteFunc(hits, func(f namedFile) bool { return !anyPattern(f.Stem, args) })
				if len(hits) == 0 {
					continue
				}
				found = true
				w := 0
				for _, h := range hits {
					w = max(w, len(h.Stem))
				}
				fmt.Fprintf(&b, "%s\n", kind)
				for _, h := range hits {
					p := h.String()
					if h.Disk {
						p = a.rel(h.Path)
					}
					fmt.Fprintf(&b, "  %-*s  %s\n", w, h.Stem, p)
				}
			}
			if !found {
				return &exitError{code: ExitUsage, err: fmt.Errorf("no config matches %s", strings.Join(args, ", ")), hint: "`sextant list` shows all"}
			}
			_, err := fmt.Fprint(a.env.Stdout, b.String())
			return err
		},
	}
	cmd.Flags().StringVar(&configDir, "config-dir", "configs", "folder of your own configs")
	return cmd
}

func anyPattern(stem string, pats []string) bool {
	if len(pats) == 0 {
		return true
	}
	s := strings.ToLower(stem)
	for _, p := range pats {
		p = strings.ToLower(strings.TrimSuffix(p, ".py"))
		if !strings.ContainsAny(p, "*?[") {
			p = "*" + p + "*"
		}
		if fnmatch(p, s) {
			return true
		}
	}
	return false
}
