package queue

import "cmp"

// Form is the form of the payloads that a Client makes.
type Form struct {
	MaxPayload int // bytes
	Timestamps Timestamps
}

// Former is a Backend that says which form its payloads have. Without it a Client makes payloads of
// at most DefaultMaxPayload bytes with the times of Sidekiq 6 and 7.
type Former interface{ Form() Form }

// Form is the form of payloads that a Store with this Config has.
func (c Config) Form() Form {
	return Form{cmp.Or(c.MaxPayload, DefaultMaxPayload), cmp.Or(c.Timestamps, Mirror)}
}

// Form is the form of the payloads that are pushed to the Store.
func (s *Store) Form() Form { return Form{s.maxPayload, s.timestamps} }
