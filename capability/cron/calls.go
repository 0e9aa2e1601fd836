package cron

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

var (
	//go:embed lua/own.lua
	ownLua string
	//go:embed lua/enter.lua
	enterLua string

	ownScript   = redisdb.NewScript(ownLua)
	enterScript = redisdb.NewScript(enterLua)
)

// own asks whether this schedule counts, and reads Redis's clock.
func (s *Scheduler) own(ctx context.Context) error {
	db, ks, sent := s.Store.DB(), s.Store.Keys(), s.clock.local()
	reply, err := db.Run(ctx, ownScript, []string{ks.Key(ownerKey(s.Schedule.name()))}, s.number,
		s.digest, s.Schedule.names(), goneAfter.Milliseconds()).Int64Slice()
	if err != nil {
		return err
	}
	if len(reply) != 3 {
		return fmt.Errorf("own.lua returned %d numbers, not 3", len(reply))
	}
	s.clock.set(sent, reply[2])
	s.owns, s.number = reply[0] == 1, reply[1]
	s.ownAt = s.clock.now().Add(ownEvery)
	switch {
	case !s.owns && !s.told:
		s.Logger.Info("Another version of the schedule was deployed later: this process pushes "+
			"none of its entries", "schedule", s.Schedule.name())
	case s.owns && s.told:
		s.Logger.Info("The schedule of this process counts again", "schedule", s.Schedule.name())
	}
	if s.told = !s.owns; s.told {
		s.entered = false
	}
	return nil
}

// enterAtOnce is the most entries of one call.
const enterAtOnce = 100

// enter writes the entries to Redis, and reads where each stands.
func (s *Scheduler) enter(ctx context.Context) error {
	for from := 0; from < len(s.tracks); from += enterAtOnce {
		some := s.tracks[from:min(from+enterAtOnce, len(s.tracks))]
		owned, err := s.enterSome(ctx, some)
		if err != nil {
			return err
		}
		if !owned {
			s.ownAt = s.clock.now() // ask again
			return nil
		}
	}
	s.entered = true
	return nil
}

func (s *Scheduler) enterSome(ctx context.Context, tracks []track) (owned bool, err error) {
	ks, sent := s.Store.Keys(), s.clock.local()
	keys := []string{ks.Key(ownerKey(s.Schedule.name())), ks.Key(keyNames)}
	args := []any{s.digest, s.Schedule.name()}
	for i := range tracks {
		e := &tracks[i].entry
		keys = append(keys, ks.Key(entryKey(e.Name)))
		args = append(args, e.Name, e.rev(), e.timingRev(), e.spec())
	}
	reply, err := s.Store.DB().Run(ctx, enterScript, keys, args...).Int64Slice()
	if err != nil || len(reply) == 0 {
		return false, err
	}
	if len(reply) != 1+len(tracks) {
		return false, fmt.Errorf("enter.lua returned %d numbers for %d entries", len(reply),
			len(tracks))
	}
	s.clock.set(sent, reply[0])
	for i := range tracks {
		tracks[i].advance(time.UnixMilli(reply[1+i]))
	}
	return true, nil
}

// claim pushes the job of a slot if nobody has. ended says that the slot is over; otherwise it is
// tried again.
func (s *Scheduler) claim(ctx context.Context, t *track, slot time.Time) (ended bool, err error) {
	x := slotted{entry: &t.entry, schedule: s.Schedule.name(), digest: s.digest, slot: slot,
		next: t.timing.next(slot)}
	if x.skip, err = s.tooLate(ctx, &t.entry); err != nil {
		return false, err
	}
	o, err := x.options()
	if err != nil {
		return false, err
	}
	jid, err := s.Client.Push(ctx, t.entry.Class, t.entry.Args, o)
	var refused *queue.ClaimError
	if !errors.As(err, &refused) {
		if err == nil {
			s.Logger.Debug("Pushed a scheduled job", "entry", t.entry.Name, "slot", slot,
				"jid", jid)
		}
		return err == nil, err
	}
	if refused.Kind != kind { // such as a lock of the job, which is another capability's
		s.Logger.Info("A scheduled job was not pushed", "entry", t.entry.Name, "slot", slot,
			"err", err)
		return true, nil
	}
	return s.refused(refused.Reason, slot), nil
}

// refused reports whether a slot is over whose claim was refused.
func (s *Scheduler) refused(reason string, slot time.Time) (ended bool) {
	word, rest, _ := strings.Cut(reason, " ")
	switch word {
	case "owner":
		s.owns, s.entered, s.ownAt = false, false, s.clock.now()
	case "rev":
		s.entered, s.ownAt = false, s.clock.now()
	case "early": // Redis's clock was set back, or this process's runs fast
		ms, _ := strconv.ParseInt(rest, 10, 64)
		s.clock.set(s.clock.local(), slot.UnixMilli()-ms)
	default:
		return true
	}
	return false
}

// tooLate returns a reason to skip a slot if a queue is too far behind. It is asked right before
// the claim and not in its script, because the age of a job is in its payload, which scripts do
// not read. Load that changes in between changes nothing that is promised.
func (s *Scheduler) tooLate(ctx context.Context, e *Entry) (skip string, err error) {
	for _, c := range e.OnlyIf {
		if c.LatencyBelow == 0 {
			continue
		}
		latency, err := s.latency(ctx, c.Queue)
		if err != nil {
			return "", err
		}
		if latency >= c.LatencyBelow {
			return "latency", nil
		}
	}
	return "", nil
}

// latency returns the age of the oldest job of a queue.
func (s *Scheduler) latency(ctx context.Context, name string) (time.Duration, error) {
	q, err := inspect.New(s.Store).Queue(ctx, name)
	return time.Duration(q.Latency * float64(time.Second)), err
}
