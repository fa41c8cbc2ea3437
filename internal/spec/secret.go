package spec

import "strings"

// secretNames are the parameters by which models, judges and runners are given
// a secret.
var secretNames = words("key keys token ak sk authorization cookie credential credentials org bearer lark_bot_url appid api-key x-api-key use_auth_token " +
	"app_key appkey openai_key azure_key subscription_key signing_key encryption_key session_token refresh_token id_token bearer_token bot_token github_token")

// secretParts are in the names of others.
var secretParts = []string{"secret", "password", "passwd", "api_key", "apikey", "access_key", "accesskey", "private_key", "auth_token", "access_token", "hf_token", "app_key"}

// IsSecretKey reports whether a string under this key of a config is treated
// as a secret, whatever it says: the name is one by which secrets are given.
func IsSecretKey(key string) bool {
	k := strings.ToLower(key)
	if secretNames[k] {
		return true
	}
	for _, s := range secretParts {
		if strings.Contains(k, s) {
			return true
		}
	}
	return false
}

// IsSecret reports whether the text under a key of a config is a secret: by
// the key, or, under any other …_key and …_token, by its form. A key may name a
// column of the data or a member of a record (output_key, index_key) and a token
// may be a piece of a prompt (ice_token); such texts are words.
func IsSecret(key, text string) bool {
	if IsSecretKey(key) {
		return true
	}
	k := strings.ToLower(key)
	return (strings.HasSuffix(k, "_key") || strings.HasSuffix(k, "_token")) && random(text)
}

// random reports whether a text looks drawn rather than written: a run of
// twelve letters and digits or more that has several of both.
func random(s string) bool {
	for _, part := range strings.FieldsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) {
		digits := 0
		for i := range len(part) {
			if part[i] >= '0' && part[i] <= '9' {
				digits++
			}
		}
		if len(part) >= 12 && digits >= 2 && len(part)-digits >= 2 {
			return true
		}
	}
	return false
}

// IsSecretVariable reports whether a variable of the environment holds a
// secret, by its name. It rather takes too much: what it says is only kept out
// of logs.
func IsSecretVariable(name string) bool {
	k := strings.ToLower(name)
	return IsSecretKey(k) || strings.HasSuffix(k, "_key") || strings.HasSuffix(k, "_token")
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
