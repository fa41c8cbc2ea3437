//go:build !race

package pyconf

const raceEnabled = false
