package mastodon

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/prometheus/client_golang/prometheus"
)

func TestOutboxSetting(t *testing.T) {
	for value, want := range map[string]bool{"": false, "true": false, "false": true} {
		t.Run("OUTBOX="+value, func(t *testing.T) {
			w := New("worker")
			vars := map[string]string{"DATABASE_URL": "postgres://db/x", "OUTBOX": value}
			w.Getenv = func(key string) string { return vars[key] }
			if _, err := w.Check(t.TempDir(), nil); err != nil || w.noOutbox != want {
				t.Errorf("off %t, want %t; %v", w.noOutbox, want, err)
			}
		})
	}
}

func TestOutboxMetrics(t *testing.T) {
	url := pgtest.Start(t)
	db, err := database.Open(t.Context(), database.Config{URL: url}, 2, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	registry := prometheus.NewRegistry()
	registry.MustRegister(&outboxCollector{outbox.New(outbox.Config{Pool: db.Pool(),
		Store: redistest.Start(t).Store()})})
	names := func() (list []string) {
		families, err := registry.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			list = append(list, f.GetName())
		}
		return list
	}
	t.Run("leave out the table while there is none", func(t *testing.T) {
		want := []string{"kyu_pg_outbox_refused_total", "kyu_pg_outbox_relayed_total"}
		if got := names(); !slices.Equal(got, want) {
			t.Error(got)
		}
	})
	t.Run("have the rows of the table", func(t *testing.T) {
		if _, err := migrate.Up(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, url, "INSERT INTO kyu_outbox (payload, error, created_at) VALUES "+
			"('{}', NULL, now() - interval '1 hour'), ('{}', 'bad', now())")
		families, _ := registry.Gather()
		got := map[string]float64{}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		if got["kyu_pg_outbox_waiting"] != 1 || got["kyu_pg_outbox_aside"] != 1 ||
			got["kyu_pg_outbox_oldest_seconds"] < 3600 {
			t.Error(got)
		}
	})
}
