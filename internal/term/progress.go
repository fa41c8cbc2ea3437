package term

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sextant/internal/event"
	"sextant/internal/source"
)

// tracker is the state of a run as the events tell it. Pure but for its own
// fields; the caller locks.
type tracker struct {
	stage     string
	total     int // tasks of the stage
	finished  int
	failed    int
	started   time.Time // of the stage
	tasks     map[string]*taskState
	order     []string        // running tasks, oldest first
	samples   int             // done in finished tasks of the stage
	badSample int             // failed in finished tasks
	rate      rate            // of the stage
	reasons   map[string]bool // why samples failed, those told
}

// maxReasons is how many different reasons of failed samples are told in a
// stage: the first sample of each.
const maxReasons = 5

var digits = regexp.MustCompile(`\d+`)

// sampleFailed is the line for a failed sample, "" when its reason was told
// already. Reasons that differ in numbers alone are one.
func (t *tracker) sampleFailed(e event.Event) string {
	k := digits.ReplaceAllString(e.Error, "0")
	if t.reasons[k] || len(t.reasons) >= maxReasons {
		return ""
	}
	if t.reasons == nil {
		t.reasons = map[string]bool{}
	}
	t.reasons[k] = true
	return fmt.Sprintf("%s: %s: row %d has no answer: %s", t.stage, taskLabel(e), e.Index, e.Error)
}

// taskState is one running task.
type taskState struct {
	label   string // "opt-demo/siqa"
	model   string
	dataset string
	started time.Time
	parts   map[string]*partState // by dataset
	order   []string
	rate    rate
	attempt int
}

type partState struct{ done, total, failed, reused int }

func (t *taskState) sum() partState {
	var s partState
	for _, p := range t.parts {
		s.done += p.done
		s.total += p.total
		s.failed += p.failed
		s.reused += p.reused
	}
	return s
}

func newTracker() *tracker { return &tracker{tasks: map[string]*taskState{}} }

// task finds or makes the state of the event's task.
func (t *tracker) task(e event.Event) *taskState {
	s := t.tasks[e.Task]
	if s == nil {
		s = &taskState{started: e.Time, parts: map[string]*partState{}, label: taskLabel(e)}
		t.tasks[e.Task] = s
		t.order = append(t.order, e.Task)
	}
	if e.Model != "" && s.model == "" {
		s.model = e.Model
	}
	if e.Dataset != "" && s.dataset == "" {
		s.dataset = e.Dataset
	}
	if s.model != "" && s.dataset != "" && len(s.parts) <= 1 {
		s.label = taskLabel(event.Event{Task: e.Task, Model: s.model, Dataset: s.dataset})
	}
	return s
}

// taskLabel is what a task is called on the screen: its name without the
// prefix of its kind, which says which part of a dataset it is; of a task with
// several datasets the first. Names without that shape give way to
// model/dataset.
func taskLabel(e event.Event) string {
	if i := strings.IndexByte(e.Task, '['); i >= 0 && strings.HasSuffix(e.Task, "]") {
		first, more, several := strings.Cut(e.Task[i+1:len(e.Task)-1], ",")
		if several {
			first += fmt.Sprintf(" and %d more", strings.Count(more, ",")+1)
		}
		return first
	}
	if e.Model != "" && e.Dataset != "" {
		return e.Model + "/" + e.Dataset
	}
	return e.Task
}

func (t *tracker) drop(task string) {
	delete(t.tasks, task)
	for i, n := range t.order {
		if n == task {
			t.order = append(t.order[:i], t.order[i+1:]...)
			return
		}
	}
}

// take folds one event in.
func (t *tracker) take(e event.Event) {
	switch e.Kind {
	case event.StageStarted:
		*t = tracker{stage: e.Stage, total: e.Total, started: e.Time, tasks: map[string]*taskState{}}
	case event.TaskStarted:
		t.drop(e.Task) // a retry starts anew
		s := t.task(e)
		s.attempt = e.Attempt
	case event.TaskProgress:
		s := t.task(e)
		p := s.parts[e.Dataset]
		if p == nil {
			p = &partState{}
			s.parts[e.Dataset] = p
			s.order = append(s.order, e.Dataset)
		}
		before := p.done - p.reused
		p.done, p.total, p.failed, p.reused = e.Done, e.Total, e.Failed, e.Reused
		fresh := (p.done - p.reused) - before
		if fresh > 0 || s.rate.from.IsZero() {
			s.rate.add(max(0, fresh), e.Time)
		}
		if fresh > 0 || t.rate.from.IsZero() {
			t.rate.add(max(0, fresh), e.Time)
		}
	case event.TaskFailed:
		t.failed++
		t.leave(e)
	case event.TaskFinished:
		t.finished++
		t.leave(e)
	}
}

func (t *tracker) leave(e event.Event) {
	if s := t.tasks[e.Task]; s != nil {
		sum := s.sum()
		t.samples += max(sum.done, e.Done)
		t.badSample += max(sum.failed, e.Failed)
	} else {
		t.samples += e.Done
		t.badSample += e.Failed
	}
	t.drop(e.Task)
}

// Rates are smoothed over about rateSpan, and nothing is said about them
// before rateWarm has passed: the first batch says little.
const (
	rateSpan = 10 * time.Second
	rateWarm = 1500 * time.Millisecond
)

// rate is an exponentially weighted mean of samples per second, corrected for
// its start, so that it is the plain mean at first.
type rate struct {
	from, last time.Time
	gap        time.Duration // between the last two additions
	sum        float64       // weighted rate
	weight     float64       // of what is in sum, below 1
}

// add counts n samples that were done since the last addition. The first
// call starts the clock: what was done before it took unknown time, with the
// model being loaded.
func (r *rate) add(n int, now time.Time) {
	if r.from.IsZero() {
		r.from, r.last = now, now
		return
	}
	dt := now.Sub(r.last)
	if dt <= 0 { // events of one batch
		dt = time.Millisecond
	}
	keep := math.Exp(-dt.Seconds() / rateSpan.Seconds())
	r.sum = r.sum*keep + float64(n)/dt.Seconds()*(1-keep)
	r.weight = r.weight*keep + (1 - keep)
	r.last, r.gap = now, dt
}

// perSecond is the rate now; ok is false while too little is known. When
// nothing came for more than twice the last gap it falls.
func (r *rate) perSecond(now time.Time) (v float64, ok bool) {
	if r.weight == 0 || now.Sub(r.from) < rateWarm {
		return 0, false
	}
	sum, weight := r.sum, r.weight
	if idle := now.Sub(r.last) - 2*r.gap; idle > 0 {
		keep := math.Exp(-idle.Seconds() / rateSpan.Seconds())
		sum, weight = sum*keep, weight*keep+(1-keep)
	}
	return sum / weight, true
}

// left is the time until n more samples are done, ok false when not known.
func (r *rate) left(n int, now time.Time) (time.Duration, bool) {
	v, ok := r.perSecond(now)
	if !ok || v <= 0 || n < 0 {
		return 0, false
	}
	s := float64(n) / v
	if s > 99*3600 {
		return 0, false
	}
	return time.Duration(s * float64(time.Second)), true
}

// perSec writes a rate with three significant digits.
func perSec(v float64) string {
	switch {
	case v >= 999.5:
		return source.Number(int(math.Round(v))) + "/s"
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + "/s"
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	case v >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64) + "/s"
	case v > 0: // slow: seconds for each
		return strconv.FormatFloat(1/v, 'f', 0, 64) + " s each"
	}
	return "0/s"
}

// clock writes 0:07, 12:34, 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s < 0 {
		s = 0
	}
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
