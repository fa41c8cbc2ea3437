package kube

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/source"
	"sextant/internal/task"
)

var update = flag.Bool("update", false, "write the golden files")

// everything uses each argument once.
func everything() *py.Dict {
	return py.DictOf(
		"type", "KubernetesRunner", "task", nil, "debug", false,
		"image", "registry.example.com/sextant:1", "image_pull_policy", "IfNotPresent", "image_pull_secrets", py.NewList("regcred"),
		"command", py.NewList("/opt/sextant", "--quiet"), "namespace", "eval", "kubeconfig", "/k", "context", "c",
		"max_num_workers", 3, "retry", 5, "gpu_resource", "amd.com/gpu",
		"resources", py.DictOf("requests", py.DictOf("cpu", 4, "memory", "16Gi"), "limits", py.DictOf("cpu", "3500m", "memory", "16Gi")),
		"tolerations", py.NewList(py.DictOf("key", "gpu", "operator", "Exists", "effect", "NoSchedule")),
		"node_selector", py.DictOf("disk", "ssd"),
		"affinity", py.DictOf("nodeAffinity", py.DictOf("requiredDuringSchedulingIgnoredDuringExecution", py.DictOf("nodeSelectorTerms", py.NewList(
			py.DictOf("matchExpressions", py.NewList(py.DictOf("key", "zone", "operator", "In", "values", py.NewList("a")))))))),
		"priority_class_name", "low", "runtime_class_name", "nvidia", "security_context", py.DictOf("runAsUser", 1000),
		"service_account", "sextant", "labels", py.DictOf("team", "nlp"), "annotations", py.DictOf("cost", 7),
		"volumes", py.NewList(py.DictOf("name", "shm", "emptyDir", py.DictOf("medium", "Memory"))),
		"volume_mounts", py.NewList(py.DictOf("name", "shm", "mountPath", "/dev/shm")),
		"pvc", py.DictOf("claim", "work", "mount_path", "/data", "local_path", "/mnt/nfs/", "sub_path", "me"),
		"env", py.DictOf("HF_HOME", "/data/hf", "ODD", "$(NOT_A_REFERENCE)"),
		"secret_refs", py.DictOf("OPENAI_API_KEY", "openai/key"),
		"ttl_seconds_after_finished", 60, "termination_grace_seconds", 90, "lost_after_seconds", 30,
		"work_dir_map", py.DictOf("/home/me/outputs", "/data/outputs"),
	)
}

func TestScript(t *testing.T) {
	t.Parallel()
	var o Options
	notes, err := FromConfig(everything(), &o)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	gpu := task.Task{Name: "T[g/x]", Model: py.DictOf("abbr", "g", "key", "sk-very-secret"), ModelAbbr: "g", NumGPUs: 2, Units: []task.Unit{{Dataset: py.DictOf("abbr", "x"), Abbr: "x"}}}
	cpu := task.Task{Name: "T[c/x]", Model: py.DictOf("abbr", "c"), ModelAbbr: "c", Units: []task.Unit{{Dataset: py.DictOf("abbr", "x"), Abbr: "x"}}}
	stage := &runner.Stage{Name: task.Infer, Epoch: 1, Tasks: []task.Task{gpu, cpu, gpu}, Policy: runner.Policy{Retries: 5}}
	got, err := New(o).Script(stage)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "script.golden.yaml", got)
	if strings.Contains(got, "sk-very-secret") {
		t.Error("the script holds a secret")
	}
}

// With an object store pods get no volume, but all that leads them to it.
func TestScriptObjects(t *testing.T) {
	t.Parallel()
	o := Options{Getenv: func(n string) string {
		return map[string]string{"AWS_ACCESS_KEY_ID": "AKIAVERYSECRET", "AWS_SECRET_ACCESS_KEY": "very-secret-too"}[n]
	}}
	notes, err := FromConfig(py.DictOf(
		"type", "KubernetesRunner", "image", "registry.example.com/sextant:1", "service_account", "evaluator",
		"object_store", "s3://bucket/evaluations/", "object_store_endpoint", "https://minio.example.com:9000", "object_store_region", "eu-west-1",
		"object_store_addressing", "path", "object_store_credentials", "store", "object_store_interval", 1.5, "keep_objects", true,
	), &o)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	k := task.Task{Name: "T[c/x]", Model: py.DictOf("abbr", "c"), ModelAbbr: "c", Units: []task.Unit{{Dataset: py.DictOf("abbr", "x"), Abbr: "x"}}}
	got, err := New(o).Script(&runner.Stage{Name: task.Infer, Epoch: 1, Tasks: []task.Task{k}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "objects.golden.yaml", got)
	if strings.Contains(got, "VERYSECRET") || strings.Contains(got, "very-secret") {
		t.Error("the script holds a secret")
	}
}

// golden compares with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it):\n%s", name, got)
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		key  string
		val  py.Value
		want string
	}{
		{"image", 3, "image must be a string, not int"},
		{"image", "", "image is empty"},
		{"max_num_workers", 0, "max_num_workers is 0, must be 1 to"},
		{"max_num_workers", "4", "max_num_workers must be an int, not str"},
		{"retry", -1, "retry is -1"},
		{"resources", py.NewList(), "resources must be a dict, not list"},
		{"resources", py.DictOf("cpu", 4), "resources has requests and limits, not 'cpu'"},
		{"resources", py.DictOf("limits", py.DictOf("memory", "16 GB")), "'16 GB' is no quantity of 'memory'"},
		{"tolerations", py.NewList(py.DictOf("kee", "x")), `tolerations: unknown field "kee"`},
		{"volumes", py.DictOf("name", "x"), "volumes: "},
		{"node_selector", py.DictOf("a", py.NewList()), "node_selector must hold strings, 'a' is list"},
		{"pvc", py.DictOf("claim", "x"), "pvc needs a claim and a mount_path"},
		{"pvc", py.DictOf("claims", "x"), "pvc has no 'claims'"},
		{"secret_refs", py.DictOf("A", "b"), "'A' must say 'secret/key'"},
		{"secret_refs", 3, "secret_refs must be a list of strings"},
		{"work_dir_map", py.DictOf("a", "/b"), "absolute paths"},
		{"command", py.NewList(1), "one is int"},
		{"object_store", "bucket/prefix", "is not of the form s3://bucket/prefix"},
		{"object_store", "s3://key:secret@bucket", "is not of the form"},
		{"object_store_endpoint", "minio:9000", "must be a URL"},
		{"object_store_endpoint", "https://key:secret@minio", "no name or password"},
		{"object_store_addressing", "host", "must be path or virtual"},
		{"object_store_interval", 0, "must be 0.01 to 60 seconds"},
		{"object_store_interval", "1", "must be a number of seconds"},
		{"object_store_credentials", "", "object_store_credentials is empty"},
		{"object_store_region", "eu-west-1", "object_store is missing"},
		{"keep_objects", 1, "must be True or False"},
	}
	for _, c := range cases {
		cfg := py.DictOf("type", "KubernetesRunner", "image", "i")
		cfg.Set(c.key, c.val)
		_, err := FromConfig(cfg, &Options{})
		var l source.List
		if !errors.As(err, &l) || len(l) != 1 || !strings.Contains(l[0].Msg, c.want) {
			t.Errorf("%s=%s: %v, want %q", c.key, py.Repr(c.val), err, c.want)
		}
	}
	_, err := FromConfig(py.DictOf("type", "KubernetesRunner", "retry", "x"), &Options{})
	if l := source.Diagnostics(err); len(l) != 2 {
		t.Errorf("not all mistakes are told: %v", err)
	}
	notes, err := FromConfig(py.DictOf("type", "KubernetesRunner", "image", "i", "name_space", "x", "quux", 1, "lark_bot_url", "u", "pvc", nil), &Options{})
	want := []string{"ignored argument of KubernetesRunner: name_space='x' (did you mean namespace?)", "ignored argument of KubernetesRunner: quux=1"}
	if err != nil || !slices.Equal(notes, want) {
		t.Errorf("%q %v", notes, err)
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	cl, err := runner.Classes.Lookup("KubernetesRunner")
	if err != nil || !cl.Elsewhere {
		t.Fatal(cl, err)
	}
	r, _, err := cl.New(py.DictOf("type", "KubernetesRunner", "image", "i", "kubeconfig", "k"), runner.Env{Dir: "/d"})
	if err != nil || r.(*Runner).o.Kubeconfig != "/d/k" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPodPath(t *testing.T) {
	t.Parallel()
	o := Options{
		WorkDirMap:   []PathMap{{"/home/me", "/data"}, {"/home/me/big", "/big"}},
		VolumeMounts: []corev1.VolumeMount{{MountPath: "/data/"}, {MountPath: "/big"}},
	}
	for p, want := range map[string]string{
		"/home/me/run": "/data/run", "/home/me": "/data", "/home/me/big/run": "/big/run", "/home/me/bigger": "/data/bigger", "/elsewhere/x": "/elsewhere/x",
	} {
		if got := o.podPath(p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
	if !o.mounted("/data/run") || o.mounted("/worker") || !o.mounted("/big") {
		t.Error("mounted")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, dir := range []string{"/w/20250102_030405", "/v/20250102_030405", "/w/Ünï çödé with a very long name indeed, longer than allowed", "/"} {
		for _, stage := range []string{task.Infer, task.Eval} {
			for _, n := range []int{1, 999} {
				name := jobName(dir, stage, 1000, n)
				// The pods' names, "-99999-abcde" longer, may have 63.
				if len(name) > 63-12 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Contains(name, "--") || seen[name] {
					t.Errorf("%q", name)
				}
				seen[name] = true
			}
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		left    []int
		workers int
		want    []int
	}{
		{[]int{100}, 16, []int{16}},
		{[]int{3}, 16, []int{3}},
		{[]int{30, 10}, 16, []int{12, 4}},
		{[]int{1000, 1, 0}, 8, []int{7, 1, 0}},
		{[]int{5, 5, 5}, 1, []int{1, 1, 1}},
		{nil, 4, []int{}},
	} {
		if got := shares(c.left, c.workers); !slices.Equal(got, c.want) {
			t.Errorf("%v of %d: %v, want %v", c.left, c.workers, got, c.want)
		}
	}
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{0, 0, 0}, {2, 0, 2}, {10, 0, 2}, {10, 5, 4}, {1, 5, 1}} {
		if got := restarts(runner.Policy{Retries: c[0], SameReason: c[1]}); got != c[2] {
			t.Errorf("%v: %d", c, got)
		}
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	s := parseIndexes("0,2-4,9")
	var got []int
	for i := range 12 {
		if s.has(i) {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, []int{0, 2, 3, 4, 9}) || parseIndexes("").has(0) {
		t.Error(got)
	}
}

func FuzzIndexes(f *testing.F) {
	f.Add("0,2-4,9", 3, 2)
	f.Add("-1,x,3-", 2, 0)
	f.Fuzz(func(t *testing.T, junk string, first, n int) {
		first, n = first&0xffff, n&0xff
		// What cannot be read is skipped, and hides nothing else.
		s := parseIndexes(fmt.Sprintf("%s,%d-%d", junk, first, first+n))
		if !s.has(first) || !s.has(first+n) {
			t.Errorf("%v lacks %d or %d", s, first, first+n)
		}
		if junk == "" && (s.has(first-1) || s.has(first+n+1)) {
			t.Errorf("%v has more than %d to %d", s, first, first+n)
		}
	})
}

func TestPodErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    podInfo
		want string
	}{
		{podInfo{code: 0}, "<nil>"},
		{podInfo{code: 7}, "exit code 7"},
		{podInfo{code: 130}, "exit code 130"},
		{podInfo{code: 137}, "killed by signal 9"},
		{podInfo{code: 137, reason: "OOMKilled"}, "out of memory (exit code 137): raise resources.limits.memory"},
		{podInfo{code: 128, reason: "StartError"}, "exit code 128, StartError"},
		{podInfo{code: -1, reason: "NodeLost"}, "pod ended: NodeLost"},
		{podInfo{code: -1}, "pod ended without saying why"},
	} {
		if got := fmt.Sprint(c.p.err()); got != c.want {
			t.Errorf("%+v: %s, want %s", c.p, got, c.want)
		}
	}
}

func TestTransient(t *testing.T) {
	t.Parallel()
	r := schema.GroupResource{Resource: "jobs"}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("connection refused"), true},
		{apierrors.NewServiceUnavailable("x"), true},
		{apierrors.NewTooManyRequests("x", 1), true},
		{apierrors.NewInternalError(errors.New("etcd")), true},
		{apierrors.NewForbidden(r, "x", errors.New("no")), false},
		{apierrors.NewUnauthorized("x"), false},
		{fmt.Errorf("wrapped: %w", apierrors.NewNotFound(r, "x")), false},
		{apierrors.NewAlreadyExists(r, "x"), false},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Job"}, "x", nil), false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

func TestLastBytes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789\n", 20000)
	got, err := lastBytes(strings.NewReader(long), 100)
	if err != nil || len(got) > 100 || !strings.HasPrefix(string(got), "0123456789\n") || !strings.HasSuffix(long, string(got)) {
		t.Errorf("%q %v", got, err)
	}
	if got, _ := lastBytes(strings.NewReader("ab\nc"), 100); string(got) != "ab\nc" {
		t.Errorf("%q", got)
	}
	if got := lastLines("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("%q", got)
	}
}

// A folder that pods do not see is told before anything is started.
func TestNotMounted(t *testing.T) {
	t.Parallel()
	b := &placeError{"/here"}
	if !strings.Contains(b.Error(), "/here") || !strings.Contains(b.Hint(), "pvc=") {
		t.Error(b)
	}
	o := Options{Image: "i"}
	if New(o).o.mounted("/here") {
		t.Error("nothing is mounted")
	}
	if d := New(o).o.LostAfter; d != 2*time.Minute {
		t.Error(d)
	}
}
