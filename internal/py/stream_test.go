package py

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
)

func TestStreamIsWrittenLikeWhatItCollects(t *testing.T) {
	t.Parallel()
	row := DictOf("a", 1, "b", NewList("ü", nil, 0.5))
	for _, isDict := range []bool{true, false} {
		for n := range 3 {
			s := &Stream{IsDict: isDict, Each: func(yield func(string, Value) error) error {
				for i := range n {
					if err := yield(strconv.Itoa(i), row); err != nil {
						return err
					}
				}
				return nil
			}}
			whole, err := s.Collect()
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range []JSONOptions{{}, {Indent: 4}} {
				want, err := DumpJSON(DictOf("score", 1.0, "details", whole), o)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				if err := WriteJSON(&got, DictOf("score", 1.0, "details", s), o); err != nil {
					t.Fatal(err)
				}
				if got.String() != string(want) {
					t.Errorf("dict %v, %d elements, indent %d:\n got %s\nwant %s", isDict, n, o.Indent, got.String(), want)
				}
			}
			if Repr(s) != Repr(whole) || TypeName(s) != TypeName(whole) {
				t.Errorf("%s %s, want %s %s", TypeName(s), Repr(s), TypeName(whole), Repr(whole))
			}
		}
	}
}

func TestStreamEndsAtItsFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := &Stream{Each: func(yield func(string, Value) error) error {
		if err := yield("", 1); err != nil {
			return err
		}
		return broken
	}}
	if _, err := DumpJSON(NewList(s), JSONOptions{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Collect(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
