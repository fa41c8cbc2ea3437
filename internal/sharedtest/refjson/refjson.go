// Package refjson reads the JSON of the reference data as Python values, for
// tests. It is apart from sharedtest because package py tests with that one.
package refjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

// Lines reads a file of JSON lines of the reference data as Python values; see
// Decode.
func Lines(t testing.TB, elem ...string) []*py.Dict {
	t.Helper()
	data, err := os.ReadFile(sharedtest.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	var out []*py.Dict
	for i, l := range bytes.Split(data, []byte{'\n'}) {
		if len(l) == 0 {
			continue
		}
		v, err := Decode(l)
		if err != nil {
			t.Fatalf("%s:%d: %v", elem[len(elem)-1], i+1, err)
		}
		out = append(out, v.(*py.Dict))
	}
	return out
}

// JSON reads a JSON file of the reference data as a Python value.
func JSON(t testing.TB, elem ...string) py.Value {
	t.Helper()
	data, err := os.ReadFile(sharedtest.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	v, err := Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", elem[len(elem)-1], err)
	}
	return v
}

// Decode reads JSON as Python's json module does, with the marks of the
// reference data: {"$dict": [[key, value], …]} is a dict with keys of any
// type, {"$float": "nan"} a number that JSON has not, {"$set": […]} a set,
// {"$tuple": […]} a tuple. It uses encoding/json, so that what is tested is
// not measured by itself.
func Decode(data []byte) (py.Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("text after the JSON value")
	}
	return v, nil
}

func value(d *json.Decoder) (py.Value, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Number:
		s := t.String()
		if strings.ContainsAny(s, ".eE") {
			return strconv.ParseFloat(s, 64)
		}
		if n, err := strconv.Atoi(s); err == nil {
			return n, nil
		}
		b, _ := new(big.Int).SetString(s, 10)
		return b, nil
	case json.Delim:
		if t == '[' {
			l := py.NewList()
			for d.More() {
				v, err := value(d)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err := d.Token()
			return l, err
		}
		m := py.NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(d)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		return unmark(m), nil
	case float64:
		return nil, fmt.Errorf("number not kept as text")
	}
	return tok, nil // string, bool, nil
}

func unmark(m *py.Dict) py.Value {
	if m.Len() != 1 {
		return m
	}
	switch e := m.Entries()[0]; e.Key {
	case "$dict":
		out := py.NewDict()
		for _, kv := range e.Val.(*py.List).Items {
			p := kv.(*py.List).Items
			out.Set(p[0], p[1])
		}
		return out
	case "$float":
		switch e.Val {
		case "nan":
			return math.NaN()
		case "inf":
			return math.Inf(1)
		case "-inf":
			return math.Inf(-1)
		}
	case "$set":
		s := &py.Set{}
		for _, it := range e.Val.(*py.List).Items {
			_ = s.Add(it) // the reference data has no unhashable members
		}
		return s
	case "$tuple":
		return py.NewTuple(e.Val.(*py.List).Items...)
	}
	return m
}
