package syntax

import (
	"strings"
)

// Error is a mistake in the text.
type Error struct {
	Span
	Msg  string
	Hint string
}

func (e *Error) Error() string { return e.Msg }

// maxErrors is how many mistakes of one file are reported.
const maxErrors = 10

type errorList struct{ list []*Error }

// add records a mistake, unless one on the same place is known.
func (l *errorList) add(at, end int32, msg, hint string) {
	if len(l.list) >= maxErrors {
		return
	}
	for _, e := range l.list {
		if e.Start == at {
			return
		}
	}
	l.list = append(l.list, &Error{Span: Span{at, end}, Msg: msg, Hint: hint})
}

// Errors are the mistakes of one text, in order.
type Errors []*Error

func (l Errors) Error() string {
	s := make([]string, len(l))
	for i, e := range l {
		s[i] = e.Msg
	}
	return strings.Join(s, "; ")
}
