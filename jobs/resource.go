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

// Resources fetches objects of other servers and stores them in Postgres. All fields but
// Actors are required.
type Resources struct {
	DB   *database.Database
	HTTP *HTTP
	Log  *slog.Logger

	// Actors, if it is not nil, has the key of the instance actor, which signs the requests:
	// many servers give objects only to servers that they can name.
	Actors *Actors
}

// Resource holds the argument of FetchResourceWorker.
type Resource struct {
	URL string
}

// validators are the headers of a stored answer that make the next request conditional.
type validators struct{ ETag, LastModified string }

// Fetch fetches an object and stores it under its id, which must be the URL from which it
// came. If the id is another URL, the object is fetched once more, from there; if the answer
// is a page that links to its object, that is fetched. The request is conditional: an object
// that has not changed is not sent again. A second run stores the same. An answer that is no
// ActivityStreams object, or is forbidden or too long, ends the job; errors of the server
// are tried again.
func (f *Resources) Fetch(ctx context.Context, a Resource) error {
	p, err := f.DB.Primary(ctx)
	if err != nil {
		return err
	}
	location, err := storable(a.URL)
	if err != nil {
		return forGood(f.Log, a.URL, err)
	}
	for pages, ids := 0, 0; ; {
		got, err := f.ask(ctx, p, location)
		if got == nil || err != nil {
			return err
		}
		if location = alternate(got); location != nil {
			pages++
		} else if location, err = objectID(got); err != nil {
			return forGood(f.Log, got.url.String(), err)
		} else if location.String() == got.url.String() {
			return store(ctx, p, got)
		} else {
			ids++
		}
		if pages > 1 || ids > 1 {
			return forGood(f.Log, a.URL, errors.New("the object's id is not where it comes from"))
		}
	}
}

// ask requests a URL. It returns nil if there is nothing more to do: the object has not
// changed, or the job is over.
func (f *Resources) ask(ctx context.Context, p *database.Primary,
	location *url.URL) (*answer, error) {
	from := location.String()
	known, err := database.One(ctx, p, pgx.RowToStructByPos[validators],
		"SELECT etag, last_modified FROM kyu_resources WHERE url = $1", from)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, hint(err)
	}
	var sign signer
	if f.Actors != nil {
		if sign, err = f.Actors.signFetch(ctx); err != nil {
			return nil, err
		}
	}
	got, err := f.HTTP.get(ctx, location, known.header(), sign)
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
	return got, nil
}

// header returns the headers of a request for an object.
func (v validators) header() http.Header {
	header := http.Header{"Accept": {activityJSON + `, ` + linkedJSON + `; profile="` +
		activityStreams + `", text/html; q=0.1`}}
	if v.ETag != "" {
		header.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		header.Set("If-Modified-Since", v.LastModified)
	}
	return header
}

// store stores an object under the URL from which it came.
func store(ctx context.Context, p *database.Primary, got *answer) error {
	_, err := p.Exec(ctx, `INSERT INTO kyu_resources (url, body, etag, last_modified)
		VALUES ($1, $2::text::json, $3, $4)
		ON CONFLICT (url) DO UPDATE SET body = excluded.body, etag = excluded.etag,
			last_modified = excluded.last_modified, fetched_at = now()`,
		got.url.String(), string(got.body), got.header.Get("ETag"), got.header.Get("Last-Modified"))
	return hint(err)
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

// noAnswer turns the error of a GET into the job's error. A forbidden address ends the
// job, because a second attempt would not change it.
func noAnswer(log *slog.Logger, location string, err error) error {
	if errors.Is(err, guard.ErrForbidden) {
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
