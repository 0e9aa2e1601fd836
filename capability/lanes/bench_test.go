package lanes_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

// redisCPU returns the seconds of CPU time that the server has used.
func redisCPU(b *testing.B, raw *redis.Client) (seconds float64) {
	b.Helper()
	info, err := raw.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range strings.Split(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, _ := strconv.ParseFloat(value, 64)
			seconds += n
		}
	}
	return seconds
}

// ownCPU returns the seconds of CPU time that this process has used.
func ownCPU() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// cost reports the CPU time that a job has cost since the figures were taken.
func cost(b *testing.B, raw *redis.Client, server, own float64) {
	b.Helper()
	b.ReportMetric((redisCPU(b, raw)-server)*1e6/float64(b.N), "redis-µs/job")
	b.ReportMetric((ownCPU()-own)*1e6/float64(b.N), "worker-µs/job")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// fillQueue pushes n jobs of as many hosts as hosts to the queue a.
func fillQueue(b *testing.B, raw *redis.Client, n, hosts int) {
	b.Helper()
	ctx := context.Background()
	for at := 0; at < n; at += 1000 {
		var page []any
		for i := at; i < min(n, at+1000); i++ {
			page = append(page, fmt.Sprintf(`{"class":"Job","args":["{\"id\":\"https://here/`+
				`%d\"}",%d,"https://host%d.example/inbox",{}],"jid":"%024x","queue":"a",`+
				`"retry":true,"created_at":1764380000.1,"enqueued_at":1764380000.1}`, i,
				i%1000, i%hosts, i))
		}
		if err := raw.LPush(ctx, "queue:a", page...).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func setRule(b *testing.B, s *queue.Store, text string) {
	b.Helper()
	if text == "" {
		return
	}
	r, err := lanes.ParseRule(text)
	if err == nil {
		err = lanes.Control{Store: s}.Set(context.Background(), "a", r)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSift measures how many jobs a second move from a list to lanes.
func BenchmarkSift(b *testing.B) {
	for _, hosts := range []int{1, 1000} {
		b.Run(strconv.Itoa(hosts)+" hosts", func(b *testing.B) {
			s := redistest.Start(b)
			store := open(s)
			setRule(b, store, "key=args.2|host,max=2")
			l := lanes.New(store, slog.New(slog.DiscardHandler))
			if _, err := l.Refresh(b.Context(), []string{"a"}); err != nil {
				b.Fatal(err)
			}
			fillQueue(b, s.Client(), b.N, hosts)
			server, own := redisCPU(b, s.Client()), ownCPU()
			b.ResetTimer()
			for more := true; more; {
				var err error
				if more, _, err = l.Sift(b.Context(), "a", "me"); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			cost(b, s.Client(), server, own)
		})
	}
}

// BenchmarkDrain measures a worker that empties a queue whose jobs do nothing.
func BenchmarkDrain(b *testing.B) {
	for _, threads := range []int{15, 100} {
		for name, rule := range map[string]string{"no lanes": "",
			"unbound": "key=args.2|host,max=1000",
			"turns":   "key=args.2|host", "bound": "key=args.2|host,max=2"} {
			b.Run(fmt.Sprint(threads, " threads/", name), func(b *testing.B) {
				benchDrain(b, threads, rule)
			})
		}
	}
}

func benchDrain(b *testing.B, threads int, rule string) {
	s := redistest.Start(b)
	store := open(s)
	setRule(b, store, rule)
	fillQueue(b, s.Client(), b.N, 1000)
	mux, log := worker.NewMux(), slog.New(slog.DiscardHandler)
	var ran atomic.Int64
	ended := make(chan struct{})
	mux.HandleJob("Job", func(context.Context, *queue.Job) error {
		if ran.Add(1) == int64(b.N) {
			close(ended)
		}
		return nil
	})
	r, err := worker.New(store, worker.Config{Mux: mux, Logger: log, NoJobLog: true,
		Source:    func(s *queue.Store) worker.Source { return lanes.New(s, log) },
		NoHistory: true, Timeout: time.Second,
		Capsules: []worker.Capsule{{Concurrency: threads,
			Queues: []worker.QueueWeight{{Name: "a"}}}}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	server, own := redisCPU(b, s.Client()), ownCPU()
	b.ResetTimer()
	go func() { done <- r.Run(context.Background()) }()
	<-ended
	b.StopTimer()
	cost(b, s.Client(), server, own)
	r.Stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
