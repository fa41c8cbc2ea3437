// Package station reads and writes a results station: a folder that the runs
// of many people share their results through, in the layout and the JSON of
// OpenCompass (utils/result_station.py), so that both programs use one.
//
//	<station>/<dataset abbr>/<name>.json
//	    {"predictions": [record, …], "results": {…}, "cfg": {"models": …, "datasets": …}}
//
// name is the model's abbr, or for a judged answer [<base>_]<model>_judged-by--<judge>.
//
// A Station is a folder; Save puts an Entry there in one step, Open gives a
// Reader that goes through the predictions without holding them all. What such
// a file cannot say (how many samples had no answer, what was judged) stands in
// a statement beside it, <dataset abbr>/.sextant/<name>.<digest>.json, which
// counts only for the very bytes of the entry that it was written for: once
// another program replaces the entry, the statement is nobody's.
//
// Files appear whole or not at all, and without Overwrite the first writer of
// an entry wins, whatever the number of writers.
//
// Non-goals: it knows no run and no config. Which entries are wanted, and
// whether one answers the questions at hand, is decided by package run.
package station

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sextant/internal/py"
)

// statementVersion of the statements that this program writes and reads.
const statementVersion = 1

// folder holds the statements of a dataset's entries.
const folder = ".sextant"

// Station is a folder of results. The folder is made when something is saved.
type Station struct{ Root string }

// Path is the file of an entry.
func (s Station) Path(dataset, name string) string {
	return filepath.Join(s.Root, filepath.FromSlash(dataset), filepath.FromSlash(name)+".json")
}

// Has reports whether there is an entry.
func (s Station) Has(dataset, name string) (bool, error) {
	switch _, err := os.Stat(s.Path(dataset, name)); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("look into the station: %w", err)
	}
}

// Entry is what is saved.
type Entry struct {
	Dataset, Name string
	Predictions   iter.Seq2[*py.Dict, error] // in row order; nil for none
	Results       *py.Dict
	Cfg           *py.Dict
	// Statement is what the entry cannot say, a JSON value; nil for nothing.
	Statement json.RawMessage
}

type statement struct {
	V         int             `json:"v"`
	Kind      string          `json:"kind"` // "station entry"
	Size      int64           `json:"size"`
	SHA256    string          `json:"sha256"`
	Statement json.RawMessage `json:"statement"`
}

// Save writes an entry and reports whether it did: without overwrite one that
// is there stays as it is.
func (s Station) Save(e Entry, overwrite bool) (saved bool, err error) {
	if err := errors.Join(checkName("dataset", e.Dataset), checkName("model", e.Name)); err != nil {
		return false, err
	}
	dst := s.Path(e.Dataset, e.Name)
	if !overwrite {
		if has, err := s.Has(e.Dataset, e.Name); has || err != nil {
			return false, err
		}
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("save to the station: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return false, err
	}
	f, err := temporary(dst)
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name()) // gone already when it was renamed
	w := &digester{w: f, sum: sha256.New()}
	err = e.write(w)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, err
	}
	sum := hex.EncodeToString(w.sum.Sum(nil))
	if len(e.Statement) > 0 {
		b, err := json.MarshalIndent(statement{statementVersion, "station entry", w.n, sum, e.Statement}, "", "  ")
		if err != nil {
			return false, err
		}
		if err := writeFile(s.statementPath(e.Dataset, e.Name, sum), append(b, '\n')); err != nil {
			return false, err
		}
	}
	if saved, err = publish(f.Name(), dst, overwrite); err != nil {
		return false, err
	}
	if !saved {
		// somebody was faster: their entry may by chance be the same
		if other, err := digestOf(dst); err == nil && other != sum {
			_ = os.Remove(s.statementPath(e.Dataset, e.Name, sum)) // an orphan does no harm
		}
		return false, nil
	}
	s.removeStatements(e.Dataset, e.Name, sum)
	return true, nil
}

// write lays the entry out as json.dump(indent=4, ensure_ascii=False) does.
func (e Entry) write(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	put := func(depth int, key string, v py.Value) error {
		j, err := py.DumpJSON(v, py.JSONOptions{Indent: 4})
		if err != nil {
			return err
		}
		b.WriteString(key) // its error comes back from Flush
		for _, c := range j {
			b.WriteByte(c)
			if c == '\n' { // texts have theirs escaped
				b.WriteString(strings.Repeat("    ", depth))
			}
		}
		return nil
	}
	b.WriteString("{\n    \"predictions\": [")
	n := 0
	if e.Predictions != nil {
		for rec, err := range e.Predictions {
			if err != nil {
				return err
			}
			if n > 0 {
				b.WriteByte(',')
			}
			if err := put(2, "\n        ", rec); err != nil {
				return err
			}
			n++
		}
	}
	if n > 0 {
		b.WriteString("\n    ")
	}
	b.WriteByte(']')
	if err := put(1, ",\n    \"results\": ", e.Results); err != nil {
		return err
	}
	if err := put(1, ",\n    \"cfg\": ", e.Cfg); err != nil {
		return err
	}
	b.WriteString("\n}")
	return b.Flush()
}

type digester struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (d *digester) Write(p []byte) (int, error) {
	d.sum.Write(p)
	n, err := d.w.Write(p)
	d.n += int64(n)
	return n, err
}

// publish gives the file tmp the name dst. Without overwrite only one of
// several writers succeeds.
func publish(tmp, dst string, overwrite bool) (bool, error) {
	if overwrite {
		return true, os.Rename(tmp, dst)
	}
	err := os.Link(tmp, dst)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return false, nil
	}
	// file systems without hard links: between looking and renaming another
	// writer may slip in, and the last one wins
	if _, serr := os.Stat(dst); serr == nil {
		return false, nil
	}
	return true, os.Rename(tmp, dst)
}

// temporary makes a file beside dst that no reader of the station takes for an
// entry.
func temporary(dst string) (*os.File, error) {
	var r [8]byte
	_, _ = rand.Read(r[:]) // never fails, see crypto/rand
	name := filepath.Join(filepath.Dir(dst), fmt.Sprintf(".%s.%d-%s.tmp", filepath.Base(dst), os.Getpid(), hex.EncodeToString(r[:])))
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
}

func writeFile(dst string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return err
	}
	f, err := temporary(dst)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), dst)
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// statementPath is where the statement of an entry with these bytes is. The
// name depends on them, so that a writer that is killed while it replaces an
// entry takes no statement from the old one.
func (s Station) statementPath(dataset, name, sum string) string {
	return filepath.Join(s.Root, filepath.FromSlash(dataset), folder, filepath.FromSlash(name)+"."+sum[:16]+".json")
}

var digits16 = regexp.MustCompile(`^[0-9a-f]{16}\.json$`)

// removeStatements removes the statements of earlier bytes of an entry. One
// that stays does no harm.
func (s Station) removeStatements(dataset, name, sum string) {
	keep := s.statementPath(dataset, name, sum)
	ents, _ := os.ReadDir(filepath.Dir(keep)) // nothing there, nothing to remove
	prefix := filepath.Base(filepath.FromSlash(name)) + "."
	for _, e := range ents {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		if p := filepath.Join(filepath.Dir(keep), e.Name()); ok && digits16.MatchString(rest) && p != keep {
			_ = os.Remove(p)
		}
	}
}

// checkName refuses names that would leave the station.
func checkName(kind, name string) error {
	if name == "" || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\x00\n") {
		return fmt.Errorf("%s abbreviation %q cannot be the name of a file", kind, name)
	}
	return nil
}
