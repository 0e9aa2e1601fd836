package queue

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// Source lets a capability keep jobs of some queues besides the queues' lists, and decide which of
// them may be taken. A FetchRequest names the queues. The list of such a queue is where jobs
// arrive: the capability moves them from there.
type Source struct {
	// Take is the body of function(keys, args), which returns the functions that
	// lua/parts/source.lua describes. It runs in the script of a fetch.
	Take string
	// Words returns the keys, without the namespace, and the arguments of Take for a queue and an
	// owner.
	Words func(queue, identity string) (keys, args []string)
	// Bells returns keys of a queue, without the namespace: the list to which a doorbell moves a
	// job that arrives in the queue's list, and the list that has an element while a job may run
	// that no process has taken. The source puts the jobs of the first back, before it looks at
	// those of the queue's list.
	Bells func(queue string) (arrived, ready string)
	// Waits returns keys of a queue, without the namespace, one of which exists while the source
	// may have a job to run.
	Waits func(queue string) []string
	// Suspend gives all that the source keeps of a queue back to the queue's list, and keeps
	// nothing for the given time; 0 ends that time.
	Suspend func(ctx context.Context, s *Store, queue string, d time.Duration) error
	// Left returns the effects, of the capability's Lua, that free what a delivery held, when the
	// delivery leaves in another way than by a fetch that acknowledges it. back says that the
	// job is at the taking end of its queue then; until is when a job of its kind may run again,
	// or zero.
	Left func(d *Delivery, back bool, until time.Time) []Effect
	// Count returns a hash of a queue, without the namespace. Its field parked has the number of
	// jobs that the source keeps besides the list of the queue.
	Count func(queue string) string
	// Kept returns what the source keeps, by queue. It is for people and pages.
	Kept func(ctx context.Context, s *Store) (map[string]Kept, error)
	// Lists returns a page of the lists in which the source keeps jobs. See Store.KeptLists.
	Lists func(ctx context.Context, s *Store, cursor uint64) (page []KeptList, next uint64,
		err error)
}

//go:embed lua/parts/source.lua
var sourceLua string

// sourceScript returns the copy of the script fetch that takes jobs from the sources of
// capabilities.
func sourceScript(fetch string, list []Capability) *redisdb.Script {
	var kinds strings.Builder
	for _, c := range list {
		if c.Source != nil {
			fmt.Fprintf(&kinds, "kinds['%s'] = function(keys, args)\n%s\nend\n", c.Kind,
				c.Source.Take)
		}
	}
	begin, end, _ := strings.Cut(sourceLua, "-- (next piece)\n")
	begin = strings.Replace(begin, kindsHere, kinds.String(), 1)
	fetch = before(fetch, "if not lease or tonumber(lease) < 0 then return", begin)
	fetch = before(fetch, "if at > #ARGV then\n", end)
	const last = "return out\n"
	head, found := strings.CutSuffix(fetch, last)
	if !found {
		panic("the script fetch must end with " + last)
	}
	return redisdb.NewScript(head + "return finish()\n")
}

// before puts a piece before the only mark in a script.
func before(script, mark, piece string) string {
	if strings.Count(script, mark) != 1 {
		panic("the script fetch must have once " + mark)
	}
	return strings.Replace(script, mark, piece+mark, 1)
}

// HasSource reports whether the Store was opened with a capability that is a source.
func (s *Store) HasSource() bool { return s.source() != nil }

// source returns the capability that is a source, or nil. There is one at most.
func (s *Store) source() *Capability {
	if s.effects == nil {
		return nil
	}
	for i := range s.effects.list {
		if c := &s.effects.list[i]; c.Source != nil {
			return c
		}
	}
	return nil
}

// sourcesOf adds to the sources of a request the queues of which it acknowledges jobs of a source.
func sourcesOf(r *FetchRequest) (list []int) {
	list = r.Sources
	for _, d := range r.Done {
		if d.Sourced {
			if q := slices.Index(r.Queues, d.Queue); q >= 0 && !slices.Contains(list, q) {
				list = append(slices.Clip(list), q)
			}
		}
	}
	return list
}

// sourceArgs appends the words of the sources of a request to the keys and arguments of a fetch.
func (o *Owner) sourceArgs(r *FetchRequest, keys []string, args []any) ([]string, []any) {
	c, ks := o.store.source(), o.store.ks
	turned := ""
	if r.Turns != nil {
		turned = "turns"
	}
	args = append(args, turned, len(r.Sources))
	for _, q := range r.Sources {
		own, words := c.Source.Words(r.Queues[q], o.Identity)
		args = append(args, q+1, c.Kind, len(own), len(words))
		for _, k := range own {
			keys = append(keys, ks.Key(k))
		}
		for _, w := range words {
			args = append(args, w)
		}
	}
	return keys, args
}

// readSource decodes what the reply of a fetch says about sources, and returns the rest of it.
func (f *Fetched) readSource(reply []any) []any {
	f.Opens = -1
	if len(reply) != 4 {
		return reply // it took no jobs
	}
	rest, nested := reply[0].([]any)
	if !nested {
		return reply
	}
	f.Unseen = queueIndexes(reply[1])
	if ms, _ := reply[2].(int64); ms >= 0 {
		f.Opens = time.Duration(ms) * time.Millisecond
	}
	f.sourced = queueIndexes(reply[3])
	return rest
}

// waits returns the keys one of which exists while a source may have a job of these queues to run.
func (s *Store) waits(queues []string) (keys []string) {
	for _, name := range queues {
		for _, k := range s.source().Source.Waits(name) {
			keys = append(keys, s.ks.Key(k))
		}
	}
	return keys
}

func (x Settlement) sourced() bool { return x.Delivery.Sourced }

// settleSourced is Settle for a batch with deliveries of a source. It frees what they held there.
func (s *Store) settleSourced(ctx context.Context, batch []Settlement) ([]Result, error) {
	c, list := s.source(), slices.Clone(batch)
	for i := range list {
		if x := &list[i]; x.sourced() {
			back, until := x.Action == Requeue, time.Time{}
			if back {
				until = x.At
			}
			x.Effects = append(slices.Clone(x.Effects), c.Source.Left(x.Delivery, back, until)...)
		}
	}
	results, err := s.settle(ctx, list)
	for i := range results {
		batch[i].Failed = list[i].Failed
	}
	return results, err
}

// left returns the effects that free what a dead owner's delivery held of a source. They do nothing
// for a delivery that held nothing.
func (s *Store) left(identity, queue, token string, back bool) []Effect {
	c := s.source()
	n, err := strconv.ParseUint(token, 10, 64)
	if c == nil || err != nil {
		return nil
	}
	d := &Delivery{Queue: queue, Owner: s.Owner(identity), Token: n}
	return c.Source.Left(d, back, time.Time{})
}
