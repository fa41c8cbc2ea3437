package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind uint8

const (
	tEOF kind = iota
	tNewline
	tIndent
	tDedent
	tName
	tKeyword
	tNumber
	tString
	tOp
	tBad // a scanning error has been reported
)

// token is a piece of the text.
type token struct {
	kind       kind
	start, end int32
	s          string // name, keyword, operator: its text
	str        strTok
}

// strTok describes a string token: its prefix and quotes, all as offsets
// into the text.
type strTok struct {
	raw, bytes, f bool
	triple        bool
	quote         byte
	from, to      int32 // the text between the quotes
}

var keywords = map[string]bool{
	"False": true, "None": true, "True": true, "and": true, "as": true, "assert": true, "async": true, "await": true,
	"break": true, "class": true, "continue": true, "def": true, "del": true, "elif": true, "else": true, "except": true,
	"finally": true, "for": true, "from": true, "global": true, "if": true, "import": true, "in": true, "is": true,
	"lambda": true, "nonlocal": true, "not": true, "or": true, "pass": true, "raise": true, "return": true, "try": true,
	"while": true, "with": true, "yield": true,
}

// IsKeyword reports whether s is a reserved word of Python 3.11.
func IsKeyword(s string) bool { return keywords[s] }

// maxIndent and maxBrackets are CPython's own limits.
const (
	maxIndent   = 100
	maxBrackets = 200
)

// scanner yields tokens one at a time. It is copied to look ahead.
type scanner struct {
	text    string
	pos     int32
	end     int32     // do not read at or behind this offset
	inner   bool      // inside an f-string expression: no line structure
	bol     bool      // at the beginning of a logical line
	nopen   int       // number of open brackets
	open    []bracket // shared between copies: looking ahead leaves what lies below nopen alone
	indents []int32   // shared between copies; only grown by the active one
	nind    int
	pending int // dedents to deliver
	errs    *errorList
	quiet   bool // looking ahead: report nothing
}

type bracket struct {
	c  byte
	at int32
}

func (s *scanner) error(at, end int32, msg, hint string) token {
	if !s.quiet {
		s.errs.add(at, end, msg, hint)
	}
	return token{kind: tBad, start: at, end: end}
}

func (s *scanner) peekByte(off int32) byte {
	if s.pos+off < s.end {
		return s.text[s.pos+off]
	}
	return 0
}

// next scans one token.
func (s *scanner) next() token {
	if s.pending > 0 {
		s.pending--
		return token{kind: tDedent, start: s.pos, end: s.pos}
	}
	if s.bol && s.nopen == 0 && !s.inner {
		if t, ok := s.lineStart(); ok {
			return t
		}
	}
	for s.pos < s.end {
		c := s.text[s.pos]
		switch c {
		case ' ', '\t', '\f':
			s.pos++
			continue
		case '\r', '\n':
			start := s.pos
			s.newline()
			if s.nopen > 0 || s.inner {
				continue
			}
			s.bol = true
			return token{kind: tNewline, start: start, end: s.pos}
		case '#':
			s.comment()
			continue
		case '\\':
			n := s.pos + 1
			if n < s.end && (s.text[n] == '\n' || s.text[n] == '\r') {
				s.pos = n
				s.newline()
				if s.pos >= s.end {
					return s.error(n-1, n, "unexpected end of file after a line continuation", "")
				}
				continue
			}
			s.pos++
			end := s.pos
			for s.pos < s.end && s.text[s.pos] != '\n' { // the rest of the line is lost
				s.pos++
			}
			return s.error(end-1, end, "unexpected character after line continuation character", "nothing, not even a blank, may follow the backslash")
		}
		return s.scan(c)
	}
	if s.inner {
		return token{kind: tEOF, start: s.pos, end: s.pos}
	}
	if s.nopen > 0 {
		b := s.open[s.nopen-1]
		s.nopen = 0
		s.bol = true
		return s.error(b.at, b.at+1, "'"+string(b.c)+"' was never closed", "")
	}
	if !s.bol {
		s.bol = true
		return token{kind: tNewline, start: s.pos, end: s.pos}
	}
	if s.nind > 0 {
		s.pending = s.nind
		s.nind = 0
		return s.next()
	}
	return token{kind: tEOF, start: s.pos, end: s.pos}
}

func (s *scanner) newline() {
	if s.text[s.pos] == '\r' {
		s.pos++
		if s.pos < s.end && s.text[s.pos] == '\n' {
			s.pos++
		}
		return
	}
	s.pos++
}

func (s *scanner) comment() {
	if i := strings.IndexByte(s.text[s.pos:s.end], '\n'); i >= 0 {
		s.pos += int32(i)
		if s.pos > 0 && s.text[s.pos-1] == '\r' {
			s.pos--
		}
	} else {
		s.pos = s.end
	}
}

// lineStart measures the indentation of the next line that holds something.
func (s *scanner) lineStart() (token, bool) {
	for {
		col, alt := int32(0), int32(0)
		start := s.pos
	measure:
		for s.pos < s.end {
			switch s.text[s.pos] {
			case ' ':
				col++
				alt++
			case '\t':
				col = (col/8 + 1) * 8
				alt++
			case '\f':
				col, alt = 0, 0
			default:
				break measure
			}
			s.pos++
		}
		if s.pos >= s.end {
			return token{}, false
		}
		switch s.text[s.pos] {
		case '#':
			s.comment()
			if s.pos < s.end {
				s.newline()
			}
			continue
		case '\n', '\r':
			s.newline()
			continue
		}
		s.bol = false
		top := int32(0)
		if s.nind > 0 {
			top = s.indents[s.nind-1]
		}
		switch {
		case col == top:
			return token{}, false
		case col > top:
			if s.nind >= maxIndent {
				return s.error(start, s.pos, "too many levels of indentation", ""), true
			}
			s.indents = append(s.indents[:s.nind:s.nind], col)
			s.nind++
			return token{kind: tIndent, start: start, end: s.pos}, true
		}
		n := 0
		for s.nind > 0 && s.indents[s.nind-1] > col {
			s.nind--
			n++
		}
		top = 0
		if s.nind > 0 {
			top = s.indents[s.nind-1]
		}
		if top != col {
			if !s.quiet {
				s.errs.add(s.pos, s.pos, "unindent does not match any outer indentation level", "")
			}
		}
		s.pending = n - 1
		return token{kind: tDedent, start: s.pos, end: s.pos}, true
	}
}

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) scan(c byte) token {
	start := s.pos
	switch {
	case isNameStart(c):
		if t, ok := s.stringPrefix(); ok {
			return t
		}
		return s.name()
	case isDigit(c) || c == '.' && isDigit(s.peekByte(1)):
		return s.number()
	case c == '"' || c == '\'':
		return s.str(strTok{}, start)
	}
	return s.op(c)
}

func (s *scanner) name() token {
	start := s.pos
	ascii := true
	for s.pos < s.end {
		c := s.text[s.pos]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || isDigit(c) {
			s.pos++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRuneInString(s.text[s.pos:s.end])
		first := s.pos == start
		if first && !isIDStart(r) || !first && !isIDPart(r) {
			if first {
				s.pos += int32(n)
				return s.badRune(start, r)
			}
			break
		}
		ascii = false
		s.pos += int32(n)
	}
	w := s.text[start:s.pos]
	if ascii && keywords[w] {
		return token{kind: tKeyword, start: start, end: s.pos, s: w}
	}
	if !ascii {
		w = normalizeName(w)
	}
	return token{kind: tName, start: start, end: s.pos, s: w}
}

// lookalikes are the characters that input methods put in place of ASCII
// punctuation.
var lookalikes = map[rune]string{
	'，': ",", '。': ".", '：': ":", '；': ";", '（': "(", '）': ")", '【': "[", '】': "]", '“': `"`, '”': `"`, '‘': "'", '’': "'",
	'＝': "=", '！': "!", '　': " ", '\u00a0': " ", '\ufeff': "nothing", '\u200b': "nothing", '–': "-", '—': "-", '、': ",",
}

func (s *scanner) badRune(at int32, r rune) token {
	hint := ""
	if l, ok := lookalikes[r]; ok {
		hint = "write " + l
		if l == " " {
			hint = "write an ordinary space"
		} else if l == "nothing" {
			hint = "remove this invisible character"
		}
	}
	if r == utf8.RuneError {
		return s.error(at, s.pos, "text is not valid UTF-8", "save the file as UTF-8")
	}
	if !unicode.IsPrint(r) {
		return s.error(at, s.pos, "invalid non-printable character "+codePoint(r), hint)
	}
	return s.error(at, s.pos, "invalid character '"+string(r)+"' ("+codePoint(r)+")", hint)
}

func codePoint(r rune) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for sh := 28; sh >= 0; sh -= 4 {
		d := r >> uint(sh) & 15
		if d != 0 || len(b) > 0 || sh < 16 {
			b = append(b, hex[d])
		}
	}
	return "U+" + string(b)
}

func isIDStart(r rune) bool {
	return unicode.IsLetter(r) || r == '_' || unicode.Is(unicode.Nl, r) || unicode.Is(unicode.Other_ID_Start, r)
}

func isIDPart(r rune) bool {
	return isIDStart(r) || unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)
}

// IsIdentifier is Python's str.isidentifier.
func IsIdentifier(s string) bool {
	if s == "" {
		return false
	}
	for i, r := range s {
		if r == utf8.RuneError || i == 0 && !isIDStart(r) || i > 0 && !isIDPart(r) {
			return false
		}
	}
	return true
}

var ops3 = []string{"**=", "//=", ">>=", "<<=", "..."}
var ops2 = []string{"**", "//", ">>", "<<", "<=", ">=", "==", "!=", "->", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", ":="}

// oneOps are the operators of one character.
const oneOps = "+-*/%@&|^~<>()[]{},:.;="

func (s *scanner) op(c byte) token {
	start := s.pos
	rest := s.text[s.pos:s.end]
	if len(rest) >= 2 && strings.IndexByte("*/><=!-+%&|^@:.", c) >= 0 {
		if len(rest) >= 3 {
			for _, o := range ops3 {
				if rest[:3] == o {
					s.pos += 3
					return token{kind: tOp, start: start, end: s.pos, s: o}
				}
			}
		}
		for _, o := range ops2 {
			if rest[:2] == o {
				s.pos += 2
				return token{kind: tOp, start: start, end: s.pos, s: o}
			}
		}
	}
	i := strings.IndexByte(oneOps, c)
	if i < 0 {
		s.pos++
		hint := ""
		switch c {
		case '!':
			hint = "write not, or !="
		case '$', '?', '`':
		default:
			return s.badRune(start, rune(c))
		}
		return s.error(start, s.pos, "invalid character '"+string(rune(c))+"'", hint)
	}
	s.pos++
	switch c {
	case '(', '[', '{':
		if s.nopen >= maxBrackets {
			s.pos = s.end // everything behind would only be misread
			s.nopen = 0
			return s.error(start, start+1, "too many nested brackets (the limit is 200)", "")
		}
		s.open = append(s.open[:s.nopen], bracket{c, start})
		s.nopen++
	case ')', ']', '}':
		if s.nopen == 0 {
			if s.inner {
				return s.error(start, s.pos, "f-string: unmatched '"+string(rune(c))+"'", "")
			}
			return s.error(start, s.pos, "unmatched '"+string(rune(c))+"'", "")
		}
		b := s.open[s.nopen-1]
		s.nopen--
		if b.c == '(' && c != ')' || b.c == '[' && c != ']' || b.c == '{' && c != '}' {
			return s.error(start, s.pos, "closing '"+string(rune(c))+"' does not match opening '"+string(rune(b.c))+"'"+s.onLine(b.at, start), "")
		}
	}
	return token{kind: tOp, start: start, end: s.pos, s: oneOps[i : i+1]}
}

// onLine is " on line N" when the bracket at a stands on another line than b.
func (s *scanner) onLine(a, b int32) string {
	if strings.IndexByte(s.text[a:b], '\n') < 0 {
		return ""
	}
	return " on line " + itoa(1+strings.Count(s.text[:a], "\n"))
}

func itoa(n int) string {
	if n == 0 {
		return "0"
	}
	var b [20]byte
	i := len(b)
	for n > 0 {
		i--
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return string(b[i:])
}

// stringPrefix recognises r"", f”, b"", u” and their combinations.
func (s *scanner) stringPrefix() (token, bool) {
	var t strTok
	n := int32(0)
	u := false
loop:
	for n < 3 {
		switch s.peekByte(n) {
		case 'r', 'R':
			if t.raw {
				return token{}, false
			}
			t.raw = true
		case 'b', 'B':
			if t.bytes {
				return token{}, false
			}
			t.bytes = true
		case 'f', 'F':
			if t.f {
				return token{}, false
			}
			t.f = true
		case 'u', 'U':
			if u || n > 0 {
				return token{}, false
			}
			u = true
		default:
			break loop
		}
		n++
	}
	if q := s.peekByte(n); n == 0 || q != '"' && q != '\'' {
		return token{}, false
	}
	if t.bytes && t.f || u && (t.raw || t.bytes || t.f) {
		return token{}, false
	}
	start := s.pos
	s.pos += n
	return s.str(t, start), true
}

func (s *scanner) str(t strTok, start int32) token {
	q := s.text[s.pos]
	t.quote = q
	if s.peekByte(1) == q && s.peekByte(2) == q {
		t.triple = true
		s.pos += 3
	} else {
		s.pos++
	}
	t.from = s.pos
	for s.pos < s.end {
		c := s.text[s.pos]
		switch {
		case c == '\\':
			s.pos += 2
			continue
		case c == q:
			if !t.triple {
				t.to = s.pos
				s.pos++
				return token{kind: tString, start: start, end: s.pos, str: t}
			}
			if s.peekByte(1) == q && s.peekByte(2) == q {
				t.to = s.pos
				s.pos += 3
				return token{kind: tString, start: start, end: s.pos, str: t}
			}
		case !t.triple && (c == '\n' || c == '\r'):
			return s.error(start, s.pos, "unterminated string literal", "")
		}
		s.pos++
	}
	s.pos = s.end
	if t.triple {
		s.nopen = 0
		return s.error(start, t.from, "unterminated triple-quoted string literal", "")
	}
	return s.error(start, s.end, "unterminated string literal", "")
}

// number scans a numeric literal; its value is made by the parser.
func (s *scanner) number() token {
	start := s.pos
	if s.text[s.pos] == '0' && s.pos+1 < s.end && strings.IndexByte("xXoObB", s.text[s.pos+1]) >= 0 {
		s.pos += 2
		for s.pos < s.end && (isHex(s.text[s.pos]) || s.text[s.pos] == '_') {
			s.pos++
		}
	} else {
		s.digits()
		if s.peekByte(0) == '.' {
			s.pos++
			s.digits()
		}
		if c := s.peekByte(0); c == 'e' || c == 'E' {
			n := int32(1)
			if d := s.peekByte(1); d == '+' || d == '-' {
				n = 2
			}
			if isDigit(s.peekByte(n)) {
				s.pos += n
				s.digits()
			}
		}
		if c := s.peekByte(0); c == 'j' || c == 'J' {
			s.pos++
		}
	}
	// a letter straight behind a number is a mistake, but for keywords (1if)
	c := s.peekByte(0)
	if c >= utf8.RuneSelf {
		if r, _ := utf8.DecodeRuneInString(s.text[s.pos:s.end]); !isIDStart(r) {
			c = 0
		}
	}
	if isNameStart(c) {
		at := s.pos
		look := *s
		look.quiet = true
		if w := look.name(); w.kind != tKeyword {
			for s.pos < s.end && (isNameStart(s.text[s.pos]) || isDigit(s.text[s.pos])) {
				s.pos++
			}
			return s.error(start, s.pos, "invalid decimal literal", "a name cannot begin with a digit, and a number cannot hold a letter: "+s.text[start:at]+" | "+s.text[at:s.pos])
		}
	}
	return token{kind: tNumber, start: start, end: s.pos, s: s.text[start:s.pos]}
}

func (s *scanner) digits() {
	for s.pos < s.end && (isDigit(s.text[s.pos]) || s.text[s.pos] == '_') {
		s.pos++
	}
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
