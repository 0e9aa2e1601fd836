package outbox

import "time"

// Compress lets all pauses of the relay be n times as short, before Run.
func (r *Relay) Compress(n int) {
	for _, p := range []*time.Duration{&r.pauses.busy, &r.pauses.idle, &r.pauses.backoff} {
		*p /= time.Duration(n)
	}
}

// Attempts returns how many attempts of the present outage have failed.
func (r *Relay) Attempts() int {
	r.outage.mu.Lock()
	defer r.outage.mu.Unlock()
	return r.outage.attempts
}
