package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/infer"
	"sextant/internal/py"
)

// Where predictions were read from.
const (
	FromRecords = "records" // our own records
	FromJSON    = "json"    // predictions/<model>/<dataset>.json alone
	FromParts   = "parts"   // <dataset>_0.json, <dataset>_1.json, … of OpenCompass
	FromTmp     = "tmp"     // the last of them is an unfinished tmp_….jsonl
)

// Predictions are the answers to one dataset, row 0 to Total-1, whoever wrote
// them.
type Predictions struct {
	Source string
	Total  int
	Failed int     // rows the model failed on; known for FromRecords
	Inputs *Inputs // what they were made from; nil when only our records would know
	Digest string  // SHA-256 of what was read: results are made from it
	Edited bool    // the JSON was changed by hand after the run and is what counts

	u    *union
	rows []infer.Record
	buf  []byte // of At
}

// Predictions opens the answers to a dataset. Our own records count before
// files in OpenCompass's shape; unless somebody edited the JSON derived from
// them. The error is an *IncompleteError when rows lack or nothing is there.
func (r *Run) Predictions(modelAbbr, dataset string, log *slog.Logger) (*Predictions, error) {
	s := r.settled(modelAbbr, dataset)
	if s != nil {
		sum, err := r.fileDigest(r.PredictionsPath(modelAbbr, dataset))
		if err != nil {
			return nil, err
		}
		if sum != s.JSON.SHA256 {
			if log != nil {
				log.Warn("predictions were edited after the run; scoring the edited file", "file", r.PredictionsPath(modelAbbr, dataset))
			}
			p, err := r.readShaped(modelAbbr, dataset)
			if p != nil {
				p.Edited, p.Inputs = true, &s.Inputs
			}
			return p, err
		}
	}
	u, err := r.union(modelAbbr, dataset, nil, log)
	if err != nil {
		return nil, err
	}
	if u.files == 0 {
		u.recs.Close()
		return r.readShaped(modelAbbr, dataset)
	}
	p := &Predictions{Source: FromRecords, Total: u.total, Failed: u.failed, Inputs: &u.inputs, u: u}
	if u.have < u.total || u.matching == 0 {
		e := &IncompleteError{Model: modelAbbr, Dataset: dataset, Have: u.have, Total: u.total}
		for e.First < len(u.rows) && u.rows[e.First].n > 0 {
			e.First++
		}
		u.recs.Close()
		return nil, e
	}
	if s != nil {
		p.Digest = s.Records.SHA256
		return p, nil
	}
	// The digest that settling would give.
	h := sha256.New()
	head, err := Header{Model: modelAbbr, Dataset: dataset, Total: u.total, Inputs: u.inputs}.line()
	if err == nil {
		h.Write(head)
		var out []byte
		err = u.each(func(l *rawLine) error {
			out = l.appendCanonical(out[:0])
			h.Write(out)
			return nil
		})
	}
	if err != nil {
		u.recs.Close()
		return nil, err
	}
	p.Digest = hex.EncodeToString(h.Sum(nil))
	return p, nil
}

// PredictionsDigest is the Digest that Predictions would give, without reading
// records that are settled as their statement says. The error is an
// *IncompleteError when rows lack or nothing is there.
func (r *Run) PredictionsDigest(modelAbbr, dataset string) (string, error) {
	if s := r.settled(modelAbbr, dataset); s != nil {
		if sum, err := r.fileDigest(r.PredictionsPath(modelAbbr, dataset)); err == nil && sum == s.JSON.SHA256 {
			return s.Records.SHA256, nil
		}
	}
	p, err := r.Predictions(modelAbbr, dataset, nil)
	if err != nil {
		return "", err
	}
	return p.Digest, p.Close()
}

// All gives the records in row order, one at a time.
func (p *Predictions) All() iter.Seq2[infer.Record, error] {
	return func(yield func(infer.Record, error) bool) {
		if p.u == nil {
			for _, rec := range p.rows {
				if !yield(rec, nil) {
					return
				}
			}
			return
		}
		stop := errors.New("stop")
		err := p.u.each(func(l *rawLine) error {
			rec, err := l.record()
			if err != nil {
				return err
			}
			if !yield(rec, nil) {
				return stop
			}
			return nil
		})
		if err != nil && err != stop {
			yield(infer.Record{}, err)
		}
	}
}

// At reads the record of row i. Not safe for concurrent use.
func (p *Predictions) At(i int) (infer.Record, error) {
	if p.u == nil {
		return p.rows[i], nil
	}
	l, err := p.u.at(i, &p.buf)
	if err != nil {
		return infer.Record{}, err
	}
	return l.record()
}

// Close closes the files.
func (p *Predictions) Close() error {
	if p.u != nil {
		return p.u.recs.Close()
	}
	return nil
}

// readShaped reads what OpenCompass wrote: the whole file, or parts up to the
// first that is missing.
func (r *Run) readShaped(modelAbbr, dataset string) (*Predictions, error) {
	h := sha256.New()
	data, err := r.readFile(r.PredictionsPath(modelAbbr, dataset))
	switch {
	case err == nil:
		h.Write(data)
		p := &Predictions{Source: FromJSON}
		if err := p.addObject(data); err != nil {
			return nil, fmt.Errorf("read %s: %w", r.PredictionsPath(modelAbbr, dataset), err)
		}
		return p.sealed(h.Sum(nil)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	p := &Predictions{}
	for part := 0; ; part++ {
		path := r.PredictionsPath(modelAbbr, fmt.Sprintf("%s_%d", dataset, part))
		data, err := r.readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			found, err := r.addTmp(p, h, modelAbbr, dataset, part)
			if err != nil {
				return nil, err
			}
			if !found && part == 0 {
				return nil, &IncompleteError{Model: modelAbbr, Dataset: dataset}
			}
			break
		}
		if err == nil {
			h.Write(data)
			err = p.addObject(data)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		p.Source = FromParts
	}
	return p.sealed(h.Sum(nil)), nil
}

func (p *Predictions) sealed(sum []byte) *Predictions {
	p.Total, p.Digest = len(p.rows), hex.EncodeToString(sum)
	for _, rec := range p.rows {
		if rec.State == infer.Failed {
			p.Failed++
		}
	}
	return p
}

// addTmp adds the records of an interrupted run: tmp_<dataset>.jsonl, or for
// parts tmp_<dataset>_<part>.jsonl.
func (r *Run) addTmp(p *Predictions, h io.Writer, modelAbbr, dataset string, part int) (bool, error) {
	dir, base := "", dataset
	if i := strings.LastIndexByte(dataset, '/'); i >= 0 {
		dir, base = dataset[:i+1], dataset[i+1:]
	}
	names := []string{fmt.Sprintf("%stmp_%s_%d.jsonl", dir, base, part)}
	if part == 0 {
		names = append(names, fmt.Sprintf("%stmp_%s.jsonl", dir, base))
	}
	for _, n := range names {
		path := r.Path("predictions", modelAbbr, n)
		data, err := r.readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = h.Write(data)
		}
		if err == nil {
			err = p.addLines(data)
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", path, err)
		}
		p.Source = FromTmp
		return true, nil
	}
	return false, nil
}

// addObject adds the records of one OpenCompass file: an object keyed by row
// number, in any order, without a gap.
func (p *Predictions) addObject(data []byte) error {
	first := len(p.rows)
	var ferr error
	end, ok := eachMember(data, func(key, val []byte) {
		if ferr != nil {
			return
		}
		i, err := strconv.Atoi(strings.Trim(string(key), `"`))
		if err != nil {
			ferr = fmt.Errorf("key %s is not a row number", key)
			return
		}
		ferr = p.addRecord(first+i, val)
	})
	if ferr != nil {
		return ferr
	}
	if !ok || len(bytes.TrimSpace(data[end:])) > 0 {
		return errors.New("not a JSON object of records")
	}
	return p.order(first)
}

// addLines adds the records of an unfinished file. An incomplete last line is
// dropped.
func (p *Predictions) addLines(data []byte) error {
	first := len(p.rows)
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		data = rest
		if !ok {
			if end, whole := eachMember(line, nil); !whole || len(bytes.TrimSpace(line[end:])) > 0 {
				break // torn
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := p.addRecord(-1, line); err != nil {
			return err
		}
		rec := &p.rows[len(p.rows)-1]
		i, err := strconv.Atoi(py.Str(rec.Data.Get("idx")))
		if err != nil {
			return errors.New("a line has no idx")
		}
		rec.Index = first + i
		rec.Data.Delete("idx")
	}
	return p.order(first)
}

func (p *Predictions) addRecord(index int, raw []byte) error {
	v, err := py.LoadJSON(raw)
	if err != nil {
		return fmt.Errorf("record %d: %w", index, err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return fmt.Errorf("record %d is a %s, not an object", index, py.TypeName(v))
	}
	rec := infer.Record{Index: index, State: infer.OK, Data: d}
	if e, ok := d.Get("error").(string); ok && d.Has("prediction") && d.Get("prediction") == "" {
		rec.State, rec.Error = infer.Failed, e // as writeShaped marks it
	}
	p.rows = append(p.rows, rec)
	return nil
}

// order sorts the rows from first on and refuses gaps.
func (p *Predictions) order(first int) error {
	part := p.rows[first:]
	slices.SortStableFunc(part, func(a, b infer.Record) int { return a.Index - b.Index })
	for i := range part {
		if part[i].Index != first+i {
			return fmt.Errorf("row %d is missing or twice there", i)
		}
	}
	return nil
}

func (r *Run) fileDigest(path string) (string, error) {
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
