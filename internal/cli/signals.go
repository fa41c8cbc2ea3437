package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// catchSignals delivers each request to stop from here on. A closed terminal
// (SIGHUP) is one, unless nohup had it ignored.
func catchSignals() <-chan struct{} {
	which := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		which = append(which, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, which...)
	out := make(chan struct{}, 4)
	go func() {
		for range signals {
			out <- struct{}{}
		}
	}()
	return out
}

// interrupts is Env.Interrupts, or a channel that delivers nothing.
func (e *Env) interrupts() <-chan struct{} {
	if e.Interrupts == nil {
		return nil
	}
	return e.Interrupts()
}
