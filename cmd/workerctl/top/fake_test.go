package top

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// noon is the time of the tests.
var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// fleet is a Source whose answers are at hand, and an Acts that notes what it is asked.
type fleet struct {
	totals    inspect.Stats
	queues    []Queue
	processes []inspect.Process
	work      []inspect.Work
	held      []inspect.Held
	sets      map[Set][]queue.Entry
	err       error     // of all calls
	asked     []string  // the calls
	applied   []Request // the acts
	applyErr  error
}

func (f *fleet) call(name string) error {
	f.asked = append(f.asked, name)
	return f.err
}

func (f *fleet) Totals(context.Context) (inspect.Stats, error) {
	return f.totals, f.call("totals")
}
func (f *fleet) Queues(context.Context) ([]Queue, error) { return f.queues, f.call("queues") }
func (f *fleet) Held(context.Context) ([]inspect.Held, error) {
	return f.held, f.call("held")
}

func (f *fleet) Identities(context.Context) (ids []string, err error) {
	for _, p := range f.processes {
		ids = append(ids, p.Identity)
	}
	return ids, f.call("identities")
}

func (f *fleet) Processes(_ context.Context, ids ...string) (list []inspect.Process, err error) {
	for _, p := range f.processes {
		if slices.Contains(ids, p.Identity) {
			list = append(list, p)
		}
	}
	return list, f.call("processes")
}

func (f *fleet) Work(_ context.Context, ids ...string) (list []inspect.Work, err error) {
	for _, w := range f.work {
		if slices.Contains(ids, w.Process) {
			list = append(list, w)
		}
	}
	return list, f.call("work")
}

// chosen are the entries of a set that a filter chooses.
func (f *fleet) chosen(set Set, text string) (list []queue.Entry, err error) {
	filter, err := inspect.ParseFilter(text)
	for _, e := range f.sets[set] {
		if filter.Match(e.Raw, e.Job, noon) {
			list = append(list, e)
		}
	}
	return list, err
}

func (f *fleet) Page(_ context.Context, w Window) (Page, error) {
	list, err := f.chosen(w.Set, w.Filter)
	if err != nil {
		return Page{}, err
	}
	first := min(w.Offset, len(list))
	return Page{w, list[first:min(first+w.Count, len(list))], len(list), noon},
		f.call(fmt.Sprintf("page %s %d", w.Set, w.Offset))
}

func (f *fleet) Count(_ context.Context, set Set, text string, _ time.Time) (int, error) {
	list, err := f.chosen(set, text)
	if err != nil {
		return 0, err
	}
	return len(list), f.call("count")
}

func (f *fleet) Job(_ context.Context, ref Ref) (Job, error) {
	if err := f.call("job"); err != nil {
		return Job{}, err
	}
	for set, list := range f.sets {
		for _, e := range list {
			if jidOf(e) == ref.JID {
				ref.Raw, ref.Place = e.Raw, inspect.Place{Kind: set.kind(), At: e.At}
				return Job{ref, e.Job, []inspect.Reason{{Text: "it is due in 21s",
					Do: "workerctl retries retry " + ref.JID}}}, nil
			}
		}
	}
	return Job{Ref: ref}, fmt.Errorf("job %s: %w", ref.JID, queue.ErrNotFound)
}

func (f *fleet) Apply(_ context.Context, r Request) (string, error) {
	f.applied = append(f.applied, r)
	return string(r.Verb) + ": it is done", f.applyErr
}

// entry is a job of a set.
func entry(jid, class, args string, at time.Time, more string) queue.Entry {
	return queue.NewEntry(fmt.Sprintf(`{"class":%q,"jid":%q,"queue":"push","args":%s,`+
		`"created_at":1795950000.5%s}`, class, jid, args, more), float64(at.Unix()))
}

// failure are the fields of a job that failed.
const failure = `,"retry_count":3,"error_class":"HTTP::TimeoutError","error_message":` +
	`"接続が時間切れになりました after 10 s\u001b[2J","failed_at":1795953600.5,` +
	`"error_backtrace":"eJyLVkosKNAvzy/KTi0q1o8ptTQ0SQGSBgaGekVJVoZGVpl5CgWpRWn5RblK` +
	`OgpKOZlJ+hUgGWOFmFKgoqRoY8NcpVgAJxEVzw=="`

// busyFleet is a fleet with texts in Japanese, and with texts that would steer a terminal.
func busyFleet() *fleet {
	f := &fleet{sets: map[Set][]queue.Entry{}, totals: inspect.Stats{Processed: 1234567,
		Failed: 4567, Retries: 40, Scheduled: 2, Dead: 1, Processes: 3}}
	for i, name := range []string{"default", "mailers", "pull", "通知\x1b[31m"} {
		f.queues = append(f.queues, Queue{QueueInfo: inspect.QueueInfo{Name: name,
			Size: int64(i * 12345), Latency: float64(i * 100), Paused: name == "mailers"}})
	}
	for i := range 3 {
		f.processes = append(f.processes, inspect.Process{Identity: fmt.Sprintf("web%d:4711:5f0c9a",
			i), Tag: "mastodon", Concurrency: 25, Busy: i, RSS: 300_000, Version: "8.0.9",
			StartedAt: noon.Add(-3 * time.Hour), Beat: noon, Quiet: i == 2,
			Queues: []string{"default", "mailers", "通知\x1b[31m"}})
	}
	for i := range 3 {
		e := entry(fmt.Sprintf("%024x", 900+i), "通知::配送ワーカー", `["日本語の引数",1]`,
			noon, "")
		f.work = append(f.work, inspect.Work{Process: "web2:4711:5f0c9a", TID: fmt.Sprint("t", i),
			Queue: "push", RunAt: noon.Add(-time.Duration(i) * time.Minute), Payload: e.Raw,
			Job: e.Job})
	}
	for i := range 40 {
		args := fmt.Sprintf(`["https://host-%d.example.jp/inbox","こんにちは、世界"]`, i%4)
		f.sets[Retries] = append(f.sets[Retries], entry(fmt.Sprintf("%024x", i),
			"ActivityPub::DeliveryWorker", args,
			noon.Add(time.Duration(i*37)*time.Second), failure))
	}
	f.sets[Scheduled] = []queue.Entry{entry("aa", "Scheduler::定期", "[1]",
		noon.Add(time.Hour), "")}
	f.sets[Dead] = []queue.Entry{entry("dd", "Media", "[1]", noon.Add(-time.Hour), failure),
		queue.NewEntry("no \x1b[2Jjob", float64(noon.Unix()))}
	f.held = []inspect.Held{{Class: "NewWorker", Size: 1, Oldest: noon.Add(-time.Minute)}}
	f.sets[HeldSet("NewWorker")] = []queue.Entry{entry("bb", "NewWorker", "[1]", noon, "")}
	f.sets[QueueSet("pull")] = []queue.Entry{entry("cc", "Pull", "[1]", noon, "")}
	return f
}

// driver is a person before a model, whose commands run at once.
type driver struct {
	*testing.T
	*model
	fleet *fleet
}

// drive shows a fleet in a terminal of 80 by 24.
func drive(t *testing.T, f *fleet, options ...func(*Options)) *driver {
	t.Helper()
	o := Options{Every: time.Second, running: &sync.WaitGroup{},
		wait: func(context.Context, time.Duration) tea.Msg { return nil },
		Connect: func(context.Context) (Connection, error) {
			return Connection{f, f, func() error { return nil }}, f.err
		}}
	for _, option := range options {
		option(&o)
	}
	d := &driver{t, newModel(t.Context(), o, noon), f}
	d.run(d.Init())
	return d
}

// run carries out a command, and those that follow from it.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

// send sends a message.
func (d *driver) send(msg tea.Msg) {
	_, cmd := d.Update(msg)
	d.run(cmd)
}

// special are the keys that are no text.
var special = map[string]tea.Key{"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape},
	"backspace": {Code: tea.KeyBackspace}, "tab": {Code: tea.KeyTab},
	"space": {Code: tea.KeySpace, Text: " "}, "down": {Code: tea.KeyDown}, "up": {Code: tea.KeyUp},
	"pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp},
	"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+d": {Code: 'd', Mod: tea.ModCtrl},
	"ctrl+u": {Code: 'u', Mod: tea.ModCtrl}, "right": {Code: tea.KeyRight},
	"left": {Code: tea.KeyLeft}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift}}

// press presses keys, one after another.
func (d *driver) press(keys ...string) {
	d.Helper()
	for _, name := range keys {
		key, ok := special[name]
		if !ok {
			key = tea.Key{Code: []rune(name)[0], Text: name}
		}
		d.send(tea.KeyPressMsg(key))
	}
}

// types types a text.
func (d *driver) types(text string) {
	d.Helper()
	for _, r := range text {
		if r == ' ' {
			d.press("space")
		} else {
			d.press(string(r))
		}
	}
}

// later lets time pass.
func (d *driver) later(by time.Duration) { d.send(tickMsg(d.now.Add(by))) }

// shows checks that the frame has a text.
func (d *driver) shows(want string) {
	d.Helper()
	if got := uncoloured(d.frame()); !strings.Contains(got, want) {
		d.Errorf("%q is not in the frame:\n%s", want, got)
	}
}

// hides checks that the frame has not a text.
func (d *driver) hides(text string) {
	d.Helper()
	if got := uncoloured(d.frame()); strings.Contains(got, text) {
		d.Errorf("%q is in the frame:\n%s", text, got)
	}
}

// line is a line of the frame from 0, or from the end if n is below 0.
func (d *driver) line(n int) string {
	lines := strings.Split(uncoloured(d.frame()), "\n")
	if n < 0 {
		n += len(lines)
	}
	return lines[n]
}

// key is the message of a key that is a letter.
func key(name string) tea.KeyPressMsg {
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}
