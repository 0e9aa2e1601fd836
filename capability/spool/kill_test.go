package spool_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

var kills = flag.Int("kills", 20, "how many pushing processes TestKill kills")

// The environment of a process that pushes: the folder of its spool, the URL of its Redis, and how
// many goroutines push. With 0 it ends when the spool is empty.
const (
	pusherDir  = "SPOOL_PUSHER"
	pusherURL  = "SPOOL_PUSHER_URL"
	pusherMany = "SPOOL_PUSHER_MANY"
)

// pusher is the program of a process that pushes until it is killed. It prints a line for each
// push: "ok JID" or "error JID".
func pusher(dir string) error {
	link, err := spool.Connect(queue.Config{URL: os.Getenv(pusherURL)})
	if err != nil {
		return err
	}
	s, err := spool.Open(dir, link, spool.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ends with cancel
	goroutines := 0
	fmt.Sscan(os.Getenv(pusherMany), &goroutines)
	client := queue.NewClient(s)
	for range goroutines {
		go func() { // ends with the process
			for {
				jid, word := queue.NewJID(), "ok"
				if _, err := client.Push(ctx, "Job", nil, queue.Options{JID: jid}); err != nil {
					word = "error"
				}
				fmt.Fprintf(os.Stdout, "%s %s\n", word, jid) // one write(2)
			}
		}()
	}
	for goroutines > 0 || s.Stats().Waiting > 0 {
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	return errors.Join(<-ended, s.Close(), link.Close())
}

// killRun is one run of TestKill.
type killRun struct {
	*testing.T
	dir, url string

	mu sync.Mutex
	ok map[string]bool // by JID: whether the push returned without an error
}

// start starts a process that pushes. Its output is read until it ends; then read is closed.
func (k *killRun) start(goroutines int) (cmd *exec.Cmd, read chan struct{}) {
	k.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pusherDir+"="+k.dir, pusherURL+"="+k.url,
		fmt.Sprintf("%s=%d", pusherMany, goroutines))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		k.Fatal(err)
	}
	read = make(chan struct{})
	go func() { // ends with the process
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if word, jid, found := strings.Cut(lines.Text(), " "); found && len(jid) == 24 {
				k.mu.Lock()
				k.ok[jid] = word == "ok"
				k.mu.Unlock()
			}
		}
	}()
	return cmd, read
}

func (k *killRun) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ok)
}

// TestKill kills a process that pushes, at random moments, while Redis is killed and started again.
func TestKill(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	k := &killRun{T: t, dir: t.TempDir(), url: server.URL, ok: map[string]bool{}}
	for i := range *kills {
		cmd, read := k.start(1 + rand.IntN(8))
		before := k.count()
		testwait.Until(t, time.Minute, "the process pushes",
			func() bool { return k.count() > before+rand.IntN(50) })
		<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond)
		switch i % 4 { // 1 and 2: the process starts while Redis is away
		case 0:
			server.Kill()
			<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
		case 2:
			server.Restart()
			<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
		}
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	}
	if *kills%4 == 1 || *kills%4 == 2 {
		server.Restart()
	}
	last, read := k.start(0)
	<-read
	if err := last.Wait(); err != nil {
		t.Error(err)
	}
	k.check(jidsIn(t, server.Client(), "default"))
}

// check compares the pushes with the jobs in Redis.
func (k *killRun) check(jids []string) {
	times := map[string]int{}
	for _, jid := range jids {
		times[jid]++
	}
	ok := 0
	k.Run("loses no push that returned without an error", func(t *testing.T) {
		for jid, accepted := range k.ok {
			if accepted {
				ok++
			}
			if accepted && times[jid] == 0 {
				t.Errorf("job %s was pushed, and is nowhere", jid)
			}
		}
	})
	k.Run("stores no job twice", func(t *testing.T) {
		for jid, n := range times {
			if n > 1 {
				t.Errorf("job %s is there %d times", jid, n)
			}
		}
	})
	k.Logf("%d kills: %d pushes returned, %d of them without an error; %d jobs", *kills,
		len(k.ok), ok, len(jids))
}
