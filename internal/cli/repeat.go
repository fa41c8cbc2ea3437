package cli

import (
	"context"

	"sextant/internal/run"
	"sextant/internal/summary"
	"sextant/internal/term"
)

// repetitions is --analysis-repeat: it shows the overview below the tables.
// The scores are out already: when it fails, that changes the exit code and
// nothing else.
func (a *app) repetitions(ctx context.Context, c *run.Coordinator, ui *term.UI, code int) (int, error) {
	if ctx.Err() != nil {
		return code, a.ended(ctx, c, ctx.Err())
	}
	r, err := c.AnalyzeRepeat(ctx, a.env.Now())
	if err != nil {
		ui.Error(err)
		return ExitFailure, nil
	}
	ui.Print("\nrepetitions:\n" + summary.Simple(r.Table) + "\n")
	ui.Note("repetitions: %s", a.rel(r.Path))
	return code, nil
}
