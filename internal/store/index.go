package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sextant/internal/infer"
)

// recordFile is one file of records of a dataset.
type recordFile struct {
	path   string
	header *Header // nil when its first line is not readable
	scan   scan
	f      file // nil while closed
	old    bool // superseded: answers to other questions
}

// loc says where the line of a record stands.
type loc struct {
	off    int64
	n      int32
	file   uint32
	failed bool
	cut    infer.Cut
}

// before says which of two records counts when nothing else decides.
func (a loc) before(b loc) bool { return a.file < b.file || a.file == b.file && a.off < b.off }

// recordKey is (row, identity). The identity is a SHA-256 in hexadecimal; half
// of it is plenty to tell records apart and keeps the index small.
type recordKey struct {
	index int
	id    [16]byte
}

func keyOf(index int, id string) recordKey {
	k := recordKey{index: index}
	if len(id) == 64 {
		if _, err := hex.Decode(k.id[:], []byte(id[:32])); err == nil {
			return k
		}
	}
	h := sha256.Sum256([]byte(id))
	copy(k.id[:], h[:])
	return k
}

// recordFiles lists the files of records of a dataset in the order in which
// they count: the main file, the writers' by name, superseded ones.
func (r *Run) recordFiles(modelAbbr, dataset string) ([]string, error) {
	var out []string
	have := func(p string) error {
		_, err := r.fs.Stat(p)
		if err == nil {
			out = append(out, p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read records: %w", err)
		}
		return nil
	}
	if err := have(r.mainPath(modelAbbr, dataset)); err != nil {
		return nil, err
	}
	dir := r.partsDir(modelAbbr, dataset)
	ents, err := r.fs.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read records: %w", err)
	}
	var names []string
	for _, e := range ents {
		if strings.HasSuffix(e.Name(), ".jsonl") && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	for _, n := range names {
		out = append(out, filepath.Join(dir, n))
	}
	return out, have(r.supersededPath(modelAbbr, dataset))
}

// scanFile reads one file of records. A file that vanished is nil: another
// process settled the dataset meanwhile.
func (r *Run) scanFile(path string, head func(*Header), fn func(off int64, n int, l *rawLine)) (*recordFile, error) {
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read records: %w", err)
	}
	s, err := scanRecords(io.NewSectionReader(f, 0, 1<<62), head, fn)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read records %s: %w", path, err)
	}
	return &recordFile{path: path, header: s.header, scan: s, f: f, old: r.isSuperseded(path)}, nil
}

// warnDamage logs what a file holds that is not a record.
func (rf *recordFile) warnDamage(log *slog.Logger) {
	if log == nil {
		return
	}
	if rf.scan.torn > 0 {
		log.Info("incomplete last line, its sample is asked again", "file", rf.path, "bytes", rf.scan.torn)
	}
	for i, b := range rf.scan.bad {
		if i == 3 {
			log.Warn("more damaged lines", "file", rf.path, "lines", len(rf.scan.bad)-i)
			break
		}
		log.Warn("damaged line set aside, its sample is asked again", "file", rf.path, "offset", b.off, "bytes", len(b.data))
	}
}

// Records is what is known about the rows of one dataset: the union of all
// writers' files. It holds an index in memory (about 60 bytes a record) and
// reads records from disk. Not safe for concurrent use with Close.
type Records struct {
	run   *Run
	files []*recordFile
	open  int
	locs  map[recordKey]loc
}

// maxOpen bounds the files that an index keeps open; the others are opened
// again for each record. A run cut into thousands of parts has thousands.
const maxOpen = 100

// Records reads the union of all records of a dataset, of whatever inputs.
// There need not be any. log, which may be nil, is told about damage.
func (r *Run) Records(modelAbbr, dataset string, log *slog.Logger) (*Records, error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return nil, err
	}
	paths, err := r.recordFiles(modelAbbr, dataset)
	if err != nil {
		return nil, err
	}
	x := &Records{run: r, locs: map[recordKey]loc{}}
	for _, p := range paths {
		n := uint32(len(x.files))
		rf, err := r.scanFile(p, nil, func(off int64, size int, l *rawLine) {
			x.add(l, loc{off: off, n: int32(size), file: n, failed: l.failed})
		})
		if err != nil {
			x.Close()
			return nil, err
		}
		if rf == nil {
			continue
		}
		rf.warnDamage(log)
		x.keep(rf)
	}
	return x, nil
}

func (x *Records) keep(rf *recordFile) {
	x.files = append(x.files, rf)
	if x.open++; x.open > maxOpen {
		rf.f.Close() // only read from
		rf.f = nil
	}
}

// add keeps the first record of a row and identity, except that an answer
// replaces a failure.
func (x *Records) add(l *rawLine, at loc) {
	k := keyOf(l.index, l.id)
	if old, ok := x.locs[k]; !ok || old.failed && !at.failed {
		x.locs[k] = at
	}
}

// Len is the number of records.
func (x *Records) Len() int { return len(x.locs) }

// line reads the line of a record, newline included.
func (x *Records) line(at loc, buf []byte) ([]byte, error) {
	if cap(buf) < int(at.n) {
		buf = make([]byte, at.n)
	}
	buf = buf[:at.n]
	rf := x.files[at.file]
	f := rf.f
	if f == nil {
		var err error
		if f, err = x.run.fs.OpenFile(rf.path, os.O_RDONLY, 0); err != nil {
			return nil, fmt.Errorf("read records: %w", err)
		}
		defer f.Close()
	}
	if _, err := f.ReadAt(buf, at.off); err != nil {
		return nil, fmt.Errorf("read records %s: %w", rf.path, err)
	}
	return buf, nil
}

// Close closes the files.
func (x *Records) Close() error {
	for _, f := range x.files {
		if f.f != nil {
			f.f.Close() // only read from
		}
	}
	x.files = nil
	return nil
}
