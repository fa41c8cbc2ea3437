package report

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"sextant/internal/py"
	"sextant/internal/source"
)

const (
	// blockBytes is how much JSON goes into one compressed block.
	blockBytes = 512 << 10
	// maxText bounds one text of a sample, in bytes; the page says what is cut.
	maxText = 64 << 10
)

// writeRun writes the blocks of a run's samples, at most budget bytes but at
// least one block.
func writeRun(cw *counter, no int, run Run, budget int64) (runMeta, error) {
	meta := runMeta{Model: run.Model, Dataset: run.Dataset, Total: run.Total, File: run.File, Blocks: []string{}}
	if run.Samples == nil {
		return meta, nil
	}
	start := cw.n
	var b *block
	var buf []byte
	seen := 0
	var failed error
	for s, err := range run.Samples {
		if err != nil {
			failed = err
			break
		}
		seen++
		if b == nil {
			id := fmt.Sprintf("b%d-%d", no, len(meta.Blocks))
			b = newBlock(cw, id)
			meta.Blocks = append(meta.Blocks, id)
		}
		buf = appendSample(buf[:0], s)
		if err := b.add(buf); err != nil {
			return meta, err
		}
		meta.Embedded++
		if b.raw < blockBytes {
			continue
		}
		if err := b.close(); err != nil {
			return meta, err
		}
		b = nil
		if used := cw.n - start; used+used/int64(len(meta.Blocks)) > budget {
			break
		}
	}
	if b != nil {
		if err := b.close(); err != nil {
			return meta, err
		}
	}
	meta.Total = max(meta.Total, seen)
	return meta, failed
}

// block is a JSON array, compressed, in base64, in a script element that the
// browser does not run. The alphabet of base64 cannot end the element.
type block struct {
	w   io.Writer
	b64 io.WriteCloser
	gz  *gzip.Writer
	raw int
	n   int
}

func newBlock(w io.Writer, id string) *block {
	fmt.Fprintf(w, "<script type=\"application/gzip\" id=\"%s\">", id)
	b := &block{w: w, b64: base64.NewEncoder(base64.StdEncoding, w)}
	b.gz = gzip.NewWriter(b.b64)
	return b
}

func (b *block) add(sample []byte) error {
	sep := ","
	if b.n == 0 {
		sep = "["
	}
	b.n++
	b.raw += len(sample) + 1
	if _, err := io.WriteString(b.gz, sep); err != nil {
		return err
	}
	_, err := b.gz.Write(sample)
	return err
}

func (b *block) close() error {
	if _, err := io.WriteString(b.gz, "]"); err != nil {
		return err
	}
	if err := b.gz.Close(); err != nil {
		return err
	}
	if err := b.b64.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(b.w, "</script>\n")
	return err
}

// appendSample writes a sample as the page reads it:
//
//	i index, v verdict, e reason, p prompt (text or messages), c in-context
//	examples, k "ppl" | "ll" | "clp", l labels [{n name, t text, s score,
//	b bits per byte}], o prediction, a what was scored, g gold, x the rest
//
// Texts that repeat others in the record are left out.
func appendSample(dst []byte, s Sample) []byte {
	o := object{b: append(dst, '{')}
	o.field("i", s.Index)
	o.field("v", string(s.Verdict))
	if s.Reason != "" {
		o.field("e", s.Reason)
	}
	var labels []py.Entry
	kind := ""
	rest := py.NewDict()
	for _, e := range s.Record.Entries() {
		key, ok := e.Key.(string)
		if !ok {
			key = py.Repr(e.Key)
		}
		if lab, ok := e.Val.(*py.Dict); ok && strings.HasPrefix(key, "label: ") {
			labels = append(labels, e)
			switch {
			case lab.Has("PPL"):
				kind = "ppl"
			case lab.Has("Loglikelihood"):
				kind = "ll"
			}
			continue
		}
		switch key {
		case "origin_prompt":
			o.field("p", e.Val)
		case "in-context examples":
			if e.Val != "" {
				o.field("c", e.Val)
			}
		case "prediction":
			o.field("o", e.Val)
		case "gold":
			o.field("g", e.Val)
		case "testing input", "prompt": // of a CLP record
			if !s.Record.Has("origin_prompt") && key == "prompt" {
				o.field("p", e.Val)
			}
		default:
			rest.Set(key, e.Val)
		}
	}
	if kind == "" && rest.Has("choices") && rest.Has("pred_label") {
		kind = "clp"
	}
	if kind != "" {
		o.field("k", kind)
	}
	if len(labels) > 0 {
		o.key("l")
		o.b = append(o.b, '[')
		for i, e := range labels {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			o.b = appendLabel(o.b, strings.TrimPrefix(e.Key.(string), "label: "), e.Val.(*py.Dict))
		}
		o.b = append(o.b, ']')
	}
	if s.Extracted != nil {
		o.field("a", s.Extracted)
	}
	if rest.Len() > 0 {
		o.field("x", rest)
	}
	return append(o.b, '}')
}

func appendLabel(dst []byte, name string, lab *py.Dict) []byte {
	o := object{b: append(dst, '{')}
	o.field("n", name)
	if t, ok := lab.Lookup("prompt"); ok {
		o.field("t", t)
	} else if t, ok := lab.Lookup("testing input"); ok {
		o.field("t", t)
	}
	for _, k := range []struct{ key, as string }{{"PPL", "s"}, {"Loglikelihood", "s"}, {"BPB", "b"}} {
		if v, ok := lab.Lookup(k.key); ok {
			o.field(k.as, v)
		}
	}
	return append(o.b, '}')
}

// object appends the members of a JSON object.
type object struct {
	b []byte
	n int
}

func (o *object) key(k string) {
	if o.n > 0 {
		o.b = append(o.b, ',')
	}
	o.n++
	o.b = appendText(o.b, k)
	o.b = append(o.b, ':')
}

func (o *object) field(k string, v py.Value) {
	o.key(k)
	o.b = appendValue(o.b, v, 0)
}

// maxNest bounds the nesting that is shown; deeper values are cut.
const maxNest = 40

// appendValue is v in JSON that browsers read without loss: what JSON cannot
// hold, or JavaScript's numbers cannot, becomes its Python text.
func appendValue(dst []byte, v py.Value, depth int) []byte {
	if depth > maxNest {
		return append(dst, `"…"`...)
	}
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, x)
	case int:
		if x > 1<<53 || x < -1<<53 {
			return appendText(dst, strconv.Itoa(x))
		}
		return strconv.AppendInt(dst, int64(x), 10)
	case *big.Int:
		return appendText(dst, x.String())
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return appendText(dst, py.FormatFloat(x))
		}
		return strconv.AppendFloat(dst, x, 'g', -1, 64)
	case string:
		return appendText(dst, x)
	case *py.List:
		return appendItems(dst, x.Items, depth)
	case *py.Tuple:
		return appendItems(dst, x.Items, depth)
	case *py.Dict:
		dst = append(dst, '{')
		for i, e := range x.Entries() {
			if i > 0 {
				dst = append(dst, ',')
			}
			key, ok := e.Key.(string)
			if !ok {
				key = py.Repr(e.Key)
			}
			dst = appendText(dst, key)
			dst = append(dst, ':')
			dst = appendValue(dst, e.Val, depth+1)
		}
		return append(dst, '}')
	}
	return appendText(dst, py.Repr(v))
}

func appendItems(dst []byte, items []py.Value, depth int) []byte {
	dst = append(dst, '[')
	for i, it := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, it, depth+1)
	}
	return append(dst, ']')
}

// appendText is a JSON string; a very long one is cut, and says so.
func appendText(dst []byte, s string) []byte {
	if len(s) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + fmt.Sprintf("\n… %s characters more; the whole text is in the predictions file", source.Number(utf8.RuneCountInString(s[n:])))
	}
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // cannot happen: a string always encodes
	}
	return append(dst, b...)
}
