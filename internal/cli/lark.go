package cli

import (
	"fmt"
	"strings"
	"time"

	"sextant/internal/notify"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/spec"
	"sextant/internal/task"
	"sextant/internal/term"
)

// larkKey is the key of a config, or of a runner in it, that holds the address
// of a webhook.
const larkKey = "lark_bot_url"

// lark posts how a run goes. The zero value posts nothing.
type lark struct {
	queue *notify.Queue
	user  string
	run   *notify.Lark            // -l: the whole run
	stage map[string]*notify.Lark // by stage: -l, or the runner's own
	limit time.Duration           // for the last messages
}

// newLark makes what -l and the runners of the config ask for. An address
// that is none is told without repeating it, or the line that it stands in.
func (a *app) newLark(f *runFlags, exp *spec.Experiment, ui *term.UI) (*lark, error) {
	l := &lark{stage: map[string]*notify.Lark{}}
	bot := func(d *py.Dict, where string) (*notify.Lark, error) {
		v := d.Get(larkKey)
		if v == nil || v == "" {
			return nil, nil
		}
		s, _ := v.(string)
		b, err := notify.NewLark(s, nil, a.env.PostLimit)
		if err != nil {
			at := where
			if p, ok := a.files.Position(d.PosOf(larkKey)); ok {
				at = fmt.Sprintf("%s:%d:%d", p.File.Name, p.Line, p.Col)
			}
			return nil, usagef("%s: %s is %w", at, larkKey, err)
		}
		return b, nil
	}
	var err error
	if f.Lark {
		if l.run, err = bot(exp.Config, "config"); err != nil {
			return nil, err
		}
	}
	for name, st := range map[string]*spec.Stage{task.Infer: exp.Infer, task.Eval: exp.Eval} {
		if l.stage[name] = l.run; l.run == nil {
			if l.stage[name], err = bot(st.Runner, "runner of "+name); err != nil {
				return nil, err
			}
		}
	}
	wanted := l.run != nil || l.stage[task.Infer] != nil || l.stage[task.Eval] != nil
	switch {
	case wanted && f.Offline:
		ui.Note("nothing is posted to Lark: --offline allows no network")
		return &lark{}, nil
	case f.Lark && !wanted:
		ui.Note("--lark has no effect: the config has no %s", larkKey)
	}
	if !wanted || f.DryRun || f.DumpOnlyMessagePath != "" {
		return &lark{}, nil
	}
	l.user, l.limit = a.userName(), a.env.PostLimit
	if l.limit <= 0 {
		l.limit = notify.Limit
	}
	l.queue = notify.NewQueue(func(err error) { ui.Note("a message to Lark did not arrive: %v", err) })
	return l, nil
}

// close waits for the last messages.
func (l *lark) close() {
	if l.queue != nil {
		l.queue.Close(l.limit)
		l.queue = nil
	}
}

func (l *lark) post(bot *notify.Lark, m notify.Message) {
	if l.queue != nil && bot != nil {
		l.queue.Post(bot, m)
	}
}

func (l *lark) launched() {
	l.post(l.run, notify.Message{Text: l.user + "'s task has been launched!"})
}

// maxTold is how many tasks a message names.
const maxTold = 50

// stageDone tells how the tasks of a stage ended.
func (l *lark) stageDone(stage string, st *spec.Stage, rep []runner.TaskReport) {
	var done, failed, stopped []string
	for _, t := range rep {
		switch t.State {
		case task.Done:
			done = append(done, t.Name)
		case task.Failed:
			failed = append(failed, t.Name)
		default:
			stopped = append(stopped, t.Name)
		}
	}
	m := notify.Message{Title: "Great news: all tasks finished!"}
	text := fmt.Sprintf("%s's %s tasks finished. %d tasks succeeded", l.user, registry.Base(st.Task.Str("type")), len(done))
	names := done
	if len(failed) > 0 {
		m.Title = fmt.Sprintf("Bad news: %d failed.", len(failed))
		text += fmt.Sprintf(", %d tasks failed", len(failed))
		names = failed
	}
	if len(stopped) > 0 {
		text += fmt.Sprintf(", %d tasks stopped before their end", len(stopped))
		if len(failed) == 0 {
			m.Title = fmt.Sprintf("%d tasks stopped.", len(stopped))
			names = stopped
		}
	}
	text += "."
	if len(failed) > 0 {
		text += " Failed tasks are:"
	}
	more := ""
	if n := len(names) - maxTold; n > 0 {
		names, more = names[:maxTold], fmt.Sprintf("\nand %d more", n)
	}
	m.Text = text + "\n" + strings.Join(names, "\n") + more
	l.post(l.stage[stage], m)
}

func (l *lark) summarized(path string) {
	l.post(l.run, notify.Message{Text: l.user + " 的详细评测汇总已输出至 " + path})
}

// userName is who runs this, as getpass.getuser finds it.
func (a *app) userName() string {
	for _, k := range []string{"LOGNAME", "USER", "LNAME", "USERNAME"} {
		if v := a.env.Getenv(k); v != "" {
			return v
		}
	}
	if a.env.User != nil {
		if u := a.env.User(); u != "" {
			return u
		}
	}
	return "somebody"
}
