package source

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// embeddedFS holds data/…, each file compressed with gzip (.gz added to its
// name). embedded/README.md says what it is and under which licence.
//
//go:embed embedded
var embeddedFS embed.FS

const embeddedRoot = "embedded"

// readEmbedded returns the file at p ("data/siqa/dev.jsonl").
func readEmbedded(p string) ([]byte, error) {
	b, err := embeddedFS.ReadFile(path.Join(embeddedRoot, p) + ".gz")
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpack embedded %s: %w", p, err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpack embedded %s: %w", p, err)
	}
	return out, nil
}

// inEmbedded reports a file or folder.
func inEmbedded(p string) bool {
	if !strings.HasPrefix(p, "data/") || !fs.ValidPath(p) {
		return false
	}
	for _, name := range []string{p, p + ".gz"} {
		if _, err := fs.Stat(embeddedFS, path.Join(embeddedRoot, name)); err == nil {
			return true
		}
	}
	return false
}

func listEmbedded(p string) []string {
	es, err := embeddedFS.ReadDir(path.Join(embeddedRoot, p))
	if err != nil {
		return nil
	}
	names := make([]string, len(es))
	for i, e := range es {
		names[i] = strings.TrimSuffix(e.Name(), ".gz")
	}
	return names
}
