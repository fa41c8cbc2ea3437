package engine

import (
	"errors"
	"fmt"
	"math"

	"sextant/internal/model/engine/compute"
	"sextant/internal/py"
)

// config reads a model's config.json. Its getters take the value that
// transformers assumes when the key is missing or null; a value of the wrong
// kind is remembered as an error, so that a loader asks once at the end.
type config struct {
	d    *py.Dict
	errs *[]error
}

func newConfig(d *py.Dict) config { return config{d, new([]error)} }

func (c config) fail(format string, args ...any) {
	*c.errs = append(*c.errs, fmt.Errorf("config.json: "+format, args...))
}

func (c config) err() error { return errors.Join(*c.errs...) }

func (c config) number(key string, def float64) float64 {
	switch v := c.d.Get(key).(type) {
	case nil:
		return def
	case int:
		return float64(v)
	case float64:
		return v
	}
	c.fail("%s is %v, not a number", key, py.Repr(c.d.Get(key)))
	return def
}

func (c config) int(key string, def int) int {
	v := c.number(key, float64(def))
	if v != math.Trunc(v) || math.Abs(v) > 1<<31 {
		c.fail("%s is %v, not a whole number", key, v)
		return def
	}
	return int(v)
}

func (c config) bool(key string, def bool) bool {
	switch v := c.d.Get(key).(type) {
	case nil:
		return def
	case bool:
		return v
	}
	c.fail("%s is %v, not true or false", key, py.Repr(c.d.Get(key)))
	return def
}

func (c config) str(key, def string) string {
	switch v := c.d.Get(key).(type) {
	case nil:
		return def
	case string:
		return v
	}
	c.fail("%s is %v, not a string", key, py.Repr(c.d.Get(key)))
	return def
}

// atLeast remembers an error for each key that is given and less than n.
func (c config) atLeast(n float64, keys ...string) {
	for _, k := range keys {
		if v := c.number(k, n); v < n {
			c.fail("%s is %v, must be at least %v", k, v, n)
		}
	}
}

// activations by the names that transformers gives them.
var activations = map[string]compute.Activation{
	"relu": compute.ReLU, "gelu": compute.GELU, "gelu_new": compute.GELUTanh, "gelu_pytorch_tanh": compute.GELUTanh,
	"gelu_fast": compute.GELUTanh, "silu": compute.SiLU, "swish": compute.SiLU,
}

func (c config) activation(key, def string) compute.Activation {
	name := c.str(key, def)
	a, ok := activations[name]
	if !ok {
		c.fail("%s %q is not known to the engine", key, name)
	}
	return a
}

// ids are the token ids under key: one, several or none.
func ids(d *py.Dict, key string) []int32 {
	switch v := d.Get(key).(type) {
	case int:
		return []int32{int32(v)}
	case *py.List:
		var out []int32
		for _, x := range v.Items {
			if i, ok := x.(int); ok {
				out = append(out, int32(i))
			}
		}
		return out
	}
	return nil
}
