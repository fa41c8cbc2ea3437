package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"sextant/internal/py"
	"sextant/internal/run"
	"sextant/internal/source"
	"sextant/internal/spec"
	"sextant/internal/station"
	"sextant/internal/term"
)

// station is the results station that -sp or the config's station_path names;
// nil for none.
func (a *app) station(f *runFlags, exp *spec.Experiment) (*station.Station, error) {
	path := f.StationPath
	if path == "" {
		switch v := exp.Config.Get("station_path").(type) {
		case nil:
		case string:
			path = v
		default:
			return nil, source.Errorf(exp.Config.PosOf("station_path"), "station_path must be the path of a folder, not %s", py.TypeName(v))
		}
	}
	if path == "" {
		if f.ReadFromStation {
			return nil, &exitError{code: ExitUsage, err: fmt.Errorf("--read-from-station needs to know where the station is"),
				hint: "name its folder with -sp DIR, or with station_path in the config"}
		}
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.env.Cwd, path)
	}
	return &station.Station{Root: path}, nil
}

// readStation is --read-from-station.
func (a *app) readStation(ctx context.Context, c *run.Coordinator, f *runFlags, s *station.Station, ui *term.UI) error {
	if !f.ReadFromStation {
		return nil
	}
	found, of, err := c.ReadStation(ctx, *s)
	if err != nil {
		return err
	}
	ui.Note("station %s: has %d of %d results", a.rel(s.Root), found, of)
	return nil
}

// saveStation puts the results into the station, if there is one. It is no
// reason not to show them when that fails, only to say so.
func (a *app) saveStation(ctx context.Context, c *run.Coordinator, f *runFlags, s *station.Station, ui *term.UI) error {
	if s == nil {
		return nil
	}
	if f.Mode == "infer" {
		ui.Note("station %s: nothing is saved with -m infer, there are no results", a.rel(s.Root))
		return nil
	}
	got, err := c.SaveStation(ctx, *s, f.StationOverwrite)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("station %s: %d results saved", a.rel(s.Root), got.New)
	if got.Kept > 0 {
		text += fmt.Sprintf(", %d there already and kept (--station-overwrite replaces them)", got.Kept)
	}
	ui.Note("%s", text)
	if len(got.Without) > 0 && f.Mode != "viz" {
		ui.Warn("not saved in the station, without a result: %s", strings.Join(got.Without, ", "))
	}
	return nil
}
