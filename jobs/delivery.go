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
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/queue"
)

// maxRetryAfter is the longest that another server can put a delivery off.
const maxRetryAfter = 12 * time.Hour

// Deliveries sends activities to other servers' inboxes.
type Deliveries struct {
	HTTP         *HTTP
	Hosts        *Hosts
	Actors       *Actors
	Availability *Availability
	Log          *slog.Logger

	// DoubleKnock signs by RFC 9421 when a server has answered the usual signature
	// with 400 or 401, in a second request of the same attempt.
	DoubleKnock bool
}

// Delivery are the arguments of ActivityPub::DeliveryWorker and of
// ActivityPub::LowPriorityDeliveryWorker, in Mastodon's order.
type Delivery struct {
	Body      string // the activity, as JSON
	AccountID int64  // in whose name
	InboxURL  string
	Options   DeliveryOptions `job:"optional"`
}

// DeliveryOptions are those of Mastodon.
type DeliveryOptions struct {
	SynchronizeFollowers bool `json:"synchronize_followers"`
	// send even to a host that counts as gone
	BypassAvailability bool `json:"bypass_availability"`
	// a private key in PEM in place of the account's, while keys are changed
	SignWith string `json:"sign_with"`
}

// GoString hides the key that the options may hold.
func (o DeliveryOptions) GoString() string { return o.String() }

// String hides the key that the options may hold.
func (o DeliveryOptions) String() string {
	return fmt.Sprintf("{synchronize_followers:%v bypass_availability:%v sign_with:%v}",
		o.SynchronizeFollowers, o.BypassAvailability, o.SignWith != "")
}

// verdict is what an attempt means.
type verdict int

const (
	delivered verdict = iota
	refused           // for good: the job ends, and says nothing of the host
	failed            // to be tried again
)

// judge is the outcome table of docs/wire.md 14.1. gone tells that the account that
// sends is suspended.
func judge(status int, gone bool) verdict {
	switch {
	case status >= 200 && status < 300:
		return delivered
	case status == http.StatusUnauthorized:
		if gone {
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

// Deliver sends an activity. The receiver knows an activity by its id, so a second
// run does no harm. An error of the other server is an attempt; while its breaker is
// open, or it holds as many requests as it may, the job is put off without one.
func (d *Deliveries) Deliver(ctx context.Context, a Delivery) error {
	inbox, err := guard.ParseURL(a.InboxURL)
	if err != nil {
		return forGood(d.Log, a.InboxURL, err)
	}
	host := strings.ToLower(inbox.Hostname())
	if !a.Options.BypassAvailability {
		if gone, err := d.Availability.isGone(ctx, host); gone || err != nil {
			return err // nobody is there: done, as far as it can be
		}
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

// settle notes what the attempt says of the host, and decides what becomes of the
// job.
func (d *Deliveries) settle(ctx context.Context, v *visit, host string, act *actor, reply *answer,
	err error) error {
	// What is known of the host must be kept even if the job's time is over.
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
		if err := d.Availability.answered(keep, host); err != nil { // it is delivered all the same
			d.Log.Warn("the failed days of a host could not be forgotten", "host", host, "err", err)
		}
		return nil
	case refused:
		v.answered(keep)
		return forGood(d.Log, host, status)
	}
	if reply.status >= 500 {
		v.failed(keep)
	} else {
		v.answered(keep) // it is there, and only does not want this now
	}
	err = d.count(keep, host, status)
	if wait := retryAfter(reply.header.Get("Retry-After"), time.Now()); wait > 0 {
		return queue.RetryIn(max(wait, DeliveryDelay(attempts(ctx), nil)), err)
	}
	return err
}

// count notes a day on which the host failed. The failure itself is what is told.
func (d *Deliveries) count(ctx context.Context, host string, err error) error {
	if e := d.Availability.failed(ctx, host); e != nil {
		d.Log.Warn("a failed day of a host could not be noted", "host", host, "err", e)
	}
	return err
}

// forGood ends a job that cannot do what it was to do, now or later: for Mastodon,
// and so for its statistics, it is done. A password in to, a host or a URL, is hidden.
func forGood(log *slog.Logger, to string, err error) error {
	log.Info("not sent, and not tried again", "to", env.MaskURL(to), "err", err)
	return nil
}

// attempts is how often the job has failed before.
func attempts(ctx context.Context) int {
	if j := queue.JobFrom(ctx); j != nil {
		if n, failed := j.RetryCount(); failed {
			return n + 1
		}
	}
	return 0
}

// retryAfter reads the header of that name: seconds, or a date.
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

// errNotSent says that a request could not be made: nothing is learned of the host.
var errNotSent = errors.New("the request could not be made")

// knock sends the activity, and once more with the other kind of signature if
// that may help.
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

// post sends the activity, and follows what redirects keep the method: each
// request is signed for where it goes.
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
		next, err := to.Parse(reply.header.Get("Location"))
		if err != nil {
			return reply, nil // a redirect to nowhere is a failure like any 3xx
		}
		if err := guard.CheckURL(next); err != nil {
			return nil, err
		}
		to = next
	}
}
