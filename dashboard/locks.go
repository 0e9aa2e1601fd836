package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/internal/redisdb"
)

// orphanTime is how long the search for orphans may take. It reads all jobs, twice.
const orphanTime = 8 * time.Second

// locksPage is the data of the page of locks.
type locksPage struct {
	Text    string `json:"text"`
	Orphans bool   `json:"orphans"` // only locks whose jobs are nowhere
	Slow    bool   `json:"slow"`    // the search for orphans did not end
	Locks   []lock `json:"locks"`   // the longest held first
	Size    int64  `json:"size"`    // of all locks; some may just have been released
	After   int    `json:"after"`   // the position behind which the page begins
	Next    int    `json:"next"`    // the After of the next page; 0 if this is the last
	More    int    `json:"more"`    // orphans beyond those that the page shows
	path    string
}

// lock is a lock in a list.
type lock struct {
	unique.Held
	Expires float64 `json:"expires_in_seconds,omitempty"` // 0: it does not expire
}

func newLocks(held []unique.Held) []lock {
	list := []lock{}
	for _, h := range held {
		list = append(list, lock{h, h.Expires.Seconds()})
	}
	return list
}

// First is the path of the first page, and Following that of the next; "" if there is none.
func (p locksPage) First() string {
	if p.After == 0 {
		return ""
	}
	return p.to(0)
}

func (p locksPage) Following() string {
	if p.Next == 0 {
		return ""
	}
	return p.to(p.Next)
}

func (p locksPage) to(after int) string {
	query := url.Values{"after": {strconv.Itoa(after)}}
	if p.Text != "" {
		query.Set("text", p.Text)
	}
	return p.path + "?" + query.Encode()
}

func (q *request) locks() (*view, error) {
	store := unique.NewLocks(q.d.Store)
	after, _ := strconv.Atoi(q.FormValue("after"))
	p := locksPage{Text: strings.TrimSpace(q.FormValue("text")),
		Orphans: q.FormValue("orphans") != "", After: max(0, after), Locks: []lock{},
		path: q.d.path("locks")}
	var err error
	if p.Size, err = store.Size(q.ctx); err != nil {
		return nil, err
	}
	if p.Orphans {
		err = p.readOrphans(q.ctx, store)
	} else {
		err = p.read(q.ctx, store)
	}
	return &view{page: "locks", nav: "locks", title: q.t("nav.locks"), data: p}, err
}

func (p *locksPage) read(ctx context.Context, store *unique.Locks) error {
	held, next, err := store.Page(ctx, p.Text, p.After, pageSize)
	p.Locks, p.Next = newLocks(held), next
	return err
}

// readOrphans reads the orphans whose digests contain the text.
func (p *locksPage) readOrphans(ctx context.Context, store *unique.Locks) error {
	within, cancel := context.WithTimeout(ctx, orphanTime)
	defer cancel()
	held, err := store.Orphans(within)
	if err != nil && ctx.Err() == nil && redisdb.Over(within) {
		p.Slow = true
		return nil
	}
	for _, l := range newLocks(held) {
		switch {
		case !strings.Contains(l.Digest, p.Text):
		case len(p.Locks) < maxSelected:
			p.Locks = append(p.Locks, l)
		default:
			p.More++
		}
	}
	return err
}

// deleteLocks deletes the locks that a person has ticked. Jobs that hold them run nevertheless.
func (q *request) deleteLocks() (*outcome, error) {
	if err := q.readForm(); err != nil {
		return nil, err
	}
	digests := q.PostForm["digest"]
	back := q.d.path("locks")
	if q.PostFormValue("orphans") != "" {
		back += "?orphans=1"
	}
	switch {
	case len(digests) == 0:
		return &outcome{flash{q.t("locks.none_selected"), true}, back}, nil
	case len(digests) > maxSelected:
		return nil, &problem{http.StatusBadRequest, q.t("locks.too_many", maxSelected)}
	}
	store := unique.NewLocks(q.d.Store)
	var deleted, missing []string
	var err error
	for _, digest := range digests {
		var found bool
		if found, err = store.Delete(q.ctx, digest); err != nil {
			break
		}
		if found {
			deleted = append(deleted, digest)
		} else {
			missing = append(missing, digest)
		}
	}
	if len(deleted) > 0 {
		q.acted("locks delete", "deleted the locks "+strings.Join(deleted, " "))
	}
	line := flash{q.t("locks.deleted", number(len(deleted))), false}
	if len(missing) > 0 {
		line = flash{line.Text + " " + q.t("flash.missing", strings.Join(missing, ", ")), true}
	}
	return &outcome{line, back}, err
}
