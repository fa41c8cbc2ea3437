// Package postprocess extracts answers from texts: one file per family of
// functions. All are pure.
package postprocess

import (
	"sextant/internal/py"
	"sextant/internal/registry"
)

// Func turns one prediction into an answer. kwargs are the further keys of
// the postprocessor's dict in the config (options=… for first-option).
type Func func(text string, kwargs *py.Dict) (py.Value, error)

// Functions are the postprocessors, under their registered name
// ("first-capital") and their function name (first_capital_postprocess).
var Functions = registry.New[Func]("postprocessor")
