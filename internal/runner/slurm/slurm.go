// Package slurm runs workers as elements of Slurm job arrays.
//
// A stage is one `sbatch --array=0-N%max_num_workers` (one for each number of
// GPUs that its tasks want, and as many as MaxArraySize makes necessary).
// Element i finds its manifest through an index file in the run. What a worker
// wrote (status, records) is believed first; squeue is asked, for all jobs at
// once and less and less often, about workers that have not written anything
// yet or will not any more. sacct is not needed.
//
// Jobs that Slurm puts back into its queue (a node failed, a job was
// preempted) are left to it and counted; workers that fail are tried again by
// runner.Policy, in a further array, within max_num_workers. Every array is
// noted in the run before and after it is submitted, under a name that occurs
// once: a coordinator that comes after one that died takes over the elements
// that wait or run, and asks nothing twice.
//
// Secrets reach workers in the environment that sbatch is given and hands on:
// they are in no file of the run, on no command line and in no script, and
// scontrol does not show them. slurmctld keeps a job's environment among its
// own state, which only it may read, until it forgets the job. Of the
// coordinator's environment only what workers need is handed on (passed,
// task.Options.Env, export_env).
//
// Main types: Runner, Options. Non-goals: no accounting, no srun, no jobs over
// several nodes; it does not decide what is tried again (runner.Tracker does).
package slurm

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sextant/internal/event"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/store"
)

// Auto as Options.TasksPerJob puts so many tasks into an element that each of
// the workers gets about four elements.
const Auto = -1

// Flag is an option of sbatch with a value.
type Flag struct{ Name, Value string }

// Options of a runner. Zero fields mean the defaults named.
type Options struct {
	MaxNumWorkers int // elements that run at once; 32
	// Command is the program and its first arguments, as the nodes find them;
	// the path of the index of manifests is appended.
	Command []string
	Environ []string // the coordinator's environment, K=V
	Dir     string   // working folder of workers; relative paths of configs start there
	// Flags, Extra and Gres go to sbatch: --Name=Value, words as they are, and
	// --gres together with the GPUs that tasks want.
	Flags []Flag
	Extra []string
	Gres  string
	// CPUsPerTask is how many CPUs an element asks for and computes with; 0
	// leaves both to Slurm.
	CPUsPerTask int
	TasksPerJob int      // tasks in an element; 1
	Setup       []string // shell lines before each worker
	Export      []string // names of further variables that workers get
	Prefix      string   // of job names
	Keep        bool     // leave the files of arrays in state/slurm when all is done
	// CancelOnInterrupt ends workers with scancel at the first request to
	// stop, instead of letting them finish what is in flight.
	CancelOnInterrupt bool
	// Sequential submits one job at a time and waits until it has started.
	Sequential bool

	// LostAfter is how long a running worker may show no beat before it counts
	// as hung; 5 min: NFS clients may see a file late.
	LostAfter time.Duration
	// Grace is how long workers that were cancelled may take; 90 s.
	Grace time.Duration
	// Settle is how long the last words of a worker may take to become visible
	// after Slurm said that it ended; 15 s.
	Settle time.Duration
	// Poll is how often statuses are read; 1 s. Slurm is asked after 2 to 30
	// times that, depending on how much happens, and at most after MaxAsk.
	Poll   time.Duration
	MaxAsk time.Duration // 30 s
	// Unreachable is how long Slurm may not answer before Run gives up where
	// it cannot go on without; 2 min.
	Unreachable time.Duration
	Log         *slog.Logger

	positions map[string]source.Pos // of keys in the config
}

func (o *Options) pos(key string, p source.Pos) {
	if o.positions == nil {
		o.positions = map[string]source.Pos{}
	}
	o.positions[key] = p
}

func (o *Options) value(flag string) string {
	v := ""
	for _, f := range o.Flags {
		if f.Name == flag {
			v = f.Value
		}
	}
	return v
}

// Runner runs workers in Slurm.
type Runner struct {
	o Options
	c *client
}

var (
	_ runner.Runner   = (*Runner)(nil)
	_ runner.Scripter = (*Runner)(nil)
)

// New makes a Runner.
func New(o Options) *Runner {
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	if o.MaxNumWorkers <= 0 {
		o.MaxNumWorkers = 32
	}
	if o.TasksPerJob == 0 {
		o.TasksPerJob = 1
	}
	def(&o.LostAfter, 5*time.Minute)
	def(&o.Grace, 90*time.Second)
	def(&o.Settle, 15*time.Second)
	def(&o.Poll, time.Second)
	def(&o.MaxAsk, 30*time.Second)
	def(&o.Unreachable, 2*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{o: o, c: &client{environ: commandEnv(o.Environ)}}
}

// plan gives each element its work. Models are not grouped: every element has
// a machine, or a share of one, for itself.
func (r *Runner) plan(t *runner.Tracker, tasks int) []*runner.Work {
	n := max(tasks, 1)
	switch k := r.o.TasksPerJob; {
	case k == Auto:
		n = r.o.MaxNumWorkers
	case k > 1:
		n = max((tasks+4*k-1)/(4*k), 1)
	}
	works := t.Plan(n)
	for _, w := range works {
		alone(w)
	}
	return works
}

// alone lets no worker write to a dataset's main file: a node that Slurm took
// for dead may still run one, and append is not shared between machines.
func alone(w *runner.Work) {
	for i := range w.Units {
		w.Units[i].Sole = false
	}
}

// ungrouped is the stage as this runner sees it.
func ungrouped(stage *runner.Stage) *runner.Stage {
	c := *stage
	c.Group = nil
	return &c
}

// Run implements runner.Runner.
func (r *Runner) Run(ctx context.Context, stage *runner.Stage, sink event.Sink) (runner.Report, error) {
	stage = ungrouped(stage)
	t := runner.NewTracker(stage, sink)
	s := &stageRun{
		Runner: r, stage: stage, tracker: t, sink: sink, now: time.Now,
		noted: map[string]bool{}, logsMade: map[string]bool{}, drain: stage.Drain,
	}
	err := s.run(ctx)
	return t.Report(), err
}

// leaving reports whether jobs must be left alone when ctx has ended: another
// coordinator has the run, and may have taken them over.
func leaving(ctx context.Context) bool { return errors.Is(context.Cause(ctx), store.ErrLeaseLost) }
