// Package notify tells people elsewhere how a run goes: so far, a chat of Lark
// (Feishu) through the webhook of a custom bot.
//
// Lark posts one message; Queue posts several in order without holding up the
// run that they speak of. A webhook's address is its password: it is in no
// error and in no text that this package gives out.
//
// Non-goals: it does not know what a run is, and nothing depends on whether a
// message arrives.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Limit is how long one message may take.
const Limit = 10 * time.Second

// maxText is how many bytes of text are sent: Lark refuses bodies of more than
// 20 KB, of which JSON's escapes may take their part.
const maxText = 15_000

// Lark is a custom bot. Safe for concurrent use.
type Lark struct {
	url    *url.URL
	client http.Client
	limit  time.Duration
}

// ErrAddress says that a webhook's address is none.
var ErrAddress = errors.New("not the http or https address of a webhook")

// NewLark makes a bot of the address of its webhook. client may be nil for one
// that honours the usual proxy variables; limit 0 means Limit.
func NewLark(address string, client *http.Client, limit time.Duration) (*Lark, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, ErrAddress // the cause would repeat the address
	}
	l := &Lark{url: u, limit: limit}
	if limit <= 0 {
		l.limit = Limit
	}
	if client != nil {
		l.client = *client
	}
	// A webhook does not move, and the address must not be given to others.
	l.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return l, nil
}

// Message is what a bot says. Without a title it is plain text.
type Message struct{ Title, Text string }

type textPart struct {
	Tag  string `json:"tag"`
	Text string `json:"text"`
}

func (m Message) body() ([]byte, error) {
	text := shorten(m.Text)
	var v any
	if m.Title == "" {
		v = map[string]any{"msg_type": "text", "content": map[string]any{"text": text}}
	} else {
		v = map[string]any{"msg_type": "post", "content": map[string]any{"post": map[string]any{
			"zh_cn": map[string]any{"title": m.Title, "content": [][]textPart{{{"text", text}}}},
		}}}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// shorten keeps a text within what Lark takes.
func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "\n…"
}

// Post sends one message. Errors name the host at most, never the address.
func (l *Lark) Post(ctx context.Context, m Message) error {
	body, err := m.body()
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.limit, fmt.Errorf("no answer within %v", l.limit))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url.String(), bytes.NewReader(body))
	if err != nil {
		return ErrAddress
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := l.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return l.clean(cause)
		}
		var ue *url.Error // begins with the address
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return l.clean(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what came is enough
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", http.StatusText(resp.StatusCode))
	}
	// Lark refuses with status 200 and a code of its own.
	var r struct {
		Code       int    `json:"code"`
		Msg        string `json:"msg"`
		StatusCode int    `json:"StatusCode"`
	}
	if json.Unmarshal(answer, &r) == nil && (r.Code != 0 || r.StatusCode != 0) {
		return l.clean(fmt.Errorf("Lark refused it: %s (code %d)", r.Msg, max(r.Code, r.StatusCode)))
	}
	return nil
}

// clean takes the parts of the address that are secret out of an error.
func (l *Lark) clean(err error) error {
	s := err.Error()
	for _, part := range l.secrets() {
		s = strings.ReplaceAll(s, part, "…")
	}
	if s == err.Error() {
		return err
	}
	return errors.New(s)
}

// secrets are the texts that must not be told: the address, and whatever of
// its path and query could be a token.
func (l *Lark) secrets() []string {
	out := []string{l.url.String()}
	rest := l.url.RequestURI()
	if len(rest) > 1 {
		out = append(out, rest)
	}
	for _, p := range strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/?&=", r) }) {
		if len(p) >= 8 {
			out = append(out, p)
		}
	}
	if l.url.User != nil {
		out = append(out, l.url.User.String())
	}
	return out
}

// Queue posts messages one after another in the background.
type Queue struct {
	in     chan item
	done   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	failed func(error)
}

type item struct {
	bot *Lark
	m   Message
}

// queued is how many messages may wait; a run has a handful.
const queued = 64

// NewQueue starts a queue. failed is told, from another goroutine, why a
// message did not arrive.
func NewQueue(failed func(error)) *Queue {
	q := &Queue{in: make(chan item, queued), done: make(chan struct{}), failed: failed}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(q.done)
		for it := range q.in {
			if q.ctx.Err() != nil {
				continue
			}
			if err := it.bot.Post(q.ctx, it.m); err != nil {
				failed(err)
			}
		}
	}()
	return q
}

// Post hands a message over and returns at once.
func (q *Queue) Post(bot *Lark, m Message) {
	select {
	case q.in <- item{bot, m}:
	default:
		q.failed(errors.New("too many messages are waiting"))
	}
}

// Close waits until all messages are out, at most for limit, and gives up what
// is left. Nothing may be posted after it.
func (q *Queue) Close(limit time.Duration) {
	close(q.in)
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-q.done:
	case <-t.C:
	}
	q.cancel()
	<-q.done
}
