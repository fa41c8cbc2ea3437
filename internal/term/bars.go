package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"sextant/internal/event"
	"sextant/internal/source"
)

// cells measures text as terminals draw it, whatever the locale says.
var cells = &runewidth.Condition{StrictEmojiNeutral: true}

// Redraw draws the bars anew, on a terminal.
func (u *UI) Redraw() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.animated {
		return
	}
	u.erase()
	u.draw()
}

// erase takes the bars off the screen, leaving the cursor at their start.
func (u *UI) erase() {
	if u.drawn > 0 {
		fmt.Fprintf(u.o.Err, "\r\x1b[%dA\x1b[J", u.drawn)
		u.drawn = 0
	}
}

// draw puts the bars on the screen, below everything else. No line is as wide
// as the screen, as a wrapped one could not be erased.
func (u *UI) draw() {
	if !u.animated {
		return
	}
	lines := u.track.lines(u.width()-1, u.o.MaxRows, u.o.Now(), u.errStyle)
	if len(lines) > 0 {
		io.WriteString(u.o.Err, strings.Join(lines, "\n")+"\n")
	}
	u.drawn = len(lines)
}

// barsEvent says for good what must not scroll away with the bars.
func (u *UI) barsEvent(e event.Event) {
	line := ""
	switch e.Kind {
	case event.TaskFailed, event.TaskRetried:
		line = u.eventLine(e)
	case event.SampleFailed:
		line = u.track.sampleFailed(e)
	case event.Note:
		line = e.Text
	case event.StageDone:
		line = u.eventLine(e)
	case event.RunDone:
		u.erase()
		u.track = newTracker()
		return
	}
	if line == "" {
		return // drawn with the next tick
	}
	u.erase()
	io.WriteString(u.o.Err, Clean(line)+"\n")
	if e.Kind == event.StageDone {
		u.track = newTracker()
	}
	u.draw()
}

// lines are the rows of progress, at most width columns wide: one for the
// stage, one for each running task, and how many more there are.
func (t *tracker) lines(width, maxRows int, now time.Time, st style) []string {
	if t.stage == "" && len(t.order) == 0 {
		return nil
	}
	out := []string{t.stageLine(width, now, st)}
	shown := t.order
	if len(shown) > maxRows {
		shown = shown[:maxRows]
	}
	label, room := 0, max(10, width/3)
	names := make([]string, len(shown))
	for i, n := range shown {
		s := t.tasks[n]
		if names[i] = Clean(s.label); cells.StringWidth(names[i]) > room && s.dataset != "" {
			names[i] = Clean(s.dataset) // rather than half of both names
		}
		label = max(label, cells.StringWidth(names[i]))
	}
	label = min(label, room)
	for i, n := range shown {
		out = append(out, t.tasks[n].line(names[i], width, label, now, st))
	}
	if more := len(t.order) - len(shown); more > 0 {
		out = append(out, st.faint(cut(fmt.Sprintf("  … and %s", source.Count(more, "more task")), width)))
	}
	return out
}

func (t *tracker) stageLine(width int, now time.Time, st style) string {
	parts := []string{fmt.Sprintf("%s/%s", source.Number(t.finished+t.failed), source.Count(t.total, "task"))}
	samples, bad := t.samples, t.badSample
	for _, s := range t.tasks {
		p := s.sum()
		samples += p.done
		bad += p.failed
	}
	if samples > 0 {
		parts = append(parts, source.Count(samples, "sample"))
	}
	if v, ok := t.rate.perSecond(now); ok && len(t.order) > 1 {
		parts = append(parts, perSec(v))
	}
	parts = append(parts, clock(now.Sub(t.started))+" elapsed")
	line := fmt.Sprintf("%-5s %s", t.stage, strings.Join(parts, ", "))
	trouble := ""
	if t.failed > 0 {
		trouble += ", " + source.Count(t.failed, "task") + " failed"
	}
	if bad > 0 {
		trouble += ", " + source.Count(bad, "sample") + " failed"
	}
	line = cut(line, width)
	trouble = cut(trouble, width-cells.StringWidth(line))
	return st.bold(line) + st.red(trouble)
}

// line is one running task:
//
//	opt-demo/siqa        ━━━━━━━━━━╸─────────  52%  1,016/1,954  98.2/s  0:10 left
func (s *taskState) line(name string, width, label int, now time.Time, st style) string {
	p := s.sum()
	name = cut(name, label)
	name += strings.Repeat(" ", max(0, label-cells.StringWidth(name)))
	if p.total == 0 {
		return "  " + name + "  " + st.faint(cut("starting, "+clock(now.Sub(s.started)), width-label-4))
	}
	right := fmt.Sprintf("%3d%%  %s/%s", percent(p.done, p.total), source.Number(p.done), source.Number(p.total))
	if v, ok := s.rate.perSecond(now); ok {
		right += "  " + perSec(v)
		if d, ok := s.rate.left(p.total-p.done, now); ok && p.done < p.total {
			right += "  " + clock(d) + " left"
		}
	}
	trouble := ""
	if p.failed > 0 {
		trouble = "  " + source.Number(p.failed) + " failed"
	}
	room := width - 2 - label - 2 - 2 - len(right) - len(trouble)
	line := "  " + name + "  "
	if room >= 6 {
		line += bar(min(room, 40), p.done, p.total, st) + "  "
	} else {
		right = cut(right, width-2-label-2-len(trouble))
	}
	return line + right + st.red(trouble)
}

// percent rounds down, so that 100 % means done.
func percent(done, total int) int {
	if total <= 0 {
		return 0
	}
	return min(100, done*100/total)
}

// bar is done of total as n characters.
func bar(n, done, total int, st style) string {
	half := 0
	if total > 0 {
		half = min(2*n, done*2*n/total)
	}
	full := strings.Repeat("━", half/2)
	rest := n - half/2
	if half%2 == 1 {
		full += "╸"
		rest--
	}
	return st.cyan(full) + st.faint(strings.Repeat("─", rest))
}

// cut shortens s to n columns, with an ellipsis.
func cut(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if cells.StringWidth(s) <= n {
		return s
	}
	return cells.Truncate(s, n, "…")
}
