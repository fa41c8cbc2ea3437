//go:build !unix

package pyconf

import (
	"testing"
	"time"
)

// cpuTime is not to be had here.
func cpuTime(testing.TB) time.Duration { return 0 }
