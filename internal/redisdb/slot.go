package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster says which slot of a Redis Cluster holds all keys.
type Cluster struct {
	Seeds []string // host:port of nodes that are asked first who has the slot
	Tag   string   // the part in braces of all keys, which decides the slot
}

// Slot is the number of the slot.
func (c *Cluster) Slot() int { return SlotOf(c.Tag) }

// askTime is how long one node may take to say who has the slot.
const askTime = time.Second

// slot finds the node that has the slot of a cluster. It is a dialer for ordinary clients, and a
// hook that sends again what a node has refused, and so has not run. Nothing else is sent again: a
// command whose reply is lost may have run.
type slot struct {
	Cluster
	options redis.Options      // for the connections that ask
	stale   func(owner string) // says that connections to other nodes are out of date
	asking  chan struct{}      // of one element: one connection asks at a time
	now     struct {           // what is known
		sync.Mutex
		owner   string            // the address of the node that has the slot; "": ask
		doubted string            // the address of a node that failed last
		nodes   []string          // addresses of the nodes that were named last
		names   map[string]string // endpoint in MOVED → address
	}
}

// newSlot returns the slot of a cluster. o says how to log in, and how to dial an address.
func newSlot(c Cluster, o *redis.Options, stale func(string)) *slot {
	s := &slot{Cluster: c, options: *o, stale: stale, asking: make(chan struct{}, 1)}
	s.options.PoolSize, s.options.PipelinePoolSize = 1, -1
	s.options.MaxRetries, s.options.DialerRetries, s.options.Protocol = -1, 1, 2
	s.options.DialTimeout, s.options.ReadTimeout, s.options.WriteTimeout = askTime, askTime, askTime
	s.options.ContextTimeoutEnabled = true
	s.options.MaintNotificationsConfig = noNotifications()
	return s
}

// dial returns a dialer that dials the node that has the slot, by d, whatever address it is given.
func (s *slot) dial(d dialer) dialer {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		owner, err := s.owner(ctx)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		c, err := d(ctx, network, owner)
		if err != nil {
			s.doubt(owner)
			return nil, fmt.Errorf("the cluster names %s as the owner of slot %d: %w", owner,
				s.Slot(), err)
		}
		return c, nil
	}
}

// owner returns the address of the node that has the slot. It asks if that is not known.
func (s *slot) owner(ctx context.Context) (string, error) {
	if owner := s.known(); owner != "" {
		return owner, nil
	}
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-s.asking }()
	if owner := s.known(); owner != "" {
		return owner, nil
	}
	var last error
	for _, node := range s.order() {
		list, err := s.ask(ctx, node)
		if err != nil {
			last = fmt.Errorf("%s: %w", node, err)
			continue
		}
		if owner, ok := ownerOf(list, s.Slot()); ok {
			s.take(list)
			s.set(owner.Addr)
			return owner.Addr, nil
		}
		last = fmt.Errorf("%s: %w", node, errNoOwner)
	}
	return "", fmt.Errorf("no node of the cluster says who has slot %d: %w", s.Slot(), last)
}

var errNoOwner = errors.New("no node has the slot")

// ask asks a node who has which slots.
func (s *slot) ask(ctx context.Context, node string) ([]SlotRange, error) {
	o := s.options
	o.Addr = node
	c := redis.NewClient(&o)
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	reply, err := c.Do(ctx, "CLUSTER", "SLOTS").Slice()
	if Answered(err) && strings.HasPrefix(err.Error(), "ERR ") {
		return nil, &noClusterError{err.Error()}
	}
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(node)
	return readSlots(reply, host)
}

func (s *slot) known() string {
	s.now.Lock()
	defer s.now.Unlock()
	return s.now.owner
}

// order returns the nodes in the order in which they are asked: all that are known, and last the
// one that failed, because it may hang.
func (s *slot) order() []string {
	s.now.Lock()
	defer s.now.Unlock()
	list := slices.Concat(s.now.nodes, s.Seeds)
	slices.Sort(list)
	list = slices.Compact(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if i := slices.Index(list, s.now.doubted); i >= 0 {
		list = append(slices.Delete(list, i, i+1), s.now.doubted)
	}
	return list
}

// take notes the nodes of an answer.
func (s *slot) take(list []SlotRange) {
	s.now.Lock()
	defer s.now.Unlock()
	s.now.nodes, s.now.names = nil, map[string]string{}
	for _, r := range list {
		for _, n := range r.Nodes {
			s.now.nodes = append(s.now.nodes, n.Addr)
			s.now.names[n.Endpoint] = n.Addr
		}
	}
}

// set notes the owner, and that connections to other nodes are out of date.
func (s *slot) set(owner string) {
	s.now.Lock()
	changed := s.now.owner != owner
	s.now.owner = owner
	if s.now.doubted == owner {
		s.now.doubted = ""
	}
	s.now.Unlock()
	if changed {
		s.stale(owner)
	}
}

// doubt has the next connection ask who has the slot, because the node at an address failed. With
// "" it is the owner that is known.
func (s *slot) doubt(addr string) {
	s.now.Lock()
	defer s.now.Unlock()
	if addr == "" || addr == s.now.owner {
		if s.now.owner != "" {
			s.now.doubted = s.now.owner
		}
		s.now.owner = ""
	}
}

// movedTo notes the owner that a MOVED names. An endpoint without a host is not followed: the
// next connection asks.
func (s *slot) movedTo(endpoint string) {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil || host == "" || host == "?" {
		s.doubt("")
		s.stale("")
		return
	}
	s.now.Lock()
	addr := endpoint
	if name, ok := s.now.names[endpoint]; ok {
		addr = name
	}
	s.now.Unlock()
	s.set(addr)
}

// endpoint returns the endpoint that a MOVED names, and whether it is about this slot.
func (s *slot) endpoint(place string) (string, bool) {
	slot, endpoint, _ := strings.Cut(place, " ")
	return endpoint, slot == strconv.Itoa(s.Slot())
}

// learn takes the error of a command.
func (s *slot) learn(err error) {
	switch r, place := readRefusal(err); {
	case r == moved:
		if endpoint, ours := s.endpoint(place); ours {
			s.movedTo(endpoint)
		}
	case r == unserved:
		s.doubt("")
		s.stale("")
	case r == noRefusal && err != nil && !errors.Is(err, redis.Nil) && !Answered(err) &&
		!Unsent(err):
		s.doubt("") // it hangs or is gone: if it still has the slot, asking costs one command
	}
}

// DialHook changes nothing.
func (s *slot) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook sends a command again that was refused.
func (s *slot) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		for t := new(retry); err != nil && s.again(ctx, t, err); {
			cmd.SetErr(nil)
			err = next(ctx, cmd)
		}
		return err
	}
}

// ProcessPipelineHook sends those commands of a pipeline again that were refused, if that keeps
// their order, or a whole transaction that was.
func (s *slot) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for t := new(retry); err != nil; {
			from, refused := 0, error(nil)
			if isTransaction(cmds) {
				refused = refusedTransaction(cmds)
			} else {
				from, refused = refusedTail(cmds)
			}
			if refused == nil || from == len(cmds) {
				s.learn(cmp.Or(refused, err))
				break
			}
			if !s.again(ctx, t, refused) {
				break
			}
			for _, c := range cmds[from:] {
				c.SetErr(nil)
			}
			err = next(ctx, cmds[from:])
			if from > 0 {
				err = firstError(cmds)
			}
		}
		return err
	}
}

func isTransaction(cmds []redis.Cmder) bool {
	return len(cmds) > 1 && cmds[0].Name() == "multi" && cmds[len(cmds)-1].Name() == "exec"
}

func firstError(cmds []redis.Cmder) error {
	for _, c := range cmds {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// again learns from an error, and waits until the command is to be sent again. It reports false if
// it is not.
func (s *slot) again(ctx context.Context, t *retry, err error) bool {
	s.learn(err)
	pause, again := t.next(err)
	if !again || pause == 0 {
		return again
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
