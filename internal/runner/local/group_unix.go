//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the worker a process group of its own: a Ctrl-C in the
// terminal reaches the coordinator alone, which then decides, and everything a
// worker starts can be ended with it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Signals to what is gone already do nothing, and that is fine.

func terminateGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
func killGroup(c *exec.Cmd)      { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
