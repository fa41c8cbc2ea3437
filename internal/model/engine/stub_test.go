//go:build !engine || !cgo

package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sextant/internal/model"
	"sextant/internal/py"
)

// A binary without the engine knows its classes and says what is missing.
func TestOpenWithoutEngine(t *testing.T) {
	c, err := model.Classes.Lookup("HuggingFaceBaseModel")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(context.Background(), py.DictOf("path", "x"), model.Env{})
	var e *model.EndpointError
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "built without the inference engine") || !strings.Contains(e.Hint, "make build") {
		t.Errorf("got %v", err)
	}
	if ok, isa := BuildInfo(); ok || isa != "" || Built {
		t.Errorf("BuildInfo: %v %q", ok, isa)
	}
}
