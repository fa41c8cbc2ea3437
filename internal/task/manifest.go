package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sextant/internal/py"
)

// ManifestVersion of the manifests that this program writes and reads.
const ManifestVersion = 1

// Stages of a run that have tasks.
const (
	Infer = "infer"
	Eval  = "eval"
)

// Task is a task as a partitioner cuts it: one model and some datasets or
// parts of datasets. What a worker executes is a Manifest, which may hold the
// units of many tasks.
type Task struct {
	Name      string // as OpenCompass forms it: "OpenICLInfer[opt125m/siqa_0,opt125m/siqa_1]"
	Model     *py.Dict
	ModelAbbr string
	Units     []Unit
	NumGPUs   int // accelerators that the task must have for itself
	NumProcs  int // processes on them, 0 or 1 for one
	// Log is where the output goes, relative to the run; the runner fills it
	// in from the first unit when it is empty.
	Log string
}

// Unit is one dataset, or a part of one, to be worked on.
type Unit struct {
	Dataset *py.Dict // config of the whole dataset, as the user has it
	Abbr    string   // of the whole dataset
	// Part is the abbreviation with the number of the part ("siqa_0"); equal
	// to Abbr for a whole dataset.
	Part string
	// Start and Stop say which of the rows that the reader selects belong to
	// this part; Stop 0 means all. Stop may lie behind the last row.
	Start, Stop int
	// Cost is how much work the unit is compared with others, for the runner
	// that plans; 0: not known. No part of a manifest.
	Cost int
	// Cuts are the rows at which OpenCompass would begin parts of the dataset,
	// 0 left out: batches never reach across one. Empty for an uncut dataset.
	Cuts []int
	Task string // name of the task it came from, for events
	Log  string // log of that task, relative to the run
	// Sole says that this worker has all of the dataset, so that its records
	// may go to the main file.
	Sole bool
	// Extra is what else the partitioner wrote into the task: judge models,
	// infer_order, … May be nil.
	Extra *py.Dict
}

// Whole reports whether the unit is a whole dataset.
func (u *Unit) Whole() bool { return u.Start == 0 && u.Stop == 0 }

// Options are what a worker is told besides its units.
type Options struct {
	Debug            bool
	DumpDetails      bool
	DumpResLength    bool
	Offline          bool
	Threads          int  // CPU threads to compute with; 0 means all
	MaxFailedSamples int  // give a unit up after so many failed rows; -1 never
	RetryFailed      bool // ask rows again that failed in an earlier run
	// FullWait is how many seconds to wait for space on a full disk.
	FullWait int
	// Env are the names of variables that workers need from the coordinator's
	// environment; runners that start workers elsewhere pass them on.
	Env []string
	// TaskCfg is the runner's task dict of the config (type, dump_details,
	// cal_extract_rate, judge_cfg, …). May be nil.
	TaskCfg *py.Dict
}

// Manifest is everything a worker needs to know: what `sextant worker FILE`
// executes. It is written by the coordinator and never changed. No secret is
// in its file.
type Manifest struct {
	ID      string // of the worker's work, unique in the run: "infer-0001-0003"
	Attempt int    // from 1
	Run     string // absolute path of the run
	Stage   string // Infer or Eval
	Model   *py.Dict
	// ModelAbbr and Units: all units are of this one model.
	ModelAbbr string
	Units     []Unit
	Options   Options
	// Instance tells processes apart that execute the same attempt, where
	// nothing else keeps them from writing to one file. No part of the file.
	Instance string
}

// Writer is the name under which this attempt writes records; no other
// attempt of this run has it.
func (m *Manifest) Writer() string {
	name := fmt.Sprintf("%s-%d", m.ID, m.Attempt)
	if m.Instance != "" {
		name += "-" + m.Instance
	}
	return name
}

// Dir is where the files of the work with this id are, relative to the run.
func Dir(id string) string { return filepath.Join("state", "tasks", id) }

// StatusPath is the file of this attempt's Status, relative to the run.
func (m *Manifest) StatusPath() string {
	return filepath.Join(Dir(m.ID), fmt.Sprintf("%d.json", m.Attempt))
}

// Path is where the manifest is kept, relative to the run.
func (m *Manifest) Path() string {
	return filepath.Join(Dir(m.ID), fmt.Sprintf("manifest-%d.json", m.Attempt))
}

// The form on disk. Dicts are in py's tagged JSON, each distinct one once:
// thousands of parts share one dataset.
type manifestFile struct {
	V         int               `json:"v"`
	Kind      string            `json:"kind"` // "manifest"
	ID        string            `json:"id"`
	Attempt   int               `json:"attempt"`
	Run       string            `json:"run"`
	Stage     string            `json:"stage"`
	Model     json.RawMessage   `json:"model"`
	ModelAbbr string            `json:"model_abbr"`
	Options   optionsFile       `json:"options"`
	Units     []unitFile        `json:"units"`
	Dicts     []json.RawMessage `json:"dicts"`
	Tasks     []taskRef         `json:"tasks"`
	Cuts      [][]int           `json:"cuts,omitempty"` // each distinct one once: all parts of a dataset share them
}

type optionsFile struct {
	Debug            bool            `json:"debug,omitempty"`
	DumpDetails      bool            `json:"dump_details,omitempty"`
	DumpResLength    bool            `json:"dump_res_length,omitempty"`
	Offline          bool            `json:"offline,omitempty"`
	Threads          int             `json:"threads,omitempty"`
	MaxFailedSamples int             `json:"max_failed_samples"`
	RetryFailed      bool            `json:"retry_failed,omitempty"`
	FullWait         int             `json:"full_wait_seconds,omitempty"`
	Env              []string        `json:"env,omitempty"`
	TaskCfg          json.RawMessage `json:"task_cfg,omitempty"`
}

type unitFile struct {
	Dataset int    `json:"dataset"` // index into dicts
	Abbr    string `json:"abbr"`
	Part    string `json:"part,omitempty"`
	Start   int    `json:"start,omitempty"`
	Stop    int    `json:"stop,omitempty"`
	Cuts    *int   `json:"cuts,omitempty"` // index into cuts
	Task    int    `json:"task"`           // index into tasks
	Sole    bool   `json:"sole,omitempty"`
	Extra   *int   `json:"extra,omitempty"` // index into dicts
}

type taskRef struct {
	Name string `json:"name"`
	Log  string `json:"log"`
}

const manifestKind = "manifest"

// Encode gives the bytes of the file and the secrets that were taken out of
// the configs: values of environment variables by name, which the worker must
// get.
func (m *Manifest) Encode() (data []byte, secrets map[string]string, err error) {
	hide := newHider(m.dicts()...)
	enc := dictTable{hide: hide, byPtr: map[*py.Dict]int{}, byText: map[string]int{}}
	f := manifestFile{
		V: ManifestVersion, Kind: manifestKind, ID: m.ID, Attempt: m.Attempt, Run: m.Run, Stage: m.Stage, ModelAbbr: m.ModelAbbr,
		Units: make([]unitFile, len(m.Units)),
	}
	o := m.Options
	f.Options = optionsFile{
		Debug: o.Debug, DumpDetails: o.DumpDetails, DumpResLength: o.DumpResLength, Offline: o.Offline, Threads: o.Threads,
		MaxFailedSamples: o.MaxFailedSamples, RetryFailed: o.RetryFailed, FullWait: o.FullWait, Env: o.Env,
	}
	if f.Model, err = enc.encode(m.Model); err != nil {
		return nil, nil, fmt.Errorf("encode model %s: %w", m.ModelAbbr, err)
	}
	if o.TaskCfg != nil {
		if f.Options.TaskCfg, err = enc.encode(o.TaskCfg); err != nil {
			return nil, nil, fmt.Errorf("encode task options: %w", err)
		}
	}
	tasks := map[taskRef]int{}
	cuts := map[string]int{} // by dataset: the last that was written
	for i, u := range m.Units {
		ref := taskRef{u.Task, u.Log}
		n, ok := tasks[ref]
		if !ok {
			n = len(f.Tasks)
			tasks[ref] = n
			f.Tasks = append(f.Tasks, ref)
		}
		uf := unitFile{Abbr: u.Abbr, Start: u.Start, Stop: u.Stop, Task: n, Sole: u.Sole}
		if len(u.Cuts) > 0 {
			c, ok := cuts[u.Abbr]
			if !ok || !slices.Equal(f.Cuts[c], u.Cuts) {
				c = len(f.Cuts)
				cuts[u.Abbr] = c
				f.Cuts = append(f.Cuts, u.Cuts)
			}
			uf.Cuts = &c
		}
		if u.Part != u.Abbr {
			uf.Part = u.Part
		}
		if uf.Dataset, err = enc.add(u.Dataset); err != nil {
			return nil, nil, fmt.Errorf("encode dataset %s: %w", u.Abbr, err)
		}
		if u.Extra != nil {
			x, err := enc.add(u.Extra)
			if err != nil {
				return nil, nil, fmt.Errorf("encode task of dataset %s: %w", u.Abbr, err)
			}
			uf.Extra = &x
		}
		f.Units[i] = uf
	}
	f.Dicts = enc.dicts
	data, err = json.Marshal(f)
	if err != nil {
		return nil, nil, fmt.Errorf("encode manifest %s: %w", m.ID, err)
	}
	return append(data, '\n'), hide.env, nil
}

// dicts are all dicts of configs that m holds.
func (m *Manifest) dicts() []*py.Dict {
	out := []*py.Dict{m.Model, m.Options.TaskCfg}
	seen := map[*py.Dict]bool{}
	for i := range m.Units {
		for _, d := range []*py.Dict{m.Units[i].Dataset, m.Units[i].Extra} {
			if d != nil && !seen[d] {
				seen[d] = true
				out = append(out, d)
			}
		}
	}
	return out
}

// dictTable holds each distinct dict once.
type dictTable struct {
	hide   *hider
	dicts  []json.RawMessage
	byPtr  map[*py.Dict]int
	byText map[string]int
}

func (t *dictTable) encode(d *py.Dict) (json.RawMessage, error) {
	if d == nil {
		return json.RawMessage("null"), nil
	}
	return py.EncodeTagged(t.hide.value(d))
}

func (t *dictTable) add(d *py.Dict) (int, error) {
	if i, ok := t.byPtr[d]; ok {
		return i, nil
	}
	b, err := t.encode(d)
	if err != nil {
		return 0, err
	}
	i, ok := t.byText[string(b)]
	if !ok {
		i = len(t.dicts)
		t.dicts = append(t.dicts, b)
		t.byText[string(b)] = i
	}
	t.byPtr[d] = i
	return i, nil
}

// DecodeManifest reads what Encode wrote. getenv gives the secrets.
func DecodeManifest(data []byte, getenv func(string) string) (*Manifest, error) {
	var f manifestFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if f.Kind != manifestKind {
		return nil, errors.New("read manifest: this file is no manifest")
	}
	if f.V > ManifestVersion {
		return nil, fmt.Errorf("read manifest: its version %d is newer than this program's (%d): coordinator and worker must be the same program", f.V, ManifestVersion)
	}
	if f.Stage != Infer && f.Stage != Eval {
		return nil, fmt.Errorf("read manifest: unknown stage %q", f.Stage)
	}
	if f.ID == "" || filepath.Base(f.ID) != f.ID || f.Attempt < 1 {
		return nil, fmt.Errorf("read manifest: bad id %q or attempt %d", f.ID, f.Attempt)
	}
	m := &Manifest{ID: f.ID, Attempt: f.Attempt, Run: f.Run, Stage: f.Stage, ModelAbbr: f.ModelAbbr}
	var err error
	if m.Model, err = decodeDict(f.Model, getenv); err != nil {
		return nil, fmt.Errorf("read manifest: model: %w", err)
	}
	o := f.Options
	m.Options = Options{
		Debug: o.Debug, DumpDetails: o.DumpDetails, DumpResLength: o.DumpResLength, Offline: o.Offline, Threads: o.Threads,
		MaxFailedSamples: o.MaxFailedSamples, RetryFailed: o.RetryFailed, FullWait: o.FullWait, Env: o.Env,
	}
	if len(o.TaskCfg) > 0 {
		if m.Options.TaskCfg, err = decodeDict(o.TaskCfg, getenv); err != nil {
			return nil, fmt.Errorf("read manifest: task options: %w", err)
		}
	}
	dicts := make([]*py.Dict, len(f.Dicts))
	for i, raw := range f.Dicts {
		if dicts[i], err = decodeDict(raw, getenv); err != nil {
			return nil, fmt.Errorf("read manifest: dict %d: %w", i, err)
		}
	}
	for i, u := range f.Units {
		if u.Dataset < 0 || u.Dataset >= len(dicts) || u.Task < 0 || u.Task >= len(f.Tasks) {
			return nil, fmt.Errorf("read manifest: unit %d points nowhere", i)
		}
		x := Unit{
			Dataset: dicts[u.Dataset], Abbr: u.Abbr, Part: u.Part, Start: u.Start, Stop: u.Stop,
			Task: f.Tasks[u.Task].Name, Log: f.Tasks[u.Task].Log, Sole: u.Sole,
		}
		if x.Part == "" {
			x.Part = x.Abbr
		}
		if u.Cuts != nil {
			if *u.Cuts < 0 || *u.Cuts >= len(f.Cuts) {
				return nil, fmt.Errorf("read manifest: unit %d points nowhere", i)
			}
			x.Cuts = f.Cuts[*u.Cuts]
		}
		if u.Extra != nil {
			if *u.Extra < 0 || *u.Extra >= len(dicts) {
				return nil, fmt.Errorf("read manifest: unit %d points nowhere", i)
			}
			x.Extra = dicts[*u.Extra]
		}
		m.Units = append(m.Units, x)
	}
	return m, nil
}

func decodeDict(raw json.RawMessage, getenv func(string) string) (*py.Dict, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	v, err := py.DecodeTagged(raw)
	if err != nil {
		return nil, err
	}
	if v, err = reveal(v, getenv); err != nil {
		return nil, err
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, fmt.Errorf("a %s, not a dict", py.TypeName(v))
	}
	return d, nil
}

// ReadManifest reads a manifest file, or the one that an Index file and the
// environment point to.
func ReadManifest(path string, getenv func(string) string) (*Manifest, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if isIndex(data) {
		return readIndexed(path, data, getenv)
	}
	return started(data, getenv)
}

// started is DecodeManifest with the number of the attempt that RestartsVar
// makes it.
func started(data []byte, getenv func(string) string) (*Manifest, error) {
	m, err := DecodeManifest(data, getenv)
	if err != nil {
		return nil, err
	}
	n, err := restarts(getenv(RestartsVar))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m.Attempt += n
	return m, nil
}
