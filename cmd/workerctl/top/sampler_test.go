package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// commands is how many commands clients have sent to a Redis, without those of the names, which
// only scripts call.
func commands(t *testing.T, raw *redis.Client, inScripts ...string) (n int) {
	t.Helper()
	stats, err := raw.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(stats) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok || slices.Contains(inScripts, name) || name == "info" {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		count, err := strconv.Atoi(calls)
		if err != nil {
			t.Fatal(err)
		}
		n += count
	}
	return n
}

// fill makes a fleet of processes, with a running job each, queues, and jobs that wait for a retry.
func fill(t *testing.T, raw *redis.Client, processes, queues, retries int) {
	t.Helper()
	ctx, pipe := t.Context(), raw.Pipeline()
	for i := range processes {
		id := fmt.Sprintf("web%d:%d:5f0c9a", i, i)
		pipe.SAdd(ctx, "processes", id)
		pipe.HSet(ctx, id, "info", fmt.Sprintf(`{"hostname":"web%d","started_at":1.5,"pid":%d,`+
			`"concurrency":25,"queues":["q0"]}`, i, i), "busy", 1, "beat", time.Now().Unix(),
			"quiet", "false", "rss", 1024)
		pipe.HSet(ctx, id+":work", "t1", `{"queue":"q0","payload":"{\"class\":\"通知::配送\",`+
			`\"jid\":\"w`+strconv.Itoa(i)+`\",\"args\":[\"日本語\"]}","run_at":1795345820}`)
	}
	for i := range queues {
		name := fmt.Sprint("q", i)
		pipe.SAdd(ctx, "queues", name)
		pipe.LPush(ctx, "queue:"+name, fmt.Sprintf(`{"class":"A","jid":"q%d","queue":%q,"args":`+
			`["日本語"]}`, i, name))
	}
	for i := range retries {
		pipe.ZAdd(ctx, "retry", redis.Z{Score: float64(time.Now().Unix() + int64(i*60) + 60),
			Member: fmt.Sprintf(`{"class":"通知::配送","jid":"r%d","queue":"push","created_at":1,`+
				`"args":["https://host-%d.example/inbox","こんにちは"],"retry":true}`, i, i%4)})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSampler(t *testing.T) {
	server := redistest.Start(t)
	raw, store := server.Client(), server.Store()
	in := inspect.New(store)
	source := NewSource(store, in, in.Explain)
	fill(t, raw, 50, 12, 3000)
	looks := func(t *testing.T, n need, inScripts ...string) (k known) {
		t.Helper()
		inScripts = append(inScripts, "llen", "lindex")
		const seconds = 60
		s := newSampler(source, noon)
		before := commands(t, raw, inScripts...)
		for i := range seconds {
			var err error
			k, _, err = s.look(t.Context(), n, noon.Add(time.Duration(i)*time.Second))
			if err != nil {
				t.Fatal(err)
			}
		}
		sent := commands(t, raw, inScripts...) - before
		if sent > 20*seconds {
			t.Errorf("%d commands in %d s, want at most 20 a second", sent, seconds)
		}
		t.Logf("%.1f commands a second", float64(sent)/seconds)
		return k
	}
	t.Run("asks a fleet of 50 processes at most 20 commands a second", func(t *testing.T) {
		for _, v := range views {
			t.Run(v.name(), func(t *testing.T) {
				looks(t, v.need(newPage(v), 0, 50))
			})
		}
		t.Run("job", func(t *testing.T) {
			looks(t, jobView{Ref{JID: "w1", Raw: `{"class":"A","jid":"w1"}`,
				Place: inspect.Place{Kind: inspect.InQueue, Queue: "q0"}}}.need(nil, 0, 50))
		})
		t.Run("a search", func(t *testing.T) {
			looks(t, need{parts: []part{partPage}, window: Window{Set: Retries,
				Filter: "host:host-1.example", Count: 50}}, "zrange", "zrangebyscore", "zcount",
				"zcard")
		})
	})
	t.Run("reads all processes, in turn", func(t *testing.T) {
		k := looks(t, overview{}.need(nil, 0, 50))
		if len(k.processes) != 50 || !k.complete || len(k.queues) != 12 {
			t.Errorf("%d processes, complete: %t, %d queues", len(k.processes), k.complete,
				len(k.queues))
		}
		if old := noon.Add(59 * time.Second).Sub(k.oldest); old > 20*time.Second {
			t.Errorf("a process was read %v ago", old)
		}
		t.Logf("the oldest figures are of %v", noon.Add(59*time.Second).Sub(k.oldest))
		k = looks(t, busyView{}.need(nil, 0, 50))
		if len(k.work) != 50 || !k.workDone {
			t.Errorf("%d running jobs, complete: %t", len(k.work), k.workDone)
		}
	})
	t.Run("forgets processes that have gone", func(t *testing.T) {
		s := newSampler(source, noon)
		n := need{parts: []part{partProcesses, partWork}}
		for i := range 30 {
			at := noon.Add(time.Duration(i) * time.Second)
			if _, _, err := s.look(t.Context(), n, at); err != nil {
				t.Fatal(err)
			}
		}
		raw.SRem(t.Context(), "processes", "web7:7:5f0c9a")
		k, _, err := s.look(t.Context(), n, noon.Add(time.Hour))
		if err != nil || len(k.processes) != 49 || len(k.work) != 49 {
			t.Errorf("%d processes, %d jobs, %v", len(k.processes), len(k.work), err)
		}
	})
}
