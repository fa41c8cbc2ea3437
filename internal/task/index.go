package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Variables that tell a worker which of many it is, when the thing that
// started it starts all of them alike.
const (
	// IndexVar is the position in an Index, from 0.
	IndexVar = "SEXTANT_INDEX"
	// RestartsVar is how often this worker was started before by something
	// that starts workers again by itself: numbers joined by "+", empty ones
	// being 0. They are added to the manifest's attempt, so that each attempt
	// has its own status and its own name as a writer.
	RestartsVar = "SEXTANT_RESTARTS"
)

// Index is a file that stands for many manifests: workers that are started all
// with the same command find their own by IndexVar. ReadManifest reads both.
type Index struct {
	Kind    string       `json:"kind"` // first in the file, so that it is told from a manifest soon
	V       int          `json:"v"`
	Run     string       `json:"run"` // folder of the run, relative to that of the file: workers may see another path
	Entries []IndexEntry `json:"entries"`
}

// IndexEntry is one worker of an Index.
type IndexEntry struct {
	Manifest string `json:"manifest"` // relative to the run
	// Offset and Size say which bytes of that file are the manifest, when many
	// share one; Size 0 means all.
	Offset int64 `json:"offset,omitempty"`
	Size   int   `json:"size,omitempty"`
	// Secrets says under which names the variables come that Encode took out
	// of this manifest: all workers of an index share their environment.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Inputs are the files of the run that this worker reads, relative to it,
	// for workers that do not see the run's folder and must fetch them.
	Inputs []string `json:"inputs,omitempty"`
}

const indexKind = "index"

// Encode gives the bytes of the file.
func (x *Index) Encode() ([]byte, error) {
	x.Kind, x.V = indexKind, ManifestVersion
	b, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encode index of workers: %w", err)
	}
	return append(b, '\n'), nil
}

func isIndex(data []byte) bool { return bytes.HasPrefix(data, []byte(`{"kind":"`+indexKind+`"`)) }

// DecodeIndex reads what Encode wrote.
func DecodeIndex(data []byte) (*Index, error) {
	var x Index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("read index of workers: %w", err)
	}
	if x.Kind != indexKind {
		return nil, errors.New("read index of workers: this file is none")
	}
	if x.V > ManifestVersion {
		return nil, fmt.Errorf("read index of workers: its version %d is newer than this program's (%d): coordinator and worker must be the same program", x.V, ManifestVersion)
	}
	for i, e := range x.Entries {
		if e.Offset < 0 || e.Size < 0 || e.Size > 1<<30 {
			return nil, fmt.Errorf("read index of workers: entry %d points nowhere", i)
		}
		if !filepath.IsLocal(e.Manifest) {
			return nil, fmt.Errorf("read index of workers: entry %d points out of the run", i)
		}
		for _, p := range e.Inputs {
			if !filepath.IsLocal(p) {
				return nil, fmt.Errorf("read index of workers: entry %d reads out of the run", i)
			}
		}
	}
	return &x, nil
}

// Entry is the one that IndexVar names.
func (x *Index) Entry(getenv func(string) string) (IndexEntry, error) {
	i, err := strconv.Atoi(getenv(IndexVar))
	if err != nil || i < 0 || i >= len(x.Entries) {
		return IndexEntry{}, fmt.Errorf("variable %s is %q, must be 0 to %d", IndexVar, getenv(IndexVar), len(x.Entries)-1)
	}
	return x.Entries[i], nil
}

// readIndexed is ReadManifest for the path and bytes of an index.
func readIndexed(path string, data []byte, getenv func(string) string) (*Manifest, error) {
	x, err := DecodeIndex(data)
	if err != nil {
		return nil, err
	}
	e, err := x.Entry(getenv)
	if err != nil {
		return nil, fmt.Errorf("read index of workers %s: %w", path, err)
	}
	run := filepath.Join(filepath.Dir(path), x.Run)
	getenv = func(outer func(string) string) func(string) string {
		return func(name string) string {
			if other, ok := e.Secrets[name]; ok {
				name = other
			}
			return outer(name)
		}
	}(getenv)
	var m *Manifest
	if e.Size > 0 {
		m, err = readPacked(filepath.Join(run, e.Manifest), e, getenv)
	} else {
		m, err = ReadManifest(filepath.Join(run, e.Manifest), getenv)
	}
	if err != nil {
		return nil, err
	}
	m.Run = run
	return m, nil
}

// readPacked reads a manifest that is a part of a file.
func readPacked(path string, e IndexEntry, getenv func(string) string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	data := make([]byte, e.Size)
	if _, err := f.ReadAt(data, e.Offset); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return started(data, getenv)
}

// restarts sums RestartsVar.
func restarts(s string) (int, error) {
	n := 0
	for _, f := range strings.Split(s, "+") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		k, err := strconv.Atoi(f)
		if err != nil || k < 0 || k > 1e6 {
			return 0, fmt.Errorf("variable %s is %q, must be numbers joined by +", RestartsVar, s)
		}
		n += k
	}
	return n, nil
}
