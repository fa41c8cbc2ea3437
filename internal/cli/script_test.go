package cli

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sextant/internal/model/engine"
	"sextant/internal/sharedtest"
)

var update = flag.Bool("update", false, "rewrite the expected output in scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sextant": func() { os.Exit(Main(OS())) },
	})
}

// TestScripts runs testdata/script/*.txtar: the command line as users meet it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("TZ", "UTC")
			e.Setenv("TERM", "dumb")
			if d := sharedtest.Root(); d != "" {
				e.Setenv("SHARED", d)
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "engine":
				return engine.Built, nil
			case "shared":
				return sharedtest.Root() != "", nil
			case "root":
				return os.Getuid() == 0, nil
			}
			return false, nil
		},
	})
}
