package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Mastodon's limits for feeds (docs/wire.md 14.3).
const (
	feedSize    = 800     // entries of a feed
	boostsApart = 40 + 40 // a status is boosted again only below so many newer entries
	fanOutPage  = 1000    // followers that one query reads
	activeDays  = 7       // since its last sign-in an account counts as active
)

// direct is the lowest visibility at which only the mentioned accounts see a status.
const direct = 3

var feedScript = mustScript("feed")

// Feeds puts statuses into the home feeds of local followers. A feed is a list of
// statuses in Redis, in Mastodon's layout (docs/wire.md 14.3).
type Feeds struct {
	DB     *database.Database
	Redis  redis.UniversalClient // holds the feeds
	Client *queue.Client         // pushes one job for each follower
}

// FeedInsert holds the arguments of FeedInsertWorker, in Mastodon's order.
type FeedInsert struct {
	StatusID  int64
	AccountID int64           // the owner of the feed
	Feed      string          `job:"optional"` // "home", also if empty
	Options   json.RawMessage `job:"optional"` // not used
}

// status holds the columns of a status that the feeds need.
type status struct {
	AccountID  int64
	BoostOf    int64 // the status that it boosts; 0 if it is no boost
	Visibility int32
}

// load reads a status from the primary: a status that a replica does not have yet would
// be left out of the feeds without an error.
func (f *Feeds) load(ctx context.Context, id int64) (status, error) {
	r, err := f.DB.Fresh()
	if err != nil {
		return status{}, err
	}
	s, err := database.One(ctx, r, pgx.RowToStructByPos[status],
		"SELECT account_id, COALESCE(reblog_of_id, 0), visibility FROM statuses WHERE id = $1 "+
			"AND deleted_at IS NULL", id)
	return s, hint(err)
}

// Insert puts a status into an account's home feed, if the account wants to see it: the
// status is its own or from an account that it follows, and is no boost if it has turned
// that account's boosts off. A second run changes nothing. A feed other than "home" sends
// the job to the dead set.
func (f *Feeds) Insert(ctx context.Context, a FeedInsert) error {
	if a.Feed != "" && a.Feed != "home" {
		return queue.Kill(fmt.Errorf("the feed %.40q is not known: want home", a.Feed))
	}
	s, err := f.load(ctx, a.StatusID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // the status has been deleted
	}
	if err != nil {
		return err
	}
	wanted, err := f.wanted(ctx, a.AccountID, s)
	if err != nil || !wanted {
		return err
	}
	key := "feed:home:" + strconv.FormatInt(a.AccountID, 10)
	original := ""
	if s.BoostOf != 0 {
		original = strconv.FormatInt(s.BoostOf, 10)
	}
	return feedScript.Run(ctx, f.Redis, []string{key, key + ":reblogs",
		key + ":reblogs:" + original},
		a.StatusID, original, feedSize, boostsApart).Err()
}

func (f *Feeds) wanted(ctx context.Context, account int64, s status) (bool, error) {
	if account == s.AccountID {
		return true, nil
	}
	r, err := f.DB.Replica(ctx)
	if err != nil {
		return false, err
	}
	boosts, err := database.One(ctx, r, pgx.RowTo[bool],
		"SELECT show_reblogs FROM follows WHERE account_id = $1 AND target_account_id = $2",
		account, s.AccountID)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return boosts || s.BoostOf == 0, hint(err)
}

// Distribution holds the arguments of DistributionWorker, in Mastodon's order.
type Distribution struct {
	StatusID int64
	Options  DistributionOptions `job:"optional"`
}

// DistributionOptions are the options of Mastodon that Distribute uses.
type DistributionOptions struct {
	// SkipNotifications pushes no notifications. Off by default.
	SkipNotifications bool `json:"skip_notifications"`
}

// Distribute pushes a FeedInsertWorker for the author of a status and for each active
// local follower, and a LocalNotificationWorker for each local account that the status
// mentions. It reads followers in pages, from a replica if there is one. A second run
// pushes the jobs again, which does no harm: they may run twice.
func (f *Feeds) Distribute(ctx context.Context, a Distribution) error {
	s, err := f.load(ctx, a.StatusID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := f.Client.Push(ctx, "FeedInsertWorker", []any{a.StatusID, s.AccountID, "home"},
		queue.Options{}); err != nil {
		return err
	}
	if s.Visibility < direct {
		if err := f.fanOut(ctx, a.StatusID, s); err != nil {
			return err
		}
	}
	if a.Options.SkipNotifications || s.BoostOf != 0 {
		return nil
	}
	return f.notify(ctx, a.StatusID)
}

func (f *Feeds) fanOut(ctx context.Context, id int64, s status) error {
	r, err := f.DB.Replica(ctx)
	if err != nil {
		return err
	}
	type follower struct{ Follow, Account int64 }
	for last := int64(0); ; {
		page, err := database.Collect(ctx, r, pgx.RowToStructByPos[follower], `
			SELECT follows.id, follows.account_id FROM follows
			JOIN accounts ON accounts.id = follows.account_id
			JOIN users ON users.account_id = accounts.id
			WHERE follows.target_account_id = $1 AND follows.id > $2 AND accounts.domain IS NULL
			AND users.current_sign_in_at > (now() AT TIME ZONE 'UTC') - make_interval(days => $3)
			AND (follows.show_reblogs OR NOT $4) ORDER BY follows.id LIMIT $5`,
			s.AccountID, last, activeDays, s.BoostOf != 0, fanOutPage)
		if err != nil || len(page) == 0 {
			return hint(err)
		}
		args := make([][]any, len(page))
		for i, p := range page {
			args[i] = []any{id, p.Account, "home"}
		}
		if _, err := f.Client.PushBulk(ctx, "FeedInsertWorker", args, queue.Options{}); err != nil {
			return err
		}
		last = page[len(page)-1].Follow
	}
}

func (f *Feeds) notify(ctx context.Context, id int64) error {
	r, err := f.DB.Replica(ctx)
	if err != nil {
		return err
	}
	type mention struct{ ID, Account int64 }
	mentions, err := database.Collect(ctx, r, pgx.RowToStructByPos[mention], `
		SELECT mentions.id, mentions.account_id FROM mentions
		JOIN accounts ON accounts.id = mentions.account_id
		WHERE mentions.status_id = $1 AND accounts.domain IS NULL AND NOT mentions.silent`, id)
	if err != nil || len(mentions) == 0 {
		return hint(err)
	}
	args := make([][]any, len(mentions))
	for i, m := range mentions {
		args[i] = []any{m.Account, m.ID, "Mention", "mention"}
	}
	_, err = f.Client.PushBulk(ctx, "LocalNotificationWorker", args, queue.Options{})
	return err
}
