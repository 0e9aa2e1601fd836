package database

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func reader(vars map[string]string) *env.Reader {
	return &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
}

func TestTheEnvironmentOfMastodonMakesAPool(t *testing.T) {
	r := reader(map[string]string{"DB_HOST": "db.example", "DB_PORT": "6432", "DB_NAME": "m",
		"DB_USER": "u", "DB_PASS": "p@ss/word",
		"DB_SSLMODE": "disable", "DB_POOL": "30", "PREPARED_STATEMENTS": "false"})
	c := ConfigFromEnv(r)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	p, err := c.poolConfig(c.URL, 25)
	if err != nil {
		t.Fatal(err)
	}
	x := p.ConnConfig
	if x.Host != "db.example" || x.Port != 6432 || x.Database != "m" || x.User != "u" ||
		x.Password != "p@ss/word" || x.TLSConfig != nil {
		t.Errorf("%s:%d %s %s %s", x.Host, x.Port, x.Database, x.User, x.Password)
	}
	if prepared, _ := c.prepared(Direct); prepared || p.MaxConns != 30 ||
		x.RuntimeParams["application_name"] != "" {
		t.Errorf("pool %d, prepared %v, %v", p.MaxConns, prepared, x.RuntimeParams)
	}
	for _, s := range r.Settings {
		if strings.Contains(s.Value, "p@ss") || strings.Contains(s.Value, "p%40ss") {
			t.Errorf("the password is shown: %+v", s)
		}
	}
}

func TestDatabaseURLComesFirstAndASocketDirectoryWorks(t *testing.T) {
	c := ConfigFromEnv(reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
		"DB_HOST": "other"}))
	if p, err := c.poolConfig(c.URL, 3); err != nil || p.ConnConfig.Host != "h" || p.MaxConns != 3 {
		t.Error(err)
	}
	c = ConfigFromEnv(reader(map[string]string{"DB_HOST": "/run/postgresql"}))
	if p, err := c.poolConfig(c.URL, 3); err != nil || p.ConnConfig.Host != "/run/postgresql" {
		t.Error(err)
	}
}

func TestWrongVariablesAreAllNamed(t *testing.T) {
	r := reader(map[string]string{"DB_HOST": "h", "DB_PORT": "x",
		"DB_POOL": "-1", "PREPARED_STATEMENTS": "maybe", "DB_SSLMODE": "perhaps"})
	ConfigFromEnv(r)
	for _, want := range []string{"DB_PORT", "DB_POOL", "PREPARED_STATEMENTS", "Postgres address"} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in: %v", want, err)
		}
	}
}

func TestAServerThatIsNotThereIsExplained(t *testing.T) {
	_, err := Open(t.Context(), Config{URL: "postgres://u:secret@127.0.0.1:1/d"}, 1,
		slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "is it running") ||
		strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestReplicasFallBackToThePrimaryFieldByField(t *testing.T) {
	c := ConfigFromEnv(reader(map[string]string{"DB_HOST": "db", "DB_NAME": "m", "DB_USER": "u",
		"DB_PASS": "secret", "DB_SSLMODE": "disable",
		"REPLICA_DB_HOST": "r1, r2", "REPLICA_DB_PORT": "5433",
		"REPLICA_POLICIES": "A=always,B=delayed"}))
	if len(c.Replicas) != 2 || c.Replicas[1] != "postgres://u:secret@r2:5433/m?sslmode=disable" ||
		c.Policies["A"] != Always || c.Policies["B"] != Delayed {
		t.Errorf("%v %v", c.Replicas, c.Policies)
	}
	c = ConfigFromEnv(reader(map[string]string{
		"DATABASE_URL":    "postgres://a:b@h:1/d?sslmode=require",
		"REPLICA_DB_HOST": "r", "REPLICA_DB_USER": "ro", "REPLICA_DB_PASS": "x"}))
	if len(c.Replicas) != 1 || c.Replicas[0] != "postgres://ro:x@r:1/d?sslmode=require" {
		t.Error(c.Replicas)
	}
	c = ConfigFromEnv(reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
		"REPLICA_DATABASE_URL": "postgres://a@r1/d,postgres://a@r2/d",
		"REPLICA_DB_HOST":      "ignored"}))
	if len(c.Replicas) != 2 || c.Replicas[0] != "postgres://a@r1/d" || c.MaxLag == 0 {
		t.Error(c.Replicas)
	}
	r := reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
		"REPLICA_DATABASE_URL": "postgres://a@r1/d", "REPLICA_POLICIES": "A=sometimes",
		"REPLICA_MAX_LAG": "0"})
	ConfigFromEnv(r)
	for _, want := range []string{`A=sometimes": want CLASS=sticky`, "REPLICA_MAX_LAG"} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in: %v", want, err)
		}
	}
}

func TestAPositionBehindAPagesHeaderIsThePagesStart(t *testing.T) {
	for p, want := range map[Position]Position{0x3000028: 0x3000000, 0x3002018: 0x3002000,
		0x3002028: 0x3002028, 0x3000018: 0x3000018, 0x3000060: 0x3000060} {
		if got := p.withoutHeader(8192, 16<<20); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
}
