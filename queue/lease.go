package queue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Host describes the process of an owner. The machine and the pid let a process on the same machine
// see that it is dead before its lease ends.
type Host struct {
	Name         string
	BootID       string // of the running kernel
	PIDNamespace string
	PID          int
	Started      string   // when the process started, in ticks of the kernel since boot
	Classes      []string // the classes for which it has handlers
	Pool         int      // how many connections it may open to Postgres; 0 if not known

	Lease time.Duration // lease duration; silence longer than this means dead; 0 if not known
}

// place returns a name of the machine for the processes on it, or "" if it is not known.
func (h *Host) place() string {
	if h.BootID == "" || h.PIDNamespace == "" {
		return ""
	}
	return h.BootID + ":" + h.PIDNamespace
}

// Register writes the owner's record, with its host and the queues that it serves, and takes its
// lease. A reclaimer uses the record to judge the owner and to find its deliveries.
func (o *Owner) Register(ctx context.Context, h Host, queues []string, lease time.Duration) error {
	h.Lease = lease
	millis := strconv.FormatInt(lease.Milliseconds(), 10)
	if err := o.writeRecord(ctx, h, queues, millis); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// Leave gives up the lease, unless it is lost. Any reclaimer may take the jobs that the owner still
// has in flight, or that one of its commands takes later. No crash is counted for them.
func (o *Owner) Leave(ctx context.Context, h Host, queues []string) error {
	if err := o.writeRecord(ctx, h, queues, "", "left", 1); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// writeRecord writes the owner's record. lease is in milliseconds; "" gives the lease up.
func (o *Owner) writeRecord(ctx context.Context, h Host, queues []string, lease string,
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

// Orders are the orders of people to a process, which it reads with a beat.
type Orders struct {
	Signals []string // TSTP, TERM, TTIN…, the oldest first; each is returned once
	Paused  []string // the paused queues
}

// signalReply is the last reply of a beat that had signals. The next beat removes them from Redis.
type signalReply struct {
	number uint64
	count  int // of signals
}

// Beat extends the lease, which then lasts for the given time by Redis's clock. The error is
// ErrLeaseLost if a reclaimer has declared this owner dead. If the reply is lost, the next Beat
// returns its signals again. Not safe for concurrent use.
func (o *Owner) Beat(ctx context.Context, lease time.Duration) (Orders, error) {
	ks := o.store.ks
	keys := []string{ks.Leases(), ks.Signals(o.Identity), ks.Paused(),
		ks.Owner(o.Identity)}
	reply, err := o.store.db.RunOwn(ctx, beatScript, keys, o.Identity, lease.Milliseconds(),
		o.lastSignals.number, o.lastSignals.count).Slice()
	if err != nil {
		return Orders{}, fmt.Errorf("beat: %w", err)
	}
	if len(reply) < 3 {
		return Orders{}, ErrLeaseLost
	}
	orders := Orders{Signals: texts(reply[1]), Paused: texts(reply[2])}
	if o.lastSignals.count = len(orders.Signals); o.lastSignals.count > 0 {
		o.lastSignals.number++
	}
	return orders, nil
}

// Alone records that the owner runs only this delivery, or, with nil, that this is no longer true.
// If the owner dies meanwhile, the crash is counted for that job only. A call that arrives after a
// later one does nothing. The error is ErrLeaseLost if the owner has no record, or if a later call
// was carried out. Not safe for concurrent use.
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

// Beside records that a suspect of crashes (Poison.Suspect) starts while other jobs run. If the
// owner dies, a crash is counted only for recorded suspects: a suspect that waits to run alone
// cannot have caused the crash. The error is ErrLeaseLost if the owner has no record.
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

// texts returns the strings of a list in a reply.
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

// Lease is the lease of an owner.
type Lease struct {
	Identity string
	Ended    bool   // its end has passed, by Redis's clock
	Fenced   bool   // its owner was declared dead: its jobs are being reclaimed
	Score    string // its end, as Redis stores it; every beat changes it
}

// leasesOf decodes identities and scores of a reply. now is in Unix milliseconds.
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

// Leases returns the leases of all owners. Its cost grows with their number. It is for inspection.
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
	Now        time.Time // by Redis's clock
	Fenced     []Lease   // a page of the owners that were declared dead
	Ended      []Lease   // a page of the owners whose lease has ended, or ends too late
	Neighbours []Lease   // the next three owners on the same machine, by name
	// Sifts are the queues through which bulk operations go, and the ids of these, for PutBack.
	Sifts map[string]string
}

// Sweep finds owners that may be dead: at most page of each kind, after the first skip fenced ones.
// longest is the longest lease that an owner may have. The cost does not grow with the number of
// living owners.
func (o *Owner) Sweep(ctx context.Context, h Host, page, skip int,
	longest time.Duration) (Suspects, error) {
	ks := o.store.ks
	keys := []string{ks.Leases(), ks.Sifts()}
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
		Ended: leasesOf(reply[2], now), Neighbours: leasesOf(reply[3], now),
		Sifts: siftsOf(texts(reply[4]))}, nil
}

// siftsOf decodes a hash of queues and ids.
func siftsOf(flat []string) map[string]string {
	sifts := map[string]string{}
	for i := 0; i+1 < len(flat); i += 2 {
		sifts[flat[i]] = flat[i+1]
	}
	return sifts
}

// OwnerHost reads the host of an owner and the queues that it serves from its record. If there is
// no record, it returns the zero Host and no queues.
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
