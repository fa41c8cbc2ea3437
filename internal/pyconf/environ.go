package pyconf

import (
	"sextant/internal/py"
	"sextant/internal/pyconf/syntax"
	"sextant/internal/source"
)

func (*environ) getitem(fr *frame, k py.Value, n syntax.Node) (py.Value, error) {
	name, ok := k.(string)
	if !ok {
		return nil, fr.raise(n, "TypeError", "str expected, not %s", py.TypeName(k))
	}
	if v, ok := fr.in.o.Env(name); ok {
		return v, nil
	}
	e := fr.raise(n, "KeyError", "%s", py.Repr(name))
	e.hint = "set the environment variable " + name + ", or write os.environ.get('" + name + "', …)"
	return nil, e
}

// envMethod gives a method of os.environ.
func envMethod(e *environ, name string) *method {
	var fn methodFn
	switch name {
	case "get":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			a, _, err := c.bind("key", "default=")
			if err != nil {
				return nil, 0, err
			}
			if s, ok := a[0].(string); ok {
				if v, ok := c.in().o.Env(s); ok {
					return v, 0, nil
				}
			}
			return a[1], c.argPos(1), nil
		}
	case "setdefault", "pop", "update", "keys", "items", "values", "copy":
		fn = func(c *callArgs) (py.Value, source.Pos, error) {
			return nil, 0, fatalf("`os.environ.%s` is not part of the config dialect", c.name).
				WithHint("a config can read variables by name: os.environ.get('NAME', default)")
		}
	default:
		return nil
	}
	return &method{name: name, recv: e, fn: fn}
}
