package object

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A body that is sent again is not read by the one who sent it before.
func TestBodies(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for name, c := range map[string]struct {
		answer *http.Response
		err    error
	}{
		"answered":          {answer: &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("fine"))}},
		"answered too soon": {answer: &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("slow down"))}},
		"answer breaks off": {answer: &http.Response{StatusCode: 503, Body: io.NopCloser(io.MultiReader(strings.NewReader("sl"), failing{broken}))}},
		"broken":            {err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReader("0123456789")
			r, err := http.NewRequest("PUT", "http://store", text)
			if err != nil {
				t.Fatal(err)
			}
			own := r.Body
			var kept io.ReadCloser
			res, err := bodies{tripper(func(r *http.Request) (*http.Response, error) {
				kept = r.Body
				if n, err := kept.Read(make([]byte, 4)); n != 4 || err != nil {
					t.Error(n, err)
				}
				return c.answer, c.err
			})}.RoundTrip(r)
			if !errors.Is(err, c.err) || r.Body != own {
				t.Errorf("%v", err)
			}
			if n, err := kept.Read(make([]byte, 4)); n != 0 || err != io.EOF || text.Len() != 6 {
				t.Errorf("read behind the answer: %d %v, %d bytes are left", n, err, text.Len())
			}
			if err := kept.Close(); err != nil {
				t.Error(err)
			}
			if res == nil {
				return
			}
			got, err := io.ReadAll(res.Body)
			want := map[string]string{"answered": "fine", "answered too soon": "slow down", "answer breaks off": "sl"}[name]
			if string(got) != want || (err != nil) != (name == "answer breaks off") {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}
