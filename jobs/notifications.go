// Package jobs is what the four queues of a Mastodon-like server do: plain
// functions on structs that hold what they need.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
)

// Notifications tells local users what concerns them.
type Notifications struct {
	DB *database.Database
}

// LocalNotification are the arguments of Mastodon's LocalNotificationWorker, in
// its order.
type LocalNotification struct {
	ReceiverID   int64
	ActivityID   int64
	ActivityType string          // the class: "Mention", "Follow", "Favourite" …
	Type         string          `job:"optional"` // "mention" …; of the activity's class if empty
	Options      json.RawMessage `job:"optional"`
}

// noTable is Postgres's code for a table that is not there.
const noTable = "42P01"

// Notify stores a notification. Run again it changes nothing.
func (n *Notifications) Notify(ctx context.Context, a LocalNotification) error {
	pool, err := n.DB.Primary()
	if err != nil {
		return err
	}
	if a.ActivityType == "" || a.ReceiverID == 0 {
		return queue.Kill(errors.New("a notification needs a receiver and an activity: running it again would not help"))
	}
	_, err = pool.Exec(ctx, `INSERT INTO kyu_notifications (account_id, activity_type, activity_id, type)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, a.ReceiverID, a.ActivityType, a.ActivityID, a.Type)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == noTable {
		return fmt.Errorf("the table is not there yet: run `workerctl migrate`: %w", err)
	}
	return err
}
