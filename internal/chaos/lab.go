//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sextant/internal/model/engine"
	"sextant/internal/model/fake"
)

// Build builds the program, once for all tests of a package, and returns its
// path and what removes it. SEXTANT_BIN names one that is there already.
func Build() (program string, clean func(), err error) {
	if p := os.Getenv("SEXTANT_BIN"); p != "" {
		return p, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "sextant-bin-")
	if err != nil {
		return "", nil, fmt.Errorf("build the program: %w", err)
	}
	clean = func() { os.RemoveAll(dir) }
	program = filepath.Join(dir, "sextant")
	args := []string{"build", "-o", program}
	if engine.Built {
		args = append(args, "-tags", "engine") // compiled with this test already
	}
	if out, err := exec.Command("go", append(args, "sextant/cmd/sextant")...).CombinedOutput(); err != nil {
		clean()
		return "", nil, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return program, clean, nil
}

// Number reads a variable of the environment; without it, or with something
// else in it, it is def.
func Number(name string, def int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return def
}

// Lab is a place where one run is started, disturbed and started again.
type Lab struct {
	T    testing.TB
	Bin  string // the program
	Dir  string // current folder of sessions, with the config eval.py
	Work string // work directory
	Env  []string

	// Ref begins what workers are given that do not see Work; "": there are none.
	Ref string

	log  string // the fake model's request log
	live map[*Session]bool
	mu   sync.Mutex // guards live
}

// NewLab makes a lab in a fresh folder. Its processes are gone when the test
// ends.
func NewLab(t testing.TB, bin string) *Lab {
	t.Helper()
	dir := t.TempDir()
	l := &Lab{T: t, Bin: bin, Dir: dir, Work: filepath.Join(dir, "out"), log: filepath.Join(dir, "requests.log"), live: map[*Session]bool{}}
	l.Env = append(os.Environ(), "TERM=dumb", "NO_COLOR=1", fake.LogVar+"="+l.log, "GOTRACEBACK=all")
	t.Cleanup(l.stop)
	return l
}

// patience is how long something may take that takes a moment: machines that
// run tests stand still now and then.
const patience = 3 * time.Minute

// stop kills what runs and waits until it is gone: it writes to the folder
// that is removed next.
func (l *Lab) stop() {
	l.mu.Lock()
	var live []*Session
	for s := range l.live {
		live = append(live, s)
		_ = s.cmd.Process.Kill() // it may just have ended
	}
	l.mu.Unlock()
	for _, s := range live {
		<-s.done
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		ws := l.Workers()
		if len(ws) == 0 {
			break
		}
		for _, pid := range ws {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// Until waits until cond holds, while s has not ended, and returns whether it
// does.
func (l *Lab) Until(s *Session, what string, cond func() bool) bool {
	l.T.Helper()
	for begin := time.Now(); !cond(); time.Sleep(5 * time.Millisecond) {
		if s.Ended() {
			return cond()
		}
		if time.Since(begin) > patience {
			l.T.Fatalf("waited in vain for %s\n%s", what, s.Stderr())
		}
	}
	return true
}

// Hold makes requests wait, from the n-th of the lab on, until release is
// called: the sessions started next do not get any further.
func (l *Lab) Hold(n int) (release func()) {
	file := filepath.Join(l.Dir, fmt.Sprintf("release-%d", n))
	l.Env = append(l.Env, fmt.Sprintf("%s=%d %s", fake.HoldVar, n, file))
	return func() {
		l.T.Helper()
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			l.T.Fatal(err)
		}
	}
}

// Held waits until s does not get any further: this many workers have requests
// that are held, and nothing else is on its way.
func (l *Lab) Held(s *Session, workers int) {
	l.T.Helper()
	if !l.Until(s, "requests that are held", func() bool {
		r, _ := l.Requests(0)
		return len(r.Held) >= workers && r.Open == r.held()
	}) {
		l.T.Fatalf("ended before a request was held\n%s", s.Stderr())
	}
}

// Config writes eval.py.
func (l *Lab) Config(text string) {
	l.T.Helper()
	if err := os.WriteFile(filepath.Join(l.Dir, "eval.py"), []byte(text), 0o666); err != nil {
		l.T.Fatal(err)
	}
}

// Session is one start of the program.
type Session struct {
	l    *Lab
	cmd  *exec.Cmd
	args []string
	out  output
	err  output
	done chan struct{}
	code int
}

// output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Start starts `sextant run eval.py -w Work --offline args…`.
func (l *Lab) Start(args ...string) *Session {
	l.T.Helper()
	s := &Session{l: l, args: args, done: make(chan struct{})}
	s.cmd = exec.Command(l.Bin, append([]string{"run", "eval.py", "-w", l.Work, "--offline"}, args...)...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = l.Dir, l.Env, &s.out, &s.err
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.WaitDelay = 20 * time.Second
	if err := s.cmd.Start(); err != nil {
		l.T.Fatal(err)
	}
	l.mu.Lock()
	l.live[s] = true
	l.mu.Unlock()
	go func() {
		defer close(s.done)
		err := s.cmd.Wait()
		var ee *exec.ExitError
		switch {
		case errors.As(err, &ee):
			s.code = ee.ExitCode() // -1: killed by a signal
		case err != nil:
			s.code = -2
		}
		l.mu.Lock()
		delete(l.live, s)
		l.mu.Unlock()
	}()
	return s
}

// Signal sends a signal to the coordinator alone; false when it has ended.
func (s *Session) Signal(sig syscall.Signal) bool {
	select {
	case <-s.done:
		return false
	default:
		return s.cmd.Process.Signal(sig) == nil
	}
}

// Ended reports whether the coordinator has ended.
func (s *Session) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Wait waits for the coordinator and returns its exit code, -1 for a signal.
func (s *Session) Wait() int {
	s.l.T.Helper()
	select {
	case <-s.done:
	case <-time.After(3 * patience):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // shows where it hangs
		<-s.done
		s.l.T.Fatalf("sextant %v hung:\n%s", s.args, s.Stderr())
	}
	return s.code
}

// Stderr is what was written so far.
func (s *Session) Stderr() string { return s.err.String() }

// Stdout is what was written so far.
func (s *Session) Stdout() string { return s.out.String() }

// Run starts a session, waits for it and fails the test when its exit code is
// another than want.
func (l *Lab) Run(want int, args ...string) *Session {
	l.T.Helper()
	s := l.Start(args...)
	if got := s.Wait(); got != want {
		l.T.Fatalf("sextant run eval.py %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, s.Stderr())
	}
	return s
}

// Undisturbed runs a config from start to end in this fresh lab and returns its
// final files and how long it took.
func (l *Lab) Undisturbed(config string) (map[string]string, time.Duration) {
	l.T.Helper()
	l.Config(config)
	begin := time.Now()
	l.Run(0)
	return l.Final(), time.Since(begin)
}

// Workers are the processes of workers on runs of this lab.
func (l *Lab) Workers() []int {
	ents, err := os.ReadDir("/proc")
	if err != nil {
		l.T.Fatal(err)
	}
	var out []int
	for _, e := range ents {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it ended
		}
		argv := strings.Split(string(b), "\x00")
		if len(argv) > 2 && argv[1] == "worker" && (strings.HasPrefix(argv[2], l.Work) || l.Ref != "" && strings.HasPrefix(argv[2], l.Ref)) {
			out = append(out, pid)
		}
	}
	return out
}

// Quiet waits until no worker is left, as after the death of a coordinator.
func (l *Lab) Quiet() {
	l.T.Helper()
	for begin := time.Now(); len(l.Workers()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			l.T.Fatalf("workers %v outlive their coordinator by %v", l.Workers(), patience)
		}
	}
}

// RunDir is the newest run; "" when there is none.
func (l *Lab) RunDir() string {
	dirs, _ := filepath.Glob(filepath.Join(l.Work, "[0-9]*_[0-9]*")) // the pattern is well formed
	sort.Strings(dirs)
	if len(dirs) == 0 {
		return ""
	}
	return dirs[len(dirs)-1]
}

// RecordFiles are the files that hold records of finished samples now.
func (l *Lab) RecordFiles() []string {
	var out []string
	err := filepath.WalkDir(filepath.Join(l.RunDir(), "predictions"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".jsonl") {
			out = append(out, p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		l.T.Fatal(err)
	}
	return out
}

// Records are what the record files hold.
type Records struct {
	Asked map[string]bool // requests whose answers they have, by fake.TextID
	Rows  int             // of all datasets
	Of    map[string]int  // rows by dataset
}

// Recorded reads the records.
func (l *Lab) Recorded() Records {
	out := Records{Asked: map[string]bool{}, Of: map[string]int{}}
	seen := map[string]bool{}
	for _, p := range l.RecordFiles() {
		b, err := os.ReadFile(p)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue // settled meanwhile
			}
			l.T.Fatal(err)
		}
		dataset := strings.TrimSuffix(filepath.Base(p), ".jsonl")
		if d := filepath.Base(filepath.Dir(p)); strings.HasSuffix(d, ".records") {
			dataset = strings.TrimSuffix(d, ".records")
		}
		for _, line := range bytes.SplitAfter(b, []byte("\n")) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				continue
			}
			var rec struct {
				ID string                     `json:"id"`
				R  map[string]json.RawMessage `json:"r"`
			}
			if json.Unmarshal(line, &rec) != nil || rec.ID == "" {
				continue
			}
			if !seen[dataset+rec.ID] {
				seen[dataset+rec.ID] = true
				out.Rows++
				out.Of[dataset]++
			}
			for k, v := range rec.R {
				var text string
				var label struct {
					Prompt string `json:"prompt"`
				}
				switch {
				case k == "origin_prompt" && json.Unmarshal(v, &text) == nil:
					out.Asked[fake.TextID(text)] = true
				case strings.HasPrefix(k, "label: ") && json.Unmarshal(v, &label) == nil:
					out.Asked[fake.TextID(label.Prompt)] = true
				}
			}
		}
	}
	return out
}

// Requests are the lines of the fake model's log.
type Requests struct {
	Begun map[string]int // how often each text was asked
	Total int
	Open  int // begun and not answered
	Cut   int // processes that were cut off: they have requests that were not answered
	// Took is how long each answer took, by the worker's process.
	Took map[string][]time.Duration
	// Held is how many were held, by the worker's process.
	Held map[string]int
}

func (r *Requests) held() (n int) {
	for _, k := range r.Held {
		n += k
	}
	return n
}

// Requests reads the request log from byte offset from to the end of its last
// whole line, and returns where that is.
func (l *Lab) Requests(from int64) (Requests, int64) {
	l.T.Helper()
	r := Requests{Begun: map[string]int{}, Took: map[string][]time.Duration{}, Held: map[string]int{}}
	f, err := os.Open(l.log)
	if errors.Is(err, fs.ErrNotExist) {
		return r, 0
	}
	if err != nil {
		l.T.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(from, 0); err != nil {
		l.T.Fatal(err)
	}
	open := map[string]int{} // by process
	rd := bufio.NewReader(f)
	for {
		line, err := rd.ReadString('\n')
		if errors.Is(err, io.EOF) { // what is behind the last line is being written
			break
		} else if err != nil {
			l.T.Fatal(err)
		}
		from += int64(len(line))
		w := strings.Fields(line)
		switch {
		case len(w) == 3 && w[0] == "b":
			r.Begun[w[2]]++
			r.Total++
			r.Open++
			open[w[1]]++
		case len(w) == 4 && w[0] == "e":
			r.Open--
			open[w[1]]--
			us, err := strconv.Atoi(w[3])
			if err != nil {
				l.T.Fatalf("request log: %q", line)
			}
			r.Took[w[1]] = append(r.Took[w[1]], time.Duration(us)*time.Microsecond)
		case len(w) == 3 && w[0] == "h":
			r.Held[w[1]]++
		default:
			l.T.Fatalf("request log: %q", line)
		}
	}
	for _, n := range open {
		if n > 0 {
			r.Cut++
		}
	}
	return r, from
}

// times are what differs between two runs of the same questions.
var times = regexp.MustCompile(`\d{8}_\d{6}(?:_\d+)?|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?`)

// Final is every file that a finished run is for, times made equal: path in
// the run to the SHA-256 of its bytes. Of summaries it is the newest.
func (l *Lab) Final() map[string]string {
	l.T.Helper()
	run := l.RunDir()
	out := map[string]string{}
	for _, top := range []string{"predictions", "results", "summary"} {
		err := filepath.WalkDir(filepath.Join(run, top), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(run, p)
			if err != nil {
				return err
			}
			if top == "summary" {
				// in the order of their names, so the newest stays
				rel = times.ReplaceAllString(rel, "TIME")
				b = times.ReplaceAll(bytes.ReplaceAll(b, []byte(run), []byte("RUN")), []byte("TIME"))
			}
			sum := sha256.Sum256(b)
			out[rel] = hex.EncodeToString(sum[:])
			return nil
		})
		if err != nil {
			l.T.Fatal(err)
		}
	}
	return out
}

// Same fails the test when the final files are others than want.
func (l *Lab) Same(want map[string]string) {
	l.T.Helper()
	got := l.Final()
	var diff []string
	for p, h := range want {
		switch g, ok := got[p]; {
		case !ok:
			diff = append(diff, "missing: "+p)
		case g != h:
			diff = append(diff, "differs: "+p)
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			diff = append(diff, "too many: "+p)
		}
	}
	sort.Strings(diff)
	if len(diff) > 0 {
		l.T.Errorf("final files of %s are not those of the undisturbed run:\n  %s", l.RunDir(), strings.Join(diff, "\n  "))
	}
	if len(want) == 0 {
		l.T.Error("nothing to compare with")
	}
}

// Keep copies the run to a folder that outlives the test, for a look at what
// went wrong, and returns its path.
func (l *Lab) Keep() string {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return fmt.Sprint(err)
	}
	if err := os.CopyFS(dir, os.DirFS(l.Dir)); err != nil {
		return fmt.Sprint(dir, ": ", err)
	}
	return dir
}
