package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker/workertest"
)

// people makes local accounts 1 to n, of which all but 1 follow 1, and all have
// signed in today.
func (s *site) people(n int) {
	s.exec(`INSERT INTO accounts (id, username)
		SELECT i, 'user' || i FROM generate_series(1, $1::int) i`, n)
	s.exec(`INSERT INTO users (account_id, current_sign_in_at)
		SELECT i, now() AT TIME ZONE 'UTC' FROM generate_series(1, $1::int) i`, n)
	s.exec(`INSERT INTO follows (account_id, target_account_id)
		SELECT i, 1 FROM generate_series(2, $1::int) i`, n)
}

func (s *site) status(id, account int, boostOf any) {
	s.exec("INSERT INTO statuses (id, account_id, reblog_of_id) VALUES ($1, $2, $3)", id,
		account, boostOf)
}

func TestAStatusGoesToActiveLocalFollowersAndTheMentioned(t *testing.T) {
	s := newSite(t)
	s.people(2505)
	s.exec("UPDATE users SET current_sign_in_at = now() - interval '8 days' WHERE account_id = 2")
	s.exec("UPDATE users SET current_sign_in_at = NULL WHERE account_id = 3")
	s.exec("UPDATE follows SET show_reblogs = false WHERE account_id = 4")
	s.exec("INSERT INTO accounts (id, username, domain) VALUES (9000, 'far', 'b.example')")
	s.exec("INSERT INTO follows (account_id, target_account_id) VALUES (9000, 1)")
	s.status(100, 1, nil)
	s.status(101, 1, 100)
	s.exec("INSERT INTO mentions (id, account_id, status_id, silent) VALUES (1, 7, 100, false), " +
		"(2, 8, 100, true), (3, 9000, 100, false)")
	fake := &workertest.Fake{}
	f := &jobs.Feeds{DB: s.db, Redis: s.redis, Client: queue.NewClient(fake)}
	pushed := func(status int, o jobs.DistributionOptions) (inserts map[string]bool,
		notified []string) {
		t.Helper()
		*fake = workertest.Fake{}
		if err := f.Distribute(t.Context(), jobs.Distribution{int64(status), o}); err != nil {
			t.Fatal(err)
		}
		inserts = map[string]bool{}
		for _, j := range fake.Jobs() {
			if j.Class == "FeedInsertWorker" {
				inserts[string(j.Args)] = true
			} else {
				notified = append(notified, j.Class+string(j.Args))
			}
		}
		return inserts, notified
	}
	inserts, notified := pushed(100, jobs.DistributionOptions{})
	if len(inserts) != 2505-2 || !inserts[`[100,1,"home"]`] || !inserts[`[100,4,"home"]`] ||
		inserts[`[100,2,"home"]`] || inserts[`[100,3,"home"]`] || inserts[`[100,9000,"home"]`] {
		t.Errorf("%d feeds", len(inserts))
	}
	if strings.Join(notified, " ") != `LocalNotificationWorker[7,1,"Mention","mention"]` {
		t.Error(notified)
	}
	if _, notified := pushed(100,
		jobs.DistributionOptions{SkipNotifications: true}); len(notified) != 0 {
		t.Error(notified)
	}
	if inserts, _ := pushed(101, jobs.DistributionOptions{}); len(inserts) != 2505-3 ||
		inserts[`[101,4,"home"]`] {
		t.Errorf("a boost goes to %d feeds", len(inserts))
	}
	s.exec("UPDATE statuses SET visibility = 3 WHERE id = 100")
	if inserts, notified := pushed(100, jobs.DistributionOptions{}); len(inserts) != 1 ||
		len(notified) != 1 {
		t.Errorf("a direct status goes to %v, %v", inserts, notified)
	}
	s.exec("UPDATE statuses SET deleted_at = now() WHERE id = 100")
	if inserts, _ := pushed(100, jobs.DistributionOptions{}); len(inserts) != 0 {
		t.Error("a deleted status is distributed")
	}
}

func TestAFeedIsAsMastodonKeepsIt(t *testing.T) {
	s := newSite(t)
	s.people(3)
	f := &jobs.Feeds{DB: s.db, Redis: s.redis}
	const key = "feed:home:2"
	s.exec("INSERT INTO statuses (id, account_id) SELECT i, 1 FROM generate_series(1000, 1999) i")
	insert := func(id int, account int64) {
		t.Helper()
		if err := f.Insert(t.Context(), jobs.FeedInsert{StatusID: int64(id),
			AccountID: account}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(id int) bool {
		return s.redis.ZScore(t.Context(), key, fmt.Sprint(id)).Err() == nil
	}
	for id := 1000; id < 2000; id++ {
		insert(id, 2)
	}
	insert(1999, 2) // a second run
	if n := s.redis.ZCard(t.Context(), key).Val(); n != 800 || has(1199) || !has(1200) ||
		!has(1999) {
		t.Errorf("%d entries", n)
	}
	if score := s.redis.ZScore(t.Context(), key, "1999").Val(); score != 1999 {
		t.Error(score)
	}
	// A boost of what is near the top is not shown, of what is further down it is.
	s.status(3000, 1, 1950)
	s.status(3001, 1, 1700)
	s.status(3002, 1, 1700)
	for _, id := range []int{3000, 3001, 3002, 3001} {
		insert(id, 2)
	}
	if has(3000) || !has(3001) || has(3002) {
		t.Error("boosts:", has(3000), has(3001), has(3002))
	}
	if got := s.redis.SMembers(t.Context(), key+":reblogs:1700").Val(); len(got) != 1 ||
		got[0] != "3002" {
		t.Error("further boosts:", got)
	}
	if at := s.redis.ZScore(t.Context(), key+":reblogs", "1700").Val(); at != 3001 {
		t.Error("the boost that is shown:", at)
	}
	// The boost came before the status itself.
	s.status(500, 1, nil)
	s.status(3003, 1, 500)
	insert(3003, 2)
	insert(500, 2)
	if has(500) || !has(3003) {
		t.Error("a status is shown twice")
	}
	// After 80 others it is boosted again.
	s.exec("INSERT INTO statuses (id, account_id) SELECT i, 1 FROM generate_series(4000, 4099) i")
	for id := 4000; id < 4100; id++ {
		insert(id, 2)
	}
	s.status(5000, 1, 1700)
	insert(5000, 2)
	if !has(5000) {
		t.Error("a boost is never shown again")
	}
	// Ids as Mastodon makes them are larger than what a float holds exactly.
	const big = 115555555555555551
	s.status(big, 1, nil)
	insert(big, 2)
	if !has(big) {
		t.Error("a large id")
	}
	// Its own, and of those it does not follow.
	insert(1999, 1)
	s.status(6000, 3, nil)
	insert(6000, 2)
	insert(7777, 2) // not there
	if s.redis.ZCard(t.Context(), "feed:home:1").Val() != 1 || has(6000) || has(7777) {
		t.Error("whose statuses are in the feed")
	}
	s.exec("UPDATE follows SET show_reblogs = false WHERE account_id = 2")
	s.status(8000, 1, 1200)
	insert(8000, 2)
	if has(8000) {
		t.Error("a boost that is not wanted")
	}
	if err := f.Insert(t.Context(), jobs.FeedInsert{StatusID: 1999, AccountID: 2,
		Feed: "list"}); outcome(err) != "dead" {
		t.Error(err)
	}
}

func TestANotificationIsStoredOnceHoweverOftenItsJobRuns(t *testing.T) {
	s := newSite(t)
	s.people(3)
	s.status(100, 1, nil)
	s.exec("INSERT INTO mentions (id, account_id, status_id) VALUES (5, 2, 100)")
	s.exec("INSERT INTO favourites (id, account_id, status_id) VALUES (6, 3, 100)")
	n := &jobs.Notifications{DB: s.db}
	results := make(chan error)
	for range 20 { // at once, too
		s.exec("DELETE FROM notifications")
		for range 20 {
			go func() {
				results <- n.Notify(t.Context(), jobs.LocalNotification{ReceiverID: 2,
					ActivityID: 5, ActivityType: "Mention"})
			}()
		}
		for range 20 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if got := s.count("SELECT count(*) FROM notifications"); got != 1 {
			t.Fatalf("%d notifications", got)
		}
	}
	if got := s.count("SELECT count(*) FROM notifications WHERE account_id = 2 AND " +
		"from_account_id = 1 AND type = 'mention'"); got != 1 ||
		s.count("SELECT count(*) FROM notifications") != 1 {
		t.Errorf("%d notifications", got)
	}
	for _, a := range []jobs.LocalNotification{{1, 6, "Favourite", "favourite", nil},
		{1, 1, "Follow", "", nil}, {2, 100, "Status", "status", nil},
		{2, 100, "Status", "update", nil}, {2, 100, "Status", "update", nil}} {
		if err := n.Notify(t.Context(), a); err != nil {
			t.Error(a, err)
		}
	}
	if got := s.count("SELECT count(*) FROM notifications"); got != 5 {
		t.Errorf("%d notifications", got)
	}
	if err := n.Notify(t.Context(), jobs.LocalNotification{ReceiverID: 1, ActivityID: 999,
		ActivityType: "Mention"}); err != nil {
		t.Errorf("an activity that is gone: %v", err)
	}
	for _, a := range []jobs.LocalNotification{{0, 5, "Mention", "", nil},
		{1, 5, "Nonsense", "", nil}} {
		if err := n.Notify(t.Context(), a); outcome(err) != "dead" {
			t.Errorf("%+v: %v", a, err)
		}
	}
	s.exec("DROP TABLE notifications")
	if err := n.Notify(t.Context(), jobs.LocalNotification{ReceiverID: 2, ActivityID: 5,
		ActivityType: "Mention"}); err == nil ||
		!strings.Contains(err.Error(), "workerctl migrate") {
		t.Errorf("without a table: %v", err)
	}
	none := &jobs.Notifications{}
	if err := none.Notify(t.Context(), jobs.LocalNotification{}); err == nil ||
		!strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("without Postgres: %v", err)
	}
}
