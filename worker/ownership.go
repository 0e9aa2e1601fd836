package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// ownership is the process's identity in Redis and, bound to it, the context of
// the jobs that it holds. When the lease is lost, it takes a new identity: the
// jobs of the old one belong to others now, and their context is cancelled with
// queue.ErrLeaseLost. Safe for concurrent use.
type ownership struct {
	store  *queue.Store
	host   queue.Host
	queues []string
	lease  time.Duration
	jobs   context.Context // parent of all epochs; cancelled by the shutdown

	mu        sync.Mutex
	owner     *queue.Owner
	epoch     context.Context
	cancel    context.CancelCauseFunc
	listeners []chan struct{}
	gone      chan *queue.Owner // owners whose loss a fetcher noticed first
}

func newOwnership(s *queue.Store, h queue.Host, queues []string, lease time.Duration) *ownership {
	return &ownership{store: s, host: h, queues: queues, lease: lease, gone: make(chan *queue.Owner, 1)}
}

// current is the owner under which to fetch and beat.
func (o *ownership) current() *queue.Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner
}

// context is that of the jobs that are held now.
func (o *ownership) context() context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.epoch
}

// subscribe gives a channel that rings when there is a new owner.
func (o *ownership) subscribe() <-chan struct{} {
	c := make(chan struct{}, 1)
	o.listeners = append(o.listeners, c)
	return c
}

// take registers a new identity. What the one before held is left to reclaimers.
func (o *ownership) take(ctx context.Context) error {
	next := o.store.Owner(newIdentity(o.host))
	if err := next.Register(ctx, o.host, o.queues, o.lease); err != nil {
		return err
	}
	o.mu.Lock()
	before, cancel := o.owner, o.cancel
	o.owner = next
	o.epoch, o.cancel = context.WithCancelCause(o.jobs)
	o.mu.Unlock()
	if before == nil {
		return nil
	}
	cancel(queue.ErrLeaseLost)
	for _, c := range o.listeners {
		ring(c)
	}
	return before.Leave(ctx, o.host, o.queues)
}

// lost tells that a fetch was refused for want of a lease.
func (o *ownership) lost(owner *queue.Owner) {
	select {
	case o.gone <- owner:
	default:
	}
}

// newIdentity is host:pid:nonce, as Sidekiq's, in characters that are safe in
// keys and on pages.
func newIdentity(h queue.Host) string {
	var nonce [6]byte
	rand.Read(nonce[:]) // never fails
	return fmt.Sprintf("%s:%d:%s", h.Name, h.PID, hex.EncodeToString(nonce[:]))
}

// thisHost describes the running process.
func thisHost() queue.Host {
	name := os.Getenv("DYNO")
	if name == "" {
		name, _ = os.Hostname()
	}
	h := queue.Host{Name: safeHostname(name), PID: os.Getpid()}
	h.BootID = bootID()
	h.PIDNamespace, _ = os.Readlink("/proc/self/ns/pid")
	h.Started, _, _ = processStart(h.PID)
	return h
}

// bootID names the running kernel. A unit that hides it says it in the
// environment (systemd's %b).
func bootID() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte(os.Getenv("KYU_BOOT_ID"))
	}
	return strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", "")
}

func safeHostname(name string) string {
	name = strings.Map(func(r rune) rune {
		if queue.ValidName(string(r)) && r != ':' {
			return r
		}
		return '-'
	}, name)
	if name == "" {
		return "localhost"
	}
	return name[:min(len(name), 64)]
}

// processStart is when a process of this host began, in the kernel's ticks, and
// whether it is a zombie. ok is false if that cannot be read: hardened units hide
// the processes of others.
func processStart(pid int) (started string, zombie, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, false
	}
	_, rest, found := strings.Cut(string(b), ") ") // the name before it may hold anything
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", false, false
	}
	return fields[19], fields[0] == "Z" || fields[0] == "X", true
}

// provenDead reports whether an owner on our own host is gone: same kernel, same
// pid namespace, and its process is not there or is another one. That a process
// is not there only the kernel can say, by ESRCH: in /proc it may be hidden.
func provenDead(self, h queue.Host) bool {
	if h.PID == 0 || h.BootID == "" || h.BootID != self.BootID || h.PIDNamespace == "" || h.PIDNamespace != self.PIDNamespace {
		return false
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return true
	}
	started, zombie, ok := processStart(h.PID)
	return ok && (zombie || (h.Started != "" && started != h.Started))
}
