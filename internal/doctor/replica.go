package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

// replica looks whether a replica replays, and how far it is behind.
func (e *Examination) replica(ctx context.Context, address, direct string, limit time.Duration) {
	name := "a replica" // an address that cannot be read may have a password anywhere
	if x, err := database.ConnConfig(address); err == nil {
		name = fmt.Sprintf("%s:%d", x.Host, x.Port)
	}
	conn, err := connect(ctx, address)
	if err != nil {
		e.bad(Wrong, "replica", "start it, or take it out of REPLICA_DATABASE_URL",
			"%s does not answer: reads go to the primary, a few at a time: %v", name, err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if e.replays(ctx, name, conn) {
		e.lag(ctx, name, conn, direct, limit)
	}
}

// replays reports whether the server is a replica that replays, and notes it if not.
func (e *Examination) replays(ctx context.Context, name string, conn *pgx.Conn) bool {
	var recovering, paused bool
	err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery(), pg_is_in_recovery() AND "+
		"pg_get_wal_replay_pause_state() <> 'not paused'").Scan(&recovering, &paused)
	switch {
	case err != nil:
		e.bad(Warning, "replica", "", "the state of %s cannot be read: %v", name, err)
	case !recovering:
		e.bad(Wrong, "replica", "check the address; a promoted replica is a primary",
			"%s is not a replica", name)
	case paused:
		e.bad(Wrong, "replica", "SELECT pg_wal_replay_resume() there; look at its log and its disk",
			"%s has stopped replaying: its answers become older and older", name)
	default:
		return true
	}
	return false
}

func (e *Examination) lag(ctx context.Context, name string, replica *pgx.Conn, direct string,
	limit time.Duration) {
	behind, err := measureLag(ctx, replica, direct)
	behind = behind.Round(time.Millisecond)
	switch {
	case err != nil:
		e.bad(Warning, "replica", "", "%s: its lag cannot be measured: %v", name, err)
	case behind > limit:
		e.bad(Wrong, "replica", "look at its load, its disk and the network; REPLICA_MAX_LAG is "+
			"the limit", "%s is %v behind, more than %v: nothing reads from it", name, behind,
			limit)
	default:
		e.good("replica", "%s is %v behind", name, behind)
	}
}

// lagWatch is how long a replica is watched while it replays.
const lagWatch = time.Second

// measureLag gives the time that a replica takes to replay the primary's present position.
// If that is longer than lagWatch, it gives a lower bound.
func measureLag(ctx context.Context, replica *pgx.Conn, direct string) (time.Duration, error) {
	primary, err := connect(ctx, direct)
	if err != nil {
		return 0, err
	}
	defer primary.Close(context.WithoutCancel(ctx))
	var position string
	if err := primary.QueryRow(ctx,
		"SELECT pg_current_wal_flush_lsn()::text").Scan(&position); err != nil {
		return 0, err
	}
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var there bool
		var age float64 // of the last transaction that was replayed, in seconds
		err := replica.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn, "+
			"COALESCE(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float8",
			position).Scan(&there, &age)
		switch watched := time.Since(start); {
		case err != nil:
			return 0, err
		case there:
			return watched, nil
		case watched > lagWatch:
			return max(time.Duration(age*float64(time.Second)), watched), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
