package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// TimeLayout is how the folder of a run is named after its time.
const TimeLayout = "20060102_150405"

// Create makes the folder of a new run below workDir, named after now (local
// time, as OpenCompass does). When a run of the same second exists, the name
// gets a suffix: 20250131_235959_2. When the clock is behind the last run there,
// the name is that run's with the next suffix, see NamedAfter: the run created
// last is the last by name too, for whoever sorts the names.
func Create(workDir string, now time.Time) (*Run, error) {
	abs, err := filepath.Abs(workDir)
	if err != nil {
		return nil, fmt.Errorf("create run in %s: %w", workDir, err)
	}
	if err := os.MkdirAll(abs, 0o777); err != nil {
		return nil, notWritable(workDir, err)
	}
	names, err := runNames(abs)
	if err != nil {
		return nil, err
	}
	base, first, after := now.Format(TimeLayout), 1, ""
	if len(names) > 0 {
		last := names[len(names)-1]
		m := runName.FindStringSubmatch(last)
		if m[1] > base {
			base, after = m[1], last
		}
		if m[1] == base {
			n, _ := strconv.Atoi(m[2]) // "" is the first
			first = max(n, 1) + 1
		}
	}
	seq := int64(1)
	for _, c := range inOrder(abs, names) {
		seq = max(seq, c.seq+1)
	}
	for n := first; ; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		err := os.Mkdir(filepath.Join(abs, name), 0o777)
		if err == nil {
			r := open(filepath.Join(abs, name), osFS{})
			r.after = after
			b, err := json.Marshal(createdSeq{V: 1, Seq: seq, In: abs})
			if err == nil {
				err = r.WriteFile(createdFile, append(b, '\n'))
			}
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			return r, nil
		}
		if !errors.Is(err, fs.ErrExist) || n-first > 10000 {
			return nil, notWritable(workDir, err)
		}
	}
}

// NamedAfter is the run that this one was named after when it was created,
// because the clock was behind that run's; "" for others.
func (r *Run) NamedAfter() string { return r.after }

// createdFile says how many runs had been created in the work directory, this
// one included, as far as whoever created it could see.
const createdFile = "state/created.json"

type createdSeq struct {
	V   int    `json:"v"`
	Seq int64  `json:"seq"`
	In  string `json:"in"` // the work directory: a copy elsewhere was not created there
}

var runName = regexp.MustCompile(`^(\d{8}_\d{6})(?:_(\d+))?$`)

// Runs lists the runs below workDir, in the order in which they were created:
// the folders whose names are times. A missing workDir has none.
func Runs(workDir string) ([]string, error) {
	names, err := runNames(workDir)
	if err != nil {
		return nil, err
	}
	for i, c := range inOrder(workDir, names) {
		names[i] = c.name
	}
	return names, nil
}

// runNames lists the runs below workDir by name.
func runNames(workDir string) ([]string, error) {
	ents, err := os.ReadDir(workDir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var out []string
	for _, e := range ents {
		if !runName.MatchString(e.Name()) {
			continue
		}
		if e.IsDir() {
			out = append(out, e.Name())
		} else if st, err := os.Stat(filepath.Join(workDir, e.Name())); err == nil && st.IsDir() {
			out = append(out, e.Name()) // a link to a run kept elsewhere
		}
	}
	sort.Slice(out, func(i, j int) bool { return runLess(out[i], out[j]) })
	return out, nil
}

type created struct {
	name string
	seq  int64
}

// inOrder sorts runs, given by name, as they were created. A run that does not
// say so itself (OpenCompass's, or an older program's) comes behind those before
// it by name.
func inOrder(workDir string, names []string) []created {
	abs, _ := filepath.Abs(workDir) // "" counts as elsewhere
	out := make([]created, len(names))
	seen := int64(0)
	for i, name := range names {
		var c createdSeq
		b, err := os.ReadFile(filepath.Join(workDir, name, createdFile))
		if err != nil || json.Unmarshal(b, &c) != nil || c.In != abs || c.Seq < 1 {
			c.Seq = seen
		}
		seen = max(seen, c.Seq)
		out[i] = created{name, c.Seq}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].seq < out[j].seq })
	return out
}

// runLess orders names of runs by time, then by the number behind it.
func runLess(a, b string) bool {
	ma, mb := runName.FindStringSubmatch(a), runName.FindStringSubmatch(b)
	if ma[1] != mb[1] {
		return ma[1] < mb[1]
	}
	na, _ := strconv.Atoi(ma[2]) // "" is the first, 0
	nb, _ := strconv.Atoi(mb[2])
	return na < nb
}

// NothingToResumeError says that -r found no run.
type NothingToResumeError struct {
	WorkDir string
	Want    string   // what -r named: "latest" or a name
	Found   []string // runs that exist, oldest first
}

func (e *NothingToResumeError) Error() string {
	if e.Want == "latest" {
		return fmt.Sprintf("nothing to resume: there is no run in %s", e.WorkDir)
	}
	return fmt.Sprintf("nothing to resume: there is no run %s in %s", e.Want, e.WorkDir)
}

// Hint says what exists.
func (e *NothingToResumeError) Hint() string {
	if len(e.Found) == 0 {
		return "start without -r, or name another folder with -w"
	}
	shown := e.Found
	more := ""
	if len(shown) > 5 {
		more = fmt.Sprintf(" (and %d older)", len(shown)-5)
		shown = shown[len(shown)-5:]
	}
	return "runs there: " + strings.Join(shown, ", ") + more
}

// Resolve opens the run that -r names: "latest" is the run in workDir that was
// created last, anything else is the name of a folder there (any folder, as
// OpenCompass has it). The error is a *NothingToResumeError when there is none.
func Resolve(workDir, which string) (*Run, error) {
	runs, err := Runs(workDir)
	if err != nil {
		return nil, err
	}
	if which == "latest" {
		if len(runs) == 0 {
			return nil, &NothingToResumeError{WorkDir: workDir, Want: which}
		}
		return Open(filepath.Join(workDir, runs[len(runs)-1]))
	}
	if which == "" || !filepath.IsLocal(which) {
		return nil, &NothingToResumeError{WorkDir: workDir, Want: which, Found: runs}
	}
	r, err := Open(filepath.Join(workDir, which))
	if err != nil {
		return nil, &NothingToResumeError{WorkDir: workDir, Want: which, Found: runs}
	}
	return r, nil
}
