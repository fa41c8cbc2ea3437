package source_test

import (
	"testing"

	"sextant/internal/source"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 tasks", 1: "1 task", 2: "2 tasks", 999: "999 tasks", 1000: "1,000 tasks", 1234567: "1,234,567 tasks", -1: "-1 tasks", -123: "-123 tasks", -1234: "-1,234 tasks"} {
		if got := source.Count(n, "task"); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
