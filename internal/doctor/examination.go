// Package doctor looks for problems of a running system: Redis, queues, processes, schedules,
// Postgres, PgBouncer, replicas and the outbox. workerctl and the dashboard show what it finds.
package doctor

import (
	"fmt"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Levels of a finding, from best to worst.
const (
	Good    = "good"
	Warning = "warning"
	Wrong   = "wrong"
)

// Finding is something that is well, or that is not.
type Finding struct {
	Level string `json:"level"`
	// redis, shards, queues, processes, cron, lanes, postgres, pgbouncer, replica or outbox
	About  string `json:"about"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Settings say what to look at beside the Redis of the queues.
type Settings struct {
	Cache    *queue.Config   // the Redis of the cache; nil: it is not looked at
	Database database.Config // without a URL: Postgres is not looked at
	Direct   string          // the address of the primary without its pooler; empty: Database.URL
	// PgBouncer is the address of its admin console. Empty: the database pgbouncer at its own
	// address.
	PgBouncer string
	RubyPool  int    // the pool of a process of Ruby; 0: one connection for each thread
	Others    Others // processes beside the workers
}

// SettingsFromEnv reads the variables that Mastodon and the workers use. It adds problems to r.
func SettingsFromEnv(r *env.Reader) Settings {
	cache := queue.CacheFromEnv(r, "cache redis", "CACHE_")
	direct, _ := r.Get("DIRECT_DATABASE_URL")
	return Settings{Cache: cache, Database: database.ConfigFromEnv(r), Direct: direct,
		RubyPool: number(r, "DB_POOL"), Others: Others{}.Or(r)}
}

// Examination is one look at the running system. Its methods add findings. A server that cannot be
// reached is a finding, not an error.
type Examination struct {
	Settings
	Store     *queue.Store // opened with the capabilities of packages cron and lanes
	Inspector *inspect.Inspector
	Findings  []Finding
	Pools     []Pool // of the workers, that open connections to Postgres; Fleet adds them

	pooled map[string]bool // identities whose pools count; nil: all
}

func (e *Examination) good(about, format string, args ...any) {
	e.Findings = append(e.Findings, Finding{Good, about, fmt.Sprintf(format, args...), ""})
}

// bad adds a finding of a level, with its remedy or "".
func (e *Examination) bad(level, about, remedy, format string, args ...any) {
	e.Findings = append(e.Findings, Finding{level, about, fmt.Sprintf(format, args...), remedy})
}
