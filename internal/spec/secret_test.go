package spec_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sextant/internal/sharedtest"
	"sextant/internal/spec"
)

func TestColumnsAreNoSecrets(t *testing.T) {
	t.Parallel()
	for _, k := range []string{"input_key", "output_key", "index_key", "answer_key", "target_key", "ref_key", "dict_key", "metric_key", "adv_key", "pred_key", "gt_key",
		"sort_key", "my_key", "ice_token", "think_start_token", "foo_token", "keyword", "tokenizer_path", "max_tokens"} {
		for _, v := range []string{"answer", "reference_answer_2", "gold_label_2024_v1", "ground_truth", "</E>", "## Final Response", "score", ""} {
			if spec.IsSecret(k, v) {
				t.Errorf("%s=%q is taken for a secret", k, v)
			}
		}
	}
	for k, v := range map[string]string{"key": "short", "api_key": "x", "openai_api_key": "x", "secret": "x", "token": "x", "password": "x", "client_secret": "x", "spark_api_key": "x",
		"openai_key": "x", "my_key": "sk-1234567890abcdef", "foo_token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "x_tilake_app_key": "x", "signing_key": "x"} {
		if !spec.IsSecret(k, v) {
			t.Errorf("%s=%q is taken for no secret", k, v)
		}
	}
	for _, k := range []string{"OPENAI_API_KEY", "HF_TOKEN", "MY_KEY", "AWS_SECRET_ACCESS_KEY"} {
		if !spec.IsSecretVariable(k) {
			t.Errorf("the variable %s is taken for no secret", k)
		}
	}
}

// publishedKeys are the names in published configs that sound like a secret's,
// and whether one is: under all others stand columns, members of records,
// pieces of prompts and numbers.
var publishedKeys = map[string]bool{"key": true, "token": true, "adv_key": false, "metric_key": false, "ice_token": false, "think_start_token": false, "think_end_token": false,
	"keyword": false, "tokenizer_path": false, "tokenizer_model": false, "tokenizer_kwargs": false, "eos_token_id": false, "pad_token_id": false,
	"max_new_tokens": false, "max_completion_tokens": false, "max_tokens": false, "tokens_to_generate": false}

func TestSecretsOfPublishedConfigs(t *testing.T) {
	root := filepath.Join(sharedtest.Published(t), "opencompass", "configs")
	text := regexp.MustCompile(`(?i)['"]?\b(\w*(?:key|token|secret|passw|credential|cookie|bearer|appid)\w*)\b['"]?\s*[=:]\s*(?:'([^'\n]*)'|"([^"\n]*)"|[\[{(\w])`)
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".py") {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, m := range text.FindAllStringSubmatch(string(b), -1) {
			want, known := publishedKeys[m[1]]
			if !known {
				continue // a variable, or a word of a prompt
			}
			seen[m[1]] = true
			if got := spec.IsSecret(m[1], m[2]+m[3]); got != want {
				t.Errorf("%s: %s: secret %v, want %v", p, m[0], got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := range publishedKeys {
		if !seen[k] {
			t.Errorf("no published config has %s any more", k)
		}
	}
}
