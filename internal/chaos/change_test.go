//go:build linux

package chaos

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/model/fake"
)

// questions of Spec's config: requests by dataset.
var requests = map[string]int{"siqa": 180, "siqa-gen": 90, "winogrande": 100, "winogrande-gen": 50}

func total(abbrs ...string) int {
	n := 0
	for a, k := range requests {
		for _, x := range abbrs {
			if a == x {
				n += k
			}
		}
	}
	return n
}

// What is changed between two starts of a run decides what is asked again: all
// that depends on it and nothing else, with a line that says so.
func TestChangeBetweenStarts(t *testing.T) {
	naive := "dict(type=NaivePartitioner)"
	base := Spec{Fleet: Local, Workers: 2, Partition: naive}
	cases := []struct {
		name  string
		spec  Spec
		asked int
		says  []string // on stderr; with "!" in front: does not say
	}{
		{"nothing", base, 0, []string{"nothing left to infer: 4 complete", "!asking again"}},
		{"runner and partitioner", Spec{Fleet: Local, Workers: 7, Partition: "dict(type=SizePartitioner, max_task_size=50)", Order: []int{3, 1, 0, 2}}, 0, []string{"!asking again"}},
		{"model", Spec{Fleet: Local, Workers: 2, Partition: naive, Model: ", default='B'"}, total("siqa", "siqa-gen", "winogrande", "winogrande-gen"),
			[]string{"asking again: fake/siqa: changed settings", "asking again: fake/winogrande-gen: changed settings"}},
		{"another model under the same name", Spec{Fleet: Local, Workers: 2, Partition: naive, Extra: "models[0]['path'] = 'other'\n"}, total("siqa", "siqa-gen", "winogrande", "winogrande-gen"),
			[]string{"asking again: fake/siqa: changed model"}},
		{"prompt of one dataset", Spec{Fleet: Local, Workers: 2, Partition: naive, Extra: "datasets[1]['infer_cfg']['prompt_template']['template']['round'][0]['prompt'] += ' Think.'\n"}, total("siqa-gen"),
			[]string{"asking again: fake/siqa-gen: changed prompt", "!again: fake/siqa:", "!again: fake/winogrande"}},
		{"length of one dataset's answers", Spec{Fleet: Local, Workers: 2, Partition: naive, Extra: "datasets[3]['infer_cfg']['inferencer']['max_out_len'] = 7\n"}, total("winogrande-gen"),
			[]string{"asking again: fake/winogrande-gen: changed settings", "!again: fake/winogrande:"}},
		{"a template for the model", Spec{Fleet: Local, Workers: 2, Partition: naive, Model: ", meta_template=dict(round=[dict(role='HUMAN', begin='Q: ', end='\\n'), dict(role='BOT', begin='A: ', generate=True)])"}, total("siqa", "siqa-gen", "winogrande", "winogrande-gen"),
			[]string{"asking again: fake/siqa: changed prompt"}},
		{"more rows", Spec{Fleet: Local, Workers: 2, Partition: naive, Extra: "datasets[0]['reader_cfg']['test_range'] = '[0:80]'\n"}, 60,
			[]string{"asking again: fake/siqa"}},
		{"the evaluator alone", Spec{Fleet: Local, Workers: 2, Partition: naive, Extra: "from opencompass.utils.text_postprocessors import first_option_postprocess\ndatasets[1]['eval_cfg']['pred_postprocessor'] = dict(type=first_option_postprocess, options='AB')\n"}, 0,
			[]string{"!asking again", "scoring again: fake/siqa-gen", "!scoring again: fake/siqa:"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := NewLab(t, program)
			l.Config(base.Config())
			l.Run(0)
			_, mark := l.Requests(0)
			l.Config(c.spec.Config())
			s := l.Run(0, "-r", "latest")
			got, mark := l.Requests(mark)
			if got.Total != c.asked {
				t.Errorf("%d requests, want %d\n%s", got.Total, c.asked, s.Stderr())
			}
			for _, want := range c.says {
				no := strings.HasPrefix(want, "!")
				if strings.Contains(s.Stderr(), strings.TrimPrefix(want, "!")) == no {
					t.Errorf("stderr: %q expected\n%s", want, s.Stderr())
				}
			}
			// the same as a run that was never another
			fresh := NewLab(t, program)
			fresh.Config(c.spec.Config())
			fresh.Run(0)
			l.Same(fresh.Final())
			// and back: answers given before are not asked for again
			l.Config(base.Config())
			s = l.Run(0, "-r", "latest")
			if got, _ := l.Requests(mark); got.Total != 0 {
				t.Errorf("%d requests for questions that had been answered before\n%s", got.Total, s.Stderr())
			}
		})
	}
}

// The same for a run that was killed half way: answers to questions that have
// not changed are kept.
func TestChangeAfterKill(t *testing.T) {
	t.Parallel()
	l := NewLab(t, program)
	l.Env = append(l.Env, fake.DelayVar+"=20ms")
	base := Spec{Fleet: Local, Workers: 2, Partition: "dict(type=SizePartitioner, max_task_size=40)"}
	l.Config(base.Config())
	s := l.Start()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		// some of siqa, whose prompt is then changed, and much of the rest
		if r := l.Recorded(); r.Rows > 80 && r.Of["siqa"] > 10 {
			break
		}
		if time.Since(begin) > patience {
			t.Fatalf("too few records within %v", patience)
		}
	}
	s.Signal(syscall.SIGKILL)
	s.Wait()
	l.Quiet()
	before := l.Recorded()
	first, mark := l.Requests(0)
	changed := base
	changed.Extra = "datasets[0]['infer_cfg']['prompt_template']['template'][1]['round'][0]['prompt'] = 'Well: ' + datasets[0]['infer_cfg']['prompt_template']['template'][1]['round'][0]['prompt']\n"
	l.Config(changed.Config())
	s = l.Run(0, "-r", "latest")
	second, _ := l.Requests(mark)
	fresh := NewLab(t, program)
	fresh.Config(changed.Config())
	fresh.Run(0)
	l.Same(fresh.Final())
	// Only what siqa had answered comes twice: its prompt for label 1 differs,
	// and a question is asked as a whole. Workers of a coordinator that was
	// killed finish what is in flight.
	if want := total("siqa", "siqa-gen", "winogrande", "winogrande-gen") + labels*before.Of["siqa"]; first.Total+second.Total != want {
		t.Errorf("%d requests before the kill, %d after, of %d rows before; want %d\n%s", first.Total, second.Total, before.Rows, want, s.Stderr())
	}
	if !strings.Contains(s.Stderr(), "asking again: fake/siqa: changed prompt") {
		t.Errorf("the change is not told:\n%s", s.Stderr())
	}
}

// Workers, partitioner and order change nothing.
func TestInvariance(t *testing.T) {
	want, _ := undisturbed(t, Spec{Fleet: Local, Workers: 1, Partition: "dict(type=NaivePartitioner)"}.Config())
	for _, workers := range []int{1, 2, 8, 32} {
		for _, p := range []string{"dict(type=NaivePartitioner)", "dict(type=NaivePartitioner, n=3)", "dict(type=SizePartitioner, max_task_size=37, gen_task_coef=2)", "dict(type=NumWorkerPartitioner, num_worker=%d)"} {
			if strings.Contains(p, "%d") {
				p = fmt.Sprintf(p, workers)
			}
			t.Run(fmt.Sprintf("%d %s", workers, p), func(t *testing.T) {
				t.Parallel()
				l := NewLab(t, program)
				l.Env = append(l.Env, fake.DelayVar+"=1ms")
				l.Config(Spec{Fleet: Local, Workers: workers, Partition: p}.Config())
				l.Run(0)
				l.Same(want)
				if got, _ := l.Requests(0); got.Total != total("siqa", "siqa-gen", "winogrande", "winogrande-gen") {
					t.Errorf("%d requests", got.Total)
				}
			})
		}
	}
}
