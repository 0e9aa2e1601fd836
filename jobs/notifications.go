package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
)

// Notifications stores notifications for local accounts.
type Notifications struct {
	DB *database.Database
}

// LocalNotification holds the arguments of LocalNotificationWorker, in Mastodon's order.
type LocalNotification struct {
	ReceiverID   int64
	ActivityID   int64           // the row in the table of ActivityType
	ActivityType string          // "Mention", "Status", "Favourite" or "Follow"
	Type         string          `job:"optional"` // such as "mention"; ActivityType if empty
	Options      json.RawMessage `job:"optional"` // not used
}

// senders are the queries for the account that caused an activity, by ActivityType.
var senders = map[string]string{
	"Mention": "SELECT statuses.account_id FROM mentions JOIN statuses ON statuses.id = " +
		"mentions.status_id WHERE mentions.id = $1",
	"Status":    "SELECT account_id FROM statuses WHERE id = $1 AND deleted_at IS NULL",
	"Favourite": "SELECT account_id FROM favourites WHERE id = $1",
	"Follow":    "SELECT account_id FROM follows WHERE id = $1",
}

// Notify stores a notification. A second run changes nothing: an activity notifies an
// account once per type. A notification of the type "update" replaces the one before. If
// the activity no longer exists, nothing is stored. A job without a receiver, or with an
// unknown ActivityType, goes to the dead set.
func (n *Notifications) Notify(ctx context.Context, a LocalNotification) error {
	p, err := n.DB.Primary(ctx)
	if err != nil {
		return err
	}
	sender, known := senders[a.ActivityType]
	if !known || a.ReceiverID == 0 {
		return queue.Kill(fmt.Errorf("a notification needs a receiver, and an activity that is a "+
			"Mention, Status, Favourite or Follow, not %.40q", a.ActivityType))
	}
	if a.Type == "" {
		a.Type = strings.ToLower(a.ActivityType)
	}
	from, err := database.One(ctx, p, pgx.RowTo[int64], sender, a.ActivityID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return hint(err)
	}
	return hint(p.Tx(ctx, func(tx pgx.Tx) error { return a.store(ctx, tx, from) }))
}

// store inserts the notification under a lock, because Mastodon's table has no unique key
// that keeps two runs at once from inserting two. The lock ends with the transaction, so
// it works behind a pooler too.
func (a *LocalNotification) store(ctx context.Context, tx pgx.Tx, from int64) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
		fmt.Sprintf("kyu notification %d %s %d", a.ReceiverID, a.ActivityType,
			a.ActivityID)); err != nil {
		return err
	}
	if a.Type == "update" {
		if _, err := tx.Exec(ctx, "DELETE FROM notifications WHERE account_id = $1 AND "+
			"activity_type = $2 AND activity_id = $3 AND type = 'update'",
			a.ReceiverID, a.ActivityType, a.ActivityID); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO notifications (account_id, from_account_id,
			activity_type, activity_id, type, created_at, updated_at)
		SELECT $1::bigint, $2::bigint, $3::text, $4::bigint, $5::text,
			now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
		WHERE NOT EXISTS (SELECT FROM notifications WHERE account_id = $1
			AND activity_type = $3 AND activity_id = $4 AND type = $5)`,
		a.ReceiverID, from, a.ActivityType, a.ActivityID, a.Type)
	return err
}
