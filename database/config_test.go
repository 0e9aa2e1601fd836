package database

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
)

func reader(vars map[string]string) *env.Reader {
	return &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
}

func TestConfigFromEnv(t *testing.T) {
	t.Run("reads Mastodon's variables, and hides the password", func(t *testing.T) {
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
		got := fmt.Sprint(x.Host, " ", x.Port, " ", x.Database, " ", x.User, " ", x.Password)
		if want := "db.example 6432 m u p@ss/word"; got != want || x.TLSConfig != nil {
			t.Errorf("%s, want %s; TLS: %v", got, want, x.TLSConfig != nil)
		}
		if prepared, _ := c.prepared(Direct); prepared || p.MaxConns != 30 {
			t.Errorf("pool %d, prepared %v", p.MaxConns, prepared)
		}
		if name := x.RuntimeParams["application_name"]; name != "" {
			t.Errorf("sets the application name %s", name)
		}
		for _, s := range r.Settings {
			if strings.Contains(s.Value, "p@ss") || strings.Contains(s.Value, "p%40ss") {
				t.Errorf("the password is shown: %+v", s)
			}
		}
	})
	t.Run("takes DATABASE_URL before DB_HOST", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
			"DB_HOST": "other"}))
		if p, err := c.poolConfig(c.URL, 3); err != nil || p.ConnConfig.Host != "h" {
			t.Errorf("%+v, %v", p, err)
		}
	})
	t.Run("takes Rails' settings in the URL, unless a variable is set", func(t *testing.T) {
		url := "postgres://a:b@h:1/d?pool=25&prepared_statements=false&checkout_timeout=7"
		c := ConfigFromEnv(reader(map[string]string{"DATABASE_URL": url}))
		if c.Pool != 25 || c.Prepared != PreparedOff || c.Wait != 7*time.Second {
			t.Errorf("%+v", c)
		}
		c = ConfigFromEnv(reader(map[string]string{"DATABASE_URL": url, "DB_POOL": "30",
			"PREPARED_STATEMENTS": "true", "DB_POOL_TIMEOUT": "9"}))
		if c.Pool != 30 || c.Prepared != PreparedOn || c.Wait != 9*time.Second {
			t.Errorf("%+v", c)
		}
	})
	t.Run("takes one port for all hosts", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{"DB_HOST": "a,b", "DB_PORT": "6432",
			"DB_SSLMODE": "disable"}))
		x, err := ConnConfig(c.URL)
		if err != nil || x.Host != "a" || x.Port != 6432 || len(x.Fallbacks) != 1 ||
			x.Fallbacks[0].Host != "b" || x.Fallbacks[0].Port != 6432 {
			t.Errorf("%+v %v", x, err)
		}
	})
	t.Run("takes the directory of a socket", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{"DB_HOST": "/run/postgresql"}))
		if p, err := c.poolConfig(c.URL, 3); err != nil || p.ConnConfig.Host != "/run/postgresql" {
			t.Error(err)
		}
	})
	t.Run("names all wrong variables", func(t *testing.T) {
		r := reader(map[string]string{"DB_HOST": "h", "DB_PORT": "x",
			"DB_POOL": "-1", "PREPARED_STATEMENTS": "maybe", "DB_SSLMODE": "perhaps"})
		ConfigFromEnv(r)
		for _, want := range []string{"DB_PORT", "DB_POOL", "PREPARED_STATEMENTS",
			"Postgres address"} {
			if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in: %v", want, err)
			}
		}
	})
}

func TestReplicasFromEnv(t *testing.T) {
	t.Run("have the primary's values, each where none is set", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{"DB_HOST": "db", "DB_NAME": "m", "DB_USER": "u",
			"DB_PASS": "secret", "DB_SSLMODE": "disable",
			"REPLICA_DB_HOST": "r1, r2", "REPLICA_DB_PORT": "5433",
			"REPLICA_POLICIES": "A=always,B=delayed"}))
		const second = "postgres://u:secret@r2:5433/m?sslmode=disable"
		if len(c.Replicas) != 2 || c.Replicas[1] != second {
			t.Error(c.Replicas)
		}
		if c.Policies["A"] != Always || c.Policies["B"] != Delayed {
			t.Error(c.Policies)
		}
	})
	t.Run("have the values of the primary's URL", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{
			"DATABASE_URL":    "postgres://a:b@h:1/d?sslmode=require",
			"REPLICA_DB_HOST": "r", "REPLICA_DB_USER": "ro", "REPLICA_DB_PASS": "x"}))
		if len(c.Replicas) != 1 || c.Replicas[0] != "postgres://ro:x@r:1/d?sslmode=require" {
			t.Error(c.Replicas)
		}
	})
	t.Run("are the URLs of REPLICA_DATABASE_URL, if it is set", func(t *testing.T) {
		c := ConfigFromEnv(reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
			"REPLICA_DATABASE_URL": "postgres://a@r1/d,postgres://a@r2/d",
			"REPLICA_DB_HOST":      "ignored"}))
		if len(c.Replicas) != 2 || c.Replicas[0] != "postgres://a@r1/d" || c.MaxLag == 0 {
			t.Error(c.Replicas)
		}
	})
	t.Run("name all wrong variables", func(t *testing.T) {
		r := reader(map[string]string{"DATABASE_URL": "postgres://a:b@h:1/d",
			"REPLICA_DATABASE_URL": "postgres://a@r1/d", "REPLICA_POLICIES": "A=sometimes",
			"REPLICA_MAX_LAG": "0"})
		ConfigFromEnv(r)
		for _, want := range []string{`A=sometimes": want CLASS=sticky`, "REPLICA_MAX_LAG"} {
			if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in: %v", want, err)
			}
		}
	})
}
