package source

import (
	"os"
	"strings"
	"testing"

	"sextant/internal/dataset"
	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

// TestReadEmbedded reads the two founding data sets and holds their answers
// against those that OpenCompass recorded.
func TestReadEmbedded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cfg  *py.Dict
		gold string
	}{
		{py.DictOf("abbr", "siqa", "type", "siqaDataset", "path", "./data/siqa",
			"reader_cfg", py.DictOf("input_columns", "context question answerA answerB answerC", "output_column", "label", "test_split", "validation"),
			"infer_cfg", py.DictOf("retriever", py.DictOf("type", "ZeroRetriever"))), "siqa.tsv"},
		{py.DictOf("abbr", "winogrande", "type", "WinograndeDataset", "path", "opencompass/winogrande",
			"reader_cfg", py.DictOf("input_columns", "opt1 opt2", "output_column", "answer")), "winogrande.tsv"},
	}
	for _, tt := range tests {
		set, err := dataset.Read(t.Context(), tt.cfg, New(Options{Dir: t.TempDir(), Offline: true}))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range set.Origin {
			if o.From != "embedded" || !strings.HasPrefix(o.Path, "embedded:data/") || len(o.SHA256) != 64 {
				t.Errorf("origin %+v", o)
			}
		}
		b, err := os.ReadFile(sharedtest.Path(t, "conformance", "seed", tt.gold))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")[1:]
		if len(lines) != len(set.Test) {
			t.Fatalf("%s: %d rows, want %d", tt.gold, len(set.Test), len(lines))
		}
		for i, l := range lines {
			if got, want := py.Str(set.Test[i].Get(set.Output)), strings.Split(l, "\t")[1]; got != want {
				t.Errorf("%s: row %d has the answer %s, want %s", tt.gold, i, got, want)
			}
		}
	}
}

func BenchmarkReadSIQA(b *testing.B) {
	cfg := py.DictOf("abbr", "siqa", "type", "siqaDataset", "path", "./data/siqa",
		"reader_cfg", py.DictOf("input_columns", "context question answerA answerB answerC", "output_column", "label", "test_split", "validation"),
		"infer_cfg", py.DictOf("retriever", py.DictOf("type", "ZeroRetriever")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dataset.Read(b.Context(), cfg, New(Options{Dir: b.TempDir(), Offline: true})); err != nil {
			b.Fatal(err)
		}
	}
}
