package main

import "testing"

func TestDoctorPgBouncer(t *testing.T) {
	d := demandOf([]pool{{"a", 10}, {"b", 5}})
	for _, x := range []struct {
		name                string
		look                func(*examination, map[string]string, demand)
		settings            map[string]string
		level, text, remedy string
	}{
		{"pools by transaction", (*examination).poolMode,
			map[string]string{"pool_mode": "transaction", "default_pool_size": "5"}, good,
			"transaction mode, 5 connections", ""},
		{"has too few sessions", (*examination).poolMode,
			map[string]string{"pool_mode": "session", "default_pool_size": "5"}, wrong,
			"all pools may open 15 connections (10 + 5), and it gives 5",
			"pool_mode = transaction"},
		{"has enough sessions", (*examination).poolMode,
			map[string]string{"pool_mode": "session", "default_pool_size": "20"}, warning,
			"nothing is pooled", "pool_mode = transaction"},
		{"accepts too few clients", (*examination).clients,
			map[string]string{"max_client_conn": "8"}, wrong, "max_client_conn is 8",
			"max_client_conn = 18"},
		{"accepts all clients", (*examination).clients,
			map[string]string{"max_client_conn": "500"}, good, "max_client_conn is 500", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			e, _ := examine(nil)
			x.look(e, x.settings, d)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
	t.Run("has its console at the same address", func(t *testing.T) {
		e, _ := examine(nil)
		if got := e.consoleURL("postgres://u@h:6432/app"); got != "postgres://u@h:6432/pgbouncer" {
			t.Error(got)
		}
		e, _ = examine(func(d *doctor) { d.pgbouncer = "postgres://admin@x/pgbouncer" })
		if got := e.consoleURL("postgres://u@h/app"); got != "postgres://admin@x/pgbouncer" {
			t.Error(got)
		}
	})
}
