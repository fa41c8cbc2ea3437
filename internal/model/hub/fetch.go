package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// statusError is an answer that is not a success.
type statusError struct {
	code   int
	reason string // X-Error-Code of the hub
	after  time.Duration
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("HTTP %d %s", e.code, http.StatusText(e.code))
	if e.reason != "" {
		s += " (" + e.reason + ")"
	}
	return s
}

func (e *statusError) temporary() bool {
	return e.code == http.StatusTooManyRequests || e.code == http.StatusRequestTimeout || e.code >= 500
}

// maxHops bounds redirects.
const maxHops = 8

// send makes one request and follows redirects: all of them, or with
// sameHost only those that stay on the host. The token goes to the hub's own
// host alone. The body of the answer is the caller's to close.
func (r *repo) send(ctx context.Context, method string, u *url.URL, header http.Header, sameHost bool) (*http.Response, error) {
	for range maxHops {
		req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
		if err != nil {
			return nil, errors.New("bad address")
		}
		for k, v := range header {
			req.Header[k] = v
		}
		req.Header.Set("User-Agent", "sextant")
		if r.token != "" && u.Scheme == r.endpoint.Scheme && u.Host == r.endpoint.Host {
			req.Header.Set("Authorization", "Bearer "+string(r.token))
		}
		resp, err := r.client.Do(req)
		if err != nil {
			// addresses of a CDN carry signatures: name the host only
			var ue *url.Error
			if errors.As(err, &ue) {
				err = ue.Err
			}
			return nil, fmt.Errorf("%s: %w", u.Host, err)
		}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || resp.StatusCode == http.StatusNotModified {
			return resp, nil
		}
		next, err := resp.Location()
		if err != nil {
			resp.Body.Close()
			return nil, fmt.Errorf("%s: redirect to nowhere", u.Host)
		}
		if sameHost && next.Host != u.Host {
			return resp, nil
		}
		resp.Body.Close()
		u = next
	}
	return nil, fmt.Errorf("%s: more than %d redirects", u.Host, maxHops)
}

// check turns an answer into an error unless it is a success.
func check(resp *http.Response) error {
	if resp.StatusCode < 400 {
		return nil
	}
	e := &statusError{code: resp.StatusCode, reason: resp.Header.Get("X-Error-Code")}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.after = min(time.Duration(s)*time.Second, 5*time.Minute)
	}
	return e
}

// retry calls f until it succeeds, fails for good, or has failed Attempts
// times in a row without progress.
func (r *repo) retry(ctx context.Context, what string, f func() (progress bool, err error)) error {
	wrong := 0 // wrong checksums: a whole file was fetched for each
	for n := 1; ; n++ {
		progress, err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var se *statusError
		var le *localError
		var ce *checksumError
		if errors.As(err, &ce) {
			wrong++
		}
		if errors.As(err, &se) && !se.temporary() || errors.As(err, &le) || wrong > 1 {
			return err
		}
		if progress {
			n = 0
		}
		if n >= r.o.Attempts {
			return err
		}
		wait := backOff(max(n, 1))
		if se != nil {
			wait = max(wait, se.after)
		}
		r.log.Warn("download interrupted, trying again", "model", r.id, "file", what, "attempt", n, "wait", wait, "error", err)
		if err := r.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// localError is a fault of this machine (disk full, no permission), which
// trying again does not mend.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// checksumError is a whole file with other content than its ETag says.
type checksumError struct{ got, want string }

func (e *checksumError) Error() string {
	return fmt.Sprintf("wrong checksum: got %s, want %s", e.got, e.want)
}

// explain turns a fault of a transfer into an error with a hint.
func (r *repo) explain(err error, what string) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("model %q: download %s: %w", r.id, what, err)
	}
	page := r.endpoint.JoinPath(r.id).String()
	var se *statusError
	if errors.As(err, &se) {
		switch {
		case se.reason == "RevisionNotFound":
			return r.errorf("see the branches and tags at "+page, se, "the repository has no revision %q", r.revision)
		case se.reason == "GatedRepo" || se.code == http.StatusForbidden:
			hint := "accept its terms at " + page + " and set HF_TOKEN to a token of that account"
			return r.errorf(hint, se, "access to the repository is restricted")
		case se.code == http.StatusUnauthorized || se.code == http.StatusNotFound && se.reason == "RepoNotFound":
			if r.token == "" {
				return r.errorf("check the spelling; for a private or gated repository set HF_TOKEN", se,
					"no folder of that name, and %s has no such repository or does not show it without a token", r.endpoint.Host)
			}
			return r.errorf("check the spelling, and whether the token in use may read it", se,
				"no folder of that name, and %s has no such repository for this token", r.endpoint.Host)
		case se.code == http.StatusNotFound:
			return r.errorf("check the spelling at "+r.endpoint.String(), se, "%s has no %s", r.endpoint.Host, what)
		}
	}
	var le *localError
	if errors.As(err, &le) {
		return r.errorf("HF_HOME or HF_HUB_CACHE put the cache elsewhere", le, "cannot write %s to the cache", what)
	}
	return r.errorf("the download goes on where it stopped when you start again; HF_ENDPOINT names a mirror", err, "could not download %s", what)
}

// list asks the hub for the commit of rev and its files.
func (r *repo) list(ctx context.Context, rev string) (*listing, error) {
	u := r.endpoint.JoinPath("api", "models", r.id, "revision")
	u.RawPath = u.EscapedPath() + "/" + url.PathEscape(rev) // a branch may hold a slash
	u.Path += "/" + rev
	var l listing
	err := r.retry(ctx, "file list", func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		resp, err := r.send(ctx, http.MethodGet, u, nil, false)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if err := check(resp); err != nil {
			return false, err
		}
		l = listing{}
		if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&l); err != nil {
			return false, fmt.Errorf("%s: the file list is broken: %w", u.Host, err)
		}
		return false, nil
	})
	if err != nil {
		return nil, r.explain(err, "file list")
	}
	return &l, nil
}

// meta is what the hub says about a file before it is fetched.
type meta struct {
	etag string
	size int64 // -1 when not known
}

var etagName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// answerWithin bounds requests that have a short answer.
const answerWithin = time.Minute

func (r *repo) meta(ctx context.Context, u *url.URL) (*meta, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	resp, err := r.send(ctx, http.MethodHead, u, http.Header{"Accept-Encoding": {"identity"}}, true)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if err := check(resp); err != nil {
		return nil, err
	}
	m := &meta{etag: resp.Header.Get("X-Linked-Etag"), size: -1}
	if m.etag == "" {
		m.etag = resp.Header.Get("ETag")
	}
	m.etag = strings.Trim(strings.TrimPrefix(m.etag, "W/"), `"`)
	if !etagName.MatchString(m.etag) {
		return nil, fmt.Errorf("%s: no usable ETag, so this is not a hub", u.Host)
	}
	length := resp.Header.Get("X-Linked-Size")
	if length == "" && resp.StatusCode < 300 {
		length = resp.Header.Get("Content-Length")
	}
	if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= 0 {
		m.size = n
	}
	return m, nil
}

// file makes sure that the snapshot has a file and says whether it had to be
// fetched.
func (r *repo) file(ctx context.Context, commit, name string) (fetched bool, err error) {
	pointer := filepath.Join(r.snapshot(commit), name)
	if _, err := os.Stat(pointer); err == nil {
		return false, nil
	}
	u := r.endpoint.JoinPath(r.id, "resolve", commit, name)
	var m *meta
	err = r.retry(ctx, name, func() (bool, error) {
		var err error
		m, err = r.meta(ctx, u)
		return false, err
	})
	if err != nil {
		return false, r.explain(err, name)
	}
	blob := filepath.Join(r.dir, "blobs", m.etag)
	if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
		return false, r.explain(&localError{err}, name)
	}
	unlock, err := r.lock(ctx, m.etag)
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, err := os.Stat(blob); err != nil {
		var part int64 = -1
		err := r.retry(ctx, name, func() (bool, error) {
			n, err := r.transfer(ctx, name, u, m, blob)
			progress := part >= 0 && n > part
			part = n
			return progress, err
		})
		if err != nil {
			return false, r.explain(err, name)
		}
		fetched = true
	}
	if err := link(blob, pointer); err != nil {
		return fetched, r.explain(&localError{err}, name)
	}
	return fetched, nil
}

// lockPoll is how often a lock that another process holds is tried.
const lockPoll = 250 * time.Millisecond

// lock keeps other processes, huggingface_hub's too, from fetching the same
// blob at the same time. It is a courtesy: without it (a file system that has
// no locks) the checksum still keeps a mixed-up file from being used.
func (r *repo) lock(ctx context.Context, etag string) (unlock func(), err error) {
	path := filepath.Join(filepath.Dir(r.dir), ".locks", filepath.Base(r.dir), etag+".lock")
	if os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return func() {}, nil
	}
	for told := false; ; told = true {
		busy := tryLock(f)
		if !busy {
			return func() { f.Close() }, nil
		}
		if !told {
			r.log.Info("another process downloads this file, waiting", "model", r.id)
		}
		if err := sleep(ctx, lockPoll); err != nil {
			f.Close()
			return nil, err
		}
	}
}

// link makes pointer a link to blob, or a copy where links cannot be made.
func link(blob, pointer string) error {
	if err := os.MkdirAll(filepath.Dir(pointer), 0o777); err != nil {
		return err
	}
	rel, err := filepath.Rel(filepath.Dir(pointer), blob)
	if err != nil {
		return err
	}
	if err := os.Symlink(rel, pointer); err == nil {
		return nil
	} else if errors.Is(err, fs.ErrExist) {
		if _, err := os.Stat(pointer); err == nil {
			return nil // another process was faster
		}
		os.Remove(pointer) // a link to a blob that is gone
		if os.Symlink(rel, pointer) == nil {
			return nil
		}
	}
	return copyFile(blob, pointer)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o644), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		os.Remove(out.Name())
	}
	return err
}

// sumFor is the checksum that an ETag states: SHA-256 for large files, git's
// blob SHA-1 for the others, nil when it is neither.
func sumFor(m *meta) hash.Hash {
	if _, err := hex.DecodeString(m.etag); err != nil {
		return nil
	}
	switch {
	case len(m.etag) == 2*sha256.Size:
		return sha256.New()
	case len(m.etag) == 2*sha1.Size && m.size >= 0:
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", m.size)
		return h
	}
	return nil
}

// transfer fetches what is missing of a blob, checks it and gives it its name.
// It returns how many bytes are on disk.
func (r *repo) transfer(ctx context.Context, name string, u *url.URL, m *meta, blob string) (int64, error) {
	part := blob + ".incomplete"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, &localError{err}
	}
	defer f.Close()
	sum := sumFor(m)
	have, err := f.Seek(0, io.SeekEnd)
	if err == nil && (m.size >= 0 && have > m.size || m.size < 0 && sum == nil) {
		have, err = 0, f.Truncate(0) // a rest that nothing can be known about
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil && sum != nil && have > 0 {
		_, err = io.CopyN(sum, f, have)
	}
	if err == nil {
		_, err = f.Seek(have, io.SeekStart)
	}
	if err != nil {
		return 0, &localError{err}
	}
	if have < m.size || m.size < 0 {
		if have, sum, err = r.body(ctx, name, u, m, f, have, sum); err != nil {
			return have, err
		}
	}
	if m.size >= 0 && have != m.size {
		return have, fmt.Errorf("transfer ended after %d of %d bytes", have, m.size)
	}
	if sum != nil {
		if got := hex.EncodeToString(sum.Sum(nil)); got != m.etag {
			if err := f.Truncate(0); err != nil {
				return 0, &localError{err}
			}
			return 0, &checksumError{got, m.etag}
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return have, &localError{err}
	}
	if err := os.Rename(part, blob); err != nil {
		return have, &localError{err}
	}
	return have, nil
}

// stallAfter is how long a transfer may bring nothing before it is begun anew.
const stallAfter = time.Minute

var errStalled = fmt.Errorf("nothing came for %v", stallAfter)

// stalled names the stall that ended a transfer, if it was one.
func stalled(ctx context.Context, err error) error {
	if context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}

// body copies the rest of the file from byte have on into f and sum.
func (r *repo) body(ctx context.Context, name string, u *url.URL, m *meta, f *os.File, have int64, sum hash.Hash) (int64, hash.Hash, error) {
	header := http.Header{"Accept-Encoding": {"identity"}}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := time.AfterFunc(stallAfter, func() { cancel(errStalled) })
	defer stop.Stop()
	resp, err := r.send(ctx, http.MethodGet, u, header, false)
	if err != nil {
		return have, sum, stalled(ctx, err)
	}
	defer resp.Body.Close()
	if err := check(resp); err != nil {
		if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			if err := f.Truncate(0); err != nil {
				return 0, sum, &localError{err}
			}
			return 0, sum, errors.New("the part on disk does not fit the file; starting over")
		}
		return have, sum, err
	}
	if have > 0 && !(resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))) {
		// the server sends the whole file
		if resp.StatusCode != http.StatusOK {
			return have, sum, fmt.Errorf("%s: answered another range than asked for", u.Host)
		}
		have, sum = 0, sumFor(m)
		if err := f.Truncate(0); err != nil {
			return 0, sum, &localError{err}
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, sum, &localError{err}
		}
	}
	if err := r.copyBody(ctx, resp.Body, stop, name, m, f, &have, sum); err != nil {
		return have, sum, stalled(ctx, err)
	}
	return have, sum, nil
}

// copyBody writes body to f from where f stands; have counts bytes on disk.
// Each read pushes the deadline of the transfer out.
func (r *repo) copyBody(ctx context.Context, body io.Reader, stop *time.Timer, name string, m *meta, f *os.File, have *int64, sum hash.Hash) error {
	buf := make([]byte, 1<<18)
	for {
		n, err := body.Read(buf)
		stop.Reset(stallAfter)
		if n > 0 {
			if m.size >= 0 && *have+int64(n) > m.size {
				*have = 0
				if err := f.Truncate(0); err != nil {
					return &localError{err}
				}
				return fmt.Errorf("the server sent more than the %d bytes announced", m.size)
			}
			if _, err := f.Write(buf[:n]); err != nil {
				return &localError{err}
			}
			if sum != nil {
				sum.Write(buf[:n])
			}
			*have += int64(n)
			if r.o.Progress != nil {
				r.o.Progress(Progress{Repo: r.id, File: name, Done: *have, Total: m.size})
			}
		}
		if err == io.EOF {
			return nil // whether it was enough is for the caller to say
		}
		if err == nil {
			err = ctx.Err() // what is buffered would still be read
		}
		if err != nil {
			return fmt.Errorf("transfer broke off after %d bytes: %w", *have, err)
		}
	}
}
