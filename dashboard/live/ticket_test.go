package live

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

func tickets(t testing.TB, letter string) *Tickets {
	t.Helper()
	got, err := NewTickets(bytes.Repeat([]byte(letter), 32))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTickets(t *testing.T) {
	t.Parallel()
	t.Run("are good at every process with the key, for any number of streams",
		func(t *testing.T) {
			ticket := tickets(t, "k").Issue("Ada Łącka")
			for range 2 {
				if got, err := tickets(t, "k").Check(ticket); err != nil || got != "Ada Łącka" {
					t.Errorf("%q, %v", got, err)
				}
			}
			if url.QueryEscape(ticket) != ticket {
				t.Errorf("%s has to be escaped", ticket)
			}
		})
	t.Run("end after a minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			all := tickets(t, "k")
			ticket := all.Issue("ada")
			<-time.After(59 * time.Second)
			if _, err := all.Check(ticket); err != nil {
				t.Errorf("after 59 s: %v", err)
			}
			<-time.After(time.Second)
			if _, err := all.Check(ticket); err == nil {
				t.Error("is good after 60 s")
			}
		})
	})
	t.Run("of another key are refused", func(t *testing.T) {
		if _, err := tickets(t, "k").Check(tickets(t, "l").Issue("ada")); err == nil {
			t.Error("is good")
		}
	})
	t.Run("have one spelling: no other character, none more and none less",
		func(t *testing.T) {
			const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
			all := tickets(t, "k")
			ticket := all.Issue("ada")
			for i := range ticket {
				others := []string{ticket[:i], ticket[:i] + "\n" + ticket[i:], ticket[:i] + "\r" +
					ticket[i:]}
				for _, c := range letters {
					others = append(others, ticket[:i]+string(c)+ticket[i+1:])
				}
				for _, other := range others {
					if _, err := all.Check(other); err == nil && other != ticket {
						t.Errorf("%q is good", other)
					}
				}
			}
		})
	t.Run("the caller may change its key afterwards", func(t *testing.T) {
		key := bytes.Repeat([]byte("k"), 32)
		all, err := NewTickets(key)
		if err != nil {
			t.Fatal(err)
		}
		clear(key)
		if _, err := tickets(t, "k").Check(all.Issue("ada")); err != nil {
			t.Error(err)
		}
	})
	t.Run("a short key is refused", func(t *testing.T) {
		if _, err := NewTickets(make([]byte, 31)); err == nil {
			t.Error("31 bytes are accepted")
		}
	})
	t.Run("guard a handler", func(t *testing.T) {
		all := tickets(t, "k")
		guarded := all.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}))
		for query, want := range map[string]int{"?ticket=" + all.Issue("ada"): 418, "": 401,
			"?ticket=x": 401} {
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, httptest.NewRequest("GET", "/"+query, nil))
			if w.Code != want {
				t.Errorf("%q is answered %d, want %d", query, w.Code, want)
			}
		}
	})
}

func FuzzTicket(f *testing.F) {
	all := tickets(f, "k")
	f.Add(all.Issue("ada"))
	f.Add("")
	f.Add("AAAA\n")
	f.Fuzz(func(t *testing.T, ticket string) {
		person, err := tickets(t, "k").Check(ticket)
		if err == nil && len(ticket) != len(all.Issue(person)) {
			t.Errorf("%q is good for %q", ticket, person)
		}
		if err != nil && person != "" {
			t.Errorf("%q names %q, with the error %v", ticket, person, err)
		}
	})
}
