package inspect

import (
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestServer(t *testing.T) {
	r := redistest.Start(t)
	raw := r.Client()
	raw.ConfigSet(t.Context(), "slowlog-log-slower-than", "0")
	raw.ConfigSet(t.Context(), "latency-monitor-threshold", "7")
	raw.LPush(t.Context(), "queue:a", `{"password":"secret"}`)
	raw.ConfigSet(t.Context(), "slowlog-log-slower-than", "-1")
	t.Run("says what a user with few rights may know, and what not", func(t *testing.T) {
		s, err := New(r.Store()).Server(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Version == "" || s.Role != "master" || s.Memory.Used == 0 || s.Clients.Most == 0 ||
			s.RTT <= 0 || s.Keys == 0 || len(s.Commands) == 0 {
			t.Errorf("%+v", s)
		}
		refused := strings.Join(s.Refused, "; ")
		if !strings.Contains(refused, "SLOWLOG GET: NOPERM") ||
			!strings.Contains(refused, "LATENCY LATEST: NOPERM") {
			t.Error(refused)
		}
	})
	t.Run("knows slow calls without their payloads", func(t *testing.T) {
		store := r.Store(func(c *queue.Config) { c.URL = "redis://" + r.Addr })
		s, err := New(store).Server(t.Context())
		if err != nil || len(s.Refused) > 0 || s.SpikesFrom != 7 {
			t.Fatalf("%+v %v", s, err)
		}
		i := slices.IndexFunc(s.Slow, func(c ServerSlowCall) bool {
			return strings.EqualFold(c.Words[0], "lpush")
		})
		if i < 0 || strings.Join(s.Slow[i].Words[1:], " ") != "queue:a (21 bytes)" {
			t.Errorf("%+v", s.Slow)
		}
	})
	t.Run("is an error if it does not answer", func(t *testing.T) {
		in := New(r.Store())
		r.Kill()
		if s, err := in.Server(t.Context()); err == nil {
			t.Errorf("%+v", s)
		}
	})
}

func TestParseInfo(t *testing.T) {
	s := &Server{}
	s.parseInfo("# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\nused_memory:1024\r\n" +
		"cmdstat_get:calls=2,usec=25,usec_per_call=12.50,rejected_calls=1,failed_calls=2\r\n" +
		"cmdstat_client|id:calls=1,usec=75,usec_per_call=75.00\r\n")
	if s.Version != "8.1.0" || s.Memory.Used != 1024 || len(s.Commands) != 2 {
		t.Fatalf("%+v", s)
	}
	want := ServerCommand{"get", 2, 12.5, 0.25, 3}
	if s.Commands[0].Name != "client|id" || s.Commands[1] != want {
		t.Errorf("%+v", s.Commands)
	}
}

func TestSlowWords(t *testing.T) {
	for in, want := range map[string]string{
		"GET a":                              "GET a",
		`LPUSH queue:a {"a":1}`:              "LPUSH queue:a (7 bytes)",
		"EVALSHA " + strings.Repeat("x", 81): "EVALSHA (81 bytes)",
		"a b c d e f g h":                    "a b c d e f (2 more)",
	} {
		if got := strings.Join(slowWords(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
