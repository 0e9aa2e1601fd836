package database

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain adds the likely remedy to the error of a connection that a server refused.
func explain(err error, server string) error {
	hint := "is it running, and is DATABASE_URL (or DB_HOST and DB_PORT) right?"
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		hint = remedy(pg)
	} else if isLost(err) && strings.Contains(err.Error(), "tls") {
		hint = "TLS fails: check sslmode, sslrootcert, sslcert and sslkey"
	}
	return fmt.Errorf("cannot use Postgres at %s: %s %w", server, hint, err)
}

// hints are the remedies by SQLSTATE and, because PgBouncer sends 08P01 for all its errors, by a
// part of the message. The first that fits is taken; an empty code or part fits always.
var hints = []struct{ code, part, remedy string }{
	{"28000", "peer authentication", "the server takes only the system user of the same name " +
		"(peer in pg_hba.conf): run as that user, or set a password in DB_PASS: see " +
		"docs/postgres.md"},
	{"28000", "no pg_hba.conf entry", "the server's pg_hba.conf has no line for this user, " +
		"database and address, or wants TLS: add one, or set sslmode"},
	{"28P01", "", "it refuses the password: check DATABASE_URL, or DB_USER and DB_PASS"},
	{"28000", "", "it refuses the user: check DATABASE_URL, or DB_USER and DB_PASS"},
	{"3D000", "", "there is no such database: check DATABASE_URL, or DB_NAME"},
	{"53300", "", "it has no connection left: compare max_connections with the sum of all pools: " +
		"`workerctl doctor`"},
	{"57P03", "", "it starts or stops: try again"},
	{"42704", "", "a parameter of the URL is no setting of Postgres: leave it out"},
	{"08P01", "max_client_conn", "the pooler has no client connection left: raise its " +
		"max_client_conn over the sum of all pools: `workerctl doctor`"},
	{"08P01", "authentication failed", "the pooler refuses the password: compare it with the " +
		"user's line in the pooler's auth_file (userlist.txt)"},
	{"08P01", "no such user", "the pooler does not know the user: add it to its auth_file " +
		"(userlist.txt), or set auth_query"},
	{"08P01", "no such database", "the pooler does not know the database: add it to [databases] " +
		"in pgbouncer.ini, and reload it"},
	{"08P01", "startup parameter", "the pooler refuses a parameter of the URL: leave it out, or " +
		"add it to ignore_startup_parameters in pgbouncer.ini"},
	{"08P01", "", "the pooler did not accept the connection: its own log names the cause"},
	{"", "", "it refuses the connection:"},
}

func remedy(pg *pgconn.PgError) string {
	for _, h := range hints {
		if (h.code == "" || h.code == pg.Code) &&
			strings.Contains(strings.ToLower(pg.Message), h.part) {
			return h.remedy
		}
	}
	return ""
}
