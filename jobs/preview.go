package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	cardAge   = 14 * 24 * time.Hour           // until a page with a card is fetched again
	noCardAge = time.Hour                     // until a page without a card is fetched again
	lockLife  = requestLimit + 30*time.Second // until a lock expires by itself
)

// Previews makes the cards that are shown under links.
type Previews struct {
	DB    *database.Database
	Redis redis.UniversalClient // for locks
	Cache redis.UniversalClient // remembers pages without a card; may lose them
	HTTP  *HTTP
	Log   *slog.Logger

	// Jitter is the longest time that a job waits before it fetches a page. Every server
	// that receives a post fetches its links, and all of them at once could overload the
	// page's server. 0: 60 s; negative: no wait.
	Jitter time.Duration
}

// LinkPreview holds the arguments of LinkPreviewWorker.
type LinkPreview struct {
	StatusID int64
	URL      string
}

// Preview gives a status a card for a link. One job at a time fetches a page: others for
// the same page are snoozed meanwhile, and use the stored card. A second run changes
// nothing. A page that is forbidden or does not exist ends the job.
func (p *Previews) Preview(ctx context.Context, a LinkPreview) error {
	page, err := storable(a.URL)
	if err != nil {
		return forGood(p.Log, a.URL, err)
	}
	a.URL = page.String()
	db, err := p.DB.Primary(ctx)
	if err != nil {
		return err
	}
	if done, err := p.attach(ctx, db, a); done || err != nil {
		return err
	}
	if wait := p.spread(queue.JobFrom(ctx), time.Now()); wait > 0 {
		return queue.Snooze(wait)
	}
	unlock, err := p.lock(ctx, a.URL)
	if err != nil {
		return err
	}
	if unlock == nil {
		return queue.Snooze(soon())
	}
	defer unlock()
	// Without the cache the page is fetched: the job does not fail.
	if p.Cache.Exists(ctx, noCardKey(a.URL)).Val() > 0 {
		return nil
	}
	found, err := p.look(ctx, page)
	if err != nil {
		return err
	}
	if found == nil {
		return p.Cache.Set(ctx, noCardKey(a.URL), 1, noCardAge).Err()
	}
	return p.store(ctx, db, a, found)
}

// attach gives the status the stored card, and reports whether there is one.
func (p *Previews) attach(ctx context.Context, db *database.Primary, a LinkPreview) (bool, error) {
	id, err := database.One(ctx, db, pgx.RowTo[int64], "SELECT id FROM preview_cards WHERE url = "+
		"$1 AND updated_at > (now() AT TIME ZONE 'UTC') - make_interval(secs => $2)",
		a.URL, cardAge.Seconds())
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, hint(err)
	}
	_, err = db.Exec(ctx, link, id, a.StatusID, a.URL)
	return err == nil, hint(err)
}

const link = "INSERT INTO preview_cards_statuses (preview_card_id, status_id, url) VALUES ($1, " +
	"$2, $3) ON CONFLICT DO NOTHING"

// spread returns how long a job still waits for its start, which is its creation plus a
// part of Jitter. The part is made from the job's id, so it is the same in every run.
func (p *Previews) spread(j *queue.Job, now time.Time) time.Duration {
	jitter := p.Jitter
	if jitter == 0 {
		jitter = time.Minute
	}
	if j == nil || jitter < 0 {
		return 0
	}
	created := j.Time("created_at")
	if created.IsZero() || created.After(now) {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(j.JID)) // never fails
	return time.Until(created.Add(time.Duration(h.Sum64() % uint64(jitter))))
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func noCardKey(url string) string { return "kyu:preview:none:" + sum(url) }

var unlockScript = mustScript("unlock")

// lock takes the lock of a page. unlock is nil if another job holds it. The lock expires
// after lockLife, so it does not stay if its owner dies.
func (p *Previews) lock(ctx context.Context, url string) (unlock func(), err error) {
	key, mine := "kyu:lock:preview:"+sum(url), queue.NewJID()
	got, err := p.Redis.SetNX(ctx, key, mine, lockLife).Result()
	if err != nil || !got {
		return nil, err
	}
	return func() {
		if err := unlockScript.Run(context.WithoutCancel(ctx), p.Redis, []string{key},
			mine).Err(); err != nil {
			p.Log.Warn("could not release a lock: it stays until it expires", "key", key,
				"err", err)
		}
	}, nil
}

// look fetches a page. It returns nil without an error for a page that has no card.
func (p *Previews) look(ctx context.Context, page *url.URL) (*card, error) {
	got, err := p.HTTP.get(ctx, page, http.Header{"Accept": {"text/html"}}, nil)
	if err != nil {
		return nil, noAnswer(p.Log, page.String(), err)
	}
	if got.status != http.StatusOK {
		return nil, noSuccess(p.Log, got)
	}
	kind := mediaTypeOf(got.header)
	if !kind.isHTML() {
		return nil, nil
	}
	return parseCard(strings.NewReader(decode(got.body, kind.params["charset"])), got.url), nil
}

func (p *Previews) store(ctx context.Context, db *database.Primary, a LinkPreview, c *card) error {
	return hint(db.Tx(ctx, func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, `
			INSERT INTO preview_cards (url, title, description, created_at, updated_at)
			VALUES ($1, $2, $3, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
			ON CONFLICT (url) DO UPDATE SET title = excluded.title,
				description = excluded.description, updated_at = excluded.updated_at
			RETURNING id`, a.URL, c.title, c.description).Scan(&id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO kyu_preview_images (preview_card_id, url)
			VALUES ($1, $2) ON CONFLICT (preview_card_id) DO UPDATE SET url = excluded.url`,
			id, c.image); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, link, id, a.StatusID, a.URL)
		return err
	}))
}
