package faults

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// TestUniqueLocks kills pushers and workers of jobs with locks. A lock is never held by two jobs,
// is never without its job, and none is left at the end.
func TestUniqueLocks(t *testing.T) {
	t.Parallel()
	row := scores(t, 45)
	l := &lockRun{Site: harness.New(t), t: t, keys: bySize(40, 2000), clients: bySize(4, 50),
		pushes: bySize(2000, 100_000), kills: bySize(12, 200), done: make(chan struct{})}
	workers := l.workers(bySize(2, 4))
	var pushers sync.WaitGroup
	for i := range l.clients {
		pushers.Go(func() { l.pusher(i) })
	}
	go func() { pushers.Wait(); close(l.done) }() // ends with the pushers
	workers = l.killWorkers(workers)
	<-l.done
	for _, w := range workers {
		w.Kill()
	}
	l.checkOwners()
	l.workers(1)
	l.Settled(2 * time.Minute)
	l.checkRuns()
	if left := l.lockKeys(); len(left) > 0 {
		t.Errorf("%d keys of locks are left, such as %s", len(left), left[0])
	}
	row("%d pushes by %d clients for %d locks, %d accepted, %d workers and %d clients killed: two "+
		"holders 0, locks without a job 0, keys left 0", l.tried.Load(), l.clients, l.keys,
		l.accepted.Load(), l.killed.Load(), l.restarts.Load())
}

// lockRun is one run of TestUniqueLocks.
type lockRun struct {
	*harness.Site
	t                            *testing.T
	keys, clients, pushes, kills int
	done                         chan struct{} // closed when all pushers have ended

	tried, accepted  atomic.Int64 // pushes; the goroutines of the pushers count
	killed, restarts atomic.Int64 // workers, pushers
}

func (l *lockRun) workers(n int) (list []*harness.Process) {
	for range n {
		list = append(list, untilServing(l.Site, l.Worker("--test-jobs", "--log-format", "plain",
			"-c", "10", "-q", "default")))
	}
	return list
}

// killWorkers kills workers and starts others in their places, each on its own, until the pushers
// have ended. It returns the workers that run then.
func (l *lockRun) killWorkers(list []*harness.Process) []*harness.Process {
	var killers sync.WaitGroup
	for i := range list {
		killers.Go(func() {
			for l.killed.Load() < int64(l.kills/2) {
				select {
				case <-l.done:
					return
				case <-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond):
				}
				list[i].Kill()
				l.killed.Add(1)
				list[i] = l.workers(1)[0]
			}
		})
	}
	killers.Wait()
	return list
}

// pusher runs client processes until they have made their share of the pushes and all workers are
// killed that are to be. It kills each but the last at a random push.
func (l *lockRun) pusher(i int) {
	share := l.pushes / l.clients
	kills := l.kills / 2 / l.clients
	for made := 0; made < share || l.killed.Load() < int64(l.kills/2); {
		if made >= share {
			made = share - 100
		}
		n := share - made
		if kills > 0 {
			n = 1 + rand.IntN(max(1, share/(kills+1)))
		}
		got := l.push(i, share-made, n, kills > 0)
		made += got
		if kills > 0 {
			l.restarts.Add(1)
		}
		kills--
	}
}

// push runs a client process that makes up to max pushes. If it is to die, it is killed after n.
func (l *lockRun) push(i, most, n int, dies bool) (made int) {
	self, err := os.Executable()
	if err != nil {
		l.t.Error(err)
		return most
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), pusherURL+"="+l.Server.URL, pusherPlan+"="+
		fmt.Sprintf("%d %d %d %s", i, most, l.keys, l.LedgerPath()))
	out, err := cmd.StdoutPipe()
	if err == nil {
		cmd.Stderr = os.Stderr
		err = cmd.Start()
	}
	if err != nil {
		l.t.Error(err)
		return most
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		made++
		l.tried.Add(1)
		if lines.Text() != "" {
			l.accepted.Add(1)
		}
		if dies && made == n {
			cmd.Process.Signal(syscall.SIGKILL)
		}
	}
	if err := cmd.Wait(); err != nil && !dies {
		l.t.Error("a client process:", err)
		return most
	}
	return made
}

// checkOwners checks, while nothing moves, that each lock has one holder, and that the holder is in
// a queue, in a set or in flight.
func (l *lockRun) checkOwners() {
	living := map[string]bool{}
	for _, raw := range l.jobs() {
		if j, err := envelope.ParseJob(raw); err == nil {
			living[j.JID] = true
		}
	}
	for _, key := range l.lockKeys() {
		if !strings.HasSuffix(key, ":LOCKED") {
			continue
		}
		holders := l.Raw.HKeys(l.t.Context(), key).Val()
		if len(holders) != 1 {
			l.t.Errorf("%s is held by %q, want one job", key, holders)
		}
		for _, jid := range holders {
			if !living[jid] {
				l.t.Errorf("%s is held by %s, which is nowhere", key, jid)
			}
		}
	}
}

// jobs returns all payloads in Redis.
func (l *lockRun) jobs() (all []string) {
	ctx := l.t.Context()
	for _, key := range l.Raw.Keys(ctx, "*").Val() {
		switch {
		case strings.Contains(key, ":inflight:"):
			all = append(all, l.Raw.HVals(ctx, key).Val()...)
		case strings.HasPrefix(key, "queue:"), strings.Contains(key, ":landing:"):
			all = append(all, l.Raw.LRange(ctx, key, 0, -1).Val()...)
		case key == "retry", key == "schedule":
			all = append(all, l.Raw.ZRange(ctx, key, 0, -1).Val()...)
		}
	}
	return all
}

func (l *lockRun) lockKeys() []string {
	keys := append(l.Raw.Keys(l.t.Context(), "uniquejobs:*").Val(),
		l.Raw.Keys(l.t.Context(), "kyu:lock:*").Val()...)
	slices.Sort(keys)
	return keys
}

// checkRuns checks by the ledger that the runs of two jobs with one lock do not overlap: when the
// second has started, the first does not appear any more. Each accepted job has ended.
func (l *lockRun) checkRuns() {
	text, err := os.ReadFile(l.LedgerPath())
	if err != nil {
		l.t.Fatal(err)
	}
	now, over, ended := map[string]string{}, map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		key, _, _ := strings.Cut(words[1], "/")
		if before := now[key]; before != words[1] {
			over[before] = true
			now[key] = words[1]
		}
		if over[words[1]] {
			l.t.Errorf("%s ran when %s held its lock", words[1], now[key])
		}
		ended[words[1]] = ended[words[1]] || words[0] == "end"
	}
	if n := int64(len(ended)); n < l.accepted.Load() {
		l.t.Errorf("%d jobs have run, want at least the %d that were accepted", n,
			l.accepted.Load())
	}
	for id, done := range ended {
		if !done {
			l.t.Errorf("%s has not ended", id)
		}
	}
}

// The variables that make a test binary a client process: the Redis, and the number of the client,
// its pushes, the number of locks, and the path of the ledger.
const (
	pusherURL  = "KYU_FAULTS_PUSHER_URL"
	pusherPlan = "KYU_FAULTS_PUSHER_PLAN"
)

// pushLocked is the client process. It pushes, and writes a line for each push: the JID, which is
// empty if another job holds the lock.
func pushLocked(url, plan string) error {
	words := strings.Fields(plan)
	most, _ := strconv.Atoi(words[1])
	keys, _ := strconv.Atoi(words[2])
	ctx := context.Background()
	store, err := queue.Open(ctx, queue.Config{URL: url,
		Capabilities: []queue.Capability{unique.Capability()}})
	if err != nil {
		return err
	}
	defer store.Close()
	byKey := func(args []any) []any {
		key, _, _ := strings.Cut(args[1].(string), "/")
		return []any{key}
	}
	client := queue.NewClient(store, unique.Client(map[string]unique.Lock{
		"Test::Ledger": {Args: byKey}}))
	for i := range most {
		id := fmt.Sprintf("k%d/%s-%d-%d", rand.IntN(keys), words[0], os.Getpid(), i)
		jid, err := client.Push(ctx, "Test::Ledger", []any{words[3], id, rand.IntN(5)},
			queue.Options{})
		if err != nil {
			return err
		}
		fmt.Println(jid)
	}
	return nil
}
