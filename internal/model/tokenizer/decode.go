package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns the spelling of tokens into parts of a text.
type decoder interface {
	decode(tokens []string) []string
}

type decoderFunc func([]string) []string

func (f decoderFunc) decode(t []string) []string { return f(t) }

type decoderJSON struct {
	Type           string            `json:"type"`
	Decoders       []json.RawMessage `json:"decoders"`
	Pattern        pattern           `json:"pattern"`
	Content        string            `json:"content"`
	Start          int               `json:"start"`
	Stop           int               `json:"stop"`
	Prefix         string            `json:"prefix"`
	Cleanup        bool              `json:"cleanup"`
	Suffix         string            `json:"suffix"`
	Replacement    string            `json:"replacement"`
	PrependScheme  string            `json:"prepend_scheme"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
}

func parseDecoder(raw json.RawMessage) (decoder, error) {
	if isNull(raw) {
		return nil, nil
	}
	var j decoderJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	switch j.Type {
	case "Sequence":
		var seq sequenceDecoder
		for _, r := range j.Decoders {
			d, err := parseDecoder(r)
			if err != nil {
				return nil, err
			}
			if d != nil {
				seq = append(seq, d)
			}
		}
		return seq, nil
	case "ByteLevel":
		return byteLevelDecoder{}, nil
	case "Replace":
		f, err := newReplacer(j.Pattern, j.Content)
		if err != nil {
			return nil, fmt.Errorf("decoder Replace: %w", err)
		}
		return eachDecoder(func(_ int, s string) string { return f(s) }), nil
	case "ByteFallback":
		return byteFallbackDecoder{}, nil
	case "Fuse":
		return fuseDecoder{}, nil
	case "Strip":
		return stripDecoder{j.Content, j.Start, j.Stop}, nil
	case "Metaspace":
		mark := j.Replacement
		if mark == "" {
			mark = "▁"
		}
		scheme, err := metaspaceScheme(j.PrependScheme, j.AddPrefixSpace)
		if err != nil {
			return nil, fmt.Errorf("decoder Metaspace: %w", err)
		}
		return eachDecoder(func(i int, s string) string {
			if i == 0 && scheme != "never" {
				return strings.ReplaceAll(s, mark, "")
			}
			return strings.ReplaceAll(s, mark, " ")
		}), nil
	case "WordPiece":
		return eachDecoder(func(i int, s string) string {
			if i > 0 {
				if t, ok := strings.CutPrefix(s, j.Prefix); ok {
					s = t
				} else {
					s = " " + s
				}
			}
			if j.Cleanup {
				s = wordPieceCleanUp(s)
			}
			return s
		}), nil
	case "BPEDecoder":
		return decoderFunc(func(toks []string) []string {
			out := make([]string, len(toks))
			for i, s := range toks {
				with := " "
				if i == len(toks)-1 {
					with = ""
				}
				if j.Suffix != "" {
					s = strings.ReplaceAll(s, j.Suffix, with)
				}
				out[i] = s
			}
			return out
		}), nil
	}
	return nil, fmt.Errorf("decoder %q is not supported", j.Type)
}

type sequenceDecoder []decoder

func (s sequenceDecoder) decode(toks []string) []string {
	for _, d := range s {
		toks = d.decode(toks)
	}
	return toks
}

type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(toks []string) []string {
	var b []byte
	for _, s := range toks {
		b = appendSpelt(b, s)
	}
	return []string{lossyUTF8(b)}
}

// eachDecoder works on each token alone, given its place.
type eachDecoder func(i int, tok string) string

func (f eachDecoder) decode(toks []string) []string {
	out := make([]string, len(toks))
	for i, s := range toks {
		out[i] = f(i, s)
	}
	return out
}

// byteFallbackDecoder joins tokens such as <0xE4>; a run of them that is no
// UTF-8 becomes as many U+FFFD.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(toks []string) []string {
	var out []string
	var run []byte
	for _, s := range toks {
		if b, ok := fallbackByte(s); ok {
			run = append(run, b)
			continue
		}
		out = appendRun(out, run)
		run = run[:0]
		out = append(out, s)
	}
	return appendRun(out, run)
}

func appendRun(out []string, run []byte) []string {
	switch {
	case len(run) == 0:
		return out
	case utf8.Valid(run):
		return append(out, string(run))
	}
	return append(out, strings.Repeat("\uFFFD", len(run)))
}

func fallbackByte(s string) (byte, bool) {
	if len(s) != 6 || !strings.HasPrefix(s, "<0x") || s[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(n), err == nil
}

type fuseDecoder struct{}

func (fuseDecoder) decode(toks []string) []string { return []string{strings.Join(toks, "")} }

// stripDecoder takes up to start and stop times content off the ends of each
// token.
type stripDecoder struct {
	content     string
	start, stop int
}

func (d stripDecoder) decode(toks []string) []string {
	out := make([]string, len(toks))
	for i, s := range toks {
		for range d.start {
			s = strings.TrimPrefix(s, d.content)
		}
		for range d.stop {
			s = strings.TrimSuffix(s, d.content)
		}
		out[i] = s
	}
	return out
}

var wordPieceCleaner = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

func wordPieceCleanUp(s string) string {
	for _, p := range wordPieceCleaner {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}
