package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sextant/internal/event"
	"sextant/internal/source"
)

// plainTask is what was last said about a task.
type plainTask struct {
	at   time.Time
	step int // tenths
}

// manyTasks is how many tasks of a stage still get lines of their own.
const manyTasks = 64

// stageLine says how far a stage of many tasks is, from time to time.
func (u *UI) stageLine(now time.Time) string {
	t := u.track
	last := u.plain[""]
	if last == nil {
		last = &plainTask{at: t.started}
		u.plain[""] = last
	}
	done := t.finished + t.failed
	step, since := done*10/max(t.total, 1), now.Sub(last.at)
	if done >= t.total || !(step > last.step && since >= u.o.Least || since >= u.o.Every) {
		return "" // the end has its own line
	}
	last.at, last.step = now, step
	line := fmt.Sprintf("%s: %d%%, %s of %s, %s", t.stage, percent(done, t.total), source.Number(done), source.Count(t.total, "task"), source.Count(t.samples, "sample"))
	if v, ok := t.rate.perSecond(now); ok {
		line += ", " + perSec(v)
	}
	if t.failed > 0 {
		line += ", " + source.Count(t.failed, "task") + " failed"
	}
	if t.badSample > 0 {
		line += ", " + source.Count(t.badSample, "sample") + " failed"
	}
	return line
}

// plainEvent says an event as a line where it is a milestone.
func (u *UI) plainEvent(e event.Event) {
	line := ""
	many := u.track.total > manyTasks
	if e.Kind == event.StageStarted {
		delete(u.plain, "")
	}
	switch e.Kind {
	case event.TaskStarted, event.TaskProgress, event.TaskFinished:
		if many {
			if line := u.stageLine(e.Time); line != "" {
				io.WriteString(u.o.Err, line+"\n")
			}
			return
		}
	}
	switch e.Kind {
	case event.TaskProgress:
		s := u.track.tasks[e.Task]
		p := s.sum()
		last := u.plain[e.Task]
		if last == nil {
			last = &plainTask{at: s.started}
			u.plain[e.Task] = last
		}
		step, since := 0, e.Time.Sub(last.at)
		if p.total > 0 {
			step = p.done * 10 / p.total
		}
		if p.done >= p.total || !(step > last.step && since >= u.o.Least || since >= u.o.Every) {
			return // the end has its own line
		}
		last.at, last.step = e.Time, step
		line = fmt.Sprintf("%s: %s: %d%%, %s of %s", u.track.stage, s.label, percent(p.done, p.total), source.Number(p.done), source.Count(p.total, "sample"))
		if v, ok := s.rate.perSecond(e.Time); ok {
			line += ", " + perSec(v)
			if d, ok := s.rate.left(p.total-p.done, e.Time); ok {
				line += ", " + clock(d) + " left"
			}
		}
		if p.failed > 0 {
			line += ", " + source.Number(p.failed) + " failed"
		}
	case event.SampleFailed:
		line = u.track.sampleFailed(e)
	case event.Note:
		line = e.Text
	default:
		line = u.eventLine(e)
	}
	if e.Kind == event.TaskFinished || e.Kind == event.TaskFailed || e.Kind == event.TaskStarted {
		delete(u.plain, e.Task)
	}
	if line != "" {
		io.WriteString(u.o.Err, Clean(strings.TrimPrefix(line, ": "))+"\n")
	}
}

// eventLine is the one line that says an event, "" for those without one.
func (u *UI) eventLine(e event.Event) string {
	pre := e.Stage
	if pre == "" {
		pre = u.track.stage
	}
	if e.Task != "" {
		pre += ": " + taskLabel(e)
	}
	switch e.Kind {
	case event.StageStarted:
		return fmt.Sprintf("%s: %s", pre, source.Count(e.Total, "task"))
	case event.TaskStarted:
		if e.Attempt > 1 {
			return fmt.Sprintf("%s: started, attempt %d", pre, e.Attempt)
		}
		return pre + ": started"
	case event.TaskRetried:
		return fmt.Sprintf("%s: retrying after: %s", pre, e.Error)
	case event.TaskFailed:
		s := fmt.Sprintf("%s: failed: %s", pre, e.Error)
		if e.Log != "" {
			s += " (log: " + e.Log + ")"
		}
		return s
	case event.TaskFinished:
		s := pre + ": done"
		if e.Done > 0 {
			s += ", " + source.Count(e.Done, "sample")
		}
		if e.Seconds > 0 {
			s += " in " + clock(time.Duration(e.Seconds*float64(time.Second)))
			if fresh := e.Done - e.Reused; fresh > 0 && e.Seconds >= 1 {
				s += ", " + perSec(float64(fresh)/e.Seconds)
			}
		}
		if e.Reused > 0 {
			s += ", " + source.Number(e.Reused) + " reused"
		}
		if e.Failed > 0 {
			s += ", " + source.Number(e.Failed) + " failed"
		}
		return s
	case event.StageDone:
		t := u.track
		s := fmt.Sprintf("%s: done, %s", pre, source.Count(t.finished, "task"))
		if t.finished+t.failed < t.total {
			s = fmt.Sprintf("%s: stopped, %s of %s done", pre, source.Number(t.finished), source.Count(t.total, "task"))
		}
		if t.samples > 0 {
			s += ", " + source.Count(t.samples, "sample")
		}
		if !t.started.IsZero() {
			s += " in " + clock(e.Time.Sub(t.started))
		}
		if t.failed > 0 {
			s += ", " + source.Count(t.failed, "task") + " failed"
		}
		if t.badSample > 0 {
			s += ", " + source.Count(t.badSample, "sample") + " failed"
		}
		return s
	}
	return ""
}
