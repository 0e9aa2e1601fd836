package cron

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// twin is what the scripts do, in Go, for one entry of one schedule. Slots and times are small
// numbers in the search, and milliseconds beside a real Redis. 0 is none.
type twin struct {
	digest, epoch, given int8 // of the owner
	seen                 int64
	rev, timing          int8 // of the entry
	last                 int64
	known, paused        bool
	lock                 int64  // the job that holds the lock
	ruby                 uint16 // slots that are in the set of the gem, as bits
	rubyOff              bool
}

// try is a claim. A slot of 0 is a run by hand.
type try struct {
	slot        int64
	rev, digest int8
	job         int64 // that holds the lock if the slot is granted; 0: no lock
	skip, long  bool  // the latency or the length of a queue forbids it
	beside      uint16
}

// design are the safeguards that are taken out.
type design struct {
	name                                         string
	anyTime, anySlot, anyOwner, anyRev, anyPause bool // claims do not check
	anyRuby, anyJob                              bool
	twoSteps, pushFirst                          bool // claim and push are two commands
	lastAsker, noTakeover                        bool // own
	resets, backfills, anyEnter, pauseCounts     bool // enter, resume
	lostIsDone, jumps                            bool // the process
}

func (w *twin) own(d *design, now int64, number, digest int8, gone int64) (bool, int8) {
	same := w.digest == digest
	silent := w.digest == 0 || now-w.seen > gone && !d.noTakeover
	if number == 0 || silent && !same {
		w.given++
		number = w.given
	}
	if !same && number <= w.epoch && !d.lastAsker {
		return false, number
	}
	w.epoch, w.seen, w.digest = max(number, w.epoch), now, digest
	return true, number
}

func (w *twin) enter(d *design, now int64, digest, rev, timing int8) (last int64, ok bool) {
	if w.digest != digest && !d.anyEnter {
		return 0, false
	}
	begins := !w.known || w.timing != timing && w.last < now
	if w.rev != rev || !w.known {
		w.rev, w.timing, w.known = rev, timing, true
	}
	if begins && !d.backfills || d.resets {
		w.last = now
	}
	return w.last, true
}

func (w *twin) claim(d *design, now int64, t try) string {
	why := ""
	if t.skip {
		why = "latency"
	}
	if t.slot > 0 {
		switch {
		case w.digest != t.digest && !d.anyOwner:
			return "owner"
		case w.rev != t.rev && !d.anyRev:
			return "rev"
		case now < t.slot && !d.anyTime:
			return "early"
		case t.slot <= w.last && !d.anySlot:
			return "past"
		}
		if w.paused && !d.anyPause {
			why = "paused"
		}
	}
	if t.long && why == "" {
		why = "queue"
	}
	if t.beside != 0 {
		if w.rubyOff && why == "" {
			why = "disabled"
		}
		if w.ruby&t.beside != 0 && !d.anyRuby {
			why = "ruby"
		}
		w.ruby |= t.beside
	}
	if why == "" && t.job != 0 {
		if w.lock != 0 {
			why = "overlap"
		} else {
			w.lock = t.job
		}
	}
	if t.slot > 0 {
		w.last = t.slot
	}
	if why != "" {
		return "skipped " + why
	}
	return ""
}

func (w *twin) control(d *design, now int64, pause bool) {
	if !w.known {
		return
	}
	if w.paused = pause; !pause && !d.pauseCounts {
		w.last = max(w.last, now)
	}
}

func (w *twin) release(d *design, job int64) {
	if w.lock == job || d.anyJob {
		w.lock = 0
	}
}

// twins are a twin and a Redis that get the same commands.
type twins struct {
	*claimed
	twin
	start   int64 // milliseconds; slots count in seconds from here
	pushed  int64
	numbers map[int8]int64
}

func TestTwin(t *testing.T) {
	t.Run("does what the scripts do in any sequence of commands", func(t *testing.T) {
		c := newClaimed(t, Entry{Name: "a", Every: time.Second, Class: "Job"})
		rapid.Check(t, func(rt *rapid.T) {
			c.raw.FlushAll(t.Context())
			x := &twins{claimed: c, start: time.Now().Add(-100*time.Second).UnixMilli() / 1000 * 1000}
			rt.Repeat(map[string]func(*rapid.T){"own": x.ask, "enter": x.write, "claim": x.try,
				"claim again": x.try, "control": x.press, "release": x.end, "ruby": x.fire,
				"silence": x.silence, "rewind": x.rewind, "": x.compare})
		})
	})
}

func small(t *rapid.T, name string) int8 { return rapid.Int8Range(1, 2).Draw(t, name) }

func (x *twins) agree(t *rapid.T, what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: Redis says %s, the twin %s", what, g, w)
	}
}

func (x *twins) ask(t *rapid.T) {
	number, digest := rapid.Int8Range(0, x.given).Draw(t, "number"), small(t, "digest")
	reply, err := x.store.DB().Run(x.Context(), ownScript, []string{ownerKey("default")}, number,
		fmt.Sprint("d", digest), "[]", goneAfter.Milliseconds()).Int64Slice()
	if err != nil {
		t.Fatal(err)
	}
	owns, mine := x.own(&design{}, reply[2], number, digest, goneAfter.Milliseconds())
	x.agree(t, "own", fmt.Sprint(reply[0] == 1, reply[1]), fmt.Sprint(owns, mine))
}

func (x *twins) write(t *rapid.T) {
	digest, rev, timing := small(t, "digest"), small(t, "rev"), small(t, "timing")
	reply, err := x.store.DB().Run(x.Context(), enterScript, []string{ownerKey("default"), keyNames,
		entryKey("a")}, fmt.Sprint("d", digest), "default", "a", fmt.Sprint("r", rev),
		fmt.Sprint("t", timing), "{}").Int64Slice()
	if err != nil {
		t.Fatal(err)
	}
	now := int64(0)
	if len(reply) > 0 {
		now = reply[0]
	}
	last, ok := x.enter(&design{}, now, digest, rev, timing)
	x.agree(t, "enter", len(reply) > 0, ok)
	if ok {
		x.agree(t, "the last slot", reply[1], last)
	}
}

// try makes a claim of one of ten slots, of which the last is an hour away.
func (x *twins) try(t *rapid.T) {
	n := rapid.Int64Range(0, 9).Draw(t, "slot")
	c := try{rev: small(t, "rev"), digest: small(t, "digest"), skip: rapid.IntRange(0, 9).Draw(t,
		"skip") == 0, long: rapid.IntRange(0, 9).Draw(t, "long") == 0}
	if n > 0 {
		if c.slot = x.start + n*1000; n == 9 {
			c.slot = time.Now().Add(time.Hour).UnixMilli()
		}
		if rapid.Bool().Draw(t, "beside") {
			c.beside = 1 << n
		}
	}
	if x.pushed++; rapid.Bool().Draw(t, "lock") {
		c.job = x.pushed
	}
	x.agree(t, "claim", x.send(t, c, n), x.twin.claim(&design{}, time.Now().UnixMilli(), c))
}

func (x *twins) send(t *rapid.T, c try, n int64) string {
	life, skip, sizes := "0", "", []string{"1000000"}
	if c.job > 0 {
		life = "60000"
	}
	if c.skip {
		skip = "latency"
	}
	if c.long {
		sizes[0] = "0"
	}
	e := queue.Effect{Kind: kind, Keys: []string{entryKey("a"), runsKey("a"), lockKey("a"),
		ownerKey("default"), "queue:long"}, Args: append([]string{fmt.Sprint(c.slot),
		fmt.Sprint("r", c.rev), fmt.Sprint("d", c.digest), life, skip, "1"}, sizes...)}
	if c.beside > 0 {
		e.Keys = append(e.Keys, keyStates, pushedKey("a"), keyLastTimes, keyNextTimes)
		e.Args = append(e.Args, string(SidekiqScheduler), "a", fmt.Sprint(n+1e9), "x", "y")
	} else {
		e.Args = append(e.Args, "")
	}
	_, err := x.s.Client.Push(x.Context(), "Job", nil, queue.Options{JID: fmt.Sprint("j", x.pushed),
		Claims: []queue.Claim{{Effect: e, Refused: func(reason string) (string, error) {
			return "", fmt.Errorf("%w%s", errRefused, reason)
		}}}})
	switch {
	case err == nil:
		return ""
	case len(err.Error()) > 5 && err.Error()[:5] == "early":
		return "early"
	}
	return err.Error()
}

var errRefused = fmt.Errorf("")

func (x *twins) press(t *rapid.T) {
	pause := rapid.Bool().Draw(t, "pause")
	err := Control{x.store}.set(x.Context(), "a", map[bool]string{true: "pause", false: "resume"}[pause])
	x.agree(t, "control", err == nil, x.known)
	last, _ := x.raw.HGet(x.Context(), entryKey("a"), "last").Int64()
	if x.known && !pause && last < time.Now().Add(-time.Minute).UnixMilli() {
		t.Fatal("the entry goes on with slots of the pause")
	}
	x.control(&design{}, last, pause) // the clock at that moment is what Redis has written
}

func (x *twins) end(t *rapid.T) {
	job := rapid.Int64Range(1, max(1, x.pushed)).Draw(t, "job")
	// the effect's script, as the scripts that remove jobs run it
	text := "local keys, args = KEYS, ARGV\n" + releaseLua
	if err := x.raw.Eval(x.Context(), text, []string{lockKey("a")},
		fmt.Sprint("j", job)).Err(); err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	x.release(&design{}, job)
}

// fire lets Ruby claim a slot, or disable the entry.
func (x *twins) fire(t *rapid.T) {
	n := rapid.Int64Range(1, 9).Draw(t, "slot")
	if n == 9 {
		x.rubyOff = !x.rubyOff
		x.raw.HSet(x.Context(), keyStates, "a", fmt.Sprintf(`{"enabled":%t}`, !x.rubyOff))
		return
	}
	x.raw.ZAdd(x.Context(), pushedKey("a"), redis.Z{Score: float64(n + 1e9), Member: n + 1e9})
	x.ruby |= 1 << n
}

func (x *twins) silence(*rapid.T) {
	if x.digest != 0 {
		x.seen -= 2 * goneAfter.Milliseconds()
		x.raw.HSet(x.Context(), ownerKey("default"), "seen", x.seen)
	}
}

// rewind lets the entry begin again at the start of the slots.
func (x *twins) rewind(*rapid.T) {
	if x.known {
		x.last = x.start
		x.raw.HSet(x.Context(), entryKey("a"), "last", x.last)
	}
}

func (x *twins) compare(t *rapid.T) {
	ctx := x.Context()
	owner, entry := x.raw.HGetAll(ctx, ownerKey("default")).Val(),
		x.raw.HGetAll(ctx, entryKey("a")).Val()
	text := func(prefix string, n int64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(prefix, n)
	}
	x.agree(t, "owner", fmt.Sprint(owner["digest"], "|", owner["epoch"], "|", owner["given"], "|",
		owner["seen"]), fmt.Sprint(text("d", int64(x.digest)), "|", text("", int64(x.epoch)), "|",
		text("", int64(x.given)), "|", text("", x.seen)))
	x.agree(t, "entry", fmt.Sprint(entry["rev"], entry["timing"], "|", entry["paused"] != ""),
		fmt.Sprint(text("r", int64(x.rev)), text("t", int64(x.timing)), "|", x.paused))
	x.agree(t, "last slot", entry["last"], text("", x.last))
	x.agree(t, "lock", x.raw.Get(ctx, lockKey("a")).Val(), text("j", x.lock))
	for n := range int64(10) {
		_, err := x.raw.ZScore(ctx, pushedKey("a"), fmt.Sprint(n+1e9)).Result()
		x.agree(t, fmt.Sprint("slot ", n, " of Ruby"), err == nil, x.ruby>>n&1 == 1)
	}
}
