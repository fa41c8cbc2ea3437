package slurm

import (
	"fmt"
	"sort"
	"strings"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/task"
)

// quote makes one shell word of s.
func quote(s string) string {
	plain := s != ""
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_./=:,%+@", c) >= 0
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// script is the batch script of an array: the same for all elements, and
// without anything that a config could have put shell into but env_setup.
func (r *Runner) script(runDir, array string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/bash")
	line("# One element of a job array of sextant: starts the worker that index.json names.")
	line("sextant_run=%s", quote(runDir))
	line(`sextant_dir=$sextant_run/state/slurm/%s`, array)
	line("# A node may see new files of a shared file system late.")
	line(`for n in 1 2 3 4 5 6 7 8 9 10 11 12; do if [ -r "$sextant_dir/index.json" ]; then break; fi; ls "$sextant_dir" >/dev/null 2>&1; sleep 5; done`)
	line(`if ! [ -r "$sextant_dir/index.json" ]; then echo "$(uname -n) does not see $sextant_dir: the work directory must be on a file system that all nodes share"; exit 120; fi`)
	line("# The output goes to the task's own log.")
	line(`sextant_log=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$sextant_dir/logs")`)
	line(`exec >>"$sextant_run/$sextant_log" 2>&1 </dev/null || exit 122`)
	line(`if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then echo "--- started again by Slurm ($SLURM_RESTART_COUNT) ---"; fi`)
	line(`echo "Slurm job ${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID} on $(uname -n)"`)
	if r.o.Dir != "" {
		line(`cd %s || exit 121`, quote(r.o.Dir))
	}
	line(`export GOMAXPROCS="${GOMAXPROCS:-${SLURM_CPUS_ON_NODE:-1}}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_ON_NODE:-1}}"`)
	for _, s := range r.o.Setup {
		line("%s", s)
	}
	line(`export %s="$SLURM_ARRAY_TASK_ID" %s="${SLURM_RESTART_COUNT:-0}"`, task.IndexVar, task.RestartsVar)
	words := make([]string, len(r.o.Command))
	for i, w := range r.o.Command {
		words[i] = quote(w)
	}
	line(`exec %s "$sextant_dir/index.json"`, strings.Join(words, " "))
	return b.String()
}

// patterned reports whether Slurm would take something in the path for a
// pattern, or for an order not to look for any.
func patterned(runDir string) bool { return strings.ContainsAny(runDir, `%\`) }

// arguments of sbatch for an array of n elements.
func (r *Runner) arguments(runDir, array, name string, n, throttle int, res resources) []string {
	// Only what Slurm itself has to say comes there, and what goes wrong before
	// the script has found the log.
	output := fmt.Sprintf("state/slurm/%s/slurm.out", array)
	if patterned(runDir) {
		output = "/dev/null"
	}
	a := []string{"--parsable", fmt.Sprintf("--array=0-%d%%%d", n-1, throttle), "--job-name=" + name, "--chdir=" + runDir, "--output=" + output,
		"--open-mode=append", "--requeue", "--export=ALL", "--nodes=1", "--ntasks=1"}
	for _, f := range r.o.Flags {
		a = append(a, "--"+f.Name+"="+f.Value)
	}
	if r.o.CPUsPerTask > 0 {
		a = append(a, fmt.Sprintf("--cpus-per-task=%d", r.o.CPUsPerTask))
	}
	if res.gres != "" {
		a = append(a, "--gres="+res.gres)
	}
	return append(a, r.o.Extra...)
}

// resources are what elements of one array have in common.
type resources struct{ gres string }

func (r *Runner) resources(w *runner.Work) resources {
	g := r.o.Gres
	if w.NumGPUs > 0 && !strings.HasPrefix(g, "gpu") && !strings.Contains(g, ",gpu") {
		if g != "" {
			g += ","
		}
		g += fmt.Sprintf("gpu:%d", w.NumGPUs)
	}
	return resources{g}
}

// group puts works of the same resources together, in the order in which they
// first occur.
func (r *Runner) group(works []*runner.Work) (order []resources, by map[resources][]*runner.Work) {
	by = map[resources][]*runner.Work{}
	for _, w := range works {
		k := r.resources(w)
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], w)
	}
	return order, by
}

// Script implements runner.Scripter: the commands and the scripts that Run
// would submit, as far as can be said before.
func (r *Runner) Script(stage *runner.Stage) (string, error) {
	stage = ungrouped(stage)
	tasks := append([]task.Task(nil), stage.Tasks...)
	for i := range tasks { // NewTracker writes into units
		tasks[i].Units = append([]task.Unit(nil), tasks[i].Units...)
	}
	stage.Tasks = tasks
	works := r.plan(runner.NewTracker(stage, event.Discard), len(tasks))
	order, by := r.group(works)
	dir := "RUN"
	if stage.Run != nil {
		dir = stage.Run.Dir()
	}
	var b strings.Builder
	names := map[string]bool{}
	for _, kv := range environ(r.o.Environ, append(stage.Options.Env, r.o.Export...)) {
		n, _, _ := strings.Cut(kv, "=")
		names[n] = true
	}
	var sorted []string
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	fmt.Fprintf(&b, "# variables handed on: %s\n", strings.Join(sorted, " "))
	for i, res := range order {
		n := len(by[res])
		array := arrayName(stage.Name, stage.Epoch, i+1)
		how := fmt.Sprintf("at most %d at a time", min(r.o.MaxNumWorkers, n))
		if r.o.Sequential {
			how = fmt.Sprintf("one job each, submitted one after the other, at most %d at a time", r.o.MaxNumWorkers)
		}
		fmt.Fprintf(&b, "# %d workers, %s\n", n, how)
		args := r.arguments(dir, array, r.jobName(dir, array, ""), n, min(r.o.MaxNumWorkers, n), res)
		for j := range args {
			args[j] = quote(args[j])
		}
		fmt.Fprintf(&b, "sbatch %s <<'SCRIPT'\n%sSCRIPT\n", strings.Join(args, " "), r.script(dir, array))
	}
	return b.String(), nil
}
