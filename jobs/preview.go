package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

const (
	cardAge   = 14 * 24 * time.Hour // after which a page is looked at again
	noCardAge = time.Hour           // for which a page without a preview is left alone
	lockLife  = requestLimit + 30*time.Second
	maxTitle  = 500 // characters
	maxText   = 5000
)

// Previews makes the cards that are shown under links.
type Previews struct {
	DB    *database.Database
	Redis redis.UniversalClient // for locks
	Cache redis.UniversalClient // for pages that have no preview
	HTTP  *HTTP
	Log   *slog.Logger

	// Jitter is the time within which jobs of one moment spread out: every server
	// that got a post looks at its links, and all at once is an attack. 60 s; < 0: none.
	Jitter time.Duration
}

// LinkPreview are the arguments of LinkPreviewWorker.
type LinkPreview struct {
	StatusID int64
	URL      string
}

// card is a preview.
type card struct{ title, description, image string }

// Preview gives a status a card for a link. One job at a time looks at a page; the
// others find its card. Run again it changes nothing.
func (p *Previews) Preview(ctx context.Context, a LinkPreview) error {
	if _, err := guard.ParseURL(a.URL); err != nil {
		return forGood(p.Log, a.URL, err)
	}
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
	if p.Cache.Exists(ctx, noCardKey(a.URL)).Val() > 0 { // a cache that is down costs a request
		return nil
	}
	found, err := p.look(ctx, a.URL)
	if err != nil {
		return err
	}
	if found == nil {
		return p.Cache.Set(ctx, noCardKey(a.URL), 1, noCardAge).Err()
	}
	return p.store(ctx, db, a, found)
}

// attach gives the status a card that is there already.
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

// spread is how long a job waits for its moment, which its id draws: the same one
// in every run.
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

// unlockScript takes a lock away that is still ours.
var unlockScript = mustScript("unlock")

// lock takes the lock of a page; nil if another has it. It ends by itself if its
// owner dies.
func (p *Previews) lock(ctx context.Context, url string) (unlock func(), err error) {
	key, mine := "kyu:lock:preview:"+sum(url), queue.NewJID()
	got, err := p.Redis.SetNX(ctx, key, mine, lockLife).Result()
	if err != nil || !got {
		return nil, err
	}
	return func() {
		if err := unlockScript.Run(context.WithoutCancel(ctx), p.Redis, []string{key},
			mine).Err(); err != nil {
			p.Log.Warn("a lock stays until its time is over", "key", key, "err", err)
		}
	}, nil
}

// look reads a page. A nil card without an error is a page that has none.
func (p *Previews) look(ctx context.Context, location string) (*card, error) {
	got, err := p.HTTP.get(ctx, location, http.Header{"Accept": {"text/html"}}, true)
	if err != nil {
		return nil, ask(p.Log, location, err)
	}
	if got.status != http.StatusOK {
		return nil, judged(ctx, p.Log, got)
	}
	if kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type")); err != nil ||
		(kind != "text/html" && kind != "application/xhtml+xml") {
		return nil, nil
	}
	text, err := charset.NewReader(bytes.NewReader(got.body), got.header.Get("Content-Type"))
	if err != nil {
		return nil, nil // in no known encoding
	}
	return parseCard(text, got.url), nil
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

// parseCard reads a page's OpenGraph fields, or what comes near them; nil if it has
// no title.
func parseCard(page io.Reader, base *url.URL) *card {
	fields := map[string]string{}
	set := func(name, text string) {
		text = strings.Join(
			strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")), " ")
		if fields[name] == "" {
			fields[name] = text
		}
	}
	z := html.NewTokenizer(page)
	for inTitle := false; ; {
		switch z.Next() {
		case html.ErrorToken:
			return cardOf(fields, base)
		case html.TextToken:
			if inTitle {
				set("title", string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			inTitle = token.Data == "title"
			if token.Data == "body" {
				return cardOf(fields, base) // all that counts is in the head
			}
			if token.Data == "meta" {
				if name, content := meta(token); name != "" {
					set(name, content)
				}
			}
		case html.EndTagToken:
			inTitle = false
		}
	}
}

// meta gives the name and the content of a meta tag.
func meta(t html.Token) (name, content string) {
	for _, a := range t.Attr {
		switch a.Key {
		case "property", "name":
			name = strings.ToLower(a.Val)
		case "content":
			content = a.Val
		}
	}
	return name, content
}

func cardOf(fields map[string]string, base *url.URL) *card {
	first := func(names ...string) string {
		for _, n := range names {
			if fields[n] != "" {
				return fields[n]
			}
		}
		return ""
	}
	c := &card{title: short(first("og:title", "twitter:title", "title"), maxTitle),
		description: short(first("og:description", "twitter:description", "description"), maxText)}
	if c.title == "" {
		return nil
	}
	if text := first("og:image:secure_url", "og:image", "og:image:url",
		"twitter:image"); text != "" {
		if image, err := base.Parse(text); err == nil && guard.CheckURL(image) == nil {
			c.image = image.String()
		}
	}
	return c
}

// short is a text of at most n characters.
func short(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return fmt.Sprintf("%s…", string(r[:n-1]))
	}
	return text
}
