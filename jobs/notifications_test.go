package jobs_test

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/jobs"
)

func TestNotify(t *testing.T) {
	all := newSite(t)
	all.people(3)
	all.status(100, 1, nil)
	all.exec("INSERT INTO mentions (id, account_id, status_id) VALUES (5, 2, 100)")
	all.exec("INSERT INTO favourites (id, account_id, status_id) VALUES (6, 3, 100)")
	n := &jobs.Notifications{DB: all.db}
	mention := jobs.LocalNotification{ReceiverID: 2, ActivityID: 5, ActivityType: "Mention"}
	stored := func(s *site) int { return s.count("SELECT count(*) FROM notifications") }
	t.Run("stores one notification in twenty runs at once", func(t *testing.T) {
		s := all.With(t)
		results := make(chan error)
		for range 20 {
			s.exec("DELETE FROM notifications")
			for range 20 {
				go func() { results <- n.Notify(t.Context(), mention) }()
			}
			for range 20 {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			if got := stored(s); got != 1 {
				t.Fatalf("%d notifications", got)
			}
		}
		if got := s.count("SELECT count(*) FROM notifications WHERE account_id = 2 AND " +
			"from_account_id = 1 AND type = 'mention'"); got != 1 {
			t.Error("the notification has other columns")
		}
	})
	t.Run("knows each type, and replaces an update", func(t *testing.T) {
		s := all.With(t)
		s.exec("DELETE FROM notifications")
		for _, a := range []jobs.LocalNotification{{1, 6, "Favourite", "favourite", nil},
			{1, 1, "Follow", "", nil}, {2, 100, "Status", "status", nil},
			{2, 100, "Status", "update", nil}, {2, 100, "Status", "update", nil}} {
			if err := n.Notify(t.Context(), a); err != nil {
				t.Error(a, err)
			}
		}
		if got := stored(s); got != 4 {
			t.Errorf("%d notifications", got)
		}
	})
	t.Run("stores nothing for an activity that does not exist", func(t *testing.T) {
		s := all.With(t)
		before := stored(s)
		err := n.Notify(t.Context(), jobs.LocalNotification{ReceiverID: 1, ActivityID: 999,
			ActivityType: "Mention"})
		if err != nil || stored(s) != before {
			t.Errorf("%v, %d notifications", err, stored(s))
		}
	})
}

func TestMalformedNotification(t *testing.T) {
	n := &jobs.Notifications{DB: newSite(t).db}
	for name, a := range map[string]jobs.LocalNotification{
		"without a receiver: dead": {ActivityID: 5, ActivityType: "Mention"},
		"of an unknown type: dead": {ReceiverID: 1, ActivityID: 5, ActivityType: "Nonsense"}} {
		t.Run(name, func(t *testing.T) {
			if err := n.Notify(t.Context(), a); outcome(err) != "dead" {
				t.Error(err)
			}
		})
	}
}

func TestMissingPostgres(t *testing.T) {
	for name, c := range map[string]struct{ drop, want string }{
		"without the table names the command that makes it": {"notifications",
			"workerctl migrate"},
		"without a Postgres names the variable to set": {"", "DATABASE_URL"}} {
		t.Run(name, func(t *testing.T) {
			n := &jobs.Notifications{}
			if c.drop != "" {
				s := newSite(t)
				s.exec("DROP TABLE " + c.drop)
				s.exec("INSERT INTO accounts (id, username) VALUES (1, 'a')")
				s.status(100, 1, nil)
				n.DB = s.db
			}
			err := n.Notify(t.Context(), jobs.LocalNotification{ReceiverID: 1, ActivityID: 100,
				ActivityType: "Status"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}
