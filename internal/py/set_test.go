package py

import (
	"strings"
	"testing"
)

// Hashes are those of CPython 3.11 under PYTHONHASHSEED=0.
func TestHash(t *testing.T) {
	t.Parallel()
	frozen, err := NewSet("a", 1)
	if err != nil {
		t.Fatal(err)
	}
	frozen.Frozen = true
	for _, c := range []struct {
		v    Value
		want int64
	}{
		{"a", 4644417185603328019},
		{"abc", -4594863902769663758},
		{"mmlu_stem", 2082277960598989123},
		{"答案", 2695081812181387811},
		{"é", 6047309291227476195},
		{"😀x", -8926728262118538918},
		{strings.Repeat("x", 17), 4771951516191823429},
		{Bytes("12345678"), 3785724242978802311},
		{NewTuple(1, "a"), 3906047847676358913},
		{frozen, 6198228035823778356},
		{1.5, 1152921504606846977},
		{-1, -2},
	} {
		if got, ok := hashValue(c.v, 0); !ok || got != c.want {
			t.Errorf("hash(%s) = %d, %v, want %d", Repr(c.v), got, ok, c.want)
		}
	}
	if _, ok := hashValue(nil, 0); ok {
		t.Error("None has a hash that is no address")
	}
}

// Keys of one hash do not make a set slow: it gives up the order instead.
func TestSetOfEqualHashes(t *testing.T) {
	t.Parallel()
	s := &Set{}
	n := 20000
	for i := range n {
		v, err := Binary("*", i, 1<<61-1)
		if err == nil {
			err = s.Add(v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !s.o.lost || s.Len() != n || len(s.Items()) != n {
		t.Errorf("%d members, %d listed, order lost: %v", s.Len(), len(s.Items()), s.o.lost)
	}
	for i, v := range s.Items()[:n/2] {
		if !s.Delete(v) {
			t.Fatalf("member %d was not there", i)
		}
	}
	c := s.Copy()
	if c.Len() != n/2 || len(c.Items()) != n/2 || !Equal(c, s) {
		t.Errorf("the copy has %d members", c.Len())
	}
}
