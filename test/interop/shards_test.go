package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// TestShards has Ruby push to two shards, each a plain Redis, and one worker of both run the jobs.
// What Ruby's API shows of each shard adds up to what the fleet shows.
func TestShards(t *testing.T) {
	a, b := newKase(t), newKase(t)
	w := a.WorkerWith([]string{"KYU_SHARDS=a b", "KYU_SHARD_A_URL=" + a.Server.URL,
		"KYU_SHARD_B_URL=" + b.Server.URL}, "-q", "default", "-c", "3")
	for i, k := range []*kase{a, b} {
		k.ruby.Do(nil, fmt.Sprintf(`%d.times { Test::Record.perform_async }
			%d.times { Test::Fail.perform_async("x") }
			Test::Zero.perform_async("x"); Test::Record.perform_in(900)
			Test::Record.set("queue" => "pull").perform_async`, 5+i, 2+i))
	}
	a.Until(30*time.Second, "all jobs have run", func() bool {
		return a.Card("retry")+b.Card("retry") == 5 && a.Card("dead")+b.Card("dead") == 2 &&
			a.Len("default")+b.Len("default") == 0
	})
	shards, err := queue.NewShards([]queue.ShardConfig{
		{Name: "a", Config: queue.Config{URL: a.Server.URL}},
		{Name: "b", Config: queue.Config{URL: b.Server.URL}}})
	a.Must(err)
	defer shards.Close()
	fleet := inspect.NewFleet(shards)
	a.Must(fleet.Connect(a.Context()))
	st, err := fleet.Stats(a.Context())
	a.Must(err)
	a.Equal("processes in Go", st.Processes, 1)
	sum := make([]int64, 6)
	for _, k := range []*kase{a, b} {
		var processes []string
		k.ruby.Do(&processes, `Sidekiq::ProcessSet.new.map { |p| p["identity"] }`)
		k.Equal("processes in Ruby", len(processes), 1)
	}
	a.Equal("exit code", w.Stop(), 0) // it writes its last counts
	for _, k := range []*kase{a, b} {
		var one []int64
		k.ruby.Do(&one, `s = Sidekiq::Stats.new
			[s.processed, s.failed, s.enqueued, s.scheduled_size, s.retry_size, s.dead_size]`)
		for i, n := range one {
			sum[i] += n
		}
	}
	st, err = fleet.Stats(a.Context())
	a.Must(err)
	a.Equal("in Go", []int64{st.Processed, st.Failed, st.Enqueued, st.Scheduled, st.Retries,
		st.Dead}, sum)
	a.Equal("in Ruby", sum, "[18 7 2 2 5 2]")
}
