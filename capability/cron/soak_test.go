package cron

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

var soak = flag.Duration("soak", 20*time.Second, "how long TestSoak kills processes")

const (
	soakProcesses = 20
	soakEntries   = 60
)

// soakProcess is what a process of the soak is told.
type soakProcess struct {
	URL     string
	Version string
	Skew    time.Duration // of its clock
	Drift   float64       // how much faster its clock runs
}

// schedulerProcess runs a Scheduler until a signal stops or kills this process.
func schedulerProcess() int {
	var p soakProcess
	if err := json.Unmarshal([]byte(os.Getenv("KYU_TEST_SCHEDULER")), &p); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := queue.Open(ctx, queue.Config{URL: p.URL,
		Capabilities: []queue.Capability{Capability()}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer store.Close()
	start := time.Now()
	s, err := New(Config{Store: store, Schedule: soakSchedule(p.Version),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Clock: func() time.Time {
			ran := time.Since(start)
			return start.Add(p.Skew + ran + time.Duration(float64(ran)*p.Drift))
		}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.Run(ctx)
	return 0
}

func soakSchedule(version string) (s Schedule) {
	for i := range soakEntries {
		e := secondly(fmt.Sprint("e", i))
		e.Description, e.Queue = version, e.Name
		s.Entries = append(s.Entries, e)
	}
	return s
}

// fleet are the processes of the soak.
type fleet struct {
	*fixture
	version string
	list    [soakProcesses]*exec.Cmd
	killed  int
}

// start starts process i, with a clock that is up to three seconds wrong and runs up to 1 % wrong.
func (f *fleet) start(i int) {
	f.Helper()
	skew := time.Duration(rand.Int64N(int64(6*time.Second))) - 3*time.Second
	b, err := json.Marshal(soakProcess{f.server.URL, f.version, skew, rand.Float64()/50 - 0.01})
	if err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KYU_TEST_SCHEDULER="+string(b))
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	f.list[i] = cmd
}

func (f *fleet) stop(i int, signal os.Signal) {
	f.list[i].Process.Signal(signal)
	f.list[i].Wait()
}

func (f *fleet) replace(i int) {
	f.stop(i, os.Kill)
	f.killed++
	f.start(i)
}

// pushed is how many slots all entries have had.
func (f *fleet) pushed() (n int64) {
	for i := range soakEntries {
		n += f.raw.LLen(f.Context(), fmt.Sprint("queue:e", i)).Val()
	}
	return n
}

// TestSoak runs processes with wrong clocks, kills one after the other, and deploys a new version.
func TestSoak(t *testing.T) {
	f := &fleet{fixture: newFixture(t), version: "one"}
	for i := range f.list {
		f.start(i)
		t.Cleanup(func() { f.stop(i, os.Kill) })
	}
	f.until(time.Minute, "all entries are due", func() bool { return f.pushed() > soakEntries })
	begin, kill := time.Now(), time.NewTicker(400*time.Millisecond)
	defer kill.Stop()
	for time.Since(begin) < *soak {
		<-kill.C
		if f.version == "one" && time.Since(begin) > *soak/2 {
			f.version = "two"
			for i := range f.list {
				f.replace(i)
			}
		}
		f.replace(rand.IntN(soakProcesses))
	}
	end := time.Now().UnixMilli()
	for i := range soakEntries {
		f.until(time.Minute, "the last slot is pushed", func() bool {
			last, _ := f.raw.HGet(t.Context(), fmt.Sprint("kyu:cron:e", i), "last").Int64()
			return last >= end
		})
	}
	for i := range f.list {
		f.stop(i, syscall.SIGTERM)
	}
	t.Run("pushes each slot once", func(t *testing.T) {
		n := 0
		for i := range soakEntries {
			n += f.in(t).consecutive(fmt.Sprint("e", i), fmt.Sprint("e", i))
		}
		same(t, "pushes", f.pushed(), n)
		t.Logf("%d slots, %d pushes, %d kills in %v", n, f.pushed(), f.killed, time.Since(begin))
	})
}
