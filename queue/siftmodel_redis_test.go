package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"pgregory.net/rapid"
)

// siftTwins are a twin and a Redis that get the same calls, in any order: each caller may hold a
// page that it read long ago.
type siftTwins struct {
	*fixture
	siftWorld
	pages map[string][]string // by caller: what it has read last, the newest first
}

func TestSiftTwin(t *testing.T) {
	f := newFixture(t)
	for name, move := range map[string]bool{"of deletions": false, "of a move": true} {
		t.Run("does what the scripts do in any sequence of calls "+name, func(t *testing.T) {
			f := f.in(t)
			rapid.Check(t, func(rt *rapid.T) {
				x := newSiftTwins(f, rt, move)
				rt.Repeat(map[string]func(*rapid.T){"begin": x.begin, "take": x.takeOver,
					"enter": x.enterQueue, "read": x.read, "sift": x.siftPage, "newest": x.siftNew,
					"read the oldest": x.readOldest, "tail": x.tailPage, "oldest": x.siftOld,
					"shift": x.shiftPage, "unsift": x.unsiftSome, "end": x.endIt,
					"worker": x.worker, "push": x.push, "give back": x.giveBack, "undo": x.undo,
					"": x.compare})
			})
		})
	}
}

func newSiftTwins(f *fixture, t *rapid.T, move bool) *siftTwins {
	f.raw.FlushDB(f.Context())
	x := &siftTwins{fixture: f, pages: map[string][]string{}}
	x.siftWorld.pushed = 'a' - 1
	for op := range x.ops {
		x.ops[op].state = siftStopped
		x.ways[op].siftWay = siftWay{move: op == 0 && move, far: 5000,
			few: rapid.IntRange(1, 3).Draw(t, "few")}
		for job := 'a'; job <= 'p'; job++ {
			if rapid.Bool().Draw(t, "is chosen") {
				x.ways[op].chosen += string(job)
			}
		}
		f.raw.HSet(f.Context(), x.record(op), "state", siftStopped, "changed", 0)
	}
	for range rapid.IntRange(3, 10).Draw(t, "jobs") {
		x.push(t)
	}
	x.begin(t)
	return x
}

// begin, siftNew and siftOld are what an operator does if nobody comes between.
func (x *siftTwins) begin(t *rapid.T) {
	x.takeOver(t)
	x.enterQueue(t)
}

func (x *siftTwins) siftNew(t *rapid.T) {
	x.read(t)
	x.siftPage(t)
}

func (x *siftTwins) siftOld(t *rapid.T) {
	x.readOldest(t)
	if rapid.Bool().Draw(t, "a worker comes between") {
		x.worker(t)
		x.giveBack(t)
	}
	x.tailPage(t)
}

func (x *siftTwins) record(op int) string { return fmt.Sprint("kyu:op:o", op) }

// payload is the bytes of a job in a queue.
func payloadOf(job, q string) string {
	return fmt.Sprintf(`{"class":"Job","jid":"%s","queue":"%s","args":[]}`, job, q)
}

func payloadsOf(list, q string) (raws []string) {
	for _, job := range list {
		raws = append(raws, payloadOf(string(job), q))
	}
	return raws
}

// lettersOf are the jobs of payloads.
func lettersOf(raws []string) string {
	var b strings.Builder
	for _, raw := range raws {
		b.WriteString(jidOf(raw))
	}
	return b.String()
}

// caller is one of two callers of one of two operations.
func (x *siftTwins) caller(t *rapid.T) (op int, token int8, ticket *queue.Ticket, sift queue.Sift) {
	op = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1}).Draw(t, "op")
	token = x.ops[op].token
	if token == 0 || rapid.IntRange(0, 9).Draw(t, "another caller") == 0 {
		token = rapid.Int8Range(1, 2).Draw(t, "token")
	}
	sift = queue.Sift{Queue: "a", Verb: queue.VerbDelete, To: "b", Few: x.ways[op].few}
	if x.ways[op].move {
		sift.Verb = queue.VerbMove
	}
	return op, token, &queue.Ticket{ID: fmt.Sprint("o", op), Token: fmt.Sprint(token)}, sift
}

func (x *siftTwins) agree(t *rapid.T, what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: Redis says %q, the twin %q", what, g, w)
	}
}

// problem is the state of an error.
func (x *siftTwins) problem(t *rapid.T, err error) string {
	var stop *queue.OperationError
	if err != nil && !errors.As(err, &stop) {
		t.Fatal(err)
	}
	if stop == nil {
		return ""
	}
	return stop.State
}

func (x *siftTwins) takeOver(t *rapid.T) {
	op, token, ticket, _ := x.caller(t)
	state, err := x.store.Take(x.Context(), ticket)
	if problem := x.problem(t, err); problem != "" {
		state = problem
	}
	x.agree(t, "take", state, x.take(op, token))
}

func (x *siftTwins) enterQueue(t *rapid.T) {
	op, token, ticket, _ := x.caller(t)
	err := x.store.Enter(x.Context(), ticket, "a")
	x.agree(t, "enter", x.problem(t, err), x.enter(&siftDesign{}, op, token))
}

func (x *siftTwins) read(t *rapid.T) {
	op, _, ticket, _ := x.caller(t)
	x.siftWorld.pages = rapid.IntRange(1, 3).Draw(t, "count")
	page, err := x.store.NewestJobs(x.Context(), ticket, "a", int64(x.siftWorld.pages))
	if err != nil {
		t.Fatal(err)
	}
	x.agree(t, "newest", lettersOf(page), x.newest(op))
	x.pages[ticket.ID+ticket.Token] = page
}

func (x *siftTwins) readOldest(t *rapid.T) {
	op, _, ticket, sift := x.caller(t)
	page, err := x.store.OldestJobs(x.Context(), ticket, sift)
	if err != nil {
		t.Fatal(err)
	}
	x.agree(t, "oldest", turned(lettersOf(page)), x.oldest(&siftDesign{}, op))
	if rapid.Bool().Draw(t, "a part") {
		first := rapid.IntRange(0, len(page)).Draw(t, "first")
		page = page[first:rapid.IntRange(first, len(page)).Draw(t, "last")]
	}
	x.pages[ticket.ID+ticket.Token] = payloadsOf(turned(lettersOf(page)), "a")
}

func (x *siftTwins) chooser(op int, page []string) queue.Chooser {
	return func(i int) (*queue.Job, bool) {
		j, err := envelope.ParseJob(page[i])
		return j, err == nil && strings.Contains(x.ways[op].chosen, j.JID)
	}
}

func (x *siftTwins) siftPage(t *rapid.T) {
	op, token, ticket, sift := x.caller(t)
	page := x.pages[ticket.ID+ticket.Token]
	changed, _, rest, err := x.store.SiftNewest(x.Context(), ticket, sift, page,
		x.chooser(op, page))
	want, chosen, problem := x.sift(&siftDesign{}, op, token, x.ways[op].siftWay, lettersOf(page))
	x.agree(t, "sift", x.problem(t, err), problem)
	if err == nil {
		x.agree(t, "rest", rest, want)
		x.agree(t, "chosen", changed, len(chosen))
	}
}

func (x *siftTwins) tailPage(t *rapid.T) {
	op, token, ticket, sift := x.caller(t)
	letters := lettersOf(x.pages[ticket.ID+ticket.Token])
	page := payloadsOf(turned(letters), "a")
	changed, err := x.store.SiftOldest(x.Context(), ticket, sift, page, x.chooser(op, page))
	chosen, problem := x.tail(&siftDesign{}, op, token, x.ways[op].siftWay, letters)
	x.agree(t, "tail", x.problem(t, err), problem)
	x.agree(t, "chosen", changed, len(chosen))
}

func (x *siftTwins) shiftPage(t *rapid.T) {
	op, token, ticket, _ := x.caller(t)
	letters := lettersOf(x.pages[ticket.ID+ticket.Token])
	var jobs []*queue.Job
	for _, raw := range payloadsOf(turned(letters), "a") {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	n, err := x.store.Shift(x.Context(), ticket, "a", "b", jobs)
	moved, problem := x.shift(&siftDesign{}, op, token, letters)
	x.agree(t, "shift", x.problem(t, err), problem)
	x.agree(t, "moved", n, len(moved))
}

func (x *siftTwins) unsiftSome(t *rapid.T) {
	op, token, ticket, sift := x.caller(t)
	if rapid.Bool().Draw(t, "worker") {
		token, ticket.Token = 0, ""
	}
	most := rapid.IntRange(1, 3).Draw(t, "most")
	got, err := x.store.UnsiftSome(x.Context(), ticket.ID, ticket.Token, sift, most)
	left, problem := x.unsift(&siftDesign{}, op, token, most, 5000)
	x.agree(t, "unsift", x.problem(t, err), problem)
	x.agree(t, "left", got, left)
}

func (x *siftTwins) endIt(t *rapid.T) {
	op, token, ticket, _ := x.caller(t)
	state := rapid.SampledFrom([]string{siftDone, siftStopped, siftStopped, siftCancelled,
		"", "", ""}).Draw(t, "state")
	switch state {
	case siftCancelled:
		x.cancelIt(t)
		return
	case "":
		x.clock(t)
		return
	}
	err := x.store.End(x.Context(), ticket, state, nil)
	want := x.end(&siftDesign{}, op, token, state)
	x.agree(t, "end", x.problem(t, err) == siftTaken, want == siftTaken)
}

func (x *siftTwins) cancelIt(t *rapid.T) {
	op, _, ticket, _ := x.caller(t)
	state, err := x.store.Cancel(x.Context(), ticket.ID)
	x.agree(t, "cancel", fmt.Sprint(state, err), x.ops[op].state+"<nil>")
	x.cancel(op)
}

// clock ends the time of a ticket.
func (x *siftTwins) clock(t *rapid.T) {
	if op, _, _, _ := x.caller(t); x.ops[op].token != 0 {
		x.ops[op].over = true
		x.raw.HSet(x.Context(), x.record(op), "until", 1)
	}
}

func (x *siftTwins) worker(t *rapid.T) {
	job := jidOf(x.raw.RPop(x.Context(), "queue:a").Val())
	var want string
	want, x.queue = x.queue[max(0, len(x.queue)-1):], x.queue[:max(0, len(x.queue)-1)]
	x.agree(t, "taken", job, want)
	if job != "" {
		x.given |= bit(job[0])
	}
}

func (x *siftTwins) giveBack(t *rapid.T) {
	for job := byte('a'); job <= x.pushed; job++ {
		if x.given&bit(job) != 0 && rapid.Bool().Draw(t, "it") {
			x.given &^= bit(job)
			x.queue += string(job)
			x.raw.RPush(x.Context(), "queue:a", payloadOf(string(job), "a"))
		}
	}
}

func (x *siftTwins) push(*rapid.T) {
	if x.pushed < 'p' {
		x.pushed++
		x.queue = string(x.pushed) + x.queue
		x.raw.LPush(x.Context(), "queue:a", payloadOf(string(x.pushed), "a"))
	}
}

func (x *siftTwins) undo(t *rapid.T) {
	op, _, ticket, _ := x.caller(t)
	n, left, err := x.store.Restore(x.Context(), ticket.ID, "", "a")
	x.agree(t, "undo", fmt.Sprint(n, left, err), fmt.Sprint(len(x.restore(op)), 0, nil))
}

// compare compares all that Redis holds with the twin.
func (x *siftTwins) compare(t *rapid.T) {
	list := func(key string) string {
		return lettersOf(x.raw.LRange(x.Context(), key, 0, -1).Val())
	}
	x.agree(t, "queue", list("queue:a"), x.queue)
	x.agree(t, "sifted", list("kyu:{queue:a}:sifted"), x.sifted)
	x.agree(t, "staged", list("kyu:{queue:a}:staged"), x.staged)
	x.agree(t, "the other queue", list("queue:b"), x.dest)
	claim := x.raw.HGet(x.Context(), "kyu:sifts", "a").Val()
	x.agree(t, "claim", claim, []string{"", "o0", "o1"}[x.claim])
	for op, r := range x.ops {
		x.agree(t, "trash", list(fmt.Sprint("kyu:trash:o", op)), r.trash)
		got := x.raw.HGetAll(x.Context(), x.record(op)).Val()
		edge, token := "", ""
		if got["edge"] != "" {
			edge = jidOf(got["edge"])
		}
		if r.token != 0 {
			token = fmt.Sprint(r.token)
		}
		x.agree(t, "record", fmt.Sprint(got["state"], got["token"], edge, got["changed"]),
			fmt.Sprint(r.state, token, r.edge, r.changed))
		if until := got["until"]; r.token != 0 && !r.over {
			x.agree(t, "the ticket's time is over", until == "1", false)
			x.raw.HSet(x.Context(), x.record(op), "until", time.Now().Add(time.Hour).UnixMilli())
		}
	}
}
