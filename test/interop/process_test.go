package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func testE10Systemd(k *kase) {
	path := filepath.Join(k.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	k.Must(err)
	defer conn.Close()
	w := k.Start("env", append([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=2000000"},
		k.workerArgs()...)...)
	// hear waits for a message and says when it came.
	hear := func(text string) time.Time {
		k.Must(conn.SetReadDeadline(time.Now().Add(10 * time.Second)))
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				k.Fatalf("no message %s: %v", text, err)
			}
			if strings.Contains(string(b[:n]), text) {
				return time.Now()
			}
		}
	}
	hear("READY=1")
	first := hear("WATCHDOG=1")
	harness.Between(k, "time between two WATCHDOG=1", hear("WATCHDOG=1").Sub(first),
		500*time.Millisecond, 1500*time.Millisecond)
	w.Signal(syscall.SIGTERM)
	hear("STOPPING=1")
	k.Equal("exit code", w.Exit(10*time.Second), 0)
}

func testE11CommandLine(k *kase) {
	for line, want := range map[string]int{"-V": 0, "-h": 0, "-c 0": 2, "-C /nonexistent.yml": 2,
		"--nope": 2, "-q default -q default --print-config": 0} {
		k.Equal("exit code of worker "+line,
			k.Worker(strings.Fields(line)...).Exit(10*time.Second), want)
	}
}

const sidekiqYAML = `
:concurrency: 3
timeout: 7
labels: [x]
:queues:
  - first
  - [second, 2]
  - "third,3"
production:
  concurrency: 4
capsules:
  mail:
    concurrency: 2
    queues: [mailers]
`

func testE12YAML(k *kase) {
	w := k.Worker("-C", k.config(sidekiqYAML), "-e", "production", "--print-config")
	k.Equal("exit code", w.Exit(10*time.Second), 0)
	k.Contains("--print-config", w.Log(), "concurrency", "4 ", "7 ", "first second,2 third,3",
		"weighted", "2 threads, strict, mailers")
	k.Worker("-C", k.config(sidekiqYAML), "-e", "production")
	var info struct {
		Concurrency int
		Queues      []string
		Labels      []string
		Weights     []map[string]int
		Capsules    map[string]struct {
			Concurrency int
			Mode        string
			Weights     map[string]int
		}
	}
	k.Until(10*time.Second, "the process is registered", func() bool {
		text := k.Raw.HGet(k.Context(), k.firstProcess(), "info").Val()
		return text != "" && json.Unmarshal([]byte(text), &info) == nil
	})
	k.Equal("threads, queues, labels", fmt.Sprint(info.Concurrency, info.Queues, info.Labels),
		"6 [first second third mailers] [x]")
	if k.v >= 7 {
		k.Equal("weights", info.Weights, "[map[first:1 second:2 third:3] map[mailers:0]]")
	}
	if k.v == 8 {
		k.Equal("capsules", info.Capsules, "map[default:{4 weighted map[first:1 second:2 "+
			"third:3]} mail:{2 strict map[mailers:0]}]")
	}
}

func testE13Capsules(k *kase) {
	k.busy()
	form := func(info string) string {
		var i struct {
			Weights  []map[string]int
			Capsules map[string]map[string]any
		}
		k.Must(json.Unmarshal([]byte(info), &i))
		delete(i.Capsules["default"], "concurrency")
		return fmt.Sprint(i.Weights, i.Capsules)
	}
	ours := form(k.Raw.HGet(k.Context(), k.firstProcess(), "info").Val())
	k.load("process.dump")
	k.Equal("form", ours, form(k.Raw.HGet(k.Context(), "app-1:4711:0123456789ab", "info").Val()))
}

// logLine is a line of the JSON log, with the keys of Sidekiq's JSON formatter.
type logLine struct {
	TS, TID, Lvl, Msg string
	PID               int
	Ctx               map[string]any
}

func testE14JSONLog(k *kase) {
	w := k.Worker("--log-format", "json")
	k.Push("Test::Record", nil, queue.Options{Tags: []string{"a", "b"}})
	k.Push("Test::Fail", []any{"boom \"é\"\n"}, queue.Options{})
	k.Until(10*time.Second, "both jobs have run", func() bool {
		return k.Card("retry") == 1 && len(k.Records("run")) == 1
	})
	w.Stop()
	jobs := 0
	for text := range strings.Lines(w.Log()) {
		var l logLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			k.Errorf("%v: %s", err, text)
		}
		wanted := []string{l.TS, l.Lvl, l.Msg, fmt.Sprint(l.PID)}
		if l.Msg == "start" {
			jobs++
			wanted = append(wanted, l.TID, fmt.Sprint(l.Ctx["class"]), fmt.Sprint(l.Ctx["jid"]))
		}
		for _, value := range wanted {
			if value == "" || value == "0" || value == "<nil>" {
				k.Errorf("a key is missing: %s", text)
			}
		}
	}
	k.Equal("jobs in the log", jobs, 2)
}
