package database

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct{ code, message, want string }{
		{"28000", `Peer authentication failed for user "mastodon"`, "system user of the same name"},
		{"28000", "no pg_hba.conf entry for host", "pg_hba.conf has no line"},
		{"28P01", "password authentication failed", "DB_PASS"},
		{"3D000", `database "x" does not exist`, "DB_NAME"},
		{"53300", "sorry, too many clients already", "max_connections"},
		{"42704", `unrecognized configuration parameter "foo"`, "no setting of Postgres"},
		{"08P01", "no more connections allowed (max_client_conn)", "raise its max_client_conn"},
		{"08P01", "password authentication failed", "userlist.txt"},
		{"08P01", "no such user: x", "does not know the user"},
		{"08P01", "no such database: x", "[databases]"},
		{"08P01", "unsupported startup parameter: search_path", "ignore_startup_parameters"},
		{"08P01", "server login has been failing", "its own log"},
		{"99999", "anything", "it refuses the connection"},
	} {
		t.Run("has the remedy for "+c.code+" "+c.message, func(t *testing.T) {
			cause := &pgconn.PgError{Code: c.code, Message: c.message}
			err := explain(cause, "h:5432/d")
			if !strings.Contains(err.Error(), c.want) || !errors.Is(err, cause) {
				t.Error(err)
			}
		})
	}
}
