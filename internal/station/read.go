package station

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"sextant/internal/py"
)

// Head is an entry without its predictions.
type Head struct {
	Rows    int      // predictions
	Results *py.Dict // nil where the entry has none
	Cfg     *py.Dict // nil where the entry has none
	// Statement is what was saved with these very bytes; nil when there is
	// none, as for entries of OpenCompass.
	Statement json.RawMessage
}

// Read goes through an entry. each, when it is not nil, is called with the JSON
// of every prediction in the order of the file; the bytes are its to read until
// it returns. The error is fs.ErrNotExist when there is no such entry.
func (s Station) Read(dataset, name string, each func(i int, record []byte) error) (*Head, error) {
	if err := errors.Join(checkName("dataset", dataset), checkName("model", name)); err != nil {
		return nil, err
	}
	path := s.Path(dataset, name)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read from the station: %w", err)
	}
	defer f.Close()
	h := &Head{}
	r := &reader{sum: sha256.New()}
	r.in = bufio.NewReaderSize(io.TeeReader(f, r), 1<<16)
	if err := h.read(r, each); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if b, err := os.ReadFile(s.statementPath(dataset, name, hex.EncodeToString(r.sum.Sum(nil)))); err == nil {
		var st statement
		if json.Unmarshal(b, &st) == nil && st.V == statementVersion && st.Size == r.n && st.SHA256 == hex.EncodeToString(r.sum.Sum(nil)) {
			h.Statement = st.Statement
		}
	}
	return h, nil
}

func (h *Head) read(r *reader, each func(int, []byte) error) error {
	err := r.members(func(key string) error {
		if key == "predictions" {
			return r.elements(func(i int) error {
				v, err := r.value()
				if err != nil {
					return err
				}
				h.Rows++
				if each == nil {
					return nil
				}
				return each(i, v)
			})
		}
		v, err := r.value()
		if err != nil {
			return err
		}
		var into **py.Dict
		switch key {
		case "results":
			into = &h.Results
		case "cfg":
			into = &h.Cfg
		default:
			return nil
		}
		x, err := py.LoadJSON(v)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		d, ok := x.(*py.Dict)
		if !ok {
			return fmt.Errorf("%s is a %s, not an object", key, py.TypeName(x))
		}
		*into = d
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("there is something behind the JSON object")
	}
	return nil
}

// reader takes JSON apart as far as where values begin and end, without
// holding more than one of them. Values are not checked beyond that.
type reader struct {
	in  *bufio.Reader
	buf []byte
	sum hash.Hash
	n   int64
}

// Write sees the bytes of the file as they are read.
func (r *reader) Write(p []byte) (int, error) {
	r.n += int64(len(p))
	return r.sum.Write(p)
}

var errShape = errors.New("not a station entry: a JSON object with predictions, results and cfg")

// next is the next byte that is no space, still to be read.
func (r *reader) next() (byte, error) {
	for {
		c, err := r.in.ReadByte()
		if err == io.EOF {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return c, r.in.UnreadByte()
	}
}

// take reads the next byte, which must be c.
func (r *reader) take(c byte) error {
	got, err := r.next()
	if err != nil {
		return err
	}
	if got != c {
		return errShape
	}
	_, err = r.in.ReadByte()
	return err
}

// members calls fn at the value of each member of an object.
func (r *reader) members(fn func(key string) error) error {
	if err := r.take('{'); err != nil {
		return err
	}
	return r.items('}', func(int) error {
		k, err := r.value()
		if err != nil {
			return err
		}
		var key string
		if len(k) == 0 || k[0] != '"' || json.Unmarshal(k, &key) != nil {
			return errShape
		}
		if err := r.take(':'); err != nil {
			return err
		}
		return fn(key)
	})
}

// elements calls fn at each element of an array.
func (r *reader) elements(fn func(i int) error) error {
	if err := r.take('['); err != nil {
		return err
	}
	return r.items(']', fn)
}

func (r *reader) items(end byte, fn func(i int) error) error {
	for i := 0; ; i++ {
		c, err := r.next()
		if err != nil {
			return err
		}
		if c == end && i == 0 {
			_, err := r.in.ReadByte()
			return err
		}
		if err := fn(i); err != nil {
			return err
		}
		if c, err = r.next(); err != nil {
			return err
		}
		if _, err := r.in.ReadByte(); err != nil {
			return err
		}
		switch c {
		case ',':
		case end:
			return nil
		default:
			return errShape
		}
		if c, err := r.next(); err != nil || c == end {
			return errors.Join(err, errShape)
		}
	}
}

// value reads one value. The bytes are valid until the next call.
func (r *reader) value() ([]byte, error) {
	first, err := r.next()
	if err != nil {
		return nil, err
	}
	r.buf = r.buf[:0]
	if first != '{' && first != '[' && first != '"' {
		for {
			c, err := r.next()
			if err != nil {
				return nil, err
			}
			if bytes.IndexByte([]byte(",:]}"), c) >= 0 {
				if len(r.buf) == 0 {
					return nil, errShape
				}
				return r.buf, nil
			}
			if _, err := r.in.ReadByte(); err != nil {
				return nil, err
			}
			r.buf = append(r.buf, c)
		}
	}
	depth, inText := 0, false
	for {
		c, err := r.in.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		r.buf = append(r.buf, c)
		switch {
		case inText && c == '\\':
			c, err := r.in.ReadByte()
			if err != nil {
				return nil, io.ErrUnexpectedEOF
			}
			r.buf = append(r.buf, c)
			continue
		case c == '"':
			inText = !inText
		case inText:
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !inText {
			return r.buf, nil
		}
	}
}
