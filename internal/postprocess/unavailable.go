package postprocess

import (
	"errors"

	"sextant/internal/py"
	"sextant/internal/source"
)

// ErrUnavailable is in the error of a function that is known by name and not
// there yet. Such functions are registered where a bare name would otherwise
// stand for another function of the same name, and give wrong answers in
// silence.
var ErrUnavailable = errors.New("not available yet")

func init() {
	unavailable("opencompass.datasets.mathbench.first_option_postprocess",
		"MathBench has a first_option_postprocess of its own, which is not available yet")
}

func unavailable(name, why string) {
	Functions.Register(func(_ string, kw *py.Dict) (py.Value, error) {
		var at source.Pos
		if kw != nil {
			at = kw.At
		}
		return nil, &source.Diagnostic{Pos: at, Msg: why, Err: ErrUnavailable}
	}, name)
}
