// Command sextant says how good a language model is; see internal/cli.
package main

import (
	"os"
	"runtime/debug"

	"sextant/internal/cli"
)

func main() {
	// A data file in memory is most of what the program holds: let garbage
	// beside it be half of it, not as much again.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	os.Exit(cli.Main(cli.OS()))
}
