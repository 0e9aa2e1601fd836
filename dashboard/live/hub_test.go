package live

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSampler(t *testing.T) {
	t.Parallel()
	inSite(t, "samples nothing while nobody listens", nil, func(s *site) {
		<-time.After(time.Hour)
		if n := s.count(); n != 0 {
			s.Errorf("%d samples without a client", n)
		}
		r := s.listen("/")
		r.expect(shown(`{"n":1}`))
		r.leave()
		<-time.After(time.Hour)
		if n := s.count(); n < 1 || n > 2 {
			s.Errorf("%d samples for one client that left at once", n)
		}
	})
	inSite(t, "samples once a second for any number of clients", nil, func(s *site) {
		for range 50 {
			s.listen("/").expect(shown(`{"n":1}`))
		}
		before := s.count()
		<-time.After(10*time.Second + time.Millisecond)
		if n := s.count() - before; n != 10 {
			s.Errorf("%d samples in 10 s for 50 clients", n)
		}
	})
	inSite(t, "sends no old state to who comes after a time without clients", nil,
		func(s *site) {
			r := s.listen("/")
			r.expect(shown(`{"n":1}`))
			r.leave()
			<-time.After(time.Hour)
			s.set(`{"n":2}`, nil)
			s.listen("/").expect(shown(`{"n":2}`))
		})
	inSite(t, "gives a sample ten seconds", func(o *Options) {
		o.Sample = waitForEnd
	}, func(s *site) {
		began := time.Now()
		s.listen("/").expect(string(trouble.bytes))
		if took := time.Since(began); took != 10*time.Second {
			s.Errorf("trouble after %v", took)
		}
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	inSite(t, "is sent once, and the same state again after it", nil, func(s *site) {
		r := s.listen("/")
		r.expect(shown(`{"n":1}`))
		s.set("", errors.New("redis is away"))
		r.expect(string(trouble.bytes))
		time.AfterFunc(5*time.Minute, func() { s.set(`{"n":1}`, nil) })
		if got := r.event(); got != shown(`{"n":1}`) {
			s.Errorf("after the trouble: %q", got)
		}
	})
	inSite(t, "is sent to who comes during it", nil, func(s *site) {
		s.set("", errors.New("redis is away"))
		s.listen("/").expect(string(trouble.bytes))
		s.listen("/").expect(string(trouble.bytes))
	})
	inSite(t, "is sampled less and less often, and logged twice", nil, func(s *site) {
		s.set("", errors.New("redis is away"))
		r := s.listen("/")
		r.expect(string(trouble.bytes))
		time.AfterFunc(10*time.Minute, func() { s.set(`{}`, nil) })
		if got := r.event(); got != shown(`{}`) {
			s.Errorf("after the trouble: %q", got)
		}
		if n := s.count(); n < 60 || n > 125 {
			s.Errorf("%d samples in 10 minutes, want one each 5 to 10 s", n)
		}
		s.stop()
		synctest.Wait()
		if n := strings.Count(s.log.String(), "\n"); n != 2 ||
			!strings.Contains(s.log.String(), "redis is away") {
			s.Errorf("the log has %d lines: %s", n, s.log.String())
		}
	})
	inSite(t, "is not the end of Run during a sample", func(o *Options) {
		o.Sample = waitForEnd
	}, func(s *site) {
		r := s.listen("/")
		s.stop()
		if got := r.event(); !strings.HasPrefix(got, "event: bye\n") {
			s.Errorf("%q", got)
		}
		if s.log.Len() > 0 {
			s.Errorf("the log: %s", s.log.String())
		}
	})
	inSite(t, "does not show the error to clients", nil, func(s *site) {
		s.set("", errors.New("dial 10.1.2.3: refused"))
		if got := s.listen("/").block(); strings.Contains(got, "10.1.2.3") {
			s.Errorf("%q", got)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	inSite(t, "too many clients are told when to come back", func(o *Options) { o.Max = 2 },
		func(s *site) {
			a := s.listen("/")
			s.listen("/")
			r := s.get("/")
			if r.answer.StatusCode != 503 || r.answer.Header.Get("Retry-After") == "" {
				s.Errorf("%d, headers %v", r.answer.StatusCode, r.answer.Header)
			}
			a.leave()
			synctest.Wait()
			s.listen("/").expect(shown(`{"n":1}`))
			if n := s.hub.Clients(); n != 2 {
				s.Errorf("%d clients are counted", n)
			}
		})
	inSite(t, "one address may have so many", func(o *Options) {
		o.MaxEach, o.Address = 1, pathAsAddress
	}, func(s *site) {
		a := s.listen("/a")
		s.listen("/b")
		if r := s.get("/a"); r.answer.StatusCode != 503 {
			s.Errorf("the second of one address is answered %d", r.answer.StatusCode)
		}
		a.leave()
		synctest.Wait()
		s.listen("/a").expect(shown(`{"n":1}`))
	})
	inSite(t, "after Run nobody is let in", nil, func(s *site) {
		s.stop()
		synctest.Wait()
		if r := s.get("/"); r.answer.StatusCode != 503 {
			s.Errorf("answered %d", r.answer.StatusCode)
		}
	})
}
