package acceptance

import (
	"context"
	"crypto/md5"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// scaled is a system set up as Mastodon's page on scaling says: a primary with a replica, one
// PgBouncer for both, by two names of databases, and a Redis of its own for the cache.
type scaled struct {
	*harness.Site
	primary, replica *pgtest.Cluster
	pooler           *pgtest.Bouncer
	console          string // the address of PgBouncer's console, for its admin
	port             int    // of PgBouncer
	worker           *harness.Process
}

// scaledINI is the pgbouncer.ini of that page, with the ports of the test, and with the replica.
const scaledINI = `[databases]
mastodon_production = port=%d host=127.0.0.1 dbname=mastodon_production user=mastodon password=pw
mastodon_replica = port=%d host=127.0.0.1 dbname=mastodon_production user=mastodon password=pw

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
auth_type = md5
auth_file = AUTH_FILE
admin_users = pgbouncer
pool_mode = transaction
max_client_conn = 100
default_pool_size = 20
unix_socket_dir =
`

// TestScalingPage walks through Mastodon's page on scaling, from the files of PgBouncer to doctor.
func TestScalingPage(t *testing.T) {
	t.Parallel()
	p := scale(harness.New(t, "--appendonly", "yes", "--maxmemory", "512mb"))
	stage := func(says string, f func(*scaled)) {
		t.Run(says, func(t *testing.T) {
			q := *p
			q.Site = p.With(t)
			f(&q)
		})
	}
	stage("migrations run on the port of Postgres, and not on PgBouncer's", (*scaled).migrates)
	stage("the worker finds the pooler and prepares no statements", (*scaled).starts)
	stage("PgBouncer takes RELOAD", (*scaled).reloads)
	stage("a restart of PgBouncer under load costs no job an attempt", (*scaled).restarts)
	stage("doctor says good", (*scaled).isGood)
	stage("doctor names a limit of clients that two databases exceed", (*scaled).isTooSmall)
}

// scale makes the servers.
func scale(s *harness.Site) *scaled {
	s.Helper()
	primary := pgtest.StartCluster(s)
	pgtest.Exec(s, primary.URL, "CREATE ROLE mastodon LOGIN PASSWORD 'pw'")
	pgtest.Exec(s, primary.URL, "CREATE DATABASE mastodon_production OWNER mastodon")
	p := &scaled{Site: s, primary: primary, replica: primary.Replica(), port: redistest.FreePort(s)}
	users := ""
	for _, user := range []string{"mastodon", "pgbouncer"} {
		users += fmt.Sprintf("%q \"md5%x\"\n", user, md5.Sum([]byte("pw"+user)))
	}
	ini := fmt.Sprintf(scaledINI, primary.Port, p.replica.Port, p.port)
	url := fmt.Sprintf("postgres://mastodon:pw@127.0.0.1:%d/mastodon_production", p.port)
	p.pooler = pgtest.RunPooler(s, ini, users, url)
	p.console = fmt.Sprintf("postgres://pgbouncer:pw@127.0.0.1:%d/pgbouncer", p.port)
	s.Env = []string{"DB_HOST=127.0.0.1", fmt.Sprint("DB_PORT=", p.port), "DB_USER=mastodon",
		"DB_PASS=pw", "DB_NAME=mastodon_production", "PREPARED_STATEMENTS=false",
		"REPLICA_DB_NAME=mastodon_replica", "CACHE_REDIS_URL=" + cacheRedis(s),
		fmt.Sprintf("DIRECT_DATABASE_URL=postgres://mastodon:pw@127.0.0.1:%d/"+
			"mastodon_production", primary.Port)}
	p.worker = s.WorkerWith(s.Env, "-c", "15", "-q", "default")
	return p
}

func (p *scaled) migrates() {
	out, _ := run([]string{"REDIS_URL=" + p.Server.URL, "DATABASE_URL=" + p.pooler.URL},
		"workerctl", "migrate")
	p.Contains("migrate through the pooler", out, "DIRECT_DATABASE_URL")
	p.OK("done: 0001_mastodon.sql", "migrate")
}

func (p *scaled) starts() {
	registered(p.Site, 1)
	for _, name := range []string{"mastodon_production", "mastodon_replica"} {
		p.Contains("the log", p.worker.Log(), fmt.Sprintf("server=127.0.0.1:%d/%s "+
			"pooler=transaction prepared_statements=false", p.port, name))
	}
}

// tell sends a command to PgBouncer's console.
func (p *scaled) tell(command string) {
	p.Helper()
	x, err := pgx.ParseConfig(p.console)
	p.Must(err)
	x.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(p.Context(), x)
	p.Must(err)
	defer conn.Close(context.Background())
	_, err = conn.PgConn().Exec(p.Context(), command).ReadAll()
	p.Must(err)
}

func (p *scaled) reloads() {
	p.tell("RELOAD")
	p.Push("Test::DB", []any{1}, queue.Options{})
	p.Settled(10 * time.Second)
}

func (p *scaled) restarts() {
	push := func(n int) {
		for range n {
			p.Push("Test::DB", []any{2}, queue.Options{})
		}
	}
	for range 3 {
		push(300)
		p.pooler.Stop()
		push(100)
		p.pooler.Restart()
	}
	p.Settled(60 * time.Second)
	for _, set := range []string{"retry", "dead"} {
		p.Equal("jobs in the set "+set, p.Card(set), int64(0))
	}
	p.Equal("failures", p.Raw.Get(p.Context(), "stat:failed").Val(), "")
}

func (p *scaled) isGood() {
	says(p.Site, 0, []string{`^good +pgbouncer +mastodon_production: transaction mode, 20`,
		`^good +pgbouncer +mastodon_replica: transaction mode, 20`,
		`all pools may open 70 connections \(2 databases x 35 connections \(15 \+ 10 \+ 10\)\)`,
		`^good +replica`}, "--web", "2x5", "--streaming", "1x10", "--pgbouncer", p.console)
}

func (p *scaled) isTooSmall() {
	says(p.Site, 2, []string{`^wrong +pgbouncer +all pools may open 150 connections`,
		`→ max_client_conn = 187`}, "--web", "10x5", "--streaming", "1x10", "--pgbouncer",
		p.console)
}
