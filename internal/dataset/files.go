package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// MissingError says that a file or folder of data is nowhere to be had.
type MissingError struct {
	Path  string   // as the config has it
	Name  string   // the file below it, or ""
	Tried []string // one line for each place, with what was there
	Hint  string   // what to do
}

func (e *MissingError) Error() string {
	what := e.Path
	if e.Name != "" {
		what = e.Name + " of " + e.Path
	}
	if len(e.Tried) == 0 {
		return fmt.Sprintf("data not found: %s", what)
	}
	return fmt.Sprintf("data not found: %s (tried %s)", what, strings.Join(e.Tried, "; "))
}

// recorder remembers the origins of what one Read reads through it, though the
// Source be shared. Safe for concurrent use.
type recorder struct {
	Source
	mu      sync.Mutex
	seen    map[[2]string]bool
	origins []Origin
}

// ReadFile reads and records.
func (r *recorder) ReadFile(ctx context.Context, path, name string) ([]byte, error) {
	b, err := r.Source.ReadFile(ctx, path, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	o := Origin{Name: name, From: "path", Path: path, SHA256: hex.EncodeToString(sum[:])}
	if name == "" {
		o.Name = path[strings.LastIndexByte(path, '/')+1:]
	}
	for _, x := range slices.Backward(r.Source.Origins()) {
		if x.SHA256 == o.SHA256 && x.Name == o.Name {
			o = x
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := [2]string{path, name}; !r.seen[key] {
		r.seen[key] = true
		r.origins = append(r.origins, o)
	}
	return b, nil
}

// Origins lists what was read through r.
func (r *recorder) Origins() []Origin {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.origins)
}

// checkArgs refuses arguments that a loader does not take.
func checkArgs(args *py.Dict, known ...string) error {
	var errs source.List
	for _, e := range args.Entries() {
		k, _ := e.Key.(string)
		if slices.Contains(known, k) {
			continue
		}
		d := source.Errorf(args.KeyPosOf(e.Key), "unknown key %s of this dataset class", py.Repr(e.Key))
		if near := registry.Nearest(k, append([]string{"abbr", "type", "reader_cfg", "infer_cfg", "eval_cfg"}, known...)); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		} else {
			d.Hint = "it takes " + strings.Join(quoted(known), ", ")
		}
		errs = append(errs, d)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// pathArg is the argument path.
func pathArg(args *py.Dict) (string, error) {
	v, ok := args.Lookup("path")
	if s, isStr := v.(string); isStr && s != "" {
		return s, nil
	}
	if !ok {
		return "", source.Errorf(args.At, "this dataset has no path").WithHint("say where its files are, such as path='./data/siqa'")
	}
	return "", source.Errorf(args.PosOf("path"), "path must be a non-empty string, not %s", py.TypeName(v))
}

// textLines is Python's readlines in text mode: line ends \n, \r\n and \r, the
// ends cut off, no line behind a final end.
func textLines(b []byte) []string {
	s := textOf(b)
	if s == "" {
		return nil
	}
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// textOf is b as text, without a copy: what a Source returns is not written to
// any more, and rows share the text of their file.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// lineErrorf is an error at line i (from 0) of a data file.
func lineErrorf(name string, i int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", name, i+1, fmt.Errorf(format, args...))
}

// objectLine reads one JSON object.
func objectLine(r *py.JSONReader, name string, i int, line string) (*py.Dict, error) {
	v, err := r.Load(py.StripSpace(line))
	if err != nil {
		return nil, lineErrorf(name, i, "%w", err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, lineErrorf(name, i, "a JSON object is expected, not %s", py.TypeName(v))
	}
	return d, nil
}

// readJSONL reads a file with one JSON object in each line.
func readJSONL(ctx context.Context, src Source, path, name string) (Table, error) {
	b, err := src.ReadFile(ctx, path, name)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = path
	}
	return objectLines(name, b)
}

// objectLines reads one JSON object from each line.
func objectLines(name string, b []byte) (Table, error) {
	lines := textLines(b)
	out := make(Table, len(lines))
	r := new(py.JSONReader)
	for i, l := range lines {
		var err error
		if out[i], err = objectLine(r, name, i, l); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stringField is a row's column that must be text.
func stringField(name string, i int, row *py.Dict, key string) (string, error) {
	v, ok := row.Lookup(key)
	if !ok {
		return "", lineErrorf(name, i, "the row has no %q", key)
	}
	s, ok := v.(string)
	if !ok {
		return "", lineErrorf(name, i, "%q must be text, not %s", key, py.TypeName(v))
	}
	return s, nil
}
