package slurm

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/task"
)

var update = flag.Bool("update", false, "write golden files")

func TestFromConfig(t *testing.T) {
	t.Parallel()
	files := source.NewSet()
	f := files.Add("eval.py", strings.Repeat("x", 100), 0)
	put := func(kv ...py.Value) *py.Dict {
		d := py.NewDict()
		for i := 0; i < len(kv); i += 2 {
			if err := d.Put(py.Entry{Key: kv[i], Val: kv[i+1], Pos: f.Pos(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	var o Options
	notes, err := FromConfig(put("type", "SlurmRunner", "task", nil, "max_num_workers", 7, "retry", 3, "partition", "p", "quotatype", nil, "qos", "high",
		"extra_command", py.NewList("-x 'node 1'", "--exclusive"), "account", "me", "time", 90, "mem", "4G", "gres", "tpu:1", "cpus_per_task", 3,
		"tasks_per_job", "auto", "env_setup", py.NewList("module load x"), "pre_command", "source y", "export_env", py.NewList("A"), "cancel_on_interrupt", true), &o)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	o.positions = nil
	got := strings.Join(New(o).arguments("/r", "a", "n", 3, 2, New(o).resources(&runner.Work{NumGPUs: 2})), " ")
	want := "--parsable --array=0-2%2 --job-name=n --chdir=/r --output=state/slurm/a/slurm.out --open-mode=append --requeue --export=ALL --nodes=1 --ntasks=1 " +
		"--partition=p --qos=high --account=me --time=90 --mem=4G --cpus-per-task=3 --gres=tpu:1,gpu:2 -x node 1 --exclusive"
	if got != want || o.MaxNumWorkers != 7 || o.TasksPerJob != Auto || !o.CancelOnInterrupt || !slices.Equal(o.Setup, []string{"module load x", "source y"}) || !slices.Equal(o.Export, []string{"A"}) || len(o.Extra) != 3 {
		t.Errorf("%s\n%+v", got, o)
	}
	if g := New(Options{Gres: "gpu:a100:4"}).resources(&runner.Work{NumGPUs: 2}); g.gres != "gpu:a100:4" {
		t.Errorf("%+v", g)
	}

	notes, err = FromConfig(put("type", "SlurmRunner", "partitoin", "p", "zzzzzzzz", 1), &Options{})
	if err != nil || len(notes) != 2 || !strings.Contains(notes[0], "did you mean partition?") || strings.Contains(notes[1], "did you mean") {
		t.Errorf("%q %v", notes, err)
	}
	notes, err = FromConfig(put("quotatype", "spot", "task_prefix", "x", "keep_tmp_file", false), &Options{Sequential: true})
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "spot") {
		t.Errorf("%q %v", notes, err)
	}

	bad := put("max_num_workers", 0, "retry", -1, "partition", 5, "qos", "a\nb", "extra_command", py.NewList("--array=1-2"), "time", 1.5, "tasks_per_job", 0,
		"env_setup", 3, "export_env", py.NewList("A=B"), "cancel_on_interrupt", "yes", "extra_command", py.NewList("'open"), "cpus_per_task", true)
	_, err = FromConfig(bad, &Options{})
	ds := source.Diagnostics(err)
	if len(ds) != bad.Len() {
		t.Errorf("%d mistakes found of %d: %v", len(ds), bad.Len(), err)
	}
	for _, d := range ds {
		if d.Pos == 0 {
			t.Errorf("no place: %s", d.Msg)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"SlurmRunner", "opencompass.runners.SlurmSequentialRunner"} {
		c, err := runner.Classes.Lookup(n)
		if err != nil || !c.Elsewhere {
			t.Fatal(err)
		}
		r, _, err := c.New(py.DictOf("type", n), runner.Env{Command: []string{"x"}})
		if err != nil || r.(*Runner).o.Sequential != strings.Contains(n, "Sequential") || r.(*Runner).o.MaxNumWorkers != 32 {
			t.Errorf("%s: %+v %v", n, r, err)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   string
		want []string
		bad  bool
	}{
		{"", nil, false},
		{"  -x  a,b ", []string{"-x", "a,b"}, false},
		{`--comment="it's \"so\"" 'a b'c \ d`, []string{"--comment=it's \"so\"", "a bc", " d"}, false},
		{`''`, []string{""}, false},
		{`'open`, nil, true}, {`"open\"`, nil, true}, {`end\`, nil, true}, {"nul\x00", nil, true},
	}
	for _, c := range cases {
		got, err := split(c.in)
		if (err != nil) != c.bad || !c.bad && !slices.Equal(got, c.want) {
			t.Errorf("%q: %q %v", c.in, got, err)
		}
	}
}

// What quote makes, a shell and split take apart again.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain/path-1.py", "it's", `a "b" \ $(x) ` + "`y`", "%d\n\t*?[]{}~!#&|;<>()", "Ünï"} {
		f.Add(s)
	}
	sh, _ := exec.LookPath("bash")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			t.Skip()
		}
		if sh != "" {
			out, err := exec.Command(sh, "-c", "printf %s "+quote(s)).Output()
			if err != nil || string(out) != s {
				t.Fatalf("%q became %q for a shell: %v", s, out, err)
			}
		}
		if got, err := split(quote(s)); err != nil || len(got) != 1 || got[0] != s {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
	})
}

func TestParseSqueue(t *testing.T) {
	t.Parallel()
	jobs := parseSqueue("10|1-4,8,10-20:5%2|PENDING|JobArrayTaskLimit\n10|0|RUNNING|None\n\nrubbish\n11|N/A|CANCELLED|Priority\n12|0-3...|PENDING|None\n12|7|TIMEOUT|TimeLimit\n")
	cases := []struct {
		job   string
		i     int
		state string
	}{
		{"10", 0, "RUNNING"}, {"10", 1, "PENDING"}, {"10", 4, "PENDING"}, {"10", 5, ""}, {"10", 8, "PENDING"}, {"10", 10, "PENDING"}, {"10", 12, ""}, {"10", 15, "PENDING"}, {"10", 21, ""},
		{"11", 3, "CANCELLED"}, {"12", 2, "PENDING"}, {"12", 900, "PENDING"}, {"12", 7, "TIMEOUT"}, {"13", 0, ""},
	}
	for _, c := range cases {
		s, known := jobs[c.job].of(c.i)
		if s.State != c.state || known != (c.state != "") {
			t.Errorf("%s_%d: %+v %v, want %q", c.job, c.i, s, known, c.state)
		}
	}
	if len(jobs) != 3 {
		t.Errorf("%d jobs", len(jobs))
	}
	var nothing *listing
	if _, known := nothing.of(0); known {
		t.Error("nothing is known of a job that squeue does not list")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("10|1-4,8%2|PENDING|x\n10|0|RUNNING|None\n", "JobId=1 JobState=FAILED Reason=a b ExitCode=1:0\n")
	f.Add("1|999999999999999999999|X|\n1|-1|Y|\n1|5-2:0|Z|", "= == a=")
	f.Fuzz(func(t *testing.T, list, fields string) {
		for id, l := range parseSqueue(list) {
			if id == "" || strings.Contains(id, "|") {
				t.Errorf("id %q", id)
			}
			for _, i := range []int{0, 1, 1 << 30} {
				s, known := l.of(i)
				if !known && s != (jobState{}) {
					t.Errorf("unknown, and yet %+v", s)
				}
			}
		}
		for k := range parseFields(fields) {
			if strings.ContainsAny(k, " \n=") {
				t.Errorf("key %q", k)
			}
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	all := []string{"PATH=/bin", "HOME=/h", "SLURM_JOB_ID=5", "SLURM_MEM_PER_NODE=1", "SLURM_CONF=/c", "SBATCH_ACCOUNT=me", "SBATCH_ARRAY_INX=1-9", "SCANCEL_INTERACTIVE=1", "SQUEUE_USERS=x",
		"HF_HOME=/old", "HF_HOME=/hf", "AWS_SECRET_ACCESS_KEY=s", "MINE=1", "ALSO=2", "BASH_FUNC_x%%=() { }", "rubbish"}
	if got := strings.Join(environ(all, []string{"MINE"}), " "); got != "HF_HOME=/hf HOME=/h MINE=1 PATH=/bin SBATCH_ACCOUNT=me SLURM_CONF=/c" {
		t.Errorf("workers get %s", got)
	}
	got := strings.Join(commandEnv(all), " ")
	for _, s := range []string{"SLURM_JOB_ID", "SLURM_MEM", "SCANCEL", "SQUEUE"} {
		if strings.Contains(got, s) {
			t.Errorf("commands get %s", s)
		}
	}
	if !strings.Contains(got, "SLURM_CONF=/c") || !strings.Contains(got, "SLURM_BITSTR_LEN=0") {
		t.Errorf("commands get %s", got)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	o := Options{MaxNumWorkers: 4, Command: []string{"/opt/se xtant", "worker"}, Environ: []string{"PATH=/bin", "HF_TOKEN=hf-secret", "OTHER=1"}, Dir: "/home/me/it's", Setup: []string{"module load cuda", "ulimit -c 0"}}
	if _, err := FromConfig(py.DictOf("partition", "gpu", "qos", "a b"), &o); err != nil {
		t.Fatal(err)
	}
	model := py.DictOf("abbr", "m", "key", "sk-very-secret")
	stage := &runner.Stage{Name: task.Infer, Epoch: 3, Group: func(*py.Dict) string { return "one" }}
	for i, n := range []string{"a", "b", "c"} {
		stage.Tasks = append(stage.Tasks, task.Task{Name: "T[" + n + "]", Model: model, ModelAbbr: "m", NumGPUs: i / 2, Units: []task.Unit{{Dataset: py.DictOf("abbr", n), Abbr: n}}})
	}
	got, err := New(o).Script(stage)
	if err != nil {
		t.Fatal(err)
	}
	if stage.Tasks[0].Log != "" || stage.Tasks[0].Units[0].Task != "" {
		t.Error("showing the script changed the stage")
	}
	golden := filepath.Join("testdata", "script.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v\n%s", err, got)
	}
	if strings.Contains(got, "secret") {
		t.Error("it tells a secret")
	}
	if sh, err := exec.LookPath("bash"); err == nil {
		c := exec.Command(sh, "-n")
		c.Stdin = strings.NewReader(got)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Run(); err != nil {
			t.Errorf("no valid shell: %v %s", err, &out)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	mk := func(said string) error {
		return &commandError{Name: "sbatch", Said: said, Err: errors.New("exit status 1")}
	}
	if !unreachable(mk("Batch job submission failed: Unable to contact slurm controller (connect failure)")) || unreachable(mk("Invalid partition name specified")) || unreachable(errors.New("Socket timed out")) {
		t.Error("unreachable")
	}
	if !unreachable(&commandError{Name: "sbatch", Err: exec.ErrWaitDelay}) || unreachable(&commandError{Name: "sbatch", Err: exec.ErrNotFound}) {
		t.Error("unreachable: commands that said nothing")
	}
	if !tooMany(mk("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)")) || tooMany(mk("Invalid qos specification")) {
		t.Error("tooMany")
	}
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 21: "21st", 113: "113th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
