//go:build linux

package chaos

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Fleet is what starts workers: a runner and what can go wrong with it besides
// the faults that all runners share.
type Fleet struct {
	Name string
	// Runner gives the runner dict of the inference stage, in the config
	// language, for a number of workers.
	Runner func(workers int) string
	// Import is the line that imports the runner's class.
	Import string
	// Faults are more faults. May be nil.
	Faults []Fault
	// Delayed says that workers hand in their records only every now and then:
	// how many questions are asked twice then depends on how long ago that was.
	Delayed bool
	// Restarts says that the fleet itself starts workers, and kills them, when
	// there is no coordinator: those that were cut off are counted afterwards.
	Restarts bool
}

// Local is the fleet of LocalRunner.
var Local = Fleet{
	Name:   "local",
	Import: "from opencompass.runners import LocalRunner",
	Runner: func(n int) string { return fmt.Sprintf("dict(type=LocalRunner, max_num_workers=%d, ", n) },
}

// Fault disturbs a session.
type Fault struct {
	Name string
	// Do disturbs s, in which work is under way, and returns what follows.
	Do func(l *Lab, s *Session, r *rand.Rand) Effect
}

// Effect is what a fault may have cost.
type Effect struct {
	Killed int  // workers that had no time to finish what was in flight
	Ended  int  // workers that were made to end, in whatever way
	Lost   int  // records that the fault destroyed
	Ends   bool // the session ends without finishing its work
	// Codes are the exit codes that the session may have; nil: 0 alone. A
	// session that had ended before always has 0.
	Codes []int
}

// What a worker has in flight, in questions: those that its requests belong
// to, as many answered ones on their way to the record, and the one being
// written. A question has a request for each label.
const (
	worker = 2*InFlight + 1
	labels = 3
)

// InFlight is how many requests the worker of Spec's model has in flight.
const InFlight = 4

// Spec is a config of a Soak: the founding evaluation's datasets, cut short, on
// the fake model, asked in several ways.
type Spec struct {
	Fleet     Fleet
	Workers   int
	Partition string // a partitioner dict
	Order     []int  // of the datasets; nil: as they are
	Model     string // more keys of the model dict
	Extra     string // lines at the end
}

// Config is the text of the config.
func (s Spec) Config() string {
	order := ""
	if s.Order != nil {
		order = fmt.Sprintf("datasets = [datasets[i] for i in %s]\n", strings.ReplaceAll(fmt.Sprint(s.Order), " ", ", "))
	}
	return fmt.Sprintf(`from mmengine.config import read_base

with read_base():
    from .datasets.siqa.siqa_ppl import siqa_datasets
    from .datasets.siqa.siqa_gen import siqa_datasets as siqa_gen
    from .datasets.winogrande.winogrande_ppl import winogrande_datasets
    from .datasets.winogrande.winogrande_gen import winogrande_datasets as winogrande_gen

from opencompass.models import FakeModel
from opencompass.partitioners import NaivePartitioner, SizePartitioner, NumWorkerPartitioner
from opencompass.runners import LocalRunner
%s
from opencompass.tasks import OpenICLInferTask, OpenICLEvalTask

def part(ds, abbr, rows):
    d = dict(ds[0])
    d['abbr'] = abbr
    d['reader_cfg'] = dict(d['reader_cfg'], test_range=rows)
    return d

datasets = [
    part(siqa_datasets, 'siqa', '[0:60]'),
    part(siqa_gen, 'siqa-gen', '[0:90]'),
    part(winogrande_datasets, 'winogrande', '[0:50]'),
    part(winogrande_gen, 'winogrande-gen', '[100:150]'),
]
%smodels = [dict(type=FakeModel, abbr='fake', path='fake', max_out_len=20, max_seq_len=2048, batch_size=8, in_flight=%d%s)]
infer = dict(partitioner=%s, runner=%stask=dict(type=OpenICLInferTask)))
eval = dict(partitioner=dict(type=NaivePartitioner), runner=dict(type=LocalRunner, max_num_workers=2, task=dict(type=OpenICLEvalTask)))
%s`, s.Fleet.Import, order, InFlight, s.Model, s.Partition, s.Fleet.Runner(s.Workers), s.Extra)
}

// partition picks a partitioner.
func partition(r *rand.Rand) string {
	switch r.Intn(3) {
	case 0:
		return "dict(type=NaivePartitioner)"
	case 1:
		return fmt.Sprintf("dict(type=SizePartitioner, max_task_size=%d, gen_task_coef=%d)", 20+r.Intn(300), 1+r.Intn(5))
	}
	return fmt.Sprintf("dict(type=NumWorkerPartitioner, num_worker=%d)", 1+r.Intn(6))
}

// Faults are those that any runner meets.
func Faults() []Fault {
	aWorker := func(sig syscall.Signal, times int) func(*Lab, *Session, *rand.Rand) Effect {
		return func(l *Lab, s *Session, r *rand.Rand) Effect {
			var e Effect
			for i := 0; i < times; i++ {
				ws := l.Workers()
				if len(ws) == 0 {
					break
				}
				if syscall.Kill(ws[r.Intn(len(ws))], sig) == nil {
					e.Ended++
					if sig == syscall.SIGKILL {
						e.Killed++
					}
				}
				if i+1 < times {
					time.Sleep(time.Duration(20+r.Intn(200)) * time.Millisecond)
				}
			}
			return e
		}
	}
	coordinator := func(code int, sigs ...syscall.Signal) func(*Lab, *Session, *rand.Rand) Effect {
		return func(l *Lab, s *Session, r *rand.Rand) Effect {
			e := Effect{Codes: []int{code}, Ends: true}
			for i, sig := range sigs {
				if i > 0 {
					time.Sleep(time.Duration(r.Intn(30)) * time.Millisecond)
					e.Killed = len(l.Workers()) // the second one cuts off
				}
				s.Signal(sig)
			}
			return e
		}
	}
	everything := func(l *Lab, s *Session, _ *rand.Rand) Effect {
		s.Signal(syscall.SIGKILL)
		e := Effect{Codes: []int{-1}, Ends: true}
		for i := 0; i < 3; i++ { // those that were being started too
			for _, pid := range l.Workers() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					e.Killed++
				}
			}
			time.Sleep(time.Millisecond)
		}
		return e
	}
	fs := []Fault{
		{"kill -9 a worker", aWorker(syscall.SIGKILL, 1)},
		{"kill -9 workers twice", aWorker(syscall.SIGKILL, 2)},
		{"SIGTERM a worker", aWorker(syscall.SIGTERM, 1)},
		{"kill -9 the coordinator", coordinator(-1, syscall.SIGKILL)},
		{"kill -9 everything", everything},
		{"kill -9 everything, half a line written", func(l *Lab, s *Session, r *rand.Rand) Effect {
			e := everything(l, s, r)
			s.Wait()
			l.Quiet()
			e.Lost = l.tear(r)
			return e
		}},
		{"Ctrl-C", coordinator(130, syscall.SIGINT)},
		{"SIGTERM the coordinator", coordinator(130, syscall.SIGTERM)},
		{"Ctrl-C twice", coordinator(130, syscall.SIGINT, syscall.SIGINT)},
		{"a second coordinator", func(l *Lab, s *Session, _ *rand.Rand) Effect {
			for begin := time.Now(); ; time.Sleep(time.Millisecond) {
				if s.Ended() || time.Since(begin) > patience {
					return Effect{}
				}
				// before that there is no run to work on
				if b, err := os.ReadFile(filepath.Join(l.RunDir(), "coordinator.json")); err == nil && strings.Contains(string(b), fmt.Sprintf(`"pid":%d,`, s.cmd.Process.Pid)) {
					break
				}
			}
			two := l.Start("-r", "latest")
			code := two.Wait()
			// The first may end while the second comes up. It has given the run
			// back a moment before that can be seen.
			for i := 0; code != 1 && !s.Ended() && i < 200; i++ {
				time.Sleep(5 * time.Millisecond)
			}
			if (code != 1 || !strings.Contains(two.Stderr(), "is being worked on by another coordinator")) && !s.Ended() {
				l.T.Errorf("a second coordinator was not refused: exit code %d\n%s", code, two.Stderr())
			}
			return Effect{}
		}},
		{"the clock jumps", func(l *Lab, s *Session, r *rand.Rand) Effect {
			l.shiftTimes(r)
			return Effect{}
		}},
	}
	return fs
}

// tear leaves a file of records as a machine does that died while it wrote:
// with part of another line at its end, or without the end of its last line. It
// returns how many records that cost.
func (l *Lab) tear(r *rand.Rand) int {
	l.T.Helper()
	files := l.RecordFiles()
	if len(files) == 0 {
		return 0
	}
	p := files[r.Intn(len(files))]
	b, err := os.ReadFile(p)
	if err != nil || len(b) == 0 {
		return 0
	}
	last := strings.LastIndexByte(strings.TrimSuffix(string(b), "\n"), '\n') + 1
	cut := last + r.Intn(len(b)-last)
	if r.Intn(2) == 0 {
		b = append(b, b[last:cut]...)
		if err := os.WriteFile(p, b, 0o666); err != nil {
			l.T.Fatal(err)
		}
		return 0
	}
	if err := os.Truncate(p, int64(cut)); err != nil {
		l.T.Fatal(err)
	}
	return 1
}

// shiftTimes gives files of the run times that are days off, as after a clock
// was set: nothing may depend on them.
func (l *Lab) shiftTimes(r *rand.Rand) {
	run := l.RunDir()
	if run == "" {
		return
	}
	_ = filepath.WalkDir(run, func(p string, _ os.DirEntry, err error) error {
		if err == nil {
			at := time.Now().Add(time.Duration(r.Intn(20)-10) * 24 * time.Hour)
			_ = os.Chtimes(p, at, at) // it may be gone again
		}
		return nil
	})
}

// gaveUp is what is said of a task that is not tried again.
var gaveUp = regexp.MustCompile(`\(\d times in a row for the same reason; not tried again\)|\(\d attempts\)`)

// Soak runs one round: a run that is disturbed several times, with other
// numbers of workers, partitioners, orders and stages each time it is started
// again, and then let come to its end. want are the final files of an
// undisturbed run of Spec{Fleet: f}; wall is about how long that takes.
// The steps are logged, so that a failure can be understood from its seed.
func Soak(l *Lab, f Fleet, seed int64, want map[string]string, wall time.Duration) {
	l.T.Helper()
	r := rand.New(rand.NewSource(seed))
	faults := append(Faults(), f.Faults...)
	var steps []string
	defer func() {
		if l.T.Failed() {
			l.T.Logf("seed %d:\n  %s\nkept in %s", seed, strings.Join(steps, "\n  "), l.Keep())
		}
	}()
	var seen int64 // how far the request log was read
	questions := 0 // that may have been asked twice
	inferred := false
	const sessions = 6
	for i := 0; ; i++ {
		last := i == sessions
		spec := Spec{Fleet: f, Workers: 1 << r.Intn(4), Partition: partition(r)}
		var args []string
		if l.RunDir() != "" {
			args = append(args, "-r", "latest")
		}
		mode := "all"
		if !last {
			spec.Order = r.Perm(4)
			switch {
			case inferred && r.Intn(2) == 0:
				mode = "eval"
			case r.Intn(4) == 0:
				mode = "infer"
			}
			if mode != "all" {
				args = append(args, "-m", mode)
			}
		}
		l.Config(spec.Config())
		// In this order: what an orphan asks and records between the two is no
		// request of this session.
		recorded := l.Recorded()
		_, mark := l.Requests(seen)
		// Workers that finish for a coordinator that is gone: the next one may
		// ask what they have in flight.
		orphans := len(l.Workers())
		questions += orphans * worker
		s := l.Start(args...)
		codes := []int{0}
		lost, ended := 0, 0
		var story []string
		for !last && !s.Ended() {
			// More often early than late: there is more to break.
			wait := time.Duration(float64(wall) * 2 / float64(min(spec.Workers, 4)) * r.Float64() * r.Float64())
			time.Sleep(wait)
			if s.Ended() {
				break
			}
			fault := faults[r.Intn(len(faults))]
			e := fault.Do(l, s, r)
			story = append(story, fmt.Sprintf("%v later: %s", wait.Round(time.Millisecond), fault.Name))
			questions += e.Killed*worker + e.Lost
			lost += e.Lost
			ended += e.Ended
			codes = append(codes, e.Codes...)
			if e.Ends || len(story) == 3 {
				break
			}
		}
		code := s.Wait()
		if r.Intn(2) == 0 {
			l.Quiet()
		}
		asked, at := l.Requests(mark)
		seen = at
		again := 0
		for id := range asked.Begun {
			if recorded.Asked[id] {
				again++
			}
		}
		steps = append(steps, fmt.Sprintf("%d workers, %s, %v, %d orphans, %d records: %s; exit code %d, %d requests",
			spec.Workers, spec.Partition, args, orphans, recorded.Rows, strings.Join(story, ", "), code, asked.Total))
		// A signal may come before the program has begun to listen.
		ok := code == -1 && len(codes) > 1 && s.Stderr() == ""
		for _, c := range codes {
			ok = ok || c == code
		}
		// A task whose worker dies three times before it gets any further is not
		// tried again: a machine that is slow to start workers lets that happen.
		ok = ok || code == 3 && ended >= 3 && gaveUp.MatchString(s.Stderr())
		if !ok {
			l.T.Errorf("exit code %d, expected one of %v\n%s", code, codes, s.Stderr())
			return
		}
		if again > 0 {
			l.T.Errorf("%d requests were made although their answers had been recorded", again)
			return
		}
		if last {
			break
		}
		// what lacks a record cannot be evaluated alone
		inferred = (inferred || code == 0) && lost == 0
		if code == 0 && mode == "all" {
			i = max(i, sessions-2) // it is complete: one more, and the end
		}
	}
	l.Quiet()
	l.Same(want)
	all, _ := l.Requests(0)
	twice := 0
	for _, n := range all.Begun {
		twice += n - 1
	}
	if f.Restarts {
		questions = max(questions, all.Cut*worker)
	}
	if twice > questions*labels && !f.Delayed {
		l.T.Errorf("%d requests were made twice; the %d questions in flight account for %d at most", twice, questions, questions*labels)
	}
	l.T.Logf("seed %d: %d sessions, %d requests, %d made twice (questions in flight at most %d)\n  %s", seed, len(steps), all.Total, twice, questions, strings.Join(steps, "\n  "))
}
