package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const token = "s3cr3t-hook-token-0123456789"

// bot serves a webhook whose address holds token. A limit of 0 is one that no
// machine is too slow for.
func bot(t *testing.T, limit time.Duration, answer http.HandlerFunc) *Lark {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	if limit == 0 {
		limit = 5 * time.Minute
	}
	l, err := NewLark(s.URL+"/open-apis/bot/v2/hook/"+token, nil, limit)
	if err != nil {
		t.Fatal(err)
	}
	return l
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

func TestPostSendsWhatLarkReads(t *testing.T) {
	for _, c := range []struct {
		name string
		m    Message
		want string
	}{
		{"text", Message{Text: "a's task <1> é"}, `{"content":{"text":"a's task <1> é"},"msg_type":"text"}`},
		{"post", Message{Title: "T", Text: "x\ny"}, `{"content":{"post":{"zh_cn":{"title":"T","content":[[{"tag":"text","text":"x\ny"}]]}}},"msg_type":"post"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got, path string
			l := bot(t, 0, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got, path = string(b), r.URL.Path
				io.WriteString(w, `{"code":0,"msg":"success"}`)
			})
			if err := l.Post(t.Context(), c.m); err != nil {
				t.Fatal(err)
			}
			var a, b any
			if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(c.want), &b) != nil {
				t.Fatalf("not JSON: %s", got)
			}
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			if string(x) != string(y) {
				t.Errorf("sent %s, want %s", x, y)
			}
			if !strings.HasSuffix(path, token) {
				t.Errorf("posted to %s", path)
			}
		})
	}
}

// No error may hold the address, whatever goes wrong.
func TestErrorsKeepTheAddress(t *testing.T) {
	for _, c := range []struct {
		name, want string
		limit      time.Duration
		answer     http.HandlerFunc
	}{
		{"refused by Lark", "Lark refused it: token … is bad", 0, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"code":19001,"msg":"token `+token+` is bad"}`)
		}},
		{"refused the old way", "code 9499", 0, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"StatusCode":9499}`) }},
		{"status", "Internal Server Error", 0, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"redirect", "Found", 0, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }},
		{"cut off", "EOF", 0, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // with something unread it would be a reset
			panic(http.ErrAbortHandler)
		}},
		{"silence", "no answer within", 20 * time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then is the end of the connection seen
			<-r.Context().Done()
		}},
		{"nobody", "connect", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l *Lark
			if c.answer != nil {
				l = bot(t, c.limit, c.answer)
			} else {
				var err error
				if l, err = NewLark("http://"+refusing(t)+"/hook/"+token, nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			err := l.Post(t.Context(), Message{Text: "x"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), token) {
					t.Errorf("the token is in %q", e)
				}
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for _, s := range []string{"", "open.feishu.cn/hook/" + token, "ftp://h/" + token, "https:///x", "http://[::1/" + token, "\x7f" + token} {
		if _, err := NewLark(s, nil, 0); !errors.Is(err, ErrAddress) || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	b, err := Message{Text: strings.Repeat("é", maxText)}.body()
	if err != nil || len(b) > 20_000 || !json.Valid(b) || !strings.Contains(string(b), `é\n…`) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestQueueKeepsOrderAndGoesOnAfterAFailure(t *testing.T) {
	var mu sync.Mutex
	var got []string
	l := bot(t, 0, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(b))
		if len(got) == 2 {
			w.WriteHeader(500)
		}
	})
	failures := 0 // the queue tells them from one goroutine, which has ended when Close returns
	q := NewQueue(func(error) { failures++ })
	for _, s := range []string{"one", "two", "three"} {
		q.Post(l, Message{Text: s})
	}
	q.Close(time.Minute)
	if len(got) != 3 || failures != 1 {
		t.Fatalf("%d messages, %d failures", len(got), failures)
	}
	for i, s := range []string{"one", "two", "three"} {
		if !strings.Contains(got[i], s) {
			t.Errorf("message %d is %s", i, got[i])
		}
	}
}

// A server that never answers holds nothing up for longer than Close allows.
func TestCloseGivesUp(t *testing.T) {
	arrived, hold := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l := bot(t, time.Hour, func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(arrived) })
		<-hold
	})
	t.Cleanup(func() { close(hold) })
	var failed []error
	q := NewQueue(func(err error) { failed = append(failed, err) })
	q.Post(l, Message{Text: "one"})
	q.Post(l, Message{Text: "two"})
	<-arrived
	q.Close(0)
	if len(failed) != 1 || !errors.Is(failed[0], context.Canceled) {
		t.Errorf("told %v, want that one message was given up", failed)
	}
}
