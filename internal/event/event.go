// Package event defines what happens during a run, as values, for whoever
// listens: the terminal, the log, events.jsonl, the live page.
//
// Events are facts about the past; nothing reads one to decide what is done.
// They are not part of the records that a score is derived from.
package event

import "time"

// Kind of an event.
type Kind string

// The kinds. Fields of Event that a kind uses stand behind it.
const (
	RunStarted   Kind = "run_started"   // Total = tasks
	StageStarted Kind = "stage_started" // Stage, Total = tasks
	TaskQueued   Kind = "task_queued"   // Task
	TaskStarted  Kind = "task_started"  // Task, Attempt
	TaskProgress Kind = "task_progress" // Task, Dataset, Done, Total, Failed, Reused
	SampleFailed Kind = "sample_failed" // Task, Dataset, Index, Error
	TaskRetried  Kind = "task_retried"  // Task, Attempt, Error
	TaskFailed   Kind = "task_failed"   // Task, Error, Log
	TaskFinished Kind = "task_finished" // Task, Done, Failed, Seconds
	StageDone    Kind = "stage_done"    // Stage
	RunDone      Kind = "run_done"
	Note         Kind = "note" // Text: something the user should know
)

// Event is one thing that happened. Zero fields are left out of the file.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"kind"`
	Stage   string    `json:"stage,omitempty"` // "infer", "eval", "viz"
	Task    string    `json:"task,omitempty"`  // task name, as OpenCompass forms it
	Model   string    `json:"model,omitempty"`
	Dataset string    `json:"dataset,omitempty"` // abbr, without part suffix
	Index   int       `json:"index,omitempty"`   // row
	Done    int       `json:"done,omitempty"`    // samples with a record
	Total   int       `json:"total,omitempty"`
	Reused  int       `json:"reused,omitempty"` // of Done, found in earlier records
	Failed  int       `json:"failed,omitempty"` // of Done, error records
	Attempt int       `json:"attempt,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
	Error   string    `json:"error,omitempty"`
	Log     string    `json:"log,omitempty"` // path of the log, below the run directory
	Text    string    `json:"text,omitempty"`
}

// Sink takes events. Implementations are safe for concurrent use and do not
// block for long.
type Sink interface{ Emit(Event) }

// Func makes a function a Sink.
type Func func(Event)

// Emit calls f.
func (f Func) Emit(e Event) { f(e) }

// Tee sends each event to all of the sinks, in order.
func Tee(sinks ...Sink) Sink {
	return Func(func(e Event) {
		for _, s := range sinks {
			if s != nil {
				s.Emit(e)
			}
		}
	})
}

// Discard drops events.
var Discard Sink = Func(func(Event) {})
