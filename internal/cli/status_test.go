package cli

import (
	"fmt"
	"strings"
	"testing"

	"sextant/internal/event"
)

// What earlier sessions did stays; what they left open or failed at is forgotten
// when it begins anew.
func TestStatusOverSessions(t *testing.T) {
	first := []event.Event{
		{Kind: event.RunStarted}, {Kind: event.StageStarted, Stage: "infer"},
		{Kind: event.TaskQueued, Stage: "infer", Task: "a"}, {Kind: event.TaskQueued, Stage: "infer", Task: "b"}, {Kind: event.TaskQueued, Stage: "infer", Task: "c"},
		{Kind: event.TaskProgress, Stage: "infer", Task: "a", Dataset: "d", Done: 2, Total: 4},
		{Kind: event.TaskFinished, Stage: "infer", Task: "a", Done: 4, Total: 4},
		{Kind: event.TaskFailed, Stage: "infer", Task: "b", Error: "why"},
		{Kind: event.TaskStarted, Stage: "infer", Task: "c"},
	}
	for _, c := range []struct {
		name string
		more []event.Event
		want string // tasks and their states
	}{
		{"as it stopped", nil, "a done 4/4, b failed 0/0, c running 0/0"},
		{"shown again", []event.Event{{Kind: event.RunStarted}, {Kind: event.StageStarted, Stage: "viz"}}, "a done 4/4, b failed 0/0"},
		{"went on", []event.Event{
			{Kind: event.RunStarted}, {Kind: event.StageStarted, Stage: "infer"}, {Kind: event.TaskQueued, Stage: "infer", Task: "b"},
		}, "a done 4/4, b queued 0/0"},
		{"asked anew", []event.Event{
			{Kind: event.RunStarted}, {Kind: event.StageStarted, Stage: "infer"}, {Kind: event.TaskQueued, Stage: "infer", Task: "a"},
			{Kind: event.TaskProgress, Stage: "infer", Task: "a", Dataset: "d", Done: 1, Total: 4},
		}, "a queued 1/4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &progress{}
			for _, e := range append(append([]event.Event{}, first...), c.more...) {
				p.add(e)
			}
			var got []string
			for _, x := range p.Tasks {
				got = append(got, fmt.Sprintf("%s %s %d/%d", x.Task, x.State, x.Done, x.Total))
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}
