// Command sextant says how good a language model is; see internal/cli.
package main

import (
	"os"

	"sextant/internal/cli"
)

func main() { os.Exit(cli.Main(cli.OS())) }
