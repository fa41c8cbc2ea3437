// Package term owns the terminal: it is the only package that decides what a
// person sees while a run goes on. New makes a UI from streams and facts about
// them; the UI says notes, warnings and errors, renders diagnostics, draws
// tables and shows progress from the events of a run (it is an event.Sink).
//
// Four forms: bars that are redrawn on a terminal, plain lines at milestones
// in a pipe or in CI, JSON Lines with JSON, and nothing but warnings
// and errors with Quiet.
//
// It knows no flags and no environment: those come in through Options. The
// progress lines are drawn here and not by a library of bars, because rows
// come and go, are bounded in number, and are tested as plain text.
package term

// Rules of tone, for everything that the program says:
//
//   - stdout is the result, stderr the rest.
//   - Say what happened and what to do, once. Lower case, no full stop at the
//     end of one sentence, no "please", no "sorry", no "successfully", no "!".
//   - Prefix only what needs attention: "warning: ", "error: ". A note has none.
//   - Name things as the user wrote them: abbrs, paths, keys. Quote only what
//     could be empty or hold spaces.
//   - Numbers carry their unit; thousands are grouped: 1,954 samples, 98.2/s.
//   - Colour says nothing that the words do not say.
//   - The last line of a run says where the results are.

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sextant/internal/event"
	"sextant/internal/source"
	"sextant/internal/summary"
)

// Options is the outside world as far as a terminal matters.
type Options struct {
	Out, Err       io.Writer // results; everything else
	OutTTY, ErrTTY bool      // whether these are terminals
	// Width returns the columns of the terminal, 0 when not known (then 80).
	// It is asked again for every drawing, as windows change. May be nil.
	Width func() int
	// NoColor: NO_COLOR is set. Dumb: TERM is "dumb" or empty. CI: CI is set.
	NoColor, Dumb, CI bool
	Quiet             bool // warnings and errors only; results still go to Out
	JSON              bool // JSON Lines on Out, see jsonLine
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Refresh is how often bars are redrawn, default 100 ms. Negative: only
	// when Redraw is called (tests).
	Refresh time.Duration
	// Every is the longest silence of a running task in plain form, default
	// 30 s; Least the shortest time between two of its lines, default 2 s.
	Every, Least time.Duration
	// MaxRows bounds the rows of running tasks on a terminal, default 8.
	MaxRows int
	// Files resolves the positions of diagnostics; may be nil, and set later
	// with SetFiles.
	Files *source.Set
}

// UI is the terminal of a run. Safe for concurrent use. Close it at the end.
type UI struct {
	o        Options
	animated bool
	errStyle style

	mu    sync.Mutex // guards what follows and both streams
	files *source.Set
	track *tracker
	drawn int // lines of progress on the screen now
	plain map[string]*plainTask
	stop  chan struct{}
	done  chan struct{}
}

var _ event.Sink = (*UI)(nil)

// New starts the UI. On a terminal a goroutine redraws the bars until Close.
func New(o Options) *UI {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Refresh == 0 {
		o.Refresh = 100 * time.Millisecond
	}
	if o.Every == 0 {
		o.Every = 30 * time.Second
	}
	if o.Least == 0 {
		o.Least = 2 * time.Second
	}
	if o.MaxRows == 0 {
		o.MaxRows = 8
	}
	u := &UI{
		o: o, files: o.Files, track: newTracker(), plain: map[string]*plainTask{},
		animated: o.ErrTTY && !o.Dumb && !o.CI && !o.Quiet && !o.JSON,
		errStyle: style{o.ErrTTY && !o.NoColor && !o.Dumb && !o.JSON},
	}
	if u.animated && o.Refresh > 0 {
		u.stop, u.done = make(chan struct{}), make(chan struct{})
		go u.loop()
	}
	return u
}

func (u *UI) loop() {
	defer close(u.done)
	t := time.NewTicker(u.o.Refresh)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			u.Redraw()
		case <-u.stop:
			return
		}
	}
}

// Close removes the bars and stops redrawing. Later notes are still printed.
func (u *UI) Close() {
	if u.stop != nil {
		close(u.stop)
		<-u.done
		u.stop = nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	u.animated = false
}

// SetFiles says where the positions of diagnostics lead.
func (u *UI) SetFiles(files *source.Set) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.files = files
}

func (u *UI) width() int {
	if u.o.Width != nil {
		if w := u.o.Width(); w > 0 {
			return w
		}
	}
	return 80
}

// say prints text (with its newline) on stderr, above the bars.
func (u *UI) say(kind, plain, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.o.JSON {
		u.jsonLine(message{Kind: kind, Time: u.o.Now(), Text: strings.TrimRight(plain, "\n")})
		return
	}
	u.erase()
	io.WriteString(u.o.Err, text) // a closed stderr must not stop a run
	u.draw()
}

// Note says something that the user should know.
func (u *UI) Note(format string, args ...any) {
	if u.o.Quiet {
		return
	}
	s := Clean(fmt.Sprintf(format, args...)) + "\n"
	u.say("note", s, s)
}

// Warn says that a result may differ from what was asked.
func (u *UI) Warn(format string, args ...any) {
	s := Clean(fmt.Sprintf(format, args...)) + "\n"
	u.say("warning", s, u.errStyle.yellow("warning:")+" "+s)
}

// Error says why something failed. Diagnostics in the tree of err are shown
// with their source line; anything else as one line.
func (u *UI) Error(err error) { u.problem("error", errorPrefix, u.errStyle.red, err) }

const errorPrefix = "error:"

// WarnError is Error for what does not stop the run.
func (u *UI) WarnError(err error) { u.problem("warning", "warning:", u.errStyle.yellow, err) }

func (u *UI) problem(kind, prefix string, paint func(string) string, err error) {
	if err == nil {
		return
	}
	u.mu.Lock()
	files := u.files
	u.mu.Unlock()
	ds := source.Diagnostics(err)
	if len(ds) == 0 {
		s := Clean(err.Error()) + "\n"
		u.say(kind, s, paint(prefix)+" "+s)
		return
	}
	for _, d := range ds {
		plain := Clean(files.Render(d))
		u.say(kind, plain, paintDiagnostic(u.errStyle, plain, prefix, paint))
	}
}

// paintDiagnostic colours what source.Set.Render wrote and puts the prefix
// behind the position. An error with a position needs none: that it stands
// first says it.
func paintDiagnostic(st style, text, prefix string, paint func(string) string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, l := range lines {
		t := strings.TrimSpace(l)
		switch {
		case i == 0:
			pos, msg := "", l
			if p := positionEnd(l); p > 0 {
				pos, msg = l[:p], l[p:]
			}
			if pos != "" {
				pos = st.bold(pos) + " "
			}
			if pos == "" || prefix != errorPrefix {
				pos += paint(prefix) + " "
			}
			lines[i] = pos + st.bold(strings.TrimPrefix(msg, " "))
		case strings.HasPrefix(t, "^") && strings.Trim(t, "^") == "":
			lines[i] = strings.Replace(l, t, paint(t), 1)
		case strings.HasPrefix(l, "  hint:"):
			lines[i] = "  " + st.green("hint:") + strings.TrimPrefix(l, "  hint:")
		case strings.HasPrefix(l, "  imported at"):
			lines[i] = st.faint(l)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// positionEnd is the length of a leading "file:line:col:", or 0.
func positionEnd(l string) int {
	i := strings.Index(l, ": ")
	if i < 0 {
		return 0
	}
	parts := strings.Split(l[:i], ":")
	if len(parts) < 3 {
		return 0
	}
	for _, p := range parts[len(parts)-2:] {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return 0
		}
	}
	return i + 1
}

// Table draws tables on stdout. In JSON form each is one line.
func (u *UI) Table(tables ...*summary.Table) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	defer u.draw()
	for i, t := range tables {
		if u.o.JSON {
			u.jsonLine(tableLine(u.o.Now(), t))
			continue
		}
		if i > 0 {
			io.WriteString(u.o.Out, "\n")
		}
		o := DrawOptions{Color: u.o.OutTTY && !u.o.NoColor && !u.o.Dumb, Unicode: u.o.OutTTY && !u.o.Dumb}
		if u.o.OutTTY {
			o.Width = u.width()
		}
		io.WriteString(u.o.Out, Draw(t, o))
	}
}

// Print writes text to stdout as it is: a result that is no table. In JSON
// form it is left out.
func (u *UI) Print(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.o.JSON {
		return
	}
	u.erase()
	io.WriteString(u.o.Out, text)
	u.draw()
}

// Emit takes an event of the run.
func (u *UI) Emit(e event.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = u.o.Now()
	}
	u.track.take(e)
	switch {
	case u.o.JSON:
		u.jsonLine(e)
	case u.o.Quiet:
	case u.animated:
		u.barsEvent(e)
	default:
		u.plainEvent(e)
	}
}

// message is what JSON form says beside the events.
type message struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"` // note, warning, error
	Text string    `json:"text"`
}

// jsonLine writes one line. Every line is an object with "kind" and "time";
// kinds and fields are only ever added. Kinds: those of package event, and
// note, warning, error, table.
func (u *UI) jsonLine(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(message{u.o.Now(), "error", "encode: " + err.Error()})
	}
	u.o.Out.Write(append(b, '\n'))
}

// style paints for a terminal, or not at all. The sixteen colours of the
// terminal's own theme are used, so that both dark and light themes do.
type style struct{ on bool }

func (s style) sgr(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.sgr("1", t) }
func (s style) faint(t string) string  { return s.sgr("2", t) }
func (s style) red(t string) string    { return s.sgr("31", t) }
func (s style) green(t string) string  { return s.sgr("32", t) }
func (s style) yellow(t string) string { return s.sgr("33", t) }
func (s style) cyan(t string) string   { return s.sgr("36", t) }

// Clean makes foreign text harmless for a terminal: control characters, which
// could move the cursor or set the title, become visible. Newlines and tabs
// stay.
func Clean(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isControl(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f || r == 0x202e || r == 0x2066 || r == 0x2067 || r == 0x2068
}
