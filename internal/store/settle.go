package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sextant/internal/infer"
)

// State of a dataset's predictions.
type State string

// The states.
const (
	Missing  State = "missing"  // no record at all
	Partial  State = "partial"  // some rows have one
	Complete State = "complete" // every row has one
	Stale    State = "stale"    // there are records, but of other inputs
)

// Status is how far the predictions of a dataset are.
type Status struct {
	State   State
	Have    int        // rows with a record of the wanted inputs
	Failed  int        // of Have
	Cut     infer.Cuts // of Have
	Total   int        // rows of the dataset; 0 when no file says
	Settled bool
	// Foreign says that there is an OpenCompass-shaped file without records of
	// ours beside it: made by OpenCompass itself or by hand.
	Foreign bool
	// Inputs are what the records were made from; Changed says how the wanted
	// inputs differ, for Stale (or Partial with stale records around).
	Inputs  Inputs
	Changed []string
}

// statement is kept in state/predictions/<model>/<dataset>.json once a
// dataset is settled: what the files were made from and which bytes they had.
type statement struct {
	V      int `json:"v"`
	Total  int `json:"total"`
	Failed int `json:"failed"`
	// Cut counts rows whose question or answer is not whole. A statement that
	// lacks it was written by a program that did not count.
	Cut     *infer.Cuts `json:"cut,omitempty"`
	Inputs  Inputs      `json:"inputs"`
	Records digest      `json:"records"` // predictions/<model>/<dataset>.jsonl
	JSON    digest      `json:"json"`    // predictions/<model>/<dataset>.json
}

type digest struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (s *statement) cuts() infer.Cuts {
	if s.Cut == nil {
		return infer.Cuts{}
	}
	return *s.Cut
}

// readStatement returns nil when there is none that can be believed.
func (r *Run) readStatement(modelAbbr, dataset string) *statement {
	var s statement
	b, err := r.readFile(r.statementPath("predictions", modelAbbr, dataset))
	if err != nil || json.Unmarshal(b, &s) != nil || s.V != Version {
		return nil
	}
	return &s
}

func (r *Run) readFile(path string) ([]byte, error) {
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, st.Size())
	if len(b) == 0 {
		return b, nil
	}
	n, err := f.ReadAt(b, 0)
	if err != nil {
		return b[:n], err
	}
	return b, nil
}

func (r *Run) size(path string) int64 {
	st, err := r.fs.Stat(path)
	if err != nil {
		return -1
	}
	return st.Size()
}

// settled returns the statement of a dataset whose files still are what it
// says, by their sizes. A JSON file of another size that is whole counts too:
// somebody has edited it, and it is theirs.
func (r *Run) settled(modelAbbr, dataset string) *statement {
	s := r.readStatement(modelAbbr, dataset)
	if s == nil || r.size(r.mainPath(modelAbbr, dataset)) != s.Records.Size ||
		r.hasParts(modelAbbr, dataset) {
		return nil
	}
	p := r.PredictionsPath(modelAbbr, dataset)
	if r.size(p) != s.JSON.Size && !r.looksWhole(p) {
		return nil
	}
	return s
}

// hasParts reports whether there are files of single writers.
func (r *Run) hasParts(modelAbbr, dataset string) bool {
	ents, err := r.fs.ReadDir(r.partsDir(modelAbbr, dataset))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range ents {
		if strings.HasSuffix(e.Name(), ".jsonl") {
			return true
		}
	}
	return false
}

// looksWhole reports whether a JSON file ends as an object does.
func (r *Run) looksWhole(path string) bool {
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() < 2 {
		return false
	}
	n := min(st.Size(), 16)
	tail := make([]byte, n)
	if _, err := f.ReadAt(tail, st.Size()-n); err != nil {
		return false
	}
	return bytes.HasSuffix(bytes.TrimSpace(tail), []byte("}"))
}

// Status says how far the predictions of a dataset are. want nil asks about
// whatever inputs the newest records have.
func (r *Run) Status(modelAbbr, dataset string, want *Inputs) (Status, error) {
	if s := r.settled(modelAbbr, dataset); s != nil {
		st := Status{State: Complete, Have: s.Total, Failed: s.Failed, Total: s.Total, Settled: true, Inputs: s.Inputs, Cut: s.cuts()}
		if want != nil {
			if st.Changed = want.Changed(s.Inputs); len(st.Changed) > 0 {
				st.State, st.Have, st.Failed, st.Cut = Stale, 0, 0, infer.Cuts{}
			}
		}
		return st, nil
	}
	u, err := r.union(modelAbbr, dataset, want, nil)
	if err != nil {
		return Status{}, err
	}
	defer u.recs.Close()
	st := Status{Have: u.have, Failed: u.failed, Total: u.total, Inputs: u.inputs, Cut: u.cut}
	switch {
	case u.files == 0:
		st.State = Missing
		if r.size(r.PredictionsPath(modelAbbr, dataset)) > 0 || r.size(r.Path("predictions", modelAbbr, dataset+"_0.json")) > 0 {
			st.State, st.Foreign = Complete, true
		}
	case u.matching > 0 && u.have == u.total:
		st.State = Complete
	case u.have > 0:
		st.State = Partial
	case u.matching == 0 && u.other != nil:
		st.State, st.Inputs = Stale, *u.other
		st.Changed = want.Changed(*u.other)
	default:
		st.State = Missing
	}
	return st, nil
}

// union is the records of one dataset under one set of inputs, by row.
type union struct {
	recs     *Records
	rows     []loc // n == 0 where there is none
	inputs   Inputs
	total    int
	have     int
	failed   int
	cut      infer.Cuts
	files    int     // files of records that are not superseded
	matching int     // of those, with these inputs
	other    *Inputs // of a file that does not match
	several  int     // rows with more than one identity under the same inputs
}

// union collects the rows made from the inputs want, or, when it is nil, from
// those of the last file in order.
func (r *Run) union(modelAbbr, dataset string, want *Inputs, log *slog.Logger) (*union, error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return nil, err
	}
	paths, err := r.recordFiles(modelAbbr, dataset)
	if err != nil {
		return nil, err
	}
	u := &union{recs: &Records{run: r}}
	if want == nil {
		want = r.lastInputs(paths)
	}
	if want != nil {
		u.inputs = *want
	}
	if want == nil {
		return u, nil
	}
	var ids [][16]byte
	for _, p := range paths {
		var match bool
		n := uint32(len(u.recs.files))
		rf, err := r.scanFile(p, func(h *Header) {
			match = !r.isSuperseded(p) && h.Inputs == *want && (u.rows == nil || h.Total == u.total)
			if match && u.rows == nil {
				u.total = h.Total
				u.rows, ids = make([]loc, u.total), make([][16]byte, u.total)
			}
		}, func(off int64, size int, l *rawLine) {
			if !match || l.index >= u.total {
				return
			}
			id := keyOf(l.index, l.id).id
			at := loc{off: off, n: int32(size), file: n, failed: l.failed, cut: l.cut}
			switch old := u.rows[l.index]; {
			case old.n == 0:
			case ids[l.index] != id:
				u.several++ // made by another version of the program: the later file counts
			case old.failed && !at.failed:
			default:
				return
			}
			u.rows[l.index], ids[l.index] = at, id
		})
		if err != nil {
			u.recs.Close()
			return nil, err
		}
		if rf == nil {
			continue
		}
		rf.warnDamage(log)
		u.recs.keep(rf)
		if rf.old {
			continue
		}
		u.files++
		if match {
			u.matching++
		} else if rf.header != nil {
			in := rf.header.Inputs
			u.other = &in
		}
	}
	for _, at := range u.rows {
		if at.n > 0 {
			u.have++
			u.cut.Add(at.cut)
			if at.failed {
				u.failed++
			}
		}
	}
	return u, nil
}

func (r *Run) isSuperseded(path string) bool {
	return strings.HasPrefix(path, r.Path("state")+string(filepath.Separator))
}

// lastInputs are those of the last of the files that says, superseded ones
// aside.
func (r *Run) lastInputs(paths []string) *Inputs {
	var in *Inputs
	for _, p := range paths {
		if r.isSuperseded(p) {
			continue
		}
		if h := r.readHeader(p); h != nil {
			in = &h.Inputs
		}
	}
	return in
}

func (r *Run) readHeader(path string) *Header {
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 4096).ReadBytes('\n')
	var h Header
	if err != nil || json.Unmarshal(line, &h) != nil || h.Kind != headerKind {
		return nil
	}
	return &h
}

// Settled is what Settle made.
type Settled struct {
	Total, Failed int
	Inputs        Inputs
	// Digest is the SHA-256 of the settled records: the same for the same
	// answers, however the run was cut, killed and resumed.
	Digest string
	// Several counts rows that had records with different identities although
	// their inputs agree: the program's own rendering changed in between.
	Several int
}

// IncompleteError says which rows have no record.
type IncompleteError struct {
	Model, Dataset string
	Have, Total    int
	First          int // the first row without a record
}

func (e *IncompleteError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("%s/%s has no predictions", e.Model, e.Dataset)
	}
	return fmt.Sprintf("predictions of %s/%s are incomplete: %d of %d rows, row %d is missing", e.Model, e.Dataset, e.Have, e.Total, e.First)
}

// Settle ends the inference of a dataset: when every row has a record made
// from the inputs want (nil: from those of the last file), it writes the
// records in row order to predictions/<model>/<dataset>.jsonl and in
// OpenCompass's shape to predictions/<model>/<dataset>.json, and removes the
// writers' files. The bytes depend on the records only. Records of other
// inputs move to state/superseded. It may be killed anywhere and called again;
// workers must not be writing. The error is an *IncompleteError when rows lack.
func (r *Run) Settle(modelAbbr, dataset string, want *Inputs, log *slog.Logger) (Settled, error) {
	if s := r.settled(modelAbbr, dataset); s != nil && (want == nil || *want == s.Inputs) {
		return Settled{Total: s.Total, Failed: s.Failed, Inputs: s.Inputs, Digest: s.Records.SHA256}, nil
	}
	u, err := r.union(modelAbbr, dataset, want, log)
	if err != nil {
		return Settled{}, err
	}
	defer u.recs.Close()
	if u.matching == 0 || u.have < u.total {
		e := &IncompleteError{Model: modelAbbr, Dataset: dataset, Have: u.have, Total: u.total}
		for e.First < len(u.rows) && u.rows[e.First].n > 0 {
			e.First++
		}
		return Settled{}, e
	}
	if err := r.setAside(modelAbbr, dataset, u); err != nil {
		return Settled{}, err
	}
	main, err := r.writeRecords(modelAbbr, dataset, u)
	if err != nil {
		return Settled{}, err
	}
	shaped, err := r.writeShaped(modelAbbr, dataset, u)
	if err != nil {
		return Settled{}, err
	}
	s := statement{V: Version, Total: u.total, Failed: u.failed, Cut: &u.cut, Inputs: u.inputs, Records: main, JSON: shaped}
	u.recs.Close() // NFS keeps what is open, under another name
	if err := r.removeParts(modelAbbr, dataset); err != nil {
		return Settled{}, err
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return Settled{}, fmt.Errorf("encode statement: %w", err)
	}
	if err := r.writeAbs(r.statementPath("predictions", modelAbbr, dataset), append(b, '\n')); err != nil {
		return Settled{}, err
	}
	return Settled{Total: u.total, Failed: u.failed, Inputs: u.inputs, Digest: main.SHA256, Several: u.several}, nil
}

// writeRecords writes the main file in row order.
func (r *Run) writeRecords(modelAbbr, dataset string, u *union) (digest, error) {
	a, err := r.create(r.mainPath(modelAbbr, dataset))
	if err != nil {
		return digest{}, err
	}
	defer a.Abort()
	head, err := Header{Model: modelAbbr, Dataset: dataset, Total: u.total, Inputs: u.inputs}.line()
	if err != nil {
		return digest{}, err
	}
	a.Write(head) // its error comes back from Commit
	var out []byte
	err = u.each(func(l *rawLine) error {
		out = l.appendCanonical(out[:0])
		_, err := a.Write(out)
		return err
	})
	if err != nil {
		return digest{}, ioError("write", a.dst, err)
	}
	d := digest{Size: a.size, SHA256: a.Digest()}
	return d, a.Commit(true)
}

// each calls fn with the line of every row, in row order.
func (u *union) each(fn func(*rawLine) error) error {
	var buf []byte
	for i := range u.rows {
		l, err := u.at(i, &buf)
		if err != nil {
			return err
		}
		if err := fn(&l); err != nil {
			return err
		}
	}
	return nil
}

// at reads the line of row i into buf, which the line points into.
func (u *union) at(i int, buf *[]byte) (l rawLine, err error) {
	at := u.rows[i]
	if *buf, err = u.recs.line(at, *buf); err != nil {
		return l, err
	}
	if l, err = parseLine((*buf)[:len(*buf)-1]); err != nil {
		return l, fmt.Errorf("%s changed while it was read: %w", u.recs.files[at.file].path, err)
	}
	return l, nil
}

// writeShaped writes predictions/<model>/<dataset>.json as OpenCompass does:
// an object of records by row number, four spaces, no newline at the end. A row
// that failed has what its record has, an empty prediction, and the reason
// under "error".
func (r *Run) writeShaped(modelAbbr, dataset string, u *union) (digest, error) {
	a, err := r.create(r.PredictionsPath(modelAbbr, dataset))
	if err != nil {
		return digest{}, err
	}
	defer a.Abort()
	out := []byte{'{'}
	i := 0
	err = u.each(func(l *rawLine) error {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, "\n    \""...)
		out = strconv.AppendInt(out, int64(i), 10)
		out = append(out, "\": "...)
		out = appendIndented(out, l.shaped(), 1)
		i++
		_, err := a.Write(out)
		out = out[:0]
		return err
	})
	if err != nil {
		return digest{}, ioError("write", a.dst, err)
	}
	if i > 0 {
		out = append(out, '\n')
	}
	a.Write(append(out, '}')) // its error comes back from Commit
	d := digest{Size: a.size, SHA256: a.Digest()}
	return d, a.Commit(false) // can be made again from the records
}

// shaped is the record as OpenCompass's readers want it.
func (l *rawLine) shaped() []byte {
	if !l.failed {
		return l.rec
	}
	var hasPrediction, hasError, any bool
	eachMember(l.rec, func(k, _ []byte) {
		any = true
		hasPrediction = hasPrediction || string(k) == `"prediction"`
		hasError = hasError || string(k) == `"error"`
	})
	b := append([]byte(nil), l.rec[:len(l.rec)-1]...)
	add := func(k string, v []byte) {
		if any {
			b = append(b, ',')
		}
		any = true
		b = append(append(append(b, k...), ':'), v...)
	}
	if !hasPrediction {
		add(`"prediction"`, []byte(`""`))
	}
	if !hasError {
		e := l.err
		if len(e) == 0 {
			e = []byte(`""`)
		}
		add(`"error"`, e)
	}
	return append(b, '}')
}

func (r *Run) writeAbs(path string, data []byte) error {
	rel, err := filepath.Rel(r.dir, path)
	if err != nil {
		return err
	}
	return r.WriteFile(rel, data)
}

// setAside keeps what the settled file will not contain: damaged lines in
// state/bad, answers to other questions in state/superseded.
func (r *Run) setAside(modelAbbr, dataset string, u *union) error {
	stale := false
	for _, rf := range u.recs.files {
		if rf.old {
			continue
		}
		if err := r.saveBad(modelAbbr, dataset, rf); err != nil {
			return err
		}
		stale = stale || rf.header == nil || rf.header.Inputs != u.inputs || rf.header.Total != u.total
	}
	if stale {
		return r.mergeSuperseded(modelAbbr, dataset, u.inputs, u.total)
	}
	return nil
}

// saveBad appends the damaged lines of a file to state/bad.
func (r *Run) saveBad(modelAbbr, dataset string, rf *recordFile) error {
	var bad []byte
	for _, b := range rf.scan.bad {
		bad = append(append(bad, b.data...), '\n')
	}
	if len(bad) == 0 {
		return nil
	}
	path := r.badPath(modelAbbr, dataset)
	old, err := r.readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set damaged lines aside: %w", err)
	}
	if bytes.Contains(old, bad) {
		return nil // somebody was killed behind this
	}
	return r.writeAbs(path, append(old, bad...))
}

// supersede moves the main file, whose inputs are not those of this run, out
// of the way. Nothing in it is lost: answers to questions that are asked again
// in the same words are found there.
func (r *Run) supersede(modelAbbr, dataset string) error {
	rf, err := r.scanFile(r.mainPath(modelAbbr, dataset), nil, func(int64, int, *rawLine) {})
	if err != nil || rf == nil {
		return err
	}
	rf.f.Close() // only read from
	if err := r.saveBad(modelAbbr, dataset, rf); err != nil {
		return err
	}
	if err := r.mergeSuperseded(modelAbbr, dataset, Inputs{}, -1); err != nil {
		return err
	}
	if err := r.fs.Remove(r.mainPath(modelAbbr, dataset)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError("remove", r.mainPath(modelAbbr, dataset), err)
	}
	return nil
}

// mergeSuperseded writes to state/superseded every record of the dataset that
// was not made from the inputs cur; of several with one identity an answer
// before a failure.
func (r *Run) mergeSuperseded(modelAbbr, dataset string, cur Inputs, total int) error {
	paths, err := r.recordFiles(modelAbbr, dataset)
	if err != nil {
		return err
	}
	each := func(fn func(k recordKey, l *rawLine)) error {
		for _, p := range paths {
			current := false
			rf, err := r.scanFile(p, func(h *Header) {
				current = !r.isSuperseded(p) && h.Inputs == cur && h.Total == total
			}, func(_ int64, _ int, l *rawLine) {
				if !current {
					fn(keyOf(l.index, l.id), l)
				}
			})
			if err != nil {
				return err
			}
			if rf != nil {
				rf.f.Close() // only read from
			}
		}
		return nil
	}
	failed := map[recordKey]bool{} // value: there is an answer too
	if err := each(func(k recordKey, l *rawLine) {
		if l.failed {
			failed[k] = false
		}
	}); err != nil {
		return err
	}
	if len(failed) > 0 {
		if err := each(func(k recordKey, l *rawLine) {
			if _, ok := failed[k]; ok && !l.failed {
				failed[k] = true
			}
		}); err != nil {
			return err
		}
	}
	a, err := r.create(r.supersededPath(modelAbbr, dataset))
	if err != nil {
		return err
	}
	defer a.Abort()
	head, err := Header{Model: modelAbbr, Dataset: dataset}.line()
	if err != nil {
		return err
	}
	a.Write(head) // its error comes back from Commit
	seen := map[recordKey]struct{}{}
	var out []byte
	if err := each(func(k recordKey, l *rawLine) {
		if _, dup := seen[k]; dup || l.failed && failed[k] {
			return
		}
		seen[k] = struct{}{}
		out = l.appendCanonical(out[:0])
		a.Write(out) // its error comes back from Commit
	}); err != nil {
		return err
	}
	return a.Commit(true)
}

// removeParts removes the writers' files of a settled dataset.
func (r *Run) removeParts(modelAbbr, dataset string) error {
	dir := r.partsDir(modelAbbr, dataset)
	var err error
	for range 5 { // a worker of a killed coordinator may just have made another one
		var ents []fs.DirEntry
		ents, err = r.fs.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		for _, e := range ents {
			if err := r.fs.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("settle: %w", err)
			}
		}
		if err = r.fs.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if !r.hasParts(modelAbbr, dataset) {
		return nil // what is left belongs to the file system
	}
	return fmt.Errorf("settle: %w", err)
}
