package store

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// thisProcess names the machine (its boot and process namespace) and when
// this process started by the machine's own count.
func thisProcess() (machine, start string) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", ""
	}
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", ""
	}
	start, ok := processStart(os.Getpid())
	if !ok {
		return "", ""
	}
	return strings.TrimSpace(string(boot)) + " " + ns, start
}

// processStart returns the start time of a process in clock ticks since boot;
// ok is false when it does not live (a zombie does not).
func processStart(pid int) (start string, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// pid (comm) state ppid …; comm may contain anything
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return "", false
	}
	f := bytes.Fields(b[i+1:])
	if len(f) < 20 || len(f[0]) == 1 && (f[0][0] == 'Z' || f[0][0] == 'X') {
		return "", false
	}
	return string(f[19]), true
}
