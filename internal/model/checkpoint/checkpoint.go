// Package checkpoint reads the weights and the config of a Hugging Face model
// folder: config.json with model.safetensors, its sharded form, or
// pytorch_model.bin (zip or the older stream), whole or sharded.
//
// Open reads only headers. A Tensor then reads its own numbers, converted to
// float32 or as raw bytes, from any number of goroutines; no file is copied as
// a whole. Files are read with positioned reads and not mapped: a file that
// shrinks under a mapping kills the process, and mapped pages would count as
// memory of ours.
//
// A pytorch_model.bin is a pickle, a program in disguise. It is run by an
// interpreter that knows dicts, lists, numbers, strings and the functions that
// rebuild tensors; any other name in it is refused, by name. Nothing in such a
// file can do anything but describe tensors.
//
// Everything in these files is checked against the size of the file before it
// is believed. Not here: what the tensors mean (the engine's), downloads (hub),
// quantised formats, writing.
//
// The formats are those of safetensors, of torch.save and of transformers'
// sharded checkpoints.
package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"strings"

	"sextant/internal/py"
)

// Checkpoint is an open model folder. Safe for concurrent use until Close.
type Checkpoint struct {
	// Config is config.json.
	Config *py.Dict
	// GenerationConfig is generation_config.json, nil when there is none.
	GenerationConfig *py.Dict
	// Files are the names of the weight files that are in use, the index of a
	// sharded checkpoint first.
	Files []string

	tensors []*Tensor
	byName  map[string]*Tensor
	open    []io.Closer
}

// NoWeightsError says that a folder has no weights that can be read.
type NoWeightsError struct {
	Want  []string // what was looked for, in order
	Found []string // the names in the folder
}

func (e *NoWeightsError) Error() string {
	found := "the folder is empty"
	if len(e.Found) > 0 {
		found = "found " + strings.Join(e.Found, ", ")
	}
	return fmt.Sprintf("no weights: looked for %s; %s", strings.Join(e.Want, ", "), found)
}

// FileError is something wrong with one file of the folder.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// TruncatedError is a file that ends too early.
type TruncatedError struct {
	Size, Want int64 // bytes that are there and that there should be
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("truncated: %d of %d bytes, %d missing", e.Size, e.Want, e.Want-e.Size)
}

// Names of weight files, in the order in which they are preferred.
const (
	safetensorsName  = "model.safetensors"
	safetensorsIndex = "model.safetensors.index.json"
	torchName        = "pytorch_model.bin"
	torchIndex       = "pytorch_model.bin.index.json"
)

var weightNames = []string{safetensorsName, safetensorsIndex, torchName, torchIndex}

// Open reads the config and the headers of the weights of a model folder.
func Open(fsys fs.FS) (*Checkpoint, error) {
	c := &Checkpoint{byName: map[string]*Tensor{}}
	var err error
	if c.Config, err = readJSON(fsys, "config.json"); err != nil {
		return nil, err
	}
	c.GenerationConfig, err = readJSON(fsys, "generation_config.json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := c.openWeights(fsys); err != nil {
		c.Close()
		return nil, err
	}
	sort.Slice(c.tensors, func(i, j int) bool { return c.tensors[i].Name < c.tensors[j].Name })
	return c, nil
}

// WeightFiles lists the weight files that Open would read, an index first,
// and for a sharded checkpoint its shards, whether they are there or not.
func WeightFiles(fsys fs.FS) ([]string, error) {
	for _, name := range weightNames {
		if _, err := fs.Stat(fsys, name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("look for weights: %w", err)
		}
		if name == safetensorsName || name == torchName {
			return []string{name}, nil
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read weights: %w", err)
		}
		_, shards, err := ParseIndex(b)
		if err != nil {
			return nil, &FileError{name, err}
		}
		return append([]string{name}, shards...), nil
	}
	e := &NoWeightsError{Want: weightNames}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read model folder: %w", err)
	}
	for _, d := range entries {
		e.Found = append(e.Found, d.Name())
	}
	return nil, e
}

// ParseIndex reads a *.index.json: which shard has each tensor, and the names
// of the shards, sorted.
func ParseIndex(b []byte) (weightMap map[string]string, shards []string, err error) {
	v, err := py.LoadJSON(b)
	if err != nil {
		return nil, nil, err
	}
	d, _ := v.(*py.Dict)
	m := d.Dict("weight_map")
	if m == nil || m.Len() == 0 {
		return nil, nil, errors.New("no weight_map")
	}
	weightMap = make(map[string]string, m.Len())
	for _, e := range m.Entries() {
		name, _ := e.Key.(string)
		file, ok := e.Val.(string)
		if !ok || !fs.ValidPath(file) || file == "." || strings.ContainsAny(file, `/\:`) {
			return nil, nil, fmt.Errorf("weight_map: tensor %q has the file %v, which is not a name in this folder", name, e.Val)
		}
		weightMap[name] = file
		shards = append(shards, file)
	}
	slices.Sort(shards)
	return weightMap, slices.Compact(shards), nil
}

func (c *Checkpoint) openWeights(fsys fs.FS) error {
	files, err := WeightFiles(fsys)
	if err != nil {
		return err
	}
	c.Files = files
	if len(files) == 1 && (files[0] == safetensorsName || files[0] == torchName) {
		return c.addFile(fsys, files[0])
	}
	index, shards := files[0], files[1:]
	b, err := fs.ReadFile(fsys, index)
	if err != nil {
		return fmt.Errorf("read weights: %w", err)
	}
	weightMap, _, err := ParseIndex(b)
	if err != nil {
		return &FileError{index, err}
	}
	var missing []string
	for _, s := range shards {
		if _, err := fs.Stat(fsys, s); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		return &FileError{index, fmt.Errorf("%d of %d shards are missing: %s", len(missing), len(shards), strings.Join(missing, ", "))}
	}
	for _, s := range shards {
		if err := c.addFile(fsys, s); err != nil {
			return err
		}
	}
	for name, file := range weightMap {
		t := c.byName[name]
		if t == nil {
			return &FileError{index, fmt.Errorf("tensor %q is not in %s", name, file)}
		}
		if t.file != file {
			return &FileError{index, fmt.Errorf("tensor %q is in %s, not in %s", name, t.file, file)}
		}
	}
	return nil
}

// addFile enters the tensors of one file, by its content and not its name.
func (c *Checkpoint) addFile(fsys fs.FS, name string) error {
	f, err := openFile(fsys, name)
	if err != nil {
		return fmt.Errorf("open weights: %w", err)
	}
	c.open = append(c.open, f)
	var ts []*Tensor
	if strings.HasSuffix(name, ".safetensors") {
		ts, err = readSafetensors(f, f.size)
	} else {
		ts, err = readTorch(f, f.size)
	}
	if err != nil {
		if isLFSPointer(f) {
			err = errors.New("this is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
		}
		return &FileError{name, err}
	}
	for _, t := range ts {
		t.file = name
		if old := c.byName[t.Name]; old != nil {
			return &FileError{name, fmt.Errorf("tensor %q is in %s too", t.Name, old.file)}
		}
		c.byName[t.Name] = t
		c.tensors = append(c.tensors, t)
	}
	return nil
}

// Tensors returns all tensors sorted by name.
func (c *Checkpoint) Tensors() []*Tensor { return c.tensors }

// Tensor returns the tensor of that name, or nil.
func (c *Checkpoint) Tensor(name string) *Tensor { return c.byName[name] }

// Close closes the files; tensors cannot be read afterwards.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.open {
		errs = append(errs, f.Close())
	}
	c.open = nil
	return errors.Join(errs...)
}

// file is an open file with positioned reads.
type file struct {
	io.ReaderAt
	io.Closer
	size int64
}

func openFile(fsys fs.FS, name string) (*file, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if st.IsDir() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
	}
	if r, ok := f.(io.ReaderAt); ok {
		return &file{r, f, st.Size()}, nil
	}
	b, err := io.ReadAll(f) // a file system of a test, or an archive
	f.Close()
	if err != nil {
		return nil, err
	}
	return &file{strings.NewReader(string(b)), io.NopCloser(nil), int64(len(b))}, nil
}

func isLFSPointer(f *file) bool {
	const magic = "version https://git-lfs.github.com/spec/"
	b := make([]byte, len(magic))
	n, _ := f.ReadAt(b, 0)
	return string(b[:n]) == magic
}
