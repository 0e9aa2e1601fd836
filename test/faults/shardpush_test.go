package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// shardPusher is the variable that makes a test binary a pusher of TestPushOverShards.
const shardPusher = "KYU_FAULTS_SHARD_PUSHER"

// TestPushOverShards kills pushers and shards in turn. A push that has returned without an error is
// in exactly one shard, and no push is in two.
func TestPushOverShards(t *testing.T) {
	t.Parallel()
	r := newShardRun(t)
	kills := bySize(16, 400)
	for i := range kills {
		r.kill(i)
		<-time.After(rand.N(200 * time.Millisecond))
	}
	before := r.count()
	testwait.Until(t, 20*time.Second, "jobs are pushed after the last kill",
		func() bool { return r.count() > before+20 })
	for _, p := range r.pushers {
		p.stop()
	}
	r.check(kills)
}

// shardRun is one run of TestPushOverShards.
type shardRun struct {
	*testing.T
	servers []*redistest.Server
	env     []string
	pushers []*shardProcess

	mu    sync.Mutex
	acked []string // JIDs of pushes that returned without an error
}

// shardProcess is a process that pushes.
type shardProcess struct {
	cmd  *exec.Cmd
	read chan struct{} // closed when its output is read
}

// stop kills the process.
func (p *shardProcess) stop() {
	p.cmd.Process.Kill()
	<-p.read
	p.cmd.Wait()
}

func newShardRun(t *testing.T) *shardRun {
	r := &shardRun{T: t, env: append(os.Environ(), shardPusher+"=1", "KYU_SHARDS=a b c")}
	for _, name := range []string{"A", "B", "C"} {
		s := redistest.Start(t, written...)
		r.servers = append(r.servers, s)
		r.env = append(r.env, "KYU_SHARD_"+name+"_URL="+s.URL)
	}
	for range 2 {
		r.pushers = append(r.pushers, r.start())
	}
	return r
}

// start starts a pusher, and notes the JIDs that it prints.
func (r *shardRun) start() *shardProcess {
	p := &shardProcess{cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = r.env, os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { p.cmd.Process.Kill() })
	go func() { // ends with the process
		defer close(p.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.mu.Lock()
			r.acked = append(r.acked, lines.Text())
			r.mu.Unlock()
		}
	}()
	return p
}

// count returns the number of pushes that returned without an error.
func (r *shardRun) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.acked)
}

// kill kills a pusher or a shard, and starts it again.
func (r *shardRun) kill(i int) {
	if k := i / 2; i%2 == 0 {
		k %= len(r.pushers)
		r.pushers[k].stop()
		r.pushers[k] = r.start()
	} else {
		k %= len(r.servers)
		r.servers[k].Kill()
		<-time.After(rand.N(300 * time.Millisecond))
		r.servers[k].Restart()
	}
}

// check counts where each job is.
func (r *shardRun) check(kills int) {
	count, sizes := map[string]int{}, make([]int, len(r.servers))
	for i, s := range r.servers {
		raw := s.Client()
		for _, name := range fourQueues {
			for _, payload := range raw.LRange(r.Context(), "queue:"+name, 0, -1).Val() {
				j, err := envelope.ParseJob(payload)
				if err != nil {
					r.Fatal(err)
				}
				count[j.JID]++
				sizes[i]++
			}
		}
	}
	lost, doubled := 0, 0
	for _, jid := range r.acked {
		if count[jid] == 0 {
			lost++
		}
	}
	for _, n := range count {
		if n > 1 {
			doubled++
		}
	}
	if lost > 0 || doubled > 0 || len(r.acked) == 0 {
		r.Errorf("of %d pushes %d are lost; %d jobs are doubled", len(r.acked), lost, doubled)
	}
	r.Logf("%d kills of pushers and shards in turn: %d pushes, lost %d, doubled %d; the shards "+
		"have %d", kills, len(r.acked), lost, doubled, sizes)
}

// pushOverShards is a pusher. It prints the JID of each push that returns without an error, until
// it is killed.
func pushOverShards() error {
	configs, err := queue.ShardsFromEnvironment()
	if err != nil {
		return err
	}
	shards, err := queue.NewShards(configs)
	if err != nil {
		return err
	}
	backend, err := shards.Backend(queue.Placement{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	client := queue.NewClient(backend)
	for range 4 {
		go func() { // ends with the process
			for i := 0; ; i++ {
				if jid := pushToSomeShard(client, i); jid != "" {
					fmt.Fprintln(os.Stdout, jid) // one write(2)
				}
				<-time.After(2 * time.Millisecond)
			}
		}()
	}
	select {}
}

// pushToSomeShard pushes a job in turn, by a key or idempotently. It repeats the push after an
// error that says that nothing was pushed, and an idempotent one after any error. It returns the
// JID if the push succeeds in the end.
func pushToSomeShard(client *queue.Client, i int) string {
	o := queue.Options{JID: queue.NewJID(), Queue: fourQueues[rand.IntN(4)]}
	switch i % 3 {
	case 1:
		o.ShardKey = fmt.Sprint(rand.IntN(20))
	case 2:
		o.Idempotent = true
	}
	for range 50 {
		_, err := client.Push(context.Background(), "Test::NoOp", nil, o)
		switch {
		case err == nil:
			return o.JID
		case errors.Is(err, queue.ErrUnknown) && !o.Idempotent:
			return ""
		case !errors.Is(err, queue.ErrUnknown) && !strings.Contains(err.Error(),
			"nothing was pushed"):
			fmt.Fprintln(os.Stderr, err)
			return ""
		}
		<-time.After(20 * time.Millisecond)
	}
	return ""
}
