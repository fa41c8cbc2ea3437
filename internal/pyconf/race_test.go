//go:build race

package pyconf

// raceEnabled: the race detector makes everything ten times slower.
const raceEnabled = true
