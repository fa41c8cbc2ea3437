package prompt

import (
	"errors"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/source"
)

// Retriever chooses the in-context examples of each row. Safe for concurrent
// use after it is made.
type Retriever interface {
	// Examples returns row numbers of Set.Train for a row number of Set.Test,
	// in the order in which they are shown. The slice is not to be changed.
	Examples(row int) []int
}

// RetrieverClass is a retriever class that configs can name. New gets the
// retriever's dict; errors are source diagnostics.
type RetrieverClass struct {
	New func(cfg *py.Dict, set *dataset.Set) (Retriever, error)
	// Separator and Eos are the defaults of ice_separator and ice_eos_token.
	Separator, Eos string
	// Keys are the options beside type.
	Keys []string
}

// CheckRetriever refuses options that the class of a retriever dict does not
// take, as the original does. A class that is not known is not its business.
func CheckRetriever(cfg *py.Dict) error {
	class, err := Retrievers.Lookup(cfg.Str("type"))
	if err != nil {
		return nil
	}
	err = unknownKey(cfg, append([]string{"type"}, class.Keys...), registry.Base(cfg.Str("type")))
	var d *source.Diagnostic
	if errors.As(err, &d) && d.Hint == "" && registry.Base(cfg.Str("type")) == "ZeroRetriever" {
		d.Hint = "ZeroRetriever shows no examples; FixKRetriever with fix_id_list, or RandomRetriever with ice_num, does"
	}
	return err
}

// Retrievers are the retriever classes by name.
var Retrievers = registry.New[RetrieverClass]("retriever")

// intList reads key of cfg as a list of ints.
func intList(cfg *py.Dict, key string) ([]int, error) {
	v, ok := cfg.Lookup(key)
	if !ok {
		return nil, source.Errorf(cfg.At, "%s needs %s", registry.Base(cfg.Str("type")), key)
	}
	var its []py.Value
	switch x := v.(type) {
	case *py.List:
		its = x.Items
	case *py.Tuple:
		its = x.Items
	default:
		l, err := py.ToList(v)
		if err != nil {
			return nil, source.Errorf(cfg.PosOf(key), "%s must be a list of row numbers, not %s", key, py.TypeName(v))
		}
		its = l
	}
	out := make([]int, len(its))
	for i, it := range its {
		n, ok := it.(int)
		if !ok {
			return nil, source.Errorf(cfg.PosOf(key), "%s must be a list of row numbers, but has %s", key, py.Repr(it))
		}
		out[i] = n
	}
	return out, nil
}

// intOption reads an int option with its default.
func intOption(cfg *py.Dict, key string, def int) (int, error) {
	v, ok := cfg.Lookup(key)
	if !ok {
		return def, nil
	}
	n, ok := v.(int)
	if !ok {
		return 0, source.Errorf(cfg.PosOf(key), "%s must be a number, not %s", key, py.TypeName(v))
	}
	return n, nil
}
