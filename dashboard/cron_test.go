package dashboard_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// schedule has a process enter entries into Redis, and stops it.
func (f *fixture) schedule(entries ...cron.Entry) {
	f.Helper()
	s, err := cron.New(cron.Config{Store: f.store, Schedule: cron.Schedule{Entries: entries},
		Logger: slog.New(slog.DiscardHandler)})
	f.must(err)
	ctx, stop := context.WithCancel(f.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	testwait.Until(f, 10*time.Second, "the entries are there, and no others", func() bool {
		list, err := cron.Control{Store: f.store}.List(ctx)
		list = slices.DeleteFunc(list, func(s cron.Status) bool { return s.State != cron.Active })
		return err == nil && len(list) == len(entries)
	})
	stop()
	f.must(<-ended)
}

// nightly and hourly are entries of which none is due in a test.
var (
	nightly = cron.Entry{Name: "nightly/clean up", Cron: "0 3 1 1 *", TZ: "Asia/Tokyo",
		Class: "CleanUp", Args: []any{"<b>"}, Queue: "low", NoOverlap: true,
		Description: "removes what is old"}
	hourly = cron.Entry{Name: "hourly", Every: 300 * 24 * time.Hour, Class: "Hourly",
		Misfire: cron.Skip}
)

func TestCronPage(t *testing.T) {
	f := newTools(t)
	f.has(f.get("/cron", 200), "There are no entries")
	f.schedule(nightly, hourly)
	const path = "/cron/nightly%2Fclean%20up"
	t.Run("lists entries", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/cron", "Cron", "定期実行")
		f.has(f.get("/cron", 200), path, "0 3 1 1 * Asia/Tokyo", "CleanUp", "/queues/low", "active",
			"every 7200h0m0s")
	})
	t.Run("shows an entry", func(t *testing.T) {
		f := f.sub(t)
		f.translated(path, "Entry nightly/clean up", "エントリー nightly/clean up")
		f.has(f.get(path, 200), "removes what is old", "It has not been pushed yet",
			"No such job is there now")
		f.has(f.get("/cron/nope", 404), "not found")
	})
	t.Run("is JSON as workerctl prints it", func(t *testing.T) {
		f := f.sub(t)
		var list struct {
			Entries []struct{ Name, Every, State string }
		}
		f.api("/cron", &list)
		if len(list.Entries) != 2 || list.Entries[0].Every != "7200h0m0s" ||
			list.Entries[1].State != "active" {
			t.Errorf("%+v", list)
		}
		var one struct {
			Entry struct{ Class string }
			Runs  []cron.Run
		}
		f.api(path, &one)
		same(t, "class", one.Entry.Class, "CleanUp")
	})
	t.Run("has no buttons for a viewer", func(t *testing.T) {
		f := f.sub(t)
		f.role = "viewer"
		f.lacks(f.get(path, 200), `method="post"`)
	})
}

func TestCronActs(t *testing.T) {
	f := newTools(t)
	f.role = "operator"
	f.schedule(nightly, hourly)
	const path = "/cron/nightly%2Fclean%20up"
	t.Run("run pushes a job now", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post(path+"/run", form())
		same(t, "next page", to, path)
		f.has(page, "A job of nightly/clean up is pushed.", "by hand", "is not over:")
		same(t, "jobs", f.raw.LLen(t.Context(), "queue:low").Val(), 1)
		f.audited("dashboard cron run", "of nightly/clean up")
	})
	t.Run("run says why it pushes nothing", func(t *testing.T) {
		f := f.sub(t)
		answer := f.send("POST", path+"/run", form())
		same(t, "status", answer.StatusCode, 409)
		f.has(body(answer), "overlap")
		same(t, "jobs", f.raw.LLen(t.Context(), "queue:low").Val(), 1)
	})
	t.Run("pause and resume", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/cron/hourly/pause", form())
		f.has(page, "The entry hourly is paused", "paused", "/cron/hourly/resume")
		f.audited("dashboard cron pause", "paused hourly")
		_, page = f.post("/cron/hourly/resume", form())
		f.has(page, "The entry hourly goes on", "/cron/hourly/pause")
		f.audited("dashboard cron resume", "resumed hourly")
	})
	t.Run("an entry that is not there", func(t *testing.T) {
		same(t, "status", f.sub(t).send("POST", "/cron/nope/pause", form()).StatusCode, 404)
	})
}

func TestDeleteEntry(t *testing.T) {
	f := newTools(t)
	f.schedule(nightly, hourly)
	t.Run("is refused while its schedule has it", func(t *testing.T) {
		f := f.sub(t)
		f.lacks(f.get("/cron/hourly", 200), "/cron/hourly/delete")
		same(t, "status", f.send("POST", "/cron/hourly/delete", form()).StatusCode, 409)
	})
	t.Run("deletes one that no schedule has", func(t *testing.T) {
		f := f.sub(t)
		f.schedule(nightly)
		f.has(f.get("/cron", 200), "in no schedule any more")
		f.has(f.get("/cron/hourly", 200), "/cron/hourly/delete")
		to, page := f.post("/cron/hourly/delete", form())
		same(t, "next page", to, "/cron")
		f.has(page, "The entry hourly is deleted.")
		f.audited("dashboard cron delete", "deleted hourly")
		f.get("/cron/hourly", 404)
	})
}
