package catalog

import (
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNames holds the catalog against the names that OpenCompass 0.5.4
// publishes and evaluations import.
func TestNames(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"datasets/siqa":       "siqa_gen siqa_gen_18632c siqa_gen_e78df3 siqa_ppl siqa_ppl_42bc6e siqa_ppl_7845b0 siqa_ppl_ced5f6 siqa_ppl_e8d8c5",
		"datasets/winogrande": "deprecated_winogrande_gen_a9ede5 winogrande_5shot_gen_6447e6 winogrande_5shot_gen_b36770 winogrande_5shot_ll_252f01 winogrande_gen winogrande_gen_458220 winogrande_gen_a027b6 winogrande_ll winogrande_ll_c5cf57 winogrande_ppl winogrande_ppl_55a66e winogrande_ppl_9307fd",
		"models/opt":          "hf_opt_125m hf_opt_13b hf_opt_1_3b hf_opt_2_7b hf_opt_30b hf_opt_350m hf_opt_66b hf_opt_6_7b opt_demo",
		"summarizers":         "example",
	}
	got := map[string][]string{}
	names := map[string]string{}
	for _, c := range List() {
		dir, _ := cutLast(c.Path)
		got[dir] = append(got[dir], c.Name)
		if other, ok := names[c.Kind+" "+c.Name]; ok {
			t.Errorf("%s and %s have one name", other, c.Path)
		}
		names[c.Kind+" "+c.Name] = c.Path
	}
	for dir, w := range want {
		if g := strings.Join(got[dir], " "); g != w {
			t.Errorf("%s has\n%s\nwant\n%s", dir, g, w)
		}
	}
}

func cutLast(p string) (dir, base string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}

// TestText keeps the files as people expect to read them.
func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range List() {
		b, err := fs.ReadFile(FS(), c.Path)
		if err != nil {
			t.Fatal(err)
		}
		s := string(b)
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\t\r") || !strings.HasSuffix(s, "\n") {
			t.Errorf("%s: not UTF-8, or tabs, or carriage returns, or no final line end", c.Path)
		}
		if !strings.HasPrefix(s, "# ") {
			t.Errorf("%s does not open with a comment that says what it is", c.Path)
		}
		for i, line := range strings.Split(s, "\n") {
			if utf8.RuneCountInString(line) > 120 {
				t.Errorf("%s:%d is longer than 120 characters", c.Path, i+1)
			}
		}
	}
}
