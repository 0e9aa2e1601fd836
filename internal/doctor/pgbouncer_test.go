package doctor

import (
	"testing"

	"github.com/kyujobs/kyu/database"
)

func TestDoctorPgBouncer(t *testing.T) {
	mode := func(e *Examination, settings map[string]string, d demand) {
		e.poolMode("app", settings, d)
	}
	d := demandOf([]Pool{{"a", 10}, {"b", 5}})
	for _, x := range []struct {
		name                string
		look                func(*Examination, map[string]string, demand)
		settings            map[string]string
		level, text, remedy string
	}{
		{"pools by transaction", mode,
			map[string]string{"pool_mode": "transaction", "default_pool_size": "5"}, Good,
			"transaction mode, 5 connections", ""},
		{"has too few sessions", mode,
			map[string]string{"pool_mode": "session", "default_pool_size": "5"}, Wrong,
			"all pools may open 15 connections (10 + 5), and it gives 5",
			"pool_mode = transaction"},
		{"has enough sessions", mode,
			map[string]string{"pool_mode": "session", "default_pool_size": "20"}, Warning,
			"nothing is pooled", "pool_mode = transaction"},
		{"fails transactions in statement mode", mode,
			map[string]string{"pool_mode": "statement", "default_pool_size": "20"}, Wrong,
			"every transaction of a job fails", "pool_mode = transaction"},
		{"accepts too few clients", (*Examination).clients,
			map[string]string{"max_client_conn": "8"}, Wrong, "max_client_conn is 8",
			"max_client_conn = 18"},
		{"accepts all clients", (*Examination).clients,
			map[string]string{"max_client_conn": "500"}, Good, "max_client_conn is 500", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
			x.look(e, x.settings, d)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
	t.Run("has its console at the same address", func(t *testing.T) {
		e := &Examination{}
		if got := e.consoleURL("postgres://u@h:6432/app"); got != "postgres://u@h:6432/pgbouncer" {
			t.Error(got)
		}
		for from, want := range map[string]string{
			"host=h user=u dbname=app":            "host=h user=u dbname=app dbname=pgbouncer",
			"postgres://u@h:6432/app?pool=5":      "postgres://u@h:6432/pgbouncer",
			"postgres:///app?host=/run&port=6432": "postgres:///pgbouncer?host=%2Frun&port=6432",
		} {
			if got := e.consoleURL(from); got != want {
				t.Errorf("%s: %s", from, got)
			}
		}
		e.PgBouncer = "postgres://admin@x/pgbouncer"
		if got := e.consoleURL("postgres://u@h/app"); got != "postgres://admin@x/pgbouncer" {
			t.Error(got)
		}
	})
}

func TestServersOf(t *testing.T) {
	list := serversOf(database.Config{URL: "postgres://u@h:6432/app",
		Replicas: []string{"host=h port=6432 dbname=app_replica user=u", "postgres://u@r/app"}})
	t.Run("are one for two databases of one PgBouncer", func(t *testing.T) {
		if len(list) != 2 || list[0].place != "h:6432" || len(list[0].databases) != 2 ||
			list[1].place != "r:5432" {
			t.Errorf("%+v", list)
		}
	})
	t.Run("get the clients of all their databases", func(t *testing.T) {
		e := &Examination{}
		d := demandOf([]Pool{{"a", 30}}).times(len(list[0].databases))
		e.clients(map[string]string{"max_client_conn": "50"}, d)
		e.only(t, Wrong, "60 connections (2 databases x 30 connections (30))",
			"max_client_conn = 75")
	})
}

func TestBouncer(t *testing.T) {
	b := &bouncer{map[string]string{"pool_mode": "transaction", "default_pool_size": "20"},
		map[string]map[string]string{"plain": {},
			"app": {"pool_mode": "session", "pool_size": "7"}}}
	for name, want := range map[string]string{"app": "session 7", "plain": "transaction 20",
		"unknown": "transaction 20"} {
		t.Run("has the settings of the database "+name, func(t *testing.T) {
			s := b.database(name)
			if got := s["pool_mode"] + " " + s["default_pool_size"]; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
