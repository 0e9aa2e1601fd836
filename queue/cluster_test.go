package queue

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestClusterURL(t *testing.T) {
	t.Run("names seeds, a user and a tag", func(t *testing.T) {
		u, err := parseClusterURL("rediss+cluster://u:p%2Cw@a:1,b,[::1]:7000/?tag=kyu-1")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(u.Seeds, " ") + " " + u.username + " " + u.password + " " + u.Tag
		if want := "a:1 b:6379 [::1]:7000 u p,w kyu-1"; got != want || !u.tls {
			t.Errorf("%s, TLS %v, want %s with TLS", got, u.tls, want)
		}
	})
	for name, x := range map[string]struct{ url, want string }{
		"no tag":          {"redis+cluster://h/", "has no tag"},
		"an empty tag":    {"redis+cluster://h/?tag=", "has no tag"},
		"braces":          {"redis+cluster://h/?tag={a}", "without braces"},
		"a strange tag":   {"redis+cluster://h/?tag=a%20b", "want 1 to 64"},
		"a database":      {"redis+cluster://h/1?tag=a", "no database numbers"},
		"another setting": {"redis+cluster://h/?tag=a&x=1", "the setting x"},
		"no host":         {"redis+cluster:///?tag=a", "is not understood"},
		"an empty host":   {"redis+cluster://a,,b/?tag=a", "is not understood"},
		"a wrong port":    {"redis+cluster://a:99999/?tag=a", "is not understood"},
	} {
		t.Run("is refused with "+name, func(t *testing.T) {
			_, err := parseClusterURL(x.url)
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
}

func TestClusterConfig(t *testing.T) {
	const url = "redis+cluster://h1,h2/?tag=a"
	for name, x := range map[string]struct {
		config Config
		want   string
	}{
		"a database number": {Config{URL: url, DB: 1}, "database number 1"},
		"an address":        {Config{URL: url, Addr: "h:1"}, "h:1 is set too"},
		"a namespace":       {Config{URL: url, Namespace: "ns"}, "namespace ns"},
		"Sentinels":         {Config{URL: url, Sentinels: []string{"s:1"}}, "Sentinels"},
	} {
		t.Run("is refused with "+name, func(t *testing.T) {
			_, err := NewStore(x.config)
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
	t.Run("puts all keys into the slot", func(t *testing.T) {
		s, err := NewStore(Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got, want := s.ks.Inflight("q", "me"), "{a}:kyu:{{a}:queue:q}:inflight:me"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func readerOf(vars map[string]string) *env.Reader {
	return &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
}

func TestClusterFromEnv(t *testing.T) {
	const url = "redis+cluster://u:secret@h1,h2/?tag=a"
	for name, x := range map[string]struct {
		vars map[string]string
		want string
	}{
		"a namespace": {map[string]string{"REDIS_URL": url, "REDIS_NAMESPACE": "ns"},
			"the namespace ns"},
		"a database number": {map[string]string{"SIDEKIQ_REDIS_URL": url, "SIDEKIQ_REDIS_DB": "2"},
			"database number 2"},
		"two shards in one slot": {map[string]string{"KYU_SHARDS": "a b", "KYU_SHARD_A_URL": url,
			"KYU_SHARD_B_URL": "redis+cluster://h2/?tag=a"}, "the same place"},
	} {
		t.Run("is refused with "+name, func(t *testing.T) {
			r := readerOf(x.vars)
			ShardsFromEnv(r)
			err := r.Err()
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
	t.Run("is refused for other data than queues", func(t *testing.T) {
		r := readerOf(map[string]string{"REDIS_URL": url})
		RedisFromEnv(r, "app redis", "")
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), "queues only") {
			t.Errorf("%v, want a refusal", err)
		}
	})
	t.Run("gives two shards of one cluster two tags", func(t *testing.T) {
		r := readerOf(map[string]string{"KYU_SHARDS": "a b", "KYU_SHARD_A_URL": url,
			"KYU_SHARD_B_URL": "redis+cluster://h1,h2/?tag=b"})
		if list := ShardsFromEnv(r); len(list) != 2 || r.Err() != nil {
			t.Errorf("%d shards, %v, want 2", len(list), r.Err())
		}
	})
}

func FuzzClusterURL(f *testing.F) {
	for _, s := range []string{"redis+cluster://u:p@a:1,b:2/?tag=x",
		"rediss+cluster://[::1]/?tag={x}",
		"redis+cluster://a,b", "redis+cluster://u:p,w@a/?tag=a", "://", "redis+cluster://a/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseClusterURL(raw)
		if err == nil && (len(u.Seeds) == 0 || u.checkTag("") != nil) {
			t.Errorf("%q is accepted with the seeds %q and the tag %q", raw, u.Seeds, u.Tag)
		}
	})
}
