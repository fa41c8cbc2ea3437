//go:build unix

package slurm

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a Ctrl-C in the terminal from a command: whether a submission
// that is cut off has happened cannot be told.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
