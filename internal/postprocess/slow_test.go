package postprocess

import (
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
)

// TestHostileTextsEnd runs everything on texts made to be slow. It measures
// nothing: a function that takes such a text badly runs into the time limit of
// the whole test, minutes away.
func TestHostileTextsEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, piece := range []string{"a", "A", " ", "1", "-", ".", "<think>", "</think>", "<conclude>", "答案是", "答案是 ", "答案", "选", "所以", "因此", "The answer is ", "the correct answer is ",
		"ANSWER:", "ANSWER ", "\n", "是", "Ａ", "\xff", "{", "\\boxed{", "1 ", "only 只有", "说法"} {
		text := strings.Repeat(piece, 30000/len(piece))
		for _, name := range Functions.Names() {
			fn, _ := Functions.Lookup(name)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = fn(text, kwFor(name)) // some refuse; that they end is what counts
			}()
			select {
			case <-done:
			case <-time.After(2 * time.Minute):
				t.Fatalf("%s of %q, 30,000 bytes long, does not end", name, piece)
			}
		}
	}
}

func kwFor(name string) *py.Dict {
	kw := py.NewDict()
	switch {
	case strings.Contains(name, "option_postprocess"):
		kw.Set("options", "ABCD")
	case strings.Contains(name, "think_pred"):
		kw.Set("re_pattern", `</think>([\s\S]*)`)
	case name == "match_answer_pattern":
		kw.Set("answer_pattern", `(?i)ANSWER\s*:\s*([A-D])`)
	case strings.Contains(name, "xml"):
		kw.Set("tag", "<conclude>")
	}
	return kw
}
