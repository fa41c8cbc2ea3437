package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"sextant/internal/py"
)

// readJSON reads a JSON object, keys in order, whole numbers as int.
func readJSON(fsys fs.FS, name string) (*py.Dict, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read model config: %w", err)
	}
	v, err := decodeJSON(b)
	if err != nil {
		return nil, &FileError{name, err}
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, &FileError{name, errors.New("not a JSON object")}
	}
	return d, nil
}

func decodeJSON(b []byte) (py.Value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

const maxJSONDepth = 200

func jsonValue(d *json.Decoder, depth int) (py.Value, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deeply")
	}
	tok, err := d.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch x := tok.(type) {
	case json.Delim:
		if x == '[' {
			l := py.NewList()
			for d.More() {
				v, err := jsonValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.Append(v, 0)
			}
			_, err := d.Token()
			return l, err
		}
		m := py.NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := jsonValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		_, err := d.Token()
		return m, err
	case json.Number:
		if !strings.ContainsAny(string(x), ".eE") {
			if i, err := strconv.Atoi(string(x)); err == nil {
				return i, nil
			}
		}
		f, err := strconv.ParseFloat(string(x), 64)
		return f, err
	}
	return tok, nil // string, bool, nil
}
