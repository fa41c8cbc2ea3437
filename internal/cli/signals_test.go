//go:build unix

package cli

import (
	"syscall"
	"testing"
)

// A closed terminal asks a run to stop, as Ctrl-C does.
func TestSignalsAreRequestsToStop(t *testing.T) {
	stop := catchSignals()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-stop
	}
}
