package spec

import "strings"

// IsSecretKey reports whether a string under this key of a config is treated
// as a secret. It rather takes too much: a value taken out of a manifest comes
// back unchanged. But what configs call a token or a key without meaning a
// secret (ice_token, answer_key) stays readable, so that the config kept with
// a run means what was run.
func IsSecretKey(key string) bool {
	k := strings.ToLower(key)
	switch k {
	case "key", "keys", "token", "ak", "sk", "authorization", "cookie", "credential", "credentials", "org", "bearer",
		"lark_bot_url", "appid", "apikey", "api-key", "x-api-key", "use_auth_token":
		return true
	}
	for _, s := range []string{"secret", "password", "passwd", "api_key", "apikey", "access_key", "private_key", "auth_token", "access_token", "hf_token"} {
		if strings.Contains(k, s) {
			return true
		}
	}
	if s, ok := strings.CutSuffix(k, "_token"); ok {
		return !anyWord(s, textTokens)
	}
	if s, ok := strings.CutSuffix(k, "_key"); ok {
		return !anyWord(s, fieldKeys)
	}
	return false
}

// textTokens are the words before _token that mean a piece of a prompt or of a
// tokenizer's vocabulary.
var textTokens = words("ice sep pad eos bos unk mask cls stop begin start end special replace think image generated delete insert single num new max eot eom sot")

// fieldKeys are the words before _key that mean a member of a record.
var fieldKeys = words("answer adv metric question gold target prompt index dict default input output option id label reference data field column text " +
	"count mapping summarizer category group sort score result name")

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

func anyWord(key string, known map[string]bool) bool {
	for _, w := range strings.Split(key, "_") {
		if known[w] {
			return true
		}
	}
	return false
}
