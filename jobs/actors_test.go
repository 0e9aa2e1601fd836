package jobs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// xorOfSums is FEP-8fcf's digest of a collection.
func xorOfSums(uris ...string) string {
	var all [32]byte
	for _, uri := range uris {
		sum := sha256.Sum256([]byte(uri))
		for i := range all {
			all[i] ^= sum[i]
		}
	}
	return hex.EncodeToString(all[:])
}

func TestFollowersDigest(t *testing.T) {
	s := newSite(t)
	in := s.alice()
	for i, uri := range []string{in.URL + "/users/a", in.URL + "/users/b",
		"https://else.example/users/c", in.URL + "x/users/d"} {
		s.exec("INSERT INTO accounts (id, username, domain, uri) VALUES ($1, $2, 'b.example', $3)",
			10+i, fmt.Sprint("u", i), uri)
		s.exec("INSERT INTO follows (account_id, target_account_id) VALUES ($1, 1)", 10+i)
	}
	t.Run("covers the followers on the inbox's server", func(t *testing.T) {
		a := in.to("/inbox")
		a.Options.SynchronizeFollowers = true
		if err := s.With(t).deliveries().Deliver(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`collectionId="https://home.example/users/alice/followers", `+
			`digest="%s", url="https://home.example/users/alice/followers_synchronization"`,
			xorOfSums(in.URL+"/users/a", in.URL+"/users/b"))
		if got := in.last.Load().Header.Get("Collection-Synchronization"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}
