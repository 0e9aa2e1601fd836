package interop

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// goPushes are the cases in which Go pushes and Ruby runs or reads.
var goPushes = []row{
	{id: "B01", says: "Ruby gets an Integer, a Float, the same text, nil and a Hash", with: all,
		ruby: noRuby, run: testB01Arguments},
	{id: "B02", says: "the bytes are those that Ruby would generate; the jid has 24 hex digits",
		with: all, run: testB02SameBytes},
	{id: "B03", says: "a scheduled payload has neither at nor enqueued_at", with: all,
		run: testB03Scheduled},
	{id: "B04", says: "Ruby's reschedule moves the entry and adds no second one", with: all,
		ruby: sameWire, run: testB04Reschedule},
	{id: "B05", says: "the web page's button Add to queue brings the job to a Ruby worker",
		with: all, ruby: noRuby, run: testB05AddToQueue},
	{id: "B06", says: "2,500 jobs of a bulk push keep their order, and their jids are unique",
		with: all, ruby: sameWire, run: testB06Bulk},
	{id: "B07", says: "the web page shows a queue with a dot and a dash in its name", with: all,
		ruby: sameWire, run: testB07QueueName},
	{id: "B08", says: "retry 2: in a Ruby worker the job is dead after the third failure",
		with: all, ruby: noRuby, run: testB08RetryTwo},
	{id: "B09", says: "every version reads float times as now", with: all, run: testB09FloatTimes},
	{id: "B10", says: "integer milliseconds are for 8 only: 6 reads the year 58,000", with: eight,
		why: "6 and 7 must not get integer milliseconds: this case shows the reason",
		run: testB10Milliseconds},
	{id: "B11", says: "Ruby retries an unknown class, because every job that Go pushes has retry",
		with: all, ruby: noRuby, run: testB11UnknownClass},
	{id: "B12", says: "a job that Ruby could not read is refused before the push", with: all,
		ruby: sameWire, run: testB12Refused},
	{id: "B13", says: "locale, tags and additional fields reach Ruby's middleware", with: all,
		ruby: noRuby, run: testB13Fields},
	{id: "B14", says: "a running iterable job of Ruby reads at its next flush that it is cancelled",
		with: later, why: notIn6, run: testB14Cancel},
	{id: "B15", says: "if an iterable job is cancelled before its start, Ruby can parse its cursor",
		with: later, why: notIn6, run: testB15CancelEarly},
	{id: "B16", says: "a time in the past means now; the low-level push schedules the job, as " +
		"Ruby's does", with: all, ruby: sameWire, run: testB16Past},
}

func testB01Arguments(k *kase) {
	k.Sidekiq("-q", "default", "-c", "1")
	k.Push("Test::Record", []any{1, 1.0, "é<b>&\u2028", nil,
		map[string]any{"a": map[string]any{"b": []any{1}}}}, queue.Options{})
	r := k.ran("run", 1)[0]
	k.Equal("types", r.Types, "[Integer Float String NilClass Hash]")
	k.sameJSON("args", r.Args, `[1,1.0,"é<b>&`+"\u2028"+`",null,{"a":{"b":[1]}}]`)
}

func testB02SameBytes(k *kase) {
	store := k.Store
	if k.v == 8 {
		store = k.Server.Store(func(c *queue.Config) { c.Timestamps = queue.Millis })
	}
	jid, err := queue.NewClient(store).Push(k.Context(), "Test::Record",
		[]any{1, math.Copysign(0, -1), 2.5, 1795345820.0, "é<b>&/\u2028\u2029\x7f\n\x01\"\\", nil,
			true, []any{}, map[string]any{"k": []any{map[string]any{}}}},
		queue.Options{Tags: []string{"t"}, Extra: map[string]any{"locale": "ja"}})
	k.Must(err)
	raw := k.raw("default")[0]
	if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(jid) {
		k.Errorf("jid %q", jid)
	}
	number := map[int]string{6: `\d{10}\.\d{1,6}`, 7: `\d{10}\.\d{1,6}`, 8: `\d{13}`}[k.v]
	want := `^\{"retry":true,"queue":"default","class":"Test::Record",` +
		`"args":\[1,-0\.0,2\.5,1795345820\.0,"é<b>&/` + "\u2028\u2029\x7f" +
		`\\n\\u0001\\"\\\\",null,true,\[\],\{"k":\[\{\}\]\}\],"jid":"` + jid + `","created_at":` +
		number + `,"tags":\["t"\],"locale":"ja","enqueued_at":` + number + `\}$`
	if !regexp.MustCompile(want).MatchString(raw) {
		k.Errorf("wrote %s\nwant  %s", raw, want)
	}
	if k.real {
		var same bool
		k.ruby.Do(&same, `same_bytes?(redis("LINDEX", "queue:default", 0))`)
		k.Equal("Ruby would write the same bytes", same, true)
	}
}

func testB03Scheduled(k *kase) {
	due := time.Now().Add(30 * time.Second)
	k.Push("Test::Record", []any{1}, queue.Options{At: due})
	j, at := k.one("schedule")
	harness.Between(k, "score less the time of the push", at.Sub(due), -time.Millisecond,
		time.Millisecond)
	k.Equal("at", j.Field("at"), "")
	k.Equal("enqueued_at", j.Field("enqueued_at"), "")
	k.near(k.v, "created_at", j.Field("created_at"))
	if k.real {
		var in float64
		k.ruby.Do(&in, `Sidekiq::ScheduledSet.new.first.at - Time.now`)
		harness.Between(k, "seconds until the job is due in Ruby", in, 25, 31)
	}
}

func testB04Reschedule(k *kase) {
	k.Push("Test::Record", []any{1.0, "é<b>&\u2028\x7f", k.floats()},
		queue.Options{At: time.Now().Add(30 * time.Second), Tags: []string{"a/b"}})
	_, before := k.one("schedule")
	k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
	_, after := k.one("schedule")
	harness.Between(k, "moved by", after.Sub(before), 50*time.Second, 70*time.Second)
}

// floats are numbers that this version's JSON prints as Kyu does. Very small and very big ones
// are printed in another form by the JSON of 8 (docs/wire.md 2.2).
func (k *kase) floats() []any {
	if k.v >= 8 {
		return []any{1e-4, 2.5, 999_999_999_999_999.0}
	}
	return []any{1e-7, 2.5, 1e16, 1e20}
}

func testB05AddToQueue(k *kase) {
	k.Push("Test::Record", []any{1}, queue.Options{At: time.Now().Add(time.Hour)})
	k.ruby.Post("/scheduled", map[string]any{"key": k.keys("schedule"), "add_to_queue": "1"})
	k.Equal("scheduled, waiting", fmt.Sprint(k.Card("schedule"), k.Len("default")), "0 1")
	k.Sidekiq("-q", "default", "-c", "1")
	k.Equal("run by", k.ran("run", 1)[0].By, "ruby")
}

// keys are the names that the web page uses for the entries of a set: SCORE-JID.
func (k *kase) keys(set string) []string {
	k.Helper()
	var list []string
	class := map[string]string{"schedule": "ScheduledSet", "retry": "RetrySet"}[set]
	k.ruby.Do(&list, fmt.Sprintf(`Sidekiq::%s.new.map { |e| "#{e.score}-#{e.jid}" }`, class))
	return list
}

func testB06Bulk(k *kase) {
	var args [][]any
	for i := range 2500 {
		args = append(args, []any{i})
	}
	jids, err := k.Client.PushBulk(k.Context(), "Test::Record", args, queue.Options{})
	k.Must(err)
	unique := map[string]bool{}
	for _, jid := range jids {
		unique[jid] = true
	}
	k.Equal("is in the set queues", k.Raw.SIsMember(k.Context(), "queues", "default").Val(), true)
	k.Equal("jobs, jids", fmt.Sprint(k.Len("default"), len(unique)), "2500 2500")
	var inOrder bool
	k.ruby.Do(&inOrder, `Sidekiq::Queue.new.map { |j| j.args[0] } == (0...2500).to_a.reverse`)
	k.Equal("in order", inOrder, true)
}

func testB07QueueName(k *kase) {
	k.Push("Test::Record", nil, queue.Options{Queue: "reports.daily-1"})
	k.ruby.Shows("/queues/reports.daily-1")
}

func testB08RetryTwo(k *kase) {
	k.Sidekiq("-q", "default", "-c", "1")
	k.Push("Test::Fail", []any{"boom"}, queue.Options{Retry: queue.RetryMax(2)})
	for n := range 2 {
		k.ran("run", n+1)
		j, _ := k.one("retry")
		k.Equal("retry_count", j.Field("retry_count"), n)
		k.due("retry")
	}
	k.one("dead")
	k.Equal("runs", len(k.Records("run")), 3)
}

func testB09FloatTimes(k *kase) {
	k.Push("Test::Record", nil, queue.Options{})
	j := k.parse(k.raw("default")[0])
	k.near(k.v, "created_at", j.Field("created_at"))
	k.near(k.v, "enqueued_at", j.Field("enqueued_at"))
	if k.real {
		var latency float64
		k.ruby.Do(&latency, `Sidekiq::Queue.new.latency`)
		harness.Between(k, "latency in Ruby, in seconds", latency, 0, 2)
	}
}

func testB10Milliseconds(k *kase) {
	client := queue.NewClient(k.Server.Store(func(c *queue.Config) {
		c.Timestamps = queue.Millis
	}))
	_, err := client.Push(k.Context(), "Test::Record", nil, queue.Options{})
	k.Must(err)
	k.near(8, "enqueued_at", k.parse(k.raw("default")[0]).Field("enqueued_at"))
	if k.real {
		k.ruby.Do(nil, `raise "too old" if Time.now - Sidekiq::Queue.new.first.enqueued_at > 60`)
		return
	}
	var year int
	if k.ruby.Do(&year, `Sidekiq::Queue.new.first.enqueued_at.year`); year < 50_000 {
		k.Errorf("6.4.1 reads the year %d", year)
	}
}

func testB11UnknownClass(k *kase) {
	k.Sidekiq("-q", "default", "-c", "1")
	k.Push("NoSuch", []any{1}, queue.Options{})
	j, _ := k.one("retry")
	k.Equal("error_class", j.String("error_class"), "NameError")
	// Kyu's client does not write a job without retry.
	k.enqueue(`{"queue":"default","class":"NoSuch","args":[1],"jid":"foreign","created_at":1.5}`)
	k.ran("death", 1)
	k.Equal("retry, dead", fmt.Sprint(k.Card("retry"), k.Card("dead")), "1 0")
}

func testB12Refused(k *kase) {
	deep := any(1)
	for range 100 {
		deep = []any{deep}
	}
	for _, c := range []struct {
		mistake, class string
		args           []any
		options        queue.Options
	}{
		{"empty class", "", nil, queue.Options{}},
		{"bad queue", "A", nil, queue.Options{Queue: "a b"}},
		{"NaN", "A", []any{math.NaN()}, queue.Options{}},
		{"depth 101", "A", []any{deep}, queue.Options{}},
		{"no UTF-8", "A", []any{"\xff"}, queue.Options{}},
		{"a key that is no text", "A", []any{map[bool]int{true: 1}}, queue.Options{}},
	} {
		_, err := k.Client.Push(k.Context(), c.class, c.args, c.options)
		var invalid *queue.InvalidError
		if !errors.As(err, &invalid) {
			k.Errorf("%s: %v", c.mistake, err)
		}
	}
	k.Equal("keys in Redis", k.Raw.DBSize(k.Context()).Val(), 0)
}

func testB13Fields(k *kase) {
	k.Sidekiq("-q", "default", "-c", "1")
	k.Push("Test::Record", nil, queue.Options{Tags: []string{"x"},
		Extra: map[string]any{"locale": "ja", "trace": map[string]any{"id": 1.0}}})
	job := k.parse(string(k.ran("run", 1)[0].Job))
	k.Equal("fields", job.Field("locale")+job.Field("tags")+job.Field("trace"),
		`"ja"["x"]{"id":1.0}`)
}

func testB14Cancel(k *kase) {
	if k.real && k.v == 8 {
		cancelInRuby(k)
	}
	k.load("iteration.dump")
	k.OK("cancelled iter1", "cancel", "iter1")
	// Ruby does this every five seconds: HSET, EXPIRE, HGET cancelled.
	k.Raw.HSet(k.Context(), "it-iter1", "ex", "2", "c", "[2]", "rt", "12.5")
	at := k.Raw.HGet(k.Context(), "it-iter1", "cancelled").Val()
	if !regexp.MustCompile(`^\d{10}$`).MatchString(at) {
		k.Errorf("cancelled %q: want integer seconds", at)
	}
	k.Equal("cursor", k.Raw.HGet(k.Context(), "it-iter1", "c").Val(), "[2]")
}

// cancelInRuby cancels an iterable job that runs in Ruby.
func cancelInRuby(k *kase) {
	k.Helper()
	k.Sidekiq("-q", "default", "-c", "1")
	var jid string
	k.ruby.Do(&jid, `Test::Iter.perform_async(2000, 20)`)
	k.Until(15*time.Second, "Ruby has written the job's state",
		func() bool { return k.Raw.HGet(k.Context(), "it-"+jid, "c").Val() != "" })
	k.OK("cancelled "+jid, "cancel", jid)
	k.ran("cancel", 1)
	k.Settled(10 * time.Second)
	k.Equal("retries", k.Card("retry"), 0)
}

func testB15CancelEarly(k *kase) {
	const start = `h = redis_hash(q[0])
		[h["ex"].to_i, JSON.parse(h["c"]), h["rt"].to_f, h["cancelled"].to_i > 0]`
	k.OK("cancelled fresh", "cancel", "fresh", "--force") // it is in no queue
	var state []any
	k.ruby.Do(&state, start, "it-fresh")
	k.Equal("state in Ruby", state, "[0 <nil> 0 true]")
	k.kept("it-fresh", 29*24*time.Hour, 31*24*time.Hour)
	k.load("iteration.dump") // iter2 was cancelled by Ruby, which writes no cursor
	if text := k.ruby.Fails(start, "it-iter2"); !strings.HasPrefix(text, "TypeError") {
		k.Errorf("without a cursor: %s", text)
	}
	if k.real {
		cancelledEarlyInRuby(k)
	}
}

// cancelledEarlyInRuby runs a job in Ruby that Go has cancelled. 7.3.2 cannot cancel jobs, so it
// runs the job to its end.
func cancelledEarlyInRuby(k *kase) {
	k.Helper()
	k.Clear()
	var jid string
	k.ruby.Do(&jid, `Test::Iter.perform_async(3, 1)`)
	k.OK("cancelled "+jid, "cancel", jid)
	k.Sidekiq("-q", "default", "-c", "1")
	k.ran(map[int]string{7: "complete", 8: "cancel"}[k.v], 1)
	k.Settled(10 * time.Second)
	k.Equal("retries", k.Card("retry"), 0)
}

func testB16Past(k *kase) {
	past := time.Now().Add(-10 * time.Second)
	_, err := k.Client.PushAt(k.Context(), past, "Test::Record", nil, queue.Options{})
	k.Must(err)
	k.Equal("waiting, scheduled after PushAt", fmt.Sprint(k.Len("default"), k.Card("schedule")),
		"1 0")
	k.Must(k.Store.PushBatches(k.Context(), []queue.Batch{{Jobs: []queue.Pushed{{JID: "x",
		Payload: `{"class":"A","args":[],"jid":"x"}`, At: past}}}}))
	k.Equal("waiting, scheduled after PushBatches",
		fmt.Sprint(k.Len("default"), k.Card("schedule")), "1 1")
}
