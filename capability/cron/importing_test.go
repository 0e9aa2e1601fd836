package cron

import (
	"fmt"
	"strings"
	"testing"
)

func TestImport(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.raw.HSet(ctx, "schedules", "five", `{"every":["5m",{"first_in":"4m"}],"class":"A","queue":"q"}`,
		"night", `{"cron":"7 3 * * *","class":"Scheduler::Night","args":[1,{"a":2}]}`)
	f.raw.HSet(ctx, "sidekiq-scheduler:states", "night", `{"enabled":false}`)
	f.raw.SAdd(ctx, "cron_jobs", "cron_job:Hard job")
	f.raw.HSet(ctx, "cron_job:Hard job", "name", "Hard job", "klass", "Hard", "cron", "*/5 * * * *",
		"description", "", "args", `[1,"x"]`, "status", "enabled", "active_job", "false",
		"message", `{"retry":3,"queue":"low","class":"Hard","args":[1,"x"]}`)
	t.Run("reads the entries of both gems", func(t *testing.T) {
		s, err := Control{f.store}.Import(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range s.Entries {
			got = append(got, fmt.Sprint(e.Name, "|", e.Cron, e.Every, "|", e.Class, e.Args, "|",
				e.Queue, "|", e.Retry, e.Disabled, e.Beside))
		}
		same(t, "entries", strings.Join(got, "\n"), strings.Join([]string{
			"five|5m0s|A[]|q|falsesidekiq-scheduler",
			"night|7 3 * * *0s|Scheduler::Night[1 map[a:2]]||0truesidekiq-scheduler",
			"Hard job|*/5 * * * *0s|Hard[1 x]|low|3falsesidekiq-cron"}, "\n"))
		text, err := Format(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("x.yml", text, "")
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for i := range again.Entries {
			same(t, "the entry read from the file", again.Entries[i].spec(), s.Entries[i].spec())
		}
	})
	t.Run("names what it does not understand, and keeps the rest", func(t *testing.T) {
		f.raw.HSet(ctx, "schedules", "bad", "{", "never", `{"in":"5m","class":"A"}`)
		s, err := Control{f.store}.Import(ctx)
		if err == nil || !strings.Contains(err.Error(), "entry bad is no JSON") ||
			!strings.Contains(err.Error(), "due once") || len(s.Entries) < 3 {
			t.Error(len(s.Entries), err)
		}
	})
}
