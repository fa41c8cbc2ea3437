package syntax

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"sextant/internal/py"
)

// normalizeName is what Python does to identifiers with non-ASCII characters.
func normalizeName(s string) string { return norm.NFKC.String(s) }

// number makes the value of a numeric literal.
func (p *parser) number(t token) Expr {
	sp := Span{t.start, t.end}
	s := t.s
	bad := func(msg string) { p.failAt(t.start, t.end, msg, "") }
	if strings.HasSuffix(s, "_") || strings.Contains(s, "__") || strings.Contains(s, "_.") || strings.Contains(s, "._") ||
		strings.Contains(s, "_e") || strings.Contains(s, "_E") || strings.Contains(s, "e_") {
		if !strings.HasPrefix(strings.ToLower(s), "0x") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
			bad("invalid decimal literal")
		}
	}
	s = strings.ReplaceAll(s, "_", "")
	if len(s) > 1 && s[0] == '0' && strings.IndexByte("xXoObB", s[1]) >= 0 {
		base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]
		if n, err := strconv.ParseInt(s[2:], base, 64); err == nil {
			return &Const{Span: sp, Value: int(n)}
		}
		b, ok := new(big.Int).SetString(s[2:], base)
		if !ok {
			bad("invalid " + map[int]string{16: "hexadecimal", 8: "octal", 2: "binary"}[base] + " literal")
		}
		return &Const{Span: sp, Value: b}
	}
	if c := s[len(s)-1]; c == 'j' || c == 'J' {
		f, _ := strconv.ParseFloat(s[:len(s)-1], 64)
		return &Const{Span: sp, Value: f, Imag: true}
	}
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // out of range is ±Inf, as in Python
		return &Const{Span: sp, Value: f}
	}
	if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0") != "" {
		p.failAt(t.start, t.end, "leading zeros in decimal integer literals are not permitted", "use an 0o prefix for octal integers")
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return &Const{Span: sp, Value: int(n)}
	}
	if len(s) > 4300 {
		bad("exceeds the limit (4300 digits) for integer string conversion")
	}
	b, ok := new(big.Int).SetString(s, 10)
	if !ok {
		bad("invalid decimal literal")
	}
	return &Const{Span: sp, Value: b}
}

// strings parses adjacent string literals, which are one value.
func (p *parser) strings() Expr {
	start := p.tok.start
	var toks []token
	anyF, anyB := false, false
	for p.tok.kind == tString {
		toks = append(toks, p.tok)
		anyF = anyF || p.tok.str.f
		anyB = anyB || p.tok.str.bytes
		p.advance()
	}
	sp := Span{start, p.prevEnd}
	if anyB {
		var b strings.Builder
		for _, t := range toks {
			if !t.str.bytes {
				p.failAt(t.start, t.end, "cannot mix bytes and nonbytes literals", "")
			}
			b.WriteString(p.unescape(t.str, t.str.from, t.str.to))
		}
		return &Const{Span: sp, Value: py.Bytes(b.String())}
	}
	if !anyF {
		if len(toks) == 1 {
			return &Const{Span: sp, Value: p.unescape(toks[0].str, toks[0].str.from, toks[0].str.to)}
		}
		var b strings.Builder
		for _, t := range toks {
			b.WriteString(p.unescape(t.str, t.str.from, t.str.to))
		}
		return &Const{Span: sp, Value: b.String()}
	}
	f := &FString{Span: sp}
	for _, t := range toks {
		if t.str.f {
			f.Parts = p.fparts(f.Parts, t.str, t.str.from, t.str.to, 0)
		} else {
			f.Parts = addText(f.Parts, p.unescape(t.str, t.str.from, t.str.to))
		}
	}
	return f
}

func addText(parts []FPart, s string) []FPart {
	if s == "" {
		return parts
	}
	if n := len(parts); n > 0 && parts[n-1].X == nil {
		parts[n-1].Text += s
		return parts
	}
	return append(parts, FPart{Text: s})
}

// unescape decodes the text between the quotes of a string literal.
func (p *parser) unescape(t strTok, from, to int32) string {
	s := p.text[from:to]
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	if t.bytes {
		for i := 0; i < len(s); i++ {
			if s[i] >= utf8.RuneSelf {
				p.failAt(from+int32(i), from+int32(i)+1, "bytes can only contain ASCII literal characters", "")
			}
		}
	}
	if t.raw || strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	hex := func(i, n int, what string) (int, bool) {
		if i+n > len(s) {
			return 0, false
		}
		v, err := strconv.ParseUint(s[i:i+n], 16, 32)
		return int(v), err == nil
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' {
			j := strings.IndexByte(s[i:], '\\')
			if j < 0 {
				j = len(s) - i
			}
			b.WriteString(s[i : i+j])
			i += j
			continue
		}
		at := from + int32(i)
		i++
		if i == len(s) { // before a replacement field of an f-string
			b.WriteByte('\\')
			break
		}
		c = s[i]
		i++
		switch c {
		case '\n':
		case '\\', '\'', '"':
			b.WriteByte(c)
		case 'a':
			b.WriteByte('\a')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'v':
			b.WriteByte('\v')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v := int(c - '0')
			for k := 0; k < 2 && i < len(s) && '0' <= s[i] && s[i] <= '7'; k++ {
				v = v*8 + int(s[i]-'0')
				i++
			}
			writeChar(&b, v, t.bytes)
		case 'x':
			v, ok := hex(i, 2, "x")
			if !ok {
				p.failAt(at, at+2, `truncated \xXX escape`, `write \\x for a backslash, or use r'…'`)
			}
			i += 2
			writeChar(&b, v, t.bytes)
		case 'u', 'U':
			if t.bytes {
				b.WriteByte('\\')
				b.WriteByte(c)
				break
			}
			n := 4
			if c == 'U' {
				n = 8
			}
			v, ok := hex(i, n, "u")
			if !ok || v > 0x10ffff {
				p.failAt(at, at+2, "truncated \\"+string(rune(c))+" escape", `write \\ for a backslash, or use r'…'`)
			}
			i += n
			writeChar(&b, v, false)
		case 'N':
			if t.bytes {
				b.WriteString(`\N`)
				break
			}
			p.failAt(at, at+2, `\N{…} is not part of the config dialect`, `write the character itself, or \u and its number; for a backslash write \\`)
		default:
			// an unknown escape stays as it is
			b.WriteByte('\\')
			i--
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
			i += n
		}
	}
	return b.String()
}

// writeChar writes a code point; surrogates, which Go strings cannot hold,
// are written in the three bytes that UTF-8 would give them.
func writeChar(b *strings.Builder, v int, raw bool) {
	if raw {
		b.WriteByte(byte(v))
		return
	}
	if v >= 0xd800 && v < 0xe000 {
		b.Write([]byte{0xe0 | byte(v>>12), 0x80 | byte(v>>6)&0x3f, 0x80 | byte(v)&0x3f})
		return
	}
	b.WriteRune(rune(v))
}

// fparts parses the text of an f-string between two offsets.
func (p *parser) fparts(parts []FPart, t strTok, from, to int32, level int) []FPart {
	fail := func(at int32, msg string) { p.failAt(at, at+1, "f-string: "+msg, "") }
	i := from
	lit := i
	flush := func(end int32) { parts = addText(parts, p.unescape(t, lit, end)) }
	for i < to {
		c := p.text[i]
		switch {
		case c == '\\' && !t.raw && i+1 < to:
			if p.text[i+1] == '{' || p.text[i+1] == '}' {
				i++ // the backslash stays, the brace counts
			} else {
				i += 2
			}
			continue
		case c == '{' && level == 0 && i+1 < to && p.text[i+1] == '{':
			flush(i + 1)
			i += 2
			lit = i
			continue
		case c == '}' && level == 0:
			if i+1 < to && p.text[i+1] == '}' {
				flush(i + 1)
				i += 2
				lit = i
				continue
			}
			p.failAt(i, i+1, "f-string: single '}' is not allowed", "write }} for a brace")
		case c == '{':
			flush(i)
			if level >= 2 {
				fail(i, "expressions nested too deeply")
			}
			var part FPart
			part, i = p.freplacement(t, i, to, level)
			if part.Eq != "" {
				parts = addText(parts, part.Eq)
				part.Eq = ""
			}
			parts = append(parts, part)
			lit = i
			continue
		}
		i++
	}
	flush(to)
	return parts
}

// freplacement parses one {…} that begins at i; it returns the offset behind
// the closing brace.
func (p *parser) freplacement(t strTok, i, to int32, level int) (FPart, int32) {
	fail := func(at int32, msg, hint string) { p.failAt(at, at+1, "f-string: "+msg, hint) }
	open := i
	i++
	// find the end of the expression: brackets and quotes nest
	var stack []byte
	j := i
	quote := byte(0)
	triple := false
	eq := int32(-1)
scan:
	for ; j < to; j++ {
		c := p.text[j]
		if c == '\\' && !t.raw {
			fail(j, "expression part cannot include a backslash", "assign the text to a variable first")
		}
		if quote != 0 {
			if c == quote {
				if triple {
					if j+2 < to && p.text[j+1] == c && p.text[j+2] == c {
						j += 2
						quote, triple = 0, false
					}
				} else {
					quote = 0
				}
			}
			continue
		}
		switch c {
		case '\'', '"':
			quote = c
			if j+2 < to && p.text[j+1] == c && p.text[j+2] == c {
				triple = true
				j += 2
			}
		case '(', '[', '{':
			if len(stack) >= maxBrackets {
				fail(j, "too many nested brackets", "")
			}
			stack = append(stack, c)
		case ')', ']':
			if len(stack) == 0 {
				fail(j, "unmatched '"+string(rune(c))+"'", "")
			}
			stack = stack[:len(stack)-1]
		case '}':
			if len(stack) == 0 {
				break scan
			}
			stack = stack[:len(stack)-1]
		case '#':
			fail(j, "expression part cannot include '#'", "")
		case '!':
			if len(stack) == 0 {
				if j+1 < to && p.text[j+1] == '=' {
					j++
					continue
				}
				break scan
			}
		case ':':
			if len(stack) == 0 {
				break scan
			}
		case '=':
			if len(stack) == 0 {
				if j+1 < to && p.text[j+1] == '=' {
					j++
					continue
				}
				if j > i && strings.IndexByte("<>!=", p.text[j-1]) >= 0 {
					continue
				}
				eq = j
				break scan
			}
		}
	}
	if quote != 0 {
		fail(open, "unterminated string", "")
	}
	if j >= to {
		p.failAt(open, open+1, "f-string: expecting '}'", "write {{ for a brace")
	}
	end := j
	if strings.TrimSpace(p.text[i:end]) == "" {
		p.failAt(open, j+1, "f-string: empty expression not allowed", "write {{}} for braces")
	}
	part := FPart{X: p.fexpr(i, end)}
	j = end
	if eq >= 0 {
		j++
		for j < to && (p.text[j] == ' ' || p.text[j] == '\t') {
			j++
		}
		part.Eq = p.text[i:j]
	}
	if j < to && p.text[j] == '!' {
		j++
		if j >= to || strings.IndexByte("rsa", p.text[j]) < 0 {
			fail(j-1, "invalid conversion character: expected 's', 'r', or 'a'", "")
		}
		part.Conv = p.text[j]
		j++
	}
	if j < to && p.text[j] == ':' {
		j++
		k := j
		depth := 0
	spec:
		for ; k < to; k++ {
			switch p.text[k] {
			case '{':
				depth++
			case '}':
				if depth == 0 {
					break spec
				}
				depth--
			}
		}
		if k < to {
			part.Spec = p.fparts([]FPart{}, t, j, k, level+1)
			if part.Spec == nil {
				part.Spec = []FPart{}
			}
		}
		j = k
	}
	if j >= to || p.text[j] != '}' {
		p.failAt(open, open+1, "f-string: expecting '}'", "write {{ for a brace")
	}
	if part.Eq != "" && part.Conv == 0 && part.Spec == nil {
		part.Conv = 'r'
	}
	return part, j + 1
}

// fexpr parses the expression between two offsets, inside an f-string.
func (p *parser) fexpr(from, to int32) Expr {
	sub := &parser{names: p.names, depth: p.depth + 1}
	sub.errs, sub.text, sub.pos, sub.end, sub.inner, sub.quiet = p.errs, p.text, from, to, true, p.quiet
	sub.inFunc = p.inFunc
	if sub.depth > maxDepth {
		p.failAt(from, to, "nested too deeply", "")
	}
	sub.advance()
	x := sub.exprListStar()
	if sub.isOp(":=") {
		sub.fail("invalid syntax")
	}
	if sub.tok.kind != tEOF {
		sub.failAt(sub.tok.start, sub.tok.end, "f-string: invalid syntax", "")
	}
	return x
}
