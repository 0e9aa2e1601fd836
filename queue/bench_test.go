package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"golang.org/x/sync/errgroup"
)

const benchPayload = `{"retry":true,"queue":"default","class":"ActivityPub::DeliveryWorker",` +
	`"args":["{\"type\":\"Create\"}",1,"https://b.example/inbox",{"synchronize_followers":true}],` +
	`"jid":"b4a577edbccf1d805744efa9","created_at":1795345820.25,"enqueued_at":1795345820.25}`

func BenchmarkParseJob(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.ParseJob(benchPayload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatch(b *testing.B) {
	j, err := envelope.ParseJob(benchPayload)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var p envelope.Patch
		p.SetInt("retry_count", 3)
		p.SetString("error_message", "boom")
		p.Apply(j)
	}
}

// nowhere is a backend that drops all jobs.
type nowhere struct{}

func (nowhere) PushBatches(context.Context, []queue.Batch) error { return nil }

// bulk pushes 100,000 jobs at a time.
func bulk(b *testing.B, backend queue.Backend) {
	const n = 100_000
	client, args := queue.NewClient(backend), bulkArgs(n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.PushBulk(b.Context(), "Test::NoOp", args, queue.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

func BenchmarkBulkEncoding(b *testing.B) { bulk(b, nowhere{}) }

func BenchmarkBulkPush(b *testing.B) { bulk(b, redistest.Start(b).Store()) }

// BenchmarkShards pushes one job at a time to a Store, to the Backend of one shard, and to that of
// three. All servers share this machine, so three shards are not faster here.
func BenchmarkShards(b *testing.B) {
	var configs []queue.ShardConfig
	for _, name := range []string{"a", "b", "c"} {
		configs = append(configs, queue.ShardConfig{Name: name,
			Config: queue.Config{URL: redistest.Start(b).URL}})
	}
	backend := func(n int, p queue.Placement) queue.Backend {
		shards, err := queue.NewShards(configs[:n])
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { shards.Close() })
		if err := shards.Connect(b.Context()); err != nil {
			b.Fatal(err)
		}
		to, err := shards.Backend(p)
		if err != nil {
			b.Fatal(err)
		}
		return to
	}
	plain, err := queue.Open(b.Context(), configs[0].Config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { plain.Close() })
	for _, c := range []struct {
		name string
		to   queue.Backend
	}{
		{"store", plain}, {"one", backend(1, queue.Placement{})},
		{"three", backend(3, queue.Placement{})},
		{"three by class", backend(3, queue.Placement{Key: queue.ByClass})},
	} {
		b.Run("push/"+c.name, func(b *testing.B) {
			client := queue.NewClient(c.to)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Push(b.Context(), "Job", []any{1},
					queue.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("bulk/"+c.name, func(b *testing.B) { bulk(b, c.to) })
	}
}

// fetching takes n jobs at a time from the last of some queues, and acknowledges the n jobs before.
func fetching(b *testing.B, n int, queues ...string) {
	store := redistest.Start(b).Store()
	owner := store.Owner("bench:1:1")
	if err := owner.Register(b.Context(), queue.Host{}, queues, time.Hour); err != nil {
		b.Fatal(err)
	}
	client, args, last := queue.NewClient(store), bulkArgs(100_000), queues[len(queues)-1]
	var done []*queue.Delivery
	left, jobs := 0, 0
	for b.Loop() {
		if left < n {
			b.StopTimer()
			if _, err := client.PushBulk(b.Context(), "Test::NoOp", args,
				queue.Options{Queue: last}); err != nil {
				b.Fatal(err)
			}
			left += len(args)
			b.StartTimer()
		}
		got, _, err := take(b.Context(), store, owner, queues, n, nil, done)
		if err != nil || len(got) != n {
			b.Fatal(len(got), err)
		}
		done, left, jobs = got, left-n, jobs+n
	}
	b.ReportMetric(float64(jobs)/b.Elapsed().Seconds(), "jobs/s")
}

func BenchmarkFetchAndSettle(b *testing.B) {
	for _, n := range []int{1, 15, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { fetching(b, n, "default") })
	}
}

func BenchmarkFetchFromTheLastQueue(b *testing.B) {
	for _, n := range []int{1, 4, 20} {
		b.Run(fmt.Sprint("of", n), func(b *testing.B) {
			queues := make([]string, n)
			for i := range queues {
				queues[i] = fmt.Sprint("q", i)
			}
			fetching(b, 15, queues...)
		})
	}
}

// BenchmarkPushers compares a push with a bare LPUSH, by one goroutine and by 16 on two cores.
func BenchmarkPushers(b *testing.B) {
	server := redistest.Start(b)
	raw, client := server.Client(), queue.NewClient(server.Store())
	for name, push := range map[string]func() error{
		"push": func() error {
			_, err := client.Push(b.Context(), "Test::NoOp", []any{1}, queue.Options{})
			return err
		},
		"lpush": func() error {
			return raw.LPush(b.Context(), "queue:default", benchPayload).Err()
		},
	} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				var all errgroup.Group
				for g := range n {
					all.Go(func() error {
						for range (b.N + g) / n {
							if err := push(); err != nil {
								return err
							}
						}
						return nil
					})
				}
				if err := all.Wait(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			})
		}
	}
}
