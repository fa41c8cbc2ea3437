package runner

import (
	"slices"
	"testing"
	"time"

	"sextant/internal/event"
	"sextant/internal/py"
	"sextant/internal/store"
	"sextant/internal/task"
)

func TestAdopt(t *testing.T) {
	t.Parallel()
	run, err := store.Create(t.TempDir(), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	model := py.DictOf("abbr", "m", "type", "Fake", "key", "sk-very-secret")
	one := func(name string, rows int) task.Task {
		return task.Task{Name: "T[" + name + "]", Model: model, ModelAbbr: "m", Units: []task.Unit{{Dataset: py.DictOf("abbr", name, "rows", rows), Abbr: name, Part: name}}}
	}
	old := &task.Manifest{ID: "infer-0001-00001", Attempt: 1, Stage: task.Infer, ModelAbbr: "m", Model: model}
	for _, n := range []string{"a", "b", "c"} {
		old.Units = append(old.Units, one(n, 3).Units[0])
	}
	data, secrets, err := old.Encode()
	if err != nil || len(secrets) != 1 {
		t.Fatal(secrets, err)
	}
	if old, err = task.DecodeManifest(data, func(name string) string { return name }); err != nil {
		t.Fatal(err)
	}
	status := &task.Status{Attempt: 1, Units: []task.UnitStatus{{State: task.Done, Done: 3}, {State: task.Running, Done: 1}, {State: task.Pending}}}
	cut := one("c", 3)
	cut.Units[0].Part, cut.Units[0].Stop = "c_0", 2
	cases := []struct {
		name  string
		tasks []task.Task
		same  bool
		keep  []int
		left  int // works that Plan makes besides
	}{
		{"all", []task.Task{one("a", 3), one("b", 3), one("c", 3)}, true, []int{0, 1, 2}, 0},
		{"one is complete already, one is new", []task.Task{one("d", 3), one("c", 3), one("b", 3)}, true, []int{1, 2}, 1},
		{"other settings", []task.Task{one("b", 4)}, false, nil, 1},
		{"cut in another way", []task.Task{one("b", 3), cut}, false, nil, 2},
		{"nothing left", []task.Task{one("e", 1)}, true, nil, 1},
	}
	for _, c := range cases {
		tr := NewTracker(&Stage{Name: task.Infer, Run: run, Epoch: 2, Tasks: c.tasks}, event.Discard)
		w, keep, same := tr.Adopt(old, status)
		if same != c.same || !slices.Equal(keep, c.keep) || (w != nil) != (len(keep) > 0) {
			t.Errorf("%s: %v %v %v", c.name, w, keep, same)
			continue
		}
		if got := len(tr.Plan(4)); got != c.left {
			t.Errorf("%s: %d works are planned besides, want %d", c.name, got, c.left)
		}
		if w == nil {
			continue
		}
		if w.ID != old.ID || w.Attempt != 1 || w.Model.Str("key") != "sk-very-secret" {
			t.Errorf("%s: %+v", c.name, w)
		}
		p := Project(status, len(old.Units), keep)
		for i, k := range keep {
			if w.Units[i].Abbr != old.Units[k].Abbr || p.Units[i] != status.Units[k] {
				t.Errorf("%s: unit %d is not unit %d of the manifest", c.name, i, k)
			}
		}
	}
	if Project(status, 2, []int{0}) != nil || Project(nil, 3, nil) != nil {
		t.Error("a status of other units was made to fit")
	}
}
