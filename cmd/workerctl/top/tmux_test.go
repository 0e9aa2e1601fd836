package top

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// pane is a terminal of tmux, in which a program runs.
type pane struct {
	*testing.T
	socket string
}

// soon is how long a frame may take on a machine that has much to do.
const soon = 30 * time.Second

// open runs a command in a terminal. When it has ended, the terminal shows its exit code.
func open(t *testing.T, width, height int, command string, env ...string) *pane {
	t.Helper()
	dir, err := os.MkdirTemp("", "kyu-tmux-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		exec.Command("tmux", "-S", p.socket, "kill-server").Run()
		os.RemoveAll(dir)
	})
	p.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y",
		fmt.Sprint(height), "env -u NO_COLOR TZ=UTC "+strings.Join(env, " ")+" "+command+
			`; echo "exit code $?"; exec cat`)
	return p
}

// top runs workerctl top with a Redis.
func top(t *testing.T, width, height int, url, flags string, env ...string) *pane {
	t.Helper()
	return open(t, width, height, harness.Program("workerctl")+" top "+flags,
		append(env, "REDIS_URL="+url)...)
}

// tmux runs a command of tmux.
func (p *pane) tmux(args ...string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	out, err := exec.CommandContext(ctx, "tmux",
		append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	if err != nil {
		p.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// frame is what the terminal shows.
func (p *pane) frame() string { p.Helper(); return p.tmux("capture-pane", "-p") }

// press presses keys.
func (p *pane) press(keys ...string) {
	p.Helper()
	p.tmux(append([]string{"send-keys"}, keys...)...)
}

// types types a text.
func (p *pane) types(text string) { p.Helper(); p.tmux("send-keys", "-l", text) }

// shows waits until the terminal shows a text.
func (p *pane) shows(want string) {
	p.Helper()
	var last string
	defer func() {
		if p.Failed() {
			p.Log(strings.TrimSpace(last))
		}
	}()
	testwait.Until(p, soon, fmt.Sprintf("the terminal shows %q", want), func() bool {
		last = p.frame()
		return strings.Contains(last, want)
	})
}

// restored waits until the program has ended with a code, and the terminal is as it was before.
func (p *pane) restored(code int) {
	p.Helper()
	p.shows(fmt.Sprintf("exit code %d", code))
	got := strings.TrimSpace(p.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"))
	if got != "0 1" {
		p.Errorf("the alternate screen and the cursor are %q, want 0 1", got)
	}
}

func TestTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		for _, env := range []string{"KYU=1", "NO_COLOR=1"} {
			t.Run(fmt.Sprintf("of %d by %d, %s", size[0], size[1], env), func(t *testing.T) {
				server := redistest.Start(t)
				raw := server.Client()
				fill(t, raw, 3, 4, 40)
				p := top(t, size[0], size[1], server.URL, "--as ada", env)
				p.shows("busy 3 of 75 threads")
				p.pauses(raw.SCard(t.Context(), "paused").Val)
				p.deletes()
				if n := raw.ZCard(t.Context(), "retry").Val(); n != 30 {
					t.Errorf("%d jobs wait for a retry", n)
				}
				var audit []string
				for _, e := range raw.XRange(t.Context(), "kyu:audit", "-", "+").Val() {
					audit = append(audit, fmt.Sprint(e.Values["by"], "|", e.Values["command"], "|",
						e.Values["what"]))
				}
				want := "ada|top queue pause|paused q1\n" +
					"ada|top retries delete|delete: 10 jobs, of the filter host:host-1.example " +
					"(undo: workerctl undo ID)"
				got := undo.ReplaceAllString(strings.Join(audit, "\n"), "undo ID")
				if got != want {
					t.Errorf("the audit has\n%s\nwant\n%s", got, want)
				}
				p.whole(size[0], size[1])
				p.press("2")
				p.shows("  paused")
				frame := p.tmux("capture-pane", "-p", "-e")
				if colour.MatchString(frame) != (env != "NO_COLOR=1") {
					t.Errorf("the colours are wrong: %q", frame)
				}
				p.press("q")
				p.restored(0)
			})
		}
	}
}

// colour is the code of a colour.
var colour = regexp.MustCompile(`\x1b\[([0-9;]*;)?3[0-7][;m]`)

// pauses pauses a queue, after it has said no to the question.
func (p *pane) pauses(paused func() int64) {
	p.Helper()
	p.press("2")
	p.shows("> q0")
	p.press("j", "p")
	p.shows("Pause the queue q1? y/N")
	p.press("Escape")
	p.shows("nothing was done")
	if n := paused(); n != 0 {
		p.Errorf("%d queues are paused", n)
	}
	p.press("p", "y")
	p.shows("done: paused q1")
	p.shows("  paused")
}

// deletes deletes the jobs of a filter.
func (p *pane) deletes() {
	p.Helper()
	p.press("4")
	p.shows("40")
	p.press("/")
	p.types("host:host-1")
	p.types(".example")
	p.press("Enter")
	p.shows("of 10")
	p.press("D")
	p.shows("Delete 10 jobs of retries with host:host-1.example? y/N")
	p.press("y")
	p.shows("done: delete: 10 jobs")
	p.shows("the filter chooses none")
	p.press("Escape")
	p.shows("通知::配送")
	p.shows("こんにちは")
}

// whole checks that the first and the last line of the frame are those of the terminal.
func (p *pane) whole(width, height int) {
	p.Helper()
	lines := strings.Split(strings.TrimSuffix(p.frame(), "\n"), "\n")
	if len(lines) != height || !strings.HasPrefix(lines[0], "workerctl top") ||
		!strings.HasSuffix(strings.TrimRight(lines[0], " "), " UTC") ||
		!strings.HasSuffix(lines[height-1], "q quit") || columns(lines[height-1]) != width {
		p.Errorf("%d lines, the first is %q, the last %q", len(lines), lines[0],
			lines[len(lines)-1])
	}
}

func TestTerminalSize(t *testing.T) {
	server := redistest.Start(t)
	fill(t, server.Client(), 3, 4, 40)
	p := top(t, 80, 24, server.URL, "")
	p.press("4")
	p.shows("1 to 18 of 40")
	t.Run("may change", func(t *testing.T) {
		p := &pane{t, p.socket}
		p.tmux("resize-window", "-x", "120", "-y", "30")
		p.shows("1 to 24 of 40")
		p.whole(120, 30)
		p.tmux("resize-window", "-x", "60", "-y", "12")
		p.shows("1 to 6 of 40")
	})
}

func TestTerminalRestored(t *testing.T) {
	server := redistest.Start(t)
	run := func(t *testing.T) *pane {
		p := top(t, 80, 24, server.URL, "")
		p.shows("no process runs")
		return p
	}
	t.Run("after Ctrl-C", func(t *testing.T) {
		p := run(t)
		p.press("C-c")
		p.restored(0)
	})
	t.Run("after SIGTERM", func(t *testing.T) {
		p := run(t)
		pid := strings.TrimSpace(p.tmux("display-message", "-p", "#{pane_pid}"))
		if out, err := exec.Command("pkill", "-TERM", "-P", pid).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		p.restored(0)
	})
	t.Run("after a panic", func(t *testing.T) {
		p := open(t, 80, 24, os.Args[0], "TOP_PANIC=1")
		p.restored(1)
	})
}

// panicking is a program whose Source panics.
func panicking() {
	err := Run(context.Background(), Options{Every: time.Second, In: os.Stdin, Out: os.Stdout,
		Connect: func(context.Context) (Connection, error) {
			return Connection{Close: func() error { return nil }}, nil
		}})
	if err != nil {
		os.Exit(1)
	}
}

func TestSilentRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connections are opened, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := top(t, 80, 24, "redis://"+l.Addr().String(), "")
	t.Run("keeps no frame and no key waiting", func(t *testing.T) {
		p := &pane{t, p.socket}
		p.shows("connecting to Redis")
		p.press("2")
		p.shows("[2 queues]")
		p.shows("Redis does not answer since")
		p.press("?")
		p.shows("half a page down")
	})
	t.Run("does not keep the program from ending", func(t *testing.T) {
		p := &pane{t, p.socket}
		p.press("q")
		p.restored(0)
	})
}

func TestTerminalCommands(t *testing.T) {
	server := redistest.Start(t)
	raw := server.Client()
	fill(t, raw, 50, 12, 0)
	p := top(t, 80, 24, server.URL, "--every 0.5")
	t.Run("are at most 20 a second", func(t *testing.T) {
		p := &pane{t, p.socket}
		p.shows("processes 50")
		sent := func() int { return commands(t, raw, "llen", "lindex") }
		before, began := sent(), time.Now()
		const many = 100
		testwait.Until(t, time.Minute, "many commands were sent",
			func() bool { return sent()-before >= many })
		// those of the coins of the first second may be sent at once
		if least := (many - 2*20) * time.Second / 20; time.Since(began) < least {
			t.Errorf("%d commands in %v, want at least %v", many, time.Since(began), least)
		}
	})
}
