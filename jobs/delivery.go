package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/queue"
)

// maxRetryAfter is the longest wait that the header Retry-After can impose on a job.
const maxRetryAfter = 12 * time.Hour

// Deliveries sends activities to other servers' inboxes. All fields but DoubleKnock are
// required.
type Deliveries struct {
	HTTP         *HTTP
	Hosts        *Hosts
	Actors       *Actors
	Availability *Availability
	Log          *slog.Logger

	// DoubleKnock sends a second request, signed by RFC 9421, in the same attempt when
	// the server answers the usual signature with 400 or 401. Off by default.
	DoubleKnock bool
}

// Delivery holds the arguments of ActivityPub::DeliveryWorker and of
// ActivityPub::LowPriorityDeliveryWorker, in Mastodon's order.
type Delivery struct {
	Body      string // the activity, as JSON
	AccountID int64  // the local account that signs
	InboxURL  string
	Options   DeliveryOptions `job:"optional"`
}

// DeliveryOptions are Mastodon's options of a delivery. All are off by default.
type DeliveryOptions struct {
	// SynchronizeFollowers adds the header Collection-Synchronization.
	SynchronizeFollowers bool `json:"synchronize_followers"`
	// BypassAvailability sends even to a host that counts as gone.
	BypassAvailability bool `json:"bypass_availability"`
	// SignWith is a private key in PEM that signs in place of the account's own, while
	// an account changes its key.
	SignWith string `json:"sign_with"`
}

// GoString hides the key that the options may hold.
func (o DeliveryOptions) GoString() string { return o.String() }

// String hides the key that the options may hold.
func (o DeliveryOptions) String() string {
	return fmt.Sprintf("{synchronize_followers:%v bypass_availability:%v sign_with:%v}",
		o.SynchronizeFollowers, o.BypassAvailability, o.SignWith != "")
}

// verdict is what the status of an answer means for the job.
type verdict int

const (
	delivered verdict = iota
	refused           // the job ends; the host does not count as failing
	failed            // the job is tried again
)

// judge is the outcome table of docs/wire.md 14.1. A 401 is tried again unless final is
// true, as it is for suspended accounts and for GET requests.
func judge(status int, final bool) verdict {
	switch {
	case status >= 200 && status < 300:
		return delivered
	case status == http.StatusUnauthorized:
		if final {
			return refused
		}
		return failed
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return failed
	case status >= 400 && status < 500 || status == http.StatusNotImplemented:
		return refused
	}
	return failed
}

// Deliver sends an activity. The receiver recognizes an activity by its id, so a second
// run does no harm.
//
// The answer decides: after 2xx, and after a refusal such as 404 or 410, the job is done;
// after a connection error, 5xx (not 501), 401, 408 or 429 the error is returned and counts
// as an attempt. A Retry-After of up to 12 hours is respected; with 429 it closes the lane of the
// host, if the queue has lanes, and is no attempt. While the host's breaker is open,
// or the host already has as many requests as Hosts allows, the job is snoozed, which is
// no attempt. A job for a host that counts as gone is done without a request.
func (d *Deliveries) Deliver(ctx context.Context, a Delivery) error {
	inbox, err := guard.ParseURL(a.InboxURL)
	if err != nil {
		return forGood(d.Log, a.InboxURL, err)
	}
	host := inbox.Hostname()
	gone, err := d.Availability.isGone(ctx, host)
	if err != nil || gone && !a.Options.BypassAvailability {
		return err // nil if the host counts as gone: the job is done
	}
	act, err := d.actor(ctx, a)
	if errors.Is(err, errNoActor) {
		return forGood(d.Log, host, fmt.Errorf("%w: %d", err, a.AccountID))
	}
	if err != nil {
		return err
	}
	visit, wait := d.Hosts.enter(ctx, host)
	if wait > 0 {
		return queue.Snooze(wait)
	}
	reply, err := d.knock(ctx, a, act, inbox)
	return d.settle(ctx, visit, host, act, reply, err)
}

func (d *Deliveries) actor(ctx context.Context, a Delivery) (*actor, error) {
	act, err := d.Actors.find(ctx, a.AccountID)
	if err != nil || a.Options.SignWith == "" {
		return act, err
	}
	key, err := httpsig.ParseKey(act.key.ID, a.Options.SignWith)
	if err != nil {
		return nil, queue.Kill(fmt.Errorf("sign_with: %w", err))
	}
	return &actor{act.uri, key, act.suspended}, nil
}

// settle records whether the host works, and decides the outcome of the job.
func (d *Deliveries) settle(ctx context.Context, v *visit, host string, act *actor, reply *answer,
	err error) error {
	// The record of the host is written even if the job's own context has ended.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch {
	case errors.Is(err, guard.ErrForbidden):
		v.leave()
		return forGood(d.Log, host, err)
	case errors.Is(err, errNotSent) || ctx.Err() != nil && err != nil:
		v.leave()
		return err
	case err != nil:
		v.failed(keep)
		return d.count(keep, host, err)
	}
	status := &StatusError{reply.status, host}
	switch judge(reply.status, act.suspended) {
	case delivered:
		v.answered(keep)
		d.lives(keep, host)
		return nil
	case refused:
		v.answered(keep)
		d.lives(keep, host) // a host that refuses, works
		return forGood(d.Log, host, status)
	}
	if reply.status >= 500 {
		v.failed(keep)
	} else {
		v.answered(keep) // the host works: it only does not take this request now
	}
	err = d.count(keep, host, status)
	if wait := retryAfter(reply.header.Get("Retry-After"), time.Now()); wait > 0 {
		if reply.status == http.StatusTooManyRequests && queue.HasLane(ctx) {
			return queue.RateLimited(wait, err)
		}
		return queue.RetryIn(max(wait, DeliveryDelay(attempts(ctx), nil)), err)
	}
	return err
}

// lives clears the days on which the host failed. It only logs its errors: the delivery is
// over.
func (d *Deliveries) lives(ctx context.Context, host string) {
	if err := d.Availability.answered(ctx, host); err != nil {
		d.Log.Warn("could not clear a host's days with failures", "host", host, "err", err)
	}
}

// count records today as a day on which the host failed. It returns err, the failure of
// the delivery, and only logs its own errors.
func (d *Deliveries) count(ctx context.Context, host string, err error) error {
	if e := d.Availability.failed(ctx, host); e != nil {
		d.Log.Warn("could not record a host's day with failures", "host", host, "err", e)
	}
	return err
}

// forGood ends a job that cannot succeed, now or later. It returns nil, because such a
// job is done for Mastodon and in its statistics. to is a host or a URL; a password in it
// is hidden.
func forGood(log *slog.Logger, to string, err error) error {
	log.Info("not sent, and not tried again", "to", short(env.MaskURL(to), 500),
		"err", err)
	return nil
}

// attempts returns how often the job in ctx has failed before.
func attempts(ctx context.Context) int {
	if j := queue.JobFrom(ctx); j != nil {
		if n, failed := j.RetryCount(); failed {
			return n + 1
		}
	}
	return 0
}

// retryAfter reads the header Retry-After, which holds seconds or a date. It returns 0
// for a text that it cannot read, and at most maxRetryAfter.
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// errNotSent means that a request was not sent, so that it says nothing about the host.
var errNotSent = errors.New("the request could not be made")

// knock sends the activity. With DoubleKnock it sends it once more, with the other kind
// of signature, if the answer may be about the signature.
func (d *Deliveries) knock(ctx context.Context, a Delivery, act *actor,
	inbox *url.URL) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestLimit,
		errors.New("the answer took too long"))
	defer cancel()
	reply, err := d.post(ctx, a, act, inbox, httpsig.Sign)
	if err != nil || !d.DoubleKnock || (reply.status != http.StatusBadRequest &&
		reply.status != http.StatusUnauthorized) {
		return reply, err
	}
	return d.post(ctx, a, act, inbox, httpsig.SignMessage)
}

// post sends the activity, and follows the redirects that keep the method (307, 308).
// Each request is signed for the address to which it goes.
func (d *Deliveries) post(ctx context.Context, a Delivery, act *actor, to *url.URL,
	sign func(*http.Request, []byte, httpsig.Key, time.Time) error) (*answer, error) {
	body := []byte(a.Body)
	for hop := 0; ; hop++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(),
			bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		r.Header.Set("Content-Type", "application/activity+json")
		if a.Options.SynchronizeFollowers {
			value, err := d.Actors.followers(ctx, a.AccountID, act, to.Scheme+"://"+to.Host)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNotSent, err)
			}
			r.Header.Set("Collection-Synchronization", value)
		}
		if err := sign(r, body, act.key, time.Now()); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		reply, err := d.HTTP.send(r)
		if err != nil || (reply.status != http.StatusTemporaryRedirect &&
			reply.status != http.StatusPermanentRedirect) || hop == maxRedirects {
			return reply, err
		}
		next := reply.header.Get("Location")
		if next == "" {
			return reply, nil // judged like any other 3xx
		}
		if to, err = guard.ResolveURL(to, next); err != nil {
			return nil, err
		}
	}
}
