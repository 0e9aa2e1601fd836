package jobs_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/kyujobs/kyu/jobs"
)

const failures = "exhausted_deliveries:127.0.0.1"

func TestAvailability(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	d := all.deliveries()
	gone := func(s *site) int { return s.count("SELECT count(*) FROM unavailable_domains") }
	t.Run("the seventh day with failures makes a host count as gone", func(t *testing.T) {
		s := all.With(t)
		for day := range 6 {
			s.redis.SAdd(t.Context(), failures, "2026110"+strconv.Itoa(day))
		}
		in.status.Store(500)
		if err := d.Deliver(t.Context(), in.to("/inbox")); outcome(err) != "retry" {
			t.Error(err)
		}
		if n := gone(s); n != 1 {
			t.Errorf("%d hosts are gone", n)
		}
	})
	for name, d := range map[string]*jobs.Deliveries{"the same worker": d,
		"another worker": all.deliveries()} {
		t.Run("nothing is sent to it by "+name, func(t *testing.T) {
			before := in.seen.Load()
			err := d.Deliver(t.Context(), in.to("/inbox"))
			if n := in.seen.Load() - before; err != nil || n != 0 {
				t.Errorf("%v after %d requests", err, n)
			}
		})
	}
	t.Run("a delivery that bypasses this and succeeds clears it", func(t *testing.T) {
		s := all.With(t)
		in.status.Store(202)
		a := in.to("/inbox")
		a.Options.BypassAvailability = true
		if err := d.Deliver(t.Context(), a); err != nil {
			t.Error(err)
		}
		if n, days := gone(s), s.redis.Exists(t.Context(), failures).Val(); n != 0 || days != 0 {
			t.Errorf("%d hosts are gone, %d keys of failures", n, days)
		}
	})
}

func TestRefusal(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	gone := func(s *site) int { return s.count("SELECT count(*) FROM unavailable_domains") }
	for _, status := range []int64{404, 410, 403} {
		t.Run(fmt.Sprintf("of %d shows that a host that counts as gone lives", status),
			func(t *testing.T) {
				s := all.With(t)
				s.redis.Del(t.Context(), failures) // Redis may have lost the days
				s.exec("INSERT INTO unavailable_domains (domain, created_at, updated_at) " +
					"VALUES ('127.0.0.1', now(), now()) ON CONFLICT DO NOTHING")
				in.status.Store(status)
				a := in.to("/inbox")
				a.Options.BypassAvailability = true
				if err := s.deliveries().Deliver(t.Context(), a); err != nil || gone(s) != 0 {
					t.Errorf("%d hosts are gone (%v)", gone(s), err)
				}
			})
		t.Run(fmt.Sprintf("of %d ends the days with failures", status), func(t *testing.T) {
			s := all.With(t)
			s.redis.SAdd(t.Context(), failures, "20261101", "20261102")
			in.status.Store(status)
			err := s.deliveries().Deliver(t.Context(), in.to("/inbox"))
			if days := s.redis.SCard(t.Context(), failures).Val(); days != 0 || err != nil {
				t.Errorf("%d days with failures (%v)", days, err)
			}
		})
	}
}
