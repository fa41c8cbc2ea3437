package store

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncAll makes the file system of dir durable in one call: cheaper than one
// fsync for each of very many small files.
func syncAll(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd())) == nil
}

// lockHeld takes an advisory lock that ends with the process, and reports
// that another process has it. A file system without locks reports false.
func lockHeld(f *os.File) bool {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
