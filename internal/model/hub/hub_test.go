package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sextant/internal/model/demo"
)

const (
	testRepo   = "acme/tiny-opt"
	testCommit = "0123456789abcdef0123456789abcdef01234567"
	testToken  = "hf_veryPrivateToken"
)

// fakeHub behaves as huggingface.co does: a list of files, metadata in the
// headers of a HEAD, large files on another host behind a redirect.
type fakeHub struct {
	t        *testing.T
	hub, cdn *httptest.Server
	files    map[string][]byte
	large    map[string]bool

	mu       sync.Mutex
	requests []string       // "METHOD path [range]"; guarded by mu
	faults   map[string]int // path suffix → remaining faults; guarded by mu

	token     string // wanted of every request, "" for none
	status    int    // answer to everything, 0 for normal service
	errorCode string
	fault     string // "cut", "503", "norange", "garbage", "longer"
	commit    string
}

func newFakeHub(t *testing.T) *fakeHub {
	weights := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MB
	h := &fakeHub{
		t: t, commit: testCommit, faults: map[string]int{},
		files: map[string][]byte{
			"config.json": []byte(`{"model_type":"opt"}`), "tokenizer_config.json": []byte(`{}`), "vocab.json": []byte(`{"a":0}`),
			"merges.txt": []byte("#version: 0.2\n"), "model.safetensors": weights, "pytorch_model.bin": weights[:1000],
			"README.md": []byte("# no"), "tf_model.h5": weights[:10],
		},
		large: map[string]bool{"model.safetensors": true, "pytorch_model.bin": true, "shard-1.safetensors": true, "shard-2.safetensors": true},
	}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.cdn.Close)
	return h
}

func (h *fakeHub) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := r.Method + " " + r.URL.Path
	if rg := r.Header.Get("Range"); rg != "" {
		s += " " + rg
	}
	h.requests = append(h.requests, s)
}

func (h *fakeHub) log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

func (h *fakeHub) etag(name string) string {
	b := h.files[name]
	if h.large[name] {
		s := sha256.Sum256(b)
		return hex.EncodeToString(s[:])
	}
	s := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(b), b))
	return hex.EncodeToString(s[:])
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	if h.status != 0 || h.token != "" && r.Header.Get("Authorization") != "Bearer "+h.token {
		if h.errorCode != "" {
			w.Header().Set("X-Error-Code", h.errorCode)
		}
		w.WriteHeader(max(h.status, 401))
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/"+testRepo+"/revision/"); ok {
		if rest != "main" && rest != h.commit && rest != "refs/pr/1" {
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			w.WriteHeader(404)
			return
		}
		l := listing{Commit: h.commit}
		for n := range h.files {
			l.Siblings = append(l.Siblings, sibling{n})
		}
		_ = json.NewEncoder(w).Encode(l)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+testRepo+"/resolve/"+h.commit+"/")
	if _, has := h.files[name]; !ok || !has {
		w.WriteHeader(404)
		return
	}
	if !h.large[name] {
		w.Header().Set("ETag", `"`+h.etag(name)+`"`)
		h.content(w, r, name)
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+h.etag(name)+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(h.files[name])))
	http.Redirect(w, r, h.cdn.URL+"/"+name+"?X-Amz-Signature=secretsignature", http.StatusFound)
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	if a := r.Header.Get("Authorization"); a != "" {
		h.t.Errorf("the CDN got the token")
	}
	h.content(w, r, strings.TrimPrefix(r.URL.Path, "/"))
}

func (h *fakeHub) content(w http.ResponseWriter, r *http.Request, name string) {
	b := h.files[name]
	h.mu.Lock()
	bad := r.Method == http.MethodGet && h.faults[name] > 0
	if bad {
		h.faults[name]--
	}
	h.mu.Unlock()
	if h.fault == "norange" {
		r.Header.Del("Range")
	}
	if bad {
		switch h.fault {
		case "503":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(503)
			return
		case "garbage":
			b = slices.Clone(b)
			b[len(b)/2] ^= 1
		case "longer":
			b = append(slices.Clone(b), 'x')
		case "cut", "norange":
			from := 0
			if rg := r.Header.Get("Range"); rg != "" {
				_, _ = fmt.Sscanf(rg, "bytes=%d-", &from)
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b)-1, len(b)))
				w.Header().Set("Content-Length", fmt.Sprint(len(b)-from))
				w.WriteHeader(206)
			} else {
				w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			}
			_, _ = w.Write(b[from : from+(len(b)-from)/2])
			panic(http.ErrAbortHandler)
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// options are those of a test, with all that was logged and slept.
type outside struct {
	Options
	home  string
	logs  *bytes.Buffer
	slept []time.Duration
}

func (h *fakeHub) outside(t *testing.T, vars map[string]string) *outside {
	o := &outside{home: t.TempDir(), logs: &bytes.Buffer{}}
	o.Options = Options{
		HomeDir: o.home,
		Getenv: func(k string) string {
			if v, ok := vars[k]; ok {
				return v
			}
			if k == "HF_ENDPOINT" {
				return h.hub.URL + "/"
			}
			return ""
		},
		Log:   slog.New(slog.NewTextHandler(o.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Sleep: func(_ context.Context, d time.Duration) error { o.slept = append(o.slept, d); return nil },
	}
	return o
}

func checkModel(t *testing.T, h *fakeHub, m *Model, names ...string) {
	t.Helper()
	var got []string
	entries, err := fs.ReadDir(m.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
		b, err := fs.ReadFile(m.FS, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, h.files[e.Name()]) {
			t.Errorf("%s differs from the hub's", e.Name())
		}
	}
	names = slices.Sorted(slices.Values(names)) // tests share the list
	if !slices.Equal(got, names) {
		t.Errorf("snapshot has %v, want %v", got, names)
	}
}

var wholeModel = []string{"config.json", "tokenizer_config.json", "vocab.json", "merges.txt", "model.safetensors"}

func TestDownloadThenCache(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	h.token = testToken
	o := h.outside(t, map[string]string{"HF_TOKEN": testToken + "\n"})
	var last Progress
	o.Progress = func(p Progress) {
		if p.File == "model.safetensors" {
			last = p
		}
	}
	m, err := Resolve(t.Context(), testRepo, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	if m.Source != FromDownload || m.Commit != testCommit {
		t.Errorf("model is %+v", m)
	}
	checkModel(t, h, m, wholeModel...)
	if last.Done != 1<<20 || last.Total != 1<<20 || last.Repo != testRepo {
		t.Errorf("last progress of the weights: %+v", last)
	}

	// the layout is that of huggingface_hub
	root := filepath.Join(o.home, ".cache/huggingface/hub/models--acme--tiny-opt")
	if b, err := os.ReadFile(filepath.Join(root, "refs/main")); err != nil || string(b) != testCommit {
		t.Errorf("refs/main is %q, %v", b, err)
	}
	to, err := os.Readlink(filepath.Join(root, "snapshots", testCommit, "model.safetensors"))
	if want := "../../blobs/" + h.etag("model.safetensors"); err != nil || to != want {
		t.Errorf("link goes to %q, want %q (%v)", to, want, err)
	}
	if _, err := os.Stat(filepath.Join(root, ".no_exist", testCommit, "generation_config.json")); err != nil {
		t.Error(err)
	}

	before := len(h.log())
	for _, offline := range []bool{false, true} {
		o.Offline = offline
		if m, err = Resolve(t.Context(), testRepo, o.Options); err != nil {
			t.Fatal(err)
		}
		if m.Source != FromCache || m.Commit != testCommit {
			t.Errorf("offline %v: %+v", offline, m)
		}
	}
	if n := len(h.log()) - before; n > 0 {
		t.Errorf("%d requests for a model that is cached whole", n)
	}
	if strings.Contains(o.logs.String(), testToken) {
		t.Error("the token was logged")
	}
}

// TestForeignCache uses a cache as huggingface_hub left it, without markers.
func TestForeignCache(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	o := h.outside(t, nil)
	cache := t.TempDir()
	old := o.Getenv
	o.Getenv = func(k string) string {
		if k == "HF_HUB_CACHE" {
			return cache
		}
		return old(k)
	}
	root := filepath.Join(cache, "models--acme--tiny-opt")
	const other = "fedcba9876543210fedcba9876543210fedcba98"
	for _, n := range []string{"config.json", "pytorch_model.bin", "vocab.json", "merges.txt"} {
		blob := filepath.Join(root, "blobs", h.etag(n))
		if err := writeFile(blob, h.files[n]); err != nil {
			t.Fatal(err)
		}
		if err := link(blob, filepath.Join(root, "snapshots", other, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeFile(filepath.Join(root, "refs/main"), []byte(other)); err != nil {
		t.Fatal(err)
	}
	o.Offline = true
	m, err := Resolve(t.Context(), testRepo, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	if m.Commit != other || m.Source != FromCache {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(o.logs.String(), "tokenizer_config.json") {
		t.Errorf("no warning about files that nobody knows of: %s", o.logs)
	}

	// online the hub is asked about that very commit; this one does not know it
	o.Offline = false
	if m, err = Resolve(t.Context(), testRepo, o.Options); err != nil || m.Commit != other {
		t.Errorf("%+v, %v", m, err)
	}
	if got := h.log(); len(got) != 1 || !strings.HasSuffix(got[0], other) {
		t.Errorf("requests %v", got)
	}

	// with Refresh the branch's newest commit comes
	o.Refresh = true
	if m, err = Resolve(t.Context(), testRepo, o.Options); err != nil {
		t.Fatal(err)
	}
	if m.Commit != testCommit || m.Source != FromDownload {
		t.Errorf("%+v", m)
	}
}

func TestBrokenTransfers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fault string
		times       int
		ranges      bool // the rest is asked for, not the whole
		wantErr     string
	}{
		{"cut twice", "cut", 2, true, ""},
		{"cut often, each time a bit further", "cut", 9, true, ""},
		{"no ranges", "norange", 1, true, ""},
		{"busy", "503", 3, false, ""},
		{"busy for ever", "503", 1000, false, "HTTP 503"},
		{"garbage once", "garbage", 1, false, ""},
		{"garbage always", "garbage", 1000, false, "wrong checksum"},
		{"more than announced", "longer", 1, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHub(t)
			h.fault, h.faults["model.safetensors"] = tt.fault, tt.times
			o := h.outside(t, nil)
			m, err := Resolve(t.Context(), testRepo, o.Options)
			root := filepath.Join(o.home, ".cache/huggingface/hub/models--acme--tiny-opt")
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				if strings.Contains(err.Error()+o.logs.String(), "secretsignature") {
					t.Errorf("the signature of the CDN's address came out: %v", err)
				}
				if _, err := os.Stat(filepath.Join(root, "blobs", h.etag("model.safetensors"))); err == nil {
					t.Error("a file of wrong content got its name")
				}
				if _, err := os.Stat(filepath.Join(root, "refs/main")); err == nil {
					t.Error("the revision was recorded although the model is not whole")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkModel(t, h, m, wholeModel...)
			ranged := slices.ContainsFunc(h.log(), func(s string) bool { return strings.Contains(s, "bytes=") })
			if ranged != tt.ranges {
				t.Errorf("ranges asked for: %v, want %v", ranged, tt.ranges)
			}
			if tt.times < 100 { // each fault costs one transfer and no more
				n := 0
				for _, s := range h.log() {
					if strings.HasPrefix(s, "GET /model.safetensors") {
						n++
					}
				}
				if want := tt.times + 1; n != want && tt.fault != "longer" {
					t.Errorf("%d transfers of the weights, want %d", n, want)
				}
			}
			if len(o.slept) == 0 {
				t.Error("no wait before trying again")
			}
			if tt.fault == "503" && o.slept[0] < 7*time.Second {
				t.Errorf("waited %v, the server asked for 7 s", o.slept[0])
			}
			if _, err := os.Stat(filepath.Join(root, "blobs", h.etag("model.safetensors")+".incomplete")); err == nil {
				t.Error("the incomplete file was left")
			}
		})
	}
}

// TestResumeLater takes up what another run left.
func TestResumeLater(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	o := h.outside(t, nil)
	part := filepath.Join(o.home, ".cache/huggingface/hub/models--acme--tiny-opt/blobs", h.etag("model.safetensors")+".incomplete")
	if err := writeFile(part, h.files["model.safetensors"][:777_777]); err != nil {
		t.Fatal(err)
	}
	m, err := Resolve(t.Context(), testRepo, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	checkModel(t, h, m, wholeModel...)
	if !slices.Contains(h.log(), "GET /model.safetensors bytes=777777-") {
		t.Errorf("requests %v", h.log())
	}
}

// refusing is an address at which nobody listens and nobody else can begin to:
// the port is that of an open connection's other end.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// TestDeadCDN: the address of a CDN is signed and must not come out.
func TestDeadCDN(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	h.cdn.URL = "http://" + refusing(t)
	o := h.outside(t, nil)
	_, err := Resolve(t.Context(), testRepo, o.Options)
	if err == nil || !strings.Contains(err.Error(), "could not download model.safetensors: "+strings.TrimPrefix(h.cdn.URL, "http://")) {
		t.Errorf("error %v", err)
	}
	if s := fmt.Sprint(err, o.logs); strings.Contains(s, "secretsignature") {
		t.Errorf("the signature came out: %s", s)
	}
}

func TestSharded(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	delete(h.files, "model.safetensors")
	h.files["model.safetensors.index.json"] = []byte(`{"weight_map":{"a":"shard-2.safetensors","b":"shard-1.safetensors","c":"shard-1.safetensors"}}`)
	h.files["shard-1.safetensors"] = []byte("one")
	h.files["shard-2.safetensors"] = []byte("two")
	o := h.outside(t, nil)
	o.Revision = "refs/pr/1"
	m, err := Resolve(t.Context(), testRepo, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	checkModel(t, h, m, "config.json", "tokenizer_config.json", "vocab.json", "merges.txt",
		"model.safetensors.index.json", "shard-1.safetensors", "shard-2.safetensors")

	// a shard that is gone is noticed, and fetched again
	if err := os.Remove(filepath.Join(m.Dir, "shard-2.safetensors")); err != nil {
		t.Fatal(err)
	}
	o.Offline = true
	_, err = Resolve(t.Context(), testRepo, o.Options)
	if err == nil || !strings.Contains(err.Error(), "missing: shard-2.safetensors") {
		t.Errorf("error %v", err)
	}
	o.Offline = false
	if _, err = Resolve(t.Context(), testRepo, o.Options); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights.gguf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		model string
		vars  map[string]string
		set   func(*fakeHub, *Options)
		want  []string // in the message
		hint  string
	}{
		{"offline", testRepo, nil, func(_ *fakeHub, o *Options) { o.Offline = true },
			[]string{"not in the cache, and the network is off", "models--acme--tiny-opt", "missing: config.json, weights, tokenizer"}, "HF_HOME"},
		{"offline by environment", testRepo, map[string]string{"HF_HUB_OFFLINE": "1"}, nil, []string{"the network is off"}, ""},
		{"no such repository", testRepo, nil, func(h *fakeHub, _ *Options) { h.status = 401; h.errorCode = "RepoNotFound" },
			[]string{"no such repository", "HTTP 401"}, "HF_TOKEN"},
		{"token refused", testRepo, map[string]string{"HF_TOKEN": testToken}, func(h *fakeHub, _ *Options) { h.status = 401 },
			[]string{"for this token"}, "token in use"},
		{"gated", testRepo, nil, func(h *fakeHub, _ *Options) { h.status = 403; h.errorCode = "GatedRepo" },
			[]string{"restricted", "HTTP 403"}, "accept its terms at http"},
		{"not found", testRepo, nil, func(h *fakeHub, _ *Options) { h.status = 404 }, []string{"HTTP 404"}, "spelling"},
		{"no such revision", testRepo, nil, func(_ *fakeHub, o *Options) { o.Revision = "v9" }, []string{`no revision "v9"`}, "tags"},
		{"bad revision", testRepo, nil, func(_ *fakeHub, o *Options) { o.Revision = "../../x" }, []string{"not a branch"}, ""},
		{"not a model", testRepo, nil, func(h *fakeHub, _ *Options) { delete(h.files, "config.json") }, []string{"no config.json"}, ""},
		{"other weights", testRepo, nil, func(h *fakeHub, _ *Options) {
			delete(h.files, "model.safetensors")
			delete(h.files, "pytorch_model.bin")
		}, []string{"no weights that can be read", "tf_model.h5"}, ""},
		{"shard outside", testRepo, nil, func(h *fakeHub, _ *Options) {
			delete(h.files, "model.safetensors")
			h.files["model.safetensors.index.json"] = []byte(`{"weight_map":{"a":"../../../x"}}`)
		}, []string{"index.json is broken", "not a name in this folder"}, ""},
		{"bad endpoint", testRepo, map[string]string{"HF_ENDPOINT": "huggingface"}, nil, []string{"HF_ENDPOINT"}, ""},
		{"folder that is none", "./no/such/folder", nil, nil, []string{"no such folder"}, ""},
		{"folder without config", dir, nil, nil, []string{"no config.json", "weights.gguf"}, ""},
		{"file", filepath.Join(dir, "weights.gguf"), nil, nil, []string{"this is a file"}, ""},
		{"empty", "", nil, nil, []string{"empty"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHub(t)
			o := h.outside(t, tt.vars)
			if tt.set != nil {
				tt.set(h, &o.Options)
			}
			_, err := Resolve(t.Context(), tt.model, o.Options)
			var he *Error
			if !errors.As(err, &he) {
				t.Fatalf("error %v is not an *Error", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("message %q lacks %q", err, w)
				}
			}
			if !strings.Contains(he.Hint, tt.hint) {
				t.Errorf("hint %q lacks %q", he.Hint, tt.hint)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %s", err, he, o.logs), testToken) {
				t.Error("the token came out")
			}
			if o.Offline && len(h.log()) > 0 {
				t.Errorf("requests while offline: %v", h.log())
			}
		})
	}
}

func TestLocalAndEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Resolve(t.Context(), dir, Options{})
	if err != nil || m.Source != FromPath || m.Dir != dir {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = Resolve(t.Context(), demo.Name, Options{Offline: true})
	if err != nil || m.Source != FromEmbedded {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := fs.Stat(m.FS, "model.safetensors"); err != nil {
		t.Error(err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		vars string
		want string
	}{
		{"", "/home/u/.cache/huggingface/hub"},
		{"XDG_CACHE_HOME=/x", "/x/huggingface/hub"},
		{"HF_HOME=/h&XDG_CACHE_HOME=/x", "/h/hub"},
		{"HF_HOME=~/h", "/home/u/h/hub"},
		{"HUGGINGFACE_HUB_CACHE=/c&HF_HOME=/h", "/c"},
		{"HF_HUB_CACHE=/d&HUGGINGFACE_HUB_CACHE=/c", "/d"},
	} {
		v, err := url.ParseQuery(tt.vars)
		if err != nil {
			t.Fatal(err)
		}
		if got := CacheDir(v.Get, "/home/u"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.vars, got, tt.want)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if err := writeFile(filepath.Join(home, ".cache/huggingface/token"), []byte("from-file\n")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ vars, want string }{
		{"", "from-file"},
		{"HF_TOKEN=a", "a"},
		{"HUGGING_FACE_HUB_TOKEN=b", "b"},
		{"HF_HUB_DISABLE_IMPLICIT_TOKEN=1", ""},
		{"HF_HOME=/nowhere", ""},
	} {
		v, err := url.ParseQuery(tt.vars)
		if err != nil {
			t.Fatal(err)
		}
		tok := env{v.Get, home}.token()
		if string(tok) != tt.want {
			t.Errorf("%s: another token than %q", tt.vars, tt.want)
		}
		if s := fmt.Sprintf("%v %s %#v", tok, tok, tok); tt.want != "" && strings.Contains(s, tt.want) {
			t.Errorf("printed as %s", s)
		}
	}
}

// TestTwoAtOnce downloads from two places at the same time.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	o := h.outside(t, nil)
	o.Log = nil
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m, err := Resolve(t.Context(), testRepo, o.Options)
			if err != nil {
				t.Error(err)
				return
			}
			checkModel(t, h, m, wholeModel...)
		})
	}
	wg.Wait()
	n := 0
	for _, s := range h.log() {
		if s == "GET /model.safetensors" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the weights were fetched %d times", n)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	o := h.outside(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(p Progress) {
		if p.File == "model.safetensors" {
			cancel()
		}
	}
	_, err := Resolve(ctx, testRepo, o.Options)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
