package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// client runs Slurm's commands.
type client struct {
	environ []string
	path    string // folder of the commands, for tests; "" for $PATH
}

// commandTimeout bounds a question to Slurm; a busy controller may take long.
const commandTimeout = 60 * time.Second

// commandEnv is the environment for Slurm's commands. A coordinator that runs
// inside of a job has variables of that job (SLURM_MEM_PER_NODE …), which
// sbatch would take for options, and a user may have set up squeue to show
// other jobs.
func commandEnv(all []string) []string {
	var out []string
	for _, kv := range all {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "SLURM_CONF", name == "SLURM_CLUSTERS":
		case strings.HasPrefix(name, "SLURM_"), strings.HasPrefix(name, "SQUEUE_"), strings.HasPrefix(name, "SCANCEL_"), strings.HasPrefix(name, "SCONTROL_"), strings.HasPrefix(name, "SINFO_"):
			continue
		}
		out = append(out, kv)
	}
	return append(out, "SLURM_BITSTR_LEN=0") // squeue shows indexes in full
}

// commandError is a command of Slurm's that failed, with its own words.
type commandError struct {
	Name string
	Said string // what it printed to stderr, without the prefixes
	Err  error
}

func (e *commandError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Name, e.Said)
}
func (e *commandError) Unwrap() error { return e.Err }

var prefixes = regexp.MustCompile(`(?m)^(sbatch|squeue|scontrol|scancel|sinfo): (error: )?`)

func (c *client) run(ctx context.Context, env []string, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	prog := name
	if c.path != "" {
		prog = filepath.Join(c.path, name)
	}
	cmd := exec.CommandContext(ctx, prog, args...)
	cmd.Env = env
	if env == nil {
		cmd.Env = c.environ
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = 10 * time.Second // on a busy machine what was said comes that late
	ownGroup(cmd)
	if err := cmd.Run(); err != nil {
		text := prefixes.ReplaceAllString(strings.TrimSpace(said.String()), "")
		text = strings.ReplaceAll(text, "\nTry \""+name+" --help\" for more information", "")
		if ctx.Err() != nil && text == "" {
			text = "no answer in time"
		}
		return out.String(), &commandError{Name: name, Said: strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", "; ")), " "), Err: err}
	}
	return out.String(), nil
}

// unreachable reports whether err means that nothing was learnt: the commands
// are there, but the controller does not answer. One that exits without a
// word counts: scontrol does that when it comes upon a controller that is just
// starting, and whoever refuses something says what.
func unreachable(err error) bool {
	var ce *commandError
	if !errors.As(err, &ce) || errors.Is(err, exec.ErrNotFound) {
		return false
	}
	if exit := (*exec.ExitError)(nil); ce.Said == "" && errors.As(err, &exit) {
		return true
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it has ended well, but not all that it said came
		return true
	}
	for _, s := range []string{"Unable to contact slurm controller", "Socket timed out", "Connection refused", "Connection timed out", "Zero Bytes were transmitted", "no answer in time",
		"Communication connection failure", "slurm_persist_conn", "Slurm backup controller in standby mode", "Transport endpoint is not connected", "Connection reset by peer"} {
		if strings.Contains(ce.Said, s) {
			return true
		}
	}
	return false
}

// jobState is what squeue says about an element, or about the elements of an
// array that it does not list one by one.
type jobState struct {
	State, Reason string
}

// over reports whether Slurm is done with the job.
func (s jobState) over() bool {
	switch s.State {
	case "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT":
		return true
	}
	return false
}

func (s jobState) waits() bool {
	switch s.State {
	case "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING", "RESV_DEL_HOLD":
		return true
	}
	return false
}

// listing is what squeue says about an array.
type listing struct {
	each map[int]jobState
	rest *jobState // of what is not in each; nil when there is no such element any more
	// which of the rest there are; nil means all, as of a version that cuts
	// the list short, or where it says nothing.
	which []indexRange
}

type indexRange struct{ lo, hi, step int }

// of is what is said about element i; known is false for nothing.
func (l *listing) of(i int) (s jobState, known bool) {
	if l == nil {
		return jobState{}, false
	}
	if s, ok := l.each[i]; ok {
		return s, true
	}
	if l.rest == nil {
		return jobState{}, false
	}
	if l.which == nil {
		return *l.rest, true
	}
	for _, r := range l.which {
		if r.lo <= i && i <= r.hi && (i-r.lo)%r.step == 0 {
			return *l.rest, true
		}
	}
	return jobState{}, false
}

// squeueFormat: array job, index or indexes, state, reason.
const squeueFormat = "%F|%K|%T|%r"

// squeue asks about array jobs, all at once. Jobs that Slurm does not know any
// more are not in the answer.
func (c *client) squeue(ctx context.Context, ids []string) (map[string]*listing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := c.run(ctx, nil, "", "squeue", "-h", "-t", "all", "-o", squeueFormat, "-j", strings.Join(ids, ","))
	if err != nil {
		if strings.Contains(err.Error(), "Invalid job id") {
			return nil, nil
		}
		return nil, err
	}
	return parseSqueue(out), nil
}

func parseSqueue(out string) map[string]*listing {
	jobs := map[string]*listing{}
	for _, row := range strings.Split(out, "\n") {
		f := strings.SplitN(row, "|", 4)
		if len(f) != 4 || f[0] == "" {
			continue
		}
		l := jobs[f[0]]
		if l == nil {
			l = &listing{each: map[int]jobState{}}
			jobs[f[0]] = l
		}
		s := jobState{State: strings.TrimSpace(f[2]), Reason: strings.TrimSpace(f[3])}
		if i, err := strconv.Atoi(f[1]); err == nil {
			l.each[i] = s
			continue
		}
		l.rest, l.which = &s, parseIndexes(f[1])
	}
	return jobs
}

// parseIndexes reads "1-4,8,10-20:2%1"; nil when it is cut short or nothing
// of the kind.
func parseIndexes(s string) []indexRange {
	s = strings.Trim(s, "[]")
	s, _, _ = strings.Cut(s, "%")
	var out []indexRange
	for _, f := range strings.Split(s, ",") {
		span, step, stepped := strings.Cut(f, ":")
		a, b, isRange := strings.Cut(span, "-")
		lo, err := strconv.Atoi(a)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.Atoi(b)
		}
		n := 1
		if err == nil && stepped {
			n, err = strconv.Atoi(step)
		}
		if err != nil || lo < 0 || n < 1 {
			return nil
		}
		out = append(out, indexRange{lo, hi, n})
	}
	return out
}

// find looks for a job by its name, which occurs once; "" when there is none.
func (c *client) find(ctx context.Context, name string) (string, error) {
	out, err := c.run(ctx, nil, "", "squeue", "-h", "-t", "all", "-o", "%F", "-n", name)
	if err != nil {
		return "", err
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(id), nil
}

// details are the fields of scontrol about one element; nil when Slurm does
// not know it any more.
func (c *client) details(ctx context.Context, id string) map[string]string {
	out, err := c.run(ctx, nil, "", "scontrol", "show", "job", id, "-o")
	if err != nil {
		return nil
	}
	return parseFields(out)
}

func parseFields(out string) map[string]string {
	m := map[string]string{}
	row, _, _ := strings.Cut(out, "\n")
	for _, f := range strings.Fields(row) {
		if k, v, ok := strings.Cut(f, "="); ok {
			if _, have := m[k]; !have { // values may hold blanks, and = behind them
				m[k] = v
			}
		}
	}
	return m
}

// maxArray asks how many elements an array may have.
func (c *client) maxArray(ctx context.Context) (int, error) {
	out, err := c.run(ctx, nil, "", "scontrol", "show", "config")
	if err != nil {
		return 0, err
	}
	for _, row := range strings.Split(out, "\n") {
		if k, v, ok := strings.Cut(row, "="); ok && strings.TrimSpace(k) == "MaxArraySize" {
			if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil && n > 0 {
				return n, nil // indexes end at n-1
			}
		}
	}
	return 1000, nil // what Slurm comes with
}

// partitions lists what sbatch -p would take.
func (c *client) partitions(ctx context.Context) []string {
	out, err := c.run(ctx, nil, "", "sinfo", "-h", "-o", "%R")
	if err != nil {
		return nil
	}
	var names []string
	seen := map[string]bool{}
	for _, n := range strings.Fields(out) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names
}

// sbatch submits a script and returns the job's number. environ is what the
// job gets.
func (c *client) sbatch(ctx context.Context, environ []string, script string, args []string) (string, error) {
	out, err := c.run(ctx, environ, script, "sbatch", args...)
	if err != nil {
		return "", err
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out), ";") // "12;cluster"
	if _, err := strconv.Atoi(id); err != nil {
		return "", fmt.Errorf("sbatch printed %q, not the number of a job", strings.TrimSpace(out))
	}
	return id, nil
}

// scancel ends or signals jobs. That one of them is over already is no error.
func (c *client) scancel(ctx context.Context, ids []string, options ...string) error {
	const most = 500 // an argument list has an end
	for len(ids) > 0 {
		n := min(len(ids), most)
		if _, err := c.run(ctx, nil, "", "scancel", append(append([]string{"-Q"}, options...), ids[:n]...)...); err != nil {
			var ce *commandError
			if !errors.As(err, &ce) || unreachable(err) || errors.Is(err, exec.ErrNotFound) {
				return err
			}
		}
		ids = ids[n:]
	}
	return nil
}

// throttle changes how many elements of an array may run at once.
func (c *client) throttle(ctx context.Context, id string, n int) error {
	_, err := c.run(ctx, nil, "", "scontrol", "update", "JobId="+id, fmt.Sprintf("ArrayTaskThrottle=%d", n))
	return err
}
