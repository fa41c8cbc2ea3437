package store

// What this file does with JSON it does without decoding, so that a record of
// any shape passes through byte for byte: numbers keep their digits, members
// their order, and NaN and Infinity, which Python writes, are let through.

const maxDepth = 1000

// eachMember calls fn with the raw key (quotes included) and raw value of
// each member of the object that b starts with. It returns the offset behind
// the object; ok is false when b does not start with a whole object.
func eachMember(b []byte, fn func(key, val []byte)) (end int, ok bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return i, false
	}
	return members(b, i, 0, fn)
}

// members walks the object whose brace is at i.
func members(b []byte, i, depth int, fn func(key, val []byte)) (int, bool) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for {
		k := i
		end, ok := skipString(b, k)
		if !ok {
			return end, false
		}
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return i, false
		}
		v := skipSpace(b, i+1)
		vend, ok := skipValue(b, v, depth+1)
		if !ok {
			return vend, false
		}
		if fn != nil {
			fn(b[k:end], b[v:vend])
		}
		i = skipSpace(b, vend)
		if i >= len(b) {
			return i, false
		}
		switch b[i] {
		case '}':
			return i + 1, true
		case ',':
			i = skipSpace(b, i+1)
		default:
			return i, false
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the offset behind the string that starts at i.
func skipString(b []byte, i int) (int, bool) {
	if i >= len(b) || b[i] != '"' {
		return i, false
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, true
		case c == '\\':
			i++
			if i < len(b) && b[i] == 'u' {
				if i+4 >= len(b) {
					return i, false
				}
				for _, h := range b[i+1 : i+5] {
					if !(h >= '0' && h <= '9' || h >= 'a' && h <= 'f' || h >= 'A' && h <= 'F') {
						return i, false
					}
				}
				i += 4
			}
		case c < 0x20:
			return i, false
		}
	}
	return i, false
}

// skipValue returns the offset behind the value that starts at i.
func skipValue(b []byte, i, depth int) (int, bool) {
	if i >= len(b) || depth > maxDepth {
		return i, false
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '{':
		return members(b, i, depth, nil)
	case c == '[':
		i = skipSpace(b, i+1)
		if i < len(b) && b[i] == ']' {
			return i + 1, true
		}
		for {
			end, ok := skipValue(b, i, depth+1)
			if !ok {
				return end, false
			}
			i = skipSpace(b, end)
			if i >= len(b) {
				return i, false
			}
			switch b[i] {
			case ']':
				return i + 1, true
			case ',':
				i = skipSpace(b, i+1)
			default:
				return i, false
			}
		}
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	}
	for _, w := range [...]string{"true", "false", "null", "NaN", "Infinity"} {
		if len(b)-i >= len(w) && string(b[i:i+len(w)]) == w {
			return i + len(w), true
		}
	}
	return i, false
}

func skipNumber(b []byte, i int) (int, bool) {
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if b[i] == '-' {
		i++
		if w := "Infinity"; len(b)-i >= len(w) && string(b[i:i+len(w)]) == w {
			return i + len(w), true
		}
	}
	if !digits() {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, false
		}
	}
	return i, true
}

// appendIndented appends the value in v, which must be whole JSON, as Python's
// json.dump(indent=4) lays it out at the given depth of nesting.
func appendIndented(dst, v []byte, depth int) []byte {
	newline := func() {
		dst = append(dst, '\n')
		for range depth {
			dst = append(dst, "    "...)
		}
	}
	for i := 0; i < len(v); {
		switch c := v[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			end, ok := skipString(v, i)
			if !ok {
				end = len(v)
			}
			dst = append(dst, v[i:end]...)
			i = end
		case '{', '[':
			i = skipSpace(v, i+1)
			dst = append(dst, c)
			if i < len(v) && v[i] == c+2 { // '{'+2 is '}', '['+2 is ']'
				dst = append(dst, c+2)
				i++
				continue
			}
			depth++
			newline()
		case '}', ']':
			depth--
			newline()
			dst = append(dst, c)
			i++
		case ',':
			dst = append(dst, ',')
			newline()
			i++
		case ':':
			dst = append(dst, ": "...)
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}
