package source

import (
	"strings"
	"testing"
)

func TestRenderMarks(t *testing.T) {
	for _, tc := range []struct{ line, at, mark string }{
		{"type=AccEvaluatr)", "AccEv", "AccEvaluatr"},
		{"type=opencompass.models.X)", "opencompass", "opencompass.models.X"},
		{"n=-1,", "-1", "-1"},
		{"n=1e-5,", "1e", "1e-5"},
		{"n=5-3,", "5", "5"},
		{"path='./a b',", "'./", "'./a b'"},
		{`path=f"x{'y'}",`, `f"`, `f"x{'y'}"`},
		{`p=rb'\'q', 'z'`, "rb", `rb'\'q'`},
		{"p='''a'b''' + c", "'''", "'''a'b'''"},
		{"p='''a'b", "'''", "'''a'b"},
		{"x=[1, (2, ']')], y", "[1", "[1, (2, ']')]"},
		{"x=[1,", "[1", "["},
		{"x = = 3", "= 3", "="},
		{"名前=値段x)", "値段", "値段x"},
		{"end", "", "^"},
	} {
		s := NewSet()
		f := s.Add("a.py", tc.line, 0)
		off := len(tc.line)
		if tc.at != "" {
			off = strings.Index(tc.line, tc.at)
		}
		out := strings.Split(s.Render(Errorf(f.Pos(off), "m")), "\n")
		want := len([]rune(tc.mark))
		if got := strings.Count(out[2], "^"); got != want {
			t.Errorf("%s: %d characters marked, want %q\n%s", tc.line, got, tc.mark, strings.Join(out, "\n"))
		}
	}
}

func TestRenderShape(t *testing.T) {
	s := NewSet()
	top := s.Add("top.py", "x = 1\nfrom .a import b\n", 0)
	f := s.Add("a.py", "b = 1\n\tc = [zz]\n", top.Pos(6))
	d := Errorf(f.Pos(12), "unknown %s", "zz").WithHint("do that")
	d.Notes = []Note{{Pos: top.Pos(0), Msg: "first used"}, {Msg: "plain"}}
	want := "a.py:2:7: unknown zz\n    c = [zz]\n         ^^\n  imported at top.py:2:1\n  first used at top.py:1:1\n  plain\n  hint: do that\n"
	if got := s.Render(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.Render(&Diagnostic{Msg: "m", Hint: "h"}); got != "m\n  hint: h\n" {
		t.Errorf("without position: %q", got)
	}
	d = &Diagnostic{Pos: f.Pos(0), End: f.Pos(5), Msg: "m"}
	if got := s.Render(d); !strings.Contains(got, "\n    ^^^^^\n") {
		t.Errorf("End does not bound the mark:\n%s", got)
	}
}
