package pyconf

import (
	"math"
	"math/big"
	"strings"

	"sextant/internal/py"
)

// complexNum is a complex number: enough to show what (-8) ** (1/3) gives.
type complexNum complex128

func complexValue(c complex128) py.Value { return complexNum(c) }

func (c complexNum) PyType() string { return "complex" }

func (c complexNum) PyRepr() string {
	part := func(f float64) string { return strings.TrimSuffix(py.FormatFloat(f), ".0") }
	re, im := real(complex128(c)), imag(complex128(c))
	if re == 0 && !math.Signbit(re) {
		return part(im) + "j"
	}
	sign := "+"
	if math.Signbit(im) {
		sign = ""
	}
	return "(" + part(re) + sign + part(im) + "j)"
}

// PyAttr gives real and imag.
func (c complexNum) PyAttr(name string) (py.Value, bool) {
	switch name {
	case "real":
		return real(complex128(c)), true
	case "imag":
		return imag(complex128(c)), true
	}
	return nil, false
}

// PyBinary is the arithmetic of complex numbers.
func (c complexNum) PyBinary(op string, other py.Value, reflected bool) (py.Value, bool, error) {
	var o complex128
	switch x := other.(type) {
	case complexNum:
		o = complex128(x)
	case int, float64, bool, *big.Int:
		f, err := py.Float(x)
		if err != nil {
			return nil, true, err
		}
		o = complex(f.(float64), 0)
	default:
		return nil, false, nil
	}
	a, b := complex128(c), o
	if reflected {
		a, b = b, a
	}
	switch op {
	case "+":
		return complexNum(a + b), true, nil
	case "-":
		return complexNum(a - b), true, nil
	case "*":
		return complexNum(a * b), true, nil
	case "/":
		if b == 0 {
			return nil, true, py.Errorf("ZeroDivisionError", "complex division by zero")
		}
		return complexNum(a / b), true, nil
	}
	return nil, false, nil
}
