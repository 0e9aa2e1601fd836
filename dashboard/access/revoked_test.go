package access

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/test/kit/redistest"
)

// checkRevoked checks what every Revoked promises.
func checkRevoked(t *testing.T, one, other Revoked) {
	t.Helper()
	mark := func(r Revoked, name string) string {
		text, err := r.Mark(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := mark(one, "alice"); got != "" {
		t.Errorf("at first the mark is %q", got)
	}
	seen := map[string]bool{"": true}
	for range 3 {
		if err := one.Revoke(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		got := mark(other, "alice")
		if seen[got] || mark(one, "alice") != got {
			t.Errorf("the mark is %q, as before", got)
		}
		seen[got] = true
	}
	if got := mark(one, "bob"); got != "" {
		t.Errorf("the mark of bob is %q", got)
	}
}

func TestRevoked(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{marks: map[string]mark{}}
			checkRevoked(t, m, m)
			time.Sleep(SessionTime)
			if got, _ := m.Mark(t.Context(), "alice"); got == "" {
				t.Error("the mark is away before the last session has ended")
			}
			time.Sleep(time.Millisecond)
			if got, _ := m.Mark(t.Context(), "alice"); got != "" || len(m.marks) != 0 {
				t.Errorf("after all sessions the mark is %q", got)
			}
		})
	})
	t.Run("in Redis, for all processes", func(t *testing.T) {
		server := redistest.Start(t)
		checkRevoked(t, RevokedIn(server.Store()), RevokedIn(server.Store()))
		ttl := server.Client().PTTL(t.Context(), "kyu:web:revoked:alice").Val()
		if ttl <= SessionTime-time.Minute || ttl > SessionTime {
			t.Errorf("the key expires in %v", ttl)
		}
	})
	t.Run("in Redis says when Redis does not answer", func(t *testing.T) {
		server := redistest.Start(t)
		r := RevokedIn(server.Store())
		server.Kill()
		if _, err := r.Mark(t.Context(), "alice"); err == nil {
			t.Error("Mark has no error")
		}
		if err := r.Revoke(t.Context(), "alice"); err == nil {
			t.Error("Revoke has no error")
		}
	})
}
