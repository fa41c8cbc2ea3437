package cli

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// catchSignals hears requests to stop from here on: Ctrl-C, SIGTERM and a closed
// terminal (SIGHUP, unless nohup had it ignored). The function that it returns
// takes them over; before that there is nothing to finish, and the first ends
// the process by exit.
func catchSignals(exit func(code int)) func() <-chan struct{} {
	which := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		which = append(which, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, which...)
	var taken atomic.Bool
	out := make(chan struct{}, 4)
	go func() {
		for range signals {
			if !taken.Load() {
				exit(ExitInterrupted)
				continue
			}
			out <- struct{}{}
		}
	}()
	return func() <-chan struct{} {
		taken.Store(true)
		return out
	}
}

// interrupts is Env.Interrupts, or a channel that delivers nothing.
func (e *Env) interrupts() <-chan struct{} {
	if e.Interrupts == nil {
		return nil
	}
	return e.Interrupts()
}
