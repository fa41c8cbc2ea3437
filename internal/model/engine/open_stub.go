//go:build !engine || !cgo

package engine

import (
	"context"
	"errors"

	"sextant/internal/model"
)

// Built says whether this binary can compute.
const Built = false

// BuildInfo says how the engine's kernels were compiled and which instruction
// set they use on this machine.
func BuildInfo() (optimised bool, isa string) { return false, "" }

func open(context.Context, options, model.Env) (model.Model, error) {
	return nil, &model.EndpointError{
		Err:  errors.New("this binary was built without the inference engine"),
		Hint: "build it with `make build`; that needs a C compiler (on Debian: apt install build-essential)",
	}
}
