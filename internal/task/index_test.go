package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/py"
)

func TestIndex(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	var x Index
	x.Run = "../.."
	for i, id := range []string{"infer-0001-00001", "infer-0001-00002"} {
		m := &Manifest{
			ID: id, Attempt: 1, Run: "/elsewhere", Stage: Infer, ModelAbbr: "m", Model: py.DictOf("key", []string{"sk-first-key", "sk-second-key"}[i]),
			Units: []Unit{{Dataset: py.DictOf("abbr", "d"), Abbr: "d"}},
		}
		data, secrets, err := m.Encode()
		if err != nil || len(secrets) != 1 {
			t.Fatal(secrets, err)
		}
		write(t, filepath.Join(run, m.Path()), data)
		x.Entries = append(x.Entries, IndexEntry{Manifest: m.Path(), Secrets: map[string]string{"SEXTANT_SECRET_1": []string{"SEXTANT_SECRET_1", "SEXTANT_SECRET_2"}[i]}})
	}
	data, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(run, "state", "kube", "x.json")
	write(t, path, data)
	env := map[string]string{IndexVar: "1", RestartsVar: "2+", "SEXTANT_SECRET_1": "sk-first-key", "SEXTANT_SECRET_2": "sk-second-key"}
	m, err := ReadManifest(path, func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != "infer-0001-00002" || m.Attempt != 3 || m.Run != run || m.Model.Str("key") != "sk-second-key" {
		t.Errorf("%+v", m)
	}
	for name, bad := range map[string][2]string{
		"not a number": {IndexVar, "x"}, "behind the end": {IndexVar, "2"}, "none": {IndexVar, ""},
		"restarts": {RestartsVar, "1+x"}, "negative": {RestartsVar, "-1"},
	} {
		_, err := ReadManifest(path, func(k string) string {
			if k == bad[0] {
				return bad[1]
			}
			return env[k]
		})
		if err == nil || !strings.Contains(err.Error(), bad[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x.Entries[1].Manifest = "../../etc/passwd"
	data, _ = x.Encode()
	if _, err := DecodeIndex(data); err == nil {
		t.Error("an index may point out of the run")
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
