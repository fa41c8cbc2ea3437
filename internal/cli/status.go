package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/event"
	"sextant/internal/source"
	"sextant/internal/store"
)

// runFolder finds the run that a command is about: a folder of a run, a work
// dir (its last run), or, with nothing said, the last run of outputs/default.
func (a *app) runFolder(args []string, workDir string) (*store.Run, error) {
	r, err := a.findRun(args, workDir)
	var none *store.NothingToResumeError
	if !errors.As(err, &none) {
		return r, err
	}
	e := &exitError{code: ExitUsage, err: fmt.Errorf("there is no run in %s", a.rel(none.WorkDir)), hint: "name a run's folder, or the folder of its runs with -w"}
	if none.Want != "latest" {
		e.err = fmt.Errorf("there is no run %s in %s", none.Want, a.rel(none.WorkDir))
	}
	if len(none.Found) > 0 {
		e.hint = none.Hint()
	}
	return nil, e
}

func (a *app) findRun(args []string, workDir string) (*store.Run, error) {
	if len(args) > 0 {
		p := args[0]
		if !filepath.IsAbs(p) {
			p = filepath.Join(a.env.Cwd, p)
		}
		if st, err := os.Stat(filepath.Join(p, "events.jsonl")); err == nil && !st.IsDir() {
			return store.Open(p)
		}
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			if _, err := os.Stat(filepath.Join(p, "configs")); err == nil {
				return store.Open(p)
			}
			return store.Resolve(p, "latest")
		}
		return store.Resolve(a.workDir(workDir), args[0])
	}
	return store.Resolve(a.workDir(workDir), "latest")
}

func (a *app) workDir(w string) string {
	if w == "" {
		w = filepath.Join("outputs", "default")
	}
	if !filepath.IsAbs(w) {
		w = filepath.Join(a.env.Cwd, w)
	}
	return w
}

// progress is what the events of a run amount to.
type progress struct {
	Run     string          `json:"run"`
	State   string          `json:"state"` // "running", "finished", "stopped"
	Stage   string          `json:"stage,omitempty"`
	Tasks   []*taskProgress `json:"tasks"`
	Updated time.Time       `json:"updated"`
	byName  map[string]*taskProgress
}

type taskProgress struct {
	Stage  string `json:"stage"`
	Task   string `json:"task"`
	State  string `json:"state"`
	Done   int    `json:"done"`
	Total  int    `json:"total"`
	Failed int    `json:"failed,omitempty"`
	Error  string `json:"error,omitempty"`
	Log    string `json:"log,omitempty"`
	// parts holds the counters of each dataset of the task.
	parts map[string][3]int
}

func (p *progress) add(e event.Event) {
	if !e.Time.IsZero() {
		p.Updated = e.Time
	}
	switch e.Kind {
	case event.RunStarted:
		p.State, p.Stage = "running", ""
		p.keep(func(t *taskProgress) bool { return t.State == "done" || t.State == "failed" })
		return
	case event.StageStarted:
		p.Stage = e.Stage
		p.keep(func(t *taskProgress) bool { return t.State != "failed" || t.Stage != e.Stage })
		return
	case event.RunDone:
		p.State = "finished"
		return
	}
	if e.Task == "" {
		return
	}
	t := p.byName[e.Task]
	if t != nil && e.Kind == event.TaskQueued {
		*t = taskProgress{Task: e.Task, State: "queued", parts: map[string][3]int{}}
	}
	if t == nil {
		t = &taskProgress{Stage: e.Stage, Task: e.Task, State: "queued", parts: map[string][3]int{}}
		if p.byName == nil {
			p.byName = map[string]*taskProgress{}
		}
		p.byName[e.Task] = t
		p.Tasks = append(p.Tasks, t)
	}
	if e.Stage != "" {
		t.Stage = e.Stage
	}
	if e.Log != "" {
		t.Log = e.Log
	}
	switch e.Kind {
	case event.TaskStarted:
		t.State, t.Error = "running", ""
	case event.TaskProgress:
		t.parts[e.Dataset] = [3]int{e.Done, e.Total, e.Failed}
		t.Done, t.Total, t.Failed = 0, 0, 0
		for _, c := range t.parts {
			t.Done, t.Total, t.Failed = t.Done+c[0], t.Total+c[1], t.Failed+c[2]
		}
	case event.TaskRetried:
		t.State, t.Error = "retrying", e.Error
	case event.TaskFailed:
		t.State, t.Error = "failed", e.Error
	case event.TaskFinished:
		t.State = "done"
		if e.Total > 0 {
			t.Done, t.Total, t.Failed = e.Done, e.Total, e.Failed
		}
	}
}

// keep forgets the tasks of earlier sessions that f does not want: what was
// done stays, and what failed until its stage is tried again.
func (p *progress) keep(f func(*taskProgress) bool) {
	p.Tasks = slices.DeleteFunc(p.Tasks, func(t *taskProgress) bool {
		if f(t) {
			return false
		}
		delete(p.byName, t.Task)
		return true
	})
}

func (p *progress) text(width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Run, p.State)
	if p.State == "running" && p.Stage != "" {
		fmt.Fprintf(&b, ", stage %s", p.Stage)
	}
	if !p.Updated.IsZero() {
		fmt.Fprintf(&b, ", last event %s", p.Updated.Format("2006-01-02 15:04:05"))
	}
	b.WriteByte('\n')
	counts := map[string]int{}
	for _, t := range p.Tasks {
		counts[t.State]++
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", counts[k], k)
	}
	if len(keys) > 0 {
		b.WriteByte('\n')
	}
	for _, t := range p.Tasks {
		n := ""
		if t.Total > 0 {
			n = fmt.Sprintf("%d/%d", t.Done, t.Total)
		}
		fmt.Fprintf(&b, "  %-5s  %-8s  %13s  %s", t.Stage, t.State, n, t.Task)
		if t.Failed > 0 {
			fmt.Fprintf(&b, "  (%s without an answer)", source.Count(t.Failed, "sample"))
		}
		if t.Error != "" {
			fmt.Fprintf(&b, "\n         %s", t.Error)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// onRun is a command on the run that its argument names, or the last one.
func (a *app) onRun(workDir *string, do func(*cobra.Command, *store.Run) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		r, err := a.runFolder(args, *workDir)
		if err != nil {
			return err
		}
		defer r.Close()
		return do(cmd, r)
	}
}

func (a *app) statusCmd() *cobra.Command {
	var asJSON, follow bool
	var workDir string
	cmd := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show how far a run is, from any terminal or machine that sees its folder",
		Args:  words(0, 1, "one run"),
		RunE: a.onRun(&workDir, func(cmd *cobra.Command, r *store.Run) error {
			p := &progress{Run: a.rel(r.Dir()), State: "not started"}
			path := r.Path("events.jsonl")
			show := func() error {
				if alive, who := r.Alive(); p.State == "running" && !alive {
					p.State = "stopped (its coordinator is gone; go on with -r " + r.Name() + ")"
				} else if alive && p.State == "running" && who != "" {
					p.State = "running on " + who
				}
				if asJSON {
					return json.NewEncoder(a.env.Stdout).Encode(p)
				}
				_, err := fmt.Fprint(a.env.Stdout, p.text(a.env.Width))
				return err
			}
			f, err := os.Open(path)
			if errors.Is(err, fs.ErrNotExist) {
				return show()
			} else if err != nil {
				return err
			}
			err = event.Read(f, func(e event.Event) bool { p.add(e); return true })
			f.Close()
			if err != nil {
				return err
			}
			if !follow {
				return show()
			}
			return a.follow(cmd.Context(), r, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "stay and show what happens until the run ends")
	cmd.Flags().StringVarP(&workDir, "work-dir", "w", "", "folder of the runs (default outputs/default)")
	return cmd
}

// follow replays the events of a run and then shows new ones as they come, to
// the end of the run or of its coordinator.
func (a *app) follow(ctx context.Context, r *store.Run, asJSON bool) error {
	ui := a.terminal(false, asJSON)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(2 * time.Second)
		defer t.Stop()
		for {
			if alive, _ := r.Alive(); !alive {
				cancel() // what it wrote before is read first
				return
			}
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	ended := false
	err := event.Tail(ctx, r.Path("events.jsonl"), 500*time.Millisecond, func(e event.Event) bool {
		ui.Emit(e)
		switch e.Kind {
		case event.RunStarted:
			ended = false
		case event.RunDone:
			ended = true
		}
		return true
	})
	cancel()
	<-gone
	if err == nil && !ended {
		ui.Close()
		ui.Note("%s is not running; go on with -r %s", a.rel(r.Dir()), r.Name())
	}
	return err
}

func (a *app) logsCmd() *cobra.Command {
	var workDir, runName string
	cmd := &cobra.Command{
		Use:   "logs [TASK]",
		Short: "Print the log of a task (part of its name is enough), or list the logs",
		Args:  words(0, 1, "one task"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var which []string
			if runName != "" {
				which = []string{runName}
			}
			r, err := a.runFolder(which, workDir)
			if err != nil {
				return err
			}
			defer r.Close()
			var logs []string
			root := r.Path("logs")
			err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					logs = append(logs, p)
				}
				return nil
			})
			if err != nil || len(logs) == 0 {
				return &exitError{code: ExitFailure, err: fmt.Errorf("run %s has no logs", a.rel(r.Dir()))}
			}
			if len(args) == 0 {
				for _, l := range logs {
					fmt.Fprintln(a.env.Stdout, a.rel(l))
				}
				return nil
			}
			word := strings.Trim(args[0], "[]")
			word = strings.TrimPrefix(strings.TrimPrefix(word, "OpenICLInfer["), "OpenICLEval[")
			word, _, _ = strings.Cut(word, ",")
			var hits []string
			for _, l := range logs {
				if strings.Contains(l, filepath.FromSlash(word)) {
					hits = append(hits, l)
				}
			}
			if len(hits) == 0 {
				return &exitError{code: ExitUsage, err: fmt.Errorf("no log matches %q", args[0]), hint: "`sextant logs` lists them"}
			}
			for _, l := range hits {
				if len(hits) > 1 {
					fmt.Fprintf(a.env.Stdout, "== %s\n", a.rel(l))
				}
				b, err := os.ReadFile(l)
				if err != nil {
					return err
				}
				if _, err := a.env.Stdout.Write(b); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&workDir, "work-dir", "w", "", "folder of the runs (default outputs/default)")
	cmd.Flags().StringVar(&runName, "run", "", "the run (default: the last)")
	return cmd
}

func (a *app) cancelCmd() *cobra.Command {
	var workDir string
	cmd := &cobra.Command{
		Use:   "cancel [RUN]",
		Short: "Stop a run: its coordinator finishes what is in flight, jobs on a cluster are cancelled",
		Args:  words(0, 1, "one run"),
		RunE: a.onRun(&workDir, func(_ *cobra.Command, r *store.Run) error {
			if alive, _ := r.Alive(); !alive {
				return &exitError{code: ExitFailure, err: fmt.Errorf("run %s is not running", a.rel(r.Dir()))}
			}
			if err := r.RequestCancel(); err != nil {
				return err
			}
			a.terminal(false, false).Note("asked %s to stop", a.rel(r.Dir()))
			return nil
		}),
	}
	cmd.Flags().StringVarP(&workDir, "work-dir", "w", "", "folder of the runs (default outputs/default)")
	return cmd
}
