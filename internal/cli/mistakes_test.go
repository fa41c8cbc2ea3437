package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// TestMistakes holds the whole text of each mistake that testdata/mistakes
// shows against what the program says. A file is one mistake: the comment says
// what it is, then "$ sextant …" the command line; files of the folder follow,
// and stderr. "exit 0" under the command marks what is only warned of. None of them gets as far as asking a model.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 60 {
		t.Errorf("%d mistakes, at least 60 are wanted", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			want := -1
			for i, f := range ar.Files {
				if f.Name == "stderr" {
					want = i
					continue
				}
				p := filepath.Join(dir, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, f.Data, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			_, cmd, ok := strings.Cut(string(ar.Comment), "$ sextant ")
			if !ok || want < 0 {
				t.Fatal("the file has no line `$ sextant …` or no stderr")
			}
			wantCode := ExitUsage
			if c, n, ok := strings.Cut(cmd, "\nexit "); ok {
				cmd = c
				if wantCode, err = strconv.Atoi(strings.TrimSpace(n)); err != nil {
					t.Fatal(err)
				}
			}
			code, out, stderr := inProcess(dir, strings.Fields(cmd)...)
			if code != wantCode {
				t.Errorf("exit code %d, want %d", code, wantCode)
			}
			got := []byte(strings.ReplaceAll(stderr, dir, "$WORK"))
			if out != "" && wantCode != ExitOK {
				t.Errorf("stdout: %s", out)
			}
			if bytes.Equal(got, ar.Files[want].Data) {
				return
			}
			if *update {
				ar.Files[want].Data = got
				if err := os.WriteFile(file, txtar.Format(ar), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("got\n%s\nwant\n%s", got, ar.Files[want].Data)
		})
	}
}

// inProcess runs a command in this process, in dir, with nothing else around.
func inProcess(dir string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(&Env{
		Args: args, Getenv: func(string) string { return "" }, LookupEnv: func(string) (string, bool) { return "", false },
		Environ: func() []string { return nil }, Cwd: dir, HomeDir: filepath.Join(dir, "home"), Stdout: &out, Stderr: &errs,
		Now: func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) }, Executable: "/nonexistent", Host: "host", Pid: 1, CPUs: 1,
		Ctx: context.Background(),
	})
	return code, out.String(), errs.String()
}
