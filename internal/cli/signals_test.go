//go:build unix

package cli

import (
	"os/signal"
	"syscall"
	"testing"
)

// Signals end a process that has nothing to finish, with the code of the table;
// one that has is asked to stop. A closed terminal counts as Ctrl-C does.
func TestSignalsAreRequestsToStop(t *testing.T) {
	codes := make(chan int, 100)
	hangup := !signal.Ignored(syscall.SIGHUP) // under nohup it stays ignored
	take := catchSignals(func(code int) { codes <- code })
	t.Cleanup(func() { signal.Reset() })
	send := func(s syscall.Signal) {
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	all := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}
	if hangup {
		all = append(all, syscall.SIGHUP)
	}
	for _, s := range all {
		send(s)
		if code := <-codes; code != ExitInterrupted {
			t.Errorf("%v: exit code %d", s, code)
		}
	}
	stop := take()
	for _, s := range all {
		send(s)
		<-stop
	}
	if len(codes) > 0 {
		t.Errorf("exit code %d though the command had taken signals over", <-codes)
	}
}
