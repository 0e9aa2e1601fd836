package queue

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

// lookup is an environment.
func lookup(vars map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) { v, ok := vars[key]; return v, ok }
}

func TestSentinelsAreReadAsMastodonReadsThem(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want string // sentinels, master, user and password; or a part of the problem
	}{
		"both": {map[string]string{"REDIS_SENTINELS": "a, b:1,[::1]",
			"REDIS_SENTINEL_MASTER": "m", "REDIS_PASSWORD": "p"}, "a:26379 b:1 [::1]:26379 m  p"},
		"own port, own user": {map[string]string{"REDIS_SENTINELS": "a", "REDIS_SENTINEL_PORT": "5",
			"REDIS_SENTINEL_MASTER": "m", "REDIS_SENTINEL_USERNAME": "u",
			"REDIS_SENTINEL_PASSWORD": "q", "REDIS_PASSWORD": "p"}, "a:5 m u q"},
		"a URL comes first": {map[string]string{"REDIS_URL": "redis://x", "REDIS_SENTINELS": "a",
			"REDIS_SENTINEL_MASTER": "m"}, "  "},
		"prefixed": {map[string]string{"SIDEKIQ_REDIS_SENTINELS": "s",
			"SIDEKIQ_REDIS_SENTINEL_MASTER": "m"}, "s:26379 m  "},
		"half": {map[string]string{"REDIS_SENTINELS": "a"}, "set both"},
	} {
		r := &env.Reader{Lookup: lookup(c.vars)}
		got := ConfigFromEnv(r)
		text := strings.Join(append(got.Sentinels, got.SentinelMaster, got.SentinelUsername,
			got.SentinelPassword), " ")
		if r.Err() != nil {
			text = r.Err().Error()
		}
		if text != c.want && !(r.Err() != nil && strings.Contains(text, c.want)) {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

func TestWrongTLSSettingsAreNamedWithTheRemedy(t *testing.T) {
	for want, vars := range map[string]map[string]string{
		"want rediss://":               {"REDIS_URL": "redis://x", "REDIS_TLS_CA": "x"},
		"no PEM certificate":           {"REDIS_URL": "rediss://x", "REDIS_TLS_CA": "x"},
		"REDIS_TLS_CERT and REDIS_TLS": {"REDIS_URL": "rediss://x", "REDIS_TLS_CERT": "x"},
	} {
		r := &env.Reader{Lookup: lookup(vars)}
		ConfigFromEnv(r)
		if r.Err() == nil || !strings.Contains(r.Err().Error(), want) {
			t.Errorf("want %q, got %v", want, r.Err())
		}
	}
}

// Whatever is in the variables, a password does not get into what is printed.
func FuzzRedisURL(f *testing.F) {
	f.Add("redis", "@localhost:6379/0", "a:1,b", "m")
	f.Add("rediss", "@[::1]:1/99?skip_verify=true", "", "")
	f.Add("unix", "@/tmp/x.sock?db=3", "[::1]:x", "m")
	f.Fuzz(func(t *testing.T, scheme, rest, sentinels, master string) {
		const canary = "canary-d0n7-pr1n7"
		url := scheme + "://user:" + canary + rest
		for _, vars := range []map[string]string{{"REDIS_URL": url},
			{"REDIS_HOST": rest, "REDIS_PORT": scheme, "REDIS_PASSWORD": canary},
			{"REDIS_SENTINELS": sentinels, "REDIS_SENTINEL_MASTER": master,
				"REDIS_SENTINEL_PASSWORD": canary}} {
			r := &env.Reader{Lookup: lookup(vars)}
			c := ConfigFromEnv(r)
			for _, s := range r.Settings {
				if strings.Contains(s.Value, canary) {
					t.Errorf("%s shows the password: %q", s.Name, s.Value)
				}
			}
			if err := r.Err(); err != nil {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("the problem shows the password: %v", err)
				}
				continue
			}
			if _, err := c.options(); err != nil {
				t.Errorf("taken, and then refused: %v", err)
			}
		}
	})
}
