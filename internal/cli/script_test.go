package cli

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sextant/internal/model/engine"
	"sextant/internal/sharedtest"
)

var update = flag.Bool("update", false, "rewrite the expected output in scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sextant": func() {
			env := OS()
			env.PostLimit = 5 * time.Minute // whoever answers is busy with other tests, too
			os.Exit(Main(env))
		},
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"webhook": webhook},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "engine":
				return engine.Built, nil
			case "shared":
				return sharedtest.Root() != "", nil
			case "root":
				return os.Getuid() == 0, nil
			case "tmpfs":
				return mounts(t), nil
			}
			return false, nil
		},
	})
}

// mounts reports whether this process may mount a small file system; root in a
// container often may not.
func mounts(t *testing.T) bool {
	dir := t.TempDir()
	if exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).Run() != nil {
		return false
	}
	if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	return true
}

// webhook FILE [STATUS] serves a webhook: its address, which holds a token, is
// in $WEBHOOK, and every message that it gets is a line of FILE.
func webhook(ts *testscript.TestScript, _ bool, args []string) {
	file, status := ts.MkAbs(args[0]), http.StatusOK
	if len(args) > 1 {
		status = http.StatusForbidden
	}
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a short body is a line that does not match
		mu.Lock()
		defer mu.Unlock()
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err == nil {
			_, err = f.Write(append([]byte(r.Method+" "), body...))
			_ = f.Close()
		}
		if err != nil {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
	}))
	ts.Defer(s.Close)
	ts.Setenv("WEBHOOK", s.URL+"/open-apis/bot/v2/hook/5ecret-t0ken-0123456789")
}
