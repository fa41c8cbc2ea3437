package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"sextant/internal/infer"
	"sextant/internal/model"
	"sextant/internal/py"
)

// Inputs is what the answers of a dataset depend on. Records made from
// other inputs are not the answers to this run's questions.
type Inputs struct {
	Data     string         `json:"data"`     // dataset.Set.Content
	Prompt   string         `json:"prompt"`   // hash of all that renders prompts: templates, retriever, meta template, renderer version
	Settings string         `json:"settings"` // hash of the inferencer and its generation settings
	Model    model.Identity `json:"model"`
}

// Key is a short hash of all of them.
func (in Inputs) Key() string {
	b, _ := json.Marshal(in) // strings only: cannot fail
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// Changed says in the user's words what is different from old; empty when
// nothing is.
func (in Inputs) Changed(old Inputs) []string {
	var out []string
	if in.Model != old.Model {
		s := "model"
		switch a, b := old.Model, in.Model; {
		case a.Name != b.Name:
			s += fmt.Sprintf(" (%s, was %s)", b.Name, a.Name)
		case a.ComputeType != b.ComputeType:
			s += fmt.Sprintf(" (%s, was %s)", b.ComputeType, a.ComputeType)
		case a.Backend != b.Backend:
			s += fmt.Sprintf(" (%s, was %s)", b.Backend, a.Backend)
		default:
			s += " (weights)"
		}
		out = append(out, s)
	}
	if in.Data != old.Data {
		out = append(out, "data")
	}
	if in.Prompt != old.Prompt {
		out = append(out, "prompt")
	}
	if in.Settings != old.Settings {
		out = append(out, "settings")
	}
	return out
}

// Header is the first line of a file of records.
type Header struct {
	V       int    `json:"v"`
	Kind    string `json:"kind"`    // "predictions"
	Model   string `json:"model"`   // abbreviation
	Dataset string `json:"dataset"` // abbreviation of the whole dataset, never of a part
	Total   int    `json:"total"`   // rows of the whole dataset
	Inputs  Inputs `json:"inputs"`
	Writer  string `json:"writer,omitempty"` // who wrote this file; "" once it is settled
}

const headerKind = "predictions"

func (h Header) line() ([]byte, error) {
	h.V, h.Kind = Version, headerKind
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(h); err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	return b.Bytes(), nil
}

var lineJSON = py.JSONOptions{ItemSep: ",", KeySep: ":"}

// appendRecord appends the line of a record, with its newline.
func appendRecord(dst []byte, rec *infer.Record) ([]byte, error) {
	dst = append(dst, `{"v":1,"i":`...)
	dst = strconv.AppendInt(dst, int64(rec.Index), 10)
	dst = append(dst, `,"id":`...)
	dst = appendString(dst, rec.ID)
	if rec.State == infer.Failed {
		dst = append(dst, `,"s":"failed","e":`...)
		dst = appendString(dst, rec.Error)
	} else {
		dst = append(dst, `,"s":"ok"`...)
	}
	dst = appendCut(dst, rec.Cut)
	dst = append(dst, `,"r":`...)
	if rec.Data == nil {
		dst = append(dst, "{}"...)
	} else {
		var err error
		if dst, err = py.AppendJSON(dst, rec.Data, lineJSON); err != nil {
			return dst, fmt.Errorf("encode record %d: %w", rec.Index, err)
		}
	}
	return append(dst, "}\n"...), nil
}

// cutNames are the words for what was cut, in the order of their bits.
var cutNames = [...]string{"answer", "prompt", "examples"}

func appendCut(dst []byte, c infer.Cut) []byte {
	if c == 0 {
		return dst
	}
	dst = append(dst, `,"cut":[`...)
	first := true
	for i, name := range cutNames {
		if c&(1<<i) != 0 {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(append(dst, '"'), name...), '"')
		}
	}
	return append(dst, ']')
}

// parseCut reads what appendCut writes; words it does not know are passed over.
func parseCut(val []byte) (c infer.Cut) {
	for i, name := range cutNames {
		if bytes.Contains(val, []byte(`"`+name+`"`)) {
			c |= 1 << i
		}
	}
	return c
}

// appendString appends s as a JSON string, without HTML escapes.
func appendString(dst []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// rawLine is a line of a file of records, taken apart but not decoded. Slices
// point into the line.
type rawLine struct {
	header bool
	index  int
	id     string
	failed bool
	cut    infer.Cut
	err    []byte // JSON string
	rec    []byte // JSON object
}

var (
	errCorrupt = errors.New("not a record")
	errNewer   = errors.New("written by a newer version of the program")
)

// parseLine takes a line without its newline apart. It accepts members in any
// order and any white space, because the format is a contract that other
// programs may write.
func parseLine(b []byte) (rawLine, error) {
	var l rawLine
	var hasI, hasR, hasS, hasV bool
	bad, newer := false, false
	end, ok := eachMember(b, func(key, val []byte) {
		switch string(key) {
		case `"v"`:
			n, err := strconv.Atoi(string(val))
			hasV = true
			newer = n > Version
			bad = bad || err != nil || n < 1
		case `"kind"`:
			l.header = true
		case `"i"`:
			n, err := strconv.Atoi(string(val))
			if err != nil || n < 0 {
				bad = true
				return
			}
			l.index, hasI = n, true
		case `"id"`:
			if json.Unmarshal(val, &l.id) != nil {
				bad = true
			}
		case `"s"`:
			switch string(val) {
			case `"ok"`:
				hasS = true
			case `"failed"`:
				hasS, l.failed = true, true
			}
		case `"e"`:
			l.err = val
			bad = bad || len(val) == 0 || val[0] != '"'
		case `"cut"`:
			l.cut = parseCut(val)
		case `"r"`:
			l.rec, hasR = val, true
			bad = bad || len(val) == 0 || val[0] != '{'
		}
	})
	switch {
	case !ok || bad || !hasV || len(bytes.TrimSpace(b[end:])) != 0:
		return l, errCorrupt
	case newer:
		return l, errNewer
	case l.header:
		return l, nil
	case !hasI || !hasR || !hasS || l.id == "":
		return l, errCorrupt
	}
	return l, nil
}

func (l *rawLine) record() (infer.Record, error) {
	r := infer.Record{Index: l.index, ID: l.id, State: infer.OK, Cut: l.cut}
	if l.failed {
		r.State = infer.Failed
		if len(l.err) > 0 {
			if err := json.Unmarshal(l.err, &r.Error); err != nil {
				return r, fmt.Errorf("record %d: %w", l.index, err)
			}
		}
	}
	v, err := py.LoadJSON(l.rec)
	if err != nil {
		return r, fmt.Errorf("record %d: %w", l.index, err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return r, fmt.Errorf("record %d: not an object", l.index)
	}
	r.Data = d
	return r, nil
}

// appendCanonical appends the line in the one form that settled files have.
func (l *rawLine) appendCanonical(dst []byte) []byte {
	dst = append(dst, `{"v":1,"i":`...)
	dst = strconv.AppendInt(dst, int64(l.index), 10)
	dst = append(dst, `,"id":`...)
	dst = appendString(dst, l.id)
	if l.failed {
		dst = append(dst, `,"s":"failed","e":`...)
		if len(l.err) == 0 {
			dst = append(dst, `""`...)
		} else {
			dst = append(dst, l.err...)
		}
	} else {
		dst = append(dst, `,"s":"ok"`...)
	}
	dst = appendCut(dst, l.cut)
	dst = append(dst, `,"r":`...)
	dst = append(dst, l.rec...)
	return append(dst, "}\n"...)
}

// badLine is what stands in a file of records without being one.
type badLine struct {
	off  int64
	data []byte
}

// scan is what reading a file of records found.
type scan struct {
	header *Header // nil when the first line is not a header
	good   int64   // offset behind the last complete line
	torn   int64   // bytes of an incomplete last line
	bad    []badLine
}

// recordStart is how every line of ours begins; it finds a whole record behind
// the remains of a torn one.
var recordStart = []byte(`{"v":1,"i":`)

// scanRecords reads records from r: head, which may be nil, gets the header
// before any record, fn each record with the offset and length (with newline)
// of its line; l is valid during the call only. Lines
// that are no records are collected, never an error.
func scanRecords(r io.Reader, head func(*Header), fn func(off int64, n int, l *rawLine)) (scan, error) {
	var s scan
	br := bufio.NewReaderSize(r, 1<<17)
	var long []byte
	first := true
	for {
		line, err := br.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long[:0], line...)
			for err == bufio.ErrBufferFull {
				line, err = br.ReadSlice('\n')
				long = append(long, line...)
			}
			line = long
		}
		if err == io.EOF {
			s.torn = int64(len(line))
			return s, nil
		}
		if err != nil {
			return s, err
		}
		off := s.good
		s.good += int64(len(line))
		body := line[:len(line)-1]
		l, perr := parseLine(body)
		switch {
		case perr == nil && l.header:
			var h Header
			if first && json.Unmarshal(body, &h) == nil && h.Kind == headerKind {
				s.header = &h
				if head != nil {
					head(&h)
				}
			}
		case perr == nil:
			fn(off, len(line), &l)
		case errors.Is(perr, errNewer):
			return s, perr
		case len(bytes.TrimSpace(body)) == 0:
		default:
			rest := body
			if at := bytes.LastIndex(body, recordStart); at > 0 {
				if l, err := parseLine(body[at:]); err == nil && !l.header {
					fn(off+int64(at), len(line)-at, &l)
					rest = body[:at]
				}
			}
			s.bad = append(s.bad, badLine{off, bytes.Clone(rest)})
		}
		first = false
	}
}
