package object

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// bodies is a RoundTripper that is done with the body of a request when it
// returns. That of net/http may go on reading one whose answer came early or
// whose connection broke, while the client seeks in it to send it again.
type bodies struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(r)
	}
	b := &body{ReadCloser: r.Body}
	r = r.WithContext(r.Context()) // a copy
	r.Body = b
	res, err := t.next.RoundTrip(r)
	if err == nil && res.StatusCode >= 300 {
		// Ending a body in its middle ends the connection: what the answer says
		// comes first. Reading it may fail as it may for the client.
		text, rerr := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text), failing{rerr}))
	}
	b.end()
	return res, err
}

// failing is at its end, or fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// body is read until end.
type body struct {
	io.ReadCloser
	mu    sync.Mutex
	ended bool
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, io.EOF
	}
	return b.ReadCloser.Read(p)
}

// Close implements io.Closer. What is closed late is not the client's any more.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil
	}
	return b.ReadCloser.Close()
}
