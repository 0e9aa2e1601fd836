package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker/workertest"
)

// people makes local accounts 1 to n. All have signed in today, and all but 1 follow 1.
func (s *site) people(n int) {
	s.Helper()
	s.exec(`INSERT INTO accounts (id, username)
		SELECT i, 'user' || i FROM generate_series(1, $1::int) i`, n)
	s.exec(`INSERT INTO users (account_id, current_sign_in_at)
		SELECT i, now() AT TIME ZONE 'UTC' FROM generate_series(1, $1::int) i`, n)
	s.exec(`INSERT INTO follows (account_id, target_account_id)
		SELECT i, 1 FROM generate_series(2, $1::int) i`, n)
}

// status makes a status; boostOf is nil or the status that it boosts.
func (s *site) status(id, account int, boostOf any) {
	s.Helper()
	s.exec("INSERT INTO statuses (id, account_id, reblog_of_id) VALUES ($1, $2, $3)", id,
		account, boostOf)
}

// distribute runs the job for a status. It returns the accounts whose feeds get the
// status, and the notifications that are pushed.
func (s *site) distribute(id int, o jobs.DistributionOptions) (feeds map[int64]bool,
	notified string) {
	s.Helper()
	fake := &workertest.Fake{}
	f := &jobs.Feeds{DB: s.db, Redis: s.redis, Client: queue.NewClient(fake)}
	if err := f.Distribute(s.Context(), jobs.Distribution{StatusID: int64(id),
		Options: o}); err != nil {
		s.Fatal(err)
	}
	feeds = map[int64]bool{}
	var others []string
	for _, j := range fake.Jobs() {
		var account int64
		pattern := fmt.Sprintf(`[%d,%%d,"home"]`, id)
		if _, err := fmt.Sscanf(string(j.Args), pattern, &account); err == nil &&
			j.Class == "FeedInsertWorker" {
			feeds[account] = true
		} else {
			others = append(others, j.Class+string(j.Args))
		}
	}
	return feeds, strings.Join(others, " ")
}

func TestDistribute(t *testing.T) {
	all := newSite(t)
	all.people(2505) // more than two pages
	all.exec("UPDATE users SET current_sign_in_at = now() - interval '8 days' WHERE account_id = 2")
	all.exec("UPDATE users SET current_sign_in_at = NULL WHERE account_id = 3")
	all.exec("UPDATE follows SET show_reblogs = false WHERE account_id = 4")
	all.exec("INSERT INTO accounts (id, username, domain) VALUES (9000, 'far', 'b.example')")
	all.exec("INSERT INTO follows (account_id, target_account_id) VALUES (9000, 1)")
	all.status(100, 1, nil)
	all.status(101, 1, 100)
	all.exec("INSERT INTO mentions (id, account_id, status_id, silent) VALUES " +
		"(1, 7, 100, false), (2, 8, 100, true), (3, 9000, 100, false)")
	t.Run("reaches the author and active local followers, and the mentioned", func(t *testing.T) {
		feeds, notified := all.With(t).distribute(100, jobs.DistributionOptions{})
		if len(feeds) != 2505-2 {
			t.Errorf("%d feeds", len(feeds))
		}
		for account, want := range map[int64]bool{1: true, 4: true, 2: false, 3: false,
			9000: false} {
			if feeds[account] != want {
				t.Errorf("account %d: %v", account, feeds[account])
			}
		}
		if notified != `LocalNotificationWorker[7,1,"Mention","mention"]` {
			t.Error(notified)
		}
	})
	t.Run("without notifications", func(t *testing.T) {
		_, notified := all.With(t).distribute(100,
			jobs.DistributionOptions{SkipNotifications: true})
		if notified != "" {
			t.Error(notified)
		}
	})
	t.Run("brings a boost only to followers who see boosts", func(t *testing.T) {
		feeds, _ := all.With(t).distribute(101, jobs.DistributionOptions{})
		if len(feeds) != 2505-3 || feeds[4] {
			t.Errorf("%d feeds, that of account 4: %v", len(feeds), feeds[4])
		}
	})
	t.Run("brings a direct status to its author and the mentioned", func(t *testing.T) {
		s := all.With(t)
		s.exec("UPDATE statuses SET visibility = 3 WHERE id = 100")
		feeds, notified := s.distribute(100, jobs.DistributionOptions{})
		if len(feeds) != 1 || strings.Count(notified, "LocalNotificationWorker") != 1 {
			t.Errorf("%v, %s", feeds, notified)
		}
	})
	t.Run("does nothing for a deleted status", func(t *testing.T) {
		s := all.With(t)
		s.exec("UPDATE statuses SET deleted_at = now() WHERE id = 100")
		if feeds, _ := s.distribute(100, jobs.DistributionOptions{}); len(feeds) != 0 {
			t.Errorf("%d feeds", len(feeds))
		}
	})
}

// insert runs the job that puts statuses into account 2's feed.
func (s *site) insert(ids ...int) {
	s.Helper()
	f := &jobs.Feeds{DB: s.db, Redis: s.redis}
	for _, id := range ids {
		if err := f.Insert(s.Context(), jobs.FeedInsert{StatusID: int64(id),
			AccountID: 2}); err != nil {
			s.Fatal(err)
		}
	}
}

const feed = "feed:home:2"

// wantFeed checks of each id whether the status is in account 2's feed.
func (s *site) wantFeed(want map[int]bool) {
	s.Helper()
	for id, there := range want {
		if got := s.redis.ZScore(s.Context(), feed, fmt.Sprint(id)).Err() == nil; got != there {
			s.Errorf("the status %d is in the feed: %v", id, got)
		}
	}
}

// seq is the numbers from first to last.
func seq(first, last int) (ids []int) {
	for id := first; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids
}

func TestFeed(t *testing.T) {
	all := newSite(t)
	all.people(3)
	all.exec("INSERT INTO statuses (id, account_id) SELECT i, 1 FROM generate_series(1000, 1999) i")
	t.Run("holds the newest 800 statuses", func(t *testing.T) {
		s := all.With(t)
		s.insert(seq(1000, 1999)...)
		s.insert(1999) // a second run
		if n := s.redis.ZCard(t.Context(), feed).Val(); n != 800 {
			t.Errorf("%d entries", n)
		}
		s.wantFeed(map[int]bool{1199: false, 1200: true, 1999: true})
		if score := s.redis.ZScore(t.Context(), feed, "1999").Val(); score != 1999 {
			t.Errorf("the status 1999 has the score %v", score)
		}
	})
	t.Run("keeps ids apart that a float does not", func(t *testing.T) {
		s := all.With(t)
		const large = 115555555555555551
		s.status(large, 1, nil)
		s.insert(large)
		s.wantFeed(map[int]bool{large: true})
		s.redis.ZRem(t.Context(), feed, large)
	})
	t.Run("has the statuses of an account and of those it follows", func(t *testing.T) {
		s := all.With(t)
		f := &jobs.Feeds{DB: s.db, Redis: s.redis}
		if err := f.Insert(t.Context(), jobs.FeedInsert{StatusID: 1999,
			AccountID: 1}); err != nil {
			t.Error(err)
		}
		if n := s.redis.ZCard(t.Context(), "feed:home:1").Val(); n != 1 {
			t.Errorf("%d entries in its own feed", n)
		}
		s.status(6000, 3, nil)
		s.insert(6000, 7777) // of an account that it does not follow; one that does not exist
		s.wantFeed(map[int]bool{6000: false, 7777: false})
	})
	t.Run("other than home: dead", func(t *testing.T) {
		f := &jobs.Feeds{DB: all.db, Redis: all.redis}
		if err := f.Insert(t.Context(), jobs.FeedInsert{StatusID: 1999, AccountID: 2,
			Feed: "list"}); outcome(err) != "dead" {
			t.Error(err)
		}
	})
}

func TestBoost(t *testing.T) {
	all := newSite(t)
	all.people(3)
	all.exec("INSERT INTO statuses (id, account_id) SELECT i, 1 FROM generate_series(1000, 1999) i")
	all.insert(seq(1000, 1999)...)
	t.Run("of a status that is further down is shown, once", func(t *testing.T) {
		s := all.With(t)
		s.status(3000, 1, 1950) // near the top
		s.status(3001, 1, 1700)
		s.status(3002, 1, 1700)
		s.insert(3000, 3001, 3002, 3001)
		s.wantFeed(map[int]bool{3000: false, 3001: true, 3002: false})
	})
	t.Run("is recorded as Mastodon does", func(t *testing.T) {
		s := all.With(t)
		further := s.redis.SMembers(t.Context(), feed+":reblogs:1700").Val()
		if strings.Join(further, " ") != "3002" {
			t.Error("further boosts:", further)
		}
		if id := s.redis.ZScore(t.Context(), feed+":reblogs", "1700").Val(); id != 3001 {
			t.Error("the boost that is shown:", id)
		}
	})
	t.Run("keeps a status out that comes after it", func(t *testing.T) {
		s := all.With(t)
		s.status(500, 1, nil)
		s.status(3003, 1, 500)
		s.insert(3003, 500)
		s.wantFeed(map[int]bool{500: false, 3003: true})
	})
	t.Run("is shown again after 80 other statuses", func(t *testing.T) {
		s := all.With(t)
		s.exec("INSERT INTO statuses (id, account_id) SELECT i, 1 FROM " +
			"generate_series(4000, 4099) i")
		s.insert(seq(4000, 4099)...)
		s.status(5000, 1, 1700)
		s.insert(5000)
		s.wantFeed(map[int]bool{5000: true})
	})
	t.Run("is not shown to a follower who has turned boosts off", func(t *testing.T) {
		s := all.With(t)
		s.exec("UPDATE follows SET show_reblogs = false WHERE account_id = 2")
		s.status(8000, 1, 1200)
		s.insert(8000)
		s.wantFeed(map[int]bool{8000: false})
	})
}
