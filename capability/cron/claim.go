package cron

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// slotted is an entry in a schedule, at one slot.
type slotted struct {
	entry    *Entry
	schedule string    // its name
	digest   string    // of the schedule
	slot     time.Time // zero: now, because a person asks
	next     time.Time // the slot after it; zero if there is none
	skip     string    // a reason to skip the slot, or ""
}

// jid returns the id of the slot's job. All processes choose the same.
func (x *slotted) jid() string {
	return digest("slot", x.entry.Name, strconv.FormatInt(x.slot.UnixMilli(), 10))
}

// options returns the options of the push of the slot's job.
func (x *slotted) options() (queue.Options, error) {
	e := x.entry
	retry, err := e.retry()
	if err != nil {
		return queue.Options{}, err
	}
	o := queue.Options{Queue: e.Queue, Retry: retry, Claims: []queue.Claim{{Effect: x.claim()}},
		Extra: map[string]any{}}
	for k, v := range e.Extra {
		o.Extra[k] = v
	}
	m := mark{Cron: e.Name, Lock: e.NoOverlap}
	if !x.slot.IsZero() {
		o.JID, m.Slot = x.jid(), x.slot.UnixMilli()
	} else {
		o.JID = queue.NewJID()
	}
	o.Extra[extraField] = m
	return o, nil
}

// claim returns the claim of the slot. lua/claim.lua explains its keys and arguments.
func (x *slotted) claim() queue.Effect {
	e := x.entry
	c := queue.Effect{Kind: kind, Keys: []string{entryKey(e.Name), runsKey(e.Name),
		lockKey(e.Name), ownerKey(x.schedule)}}
	slot, life := int64(0), time.Duration(0)
	if !x.slot.IsZero() {
		slot = x.slot.UnixMilli()
	}
	if e.NoOverlap {
		if life = e.OverlapFor; life == 0 {
			life = defaultOverlapFor
		}
	}
	var sizes []string
	for _, o := range e.OnlyIf {
		if o.SizeBelow > 0 {
			c.Keys = append(c.Keys, "queue:"+o.Queue)
			sizes = append(sizes, strconv.FormatInt(o.SizeBelow, 10))
		}
	}
	c.Args = append([]string{strconv.FormatInt(slot, 10), e.rev(), x.digest,
		strconv.FormatInt(life.Milliseconds(), 10), x.skip, strconv.Itoa(len(sizes))}, sizes...)
	x.addGem(&c)
	return c
}

// rubyTime is the form in which both gems write times.
const rubyTime = "2006-01-02 15:04:05 -0700"

// addGem adds the keys and arguments of the gem beside the entry. A slot that a person asks for is
// no business of the gem.
func (x *slotted) addGem(c *queue.Effect) {
	name, slot := x.entry.Name, x.slot.UTC()
	gem := x.entry.Beside
	if x.slot.IsZero() {
		gem = ""
	}
	c.Args = append(c.Args, string(gem))
	switch gem {
	case SidekiqScheduler:
		next := ""
		if !x.next.IsZero() {
			next = x.next.UTC().Format(rubyTime)
		}
		c.Keys = append(c.Keys, keyStates, pushedKey(name), keyLastTimes, keyNextTimes)
		c.Args = append(c.Args, name, strconv.FormatInt(slot.Unix(), 10), slot.Format(rubyTime),
			next)
	case SidekiqCron:
		c.Keys = append(c.Keys, cronJobKey(name), enqueuedKey(name), historyKey(name))
		c.Args = append(c.Args, fmt.Sprintf("%d.0", slot.Unix()), slot.Format(time.RFC3339),
			slot.Format(rubyTime), fmt.Sprintf(`{"jid":"%s","enqueued":"%s"}`, x.jid(),
				slot.Format(rubyTime)))
	}
}
