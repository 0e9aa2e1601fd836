package queue

import (
	"context"
	"errors"
	"fmt"
)

var claimScript = mustScript("claim") // only a Store with capabilities runs its copy

// Claim is a condition of a push, such as a free lock. The script that pushes the job makes the
// claims of the job first, in order, until one is refused. The job is pushed if and only if all are
// granted. A claim that was granted is not undone when a later one of the same job is refused.
type Claim struct {
	Effect // the Kind, and what the Claim of that capability gets
	// Refused, if it is not nil, is called when the push has returned and this claim was refused
	// for the given reason. The push then returns its JID and its error for the job. If Refused is
	// nil, they are "" and a *ClaimError.
	Refused func(reason string) (jid string, err error)
}

// ErrClaim says that the Lua of a claim raised an error, and that the job was not pushed, or must
// not run on.
var ErrClaim = errors.New("a claim failed")

// ClaimError says that a job was not pushed because a claim was refused.
type ClaimError struct {
	Kind   string // of the claim
	Reason string // as the capability's Lua gives it
}

func (e *ClaimError) Error() string {
	return fmt.Sprintf("push: not pushed: %s refuses it: %s", e.Kind, e.Reason)
}

// Refusal is the claim of a job that was refused.
type Refusal struct {
	Kind, Reason string
	Failed       bool // the Lua of the capability raised the error Reason

	claim int // the index of the claim among those of the job
}

// refused returns the JID and the error that the push returns for a job that was refused.
func (j *Pushed) refused() (jid string, err error) {
	r := j.Refused
	if r.Failed {
		return "", fmt.Errorf("push: not pushed: %w: %s: %s", ErrClaim, r.Kind, r.Reason)
	}
	if refused := j.Claims[r.claim].Refused; refused != nil {
		return refused(r.Reason)
	}
	return "", &ClaimError{r.Kind, r.Reason}
}

// claimsWeigh is how many jobs a job with claims counts as in a slice of a push: a script makes the
// claims of at most 62 jobs.
const claimsWeigh = 16

// claimItems returns the claims of a job as effects whose first argument is the JID.
func claimItems(jid string, claims []Claim) []Effect {
	list := make([]Effect, len(claims))
	for i, c := range claims {
		list[i] = c.Effect
		list[i].Args = append([]string{jid}, c.Args...)
	}
	return list
}

// checkClaims returns an *InvalidError if the claims of a job cannot be made by this Store.
func (s *Store) checkClaims(j *Pushed) error {
	var c *capabilities
	if s.effects != nil {
		c = s.effects.capabilities
	}
	if len(j.Claims) > maxEffects {
		return &InvalidError{"claims", fmt.Sprintf("%d, more than %d for one job", len(j.Claims),
			maxEffects)}
	}
	for i := range j.Claims {
		if err := c.check([]Effect{j.Claims[i].Effect}, Capability.hasClaims); err != nil {
			return &InvalidError{"claims", err.Error()}
		}
	}
	return nil
}

// claims returns the claims of each job of batches, in order, or nil if no job has claims.
func (s *Store) claims(batches []Batch) (items [][]Effect, err error) {
	some := false
	for i := range batches {
		for k := range batches[i].Jobs {
			some = some || len(batches[i].Jobs[k].Claims) > 0
		}
	}
	if !some {
		return nil, nil
	}
	for i := range batches {
		for k := range batches[i].Jobs {
			j := &batches[i].Jobs[k]
			if err := s.checkClaims(j); err != nil {
				return nil, err
			}
			items = append(items, claimItems(j.JID, j.Claims))
		}
	}
	return items, nil
}

// refuse sets Refused of the jobs of batches whose claims were refused by the reply of a push.
// items has the claims of each job.
func refuse(batches []Batch, items [][]Effect, reply []any) error {
	refused, err := refusals(items, reply)
	if err != nil {
		return err
	}
	item := 0
	for i := range batches {
		for k := range batches[i].Jobs {
			batches[i].Jobs[k].Refused = refused[item]
			item++
		}
	}
	return nil
}

// refusals decodes the reply of a copy of a script that makes claims: a result, then for each
// refusal the number of the item, the number of its claim, the reason, and whether the claim
// failed. It returns the refusals by the index of the item. items has the claims of each item.
func refusals(items [][]Effect, reply []any) (map[int]*Refusal, error) {
	list := map[int]*Refusal{}
	for at := 1; at+3 < len(reply); at += 4 {
		item, _ := reply[at].(int64)
		claim, _ := reply[at+1].(int64)
		reason, ok := reply[at+2].(string)
		if !ok || item < 1 || int(item) > len(items) || claim < 1 ||
			int(claim) > len(items[item-1]) {
			return nil, fmt.Errorf("a refusal is %v", reply[at:at+4])
		}
		list[int(item)-1] = &Refusal{items[item-1][claim-1].Kind, reason, reply[at+3] == "1",
			int(claim) - 1}
	}
	return list, nil
}

// Claim makes claims for a delivery in flight, in order, until one is refused, and returns the
// refusal, or nil if all are granted. The error is ErrLeaseLost if the delivery was taken away from
// this owner: then no claim was made. It is ErrClaim if the Lua of a claim failed. After any other
// error that Redis did not answer with, the claims may have been made, and Claim can be repeated.
func (o *Owner) Claim(ctx context.Context, jid string, d *Delivery,
	claims ...Effect) (*Refusal, error) {
	s := o.store
	list := make([]Claim, len(claims))
	for i, e := range claims {
		list[i].Effect = e
	}
	if err := s.checkClaims(&Pushed{Claims: list}); err != nil {
		return nil, err
	}
	items := [][]Effect{claimItems(jid, list)}
	keys, args := appendEffects(s.ks, []string{o.queue(d.Queue).inflight}, []any{d.Token}, items)
	reply, err := s.db.RunOwn(ctx, s.effects.copies[claimScript], keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	if len(reply) == 0 || reply[0] != int64(1) {
		return nil, fmt.Errorf("claim: %w", ErrLeaseLost)
	}
	refused, err := refusals(items, reply)
	if r := refused[0]; r != nil && r.Failed {
		return nil, fmt.Errorf("%w: %s: %s", ErrClaim, r.Kind, r.Reason)
	}
	return refused[0], err
}
