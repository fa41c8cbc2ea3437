package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Stream decodes ids one at a time, as a model generates them. What Next
// returns, put together, and Flush at the end is what Decode makes of all ids:
// text that a later id could still change is held back. Not safe for
// concurrent use.
type Stream struct {
	t      *Tokenizer
	skip   bool
	stages []stage
	tidy   *tidier // nil when spaces are not cleaned up
}

// NewStream begins a text.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skip: skipSpecial}
	var ok bool
	if s.stages, ok = streamStages(t.decode); !ok {
		s.stages = []stage{&collector{t: t}}
	}
	if t.cleanUp {
		s.tidy = &tidier{}
	}
	return s
}

// Next adds an id and returns the text that is certain now, often "".
func (s *Stream) Next(id int32) string {
	tok, ok := s.t.Token(id)
	if !ok || s.skip && s.t.isSpec[id] {
		return ""
	}
	parts := []string{tok}
	for _, st := range s.stages {
		parts = st.feed(parts)
	}
	text := strings.Join(parts, "")
	if s.tidy != nil {
		text = s.tidy.feed(text)
	}
	return text
}

// Flush ends the text and returns what was held back.
func (s *Stream) Flush() string {
	var parts []string
	for _, st := range s.stages {
		parts = append(st.feed(parts), st.flush()...)
	}
	text := strings.Join(parts, "")
	if s.tidy != nil {
		text = s.tidy.feed(text) + s.tidy.flush()
	}
	return text
}

// stage is one decoder at work on a text that is not finished.
type stage interface {
	feed(parts []string) []string
	flush() []string
}

// streamStages takes a decoder apart; ok is false when its output depends on
// tokens far ahead.
func streamStages(d decoder) (stages []stage, ok bool) {
	switch d := d.(type) {
	case nil:
		return []stage{&eachStage{f: func(i int, s string) string {
			if i > 0 {
				return " " + s
			}
			return s
		}}}, true
	case byteLevelDecoder:
		return []stage{&bytesStage{}}, true
	case eachDecoder:
		return []stage{&eachStage{f: d}}, true
	case byteFallbackDecoder:
		return []stage{&fallbackStage{}}, true
	case fuseDecoder:
		return nil, true
	case stripDecoder:
		return []stage{&eachStage{f: func(_ int, s string) string { return d.decode([]string{s})[0] }}}, true
	case sequenceDecoder:
		fused := false
		for _, part := range d {
			strip, isStrip := part.(stripDecoder)
			switch {
			case fused && isStrip && strip.stop == 0 && strip.content != "":
				stages = append(stages, &stripStage{content: strip.content, left: strip.start})
				continue
			case fused:
				if _, again := part.(fuseDecoder); !again {
					return nil, false
				}
			}
			more, ok := streamStages(part)
			if !ok {
				return nil, false
			}
			stages = append(stages, more...)
			_, isFuse := part.(fuseDecoder)
			_, isBytes := part.(byteLevelDecoder) // its one part is the whole text
			fused = fused || isFuse || isBytes
		}
		return stages, true
	}
	return nil, false
}

// collector waits for the end.
type collector struct {
	t    *Tokenizer
	toks []string
}

func (c *collector) feed(parts []string) []string { c.toks = append(c.toks, parts...); return nil }
func (c *collector) flush() []string              { return c.t.decode.decode(c.toks) }

// eachStage works on each token alone.
type eachStage struct {
	f func(i int, s string) string
	n int
}

func (e *eachStage) feed(parts []string) []string {
	out := make([]string, len(parts))
	for i, s := range parts {
		out[i] = e.f(e.n, s)
		e.n++
	}
	return out
}

func (e *eachStage) flush() []string { return nil }

// bytesStage is the byte-level decoder; it keeps a character that has begun.
type bytesStage struct{ open []byte }

func (b *bytesStage) feed(parts []string) []string {
	for _, s := range parts {
		b.open = appendSpelt(b.open, s)
	}
	n := len(b.open) // how much is certain
	for i := max(0, n-utf8.UTFMax+1); i < n; i++ {
		if !utf8.RuneStart(b.open[i]) {
			continue
		}
		if r, size := utf8.DecodeRune(b.open[i:]); r == utf8.RuneError && size == 1 {
			if k, more := brokenPrefix(b.open[i:]); more && i+k == n {
				n = i
			}
		}
	}
	if n == 0 {
		return nil
	}
	text := lossyUTF8(b.open[:n])
	b.open = append(b.open[:0], b.open[n:]...)
	return []string{text}
}

func (b *bytesStage) flush() []string { return []string{lossyUTF8(b.open)} }

// fallbackStage keeps a run of byte tokens until it ends: how a run decodes
// depends on all of it.
type fallbackStage struct{ run []byte }

func (f *fallbackStage) feed(parts []string) (out []string) {
	for _, s := range parts {
		if b, ok := fallbackByte(s); ok {
			f.run = append(f.run, b)
			continue
		}
		out = append(appendRun(out, f.run), s)
		f.run = f.run[:0]
	}
	return out
}

func (f *fallbackStage) flush() []string { return appendRun(nil, f.run) }

// stripStage takes content off the beginning of the whole text, up to left
// times.
type stripStage struct {
	content string
	left    int
	held    string
}

func (s *stripStage) feed(parts []string) []string {
	if s.left == 0 {
		return parts
	}
	s.held += strings.Join(parts, "")
	for s.left > 0 {
		rest, ok := strings.CutPrefix(s.held, s.content)
		if !ok {
			break
		}
		s.held = rest
		s.left--
	}
	if s.left > 0 && strings.HasPrefix(s.content, s.held) {
		return nil // could still become content
	}
	s.left = 0
	out := s.held
	s.held = ""
	return []string{out}
}

func (s *stripStage) flush() []string { return []string{s.held} }

// tidier cleans up spaces. It holds back everything behind the last character
// that stands in no pair of cleanUpPairs: no replacement can reach across it.
type tidier struct{ held string }

const tidyChars = " .?!,'ntmsver"

func (t *tidier) feed(text string) string {
	t.held += text
	cut := 0
	for i := len(t.held); i > 0; {
		r, n := utf8.DecodeLastRuneInString(t.held[:i])
		if !strings.ContainsRune(tidyChars, r) {
			cut = i
			break
		}
		i -= n
	}
	out := cleanUpSpaces(t.held[:cut])
	t.held = t.held[cut:]
	return out
}

func (t *tidier) flush() string { return cleanUpSpaces(t.held) }
