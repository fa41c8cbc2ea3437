//go:build !engine || !linux

package parity

import "testing"

func TestOpenCompass(t *testing.T) { t.Skip("needs the engine: go test -tags engine") }
