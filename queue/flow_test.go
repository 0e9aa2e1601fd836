package queue_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
)

func TestFlushHistory(t *testing.T) {
	f := newFixture(t)
	t.Run("the counts of two processes add up in every ring", f.in2(addsUp))
	t.Run("a flush that is sent again counts once", f.in2(countsOnce))
	t.Run("a flush whose reply is lost counts once when it is sent again", f.in2(countsLost))
	t.Run("an identity that was forgotten writes nothing", f.in2(forgotten))
	t.Run("writes the age of the oldest job, also of a large one", f.in2(writesAge))
	t.Run("the age of a slot is the largest", f.in2(largestAge))
	t.Run("a ring of a wrong type loses its own points", f.in2(wrongRing))
	t.Run("a queue of a wrong type counts as empty", f.in2(wrongQueue))
	t.Run("the point of an earlier lap is replaced", f.in2(replacesLap))
	t.Run("a ring expires when nothing was written for its time", f.in2(ringExpires))
	t.Run("a ring takes little more memory than its points", f.in2(ringMemory))
	t.Run("a full Redis refuses it, and nothing else", f.in2(fullHistory))
	t.Run("a forbidden key is an error, and nothing is written", forbiddenHistory)
}

// in2 returns a subtest on the same Redis.
func (f *fixture) in2(test func(*fixture)) func(*testing.T) {
	return func(t *testing.T) { test(f.in(t)) }
}

// flushFlow adds to the history of a queue as an owner.
func (f *fixture) flushFlow(o *queue.Owner, name string, number uint64, out, left int64) bool {
	f.Helper()
	_, broken, ok, err := o.FlushHistory(f.Context(), queue.Flush{Field: name, Number: number},
		[]queue.Flow{{Queue: name, Out: out, Left: left}})
	if err != nil || len(broken) > 0 {
		f.Fatal(broken, err)
	}
	return ok
}

// sums adds up a number of all points of each ring of a queue: 1 is the size, 2 the age, 3 out.
func (f *fixture) sums(name string, number int) (list []int64) {
	f.Helper()
	for _, ring := range redisdb.QueueRings {
		sum := int64(0)
		text, err := f.raw.Get(f.Context(), f.store.Keys().QueueHistory(name, ring)).Result()
		if err != nil {
			f.Fatal(err)
		}
		for b := []byte(text); len(b) > 0; b = b[redisdb.PointBytes:] {
			sum += int64(binary.BigEndian.Uint32(b[4*number:]))
		}
		list = append(list, sum)
	}
	return list
}

func addsUp(f *fixture) {
	other := f.newOwner("h:2:a")
	for i := range 3 {
		f.flushFlow(f.owner, "two", uint64(i+1), 1000, 1000)
		f.flushFlow(other, "two", uint64(i+1), 70_000, -5)
	}
	same(f, "out by ring", fmt.Sprint(f.sums("two", 3)), "[213000 213000 213000]")
	left := f.sums("two", 4)
	same(f, "left in the last hour", int32(left[2]), 3*995)
}

func countsOnce(f *fixture) {
	for range 3 {
		f.flushFlow(f.owner, "again", 7, 10, 10)
	}
	f.flushFlow(f.owner, "other", 7, 5, 5)
	f.flushFlow(f.owner, "again", 8, 1, 1)
	same(f, "out by ring", fmt.Sprint(f.sums("again", 3)), "[11 11 11]")
	same(f, "out of another queue", fmt.Sprint(f.sums("other", 3)), "[5 5 5]")
}

func countsLost(f *fixture) {
	proxy := faultproxy.Start(f, f.server.Addr)
	through := f.server.Store(func(c *queue.Config) {
		c.URL = strings.Replace(c.URL, f.server.Addr, proxy.Addr, 1)
	})
	proxy.DropReply(faultproxy.Script("history"), 1)
	flush, flows := queue.Flush{Field: "lost", Number: 1}, []queue.Flow{{Queue: "lost", Out: 9}}
	o := through.Owner(f.owner.Identity)
	if _, _, _, err := o.FlushHistory(f.Context(), flush, flows); err == nil {
		f.Error("the reply came")
	}
	if _, _, ok, err := o.FlushHistory(f.Context(), flush, flows); !ok || err != nil {
		f.Error(ok, err)
	}
	same(f, "out by ring", fmt.Sprint(f.sums("lost", 3)), "[9 9 9]")
}

func forgotten(f *fixture) {
	ok := f.flushFlow(f.store.Owner("h:9:gone"), "gone", 1, 10, 10)
	same(f, "written", ok, false)
	if keys := f.raw.Keys(f.Context(), "kyu:*gone*").Val(); len(keys) > 0 {
		f.Errorf("there are %v", keys)
	}
}

func writesAge(f *fixture) {
	for _, size := range []int{0, 100_000} {
		name := fmt.Sprint("aged", size)
		f.put("queue:"+name, fmt.Sprintf(`{"class":"Job","args":["%s"],"jid":"1","enqueued_at":%d}`,
			strings.Repeat("x", size), time.Now().Unix()-100))
		f.put("queue:"+name, `{"class":"Job","args":[],"jid":"2","enqueued_at":1}`) // taken later
		f.flushFlow(f.owner, name, 1, 0, 0)
		for _, age := range f.sums(name, 2) {
			if age < 1000 || age > 1600 {
				f.Errorf("with %d bytes: an age of %d tenths, want 1000", size, age)
			}
		}
		same(f, "size", fmt.Sprint(f.sums(name, 1)), "[2 2 2]")
	}
	f.put("queue:odd", "no job")
	f.flushFlow(f.owner, "odd", 1, 0, 0)
	same(f, "age of bytes that are no job", fmt.Sprint(f.sums("odd", 2)), "[0 0 0]")
}

func largestAge(f *fixture) {
	job := func(age int64) string {
		return fmt.Sprintf(`{"class":"Job","args":[],"jid":"1","enqueued_at":%d}`,
			time.Now().Unix()-age)
	}
	ten := redisdb.QueueRings[0]
	for i, age := range []int64{500, 20} {
		f.raw.Del(f.Context(), "queue:max", f.store.Keys().QueueHistory("max", ten)) // a new slot
		f.put("queue:max", job(age))
		f.flushFlow(f.owner, "max", uint64(i+1), 0, 0)
	}
	ages := f.sums("max", 2)
	if ages[0] > 800 || ages[2] < 5000 {
		f.Errorf("ages of %v tenths, want 200, then 5000 in the slots that are not new", ages)
	}
}

func wrongRing(f *fixture) {
	ks := f.store.Keys()
	bad := ks.QueueHistory("broken", redisdb.QueueRings[1])
	f.raw.LPush(f.Context(), bad, "a list")
	_, broken, ok, err := f.owner.FlushHistory(f.Context(), queue.Flush{Field: "b", Number: 1},
		[]queue.Flow{{Queue: "broken", Out: 3}, {Queue: "whole", Out: 4}})
	if !ok || err != nil || !slices.Equal(broken, []string{"broken"}) {
		f.Fatal(broken, ok, err)
	}
	same(f, "the list", f.raw.LLen(f.Context(), bad).Val(), 1)
	f.raw.Del(f.Context(), bad)
	f.raw.Set(f.Context(), bad, "", 0)
	same(f, "out", fmt.Sprint(f.sums("whole", 3)), "[4 4 4]")
	for _, ring := range []redisdb.Ring{redisdb.QueueRings[0], redisdb.QueueRings[2]} {
		if f.raw.Exists(f.Context(), ks.QueueHistory("broken", ring)).Val() == 0 {
			f.Errorf("the ring of %s is not written", ring.Name)
		}
	}
}

func wrongQueue(f *fixture) {
	f.spoil("queue:noqueue")
	f.flushFlow(f.owner, "noqueue", 1, 2, 2)
	same(f, "size", fmt.Sprint(f.sums("noqueue", 1)), "[0 0 0]")
	same(f, "out", fmt.Sprint(f.sums("noqueue", 3)), "[2 2 2]")
}

func replacesLap(f *fixture) {
	ring := redisdb.QueueRings[2]
	now := f.raw.Time(f.Context()).Val().Unix() / 3600
	key := f.store.Keys().QueueHistory("lap", ring)
	for slot := now; slot < now+2; slot++ { // two: an hour may end in between
		b := binary.BigEndian.AppendUint32(nil, uint32(slot-int64(ring.Slots)))
		b = append(b, "\x00\x00\x00\x09\x00\x00\x00\x09\x00\x00\x00\x09\x00\x00\x00\x09"...)
		f.raw.SetRange(f.Context(), key, slot%int64(ring.Slots)*redisdb.PointBytes, string(b))
	}
	f.flushFlow(f.owner, "lap", 1, 1, 1)
	same(f, "out of the new point, and of one that is left", f.sums("lap", 3)[2], 1+9)
	same(f, "ages", f.sums("lap", 2)[2], 0+9)
}

func ringExpires(f *fixture) {
	f.flushFlow(f.owner, "life", 1, 0, 0)
	for _, ring := range redisdb.QueueRings {
		life := f.raw.TTL(f.Context(), f.store.Keys().QueueHistory("life", ring)).Val()
		if life > ring.Span() || life < ring.Span()-time.Minute {
			f.Errorf("ring %s expires in %v, want %v", ring.Name, life,
				ring.Span())
		}
	}
}

func ringMemory(f *fixture) {
	f.flushFlow(f.owner, "small", 1, 1, 1)
	for _, ring := range redisdb.QueueRings {
		key, points := f.store.Keys().QueueHistory("small", ring), int64(ring.Slots)
		same(f, "bytes of "+ring.Name, f.raw.StrLen(f.Context(), key).Val(),
			points*redisdb.PointBytes)
		used := f.raw.MemoryUsage(f.Context(), key).Val()
		f.Logf("ring %s: %d bytes of memory", ring.Name, used)
		if used > points*redisdb.PointBytes*5/4 {
			f.Errorf("ring %s takes %d bytes for %d points", ring.Name, used, points)
		}
	}
}

func fullHistory(f *fixture) {
	f.raw.ConfigSet(f.Context(), "maxmemory-policy", "noeviction")
	f.raw.ConfigSet(f.Context(), "maxmemory", "1")
	_, _, _, err := f.owner.FlushHistory(f.Context(), queue.Flush{Field: "full", Number: 1},
		[]queue.Flow{{Queue: "full", Out: 5}})
	_, _, runs := f.owner.FlushRuns(f.Context(), queue.Flush{Field: "classes", Number: 1},
		map[string]*queue.ClassMetrics{"Full": {Processed: 1}})
	f.raw.ConfigSet(f.Context(), "maxmemory", "0")
	if !says(err, "OOM") || !redisdb.ServesNobody(err) || !says(runs, "OOM") {
		f.Error(err, runs)
	}
	f.flushFlow(f.owner, "full", 1, 5, 5)
	same(f, "out when it is sent again", fmt.Sprint(f.sums("full", 3)), "[5 5 5]")
}

func forbiddenHistory(t *testing.T) {
	f := newFixture(t)
	f.raw.Do(t.Context(), "ACL", "SETUSER", "kyu", "resetkeys", "~kyu:owner:*", "~queue:*",
		"~kyu:{queue:may}*")
	_, _, _, err := f.owner.FlushHistory(t.Context(), queue.Flush{Field: "may", Number: 1},
		[]queue.Flow{{Queue: "may", Out: 5}, {Queue: "maynot", Out: 5}})
	if !redisdb.ForbidsKey(err) {
		t.Error(err)
	}
	f.flushFlow(f.owner, "may", 1, 5, 5)
	same(t, "out", fmt.Sprint(f.sums("may", 3)), "[5 5 5]")
}

func TestFlushRuns(t *testing.T) {
	f := newFixture(t)
	flush := func(number uint64, byClass map[string]*queue.ClassMetrics) (without, broken int) {
		t.Helper()
		without, broken, err := f.owner.FlushRuns(t.Context(), queue.Flush{Field: "classes",
			Number: number}, byClass)
		if err != nil {
			t.Fatal(err)
		}
		return without, broken
	}
	one := func(class string, m queue.ClassMetrics) map[string]*queue.ClassMetrics {
		return map[string]*queue.ClassMetrics{class: &m}
	}
	t.Run("adds runs, failures and times, once for each flush", func(t *testing.T) {
		f := f.in(t)
		large := queue.ClassMetrics{Processed: 7, Failed: 2, Millis: 5_000_000_000}
		flush(1, one("A::Job", large))
		flush(1, one("A::Job", large))
		flush(2, one("A::Job", large))
		text := f.raw.Get(t.Context(), "kyu:history:class:A::Job").Val()
		sum := [3]uint64{}
		for b := []byte(text); len(b) > 0; b = b[redisdb.PointBytes:] {
			sum[0] += uint64(binary.BigEndian.Uint32(b[4:]))
			sum[1] += uint64(binary.BigEndian.Uint32(b[8:]))
			sum[2] += binary.BigEndian.Uint64(b[12:])
		}
		same(t, "runs, failures, milliseconds", sum, [3]uint64{14, 4, 10_000_000_000})
	})
	t.Run("a class with a key of a wrong type loses its own", func(t *testing.T) {
		f := f.in(t)
		f.raw.LPush(t.Context(), "kyu:history:class:Bad", "a list")
		without, broken := flush(3, one("Bad", queue.ClassMetrics{Processed: 1}))
		same(t, "broken", [2]int{without, broken}, [2]int{0, 1})
	})
	t.Run("only so many classes have a ring, until one of them expires", limitsClasses)
	t.Run("a list of classes of a wrong type stops it", func(t *testing.T) {
		f := newFixture(t)
		f.spoil("kyu:history:classes")
		_, broken, err := f.owner.FlushRuns(t.Context(), queue.Flush{Field: "classes", Number: 1},
			one("A", queue.ClassMetrics{Processed: 1}))
		if broken != 1 || err != nil {
			t.Error(broken, err)
		}
	})
	t.Run("an identity that was forgotten writes nothing", func(t *testing.T) {
		f := f.in(t)
		_, _, err := f.store.Owner("h:9:gone").FlushRuns(t.Context(), queue.Flush{Number: 1},
			one("Gone", queue.ClassMetrics{Processed: 1}))
		if keys := f.raw.Keys(t.Context(), "kyu:*[Gg]one*").Val(); err != nil || len(keys) > 0 {
			t.Error(keys, err)
		}
	})
}

func limitsClasses(t *testing.T) {
	f := newFixture(t)
	flush := func(number uint64, from, to int) (without int) {
		t.Helper()
		byClass := map[string]*queue.ClassMetrics{}
		for i := from; i < to; i++ {
			byClass[fmt.Sprint("Class", i)] = &queue.ClassMetrics{Processed: 1}
		}
		without, _, err := f.owner.FlushRuns(t.Context(), queue.Flush{Field: "classes",
			Number: number}, byClass)
		if err != nil {
			t.Fatal(err)
		}
		return without
	}
	page := queue.MaxHistoryRuns
	for i := range 3 {
		same(t, "without a ring", flush(uint64(i), page*i, page*(i+1)), 0)
	}
	same(t, "without a ring", flush(3, 3*page, 4*page), 4*page-queue.MaxHistoryClasses)
	same(t, "known classes without a ring", flush(4, 0, page), 0)
	old := float64(time.Now().Add(-401 * 24 * time.Hour).Unix())
	f.raw.Do(t.Context(), "ZADD", "kyu:history:classes", old, "Class0")
	same(t, "new classes without a ring", flush(5, 1000, 1002), 1)
}
