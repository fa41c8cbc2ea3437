package source

import (
	"archive/zip"
	"context"
	"crypto/md5"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sextant/internal/dataset"
)

// archiveURL is where OpenCompass publishes its data archives.
const archiveURL = "http://opencompass.oss-cn-shanghai.aliyuncs.com/datasets/data/"

//go:embed urls.tsv
var urlsTSV string

type archive struct{ key, file, md5 string }

var archives = sync.OnceValue(func() (out []archive) {
	for _, f := range tsv(urlsTSV) {
		out = append(out, archive{f[0], f[1], f[2]})
	}
	return out
})

// archiveFor is the archive that holds a local path: the last in the table
// whose key occurs in the path, as OpenCompass chooses.
func archiveFor(local string) (a archive, ok bool) {
	for _, x := range archives() {
		if strings.Contains(local, x.key) {
			a, ok = x, true
		}
	}
	return a, ok
}

// download fetches the archive of a path and looks again.
func (f *Finder) download(ctx context.Context, local string, miss *dataset.MissingError, allowed bool) (place, error) {
	a, ok := archiveFor(local)
	root := f.ownCache()
	if c := f.compassCache(); c != "" {
		root = c
	}
	switch {
	case !ok || !strings.HasPrefix(filepath.ToSlash(filepath.Clean(local)), "data/"):
		miss.Tried = append(miss.Tried, "OpenCompass publishes no archive of it")
		miss.Hint = fmt.Sprintf("put the data into %s, or below COMPASS_DATA_CACHE, or correct the path", local)
		return place{}, miss
	case !allowed || f.o.Offline:
		miss.Tried = append(miss.Tried, "download of "+a.file+" not allowed (offline)")
		miss.Hint = fmt.Sprintf("run once without --offline, or unpack %s%s into %s", f.o.BaseURL, a.file, filepath.Join(root, "data"))
		return place{}, miss
	case root == "":
		miss.Tried = append(miss.Tried, "no folder to download to: neither a home directory nor COMPASS_DATA_CACHE is set")
		miss.Hint = "set COMPASS_DATA_CACHE"
		return place{}, miss
	}
	f.fetching.Lock()
	defer f.fetching.Unlock()
	at := filepath.Join(root, local)
	if _, err := os.Stat(at); err == nil { // another goroutine fetched it meanwhile
		return place{"download", at}, nil
	}
	if err := f.fetch(ctx, a, filepath.Join(root, "data"), at); err != nil {
		return place{}, fmt.Errorf("download %s%s: %w", f.o.BaseURL, a.file, err)
	}
	if _, err := os.Stat(at); err != nil {
		miss.Tried = append(miss.Tried, "the archive "+a.file+" does not hold it")
		return place{}, miss
	}
	return place{"download", at}, nil
}

// fetch downloads an archive into dir, continuing where an earlier try
// stopped, checks it and unpacks it there. want is a path that shows that
// another process has done it.
func (f *Finder) fetch(ctx context.Context, a archive, dir, want string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "."+a.file+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(want); err == nil {
		return nil
	}
	part := filepath.Join(dir, a.file+".part")
	const tries = 4
	for try := 1; ; try++ {
		err := f.transfer(ctx, a, part)
		if err == nil {
			break
		}
		var final *finalError
		if try == tries || errors.As(err, &final) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(try) * retryPause):
		}
	}
	if err := unzip(part, dir); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return os.Remove(part)
}

// retryPause is how long to wait after the first broken transfer; later ones
// wait a multiple. Tests shorten it.
var retryPause = 2 * time.Second

// finalError is an answer that will not change by asking again.
type finalError struct{ msg string }

func (e *finalError) Error() string { return e.msg }

// transfer brings part up to the whole archive, in one request, and checks it.
func (f *Finder) transfer(ctx context.Context, a archive, part string) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	sum := md5.New()
	have, err := io.Copy(sum, out)
	if err != nil {
		return err
	}
	if have > 0 && hex.EncodeToString(sum.Sum(nil)) == a.md5 {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.o.BaseURL+a.file, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "sextant")
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := f.o.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && have > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case resp.StatusCode == http.StatusOK:
		have = 0
		sum.Reset()
		if err := out.Truncate(0); err != nil {
			return err
		}
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			return err
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusPartialContent:
		return errors.Join(errors.New("the part that is here does not fit the archive; starting over"), out.Truncate(0))
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout:
		return &finalError{"the server answers " + resp.Status}
	default:
		return errors.New("the server answers " + resp.Status)
	}
	total := int64(0)
	if resp.ContentLength > 0 {
		total = have + resp.ContentLength
	}
	body := io.Reader(resp.Body)
	if f.o.Progress != nil {
		f.o.Progress(Progress{a.file, have, total})
		body = &counter{r: body, done: have, report: func(n int64) { f.o.Progress(Progress{a.file, n, total}) }}
	}
	if _, err := io.Copy(io.MultiWriter(out, sum), body); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.md5 {
		err := fmt.Errorf("the archive's MD5 is %s, not %s as published", got, a.md5)
		if have == 0 { // it was one whole transfer: asking again gives the same
			return errors.Join(&finalError{err.Error()}, out.Truncate(0))
		}
		return errors.Join(err, out.Truncate(0))
	}
	return nil
}

// counter reports the bytes read, at most once a MiB.
type counter struct {
	r          io.Reader
	done, last int64
	report     func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.done-c.last >= 1<<20 || err != nil && c.done > c.last {
		c.last = c.done
		c.report(c.done)
	}
	return n, err
}

// maxUnpacked bounds what an archive may unpack to.
const maxUnpacked = 64 << 30

// unzip unpacks an archive beside dir and then moves what is new into dir.
func unzip(file, dir string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	tmp, err := os.MkdirTemp(dir, ".unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	left := int64(maxUnpacked)
	for _, e := range z.File {
		if strings.HasPrefix(e.Name, "__MACOSX/") {
			continue
		}
		if !filepath.IsLocal(e.Name) {
			return fmt.Errorf("the archive holds a file outside its folder: %q", e.Name)
		}
		at := filepath.Join(tmp, filepath.FromSlash(e.Name))
		if e.FileInfo().IsDir() {
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			continue
		}
		if !e.Mode().IsRegular() { // a link could lead out
			return fmt.Errorf("the archive holds something that is not a file: %q", e.Name)
		}
		n, err := unzipFile(e, at, left)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		left -= n
	}
	return merge(tmp, dir)
}

func unzipFile(e *zip.File, at string, limit int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return 0, err
	}
	in, err := e.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err == nil && n > limit {
		err = errors.New("the archive unpacks to too much")
	}
	return n, errors.Join(err, out.Close())
}

// merge moves what is in from into to; files that are there stay.
func merge(from, to string) error {
	es, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range es {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		st, err := os.Stat(b)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = os.Rename(a, b)
		case err == nil && st.IsDir() && e.IsDir():
			err = merge(a, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
