package source

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/sharedtest"
)

// env is a Getenv over a map.
func env(kv ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) string { return m[k] }
}

func write(t *testing.T, text string, elem ...string) {
	t.Helper()
	p := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOrder takes one place away after the other.
func TestOrder(t *testing.T) {
	t.Parallel()
	dir, cache, home := t.TempDir(), t.TempDir(), t.TempDir()
	places := []struct{ root, from string }{{dir, "path"}, {cache, "cache"}, {filepath.Join(home, ".cache", "opencompass"), "cache"}}
	for _, p := range places {
		write(t, p.root, p.root, "data", "siqa", "dev.jsonl")
	}
	for _, id := range []string{"./data/siqa", "opencompass/siqa", "data/siqa/"} {
		t.Run(id, func(t *testing.T) {
			for i, p := range append(places, struct{ root, from string }{"", "embedded"}) {
				o := Options{Dir: dir, Home: home, Getenv: env("COMPASS_DATA_CACHE", cache), Offline: true}
				if i > 0 {
					o.Dir = t.TempDir()
				}
				if i > 1 {
					o.Getenv = nil
				}
				if i > 2 {
					o.Home = t.TempDir()
				}
				f := New(o)
				if !f.Exists(t.Context(), id, "dev.jsonl") || f.Exists(t.Context(), id, "nope") {
					t.Errorf("place %d: Exists is wrong", i)
				}
				b, err := f.ReadFile(t.Context(), id, "dev.jsonl")
				if err != nil {
					t.Fatal(err)
				}
				if p.root != "" && string(b) != p.root {
					t.Errorf("place %d: read %q, want %q", i, b, p.root)
				}
				sum := sha256.Sum256(b)
				want := dataset.Origin{Name: "dev.jsonl", From: p.from, Path: filepath.Join(p.root, "data", "siqa", "dev.jsonl"), SHA256: hex.EncodeToString(sum[:])}
				if p.root == "" {
					want.Path = "embedded:data/siqa/dev.jsonl"
				}
				if got := f.Origins(); len(got) != 1 || got[0] != want {
					t.Errorf("place %d: origins %+v, want %+v", i, got, want)
				}
			}
		})
	}
}

// TestEmbedded holds the embedded copy against the published hashes (the Git
// LFS pointers of OpenCompass's data release) and the reference data.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	f := New(Options{Dir: t.TempDir(), Offline: true})
	tests := []struct {
		id, name string
		lines    int
	}{
		{"opencompass/siqa", "dev.jsonl", 1954},
		{"opencompass/siqa", "dev-labels.lst", 1954},
		{"opencompass/winogrande", "dev.jsonl", 1267},
		{"opencompass/winogrande", "dev-labels.lst", 1267},
		{"opencompass/winogrande", "train_xs.jsonl", 160},
	}
	for _, tt := range tests {
		b, err := f.ReadFile(t.Context(), tt.id, tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) + 1; n != tt.lines {
			t.Errorf("%s %s: %d lines, want %d", tt.id, tt.name, n, tt.lines)
		}
	}
	for _, tt := range tests {
		want, err := os.ReadFile(sharedtest.Path(t, LocalPath(tt.id), tt.name))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := f.ReadFile(t.Context(), tt.id, tt.name); !bytes.Equal(got, want) {
			t.Errorf("%s %s differs from the reference data", tt.id, tt.name)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, "x", dir, "data", "here", "a.txt")
	write(t, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", dir, "data", "lfs", "a.txt")
	home, cache := filepath.Join(dir, "home"), filepath.Join(dir, "cache")
	tests := []struct {
		name       string
		o          Options
		path, file string
		want       []string // in the message and hint, in this order
	}{
		{"nowhere", Options{}, "./data/nosuch", "a.txt", []string{"a.txt of ./data/nosuch", "data/nosuch: not there", "COMPASS_DATA_CACHE is not set", "no copy is embedded", "no archive", "put the data into ./data/nosuch"}},
		{"nowhere, caches set", Options{Home: home, Getenv: env("COMPASS_DATA_CACHE", cache)}, "./data/nosuch", "a.txt", []string{filepath.Join(cache, "data", "nosuch"), filepath.Join(home, ".cache", "opencompass", "data", "nosuch")}},
		{"absolute", Options{}, filepath.Join(dir, "nosuch"), "", []string{"nosuch: not there", "only looked for where it says"}},
		{"file missing", Options{}, "./data/here", "b.txt", []string{"b.txt of ./data/here", "the folder is there, but it has a.txt", "complete the folder"}},
		{"pointer", Options{}, "./data/lfs", "a.txt", []string{"Git LFS pointer", "git lfs pull"}},
		{"embedded lacks it", Options{}, "opencompass/siqa", "train.jsonl", []string{"train.jsonl of opencompass/siqa", "embedded", "dev-labels.lst, dev.jsonl", "COMPASS_DATA_CACHE"}},
		{"hub wanted", Options{Getenv: env("DATASET_SOURCE", "ModelScope")}, "opencompass/siqa", "dev.jsonl", []string{"DATASET_SOURCE=ModelScope", "unset DATASET_SOURCE"}},
		{"offline", Options{Home: home, Offline: true}, "opencompass/gsm8k", "test.jsonl", []string{"download of gsm8k.zip not allowed", "run once without --offline", "opencompass/data"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.Dir = dir
			_, err := New(tt.o).ReadFile(t.Context(), tt.path, tt.file)
			var m *dataset.MissingError
			if !errors.As(err, &m) {
				t.Fatalf("error %v, want a MissingError", err)
			}
			text := err.Error() + "\n" + m.Hint
			rest := text
			for _, w := range tt.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Errorf("%q is not, or not in that order, in:\n%s", w, text)
				}
				rest = after
			}
		})
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	if n := len(ids()); n != 124 {
		t.Errorf("%d ids, want 124", n)
	}
	if n := len(archives()); n != 96 {
		t.Errorf("%d archives, want 96", n)
	}
	for id, want := range map[string]string{"opencompass/siqa": "./data/siqa", "opencompass/winogrande": "./data/winogrande/", "./data/x": "./data/x"} {
		if got := LocalPath(id); got != want {
			t.Errorf("LocalPath(%q) = %q, want %q", id, got, want)
		}
	}
	for local, want := range map[string]string{"./data/winogrande/": "winogrande.zip", "./data/mmlu_pro": "mmlu_pro.zip", "./data/mmlu/": "mmlu.zip", "./data/siqa": "", "./data/humaneval_pro/x": "humaneval_pro.zip"} {
		if got, _ := archiveFor(local); got.file != want {
			t.Errorf("archiveFor(%q) = %q, want %q", local, got.file, want)
		}
	}
}

// archiveServer serves one archive, with faults.
type archiveServer struct {
	content []byte
	mu      sync.Mutex
	cutAt   []int // after how many bytes of the whole to break, one for each request
	ranges  []string
	ignore  bool // answer ranges with the whole
	status  int
}

func (s *archiveServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	from := 0
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 && !s.ignore {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.content)-1, len(s.content)))
	} else {
		from = 0
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(s.content)-from))
	if w.Header().Get("Content-Range") != "" {
		w.WriteHeader(http.StatusPartialContent)
	}
	end := len(s.content)
	if len(s.cutAt) > 0 {
		end, s.cutAt = s.cutAt[0], s.cutAt[1:]
	}
	if end > from {
		_, _ = w.Write(s.content[from:end]) // a broken stream is the test
	}
	if end < len(s.content) {
		panic(http.ErrAbortHandler)
	}
}

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDownload(t *testing.T) {
	retryPause = 0
	big := strings.Repeat("row of text\n", 1<<16)
	good := zipOf(t, map[string]string{"thing/a.txt": "A", "thing/sub/b.txt": big, "__MACOSX/x": ""})
	sum := md5.Sum(good)
	a := archive{"/thing", "thing.zip", hex.EncodeToString(sum[:])}
	tests := []struct {
		name   string
		s      *archiveServer
		part   []byte // there from an earlier run
		a      archive
		ranges []string
		err    string
	}{
		{"plain", &archiveServer{content: good}, nil, a, []string{""}, ""},
		{"broken twice", &archiveServer{content: good, cutAt: []int{4096, 100000}}, nil, a, []string{"", "bytes=4096-", "bytes=100000-"}, ""},
		{"resumed", &archiveServer{content: good}, good[:777], a, []string{"bytes=777-"}, ""},
		{"server without ranges", &archiveServer{content: good, ignore: true}, good[:777], a, []string{"bytes=777-"}, ""},
		{"resumed from something else", &archiveServer{content: good}, []byte("what is this"), a, []string{"bytes=12-", ""}, ""},
		{"already whole", &archiveServer{content: good}, good, a, nil, ""},
		{"wrong checksum", &archiveServer{content: good}, nil, archive{a.key, a.file, strings.Repeat("0", 32)}, []string{""}, "MD5 is " + a.md5},
		{"gone", &archiveServer{status: 404}, nil, a, []string{""}, "404"},
		{"busy for ever", &archiveServer{status: 503}, nil, a, []string{"", "", "", ""}, "503"},
		{"evil", &archiveServer{content: zipOf(t, map[string]string{"../evil": "x"})}, nil, archive{a.key, a.file, ""}, []string{""}, "outside its folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.a.md5 == "" {
				m := md5.Sum(tt.s.content)
				tt.a.md5 = hex.EncodeToString(m[:])
			}
			srv := httptest.NewServer(tt.s)
			defer srv.Close()
			dir := filepath.Join(t.TempDir(), "data")
			if tt.part != nil {
				write(t, string(tt.part), dir, a.file+".part")
			}
			var seen []Progress
			f := New(Options{BaseURL: srv.URL + "/", Client: srv.Client(), Progress: func(p Progress) { seen = append(seen, p) }})
			err := f.fetch(t.Context(), tt.a, dir, filepath.Join(dir, "thing"))
			if !slices.Equal(tt.s.ranges, tt.ranges) {
				t.Errorf("requests with ranges %q, want %q", tt.s.ranges, tt.ranges)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if _, err := os.Stat(filepath.Join(dir, "..", "evil")); err == nil {
					t.Error("a file was written outside the folder")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "thing", "sub", "b.txt")); err != nil || string(b) != big {
				t.Errorf("unpacked file: %d bytes, %v", len(b), err)
			}
			es, _ := os.ReadDir(dir)
			var names []string
			for _, e := range es {
				names = append(names, e.Name())
			}
			if want := []string{".thing.zip.lock", "thing"}; !slices.Equal(names, want) {
				t.Errorf("left in the folder: %q, want %q", names, want)
			}
			if tt.ranges != nil {
				if len(seen) == 0 || seen[len(seen)-1] != (Progress{"thing.zip", int64(len(good)), int64(len(good))}) {
					t.Errorf("progress ends with %+v", seen)
				}
			}
		})
	}
}

// TestDownloadThroughReadFile goes the whole way, from many goroutines.
func TestDownloadThroughReadFile(t *testing.T) {
	content := zipOf(t, map[string]string{"gsm8k/test.jsonl": "{}\n"})
	s := &archiveServer{content: content}
	srv := httptest.NewServer(s)
	defer srv.Close()
	cache := t.TempDir()
	f := New(Options{Dir: t.TempDir(), Getenv: env("COMPASS_DATA_CACHE", cache), BaseURL: srv.URL + "/", Client: srv.Client()})
	// the published checksum is not this archive's
	_, err := f.ReadFile(t.Context(), "opencompass/gsm8k", "test.jsonl")
	if err == nil || !strings.Contains(err.Error(), "not 901e5dc93a2889789a469da9850cdca8 as published") {
		t.Fatalf("error %v, want a checksum error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.ReadFile(ctx, "opencompass/gsm8k", "test.jsonl"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	// once the archive is unpacked, everybody finds it
	write(t, "{}\n", cache, "data", "gsm8k", "test.jsonl")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if b, err := f.ReadFile(t.Context(), "opencompass/gsm8k", "test.jsonl"); err != nil || string(b) != "{}\n" {
				t.Errorf("ReadFile = %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if got := f.Origins(); len(got) != 1 || got[0].From != "cache" {
		t.Errorf("origins %+v", got)
	}
}
