package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/queue"
)

// Resources fetches objects of other servers and stores them in Postgres.
type Resources struct {
	DB   *database.Database
	HTTP *HTTP
	Log  *slog.Logger
}

// Resource holds the argument of FetchResourceWorker.
type Resource struct {
	URL string
}

// validators are the headers of a stored answer that make the next request conditional.
type validators struct{ ETag, LastModified string }

// Fetch fetches an object and stores it under its id, which must be the URL from which it
// came. If the id is another URL, the object is fetched once more, from there. The request
// is conditional: an object that has not changed is not sent again. A second run stores
// the same. An answer that is no ActivityStreams object, or is forbidden or too long, ends
// the job; errors of the server are tried again.
func (f *Resources) Fetch(ctx context.Context, a Resource) error {
	p, err := f.DB.Primary(ctx)
	if err != nil {
		return err
	}
	location, err := storable(a.URL)
	if err != nil {
		return forGood(f.Log, a.URL, err)
	}
	for range 2 {
		id, err := f.fetch(ctx, p, location)
		if id == nil || err != nil {
			return err
		}
		location = id
	}
	return forGood(f.Log, a.URL, errors.New("the object's id is not where it comes from"))
}

// fetch fetches an object and stores it. If the object's id is another URL it stores
// nothing and returns the id.
func (f *Resources) fetch(ctx context.Context, p *database.Primary,
	location *url.URL) (elsewhere *url.URL, err error) {
	from := location.String()
	known, err := database.One(ctx, p, pgx.RowToStructByPos[validators],
		"SELECT etag, last_modified FROM kyu_resources WHERE url = $1", from)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, hint(err)
	}
	header := http.Header{"Accept": {activityJSON + `, ` + linkedJSON + `; profile="` +
		activityStreams + `"`}}
	if known.ETag != "" {
		header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		header.Set("If-Modified-Since", known.LastModified)
	}
	got, err := f.HTTP.get(ctx, location, header, false)
	if err != nil {
		return nil, noAnswer(f.Log, from, err)
	}
	switch {
	case got.status == http.StatusNotModified && known != validators{}:
		_, err := p.Exec(ctx,
			"UPDATE kyu_resources SET fetched_at = now() WHERE url = $1", from)
		return nil, err
	case got.status != http.StatusOK:
		return nil, noSuccess(f.Log, got)
	}
	id, err := objectID(got)
	if err != nil {
		return nil, forGood(f.Log, from, err)
	}
	if id.String() != got.url.String() {
		return id, nil
	}
	_, err = p.Exec(ctx, `INSERT INTO kyu_resources (url, body, etag, last_modified)
		VALUES ($1, $2::text::json, $3, $4)
		ON CONFLICT (url) DO UPDATE SET body = excluded.body, etag = excluded.etag,
			last_modified = excluded.last_modified, fetched_at = now()`,
		id.String(), string(got.body), got.header.Get("ETag"), got.header.Get("Last-Modified"))
	return nil, hint(err)
}

// maxURL is the length of the longest URL that fits into an index of Postgres, in bytes: a
// row of an index has at most 2,704, of which 12 are its own.
const maxURL = 2692

// storable reads a URL under which something will be stored.
func storable(raw string) (*url.URL, error) {
	u, err := guard.ParseURL(raw)
	if err == nil && len(u.String()) > maxURL {
		return nil, fmt.Errorf("the URL has %d bytes: want at most %d", len(u.String()), maxURL)
	}
	return u, err
}

// noAnswer turns the error of a GET into the job's error. A forbidden address and an
// answer that is too long end the job, because a second attempt would not change them.
func noAnswer(log *slog.Logger, location string, err error) error {
	if errors.Is(err, guard.ErrForbidden) || errors.Is(err, errTooLarge) {
		return forGood(log, location, err)
	}
	return err
}

// noSuccess turns an answer that is not a success into the job's error.
func noSuccess(log *slog.Logger, got *answer) error {
	err := &StatusError{got.status, got.url.Host}
	if judge(got.status, true) == refused {
		return forGood(log, got.url.Redacted(), err)
	}
	if wait := retryAfter(got.header.Get("Retry-After"), time.Now()); wait > 0 {
		return queue.RetryIn(wait, err)
	}
	return err
}
