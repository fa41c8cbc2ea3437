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

// Published is the folder with the configs of opencompass 0.5.4: the one that
// SEXTANT_OC_CONFIGS names, or the one in the user's cache that
// tools/fetch-opencompass-configs.sh makes. The test is skipped without.
func Published(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SEXTANT_OC_CONFIGS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		dir = filepath.Join(cache, "sextant-test", "opencompass-0.5.4")
	}
	if _, err := os.Stat(filepath.Join(dir, "opencompass", "configs")); err != nil {
		t.Skipf("published configs not found, run tools/fetch-opencompass-configs.sh: %v", err)
	}
	return dir
}
