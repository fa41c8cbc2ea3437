package slurm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
	"sextant/internal/source"
	"sextant/internal/store"
	"sextant/internal/task"
)

// command makes one of Slurm's commands of shell lines: the folder is the
// current one, and $n is the number of this call, from 1.
func command(t *testing.T, bin, name, body string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\ncd %q || exit 9\necho x >>%s.calls\nn=$(wc -l <%[2]s.calls)\n%[3]s\n", bin, name, body)
	// A process that another test starts meanwhile would hold the file open
	// for writing until it executes its own program: "text file busy".
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// A controller that is being restarted makes scontrol exit without a word and
// sbatch say that it cannot reach it. Both are asked again; a refusal is not.
func TestControllerRestarts(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	command := func(name, body string) { t.Helper(); command(t, bin, name, body) }
	command("scontrol", `[ "$n" -lt 3 ] && exit 1; echo "MaxArraySize = 7"`)
	command("sbatch", `[ "$n" -lt 2 ] && { echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2; exit 1; }
echo "sbatch: error: invalid account specified: nobody" >&2; exit 1`)
	command("squeue", `exit 0`)
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	o := testOptions(runnertest.Setup{Workers: 1, Command: []string{"x"}, Environ: os.Environ()})
	o.Poll = time.Millisecond
	r := New(o)
	r.c.path = bin
	var notes []string
	sink := event.Func(func(e event.Event) {
		if e.Kind == event.Note {
			notes = append(notes, e.Text)
		}
	})
	_, err = r.Run(context.Background(), &runner.Stage{Name: task.Infer, Run: run, Epoch: 1, Tasks: parts(9, 0)}, sink)
	var d *source.Diagnostic
	if d, _ = err.(*source.Diagnostic); d == nil || !strings.Contains(d.Msg, "invalid account specified: nobody") {
		t.Errorf("%v", err)
	}
	for name, want := range map[string]int{"scontrol": 3, "sbatch": 2, "squeue": 1} {
		b, err := os.ReadFile(filepath.Join(bin, name+".calls"))
		if n := strings.Count(string(b), "x"); err != nil || n != want {
			t.Errorf("%s was called %d times, not %d (%v)", name, n, want, err)
		}
	}
	for _, want := range []string{"Slurm does not answer: scontrol: exit status 1; trying again", "Slurm does not answer: sbatch: Batch job submission failed: Unable to contact slurm controller (connect failure); trying again"} {
		if !slices.Contains(notes, want) {
			t.Errorf("no note %q in %q", want, notes)
		}
	}
}

// The sbatch of a coordinator that was killed comes through only after the next
// one has asked for its job: the job's workers find nothing to do, and it is
// cancelled before others get their work.
func TestSubmittedLate(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	dir := run.Path("state", "slurm", "infer-0001-01")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"array.json": `{"v":1,"kind":"slurm array","name":"infer-0001-01","stage":"infer","job_name":"mine","job_id":"","throttle":2,` +
			`"elements":[{"id":"infer-0001-00001","attempt":1},{"id":"infer-0001-00002","attempt":1}]}`,
		"index.json": "{}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	command(t, bin, "squeue", fmt.Sprintf(`case "$n $*" in
1*" -n mine"*) ;;
2*" -n mine"*) [ -e %q ] && touch early; echo 77 ;;
*) if [ -e scancel.calls ]; then s=CANCELLED; else s=RUNNING; fi; echo "77|0|$s|None"; echo "77|1|$s|None" ;;
esac`, filepath.Join(dir, "index.json")))
	command(t, bin, "scancel", `echo "$*" >>scancel.said`)
	command(t, bin, "scontrol", `echo "MaxArraySize = 7"`)
	command(t, bin, "sbatch", `[ -e scancel.calls ] || touch early; echo "sbatch: error: invalid account specified: nobody" >&2; exit 1`)
	o := testOptions(runnertest.Setup{Workers: 1, Command: []string{"x"}, Environ: os.Environ()})
	o.Poll = time.Millisecond
	r := New(o)
	r.c.path = bin
	_, err = r.Run(context.Background(), &runner.Stage{Name: task.Infer, Run: run, Epoch: 2, Tasks: parts(2, 0)}, event.Discard)
	if err == nil || !strings.Contains(err.Error(), "invalid account specified: nobody") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(filepath.Join(bin, "scancel.said")); err != nil || string(b) != "-Q 77_0 77_1\n" {
		t.Errorf("cancelled: %q %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(bin, "early")); err == nil {
		t.Error("the job could still find its work, or others were submitted before it had ended")
	}
	if left, _ := filepath.Glob(run.Path("state", "slurm", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
