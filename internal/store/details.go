package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"sextant/internal/py"
)

// A results file may hold a detail for each row. It is read member by member:
// nothing here holds more than one.

// Details reads the details of a results file one at a time. It holds where
// each stands (16 bytes), not what it says. Not safe for concurrent use.
type Details struct {
	r    *Run
	f    file
	path string
	at   map[int]span // by row, or by the number in example_abbr
	list bool
	buf  []byte
}

type span struct {
	off int64
	n   int32
}

// Details opens the details of a result; nil when it has none. The error is
// fs.ErrNotExist when there is no result. A list names the question of an
// element by example_abbr, "<subdivision>_<number>"; a dict has rows by number.
func (r *Run) Details(modelAbbr, dataset string) (*Details, error) {
	path := r.ResultsPath(modelAbbr, dataset)
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	d := &Details{r: r, f: f, path: path}
	if err := d.index(); err != nil {
		f.Close() // only read from
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	if d.at == nil {
		return nil, f.Close()
	}
	return d, nil
}

func (d *Details) index() error {
	m := &memberReader{br: bufio.NewReaderSize(d.f, 1<<16)}
	return m.object(func(key string) error {
		if key != "details" {
			_, err := m.skip()
			return err
		}
		d.at, d.list = nil, false
		c, err := m.peek()
		if err != nil {
			return err
		}
		if c != '{' && c != '[' {
			_, err := m.skip()
			return err
		}
		d.at, d.list = map[int]span{}, c == '['
		return m.elements(func(k string) error {
			if !d.list {
				at, err := m.skip()
				if row, e := strconv.Atoi(k); e == nil && strconv.Itoa(row) == k {
					d.at[row] = at
				}
				return err
			}
			at, err := m.value()
			if err != nil {
				return err
			}
			name := exampleAbbr(m.held)
			if n, e := strconv.Atoi(name[strings.LastIndexByte(name, '_')+1:]); e == nil {
				d.at[n] = at
			}
			return nil
		})
	})
}

// exampleAbbr is that member of a detail, "" without.
func exampleAbbr(raw []byte) string {
	name := ""
	eachMember(raw, func(k, v []byte) {
		if string(k) == `"example_abbr"` {
			if s, err := py.LoadJSON(v); err == nil {
				name, _ = s.(string)
			}
		}
	})
	return name
}

// List reports whether the details are a list, one element a question, rather
// than a dict by row.
func (d *Details) List() bool { return d.list }

// At is the detail of a row, or of a question in a list; nil when there is
// none or it is no dict.
func (d *Details) At(n int) (*py.Dict, error) {
	at, ok := d.at[n]
	if !ok {
		return nil, nil
	}
	if cap(d.buf) < int(at.n) {
		d.buf = make([]byte, at.n)
	}
	b := d.buf[:at.n]
	if _, err := d.f.ReadAt(b, at.off); err != nil {
		return nil, fmt.Errorf("read results %s: %w", d.path, err)
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		return nil, fmt.Errorf("read results %s: detail %d: %w", d.path, n, err)
	}
	dict, _ := v.(*py.Dict)
	return dict, nil
}

// Close closes the file.
func (d *Details) Close() error { return d.f.Close() }

// ResultMetrics is Result without details, which may be as many as rows: they
// are not made into values.
func (r *Run) ResultMetrics(modelAbbr, dataset string) (*py.Dict, error) {
	path := r.ResultsPath(modelAbbr, dataset)
	f, err := r.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer f.Close()
	out := py.NewDict()
	m := &memberReader{br: bufio.NewReaderSize(f, 1<<16)}
	err = m.object(func(key string) error {
		if key == "details" {
			_, err := m.skip()
			return err
		}
		if _, err := m.value(); err != nil {
			return err
		}
		v, err := py.LoadJSON(m.held)
		out.Set(key, v)
		return err
	})
	if err == nil {
		err = m.end()
	}
	if err != nil {
		return nil, fmt.Errorf("read results %s: not a whole JSON object: %w", path, err)
	}
	return out, nil
}

var errNoJSON = errors.New("not JSON")

// memberReader walks through JSON of any size.
type memberReader struct {
	br   *bufio.Reader
	off  int64
	keep bool
	held []byte // what value read last
}

func (m *memberReader) next() (byte, error) {
	c, err := m.br.ReadByte()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	m.off++
	if m.keep {
		m.held = append(m.held, c)
	}
	return c, nil
}

// peek passes over white space and returns what comes then.
func (m *memberReader) peek() (byte, error) {
	for {
		c, err := m.next()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		}
		m.back()
		return c, nil
	}
}

func (m *memberReader) back() {
	_ = m.br.UnreadByte() // there was just one
	m.off--
	if m.keep {
		m.held = m.held[:len(m.held)-1]
	}
}

func (m *memberReader) expect(want byte) error {
	c, err := m.peek()
	if err != nil {
		return err
	}
	if c != want {
		return errNoJSON
	}
	_, err = m.next()
	return err
}

// object calls fn with each key of the object that comes; fn reads the value.
func (m *memberReader) object(fn func(key string) error) error {
	if c, err := m.peek(); err != nil || c != '{' {
		return errors.Join(err, errNoJSON)
	}
	return m.elements(fn)
}

// elements calls fn before each element of the object or list that comes; fn
// reads it. The key is "" in a list.
func (m *memberReader) elements(fn func(key string) error) error {
	open, err := m.next()
	if err != nil {
		return err
	}
	end := open + 2 // '{'+2 is '}', '['+2 is ']'
	c, err := m.peek()
	if err != nil {
		return err
	}
	if c == end {
		_, err := m.next()
		return err
	}
	for {
		key := ""
		if open == '{' {
			if _, err := m.value(); err != nil {
				return err
			}
			v, err := py.LoadJSON(m.held)
			if err != nil {
				return err
			}
			var ok bool
			if key, ok = v.(string); !ok {
				return errNoJSON
			}
			if err := m.expect(':'); err != nil {
				return err
			}
		}
		if err := fn(key); err != nil {
			return err
		}
		c, err := m.peek()
		if err != nil {
			return err
		}
		if _, err := m.next(); err != nil {
			return err
		}
		if c == end {
			return nil
		}
		if c != ',' {
			return errNoJSON
		}
	}
}

// value reads the value that comes into m.held.
func (m *memberReader) value() (span, error) {
	if _, err := m.peek(); err != nil {
		return span{}, err
	}
	m.keep, m.held = true, m.held[:0]
	at, err := m.skip()
	m.keep = false
	return at, err
}

// skip passes over the value that comes and returns where it stands. It looks
// at brackets and strings only.
func (m *memberReader) skip() (span, error) {
	if _, err := m.peek(); err != nil {
		return span{}, err
	}
	start := m.off
	depth := 0
	for {
		c, err := m.next()
		if err != nil {
			return span{}, err
		}
		switch c {
		case '"':
			if err := m.text(); err != nil {
				return span{}, err
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',', ':':
			if depth == 0 {
				return span{}, errNoJSON // no value at all
			}
		default:
			if depth > 0 {
				continue
			}
			for depth == 0 { // a number or a word
				c, err := m.next()
				if err != nil {
					return span{}, err
				}
				if strings.IndexByte(",]} \t\r\n:", c) >= 0 {
					m.back()
					break
				}
			}
		}
		if depth < 0 {
			return span{}, errNoJSON
		}
		if depth == 0 {
			if m.off-start > 1<<31-1 {
				return span{start, 0}, nil // nobody asks for it
			}
			return span{start, int32(m.off - start)}, nil
		}
	}
}

// text passes over a string behind its opening quote.
func (m *memberReader) text() error {
	for {
		if _, err := m.br.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		buf, _ := m.br.Peek(m.br.Buffered()) // what is there
		i := 0
		for i < len(buf) && buf[i] != '"' && buf[i] != '\\' {
			i++
		}
		if m.keep {
			m.held = append(m.held, buf[:i]...)
		}
		m.off += int64(i)
		_, _ = m.br.Discard(i) // it is there
		if i == len(buf) {
			continue
		}
		c, err := m.next()
		if err != nil || c == '"' {
			return err
		}
		if _, err := m.next(); err != nil { // what is escaped
			return err
		}
	}
}

// end is an error when anything but white space comes.
func (m *memberReader) end() error {
	for {
		c, err := m.br.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return errNoJSON
		}
	}
}
