package kube

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sextant/internal/task"
)

const (
	logLines = 2000      // of a pod that are asked for
	logBytes = 512 << 10 // of these that are kept
	logBatch = 16        // logs of finished workers fetched at a time
)

// podLog is a log to be fetched into the run.
type podLog struct {
	pod, job string
	path     string // relative to the run
	attempt  int
	since    time.Time
}

// fetchLogs fetches the logs of workers that are done, once their pods have
// ended too.
func (s *stageRun) fetchLogs(ctx context.Context, now time.Time, up bool) {
	if !up {
		return
	}
	kept := s.logs[:0]
	for n, l := range s.logs {
		s.view.mu.Lock()
		k, there := s.view.byName[l.pod]
		p := s.view.pods[k]
		s.view.mu.Unlock()
		if n >= logBatch || there && p.name == l.pod && !p.ended() && now.Sub(l.since) < s.o.LogGrace {
			kept = append(kept, l)
			continue
		}
		if there {
			s.fetch(ctx, l)
		}
	}
	s.logs = kept
}

// fetch appends the log of a pod to the log of its task, and returns the last
// lines.
func (s *stageRun) fetch(ctx context.Context, l podLog) string {
	rctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var text []byte
	r, err := s.api.Log(rctx, l.pod, logLines)
	if err == nil {
		text, err = lastBytes(r, logBytes)
		r.Close()
	}
	out := task.Scrub(strings.ToValidUTF8(string(text), "\uFFFD"), s.secrets)
	head := ""
	if l.attempt > 1 {
		head = fmt.Sprintf("--- attempt %d, pod %s ---\n", l.attempt, l.pod)
	}
	body := head + out
	if err != nil {
		body += fmt.Sprintf("(the log of pod %s could not be fetched: %v)\n", l.pod, err)
	}
	if err := appendLog(s.stage.Run.Path(l.path), body, l.attempt == 1); err != nil {
		s.o.Log.Warn("log of a pod not written", "error", err)
	}
	return lastLines(out, 20)
}

func appendLog(path, text string, fresh bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if fresh {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// lastBytes reads r to its end and returns the last n bytes, from the begin of
// a line when there were more.
func lastBytes(r io.Reader, n int) ([]byte, error) {
	var buf []byte
	cut := false
	chunk := make([]byte, 32<<10)
	for {
		k, err := r.Read(chunk)
		buf = append(buf, chunk[:k]...)
		if len(buf) > 2*n {
			buf, cut = append(buf[:0], buf[len(buf)-n:]...), true
		}
		if err != nil {
			if len(buf) > n {
				buf, cut = buf[len(buf)-n:], true
			}
			if cut {
				if i := bytes.IndexByte(buf, '\n'); i >= 0 {
					buf = buf[i+1:]
				}
			}
			if err == io.EOF {
				err = nil
			}
			return buf, err
		}
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
