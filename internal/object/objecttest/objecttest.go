// Package objecttest is the suite that every object.Bucket passes, and a
// server of S3's protocol in this process that can be cut off, slowed and made
// to refuse.
//
// Non-goals: it checks no signatures; a real server does (see RealVar).
package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"sextant/internal/object"
)

// RealVar names a bucket and prefix, s3://bucket/prefix, of a real store on
// which the suite runs too; endpoint and credentials come from the usual
// variables (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, …).
const RealVar = "SEXTANT_TEST_S3"

// Bucket is the bucket that a Server has.
const Bucket = "results"

// Server is a store in this process.
type Server struct {
	URL     string // its endpoint
	handler http.Handler
	refuse  atomic.Pointer[string]
	cut     atomic.Bool
	started sync.Mutex // guards conns
	conns   map[net.Conn]bool

	mu   sync.Mutex // guards seen
	seen map[string]int
}

// Serve starts a store that is gone when the test ends.
func Serve(t testing.TB) *Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	s := &Server{handler: gofakes3.New(backend).Server(), conns: map[net.Conn]bool{}, seen: map[string]int{}}
	h := httptest.NewUnstartedServer(s)
	h.Config.ConnState = func(c net.Conn, st http.ConnState) {
		s.started.Lock()
		defer s.started.Unlock()
		switch st {
		case http.StateNew:
			s.conns[c] = true
			if s.cut.Load() {
				c.Close()
			}
		case http.StateClosed, http.StateHijacked:
			delete(s.conns, c)
		}
	}
	h.Start()
	s.URL = h.URL
	t.Cleanup(h.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.cut.Load() {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.seen[r.Method]++
	s.mu.Unlock()
	if code := s.refuse.Load(); code != nil {
		status, name, _ := strings.Cut(*code, " ")
		n := 0
		_, _ = fmt.Sscan(status, &n) // written below
		w.WriteHeader(n)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>made up</Message></Error>`, name)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// Cut closes all connections and every new one, until Mend.
func (s *Server) Cut() {
	s.cut.Store(true)
	s.started.Lock()
	defer s.started.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Mend ends Cut.
func (s *Server) Mend() { s.cut.Store(false) }

// Refuse answers every request with an error, "403 AccessDenied", until it is
// called with "".
func (s *Server) Refuse(code string) {
	if code == "" {
		s.refuse.Store(nil)
		return
	}
	s.refuse.Store(&code)
}

// Requests is how many requests of a method were answered.
func (s *Server) Requests(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[method]
}

// Environ are the variables with which a process finds the store.
func (s *Server) Environ() []string {
	return []string{object.EndpointVar + "=" + s.URL, "AWS_ACCESS_KEY_ID=tester", "AWS_SECRET_ACCESS_KEY=store-key-of-tests", object.RegionVar + "=us-east-1"}
}

// Getenv looks a variable up in Environ.
func (s *Server) Getenv(name string) string {
	for _, e := range s.Environ() {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// Open opens the server's bucket.
func (s *Server) Open(t testing.TB) object.Bucket {
	t.Helper()
	b, err := object.Open(object.Config{Bucket: Bucket, Getenv: s.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Real is the bucket of RealVar, or skips the test.
func Real(t testing.TB) (b object.Bucket, prefix string) {
	t.Helper()
	u := os.Getenv(RealVar)
	if u == "" {
		t.Skipf("no real object store: %s is not set", RealVar)
	}
	bucket, prefix, err := object.ParseURL(u)
	if err != nil {
		t.Fatal(err)
	}
	b, err = object.Open(object.Config{Bucket: bucket, Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	if prefix != "" {
		prefix += "/"
	}
	return b, fmt.Sprintf("%sconformance-%d-%d/", prefix, os.Getpid(), time.Now().UnixNano())
}

// Keys are the keys below a prefix.
func Keys(t testing.TB, b object.Bucket, prefix string) []string {
	t.Helper()
	var out []string
	if err := b.List(context.Background(), prefix, func(i object.Info) error { out = append(out, i.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// Run is the suite, on an empty prefix that ends with a slash. It leaves
// nothing behind.
func Run(t *testing.T, b object.Bucket, prefix string) {
	ctx := context.Background()
	put := func(t *testing.T, key, text string) {
		t.Helper()
		if err := b.Put(ctx, prefix+key, strings.NewReader(text), int64(len(text))); err != nil {
			t.Fatal(err)
		}
	}
	get := func(t *testing.T, key string, offset int64) string {
		t.Helper()
		data, err := b.Get(ctx, prefix+key, offset)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	list := func(t *testing.T, p string) map[string]object.Info {
		t.Helper()
		out := map[string]object.Info{}
		var order []string
		if err := b.List(ctx, prefix+p, func(i object.Info) error {
			order = append(order, i.Key)
			out[strings.TrimPrefix(i.Key, prefix)] = i
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(order) {
			t.Errorf("keys are not in order: %q", order)
		}
		return out
	}
	t.Run("what was written is read", func(t *testing.T) {
		odd := "dir/Ünï çödé +&=?#%41 'x' (1)*.jsonl"
		put(t, odd, "hello\n")
		if got := get(t, odd, 0); got != "hello\n" {
			t.Errorf("%q", got)
		}
		l := list(t, "")
		if len(l) != 1 || l[odd].Size != 6 || l[odd].ETag == "" {
			t.Errorf("%+v", l)
		}
	})
	t.Run("offsets", func(t *testing.T) {
		put(t, "o", "0123456789")
		for offset, want := range map[int64]string{0: "0123456789", 4: "456789", 9: "9", 10: ""} {
			if got := get(t, "o", offset); got != want {
				t.Errorf("%d: %q", offset, got)
			}
		}
		if _, err := b.Get(ctx, prefix+"o", 11); err == nil || object.NotExist(err) {
			t.Errorf("behind the end: %v", err)
		}
	})
	t.Run("in place of another", func(t *testing.T) {
		put(t, "v", "one")
		first := list(t, "v")["v"]
		put(t, "v", "two")
		second := list(t, "v")["v"]
		if get(t, "v", 0) != "two" || first.ETag == second.ETag {
			t.Errorf("%+v %+v", first, second)
		}
		put(t, "v", "two")
		if again := list(t, "v")["v"]; again.Size != 3 {
			t.Errorf("%+v", again)
		}
	})
	t.Run("missing", func(t *testing.T) {
		if _, err := b.Get(ctx, prefix+"nothing", 0); !object.NotExist(err) || object.Transient(err) {
			t.Errorf("%v", err)
		}
		if err := b.Download(ctx, prefix+"nothing", &bytes.Buffer{}); !object.NotExist(err) {
			t.Errorf("%v", err)
		}
		if err := b.Delete(ctx, prefix+"nothing"); err != nil {
			t.Error(err)
		}
	})
	t.Run("large", func(t *testing.T) {
		text := strings.Repeat("0123456789abcde\n", 20<<20/16) // the client sends this in parts
		put(t, "large", text)
		var buf bytes.Buffer
		if err := b.Download(ctx, prefix+"large", &buf); err != nil || buf.String() != text {
			t.Errorf("%d bytes, %v", buf.Len(), err)
		}
		full := errors.New("disk full")
		if err := b.Download(ctx, prefix+"large", failing{full}); !errors.Is(err, full) || object.Transient(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("lists of several pages", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not with -short: writes 1100 objects")
		}
		var wg sync.WaitGroup
		failed := make(chan error, 8)
		for w := range 8 {
			wg.Go(func() {
				for i := w; i < 1100; i += 8 {
					if err := b.Put(ctx, fmt.Sprintf("%sp/%04d", prefix, i), strings.NewReader("x"), 1); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		wg.Wait()
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
		if l := list(t, "p/"); len(l) != 1100 {
			t.Errorf("%d", len(l))
		}
		if l := list(t, "p/10"); len(l) != 100 {
			t.Errorf("%d", len(l))
		}
		stop := errors.New("enough")
		if err := b.List(ctx, prefix+"p/", func(object.Info) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		c, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := b.Get(c, prefix+"v", 0); !errors.Is(err, context.Canceled) || object.Transient(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		var wg sync.WaitGroup
		keys := Keys(t, b, prefix)
		for w := range 8 {
			wg.Go(func() {
				for i := w; i < len(keys); i += 8 {
					if err := b.Delete(ctx, keys[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if l := list(t, ""); len(l) != 0 {
			t.Errorf("left: %v", l)
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
