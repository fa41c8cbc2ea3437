// Package sharedtest finds the reference data that lies beside the project
// for tests, and skips tests where it is not.
package sharedtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns the path of elem below the folder of reference data: the one
// that SEXTANT_SHARED names, or "shared" beside the project's folder. The test
// is skipped, with the reason, where neither exists.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	root := Root()
	if root == "" {
		t.Skip("reference data not found: neither SEXTANT_SHARED nor a folder shared beside the project")
	}
	p := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("reference data not found: %v", err)
	}
	return p
}

// Root is the folder of reference data, or "" where there is none.
func Root() string {
	if d := os.Getenv("SEXTANT_SHARED"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			d := filepath.Join(filepath.Dir(dir), "shared")
			if _, err := os.Stat(d); err != nil {
				return ""
			}
			return d
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}
