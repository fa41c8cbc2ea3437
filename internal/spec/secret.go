package spec

import "strings"

// IsSecretKey reports whether a string under this key of a config is treated
// as a secret. It rather takes too much: a value taken out of a manifest comes
// back unchanged.
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
	return strings.HasSuffix(k, "_key") || strings.HasSuffix(k, "_token") && !strings.Contains(k, "pad_") && !strings.Contains(k, "eos_") && !strings.Contains(k, "bos_")
}
