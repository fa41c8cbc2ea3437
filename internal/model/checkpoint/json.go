package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"

	"sextant/internal/py"
)

// readJSON reads a JSON object as Python's json does.
func readJSON(fsys fs.FS, name string) (*py.Dict, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read model config: %w", err)
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		return nil, &FileError{name, err}
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, &FileError{name, errors.New("not a JSON object")}
	}
	return d, nil
}
