package task

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/py"
	"sextant/internal/spec"
	"sextant/internal/store"
)

func sample() *Manifest {
	whole := py.DictOf("abbr", "siqa", "reader_cfg", py.DictOf("input_columns", py.NewList("context", "q")), "tuple", py.NewTuple(1, 2.5),
		"eval_cfg", py.DictOf("evaluator", py.DictOf("judge_cfg", py.DictOf("type", "OpenAI", "key", "sk-judge-secret"))))
	return &Manifest{
		ID: "infer-0001-00002", Attempt: 3, Run: "/run", Stage: Infer, ModelAbbr: "m",
		Model: py.DictOf("type", "OpenAI", "path", "gpt", "key", py.NewList("sk-first-secret", "sk-second-secret", "sk-first-secret"), "headers", py.DictOf("Authorization", "Bearer abcdef"),
			"tokens", 5, "eos_token", "</s>", "org", nil),
		Units: []Unit{
			{Dataset: whole, Abbr: "siqa", Part: "siqa_0", Start: 0, Stop: 10, Cuts: []int{10}, Task: "T[m/siqa_0]", Log: "logs/a"},
			{Dataset: whole, Abbr: "siqa", Part: "siqa_1", Start: 10, Stop: 20, Cuts: []int{10}, Task: "T[m/siqa_1]", Log: "logs/b"},
			{Dataset: py.DictOf("abbr", "x"), Abbr: "x", Part: "x", Task: "T[m/siqa_1]", Log: "logs/b", Sole: true, Extra: py.DictOf("infer_order", "random")},
		},
		Options: Options{Threads: 2, MaxFailedSamples: -1, Offline: true, Env: []string{"HF_HOME"}, TaskCfg: py.DictOf("type", "OpenICLInferTask")},
	}
}

var asRepr = cmp.Transformer("repr", func(d *py.Dict) string {
	if d == nil {
		return "nil"
	}
	return py.Repr(d)
})

func TestManifestRoundTrip(t *testing.T) {
	t.Parallel()
	m := sample()
	data, secrets, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "secret\"") || strings.Contains(string(data), "sk-") || strings.Contains(string(data), "Bearer") {
		t.Fatalf("a secret is in %s", data)
	}
	if len(secrets) != 4 {
		t.Fatalf("%d secrets: %v", len(secrets), secrets)
	}
	got, err := DecodeManifest(data, func(n string) string { return secrets[n] })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got, asRepr); d != "" {
		t.Fatal(d)
	}
	if got.Units[0].Dataset != got.Units[1].Dataset {
		t.Fatal("parts of one dataset do not share its dict")
	}
	if py.Repr(m.Model) != py.Repr(sample().Model) {
		t.Fatal("encoding changed the config")
	}
	if _, err := DecodeManifest(data, func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "was not passed on") {
		t.Fatalf("a missing secret: %v", err)
	}
}

func TestManifestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"no JSON":   {"x", "read manifest"},
		"other":     {`{"v":1,"kind":"x"}`, "no manifest"},
		"newer":     {`{"v":2,"kind":"manifest"}`, "newer than this program's"},
		"stage":     {`{"v":1,"kind":"manifest","stage":"viz"}`, `unknown stage "viz"`},
		"id":        {`{"v":1,"kind":"manifest","stage":"infer","id":"../x","attempt":1}`, "bad id"},
		"reference": {`{"v":1,"kind":"manifest","stage":"infer","id":"a","attempt":1,"model":null,"units":[{"dataset":3}]}`, "points nowhere"},
	} {
		if _, err := DecodeManifest([]byte(c.data), os.Getenv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	data, _, _ := sample().Encode()
	f.Add(data)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b, func(string) string { return "x" })
		if err == nil && (m.ID == "" || m.Attempt < 1) {
			t.Fatal("an unusable manifest was accepted")
		}
	})
}

// Ten thousand parts of one dataset are a small file.
func TestManifestManyUnits(t *testing.T) {
	t.Parallel()
	m := sample()
	d := m.Units[0].Dataset
	d.Set("long", strings.Repeat("x", 5000))
	m.Units = nil
	cuts := make([]int, 10000)
	for i := range 10000 {
		m.Units = append(m.Units, Unit{Dataset: d, Abbr: "siqa", Part: fmt.Sprintf("siqa_%d", i), Start: i, Stop: i + 1, Cuts: cuts, Task: fmt.Sprintf("OpenICLInfer[m/siqa_%d]", i), Log: fmt.Sprintf("logs/infer/m/siqa_%d.out", i)})
	}
	data, _, err := m.Encode()
	if err != nil || len(data) > 3<<20 {
		t.Fatal(len(data), err)
	}
}

func TestSecretKeys(t *testing.T) {
	t.Parallel()
	for k, want := range map[string]bool{
		"key": true, "api_key": true, "OPENAI_API_KEY": true, "secret_key": true, "secretkey": true, "access_token": true, "Authorization": true, "password": true, "ak": true,
		"type": false, "path": false, "eos_token": false, "pad_token": false, "max_tokens": false, "keyword": false, "abbr": false, "input_columns": false,
		"ice_token": false, "sep_token": false, "ice_eos_token": false, "gen_field_replace_token": false, "think_end_token": false, "answer_key": false, "default_answer_key": false,
		"metric_key": false, "adv_key": false, "refresh_token": true, "x_tilake_app_key": true, "signing_key": true, "session_token": true, "spark_api_key": true,
	} {
		if spec.IsSecretKey(k) != want {
			t.Errorf("%s: %v", k, !want)
		}
	}
	if got := Scrub("a sk-abcdef-long b sk-abcdef", []string{"sk-abcdef-long", "sk-abcdef", "a"}); got != "a [secret] b [secret]" {
		t.Error(got)
	}
	if got := Secrets(py.DictOf("key", "ENV", "token", "", "api_key", "EMPTY")); len(got) != 0 {
		t.Error(got)
	}
}

// A secret is found where a config puts it together with other text, and where
// only its form gives it away; what it stands in is otherwise kept.
func TestSecretsInsideTexts(t *testing.T) {
	t.Parallel()
	cfg := py.DictOf("api_key", "hunter2-hunter2", "abbr", "m",
		"extra", py.DictOf("X-Auth", "Token hunter2-hunter2!", "auth", "Bearer abcdef123456"),
		"proxy", "http://me:pa55word@proxy:3128/x", "note", "a plain text about http://proxy:3128/ and sk-learn")
	m := sample()
	m.Model = cfg
	data, env, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeManifest(data, func(k string) string { return env[k] })
	if err != nil || py.Repr(back.Model) != py.Repr(cfg) {
		t.Errorf("%v: %s", err, py.Repr(back.Model))
	}
	dump := py.Repr(Redact(cfg))
	for _, s := range []string{"hunter2", "abcdef123456", "pa55word"} {
		if strings.Contains(string(data), s) || strings.Contains(dump, s) {
			t.Errorf("%s is written:\n%s\n%s", s, data, dump)
		}
	}
	for _, s := range []string{"Token REDACTED!", "http://REDACTED@proxy:3128/x", "http://proxy:3128/ and sk-learn"} {
		if !strings.Contains(dump, s) {
			t.Errorf("%s is lost: %s", s, dump)
		}
	}
	if got := EnvSecrets([]string{"OPENAI_API_KEY=sk-1234567", "HF_TOKEN=hf_abcdefgh", "PATH=/usr/local/bin", "KEY=short"}); len(got) != 2 {
		t.Error(got)
	}
}

func TestReporter(t *testing.T) {
	t.Parallel()
	run, err := store.Create(t.TempDir(), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	m := sample()
	path := run.Path(m.StatusPath())
	if s, err := ReadStatus(path); s != nil || err != nil {
		t.Fatal(s, err)
	}
	r := NewReporter(run, m, "h", 7, time.Hour)
	r.Unit(0, func(u *UnitStatus) { u.State = Running })
	r.Unit(0, func(u *UnitStatus) { u.State = Done })
	r.Unit(1, func(u *UnitStatus) { u.State, u.Done = Running, 3 })
	s, err := ReadStatus(path) // no beat since: only the marks say so
	if err != nil || s.State != Running || s.Units[0].State != Pending || s.Units[1].State != Running || s.Units[2].State != Pending {
		t.Fatalf("%+v %v", s, err)
	}
	r.Inputs("siqa", store.Inputs{Data: "d"})
	r.Unit(1, func(u *UnitStatus) { u.State, u.Error = Failed, &Failure{Kind: KindConfig, Message: "no"} })
	if err := r.Finish(Done, nil); err != nil {
		t.Fatal(err)
	}
	f, err := ReadStatus(path)
	if err != nil || f.State != Failed || f.Units[0].State != Done || f.Units[1].Error.Message != "no" || f.Inputs["siqa"].Data != "d" || f.Beat <= s.Beat || f.Pid != 7 {
		t.Fatalf("%+v %v", f, err)
	}
	os.WriteFile(path, []byte(`{"v":9}`), 0o666)
	if _, err := ReadStatus(path); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "3.units")); err != nil {
		t.Fatal(err)
	}
}
