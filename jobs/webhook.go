package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/queue"
)

// Webhooks reports events to the programs whose URLs an admin has entered.
type Webhooks struct {
	DB    *database.Database
	HTTP  *HTTP
	Hosts *Hosts
	Log   *slog.Logger
}

// Webhook holds the arguments of Webhooks::DeliveryWorker, in Mastodon's order.
type Webhook struct {
	WebhookID int64  // the row in the table webhooks
	Body      string // JSON
}

// Deliver posts the body to the webhook's URL. The header X-Hub-Signature holds the
// body's HMAC-SHA-256 with the webhook's secret as "sha256=" and hexadecimal digits. A
// second run posts again: the header X-Kyu-Job holds the jid, which is the same in all
// attempts, so the receiver can recognize the second.
//
// The answer decides as it does in Deliveries.Deliver. A webhook that is disabled or does
// not exist ends the job.
func (w *Webhooks) Deliver(ctx context.Context, a Webhook) error {
	r, err := w.DB.Fresh()
	if err != nil {
		return err
	}
	type row struct{ URL, Secret string }
	hook, err := database.One(ctx, r, pgx.RowToStructByPos[row],
		"SELECT url, secret FROM webhooks WHERE id = $1 AND enabled", a.WebhookID)
	if errors.Is(err, pgx.ErrNoRows) {
		return forGood(w.Log, "webhook", fmt.Errorf("the webhook %d is gone or disabled",
			a.WebhookID))
	}
	if err != nil {
		return hint(err)
	}
	to, err := guard.ParseURL(hook.URL)
	if err != nil {
		return forGood(w.Log, fmt.Sprintf("webhook/%d", a.WebhookID), err)
	}
	host := to.Hostname()
	visit, wait := w.Hosts.enter(ctx, host)
	if wait > 0 {
		return queue.Snooze(wait)
	}
	limited, cancel := context.WithTimeoutCause(ctx, requestLimit,
		errors.New("the answer took too long"))
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, to.String(),
		strings.NewReader(a.Body))
	if err != nil {
		visit.leave()
		return err
	}
	mac := hmac.New(sha256.New, []byte(hook.Secret))
	mac.Write([]byte(a.Body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	if j := queue.JobFrom(ctx); j != nil {
		request.Header.Set("X-Kyu-Job", j.JID)
	}
	reply, err := w.HTTP.send(request)
	return w.settle(ctx, visit, host, reply, err)
}

func (w *Webhooks) settle(ctx context.Context, v *visit, host string, reply *answer,
	err error) error {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch {
	case errors.Is(err, guard.ErrForbidden):
		v.leave()
		return forGood(w.Log, host, err)
	case err != nil && ctx.Err() != nil:
		v.leave()
		return err
	case err != nil:
		v.failed(keep)
		return err
	case reply.status >= 500:
		v.failed(keep)
	default:
		v.answered(keep)
	}
	status := &StatusError{reply.status, host}
	switch judge(reply.status, false) {
	case delivered:
		return nil
	case refused:
		return forGood(w.Log, host, status)
	}
	if wait := retryAfter(reply.header.Get("Retry-After"), time.Now()); wait > 0 {
		return queue.RetryIn(max(wait, DeliveryDelay(attempts(ctx), nil)), status)
	}
	return status
}
