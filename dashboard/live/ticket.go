package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// TicketLife is how long a ticket is good for, after it was issued.
const TicketLife = time.Minute

// Tickets let persons of the pages open a stream on another host, which does not see the cookie of
// the pages. A ticket names a person and an end, and is signed (HMAC-SHA256). It is good for any
// number of streams within its minute, at every process that has the key. It is in an address, so
// it is in logs of proxies: that is why it is good for a minute only. The clocks of the hosts
// should agree within seconds.
type Tickets struct{ key []byte }

// NewTickets returns Tickets with a key, which should be random. A key of less than 32 bytes is
// refused.
func NewTickets(key []byte) (*Tickets, error) {
	if len(key) < sha256.Size {
		return nil, fmt.Errorf("the key of the tickets has %d bytes: want %d or more", len(key),
			sha256.Size)
	}
	return &Tickets{key: append([]byte(nil), key...)}, nil
}

// endSize is the length of the end of a ticket, in Unix seconds. A ticket is the signature, the
// end, and the person.
const endSize = 8

var encoding = base64.RawURLEncoding.Strict()

// Issue returns a ticket for a person. It can be in a URL as it is.
func (t *Tickets) Issue(person string) string {
	end := time.Now().Add(TicketLife).Unix()
	claim := append(binary.BigEndian.AppendUint64(nil, uint64(end)), person...)
	return encoding.EncodeToString(append(t.sign(claim), claim...))
}

// Check returns the person of a ticket. It returns an error if the ticket was not issued with this
// key, or has ended.
func (t *Tickets) Check(ticket string) (person string, err error) {
	b, err := encoding.DecodeString(ticket)
	// The decoder ignores ends of lines, with which a ticket would have several spellings.
	if err != nil || len(b) < sha256.Size+endSize || strings.ContainsAny(ticket, "\r\n") {
		return "", errors.New("the ticket of the stream is missing or broken")
	}
	signature, claim := b[:sha256.Size], b[sha256.Size:]
	if !hmac.Equal(signature, t.sign(claim)) {
		return "", errors.New("the ticket of the stream is signed with another key")
	}
	end := time.Unix(int64(binary.BigEndian.Uint64(claim)), 0)
	if !time.Now().Before(end) {
		return "", errors.New("the ticket of the stream has ended: load the page again")
	}
	return string(claim[endSize:]), nil
}

// sign signs a claim. The first words keep signatures apart that other parts make with the key.
func (t *Tickets) sign(claim []byte) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte("kyu ticket of the stream\x00"))
	mac.Write(claim)
	return mac.Sum(nil)
}

// Wrap lets requests with a good ticket (parameter ticket) through, and answers others with 401.
func (t *Tickets) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := t.Check(r.URL.Query().Get("ticket")); err != nil {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
