package slurm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/task"
)

// array is one job array. What is needed to find it again is kept in
// state/slurm/<Name>/array.json: written before sbatch is called, with what
// the job will be called, and again when its number is known.
type array struct {
	V        int         `json:"v"`
	Kind     string      `json:"kind"` // "slurm array"
	Name     string      `json:"name"` // of its folder
	Stage    string      `json:"stage"`
	JobName  string      `json:"job_name"` // occurs once
	JobID    string      `json:"job_id"`   // "" while it is being submitted
	Throttle int         `json:"throttle"` // how many elements may run at once
	Elements []elementID `json:"elements"` // by index

	live []*element // elements of this coordinator's stage that have not ended

	index  *task.Index // while it is taken over
	packed []byte      // likewise, the file of manifests
}

type elementID struct {
	ID      string `json:"id"`      // of the work
	Attempt int    `json:"attempt"` // of the manifest
}

// packName is the file of an array's manifests, one behind the other.
const packName = "manifests"

const (
	arrayKind    = "slurm array"
	arrayVersion = 1
)

func arrayName(stage string, epoch, n int) string {
	return fmt.Sprintf("%s-%04d-%02d", stage, epoch, n)
}

func arrayDir(name string) string { return filepath.Join("state", "slurm", name) }

// jobName is what squeue shows: which run this is, and a name that no other
// job has, by which the job is found when its number was not noted.
func (r *Runner) jobName(runDir, array, unique string) string {
	h := sha256.Sum256([]byte(runDir))
	n := fmt.Sprintf("sextant.%s.%s.%s%s", filepath.Base(runDir), array, hex.EncodeToString(h[:3]), unique)
	n = strings.Map(func(c rune) rune {
		if c <= ' ' || c == ',' || c == '|' || c == '"' || c == '\'' {
			return '_'
		}
		return c
	}, r.o.Prefix+n)
	return n
}

// element is one element of an array and the work that it does.
type element struct {
	array *array
	index int
	work  *runner.Work
	base  int      // attempt of its manifest
	units int      // of its manifest
	keep  []int    // for adopted works: see runner.Project; nil for all
	hide  []string // secrets, for the tail of its log

	restarts int // by Slurm, as far as statuses show
	status   *task.Status
	beat     int64
	since    time.Time // when the beat was last seen to change

	slurm   jobState
	known   bool // slurm is what squeue said last
	asked   bool // squeue was asked since it was submitted
	absent  int  // times in a row that squeue did not know it
	requeue int  // times that squeue showed it waiting after it had run
	overAt  time.Time
	told    bool // was sent the signal to stop
}

func (e *element) id() string { return fmt.Sprintf("%s_%d", e.array.JobID, e.index) }

func (e *element) statusPath(run interface{ Path(...string) string }, restarts int) string {
	m := task.Manifest{ID: e.work.ID, Attempt: e.base + restarts}
	return run.Path(m.StatusPath())
}

func (s *stageRun) writeArray(a *array) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("note job array: %w", err)
	}
	return s.stage.Run.WriteFile(filepath.Join(arrayDir(a.Name), "array.json"), append(b, '\n'))
}

// closeArray forgets an array that has ended.
func (s *stageRun) closeArray(a *array) {
	dir := s.stage.Run.Path(arrayDir(a.Name))
	if s.o.Keep {
		_ = os.Rename(filepath.Join(dir, "array.json"), filepath.Join(dir, "ended.json"))
		return
	}
	// It is only in the way now; array.json goes first, so that what a kill
	// leaves is not taken for a living one.
	_ = os.Remove(filepath.Join(dir, "array.json"))
	if err := os.RemoveAll(dir); err != nil {
		s.o.Log.Warn("files of an ended job array stay", "dir", dir, "error", err)
	}
}

// readers is how many files are read at once: on NFS each waits for the server.
const readers = 16

// prepare writes the manifests, their index and the names of logs, and notes
// the array. environ is what sbatch is to be given besides.
func (s *stageRun) prepare(works []*runner.Work, throttle int) (a *array, environ []string, err error) {
	run := s.stage.Run
	var unique [3]byte
	_, _ = rand.Read(unique[:]) // never fails
	for {
		s.seq++
		a = &array{V: arrayVersion, Kind: arrayKind, Name: arrayName(s.stage.Name, s.stage.Epoch, s.seq), Stage: s.stage.Name, Throttle: throttle}
		if _, err := os.Lstat(run.Path(arrayDir(a.Name))); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return nil, nil, fmt.Errorf("prepare job array: %w", err)
		}
	}
	a.JobName = s.jobName(run.Dir(), a.Name, hex.EncodeToString(unique[:]))
	dir := arrayDir(a.Name)
	if err := os.MkdirAll(run.Path(dir), 0o777); err != nil {
		return nil, nil, fmt.Errorf("prepare job array: %w", err)
	}
	for _, w := range works {
		d := filepath.Dir(run.Path(w.Log))
		if !s.logsMade[d] {
			if err := os.MkdirAll(d, 0o777); err != nil {
				return nil, nil, fmt.Errorf("create folder of logs: %w", err)
			}
			s.logsMade[d] = true
		}
	}
	index := &task.Index{Run: "../../..", Entries: make([]task.IndexEntry, len(works))}
	a.Elements = make([]elementID, len(works))
	a.live = make([]*element, len(works))
	shared := map[string]string{}
	share := func(secret string) string {
		name, ok := shared[secret]
		if !ok {
			name = fmt.Sprintf("SEXTANT_SECRET_%d", len(shared)+1)
			shared[secret] = name
		}
		return name
	}
	threads := s.stage.Options.Threads
	if threads == 0 {
		threads = s.o.CPUsPerTask
	}
	// All manifests are one file: 5,000 files take seconds, and minutes on NFS.
	pack := filepath.Join(dir, packName)
	var packed, logs bytes.Buffer
	for i, w := range works {
		fresh := w.Attempt == 0
		m := s.tracker.Manifest(w, threads)
		data, secrets, err := m.Encode()
		if err != nil {
			return nil, nil, err
		}
		e := &element{array: a, index: i, work: w, base: m.Attempt, units: len(m.Units), beat: -1, hide: task.SecretValues(secrets)}
		a.live[i], a.Elements[i] = e, elementID{m.ID, m.Attempt}
		entry := task.IndexEntry{Manifest: pack, Offset: int64(packed.Len()), Size: len(data)}
		packed.Write(data)
		for name, secret := range secrets {
			if entry.Secrets == nil {
				entry.Secrets = map[string]string{}
			}
			entry.Secrets[name] = share(secret)
		}
		index.Entries[i] = entry
		logs.WriteString(w.Log + "\n")
		if fresh {
			if err := os.Truncate(run.Path(w.Log), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, nil, fmt.Errorf("empty log: %w", err)
			}
		}
		for n := 0; os.Remove(e.statusPath(run, n)) == nil; n++ { // of a stage that was run before under this epoch
		}
	}
	if err := run.WriteFile(pack, packed.Bytes()); err != nil {
		return nil, nil, err
	}
	if err := run.WriteFile(filepath.Join(dir, "logs"), logs.Bytes()); err != nil {
		return nil, nil, err
	}
	data, err := index.Encode()
	if err != nil {
		return nil, nil, err
	}
	if err := run.WriteFile(filepath.Join(dir, "index.json"), data); err != nil {
		return nil, nil, err
	}
	for _, secret := range slices.Sorted(maps.Keys(shared)) {
		environ = append(environ, shared[secret]+"="+secret)
	}
	return a, environ, s.writeArray(a)
}

// submit hands works to Slurm as one array.
func (s *stageRun) submit(ctx context.Context, works []*runner.Work, throttle int, res resources) error {
	a, secrets, err := s.prepare(works, throttle)
	if err != nil {
		return err
	}
	run := s.stage.Run.Dir()
	script := s.script(run, a.Name)
	if s.o.Keep {
		if err := s.stage.Run.WriteFile(filepath.Join(arrayDir(a.Name), "script"), []byte(script)); err != nil {
			return err
		}
	}
	env := append(environ(s.o.Environ, append(s.stage.Options.Env, s.o.Export...)), secrets...)
	args := s.arguments(run, a.Name, a.JobName, len(works), throttle, res)
	tried := false
	err = s.insist(ctx, func() error {
		if tried { // it may have taken the job and failed to say so
			id, err := s.c.find(ctx, a.JobName)
			if err != nil || id != "" {
				a.JobID = id
				return err
			}
		}
		tried = true
		a.JobID, err = s.c.sbatch(ctx, env, script, args)
		return err
	})
	if err != nil {
		for _, e := range a.live {
			e.work.Attempt--
		}
		s.closeArray(a)
		return s.explain(ctx, err, res)
	}
	s.arrays = append(s.arrays, a)
	if err := s.writeArray(a); err != nil {
		return err
	}
	s.o.Log.Info("submitted", "job", a.JobID, "elements", len(works), "array", a.Name)
	s.nextAsk = s.now().Add(s.askEvery())
	return nil
}

// complaints of sbatch, with the option that each is about.
var complaints = []struct {
	says, flag, hint string
}{
	{"artition", "partition", ""},
	{"account", "account", "`sacctmgr show associations user=$USER` lists the accounts that you may use"},
	{"qos", "qos", "`sacctmgr show qos` lists what there is"},
	{"QOS", "qos", ""},
	{"quotatype", "quotatype", "this cluster's Slurm has no quotas of that kind: leave quotatype out"},
	{"feature", "constraint", "`sinfo -o '%N %f'` lists the features of nodes"},
	{"eservation", "reservation", "`scontrol show reservation` lists what there is"},
	{"node name", "nodelist", "`sinfo -N` lists the nodes"},
	{"--time", "time", "minutes, HH:MM:SS or D-HH:MM:SS"},
	{"time limit", "time", "`sinfo -o '%P %l'` lists the limits of partitions"},
	{"--mem", "mem", "such as '64G'"},
	{"emory", "mem", ""},
	{"gres", "gres", "`sinfo -o '%N %G'` lists what nodes have; GPUs come from run_cfg.num_gpus of a model"},
	{"unrecognized option", "extra_command", "extra_command takes options of sbatch"},
	{"invalid option", "extra_command", "extra_command takes options of sbatch"},
}

// explain makes an error of sbatch's into one that says where it comes from.
func (s *stageRun) explain(ctx context.Context, err error, res resources) error {
	var ce *commandError
	if !errors.As(err, &ce) {
		return fmt.Errorf("submit to Slurm: %w", err)
	}
	if ce.Said == "" { // not even started
		return &source.Diagnostic{Msg: fmt.Sprintf("cannot submit to Slurm: %v", err), Err: err,
			Hint: "run this where sbatch works, or name LocalRunner"}
	}
	d := &source.Diagnostic{Msg: fmt.Sprintf("Slurm refuses the job: %s", ce.Said), Err: err}
	for _, c := range complaints {
		if !strings.Contains(ce.Said, c.says) {
			continue
		}
		flag := c.flag
		if flag == "nodelist" && s.o.value(flag) == "" {
			flag = "exclude"
		}
		d.Pos = s.o.positions[flag]
		if d.Pos == 0 && len(s.o.Extra) > 0 {
			d.Pos = s.o.positions["extra_command"]
		}
		d.Hint = c.hint
		if flag == "partition" {
			if p := s.c.partitions(ctx); len(p) > 0 {
				d.Hint = "partitions here: " + strings.Join(p, ", ")
			}
		}
		return d
	}
	if strings.Contains(ce.Said, "node configuration is not available") {
		what := []string{}
		for _, f := range []string{"mem", "constraint", "nodelist", "exclude"} {
			if v := s.o.value(f); v != "" {
				what = append(what, f+"="+v)
				d.Pos = s.o.positions[f]
			}
		}
		if s.o.CPUsPerTask > 0 {
			what = append(what, fmt.Sprintf("cpus_per_task=%d", s.o.CPUsPerTask))
			d.Pos = s.o.positions["cpus_per_task"]
		}
		if res.gres != "" {
			what = append(what, "gres="+res.gres)
		}
		d.Hint = "no node has what is asked for"
		if len(what) > 0 {
			d.Hint += ": " + strings.Join(what, ", ")
		}
	}
	return d
}

// tooMany reports whether Slurm takes jobs of this kind, but not so many now.
func tooMany(err error) bool {
	var ce *commandError
	if !errors.As(err, &ce) {
		return false
	}
	for _, s := range []string{"Job violates accounting/QOS policy", "MaxSubmit", "Invalid job array specification", "array index", "temporarily unable to accept job", "ubmission limit", "submit limit"} {
		if strings.Contains(ce.Said, s) {
			return true
		}
	}
	return false
}
