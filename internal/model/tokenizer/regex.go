package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// compileRegex compiles a pattern written for Oniguruma, as tokenizer.json has
// them. What differs from regexp2's dialect is rewritten: ^ and $ match at
// every line, [a[bc]] is a union, [a&&[^b]] a subtraction, and (?i:…) folds
// as Unicode does. What cannot be is refused.
func compileRegex(p string) (*regexp2.Regexp, error) {
	t := &translator{in: p}
	if err := t.run(); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", p, err)
	}
	re, err := regexp2.Compile(t.out.String(), regexp2.Multiline)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", p, err)
	}
	return re, nil
}

type translator struct {
	in  string
	at  int
	out strings.Builder
}

func (t *translator) run() error {
	var fold []bool // of each open group
	folding := func() bool { return len(fold) > 0 && fold[len(fold)-1] }
	for t.at < len(t.in) {
		rest := t.in[t.at:]
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\\':
			if err := t.escape(); err != nil {
				return err
			}
		case r == '[':
			s, err := t.class()
			if err != nil {
				return err
			}
			if folding() {
				return fmt.Errorf("a character class without case is not supported")
			}
			t.out.WriteString(s)
		case strings.HasPrefix(rest, "(?i:"):
			fold = append(fold, true)
			t.out.WriteString("(?:")
			t.at += 4
		case strings.HasPrefix(rest, "(?i)"):
			return fmt.Errorf("(?i) is not supported")
		case r == '(':
			fold = append(fold, folding())
			t.out.WriteByte('(')
			t.at++
		case r == ')':
			if len(fold) == 0 {
				return fmt.Errorf("unbalanced )")
			}
			fold = fold[:len(fold)-1]
			t.out.WriteByte(')')
			t.at++
		case folding() && unicode.IsLetter(r):
			t.out.WriteByte('[')
			t.out.WriteRune(r)
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				t.out.WriteRune(f)
			}
			t.out.WriteByte(']')
			t.at += n
		default:
			t.out.WriteString(rest[:n])
			t.at += n
		}
	}
	return nil
}

// escape copies \x, \p{…} and the like.
func (t *translator) escape() error {
	s, err := t.escaped()
	t.out.WriteString(s)
	return err
}

func (t *translator) escaped() (string, error) {
	rest := t.in[t.at:]
	if len(rest) < 2 {
		return "", fmt.Errorf("ends in \\")
	}
	n := 2
	switch rest[1] {
	case 'p', 'P', 'x':
		if len(rest) > 2 && rest[2] == '{' {
			k := strings.IndexByte(rest, '}')
			if k < 0 {
				return "", fmt.Errorf("unbalanced {")
			}
			n = k + 1
			name := rest[3:k]
			if rest[1] == 'x' {
				var r rune
				if _, err := fmt.Sscanf(name, "%x", &r); err != nil {
					return "", fmt.Errorf("bad escape %s", rest[:n])
				}
				t.at += n
				return regexp2.Escape(string(r)), nil
			}
			if strings.HasPrefix(name, "^") {
				return "", fmt.Errorf("\\p{^…} is not supported")
			}
		}
	case 'h', 'H', 'R', 'X', 'A', 'z', 'Z', 'G', 'K', 'k', 'g':
		return "", fmt.Errorf("\\%c is not supported", rest[1])
	default:
		_, k := utf8.DecodeRuneInString(rest[1:])
		n = 1 + k
	}
	t.at += n
	return rest[:n], nil
}

// class reads [ … ] and writes it in regexp2's way.
func (t *translator) class() (string, error) {
	body, neg, err := t.classBody()
	if err != nil {
		return "", err
	}
	if neg {
		return "[^" + body + "]", nil
	}
	return "[" + body + "]", nil
}

// classBody reads a class, its brackets included, and returns what stands
// between those of the same class in regexp2.
func (t *translator) classBody() (body string, neg bool, err error) {
	t.at++ // [
	if strings.HasPrefix(t.in[t.at:], "^") {
		neg = true
		t.at++
	}
	var b strings.Builder
	for first := true; ; first = false {
		rest := t.in[t.at:]
		switch {
		case rest == "":
			return "", false, fmt.Errorf("unbalanced [")
		case rest[0] == ']' && !first:
			t.at++
			return b.String(), neg, nil
		case rest[0] == ']':
			b.WriteString(`\]`)
			t.at++
		case strings.HasPrefix(rest, "[:"):
			return "", false, fmt.Errorf("a POSIX class is not supported")
		case rest[0] == '[':
			in, inNeg, err := t.classBody()
			if err != nil {
				return "", false, err
			}
			if inNeg || strings.Contains(in, "-[") {
				return "", false, fmt.Errorf("a class within a class that is not a plain union is not supported")
			}
			b.WriteString(in)
		case strings.HasPrefix(rest, "&&[^"):
			t.at += 2
			in, _, err := t.classBody()
			if err != nil {
				return "", false, err
			}
			if neg || !strings.HasPrefix(t.in[t.at:], "]") {
				return "", false, fmt.Errorf("this intersection of classes is not supported")
			}
			b.WriteString("-[" + in + "]")
		case strings.HasPrefix(rest, "&&"):
			return "", false, fmt.Errorf("this intersection of classes is not supported")
		case rest[0] == '\\':
			s, err := t.escaped()
			if err != nil {
				return "", false, err
			}
			b.WriteString(s)
		default:
			_, n := utf8.DecodeRuneInString(rest)
			b.WriteString(rest[:n])
			t.at += n
		}
	}
}
