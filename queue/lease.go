package queue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Host is where an owner lives: enough for a process beside it to see that it is dead without
// waiting for its lease. And what it can run.
type Host struct {
	Name         string
	BootID       string // of the running kernel
	PIDNamespace string
	PID          int
	Started      string   // of the process, in the kernel's ticks since boot
	Classes      []string // that it has handlers for
	Pool         int      // connections that it may open to Postgres; 0 if it does not say

	Lease time.Duration // its length: silence longer than this means dead; zero if it does not say
}

// place names the machine of h for those on it, or "" if it cannot be told from others.
func (h *Host) place() string {
	if h.BootID == "" || h.PIDNamespace == "" {
		return ""
	}
	return h.BootID + ":" + h.PIDNamespace
}

// Register writes down whose the owner is and which queues it serves, so that a reclaimer
// finds its deliveries, and takes its lease.
func (o *Owner) Register(ctx context.Context, h Host, queues []string, lease time.Duration) error {
	h.Lease = lease
	if err := o.sign(ctx, h, queues, strconv.FormatInt(lease.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// Leave gives the lease up, if it is not lost already. What the owner still holds, or what a
// late reply may yet bring it, is for any reclaimer to take, and counts as no crash.
func (o *Owner) Leave(ctx context.Context, h Host, queues []string) error {
	if err := o.sign(ctx, h, queues, "", "left", 1); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

func (o *Owner) sign(ctx context.Context, h Host, queues []string, lease string,
	more ...any) error {
	ks := o.store.ks
	args := append([]any{o.Identity, lease,
		"queues", strings.Join(queues, "\n"), "host", h.Name, "boot", h.BootID,
		"pidns", h.PIDNamespace, "pid", h.PID, "started", h.Started,
		"classes", strings.Join(h.Classes, "\n"), "pool", h.Pool,
		"lease", h.Lease.Milliseconds()}, more...)
	keys := []string{ks.Leases(), ks.Owner(o.Identity)}
	if place := h.place(); place != "" {
		keys = append(keys, ks.Host(place))
	}
	return o.store.db.RunOwn(ctx, registerScript, keys, args...).Err()
}

// Orders is what a process learns when it beats.
type Orders struct {
	Signals []string // TSTP, TERM, TTIN…, oldest first; each is told once
	Paused  []string // queues
}

// beatReply is the last reply that told signals: the next beat takes them away.
type beatReply struct {
	number uint64
	told   int
}

// Beat extends the lease by Redis's clock. The error is ErrLeaseLost if a reclaimer has
// declared this owner dead. If the reply is lost, the next Beat tells its signals again. Not
// safe for concurrent use.
func (o *Owner) Beat(ctx context.Context, lease time.Duration) (Orders, error) {
	ks := o.store.ks
	keys := []string{ks.Leases(), ks.Signals(o.Identity), ks.Paused(),
		ks.Owner(o.Identity)}
	reply, err := o.store.db.RunOwn(ctx, beatScript, keys, o.Identity, lease.Milliseconds(),
		o.told.number, o.told.told).Slice()
	if err != nil {
		return Orders{}, fmt.Errorf("beat: %w", err)
	}
	if len(reply) < 3 {
		return Orders{}, ErrLeaseLost
	}
	orders := Orders{Signals: texts(reply[1]), Paused: texts(reply[2])}
	if o.told.told = len(orders.Signals); o.told.told > 0 {
		o.told.number++
	}
	return orders, nil
}

// Alone writes down that of all that the owner holds only one delivery runs, or, with nil,
// that this is so no more. If the owner dies meanwhile, the crash is that job's. A call whose
// reply was lost, and that comes after the next call, does nothing. Not for concurrent use.
func (o *Owner) Alone(ctx context.Context, d *Delivery) error {
	token := ""
	if d != nil {
		token = strconv.FormatUint(d.Token, 10)
	}
	keys := []string{o.store.ks.Owner(o.Identity)}
	n, err := o.store.db.RunOwn(ctx, aloneScript, keys, token, o.store.Tokens(1)).Int()
	switch {
	case err != nil:
		return fmt.Errorf("alone: %w", err)
	case n == 0 && d != nil:
		return fmt.Errorf("alone: %w", ErrLeaseLost)
	}
	return nil
}

// Beside writes down that a suspect of crashes (Poison.Suspect) starts beside other jobs: only
// then does a crash count for it. One that waits for its turn to run alone causes none.
func (o *Owner) Beside(ctx context.Context, d *Delivery) error {
	keys := []string{o.store.ks.Owner(o.Identity)}
	n, err := o.store.db.RunOwn(ctx, besideScript, keys, d.Token).Int()
	switch {
	case err != nil:
		return fmt.Errorf("beside: %w", err)
	case n == 0:
		return fmt.Errorf("beside: %w", ErrLeaseLost)
	}
	return nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Lease is an entry of the register of owners.
type Lease struct {
	Identity string
	Ended    bool   // by Redis's clock
	Fenced   bool   // declared dead: its jobs are being taken
	Score    string // its end as Redis has it: it changes with every beat
}

func leasesOf(v any, now int64) []Lease {
	flat := texts(v)
	leases := make([]Lease, 0, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		end, _ := strconv.ParseFloat(flat[i+1], 64)
		leases = append(leases, Lease{Identity: flat[i], Fenced: end < 0, Ended: end < float64(now),
			Score: flat[i+1]})
	}
	return leases
}

// Leases lists all owners. Its cost grows with their number: it is for people.
func (s *Store) Leases(ctx context.Context) ([]Lease, error) {
	pipe := s.db.Shared.Pipeline()
	clock := pipe.Time(ctx)
	all := pipe.Do(ctx, "ZRANGE", s.ks.Leases(), 0, -1, "WITHSCORES")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	flat, err := all.Slice()
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	return leasesOf(flat, clock.Val().UnixMilli()), nil
}

// Suspects are owners that may be dead.
type Suspects struct {
	Now    time.Time // by Redis's clock
	Fenced []Lease   // a page of those that were declared dead
	Ended  []Lease   // a page of those whose lease ends before now, or too late to be true
	Beside []Lease   // the next few on the same machine, by name
}

// Sweep looks for owners that may be dead: at most page of each kind, past skip fenced ones.
// No lease may be longer than longest. Its cost does not grow with the number of the living.
func (o *Owner) Sweep(ctx context.Context, h Host, page, skip int,
	longest time.Duration) (Suspects, error) {
	ks := o.store.ks
	keys := []string{ks.Leases()}
	if place := h.place(); place != "" {
		keys = append(keys, ks.Host(place))
	}
	reply, err := o.store.db.RunOwn(ctx, sweepScript, keys, o.Identity, page, skip,
		longest.Milliseconds()).Slice()
	if err != nil {
		return Suspects{}, fmt.Errorf("sweep: %w", err)
	}
	now, _ := reply[0].(int64)
	return Suspects{Now: time.UnixMilli(now), Fenced: leasesOf(reply[1], now),
		Ended: leasesOf(reply[2], now), Beside: leasesOf(reply[3], now)}, nil
}

// OwnerHost tells where an owner lives and which queues it serves. A missing record reads as
// the zero Host without queues.
func (s *Store) OwnerHost(ctx context.Context, identity string) (Host, []string, error) {
	h, err := s.db.Own.HGetAll(ctx, s.ks.Owner(identity)).Result()
	if err != nil {
		return Host{}, nil, fmt.Errorf("owner: %w", err)
	}
	pid, _ := strconv.Atoi(h["pid"])
	lease, _ := strconv.ParseInt(h["lease"], 10, 64)
	host := Host{Name: h["host"], BootID: h["boot"], PIDNamespace: h["pidns"], PID: pid,
		Started: h["started"],
		Lease:   time.Duration(lease) * time.Millisecond}
	if h["queues"] == "" {
		return host, nil, nil
	}
	return host, strings.Split(h["queues"], "\n"), nil
}
