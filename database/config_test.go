package database

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/env"
)

func reader(vars map[string]string) *env.Reader {
	return &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
}

func TestTheEnvironmentOfMastodonMakesAPool(t *testing.T) {
	r := reader(map[string]string{"DB_HOST": "db.example", "DB_PORT": "6432", "DB_NAME": "m", "DB_USER": "u", "DB_PASS": "p@ss/word",
		"DB_SSLMODE": "disable", "DB_POOL": "30", "PREPARED_STATEMENTS": "false"})
	c := ConfigFromEnv(r)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	p, err := c.poolConfig(25)
	if err != nil {
		t.Fatal(err)
	}
	x := p.ConnConfig
	if x.Host != "db.example" || x.Port != 6432 || x.Database != "m" || x.User != "u" || x.Password != "p@ss/word" || x.TLSConfig != nil {
		t.Errorf("%s:%d %s %s %s", x.Host, x.Port, x.Database, x.User, x.Password)
	}
	if p.MaxConns != 30 || x.DefaultQueryExecMode != pgx.QueryExecModeExec || x.RuntimeParams["application_name"] != "" {
		t.Errorf("pool %d, mode %v, %v", p.MaxConns, x.DefaultQueryExecMode, x.RuntimeParams)
	}
	for _, s := range r.Settings {
		if strings.Contains(s.Value, "p@ss") || strings.Contains(s.Value, "p%40ss") {
			t.Errorf("the password is shown: %+v", s)
		}
	}
}

func TestDatabaseURLComesFirstAndASocketDirectoryWorks(t *testing.T) {
	c := ConfigFromEnv(reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d", "DB_HOST": "other"}))
	if p, err := c.poolConfig(3); err != nil || p.ConnConfig.Host != "h" || p.MaxConns != 3 || p.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		t.Error(err)
	}
	c = ConfigFromEnv(reader(map[string]string{"DB_HOST": "/run/postgresql"}))
	if p, err := c.poolConfig(3); err != nil || p.ConnConfig.Host != "/run/postgresql" {
		t.Error(err)
	}
}

func TestWrongVariablesAreAllNamed(t *testing.T) {
	r := reader(map[string]string{"DB_HOST": "h", "DB_PORT": "x", "DB_POOL": "-1", "PREPARED_STATEMENTS": "maybe", "DB_SSLMODE": "perhaps"})
	ConfigFromEnv(r)
	for _, want := range []string{"DB_PORT", "DB_POOL", "PREPARED_STATEMENTS", "Postgres address"} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in: %v", want, err)
		}
	}
}

func TestAServerThatIsNotThereIsExplained(t *testing.T) {
	_, err := Open(t.Context(), Config{URL: "postgres://u:secret@127.0.0.1:1/d"}, 1, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "is it running") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}
