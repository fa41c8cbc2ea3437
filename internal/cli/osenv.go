package cli

import (
	"context"
	"os"
	"os/user"
	"runtime"
	"time"

	"golang.org/x/term"
)

// OS is the real outside world.
func OS() *Env {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "."
	}
	home, _ := os.UserHomeDir() // "" means: no caches in a home
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	host, _ := os.Hostname() // for display
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil {
		width = 0
	}
	return &Env{
		Args: os.Args[1:], Getenv: os.Getenv, LookupEnv: os.LookupEnv, Environ: os.Environ, Cwd: cwd, HomeDir: home,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())), StderrTTY: term.IsTerminal(int(os.Stderr.Fd())), Width: width,
		Now: time.Now, Executable: exe, Host: host, Pid: os.Getpid(), User: accountName, CPUs: runtime.GOMAXPROCS(0),
		Interrupts: catchSignals(os.Exit), Ctx: context.Background(),
	}
}

// accountName is who this process belongs to.
func accountName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
