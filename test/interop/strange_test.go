package interop

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/queue/envelope"
)

// strangeQueue is the queue of payloads that Ruby cannot run. Only Go workers serve it, because
// Sidekiq loses such a payload: its thread dies with it. The queue's name, the sets and the pages
// are Ruby's too.
const strangeQueue = "strange"

// strange are the payloads of a load on which Ruby fails: bytes that are JSON but no object, and
// jobs that Ruby cannot parse.
type strange struct {
	raw  map[int]string // the payloads by their places among all jobs
	dead []string       // those that go to the dead set, as they are there; jobs by their jid
}

// strange makes three payloads among forty jobs: bytes that are no object, a job that succeeds,
// and a job that fails, which goes to the dead set although it has retries.
func (l *load) strange() strange {
	s := strange{raw: map[int]string{}}
	for i := range l.jobs {
		switch i % 40 {
		case 0:
			s.raw[i] = noObject(i)
			s.dead = append(s.dead, envelope.ForDeadSet(s.raw[i]))
		case 20:
			s.raw[i] = unreadable(i, strangeQueue, "Test::Ledger",
				fmt.Sprintf("[%q,%q,20]", l.LedgerPath(), strangeID(i)))
		case 30:
			s.raw[i] = unreadable(i, strangeQueue, "Test::Doomed",
				fmt.Sprintf("[%q,%q]", l.LedgerPath(), strangeID(i)))
			s.dead = append(s.dead, strangeID(i))
		}
	}
	return s
}

func strangeID(i int) string { return fmt.Sprintf("strange-%d", i) }

// noObject is JSON that is no object. The sets keep equal bytes once, so null and true, which
// cannot be told apart, are made once each.
func noObject(i int) string {
	if i == 0 || i == 40 {
		return map[int]string{0: "null", 40: "true"}[i]
	}
	return []string{fmt.Sprintf("[1,%d]", i), fmt.Sprint(i), fmt.Sprintf(`"text %d"`, i)}[i/40%3]
}

// unreadables is the number of kinds of unreadable jobs.
const unreadables = 3

// unreadable is a job with a field that one version of Ruby's JSON or all cannot parse or write:
// half of an emoji, a key twice, or too many levels.
func unreadable(i int, queue, class, args string) string {
	field := []string{`"note":"cut \ud83d"`, `"note":1,"note":2`,
		`"note":` + strings.Repeat("[", 101) + strings.Repeat("]", 101)}[i%unreadables]
	return fmt.Sprintf(`{"retry":5,"queue":%q,"class":%q,"args":%s,"jid":%q,`+
		`"created_at":1795345726.974,"enqueued_at":1795345726.975,%s}`, queue, class, args,
		strangeID(i), field)
}

// pushStrange pushes the payload at a place, and reports whether there is one.
func (l *load) pushStrange(all strange, i int) (bool, error) {
	text, found := all.raw[i]
	if !found {
		return false, nil
	}
	return true, l.Raw.LPush(context.Background(), "queue:"+strangeQueue, text).Err()
}

// dead checks that the dead set has exactly the payloads that belong there.
func (l *load) dead(all strange) {
	l.Helper()
	var got []string
	for _, z := range l.members("dead") {
		text := z.Member.(string)
		if j, err := envelope.ParseJob(text); err == nil {
			text = j.JID
		}
		got = append(got, text)
	}
	slices.Sort(got)
	slices.Sort(all.dead)
	if !slices.Equal(got, all.dead) {
		l.Errorf("%d in the dead set, want %d: %.2000q", len(got), len(all.dead), got)
	}
}

// pages reads the pages of the web page and each entry of each set, as an admin's browser and
// scripts do. No page may fail, and no entry may be left out. The pages in more are read too.
func (l *load) pages(more ...string) {
	l.Helper()
	paths := append(more, "/", "/busy", "/queues/default", "/retries", "/scheduled")
	if l.v >= 7 {
		paths = append(paths, "/metrics", "/metrics/Test::Ledger")
	}
	for page := range l.Card("dead")/25 + 1 {
		paths = append(paths, fmt.Sprintf("/morgue?page=%d", page+1))
	}
	for _, path := range paths {
		if got := l.ruby.Get(path); got.Status != 200 {
			l.Fatalf("%s answers %d: %.1000s", path, got.Status, got.Body)
		}
	}
	l.ruby.Do(nil, `[Sidekiq::DeadSet, Sidekiq::RetrySet, Sidekiq::ScheduledSet].each { |set|
		set.new.each { |e| [e.jid, e.klass, e.args, e.display_class, e.queue, e.tags] } }; nil`)
}
