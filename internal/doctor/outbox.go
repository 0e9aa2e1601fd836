package doctor

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/capability/outbox"
)

const (
	// waitsLong is how old a row of the outbox may be: a relay looks at the table every 1.2 s.
	waitsLong = time.Minute
	// manyDead is how many deleted rows a vacuum may have left.
	manyDead = 1_000_000
)

// Outbox looks at the table of jobs that are pushed in transactions. It adds nothing if Postgres is
// not configured or does not answer, which Postgres reports.
func (e *Examination) Outbox(ctx context.Context) {
	if e.Database.URL == "" {
		return
	}
	s, err := outbox.Look(ctx, e.Database.URL)
	switch {
	case err != nil && s == nil:
		return
	case err != nil:
		e.bad(Warning, "outbox", "grant SELECT, INSERT, UPDATE and DELETE on kyu_outbox and "+
			"kyu_inbox", "its table cannot be read: %v", err)
		return
	case !s.Table:
		e.good("outbox", "it is not used: there is no table kyu_outbox, which workerctl migrate "+
			"makes")
		return
	}
	before := len(e.Findings)
	waited := time.Duration(s.Oldest * float64(time.Second)).Round(time.Second)
	if waited > waitsLong {
		e.bad(Wrong, "outbox", "start a worker with this DATABASE_URL, or look into its log",
			"%d rows wait, the first for %v: their jobs are not in Redis", s.Waiting, waited)
	}
	if len(s.Bad) > 0 {
		e.bad(Warning, "outbox", "workerctl outbox; then correct them, and workerctl outbox retry",
			"%d rows hold no job, and are kept aside: %s", s.Aside, s.Bad[0].Error)
	}
	if s.NoAutovacuum {
		e.bad(Wrong, "outbox", "ALTER TABLE kyu_outbox RESET (autovacuum_enabled); and the "+
			"setting autovacuum = on", "autovacuum is off: the table grows with each job")
	} else if s.Dead > manyDead {
		e.bad(Warning, "outbox", "end the transaction or the replication slot that is open for "+
			"long (pg_stat_activity, pg_replication_slots)",
			"%d deleted rows are not vacuumed: each look at the table reads them", s.Dead)
	}
	if len(e.Findings) == before {
		e.good("outbox", "%d rows wait; the table has %.1f MB", s.Waiting,
			float64(s.Bytes+s.IndexBytes)/1e6)
	}
}
