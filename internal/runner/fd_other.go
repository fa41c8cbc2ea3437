//go:build !unix

package runner

func closeOnExec(int) {}
