package py

// Stream is a list or a dict with text keys whose elements are made while
// somebody goes through it, because there may be as many as a dataset has rows.
// DumpJSON and WriteJSON write it like a list or dict. It can be gone through
// several times.
type Stream struct {
	IsDict bool
	// Each calls yield with each element in order (key is "" for a list) and
	// returns the first error, yield's or its own.
	Each func(yield func(key string, v Value) error) error
}

// Collect makes the list or dict itself.
func (s *Stream) Collect() (Value, error) {
	if s.IsDict {
		d := NewDict()
		err := s.Each(func(k string, v Value) error { d.Set(k, v); return nil })
		return d, err
	}
	l := NewList()
	err := s.Each(func(_ string, v Value) error { l.Items = append(l.Items, v); return nil })
	return l, err
}

// PyType implements Object.
func (s *Stream) PyType() string {
	if s.IsDict {
		return "dict"
	}
	return "list"
}

// PyRepr implements Object.
func (s *Stream) PyRepr() string {
	v, err := s.Collect()
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return Repr(v)
}

func (e *encoder) stream(s *Stream) error {
	open, end := byte('['), byte(']')
	if s.IsDict {
		open, end = '{', '}'
	}
	if err := e.enter(s); err != nil {
		return err
	}
	e.b = append(e.b, open)
	n := 0
	err := s.Each(func(key string, v Value) error {
		if n++; n > 1 {
			e.b = append(e.b, e.ItemSep...)
		}
		e.newline()
		if s.IsDict {
			if err := e.key(key); err != nil {
				return err
			}
			e.b = append(e.b, e.KeySep...)
		}
		return e.value(v)
	})
	if err != nil {
		return err
	}
	e.stack = e.stack[:len(e.stack)-1]
	if n > 0 {
		e.newline()
	}
	e.b = append(e.b, end)
	return nil
}
