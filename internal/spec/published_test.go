package spec_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
	"sextant/internal/pyconf"
	"sextant/internal/sharedtest"
	"sextant/internal/spec"
)

// The hash in the name of each published dataset config is that of the first
// list of datasets that it defines, but for those in testdata/hash-differs.txt.
func TestPublishedPromptHashes(t *testing.T) {
	dir := sharedtest.Published(t)
	root := filepath.Join(dir, "opencompass", "configs", "datasets")
	known := map[string]string{}
	b, err := os.ReadFile(filepath.Join("testdata", "hash-differs.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if name, why, ok := strings.Cut(l, "\t"); ok && !strings.HasPrefix(l, "#") {
			known[name] = why
		}
	}
	name := regexp.MustCompile(`_(?:gen|ppl|ll|mixed)_([0-9a-f]{6})\.py$`)
	cache := &pyconf.Cache{}
	n := 0
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		m := name.FindStringSubmatch(p)
		if err != nil || d.IsDir() || m == nil {
			return err
		}
		n++
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		_, listed := known[rel]
		got := publishedHash(t, dir, p, cache)
		if (got == m[1]) == listed {
			t.Errorf("%s: hash %s; listed as different: %v", rel, got, listed)
		}
		delete(known, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := range known {
		t.Errorf("testdata/hash-differs.txt lists %s, which is not there", k)
	}
	t.Logf("%d files carry a hash", n)
	if n < 600 {
		t.Errorf("only %d files carry a hash", n)
	}
}

func publishedHash(t *testing.T, dir, p string, cache *pyconf.Cache) string {
	c, err := pyconf.Load(context.Background(), p, pyconf.Options{Dir: dir, Roots: []string{dir}, Cache: cache, MaxTime: 10 * time.Minute})
	if err != nil {
		return "error: " + err.Error()
	}
	for _, e := range c.Data().Entries() {
		k, _ := e.Key.(string)
		l, ok := e.Val.(*py.List)
		if !ok || !strings.HasSuffix(k, "_datasets") {
			continue
		}
		var ds []*py.Dict
		for _, it := range l.Items {
			if d, ok := it.(*py.Dict); ok {
				ds = append(ds, d)
			}
		}
		h, err := spec.PromptHash(ds...)
		if err != nil {
			return "error: " + err.Error()
		}
		return h[:6]
	}
	return "no list of datasets"
}
