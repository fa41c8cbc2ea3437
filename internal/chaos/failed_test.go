//go:build linux

package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sextant/internal/model/fake"
)

// Samples without an answer: the run ends with its own exit code, says why and
// how to go on; nothing else is asked again, and when the model has recovered
// the run is the one that never failed.
func TestRetryFailed(t *testing.T) {
	t.Parallel()
	spec := Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NumWorkerPartitioner, num_worker=2)"}
	want, _ := undisturbed(t, spec.Config())
	l := NewLab(t, program)
	l.Config(spec.Config())
	env := l.Env
	l.Env = append(env[:len(env):len(env)], fake.FailVar+"=Kendall")
	s := l.Run(4)
	for _, says := range []string{"has no answer: content_filter: scripted failure", "samples without an answer: ", "--retry-failed"} {
		if !strings.Contains(s.Stderr(), says) {
			t.Errorf("stderr does not say %q\n%s", says, s.Stderr())
		}
	}
	if !strings.Contains(s.Stdout(), "failed") {
		t.Errorf("the table does not count failed samples\n%s", s.Stdout())
	}
	_, mark := l.Requests(0)
	l.Run(4, "-r", "latest") // an answer that failed is final
	again, mark := l.Requests(mark)
	if again.Total != 0 {
		t.Errorf("%d requests without --retry-failed", again.Total)
	}
	l.Env = env
	l.Run(0, "-r", "latest", "--retry-failed")
	again, _ = l.Requests(mark)
	if again.Total == 0 || again.Total > 60 {
		t.Errorf("%d requests with --retry-failed", again.Total)
	}
	l.Same(want)
}

// -m eval of a run whose inference was cut off: each dataset is told once, with
// what to do, and the run goes on from there.
func TestEvalTooEarly(t *testing.T) {
	t.Parallel()
	spec := Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NaivePartitioner)"}
	want, _ := undisturbed(t, spec.Config())
	l := NewLab(t, program)
	release := l.Hold(60)
	l.Config(spec.Config())
	s := l.Start()
	l.Held(s, 2)
	s.Signal(syscall.SIGINT)
	l.Until(s, "workers that are told to stop", func() bool {
		logs, _ := filepath.Glob(filepath.Join(l.RunDir(), "logs", "infer", "*", "*.out")) // the pattern is well formed
		n := 0
		for _, p := range logs {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(string(b), "finishing what is in flight")
		}
		return n == 2
	})
	release()
	if code := s.Wait(); code != 130 || !strings.Contains(s.Stderr(), "infer: stopped, ") || !strings.Contains(s.Stderr(), "run the same command with -r") {
		t.Errorf("exit code %d\n%s", code, s.Stderr())
	}
	s = l.Run(3, "-r", "latest", "-m", "eval")
	for _, says := range []string{"are incomplete: ", "finish the inference first: the same command with -r, without -m eval"} {
		if !strings.Contains(s.Stderr(), says) {
			t.Errorf("stderr does not say %q\n%s", says, s.Stderr())
		}
	}
	if strings.Contains(s.Stderr(), "attempt 2") {
		t.Errorf("what cannot become better was tried again\n%s", s.Stderr())
	}
	l.Run(0, "-r", "latest")
	l.Same(want)
	l.Run(0, "-r", "latest", "-m", "eval")
	l.Run(0, "-r", "latest", "-m", "viz")
	l.Same(want)
}
